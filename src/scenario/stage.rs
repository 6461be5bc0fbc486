//! What the scripted providers, people and journal of one run share: the scenario, the time, and how far things have come.

use super::fill::{self, Filler, Filling};
use super::suite::Prepared;
use super::write;
use crate::engine::clock::Virtual;
use crate::engine::world::Clock;
use crate::journal::event::{Event, Purpose, ResultKind};
use crate::program::scenario::{Given, ReplyKind, Said, SaidKind, Scenario, Until};
use crate::provider::{Call, Effect};
use crate::value::{Answer, Series, Type, Value};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Who starts the run of a scenario.
pub const OPERATOR: &str = "operator";

/// What is wrong with one provider call in a run that looks for faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wrong {
    Fails,
    TimesOut,
    Denied,
    /// A reply without content.
    Empty,
    /// A reply that was cut.
    Truncated,
}

/// A fault that is put into a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// From this call on (of the run, counted from 0) every equal one.
    Call { call: usize, wrong: Wrong },
    /// The journal cannot be written from this entry on.
    Journal { entry: usize },
}

/// How one run differs from the scenario as it is written.
#[derive(Clone, Debug)]
pub struct Variant {
    pub filling: Filling,
    pub fault: Option<Fault>,
    /// What is not given is silence, not a mistake of the scenario.
    pub lenient: bool,
    /// Where another run has left the world.
    pub resume: Option<Held>,
}

/// How far the world has come.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// By line of `given` and arguments: how many values were passed, and how often the present one was served.
    positions: Vec<Position>,
    /// Actions that are done, with the time.
    done: BTreeMap<String, Timestamp>,
    /// By line about people: how many answers were passed, and how often the present one was given.
    answers: BTreeMap<usize, (usize, usize)>,
    /// Since the beginning of the first run.
    elapsed: Duration,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            filling: Filling::First,
            fault: None,
            lenient: false,
            resume: None,
        }
    }
}

/// Which block a line that is missing belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Block {
    Given,
    Operator,
}

impl Block {
    /// The block's word.
    pub fn word(self) -> &'static str {
        match self {
            Block::Given => "given",
            Block::Operator => "operator",
        }
    }
}

/// A line that would have had to be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    pub block: Block,
    pub line: String,
}

/// A provider call of a run.
#[derive(Clone, Debug)]
pub struct Called {
    pub call: Call,
    /// Changes that were done before it.
    pub changes: usize,
    /// Entries of the journal before it.
    pub entries: usize,
}

/// The state of one run.
pub struct Stage {
    pub prepared: Arc<Prepared>,
    pub index: usize,
    pub variant: Variant,
    pub clock: Arc<Virtual>,
    pub stop: watch::Sender<bool>,
    /// Somebody else is to go on with the run.
    handed: watch::Sender<Option<Handed>>,
    state: Mutex<State>,
}

/// A run that is given to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    pub to: String,
    pub because: String,
}

#[derive(Default)]
struct State {
    /// Who has the run now.
    operator: Option<String>,
    held: Held,
    /// Orders of the present attempt of an action that are done.
    progress: BTreeMap<String, usize>,
    /// Actions that have begun and not ended.
    open: BTreeSet<String>,
    /// Intent to action.
    intents: BTreeMap<String, String>,
    scopes: Vec<String>,
    missing: BTreeSet<Missing>,
    used: BTreeSet<usize>,
    calls: Vec<Called>,
    changes: usize,
    entries: usize,
    left_out: BTreeSet<(usize, String)>,
    /// Changes sent after the journal had failed.
    sent_after_journal: usize,
    journal_failed: bool,
    /// The call that the fault stands for.
    broken: Option<Call>,
}

#[derive(Clone, Debug)]
struct Position {
    line: usize,
    args: Vec<(Arc<str>, Value)>,
    at: usize,
    served: usize,
    /// The value of `at` with what was left out of it, as it was given last.
    filled: Option<Value>,
    /// When the present value began to stand; of the first: before everything.
    since: Vec<Timestamp>,
}

