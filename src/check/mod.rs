//! From the tree of a file to a checked program: names, types, units, effects and structure. Pure.
//!
//! One mistake gives one finding: what cannot be made sense of has the type [`Type::Any`](crate::value::Type::Any), which
//! fits everything, and nothing that rests on it is reported again.

mod action;
mod call;
mod constant;
mod effects;
mod escalation;
mod examples;
mod expression;
pub mod fix;
mod given;
mod library;
mod literals;
mod manual;
mod members;
mod methods;
mod model;
mod modules;
mod names;
mod operations;
mod operators;
mod orders;
mod outcome;
mod places;
mod question;
mod resources;
pub mod rules;
mod runbook;
mod scenario;
mod scope;
mod steps;
mod types;
mod verification;

#[cfg(test)]
mod tests;

use crate::diagnostic::{Diagnostic, Level};
use crate::program::Program;
use crate::provider::Operation;
use crate::source::Sources;
use crate::syntax::tree;
use std::path::Path;
use std::sync::Arc;

pub use library::{Embedded, Library, ModuleSource, files as module_files};

/// What the checker must know about the surroundings of a file.
pub struct Context<'a> {
    /// Where the modules of the project are found; modules of `std` come from the binary in any case.
    pub library: &'a dyn Library,
    /// Severity names of the environment, worst first. Empty: any name will do.
    pub severities: Vec<String>,
    /// Roles of the environment; `None`: any name will do.
    pub roles: Option<Vec<String>>,
    /// For rules about review dates; `None`: they are not checked.
    pub today: Option<jiff::civil::Date>,
    /// The escalation matrix of the environment, for a runbook that names none.
    pub matrix: Option<Matrix>,
}

/// An escalation of a module that belongs to the environment, not to the project of the runbook: it uses modules of `std` alone.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub module: ModuleSource,
    /// The name of the escalation in it.
    pub name: String,
}

/// What came of checking a file.
#[derive(Debug)]
pub struct Checked {
    /// The file and every module it needed; the file itself is the first.
    pub sources: Sources,
    /// The program, when there is no error.
    pub program: Option<Program>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks one file with everything it uses.
pub fn check(name: &str, path: Option<&Path>, bytes: Vec<u8>, context: &Context<'_>) -> Checked {
    let mut checker = modules::Checker::new(context);
    let main = checker.load(name, path, bytes);
    let mut program = checker.lower(main);
    let beside = checker.load_scenarios(main, path);
    if let Some(beside) = &beside {
        checker.scenarios(beside, &mut program);
    }
    let tests: Vec<_> = beside.iter().flatten().map(|id| checker.tree(*id)).collect();
    let modules::Finished {
        sources,
        tree,
        mut diagnostics,
    } = checker.finish(main);
    program.sources = sources.clone();
    let tests: Vec<&tree::File> = tests.iter().map(|tree| &**tree).collect();
    rules::tree(&tree, &tests, context.today, &mut diagnostics);
    let failed = |diagnostics: &[Diagnostic]| diagnostics.iter().any(|finding| finding.level == Level::Error);
    if !failed(&diagnostics) {
        rules::program(&program, &mut diagnostics);
    }
    diagnostics.sort_by_key(|finding| (finding.span.file, finding.span.start, finding.span.end, finding.rule));
    Checked {
        sources,
        program: (!failed(&diagnostics)).then_some(program),
        diagnostics,
    }
}

/// The typed operation of a provider: of its embedded interface text, or of its service models.
pub fn operation(provider: &str, path: &str) -> Option<Arc<Operation>> {
    let written = interface(provider)?;
    written
        .into_iter()
        .find(|operation| &*operation.path == path)
        .or_else(|| crate::provider::modelled::operation(provider, path))
}

/// The typed operations of a provider from its embedded interface text, in the order of that text.
pub fn interface(provider: &str) -> Option<Vec<Arc<Operation>>> {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    modules::Checker::new(&context).embedded_interface(provider)
}
