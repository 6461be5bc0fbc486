//! What came of a run against what was expected, with the reasoning that led there.

use super::stage::{Block, Missing};
use super::suite::Ran;
use super::write;
use crate::engine::Outcome;
use crate::journal::event::{Event, Purpose, ResultKind, Shown};
use crate::program::scenario::{Expected, ExpectedKind, SaidKind, Scenario};
use crate::source::Span;
use crate::value::Answer;
use crate::value::show::{show_std, shown};
use serde::Serialize;
use std::collections::BTreeSet;

/// Lines of a record that are printed when it does not say what is expected.
const RECORD_LINES: usize = 40;

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the scenario it is about.
    pub span: Span,
    pub message: String,
}

/// The way of one run, in the order in which it went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    pub outcome: String,
    pub reason: String,
    pub severity: Option<String>,
    /// The causes that were treated.
    pub causes: Vec<String>,
    /// `otherwise` or `cannot tell`, with the branch's question as it was shown.
    pub arms: Vec<(String, String)>,
    /// The answers of each question as they changed.
    pub answers: Vec<(String, Vec<Answer>)>,
    /// Values of reads and of what people gave, the first of each, as data.
    pub values: Vec<(String, Shown)>,
    /// Actions whose change was sent and did not definitely fail, or that were ticked.
    pub changed: BTreeSet<String>,
    /// Actions of which anything was sent.
    pub sent: BTreeSet<String>,
    pub undone: BTreeSet<String>,
    /// Operations that told somebody, once for each time.
    pub told: Vec<String>,
}

impl Story {
    /// The story of a run.
    pub fn of(ran: &Ran) -> Self {
        let mut story = Self::default();
        if let Ok(ended) = &ran.ended {
            story.severity.clone_from(&ended.severity);
            ended.outcome.word().clone_into(&mut story.outcome);
            if let Outcome::Stopped(reason) = &ended.outcome {
                story.reason.clone_from(reason);
            }
        }
        let mut intents: Vec<(String, String)> = Vec::new();
        for entry in &ran.entries {
            let Some(event) = &entry.event else { continue };
            let full = |name: &str| {
                if entry.scope.is_empty() {
                    name.to_owned()
                } else {
                    format!("{}.{name}", entry.scope)
                }
            };
            match event {
                Event::Cause { name, chosen: true, .. } => story.causes.push(full(name)),
                Event::Arm { arm, branch, .. } => story.arms.push((arm.clone(), branch.clone())),
                Event::Answered { name, answer, .. } => {
                    let name = full(name);
                    match story.answers.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, answers)) if answers.last() == Some(answer) => {}
                        Some((_, answers)) => answers.push(*answer),
                        None => story.answers.push((name, vec![*answer])),
                    }
                }
                Event::Read { name, value, .. } | Event::Asked { name, value, .. } => {
                    let name = full(name);
                    if !story.values.iter().any(|(known, _)| *known == name) {
                        story.values.push((name, value.clone()));
                    }
                }
                Event::Intent {
                    id, action, purpose, ..
                } if *purpose == Purpose::Do => {
                    intents.push((id.clone(), full(action)));
                    story.sent.insert(full(action));
                }
                Event::Result { id, outcome, .. } => {
                    if let Some((_, action)) = intents.iter().find(|(known, _)| known == id)
                        && *outcome != ResultKind::Failed
                    {
                        story.changed.insert(action.clone());
                    }
                }
                Event::Ticked { name, done: true, .. } if !name.starts_with("undo ") => {
                    story.changed.insert(full(name));
                    story.sent.insert(full(name));
                }
                Event::Undone { action, ok: true, .. } => {
                    story.undone.insert(full(action));
                }
                Event::Told {
                    operation, ok: true, ..
                } => story.told.push(operation.clone()),
                _ => {}
            }
        }
        story
    }

    /// The first answer of a question.
    pub fn answer(&self, name: &str) -> Option<Answer> {
        self.answers
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, answers)| answers.first().copied())
    }
}

