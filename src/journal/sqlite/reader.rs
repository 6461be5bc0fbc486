//! Reading one snapshot of the file.

use super::error::failure;
use super::files::Files;
use super::schema;
use crate::journal::Error;
use crate::journal::chunk::Chunk;
use crate::journal::lease::Runner;
use crate::journal::storage::{LeaseRow, Misfit, Reader, Which, signed};
use crate::journal::tree::Digest;
use crate::journal::verify::{CheckpointRow, Head, Row, RunRow};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Executor as _, Row as _};
use std::sync::Arc;

/// A connection that reads.
pub struct Connected {
    pub files: Arc<Files>,
    pub connection: SqliteConnection,
    /// Of the tables.
    pub version: i64,
    pub open: bool,
}

const RUN_COLUMNS: &str = "select id, entries, started, severity, ended from runs";

impl Connected {
    fn failed(&self, tried: &'static str) -> impl Fn(sqlx::Error) -> Error + Send + 'static {
        let files = Arc::clone(&self.files);
        move |error| failure(files.place(), tried, &error)
    }

    async fn check(&mut self) -> Result<Vec<Misfit>, sqlx::Error> {
        let mut found = Vec::new();
        match sqlx::query("pragma integrity_check(1)")
            .fetch_one(&mut self.connection)
            .await
        {
            Ok(row) => {
                let words: String = row.try_get(0)?;
                if words != "ok" {
                    found.push((None, format!("SQLite's own check: {words}")));
                }
            }
            Err(error) => found.push((None, format!("SQLite's own check cannot be made: {error}"))),
        }
        let mut expected = schema::statements(self.version);
        for row in sqlx::query("select name, sql from sqlite_schema where sql is not null")
            .fetch_all(&mut self.connection)
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
                None => found.push((
                    None,
                    format!("`{}` is not a table as starr makes it", name.escape_debug()),
                )),
            }
        }
        if !expected.is_empty() {
            found.push((None, "a table is missing or was changed".to_owned()));
        }
        for row in sqlx::query("select sequence from payloads where sequence not in (select sequence from entries)")
            .fetch_all(&mut self.connection)
            .await?
        {
            found.push((Some(row.try_get(0)?), "has a payload but no entry".to_owned()));
        }
        Ok(found)
    }
}

