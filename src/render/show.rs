//! A run as a compact timeline for the terminal, and the list of runs as a table. Both also as data with stable field names.

use super::lines;
use super::report::words::{self, At};
use super::safe::safe;
use crate::journal::Recorded;
use crate::journal::RunSummary;
use crate::journal::event::{Event, Part};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

/// Widest column of times, such as `+59 min 59 s`.
const TIME: usize = 13;

/// The letter of a part: S, T, A, R, R.
fn letter(part: Part) -> char {
    match part {
        Part::Situation => 'S',
        Part::Task => 'T',
        Part::Action => 'A',
        Part::Result | Part::Reflection => 'R',
    }
}

/// A run's entries as lines: part, time since the start, what happened. Reads are left out; their answers stand for them.
pub fn show(entries: &[Recorded]) -> String {
    let Some(first) = entries.first() else {
        return "There are no entries.\n".to_owned();
    };
    let mut out = format!("run {}, begun {} UTC\n\n", safe(&first.run), words::moment(first.at));
    for entry in entries {
        let label = format!(
            "{}  {}",
            letter(entry.part),
            pad(&words::after(first.at, entry.at), TIME)
        );
        let scope = if entry.scope.is_empty() {
            String::new()
        } else {
            format!("{}: ", safe(&entry.scope))
        };
        let lines = match &entry.event {
            Some(event) => lines::lines(event)
                .into_iter()
                .map(|line| (line.depth, line.text))
                .collect(),
            None => vec![(0, words::sentence(entry))],
        };
        for (index, (depth, text)) in lines.into_iter().enumerate() {
            let label = if index == 0 {
                label.clone()
            } else {
                " ".repeat(3 + TIME)
            };
            let scope = if index == 0 { scope.as_str() } else { "" };
            let line = format!(
                "{label}{}{scope}{text}",
                "  ".repeat(depth + usize::from(index > 0 && depth == 0))
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    if !entries.iter().any(is_end) {
        out.push_str("\nThe run has no recorded end: it was interrupted, or is still running.\n");
    }
    out
}

fn is_end(entry: &Recorded) -> bool {
    entry.scope.is_empty() && entry.kind == "ended"
}

/// A run's entries as data.
pub fn show_json(entries: &[Recorded]) -> Value {
    let start = entries.first().map(|entry| entry.at).unwrap_or_default();
    json!({
        "run": entries.first().map(|entry| &entry.run),
        "entries": entries
            .iter()
            .map(|entry| json!({
                "entry": entry.sequence,
                "number": entry.run_sequence,
                "scope": entry.scope,
                "part": entry.part.word(),
                "kind": entry.kind,
                "actor": entry.actor,
                "at": entry.at.to_string(),
                "after_seconds": At(entry.at).seconds_since(At(start)),
                "event": entry.event,
            }))
            .collect::<Vec<_>>(),
    })
}

/// What the list shows about a run.
struct Listed {
    run: String,
    started: String,
    runbook: String,
    environment: String,
    operator: String,
    dry_run: bool,
    severity: Option<String>,
    outcome: Option<String>,
    duration: Option<f64>,
    entries: u64,
}

impl Listed {
    fn of(summary: &RunSummary) -> Self {
        let event = |entry: &Option<Recorded>| entry.as_ref().and_then(|entry| entry.event.clone());
        let (runbook, environment, operator, dry_run) = match event(&summary.started) {
            Some(Event::RunStarted {
                runbook,
                environment,
                operator,
                dry_run,
                ..
            }) => (runbook, environment, operator, dry_run),
            // Only what looks after the journal itself begins without a runbook.
            _ if summary.started.is_none() => ("(journal)".to_owned(), String::new(), String::new(), false),
            _ => Default::default(),
        };
        let severity = match event(&summary.severity) {
            Some(Event::Severity { name, .. }) => name,
            _ => None,
        };
        let (outcome, duration) = match event(&summary.ended) {
            Some(Event::Ended {
                outcome,
                duration_seconds,
                ..
            }) => (Some(outcome), Some(duration_seconds)),
            // What it said was erased; that it ended stays known.
            None if summary.ended.is_some() => (Some("ended".to_owned()), None),
            _ => (None, None),
        };
        Self {
            run: summary.id.clone(),
            started: summary
                .started
                .as_ref()
                .map(|entry| words::moment(entry.at))
                .unwrap_or_default(),
            runbook,
            environment,
            operator,
            dry_run,
            severity,
            outcome,
            duration,
            entries: summary.entries,
        }
    }

    fn outcome(&self) -> String {
        let outcome = self.outcome.as_deref().unwrap_or("interrupted or running");
        if self.dry_run {
            format!("{outcome} (dry run)")
        } else {
            outcome.to_owned()
        }
    }
}

/// The list of runs as a table.
pub fn runs(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "No run is recorded yet.\n".to_owned();
    }
    let header = ["RUN", "STARTED (UTC)", "RUNBOOK", "OUTCOME", "SEVERITY", "TOOK", "BY"].map(str::to_owned);
    let mut rows = vec![header];
    rows.extend(runs.iter().map(|summary| {
        let listed = Listed::of(summary);
        [
            listed.run.clone(),
            listed.started.clone(),
            listed.runbook.clone(),
            listed.outcome(),
            listed.severity.clone().unwrap_or_default(),
            listed.duration.map(words::length).unwrap_or_default(),
            listed.operator.clone(),
        ]
        .map(|cell| {
            if cell.is_empty() {
                "–".to_owned()
            } else {
                short(&cell)
            }
        })
    }));
    let widths: Vec<usize> = (0..7)
        .map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The list of runs as data. `outcome` is null for a run that was interrupted or is still running.
pub fn runs_json(runs: &[RunSummary]) -> Value {
    let runs: Vec<Value> = runs
        .iter()
        .map(|summary| {
            let listed = Listed::of(summary);
            json!({
                "run": listed.run,
                "runbook": listed.runbook,
                "environment": listed.environment,
                "operator": listed.operator,
                "dry_run": listed.dry_run,
                "started": summary.started.as_ref().map(|entry| entry.at.to_string()),
                "severity": listed.severity,
                "outcome": listed.outcome,
                "duration_seconds": listed.duration,
                "entries": listed.entries,
            })
        })
        .collect();
    json!({ "runs": runs })
}

/// A cell that cannot break the table, of 48 characters at most.
fn short(text: &str) -> String {
    let text = safe(text);
    match text.char_indices().nth(48) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests;
