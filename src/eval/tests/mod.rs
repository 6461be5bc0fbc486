//! Tests of evaluation.

mod laws;
mod lists;
mod samples;
mod table;
mod texts;

use super::held::History;
use super::*;
use crate::program::{BinaryOp, ExprKind, Method};
use crate::value::{List, Type};
use std::sync::Arc;

/// Bindings by position, at a fixed time.
pub(super) struct Fixed {
    pub values: Vec<Value>,
    pub now: Timestamp,
}

impl Fixed {
    pub fn new(values: Vec<Value>) -> Self {
        Self { values, now: at(0) }
    }
}

impl Scope for Fixed {
    fn binding(&self, id: BindingId) -> Value {
        self.values[id.0].clone()
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn run(&self, _field: RunField) -> Value {
        Value::text("run")
    }
}

/// So many seconds after a fixed time.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

pub(super) fn expr(kind: ExprKind) -> Expr {
    typed(kind, Type::Any)
}

pub(super) fn typed(kind: ExprKind, ty: Type) -> Expr {
    Expr {
        kind,
        ty,
        span: Span::default(),
    }
}

pub(super) fn literal(value: Value) -> Expr {
    expr(ExprKind::Literal(value))
}

pub(super) fn name(id: usize) -> Expr {
    expr(ExprKind::Binding(BindingId(id)))
}

pub(super) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    expr(ExprKind::Binary {
        op,
        left: Box::new(left),
        right: Box::new(right),
    })
}

pub(super) fn not(inner: Expr) -> Expr {
    expr(ExprKind::Not(Box::new(inner)))
}

pub(super) fn is(left: Value, right: Value) -> Value {
    value(expr(ExprKind::Equal {
        left: Box::new(literal(left)),
        right: Box::new(literal(right)),
        negated: false,
    }))
}

pub(super) fn method(subject: Value, method: Method, args: Vec<Expr>) -> Value {
    value(expr(ExprKind::Method {
        subject: Box::new(literal(subject)),
        method,
        args,
    }))
}

pub(super) fn field(subject: Expr, name: &str) -> Expr {
    expr(ExprKind::Field {
        subject: Box::new(subject),
        name: name.into(),
    })
}

pub(super) fn it() -> Expr {
    expr(ExprKind::It)
}

pub(super) fn value(expr: Expr) -> Value {
    evaluate(&expr, &Fixed::new(Vec::new()))
}

pub(super) fn unknown(reason: Reason) -> Value {
    Value::unknown(reason, "")
}

pub(super) fn reason(value: &Value) -> Option<Reason> {
    value.as_unknown().map(|unknown| unknown.reason)
}

pub(super) fn ints(numbers: &[i64]) -> Value {
    Value::list(numbers.iter().map(|number| Value::Int(*number)).collect())
}

pub(super) fn cut(numbers: &[i64]) -> Value {
    Value::List(Arc::new(List {
        items: numbers.iter().map(|number| Value::Int(*number)).collect(),
        truncated: true,
    }))
}

pub(super) fn minutes(count: i64) -> Value {
    Value::Duration(count * 60_000_000_000)
}

pub(super) fn json(text: &str) -> Value {
    Value::Json(Arc::new(serde_json::from_str(text).unwrap()))
}

pub(super) fn yes() -> Value {
    Value::Bool(true)
}

pub(super) fn no() -> Value {
    Value::Bool(false)
}

