//! The store between processes: several writers, one that is killed, one that runs out of space. The other process is this
//! test program itself, started with the test `a_writer` alone.

use super::*;
use crate::journal::Journal as _;
use crate::journal::event::Event;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const JOURNAL: &str = "STARR_TEST_JOURNAL";
const APPENDS: &str = "STARR_TEST_APPENDS";

fn step(number: u64) -> Event {
    Event::Step {
        what: "note".to_owned(),
        detail: format!("{number} {}", "x".repeat(400)),
    }
}

/// Appends, and says each acknowledged entry on its own line; a failure is said and ends it.
#[tokio::test]
async fn a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os(JOURNAL).map_or_else(|| folder.path().join("journal.sqlite"), PathBuf::from);
    let appends: u64 = std::env::var(APPENDS).map_or(3, |number| number.parse().unwrap());
    let store = Store::open(&path).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    for number in 0..appends {
        match run.append("", &step(number)).await {
            Ok(sequence) => println!("\nacknowledged {sequence} {}", run.run_id()),
            Err(error) => {
                println!("\nfailed {error}");
                assert!(run.append("", &step(number)).await.is_err(), "a failure is final");
                return;
            }
        }
    }
    assert_eq!(store.entries(run.run_id()).await.unwrap().len() as u64, appends);
}

/// Sixty-four runs of one process, all writing at once.
#[tokio::test]
async fn many_writers() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os(JOURNAL).map_or_else(|| folder.path().join("journal.sqlite"), PathBuf::from);
    let appends: u64 = std::env::var(APPENDS).map_or(2, |number| number.parse().unwrap());
    let store = Arc::new(Store::open(&path).await.unwrap());
    let writers: Vec<_> = (0..64)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let run = store.begin(RunHeader::default()).await.unwrap();
                for number in 0..appends {
                    let sequence = run.append("", &step(number)).await.unwrap();
                    println!("\nacknowledged {sequence} {}", run.run_id());
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(verified(&path).await.entries, 64 * appends);
}

#[tokio::test]
async fn what_was_acknowledged_to_many_outlives_a_kill() {
    for lines in [1, 64, 500] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--nocapture", "journal::sqlite::process_tests::many_writers"])
            .env(JOURNAL, &path)
            .env(APPENDS, u64::MAX.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut seen = Vec::new();
        let mut line = String::new();
        while seen.len() < lines && output.read_line(&mut line).unwrap() > 0 {
            seen.extend(acknowledged(line.trim_end()));
            line.clear();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had acknowledged by then counts too, as far as it was said whole.
        while output.read_line(&mut line).unwrap_or(0) > 0 {
            if line.ends_with('\n') {
                seen.extend(acknowledged(line.trim_end()));
            }
            line.clear();
        }
        assert!(seen.len() >= lines, "{}", seen.len());
        let verified = verified(&path).await;
        assert!(verified.entries >= seen.len() as u64);
        let store = Store::read(&path).await.unwrap();
        let mut stored = std::collections::BTreeMap::new();
        for run in store.runs(100).await.unwrap() {
            for entry in store.entries(&run.id).await.unwrap() {
                stored.insert(entry.sequence, entry.run);
            }
        }
        for (sequence, run) in &seen {
            assert_eq!(stored.get(sequence), Some(run), "entry {sequence} was acknowledged");
        }
    }
}

fn writer(path: &Path, appends: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--nocapture", "journal::sqlite::process_tests::a_writer"])
        .env(JOURNAL, path)
        .env(APPENDS, appends.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Sequence and run of an acknowledged entry.
fn acknowledged(line: &str) -> Option<(u64, String)> {
    let (sequence, run) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((sequence.parse().unwrap(), run.to_owned()))
}

async fn verified(path: &Path) -> crate::journal::verify::Verified {
    let verified = Store::read(path).await.unwrap().verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    verified
}

#[tokio::test]
async fn several_processes_keep_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let writers: Vec<_> = (0..3).map(|_| writer(&path, 30).spawn().unwrap()).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let verified = verified(&path).await;
    assert_eq!((verified.entries, verified.runs), (90, 3));
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    for lines in [1, 7, 20] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let mut child = writer(&path, u64::MAX).spawn().unwrap();
        let mut seen = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            seen.extend(acknowledged(&line.unwrap()));
            if seen.len() >= lines {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let verified = verified(&path).await;
        let (_, run) = &seen[0];
        let store = Store::open(&path).await.unwrap();
        let entries = store.entries(run).await.unwrap();
        assert!(verified.entries >= lines as u64);
        for ((sequence, _), entry) in seen.iter().zip(&entries) {
            assert_eq!((*sequence, &entry.event), (entry.sequence, &Some(step(*sequence))));
        }
        // And the next process goes on where that one was stopped.
        let next = store.begin(RunHeader::default()).await.unwrap();
        assert_eq!(next.append("", &step(0)).await, Ok(verified.entries));
    }
}

#[tokio::test]
async fn a_file_that_cannot_grow_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    // A file-size limit (in blocks of 512 bytes) whose signal is ignored makes the write itself fail.
    let limited = writer(&path, u64::MAX);
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2400; exec \"$@\"", "sh"])
        .arg(limited.get_program())
        .args(limited.get_args())
        .env(JOURNAL, &path)
        .env(APPENDS, u64::MAX.to_string())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let count = text.lines().filter_map(acknowledged).count() as u64;
    assert!(count > 10, "{text}");
    let failed = text.lines().find(|line| line.starts_with("failed ")).unwrap();
    assert!(failed.contains("cannot record an entry"), "{failed}");
    assert_eq!(verified(&path).await.entries, count);
}
