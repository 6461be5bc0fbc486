//! A run that goes on after its process ended: the straight way is gone again, and whatever is recorded is taken from the
//! record. Nothing that was asked is asked again, nothing that was sent is sent again, nothing that was recorded is recorded
//! again. Where the record ends, the run is live.
//!
//! What only the straight way records must come in the recorded order; anything else means that the program or its world is
//! not what it was, and the run goes no further. What the background may record as well (tells, undos by timer) is found by
//! the id of its intent.

use crate::journal::Recorded;
use crate::journal::event::{Event, Fate, Shown};
use crate::value::{Reason, Unknown, Value, tagged};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The record of a run, and how far it has been gone again. Empty for a run that begins.
pub(super) struct Replay {
    script: Mutex<Script>,
    /// Everything of the straight way was gone again.
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Script {
    lines: Vec<Line>,
    /// The first line that was not come to yet.
    next: usize,
    /// Recorded by the straight way or by the background; by what they are about, oldest first.
    loose: BTreeMap<String, VecDeque<Event>>,
    sent: BTreeMap<String, Kept>,
    /// The change of the straight way that was intended last, while it has no result and was not come to: until then the run
    /// is not live, because nothing may be decided before its fate is known.
    open: Option<String>,
}

struct Line {
    scope: String,
    event: Event,
    at: Timestamp,
    /// Since the first entry; never goes back.
    elapsed: Duration,
    /// A read whose value was given out.
    claimed: bool,
}

/// A change that was intended, and what is known about it.
#[derive(Clone)]
pub(super) struct Kept {
    pub operation: String,
    pub arguments: Vec<(String, Shown)>,
    pub key: Option<String>,
    /// When the intent was recorded.
    pub at: Timestamp,
    pub result: Option<Event>,
    /// What was said about its fate and was not come to yet, oldest first.
    fates: VecDeque<Fate>,
}

/// What the record says about an event that the run comes to.
pub(super) enum Come {
    /// It is recorded.
    Recorded,
    New,
    /// Something else is recorded here; in words.
    Astray(String),
}

/// What is recorded of a read.
pub(super) enum Recall {
    Value(Value),
    /// It was read, and its value is not kept because it holds a secret: it is read again.
    Again,
}

/// How long a run had taken when its record ends, when it began, and the wall time of its last entry.
pub(super) struct Past {
    pub began: Timestamp,
    pub took: Duration,
    pub last: Timestamp,
    /// Who started it.
    pub requester: Option<String>,
}

/// Kinds that say something about the run's processes and its journal, not about its way.
const BESIDE: &[&str] = &[
    "resumed",
    "taken_over",
    "clock_step",
    "anchor_failed",
    "key_changed",
    "log_changed",
    "payloads_erased",
    "bundled",
    "alert_attached",
];

impl Replay {
    /// Nothing is recorded yet.
    pub fn none() -> Self {
        Self {
            script: Mutex::default(),
            over: watch::Sender::new(true),
        }
    }