/// What a scripted call answers.
pub enum Answered {
    Value(Value),
    NotHad(crate::value::Reason),
    Fails(String),
    Done {
        after: Duration,
        result: Option<Value>,
    },
    /// Nobody said what.
    NotGiven,
}

impl Stage {
    pub fn new(prepared: Arc<Prepared>, index: usize, variant: Variant, stop: watch::Sender<bool>) -> Self {
        let mut held = variant.resume.clone().unwrap_or_default();
        for position in &mut held.positions {
            // What is left out may be another choice in this run.
            position.filled = None;
        }
        let begun = jiff::SignedDuration::try_from(held.elapsed).unwrap_or_default();
        let clock = prepared.program.scenarios[index].clock;
        let clock = clock.checked_add(begun).unwrap_or(clock);
        Self {
            prepared,
            index,
            variant,
            clock: Arc::new(Virtual::new(clock)),
            stop,
            handed: watch::Sender::new(None),
            state: Mutex::new(State {
                held,
                ..State::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn scenario(&self) -> &Scenario {
        &self.prepared.program.scenarios[self.index]
    }

    /// Notes a line that is not there, and ends the run.
    pub fn missing(&self, block: Block, line: String) {
        if self.variant.lenient {
            return;
        }
        self.lock().missing.insert(Missing { block, line });
        self.stop.send_replace(true);
    }

    /// The name with that of the called runbook before it.
    pub fn scoped(&self, name: &str) -> String {
        match self.lock().scopes.last() {
            Some(scope) => format!("{scope}.{name}"),
            None => name.to_owned(),
        }
    }

    /// The first line about this name for which `wanted` gives something; it counts as used.
    pub fn said<T>(&self, name: &str, wanted: impl Fn(&Said) -> Option<T>) -> Option<T> {
        let found = self
            .scenario()
            .people
            .iter()
            .enumerate()
            .filter(|(_, said)| said.name == name)
            .find_map(|(index, said)| Some((index, wanted(said)?)));
        let (index, value) = found?;
        self.lock().used.insert(index);
        Some(value)
    }

    /// What a person answers now to the question of this name, where a line says it. "I do not know" is also what is left open.
    pub fn answered(&self, name: &str) -> Option<Answer> {
        let scenario = self.scenario();
        let found = scenario
            .people
            .iter()
            .enumerate()
            .find(|(_, said)| said.name == name && matches!(said.kind, SaidKind::Answer(_)));
        let Some((index, said)) = found else {
            return self.said(name, |said| {
                (said.kind == SaidKind::Silent { undo: false }).then_some(Answer::Unknown)
            });
        };
        let SaidKind::Answer(answers) = &said.kind else {
            return None;
        };
        let mut state = self.lock();
        state.used.insert(index);
        let elapsed = self.elapsed(&state.held);
        let resumed = self.variant.resume.is_some();
        let Held { done, answers: at, .. } = &mut state.held;
        let (at, given) = at.entry(index).or_default();
        while let Some((_, Some(until))) = answers.get(*at) {
            let passed = match until {
                Until::Action(action) => done.contains_key(action),
                Until::Elapsed(span) => elapsed >= *span,
                Until::Once => *given > 0 && !resumed,
            };
            if !passed {
                break;
            }
            *at += 1;
            *given = 0;
        }
        *given += 1;
        answers.get(*at).map(|(answer, _)| *answer)
    }

    /// As [`Self::said`], but a line counts only once.
    pub fn said_once<T>(&self, name: &str, wanted: impl Fn(&Said) -> Option<T>) -> Option<T> {
        let used = self.lock().used.clone();
        let found = self
            .scenario()
            .people
            .iter()
            .enumerate()
            .filter(|(index, said)| said.name == name && !used.contains(index))
            .find_map(|(index, said)| Some((index, wanted(said)?)));
        let (index, value) = found?;
        self.lock().used.insert(index);
        Some(value)
    }

    /// Who has the run now.
    pub fn operator(&self) -> String {
        self.lock().operator.clone().unwrap_or_else(|| OPERATOR.to_owned())
    }

    /// Gives the run to somebody else; whoever asked is asked again by them.
    pub fn hand_over(&self, to: Handed) {
        self.handed.send_replace(Some(to));
    }

    /// Resolves when the run is given to somebody else, who has it from then on; with who had it.
    pub async fn handed_over(&self) -> (String, Handed) {
        // The sender is this stage itself: it cannot be gone.
        let _ = self.handed.subscribe().wait_for(Option::is_some).await;
        let to = self.handed.send_replace(None).unwrap_or_else(|| Handed {
            to: self.operator(),
            because: String::new(),
        });
        let from = self.operator();
        self.lock().operator = Some(to.to.clone());
        (from, to)
    }

    /// Notes a call; what is wrong with it in this run.
    pub fn called(&self, call: &Call) -> Option<Wrong> {
        let mut state = self.lock();
        let number = state.calls.len();
        let called = Called {
            call: call.clone(),
            changes: state.changes,
            entries: state.entries,
        };
        state.calls.push(called);
        if matches!(call.operation.effect, Effect::Change | Effect::Tell) && state.journal_failed {
            state.sent_after_journal += 1;
        }
        let Some(Fault::Call { call: broken, wrong }) = self.variant.fault else {
            return None;
        };
        if number == broken {
            state.broken = Some(call.clone());
            return Some(wrong);
        }
        let equal = state
            .broken
            .as_ref()
            .is_some_and(|known| known.operation == call.operation && known.args == call.args);
        // A reply without content is an accident; what cannot be reached stays so.
        (equal && wrong != Wrong::Empty).then_some(wrong)
    }

    /// What the scenario says about a call.
    pub fn answer(&self, call: &Call) -> Answered {
        let scenario = self.scenario();
        let best = scenario
            .given
            .iter()
            .enumerate()
            .filter(|(_, given)| matches(given, call))
            // The key with more arguments; of equal ones the first.
            .max_by_key(|(index, given)| (given.args.len(), std::cmp::Reverse(*index)));
        let Some((line, given)) = best else {
            return Answered::NotGiven;
        };
        // Two lines that answer equally well: which one is meant is not guessed.
        let rival = scenario
            .given
            .iter()
            .enumerate()
            .any(|(index, other)| index != line && other.args.len() == given.args.len() && matches(other, call));
        if rival {
            return Answered::NotGiven;
        }
        let mut state = self.lock();
        let at = self.advance(&mut state, line, given, call);
        match &given.replies[at].kind {
            ReplyKind::NotHad(reason) => Answered::NotHad(*reason),
            ReplyKind::Fails(text) => Answered::Fails(text.clone()),
            ReplyKind::Done { after, result } => Answered::Done {
                after: *after,
                result: result
                    .as_ref()
                    .map(|value| self.filled(&mut state, line, value, &given.ty, call)),
            },
            ReplyKind::Value(value) => {
                let value = self.filled(&mut state, line, value, &given.ty, call);
                Answered::Value(match value {
                    Value::Series(last) => self.pieced(&state, line, given, call, at, &last),
                    value => value,
                })
            }
        }
    }

    /// Since the beginning of the run. A world that is asked again where a run left it stands still.
    fn elapsed(&self, held: &Held) -> Duration {
        if self.variant.resume.is_some() {
            held.elapsed
        } else {
            self.clock.elapsed()
        }
    }

    /// Which of the values stands now.
    fn advance(&self, state: &mut State, line: usize, given: &Given, call: &Call) -> usize {
        let now = self.clock.now();
        let elapsed = self.elapsed(&state.held);
        let resumed = self.variant.resume.is_some();
        let found = state
            .held
            .positions
            .iter()
            .position(|known| known.line == line && known.args == call.args);
        let position = found.unwrap_or_else(|| {
            state.held.positions.push(Position {
                line,
                args: call.args.clone(),
                at: 0,
                served: 0,
                filled: None,
                since: vec![Timestamp::UNIX_EPOCH],
            });
            state.held.positions.len() - 1
        });
        let Held { positions, done, .. } = &mut state.held;
        let position = &mut positions[position];
        while let Some(until) = &given.replies[position.at].until {
            let since = match until {
                Until::Action(action) => done.get(action).copied(),
                Until::Elapsed(span) => (elapsed >= *span).then(|| {
                    let span = jiff::SignedDuration::try_from(*span).unwrap_or_default();
                    self.scenario().clock.checked_add(span).unwrap_or(now)
                }),
                Until::Once => (position.served > 0 && !resumed).then_some(now),
            };
            let Some(since) = since else { break };
            position.at += 1;
            position.served = 0;
            position.filled = None;
            position.since.push(since);
        }
        position.served += 1;
        position.at
    }

    fn filled(&self, state: &mut State, line: usize, value: &Value, ty: &Type, call: &Call) -> Value {
        let known = |known: &Position| known.line == line && known.args == call.args;
        let position = state.held.positions.iter().position(known);
        let given = position.and_then(|at| state.held.positions[at].filled.clone());
        if let Some(given) = given {
            return given;
        }
        let clock = self.scenario().clock;
        let (value, left_out) = match &self.variant.filling {
            Filling::First => self.prepared.made.full(value, ty, call, line, clock),
            filling => {
                let mut filler = Filler {
                    filling,
                    call,
                    line,
                    clock,
                    left_out: Vec::new(),
                };
                (filler.fill(value, ty), filler.left_out)
            }
        };
        for field in left_out {
            state.left_out.insert((line, field));
        }
        if let Some(position) = position {
            state.held.positions[position].filled = Some(value.clone());
        }
        value
    }

    /// A series of the values so far, each from the time at which it began to stand.
    fn pieced(&self, state: &State, line: usize, given: &Given, call: &Call, at: usize, last: &Series) -> Value {
        let position = state
            .held
            .positions
            .iter()
            .find(|known| known.line == line && known.args == call.args);
        let Some(position) = position.filter(|_| at > 0) else {
            return Value::Series(Arc::new(last.clone()));
        };
        let mut samples = Vec::with_capacity(at + 1);
        for (index, since) in position.since.iter().enumerate().take(at + 1) {
            let sample = match &given.replies[index].kind {
                ReplyKind::Value(Value::Series(series)) => series.samples.last().map(|(_, sample)| sample.clone()),
                _ => None,
            };
            let sample = sample
                .unwrap_or_else(|| Value::unknown(crate::value::Reason::Missing, "there was no answer at that time"));
            samples.push((*since, sample));
        }
        samples.sort_by_key(|(time, _)| *time);
        Value::Series(Arc::new(Series {
            samples,
            ..last.clone()
        }))
    }

    /// Notes what happened; false when the journal cannot take it.
    pub fn saw(&self, scope: &str, events: &[Event]) -> bool {
        let mut state = self.lock();
        if let Some(Fault::Journal { entry }) = self.variant.fault
            && state.entries + events.len() > entry
        {
            state.journal_failed = true;
            return false;
        }
        state.entries += events.len();
        for event in events {
            self.note(&mut state, scope, event);
        }
        true
    }

    fn note(&self, state: &mut State, scope: &str, event: &Event) {
        let full = |name: &str| {
            if scope.is_empty() {
                name.to_owned()
            } else {
                format!("{scope}.{name}")
            }
        };
        let now = self.clock.now();
        match event {
            Event::ActionStarted { name, .. } => {
                state.progress.insert(full(name), 0);
                state.open.insert(full(name));
            }
            Event::ActionEnded { name, .. } | Event::NotNeeded { name, .. } => {
                state.open.remove(&full(name));
            }
            Event::Intent {
                id, action, purpose, ..
            } if *purpose == Purpose::Do => {
                state.intents.insert(id.clone(), full(action));
            }
            Event::Result { id, outcome, .. } if *outcome == ResultKind::Done => {
                state.changes += 1;
                let Some(action) = state.intents.get(id).cloned() else {
                    return;
                };
                let done = state.progress.entry(action.clone()).or_default();
                *done += 1;
                if *done >= self.prepared.orders(&action) {
                    state.held.done.entry(action).or_insert(now);
                }
            }
            Event::Ticked { name, done: true, .. } => {
                state.changes += 1;
                state.held.done.entry(full(name)).or_insert(now);
            }
            Event::Undone { .. } => {
                // An action whose only order is to take another one back is done with it.
                let open: Vec<String> = state.open.iter().cloned().collect();
                for action in open {
                    if self.prepared.orders(&action) == 0 {
                        state.held.done.entry(action).or_insert(now);
                    }
                }
            }
            Event::ChildStarted { scope, .. } => state.scopes.push(scope.clone()),
            Event::ChildEnded { .. } => {
                state.scopes.pop();
            }
            _ => {}
        }
    }

    /// The line that would answer this call.
    pub fn line_for(&self, call: &Call) -> String {
        let clock = self.scenario().clock;
        let operation = &call.operation;
        let args: Vec<String> = operation
            .params
            .iter()
            .filter_map(|param| {
                let value = call.arg(&param.name);
                let telling = match value {
                    Value::Text(_) | Value::Enum(_) | Value::Int(_) | Value::Duration(_) | Value::Code { .. } => {
                        param.default.as_ref() != Some(value)
                    }
                    _ => false,
                };
                let text = telling.then(|| write::expression(value, &param.ty, clock))??;
                Some(format!("{}: {text}", param.name))
            })
            .collect();
        // Only where another line answers other calls of this operation do arguments have to tell them apart.
        let others = self
            .scenario()
            .given
            .iter()
            .any(|given| given.operation.is_named_as(operation) && !given.args.is_empty());
        let args = if args.is_empty() || !others {
            String::new()
        } else {
            format!("({})", args.join(", "))
        };
        let value = match operation.effect {
            Effect::Change | Effect::Tell | Effect::Preview => "done".to_owned(),
            Effect::Read | Effect::Probe => {
                let ty = self.prepared.reply(call);
                let value = fill::any(&ty, call, clock);
                let value = match &value {
                    Value::Record(record) if &*record.type_name == "Probe" => Some("answered".to_owned()),
                    value => write::given(value, &ty, clock),
                };
                value.unwrap_or_else(|| "unknown".to_owned())
            }
        };
        format!("{}{args} -> {value}", operation.full_name())
    }

    pub fn take_missing(&self) -> Vec<Missing> {
        self.lock().missing.iter().cloned().collect()
    }

    /// Own lines about people that nothing asked for.
    pub fn unused(&self) -> Vec<usize> {
        let state = self.lock();
        self.scenario()
            .people
            .iter()
            .enumerate()
            .filter(|(index, said)| said.own && !state.used.contains(index))
            .map(|(index, _)| index)
            .collect()
    }

    pub fn calls(&self) -> Vec<Called> {
        self.lock().calls.clone()
    }

    /// Fields that were left out and filled in, with their line of `given`.
    pub fn left_out(&self) -> Vec<(usize, String)> {
        self.lock().left_out.iter().cloned().collect()
    }

    /// The world as it is now.
    pub fn held(&self) -> Held {
        let mut held = self.lock().held.clone();
        held.elapsed = held.elapsed.saturating_add(self.clock.elapsed());
        held
    }

    pub fn sent_after_journal(&self) -> usize {
        self.lock().sent_after_journal
    }
}

fn matches(given: &Given, call: &Call) -> bool {
    given.operation.is_named_as(&call.operation) && given.args.iter().all(|(name, value)| equal(call.arg(name), value))
}

/// Equal as an argument: a resource is known by its name.
fn equal(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::Resource { name, .. }, Value::Resource { name: wanted, .. } | Value::Text(wanted)) => name == wanted,
        (Value::Secret(secret), wanted) => equal(secret.expose(), wanted),
        (Value::Code { text, .. }, Value::Code { text: wanted, .. }) => text == wanted,
        // Where a document is due, the file writes a record or a list.
        (Value::Json(document), wanted) if !matches!(wanted, Value::Json(_)) => {
            crate::value::document::of(wanted).is_ok_and(|wanted| wanted == **document)
        }
        _ => actual == wanted,
    }
}
