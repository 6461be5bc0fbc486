//! A plan for people: effects with their reach and approvals first, then how long it may take and what it needs, then the steps.

use super::safe::safe;
use super::words::{default_mark, span};
use crate::plan::{Call, Effect, Label, Outcome, Plan, Step, Way};
use std::fmt::Write;
use std::time::Duration;

/// The plan as plain text, safe to show.
pub fn text(plan: &Plan) -> String {
    let mut out = Out::default();
    out.plan(plan);
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
}

pub(super) fn seconds(seconds: u64) -> String {
    span(Duration::from_secs(seconds))
}

fn label(label: Option<Label>) -> String {
    label.map(|label| format!("  [{}]", label.words())).unwrap_or_default()
}

impl Out {
    fn line(&mut self, depth: usize, words: &str) {
        let words = words.replace('`', "");
        writeln!(self.text, "{}{}", "  ".repeat(depth), safe(&words)).expect("writing to a string succeeds");
    }

    fn plan(&mut self, plan: &Plan) {
        self.line(0, &format!("{}: {}", plan.runbook, plan.title));
        self.line(0, &format!("plan {}", &plan.digest()[..16]));
        self.text.push('\n');
        self.line(0, "What it could change");
        if plan.effects.is_empty() {
            self.line(1, "nothing");
        }
        for effect in &plan.effects {
            self.effect(effect);
        }
        self.text.push('\n');
        self.line(0, "Time");
        let mut parts: Vec<String> = plan
            .longest
            .parts
            .iter()
            .map(|(name, part)| format!("{name} {}", seconds(*part)))
            .collect();
        if !plan.longest.complete {
            parts.push("a loop whose length is only known in the run counts once".to_owned());
        }
        self.line(
            1,
            &format!("longest way {}: {}", seconds(plan.longest.seconds), parts.join(", ")),
        );
        self.line(
            1,
            &format!(
                "timebox {}, then {}{}{}",
                seconds(plan.timebox_seconds),
                ending(&plan.timebox_then),
                default_mark(plan.timebox_then.written),
                if plan.longest.beyond_timebox {
                    "; the timebox can end the run before its longest way does"
                } else {
                    ""
                }
            ),
        );
        self.text.push('\n');
        self.line(0, "Needs");
        for need in &plan.needs {
            self.line(
                1,
                &format!("{} {}: {}", need.effect, need.capability, need.operations.join(", ")),
            );
        }
        if !plan.roles.is_empty() {
            self.line(1, &format!("approval by {}", plan.roles.join(", ")));
        }
        if !plan.tells.is_empty() {
            self.text.push('\n');
            self.line(0, "Whom it could tell");
            for call in &plan.tells {
                self.line(1, &call_text(call));
            }
        }
        self.text.push('\n');
        self.line(0, "What it asks");
        for question in &plan.questions {
            let how = if question.condition.is_empty() {
                question.by.clone()
            } else {
                format!("yes when {}", question.condition)
            };
            self.line(
                1,
                &format!("{}  {}{}", question.name, question.title, label(Some(question.label))),
            );
            self.line(2, &how);
            for call in &question.calls {
                self.line(2, &format!("by {}", call_text(call)));
            }
        }
        self.text.push('\n');
        self.line(0, "Steps");
        if plan.steps.is_empty() {
            self.line(1, "none: the questions are the whole of it");
        }
        for step in &plan.steps {
            self.step(1, step);
        }
        if !plan.defaults.is_empty() {
            self.text.push('\n');
            self.line(0, "Defaults in force");
            for default in &plan.defaults {
                self.line(1, default);
            }
        }
        for child in &plan.runs {
            self.text.push('\n');
            self.line(0, &format!("Runs {}:", child.runbook));
            self.text.push('\n');
            self.plan(child);
        }
    }

