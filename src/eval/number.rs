//! Arithmetic and order of quantities. Leaving a type's range, dividing by zero and mixing units give unknown.

use super::machine::{kind, lift, missing};
use super::series;
use crate::program::BinaryOp;
use crate::value::{Reason, Type, Value};
use std::cmp::Ordering;

/// `-x`
pub(super) fn negative(value: &Value) -> Value {
    match lift(value) {
        Value::Unknown(unknown) => Value::Unknown(unknown),
        Value::None => Value::Unknown(missing("there is no number")),
        Value::Int(number) => number.checked_neg().map_or_else(out_of_range, Value::Int),
        Value::Duration(number) => number.checked_neg().map_or_else(out_of_range, Value::Duration),
        Value::Bytes(number) => number.checked_neg().map_or_else(out_of_range, Value::Bytes),
        Value::Float(number) => Value::Float(-number),
        Value::Ratio(number) => Value::Ratio(-number),
        Value::Rate(number) => Value::Rate(-number),
        Value::AtLeast(_) => cut(),
        Value::Series(samples) => series::map(&samples, negative),
        other => mixed(&other, &other),
    }
}

/// `+ - * /`. `ty` is the type the checker gave the result, which decides where a plain number could be several things.
pub(super) fn arithmetic(op: BinaryOp, left: &Value, right: &Value, ty: &Type) -> Value {
    if matches!(left, Value::Series(_)) || matches!(right, Value::Series(_)) {
        let inner = match ty {
            Type::Series(inner) => inner,
            other => other,
        };
        return series::pointwise(left, right, &|a, b| arithmetic(op, a, b, inner));
    }
    let (left, right) = match operands(left, right) {
        Ok(pair) => pair,
        Err(unknown) => return unknown,
    };
    let result = match op {
        BinaryOp::Add => add(&left, &right),
        BinaryOp::Subtract => subtract(&left, &right),
        BinaryOp::Multiply => multiply(&left, &right),
        _ => divide(&left, &right),
    };
    conform(result, ty)
}

/// Both sides as plain values, or the unknown that decides.
fn operands(left: &Value, right: &Value) -> Result<(Value, Value), Value> {
    let (left, right) = (lift(left), lift(right));
    for side in [&left, &right] {
        if let Value::Unknown(_) = side {
            return Err(side.clone());
        }
    }
    if left == Value::None || right == Value::None {
        return Err(Value::Unknown(missing("there is no value to compute with")));
    }
    Ok((left, right))
}

fn add(left: &Value, right: &Value) -> Value {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map_or_else(out_of_range, Value::Int),
        (Value::AtLeast(a), Value::Int(b) | Value::AtLeast(b)) | (Value::Int(a), Value::AtLeast(b)) => {
            a.checked_add(*b).map_or_else(out_of_range, Value::AtLeast)
        }
        (Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map_or_else(out_of_range, Value::Duration),
        (Value::Bytes(a), Value::Bytes(b)) => a.checked_add(*b).map_or_else(out_of_range, Value::Bytes),
        (Value::Ratio(a), Value::Ratio(b)) => Value::ratio(a + b),
        (Value::Rate(a), Value::Rate(b)) => Value::rate(a + b),
        (Value::Time(time), Value::Duration(span)) | (Value::Duration(span), Value::Time(time)) => time
            .checked_add(jiff::SignedDuration::from_nanos(*span))
            .map_or_else(|_| out_of_range(), Value::Time),
        _ => match (plain(left), plain(right)) {
            (Some(a), Some(b)) => Value::float(a + b),
            _ => mixed(left, right),
        },
    }
}

fn subtract(left: &Value, right: &Value) -> Value {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map_or_else(out_of_range, Value::Int),
        (Value::AtLeast(a), Value::Int(b)) => a.checked_sub(*b).map_or_else(out_of_range, Value::AtLeast),
        (Value::AtLeast(_) | Value::Int(_), Value::AtLeast(_)) => cut(),
        (Value::Duration(a), Value::Duration(b)) => a.checked_sub(*b).map_or_else(out_of_range, Value::Duration),
        (Value::Bytes(a), Value::Bytes(b)) => a.checked_sub(*b).map_or_else(out_of_range, Value::Bytes),
        (Value::Ratio(a), Value::Ratio(b)) => Value::ratio(a - b),
        (Value::Rate(a), Value::Rate(b)) => Value::rate(a - b),
        (Value::Time(a), Value::Time(b)) => {
            let span = a.duration_since(*b).as_nanos();
            i64::try_from(span).map_or_else(|_| out_of_range(), Value::Duration)
        }
        (Value::Time(time), Value::Duration(span)) => time
            .checked_sub(jiff::SignedDuration::from_nanos(*span))
            .map_or_else(|_| out_of_range(), Value::Time),
        _ => match (plain(left), plain(right)) {
            (Some(a), Some(b)) => Value::float(a - b),
            _ => mixed(left, right),
        },
    }
}

