//! Where a journal is kept: a file, or a PostgreSQL database.

#[cfg(feature = "postgres")]
use super::postgres;
use super::{Error, Store};
use std::fmt;
use std::path::{Path, PathBuf};

/// The place of a journal, with all that is needed to open it.
#[derive(Clone, Debug)]
pub enum Location {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Server>),
}

impl Location {
    /// Opens the journal for recording; makes it when it is not there.
    pub async fn open(&self) -> Result<Store, Error> {
        match self {
            Location::File(path) => Store::open(path).await,
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => postgres::open(server).await,
        }
    }

    /// Opens the journal to take payloads away, which in a database only one role may.
    pub async fn open_to_erase(&self) -> Result<Store, Error> {
        match self {
            Location::File(path) => Store::open(path).await,
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => postgres::open_to_erase(server).await,
        }
    }

    /// Opens an existing journal to look at it.
    pub async fn read(&self) -> Result<Store, Error> {
        match self {
            Location::File(path) => Store::read(path).await,
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => postgres::read(server).await,
        }
    }

    /// Whether there is something to look at, as far as can be told without opening it.
    pub fn exists(&self) -> bool {
        self.file().is_none_or(Path::exists)
    }

    /// The file, when it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Location::Postgres(_) => None,
        }
    }

    /// The place for people; never holds a secret.
    pub fn display(&self) -> impl fmt::Display {
        match self {
            Location::File(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => server.place(),
        }
    }
}
