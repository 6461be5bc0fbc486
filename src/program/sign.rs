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

impl Sign {
    /// Whether the answer is good (`Some(true)`) or bad; an unknown one is neither.
    pub fn judge(self, answer: Answer) -> Option<bool> {
        match answer {
            Answer::Yes => Some(self == Sign::YesIsGood),
            Answer::No => Some(self == Sign::YesIsBad),
            Answer::Unknown => None,
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
    signs(runbook).get(&question)?.judge(answer)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn signs_of(goal: &str) -> Vec<(String, Sign)> {
        let text = format!(
            r#"use team.{{App, deploy}}

runbook signs(app: App) "Signs" {{
  reads deploy
  situation {{
    symptom full "Is it full?" observed
    symptom answers "Does it answer?" {{
      read reply = deploy.answers(app)
      yes when reply.ok
    }}
    symptom other "Is it raining?" observed
  }}
  task {{
    goal {goal}
  }}
}}
"#
        );
        let program = sample::program(&text);
        let runbook = &program.runbooks[0];
        signs(runbook)
            .into_iter()
            .map(|(id, sign)| (runbook.binding(id).name.clone(), sign))
            .collect()
    }

    #[test]
    fn yes_is_good_or_bad_as_the_goal_has_it() {
        let full = || ("full".to_owned(), Sign::YesIsBad);
        let answers = || ("answers".to_owned(), Sign::YesIsGood);
        assert_eq!(signs_of("not full and answers"), [full(), answers()]);
        assert_eq!(signs_of("not (full or not answers)"), [full(), answers()]);
        assert_eq!(signs_of("full is false and not not answers"), [full(), answers()]);
        assert_eq!(
            signs_of("answers or (full and not full)"),
            [answers()],
            "both ways is neither"
        );
    }

    #[test]
    fn an_unknown_answer_is_neither_good_nor_bad() {
        let program = sample::everything();
        let runbook = &program.runbooks[0];
        let id = |name: &str| BindingId(runbook.bindings.iter().position(|b| b.name == name).unwrap());
        assert_eq!(good(runbook, id("full"), Answer::Yes), Some(false));
        assert_eq!(good(runbook, id("full"), Answer::No), Some(true));
        assert_eq!(good(runbook, id("full"), Answer::Unknown), None);
        assert_eq!(
            good(runbook, id("complaints"), Answer::Yes),
            None,
            "the goal does not mention it"
        );
    }
}