fn multiply(left: &Value, right: &Value) -> Value {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.checked_mul(*b).map_or_else(out_of_range, Value::Int),
        (Value::AtLeast(a), Value::Int(b)) | (Value::Int(b), Value::AtLeast(a)) if *b >= 0 => {
            a.checked_mul(*b).map_or_else(out_of_range, Value::AtLeast)
        }
        (Value::AtLeast(_), _) | (_, Value::AtLeast(_)) => cut(),
        (Value::Duration(a), Value::Int(b)) | (Value::Int(b), Value::Duration(a)) => {
            a.checked_mul(*b).map_or_else(out_of_range, Value::Duration)
        }
        (Value::Bytes(a), Value::Int(b)) | (Value::Int(b), Value::Bytes(a)) => {
            a.checked_mul(*b).map_or_else(out_of_range, Value::Bytes)
        }
        (Value::Rate(rate), Value::Duration(span)) | (Value::Duration(span), Value::Rate(rate)) => {
            Value::float(rate * seconds(*span))
        }
        (Value::Duration(a), other) | (other, Value::Duration(a)) => match factor(other) {
            Some(b) => whole(*a as f64 * b).map_or_else(out_of_range, Value::Duration),
            None => mixed(left, right),
        },
        (Value::Bytes(a), other) | (other, Value::Bytes(a)) => match factor(other) {
            Some(b) => whole(*a as f64 * b).map_or_else(out_of_range, Value::Bytes),
            None => mixed(left, right),
        },
        (Value::Rate(a), other) | (other, Value::Rate(a)) => match factor(other) {
            Some(b) => Value::rate(a * b),
            None => mixed(left, right),
        },
        (Value::Ratio(a), other) | (other, Value::Ratio(a)) => match factor(other) {
            Some(b) => Value::ratio(a * b),
            None => mixed(left, right),
        },
        _ => match (plain(left), plain(right)) {
            (Some(a), Some(b)) => Value::float(a * b),
            _ => mixed(left, right),
        },
    }
}

fn divide(left: &Value, right: &Value) -> Value {
    if matches!(left, Value::AtLeast(_)) || matches!(right, Value::AtLeast(_)) {
        return cut();
    }
    let Some(divisor) = magnitude(right) else {
        return mixed(left, right);
    };
    if divisor == 0.0 {
        return Value::unknown(Reason::Arithmetic, "division by zero");
    }
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::ratio(*a as f64 / *b as f64),
        (Value::Duration(a), Value::Duration(b)) | (Value::Bytes(a), Value::Bytes(b)) => {
            Value::ratio(*a as f64 / *b as f64)
        }
        (Value::Ratio(a), Value::Ratio(b)) | (Value::Rate(a), Value::Rate(b)) => Value::ratio(a / b),
        (Value::Bytes(a), Value::Duration(b)) | (Value::Int(a), Value::Duration(b)) => {
            Value::rate(*a as f64 / seconds(*b))
        }
        (Value::Ratio(a) | Value::Float(a), Value::Duration(b)) => Value::rate(a / seconds(*b)),
        (Value::Bytes(a), Value::Rate(b)) | (Value::Int(a), Value::Rate(b)) => {
            whole(*a as f64 / b * 1e9).map_or_else(out_of_range, Value::Duration)
        }
        (Value::Duration(a), Value::Int(_) | Value::Float(_) | Value::Ratio(_)) => {
            whole(*a as f64 / divisor).map_or_else(out_of_range, Value::Duration)
        }
        (Value::Bytes(a), Value::Int(_) | Value::Float(_) | Value::Ratio(_)) => {
            whole(*a as f64 / divisor).map_or_else(out_of_range, Value::Bytes)
        }
        (Value::Ratio(a), Value::Int(_) | Value::Float(_)) => Value::ratio(a / divisor),
        (Value::Int(_) | Value::Float(_), Value::Ratio(_)) => match plain(left) {
            Some(a) => Value::ratio(a / divisor),
            None => mixed(left, right),
        },
        (Value::Rate(a), Value::Int(_) | Value::Float(_) | Value::Ratio(_)) => Value::rate(a / divisor),
        _ => match (plain(left), plain(right)) {
            (Some(a), Some(b)) => Value::float(a / b),
            _ => mixed(left, right),
        },
    }
}

/// `.floor`, `.ceil`: the whole number below or above.
pub(super) fn round(value: &Value, up: bool) -> Value {
    match lift(value) {
        Value::Unknown(unknown) => Value::Unknown(unknown),
        Value::None => Value::Unknown(missing("there is no number")),
        number @ (Value::Int(_) | Value::AtLeast(_)) => number,
        Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => {
            let rounded = if up { number.ceil() } else { number.floor() };
            whole(rounded).map_or_else(out_of_range, Value::Int)
        }
        Value::Series(samples) => series::map(&samples, |sample| round(sample, up)),
        other => Value::unknown(Reason::Internal, format!("{} cannot be rounded", kind(&other))),
    }
}

