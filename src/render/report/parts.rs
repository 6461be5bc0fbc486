//! The sections of the report.

use super::action::{Action, Approval, Call};
use super::story::{Branch, Cause, Looks, Question, Step, Story};
use super::words::{self, At};
use crate::journal::Recorded;
use crate::journal::event::{Purpose, ResultKind, Shown};
use crate::journal::verify::{Level, Verified};
use crate::render::markdown::{code, prose, table, text};
use crate::value::Answer;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Appends a line; writing to a String cannot fail.
macro_rules! line {
    ($out:expr) => { $out.push('\n') };
    ($out:expr, $($argument:tt)*) => {{ let _ = writeln!($out, $($argument)*); }};
}

/// Title, outcome in one line, and what the run was.
pub fn title(out: &mut String, story: &Story) {
    let title = match (&*story.title, &*story.runbook) {
        ("", "") => "a run without a beginning",
        ("", runbook) => runbook,
        (title, _) => title,
    };
    line!(out, "# Incident report: {}\n", text(title));
    let mut summary = vec![outcome_words(story)];
    if let Some(severity) = story.severity() {
        summary.push(format!("severity {}", text(severity)));
    }
    summary.push(format!("{} UTC", words::moment(story.started)));
    summary.push(format!("run {}", code(&story.run)));
    line!(out, "{}\n", summary.join(" · "));
    if story.dry_run {
        line!(out, "This was a dry run: nothing was changed.\n");
    }
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    if !story.runbook.is_empty() {
        row(
            "Runbook",
            format!("{}, file {}", code(&story.runbook), code(&story.file)),
        );
    }
    row("Owner", story.owner.as_deref().map(text).unwrap_or_default());
    row("Environment", text(&story.environment));
    row("Operator", text(&story.operator));
    row("Ran on", text(&story.host));
    let overrides: Vec<String> = story
        .overrides
        .iter()
        .map(|one| {
            format!(
                "**reduced**: under an emergency override of {} and {}, ticket {}: {}",
                text(&one.by.name),
                text(&one.second.name),
                text(&one.ticket),
                text(&one.reason)
            )
        })
        .collect();
    row("Grade", overrides.join("; "));
    let parameters: Vec<String> = story
        .parameters
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    row("Started by", story.occasion.as_deref().map(text).unwrap_or_default());
    row("Parameters", text(&parameters.join(", ")));
    let causes: Vec<String> = story.causes().map(|cause| text(&cause.statement)).collect();
    row("Cause", causes.join("; "));
    row("Started", format!("{} UTC", words::moment(story.started)));
    if let Some(ended) = story.ended {
        row("Ended", format!("{} UTC", words::moment(ended)));
    }
    row(
        "Written by",
        if story.tool_version.is_empty() {
            String::new()
        } else {
            format!("starr {}", text(&story.tool_version))
        },
    );
    table(out, &["", ""], &rows);
}

fn outcome_words(story: &Story) -> String {
    let Some(outcome) = &story.outcome else {
        return "**Interrupted or still running**".to_owned();
    };
    let mut characters = outcome.chars();
    let capital: String = characters
        .next()
        .map(|first| first.to_uppercase().collect())
        .unwrap_or_default();
    let after = story.duration_seconds.map(words::length).unwrap_or_default();
    format!(
        "**{}** after {after}",
        text(&format!("{capital}{}", characters.as_str()))
    )
}

/// What was seen.
pub fn situation(out: &mut String, story: &Story) {
    line!(out, "## Situation\n");
    quote(out, &story.prose);
    match story.severities.as_slice() {
        [] => {}
        [one] => line!(
            out,
            "Severity: {}\n",
            severity_words(one.severity.as_deref(), &one.because)
        ),
        several => {
            line!(out, "Severity:\n");
            for seen in several {
                let words = severity_words(seen.severity.as_deref(), &seen.because);
                line!(out, "- {}: {words}", words::after(story.started, seen.at));
            }
            line!(out);
        }
    }
    if story.questions.is_empty() {
        line!(out, "No question was answered.\n");
    } else {
        let rows: Vec<Vec<String>> = story.questions.iter().map(question_row).collect();
        table(out, &["Question", "Answer", "What decided it"], &rows);
    }
    for asked in &story.asked {
        line!(
            out,
            "- {} {} — {}, by {} ({} UTC)",
            text(&asked.question),
            code(&asked.name),
            text(asked.value.text()),
            text(&words::person(&asked.by)),
            words::time_of_day(asked.at)
        );
    }
    if !story.asked.is_empty() {
        line!(out);
    }
}

