//! What a provider knows beyond its operations: previews of changes, the rights that operations need in the target's own
//! words, and whether what a runbook refers to is there. Every part has a default that says "not known".

use super::Operation;
use crate::value::{Unknown, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Shows that a preview was granted. Only [`super::gate::Gate`] makes one: a preview can have side effects, so it is a class of
/// its own, and neither a read nor a dry run may make one unasked.
///
/// ```compile_fail
/// let pass = starr::provider::native::PreviewPass { _private: () };
/// ```
#[derive(Debug)]
pub struct PreviewPass {
    pub(in crate::provider) _private: (),
}

/// What a provider says that a change would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Previewed {
    /// The provider has no preview of this operation: what it would do is not known beforehand.
    NoPreview,
    /// The environment does not grant it; with what is missing.
    NotGranted(String),
    /// What the target said, and how it was asked.
    Shown {
        /// `explained`, `done and rolled back`, `server-side dry run`.
        how: String,
        lines: Vec<String>,
    },
    /// It was asked and there is no answer.
    Unknown(Unknown),
}

/// An operation that a runbook can call, with the arguments that are known before it runs.
#[derive(Clone, Debug)]
pub struct Use {
    pub operation: Arc<Operation>,
    pub args: Vec<(Arc<str>, Option<Value>)>,
    /// Arguments of which a part is known: what a look gives has the names that it was asked for.
    pub parts: Vec<(Arc<str>, Value)>,
}

impl Use {
    /// The known value of an argument.
    pub fn arg(&self, name: &str) -> Option<&Value> {
        self.args
            .iter()
            .find(|(known, _)| &**known == name)
            .and_then(|(_, value)| value.as_ref())
    }

    /// The known value of a field of an argument.
    pub fn field(&self, name: &str, field: &str) -> Option<&Value> {
        let part = || {
            self.parts
                .iter()
                .find(|(known, _)| &**known == name)
                .map(|(_, value)| value)
        };
        let value = self.arg(name).or_else(part)?.as_record()?.get(field)?;
        value.as_unknown().is_none().then_some(value)
    }
}

/// One right in the target's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Privilege {
    /// The target, as grants and configurations name it.
    pub target: String,
    /// The login that needs it: `read`, `change`.
    pub login: String,
    /// One statement, complete: `GRANT pg_signal_backend TO starr_change;`
    pub statement: String,
    /// False when a name in it must be filled in by whoever knows it.
    pub complete: bool,
    /// The operations that need it.
    pub because: Vec<String>,
}

/// Whether something is allowed, as the target says. What could not be asked is never allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "because")]
pub enum Allowed {
    Yes,
    /// With why not.
    No(String),
    /// With why it is not known.
    Unknown(String),
}

/// One right that a runbook needs, and whether the login has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Right {
    /// The target, as grants and configurations name it.
    pub target: String,
    /// `dynamodb:UpdateTable`
    pub action: String,
    /// What it is done to, in the target's own words; `*` for nothing in particular.
    pub on: String,
    pub allowed: Allowed,
}

/// What kind of thing a runbook refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferenceKind {
    Table,
    Function,
    Setting,
    Url,
    File,
    Unit,
    Container,
    Project,
}

impl ReferenceKind {
    /// The kind as a word.
    pub fn word(self) -> &'static str {
        match self {
            ReferenceKind::Table => "table",
            ReferenceKind::Function => "function",
            ReferenceKind::Setting => "setting",
            ReferenceKind::Url => "URL",
            ReferenceKind::File => "file",
            ReferenceKind::Unit => "unit",
            ReferenceKind::Container => "container",
            ReferenceKind::Project => "project",
        }
    }
}

/// Something outside that a runbook names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    pub kind: ReferenceKind,
    /// `public.orders`, `https://shop.example.org/health`, `nginx.service`
    pub name: String,
    /// The canonical target it is looked up in.
    pub on: String,
    /// False when nothing is to be sent to it, only whether it can be reached: it takes changes.
    pub readable: bool,
}

/// Whether a reference leads anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    There,
    /// Definitely not there; with what the target said.
    Missing(String),
    /// It cannot be told; with why.
    Unknown(String),
}
