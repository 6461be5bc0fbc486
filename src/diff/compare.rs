//! Two plans of one runbook, part by part.

use super::{Class, Difference, difference};
use crate::eval::{Constants, evaluate};
use crate::plan::{Approval, Effect, Plan, Step, Undo};
use crate::program::{BindingKind, CallExpr, OrderKind, Runbook};
use crate::value::Value;
use crate::value::show::{show, show_std};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A runbook that is new: everything it does is.
pub(super) fn added(plan: &Plan, found: &mut Vec<Difference>) {
    for effect in &plan.effects {
        found.push(difference(
            Class::EffectAdded,
            &plan.runbook,
            &effect.action,
            format!("a new runbook can {}", does(effect)),
        ));
    }
    for (path, action) in unapproved(plan) {
        found.push(without_approval(plan, &action, &path));
    }
}

/// A runbook that is gone.
pub(super) fn removed(plan: &Plan, found: &mut Vec<Difference>) {
    for effect in &plan.effects {
        found.push(difference(
            Class::EffectRemoved,
            &plan.runbook,
            &effect.action,
            format!("the runbook is gone, and with it: {}", does(effect)),
        ));
    }
}

fn does(effect: &Effect) -> String {
    let calls: Vec<&str> = effect.calls.iter().map(|call| call.operation.as_str()).collect();
    let approval = match &effect.approval {
        Some(approval) => format!("approval by {}", roles(approval)),
        None => "no approval".to_owned(),
    };
    format!(
        "\"{}\": {} (risk {}, {approval})",
        effect.order,
        calls.join(", "),
        effect.risk
    )
}

fn roles(approval: &Approval) -> String {
    approval.roles.join(if approval.all { " and " } else { " or " })
}

fn span(seconds: u64) -> String {
    show_std(Duration::from_secs(seconds))
}

struct Pair<'a> {
    runbook: &'a str,
    found: &'a mut Vec<Difference>,
}

impl Pair<'_> {
    fn push(&mut self, class: Class, subject: &str, text: impl Into<String>) {
        self.found.push(difference(class, self.runbook, subject, text.into()));
    }
}

/// Compares two plans of one runbook.
pub(super) fn compare(old: &Plan, new: &Plan, before: &Runbook, after: &Runbook, found: &mut Vec<Difference>) {
    let mut pair = Pair {
        runbook: &new.runbook,
        found,
    };
    effects(old, new, &mut pair);
    targets(before, after, &mut pair);
    questions(old, new, &mut pair);
    branches(old, new, &mut pair);
    let known: BTreeSet<(Vec<String>, String)> = unapproved(old).into_iter().collect();
    for (path, action) in unapproved(new) {
        // An action that is new, or whose approval is gone, is said to be so; what counts here is each way that leads to it.
        if !known.contains(&(path.clone(), action.clone())) {
            pair.found.push(without_approval(new, &action, &path));
        }
    }
    times(old, new, &mut pair);
    needs(old, new, &mut pair);
}

fn effects(old: &Plan, new: &Plan, pair: &mut Pair<'_>) {
    // A renamed action is the same one when it makes the same calls.
    let mut renamed: BTreeMap<&str, &str> = BTreeMap::new();
    for effect in &new.effects {
        if old.effects.iter().any(|was| was.action == effect.action) {
            continue;
        }
        let same = old.effects.iter().find(|was| {
            !effect.calls.is_empty()
                && was.calls == effect.calls
                && !new.effects.iter().any(|other| other.action == was.action)
                && !renamed.values().any(|taken| *taken == was.action)
        });
        if let Some(was) = same {
            renamed.insert(&effect.action, &was.action);
        }
    }
    for effect in &new.effects {
        let name = renamed
            .get(effect.action.as_str())
            .copied()
            .unwrap_or(effect.action.as_str());
        match old.effects.iter().find(|was| was.action == name) {
            Some(was) => action(was, effect, pair),
            None => pair.push(Class::EffectAdded, &effect.action, does(effect)),
        }
    }
    for was in &old.effects {
        let still = new.effects.iter().any(|effect| {
            effect.action == was.action || renamed.get(effect.action.as_str()) == Some(&was.action.as_str())
        });
        if !still {
            pair.push(Class::EffectRemoved, &was.action, does(was));
        }
    }
}

