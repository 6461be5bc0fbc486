//! A-SH and A-DR: nothing reaches a shell, nothing runs without a grant, a dry run changes nothing.

use super::{Desk, Web, asking, every_command_says_where, text};
use futures::FutureExt;
use futures::future::BoxFuture;
use starr::check;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Health, Outcome, Permit, Provider};
use starr::value::{Type, Value};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Values that a shell would run.
const SHELL: &[&str] = &[
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "x\ntouch pwned",
    "| touch pwned",
    "&& touch pwned",
    "-touch",
    "--help",
];

#[test]
fn a_sh_1_a_value_is_one_literal_argument() {
    let desk = Desk::new();
    desk.write(
        "unit.starr",
        "runbook states(unit: Text) \"States\" {\n  timebox 5 min then stop \"too long\"\n  reads host\n  situation {\n    symptom odd \"Does it fail?\" {\n      read state = host.units.state(unit) within 10 s\n      yes when state.state is failed\n    }\n    symptom named \"Has it an address?\" {\n      read lookup = host.dns.lookup(unit) within 10 s\n      yes when lookup.ok\n    }\n    symptom in_use \"Has it many files open?\" {\n      read files = host.files.processes(name: unit) within 10 s\n      yes when files.count > 0\n    }\n  }\n  task { goal not odd }\n}\n",
    );
    let checked = desk.starr(&["check", "unit.starr"]);
    assert!(text(&checked).contains("0 errors"), "{}", text(&checked));
    for given in SHELL {
        let output = desk.starr(&[
            "run",
            "unit.starr",
            "--unattended",
            "--json",
            "--set",
            &format!("unit={given}"),
        ]);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{given}: {}",
            text(&output)
        );
        let left = std::fs::read_dir(desk.path())
            .unwrap()
            .filter_map(|entry| entry.ok())
            .any(|entry| entry.file_name() == "pwned");
        assert!(!left && !std::path::Path::new("/pwned").exists(), "{given} was run");
        // The value arrived whole in the record.
        assert!(
            text(&output).contains(&serde_json::Value::from(*given).to_string()),
            "{given}: {}",
            text(&output)
        );
    }
}

