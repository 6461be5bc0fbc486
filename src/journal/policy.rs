//! The verifier's policy: a text file of lines that says which keys, anchors and witnesses count, and what is demanded. It lies
//! where the writer of the journal cannot change it. A line that cannot be read makes the whole file unusable.

use super::checkpoint::Statement;
use super::note::{Algorithm, Verifier};
use super::verify::{Level, Verified};
use crate::secrets::SecretSource;
use std::path::PathBuf;

/// A policy file as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The origin line of the log that is meant.
    pub log: Option<String>,
    pub keys: Vec<Verifier>,
    pub witnesses: Vec<Witness>,
    pub witnesses_needed: Option<usize>,
    pub anchors: Vec<Place>,
    pub anchors_needed: Option<usize>,
    pub demand: Demand,
}

/// A witness: its key, and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    pub key: Verifier,
    pub url: Option<String>,
}

/// Where an anchor is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a ticket, given here.
    Line(Statement),
    /// A file of lines.
    File(PathBuf),
    /// Notes of a git repository.
    Git { repository: PathBuf, reference: String },
    /// Answers a GET with lines.
    Https {
        url: String,
        /// The credential that it demands, by its source.
        bearer: Option<SecretSource>,
    },
}

/// What must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    pub level: Level,
    /// The longest tail that may lie beyond what the level reaches.
    pub tail_at_most: Option<u64>,
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            level: Level::Intact,
            tail_at_most: None,
        }
    }
}

/// The note reference that is used when none is named.
pub const NOTES: &str = "refs/notes/starr";

impl Policy {
    /// Reads a policy. The error begins with the line's number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut policy = Self::default();
        let mut demand = (None, None);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
            if line.is_empty() {
                continue;
            }
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            policy
                .line(word, rest.trim(), &mut demand)
                .map_err(|why| format!("line {number}: {why}"))?;
        }
        policy.demand = Demand {
            level: demand.0.unwrap_or(Level::Intact),
            tail_at_most: demand.1,
        };
        for (needed, there, what) in [
            (policy.anchors_needed, policy.anchors.len(), "anchors"),
            (policy.witnesses_needed, policy.witnesses.len(), "witnesses"),
        ] {
            if needed.is_some_and(|needed| needed > there) {
                return Err(format!("more {what} are needed than the policy names ({there})"));
            }
        }
        Ok(policy)
    }

    fn line(&mut self, word: &str, rest: &str, demand: &mut (Option<Level>, Option<u64>)) -> Result<(), String> {
        match word {
            "log" => once(&mut self.log, one_word(rest)?.to_owned(), word)?,
            "key" => {
                let key = Verifier::parse(rest)?;
                if key.algorithm() != Algorithm::Ed25519 {
                    return Err("this is the key of a witness; it belongs into a line `witness`".to_owned());
                }
                if self.keys.contains(&key) {
                    return Err("this key stands twice".to_owned());
                }
                self.keys.push(key);
            }
            "witness" => {
                let (key, url) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let key = Verifier::parse(key)?;
                if key.algorithm() != Algorithm::Cosignature {
                    return Err("a witness has a cosignature key (algorithm 4), this is another".to_owned());
                }
                if self.witnesses.iter().any(|known| known.key == key) {
                    return Err("this witness stands twice".to_owned());
                }
                let url = url.trim();
                self.witnesses.push(Witness {
                    key,
                    url: (!url.is_empty()).then(|| url.to_owned()),
                });
            }
            "anchor" => {
                let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let rest = rest.trim();
                self.anchors.push(match kind {
                    "line" => Place::Line(Statement::parse(rest)?),
                    "file" if !rest.is_empty() => Place::File(PathBuf::from(rest)),
                    "https" => https(rest)?,
                    "git" => {
                        let (repository, reference) = rest.split_once(char::is_whitespace).unwrap_or((rest, NOTES));
                        Place::Git {
                            repository: PathBuf::from(one_word(repository)?),
                            reference: one_word(reference.trim())?.to_owned(),
                        }
                    }
                    _ => return Err("expected `anchor line|file|git|https …`".to_owned()),
                });
            }
            "witnesses-needed" => once(&mut self.witnesses_needed, needed(rest)?, word)?,
            "anchors-needed" => once(&mut self.anchors_needed, needed(rest)?, word)?,
            "require" => once(&mut demand.0, level(rest)?, word)?,
            "tail-at-most" => once(&mut demand.1, number(rest)?, word)?,
            _ => {
                return Err(format!(
                    "`{}` is not a word of a policy; there are log, key, witness, witnesses-needed, anchor, anchors-needed, \
                     require, tail-at-most",
                    word.escape_debug()
                ));
            }
        }
        Ok(())
    }
}

