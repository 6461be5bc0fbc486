//! A store in memory under the real sequencing writer: steps that are lost, steps that are there although they failed, processes
//! that end or stand still at a step, and a machine whose clock somebody sets.

use super::outside::Wall;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt};
use starr::engine::world::Clock;
use starr::journal::Error;
use starr::journal::event::Event;
use starr::journal::lease::Runner;
use starr::journal::machine::Machine;
use starr::journal::storage::{
    Change, LeaseChange, LeaseRow, Misfit, NewRow, Place, Reader, RunChange, RunStanding, Storage, Which, Writer,
    signed,
};
use starr::journal::tree::{Digest, Frontier};
use starr::journal::verify::{CheckpointRow, Head, Row, RunRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sync fails, and nothing of the step is there.
    Failed,
    /// The sync fails, and all of it is there nevertheless.
    FailedLate,
    /// The process ends while it writes; what was torn is not there after the restart.
    Torn,
    /// The process ends when it is written and nobody was told.
    Ended,
    /// The store cannot be reached: no step begins any more.
    Refused,
    /// The process stands still before it begins, as when its machine sleeps.
    Paused,
}

#[derive(Default)]
struct Tables {
    rows: Vec<NewRow>,
    place: (Frontier, Digest),
    runs: BTreeMap<String, RunChange>,
    leases: BTreeMap<String, (LeaseChange, bool)>,
    checkpoints: Vec<CheckpointRow>,
}

/// The tables, and what is to happen to whom.
pub struct Disk {
    tables: Mutex<Tables>,
    /// By process: after so many steps, this.
    plans: Mutex<BTreeMap<u32, (usize, Fault)>>,
    /// Processes that are there.
    pub alive: Mutex<BTreeSet<u32>>,
    /// A process ended or stands still.
    pub struck: Notify,
    /// Processes that stand still go on.
    pub go_on: Notify,
    /// Whether they may.
    released: Mutex<bool>,
    /// Looks at the world when the store fails.
    witness: Mutex<Option<Box<dyn Fn() -> usize + Send>>>,
    /// What was seen then, last.
    pub witnessed: Mutex<Option<usize>>,
}

impl Disk {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            tables: Mutex::default(),
            plans: Mutex::default(),
            alive: Mutex::default(),
            struck: Notify::new(),
            go_on: Notify::new(),
            released: Mutex::new(false),
            witness: Mutex::default(),
            witnessed: Mutex::default(),
        })
    }

    /// Whenever the store fails, looks at this.
    pub fn watch(&self, witness: impl Fn() -> usize + Send + 'static) {
        *self.witness.lock().unwrap() = Some(Box::new(witness));
    }

    pub fn plan(&self, process: u32, steps: usize, fault: Fault) {
        self.plans.lock().unwrap().insert(process, (steps, fault));
    }

    /// What happens to this process now, once.
    fn fault(&self, process: u32, at: impl Fn(Fault) -> bool, counts: bool) -> Option<Fault> {
        let mut plans = self.plans.lock().unwrap();
        let (left, fault) = plans.get_mut(&process)?;
        if counts && *left > 0 {
            *left -= 1;
        }
        if *left == 0 && at(*fault) {
            let fault = *fault;
            plans.remove(&process);
            *self.witnessed.lock().unwrap() = self.witness.lock().unwrap().as_ref().map(|look| look());
            return Some(fault);
        }
        None
    }

    pub fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.go_on.notify_waiters();
    }

    pub fn entries(&self) -> usize {
        self.tables.lock().unwrap().rows.len()
    }

    /// What is recorded, oldest first, with the wall time in nanoseconds and the epoch.
    pub fn recorded(&self) -> Vec<(i64, u64, String, Event)> {
        let tables = self.tables.lock().unwrap();
        let read = |row: &NewRow| {
            let event: Event = serde_json::from_slice(&row.body).unwrap();
            (
                row.entry.wall_nanoseconds,
                row.entry.epoch,
                row.entry.scope.clone(),
                event,
            )
        };
        tables.rows.iter().map(read).collect()
    }

    pub fn events(&self) -> Vec<(String, Event)> {
        let recorded = self.recorded().into_iter();
        recorded.map(|(_, _, scope, event)| (scope, event)).collect()
    }

    /// Loses the last rows and keeps what the head says of them, as nothing that keeps its word does.
    pub fn tear(&self, rows: usize) {
        let mut tables = self.tables.lock().unwrap();
        let left = tables.rows.len().saturating_sub(rows);
        tables.rows.truncate(left);
    }
}

