//! Writing: a step is one transaction that is synced before it is acknowledged, in two messages to the database.

use super::connection::Held;
use super::error::failure;
use super::files::Files;
use super::reader::clock;
use crate::journal::storage::{Change, LeaseRow, NewRow, Place, RunChange, RunStanding, Writer, signed, standing};
use crate::journal::{Error, tables};
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Executor as _, Row as _, Sqlite, Type};
use std::fmt::Write as _;
use std::sync::Arc;

/// Entries, or runs, in one message; more are sent in several, still in one transaction. Few sizes, so that their statements are met
/// again and are kept prepared: to prepare them costs more than to run them.
const MESSAGES: [usize; 3] = [32, 8, 2];

/// At most so many of either are in the last message, which also ends the transaction.
const IN_LAST: usize = 2;

/// A connection that writes.
pub struct Connected {
    pub files: Arc<Files>,
    pub connection: Held,
    pub origin: [u8; 16],
    pub boot: String,
}

impl Connected {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    async fn read_standing(&mut self, runs: &[String]) -> Result<Place, Error> {
        let ids = serde_json::Value::from(runs.to_vec()).to_string();
        let place = self.files.place();
        let tried = "record an entry";
        let fail = |error: sqlx::Error| failure(&place, tried, &error);
        let rows = sqlx::query(
            "begin immediate;
             select head.size, head.frontier, head.leaf, runs.id, runs.entries, leases.epoch
               from head left join (runs join leases on leases.run = runs.id)
                 on runs.id in (select value from json_each(?))",
        )
        .bind(ids)
        .fetch_all(self.connection())
        .await
        .map_err(|error| self.files.diagnose(tried, &error))?;
        let Some(first) = rows.first() else {
            return standing(&place, -1, &[], &[]);
        };
        let mut found = standing(
            &place,
            first.try_get(0).map_err(fail)?,
            first.try_get(1).map_err(fail)?,
            first.try_get(2).map_err(fail)?,
        )?;
        for row in &rows {
            let Some(id) = row.try_get::<Option<String>, _>(3).map_err(fail)? else {
                continue;
            };
            let number = |column: usize| {
                row.try_get::<i64, _>(column)
                    .map(|number| u64::try_from(number).unwrap_or(0))
            };
            found.runs.insert(
                id,
                RunStanding {
                    entries: number(4).map_err(fail)?,
                    epoch: number(5).map_err(fail)?,
                },
            );
        }
        Ok(found)
    }

