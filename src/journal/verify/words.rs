//! What verification found, in words.

use super::{Finding, Level, Verified};
use std::fmt;

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Broken => "broken",
            Level::Intact => "intact",
            Level::Signed => "signed",
            Level::Anchored => "anchored",
            Level::Witnessed => "witnessed",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry} {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = entries(self.entries);
        let runs = count(self.runs, "run", "runs");
        if !self.is_intact() {
            writeln!(f, "broken: {all} of {runs} were read; this does not fit:")?;
            for finding in &self.findings {
                writeln!(f, "- {finding}")?;
            }
            if self.findings_left_out > 0 {
                writeln!(f, "- and {} more", self.findings_left_out)?;
            }
            return write!(
                f,
                "Keep a copy of the journal as it is before anything else is done with it."
            );
        }
        writeln!(
            f,
            "{}: {all} of {runs}; numbers, hashes, payloads and head agree",
            self.summary()
        )?;
        writeln!(f, "root {}, log {}", self.root, self.origin)?;
        if self.payloads_erased > 0 {
            let were = if self.payloads_erased == 1 { "was" } else { "were" };
            let payloads = count(self.payloads_erased, "payload", "payloads");
            writeln!(f, "{payloads} {were} erased, as the log says")?;
        }
        if let Some(before) = &self.before {
            let before = before.escape_debug();
            writeln!(
                f,
                "it goes on from another log; its end is verified with --anchor '{before}'"
            )?;
        }
        if let Some(after) = &self.after {
            writeln!(f, "the record goes on in the log {}", after.escape_debug())?;
        }
        self.evidence(f)?;
        self.tail(f)
    }
}

impl Verified {
    /// The level with its numbers: `signed (412)`, `anchored (412)`, `witnessed (2 of 3, 412)`.
    pub fn summary(&self) -> String {
        let size = self.reaches(self.level).unwrap_or(0);
        match self.level {
            Level::Broken | Level::Intact => self.level.to_string(),
            Level::Signed | Level::Anchored => format!("{} ({size})", self.level),
            Level::Witnessed => {
                let witnesses = &self.reach.witnesses;
                let saw = witnesses.values().filter(|seen| **seen >= Some(size)).count();
                format!("witnessed ({saw} of {}, {size})", witnesses.len())
            }
        }
    }

    fn evidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, size) in &self.reach.keys {
            writeln!(f, "signed to {size} by {key}")?;
        }
        for anchor in &self.reach.anchors {
            match (&anchor.problem, anchor.size) {
                (Some(problem), _) => writeln!(f, "anchor {}: cannot be read: {problem}", anchor.place)?,
                (None, Some(size)) => writeln!(f, "anchored to {size} by {}", anchor.place)?,
                (None, None) => writeln!(f, "anchor {}: says nothing about this log", anchor.place)?,
            }
        }
        for (witness, size) in &self.reach.witnesses {
            match size {
                Some(size) => writeln!(f, "witnessed to {size} by {witness}")?,
                None => writeln!(f, "witness {witness}: no cosignature is here")?,
            }
        }
        if !self.reach.unknown_keys.is_empty() {
            let names: Vec<String> = self
                .reach
                .unknown_keys
                .iter()
                .map(|name| name.escape_debug().to_string())
                .collect();
            writeln!(
                f,
                "checkpoints are also signed by keys that are not trusted here: {}",
                names.join(", ")
            )?;
        }
        Ok(())
    }

    /// The unprotected tail, always.
    fn tail(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = |number: u64| if number == 1 { "rests" } else { "rest" };
        if self.level == Level::Intact {
            return write!(
                f,
                "No signature or anchor that is trusted here covers the log: {} {} on this file alone. Whoever can write the file \
                 could have cut its end or computed all of it anew.",
                entries(self.entries),
                rest(self.entries)
            );
        }
        let (key, file) = (self.on_the_key_alone, self.on_this_file_alone);
        if key == 0 && file == 0 {
            return write!(f, "The unprotected tail has 0 entries: all of them are covered.");
        }
        let mut parts = Vec::new();
        if key > 0 {
            parts.push(format!(
                "{} {} on whoever holds the signing key, without an anchor elsewhere",
                entries(key),
                rest(key)
            ));
        }
        if file > 0 {
            parts.push(format!("{} {} on this file alone", entries(file), rest(file)));
        }
        write!(f, "The unprotected tail: {}.", parts.join("; "))
    }
}
