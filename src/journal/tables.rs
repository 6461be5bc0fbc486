//! Reading the tables of a journal: the same queries whichever database they are in. What a database has of its own, a snapshot, its
//! clock and its checks, is behind [`Tables`].

use super::chunk::Chunk;
use super::storage::{LeaseRow, Misfit, Reader, Which, signed};
use super::tree::Digest;
use super::verify::{CheckpointRow, Head, Row, RunRow};
use super::{Error, lease::Runner};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::query::Query;
use sqlx::{ColumnIndex, Database, Decode, Encode, Type};

/// A value in a query: the first is `$1`.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Number(i64),
    Text(&'a str),
    Maybe(Option<&'a str>),
}

/// A statement with its values.
pub fn query<D: Database>(sql: &'static str, values: &[Value<'_>]) -> Query<'static, D, D::Arguments>
where
    for<'v> i64: Encode<'v, D> + Type<D>,
    for<'v> &'v str: Encode<'v, D> + Type<D>,
    for<'v> Option<&'v str>: Encode<'v, D> + Type<D>,
{
    values.iter().fold(sqlx::query(sql), |query, value| match value {
        Value::Number(number) => query.bind(*number),
        Value::Text(text) => query.bind(*text),
        Value::Maybe(text) => query.bind(*text),
    })
}

/// What a failure becomes.
pub type Fail = Box<dyn Fn(sqlx::Error) -> Error + Send + Sync>;

/// Reads behind what every store knows of a lease what only this one does.
pub type Clock<R> = Box<dyn Fn(&R, LeaseRow) -> Result<LeaseRow, sqlx::Error> + Send + Sync>;

/// A row, cell by cell.
pub trait Cells {
    fn number(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn number_if_any(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: usize) -> Result<String, sqlx::Error>;
    fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;
    fn bytes_if_any(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error>;

    /// How many cells there are.
    fn width(&self) -> usize;

    /// A number that is never below 0.
    fn natural(&self, column: usize) -> Result<u64, sqlx::Error> {
        self.number(column).map(|number| u64::try_from(number).unwrap_or(0))
    }
}

impl<R: sqlx::Row> Cells for R
where
    usize: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> String: Decode<'r, R::Database> + Type<R::Database>,
    for<'r> Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn number_if_any(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(column)
    }

    fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.try_get(column)
    }

    fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.try_get(column)
    }

    fn bytes_if_any(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.try_get(column)
    }

    fn width(&self) -> usize {
        self.len()
    }
}

/// What reading a journal asks of the one database it is in.
pub trait Tables: Send {
    type Row: Cells + Send + Sync;

    /// Reads entries from `$1` on, before `$2`, all in one row: whether any of them is not of the usual kind (large, or with a hash or
    /// salt that is not 32 bytes long), then the numbers, words and data of a [`Chunk`].
    const CHUNK: &'static str;

    /// What a failure while this was tried becomes.
    fn failed(&self, tried: &'static str) -> Fail;

    /// Runs a statement; rows as they come.
    fn rows<'a>(&'a mut self, sql: &'static str, values: &[Value<'_>])
    -> BoxStream<'a, Result<Self::Row, sqlx::Error>>;

    /// Begins a snapshot.
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Ends it.
    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Whether these tables are of a version that has checkpoints.
    fn has_checkpoints(&self) -> bool {
        true
    }

    /// The statement that reads the leases, of the run `$1` or all: first what [`lease`] reads, then what [`Tables::clock`] does.
    fn leases(&self) -> &'static str;

    /// Reads from a lease's row how long it has been silent, by the clock that the store trusts.
    fn clock(&self) -> Clock<Self::Row>;

    /// What the database's own check and the list of tables say that does not fit.
    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, sqlx::Error>>;
}

const HEAD: &str = "select origin, size, frontier, root, leaf from head";
const ALL: &str = "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                     from entries e left join payloads p on p.sequence = e.sequence
                    where e.sequence >= $1 order by e.sequence";
const OF_RUN: &str = "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                        from entries e left join payloads p on p.sequence = e.sequence
                       where e.run = $1 order by e.run_sequence";
const FIRST_OF_RUN: &str =
    "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                              from entries e left join payloads p on p.sequence = e.sequence
                             where e.run = $1 order by e.run_sequence limit 1";
