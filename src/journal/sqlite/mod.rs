//! The embedded store: one SQLite file for all runs. Write-ahead log with a sync at every commit, so that an entry that was
//! acknowledged outlives a crash and a loss of power. Several processes may use it at once.

mod connection;
mod decisions;
mod error;
mod files;
mod reader;
mod schema;
mod writer;

use super::decisions::Decisions;
use super::machine::{Machine, System};
use super::storage::{Reader, Storage, Writer};
use super::tree::{self, Digest};
use super::{Error, store};
use connection::Held;
use error::{failure, io_failure, message};
use files::Files;
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _, Row as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use super::keep::Erased;
pub use super::read::{Found, RunSummary};
pub use super::run::Run;
pub use super::store::{RunHeader, Store};

/// How long a writer waits for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(10);

impl store::Store {
    /// Opens the journal at `path`; makes the file (mode 0600) and its folder (mode 0700) when they are not there.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_on(path, Arc::new(System)).await
    }

    /// The same with time and randomness from this machine.
    pub async fn open_on(path: &Path, machine: Arc<dyn Machine>) -> Result<Self, Error> {
        files::make(path).map_err(|error| io_failure(path, "make the file", &error))?;
        let files = Arc::new(Files::new(path, Arc::clone(&machine))?);
        Ok(Self::over(Arc::new(Sqlite(files)), machine).await?.with_file(path))
    }

    /// Opens an existing journal to look at it; nothing can be written through it.
    pub async fn read(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(message(
                path,
                "read it",
                "there is no such file",
                "A journal is made by the first `starr run`; check the path in the configuration.",
            ));
        }
        let files = Arc::new(Files::new(path, Arc::new(System))?);
        Ok(Self::look(Arc::new(Sqlite(files))).await?.with_file(path))
    }
}

/// The storage in a file.
struct Sqlite(Arc<Files>);

impl Storage for Sqlite {
    fn place(&self) -> String {
        self.0.place()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        Box::pin(async move {
            let mut opening = Opening::new(&self.0, false).await?;
            opening.prepare().await?;
            let origin = opening.origin().await?;
            Ok(Box::new(writer::Connected {
                files: Arc::clone(&self.0),
                connection: opening.connection,
                origin,
                boot: self.0.machine.boot_id(),
            }) as Box<dyn Writer>)
        })
    }

    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        Box::pin(async move {
            let mut opening = Opening::new(&self.0, true).await?;
            let state = opening.state().await?;
            if state.application == 0 && state.version == 0 {
                return Err(message(
                    &self.0.path,
                    "read it",
                    "nothing was recorded yet",
                    "A journal is made by the first `starr run`.",
                ));
            }
            opening.accept(&state)?;
            Ok(Box::new(reader::Connected {
                files: Arc::clone(&self.0),
                connection: opening.connection,
                version: state.version,
                open: false,
            }) as Box<dyn Reader>)
        })
    }

    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.copy(to))
    }

    fn decisions(&self) -> BoxFuture<'_, Result<Arc<dyn Decisions>, Error>> {
        Box::pin(async move {
            let mut opening = Opening::new(&self.0, false).await?;
            opening.prepare().await?;
            let desk = decisions::Desk::new(Arc::clone(&self.0), opening.connection);
            Ok(Arc::new(desk) as Arc<dyn Decisions>)
        })
    }
}

impl Sqlite {
    /// A copy with everything that is still in the write-ahead log, mode 0600; nothing that is there is written over.
    async fn copy(&self, to: &Path) -> Result<(), Error> {
        let place = &self.0.path;
        let tried = format!("copy it to {}", to.display());
        // Made first, so that the copy is never readable for others.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(|error| io_failure(place, &tried, &error))?;
        let name = to.to_str().ok_or_else(|| {
            message(
                place,
                &tried,
                "the name is not UTF-8",
                "Choose another name for the copy.",
            )
        })?;
        let mut opening = Opening::new(&self.0, true).await?;
        sqlx::query("vacuum into ?")
            .bind(name)
            .execute(&mut *opening.connection)
            .await
            .map_err(|error| failure(place, &tried, &error))?;
        std::fs::File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(|error| io_failure(place, &tried, &error))
    }
}

/// A connection that is looked over before it is used.
struct Opening<'a> {
    files: &'a Arc<Files>,
    connection: Held,
}

/// What the file says about itself.
struct State {
    application: i64,
    version: i64,
    tables: i64,
    mode: String,
}

impl<'a> Opening<'a> {
    async fn new(files: &'a Arc<Files>, read_only: bool) -> Result<Self, Error> {
        let connection = SqliteConnectOptions::new()
            .filename(&files.path)
            .read_only(read_only)
            .immutable(read_only && files.lies_still())
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            // 1 MiB of pages: a journal is appended to and read in order.
            .pragma("cache_size", "-1024")
            // A store that was tampered with must not run functions through its schema.
            .pragma("trusted_schema", "OFF")
            // What is erased is written over.
            .pragma("secure_delete", "ON")
            .statement_cache_capacity(32)
            .thread_name(|_| "starr-journal".to_owned())
            .disable_statement_logging()
            .connect()
            .await
            .map_err(|error| files.diagnose("open it", &error))?;
        let connection = Held::new(Arc::clone(files), connection);
        Ok(Self { files, connection })
    }

