//! Expressions of a checked program. Every name is resolved and every expression has a type.

use super::BindingId;
use crate::source::Span;
use crate::value::{Type, Value};
use std::sync::Arc;

pub use crate::syntax::tree::BinaryOp;

/// A pure expression.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Literal(Value),
    Template(Template),
    /// The value of a binding; for a question its answer.
    Binding(BindingId),
    /// The element of the enclosing list operation.
    It,
    /// The time of asking.
    Now,
    /// `run.id` and so on.
    Run(RunField),
    /// A field of a record, resource or Json.
    Field {
        subject: Box<Expr>,
        name: Arc<str>,
    },
    Index {
        subject: Box<Expr>,
        index: Box<Expr>,
    },
    Method {
        subject: Box<Expr>,
        method: Method,
        args: Vec<Expr>,
    },
    List(Vec<Expr>),
    Record(Vec<(Arc<str>, Expr)>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `is`, and with `negated` `is not`.
    Equal {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    IsEmpty {
        subject: Box<Expr>,
        negated: bool,
    },
    IsMissing {
        subject: Box<Expr>,
        negated: bool,
    },
    IsUnknown {
        subject: Box<Expr>,
        negated: bool,
    },
    /// `condition for duration`: over a series in a condition; asked repeatedly in verify, wait and resolved.
    For {
        condition: Box<Expr>,
        duration: Box<Expr>,
    },
    Default {
        value: Box<Expr>,
        fallback: Box<Expr>,
    },
    /// Json read as the type of this expression: `let rows: List<Row> = reply.rows`.
    Decode(Box<Expr>),
}

/// Fields of the built-in record `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunField {
    Id,
    Evidence,
    Severity,
    Environment,
    Operator,
}

/// Operations on lists, numbers and series. The arguments of `Where SortBy Any All Map Tally Sum Max Min Avg GroupBy
/// Percentile` that hold `it` are evaluated for every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `where(Bool) -> List<T>`
    Where,
    /// `sort_by(key) -> List<T>`, smallest first.
    SortBy,
    /// `first -> T` (or `T?` when so typed), `first(Int) -> List<T>`
    First,
    /// Like `first`, from the end; of a series the newest value.
    Last,
    /// `any(Bool) -> Bool`; without an argument of a `List<Bool>`.
    Any,
    /// `all(Bool) -> Bool`; without an argument of a `List<Bool>`.
    All,
    /// `map(U) -> List<U>`
    Map,
    /// `tally(key) -> List<{value, count: Int}>`, the most frequent first; without an argument of the elements.
    Tally,
    /// `sum(key)`, `sum`: an empty list gives zero of the type.
    Sum,
    /// `max(key)`, `max`: the largest key.
    Max,
    Min,
    Avg,
    /// `count -> Int`
    Count,
    /// `group_by(key) -> List<{key, items: List<T>}>`
    GroupBy,
    /// `percentile(95 %)` of the elements, `percentile(95 %, key)`: nearest rank.
    Percentile,
    /// `without(List<T>) -> List<T>`
    Without,
    /// `Ratio -> Int`, `Float -> Int`
    Floor,
    Ceil,
    /// `slope(over: Duration) -> Rate`: of a straight line through the samples, in units per second (a ratio: parts of one).
    Slope,
    /// `change(against: Duration) -> Ratio`: the newest value against the one that long ago; 20 % is a fifth more.
    Change,
    /// `reaches(limit) -> Duration`, `reaches(limit, over: Duration)`: how long until the straight line through the samples
    /// meets the limit; zero when it is there; the longest duration there is when it never does.
    Reaches,
}

impl Method {
    /// Every method, for completion and messages.
    pub const ALL: &'static [(&'static str, Method)] = &[
        ("where", Method::Where),
        ("sort_by", Method::SortBy),
        ("first", Method::First),
        ("last", Method::Last),
        ("any", Method::Any),
        ("all", Method::All),
        ("map", Method::Map),
        ("tally", Method::Tally),
        ("sum", Method::Sum),
        ("max", Method::Max),
        ("min", Method::Min),
        ("avg", Method::Avg),
        ("count", Method::Count),
        ("group_by", Method::GroupBy),
        ("percentile", Method::Percentile),
        ("without", Method::Without),
        ("floor", Method::Floor),
        ("ceil", Method::Ceil),
        ("slope", Method::Slope),
        ("change", Method::Change),
        ("reaches", Method::Reaches),
    ];

    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Method> {
        Self::ALL
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, method)| *method)
    }

    /// The name as it is written.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, method)| *method == self)
            .map_or("", |(name, _)| *name)
    }
}

/// A text with places that are filled in. Only text of the source file is ever a template; values are put in as they are.
#[derive(Clone, Debug, Default)]
pub struct Template {
    pub parts: Vec<Part>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Part {
    Literal(String),
    Expr(Expr),
}

impl Template {
    /// A template without places.
    pub fn literal(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Literal(text.into())],
            span: Span::default(),
        }
    }

    /// The source text of the places put in braces: what the guide shows where no value is known.
    pub fn source_text(&self, sources: &crate::source::Sources) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Expr(expr) => format!("{{{}}}", sources.text(expr.span)),
            })
            .collect()
    }
}
