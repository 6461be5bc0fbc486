//! What the whole run shares: its world, severity, changes in place, and how it is brought to an end from outside.

use super::escalation::Escalating;
use super::undo::Timer;
use super::world::World;
use super::{Finish, Leave, Way, limits};
use crate::journal::{self, Event, event::Person};
use crate::program::{Program, RunField, Runbook, RunbookId};
use crate::provider::gate::Mode;
use crate::value::Value;
use futures::FutureExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// One run, called runbooks included. Borrowed by everything that takes part in it.
pub(super) struct Run {
    pub program: Arc<Program>,
    /// The runbook that was started.
    pub runbook: RunbookId,
    pub world: World,
    /// When it began, on the monotonic clock.
    pub start: Duration,
    /// SHA-256 over the texts of the program: the plan that approvals are bound to.
    pub plan: String,
    shared: Mutex<Shared>,
    /// Set when something beside the straight way ends the run: the journal, or an undo by timer that failed.
    fatal: watch::Sender<bool>,
    /// Something became due or was taken off: the background looks again.
    pub wake: Notify,
    pub stopped: watch::Sender<bool>,
    /// Held while the background sends something.
    pub sending: futures::lock::Mutex<()>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub journal_error: Option<journal::Error>,
    pub undo_failed: Option<String>,
    pub severity: Option<String>,
    pub escalating: Escalating,
    /// The last answer of each question in words, in the order they were first answered.
    pub evidence: Vec<(String, String)>,
    /// Changes that may or may not have happened.
    pub in_doubt: Vec<(String, String)>,
    /// Changes that happened, by intent, one line each.
    pub in_place: Vec<(String, String)>,
    pub timers: Vec<Timer>,
    /// Whether the operator allowed a heavy operation.
    pub heavy: BTreeMap<String, bool>,
    /// The outermost runbook's values, for the escalation's texts.
    pub values: Vec<Option<Value>>,
    pub steps: u64,
    /// Intents so far.
    pub intents: u64,
    /// Until when an emergency override is in force, on the monotonic clock.
    pub emergency_until: Option<Duration>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Elapsed,
    /// Interrupted, or the run is being ended.
    Cut,
}

impl Run {
    pub fn new(program: Arc<Program>, runbook: RunbookId, world: World) -> Self {
        let start = world.clock.elapsed();
        let plan = super::digest::of(&program.digests);
        Self {
            program,
            runbook,
            world,
            start,
            plan,
            shared: Mutex::default(),
            fatal: watch::Sender::new(false),
            wake: Notify::new(),
            stopped: watch::Sender::new(false),
            sending: futures::lock::Mutex::new(()),
        }
    }

    /// The shared state. Never held across an await.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runbook that was started.
    pub fn outermost_book(&self) -> Option<&Runbook> {
        self.program.runbooks.get(self.runbook.0)
    }

    pub fn dry(&self) -> bool {
        self.world.environment.dry_run || self.world.gate.mode() == Mode::DryRun
    }

    pub fn elapsed(&self) -> Duration {
        self.world.clock.elapsed()
    }

    /// Records one event durably, then shows it. After the first error every call fails: nothing more is sent.
    pub async fn record(&self, scope: &str, event: Event) -> Way<()> {
        self.record_all(scope, vec![event]).await
    }

    /// Records events that came together in one durable step.
    pub async fn record_all(&self, scope: &str, events: Vec<Event>) -> Way<()> {
        if events.is_empty() {
            return Ok(());
        }
        if let Some(error) = self.shared().journal_error.clone() {
            return Err(Leave::Journal(error));
        }
        let written = match events.as_slice() {
            [event] => self.world.journal.append(scope, event).await,
            events => self.world.journal.append_all(scope, events).await,
        };
        if let Err(error) = written {
            self.shared().journal_error.get_or_insert(error.clone());
            self.fatal.send_replace(true);
            return Err(Leave::Journal(error));
        }
        for event in &events {
            self.world.screen.event(scope, event);
        }
        Ok(())
    }

    /// Ends the run because a change could not be taken back.
    pub fn undo_failed(&self, because: String) {
        self.shared().undo_failed.get_or_insert(because);
        self.fatal.send_replace(true);
    }

