//! `http:` in `starr.yaml`: endpoints of an environment by name, and the addresses that may be reached.

use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The provider's part of an environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Addresses that a URL in a runbook may reach: `loopback`, `private`, `public`, addresses and networks. Only loopback when
    /// absent.
    #[serde(default = "loopback")]
    pub addresses: Vec<String>,
    /// Endpoints by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, EndpointConfig>,
}

/// One endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// An absolute URL without user, query and fragment; paths of calls are put behind it.
    pub url: String,
    /// A part of the path that is itself a secret, as web hooks have it; put behind the URL's own path and shown nowhere.
    #[serde(default)]
    pub secret_path: Option<SecretSource>,
    /// Headers of every request. Those that hold a secret name where it comes from.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderConfig>,
    /// A bearer token for the header `Authorization`.
    #[serde(default)]
    pub bearer: Option<SecretSource>,
    /// Addresses its name may lead to; `public` when absent, and for an address or `localhost` just that.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here; the system's when absent.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Certificate chain and key (PEM) that show who we are.
    #[serde(default)]
    pub client: Option<ClientConfig>,
    /// What web hooks to it are signed with, by the specification Standard Webhooks: base64, `whsec_` in front or not.
    #[serde(default)]
    pub signing_secret: Option<SecretSource>,
}

impl EndpointConfig {
    /// An endpoint of which nothing but its URL is said.
    pub fn new(url: String) -> Self {
        Self {
            url,
            secret_path: None,
            headers: BTreeMap::new(),
            bearer: None,
            addresses: None,
            ca: None,
            client: None,
            signing_secret: None,
        }
    }
}

/// A header's value, or where it comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum HeaderConfig {
    Value(String),
    Secret(SecretSource),
    /// A secret behind a word that the service wants in front of it; made by providers, never written.
    #[serde(skip)]
    Prefixed(String, SecretSource),
}

/// A client certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

fn loopback() -> Vec<String> {
    vec!["loopback".to_owned()]
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addresses: loopback(),
            endpoints: BTreeMap::new(),
        }
    }
}
