//! A journal that is kept in memory: for scenarios, dry runs and tests. Nothing of it is durable.

use super::event::Event;
use super::{Error, Journal, Recorded};
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::{Mutex, PoisonError};

/// Entries of one run, in memory.
pub struct Memory {
    run: String,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    entries: Mutex<Vec<Recorded>>,
}

impl Memory {
    /// An empty journal for the run of this id, stamped with the system's time.
    pub fn new(run: &str) -> Self {
        Self::with_time(run, Timestamp::now)
    }

    /// An empty journal whose entries get their time from `now`, for example a virtual clock.
    pub fn with_time(run: &str, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            run: run.to_owned(),
            now: Box::new(now),
            entries: Mutex::new(Vec::new()),
        }
    }

    /// Everything that was recorded so far, oldest first.
    pub fn entries(&self) -> Vec<Recorded> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that was recorded so far, oldest first; the journal is empty afterwards.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The events alone, with their scope.
    pub fn events(&self) -> Vec<(String, Event)> {
        self.entries()
            .into_iter()
            .filter_map(|entry| Some((entry.scope, entry.event?)))
            .collect()
    }

    fn push(&self, scope: &str, events: &[Event]) -> u64 {
        let at = (self.now)();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let sequence = entries.len() as u64;
            entries.push(Recorded {
                sequence,
                run: self.run.clone(),
                run_sequence: sequence,
                scope: scope.to_owned(),
                part: event.part(),
                kind: event.kind().to_owned(),
                actor: event.actor().to_owned(),
                at,
                event: Some(event.clone()),
            });
        }
        (entries.len() as u64).saturating_sub(1)
    }
}

impl Journal for Memory {
    fn run_id(&self) -> &str {
        &self.run
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move { Ok(self.push(scope, std::slice::from_ref(event))) })
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move { Ok(self.push(scope, events)) })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        // Nobody else can have it.
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::Part;

    #[tokio::test]
    async fn numbers_are_dense_and_the_scope_is_kept() {
        let journal = Memory::new("r1");
        let first = journal.append("", &Event::NotPresent).await;
        let second = journal
            .append_all(
                "child",
                &[
                    Event::BranchEntered {
                        question: "Why?".to_owned(),
                        round: 1,
                    },
                    Event::NotPresent,
                ],
            )
            .await;
        assert_eq!((first, second), (Ok(0), Ok(2)));
        let entries = journal.entries();
        assert_eq!(entries.iter().map(|e| e.sequence).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(entries[1].scope, "child");
        assert_eq!(entries[1].part, Part::Action);
        assert_eq!(journal.events().len(), 3);
    }
}
