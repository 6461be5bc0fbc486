//! Whether "yes" is good: the sign of a question in the goal.
//!
//! Yes to "Is the pool full?" is bad, yes to "Does the API answer?" is good. Only the goal says which; a question that it
//! does not mention has no sign, and neither has one that it mentions both ways.

use super::{BinaryOp, BindingId, BindingKind, Expr, ExprKind, QuestionForm, Runbook};
use crate::value::{Answer, Value};
use std::collections::BTreeMap;

/// Which answer is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    YesIsGood,
    YesIsBad,
}

impl std::ops::Not for Sign {
    type Output = Sign;

    fn not(self) -> Sign {
        match self {
            Sign::YesIsGood => Sign::YesIsBad,
            Sign::YesIsBad => Sign::YesIsGood,
        }
    }
}

/// The questions that the goal mentions, with their signs; those mentioned both ways are left out.
pub fn signs(runbook: &Runbook) -> BTreeMap<BindingId, Sign> {
    let mut found: BTreeMap<BindingId, Option<Sign>> = BTreeMap::new();
    if let Some(goal) = runbook.goal {
        binding(runbook, goal, Sign::YesIsGood, &mut found);
    }
    found
        .into_iter()
        .filter_map(|(id, sign)| sign.map(|sign| (id, sign)))
        .collect()
}

/// Whether this answer is good (`Some(true)`), bad, or neither, because it is unknown or the goal does not mention the question.
pub fn good(runbook: &Runbook, question: BindingId, answer: Answer) -> Option<bool> {
    let sign = *signs(runbook).get(&question)?;
    match answer {
        Answer::Yes => Some(sign == Sign::YesIsGood),
        Answer::No => Some(sign == Sign::YesIsBad),
        Answer::Unknown => None,
    }
}

fn binding(runbook: &Runbook, id: BindingId, sign: Sign, found: &mut BTreeMap<BindingId, Option<Sign>>) {
    let Some(of) = runbook.bindings.get(id.0) else {
        return;
    };
    match &of.kind {
        BindingKind::Let(expr) => walk(runbook, expr, sign, found),
        BindingKind::Question(question) => {
            found
                .entry(id)
                .and_modify(|known| {
                    if *known != Some(sign) {
                        *known = None;
                    }
                })
                .or_insert(Some(sign));
            // Any and all of one question are good where that one is.
            if let QuestionForm::FanOut { question, .. } = &question.form {
                binding(runbook, *question, sign, found);
            }
        }
        _ => {}
    }
}

fn walk(runbook: &Runbook, expr: &Expr, sign: Sign, found: &mut BTreeMap<BindingId, Option<Sign>>) {
    match &expr.kind {
        ExprKind::Binding(id) => binding(runbook, *id, sign, found),
        ExprKind::Not(inner) => walk(runbook, inner, !sign, found),
        ExprKind::For { condition, .. } => walk(runbook, condition, sign, found),
        ExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            left,
            right,
        } => {
            walk(runbook, left, sign, found);
            walk(runbook, right, sign, found);
        }
        // `question is false`
        ExprKind::Equal { left, right, negated } => {
            for (side, other) in [(left, right), (right, left)] {
                if let ExprKind::Literal(Value::Bool(expected)) = other.kind {
                    let sign = if expected == *negated { !sign } else { sign };
                    walk(runbook, side, sign, found);
                }
            }
        }
        _ => {}
    }
}
