//! A-AU-1: each single bit of each entry, payload, checkpoint, head and list is flipped, one at a time: all of them in this
//! process, all of them in one process of the second verifier, and some of them through whole exports.

use super::log::Log;
use super::second;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use starr::journal::judge;
use starr::journal::policy::Policy;
use starr::journal::sqlite::Store;
use starr::journal::storage::Which;
use starr::journal::verify::{Check, CheckpointRow, Head, Lease, Level, Row, RunRow, Trust, Verified};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that a store holds as evidence.
#[derive(Clone)]
struct Stored {
    head: Head,
    checkpoints: Vec<CheckpointRow>,
    rows: Vec<Row>,
    runs: Vec<RunRow>,
    leases: Vec<(String, i64)>,
}

impl Stored {
    async fn read(store: &Store) -> Self {
        let mut reading = store.reading().await.unwrap();
        let reader = reading.reader();
        let stored = Self {
            head: reader.head().await.unwrap(),
            checkpoints: reader.checkpoints().await.unwrap(),
            rows: reader.entries(Which::All).map(Result::unwrap).collect().await,
            runs: reader.runs(None).await.unwrap(),
            leases: reader
                .leases(None)
                .await
                .unwrap()
                .into_iter()
                .map(|lease| (lease.run, i64::try_from(lease.epoch).unwrap()))
                .collect(),
        };
        reading.done().await.unwrap();
        stored
    }

    /// A verification that has seen head and checkpoints.
    fn begin(&self, trust: &Trust) -> Check {
        let mut check = Check::new(trust.clone());
        check.head(self.head.clone());
        self.checkpoints.iter().for_each(|row| check.checkpoint(row.clone()));
        check
    }

    fn verify(&self, trust: &Trust) -> Verified {
        let mut check = self.begin(trust);
        self.rows.iter().for_each(|row| check.entry(row.view()));
        self.runs.iter().for_each(|run| check.run(run.clone()));
        for (run, epoch) in &self.leases {
            check.lease(Lease {
                run: run.clone(),
                epoch: *epoch,
            });
        }
        check.finish()
    }
}

/// Each bit of these bytes, flipped.
fn each(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}

/// Each bit of a number as the database keeps it.
fn each_number(number: i64) -> impl Iterator<Item = i64> {
    (0..64).map(move |bit| number ^ (1 << bit))
}

/// Each bit of a text. What is no text any more cannot be read as a row, which is a finding before any of these.
fn each_text(text: &str) -> impl Iterator<Item = String> {
    each(text.as_bytes()).filter_map(|bytes| String::from_utf8(bytes).ok())
}

/// Every row that differs from this one in one bit.
fn each_row(row: &Row) -> Vec<Row> {
    let mut all = Vec::new();
    let mut put = |change: &dyn Fn(&mut Row)| {
        let mut changed = row.clone();
        change(&mut changed);
        all.push(changed);
    };
    each_number(row.sequence).for_each(|new| put(&|row| row.sequence = new));
    each_number(row.run_sequence).for_each(|new| put(&|row| row.run_sequence = new));
    each_number(row.at).for_each(|new| put(&|row| row.at = new));
    each_text(&row.run).for_each(|new| put(&|row| row.run.clone_from(&new)));
    each_text(&row.part).for_each(|new| put(&|row| row.part.clone_from(&new)));
    each_text(&row.kind).for_each(|new| put(&|row| row.kind.clone_from(&new)));
    each(&row.bytes).for_each(|new| put(&|row| row.bytes.clone_from(&new)));
    each(&row.leaf).for_each(|new| put(&|row| row.leaf.clone_from(&new)));
    each(row.salt.as_ref().unwrap()).for_each(|new| put(&|row| row.salt = Some(new.clone())));
    each(row.body.as_ref().unwrap()).for_each(|new| put(&|row| row.body = Some(new.clone())));
    all
}

