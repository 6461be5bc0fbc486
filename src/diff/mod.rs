//! What a change of a runbook does to its risk: two checked programs, compared by their plans. Pure.
//!
//! Whatever cannot be judged from the texts is said to be so ("judge"), never left out.

mod compare;
#[cfg(test)]
mod tests;
mod told;

use crate::diagnostic::{Diagnostic, Level};
use crate::plan::plan;
use crate::program::{Program, RunbookId};
use serde::Serialize;

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The new text is not valid.
    Invalid,
    /// The old text was not valid: nobody knows what it did.
    InvalidBefore,
    EffectAdded,
    EffectRemoved,
    TargetWidened,
    TargetNarrowed,
    TargetChanged,
    ApprovalWeakened,
    ApprovalStrengthened,
    RiskLowered,
    RiskRaised,
    VerifyRemoved,
    VerifyChanged,
    VerifyAdded,
    UndoRemoved,
    UndoChanged,
    UndoAdded,
    CauseUnreachable,
    CauseRemoved,
    CauseAdded,
    ConditionChanged,
    OutcomeChanged,
    PathWithoutApproval,
    TimeLonger,
    TimeShorter,
    GrantAdded,
    GrantRemoved,
    FewerTold,
    MoreTold,
    SeverityChanged,
}

/// What it does to risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Riskier,
    /// A person must judge it.
    Judge,
    Safer,
}

impl Class {
    /// Every class, for help and for `--fail-on`.
    pub const ALL: &'static [Class] = &[
        Class::Invalid,
        Class::InvalidBefore,
        Class::EffectAdded,
        Class::EffectRemoved,
        Class::TargetWidened,
        Class::TargetNarrowed,
        Class::TargetChanged,
        Class::ApprovalWeakened,
        Class::ApprovalStrengthened,
        Class::RiskLowered,
        Class::RiskRaised,
        Class::VerifyRemoved,
        Class::VerifyChanged,
        Class::VerifyAdded,
        Class::UndoRemoved,
        Class::UndoChanged,
        Class::UndoAdded,
        Class::CauseUnreachable,
        Class::CauseRemoved,
        Class::CauseAdded,
        Class::ConditionChanged,
        Class::OutcomeChanged,
        Class::PathWithoutApproval,
        Class::TimeLonger,
        Class::TimeShorter,
        Class::GrantAdded,
        Class::GrantRemoved,
        Class::FewerTold,
        Class::MoreTold,
        Class::SeverityChanged,
    ];

    /// The class as it is written.
    pub fn word(self) -> &'static str {
        match self {
            Class::Invalid => "invalid",
            Class::InvalidBefore => "invalid-before",
            Class::EffectAdded => "effect-added",
            Class::EffectRemoved => "effect-removed",
            Class::TargetWidened => "target-widened",
            Class::TargetNarrowed => "target-narrowed",
            Class::TargetChanged => "target-changed",
            Class::ApprovalWeakened => "approval-weakened",
            Class::ApprovalStrengthened => "approval-strengthened",
            Class::RiskLowered => "risk-lowered",
            Class::RiskRaised => "risk-raised",
            Class::VerifyRemoved => "verify-removed",
            Class::VerifyChanged => "verify-changed",
            Class::VerifyAdded => "verify-added",
            Class::UndoRemoved => "undo-removed",
            Class::UndoChanged => "undo-changed",
            Class::UndoAdded => "undo-added",
            Class::CauseUnreachable => "cause-unreachable",
            Class::CauseRemoved => "cause-removed",
            Class::CauseAdded => "cause-added",
            Class::ConditionChanged => "condition-changed",
            Class::OutcomeChanged => "outcome-changed",
            Class::PathWithoutApproval => "path-without-approval",
            Class::TimeLonger => "time-longer",
            Class::TimeShorter => "time-shorter",
            Class::GrantAdded => "grant-added",
            Class::GrantRemoved => "grant-removed",
            Class::FewerTold => "fewer-told",
            Class::MoreTold => "more-told",
            Class::SeverityChanged => "severity-changed",
        }
    }

    /// The class of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.word() == word)
    }

    /// What a difference of this class does to risk.
    pub fn direction(self) -> Direction {
        match self {
            Class::Invalid
            | Class::EffectAdded
            | Class::TargetWidened
            | Class::ApprovalWeakened
            | Class::RiskLowered
            | Class::VerifyRemoved
            | Class::UndoRemoved
            | Class::CauseUnreachable
            | Class::PathWithoutApproval
            | Class::TimeLonger
            | Class::GrantAdded
            | Class::FewerTold => Direction::Riskier,
            Class::EffectRemoved
            | Class::TargetNarrowed
            | Class::ApprovalStrengthened
            | Class::RiskRaised
            | Class::VerifyAdded
            | Class::UndoAdded
            | Class::TimeShorter
            | Class::GrantRemoved
            | Class::MoreTold => Direction::Safer,
            Class::InvalidBefore
            | Class::TargetChanged
            | Class::VerifyChanged
            | Class::UndoChanged
            | Class::CauseRemoved
            | Class::CauseAdded
            | Class::ConditionChanged
            | Class::OutcomeChanged
            | Class::SeverityChanged => Direction::Judge,
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    pub direction: Direction,
    pub class: Class,
    /// The runbook it is in.
    pub runbook: String,
    /// The action, cause or question; empty for the runbook as a whole.
    pub subject: String,
    pub text: String,
}

/// One side: a program, or the findings that stand in its way.
pub struct Side<'a> {
    /// `None` when there is no such file, or it is not valid.
    pub program: Option<&'a Program>,
    pub findings: &'a [Diagnostic],
}