    pub fn interrupted(&self) -> bool {
        *self.world.interrupt.borrow()
    }

    /// What ends the run from outside, if anything does.
    pub fn ending(&self) -> Option<Leave> {
        let shared = self.shared();
        if let Some(error) = &shared.journal_error {
            return Some(Leave::Journal(error.clone()));
        }
        if let Some(because) = &shared.undo_failed {
            return Some(Leave::End(Finish::UndoFailed(because.clone())));
        }
        drop(shared);
        self.interrupted().then_some(Leave::End(Finish::Interrupted))
    }

    /// Counts a step; a run that takes too many is stopped.
    pub fn count_step(&self) -> Way<()> {
        let mut shared = self.shared();
        shared.steps += 1;
        if shared.steps > limits::STEPS {
            return Err(Leave::End(Finish::Escalated(format!(
                "the run took more than {} steps",
                limits::STEPS
            ))));
        }
        Ok(())
    }

    /// Gives the background its turn, once.
    pub async fn let_background_begin(&self) {
        let mut turn = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut turn, true) {
                std::task::Poll::Ready(())
            } else {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }
        })
        .await;
    }

    /// Resolves when the run is to end from outside.
    pub async fn cut(&self) {
        let mut interrupt = self.world.interrupt.clone();
        let mut fatal = self.fatal.subscribe();
        let interrupted = async {
            if interrupt.wait_for(|set| *set).await.is_err() {
                // Nobody is left who could interrupt.
                std::future::pending::<()>().await;
            }
        };
        let failed = async {
            if fatal.wait_for(|set| *set).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        futures::future::select(interrupted.boxed(), failed.boxed()).await;
    }

    /// Waits, unless the run is to end.
    pub async fn pause(&self, duration: Duration) -> Waited {
        match futures::future::select(self.cut().boxed(), self.world.clock.sleep(duration)).await {
            futures::future::Either::Left(_) => Waited::Cut,
            futures::future::Either::Right(_) => Waited::Elapsed,
        }
    }

    /// Waits for something that can be given up: a reply of a person. `None` after the deadline or when the run is to end.
    pub async fn patiently<T: Send>(
        &self,
        what: &str,
        deadline: Duration,
        work: impl Future<Output = T> + Send,
    ) -> Option<T> {
        self.world.screen.waiting(what, Some(deadline));
        let result = match futures::future::select(work.boxed(), self.pause(deadline).boxed()).await {
            futures::future::Either::Left((value, _)) => Some(value),
            futures::future::Either::Right(_) => None,
        };
        self.world.screen.done_waiting();
        result
    }

    /// The value of a field of the built-in record `run`.
    pub fn field(&self, field: RunField) -> Value {
        match field {
            RunField::Id => Value::text(self.world.journal.run_id()),
            RunField::Environment => Value::text(self.world.environment.name.as_str()),
            RunField::Operator => Value::text(self.world.environment.operator.name.as_str()),
            RunField::Severity => match &self.shared().severity {
                Some(name) => Value::text(name.as_str()),
                None => Value::unknown(
                    crate::value::Reason::NotAnswered,
                    "the severity has not been determined yet",
                ),
            },
            RunField::Evidence => {
                let lines: Vec<String> = self.shared().evidence.iter().map(|(_, line)| line.clone()).collect();
                Value::text(lines.join("\n"))
            }
        }
    }

    /// Keeps the last answer of a question for `run.evidence`.
    pub fn keep_evidence(&self, name: String, line: String) {
        let mut shared = self.shared();
        if let Some(entry) = shared.evidence.iter_mut().find(|(known, _)| *known == name) {
            entry.1 = line;
        } else if shared.evidence.len() < limits::EVIDENCE_LINES {
            shared.evidence.push((name, line));
        }
    }

    pub fn operator(&self) -> Person {
        self.world.environment.operator.clone()
    }

    /// Random bytes as hexadecimal digits, for ids and keys.
    pub fn random(&self) -> String {
        let mut bytes = [0_u8; 16];
        self.world.randomness.fill(&mut bytes);
        hex::encode(bytes)
    }
}
