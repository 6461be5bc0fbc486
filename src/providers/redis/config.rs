//! `redis:` in `starr.yaml`: the servers of an environment, by name.

use crate::providers::http::config::ClientConfig;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `redis:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub servers: BTreeMap<String, Server>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, server) in &self.servers {
            server
                .validate()
                .map_err(|problem| format!("redis `{name}`: {problem}"))?;
        }
        Ok(())
    }
}

/// One server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// A host name or address. Exactly one of `host` and `socket` is given.
    #[serde(default)]
    pub host: Option<String>,
    /// The server's socket, for a server on this machine.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    #[serde(default = "default_port")]
    pub port: u16,
    /// Encrypted and verified. True when absent; on loopback and sockets false.
    #[serde(default)]
    pub tls: Option<bool>,
    /// Certificates (PEM) of the only authorities that are trusted here; the system's when absent.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The number of the database in which keys are looked at.
    #[serde(default)]
    pub database: u16,
    /// The login for checks.
    #[serde(default)]
    pub read: Login,
    /// The login for changes. Without it nothing can be changed.
    #[serde(default)]
    pub change: Option<Login>,
    /// Longest time to connect, in seconds.
    #[serde(default = "default_connect_seconds")]
    pub connect_seconds: u16,
    /// Take the lock of this server before it is changed: two runs never change it at once.
    #[serde(default = "default_lock")]
    pub lock: bool,
    /// Settings that may be changed beyond the usual ones.
    #[serde(default)]
    pub settings: Vec<String>,
}

/// A user of the server's access list and how it shows who it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user `default` when absent.
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Certificate chain and key (PEM), for a server that asks for them.
    #[serde(default)]
    pub client: Option<ClientConfig>,
}

/// Which of the two logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Read,
    Change,
}

impl Role {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Change => "change",
        }
    }
}

/// Settings that decide who may come in, what is run or where files lie: never changed from here, whatever the configuration says.
const NEVER: &[&str] = &[
    "requirepass",
    "masterauth",
    "masteruser",
    "aclfile",
    "dir",
    "dbfilename",
    "appendfilename",
    "appenddirname",
    "logfile",
    "pidfile",
    "unixsocket",
    "loadmodule",
    "protected-mode",
    "bind",
    "port",
];

/// True for a setting that is never changed from here.
pub fn is_forbidden(setting: &str) -> bool {
    NEVER.contains(&setting) || setting.starts_with("tls-") || setting.starts_with("enable-")
}

fn default_port() -> u16 {
    6379
}

fn default_connect_seconds() -> u16 {
    5
}

fn default_lock() -> bool {
    true
}

impl Server {
    fn validate(&self) -> Result<(), String> {
        match (&self.host, &self.socket) {
            (None, None) => return Err("neither `host` nor `socket` is given".to_owned()),
            (Some(_), Some(_)) => return Err("`host` and `socket` are both given; one of them is meant".to_owned()),
            (Some(host), None) if host.contains("://") => {
                return Err("`host` is a URL; write its host as `host` and its port as `port`".to_owned());
            }
            (Some(host), None) if host.starts_with('/') => {
                return Err("`host` is a path; write it as `socket`".to_owned());
            }
            (Some(host), None) if host.trim().is_empty() => return Err("`host` is empty".to_owned()),
            (None, Some(socket)) if !socket.is_absolute() => return Err("`socket` is not an absolute path".to_owned()),
            (None, Some(_)) if self.tls == Some(true) => {
                return Err("a socket is not encrypted; leave `tls` out".to_owned());
            }
            _ => {}
        }
        if self.connect_seconds == 0 {
            return Err("`connect_seconds` is 0".to_owned());
        }
        for (word, login) in [("read", Some(&self.read)), ("change", self.change.as_ref())] {
            let Some(login) = login else { continue };
            if login
                .user
                .as_deref()
                .is_some_and(|user| user.is_empty() || user.contains(char::is_whitespace))
            {
                return Err(format!("`{word}.user` is empty or holds a blank"));
            }
            if login.user.is_some() && login.password.is_none() {
                return Err(format!("`{word}` has a `user` and no `password`"));
            }
            if login.client.is_some() && !self.tls() {
                return Err(format!("`{word}.client` is shown only over TLS; set `tls: true`"));
            }
        }
        // A password in the clear is only for a server on this machine.
        if !self.tls()
            && !self.is_local()
            && [Some(&self.read), self.change.as_ref()]
                .into_iter()
                .flatten()
                .any(|login| login.password.is_some())
        {
            return Err("a password would travel in the clear: leave `tls: false` out".to_owned());
        }
        if self.ca.is_some() && !self.tls() {
            return Err("`ca` is of use only with `tls: true`".to_owned());
        }
        for setting in &self.settings {
            if is_forbidden(&setting.to_ascii_lowercase()) {
                return Err(format!("`settings`: `{setting}` is never changed from here"));
            }
            if !super::settings::is_name(setting) {
                return Err(format!("`settings`: `{setting}` is not the name of a setting"));
            }
        }
        Ok(())
    }

    /// Whether the connection is encrypted and verified.
    pub fn tls(&self) -> bool {
        self.tls.unwrap_or(!self.is_local())
    }

    /// Whether the server is on this machine.
    pub fn is_local(&self) -> bool {
        match &self.host {
            None => true,
            Some(host) => {
                host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse::<IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            }
        }
    }

    /// Where the server is, for people.
    pub fn place(&self) -> String {
        match (&self.host, &self.socket) {
            (Some(host), _) => format!("{host}:{}", self.port),
            (None, Some(socket)) => socket.display().to_string(),
            (None, None) => String::new(),
        }
    }

    /// The login of this role.
    pub fn login(&self, role: Role) -> Option<&Login> {
        match role {
            Role::Read => Some(&self.read),
            Role::Change => self.change.as_ref(),
        }
    }

    /// Longest time to connect.
    pub fn connect_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.connect_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config =
            serde_yaml::from_str(&format!("servers: {{ cache: {text} }}")).map_err(|problem| problem.to_string())?;
        config.validate()?;
        Ok(config)
    }

    #[test]
    fn a_server_elsewhere_is_reached_over_tls() {
        let tls = |text: &str| read(text).unwrap().servers["cache"].tls();
        assert!(tls("{ host: cache.example.org }"));
        assert!(tls("{ host: 10.0.0.7 }"));
        assert!(!tls("{ host: 127.0.0.1 }"));
        assert!(!tls("{ host: '::1' }"));
        assert!(!tls("{ socket: /run/redis.sock }"));
        assert!(!tls("{ host: 10.0.0.7, tls: false }"));
        assert!(tls("{ host: localhost, tls: true }"));
    }

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| read(text).unwrap_err();
        assert!(refusal("{}").contains("redis `cache`: neither `host` nor `socket`"));
        assert!(refusal("{ host: h, socket: /s }").contains("both given"));
        assert!(refusal("{ host: 'redis://h' }").contains("is a URL"));
        assert!(refusal("{ socket: run/s }").contains("not an absolute path"));
        assert!(refusal("{ host: h, read: { user: r } }").contains("no `password`"));
        assert!(refusal("{ host: h, tls: false, read: { password: { env: P } } }").contains("in the clear"));
        assert!(refusal("{ host: 127.0.0.1, ca: /ca.pem }").contains("only with `tls: true`"));
        assert!(refusal("{ host: h, settings: [requirepass] }").contains("never changed"));
        assert!(refusal("{ host: h, settings: ['max*'] }").contains("not the name of a setting"));
        assert!(refusal("{ host: h, password: x }").contains("password"));
        // A secret itself is not taken, and not repeated.
        let secret = refusal("{ host: h, read: { password: swordfish } }");
        assert!(!secret.lines().next().unwrap().contains("swordfish"), "{secret}");
    }
}