#[test]
fn a_sh_2_without_a_grant_nothing_of_the_host_is_touched_whatever_the_place() {
    let desk = Desk::new();
    desk.write(
        "starr.yaml",
        &format!(
            "environments:\n  test:\n    people:\n      {}: {{ roles: [operator] }}\n    grants:\n      - {{ capability: http, effects: [read], all: true }}\n",
            starr::cli::login()
        ),
    );
    let web = Web::json(serde_json::json!({}));
    // In a check, in what happens when a guard fails, and in an action.
    desk.write(
        "host.starr",
        &asking(
            &web.url("/"),
            "  check loaded \"Is it loaded?\" {\n    read load = host.load() within 10 s\n    yes when load.cpus > 0\n  }\n  require loaded else escalate\n",
        )
        .replace("reads http", "reads http, host"),
    );
    let output = desk.starr(&["run", "host.starr", "--unattended", "--json", "--config", "starr.yaml"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not grant read `host`"), "{said}");
    assert!(!said.contains("\"cpus\""), "{said}");
}

/// Counts what reaches it, whatever it is; answers nothing.
struct Recording {
    name: &'static str,
    operations: &'static [&'static str],
    writes: Mutex<Vec<String>>,
    reads: Mutex<usize>,
}

impl Provider for Recording {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operations(&self) -> &'static [&'static str] {
        self.operations
    }

    fn targets(&self, _: &Call) -> Vec<String> {
        vec!["anything".to_owned()]
    }

    fn read<'a>(&'a self, _: &'a Call) -> BoxFuture<'a, Value> {
        async move {
            *self.reads.lock().unwrap() += 1;
            Value::None
        }
        .boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _: &'a Permit) -> BoxFuture<'a, Outcome> {
        async move {
            self.writes.lock().unwrap().push(call.operation.full_name());
            Outcome::Done(Value::None)
        }
        .boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async { Vec::new() }.boxed()
    }
}

#[tokio::test]
async fn a_dr_1_a_dry_run_sends_no_write_whatever_the_operation() {
    let mut reads = 0;
    for name in starr::providers::NAMES {
        let operations = check::interface(name).unwrap_or_else(|| panic!("`{name}` has an interface text"));
        let paths: Vec<&'static str> = operations
            .iter()
            .map(|operation| &*Box::leak(operation.path.to_string().into_boxed_str()))
            .collect();
        let provider = Arc::new(Recording {
            name,
            operations: Box::leak(paths.into_boxed_slice()),
            writes: Mutex::default(),
            reads: Mutex::default(),
        });
        let everything = vec![Grant {
            capability: (*name).to_owned(),
            effects: vec![Effect::Read, Effect::Probe, Effect::Change, Effect::Tell],
            targets: None,
        }];
        let mut gate = Gate::new(everything, Mode::DryRun);
        gate.register(provider.clone());
        for operation in operations {
            let call = Call {
                operation: operation.clone(),
                args: operation
                    .params
                    .iter()
                    .map(|param| (param.name.clone(), param.default.clone().unwrap_or(Value::None)))
                    .collect(),
                within: Duration::from_secs(5),
                key: None,
            };
            // Both doors are tried for every operation: the wrong one is closed as well.
            let changed = gate.change(&call).await;
            assert!(
                matches!(changed, Outcome::Failed(_)),
                "{}: {changed:?}",
                operation.full_name()
            );
            let read = gate.read(&call).await;
            if matches!(operation.effect, Effect::Change | Effect::Tell) {
                assert!(read.as_unknown().is_some(), "{}", operation.full_name());
            }
        }
        assert!(provider.writes.lock().unwrap().is_empty(), "{name}");
        reads += *provider.reads.lock().unwrap();
    }
    assert!(reads > 20, "the reads did not reach the providers: {reads}");
    let _ = Type::Any;
}

#[test]
fn a_dr_1_a_dry_run_of_the_real_binary_posts_nothing() {
    let web = Web::json(serde_json::json!({"name": "x"}));
    let desk = Desk::new();
    desk.everything("");
    desk.write(
        "x.starr",
        &asking(
            &web.url("/"),
            &format!(
                "  action post \"Post it\" {{\n    risk low\n    approve by operator within 5 min\n    do http.post(\"{0}\", body: {{a: 1}})\n    do http.delete(\"{0}\")\n    undo none because \"it is a test\"\n    verify not odd within 1 min\n    failed -> stop \"no\"\n  }}\n  tell http.webhook(\"{0}\", {{a: 1}})\n",
                web.url("/changed")
            ),
        )
        .replace("  reads http\n", "  reads http\n  changes http\n  tells http\n"),
    );
    let output = desk.starr(&["run", "x.starr", "--dry-run", "--config", "starr.yaml"]);
    let said = text(&output);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{said}");
    let seen = web.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|request| request.starts_with("GET ")),
        "{seen:?}\n{said}"
    );
}

#[test]
fn a_dr_2_a_check_that_names_a_write_is_refused_everywhere() {
    let check = "runbook sly() \"Sly\" {\n  timebox 5 min then stop \"too long\"\n  reads http\n  situation {\n    symptom odd \"Is it odd?\" {\n      read reply = http.post(\"http://127.0.0.1:9/\", body: {a: 1})\n      yes when reply.ok\n    }\n  }\n  task { goal not odd }\n}\n";
    every_command_says_where("sly", check.as_bytes());
    let desk = Desk::new();
    desk.write("sly.starr", check);
    for words in [
        &["check"][..],
        &["run", "--unattended"],
        &["run", "--dry-run"],
        &["plan"],
    ] {
        let mut all = words.to_vec();
        all.push("sly.starr");
        let said = text(&desk.starr(&all));
        assert!(said.contains("effect-in-check"), "{words:?}: {said}");
    }
}
