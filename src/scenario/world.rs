//! The world of a scenario: scripted providers and people, and a journal that tells the stage what happened.

use super::fill;
use super::stage::{Answered, Block, Handed, Stage, Wrong};
use crate::engine::Outcome as RunOutcome;
use crate::engine::clock::Virtual;
use crate::engine::consent::Emergency;
use crate::engine::random::Fixed;
use crate::engine::world::{
    self, Answered as AskAnswer, ApprovalRequest, Ask, Clock, Decision, Environment, ManualOrder, Observe, Observed,
    OnUnclear, OnUnknown, People, Reply, Screen, Ticked, UnclearChoice, UnknownChoice, World,
};
use crate::journal::event::{Event, Person};
use crate::journal::{Error, Journal, Memory};
use crate::program::scenario::{ACKNOWLEDGE, OVERRIDE, SaidKind};
use crate::provider::gate::{Gate, Grant, Mode};
use crate::provider::{Call, Effect, Health, Outcome, Permit, Provider};
use crate::value::{Answer, List, Reason, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// The world of one run, and its journal.
pub fn world(stage: &Arc<Stage>, interrupt: tokio::sync::watch::Receiver<bool>) -> (World, Arc<Observer>) {
    let effects = vec![Effect::Read, Effect::Probe, Effect::Change, Effect::Tell];
    let grants = stage
        .prepared
        .providers
        .iter()
        .map(|(name, _)| Grant {
            capability: (*name).to_owned(),
            effects: effects.clone(),
            targets: None,
        })
        .collect();
    let mut gate = Gate::new(grants, Mode::Live);
    for (name, operations) in &stage.prepared.providers {
        gate.register(Arc::new(Scripted {
            name,
            operations,
            stage: stage.clone(),
        }));
    }
    let clock: Arc<Virtual> = stage.clock.clone();
    let time = stage.clock.clone();
    let journal = Arc::new(Observer {
        memory: Memory::with_time("scenario", move || time.now()),
        stage: stage.clone(),
    });
    let facts = &stage.prepared.facts;
    let world = World {
        gate: Arc::new(gate),
        people: Arc::new(Cast { stage: stage.clone() }),
        journal: journal.clone(),
        clock,
        randomness: Arc::new(Fixed::new(1)),
        screen: Arc::new(Dark),
        environment: Environment {
            name: "test".to_owned(),
            operator: person(&stage.operator()),
            severities: facts.severities.clone(),
            default_severity: facts.default_severity.clone(),
            unattended: false,
            dry_run: false,
            occasion: None,
            host: "scenario".to_owned(),
            resources: facts.resources.clone(),
        },
        consent: world::Consent {
            emergency: emergency(stage),
            ..world::Consent::default()
        },
        interrupt,
    };
    (world, journal)
}

/// The override under which the run is started.
fn emergency(stage: &Stage) -> Option<Emergency> {
    stage.scenario().people.iter().find_map(|said| match &said.kind {
        SaidKind::Override {
            because, ticket, lasts, ..
        } => Some(Emergency {
            reason: because.clone(),
            ticket: ticket.clone(),
            lasts: *lasts,
        }),
        _ => None,
    })
}

pub fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        by: "scenario".to_owned(),
    }
}

/// Shows nothing.
struct Dark;

