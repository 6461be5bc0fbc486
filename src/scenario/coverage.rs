//! Which parts of a runbook its scenarios reach.

use super::suite::{children, for_each_step};
use super::verdict::fits;
use crate::journal::Recorded;
use crate::journal::event::{Event, Purpose};
use crate::program::{Action, BindingKind, OrderKind, Program, RESOLVED, Runbook, RunbookId, StepKind, UndoKind};
use crate::source::{FileId, Span};
use crate::value::Answer;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Cause,
    Otherwise,
    CannotTell,
    Done,
    Failed,
    Unclear,
    NotApproved,
    Undo,
    /// The `else` of `require` and `wait until`.
    Guard,
    UnknownAnswer,
    Escalation,
}

impl Kind {
    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Cause => "cause",
            Kind::Otherwise => "otherwise",
            Kind::CannotTell => "cannot tell",
            Kind::Done => "done",
            Kind::Failed => "failed",
            Kind::Unclear => "unclear",
            Kind::NotApproved => "not approved",
            Kind::Undo => "undo",
            Kind::Guard => "else",
            Kind::UnknownAnswer => "unknown answer",
            Kind::Escalation => "escalation",
        }
    }
}

/// Something that a scenario can reach.
#[derive(Clone, Debug)]
pub struct Item {
    pub runbook: RunbookId,
    pub kind: Kind,
    /// The cause, action, question, branch or entry.
    pub name: String,
    /// In the file of the runbook.
    pub span: Span,
    pub hits: u64,
}

/// Whether a run of this runbook can end well, or can have this severity: one of its own, or the next worse one, because of an undo that fails.
fn can_be(book: &Runbook, severity: &str, severities: &[String]) -> bool {
    if severity == RESOLVED {
        return book.result.resolved.is_some()
            || book.goal.is_some()
            || book.actions.iter().any(|action| action.verify.is_some());
    }
    let rank = |name: &str| severities.iter().position(|known| known == name);
    let own: Vec<usize> = book
        .situation
        .severity
        .iter()
        .filter_map(|row| rank(&row.name))
        .collect();
    let Some(rank) = rank(severity).filter(|_| !own.is_empty()) else {
        return true;
    };
    let mut undos = book.actions.iter().flat_map(|action| &action.undos);
    let may_rise = undos.any(|undo| !matches!(undo.kind, UndoKind::None { .. }));
    own.contains(&rank) || (may_rise && own.contains(&(rank + 1)))
}

/// The coverage of a program.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    pub items: Vec<Item>,
}

impl Coverage {
    /// Everything that can be reached in the runbooks of this file, and in those alone. `severities` are those of the environment, worst first.
    pub fn of(program: &Program, file: FileId, severities: &[String]) -> Self {
        let mut coverage = Self::default();
        for (index, book) in program.runbooks.iter().enumerate() {
            if book.span.file == file {
                coverage.book(program, RunbookId(index), book, severities);
            }
        }
        coverage
    }

    fn add(&mut self, runbook: RunbookId, kind: Kind, name: impl Into<String>, span: Span) {
        self.items.push(Item {
            runbook,
            kind,
            name: name.into(),
            span,
            hits: 0,
        });
    }