/// What is wrong with a run of a scenario; empty when it came as expected.
pub fn judge(scenario: &Scenario, ran: &Ran, story: &Story) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(error) = &ran.ended {
        problems.push(Problem {
            span: scenario.span,
            message: format!("the run could not be recorded: {error}"),
        });
        return problems;
    }
    if !ran.missing.is_empty() {
        problems.push(Problem {
            span: scenario.span,
            message: not_given(&ran.missing),
        });
        // The run was ended there: what it came to says nothing.
        return problems;
    }
    let mut asked: Vec<(String, usize)> = Vec::new();
    let mut record: Option<String> = None;
    for expected in &scenario.expect {
        let message = match &expected.kind {
            ExpectedKind::Answer { name, answer } => {
                let nth = match asked.iter_mut().find(|(known, _)| known == name) {
                    Some((_, nth)) => {
                        *nth += 1;
                        *nth
                    }
                    None => {
                        asked.push((name.clone(), 0));
                        0
                    }
                };
                answered(story, name, *answer, nth)
            }
            ExpectedKind::Record { part, text } => {
                let report = record.get_or_insert_with(|| crate::render::report::report(&ran.entries));
                let section = section(report, part);
                let section = unescaped(section);
                (!section.contains(text.as_str())).then(|| {
                    let said: Vec<&str> = section.trim().lines().collect();
                    let more = said.len().saturating_sub(RECORD_LINES);
                    let mut said = said[..said.len() - more].join("\n");
                    if more > 0 {
                        said.push_str(&format!("\n… and {more} more lines"));
                    }
                    format!(
                        "the part *{part}* of the record does not say {}; it says:\n{said}",
                        write::quoted(text)
                    )
                })
            }
            _ => differs(story, ran, expected),
        };
        if let Some(message) = message {
            problems.push(Problem {
                span: expected.span,
                message,
            });
        }
    }
    for index in &ran.unused {
        let said = &scenario.people[*index];
        let why = match said.kind {
            SaidKind::Acknowledge { .. } => {
                "no entry of an escalation was due that says `unless acknowledged`".to_owned()
            }
            _ => format!("nobody was asked about `{}` so", said.name),
        };
        problems.push(Problem {
            span: said.span,
            message: format!("this line was never used: {why}"),
        });
    }
    problems
}

fn not_given(missing: &[Missing]) -> String {
    let mut message = String::from("not given: what is answered here? add");
    for block in [Block::Given, Block::Operator] {
        let lines: Vec<&str> = missing
            .iter()
            .filter(|line| line.block == block)
            .map(|line| line.line.as_str())
            .collect();
        if !lines.is_empty() {
            message.push_str(&format!("\n  {} {{", block.word()));
            for line in lines {
                message.push_str(&format!("\n    {line}"));
            }
            message.push_str("\n  }");
        }
    }
    message
}

fn words(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

fn answered(story: &Story, name: &str, wanted: Answer, nth: usize) -> Option<String> {
    let answers = story
        .answers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, answers)| answers.as_slice())
        .unwrap_or_default();
    if answers.get(nth) == Some(&wanted) {
        return None;
    }
    let found: Vec<&str> = answers.iter().map(|answer| answer.word()).collect();
    Some(if found.is_empty() {
        format!("`{name}` was never asked")
    } else {
        format!("`{name}` was {}, not {}", found.join(", then "), wanted.word())
    })
}

