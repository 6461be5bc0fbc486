//! Failures of the store in words: what was tried, what went wrong, what to do.

use super::files::{folder, may_write};
use crate::journal::{Error, words};
use std::path::Path;

/// An error of the database while `tried` was done, for example `record an entry`.
pub fn failure(path: impl AsRef<Path>, tried: &str, error: &sqlx::Error) -> Error {
    let (wrong, advice) = explain(path.as_ref(), error);
    message(path, tried, &wrong, advice)
}

/// True when a file is there, and this user may not write it or beside it.
fn only_read(path: &Path) -> bool {
    path.exists() && !(may_write(path) && may_write(folder(path)))
}

/// An error of the file system.
pub fn io_failure(path: &Path, tried: &str, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => {
            "Give this user write access to the file and its folder, or choose another journal."
        }
        ErrorKind::NotFound => "Check the path of the journal.",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FREE_SPACE,
        ErrorKind::ReadOnlyFilesystem => "Choose a journal on a file system that can be written.",
        _ => "Check the folder of the journal.",
    };
    message(path, tried, &error.to_string(), advice)
}

/// The three parts as one error.
pub fn message(path: impl AsRef<Path>, tried: &str, wrong: &str, advice: &str) -> Error {
    words::message(&path.as_ref().display().to_string(), tried, wrong, advice)
}

const FREE_SPACE: &str = "Free some space on that file system, then start again.";

fn explain(path: &Path, error: &sqlx::Error) -> (String, &'static str) {
    let code = match error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<u32>().ok()),
        _ => None,
    };
    let code = code.map(|code| code & 0xff);
    let (wrong, advice) = match code {
        // A file beside it that cannot be made: which of the two codes that is depends on what a process left there before.
        Some(8 | 14) if code == Some(8) || only_read(path) => (
            "it can only be read",
            "Give this user write access to the file and its folder, or choose another journal.",
        ),
        Some(5 | 6) => (
            "another process holds the journal and did not let go in time",
            "Look for a starr process that hangs on this journal.",
        ),
        Some(10) => (
            "the disk reported an error",
            "Do not trust the last entries; run `starr journal verify`, and check the disk before the next run.",
        ),
        Some(11) => (
            "the file is damaged",
            "Keep a copy of it as it is, run `starr journal verify`, and begin a new journal.",
        ),
        Some(13) => ("there is no space left", FREE_SPACE),
        Some(14) => (
            "the file cannot be opened",
            "Check that the folder exists and that this user may write in it.",
        ),
        Some(26) => (
            "the file is not a journal (not an SQLite database)",
            "Choose another path for the journal; this file is left as it is.",
        ),
        _ => {
            return (
                error.to_string(),
                "If this happens again, keep the file and report the message.",
            );
        }
    };
    (format!("{wrong} ({error})"), advice)
}
