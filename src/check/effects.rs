//! What a runbook reads, changes, tells and runs, and whether its header says so.

use super::modules::Checker;
use super::scope::Body;
use crate::diagnostic::Diagnostic;
use crate::provider::{Effect, covers};
use crate::source::{FileId, Span};
use crate::syntax::tree::Path;
use std::collections::HashSet;

/// The four words of the header.
pub const WORDS: [&str; 4] = ["reads", "changes", "tells", "runs"];

/// What was used so far.
#[derive(Default)]
pub struct Effects {
    used: Vec<Use>,
    seen: HashSet<(usize, String)>,
    /// Providers a call of which could not be made sense of; what the header says about them is not doubted.
    pub unclear: HashSet<String>,
    /// A call whose provider is not known: nothing in the header is called unused.
    pub unclear_all: bool,
}

/// One capability, where it is first used.
struct Use {
    word: usize,
    capability: String,
    span: Span,
}

/// Which header word covers an effect.
pub fn word(effect: Effect) -> usize {
    match effect {
        Effect::Read | Effect::Probe => 0,
        Effect::Change | Effect::Preview => 1,
        Effect::Tell => 2,
    }
}

impl Effects {
    /// Notes a use.
    pub fn note(&mut self, word: usize, capability: &str, span: Span) {
        if self.seen.insert((word, capability.to_owned())) {
            self.used.push(Use {
                word,
                capability: capability.to_owned(),
                span,
            });
        }
    }

    /// Notes what something else uses as used here.
    pub fn absorb(&mut self, other: &Effects, span: Span) {
        for used in &other.used {
            self.note(used.word, &used.capability, span);
        }
    }
}

/// A header line: its word, its entries, and the span of the whole clause.
pub struct HeaderLine<'t> {
    pub word: usize,
    pub entries: &'t [Path],
    pub span: Span,
}

impl Body<'_, '_> {
    /// Compares header and body. `insert_at` is where a header line that is missing would stand.
    pub fn compare_header(&mut self, lines: &[HeaderLine<'_>], insert_at: Span, broken: bool) {
        let effects = std::mem::take(&mut self.effects);
        // Entries by word: as written, or as they were probably meant.
        let mut entries: Vec<(usize, String, Span, bool)> = Vec::new();
        for line in lines {
            for path in line.entries {
                match self.header_entry(line.word, path) {
                    Ok(()) => entries.push((line.word, path.dotted(), path.span, false)),
                    Err(meant) => entries.push((line.word, meant.unwrap_or_default(), path.span, true)),
                }
            }
        }
        let mut offered: HashSet<usize> = HashSet::new();
        for used in &effects.used {
            let covered = |word: usize, entry: &str| word == used.word && covers(entry, &used.capability);
            if entries.iter().any(|(word, entry, _, _)| covered(*word, entry)) {
                continue;
            }
            let shown = WORDS[used.word];
            let mut finding = Diagnostic::error(
                "undeclared-effect",
                used.span,
                format!(
                    "the header does not say that this runbook {shown} `{}`",
                    used.capability
                ),
            );
            if offered.insert(used.word) {
                let mut missing: Vec<&str> = Vec::new();
                for other in effects.used.iter().filter(|other| other.word == used.word) {
                    let entry = entry_for(other);
                    let declared = entries
                        .iter()
                        .any(|(word, known, _, _)| *word == other.word && covers(known, &other.capability));
                    if !declared && !missing.contains(&entry) {
                        missing.push(entry);
                    }
                }
                let missing = missing.join(", ");
                let line = lines.iter().find(|line| line.word == used.word);
                finding = finding.help(format!("add `{missing}` to the line `{shown}`"));
                finding = match line.and_then(|line| line.entries.last()) {
                    Some(last) => {
                        let end = Span::new(last.span.file, last.span.end as usize, last.span.end as usize);
                        finding.edit(end, format!(", {missing}"))
                    }
                    None => finding.edit(insert_at, format!("\n  {shown:<8} {missing}")),
                };
            } else {
                finding = finding.help(format!("add it to the line `{shown}`"));
            }
            self.report(finding);
        }
        if broken || effects.unclear_all {
            return;
        }
        for line in lines {
            for (index, path) in line.entries.iter().enumerate() {
                let entry = path.dotted();
                let root = path.parts.first().map_or("", |part| part.text.as_str());
                let wrong = entries.iter().any(|(_, _, span, wrong)| *span == path.span && *wrong);
                let used = effects
                    .used
                    .iter()
                    .any(|used| used.word == line.word && covers(&entry, &used.capability));
                if wrong || used || effects.unclear.contains(root) {
                    continue;
                }
                let shown = WORDS[line.word];
                self.report(
                    Diagnostic::warning(
                        "unused-effect",
                        path.span,
                        format!("nothing in this runbook {shown} `{entry}`"),
                    )
                    .help("remove it: the header says what the file can do, and no more")
                    .edit(removal(line, index), String::new()),
                );
            }
        }
    }

    /// Reports a header entry whose root is no provider (or no runbook, behind `runs`); the error holds what was meant.
    fn header_entry(&mut self, word: usize, path: &Path) -> Result<(), Option<String>> {
        let Some(root) = path.parts.first() else {
            return Err(None);
        };
        if word == 3 {
            return Ok(());
        }
        let file = self.scope.file;
        if self.checker.provider(file, &root.text).is_some() {
            return Ok(());
        }
        let known = self.checker.provider_names(file);
        let meant = super::names::nearest(&root.text, known.iter().map(String::as_str)).map(str::to_owned);
        let finding = Diagnostic::error(
            "unknown-name",
            root.span,
            format!("there is no provider `{}`", root.text),
        );
        let finding = self
            .checker
            .suggest(finding, root, known.iter().map(String::as_str), true);
        self.report(finding);
        Err(meant.map(|meant| {
            let rest: Vec<&str> = path.parts.iter().skip(1).map(|part| part.text.as_str()).collect();
            std::iter::once(meant.as_str())
                .chain(rest)
                .collect::<Vec<_>>()
                .join(".")
        }))
    }
}

/// What a header should say about a use: a change exactly, everything else by its provider.
fn entry_for(used: &Use) -> &str {
    if used.word == 1 || used.word == 3 {
        &used.capability
    } else {
        used.capability
            .split_once('.')
            .map_or(used.capability.as_str(), |(provider, _)| provider)
    }
}

/// The text to take out for one entry of a line: with its comma, or the whole line.
fn removal(line: &HeaderLine<'_>, index: usize) -> Span {
    let entry = line.entries[index].span;
    if line.entries.len() == 1 {
        return line.span;
    }
    if let Some(next) = line.entries.get(index + 1) {
        return Span {
            end: next.span.start,
            ..entry
        };
    }
    Span {
        start: line.entries[index - 1].span.end,
        ..entry
    }
}

impl Checker<'_> {
    /// Names of providers that a file could use.
    pub fn provider_names(&self, file: FileId) -> Vec<String> {
        if !self.may_suggest() {
            return Vec::new();
        }
        let mut names: Vec<String> = super::Embedded::paths()
            .filter_map(|path| path.strip_prefix("std.").map(str::to_owned))
            .collect();
        for (name, _) in self.entry(file).symbols.iter() {
            if let Some(Some(item)) = self.symbol(file, name)
                && self.is_provider(item)
            {
                names.push(name.clone());
            }
        }
        names
    }
}
