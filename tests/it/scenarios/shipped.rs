//! The runbooks of this repository: their scenarios reach everything, hold with every fault, and notice when a runbook is changed.

use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn starr(words: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(root())
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap()
}

fn succeeds(words: &[&str]) -> String {
    let output = starr(words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{words:?}\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn the_scenarios_reach_everything() {
    let text = succeeds(&["test", "runbooks", "--coverage", "--min", "100"]);
    assert!(text.contains("coverage 100 %"), "{text}");
    for runbook in [
        "runbooks/host/slow-host.starr",
        "runbooks/sergas/cache-performance.starr",
        "runbooks/sergas/circuit-breaker-stuck-open.starr",
        "runbooks/sergas/db-pool-exhausted.starr",
        "runbooks/sergas/distributed-tracing.starr",
        "runbooks/sergas/high-error-rates.starr",
        "runbooks/sergas/kill-switch.starr",
        "runbooks/sergas/memory-leak.starr",
        "runbooks/sergas/slow-response-times.starr",
        "runbooks/sergas/starr-skeleton.starr",
        "runbooks/genericai/db-pool-exhaustion.starr",
        "runbooks/genericai/app-fails-to-start.starr",
        "runbooks/genericai/rollback.starr",
        "runbooks/genericai/ai-rate-limiting.starr",
        "runbooks/genericai/critical-system-failure.starr",
        "runbooks/genericai/triage.starr",
        "runbooks/aiwf/container-wont-start.starr",
        "runbooks/aiwf/port-conflicts.starr",
        "runbooks/aiwf/cert-validation-failures.starr",
        "runbooks/aiwf/database-recovery.starr",
        "runbooks/aiwf/force-cert-regeneration.starr",
        "runbooks/aiwf/mtls-handshake.starr",
    ] {
        assert!(text.contains(&format!("{runbook}\n  ok ")), "{runbook}\n{text}");
    }
}

/// The runbooks of which every scenario is taken when calls go wrong.
const WHOLE: [&str; 3] = [
    "runbooks/host/slow-host.starr",
    "runbooks/sergas/db-pool-exhausted.starr",
    "runbooks/genericai/db-pool-exhaustion.starr",
];

/// Every scenario file below `runbooks`, with the title of its first scenario, which is the incident as it should go.
fn first_scenarios() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root().join("runbooks")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            let Some(book) = name.strip_suffix(".scenarios.starr") else {
                continue;
            };
            let text = std::fs::read_to_string(&path).unwrap();
            let title = text.lines().find_map(|line| line.strip_prefix("scenario \"")).unwrap();
            found.push((format!("{book}.starr"), title.split('"').next().unwrap().to_owned()));
        }
    }
    assert!(found.len() > WHOLE.len(), "{found:?}");
    found
}

#[test]
fn no_fault_makes_a_runbook_report_what_is_not() {
    // Every call of every scenario in turn takes a quarter of an hour in a build without optimisation: of equal calls the first and the
    // last are taken, and of most runbooks the first scenario. `scripts/faults` builds with optimisation and takes all.
    for book in WHOLE {
        let text = succeeds(&["test", book, "--faults=ends"]);
        assert!(text.contains(", 0 broken"), "{text}");
    }
    for (book, title) in first_scenarios() {
        if !WHOLE.contains(&book.as_str()) {
            let text = succeeds(&["test", &book, "--faults=ends", "--filter", &title]);
            assert!(text.contains(", 0 broken") && !text.contains(" 0 faults"), "{text}");
        }
    }
}

#[test]
fn the_examples_of_the_library_are_tests_too() {
    let text = succeeds(&["test", "stdlib", "--generate", "20"]);
    assert!(text.contains("stuck_sessions: six"), "{text}");
    assert!(text.contains("0 failed"), "{text}");
}

#[test]
fn a_mutated_runbook_is_noticed() {
    // A sample of what `scripts/mutate` does to all of them.
    for (from, to) in [
        ("refuse  above 50 sessions", "refuse  above 51 sessions"),
        (
            "goal not turned_away_now and not pool_full",
            "goal not turned_away_now or not pool_full",
        ),
        ("resolved when goal for steady_for", "resolved when goal"),
        ("above: Ratio = 90 %", "above: Ratio = 89 %"),
        ("failed       -> undo, next cause", "failed       -> next cause"),
        ("wider > pool_size", "wider >= pool_size"),
        ("sev1 when turned_away_now", "sev1 when pool_full"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for name in ["db-pool-exhausted.starr", "db-pool-exhausted.scenarios.starr"] {
            let text = std::fs::read_to_string(root().join("runbooks/sergas").join(name)).unwrap();
            let text = if name.contains("scenarios") {
                text
            } else {
                text.replacen(from, to, 1)
            };
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let output = starr(&["test", folder.path().to_str().unwrap()]);
        assert_ne!(
            output.status.code(),
            Some(0),
            "{from} → {to} was not noticed\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn a_field_whose_name_begins_like_a_clause_is_no_clause_for_mutants() {
    let folder = tempfile::tempdir().unwrap();
    let book = folder.path().join("book.starr");
    let text = "record Override {\n  approvedBy: Text,\n  verifyAfter: Duration,\n}\n\
                runbook r \"R\" {\n  action a \"A\" {\n    approve by oncall\n    verify  ok within 1 min\n  }\n}\n";
    std::fs::write(&book, text).unwrap();
    let listed = std::process::Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/mutate"))
        .args(["--list", &book.display().to_string()])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let of = |kind: &str| listed.lines().filter(|line| line.contains(kind)).collect::<Vec<_>>();
    let place = book.display();
    assert_eq!(
        of("approval dropped"),
        [format!("{place}:7: approval dropped: dropped")],
        "{listed}"
    );
    assert_eq!(
        of("verify dropped"),
        [format!("{place}:8: verify dropped: always true")],
        "{listed}"
    );
}
