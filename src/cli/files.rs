//! Which files a command works on, and where a project's modules lie.

use crate::check::{Embedded, Library, ModuleSource};
use crate::syntax::limits::FILE_BYTES;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Deepest folder that is searched for runbooks.
const FOLDER_DEPTH: usize = crate::limits::FOLDER_DEPTH;

/// A file as it was read: exactly once, these bytes and no others are checked and run.
#[derive(Debug)]
pub struct Bytes {
    /// As the user named it.
    pub name: String,
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

/// Reads a file, one byte more than the limit at most, so that the parser can say that it is too large.
pub fn read(path: &Path) -> Result<Bytes, String> {
    let name = path.display().to_string();
    let status = std::fs::metadata(path).map_err(|problem| format!("cannot read {name}: {problem}"))?;
    if !status.is_file() {
        return Err(format!("{name} is not a file"));
    }
    let file = std::fs::File::open(path).map_err(|problem| format!("cannot read {name}: {problem}"))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|problem| format!("cannot read {name}: {problem}"))?;
    Ok(Bytes {
        name,
        path: path.to_path_buf(),
        bytes,
    })
}

/// The bytes of a file; `None` when there is no such file. `named` is what it is called, `size` the limit in words.
///
/// # Errors
/// It is there and cannot be read, or is larger than the limit.
pub fn if_there(path: &Path, named: &str, most: u64, size: &str) -> Result<Option<Vec<u8>>, String> {
    let cannot = |problem: std::io::Error| format!("cannot read {named}: {problem}");
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(cannot(problem)),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(format!("{named} is larger than {size}"));
    }
    Ok(Some(bytes))
}

/// Sees that a file of the configuration can be trusted where this runbook is concerned: whoever writes a runbook must not be able
/// to write it.
///
/// # Errors
/// It cannot be opened, lies in the folder of the runbook, or can be written by others. `what` says what it is.
pub fn outside(file: &Path, runbook: Option<&Path>, what: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let shown = file.display();
    let real = file
        .canonicalize()
        .map_err(|problem| format!("cannot open the {what} {shown}: {problem}"))?;
    let folder = runbook.and_then(|runbook| Some(runbook.canonicalize().ok()?.parent()?.to_path_buf()));
    if folder.is_some_and(|folder| real.starts_with(folder)) {
        return Err(format!(
            "the {what} {shown} lies in the folder of the runbook; whoever writes a runbook may not write its {what}"
        ));
    }
    let mode = std::fs::metadata(&real)
        .map(|status| status.permissions().mode())
        .unwrap_or(0o777);
    if mode & 0o022 != 0 {
        return Err(format!(
            "the {what} {shown} can be written by others; run: chmod go-w {shown}"
        ));
    }
    Ok(())
}