    async fn state(&mut self) -> Result<State, Error> {
        let row = sqlx::query(
            "select (select application_id from pragma_application_id),
                    (select user_version from pragma_user_version),
                    (select count(*) from sqlite_schema),
                    (select journal_mode from pragma_journal_mode)",
        )
        .fetch_one(&mut *self.connection)
        .await
        .map_err(|error| self.files.diagnose("open it", &error))?;
        let read = || -> Result<State, sqlx::Error> {
            Ok(State {
                application: row.try_get(0)?,
                version: row.try_get(1)?,
                tables: row.try_get(2)?,
                mode: row.try_get(3)?,
            })
        };
        read().map_err(|error| self.files.diagnose("open it", &error))
    }

    /// Refuses what is not a journal, and a journal of a later version.
    fn accept(&self, state: &State) -> Result<(), Error> {
        let is_new = state.application == 0 && state.version == 0 && state.tables == 0;
        if !is_new && state.application != schema::APPLICATION_ID {
            return Err(message(
                &self.files.path,
                "open it",
                "the file is an SQLite database of some other program",
                "Choose another path for the journal; this file is left as it is.",
            ));
        }
        if state.version > schema::VERSION {
            return Err(message(
                &self.files.path,
                "open it",
                &format!(
                    "it was written by a later starr (its tables have version {}, this starr knows {})",
                    state.version,
                    schema::VERSION
                ),
                "Use that version of starr; nothing was changed.",
            ));
        }
        Ok(())
    }

    /// Makes or upgrades the tables where needed, and reads the log's origin.
    async fn prepare(&mut self) -> Result<(), Error> {
        let state = self.state().await?;
        self.accept(&state)?;
        if state.mode != "wal" {
            self.use_write_ahead_log().await?;
        }
        if state.version < schema::VERSION {
            migrate(&mut self.connection, schema::STEPS, &*self.files.machine)
                .await
                .map_err(|error| self.files.diagnose("make the tables", &error))?;
        }
        Ok(())
    }

    async fn use_write_ahead_log(&mut self) -> Result<(), Error> {
        // The switch needs the file for itself and SQLite's own waiting does not apply to it.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match sqlx::query("pragma journal_mode = wal")
                .fetch_one(&mut *self.connection)
                .await
            {
                Ok(row) if row.try_get::<String, _>(0).is_ok_and(|mode| mode == "wal") => return Ok(()),
                Ok(_) => {
                    return Err(message(
                        &self.files.path,
                        "use a write-ahead log",
                        "the file system does not offer what that needs",
                        "Choose a journal on a local file system.",
                    ));
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(self.files.diagnose("use a write-ahead log", &error));
                }
                Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "5" || code == "261") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(self.files.diagnose("use a write-ahead log", &error)),
            }
        }
    }

    async fn origin(&mut self) -> Result<[u8; 16], Error> {
        let path = &self.files.path;
        let row = sqlx::query("select origin from head")
            .fetch_one(&mut *self.connection)
            .await
            .map_err(|error| failure(path, "read the head", &error))?;
        let origin: Vec<u8> = row.try_get(0).map_err(|error| failure(path, "read the head", &error))?;
        origin.try_into().map_err(|_| {
            message(
                path,
                "read the head",
                "the log's origin is damaged",
                "Keep a copy of the file as it is, and begin a new journal.",
            )
        })
    }
}

/// Brings the tables to the last of `steps`, in one transaction.
async fn migrate(
    connection: &mut SqliteConnection,
    steps: &'static [&'static str],
    machine: &dyn Machine,
) -> Result<(), sqlx::Error> {
    use sqlx::Connection as _;
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Read again inside: another process may have been quicker.
    let version: i64 = sqlx::query("select user_version from pragma_user_version")
        .fetch_one(&mut *transaction)
        .await?
        .try_get(0)?;
    let done = usize::try_from(version).unwrap_or(0);
    for (index, step) in steps.iter().enumerate().skip(done) {
        transaction.execute(*step).await?;
        if index == 0 {
            insert_head(&mut transaction, machine).await?;
        }
    }
    if done < steps.len() {
        transaction
            .execute(sqlx::AssertSqlSafe(format!(
                "pragma application_id = {}; pragma user_version = {}",
                schema::APPLICATION_ID,
                steps.len()
            )))
            .await?;
    }
    transaction.commit().await
}

async fn insert_head(connection: &mut SqliteConnection, machine: &dyn Machine) -> Result<(), sqlx::Error> {
    let mut origin = [0; 16];
    machine
        .fill(&mut origin)
        .map_err(|error| sqlx::Error::Configuration(error.into()))?;
    let empty = tree::Frontier::default();
    let nothing: Digest = [0; 32];
    sqlx::query("insert into head (one, origin, size, frontier, root, leaf) values (1, ?, 0, ?, ?, ?)")
        .bind(&origin[..])
        .bind(empty.to_bytes())
        .bind(&empty.root()[..])
        .bind(&nothing[..])
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod process_tests;
#[cfg(test)]
mod tests;
