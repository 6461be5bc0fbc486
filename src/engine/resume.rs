//! Going on with a run whose process ended.

use super::consent::Emergency;
use super::frame::Frame;
use super::replay::Replay;
use super::state::Run;
use super::world::{InDoubt, World};
use super::{Ended, Halt};
use crate::journal::event::{Basis, Event};
use crate::journal::{self, Recorded};
use crate::program::{Program, RunbookId};
use crate::value::Value;
use std::sync::Arc;

/// What came of going on with a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Resumed {
    Ended(Ended),
    /// A change may or may not have happened, and nobody said so. Nothing was sent; the run can be gone on with again.
    InDoubt(Box<InDoubt>),
    /// The run is not what it was; each difference in words. Nothing was sent.
    Changed(Vec<String>),
    /// Gone again, the run did not go the way that is recorded; with the first difference. Nothing was sent.
    Astray(String),
}

/// Goes on with a run of which `recorded` is the record, oldest first; the world's journal writes behind it.
///
/// The run is gone again from its beginning, and what is recorded is taken from the record: answers, values, approvals,
/// results. Nothing is asked or sent twice. A change that was intended and has no result is sent again where its class makes
/// that harmless; otherwise a person says what came of it, or it stays in doubt.
///
/// # Errors
/// The journal cannot be written.
pub async fn resume(
    program: Arc<Program>,
    runbook: RunbookId,
    arguments: Vec<(String, Value)>,
    world: World,
    recorded: &[Recorded],
) -> Result<Resumed, journal::Error> {
    let (replay, past) = match Replay::of(recorded) {
        Ok(known) => known,
        Err(why) => return Ok(Resumed::Changed(vec![why])),
    };
    let mut world = world;
    if world.consent.emergency.is_none() {
        world.consent.emergency = overridden(recorded);
    }
    let run = Run::going_on(program, runbook, world, replay, past);
    if let Some((_, before)) = run.replay.peek() {
        let mut frame = Frame::outermost(&run, runbook);
        frame.set_parameters(arguments.clone());
        let mut changed = differences(&before, &frame.started());
        if let Err(because) = run.may_go_on() {
            changed.push(format!(
                "the policy does not let {} go on with it: {because}",
                run.operator().name
            ));
        }
        if !changed.is_empty() {
            return Ok(Resumed::Changed(changed));
        }
    }
    match go(&run, runbook, arguments).await {
        Ok(ended) => Ok(Resumed::Ended(ended)),
        Err(Halt::Journal(error)) => Err(error),
        Err(Halt::Astray(why)) => Ok(Resumed::Astray(why)),
        Err(Halt::Doubt(doubt)) => Ok(Resumed::InDoubt(doubt)),
    }
}

/// The override under which the run was started.
fn overridden(recorded: &[Recorded]) -> Option<Emergency> {
    recorded.iter().find_map(|entry| match &entry.event {
        Some(Event::Overridden {
            reason,
            ticket,
            lasts_seconds,
            ..
        }) => Some(Emergency {
            reason: reason.clone(),
            ticket: ticket.clone(),
            lasts: std::time::Duration::from_secs(*lasts_seconds),
        }),
        _ => None,
    })
}

/// Goes the straight way to its end, with the background beside it.
pub(super) async fn go(run: &Run, runbook: RunbookId, arguments: Vec<(String, Value)>) -> Result<Ended, Halt> {
    let mut frame = Frame::outermost(run, runbook);
    let straight = async {
        let ended = frame.run_outermost(arguments).await;
        run.stopped.send_replace(true);
        ended
    };
    let (ended, ()) = futures::future::join(straight, run.background()).await;
    ended
}

/// What is not as it was when the run began, in words.
fn differences(before: &Event, now: &Event) -> Vec<String> {
    let (
        Event::RunStarted {
            runbook: old_book,
            digests: old_digests,
            environment: old_environment,
            tool_version: old_tool,
            dry_run: old_dry,
            basis: old_basis,
            ..
        },
        Event::RunStarted {
            runbook,
            digests,
            environment,
            tool_version,
            dry_run,
            basis,
            ..
        },
    ) = (before, now)
    else {
        return vec!["the record does not begin with the start of a run".to_owned()];
    };
    let mut found = Vec::new();
    if old_book != runbook {
        found.push(format!("the runbook is `{runbook}`, it was `{old_book}`"));
    }
    for (name, digest) in old_digests {
        match digests.get(name) {
            Some(now) if now == digest => {}
            Some(now) => found.push(format!(
                "the text of {name} was changed: its SHA-256 is {}, it was {}",
                short(now),
                short(digest)
            )),
            None => found.push(format!("the text {name} is not used any more")),
        }
    }
    for name in digests.keys().filter(|name| !old_digests.contains_key(*name)) {
        found.push(format!("the text {name} was not used then"));
    }
    if old_environment != environment {
        found.push(format!("the environment is {environment}, it was {old_environment}"));
    } else if old_basis.environment != basis.environment {
        found.push(format!(
            "what the configuration says of the environment {environment} was changed (severities or fields of resources)"
        ));
    }
    if old_basis.policy != basis.policy {
        let shown = |digest: &str| match digest {
            "" => "none".to_owned(),
            digest => short(digest).to_owned(),
        };
        found.push(format!(
            "the policy was changed: its SHA-256 is {}, it was {}",
            shown(&basis.policy),
            shown(&old_basis.policy)
        ));
    }
    if major(old_tool) != major(tool_version) {
        found.push(format!("this is starr {tool_version}, it was {old_tool}"));
    }
    if old_dry != dry_run {
        found.push("a dry run cannot become a run, nor a run a dry run".to_owned());
    }
    inputs(old_basis, basis, &mut found);
    found
}

fn inputs(before: &Basis, now: &Basis, found: &mut Vec<String>) {
    for (name, value) in &before.inputs {
        match now.inputs.iter().find(|(other, _)| other == name) {
            Some((_, now)) if now == value => {}
            Some(_) => found.push(format!("the parameter `{name}` has another value")),
            None => found.push(format!("there is no parameter `{name}` any more")),
        }
    }
    for (name, _) in &now.inputs {
        if before.inputs.iter().all(|(other, _)| other != name) {
            found.push(format!("the parameter `{name}` was not there then"));
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// What may not change while a run is under way: the major version, before 1.0 the minor one.
fn major(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some("0"), Some(minor)) => format!("0.{minor}"),
        (Some(major), _) => major.to_owned(),
        _ => version.to_owned(),
    }
}
