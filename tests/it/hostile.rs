//! Hostile files through every command that reads one: a positioned error, quickly, in little memory, never a crash.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The limits of the promise: 2 seconds, of the processor so that a busy machine proves nothing, and 256 MiB.
const SECONDS: u64 = 2;
/// Whatever else the machine does, nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(30);
const BYTES: u64 = 256 * 1024 * 1024;

const COMMANDS: &[&[&str]] = &[&["check"], &["fmt"], &["render"], &["run", "--unattended"], &["plan"]];

fn book(step: &str) -> String {
    format!("runbook hostile() \"Hostile\" {{\n  timebox 5 min then escalate\n  let x = {step}\n}}\n")
}

/// Runs a command on a file under an address-space limit, in a home of its own.
fn starr(folder: &Path, words: &[&str], file: &str) -> (Output, Duration) {
    let begin = Instant::now();
    let output = Command::new("prlimit")
        .args([format!("--as={BYTES}"), format!("--cpu={SECONDS}")])
        .arg(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .arg(file)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("prlimit is part of every Debian");
    (output, begin.elapsed())
}

fn every_command_says_where(name: &str, content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{name}.starr");
    std::fs::write(folder.path().join(&file), content).unwrap();
    for words in COMMANDS {
        let (output, took) = starr(folder.path(), words, &file);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let begin: String = text.chars().take(600).collect();
        let expected = if words[0] == "check" { 1 } else { 2 };
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{words:?} on {name}: {:?}\n{begin}",
            output.status
        );
        let place = text.match_indices(&format!("{file}:")).any(|(at, found)| {
            let rest = &text[at + found.len()..];
            let mut numbers = rest.split(|character: char| !character.is_ascii_digit());
            let line = numbers.next().is_some_and(|number| !number.is_empty());
            line && numbers.next().is_some_and(|number| !number.is_empty())
        });
        assert!(place, "{words:?} on {name} names no place:\n{begin}");
        assert!(took < PATIENCE, "{words:?} on {name} took {took:?}");
        assert!(text.len() < 64 * 1024, "{words:?} on {name} wrote {} bytes", text.len());
        let after = std::fs::read(folder.path().join(&file)).unwrap();
        assert!(after == content, "{words:?} on {name} changed the file");
    }
}

#[test]
fn ten_thousand_brackets() {
    every_command_says_where("parentheses", book(&"(".repeat(10_000)).as_bytes());
    every_command_says_where(
        "closed",
        book(&format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000))).as_bytes(),
    );
    every_command_says_where("lists", book(&"[".repeat(10_000)).as_bytes());
    every_command_says_where("braces", book(&"{".repeat(10_000)).as_bytes());
}

#[test]
fn ten_thousand_operators() {
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
fn a_direction_override_in_a_comment() {
    let text = book("1 # \u{202e}} nothing to see {");
    every_command_says_where("bidi", text.as_bytes());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bidi.starr"), &text).unwrap();
    let (output, _) = starr(folder.path(), &["check"], "bidi.starr");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("hidden-text") && said.contains("202e"), "{said}");
    assert!(!said.contains('\u{202e}'), "the override itself is shown");
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