    fn effect(&mut self, effect: &Effect) {
        let by_hand = if effect.manual { ", by hand" } else { "" };
        self.line(
            1,
            &format!("{}  {} (risk {}{by_hand})", effect.action, effect.order, effect.risk),
        );
        if let Some(when) = &effect.when {
            self.line(2, &format!("only when {when}"));
        }
        for call in &effect.calls {
            self.line(2, &format!("do {}{}", call_text(call), label(Some(call.label))));
        }
        match &effect.approval {
            Some(approval) => {
                let seeing = if approval.seeing.is_empty() {
                    String::new()
                } else {
                    format!(", seeing {}", approval.seeing.join(", "))
                };
                self.line(
                    2,
                    &format!(
                        "approval by {} within {}{seeing}",
                        approval.roles.join(if approval.all { " and " } else { " or " }),
                        seconds(approval.within_seconds)
                    ),
                );
            }
            None if effect.manual => {}
            None => self.line(2, "no approval"),
        }
        self.line(2, &format!("reach {}", effect.reach));
        if let Some(verify) = &effect.verify {
            self.line(
                2,
                &format!(
                    "verify {} within {}, every {}{}",
                    verify.condition,
                    seconds(verify.within_seconds),
                    seconds(verify.every_seconds),
                    label(Some(verify.label))
                ),
            );
        }
        for undo in &effect.undo {
            let when = if undo.when == "on outcome" {
                String::new()
            } else {
                format!(", {}", undo.when)
            };
            let calls: Vec<String> = undo.calls.iter().map(call_text).collect();
            let how = match undo.kind {
                "none" => format!("none: {}", undo.text),
                "restore" => format!("restore the old value by {}", calls.join(", ")),
                "by hand" => format!("by hand: {}", undo.text),
                _ => calls.join(", "),
            };
            self.line(2, &format!("undo {how}{when}"));
        }
    }

    fn step(&mut self, depth: usize, step: &Step) {
        let mut words = step.kind.to_owned();
        for part in [&step.name, &step.text] {
            if !part.is_empty() {
                words.push_str("  ");
                words.push_str(part);
            }
        }
        words.push_str(&label(step.label));
        self.line(depth, &words);
        for way in &step.ways {
            self.way(depth + 1, way, step.kind == "manual");
        }
    }

    fn way(&mut self, depth: usize, way: &Way, by_hand: bool) {
        let then = match &way.then {
            Some(outcome) if !outcome.undo && matches!(way.on.as_str(), "fails" | "unclear") && !by_hand => {
                format!("keep, {}", outcome_text(outcome))
            }
            Some(outcome) => outcome_text(outcome),
            None => "go on".to_owned(),
        };
        if way.steps.is_empty() {
            self.line(depth, &format!("{} -> {then}", way.on));
            return;
        }
        self.line(depth, &way.on);
        for step in &way.steps {
            self.step(depth + 1, step);
        }
        // Behind a step that ends the run nothing follows.
        if !matches!(way.steps.last().map(|step| step.kind), Some("escalate" | "stop")) {
            self.line(depth + 1, &format!("-> {then}"));
        }
    }
}

pub(super) fn call_text(call: &Call) -> String {
    if call.class.is_empty() {
        return call.operation.clone();
    }
    let arguments: Vec<String> = call
        .arguments
        .iter()
        .filter(|(_, value)| value != "none" && !value.is_empty())
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    format!("{}({})", call.operation, arguments.join(", "))
}

pub(super) fn ending(outcome: &Outcome) -> String {
    match outcome.end {
        "stop" => format!("stop: {}", outcome.reason),
        "ask again" => "is the goal reached? then go on behind the branch, otherwise ask again".to_owned(),
        end => end.to_owned(),
    }
}

pub(super) fn outcome_text(outcome: &Outcome) -> String {
    let mut parts = Vec::new();
    if outcome.undo {
        parts.push("undo".to_owned());
    }
    for tell in &outcome.tells {
        parts.push(format!("tell {}", call_text(tell)));
    }
    parts.push(ending(outcome));
    format!("{}{}", parts.join(", "), default_mark(outcome.written))
}