fn severity_words(severity: Option<&str>, because: &str) -> String {
    let severity = severity.map_or("not known".to_owned(), |severity| format!("**{}**", text(severity)));
    if because.is_empty() {
        severity
    } else {
        format!("{severity}, because {}", text(because))
    }
}

/// The first answer is what was seen; later ones are given where they differ.
fn question_row(question: &Question) -> Vec<String> {
    let mut answers = Vec::new();
    let mut decided = Vec::new();
    let mut before: Option<Answer> = None;
    for given in &question.answers {
        if before == Some(given.answer) {
            continue;
        }
        let judged = match given.answer {
            Answer::Unknown => "**unknown**".to_owned(),
            _ => words::judged(given.answer, given.good),
        };
        let by = given
            .by
            .as_ref()
            .map(|by| format!(", said by {}", text(&words::person(by))))
            .unwrap_or_default();
        let then = if before.is_some() { "then " } else { "" };
        answers.push(format!("{then}{judged}{by}"));
        let because = words::because(&given.evidence, given.reason.as_deref());
        if !because.is_empty() {
            decided.push(format!("{then}{}", text(&because)));
        }
        before = Some(given.answer);
    }
    let decided = if decided.is_empty() {
        "—".to_owned()
    } else {
        decided.join("; ")
    };
    vec![
        format!("{} {}", text(&question.question), code(&question.name)),
        answers.join("; "),
        decided,
    ]
}

/// What was wanted.
pub fn task(out: &mut String, story: &Story) {
    line!(out, "## Task\n");
    let mut by_goal: Vec<(&str, Vec<Answer>)> = Vec::new();
    for goal in &story.goals {
        match by_goal.iter_mut().find(|(known, _)| *known == goal.text) {
            Some((_, answers)) => answers.push(goal.answer),
            None => by_goal.push((&goal.text, vec![goal.answer])),
        }
    }
    for (goal, answers) in &by_goal {
        let first = answers.first().map_or("unknown", |answer| answer.word());
        let last = answers.last().map_or("unknown", |answer| answer.word());
        let reached = if answers.iter().all(|answer| answer.word() == last) {
            last.to_owned()
        } else {
            format!("{first} at first, {last} at last")
        };
        line!(out, "Goal: {}. Reached: {reached}.\n", code(goal));
    }
    if by_goal.is_empty() {
        line!(out, "No goal was recorded.\n");
    }
    if story.timebox_seconds > 0 {
        let then = if story.timebox_then.is_empty() {
            String::new()
        } else {
            format!(", then {}", text(&story.timebox_then))
        };
        line!(
            out,
            "Time allowed: {}{then}.\n",
            words::length(story.timebox_seconds as f64)
        );
    }
}

/// What was done, in the order it was done.
pub fn actions(out: &mut String, story: &Story) {
    line!(out, "## Action\n");
    if story.steps.is_empty() {
        line!(out, "Nothing was done.\n");
    }
    let mut number = 0;
    let mut steps = story.steps.iter().peekable();
    while let Some(step) = steps.next() {
        match step {
            Step::Branch(branch) => branch_part(out, story, branch),
            Step::Action(action) => {
                number += 1;
                action_part(out, story, action, number);
            }
            Step::Looks(looks) => looks_part(out, looks),
            Step::Note { at, text: words } => {
                line!(out, "- {}: {}", words::after(story.started, *at), text(words));
            }
        }
        let is_line = |step: &Step| matches!(step, Step::Note { .. } | Step::Looks(_));
        if is_line(step) && !steps.peek().is_some_and(|next| is_line(next)) {
            line!(out);
        }
    }
}

