//! `chat:`, `pager:` and `mail:` in `starr.yaml`.

use crate::providers::http::config::EndpointConfig;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Channels by the name that runbooks use.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatConfig {
    /// An incoming web hook each; its path is a secret (`secret_path`).
    #[serde(default)]
    pub channels: BTreeMap<String, EndpointConfig>,
}

/// Services that page people.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerConfig {
    #[serde(default)]
    pub services: BTreeMap<String, ServiceConfig>,
}

/// One service of a pager that understands the PagerDuty Events API v2.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The integration key.
    pub routing_key: SecretSource,
    /// Where events go; PagerDuty's own address when absent.
    #[serde(default = "events")]
    pub url: String,
    /// Addresses its name may lead to, as for an HTTP endpoint.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl ServiceConfig {
    /// The server as an endpoint.
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            ..EndpointConfig::new(self.url.clone())
        }
    }
}

fn events() -> String {
    "https://events.pagerduty.com".to_owned()
}

/// Mail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The server that takes mail; without it nothing can be sent.
    #[serde(default)]
    pub server: Option<ServerConfig>,
    /// Addresses by the name that runbooks use.
    #[serde(default)]
    pub boxes: BTreeMap<String, Vec<String>>,
}

/// A server that takes mail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub host: String,
    /// 587, or 465 for `wrapped`, when absent.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: Tls,
    /// Who sends, as in `starr <starr@example.org>`.
    pub from: String,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// STARTTLS; without it nothing is sent.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Wrapped,
    /// In the clear: only to this machine.
    None,
}