/// The type the checker computed, where a plain number may be written as another: never changes the magnitude.
pub(super) fn conform(value: Value, ty: &Type) -> Value {
    match (ty, &value) {
        (Type::Float, Value::Int(number)) => Value::Float(*number as f64),
        (Type::Float, Value::Ratio(number)) => Value::Float(*number),
        (Type::Ratio, Value::Int(number)) => Value::Ratio(*number as f64),
        (Type::Ratio, Value::Float(number)) => Value::Ratio(*number),
        (Type::Bytes, Value::Float(number)) => whole(*number).map_or_else(out_of_range, Value::Bytes),
        _ => value,
    }
}

/// `> >= < <=`. Text has no order; quantities only with their own kind.
pub(super) fn compare(op: BinaryOp, left: &Value, right: &Value) -> Value {
    if matches!(left, Value::Series(_)) || matches!(right, Value::Series(_)) {
        return series::pointwise(left, right, &|a, b| compare(op, a, b));
    }
    let (left, right) = match operands(&open(left), &open(right)) {
        Ok(pair) => pair,
        Err(unknown) => return unknown,
    };
    match (&left, &right) {
        (Value::AtLeast(seen), Value::Int(limit)) => at_least(op, *seen, *limit),
        (Value::Int(limit), Value::AtLeast(seen)) => at_least(mirrored(op), *seen, *limit),
        (Value::AtLeast(_), _) | (_, Value::AtLeast(_)) => cut(),
        _ => match order(&left, &right) {
            Some(order) => Value::Bool(match op {
                BinaryOp::Greater => order == Ordering::Greater,
                BinaryOp::GreaterEqual => order != Ordering::Less,
                BinaryOp::Less => order == Ordering::Less,
                _ => order != Ordering::Greater,
            }),
            None => mixed(&left, &right),
        },
    }
}

/// A secret opened for a comparison, whose result is a plain yes or no.
pub(super) fn open(value: &Value) -> Value {
    match value {
        Value::Secret(secret) => secret.expose().clone(),
        other => other.clone(),
    }
}

/// What seeing `seen` elements of a list that was cut says about `count OP limit`.
fn at_least(op: BinaryOp, seen: i64, limit: i64) -> Value {
    match op {
        BinaryOp::Greater if seen > limit => Value::Bool(true),
        BinaryOp::GreaterEqual if seen >= limit => Value::Bool(true),
        BinaryOp::Less if seen >= limit => Value::Bool(false),
        BinaryOp::LessEqual if seen > limit => Value::Bool(false),
        _ => cut(),
    }
}

fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Greater => BinaryOp::Less,
        BinaryOp::GreaterEqual => BinaryOp::LessEqual,
        BinaryOp::Less => BinaryOp::Greater,
        BinaryOp::LessEqual => BinaryOp::GreaterEqual,
        other => other,
    }
}

/// The order of two known values of one kind; `None` when they cannot be compared.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b))
        | (Value::Duration(a), Value::Duration(b))
        | (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) | (Value::Ratio(a), Value::Ratio(b)) | (Value::Rate(a), Value::Rate(b)) => {
            a.partial_cmp(b)
        }
        (Value::Int(a), Value::Float(b)) => whole_against(*a, *b),
        (Value::Float(a), Value::Int(b)) => whole_against(*b, *a).map(Ordering::reverse),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Exact, also where a 64-bit integer has no exact floating-point neighbour.
fn whole_against(whole: i64, float: f64) -> Option<Ordering> {
    // 2^63 as a float.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        None
    } else if float >= LIMIT {
        Some(Ordering::Less)
    } else if float < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let truncated = float.trunc();
        Some(
            whole
                .cmp(&(truncated as i64))
                .then(0.0_f64.partial_cmp(&(float - truncated))?),
        )
    }
}

/// The number of a quantity in base units.
pub(super) fn magnitude(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) | Value::Duration(number) | Value::Bytes(number) => Some(*number as f64),
        Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => Some(*number),
        _ => None,
    }
}

/// `number` of base units as a quantity of the same kind as `like`.
pub(super) fn quantity(number: f64, like: &Value) -> Value {
    match like {
        Value::Int(_) => Value::float(number),
        Value::Duration(_) => whole(number).map_or_else(out_of_range, Value::Duration),
        Value::Bytes(_) => whole(number).map_or_else(out_of_range, Value::Bytes),
        Value::Ratio(_) => Value::ratio(number),
        Value::Rate(_) => Value::rate(number),
        _ => Value::float(number),
    }
}

fn plain(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn factor(value: &Value) -> Option<f64> {
    match value {
        Value::Ratio(number) => Some(*number),
        other => plain(other),
    }
}

fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn whole(number: f64) -> Option<i64> {
    let rounded = number.round();
    // 2^63 as a float; a value at or beyond it does not fit.
    (rounded.is_finite() && rounded.abs() < 9_223_372_036_854_775_808.0).then_some(rounded as i64)
}

fn out_of_range() -> Value {
    Value::unknown(Reason::Arithmetic, "the result is too large")
}

/// Unknown because the list behind a count was cut.
pub(super) fn cut() -> Value {
    Value::unknown(Reason::Truncated, "there are more than were seen")
}

fn mixed(left: &Value, right: &Value) -> Value {
    Value::unknown(
        Reason::Unparsable,
        format!("{} and {} do not go together", kind(left), kind(right)),
    )
}
