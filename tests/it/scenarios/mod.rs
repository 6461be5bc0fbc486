//! Scenarios as tests of runbooks: what they must find out, what they must not let pass, and how they say it.

mod behaviour;
mod faults;
mod outputs;
mod pages;
mod people;
mod shipped;

use starr::check::{Context, Embedded, Library, ModuleSource, check};
use starr::diagnostic::Level;
use starr::program::Program;
use starr::scenario::report::{FileReport, TestResult};
use starr::scenario::{Facts, Options, Suite, run_all};
use std::path::Path;
use std::sync::Arc;

/// A provider, and what else the runbooks of these tests need.
const TEAM: &str = r##"module team "What the tests need"

record Thing { id: Int, age: Duration, state: Text }

provider demo {
  read   things(kind: Text = "any", over: Duration = 0 s) -> List<Thing>
  read   use() -> Series<Ratio>
  read   number(name: Text) -> Int
  read   costly() -> Bool heavy
  read   names() -> List<Text>
  probe  ping(name: Text) -> Probe
  change parts.end(things: List<Thing>) -> Int idempotent
  change parts.fix(name: Text) -> Int
  change parts.widen(to: Int) -> Int idempotent {
    before number("size")
    undo   parts.widen(to: before)
  }
}
provider chat {
  tell post(to: Text, text: Text)
}
provider pager {
  tell page(who: Text)
}

escalation matrix {
  sev1 -> pager.page("boss") now
  sev2 -> pager.page("oncall") now, pager.page("second") after 10 min, chat.post("#inc", "{run.severity}") after 20 min
}
"##;

struct Ours(Option<String>);

impl Library for Ours {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let team = (path == "team").then(|| ModuleSource {
            name: "team.starr".to_owned(),
            path: None,
            bytes: TEAM.as_bytes().to_vec(),
        });
        team.or_else(|| Embedded.module(path))
    }

    fn scenarios(&self, _file: Option<&Path>) -> Option<Vec<ModuleSource>> {
        Some(
            self.0
                .iter()
                .map(|text| ModuleSource {
                    name: "book.scenarios.starr".to_owned(),
                    path: None,
                    bytes: text.as_bytes().to_vec(),
                })
                .collect(),
        )
    }
}

/// The program of a runbook with scenarios in a file of their own.
pub fn program(book: &str, scenarios: &str) -> Program {
    let library = Ours(Some(scenarios.to_owned()));
    let context = Context {
        library: &library,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        today: None,
        matrix: None,
    };
    let checked = check("book.starr", None, book.as_bytes().to_vec(), &context);
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| {
            let (line, column) = checked.sources.line_column(finding.span);
            let name = &checked.sources.file(finding.span.file).name;
            format!("{name}:{line}:{column} {} {}", finding.rule, finding.message)
        })
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{book}\n{scenarios}");
    checked.program.expect("no errors, so there is a program")
}

pub fn suite(book: &str, scenarios: &str) -> Suite {
    Suite::new(Arc::new(program(book, scenarios)), Facts::default())
}

/// Everything that can be found out about the scenarios.
pub fn report(book: &str, scenarios: &str) -> FileReport {
    let options = Options {
        coverage: true,
        threads: 1,
        ..Options::default()
    };
    run_all(&suite(book, scenarios), "book.starr", &options).unwrap()
}

pub fn messages(result: &TestResult) -> String {
    result
        .problems
        .iter()
        .map(|problem| format!("{}: {}\n", problem.line, problem.message))
        .collect()
}

/// Every scenario passes.
pub fn all_pass(book: &str, scenarios: &str) -> FileReport {
    let report = report(book, scenarios);
    assert!(!report.results.is_empty());
    for result in &report.results {
        assert!(
            result.passed,
            "{}: {}\n{}",
            result.title,
            messages(result),
            result.reasoning.join("\n")
        );
    }
    report
}

/// The problems of the last scenario, which must fail.
pub fn fails(book: &str, scenarios: &str) -> String {
    let report = report(book, scenarios);
    let last = report.results.last().unwrap();
    assert!(!last.passed, "{} passed", last.title);
    messages(last)
}

/// A runbook about things that are stuck.
pub const STUCK: &str = r##"use team.{demo, chat, pager, matrix}

runbook stuck(name: Text = "main") "Things are stuck in {name}" {
  timebox 60 min then escalate
  reads   demo
  changes demo.parts
  tells   chat, pager

  situation {
    symptom many "Are there more than 3 things?" {
      read things = demo.things() within 10 s
      let  count  = things.count
      yes when things.count > 3
    }
    symptom complaints "Does anybody complain?" observed
    severity {
      sev2 when many
      sev2 when cannot tell
      sev3 otherwise
    }
  }
  task { goal not many }

  check old "Are old ones among them?" {
    read aged = demo.things(kind: "aged") within 10 s
    yes when aged.any(it.age > 5 min)
  }

  branch "Why?" {
    cause aged_things "Some are old" when old {
      action end_old "End {old.aged.count} things" {
        risk    low
        approve by oncall within 15 min
        refuse  above 10 things
        do      demo.parts.end(old.aged)
        undo    none because "they come back"
        verify  not old within 3 min every 30 s
        failed       -> next cause
        not approved -> escalate
      }
    }
    cause too_small "It is too small" when many {
      action widen "Make it larger" {
        risk    medium
        approve by oncall and boss within 15 min
        do      demo.parts.widen(to: 10)
        undo    restore
        verify  not many within 3 min every 30 s
        failed       -> undo, tell chat.post("#inc", "it did not help"), next cause
        unclear      -> keep, stop "nobody knows"
        not approved -> next cause
      }
    }
    otherwise { escalate }
    cannot tell { stop "it is not known" }
  }
  result {
    resolved when goal for 2 min
    escalation matrix
  }
  reflection {
    prevent "Count them"
    ask     "Why?"
  }
}
"##;

/// The scenario that others are like.
pub const ENDED: &str = r#"scenario "The old ones are ended" {
  run   stuck(name: "main")
  clock 2026-11-22 03:00 UTC
  given {
    demo.things               -> 14 of {age: 1 min} until end_old then 2 of {age: 1 min}
    demo.things(kind: "aged") -> 3 of {age: 12 min} until end_old then none
    demo.parts.end            -> done after 1 min
  }
  operator { approve end_old as oncall after 2 min }
  expect {
    severity sev2
    cause    aged_things
    answer   many yes
    answer   many no
    changed  end_old
    undone   nothing
    never    widen
    told     pager.page 1 times
    outcome  resolved within 6 min
    record   action "End 3 things"
    record   result "resolved"
  }
}
"#;
