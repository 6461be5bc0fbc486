//! The syntax tree: what stands in a file, in the order in which it stands there, with a span on everything.
//!
//! The grammar accepts any known clause in any block; whether a clause belongs where it stands is the checker's business
//! (it can then say so at the exact place). The tree is what the formatter prints and the checker reads; nothing else
//! reads source text.

use crate::source::{FileId, Span};

mod scenario;

pub use scenario::{
    ExpectKind, ExpectLine, GivenLine, OperatorKind, OperatorLine, Scenario, ScenarioClause, ScenarioKind,
};

/// A parsed file.
#[derive(Clone, Debug)]
pub struct File {
    pub id: FileId,
    pub items: Vec<Item>,
    /// Every `#` comment, in order. The formatter puts them back by position.
    pub comments: Vec<Comment>,
    /// Number of bytes in the file.
    pub length: usize,
}

/// A maintainer's comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the end of the line, without the line break.
    pub span: Span,
    pub text: String,
    /// True when nothing but blanks stands before it on its line.
    pub own_line: bool,
}

/// An identifier.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// Identifiers joined by dots: a module, a capability, an operation.
#[derive(Clone, Debug)]
pub struct Path {
    pub parts: Vec<Name>,
    pub span: Span,
}

impl Path {
    /// The parts joined by dots.
    pub fn dotted(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.text.as_str()).collect();
        parts.join(".")
    }
}

/// Something at the top level of a file.
#[derive(Clone, Debug)]
pub struct Item {
    pub kind: ItemKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ItemKind {
    /// `module std.postgres "Checks for PostgreSQL"`
    Module {
        path: Path,
        title: Option<Text>,
    },
    /// `use std.postgres.{Postgres, stuck_sessions}`
    Use {
        path: Path,
        names: Vec<Name>,
    },
    Runbook(Runbook),
    Provider(ProviderItem),
    /// `resource Postgres`, or with fields whose values come from the environment.
    Resource {
        name: Name,
        title: Option<Text>,
        fields: Vec<FieldDef>,
    },
    /// `record Session { pid: Int, age: Duration }`
    Record {
        name: Name,
        fields: Vec<FieldDef>,
    },
    /// `enum SessionState { active, idle }`
    Enum {
        name: Name,
        values: Vec<Name>,
    },
    /// A check, action, escalation or `let` at the top level of a module, or prose between items.
    Clause(Clause),
    Scenario(Scenario),
    /// Text that no rule fits; already reported. Kept so that the formatter can refuse the file.
    Junk,
}

#[derive(Clone, Debug)]
pub struct FieldDef {
    pub name: Name,
    pub ty: TypeExpr,
    pub span: Span,
}

/// `runbook NAME(params) "title" { … }`
#[derive(Clone, Debug)]
pub struct Runbook {
    pub name: Name,
    pub params: Vec<Param>,
    pub title: Option<Text>,
    pub body: Block,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Name,
    pub ty: TypeExpr,
    pub default: Option<Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct TypeExpr {
    pub kind: TypeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `Int`, `Session`, `List<Session>`; arguments only in angle brackets.
    Named { name: Name, args: Vec<TypeExpr> },
    /// `T?`
    Optional(Box<TypeExpr>),
}

/// `provider postgres { … }`
#[derive(Clone, Debug)]
pub struct ProviderItem {
    pub name: Name,
    pub members: Vec<ProviderMember>,
}

#[derive(Clone, Debug)]
pub enum ProviderMember {
    Prose(Prose),
    Operation(OperationItem),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Looks, never changes.
    Read,
    /// A read whose lack of an answer is itself an answer.
    Probe,
    /// Changes something outside.
    Change,
    /// Informs people or systems of record.
    Tell,
    /// A look at what a change would do, by the target itself. Not the effect of an operation but a class that grants name.
    Preview,
}

/// `change scale.set(app: Deployment, to: Int) -> Int idempotent { before … undo … }`
#[derive(Clone, Debug)]
pub struct OperationItem {
    pub effect: Effect,
    /// Without the provider's name: `sessions.list`.
    pub path: Path,
    pub params: Vec<Param>,
    pub result: Option<TypeExpr>,
    pub idempotence: Option<IdempotenceItem>,
    pub heavy: bool,
    /// `within 10 s` behind the signature: the operation's own default deadline.
    pub within: Option<Expr>,
    /// `before CALL`
    pub before: Option<Expr>,
    /// `undo CALL`
    pub undo: Option<Expr>,
    /// `example "…" { … }` lines inside the block.
    pub examples: Vec<Example>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum IdempotenceItem {
    Idempotent,
    Keyed,
    /// `verifiable by CHECK`
    Verifiable(Path),
    Unrepeatable,
}

/// Clauses between braces.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub clauses: Vec<Clause>,
    /// From `{` to `}`.
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Clause {
    pub kind: ClauseKind,
    pub span: Span,
    /// The word or words the clause begins with, for messages about its place.
    pub keyword: Span,
}

/// Lines that begin with `>`, one clause for a run of them.
#[derive(Clone, Debug)]
pub struct Prose {
    /// The lines without `> `, joined with line breaks; interpolations are parts. Markdown.
    pub text: Text,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    Check,
    Symptom,
}

#[derive(Clone, Debug)]
pub enum ClauseKind {
    Prose(Prose),