fn branch_part(out: &mut String, story: &Story, branch: &Branch) {
    let again = if branch.round > 1 {
        format!(" (asked again, round {})", branch.round)
    } else {
        String::new()
    };
    line!(out, "### {}{again}\n", text(&branch.question));
    let (chosen, others): (Vec<&Cause>, Vec<&Cause>) = branch.causes.iter().partition(|cause| cause.chosen);
    for cause in chosen {
        line!(
            out,
            "Cause found: **{}** {}{}.",
            text(&cause.statement),
            code(&cause.name),
            because_words(cause)
        );
        cause_parts(out, cause);
        line!(out);
    }
    if !others.is_empty() {
        line!(out, "Causes not chosen:\n");
        for cause in others {
            line!(
                out,
                "- {} {}: {}{}",
                text(&cause.statement),
                code(&cause.name),
                cause.answer.word(),
                because_words(cause)
            );
            cause_parts(out, cause);
        }
        line!(out);
    }
    for choice in &branch.choices {
        line!(out, "{}.\n", text(choice));
    }
    if let Some((arm, because)) = &branch.arm {
        let because = if because.is_empty() {
            String::new()
        } else {
            format!(", because {}", text(because))
        };
        line!(out, "The arm {} was taken{because}.\n", code(arm));
    }
    if branch.causes.is_empty() && branch.arm.is_none() {
        line!(
            out,
            "Asked {}; no cause was looked at.\n",
            words::after(story.started, branch.at)
        );
    }
}

fn because_words(cause: &Cause) -> String {
    match (&*cause.because, &*cause.when) {
        ("", "") => String::new(),
        ("", when) => format!(", by {}", code(when)),
        (because, _) => format!(", {}", text(because)),
    }
}

fn cause_parts(out: &mut String, cause: &Cause) {
    for part in &cause.parts {
        // A question's actual value is its answer; it is not said twice.
        let answer = part.answer.word();
        let said = part.actual.is_empty() || part.actual == answer;
        let answer = if said { String::new() } else { format!(" — {answer}") };
        line!(out, "  - {}{answer}", text(&words::evidence(part)));
    }
}

fn action_part(out: &mut String, story: &Story, action: &Action, number: usize) {
    let outcome = action.outcome.as_deref().unwrap_or("the record ends before it does");
    line!(
        out,
        "### {number}. {} {} — {}\n",
        text(&action.order),
        code(&action.name),
        text(outcome)
    );
    quote(out, &action.prose);
    line!(
        out,
        "- Begun {} UTC ({}), risk {}",
        words::time_of_day(action.at),
        words::after(story.started, action.at),
        text(&action.risk)
    );
    for approval in &action.approvals {
        approval_part(out, story, approval);
    }
    if action.calls.is_empty() {
        for planned in &action.planned {
            let call = words::call(
                &planned.operation,
                planned.arguments.iter().map(|(name, value)| (name, value.text())),
            );
            line!(out, "- Not sent: {}", code(&call));
        }
    }
    let mut notes = action.notes.iter().peekable();
    for call in &action.calls {
        while let Some(note) = notes.next_if(|(at, _)| at.seconds_since(call.sent) <= 0.0) {
            note_part(out, note);
        }
        call_part(out, call);
    }
    for looks in &action.looks {
        while let Some(note) = notes.next_if(|(at, _)| at.seconds_since(looks.first) <= 0.0) {
            note_part(out, note);
        }
        looks_part(out, looks);
    }
    for note in notes {
        note_part(out, note);
    }
    if !action.next.is_empty() {
        line!(out, "- Then: {}", text(&action.next));
    }
    if action.kept {
        line!(out, "- The change is still in place");
    }
    line!(out);
}

fn note_part(out: &mut String, (at, note): &(At, String)) {
    line!(out, "- {} UTC: {}", words::time_of_day(*at), text(note));
}

fn approval_part(out: &mut String, story: &Story, approval: &Approval) {
    line!(
        out,
        "- Approval asked of {} at {} UTC, within {}, for digest {}",
        text(&approval.roles.join(", ")),
        words::time_of_day(approval.requested),
        words::length(approval.deadline_seconds as f64),
        code(&words::short_digest(&approval.digest))
    );
    for (name, value) in &approval.seeing {
        line!(out, "  - Shown: {}: {}", text(name), text(value.text()));
    }
    for given in &approval.given {
        let waited = words::length(given.at.seconds_since(approval.requested));
        let other = if given.digest == approval.digest {
            String::new()
        } else {
            format!(" — for another digest, {}", code(&words::short_digest(&given.digest)))
        };
        line!(
            out,
            "  - Approved by **{}** as {} at {} UTC ({}, after {waited}){other}",
            text(&words::person(&given.by)),
            text(&given.role),
            words::time_of_day(given.at),
            words::after(story.started, given.at)
        );
    }
    match &approval.refused {
        Some((at, because, by)) => {
            let by = by
                .as_ref()
                .map(|by| format!(" by **{}**", text(&words::person(by))))
                .unwrap_or_default();
            let because = if because.is_empty() {
                String::new()
            } else {
                format!(": {}", text(because))
            };
            line!(
                out,
                "  - **Not approved**{by} at {} UTC{because}",
                words::time_of_day(*at)
            );
        }
        None if approval.given.is_empty() => line!(out, "  - No decision is recorded"),
        None => {}
    }
}