const LAST_OF_RUN: &str =
    "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                             from entries e left join payloads p on p.sequence = e.sequence
                            where e.run = $1 order by e.run_sequence desc limit 1";
const ONE: &str = "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
                     from entries e left join payloads p on p.sequence = e.sequence where e.sequence = $1";
const EXTENT: &str = "select (select min(sequence) from entries), (select max(sequence) from entries)";
const CHECKPOINTS: &str = "select size, frontier, note, digest from checkpoints order by size";
const LEAVES: &str = "select leaf from entries where sequence >= $1 and sequence < $2 order by sequence";
const RUNS: &str = "select id, entries, started, severity, ended from runs";
const NEWEST_RUNS: &str =
    "select id, entries, started, severity, ended from runs where entries > 0 order by number desc limit $1";
const RUN: &str = "select id, entries, started, severity, ended from runs where id = $1";
// Not `like`: the name may hold `%`.
const IDS: &str =
    "select id from runs where entries > 0 and substr(id, 1, length($1)) = $1 order by number desc limit 5";

/// Everything that a statement answers.
async fn all<T: Tables, O: Send>(
    tables: &mut T,
    tried: &'static str,
    sql: &'static str,
    values: &[Value<'_>],
    read: impl Fn(&T::Row) -> Result<O, sqlx::Error> + Send,
) -> Result<Vec<O>, Error> {
    let fail = tables.failed(tried);
    let mut rows = tables.rows(sql, values);
    let mut found = Vec::new();
    while let Some(row) = rows.next().await {
        found.push(row.and_then(|row| read(&row)).map_err(&fail)?);
    }
    Ok(found)
}

impl<T: Tables> Reader for T {
    fn begin(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Tables::begin(self)
    }

    fn end(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Tables::end(self)
    }

    fn head(&mut self) -> BoxFuture<'_, Result<Head, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the head");
            let head = all(self, "read the head", HEAD, &[], |row| {
                Ok(Head {
                    origin: row.bytes(0)?,
                    size: row.number(1)?,
                    frontier: row.bytes(2)?,
                    root: row.bytes(3)?,
                    leaf: row.bytes(4)?,
                })
            });
            let first = head.await?.into_iter().next();
            first.ok_or_else(|| fail(sqlx::Error::RowNotFound))
        })
    }

    fn entries<'a>(&'a mut self, which: Which<'a>) -> BoxStream<'a, Result<Row, Error>> {
        let fail = self.failed("read the entries");
        let (sql, value) = match which {
            // The smallest number there is: an entry with a number below 0 is one that somebody put there.
            Which::All => (ALL, Value::Number(i64::MIN)),
            Which::From(first) => (ALL, Value::Number(signed(first))),
            Which::Run(run) => (OF_RUN, Value::Text(run)),
            Which::FirstOf(run) => (FIRST_OF_RUN, Value::Text(run)),
            Which::LastOf(run) => (LAST_OF_RUN, Value::Text(run)),
            Which::One(sequence) => (ONE, Value::Number(signed(sequence))),
        };
        self.rows(sql, &[value])
            .map(move |row| row.and_then(|row| entry(&row)).map_err(&fail))
            .boxed()
    }

    fn extent(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(async move {
            let found = all(self, "count the entries", EXTENT, &[], |row| {
                Ok((row.number_if_any(0)?, row.number_if_any(1)?))
            });
            // A gap between them is met where its chunk is read.
            Ok(match found.await?.first() {
                Some((Some(0), Some(last))) => u64::try_from(*last).ok().and_then(|last| last.checked_add(1)),
                _ => None,
            })
        })
    }

    fn chunk(&mut self, first: u64, count: u64) -> BoxFuture<'_, Result<Chunk, Error>> {
        Box::pin(async move {
            let fail = self.failed("read the entries");
            let places = [first, first.saturating_add(count)].map(|place| Value::Number(signed(place)));
            let chunk = all(self, "read the entries", T::CHUNK, &places, |row| {
                // Without its data it is no chunk.
                let data = if row.number(0)? == 0 { 9..row.width() } else { 0..0 };
                Ok(Chunk {
                    first,
                    count,
                    numbers: [row.text(1)?, row.text(2)?, row.text(3)?, row.text(4)?, row.text(5)?],
                    words: [row.text(6)?, row.text(7)?, row.text(8)?],
                    data: data.map(|column| row.bytes(column)).collect::<Result<_, _>>()?,
                })
            });
            let chunk = chunk.await?.into_iter().next();
            chunk.ok_or_else(|| fail(sqlx::Error::RowNotFound))
        })
    }

    fn checkpoints(&mut self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(async move {
            if !self.has_checkpoints() {
                return Ok(Vec::new());
            }
            let rows = all(self, "read the checkpoints", CHECKPOINTS, &[], |row| {
                Ok(CheckpointRow {
                    size: row.number(0)?,
                    frontier: row.bytes(1)?,
                    note: row.bytes(2)?,
                    digest: row.bytes(3)?,
                })
            });
            rows.await
        })
    }

    fn leaves(&mut self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>> {
        Box::pin(async move {
            let places = [from, to].map(|place| Value::Number(signed(place)));
            let rows = all(self, "read the tree", LEAVES, &places, |row| {
                Digest::try_from(row.bytes(0)?)
                    .map_err(|_| sqlx::Error::Decode("a leaf hash is not 32 bytes long".into()))
            });
            rows.await
        })
    }

    fn runs(&mut self, newest: Option<u32>) -> BoxFuture<'_, Result<Vec<RunRow>, Error>> {
        Box::pin(async move {
            let tried = "list the runs";
            match newest {
                Some(count) => all(self, tried, NEWEST_RUNS, &[Value::Number(count.into())], run).await,
                None => all(self, tried, RUNS, &[], run).await,
            }
        })
    }

    fn run<'a>(&'a mut self, id: &'a str) -> BoxFuture<'a, Result<Option<RunRow>, Error>> {
        Box::pin(async move {
            let rows = all(self, "look for a run", RUN, &[Value::Text(id)], run).await?;
            Ok(rows.into_iter().next())
        })
    }

    fn ids<'a>(&'a mut self, beginning: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        Box::pin(async move {
            all(self, "look for a run", IDS, &[Value::Text(beginning)], |row| {
                row.text(0)
            })
            .await
        })
    }

    fn leases<'a>(&'a mut self, run: Option<&'a str>) -> BoxFuture<'a, Result<Vec<LeaseRow>, Error>> {
        Box::pin(async move {
            let (sql, clock) = (Tables::leases(self), self.clock());
            let read = |row: &T::Row| clock(row, lease(row)?);
            all(self, "read the leases", sql, &[Value::Maybe(run)], read).await
        })
    }

    fn own_check(&mut self) -> BoxFuture<'_, Result<Vec<Misfit>, Error>> {
        Box::pin(async move {
            let fail = self.failed("check it");
            Tables::own_check(self).await.map_err(fail)
        })
    }
}

