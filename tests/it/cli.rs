//! The command line from outside: help, exit codes, errors, and that nothing is written where it should not be.

use std::path::Path;
use std::process::{Command, Output};

fn starr(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(folder)
        .env_clear()
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

const GOOD: &str = "runbook calm \"All is calm\" {
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

#[test]
fn help_and_version_are_no_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["journal", "--help"],
        &["journal", "verify", "--help"],
    ] {
        let output = starr(folder.path(), words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert!(!out(&output).is_empty() && err(&output).is_empty(), "{words:?}");
    }
    let help = out(&starr(folder.path(), &["--help"]));
    for word in [
        "run",
        "plan",
        "check",
        "fmt",
        "explain",
        "providers",
        "render",
        "runs",
        "show",
        "report",
        "journal",
        "doctor",
        "Examples",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word} is missing in\n{help}");
    }
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    for (words, expected) in [
        (&["chekc"][..], "check"),
        (&["run"], "FILE"),
        (&["run", "missing.starr"], "missing.starr"),
        (&["run", "calm.starr", "--set", "x=1"], "no such parameter"),
        (&["run", "calm.starr", "--set", "x"], "NAME=VALUE"),
        (&["run", "calm.starr", "--answer", "x=yes"], "no `observed` question"),
        (&["run", "calm.starr", "--env", "moon"], "no environment `moon`"),
        (&["run", "calm.starr", "--config", "no.yaml"], "no.yaml"),
        (&["explain", "series-witout-for"], "series-without-for"),
        (&["providers", "moon"], "no provider `moon`"),
        (&["check", "nowhere"], "nowhere"),
        (&["show"], "no journal"),
        (&["report", "latest"], "no journal"),
        (&["journal", "verify"], "no journal"),
    ] {
        let output = starr(folder.path(), words);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{words:?}\n{}{}",
            out(&output),
            err(&output)
        );
        assert!(err(&output).contains(expected), "{words:?} says\n{}", err(&output));
        assert!(!err(&output).contains("panicked"), "{words:?}");
    }
    assert!(
        !folder.path().join(".local").exists(),
        "looking at a journal has made one"
    );
}

#[test]
fn a_run_without_trouble_ends_well_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    let output = starr(folder.path(), &["run", "calm.starr"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("NOT PRESENT"), "{}", out(&output));
    assert!(!out(&output).contains('\u{1b}'), "colours without a terminal");

    let runs = starr(folder.path(), &["runs", "--json"]);
    let runs: serde_json::Value = serde_json::from_str(&out(&runs)).unwrap();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    for words in [&["show"][..], &["report"], &["journal", "verify"]] {
        let output = starr(folder.path(), words);
        assert_eq!(output.status.code(), Some(0), "{words:?}\n{}", err(&output));
        assert!(!out(&output).is_empty(), "{words:?}");
    }
    let report = out(&starr(folder.path(), &["report", "latest"]));
    for heading in ["Situation", "Task", "Action", "Result", "Reflection"] {
        assert!(report.contains(heading), "{heading} is missing in\n{report}");
    }
}

#[test]
fn a_run_as_json_is_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    let output = starr(folder.path(), &["run", "calm.starr", "--json"]);
    let events: Vec<serde_json::Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert_eq!(events.first().unwrap()["event"], "run_started");
    assert!(
        events
            .iter()
            .any(|event| event["event"] == "ended" && event["outcome"] == "not present")
    );
}

#[test]
fn a_journal_that_cannot_be_written_is_exit_code_five() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    std::fs::write(
        folder.path().join("file"),
        "not a database, and long enough to be looked at as one".repeat(100),
    )
    .unwrap();
    let output = starr(folder.path(), &["run", "calm.starr", "--journal", "file"]);
    assert_eq!(output.status.code(), Some(5), "{}{}", out(&output), err(&output));
    assert!(err(&output).contains("file"), "{}", err(&output));
}

