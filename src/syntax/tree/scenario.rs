//! Scenarios as they are written.

use super::{Arg, Expr, GivenValue, Name, Path, Prose, Text};
use crate::source::Span;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub title: Text,
    pub clauses: Vec<ScenarioClause>,
    pub body: Span,
}

#[derive(Clone, Debug)]
pub struct ScenarioClause {
    pub kind: ScenarioKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ScenarioKind {
    Prose(Prose),
    /// `run pool_exhausted(db: "orders")`
    Run(Expr),
    /// `clock 2026-11-22 03:00 UTC`, as written
    Clock(Name),
    Like(Text),
    Given(Vec<GivenLine>),
    Operator(Vec<OperatorLine>),
    Expect(Vec<ExpectLine>),
    Junk,
}

/// `postgres.sessions.list(db: "orders") -> 14 of {…}`; for a stubbed runbook `run NAME -> resolved`.
#[derive(Clone, Debug)]
pub struct GivenLine {
    /// True for `run NAME -> OUTCOME`.
    pub run: bool,
    pub key: Path,
    pub args: Option<Vec<Arg>>,
    pub value: GivenValue,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct OperatorLine {
    pub kind: OperatorKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum OperatorKind {
    Answer {
        name: Path,
        value: GivenValue,
    },
    Approve {
        action: Path,
        role: Option<Name>,
        after: Option<Expr>,
        because: Option<Text>,
    },
    Refuse {
        action: Path,
        role: Option<Name>,
        after: Option<Expr>,
        because: Option<Text>,
    },
    /// `undo` of an order in words: nobody says that it was done.
    LeaveUnknown {
        name: Path,
        undo: bool,
    },
    Tick {
        name: Path,
        /// The order in words that takes a `manual` back.
        undo: bool,
        after: Option<Expr>,
    },
    /// Asks again where an unknown answer stands in the way.
    Retry(Path),
    /// Takes back what is unclear.
    Undo(Path),
    /// Leaves what is unclear as it is.
    Keep(Path),
    /// Asked about this, the operator gives the run to somebody else.
    HandOver {
        name: Path,
        to: Name,
        after: Option<Expr>,
        because: Option<Text>,
    },
    /// The run is started under an emergency override; `second` consents, and nobody when it is not there.
    Override {
        because: Option<Text>,
        ticket: Option<Text>,
        lasts: Option<Expr>,
        second: Option<Name>,
        after: Option<Expr>,
    },
    /// Somebody acknowledges the incident where it was announced.
    Acknowledge {
        by: Option<Name>,
        after: Option<Expr>,
    },
    Junk,
}

#[derive(Clone, Debug)]
pub struct ExpectLine {
    pub kind: ExpectKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExpectKind {
    Severity(Name),
    Cause(Vec<Path>),
    /// `arm otherwise | cannot tell [of "question"]`
    Arm {
        cannot_tell: bool,
        of: Option<Text>,
    },
    Answer {
        name: Path,
        value: GivenValue,
    },
    /// Empty list: `nothing`
    Changed(Vec<Path>),
    Undone(Vec<Path>),
    Never(Vec<Path>),
    Told {
        operation: Path,
        times: Option<Expr>,
    },
    /// `outcome resolved within 20 min`; the words as one name (`in doubt`, `not present`), with the reason of `stopped`.
    Outcome {
        word: Name,
        reason: Option<Text>,
        within: Option<Expr>,
    },
    /// `record situation "97 %"`: this part of the run's record says this.
    Record {
        part: Name,
        text: Text,
    },
    Junk,
}
