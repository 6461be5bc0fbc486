//! What somebody can do who is able to write the database file, with or without the signing key.

use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection};
use sqlx::{ColumnIndex, ConnectOptions as _, Database, Decode, Encode, Executor, IntoArguments, Row as _, Type};
use starr::journal::checkpoint::Checkpoint;
use starr::journal::entry::Entry;
use starr::journal::ledger;
use starr::journal::note::{Note, Signer};
use starr::journal::tree::{self, Frontier};
use starr::journal::verify::{CheckpointRow, Head, RowView, RunRow};
use std::collections::BTreeMap;
use std::path::Path;

/// An entry with everything that belongs to it.
#[derive(Clone)]
pub struct Item {
    pub entry: Entry,
    /// As stored: somebody who does not hash anew changes these.
    pub bytes: Vec<u8>,
    pub leaf: Vec<u8>,
    pub salt: Vec<u8>,
    pub body: Vec<u8>,
}

/// A whole store in memory.
#[derive(Clone)]
pub struct Forged {
    pub items: Vec<Item>,
    pub notes: BTreeMap<u64, Note>,
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .connect()
        .await
        .unwrap()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}

impl Forged {
    pub async fn read(path: &Path) -> Self {
        Self::read_from::<Sqlite>(&mut connect(path).await).await
    }

