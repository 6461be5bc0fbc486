//! One event as lines for people: what the run screen prints as it happens, and `starr show` afterwards.
//!
//! Words carry the meaning, never colour alone. An answer is good or bad by its sign in the goal, and the line says so.

use super::safe::safe;
use crate::journal::event::{Event, Evidence, Purpose, ResultKind, Shown};
use crate::value::Answer;

/// Longest value that a line shows whole, in characters.
const VALUE: usize = 160;

/// A line and how it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub tone: Tone,
    /// Safe to show; without indentation.
    pub text: String,
    /// 0 is the event itself, 1 what belongs to it.
    pub depth: usize,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Faint,
    Good,
    Bad,
    Attention,
}

fn line(tone: Tone, text: impl Into<String>) -> Line {
    Line {
        tone,
        text: text.into(),
        depth: 0,
    }
}

fn below(text: impl Into<String>) -> Line {
    Line {
        tone: Tone::Faint,
        text: text.into(),
        depth: 1,
    }
}

/// A span of seconds as people say it.
fn seconds(seconds: u64) -> String {
    crate::value::show::show(&crate::value::Value::duration(std::time::Duration::from_secs(seconds)))
}

fn shown(value: &Shown) -> String {
    short(value.text())
}

fn short(text: &str) -> String {
    let text = safe(text);
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn evidence(part: &Evidence) -> Line {
    let limit = if part.limit.is_empty() {
        String::new()
    } else {
        format!(", limit {}", short(&part.limit))
    };
    let detail = if part.detail.is_empty() {
        String::new()
    } else {
        format!(", {}", short(&part.detail))
    };
    let actual = if part.actual.is_empty() {
        part.answer.word().to_owned()
    } else {
        short(&part.actual)
    };
    below(format!("{}: {actual}{limit}{detail}", safe(&part.text)))
}

fn note(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(": {}", short(text))
    }
}

fn yes(ok: bool) -> Tone {
    if ok { Tone::Good } else { Tone::Bad }
}

