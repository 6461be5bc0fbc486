//! Which clause belongs where, and what is said when it stands elsewhere.

use super::scope::Body;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::tree::{Clause, ClauseKind, Name, QuestionKind};

/// The place of a clause in a runbook: header, situation, task, steps, result, reflection.
pub(super) fn section(kind: &ClauseKind) -> Option<usize> {
    Some(match kind {
        ClauseKind::Owner(_)
        | ClauseKind::Status(_)
        | ClauseKind::Reviewed { .. }
        | ClauseKind::Timebox { .. }
        | ClauseKind::Reads(_)
        | ClauseKind::Changes(_)
        | ClauseKind::Tells(_)
        | ClauseKind::Runs(_) => 0,
        ClauseKind::Situation(_) => 1,
        ClauseKind::Task(_) => 2,
        ClauseKind::Result(_) => 4,
        ClauseKind::Reflection(_) => 5,
        _ => return None,
    })
}

/// Where a clause belongs, in words; `None` for what the parser has already reported.
fn home(kind: &ClauseKind) -> Option<&'static str> {
    Some(match kind {
        ClauseKind::Prose(_) => "prose stands at the top of a block or between steps",
        ClauseKind::Owner(_)
        | ClauseKind::Status(_)
        | ClauseKind::Reviewed { .. }
        | ClauseKind::Timebox { .. }
        | ClauseKind::Reads(_)
        | ClauseKind::Changes(_)
        | ClauseKind::Tells(_)
        | ClauseKind::Runs(_) => "it belongs to the header, at the top of the runbook",
        ClauseKind::Situation(_) => "`situation` stands behind the header, before `task` and the steps",
        ClauseKind::Task(_) => "`task` stands between `situation` and the steps",
        ClauseKind::Result(_) => "`result` stands behind the steps",
        ClauseKind::Reflection(_) => "`reflection` stands at the end of the runbook",
        ClauseKind::Goal(_) => "`goal` belongs in `task`",
        ClauseKind::Severity(_) => "`severity` belongs in `situation`",
        ClauseKind::Resolved(_) => "`resolved` belongs in `result`",
        ClauseKind::EscalationUse(_) | ClauseKind::Escalation { .. } => {
            "an escalation belongs in `result`, or with a name at the top level of a module"
        }
        ClauseKind::Prevent { .. } => "`prevent` belongs in `reflection`",
        ClauseKind::Advise { .. } => "`advise` belongs among the steps or in `reflection`",
        ClauseKind::Reflect(_) => "`ask \"…\"` without a name belongs in `reflection`",
        ClauseKind::Question(question) if question.kind == QuestionKind::Symptom => {
            "`symptom` belongs in `situation`; elsewhere it is a `check`"
        }
        ClauseKind::Question(_) => "`check` belongs in `situation` or among the steps",
        ClauseKind::Read { .. } => "`read` belongs in `situation`, among the steps or in a check",
        ClauseKind::Let { .. } => {
            "`let` belongs in `situation`, among the steps, in a check or at the top level of a module"
        }
        ClauseKind::YesWhen(_) => "`yes when` belongs in a check",
        ClauseKind::Example(_) => "`example` belongs in a check of a module",
        ClauseKind::Ask { .. } => "`ask NAME` belongs among the steps",
        ClauseKind::Branch { .. } => "`branch` belongs among the steps",
        ClauseKind::Cause { .. } => "`cause` belongs in a `branch`",
        ClauseKind::Otherwise { .. } | ClauseKind::CannotTell(_) => "it belongs at the end of a `branch`",
        ClauseKind::Action(_) => "`action` belongs among the steps, often in a `cause`",
        ClauseKind::Manual { .. } => "`manual` belongs among the steps",
        ClauseKind::Require { .. } => "`require` belongs among the steps",
        ClauseKind::Wait { .. } => "`wait until` belongs among the steps",
        ClauseKind::Each(_) => "`each` belongs among the steps",
        ClauseKind::Run(_) => "`run` belongs among the steps",
        ClauseKind::Tell(_) => "`tell` belongs among the steps or in an outcome",
        ClauseKind::Stop(_) | ClauseKind::Escalate => "it belongs among the steps, as the last one",
        ClauseKind::When(_) => "`when` belongs in an `action`; a cause has it in its first line",
        ClauseKind::Do { .. } | ClauseKind::DoUndo(_) => {
            "a change belongs in an `action`, with risk, approval, undo and verification"
        }
        ClauseKind::Risk(_)
        | ClauseKind::Approve { .. }
        | ClauseKind::Refuse { .. }
        | ClauseKind::Undo(_)
        | ClauseKind::Verify { .. }
        | ClauseKind::Failed(_)
        | ClauseKind::Unclear(_)
        | ClauseKind::NotApproved(_) => "it belongs in an `action`",
        ClauseKind::Order(_) => "an order in words belongs in a `manual`; an action calls an operation",
        ClauseKind::Junk => return None,
    })
}

