//! `starr fmt`: one canonical form.

use super::args::Fmt;
use super::files::{collect, read};
use super::output::{Output, Style, complain, line};
use super::{Exit, Failure};
use crate::diagnostic::Level;
use crate::render::diagnostics;
use crate::source::Sources;
use crate::syntax;
use std::io::Write;
use std::path::Path;

/// Formats files in place, or with `--check` says which would change. A file with syntax errors is left as it is.
pub fn fmt(args: &Fmt, output: Output) -> Result<Exit, Failure> {
    let (mut changed, mut invalid, mut total) = (Vec::new(), 0, 0);
    for path in collect(&args.paths).map_err(Failure::usage)? {
        total += 1;
        let bytes = read(&path).map_err(Failure::usage)?;
        let mut sources = Sources::default();
        let loaded = syntax::load(&mut sources, &bytes.name, Some(&path), bytes.bytes);
        let errors: Vec<_> = loaded
            .diagnostics
            .into_iter()
            .filter(|finding| finding.level == Level::Error)
            .collect();
        if !errors.is_empty() {
            complain(diagnostics::human(&sources, &errors, &output.findings()).trim_end());
            invalid += 1;
            continue;
        }
        let text = sources.file(loaded.id).text.clone();
        let formatted = syntax::format(&loaded.file, &text);
        if *formatted == *text {
            continue;
        }
        if args.check {
            if !output.json {
                line(&difference(&bytes.name, &text, &formatted, output));
            }
        } else {
            replace(&path, &formatted)
                .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", bytes.name)))?;
        }
        changed.push(bytes.name);
    }
    if output.json {
        line(
            &serde_json::json!({ "files": total, "changed": changed, "invalid": invalid, "written": !args.check })
                .to_string(),
        );
    } else if total == 0 {
        complain("starr: no .starr files there");
    } else {
        let verb = if args.check { "would change" } else { "changed" };
        let rest = if invalid > 0 {
            format!(", {invalid} with errors left as they are")
        } else {
            String::new()
        };
        complain(&format!("{} of {total} files {verb}{rest}", changed.len()));
    }
    Ok(match (invalid, args.check && !changed.is_empty()) {
        (0, false) => Exit::Good,
        (0, true) => Exit::Findings,
        _ => Exit::Usage,
    })
}

/// Writes beside the file and renames, so that a reader sees the old text or the new one.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link is followed, so that the file it points to is replaced and not the link.
    let path = path.canonicalize()?;
    let permissions = std::fs::metadata(&path)?.permissions();
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create_new(&beside)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

fn difference(name: &str, old: &str, new: &str, output: Output) -> String {
    let diff = similar::TextDiff::from_lines(old, new);
    let text = diff
        .unified_diff()
        .context_radius(2)
        .header(name, &format!("{name} (formatted)"))
        .to_string();
    text.lines()
        .map(|line| match line.as_bytes().first() {
            Some(b'+') => output.style(Style::Good, line),
            Some(b'-') => output.style(Style::Bad, line),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}