/// The lines of an event; none for what only the record needs.
pub fn lines(event: &Event) -> Vec<Line> {
    match event {
        Event::RunStarted { .. } => started(event),
        // What was read stands below the question that it answers; here only what was in the way.
        Event::Read { name, notes, .. } => notes
            .iter()
            .map(|line| below(format!("{}: {}", safe(name), safe(line))))
            .collect(),
        Event::Answered { .. } => answered(event),
        Event::Asked { name, value, by, .. } => {
            vec![line(
                Tone::Plain,
                format!("{}  {} ({})", safe(name), shown(value), safe(&by.name)),
            )]
        }
        Event::Severity { name, was, because } => vec![match (name, was) {
            (Some(name), Some(was)) => line(
                Tone::Attention,
                format!("severity {}, was {}{}", safe(name), safe(was), note(because)),
            ),
            (Some(name), None) => line(Tone::Attention, format!("severity {}{}", safe(name), note(because))),
            (None, _) => line(Tone::Attention, format!("severity not known yet{}", note(because))),
        }],
        Event::NotPresent => vec![line(
            Tone::Good,
            "every symptom is a definite no: the problem is not present",
        )],
        Event::Task { goal: Some(goal), .. } => vec![line(Tone::Plain, format!("task  {}", safe(goal)))],
        Event::Task { goal: None, .. } => Vec::new(),
        Event::Goal { text, answer } => {
            let word = match answer {
                Answer::Yes => "reached",
                Answer::No => "not reached",
                Answer::Unknown => "unknown",
            };
            vec![line(Tone::Plain, format!("goal  {}  {word}", safe(text)))]
        }
        Event::BranchEntered { question, round } if *round > 1 => {
            vec![line(
                Tone::Heading,
                format!("{}  asked again, round {round}", safe(question)),
            )]
        }
        Event::BranchEntered { question, .. } => vec![line(Tone::Heading, safe(question))],
        Event::Cause { .. } => cause(event),
        Event::Arm { arm, because, .. } => vec![line(Tone::Attention, format!("{}{}", safe(arm), note(because)))],
        Event::Choice {
            about,
            choice,
            by,
            note: said,
        } => {
            vec![line(
                Tone::Plain,
                format!(
                    "{} chose for {}: {}{}",
                    safe(&by.name),
                    safe(about),
                    safe(choice),
                    note(said)
                ),
            )]
        }
        Event::ActionStarted { .. }
        | Event::NotNeeded { .. }
        | Event::ApprovalRequested { .. }
        | Event::Approved { .. }
        | Event::NotApproved { .. }
        | Event::NotCounted { .. }
        | Event::Overridden { .. }
        | Event::LockTakenOver { .. }
        | Event::Dropped { .. }
        | Event::Intent { .. }
        | Event::Result { .. }
        | Event::Look { .. }
        | Event::ActionEnded { .. }
        | Event::Undone { .. }
        | Event::UndoScheduled { .. }
        | Event::Ticked { .. } => action(event),
        Event::Each {
            element,
            index,
            of,
            batch,
        } => {
            vec![line(
                Tone::Plain,
                format!("{index} of {of}, batch {batch}: {}", short(element)),
            )]
        }
        Event::Step { what, detail } => vec![line(Tone::Plain, format!("{}{}", safe(what), note(detail)))],
        Event::Told {
            operation, ok, detail, ..
        } => {
            let word = if *ok { "told" } else { "could not tell" };
            vec![line(
                if *ok { Tone::Plain } else { Tone::Bad },
                format!("{word} {}{}", safe(operation), note(detail)),
            )]
        }
        Event::Escalated { severity, because } => {
            let severity = severity
                .as_deref()
                .map(|name| format!(" at {}", safe(name)))
                .unwrap_or_default();
            vec![line(Tone::Attention, format!("escalated{severity}{}", note(because)))]
        }
        Event::Advised { title, prose } => advice(title, prose),
        Event::ChildStarted { runbook, .. } => vec![line(Tone::Heading, format!("runs {}", safe(runbook)))],
        Event::ChildEnded { runbook, outcome, .. } => {
            vec![line(
                Tone::Heading,
                format!("{} ended: {}", safe(runbook), safe(outcome)),
            )]
        }
        Event::ClockStep { seconds } => vec![line(Tone::Attention, crate::journal::event::clock_step(*seconds))],
        Event::Interrupted { because, pending } => {
            let mut all = vec![line(Tone::Attention, format!("stopped{}", note(because)))];
            all.extend(pending.iter().map(|item| below(format!("pending: {}", short(item)))));
            all
        }
        Event::Resumed { by, host, .. } => vec![line(
            Tone::Heading,
            format!("{} goes on with the run on {}", safe(&by.name), safe(host)),
        )],
        Event::TakenOver { by, from, because } => vec![line(
            Tone::Attention,
            format!(
                "{} took the run over from {}{}",
                safe(&by.name),
                safe(from),
                note(because)
            ),
        )],
        Event::Settled {
            operation,
            fate,
            how,
            by,
            note: said,
            ..
        } => {
            let by = by
                .as_ref()
                .map(|by| format!(", {}", safe(&by.name)))
                .unwrap_or_default();
            let words = format!(
                "{} was in doubt: {}, by {}{by}",
                safe(operation),
                fate.words(),
                safe(how)
            );
            vec![line(Tone::Attention, format!("{words}{}", note(said)))]
        }
        Event::Ended { .. } => ended(event),
        Event::AnchorFailed { place, size, because } => vec![line(
            Tone::Attention,
            format!("no anchor at {} for {size} entries{}", safe(place), note(because)),
        )],
        Event::KeyChanged { to, by, .. } => vec![line(
            Tone::Attention,
            format!("the journal's key is {} from here on ({})", safe(to), safe(&by.name)),
        )],
        Event::LogChanged { from, to, by } => vec![line(
            Tone::Attention,
            format!(
                "{} ({})",
                safe(&super::words::log_changed(from.as_deref(), to.as_deref())),
                safe(&by.name)
            ),
        )],
        Event::PayloadsErased { entries, because, by } => vec![line(
            Tone::Attention,
            format!(
                "{} payloads erased by {}{}",
                entries.len(),
                safe(&by.name),
                note(because)
            ),
        )],
        Event::AlertAttached { alert, .. } => vec![line(
            Tone::Attention,
            format!("while this run was under way: {}", safe(alert)),
        )],
        Event::Bundled { digest, bytes, by } => vec![line(
            Tone::Plain,
            format!(
                "a bundle of {bytes} bytes was made by {}, SHA-256 {}",
                safe(&by.name),
                safe(digest)
            ),
        )],
        Event::Prevention { title, by, due } => {
            let by = by.as_deref().map(|by| format!(", {}", safe(by))).unwrap_or_default();
            let due = due
                .as_deref()
                .map(|due| format!(", due {}", safe(due)))
                .unwrap_or_default();
            vec![line(Tone::Plain, format!("to prevent it: {}{by}{due}", safe(title)))]
        }
        Event::Reflection { question, answer, by } => {
            let by = by
                .as_ref()
                .map(|by| format!(" ({})", safe(&by.name)))
                .unwrap_or_default();
            let answer = answer.as_deref().map_or_else(|| "not answered".to_owned(), short);
            vec![line(Tone::Plain, safe(question)), below(format!("{answer}{by}"))]
        }
    }
}

