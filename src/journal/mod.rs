//! The record of what happened: entries, their bytes and hashes, the store they are kept in.
//!
//! One log per store. An entry's canonical bytes are stored and hashed as stored; its payload lies apart, committed by a
//! salted hash, so that it can be erased without breaking the log. Everything that is printed about a run is rebuilt from here.

pub mod event;

use futures::future::BoxFuture;

pub use event::Event;

/// Writes entries. The engine has one per run.
pub trait Journal: Send + Sync {
    /// The run's id, as people see it.
    fn run_id(&self) -> &str;

    /// Appends one entry and returns its sequence number in the log, once it is durable. After an error nothing more may be
    /// sent: a failed write or sync of the journal is final for the run.
    fn append<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>>;

    /// Appends several entries in one durable step: for reads and observations that came together.
    fn append_all<'a>(&'a self, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>>;
}

/// The journal cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What was tried, what went wrong, what to do.
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
