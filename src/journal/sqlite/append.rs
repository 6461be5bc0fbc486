//! Writing: the entry, its payload, the head and the cache, in one transaction that is synced before it is acknowledged.

use super::Inner;
use super::error::{failure, message};
use crate::journal::entry::{Digests, Entry};
use crate::journal::event::Event;
use crate::journal::tree::{self, Digest, Frontier};
use crate::journal::{Error, Journal, machine};
use crate::secrets::json_bytes;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};
use std::sync::Arc;

/// The largest payload, in bytes. What providers return is bounded far below it.
const PAYLOAD_LIMIT: usize = 64 * 1024 * 1024;

/// The journal of one run.
pub struct Run {
    inner: Arc<Inner>,
    id: String,
    digests: Digests,
    epoch: u64,
}

/// Where the log and the run stand, read inside the transaction that writes.
struct Place {
    frontier: Frontier,
    previous: Digest,
    run_sequence: u64,
    epoch: u64,
}

impl Run {
    pub(super) fn new(inner: Arc<Inner>, id: String, digests: Digests, epoch: u64) -> Self {
        Self {
            inner,
            id,
            digests,
            epoch,
        }
    }

    async fn record(&self, scope: &str, events: &[Event]) -> Result<u64, Error> {
        let inner = &*self.inner;
        inner.check()?;
        let payloads = events
            .iter()
            .map(|event| self.payload(event))
            .collect::<Result<Vec<_>, _>>()?;
        let mut connection = inner.connection.lock().await;
        // The handle may have failed while this waited for its turn.
        inner.check()?;
        let fail = |error: sqlx::Error| inner.fail(failure(&inner.path, "record an entry", &error));
        // A dropped future rolls back: nothing of a half-written step stays.
        let mut transaction = connection.begin_with("begin immediate").await.map_err(fail)?;
        let mut place = self
            .place(&mut transaction)
            .await
            .map_err(fail)?
            .map_err(|error| inner.fail(error))?;
        if place.epoch != self.epoch {
            return Err(message(
                &inner.path,
                "record an entry",
                &format!(
                    "run {} was taken over by another process (it has epoch {}, this one {})",
                    self.id, place.epoch, self.epoch
                ),
                "This process changes nothing more; look at `starr show` for what the other one does.",
            ));
        }
        for (event, payload) in events.iter().zip(&payloads) {
            let salt: [u8; 32] = machine::random()?;
            let entry = Entry {
                origin: inner.origin,
                sequence: place.frontier.size(),
                run: self.id.clone(),
                run_sequence: place.run_sequence,
                part: event.part(),
                kind: event.kind().to_owned(),
                scope: scope.to_owned(),
                actor: event.actor().to_owned(),
                digests: self.digests.clone(),
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                wall_nanoseconds: machine::wall(),
                boot: inner.boot.clone(),
                boot_nanoseconds: machine::since_boot(),
                epoch: self.epoch,
                payload: tree::hash(&[&salt, payload]),
                previous: place.previous,
            };
            let bytes = entry.encode();
            let leaf = tree::leaf(&bytes);
            insert(&mut transaction, &entry, &bytes, &leaf, &salt, payload)
                .await
                .map_err(fail)?;
            place.frontier.push(leaf);
            place.previous = leaf;
            place.run_sequence += 1;
        }
        self.update(&mut transaction, &place, scope, events)
            .await
            .map_err(fail)?;
        for event in events {
            if let Event::PayloadsErased { entries, .. } = event {
                erase(&mut transaction, &self.id, entries).await.map_err(fail)?;
            }
        }
        transaction.commit().await.map_err(fail)?;
        inner.still_there()?;
        Ok(place.frontier.size().saturating_sub(1))
    }

    fn payload(&self, event: &Event) -> Result<Vec<u8>, Error> {
        let refuse = |wrong: &str| {
            self.inner.fail(message(
                &self.inner.path,
                &format!("record an entry ({})", event.kind()),
                wrong,
                "This is a mistake in starr; please report it.",
            ))
        };
        let payload = json_bytes(event).map_err(|error| refuse(&error.to_string()))?;
        if payload.len() > PAYLOAD_LIMIT {
            return Err(refuse(&format!(
                "its data has {} bytes, more than the {PAYLOAD_LIMIT} that one entry may have",
                payload.len()
            )));
        }
        Ok(payload)
    }