fn differs(story: &Story, ran: &Ran, expected: &Expected) -> Option<String> {
    let lists = |what: &str, found: &BTreeSet<String>, wanted: &[String]| {
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        (*found != wanted).then(|| format!("{what} {}, not {}", words(found), words(&wanted)))
    };
    match &expected.kind {
        ExpectedKind::Severity(name) => (story.severity.as_deref() != Some(name)).then(|| {
            format!(
                "the severity is {}, not {name}",
                story.severity.as_deref().unwrap_or("not known")
            )
        }),
        ExpectedKind::Cause(causes) => {
            (story.causes != *causes).then(|| format!("treated was {}, not {}", words(&story.causes), words(causes)))
        }
        ExpectedKind::Arm { cannot_tell, of } => {
            let arm = if *cannot_tell { "cannot tell" } else { "otherwise" };
            let taken = story
                .arms
                .iter()
                .any(|(name, branch)| name == arm && of.as_ref().is_none_or(|of| fits(of, branch)));
            (!taken).then(|| {
                let found: Vec<String> = story
                    .arms
                    .iter()
                    .map(|(arm, of)| format!("{arm} of \"{of}\""))
                    .collect();
                format!("`{arm}` was not taken; taken was {}", words(found))
            })
        }
        ExpectedKind::Value { name, value } => {
            let (text, wanted) = shown(value);
            let found = story.values.iter().find(|(known, _)| known == name);
            match found {
                None => Some(format!("`{name}` was never read")),
                Some((_, found)) if *found.data() == wanted => None,
                Some((_, found)) => Some(format!("`{name}` was {}, not {text}", found.data())),
            }
        }
        ExpectedKind::Changed(names) => lists("changed was", &story.changed, names),
        ExpectedKind::Undone(names) => lists("taken back was", &story.undone, names),
        ExpectedKind::Never(names) => {
            let sent: Vec<&String> = names.iter().filter(|name| story.sent.contains(*name)).collect();
            (!sent.is_empty()).then(|| format!("{} was done", words(sent)))
        }
        ExpectedKind::Told { operation, times } => {
            let found = story.told.iter().filter(|told| *told == operation).count() as u64;
            match times {
                Some(times) if *times != found => {
                    Some(format!("`{operation}` told somebody {found} times, not {times} times"))
                }
                None if found == 0 => Some(format!("`{operation}` told nobody")),
                _ => None,
            }
        }
        ExpectedKind::Outcome { word, reason, within } => {
            if story.outcome != *word {
                let because = if story.reason.is_empty() {
                    String::new()
                } else {
                    format!(" \"{}\"", story.reason)
                };
                return Some(format!("the run ended {}{because}, not {word}", story.outcome));
            }
            if let Some(reason) = reason
                && story.reason != *reason
            {
                return Some(format!("it stopped with \"{}\", not with \"{reason}\"", story.reason));
            }
            within
                .filter(|within| ran.duration > *within)
                .map(|within| format!("it took {}, not {} at most", show_std(ran.duration), show_std(within)))
        }
        ExpectedKind::Answer { .. } | ExpectedKind::Record { .. } => None,
    }
}

/// Whether a text may be this title filled in: its literal parts stand in it in order.
pub fn fits(title: &str, text: &str) -> bool {
    let mut rest = text;
    let mut first = true;
    let mut open = title;
    loop {
        let (literal, next) = match open.split_once('{') {
            Some((literal, behind)) => (literal, behind.split_once('}').map(|(_, behind)| behind)),
            None => (open, None),
        };
        let found = if first {
            rest.starts_with(literal).then_some(0)
        } else {
            rest.find(literal)
        };
        let Some(at) = found else { return false };
        rest = &rest[at + literal.len()..];
        first = false;
        match next {
            Some(behind) => open = behind,
            None => return rest.is_empty() || title.ends_with('}'),
        }
    }
}

/// The text of Markdown without the strokes that keep a sign from being one of Markdown's.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' || !letters.peek().is_some_and(char::is_ascii_punctuation) {
            out.push(letter);
        } else {
            out.extend(letters.next());
        }
    }
    out
}

/// A part of the record, without its heading.
fn section<'r>(report: &'r str, part: &str) -> &'r str {
    let heading = report.match_indices("\n## ").find(|(at, _)| {
        let heading = report.get(at + 4..at + 4 + part.len());
        heading.is_some_and(|heading| heading.eq_ignore_ascii_case(part))
    });
    let Some((at, _)) = heading else { return "" };
    let body = &report[at + 4..];
    let body = body.split_once('\n').map_or("", |(_, body)| body);
    body.find("\n## ").map_or(body, |end| &body[..end])
}

