//! Words for what a runbook does, the same in the guide, the approval prompt and on the run screen.
//!
//! Everything is plain text. Names and conditions of the file stand in backticks, which a terminal shows as they are and a
//! page turns into code. Nothing is escaped here: titles may hold foreign data, so whoever shows the words escapes them.

use crate::eval::Scope;
use crate::eval::text::Texts;
pub use crate::eval::text::code;
use crate::journal::event::{Evidence, Person};
use crate::program::{
    Action, Approval, Branch, End, EscalationRow, Expr, Header, OrderKind, Outcome, Program, Risk, Runbook,
    SeverityRow, SeverityWhen, Undo, UndoKind, UndoWhen, Verify,
};
use crate::provider::Idempotence;
use crate::value::Answer;
use crate::value::show::show_std;
use std::time::Duration;

/// Where an action stands: what "next" means there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the steps, outside any branch.
    Steps,
    /// In a cause of a branch that is asked again until the goal is reached.
    Cause,
    /// In a cause of a branch that is asked once.
    CauseOnce,
    /// In an `each`; `in_cause` when that stands in a cause.
    Each { in_cause: bool },
}

/// What became of a cause that stands before another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its `when` is a definite no; the answers that decide it, for example "`release` no".
    Refuted(String),
    /// It was treated in this run and the goal is not reached.
    Treated,
    /// Not looked at yet: the guide.
    Open,
}

/// The words for one runbook; those for its expressions are [`Texts`].
pub struct Words<'a> {
    runbook: &'a Runbook,
    texts: Texts<'a>,
}

impl<'a> std::ops::Deref for Words<'a> {
    type Target = Texts<'a>;

    fn deref(&self) -> &Texts<'a> {
        &self.texts
    }
}

impl<'a> Words<'a> {
    /// Words with the values of this scope filled in. What is [`crate::value::Reason::NotApplied`] in it is shown as
    /// `{name}`; the guide uses [`crate::eval::Constants`].
    pub fn new(program: &'a Program, runbook: &'a Runbook, scope: &'a dyn Scope) -> Self {
        Self {
            runbook,
            texts: Texts::new(program, runbook, scope),
        }
    }

    /// What happens at the end of the timebox.
    pub fn timebox(&self, header: &Header) -> String {
        let after = format!("{} after the start", show_std(header.timebox));
        self.timebox_ends(header, &after)
    }

    /// The same when so much of it is left.
    pub fn timebox_left(&self, header: &Header, left: Duration) -> String {
        self.timebox_ends(header, &format!("In {}, when the timebox ends,", show_std(left)))
    }

    fn timebox_ends(&self, header: &Header, when: &str) -> String {
        let end = match &header.timebox_then {
            End::Stop(reason) => format!("the run stops and pages nobody: {}", self.text(reason)),
            _ => "the run escalates and ends".to_owned(),
        };
        format!(
            "{when} nothing new begins, except taking back changes already made; then {end}{}.",
            default_mark(header.timebox_written)
        )
    }

    /// A row of the severity table: "sev1 when `pool_full` and `complaints`".
    pub fn severity(&self, row: &SeverityRow) -> String {
        match &row.when {
            SeverityWhen::Holds(condition) => format!("{} when {}", row.name, self.condition(condition)),
            SeverityWhen::CannotTell => {
                format!("{} when an unknown answer stands in the way of a row above", row.name)
            }
            SeverityWhen::Otherwise => format!("{} otherwise", row.name),
        }
    }

    /// Who is called when: "sev1: `pager.page("oncall")` at once; `pager.page("lead")` after 10 min".
    pub fn escalation(&self, row: &EscalationRow) -> String {
        let entries: Vec<String> = row
            .entries
            .iter()
            .map(|entry| {
                let mut when = if entry.after.is_zero() {
                    "at once".to_owned()
                } else {
                    format!("after {}", show_std(entry.after))
                };
                if entry.unless_acknowledged {
                    when.push_str(" unless acknowledged");
                }
                format!("{} {when}", self.call(&entry.call))
            })
            .collect();
        format!("{}: {}", row.severity, entries.join("; "))
    }

    /// Who must approve, how long they have, and what silence means.
    pub fn approval(&self, approval: &Approval) -> String {
        let who = match approval.roles.as_slice() {
            [one] => format!("`{one}`"),
            roles => {
                let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
                if approval.all {
                    format!("{} (each of them, different people)", names.join(" and "))
                } else {
                    format!("{} (one of them)", names.join(" or "))
                }
            }
        };
        format!(
            "Approval by {who} within {}; no answer in that time is a refusal",
            show_std(approval.within)
        )
    }

