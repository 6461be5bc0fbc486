//! Where secrets of an environment lie beyond this machine.

use super::Environment;

impl Environment {
    /// Makes clusters and vaults known in which secrets of this environment lie.
    pub(super) fn reach_sources(&self) {
        #[cfg(feature = "kubernetes")]
        if !self.kubernetes.clusters.is_empty() {
            let source = crate::providers::kubernetes::credentials::Source::new(&self.kubernetes);
            crate::secrets::reach_clusters(std::sync::Arc::new(source));
        }
        #[cfg(feature = "azure")]
        if !self.azure.vaults.is_empty() {
            let source = crate::providers::azure::credentials::Source::new(&self.azure);
            crate::secrets::reach_vaults(std::sync::Arc::new(source));
        }
    }
}
