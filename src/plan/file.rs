//! A plan that is kept: what was planned for which arguments in which environment, what was found, and one number over all of it.

use super::Plan;
use super::found::{Found, values, within};
use crate::provider::Call;
use crate::value::{Value, tagged};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The form of the file.
pub const FORM: u32 = 1;

/// Most bytes of a plan that is read.
pub const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A plan with what it was made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    pub starr_plan: u32,
    /// SHA-256 (hex) over everything that decides: the same for the same texts, arguments and findings, whatever the machine or hour.
    pub digest: String,
    /// Drawn for this one file: it is run at most once.
    pub id: String,
    pub made: jiff::Timestamp,
    pub tool_version: String,
    /// The runbook's file as it was named.
    pub file: String,
    pub environment: String,
    /// Values in the form of [`tagged`].
    pub arguments: Vec<(String, Json)>,
    /// Answers to observed questions that were given beforehand; nothing is "I do not know".
    pub answers: BTreeMap<String, Option<bool>>,
    /// The symbolic plan.
    pub plan: Json,
    /// What was found, when somebody looked.
    pub found: Option<Found>,
}

/// What a plan file is made of.
pub struct Made<'a> {
    pub plan: &'a Plan,
    pub found: Option<Found>,
    pub id: String,
    pub made: jiff::Timestamp,
    pub file: String,
    pub environment: String,
    pub arguments: &'a [(String, Value)],
    pub answers: BTreeMap<String, Option<bool>>,
}

impl PlanFile {
    /// The file of a plan.
    pub fn new(made: Made<'_>) -> Self {
        let mut file = Self {
            starr_plan: FORM,
            digest: String::new(),
            id: made.id,
            made: made.made,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            file: made.file,
            environment: made.environment,
            arguments: made
                .arguments
                .iter()
                .map(|(name, value)| (name.clone(), tagged::to_json(value)))
                .collect(),
            answers: made.answers,
            plan: serde_json::to_value(made.plan).expect("a plan is text, numbers and lists alone"),
            found: made.found,
        };
        file.digest = file.over();
        file
    }

