//! The walk over an expression.

use super::{Scope, compare, list, number, series};
use crate::program::{BinaryOp, Expr, ExprKind};
use crate::value::{Reason, Record, Secret, Series, Unknown, Value};
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// One evaluation: where names come from, and patterns compiled so far.
pub(super) struct Machine<'a> {
    pub scope: &'a dyn Scope,
    pub now: jiff::Timestamp,
    pub patterns: RefCell<HashMap<Arc<str>, Result<Regex, String>>>,
    /// It makes a message: texts name what is not known.
    people: bool,
}

/// A condition's value: one answer, or one per sample.
pub(super) enum Truth {
    Known(bool),
    Unknown(Arc<Unknown>),
    Series(Arc<Series>),
}

impl Truth {
    pub fn of(value: &Value) -> Truth {
        match value {
            Value::Bool(known) => Truth::Known(*known),
            Value::Json(json) if json.is_boolean() => Truth::Known(json.as_bool() == Some(true)),
            Value::Unknown(unknown) => Truth::Unknown(unknown.clone()),
            Value::Series(series) => Truth::Series(series.clone()),
            Value::None => Truth::Unknown(missing("there is no value")),
            other => Truth::Unknown(Arc::new(Unknown {
                reason: Reason::Unparsable,
                detail: format!("{} is neither yes nor no", kind(other)),
            })),
        }
    }
}

/// Unknown because something that is needed is not there.
pub(super) fn missing(detail: &str) -> Arc<Unknown> {
    Arc::new(Unknown {
        reason: Reason::Missing,
        detail: detail.to_owned(),
    })
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Unknown(_) => "an unknown value",
        Value::None => "none",
        Value::Bool(_) => "yes or no",
        Value::Int(_) | Value::AtLeast(_) => "a number",
        Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::Time(_) => "a time",
        Value::Duration(_) => "a duration",
        Value::Ratio(_) => "a ratio",
        Value::Bytes(_) => "a size",
        Value::Rate(_) => "a rate",
        Value::Json(json) => match **json {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "yes or no",
            serde_json::Value::Number(_) => "a plain number",
            serde_json::Value::String(_) => "text",
            serde_json::Value::Array(_) => "a list",
            serde_json::Value::Object(_) => "a document",
        },
        Value::Secret(_) => "a secret",
        Value::Series(_) => "a series",
        Value::List(_) => "a list",
        Value::Record(_) => "a record",
        Value::Enum(_) => "a word",
        Value::Resource { .. } => "a resource",
        Value::Code { .. } => "code",
    }
}

/// A scalar of a document as a plain value; everything else as it is.
pub(super) fn lift(value: &Value) -> Value {
    let Value::Json(json) = value else {
        return value.clone();
    };
    match &**json {
        serde_json::Value::Bool(known) => Value::Bool(*known),
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                Value::Int(whole)
            } else if number.is_u64() {
                Value::unknown(Reason::Arithmetic, "the number is too large")
            } else {
                number.as_f64().map_or_else(
                    || Value::unknown(Reason::Arithmetic, "the number is too large"),
                    Value::float,
                )
            }
        }
        _ => value.clone(),
    }
}

impl<'a> Machine<'a> {
    pub fn new(scope: &'a dyn Scope) -> Self {
        Self {
            scope,
            now: scope.now(),
            patterns: RefCell::default(),
            people: false,
        }
    }

    /// For a message: what is not known is said in it.
    pub fn for_people(scope: &'a dyn Scope) -> Self {
        Self {
            people: true,
            ..Self::new(scope)
        }
    }

