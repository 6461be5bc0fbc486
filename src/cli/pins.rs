//! `starr lock`, and whether the modules of a program are those that `starr.lock` pins.

use super::args::Lock as Args;
use super::files::{Project, collect, if_there, read};
use super::load::{check_bytes, complain_errors};
use super::output::{Output, complain, line};
use super::{Exit, Failure};
use crate::check::Embedded;
use crate::source::Sources;
use crate::trust::digest;
use crate::trust::lock::{Difference, LOCK_BYTES, Lock};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The name of the file, in the project's root.
const NAME: &str = "starr.lock";

/// Writes the lock of a project, or says how it differs.
pub fn lock(args: &Args, output: Output) -> Result<Exit, Failure> {
    let project = Project::of(&args.folder.join("any.starr"));
    let files = collect(&[project.root().to_path_buf()]).map_err(Failure::usage)?;
    let mut wanted = used(&Sources::default(), &project);
    for file in &files {
        let checked = check_bytes(read(file).map_err(Failure::usage)?, None);
        if complain_errors(&checked, output) {
            return Err(Failure::usage(format!(
                "{} is not valid: which modules it uses is not known, and nothing was written",
                file.display()
            )));
        }
        wanted.modules.append(&mut used(&checked.sources, &project).modules);
    }
    let path = project.root().join(NAME);
    let shown = path.display();
    let before = read_lock(&path).map_err(Failure::usage)?;
    let text = wanted.text();
    if !args.check {
        if before.as_deref() == Some(&text) {
            complain(&format!("{shown} is up to date"));
        } else {
            if before.is_none() {
                std::fs::File::create_new(&path)
                    .map_err(|problem| Failure::usage(format!("cannot make {shown}: {problem}")))?;
            }
            super::fmt::replace(&path, &text)
                .map_err(|problem| Failure::usage(format!("cannot write {shown}: {problem}")))?;
            complain(&format!(
                "wrote {shown}: {} pinned",
                super::check::count(wanted.modules.len(), "module", "modules")
            ));
        }
        return Ok(Exit::Good);
    }
    let have = match &before {
        Some(text) => Lock::parse(text).map_err(|problem| Failure::usage(format!("{shown}: {problem}")))?,
        None => Lock::default(),
    };
    let mut said: Vec<String> = have.compare(&wanted).iter().map(Difference::to_string).collect();
    for module in have
        .modules
        .keys()
        .filter(|module| !wanted.modules.contains_key(*module))
    {
        said.push(format!("the module `{module}` is in {NAME} and nothing uses it"));
    }
    match (&have.stdlib, &wanted.stdlib) {
        (None, _) => said.push(format!("{NAME} does not pin the standard library")),
        (Some((old, _)), Some((new, _))) if old != new => {
            said.push(format!(
                "{NAME} pins the standard library of starr {old}, this is {new}"
            ));
        }
        _ => {}
    }
    if output.json {
        line(&serde_json::json!({ "lock": path, "differences": said }).to_string());
    } else {
        said.iter().for_each(|difference| line(difference));
        if said.is_empty() {
            complain(&format!("{shown} is up to date"));
        }
    }
    Ok(if said.is_empty() { Exit::Good } else { Exit::Findings })
}

/// Compares what a program was made from with the lock of its project.
///
/// # Errors
/// Other content than what is pinned is refused, with both digests. A lock that cannot be read is refused as well. In CI, so is a
/// module that is not pinned.
pub fn check(sources: &Sources, path: &Path) -> Result<(), Failure> {
    let project = Project::of(path);
    let refused = |message: String| Failure {
        exit: Exit::Refused,
        message,
    };
    let file = project.root().join(NAME);
    let text = read_lock(&file).map_err(refused)?;
    let lock = match &text {
        Some(text) => Lock::parse(text).map_err(|problem| refused(format!("{}: {problem}", file.display())))?,
        None => Lock::default(),
    };
    let found = lock.compare(&used(sources, &project));
    let (changed, missing): (Vec<_>, Vec<_>) = found.into_iter().partition(Difference::is_change);
    let said = |all: &[Difference]| all.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ");
    if !changed.is_empty() {
        return Err(refused(format!(
            "{}. Look at what changed; `starr lock` pins the new content",
            said(&changed)
        )));
    }
    if !missing.is_empty() && in_ci() {
        return Err(refused(format!(
            "{}; run `starr lock` and commit the file",
            said(&missing)
        )));
    }
    Ok(())
}

/// Continuous integration says so by this variable, whichever it is.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The modules of the project among the texts of a program, and the standard library of this binary. The first text is the file
/// itself, which is signed and not pinned.
fn used(sources: &Sources, project: &Project) -> Lock {
    let modules = sources
        .iter()
        .skip(1)
        .filter_map(|(_, source)| {
            let module = project.module_of(source.path.as_deref()?)?;
            Some((module, digest(source.text.as_bytes())))
        })
        .collect();
    Lock {
        stdlib: Some((
            env!("CARGO_PKG_VERSION").to_owned(),
            Embedded::stdlib_digest().to_owned(),
        )),
        modules,
    }
}

/// SHA-256 of what a lock of exactly these modules would say; stands in every entry of a run.
pub fn modules_digest(sources: &Sources, path: &Path) -> [u8; 32] {
    Sha256::digest(used(sources, &Project::of(path)).text().as_bytes()).into()
}

/// The text of a lock; `None` when there is no such file.
///
/// # Errors
/// It is there and cannot be read.
pub fn read_lock(path: &Path) -> Result<Option<String>, String> {
    let named = path.display().to_string();
    if_there(path, &named, LOCK_BYTES, "1 MiB")?
        .map(|bytes| String::from_utf8(bytes).map_err(|_| format!("cannot read {named}: it is not UTF-8 text")))
        .transpose()
}
