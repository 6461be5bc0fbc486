//! The one type for everything that points at source text.

use crate::source::Span;
use serde::Serialize;

/// How much a finding weighs. Errors stop a run before it starts; warnings and notes do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Note,
    Warning,
    Error,
}

/// A second place that belongs to a finding, with a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// A replacement that would remove the finding. `starr check --fix` applies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub span: Span,
    pub replacement: String,
}

/// One finding: what was found, what was expected, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule's id, for example `series-without-for`; its page is `docs/rules/<id>.md`. Findings of the parser have the id `syntax`.
    pub rule: &'static str,
    pub level: Level,
    /// One short sentence without a full stop.
    pub message: String,
    /// The exact text the finding is about.
    pub span: Span,
    /// What stands under the underlined text; may be empty.
    pub label: String,
    pub labels: Vec<Label>,
    /// What to do; may be empty.
    pub help: Option<String>,
    pub edits: Vec<Edit>,
}

impl Diagnostic {
    /// A finding without label, help or edit.
    pub fn new(rule: &'static str, level: Level, span: Span, message: impl Into<String>) -> Self {
        Self {
            rule,
            level,
            message: message.into(),
            span,
            label: String::new(),
            labels: Vec::new(),
            help: None,
            edits: Vec::new(),
        }
    }

    /// An error.
    pub fn error(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(rule, Level::Error, span, message)
    }

    /// A warning.
    pub fn warning(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(rule, Level::Warning, span, message)
    }

    /// A note.
    pub fn note(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(rule, Level::Note, span, message)
    }

    /// Says what the underlined text is.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Adds a second place.
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Says what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Offers a replacement.
    pub fn edit(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.edits.push(Edit {
            span,
            replacement: replacement.into(),
        });
        self
    }
}