    /// The order of an action in words, one line for each of its orders.
    pub fn orders(&self, action: &Action) -> Vec<String> {
        action
            .orders
            .iter()
            .map(|order| match &order.kind {
                OrderKind::Call { call, .. } => format!(
                    "{} (done within {}, or its fate is unclear; {})",
                    self.call(call),
                    show_std(call.within),
                    crash(&call.operation.idempotence)
                ),
                OrderKind::Undo(other) => format!("take back `{}`", self.runbook.action(*other).name),
                OrderKind::Words(words) => self.text(words),
            })
            .collect()
    }

    /// The limit on the number of targets.
    pub fn limit(&self, action: &Action) -> Option<String> {
        let refuse = action.refuse.as_ref()?;
        let above = self.operand(&refuse.above);
        let noun = &refuse.noun;
        Some(format!(
            "Refused when there are more than {above} {noun}: then none is touched, never only the first {above}"
        ))
    }

    /// Whether the list of targets is frozen; `None` when no order takes a list.
    pub fn frozen(&self, action: &Action) -> Option<String> {
        let lists = action.orders.iter().any(|order| match &order.kind {
            OrderKind::Call { call, .. } => call
                .args
                .iter()
                .any(|arg| matches!(arg.value.ty, crate::value::Type::List(_)) || arg.each),
            _ => false,
        });
        lists.then(|| {
            "The list of targets is fixed when it is shown for approval: targets that no longer match just before the \
             change are dropped, none are added. If none is left, nothing is done"
                .to_owned()
        })
    }

    /// When it counts as having worked.
    pub fn verify(&self, verify: &Verify) -> String {
        format!(
            "It worked when {} comes true within {} (asked every {})",
            self.verified(&verify.condition),
            show_std(verify.within),
            show_std(verify.every)
        )
    }

    fn verified(&self, condition: &Expr) -> String {
        format!("“{}”", self.condition(condition))
    }

    /// How a change is taken back.
    pub fn undo(&self, undo: &Undo) -> String {
        let when = match &undo.when {
            UndoWhen::OnOutcome => String::new(),
            UndoWhen::AtEnd => ", always at the end of the run".to_owned(),
            UndoWhen::After(after) => format!(", always after {}", self.operand(after)),
        };
        match &undo.kind {
            UndoKind::Restore(_) => {
                format!("Taken back by putting the old value in place, as it was read just before the change{when}")
            }
            UndoKind::Call(call) => format!("Taken back by {}{when}", self.call(call)),
            UndoKind::None { because } => format!("Cannot be taken back: {}", self.text(because)),
            UndoKind::Words(words) => format!("Taken back by hand: {}{when}", self.text(words)),
        }
    }

    /// What an outcome is doing, for the moment it happens: "taking the change back, then trying the next cause".
    pub fn doing(&self, outcome: &Outcome, place: Place) -> String {
        self.outcome(outcome, place, true)
    }

    /// What an outcome does, for beforehand: "take the change back, then try the next cause".
    pub fn order(&self, outcome: &Outcome, place: Place) -> String {
        self.outcome(outcome, place, false)
    }

    fn outcome(&self, outcome: &Outcome, place: Place, doing: bool) -> String {
        let pick = |now: &str, before: &str| if doing { now.to_owned() } else { before.to_owned() };
        let mut parts = vec![if outcome.undo {
            pick("taking the change back", "take the change back")
        } else {
            pick("keeping the change in place", "keep the change in place")
        }];
        self.rest(outcome, place, doing, &mut parts);
        format!("{}{}", parts.join(", then "), default_mark(outcome.written))
    }

    /// As [`Self::order`] where nothing has been changed: `not approved`.
    pub fn order_unchanged(&self, outcome: &Outcome, place: Place) -> String {
        let mut parts = vec!["change nothing".to_owned()];
        self.rest(outcome, place, false, &mut parts);
        format!("{}{}", parts.join(", then "), default_mark(outcome.written))
    }

    /// As [`Self::doing`] where nothing has been changed: `not approved`.
    pub fn doing_unchanged(&self, outcome: &Outcome, place: Place) -> String {
        let mut parts = vec!["changing nothing".to_owned()];
        self.rest(outcome, place, true, &mut parts);
        format!("{}{}", parts.join(", then "), default_mark(outcome.written))
    }