    /// Everything that the tables hold.
    pub async fn read_from<D: Database>(connection: &mut D::Connection) -> Self
    where
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        D::Arguments: IntoArguments<D>,
        usize: ColumnIndex<D::Row>,
        for<'r> i64: Decode<'r, D> + Type<D>,
        for<'r> Vec<u8>: Decode<'r, D> + Type<D>,
    {
        let items = sqlx::query::<D>(
            "select e.bytes, e.leaf, p.salt, p.body from entries e join payloads p on p.sequence = e.sequence order by e.sequence",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let bytes: Vec<u8> = row.get(0);
            Item {
                entry: Entry::decode(&bytes).unwrap(),
                bytes,
                leaf: row.get(1),
                salt: row.get(2),
                body: row.get(3),
            }
        })
        .collect();
        let notes = sqlx::query::<D>("select size, note from checkpoints")
            .fetch_all(connection)
            .await
            .unwrap()
            .iter()
            .map(|row| {
                let note: Vec<u8> = row.get(1);
                (
                    u64::try_from(row.get::<i64, _>(0)).unwrap(),
                    Note::parse(&note).unwrap(),
                )
            })
            .collect();
        Self { items, notes }
    }

    /// Numbers, payload hashes and chain are computed anew, as if everything had happened so.
    pub fn rehash(&mut self) {
        let mut previous = [0; 32];
        let mut runs: BTreeMap<String, u64> = BTreeMap::new();
        for (number, item) in (0..).zip(&mut self.items) {
            let in_run = runs.entry(item.entry.run.clone()).or_default();
            item.entry.sequence = number;
            item.entry.run_sequence = *in_run;
            item.entry.previous = previous;
            item.entry.payload = tree::hash(&[&item.salt, &item.body]);
            *in_run += 1;
            item.bytes = item.entry.encode();
            previous = tree::leaf(&item.bytes);
            item.leaf = previous.to_vec();
        }
    }

    fn frontier(&self, size: u64) -> Frontier {
        let mut frontier = Frontier::default();
        for item in &self.items[..usize::try_from(size).unwrap()] {
            frontier.push(tree::leaf(&item.bytes));
        }
        frontier
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint::new(&self.items[0].entry.origin, size, self.frontier(size).root())
    }

    /// Checkpoints that the new entries contradict are taken away.
    pub fn drop_contradicted(&mut self) {
        let entries = self.items.len() as u64;
        let notes = std::mem::take(&mut self.notes);
        self.notes = notes
            .into_iter()
            .filter(|(size, note)| *size <= entries && note.text == self.checkpoint(*size).text())
            .collect();
    }

    /// Signs at these sizes what is not signed there.
    pub fn sign(&mut self, signer: &Signer, sizes: &[u64]) {
        for size in sizes {
            if *size <= self.items.len() as u64 && !self.notes.contains_key(size) {
                self.notes.insert(*size, self.checkpoint(*size).signed(&[signer]));
            }
        }
    }

    /// As if everything had happened so: whoever can write the store computes all of it anew; whoever has the key signs it.
    pub fn make_consistent(&mut self, key: Option<&Signer>) {
        self.rehash();
        self.drop_contradicted();
        if let Some(key) = key {
            let end = self.items.len() as u64;
            self.sign(key, &[4, 8, 12, end]);
        }
    }

    /// The rows of entries and payloads.
    pub fn rows(&self) -> Vec<RowView<'_>> {
        let mut taken = std::collections::BTreeSet::new();
        let row = |(number, item): (i64, &'_ Item)| {
            let mut run_sequence = signed(item.entry.run_sequence);
            // Without hashing anew a number in a run may stand twice, which the table does not take.
            if !taken.insert((item.entry.run.clone(), run_sequence)) {
                run_sequence = 1_000_000 + number;
            }
            (number, run_sequence)
        };
        let numbers: Vec<(i64, i64)> = (0_i64..).zip(&self.items).map(row).collect();
        numbers
            .into_iter()
            .zip(&self.items)
            .map(|((sequence, run_sequence), item)| RowView {
                sequence,
                run: &item.entry.run,
                run_sequence,
                part: item.entry.part.word(),
                kind: &item.entry.kind,
                at: item.entry.wall_nanoseconds,
                bytes: &item.bytes,
                leaf: &item.leaf,
                salt: Some(&item.salt),
                body: Some(&item.body),
            })
            .collect()
    }

    /// The rows of checkpoints that are not larger than the log.
    pub fn checkpoints(&self) -> Vec<CheckpointRow> {
        let entries = self.items.len() as u64;
        let there = self.notes.iter().filter(|(size, _)| **size <= entries);
        there
            .map(|(size, note)| ledger::row(&self.frontier(*size), note, None))
            .collect()
    }

    /// The head as it follows from the entries.
    pub fn head(&self) -> Head {
        let frontier = self.frontier(self.items.len() as u64);
        Head {
            origin: self.items[0].entry.origin.to_vec(),
            size: signed(frontier.size()),
            frontier: frontier.to_bytes(),
            root: frontier.root().to_vec(),
            leaf: self.items.last().unwrap().leaf.clone(),
        }
    }

    /// The row of a run as it follows from the entries.
    pub fn run(&self, id: &str) -> RunRow {
        let newest = |kind: &str| {
            let at = self
                .items
                .iter()
                .rposition(|item| item.entry.run == id && item.entry.kind == kind && item.entry.scope.is_empty());
            at.map(|at| signed(at as u64))
        };
        RunRow {
            id: id.to_owned(),
            entries: signed(self.items.iter().filter(|item| item.entry.run == id).count() as u64),
            started: newest("run_started"),
            severity: newest("severity"),
            ended: newest("ended"),
        }
    }

    /// Writes entries and checkpoints; with `head`, also everything that is computed from the entries.
    pub async fn write(&self, path: &Path, head: bool) {
        let mut connection = connect(path).await;
        connection
            .execute(
                "pragma synchronous = off; begin; delete from payloads; delete from entries; delete from checkpoints",
            )
            .await
            .unwrap();
        self.write_to::<Sqlite>(&mut connection, head).await;
    }

    /// The same on a connection that has emptied the tables in a transaction; ends it.
    pub async fn write_to<D: Database>(&self, connection: &mut D::Connection, head: bool)
    where
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        D::Arguments: IntoArguments<D>,
        usize: ColumnIndex<D::Row>,
        for<'v> i64: Encode<'v, D> + Type<D>,
        for<'v> Option<i64>: Encode<'v, D> + Type<D>,
        for<'v> &'v str: Encode<'v, D> + Type<D>,
        for<'v> String: Encode<'v, D> + Decode<'v, D> + Type<D>,
        for<'v> &'v [u8]: Encode<'v, D> + Type<D>,
        for<'v> Option<&'v [u8]>: Encode<'v, D> + Type<D>,
        for<'v> Vec<u8>: Encode<'v, D> + Type<D>,
    {
        for row in self.rows() {
            sqlx::query::<D>("insert into entries (sequence, run, run_sequence, part, kind, at, bytes, leaf) values ($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(row.sequence)
                .bind(row.run)
                .bind(row.run_sequence)
                .bind(row.part)
                .bind(row.kind)
                .bind(row.at)
                .bind(row.bytes)
                .bind(row.leaf)
                .execute(&mut *connection)
                .await
                .unwrap();
            sqlx::query::<D>("insert into payloads (sequence, salt, body) values ($1, $2, $3)")
                .bind(row.sequence)
                .bind(row.salt)
                .bind(row.body)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
        for row in self.checkpoints() {
            sqlx::query::<D>("insert into checkpoints (size, frontier, note, digest) values ($1, $2, $3, $4)")
                .bind(row.size)
                .bind(row.frontier)
                .bind(row.note)
                .bind(row.digest)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
        if head {
            let head = self.head();
            sqlx::query::<D>("update head set size = $1, frontier = $2, root = $3, leaf = $4")
                .bind(head.size)
                .bind(head.frontier)
                .bind(head.root)
                .bind(head.leaf)
                .execute(&mut *connection)
                .await
                .unwrap();
            let ids = sqlx::query::<D>("select id from runs")
                .fetch_all(&mut *connection)
                .await
                .unwrap();
            for run in ids.iter().map(|row| self.run(&row.get::<String, _>(0))) {
                sqlx::query::<D>("update runs set entries = $1, started = $2, severity = $3, ended = $4 where id = $5")
                    .bind(run.entries)
                    .bind(run.started)
                    .bind(run.severity)
                    .bind(run.ended)
                    .bind(run.id)
                    .execute(&mut *connection)
                    .await
                    .unwrap();
            }
        }
        connection.execute("commit").await.unwrap();
    }
}