#[test]
fn a_configuration_beside_the_runbook_grants_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    std::fs::write(folder.path().join("starr.yaml"), "this: is not even a configuration\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(["run", "calm.starr"])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn formatting_in_place_and_as_a_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calm.starr");
    let ragged = GOOD.replace("  timebox 5 min", "      timebox   5 min");
    std::fs::write(&path, &ragged).unwrap();
    let output = starr(folder.path(), &["fmt", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("+  timebox"), "{}", out(&output));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), ragged);
    assert_eq!(starr(folder.path(), &["fmt"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), GOOD);
    assert_eq!(starr(folder.path(), &["fmt", "--check"]).status.code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn completions_and_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = starr(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(out(&output).contains("dry-run"), "{shell}");
    }
    let page = out(&starr(folder.path(), &["man"]));
    assert!(page.contains(".TH starr") && page.contains("dry\\-run"), "{page}");
}

#[test]
fn doctor_says_what_this_environment_can_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = starr(folder.path(), &["doctor", "--json"]);
    let lines: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let subjects: Vec<&str> = lines
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line["subject"].as_str())
        .collect();
    for subject in ["configuration", "operator", "journal"] {
        assert!(subjects.contains(&subject), "{subjects:?}");
    }
    assert!(
        subjects.iter().any(|subject| subject.starts_with("host")),
        "{subjects:?}"
    );
}

#[test]
fn every_rule_can_be_explained() {
    let folder = tempfile::tempdir().unwrap();
    let list = starr(folder.path(), &["explain", "--json"]);
    let rules: serde_json::Value = serde_json::from_str(&out(&list)).unwrap();
    let rules = rules.as_array().unwrap();
    assert!(rules.len() > 30);
    let first = rules[0]["rule"].as_str().unwrap();
    let page = starr(folder.path(), &["explain", first]);
    assert!(out(&page).contains("## Why"), "{}", out(&page));
}

#[test]
fn a_run_is_recorded_where_it_was_asked_for_and_never_over_another() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), GOOD).unwrap();
    let words = ["run", "calm.starr", "--record", "tape"];
    assert_eq!(starr(folder.path(), &words).status.code(), Some(0));
    let recorded = std::fs::read_to_string(folder.path().join("tape/recording.jsonl")).unwrap();
    assert!(recorded.contains("host.load"), "{recorded}");
    let again = starr(folder.path(), &words);
    assert_eq!(again.status.code(), Some(2), "{}", out(&again));
    assert!(err(&again).contains("tape/recording.jsonl"), "{}", err(&again));
}

const OBSERVED: &str = "runbook look \"Somebody has to look\" {
  timebox 5 min then stop \"it took too long\"

  situation {
    symptom complaints \"Does anybody complain?\" observed
    symptom seen \"Has the lead seen it?\" observed by lead
    severity {
      sev2 when complaints
      sev2 when cannot tell
      sev3 otherwise
    }
  }

  task {
    goal not complaints and not seen
  }
}
";

#[test]
fn an_answer_that_was_given_beforehand_counts_where_nobody_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("look.starr"), OBSERVED).unwrap();
    for unattended in [&[][..], &["--unattended"]] {
        for (said, answer) in [("yes", "complaints  yes"), ("no", "complaints  no")] {
            let given = format!("complaints={said}");
            let mut words = vec!["run", "look.starr", "--answer", &given];
            words.extend(unattended);
            let seen = out(&starr(folder.path(), &words));
            assert!(seen.contains(answer), "{answer:?} is missing in\n{seen}");
            assert!(!seen.contains("seen  no,") && !seen.contains("RESOLVED"), "{seen}");
            // Somebody else's answer is not the operator's to give.
            words.extend(["--answer", "seen=no"]);
            let refused = starr(folder.path(), &words);
            assert_eq!(refused.status.code(), Some(2), "{}", out(&refused));
            assert!(err(&refused).contains("asked of lead"), "{}", err(&refused));
            let report = out(&starr(folder.path(), &["report", "latest"]));
            assert!(report.contains("given on the command line"), "{report}");
        }
    }
    let seen = out(&starr(folder.path(), &["run", "look.starr"]));
    assert!(seen.contains("complaints  unknown"), "{seen}");
}
