//! What the README and the pages of `docs` show is true: programs are checked, configurations are read, command lines are parsed.
//!
//! The pages of the rules have a test of their own, since half of their samples are wrong on purpose.

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

fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/language", "docs/providers"] {
        for entry in fs::read_dir(root().join(folder)).expect("the pages are there") {
            let name = entry.expect("a page").file_name().into_string().expect("a plain name");
            if name.ends_with(".md") {
                names.push(format!("{folder}/{name}"));
            }
        }
    }
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
            let arguments = line.strip_prefix("starr ").or_else(|| line.strip_prefix("cargo run --quiet -- "));
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
