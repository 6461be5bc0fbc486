//! Every name that a scenario may use about a runbook and those it runs.

use crate::program::{
    Binding, BindingKind, CallExpr, ExprKind, OrderKind, Outcome, Program, QuestionForm, RunbookId, Step, StepKind,
    UndoKind,
};
use crate::provider::Operation;
use crate::source::Sources;
use crate::value::{Type, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Runbooks run each other at most so deep.
const DEPTH: usize = 5;

/// A call of the program that says what its reply is read as.
pub struct Typed {
    /// Arguments that are written as they stand.
    args: Vec<(Arc<str>, Value)>,
    ty: Type,
}

/// An operation that is called somewhere.
pub struct Used {
    pub operation: Arc<Operation>,
    pub typed: Vec<Typed>,
}

impl Used {
    /// The type of what is given for calls with these arguments.
    pub fn reply(&self, args: &[(Arc<str>, Value)]) -> Type {
        let fits = |typed: &&Typed| {
            args.iter().all(|(name, value)| {
                typed
                    .args
                    .iter()
                    .find(|(known, _)| known == name)
                    .is_none_or(|(_, known)| known == value)
            })
        };
        self.typed
            .iter()
            .find(fits)
            .map_or_else(|| self.operation.result.clone(), |typed| typed.ty.clone())
    }
}

/// How a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Computed,
    Observed,
    Run,
}

/// The names, with those of called runbooks behind the name of the call: `child.roll_back`.
#[derive(Default)]
pub struct Names {
    /// With whether it is a `manual`.
    pub actions: BTreeMap<String, bool>,
    pub causes: BTreeSet<String>,
    pub questions: BTreeMap<String, Form>,
    pub asks: BTreeMap<String, Type>,
    pub reads: BTreeMap<String, Type>,
    /// Calls of other runbooks.
    pub calls: BTreeSet<String>,
    /// Questions of branches, as they are written.
    pub branches: BTreeSet<String>,
    /// By full name.
    pub operations: BTreeMap<String, Used>,
}

impl Names {
    /// The names of a runbook and of those it runs.
    pub fn of(program: &Program, sources: &Sources, runbook: RunbookId) -> Self {
        let mut names = Self::default();
        names.book(program, sources, runbook, "", DEPTH);
        names
    }

    fn book(&mut self, program: &Program, sources: &Sources, id: RunbookId, prefix: &str, depth: usize) {
        let Some(book) = program.runbooks.get(id.0) else { return };
        if depth == 0 {
            return;
        }
        for binding in &book.bindings {
            self.binding(program, sources, binding, prefix, depth);
        }
        for action in &book.actions {
            self.actions.insert(format!("{prefix}{}", action.name), action.manual);
            for order in &action.orders {
                if let OrderKind::Call { call, before } = &order.kind {
                    self.call(call);
                    before.iter().for_each(|(_, read)| self.call(read));
                }
            }
            for undo in &action.undos {
                match &undo.kind {
                    UndoKind::Restore(calls) => calls.iter().for_each(|call| self.call(call)),
                    UndoKind::Call(call) => self.call(call),
                    UndoKind::None { .. } | UndoKind::Words(_) => {}
                }
            }
            for outcome in [&action.failed, &action.unclear, &action.not_approved] {
                self.outcome(outcome);
            }
        }
        for row in book.result.escalation.iter().flat_map(|escalation| &escalation.rows) {
            row.entries.iter().for_each(|entry| self.call(&entry.call));
        }
        self.steps(program, sources, &book.steps, prefix, depth);
    }

    fn binding(&mut self, program: &Program, sources: &Sources, binding: &Binding, prefix: &str, depth: usize) {
        let name = format!("{prefix}{}", binding.name);
        match &binding.kind {
            BindingKind::Read(call) => {
                self.call(call);
                self.reads.insert(name, binding.ty.clone());
            }
            BindingKind::Ask { .. } => {
                self.asks.insert(name, binding.ty.clone());
            }
            BindingKind::Question(question) => {
                let form = match &question.form {
                    QuestionForm::Observed { .. } => Form::Observed,
                    QuestionForm::Run { runbook, .. } => {
                        self.calls.insert(name.clone());
                        self.book(program, sources, *runbook, &format!("{name}."), depth - 1);
                        Form::Run
                    }
                    QuestionForm::YesWhen(_) | QuestionForm::FanOut { .. } => Form::Computed,
                };
                self.questions.insert(name, form);
            }
            _ => {}
        }
    }

    fn steps(&mut self, program: &Program, sources: &Sources, steps: &[Step], prefix: &str, depth: usize) {
        for step in steps {
            match &step.kind {
                StepKind::Branch(branch) => {
                    self.branches.insert(branch.title.source_text(sources));
                    for cause in &branch.causes {
                        self.causes.insert(format!("{prefix}{}", cause.name));
                        self.steps(program, sources, &cause.steps, prefix, depth);
                    }
                    self.steps(program, sources, &branch.otherwise, prefix, depth);
                    self.steps(program, sources, &branch.cannot_tell, prefix, depth);
                }
                StepKind::Each(each) => self.steps(program, sources, &each.steps, prefix, depth),
                StepKind::Tell(call) => self.call(call),
                StepKind::Require { otherwise, .. } | StepKind::Wait { otherwise, .. } => self.outcome(otherwise),
                StepKind::Run { runbook, .. } => {
                    let Some(child) = program.runbooks.get(runbook.0) else {
                        continue;
                    };
                    let name = format!("{prefix}{}", child.name);
                    self.calls.insert(name.clone());
                    self.book(program, sources, *runbook, &format!("{name}."), depth - 1);
                }
                _ => {}
            }
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        outcome.tells.iter().for_each(|call| self.call(call));
    }

    fn call(&mut self, call: &CallExpr) {
        let used = self
            .operations
            .entry(call.operation.full_name())
            .or_insert_with(|| Used {
                operation: Arc::clone(&call.operation),
                typed: Vec::new(),
            });
        if let Some(ty) = &call.decode {
            let args = call
                .args
                .iter()
                .filter_map(|arg| match &arg.value.kind {
                    ExprKind::Literal(value) => Some((Arc::clone(&arg.name), value.clone())),
                    _ => None,
                })
                .collect();
            used.typed.push(Typed { args, ty: ty.clone() });
        }
    }
}