impl Screen for Dark {
    fn event(&self, _scope: &str, _event: &Event) {}
    fn waiting(&self, _what: &str, _until: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// A journal in memory that tells the stage what is written.
pub struct Observer {
    pub memory: Memory,
    stage: Arc<Stage>,
}

impl Observer {
    fn refused() -> Error {
        Error {
            message: "the journal cannot be written (a fault of the test)".to_owned(),
        }
    }
}

impl Journal for Observer {
    fn run_id(&self) -> &str {
        self.memory.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        if !self.stage.saw(scope, std::slice::from_ref(event)) {
            return async { Err(Self::refused()) }.boxed();
        }
        self.memory.append(scope, event)
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        if !self.stage.saw(scope, events) {
            return async { Err(Self::refused()) }.boxed();
        }
        self.memory.append_all(scope, events)
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.memory.confirm()
    }
}

/// One provider of a scenario.
struct Scripted {
    name: &'static str,
    operations: &'static [&'static str],
    stage: Arc<Stage>,
}

impl Provider for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operations(&self) -> &'static [&'static str] {
        self.operations
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let mut targets = Vec::new();
        for (_, value) in &call.args {
            resources(value, &mut targets);
        }
        targets
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move {
            let wrong = self.stage.called(call);
            match wrong {
                Some(Wrong::Fails) => return Value::unknown(Reason::Unreachable, "a fault of the test"),
                Some(Wrong::Denied) => return Value::unknown(Reason::Denied, "a fault of the test"),
                Some(Wrong::TimesOut) => return futures::future::pending().await,
                Some(Wrong::Empty | Wrong::Truncated) | None => {}
            }
            let value = match self.stage.answer(call) {
                Answered::Value(value) => value,
                Answered::NotHad(Reason::Timeout) => return futures::future::pending().await,
                Answered::NotHad(reason) => Value::unknown(reason, "given so"),
                Answered::Fails(text) => Value::unknown(Reason::Unreachable, text),
                Answered::Done { .. } => Value::unknown(Reason::Internal, "a read is not done"),
                Answered::NotGiven => {
                    self.stage.missing(Block::Given, self.stage.line_for(call));
                    Value::unknown(Reason::Unavailable, "the scenario does not give it")
                }
            };
            match wrong {
                Some(Wrong::Empty) => emptied(value),
                Some(Wrong::Truncated) => cut(value),
                _ => value,
            }
        }
        .boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        async move {
            let unknown = |reason, detail: &str| Unknown {
                reason,
                detail: detail.to_owned(),
            };
            match self.stage.called(call) {
                Some(Wrong::Fails) => return Outcome::Failed(unknown(Reason::Unreachable, "a fault of the test")),
                Some(Wrong::Denied) => return Outcome::Failed(unknown(Reason::Denied, "a fault of the test")),
                Some(Wrong::TimesOut) => return futures::future::pending().await,
                Some(Wrong::Empty | Wrong::Truncated) => {
                    return Outcome::Unclear(unknown(Reason::Unparsable, "the reply was cut, a fault of the test"));
                }
                None => {}
            }
            match self.stage.answer(call) {
                Answered::Done { after, result } => {
                    self.stage.clock.sleep(after).await;
                    Outcome::Done(
                        result.unwrap_or_else(|| fill::any(&call.operation.result, call, self.stage.scenario().clock)),
                    )
                }
                Answered::Fails(text) => Outcome::Failed(unknown(Reason::Unreachable, &text)),
                Answered::NotHad(Reason::Timeout) => futures::future::pending().await,
                Answered::NotHad(reason @ (Reason::Denied | Reason::Throttled)) => {
                    Outcome::Failed(unknown(reason, "given so"))
                }
                Answered::NotHad(reason) => Outcome::Unclear(unknown(reason, "given so")),
                Answered::Value(_) => Outcome::Failed(unknown(Reason::Internal, "a change has no reply")),
                // People and systems of record are reached unless the scenario says otherwise.
                Answered::NotGiven if call.operation.effect == Effect::Tell => Outcome::Done(Value::None),
                Answered::NotGiven => {
                    self.stage.missing(Block::Given, self.stage.line_for(call));
                    Outcome::Failed(unknown(Reason::Unavailable, "the scenario does not give it"))
                }
            }
        }
        .boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async { Vec::new() }.boxed()
    }
}

/// The names of the resources in a value, each once.
fn resources(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Resource { name, .. } if found.iter().any(|known| **known == **name) => {}
        Value::Resource { name, .. } => found.push(name.to_string()),
        Value::List(list) => list.items.iter().for_each(|item| resources(item, found)),
        Value::Record(record) => record.fields.iter().for_each(|(_, value)| resources(value, found)),
        _ => {}
    }
}

/// A reply that arrived without content.
fn emptied(value: Value) -> Value {
    match value {
        Value::List(_) => Value::list(Vec::new()),
        Value::Unknown(_) => value,
        _ => Value::unknown(Reason::Unparsable, "the reply was empty, a fault of the test"),
    }
}

/// A reply of which the end is missing.
fn cut(value: Value) -> Value {
    match value {
        Value::List(list) => Value::List(Arc::new(List {
            items: list.items[..list.items.len() / 2].to_vec(),
            truncated: true,
        })),
        Value::Unknown(_) => value,
        _ => Value::unknown(Reason::Truncated, "the reply was cut, a fault of the test"),
    }
}

/// The people of a scenario.
struct Cast {
    stage: Arc<Stage>,
}

fn given<T>(value: T, who: &str) -> Reply<T> {
    Reply::Given(value, person(who))
}

