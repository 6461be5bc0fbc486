//! A plan of somebody who looked: what would be sent and why, on one screen.

use super::plan::{call_text, ending, outcome_text, seconds};
use super::safe::safe;
use crate::journal::event::PlannedCall;
use crate::plan::file::PlanFile;
use crate::plan::found::{Change, Found, values, word};
use crate::plan::{Effect, Label, Plan, Step, Way};
use crate::value::Value;
use crate::value::identity::identity;
use crate::value::show::show;
use std::fmt::Write;

/// Columns of a screen.
const COLUMNS: usize = 100;

/// Targets that are named before it is said how many more there are.
const NAMED: usize = 12;

/// The plan as plain text, safe to show.
pub fn text(file: &PlanFile, plan: &Plan, found: &Found) -> String {
    let mut out = Out { text: String::new() };
    out.line(0, &format!("{}: {}", plan.runbook, plan.title));
    let made = file.made.strftime("%Y-%m-%d %H:%M:%S UTC");
    let digest = file.digest.get(..16).unwrap_or(&file.digest);
    out.wrapped(
        0,
        &format!("plan {digest}  "),
        &format!("looked at in {} on {made}; {}", file.environment, file.file),
    );
    out.line(0, "Reads alone were sent. Nothing was changed, and nobody was told.");
    out.heading(if found.changes.is_empty() {
        "Would change: nothing"
    } else {
        "Would change"
    });
    for change in &found.changes {
        out.change(plan, change);
    }
    if found.changes.is_empty() && !found.reason.is_empty() {
        out.row("because", &found.reason);
    }
    out.heading("Because");
    let width = found
        .answers
        .iter()
        .map(|answer| answer.name.chars().count())
        .max()
        .unwrap_or(0)
        .min(24);
    for answer in &found.answers {
        let by = if answer.by.is_empty() {
            String::new()
        } else {
            format!(", says {}", answer.by)
        };
        // The question first: a stranger knows no names.
        let because = if answer.because.is_empty() {
            answer.question.clone()
        } else {
            format!("{} {}", answer.question, answer.because)
        };
        let label = label_of(plan, &answer.name);
        out.wrapped(
            1,
            &format!("{:<width$}  {:<7}  ", answer.name, word(answer.answer)),
            &format!("{because}{by}{label}"),
        );
    }
    if let Some(severity) = &found.severity {
        out.wrapped(1, &format!("{:<width$}  ", "severity"), severity);
    }
    for turn in &found.turns {
        let because = if turn.because.is_empty() {
            String::new()
        } else {
            format!("; {}", turn.because)
        };
        out.wrapped(1, &format!("{}: ", turn.taken), &format!("{}{because}", turn.about));
    }
    let others = other_ways(plan, found);
    if !others.is_empty() {
        out.heading("On other answers");
        for (on, does) in others {
            out.wrapped(1, &format!("{on}: "), &does);
        }
    }
    out.heading("Bounds");
    out.bounds(plan);
    out.text
}

/// How sure the answer is, unless it was simply observed.
fn label_of(plan: &Plan, name: &str) -> String {
    plan.questions
        .iter()
        .find(|question| question.name == name)
        .map(|question| format!("  [{}]", question.label.words()))
        .unwrap_or_default()
}

struct Out {
    text: String,
}

impl Out {
    fn line(&mut self, depth: usize, words: &str) {
        let words = words.replace('`', "");
        writeln!(self.text, "{}{}", "  ".repeat(depth), safe(&words)).expect("writing to a string succeeds");
    }

    fn heading(&mut self, words: &str) {
        self.text.push('\n');
        self.line(0, words);
    }