fn action(old: &Effect, new: &Effect, pair: &mut Pair<'_>) {
    let name = &new.action;
    let operations =
        |effect: &Effect| -> Vec<String> { effect.calls.iter().map(|call| call.operation.clone()).collect() };
    let (before, after) = (operations(old), operations(new));
    for operation in after.iter().filter(|operation| !before.contains(operation)) {
        pair.push(Class::EffectAdded, name, format!("it also calls {operation}"));
    }
    for operation in before.iter().filter(|operation| !after.contains(operation)) {
        pair.push(Class::EffectRemoved, name, format!("it no longer calls {operation}"));
    }
    for (was, is) in old.calls.iter().zip(&new.calls) {
        if was.operation == is.operation && was.arguments != is.arguments {
            for ((argument, was), (_, is)) in was.arguments.iter().zip(&is.arguments).filter(|(was, is)| was != is) {
                pair.push(
                    Class::TargetChanged,
                    name,
                    format!(
                        "{argument} of {} was {was} and is {is}",
                        before.first().cloned().unwrap_or_default()
                    ),
                );
            }
        }
    }
    approval(old, new, pair);
    let rank = |risk: &str| ["low", "medium", "high"].iter().position(|word| *word == risk);
    match rank(new.risk).cmp(&rank(old.risk)) {
        std::cmp::Ordering::Less => pair.push(
            Class::RiskLowered,
            name,
            format!("risk was {} and is {}", old.risk, new.risk),
        ),
        std::cmp::Ordering::Greater => pair.push(
            Class::RiskRaised,
            name,
            format!("risk was {} and is {}", old.risk, new.risk),
        ),
        std::cmp::Ordering::Equal => {}
    }
    if old.refuse_above != new.refuse_above {
        let number = |limit: &Option<String>| -> Option<i64> {
            limit
                .as_deref()?
                .split_whitespace()
                .next()?
                .replace('_', "")
                .parse()
                .ok()
        };
        let shown = |limit: &Option<String>| limit.clone().unwrap_or_else(|| "no limit".to_owned());
        let text = format!(
            "refused above {}, was above {}",
            shown(&new.refuse_above),
            shown(&old.refuse_above)
        );
        let class = match (
            &old.refuse_above,
            &new.refuse_above,
            number(&old.refuse_above),
            number(&new.refuse_above),
        ) {
            (Some(_), None, ..) => Class::TargetWidened,
            (None, Some(_), ..) => Class::TargetNarrowed,
            (_, _, Some(was), Some(is)) if is > was => Class::TargetWidened,
            (_, _, Some(was), Some(is)) if is < was => Class::TargetNarrowed,
            _ => Class::TargetChanged,
        };
        pair.push(class, name, text);
    } else if old.reach != new.reach {
        pair.push(
            Class::TargetChanged,
            name,
            format!("reach was {} and is {}", old.reach, new.reach),
        );
    }
    match (&old.when, &new.when) {
        (was, is) if was == is => {}
        (was, is) => pair.push(
            Class::ConditionChanged,
            name,
            format!(
                "done when {}, was when {}",
                is.as_deref().unwrap_or("it is come to"),
                was.as_deref().unwrap_or("it is come to")
            ),
        ),
    }
    match (&old.verify, &new.verify) {
        (Some(was), None) => pair.push(
            Class::VerifyRemoved,
            name,
            format!("nobody looks any more whether it worked (was: {})", was.condition),
        ),
        (None, Some(is)) => pair.push(Class::VerifyAdded, name, format!("verified by {}", is.condition)),
        (Some(was), Some(is)) if was != is => pair.push(
            Class::VerifyChanged,
            name,
            format!(
                "verify was {} within {} and is {} within {}",
                was.condition,
                span(was.within_seconds),
                is.condition,
                span(is.within_seconds)
            ),
        ),
        _ => {}
    }
    undo(old, new, pair);
}