fn silent<T>() -> Reply<T> {
    Reply::Nobody("nobody said anything".to_owned())
}

impl Cast {
    fn missing(&self, line: String) {
        self.stage.missing(Block::Operator, line);
    }

    /// What whoever has the run says.
    fn given<T>(&self, value: T) -> Reply<T> {
        given(value, &self.stage.operator())
    }

    /// Where a line says so, the run is given to somebody else: then this never returns, and they are asked instead.
    async fn hand_over(&self, name: &str) {
        let handed = self.stage.said_once(name, |said| match &said.kind {
            SaidKind::HandOver { to, after, because } => {
                let (to, because) = (to.clone(), because.clone());
                Some((Handed { to, because }, *after))
            }
            _ => None,
        });
        if let Some((handed, after)) = handed {
            self.stage.clock.sleep(after).await;
            self.stage.hand_over(handed);
            futures::future::pending::<()>().await;
        }
    }

    /// The second person of an emergency override.
    async fn consent(&self) -> Reply<Decision> {
        let said = self.stage.said(OVERRIDE, |said| match &said.kind {
            SaidKind::Override { second, after, .. } => Some((second.clone(), *after)),
            _ => None,
        });
        match said {
            Some((Some(second), after)) => {
                self.stage.clock.sleep(after).await;
                given(Decision::Approve, &second)
            }
            _ => futures::future::pending().await,
        }
    }
}

