//! Secrets of a vault as a source of credentials: `{ vault: NAME, secret: NAME }`.

use super::Azure;
use super::config::Config;
use crate::providers::secret::fetched;
use crate::secrets::{Keeper, VaultSecret};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Longest wait for a secret, its token included.
const PATIENCE: Duration = Duration::from_secs(30);

/// The vaults of an environment, to read secrets from. Nothing is connected before the first one.
pub struct Source {
    config: Config,
}

impl Source {
    /// The vaults of this configuration.
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone() }
    }
}

impl Keeper<VaultSecret> for Source {
    fn read(&self, wanted: &VaultSecret) -> Result<Zeroizing<Vec<u8>>, String> {
        fetched(wanted, async || {
            let azure = Azure::new(self.config.clone())?;
            let until = Instant::now() + PATIENCE;
            let found = azure.newest_value(&wanted.vault, &wanted.secret, until).await;
            let value = found.map_err(|unknown| unknown.detail)?;
            Ok(Zeroizing::new(value.expose().as_bytes().to_vec()))
        })
    }
}
