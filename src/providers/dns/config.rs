//! `dns:` in `starr.yaml`: name servers by name.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// `dns:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub servers: BTreeMap<String, Server>,
}

/// One name server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its address, never a name: who asks for names does not need one first.
    pub address: String,
    #[serde(default = "port")]
    pub port: u16,
}

fn port() -> u16 {
    53
}

impl Server {
    /// Where it is.
    ///
    /// # Errors
    /// It is not an address.
    pub fn place(&self) -> Result<SocketAddr, String> {
        self.address
            .parse::<IpAddr>()
            .map(|address| SocketAddr::new(address, self.port))
            .map_err(|_| "`address` is not an IP address".to_owned())
    }
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, server) in &self.servers {
            server.place().map_err(|problem| format!("dns `{name}`: {problem}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_server_is_an_address() {
        let of = |text: &str| {
            serde_yaml::from_str::<Config>(&format!("servers: {{ inside: {{ address: '{text}' }} }}"))
                .unwrap()
                .validate()
        };
        assert_eq!(of("10.0.0.53"), Ok(()));
        assert_eq!(of("fd00::53"), Ok(()));
        assert_eq!(
            of("ns.example.org").unwrap_err(),
            "dns `inside`: `address` is not an IP address"
        );
    }
}
