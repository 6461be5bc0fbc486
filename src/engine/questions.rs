//! When and how questions are asked: independent ones together, equal reads once, people last.

use super::answers::{Fresh, Slots, View, truth};
use super::call::{self, Cache, Prepared};
use super::conceal;
use super::frame::Context;
use super::state::Run;
use super::{Way, limits};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::{Evidence, Person, Shown};
use crate::program::sign;
use crate::program::{BindingId, BindingKind, CallExpr, Expr, Question, QuestionForm, Runbook, Template};
use crate::render::words;
use crate::value::{Answer, List, Reason, Value};
use futures::StreamExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// How questions are asked this time.
#[derive(Clone)]
pub(super) struct Asking {
    pub fresh: Fresh,
    pub round: u32,
    pub cache: Arc<Cache>,
    /// What needs the result of an action that was not done is unknown now; otherwise it waits until it is reached.
    pub last: bool,
    /// Most likely nothing of it is recorded: the words of answers are put together only when they are wanted.
    pub quiet: bool,
}

/// Something that needs answers.
#[derive(Clone, Copy)]
pub(super) enum Root<'a> {
    /// A condition: a person is asked only while it is undecided.
    Condition(&'a Expr),
    /// A value that is needed as it is.
    Value(&'a Expr),
    Text(&'a Template),
    Call(&'a CallExpr),
    Name(BindingId),
}

impl Root<'_> {
    pub fn bindings(&self, found: &mut dyn FnMut(BindingId)) {
        match self {
            Root::Condition(expr) | Root::Value(expr) => expr.bindings(found),
            Root::Text(template) => template.bindings(found),
            Root::Call(call) => call.bindings(found),
            Root::Name(id) => found(*id),
        }
    }

    pub fn ids(&self) -> Vec<BindingId> {
        let mut ids = Vec::new();
        self.bindings(&mut |id| ids.push(id));
        ids
    }
}

/// What came of one thing that was asked.
struct Asked {
    id: BindingId,
    value: Value,
    noted: Vec<Noted>,
}

/// The answer for one element, and what is recorded about it.
type Element = (Value, Vec<Noted>);

/// What is recorded of an answer, if anything is. A reply is written out only then: of the looks of a `verify` few are kept.
pub(super) enum Noted {
    Event(Event),
    Read(Box<Fetched>),
    /// The question was answered at that time; the answer is known, and what decided it follows from what is known.
    Answered(BindingId, Timestamp),
}

/// A read that came back.
pub(super) struct Fetched {
    name: String,
    /// `None` when an argument is unknown.
    prepared: Option<Prepared>,
    operation: String,
    /// It was made, and not only wanted.
    made: bool,
    value: Value,
    milliseconds: u64,
    notes: Vec<String>,
}

impl Fetched {
    /// The record of it.
    fn event(self) -> Event {
        let arguments = match &self.prepared {
            Some(Prepared::One(call)) if self.made => call::arguments_text(call),
            Some(Prepared::Each(calls, _)) if self.made => {
                vec![("each".to_owned(), format!("{} calls", calls.len()))]
            }
            _ => Vec::new(),
        };
        Event::Read {
            name: self.name,
            operation: self.operation,
            arguments,
            value: match &self.prepared {
                Some(prepared) => call::shown_reply(prepared, &self.value),
                None => Shown::kept(&self.value),
            },
            milliseconds: self.milliseconds,
            notes: self.notes,
        }
    }
}

/// A question that is answered by what is known, with its condition.
fn computed(book: &Runbook, id: BindingId) -> Option<(&Question, &Expr)> {
    match &book.binding(id).kind {
        BindingKind::Question(question) => match &question.form {
            QuestionForm::YesWhen(expr) => Some((question, expr)),
            _ => None,
        },
        _ => None,
    }
}

impl Run {
    /// Puts the lines of `run.evidence` together that looks have left.
    pub fn catch_up(&self) {
        let (left, slots) = {
            let mut shared = self.shared();
            if shared.left.is_empty() {
                return;
            }
            (std::mem::take(&mut shared.left), shared.slots.clone())
        };
        let Some(book) = self.outermost_book() else { return };
        let signs = sign::signs(book);
        for (id, at) in left {
            let Some((_, expr)) = computed(book, id) else { continue };
            let view = View::new(self, book, &slots, Fresh::default()).at(at);
            let value = eval::Scope::binding(&view, id);
            let answer = eval::answer(&value);
            let name = &book.binding(id).name;
            let good = signs.get(&id).and_then(|sign| sign.judge(answer));
            let evidence = eval::evidence(expr, &view, &self.program.sources);
            let reason = value.as_unknown().map(ToString::to_string);
            let line = words::answer_line(name, answer, good, &evidence, reason.as_deref(), None);
            self.keep_evidence(name.clone(), line);
        }
    }
}

/// Runs these side by side, so many at once; the results keep their order.
pub(super) async fn together<T: Send>(mut work: Vec<BoxFuture<'_, T>>, at_once: usize) -> Vec<T> {
    if work.len() == 1
        && let Some(only) = work.pop()
    {
        return vec![only.await];
    }
    futures::stream::iter(work).buffered(at_once).collect().await
}

/// A fan-out as it is asked.
#[derive(Clone, Copy)]
struct FanOut<'a> {
    all: bool,
    over: &'a Expr,
    element: BindingId,
    question: BindingId,
    inner: &'a Range<usize>,
}

impl FanOut<'_> {
    fn of(question: &Question) -> Option<FanOut<'_>> {
        match &question.form {
            QuestionForm::FanOut {
                all,
                over,
                element,
                question,
                inner,
            } => Some(FanOut {
                all: *all,
                over,
                element: *element,
                question: *question,
                inner,
            }),
            _ => None,
        }
    }
}

