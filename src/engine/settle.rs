//! A run that ended in doubt: people say afterwards what came of its changes, and it is recorded.

use super::world::{InDoubt, Reply, World};
use super::{Ended, Outcome};
use crate::journal::event::{Event, Fate, ResultKind};
use crate::journal::{self, Recorded};

/// A change of a run that ended, whose result is unclear.
struct Open {
    scope: String,
    doubt: InDoubt,
}

/// The changes of an ended run of which it is not known whether they happened.
fn open(recorded: &[Recorded]) -> Vec<Open> {
    let mut all: Vec<Open> = Vec::new();
    for entry in recorded {
        match &entry.event {
            Some(Event::Intent {
                id,
                action,
                purpose,
                operation,
                class,
                arguments,
                targets,
                ..
            }) if *purpose != journal::event::Purpose::Tell => all.push(Open {
                scope: entry.scope.clone(),
                doubt: InDoubt {
                    id: id.clone(),
                    action: action.clone(),
                    order: action.clone(),
                    operation: operation.clone(),
                    class: class.chars().next().unwrap_or('U'),
                    arguments: arguments
                        .iter()
                        .map(|(name, value)| (name.clone(), value.text.clone()))
                        .collect(),
                    targets: targets.clone(),
                    intended: entry.at,
                },
            }),
            Some(Event::Result { id, outcome, .. }) if *outcome != ResultKind::Unclear => {
                all.retain(|open| open.doubt.id != *id);
            }
            Some(Event::Settled {
                id,
                fate: Fate::Done | Fate::NotDone,
                ..
            }) => all.retain(|open| open.doubt.id != *id),
            _ => {}
        }
    }
    all
}

/// Asks people about every change that an ended run left in doubt, and records what they say. When nothing is left in doubt the
/// run has another end: stopped, with what is in place now. `None`: something stays in doubt.
///
/// # Errors
/// The journal cannot be written.
pub async fn settle(world: &World, recorded: &[Recorded]) -> Result<Option<Ended>, journal::Error> {
    let mut left = false;
    let mut said = Vec::new();
    for Open { scope, doubt } in open(recorded) {
        let Reply::Given(Some(fate @ (Fate::Done | Fate::NotDone)), by) = world.people.in_doubt(&doubt).await else {
            left = true;
            continue;
        };
        let event = Event::Settled {
            id: doubt.id.clone(),
            action: doubt.action.clone(),
            operation: doubt.operation.clone(),
            fate,
            how: "a person".to_owned(),
            by: Some(by),
            note: String::new(),
        };
        world.journal.append(&scope, &event).await?;
        world.screen.event(&scope, &event);
        said.push((doubt, fate));
    }
    if left {
        return Ok(None);
    }
    let last = recorded.iter().rev().find_map(|entry| match &entry.event {
        Some(Event::Ended {
            in_place,
            duration_seconds,
            ..
        }) if entry.scope.is_empty() => Some((in_place.clone(), *duration_seconds)),
        _ => None,
    });
    let (before, duration_seconds) = last.unwrap_or_default();
    let mut in_place: Vec<String> = before
        .into_iter()
        .filter(|line| !line.starts_with("perhaps: "))
        .collect();
    in_place.extend(
        said.iter()
            .filter(|(_, fate)| *fate == Fate::Done)
            .map(|(doubt, _)| format!("{} (`{}`)", doubt.action, doubt.operation)),
    );
    let reason = "nothing is in doubt any more".to_owned();
    let event = Event::Ended {
        outcome: Outcome::Stopped(reason.clone()).word().to_owned(),
        reason: reason.clone(),
        in_place: in_place.clone(),
        duration_seconds,
    };
    world.journal.append("", &event).await?;
    world.screen.event("", &event);
    Ok(Some(Ended {
        outcome: Outcome::Stopped(reason),
        severity: None,
        in_place,
    }))
}
