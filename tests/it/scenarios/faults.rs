//! Faults and generated inputs: they pass what is right and catch what is wrong.

use super::{ENDED, STUCK, suite};
use starr::scenario::faults::Which;
use starr::scenario::report::FileReport;
use starr::scenario::{Options, generate, run_all};

fn faulted(book: &str, scenarios: &str) -> FileReport {
    let options = Options {
        faults: Some(Which::All),
        threads: 1,
        ..Options::default()
    };
    run_all(&suite(book, scenarios), "book.starr", &options).unwrap()
}

#[test]
fn every_call_goes_wrong_in_turn_and_nothing_is_reported_resolved_that_is_not() {
    let report = faulted(STUCK, ENDED);
    assert!(report.results.iter().all(|result| result.passed));
    let faults = report.faults.unwrap();
    assert!(faults.runs > 30, "{} runs", faults.runs);
    assert!(faults.broken.is_empty(), "{:#?}", faults.broken);
}

/// The only symptom is a list that may be empty by accident: then all looks well.
const GULLIBLE: &str = r#"use team.{demo}

runbook gullible() "Things are stuck" {
  timebox 60 min then escalate
  reads   demo
  situation {
    symptom many "Are there more than 3 things?" {
      read things = demo.things() within 10 s
      yes when things.count > 3
    }
  }
  task { goal not many }
  branch "Why?" {
    cause there "They are there" when many { escalate }
    otherwise or cannot tell { escalate }
  }
}
"#;

const THERE: &str = r#"scenario "They are there" {
  run    gullible()
  given  { demo.things -> 14 of {age: 1 min} }
  expect {
    cause   there
    outcome escalated
  }
}
"#;

#[test]
fn a_runbook_that_takes_an_empty_reply_for_health_is_found() {
    let faults = faulted(GULLIBLE, THERE).faults.unwrap();
    let [broken] = faults.broken.as_slice() else {
        panic!("{:#?}", faults.broken);
    };
    assert!(broken.fault.contains("demo.things answers nothing"), "{broken:?}");
    assert!(
        broken
            .what
            .contains("the run says not present, and asked without the fault it is not so"),
        "{broken:?}"
    );
}

#[test]
fn a_question_that_asks_whether_something_is_unknown_turns_and_is_found() {
    let book = GULLIBLE.replace(
        "yes when things.count > 3",
        "yes when things is not unknown and things.count > 3",
    );
    let found = starr::check::check(
        "book.starr",
        None,
        book.into_bytes(),
        &starr::check::Context {
            library: &super::Ours(None),
            severities: Vec::new(),
            roles: None,
            today: None,
            matrix: None,
        },
    );
    // The checker says so first where the provider has a probe for it.
    assert!(
        found.diagnostics.iter().any(|finding| finding.rule == "reply-as-probe"),
        "{:#?}",
        found.diagnostics
    );
}

#[test]
fn generated_inputs_reach_every_answer_and_break_nothing() {
    let program = super::program(STUCK, ENDED);
    let all = generate::questions(&program, 400, 1);
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["many", "old"]);
    for one in &all {
        assert!(one.broken.is_empty(), "{one:#?}");
        assert!(one.yes > 0 && one.no > 0 && one.unknown > 0, "{one:#?}");
        assert_eq!(one.yes + one.no + one.unknown, 400);
    }
    assert_eq!(
        all,
        generate::questions(&program, 400, 1),
        "the same seed, the same inputs"
    );
    assert_ne!(all, generate::questions(&program, 400, 2));
}

#[test]
fn generated_inputs_break_nothing_in_the_library() {
    for path in starr::check::Embedded::paths() {
        let module = starr::check::Library::module(&starr::check::Embedded, path).unwrap();
        let context = starr::check::Context {
            library: &starr::check::Embedded,
            severities: Vec::new(),
            roles: None,
            today: None,
            matrix: None,
        };
        let program = starr::check::check(&module.name, None, module.bytes, &context)
            .program
            .unwrap();
        for one in generate::questions(&program, 60, 7) {
            assert!(one.broken.is_empty(), "{path}: {one:#?}");
        }
    }
}
