//! Actions that are verified by the goal although another cause can keep it from holding.

use super::conditions::key;
use crate::diagnostic::Diagnostic;
use crate::program::{BindingKind, Branch, Expr, ExprKind, Program, Runbook, Step, StepKind};

/// Looks at the actions of every branch that has more than one cause.
pub fn check(program: &Program, found: &mut Vec<Diagnostic>) {
    for runbook in &program.runbooks {
        let Some(goal) = runbook.goal else { continue };
        if let BindingKind::Let(goal) = &runbook.binding(goal).kind {
            let goal = question_of(runbook, goal);
            steps(runbook, &goal, &runbook.steps, 0, found);
        }
    }
}

/// What is asked, without how long it must last and without the names it goes by.
fn question_of(runbook: &Runbook, expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::For { condition, .. } => question_of(runbook, condition),
        ExprKind::Not(inner) => format!("not({})", question_of(runbook, inner)),
        ExprKind::Binding(id) => match &runbook.binding(*id).kind {
            BindingKind::Let(inner) => question_of(runbook, inner),
            _ => key(runbook, expr),
        },
        _ => key(runbook, expr),
    }
}

/// `others` is how many more causes could hold where these steps stand.
fn steps(runbook: &Runbook, goal: &str, list: &[Step], others: usize, found: &mut Vec<Diagnostic>) {
    for step in list {
        match &step.kind {
            StepKind::Branch(branch) => {
                let more = others + branch.causes.len().saturating_sub(1);
                branch
                    .causes
                    .iter()
                    .for_each(|cause| steps(runbook, goal, &cause.steps, more, found));
                arms(runbook, goal, branch, others, found);
            }
            StepKind::Each(each) => steps(runbook, goal, &each.steps, others, found),
            StepKind::Action(id) if others > 0 => {
                let action = runbook.action(*id);
                let Some(verify) = &action.verify else { continue };
                if !action.failed.undo || question_of(runbook, &verify.condition) != goal {
                    continue;
                }
                let causes = if others == 1 {
                    "one more cause".to_owned()
                } else {
                    format!("{others} more causes")
                };
                found.push(
                    Diagnostic::warning(
                        "verify-is-goal",
                        super::place(verify.condition.span, step.span),
                        "this action may be taken back although it worked",
                    )
                    .label(format!("the goal; {causes} can keep it from holding"))
                    .help("ask about this cause alone; the branch asks the goal by itself"),
                );
            }
            _ => {}
        }
    }
}

fn arms(runbook: &Runbook, goal: &str, branch: &Branch, others: usize, found: &mut Vec<Diagnostic>) {
    steps(runbook, goal, &branch.otherwise, others, found);
    if !branch.merged {
        steps(runbook, goal, &branch.cannot_tell, others, found);
    }
}
