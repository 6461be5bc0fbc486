//! File systems that can fill up.

use super::parse::{self, Mount};
use super::source::{Found, Machine};
use crate::providers::detached::detached;
use crate::value::{List, Reason, Unknown, Value};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most file systems that are listed.
const MOST: usize = crate::limits::HOST_FILE_SYSTEMS;

/// Longest wait for one file system.
const EACH: Duration = crate::limits::HOST_FILE_SYSTEM_WAIT;

/// Kinds that hold no files of anybody, or show the kernel's own state.
const PSEUDO: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Kinds that are written once and always full.
const IMAGES: &[&str] = &["cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"];

/// Mount points with questions that were given up and have not come back yet, each with the mark that
/// says so when it has. They are not asked again, so that a
/// hung server does not collect threads.
pub type Hanging = Arc<Mutex<BTreeMap<PathBuf, Vec<Arc<AtomicBool>>>>>;

/// The mounts to ask: real ones, each device once, by its shortest mount point.
pub fn real(mounts: Vec<Mount>) -> Vec<Mount> {
    let below = |mount: &Mount, folder: &str| mount.point.starts_with(folder);
    // A later mount at the same point covers the earlier one, which cannot be reached any more.
    let visible: BTreeMap<std::path::PathBuf, Mount> =
        mounts.into_iter().map(|mount| (mount.point.clone(), mount)).collect();
    let mut by_device: BTreeMap<String, Mount> = BTreeMap::new();
    for mount in visible.into_values() {
        let kind = mount.kind.as_str();
        if PSEUDO.contains(&kind) || IMAGES.contains(&kind) || below(&mount, "/proc") || below(&mount, "/sys") {
            continue;
        }
        let length = mount.point.as_os_str().len();
        match by_device.entry(mount.device_number.clone()) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(mount);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                if length < place.get().point.as_os_str().len() {
                    place.insert(mount);
                }
            }
        }
    }
    let mut found: Vec<Mount> = by_device.into_values().collect();
    found.sort_by(|a, b| a.point.cmp(&b.point));
    found
}

/// How long one file system is waited for: the time for all must leave time to answer.
fn patience(within: Duration) -> Duration {
    EACH.min(within.mul_f64(0.4))
}

/// `host.filesystems`
pub async fn list(machine: &Machine, hanging: &Hanging, within: Duration) -> Found<Value> {
    let each = patience(within);
    let reader = machine.clone();
    let bytes = detached("/proc/self/mountinfo", within, move || reader.proc("self/mountinfo")).await??;
    let mut mounts = real(parse::mounts(&bytes)?);
    let truncated = mounts.len() > MOST;
    mounts.truncate(MOST);
    let items = futures::stream::iter(mounts)
        .map(|mount| async move {
            match numbers(&mount, hanging, each).await {
                Ok(numbers) if numbers.blocks == 0 => None,
                Ok(numbers) => Some(shown(&mount, Ok(&numbers))),
                Err(problem) => Some(shown(&mount, Err(&problem))),
            }
        })
        .buffered(16)
        .filter_map(futures::future::ready)
        .collect()
        .await;
    Ok(Value::List(Arc::new(List { items, truncated })))
}

/// What a file system says of itself, in the terms of statvfs(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Bytes of a block.
    pub block: u64,
    pub blocks: u64,
    pub free: u64,
    /// Free for users other than root.
    pub available: u64,
    pub inodes: u64,
    pub inodes_free: u64,
}

async fn numbers(mount: &Mount, hanging: &Hanging, within: Duration) -> Result<Numbers, Unknown> {
    let point = mount.point.clone();
    ask(&mount.point, hanging, within, move || {
        rustix::fs::statvfs(&point)
            .map(|found| Numbers {
                block: found.f_frsize,
                blocks: found.f_blocks,
                free: found.f_bfree,
                available: found.f_bavail,
                inodes: found.f_files,
                inodes_free: found.f_ffree,
            })
            .map_err(|problem| super::source::file_problem(&point, &problem.into()))
    })
    .await
}