/// `URL`, `URL bearer env NAME` or `URL bearer file PATH`. What stands elsewhere may be the credential: it is not repeated.
fn https(rest: &str) -> Result<Place, String> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (url, bearer) = match words[..] {
        [url] => (url, None),
        [url, "bearer", "env", name] => (url, Some(SecretSource::Env(name.to_owned()))),
        [url, "bearer", "file", path] => (url, Some(SecretSource::File(path.into()))),
        _ => {
            return Err(
                "expected `anchor https URL`, then nothing or `bearer env NAME` or `bearer file PATH`".to_owned(),
            );
        }
    };
    Ok(Place::Https {
        url: url.to_owned(),
        bearer,
    })
}

impl Place {
    /// The place for people.
    pub fn shown(&self) -> String {
        match self {
            Place::Line(statement) => format!("line at size {}", statement.size),
            Place::File(path) => format!("file {}", path.display()),
            Place::Git { repository, reference } => format!("git {} {reference}", repository.display()),
            Place::Https { url, .. } => super::anchor::shown(url),
        }
    }
}

impl Demand {
    /// What is missing, in words; `None` when all of it is met.
    pub fn missing(&self, verified: &Verified) -> Option<String> {
        let Some(reached) = verified.reaches(self.level) else {
            return Some(format!("{} is required, {} was reached", self.level, verified.level));
        };
        let tail = verified.entries - reached;
        match self.tail_at_most {
            Some(most) if tail > most => Some(format!(
                "{tail} entries lie beyond what is {}, and at most {most} may",
                self.level
            )),
            _ => None,
        }
    }
}

/// A level by its word.
pub fn level(word: &str) -> Result<Level, String> {
    [Level::Intact, Level::Signed, Level::Anchored, Level::Witnessed]
        .into_iter()
        .find(|level| level.to_string() == word)
        .ok_or_else(|| {
            format!(
                "`{}` is not a level; there are intact, signed, anchored, witnessed",
                word.escape_debug()
            )
        })
}

fn one_word(text: &str) -> Result<&str, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(format!("expected one word, found `{}`", text.escape_debug()));
    }
    Ok(text)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("`{}` is not a number", text.escape_debug()))
}

fn needed(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("`{}` is not a number from 1 on", text.escape_debug())),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, word: &str) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{word}` stands twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_whole_policy_is_read() {
        let witness = Verifier::new("w.example/1", Algorithm::Cosignature, [1; 32])
            .unwrap()
            .encode();
        let text = format!(
            "# who may speak for the journal\nlog starr/07\nkey {KEY}\nwitness {witness} https://w.example\n\
             witnesses-needed 1\nanchor line starr/07 4 {root}\nanchor file /mnt/anchors of starr\nanchor git /srv/audit\n\
             anchor https https://sink.example/starr\nanchors-needed 2 # of four\nrequire anchored\ntail-at-most 20\n",
            root = "ab".repeat(16)
        );
        let policy = Policy::parse(&text).unwrap();
        assert_eq!(
            (policy.log.as_deref(), policy.keys.len(), policy.anchors.len()),
            (Some("starr/07"), 1, 4)
        );
        assert_eq!(policy.witnesses[0].url.as_deref(), Some("https://w.example"));
        assert_eq!((policy.witnesses_needed, policy.anchors_needed), (Some(1), Some(2)));
        assert_eq!(
            policy.demand,
            Demand {
                level: Level::Anchored,
                tail_at_most: Some(20)
            }
        );
        assert_eq!(
            policy.anchors[2],
            Place::Git {
                repository: "/srv/audit".into(),
                reference: NOTES.to_owned()
            }
        );
        assert_eq!(Policy::parse("").unwrap(), Policy::default());
    }

    #[test]
    fn what_cannot_be_read_makes_it_unusable() {
        let twice = format!("key {KEY}\nkey {KEY}");
        let as_witness = format!("witness {KEY}");
        for (text, words) in [
            ("\nkeys a", "line 2: `keys` is not a word of a policy"),
            ("key abc", "is not a public key"),
            (twice.as_str(), "line 2: this key stands twice"),
            (as_witness.as_str(), "a witness has a cosignature key"),
            ("require best", "is not a level"),
            ("require signed\nrequire intact", "stands twice"),
            ("anchors-needed 0", "from 1 on"),
            ("anchors-needed 1", "more anchors are needed than the policy names (0)"),
            ("anchor ticket a 1 ab", "expected `anchor line|file|git|https"),
            ("anchor line a 1 ab", "fewer than 32"),
            ("tail-at-most many", "is not a number"),
            ("log", "expected one word"),
        ] {
            let why = Policy::parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
