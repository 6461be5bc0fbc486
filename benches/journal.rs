//! What recording costs: opening a store, entries per second at one and at ten per commit, beside the bare sync of the same
//! disk in the same minute. `cargo bench --bench journal [FOLDER]`; the folder should lie on the disk that is meant.

#![allow(clippy::unwrap_used, reason = "a measurement that fails has failed")]

use starr::journal::Journal;
use starr::journal::event::Event;
use starr::journal::sqlite::{RunHeader, Store};
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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // Cargo passes `--bench`; a folder is the argument that is not an option.
    let given = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .map(PathBuf::from);
    let base = given.unwrap_or_else(std::env::temp_dir);
    let folder = base.join(format!("starr-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("journal.sqlite");

    let start = Instant::now();
    Store::open(&path).await.unwrap().close().await.unwrap();
    println!(
        "make a store                                 {:>8.3} ms",
        start.elapsed().as_secs_f64() * 1000.0
    );
    print("open a store", 1, open(&path).await);
    print("plain file, write and fdatasync", 1, bare(&folder));
    let store = Store::open(&path).await.unwrap();
    print("journal, 1 entry per commit", 1, appends(&store, 1).await);
    print("journal, 10 entries per commit", 10, appends(&store, 10).await);
    print("plain file again", 1, bare(&folder));
    let start = Instant::now();
    let verified = store.verify().await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "verify {} entries                          {:>8.0} /s   {}",
        verified.entries,
        verified.entries as f64 / seconds,
        if verified.is_intact() { "intact" } else { "broken" }
    );
    store.close().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
