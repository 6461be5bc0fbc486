//! A run that ended in doubt: targets and people say afterwards what came of its changes, and it is recorded.

use super::replay::{Replay, recall};
use super::send::Verdict;
use super::state::Run;
use super::world::{InDoubt, Reply, World};
use super::{Ended, Halt, Leave, Outcome};
use crate::journal::event::{Event, Fate, ResultKind};
use crate::journal::{self, Recorded};
use crate::program::{Program, RunbookId};
use crate::value::Value;
use std::sync::Arc;

/// A change of a run that ended, whose result is unclear.
struct Open {
    scope: String,
    doubt: InDoubt,
    /// Where each of them is recorded as it was.
    arguments: Option<Vec<(Arc<str>, Value)>>,
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
                        .map(|(name, value)| (name.clone(), value.text().to_owned()))
                        .collect(),
                    targets: targets.clone(),
                    intended: entry.at,
                },
                arguments: arguments
                    .iter()
                    .map(|(name, shown)| Some((name.as_str().into(), recall(shown)?)))
                    .collect(),
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

/// Settles every change that an ended run left in doubt, and records how: the target is asked where its operation names a check, then
/// people. When nothing is left in doubt the run has another end: stopped, with what is in place now. `None`: something stays in doubt.
///
/// A target is asked only while runbook and modules are what they were, and by whom the policy lets go on with the run.
///
/// # Errors
/// The journal cannot be written.
pub async fn settle(
    program: Arc<Program>,
    runbook: RunbookId,
    world: World,
    recorded: &[Recorded],
) -> Result<Option<Ended>, journal::Error> {
    // Who started the run is in the record; nothing of it is gone again.
    let past = Replay::of(recorded).ok().and_then(|(_, past)| past);
    let run = Run::going_on(program, runbook, world, Replay::none(), past);
    let world = &run.world;
    let looks = unchanged(&run, recorded) && run.may_go_on().is_ok();
    let mut left = false;
    let mut said = Vec::new();
    for Open {
        scope,
        doubt,
        arguments,
    } in open(recorded)
    {
        let looked = match arguments {
            Some(arguments) if looks => match run.look_up(&doubt.id, &doubt.operation, &arguments).await {
                Ok(verdict) => verdict,
                Err(Leave::Halt(Halt::Journal(error))) => return Err(error),
                Err(_) => None,
            },
            _ => None,
        };
        let Some(verdict) = (match looked {
            Some(verdict) => Some(verdict),
            None => by_people(world, &doubt).await,
        }) else {
            left = true;
            continue;
        };
        let fate = verdict.fate;
        let event = Event::Settled {
            id: doubt.id.clone(),
            action: doubt.action.clone(),
            operation: doubt.operation.clone(),
            fate,
            how: verdict.how,
            by: verdict.by,
            note: verdict.note,
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

/// What a person says came of a change; `None`: nobody knows.
async fn by_people(world: &World, doubt: &InDoubt) -> Option<Verdict> {
    match world.people.in_doubt(doubt).await {
        Reply::Given(Some(fate @ (Fate::Done | Fate::NotDone)), by) => Some(Verdict {
            fate,
            how: "a person".to_owned(),
            by: Some(by),
            note: String::new(),
        }),
        _ => None,
    }
}

/// Whether runbook and modules are, byte for byte, what the run began with.
fn unchanged(run: &Run, recorded: &[Recorded]) -> bool {
    match recorded.first().and_then(|entry| entry.event.as_ref()) {
        Some(Event::RunStarted { digests, .. }) => *digests == run.program.digests,
        _ => false,
    }
}