/// The disk as one process has it.
pub struct Mounted {
    pub disk: Arc<Disk>,
    pub process: u32,
}

fn problem(what: &str) -> Error {
    Error {
        message: format!("Journal in memory: {what}"),
    }
}

impl Storage for Mounted {
    fn place(&self) -> String {
        "in memory".to_owned()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        let hand: Box<dyn Writer> = Box::new(Hand {
            disk: self.disk.clone(),
            process: self.process,
        });
        Box::pin(std::future::ready(Ok(hand)))
    }

    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        let eye: Box<dyn Reader> = Box::new(Eye(self.disk.clone()));
        Box::pin(std::future::ready(Ok(eye)))
    }

    fn backup<'a>(&'a self, _: &'a Path) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Err(problem("there are no copies"))))
    }
}

struct Hand {
    disk: Arc<Disk>,
    process: u32,
}

impl Writer for Hand {
    fn origin(&self) -> [u8; 16] {
        [7; 16]
    }

    fn begin<'a>(&'a mut self, runs: &'a [String]) -> BoxFuture<'a, Result<Place, Error>> {
        Box::pin(async move {
            let here = |fault| matches!(fault, Fault::Paused | Fault::Refused);
            match self.disk.fault(self.process, here, true) {
                Some(Fault::Refused) => return Err(problem("there is no connection")),
                Some(_) => self.stand_still().await,
                None => {}
            }
            let tables = self.disk.tables.lock().unwrap();
            let standing = |id: &String| {
                let row = tables.runs.get(id)?;
                let epoch = tables.leases.get(id).map_or(0, |(lease, _)| lease.epoch);
                let entries = row.entries;
                Some((id.clone(), RunStanding { entries, epoch }))
            };
            Ok(Place {
                frontier: tables.place.0.clone(),
                previous: tables.place.1,
                runs: runs.iter().filter_map(standing).collect(),
            })
        })
    }

