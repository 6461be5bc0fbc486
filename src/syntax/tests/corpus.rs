//! The files below `tests/language`.

use super::{check_form, parse};
use crate::source::Sources;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/language")
        .join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder:?} is empty");
    files
}

#[test]
fn valid_files_have_no_findings_and_are_in_canonical_form() {
    for path in files("valid", ".starr") {
        let text = std::fs::read_to_string(&path).unwrap();
        let form = check_form(&text);
        assert_eq!(form, text, "{path:?} is not in canonical form");
    }
}

#[test]
fn messy_files_become_their_canonical_form() {
    for path in files("format", ".formatted.starr") {
        let source = path.to_string_lossy().replace(".formatted.starr", ".starr");
        let form = check_form(&std::fs::read_to_string(source).unwrap());
        assert_eq!(form, std::fs::read_to_string(&path).unwrap(), "{path:?}");
    }
}

#[test]
fn the_standard_library_keeps_its_tree_when_formatted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        check_form(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

/// Every finding of a file, one a line: place, underlined text, rule, message; then its help.
fn findings(text: &str) -> String {
    let mut sources = Sources::default();
    let loaded = crate::syntax::load(&mut sources, "test", None, text.as_bytes().to_vec());
    let mut out = String::new();
    for found in &loaded.diagnostics {
        let (line, column) = sources.line_column(found.span);
        let under = sources.text(found.span).replace('\n', "⏎");
        writeln!(out, "{line}:{column} ‹{under}› {}: {}", found.rule, found.message).unwrap();
        if !found.label.is_empty() {
            writeln!(out, "    | {}", found.label).unwrap();
        }
        for label in &found.labels {
            let (line, column) = sources.line_column(label.span);
            writeln!(
                out,
                "    | {line}:{column} ‹{}› {}",
                sources.text(label.span),
                label.text
            )
            .unwrap();
        }
        if let Some(help) = &found.help {
            writeln!(out, "    = {help}").unwrap();
        }
    }
    out
}

/// Beside each file stands `NAME.expected`. After a change of messages, `STARR_ACCEPT=1 cargo test` writes them anew, to be read.
#[test]
fn invalid_files_have_exactly_the_expected_findings() {
    let mut wrong = String::new();
    for path in files("invalid", ".starr") {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = findings(&text);
        let expected = path.with_extension("expected");
        if std::env::var_os("STARR_ACCEPT").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        if found != wanted || found.is_empty() {
            writeln!(wrong, "{path:?}: found\n{found}expected\n{wanted}").unwrap();
        }
        // A file says in its first line how many mistakes it holds: one finding for each, none that follows from another.
        let first = text.lines().next().unwrap_or_default();
        if let Some(count) = first.strip_prefix("# mistakes: ") {
            let count: usize = count.parse().unwrap();
            let findings = parse(crate::source::FileId(0), &text).diagnostics.len();
            if findings != count {
                writeln!(wrong, "{path:?}: {findings} findings, {count} mistakes\n{found}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
