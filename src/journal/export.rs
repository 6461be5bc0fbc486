//! A log as one file that needs nothing else: lines of JSON, bytes in base64, the last line a hash over all before it.

use super::Error;
use super::entry::Entry;
use super::event::Part;
use super::ledger::Visitor;
use super::verify::{Check, CheckpointRow, Head, Row, Trust, Verified};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{BufRead, Write};

/// The version of the format; stands in the first line.
const FORMAT: u64 = 1;

/// The longest line that is read, in bytes: an entry with the largest payload.
const LINE_BYTES: u64 = 96 * 1024 * 1024;

/// A line of an export.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    StarrJournalExport {
        format: u64,
        /// Hexadecimal, as everywhere in text.
        origin: String,
        size: u64,
        root: String,
    },
    Checkpoint {
        /// SHA-256 over the note, so that one that was damaged is told from one that somebody else signed.
        digest: Base64,
        /// The signed note.
        note: String,
    },
    Entry {
        /// The leaf hash, so that an entry that was damaged can be named.
        leaf: Base64,
        bytes: Base64,
        /// `None` for both: the payload was erased.
        salt: Option<Base64>,
        payload: Option<Base64>,
    },
    End {
        checkpoints: u64,
        entries: u64,
        /// Over every byte before this line.
        sha256: String,
    },
}

struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// What an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub checkpoints: u64,
    pub entries: u64,
}

/// Writes an export of what it is handed.
pub struct Writer<'a> {
    to: &'a mut (dyn Write + Send),
    hash: Sha256,
    written: Written,
}

impl<'a> Writer<'a> {
    pub fn new(to: &'a mut (dyn Write + Send)) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            written: Written::default(),
        }
    }

    fn line(&mut self, line: &Line) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|error| failed(&error.to_string()))?;
        text.push(b'\n');
        self.hash.update(&text);
        self.to.write_all(&text).map_err(|error| failed(&error.to_string()))
    }

    /// Writes the last line.
    pub fn finish(mut self) -> Result<Written, Error> {
        let end = Line::End {
            checkpoints: self.written.checkpoints,
            entries: self.written.entries,
            sha256: hex::encode(self.hash.clone().finalize()),
        };
        self.line(&end)?;
        self.to.flush().map_err(|error| failed(&error.to_string()))?;
        Ok(self.written)
    }
}

fn failed(why: &str) -> Error {
    Error {
        message: format!("The export cannot be written: {why}"),
    }
}

impl Visitor for Writer<'_> {
    fn head(&mut self, head: Head) -> Result<(), Error> {
        self.line(&Line::StarrJournalExport {
            format: FORMAT,
            origin: hex::encode(head.origin),
            size: u64::try_from(head.size).map_err(|_| failed("the head of the log is damaged"))?,
            root: hex::encode(head.root),
        })
    }

    fn checkpoint(&mut self, row: CheckpointRow) -> Result<(), Error> {
        self.written.checkpoints += 1;
        let note =
            String::from_utf8(row.note).map_err(|_| failed("a checkpoint is damaged; run `starr journal verify`"))?;
        self.line(&Line::Checkpoint {
            digest: Base64(row.digest),
            note,
        })
    }

    fn entry(&mut self, row: Row) -> Result<(), Error> {
        self.written.entries += 1;
        self.line(&Line::Entry {
            leaf: Base64(row.leaf),
            bytes: Base64(row.bytes),
            salt: row.salt.map(Base64),
            payload: row.body.map(Base64),
        })
    }
}

/// Verifies an export. An error: it is not an export at all.
pub fn verify(from: &mut dyn BufRead, trust: Trust) -> Result<Verified, String> {
    let mut check = Check::new(trust);
    check.without_lists();
    let mut reader = Reader {
        from,
        hash: Sha256::new(),
        number: 0,
    };
    match reader.next() {
        Ok(Some((Line::StarrJournalExport { format, .. }, _))) if format != FORMAT => {
            return Err(format!("its format is {format}, this version reads {FORMAT}"));
        }
        Ok(Some((Line::StarrJournalExport { origin, size, root, .. }, _))) => match head(&origin, size, &root) {
            Some(head) => check.head(head),
            None => return Err("its first line is damaged".to_owned()),
        },
        Ok(_) | Err(_) => return Err("its first line is not that of an export".to_owned()),
    }
    let mut written = Written::default();
    let mut ended = false;
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(_)) if ended => {
                check.damage(None, format!("line {} stands behind the last", reader.number));
                break;
            }
            Ok(Some((line, before))) => {
                if let Err(why) = take(line, before, &mut written, &mut ended, &mut check) {
                    check.damage(None, format!("line {} {why}", reader.number));
                }
            }
            Err(why) => {
                check.damage(None, format!("line {} cannot be read: {why}", reader.number));
                ended = true;
                break;
            }
        }
    }
    if !ended {
        check.damage(None, "the export was cut off: its last line is missing".to_owned());
    }
    Ok(check.finish())
}

