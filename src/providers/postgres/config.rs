//! `postgres:` in `starr.yaml`: the databases of an environment, by name.

use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `postgres:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub databases: BTreeMap<String, Database>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, database) in &self.databases {
            database
                .validate()
                .map_err(|problem| format!("postgres `{name}`: {problem}"))?;
        }
        Ok(())
    }
}

/// One database. Nothing is taken from `PG…` variables or from a password file of the user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// A host name or address. Exactly one of `host` and `socket` is given.
    #[serde(default)]
    pub host: Option<String>,
    /// The folder of the server's socket, for a server on this machine.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    #[serde(default = "default_port")]
    pub port: u16,
    /// The name of the database on the server.
    pub database: String,
    /// `verify-full` when absent; on loopback and sockets `disable`.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Certificates (PEM) that are trusted in addition to the public ones.
    #[serde(default)]
    pub root_certificate: Option<PathBuf>,
    /// The login for checks: a role that cannot write.
    pub read: Login,
    /// The login for changes. Without it nothing can be changed.
    #[serde(default)]
    pub change: Option<Login>,
    /// Connections kept at most, for checks and for changes each.
    #[serde(default = "default_connections")]
    pub connections: u8,
    /// Longest time to connect, in seconds.
    #[serde(default = "default_connect_seconds")]
    pub connect_seconds: u16,
    /// Accept a login that could do anything at all. A superuser's check can run programs on the server.
    #[serde(default)]
    pub allow_superuser: bool,
    /// Take the lock of this database before it is changed: two runs never change it at once. It costs one connection.
    #[serde(default = "default_lock")]
    pub lock: bool,
    /// Sessions of other databases on the same server may be ended too.
    #[serde(default)]
    pub across_databases: bool,
    /// How a change is previewed, where a preview is granted.
    #[serde(default)]
    pub preview: Preview,
}

/// How a change is previewed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Preview {
    /// The server says how it would run the statement; the statement is not run.
    #[default]
    Explain,
    /// The statement is run in a transaction that is rolled back: triggers run, locks are held, sequences move on.
    RolledBack,
}

/// A role and how it shows who it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub user: String,
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// PEM file; together with `client_key`.
    #[serde(default)]
    pub client_certificate: Option<PathBuf>,
    #[serde(default)]
    pub client_key: Option<PathBuf>,
}

/// How the connection is protected, in PostgreSQL's own words. Modes that fall back silently do not exist here.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    Disable,
    /// Encrypted; anybody may be at the other end.
    Require,
    VerifyCa,
    VerifyFull,
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

fn default_lock() -> bool {
    true
}

/// PostgreSQL's own port.
pub fn default_port() -> u16 {
    5432
}

/// What is wrong with the way to a server: exactly one of host and socket.
pub fn validate_way(host: Option<&str>, socket: Option<&Path>) -> Result<(), &'static str> {
    match (host, socket) {
        (None, None) => Err("neither `host` nor `socket` is given"),
        (Some(_), Some(_)) => Err("`host` and `socket` are both given; one of them is meant"),
        (Some(host), None) if host.starts_with('/') => Err("`host` is a path; write it as `socket`"),
        (Some(host), None) if host.trim().is_empty() => Err("`host` is empty"),
        (None, Some(socket)) if !socket.is_absolute() => Err("`socket` is not an absolute path"),
        _ => Ok(()),
    }
}

/// Whether the server is on this machine.
pub fn is_local(host: Option<&str>) -> bool {
    host.is_none_or(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

/// The protection in force: what is written, and without a word the strictest where the server is not on this machine.
pub fn tls_to(host: Option<&str>, written: Option<Tls>) -> Tls {
    written.unwrap_or(if is_local(host) { Tls::Disable } else { Tls::VerifyFull })
}

fn default_connections() -> u8 {
    2
}

fn default_connect_seconds() -> u16 {
    5
}

impl Database {
    /// What is wrong with the entry, in words for the person who wrote it.
    pub fn validate(&self) -> Result<(), String> {
        validate_way(self.host.as_deref(), self.socket.as_deref())?;
        if self.database.is_empty() {
            return Err("`database` is empty".to_owned());
        }
        if self.connections == 0 || self.connections > 10 {
            return Err("`connections` is not between 1 and 10".to_owned());
        }
        if self.connect_seconds == 0 {
            return Err("`connect_seconds` is 0".to_owned());
        }
        for (word, login) in [("read", Some(&self.read)), ("change", self.change.as_ref())] {
            let Some(login) = login else { continue };
            if login.user.is_empty() {
                return Err(format!("`{word}.user` is empty"));
            }
            if login.client_certificate.is_some() != login.client_key.is_some() {
                return Err(format!("`{word}` needs `client_certificate` and `client_key` together"));
            }
        }
        Ok(())
    }

    /// The protection in force.
    pub fn tls(&self) -> Tls {
        tls_to(self.host.as_deref(), self.tls)
    }

    /// Whether the server is on this machine.
    pub fn is_local(&self) -> bool {
        is_local(self.host.as_deref())
    }

    /// Where the server is, for people.
    pub fn place(&self) -> String {
        match (&self.host, &self.socket) {
            (Some(host), _) => format!("{host}:{}", self.port),
            (None, Some(socket)) => format!("{}/.s.PGSQL.{}", socket.display(), self.port),
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
    use super::{Database, Tls};

    fn read(text: &str) -> Result<Database, String> {
        let database: Database = serde_yaml::from_str(text).map_err(|problem| problem.to_string())?;
        database.validate()?;
        Ok(database)
    }

    #[test]
    fn the_protection_is_strict_unless_the_server_is_on_this_machine() {
        let tls = |place: &str| {
            read(&format!("{{ {place}, database: orders, read: {{ user: r }} }}"))
                .unwrap()
                .tls()
        };
        assert_eq!(tls("host: db.example.org"), Tls::VerifyFull);
        assert_eq!(tls("host: 10.0.0.7"), Tls::VerifyFull);
        assert_eq!(tls("host: 127.0.0.1"), Tls::Disable);
        assert_eq!(tls("host: '::1'"), Tls::Disable);
        assert_eq!(tls("socket: /run/postgresql"), Tls::Disable);
        assert_eq!(tls("host: 127.0.0.1, tls: verify-ca"), Tls::VerifyCa);
    }

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| read(text).unwrap_err();
        assert!(refusal("{ database: o, read: { user: r } }").contains("neither `host` nor `socket`"));
        assert!(refusal("{ host: h, socket: /s, database: o, read: { user: r } }").contains("both given"));
        assert!(refusal("{ host: /run, database: o, read: { user: r } }").contains("`socket`"));
        assert!(refusal("{ host: h, database: o, read: { user: r, client_key: /k } }").contains("together"));
        assert!(refusal("{ host: h, database: o, read: { user: r }, connections: 0 }").contains("between 1 and 10"));
        assert!(refusal("{ host: h, database: o, read: { user: r }, tls: prefer }").contains("prefer"));
        // A secret itself is not taken, and not repeated.
        let secret = refusal("{ host: h, database: o, read: { user: r, password: swordfish } }");
        assert!(!secret.lines().next().unwrap().contains("swordfish"), "{secret}");
    }
}
