//! Questions that nothing looks at.

use crate::diagnostic::Diagnostic;
use crate::program::{
    Action, Advice, BindingId, BindingKind, CallExpr, End, OrderKind, Outcome, Program, QuestionForm, Runbook,
    SeverityWhen, Step, StepKind, Template, UndoKind, UndoWhen, needs,
};
use std::collections::{BTreeMap, BTreeSet};

/// Finds checks, reads and lets among the steps that nothing names.
pub fn check(program: &Program, found: &mut Vec<Diagnostic>) {
    for runbook in &program.runbooks {
        let used = References::of(runbook);
        report(runbook, &runbook.steps, &used, found);
    }
}

fn report(runbook: &Runbook, steps: &[Step], used: &BTreeSet<BindingId>, found: &mut Vec<Diagnostic>) {
    for step in steps {
        match &step.kind {
            StepKind::Evaluate(id) if !used.contains(id) => {
                let binding = runbook.binding(*id);
                let what = match &binding.kind {
                    // A run has effects of its own, and a person's words are there to be recorded.
                    BindingKind::Question(question) if !matches!(question.form, QuestionForm::Run { .. }) => "answer",
                    BindingKind::Read(_) => "reply",
                    BindingKind::Let(_) => "value",
                    _ => continue,
                };
                found.push(
                    Diagnostic::warning(
                        "unused-evidence",
                        binding.span,
                        format!("nothing looks at the {what} of `{}`", binding.name),
                    )
                    .label("not named anywhere else")
                    .help("use it in a cause, the goal, a `require` or `seeing`, or remove it"),
                );
            }
            StepKind::Branch(branch) => {
                branch
                    .causes
                    .iter()
                    .for_each(|cause| report(runbook, &cause.steps, used, found));
                report(runbook, &branch.otherwise, used, found);
                if !branch.merged {
                    report(runbook, &branch.cannot_tell, used, found);
                }
            }
            StepKind::Each(each) => report(runbook, &each.steps, used, found),
            _ => {}
        }
    }
}

/// The bindings that a runbook names somewhere.
struct References {
    used: BTreeSet<BindingId>,
}

impl References {
    fn of(runbook: &Runbook) -> BTreeSet<BindingId> {
        let mut this = References { used: BTreeSet::new() };
        // A question is used when one of its fields is, but not by itself.
        let mut owners: BTreeMap<BindingId, BindingId> = BTreeMap::new();
        for (index, binding) in runbook.bindings.iter().enumerate() {
            if let BindingKind::Question(question) = &binding.kind {
                owners.extend(question.fields.iter().map(|(_, field)| (*field, BindingId(index))));
            }
        }
        for (index, binding) in runbook.bindings.iter().enumerate() {
            let id = BindingId(index);
            let within = owners.get(&id).copied().unwrap_or(id);
            let direct = needs::direct(binding, &runbook.bindings);
            this.used
                .extend(direct.into_iter().filter(|named| owners.get(named) != Some(&within)));
            if let BindingKind::Question(question) = &binding.kind {
                this.templates(&question.prose);
                if let QuestionForm::FanOut { question, .. } = question.form {
                    this.used.insert(question);
                }
            }
        }
        this.template(&runbook.title);
        this.templates(&runbook.prose);
        this.templates(&runbook.situation.prose);
        this.templates(&runbook.task_prose);
        this.used.extend(runbook.goal);
        for row in &runbook.situation.severity {
            if let SeverityWhen::Holds(when) = &row.when {
                this.expr(when);
            }
        }
        runbook.actions.iter().for_each(|action| this.action(action));
        this.steps(&runbook.steps);
        this.templates(&runbook.result.prose);
        if let Some(resolved) = &runbook.result.resolved {
            this.expr(resolved);
        }
        if let Some(escalation) = &runbook.result.escalation {
            for entry in escalation.rows.iter().flat_map(|row| &row.entries) {
                this.call(&entry.call);
            }
        }
        this.templates(&runbook.reflection.prose);
        this.templates(&runbook.reflection.questions);
        for prevent in &runbook.reflection.prevents {
            this.template(&prevent.title);
            prevent.by.iter().for_each(|by| this.template(by));
        }
        runbook.reflection.advice.iter().for_each(|advice| this.advice(advice));
        let asked: Vec<BindingId> = this.used.iter().filter_map(|id| owners.get(id).copied()).collect();
        this.used.extend(asked);
        this.used
    }

    fn expr(&mut self, expr: &crate::program::Expr) {
        expr.bindings(&mut |id| {
            self.used.insert(id);
        });
    }

    fn template(&mut self, template: &Template) {
        template.bindings(&mut |id| {
            self.used.insert(id);
        });
    }

    fn templates(&mut self, templates: &[Template]) {
        templates.iter().for_each(|template| self.template(template));
    }

    fn call(&mut self, call: &CallExpr) {
        call.bindings(&mut |id| {
            self.used.insert(id);
        });
    }

    fn advice(&mut self, advice: &Advice) {
        self.template(&advice.title);
        self.templates(&advice.prose);
    }

    fn outcome(&mut self, outcome: &Outcome) {
        outcome.tells.iter().for_each(|tell| self.call(tell));
        if let End::Stop(reason) = &outcome.end {
            self.template(reason);
        }
    }

    fn action(&mut self, action: &Action) {
        self.template(&action.title);
        self.templates(&action.prose);
        action.when.iter().for_each(|when| self.expr(when));
        if let Some(approve) = &action.approve {
            approve.seeing.iter().for_each(|(_, expr)| self.expr(expr));
        }
        action.refuse.iter().for_each(|refuse| self.expr(&refuse.above));
        for order in &action.orders {
            match &order.kind {
                OrderKind::Call { call, before } => {
                    self.call(call);
                    before.iter().for_each(|(_, call)| self.call(call));
                }
                OrderKind::Words(words) => self.template(words),
                OrderKind::Undo(_) => {}
            }
        }
        for undo in &action.undos {
            match &undo.kind {
                UndoKind::Restore(calls) => calls.iter().for_each(|call| self.call(call)),
                UndoKind::Call(call) => self.call(call),
                UndoKind::None { because: words } | UndoKind::Words(words) => self.template(words),
            }
            if let UndoWhen::After(after) = &undo.when {
                self.expr(after);
            }
        }
        action.verify.iter().for_each(|verify| self.expr(&verify.condition));
        for outcome in [&action.failed, &action.unclear, &action.not_approved] {
            self.outcome(outcome);
        }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match &step.kind {
                StepKind::Prose(text) | StepKind::Stop(text) => self.template(text),
                StepKind::Branch(branch) => {
                    self.template(&branch.title);
                    self.templates(&branch.prose);
                    for cause in &branch.causes {
                        self.template(&cause.title);
                        self.expr(&cause.when);
                        self.steps(&cause.steps);
                    }
                    self.steps(&branch.otherwise);
                    self.steps(&branch.cannot_tell);
                }
                StepKind::Require { condition, otherwise }
                | StepKind::Wait {
                    condition, otherwise, ..
                } => {
                    self.expr(condition);
                    self.outcome(otherwise);
                }
                StepKind::Each(each) => {
                    self.expr(&each.list);
                    self.expr(&each.at_most);
                    each.batches.iter().for_each(|batch| self.expr(batch));
                    self.steps(&each.steps);
                }
                StepKind::Run { args, .. } => args.iter().for_each(|(_, value)| self.expr(value)),
                StepKind::Tell(call) => self.call(call),
                StepKind::Advise(advice) => self.advice(advice),
                StepKind::Evaluate(_) | StepKind::Action(_) | StepKind::Escalate => {}
            }
        }
    }
}