fn head(origin: &str, size: u64, root: &str) -> Option<Head> {
    let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (lower(origin) && lower(root)).then_some(())?;
    Some(Head {
        origin: hex::decode(origin).ok().filter(|origin| origin.len() == 16)?,
        size: i64::try_from(size).ok()?,
        root: hex::decode(root).ok().filter(|root| root.len() == 32)?,
        // An export has no caches: what is not there cannot differ.
        frontier: Vec::new(),
        leaf: Vec::new(),
    })
}

fn take(line: Line, before: String, written: &mut Written, ended: &mut bool, check: &mut Check) -> Result<(), String> {
    match line {
        Line::StarrJournalExport { .. } => return Err("is a second first line".to_owned()),
        Line::Checkpoint { digest, note } => {
            if written.entries > 0 {
                return Err("is a checkpoint behind entries".to_owned());
            }
            written.checkpoints += 1;
            check.checkpoint(checkpoint_row(note, digest.0));
        }
        Line::Entry {
            leaf,
            bytes,
            salt,
            payload,
        } => {
            let sequence = i64::try_from(written.entries).unwrap_or(i64::MAX);
            written.entries += 1;
            let row = Row {
                leaf: leaf.0,
                salt: salt.map(|salt| salt.0),
                body: payload.map(|payload| payload.0),
                ..entry_row(sequence, bytes.0)
            };
            check.entry(row.view());
        }
        Line::End {
            checkpoints,
            entries,
            sha256,
        } => {
            *ended = true;
            if (checkpoints, entries) != (written.checkpoints, written.entries) {
                return Err(format!(
                    "counts {checkpoints} checkpoints and {entries} entries, {} and {} are there",
                    written.checkpoints, written.entries
                ));
            }
            if sha256 != before {
                return Err("has a hash that does not agree with the lines before it".to_owned());
            }
        }
    }
    Ok(())
}

fn checkpoint_row(note: String, digest: Vec<u8>) -> CheckpointRow {
    let note = note.into_bytes();
    CheckpointRow {
        // The size is what the note says; nothing else says it here.
        size: super::checkpoint::Checkpoint::of_note(&note)
            .ok()
            .and_then(|(checkpoint, _)| i64::try_from(checkpoint.size).ok())
            .unwrap_or(0),
        frontier: Vec::new(),
        digest,
        note,
    }
}

/// The row that a store would have for these bytes.
fn entry_row(sequence: i64, bytes: Vec<u8>) -> Row {
    let entry = Entry::decode(&bytes).ok();
    let number = |number: u64| i64::try_from(number).unwrap_or(-1);
    Row {
        sequence,
        run: entry.as_ref().map(|entry| entry.run.clone()).unwrap_or_default(),
        run_sequence: entry.as_ref().map_or(0, |entry| number(entry.run_sequence)),
        part: entry
            .as_ref()
            .map_or(Part::Situation, |entry| entry.part)
            .word()
            .to_owned(),
        kind: entry.as_ref().map(|entry| entry.kind.clone()).unwrap_or_default(),
        at: entry.as_ref().map_or(0, |entry| entry.wall_nanoseconds),
        bytes,
        leaf: Vec::new(),
        salt: None,
        body: None,
    }
}

struct Reader<'a> {
    from: &'a mut dyn BufRead,
    hash: Sha256,
    number: u64,
}

impl Reader<'_> {
    /// The next line, and the hash over everything before it.
    fn next(&mut self) -> Result<Option<(Line, String)>, String> {
        use std::io::Read as _;
        let mut text = Vec::new();
        self.number += 1;
        let mut limited = (&mut *self.from).take(LINE_BYTES);
        limited
            .read_until(b'\n', &mut text)
            .map_err(|error| error.to_string())?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.last() != Some(&b'\n') {
            return Err("it does not end".to_owned());
        }
        let line = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let before = hex::encode(self.hash.clone().finalize());
        self.hash.update(&text);
        Ok(Some((line, before)))
    }
}
