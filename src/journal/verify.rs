//! Verification of a log: what is there is dense, agrees with its hashes, and leads to the recorded root.
//!
//! It says how far that reaches. Whoever can write the file can also compute all of this anew, so `intact` shows that nothing
//! was damaged or changed by somebody who did not; a signature or an anchor outside the file would show more.

use super::entry::Entry;
use super::event::Part;
use super::tree::{self, Digest, Frontier};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Findings that are kept; one damaged entry can lead to many.
const FINDINGS_KEPT: usize = 20;

/// How much was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not fit.
    Broken,
    /// Dense, hashes good, head and root agree.
    Intact,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub level: Level,
    /// The log's name, hexadecimal.
    pub origin: String,
    pub entries: u64,
    pub runs: u64,
    /// Root hash over the entries that were read, hexadecimal.
    pub root: String,
    /// Entries that no signature or anchor outside the file protects.
    pub on_this_file_alone: u64,
    /// Payloads that are gone while their entries stay.
    pub payloads_missing: u64,
    /// What does not fit, in the order it was met; empty when intact.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub findings_left_out: u64,
}

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The entry it is about.
    pub entry: Option<u64>,
    pub what: String,
}

/// The head row as stored.
#[derive(Clone)]
pub struct Head {
    pub origin: Vec<u8>,
    pub size: i64,
    pub frontier: Vec<u8>,
    pub root: Vec<u8>,
    pub leaf: Vec<u8>,
}

/// An entry's row as stored.
#[derive(Clone)]
pub struct Row {
    pub sequence: i64,
    pub run: String,
    pub run_sequence: i64,
    pub part: String,
    pub kind: String,
    pub at: i64,
    pub bytes: Vec<u8>,
    pub leaf: Vec<u8>,
    pub salt: Option<Vec<u8>>,
    pub body: Option<Vec<u8>>,
}

/// A run's row as stored.
#[derive(Clone)]
pub struct RunRow {
    pub id: String,
    pub entries: i64,
    pub started: Option<i64>,
    pub severity: Option<i64>,
    pub ended: Option<i64>,
}

/// A lease's row as stored.
pub struct Lease {
    pub run: String,
    pub epoch: i64,
}

/// What the entries say about a run.
#[derive(Default)]
struct RunSeen {
    entries: u64,
    epoch: u64,
    started: Option<u64>,
    severity: Option<u64>,
    ended: Option<u64>,
    listed: bool,
    leased: bool,
}

/// A verification under way: the head first, then all entries in the order of their numbers, then runs and leases.
pub struct Check {
    head: Option<Head>,
    frontier: Frontier,
    previous: Digest,
    runs: BTreeMap<String, RunSeen>,
    payloads_missing: u64,
    findings: Vec<Finding>,
    findings_left_out: u64,
}

impl Check {
    /// A verification that has seen nothing yet.
    pub fn new() -> Self {
        Self {
            head: None,
            frontier: Frontier::default(),
            previous: [0; 32],
            runs: BTreeMap::new(),
            payloads_missing: 0,
            findings: Vec::new(),
            findings_left_out: 0,
        }
    }

    /// Notes something that does not fit.
    pub fn damage(&mut self, entry: Option<i64>, what: String) {
        self.note(entry.and_then(|entry| u64::try_from(entry).ok()), what);
    }

