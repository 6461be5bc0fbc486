//! Writing: a step is one transaction that holds the head row, so that writers of all processes take turns.

use super::error::failure;
use super::reader::clock;
use super::session::{connect, must_not_change, must_sync, patiently};
use super::{Role, Server, schema};
use crate::journal::machine::Machine;
use crate::journal::storage::{Change, LeaseRow, Place, RunStanding, Writer, signed, standing};
use crate::journal::tree::{Digest, Frontier};
use crate::journal::{Error, tables, words};
use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use tokio::sync::Mutex;

/// Serialises who makes the tables: the letters `STRR`.
const MAKING: i64 = 0x5354_5252;

/// A connection that writes.
pub struct Connected {
    place: String,
    connection: PgConnection,
    origin: [u8; 16],
}

impl Connected {
    /// Connects, makes or upgrades the tables where needed, and looks at what server and role allow.
    pub async fn open(server: &Server, role: Role, machine: &dyn Machine) -> Result<Self, Error> {
        let place = server.place();
        let login = match (role, &server.eraser) {
            (Role::Eraser, Some(eraser)) => eraser,
            _ => &server.login,
        };
        if let (Role::Eraser, Some(owner)) = (role, &server.owner) {
            // Its name may have come into the configuration after the tables were made.
            let mut making = connect(server, owner).await?;
            patiently(&place, "make the tables", make(&mut making, server, machine)).await?;
            let _ = making.close().await;
        }
        let mut connection = connect(server, login).await?;
        must_sync(server, &mut connection).await?;
        let version = version(&place, &mut connection).await?;
        if version < schema::VERSION {
            let owner = server.owner.as_ref().unwrap_or(&server.login);
            let mut making = connect(server, owner).await?;
            patiently(&place, "make the tables", make(&mut making, server, machine)).await?;
            // A connection that is not closed in good order is closed by the server.
            let _ = making.close().await;
        }
        must_not_change(server, role, login, &mut connection).await?;
        let origin: Vec<u8> = patiently(
            &place,
            "read the head",
            sqlx::query_scalar("select origin from head").fetch_one(&mut connection),
        )
        .await?;
        let origin = origin.try_into().map_err(|_| {
            words::message(
                &place,
                "read the head",
                "the log's origin is damaged",
                "Keep a copy of the database as it is, and begin a new journal.",
            )
        })?;
        Ok(Self {
            place,
            connection,
            origin,
        })
    }

    /// The connection alone, for what is no part of the log.
    pub fn into_connection(self) -> Mutex<PgConnection> {
        Mutex::new(self.connection)
    }

    async fn read_place(&mut self, runs: &[String]) -> Result<Place, Error> {
        let place = self.place.clone();
        let tried = "record an entry";
        let fail = |error: sqlx::Error| failure(&place, tried, &error);
        let connection = &mut self.connection;
        patiently(
            &place,
            tried,
            connection.execute("begin isolation level read committed"),
        )
        .await?;
        let head = patiently(
            &place,
            tried,
            sqlx::query("select size, frontier, leaf from head for update").fetch_one(&mut *connection),
        )
        .await?;
        let mut found = standing(
            &place,
            head.try_get(0).map_err(fail)?,
            head.try_get(1).map_err(fail)?,
            head.try_get(2).map_err(fail)?,
        )?;
        if runs.is_empty() {
            return Ok(found);
        }
        // A statement of its own: it sees everything that was there before the head was ours.
        let rows = patiently(
            &place,
            tried,
            sqlx::query(
                "select r.id, r.entries, l.epoch from runs r join leases l on l.run = r.id where r.id = any($1)",
            )
            .bind(runs)
            .fetch_all(&mut *connection),
        )
        .await?;
        for row in rows {
            let number = |column: usize| {
                row.try_get::<i64, _>(column)
                    .map(|number| u64::try_from(number).unwrap_or(0))
            };
            found.runs.insert(
                row.try_get(0).map_err(fail)?,
                RunStanding {
                    entries: number(1).map_err(fail)?,
                    epoch: number(2).map_err(fail)?,
                },
            );
        }
        Ok(found)
    }

