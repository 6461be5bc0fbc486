//! Reading: the list of runs, the entries of a run from their hashed bytes, and the snapshot that is verified.

use super::chunk::Chunk;
use super::entry::Entry;
use super::event::Event;
use super::storage::{Reader, Which};
use super::store::Store;
use super::verify::{self, Check, Row, RunRow, Trust, Verified};
use super::{Error, Recorded, tree, words};
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::MutexGuard;

/// One run in the list of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    pub id: String,
    pub entries: u64,
    /// Its first entry of this kind: which runbook, by whom, when.
    pub started: Option<Recorded>,
    /// The newest severity.
    pub severity: Option<Recorded>,
    /// `None`: interrupted, or still running.
    pub ended: Option<Recorded>,
}

/// What a name of a run leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The id.
    One(String),
    Nothing,
    /// The first few ids that begin so.
    Several(Vec<String>),
}

/// A snapshot of a store: everything that is read through it was true at one moment.
pub struct Reading<'a> {
    guard: MutexGuard<'a, Option<Box<dyn Reader>>>,
}

impl Reading<'_> {
    /// The reader inside the snapshot.
    pub fn reader(&mut self) -> &mut dyn Reader {
        self.guard.as_deref_mut().expect("a reading begins with a reader")
    }

    /// Ends the snapshot.
    pub async fn done(mut self) -> Result<(), Error> {
        self.reader().end().await
    }
}

