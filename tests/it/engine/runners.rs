//! The simulator with the store under it: the real sequencing writer, leases and verification over a disk in memory. One seed says
//! which steps are lost or torn, which process ends or stands still where, who takes its run over, who sets the clock, and which of
//! the things that a change needs (journal, policy, anchor, lock) cannot be used from when on.

use super::consent::Judge;
use super::disk::{Disk, Fault, Host, Mounted};
use super::invariants::{Dice, busy, verifiable, wild};
use super::outside::{Dependency, Shelf};
use super::resume::honest_about;
use super::simulator::kept;
use super::stage::Stage;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, select};
use starr::engine::{Ended, Resumed};
use starr::journal::event::{Event, Person};
use starr::journal::seal::{Sealed, Sealing};
use starr::journal::{Error, Journal, RunHeader, Store, Taken};
use starr::program::{Program, RunbookId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a process came to.
enum Came {
    Ended(Ended),
    InDoubt,
    /// The journal failed, or the run is somebody else's.
    Stopped(Error),
}

type Process = BoxFuture<'static, Came>;

/// One process of the run: it opens the store, takes the run, and goes on with it. `Err`: who has it is still there.
struct Opened {
    store: Arc<Store>,
    writer: BoxFuture<'static, Result<(), Error>>,
}

async fn open(disk: &Arc<Disk>, stage: &Stage, process: u32, seed: u64) -> Opened {
    disk.alive.lock().unwrap().insert(process);
    let machine = Host {
        wall: stage.wall.clone(),
        disk: disk.clone(),
        process,
        dice: Mutex::new(Dice(seed ^ u64::from(process) << 32)),
    };
    let mounted = Mounted {
        disk: disk.clone(),
        process,
    };
    let (store, writer) = Store::apart(Arc::new(mounted), Arc::new(machine)).await.unwrap();
    Opened {
        store: Arc::new(store),
        writer: writer.boxed(),
    }
}

fn somebody() -> Person {
    Person {
        name: "olga".to_owned(),
        by: "test".to_owned(),
    }
}

/// The run's id, once it has one; the work of this process.
async fn process(stage: Arc<Stage>, program: Arc<Program>, opened: Opened, run: Arc<Mutex<Option<String>>>) -> Came {
    let Opened { store, mut writer } = opened;
    let known = run.lock().unwrap().clone();
    let sealing = Arc::new(Sealing {
        ledger: store.clone(),
        signer: None,
        sinks: vec![Box::new(Shelf(stage.backend.locks.needed.clone()))],
        needed: 1,
        every: 20,
    });
    let sealed = |mine: Arc<dyn Journal>| Arc::new(Sealed::new(mine, sealing.clone(), Box::new(|_| ())));
    let work = async {
        let (_interrupt, receiver) = tokio::sync::watch::channel(false);
        let header = RunHeader::default();
        let Some(id) = known else {
            let mine = store.begin(header).await?;
            *run.lock().unwrap() = Some(mine.run_id().to_owned());
            let world = stage.world_on(sealed(Arc::new(mine)), receiver);
            let ended = starr::engine::run(program, RunbookId(0), stage.arguments.clone(), world).await?;
            return Ok(Came::Ended(ended));
        };
        let recorded = store.entries(&id).await?;
        let lease = store.lease(&id).await?.expect("it was begun");
        let event = if lease.is_free() {
            Event::Resumed {
                by: somebody(),
                host: "testhost".to_owned(),
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            }
        } else {
            Event::TakenOver {
                by: somebody(),
                from: lease.to_string(),
                because: "its machine sleeps".to_owned(),
            }
        };
        let mine = match store.take(&id, lease.epoch, header, &[event]).await? {
            Taken::Mine(mine) => Arc::new(mine),
            Taken::Others(_) | Taken::NoSuchRun => panic!("nobody else tried"),
        };
        let world = stage.world_on(sealed(mine.clone()), receiver);
        let book = RunbookId(0);
        let came = if recorded.is_empty() {
            // The step that began it is there, and nothing else.
            Came::Ended(starr::engine::run(program, book, stage.arguments.clone(), world).await?)
        } else {
            match starr::engine::resume(program, book, stage.arguments.clone(), world, &recorded).await? {
                Resumed::Ended(ended) => Came::Ended(ended),
                Resumed::InDoubt(_) => Came::InDoubt,
                other => panic!("{other:?}"),
            }
        };
        mine.release().await?;
        Ok(came)
    };
    let came = match select(work.boxed(), &mut writer).await {
        Either::Left((came, _)) => came,
        Either::Right((closed, _)) => panic!("the writer went before the run: {closed:?}"),
    };
    came.unwrap_or_else(Came::Stopped)
}

/// What the seed of a run came to.
#[derive(Debug, Default, PartialEq)]
struct Told {
    outcome: String,
    processes: u32,
    faults: BTreeMap<String, usize>,
    clock_steps: usize,
    taken_over: usize,
    fenced: usize,
    /// Processes in which something that a change needs could not be used any more, by what it was.
    without: BTreeMap<Dependency, usize>,
    /// Of those, the ones that this kept from a change.
    kept_from: usize,
}

fn sent(stage: &Stage) -> usize {
    stage.backend.sent.lock().unwrap().len()
}

/// How often the run has ended.
fn ends(disk: &Disk) -> usize {
    let events = disk.events();
    let ends = events.iter().filter(|(_, event)| matches!(event, Event::Ended { .. }));
    ends.count()
}

const FAULTS: [Fault; 7] = [
    Fault::Failed,
    Fault::FailedLate,
    Fault::Refused,
    Fault::Torn,
    Fault::Ended,
    Fault::Ended,
    Fault::Paused,
];

/// Takes something that a change needs away when its time has come. Resolves when the process ends or stands still.
fn disturbed<'a>(stage: &'a Stage, disk: &'a Disk, gone: Option<(Dependency, Duration)>) -> BoxFuture<'a, ()> {
    let taking = async move {
        if let Some((which, at)) = gone {
            starr::engine::world::Clock::sleep(&*stage.clock, at).await;
            stage.backend.locks.needed.set(Some(which));
        }
        std::future::pending::<()>().await;
    };
    let struck = disk.struck.notified();
    async move {
        select(struck.boxed(), taking.boxed()).await;
    }
    .boxed()
}

/// What the process does that a seed is about: every third has a change of class V.
fn program_of(seed: u64) -> Arc<Program> {
    super::program(&if seed.is_multiple_of(3) { verifiable() } else { busy() })
}

async fn simulate(seed: u64) -> Told {
    let program = &program_of(seed);
    let what = format!("seed {seed}");
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5677);
    let mut setup = wild(seed);
    setup.fail_at = None;
    setup.interrupt_after = None;
    let dry = dice.roll(20) == 0;
    let forbidden = dice.roll(20) == 0;
    if dry {
        setup = setup.dry();
    }
    if forbidden {
        setup.grants = Vec::new();
    }
    setup.locks_last = (dice.roll(2) == 0).then_some(86_400);
    let mut stage = setup.stage();
    let needed = stage.backend.locks.needed.clone();
    let judging = needed.clone();
    stage.policy = Some(Judge::new(move |_| {
        judging
            .without(Dependency::Policy)
            .then_some("the policy cannot be evaluated")
    }));
    let stage = Arc::new(stage);
    let disk = Disk::new();
    let recorder = disk.clone();
    honest_about(&stage, move || recorder.events());
    let witness = stage.clone();
    disk.watch(move || sent(&witness));
    let run = Arc::new(Mutex::new(None));
    let mut told = Told::default();
    let mut asleep: Vec<(Process, bool)> = Vec::new();
    let ended = loop {
        told.processes += 1;
        let number = told.processes;
        assert!(number < 60, "{what} does not come to an end");
        let mut planned = None;
        if number < 10 && dice.roll(5) > 0 {
            let fault = FAULTS[dice.roll(FAULTS.len() as u64) as usize];
            // Not at the step in which it takes the run.
            disk.plan(number, 2 + dice.roll(30) as usize, fault);
            planned = Some(fault);
        }
        let gone = (number < 10 && dice.roll(2) == 0).then(|| {
            let which = [Dependency::Policy, Dependency::Anchor, Dependency::Lock][dice.roll(3) as usize];
            // Between the moments at which anything else happens.
            (which, Duration::from_millis(dice.roll(240) * 1000 + 500))
        });
        let before = sent(&stage);
        let opened = open(&disk, &stage, number, seed).await;
        let mut work = process(stage.clone(), program.clone(), opened, run.clone()).boxed();
        let came = match stage
            .clock
            .drive(select(&mut work, disturbed(&stage, &disk, gone)))
            .await
        {
            Either::Left((came, _)) => Some(came),
            Either::Right(_) => None,
        };
        if let Some((which, _)) = gone.filter(|(which, _)| needed.without(*which)) {
            *told.without.entry(which).or_default() += 1;
        }
        match came {
            Some(Came::Ended(ended)) => break ended,
            Some(Came::InDoubt) => {
                let sent = stage.backend.sent.lock().unwrap()[before..].to_vec();
                assert!(
                    sent.iter().all(|seen| !seen.what.starts_with("fix ")),
                    "{what}: {sent:?}"
                );
                disk.alive.lock().unwrap().remove(&number);
            }
            Some(Came::Stopped(error)) if error.message.starts_with("Nothing was sent: 1 anchors are demanded") => {
                assert!(needed.without(Dependency::Anchor), "{what}: {error}");
                told.kept_from += 1;
                disk.alive.lock().unwrap().remove(&number);
            }
            Some(Came::Stopped(error)) => {
                assert!(
                    matches!(planned, Some(Fault::Failed | Fault::FailedLate | Fault::Refused)),
                    "{what}: {error}, planned: {planned:?}"
                );
                // P6: a process whose journal failed sends nothing more.
                assert_eq!(*disk.witnessed.lock().unwrap(), Some(sent(&stage)), "{what}: {error}");
                *told.faults.entry(format!("{planned:?}")).or_default() += 1;
                disk.alive.lock().unwrap().remove(&number);
            }
            None => {
                *told.faults.entry(format!("{planned:?}")).or_default() += 1;
                if planned == Some(Fault::Paused) {
                    // It is there, and does nothing until its machine wakes. It may have ended the run already, and sleep while
                    // it gives it back or has the end kept.
                    asleep.push((work, ends(&disk) == 1));
                } else {
                    disk.alive.lock().unwrap().remove(&number);
                }
            }
        }
        needed.set(None);
        kept(&stage, &disk.events(), &what);
        // Some time passes; sometimes somebody sets the clock.
        let away = [0, 30, 600, 7200][dice.roll(4) as usize];
        let pause = starr::engine::world::Clock::sleep(&*stage.clock, Duration::from_secs(away));
        stage.clock.drive(pause).await;
        if dice.roll(3) == 0 {
            stage.wall.set([-3600, -86_400, 3600, -5][dice.roll(4) as usize]);
        }
        if dice.roll(3) == 0 && number < 12 {
            *stage.crowd.fates.lock().unwrap() = None;
        } else {
            let recorder = disk.clone();
            honest_about(&stage, move || recorder.events());
        }
    };
    needed.set(None);
    told.outcome = ended.outcome.word().to_owned();
    // P9: whoever slept wakes: it records nothing, sends nothing, and is told why.
    let (before, recorded) = (sent(&stage), disk.entries());
    disk.release();
    for (work, had_ended) in asleep {
        match stage.clock.drive(work).await {
            Came::Ended(ended) if had_ended => assert_eq!(ended.outcome.word(), told.outcome, "{what}"),
            Came::Stopped(error) => {
                assert!(error.message.contains("taken over"), "{what}: {error}");
                told.fenced += 1;
            }
            Came::Ended(ended) => panic!("{what}: a run that is somebody else's ended: {ended:?}"),
            Came::InDoubt => panic!("{what}: a run that is somebody else's is in doubt"),
        }
    }
    assert_eq!(
        (sent(&stage), disk.entries()),
        (before, recorded),
        "{what}: who lost the run went on"
    );
    kept(&stage, &disk.events(), &what);
    whole(&stage, &disk, seed, &mut told, dry, forbidden).await;
    told
}

