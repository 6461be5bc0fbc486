//! What a run does, sentence by sentence of the reference's "Meaning". Every text is a runbook as people write it; the clock
//! is virtual, so hours pass in no time.

mod actions;
mod branches;
mod consent;
mod disk;
mod doubt;
mod dry;
mod ends;
mod escalation;
mod fake;
mod hands;
mod invariants;
mod loops;
mod outside;
mod questions;
mod ran;
mod resume;
mod runners;
mod sample;
mod simulator;
mod stage;

use starr::check::{Context, Library, ModuleSource, check};
use starr::program::Program;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub use fake::Setup;

/// The operations of the provider below, by path.
const OPERATIONS: &[&str] = &[
    "flag",
    "things",
    "size",
    "number",
    "costly",
    "names",
    "ping",
    "parts.fix",
    "parts.end",
    "parts.set",
    "parts.make",
    "parts.use",
    "parts.grow",
];

const TEAM: &str = r##"module team "What the tests need"

record Thing { id: Int, age: Duration }
record Size { now: Int }

provider demo {
  read   flag(name: Text) -> Bool
  read   things() -> List<Thing>
  read   size() -> Size
  read   number(name: Text) -> Int
  read   names() -> List<Text>
  read   costly() -> Bool heavy
  probe  ping(name: Text) -> Probe
  change parts.fix(name: Text) -> Int
  change parts.end(things: List<Thing>) -> Int idempotent
  change parts.make(name: Text) -> Int keyed
  change parts.use(made: Int) -> Int
  change parts.grow(name: Text) -> Int verifiable by grown
  change parts.set(to: Int) -> Int idempotent {
    before size()
    undo   parts.set(to: before.now)
  }
}
provider chat {
  tell post(to: Text, text: Text)
  tell mark(to: Text) verifiable by grown_mark
}
provider pager {
  tell page(who: Text)
}

check grown(name: Text) "Has {name} grown?" {
  read now = demo.flag("grown {name}")
  yes when now
}

check grown_mark(to: Text) "Is {to} marked?" {
  read now = demo.flag("marked {to}")
  yes when now
}

escalation matrix {
  sev1 -> pager.page("boss") now
  sev2 -> pager.page("oncall") now, pager.page("second") after 10 min, chat.post("#inc", "{run.severity}") after 20 min
}
"##;

struct Ours;

impl Library for Ours {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        (path == "team").then(|| ModuleSource {
            name: "team.starr".to_owned(),
            path: None,
            bytes: TEAM.as_bytes().to_vec(),
        })
    }
}

/// The checked program of a text; a text with errors is a mistake of the test.
pub fn program(text: &str) -> Arc<Program> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Program>>> = Mutex::new(BTreeMap::new());
    if let Some(known) = KNOWN.lock().unwrap().get(text) {
        return known.clone();
    }
    let program = Arc::new(checked(text, &Ours));
    KNOWN.lock().unwrap().insert(text.to_owned(), program.clone());
    program
}

/// Checks a text against a library.
pub fn checked(text: &str, library: &dyn Library) -> Program {
    let severities = ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec();
    let context = Context {
        library,
        severities,
        roles: None,
        today: None,
        matrix: None,
    };
    let checked = check("test.starr", None, text.as_bytes().to_vec(), &context);
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.level == starr::diagnostic::Level::Error)
        .map(|finding| {
            let (line, column) = checked.sources.line_column(finding.span);
            format!("{line}:{column} {} {}", finding.rule, finding.message)
        })
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    checked.program.expect("no errors, so there is a program")
}

/// A runbook with the header that every test needs.
pub fn book(body: &str) -> String {
    with_timebox("60 min then escalate", body)
}

/// A runbook with a timebox of its own.
pub fn with_timebox(timebox: &str, body: &str) -> String {
    format!(
        r##"use team.{{demo, chat, pager, matrix}}

runbook test() "A test" {{
  > What is tested.
  owner    "team"
  timebox  {timebox}
  reads    demo
  changes  demo
  tells    chat, pager
{body}
}}
"##
    )
}

/// A check that reads one flag.
pub fn flag(name: &str) -> String {
    format!("check {name} \"Is {name} set?\" {{\n  read value = demo.flag(\"{name}\")\n  yes when value\n}}\n")
}

/// The cause `NAME`, which is fixed by the action `fix_NAME`; `verify` asks its own flag.
pub fn cause(name: &str, when: &str, failed: &str) -> String {
    format!(
        r##"cause {name} "It is {name}" when {when} {{
  action fix_{name} "Fix {name}" {{
    risk    low
    approve by oncall within 5 min
    do      demo.parts.fix("{name}")
    undo    demo.parts.fix("un-{name}")
    verify  not {name}_flag within 2 min every 30 s
    failed  -> {failed}
  }}
}}
"##
    )
}
