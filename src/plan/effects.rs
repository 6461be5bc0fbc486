//! The parts of a plan that stand before its steps: effects, questions, grants, defaults.

use super::{Approval, Call, Effect, Label, Need, Outcome, Parameter, Planner, Question, Undo, Verify, end_word};
use crate::eval::text::one_line;
use crate::program::{
    Action, BindingId, BindingKind, CallExpr, End, OrderKind, QuestionForm, Runbook, RunbookId, Step, StepKind,
    UndoKind, UndoWhen,
};
use crate::provider::Effect as Kind;
use crate::value::show::{show, show_std};
use std::collections::{BTreeMap, BTreeSet};

impl Planner<'_> {
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        self.runbook
            .params
            .iter()
            .map(|id| {
                let binding = self.runbook.binding(*id);
                Parameter {
                    name: binding.name.clone(),
                    ty: binding.ty.to_string(),
                    default: match &binding.kind {
                        BindingKind::Param { default: Some(default) } => Some(self.texts.condition(default)),
                        _ => None,
                    },
                }
            })
            .collect()
    }

    pub(super) fn call(&self, call: &CallExpr, label: Label) -> Call {
        Call {
            operation: call.operation.full_name(),
            arguments: call
                .args
                .iter()
                .map(|arg| {
                    let value = match self.texts.constant(&arg.value) {
                        Some(value) => show(&value),
                        None => self.texts.plain(&arg.value),
                    };
                    let each = if arg.each { "each " } else { "" };
                    (arg.name.to_string(), format!("{each}{}", one_line(&value)))
                })
                .collect(),
            class: call.operation.idempotence.class().to_string(),
            within_seconds: call.within.as_secs(),
            label,
        }
    }

    fn words(&self, text: String, label: Label) -> Call {
        Call {
            operation: text,
            arguments: Vec::new(),
            class: String::new(),
            within_seconds: 0,
            label,
        }
    }

    pub(super) fn effects(&self) -> Vec<Effect> {
        self.runbook.actions.iter().map(|action| self.effect(action)).collect()
    }

    fn effect(&self, action: &Action) -> Effect {
        let calls = action.orders.iter().map(|order| match &order.kind {
            OrderKind::Call { call, before } => {
                let label = if self.after_change(call) {
                    Label::UnknownUntilApplied
                } else if before.is_some() {
                    Label::Previewed
                } else {
                    Label::Simulated
                };
                self.call(call, label)
            }
            OrderKind::Undo(other) => {
                let name = &self.runbook.action(*other).name;
                self.words(format!("take back {name}"), Label::UnknownUntilApplied)
            }
            OrderKind::Words(words) => self.words(self.texts.text(words), Label::Unknowable),
        });
        Effect {
            action: action.name.clone(),
            order: self.texts.text(&action.title),
            manual: action.manual,
            risk: match action.risk {
                crate::program::Risk::Low => "low",
                crate::program::Risk::Medium => "medium",
                crate::program::Risk::High => "high",
            },
            when: action.when.as_ref().map(|when| self.texts.condition(when)),
            approval: action.approve.as_ref().map(|approval| Approval {
                roles: approval.roles.clone(),
                all: approval.all,
                within_seconds: approval.within.as_secs(),
                seeing: approval.seeing.iter().map(|(text, _)| text.clone()).collect(),
            }),
            refuse_above: action
                .refuse
                .as_ref()
                .map(|refuse| format!("{} {}", self.texts.condition(&refuse.above), refuse.noun)),
            reach: self.reach(action),
            calls: calls.collect(),
            undo: action.undos.iter().map(|undo| self.undo(undo)).collect(),
            verify: action.verify.as_ref().map(|verify| Verify {
                condition: self.texts.condition(&verify.condition),
                within_seconds: verify.within.as_secs(),
                every_seconds: verify.every.as_secs(),
                label: Label::UnknownUntilApplied,
            }),
        }
    }

    /// How much an action can touch: its own limit, and how often the loops around it repeat it.
    fn reach(&self, action: &Action) -> String {
        let mut words = match &action.refuse {
            Some(refuse) => format!(
                "at most {} {}; more are refused as a whole",
                self.texts.condition(&refuse.above),
                refuse.noun
            ),
            None if action.manual => "what a person does by hand".to_owned(),
            None => "what its arguments name".to_owned(),
        };
        let mut loops = Vec::new();
        self.loops_around(&self.runbook.steps, action, &mut loops);
        for each in loops {
            words.push_str(&format!("; once per {}, at most {} times", each.0, each.1));
        }
        words
    }

    /// The loops around an action, outermost first: element and limit. True when it was found.
    fn loops_around(&self, steps: &[Step], action: &Action, loops: &mut Vec<(String, String)>) -> bool {
        steps.iter().any(|step| match &step.kind {
            StepKind::Action(id) => self.runbook.action(*id).name == action.name,
            StepKind::Branch(branch) => {
                branch
                    .causes
                    .iter()
                    .any(|cause| self.loops_around(&cause.steps, action, loops))
                    || self.loops_around(&branch.otherwise, action, loops)
                    || self.loops_around(&branch.cannot_tell, action, loops)
            }
            StepKind::Each(each) => {
                loops.push((
                    self.runbook.binding(each.element).name.clone(),
                    self.texts.condition(&each.at_most),
                ));
                let found = self.loops_around(&each.steps, action, loops);
                if !found {
                    loops.pop();
                }
                found
            }
            _ => false,
        })
    }

    fn undo(&self, undo: &crate::program::Undo) -> Undo {
        let taken_back = |call: &CallExpr| self.call(call, Label::UnknownUntilApplied);
        let (kind, calls, text) = match &undo.kind {
            UndoKind::Restore(calls) => ("restore", calls.iter().map(taken_back).collect(), String::new()),
            UndoKind::Call(call) => ("call", vec![taken_back(call)], String::new()),
            UndoKind::None { because } => ("none", Vec::new(), self.texts.text(because)),
            UndoKind::Words(words) => ("by hand", Vec::new(), self.texts.text(words)),
        };
        Undo {
            kind,
            calls,
            text,
            when: match &undo.when {
                UndoWhen::OnOutcome => "on outcome".to_owned(),
                UndoWhen::AtEnd => "at end".to_owned(),
                UndoWhen::After(after) => format!("after {}", self.texts.condition(after)),
            },
        }
    }

    /// True when an argument rests on the result of a change.
    fn after_change(&self, call: &CallExpr) -> bool {
        let mut found = false;
        for arg in &call.args {
            arg.value.bindings(&mut |id| found |= self.rests_on_change(id));
        }
        found
    }

    /// True when the value of a binding rests on the result of a change.
    pub(super) fn rests_on_change(&self, id: BindingId) -> bool {
        let binding = self.runbook.binding(id);
        match &binding.kind {
            BindingKind::DoResult { .. } => true,
            // Bindings only name earlier ones, so this ends.
            _ => binding
                .needs
                .iter()
                .any(|need| need.0 < id.0 && self.rests_on_change(*need)),
        }
    }

    pub(super) fn tells(&self) -> Vec<Call> {
        let mut found = Vec::new();
        each_step(&self.runbook.steps, &mut |step| {
            if let StepKind::Tell(call) = &step.kind {
                found.push(self.call(call, Label::Simulated));
            }
        });
        if let Some(escalation) = &self.runbook.result.escalation {
            for row in &escalation.rows {
                for entry in &row.entries {
                    found.push(self.call(&entry.call, Label::Simulated));
                }
            }
        }
        let mut once: Vec<Call> = Vec::new();
        for call in found {
            if !once.contains(&call) {
                once.push(call);
            }
        }
        once
    }

    pub(super) fn needs(&self) -> Vec<Need> {
        let mut operations: BTreeMap<(&'static str, String), BTreeSet<String>> = BTreeMap::new();
        each_call(self.runbook, &mut |call| {
            let effect = match call.operation.effect {
                Kind::Read => "read",
                Kind::Probe => "probe",
                Kind::Change => "change",
                Kind::Tell => "tell",
                Kind::Preview => "preview",
            };
            operations
                .entry((effect, call.operation.capability()))
                .or_default()
                .insert(call.operation.full_name());
        });
        operations
            .into_iter()
            .map(|((effect, capability), operations)| Need {
                effect,
                capability,
                operations: operations.into_iter().collect(),
            })
            .collect()
    }

    pub(super) fn roles(&self) -> Vec<String> {
        let roles: BTreeSet<String> = self
            .runbook
            .actions
            .iter()
            .filter_map(|action| action.approve.as_ref())
            .flat_map(|approval| approval.roles.clone())
            .collect();
        roles.into_iter().collect()
    }

    /// The questions that an author named, each once; those inside a fan-out belong to it.
    pub(super) fn questions(&self) -> Vec<Question> {
        let mut inside: BTreeSet<usize> = BTreeSet::new();
        for binding in &self.runbook.bindings {
            if let BindingKind::Question(question) = &binding.kind
                && let QuestionForm::FanOut { inner, .. } = &question.form
            {
                inside.extend(inner.clone());
            }
        }
        (0..self.runbook.bindings.len())
            .filter(|position| !inside.contains(position))
            .filter_map(|position| self.question(BindingId(position)))
            .collect()
    }

    fn question(&self, id: BindingId) -> Option<Question> {
        let binding = self.runbook.binding(id);
        let BindingKind::Question(question) = &binding.kind else {
            return None;
        };
        let mut label = if self.rests_on_change(id) {
            Label::UnknownUntilApplied
        } else {
            Label::Observed
        };
        let (condition, by) = match &question.form {
            QuestionForm::YesWhen(condition) => (self.texts.condition(condition), "reads".to_owned()),
            QuestionForm::Observed { by, within } => {
                let who = by.as_ref().map_or_else(
                    || "a person".to_owned(),
                    |role| format!("a person with the role {role}"),
                );
                (String::new(), format!("{who} within {}", show_std(*within)))
            }
            QuestionForm::FanOut {
                all, over, question, ..
            } => (
                format!(
                    "{} of {} are yes: {}",
                    if *all { "all" } else { "any" },
                    self.texts.condition(over),
                    match &self.runbook.binding(*question).kind {
                        BindingKind::Question(crate::program::Question {
                            form: QuestionForm::YesWhen(condition),
                            ..
                        }) => self.texts.condition(condition),
                        _ => self.runbook.binding(*question).name.clone(),
                    }
                ),
                "reads".to_owned(),
            ),
            QuestionForm::Run { runbook, .. } => {
                label = Label::UnknownUntilApplied;
                (
                    String::new(),
                    format!("the runbook {}", self.program.runbooks[runbook.0].name),
                )
            }
        };
        let mut calls = Vec::new();
        let mut seen = BTreeSet::new();
        self.reads_of(id, &mut seen, &mut |call| calls.push(self.call(call, Label::Observed)));
        Some(Question {
            name: binding.name.clone(),
            title: self.texts.text(&question.title),
            symptom: question.symptom,
            condition,
            by,
            calls,
            label,
        })
    }

    /// The reads that an answer rests on, through names, each once.
    fn reads_of(&self, id: BindingId, seen: &mut BTreeSet<usize>, found: &mut dyn FnMut(&CallExpr)) {
        if !seen.insert(id.0) {
            return;
        }
        let binding = self.runbook.binding(id);
        if let BindingKind::Read(call) = &binding.kind {
            found(call);
        }
        for need in &binding.needs {
            // Another question stands for itself.
            if !matches!(self.runbook.binding(*need).kind, BindingKind::Question(_)) {
                self.reads_of(*need, seen, found);
            }
        }
        if let BindingKind::Question(question) = &binding.kind
            && let QuestionForm::FanOut { question, .. } = &question.form
        {
            self.reads_of(*question, seen, found);
        }
    }

    pub(super) fn outcome(&self, outcome: &crate::program::Outcome) -> Outcome {
        Outcome {
            undo: outcome.undo,
            tells: outcome
                .tells
                .iter()
                .map(|call| self.call(call, Label::Simulated))
                .collect(),
            end: end_word(&outcome.end),
            reason: self.reason(&outcome.end),
            written: outcome.written,
        }
    }

    pub(super) fn reason(&self, end: &End) -> String {
        match end {
            End::Stop(reason) => self.texts.text(reason),
            _ => String::new(),
        }
    }

    pub(super) fn defaults(&self) -> Vec<String> {
        let mut found = Vec::new();
        let runbook = self.runbook;
        if !runbook.header.timebox_written {
            found.push(format!(
                "no `timebox`: {}, then escalate",
                show_std(runbook.header.timebox)
            ));
        }
        if runbook.situation.severity.is_empty() {
            found.push(
                if runbook.is_silent() {
                    "no `severity`: a health summary has none until it escalates; then the environment's default"
                } else {
                    "no `severity`: the environment's default"
                }
                .to_owned(),
            );
        }
        if !runbook.names_escalation() {
            found.push(
                if runbook.is_silent() {
                    "no `escalation`: nobody is called until it escalates; then the environment's matrix"
                } else {
                    "no `escalation`: the environment's matrix"
                }
                .to_owned(),
            );
        }
        if runbook.result.resolved.is_none() {
            found.push(if runbook.goal.is_some() {
                "no `resolved`: the goal".to_owned()
            } else {
                "no `resolved`: the last verify".to_owned()
            });
        }
        for action in &runbook.actions {
            for (line, outcome) in [
                ("unclear", Some(&action.unclear)),
                ("not approved", action.approve.as_ref().map(|_| &action.not_approved)),
            ] {
                if let Some(outcome) = outcome
                    && !outcome.written
                {
                    let kept = if line == "unclear" { "keep, " } else { "" };
                    found.push(format!(
                        "`{}` has no `{line}`: {kept}{}",
                        action.name,
                        end_word(&outcome.end)
                    ));
                }
            }
        }
        found
    }
}

