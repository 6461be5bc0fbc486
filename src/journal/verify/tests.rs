use super::*;
use crate::journal::entry::{Digests, Entry};
use crate::journal::event::Part;

/// A whole log as its rows, built by hand.
#[derive(Clone)]
struct Log {
    head: Head,
    rows: Vec<Row>,
    runs: Vec<RunRow>,
}

const KINDS: [(Part, &str); 5] = [
    (Part::Situation, "run_started"),
    (Part::Situation, "severity"),
    (Part::Action, "intent"),
    (Part::Action, "result"),
    (Part::Result, "ended"),
];

fn entry(number: u64, kind: usize) -> Entry {
    Entry {
        origin: [9; 16],
        sequence: number,
        run: "20261122-0314-k7f2".to_owned(),
        run_sequence: number,
        part: KINDS[kind].0,
        kind: KINDS[kind].1.to_owned(),
        scope: String::new(),
        actor: "starr".to_owned(),
        digests: Digests {
            runbook: Some([1; 32]),
            ..Digests::default()
        },
        tool_version: "0.1.0".to_owned(),
        wall_nanoseconds: 1_795_317_240_000_000_000,
        boot: "b".to_owned(),
        boot_nanoseconds: 5,
        epoch: 1,
        payload: [0; 32],
        previous: [0; 32],
    }
}

/// Computes everything anew, as somebody can who is able to write the file.
fn log(kinds: &[usize]) -> Log {
    let mut frontier = Frontier::default();
    let mut previous = [0; 32];
    let mut rows = Vec::new();
    for (number, kind) in (0..).zip(kinds) {
        let salt = [number as u8; 32];
        let body = format!("payload {kind}").into_bytes();
        let entry = Entry {
            payload: tree::hash(&[&salt, &body]),
            previous,
            ..entry(number, *kind)
        };
        let bytes = entry.encode();
        previous = tree::leaf(&bytes);
        frontier.push(previous);
        rows.push(Row {
            sequence: number as i64,
            run: entry.run,
            run_sequence: number as i64,
            part: entry.part.word().to_owned(),
            kind: entry.kind,
            at: entry.wall_nanoseconds,
            bytes,
            leaf: previous.to_vec(),
            salt: Some(salt.to_vec()),
            body: Some(body),
        });
    }
    let at = |kind: usize| kinds.iter().position(|k| *k == kind).map(|at| at as i64);
    Log {
        head: Head {
            origin: vec![9; 16],
            size: rows.len() as i64,
            frontier: frontier.to_bytes(),
            root: frontier.root().to_vec(),
            leaf: previous.to_vec(),
        },
        runs: vec![RunRow {
            id: "20261122-0314-k7f2".to_owned(),
            entries: rows.len() as i64,
            started: at(0),
            severity: at(1),
            ended: at(4),
        }],
        rows,
    }
}

fn verify(log: &Log) -> Verified {
    let mut check = Check::new(Trust::default());
    check.head(log.head.clone());
    for row in &log.rows {
        check.entry(row.view());
    }
    for run in &log.runs {
        check.run(run.clone());
        check.lease(Lease {
            run: run.id.clone(),
            epoch: 1,
        });
    }
    check.finish()
}

fn whole() -> Log {
    log(&[0, 1, 2, 3, 4])
}

/// Flips each bit of the bytes that `part` leads to, one at a time.
fn flip_each(length: usize, part: impl Fn(&mut Log) -> &mut Vec<u8>, mut judge: impl FnMut(&Verified, &str)) {
    for bit in 0..length * 8 {
        let mut log = whole();
        part(&mut log)[bit / 8] ^= 1 << (bit % 8);
        judge(&verify(&log), &format!("byte {}, bit {}", bit / 8, bit % 8));
    }
}

#[test]
fn a_whole_log_is_intact_and_says_what_that_does_not_mean() {
    let verified = verify(&whole());
    assert_eq!(
        verified.to_string(),
        format!(
            "intact: 5 entries of 1 run; numbers, hashes, payloads and head agree\n\
             root {}, log 09090909090909090909090909090909\n\
             No signature or anchor that is trusted here covers the log: 5 entries rest on this file alone. Whoever can write the file could have cut \
             its end or computed all of it anew.",
            verified.root
        )
    );
}

