//! A recording of a real incident: it goes the same way again with no server present, and says where another runbook would part.

use crate::incident::{BOOK, Desk, STUCK, on_a_thread, pids, text};
use crate::support::postgres::{Server, leave_open};
use crate::support::terminal::Terminal;
use std::path::Path;
use std::process::{Command, Output};

/// starr in a folder of its own that knows nothing: no configuration, no journal, no server.
fn elsewhere(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// Writes the incident down, answered as the words say; the server is gone afterwards.
async fn recorded(approve: &'static str, exit: i32) -> (Desk, String) {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let command = desk.run(&["--record", "tape"]);
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Type yes, no or unknown");
        terminal.answer("yes");
        terminal.wait_for("a note");
        terminal.answer("three tickets since 02:40");
        terminal.wait_for("Approve?");
        terminal.answer(approve);
        if approve == "no" {
            terminal.wait_for("Why not?");
            terminal.answer("a migration is running");
        }
        terminal.wait_for("Which signal could have told us earlier?");
        terminal.wait_for("may be empty");
        terminal.answer("the age of the oldest transaction");
        assert_eq!(terminal.end(), exit, "{}", terminal.seen);
    })
    .await;
    if approve == "yes" {
        assert!(pids(&place, "shop").await.is_empty());
    }
    let report = desk.output(&["report", "--json"]);
    server.crash();
    (desk, report)
}

/// P21: the same path and the same report bytes, times aside, with no server present.
#[tokio::test]
async fn the_incident_goes_the_same_way_again_without_a_server() {
    let (desk, _) = recorded("yes", 0).await;
    let away = tempfile::tempdir().unwrap();
    let tape = away.path().join("tape");
    std::fs::create_dir(&tape).unwrap();
    std::fs::copy(desk.path().join("tape/recording.jsonl"), tape.join("recording.jsonl")).unwrap();
    let folder = away.path().to_path_buf();
    let (people, json, again) = on_a_thread(move || {
        (
            elsewhere(&folder, &["replay", "tape", "--all", "--report", "report.md"]),
            elsewhere(&folder, &["replay", "tape", "--json"]),
            elsewhere(&folder, &["replay", "tape", BOOK]),
        )
    })
    .await;
    let said = text(&people);
    assert_eq!(people.status.code(), Some(0), "{said}");
    assert!(
        said.contains("the same way and the same report, times aside: resolved"),
        "{said}"
    );
    assert!(said.contains("cause abandoned: Sessions were left open"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["same_way"], true, "{json}");
    assert_eq!(json["same_report"], true, "{json}");
    assert_eq!(json["not_recorded"], serde_json::json!([]));
    assert_eq!(json["no_longer_asked"], serde_json::json!([]));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(
        text(&again).contains("it goes the same way: resolved"),
        "{}",
        text(&again)
    );

    // The report of the journal and that of the replay differ in nothing but times and what the journal vouches for.
    let written = std::fs::read_to_string(away.path().join("report.md")).unwrap();
    for words in [
        "three tickets since 02:40",
        "End 14 sessions",
        "the age of the oldest transaction",
    ] {
        assert!(written.contains(words), "{words:?} is missing in\n{written}");
    }
    // What a secret held is in no recording: the statements of the sessions.
    let tape = std::fs::read_to_string(tape.join("recording.jsonl")).unwrap();
    assert!(!tape.to_lowercase().contains("begin;") && tape.contains(r#"{"secret":null}"#));
    assert!(!tape.contains("read-secret") && !tape.contains("change-secret"));
}

/// The scenario of a recording passes as it stands, beside the runbook, and reads as if a person had written it.
#[tokio::test]
async fn a_recording_becomes_a_scenario_that_passes() {
    for (answer, exit, words) in [
        (
            "yes",
            0,
            [
                "-> 14 of {",
                "until end_stuck then none",
                "approve end_stuck as oncall",
                "changed  end_stuck",
                "outcome  resolved within 1 min",
            ],
        ),
        (
            "no",
            3,
            [
                "-> 14 of {",
                "refuse end_stuck as oncall",
                "because \"a migration is running\"",
                "changed  nothing",
                "outcome  refused within 1 min",
            ],
        ),
    ] {
        let (desk, _) = recorded(answer, exit).await;
        let away = tempfile::tempdir().unwrap();
        std::fs::copy(BOOK, away.path().join("pool.starr")).unwrap();
        let tape = desk.path().join("tape").display().to_string();
        let folder = away.path().to_path_buf();
        let (made, tested) = on_a_thread(move || {
            let made = elsewhere(&folder, &["scenario", &tape, "-o", "pool.scenarios.starr"]);
            (made, elsewhere(&folder, &["test", "pool.starr"]))
        })
        .await;
        let scenario = std::fs::read_to_string(away.path().join("pool.scenarios.starr")).unwrap_or_default();
        assert_eq!(made.status.code(), Some(0), "{}\n{scenario}", text(&made));
        assert_eq!(tested.status.code(), Some(0), "{}\n{scenario}", text(&tested));
        assert!(text(&tested).contains("1 test, 0 failed"), "{}", text(&tested));
        for word in words {
            assert!(scenario.contains(word), "{word:?} is missing in\n{scenario}");
        }
        assert!(scenario.lines().count() <= 40, "too long for a person:\n{scenario}");
        println!("{scenario}");
    }
}

#[tokio::test]
async fn another_runbook_on_the_same_incident_shows_where_it_parts() {
    let (desk, _) = recorded("no", 3).await;
    let book = std::fs::read_to_string(BOOK).unwrap();
    // More sessions are tolerated than there were: the cause is refuted, and the branch comes to its last arm.
    let tolerant = book.replace("yes when count > 5", "yes when count > 20");
    assert_ne!(book, tolerant);
    std::fs::write(desk.path().join("tolerant.starr"), tolerant).unwrap();
    let folder = desk.path().to_path_buf();
    let (same, other) = on_a_thread(move || {
        (
            elsewhere(&folder, &["replay", "tape"]),
            elsewhere(&folder, &["replay", "tape", "tolerant.starr"]),
        )
    })
    .await;
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    assert!(text(&same).contains("times aside: refused"), "{}", text(&same));
    let said = text(&other);
    assert_eq!(other.status.code(), Some(1), "{said}");
    for words in [
        "then  cause abandoned: Sessions were left open",
        "now   otherwise of \"What holds the connections?\"",
        "it goes another way",
    ] {
        assert!(said.contains(words), "{words:?} is missing in\n{said}");
    }
}
