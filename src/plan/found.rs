//! What a look at the real systems found: read from the entries of a dry run, and compared with a later look.

use crate::check;
use crate::journal::Recorded;
use crate::journal::event::{Event, PlannedCall};
use crate::provider::Operation;
use crate::value::decode::decode;
use crate::value::identity::{identity, same_target};
use crate::value::{Answer, Value, tagged};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found, and which way the run would go from there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The newest answer of each question, in the order in which they were first asked.
    pub answers: Vec<FoundAnswer>,
    pub severity: Option<String>,
    /// Causes and arms, in the order in which they were taken.
    pub turns: Vec<Turn>,
    /// What would be sent after approval.
    pub changes: Vec<Change>,
    /// Who would be told, by the reads alone.
    pub tells: Vec<String>,
    /// How it would end, as far as that is known.
    pub ends: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundAnswer {
    pub name: String,
    pub question: String,
    pub answer: Answer,
    /// Actual value and limit, or why there is no answer.
    pub because: String,
    /// Who said so; empty for the systems.
    pub by: String,
}

/// A cause or an arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// `cause abandoned`, `otherwise`, `cannot tell`.
    pub taken: String,
    /// The cause's statement, or the branch's question.
    pub about: String,
    pub because: String,
}

/// What an action would send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub action: String,
    pub order: String,
    pub calls: Vec<PlannedCall>,
    /// Per call what its target says it would do, where a preview is granted; empty lines where it has none.
    #[serde(default)]
    pub previews: Vec<Preview>,
    /// Per call the arguments without what is only measured, as [`tagged`] values: what the digest and the run are bound to.
    pub exact: Vec<Vec<(String, Json)>>,
}

/// What a target says that a call would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// `explained`, `done and rolled back`; why there is none otherwise.
    pub how: String,
    pub lines: Vec<String>,
    /// The target was asked and said something.
    pub shown: bool,
}

/// The operation of this full name, from the interface texts.
pub fn operation(full_name: &str) -> Option<Arc<Operation>> {
    let (provider, path) = full_name.split_once('.')?;
    check::operation(provider, path)
}

/// The arguments of a shown call as values of the operation's types.
pub fn values(call: &PlannedCall) -> Vec<(String, Value)> {
    let operation = operation(&call.operation);
    call.arguments
        .iter()
        .map(|(name, shown)| {
            let ty = operation
                .as_ref()
                .and_then(|operation| operation.params.iter().find(|param| *param.name == **name))
                .map(|param| &param.ty);
            let value = match (ty, shown.data()) {
                (_, Json::Null) => Value::None,
                (Some(ty), data) => decode(ty, data),
                (None, data) => Value::Json(Arc::new(data.clone())),
            };
            (name.clone(), value)
        })
        .collect()
}

fn exact(call: &PlannedCall) -> Vec<(String, Json)> {
    values(call)
        .into_iter()
        .map(|(name, value)| (name, tagged::to_json(&identity(&value))))
        .collect()
}

impl Found {
    /// What a dry run found, from its entries.
    pub fn of(entries: &[Recorded]) -> Self {
        let mut found = Self::default();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut started: BTreeMap<String, Change> = BTreeMap::new();
        for entry in entries {
            let Some(event) = &entry.event else { continue };
            let named = |name: &str| {
                if entry.scope.is_empty() {
                    name.to_owned()
                } else {
                    format!("{}.{name}", entry.scope)
                }
            };
            match event {
                Event::Answered {
                    name,
                    question,
                    answer,
                    evidence,
                    reason,
                    by,
                    ..
                } => {
                    let because = reason.clone().unwrap_or_else(|| {
                        let facts: Vec<String> = evidence
                            .iter()
                            .filter(|fact| !fact.actual.is_empty())
                            .map(|fact| {
                                let limit = if fact.limit.is_empty() {
                                    String::new()
                                } else {
                                    format!(", limit {}", fact.limit)
                                };
                                let detail = if fact.detail.is_empty() {
                                    String::new()
                                } else {
                                    format!(", {}", fact.detail)
                                };
                                let actual = if fact.actual == "[]" { "none" } else { &fact.actual };
                                format!("{actual}{limit}{detail}")
                            })
                            .collect();
                        facts.join("; ")
                    });
                    let answer = FoundAnswer {
                        name: named(name),
                        question: question.clone(),
                        answer: *answer,
                        because,
                        by: by.as_ref().map(|person| person.name.clone()).unwrap_or_default(),
                    };
                    match places.get(&answer.name) {
                        Some(place) => found.answers[*place] = answer,
                        None => {
                            places.insert(answer.name.clone(), found.answers.len());
                            found.answers.push(answer);
                        }
                    }
                }
                Event::Severity { name, .. } => found.severity.clone_from(name),
                Event::Cause {
                    name,
                    statement,
                    because,
                    chosen: true,
                    ..
                } => found.turns.push(Turn {
                    taken: format!("cause {}", named(name)),
                    about: statement.clone(),
                    because: because.clone(),
                }),
                Event::Arm { arm, branch, because } => found.turns.push(Turn {
                    taken: named(arm),
                    about: branch.clone(),
                    because: because.clone(),
                }),
                Event::ActionStarted {
                    name,
                    order,
                    operations,
                    ..
                } => {
                    let change = Change {
                        action: named(name),
                        order: order.clone(),
                        calls: operations.clone(),
                        previews: Vec::new(),
                        exact: operations.iter().map(exact).collect(),
                    };
                    started.insert(change.action.clone(), change);
                }
                Event::ActionEnded { name, outcome, .. } if WOULD_BE_SENT.contains(&outcome.as_str()) => {
                    found.changes.extend(started.remove(&named(name)));
                }
                Event::Told { operation, .. } => found.tells.push(operation.clone()),
                Event::Ended { outcome, reason, .. } if entry.scope.is_empty() => {
                    found.ends.clone_from(outcome);
                    found.reason.clone_from(reason);
                }
                _ => {}
            }
        }
        found
    }