/// Asks on a thread of its own. A question that was given up keeps its mount point among the hanging ones until it comes back.
async fn ask(
    point: &Path,
    hanging: &Hanging,
    within: Duration,
    question: impl FnOnce() -> Result<Numbers, Unknown> + Send + 'static,
) -> Result<Numbers, Unknown> {
    let held = || hanging.lock().unwrap_or_else(PoisonError::into_inner);
    if held().contains_key(point) {
        return Err(Unknown {
            reason: Reason::Timeout,
            detail: format!("{} still does not answer an earlier question", point.display()),
        });
    }
    let asked = Asked {
        hanging: hanging.clone(),
        point: point.to_owned(),
        over: Arc::default(),
    };
    let over = asked.over.clone();
    let what = format!("the file system at {}", point.display());
    let answer = detached(&what, within, move || {
        let _asked = asked;
        question()
    })
    .await;
    if matches!(&answer, Err(problem) if problem.reason == Reason::Timeout) {
        let mut held = held();
        // It may have come back just now; then nothing would ever take it out again.
        if !over.load(Ordering::Acquire) {
            held.entry(point.to_owned()).or_default().push(over);
        }
    }
    answer?
}

/// Lives as long as the question: on the thread that may hang.
struct Asked {
    hanging: Hanging,
    point: PathBuf,
    /// Set, with the list locked, when the question has come back.
    over: Arc<AtomicBool>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        self.over.store(true, Ordering::Release);
        if let Some(given_up) = hanging.get_mut(&self.point) {
            given_up.retain(|over| !over.load(Ordering::Acquire));
            if given_up.is_empty() {
                hanging.remove(&self.point);
            }
        }
    }
}