fn call_part(out: &mut String, call: &Call) {
    let verb = match call.purpose {
        Purpose::Do => "Sent",
        Purpose::Undo => "Taken back with",
        Purpose::Tell => "Told with",
    };
    let shown = words::call(
        &call.operation,
        call.arguments.iter().map(|(name, value)| (name, value.text())),
    );
    let result = match &call.result {
        None => "**in doubt**: no result is recorded, it may or may not have happened".to_owned(),
        Some(result) => {
            let kind = match result.outcome {
                ResultKind::Done => "done".to_owned(),
                other => format!("**{}**", words::result_kind(other)),
            };
            let value = result.value.as_ref().map(shown_after).unwrap_or_default();
            let detail = if result.detail.is_empty() {
                String::new()
            } else {
                format!(" — {}", text(&result.detail))
            };
            format!("{kind} in {}{value}{detail}", text(&result.took))
        }
    };
    line!(
        out,
        "- {verb} {} at {} UTC: {result}",
        code(&shown),
        words::time_of_day(call.sent)
    );
    if !call.targets.is_empty() {
        line!(
            out,
            "  - Targets ({}): {}",
            call.targets.len(),
            text(&call.targets.join(", "))
        );
    }
    if let Some(before) = &call.before {
        line!(out, "  - Before: {}", text(before.text()));
    }
}

fn shown_after(value: &Shown) -> String {
    if value.text().is_empty() {
        String::new()
    } else {
        format!(": {}", text(value.text()))
    }
}

fn looks_part(out: &mut String, looks: &Looks) {
    let answers: Vec<&str> = looks.answers.iter().map(|answer| answer.word()).collect();
    let what = match (&*looks.what, &*looks.condition) {
        (what, "") => text(what),
        (what, condition) => format!("{} {}", text(what), code(condition)),
    };
    let over = match looks.last.seconds_since(looks.first) {
        seconds if seconds > 0.0 => format!(", over {}", words::length(seconds)),
        _ => String::new(),
    };
    let because = words::because(&looks.evidence, None);
    let because = if because.is_empty() {
        String::new()
    } else {
        format!(" ({})", text(&because))
    };
    line!(
        out,
        "- Looked at {} UTC{over}: {what}: {}{because}",
        words::time_of_day(looks.first),
        answers.join(", then ")
    );
}

/// What came of it.
pub fn result(out: &mut String, story: &Story) {
    line!(out, "## Result\n");
    let reason = if story.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", text(&story.reason))
    };
    line!(out, "{}{reason}.\n", outcome_words(story));
    for looks in &story.looks {
        looks_part(out, looks);
    }
    for interruption in &story.interruptions {
        let pending = if interruption.pending.is_empty() {
            String::new()
        } else {
            format!("; still open: {}", text(&interruption.pending.join(", ")))
        };
        line!(
            out,
            "- Interrupted at {} UTC: {}{pending}",
            words::time_of_day(interruption.at),
            text(&interruption.because)
        );
    }
    if !story.looks.is_empty() || !story.interruptions.is_empty() {
        line!(out);
    }
    match (story.in_place.as_slice(), &story.outcome) {
        ([], None) => line!(
            out,
            "Which changes are still in place is not recorded; see the actions above.\n"
        ),
        ([], Some(_)) => line!(out, "No change is still in place.\n"),
        (changes, _) => {
            line!(out, "Changes still in place:\n");
            for change in changes {
                line!(out, "- {}", text(change));
            }
            line!(out);
        }
    }
}

