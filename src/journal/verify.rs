//! Verification of a log: what is there is dense, agrees with its hashes, and leads to the recorded root.
//!
//! It says how far that reaches. Whoever can write the file can also compute all of this anew, so `intact` shows that nothing
//! was damaged or changed by somebody who did not. Signatures, anchors and witnesses show more, up to the size they know;
//! whom to believe comes from outside, never from the log.

mod evidence;
mod words;

use super::entry::View;
use super::tree::{self, Digest, Frontier};
use evidence::Evidence;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use evidence::{Anchor, AnchorReach, CheckpointRow, Reach, Trust};

/// Findings that are kept; one damaged entry can lead to many.
const FINDINGS_KEPT: usize = 20;

/// How much was shown. Each level includes the ones before it, up to the size that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not fit.
    Broken,
    /// Dense, hashes good, head and root agree.
    Intact,
    /// A trusted key vouches for the log up to a size.
    Signed,
    /// As many anchors as are needed, kept elsewhere, hold its root at a size or beyond.
    Anchored,
    /// As many witnesses as are needed saw it grow up to a size.
    Witnessed,
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
    /// How far outside evidence reaches.
    pub reach: Reach,
    /// Entries that no signature, anchor or witness protects: the unprotected tail.
    pub on_this_file_alone: u64,
    /// Entries before these that a signature covers, but no anchor or witness: they rest on whoever holds the key.
    pub on_the_key_alone: u64,
    /// Payloads that were erased, as an entry says.
    pub payloads_erased: u64,
    /// The log before this one, as the anchor line of its end, as an entry says.
    pub before: Option<String>,
    /// The origin line of the log in which the record goes on, as an entry says.
    pub after: Option<String>,
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

/// An entry's row as stored, wherever it lies.
#[derive(Clone, Copy)]
pub struct RowView<'a> {
    pub sequence: i64,
    pub run: &'a str,
    pub run_sequence: i64,
    pub part: &'a str,
    pub kind: &'a str,
    pub at: i64,
    pub bytes: &'a [u8],
    pub leaf: &'a [u8],
    pub salt: Option<&'a [u8]>,
    pub body: Option<&'a [u8]>,
}

impl Row {
    /// The row where it lies.
    pub fn view(&self) -> RowView<'_> {
        RowView {
            sequence: self.sequence,
            run: &self.run,
            run_sequence: self.run_sequence,
            part: &self.part,
            kind: &self.kind,
            at: self.at,
            bytes: &self.bytes,
            leaf: &self.leaf,
            salt: self.salt.as_deref(),
            body: self.body.as_deref(),
        }
    }
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
#[derive(Clone, Default)]
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
#[derive(Clone)]
pub struct Check {
    head: Option<Head>,
    frontier: Frontier,
    previous: Digest,
    runs: BTreeMap<String, RunSeen>,
    /// Lists of runs and leases are compared; an export has none.
    lists: bool,
    evidence: Evidence,
    /// Entries without a payload, and those that an entry says were erased.
    missing: BTreeSet<u64>,
    erased: BTreeSet<u64>,
    before: Option<String>,
    after: Option<String>,
    findings: Vec<Finding>,
    findings_left_out: u64,
    /// Memory for reading an entry.
    scratch: Vec<u8>,
}

impl Check {
    /// A verification that has seen nothing yet, and believes what is trusted.
    pub fn new(trust: Trust) -> Self {
        Self {
            head: None,
            frontier: Frontier::default(),
            previous: [0; 32],
            runs: BTreeMap::new(),
            lists: true,
            evidence: Evidence::new(trust),
            missing: BTreeSet::new(),
            erased: BTreeSet::new(),
            before: None,
            after: None,
            findings: Vec::new(),
            findings_left_out: 0,
            scratch: Vec::new(),
        }
    }

    /// What was found so far that does not fit.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing was found so far that does not fit.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
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

    /// There are no lists of runs and leases to compare.
    pub fn without_lists(&mut self) {
        self.lists = false;
        self.evidence.without_caches();
    }

    /// The head row, before everything else.
    pub fn head(&mut self, head: Head) {
        if let Err(why) = self.evidence.log(&head.origin) {
            self.note(None, why);
        }
        self.head = Some(head);
    }

    /// A checkpoint that the store keeps, after the head and before the entries.
    pub fn checkpoint(&mut self, row: CheckpointRow) {
        for what in self.evidence.checkpoint(row) {
            self.about(what);
        }
    }

    fn about(&mut self, (size, what): (u64, String)) {
        self.note(size.checked_sub(1), what);
    }