impl Store {
    /// Begins a snapshot. One that is dropped unfinished is ended by the next.
    pub async fn reading(&self) -> Result<Reading<'_>, Error> {
        let mut guard = self.reader.lock().await;
        let mut reader = match guard.take() {
            Some(reader) => reader,
            None => self.storage.reader().await?,
        };
        reader.begin().await?;
        *guard = Some(reader);
        Ok(Reading { guard })
    }

    /// The newest runs, newest first. A run that recorded nothing is not listed.
    pub async fn runs(&self, at_most: u32) -> Result<Vec<RunSummary>, Error> {
        let mut reading = self.reading().await?;
        let rows = reading.reader().runs(Some(at_most)).await?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let mut found = [None, None, None];
            for (slot, sequence) in found.iter_mut().zip([row.started, row.severity, row.ended]) {
                if let Some(sequence) = sequence.and_then(|sequence| u64::try_from(sequence).ok()) {
                    *slot = self.entry(reading.reader(), &row.id, sequence).await?;
                }
            }
            let [started, severity, ended] = found;
            runs.push(RunSummary {
                id: row.id,
                entries: u64::try_from(row.entries).unwrap_or(0),
                started,
                severity,
                ended,
            });
        }
        reading.done().await?;
        Ok(runs)
    }

    /// The run of this id, the only one whose id begins so, or the newest for `latest`.
    pub async fn find(&self, name: &str) -> Result<Found, Error> {
        let mut reading = self.reading().await?;
        let mut ids = match name {
            "latest" => reading
                .reader()
                .runs(Some(1))
                .await?
                .into_iter()
                .map(|run| run.id)
                .collect(),
            name => match reading.reader().run(name).await? {
                Some(RunRow { id, entries: 1.., .. }) => vec![id],
                _ => reading.reader().ids(name).await?,
            },
        };
        reading.done().await?;
        Ok(match ids.len() {
            0 => Found::Nothing,
            1 => Found::One(ids.swap_remove(0)),
            _ => Found::Several(ids),
        })
    }

    /// How a run began that has not ended, by its first entry; `None` when it has ended or recorded nothing.
    pub async fn began(&self, run: &str) -> Result<Option<Recorded>, Error> {
        let mut reading = self.reading().await?;
        let listed = reading.reader().run(run).await?;
        let mut first = None;
        if listed.is_some_and(|listed| listed.ended.is_none()) {
            first = reading.reader().entries(Which::FirstOf(run)).next().await.transpose()?;
        }
        reading.done().await?;
        first.map(|row| self.recorded(run, &row)).transpose()
    }

    /// All entries of a run, oldest first, read from the hashed bytes; an entry that does not agree with its hash, its place or
    /// its payload is an error.
    pub async fn entries(&self, run: &str) -> Result<Vec<Recorded>, Error> {
        let mut reading = self.reading().await?;
        let listed = reading.reader().run(run).await?;
        let mut entries: Vec<Recorded> = Vec::new();
        {
            let mut rows = reading.reader().entries(Which::Run(run));
            while let Some(row) = rows.next().await {
                let entry = self.recorded(run, &row?)?;
                if entry.run_sequence != entries.len() as u64 {
                    return Err(self.damaged(run, &format!("entry {} of the run is missing", entries.len())));
                }
                entries.push(entry);
            }
        }
        reading.done().await?;
        match listed {
            Some(row) if row.entries == entries.len() as i64 => Ok(entries),
            Some(row) => Err(self.damaged(run, &format!("{} of {} entries are there", entries.len(), row.entries))),
            None => Err(words::message(
                self.place(),
                "read a run",
                &format!("there is no run `{}`", run.escape_debug()),
                "`starr runs` lists what is there.",
            )),
        }
    }

    /// Verifies the whole log in one snapshot, also while others write. Nobody outside is believed: the level is at most intact.
    pub async fn verify(&self) -> Result<Verified, Error> {
        self.verify_with(Trust::default()).await
    }

    /// Verifies the whole log in one snapshot, also while others write, with these keys, anchors and witnesses. What the
    /// anchors say has to be read before, so that they know no more than the snapshot.
    pub async fn verify_with(&self, trust: Trust) -> Result<Verified, Error> {
        let mut reading = self.reading().await?;
        let reader = reading.reader();
        let verified = match self.in_chunks(reader, &trust).await {
            Some(verified) => verified,
            None => one_by_one(reader, trust).await,
        };
        // The findings are what is asked for; a snapshot that cannot be ended in good order changes none of them.
        let _ = reading.done().await;
        Ok(verified)
    }

    /// Verifies many entries at a time, while the database checks itself on another connection. `None`: that cannot be done
    /// here, or something was found, and then the entries are looked at one by one, so that what is said never depends on how
    /// they were read.
    async fn in_chunks(&self, reader: &mut dyn Reader, trust: &Trust) -> Option<Verified> {
        let entries = reader.extent().await.ok()??;
        let own = async {
            let mut own = self.storage.reader().await.ok()?;
            own.begin().await.ok()?;
            let found = own.own_check().await.ok()?;
            let _ = own.end().await;
            found.is_empty().then_some(())
        };
        let log = async {
            let mut check = Check::new(trust.clone());
            check.head(reader.head().await.ok()?);
            for row in reader.checkpoints().await.ok()? {
                check.checkpoint(row);
            }
            let mut next = reader.chunk(0, CHUNK.min(entries)).await.ok()?;
            loop {
                let chunk = next;
                let after = chunk.first + chunk.count;
                let more = CHUNK.min(entries - after);
                // The database reads the next chunk while this one is hashed.
                let (read, good) = futures::join!(
                    async {
                        match more {
                            0 => None,
                            more => Some(reader.chunk(after, more).await),
                        }
                    },
                    async { take(&chunk, &mut check) }
                );
                if !good {
                    let rows = reader.entries(Which::From(chunk.first));
                    let mut rows = rows.take(usize::try_from(chunk.count).ok()?);
                    while let Some(row) = rows.next().await {
                        check.entry(row.ok()?.view());
                    }
                }
                if !check.is_good() {
                    return None;
                }
                match read {
                    None => break,
                    Some(read) => next = read.ok()?,
                }
            }
            let (runs, leases) = side_tables(reader).await.ok()?;
            runs.into_iter().for_each(|run| check.run(run));
            leases.into_iter().for_each(|lease| check.lease(lease));
            Some(check.finish())
        };
        let (own, verified) = futures::join!(own, log);
        own.and(verified).filter(Verified::is_intact)
    }

    async fn entry(&self, reader: &mut dyn Reader, run: &str, sequence: u64) -> Result<Option<Recorded>, Error> {
        let row = reader.entries(Which::One(sequence)).next().await.transpose()?;
        row.map(|row| self.recorded(run, &row)).transpose()
    }

    /// One entry from its hashed bytes and its payload. What does not agree with its hash is not shown.
    fn recorded(&self, run: &str, row: &Row) -> Result<Recorded, Error> {
        let damaged = |why: &str| self.damaged(run, why);
        let sequence = row.sequence;
        if tree::leaf(&row.bytes)[..] != row.leaf[..] {
            return Err(damaged(&format!("entry {sequence} does not agree with its hash")));
        }
        let entry =
            Entry::decode(&row.bytes).map_err(|why| damaged(&format!("entry {sequence} cannot be read: {why}")))?;
        if u64::try_from(sequence) != Ok(entry.sequence) || entry.run != run {
            return Err(damaged(&format!("entry {sequence} is not in its place")));
        }
        let event = match (&row.salt, &row.body) {
            (Some(salt), Some(body)) => {
                if tree::hash(&[salt, body]) != entry.payload {
                    return Err(damaged(&format!(
                        "the payload of entry {sequence} does not agree with its hash"
                    )));
                }
                let event: Event = serde_json::from_slice(body)
                    .map_err(|error| damaged(&format!("the payload of entry {sequence} cannot be read: {error}")))?;
                Some(event)
            }
            _ => None,
        };
        Ok(Recorded {
            sequence: entry.sequence,
            run: entry.run,
            run_sequence: entry.run_sequence,
            scope: entry.scope,
            part: entry.part,
            kind: entry.kind,
            actor: entry.actor,
            at: Timestamp::from_nanosecond(i128::from(entry.wall_nanoseconds)).unwrap_or(Timestamp::MAX),
            event,
        })
    }

    fn damaged(&self, run: &str, why: &str) -> Error {
        words::message(
            self.place(),
            &format!("read run {}", run.escape_debug()),
            why,
            "Keep a copy of the journal as it is, and run `starr journal verify`.",
        )
    }
}

