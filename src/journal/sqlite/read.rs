//! Reading: the list of runs, the entries of a run from their hashed bytes, and the snapshot that is verified.

use super::error::{failure, message};
use super::{Inner, Store, checkpoint, schema};
use crate::journal::entry::Entry;
use crate::journal::event::Event;
use crate::journal::verify::{Check, Head, Lease, Row, RunRow, Trust, Verified};
use crate::journal::{Error, Recorded, tree};
use futures::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

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

impl Store {
    /// The newest runs, newest first. A run that recorded nothing is not listed.
    pub async fn runs(&self, at_most: u32) -> Result<Vec<RunSummary>, Error> {
        let mut connection = self.inner.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&self.inner.path, "list the runs", &error);
        let mut snapshot = connection.begin().await.map_err(fail)?;
        let rows = sqlx::query(
            "select id, entries, started, severity, ended from runs where entries > 0 order by number desc limit ?",
        )
        .bind(at_most)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(fail)?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let id: String = row.try_get(0).map_err(fail)?;
            let entries: i64 = row.try_get(1).map_err(fail)?;
            let mut found = [None, None, None];
            for (slot, column) in found.iter_mut().zip(2_usize..) {
                if let Some(sequence) = row.try_get::<Option<i64>, _>(column).map_err(fail)? {
                    *slot = self.inner.entry(&mut snapshot, &id, sequence).await?;
                }
            }
            let [started, severity, ended] = found;
            runs.push(RunSummary {
                id,
                entries: u64::try_from(entries).unwrap_or(0),
                started,
                severity,
                ended,
            });
        }
        Ok(runs)
    }

    /// The run of this id, the only one whose id begins so, or the newest for `latest`.
    pub async fn find(&self, name: &str) -> Result<Found, Error> {
        let mut connection = self.inner.connection.lock().await;
        let query = if name == "latest" {
            sqlx::query("select id from runs where entries > 0 order by number desc limit 1")
        } else {
            // Not `like`: the name may hold `%`.
            sqlx::query(
                "select id from runs where entries > 0 and substr(id, 1, length(?1)) = ?1 order by number desc limit 5",
            )
            .bind(name)
        };
        let fail = |error: sqlx::Error| failure(&self.inner.path, "look for a run", &error);
        let rows = query.fetch_all(&mut *connection).await.map_err(fail)?;
        let mut ids = rows
            .iter()
            .map(|row| row.try_get::<String, _>(0))
            .collect::<Result<Vec<_>, _>>()
            .map_err(fail)?;
        Ok(match (ids.len(), ids.iter().position(|id| id == name)) {
            (_, Some(exact)) => Found::One(ids.swap_remove(exact)),
            (0, None) => Found::Nothing,
            (1, None) => Found::One(ids.swap_remove(0)),
            (_, None) => Found::Several(ids),
        })
    }

    /// All entries of a run, oldest first, read from the hashed bytes; an entry that does not agree with its hash, its place or
    /// its payload is an error.
    pub async fn entries(&self, run: &str) -> Result<Vec<Recorded>, Error> {
        let inner = &*self.inner;
        let mut connection = inner.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&inner.path, "read a run", &error);
        let mut snapshot = connection.begin().await.map_err(fail)?;
        let expected: Option<i64> = sqlx::query("select entries from runs where id = ?")
            .bind(run)
            .fetch_optional(&mut *snapshot)
            .await
            .map_err(fail)?
            .map(|row| row.try_get(0))
            .transpose()
            .map_err(fail)?;
        let mut rows = sqlx::query(
            "select e.sequence, e.leaf, e.bytes, p.salt, p.body from entries e left join payloads p on p.sequence = e.sequence
             where e.run = ? order by e.run_sequence",
        )
        .bind(run)
        .fetch(&mut *snapshot);
        let mut entries: Vec<Recorded> = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(fail)? {
            let entry = inner.recorded(run, &row)?;
            if entry.run_sequence != entries.len() as u64 {
                return Err(inner.damaged(run, &format!("entry {} of the run is missing", entries.len())));
            }
            entries.push(entry);
        }
        match expected {
            Some(count) if count == entries.len() as i64 => Ok(entries),
            Some(count) => Err(inner.damaged(run, &format!("{} of {count} entries are there", entries.len()))),
            None => Err(message(
                &inner.path,
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
        let inner = &*self.inner;
        let mut connection = inner.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&inner.path, "verify it", &error);
        let mut snapshot = connection.begin().await.map_err(fail)?;
        let mut check = Check::new(trust);
        self_check(&mut snapshot, inner.version, &mut check)
            .await
            .map_err(fail)?;
        match head(&mut snapshot).await {
            Ok(head) => check.head(head),
            Err(error) => check.damage(None, format!("the head of the log cannot be read: {error}")),
        }
        match checkpoint::rows(&mut snapshot, inner.version).await {
            Ok(rows) => rows.into_iter().for_each(|row| check.checkpoint(row)),
            Err(error) => check.damage(None, format!("the checkpoints cannot be read: {error}")),
        }
        {
            let mut rows = sqlx::query(
                "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                 from entries e left join payloads p on p.sequence = e.sequence order by e.sequence",
            )
            .fetch(&mut *snapshot);
            loop {
                match rows.try_next().await {
                    Ok(Some(row)) => match full_row(&row) {
                        Ok(row) => check.entry(row),
                        Err(error) => check.damage(row.try_get::<i64, _>(0).ok(), format!("cannot be read: {error}")),
                    },
                    Ok(None) => break,
                    Err(error) => {
                        check.damage(None, format!("the entries cannot be read to their end: {error}"));
                        break;
                    }
                }
            }
        }
        if let Err(error) = side_tables(&mut snapshot, &mut check).await {
            check.damage(None, format!("the lists of runs and leases cannot be read: {error}"));
        }
        Ok(check.finish())
    }
}

