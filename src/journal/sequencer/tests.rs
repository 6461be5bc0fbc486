//! The writer over a storage whose durability is in the test's hand.

use super::*;
use crate::journal::storage::{Place, Reader, RunStanding, Storage};
use crate::journal::{Journal as _, RunHeader, Store, machine};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Tables in memory. A commit waits for the gate, as for a disk; then it holds, or fails.
struct Disk {
    gate: Semaphore,
    /// Commits that have begun, and that are durable.
    begun: AtomicUsize,
    durable: AtomicUsize,
    fails: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rows: Vec<NewRow>,
    place: Option<(Frontier, tree::Digest)>,
    runs: BTreeMap<String, RunStanding>,
}

impl Disk {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(open),
            begun: AtomicUsize::new(0),
            durable: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            kept: Mutex::default(),
        })
    }

    fn kinds(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.rows.iter().map(|row| row.entry.kind.clone()).collect()
    }
}

struct Disks(Arc<Disk>);

impl Storage for Disks {
    fn place(&self) -> String {
        "in memory".to_owned()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let writer: Box<dyn Writer> = Box::new(Head(self.0.clone()));
        Box::pin(async { Ok(writer) })
    }

    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        Box::pin(async { Err(words::message("in memory", "read it", "there is no reader", "")) })
    }

    fn backup<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

struct Head(Arc<Disk>);

impl Writer for Head {
    fn origin(&self) -> [u8; 16] {
        [7; 16]
    }

    fn begin<'a>(&'a mut self, runs: &'a [String]) -> BoxFuture<'a, Result<Place, Error>> {
        let kept = self.0.kept.lock().unwrap();
        let (frontier, previous) = kept.place.clone().unwrap_or_default();
        let found = kept.runs.iter().filter(|(id, _)| runs.contains(id));
        let place = Place {
            frontier,
            previous,
            runs: found.map(|(id, standing)| (id.clone(), *standing)).collect(),
        };
        Box::pin(async { Ok(place) })
    }

    fn checkpoint(&mut self, _: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async { Ok(None) })
    }

    fn commit(&mut self, change: Change) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            self.0.gate.acquire().await.unwrap().forget();
            if self.0.fails.load(Ordering::SeqCst) {
                return Err(words::message(
                    "in memory",
                    "record an entry",
                    "the sync failed",
                    "Look.",
                ));
            }
            let mut kept = self.0.kept.lock().unwrap();
            kept.rows.extend(change.rows);
            kept.place = change.head.or(kept.place.take());
            for lease in change.leases {
                let entries = kept.runs.get(&lease.run).map_or(0, |run| run.entries);
                let epoch = lease.epoch;
                kept.runs.insert(lease.run, RunStanding { entries, epoch });
            }
            for run in change.runs {
                kept.runs.get_mut(&run.id).unwrap().entries = run.entries;
            }
            self.0.durable.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    fn scrub(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async { Ok(true) })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// A machine whose wall clock can be set.
struct Clock {
    wall: AtomicI64,
    boot: AtomicI64,
}

impl Clock {
    fn pass(&self, seconds: i64) {
        self.wall.fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
        self.boot.fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
    }

    fn set(&self, seconds: i64) {
        self.wall.fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
    }
}