#[test]
fn absence_null_empty_text_zero_false_and_empty_list_are_six_things() {
    let document = json(r#"{"null": null, "text": "", "zero": 0, "false": false, "list": []}"#);
    let names = ["absent", "null", "text", "zero", "false", "list"];
    let values: Vec<Value> = names
        .iter()
        .map(|name| value(field(literal(document.clone()), name)))
        .collect();
    assert_eq!(reason(&values[0]), Some(Reason::Missing), "missing is unknown");
    for (left, a) in names.iter().zip(&values) {
        for (right, b) in names.iter().zip(&values) {
            let expected = if *left == "absent" || *right == "absent" {
                Answer::Unknown
            } else if left == right {
                Answer::Yes
            } else {
                Answer::No
            };
            assert_eq!(answer(&is(a.clone(), b.clone())), expected, "{left} is {right}");
        }
    }
    let absent = |name: &str| {
        value(expr(ExprKind::IsMissing {
            subject: Box::new(field(literal(document.clone()), name)),
            negated: false,
        }))
    };
    assert_eq!(absent("absent"), yes());
    for name in &names[1..] {
        assert_eq!(absent(name), no(), "{name} is there");
    }
}

#[test]
fn a_list_that_was_cut_decides_only_what_was_seen() {
    let greater = |limit: i64| vec![binary(BinaryOp::Greater, it(), literal(Value::Int(limit)))];
    let list = cut(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(
        method(list.clone(), Method::All, greater(3)),
        no(),
        "one element refutes `all`"
    );
    assert_eq!(
        reason(&method(list.clone(), Method::All, greater(0))),
        Some(Reason::Truncated)
    );
    assert_eq!(method(list.clone(), Method::Any, greater(5)), yes());
    assert_eq!(
        reason(&method(list.clone(), Method::Any, greater(6))),
        Some(Reason::Truncated)
    );
    let empty = |list: Value| {
        value(expr(ExprKind::IsEmpty {
            subject: Box::new(literal(list)),
            negated: false,
        }))
    };
    assert_eq!(empty(list.clone()), no());
    assert_eq!(reason(&empty(cut(&[]))), Some(Reason::Truncated));
    assert_eq!(empty(ints(&[])), yes());

    let count = method(list, Method::Count, vec![]);
    assert_eq!(count, Value::AtLeast(6));
    let compared = |op, limit| value(binary(op, literal(Value::AtLeast(6)), literal(Value::Int(limit))));
    assert_eq!(compared(BinaryOp::Greater, 5), yes());
    assert_eq!(reason(&compared(BinaryOp::Greater, 6)), Some(Reason::Truncated));
    assert_eq!(compared(BinaryOp::GreaterEqual, 6), yes());
    assert_eq!(compared(BinaryOp::Less, 6), no());
    assert_eq!(reason(&compared(BinaryOp::Less, 7)), Some(Reason::Truncated));
    assert_eq!(compared(BinaryOp::LessEqual, 5), no());
    assert_eq!(is(Value::AtLeast(6), Value::Int(5)), no());
    assert_eq!(reason(&is(Value::AtLeast(6), Value::Int(6))), Some(Reason::Truncated));
}

#[test]
fn one_look_is_not_a_duration_and_several_are() {
    let condition = Expr {
        span: Span::new(crate::source::FileId(0), 3, 9),
        ..name(0)
    };
    let lasting = expr(ExprKind::For {
        condition: Box::new(condition),
        duration: Box::new(literal(minutes(1))),
    });
    let mut scope = Fixed::new(vec![yes()]);
    assert_eq!(reason(&evaluate(&lasting, &scope)), Some(Reason::Unsettled));
    let every = std::time::Duration::from_secs(30);
    let mut history = History::default();
    let mut look = |seconds: i64, answer: Value| {
        scope.now = at(seconds);
        scope.values[0] = answer;
        history.look(&lasting, &scope, every)
    };
    assert_eq!(reason(&look(0, yes())), Some(Reason::Unsettled));
    assert_eq!(reason(&look(30, yes())), Some(Reason::Unsettled));
    assert_eq!(look(60, yes()), yes());
    // What decided it is told with the looks before, not as if this were the only one.
    let told = history.evidence(&lasting, &scope, &crate::source::Sources::default());
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].answer, told[0].detail.as_str()), (Answer::Yes, "for 1 min"));
    let mut look = |seconds: i64, answer: Value| {
        scope.now = at(seconds);
        scope.values[0] = answer;
        history.look(&lasting, &scope, every)
    };
    assert_eq!(reason(&look(90, no())), Some(Reason::Unsettled));
    assert_eq!(reason(&look(120, no())), Some(Reason::Unsettled));
    assert_eq!(look(150, no()), no(), "symmetric: it failed throughout");
    assert_eq!(
        reason(&look(181, no())),
        Some(Reason::Unsettled),
        "a look came too late"
    );
    assert_eq!(reason(&look(200, unknown(Reason::Timeout))), Some(Reason::Unsettled));
    for seconds in [230, 260, 290] {
        look(seconds, unknown(Reason::Timeout));
    }
    assert_eq!(reason(&look(300, unknown(Reason::Timeout))), Some(Reason::Timeout));
}
