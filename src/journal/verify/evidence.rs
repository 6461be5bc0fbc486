//! What vouches for a log from outside: signatures, anchors, witnesses, and how far each reaches.

use crate::journal::checkpoint::{Checkpoint, Statement, origin_line};
use crate::journal::note::{Verdict, Verifier};
use crate::journal::tree::{self, Frontier};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Whom and what to believe. It comes from whoever verifies, never from the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The origin line of the log that is meant; any when absent.
    pub log: Option<String>,
    /// Keys that may sign checkpoints.
    pub keys: Vec<Verifier>,
    pub witnesses: Vec<Verifier>,
    /// How many witnesses it takes; at least one.
    pub witnesses_needed: usize,
    pub anchors: Vec<Anchor>,
    /// How many anchors it takes; at least one.
    pub anchors_needed: usize,
}

/// A place where roots are kept, and what was read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// For people.
    pub place: String,
    /// What it says, or why it could not be read.
    pub statements: Result<Vec<Statement>, String>,
}

/// A checkpoint's row as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    pub size: i64,
    /// The frontier at this size, a cache for consistency proofs.
    pub frontier: Vec<u8>,
    /// The signed note.
    pub note: Vec<u8>,
    /// SHA-256 over the note.
    pub digest: Vec<u8>,
}

/// How far outside evidence reaches, as numbers of entries from the first on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// A trusted key signed the root at this size.
    pub signed: Option<u64>,
    /// As many anchors as are needed hold a root at this size or beyond.
    pub anchored: Option<u64>,
    /// As many witnesses as are needed cosigned a root at this size or beyond.
    pub witnessed: Option<u64>,
    /// Checkpoints that the store keeps.
    pub checkpoints: u64,
    /// Keys that signed checkpoints and are trusted, with the largest size of each.
    pub keys: BTreeMap<String, u64>,
    /// Names of keys that signed checkpoints and are not trusted.
    pub unknown_keys: BTreeSet<String>,
    pub anchors: Vec<AnchorReach>,
    pub anchors_needed: usize,
    /// Witnesses that are trusted, with the largest size each cosigned; none where it is `None`.
    pub witnesses: BTreeMap<String, Option<u64>>,
    pub witnesses_needed: usize,
}

/// How far one anchor reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnchorReach {
    pub place: String,
    /// The largest size at which it holds this log's root.
    pub size: Option<u64>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// Something that does not fit, with the size of the tree it is about.
type About = (u64, String);

/// Evidence that waits for the log to have its size.
#[derive(Clone)]
enum Waiting {
    /// Signed by these keys and these witnesses.
    Checkpoint {
        checkpoint: Checkpoint,
        frontier: Vec<u8>,
        keys: Vec<String>,
        witnesses: Vec<String>,
    },
    Statement {
        anchor: usize,
        statement: Statement,
    },
}

/// All evidence about one log.
#[derive(Clone)]
pub struct Evidence {
    trust: Trust,
    origin: String,
    waiting: BTreeMap<u64, Vec<Waiting>>,
    reach: Reach,
    /// Cached frontiers are compared.
    caches: bool,
}

impl Evidence {
    pub fn new(trust: Trust) -> Self {
        let reach = Reach {
            anchors: trust
                .anchors
                .iter()
                .map(|anchor| AnchorReach {
                    place: anchor.place.clone(),
                    size: None,
                    problem: anchor.statements.as_ref().err().cloned(),
                })
                .collect(),
            anchors_needed: trust.anchors_needed.max(1),
            witnesses: trust.witnesses.iter().map(|key| (key.short(), None)).collect(),
            witnesses_needed: trust.witnesses_needed.max(1),
            ..Reach::default()
        };
        Self {
            trust,
            origin: String::new(),
            waiting: BTreeMap::new(),
            reach,
            caches: true,
        }
    }

    /// There are no cached frontiers to compare.
    pub fn without_caches(&mut self) {
        self.caches = false;
    }

    /// Which log this is. An error when another is meant.
    pub fn log(&mut self, origin: &[u8]) -> Result<(), String> {
        self.origin = origin_line(origin);
        for (index, anchor) in self.trust.anchors.iter().enumerate() {
            for statement in anchor.statements.iter().flatten() {
                // A place may hold the lines of several logs.
                if statement.origin == self.origin {
                    self.waiting
                        .entry(statement.size)
                        .or_default()
                        .push(Waiting::Statement {
                            anchor: index,
                            statement: statement.clone(),
                        });
                }
            }
        }
        match &self.trust.log {
            Some(meant) if *meant != self.origin => Err(format!(
                "this is the log {}, and {} is meant",
                self.origin,
                meant.escape_debug()
            )),
            _ => Ok(()),
        }
    }

