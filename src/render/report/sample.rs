//! A whole incident by hand, and any sequence of events, for the tests of what is rendered.

use crate::journal::Recorded;
use crate::journal::event::*;
use crate::value::Answer;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

pub fn shown(text: &str) -> Shown {
    Shown::written(text.to_owned(), serde_json::Value::String(text.to_owned()), None)
}

pub fn maria() -> Person {
    Person {
        name: "maria".to_owned(),
        by: "login".to_owned(),
    }
}

fn compared(text: &str, answer: Answer, actual: &str, limit: &str, detail: &str) -> Evidence {
    Evidence {
        text: text.to_owned(),
        answer,
        actual: actual.to_owned(),
        limit: limit.to_owned(),
        detail: detail.to_owned(),
    }
}

/// Entries from seconds after the start, scope and event.
pub fn recorded(events: Vec<(f64, &str, Event)>) -> Vec<Recorded> {
    let start: Timestamp = "2026-11-22T03:14:05Z".parse().unwrap();
    (0..)
        .zip(events)
        .map(|(number, (after, scope, event))| Recorded {
            sequence: 40 + number,
            run: "20261122-0314-k7f2".to_owned(),
            run_sequence: number,
            scope: scope.to_owned(),
            part: event.part(),
            kind: event.kind().to_owned(),
            actor: event.actor().to_owned(),
            at: start + SignedDuration::from_secs_f64(after),
            event: Some(event),
        })
        .collect()
}

fn pool_full(answer: Answer, actual: &str, good: bool, round: u32) -> Event {
    Event::Answered {
        name: "pool_full".to_owned(),
        question: "Is more than 90 % of the pool in use?".to_owned(),
        symptom: true,
        answer,
        good: Some(good),
        evidence: vec![compared("used > 90 %", answer, actual, "90 %", "for 5 min")],
        reason: None,
        by: None,
        round,
    }
}

fn look(answer: Answer, count: &str, last: bool) -> Event {
    Event::Look {
        what: "verify end_stuck".to_owned(),
        condition: "not stuck".to_owned(),
        answer,
        evidence: vec![compared("count > 5", !answer, count, "5", "")],
        last,
    }
}

/// A pool is exhausted; the first cause is refuted, the second is treated, one goal is reached.
pub fn incident() -> Vec<Recorded> {
    let mut events = before_the_action();
    events.extend(the_action());
    events.extend(after_the_action());
    recorded(events)
}

