//! One action in the report: its order, who allowed it, what was sent and what came back, how it was looked at, how it ended.

use super::story::{Looks, Step, add_look};
use super::words::{self, At};
use crate::journal::Recorded;
use crate::journal::event::{Event, Person, PlannedCall, Purpose, ResultKind, Shown};
use serde::Serialize;

/// An action that was begun.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Action {
    /// With the called runbook it belongs to.
    pub name: String,
    pub order: String,
    pub prose: Vec<String>,
    pub risk: String,
    pub at: At,
    pub planned: Vec<PlannedCall>,
    pub approvals: Vec<Approval>,
    pub calls: Vec<Call>,
    pub looks: Vec<Looks>,
    /// Dropped targets, scheduled and finished undos, each a sentence.
    pub notes: Vec<(At, String)>,
    /// `None`: the record ends before the action does.
    pub outcome: Option<String>,
    /// What the file says follows, in words.
    pub next: String,
    /// The change is still in place.
    pub kept: bool,
}

/// A request for approval and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approval {
    pub requested: At,
    pub digest: String,
    pub roles: Vec<String>,
    pub seeing: Vec<(String, Shown)>,
    pub deadline_seconds: u64,
    pub given: Vec<Given>,
    /// When it was not given: when, why, by whom.
    pub refused: Option<(At, String, Option<Person>)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Given {
    pub at: At,
    pub by: Person,
    pub role: String,
    pub digest: String,
}

/// A change that was sent, or was about to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    pub id: String,
    pub purpose: Purpose,
    pub operation: String,
    pub class: String,
    pub arguments: Vec<(String, Shown)>,
    pub targets: Vec<String>,
    pub before: Option<Shown>,
    pub sent: At,
    /// `None`: no result is recorded, so nobody knows whether it happened.
    pub result: Option<CallResult>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallResult {
    pub at: At,
    pub outcome: ResultKind,
    pub value: Option<Shown>,
    pub detail: String,
    /// How long, and what was in the way.
    pub took: String,
}

/// Sorts events to the actions they belong to.
#[derive(Default)]
pub struct Actions {
    /// The action that is under way, as scope and place in the steps.
    open: Option<(String, usize)>,
}

impl Actions {
    /// Takes an event that belongs to an action; false when it does not, or when its action was never begun.
    pub fn take(&mut self, steps: &mut Vec<Step>, entry: &Recorded, event: &Event) -> bool {
        match event {
            Event::ActionStarted {
                name,
                order,
                prose,
                risk,
                operations,
            } => {
                self.open = Some((entry.scope.clone(), steps.len()));
                steps.push(Step::Action(Action {
                    name: words::scoped(&entry.scope, name),
                    order: order.clone(),
                    prose: prose.clone(),
                    risk: risk.clone(),
                    at: At(entry.at),
                    planned: operations.clone(),
                    approvals: Vec::new(),
                    calls: Vec::new(),
                    looks: Vec::new(),
                    notes: Vec::new(),
                    outcome: None,
                    next: String::new(),
                    kept: false,
                }));
                true
            }
            Event::Look { .. } => match self.open_in(steps, &entry.scope) {
                Some(action) => {
                    add_look(&mut action.looks, entry, event);
                    true
                }
                None => false,
            },
            Event::ApprovalRequested { action: name, .. }
            | Event::Approved { action: name, .. }
            | Event::NotApproved { action: name, .. }
            | Event::NotCounted { action: name, .. }
            | Event::Dropped { action: name, .. }
            | Event::Intent { action: name, .. }
            | Event::Result { action: name, .. }
            | Event::Undone { action: name, .. }
            | Event::UndoScheduled { action: name, .. }
            | Event::Ticked { name, .. }
            | Event::NotNeeded { name, .. }
            | Event::ActionEnded { name, .. } => {
                let name = words::scoped(&entry.scope, name);
                // An end is that of an action under way; an undo may come long after the action has ended.
                let ends = matches!(event, Event::ActionEnded { .. } | Event::NotNeeded { .. });
                let place = steps.iter().rposition(|step| {
                    matches!(step, Step::Action(action) if action.name == name && !(ends && action.outcome.is_some()))
                });
                if ends && self.open.as_ref().is_some_and(|(_, open)| Some(*open) == place) {
                    self.open = None;
                }
                match place.and_then(|place| steps.get_mut(place)) {
                    Some(Step::Action(action)) => action.take(entry, event),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn open_in<'s>(&self, steps: &'s mut [Step], scope: &str) -> Option<&'s mut Action> {
        let (open_scope, place) = self.open.as_ref()?;
        match steps.get_mut(*place)? {
            Step::Action(action) if open_scope == scope => Some(action),
            _ => None,
        }
    }
}

impl Action {
    fn take(&mut self, entry: &Recorded, event: &Event) -> bool {
        match event {
            Event::ApprovalRequested { .. } | Event::Approved { .. } | Event::NotApproved { .. } => {
                self.approval(entry, event);
            }
            Event::Intent {
                id,
                purpose,
                operation,
                class,
                arguments,
                targets,
                before,
                ..
            } => self.calls.push(Call {
                id: id.clone(),
                purpose: *purpose,
                operation: operation.clone(),
                class: class.clone(),
                arguments: arguments.clone(),
                targets: targets.clone(),
                before: before.clone(),
                sent: At(entry.at),
                result: None,
            }),
            Event::Result {
                id,
                outcome,
                value,
                detail,
                milliseconds,
                notes,
                ..
            } => {
                let Some(call) = self.calls.iter_mut().rev().find(|call| call.id == *id) else {
                    self.notes.push((At(entry.at), words::sentence(entry)));
                    return true;
                };
                call.result = Some(CallResult {
                    at: At(entry.at),
                    outcome: *outcome,
                    value: value.clone(),
                    detail: detail.clone(),
                    took: words::took(*milliseconds, notes),
                });
            }
            Event::ActionEnded {
                outcome, next, kept, ..
            } => {
                self.outcome = Some(outcome.clone());
                self.next.clone_from(next);
                self.kept = *kept;
            }
            Event::NotNeeded { because, .. } => {
                self.outcome = Some("not needed".to_owned());
                self.next.clone_from(because);
            }
            _ => self.notes.push((At(entry.at), words::sentence(entry))),
        }
        true
    }

    fn approval(&mut self, entry: &Recorded, event: &Event) {
        match event {
            Event::ApprovalRequested {
                digest,
                roles,
                seeing,
                deadline_seconds,
                ..
            } => self.approvals.push(Approval {
                requested: At(entry.at),
                digest: digest.clone(),
                roles: roles.clone(),
                seeing: seeing.clone(),
                deadline_seconds: *deadline_seconds,
                given: Vec::new(),
                refused: None,
            }),
            Event::Approved { digest, by, role, .. } => match self.approvals.last_mut() {
                Some(approval) => approval.given.push(Given {
                    at: At(entry.at),
                    by: by.clone(),
                    role: role.clone(),
                    digest: digest.clone(),
                }),
                None => self.notes.push((At(entry.at), words::sentence(entry))),
            },
            Event::NotApproved { because, by, .. } => match self.approvals.last_mut() {
                Some(approval) => approval.refused = Some((At(entry.at), because.clone(), by.clone())),
                None => self.notes.push((At(entry.at), words::sentence(entry))),
            },
            _ => {}
        }
    }
}
