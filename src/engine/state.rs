//! What the whole run shares: its world, severity, changes in place, and how it is brought to an end from outside.

use super::answers::Slots;
use super::escalation::Escalating;
use super::remembered::Remembered;
use super::replay::{Come, Past, Recall, Replay};
use super::undo::Timer;
use super::world::World;
use super::{Finish, Halt, Leave, Way, limits};
use crate::journal::{Event, event::Person};
use crate::program::{BindingId, Program, RunField, Runbook, RunbookId};
use crate::provider::gate::Mode;
use crate::source::Span;
use crate::value::Value;
use futures::FutureExt;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// One run, called runbooks included. Borrowed by everything that takes part in it.
pub(super) struct Run {
    pub program: Arc<Program>,
    /// The runbook that was started.
    pub runbook: RunbookId,
    pub world: World,
    /// What is recorded of it already.
    pub replay: Arc<Replay>,
    /// How long the run was under way when this process came to it.
    before: Duration,
    /// When this process came to it, on the monotonic clock.
    origin: Duration,
    /// The wall clock shows an earlier time than the record ends with: how long nobody was there is not known, so nothing that
    /// was given for a while before that counts any more.
    pub unsure_of_time: bool,
    /// SHA-256 over the texts of the program: the plan that approvals are bound to.
    pub plan: String,
    /// Who started the run, whoever has it now.
    pub requester: String,
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
    pub halt: Option<Halt>,
    pub undo_failed: Option<String>,
    pub severity: Option<String>,
    pub escalating: Escalating,
    /// The last answer of each question in words, in the order they were first answered.
    pub evidence: Vec<(String, String)>,
    /// Questions of the outermost runbook that were answered since by a look that is not recorded, and when: their answers are in
    /// `slots`, their words are put together when somebody wants them.
    pub left: Vec<(BindingId, Timestamp)>,
    /// Changes that may or may not have happened.
    pub in_doubt: Vec<(String, String)>,
    /// Changes that happened, by intent, one line each.
    pub in_place: Vec<(String, String)>,
    pub timers: Vec<Timer>,
    /// Whether the operator allowed a heavy operation.
    pub heavy: BTreeMap<String, bool>,
    /// The outermost runbook's values, for the escalation's texts.
    pub slots: Slots,
    pub steps: u64,
    /// Orders that a dry run came to.
    pub planned: Vec<String>,
    /// Changes that were intended before the run went on and that it came to since.
    pub settled: BTreeSet<String>,
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
        Self::going_on(program, runbook, world, Replay::none(), None)
    }

    /// A run of which this much is recorded.
    pub fn going_on(
        program: Arc<Program>,
        runbook: RunbookId,
        mut world: World,
        replay: Replay,
        past: Option<Past>,
    ) -> Self {
        let replay = Arc::new(replay);
        let origin = world.clock.elapsed();
        let now = world.clock.now();
        let unsure_of_time = past
            .as_ref()
            .is_some_and(|past| past.last.duration_since(now) > limits::CLOCK_SLACK);
        let started_by = past.as_ref().and_then(|past| past.requester.clone());
        let requester = started_by.unwrap_or_else(|| world.environment.operator.name.clone());
        let before = past.map_or(Duration::ZERO, |past| {
            // The time between the processes counts too. Wall time alone is never trusted to make it shorter.
            let since = Duration::try_from(now.duration_since(past.began));
            past.took.max(since.unwrap_or_default())
        });
        if replay.under_way() {
            world.people = Arc::new(Remembered {
                replay: replay.clone(),
                behind: world.people,
            });
        }
        let plan = super::digest::of(&program.digests);
        Self {
            program,
            runbook,
            world,
            replay,
            before,
            origin,
            unsure_of_time,
            plan,
            requester,
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

    /// Time since the run began, also while no process was there for it; never goes back.
    pub fn elapsed(&self) -> Duration {
        self.replay.elapsed().unwrap_or_else(|| {
            let here = self.world.clock.elapsed().saturating_sub(self.origin);
            self.before.saturating_add(here)
        })
    }

    /// Wall time, as expressions see it.
    pub fn now(&self) -> jiff::Timestamp {
        self.replay.now().unwrap_or_else(|| self.world.clock.now())
    }

    /// Nobody is asked anything. What people said before counts all the same.
    pub fn unattended(&self) -> bool {
        self.world.environment.unattended && !self.replay.under_way()
    }

    /// The value that was read under this name before the run went on.
    pub fn recall(&self, scope: &str, name: &str, operation: &str) -> Option<Value> {
        match self.replay.read(scope, name, operation)? {
            Recall::Value(value) => Some(value),
            Recall::Again => None,
        }
    }

    /// The id of the next change of the straight way.
    pub fn next_intent(&self) -> String {
        let mut shared = self.shared();
        shared.intents += 1;
        format!("{}/{}", self.world.journal.run_id(), shared.intents)
    }

    /// What a request for approval is drawn with: what it was drawn with before, when it is in the record.
    pub fn nonce(&self, action: &str) -> String {
        match self.replay.peek() {
            Some((
                _,
                Event::ApprovalRequested {
                    action: known, nonce, ..
                },
            )) if known == action => nonce,
            _ => self.random(),
        }
    }

    /// Ends this process of the run at once.
    pub fn halt(&self, halt: Halt) -> Leave {
        self.shared().halt.get_or_insert(halt.clone());
        self.fatal.send_replace(true);
        Leave::Halt(halt)
    }

    /// Records one event, then shows it; durably, unless the run could make it again ([`Event::can_be_made_again`]). After the first
    /// error every call fails: nothing more is sent.
    pub async fn record(&self, scope: &str, event: Event) -> Way<()> {
        self.record_all(scope, vec![event]).await
    }

    /// Records events that came together in one durable step.
    pub async fn record_all(&self, scope: &str, events: Vec<Event>) -> Way<()> {
        let events = self.unrecorded(scope, events)?;
        if events.is_empty() {
            return Ok(());
        }
        if let Some(halt) = self.shared().halt.clone() {
            return Err(Leave::Halt(halt));
        }
        let journal = &self.world.journal;
        let written = match events.as_slice() {
            events if events.iter().all(Event::can_be_made_again) => journal.append_soon(scope, events).await,
            [event] => journal.append(scope, event).await.map(|_| ()),
            events => journal.append_all(scope, events).await.map(|_| ()),
        };
        if let Err(error) = written {
            return Err(self.halt(Halt::Journal(error)));
        }
        for event in &events {
            self.world.screen.event(scope, event);
        }
        Ok(())
    }

    /// What of this is not recorded yet.
    fn unrecorded(&self, scope: &str, events: Vec<Event>) -> Way<Vec<Event>> {
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            match self.replay.come(scope, &event) {
                Come::Recorded => {}
                Come::New => new.push(event),
                Come::Astray(why) => return Err(self.halt(Halt::Astray(why))),
            }
        }
        Ok(new)
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
        if let Some(halt) = &shared.halt {
            return Some(Leave::Halt(halt.clone()));
        }
        if let Some(because) = &shared.undo_failed {
            return Some(Leave::End(Finish::UndoFailed(because.clone())));
        }
        drop(shared);
        if self.replay.under_way() {
            // It ends where it ended before, and not anywhere else.
            return match self.replay.peek()?.1 {
                Event::Interrupted { because, .. } if because == super::finish::BY_OPERATOR => {
                    Some(Leave::End(Finish::Interrupted))
                }
                Event::Severity { because, .. } | Event::Escalated { because, .. }
                    if because.contains(super::undo::NOT_TAKEN_BACK) =>
                {
                    Some(Leave::End(Finish::UndoFailed(because)))
                }
                _ => None,
            };
        }
        self.interrupted().then_some(Leave::End(Finish::Interrupted))
    }

    /// Counts a step; a run that takes too many is stopped.
    pub fn count_step(&self, next: Span) -> Way<()> {
        let mut shared = self.shared();
        shared.steps += 1;
        if shared.steps > limits::STEPS {
            return Err(Leave::End(Finish::Escalated(format!(
                "the run took more than {} steps; the next one stands in line {}",
                limits::STEPS,
                self.program.sources.line_column(next).0
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
        // What was waited for before is not waited for again.
        if self.replay.under_way() {
            return Waited::Elapsed;
        }
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
            RunField::Operator => Value::text(self.requester.as_str()),
            RunField::Severity => match &self.shared().severity {
                Some(name) => Value::text(name.as_str()),
                None => Value::unknown(
                    crate::value::Reason::NotAnswered,
                    "the severity has not been determined yet",
                ),
            },
            RunField::Evidence => {
                self.catch_up();
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

    /// Takes what was asked in this scope out of `run.evidence`.
    pub fn forget_evidence(&self, scope: &str) {
        let of = |key: &str| key.strip_prefix(scope).is_some_and(|rest| rest.starts_with('.'));
        self.shared().evidence.retain(|(key, _)| !of(key));
    }

    /// Who started the run, by the one name that the configuration knows.
    pub fn starter(&self) -> String {
        self.canonical(&self.requester)
    }

    /// Who runs this process.
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
