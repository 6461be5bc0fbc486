//! A runbook that is being run: its values, its rounds, and what it stands in.

use super::answers::{Fresh, Slots, View};
use super::call::Cache;
use super::questions::{Asking, Noted, Root};
use super::state::Run;
use super::undo::Applied;
use super::{Finish, Leave, Way};
use crate::eval;
use crate::journal::Event;
use crate::program::sign::{self, Sign};
use crate::program::{
    BindingId, BindingKind, Expr, Outcome, Question, QuestionForm, Runbook, RunbookId, Template, needs,
};
use crate::render::words::{Place, Words};
use crate::value::{Answer, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The step that says that evidence was too old.
const OLD: &str = "evidence";

/// What stays the same while a runbook runs.
pub(super) struct Context<'r> {
    pub run: &'r Run,
    pub book: &'r Runbook,
    /// Path of called runbooks; empty for the outermost.
    pub scope: String,
    /// 1 for the outermost.
    pub depth: usize,
    /// On the monotonic clock: nothing new begins after it.
    pub timebox_end: Duration,
    /// For each binding, what must be known before it.
    pub needs: Vec<Vec<BindingId>>,
    /// Whether a yes to the question is good, by its sign in the goal.
    pub signs: BTreeMap<BindingId, Sign>,
    /// For each reply that holds a secret in the clear, what takes it out.
    pub opened: BTreeMap<BindingId, Vec<&'r Expr>>,
}

/// A condition that was passed on the way and is asked again before a change.
#[derive(Clone, Copy)]
pub(super) struct Guard<'r> {
    pub kind: GuardKind<'r>,
    /// From which round on what people said counted when it was passed.
    pub people: u32,
}

#[derive(Clone, Copy)]
pub(super) enum GuardKind<'r> {
    Require(&'r Expr, &'r Outcome),
    Cause(&'r Expr, &'r str),
    /// The element of a loop must still be in the list.
    Element(BindingId, &'r Expr),
}

/// A runbook that is being run.
pub(super) struct Frame<'r> {
    pub context: Context<'r>,
    pub slots: Slots,
    /// The number of the present round of answers; 1 is the first.
    pub round: u32,
    /// From which round on answers count for steps: bumped by every change.
    pub fresh: Fresh,
    /// When that round began: nothing that counts is older.
    pub fresh_since: Duration,
    pub cache: Arc<Cache>,
    /// Outermost first.
    pub guards: Vec<Guard<'r>>,
    /// Why the present cause was chosen, in words, outermost first.
    pub because: Vec<String>,
    /// Actions whose changes were sent, in order.
    pub applied: Vec<Applied>,
    /// The answer of the last `verify`, and what it asked.
    pub last_verify: Option<(Answer, String)>,
    pub failed_actions: u32,
    pub unclear_actions: u32,
    /// A `not approved` line ended it.
    pub refused: bool,
    /// Where the steps stand that are being run: what "next" means.
    pub place: Place,
}

impl<'r> Frame<'r> {
    /// The frame of the runbook that is started.
    pub fn outermost(run: &'r Run, id: RunbookId) -> Self {
        let book = &run.program.runbooks[id.0];
        Self::new(run, book, String::new(), 1, book.header.timebox)
    }

    pub fn new(run: &'r Run, book: &'r Runbook, scope: String, depth: usize, timebox_end: Duration) -> Self {
        Self {
            context: Context {
                run,
                book,
                scope,
                depth,
                timebox_end,
                needs: book
                    .bindings
                    .iter()
                    .map(|binding| needs::direct(binding, &book.bindings))
                    .collect(),
                signs: sign::signs(book),
                opened: needs::opened(&book.bindings),
            },
            slots: Slots::new(book.bindings.len()),
            round: 1,
            fresh: Fresh { reads: 1, people: 1 },
            fresh_since: run.elapsed(),
            cache: Arc::default(),
            guards: Vec::new(),
            because: Vec::new(),
            applied: Vec::new(),
            last_verify: None,
            failed_actions: 0,
            unclear_actions: 0,
            refused: false,
            place: Place::Steps,
        }
    }