/// What is to follow.
pub fn reflection(out: &mut String, story: &Story) {
    line!(out, "## Reflection\n");
    if story.preventions.is_empty() && story.advice.is_empty() && story.reflections.is_empty() {
        line!(out, "Nothing was recorded.\n");
        return;
    }
    if !story.preventions.is_empty() {
        line!(out, "To prevent it:\n");
        for prevention in &story.preventions {
            let by = prevention
                .by
                .as_deref()
                .map(|by| format!(" — {}", text(by)))
                .unwrap_or_default();
            let due = prevention
                .due
                .as_deref()
                .map(|due| format!(", due {}", text(due)))
                .unwrap_or_default();
            line!(out, "- [ ] {}{by}{due}", text(&prevention.title));
        }
        line!(out);
    }
    for advice in &story.advice {
        line!(out, "Advice: **{}**\n", text(&advice.title));
        quote(out, &advice.prose);
    }
    for reflection in &story.reflections {
        line!(out, "**{}**\n", text(&reflection.question));
        match &reflection.answer {
            None => line!(out, "Not answered.\n"),
            Some(answer) => {
                let by = reflection
                    .by
                    .as_ref()
                    .map(|by| format!(" — {}", text(&words::person(by))))
                    .unwrap_or_default();
                let lines: Vec<String> = answer.lines().map(text).collect();
                line!(out, "{}{by}\n", lines.join("  \n"));
            }
        }
    }
}

/// Everything in its order.
pub fn timeline(out: &mut String, story: &Story, entries: &[Recorded]) {
    line!(out, "## Timeline\n");
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                words::moment(entry.at),
                words::after(story.started, entry.at),
                entry.part.word().to_owned(),
                text(&words::scoped_sentence(entry)),
            ]
        })
        .collect();
    if rows.is_empty() {
        line!(out, "There are no entries.\n");
    } else {
        table(out, &["UTC", "After", "Part", "What"], &rows);
    }
}

/// What was read, each with the number of its entry.
pub fn evidence(out: &mut String, story: &Story) {
    if story.reads.is_empty() {
        return;
    }
    line!(out, "## Evidence\n");
    let rows: Vec<Vec<String>> = story
        .reads
        .iter()
        .map(|read| {
            let arguments = read.arguments.iter().map(|(name, value)| (name, value));
            vec![
                read.entry.to_string(),
                words::after(story.started, read.at),
                code(&read.name),
                code(&words::call(&read.operation, arguments)),
                text(read.value.text()),
                text(&read.took),
            ]
        })
        .collect();
    table(out, &["Entry", "After", "Name", "Read with", "Value", "Took"], &rows);
}

/// How far this can be trusted.
pub fn integrity(out: &mut String, story: &Story, entries: &[Recorded], verified: Option<&Verified>) {
    line!(out, "## Integrity\n");
    let place = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => format!(
            "This report was made from {} of the journal, numbers {} to {}.",
            words::count(entries.len(), "entry", "entries"),
            first.sequence,
            last.sequence
        ),
        _ => "There are no entries.".to_owned(),
    };
    line!(out, "{place}");
    if story.erased > 0 {
        line!(
            out,
            "What {} said was erased.",
            words::count(story.erased, "entry", "entries")
        );
    }
    match verified {
        None => line!(
            out,
            "The journal was not verified for this report; `starr journal verify` does it."
        ),
        Some(verified) if verified.is_intact() => {
            line!(
                out,
                "The journal is {}: {} entries, root {}, log {}.",
                verified.summary(),
                verified.entries,
                code(&verified.root),
                code(&verified.origin)
            );
            if verified.level == Level::Intact {
                line!(
                    out,
                    "No signature or anchor covers it: {} entries rest on the file alone.",
                    verified.on_this_file_alone
                );
            } else {
                line!(
                    out,
                    "Its unprotected tail: {} entries rest on whoever holds the signing key, {} on the file alone.",
                    verified.on_the_key_alone,
                    verified.on_this_file_alone
                );
            }
        }
        Some(verified) => {
            line!(
                out,
                "**The journal is broken**; what this report says cannot be trusted:\n"
            );
            for finding in &verified.findings {
                line!(out, "- {}", text(&finding.to_string()));
            }
        }
    }
    if !story.digests.is_empty() {
        line!(out, "\nTexts of the program, by SHA-256:\n");
        digests(out, &story.digests);
    }
    for signer in &story.signed_by {
        line!(out, "\nSigned by {}.", text(signer));
    }
    line!(out);
}

fn digests(out: &mut String, digests: &BTreeMap<String, String>) {
    for (name, digest) in digests {
        line!(out, "- {} {}", code(name), code(digest));
    }
}

fn quote(out: &mut String, paragraphs: &[String]) {
    for (index, paragraph) in paragraphs.iter().enumerate() {
        if index > 0 {
            line!(out, ">");
        }
        for line in prose(paragraph) {
            line!(out, "> {line}");
        }
    }
    if !paragraphs.is_empty() {
        line!(out);
    }
}