    async fn write(&mut self, change: Change) -> Result<(), sqlx::Error> {
        let connection = &mut self.connection;
        if !change.begun.is_empty() {
            sqlx::query("insert into runs (id) select unnest($1::text[])")
                .bind(&change.begun)
                .execute(&mut *connection)
                .await?;
        }
        for (run, subject) in &change.subjects {
            sqlx::query("insert into subjects (run, subject) values ($1, $2)")
                .bind(run)
                .bind(subject)
                .execute(&mut *connection)
                .await?;
        }
        if let Some((frontier, leaf)) = &change.head {
            entries(connection, &change, frontier, leaf).await?;
        }
        for lease in &change.leases {
            sqlx::query(
                "insert into leases (run, epoch, holder, since, machine, process, started)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (run) do update set epoch = $2, holder = $3, since = $4, machine = $5, process = $6,
                        started = $7, renewed = clock_timestamp(), released = false",
            )
            .bind(&lease.run)
            .bind(signed(lease.epoch))
            // Text that the database cannot hold.
            .bind(lease.holder.replace('\0', ""))
            .bind(lease.since)
            .bind(&lease.runner.machine)
            .bind(i64::from(lease.runner.process))
            .bind(i64::try_from(lease.runner.started).unwrap_or(0))
            .execute(&mut *connection)
            .await?;
        }
        for (run, epoch) in &change.renewed {
            sqlx::query("update leases set renewed = clock_timestamp() where run = $1 and epoch = $2")
                .bind(run)
                .bind(signed(*epoch))
                .execute(&mut *connection)
                .await?;
        }
        for (run, epoch) in &change.released {
            sqlx::query("update leases set released = true where run = $1 and epoch = $2")
                .bind(run)
                .bind(signed(*epoch))
                .execute(&mut *connection)
                .await?;
        }
        for row in change.rows.iter().filter(|row| row.entry.kind == "payloads_erased") {
            sqlx::query("select erase_payloads($1)")
                .bind(signed(row.entry.sequence))
                .execute(&mut *connection)
                .await?;
        }
        for row in &change.checkpoints {
            sqlx::query(
                "insert into checkpoints (size, frontier, note, digest) values ($1, $2, $3, $4)
                 on conflict (size) do update set note = $3, digest = $4",
            )
            .bind(row.size)
            .bind(&row.frontier)
            .bind(&row.note)
            .bind(&row.digest)
            .execute(&mut *connection)
            .await?;
        }
        connection.execute("commit").await.map(drop)
    }
}

/// New entries, the head behind them and the list of runs, in one statement.
async fn entries(
    connection: &mut PgConnection,
    change: &Change,
    frontier: &Frontier,
    leaf: &Digest,
) -> Result<(), sqlx::Error> {
    let rows = &change.rows;
    let runs = &change.runs;
    let numbers = |of: fn(&crate::journal::storage::NewRow) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&crate::journal::storage::NewRow) -> &str| rows.iter().map(of).collect::<Vec<&str>>();
    let bytes = |of: fn(&crate::journal::storage::NewRow) -> &[u8]| rows.iter().map(of).collect::<Vec<&[u8]>>();
    let places = |of: fn(&crate::journal::storage::RunChange) -> Option<u64>| {
        runs.iter().map(|run| of(run).map(signed)).collect::<Vec<Option<i64>>>()
    };
    sqlx::query(
        "with added as (
             insert into entries (sequence, run, run_sequence, part, kind, at, bytes, leaf)
             select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bytea[],
                                  $8::bytea[])
         ), beside as (
             insert into payloads (sequence, salt, body) select * from unnest($1::bigint[], $9::bytea[], $10::bytea[])
         ), listed as (
             update runs r
                set entries = n.entries, started = coalesce(n.started, r.started),
                    severity = coalesce(n.severity, r.severity), ended = coalesce(n.ended, r.ended)
               from unnest($11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
                    as n (id, entries, started, severity, ended)
              where r.id = n.id
         )
         update head set size = $16, frontier = $17, root = $18, leaf = $19",
    )
    .bind(numbers(|row| signed(row.entry.sequence)))
    .bind(texts(|row| &row.entry.run))
    .bind(numbers(|row| signed(row.entry.run_sequence)))
    .bind(texts(|row| row.entry.part.word()))
    .bind(texts(|row| &row.entry.kind))
    .bind(numbers(|row| row.entry.wall_nanoseconds))
    .bind(bytes(|row| &row.bytes))
    .bind(bytes(|row| &row.leaf))
    .bind(bytes(|row| &row.salt))
    .bind(bytes(|row| &row.body))
    .bind(runs.iter().map(|run| run.id.as_str()).collect::<Vec<&str>>())
    .bind(places(|run| Some(run.entries)))
    .bind(places(|run| run.started))
    .bind(places(|run| run.severity))
    .bind(places(|run| run.ended))
    .bind(signed(frontier.size()))
    .bind(frontier.to_bytes())
    .bind(&frontier.root()[..])
    .bind(&leaf[..])
    .execute(connection)
    .await
    .map(drop)
}

impl Writer for Connected {
    fn origin(&self) -> [u8; 16] {
        self.origin
    }

    fn begin<'a>(&'a mut self, runs: &'a [String]) -> BoxFuture<'a, Result<Place, Error>> {
        Box::pin(self.read_place(runs))
    }

