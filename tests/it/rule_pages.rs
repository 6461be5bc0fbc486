//! The pages of the rules are their tests: samples under *Avoid* yield the rule, samples under *Prefer* do not.

use crate::support::samples::{Sample, fences, findings};
use starr::check::rules::{RULES, Rule};
use starr::check::{self, Context, fix};
use starr::diagnostic::{Diagnostic, Level};
use starr::source::FileId;
use std::fs;
use std::path::{Path, PathBuf};

/// Rules whose samples a page cannot hold, since they are about bytes or several files; [`files_that_no_page_can_show`] tests them.
const NOT_ON_A_PAGE: [&str; 3] = ["file-size", "encoding", "import-cycle"];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules")
}

fn samples(rule: &Rule, section: &str) -> Vec<Sample> {
    let page = format!("{}.md", rule.id);
    fences(&page, rule.page)
        .iter()
        .filter(|fence| fence.section == section && fence.language() == "starr")
        .map(|fence| Sample::new(&page, fence))
        .collect()
}

/// What the index page says.
fn index() -> String {
    let mut out = String::from(
        "# Rules\n\n\
         Every finding has the id of a rule. `starr explain RULE` shows its page. Errors stop a run before it starts; warnings\n\
         and notes do not. The samples on the pages are tests: what stands under *Avoid* yields exactly this rule, what stands\n\
         under *Prefer* does not. A sample that is only a part of a runbook stands in a scaffold; the test that runs them says\n\
         which. `starr check --fix` makes the edits that findings offer.\n\n\
         | Rule | Level | Finds |\n|---|---|---|\n",
    );
    for rule in RULES {
        let level = match rule.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        out.push_str(&format!("| [`{0}`]({0}.md) | {level} | {1} |\n", rule.id, rule.summary));
    }
    out
}

#[test]
fn the_index_lists_every_rule() {
    let file = pages().join("README.md");
    let there = fs::read_to_string(&file).unwrap_or_default();
    if std::env::var_os("STARR_BLESS").is_some() {
        fs::write(&file, index()).expect("the index can be written");
    } else {
        assert_eq!(there, index(), "write it anew with STARR_BLESS=1");
    }
}

#[test]
fn every_page_is_a_rule_and_has_its_sections() {
    for entry in fs::read_dir(pages()).expect("the pages are there") {
        let name = entry.expect("a page").file_name().into_string().expect("a plain name");
        let id = name.strip_suffix(".md").expect("a page is Markdown");
        assert!(
            id == "README" || RULES.iter().any(|rule| rule.id == id),
            "{name} is no rule"
        );
    }
    for rule in RULES {
        let titles: Vec<&str> = rule.page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(titles, ["## Avoid", "## Prefer", "## Why"], "{}", rule.id);
        assert!(
            !samples(rule, "Prefer").is_empty() || NOT_ON_A_PAGE.contains(&rule.id),
            "{}: no sample under Prefer",
            rule.id
        );
        assert!(
            !samples(rule, "Avoid").is_empty() || NOT_ON_A_PAGE.contains(&rule.id),
            "{}: no sample under Avoid",
            rule.id
        );
        assert!(
            rule.page.lines().all(|line| line.chars().count() <= 240),
            "{}: a line is too long",
            rule.id
        );
    }
}

