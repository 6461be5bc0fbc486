//! Reading one snapshot of the file.

use super::connection::Held;
use super::error::failure;
use super::files::Files;
use super::schema;
use crate::journal::Error;
use crate::journal::machine::Machine;
use crate::journal::storage::{LeaseRow, Misfit};
use crate::journal::tables::{Cells as _, Clock, Fail, Tables, Value, query};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor as _, Row as _};
use std::sync::Arc;

/// A connection that reads.
pub struct Connected {
    pub files: Arc<Files>,
    pub connection: Held,
    /// Of the tables.
    pub version: i64,
    pub open: bool,
}

impl Connected {
    async fn check(&mut self) -> Result<Vec<Misfit>, sqlx::Error> {
        let mut found = Vec::new();
        match sqlx::query("pragma integrity_check(1)")
            .fetch_one(&mut *self.connection)
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
            .fetch_all(&mut *self.connection)
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
            .fetch_all(&mut *self.connection)
            .await?
        {
            found.push((Some(row.try_get(0)?), "has a payload but no entry".to_owned()));
        }
        Ok(found)
    }
}

impl Tables for Connected {
    type Row = SqliteRow;

    // The driver's cost is that of a row, not of a byte: one row holds many entries, in the order of the numbers by which the table is
    // kept. A large entry is left out; its chunk is then none, and it is read by itself.
    const CHUNK: &'static str = "
        select coalesce(sum(octet_length(e.leaf) <> 32 or coalesce(octet_length(p.salt), 32) <> 32
                            or octet_length(e.bytes) + coalesce(octet_length(p.body), 0) >= 65536), 1),
               coalesce(group_concat(octet_length(e.bytes), ' '), ''),
               coalesce(group_concat(coalesce(octet_length(p.body), -1), ' '), ''),
               coalesce(group_concat(e.run_sequence, ' '), ''),
               coalesce(group_concat(e.at, ' '), ''),
               coalesce(group_concat(e.sequence, ' '), ''),
               coalesce(group_concat(e.run, ';'), ''),
               coalesce(group_concat(e.part, ';'), ''),
               coalesce(group_concat(e.kind, ';'), ''),
               cast(coalesce(group_concat(case when octet_length(e.bytes) + coalesce(octet_length(p.body), 0) < 65536
                   then e.leaf || e.bytes || coalesce(p.salt, x'') || coalesce(p.body, x'') end, ''), '') as blob)
          from entries e left join payloads p on p.sequence = e.sequence
         where e.sequence >= $1 and e.sequence < $2";

    fn failed(&self, tried: &'static str) -> Fail {
        let files = Arc::clone(&self.files);
        Box::new(move |error| failure(files.place(), tried, &error))
    }

    fn rows<'a>(
        &'a mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> BoxStream<'a, Result<SqliteRow, sqlx::Error>> {
        query(sql, values).fetch(&mut *self.connection)
    }

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

    fn has_checkpoints(&self) -> bool {
        self.version >= schema::WITH_CHECKPOINTS
    }

    fn leases(&self) -> &'static str {
        if self.version < schema::WITH_RUNNERS {
            "select run, epoch, holder, since, '', 0, 0, 0, '', 0 from leases where run = coalesce($1, run)"
        } else {
            "select run, epoch, holder, since, machine, process, started, released, boot, renewed
               from leases where run = coalesce($1, run)"
        }
    }

    fn clock(&self) -> Clock<SqliteRow> {
        clock(&*self.files.machine)
    }

    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, sqlx::Error>> {
        Box::pin(self.check())
    }
}

/// Reads by whose start of the machine and when a lease was renewed; both stand behind what every store knows of it.
pub fn clock(machine: &dyn Machine) -> Clock<SqliteRow> {
    let (boot, now) = (machine.boot_id(), machine.since_boot());
    Box::new(move |row, lease| {
        let (renewed_under, renewed) = (row.text(8)?, row.natural(9)?);
        let known = !boot.is_empty() && !renewed_under.is_empty();
        Ok(LeaseRow {
            restarted: known && renewed_under != boot,
            silent: (known && renewed_under == boot).then(|| now.saturating_sub(renewed)),
            ..lease
        })
    })
}
