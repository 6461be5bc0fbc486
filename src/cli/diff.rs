//! `starr diff`: what a change does to risk.

use super::args::{Diff, DiffFormat};
use super::files::{Bytes, collect, read};
use super::load::{check_bytes, complain_errors};
use super::output::{Output, Style, line, print};
use super::revision::Revision;
use super::{Exit, Failure};
use crate::check::{Checked, Context, check};
use crate::diff::{Class, Difference, Direction, Side, diff as differences};
use crate::render::safe::safe;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Compares files with a revision, or one file with another.
pub fn diff(args: &Diff, output: Output) -> Result<Exit, Failure> {
    let fail_on = fail_on(&args.fail_on)?;
    let found = match two_files(args) {
        Some((old, new)) => {
            let (old, new) = (here(old)?, here(new)?);
            vec![(new.0.clone(), compared(&new.0, Some(&old.1), Some(&new.1), output))]
        }
        None => with_revision(args, output)?,
    };
    let found: Vec<(String, Vec<Difference>)> = found.into_iter().filter(|(_, list)| !list.is_empty()).collect();
    let format = args.format.unwrap_or(if output.json {
        DiffFormat::Json
    } else {
        DiffFormat::Human
    });
    match format {
        DiffFormat::Human => human(&found, output),
        DiffFormat::Json => line(&json(&found)),
        DiffFormat::Markdown => print(&markdown(&found)),
    }
    let fails = found
        .iter()
        .flat_map(|(_, list)| list)
        .any(|difference| fail_on.iter().any(|gate| gate.closes(difference)));
    let invalid = found
        .iter()
        .flat_map(|(_, list)| list)
        .any(|difference| difference.class == Class::Invalid);
    Ok(match (fails, invalid) {
        (true, _) => Exit::Findings,
        // What could not be compared is not without a difference.
        (false, true) => Exit::Usage,
        (false, false) => Exit::Good,
    })
}

/// What `--fail-on` names.
enum Gate {
    Class(Class),
    Riskier,
    Any,
}

impl Gate {
    fn closes(&self, difference: &Difference) -> bool {
        match self {
            Gate::Class(class) => difference.class == *class,
            Gate::Riskier => difference.direction == Direction::Riskier,
            Gate::Any => true,
        }
    }
}

fn fail_on(words: &[String]) -> Result<Vec<Gate>, Failure> {
    words
        .iter()
        .map(|word| match word.as_str() {
            "riskier" => Ok(Gate::Riskier),
            "any" => Ok(Gate::Any),
            other => Class::from_word(other).map(Gate::Class).ok_or_else(|| {
                let known: Vec<&str> = Class::ALL.iter().map(|class| class.word()).collect();
                Failure::usage(format!(
                    "--fail-on {other}: there are riskier, any, {}",
                    known.join(", ")
                ))
            }),
        })
        .collect()
}

fn two_files(args: &Diff) -> Option<(&Path, &Path)> {
    let old = Path::new(&args.revision);
    let is_file = |path: &Path| path.extension().is_some_and(|extension| extension == "starr") && path.is_file();
    match args.paths.as_slice() {
        [new] if is_file(old) && is_file(new) => Some((old, new)),
        _ => None,
    }
}

/// A file as it is here, checked.
fn here(path: &Path) -> Result<(String, Checked), Failure> {
    let bytes = read(path).map_err(Failure::usage)?;
    let name = bytes.name.clone();
    Ok((name, check_bytes(bytes, None)))
}

fn side(checked: Option<&Checked>) -> Side<'_> {
    Side {
        program: checked.and_then(|checked| checked.program.as_ref()),
        findings: checked.map_or(&[], |checked| &checked.diagnostics),
    }
}

fn compared(name: &str, old: Option<&Checked>, new: Option<&Checked>, output: Output) -> Vec<Difference> {
    for side in [old, new].into_iter().flatten() {
        complain_errors(side, output);
    }
    differences(name, &side(old), &side(new))
}