    /// Takes a checkpoint; what does not fit in itself is the answer.
    pub fn checkpoint(&mut self, row: CheckpointRow) -> Vec<About> {
        let size = u64::try_from(row.size).unwrap_or(0);
        let wrong = |what: String| vec![(size, format!("ends a checkpoint (size {}) that {what}", row.size))];
        self.reach.checkpoints += 1;
        if tree::hash(&[&row.note])[..] != row.digest[..] {
            return wrong("does not agree with its hash".to_owned());
        }
        let (checkpoint, note) = match Checkpoint::of_note(&row.note) {
            Ok(parsed) => parsed,
            Err(why) => return wrong(format!("cannot be read: {why}")),
        };
        if checkpoint.origin != self.origin {
            return wrong(format!("is of another log, {}", checkpoint.origin.escape_debug()));
        }
        if u64::try_from(row.size) != Ok(checkpoint.size) {
            return wrong(format!("says size {}", checkpoint.size));
        }
        let mut found = Vec::new();
        let mut good = |keys: &[Verifier]| -> Vec<String> {
            let mut good = Vec::new();
            for key in keys {
                match note.verdict(key) {
                    Verdict::Good(_) => good.push(key.short()),
                    Verdict::Wrong => found.extend(wrong(format!("has a wrong signature of {}", key.short()))),
                    Verdict::Absent => {}
                }
            }
            good
        };
        let keys = good(&self.trust.keys);
        let witnesses = good(&self.trust.witnesses);
        for line in &note.signatures {
            let short = format!("{}+{}", line.name, hex::encode(line.id));
            let known = |keys: &[Verifier]| keys.iter().any(|key| key.short() == short);
            if !known(&self.trust.keys) && !known(&self.trust.witnesses) {
                self.reach.unknown_keys.insert(short);
            }
        }
        self.waiting.entry(size).or_default().push(Waiting::Checkpoint {
            checkpoint,
            frontier: row.frontier,
            keys,
            witnesses,
        });
        found
    }

    /// The log has grown to this size: what waited for it is compared.
    pub fn grown(&mut self, frontier: &Frontier) -> Vec<About> {
        // Nearly always nothing waits.
        match self.waiting.first_key_value() {
            Some((size, _)) if *size <= frontier.size() => {}
            _ => return Vec::new(),
        }
        self.compare(frontier)
    }

    fn compare(&mut self, frontier: &Frontier) -> Vec<About> {
        let size = frontier.size();
        let mut found = Vec::new();
        for waiting in self.waiting.remove(&size).unwrap_or_default() {
            match waiting {
                Waiting::Statement { anchor, statement } if statement.agrees(&frontier.root()) => {
                    let best = &mut self.reach.anchors[anchor].size;
                    *best = (*best).max(Some(size));
                }
                Waiting::Statement { anchor, .. } => found.push((
                    size,
                    format!(
                        "ends a log of {size} entries whose root differs from the one that the anchor {} holds",
                        self.reach.anchors[anchor].place
                    ),
                )),
                Waiting::Checkpoint {
                    checkpoint,
                    frontier: cached,
                    keys,
                    witnesses,
                } => {
                    if checkpoint.root != frontier.root() {
                        found.push((
                            size,
                            format!(
                                "ends a checkpoint (size {size}) whose root differs from that of the entries up to it"
                            ),
                        ));
                        continue;
                    }
                    if self.caches && cached != frontier.to_bytes() {
                        found.push((
                            size,
                            format!("ends a checkpoint (size {size}) that is stored with another frontier"),
                        ));
                    }
                    if !keys.is_empty() {
                        self.reach.signed = self.reach.signed.max(Some(size));
                    }
                    for key in keys {
                        let best = self.reach.keys.entry(key).or_default();
                        *best = (*best).max(size);
                    }
                    for witness in witnesses {
                        let best = self.reach.witnesses.entry(witness).or_default();
                        *best = (*best).max(Some(size));
                    }
                }
            }
        }
        found
    }

    /// All entries were read: whatever still waits knows a larger log.
    pub fn end(&mut self, frontier: &Frontier) -> Vec<About> {
        let entries = frontier.size();
        let mut found = if entries == 0 {
            self.compare(frontier)
        } else {
            Vec::new()
        };
        for (size, waiting) in std::mem::take(&mut self.waiting) {
            for waiting in waiting {
                let what = match waiting {
                    _ if size == 0 => continue,
                    Waiting::Statement { anchor, .. } => format!("the anchor {}", self.reach.anchors[anchor].place),
                    Waiting::Checkpoint { .. } => "a checkpoint of this store".to_owned(),
                };
                found.push((
                    entries,
                    format!("is the last that is there: {what} knows {size} entries, {entries} are there"),
                ));
            }
        }
        let anchors = self.reach.anchors.iter().filter_map(|anchor| anchor.size).collect();
        self.reach.anchored = nth_largest(anchors, self.reach.anchors_needed);
        let witnesses = self.reach.witnesses.values().filter_map(|size| *size).collect();
        self.reach.witnessed = nth_largest(witnesses, self.reach.witnesses_needed);
        found
    }

    /// How far all of it reaches, after the end.
    pub fn reach(&mut self) -> Reach {
        std::mem::take(&mut self.reach)
    }
}

/// The size that `needed` of these reach. A root covers everything before it, so a larger size vouches for a smaller one.
fn nth_largest(mut sizes: Vec<u64>, needed: usize) -> Option<u64> {
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    sizes.get(needed.max(1) - 1).copied()
}
