//! A checked program: names resolved, library checks and actions put in place, defaults filled in, units converted.
//!
//! The one value that the plan, the engine, the guide, the report and the editor work on. Made by `check`, never by hand
//! outside tests. Pure.

pub mod expr;
pub mod needs;
pub mod scenario;
pub mod sign;

use crate::provider::Operation;
use crate::source::{FileId, Sources, Span};
use crate::value::{Type, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use expr::{BinaryOp, Expr, ExprKind, Method, Part, RunField, Template};

/// Everything that was checked together.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub sources: Sources,
    /// The runbooks of the file, then those it runs. The first is the one that `starr run FILE` starts.
    pub runbooks: Vec<Runbook>,
    /// Library checks with their examples, of the file itself (a module).
    pub examples: Vec<ExampleCase>,
    /// Scenarios of the runbook's file and of those that belong to it; only when the library was asked for them.
    pub scenarios: Vec<scenario::Scenario>,
    /// SHA-256 (hex) of each text the program was made from, by the name of the file or module.
    /// `stdlib` is the whole standard library of this binary.
    pub digests: BTreeMap<String, String>,
    /// By the full name of an operation of class V: the check that tells whether it happened.
    pub verifications: BTreeMap<String, Verification>,
    /// Who signed it, with the fingerprint of the key; empty when nobody asked.
    pub signed_by: Vec<String>,
}

/// A check on its own, whose parameters are the arguments of the operation that names it.
#[derive(Clone, Debug)]
pub struct Verification {
    /// `std.postgres.index_is_valid`
    pub check: String,
    /// A runbook that holds the check's bindings alone.
    pub book: Runbook,
    pub question: BindingId,
}

/// Index of a runbook in [`Program::runbooks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunbookId(pub usize);

/// Index of a binding in [`Runbook::bindings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingId(pub usize);

/// Index of an action in [`Runbook::actions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(pub usize);

#[derive(Clone, Debug)]
pub struct Runbook {
    pub name: String,
    pub title: Template,
    pub span: Span,
    pub header: Header,
    /// Prose at the top of the runbook, one entry per run of lines.
    pub prose: Vec<Template>,
    /// Every name of the runbook, library instances included. Bindings only refer to earlier ones.
    pub bindings: Vec<Binding>,
    pub params: Vec<BindingId>,
    pub actions: Vec<Action>,
    pub situation: Situation,
    pub task_prose: Vec<Template>,
    /// A `Let` of type Bool named `goal`.
    pub goal: Option<BindingId>,
    pub steps: Vec<Step>,
    pub result: ResultSection,
    pub reflection: Reflection,
}

impl Runbook {
    /// True when the runbook itself, not its environment, says who is called.
    pub fn names_escalation(&self) -> bool {
        let escalation = self.result.escalation.as_ref();
        escalation.is_some_and(|escalation| escalation.environment.is_none())
    }

    /// A health summary: it has no actions and runs no other runbook, so its goal is a verdict.
    pub fn is_summary(&self) -> bool {
        self.actions.is_empty() && self.header.runs.is_empty()
    }

    /// A health summary without a severity and an escalation of its own: it has no severity, and calls nobody until it escalates.
    pub fn is_silent(&self) -> bool {
        self.is_summary() && self.situation.severity.is_empty() && !self.names_escalation()
    }

    /// The binding of this id.
    pub fn binding(&self, id: BindingId) -> &Binding {
        &self.bindings[id.0]
    }

    /// The action of this id.
    pub fn action(&self, id: ActionId) -> &Action {
        &self.actions[id.0]
    }
}

