//! The embedded store: one SQLite file for all runs. Write-ahead log with a sync at every commit, so that an entry that was
//! acknowledged outlives a crash and a loss of power. Several processes may use it at once.

mod append;
mod checkpoint;
mod error;
mod keep;
mod read;
mod schema;

use super::Error;
use super::entry::Digests;
use super::machine;
use super::run_id::run_id;
use super::tree::{self, Digest};
use error::{failure, io_failure, message};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

pub use append::Run;
pub use keep::Erased;
pub use read::{Found, RunSummary};

/// How long a writer waits for another process that is writing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A journal in an SQLite file.
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Device and inode when it was opened: a file that was deleted or replaced keeps nothing.
    file: (u64, u64),
    origin: [u8; 16],
    boot: String,
    /// Of the tables, when the file was opened. An older one can be read.
    version: i64,
    connection: Mutex<SqliteConnection>,
    /// The first failure of a write. After it nothing is written through this handle: what a failed sync left behind is unknown.
    failed: OnceLock<Error>,
}

/// What a run is started with.
#[derive(Clone, Debug, Default)]
pub struct RunHeader {
    /// What the run rests on; stands in each of its entries.
    pub digests: Digests,
    /// Who runs it, for people, such as `maria on db7, process 4711`; not part of the record.
    pub holder: String,
}

impl Store {
    /// Opens the journal at `path`; makes the file (mode 0600) and its folder (mode 0700) when they are not there.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        prepare_file(path).map_err(|error| io_failure(path, "make the file", &error))?;
        let mut store = Self::connect(path, false).await?;
        store.inner_mut().prepare().await?;
        Ok(store)
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
        let mut store = Self::connect(path, true).await?;
        let state = store.inner_mut().state().await?;
        if state.application == 0 && state.version == 0 {
            return Err(message(
                path,
                "read it",
                "nothing was recorded yet",
                "A journal is made by the first `starr run`.",
            ));
        }
        store.inner_mut().accept(&state)?;
        store.inner_mut().version = state.version;
        store.inner_mut().read_origin().await?;
        Ok(store)
    }

    async fn connect(path: &Path, read_only: bool) -> Result<Self, Error> {
        let file = identity(path).map_err(|error| io_failure(path, "open it", &error))?;
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .read_only(read_only)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full)
            // 1 MiB of pages: a journal is appended to and read in order.
            .pragma("cache_size", "-1024")
            // A store that was tampered with must not run functions through its schema.
            .pragma("trusted_schema", "OFF")
            // What is erased is written over.
            .pragma("secure_delete", "ON")
            .statement_cache_capacity(16)
            .thread_name(|_| "starr-journal".to_owned())
            .disable_statement_logging()
            .connect()
            .await
            .map_err(|error| failure(path, "open it", &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                file,
                origin: [0; 16],
                boot: machine::boot_id(),
                version: schema::VERSION,
                connection: Mutex::new(connection),
                failed: OnceLock::new(),
            }),
        })
    }

    fn inner_mut(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.inner).expect("the handle is not shared before it is returned")
    }

    /// The log's random name, in hexadecimal.
    pub fn origin(&self) -> String {
        hex::encode(self.inner.origin)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Starts a run: draws its id and takes its lease. Nothing is recorded until the first entry.
    pub async fn begin(&self, header: RunHeader) -> Result<Run, Error> {
        let inner = &self.inner;
        inner.check()?;
        let mut connection = inner.connection.lock().await;
        let tried = "begin a run";
        let fail = |error: sqlx::Error| inner.fail(failure(&inner.path, tried, &error));
        let mut transaction = connection.begin_with("begin immediate").await.map_err(fail)?;
        let mut attempts = 0;
        let id = loop {
            let id = run_id(jiff::Timestamp::now(), machine::random()?);
            let made = sqlx::query("insert into runs (id) values (?) on conflict (id) do nothing")
                .bind(&id)
                .execute(&mut *transaction)
                .await
                .map_err(fail)?;
            if made.rows_affected() == 1 {
                break id;
            }
            attempts += 1;
            if attempts > 100 {
                return Err(message(
                    &inner.path,
                    tried,
                    "a hundred ids in a row were taken already",
                    "Too many runs start in this minute; wait for the next.",
                ));
            }
        };
        sqlx::query("insert into leases (run, epoch, holder, since) values (?, 1, ?, ?)")
            .bind(&id)
            .bind(&header.holder)
            .bind(machine::wall())
            .execute(&mut *transaction)
            .await
            .map_err(fail)?;
        transaction.commit().await.map_err(fail)?;
        inner.still_there()?;
        Ok(Run::new(Arc::clone(inner), id, header.digests, 1))
    }

    /// Closes the file; what the write-ahead log holds is moved into it where no other process uses it.
    pub async fn close(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.inner) {
            Ok(Inner { path, connection, .. }) => connection
                .into_inner()
                .close()
                .await
                .map_err(|error| failure(&path, "close it", &error)),
            // A run still holds it; the last owner closes it.
            Err(_) => Ok(()),
        }
    }
}