fn started(event: &Event) -> Vec<Line> {
    let Event::RunStarted {
        title,
        environment,
        operator,
        dry_run,
        occasion,
        parameters,
        prose,
        timebox_seconds,
        timebox_then,
        ..
    } = event
    else {
        return Vec::new();
    };
    let mut all = vec![line(Tone::Heading, safe(title))];
    all.push(line(
        Tone::Faint,
        format!(
            "environment {} · operator {} · at the end of {}: {}{}",
            safe(environment),
            safe(operator),
            seconds(*timebox_seconds),
            safe(timebox_then),
            if *dry_run {
                " · DRY RUN: nothing will be changed"
            } else {
                ""
            }
        ),
    ));
    if let Some(occasion) = occasion {
        all.push(line(Tone::Faint, format!("started by {}", safe(occasion))));
    }
    if !parameters.is_empty() {
        let parameters: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{} = {}", safe(name), short(value)))
            .collect();
        all.push(line(Tone::Faint, parameters.join(", ")));
    }
    all.extend(
        prose
            .iter()
            .flat_map(|text| text.lines())
            .map(|text| line(Tone::Plain, format!("│ {}", safe(text)))),
    );
    all
}

fn answered(event: &Event) -> Vec<Line> {
    let Event::Answered {
        name,
        question,
        answer,
        good,
        evidence: parts,
        reason,
        by,
        ..
    } = event
    else {
        return Vec::new();
    };
    let sign = match good {
        Some(true) => ", good",
        Some(false) => ", bad",
        None => "",
    };
    let by = by
        .as_ref()
        .map(|by| format!(", said by {}", safe(&by.name)))
        .unwrap_or_default();
    let reason = match reason {
        Some(reason) if *answer == Answer::Unknown => format!(": {}", short(reason)),
        _ => String::new(),
    };
    let tone = match (answer, good) {
        (Answer::Unknown, _) => Tone::Attention,
        (_, Some(good)) => yes(*good),
        (_, None) => Tone::Plain,
    };
    let mut all = vec![line(
        tone,
        format!(
            "{}  {}{sign}{by}{reason}  {}",
            safe(name),
            answer.word(),
            safe(question)
        ),
    )];
    all.extend(parts.iter().map(evidence));
    all
}

fn cause(event: &Event) -> Vec<Line> {
    let Event::Cause {
        name,
        statement,
        answer,
        chosen,
        because,
        parts,
        ..
    } = event
    else {
        return Vec::new();
    };
    let mut all = vec![match (chosen, answer) {
        (true, _) => line(Tone::Heading, format!("→ {}  {}", safe(name), safe(statement))),
        (false, Answer::No) => line(Tone::Faint, format!("✗ {}  refuted: {}", safe(name), safe(statement))),
        (false, Answer::Unknown) => line(
            Tone::Attention,
            format!("? {}  cannot be told: {}", safe(name), safe(statement)),
        ),
        (false, Answer::Yes) => line(
            Tone::Plain,
            format!("· {}  holds, not chosen: {}", safe(name), safe(statement)),
        ),
    }];
    if !because.is_empty() {
        all.push(below(short(because)));
    }
    all.extend(parts.iter().map(evidence));
    all
}

