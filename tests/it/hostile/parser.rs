//! A-PR: hostile files through every command that reads one: a positioned error, quickly, in little memory, never a crash.

use super::{Desk, book, every_command_says_where, starr, text};
use std::time::{Duration, Instant};

#[test]
fn a_pr_1_ten_thousand_brackets() {
    every_command_says_where("parentheses", book(&"(".repeat(10_000)).as_bytes());
    every_command_says_where(
        "closed",
        book(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))).as_bytes(),
    );
    every_command_says_where("lists", book(&"[".repeat(10_000)).as_bytes());
    every_command_says_where("braces", book(&"{".repeat(10_000)).as_bytes());
}

#[test]
fn a_pr_1_ten_thousand_operators() {
    every_command_says_where("chain", book(&vec!["1"; 10_000].join(" + ")).as_bytes());
    every_command_says_where("nots", book(&format!("{}true", "not ".repeat(10_000))).as_bytes());
    every_command_says_where("dots", book(&format!("x{}", ".a".repeat(10_000))).as_bytes());
}

#[test]
fn two_mebibytes() {
    let mut text = book("1");
    while text.len() < 2 * 1024 * 1024 {
        text.push_str("# a comment that goes on and on\n");
    }
    every_command_says_where("large", text.as_bytes());
}

#[test]
fn random_bytes() {
    // A fixed sequence, so that a failure can be looked at again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes: Vec<u8> = (0..64 * 1024)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    every_command_says_where("random", &bytes);
}

#[test]
fn invalid_utf8() {
    let mut bytes = book("\"caf").into_bytes();
    let at = bytes.len() - 4;
    bytes.splice(at..at, [0xe9, b'"']);
    every_command_says_where("latin1", &bytes);
}

#[test]
fn an_empty_file_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.starr"), "").unwrap();
    let (output, _) = starr(folder.path(), &["run", "--unattended"], "empty.starr");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no runbook"));
    let (output, _) = starr(folder.path(), &["run", "--unattended"], ".");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a file"));
    let (output, _) = starr(folder.path(), &["run", "--unattended"], "missing.starr");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.starr"));
}

#[test]
fn a_pr_2_aliases_are_refused_at_once() {
    let mut bomb = String::from("environments:\n  x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..9 {
        let before = vec![format!("*x{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("  x{level}: &x{level} [{before}]\n"));
    }
    let fastest = (0..5)
        .map(|_| {
            let begin = Instant::now();
            let refusal = starr::config::parse(&bomb).unwrap_err();
            assert!(refusal.message.len() < 1000, "{refusal}");
            begin.elapsed()
        })
        .min()
        .unwrap();
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");

    let desk = Desk::new();
    desk.write("starr.yaml", &bomb);
    desk.write("calm.starr", &book("1"));
    for words in [&["check"][..], &["run", "--unattended"], &["plan"], &["render"]] {
        let mut all = words.to_vec();
        all.extend(["calm.starr", "--config", "starr.yaml"]);
        let output = desk.starr(&all);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output));
        assert!(text(&output).contains("starr.yaml:2:"), "{words:?}: {}", text(&output));
    }
    // A document of a provider has no aliases at all: what looks like one is text.
    assert!(serde_json::from_str::<serde_json::Value>("{\"a\": &x [1], \"b\": *x}").is_err());
}

#[test]
fn a_pr_3_a_pattern_takes_linear_time_and_little_memory() {
    every_command_says_where("compiled", book("\"a\" matches `((a{1000}){1000}){1000}`").as_bytes());
    let desk = Desk::new();
    let time = |count: usize| {
        let letters = "a".repeat(count);
        desk.write(
            "linear.starr",
            &format!(
                "runbook linear() \"Linear\" {{\n  timebox 5 min then stop \"too long\"\n  situation {{\n    symptom odd \"Is it odd?\" {{\n      yes when \"{letters}!\" matches `^(a+)+$`\n    }}\n  }}\n  task {{ goal not odd }}\n}}\n"
            ),
        );
        let (output, took) = starr(desk.path(), &["run", "--unattended"], "linear.starr");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains("NOT PRESENT"), "{}", text(&output));
        took
    };
    // Back-tracking would take longer than the universe is old; what is measured here is that it ends at all, and soon.
    assert!(time(50_000) < Duration::from_secs(20));
}

#[test]
fn a_pr_4_what_stands_twice_or_is_misspelt_is_refused_with_a_suggestion() {
    let whole = |action: &str, more: &str| {
        format!(
            "runbook twice() \"Twice\" {{\n  timebox 5 min then stop \"too long\"\n  changes host.units\n  situation {{\n    symptom odd \"Is it odd?\" observed\n  }}\n  task {{ goal not odd }}\n  action restart \"Restart it\" {{\n{action}  }}\n{more}}}\n"
        )
    };
    let good = "    risk low\n    approve by operator within 5 min\n    do host.units.restart(\"x.service\")\n    undo none because \"it starts\"\n    verify not odd within 1 min\n    failed -> stop \"no\"\n";
    let cases = [
        (
            "key",
            whole(&good.replace("    risk low\n", "    risk low\n    risk high\n"), ""),
            "duplicate-clause",
        ),
        (
            "name",
            whole(good, "  check odd \"Is it?\" observed\n"),
            "duplicate-name",
        ),
        ("typo", whole(&good.replace("approve by", "aprove by"), ""), "approve"),
        (
            "call",
            whole(&good.replace("units.restart", "units.restrat"), ""),
            "restart",
        ),
    ];
    for (name, content, expected) in cases {
        every_command_says_where(name, content.as_bytes());
        let desk = Desk::new();
        desk.write("x.starr", &content);
        let said = text(&desk.starr(&["check", "x.starr"]));
        assert!(said.contains(expected), "{name}: {said}");
    }
    let config = |grant: &str| starr::config::parse(&format!("environments:\n  a:\n    grants:\n      - {grant}\n"));
    let typo = config("{ capabilty: host, effects: [read], all: true }").unwrap_err();
    assert!(
        typo.message.starts_with("4:") && typo.message.contains("expected one of capability, effects"),
        "{typo}"
    );
    let twice = config("{ capability: host, capability: http, effects: [read], all: true }").unwrap_err();
    assert!(
        twice.message.starts_with("4:") && twice.message.contains("capability"),
        "{twice}"
    );
}