    async fn place(&self, connection: &mut SqliteConnection) -> Result<Result<Place, Error>, sqlx::Error> {
        let row = sqlx::query(
            "select head.size, head.frontier, head.leaf, runs.entries, leases.epoch
             from head, runs join leases on leases.run = runs.id where runs.id = ?",
        )
        .bind(&self.id)
        .fetch_one(connection)
        .await?;
        let size: i64 = row.try_get(0)?;
        let frontier: &[u8] = row.try_get(1)?;
        let leaf: &[u8] = row.try_get(2)?;
        let entries: i64 = row.try_get(3)?;
        let epoch: i64 = row.try_get(4)?;
        let place = || {
            Some(Place {
                frontier: Frontier::from_bytes(u64::try_from(size).ok()?, frontier)?,
                previous: leaf.try_into().ok()?,
                run_sequence: u64::try_from(entries).ok()?,
                epoch: u64::try_from(epoch).ok()?,
            })
        };
        Ok(place().ok_or_else(|| {
            message(
                &self.inner.path,
                "record an entry",
                "the head of the log is damaged",
                "Keep a copy of the file as it is, run `starr journal verify`, and begin a new journal.",
            )
        }))
    }

    async fn update(
        &self,
        connection: &mut SqliteConnection,
        place: &Place,
        scope: &str,
        events: &[Event],
    ) -> Result<(), sqlx::Error> {
        sqlx::query("update head set size = ?, frontier = ?, root = ?, leaf = ?")
            .bind(signed(place.frontier.size()))
            .bind(place.frontier.to_bytes())
            .bind(&place.frontier.root()[..])
            .bind(&place.previous[..])
            .execute(&mut *connection)
            .await?;
        // Where the newest event of a kind stands that the list of runs shows; a called runbook's are its own.
        let first = place.frontier.size() - events.len() as u64;
        let last_of = |wanted: fn(&Event) -> bool| {
            let index = events.iter().rposition(wanted).filter(|_| scope.is_empty())?;
            Some(signed(first + index as u64))
        };
        sqlx::query(
            "update runs set entries = ?, started = coalesce(?, started), severity = coalesce(?, severity),
                    ended = coalesce(?, ended) where id = ?",
        )
        .bind(signed(place.run_sequence))
        .bind(last_of(|event| matches!(event, Event::RunStarted { .. })))
        .bind(last_of(|event| matches!(event, Event::Severity { .. })))
        .bind(last_of(|event| matches!(event, Event::Ended { .. })))
        .bind(&self.id)
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    entry: &Entry,
    bytes: &[u8],
    leaf: &Digest,
    salt: &[u8; 32],
    payload: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into entries (sequence, run, run_sequence, part, kind, at, bytes, leaf) values (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(signed(entry.sequence))
    .bind(&entry.run)
    .bind(signed(entry.run_sequence))
    .bind(entry.part.word())
    .bind(&entry.kind)
    .bind(entry.wall_nanoseconds)
    .bind(bytes)
    .bind(&leaf[..])
    .execute(&mut *connection)
    .await?;
    sqlx::query("insert into payloads (sequence, salt, body) values (?, ?, ?)")
        .bind(signed(entry.sequence))
        .bind(&salt[..])
        .bind(payload)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes away what an entry of the same step says is taken away. SQLite writes zeros over it.
async fn erase(connection: &mut SqliteConnection, run: &str, entries: &[u64]) -> Result<(), sqlx::Error> {
    for sequence in entries {
        sqlx::query(
            "delete from payloads where sequence in
             (select sequence from entries where sequence = ? and run = ? and kind <> 'payloads_erased')",
        )
        .bind(signed(*sequence))
        .bind(run)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("a log has fewer than 2^63 entries")
}

impl Journal for Run {
    fn run_id(&self) -> &str {
        &self.id
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, std::slice::from_ref(event)))
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, events))
    }
}
