//! Values that examples and scenarios give: `6 of {age: 9 min}`, `timeout`, `97 %` for a series.

use super::expression::strip;
use super::scope::Body;
use super::types::{PROBE_WORDS, core, is_probe};
use crate::diagnostic::Diagnostic;
use crate::program::{BinaryOp, Expr, ExprKind};
use crate::syntax::tree::{self, GivenKind, GivenValue};
use crate::value::{Reason, Record, Series, Type, Value};
use std::sync::Arc;

/// Most elements that `N of {…}` makes.
const ELEMENTS: i64 = crate::limits::GIVEN_ELEMENTS;

/// The word for a reply that could not be had.
pub(super) fn not_had(word: &str) -> Option<Reason> {
    Some(match word {
        "timeout" => Reason::Timeout,
        "denied" => Reason::Denied,
        "throttled" => Reason::Throttled,
        "truncated" => Reason::Truncated,
        "unknown" => Reason::Unavailable,
        _ => return None,
    })
}

/// How long before the epoch a constant series begins.
const CENTURY: jiff::SignedDuration = jiff::SignedDuration::from_hours(100 * 365 * 24);

impl Body<'_, '_> {
    /// The value, as something of this type; what is wrong is reported and gives `None`.
    pub fn given(&mut self, given: &GivenValue, ty: &Type) -> Option<Value> {
        match &given.kind {
            GivenKind::Expr(expr) => self.given_expr(expr, ty),
            GivenKind::Word(word) => self.given_word(word, ty),
            GivenKind::Of(count, element) => {
                let Type::List(of) = core(ty) else {
                    self.not_this(given.span, ty);
                    return None;
                };
                let of = (**of).clone();
                let count_expr = self.expect(count, &Type::Int);
                let count = match super::constant::constant(&count_expr, &self.constants) {
                    Some(Value::Int(count)) if (0..=ELEMENTS).contains(&count) => usize::try_from(count).unwrap_or(0),
                    _ => {
                        self.report(Diagnostic::error(
                            "not-constant",
                            count.span,
                            format!("a whole number from 0 to {ELEMENTS} is due here"),
                        ));
                        return None;
                    }
                };
                let element = self.given_expr(element, &of)?;
                Some(Value::list(vec![element; count]))
            }
            GivenKind::Done { .. } | GivenKind::Fails(_) | GivenKind::Until { .. } => {
                self.report(
                    Diagnostic::error("misplaced-clause", given.span, "this is said in scenarios")
                        .help("an example gives what a read replies: a value, or `timeout`, `denied`, `unknown`"),
                );
                None
            }
        }
    }

    /// `now`, and so long before or behind it.
    fn time(&self, expr: &Expr) -> Option<jiff::Timestamp> {
        match &expr.kind {
            ExprKind::Now => Some(self.clock),
            ExprKind::Binary { op, left, right } => {
                let time = self.time(left)?;
                let Some(Value::Duration(span)) = super::constant::constant(right, &self.constants) else {
                    return None;
                };
                let span = jiff::SignedDuration::from_nanos(span);
                match op {
                    BinaryOp::Add => time.checked_add(span).ok(),
                    BinaryOp::Subtract => time.checked_sub(span).ok(),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn given_word(&mut self, word: &tree::Name, ty: &Type) -> Option<Value> {
        if let Some(reason) = not_had(&word.text) {
            return Some(Value::unknown(reason, "given so"));
        }
        match (word.text.as_str(), ty, core(ty)) {
            ("none", Type::Optional(_), _) => return Some(Value::None),
            ("none", _, Type::List(_)) => return Some(Value::list(Vec::new())),
            (reply, _, probe) if is_probe(probe) && PROBE_WORDS.contains(&reply) => return Some(probe_value(reply)),
            (word, _, Type::Enum(enumeration)) if enumeration.values.iter().any(|value| **value == *word) => {
                return Some(Value::variant(word));
            }
            _ => {}
        }
        self.not_this(word.span, ty);
        None
    }

    fn not_this(&mut self, span: crate::source::Span, ty: &Type) {
        self.report(
            Diagnostic::error(
                "type-mismatch",
                span,
                format!("{} is due here", super::types::described(ty)),
            )
            .label("this is something else"),
        );
    }

    /// An expression as a given value: fields of a record that are left out are unknown, and so is what rests on them.
    fn given_expr(&mut self, written: &tree::Expr, ty: &Type) -> Option<Value> {
        let inner = strip(written);
        if let tree::ExprKind::Name(word) = &inner.kind
            && (not_had(&word.text).is_some() || is_probe(core(ty)))
        {
            return self.given_word(word, ty);
        }
        if matches!(inner.kind, tree::ExprKind::None) {
            let word = tree::Name {
                text: "none".to_owned(),
                span: inner.span,
            };
            return self.given_word(&word, ty);
        }
        if matches!(core(ty), Type::Time) {
            let expr = self.expect(written, ty);
            return match self.time(&expr) {
                Some(time) => Some(Value::Time(time)),
                None => self.literal(&expr),
            };
        }
        if let Type::Series(of) = ty {
            let of = (**of).clone();
            let sample = self.given_expr(written, &of)?;
            // One value is constant, from long before any clock to long behind it; the clock of examples stands at the epoch.
            return Some(Value::Series(Arc::new(Series {
                samples: vec![(jiff::Timestamp::UNIX_EPOCH - CENTURY, sample)],
                until: jiff::Timestamp::MAX,
                step: i64::MAX,
            })));
        }
        match (&inner.kind, core(ty)) {
            (tree::ExprKind::Record(fields), Type::Record(record)) => {
                let record = Arc::clone(record);
                for (name, _) in fields {
                    if record.field(&name.text).is_none() {
                        let finding = Diagnostic::error(
                            "unknown-field",
                            name.span,
                            format!("a `{}` has no field `{}`", record.name, name.text),
                        );
                        let finding =
                            self.checker
                                .suggest(finding, name, record.fields.iter().map(|(known, _)| &**known), true);
                        self.report(finding);
                        return None;
                    }
                }
                let mut values = Vec::with_capacity(record.fields.len());
                for (name, ty) in &record.fields {
                    let value = match fields.iter().find(|(given, _)| *given.text == **name) {
                        Some((_, written)) => self.given_expr(written, ty)?,
                        None => Value::unknown(Reason::Missing, format!("`{name}` is not given here")),
                    };
                    values.push((Arc::clone(name), value));
                }
                let value = Value::Record(Arc::new(Record {
                    type_name: Arc::clone(&record.name),
                    fields: values,
                }));
                Some(wrapped(value, ty))
            }
            (tree::ExprKind::List(items), Type::List(of)) => {
                let of = (**of).clone();
                let values: Option<Vec<Value>> = items.iter().map(|item| self.given_expr(item, &of)).collect();
                values.map(Value::list)
            }
            _ => {
                let expr = self.expect(written, ty);
                let value = self.literal(&expr)?;
                Some(wrapped(value, ty))
            }
        }
    }
}

/// A probe's reply by its word.
pub fn probe_value(word: &str) -> Value {
    Value::record(
        "Probe",
        vec![
            ("reply", Value::variant(word)),
            ("time", Value::unknown(Reason::Missing, "`time` is not given here")),
            ("ok", Value::Bool(word == "answered")),
            ("status", Value::None),
        ],
    )
}

/// A value that is due as a secret is one.
fn wrapped(value: Value, ty: &Type) -> Value {
    match ty {
        Type::Secret(_) => Value::Secret(crate::value::Secret::new(value)),
        Type::Optional(inner) => wrapped(value, inner),
        _ => value,
    }
}
