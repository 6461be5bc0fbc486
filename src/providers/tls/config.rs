//! `tls:` in `starr.yaml`: servers by name, and certificates in files of this machine.

use crate::providers::http::config::{ClientConfig, EndpointConfig};
use crate::providers::http::target::{self, Endpoint};
use crate::providers::names::is_host_name;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// `tls:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub servers: BTreeMap<String, Server>,
    /// By the name of the resource.
    #[serde(default)]
    pub files: BTreeMap<String, Kept>,
}

/// Something that speaks TLS from its first byte on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    #[serde(default = "port")]
    pub port: u16,
    /// The name that its certificate must have and that is asked for; `host` when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Addresses its name may lead to; `public` when absent, and for an address or `localhost` just that.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here; the system's when absent.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Certificate chain and key (PEM) that show who we are.
    #[serde(default)]
    pub client: Option<ClientConfig>,
}

/// A certificate in a file, with what vouches for it behind it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The certificate, then those between it and the authority (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM). Nothing of it is told but whether it fits.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The authorities (PEM) that must vouch for it; the system's when absent.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub shows: Shows,
}

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shows {
    #[default]
    Server,
    Client,
}

fn port() -> u16 {
    443
}

impl Server {
    /// Where it is, behind the guard that every connection passes.
    ///
    /// # Errors
    /// What about it cannot be used.
    pub fn endpoint(&self, name: &str) -> Result<Endpoint, String> {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            Ok(IpAddr::V4(address)) => address.to_string(),
            Err(_) if is_host_name(&self.host) => self.host.clone(),
            Err(_) => return Err("`host` is neither a name nor an address".to_owned()),
        };
        let endpoint = EndpointConfig {
            url: format!("https://{host}:{}", self.port),
            secret_path: None,
            headers: BTreeMap::new(),
            bearer: None,
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            client: self.client.clone(),
            signing_secret: None,
        };
        target::configured(name, &endpoint)
    }

    /// The name that its certificate must have.
    ///
    /// # Errors
    /// No certificate can have it.
    pub fn name(&self) -> Result<ServerName<'static>, String> {
        ServerName::try_from(self.name.clone().unwrap_or_else(|| self.host.clone()))
            .map_err(|_| "`name` cannot be in a certificate".to_owned())
    }
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, server) in &self.servers {
            server
                .endpoint(name)
                .and_then(|_| server.name())
                .map_err(|problem| format!("tls.servers.{name}: {problem}"))?;
        }
        for (name, kept) in &self.files {
            if kept.shows == Shows::Client && kept.ca.is_none() {
                return Err(format!(
                    "tls.files.{name}: a client's certificate needs `ca`, the authorities that its server takes"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn of(text: &str) -> Result<(), String> {
        serde_yaml::from_str::<Config>(text)
            .map_err(|problem| problem.to_string())?
            .validate()
    }

    #[test]
    fn a_server_is_a_name_or_an_address_and_a_port() {
        for good in ["shop.example.com", "127.0.0.1", "fd00::1", "localhost"] {
            assert_eq!(of(&format!("servers: {{ shop: {{ host: '{good}' }} }}")), Ok(()));
        }
        for bad in ["", "shop/x", "shop:443", "me@shop", "a b", "https://shop"] {
            let problem = of(&format!("servers: {{ shop: {{ host: '{bad}' }} }}")).unwrap_err();
            assert_eq!(problem, "tls.servers.shop: `host` is neither a name nor an address");
        }
        let problem = of("servers: { shop: { host: 10.0.0.1, name: 'a b' } }").unwrap_err();
        assert!(problem.contains("`name`"), "{problem}");
        let problem = of("servers: { shop: { host: a.example, addresses: [near] } }").unwrap_err();
        assert!(problem.contains("near"), "{problem}");
        assert!(of("servers: { shop: { host: a.example, prot: 1 } }").is_err());
    }

    #[test]
    fn a_clients_certificate_is_judged_by_the_authorities_of_its_server() {
        let file = |more: &str| of(&format!("files: {{ us: {{ certificate: /c.pem{more} }} }}"));
        assert_eq!(file(""), Ok(()));
        assert_eq!(file(", shows: client, ca: /ca.pem"), Ok(()));
        assert!(file(", shows: client").unwrap_err().contains("needs `ca`"));
        assert!(file(", shows: both").is_err());
    }
}
