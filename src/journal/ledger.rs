//! What signing, anchoring and exporting need of a store, whichever database it is.

use super::checkpoint::Checkpoint;
use super::note::Note;
use super::tree::{self, Digest, Frontier};
use super::verify::{Check, CheckpointRow, Head, Row, Trust, Verified};
use super::{Error, export};
use futures::future::BoxFuture;

/// The log of a store as a tree, and the checkpoints beside it.
pub trait Ledger: Send + Sync {
    /// Where the log stands.
    fn head(&self) -> BoxFuture<'_, Result<Standing, Error>>;

    /// The leaf hashes of these entries, the last excluded.
    fn leaves(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>>;

    /// All checkpoints, the smallest first.
    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>>;

    /// Keeps a checkpoint; the signatures of one that is there for the same size stay.
    fn keep<'a>(&'a self, frontier: &'a Frontier, note: &'a Note) -> BoxFuture<'a, Result<(), Error>>;

    /// Hands one snapshot of the whole log to the visitor: head, checkpoints, entries in the order of the log.
    fn walk<'a>(&'a self, visitor: &'a mut dyn Visitor) -> BoxFuture<'a, Result<(), Error>>;

    /// Verifies the whole log in one snapshot.
    fn verify(&self, trust: Trust) -> BoxFuture<'_, Result<Verified, Error>>;
}

/// Where a log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The log's random name.
    pub origin: Vec<u8>,
    pub frontier: Frontier,
}

impl Standing {
    /// The tree head.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(&self.origin, self.frontier.size(), self.frontier.root())
    }
}

/// Is handed a log, part by part.
pub trait Visitor: Send {
    fn head(&mut self, head: Head) -> Result<(), Error>;
    fn checkpoint(&mut self, row: CheckpointRow) -> Result<(), Error>;
    fn entry(&mut self, row: Row) -> Result<(), Error>;
}

impl Visitor for Check {
    fn head(&mut self, head: Head) -> Result<(), Error> {
        Check::head(self, head);
        Ok(())
    }

    fn checkpoint(&mut self, row: CheckpointRow) -> Result<(), Error> {
        Check::checkpoint(self, row);
        Ok(())
    }

    fn entry(&mut self, row: Row) -> Result<(), Error> {
        Check::entry(self, row.view());
        Ok(())
    }
}

/// The row under which a checkpoint is kept: what a store writes for [`Ledger::keep`], given the row that is there for this
/// size, if there is one.
pub fn row(frontier: &Frontier, note: &Note, there: Option<&[u8]>) -> CheckpointRow {
    let mut merged = note.clone();
    // What cannot be read is replaced; what speaks of another root stays, for verification to name it.
    if let Some(Ok(old)) = there.map(Note::parse) {
        if old.text == merged.text {
            let mut all = old;
            merged.signatures.into_iter().for_each(|signature| all.add(signature));
            merged = all;
        } else {
            merged = old;
        }
    }
    let note = merged.encode().into_bytes();
    CheckpointRow {
        size: i64::try_from(frontier.size()).unwrap_or(i64::MAX),
        frontier: frontier.to_bytes(),
        digest: tree::hash(&[&note]).to_vec(),
        note,
    }
}

/// The frontier of the first `size` entries: from a checkpoint where there is one of that size, or else from the leaves.
pub async fn frontier_at(ledger: &dyn Ledger, size: u64) -> Result<Frontier, Error> {
    /// Leaves that are in memory at once.
    const CHUNK: u64 = 65_536;
    let stored = ledger.checkpoints().await?;
    if let Some(frontier) = stored
        .iter()
        .find(|row| u64::try_from(row.size) == Ok(size))
        .and_then(|row| Frontier::from_bytes(size, &row.frontier))
    {
        return Ok(frontier);
    }
    let mut frontier = Frontier::default();
    while frontier.size() < size {
        let from = frontier.size();
        let leaves = ledger.leaves(from, (from + CHUNK).min(size)).await?;
        if leaves.is_empty() {
            return Err(Error {
                message: format!("The journal has {from} entries, {size} were asked for."),
            });
        }
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
    }
    Ok(frontier)
}

/// Writes the whole log into one file that needs nothing else.
pub async fn export(ledger: &dyn Ledger, to: &mut (dyn std::io::Write + Send)) -> Result<export::Written, Error> {
    let mut writer = export::Writer::new(to);
    ledger.walk(&mut writer).await?;
    writer.finish()
}
