use super::sample::{any_entries, incident, others, recorded, shown};
use super::*;
use crate::journal::event::{Event, Purpose, ResultKind};
use crate::journal::verify::{Finding, Level};
use crate::render::safe::is_hidden;
use crate::value::Answer;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn verified() -> Verified {
    Verified {
        level: Level::Intact,
        origin: "9".repeat(32),
        entries: 73,
        runs: 4,
        root: "7e".repeat(32),
        reach: crate::journal::verify::Reach::default(),
        on_this_file_alone: 73,
        on_the_key_alone: 0,
        before: None,
        after: None,
        payloads_erased: 0,
        findings: Vec::new(),
        findings_left_out: 0,
    }
}

#[test]
fn a_whole_incident_reads_as_a_record() {
    let report = report_with(&incident(), Some(&verified()));
    let expected = include_str!("incident.md");
    if report != expected {
        let diff = similar::TextDiff::from_lines(expected, &report);
        panic!("{}", diff.unified_diff().header("incident.md", "report"));
    }
}

#[test]
fn every_kind_of_event_is_in_the_samples_and_its_tag_is_its_kind() {
    let mut kinds = BTreeSet::new();
    for entry in incident().into_iter().chain(others()) {
        let event = entry.event.unwrap();
        let data = serde_json::to_value(&event).unwrap();
        assert_eq!(data["event"], event.kind());
        assert_eq!(serde_json::from_value::<Event>(data).unwrap(), event);
        kinds.insert(event.kind());
    }
    assert_eq!(kinds.len(), 44, "{kinds:?}");
}

#[test]
fn an_intent_without_a_result_is_in_doubt_and_a_run_without_an_end_says_so() {
    let entries: Vec<Recorded> = incident()
        .into_iter()
        .take_while(|entry| entry.kind != "result")
        .collect();
    let report = report(&entries);
    assert!(report.contains("**Interrupted or still running**"), "{report}");
    assert!(report.contains("**in doubt**: no result is recorded"), "{report}");
    assert!(report.contains("the record ends before it does"), "{report}");
    assert!(
        report.contains("Which changes are still in place is not recorded"),
        "{report}"
    );
}

#[test]
fn the_rarer_events_have_their_lines() {
    let report = report(&others());
    for words in [
        "- Which region? `region` — eu-1, by maria (login) (03:14:05 UTC)",
        "+1 s: the problem is not present",
        "+2 s: took \\`cannot tell\\` of \"Why?\", because stuck is unknown",
        "+4 s: restart was not approved by maria: too risky now",
        "+5 s: restart could not be taken back: connection refused",
        "+7 s: unplug was done by maria — rack 4",
        "+8 s: web-1: 1 of 3, batch 1",
        "+10 s: escalated as sev1, the timebox ended",
        "- Interrupted at 03:14:18 UTC: Ctrl-C; still open: the undo of restart",
    ] {
        assert!(report.contains(words), "{words}\n{report}");
    }
}

#[test]
fn an_undo_after_the_end_belongs_to_its_action() {
    let mut events: Vec<(f64, &str, Event)> = incident()
        .into_iter()
        .take_while(|entry| entry.kind != "told")
        .map(|entry| (0.0, "", entry.event.unwrap()))
        .collect();
    events.push((
        300.0,
        "",
        Event::Intent {
            id: "i2".to_owned(),
            action: "end_stuck".to_owned(),
            purpose: Purpose::Undo,
            operation: "postgres.sessions.restore".to_owned(),
            class: "I".to_owned(),
            key: None,
            arguments: Vec::new(),
            targets: Vec::new(),
            before: Some(shown("14 sessions")),
            approval: None,
        },
    ));
    events.push((
        301.0,
        "",
        Event::Result {
            id: "i2".to_owned(),
            action: "end_stuck".to_owned(),
            operation: "postgres.sessions.restore".to_owned(),
            outcome: ResultKind::Failed,
            value: None,
            detail: "refused".to_owned(),
            milliseconds: 1000,
            notes: Vec::new(),
        },
    ));
    let report = report(&recorded(events));
    assert!(
        report.contains(
            "- Taken back with `postgres.sessions.restore()` at 03:19:05 UTC: **failed** in 1 s — refused\n  - Before: 14 sessions\n"
        ),
        "{report}"
    );
}

