//! The transaction in which every check runs: read only, short, and gone afterwards.

use super::connection::{Deadline, Lease, Pool};
use super::failure::{Failure, classify};
use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, Row};

/// A check's conversation with the server. Whoever does not end it with [`Reading::end`] closes the connection.
pub struct Reading<'a> {
    lease: Lease<'a>,
    deadline: Deadline,
}

impl<'a> Reading<'a> {
    /// Begins a read-only transaction with the call's deadline as the server's own limits.
    pub async fn begin(pool: &'a Pool, deadline: Deadline) -> Result<Self, Failure> {
        let setup = || {
            let millis = deadline.server_millis();
            // Our own text and numbers only, so several statements in one message are safe here. The last one takes a snapshot:
            // from then on no statement can make this transaction writable again.
            format!(
                "BEGIN READ ONLY;
                 SET LOCAL statement_timeout = {millis};
                 SET LOCAL lock_timeout = {lock};
                 SET LOCAL idle_in_transaction_session_timeout = {idle};
                 SET LOCAL standard_conforming_strings = on;
                 SET LOCAL TimeZone = 'UTC';
                 SET LOCAL IntervalStyle = 'iso_8601';
                 SET LOCAL bytea_output = 'hex';
                 SELECT 1",
                lock = (millis / 2).max(1),
                idle = millis.saturating_add(5_000).min(2_000_000_000),
                millis = millis.min(2_000_000_000),
            )
        };
        let lease = pool.lease(deadline, setup).await?;
        Ok(Self { lease, deadline })
    }

    /// The connection's own facts.
    pub fn lease(&self) -> &Lease<'a> {
        &self.lease
    }

    /// The rows of one of our own statements.
    pub async fn rows(&mut self, sql: &'static str, arguments: PgArguments) -> Result<Vec<Line>, Failure> {
        let rows = sqlx::query_with(sql, arguments)
            .persistent(false)
            .fetch_all(self.lease.connection());
        let rows = self
            .deadline
            .wait("the server", rows)
            .await?
            .map_err(|problem| classify(&problem, false, false))?;
        Ok(rows.into_iter().map(Line).collect())
    }

    /// The first column of the rows of a statement as text, until `keep` says that it is enough.
    pub async fn texts(
        &mut self,
        sql: String,
        arguments: PgArguments,
        hide: bool,
        mut keep: impl FnMut(Option<String>) -> bool,
    ) -> Result<(), Failure> {
        let mut rows = sqlx::query_with(AssertSqlSafe(sql), arguments)
            .persistent(false)
            .fetch(self.lease.connection());
        loop {
            let row = self
                .deadline
                .wait("the server", rows.try_next())
                .await?
                .map_err(|problem| classify(&problem, false, hide))?;
            let Some(row) = row else { return Ok(()) };
            // The columns of `show` and `explain` are texts whatever the server calls their type.
            let text: Option<String> = row
                .try_get_unchecked(0)
                .map_err(|problem| classify(&problem, false, hide))?;
            if !keep(text) {
                return Ok(());
            }
        }
    }

    /// Ends the transaction, resets the session and keeps the connection.
    pub async fn end(self) {
        self.lease.give_back(self.deadline).await;
    }
}

/// A row whose columns are read by name. Whatever does not fit is a failure, never a default.
pub struct Line(PgRow);

impl Line {
    fn get<'r, T>(&'r self, column: &str) -> Result<T, Failure>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.0
            .try_get(column)
            .map_err(|problem| classify(&problem, false, false))
    }

    /// A `boolean` that may not be null.
    pub fn flag(&self, column: &str) -> Result<bool, Failure> {
        self.get(column)
    }

    /// A `bigint` that may not be null.
    pub fn int(&self, column: &str) -> Result<i64, Failure> {
        self.get(column)
    }

    /// A `bigint`.
    pub fn maybe_int(&self, column: &str) -> Result<Option<i64>, Failure> {
        self.get(column)
    }

    /// A `double precision`.
    pub fn maybe_float(&self, column: &str) -> Result<Option<f64>, Failure> {
        self.get(column)
    }

    /// A `text` that may not be null.
    pub fn text(&self, column: &str) -> Result<String, Failure> {
        self.get(column)
    }

    /// A `text`.
    pub fn maybe_text(&self, column: &str) -> Result<Option<String>, Failure> {
        self.get(column)
    }

    /// A `bigint[]`.
    pub fn ints(&self, column: &str) -> Result<Vec<i64>, Failure> {
        self.get(column)
    }
}