#[tokio::test]
async fn a_au_1_each_flipped_bit_fails_and_names_its_entry() {
    let log = Log::new().await;
    let stored = Stored::read(&Store::read(&log.store()).await.unwrap()).await;
    let text = log.policies()[3].1.clone();
    let policy_file = log.folder.path().join("policy");
    std::fs::write(&policy_file, &text).unwrap();
    let policy = Policy::parse(&text).unwrap();
    let trust = judge::trust(&policy).await;
    let whole = stored.verify(&trust);
    assert_eq!(policy.demand.missing(&whole), None, "{whole}");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();

    // The other verifier does the same meanwhile.
    let others = {
        let (journal, policy) = (log.store(), policy_file.clone());
        std::thread::spawn(move || second::each_bit(&journal, &policy))
    };

    // Entries: what was found when an entry is read stays, so that nothing behind it need be read.
    let mut before = Check::new(Trust::default());
    before.head(stored.head.clone());
    for (number, row) in stored.rows.iter().enumerate() {
        for flipped in each_row(row) {
            let mut check = before.clone();
            check.entry(flipped.view());
            let first = check.findings().first().and_then(|finding| finding.entry);
            assert_eq!(first, Some(number as u64), "{:?}", check.findings());
            *counts.entry("entries").or_default() += 1;
        }
        before.entry(row.view());
        assert!(before.is_good());
    }

    let mut judge = |kind: &'static str, change: &dyn Fn(&mut Stored)| {
        let mut changed = stored.clone();
        change(&mut changed);
        *counts.entry(kind).or_default() += 1;
        // What head and checkpoints alone show stays, too.
        let early = changed.begin(&trust);
        if let Some(found) = early.findings().first() {
            assert!(kind != "checkpoints" || found.what.contains("checkpoint"), "{found}");
            return;
        }
        let verified = changed.verify(&trust);
        assert_eq!(verified.level, Level::Broken, "{kind}: {verified}");
        if kind == "checkpoints" {
            assert!(verified.to_string().contains("checkpoint"), "{verified}");
        }
    };
    let head = &stored.head;
    each(&head.origin).for_each(|new| judge("head", &|all| all.head.origin.clone_from(&new)));
    each(&head.root).for_each(|new| judge("head", &|all| all.head.root.clone_from(&new)));
    each(&head.leaf).for_each(|new| judge("head", &|all| all.head.leaf.clone_from(&new)));
    each(&head.frontier).for_each(|new| judge("head", &|all| all.head.frontier.clone_from(&new)));
    each_number(head.size).for_each(|new| judge("head", &|all| all.head.size = new));
    for (at, run) in stored.runs.iter().enumerate() {
        each_text(&run.id).for_each(|new| judge("runs", &|all| all.runs[at].id.clone_from(&new)));
        each_number(run.entries).for_each(|new| judge("runs", &|all| all.runs[at].entries = new));
        if let Some(ended) = run.ended {
            each_number(ended).for_each(|new| judge("runs", &|all| all.runs[at].ended = Some(new)));
        }
        each_text(&stored.leases[at].0).for_each(|new| judge("leases", &|all| all.leases[at].0.clone_from(&new)));
        each_number(stored.leases[at].1).for_each(|new| judge("leases", &|all| all.leases[at].1 = new));
    }
    let newest = stored.checkpoints.len() - 1;
    for (at, row) in stored.checkpoints.iter().enumerate() {
        each_number(row.size).for_each(|new| judge("checkpoints", &|all| all.checkpoints[at].size = new));
        each(&row.frontier).for_each(|new| judge("checkpoints", &|all| all.checkpoints[at].frontier.clone_from(&new)));
        each(&row.digest).for_each(|new| judge("checkpoints", &|all| all.checkpoints[at].digest.clone_from(&new)));
        each(&row.note).for_each(|new| judge("checkpoints", &|all| all.checkpoints[at].note.clone_from(&new)));
    }
    // For somebody who puts the note's hash right again: signature or cosignature is gone, or found to be wrong.
    for note in each(&stored.checkpoints[newest].note) {
        let mut changed = stored.clone();
        changed.checkpoints[newest].digest = Sha256::digest(&note).to_vec();
        changed.checkpoints[newest].note = note;
        let verified = changed.verify(&trust);
        let reach = (verified.reach.signed, verified.reach.witnessed);
        assert!(
            !verified.is_intact() || reach != (whole.reach.signed, whole.reach.witnessed),
            "{verified}"
        );
        *counts.entry("hashed anew").or_default() += 1;
    }

    let others = others.join().unwrap();
    for (kind, count) in &counts {
        let count = json!(count);
        // There a text that is no text any more is a row as well.
        let texts = ["entries", "runs", "leases"].contains(kind);
        assert!(
            if texts {
                others[*kind].as_u64() >= count.as_u64()
            } else {
                others[*kind] == count
            },
            "{kind}: {counts:?} here, {others} there"
        );
    }
    assert!(
        counts["entries"] > 40_000 && counts["checkpoints"] > 8_000,
        "{counts:?}"
    );
}

