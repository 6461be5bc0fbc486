//! Requests for a decision that wait, and the decisions people take on them from another terminal.
//!
//! This is working state beside the log, like the leases: what was decided becomes part of the record when the run that
//! waits takes it up and appends it. Of several decisions on one request exactly one is kept.

use super::Error;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// A request that waits, as the run wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Drawn by the run; a request that is asked again has another one.
    pub id: String,
    pub run: String,
    /// What is shown and decided: JSON of `engine::world::ApprovalRequest`, or of `cli::inquiry::Inquiry`.
    pub body: String,
    pub since: Timestamp,
    /// Until when a decision is of use; the run's own clock decides in the end.
    pub until: Timestamp,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The login.
    pub person: String,
    /// Of a question: whether the answer is yes.
    pub approve: bool,
    /// Why not; empty for an approval. Of a question: what was said, as JSON of `engine::world::Observed`.
    pub because: String,
    /// A signature, or the answer of somebody who has no connection; empty when the login alone speaks.
    pub proof: String,
}

/// What came of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It is the one that counts.
    Recorded,
    /// Somebody was quicker.
    Already(Decided),
    /// The run no longer waits for it.
    NotWaiting,
}

/// Where requests and decisions are kept; every store offers it.
pub trait Decisions: Send + Sync {
    /// Shows a request to other terminals.
    fn ask<'a>(&'a self, request: &'a Waiting) -> BoxFuture<'a, Result<(), Error>>;

    /// The requests that wait now, oldest first.
    fn waiting<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Waiting>, Error>>;

    /// Records a decision, if it is the first and the request still waits.
    fn decide<'a>(&'a self, request: &'a str, decided: &'a Decided) -> BoxFuture<'a, Result<Recording, Error>>;

    /// The decision on a request, if there is one.
    fn decision<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<Option<Decided>, Error>>;

    /// The run no longer waits: for this request, or for any when `request` is `None`.
    fn settle<'a>(&'a self, run: &'a str, request: Option<&'a str>) -> BoxFuture<'a, Result<(), Error>>;

    /// Whether the run has taken up a decision or given up waiting.
    fn closed<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<bool, Error>>;
}