#[test]
fn samples_under_avoid_yield_exactly_the_rule() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let listed = |id: &str| rule.page.contains(&format!("also yields `{id}`"));
        for sample in samples(rule, "Avoid") {
            let found = findings(&sample.text);
            let counted: Vec<&Diagnostic> = found.iter().filter(|finding| sample.counts(finding)).collect();
            if !counted.iter().any(|finding| finding.rule == rule.id) {
                wrong.push(format!("{}: `{}` is not found", sample.place, rule.id));
            }
            for finding in counted
                .iter()
                .filter(|finding| finding.rule != rule.id && !listed(finding.rule))
            {
                wrong.push(sample.describe(finding));
            }
            for finding in counted
                .iter()
                .filter(|finding| finding.rule == rule.id && finding.level != rule.level)
            {
                wrong.push(format!(
                    "{}: the level is not that of the table",
                    sample.describe(finding)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn samples_under_prefer_do_not_yield_the_rule_and_have_no_error() {
    let mut wrong = Vec::new();
    for rule in RULES {
        for sample in samples(rule, "Prefer") {
            for finding in findings(&sample.text) {
                if finding.rule == rule.id || sample.counts(&finding) && finding.level > Level::Note {
                    wrong.push(sample.describe(&finding));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Every finding that offers an edit is gone after the edit, and none comes instead.
#[test]
fn offered_edits_remove_their_finding() {
    let mut offered = Vec::new();
    for rule in RULES {
        for sample in samples(rule, "Avoid") {
            let found = findings(&sample.text);
            if !found
                .iter()
                .any(|finding| finding.rule == rule.id && !finding.edits.is_empty())
            {
                continue;
            }
            let mine: Vec<Diagnostic> = found
                .iter()
                .filter(|finding| finding.rule == rule.id)
                .cloned()
                .collect();
            let fixed = fix::apply(FileId(0), &sample.text, &mine);
            let offering = mine.iter().filter(|finding| !finding.edits.is_empty()).count();
            assert_eq!((fixed.applied, fixed.skipped), (offering, 0), "{}", sample.place);
            let after = findings(&fixed.text);
            let left = after.iter().filter(|finding| finding.rule == rule.id).count();
            assert_eq!(left, mine.len() - offering, "{}:\n{}", sample.place, fixed.text);
            let errors = |list: &[Diagnostic]| list.iter().filter(|finding| finding.level == Level::Error).count();
            assert!(errors(&after) <= errors(&found), "{}: {after:#?}", sample.place);
            offered.push(rule.id);
        }
    }
    offered.dedup();
    println!("rules that offer an edit: {}", offered.join(", "));
    assert!(
        offered.contains(&"title-style") && offered.contains(&"weak-approval"),
        "{offered:?}"
    );
}

/// A finding whose id has no page could not be explained.
#[test]
fn every_id_that_the_source_names_is_a_rule() {
    fn files(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, out);
            } else if !path.ends_with("tests.rs") {
                out.push(path);
            }
        }
    }
    let made = regex::Regex::new(r#"Diagnostic::(?:error|warning|note)\(\s*"([^"]+)""#).expect("a pattern");
    let mut paths = Vec::new();
    for folder in ["src/check", "src/syntax"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut paths);
    }
    let mut seen = 0;
    for path in paths {
        let text = fs::read_to_string(&path).expect("a source file");
        // Unit tests may make up findings.
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for found in made.captures_iter(text) {
            seen += 1;
            let id = &found[1];
            assert!(
                RULES.iter().any(|rule| rule.id == id),
                "{}: `{id}` has no page",
                path.display()
            );
        }
    }
    assert!(seen > 100, "the pattern no longer finds how findings are made: {seen}");
}

/// Files that cannot be shown on a page.
#[test]
fn files_that_no_page_can_show() {
    let long = "#".repeat(1024 * 1024 + 1);
    assert_eq!(rules_of(long.as_bytes()), ["file-size"]);
    assert_eq!(rules_of(b"runbook caf\xe9 \"A\" {\n}\n"), ["encoding"]);
    let context = Context {
        library: &Circle,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    let text = "use team.one.{first}\n\nrunbook a \"A\" {\n  advise \"It is {first}\"\n}\n";
    let checked = check::check("sample.starr", None, text.as_bytes().to_vec(), &context);
    assert!(
        checked.diagnostics.iter().any(|finding| finding.rule == "import-cycle"),
        "{:#?}",
        checked.diagnostics
    );
}

/// Two modules that import each other.
struct Circle;

impl check::Library for Circle {
    fn module(&self, path: &str) -> Option<check::ModuleSource> {
        let text = match path {
            "team.one" => "module team.one\nuse team.two.{second}\n\nlet first = second\n",
            "team.two" => "module team.two\nuse team.one.{first}\n\nlet second = first\n",
            _ => return None,
        };
        Some(check::ModuleSource {
            name: path.to_owned(),
            path: None,
            bytes: text.as_bytes().to_vec(),
        })
    }
}

fn rules_of(bytes: &[u8]) -> Vec<&'static str> {
    let mut sources = starr::source::Sources::default();
    let loaded = starr::syntax::load(&mut sources, "sample.starr", None, bytes.to_vec());
    loaded.diagnostics.iter().map(|finding| finding.rule).collect()
}