    /// From the entries of a run, oldest first.
    ///
    /// # Errors
    /// Says why the run cannot be gone again: an entry whose payload was erased.
    pub fn of(recorded: &[Recorded]) -> Result<(Self, Option<Past>), String> {
        let mut script = Script::default();
        let began = recorded.first().map(|entry| entry.at);
        let mut elapsed = Duration::ZERO;
        for entry in recorded {
            // A clock that was set back must not make anything happen before what it follows.
            let since = began.map(|began| entry.at.duration_since(began));
            let since = since.and_then(|since| Duration::try_from(since).ok());
            elapsed = elapsed.max(since.unwrap_or_default());
            let Some(event) = entry.event.clone() else {
                if BESIDE.contains(&entry.kind.as_str()) {
                    continue;
                }
                return Err(format!(
                    "the payload of entry {} ({}) was erased",
                    entry.sequence, entry.kind
                ));
            };
            script.add(entry, event, elapsed);
        }
        script.open = script
            .sent
            .iter()
            .find(|(id, kept)| kept.result.is_none() && is_straight(id))
            .map(|(id, _)| id.clone());
        let over = script.over();
        let requester = recorded.iter().find_map(|entry| match &entry.event {
            Some(Event::RunStarted { operator, .. }) => Some(operator.clone()),
            _ => None,
        });
        let past = began.map(|began| Past {
            began,
            took: elapsed,
            requester,
            last: recorded.last().map_or(began, |entry| entry.at),
        });
        let replay = Self {
            script: Mutex::new(script),
            over: watch::Sender::new(over),
        };
        Ok((replay, past))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the straight way is still in what is recorded.
    pub fn under_way(&self) -> bool {
        !*self.over.borrow()
    }

    /// Resolves when the straight way has come to the end of the record.
    pub async fn ended(&self) {
        // The sender is this replay itself: it cannot be gone.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// The run's time at the last entry that was gone again; `None` when live.
    pub fn elapsed(&self) -> Option<Duration> {
        let script = self.script();
        if script.over() {
            return None;
        }
        let last = script.next.checked_sub(1).and_then(|last| script.lines.get(last));
        Some(last.map_or(Duration::ZERO, |line| line.elapsed))
    }

    /// The run's time at the entry that comes next; `None` behind the last one.
    pub fn next_elapsed(&self) -> Option<Duration> {
        let script = self.script();
        script.lines.get(script.next).map(|line| line.elapsed)
    }

    /// The wall time of the entry that comes next; `None` when live.
    pub fn now(&self) -> Option<Timestamp> {
        let script = self.script();
        if script.over() {
            return None;
        }
        script
            .lines
            .get(script.next)
            .or(script.lines.last())
            .map(|line| line.at)
    }

    /// What the straight way recorded next; `None` when live.
    pub fn peek(&self) -> Option<(String, Event)> {
        let script = self.script();
        let line = script.lines.get(script.next)?;
        Some((line.scope.clone(), line.event.clone()))
    }

    /// How far the straight way has come.
    pub fn position(&self) -> usize {
        self.script().next
    }

    /// The look that is recorded behind so many entries: its answer, and whether it was the last.
    pub fn look(&self, behind: usize, scope: &str, what: &str) -> Option<(crate::value::Answer, bool)> {
        let script = self.script();
        match script.lines.get(script.next + behind) {
            Some(Line {
                scope: known,
                event:
                    Event::Look {
                        what: seen,
                        answer,
                        last,
                        ..
                    },
                ..
            }) if known == scope && seen == what => Some((*answer, *last)),
            _ => None,
        }
    }

    /// The value that was read under this name, once.
    pub fn read(&self, scope: &str, name: &str, operation: &str) -> Option<Recall> {
        let mut script = self.script();
        let next = script.next;
        let line = script.lines[next..].iter_mut().find(|line| {
            !line.claimed
                && line.scope == scope
                && matches!(&line.event, Event::Read { name: known, operation: of, .. } if known == name && of == operation)
        })?;
        line.claimed = true;
        let Event::Read { value, .. } = &line.event else {
            return None;
        };
        Some(match recall(value) {
            Some(value) => Recall::Value(value),
            None => Recall::Again,
        })
    }

    /// The change that was intended under this id.
    pub fn sent(&self, id: &str) -> Option<Kept> {
        let mut script = self.script();
        if script.open.as_deref() == Some(id) {
            script.open = None;
            if script.over() {
                self.over.send_replace(true);
            }
        }
        script.sent.get(id).cloned()
    }

    /// The next that was said about the fate of a change, once.
    pub fn next_fate(&self, id: &str) -> Option<Fate> {
        self.script().sent.get_mut(id)?.fates.pop_front()
    }

    /// Changes without a result that the run did not come to, with their operation.
    pub fn left_open(&self, known: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let script = self.script();
        let open = script
            .sent
            .iter()
            .filter(|(id, kept)| kept.result.is_none() && !known(id));
        open.map(|(id, kept)| (id.clone(), kept.operation.clone())).collect()
    }

    /// What is recorded about something the background may have done, oldest first: `ticked undo roll_back`.
    pub fn loose(&self, key: &str) -> Option<Event> {
        self.script().loose.get(key)?.front().cloned()
    }

    /// Goes over an event.
    pub fn come(&self, scope: &str, event: &Event) -> Come {
        let mut script = self.script();
        if let Some(key) = loose_key(event) {
            let found = script.loose.get_mut(&key).and_then(VecDeque::pop_front);
            return if found.is_some() { Come::Recorded } else { Come::New };
        }
        if matches!(
            event,
            Event::Intent { .. } | Event::Result { .. } | Event::Settled { .. }
        ) {
            // Those of the record never come here: they are found by their id.
            return Come::New;
        }
        let next = script.next;
        let Some(line) = script.lines.get(next) else {
            return match &script.open {
                None => Come::New,
                Some(id) => Come::Astray(format!(
                    "the way of the run would now be \"{} {}\" where the change {id} was intended",
                    event.kind(),
                    identity(event)
                )),
            };
        };
        if line.scope != scope || line.event.kind() != event.kind() || identity(&line.event) != identity(event) {
            let found = format!("{} {}", event.kind(), identity(event));
            let recorded = format!("{} {}", line.event.kind(), identity(&line.event));
            return Come::Astray(format!(
                "the way of the run would now be \"{}\" where \"{}\" is recorded",
                found.trim_end(),
                recorded.trim_end()
            ));
        }
        script.next += 1;
        if script.over() {
            self.over.send_replace(true);
        }
        Come::Recorded
    }
}

impl Script {
    fn over(&self) -> bool {
        self.next == self.lines.len() && self.open.is_none()
    }

    fn add(&mut self, entry: &Recorded, event: Event, elapsed: Duration) {
        if BESIDE.contains(&event.kind()) {
            return;
        }
        match &event {
            Event::Intent {
                id,
                operation,
                arguments,
                key,
                ..
            } => {
                let kept = Kept {
                    operation: operation.clone(),
                    arguments: arguments.clone(),
                    key: key.clone(),
                    at: entry.at,
                    result: None,
                    fates: VecDeque::new(),
                };
                self.sent.insert(id.clone(), kept);
            }
            Event::Result { id, .. } => {
                let id = id.clone();
                if let Some(kept) = self.sent.get_mut(&id) {
                    kept.result = Some(event);
                }
            }
            Event::Settled { id, fate, .. } => {
                if let Some(kept) = self.sent.get_mut(id) {
                    kept.fates.push_back(*fate);
                }
            }
            other => match loose_key(other) {
                Some(key) => self.loose.entry(key).or_default().push_back(event),
                None => self.lines.push(Line {
                    scope: entry.scope.clone(),
                    event,
                    at: entry.at,
                    elapsed,
                    claimed: false,
                }),
            },
        }
    }
}

/// Whether a change is of the straight way: `RUN/3`, not `RUN/3/undo/0/0` or `RUN/page/sev1/0`.
fn is_straight(id: &str) -> bool {
    id.matches('/').count() == 1
}

/// By what something is found that the background may have recorded.
fn loose_key(event: &Event) -> Option<String> {
    match event {
        Event::Told {
            operation, arguments, ..
        } => Some(format!("told {operation} {arguments:?}")),
        Event::Undone { action, .. } => Some(format!("undone {action}")),
        Event::Ticked { name, .. } if name.starts_with("undo ") => Some(format!("ticked {name}")),
        _ => None,
    }
}

/// What makes an event the same one: what it is about and what was decided, not how it was worded.
fn identity(event: &Event) -> String {
    match event {
        Event::Read { name, operation, .. } => format!("{name} {operation}"),
        Event::Answered { name, answer, .. } => format!("{name}: {}", answer.word()),
        Event::Asked { name, .. } => name.clone(),
        Event::Severity { name, .. } => name.clone().unwrap_or_default(),
        Event::Goal { text, answer } => format!("{text}: {}", answer.word()),
        Event::BranchEntered { round, .. } => format!("round {round}"),
        Event::Cause { name, answer, .. } => format!("{name}: {}", answer.word()),
        Event::Arm { arm, .. } => arm.clone(),
        Event::Choice { about, .. } => about.clone(),
        Event::ActionStarted { name, .. } | Event::NotNeeded { name, .. } => name.clone(),
        Event::ApprovalRequested { action, digest, .. } => format!("{action} {digest}"),
        Event::NotCounted { action, .. } => action.clone(),
        Event::LockTakenOver { target, .. } => target.clone(),
        Event::Approved {
            action, digest, role, ..
        } => format!("{action} as {role} {digest}"),
        Event::NotApproved { action, .. } | Event::UndoScheduled { action, .. } => action.clone(),
        Event::Dropped { action, targets, .. } => format!("{action}: {}", targets.join(", ")),
        Event::Look { what, answer, .. } => format!("{what}: {}", answer.word()),
        Event::ActionEnded { name, outcome, .. } => {
            format!("{name}: {}", outcome.split(':').next().unwrap_or_default())
        }
        Event::Ticked { name, done, .. } => format!("{name}: {done}"),
        Event::Each { index, batch, .. } => format!("{index} in batch {batch}"),
        Event::Step { what, .. } => what.clone(),
        Event::ChildStarted { scope, .. } => scope.clone(),
        Event::ChildEnded { scope, outcome, .. } => format!("{scope}: {outcome}"),
        Event::Ended { outcome, .. } => outcome.clone(),
        _ => String::new(),
    }
}

/// A value that was kept; `None` when it holds a secret or was not kept.
pub(super) fn recall(shown: &Shown) -> Option<Value> {
    tagged::from_json(shown.exact()?).ok()
}

/// Why something was unknown, from the words it was recorded with.
pub(super) fn reason_of(words: &str) -> Unknown {
    let known = [
        Reason::Timeout,
        Reason::Denied,
        Reason::Throttled,
        Reason::Truncated,
        Reason::Unparsable,
        Reason::Unreachable,
        Reason::Unavailable,
        Reason::NotAnswered,
        Reason::Unsettled,
        Reason::Missing,
        Reason::Arithmetic,
        Reason::NotApplied,
        Reason::Internal,
    ];
    for reason in known {
        if let Some(rest) = words.strip_prefix(reason.words()) {
            let detail = rest.strip_prefix(": ").unwrap_or(rest).to_owned();
            return Unknown { reason, detail };
        }
    }
    Unknown {
        reason: Reason::Unavailable,
        detail: words.to_owned(),
    }
}
