//! `journal:` of an environment: where it lies, who signs it, where it is anchored.

use crate::journal::anchor::Item;
use crate::journal::key::Source;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Entries after which a checkpoint is made when nothing else made one.
const EVERY: u64 = 100;

/// `journal: PATH`, or `journal: { path: …, signing_key: …, anchors: […] }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct Journal {
    /// The file; the user's state folder when absent.
    pub path: Option<PathBuf>,
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
#[serde(untagged)]
enum Written {
    Path(PathBuf),
    Full(Full),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(default)]
    path: Option<PathBuf>,
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
            path: None,
            signing_key: None,
            checkpoint_every: EVERY,
            anchors: Vec::new(),
            anchors_before_change: 0,
        }
    }
}

impl From<Written> for Journal {
    fn from(written: Written) -> Self {
        match written {
            Written::Path(path) => Self {
                path: Some(path),
                ..Self::default()
            },
            Written::Full(full) => Self {
                path: full.path,
                signing_key: full.signing_key,
                checkpoint_every: full.checkpoint_every.unwrap_or(EVERY),
                anchors: full.anchors,
                anchors_before_change: full.anchors_before_change,
            },
        }
    }
}

impl Journal {
    /// The file, where one is named.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
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