/// The lines of an export as somebody writes it who puts its last line right again.
fn mended(lines: &[Value]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in &lines[..lines.len() - 1] {
        text.extend_from_slice(line.to_string().as_bytes());
        text.push(b'\n');
    }
    let mut end = lines[lines.len() - 1].clone();
    end["end"]["sha256"] = json!(hex::encode(Sha256::digest(&text)));
    text.extend_from_slice(end.to_string().as_bytes());
    text.push(b'\n');
    text
}

/// A-AU-1: in an export each flipped bit is found by its last line, and where that is put right again, by what it is about. The
/// entries and checkpoints go through the same verification as those of a store, so that some of the bits are enough.
#[tokio::test]
async fn a_au_1_a_flipped_bit_of_an_export_fails() {
    let log = Log::new().await;
    let export = log.folder.path().join("export");
    Log::export(&log.store(), &export).await.unwrap();
    let whole = std::fs::read(&export).unwrap();
    let lines: Vec<Value> = whole
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(mended(&lines), whole, "an export is written in this one form");
    let mut changed: Vec<(Vec<u8>, Option<u64>)> = Vec::new();
    for bit in (0..whole.len() * 8).step_by(197) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        changed.push((flipped, None));
    }
    for (at, line) in lines.iter().enumerate() {
        for name in ["leaf", "bytes", "salt", "payload"] {
            let Some(text) = line["entry"][name].as_str() else {
                continue;
            };
            let value = STANDARD.decode(text).unwrap();
            for bit in (0..value.len() * 8).step_by(211) {
                let mut flipped = value.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut lines = lines.clone();
                lines[at]["entry"][name] = json!(STANDARD.encode(flipped));
                changed.push((mended(&lines), Some(at as u64 - 4)));
            }
        }
    }
    assert!(changed.len() > 400, "{}", changed.len());
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (bytes, entry)) in changed.iter().enumerate() {
        match starr::journal::export::verify(&mut bytes.as_slice(), Trust::default()) {
            Ok(verified) => {
                assert_eq!(verified.level, Level::Broken, "{number}: {verified}");
                if entry.is_some() {
                    assert_eq!(verified.findings[0].entry, *entry, "{number}: {verified}");
                }
                let path = log.folder.path().join(number.to_string());
                std::fs::write(&path, bytes).unwrap();
                files.push(path);
            }
            Err(_) => assert!(entry.is_none(), "{number} is no export any more"),
        }
    }
    let policy = log.folder.path().join("plain");
    std::fs::write(&policy, "").unwrap();
    for (result, file) in second::verify(&files, &policy).iter().zip(&files) {
        assert_eq!(result["level"], "broken", "{file:?}: {result}");
    }
}