    pub fn run(&self) -> &'r Run {
        self.context.run
    }

    pub fn book(&self) -> &'r Runbook {
        self.context.book
    }

    /// Records one event in the scope of this runbook.
    pub async fn record(&self, event: Event) -> Way<()> {
        self.run().record(&self.context.scope, event).await
    }

    /// Records several events in one durable step.
    pub async fn record_all(&self, events: Vec<Event>) -> Way<()> {
        self.run().record_all(&self.context.scope, events).await
    }

    /// The names as they are now, however old.
    pub fn view(&self) -> View<'_> {
        View::new(self.run(), self.book(), &self.slots, Fresh::default())
    }

    /// The words that people are told, with the values of this scope.
    pub fn words<'a>(&'a self, scope: &'a dyn eval::Scope) -> Words<'a> {
        Words::new(&self.run().program, self.book(), scope)
    }

    /// A template with the present values.
    pub fn fill(&self, template: &Template) -> String {
        eval::fill(template, &self.view())
    }

    pub fn fill_all(&self, templates: &[Template]) -> Vec<String> {
        templates.iter().map(|template| self.fill(template)).collect()
    }

    pub fn value(&self, expr: &Expr) -> Value {
        eval::evaluate(expr, &self.view())
    }

    /// Something was passed that is asked again before each change behind it.
    pub fn guard(&mut self, kind: GuardKind<'r>) {
        let people = self.fresh.people;
        self.guards.push(Guard { kind, people });
    }

    /// Begins a new round: what is asked from now on with [`Frame::newest`] is asked anew.
    pub fn next_round(&mut self) {
        self.round += 1;
        self.cache = Arc::default();
    }

    /// Answers of this round only; people are not asked again.
    pub fn newest(&self) -> Fresh {
        Fresh {
            reads: self.round,
            people: self.fresh.people,
        }
    }

    /// Something was changed: no answer from before counts any more.
    pub fn changed(&mut self) {
        self.next_round();
        self.fresh = Fresh {
            reads: self.round,
            people: self.round,
        };
        self.fresh_since = self.run().elapsed();
    }

    /// Time has passed: reads from before do not count any more.
    pub fn aged(&mut self) {
        self.next_round();
        self.fresh.reads = self.round;
        self.fresh_since = self.run().elapsed();
    }

    /// Whether evidence that may be as old as this is too old to be decided on; said so in the record. A run that goes on
    /// finds it old where it found it old before.
    pub async fn too_old(&mut self, since: Duration) -> Way<bool> {
        let run = self.run();
        let old = if run.replay.under_way() {
            matches!(run.replay.peek(), Some((scope, Event::Step { what, .. })) if scope == self.context.scope && what == OLD)
        } else {
            run.elapsed().saturating_sub(since) > super::limits::EVIDENCE_VALID
        };
        if old {
            let detail = format!(
                "it may be older than {}: asked again first",
                crate::value::show::show_std(super::limits::EVIDENCE_VALID)
            );
            self.record(Event::Step {
                what: OLD.to_owned(),
                detail,
            })
            .await?;
        }
        Ok(old)
    }

    /// Asks everything that needs neither a person nor the result of an action, together.
    pub async fn enter(&mut self, targets: &[BindingId], fresh: Fresh) -> Way<()> {
        let asking = Asking {
            last: false,
            ..self.asking(fresh)
        };
        let mut noted = Vec::new();
        self.context.wave(&mut self.slots, targets, &asking, &mut noted).await?;
        self.context.record_noted(noted, &self.slots, &asking).await
    }

    /// Asks everything that these rest on, people last and only where they can still decide something.
    pub async fn settle(&mut self, roots: &[Root<'_>], fresh: Fresh) -> Way<()> {
        let mut noted = Vec::new();
        let asking = self.asking(fresh);
        self.settle_noting(roots, &asking, &mut noted).await?;
        self.context.record_noted(noted, &self.slots, &asking).await
    }

    /// How everything is asked that these answers must be as fresh as.
    pub fn asking(&self, fresh: Fresh) -> Asking {
        Asking {
            fresh,
            round: self.round,
            cache: self.cache.clone(),
            last: true,
            quiet: false,
        }
    }

    /// Like [`Frame::settle`]; what is recorded is left to the caller, except before a person is asked.
    pub async fn settle_noting(&mut self, roots: &[Root<'_>], asking: &Asking, noted: &mut Vec<Noted>) -> Way<()> {
        self.context.settle(&mut self.slots, roots, asking, noted).await
    }

    /// Whether a person is behind something that these rest on, would have to allow it, or has answered in its place.
    pub fn asks_people(&self, roots: &[Root<'_>]) -> bool {
        let mut open = Vec::new();
        for root in roots {
            root.bindings(&mut |id| open.push(id));
        }
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                if self.context.personal(id) || self.slots.get(id).is_some_and(|slot| slot.by_hand) {
                    return true;
                }
                open.extend(&self.context.needs[id.0]);
            }
        }
        false
    }

    /// The answer of a condition once everything it rests on was asked.
    pub async fn answer(&mut self, condition: &Expr) -> Way<Value> {
        self.settle(&[Root::Condition(condition)], self.fresh).await?;
        Ok(super::answers::truth(self.value(condition)))
    }

    /// Nothing new begins when the run is to end or its time is over.
    pub fn check(&self) -> Way<()> {
        if let Some(leave) = self.run().ending() {
            return Err(leave);
        }
        match self.time_is_over() {
            Some(because) => Err(Leave::End(self.timebox_over(&because))),
            None => Ok(()),
        }
    }

    /// Whether the timebox is over, in words. A run that goes on ends where it ended before, whatever the time is now.
    pub fn time_is_over(&self) -> Option<String> {
        match self.run().replay.peek() {
            Some((scope, Event::Interrupted { because, .. })) if scope == self.context.scope => Some(because),
            Some(_) => None,
            None if self.run().replay.under_way() => None,
            None => (self.run().elapsed() >= self.context.timebox_end).then(|| "the timebox is over".to_owned()),
        }
    }

    /// The end that the timebox makes.
    pub fn timebox_over(&self, because: &str) -> Finish {
        Finish::Timebox(because.to_owned())
    }
}

impl Context<'_> {
    /// How much of the timebox is left.
    pub fn remaining(&self) -> Duration {
        self.timebox_end.saturating_sub(self.run.elapsed())
    }

    /// A person or an order is behind this name: asked last, and only when something needs it.
    pub fn personal(&self, id: BindingId) -> bool {
        match &self.book.binding(id).kind {
            BindingKind::Ask { .. } => true,
            BindingKind::Read(call) => {
                call.operation.heavy && !self.run.shared().heavy.contains_key(&call.operation.full_name())
            }
            BindingKind::Question(question) => match &question.form {
                QuestionForm::Observed { .. } | QuestionForm::Run { .. } => true,
                QuestionForm::FanOut { inner, .. } => inner.clone().any(|index| self.personal(BindingId(index))),
                QuestionForm::YesWhen(_) => false,
            },
            BindingKind::Param { .. }
            | BindingKind::Let(_)
            | BindingKind::DoResult { .. }
            | BindingKind::Before { .. }
            | BindingKind::Element => false,
        }
    }

    /// The question behind a name, if it is one.
    pub fn question(&self, id: BindingId) -> Option<&Question> {
        match &self.book.binding(id).kind {
            BindingKind::Question(question) => Some(question),
            _ => None,
        }
    }
}
