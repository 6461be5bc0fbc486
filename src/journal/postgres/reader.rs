//! Reading one snapshot of the database.

use super::session::{connect, patiently};
use super::{Server, error, schema, writer};
use crate::journal::lease::Runner;
use crate::journal::storage::{LeaseRow, Misfit, Reader, Which, signed};
use crate::journal::tree::Digest;
use crate::journal::verify::{CheckpointRow, Head, Row, RunRow};
use crate::journal::{Error, words};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

/// A connection that reads.
pub struct Connected {
    place: String,
    connection: PgConnection,
    open: bool,
}

const RUN_COLUMNS: &str = "select id, entries, started, severity, ended from runs";

impl Connected {
    /// Connects; a journal that is not there is an error.
    pub async fn open(server: &Server) -> Result<Self, Error> {
        let place = server.place();
        let mut connection = connect(server, &server.login).await?;
        if writer::version(&place, &mut connection).await? == 0 {
            return Err(words::message(
                &place,
                "read it",
                "nothing was recorded yet",
                "A journal is made by the first `starr run`.",
            ));
        }
        Ok(Self {
            place,
            connection,
            open: false,
        })
    }

    fn failed(&self, tried: &'static str) -> impl Fn(sqlx::Error) -> Error + Send + 'static {
        let place = self.place.clone();
        move |error| error::failure(&place, tried, &error)
    }

    async fn check(&mut self) -> Result<Vec<Misfit>, sqlx::Error> {
        let names: Vec<String> = schema::TABLES.iter().map(|name| (*name).to_owned()).collect();
        let mut found: Vec<Misfit> = sqlx::query_scalar::<_, String>(
            "select case when c.relname = any($1) and c.relkind = 'r' then null else c.relname::text end
               from pg_catalog.pg_class c
              where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'v', 'm', 'f', 'p')
                and not (c.relname = any($1) and c.relkind = 'r')
             union all
             select t.tgname::text from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
              where c.relnamespace = current_schema()::regnamespace and not t.tgisinternal
             union all
             select r.rulename::text from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
              where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'",
        )
        .bind(names)
        .fetch_all(&mut self.connection)
        .await?
        .into_iter()
        .map(|name| {
            (
                None,
                format!("`{}` is not a table as starr makes it", name.escape_debug()),
            )
        })
        .collect();
        for sequence in sqlx::query_scalar::<_, i64>(
            "select p.sequence from payloads p left join entries e on e.sequence = p.sequence where e.sequence is null",
        )
        .fetch_all(&mut self.connection)
        .await?
        {
            found.push((Some(sequence), "has a payload but no entry".to_owned()));
        }
        Ok(found)
    }
}

impl Reader for Connected {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let place = self.place.clone();
            if std::mem::replace(&mut self.open, true) {
                patiently(&place, "read it", self.connection.execute("rollback")).await?;
            }
            patiently(
                &place,
                "read it",
                self.connection
                    .execute("begin isolation level repeatable read read only"),
            )
            .await
            .map(drop)
        })
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.open = false;
            patiently(&self.place, "read it", self.connection.execute("rollback"))
                .await
                .map(drop)
        })
    }

    fn head(&mut self) -> BoxFuture<'_, Result<Head, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the head");
            sqlx::query("select origin, size, frontier, root, leaf from head")
                .fetch_one(&mut self.connection)
                .await
                .and_then(|row| {
                    Ok(Head {
                        origin: row.try_get(0)?,
                        size: row.try_get(1)?,
                        frontier: row.try_get(2)?,
                        root: row.try_get(3)?,
                        leaf: row.try_get(4)?,
                    })
                })
                .map_err(fail)
        })
    }

    fn entries<'a>(&'a mut self, which: Which<'a>) -> BoxStream<'a, Result<Row, Error>> {
        const ALL: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence
             where e.sequence >= $1 order by e.sequence";
        const RUN: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence
             where e.run = $1 order by e.run_sequence";
        const ONE: &str =
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence where e.sequence = $1";
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

    fn checkpoints(&mut self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(async move {
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
            let rows = sqlx::query("select leaf from entries where sequence >= $1 and sequence < $2 order by sequence")
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
                Some(count) => sqlx::query(AssertSqlSafe(format!(
                    "{RUN_COLUMNS} where entries > 0 order by number desc limit $1"
                )))
                .bind(i64::from(count)),
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
            sqlx::query(AssertSqlSafe(format!("{RUN_COLUMNS} where id = $1")))
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
                "select id from runs where entries > 0 and starts_with(id, $1) order by number desc limit 5",
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
            let rows = sqlx::query(
                "select run, epoch, holder, since, machine, process, started, released,
                        (extract(epoch from clock_timestamp() - renewed) * 1e9)::bigint
                   from leases where run = coalesce($1, run)",
            )
            .bind(run)
            .fetch(&mut self.connection);
            rows.and_then(|row| async move { lease_row(&row) })
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

fn full_row(row: &PgRow) -> Result<Row, sqlx::Error> {
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

fn run_row(row: &PgRow) -> Result<RunRow, sqlx::Error> {
    Ok(RunRow {
        id: row.try_get(0)?,
        entries: row.try_get(1)?,
        started: row.try_get(2)?,
        severity: row.try_get(3)?,
        ended: row.try_get(4)?,
    })
}

fn lease_row(row: &PgRow) -> Result<LeaseRow, sqlx::Error> {
    let natural = |column: usize| {
        row.try_get::<i64, _>(column)
            .map(|number| u64::try_from(number).unwrap_or(0))
    };
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
        released: row.try_get(7)?,
        // Other machines record here too: another start of this one says nothing about theirs.
        restarted: false,
        silent: Some(natural(8)?),
    })
}
