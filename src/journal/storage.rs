//! What a database must be able to do to keep a journal: hold the log for one writer at a time, take one durable step, and
//! show one snapshot. SQLite and PostgreSQL implement it with the same bytes and the same tree; a simulator can too.

use super::chunk::Chunk;
use super::decisions::Decisions;
use super::entry::Entry;
use super::lease::Runner;
use super::tree::{Digest, Frontier};
use super::verify::{CheckpointRow, Head, Row, RunRow};
use super::{Error, words};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The tables of one store.
pub trait Storage: Send + Sync {
    /// Which store this is, for people: a path, or a server and database. Never holds a secret.
    fn place(&self) -> String;

    /// A connection that can write. Makes or upgrades the tables when they are not current.
    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>>;

    /// A connection that can only read.
    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>>;

    /// Requests for decisions, on a connection of their own.
    fn decisions(&self) -> BoxFuture<'_, Result<Arc<dyn Decisions>, Error>> {
        let error = words::message(
            &self.place(),
            "show a request for approval",
            "this kind of store carries no requests to other terminals",
            "Approve where the run waits, or answer its challenge.",
        );
        Box::pin(std::future::ready(Err(error)))
    }

    /// Copies everything into a new file, also while others write.
    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<(), Error>>;
}

/// One write after the other. The sequencing writer of a process is its only user.
pub trait Writer: Send {
    /// The log's random name.
    fn origin(&self) -> [u8; 16];

    /// Begins a step: takes the log for this writer alone, and reads where it and these runs stand. A run that does not exist
    /// is not in the answer.
    fn begin<'a>(&'a mut self, runs: &'a [String]) -> BoxFuture<'a, Result<Place, Error>>;

    /// The note of the checkpoint of this size, inside the step.
    fn checkpoint(&mut self, size: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>>;

    /// Leases of the runs that are about the same, inside the step.
    fn about<'a>(&'a mut self, subject: &'a str) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        let error = Error {
            message: format!("This kind of store does not know which runs are about {subject}."),
        };
        Box::pin(std::future::ready(Err(error)))
    }

    /// Ends the step: all of it, durable when this returns. After an error nothing is known about it.
    fn commit(&mut self, change: Change) -> BoxFuture<'_, Result<(), Error>>;

    /// Ends the step: nothing of it.
    fn rollback(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Between two steps: leaves nothing of what was erased where the database keeps it for a while. `false`: it cannot now.
    fn scrub(&mut self) -> BoxFuture<'_, Result<bool, Error>>;

    /// Closes the connection in good order.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

/// Where the log stands, and the runs that were asked for.
#[derive(Clone, Debug)]
pub struct Place {
    pub frontier: Frontier,
    /// Leaf hash of the last entry; zeros when there is none.
    pub previous: Digest,
    pub runs: BTreeMap<String, RunStanding>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunStanding {
    pub entries: u64,
    /// The epoch of its lease.
    pub epoch: u64,
}

/// One durable step.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Runs that begin with this step, before anything else of it.
    pub begun: Vec<String>,
    /// Runs that begin, and what they are about.
    pub subjects: Vec<(String, String)>,
    /// New entries, in the order of their numbers.
    pub rows: Vec<NewRow>,
    /// The head behind the last of them; `None` when there are no new entries.
    pub head: Option<(Frontier, Digest)>,
    /// Payloads that are taken away, by run; those of the entries that say so themselves stay.
    pub erased: Vec<(String, Vec<u64>)>,
    /// Checkpoints that are kept; one of the same size is written over.
    pub checkpoints: Vec<CheckpointRow>,
    /// What the list of runs says of the runs that have new entries.
    pub runs: Vec<RunChange>,
    /// Leases that begin, or change hands.
    pub leases: Vec<LeaseChange>,
    /// Leases that are renewed, where the epoch is still this one.
    pub renewed: Vec<(String, u64)>,
    /// Leases that end, where the epoch is still this one.
    pub released: Vec<(String, u64)>,
}

/// A new entry with its payload.
#[derive(Clone, Debug)]
pub struct NewRow {
    pub entry: Entry,
    /// The entry's canonical bytes, and their leaf hash.
    pub bytes: Vec<u8>,
    pub leaf: Digest,
    pub salt: [u8; 32],
    pub body: Vec<u8>,
}

/// New values in the list of runs. `None` leaves what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunChange {
    pub id: String,
    pub entries: u64,
    pub started: Option<u64>,
    pub severity: Option<u64>,
    pub ended: Option<u64>,
}

