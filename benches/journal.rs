//! What recording costs: opening a store, entries per second at one and at ten per commit, beside the bare sync of the same
//! disk in the same minute; verification of a million entries beside SHA-256 over the same bytes by one core.
//! `cargo bench --bench journal [FOLDER]`; the folder should lie on the disk that is meant. `STARR_BENCH_ENTRIES` sets the
//! number of entries that are verified. `STARR_BENCH_POSTGRES=postgres://user@host:port/database` measures a journal in that database
//! as well, which must be empty (`scripts/bench-journal` starts one). With the word `verify` behind the folder only verification is
//! measured; with `STARR_BENCH_STORE=file` or `=postgres` only that store.

#![allow(clippy::unwrap_used, reason = "a measurement that fails has failed")]

use starr::journal::event::Event;
use starr::journal::ledger::{Ledger as _, Visitor};
use starr::journal::sqlite::{RunHeader, Store};
use starr::journal::verify::{CheckpointRow, Head, Row};
use starr::journal::{Error, Journal, tree};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const COMMITS: usize = 500;

/// Rate, median and 99th percentile of these times.
fn print(what: &str, each: usize, mut times: Vec<Duration>) {
    times.sort();
    let total: Duration = times.iter().sum();
    let rate = (times.len() * each) as f64 / total.as_secs_f64();
    let milliseconds = |at: usize| times[at].as_secs_f64() * 1000.0;
    println!(
        "{what:<44} {rate:>8.0} /s   median {:>7.3} ms   99 % {:>7.3} ms",
        milliseconds(times.len() / 2),
        milliseconds(times.len() * 99 / 100)
    );
}

fn event(number: usize) -> Event {
    Event::Step {
        what: format!("step {number}"),
        detail: "x".repeat(300),
    }
}

/// The floor: the same number of bytes at the end of a plain file, synced.
fn bare(folder: &Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(folder.join("bare")).unwrap();
    (0..COMMITS)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; 700]).unwrap();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect()
}

/// The same into a file that has its full length already, so that a sync is of data alone.
fn preallocated(folder: &Path) -> Vec<Duration> {
    use std::os::unix::fs::FileExt as _;
    let path = folder.join("preallocated");
    std::fs::write(&path, vec![1; 700 * COMMITS]).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.sync_all().unwrap();
    (0..COMMITS)
        .map(|number| {
            let start = Instant::now();
            file.write_all_at(&[7; 700], (number * 700) as u64).unwrap();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect()
}

/// Many runs of one process, each appending one entry after the other. Entries per second.
async fn together(store: &Store, runs: usize) -> f64 {
    let begun = futures::future::join_all((0..runs).map(|_| store.begin(RunHeader::default()))).await;
    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let each = COMMITS / 10;
    let start = Instant::now();
    futures::future::join_all(begun.iter().map(|run| async move {
        for number in 0..each {
            run.append("", &event(number)).await.unwrap();
        }
    }))
    .await;
    let rate = (runs * each) as f64 / start.elapsed().as_secs_f64();
    println!("{:<44} {rate:>8.0} /s", format!("journal, {runs} runs at once"));
    rate
}

/// Entries per second.
fn rate(times: &[Duration]) -> f64 {
    times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64()
}

async fn open(path: &Path) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let store = Store::open(path).await.unwrap();
        times.push(start.elapsed());
        store.close().await.unwrap();
    }
    times
}

async fn appends(store: &Store, each: usize) -> Vec<Duration> {
    let run = store.begin(RunHeader::default()).await.unwrap();
    let mut times = Vec::new();
    for number in 0..COMMITS {
        let events: Vec<Event> = (0..each).map(|part| event(number * each + part)).collect();
        let start = Instant::now();
        run.append_all("", &events).await.unwrap();
        times.push(start.elapsed());
    }
    times
}

/// Some entries of a log, to hash them once more.
#[derive(Default)]
struct Sample {
    rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>,
}

impl Visitor for Sample {
    fn head(&mut self, _: Head) -> Result<(), Error> {
        Ok(())
    }

    fn checkpoint(&mut self, _: CheckpointRow) -> Result<(), Error> {
        Ok(())
    }

    fn entry(&mut self, row: Row) -> Result<(), Error> {
        if self.rows.len() < 10_000 {
            self.rows.push((row.bytes, row.salt.unwrap(), row.body.unwrap()));
        }
        Ok(())
    }
}

/// The hashes that a verification cannot do without: leaf, payload commitment and one node for each entry, by one core.
fn floor(sample: &Sample, entries: u64) -> Duration {
    let start = Instant::now();
    let mut previous = [0; 32];
    for (bytes, salt, body) in sample.rows.iter().cycle().take(usize::try_from(entries).unwrap()) {
        let leaf = tree::leaf(bytes);
        let payload = tree::hash(&[salt, body]);
        previous = tree::node(
            &std::hint::black_box(previous),
            &std::hint::black_box([leaf, payload][0]),
        );
    }
    std::hint::black_box(previous);
    start.elapsed()
}