    fn book(&mut self, program: &Program, id: RunbookId, book: &Runbook, severities: &[String]) {
        for binding in &book.bindings {
            if matches!(binding.kind, BindingKind::Question(_)) {
                self.add(
                    id,
                    Kind::UnknownAnswer,
                    binding.name.clone(),
                    within(book, binding.span),
                );
            }
        }
        for_each_step(&book.steps, &mut |step| match &step.kind {
            StepKind::Branch(branch) => {
                for cause in &branch.causes {
                    self.add(id, Kind::Cause, cause.name.clone(), cause.span);
                }
                let title = branch.title.source_text(&program.sources);
                let arm = |steps: &[crate::program::Step]| steps.first().map_or(branch.span, |step| step.span);
                self.add(id, Kind::Otherwise, title.clone(), arm(&branch.otherwise));
                let cannot_tell = if branch.merged && branch.cannot_tell.is_empty() {
                    arm(&branch.otherwise)
                } else {
                    arm(&branch.cannot_tell)
                };
                self.add(id, Kind::CannotTell, title, cannot_tell);
            }
            StepKind::Action(action) => self.action(id, book, book.action(*action), step.span),
            StepKind::Require { condition, .. } | StepKind::Wait { condition, .. } => {
                let text = program.sources.phrase(condition.span);
                self.add(id, Kind::Guard, text, step.span);
            }
            _ => {}
        });
        let rows = book.result.escalation.iter().flat_map(|escalation| &escalation.rows);
        for row in rows.filter(|row| can_be(book, &row.severity, severities)) {
            for (index, entry) in row.entries.iter().enumerate() {
                let name = format!("{} {} {}", row.severity, index + 1, entry.call.operation.full_name());
                self.add(id, Kind::Escalation, name, within(book, entry.call.span));
            }
        }
    }

    fn action(&mut self, id: RunbookId, book: &Runbook, action: &Action, site: Span) {
        let place = |span: Span| {
            if span.file == book.span.file && !span.is_empty() {
                span
            } else {
                site
            }
        };
        self.add(id, Kind::Done, action.name.clone(), site);
        self.add(id, Kind::Failed, action.name.clone(), place(action.failed.span));
        let calls = action
            .orders
            .iter()
            .any(|order| matches!(order.kind, OrderKind::Call { .. }));
        // A `manual` without a verification is done or not done: nothing of it can be unclear.
        if calls || action.verify.is_some() || action.when.is_some() {
            let span = if action.unclear.written {
                place(action.unclear.span)
            } else {
                site
            };
            self.add(id, Kind::Unclear, action.name.clone(), span);
        }
        if action.approve.is_some() || action.refuse.is_some() {
            let span = if action.not_approved.written {
                place(action.not_approved.span)
            } else {
                site
            };
            self.add(id, Kind::NotApproved, action.name.clone(), span);
        }
        let undo = action
            .undos
            .iter()
            .find(|undo| !matches!(undo.kind, UndoKind::None { .. }));
        if let Some(undo) = undo
            && taken_back(book, action)
        {
            self.add(id, Kind::Undo, action.name.clone(), place(undo.span));
        }
    }

    /// Counts what a run reached.
    pub fn count(&mut self, program: &Program, runbook: RunbookId, entries: &[Recorded]) {
        let mut books: BTreeMap<String, RunbookId> = BTreeMap::new();
        books.insert(String::new(), runbook);
        let mut rungs: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
        for entry in entries {
            let Some(event) = &entry.event else { continue };
            if let Event::ChildStarted { scope, .. } = event
                && let Some(parent) = books.get(&entry.scope).copied()
                && let Some(book) = program.runbooks.get(parent.0)
            {
                let name = scope.rsplit('.').next().unwrap_or(scope);
                if let Some((_, child)) = children(program, book).into_iter().find(|(known, _)| known == name) {
                    books.insert(scope.clone(), child);
                }
            }
            let Some(book) = books.get(&entry.scope).copied() else {
                continue;
            };
            match event {
                Event::Cause { name, chosen: true, .. } => self.hit(book, Kind::Cause, |item| item == name),
                Event::Arm { arm, branch, .. } => {
                    let kind = if arm == "cannot tell" {
                        Kind::CannotTell
                    } else {
                        Kind::Otherwise
                    };
                    self.hit(book, kind, |title| fits(title, branch));
                }
                Event::ActionEnded { name, outcome, .. } => {
                    let kind = match outcome.split(':').next().unwrap_or_default() {
                        "done" => Kind::Done,
                        "failed" => Kind::Failed,
                        "unclear" => Kind::Unclear,
                        "not approved" => Kind::NotApproved,
                        _ => continue,
                    };
                    self.hit(book, kind, |item| item == name);
                }
                Event::Undone { action, ok: true, .. } => self.hit(book, Kind::Undo, |item| item == action),
                Event::Answered {
                    name,
                    answer: Answer::Unknown,
                    ..
                } => self.hit(book, Kind::UnknownAnswer, |item| item == name),
                Event::Step { what, detail } if what == "require" || what == "wait" => {
                    self.hit(book, Kind::Guard, |condition| {
                        detail.starts_with(&format!("`{condition}`"))
                    });
                }
                Event::Intent {
                    action,
                    operation,
                    purpose: Purpose::Tell,
                    ..
                } => {
                    let Some(severity) = action.strip_prefix("escalation ") else {
                        continue;
                    };
                    self.rung(program, runbook, severity, operation, &mut rungs);
                }
                _ => {}
            }
        }
    }