impl Context<'_> {
    /// What has to be asked or computed before these are known, in an order in which it can be.
    fn missing(&self, slots: &Slots, targets: &[BindingId], fresh: Fresh) -> Vec<BindingId> {
        let mut wanted = vec![false; self.needs.len()];
        let mut open: Vec<BindingId> = targets.to_vec();
        while let Some(id) = open.pop() {
            let Some(seen) = wanted.get_mut(id.0) else { continue };
            if *seen || slots.valid(self.book, id, fresh).is_some() {
                continue;
            }
            *seen = true;
            open.extend(&self.needs[id.0]);
        }
        // Bindings only name earlier ones.
        (0..wanted.len()).filter(|id| wanted[*id]).map(BindingId).collect()
    }

    fn ready(&self, slots: &Slots, id: BindingId, asking: &Asking) -> bool {
        self.needs[id.0].iter().all(|need| {
            slots.valid(self.book, *need, asking.fresh).is_some() || (asking.last && self.result_of_action(*need))
        })
    }

    fn result_of_action(&self, id: BindingId) -> bool {
        matches!(
            self.book.binding(id).kind,
            BindingKind::DoResult { .. } | BindingKind::Before { .. }
        )
    }

    /// Asks and computes everything that needs no person, in waves: what is independent is asked together.
    pub fn wave<'a>(
        &'a self,
        slots: &'a mut Slots,
        targets: &'a [BindingId],
        asking: &'a Asking,
        noted: &'a mut Vec<Noted>,
    ) -> BoxFuture<'a, Way<()>> {
        Box::pin(async move {
            loop {
                let missing = self.missing(slots, targets, asking.fresh);
                for id in &missing {
                    if self.ready(slots, *id, asking) {
                        self.compute(slots, *id, asking, noted);
                    }
                }
                let due: Vec<BindingId> = missing
                    .into_iter()
                    .filter(|id| {
                        slots.valid(self.book, *id, asking.fresh).is_none()
                            && self.ready(slots, *id, asking)
                            && !self.personal(*id)
                            && !self.result_of_action(*id)
                    })
                    .collect();
                if due.is_empty() {
                    return Ok(());
                }
                if let Some(leave) = self.run.ending() {
                    return Err(leave);
                }
                let mut work: Vec<BoxFuture<'_, Way<Option<Asked>>>> = Vec::with_capacity(due.len());
                for id in due {
                    work.push(self.ask_one(slots, id, asking));
                }
                let asked: Vec<Way<Option<Asked>>> = together(work, limits::CONCURRENT).await;
                let mut progress = false;
                for asked in asked {
                    if let Some(asked) = asked? {
                        progress = true;
                        slots.set(asked.id, asked.value, asking.round);
                        noted.extend(asked.noted);
                    }
                }
                if !progress {
                    return Ok(());
                }
            }
        })
    }

    /// Asks everything, people last and only where they can still decide something. Events so far are recorded before a person
    /// is asked.
    pub fn settle<'a>(
        &'a self,
        slots: &'a mut Slots,
        roots: &'a [Root<'a>],
        asking: &'a Asking,
        noted: &'a mut Vec<Noted>,
    ) -> BoxFuture<'a, Way<()>> {
        Box::pin(async move {
            let mut targets = Vec::new();
            for root in roots {
                root.bindings(&mut |id| targets.push(id));
            }
            loop {
                self.wave(slots, &targets, asking, noted).await?;
                let next = self.missing(slots, &targets, asking.fresh).into_iter().find(|id| {
                    self.personal(*id) && self.ready(slots, *id, asking) && self.wanted(slots, *id, roots, asking)
                });
                let Some(id) = next else { return Ok(()) };
                self.record_noted(std::mem::take(noted), slots, asking).await?;
                self.ask_person(slots, id, asking).await?;
            }
        })
    }

    /// Whether a person's answer can still decide something.
    fn wanted(&self, slots: &Slots, id: BindingId, roots: &[Root<'_>], asking: &Asking) -> bool {
        roots.iter().any(|root| {
            if !self.missing(slots, &root.ids(), asking.fresh).contains(&id) {
                return false;
            }
            match root {
                Root::Condition(expr) => {
                    let view = View::new(self.run, self.book, slots, asking.fresh);
                    eval::answer(&eval::evaluate(expr, &view)) == Answer::Unknown
                }
                Root::Value(_) | Root::Text(_) | Root::Call(_) | Root::Name(_) => true,
            }
        })
    }

    /// Computes what needs nobody: pure names, and questions whose parts are known.
    fn compute(&self, slots: &mut Slots, id: BindingId, asking: &Asking, noted: &mut Vec<Noted>) {
        let binding = self.book.binding(id);
        let view = View::new(self.run, self.book, slots, asking.fresh);
        match &binding.kind {
            BindingKind::Let(expr) => {
                let value = eval::evaluate(expr, &view);
                slots.set(id, value, asking.round);
            }
            BindingKind::Question(
                question @ Question {
                    form: QuestionForm::YesWhen(expr),
                    ..
                },
            ) => {
                let value = truth(eval::evaluate(expr, &view));
                noted.push(if asking.quiet {
                    Noted::Answered(id, view.now)
                } else {
                    Noted::Event(self.decided(&view, id, (question, expr), &value, asking.round))
                });
                slots.set(id, value, asking.round);
            }
            _ => {}
        }
    }

    /// Asks one read or fan-out.
    fn ask_one<'a>(&'a self, slots: &'a Slots, id: BindingId, asking: &'a Asking) -> BoxFuture<'a, Way<Option<Asked>>> {
        Box::pin(async move {
            match &self.book.binding(id).kind {
                BindingKind::Read(call) => Ok(Some(self.ask_read(slots, id, call, asking).await)),
                BindingKind::Question(question) => match FanOut::of(question) {
                    Some(fan_out) => {
                        let asked = self.ask_fan_out(slots, id, question, fan_out, asking, false).await?;
                        Ok(Some(asked))
                    }
                    None => Ok(None),
                },
                _ => Ok(None),
            }
        })
    }

    async fn ask_read(&self, slots: &Slots, id: BindingId, call: &CallExpr, asking: &Asking) -> Asked {
        let name = self.book.binding(id).name.clone();
        let operation = call.operation.full_name();
        let decode = call.decode.as_ref();
        let prepared = call::prepare(call, &View::new(self.run, self.book, slots, asking.fresh))
            .map(|prepared| conceal::prepared(self, id, prepared, decode));
        let begun = self.run.elapsed();
        let refused = call.operation.heavy && self.run.shared().heavy.get(&operation) != Some(&true);
        let known = self.run.recall(&self.scope, &name, &operation);
        let mut notes = Vec::new();
        let value = match &prepared {
            Ok(_) if refused => Value::unknown(Reason::Denied, "the operator did not allow this read"),
            Ok(prepared) => {
                let value = match known {
                    Some(value) => value,
                    None => {
                        let (value, noted) = call::read(self.run, &asking.cache, prepared, decode).await;
                        notes = noted;
                        value
                    }
                };
                conceal::remember(self, id, &value, decode);
                value
            }
            Err(unknown) => Value::Unknown(Arc::new(unknown.clone())),
        };
        let fetched = Fetched {
            name,
            prepared: prepared.ok(),
            operation,
            made: !refused,
            value: value.clone(),
            milliseconds: call::milliseconds(self.run.elapsed().saturating_sub(begun)),
            notes,
        };
        Asked {
            id,
            value,
            noted: vec![Noted::Read(Box::new(fetched))],
        }
    }

    /// Asks a question for every element: together, unless a person is behind it.
    async fn ask_fan_out(
        &self,
        slots: &Slots,
        id: BindingId,
        question: &Question,
        fan_out: FanOut<'_>,
        asking: &Asking,
        people: bool,
    ) -> Way<Asked> {
        let view = View::new(self.run, self.book, slots, asking.fresh);
        let list = match eval::evaluate(fan_out.over, &view) {
            Value::List(list) if list.items.len() > limits::FAN_OUT => Err(Value::unknown(
                Reason::Truncated,
                format!("{} elements, at most {} are asked", list.items.len(), limits::FAN_OUT),
            )),
            Value::List(list) => Ok(list),
            Value::Unknown(unknown) => Err(Value::Unknown(unknown)),
            _ => Err(Value::unknown(Reason::Internal, "a fan-out needs a list")),
        };
        drop(view);
        let mut noted = Vec::new();
        let mut evidence = Vec::new();
        let value = match list {
            Err(unknown) => unknown,
            Ok(list) => {
                let answers = self.ask_elements(slots, fan_out, &list, asking, people).await?;
                let mut values = Vec::with_capacity(answers.len());
                for (element, (value, inner)) in list.items.iter().zip(answers) {
                    noted.extend(inner);
                    if evidence.len() < limits::EVIDENCE {
                        evidence.push(Evidence {
                            text: Shown::of(element).text().to_owned(),
                            answer: eval::answer(&value),
                            actual: value.as_unknown().map(ToString::to_string).unwrap_or_default(),
                            limit: String::new(),
                            detail: String::new(),
                        });
                    }
                    values.push(value);
                }
                eval::combine(fan_out.all, values, list.truncated)
            }
        };
        let view = View::new(self.run, self.book, slots, asking.fresh);
        let event = self.answered(&view, id, question, &value, evidence, None, asking.round);
        noted.push(Noted::Event(event));
        Ok(Asked { id, value, noted })
    }

    async fn ask_elements(
        &self,
        slots: &Slots,
        fan_out: FanOut<'_>,
        list: &List,
        asking: &Asking,
        people: bool,
    ) -> Way<Vec<Element>> {
        // What is known of an element is gone when the next one is asked about.
        let mut asking = asking.clone();
        asking.quiet = false;
        let asking = &asking;
        let mut work: Vec<BoxFuture<'_, Way<Element>>> = Vec::with_capacity(list.items.len());
        for item in &list.items {
            let mut slots = slots.clone();
            slots.forget(fan_out.inner);
            slots.set(fan_out.element, item.clone(), asking.round);
            work.push(Box::pin(async move {
                let mut noted = Vec::new();
                if people {
                    let roots = [Root::Name(fan_out.question)];
                    self.settle(&mut slots, &roots, asking, &mut noted).await?;
                } else {
                    self.wave(&mut slots, &[fan_out.question], asking, &mut noted).await?;
                }
                let view = View::new(self.run, self.book, &slots, asking.fresh);
                let value = crate::eval::Scope::binding(&view, fan_out.question);
                Ok((value, noted))
            }));
        }
        let at_once = if people { 1 } else { limits::CONCURRENT };
        together(work, at_once).await.into_iter().collect()
    }

    /// Asks what a person, or an order to run something, is behind.
    async fn ask_person(&self, slots: &mut Slots, id: BindingId, asking: &Asking) -> Way<()> {
        if let Some(leave) = self.run.ending() {
            return Err(leave);
        }
        let binding = self.book.binding(id);
        let value = match &binding.kind {
            BindingKind::Read(call) => {
                self.allow_heavy(&call.operation.full_name()).await?;
                let asked = self.ask_read(slots, id, call, asking).await;
                self.record_noted(asked.noted, slots, asking).await?;
                asked.value
            }
            BindingKind::Ask { title, choices, within } => {
                self.ask_value(slots, id, title, choices.as_ref(), *within, asking)
                    .await?
            }
            BindingKind::Question(question) => match &question.form {
                QuestionForm::Observed { by, within } => {
                    self.observe(slots, id, question, by.as_deref(), *within, asking)
                        .await?
                }
                QuestionForm::Run { runbook, args } => {
                    let view = View::new(self.run, self.book, slots, asking.fresh);
                    let arguments = args
                        .iter()
                        .map(|(name, value)| (name.to_string(), eval::evaluate(value, &view)))
                        .collect();
                    let title = eval::fill(&question.title, &view);
                    drop(view);
                    let value = self.run_child(*runbook, arguments, &binding.name).await?;
                    let event = self.answer_event(id, title, question.symptom, &value, Vec::new(), None, asking.round);
                    self.run.record(&self.scope, event).await?;
                    value
                }
                QuestionForm::FanOut { .. } => match FanOut::of(question) {
                    Some(fan_out) => {
                        let asked = self.ask_fan_out(slots, id, question, fan_out, asking, true).await?;
                        self.record_noted(asked.noted, slots, asking).await?;
                        asked.value
                    }
                    None => Value::unknown(Reason::Internal, "not a fan-out"),
                },
                QuestionForm::YesWhen(_) => Value::unknown(Reason::Internal, "nobody has to be asked"),
            },
            _ => Value::unknown(Reason::Internal, "nobody has to be asked"),
        };
        slots.set(id, value, asking.round);
        Ok(())
    }

    /// Records what was answered, in one durable step.
    pub async fn record_noted(&self, noted: Vec<Noted>, slots: &Slots, asking: &Asking) -> Way<()> {
        let events = noted
            .into_iter()
            .filter_map(|noted| match noted {
                Noted::Event(event) => Some(event),
                Noted::Read(fetched) => Some(fetched.event()),
                Noted::Answered(id, at) => {
                    let view = View::new(self.run, self.book, slots, asking.fresh).at(at);
                    let decided = computed(self.book, id)?;
                    let value = eval::Scope::binding(&view, id);
                    Some(self.decided(&view, id, decided, &value, asking.round))
                }
            })
            .collect();
        self.run.record_all(&self.scope, events).await
    }

    /// The record of an answer that followed from what is known, with what decided it.
    fn decided(
        &self,
        view: &View<'_>,
        id: BindingId,
        (question, expr): (&Question, &Expr),
        value: &Value,
        round: u32,
    ) -> Event {
        let evidence = eval::evidence(expr, view, &self.run.program.sources);
        self.answered(view, id, question, value, evidence, None, round)
    }

    /// The record of an answer; it is also kept for `run.evidence`.
    #[allow(clippy::too_many_arguments)]
    pub fn answered(
        &self,
        view: &View<'_>,
        id: BindingId,
        question: &Question,
        value: &Value,
        evidence: Vec<Evidence>,
        by: Option<Person>,
        round: u32,
    ) -> Event {
        let title = eval::fill(&question.title, view);
        self.answer_event(id, title, question.symptom, value, evidence, by, round)
    }

    #[allow(clippy::too_many_arguments)]
    fn answer_event(
        &self,
        id: BindingId,
        title: String,
        symptom: bool,
        value: &Value,
        evidence: Vec<Evidence>,
        by: Option<Person>,
        round: u32,
    ) -> Event {
        let name = self.book.binding(id).name.clone();
        let answer = eval::answer(value);
        let good = self.signs.get(&id).and_then(|sign| sign.judge(answer));
        let reason = value.as_unknown().map(ToString::to_string);
        let line = words::answer_line(&name, answer, good, &evidence, reason.as_deref(), by.as_ref());
        let key = if self.scope.is_empty() {
            name.clone()
        } else {
            format!("{}.{name}", self.scope)
        };
        if self.scope.is_empty() {
            self.run.shared().left.retain(|(left, _)| *left != id);
        }
        self.run.keep_evidence(key, line);
        Event::Answered {
            name,
            question: title,
            symptom,
            answer,
            good,
            evidence,
            reason,
            by,
            round,
        }
    }

    /// The deadline of a person, within what is left of the timebox.
    pub fn patience(&self, within: Duration) -> Duration {
        within.min(self.remaining())
    }
}