    /// The next entry.
    pub fn entry(&mut self, row: RowView<'_>) {
        let expected = self.frontier.size();
        if u64::try_from(row.sequence) != Ok(expected) {
            self.note(
                Some(expected),
                format!("is missing: entry {} stands in its place", row.sequence),
            );
        }
        let sequence = u64::try_from(row.sequence).unwrap_or(expected);
        let leaf = tree::leaf(row.bytes);
        if leaf[..] != *row.leaf {
            self.note(Some(sequence), "does not agree with its stored hash".to_owned());
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        match View::decode(row.bytes, &mut scratch) {
            Ok(entry) => self.decoded(sequence, expected, &row, &entry),
            Err(why) => self.note(Some(sequence), format!("cannot be read: {why}")),
        }
        self.scratch = scratch;
        self.frontier.push(leaf);
        self.previous = leaf;
        for what in self.evidence.grown(&self.frontier) {
            self.about(what);
        }
    }

    fn decoded(&mut self, sequence: u64, expected: u64, row: &RowView<'_>, entry: &View<'_>) {
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
            (row.part == entry.part.word(), "part"),
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
        match (row.salt, row.body) {
            (Some(salt), Some(body)) => {
                if salt.len() != 32 || tree::hash(&[salt, body]) != entry.payload {
                    self.note(Some(sequence), "does not agree with its payload".to_owned());
                }
            }
            _ => {
                self.missing.insert(sequence);
            }
        }
        if entry.kind == "payloads_erased"
            && let Some(body) = row.body
        {
            match erased(body) {
                Some(entries) => self
                    .erased
                    .extend(entries.into_iter().filter(|erased| *erased < sequence)),
                None => self.note(Some(sequence), "does not say which payloads were erased".to_owned()),
            }
        }
        if entry.kind == "log_changed"
            && let Some(body) = row.body
        {
            match serde_json::from_slice(body) {
                Ok(super::Event::LogChanged { from, to, .. }) => {
                    self.before = from.or(self.before.take());
                    self.after = to.or(self.after.take());
                }
                _ => self.note(
                    Some(sequence),
                    "does not say which log comes before or after".to_owned(),
                ),
            }
        }
        if !self.runs.contains_key(entry.run) {
            self.runs.insert(entry.run.to_owned(), RunSeen::default());
        }
        let run = self.runs.get_mut(entry.run).expect("it was put there");
        let due = run.entries;
        run.entries = entry.run_sequence.saturating_add(1);
        let epoch_before = run.epoch;
        run.epoch = entry.epoch;
        if entry.scope.is_empty() {
            match entry.kind {
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
        for sequence in self.missing.difference(&self.erased).copied().collect::<Vec<_>>() {
            self.note(Some(sequence), "has lost its payload".to_owned());
        }
        for sequence in self.erased.difference(&self.missing).copied().collect::<Vec<_>>() {
            self.note(
                Some(sequence),
                "has its payload, though a later entry says that it was erased".to_owned(),
            );
        }
        for what in self.evidence.end(&self.frontier) {
            self.about(what);
        }
        let unlisted: Vec<String> = self
            .runs
            .iter()
            .filter(|(_, seen)| self.lists && (!seen.listed || !seen.leased))
            .map(|(id, _)| id.clone())
            .collect();
        for id in unlisted {
            self.note(None, format!("run {} has entries and is not listed", id.escape_debug()));
        }
        let entries = self.frontier.size();
        let reach = self.evidence.reach();
        let outside = reach.anchored.max(reach.witnessed).unwrap_or(0);
        let covered = reach.signed.unwrap_or(0).max(outside);
        Verified {
            level: if !self.findings.is_empty() {
                Level::Broken
            } else if reach.witnessed.is_some() {
                Level::Witnessed
            } else if reach.anchored.is_some() {
                Level::Anchored
            } else if reach.signed.is_some() {
                Level::Signed
            } else {
                Level::Intact
            },
            origin: self
                .head
                .as_ref()
                .map(|head| hex::encode(&head.origin))
                .unwrap_or_default(),
            entries,
            runs: self.runs.len() as u64,
            root: hex::encode(self.frontier.root()),
            reach,
            on_this_file_alone: entries - covered,
            on_the_key_alone: covered - outside,
            payloads_erased: self.missing.len() as u64,
            before: self.before,
            after: self.after,
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
            // An export has no caches to compare.
            (!self.lists || head.leaf == self.previous, "last hash"),
            (!self.lists || head.frontier == self.frontier.to_bytes(), "frontier"),
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
        Self::new(Trust::default())
    }
}

/// The entries that an entry of the kind `payloads_erased` names.
fn erased(body: &[u8]) -> Option<Vec<u64>> {
    match serde_json::from_slice(body) {
        Ok(super::Event::PayloadsErased { entries, .. }) => Some(entries),
        _ => None,
    }
}

impl Verified {
    /// Whether everything fits.
    pub fn is_intact(&self) -> bool {
        self.level >= Level::Intact
    }

    /// Up to which size the log is protected at this level or a higher one; `None` where that level was not reached.
    pub fn reaches(&self, level: Level) -> Option<u64> {
        if !self.is_intact() {
            return None;
        }
        let outside = self.reach.anchored.max(self.reach.witnessed);
        match level {
            Level::Broken | Level::Intact => Some(self.entries),
            Level::Signed => self.reach.signed.max(outside),
            Level::Anchored => outside,
            Level::Witnessed => self.reach.witnessed,
        }
    }
}

#[cfg(test)]
mod tests;