#[test]
fn looks_and_ticks_stand_where_they_belong() {
    let look = |what: &str, answer| Event::Look {
        what: what.to_owned(),
        condition: "queue is empty".to_owned(),
        answer,
        evidence: Vec::new(),
        last: answer == Answer::Yes,
    };
    let manual = |event: fn(String) -> Event| event("unplug".to_owned());
    let report = report(&recorded(vec![
        (1.0, "", look("wait until", Answer::No)),
        (31.0, "", look("wait until", Answer::Yes)),
        (
            32.0,
            "",
            manual(|name| Event::ActionStarted {
                name,
                order: "Unplug rack 4".to_owned(),
                prose: Vec::new(),
                risk: "high".to_owned(),
                operations: Vec::new(),
            }),
        ),
        (
            40.0,
            "",
            manual(|name| Event::Ticked {
                name,
                done: true,
                by: None,
                note: String::new(),
            }),
        ),
        (41.0, "", look("verify unplug", Answer::Yes)),
        (
            42.0,
            "",
            manual(|name| Event::ActionEnded {
                name,
                outcome: "done".to_owned(),
                next: String::new(),
                kept: false,
            }),
        ),
        (50.0, "", look("resolved", Answer::Yes)),
    ]));
    let action = "## Action\n\n\
        - Looked at 03:14:06 UTC, over 30 s: wait until `queue is empty`: no, then yes\n\n\
        ### 1. Unplug rack 4 `unplug` — done\n\n\
        - Begun 03:14:37 UTC (+31 s), risk high\n\
        - 03:14:45 UTC: unplug was done\n\
        - Looked at 03:14:46 UTC: verify unplug `queue is empty`: yes\n\n\
        ## Result\n\n\
        **Interrupted or still running**.\n\n\
        - Looked at 03:14:55 UTC: resolved `queue is empty`: yes\n";
    assert!(report.contains(action), "{report}");
}

#[test]
fn what_a_called_runbook_says_of_itself_is_no_result_of_the_outer_one() {
    let look = || Event::Look {
        what: "resolved".to_owned(),
        condition: "queue is empty".to_owned(),
        answer: Answer::Yes,
        evidence: Vec::new(),
        last: true,
    };
    let report = report(&recorded(vec![(40.0, "child", look()), (50.0, "", look())]));
    let (action, result) = report.split_once("## Result").unwrap();
    assert!(
        action.contains("- Looked at 03:14:45 UTC: child.resolved `queue is empty`: yes\n"),
        "{report}"
    );
    assert_eq!(result.matches("resolved `queue is empty`").count(), 1, "{report}");
}

#[test]
fn a_called_runbook_does_not_take_the_place_of_the_outer_one() {
    let mut entries = incident();
    let mut inner = entries.clone();
    for entry in &mut inner {
        entry.scope = "child".to_owned();
        if let Some(Event::RunStarted { title, .. }) = &mut entry.event {
            *title = "Another".to_owned();
        }
    }
    entries.splice(1..1, inner);
    let story = Story::of(&entries);
    assert_eq!(story.title, "Database connection pool exhausted");
    assert!(story.questions.iter().any(|question| question.name == "child.stuck"));
    assert_eq!(story.questions[0].answers.len(), 2);
}

#[test]
fn a_broken_journal_is_said_in_the_report() {
    let broken = Verified {
        level: Level::Broken,
        findings: vec![Finding {
            entry: Some(3),
            what: "does not agree with its payload".to_owned(),
        }],
        ..verified()
    };
    let report = report_with(&incident(), Some(&broken));
    assert!(
        report.contains(
            "**The journal is broken**; what this report says cannot be trusted:\n\n- entry 3 does not agree"
        )
    );
}