    /// A text behind its head; what does not fit goes on under its beginning.
    fn wrapped(&mut self, depth: usize, head: &str, words: &str) {
        let words = safe(words).replace('`', "");
        let indent = " ".repeat(head.chars().count());
        let room = COLUMNS.saturating_sub(depth * 2 + indent.len()).max(20);
        let mut lines: Vec<String> = Vec::new();
        let mut current = String::new();
        for word in words.split_whitespace() {
            let taken = current.chars().count();
            if taken > 0 && taken + 1 + word.chars().count() > room {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(current);
        for (index, line) in lines.iter().enumerate() {
            let front = if index == 0 { head } else { &indent };
            let text = format!("{front}{line}");
            self.line(depth, text.trim_end());
        }
    }

    fn row(&mut self, head: &str, words: &str) {
        self.wrapped(2, &format!("{head:<9} "), words);
    }

    fn change(&mut self, plan: &Plan, change: &Change) {
        let effect = effect_of(plan, &change.action);
        let risk = effect
            .map(|effect| format!(" (risk {})", effect.risk))
            .unwrap_or_default();
        self.wrapped(1, &format!("{}  ", change.action), &format!("{}{risk}", change.order));
        for (position, call) in change.calls.iter().enumerate() {
            let label = effect
                .and_then(|effect| effect.calls.get(position))
                .map_or(Label::Simulated, |planned| planned.label);
            let preview = change.previews.get(position);
            let label = match preview {
                Some(preview) if preview.shown => Label::Previewed,
                _ => label,
            };
            self.row("send", &format!("{}  [{}]", planned_text(call), label.words()));
            if let Some(preview) = preview.filter(|preview| preview.shown) {
                for line in &preview.lines {
                    self.row("", &format!("{}: {line}", preview.how));
                }
            }
        }
        let Some(effect) = effect else { return };
        match &effect.approval {
            Some(approval) => {
                let seeing = if approval.seeing.is_empty() {
                    String::new()
                } else {
                    format!(", who sees {}", approval.seeing.join(", "))
                };
                self.row(
                    "approval",
                    &format!(
                        "by {}{seeing}, within {}; silence is refusal",
                        approval.roles.join(if approval.all { " and " } else { " or " }),
                        seconds(approval.within_seconds)
                    ),
                );
            }
            None => self.row("approval", "none is asked for"),
        }
        self.row("reach", &effect.reach);
        if let Some(verify) = &effect.verify {
            self.row(
                "worked if",
                &format!(
                    "{} within {}, looked at every {}  [{}]",
                    verify.condition,
                    seconds(verify.within_seconds),
                    seconds(verify.every_seconds),
                    verify.label.words()
                ),
            );
        }
        for undo in &effect.undo {
            self.row("undo", &undo_text(undo));
        }
        for way in ways_of(&plan.steps, &effect.action).into_iter().flatten() {
            if let Some(then) = &way.then {
                let kept = if !then.undo && matches!(way.on.as_str(), "fails" | "unclear") {
                    "keep it, "
                } else {
                    ""
                };
                self.row(&way.on, &format!("{kept}{}", outcome_text(then)));
            }
        }
    }

    fn bounds(&mut self, plan: &Plan) {
        let parts: Vec<String> = plan
            .longest
            .parts
            .iter()
            .map(|(name, part)| format!("{name} {}", seconds(*part)))
            .collect();
        self.wrapped(
            1,
            "time      ",
            &format!(
                "longest way {} ({}); timebox {}, then {}",
                seconds(plan.longest.seconds),
                parts.join(", "),
                seconds(plan.timebox_seconds),
                ending(&plan.timebox_then)
            ),
        );
        let mut rights: Vec<String> = Vec::new();
        for effect in ["read", "probe", "change", "tell"] {
            let capabilities: Vec<&str> = plan
                .needs
                .iter()
                .filter(|need| need.effect == effect)
                .map(|need| need.capability.as_str())
                .collect();
            if !capabilities.is_empty() {
                rights.push(format!("{effect} {}", capabilities.join(", ")));
            }
        }
        self.wrapped(1, "grants    ", &rights.join("; "));
    }
}

/// The effect of an action, by its name without the path of called runbooks.
fn effect_of<'a>(plan: &'a Plan, action: &str) -> Option<&'a Effect> {
    let (plan, name) = match action.split_once('.') {
        Some((_, name)) => (
            plan.runs
                .iter()
                .find(|child| child.effects.iter().any(|e| name.ends_with(&e.action)))?,
            name,
        ),
        None => (plan, action),
    };
    plan.effects.iter().find(|effect| effect.action == name)
}

