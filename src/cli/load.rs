//! From the name of a file to a checked program.

use super::files::{Bytes, Project, read};
use super::output::{Output, complain};
use super::{Exit, Failure};
use crate::check::{Checked, Context, Matrix, ModuleSource, check};
use crate::config::Environment;
use crate::diagnostic::{Diagnostic, Level};
use crate::program::Program;
use crate::render::diagnostics;
use std::path::Path;

/// Checks bytes that were read, in the light of an environment where there is one.
pub fn check_bytes(bytes: Bytes, environment: Option<&Environment>) -> Checked {
    check_in(&Project::of(&bytes.path), bytes, environment, None)
}

/// As [`check_bytes`], with the scenarios that belong to the file.
pub fn check_with_scenarios(bytes: Bytes, environment: Option<&Environment>) -> Checked {
    check_in(&Project::with_scenarios(&bytes.path), bytes, environment, None)
}

fn check_in(project: &Project, bytes: Bytes, environment: Option<&Environment>, matrix: Option<Matrix>) -> Checked {
    // The embedded default says nothing about the environments a runbook is written for.
    let environment = environment.filter(|environment| !environment.embedded);
    let context = Context {
        library: project,
        severities: environment
            .map(|environment| environment.severities.clone())
            .unwrap_or_default(),
        roles: environment.map(Environment::roles),
        // In UTC: finding out the local zone would cost more than everything else a small check does.
        today: Some(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()),
        matrix,
    };
    check(&bytes.name, Some(&bytes.path), bytes.bytes, &context)
}

/// A program that this environment trusts: pinned and, where that is enforced, signed. For everything that runs one.
pub fn trusted(path: &Path, environment: &Environment, output: Output) -> Result<Program, Failure> {
    let mut program = program(path, Some(environment), output)?;
    program.signed_by = super::sign::vouched(&program.sources, path, environment)?;
    Ok(program)
}

/// A program that can run, or the findings shown and the exit code for an invalid file. Warnings are shown on standard error and
/// stop nothing.
pub fn program(path: &Path, environment: Option<&Environment>, output: Output) -> Result<Program, Failure> {
    let matrix = match environment {
        Some(environment) => matrix(environment, path)?,
        None => None,
    };
    program_with(path, environment, matrix, output)
}

/// The escalation matrix that an environment has for a runbook that names none.
fn matrix(environment: &Environment, runbook: &Path) -> Result<Option<Matrix>, Failure> {
    let Some(item) = &environment.escalation else {
        return Ok(None);
    };
    super::files::outside(&item.file, Some(runbook), "escalation matrix").map_err(Failure::usage)?;
    let Bytes { name, path, bytes } = read(&item.file).map_err(Failure::usage)?;
    Ok(Some(Matrix {
        module: ModuleSource {
            name,
            path: Some(path),
            bytes,
        },
        name: item.name.clone(),
    }))
}

fn errors(checked: &Checked) -> impl Iterator<Item = &Diagnostic> {
    let all = checked.diagnostics.iter();
    all.filter(|finding| finding.level == Level::Error)
}

/// Shows the errors of a file on standard error. False: it has none.
pub fn complain_errors(checked: &Checked, output: Output) -> bool {
    let found: Vec<Diagnostic> = errors(checked).cloned().collect();
    if !found.is_empty() {
        complain(diagnostics::human(&checked.sources, &found, &output.findings()).trim_end());
    }
    !found.is_empty()
}

/// As [`program`], with this matrix.
pub fn program_with(
    path: &Path,
    environment: Option<&Environment>,
    matrix: Option<Matrix>,
    output: Output,
) -> Result<Program, Failure> {
    let bytes = read(path).map_err(Failure::usage)?;
    let name = bytes.name.clone();
    let checked = check_in(&Project::of(&bytes.path), bytes, environment, matrix);
    super::pins::check(&checked.sources, path)?;
    let errors = errors(&checked).count();
    let worth: Vec<_> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.level >= Level::Warning)
        .cloned()
        .collect();
    if !worth.is_empty() && (errors > 0 || !output.json) {
        complain(diagnostics::human(&checked.sources, &worth, &output.findings()).trim_end());
    }
    match checked.program {
        Some(program) if errors == 0 => Ok(program),
        _ => {
            let noun = if errors == 1 { "error" } else { "errors" };
            Err(Failure {
                exit: Exit::Usage,
                message: format!("{name} has {errors} {noun}; nothing was run"),
            })
        }
    }
}
