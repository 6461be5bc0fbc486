//! Where the facts of a machine are read: the kernel's files, bounded, with every failure named.

use crate::value::{Reason, Unknown};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Something read, or why it is not known.
pub type Found<T> = Result<T, Unknown>;

/// Largest kernel file that is read, in bytes. A longer one is not used in part.
const FILE_BYTES: u64 = crate::limits::HOST_FILE_BYTES;

/// Not known.
pub fn unknown<T>(reason: Reason, detail: impl Into<String>) -> Found<T> {
    Err(Unknown {
        reason,
        detail: detail.into(),
    })
}

/// Why a file of the kernel could not be read.
pub fn file_problem(path: &Path, problem: &std::io::Error) -> Unknown {
    let reason = match problem.kind() {
        std::io::ErrorKind::PermissionDenied => Reason::Denied,
        std::io::ErrorKind::InvalidData => Reason::Unparsable,
        _ => Reason::Unavailable,
    };
    Unknown {
        reason,
        detail: format!("{}: {problem}", path.display()),
    }
}

/// The folders a machine's facts are read from. Tests give others.
#[derive(Clone, Debug)]
pub struct Machine {
    pub proc: PathBuf,
    pub etc: PathBuf,
    pub dev: PathBuf,
    pub run: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            etc: "/etc".into(),
            dev: "/dev".into(),
            run: "/run".into(),
        }
    }
}

impl Machine {
    /// The whole content of a file below `/proc`.
    pub fn proc(&self, path: &str) -> Found<Vec<u8>> {
        read(&self.proc.join(path))
    }

    /// The content of `/etc/passwd`, or nothing: without it people are shown by number.
    pub fn users(&self) -> Users {
        Users::parse(&read(&self.etc.join("passwd")).unwrap_or_default())
    }
}

/// The whole content of a file.
///
/// # Errors
/// `Denied`, `Unavailable` (not there), or `Truncated` when it is larger than 8 MiB.
pub fn read(path: &Path) -> Found<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|problem| file_problem(path, &problem))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|problem| file_problem(path, &problem))?;
    if bytes.len() as u64 > FILE_BYTES {
        return unknown(
            Reason::Truncated,
            format!("{} is longer than {} MiB", path.display(), FILE_BYTES / 1024 / 1024),
        );
    }
    Ok(bytes)
}

/// Names of the local users.
#[derive(Clone, Debug, Default)]
pub struct Users(std::collections::BTreeMap<u32, String>);

impl Users {
    /// Reads the form of `/etc/passwd`; lines that do not fit are left out.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut names = std::collections::BTreeMap::new();
        for line in String::from_utf8_lossy(bytes).lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next())
                && let Ok(number) = number.parse()
                && !name.is_empty()
            {
                names.entry(number).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }

    /// The user's name, or the number where the machine's own file has none.
    pub fn name(&self, number: u32) -> String {
        self.0.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::{FILE_BYTES, Reason, read};

    #[test]
    fn a_file_of_the_kernel_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(FILE_BYTES).unwrap();
        assert_eq!(read(&path).map(|bytes| bytes.len() as u64), Ok(FILE_BYTES));
        file.set_len(FILE_BYTES + 1).unwrap();
        assert_eq!(read(&path).unwrap_err().reason, Reason::Truncated);
    }
}