    // Header
    Owner(Text),
    Status(Name),
    /// `reviewed 2026-11-01 valid 90 d`; the date as written.
    Reviewed {
        date: Name,
        valid: Option<Expr>,
    },
    Timebox {
        duration: Expr,
        then: Option<Outcome>,
    },
    Reads(Vec<Path>),
    Changes(Vec<Path>),
    Tells(Vec<Path>),
    Runs(Vec<Path>),

    // Sections
    Situation(Block),
    Task(Block),
    Result(Block),
    Reflection(Block),
    Goal(Expr),
    Severity(Vec<SeverityRow>),
    Resolved(Expr),
    /// `escalation matrix`
    EscalationUse(Path),
    /// `escalation { rows }`, or at the top level of a module `escalation NAME { rows }`
    Escalation {
        name: Option<Name>,
        rows: Vec<EscalationRow>,
    },
    Prevent {
        title: Text,
        by: Option<Text>,
        within: Option<Expr>,
    },
    Advise {
        title: Text,
        body: Option<Block>,
    },
    /// `ask "…"` in `reflection`
    Reflect(Text),

    // Questions and values
    Question(Question),
    Read {
        name: Name,
        ty: Option<TypeExpr>,
        call: Expr,
        within: Option<Expr>,
    },
    Let {
        name: Name,
        ty: Option<TypeExpr>,
        value: Expr,
    },
    YesWhen(Expr),
    Example(Example),
    Ask {
        name: Name,
        title: Text,
        within: Option<Expr>,
        form: AskForm,
    },

    // Steps
    Branch {
        title: Text,
        body: Block,
    },
    Cause {
        name: Name,
        title: Text,
        when: Option<Expr>,
        body: Block,
    },
    /// `otherwise { … }`, or with `cannot_tell` set `otherwise or cannot tell { … }`
    Otherwise {
        cannot_tell: bool,
        body: Block,
    },
    CannotTell(Block),
    Action(Action),
    Manual {
        name: Name,
        title: Text,
        within: Option<Expr>,
        body: Option<Block>,
    },
    Require {
        condition: Expr,
        otherwise: Option<Outcome>,
    },
    Wait {
        condition: Expr,
        within: Option<Expr>,
        every: Option<Expr>,
        otherwise: Option<Outcome>,
    },
    Each(Each),
    /// `run RUNBOOK(args)` as a step of its own
    Run(Expr),
    Tell(Expr),
    Stop(Text),
    Escalate,