    fn note(&mut self, entry: Option<u64>, what: String) {
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(Finding { entry, what });
        } else {
            self.findings_left_out += 1;
        }
    }

    /// The head row, before the entries.
    pub fn head(&mut self, head: Head) {
        self.head = Some(head);
    }

    /// The next entry.
    pub fn entry(&mut self, row: Row) {
        let expected = self.frontier.size();
        if u64::try_from(row.sequence) != Ok(expected) {
            self.note(
                Some(expected),
                format!("is missing: entry {} stands in its place", row.sequence),
            );
        }
        let sequence = u64::try_from(row.sequence).unwrap_or(expected);
        let leaf = tree::leaf(&row.bytes);
        if leaf[..] != row.leaf[..] {
            self.note(Some(sequence), "does not agree with its stored hash".to_owned());
        }
        match Entry::decode(&row.bytes) {
            Ok(entry) => self.decoded(sequence, expected, &row, &entry),
            Err(why) => self.note(Some(sequence), format!("cannot be read: {why}")),
        }
        self.frontier.push(leaf);
        self.previous = leaf;
    }

    fn decoded(&mut self, sequence: u64, expected: u64, row: &Row, entry: &Entry) {
        if entry.sequence != expected {
            self.note(
                Some(sequence),
                format!(
                    "says that it is entry {}, where entry {expected} is due",
                    entry.sequence
                ),
            );
        }
        if let Some(head) = &self.head
            && head.origin != entry.origin
        {
            self.note(Some(sequence), "belongs to another log than the head says".to_owned());
        }
        if entry.previous != self.previous {
            self.note(
                Some(sequence),
                "does not follow on the entry before it (the hash of that one differs)".to_owned(),
            );
        }
        for (same, column) in [
            (row.run == entry.run, "run"),
            (
                u64::try_from(row.run_sequence) == Ok(entry.run_sequence),
                "run_sequence",
            ),
            (Part::from_word(&row.part) == Some(entry.part), "part"),
            (row.kind == entry.kind, "kind"),
            (row.at == entry.wall_nanoseconds, "at"),
        ] {
            if !same {
                self.note(
                    Some(sequence),
                    format!("says something else than its column `{column}`"),
                );
            }
        }
        match (&row.salt, &row.body) {
            (Some(salt), Some(body)) => {
                if salt.len() != 32 || tree::hash(&[salt, body]) != entry.payload {
                    self.note(Some(sequence), "does not agree with its payload".to_owned());
                }
            }
            _ => {
                self.payloads_missing += 1;
                self.note(Some(sequence), "has lost its payload".to_owned());
            }
        }
        let run = self.runs.entry(entry.run.clone()).or_default();
        let due = run.entries;
        run.entries = entry.run_sequence.saturating_add(1);
        let epoch_before = run.epoch;
        run.epoch = entry.epoch;
        if entry.scope.is_empty() {
            match entry.kind.as_str() {
                "run_started" => run.started = Some(sequence),
                "severity" => run.severity = Some(sequence),
                "ended" => run.ended = Some(sequence),
                _ => {}
            }
        }
        if entry.run_sequence != due {
            self.note(
                Some(sequence),
                format!(
                    "is number {} of run {}, where {due} is due",
                    entry.run_sequence, entry.run
                ),
            );
        }
        if entry.epoch < epoch_before {
            self.note(
                Some(sequence),
                format!("was written under epoch {}, after epoch {epoch_before}", entry.epoch),
            );
        }
    }

    /// A row of the list of runs, after the entries.
    pub fn run(&mut self, row: RunRow) {
        let none = RunSeen::default();
        let seen = self.runs.get(&row.id).unwrap_or(&none);
        let same = |stored: Option<i64>, seen: Option<u64>| stored.map(u64::try_from) == seen.map(Ok);
        let wrong = u64::try_from(row.entries) != Ok(seen.entries)
            || !same(row.started, seen.started)
            || !same(row.severity, seen.severity)
            || !same(row.ended, seen.ended);
        if wrong {
            let last = [row.started, row.severity, row.ended].into_iter().flatten().max();
            self.note(
                last.and_then(|last| u64::try_from(last).ok()),
                format!("run {} is listed otherwise than its entries say", row.id.escape_debug()),
            );
        }
        if let Some(seen) = self.runs.get_mut(&row.id) {
            seen.listed = true;
        }
    }

    /// A row of the leases, after the entries.
    pub fn lease(&mut self, row: Lease) {
        if let Some(seen) = self.runs.get_mut(&row.run) {
            seen.leased = true;
            let epoch = seen.epoch;
            if u64::try_from(row.epoch) != Ok(epoch) {
                self.note(
                    None,
                    format!(
                        "run {} is leased under epoch {}, its last entry has {epoch}",
                        row.run, row.epoch
                    ),
                );
            }
        }
    }

    /// The result.
    pub fn finish(mut self) -> Verified {
        self.compare_head();
        let unlisted: Vec<String> = self
            .runs
            .iter()
            .filter(|(_, seen)| !seen.listed || !seen.leased)
            .map(|(id, _)| id.clone())
            .collect();
        for id in unlisted {
            self.note(None, format!("run {} has entries and is not listed", id.escape_debug()));
        }
        let entries = self.frontier.size();
        Verified {
            level: if self.findings.is_empty() {
                Level::Intact
            } else {
                Level::Broken
            },
            origin: self
                .head
                .as_ref()
                .map(|head| hex::encode(&head.origin))
                .unwrap_or_default(),
            entries,
            runs: self.runs.len() as u64,
            root: hex::encode(self.frontier.root()),
            on_this_file_alone: entries,
            payloads_missing: self.payloads_missing,
            findings: self.findings,
            findings_left_out: self.findings_left_out,
        }
    }

    fn compare_head(&mut self) {
        let Some(head) = self.head.take() else { return };
        let size = self.frontier.size();
        if u64::try_from(head.size) != Ok(size) {
            let first = u64::try_from(head.size).unwrap_or(0).min(size);
            self.note(
                Some(first),
                format!(
                    "begins a difference: the head counts {} entries, {size} are there",
                    head.size
                ),
            );
        }
        for (same, what) in [
            (head.leaf == self.previous, "last hash"),
            (head.frontier == self.frontier.to_bytes(), "frontier"),
            (head.root == self.frontier.root(), "root"),
        ] {
            if !same {
                self.note(
                    size.checked_sub(1),
                    format!("is the last, and the head's {what} does not agree with the entries up to it"),
                );
            }
        }
        self.head = Some(head);
    }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

impl Verified {
    /// Whether everything fits.
    pub fn is_intact(&self) -> bool {
        self.level >= Level::Intact
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry} {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
        let entries = count(self.entries, "entry", "entries");
        let runs = count(self.runs, "run", "runs");
        if self.is_intact() {
            writeln!(
                f,
                "intact: {entries} of {runs}; numbers, hashes, payloads and head agree"
            )?;
            writeln!(f, "root {}, log {}", self.root, self.origin)?;
            let rest = if self.entries == 1 { "rests" } else { "rest" };
            write!(
                f,
                "No signature or anchor covers the log: {entries} {rest} on this file alone. Whoever can write the file could have \
                 cut its end or computed all of it anew."
            )
        } else {
            writeln!(f, "broken: {entries} of {runs} were read; this does not fit:")?;
            for finding in &self.findings {
                writeln!(f, "- {finding}")?;
            }
            if self.findings_left_out > 0 {
                writeln!(f, "- and {} more", self.findings_left_out)?;
            }
            write!(
                f,
                "Keep a copy of the file as it is before anything else is done with it."
            )
        }
    }
}

#[cfg(test)]
mod tests;