    async fn write(&mut self, change: Change) -> Result<(), Error> {
        let (boot, since_boot) = (self.boot.clone(), self.files.machine.since_boot());
        let mut message = Message::default();
        let place = self.files.place();
        let fail = |error: sqlx::Error| failure(&place, "record an entry", &error);
        for id in &change.begun {
            message.add("insert into runs (id) values (?);", |to| to.bind(id));
        }
        for (run, subject) in &change.subjects {
            message.add("insert into subjects (run, subject) values (?,?);", |to| {
                to.bind(run)?;
                to.bind(subject)
            });
        }
        let (ahead, last) = parted(&change.rows);
        if !ahead.is_empty() && !message.sql.is_empty() {
            std::mem::take(&mut message)
                .send(self.connection(), false)
                .await
                .map_err(fail)?;
        }
        let add_row = |message: &mut Message, row: &NewRow| {
            message.add(
                "insert into entries (sequence, run, run_sequence, part, kind, at, bytes, leaf) values (?,?,?,?,?,?,?,?);
                 insert into payloads (sequence, salt, body) values (?,?,?);",
                |to| {
                    let sequence = signed(row.entry.sequence);
                    to.bind(sequence)?;
                    to.bind(&row.entry.run)?;
                    to.bind(signed(row.entry.run_sequence))?;
                    to.bind(row.entry.part.word())?;
                    to.bind(&row.entry.kind)?;
                    to.bind(row.entry.wall_nanoseconds)?;
                    to.bind(&row.bytes[..])?;
                    to.bind(&row.leaf[..])?;
                    to.bind(sequence)?;
                    to.bind(&row.salt[..])?;
                    to.bind(&row.body[..])
                },
            );
        };
        for rows in ahead {
            let mut message = Message::default();
            rows.iter().for_each(|row| add_row(&mut message, row));
            message.send(self.connection(), true).await.map_err(fail)?;
        }
        last.iter().for_each(|row| add_row(&mut message, row));
        for (run, entries) in &change.erased {
            // SQLite writes zeros over it (`secure_delete`).
            let entries = serde_json::Value::from(entries.clone()).to_string();
            message.add(
                "delete from payloads where sequence in
                 (select sequence from entries where sequence in (select value from json_each(?)) and run = ?
                     and kind <> 'payloads_erased');",
                |to| {
                    to.bind(entries)?;
                    to.bind(run)
                },
            );
        }
        for row in &change.checkpoints {
            message.add(
                "insert into checkpoints (size, frontier, note, digest) values (?,?,?,?)
                 on conflict (size) do update set note = excluded.note, digest = excluded.digest;",
                |to| {
                    to.bind(row.size)?;
                    to.bind(&row.frontier[..])?;
                    to.bind(&row.note[..])?;
                    to.bind(&row.digest[..])
                },
            );
        }
        if let Some((frontier, leaf)) = &change.head {
            message.add("update head set size = ?, frontier = ?, root = ?, leaf = ?;", |to| {
                to.bind(signed(frontier.size()))?;
                to.bind(frontier.to_bytes())?;
                to.bind(&frontier.root()[..])?;
                to.bind(&leaf[..])
            });
        }
        let add_run = |message: &mut Message, run: &RunChange| {
            message.add(
                "update runs set entries = ?, started = coalesce(?, started), severity = coalesce(?, severity),
                        ended = coalesce(?, ended) where id = ?;",
                |to| {
                    to.bind(signed(run.entries))?;
                    to.bind(run.started.map(signed))?;
                    to.bind(run.severity.map(signed))?;
                    to.bind(run.ended.map(signed))?;
                    to.bind(&run.id)
                },
            );
        };
        let (ahead, last) = parted(&change.runs);
        for runs in ahead {
            let mut message = Message::default();
            runs.iter().for_each(|run| add_run(&mut message, run));
            message.send(self.connection(), true).await.map_err(fail)?;
        }
        last.iter().for_each(|run| add_run(&mut message, run));
        for lease in &change.leases {
            message.add(
                "insert or replace into leases (run, epoch, holder, since, machine, process, started, boot, renewed)
                 values (?,?,?,?,?,?,?,?,?);",
                |to| {
                    to.bind(&lease.run)?;
                    to.bind(signed(lease.epoch))?;
                    to.bind(&lease.holder)?;
                    to.bind(lease.since)?;
                    to.bind(&lease.runner.machine)?;
                    to.bind(i64::from(lease.runner.process))?;
                    to.bind(i64::try_from(lease.runner.started).unwrap_or(0))?;
                    to.bind(&boot)?;
                    to.bind(i64::try_from(since_boot).unwrap_or(i64::MAX))
                },
            );
        }
        for (run, epoch) in &change.renewed {
            message.add(
                "update leases set boot = ?, renewed = ? where run = ? and epoch = ?;",
                |to| {
                    to.bind(&boot)?;
                    to.bind(i64::try_from(since_boot).unwrap_or(i64::MAX))?;
                    to.bind(run)?;
                    to.bind(signed(*epoch))
                },
            );
        }
        for (run, epoch) in &change.released {
            message.add("update leases set released = 1 where run = ? and epoch = ?;", |to| {
                to.bind(run)?;
                to.bind(signed(*epoch))
            });
        }
        message.add("commit;", |_| Ok(()));
        // What happens once in a run is not met again.
        let often = change.begun.is_empty()
            && change.subjects.is_empty()
            && change.erased.is_empty()
            && change.checkpoints.is_empty()
            && change.leases.is_empty()
            && change.released.is_empty()
            && change.renewed.len() <= 1;
        message.send(self.connection(), often).await.map_err(fail)
    }
}