    /// The value of an expression; `it` is the element of the enclosing list operation.
    pub fn value(&self, expr: &Expr, it: Option<&Value>) -> Value {
        match &expr.kind {
            ExprKind::Literal(value) => value.clone(),
            ExprKind::Template(template) if self.people => {
                Value::text(super::fill_with(template, &|part| self.value(part, it)))
            }
            ExprKind::Template(template) => super::joined(template, &|part| self.value(part, it)),
            ExprKind::Binding(id) => self.scope.binding(*id),
            ExprKind::It => it
                .cloned()
                .unwrap_or_else(|| Value::unknown(Reason::Internal, "`it` stands outside a list operation")),
            ExprKind::Now => Value::Time(self.now),
            ExprKind::Run(field) => self.scope.run(*field),
            ExprKind::Field { subject, name } => self.field(&self.value(subject, it), name, expr),
            ExprKind::Index { subject, index } => {
                list::index(&self.value(subject, it), &self.value(index, it), &expr.ty)
            }
            ExprKind::Method { subject, method, args } => {
                self.method(&self.value(subject, it), *method, args, expr, it)
            }
            ExprKind::List(items) => Value::list(items.iter().map(|item| self.value(item, it)).collect()),
            ExprKind::Record(fields) => Value::Record(Arc::new(Record {
                type_name: "".into(),
                fields: fields
                    .iter()
                    .map(|(name, field)| (name.clone(), self.value(field, it)))
                    .collect(),
            })),
            ExprKind::Not(inner) => self.negate(&self.value(inner, it)),
            ExprKind::Negative(inner) => number::negative(&self.value(inner, it)),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr, it),
            ExprKind::Equal { left, right, negated } => {
                let equal = compare::equal(&self.value(left, it), &self.value(right, it));
                if *negated { self.negate(&equal) } else { equal }
            }
            ExprKind::IsEmpty { subject, negated } => {
                let empty = list::is_empty(&self.value(subject, it));
                if *negated { self.negate(&empty) } else { empty }
            }
            ExprKind::IsMissing { subject, negated } => {
                let absent = match self.value(subject, it) {
                    Value::None => Value::Bool(true),
                    Value::Unknown(unknown) if unknown.reason == Reason::Missing => Value::Bool(true),
                    Value::Unknown(unknown) => Value::Unknown(unknown),
                    _ => Value::Bool(false),
                };
                if *negated { self.negate(&absent) } else { absent }
            }
            ExprKind::IsUnknown { subject, negated } => {
                let unknown = self.value(subject, it).as_unknown().is_some();
                Value::Bool(unknown != *negated)
            }
            ExprKind::For { condition, duration } => {
                let value = self.value(condition, it);
                let duration = match self.value(duration, it) {
                    Value::Duration(duration) => duration,
                    Value::Unknown(unknown) => return Value::Unknown(unknown),
                    _ => return Value::unknown(Reason::Internal, "`for` needs a duration"),
                };
                if let Value::Series(samples) = &value {
                    return series::held(samples, duration, self.now);
                }
                if duration <= 0 {
                    return value;
                }
                match self.scope.held(condition.span) {
                    Some(samples) => series::held(&samples, duration, self.now),
                    None => match Truth::of(&value) {
                        Truth::Unknown(unknown) => Value::Unknown(unknown),
                        _ => Value::unknown(Reason::Unsettled, "one look says nothing about how long"),
                    },
                }
            }
            ExprKind::Decode(inner) => match self.value(inner, it) {
                Value::Json(json) => crate::value::decode::decode(&expr.ty, &json),
                other => other,
            },
            ExprKind::Default { value, fallback } => match self.value(value, it) {
                Value::None => self.value(fallback, it),
                other => other,
            },
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr, expr: &Expr, it: Option<&Value>) -> Value {
        let left = self.value(left, it);
        match op {
            BinaryOp::And | BinaryOp::Or => {
                // The answer that decides alone: no for `and`, yes for `or`.
                let deciding = op == BinaryOp::Or;
                if let Truth::Known(known) = Truth::of(&left)
                    && known == deciding
                {
                    return Value::Bool(deciding);
                }
                self.junction(deciding, &left, &self.value(right, it))
            }
            BinaryOp::Greater | BinaryOp::GreaterEqual | BinaryOp::Less | BinaryOp::LessEqual => {
                number::compare(op, &left, &self.value(right, it))
            }
            BinaryOp::In => compare::contains(&self.value(right, it), &left),
            BinaryOp::NotIn => self.negate(&compare::contains(&self.value(right, it), &left)),
            BinaryOp::Contains => compare::contains(&left, &self.value(right, it)),
            BinaryOp::Matches => compare::matches(self, &left, &self.value(right, it)),
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide => {
                number::arithmetic(op, &left, &self.value(right, it), &expr.ty)
            }
        }
    }

    /// Kleene's `and` (deciding: no) and `or` (deciding: yes).
    fn junction(&self, deciding: bool, left: &Value, right: &Value) -> Value {
        match (Truth::of(left), Truth::of(right)) {
            (Truth::Known(known), _) | (_, Truth::Known(known)) if known == deciding => Value::Bool(deciding),
            (Truth::Series(_), _) | (_, Truth::Series(_)) => {
                series::pointwise(left, right, &|a, b| self.junction(deciding, a, b))
            }
            (Truth::Unknown(unknown), _) | (_, Truth::Unknown(unknown)) => Value::Unknown(unknown),
            (Truth::Known(_), Truth::Known(_)) => Value::Bool(!deciding),
        }
    }

    /// Kleene's `not`.
    pub fn negate(&self, value: &Value) -> Value {
        match Truth::of(value) {
            Truth::Known(known) => Value::Bool(!known),
            Truth::Unknown(unknown) => Value::Unknown(unknown),
            Truth::Series(samples) => series::map(&samples, |sample| self.negate(sample)),
        }
    }

    fn field(&self, subject: &Value, name: &str, expr: &Expr) -> Value {
        match subject {
            Value::Unknown(_) => subject.clone(),
            Value::None => Value::Unknown(missing(&format!("there is no value to take `{name}` from"))),
            Value::Record(record) => match record.get(name) {
                Some(value) => value.clone(),
                None if name == "ok" && &*record.type_name == "Probe" => probe_ok(record),
                None => absent(name, expr),
            },
            Value::Json(json) => match &**json {
                serde_json::Value::Object(fields) => match fields.get(name) {
                    Some(value) => Value::Json(Arc::new(value.clone())),
                    None => absent(name, expr),
                },
                _ => Value::unknown(Reason::Unparsable, format!("{} has no field `{name}`", kind(subject))),
            },
            Value::Resource { kind, name: resource } => self.scope.resource(kind, resource, name),
            Value::Secret(secret) => match self.field(secret.expose(), name, expr) {
                Value::Unknown(unknown) => Value::Unknown(unknown),
                value @ Value::Secret(_) => value,
                value => Value::Secret(Secret::new(value)),
            },
            other => Value::unknown(Reason::Internal, format!("{} has no field `{name}`", kind(other))),
        }
    }
}

/// A field that is not there: `none` where the type says it may be absent, unknown otherwise.
fn absent(name: &str, expr: &Expr) -> Value {
    if matches!(expr.ty, crate::value::Type::Optional(_)) {
        Value::None
    } else {
        Value::Unknown(missing(&format!("there is no field `{name}`")))
    }
}

/// A probe is fine when it was answered, for HTTP also with a status below 400.
fn probe_ok(probe: &Record) -> Value {
    match probe.get("reply") {
        Some(Value::Enum(reply)) => match probe.get("status") {
            Some(Value::Int(status)) => Value::Bool(&**reply == "answered" && *status < 400),
            _ => Value::Bool(&**reply == "answered"),
        },
        Some(Value::Unknown(unknown)) => Value::Unknown(unknown.clone()),
        _ => Value::Unknown(missing("the probe has no reply")),
    }
}
