//! Checkpoints, and the log as a tree.

use super::error::{failure, message};
use super::read::{full_row, head};
use super::{Inner, Store};
use crate::journal::Error;
use crate::journal::ledger::{self, Ledger, Standing, Visitor};
use crate::journal::note::Note;
use crate::journal::tree::{Digest, Frontier};
use crate::journal::verify::{CheckpointRow, Trust, Verified};
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

/// The checkpoints of a store, the smallest first. A store of the first version has no table for them.
pub async fn rows(connection: &mut SqliteConnection, version: i64) -> Result<Vec<CheckpointRow>, sqlx::Error> {
    if version < 2 {
        return Ok(Vec::new());
    }
    sqlx::query("select size, frontier, note, digest from checkpoints order by size")
        .fetch_all(connection)
        .await?
        .iter()
        .map(row)
        .collect()
}

fn row(row: &SqliteRow) -> Result<CheckpointRow, sqlx::Error> {
    Ok(CheckpointRow {
        size: row.try_get(0)?,
        frontier: row.try_get(1)?,
        note: row.try_get(2)?,
        digest: row.try_get(3)?,
    })
}

impl Inner {
    async fn standing(&self) -> Result<Standing, Error> {
        let mut connection = self.connection.lock().await;
        let head = head(&mut connection)
            .await
            .map_err(|error| failure(&self.path, "read the head", &error))?;
        let frontier = u64::try_from(head.size)
            .ok()
            .and_then(|size| Frontier::from_bytes(size, &head.frontier))
            .filter(|frontier| frontier.root()[..] == head.root[..]);
        match frontier {
            Some(frontier) => Ok(Standing {
                origin: head.origin,
                frontier,
            }),
            None => Err(message(
                &self.path,
                "read the head",
                "the head of the log is damaged",
                "Keep a copy of the file as it is, and run `starr journal verify`.",
            )),
        }
    }

    async fn keep_checkpoint(&self, frontier: &Frontier, note: &Note) -> Result<(), Error> {
        self.check()?;
        let mut connection = self.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&self.path, "keep a checkpoint", &error);
        let mut transaction = connection.begin_with("begin immediate").await.map_err(fail)?;
        let size = super::append::signed(frontier.size());
        let there: Option<Vec<u8>> = sqlx::query("select note from checkpoints where size = ?")
            .bind(size)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(fail)?
            .map(|row| row.try_get(0))
            .transpose()
            .map_err(fail)?;
        let row = ledger::row(frontier, note, there.as_deref());
        sqlx::query(
            "insert into checkpoints (size, frontier, note, digest) values (?1, ?2, ?3, ?4)
             on conflict (size) do update set note = ?3, digest = ?4",
        )
        .bind(row.size)
        .bind(row.frontier)
        .bind(row.note)
        .bind(row.digest)
        .execute(&mut *transaction)
        .await
        .map_err(fail)?;
        transaction.commit().await.map_err(fail)
    }

    async fn walk_snapshot(&self, visitor: &mut dyn Visitor) -> Result<(), Error> {
        let mut connection = self.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&self.path, "read it", &error);
        let mut snapshot = connection.begin().await.map_err(fail)?;
        visitor.head(head(&mut snapshot).await.map_err(fail)?)?;
        for row in rows(&mut snapshot, self.version).await.map_err(fail)? {
            visitor.checkpoint(row)?;
        }
        let mut entries = sqlx::query(
            "select e.sequence, e.run, e.run_sequence, e.part, e.kind, e.at, e.bytes, e.leaf, p.salt, p.body
             from entries e left join payloads p on p.sequence = e.sequence order by e.sequence",
        )
        .fetch(&mut *snapshot);
        while let Some(row) = entries.try_next().await.map_err(fail)? {
            visitor.entry(full_row(&row).map_err(fail)?)?;
        }
        Ok(())
    }

    async fn leaves(&self, from: u64, to: u64) -> Result<Vec<Digest>, Error> {
        let mut connection = self.connection.lock().await;
        let fail = |error: sqlx::Error| failure(&self.path, "read the tree", &error);
        let rows = sqlx::query("select leaf from entries where sequence >= ? and sequence < ? order by sequence")
            .bind(super::append::signed(from))
            .bind(super::append::signed(to))
            .fetch_all(&mut *connection)
            .await
            .map_err(fail)?;
        let leaves = rows
            .iter()
            .map(|row| {
                row.try_get::<Vec<u8>, _>(0)?
                    .try_into()
                    .map_err(|_| sqlx::Error::RowNotFound)
            })
            .collect::<Result<Vec<Digest>, _>>()
            .map_err(fail)?;
        Ok(leaves)
    }
}

impl Ledger for Store {
    fn head(&self) -> BoxFuture<'_, Result<Standing, Error>> {
        Box::pin(self.inner.standing())
    }

    fn leaves(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<Digest>, Error>> {
        Box::pin(self.inner.leaves(from, to))
    }

    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<CheckpointRow>, Error>> {
        Box::pin(async {
            let mut connection = self.inner.connection.lock().await;
            rows(&mut connection, self.inner.version)
                .await
                .map_err(|error| failure(&self.inner.path, "read the checkpoints", &error))
        })
    }

    fn keep<'a>(&'a self, frontier: &'a Frontier, note: &'a Note) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.inner.keep_checkpoint(frontier, note))
    }

    fn walk<'a>(&'a self, visitor: &'a mut dyn Visitor) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.inner.walk_snapshot(visitor))
    }

    fn verify(&self, trust: Trust) -> BoxFuture<'_, Result<Verified, Error>> {
        Box::pin(self.verify_with(trust))
    }
}
