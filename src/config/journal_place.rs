//! Where a journal is kept, as it is written: a file, or `postgres://user@host/database`, or a database in full.

use crate::journal::Location;
use std::path::PathBuf;

#[cfg(feature = "postgres")]
pub use postgres::Database;

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Database>),
}

#[cfg(not(feature = "postgres"))]
const NO_POSTGRES: &str = "this build of starr has no PostgreSQL (the feature `postgres`); name a file";

impl Place {
    /// From a text, as it stands in the configuration or behind `--journal`.
    pub fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", rest)) => {
                postgres::Database::from_url(rest).map(|database| Place::Postgres(Box::new(database)))
            }
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => Err(NO_POSTGRES.to_owned()),
            Some((scheme, _)) if !scheme.contains('/') => Err(format!(
                "a journal is a file or a database (`postgres://user@host/database`), not `{}://`",
                scheme.escape_debug()
            )),
            _ if text.is_empty() => Err("the journal's path is empty".to_owned()),
            _ => Ok(Place::File(text.into())),
        }
    }

    /// The place with its secrets, read now.
    pub fn location(&self) -> Result<Location, String> {
        match self {
            Place::File(path) => Ok(Location::File(path.clone())),
            #[cfg(feature = "postgres")]
            Place::Postgres(database) => Ok(Location::Postgres(Box::new(database.server()?))),
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use crate::journal::postgres::{Login, Server, Tls};
    use crate::providers::postgres::config as reached;
    use crate::secrets::SecretSource;
    use serde::Deserialize;
    use std::path::PathBuf;

    /// The database of a journal.
    #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Database {
        #[serde(default)]
        pub host: Option<String>,
        #[serde(default)]
        pub socket: Option<PathBuf>,
        #[serde(default = "reached::default_port")]
        pub port: u16,
        pub database: String,
        #[serde(default = "default_schema")]
        pub schema: String,
        /// `verify-full` when absent; on loopback and sockets `disable`.
        #[serde(default)]
        pub tls: Option<reached::Tls>,
        #[serde(default)]
        pub root_certificate: Option<PathBuf>,
        pub user: String,
        #[serde(default)]
        pub password: Option<SecretSource>,
        /// The role that makes the tables.
        #[serde(default)]
        pub owner: Option<Role>,
        /// The role that may have payloads taken away.
        #[serde(default)]
        pub eraser: Option<Role>,
        #[serde(default)]
        pub allow_unsynced: bool,
    }

    /// A role with its own password.
    #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Role {
        pub user: String,
        #[serde(default)]
        pub password: Option<SecretSource>,
    }

    fn default_schema() -> String {
        "starr".to_owned()
    }

    const FULL: &str =
        "write it in full: `journal: { postgres: { host: …, database: …, user: …, password: { env: … } } }`";

    impl Database {
        /// From what stands behind `postgres://`. A password in it would stand in process lists and histories.
        pub fn from_url(rest: &str) -> Result<Self, String> {
            let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
            let Some((user, place)) = authority.rsplit_once('@') else {
                return Err("the journal's address names no user: postgres://user@host/database".to_owned());
            };
            if user.contains(':') {
                return Err(format!("a password does not belong into the journal's address; {FULL}"));
            }
            if database.contains(['?', '#', '%']) || user.contains('%') || place.contains('%') {
                return Err(format!(
                    "the journal's address has more than user, host, port and database; {FULL}"
                ));
            }
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (
                    host,
                    port.parse()
                        .map_err(|_| "the port in the journal's address is not a number".to_owned())?,
                ),
                _ => (place, reached::default_port()),
            };
            let database = Self {
                host: Some(host.to_owned()),
                socket: None,
                port,
                database: database.to_owned(),
                schema: default_schema(),
                tls: None,
                root_certificate: None,
                user: user.to_owned(),
                password: None,
                owner: None,
                eraser: None,
                allow_unsynced: false,
            };
            database.validate()?;
            Ok(database)
        }

        /// What is wrong with the entry, in words for the person who wrote it.
        pub fn validate(&self) -> Result<(), String> {
            let way = reached::validate_way(self.host.as_deref(), self.socket.as_deref());
            let wrong = match way {
                Err(wrong) => wrong,
                Ok(()) if self.database.is_empty() => "no database is named",
                Ok(()) if self.user.is_empty() => "no user is named",
                Ok(()) if self.eraser.as_ref().is_some_and(|eraser| eraser.user == self.user) => {
                    "`eraser` is another role than the one that records"
                }
                Ok(()) => return Ok(()),
            };
            Err(format!("the journal's database: {wrong}"))
        }

        /// Everything that is needed to connect.
        pub fn server(&self) -> Result<Server, String> {
            let login = |user: &str, password: &Option<SecretSource>| {
                let password = password.as_ref().map(SecretSource::read).transpose();
                Ok::<Login, String>(Login {
                    user: user.to_owned(),
                    password: password.map_err(|why| format!("the journal's password: {why}"))?,
                })
            };
            let role = |role: &Option<Role>| {
                let role = role.as_ref().map(|role| login(&role.user, &role.password));
                role.transpose()
            };
            Ok(Server {
                host: self.host.clone(),
                socket: self.socket.clone(),
                port: self.port,
                database: self.database.clone(),
                schema: self.schema.clone(),
                tls: match reached::tls_to(self.host.as_deref(), self.tls) {
                    reached::Tls::Disable => Tls::Disable,
                    reached::Tls::Require => Tls::Require,
                    reached::Tls::VerifyCa => Tls::VerifyCa,
                    reached::Tls::VerifyFull => Tls::VerifyFull,
                },
                root_certificate: self.root_certificate.clone(),
                login: login(&self.user, &self.password)?,
                owner: role(&self.owner)?,
                eraser: role(&self.eraser)?,
                allow_unsynced: self.allow_unsynced,
            })
        }
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::Place;

    fn place(text: &str) -> Result<String, String> {
        Place::from_text(text)?
            .location()
            .map(|location| location.display().to_string())
    }

    #[test]
    fn a_file_or_a_database() {
        assert_eq!(place("/var/lib/starr/journal.db").unwrap(), "/var/lib/starr/journal.db");
        assert_eq!(
            place("postgres://starr@db.example.org/ops").unwrap(),
            "postgres://db.example.org:5432/ops (starr)"
        );
        assert_eq!(
            place("postgresql://starr@[::1]:5433/ops").unwrap(),
            "postgres://[::1]:5433/ops (starr)"
        );
        for (wrong, words) in [
            ("postgres://starr:swordfish@db/ops", "a password does not belong"),
            ("postgres://db/ops", "names no user"),
            ("postgres://starr@db", "no database is named"),
            ("postgres://starr@db/ops?sslmode=disable", "has more than"),
            ("postgres://starr@db:x/ops", "not a number"),
            ("mysql://starr@db/ops", "not `mysql://`"),
            ("", "empty"),
        ] {
            let refusal = place(wrong).unwrap_err();
            assert!(
                refusal.contains(words) && !refusal.contains("swordfish"),
                "{wrong}: {refusal}"
            );
        }
    }
}
