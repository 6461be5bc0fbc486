//! Files that a connection was made of: one that is renewed during a run is used from then on.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What tells a file from the one that was there when it was read: inode, when it was written, size. `None`: it cannot be looked at.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
}

/// Files as they were before they were read: one that is written meanwhile counts as another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(Vec<(PathBuf, Stamp)>);

impl Stamps {
    /// These files as they are now.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut stamps = Self::default();
        for path in paths {
            stamps.add(path);
        }
        stamps
    }

    /// One more, as it is now.
    pub fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// Whether all of them still are as they were.
    pub fn hold(&self) -> bool {
        self.0.iter().all(|(path, before)| stamp(path) == *before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_replaced_or_removed_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::write(&one, "a").unwrap();
        let before = Stamps::of([one.as_path(), two.as_path()]);
        assert!(before.hold());
        std::fs::write(&two, "b").unwrap();
        assert!(!before.hold(), "it is there now");
        let before = Stamps::of([one.as_path(), two.as_path()]);
        std::fs::rename(&two, &one).unwrap();
        assert!(!before.hold(), "another has its place");
        assert!(Stamps::of([one.as_path()]).hold());
    }
}