/// What holds of the whole record, whatever happened.
async fn whole(stage: &Stage, disk: &Arc<Disk>, seed: u64, told: &mut Told, dry: bool, forbidden: bool) {
    let what = format!("seed {seed}");
    let Opened { store, mut writer } = open(disk, stage, 99, seed).await;
    let verified = match select(store.verify().boxed(), &mut writer).await {
        Either::Left((verified, _)) => verified.unwrap(),
        Either::Right(_) => panic!("{what}: the writer went"),
    };
    // P7: dense, hashed, its epochs never fall, and its lists say what its entries say.
    assert!(verified.is_intact(), "{what}: {:?}", verified.findings);
    let recorded = disk.recorded();
    assert_eq!(ends(disk), 1, "{what}");
    // P18: where the time of an entry is before that of the entry it follows, the record says that the clock was set, or that
    // another process went on.
    let mut before: Option<(i64, u64)> = None;
    for (at, epoch, _, event) in &recorded {
        let set = matches!(event, Event::ClockStep { .. });
        told.clock_steps += usize::from(set);
        told.taken_over += usize::from(matches!(event, Event::TakenOver { .. }));
        if let Some((last, of)) = before {
            assert!(
                *at >= last || set || *epoch > of,
                "{what}: time goes back without a word"
            );
        }
        before = Some((*at, *epoch));
    }
    for (.., event) in &recorded {
        if let Event::Ended { duration_seconds, .. } = event {
            assert!(*duration_seconds >= 0.0, "{what}: it took {duration_seconds} s");
        }
    }
    if dry || forbidden {
        // P5, P12.
        assert_eq!(sent(stage), 0, "{what}");
        let intents = recorded
            .iter()
            .filter(|(.., event)| matches!(event, Event::Intent { .. }))
            .count();
        assert_eq!(intents, 0, "{what}");
    }
    if forbidden {
        assert_eq!(
            stage.backend.reads.lock().unwrap().len(),
            0,
            "{what}: a read went past the gate"
        );
    }
}

