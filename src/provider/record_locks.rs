//! Recording what came of taking locks in targets, and taking them again from a recording.

use super::lock::{Held, NotTaken, Other};
use super::record::{Tape, Until, nanoseconds};
use crate::value::{Unknown, Value, tagged};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The kind of the note.
pub(super) const KIND: &str = "lock";

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub provider: String,
    pub target: String,
    pub reply: Reply,
    /// Nanoseconds since the recording began.
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// The provider has no locks in its targets.
    NoLocks,
    Taken,
    HeldBy {
        shown: String,
        since: String,
        token: String,
    },
    /// A [`tagged`] unknown value.
    Unclear(Json),
}

/// What a provider said to the wish for a lock.
pub(super) type Taken = Result<Option<Box<dyn Held>>, NotTaken>;

/// Writes down what came of an attempt.
pub(super) fn note(tape: &Tape, provider: &str, target: &str, taken: &Taken) {
    let reply = match taken {
        Ok(None) => Reply::NoLocks,
        Ok(Some(_)) => Reply::Taken,
        Err(NotTaken::HeldBy(other)) => Reply::HeldBy {
            shown: other.shown.clone(),
            since: other.since.clone(),
            token: other.token.clone(),
        },
        Err(NotTaken::Unclear(unknown)) => Reply::Unclear(tagged::to_json(&Value::Unknown(Arc::new(unknown.clone())))),
    };
    let attempt = Attempt {
        provider: provider.to_owned(),
        target: target.to_owned(),
        reply,
        to: nanoseconds(tape.elapsed()),
    };
    let content = serde_json::to_value(attempt).expect("an attempt is text and numbers");
    tape.note(KIND, content);
}

/// Recorded attempts that were not made again yet.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<BTreeMap<(String, String), VecDeque<Attempt>>>);

impl Locks {
    /// Takes a line of the recording.
    pub fn push(&self, content: &Json) -> Result<(), String> {
        let attempt: Attempt = serde_json::from_value(content.clone()).map_err(|problem| problem.to_string())?;
        if let Reply::Unclear(unknown) = &attempt.reply {
            unclear(unknown)?;
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((attempt.provider.clone(), attempt.target.clone()))
            .or_default()
            .push_back(attempt);
        Ok(())
    }

    /// The next attempt on this target, at its time. One that was not recorded finds a provider without locks.
    pub async fn take(&self, provider: &str, target: &str, until: Option<&Until>) -> Taken {
        let next = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&(provider.to_owned(), target.to_owned()))
            .and_then(VecDeque::pop_front);
        let Some(attempt) = next else { return Ok(None) };
        if let Some(until) = until {
            until(Duration::from_nanos(attempt.to)).await;
        }
        match attempt.reply {
            Reply::NoLocks => Ok(None),
            Reply::Taken => Ok(Some(Box::new(Again))),
            Reply::HeldBy { shown, since, token } => Err(NotTaken::HeldBy(Other { shown, since, token })),
            Reply::Unclear(unknown) => match unclear(&unknown) {
                Ok(unknown) => Err(NotTaken::Unclear(unknown)),
                Err(_) => Ok(None),
            },
        }
    }
}

fn unclear(json: &Json) -> Result<Unknown, String> {
    match tagged::from_json(json)? {
        Value::Unknown(unknown) => Ok((*unknown).clone()),
        _ => Err("a lock that is unclear has a reason".to_owned()),
    }
}

/// A lock of a replay: nobody else is there to take it.
struct Again;

impl Held for Again {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        async { Ok(()) }.boxed()
    }
}
