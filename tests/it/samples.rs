//! What the README and the pages of `docs` show is true: programs are checked, configurations are read, command lines are parsed.
//!
//! The page of limits says what the code does. The pages of the rules have a test of their own, since half of their samples are wrong on purpose.

use crate::support::samples::{Fence, Sample, fences, findings};
use clap::Parser;
use starr::cli::args::Cli;
use starr::diagnostic::Level;
use starr::source::FileId;
use std::fs;
use std::path::Path;

/// A page by its path below the root, and its fenced blocks.
struct Page {
    name: String,
    fences: Vec<Fence>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages of a folder, as paths below the root.
fn pages_of(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("the pages are there");
    let names = entries.map(|entry| entry.expect("a page").file_name().into_string().expect("a plain name"));
    let pages = names.filter(|name| name.ends_with(".md"));
    pages.map(|name| format!("{folder}/{name}")).collect()
}

fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    names.extend(
        ["docs", "docs/language", "docs/providers"]
            .into_iter()
            .flat_map(pages_of),
    );
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(root().join(&name)).expect("a page can be read");
            let fences = fences(&name, &text);
            Page { name, fences }
        })
        .collect()
}

/// Calls `check` for each block of a language, which adds what is wrong; fails when there are fewer than `least` blocks.
fn each_block(language: &str, least: usize, check: impl Fn(&Page, &Fence, &mut Vec<String>)) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for fence in page.fences.iter().filter(|fence| fence.language() == language) {
            seen += 1;
            check(&page, fence, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen >= least, "only {seen} blocks of {language} were found");
}

/// Which things were real when a provider was tested is for whoever relies on it to know.
#[test]
fn every_providers_page_says_what_was_tested_and_what_was_not() {
    let mut pages = 0;
    for page in pages_of("docs/providers") {
        let text = fs::read_to_string(root().join(&page)).expect("a page can be read");
        if page.ends_with("README.md") {
            continue;
        }
        let (_, said) = text
            .split_once("## What was tested")
            .unwrap_or_else(|| panic!("{page} does not say what was tested"));
        assert!(
            ["Not tested", "Never tried"].iter().any(|words| said.contains(words)),
            "{page} does not say what was not tested"
        );
        pages += 1;
    }
    assert!(pages > 20, "{pages}");
}

#[test]
fn every_program_is_free_of_errors() {
    each_block("starr", 12, |page, fence, wrong| {
        let sample = Sample::new(&page.name, fence);
        let found = findings(&sample.text);
        let errors = found.iter().filter(|finding| finding.level == Level::Error);
        wrong.extend(errors.map(|finding| sample.describe(finding)));
    });
}

#[test]
fn every_whole_file_is_in_canonical_form() {
    each_block("starr", 12, |page, fence, wrong| {
        if !fence.is_whole() {
            return;
        }
        let parsed = starr::syntax::parse(FileId(0), &fence.body);
        // The formatter takes no file with syntax errors; those are the other test's.
        if parsed.diagnostics.iter().any(|finding| finding.level == Level::Error) {
            return;
        }
        let formatted = starr::syntax::format(&parsed.file, &fence.body);
        if formatted != fence.body {
            wrong.push(format!("{}:{}: should be\n{formatted}", page.name, fence.line));
        }
    });
}

#[test]
fn every_configuration_is_read() {
    each_block("yaml", 2, |page, fence, wrong| {
        let whole = fence.body.lines().any(|line| line == "environments:");
        let text = if whole {
            fence.body.clone()
        } else {
            let indented: String = fence.body.lines().map(|line| format!("    {line}\n")).collect();
            format!("environments:\n  sample:\n{indented}")
        };
        if let Err(problem) = starr::config::parse(&text) {
            wrong.push(format!("{}:{}: {problem}", page.name, fence.line));
        }
    });
}