fn before_the_action() -> Vec<(f64, &'static str, Event)> {
    vec![
        (
            0.0,
            "",
            Event::RunStarted {
                runbook: "pool_exhausted".to_owned(),
                title: "Database connection pool exhausted".to_owned(),
                file: "runbooks/pool_exhausted.starr".to_owned(),
                owner: Some("team-storage".to_owned()),
                digests: [("runbooks/pool_exhausted.starr".to_owned(), "5f".repeat(32))].into(),
                signed_by: Vec::new(),
                parameters: vec![("db".to_owned(), "orders".to_owned())],
                environment: "production".to_owned(),
                operator: "maria".to_owned(),
                tool_version: "0.1.0".to_owned(),
                host: "bastion2".to_owned(),
                dry_run: false,
                occasion: None,
                prose: vec![
                    "Every connection is taken, so requests wait and then time out.".to_owned(),
                    "Do **not** restart Postgres.".to_owned(),
                ],
                timebox_seconds: 3600,
                timebox_then: "escalate".to_owned(),
                basis: Basis::default(),
            },
        ),
        (
            1.2,
            "",
            Event::Read {
                name: "used".to_owned(),
                operation: "prometheus.series".to_owned(),
                arguments: vec![
                    ("query".to_owned(), "db_pool_used_ratio".to_owned()),
                    ("of".to_owned(), "orders".to_owned()),
                ],
                value: shown("97 % at 03:14:00, 61 samples"),
                milliseconds: 240,
                notes: Vec::new(),
            },
        ),
        (1.2, "", pool_full(Answer::Yes, "97 %", false, 1)),
        (
            35.0,
            "",
            Event::Answered {
                name: "complaints".to_owned(),
                question: "Do users report timeouts?".to_owned(),
                symptom: true,
                answer: Answer::Yes,
                good: None,
                evidence: Vec::new(),
                reason: None,
                by: Some(maria()),
                round: 1,
            },
        ),
        (
            35.0,
            "",
            Event::Severity {
                name: Some("sev1".to_owned()),
                was: None,
                because: "pool_full and complaints".to_owned(),
            },
        ),
        (
            35.1,
            "",
            Event::Goal {
                text: "not pool_full".to_owned(),
                answer: Answer::No,
            },
        ),
        (
            36.0,
            "",
            Event::Answered {
                name: "stuck".to_owned(),
                question: "Are more than 5 sessions idle in a transaction?".to_owned(),
                symptom: false,
                answer: Answer::Yes,
                good: None,
                evidence: vec![compared("count > 5", Answer::Yes, "14", "5", "")],
                reason: None,
                by: None,
                round: 1,
            },
        ),
        (
            37.5,
            "",
            Event::Answered {
                name: "release".to_owned(),
                question: "Was there a release within 2 h?".to_owned(),
                symptom: false,
                answer: Answer::Unknown,
                good: None,
                evidence: Vec::new(),
                reason: Some("no reply in time: 10 s".to_owned()),
                by: None,
                round: 1,
            },
        ),
        (
            37.6,
            "",
            Event::BranchEntered {
                question: "What holds the connections?".to_owned(),
                round: 1,
            },
        ),
        (
            70.0,
            "",
            Event::Choice {
                about: "release".to_owned(),
                choice: "answered no by hand".to_owned(),
                by: maria(),
                note: "nothing was deployed tonight".to_owned(),
            },
        ),
        (
            70.0,
            "",
            Event::Cause {
                name: "leak".to_owned(),
                statement: "The new release leaks connections".to_owned(),
                when: "stuck and release".to_owned(),
                answer: Answer::No,
                chosen: false,
                because: "release is no".to_owned(),
                parts: vec![
                    compared("stuck", Answer::Yes, "yes", "", ""),
                    compared("release", Answer::No, "no", "", "said by maria"),
                ],
                round: 1,
            },
        ),
        (
            70.1,
            "",
            Event::Cause {
                name: "abandoned".to_owned(),
                statement: "Sessions were left open".to_owned(),
                when: "stuck".to_owned(),
                answer: Answer::Yes,
                chosen: true,
                because: "and not leak, which was refuted".to_owned(),
                parts: vec![compared("stuck", Answer::Yes, "yes", "", "")],
                round: 1,
            },
        ),
    ]
}

fn the_action() -> Vec<(f64, &'static str, Event)> {
    let digest = "ab12cd34ef56".repeat(5);
    vec![
        (
            70.2,
            "",
            Event::ActionStarted {
                name: "end_stuck".to_owned(),
                order: "End 14 sessions that are idle in a transaction".to_owned(),
                prose: vec!["Their uncommitted work is lost. The application retries it.".to_owned()],
                risk: "medium".to_owned(),
                operations: vec![PlannedCall {
                    operation: "postgres.sessions.terminate".to_owned(),
                    arguments: vec![("sessions".to_owned(), shown("14 sessions"))],
                    class: "I".to_owned(),
                }],
            },
        ),
        (
            70.3,
            "",
            Event::ApprovalRequested {
                action: "end_stuck".to_owned(),
                digest: digest.clone(),
                roles: vec!["oncall".to_owned()],
                seeing: vec![("stuck.sessions".to_owned(), shown("4711, 4712 and 12 more"))],
                deadline_seconds: 900,
                nonce: String::new(),
            },
        ),
        (
            195.0,
            "",
            Event::Approved {
                action: "end_stuck".to_owned(),
                digest,
                by: Person {
                    name: "jonas".to_owned(),
                    by: "login".to_owned(),
                },
                role: "oncall".to_owned(),
            },
        ),
        (
            195.4,
            "",
            Event::Dropped {
                action: "end_stuck".to_owned(),
                targets: vec!["4713".to_owned()],
                because: "no longer idle in a transaction".to_owned(),
            },
        ),
        (
            195.5,
            "",
            Event::Intent {
                id: "i1".to_owned(),
                action: "end_stuck".to_owned(),
                purpose: Purpose::Do,
                operation: "postgres.sessions.terminate".to_owned(),
                class: "I".to_owned(),
                key: None,
                arguments: vec![("sessions".to_owned(), shown("13 sessions"))],
                targets: vec!["4711".to_owned(), "4712".to_owned()],
                before: None,
                approval: Some("ab12".to_owned()),
            },
        ),
        (
            195.9,
            "",
            Event::Result {
                id: "i1".to_owned(),
                action: "end_stuck".to_owned(),
                operation: "postgres.sessions.terminate".to_owned(),
                outcome: ResultKind::Done,
                value: Some(shown("13")),
                detail: String::new(),
                milliseconds: 400,
                notes: Vec::new(),
            },
        ),
        (196.0, "", look(Answer::No, "9", false)),
        (211.0, "", look(Answer::No, "7", false)),
        (226.0, "", look(Answer::Yes, "0", true)),
        (
            226.1,
            "",
            Event::ActionEnded {
                name: "end_stuck".to_owned(),
                outcome: "done".to_owned(),
                next: "asking whether the goal is reached".to_owned(),
                kept: true,
            },
        ),
    ]
}

