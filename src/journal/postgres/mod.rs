//! The store for teams: tables in a schema of a PostgreSQL database, with the same bytes and the same tree as in a file. One
//! writer holds the head row at a time; the role that records can add entries and not change them.

mod decisions;
mod error;
mod reader;
mod schema;
mod session;
mod writer;

use super::decisions::Decisions;
use super::machine::{Machine, System};
use super::storage::{Reader, Storage, Writer};
use super::{Error, Store, words};
use crate::secrets::SecretText;
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the connection is protected, in PostgreSQL's own words. Modes that fall back silently do not exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    Disable,
    /// Encrypted; anybody may be at the other end.
    Require,
    VerifyCa,
    VerifyFull,
}

/// A role and its password.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: Option<SecretText>,
}

/// Which server and database, and as whom. Nothing is taken from `PG…` variables or from a password file of the user.
#[derive(Clone, Debug)]
pub struct Server {
    /// A host name or address.
    pub host: Option<String>,
    /// The folder of the server's socket, instead of a host.
    pub socket: Option<PathBuf>,
    pub port: u16,
    pub database: String,
    /// Where the tables are: lower-case letters, digits and `_`.
    pub schema: String,
    pub tls: Tls,
    /// Certificates (PEM) that are trusted in addition to the public ones.
    pub root_certificate: Option<PathBuf>,
    /// The role that records: it may add entries, and change or take away none.
    pub login: Login,
    /// The role that owns the tables and makes them. Without it the recording role makes them itself, and could give itself back
    /// what it has no right to.
    pub owner: Option<Login>,
    /// The role that may have payloads taken away. Without it nobody may.
    pub eraser: Option<Login>,
    /// Accept a server that acknowledges what is not on its disk.
    pub allow_unsynced: bool,
}

impl Server {
    /// Which journal this is, for people.
    pub fn place(&self) -> String {
        let host = match (&self.host, &self.socket) {
            (Some(host), _) => host.clone(),
            (None, Some(socket)) => socket.display().to_string(),
            (None, None) => String::new(),
        };
        format!("postgres://{host}:{}/{} ({})", self.port, self.database, self.schema)
    }
}

/// Opens the journal for recording; makes or upgrades its tables when they are not current.
pub async fn open(server: &Server) -> Result<Store, Error> {
    open_on(server, Arc::new(System)).await
}

/// Opens the journal for recording as the role that may have payloads taken away.
///
/// # Errors
/// As [`open`], and when there is no such role.
pub async fn open_to_erase(server: &Server) -> Result<Store, Error> {
    if server.eraser.is_none() {
        return Err(words::message(
            &server.place(),
            "erase payloads",
            "the recording role can take nothing away, and no other role is named",
            "Name a role for it as `eraser` in the journal's configuration (docs/journal.md).",
        ));
    }
    let storage = Postgres {
        server: server.clone(),
        machine: Arc::new(System),
        role: Role::Eraser,
    };
    Store::over(Arc::new(storage), Arc::new(System)).await
}

/// The same with time and randomness from this machine.
pub async fn open_on(server: &Server, machine: Arc<dyn Machine>) -> Result<Store, Error> {
    let storage = Postgres {
        server: server.clone(),
        machine: Arc::clone(&machine),
        role: Role::Recorder,
    };
    Store::over(Arc::new(storage), machine).await
}

/// Opens an existing journal to look at it; nothing can be written through it.
pub async fn read(server: &Server) -> Result<Store, Error> {
    let storage = Postgres {
        server: server.clone(),
        machine: Arc::new(System),
        role: Role::Recorder,
    };
    Store::look(Arc::new(storage)).await
}

/// The storage in a database.
struct Postgres {
    server: Server,
    machine: Arc<dyn Machine>,
    role: Role,
}

/// As whom entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Recorder,
    /// Records, and may have payloads taken away.
    Eraser,
}

impl Storage for Postgres {
    fn place(&self) -> String {
        self.server.place()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        Box::pin(async move {
            let writer = writer::Connected::open(&self.server, self.role, &*self.machine).await?;
            Ok(Box::new(writer) as Box<dyn Writer>)
        })
    }

    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        Box::pin(async move {
            let reader = reader::Connected::open(&self.server).await?;
            Ok(Box::new(reader) as Box<dyn Reader>)
        })
    }

    fn decisions(&self) -> BoxFuture<'_, Result<Arc<dyn Decisions>, Error>> {
        Box::pin(async move {
            // The writer makes the tables where they are not there yet.
            let desk = decisions::Desk {
                place: self.server.place(),
                connection: writer::Connected::open(&self.server, self.role, &*self.machine)
                    .await?
                    .into_connection(),
            };
            Ok(Arc::new(desk) as Arc<dyn Decisions>)
        })
    }

    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            Err(words::message(
                &self.server.place(),
                &format!("copy it to {}", to.display()),
                "a database is not copied into one file",
                "Back up the database with PostgreSQL's own tools, or write the log into a file with an export.",
            ))
        })
    }
}