    /// The entries of a row are sent in their order, each once in a run.
    fn rung(
        &mut self,
        program: &Program,
        runbook: RunbookId,
        severity: &str,
        operation: &str,
        rungs: &mut BTreeMap<String, Vec<(String, bool)>>,
    ) {
        let Some(book) = program.runbooks.get(runbook.0) else {
            return;
        };
        let row = rungs.entry(severity.to_owned()).or_insert_with(|| {
            book.result
                .escalation
                .iter()
                .flat_map(|escalation| &escalation.rows)
                .filter(|row| row.severity == severity)
                .flat_map(|row| &row.entries)
                .map(|entry| (entry.call.operation.full_name(), false))
                .collect()
        });
        let Some(index) = row.iter().position(|(known, sent)| known == operation && !sent) else {
            return;
        };
        row[index].1 = true;
        let name = format!("{severity} {} {operation}", index + 1);
        self.hit(runbook, Kind::Escalation, |item| item == name);
    }

    fn hit(&mut self, runbook: RunbookId, kind: Kind, is: impl Fn(&str) -> bool) {
        for item in &mut self.items {
            if item.runbook == runbook && item.kind == kind && is(&item.name) {
                item.hits += 1;
            }
        }
    }

    /// Adds the counts of another run of the same program.
    pub fn add_all(&mut self, other: &Coverage) {
        for (item, other) in self.items.iter_mut().zip(&other.items) {
            item.hits += other.hits;
        }
    }

    /// How many were reached, and how many there are.
    pub fn reached(&self) -> (usize, usize) {
        (self.items.iter().filter(|item| item.hits > 0).count(), self.items.len())
    }

    /// What no scenario reached.
    pub fn missed(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.hits == 0)
    }
}

/// Whether anything in the runbook can take the action back: its own `failed`, its time, another action's order.
fn taken_back(book: &Runbook, action: &Action) -> bool {
    use crate::program::UndoWhen;
    let ordered = book
        .actions
        .iter()
        .flat_map(|other| &other.orders)
        .any(|order| matches!(&order.kind, OrderKind::Undo(id) if book.action(*id).name == action.name));
    action.failed.undo
        || ordered
        || action
            .undos
            .iter()
            .any(|undo| !matches!(undo.when, UndoWhen::OnOutcome) && !matches!(undo.kind, UndoKind::None { .. }))
        // The operator may always take back what is unclear.
        || action.orders.iter().any(|order| matches!(order.kind, OrderKind::Call { .. }))
        || action.verify.is_some()
}

/// The span, where it lies in the runbook's file; a library's check stands where the runbook names it.
fn within(book: &Runbook, span: Span) -> Span {
    if span.file == book.span.file { span } else { book.span }
}

/// Percent, rounded down: 100 only when everything was reached. Nothing to reach is all of it.
pub fn percent(reached: usize, all: usize) -> usize {
    (reached * 100).checked_div(all).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn nearly_everything_is_not_everything() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(1000, 1000), 100);
        assert_eq!(percent(0, 0), 100);
    }
}