/// Where the time of a verification goes: what the database needs to hand the entries out, what it needs to check itself, and what
/// reading them into rows costs here. Each is measured alone; in a verification they overlap.
async fn parts(store: &Store, entries: u64) {
    let mut reading = store.reading().await.unwrap();
    let reader = reading.reader();
    let start = Instant::now();
    let extent = reader.extent().await.unwrap();
    assert_eq!(extent, Some(entries), "the entries can be read many at a time");
    let (mut first, mut rows) = (0, Duration::ZERO);
    while first < entries {
        let chunk = reader.chunk(first, 512.min(entries - first)).await.unwrap();
        let begin = Instant::now();
        assert_eq!(chunk.rows().unwrap().len() as u64, chunk.count);
        rows += begin.elapsed();
        first += chunk.count;
    }
    let read = start.elapsed() - rows;
    let start = Instant::now();
    assert!(reader.own_check().await.unwrap().is_empty());
    let own = start.elapsed();
    reading.done().await.unwrap();
    println!(
        "  of it, alone: reading {:.2} s, taking the rows apart {:.2} s, the database's own check {:.2} s",
        read.as_secs_f64(),
        rows.as_secs_f64(),
        own.as_secs_f64()
    );
}

async fn verify_many(store: Store, entries: u64) {
    println!("{}", store.place());
    let run = store.begin(RunHeader::default()).await.unwrap();
    let mut written = 0;
    while written < entries {
        let batch: Vec<Event> = (written..(written + 1000).min(entries))
            .map(|number| event(usize::try_from(number).unwrap()))
            .collect();
        run.append_all("", &batch).await.unwrap();
        written += batch.len() as u64;
    }
    let mut sample = Sample::default();
    store.walk(&mut sample).await.unwrap();
    let size: usize = sample
        .rows
        .iter()
        .map(|(bytes, salt, body)| bytes.len() + salt.len() + body.len())
        .sum();
    let each = size / sample.rows.len();
    parts(&store, entries).await;
    for round in 1..=3 {
        let start = Instant::now();
        let verified = store.verify().await.unwrap();
        let took = start.elapsed();
        assert!(verified.is_intact() && verified.entries == entries, "{verified}");
        let floor = floor(&sample, entries);
        println!(
            "verify {entries} entries of {each} bytes, {round}: {:.2} s, {:.0} /s; their SHA-256 by one core {:.2} s; {:.0} % of that rate",
            took.as_secs_f64(),
            entries as f64 / took.as_secs_f64(),
            floor.as_secs_f64(),
            100.0 * floor.as_secs_f64() / took.as_secs_f64()
        );
    }
    store.close().await.unwrap();
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo passes `--bench`; a folder is the first argument that is not an option.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let base = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("starr-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let all = words.get(1).is_none_or(|word| word != "verify");
    let only = std::env::var("STARR_BENCH_STORE").ok();
    let wanted = |store: &str| only.as_deref().is_none_or(|only| only == store);
    let entries = std::env::var("STARR_BENCH_ENTRIES").map_or(1_000_000, |number| number.parse().unwrap());
    if wanted("file") {
        if all {
            appending(&folder).await;
        }
        verify_many(Store::open(&folder.join("many.sqlite")).await.unwrap(), entries).await;
    }
    match std::env::var("STARR_BENCH_POSTGRES") {
        Ok(place) if wanted("postgres") => {
            let location = starr::config::JournalPlace::from_text(&place)
                .unwrap()
                .location()
                .unwrap();
            // Its entries are counted: what is appended comes behind.
            verify_many(location.open().await.unwrap(), entries).await;
            if all {
                floors(&folder);
                let store = location.open().await.unwrap();
                recording(&store).await;
                store.close().await.unwrap();
            }
        }
        Ok(_) => {}
        Err(_) => assert!(wanted("file"), "STARR_BENCH_POSTGRES names no database"),
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What the disk can do; the rate of the preallocated file.
fn floors(folder: &Path) -> f64 {
    print("plain file, write and fdatasync", 1, bare(folder));
    let floor = preallocated(folder);
    let floor_rate = rate(&floor);
    print("preallocated file, write and fdatasync", 1, floor);
    floor_rate
}

/// What a store takes; the rate of one entry per commit, one after the other.
async fn recording(store: &Store) -> f64 {
    let serial = appends(store, 1).await;
    let serial_rate = rate(&serial);
    print("journal, 1 entry per commit", 1, serial);
    let many = together(store, 64).await;
    println!("64 runs at once record {:.1} times the serial rate", many / serial_rate);
    print("journal, 10 entries per commit", 10, appends(store, 10).await);
    serial_rate
}

async fn appending(folder: &Path) {
    let path = folder.join("journal.sqlite");
    let start = Instant::now();
    Store::open(&path).await.unwrap().close().await.unwrap();
    println!(
        "make a store                                 {:>8.3} ms",
        start.elapsed().as_secs_f64() * 1000.0
    );
    print("open a store", 1, open(&path).await);
    let store = Store::open(&path).await.unwrap();
    // In the same moment, because disks are not the same at all times.
    let floor = floors(folder);
    println!("a serial append costs {:.2} floors", floor / recording(&store).await);
    store.close().await.unwrap();
}
