//! Every limit of the table is on its page, and reached by the test that the table names.

use super::{Desk, text};
use starr::check::{Context, Library, ModuleSource, check};
use starr::diagnostic::Level;
use starr::limits::{self, TABLE};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_limits_and_the_table_are_the_same() {
    let page = std::fs::read_to_string(root().join("docs/language/limits.md")).unwrap();
    let mut section = "";
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        } else if let Some(row) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")) {
            let (what, limit) = row.split_once(" | ").unwrap();
            rows.push((section, what, limit));
        }
    }
    let mut wrong = Vec::new();
    for row in TABLE {
        if !rows.contains(&(row.section, row.what, row.limit)) {
            wrong.push(format!(
                "the page lacks, under {}: | {} | {} |",
                row.section, row.what, row.limit
            ));
        }
    }
    let headings: Vec<&str> = TABLE.iter().map(|row| row.section).collect();
    for (section, what, limit) in rows {
        let known = TABLE
            .iter()
            .any(|row| (row.section, row.what, row.limit) == (section, what, limit));
        let header = what == "What";
        // How causes are compared is the checker's own affair: beyond it a finding is left out, never a run.
        let own = what.starts_with("limits or values of one thing") || what.starts_with("values of modules");
        if headings.contains(&section) && !known && !header && !own {
            wrong.push(format!("the table lacks, under {section}: {what}: {limit}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_limit_is_reached_by_the_test_that_is_named() {
    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("src/limits.rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    sources(&root().join("src"), &mut all);
    sources(&root().join("tests"), &mut all);
    let missing: Vec<&str> = TABLE
        .iter()
        .filter_map(|row| row.reached_by)
        .filter(|test| !all.contains(&format!("fn {test}(")))
        .collect();
    assert!(missing.is_empty(), "no such test: {missing:?}");
    let page = std::fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let unreached = TABLE.iter().filter(|row| row.reached_by.is_none()).count();
    let sentence = format!(
        "{} of {} limits have a test that reaches them",
        TABLE.len() - unreached,
        TABLE.len()
    );
    assert!(page.contains(&sentence), "docs/promises.md must say: {sentence}");
}

/// Modules that are made when they are asked for.
struct Made<F: Fn(&str) -> Option<String>>(F);

impl<F: Fn(&str) -> Option<String>> Library for Made<F> {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        starr::check::Embedded.module(path).or_else(|| {
            (self.0)(path).map(|text| ModuleSource {
                name: format!("{path}.starr"),
                path: None,
                bytes: text.into_bytes(),
            })
        })
    }
}

fn errors_with(text: &str, library: &dyn Library) -> Vec<String> {
    let context = Context {
        library,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    check("x.starr", None, text.as_bytes().to_vec(), &context)
        .diagnostics
        .into_iter()
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| format!("{}: {}", finding.rule, finding.message))
        .collect()
}

fn errors(text: &str) -> Vec<String> {
    errors_with(text, &starr::check::Embedded)
}

/// Just below the limit there is no error that is there just above it.
fn between(below: Vec<String>, above: Vec<String>, word: &str) {
    let speaks = |all: &[String]| all.iter().any(|error| error.contains(word));
    assert!(!speaks(&below), "below the limit: {below:?}");
    assert!(speaks(&above), "above the limit: {above:?}");
}

#[test]
fn modules_use_each_other_only_so_deep() {
    let chain = |depth: usize| {
        let library = Made(move |path: &str| {
            let number: usize = path.strip_prefix('m')?.parse().ok()?;
            Some(if number >= depth {
                format!("module {path} \"M\"\nlet v{number} = 1\n")
            } else {
                format!(
                    "use m{0}.{{v{0}}}\n\nmodule {path} \"M\"\nlet v{number} = v{0}\n",
                    number + 1
                )
            })
        });
        errors_with(
            "use m1.{v1}\n\nrunbook x() \"X\" {\n  timebox 5 min then escalate\n  advise \"It is {v1}\"\n}\n",
            &library,
        )
    };
    between(chain(limits::IMPORT_DEPTH - 3), chain(limits::IMPORT_DEPTH + 3), "deep");
}

#[test]
fn records_nest_only_so_deep() {
    let nest = |depth: usize| {
        let mut text = String::from("module x \"X\"\n\nrecord R0 { n: Int }\n");
        for number in 1..=depth {
            text.push_str(&format!("record R{number} {{ inner: R{} }}\n", number - 1));
        }
        errors(&text)
    };
    between(nest(limits::RECORD_DEPTH - 4), nest(limits::RECORD_DEPTH + 4), "deep");
}

#[test]
fn an_example_gives_only_so_many_elements() {
    let example = |count: i64| {
        errors(&format!(
            "module x \"X\"\n\nrecord P {{ n: Int }}\nprovider pump {{\n  read list() -> List<P>\n}}\n\ncheck many() \"Are there many?\" {{\n  read all = pump.list()\n  yes when all.count > 5\n  example \"many\" {{ all = {count} of {{n: 1}} -> yes }}\n}}\n"
        ))
    };
    between(
        example(limits::GIVEN_ELEMENTS),
        example(limits::GIVEN_ELEMENTS + 1),
        "10000",
    );
}

#[test]
fn a_chain_of_untils_is_limited() {
    let chain = |count: usize| {
        let untils = vec!["1 until fix then"; count].join(" ");
        let text = format!(
            "scenario \"Many\" {{\n  run x()\n  given {{\n    pump.state -> {untils} 2\n  }}\n  expect {{\n    outcome resolved\n  }}\n}}\n"
        );
        let mut sources = starr::source::Sources::default();
        starr::syntax::load(&mut sources, "x.scenarios.starr", None, text.into_bytes())
            .diagnostics
            .into_iter()
            .map(|finding| finding.message)
            .collect::<Vec<_>>()
    };
    assert!(chain(100).is_empty(), "{:?}", chain(100));
    assert!(!chain(250).is_empty());
}

#[test]
fn folders_are_searched_only_so_deep() {
    let desk = Desk::new();
    let path = format!("{}x.starr", "d/".repeat(limits::FOLDER_DEPTH + 2));
    desk.write(&path, &super::book("1"));
    let output = desk.starr(&["check", "."]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("32 folders deep"), "{}", text(&output));
}

#[test]
fn a_value_of_the_command_line_is_limited() {
    let desk = Desk::new();
    desk.write(
        "x.starr",
        "runbook x(name: Text) \"X\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is it odd?\" { yes when name is empty }\n  }\n  task { goal not odd }\n}\n",
    );
    for (length, code) in [(limits::SET_BYTES, 0), (limits::SET_BYTES + 1, 2)] {
        let output = desk.starr(&[
            "run",
            "x.starr",
            "--unattended",
            "--set",
            &format!("name={}", "x".repeat(length)),
        ]);
        assert_eq!(output.status.code(), Some(code), "{length}");
    }
}

#[test]
fn a_configuration_file_is_limited() {
    let desk = Desk::new();
    desk.write("x.starr", &super::book("1"));
    let config = |length: usize| {
        let mut text = String::from("environments:\n  test: {}\n#");
        text.push_str(&"x".repeat(length - text.len()));
        desk.write("starr.yaml", &text);
        let output = desk.starr(&["doctor", "--config", "starr.yaml"]);
        (output.status.code(), super::text(&output))
    };
    let most = usize::try_from(limits::CONFIGURATION_BYTES).unwrap();
    let (code, said) = config(most);
    assert_ne!(code, Some(2), "{said}");
    let (code, said) = config(most + 1);
    assert!(code == Some(2) && said.contains("larger than 1 MiB"), "{said}");
}

#[test]
fn a_file_with_a_secret_is_limited() {
    let desk = Desk::new();
    let most = usize::try_from(limits::SECRET_BYTES).unwrap();
    let read = |length: usize| {
        // Words, so that the longest one is no pattern of a megabyte.
        let path = desk.private("secret", &"k".repeat(length));
        starr::secrets::private_file(&path, "secret file").map(|secret| secret.expose().len())
    };
    assert_eq!(read(most), Ok(most));
    assert!(read(most + 1).unwrap_err().contains("larger than 64 KiB"));
}

#[test]
fn signatures_and_locks_are_limited() {
    let desk = Desk::new();
    desk.write("calm.starr", &super::book("1"));
    let signers = desk.write("signers", &"#\n".repeat(512 * 1024));
    desk.write(
        "starr.yaml",
        &format!(
            "environments:\n  test:\n    signatures: {{ required: true, allowed_signers: {} }}\n",
            signers.display()
        ),
    );
    let check = || text(&desk.starr(&["sign", "calm.starr", "--check", "--config", "starr.yaml"]));
    assert!(check().contains("not signed"), "{}", check());
    desk.write(
        "calm.starr.sig",
        &" ".repeat(usize::try_from(limits::SIGNATURE_BYTES).unwrap() + 1),
    );
    assert!(check().contains("larger than 64 KiB"), "{}", check());
    desk.write("signers", &"#\n".repeat(512 * 1024 + 1));
    assert!(check().contains("larger than 1 MiB"), "{}", check());
    desk.write("starr.lock", &"#\n".repeat(512 * 1024 + 1));
    let run = desk.starr(&["run", "calm.starr", "--unattended"]);
    assert_eq!(run.status.code(), Some(3), "{}", text(&run));
    assert!(text(&run).contains("larger than 1 MiB"), "{}", text(&run));
}

#[tokio::test]
async fn an_entry_that_is_too_large_is_not_recorded() {
    use starr::journal::event::Event;
    use starr::journal::sqlite::{RunHeader, Store};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db")).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    let step = |length: usize| Event::Step {
        what: "note".to_owned(),
        detail: "x".repeat(length),
    };
    use starr::journal::Journal as _;
    run.append("", &step(100)).await.unwrap();
    let refused = run
        .append("", &step(limits::ENTRY_BYTES))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("more than the 67108864 that one entry may have"),
        "{refused}"
    );
    assert!(refused.len() < 2000, "its data is not repeated");
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact() && verified.entries == 1, "{verified}");
}
