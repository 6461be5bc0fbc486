//! What is known at a moment: the values of a runbook's names, each with the round of answers it comes from.

use super::state::Run;
use crate::eval::{self, Scope};
use crate::program::{BindingId, BindingKind, Question, QuestionForm, RunField, Runbook};
use crate::value::{Reason, Value};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// From which round on an answer counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fresh {
    /// For reads and what follows from them.
    pub reads: u32,
    /// For what people said.
    pub people: u32,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub value: Value,
    pub round: u32,
    /// A person answered in the place of a read.
    pub by_hand: bool,
}

/// The values of all names of a runbook. A copy costs nothing until one of the two changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Vec<Option<Slot>>>);

impl Slots {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(vec![None; count]))
    }

    pub fn get(&self, id: BindingId) -> Option<&Slot> {
        self.0.get(id.0)?.as_ref()
    }

    pub fn set(&mut self, id: BindingId, value: Value, round: u32) {
        self.put(id, value, round, false);
    }

    pub fn put(&mut self, id: BindingId, value: Value, round: u32, by_hand: bool) {
        if let Some(slot) = Arc::make_mut(&mut self.0).get_mut(id.0) {
            *slot = Some(Slot { value, round, by_hand });
        }
    }

    /// Forgets the values of an element that is over.
    pub fn forget(&mut self, range: &Range<usize>) {
        if let Some(slots) = Arc::make_mut(&mut self.0).get_mut(range.clone()) {
            slots.fill(None);
        }
    }

    /// The value, if it still counts.
    pub fn valid(&self, book: &Runbook, id: BindingId, fresh: Fresh) -> Option<&Value> {
        let slot = self.get(id)?;
        let counts = match &book.binding(id).kind {
            // These do not grow old: they are given once, or are a fact about the past.
            BindingKind::Param { .. }
            | BindingKind::Element
            | BindingKind::DoResult { .. }
            | BindingKind::Before { .. }
            | BindingKind::Ask { .. }
            | BindingKind::Question(Question {
                form: QuestionForm::Run { .. },
                ..
            }) => true,
            BindingKind::Question(Question {
                form: QuestionForm::Observed { .. },
                ..
            }) => slot.round >= fresh.people,
            _ if slot.by_hand => slot.round >= fresh.people,
            BindingKind::Let(_) | BindingKind::Read(_) | BindingKind::Question(_) => slot.round >= fresh.reads,
        };
        counts.then_some(&slot.value)
    }
}

/// The names as an expression sees them.
pub(super) struct View<'a> {
    pub run: &'a Run,
    pub book: &'a Runbook,
    pub slots: &'a Slots,
    pub fresh: Fresh,
    pub now: Timestamp,
    /// What was computed on the way, so that names that are named twice cost once.
    memo: RefCell<BTreeMap<BindingId, Value>>,
}

impl<'a> View<'a> {
    pub fn new(run: &'a Run, book: &'a Runbook, slots: &'a Slots, fresh: Fresh) -> Self {
        Self {
            run,
            book,
            slots,
            fresh,
            now: run.now(),
            memo: RefCell::default(),
        }
    }

    /// The same at another time.
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    fn compute(&self, id: BindingId) -> Value {
        let binding = self.book.binding(id);
        let name = &binding.name;
        match &binding.kind {
            BindingKind::Let(expr) => eval::evaluate(expr, self),
            BindingKind::Question(Question {
                form: QuestionForm::YesWhen(expr),
                ..
            }) => truth(eval::evaluate(expr, self)),
            BindingKind::DoResult { action, .. } | BindingKind::Before { action, .. } => {
                let action = &self.book.action(*action).name;
                Value::unknown(
                    Reason::NotApplied,
                    format!("`{name}` is known once `{action}` was done"),
                )
            }
            BindingKind::Param { .. } => Value::unknown(Reason::Missing, format!("`{name}` was not given")),
            BindingKind::Element => Value::unknown(Reason::Internal, format!("`{name}` stands outside its loop")),
            BindingKind::Read(_) | BindingKind::Question(_) | BindingKind::Ask { .. } => {
                Value::unknown(Reason::NotAnswered, format!("`{name}` has not been asked"))
            }
        }
    }
}

impl Scope for View<'_> {
    fn binding(&self, id: BindingId) -> Value {
        if let Some(value) = self.slots.valid(self.book, id, self.fresh) {
            return value.clone();
        }
        if let Some(value) = self.memo.borrow().get(&id) {
            return value.clone();
        }
        let value = self.compute(id);
        self.memo.borrow_mut().insert(id, value.clone());
        value
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn run(&self, field: RunField) -> Value {
        self.run.field(field)
    }

    fn resource(&self, kind: &str, name: &str, field: &str) -> Value {
        self.run.world.environment.resource(kind, name, field)
    }
}

/// The answer of a condition as the value of its question: yes, no, or why it is unknown.
pub(super) fn truth(value: Value) -> Value {
    match value {
        Value::Bool(_) | Value::Unknown(_) => value,
        _ => Value::unknown(Reason::Internal, "the condition is not a truth value"),
    }
}
