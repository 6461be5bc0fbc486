//! Looking after a store: a copy that holds everything, and payloads that are taken away.

use super::append::Run;
use super::error::{failure, io_failure, message};
use super::{RunHeader, Store};
use crate::journal::entry::Entry;
use crate::journal::event::{Event, Person};
use crate::journal::{Error, Journal as _};
use sqlx::Row as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// What came of erasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    pub payloads: u64,
    /// The entry that says so; `None` when there was nothing to erase.
    pub entry: Option<u64>,
    /// Nothing of them is left in the write-ahead log either. Otherwise a reader held it: it goes with the next quiet moment.
    pub gone: bool,
}

impl Store {
    /// Copies the store, with everything that is still in the write-ahead log, into a new file of mode 0600; also while others
    /// write.
    pub async fn backup(&self, to: &Path) -> Result<(), Error> {
        let tried = format!("copy it to {}", to.display());
        // Made first, so that the copy is never readable for others, and nothing that is there is written over.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| io_failure(&self.inner.path, &tried, &error))?;
        let path = to.to_str().ok_or_else(|| {
            message(
                &self.inner.path,
                &tried,
                "the name is not UTF-8",
                "Choose another name for the copy.",
            )
        })?;
        let mut connection = self.inner.connection.lock().await;
        sqlx::query("vacuum into ?")
            .bind(path)
            .execute(&mut *connection)
            .await
            .map_err(|error| failure(&self.inner.path, &tried, &error))?;
        std::fs::File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(|error| io_failure(&self.inner.path, &tried, &error))
    }

    /// Takes the payloads of a run away, and records in the same durable step that this was done, by whom and why. What
    /// says so itself stays.
    pub async fn erase(&self, run: &str, because: &str, by: &Person) -> Result<Erased, Error> {
        let inner = &self.inner;
        let tried = format!("erase payloads of run {}", run.escape_debug());
        let (epoch, last, entries) = {
            let mut connection = inner.connection.lock().await;
            let fail = |error: sqlx::Error| failure(&inner.path, &tried, &error);
            let epoch: Option<i64> = sqlx::query("select epoch from leases where run = ?")
                .bind(run)
                .fetch_optional(&mut *connection)
                .await
                .map_err(fail)?
                .map(|row| row.try_get(0))
                .transpose()
                .map_err(fail)?;
            let last: Option<Vec<u8>> =
                sqlx::query("select bytes from entries where run = ? order by run_sequence desc limit 1")
                    .bind(run)
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(fail)?
                    .map(|row| row.try_get(0))
                    .transpose()
                    .map_err(fail)?;
            let entries = sqlx::query(
                "select e.sequence from entries e join payloads p on p.sequence = e.sequence
                 where e.run = ? and e.kind <> 'payloads_erased' order by e.sequence",
            )
            .bind(run)
            .fetch_all(&mut *connection)
            .await
            .map_err(fail)?
            .iter()
            .map(|row| {
                row.try_get::<i64, _>(0)
                    .map(|sequence| u64::try_from(sequence).unwrap_or(0))
            })
            .collect::<Result<Vec<u64>, _>>()
            .map_err(fail)?;
            (epoch, last, entries)
        };
        let (Some(epoch), Some(last)) = (epoch.and_then(|epoch| u64::try_from(epoch).ok()), last) else {
            let hint = "`starr runs` lists what is there.";
            return Err(message(&inner.path, &tried, "there is no such run", hint));
        };
        let last = Entry::decode(&last).map_err(|why| {
            let hint = "Keep a copy of the file as it is, and run `starr journal verify`.";
            message(&inner.path, &tried, &format!("its last entry is damaged: {why}"), hint)
        })?;
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
        // Under the epoch that the run has: who runs it is not changed by this.
        let entry = Run::new(Arc::clone(inner), run.to_owned(), last.digests, epoch)
            .append("", &event)
            .await?;
        let mut connection = inner.connection.lock().await;
        let busy: i64 = sqlx::query("pragma wal_checkpoint(truncate)")
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| failure(&inner.path, &tried, &error))?;
        Ok(Erased {
            payloads,
            entry: Some(entry),
            gone: busy == 0,
        })
    }

    /// Records something about the journal itself, as a run of its own. Returns the entry's number.
    pub async fn note(&self, event: &Event) -> Result<u64, Error> {
        self.begin(RunHeader::default()).await?.append("", event).await
    }
}