/// Why the run went the way it went: each answer, and of each cause which part held and which did not.
pub fn reasoning(ran: &Ran) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut known: BTreeSet<Vec<String>> = BTreeSet::new();
    for entry in &ran.entries {
        let Some(event) = &entry.event else { continue };
        let before = lines.len();
        let scope = if entry.scope.is_empty() {
            String::new()
        } else {
            format!("{}.", entry.scope)
        };
        match event {
            Event::Answered {
                name,
                answer,
                evidence,
                reason,
                symptom,
                ..
            } => {
                let word = if *symptom { "symptom" } else { "check" };
                let mut line = format!("{word} {scope}{name}: {}", answer.word());
                if let Some(reason) = reason {
                    line.push_str(&format!(" ({reason})"));
                }
                lines.push(line);
                lines.extend(evidence.iter().map(part));
            }
            Event::Cause {
                name,
                when,
                answer,
                chosen,
                because,
                parts,
                ..
            } => {
                let what = match (chosen, answer) {
                    (true, _) => "treated",
                    (false, Answer::No) => "does not hold",
                    (false, _) => "cannot be decided",
                };
                lines.push(format!("cause {scope}{name}: {what}, when {when}"));
                lines.extend(parts.iter().map(part));
                if !because.is_empty() && because != "refuted" {
                    lines.push(format!("  {because}"));
                }
            }
            Event::Arm { arm, branch, because } => lines.push(format!("{arm} of \"{branch}\": {because}")),
            Event::NotApproved { action, because, .. } => {
                lines.push(format!("action {scope}{action}: not approved, {because}"));
            }
            Event::NotNeeded { name, because } => lines.push(format!("action {scope}{name}: not needed, {because}")),
            Event::ActionEnded {
                name, outcome, next, ..
            } => lines.push(format!("action {scope}{name}: {outcome} → {next}")),
            Event::Look {
                what,
                condition,
                answer,
                last: true,
                evidence,
            } => {
                lines.push(format!("{what}: {condition}: {}", answer.word()));
                lines.extend(evidence.iter().map(part));
            }
            Event::Undone { action, ok, detail } => lines.push(if *ok {
                format!("action {scope}{action}: taken back")
            } else {
                format!("action {scope}{action}: could not be taken back, {detail}")
            }),
            Event::Ended { outcome, reason, .. } => lines.push(format!("ended {outcome}: {reason}")),
            _ => {}
        }
        // What is asked again and answered the same is said once.
        let said = lines.split_off(before);
        if said.is_empty() || known.insert(said.clone()) {
            lines.extend(said);
        }
    }
    lines
}

fn part(part: &crate::journal::event::Evidence) -> String {
    let held = match part.answer {
        Answer::Yes => "held",
        Answer::No => "did not hold",
        Answer::Unknown => "unknown",
    };
    let actual = Some(part.actual.as_str()).filter(|actual| !actual.is_empty() && *actual != part.answer.word());
    let actual = actual.map(|actual| format!(": {actual}")).unwrap_or_default();
    let limit = if part.limit.is_empty() {
        String::new()
    } else {
        format!(", limit {}", part.limit)
    };
    format!("  {} {held}{actual}{limit}", part.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_with_names_fits_its_filled_in_text() {
        assert!(fits("What slows {on} down?", "What slows local down?"));
        assert!(fits("What?", "What?"));
        assert!(fits("What slows {on}", "What slows local"));
        assert!(!fits("What slows {on} down?", "What stops local down?"));
        assert!(!fits("What?", "What? No."));
    }

    #[test]
    fn a_part_of_a_record_ends_at_the_next_heading() {
        let report = "# T\n\n## Situation\n\n97 %\n\n### More\n\nx\n\n## Task\n\ny\n";
        assert_eq!(section(report, "situation").trim(), "97 %\n\n### More\n\nx");
        assert_eq!(section(report, "task").trim(), "y");
        assert_eq!(section(report, "result"), "");
        assert_eq!(unescaped("\\`not x\\` \\{a\\} \\\\ \\n"), "`not x` {a} \\ \\n");
    }
}
