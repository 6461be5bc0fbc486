//! A connection that is closed by whoever lets go of it, before they go on. The driver alone would leave that to its thread; a
//! process that ends in the meantime leaves what it recorded in the write-ahead log, where it is safe but not in the one file.

use super::error::failure;
use super::files::Files;
use crate::journal::Error;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A connection of this process.
pub struct Held {
    files: Arc<Files>,
    /// `None` once it is closed.
    connection: Option<SqliteConnection>,
}

impl Held {
    pub fn new(files: Arc<Files>, connection: SqliteConnection) -> Self {
        Self {
            files,
            connection: Some(connection),
        }
    }

    /// Closes it and says what went wrong. The last one of all processes moves the write-ahead log into the file.
    pub async fn close(mut self) -> Result<(), Error> {
        let Some(connection) = self.take() else { return Ok(()) };
        connection
            .close()
            .await
            .map_err(|error| failure(&self.files.path, "close it", &error))
    }

    /// The connection, to be closed. What SQLite writes into a file that nobody can find is lost, and closing would even write over
    /// the new one: then it is left as it is until the process ends.
    fn take(&mut self) -> Option<SqliteConnection> {
        let connection = self.connection.take()?;
        if self.files.are_lost() {
            std::mem::forget(connection);
            return None;
        }
        Some(connection)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = self.take() {
            // The thread of the connection does the work, so that this waits without a runtime. Nothing recorded rests on it.
            let _ = futures::executor::block_on(connection.close());
        }
    }
}

impl Deref for Held {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("only closing takes the connection")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("only closing takes the connection")
    }
}
