//! The files of the store: the database, its write-ahead log and the shared memory through which processes take turns.

use super::error::{failure, io_failure, message};
use crate::journal::Error;
use crate::journal::machine::Machine;
use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Device and inode: what a path leads to, so that a deleted or replaced file is noticed.
type Identity = (u64, u64);

/// Where the journal lies, and what its paths led to when it was opened.
pub struct Files {
    pub path: PathBuf,
    pub machine: Arc<dyn Machine>,
    file: Identity,
    /// The write-ahead log and the shared memory, once they are there: while a process uses them nobody has a reason to remove
    /// them.
    beside: OnceLock<[Identity; 2]>,
}

/// File systems over a network, by the number with which the kernel names them. SQLite's write-ahead log needs memory that all
/// its processes share, and locks that hold.
#[cfg(target_os = "linux")]
const NETWORK: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
    (0x7461_636F, "OCFS2"),
];

impl Files {
    /// The files at this path, which are there.
    pub fn new(path: &Path, machine: Arc<dyn Machine>) -> Result<Self, Error> {
        let file = identity(path).map_err(|error| io_failure(path, "open it", &error))?;
        #[cfg(target_os = "linux")]
        if let Some(name) = rustix::fs::statfs(path)
            .ok()
            .and_then(|status| network(u32::try_from(status.f_type & 0xFFFF_FFFF).ok()?))
        {
            return Err(message(
                path,
                "open it",
                &format!("it lies on a network file system ({name}), where a write-ahead log is not safe"),
                "Choose a journal on a local file system, or keep it in PostgreSQL.",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            machine,
            file,
            beside: OnceLock::new(),
        })
    }

    /// The path, for people.
    pub fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the paths still lead to the files that were opened. SQLite would write on into files that nobody can find.
    pub fn still_there(&self) -> Result<(), Error> {
        let gone = |what: &str| {
            Err(message(
                &self.path,
                "record an entry",
                &format!("{what} was deleted or replaced while it was in use"),
                "What was recorded since then is lost; start again with a journal that stays in its place.",
            ))
        };
        if identity(&self.path).ok() != Some(self.file) {
            return gone("the file");
        }
        let now = ["-wal", "-shm"].map(|end| identity(&beside(&self.path, end)).ok());
        match (self.beside.get(), now) {
            (None, [Some(log), Some(memory)]) => {
                let _ = self.beside.set([log, memory]);
                Ok(())
            }
            (Some(known), [Some(log), Some(memory)]) if *known == [log, memory] => Ok(()),
            (Some([known, _]), [log, _]) if log == Some(*known) => gone("the file of its locks (`-shm`)"),
            (None, [Some(_), None]) => gone("the file of its locks (`-shm`)"),
            _ => gone("its write-ahead log (`-wal`)"),
        }
    }

    /// Whether the paths are known not to lead to the files that were opened.
    pub fn are_lost(&self) -> bool {
        identity(&self.path).ok() != Some(self.file) || self.beside.get().is_some() && self.still_there().is_err()
    }

    /// Whether nobody is writing and we could not: then even the file of locks that a look makes cannot be made, and none is needed.
    pub fn lies_still(&self) -> bool {
        let log = beside(&self.path, "-wal");
        // Who went away in the middle of closing it may have left a log in which nothing is.
        let left = || !beside(&self.path, "-shm").exists() && std::fs::metadata(&log).is_ok_and(|log| log.len() == 0);
        (!log.exists() || left()) && !may_write(folder(&self.path))
    }

    /// A failure in words. Where a lock could not be had, a lock of our own tells a busy journal from a file system without locks.
    pub fn diagnose(&self, tried: &str, error: &sqlx::Error) -> Error {
        let busy = matches!(error, sqlx::Error::Database(error)
            if error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 15)));
        if busy && let Err(refusal) = lock_beside(&self.path) {
            return message(
                &self.path,
                tried,
                &format!("the file system of the journal does not lock files ({refusal})"),
                "Without locks two processes would write over each other: choose a journal on a local file system, or keep it in \
                 PostgreSQL.",
            );
        }
        failure(&self.path, tried, error)
    }
}

/// The name of a network file system.
#[cfg(target_os = "linux")]
fn network(number: u32) -> Option<&'static str> {
    NETWORK
        .iter()
        .find(|(known, _)| *known == number)
        .map(|(_, name)| *name)
}

/// The folder in which a file lies.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Whether this user may write in a folder, or a file.
pub fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// Takes and gives back a lock on a file of our own in the same folder. Never on the journal itself: closing a file gives up
/// all locks that this process has on it.
fn lock_beside(path: &Path) -> std::io::Result<()> {
    let probe = beside(path, &format!("-lock-{}", std::process::id()));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&probe)?;
    let locked = match file.try_lock() {
        Ok(()) | Err(std::fs::TryLockError::WouldBlock) => Ok(()),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    };
    std::fs::remove_file(&probe)?;
    locked
}

fn identity(path: &Path) -> std::io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    Ok((metadata.dev(), metadata.ino()))
}

/// Makes the file and its folder when they are not there.
pub fn make(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.exists() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        // The name itself must outlive a loss of power.
        Ok(_) => std::fs::File::open(folder)?.sync_all(),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_known_by_its_number() {
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xFF53_4D42), Some("CIFS"));
        // ext4, tmpfs, overlay
        for local in [0xEF53, 0x0102_1994, 0x794C_7630] {
            assert_eq!(network(local), None);
        }
    }

    #[test]
    fn a_local_file_system_locks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        lock_beside(&path).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