    fn checkpoint(&mut self, size: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>, Error>> {
        Box::pin(async move {
            let query = sqlx::query_scalar("select note from checkpoints where size = $1").bind(signed(size));
            patiently(
                &self.place,
                "read a checkpoint",
                query.fetch_optional(&mut self.connection),
            )
            .await
        })
    }

    fn about<'a>(&'a mut self, subject: &'a str) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        Box::pin(async move {
            let tried = "look for a run about the same";
            let query = sqlx::query(
                "select l.run, epoch, holder, since, machine, process, started, released::int::bigint,
                        (extract(epoch from clock_timestamp() - renewed) * 1e9)::bigint
                   from subjects s join leases l on l.run = s.run where s.subject = $1 and not released",
            )
            .bind(subject);
            let rows = patiently(&self.place, tried, query.fetch_all(&mut self.connection)).await?;
            rows.iter()
                .map(|row| clock(row, tables::lease(row)?))
                .collect::<Result<_, _>>()
                .map_err(|error| failure(&self.place, tried, &error))
        })
    }

    fn commit(&mut self, change: Change) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let place = self.place.clone();
            let done = patiently(&place, "record an entry", self.write(change)).await;
            if done.is_err() {
                // Where the connection is gone the server takes the step back by itself; the failure is final either way.
                let _ = patiently(&place, "record an entry", self.connection.execute("rollback")).await;
            }
            done
        })
    }

    fn rollback(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            patiently(&self.place, "leave it as it is", self.connection.execute("rollback"))
                .await
                .map(drop)
        })
    }

    /// What was erased stays in dead rows until the server's own vacuum, and in its write-ahead log and backups.
    fn scrub(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async { Ok(false) })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(async move {
            let place = self.place;
            patiently(&place, "close it", self.connection.close()).await
        })
    }
}

/// The version of the tables; 0 when there are none.
pub async fn version(place: &str, connection: &mut PgConnection) -> Result<i64, Error> {
    let tried = "open it";
    let there: bool = patiently(
        place,
        tried,
        sqlx::query_scalar("select to_regclass('version') is not null").fetch_one(&mut *connection),
    )
    .await?;
    if !there {
        return Ok(0);
    }
    let version: i64 = patiently(
        place,
        tried,
        sqlx::query_scalar("select version from version").fetch_one(&mut *connection),
    )
    .await?;
    if version > schema::VERSION {
        return Err(words::message(
            place,
            tried,
            &format!(
                "it was written by a later starr (its tables have version {version}, this starr knows {})",
                schema::VERSION
            ),
            "Use that version of starr; nothing was changed.",
        ));
    }
    Ok(version)
}

/// Makes or upgrades the tables and sets the recording role's rights, in one transaction.
async fn make(connection: &mut PgConnection, server: &Server, machine: &dyn Machine) -> Result<(), sqlx::Error> {
    let schema_name = &server.schema;
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MAKING)
        .execute(&mut *transaction)
        .await?;
    let there: bool = sqlx::query_scalar("select to_regnamespace($1) is not null")
        .bind(schema_name)
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        let sql = format!("create schema \"{schema_name}\"");
        transaction.execute(AssertSqlSafe(sql)).await?;
    }
    let made: bool = sqlx::query_scalar("select to_regclass('version') is not null")
        .fetch_one(&mut *transaction)
        .await?;
    // Read inside: another process may have been quicker.
    let done: i64 = if made {
        sqlx::query_scalar("select version from version")
            .fetch_one(&mut *transaction)
            .await?
    } else {
        0
    };
    for (index, step) in (1_i64..).zip(schema::STEPS) {
        if index <= done {
            continue;
        }
        let sql = step.replace("{schema}", schema_name);
        transaction.execute(AssertSqlSafe(sql)).await?;
        if index == 1 {
            let mut origin = [0; 16];
            machine
                .fill(&mut origin)
                .map_err(|error| sqlx::Error::Configuration(error.into()))?;
            let empty = Frontier::default();
            let nothing: Digest = [0; 32];
            sqlx::query("insert into head (one, origin, size, frontier, root, leaf) values (1, $1, 0, $2, $3, $4)")
                .bind(&origin[..])
                .bind(empty.to_bytes())
                .bind(&empty.root()[..])
                .bind(&nothing[..])
                .execute(&mut *transaction)
                .await?;
            sqlx::query("insert into version (one, version) values (1, 0)")
                .execute(&mut *transaction)
                .await?;
        }
    }
    sqlx::query("update version set version = $1")
        .bind(schema::VERSION.max(done))
        .execute(&mut *transaction)
        .await?;
    let rights = schema::rights(schema_name, &server.login.user);
    transaction.execute(AssertSqlSafe(rights)).await?;
    if let Some(eraser) = &server.eraser {
        let rights = schema::rights_to_erase(schema_name, &eraser.user);
        transaction.execute(AssertSqlSafe(rights)).await?;
    }
    transaction.commit().await
}
