//! How long steps may take at most, to see whether another round fits.

use super::{Frame, limits};
use crate::program::{Action, OrderKind, Step, StepKind, UndoKind};
use crate::value::Value;
use std::time::Duration;

impl Frame<'_> {
    /// The longest time of a list of steps: approvals, changes, verification, and then the longer of undo and settling.
    pub fn longest_path(&self, steps: &[Step]) -> Duration {
        steps
            .iter()
            .map(|step| self.longest_step(step))
            .fold(Duration::ZERO, Duration::saturating_add)
    }

    fn longest_step(&self, step: &Step) -> Duration {
        match &step.kind {
            StepKind::Action(id) => self.longest_action(self.book().action(*id)),
            StepKind::Wait { within, .. } => *within,
            StepKind::Tell(call) => call.within,
            StepKind::Run { runbook, .. } => self.run().program.runbooks[runbook.0].header.timebox,
            StepKind::Each(each) => {
                let most = match self.value(&each.at_most) {
                    Value::Int(most) => u32::try_from(most.max(0)).unwrap_or(u32::MAX),
                    _ => 1,
                };
                self.longest_path(&each.steps).saturating_mul(most)
            }
            StepKind::Branch(branch) => branch
                .causes
                .iter()
                .map(|cause| self.longest_path(&cause.steps))
                .chain([
                    self.longest_path(&branch.otherwise),
                    self.longest_path(&branch.cannot_tell),
                ])
                .max()
                .unwrap_or_default(),
            StepKind::Prose(_)
            | StepKind::Evaluate(_)
            | StepKind::Require { .. }
            | StepKind::Advise(_)
            | StepKind::Stop(_)
            | StepKind::Escalate => Duration::ZERO,
        }
    }

    fn longest_action(&self, action: &Action) -> Duration {
        let approval = action
            .approve
            .as_ref()
            .map_or(Duration::ZERO, |approval| approval.within);
        let orders: Duration = if action.manual {
            action.manual_within
        } else {
            action
                .orders
                .iter()
                .map(|order| match &order.kind {
                    OrderKind::Call { call, .. } => call.within,
                    OrderKind::Undo(_) | OrderKind::Words(_) => Duration::ZERO,
                })
                .fold(Duration::ZERO, Duration::saturating_add)
        };
        let verify = action.verify.as_ref().map_or(Duration::ZERO, |verify| verify.within);
        let undo = action
            .undos
            .iter()
            .map(|undo| match &undo.kind {
                UndoKind::Restore(calls) => calls.iter().map(|call| call.within).sum(),
                UndoKind::Call(call) => call.within,
                UndoKind::Words(_) => limits::PERSON,
                UndoKind::None { .. } => Duration::ZERO,
            })
            .fold(Duration::ZERO, Duration::saturating_add);
        let settling = match self.book().goal {
            Some(goal) => self.longest_for(&self.goal_expr(goal)).saturating_add(limits::SETTLING),
            None => Duration::ZERO,
        };
        approval
            .saturating_add(orders)
            .saturating_add(verify)
            .saturating_add(undo.max(settling))
    }
}