impl Body<'_, '_> {
    /// Reports a clause that does not belong in `place` (`a check`, `an action`).
    pub fn misplaced(&mut self, clause: &Clause, place: &str) {
        let Some(help) = home(&clause.kind) else { return };
        self.poison(&clause.kind);
        let word = self.checker.sources.text(clause.keyword).to_owned();
        // A change outside an action is the one misplaced clause with a rule of its own.
        let change = matches!(clause.kind, ClauseKind::Do { .. } | ClauseKind::DoUndo(_));
        let finding = if change {
            Diagnostic::error(
                "effect-in-check",
                clause.keyword,
                format!("a change does not belong in {place}"),
            )
        } else {
            Diagnostic::error(
                "misplaced-clause",
                clause.keyword,
                format!("`{word}` does not belong in {place}"),
            )
        };
        self.report(finding.help(help));
    }

    /// Nothing is asked about what a misplaced clause declares or uses.
    fn poison(&mut self, kind: &ClauseKind) {
        use super::scope::What;
        let name: Option<&Name> = match kind {
            ClauseKind::Read { name, .. }
            | ClauseKind::Let { name, .. }
            | ClauseKind::Ask { name, .. }
            | ClauseKind::Cause { name, .. }
            | ClauseKind::Manual { name, .. } => Some(name),
            ClauseKind::Question(question) => Some(&question.name),
            ClauseKind::Action(action) => Some(&action.name),
            ClauseKind::Do { name, .. } => name.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.declare_name(name, What::Broken, false);
        }
        self.effects.unclear_all = true;
    }

    /// Reports a clause that stands a second time in its block.
    pub fn twice(&mut self, clause: &Clause, first: Span) {
        let word = self.checker.sources.text(clause.keyword).to_owned();
        self.effects.unclear_all = true;
        self.report(
            Diagnostic::error(
                "duplicate-clause",
                clause.keyword,
                format!("`{word}` stands here a second time"),
            )
            .and(first, "first here")
            .help("leave one of the two"),
        );
    }

    /// Reports a clause behind one that it must precede.
    pub fn out_of_order(&mut self, clause: &Clause, behind: Span) {
        let Some(help) = home(&clause.kind) else { return };
        let word = self.checker.sources.text(clause.keyword).to_owned();
        let other = self.checker.sources.text(behind).to_owned();
        self.report(
            Diagnostic::error(
                "misplaced-clause",
                clause.keyword,
                format!("`{word}` stands behind `{other}`"),
            )
            .and(behind, "this comes later")
            .help(help),
        );
    }

    /// Reports a role that the environment does not know.
    pub fn role(&mut self, role: &Name) {
        let Some(roles) = self.checker.context.roles.clone() else {
            return;
        };
        if roles.contains(&role.text) {
            return;
        }
        let finding = Diagnostic::error(
            "unknown-value",
            role.span,
            format!("the environment has no role `{}`", role.text),
        );
        let finding = self
            .checker
            .suggest(finding, role, roles.iter().map(String::as_str), true);
        self.report(finding);
    }

    /// Reports a severity that the environment does not know.
    pub fn severity(&mut self, severity: &Name) {
        let known = self.checker.context.severities.clone();
        if known.is_empty() || known.contains(&severity.text) {
            return;
        }
        let finding = Diagnostic::error(
            "unknown-value",
            severity.span,
            format!("the environment has no severity `{}`", severity.text),
        );
        let finding = self
            .checker
            .suggest(finding, severity, known.iter().map(String::as_str), true);
        self.report(finding);
    }
}
