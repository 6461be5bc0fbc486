//! Anchors: places outside the store that keep a root and a size, so that whoever can write the store cannot take back what
//! it said.

mod file;
mod git;
mod https;
mod witness;

use super::checkpoint::{Checkpoint, Statement};
use super::ledger::{Ledger, Standing};
use super::note::{Note, Signature, Verifier};
use super::policy::{NOTES, Place};
use crate::secrets::SecretSource;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use file::File;
pub use git::Git;
pub use https::{Https, shown};
pub use witness::Witness;

/// How long an anchor may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The most text that is read from an anchor, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Keeps checkpoints.
pub trait Sink: Send + Sync {
    /// The place, for people.
    fn place(&self) -> String;

    /// Keeps this checkpoint. What the place already knows is compared first.
    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>>;
}

/// A checkpoint that is to be kept.
pub struct Offer<'a> {
    pub ledger: &'a dyn Ledger,
    pub standing: &'a Standing,
    /// The signed note; `None` when no key is configured.
    pub note: Option<&'a Note>,
}

impl Offer<'_> {
    /// The tree head.
    pub fn checkpoint(&self) -> Checkpoint {
        self.standing.checkpoint()
    }
}

/// It was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// A witness's signature line, to be kept with the checkpoint.
    pub cosignature: Option<Signature>,
}

/// It was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The place cannot be reached or used.
    Unusable(String),
    /// The place knows another history of this log: it was cut, put back, or written anew.
    Contradicted(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Unusable(why) => f.write_str(why),
            Refusal::Contradicted(why) => write!(f, "another history of this log is known there: {why}"),
        }
    }
}

/// An anchor as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Item {
    /// A line on standard output, for the ticket of the incident.
    Stdout,
    /// A line at the end of a file that lies elsewhere.
    File(PathBuf),
    /// A note in a git repository.
    Git(GitItem),
    /// A line that is sent to a server.
    Https(HttpsItem),
    /// A witness.
    Witness(WitnessItem),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitItem {
    pub repository: PathBuf,
    /// `refs/notes/starr` when absent.
    #[serde(rename = "ref", default)]
    pub reference: Option<String>,
    /// Where the notes are pushed to; they stay in the repository when absent.
    #[serde(default)]
    pub remote: Option<String>,
}

/// `https: URL`, or `https: { url: URL, bearer: SOURCE }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsItem {
    pub url: String,
    /// The credential that the server demands.
    pub bearer: Option<SecretSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpsFields {
    url: String,
    #[serde(default)]
    bearer: Option<SecretSource>,
}

impl<'de> Deserialize<'de> for HttpsItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HttpsVisitor)
    }
}

struct HttpsVisitor;

impl<'de> Visitor<'de> for HttpsVisitor {
    type Value = HttpsItem;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an address, or `{ url: …, bearer: { env: NAME } }`")
    }

    fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<HttpsItem, E> {
        Ok(HttpsItem {
            url: url.to_owned(),
            bearer: None,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HttpsItem, A::Error> {
        let HttpsFields { url, bearer } = HttpsFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(HttpsItem { url, bearer })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessItem {
    /// Its public key, `NAME+ID+KEY`.
    pub key: String,
    /// The prefix of its submissions.
    pub url: String,
}

impl Item {
    /// The sink; `print` writes the line for the ticket.
    pub fn sink(&self, print: Print) -> Result<Box<dyn Sink>, String> {
        Ok(match self {
            Item::Stdout => Box::new(Printed(print)),
            Item::File(path) => Box::new(File(path.clone())),
            Item::Git(item) => Box::new(Git {
                repository: item.repository.clone(),
                reference: item.reference.clone().unwrap_or_else(|| NOTES.to_owned()),
                remote: item.remote.clone(),
            }),
            Item::Https(item) => Box::new(Https::with(&item.url, item.bearer.clone())?),
            Item::Witness(item) => Box::new(Witness::new(Verifier::parse(&item.key)?, &item.url)?),
        })
    }
}

/// Prints a line for people.
pub type Print = Arc<dyn Fn(&str) + Send + Sync>;

/// The line for the ticket. It is an anchor as soon as somebody has pasted it there.
struct Printed(Print);

impl Sink for Printed {
    fn place(&self) -> String {
        "standard output".to_owned()
    }

    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        Box::pin(async {
            (self.0)(&offer.checkpoint().line());
            Ok(Kept::default())
        })
    }
}

/// What a place of the verifier's policy says.
pub async fn read(place: &Place) -> Result<Vec<Statement>, String> {
    match place {
        Place::Line(statement) => Ok(vec![statement.clone()]),
        Place::File(path) => file::read(path).await,
        Place::Git { repository, reference } => git::read(repository, reference).await,
        Place::Https { url, bearer } => https::read(url, bearer.as_ref()).await,
    }
}

/// The statements of a text, one a line; empty lines and comments are left out.
fn statements(text: &str) -> Result<Vec<Statement>, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(Statement::parse)
        .collect()
}

/// Compares what a place knows with what is to be kept there. `true`: it knows this already.
fn compare(known: &[Statement], checkpoint: &Checkpoint) -> Result<bool, Refusal> {
    let mut there = false;
    for statement in known.iter().filter(|statement| statement.origin == checkpoint.origin) {
        if statement.size > checkpoint.size {
            return Err(Refusal::Contradicted(format!(
                "{} entries were anchored there, and {} are here",
                statement.size, checkpoint.size
            )));
        }
        if statement.size == checkpoint.size {
            if !statement.agrees(&checkpoint.root) {
                return Err(Refusal::Contradicted(format!(
                    "the root of {} entries is another there",
                    checkpoint.size
                )));
            }
            there = true;
        }
    }
    Ok(there)
}
