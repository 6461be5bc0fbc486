//! What people are told, in words: where the run goes next, what an answer means, what an approval leads to.

use crate::journal::event::{Evidence, Person};
use crate::program::{Action, Approval, End, Outcome, UndoKind, UndoWhen, Verify};
use crate::value::Answer;
use crate::value::show::show_std;

/// `pool_full  yes, bad: 97 %, limit 90 %`
pub(super) fn answer_line(
    name: &str,
    answer: Answer,
    good: Option<bool>,
    evidence: &[Evidence],
    reason: Option<&str>,
    by: Option<&Person>,
) -> String {
    let mut line = format!("{name}: {}", answer.word());
    match good {
        Some(true) => line.push_str(", good"),
        Some(false) => line.push_str(", bad"),
        None => {}
    }
    if let Some(reason) = reason {
        line.push_str(" (");
        line.push_str(reason);
        line.push(')');
    }
    let details: Vec<String> = evidence
        .iter()
        .filter(|part| !part.actual.is_empty())
        .take(3)
        .map(|part| {
            if part.limit.is_empty() {
                part.actual.clone()
            } else {
                format!("{}, limit {}", part.actual, part.limit)
            }
        })
        .collect();
    if !details.is_empty() {
        line.push_str(": ");
        line.push_str(&details.join("; "));
    }
    if let Some(person) = by {
        line.push_str(", said by ");
        line.push_str(&person.name);
    }
    line
}

/// Where an end leads.
pub(super) fn end(end: &End) -> String {
    match end {
        End::NextCause => "trying the next cause".to_owned(),
        End::NextStep => "going on with the next step".to_owned(),
        End::Escalate => "escalating: the rest of the escalation row is called and the run ends".to_owned(),
        End::Stop(_) => "stopping the run; nobody is called".to_owned(),
    }
}

/// What an outcome does, in order.
pub(super) fn outcome(outcome: &Outcome, change: bool) -> String {
    let mut parts = Vec::new();
    if change {
        parts.push(if outcome.undo {
            "taking the change back".to_owned()
        } else {
            "the change stays in place".to_owned()
        });
    }
    for tell in &outcome.tells {
        parts.push(format!("telling `{}`", tell.operation.full_name()));
    }
    parts.push(end(&outcome.end));
    parts.join(", then ")
}

/// Who has to approve.
pub(super) fn approval(approval: &Approval) -> String {
    approval.roles.join(if approval.all { " and " } else { " or " })
}

fn verify(verify: &Verify, condition: &str) -> String {
    format!(
        "it worked if `{condition}` comes true within {}, looked at every {}",
        show_std(verify.within),
        show_std(verify.every)
    )
}

/// What happens on approval, when it works, fails, is unclear or is refused; what is undone; that the list is frozen.
pub(super) fn consequences(
    action: &Action,
    condition: Option<&str>,
    timebox_left: &str,
    timebox_then: &End,
) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(
        "on approval: the checks behind it are asked again; targets that no longer match are dropped and none are added; \
         if anything else changed the approval is void"
            .to_owned(),
    );
    if let (Some(looked), Some(condition)) = (&action.verify, condition) {
        lines.push(verify(looked, condition));
    }
    lines.push(format!("if it fails: {}", outcome(&action.failed, true)));
    lines.push(format!(
        "if its effect is unclear: {}; only the operator may choose to take it back",
        outcome(&action.unclear, true)
    ));
    lines.push(format!(
        "if it is refused, or nobody answers in time: nothing is changed, {}",
        outcome(&action.not_approved, false)
    ));
    for undo in &action.undos {
        let when = match undo.when {
            UndoWhen::OnOutcome => "when the outcome says so",
            UndoWhen::AtEnd => "at the end of the run",
            UndoWhen::After(_) => "by a timer",
        };
        lines.push(match &undo.kind {
            UndoKind::None { .. } => "it cannot be taken back".to_owned(),
            UndoKind::Restore(_) => format!("taken back {when}: the old value is restored; this approval covers it"),
            UndoKind::Call(call) => format!(
                "taken back {when}: by `{}`; this approval covers it",
                call.operation.full_name()
            ),
            UndoKind::Words(_) => format!("taken back {when}: by a person"),
        });
    }
    lines.push(format!(
        "the timebox ends in {timebox_left}; then nothing new begins except taking changes back, {}",
        end(timebox_then)
    ));
    lines
}
