//! Secrets of a vault as a source of credentials: `{ vault: NAME, secret: NAME }`.

use super::Azure;
use super::config::Config;
use crate::secrets::{SecretText, VaultSecret, Vaults};
use std::time::Duration;
use tokio::time::Instant;

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

impl Vaults for Source {
    fn read(&self, wanted: &VaultSecret) -> Result<SecretText, String> {
        // On a thread of its own: whoever needs the secret may be inside a runtime, which cannot wait for itself.
        let fetched = std::thread::scope(|scope| {
            let own = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|problem| format!("{wanted} cannot be read: {problem}"))?;
                runtime.block_on(fetch(self.config.clone(), wanted))
            });
            own.join()
        });
        fetched.unwrap_or_else(|_| Err(format!("{wanted} cannot be read (a mistake in starr)")))
    }
}

async fn fetch(config: Config, wanted: &VaultSecret) -> Result<SecretText, String> {
    let cannot = |why: &str| format!("{wanted} cannot be read: {why}");
    let azure = Azure::new(config).map_err(|problem| cannot(&problem))?;
    let found = azure
        .newest_value(&wanted.vault, &wanted.secret, Instant::now() + PATIENCE)
        .await;
    found.map_err(|unknown| cannot(&unknown.detail))
}
