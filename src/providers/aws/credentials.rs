//! Who asks: the official chain, a profile, or a key of the configuration; with a role perhaps.

use super::config::{AccountConfig, Credentials};
use crate::secrets::{SecretSource, remember};
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials as Key;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// How long before their end credentials are no longer used.
const SPARE: std::time::Duration = std::time::Duration::from_secs(60);

/// The credentials of one account, made at the first call.
pub struct Source {
    config: AccountConfig,
    provider: OnceCell<SharedCredentialsProvider>,
    kept: tokio::sync::Mutex<Option<Key>>,
}

fn read(source: &SecretSource) -> Result<String, String> {
    source.read().map(|text| text.expose().to_owned())
}

impl Source {
    pub fn new(config: &AccountConfig) -> Self {
        Self {
            config: config.clone(),
            provider: OnceCell::new(),
            kept: tokio::sync::Mutex::new(None),
        }
    }

    /// Settings for the parts of the official chain that ask somebody.
    async fn settings(&self) -> SdkConfig {
        let client = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(client)
            .region(Region::new(self.config.region.clone()));
        if let Credentials::Profile(name) = &self.config.credentials {
            loader = loader.profile_name(name);
        }
        if let Some(endpoint) = &self.config.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        loader.load().await
    }

    async fn make(&self) -> Result<SharedCredentialsProvider, String> {
        let base = match &self.config.credentials {
            Credentials::Keys(keys) => SharedCredentialsProvider::new(Key::new(
                read(&keys.id)?,
                read(&keys.secret)?,
                keys.session.as_ref().map(read).transpose()?,
                None,
                "starr.yaml",
            )),
            Credentials::Chain | Credentials::Profile(_) => self
                .settings()
                .await
                .credentials_provider()
                .ok_or("the official chain has no source of credentials")?,
        };
        let Some(assume) = &self.config.assume else {
            return Ok(base);
        };
        let mut role = AssumeRoleProvider::builder(&assume.role)
            .session_name("starr")
            .configure(&self.settings().await);
        if let Some(id) = &assume.external_id {
            role = role.external_id(read(id)?);
        }
        Ok(SharedCredentialsProvider::new(role.build_from_provider(base).await))
    }

    /// The credentials of this moment.
    ///
    /// # Errors
    /// Why there are none, without a word of them.
    pub async fn key(&self) -> Result<Key, String> {
        let mut kept = self.kept.lock().await;
        let now = SystemTime::now();
        if let Some(key) = kept.as_ref()
            && key.expiry().is_none_or(|end| end > now + SPARE)
        {
            return Ok(key.clone());
        }
        let provider = self.provider.get_or_try_init(|| self.make()).await?;
        let key = provider
            .provide_credentials()
            .await
            .map_err(|problem| format!("no credentials: {}", words(&problem)))?;
        // Those of the configuration are known already; those that somebody gave are not.
        remember(key.secret_access_key(), "a key of AWS");
        if let Some(token) = key.session_token() {
            remember(token, "a session token of AWS");
        }
        *kept = Some(key.clone());
        Ok(key)
    }
}

/// What is wrong with the credentials, in a word: the chain's own text may quote files.
fn words(problem: &aws_credential_types::provider::error::CredentialsError) -> &'static str {
    use aws_credential_types::provider::error::CredentialsError;
    match problem {
        CredentialsError::CredentialsNotLoaded(_) => "no source of the official chain has any",
        CredentialsError::ProviderTimedOut(_) => "their source did not answer in time",
        CredentialsError::InvalidConfiguration(_) => "the AWS configuration files cannot be used",
        CredentialsError::ProviderError(_) => "their source refused or failed",
        _ => "their source failed",
    }
}