    // Inside an action
    When(Expr),
    Risk(Name),
    Approve {
        roles: Vec<Name>,
        all: bool,
        within: Option<Expr>,
        seeing: Vec<Expr>,
    },
    Refuse {
        above: Expr,
        noun: Name,
    },
    Do {
        name: Option<Name>,
        call: Expr,
        within: Option<Expr>,
    },
    /// `do undo NAME`
    DoUndo(Name),
    Undo(Undo),
    Verify {
        condition: Expr,
        within: Option<Expr>,
        every: Option<Expr>,
    },
    Failed(Outcome),
    Unclear(Outcome),
    NotApproved(Outcome),
    /// Inside the block of a `manual`: an order in words where an action has a call, `do "…"`.
    Order(Text),

    /// Text that no rule fits; already reported.
    Junk,
}

/// `check NAME …` or `symptom NAME …`
#[derive(Clone, Debug)]
pub struct Question {
    pub kind: QuestionKind,
    pub name: Name,
    pub params: Vec<Param>,
    pub title: Option<Text>,
    pub form: QuestionForm,
}

#[derive(Clone, Debug)]
pub enum QuestionForm {
    /// `{ reads, lets, yes when EXPR, examples }`
    Block(Block),
    /// `observed [by ROLE] [within D]`, with an optional block of prose
    Observed {
        by: Option<Name>,
        within: Option<Expr>,
        body: Option<Block>,
    },
    /// `= library_check(…)`, also `= any f(each xs)`
    Alias(Expr),
    /// `= run RUNBOOK(args)`
    Run(Expr),
}

#[derive(Clone, Debug)]
pub enum AskForm {
    /// `text`
    Text,
    /// `choose from LIST`
    Choose(Expr),
}

#[derive(Clone, Debug)]
pub struct Action {
    pub name: Name,
    pub params: Vec<Param>,
    pub title: Option<Text>,
    /// `= library_action(…)`; the clauses of a following block replace the library's.
    pub alias: Option<Expr>,
    pub body: Option<Block>,
}

#[derive(Clone, Debug)]
pub struct Undo {
    pub kind: UndoKind,
    pub when: UndoWhen,
    pub within: Option<Expr>,
}

#[derive(Clone, Debug)]
pub enum UndoKind {
    Restore,
    Call(Expr),
    /// `none because "…"`
    None(Text),
    /// In a `manual`: how to take it back, in words.
    Order(Text),
}

#[derive(Clone, Debug)]
pub enum UndoWhen {
    /// Only when an outcome says `undo`.
    OnOutcome,
    /// `at end`
    AtEnd,
    /// `after D`
    After(Expr),
}

/// What happens next: `undo, tell …, next cause`.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub undo: Option<Name>,
    pub keep: Option<Name>,
    pub tells: Vec<Expr>,
    /// Absent only when the parser has reported that it is missing.
    pub end: Option<End>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct End {
    pub kind: EndKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum EndKind {
    NextCause,
    NextStep,
    Escalate,
    Stop(Text),
}

#[derive(Clone, Debug)]
pub struct Each {
    pub name: Name,
    pub list: Expr,
    pub at_most: Option<Expr>,
    /// `in batches of 1, 5, 10 %`
    pub batches: Vec<Expr>,
    /// `stop after K failures`
    pub stop_after: Option<Expr>,
    pub body: Block,
}

/// `sev1 when EXPR`, `sev2 when cannot tell`, `sev3 otherwise`
#[derive(Clone, Debug)]
pub struct SeverityRow {
    pub name: Name,
    pub when: SeverityWhen,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum SeverityWhen {
    Holds(Expr),
    CannotTell,
    Otherwise,
}

/// `sev1 -> pager.page("oncall") now, chat.post("…") after 10 min`
#[derive(Clone, Debug)]
pub struct EscalationRow {
    pub severity: Name,
    pub entries: Vec<EscalationEntry>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct EscalationEntry {
    pub call: Expr,
    /// `None` is `now`.
    pub after: Option<Expr>,
    /// `unless acknowledged`
    pub unless_acknowledged: bool,
    pub span: Span,
}

/// `example "six" { sessions = 6 of {age: 9 min} -> yes, count 6 }`
#[derive(Clone, Debug)]
pub struct Example {
    pub title: Text,
    /// The given values: parameter or read name, and value.
    pub given: Vec<(Name, GivenValue)>,
    /// `yes`, `no` or `unknown`; for an operation's example a value.
    pub answer: Option<Name>,
    /// Expected fields behind the answer: `count 6`.
    pub fields: Vec<(Name, Expr)>,
    pub span: Span,
}

/// A value of a scenario or example.
#[derive(Clone, Debug)]
pub struct GivenValue {
    pub kind: GivenKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum GivenKind {
    Expr(Expr),
    /// `N of {…}`
    Of(Expr, Expr),
    /// `done`, `done after D`
    Done {
        after: Option<Expr>,
    },
    /// `fails "…"`
    Fails(Text),
    /// `timeout denied throttled truncated unknown none refused timed_out …`
    Word(Name),
    /// `V until ACTION then V`
    Until {
        first: Box<GivenValue>,
        until: Until,
        then: Box<GivenValue>,
    },
}

/// How long a given value stands before the next one does.
#[derive(Clone, Debug)]
pub enum Until {
    /// `until ACTION`: until that action is done.
    Action(Path),
    /// `until 5 min`: so long after the run began.
    Elapsed(Expr),
    /// Nothing between two values: for one call.
    Once,
}

/// A text in double quotes, or prose: literal pieces and `{expressions}`.
#[derive(Clone, Debug)]
pub struct Text {
    pub parts: Vec<TextPart>,
    pub span: Span,
}

impl Text {
    /// The text, when nothing is filled in.
    pub fn literal(&self) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                TextPart::Literal(piece) => out.push_str(piece),
                TextPart::Expr(_) => return None,
            }
        }
        Some(out)
    }
}

#[derive(Clone, Debug)]
pub enum TextPart {
    /// Escapes are resolved.
    Literal(String),
    Expr(Expr),
}

/// An expression. Depth is limited by the parser ([`super::limits`]), so walks may recurse.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    True,
    False,
    /// The word `none`.
    None,
    /// A number without a unit; `text` as written, without `_`.
    Number {
        text: String,
        float: bool,
    },
    /// One number and one unit: `5 min`, `80 %`, `300 /s`.
    Quantity {
        number: String,
        unit: Name,
    },
    Text(Text),
    /// Text in backticks: the inner text as it is; `language` only on fences.
    Code {
        language: Option<Name>,
        text: String,
        fenced: bool,
    },
    Name(Name),
    /// The element of a list operation.
    It,
    Field {
        subject: Box<Expr>,
        name: Name,
    },
    Index {
        subject: Box<Expr>,
        index: Box<Expr>,
    },
    /// `postgres.sessions.list(db, state: idle)`; the callee is a chain of names and fields.
    Call {
        callee: Box<Expr>,
        args: Vec<Arg>,
    },
    List(Vec<Expr>),
    Record(Vec<(Name, Expr)>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `X is Y`, `X is not empty`
    Is {
        subject: Box<Expr>,
        negated: bool,
        what: IsWhat,
    },
    /// `C for D`
    For {
        condition: Box<Expr>,
        duration: Box<Expr>,
    },
    /// `X default Y`
    Default {
        value: Box<Expr>,
        fallback: Box<Expr>,
    },
    /// `any f(each xs)`, `all f(each xs)`
    FanOut {
        all: bool,
        call: Box<Expr>,
    },
    /// Parentheses the author wrote.
    Paren(Box<Expr>),
    /// Reported by the parser; takes any type.
    Error,
}

#[derive(Clone, Debug)]
pub enum IsWhat {
    Empty,
    Missing,
    Unknown,
    Value(Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    Or,
    And,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    In,
    NotIn,
    Contains,
    Matches,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Debug)]
pub struct Arg {
    pub name: Option<Name>,
    /// `each xs`, `from: each pods`
    pub each: bool,
    pub value: Expr,
}
