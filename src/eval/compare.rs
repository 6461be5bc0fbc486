//! Equality, `in`, `contains`, `matches`.

use super::limits::{PATTERN_BYTES, TEXT_BYTES};
use super::list::{Items, items};
use super::machine::{Machine, Truth, kind, lift, missing};
use super::number::{self, open};
use super::series;
use crate::value::{Reason, Value};
use regex::RegexBuilder;
use std::cmp::Ordering;
use std::sync::Arc;

/// `is`. Absence, `null`, `""`, `0`, `false` and `[]` are different from each other.
pub(super) fn equal(left: &Value, right: &Value) -> Value {
    if matches!(left, Value::Series(_)) || matches!(right, Value::Series(_)) {
        return series::pointwise(left, right, &equal);
    }
    let (left, right) = (lift(&open(left)), lift(&open(right)));
    for side in [&left, &right] {
        if let Value::Unknown(_) = side {
            return side.clone();
        }
    }
    match (&left, &right) {
        (Value::None, Value::None) => Value::Bool(true),
        (Value::None, Value::Json(json)) | (Value::Json(json), Value::None) => Value::Bool(json.is_null()),
        (Value::None, _) | (_, Value::None) => Value::Bool(false),
        (Value::AtLeast(seen), Value::Int(number)) | (Value::Int(number), Value::AtLeast(seen)) => {
            if seen > number {
                Value::Bool(false)
            } else {
                number::cut()
            }
        }
        (Value::AtLeast(_), _) | (_, Value::AtLeast(_)) => number::cut(),
        (Value::Bool(a), Value::Bool(b)) => Value::Bool(a == b),
        (Value::Record(a), Value::Record(b)) => {
            if a.fields.len() != b.fields.len() {
                return Value::Bool(false);
            }
            all(a.fields.iter().map(|(name, value)| match b.get(name) {
                Some(other) => equal(value, other),
                None => Value::Bool(false),
            }))
        }
        (Value::Resource { kind: a, name: x }, Value::Resource { kind: b, name: y }) => Value::Bool(a == b && x == y),
        (Value::List(_) | Value::Json(_), _) | (_, Value::List(_) | Value::Json(_)) => documents(&left, &right),
        _ => match (left.as_str(), right.as_str()) {
            (Some(a), Some(b)) => Value::Bool(a == b),
            _ => match number::order(&left, &right) {
                Some(order) => Value::Bool(order == Ordering::Equal),
                None if plain(&left) && plain(&right) => Value::Bool(false),
                None => Value::unknown(
                    Reason::Unparsable,
                    format!("{} and {} cannot be compared", kind(&left), kind(&right)),
                ),
            },
        },
    }
}

/// Lists and documents, element by element.
fn documents(left: &Value, right: &Value) -> Value {
    match (items(left), items(right)) {
        (Ok(a), Ok(b)) => {
            let seen = all(a.values().iter().zip(b.values()).map(|(x, y)| equal(x, y)));
            if seen == Value::Bool(false) {
                return seen;
            }
            match (a.truncated, b.truncated) {
                (false, false) if a.values().len() == b.values().len() => seen,
                (false, false) => Value::Bool(false),
                // A list that was cut has at least the elements that were seen.
                (true, false) if a.values().len() > b.values().len() => Value::Bool(false),
                (false, true) if b.values().len() > a.values().len() => Value::Bool(false),
                _ => number::cut(),
            }
        }
        _ => match (left, right) {
            (Value::Json(a), Value::Json(b)) => match (&**a, &**b) {
                (serde_json::Value::Object(x), serde_json::Value::Object(y)) => {
                    if x.len() != y.len() {
                        return Value::Bool(false);
                    }
                    all(x.iter().map(|(name, value)| match y.get(name) {
                        Some(other) => equal(
                            &Value::Json(Arc::new(value.clone())),
                            &Value::Json(Arc::new(other.clone())),
                        ),
                        None => Value::Bool(false),
                    }))
                }
                (a, b) => Value::Bool(a.is_null() && b.is_null()),
            },
            (Value::Json(json), Value::Record(record)) | (Value::Record(record), Value::Json(json)) => {
                let Some(fields) = json.as_object() else {
                    return Value::Bool(false);
                };
                if fields.len() != record.fields.len() {
                    return Value::Bool(false);
                }
                all(record.fields.iter().map(|(name, value)| match fields.get(&**name) {
                    Some(other) => equal(value, &Value::Json(Arc::new(other.clone()))),
                    None => Value::Bool(false),
                }))
            }
            _ if plain(left) && plain(right) => Value::Bool(false),
            _ => Value::unknown(
                Reason::Unparsable,
                format!("{} and {} cannot be compared", kind(left), kind(right)),
            ),
        },
    }
}

