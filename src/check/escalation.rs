//! Escalations and severity rows.

use super::call::Place;
use super::modules::ItemRef;
use super::scope::{Body, Scope};
use crate::diagnostic::Diagnostic;
use crate::program::{Escalation, EscalationEntry, EscalationRow, RESOLVED, SeverityRow, SeverityWhen};
use crate::source::Span;
use crate::syntax::tree::{self, ClauseKind, ItemKind};
use std::collections::HashMap;
use std::time::Duration;

impl Body<'_, '_> {
    /// `escalation NAME`: an escalation of this file or of a module.
    pub fn named_escalation(&mut self, path: &tree::Path) -> Option<Escalation> {
        let name = path.parts.first()?;
        let file = self.scope.file;
        let item = match self.checker.symbol(file, &name.text) {
            Some(Some(item)) => item,
            Some(None) => {
                self.effects.unclear_all = true;
                return None;
            }
            None => {
                self.effects.unclear_all = true;
                let finding = Diagnostic::error(
                    "unknown-name",
                    path.span,
                    format!("there is no escalation `{}` here", path.dotted()),
                );
                let known: Vec<String> = self.checker.entry(file).symbols.keys().cloned().collect();
                let mut finding = self
                    .checker
                    .suggest(finding, name, known.iter().map(String::as_str), false);
                if finding.help.is_none() {
                    finding = finding.help("import it, `use team.{…}`, or write its rows here in braces");
                }
                self.report(finding);
                return None;
            }
        };
        let site = self.site.replace(path.span);
        let escalation = self.escalation_of(item, &name.text);
        self.site = site;
        if escalation.is_some() {
            return escalation;
        }
        let found = self.item_kind(item).unwrap_or("something else");
        self.report(Diagnostic::error(
            "type-mismatch",
            path.span,
            format!("`{}` is not an escalation but a {found}", name.text),
        ));
        None
    }

    /// The rows of an escalation at the top level of a file; `None` when the item is something else.
    fn escalation_of(&mut self, item: ItemRef, name: &str) -> Option<Escalation> {
        let tree = self.checker.tree(item.file);
        let ItemKind::Clause(clause) = &tree.items[item.item].kind else {
            return None;
        };
        let ClauseKind::Escalation { rows, .. } = &clause.kind else {
            return None;
        };
        let outer = std::mem::replace(&mut self.scope, Scope::new(item.file));
        let escalation = self.escalation(name, rows);
        self.scope = outer;
        Some(escalation)
    }

    /// The environment's matrix, where it has one. The header of the runbook has no line for what it calls: whoever wrote the
    /// environment decided that.
    pub fn environment_matrix(&mut self) -> Option<Escalation> {
        let matrix = self.checker.context.matrix.as_ref()?;
        let file = self.checker.matrix_file(&matrix.module);
        let item = self.checker.symbol(file, &matrix.name).flatten();
        let effects = std::mem::take(&mut self.effects);
        let found = item.and_then(|item| self.escalation_of(item, &matrix.name));
        self.effects = effects;
        if found.is_none() && !self.checker.entry(file).broken {
            self.report(Diagnostic::error(
                "unknown-name",
                Span::new(file, 0, 0),
                format!(
                    "this file has no escalation `{}`, which the configuration names",
                    matrix.name
                ),
            ));
        }
        found.map(|escalation| Escalation {
            environment: Some(file),
            ..escalation
        })
    }

    /// The rows of an escalation.
    pub fn escalation(&mut self, name: &str, rows: &[tree::EscalationRow]) -> Escalation {
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut lowered = Vec::with_capacity(rows.len());
        for row in rows {
            let at_end = row.severity.text == RESOLVED;
            if !at_end {
                self.severity(&row.severity);
            }
            if let Some(first) = seen.insert(&row.severity.text, row.severity.span) {
                self.report(
                    Diagnostic::error(
                        "duplicate-clause",
                        row.severity.span,
                        format!("`{}` has two rows", row.severity.text),
                    )
                    .and(first, "first here")
                    .help("put both into one row, separated by commas"),
                );
            }
            let mut entries = Vec::with_capacity(row.entries.len());
            for entry in &row.entries {
                if at_end && let Some(after) = &entry.after {
                    self.report(
                        Diagnostic::error(
                            "misplaced-clause",
                            after.span,
                            "the run is over: there is nothing to wait for",
                        )
                        .help("write `now`, or leave it out"),
                    );
                }
                let after = entry
                    .after
                    .as_ref()
                    .map_or(Duration::ZERO, |after| self.duration(after));
                if let Some(called) = self.call(&entry.call, Place::Tell) {
                    entries.push(EscalationEntry {
                        call: called.call,
                        after,
                        unless_acknowledged: entry.unless_acknowledged,
                    });
                }
            }
            lowered.push(EscalationRow {
                severity: row.severity.text.clone(),
                entries,
            });
        }
        Escalation {
            name: name.to_owned(),
            environment: None,
            rows: lowered,
        }
    }

