//! A run as it was recorded: what the systems answered, what people said, the dice, the time, and what came of it. From it a
//! world is made in which the same run happens again, without anything outside.
//!
//! On disk a recording is one file, `recording.jsonl`: the lines of [`crate::provider::record`] for the calls, and beside them one
//! line for the run, for each reply of a person, for each draw of random bytes, for each event, and for an interruption.

pub mod compare;
pub mod replay;
pub mod scenario;
pub mod witness;

#[cfg(test)]
mod tests;

use crate::check::{Library, Matrix, ModuleSource};
use crate::engine::consent::Emergency;
use crate::engine::world::Environment;
use crate::journal::Event;
use crate::journal::event::Person;
use crate::provider::Effect;
use crate::provider::gate::Grant;
use crate::provider::record::{Error, Recording as Calls};
use crate::source::Sources;
use crate::value::{Value, tagged};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The file of a recording in its folder.
pub const FILE: &str = "recording.jsonl";

/// What a run was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The run's id.
    pub run: String,
    /// Wall time at the beginning of the recording.
    pub started: jiff::Timestamp,
    pub runbook: String,
    /// The file as the user named it.
    pub file: String,
    pub tool_version: String,
    /// The texts that the program was made from, without those inside the binary.
    pub texts: BTreeMap<String, String>,
    /// Which of them is the environment's escalation matrix, and its name there; `None` when the runbook names its own.
    #[serde(default)]
    pub matrix: Option<(String, String)>,
    /// Values in the form of [`tagged`].
    pub arguments: Vec<(String, Json)>,
    pub environment: Facts,
    /// The one name of a person, by every login and alias.
    #[serde(default)]
    pub identities: BTreeMap<String, String>,
    /// The roles of each person.
    #[serde(default)]
    pub roles: Option<BTreeMap<String, Vec<String>>>,
    /// The emergency override that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
    pub grants: Vec<Granted>,
    /// What the configuration of a provider allowed beyond the default, by provider.
    #[serde(default)]
    pub exceptions: BTreeMap<String, Vec<String>>,
    /// Names of the providers that were there.
    pub providers: Vec<String>,
}

/// The environment of a recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub name: String,
    pub operator: Person,
    pub severities: Vec<String>,
    pub default_severity: String,
    pub unattended: bool,
    pub dry_run: bool,
    #[serde(default)]
    pub occasion: Option<String>,
    pub host: String,
    /// Kind, name, and fields in the form of [`tagged`].
    pub resources: Vec<(String, String, BTreeMap<String, Json>)>,
}

/// A grant as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    pub capability: String,
    pub effects: Vec<String>,
    /// `None`: every target.
    pub targets: Option<Vec<String>>,
}

impl Granted {
    /// The grant as it is written down.
    pub fn of(grant: &Grant) -> Self {
        Self {
            capability: grant.capability.clone(),
            effects: grant.effects.iter().map(|effect| effect.word().to_owned()).collect(),
            targets: grant.targets.clone(),
        }
    }

    fn grant(&self) -> Result<Grant, String> {
        Ok(Grant {
            capability: self.capability.clone(),
            effects: self
                .effects
                .iter()
                .map(|word| Effect::from_word(word).ok_or_else(|| format!("`{word}` is not an effect")))
                .collect::<Result<_, _>>()?,
            targets: self.targets.clone(),
        })
    }
}

impl Facts {
    /// The facts of an environment that a replay needs.
    pub fn of(environment: &Environment) -> Self {
        Self {
            name: environment.name.clone(),
            operator: environment.operator.clone(),
            severities: environment.severities.clone(),
            default_severity: environment.default_severity.clone(),
            unattended: environment.unattended,
            dry_run: environment.dry_run,
            occasion: environment.occasion.clone(),
            host: environment.host.clone(),
            resources: environment
                .resources
                .iter()
                .map(|((kind, name), fields)| {
                    let fields = fields
                        .iter()
                        .map(|(field, value)| (field.clone(), tagged::to_json(value)))
                        .collect();
                    (kind.clone(), name.clone(), fields)
                })
                .collect(),
        }
    }
}

/// What a person said, or that nobody did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// `observe`, `ask`, `approve`, `manual`, `unknown`, `unclear`, `heavy`, `reflect`, `held`.
    pub kind: String,
    /// The question's, action's or operation's name.
    pub name: String,
    /// What was decided about, beyond the name: the calls of an approval.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub about: Json,
    pub reply: Spoken,
    /// Nanoseconds since the recording began.
    pub from: u64,
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    Given {
        value: Json,
        by: Person,
    },
    /// Why there was nobody to ask.
    Nobody(String),
    /// No reply before its deadline.
    Silence,
}