    /// Reads a file, and whether it is as it was written.
    ///
    /// # Errors
    /// Says what cannot be read, or that the file was edited.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: Self = serde_json::from_str(text).map_err(|problem| format!("this is not a plan: {problem}"))?;
        if file.starr_plan != FORM {
            return Err(format!("a plan of form {}; this version reads {FORM}", file.starr_plan));
        }
        if file.digest != file.over() {
            return Err("the plan was edited: it does not agree with its digest".to_owned());
        }
        Ok(file)
    }

    fn over(&self) -> String {
        let decisive = serde_json::json!({
            "file": self.file,
            "environment": self.environment,
            "arguments": self.arguments,
            "answers": self.answers,
            "plan": self.plan,
            "found": self.found.as_ref().map(Found::decisive),
        });
        hex::encode(Sha256::digest(decisive.to_string()))
    }

    /// What tells this file from every other: the digest and the number that was drawn for it.
    pub fn once(&self) -> [u8; 32] {
        Sha256::digest(format!("{} {}", self.digest, self.id)).into()
    }

    /// The arguments of the run.
    ///
    /// # Errors
    /// Names the argument that cannot be read.
    pub fn values(&self) -> Result<Vec<(String, Value)>, String> {
        self.arguments
            .iter()
            .map(|(name, value)| {
                let value = tagged::from_json(value).map_err(|problem| format!("argument `{name}`: {problem}"))?;
                if crate::value::identity::unknown_in(&value).is_some() || matches!(value, Value::Secret(_)) {
                    return Err(format!("argument `{name}` is not in the plan, because it is a secret"));
                }
                Ok((name.clone(), value))
            })
            .collect()
    }

    /// What the plan says that is no longer so in the texts, a line each.
    pub fn edited(&self, now: &Plan) -> Vec<String> {
        let now = serde_json::to_value(now).expect("a plan is text, numbers and lists alone");
        if now == self.plan {
            return Vec::new();
        }
        let texts = |plan: &Json| -> BTreeMap<String, String> {
            serde_json::from_value(plan["texts"].clone()).unwrap_or_default()
        };
        let (was, is) = (texts(&self.plan), texts(&now));
        let mut lines: Vec<String> = was
            .iter()
            .filter(|(name, digest)| is.get(*name) != Some(digest))
            .map(|(name, digest)| match is.get(name) {
                Some(now) => format!("{name} was edited: sha256 {} then, {} now", short(digest), short(now)),
                None => format!("{name} is not used any more"),
            })
            .collect();
        lines.extend(
            is.keys()
                .filter(|name| !was.contains_key(*name))
                .map(|name| format!("{name} is used now and was not")),
        );
        if lines.is_empty() {
            lines.push(format!(
                "the plan was made by starr {}, and this version plans the same text otherwise",
                self.tool_version
            ));
        }
        lines
    }

    /// Whether a change is one that the plan holds.
    ///
    /// # Errors
    /// Says what the plan does not hold.
    pub fn holds(&self, call: &Call) -> Result<(), String> {
        let name = call.operation.full_name();
        let actual: Vec<(String, Value)> = call
            .args
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let Some(found) = &self.found else {
            return if self.operations(&["calls", "undo"]).contains(&name) {
                Ok(())
            } else {
                Err(format!("the plan does not hold `{name}`"))
            };
        };
        if self.takes_back(found, &name, &actual) {
            return Ok(());
        }
        let mut refusal = format!("the plan does not hold `{name}`");
        for planned in found.changes.iter().flat_map(|change| &change.calls) {
            if planned.operation != name {
                continue;
            }
            match within(&values(planned), &actual) {
                Ok(()) => return Ok(()),
                Err(why) => refusal = format!("beyond the plan: {why}"),
            }
        }
        Err(refusal)
    }

    /// Whether this call takes back a change of the plan. What it restores is only known in the run; what it touches is that of
    /// the change: every argument that undo and change write in the same words.
    fn takes_back(&self, found: &Found, name: &str, actual: &[(String, Value)]) -> bool {
        let list = |json: &Json| json.as_array().cloned().unwrap_or_default();
        let arguments = |call: &Json| -> Vec<(String, String)> {
            serde_json::from_value(call["arguments"].clone()).unwrap_or_default()
        };
        for change in &found.changes {
            let action = change.action.rsplit('.').next().unwrap_or_default();
            for effect in self.effects().iter().filter(|effect| effect["action"] == action) {
                let undos = list(&effect["undo"]);
                let back = undos.iter().flat_map(|undo| list(&undo["calls"]));
                for back in back.filter(|back| back["operation"] == name) {
                    for (done, planned) in list(&effect["calls"]).iter().zip(&change.calls) {
                        let written = arguments(done);
                        let fixed: Vec<(String, Value)> = arguments(&back)
                            .into_iter()
                            .filter(|argument| written.contains(argument))
                            .filter_map(|(name, _)| actual.iter().find(|(known, _)| *known == name).cloned())
                            .collect();
                        if !fixed.is_empty() && within(&values(planned), &fixed).is_ok() {
                            return true;
                        }
                    }
                }
            }
        }
        false
    }

    fn effects(&self) -> Vec<Json> {
        fn of(plan: &Json, found: &mut Vec<Json>) {
            found.extend(plan["effects"].as_array().cloned().unwrap_or_default());
            for child in plan["runs"].as_array().into_iter().flatten() {
                of(child, found);
            }
        }
        let mut found = Vec::new();
        of(&self.plan, &mut found);
        found
    }

    /// The operations of the plan's effects, of its own runbook and of those it runs.
    fn operations(&self, parts: &[&str]) -> Vec<String> {
        let list = |json: &Json| json.as_array().cloned().unwrap_or_default();
        let mut found = Vec::new();
        for effect in self.effects() {
            let undos = list(&effect["undo"]);
            let done = parts.contains(&"calls").then(|| list(&effect["calls"]));
            let back = parts
                .contains(&"undo")
                .then(|| undos.iter().flat_map(|undo| list(&undo["calls"])).collect::<Vec<_>>());
            for call in done.into_iter().chain(back).flatten() {
                found.extend(call["operation"].as_str().map(str::to_owned));
            }
        }
        found
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