impl Reader for Connected {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            if std::mem::replace(&mut self.open, true) {
                // It may be over already; the next statement says what is wrong, if anything is.
                let _ = self.connection.execute("rollback").await;
            }
            // The second statement is what fixes the snapshot.
            self.connection
                .execute("begin; select size from head")
                .await
                .map(drop)
                .map_err(|error| self.files.diagnose("read it", &error))
        })
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.open = false;
            let fail = self.failed("read it");
            self.connection.execute("rollback").await.map(drop).map_err(fail)
        })
    }

    fn head(&mut self) -> BoxFuture<'_, Result<Head, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the head");
            let row = sqlx::query("select origin, size, frontier, root, leaf from head")
                .fetch_one(&mut self.connection)
                .await
                .map_err(&fail)?;
            let head = || -> Result<Head, sqlx::Error> {
                Ok(Head {
                    origin: row.try_get(0)?,
                    size: row.try_get(1)?,
                    frontier: row.try_get(2)?,
                    root: row.try_get(3)?,
                    leaf: row.try_get(4)?,
                })
            };
            head().map_err(fail)
        })
    }

    fn entries<'a>(&'a mut self, which: Which<'a>) -> BoxStream<'a, Result<Row, Error>> {
        const ALL: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence
             where e.sequence >= ? order by e.sequence";
        const RUN: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence
             where e.run = ? order by e.run_sequence";
        const ONE: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence where e.sequence = ?";
        let fail = self.failed("read the entries");
        let query = match which {
            // The smallest number there is: an entry with a number below 0 is one that somebody put there.
            Which::All => sqlx::query(ALL).bind(i64::MIN),
            Which::From(first) => sqlx::query(ALL).bind(signed(first)),
            Which::Run(run) => sqlx::query(RUN).bind(run),
            Which::One(sequence) => sqlx::query(ONE).bind(signed(sequence)),
        };
        query
            .fetch(&mut self.connection)
            .map(move |row| row.and_then(|row| full_row(&row)).map_err(&fail))
            .boxed()
    }

    fn extent(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(async move {
            let fail = self.failed("count the entries");
            let row = sqlx::query("select min(sequence), max(sequence), count(*) from entries")
                .fetch_one(&mut self.connection)
                .await
                .map_err(&fail)?;
            let found = || -> Result<_, sqlx::Error> { Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)) };
            let (first, last, count): (Option<i64>, Option<i64>, i64) = found().map_err(fail)?;
            let dense = first == Some(0) && last == Some(count - 1);
            Ok(u64::try_from(count).ok().filter(|_| dense))
        })
    }

    fn chunk(&mut self, first: u64, count: u64) -> BoxFuture<'_, Result<Chunk, Error>> {
        // The driver's cost is that of a row, not of a byte: one row holds many entries. A large entry is left out, so that the
        // chunk is not one; it is then read by itself, and no chunk is larger than a few times this.
        const CHUNK: &str = "select group_concat(octet_length(l) || ' ' || octet_length(b) || ' ' || coalesce(octet_length(s), -1)
                    || ' ' || coalesce(octet_length(d), -1) || ' ' || octet_length(r) || ' ' || octet_length(t)
                    || ' ' || octet_length(k) || ' ' || n || ' ' || a || ' ' || q, ';'),
                cast(group_concat(case when octet_length(b) + coalesce(octet_length(d), 0) < 65536
                    then l || b || coalesce(s, x'') || coalesce(d, x'') || r || t || k end, '') as blob)
             from (select e.sequence q, e.run r, e.run_sequence n, e.part t, e.kind k, e.at a, e.bytes b, e.leaf l, p.salt s,
                          p.body d
                     from entries e left join payloads p on p.sequence = e.sequence
                    where e.sequence >= ? and e.sequence < ? order by e.sequence)";
        Box::pin(async move {
            let fail = self.failed("read the entries");
            let row = sqlx::query(CHUNK)
                .bind(signed(first))
                .bind(signed(first.saturating_add(count)))
                .fetch_one(&mut self.connection)
                .await
                .map_err(&fail)?;
            let chunk = || -> Result<Chunk, sqlx::Error> {
                Ok(Chunk {
                    first,
                    count,
                    heads: row.try_get::<Option<String>, _>(0)?.unwrap_or_default(),
                    data: row.try_get::<Option<Vec<u8>>, _>(1)?.unwrap_or_default(),
                })
            };
            chunk().map_err(fail)
        })
    }

    fn checkpoints(&mut self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(async move {
            if self.version < schema::WITH_CHECKPOINTS {
                return Ok(Vec::new());
            }
            let fail = self.failed("read the checkpoints");
            let rows = sqlx::query("select size, frontier, note, digest from checkpoints order by size")
                .fetch(&mut self.connection);
            rows.and_then(|row| async move {
                Ok(CheckpointRow {
                    size: row.try_get(0)?,
                    frontier: row.try_get(1)?,
                    note: row.try_get(2)?,
                    digest: row.try_get(3)?,
                })
            })
            .try_collect()
            .await
            .map_err(fail)
        })
    }

    fn leaves(&mut self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the tree");
            let rows = sqlx::query("select leaf from entries where sequence >= ? and sequence < ? order by sequence")
                .bind(signed(from))
                .bind(signed(to))
                .fetch(&mut self.connection);
            rows.and_then(|row| async move {
                let leaf: Vec<u8> = row.try_get(0)?;
                Digest::try_from(leaf).map_err(|_| sqlx::Error::Decode("a leaf hash is not 32 bytes long".into()))
            })
            .try_collect()
            .await
            .map_err(fail)
        })
    }

    fn runs(&mut self, newest: Option<u32>) -> BoxFuture<'_, Result<Vec<RunRow>, Error>> {
        Box::pin(async move {
            let fail = self.failed("list the runs");
            let query = match newest {
                Some(count) => sqlx::query(sqlx::AssertSqlSafe(format!(
                    "{RUN_COLUMNS} where entries > 0 order by number desc limit ?"
                )))
                .bind(count),
                None => sqlx::query(RUN_COLUMNS),
            };
            let rows = query.fetch(&mut self.connection);
            rows.and_then(|row| async move { run_row(&row) })
                .try_collect()
                .await
                .map_err(fail)
        })
    }

    fn run<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, Result<Option<RunRow>, Error>> {
        Box::pin(async move {
            let fail = self.failed("look for a run");
            sqlx::query(sqlx::AssertSqlSafe(format!("{RUN_COLUMNS} where id = ?")))
                .bind(id)
                .fetch_optional(&mut self.connection)
                .await
                .and_then(|row| row.map(|row| run_row(&row)).transpose())
                .map_err(fail)
        })
    }

    fn ids<'a>(&'a mut self, beginning: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            let fail = self.failed("look for a run");
            // Not `like`: the name may hold `%`.
            sqlx::query_scalar(
                "select id from runs where entries > 0 and substr(id, 1, length(?1)) = ?1 order by number desc limit 5",
            )
            .bind(beginning)
            .fetch_all(&mut self.connection)
            .await
            .map_err(fail)
        })
    }

    fn leases<'a>(&'a mut self, run: Option<&'a str>) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the leases");
            let (boot, now) = (self.files.machine.boot_id(), self.files.machine.since_boot());
            let query = if self.version < schema::WITH_RUNNERS {
                sqlx::query(
                    "select run, epoch, holder, since, '', 0, 0, '', 0, 0 from leases where run = coalesce(?, run)",
                )
            } else {
                sqlx::query(
                    "select run, epoch, holder, since, machine, process, started, boot, renewed, released
                     from leases where run = coalesce(?, run)",
                )
            };
            let rows = query.bind(run).fetch(&mut self.connection);
            rows.and_then(|row| {
                let boot = &boot;
                async move { lease_row(&row, boot, now) }
            })
            .try_collect()
            .await
            .map_err(fail)
        })
    }

    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, Error>> {
        Box::pin(async move {
            let fail = self.failed("check it");
            self.check().await.map_err(fail)
        })
    }
}

fn full_row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
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

fn run_row(row: &SqliteRow) -> Result<RunRow, sqlx::Error> {
    Ok(RunRow {
        id: row.try_get(0)?,
        entries: row.try_get(1)?,
        started: row.try_get(2)?,
        severity: row.try_get(3)?,
        ended: row.try_get(4)?,
    })
}

fn lease_row(row: &SqliteRow, boot: &str, now: u64) -> Result<LeaseRow, sqlx::Error> {
    let natural = |column: usize| {
        row.try_get::<i64, _>(column)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
    let renewed_under: String = row.try_get(7)?;
    let renewed = natural(8)?;
    let known = !boot.is_empty() && !renewed_under.is_empty();
    Ok(LeaseRow {
        run: row.try_get(0)?,
        epoch: natural(1)?,
        holder: row.try_get(2)?,
        since: row.try_get(3)?,
        runner: Runner {
            machine: row.try_get(4)?,
            process: u32::try_from(natural(5)?).unwrap_or(0),
            started: natural(6)?,
        },
        released: row.try_get::<i64, _>(9)? != 0,
        restarted: known && renewed_under != boot,
        silent: (known && renewed_under == boot).then(|| now.saturating_sub(renewed)),
    })
}