/// Entries that are read at once when a log is verified.
const CHUNK: u64 = 512;

/// Hands a chunk to the verification; `false` when it is not whole, and then nothing of it was handed over.
fn take(chunk: &Chunk, check: &mut Check) -> bool {
    let Some(rows) = chunk.rows() else { return false };
    rows.into_iter().for_each(|row| check.entry(row));
    true
}

/// Verifies one entry after the other.
async fn one_by_one(reader: &mut dyn Reader, trust: Trust) -> Verified {
    let mut check = Check::new(trust);
    match reader.own_check().await {
        Ok(findings) => {
            for (entry, what) in findings {
                check.damage(entry, what);
            }
        }
        Err(error) => check.damage(None, format!("the database's own check cannot be made: {error}")),
    }
    match reader.head().await {
        Ok(head) => check.head(head),
        Err(error) => check.damage(None, format!("the head of the log cannot be read: {error}")),
    }
    match reader.checkpoints().await {
        Ok(rows) => rows.into_iter().for_each(|row| check.checkpoint(row)),
        Err(error) => check.damage(None, format!("the checkpoints cannot be read: {error}")),
    }
    {
        let mut rows = reader.entries(Which::All);
        while let Some(row) = rows.next().await {
            match row {
                Ok(row) => check.entry(row.view()),
                Err(error) => {
                    check.damage(None, format!("the entries cannot be read to their end: {error}"));
                    break;
                }
            }
        }
    }
    match side_tables(reader).await {
        Ok((runs, leases)) => {
            runs.into_iter().for_each(|run| check.run(run));
            leases.into_iter().for_each(|lease| check.lease(lease));
        }
        Err(error) => check.damage(None, format!("the lists of runs and leases cannot be read: {error}")),
    }
    check.finish()
}

async fn side_tables(reader: &mut dyn Reader) -> Result<(Vec<RunRow>, Vec<verify::Lease>), Error> {
    let runs = reader.runs(None).await?;
    let leases = reader.leases(None).await?;
    let leases = leases
        .into_iter()
        .map(|lease| verify::Lease {
            run: lease.run,
            epoch: super::storage::signed(lease.epoch),
        })
        .collect();
    Ok((runs, leases))
}
