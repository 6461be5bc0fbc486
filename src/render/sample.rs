//! A runbook that uses everything, for tests of what is made from a program.

use crate::check::{Context, Embedded, Library, ModuleSource, check};
use crate::program::Program;

struct Team;

impl Library for Team {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        (path == "team").then(|| ModuleSource {
            name: "team.starr".to_owned(),
            path: None,
            bytes: include_bytes!("testdata/team.starr").to_vec(),
        })
    }
}

/// The program of a text; the test fails with its errors when there are some.
pub fn program(text: &str) -> Program {
    let context = Context {
        library: &Team,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        today: None,
        matrix: None,
    };
    let checked = check("everything.starr", None, text.as_bytes().to_vec(), &context);
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.level == crate::diagnostic::Level::Error)
        .map(|finding| {
            let (line, _) = checked.sources.line_column(finding.span);
            format!("{line}: {} {}", finding.rule, finding.message)
        })
        .collect();
    let mut program = checked.program.unwrap_or_else(|| panic!("errors: {errors:#?}"));
    // What is compared with a kept text must not change with every module of the standard library.
    program.digests.remove("stdlib");
    program
}

/// The runbook that uses everything.
pub fn everything() -> Program {
    program(include_str!("testdata/everything.starr"))
}

/// The program of an embedded module.
pub fn module(path: &str) -> Program {
    let module = Embedded.module(path).expect("an embedded module");
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    check(&module.name, None, module.bytes, &context)
        .program
        .expect("no errors")
}