fn approval(old: &Effect, new: &Effect, pair: &mut Pair<'_>) {
    let name = &new.action;
    let (was, is) = match (&old.approval, &new.approval) {
        (None, None) => return,
        (Some(was), None) => {
            pair.push(
                Class::ApprovalWeakened,
                name,
                format!("no approval any more; was by {}", roles(was)),
            );
            return;
        }
        (None, Some(is)) => {
            pair.push(Class::ApprovalStrengthened, name, format!("approval by {}", roles(is)));
            return;
        }
        (Some(was), Some(is)) => (was, is),
    };
    let set = |approval: &Approval| -> BTreeSet<String> { approval.roles.iter().cloned().collect() };
    let (before, after) = (set(was), set(is));
    let needed = |approval: &Approval| if approval.all { approval.roles.len() } else { 1 };
    let text = format!("approval by {}, was by {}", roles(is), roles(was));
    if before != after || was.all != is.all {
        let weaker = needed(is) < needed(was)
            // One of more roles is enough, or one that must agree is left out.
            || (!is.all && !after.is_subset(&before))
            || (was.all && is.all && !before.is_subset(&after));
        let class = if weaker {
            Class::ApprovalWeakened
        } else {
            Class::ApprovalStrengthened
        };
        pair.push(class, name, text);
    }
    for seen in was.seeing.iter().filter(|seen| !is.seeing.contains(seen)) {
        pair.push(
            Class::ApprovalWeakened,
            name,
            format!("who approves no longer sees {seen}"),
        );
    }
    for seen in is.seeing.iter().filter(|seen| !was.seeing.contains(seen)) {
        pair.push(Class::ApprovalStrengthened, name, format!("who approves sees {seen}"));
    }
}

fn undo(old: &Effect, new: &Effect, pair: &mut Pair<'_>) {
    let name = &new.action;
    let real = |undos: &[Undo]| undos.iter().filter(|undo| undo.kind != "none").count();
    let (was, is) = (real(&old.undo), real(&new.undo));
    let text = |undos: &[Undo]| -> String {
        let each: Vec<String> = undos
            .iter()
            .map(|undo| match undo.kind {
                "none" => format!("none, because {}", undo.text),
                "by hand" => format!("by hand: {}", undo.text),
                kind => {
                    let calls: Vec<&str> = undo.calls.iter().map(|call| call.operation.as_str()).collect();
                    format!("{kind} by {} {}", calls.join(", "), undo.when)
                }
            })
            .collect();
        if each.is_empty() {
            "none".to_owned()
        } else {
            each.join("; ")
        }
    };
    if is < was {
        pair.push(
            Class::UndoRemoved,
            name,
            format!("undo is {}, was {}", text(&new.undo), text(&old.undo)),
        );
    } else if is > was {
        pair.push(Class::UndoAdded, name, format!("undo is {}", text(&new.undo)));
    } else if old.undo != new.undo && text(&old.undo) != text(&new.undo) {
        pair.push(
            Class::UndoChanged,
            name,
            format!("undo is {}, was {}", text(&new.undo), text(&old.undo)),
        );
    }
}

/// Reads that an action's targets come from: by the name of the binding, its arguments as values or words.
fn sources(runbook: &Runbook) -> BTreeMap<(String, String), BTreeMap<String, Argument>> {
    let constants = Constants::of(runbook);
    let mut found = BTreeMap::new();
    for action in &runbook.actions {
        let mut reads = BTreeSet::new();
        let mut take = |call: &CallExpr| {
            for arg in &call.args {
                arg.value.bindings(&mut |id| closure(runbook, id.0, &mut reads));
            }
        };
        for order in &action.orders {
            if let OrderKind::Call { call, .. } = &order.kind {
                take(call);
            }
        }
        for id in reads {
            let binding = &runbook.bindings[id];
            if let BindingKind::Read(call) = &binding.kind {
                let arguments = call
                    .args
                    .iter()
                    .map(|arg| (arg.name.to_string(), Argument(evaluate(&arg.value, &constants))))
                    .collect();
                found.insert(
                    (
                        action.name.clone(),
                        format!("{} of {}", call.operation.full_name(), binding.name),
                    ),
                    arguments,
                );
            }
        }
    }
    found
}

