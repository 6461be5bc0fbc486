//! What is shipped in the language: every module of the library and every runbook is clean and in canonical form.

use starr::check::{Checked, Context, check};
use starr::cli::files::Project;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "starr") {
            found.push(path);
        }
    }
}

fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("stdlib"), &mut found);
    files(&root.join("runbooks"), &mut found);
    found.sort();
    assert!(found.len() >= 6, "{found:?}");
    found
}

fn checked(path: &Path) -> Checked {
    let project = Project::of(path);
    let context = Context {
        library: &project,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        // The day of the last change to the files: a review that runs out later is not a mistake of today's tests.
        today: None,
        matrix: None,
    };
    check(
        &path.display().to_string(),
        Some(path),
        std::fs::read(path).unwrap(),
        &context,
    )
}

#[test]
fn every_module_and_every_runbook_is_clean() {
    let mut found = String::new();
    for path in shipped() {
        let checked = checked(&path);
        for finding in &checked.diagnostics {
            let text = checked.sources.text(finding.span);
            writeln!(
                found,
                "{}: {:?} {}: {} ({text:?}) {}",
                path.display(),
                finding.level,
                finding.rule,
                finding.message,
                finding.help.as_deref().unwrap_or_default()
            )
            .unwrap();
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn every_runbook_is_in_canonical_form() {
    for path in shipped() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut sources = starr::source::Sources::default();
        let loaded = starr::syntax::load(&mut sources, "file", None, text.clone().into_bytes());
        let formatted = starr::syntax::format(&loaded.file, &text);
        if formatted != text {
            let difference = similar::TextDiff::from_lines(&text, &formatted)
                .unified_diff()
                .to_string();
            panic!("{}: run `starr fmt` on it\n{difference}", path.display());
        }
    }
}