/// A lease under a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseChange {
    pub run: String,
    pub epoch: u64,
    pub holder: String,
    pub runner: Runner,
    /// Wall time of its beginning, nanoseconds since 1970.
    pub since: i64,
}

/// A lease as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    pub run: String,
    pub epoch: u64,
    pub holder: String,
    pub runner: Runner,
    pub since: i64,
    pub released: bool,
    /// The store lies on one machine, and that was started again since the lease was renewed.
    pub restarted: bool,
    /// Nanoseconds since it was last renewed, by the clock that the store trusts: the server's, or the time since the start of
    /// this machine. `None` where there is no such clock in common.
    pub silent: Option<u64>,
}

/// Something that does not fit, with the entry it is about.
pub type Misfit = (Option<i64>, String);

/// Which entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them, in the order of the log.
    All,
    /// From this number on, in the order of the log.
    From(u64),
    /// Those of a run, in its order.
    Run(&'a str),
    /// The first of a run.
    FirstOf(&'a str),
    /// The last of a run.
    LastOf(&'a str),
    /// The one of this number.
    One(u64),
}

/// Reads one snapshot after the other, also while others write.
pub trait Reader: Send {
    /// Begins a snapshot; everything until [`Reader::end`] is read from it. One that was left open is ended first.
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Ends the snapshot.
    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// The head row.
    fn head(&mut self) -> BoxFuture<'_, Result<Head, Error>>;

    /// Entries with their payloads.
    fn entries<'a>(&'a mut self, which: Which<'a>) -> BoxStream<'a, Result<Row, Error>>;

    /// How many entries there are, when they are numbered from 0 without a gap and this reader hands them out in chunks.
    fn extent(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// So many entries from this number on, at once; only after [`Reader::extent`] has said how many there are.
    fn chunk(&mut self, first: u64, count: u64) -> BoxFuture<'_, Result<Chunk, Error>> {
        let error = Error {
            message: format!("{count} entries from {first} on cannot be read at once here."),
        };
        Box::pin(std::future::ready(Err(error)))
    }

    /// Checkpoints, the smallest first.
    fn checkpoints(&mut self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>>;

    /// Leaf hashes of the entries from this number on, before that one.
    fn leaves(&mut self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>>;

    /// The newest runs that have entries, newest first; all runs for `None`, also those without entries.
    fn runs(&mut self, newest: Option<u32>) -> BoxFuture<'_, Result<Vec<RunRow>, Error>>;

    /// The run of this id.
    fn run<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, Result<Option<RunRow>, Error>>;

    /// Ids of runs with entries that begin so, newest first, at most five.
    fn ids<'a>(&'a mut self, beginning: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>>;

    /// Leases: of this run, or all.
    fn leases<'a>(&'a mut self, run: Option<&'a str>) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>>;

    /// What the database's own check and the list of tables say that does not fit, with the entry it is about.
    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, Error>>;
}

/// A number as databases keep it.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a log has fewer than 2^63 entries")
}

/// The head as stored, as the place where the next entry goes; an error when it is damaged.
pub fn standing(place: &str, size: i64, frontier: &[u8], leaf: &[u8]) -> Result<Place, Error> {
    let read = || {
        Some(Place {
            frontier: Frontier::from_bytes(u64::try_from(size).ok()?, frontier)?,
            previous: leaf.try_into().ok()?,
            runs: BTreeMap::new(),
        })
    };
    read().ok_or_else(|| {
        words::message(
            place,
            "record an entry",
            "the head of the log is damaged",
            "Keep a copy of the journal as it is, run `starr journal verify`, and begin a new one.",
        )
    })
}
