//! Looking after a store: checkpoints and the log as a tree, a copy that holds everything, payloads that are taken away.

use super::entry::Entry;
use super::event::{Event, Person};
use super::ledger::{Ledger, Standing, Visitor};
use super::note::Note;
use super::sequencer::Request;
use super::storage::{LeaseRow, Which};
use super::store::Store;
use super::tree::{Digest, Frontier};
use super::verify::{CheckpointRow, Trust, Verified};
use super::{Error, Journal as _, RunHeader, words};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use std::path::Path;

/// What came of erasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    pub payloads: u64,
    /// The entry that says so; `None` when there was nothing to erase.
    pub entry: Option<u64>,
    /// Nothing of them is left where the database keeps it for a while. Otherwise a reader held it: it goes with the next quiet
    /// moment.
    pub gone: bool,
}

impl Store {
    /// Copies the store, with everything that was acknowledged, into a new file of mode 0600; also while others write.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        self.storage.backup(to).await
    }

    /// Takes the payloads of a run away, and records in the same durable step that this was done, by whom and why. What
    /// says so itself stays.
    pub async fn erase(&self, run: &str, because: &str, by: &Person) -> Result<Erased, Error> {
        let tried = format!("erase payloads of run {}", run.escape_debug());
        let (lease, last, entries) = self.end_of(run, &tried).await?;
        let payloads = entries.len() as u64;
        if entries.is_empty() {
            return Ok(Erased {
                payloads,
                entry: None,
                gone: true,
            });
        }
        let event = Event::PayloadsErased {
            entries,
            because: because.to_owned(),
            by: by.clone(),
        };
        let entry = self.append_to(run, lease, last, &event, &tried).await?;
        let gone = self.handle(&tried)?.ask(|reply| Request::Scrub { reply }).await?;
        Ok(Erased {
            payloads,
            entry: Some(entry),
            gone,
        })
    }

    /// Records something about a run behind its last entry. Returns the entry's number.
    ///
    /// # Errors
    /// There is no such run, or the journal cannot be written.
    pub async fn attach(&self, run: &str, event: &Event) -> Result<u64, Error> {
        let tried = format!("add to run {}", run.escape_debug());
        let (lease, last, _) = self.end_of(run, &tried).await?;
        self.append_to(run, lease, last, event, &tried).await
    }

    /// Under the epoch that the run has: who runs it is not changed by this.
    async fn append_to(
        &self,
        run: &str,
        lease: LeaseRow,
        last: Entry,
        event: &Event,
        tried: &str,
    ) -> Result<u64, Error> {
        let handle = self.handle(tried)?;
        let events = handle.pending(std::slice::from_ref(event))?;
        handle
            .ask(|reply| Request::Append {
                run: run.to_owned(),
                epoch: lease.epoch,
                scope: String::new(),
                digests: last.digests,
                events,
                soon: false,
                reply,
            })
            .await
    }

    /// The lease of a run, its last entry, and the numbers of those whose payloads could be taken away.
    async fn end_of(&self, run: &str, tried: &str) -> Result<(LeaseRow, Entry, Vec<u64>), Error> {
        let mut reading = self.reading().await?;
        let lease = reading.reader().leases(Some(run)).await?.into_iter().next();
        let (mut last, mut entries) = (None, Vec::new());
        {
            let mut rows = reading.reader().entries(Which::Run(run));
            while let Some(row) = rows.next().await {
                let row = row?;
                if row.body.is_some() && row.kind != "payloads_erased" {
                    entries.push(u64::try_from(row.sequence).unwrap_or(0));
                }
                last = Some(row.bytes);
            }
        }
        reading.done().await?;
        let (Some(lease), Some(last)) = (lease, last) else {
            let hint = "`starr runs` lists what is there.";
            return Err(words::message(self.place(), tried, "there is no such run", hint));
        };
        let last = Entry::decode(&last).map_err(|why| {
            let hint = "Keep a copy of the journal as it is, and run `starr journal verify`.";
            words::message(self.place(), tried, &format!("its last entry is damaged: {why}"), hint)
        })?;
        Ok((lease, last, entries))
    }

    /// Records something about the journal itself, as a run of its own. Returns the entry's number.
    pub async fn note(&self, event: &Event) -> Result<u64, Error> {
        let run = self.begin(RunHeader::default()).await?;
        let entry = run.append("", event).await?;
        run.release().await?;
        Ok(entry)
    }

    async fn standing(&self) -> Result<Standing, Error> {
        let mut reading = self.reading().await?;
        let head = reading.reader().head().await?;
        reading.done().await?;
        let frontier = u64::try_from(head.size)
            .ok()
            .and_then(|size| Frontier::from_bytes(size, &head.frontier))
            .filter(|frontier| frontier.root()[..] == head.root[..]);
        match frontier {
            Some(frontier) => Ok(Standing {
                origin: head.origin,
                frontier,
            }),
            None => Err(words::message(
                self.place(),
                "read the head",
                "the head of the log is damaged",
                "Keep a copy of the journal as it is, and run `starr journal verify`.",
            )),
        }
    }

    async fn walk_snapshot(&self, visitor: &mut dyn Visitor) -> Result<(), Error> {
        let mut reading = self.reading().await?;
        let reader = reading.reader();
        visitor.head(reader.head().await?)?;
        for row in reader.checkpoints().await? {
            visitor.checkpoint(row)?;
        }
        {
            let mut rows = reader.entries(Which::All);
            while let Some(row) = rows.next().await {
                visitor.entry(row?)?;
            }
        }
        reading.done().await
    }
}

impl Ledger for Store {
    fn head(&self) -> BoxFuture<'_, Result<Standing, Error>> {
        Box::pin(self.standing())
    }

    fn leaves(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>> {
        Box::pin(async move {
            let mut reading = self.reading().await?;
            let leaves = reading.reader().leaves(from, to).await?;
            reading.done().await?;
            Ok(leaves)
        })
    }

    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(async move {
            let mut reading = self.reading().await?;
            let rows = reading.reader().checkpoints().await?;
            reading.done().await?;
            Ok(rows)
        })
    }

    fn keep<'a>(&'a self, frontier: &'a Frontier, note: &'a Note) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.handle("keep a checkpoint")?
                .ask(|reply| Request::Keep {
                    frontier: frontier.clone(),
                    note: Box::new(note.clone()),
                    reply,
                })
                .await
        })
    }

    fn walk<'a>(&'a self, visitor: &'a mut dyn Visitor) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.walk_snapshot(visitor))
    }

    fn verify(&self, trust: Trust) -> BoxFuture<'_, Result<Verified, Error>> {
        Box::pin(self.verify_with(trust))
    }
}