/// What the file says about itself.
struct State {
    application: i64,
    version: i64,
    tables: i64,
    mode: String,
}

impl Inner {
    async fn state(&mut self) -> Result<State, Error> {
        let row = sqlx::query(
            "select (select application_id from pragma_application_id),
                    (select user_version from pragma_user_version),
                    (select count(*) from sqlite_schema),
                    (select journal_mode from pragma_journal_mode)",
        )
        .fetch_one(self.connection.get_mut())
        .await
        .map_err(|error| failure(&self.path, "open it", &error))?;
        let read = || -> Result<State, sqlx::Error> {
            Ok(State {
                application: row.try_get(0)?,
                version: row.try_get(1)?,
                tables: row.try_get(2)?,
                mode: row.try_get(3)?,
            })
        };
        read().map_err(|error| failure(&self.path, "open it", &error))
    }

    /// Refuses what is not a journal, and a journal of a later version.
    fn accept(&self, state: &State) -> Result<(), Error> {
        let is_new = state.application == 0 && state.version == 0 && state.tables == 0;
        if !is_new && state.application != schema::APPLICATION_ID {
            return Err(message(
                &self.path,
                "open it",
                "the file is an SQLite database of some other program",
                "Choose another path for the journal; this file is left as it is.",
            ));
        }
        if state.version > schema::VERSION {
            return Err(message(
                &self.path,
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
            migrate(self.connection.get_mut(), schema::STEPS)
                .await
                .map_err(|error| failure(&self.path, "make the tables", &error))?;
        }
        self.read_origin().await
    }

    async fn use_write_ahead_log(&mut self) -> Result<(), Error> {
        // The switch needs the file for itself and SQLite's own waiting does not apply to it.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match sqlx::query("pragma journal_mode = wal")
                .fetch_one(self.connection.get_mut())
                .await
            {
                Ok(row) if row.try_get::<String, _>(0).is_ok_and(|mode| mode == "wal") => return Ok(()),
                Ok(_) => {
                    return Err(message(
                        &self.path,
                        "use a write-ahead log",
                        "the file system does not offer what that needs",
                        "Choose a journal on a local file system.",
                    ));
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(failure(&self.path, "use a write-ahead log", &error));
                }
                Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "5" || code == "261") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(failure(&self.path, "use a write-ahead log", &error)),
            }
        }
    }

    async fn read_origin(&mut self) -> Result<(), Error> {
        let row = sqlx::query("select origin from head")
            .fetch_one(self.connection.get_mut())
            .await
            .map_err(|error| failure(&self.path, "read the head", &error))?;
        let origin: Vec<u8> = row
            .try_get(0)
            .map_err(|error| failure(&self.path, "read the head", &error))?;
        self.origin = origin.try_into().map_err(|_| {
            message(
                &self.path,
                "read the head",
                "the log's origin is damaged",
                "Keep a copy of the file as it is, and begin a new journal.",
            )
        })?;
        Ok(())
    }

    /// The earlier failure of a write through this handle, if there was one.
    fn check(&self) -> Result<(), Error> {
        match self.failed.get() {
            None => Ok(()),
            Some(error) => Err(Error {
                message: format!("The journal failed before and is not written again. {}", error.message),
            }),
        }
    }

    /// Makes a failure final.
    fn fail(&self, error: Error) -> Error {
        self.failed.get_or_init(|| error.clone());
        error
    }

    /// Whether the path still leads to the file that was opened. SQLite would write on into a file that nobody can find.
    fn still_there(&self) -> Result<(), Error> {
        match identity(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            _ => Err(self.fail(message(
                &self.path,
                "record an entry",
                "the file was deleted or replaced while it was in use",
                "What was recorded since then is lost; start again with a journal that stays in its place.",
            ))),
        }
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    Ok((metadata.dev(), metadata.ino()))
}

fn prepare_file(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.exists() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        // The name itself must outlive a loss of power.
        Ok(_) => std::fs::File::open(folder)?.sync_all(),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Brings the tables to the last of `steps`, in one transaction.
async fn migrate(connection: &mut SqliteConnection, steps: &'static [&'static str]) -> Result<(), sqlx::Error> {
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
            insert_head(&mut transaction).await?;
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

async fn insert_head(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let origin: [u8; 16] = machine::random().map_err(|error| sqlx::Error::Configuration(error.into()))?;
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