/// The call with its arguments; of a list how many and which.
fn planned_text(call: &PlannedCall) -> String {
    let arguments: Vec<String> = values(call)
        .iter()
        .filter(|(_, value)| *value != Value::None)
        .map(|(name, value)| format!("{name}: {}", targets(value)))
        .collect();
    format!("{}({})", call.operation, arguments.join(", "))
}

fn targets(value: &Value) -> String {
    let Value::List(list) = value else { return show(value) };
    let mut named: Vec<String> = Vec::new();
    let mut field = String::new();
    for item in list.items.iter().take(NAMED) {
        let (name, text) = which(item);
        field = name;
        named.push(text);
    }
    let more = list.items.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let field = if field.is_empty() {
        String::new()
    } else {
        format!("{field} ")
    };
    format!("{} of them, {field}{}{more}", list.items.len(), named.join(" "))
}

/// What tells one element from the others: its first field that is no resource.
fn which(item: &Value) -> (String, String) {
    match identity(item) {
        Value::Record(record) => record
            .fields
            .iter()
            .find(|(_, value)| !matches!(value, Value::Resource { .. }))
            .map_or_else(
                || (String::new(), show(item)),
                |(name, value)| (name.to_string(), show(value)),
            ),
        other => (String::new(), show(&other)),
    }
}

fn undo_text(undo: &crate::plan::Undo) -> String {
    let when = if undo.when == "on outcome" {
        String::new()
    } else {
        format!(", {}", undo.when)
    };
    let calls: Vec<String> = undo.calls.iter().map(call_text).collect();
    match undo.kind {
        "none" => format!("none: {}", undo.text),
        "restore" => format!("the old value by {}{when}", calls.join(", ")),
        "by hand" => format!("by hand: {}{when}", undo.text),
        _ => format!("{}{when}", calls.join(", ")),
    }
}

/// The ways of an action's step.
fn ways_of<'a>(steps: &'a [Step], action: &str) -> Option<&'a [Way]> {
    steps.iter().find_map(|step| {
        if matches!(step.kind, "action" | "manual") && step.name == action {
            return Some(step.ways.as_slice());
        }
        step.ways.iter().find_map(|way| ways_of(&way.steps, action))
    })
}

/// The causes and arms that were not taken, with what each would do, in one line.
fn other_ways(plan: &Plan, found: &Found) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for step in plan.steps.iter().filter(|step| step.kind == "branch") {
        for way in &step.ways {
            let name = way.on.split(':').next().unwrap_or_default();
            let taken = found.turns.iter().any(|turn| {
                turn.taken == format!("cause {name}") || turn.taken == *name || name.contains(turn.taken.as_str())
            });
            if taken {
                continue;
            }
            let does: Vec<String> = way.steps.iter().filter_map(does).collect();
            let does = if does.is_empty() {
                "nothing".to_owned()
            } else {
                does.join(", ")
            };
            lines.push((name.to_owned(), does));
        }
    }
    lines
}

fn does(step: &Step) -> Option<String> {
    Some(match step.kind {
        "action" | "manual" => format!("{} {}", step.kind, step.name),
        "tell" => format!("tell {}", step.text.split('(').next().unwrap_or_default()),
        "escalate" => "escalate".to_owned(),
        "stop" => format!("stop \"{}\"", step.text),
        "branch" | "each" | "run" | "wait" | "require" => format!("{} {}", step.kind, step.text),
        _ => return None,
    })
}
