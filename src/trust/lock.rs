//! `starr.lock`: the content of every module that the runbooks of a project use.
//!
//! ```text
//! # What the modules of this project are. Written by `starr lock`; change it with that command.
//! format 1
//! stdlib 0.1.0 sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! module team.pager sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Largest lock file, in bytes.
pub const LOCK_BYTES: u64 = crate::limits::LOCK_BYTES;

/// What is pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// Version of starr, and the digest of its standard library.
    pub stdlib: Option<(String, String)>,
    /// Digest by the path of the module, such as `team.pager`.
    pub modules: BTreeMap<String, String>,
}

/// How what is used differs from what is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The same module with other content.
    Module {
        module: String,
        locked: String,
        found: String,
    },
    /// The same version of starr with another standard library.
    Stdlib {
        version: String,
        locked: String,
        found: String,
    },
    /// A module that is used and not pinned.
    NotLocked { module: String },
}

impl Difference {
    /// True for content that changed: a security event, never a mere omission.
    pub fn is_change(&self) -> bool {
        !matches!(self, Difference::NotLocked { .. })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Difference::Module { module, locked, found } => write!(
                f,
                "the module `{module}` is not what starr.lock pins: it pins sha256:{locked}, the file is sha256:{found}"
            ),
            Difference::Stdlib { version, locked, found } => write!(
                f,
                "the standard library of starr {version} is not what starr.lock pins: it pins sha256:{locked}, this one is sha256:{found}"
            ),
            Difference::NotLocked { module } => write!(f, "the module `{module}` is not in starr.lock"),
        }
    }
}

impl Lock {
    /// Reads the text of a lock file. An empty one pins nothing.
    ///
    /// # Errors
    /// Names the line that cannot be read, or that stands twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lock = Self::default();
        let mut first = true;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| Err(format!("line {}: {why}", number + 1));
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["format", "1"] if first => {}
                ["format", _] if first => return wrong("this form of the file is not known; use a later starr"),
                _ if first => return wrong("expected `format 1`"),
                ["stdlib", version, digest] => match sha256(digest) {
                    Some(_) if lock.stdlib.is_some() => return wrong("`stdlib` stands there twice"),
                    Some(digest) => lock.stdlib = Some(((*version).to_owned(), digest)),
                    None => return wrong("expected `sha256:` and 64 hexadecimal digits"),
                },
                ["module", module, digest] => match sha256(digest) {
                    Some(digest) => {
                        if lock.modules.insert((*module).to_owned(), digest).is_some() {
                            return wrong("this module stands there twice");
                        }
                    }
                    None => return wrong("expected `sha256:` and 64 hexadecimal digits"),
                },
                _ => return wrong("expected `stdlib VERSION sha256:…` or `module NAME sha256:…`"),
            }
            first = false;
        }
        Ok(lock)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut out = String::from(
            "# What the modules of this project are. Written by `starr lock`; change it with that command.\nformat 1\n",
        );
        // Writing to a String cannot fail.
        if let Some((version, digest)) = &self.stdlib {
            let _ = writeln!(out, "stdlib {version} sha256:{digest}");
        }
        for (module, digest) in &self.modules {
            let _ = writeln!(out, "module {module} sha256:{digest}");
        }
        out
    }

    /// What differs between this and what is used. A standard library of another version is no difference: the plan and the
    /// first entry of a run name its digest, and `starr lock --check` reports it.
    pub fn compare(&self, used: &Lock) -> Vec<Difference> {
        let mut all = Vec::new();
        if let (Some((version, locked)), Some((other, found))) = (&self.stdlib, &used.stdlib)
            && version == other
            && locked != found
        {
            all.push(Difference::Stdlib {
                version: version.clone(),
                locked: locked.clone(),
                found: found.clone(),
            });
        }
        for (module, found) in &used.modules {
            match self.modules.get(module) {
                Some(locked) if locked == found => {}
                Some(locked) => all.push(Difference::Module {
                    module: module.clone(),
                    locked: locked.clone(),
                    found: found.clone(),
                }),
                None => all.push(Difference::NotLocked { module: module.clone() }),
            }
        }
        all
    }
}

fn sha256(word: &str) -> Option<String> {
    let digits = word.strip_prefix("sha256:")?;
    let good = digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    good.then(|| digits.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Difference, Lock};
    use crate::trust::digest;

    fn lock() -> Lock {
        Lock {
            stdlib: Some(("0.1.0".to_owned(), digest(b"stdlib"))),
            modules: [
                ("team.pager".to_owned(), digest(b"pager")),
                ("a".to_owned(), digest(b"a")),
            ]
            .into(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(Lock::parse(&lock().text()), Ok(lock()));
        assert_eq!(Lock::parse(""), Ok(Lock::default()));
    }

    #[test]
    fn other_content_is_named_with_both_digests() {
        let mut used = lock();
        assert_eq!(lock().compare(&used), []);
        used.modules.insert("team.pager".to_owned(), digest(b"changed"));
        used.modules.insert("new".to_owned(), digest(b"new"));
        let found = lock().compare(&used);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(matches!(&found[0], Difference::NotLocked { module } if module == "new") && !found[0].is_change());
        let said = found[1].to_string();
        assert!(
            found[1].is_change() && said.contains(&digest(b"pager")) && said.contains(&digest(b"changed")),
            "{said}"
        );

        let mut other = lock();
        other.stdlib = Some(("0.1.0".to_owned(), digest(b"other")));
        assert!(lock().compare(&other)[0].is_change());
        other.stdlib = Some(("0.2.0".to_owned(), digest(b"other")));
        assert_eq!(lock().compare(&other), []);
    }

    #[test]
    fn a_lock_that_is_not_understood_whole_is_refused() {
        let good = lock().text();
        for (bad, line) in [
            ("module a sha256:0".to_owned(), "line 1"),
            ("format 2".to_owned(), "line 1"),
            (format!("{good}module a sha256:{}\n", digest(b"x")), "line 6"),
            (format!("{good}modul b sha256:{}\n", digest(b"x")), "line 6"),
            (format!("{good}module b SHA256:{}\n", digest(b"x")), "line 6"),
            (format!("{good}stdlib 0.1.0 sha256:{}\n", digest(b"x")), "line 6"),
            (format!("{good}format 1\n"), "line 6"),
        ] {
            assert!(Lock::parse(&bad).unwrap_err().starts_with(line), "{bad}");
        }
    }
}