impl People for Cast {
    fn acknowledged(&self) -> BoxFuture<'_, Option<String>> {
        let said = self.stage.said(ACKNOWLEDGE, |said| match &said.kind {
            SaidKind::Acknowledge { by, after } => Some((by.clone(), *after)),
            _ => None,
        });
        let known = said.filter(|(_, after)| *after <= self.stage.clock.elapsed());
        let who = known.map(|(by, _)| by.unwrap_or_else(|| self.stage.operator()));
        std::future::ready(who.map(|who| format!("the incident was acknowledged by {who}"))).boxed()
    }

    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        async move {
            let name = self.stage.scoped(&question.name);
            self.hand_over(&name).await;
            let operator = self.stage.operator();
            let who = question.by.as_deref().unwrap_or(&operator);
            let answer = self.stage.answered(&name);
            let Some(answer) = answer else {
                self.missing(format!("answer {name} yes"));
                return silent();
            };
            let yes = match answer {
                Answer::Yes => Some(true),
                Answer::No => Some(false),
                Answer::Unknown => None,
            };
            given(
                Observed {
                    yes,
                    note: String::new(),
                },
                who,
            )
        }
        .boxed()
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<AskAnswer>> {
        async move {
            let name = self.stage.scoped(&question.name);
            self.hand_over(&name).await;
            let text = self.stage.said(&name, |said| match &said.kind {
                SaidKind::Value(text) => Some(Some(text.clone())),
                SaidKind::Answer(_) | SaidKind::Silent { undo: false } => Some(None),
                _ => None,
            });
            match text {
                None => {
                    let value = question.choices.first().map_or("…", String::as_str);
                    self.missing(format!("answer {name} {}", super::write::quoted(value)));
                    silent()
                }
                Some(None) => silent(),
                Some(Some(text)) => {
                    let exact = question.choices.iter().position(|choice| *choice == text);
                    // A record is long as it is shown: a part of it that only one choice has is enough.
                    let mut parts = question
                        .choices
                        .iter()
                        .enumerate()
                        .filter(|(_, choice)| choice.contains(&text));
                    let part = match (parts.next(), parts.next()) {
                        (Some((index, _)), None) => Some(index),
                        _ => None,
                    };
                    self.given(AskAnswer {
                        text,
                        choice: exact.or(part),
                    })
                }
            }
        }
        .boxed()
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        async move {
            if request.action == OVERRIDE {
                return self.consent().await;
            }
            let name = self.stage.scoped(&request.action);
            self.hand_over(&name).await;
            // `a or b` is asked of both at once.
            let either = !request.roles.contains(&request.role);
            let of = |role: &Option<String>| {
                role.as_ref()
                    .is_none_or(|role| *role == request.role || (either && request.roles.contains(role)))
            };
            let who = |role: &Option<String>| role.clone().unwrap_or_else(|| request.role.clone());
            let said = self.stage.said(&name, |said| match &said.kind {
                SaidKind::Approve { role, after } if of(role) => Some(Some((Decision::Approve, *after, who(role)))),
                SaidKind::Refuse { role, after, because } if of(role) => {
                    let because = because.clone();
                    Some(Some((Decision::Refuse { because }, *after, who(role))))
                }
                _ => None,
            });
            // Of a `manual` that is approved and left undone the approval is what its own line says.
            let said = said.or_else(|| {
                self.stage.said(&name, |said| {
                    (said.kind == SaidKind::Silent { undo: false }).then_some(None)
                })
            });
            match said {
                Some(Some((decision, after, who))) => {
                    self.stage.clock.sleep(after).await;
                    given(decision, &who)
                }
                Some(None) => futures::future::pending().await,
                None if self.stage.variant.lenient => futures::future::pending().await,
                None => {
                    let role = if either { request.roles.first() } else { None };
                    self.missing(format!("approve {name} as {}", role.unwrap_or(&request.role)));
                    silent()
                }
            }
        }
        .boxed()
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        async move {
            let (written, taking_back) = match order.name.strip_prefix("undo ") {
                Some(name) => (name, true),
                None => (order.name.as_str(), false),
            };
            let name = self.stage.scoped(written);
            self.hand_over(&name).await;
            let said = self.stage.said(&name, |said| match said.kind {
                SaidKind::Tick { undo, after } if undo == taking_back => Some(Some(after)),
                SaidKind::Silent { undo } if undo == taking_back => Some(None),
                _ => None,
            });
            match said {
                Some(Some(after)) => {
                    self.stage.clock.sleep(after).await;
                    self.given(Ticked {
                        done: true,
                        note: String::new(),
                    })
                }
                Some(None) => futures::future::pending().await,
                None if self.stage.variant.lenient => futures::future::pending().await,
                None => {
                    let undo = if taking_back { "undo " } else { "" };
                    self.missing(format!("tick {undo}{name}"));
                    silent()
                }
            }
        }
        .boxed()
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        async move {
            for (name, _, _) in &choice.unknown {
                let full = self.stage.scoped(name);
                self.hand_over(&full).await;
                let again = self
                    .stage
                    .said_once(&full, |said| (said.kind == SaidKind::Retry).then_some(()));
                if again.is_some() {
                    return self.given(OnUnknown::Retry);
                }
                let said = self.stage.answered(&full);
                let by_hand = |yes| OnUnknown::AnswerByHand {
                    name: name.clone(),
                    yes,
                    note: String::new(),
                };
                match said {
                    Some(Answer::Yes) => return self.given(by_hand(true)),
                    Some(Answer::No) => return self.given(by_hand(false)),
                    Some(Answer::Unknown) => return self.given(OnUnknown::CannotTell),
                    None => {}
                }
            }
            match choice.unknown.first() {
                Some((name, _, _)) => {
                    self.missing(format!("leave {} unknown", self.stage.scoped(name)));
                    silent()
                }
                None => self.given(OnUnknown::CannotTell),
            }
        }
        .boxed()
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        async move {
            let name = self.stage.scoped(&choice.action);
            self.hand_over(&name).await;
            let said = self.stage.said(&name, |said| match said.kind {
                SaidKind::Undo => Some(OnUnclear::Undo),
                SaidKind::Keep => Some(OnUnclear::Keep),
                _ => None,
            });
            match said {
                Some(chosen) => self.given(chosen),
                None => {
                    self.missing(format!("keep {name}"));
                    silent()
                }
            }
        }
        .boxed()
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        async move {
            let said = self.stage.answered(operation).map(|answer| answer == Answer::Yes);
            match said {
                Some(allowed) => self.given(allowed),
                None => {
                    self.missing(format!("answer {operation} yes"));
                    silent()
                }
            }
        }
        .boxed()
    }

    fn reflect<'a>(&'a self, _question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        async { world::Reply::Nobody("a scenario does not look back".to_owned()) }.boxed()
    }

    fn ran(&self, scope: &str) -> Option<RunOutcome> {
        let stub = self.stage.scenario().stubs.iter().find(|stub| stub.name == scope)?;
        Some(match stub.outcome.as_str() {
            "resolved" => RunOutcome::Resolved,
            "escalated" => RunOutcome::Escalated,
            "refused" => RunOutcome::Refused,
            "in doubt" => RunOutcome::InDoubt,
            "not present" => RunOutcome::NotPresent,
            _ => RunOutcome::Stopped("given so".to_owned()),
        })
    }
}