impl Machine for Clock {
    fn wall(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn since_boot(&self) -> u64 {
        u64::try_from(self.boot.load(Ordering::SeqCst)).unwrap()
    }

    fn boot_id(&self) -> String {
        "this start".to_owned()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        machine::System.fill(bytes)
    }

    fn runner(&self) -> Runner {
        Runner::default()
    }

    fn runs(&self, _: &Runner) -> Option<bool> {
        None
    }
}

async fn store(disk: &Arc<Disk>) -> Store {
    Store::over(Arc::new(Disks(disk.clone())), Arc::new(machine::System))
        .await
        .unwrap()
}

async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

const WRITERS: usize = 64;

async fn begun(store: &Store, disk: &Disk) -> Vec<crate::journal::Run> {
    disk.gate.add_permits(WRITERS);
    let begun = (0..WRITERS).map(|_| store.begin(RunHeader::default()));
    let runs = futures::future::join_all(begun).await;
    // Whatever the beginning did not use: from here on the gate is shut.
    disk.gate.forget_permits(usize::MAX >> 4);
    runs.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn no_entry_is_acknowledged_before_it_is_durable() {
    let disk = Disk::new(0);
    let store = store(&disk).await;
    let runs = begun(&store, &disk).await;
    let before = (disk.begun.load(Ordering::SeqCst), disk.durable.load(Ordering::SeqCst));
    let mut appends: Vec<_> = runs
        .iter()
        .map(|run| run.append("", &Event::NotPresent).boxed())
        .collect();
    for append in &mut appends {
        assert!(futures::poll!(append).is_pending());
    }
    settle().await;
    assert_eq!(disk.begun.load(Ordering::SeqCst), before.0 + 1, "one step is under way");
    for append in &mut appends {
        assert!(
            futures::poll!(append).is_pending(),
            "acknowledged, and nothing is durable"
        );
    }
    // The first step holds: exactly what it held is acknowledged.
    disk.gate.add_permits(1);
    settle().await;
    let mut acknowledged = Vec::new();
    let mut waiting = Vec::new();
    for mut append in appends {
        match futures::poll!(&mut append) {
            std::task::Poll::Ready(sequence) => acknowledged.push(sequence.unwrap()),
            std::task::Poll::Pending => waiting.push(append),
        }
    }
    let stored = disk.kinds().len();
    assert_eq!(acknowledged.len(), stored);
    assert!(stored >= 1);
    disk.gate.add_permits(WRITERS);
    acknowledged.extend(futures::future::join_all(waiting).await.into_iter().map(Result::unwrap));
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, (0..WRITERS as u64).collect::<Vec<_>>());
    assert_eq!(disk.kinds().len(), WRITERS);
    let steps = disk.durable.load(Ordering::SeqCst) - before.1;
    assert!(steps <= 2, "{steps} steps for {WRITERS} entries that waited together");
}

#[tokio::test]
async fn a_step_that_fails_fails_everybody_in_it_and_is_final() {
    let disk = Disk::new(0);
    let store = store(&disk).await;
    let runs = begun(&store, &disk).await;
    disk.fails.store(true, Ordering::SeqCst);
    disk.gate.add_permits(WRITERS);
    let appends = runs.iter().map(|run| run.append("", &Event::NotPresent));
    for answer in futures::future::join_all(appends).await {
        assert!(answer.unwrap_err().message.contains("the sync failed"));
    }
    disk.fails.store(false, Ordering::SeqCst);
    let tried = disk.begun.load(Ordering::SeqCst);
    let error = runs[0].append("", &Event::NotPresent).await.unwrap_err();
    assert!(error.message.starts_with("The journal failed before"), "{error}");
    assert!(store.begin(RunHeader::default()).await.is_err());
    assert_eq!(
        disk.begun.load(Ordering::SeqCst),
        tried,
        "a failed sync is not tried again"
    );
    assert!(disk.kinds().is_empty());
}

#[tokio::test]
async fn a_clock_that_is_set_becomes_an_entry_and_one_that_drifts_does_not() {
    let disk = Disk::new(100);
    let clock = Arc::new(Clock {
        wall: AtomicI64::new(1_800_000_000_000_000_000),
        boot: AtomicI64::new(5_000_000_000),
    });
    let store = Store::over(Arc::new(Disks(disk.clone())), clock.clone()).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    let note = Event::NotPresent;
    clock.pass(60);
    run.append("", &note).await.unwrap();
    clock.set(-3600);
    clock.pass(1);
    // The step comes first, in the same durable step.
    assert_eq!(run.append("child", &note).await, Ok(2));
    // Ten hours with a clock that is a few seconds fast.
    clock.pass(36_000);
    clock.set(20);
    run.append("", &note).await.unwrap();
    clock.set(7200);
    run.append("", &note).await.unwrap();
    let kept = disk.kept.lock().unwrap();
    let kinds: Vec<&str> = kept.rows.iter().map(|row| row.entry.kind.as_str()).collect();
    let present = "not_present";
    assert_eq!(kinds, [present, "clock_step", present, present, "clock_step", present]);
    let said = |index: usize| serde_json::from_slice::<Event>(&kept.rows[index].body).unwrap();
    assert_eq!(said(1), Event::ClockStep { seconds: -3600.0 });
    assert_eq!(said(4), Event::ClockStep { seconds: 7200.0 });
    assert_eq!(
        (kept.rows[1].entry.scope.as_str(), kept.rows[2].entry.scope.as_str()),
        ("", "child")
    );
    // Order and durations rest on what never goes back.
    let times: Vec<u64> = kept.rows.iter().map(|row| row.entry.boot_nanoseconds).collect();
    assert!(times.is_sorted());
    assert!(kept.rows[2].entry.wall_nanoseconds < kept.rows[0].entry.wall_nanoseconds);
}