fn after_the_action() -> Vec<(f64, &'static str, Event)> {
    vec![
        (230.0, "", pool_full(Answer::No, "41 %", true, 2)),
        (
            230.1,
            "",
            Event::Goal {
                text: "not pool_full".to_owned(),
                answer: Answer::Yes,
            },
        ),
        (
            231.0,
            "",
            Event::Told {
                operation: "chat.post".to_owned(),
                arguments: vec![("channel".to_owned(), "#inc-storage".to_owned())],
                ok: false,
                detail: "no reply in time".to_owned(),
            },
        ),
        (
            845.0,
            "",
            Event::Ended {
                outcome: "resolved".to_owned(),
                reason: "the goal held for 10 min".to_owned(),
                in_place: vec!["end_stuck: 13 sessions were ended".to_owned()],
                duration_seconds: 845.0,
            },
        ),
        (
            845.1,
            "",
            Event::Prevention {
                title: "Set idle_in_transaction_session_timeout to 5 min".to_owned(),
                by: Some("team-storage".to_owned()),
                due: Some("2026-12-06".to_owned()),
            },
        ),
        (
            845.1,
            "",
            Event::Advised {
                title: "Return connections in a finally block".to_owned(),
                prose: vec!["See the code sample in the guide.".to_owned()],
            },
        ),
        (
            900.0,
            "",
            Event::Reflection {
                question: "Which signal could have told us earlier?".to_owned(),
                answer: Some("The age of the oldest transaction.".to_owned()),
                by: Some(maria()),
            },
        ),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("</script>|`\u{1b}[2J\u{202e}\n# x".to_owned()),
        Just("a".to_owned()),
        Just(String::new()),
    ]
}

/// Any event: the samples of the incident with every text and number replaced by another.
fn any_event() -> impl Strategy<Value = Event> {
    let samples: Vec<Event> = incident()
        .into_iter()
        .chain(others())
        .filter_map(|entry| entry.event)
        .collect();
    (
        prop::sample::select(samples),
        any_text(),
        any_text(),
        any::<u32>(),
        any::<bool>(),
    )
        .prop_map(|(event, name, other, number, swap)| {
            let data = serde_json::to_value(&event).unwrap();
            let changed = change(&data, &name, &other, number, swap);
            // What no event can be (an answer that is none) stays as it was.
            serde_json::from_value(changed).unwrap_or(event)
        })
}

fn change(data: &serde_json::Value, name: &str, other: &str, number: u32, swap: bool) -> serde_json::Value {
    use serde_json::Value;
    let again = |data: &Value| change(data, other, name, number.wrapping_mul(7), !swap);
    match data {
        Value::Object(fields) => fields
            .iter()
            .map(|(field, value)| {
                let keep = ["event", "answer", "purpose", "outcome"].contains(&field.as_str());
                (
                    field.clone(),
                    if keep && value.is_string() {
                        value.clone()
                    } else {
                        again(value)
                    },
                )
            })
            .collect(),
        Value::Array(items) => items.iter().map(again).collect(),
        Value::String(_) => Value::String(name.to_owned()),
        Value::Number(_) => number.into(),
        Value::Bool(_) => swap.into(),
        Value::Null => Value::Null,
    }
}

