//! Files as they were at a revision: read from git's objects, without touching the working tree.

use super::Failure;
use crate::check::{Embedded, Library, ModuleSource};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A commit, and the names of the files in it.
pub struct Revision {
    /// The top of the working tree.
    pub top: PathBuf,
    commit: String,
    /// Paths from the top, with `/` between.
    files: BTreeSet<String>,
}

/// Runs git with an argument vector. Nothing that the repository's configuration names is run by these commands.
fn git(folder: &Path, words: &[&str]) -> Result<Vec<u8>, Failure> {
    // Nothing of this process's environment but where programs and the user's git settings are found.
    let kept = ["PATH", "HOME", "XDG_CONFIG_HOME"]
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let output = Command::new("git")
        .arg("--no-pager")
        .args(words)
        .current_dir(folder)
        .env_clear()
        .envs(kept)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .map_err(|problem| Failure::usage(format!("cannot run git: {problem}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().next().unwrap_or("it ended with an error").to_owned();
    Err(Failure::usage(format!("git: {line}")))
}

impl Revision {
    /// The revision of the repository that `folder` lies in.
    pub fn open(folder: &Path, name: &str) -> Result<Self, Failure> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
        let top = PathBuf::from(text(git(folder, &["rev-parse", "--show-toplevel"])?));
        let wanted = format!("{name}^{{commit}}");
        let commit = git(
            folder,
            &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted],
        )
        .map(text)
        .map_err(|_| Failure::usage(format!("git knows no revision `{name}`")))?;
        let listed = git(&top, &["ls-tree", "-r", "-z", "--name-only", "--full-tree", &commit])?;
        let files = listed
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .filter_map(|name| String::from_utf8(name.to_vec()).ok())
            .collect();
        Ok(Self { top, commit, files })
    }

    /// The runbook files below these folders, or of this name; paths from the top.
    pub fn below(&self, paths: &[String]) -> BTreeSet<String> {
        self.files
            .iter()
            .filter(|file| file.ends_with(".starr"))
            .filter(|file| {
                paths.iter().any(|path| {
                    path.is_empty()
                        || *file == path
                        || file
                            .strip_prefix(path.as_str())
                            .is_some_and(|rest| rest.starts_with('/'))
                })
            })
            .cloned()
            .collect()
    }

    /// The bytes of a file, as it was; `None` when it was not there.
    pub fn bytes(&self, file: &str) -> Result<Option<Vec<u8>>, Failure> {
        if !self.files.contains(file) {
            return Ok(None);
        }
        let object = format!("{}:{file}", self.commit);
        git(&self.top, &["cat-file", "blob", &object]).map(Some)
    }

    /// The modules that a file of this revision can import.
    pub fn library(&self, file: &str) -> Modules<'_> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        let root = folder
            .ancestors()
            .find(|folder| {
                let lock = folder.join("starr.lock");
                self.files.contains(lock.to_string_lossy().as_ref())
            })
            .unwrap_or(Path::new(""));
        Modules {
            revision: self,
            root: root.to_path_buf(),
        }
    }
}

/// The modules of a project at a revision.
pub struct Modules<'a> {
    revision: &'a Revision,
    root: PathBuf,
}

impl Library for Modules<'_> {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        if let Some(embedded) = Embedded.module(path) {
            return Some(embedded);
        }
        crate::check::module_files(path).into_iter().find_map(|file| {
            let file = self.root.join(file);
            let name = file.to_str()?.to_owned();
            let bytes = self.revision.bytes(&name).ok()??;
            Some(ModuleSource {
                name,
                path: Some(file),
                bytes,
            })
        })
    }
}