/// An event with its place and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    pub scope: String,
    /// Nanoseconds since the recording began.
    pub at: u64,
    pub event: Event,
}

/// A whole recorded run.
#[derive(Clone, Debug)]
pub struct Recording {
    pub about: About,
    pub calls: Arc<Calls>,
    pub people: Vec<Said>,
    pub random: Vec<u8>,
    pub events: Vec<Happened>,
    /// When the run was interrupted, since the recording began.
    pub interrupted: Option<Duration>,
}

impl Recording {
    /// Reads a whole recording.
    ///
    /// # Errors
    /// Names the line that cannot be read, or says what is missing.
    pub fn read(reader: impl BufRead) -> Result<Self, Error> {
        let calls = Calls::read(reader)?;
        let mut about = None;
        let mut people = Vec::new();
        let mut random = Vec::new();
        let mut events = Vec::new();
        let mut interrupted = None;
        for (line, note) in calls.notes() {
            let wrong = |message: String| Error { line: *line, message };
            let Some((kind, content)) = note.as_object().and_then(|object| object.iter().next()) else {
                return Err(wrong("the line says nothing".to_owned()));
            };
            let unreadable = |problem: serde_json::Error| wrong(format!("`{kind}` cannot be read: {problem}"));
            match kind.as_str() {
                "run" if about.is_none() => {
                    about = Some(serde_json::from_value::<About>(content.clone()).map_err(unreadable)?);
                }
                "person" => people.push(serde_json::from_value(content.clone()).map_err(unreadable)?),
                "happened" => events.push(serde_json::from_value(content.clone()).map_err(unreadable)?),
                "random" => {
                    let bytes = content.as_str().and_then(|text| hex::decode(text).ok());
                    random.extend(bytes.ok_or_else(|| wrong("`random` is not hexadecimal".to_owned()))?);
                }
                "interrupted" => {
                    let at = content.as_u64().map(Duration::from_nanos);
                    interrupted = Some(at.ok_or_else(|| wrong("`interrupted` is not a time".to_owned()))?);
                }
                other => return Err(wrong(format!("`{other}` does not belong into a recording"))),
            }
        }
        let about = about.ok_or(Error {
            line: 2,
            message: "the recording does not say which run it is of".to_owned(),
        })?;
        Ok(Self {
            about,
            calls,
            people,
            random,
            events,
            interrupted,
        })
    }

    /// True when the run's end is in it.
    pub fn is_whole(&self) -> bool {
        self.events
            .iter()
            .any(|happened| happened.scope.is_empty() && matches!(happened.event, Event::Ended { .. }))
    }

    /// The arguments of the run.
    ///
    /// # Errors
    /// Names the argument that cannot be read.
    pub fn arguments(&self) -> Result<Vec<(String, Value)>, String> {
        self.about
            .arguments
            .iter()
            .map(|(name, value)| {
                let value = tagged::from_json(value).map_err(|problem| format!("argument `{name}`: {problem}"))?;
                Ok((name.clone(), value))
            })
            .collect()
    }
}

/// The texts of a program that do not come from the binary.
pub fn texts(sources: &Sources) -> BTreeMap<String, String> {
    sources
        .iter()
        .map(|(_, source)| source)
        .filter(|source| source.path.is_some())
        .map(|source| (source.name.clone(), source.text.to_string()))
        .collect()
}

/// The modules of a recorded program: those inside the binary, and those that were written down.
pub struct Then<'a>(pub &'a About);

impl About {
    /// The environment's escalation matrix at that time.
    pub fn matrix(&self) -> Option<Matrix> {
        let (file, name) = self.matrix.as_ref()?;
        Some(Matrix {
            module: ModuleSource {
                name: file.clone(),
                path: Some(file.into()),
                bytes: self.texts.get(file)?.clone().into_bytes(),
            },
            name: name.clone(),
        })
    }
}

impl Library for Then<'_> {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        if let Some(embedded) = crate::check::Embedded.module(path) {
            return Some(embedded);
        }
        let is = |name: &str, file: &Path| {
            let front = file.to_str().and_then(|file| name.strip_suffix(file));
            front.is_some_and(|front| front.is_empty() || front.ends_with('/'))
        };
        let (name, text) = crate::check::module_files(path)
            .iter()
            .find_map(|file| self.0.texts.iter().find(|(name, _)| is(name, file)))?;
        Some(ModuleSource {
            name: name.clone(),
            path: Some(name.into()),
            bytes: text.clone().into_bytes(),
        })
    }
}