/// A file system as a value; without numbers it stays in the list, and they are unknown.
pub fn shown(mount: &Mount, numbers: Result<&Numbers, &Unknown>) -> Value {
    let each = |known: &dyn Fn(&Numbers) -> Value| match numbers {
        Ok(numbers) => known(numbers),
        Err(problem) => Value::Unknown(Arc::new(problem.clone())),
    };
    let size = |blocks: u64, numbers: &Numbers| Value::bytes(blocks.saturating_mul(numbers.block));
    // Some file systems make inodes as they need them and report none.
    let inodes = |known: &dyn Fn(&Numbers) -> Value| {
        each(&|numbers| {
            if numbers.inodes == 0 {
                Value::None
            } else {
                known(numbers)
            }
        })
    };
    Value::record(
        "Filesystem",
        vec![
            ("mount", Value::text(mount.point.to_string_lossy())),
            ("device", Value::text(mount.device.as_str())),
            ("kind", Value::text(mount.kind.as_str())),
            ("total", each(&|numbers| size(numbers.blocks, numbers))),
            ("free", each(&|numbers| size(numbers.available, numbers))),
            (
                "used",
                each(&|numbers| {
                    // As df counts: the part that is kept for root is neither used nor free.
                    let used = numbers.blocks.saturating_sub(numbers.free) as f64;
                    Value::ratio(used / (used + numbers.available as f64))
                }),
            ),
            ("inodes", inodes(&|numbers| super::numbers::count(numbers.inodes))),
            (
                "inodes_free",
                inodes(&|numbers| super::numbers::count(numbers.inodes_free)),
            ),
            (
                "inodes_used",
                inodes(&|numbers| {
                    let used = numbers.inodes.saturating_sub(numbers.inodes_free) as f64;
                    Value::ratio(used / numbers.inodes as f64)
                }),
            ),
            ("read_only", Value::Bool(mount.read_only)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{Hanging, MOST, Numbers, ask, list, patience, real, shown};
    use crate::providers::host::parse;
    use crate::providers::host::source::Machine;
    use crate::value::{Reason, Unknown, Value};
    use std::path::Path;
    use std::time::Duration;

    const NUMBERS: Numbers = Numbers {
        block: 4096,
        blocks: 1000,
        free: 100,
        available: 50,
        inodes: 0,
        inodes_free: 0,
    };

    #[tokio::test]
    async fn more_file_systems_than_are_listed_are_a_list_that_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("self")).unwrap();
        let machine = Machine {
            proc: folder.path().to_owned(),
            ..Machine::default()
        };
        for (count, cut) in [(MOST, false), (MOST + 1, true)] {
            let mounts: String = (0..count)
                .map(|number| format!("{number} 1 8:{number} / /no/such/{number} rw - ext4 /dev/x{number} rw\n"))
                .collect();
            std::fs::write(folder.path().join("self/mountinfo"), mounts).unwrap();
            let found = list(&machine, &Hanging::default(), Duration::from_secs(60))
                .await
                .unwrap();
            let found = found.as_list().unwrap();
            assert_eq!((found.items.len(), found.truncated), (MOST, cut));
        }
    }

    #[tokio::test]
    async fn a_mount_that_hangs_is_not_asked_again_until_it_comes_back() {
        let hanging = Hanging::default();
        let point = Path::new("/srv/nfs");
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let hung = ask(point, &hanging, Duration::from_millis(10), move || {
            let _ = hold.recv();
            Ok(NUMBERS)
        });
        assert_eq!(hung.await.unwrap_err().reason, Reason::Timeout);
        let long = Duration::from_secs(20);
        let again = ask(point, &hanging, long, || panic!("asked again")).await.unwrap_err();
        assert!(again.detail.contains("earlier question"), "{again}");
        drop(release);
        let deadline = std::time::Instant::now() + long;
        while !hanging.lock().unwrap().is_empty() {
            assert!(std::time::Instant::now() < deadline, "it never came back");
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(point, &hanging, long, || Ok(NUMBERS)).await, Ok(NUMBERS));
    }

    #[tokio::test]
    async fn two_questions_at_once_are_both_answered() {
        let hanging = Hanging::default();
        let point = Path::new("/");
        let (first, wait) = std::sync::mpsc::channel::<()>();
        let long = Duration::from_secs(20);
        let slow = ask(point, &hanging, long, move || {
            let _ = wait.recv();
            Ok(NUMBERS)
        });
        let quick = async {
            let answer = ask(point, &hanging, long, || Ok(NUMBERS)).await;
            drop(first);
            answer
        };
        assert_eq!(futures::join!(slow, quick), (Ok(NUMBERS), Ok(NUMBERS)));
    }

    #[tokio::test]
    async fn a_file_system_that_does_not_answer_is_waited_for_only_so_long() {
        let (answer, wait) = std::sync::mpsc::channel::<()>();
        let since = std::time::Instant::now();
        let hanging = Hanging::default();
        let hung = ask(
            Path::new("/srv/nfs"),
            &hanging,
            patience(Duration::from_secs(60)),
            move || {
                let _ = wait.recv();
                Ok(NUMBERS)
            },
        );
        assert_eq!(hung.await.unwrap_err().reason, Reason::Timeout);
        assert!(since.elapsed() >= crate::limits::HOST_FILE_SYSTEM_WAIT);
        assert!(since.elapsed() < Duration::from_secs(24), "{:?}", since.elapsed());
        drop(answer);
        // A call that has little time waits less, so that there is time to answer.
        assert_eq!(patience(Duration::from_secs(1)), Duration::from_millis(400));
    }

    const MOUNTS: &str = "\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw - proc proc rw
23 21 0:21 / /sys rw - sysfs sysfs rw
24 21 0:22 / /run rw - tmpfs tmpfs rw
25 21 8:1 /var/lib/docker /var/lib/docker rw - ext4 /dev/sda1 rw
26 21 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
27 21 0:50 / /srv/nfs rw - nfs4 server:/export rw
28 22 0:60 / /proc/acpi ro - tmpfs tmpfs ro
29 21 0:61 / /misc rw - autofs systemd-1 rw
";

    #[test]
    fn a_mount_that_another_one_covers_is_not_asked_twice() {
        let covered = "24 0 0:23 / /dev/shm rw - tmpfs tmpfs rw\n30 24 0:27 / /dev/shm rw - tmpfs tmpfs rw\n";
        let found = real(parse::mounts(covered.as_bytes()).unwrap());
        let numbers: Vec<&str> = found.iter().map(|mount| mount.device_number.as_str()).collect();
        assert_eq!(numbers, ["0:27"]);
    }

    #[test]
    fn only_what_can_fill_up_is_asked_and_each_device_once() {
        let found = real(parse::mounts(MOUNTS.as_bytes()).unwrap());
        let points: Vec<_> = found.iter().map(|mount| mount.point.to_str().unwrap()).collect();
        assert_eq!(points, ["/", "/run", "/srv/nfs"]);
    }

    #[test]
    fn the_used_share_is_that_of_df_and_a_hung_one_stays_in_the_list() {
        let mount = real(parse::mounts(MOUNTS.as_bytes()).unwrap()).remove(2);
        let value = shown(&mount, Ok(&NUMBERS));
        let field = |name| value.as_record().unwrap().get(name).cloned().unwrap();
        assert_eq!(field("used"), Value::Ratio(900.0 / 950.0));
        assert_eq!(field("free"), Value::Bytes(50 * 4096));
        assert_eq!(field("inodes_used"), Value::None);
        let hung = Unknown {
            reason: Reason::Timeout,
            detail: String::new(),
        };
        let value = shown(&mount, Err(&hung));
        let field = |name| value.as_record().unwrap().get(name).cloned().unwrap();
        assert_eq!(field("mount"), Value::text("/srv/nfs"));
        for name in ["used", "free", "inodes_used"] {
            assert_eq!(field(name).as_unknown().unwrap().reason, Reason::Timeout, "{name}");
        }
    }
}