#[tokio::test]
async fn whatever_happens_to_the_store_and_its_processes_a_run_keeps_its_promises() {
    let seeds: u64 = std::env::var("STARR_SEEDS").map_or(300, |seeds| seeds.parse().unwrap());
    let first: u64 = std::env::var("STARR_FIRST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let mut all = Told::default();
    let mut outcomes = BTreeMap::<String, usize>::new();
    for seed in first..first + seeds {
        let told = simulate(seed).await;
        *outcomes.entry(told.outcome).or_default() += 1;
        for (fault, count) in told.faults {
            *all.faults.entry(fault).or_default() += count;
        }
        all.processes += told.processes;
        all.clock_steps += told.clock_steps;
        all.taken_over += told.taken_over;
        all.fenced += told.fenced;
        all.kept_from += told.kept_from;
        for (which, count) in told.without {
            *all.without.entry(which).or_default() += count;
        }
    }
    println!("{seeds} seeds: {outcomes:?}, {all:?}");
    if seeds >= 300 {
        for fault in ["Failed", "FailedLate", "Refused", "Torn", "Ended", "Paused"] {
            let struck = all.faults.get(&format!("Some({fault})")).copied().unwrap_or_default();
            assert!(struck as u64 > (seeds / 40).min(100), "{fault} struck {struck} times");
        }
        for count in [all.taken_over, all.fenced, all.clock_steps] {
            assert!(count as u64 > (seeds / 30).min(100), "{all:?}");
        }
        for which in [Dependency::Policy, Dependency::Anchor, Dependency::Lock] {
            let count = all.without.get(&which).copied().unwrap_or_default();
            assert!(count as u64 > (seeds / 20).min(100), "{which:?} was gone {count} times");
        }
        // Every kind of end there is; the rarest come once in some hundreds.
        assert!(
            outcomes.len() == 6 || seeds < 1_000 && outcomes.len() == 5,
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
async fn a_seed_is_the_same_every_time_here_too() {
    for seed in 0..10 {
        assert_eq!(simulate(seed).await, simulate(seed).await, "seed {seed}");
    }
}

/// A store that loses what it said was durable does not keep its word, and verification says so.
#[tokio::test]
async fn entries_that_were_torn_off_are_missed() {
    let program = super::program(&busy());
    let mut setup = wild(3);
    setup.fail_at = None;
    setup.interrupt_after = None;
    let stage = Arc::new(setup.stage());
    let disk = Disk::new();
    let run = Arc::new(Mutex::new(None));
    let opened = open(&disk, &stage, 1, 3).await;
    let work = process(stage.clone(), program, opened, run.clone());
    assert!(matches!(stage.clock.drive(work).await, Came::Ended(_)));
    disk.tear(1);
    let Opened { store, mut writer } = open(&disk, &stage, 2, 3).await;
    let looked = async {
        let id = run.lock().unwrap().clone().unwrap();
        (store.verify().await.unwrap(), store.entries(&id).await)
    };
    let (verified, entries) = match select(looked.boxed(), &mut writer).await {
        Either::Left((looked, _)) => looked,
        Either::Right(_) => panic!("the writer went"),
    };
    assert!(!verified.is_intact());
    assert!(entries.is_err(), "a run with a hole is not gone on with");
}