#[derive(Clone, Debug)]
pub struct Header {
    pub owner: Option<String>,
    pub status: Option<String>,
    /// `2026-11-01`
    pub reviewed: Option<String>,
    pub valid: Option<Duration>,
    pub timebox: Duration,
    /// What happens at the end of the timebox: escalate or stop.
    pub timebox_then: End,
    /// False when the default of 1 h then escalate is in force.
    pub timebox_written: bool,
    pub reads: Vec<String>,
    pub changes: Vec<String>,
    pub tells: Vec<String>,
    pub runs: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Situation {
    pub prose: Vec<Template>,
    pub symptoms: Vec<BindingId>,
    /// In order; the last rows are `cannot tell` and `otherwise`. Empty: the environment's default.
    pub severity: Vec<SeverityRow>,
}

#[derive(Clone, Debug)]
pub struct SeverityRow {
    pub name: String,
    pub when: SeverityWhen,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum SeverityWhen {
    Holds(Expr),
    CannotTell,
    Otherwise,
}

#[derive(Clone, Debug, Default)]
pub struct ResultSection {
    pub prose: Vec<Template>,
    /// May be a `For` at its top; absent: the goal, or else the last verify.
    pub resolved: Option<Expr>,
    /// Absent: the environment's matrix.
    pub escalation: Option<Escalation>,
}

#[derive(Clone, Debug)]
pub struct Escalation {
    /// The name it was imported under, or `escalation`.
    pub name: String,
    /// The file of the environment that it stands in, for a runbook that names none.
    pub environment: Option<FileId>,
    pub rows: Vec<EscalationRow>,
}

/// The row of an escalation that is told when a run whose matrix told somebody ends well.
pub const RESOLVED: &str = "resolved";

#[derive(Clone, Debug)]
pub struct EscalationRow {
    /// A severity, or [`RESOLVED`].
    pub severity: String,
    pub entries: Vec<EscalationEntry>,
}

#[derive(Clone, Debug)]
pub struct EscalationEntry {
    pub call: CallExpr,
    /// Zero is `now`.
    pub after: Duration,
    /// Held back for as long as somebody has acknowledged the incident.
    pub unless_acknowledged: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Reflection {
    pub prose: Vec<Template>,
    pub prevents: Vec<Prevent>,
    pub advice: Vec<Advice>,
    pub questions: Vec<Template>,
}

#[derive(Clone, Debug)]
pub struct Prevent {
    pub title: Template,
    pub by: Option<Template>,
    pub within: Option<Duration>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Advice {
    pub title: Template,
    pub prose: Vec<Template>,
    pub span: Span,
}

/// Something with a name and a value.
#[derive(Clone, Debug)]
pub struct Binding {
    /// As the author sees it: `stuck`, and `stuck.sessions` for a field of a check.
    pub name: String,
    pub span: Span,
    pub ty: Type,
    pub kind: BindingKind,
    /// Bindings that this one's expressions name directly.
    pub needs: Vec<BindingId>,
}

#[derive(Clone, Debug)]
pub enum BindingKind {
    /// A parameter of the runbook.
    Param {
        default: Option<Expr>,
    },
    /// A pure expression; also an argument of a library check or action that was put in place.
    Let(Expr),
    Read(CallExpr),
    Question(Question),
    /// `ask NAME "question"`
    Ask {
        title: Template,
        choices: Option<Expr>,
        within: Duration,
    },
    /// The result of `do NAME = CALL`.
    DoResult {
        action: ActionId,
        order: usize,
    },
    /// The reply of an operation's `before`, read directly before `do`.
    Before {
        action: ActionId,
        order: usize,
    },
    /// The element of an `each` or of a fan-out; set by whoever runs the loop.
    Element,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub symptom: bool,
    pub title: Template,
    pub prose: Vec<Template>,
    pub form: QuestionForm,
    /// Reads and lets inside it, by the name an author uses: `stuck.sessions`.
    pub fields: Vec<(Arc<str>, BindingId)>,
    /// The library check it is an instance of: `std.postgres.stuck_sessions`.
    pub library: Option<String>,
}

#[derive(Clone, Debug)]
pub enum QuestionForm {
    /// Answered by the expression.
    YesWhen(Expr),
    /// Answered by a person.
    Observed { by: Option<String>, within: Duration },
    /// Asked for every element: yes when any (or all) are yes.
    FanOut {
        all: bool,
        over: Expr,
        element: BindingId,
        question: BindingId,
        /// The bindings that are anew for every element.
        inner: Range<usize>,
    },
    /// Answered by running another runbook to its end.
    Run {
        runbook: RunbookId,
        args: Vec<(Arc<str>, Expr)>,
    },
}

/// A call with expressions as arguments, in the order of the operation's parameters; defaults are filled in.
#[derive(Clone, Debug)]
pub struct CallExpr {
    pub operation: Arc<Operation>,
    pub args: Vec<ArgExpr>,
    pub within: Duration,
    pub span: Span,
    /// What the reply must be decoded to when a type was written: `read rows: List<ErrorRow> = …`.
    pub decode: Option<Type>,
}

#[derive(Clone, Debug)]
pub struct ArgExpr {
    pub name: Arc<str>,
    pub value: Expr,
    /// `from: each pods`: the call is made once per element, the reply is a list.
    pub each: bool,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub kind: StepKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum StepKind {
    Prose(Template),
    /// A read, let, check or ask that stands among the steps.
    Evaluate(BindingId),
    Branch(Branch),
    /// An action or a manual.
    Action(ActionId),
    Require {
        condition: Expr,
        otherwise: Outcome,
    },
    Wait {
        condition: Expr,
        within: Duration,
        every: Duration,
        otherwise: Outcome,
    },
    Each(Each),
    Run {
        runbook: RunbookId,
        args: Vec<(Arc<str>, Expr)>,
    },
    Tell(CallExpr),
    Advise(Advice),
    Stop(Template),
    Escalate,
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub title: Template,
    pub prose: Vec<Template>,
    pub causes: Vec<Cause>,
    pub otherwise: Vec<Step>,
    pub cannot_tell: Vec<Step>,
    /// Written as `otherwise or cannot tell`.
    pub merged: bool,
    /// True when it stands inside a cause, or the runbook has no goal: asked once.
    pub once: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Cause {
    pub name: String,
    pub title: Template,
    pub when: Expr,
    pub steps: Vec<Step>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Each {
    pub element: BindingId,
    pub list: Expr,
    pub at_most: Expr,
    pub batches: Vec<Expr>,
    /// 1 when not written.
    pub stop_after: u32,
    pub steps: Vec<Step>,
    /// Bindings that are anew for every element.
    pub inner: Range<usize>,
}

/// An action, or a `manual` (then the orders are words).
#[derive(Clone, Debug)]
pub struct Action {
    pub name: String,
    pub title: Template,
    pub prose: Vec<Template>,
    pub span: Span,
    pub manual: bool,
    /// How long the person has, for a `manual`.
    pub manual_within: Duration,
    pub when: Option<Expr>,
    pub risk: Risk,
    pub approve: Option<Approval>,
    pub refuse: Option<Refuse>,
    pub orders: Vec<Order>,
    pub undos: Vec<Undo>,
    pub verify: Option<Verify>,
    pub failed: Outcome,
    pub unclear: Outcome,
    pub not_approved: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    Low,
    Medium,
    High,
}

#[derive(Clone, Debug)]
pub struct Approval {
    pub roles: Vec<String>,
    /// True: every role must approve (`a and b`); false: one of them (`a or b`).
    pub all: bool,
    pub within: Duration,
    /// What the approver sees, with the text it was written as.
    pub seeing: Vec<(String, Expr)>,
}

/// `refuse above 50 sessions`: the action is refused when `targets` has more elements.
#[derive(Clone, Debug)]
pub struct Refuse {
    pub above: Expr,
    pub noun: String,
    /// Which order and which of its arguments holds the targets; `None` when the noun counts the orders' scalar argument itself.
    pub order: usize,
    pub arg: Arc<str>,
}

#[derive(Clone, Debug)]
pub struct Order {
    pub kind: OrderKind,
    pub span: Span,
    /// The binding `do NAME = …` gives its result to.
    pub result: Option<BindingId>,
}

#[derive(Clone, Debug)]
pub enum OrderKind {
    Call {
        call: CallExpr,
        /// The operation's `before`: its binding, and the read that fills it.
        before: Option<(BindingId, CallExpr)>,
    },
    /// `do undo NAME`
    Undo(ActionId),
    /// An order in words, in a `manual`.
    Words(Template),
}

#[derive(Clone, Debug)]
pub struct Undo {
    pub kind: UndoKind,
    pub when: UndoWhen,
    /// The orders it takes back: those since the previous `undo`.
    pub covers: Range<usize>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum UndoKind {
    /// The provider's own inverse, one call per covered order, last first.
    Restore(Vec<CallExpr>),
    Call(CallExpr),
    None {
        because: Template,
    },
    Words(Template),
}

#[derive(Clone, Debug)]
pub enum UndoWhen {
    OnOutcome,
    AtEnd,
    After(Expr),
}

#[derive(Clone, Debug)]
pub struct Verify {
    pub condition: Expr,
    pub within: Duration,
    pub every: Duration,
    pub span: Span,
}

/// What an outcome does, in order: take back or keep, tell, end.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub undo: bool,
    pub tells: Vec<CallExpr>,
    pub end: End,
    /// False when this is a default that is not written in the file.
    pub written: bool,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum End {
    NextCause,
    NextStep,
    Escalate,
    Stop(Template),
}

/// One `example` of a library check, ready to run.
#[derive(Clone, Debug)]
pub struct ExampleCase {
    /// `stuck_sessions: six`
    pub name: String,
    pub span: Span,
    /// A runbook that holds the check's bindings alone.
    pub bindings: Vec<Binding>,
    pub question: BindingId,
    /// Values given to parameters and reads.
    pub given: Vec<(BindingId, Value)>,
    pub answer: crate::value::Answer,
    /// Expected fields.
    pub fields: Vec<(BindingId, Value)>,
}