fn closure(runbook: &Runbook, id: usize, found: &mut BTreeSet<usize>) {
    let Some(binding) = runbook.bindings.get(id) else {
        return;
    };
    if found.insert(id) {
        for need in &binding.needs {
            closure(runbook, need.0, found);
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Argument(Value);

/// Parameters that leave more out the larger they are, and those that let more in.
const LARGER_IS_FEWER: &[&str] = &[
    "older_than",
    "longer_than",
    "transaction_older_than",
    "more_than",
    "above",
];
const LARGER_IS_MORE: &[&str] = &["at_most", "within", "over"];

fn targets(before: &Runbook, after: &Runbook, pair: &mut Pair<'_>) {
    let (old, new) = (sources(before), sources(after));
    for ((action, read), arguments) in &new {
        let Some(was) = old.get(&(action.clone(), read.clone())) else {
            // The read behind the targets of an action that was there is another one.
            if old.keys().any(|(known, _)| known == action) {
                pair.push(Class::TargetChanged, action, format!("its targets come from {read}"));
            }
            continue;
        };
        for (name, is) in arguments {
            let Some(was) = was.get(name) else { continue };
            let (Argument(was), Argument(is)) = (was, is);
            if was == is {
                continue;
            }
            // A filter that is taken away lets more in, one that is added lets less in.
            let class = match (was, is) {
                (_, Value::None) | (Value::Bool(false), Value::Bool(true)) => Class::TargetWidened,
                (Value::None, _) | (Value::Bool(true), Value::Bool(false)) => Class::TargetNarrowed,
                _ => match (
                    larger(was, is),
                    LARGER_IS_FEWER.contains(&&**name),
                    LARGER_IS_MORE.contains(&&**name),
                ) {
                    (Some(true), true, _) | (Some(false), _, true) => Class::TargetNarrowed,
                    (Some(false), true, _) | (Some(true), _, true) => Class::TargetWidened,
                    _ => Class::TargetChanged,
                },
            };
            pair.push(
                class,
                action,
                format!("{name} of {read} was {} and is {}", show(was), show(is)),
            );
        }
    }
}

/// Whether the second is larger; `None` when that cannot be said.
fn larger(was: &Value, is: &Value) -> Option<bool> {
    let (was, is) = match (was, is) {
        (Value::Int(was), Value::Int(is))
        | (Value::Duration(was), Value::Duration(is))
        | (Value::Bytes(was), Value::Bytes(is)) => (*was as f64, *is as f64),
        (Value::Float(was), Value::Float(is))
        | (Value::Ratio(was), Value::Ratio(is))
        | (Value::Rate(was), Value::Rate(is)) => (*was, *is),
        _ => return None,
    };
    Some(is > was)
}

fn questions(old: &Plan, new: &Plan, pair: &mut Pair<'_>) {
    for question in &new.questions {
        let Some(was) = old.questions.iter().find(|known| known.name == question.name) else {
            continue;
        };
        if was.condition != question.condition {
            pair.push(
                Class::ConditionChanged,
                &question.name,
                format!("yes when {}, was when {}", question.condition, was.condition),
            );
        }
        if was.by != question.by {
            pair.push(
                Class::ConditionChanged,
                &question.name,
                format!("answered by {}, was by {}", question.by, was.by),
            );
        }
    }
}

/// Every cause and every outcome of an action: the steps by their names, with where each way goes.
fn ways(steps: &[Step]) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    fn walk(steps: &[Step], found: &mut BTreeMap<(String, String), String>) {
        for step in steps {
            for way in &step.ways {
                let name = way.on.split(':').next().unwrap_or_default().to_owned();
                let subject = if step.kind == "branch" {
                    name.clone()
                } else {
                    step.name.clone()
                };
                let text = match (step.kind, &way.then) {
                    ("branch", _) => way.on.clone(),
                    (_, Some(then)) => {
                        let undo = if then.undo { "undo, " } else { "" };
                        let tells: Vec<&str> = then.tells.iter().map(|tell| tell.operation.as_str()).collect();
                        let tells = if tells.is_empty() {
                            String::new()
                        } else {
                            format!("tell {}, ", tells.join(", "))
                        };
                        format!("{undo}{tells}{}", then.end)
                    }
                    (_, None) => "go on".to_owned(),
                };
                let kind = if step.kind == "branch" {
                    "cause".to_owned()
                } else {
                    name
                };
                found.insert((subject, kind), text);
                walk(&way.steps, found);
            }
        }
    }
    walk(steps, &mut found);
    found
}

fn branches(old: &Plan, new: &Plan, pair: &mut Pair<'_>) {
    let (before, after) = (ways(&old.steps), ways(&new.steps));
    for ((subject, kind), is) in &after {
        match before.get(&(subject.clone(), kind.clone())) {
            None if kind == "cause" => pair.push(Class::CauseAdded, subject, format!("a new way: {is}")),
            None => {}
            Some(was) if was == is => {}
            Some(was) if kind == "cause" => pair.push(
                Class::ConditionChanged,
                subject,
                format!("the cause is {is}, was {was}"),
            ),
            Some(was) => {
                let class = if was.starts_with("undo") && !is.starts_with("undo") {
                    Class::UndoRemoved
                } else {
                    Class::OutcomeChanged
                };
                pair.push(class, subject, format!("{kind} -> {is}, was {was}"));
            }
        }
    }
    for ((subject, kind), was) in &before {
        if kind == "cause" && !after.contains_key(&(subject.clone(), kind.clone())) {
            pair.push(Class::CauseRemoved, subject, format!("was {was}"));
        }
    }
}

/// The ways to actions that nobody approves: the answers on the way, and the action.
fn unapproved(plan: &Plan) -> Vec<(Vec<String>, String)> {
    fn walk(steps: &[Step], plan: &Plan, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
        for step in steps {
            let free = plan
                .effects
                .iter()
                .any(|effect| effect.action == step.name && effect.approval.is_none());
            if matches!(step.kind, "action" | "manual") && free {
                found.push((path.clone(), step.name.clone()));
            }
            for way in &step.ways {
                if !way.steps.is_empty() {
                    path.push(way.on.split(':').next().unwrap_or_default().to_owned());
                    walk(&way.steps, plan, path, found);
                    path.pop();
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&plan.steps, plan, &mut Vec::new(), &mut found);
    found
}

fn without_approval(plan: &Plan, action: &str, path: &[String]) -> Difference {
    let way = if path.is_empty() {
        "on every run".to_owned()
    } else {
        format!("on {}", path.join(", then "))
    };
    difference(
        Class::PathWithoutApproval,
        &plan.runbook,
        action,
        format!("{way}, it is done without approval"),
    )
}

fn times(old: &Plan, new: &Plan, pair: &mut Pair<'_>) {
    for (what, was, is) in [
        ("the longest way", old.longest.seconds, new.longest.seconds),
        ("the timebox", old.timebox_seconds, new.timebox_seconds),
    ] {
        if was == is {
            continue;
        }
        let class = if is > was {
            Class::TimeLonger
        } else {
            Class::TimeShorter
        };
        pair.push(class, "", format!("{what} is {}, was {}", span(is), span(was)));
    }
    if new.longest.beyond_timebox && !old.longest.beyond_timebox {
        pair.push(
            Class::TimeLonger,
            "",
            "the timebox can now end the run before its longest way does",
        );
    }
}

fn needs(old: &Plan, new: &Plan, pair: &mut Pair<'_>) {
    let set = |plan: &Plan| -> BTreeSet<(String, String)> {
        plan.needs
            .iter()
            .map(|need| (need.effect.to_owned(), need.capability.clone()))
            .collect()
    };
    let (before, after) = (set(old), set(new));
    for (effect, capability) in after.difference(&before) {
        pair.push(Class::GrantAdded, "", format!("needs {effect} {capability}"));
    }
    for (effect, capability) in before.difference(&after) {
        pair.push(
            Class::GrantRemoved,
            "",
            format!("no longer needs {effect} {capability}"),
        );
    }
}
