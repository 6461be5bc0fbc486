//! Values that are known before the run: deadlines, limits and defaults must be.

use crate::program::{BinaryOp, Expr, ExprKind};
use crate::value::Value;

/// The value of an expression that rests on nothing but literals; `known` gives the values of bindings that are constant.
/// Only numbers, quantities, truth values and literals as they stand.
pub fn constant(expr: &Expr, known: &[Option<Value>]) -> Option<Value> {
    match &expr.kind {
        ExprKind::Literal(value) => Some(value.clone()),
        ExprKind::Binding(id) => known.get(id.0).cloned().flatten(),
        ExprKind::Negative(inner) => match constant(inner, known)? {
            Value::Int(number) => number.checked_neg().map(Value::Int),
            Value::Duration(nanos) => nanos.checked_neg().map(Value::Duration),
            Value::Bytes(bytes) => bytes.checked_neg().map(Value::Bytes),
            Value::Float(number) => Some(Value::Float(-number)),
            Value::Ratio(number) => Some(Value::Ratio(-number)),
            Value::Rate(number) => Some(Value::Rate(-number)),
            _ => None,
        },
        ExprKind::Binary { op, left, right } => arithmetic(*op, constant(left, known)?, constant(right, known)?),
        _ => None,
    }
}

fn arithmetic(op: BinaryOp, left: Value, right: Value) -> Option<Value> {
    use Value::{Bytes, Duration, Int, Ratio};
    let whole = |a: i64, b: i64| match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Subtract => a.checked_sub(b),
        _ => None,
    };
    match (op, left, right) {
        (BinaryOp::Multiply, Int(a), Int(b)) => a.checked_mul(b).map(Int),
        (BinaryOp::Multiply, Int(a), Duration(b)) | (BinaryOp::Multiply, Duration(b), Int(a)) => {
            a.checked_mul(b).map(Duration)
        }
        (BinaryOp::Multiply, Int(a), Bytes(b)) | (BinaryOp::Multiply, Bytes(b), Int(a)) => a.checked_mul(b).map(Bytes),
        (BinaryOp::Divide, Duration(a), Int(b)) => a.checked_div(b).map(Duration),
        (BinaryOp::Divide, Bytes(a), Int(b)) => a.checked_div(b).map(Bytes),
        (BinaryOp::Add, Ratio(a), Ratio(b)) => Some(Ratio(a + b)),
        (BinaryOp::Subtract, Ratio(a), Ratio(b)) => Some(Ratio(a - b)),
        (_, Int(a), Int(b)) => whole(a, b).map(Int),
        (_, Duration(a), Duration(b)) => whole(a, b).map(Duration),
        (_, Bytes(a), Bytes(b)) => whole(a, b).map(Bytes),
        _ => None,
    }
}