    /// As [`Self::order`] for a guard, which has no change of its own: `require`, `wait until`.
    pub fn order_elsewhere(&self, outcome: &Outcome, place: Place) -> String {
        let mut parts = Vec::new();
        self.rest(outcome, place, false, &mut parts);
        format!("{}{}", parts.join(", then "), default_mark(outcome.written))
    }

    /// As [`Self::doing`] for a guard, which has no change of its own: `require`, `wait until`.
    pub fn doing_elsewhere(&self, outcome: &Outcome, place: Place) -> String {
        let mut parts = Vec::new();
        self.rest(outcome, place, true, &mut parts);
        format!("{}{}", parts.join(", then "), default_mark(outcome.written))
    }

    fn rest(&self, outcome: &Outcome, place: Place, doing: bool, parts: &mut Vec<String>) {
        for tell in &outcome.tells {
            parts.push(format!(
                "{} {}",
                if doing { "telling" } else { "tell" },
                self.call(tell)
            ));
        }
        parts.push(self.end(&outcome.end, place, doing));
    }

    /// Where the run goes: the last word of an outcome.
    pub fn end(&self, end: &End, place: Place, doing: bool) -> String {
        let pick = |now: &str, before: &str| if doing { now.to_owned() } else { before.to_owned() };
        match (end, place) {
            (End::NextCause, Place::Each { .. }) => pick(
                "leaving the loop and trying the next cause",
                "leave the loop and try the next cause",
            ),
            (End::NextCause, Place::CauseOnce) => pick("going on behind the branch", "go on behind the branch"),
            (End::NextCause, _) => pick("trying the next cause", "try the next cause"),
            (End::NextStep, Place::Each { .. }) => {
                pick("going on with the next element", "go on with the next element")
            }
            (End::NextStep, _) => pick("going on with the next step", "go on with the next step"),
            (End::Escalate, _) => pick("escalating, which ends the run", "escalate, which ends the run"),
            (End::Stop(reason), _) => format!(
                "{}: {}",
                pick(
                    "stopping the run, which pages nobody",
                    "stop the run, which pages nobody"
                ),
                self.text(reason)
            ),
        }
    }

    /// What follows when an action worked.
    pub fn worked(&self, place: Place) -> &'static str {
        match place {
            Place::Cause => {
                "what is left of this cause is done, then the goal is asked. Reached: the branch ends and the run goes on behind \
                 it. Not reached: the branch is asked again with fresh answers, and this cause is not tried a second time"
            }
            Place::CauseOnce => "the next step of this cause, then the run goes on behind the branch",
            Place::Each { .. } => "the next element",
            Place::Steps => "the next step",
        }
    }

    /// Everything an approver must know about where the run goes, one sentence a line.
    pub fn consequences(&self, action: &Action, place: Place) -> Vec<String> {
        let mut lines = Vec::new();
        if action.approve.is_some() {
            lines.push(
                "On approval the answers behind it are asked again: if one has changed, the approval is void."
                    .to_owned(),
            );
        }
        lines.extend(self.frozen(action).map(sentence));
        lines.extend(self.limit(action).map(sentence));
        if let Some(verify) = &action.verify {
            lines.push(sentence(self.verify(verify)));
        }
        lines.push(sentence(format!("If it works: {}", self.worked(place))));
        // A person who did not tick an order may have done part of it: nobody claims that a change is in place.
        let follows = |outcome: &Outcome| {
            if action.manual && !outcome.undo {
                self.order_elsewhere(outcome, place)
            } else {
                self.order(outcome, place)
            }
        };
        lines.push(sentence(format!(
            "If it fails ({}): {}",
            self.failing(action),
            follows(&action.failed)
        )));
        lines.push(sentence(format!(
            "If nobody can tell whether it worked: {}{}",
            follows(&action.unclear),
            if undoable(action) {
                "; only the operator may choose to take it back"
            } else {
                ""
            }
        )));
        if action.approve.is_some() || action.refuse.is_some() {
            lines.push(sentence(format!(
                "If it is not approved: {}",
                self.order_unchanged(&action.not_approved, place)
            )));
        }
        for undo in &action.undos {
            lines.push(sentence(self.undo(undo)));
        }
        if undoable(action) && !action.manual {
            lines.push(
                "An undo that fails ends the run and escalates one severity up. The approval covers the undo as well."
                    .to_owned(),
            );
        }
        lines
    }

    /// What counts as failing.
    pub fn failing(&self, action: &Action) -> String {
        let first = if action.manual {
            format!("not ticked within {}", show_std(action.manual_within))
        } else {
            "the change is refused by its target".to_owned()
        };
        match &action.verify {
            Some(verify) => format!(
                "{first}, or {} has not come true in {}",
                self.verified(&verify.condition),
                show_std(verify.within)
            ),
            None => first,
        }
    }

    /// The causes that stand before this one in its branch, with what became of them: "and not `leak`, which was refuted:
    /// `release` no". Empty for the first.
    pub fn implied(&self, branch: &Branch, cause: usize, fate: &dyn Fn(usize) -> Fate) -> Vec<String> {
        branch.causes[..cause.min(branch.causes.len())]
            .iter()
            .enumerate()
            .map(|(index, earlier)| match fate(index) {
                Fate::Refuted(parts) if parts.is_empty() => {
                    format!("and not `{}`, which was refuted", earlier.name)
                }
                Fate::Refuted(parts) => format!("and not `{}`, which was refuted: {parts}", earlier.name),
                Fate::Treated => format!("`{}` was treated, and the goal is not reached", earlier.name),
                Fate::Open => format!(
                    "and not `{}`, which is refuted or was treated without reaching the goal",
                    earlier.name
                ),
            })
            .collect()
    }

    /// What an unknown answer leads to in a branch.
    pub fn unknown_in(&self, branch: &Branch) -> String {
        let arm = if branch.merged {
            "otherwise or cannot tell"
        } else {
            "cannot tell"
        };
        format!(
            "If an unknown answer stands in the way of a cause, the run does not slide to the next one: the operator may ask \
             again, answer by hand (recorded as such), or take “{arm}”; an unattended run takes “{arm}”."
        )
    }

    /// How a branch is asked, beyond its causes.
    pub fn rounds(&self, branch: &Branch) -> &'static str {
        if branch.once {
            "Asked once: the first cause that definitely holds is treated, then the run goes on behind the branch."
        } else {
            "The first cause that definitely holds is treated, then the goal is asked. Until it is reached the branch is asked \
             again with fresh answers, each cause at most once."
        }
    }
}

