//! What decided an answer: the actual value and the limit of every comparison that was looked at.

use super::limits::EVIDENCE;
use super::machine::Machine;
use super::{Scope, answer, series};
use crate::journal::event::Evidence;
use crate::program::{BinaryOp, Expr, ExprKind};
use crate::source::Sources;
use crate::value::show::{show, show_apart, show_duration};
use crate::value::{Answer, Value};

/// The comparisons and questions of a condition, in the order of the text.
pub fn evidence(expr: &Expr, scope: &dyn Scope, sources: &Sources) -> Vec<Evidence> {
    let machine = Machine::new(scope);
    let mut found = Vec::new();
    collect(expr, expr, &machine, sources, &mut found);
    found.truncate(EVIDENCE);
    found
}

/// `whole` is the expression whose answer is told: the `for` around a comparison, or the comparison itself.
fn collect(expr: &Expr, whole: &Expr, machine: &Machine, sources: &Sources, found: &mut Vec<Evidence>) {
    if found.len() > EVIDENCE {
        return;
    }
    match &expr.kind {
        ExprKind::Not(inner) => collect(inner, inner, machine, sources, found),
        ExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            left,
            right,
        } => {
            collect(left, left, machine, sources, found);
            collect(right, right, machine, sources, found);
        }
        ExprKind::For { condition, .. } => match &condition.kind {
            ExprKind::Not(_)
            | ExprKind::Binary {
                op: BinaryOp::And | BinaryOp::Or,
                ..
            } => {
                // The whole was answered over time; its parts are shown as they are now.
                push(whole, Told::default(), machine, sources, found);
                collect(condition, condition, machine, sources, found);
            }
            _ => collect(condition, whole, machine, sources, found),
        },
        ExprKind::Binary {
            op: BinaryOp::Greater | BinaryOp::GreaterEqual | BinaryOp::Less | BinaryOp::LessEqual,
            left,
            right,
        } => {
            let (actual, limit) = show_apart(&current(left, machine), &current(right, machine));
            push(whole, Told::compared(expr, actual, limit), machine, sources, found);
        }
        ExprKind::Equal { left, right, .. } => {
            let (actual, limit) = show_apart(&current(left, machine), &current(right, machine));
            push(whole, Told::compared(expr, actual, limit), machine, sources, found);
        }
        ExprKind::Binary {
            op: BinaryOp::In | BinaryOp::NotIn | BinaryOp::Contains | BinaryOp::Matches,
            left,
            right,
        } => {
            let actual = show(&current(left, machine));
            let limit = show(&current(right, machine));
            push(whole, Told::compared(expr, actual, limit), machine, sources, found);
        }
        ExprKind::IsEmpty { subject, .. }
        | ExprKind::IsMissing { subject, .. }
        | ExprKind::IsUnknown { subject, .. } => {
            let actual = show(&current(subject, machine));
            push(
                whole,
                Told::compared(expr, actual, String::new()),
                machine,
                sources,
                found,
            );
        }
        ExprKind::Literal(_) => {}
        _ => push(
            whole,
            Told::compared(expr, String::new(), String::new()),
            machine,
            sources,
            found,
        ),
    }
}

#[derive(Default)]
struct Told<'a> {
    /// The comparison, when it may be a series.
    comparison: Option<&'a Expr>,
    actual: String,
    limit: String,
}

impl<'a> Told<'a> {
    fn compared(comparison: &'a Expr, actual: String, limit: String) -> Self {
        Self {
            comparison: Some(comparison),
            actual,
            limit,
        }
    }
}

fn push(whole: &Expr, told: Told, machine: &Machine, sources: &Sources, found: &mut Vec<Evidence>) {
    let value = machine.value(whole, None);
    let answer = answer(&value);
    let series = |value: Value| match value {
        Value::Series(samples) => series::since(&samples, machine.now),
        _ => None,
    };
    let lasting = match (&whole.kind, told.comparison) {
        (ExprKind::For { condition, .. }, _) => series(machine.value(condition, None)).or_else(|| {
            // A question that is asked again and again.
            let answers = machine.scope.held(condition.span)?;
            series::since(&answers, machine.now)
        }),
        (_, Some(comparison)) => series(machine.value(comparison, None)),
        (_, None) => None,
    };
    let detail = match (&value, lasting) {
        (Value::Unknown(unknown), Some(span)) => format!("{unknown}; now {}", lasted(span)),
        (Value::Unknown(unknown), None) => unknown.to_string(),
        (_, Some(span)) => lasted(span),
        (_, None) => beside(whole, machine),
    };
    let actual = if told.actual.is_empty() {
        match answer {
            Answer::Unknown => "unknown".to_owned(),
            known => known.word().to_owned(),
        }
    } else {
        told.actual
    };
    found.push(Evidence {
        text: sources.phrase(whole.span),
        answer,
        actual,
        limit: told.limit,
        detail,
    });
}

/// What stands beside the field `ok` of an attempt: how a probe was answered, and the exit code of a program. Without it a "no" may be anything.
fn beside(whole: &Expr, machine: &Machine) -> String {
    let ExprKind::Field { subject, name } = &whole.kind else {
        return String::new();
    };
    let attempt = machine.value(subject, None);
    let Some(record) = attempt.as_record().filter(|_| &**name == "ok") else {
        return String::new();
    };
    match (record.get("reply"), record.get("status"), record.get("code")) {
        (Some(reply @ Value::Enum(_)), Some(Value::Int(status)), _) => format!("{}, status {status}", show(reply)),
        (Some(reply @ Value::Enum(_)), _, _) => show(reply),
        (None, _, Some(Value::Int(code))) => format!("exit code {code}"),
        _ => String::new(),
    }
}

fn lasted(span: i64) -> String {
    match span {
        series::ALWAYS => "at all times".to_owned(),
        span => format!("for {}", show_duration(span)),
    }
}

/// The value of an operand; of a series the newest one.
fn current(expr: &Expr, machine: &Machine) -> Value {
    match machine.value(expr, None) {
        Value::Series(samples) => series::newest(&samples, machine.now),
        value => value,
    }
}