/// What is sent ahead, in messages of few sizes, and what is left for the last one.
fn parted<T>(mut all: &[T]) -> (Vec<&[T]>, &[T]) {
    let mut ahead = Vec::new();
    for size in MESSAGES {
        while all.len() > IN_LAST && all.len() >= size {
            let (message, rest) = all.split_at(size);
            ahead.push(message);
            all = rest;
        }
    }
    (ahead, all)
}

impl Writer for Connected {
    fn origin(&self) -> [u8; 16] {
        self.origin
    }

    fn begin<'a>(&'a mut self, runs: &'a [String]) -> BoxFuture<'a, Result<Place, Error>> {
        Box::pin(async move {
            let standing = self.read_standing(runs).await?;
            // After the first transaction: only then are all three files there.
            self.files.still_there()?;
            Ok(standing)
        })
    }

    fn checkpoint(&mut self, size: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async move {
            let place = self.files.place();
            sqlx::query_scalar("select note from checkpoints where size = ?")
                .bind(signed(size))
                .fetch_optional(self.connection())
                .await
                .map_err(|error| failure(place, "read a checkpoint", &error))
        })
    }

    fn about<'a>(&'a mut self, subject: &'a str) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        Box::pin(async move {
            let (place, clock) = (self.files.place(), clock(&*self.files.machine));
            let rows = sqlx::query(
                "select l.run, epoch, holder, since, machine, process, started, released, boot, renewed
                   from subjects s join leases l on l.run = s.run where s.subject = ? and not released",
            )
            .bind(subject)
            .fetch_all(self.connection())
            .await;
            rows.and_then(|rows| rows.iter().map(|row| clock(row, tables::lease(row)?)).collect())
                .map_err(|error| failure(place, "look for a run about the same", &error))
        })
    }

    fn scrub(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let place = self.files.place();
            let busy: i64 = sqlx::query("pragma wal_checkpoint(truncate)")
                .fetch_one(self.connection())
                .await
                .and_then(|row| row.try_get(0))
                .map_err(|error| failure(place, "move the write-ahead log into it", &error))?;
            Ok(busy == 0)
        })
    }

    fn commit(&mut self, change: Change) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if let Err(error) = self.write(change).await {
                // Where the commit itself failed there is nothing left to take back, and the failure is final either way.
                let _ = self.connection().execute("rollback").await;
                return Err(error);
            }
            self.files.still_there()
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let place = self.files.place();
            self.connection()
                .execute("rollback")
                .await
                .map(drop)
                .map_err(|error| failure(&place, "leave it as it is", &error))
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(self.connection.close())
    }
}

/// Statements that are sent together, with their values. The text is made of constants only.
#[derive(Default)]
struct Message {
    sql: String,
    values: Values,
    failed: Option<sqlx::error::BoxDynError>,
}

#[derive(Default)]
struct Values(SqliteArguments);

impl Values {
    fn bind<'a, T: Encode<'a, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> Result<(), sqlx::error::BoxDynError> {
        self.0.add(value)
    }
}

impl Message {
    fn add(&mut self, sql: &'static str, bind: impl FnOnce(&mut Values) -> Result<(), sqlx::error::BoxDynError>) {
        let _ = write!(self.sql, "{sql}");
        if let Err(error) = bind(&mut self.values) {
            self.failed.get_or_insert(error);
        }
    }

    async fn send(self, connection: &mut SqliteConnection, prepared: bool) -> Result<(), sqlx::Error> {
        if let Some(error) = self.failed {
            return Err(sqlx::Error::Encode(error));
        }
        sqlx::query_with(AssertSqlSafe(self.sql), self.values.0)
            .persistent(prepared)
            .execute(connection)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::{IN_LAST, MESSAGES, parted};

    #[test]
    fn everything_is_sent_once_in_order_and_in_few_sizes() {
        for count in 0..200 {
            let all: Vec<usize> = (0..count).collect();
            let (ahead, last) = parted(&all);
            assert!(ahead.iter().all(|message| MESSAGES.contains(&message.len())), "{count}");
            assert!(last.len() <= IN_LAST, "{count}");
            assert_eq!([ahead.concat().as_slice(), last].concat(), all);
        }
    }
}
