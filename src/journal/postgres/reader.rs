//! Reading one snapshot of the database.

use super::session::{connect, patiently};
use super::{Server, error, schema, writer};
use crate::journal::storage::{LeaseRow, Misfit};
use crate::journal::tables::{Cells as _, Clock, Fail, Tables, Value, query};
use crate::journal::{Error, words};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::Executor as _;
use sqlx::postgres::{PgConnection, PgRow};

/// A connection that reads.
pub struct Connected {
    place: String,
    connection: PgConnection,
    open: bool,
}

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

impl Tables for Connected {
    type Row = PgRow;

    // One row holds many entries: what a row costs on its way here is more than what its bytes do. A large entry is left out; its chunk
    // is then none, and it is read by itself.
    const CHUNK: &'static str = "
        select coalesce(sum(case when fits and octet_length(leaf) = 32 and coalesce(octet_length(salt), 32) = 32
                                 then 0 else 1 end), 1),
               coalesce(string_agg(octet_length(bytes)::text, ' '), ''),
               coalesce(string_agg(coalesce(octet_length(body), -1)::text, ' '), ''),
               coalesce(string_agg(run_sequence::text, ' '), ''),
               coalesce(string_agg(at::text, ' '), ''),
               coalesce(string_agg(sequence::text, ' '), ''),
               coalesce(string_agg(run, ';'), ''),
               coalesce(string_agg(part, ';'), ''),
               coalesce(string_agg(kind, ';'), ''),
               coalesce(string_agg(leaf, ''), ''),
               coalesce(string_agg(bytes, '') filter (where fits), ''),
               coalesce(string_agg(salt, ''), ''),
               coalesce(string_agg(body, '') filter (where fits), '')
          from (select e.*, p.salt, p.body, octet_length(e.bytes) + coalesce(octet_length(p.body), 0) < 65536 as fits
                  from entries e
                  left join payloads p on p.sequence = e.sequence and p.sequence >= $1 and p.sequence < $2
                 where e.sequence >= $1 and e.sequence < $2 order by e.sequence) as chunk";

    fn failed(&self, tried: &'static str) -> Fail {
        let place = self.place.clone();
        Box::new(move |error| error::failure(&place, tried, &error))
    }

    fn rows<'a>(&'a mut self, sql: &'static str, values: &[Value<'_>]) -> BoxStream<'a, Result<PgRow, sqlx::Error>> {
        query(sql, values).fetch(&mut self.connection)
    }

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

    fn leases(&self) -> &'static str {
        "select run, epoch, holder, since, machine, process, started, released::int::bigint,
                (extract(epoch from clock_timestamp() - renewed) * 1e9)::bigint
           from leases where run = coalesce($1, run)"
    }

    fn clock(&self) -> Clock<PgRow> {
        Box::new(clock)
    }

    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, sqlx::Error>> {
        Box::pin(self.check())
    }
}

/// Reads how long a lease has been silent, which stands behind what every store knows of it. Other machines record here too: another
/// start of this one says nothing about theirs.
pub fn clock(row: &PgRow, lease: LeaseRow) -> Result<LeaseRow, sqlx::Error> {
    Ok(LeaseRow {
        silent: Some(row.natural(8)?),
        ..lease
    })
}