/// Any entries, in any order, at any time.
pub fn any_entries() -> impl Strategy<Value = Vec<Recorded>> {
    let entry = (any_event(), any_text(), any::<i32>(), any::<bool>(), any::<u64>());
    prop::collection::vec(entry, 0..25).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(event, scope, seconds, keep, sequence)| Recorded {
                sequence,
                run: scope.clone(),
                run_sequence: sequence,
                scope,
                part: event.part(),
                kind: event.kind().to_owned(),
                actor: event.actor().to_owned(),
                at: Timestamp::from_second(i64::from(seconds)).unwrap(),
                event: keep.then_some(event),
            })
            .collect()
    })
}

/// One of each kind that the incident does not have.
pub fn others() -> Vec<Recorded> {
    let text = |text: &str| text.to_owned();
    recorded(vec![
        (
            0.0,
            "",
            Event::Asked {
                name: text("region"),
                question: text("Which region?"),
                value: shown("eu-1"),
                by: maria(),
            },
        ),
        (1.0, "", Event::NotPresent),
        (
            2.0,
            "",
            Event::Arm {
                arm: text("cannot tell"),
                branch: text("Why?"),
                because: text("stuck is unknown"),
            },
        ),
        (
            3.0,
            "",
            Event::NotNeeded {
                name: text("restart"),
                because: text("no target is left"),
            },
        ),
        (
            4.0,
            "",
            Event::NotApproved {
                action: text("restart"),
                digest: text("ab"),
                because: text("too risky now"),
                by: Some(maria()),
            },
        ),
        (
            5.0,
            "",
            Event::Undone {
                action: text("restart"),
                ok: false,
                detail: text("connection refused"),
            },
        ),
        (
            6.0,
            "",
            Event::UndoScheduled {
                action: text("restart"),
                after_seconds: 600,
            },
        ),
        (
            7.0,
            "",
            Event::Ticked {
                name: text("unplug"),
                done: true,
                by: Some(maria()),
                note: text("rack 4"),
            },
        ),
        (
            8.0,
            "",
            Event::Each {
                element: text("web-1"),
                index: 1,
                of: 3,
                batch: 1,
            },
        ),
        (
            9.0,
            "",
            Event::Step {
                what: text("wait"),
                detail: text("until the queue is empty"),
            },
        ),
        (
            10.0,
            "",
            Event::Escalated {
                severity: Some(text("sev1")),
                because: text("the timebox ended"),
            },
        ),
        (
            11.0,
            "",
            Event::ChildStarted {
                runbook: text("disk_full"),
                scope: text("child"),
            },
        ),
        (
            12.0,
            "",
            Event::ChildEnded {
                runbook: text("disk_full"),
                scope: text("child"),
                outcome: text("resolved"),
            },
        ),
        (
            13.0,
            "",
            Event::Interrupted {
                because: text("Ctrl-C"),
                pending: vec![text("the undo of restart")],
            },
        ),
        (
            14.0,
            "",
            Event::AnchorFailed {
                place: text("file /mnt/anchors"),
                size: 12,
                because: text("Permission denied"),
            },
        ),
        (
            15.0,
            "",
            Event::KeyChanged {
                from: None,
                to: text("ops+00000000+AQ=="),
                by: maria(),
            },
        ),
        (
            15.5,
            "",
            Event::LogChanged {
                from: None,
                to: text("starr/ab").into(),
                by: maria(),
            },
        ),
        (
            16.0,
            "",
            Event::PayloadsErased {
                entries: vec![3, 4],
                because: text("retention"),
                by: maria(),
            },
        ),
        (
            16.2,
            "",
            Event::AlertAttached {
                alert: text("Alertmanager: PoolFull (group) fires"),
                acknowledged: None,
                by: maria(),
            },
        ),
        (
            16.5,
            "",
            Event::Bundled {
                digest: text("6b86b273"),
                bytes: 4096,
                by: maria(),
            },
        ),
        (
            17.0,
            "",
            Event::Overridden {
                reason: text("the shop is down"),
                ticket: text("INC-4711"),
                by: maria(),
                second: maria(),
                digest: text("ab"),
                lasts_seconds: 1800,
            },
        ),
        (
            18.0,
            "",
            Event::NotCounted {
                action: text("mend"),
                digest: text("ab"),
                by: maria(),
                because: text("somebody else approves"),
            },
        ),
        (
            20.0,
            "",
            Event::LockTakenOver {
                target: text("postgres orders"),
                from: text("run 260814-0912-kolu jonas@laptop7"),
                by: maria(),
                because: text("it is asleep"),
            },
        ),
    ])
}