impl Inner {
    async fn entry(
        &self,
        connection: &mut SqliteConnection,
        run: &str,
        sequence: i64,
    ) -> Result<Option<Recorded>, Error> {
        let row = sqlx::query(
            "select e.sequence, e.leaf, e.bytes, p.salt, p.body from entries e left join payloads p on p.sequence = e.sequence
             where e.sequence = ?",
        )
        .bind(sequence)
        .fetch_optional(connection)
        .await
        .map_err(|error| failure(&self.path, "read an entry", &error))?;
        row.map(|row| self.recorded(run, &row)).transpose()
    }

    /// One entry from its hashed bytes and its payload. What does not agree with its hash is not shown.
    fn recorded(&self, run: &str, row: &SqliteRow) -> Result<Recorded, Error> {
        let damaged = |why: &str| self.damaged(run, why);
        let columns = || -> Result<_, sqlx::Error> {
            Ok((
                row.try_get::<i64, _>(0)?,
                row.try_get::<Vec<u8>, _>(1)?,
                row.try_get::<Vec<u8>, _>(2)?,
                row.try_get::<Option<Vec<u8>>, _>(3)?,
                row.try_get::<Option<Vec<u8>>, _>(4)?,
            ))
        };
        let (sequence, leaf, bytes, salt, body) =
            columns().map_err(|error| damaged(&format!("an entry cannot be read: {error}")))?;
        if tree::leaf(&bytes)[..] != leaf[..] {
            return Err(damaged(&format!("entry {sequence} does not agree with its hash")));
        }
        let entry = Entry::decode(&bytes).map_err(|why| damaged(&format!("entry {sequence} cannot be read: {why}")))?;
        if u64::try_from(sequence) != Ok(entry.sequence) || entry.run != run {
            return Err(damaged(&format!("entry {sequence} is not in its place")));
        }
        let event = match (salt, body) {
            (Some(salt), Some(body)) => {
                if tree::hash(&[&salt, &body]) != entry.payload {
                    return Err(damaged(&format!(
                        "the payload of entry {sequence} does not agree with its hash"
                    )));
                }
                let event: Event = serde_json::from_slice(&body)
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
        message(
            &self.path,
            &format!("read run {}", run.escape_debug()),
            why,
            "Keep a copy of the file as it is, and run `starr journal verify`.",
        )
    }
}

/// What SQLite and the list of tables say: an index that hides rows, a trigger or view that somebody added.
async fn self_check(snapshot: &mut SqliteConnection, version: i64, check: &mut Check) -> Result<(), sqlx::Error> {
    match sqlx::query("pragma integrity_check(1)").fetch_one(&mut *snapshot).await {
        Ok(row) => {
            let words: String = row.try_get(0)?;
            if words != "ok" {
                check.damage(None, format!("SQLite's own check: {words}"));
            }
        }
        Err(error) => check.damage(None, format!("SQLite's own check cannot be made: {error}")),
    }
    let mut expected: Vec<String> = schema::STEPS
        .iter()
        .take(usize::try_from(version).unwrap_or(0))
        .flat_map(|step| step.split(';'))
        .map(|statement| statement.trim().to_owned())
        .filter(|statement| !statement.is_empty())
        .collect();
    for row in sqlx::query("select name, sql from sqlite_schema where sql is not null")
        .fetch_all(snapshot)
        .await?
    {
        let (name, sql): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        // SQLite stores the statement as it was written, but for the case of its first words.
        match expected
            .iter()
            .position(|statement| statement.eq_ignore_ascii_case(&sql))
        {
            Some(index) => {
                expected.swap_remove(index);
            }
            None => check.damage(
                None,
                format!("`{}` is not a table as starr makes it", name.escape_debug()),
            ),
        }
    }
    if !expected.is_empty() {
        check.damage(None, "a table is missing or was changed".to_owned());
    }
    Ok(())
}

pub(super) async fn head(snapshot: &mut SqliteConnection) -> Result<Head, sqlx::Error> {
    let row = sqlx::query("select origin, size, frontier, root, leaf from head")
        .fetch_one(snapshot)
        .await?;
    Ok(Head {
        origin: row.try_get(0)?,
        size: row.try_get(1)?,
        frontier: row.try_get(2)?,
        root: row.try_get(3)?,
        leaf: row.try_get(4)?,
    })
}

pub(super) fn full_row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    Ok(Row {
        sequence: row.try_get(0)?,
        run: row.try_get(1)?,
        run_sequence: row.try_get(2)?,
        part: row.try_get(3)?,
        kind: row.try_get(4)?,
        at: row.try_get(5)?,
        bytes: row.try_get(6)?,
        leaf: row.try_get(7)?,
        salt: row.try_get(8)?,
        body: row.try_get(9)?,
    })
}

async fn side_tables(snapshot: &mut SqliteConnection, check: &mut Check) -> Result<(), sqlx::Error> {
    for row in sqlx::query("select id, entries, started, severity, ended from runs")
        .fetch_all(&mut *snapshot)
        .await?
    {
        check.run(RunRow {
            id: row.try_get(0)?,
            entries: row.try_get(1)?,
            started: row.try_get(2)?,
            severity: row.try_get(3)?,
            ended: row.try_get(4)?,
        });
    }
    for row in sqlx::query("select run, epoch from leases")
        .fetch_all(&mut *snapshot)
        .await?
    {
        check.lease(Lease {
            run: row.try_get(0)?,
            epoch: row.try_get(1)?,
        });
    }
    for row in sqlx::query("select sequence from payloads where sequence not in (select sequence from entries)")
        .fetch_all(snapshot)
        .await?
    {
        check.damage(Some(row.try_get(0)?), "has a payload but no entry".to_owned());
    }
    Ok(())
}
