//! Evaluates pure expressions of a checked program. Three-valued; never fails, never blocks. Pure.
//!
//! Unknown travels with its reason and never turns into no, empty or zero. Absence, `null`, `""`, `0`, `false` and `[]` are
//! six different things: an absent field is unknown (`is missing` is yes), the others are values.

mod compare;
mod constants;
mod evidence;
pub mod examples;
pub mod held;
pub mod limits;
mod list;
mod machine;
mod number;
mod series;
#[cfg(test)]
mod tests;
pub mod text;

use crate::program::{BindingId, Expr, Part, RunField, Template};
use crate::source::Span;
use crate::value::identity::unknown_in;
use crate::value::{Answer, Reason, Series, Value, show};
use jiff::Timestamp;
use std::sync::Arc;

pub use constants::Constants;
pub use evidence::evidence;
pub use examples::combine;
pub use list::same;

/// Where the values of names come from.
pub trait Scope {
    /// The value of a binding; of a question its answer. Not known yet is `Unknown`.
    fn binding(&self, id: BindingId) -> Value;

    /// The time of asking.
    fn now(&self) -> Timestamp;

    /// A field of the built-in record `run`.
    fn run(&self, field: RunField) -> Value;

    /// A field of a resource, from the environment.
    fn resource(&self, kind: &str, name: &str, field: &str) -> Value {
        Value::unknown(
            Reason::Unavailable,
            format!("this environment does not say the {field} of {kind} {name}"),
        )
    }

    /// How the condition at this place was answered so far, for `C for D` over a question that is asked again and again;
    /// see [`held::History`]. `None`: it was not looked at before.
    fn held(&self, condition: Span) -> Option<Series> {
        let _ = condition;
        None
    }
}

/// The value of an expression.
pub fn evaluate(expr: &Expr, scope: &dyn Scope) -> Value {
    machine::Machine::new(scope).value(expr, None)
}

/// The value of an expression in a message to people: a text names what is not known in it, where elsewhere it would be unknown as a
/// whole.
pub fn evaluate_for_people(expr: &Expr, scope: &dyn Scope) -> Value {
    machine::Machine::for_people(scope).value(expr, None)
}

/// A value as an answer: only a truth value is yes or no.
pub fn answer(value: &Value) -> Answer {
    match value {
        Value::Bool(true) => Answer::Yes,
        Value::Bool(false) => Answer::No,
        _ => Answer::Unknown,
    }
}

/// An answer as a value; the unknown one has the given reason.
pub fn answer_value(answer: Answer, reason: Reason, detail: &str) -> Value {
    match answer {
        Answer::Yes => Value::Bool(true),
        Answer::No => Value::Bool(false),
        Answer::Unknown => Value::unknown(reason, detail),
    }
}

/// The text of a template with its places filled in. What is put in is shown as it is and never read again as a template.
pub fn fill(template: &Template, scope: &dyn Scope) -> String {
    let machine = machine::Machine::new(scope);
    fill_with(template, &|expr| machine.value(expr, None))
}

fn fill_with(template: &Template, value: &dyn Fn(&Expr) -> Value) -> String {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Expr(expr) => text.push_str(&show::show(&value(expr))),
        }
        if text.len() > limits::FILLED_BYTES {
            let mut end = limits::FILLED_BYTES;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text.push('…');
            break;
        }
    }
    text
}

/// The text of a template that is asked with, sent, or compared. Where a part is not known, or is a secret, it is unknown as a whole:
/// `/orders/unknown` is a path, and a wrong one.
fn joined(template: &Template, value: &dyn Fn(&Expr) -> Value) -> Value {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Expr(expr) => {
                let value = value(expr);
                if let Some(unknown) = unknown_in(&value) {
                    return Value::Unknown(Arc::new(unknown.clone()));
                }
                if expr.ty.holds_secret() || matches!(value, Value::Secret(_)) {
                    return Value::unknown(Reason::Denied, "a secret is not put into a text");
                }
                text.push_str(&show::show(&value));
            }
        }
        if text.len() > limits::FILLED_BYTES {
            return Value::unknown(Reason::Truncated, "the text is longer than 64 KiB");
        }
    }
    Value::text(text)
}