impl Side<'_> {
    /// How many errors it has, in words; `None` when it has none.
    fn errors(&self) -> Option<String> {
        let error = |finding: &&Diagnostic| finding.level == Level::Error;
        match self.findings.iter().filter(error).count() {
            0 => None,
            1 => Some("1 error".to_owned()),
            count => Some(format!("{count} errors")),
        }
    }
}

/// Rules that say that a cause or a step cannot be reached.
const UNREACHABLE: &[&str] = &["shadowed-cause", "contradiction", "unreachable-step"];

/// The differences of two sides of one file, the riskier ones first.
pub fn diff(name: &str, old: &Side<'_>, new: &Side<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    for finding in new.findings {
        let known = |other: &Diagnostic| other.rule == finding.rule && other.message == finding.message;
        if UNREACHABLE.contains(&finding.rule) && !old.findings.iter().any(known) {
            found.push(difference(Class::CauseUnreachable, name, "", finding.message.clone()));
        }
    }
    if let Some(errors) = new.errors() {
        let text = format!("{errors}: it can neither run nor be compared");
        found.push(difference(Class::Invalid, name, "", text));
        found.sort();
        return found;
    }
    if let Some(errors) = old.errors() {
        let text = format!("what it was had {errors}: nothing is compared, and what it does now counts as new");
        found.push(difference(Class::InvalidBefore, name, "", text));
    }
    let plans = |side: &Side<'_>| -> Vec<(crate::plan::Plan, usize)> {
        side.program
            .map(|program| {
                (0..program.runbooks.len())
                    .map(|position| (plan(program, RunbookId(position)), position))
                    .collect()
            })
            .unwrap_or_default()
    };
    let (before, after) = (plans(old), plans(new));
    for (plan, position) in &after {
        let was = before.iter().find(|(known, _)| known.runbook == plan.runbook);
        let program = new.program.map(|program| &program.runbooks[*position]);
        match (was, program, old.program) {
            (Some((was, before)), Some(book), Some(program)) => {
                let old_book = &program.runbooks[*before];
                compare::compare(was, plan, old_book, book, &mut found);
                if let Some(new) = new.program {
                    told::compare((program, old_book), (new, book), &mut found);
                }
            }
            _ => compare::added(plan, &mut found),
        }
    }
    for (plan, _) in &before {
        if !after.iter().any(|(known, _)| known.runbook == plan.runbook) {
            compare::removed(plan, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn difference(class: Class, runbook: &str, subject: &str, text: String) -> Difference {
    Difference {
        direction: class.direction(),
        class,
        runbook: runbook.to_owned(),
        subject: subject.to_owned(),
        text,
    }
}
