//! `starr check`: all static findings.

use super::args::{Check, Format, Global};
use super::files::{collect, read, runbooks};
use super::load::check_with_scenarios;
use super::output::{Output, complain, line, print};
use super::{Exit, Failure, parallel};
use crate::check::{Checked, fix};
use crate::config;
use crate::diagnostic::{Diagnostic, Level};
use crate::render::diagnostics;
use std::path::{Path, PathBuf};

/// Most rounds of `--fix`: an edit may uncover a finding that offers the next one.
const ROUNDS: usize = 8;

/// Checks files and folders.
pub fn check(args: &Check, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let paths = runbooks(collect(&args.paths).map_err(Failure::usage)?);
    if paths.is_empty() {
        return Err(Failure::usage("no .starr files there"));
    }
    let format = args
        .format
        .unwrap_or(if output.json { Format::Json } else { Format::Human });
    let one = |path: &PathBuf| -> Result<Checked, Failure> {
        let bytes = read(path).map_err(Failure::usage)?;
        let mut checked = check_with_scenarios(bytes, Some(environment));
        // Only the findings are needed from here on.
        checked.program = None;
        Ok(checked)
    };
    let mut all: Vec<Checked> = parallel::each(&paths, one).into_iter().collect::<Result<_, _>>()?;
    let mut edits = 0;
    let mut refused = false;
    if args.fix {
        for (path, checked) in paths.iter().zip(&mut all) {
            for _ in 0..ROUNDS {
                let applied = apply(path, checked)?;
                if applied == 0 {
                    break;
                }
                edits += applied;
                *checked = one(path)?;
            }
        }
    }
    for (path, checked) in paths.iter().zip(&all) {
        if let Err(failure) = super::pins::check(&checked.sources, path) {
            complain(&format!("{}: {}", path.display(), failure.message));
            refused = true;
        }
    }
    let groups: Vec<diagnostics::Group<'_>> = all
        .iter()
        .map(|checked| (&checked.sources, checked.diagnostics.as_slice()))
        .collect();
    let form = match format {
        Format::Human => diagnostics::Format::Human,
        Format::Json => diagnostics::Format::Json,
        Format::Sarif => diagnostics::Format::Sarif,
        Format::Github => diagnostics::Format::Github,
        Format::Gitlab => diagnostics::Format::Gitlab,
    };
    print(&diagnostics::render(&groups, form, &output.findings()));
    let findings: Vec<&Diagnostic> = all.iter().flat_map(|checked| &checked.diagnostics).collect();
    let of = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (of(Level::Error), of(Level::Warning));
    if format == Format::Human {
        if !findings.is_empty() {
            line("");
        }
        let fixed = if edits > 0 {
            format!(", {}", count(edits, "edit made", "edits made"))
        } else {
            String::new()
        };
        complain(&format!(
            "{}: {}, {}{fixed}",
            count(paths.len(), "file", "files"),
            count(errors, "error", "errors"),
            count(warnings, "warning", "warnings")
        ));
    }
    Ok(if refused || errors > 0 || (args.strict && warnings > 0) {
        Exit::Findings
    } else {
        Exit::Good
    })
}

/// Makes the edits that the file's own findings offer; how many.
fn apply(path: &Path, checked: &Checked) -> Result<usize, Failure> {
    let Some((id, source)) = checked
        .sources
        .iter()
        .find(|(_, source)| source.path.as_deref() == Some(path))
    else {
        return Ok(0);
    };
    let own: Vec<Diagnostic> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.span.file == id)
        .cloned()
        .collect();
    let fixed = fix::apply(id, &source.text, &own);
    if fixed.applied > 0 {
        super::fmt::replace(path, &fixed.text)
            .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
    }
    Ok(fixed.applied)
}

/// `1 file`, `2 files`.
pub fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