#[test]
fn every_command_line_is_understood() {
    each_block("sh", 3, |page, fence, wrong| {
        for (number, line) in fence.body.lines().enumerate() {
            let place = format!("{}:{}", page.name, fence.line + number);
            // Behind `#` a shell reads nothing.
            let line = line.split(" #").next().unwrap_or_default().trim();
            let arguments = line
                .strip_prefix("starr ")
                .or_else(|| line.strip_prefix("cargo run -- "));
            if let Some(arguments) = arguments {
                let words = std::iter::once("starr").chain(arguments.split_whitespace());
                if let Err(problem) = Cli::try_parse_from(words) {
                    wrong.push(format!("{place}: {problem}"));
                }
            }
            // Programs and runbooks of this repository that a reader is told to start.
            for word in line.split_whitespace() {
                let ours = ["scripts/", "runbooks/"].iter().any(|folder| word.starts_with(folder));
                if ours && !root().join(word).exists() {
                    wrong.push(format!("{place}: there is no {word}"));
                }
            }
        }
    });
}

#[test]
fn the_page_of_limits_says_what_the_code_does() {
    use starr::{engine::limits as engine, eval::limits as eval, syntax::limits as syntax};
    let page = fs::read_to_string(root().join("docs/language/limits.md")).expect("the page can be read");
    let rows = [
        ("a file, and every module it uses", size(syntax::FILE_BYTES)),
        ("nesting of braces", count(syntax::BLOCK_DEPTH)),
        ("nesting of brackets and parentheses", count(syntax::BRACKET_DEPTH)),
        (
            "depth of one expression, chains of operators included",
            count(syntax::EXPRESSION_DEPTH),
        ),
        ("syntax errors shown for one file", count(syntax::ERRORS)),
        (
            "elements of a list that an operation works on",
            count(eval::LIST_ELEMENTS),
        ),
        (
            "samples of series that an operation puts together",
            count(eval::SERIES_SAMPLES),
        ),
        ("a text in which `contains` and `matches` look", size(eval::TEXT_BYTES)),
        ("a pattern that is compiled during a run", size(eval::PATTERN_BYTES)),
        ("a text with values filled in", size(eval::FILLED_BYTES)),
        (
            "comparisons shown as the evidence of one answer",
            count(eval::EVIDENCE.min(engine::EVIDENCE)),
        ),
        ("called runbooks", format!("{} deep", engine::DEPTH - 1)),
        (
            "steps begun, loops and called runbooks included",
            count(usize::try_from(engine::STEPS).expect("a small number")),
        ),
        ("elements of an `each`, whatever `at most` says", count(engine::EACH)),
        (
            "elements of `any f(each xs)` and `all f(each xs)`, and calls with `each`",
            count(engine::FAN_OUT),
        ),
        ("questions that are asked at the same time", count(engine::CONCURRENT)),
        (
            "retries where one unknown answer stands in the way of a cause",
            engine::RETRIES.to_string(),
        ),
        ("questions that `run.evidence` lists", count(engine::EVIDENCE_LINES)),
        (
            "between two looks of `verify`, `wait until`, the goal and `resolved`",
            format!("{} s", engine::EVERY.as_secs()),
        ),
        (
            "what the goal and `resolved` may take to settle, beyond their longest `for`",
            format!("{} min", engine::SETTLING.as_secs() / 60),
        ),
        (
            "a person: `observed`, `ask`, `approve`, `manual`, an unclear effect, the reflection",
            format!("{} min", engine::PERSON.as_secs() / 60),
        ),
    ];
    let wrong: Vec<String> = rows
        .into_iter()
        .map(|(what, limit)| format!("| {what} | {limit}"))
        .filter(|row| {
            // More words may follow a limit, more digits may not.
            !page
                .lines()
                .any(|line| line.strip_prefix(row).is_some_and(|rest| rest.starts_with([' ', ';'])))
        })
        .collect();
    assert!(wrong.is_empty(), "missing:\n{}", wrong.join("\n"));
}

/// `10,000`
fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `64 KiB`
fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes.is_multiple_of(1024 * 1024) => format!("{} MiB", bytes / 1024 / 1024),
        bytes => format!("{} KiB", bytes / 1024),
    }
}