fn action(event: &Event) -> Vec<Line> {
    match event {
        Event::ActionStarted {
            name,
            order,
            prose,
            risk,
            ..
        } => {
            let mut all = vec![line(
                Tone::Heading,
                format!("{}  {} (risk {})", safe(name), safe(order), safe(risk)),
            )];
            all.extend(
                prose
                    .iter()
                    .flat_map(|text| text.lines())
                    .map(|text| below(format!("│ {}", safe(text)))),
            );
            all
        }
        Event::NotNeeded { name, because } => vec![line(
            Tone::Plain,
            format!("{} is not needed{}", safe(name), note(because)),
        )],
        Event::ApprovalRequested {
            roles,
            deadline_seconds,
            ..
        } => {
            let roles: Vec<_> = roles.iter().map(|role| safe(role)).collect();
            vec![line(
                Tone::Attention,
                format!(
                    "waits for approval by {}, at most {}",
                    if roles.is_empty() {
                        "a second person".to_owned()
                    } else {
                        roles.join(", ")
                    },
                    seconds(*deadline_seconds)
                ),
            )]
        }
        Event::Approved { by, role, digest, .. } => {
            vec![line(
                Tone::Good,
                format!(
                    "approved by {} as {}, digest {}",
                    safe(&by.name),
                    safe(role),
                    short_digest(digest)
                ),
            )]
        }
        Event::NotApproved { because, by, .. } => {
            let by = by
                .as_ref()
                .map(|by| format!(" by {}", safe(&by.name)))
                .unwrap_or_default();
            vec![line(Tone::Bad, format!("not approved{by}{}", note(because)))]
        }
        Event::NotCounted { by, because, .. } => vec![line(
            Tone::Bad,
            format!("the approval of {} does not count{}", safe(&by.name), note(because)),
        )],
        Event::Overridden {
            reason,
            ticket,
            by,
            second,
            lasts_seconds,
            ..
        } => vec![line(
            Tone::Bad,
            format!(
                "emergency override by {} and {} for {}, ticket {}{}",
                safe(&by.name),
                safe(&second.name),
                seconds(*lasts_seconds),
                safe(ticket),
                note(reason)
            ),
        )],
        Event::LockTakenOver {
            target,
            from,
            by,
            because,
        } => vec![line(
            Tone::Attention,
            format!(
                "{} took the lock of {} from {}{}",
                safe(&by.name),
                safe(target),
                safe(from),
                note(because)
            ),
        )],
        Event::Dropped { targets, because, .. } => {
            let mut all = vec![line(
                Tone::Attention,
                format!("{} left out{}", targets.len(), note(because)),
            )];
            all.extend(targets.iter().take(10).map(|target| below(short(target))));
            all
        }
        Event::Intent {
            purpose,
            operation,
            targets,
            ..
        } => {
            let verb = match purpose {
                Purpose::Do => "sends",
                Purpose::Undo => "takes back with",
                Purpose::Tell => "tells with",
            };
            let on = if targets.is_empty() {
                String::new()
            } else {
                format!(" on {}", safe(&targets.join(", ")))
            };
            vec![line(Tone::Plain, format!("{verb} {}{on}", safe(operation)))]
        }
        Event::Result {
            outcome,
            value,
            detail,
            notes,
            ..
        } => {
            let value = value
                .as_ref()
                .map(|value| format!(": {}", shown(value)))
                .unwrap_or_default();
            let mut all: Vec<Line> = notes.iter().map(|line| below(safe(line).into_owned())).collect();
            all.push(match outcome {
                ResultKind::Done => line(Tone::Good, format!("done{value}")),
                ResultKind::Failed => line(Tone::Bad, format!("failed, nothing was changed{}", note(detail))),
                ResultKind::Unclear => line(Tone::Attention, format!("unclear whether it happened{}", note(detail))),
            });
            all
        }
        Event::Look {
            what,
            condition,
            answer,
            evidence: parts,
            last,
        } => {
            // Between the first look and the last there may be hundreds; the screen's sign of life stands for them.
            if !last {
                return Vec::new();
            }
            let tone = match answer {
                Answer::Yes => Tone::Good,
                Answer::No => Tone::Bad,
                Answer::Unknown => Tone::Attention,
            };
            let mut all = vec![line(
                tone,
                format!("{}  {}: {}", safe(what), safe(condition), answer.word()),
            )];
            all.extend(parts.iter().map(evidence));
            all
        }
        Event::ActionEnded {
            name,
            outcome,
            next,
            kept,
        } => {
            let kept = if *kept { "; the change is still in place" } else { "" };
            vec![line(
                Tone::Plain,
                format!("{}: {}{}{kept}", safe(name), safe(outcome), next_words(next)),
            )]
        }
        Event::Undone { action, ok, detail } => {
            let word = if *ok { "taken back" } else { "could not be taken back" };
            vec![line(yes(*ok), format!("{} {word}{}", safe(action), note(detail)))]
        }
        Event::UndoScheduled { action, after_seconds } => {
            vec![line(
                Tone::Plain,
                format!("{} will be taken back in {}", safe(action), seconds(*after_seconds)),
            )]
        }
        Event::Ticked {
            name,
            done,
            by,
            note: said,
        } => {
            let by = by
                .as_ref()
                .map(|by| format!(" by {}", safe(&by.name)))
                .unwrap_or_default();
            let word = if *done { "done" } else { "not done" };
            vec![line(yes(*done), format!("{} {word}{by}{}", safe(name), note(said)))]
        }
        _ => Vec::new(),
    }
}