/// The `.starr` files among and below these paths, sorted. Hidden folders, `target`, and links to folders are left out; a
/// path that is named is always taken.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        let status = std::fs::metadata(path).map_err(|problem| format!("cannot read {}: {problem}", path.display()))?;
        if status.is_dir() {
            below(path, 0, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn below(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if depth > FOLDER_DEPTH {
        return Err(format!(
            "{} lies more than {FOLDER_DEPTH} folders deep",
            folder.display()
        ));
    }
    let entries =
        std::fs::read_dir(folder).map_err(|problem| format!("cannot read {}: {problem}", folder.display()))?;
    for entry in entries {
        let entry = entry.map_err(|problem| format!("cannot read {}: {problem}", folder.display()))?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        let Ok(kind) = entry.file_type() else { continue };
        // `./a` is shown as `a`, as people type it.
        let path = entry.path();
        let path = path.strip_prefix("./").map_or(path.clone(), Path::to_path_buf);
        if kind.is_dir() && !hidden && name != "target" && name != "node_modules" {
            below(&path, depth + 1, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "starr") {
            found.push(path);
        }
    }
    Ok(())
}

/// The modules a runbook can import: the embedded ones, and those below the project's root.
pub struct Project {
    root: PathBuf,
    /// Whether scenarios are looked at.
    scenarios: bool,
}

/// What stands between the name of a runbook's file and `.starr` in the names of the files with its scenarios.
const SCENARIOS: &str = ".scenarios";

/// The file of the runbook that a file of scenarios belongs to: `a.starr` for `a.scenarios.starr`.
fn runbook_of(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    let runbook = path.with_file_name(format!("{}.starr", stem.strip_suffix(SCENARIOS)?));
    runbook.is_file().then_some(runbook)
}

/// The files with each file of scenarios replaced by the runbook it belongs to, which is checked and tested with it.
pub fn runbooks(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = paths
        .into_iter()
        .map(|path| runbook_of(&path).unwrap_or(path))
        .collect();
    all.sort();
    all.dedup();
    all
}

impl Project {
    /// The project a file belongs to: the nearest folder above it that holds `starr.lock` or `.git`, or else its own folder.
    pub fn of(file: &Path) -> Self {
        let folder = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let root = absolute
            .ancestors()
            .find(|folder| folder.join("starr.lock").exists() || folder.join(".git").exists())
            .unwrap_or(&absolute);
        Self {
            root: root.to_path_buf(),
            scenarios: false,
        }
    }

    /// As [`Project::of`], for whoever looks at scenarios too.
    pub fn with_scenarios(file: &Path) -> Self {
        Self {
            scenarios: true,
            ..Self::of(file)
        }
    }

    /// The folder below which modules lie.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The module that a file of this project is: `a.b_c` for `a/b_c.starr` and `a/b-c.starr`; `None` for a file outside.
    pub fn module_of(&self, file: &Path) -> Option<String> {
        let relative = file.strip_prefix(self.root.canonicalize().ok()?).ok()?;
        let name = relative.to_str()?.strip_suffix(".starr")?;
        // A name with a dot in it, such as that of a file with scenarios, is no module.
        let (folder, file) = name
            .rsplit_once('/')
            .map_or(("", name), |(folder, file)| (folder, file));
        let file = file.replace('-', "_");
        (!name.contains('.')).then(|| match folder {
            "" => file,
            _ => format!("{}.{file}", folder.replace('/', ".")),
        })
    }

    /// The file of a module, if it lies inside the root after links are followed.
    fn find(&self, module: &str) -> Option<PathBuf> {
        let root = self.root.canonicalize().ok()?;
        let found = |file: PathBuf| self.root.join(file).canonicalize().ok();
        let real = crate::check::module_files(module).into_iter().find_map(found)?;
        real.starts_with(root).then_some(real)
    }
}

impl Library for Project {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        if let Some(embedded) = Embedded.module(path) {
            return Some(embedded);
        }
        let file = self.find(path)?;
        let bytes = read(&file).ok()?;
        let name = file.strip_prefix(&self.root).unwrap_or(&file).display().to_string();
        Some(ModuleSource {
            name,
            path: Some(file),
            bytes: bytes.bytes,
        })
    }

    fn scenarios(&self, file: Option<&Path>) -> Option<Vec<ModuleSource>> {
        if !self.scenarios {
            return None;
        }
        let beside = file.and_then(|file| {
            let stem = file.file_stem()?.to_str()?;
            let path = file.with_file_name(format!("{stem}{SCENARIOS}.starr"));
            let bytes = read(&path).ok()?;
            Some(ModuleSource {
                name: bytes.name,
                path: Some(path),
                bytes: bytes.bytes,
            })
        });
        Some(beside.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{Project, collect};
    use crate::check::Library;

    #[test]
    fn modules_stay_inside_the_root() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.starr"), "module secret \"s\"\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("starr.lock"), "").unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("team.starr"), "module team \"t\"\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.starr"), folder.path().join("link.starr")).unwrap();
        let project = Project::of(&folder.path().join("a/book.starr"));
        assert_eq!(project.module("team").unwrap().name, "team.starr");
        std::fs::write(folder.path().join("a/roll-back.starr"), "module a.roll_back \"r\"\n").unwrap();
        let hyphen = project.module("a.roll_back").unwrap();
        assert_eq!(hyphen.name, "a/roll-back.starr");
        assert_eq!(project.module_of(&hyphen.path.unwrap()).unwrap(), "a.roll_back");
        std::fs::write(folder.path().join("a/roll_back.starr"), "module a.roll_back \"r\"\n").unwrap();
        assert_eq!(project.module("a.roll_back").unwrap().name, "a/roll_back.starr");
        assert!(project.module("link").is_none());
        assert!(project.module("../secret").is_none());
        assert!(project.module("..secret").is_none());
        assert!(project.module("/etc/passwd").is_none());
    }

    #[test]
    fn hidden_and_built_folders_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for path in [".git", "target", "b", "a"] {
            std::fs::create_dir(folder.path().join(path)).unwrap();
            std::fs::write(folder.path().join(path).join("x.starr"), "").unwrap();
        }
        std::fs::write(folder.path().join("a/x.txt"), "").unwrap();
        let found = collect(&[folder.path().to_path_buf()]).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["a/x.starr", "b/x.starr"]);
    }
}
