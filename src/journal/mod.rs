//! The record of what happened: entries, their bytes and hashes, the store they are kept in.
//!
//! One log per store. An entry's canonical bytes are stored and hashed as stored; its payload lies apart, committed by a
//! salted hash, so that it can be erased without breaking the log. Everything that is printed about a run is rebuilt from here.

pub mod anchor;
pub mod checkpoint;
pub mod chunk;
pub mod decisions;
pub mod entry;
pub mod event;
pub mod export;
pub mod judge;
mod keep;
pub mod key;
pub mod lease;
pub mod ledger;
mod location;
pub mod machine;
pub mod memory;
pub mod note;
mod plans;
pub mod policy;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod proof;
mod read;
mod run;
mod run_id;
pub mod seal;
mod sequencer;
mod shown;
pub mod sqlite;
pub mod storage;
mod store;
mod tables;
pub mod tree;
pub mod verify;
mod words;

use event::Part;
use futures::future::BoxFuture;

pub use event::Event;
pub use keep::Erased;
pub use lease::Lease;
pub use location::Location;
pub use memory::Memory;
pub use read::{Found, Reading, RunSummary};
pub use run::Run;
pub use sequencer::About;
pub use store::{Begun, RunHeader, Store, Taken};

/// Writes entries. The engine has one per run.
pub trait Journal: Send + Sync {
    /// The run's id, as people see it.
    fn run_id(&self) -> &str;

    /// Appends one entry and returns its sequence number in the log, once it is durable. `scope` is the path of called runbooks
    /// (`child`, `child.grandchild`), empty for the outermost. After an error nothing more may be sent: a failed write or sync
    /// of the journal is final for the run.
    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>>;

    /// Appends several entries of one scope in one durable step and returns the last one's sequence number: for reads and
    /// observations that came together.
    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>>;

    /// Appends entries that nothing outside rests on: they may become durable later than this returns, but in their order, and
    /// before any other call returns. A failure is the failure of the next call.
    fn append_soon<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.append_all(scope, events).await.map(|_| ()) })
    }

    /// Whether this process still has the run: asked directly before a change is sent. An error means that nothing may be sent.
    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>>;
}

/// An entry as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Number in the log, from 0, without gaps.
    pub sequence: u64,
    pub run: String,
    /// Number in the run, from 0, without gaps.
    pub run_sequence: u64,
    /// Path of called runbooks; empty for the outermost.
    pub scope: String,
    pub part: Part,
    /// The event's tag, such as `intent`.
    pub kind: String,
    /// Who did it: a person's name, or `starr`.
    pub actor: String,
    /// Wall time, for people; order rests on `sequence` alone.
    pub at: jiff::Timestamp,
    /// `None` when the payload was erased; the entry itself stays.
    pub event: Option<Event>,
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