/// Parts of the evidence that the line of an answer shows.
const SHOWN: usize = 3;

/// The line of an answer: "pool_full  yes, bad: 97 %, limit 90 %, for 12 min". `good` is its sign in the goal, `None` when the goal
/// does not mention the question; `reason` says why an answer is unknown, `by` who said it.
pub fn answer_line(
    name: &str,
    answer: Answer,
    good: Option<bool>,
    evidence: &[Evidence],
    reason: Option<&str>,
    by: Option<&Person>,
) -> String {
    let mut line = format!("{name}  {}", answer.word());
    match good {
        Some(true) => line.push_str(", good"),
        Some(false) => line.push_str(", bad"),
        None => {}
    }
    if let Some(reason) = reason {
        line.push_str(&format!(" ({reason})"));
    }
    // What is unknown for the reason that was just given has nothing to add.
    let said = |part: &Evidence| reason.is_some_and(|reason| part.actual.contains(reason));
    let told: Vec<&Evidence> = evidence
        .iter()
        .filter(|part| !part.actual.is_empty() && !said(part))
        // Of a yes or no the value is the answer.
        .filter(|part| !part.limit.is_empty() || part.actual != part.answer.word())
        .collect();
    let mut parts: Vec<String> = told.iter().take(SHOWN).map(|part| evidence_words(part)).collect();
    if told.len() > SHOWN {
        parts.push(format!("and {} more", told.len() - SHOWN));
    }
    if !parts.is_empty() {
        line.push_str(&format!(": {}", parts.join("; ")));
    }
    if let Some(person) = by {
        line.push_str(&format!(", said by {}", person.name));
    }
    line
}

fn evidence_words(part: &Evidence) -> String {
    let mut words = vec![if part.limit.is_empty() && !part.text.is_empty() {
        format!("{} {}", part.text, part.actual)
    } else {
        part.actual.clone()
    }];
    if !part.limit.is_empty() {
        words.push(format!("limit {}", part.limit));
    }
    if !part.detail.is_empty() {
        words.push(part.detail.clone());
    }
    words.join(", ")
}

/// Who has to approve, as a role is asked: "oncall or dba".
pub fn approvers(approval: &Approval) -> String {
    approval.roles.join(if approval.all { " and " } else { " or " })
}

