//! The list of cases, and that each has a test of its name.

use std::path::Path;

/// Every case, in the order of the families: parser, types, injection, SQL, HTTP, Kubernetes, shell, secrets, audit, crash,
/// concurrency, policy, terminal, Unicode, paths, review to run, dry run, clock, supply chain.
const CASES: &[&str] = &[
    "A-PR-1", "A-PR-2", "A-PR-3", "A-PR-4", "A-TY-1", "A-TY-2", "A-TY-3", "A-TI-1", "A-TI-2", "A-TI-3", "A-SQ-1",
    "A-SQ-2", "A-SQ-3", "A-SQ-4", "A-HT-1", "A-HT-2", "A-HT-3", "A-HT-4", "A-K8-1", "A-K8-2", "A-K8-3", "A-SH-1",
    "A-SH-2", "A-SH-3", "A-SE-1", "A-SE-2", "A-SE-3", "A-SE-4", "A-AU-1", "A-AU-2", "A-AU-3", "A-AU-4", "A-AU-5",
    "A-CR-1", "A-CR-2", "A-CR-3", "A-CO-1", "A-CO-2", "A-PO-1", "A-PO-2", "A-TE-1", "A-UN-1", "A-UN-2", "A-PA-1",
    "A-PA-2", "A-TO-1", "A-DR-1", "A-DR-2", "A-CL-1", "A-SC-1", "A-SC-2",
];

fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// Tests of a case: the name begins with the id (`fn a_pr_1_…`), or the comment above the test says it (`/// A-PR-1: …`).
fn tests_of(id: &str, all: &str) -> usize {
    let name = format!("fn {}_", id.to_ascii_lowercase().replace('-', "_"));
    let lines: Vec<&str> = all.lines().map(str::trim).collect();
    let is_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let says = |line: &str| {
        line.starts_with("//")
            && line.match_indices(id).any(|(at, _)| {
                let after = line[at + id.len()..].chars().next();
                !after.is_some_and(|character| character.is_ascii_digit())
            })
    };
    (0..lines.len())
        .filter(|&at| is_test(lines[at]))
        .filter(|&at| {
            let named = lines[at..].iter().take(4).any(|line| {
                let code = line.strip_prefix("async ").unwrap_or(line);
                code.starts_with(&name)
            });
            let said = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("///"))
                .any(|line| says(line));
            named || said
        })
        .count()
}

fn all() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("tests"), &mut all);
    all
}

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/promises.md")).unwrap()
}

#[test]
fn every_case_has_a_test_of_its_name() {
    let all = all();
    let without: Vec<_> = CASES.iter().filter(|id| tests_of(id, &all) == 0).collect();
    assert!(without.is_empty(), "no test says that it is about {without:?}");
}

/// Whether a file or folder of the sources ends so.
fn is_there(folder: &Path, end: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        path.ends_with(end) || (path.is_dir() && is_there(&path, end))
    })
}

/// Every promise has a row, and whatever a row names as its keeper is there: a test, a file of tests, a script.
#[test]
fn what_keeps_each_promise_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (all, page) = (all(), page());
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| P")).collect();
    for number in 1..=22 {
        let begins = format!("| P{number} |");
        assert!(
            rows.iter().any(|row| row.starts_with(&begins)),
            "P{number} is not printed"
        );
    }
    let mut wrong = Vec::new();
    for row in rows {
        let keepers = row.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap();
        let named: Vec<&str> = keepers.split('`').skip(1).step_by(2).collect();
        let kept = named.iter().filter(|name| {
            if name.contains('/') || name.contains('.') {
                let there = root.join(name).exists()
                    || is_there(&root.join("tests"), name)
                    || is_there(&root.join("src"), name);
                if !there {
                    wrong.push(format!("{name} is not there: {row}"));
                }
                return there;
            }
            let last = name.rsplit("::").next().unwrap_or(name);
            let test = match last.strip_suffix('*') {
                Some(begins) => format!("fn {begins}"),
                None => format!("fn {last}("),
            };
            let module = is_there(&root.join("tests"), &format!("{last}.rs"))
                || is_there(&root.join("src"), &format!("{last}.rs"));
            let there = all.contains(&test) || module;
            if !there && !["compile_fail", "Permit", "ssh-keygen"].contains(name) {
                wrong.push(format!("no test is called {name}: {row}"));
            }
            there
        });
        if kept.count() == 0 {
            wrong.push(format!("nothing keeps it: {row}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
