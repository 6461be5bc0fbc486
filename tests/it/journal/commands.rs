//! `starr journal …` from outside.

use super::log::Log;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn starr(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn good(folder: &Path, words: &[&str]) -> String {
    let output = starr(folder, words);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{words:?}: {}{}",
        out(&output),
        err(&output)
    );
    out(&output)
}

const CALM: &str = "runbook calm \"All is calm\" {
  timebox 5 min then stop \"it took too long\"
  reads   host

  situation {
    symptom strange \"Is the number of processors below one?\" {
      read load = host.load()
      yes when load.cpus < 1
    }
  }

  task {
    goal not strange
  }
}
";

/// From the first key to an export that another machine verifies: everything that somebody would type.
#[test]
fn a_journal_is_signed_anchored_exported_rotated_erased_and_copied() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let key = good(
        folder,
        &["journal", "key", "first.key", "--name", "ops.example/journal"],
    );
    assert!(key.starts_with("ops.example/journal+"), "{key}");
    assert_eq!(
        std::fs::metadata(folder.join("first.key"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(good(folder, &["journal", "key", "first.key", "--show"]), key);
    assert_eq!(
        starr(folder, &["journal", "key", "first.key"]).status.code(),
        Some(5),
        "it is not written over"
    );

    std::fs::write(folder.join("calm.starr"), CALM).unwrap();
    let config = |key: &str| {
        let text = format!(
            "environments:\n  local:\n    journal:\n      path: {0}/journal.db\n      signing_key: {0}/{key}\n      anchors:\n        \
             - stdout\n        - file: {0}/anchors\n    grants:\n      - {{ capability: host, effects: [read], all: true }}\n",
            folder.display()
        );
        std::fs::write(folder.join("starr.yaml"), text).unwrap();
    };
    config("first.key");
    let with = |words: &[&str]| -> Vec<String> {
        ["--config", "starr.yaml"]
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned())
            .collect()
    };
    let run = |words: &[&str]| {
        let words = with(words);
        starr(folder, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let ok = |words: &[&str]| {
        let output = run(words);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}{}",
            out(&output),
            err(&output)
        );
        out(&output)
    };
    let ran = ok(&["run", "calm.starr", "--unattended"]);
    assert!(ran.contains("anchor: starr/"), "the line for the ticket: {ran}");
    let anchors = std::fs::read_to_string(folder.join("anchors")).unwrap();
    assert!(anchors.lines().count() >= 2, "{anchors}");

    let policy = format!(
        "key {key}anchor file {}/anchors\nrequire anchored\ntail-at-most 0\n",
        folder.display()
    );
    std::fs::write(folder.join("policy"), &policy).unwrap();
    let verified = ok(&["journal", "verify", "--policy", "policy"]);
    assert!(verified.starts_with("anchored ("), "{verified}");
    assert!(verified.contains("The unprotected tail has 0 entries"), "{verified}");
    // Without the policy nobody is believed, and more than intact is not reached.
    let plain = run(&["journal", "verify"]);
    assert!(
        plain.status.success() && out(&plain).starts_with("intact: "),
        "{}",
        out(&plain)
    );
    let more = run(&["journal", "verify", "--require", "signed"]);
    assert_eq!(more.status.code(), Some(1));
    assert!(
        out(&more).contains("Not enough: signed is required, intact was reached."),
        "{}",
        out(&more)
    );
    // The line of the ticket is an anchor.
    let line = anchors.lines().last().unwrap();
    let ticket = ok(&["journal", "verify", "--anchor", line, "--require", "anchored"]);
    assert!(ticket.starts_with("anchored ("), "{ticket}");
    let wrong = line.replace(&line[line.len() - 4..], "0000");
    assert_eq!(run(&["journal", "verify", "--anchor", &wrong]).status.code(), Some(1));

    // Exported, and verified elsewhere by both.
    ok(&["journal", "export", "evidence"]);
    let elsewhere = good(folder, &["journal", "verify", "evidence", "--policy", "policy"]);
    assert!(elsewhere.starts_with("anchored ("), "{elsewhere}");
    let second = super::second::verify(
        &[folder.join("evidence"), folder.join("journal.db")],
        &folder.join("policy"),
    );
    assert!(
        second
            .iter()
            .all(|result| result["level"] == "anchored" && result["missing"].is_null()),
        "{second:?}"
    );
    assert_eq!(
        run(&["journal", "export", "evidence"]).status.code(),
        Some(2),
        "it is not written over"
    );

    // The key changes: the log names both, and the checkpoint is signed by both.
    let next = good(
        folder,
        &["journal", "key", "second.key", "--name", "ops.example/journal"],
    );
    let rotated = ok(&["journal", "rotate", "second.key"]);
    assert!(
        rotated.contains(next.trim()) && rotated.contains("is signed by both"),
        "{rotated}"
    );
    config("second.key");
    let signed = ok(&["journal", "checkpoint"]);
    assert_eq!(signed.matches("\n\u{2014} ops.example/journal ").count(), 1, "{signed}");
    let anchored: Value = serde_json::from_str(&ok(&["--json", "journal", "anchor"])).unwrap();
    assert_eq!(anchored["failed"], serde_json::json!([]));
    std::fs::write(folder.join("policy"), format!("key {next}{policy}")).unwrap();
    let verified: Value = serde_json::from_str(&ok(&["--json", "journal", "verify", "--policy", "policy"])).unwrap();
    assert_eq!(
        (
            verified["level"].as_str(),
            verified["reach"]["keys"].as_object().unwrap().len()
        ),
        (Some("anchored"), 2)
    );
    let named = ok(&["show", "latest"]);
    assert!(named.contains("the journal's key is ops.example/journal+"), "{named}");

    // The record goes on in another journal, and each of the two names the other.
    let renewed: Value = serde_json::from_str(&ok(&["--json", "journal", "rotate", "--log", "next.db"])).unwrap();
    let (next_log, end) = (renewed["log"].as_str().unwrap(), renewed["end"].as_str().unwrap());
    assert_eq!(
        run(&["journal", "rotate", "--log", "next.db"]).status.code(),
        Some(2),
        "it is not written over"
    );
    let old = ok(&["journal", "verify", "--policy", "policy", "--anchor", end]);
    assert!(
        old.contains(&format!("the record goes on in the log {next_log}")),
        "{old}"
    );
    assert!(old.contains("The unprotected tail has 0 entries"), "{old}");
    let new = ok(&["journal", "verify", "next.db"]);
    assert!(new.contains(&format!("verified with --anchor '{end}'")), "{new}");
    std::fs::write(folder.join("next.policy"), format!("log {next_log}\n")).unwrap();
    ok(&["journal", "verify", "next.db", "--policy", "next.policy"]);
    let mistaken = run(&["journal", "verify", "journal.db", "--policy", "next.policy"]);
    assert!(
        mistaken.status.code() == Some(1) && out(&mistaken).contains(&format!("and {next_log} is meant")),
        "{}",
        out(&mistaken)
    );
    // Whoever rewrites the old journal's end contradicts what the new one says.
    let (start, root) = end.rsplit_once(' ').unwrap();
    let other = format!("{start} {}", root.chars().rev().collect::<String>());
    assert_eq!(run(&["journal", "verify", "--anchor", &other]).status.code(), Some(1));

    // Payloads are taken away; the log says so and still verifies.
    let runs: Value = serde_json::from_str(&ok(&["--json", "runs"])).unwrap();
    let runs = runs.as_array().or_else(|| runs["runs"].as_array()).unwrap();
    let calm = runs.iter().find(|run| run["runbook"] == "calm").unwrap()["run"]
        .as_str()
        .unwrap();
    let erased = ok(&[
        "journal",
        "erase",
        "--run",
        calm,
        "--payloads",
        "--reason",
        "request 4711",
    ]);
    assert!(erased.contains("payloads erased; entry"), "{erased}");
    let shown = ok(&["show", calm]);
    assert!(
        shown.contains("payloads erased by") && shown.contains("request 4711"),
        "{shown}"
    );
    assert!(ok(&["journal", "verify"]).contains("payloads were erased, as the log says"));
    assert_eq!(
        run(&["journal", "erase", "--run", calm, "--payloads", "--reason", " "])
            .status
            .code(),
        Some(2)
    );
    assert!(
        ok(&[
            "journal",
            "erase",
            "--older-than",
            "1",
            "--payloads",
            "--reason",
            "retention"
        ])
        .contains("nothing to erase")
    );

    ok(&["journal", "anchor"]);
    let copied = ok(&["journal", "backup", "copy.db"]);
    assert!(copied.contains("the copy is intact"), "{copied}");
    ok(&[
        "journal",
        "verify",
        "copy.db",
        "--policy",
        "policy",
        "--require",
        "signed",
    ]);

    // A key that others can read is not used, and nothing runs.
    std::fs::set_permissions(folder.join("second.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = run(&["run", "calm.starr", "--unattended"]);
    assert_eq!(refused.status.code(), Some(5));
    assert!(
        err(&refused).contains("others can read or write it (mode 0644)"),
        "{}",
        err(&refused)
    );
}

#[test]
fn mistakes_are_said_and_nothing_is_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("policy"), "key nonsense\n").unwrap();
    std::fs::write(folder.join("export"), "{\"something\":1}\n").unwrap();
    for (words, text) in [
        (&["journal", "verify"][..], "there is no journal at"),
        (
            &["journal", "verify", "--policy", "policy"],
            "the policy policy cannot be used: line 1:",
        ),
        (
            &["journal", "verify", "--policy", "gone"],
            "the policy gone cannot be used: No such file",
        ),
        (&["journal", "verify", "--require", "best"], "`best` is not a level"),
        (&["journal", "verify", "--anchor", "x"], "is not an anchor line"),
        (&["journal", "verify", "export"], "is not an export that can be read"),
        (&["journal", "verify", "gone"], "cannot read gone"),
        (&["journal", "key"], "required"),
        (&["journal", "erase", "--run", "x", "--reason", "y"], "--payloads"),
    ] {
        let output = starr(folder, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", err(&output));
        assert!(err(&output).contains(text), "{words:?}: {}", err(&output));
    }
}

/// The whole of a witnessed journal, as the command sees it.
#[tokio::test]
async fn witnesses_are_believed_and_asked() {
    let log = Log::new().await;
    let folder = log.folder.path();
    let policy = folder.join("policy");
    std::fs::write(&policy, &log.policies()[3].1).unwrap();
    let store = log.store();
    let words = [
        "journal",
        "verify",
        store.to_str().unwrap(),
        "--policy",
        policy.to_str().unwrap(),
    ];
    let verified = good(folder, &words);
    assert!(
        verified.starts_with("witnessed (1 of 1, 12): 14 entries of 3 runs"),
        "{verified}"
    );
    assert!(
        verified.ends_with("The unprotected tail: 2 entries rest on this file alone.\n"),
        "{verified}"
    );
    let asked = [&words[..], &["--ask-witnesses"]].concat();
    good(folder, &asked);
    // The tail is cut at a checkpoint that is witnessed itself: only asking shows it.
    let mut forged = super::forge::Forged::read(&store).await;
    forged.items.truncate(8);
    forged.notes.remove(&12);
    forged.write(&store, true).await;
    good(folder, &words);
    let output = starr(folder, &asked);
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(
        out(&output).contains("12 entries were witnessed, and 8 are here"),
        "{}",
        out(&output)
    );
}