fn with_revision(args: &Diff, output: Output) -> Result<Vec<(String, Vec<Difference>)>, Failure> {
    let paths = if args.paths.is_empty() {
        vec![PathBuf::from(".")]
    } else {
        args.paths.clone()
    };
    let revision = Revision::open(Path::new("."), &args.revision)?;
    let top = revision
        .top
        .canonicalize()
        .map_err(|problem| Failure::usage(format!("cannot find {}: {problem}", revision.top.display())))?;
    // Paths from the top, also of what is here no more.
    let mut wanted = Vec::new();
    for path in &paths {
        let absolute = std::path::absolute(path)
            .ok()
            .map(|path| path.canonicalize().unwrap_or(path))
            .unwrap_or_else(|| path.clone());
        let relative = absolute.strip_prefix(&top).map_err(|_| {
            Failure::usage(format!(
                "{} lies outside the repository {}",
                path.display(),
                top.display()
            ))
        })?;
        wanted.push(relative.to_string_lossy().into_owned());
    }
    let mut files: BTreeSet<String> = revision.below(&wanted);
    let there: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
    for file in collect(&there).map_err(Failure::usage)? {
        let absolute = file
            .canonicalize()
            .map_err(|problem| Failure::usage(format!("cannot find {}: {problem}", file.display())))?;
        if let Ok(relative) = absolute.strip_prefix(&top) {
            files.insert(relative.to_string_lossy().into_owned());
        }
    }
    let mut found = Vec::new();
    for file in files {
        let old = match revision.bytes(&file)? {
            None => None,
            Some(bytes) => {
                let library = revision.library(&file);
                let context = Context {
                    library: &library,
                    severities: Vec::new(),
                    roles: None,
                    today: None,
                    matrix: None,
                };
                Some(check(&file, Some(Path::new(&file)), bytes, &context))
            }
        };
        let path = top.join(&file);
        let new = if path.is_file() {
            let Bytes { bytes, path, .. } = read(&path).map_err(Failure::usage)?;
            let named = Bytes {
                name: file.clone(),
                path,
                bytes,
            };
            Some(check_bytes(named, None))
        } else {
            None
        };
        found.push((file.clone(), compared(&file, old.as_ref(), new.as_ref(), output)));
    }
    Ok(found)
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Riskier => "riskier",
        Direction::Judge => "judge",
        Direction::Safer => "safer",
    }
}

fn subject(difference: &Difference) -> String {
    if difference.subject.is_empty() {
        difference.runbook.clone()
    } else {
        format!("{}.{}", difference.runbook, difference.subject)
    }
}

fn human(found: &[(String, Vec<Difference>)], output: Output) {
    if found.is_empty() {
        line("no difference in what the runbooks can do");
        return;
    }
    for (file, differences) in found {
        line(&output.style(Style::Heading, &safe(file)));
        for difference in differences {
            let style = match difference.direction {
                Direction::Riskier => Style::Bad,
                Direction::Judge => Style::Attention,
                Direction::Safer => Style::Good,
            };
            let mark = output.style(style, &format!("{:<7}", word(difference.direction)));
            line(&format!(
                "  {mark}  {:<22} {}: {}",
                difference.class.word(),
                safe(&subject(difference)),
                safe(&difference.text.replace('`', ""))
            ));
        }
    }
}

fn json(found: &[(String, Vec<Difference>)]) -> String {
    let files: Vec<serde_json::Value> = found
        .iter()
        .map(|(file, differences)| serde_json::json!({ "file": file, "differences": differences }))
        .collect();
    serde_json::Value::Array(files).to_string()
}

/// For a comment on a pull request. What stands in a runbook cannot end a cell or begin markup.
fn markdown(found: &[(String, Vec<Difference>)]) -> String {
    if found.is_empty() {
        return "**Runbooks**: no difference in what they can do.\n".to_owned();
    }
    let escape = |text: &str| -> String {
        let mut out = String::new();
        for letter in safe(&text.replace('`', "")).chars() {
            if "\\|*_<>[]#~@&!".contains(letter) {
                out.push('\\');
            }
            out.push(letter);
        }
        out
    };
    let riskier = found
        .iter()
        .flat_map(|(_, list)| list)
        .filter(|difference| difference.direction == Direction::Riskier)
        .count();
    let mut out = format!(
        "### Runbooks: {}\n\n| | file | what | difference |\n|---|---|---|---|\n",
        match riskier {
            0 => "nothing riskier".to_owned(),
            1 => "1 change makes them riskier".to_owned(),
            count => format!("{count} changes make them riskier"),
        }
    );
    for (file, differences) in found {
        for difference in differences {
            let mark = match difference.direction {
                Direction::Riskier => "**riskier**",
                Direction::Judge => "judge",
                Direction::Safer => "safer",
            };
            out.push_str(&format!(
                "| {mark} | {} | {} | {}: {} |\n",
                escape(file),
                difference.class.word(),
                escape(&subject(difference)),
                escape(&difference.text)
            ));
        }
    }
    out
}
