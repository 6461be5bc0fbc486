//! Who runs a run: one holder under one epoch. Each change of hands raises the epoch in the same durable step that records
//! it, and every entry is checked against the epoch in the step that would write it.

use super::machine::Machine;
use super::storage::LeaseRow;
use jiff::Timestamp;
use std::fmt;
use std::time::Duration;

/// How often a holder renews its lease while it runs.
pub const RENEWAL: Duration = Duration::from_secs(15);

/// After this long without renewal a holder that cannot be looked at counts as gone.
pub const SILENCE: Duration = Duration::from_secs(90);

/// A process, so that it can be told from every other one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Runner {
    /// The start of the machine and the name space of its process numbers; empty where that is not known.
    pub machine: String,
    pub process: u32,
    /// When the process started, in ticks since the machine's start.
    pub started: u64,
}

/// A run's lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub run: String,
    pub epoch: u64,
    /// Who holds or held it, for people.
    pub holder: String,
    /// Since when, by the holder's wall clock.
    pub since: Timestamp,
    pub state: State,
}

/// What is known about the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It gave the lease back.
    Released,
    /// It runs, or may run.
    Held,
    /// It certainly runs no more, with the reason in words.
    Gone(String),
    /// It has not renewed its lease for this long, and it cannot be looked at from here. It may still run; the epoch keeps it
    /// from recording anything once the lease has changed hands.
    Silent(Duration),
}

impl Lease {
    /// Whether the lease may be taken without asking anybody.
    pub fn is_free(&self) -> bool {
        !matches!(self.state, State::Held)
    }

    /// The lease of a stored row, judged from this machine.
    pub fn judge(row: LeaseRow, machine: &dyn Machine) -> Self {
        let state = if row.released {
            State::Released
        } else if row.restarted {
            State::Gone("the machine was started again since then".to_owned())
        } else {
            match machine.runs(&row.runner) {
                Some(true) => State::Held,
                Some(false) => State::Gone(format!("process {} is not there any more", row.runner.process)),
                None => match row.silent.map(Duration::from_nanos) {
                    Some(silent) if silent >= SILENCE => State::Silent(silent),
                    _ => State::Held,
                },
            }
        };
        Self {
            run: row.run,
            epoch: row.epoch,
            holder: row.holder,
            since: Timestamp::from_nanosecond(i128::from(row.since)).unwrap_or(Timestamp::MIN),
            state,
        }
    }
}

/// `owned by maria on db7, process 4711 since 2026-11-22T03:14:00Z`
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holder = if self.holder.is_empty() {
            "somebody who gave no name"
        } else {
            &self.holder
        };
        let since = self.since.strftime("%Y-%m-%dT%H:%M:%SZ");
        match &self.state {
            State::Held => write!(f, "owned by {holder} since {since}"),
            State::Released => write!(f, "given back by {holder}"),
            State::Gone(why) => write!(f, "left by {holder}, who had it since {since}: {why}"),
            State::Silent(silent) => write!(
                f,
                "owned by {holder} since {since}, who has not been heard of for {} s",
                silent.as_secs()
            ),
        }
    }
}