fn entry(row: &impl Cells) -> Result<Row, sqlx::Error> {
    Ok(Row {
        sequence: row.number(0)?,
        run: row.text(1)?,
        run_sequence: row.number(2)?,
        part: row.text(3)?,
        kind: row.text(4)?,
        at: row.number(5)?,
        bytes: row.bytes(6)?,
        leaf: row.bytes(7)?,
        salt: row.bytes_if_any(8)?,
        body: row.bytes_if_any(9)?,
    })
}

fn run(row: &impl Cells) -> Result<RunRow, sqlx::Error> {
    Ok(RunRow {
        id: row.text(0)?,
        entries: row.number(1)?,
        started: row.number_if_any(2)?,
        severity: row.number_if_any(3)?,
        ended: row.number_if_any(4)?,
    })
}

/// Run, epoch, holder, since, machine, process, start of the process, whether it was released.
pub fn lease(row: &impl Cells) -> Result<LeaseRow, sqlx::Error> {
    Ok(LeaseRow {
        run: row.text(0)?,
        epoch: row.natural(1)?,
        holder: row.text(2)?,
        since: row.number(3)?,
        runner: Runner {
            machine: row.text(4)?,
            process: u32::try_from(row.natural(5)?).unwrap_or(0),
            started: row.natural(6)?,
        },
        released: row.number(7)? != 0,
        restarted: false,
        silent: None,
    })
}
