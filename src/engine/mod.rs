//! The interpreter. It can do only what its [`world::World`] lets it do.
//!
//! One run is one future: the straight way of the file, and beside it a background that sends what is due (escalation rows,
//! undos by timer). Nothing is spawned, so nothing outlives the run. Everything that happens is an event, durable before the
//! next thing begins; an intent is durable before its change is sent.

pub mod clock;
pub mod consent;
pub mod limits;
pub mod random;
pub mod world;

mod action;
mod answers;
mod approval;
mod branch;
mod call;
mod child;
mod conceal;
pub(crate) mod digest;
mod each;
pub mod emergency;
pub(crate) mod escalation;
mod finish;
mod frame;
mod locks;
mod lookup;
mod manual;
mod people;
mod questions;
mod recheck;
mod remembered;
mod replay;
mod resume;
mod send;
mod settle;
mod severity;
mod state;
mod steps;
mod timebox;
mod undo;
mod verify;

use crate::journal;
use crate::program::{Program, RunbookId};
use crate::value::Value;
use frame::Frame;
pub use resume::{Resumed, resume};
pub use settle::settle;
use state::Run;
use std::sync::Arc;
use world::World;

/// How a run ended: the first of these that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A change may or may not have happened.
    InDoubt,
    /// Not allowed to start, or ended by a `not approved` line.
    Refused,
    Resolved,
    Escalated,
    /// With the reason.
    Stopped(String),
    /// Every symptom was a definite no.
    NotPresent,
}

impl Outcome {
    /// The outcome in one or two words, as scenarios write it.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::InDoubt => "in doubt",
            Outcome::Refused => "refused",
            Outcome::Resolved => "resolved",
            Outcome::Escalated => "escalated",
            Outcome::Stopped(_) => "stopped",
            Outcome::NotPresent => "not present",
        }
    }

    /// The program's exit code: 0 resolved or not present, 1 escalated or stopped, 3 refused, 4 in doubt.
    pub fn exit_code(&self) -> u8 {
        match self {
            Outcome::Resolved | Outcome::NotPresent => 0,
            Outcome::Escalated | Outcome::Stopped(_) => 1,
            Outcome::Refused => 3,
            Outcome::InDoubt => 4,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub outcome: Outcome,
    /// The severity at the end, when there was one.
    pub severity: Option<String>,
    /// Changes that are still in place, one line each.
    pub in_place: Vec<String>,
}

/// Runs a runbook to its end.
///
/// `arguments` are the values of its parameters by name; what is not given has its default, and a parameter without either is
/// unknown. An error means that the journal could not be written: nothing was sent after that.
pub async fn run(
    program: Arc<Program>,
    runbook: RunbookId,
    arguments: Vec<(String, Value)>,
    world: World,
) -> Result<Ended, journal::Error> {
    match resume::go(&Run::new(program, runbook, world), runbook, arguments).await {
        Ok(ended) => Ok(ended),
        Err(Halt::Journal(error)) => Err(error),
        // Without a record there is nothing to differ from and nothing in doubt.
        Err(Halt::Astray(why)) => Err(journal::Error { message: why }),
        Err(Halt::Doubt(doubt)) => Err(journal::Error { message: doubt.order }),
    }
}

/// What ends the way of a runbook.
#[derive(Clone, Debug)]
enum Finish {
    /// The last step was done.
    Reached,
    /// The rest of the row is sent, and the run ends.
    Escalated(String),
    Stopped(String),
    NotPresent,
    /// Ctrl-C.
    Interrupted,
    /// A change could not be taken back: ends the run one severity up.
    UndoFailed(String),
    /// The timebox is over, or what is left of it is too short; with the reason.
    Timebox(String),
}

/// Leaving the straight way: carried by `?` through every block to the end of the runbook, or out of the run.
#[derive(Clone, Debug)]
enum Leave {
    End(Finish),
    Halt(Halt),
}

/// What stops the process of a run at once, without an end of the run.
#[derive(Clone, Debug)]
enum Halt {
    Journal(journal::Error),
    /// The run that goes on would not go the way that is recorded; with what differs.
    Astray(String),
    /// Nobody said what came of a change that was in doubt.
    Doubt(Box<world::InDoubt>),
}

type Way<T> = Result<T, Leave>;

/// Where the run goes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// On behind it.
    Next,
    /// `next step`: on behind the action; in an `each` to the next element.
    NextStep,
    /// `next cause`: the branch is asked again.
    NextCause,
}
