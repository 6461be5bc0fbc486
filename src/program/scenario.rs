//! Checked scenarios: what the systems answer, what people do, what must come of it.

use super::RunbookId;
use crate::provider::Operation;
use crate::source::Span;
use crate::value::{Answer, Reason, Type, Value};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A scenario whose names are resolved and whose `like` is merged in.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub title: String,
    /// Of the title.
    pub span: Span,
    pub runbook: RunbookId,
    pub arguments: Vec<(String, Value)>,
    /// When the run begins.
    pub clock: Timestamp,
    pub given: Vec<Given>,
    pub stubs: Vec<Stub>,
    pub people: Vec<Said>,
    pub expect: Vec<Expected>,
}

/// What an operation answers.
#[derive(Clone, Debug)]
pub struct Given {
    pub operation: Arc<Operation>,
    /// Arguments that must be equal; others are free.
    pub args: Vec<(Arc<str>, Value)>,
    /// Of the values: what the reply is decoded to where a type was written.
    pub ty: Type,
    /// One after the other; never empty. The last stands for good.
    pub replies: Vec<Reply>,
    pub span: Span,
}

/// One answer, and how long it stands.
#[derive(Clone, Debug)]
pub struct Reply {
    pub kind: ReplyKind,
    /// `None` for the last.
    pub until: Option<Until>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyKind {
    /// A read's reply. What was left out is `Unknown` with the reason `Missing`: [`crate::scenario`] fills it in.
    Value(Value),
    /// No answer: of a read it is unknown, of a change it failed or is unclear.
    NotHad(Reason),
    /// `fails "…"`
    Fails(String),
    /// `done`, `done after 1 min`; with the result where one was given.
    Done { after: Duration, result: Option<Value> },
}

/// How long an answer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until this action is done; with the names of called runbooks before it: `child.roll_back`.
    Action(String),
    /// So long after the run began.
    Elapsed(Duration),
    /// For one call.
    Once,
}

/// `run NAME -> resolved`: another runbook that is not run.
#[derive(Clone, Debug)]
pub struct Stub {
    /// The name of the check or the runbook, with those of called runbooks before it.
    pub name: String,
    /// `resolved`, `escalated`, `stopped`, `in doubt`, `refused`, `not present`
    pub outcome: String,
    pub span: Span,
}

/// What a person does.
#[derive(Clone, Debug)]
pub struct Said {
    /// A question, action, order or heavy operation, with the names of called runbooks before it.
    pub name: String,
    pub kind: SaidKind,
    /// Not taken over with `like`: then it must be used.
    pub own: bool,
    pub span: Span,
}

/// The name under which an emergency override is spoken of. No action can have it: names are single words.
pub const OVERRIDE: &str = "emergency override";

/// The name under which what is said of an acknowledgement is kept.
pub const ACKNOWLEDGE: &str = "acknowledge";

/// The ways in which a person takes part.
#[derive(Clone, Debug, PartialEq)]
pub enum SaidKind {
    /// Yes, no, or "I do not know"; one after the other where the answer changes. Never empty; the last stands for good.
    Answer(Vec<(Answer, Option<Until>)>),
    /// A value, as it would be typed.
    Value(String),
    Approve {
        role: Option<String>,
        after: Duration,
    },
    Refuse {
        role: Option<String>,
        after: Duration,
        because: String,
    },
    /// Nobody says anything; of the order that takes a `manual` back when `undo`.
    Silent {
        undo: bool,
    },
    /// Of the order that takes a `manual` back when `undo`.
    Tick {
        undo: bool,
        after: Duration,
    },
    Retry,
    Undo,
    Keep,
    /// Asked about this, the operator gives the run to somebody else, who goes on with it.
    HandOver {
        to: String,
        after: Duration,
        because: String,
    },
    /// The run is started under an emergency override.
    Override {
        because: String,
        ticket: String,
        lasts: Duration,
        /// Who consents; `None`: nobody.
        second: Option<String>,
        after: Duration,
    },
    /// So long after the run began somebody acknowledges the incident where it was announced.
    Acknowledge {
        by: Option<String>,
        after: Duration,
    },
}

/// What must come of the run.
#[derive(Clone, Debug)]
pub struct Expected {
    pub kind: ExpectedKind,
    pub span: Span,
}

/// The kinds of expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedKind {
    Severity(String),
    /// The causes that were treated, in this order, and no other.
    Cause(Vec<String>),
    Arm {
        cannot_tell: bool,
        /// The branch's question.
        of: Option<String>,
    },
    /// The answers of a question in the order in which they changed, beginning with the first.
    Answer {
        name: String,
        answer: Answer,
    },
    /// The value of a read or of what a person gave, the first time.
    Value {
        name: String,
        value: Value,
    },
    /// Exactly these were changed, and not found to have failed.
    Changed(Vec<String>),
    /// Exactly these were taken back.
    Undone(Vec<String>),
    Never(Vec<String>),
    Told {
        operation: String,
        times: Option<u64>,
    },
    Outcome {
        word: String,
        reason: Option<String>,
        within: Option<Duration>,
    },
    /// A part of the record (`situation`, `task`, `action`, `result`, `reflection`) says this.
    Record {
        part: String,
        text: String,
    },
}
