//! Where secrets of an environment lie beyond this machine.

use super::Environment;

impl Environment {
    /// Makes clusters, vaults and accounts known in which secrets of this environment lie.
    pub(super) fn reach_sources(&self) {
        #[cfg(feature = "kubernetes")]
        if !self.kubernetes.clusters.is_empty() {
            let source = crate::providers::kubernetes::credentials::Source::new(&self.kubernetes);
            crate::secrets::reach::<crate::secrets::ClusterSecret>(std::sync::Arc::new(source));
        }
        #[cfg(feature = "azure")]
        if !self.azure.vaults.is_empty() {
            let source = crate::providers::azure::credentials::Source::new(&self.azure);
            crate::secrets::reach::<crate::secrets::VaultSecret>(std::sync::Arc::new(source));
        }
        #[cfg(feature = "aws")]
        if !self.aws.accounts.is_empty() {
            let source = crate::providers::aws::secrets::Source::new(&self.aws);
            crate::secrets::reach::<crate::secrets::AccountSecret>(std::sync::Arc::new(source));
        }
    }
}