    fn checkpoint(&mut self, _: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn commit(&mut self, change: Change) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let here = |fault| !matches!(fault, Fault::Paused | Fault::Refused);
            let fault = self.disk.fault(self.process, here, false);
            if !matches!(fault, Some(Fault::Failed | Fault::Torn)) {
                self.keep(change);
            }
            match fault {
                None | Some(Fault::Paused | Fault::Refused) => Ok(()),
                Some(Fault::Failed | Fault::FailedLate) => Err(problem("the sync failed")),
                Some(Fault::Torn | Fault::Ended) => {
                    self.disk.struck.notify_one();
                    std::future::pending().await
                }
            }
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn scrub(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(std::future::ready(Ok(true)))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Hand {
    async fn stand_still(&self) {
        self.disk.struck.notify_one();
        loop {
            let go_on = self.disk.go_on.notified();
            if *self.disk.released.lock().unwrap() {
                break;
            }
            go_on.await;
        }
    }

    fn keep(&self, change: Change) {
        let mut tables = self.disk.tables.lock().unwrap();
        for id in change.begun {
            let row = RunChange {
                id: id.clone(),
                entries: 0,
                started: None,
                severity: None,
                ended: None,
            };
            tables.runs.insert(id, row);
        }
        tables.rows.extend(change.rows);
        if let Some(place) = change.head {
            tables.place = place;
        }
        for run in change.runs {
            let row = tables
                .runs
                .get_mut(&run.id)
                .expect("a run begins before it has entries");
            row.entries = run.entries;
            row.started = run.started.or(row.started);
            row.severity = run.severity.or(row.severity);
            row.ended = run.ended.or(row.ended);
        }
        for lease in change.leases {
            tables.leases.insert(lease.run.clone(), (lease, false));
        }
        for (run, epoch) in change.released {
            if let Some((_, released)) = tables.leases.get_mut(&run).filter(|(lease, _)| lease.epoch == epoch) {
                *released = true;
            }
        }
        tables.checkpoints.extend(change.checkpoints);
    }
}

struct Eye(Arc<Disk>);

fn stored(row: &NewRow) -> Row {
    Row {
        sequence: signed(row.entry.sequence),
        run: row.entry.run.clone(),
        run_sequence: signed(row.entry.run_sequence),
        part: row.entry.part.word().to_owned(),
        kind: row.entry.kind.clone(),
        at: row.entry.wall_nanoseconds,
        bytes: row.bytes.clone(),
        leaf: row.leaf.to_vec(),
        salt: Some(row.salt.to_vec()),
        body: Some(row.body.clone()),
    }
}

fn listed(run: &RunChange) -> RunRow {
    RunRow {
        id: run.id.clone(),
        entries: signed(run.entries),
        started: run.started.map(signed),
        severity: run.severity.map(signed),
        ended: run.ended.map(signed),
    }
}

impl Reader for Eye {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn head(&mut self) -> BoxFuture<'_, Result<Head, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let (frontier, leaf) = &tables.place;
        let head = Head {
            origin: vec![7; 16],
            size: signed(frontier.size()),
            frontier: frontier.to_bytes(),
            root: frontier.root().to_vec(),
            leaf: leaf.to_vec(),
        };
        Box::pin(std::future::ready(Ok(head)))
    }

    fn entries<'a>(&'a mut self, which: Which<'a>) -> BoxStream<'a, Result<Row, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let wanted = |row: &&NewRow| match which {
            Which::All => true,
            Which::From(first) => row.entry.sequence >= first,
            Which::Run(run) => row.entry.run == run,
            Which::FirstOf(run) => row.entry.run == run && row.entry.run_sequence == 0,
            Which::LastOf(run) => row.entry.run == run && row.entry.run_sequence + 1 == tables.runs[run].entries,
            Which::One(sequence) => row.entry.sequence == sequence,
        };
        let rows: Vec<_> = tables.rows.iter().filter(wanted).map(|row| Ok(stored(row))).collect();
        stream::iter(rows).boxed()
    }

    fn checkpoints(&mut self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn leaves(&mut self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let rows = tables
            .rows
            .iter()
            .filter(|row| (from..to).contains(&row.entry.sequence));
        let leaves = rows.map(|row| row.leaf).collect();
        Box::pin(std::future::ready(Ok(leaves)))
    }

    fn runs(&mut self, _: Option<u32>) -> BoxFuture<'_, Result<Vec<RunRow>, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let runs = tables.runs.values().map(listed).collect();
        Box::pin(std::future::ready(Ok(runs)))
    }

    fn run<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, Result<Option<RunRow>, Error>> {
        let run = self.0.tables.lock().unwrap().runs.get(id).map(listed);
        Box::pin(std::future::ready(Ok(run)))
    }

    fn ids<'a>(&'a mut self, beginning: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let ids = tables
            .runs
            .keys()
            .filter(|id| id.starts_with(beginning))
            .cloned()
            .collect();
        Box::pin(std::future::ready(Ok(ids)))
    }

    fn leases<'a>(&'a mut self, run: Option<&'a str>) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        let tables = self.0.tables.lock().unwrap();
        let wanted = tables
            .leases
            .values()
            .filter(|(lease, _)| run.is_none_or(|run| run == lease.run));
        let rows = wanted.map(|(lease, released)| LeaseRow {
            run: lease.run.clone(),
            epoch: lease.epoch,
            holder: lease.holder.clone(),
            runner: lease.runner.clone(),
            since: lease.since,
            released: *released,
            restarted: false,
            silent: None,
        });
        Box::pin(std::future::ready(Ok(rows.collect())))
    }

    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// The machine of a process: its time is the virtual clock's, and its wall clock is set by somebody.
pub struct Host {
    pub wall: Arc<Wall>,
    pub disk: Arc<Disk>,
    pub process: u32,
    pub dice: Mutex<super::invariants::Dice>,
}

impl Machine for Host {
    fn wall(&self) -> i64 {
        i64::try_from(self.wall.now().as_nanosecond()).unwrap()
    }

    fn since_boot(&self) -> u64 {
        u64::try_from(self.wall.elapsed().as_nanos()).unwrap()
    }

    fn boot_id(&self) -> String {
        "one start".to_owned()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut dice = self.dice.lock().unwrap();
        for byte in bytes {
            *byte = u8::try_from(dice.roll(256)).unwrap();
        }
        Ok(())
    }

    fn runner(&self) -> Runner {
        Runner {
            machine: "one".to_owned(),
            process: self.process,
            started: 1,
        }
    }

    fn runs(&self, runner: &Runner) -> Option<bool> {
        Some(self.disk.alive.lock().unwrap().contains(&runner.process))
    }
}