/// The runbooks that a runbook runs, each once.
pub(super) fn runs(runbook: &Runbook) -> Vec<RunbookId> {
    let mut found = BTreeSet::new();
    for binding in &runbook.bindings {
        if let BindingKind::Question(question) = &binding.kind
            && let QuestionForm::Run { runbook, .. } = &question.form
        {
            found.insert(*runbook);
        }
    }
    each_step(&runbook.steps, &mut |step| {
        if let StepKind::Run { runbook, .. } = &step.kind {
            found.insert(*runbook);
        }
    });
    found.into_iter().collect()
}

/// Visits every step, outer before inner.
pub(super) fn each_step<'a>(steps: &'a [Step], visit: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        visit(step);
        match &step.kind {
            StepKind::Branch(branch) => {
                for cause in &branch.causes {
                    each_step(&cause.steps, visit);
                }
                each_step(&branch.otherwise, visit);
                if !branch.merged {
                    each_step(&branch.cannot_tell, visit);
                }
            }
            StepKind::Each(each) => each_step(&each.steps, visit),
            _ => {}
        }
    }
}

/// Every call that the runbook itself could make.
pub(super) fn each_call(runbook: &Runbook, found: &mut dyn FnMut(&CallExpr)) {
    for binding in &runbook.bindings {
        if let BindingKind::Read(call) = &binding.kind {
            found(call);
        }
    }
    for action in &runbook.actions {
        for order in &action.orders {
            if let OrderKind::Call { call, before } = &order.kind {
                if let Some((_, read)) = before {
                    found(read);
                }
                found(call);
            }
        }
        for undo in &action.undos {
            match &undo.kind {
                UndoKind::Restore(calls) => calls.iter().for_each(&mut *found),
                UndoKind::Call(call) => found(call),
                UndoKind::None { .. } | UndoKind::Words(_) => {}
            }
        }
        for outcome in [&action.failed, &action.unclear, &action.not_approved] {
            outcome.tells.iter().for_each(&mut *found);
        }
    }
    each_step(&runbook.steps, &mut |step| match &step.kind {
        StepKind::Tell(call) => found(call),
        StepKind::Require { otherwise, .. } | StepKind::Wait { otherwise, .. } => {
            otherwise.tells.iter().for_each(&mut *found);
        }
        _ => {}
    });
    if let Some(escalation) = &runbook.result.escalation {
        for entry in escalation.rows.iter().flat_map(|row| &row.entries) {
            found(&entry.call);
        }
    }
}
