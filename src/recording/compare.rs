//! The way of a run in short lines, two ways side by side, and a run without its times.

use super::Happened;
use crate::journal::Recorded;
use crate::journal::event::{Event, Purpose, ResultKind};
use crate::value::Answer;
use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub side: Side,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Both,
    /// Only in the recording.
    Then,
    /// Only in the replay.
    Now,
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Unknown => "unknown",
    }
}

/// The way that events took: what was answered, which cause, what was done and what came of it. No times, no numbers of rounds.
pub fn way<'a>(events: impl IntoIterator<Item = (&'a str, &'a Event)>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (scope, event) in events {
        let Some(text) = line(event) else { continue };
        lines.push(if scope.is_empty() {
            text
        } else {
            format!("{scope}: {text}")
        });
    }
    // An answer that is given again unchanged is no new turn.
    lines.dedup();
    lines
}

/// The way of a recorded run.
pub fn recorded(events: &[Happened]) -> Vec<String> {
    way(events.iter().map(|happened| (happened.scope.as_str(), &happened.event)))
}

/// The way of entries of a journal.
pub fn replayed(entries: &[Recorded]) -> Vec<String> {
    way(entries
        .iter()
        .filter_map(|entry| Some((entry.scope.as_str(), entry.event.as_ref()?))))
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Answered {
            name,
            answer: said,
            evidence,
            reason,
            by,
            ..
        } => {
            let mut text = format!("{name}: {}", answer(*said));
            if let Some(person) = by {
                text.push_str(&format!(", says {}", person.name));
            } else if let Some(reason) = reason {
                text.push_str(&format!(" ({reason})"));
            } else {
                let facts: Vec<String> = evidence
                    .iter()
                    .filter(|fact| !fact.actual.is_empty())
                    .map(|fact| {
                        if fact.limit.is_empty() {
                            fact.actual.clone()
                        } else {
                            format!("{}, limit {}", fact.actual, fact.limit)
                        }
                    })
                    .collect();
                if !facts.is_empty() {
                    text.push_str(&format!(" ({})", facts.join("; ")));
                }
            }
            text
        }
        Event::Asked { name, value, by, .. } => format!("{name}: \"{}\", says {}", value.text(), by.name),
        Event::Severity { name: Some(name), .. } => format!("severity {name}"),
        Event::NotPresent => "not present".to_owned(),
        Event::Cause {
            name,
            statement,
            chosen: true,
            ..
        } => format!("cause {name}: {statement}"),
        Event::Arm { arm, branch, .. } => format!("{arm} of \"{branch}\""),
        Event::Choice { about, choice, by, .. } => format!("{about}: {choice}, says {}", by.name),
        Event::ActionStarted { name, order, .. } => format!("action {name}: {order}"),
        Event::NotNeeded { name, because } => format!("{name} not needed: {because}"),
        Event::Approved { action, by, role, .. } => format!("{action} approved by {} as {role}", by.name),
        Event::NotApproved { action, because, .. } => format!("{action} not approved: {because}"),
        Event::Dropped { action, targets, .. } => format!("{action}: {} left out", targets.join(", ")),
        Event::Intent {
            operation,
            arguments,
            purpose,
            ..
        } => {
            let arguments: Vec<String> = arguments
                .iter()
                .map(|(name, shown)| format!("{name}: {}", shown.text()))
                .collect();
            let word = match purpose {
                Purpose::Do => "do",
                Purpose::Undo => "undo",
                Purpose::Tell => "tell",
            };
            format!("{word} {operation}({})", arguments.join(", "))
        }
        Event::Result {
            operation,
            outcome,
            detail,
            value,
            ..
        } => {
            let word = match outcome {
                ResultKind::Done => "done",
                ResultKind::Failed => "failed",
                ResultKind::Unclear => "unclear",
            };
            let more = value.as_ref().map_or(detail.as_str(), |shown| shown.text());
            if more.is_empty() {
                format!("{operation} {word}")
            } else {
                format!("{operation} {word}: {more}")
            }
        }
        Event::ActionEnded {
            name, outcome, next, ..
        } => format!("{name} {outcome}: {next}"),
        Event::Undone { action, ok, .. } => {
            format!(
                "{action} {}",
                if *ok { "taken back" } else { "could not be taken back" }
            )
        }
        Event::Ticked { name, done, .. } => format!("{name} {}", if *done { "ticked" } else { "not done" }),
        Event::Escalated { because, .. } => format!("escalated: {because}"),
        Event::ChildStarted { runbook, .. } => format!("runs {runbook}"),
        Event::ChildEnded { runbook, outcome, .. } => format!("{runbook} ended: {outcome}"),
        Event::Interrupted { because, .. } => format!("interrupted: {because}"),
        Event::Ended { outcome, reason, .. } => {
            if reason.is_empty() {
                format!("ended: {outcome}")
            } else {
                format!("ended: {outcome}, {reason}")
            }
        }
        _ => return None,
    })
}

/// Two ways side by side.
pub fn compare(then: &[String], now: &[String]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |side, texts: &[String]| {
        lines.extend(texts.iter().map(|text| Line {
            side,
            text: text.clone(),
        }));
    };
    for op in capture_diff_slices(Algorithm::Myers, then, now) {
        match op {
            DiffOp::Equal { old_index, len, .. } => push(Side::Both, &then[old_index..old_index + len]),
            DiffOp::Delete { old_index, old_len, .. } => push(Side::Then, &then[old_index..old_index + old_len]),
            DiffOp::Insert { new_index, new_len, .. } => push(Side::Now, &now[new_index..new_index + new_len]),
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => {
                push(Side::Then, &then[old_index..old_index + old_len]);
                push(Side::Now, &now[new_index..new_index + new_len]);
            }
        }
    }
    lines
}

/// Recorded events as entries of a journal, with the time of each.
pub fn entries(about: &super::About, events: &[Happened]) -> Vec<Recorded> {
    events
        .iter()
        .zip(0_u64..)
        .map(|(happened, sequence)| {
            let since = jiff::SignedDuration::from_nanos(i64::try_from(happened.at).unwrap_or(i64::MAX));
            Recorded {
                sequence,
                run: about.run.clone(),
                run_sequence: sequence,
                scope: happened.scope.clone(),
                part: happened.event.part(),
                kind: happened.event.kind().to_owned(),
                actor: happened.event.actor().to_owned(),
                at: about.started.checked_add(since).unwrap_or(jiff::Timestamp::MAX),
                event: Some(happened.event.clone()),
            }
        })
        .collect()
}

/// The entries with every time field set to the same: when something was written down and how long it took are the only
/// things that two equal runs may differ in.
pub fn timeless(entries: &[Recorded]) -> Vec<Recorded> {
    entries
        .iter()
        .zip(0_u64..)
        .map(|(entry, sequence)| {
            let mut entry = Recorded {
                sequence,
                run_sequence: sequence,
                at: jiff::Timestamp::UNIX_EPOCH,
                ..entry.clone()
            };
            match &mut entry.event {
                // How long it took, and what was in the way, is of the time and the network, not of the incident.
                Some(
                    Event::Read {
                        milliseconds, notes, ..
                    }
                    | Event::Result {
                        milliseconds, notes, ..
                    },
                ) => {
                    *milliseconds = 0;
                    notes.clear();
                }
                Some(Event::Ended { duration_seconds, .. }) => *duration_seconds = 0.0,
                Some(Event::ApprovalRequested { deadline_seconds, .. }) => *deadline_seconds = 0,
                _ => {}
            }
            entry
        })
        .collect()
}
