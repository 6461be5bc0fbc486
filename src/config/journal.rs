//! `journal:` of an environment: where it lies, who signs it, where it is anchored.

use super::journal_place::Place;
use crate::journal::anchor::Item;
use crate::journal::key::Source;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::fmt;
use std::path::{Path, PathBuf};

/// Entries after which a checkpoint is made when nothing else made one.
const EVERY: u64 = 100;

/// `journal: PATH`, `journal: postgres://…`, or `journal: { path: … or postgres: { … }, signing_key: …, anchors: […] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The file or database; a file in the user's state folder when absent.
    pub place: Option<Place>,
    /// The key that signs checkpoints; nothing is signed when absent.
    pub signing_key: Option<Source>,
    /// A checkpoint after so many entries at the latest.
    pub checkpoint_every: u64,
    /// Where checkpoints are kept besides.
    pub anchors: Vec<Item>,
    /// How many anchors must have the newest checkpoint before a change is sent.
    pub anchors_before_change: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(default)]
    path: Option<PathBuf>,
    #[cfg(feature = "postgres")]
    #[serde(default)]
    postgres: Option<super::journal_place::Database>,
    #[serde(default)]
    signing_key: Option<Source>,
    #[serde(default)]
    checkpoint_every: Option<u64>,
    #[serde(default)]
    anchors: Vec<Item>,
    #[serde(default)]
    anchors_before_change: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            place: None,
            signing_key: None,
            checkpoint_every: EVERY,
            anchors: Vec::new(),
            anchors_before_change: 0,
        }
    }
}

impl<'de> Deserialize<'de> for Journal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JournalVisitor)
    }
}

struct JournalVisitor;

impl<'de> Visitor<'de> for JournalVisitor {
    type Value = Journal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file's path, `postgres://user@host/database`, or `{ path: …, signing_key: …, anchors: […] }`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Journal, E> {
        Ok(Journal {
            place: Some(Place::from_text(text).map_err(E::custom)?),
            ..Journal::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Journal, A::Error> {
        let full = Full::deserialize(MapAccessDeserializer::new(map))?;
        let path = full.path.map(|path| match path.to_str() {
            Some(text) => Place::from_text(text),
            None => Ok(Place::File(path)),
        });
        #[cfg_attr(not(feature = "postgres"), allow(unused_mut, reason = "only a database changes it"))]
        let mut place = path.transpose().map_err(A::Error::custom)?;
        #[cfg(feature = "postgres")]
        if let Some(database) = full.postgres {
            if place.is_some() {
                return Err(A::Error::custom(
                    "`path` and `postgres` are both given; one of them is meant",
                ));
            }
            database.validate().map_err(A::Error::custom)?;
            place = Some(Place::Postgres(Box::new(database)));
        }
        Ok(Journal {
            place,
            signing_key: full.signing_key,
            checkpoint_every: full.checkpoint_every.unwrap_or(EVERY),
            anchors: full.anchors,
            anchors_before_change: full.anchors_before_change,
        })
    }
}

impl Journal {
    /// The file, where one is named.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Some(Place::File(path)) => Some(path),
            _ => None,
        }
    }

    /// What cannot be meant, in words.
    pub fn validate(&self) -> Result<(), String> {
        if self.checkpoint_every == 0 {
            return Err("`journal.checkpoint_every` is 0; a checkpoint covers at least one entry".to_owned());
        }
        if self.anchors_before_change > self.anchors.len() {
            return Err(format!(
                "`journal.anchors_before_change` is {}, and {} anchors are named",
                self.anchors_before_change,
                self.anchors.len()
            ));
        }
        for item in &self.anchors {
            item.sink(std::sync::Arc::new(|_| {}))
                .map_err(|why| format!("`journal.anchors`: {why}"))?;
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::Journal;
    use crate::config::journal_place::Place;

    #[test]
    fn a_file_an_address_and_a_database_in_full() {
        let read = |text: &str| serde_yaml::from_str::<Journal>(text).map_err(|problem| problem.to_string());
        let place = |text: &str| {
            let place = read(text).unwrap().place.unwrap();
            place.location().unwrap().display().to_string()
        };
        assert_eq!(
            place("{ postgres: { socket: /run/postgresql, database: ops, user: starr, schema: journal } }"),
            "postgres:///run/postgresql:5432/ops (journal)"
        );
        assert_eq!(place("postgres://starr@db/ops"), "postgres://db:5432/ops (starr)");
        assert_eq!(
            place("{ path: /var/lib/journal.db, checkpoint_every: 5 }"),
            "/var/lib/journal.db"
        );
        assert!(matches!(
            read("/var/lib/journal.db").unwrap().place,
            Some(Place::File(_))
        ));
        for (wrong, words) in [
            (
                "{ postgres: { socket: /run, host: db, database: ops, user: starr } }",
                "both given",
            ),
            (
                "{ postgres: { host: db, database: ops, user: starr, passwrd: { env: X } } }",
                "passwrd",
            ),
            (
                "{ path: /x, postgres: { host: db, database: ops, user: starr } }",
                "one of them is meant",
            ),
            ("postgres://starr:swordfish@db/ops", "a password does not belong"),
        ] {
            let refusal = read(wrong).unwrap_err();
            let first = refusal.lines().next().unwrap();
            assert!(
                first.contains(words) && !first.contains("swordfish"),
                "{wrong}: {refusal}"
            );
        }
    }
}
