//! Why a policy decided as it did: which policy, and which attributes it looked at.

use super::Rules;
use super::facts::Question;
use crate::provider::policy::Request;
use cedar_policy::{Authorizer, Decision, Effect, Policy, PolicyId, PolicySet};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Conditions that are named in one explanation.
const NAMED: usize = 8;

/// A decision with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub permitted: bool,
    /// The policies that decided; none when nothing permits it.
    pub by: Vec<String>,
    /// One reason each.
    pub because: Vec<String>,
}

impl Explained {
    pub(super) fn permitted(by: &[PolicyId]) -> Self {
        Self {
            permitted: true,
            by: by.iter().map(ToString::to_string).collect(),
            because: by.iter().map(|id| format!("`{id}` permits it")).collect(),
        }
    }

    /// A policy that cannot be asked refuses.
    pub(super) fn unusable(problem: String) -> Self {
        Self {
            permitted: false,
            by: Vec::new(),
            because: vec![format!("the policy could not be evaluated: {problem}")],
        }
    }

    /// All reasons in one line.
    pub fn line(&self) -> String {
        self.because.join("; ")
    }
}

pub(super) fn refused(rules: &Rules, request: &Request, question: &Question, by: &[PolicyId]) -> Explained {
    let mut because = Vec::new();
    for id in by {
        let Some(policy) = rules.policies.policy(id) else {
            continue;
        };
        let said = policy
            .annotation("reason")
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        let seen: Vec<String> = parts(policy)
            .iter()
            .flat_map(attributes)
            .collect::<BTreeSet<_>>()
            .iter()
            .filter_map(|path| shown(question, path))
            .take(NAMED)
            .collect();
        let seen = if seen.is_empty() {
            String::new()
        } else {
            format!(": {}", seen.join(", "))
        };
        because.push(format!("`{id}` forbids it{said}{seen}"));
    }
    if because.is_empty() {
        because.push(format!(
            "no policy permits {} to {} {}",
            request.person,
            request.asked.word(),
            question.resource
        ));
        because.extend(near(rules, question));
    }
    Explained {
        permitted: false,
        by: by.iter().map(ToString::to_string).collect(),
        because,
    }
}

/// The policies that would permit it but for a condition, and that condition with the values it looked at.
fn near(rules: &Rules, question: &Question) -> Vec<String> {
    let mut permits: Vec<&Policy> = rules
        .policies
        .policies()
        .filter(|policy| policy.effect() == Effect::Permit)
        .collect();
    permits.sort_by_key(|policy| policy.id().to_string());
    let mut lines = Vec::new();
    for policy in permits {
        let Ok(mut scope) = policy.to_json() else { continue };
        scope["conditions"] = json!([]);
        if !holds(question, scope) {
            continue;
        }
        for part in parts(policy) {
            if holds(question, alone(&part)) {
                continue;
            }
            let seen: Vec<String> = attributes(&part)
                .iter()
                .filter_map(|path| shown(question, path))
                .take(NAMED)
                .collect();
            let text = words(&part);
            let but = if seen.is_empty() {
                String::new()
            } else {
                format!(", but {}", seen.join(", "))
            };
            lines.push(format!("`{}` would, when {text}{but}", policy.id()));
        }
    }
    lines.truncate(NAMED);
    lines
}

/// The conditions of a policy, each `&&` taken apart; an `unless` as its negation.
fn parts(policy: &Policy) -> Vec<Json> {
    let Ok(json) = policy.to_json() else { return Vec::new() };
    let mut parts = Vec::new();
    for condition in json["conditions"].as_array().into_iter().flatten() {
        let body = condition["body"].clone();
        if condition["kind"] == "unless" {
            parts.push(json!({ "!": { "arg": body } }));
        } else {
            take_apart(body, &mut parts);
        }
    }
    parts
}

fn take_apart(body: Json, parts: &mut Vec<Json>) {
    match body.get("&&") {
        Some(both) => {
            take_apart(both["left"].clone(), parts);
            take_apart(both["right"].clone(), parts);
        }
        None => parts.push(body),
    }
}

/// A policy that permits when this expression holds.
fn alone(part: &Json) -> Json {
    json!({
        "effect": "permit",
        "principal": { "op": "All" },
        "action": { "op": "All" },
        "resource": { "op": "All" },
        "conditions": [{ "kind": "when", "body": part }],
    })
}

fn holds(question: &Question, policy: Json) -> bool {
    let Ok(policy) = Policy::from_json(Some(PolicyId::new("part")), policy) else {
        return false;
    };
    let Ok(set) = PolicySet::from_policies([policy]) else {
        return false;
    };
    let response = Authorizer::new().is_authorized(&question.request, &set, &question.entities);
    response.decision() == Decision::Allow
}

/// The expression as it is written in Cedar.
fn words(part: &Json) -> String {
    let text = Policy::from_json(Some(PolicyId::new("part")), alone(part))
        .ok()
        .and_then(|policy| policy.to_cedar());
    let Some(text) = text else { return String::new() };
    let inner = text
        .split_once("when")
        .and_then(|(_, rest)| rest.trim().strip_prefix('{'))
        .and_then(|rest| rest.trim().trim_end_matches(';').trim().strip_suffix('}'))
        .unwrap_or(&text);
    format!("`{}`", super::one_line(inner))
}

/// The attributes an expression names: `context.weekday`, `resource.name`; `principal` alone when its roles are asked.
fn attributes(part: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(part, &mut found);
    found
}

fn collect(part: &Json, found: &mut BTreeSet<String>) {
    match part {
        Json::Object(fields) => {
            if let Some(path) = path(part) {
                found.insert(path);
                return;
            }
            for value in fields.values() {
                collect(value, found);
            }
        }
        Json::Array(items) => {
            for item in items {
                collect(item, found);
            }
        }
        _ => {}
    }
}

/// `{".": {"left": {"Var": "context"}, "attr": "weekday"}}` as `context.weekday`.
fn path(part: &Json) -> Option<String> {
    if let Some(name) = part.get("Var").and_then(Json::as_str) {
        return (name != "action").then(|| name.to_owned());
    }
    let access = part.get(".")?;
    let left = path(&access["left"])?;
    Some(format!("{left}.{}", access["attr"].as_str()?))
}

/// `context.weekday is "Sat"`.
fn shown(question: &Question, path: &str) -> Option<String> {
    let mut value = &question.values;
    for part in path.split('.') {
        match value.get(part) {
            Some(inner) => value = inner,
            // An entity in the context: its name says enough.
            None => break,
        }
    }
    Some(format!("{path} is {}", plain(value)))
}

fn plain(value: &Json) -> String {
    match value {
        Json::Object(fields) => match (fields.get("type"), fields.get("id").or_else(|| fields.get("name"))) {
            (Some(_), Some(Json::String(id))) => id.clone(),
            (None, Some(Json::String(name))) => {
                let roles = fields
                    .get("roles")
                    .and_then(Json::as_array)
                    .filter(|roles| !roles.is_empty());
                match roles {
                    Some(roles) => format!(
                        "{name} ({})",
                        roles.iter().map(plain_text).collect::<Vec<_>>().join(", ")
                    ),
                    None => name.clone(),
                }
            }
            _ => value.to_string(),
        },
        Json::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn plain_text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