    /// What decides: answers, turns and what would be sent. What is only measured is not in it.
    pub fn decisive(&self) -> Json {
        let answers: Vec<(&str, Answer)> = self
            .answers
            .iter()
            .map(|answer| (answer.name.as_str(), answer.answer))
            .collect();
        let turns: Vec<&str> = self.turns.iter().map(|turn| turn.taken.as_str()).collect();
        let changes: Vec<Json> = self
            .changes
            .iter()
            .map(|change| {
                let operations: Vec<&str> = change.calls.iter().map(|call| call.operation.as_str()).collect();
                serde_json::json!([change.action, operations, change.exact])
            })
            .collect();
        serde_json::json!({"answers": answers, "turns": turns, "changes": changes})
    }

    /// What is no longer as it was, a line each. Targets that are gone are no drift: they are dropped, none is added.
    pub fn drift(&self, now: &Found) -> Vec<String> {
        let mut lines = Vec::new();
        for was in &self.answers {
            match now.answers.iter().find(|answer| answer.name == was.name) {
                Some(is) if is.answer == was.answer => {}
                Some(is) => lines.push(format!(
                    "{} was {} ({}) and is {} ({})",
                    was.name,
                    word(was.answer),
                    was.because,
                    word(is.answer),
                    is.because
                )),
                None => lines.push(format!(
                    "{} was {} and is not asked any more",
                    was.name,
                    word(was.answer)
                )),
            }
        }
        for is in &now.answers {
            if !self.answers.iter().any(|answer| answer.name == is.name) {
                lines.push(format!("{} was not asked and is {}", is.name, word(is.answer)));
            }
        }
        let turns = |found: &Found| {
            let taken: Vec<&str> = found.turns.iter().map(|turn| turn.taken.as_str()).collect();
            if taken.is_empty() {
                "no branch".to_owned()
            } else {
                taken.join(", then ")
            }
        };
        if turns(self) != turns(now) {
            lines.push(format!("the way was {} and is {}", turns(self), turns(now)));
        }
        for change in &now.changes {
            match self.changes.iter().find(|planned| planned.action == change.action) {
                None => lines.push(format!(
                    "{} was not to be done and now would be: {}",
                    change.action, change.order
                )),
                Some(planned) => lines.extend(beyond(planned, change)),
            }
        }
        for change in &self.changes {
            if !now.changes.iter().any(|still| still.action == change.action) {
                lines.push(format!(
                    "{} was to be done and now would not be: {}",
                    change.action, change.order
                ));
            }
        }
        lines
    }
}

/// How the dry run of the engine ends an action.
pub const WOULD_BE_SENT: &[&str] = &["would be sent", "planned, not applied"];

/// What a change would do beyond the planned one.
fn beyond(planned: &Change, now: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    if planned.calls.len() != now.calls.len() {
        lines.push(format!(
            "{} had {} calls and has {}",
            now.action,
            planned.calls.len(),
            now.calls.len()
        ));
        return lines;
    }
    for (planned_call, call) in planned.calls.iter().zip(&now.calls) {
        if planned_call.operation != call.operation {
            lines.push(format!(
                "{} was to call {} and would call {}",
                now.action, planned_call.operation, call.operation
            ));
            continue;
        }
        if let Err(why) = within(&values(planned_call), &values(call)) {
            lines.push(format!("{}: {why}", now.action));
        }
    }
    lines
}

/// Whether arguments stay inside those that were planned: the same, or lists with fewer of the same elements.
///
/// # Errors
/// Says what is beyond.
pub fn within(planned: &[(String, Value)], actual: &[(String, Value)]) -> Result<(), String> {
    for (name, value) in actual {
        let planned = planned
            .iter()
            .find(|(known, _)| known == name)
            .map_or(&Value::None, |(_, value)| value);
        match (planned, value) {
            (Value::List(planned), Value::List(actual)) => {
                if actual.truncated {
                    return Err(format!("the list of `{name}` was cut"));
                }
                let added: Vec<String> = actual
                    .items
                    .iter()
                    .filter(|item| !planned.items.iter().any(|known| same_target(known, item)))
                    .map(|item| crate::value::show::show(&identity(item)))
                    .collect();
                if !added.is_empty() {
                    return Err(format!("`{name}` was not to hold {}", added.join("; ")));
                }
            }
            (planned, actual) if *planned == Value::None && *actual == Value::None => {}
            (planned, actual) if same_target(planned, actual) => {}
            (planned, actual) => {
                return Err(format!(
                    "`{name}` was {} and is {}",
                    crate::value::show::show(planned),
                    crate::value::show::show(actual)
                ));
            }
        }
    }
    Ok(())
}

/// The answer as a word.
pub fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Unknown => "unknown",
    }
}