#[test]
fn every_flipped_bit_of_an_entry_is_found_and_the_entry_named() {
    for at in 0..5_u64 {
        let index = at as usize;
        let judge = |verified: &Verified, place: &str| {
            assert_eq!(verified.level, Level::Broken, "entry {at}, {place}");
            assert_eq!(verified.findings[0].entry, Some(at), "{place}: {verified}");
        };
        let length = whole().rows[index].bytes.len();
        flip_each(length, |log| &mut log.rows[index].bytes, judge);
        flip_each(32, |log| &mut log.rows[index].leaf, judge);
        flip_each(32, |log| log.rows[index].salt.as_mut().unwrap(), judge);
        let length = whole().rows[index].body.as_ref().unwrap().len();
        flip_each(length, |log| log.rows[index].body.as_mut().unwrap(), judge);
        for bit in 0..63 {
            for column in 0..3 {
                let mut log = whole();
                let row = &mut log.rows[index];
                let number = [&mut row.sequence, &mut row.run_sequence, &mut row.at]
                    .into_iter()
                    .nth(column);
                *number.unwrap() ^= 1 << bit;
                judge(&verify(&log), &format!("column {column}, bit {bit}"));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_the_head_and_the_list_of_runs_is_found() {
    let judge = |verified: &Verified, place: &str| {
        assert_eq!(verified.level, Level::Broken, "{place}");
        assert!(verified.findings[0].entry.is_some(), "{place}: {verified}");
    };
    flip_each(16, |log| &mut log.head.origin, judge);
    flip_each(64, |log| &mut log.head.frontier, judge);
    flip_each(32, |log| &mut log.head.root, judge);
    flip_each(32, |log| &mut log.head.leaf, judge);
    for bit in 0..63 {
        let mut log = whole();
        log.head.size ^= 1 << bit;
        judge(&verify(&log), &format!("size, bit {bit}"));
        let mut log = whole();
        log.runs[0].ended = Some(4 ^ (1 << bit));
        judge(&verify(&log), &format!("ended, bit {bit}"));
    }
}

#[test]
fn swapped_repeated_and_lost_entries_are_found() {
    let mut swapped = whole();
    swapped.rows.swap(1, 2);
    assert_eq!(verify(&swapped).findings[0].entry, Some(1));
    // The same, with the numbers of the rows put right again.
    for (number, row) in (0..).zip(&mut swapped.rows) {
        row.sequence = number;
    }
    assert_eq!(verify(&swapped).findings[0].entry, Some(1));

    let mut repeated = whole();
    let again = repeated.rows[2].clone();
    repeated.rows.insert(3, again);
    assert_eq!(verify(&repeated).findings[0].entry, Some(3));

    let mut lost = whole();
    lost.rows.remove(2);
    let verified = verify(&lost);
    assert_eq!(
        verified.findings[0].to_string(),
        "entry 2 is missing: entry 3 stands in its place"
    );
}

#[test]
fn a_cut_end_is_found_as_long_as_the_head_was_not_cut_too() {
    let mut cut = whole();
    cut.rows.truncate(2);
    let verified = verify(&cut);
    assert_eq!(verified.level, Level::Broken);
    assert!(
        verified.to_string().contains("the head counts 5 entries, 2 are there"),
        "{verified}"
    );
}

#[test]
fn a_log_that_was_computed_anew_passes_and_the_text_says_so() {
    // The intent is gone and everything is hashed again: nothing inside the file can show that.
    let verified = verify(&log(&[0, 1, 3, 4]));
    assert_eq!((verified.level, verified.on_this_file_alone), (Level::Intact, 4));
    assert!(verified.to_string().contains("4 entries rest on this file alone"));
    assert!(verified.to_string().contains("computed all of it anew"));
    // The roots differ: whoever kept the old one sees it.
    assert_ne!(verified.root, verify(&whole()).root);
}

#[test]
fn an_entry_of_another_log_is_found() {
    let mut log = whole();
    log.head.origin = vec![8; 16];
    assert!(
        verify(&log)
            .to_string()
            .contains("entry 0 belongs to another log than the head says")
    );
}