fn next_words(next: &str) -> String {
    if next.is_empty() {
        String::new()
    } else {
        format!(" → {}", safe(next))
    }
}

fn short_digest(digest: &str) -> String {
    safe(digest).chars().take(12).collect()
}

fn advice(title: &str, prose: &[String]) -> Vec<Line> {
    let mut all = vec![line(Tone::Plain, format!("advice: {}", safe(title)))];
    all.extend(
        prose
            .iter()
            .flat_map(|text| text.lines())
            .map(|text| below(format!("│ {}", safe(text)))),
    );
    all
}

fn ended(event: &Event) -> Vec<Line> {
    let Event::Ended {
        outcome,
        reason,
        in_place,
        duration_seconds,
    } = event
    else {
        return Vec::new();
    };
    let good = outcome == "resolved" || outcome == "not present";
    let after = seconds(duration_seconds.max(0.0).round() as u64);
    let mut all = vec![line(
        yes(good),
        format!("{} after {after}{}", safe(outcome).to_uppercase(), note(reason)),
    )];
    if in_place.is_empty() {
        all.push(line(Tone::Plain, "no change is left in place"));
    } else {
        all.push(line(Tone::Attention, "changes still in place:"));
        all.extend(in_place.iter().map(|change| Line {
            tone: Tone::Plain,
            text: short(change),
            depth: 1,
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Tone, lines};
    use crate::journal::event::{Event, Evidence};
    use crate::value::Answer;

    #[test]
    fn an_answer_says_in_words_whether_it_is_bad() {
        let event = Event::Answered {
            name: "pool_full".into(),
            question: "Is more than 90 % of the pool in use?".into(),
            symptom: true,
            answer: Answer::Yes,
            good: Some(false),
            evidence: vec![Evidence {
                text: "used > 90 % for 5 min".into(),
                answer: Answer::Yes,
                actual: "97 %".into(),
                limit: "90 %".into(),
                detail: "for 12 min".into(),
            }],
            reason: None,
            by: None,
            round: 1,
        };
        let shown = lines(&event);
        assert_eq!(
            shown[0].text,
            "pool_full  yes, bad  Is more than 90 % of the pool in use?"
        );
        assert_eq!(shown[0].tone, Tone::Bad);
        assert_eq!(shown[1].text, "used > 90 % for 5 min: 97 %, limit 90 %, for 12 min");
    }

    #[test]
    fn foreign_text_is_escaped() {
        let event = Event::Dropped {
            action: "end".into(),
            targets: vec!["\u{1b}[2Jgone".into()],
            because: "finished\nApprove? yes".into(),
        };
        for line in lines(&event) {
            assert!(!line.text.contains(['\u{1b}', '\n']), "{:?}", line.text);
        }
    }
}