#[test]
fn hostile_data_stays_text() {
    let hostile =
        "x | </script><img src=x onerror=alert(1)> ![p](http://evil/p.png) \u{1b}[2J\u{202e}\n## Approved\n\r`";
    let by = crate::journal::event::Person {
        name: hostile.to_owned(),
        by: hostile.to_owned(),
    };
    let mut entries = incident();
    for entry in &mut entries {
        match entry.event.as_mut() {
            Some(Event::Read { value, .. }) => *value = shown(hostile),
            Some(Event::Answered { evidence, .. }) => {
                evidence.iter_mut().for_each(|part| part.actual = hostile.to_owned())
            }
            Some(Event::Approved { by: who, .. }) => *who = by.clone(),
            Some(Event::Intent { targets, .. }) => targets.push(hostile.to_owned()),
            Some(Event::RunStarted { prose, title, .. }) => {
                prose.push(hostile.to_owned());
                *title = hostile.to_owned();
            }
            _ => {}
        }
    }
    let report = report(&entries);
    for (at, _) in report.match_indices("](") {
        assert!(
            report[..at].ends_with('\\'),
            "{}",
            &report[at.saturating_sub(40)..at + 10]
        );
    }
    assert!(!report.contains("\n## Approved"), "{report}");
    // As a Markdown reader sees it: no HTML, no link, no picture.
    use pulldown_cmark::{Event as Markdown, Options, Parser, Tag};
    for event in Parser::new_ext(&report, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
        let foreign = matches!(
            event,
            Markdown::Html(_)
                | Markdown::InlineHtml(_)
                | Markdown::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
        );
        assert!(!foreign, "{event:?}");
    }
    let page = html(&entries, None);
    for tag in ["<script", "<img", "<a "] {
        assert!(!page.contains(tag), "{tag}\n{page}");
    }
    assert!(page.contains("&lt;/script&gt;"));
    for (at, _) in report.match_indices('<') {
        assert!(
            report[..at].ends_with('\\'),
            "{}",
            &report[at.saturating_sub(40)..at + 10]
        );
    }
    assert!(
        !report
            .chars()
            .any(|character| character != '\n' && is_hidden(character))
    );
}

#[test]
fn a_megabyte_of_text_is_cut_with_a_note() {
    let mut entries = incident();
    let long = "very long ".repeat(110_000);
    for entry in &mut entries {
        if let Some(Event::Read { value, .. }) = &mut entry.event {
            *value = shown(&long);
        }
        if let Some(Event::Reflection { answer, .. }) = &mut entry.event {
            *answer = Some(long.clone());
        }
    }
    let report = report(&entries);
    assert!(report.len() < 40_000, "{}", report.len());
    assert!(report.contains("more bytes are in the journal)"), "{report}");
}

#[test]
fn the_page_holds_the_report_and_nothing_from_elsewhere() {
    let page = html(&incident(), Some(&verified()));
    for part in [
        "<title>Incident report: Database connection pool exhausted</title>",
        "default-src 'none'",
        "<h2>Reflection</h2>",
        "<td>Sessions were left open</td>",
        "<input disabled=\"\" type=\"checkbox\"/>",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("src=") && !page.contains("href="), "{page}");
}

#[test]
fn data_of_the_report_has_its_names() {
    let json = json(&incident(), Some(&verified()));
    assert_eq!(json["report"]["runbook"], "pool_exhausted");
    assert_eq!(json["report"]["started"], "2026-11-22T03:14:05Z");
    assert_eq!(json["report"]["steps"][1]["step"], "action");
    assert_eq!(
        json["report"]["steps"][1]["approvals"][0]["given"][0]["by"]["name"],
        "jonas"
    );
    assert_eq!(json["journal"]["level"], "intact");
    assert_eq!(json["entries"], 29);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_events_breaks_the_report(entries in any_entries()) {
        let report = report(&entries);
        prop_assert!(report.starts_with("# Incident report: "));
        prop_assert!(!report.chars().any(|character| character != '\n' && is_hidden(character)), "{}", report);
        for heading in ["## Situation", "## Task", "## Action", "## Result", "## Reflection", "## Timeline", "## Integrity"] {
            prop_assert_eq!(report.lines().filter(|line| *line == heading).count(), 1, "{}", heading);
        }
        prop_assert!(json(&entries, None)["report"].is_object());
        let page = html(&entries, None);
        prop_assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<a "), "{}", page);
    }
}