    /// The rows of `severity { … }`. `block` ends at the closing brace.
    pub fn severity_rows(&mut self, rows: &[tree::SeverityRow], clause: Span, keyword: Span) -> Vec<SeverityRow> {
        let mut lowered = Vec::with_capacity(rows.len());
        let mut cannot_tell: Option<Span> = None;
        let mut otherwise: Option<Span> = None;
        for row in rows {
            self.severity(&row.name);
            if let Some(last) = otherwise
                && !matches!(row.when, tree::SeverityWhen::Otherwise)
            {
                self.report(
                    Diagnostic::error("misplaced-clause", row.span, "this row is behind `otherwise`")
                        .and(last, "taken before it")
                        .help("put `otherwise` last"),
                );
            }
            let when = match &row.when {
                tree::SeverityWhen::Holds(condition) => SeverityWhen::Holds(self.condition(condition, false)),
                tree::SeverityWhen::CannotTell => {
                    if let Some(first) = cannot_tell.replace(row.span) {
                        self.second_row(row.span, first);
                    }
                    SeverityWhen::CannotTell
                }
                tree::SeverityWhen::Otherwise => {
                    if let Some(first) = otherwise.replace(row.span) {
                        self.second_row(row.span, first);
                    }
                    SeverityWhen::Otherwise
                }
            };
            lowered.push(SeverityRow {
                name: row.name.text.clone(),
                when,
                span: row.span,
            });
        }
        if (cannot_tell.is_none() || otherwise.is_none()) && !self.broken() {
            // The safe row for what is not known is the worst one named, for everything else the mildest.
            let worst = rows.first().map_or("sev1", |row| row.name.text.as_str());
            let mildest = rows.last().map_or("sev3", |row| row.name.text.as_str());
            let mut missing = Vec::new();
            if cannot_tell.is_none() {
                missing.push(("`when cannot tell`", format!("{worst} when cannot tell")));
            }
            if otherwise.is_none() {
                missing.push(("`otherwise`", format!("{mildest} otherwise")));
            }
            let words: Vec<&str> = missing.iter().map(|(word, _)| *word).collect();
            let lines: Vec<&str> = missing.iter().map(|(_, line)| line.as_str()).collect();
            let mut finding = Diagnostic::error(
                "missing-severity",
                keyword,
                format!("this severity has no row {}", words.join(" and none ")),
            )
            .help(format!(
                "add {}",
                lines
                    .iter()
                    .map(|line| format!("`{line}`"))
                    .collect::<Vec<_>>()
                    .join(" and ")
            ));
            let at = match (cannot_tell, otherwise, rows.last()) {
                // `cannot tell` stands before `otherwise`.
                (None, Some(last), _) => Some((last.start, false)),
                (_, _, Some(last)) => Some((last.span.end, true)),
                _ => None,
            };
            if let Some((at, behind)) = at {
                let indent = " ".repeat(self.column(clause).saturating_add(1));
                let text: String = lines
                    .iter()
                    .map(|line| {
                        if behind {
                            format!("\n{indent}{line}")
                        } else {
                            format!("{line}\n{indent}")
                        }
                    })
                    .collect();
                finding = finding.edit(Span::new(clause.file, at as usize, at as usize), text);
            }
            self.report(finding);
        }
        lowered
    }

    /// Number of blanks before a place on its line.
    fn column(&self, span: Span) -> usize {
        self.checker.sources.line_column(span).1
    }

    fn second_row(&mut self, row: Span, first: Span) {
        self.report(
            Diagnostic::error("duplicate-clause", row, "this row stands here a second time").and(first, "first here"),
        );
    }
}