/// Kinds a document can hold as well: two different ones are definitely not equal. A quantity beside a plain number is not
/// among them, because nobody knows the number's unit.
fn plain(value: &Value) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Enum(_)
            | Value::List(_)
            | Value::Record(_)
            | Value::Json(_)
    )
}

/// Kleene's `and` over many.
pub(super) fn all(answers: impl IntoIterator<Item = Value>) -> Value {
    let mut unknown = None;
    for answer in answers {
        match Truth::of(&answer) {
            Truth::Known(false) => return Value::Bool(false),
            Truth::Known(true) => {}
            Truth::Unknown(reason) => unknown = unknown.or(Some(reason)),
            Truth::Series(_) => return Value::unknown(Reason::Internal, "a series where one answer is needed"),
        }
    }
    unknown.map_or(Value::Bool(true), Value::Unknown)
}

/// Kleene's `or` over many.
pub(super) fn any(answers: impl IntoIterator<Item = Value>) -> Value {
    let mut unknown = None;
    for answer in answers {
        match Truth::of(&answer) {
            Truth::Known(true) => return Value::Bool(true),
            Truth::Known(false) => {}
            Truth::Unknown(reason) => unknown = unknown.or(Some(reason)),
            Truth::Series(_) => return Value::unknown(Reason::Internal, "a series where one answer is needed"),
        }
    }
    unknown.map_or(Value::Bool(false), Value::Unknown)
}

/// `whole contains part`: a text in a text, an element in a list.
pub(super) fn contains(whole: &Value, part: &Value) -> Value {
    let (whole, part) = (lift(&open(whole)), lift(&open(part)));
    if let Some(unknown) = undecided(&whole, &part) {
        return unknown;
    }
    if let Ok(Items { list, truncated }) = items(&whole) {
        let found = any(list.iter().map(|element| equal(element, &part)));
        return if truncated && found == Value::Bool(false) {
            number::cut()
        } else {
            found
        };
    }
    match (whole.as_str(), part.as_str()) {
        (Some(text), Some(piece)) => bounded(text).unwrap_or_else(|| Value::Bool(text.contains(piece))),
        _ => Value::unknown(
            Reason::Unparsable,
            format!("{} cannot be looked for in {}", kind(&part), kind(&whole)),
        ),
    }
}

/// `text matches pattern`: the pattern may stand anywhere in the text.
pub(super) fn matches(machine: &Machine, text: &Value, pattern: &Value) -> Value {
    let (text, pattern) = (lift(&open(text)), lift(pattern));
    if let Some(unknown) = undecided(&text, &pattern) {
        return unknown;
    }
    // Only code of the source file is a pattern: text from outside never becomes one.
    let Value::Code { text: pattern, .. } = &pattern else {
        return Value::unknown(Reason::Internal, "a pattern is written in backticks");
    };
    let Some(text) = text.as_str() else {
        return Value::unknown(Reason::Unparsable, format!("{} is not text", kind(&text)));
    };
    if let Some(unknown) = bounded(text) {
        return unknown;
    }
    let mut patterns = machine.patterns.borrow_mut();
    let compiled = patterns.entry(pattern.clone()).or_insert_with(|| {
        RegexBuilder::new(pattern)
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES)
            .nest_limit(64)
            .build()
            .map_err(|error| error.to_string())
    });
    match compiled {
        Ok(regex) => Value::Bool(regex.is_match(text)),
        Err(error) => Value::unknown(Reason::Unparsable, format!("the pattern is not valid: {error}")),
    }
}

/// Unknown when a side is unknown or absent.
fn undecided(left: &Value, right: &Value) -> Option<Value> {
    for side in [left, right] {
        if let Value::Unknown(_) = side {
            return Some(side.clone());
        }
    }
    (*left == Value::None || *right == Value::None)
        .then(|| Value::Unknown(missing("there is no value to look in or for")))
}

fn bounded(text: &str) -> Option<Value> {
    (text.len() > TEXT_BYTES).then(|| Value::unknown(Reason::Truncated, "the text is too long to look through"))
}