/// The risk as a word.
pub fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// What happens after a crash between sending and knowing, in words.
fn crash(idempotence: &Idempotence) -> String {
    match idempotence {
        Idempotence::Read => "changes nothing".to_owned(),
        Idempotence::Idempotent => "doing it twice does no harm".to_owned(),
        Idempotence::Keyed => "its key makes sending it twice harmless".to_owned(),
        Idempotence::Verifiable(check) => format!("`{check}` tells whether it happened"),
        Idempotence::Unrepeatable => "never sent a second time".to_owned(),
    }
}

/// True when at least one undo is more than "none".
pub fn undoable(action: &Action) -> bool {
    action
        .undos
        .iter()
        .any(|undo| !matches!(undo.kind, UndoKind::None { .. }))
}

/// A span of time in words.
pub fn span(span: Duration) -> String {
    show_std(span)
}

/// " (default)" for what the file does not say.
pub fn default_mark(written: bool) -> &'static str {
    if written {
        ""
    } else {
        " (default: the file does not say)"
    }
}

/// With a capital letter and a full stop.
fn sentence(text: String) -> String {
    let mut text = text;
    if let Some(first) = text.chars().next() {
        text.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
    }
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Which log comes before or after this one.
pub fn log_changed(from: Option<&str>, to: Option<&str>) -> String {
    match (from, to) {
        (Some(from), _) => format!("the journal goes on from another, which ended as {from}"),
        (None, Some(to)) => format!("the journal goes on in another, {to}"),
        (None, None) => "the journal names no other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Constants;
    use crate::render::sample;

    #[test]
    fn an_outcome_says_what_it_is_doing() {
        let program = sample::everything();
        let runbook = &program.runbooks[0];
        let constants = Constants::of(runbook);
        let words = Words::new(&program, runbook, &constants);
        let (roll_back, restart) = (&runbook.actions[0], &runbook.actions[1]);
        assert_eq!(
            words.doing(&roll_back.failed, Place::Cause),
            "taking the change back, then trying the next cause"
        );
        assert_eq!(
            words.doing(&roll_back.failed, Place::Each { in_cause: true }),
            "taking the change back, then leaving the loop and trying the next cause"
        );
        assert_eq!(
            words.doing(&restart.failed, Place::Cause),
            "keeping the change in place, then telling `chat.post(\"#inc\", text: \"restart failed\")`, then escalating, \
             which ends the run"
        );
        assert_eq!(
            words.doing_unchanged(&restart.not_approved, Place::Cause),
            "changing nothing, then escalating, which ends the run (default: the file does not say)"
        );
    }

    #[test]
    fn an_answer_is_never_good_by_itself() {
        let evidence = Evidence {
            text: "used > 90 %".to_owned(),
            answer: Answer::Yes,
            actual: "97 %".to_owned(),
            limit: "90 %".to_owned(),
            detail: "for 12 min".to_owned(),
        };
        let evidence = std::slice::from_ref(&evidence);
        assert_eq!(
            answer_line("pool_full", Answer::Yes, Some(false), evidence, None, None),
            "pool_full  yes, bad: 97 %, limit 90 %, for 12 min"
        );
        assert_eq!(
            answer_line("raining", Answer::Yes, None, &[], None, None),
            "raining  yes"
        );
        let many = vec![evidence[0].clone(); 5];
        let dora = Person {
            name: "dora".to_owned(),
            by: "login".to_owned(),
        };
        let line = answer_line("pool_full", Answer::Unknown, None, &many, Some("timeout"), Some(&dora));
        assert!(line.starts_with("pool_full  unknown (timeout): 97 %"), "{line}");
        assert!(line.ends_with("; and 2 more, said by dora"), "{line}");
    }

    #[test]
    fn the_implied_part_of_a_cause_is_said() {
        let program = sample::everything();
        let runbook = &program.runbooks[0];
        let constants = Constants::of(runbook);
        let words = Words::new(&program, runbook, &constants);
        let branch = runbook
            .steps
            .iter()
            .find_map(|step| match &step.kind {
                crate::program::StepKind::Branch(branch) => Some(branch),
                _ => None,
            })
            .unwrap();
        let refuted = words.implied(branch, 1, &|_| Fate::Refuted("`release` no".to_owned()));
        assert_eq!(refuted, ["and not `leak`, which was refuted: `release` no"]);
        let treated = words.implied(branch, 1, &|_| Fate::Treated);
        assert_eq!(treated, ["`leak` was treated, and the goal is not reached"]);
        assert!(words.implied(branch, 0, &|_| Fate::Open).is_empty());
    }
}
