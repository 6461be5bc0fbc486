//! One seed drives a whole run and its misfortunes: what the providers answer, lose and delay, what people say and when, the clock,
//! and where the process ends — at which write of the journal, or between an intent and its change — again and again.
//! `STARR_SEEDS` says how many seeds; `scripts/simulate` runs ten thousand.

use super::invariants::{Dice, busy, verifiable, wild};
use super::resume::{coherent_events, honest, key};
use super::stage::Stage;
use starr::engine::Resumed;
use starr::journal::Event;
use starr::journal::event::{Fate, Purpose, ResultKind};
use std::collections::BTreeMap;

/// What holds after every run, however often its process ended.
fn keeps_its_promises(stage: &Stage, seed: u64) {
    kept(stage, &stage.journal.inner.events(), &format!("seed {seed}"));
}

/// The same of what something else recorded.
pub fn kept(stage: &Stage, events: &[(String, Event)], what: &str) {
    coherent_events(events, what);
    approved(events, what);
    let mut intended: BTreeMap<String, usize> = BTreeMap::new();
    let mut again: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    for (_, event) in events {
        match event {
            Event::Intent {
                id,
                operation,
                arguments,
                ..
            } => {
                let texts: Vec<_> = arguments
                    .iter()
                    .map(|(name, value)| (name.clone(), value.text().to_owned()))
                    .collect();
                let key = key(operation, &texts);
                *intended.entry(key.clone()).or_default() += 1;
                keys.insert(id.clone(), key);
            }
            Event::Settled {
                id, fate: Fate::Again, ..
            } => *again.entry(keys[id].clone()).or_default() += 1,
            Event::Result {
                id,
                outcome: ResultKind::Failed,
                ..
            } => failed.extend(keys.get(id).cloned()),
            _ => {}
        }
    }
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    for seen in stage.backend.sent.lock().unwrap().iter() {
        *sent.entry(seen.what.clone()).or_default() += 1;
    }
    for (change, count) in &sent {
        // P1: nothing without an intent, or without a word that it did not happen. P2: nothing of this world may be repeated.
        let of = |counts: &BTreeMap<String, usize>| counts.get(change).copied().unwrap_or_default();
        let intents = of(&intended) + of(&again);
        assert!(
            *count <= intents,
            "{what}: `{change}` was sent {count} times on {intents} intents"
        );
        if change.starts_with("fix ") {
            assert_eq!(*count, 1, "{what}: `{change}`");
        }
    }
    // P3: what happened is never recorded as failed, and what the target can be asked about happens once.
    let done = stage.backend.done();
    let grown = done.iter().filter(|change| change.starts_with("grow ")).count();
    assert!(grown <= 1, "{what}: {done:?}");
    for change in done {
        assert!(
            !failed.contains(&change),
            "{what}: `{change}` happened and is recorded as failed"
        );
    }
}

/// P8: what was sent was approved: the digest of each intent was asked for and approved before it, for this action and no other,
/// and no more after it was refused. P5: a dry run intends nothing.
fn approved(events: &[(String, Event)], what: &str) {
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    for (_, event) in events {
        match event {
            Event::ApprovalRequested { action, digest, .. } => {
                assert_eq!(
                    asked.insert(digest, action),
                    None,
                    "{what}: {digest} was asked for twice"
                );
                open.insert(digest, false);
            }
            Event::Approved { action, digest, .. } => {
                assert_eq!(asked.get(digest.as_str()), Some(&action.as_str()), "{what}: {digest}");
                open.insert(digest, true);
            }
            Event::NotApproved { digest, .. } => {
                open.insert(digest, false);
            }
            Event::Intent {
                approval: Some(digest),
                action,
                purpose,
                ..
            } => {
                assert_eq!(asked.get(digest.as_str()), Some(&action.as_str()), "{what}: {digest}");
                assert!(
                    open[digest.as_str()] || *purpose == Purpose::Undo,
                    "{what}: `{action}` was intended without an approval"
                );
            }
            Event::Intent { action, purpose, .. } => {
                assert_eq!(*purpose, Purpose::Tell, "{what}: `{action}` has no approval");
            }
            _ => {}
        }
    }
}

/// How the run of a seed ended, and in how many processes.
async fn simulate(seed: u64, text: &str) -> (String, usize) {
    let program = super::program(text);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d);
    let mut setup = wild(seed);
    setup.fail_at = (dice.roll(8) > 0).then(|| 1 + dice.roll(60) as usize);
    let stage = setup.stage();
    let mut processes = 1;
    let mut came = stage.begin(&program).await;
    while came.is_err() {
        keeps_its_promises(&stage, seed);
        processes += 1;
        assert!(processes < 100, "seed {seed} does not come to an end");
        let steps = *stage.journal.steps.lock().unwrap();
        *stage.journal.at.lock().unwrap() =
            (processes < 12 && dice.roll(2) == 0).then(|| steps + 1 + dice.roll(30) as usize);
        // Some time passes until somebody goes on; sometimes more than the timebox.
        let away = [0, 30, 600, 7200][dice.roll(4) as usize];
        let pause = starr::engine::world::Clock::sleep(&*stage.clock, std::time::Duration::from_secs(away));
        stage.clock.drive(pause).await;
        // Sometimes nobody knows what came of a change; sooner or later somebody looks.
        if dice.roll(3) == 0 && processes < 12 {
            *stage.crowd.fates.lock().unwrap() = None;
        } else {
            honest(&stage);
        }
        let before = stage.backend.sent.lock().unwrap().len();
        came = match stage.resume(&program).await {
            Ok(Resumed::Ended(ended)) => Ok(ended),
            Ok(Resumed::InDoubt(_)) => {
                // A page may be sent by the clock meanwhile; the change that is in doubt is not.
                let sent = stage.backend.sent.lock().unwrap()[before..].to_vec();
                assert!(
                    sent.iter().all(|seen| !seen.what.starts_with("fix ")),
                    "seed {seed}: {sent:?}"
                );
                Err(starr::journal::Error {
                    message: "in doubt".to_owned(),
                })
            }
            Ok(other) => panic!("seed {seed}: {other:?}\n{:#?}", stage.journal.inner.events()),
            Err(error) => Err(error),
        };
    }
    keeps_its_promises(&stage, seed);
    let ended = came.unwrap();
    assert_eq!(
        stage
            .journal
            .inner
            .events()
            .iter()
            .filter(|(_, event)| matches!(event, Event::Ended { .. }))
            .count(),
        1,
        "seed {seed}"
    );
    (ended.outcome.word().to_owned(), processes)
}

/// Every third seed has a change of class V.
fn text_of(seed: u64) -> String {
    if seed.is_multiple_of(3) { verifiable() } else { busy() }
}

#[tokio::test]
async fn whatever_happens_and_wherever_it_ends_a_run_keeps_its_promises() {
    let seeds: u64 = std::env::var("STARR_SEEDS").map_or(1_000, |seeds| seeds.parse().unwrap());
    let first: u64 = std::env::var("STARR_FIRST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut processes = 0;
    for seed in first..first + seeds {
        let (outcome, count) = simulate(seed, &text_of(seed)).await;
        *outcomes.entry(outcome).or_default() += 1;
        processes += count;
    }
    println!("{seeds} seeds, {processes} processes: {outcomes:?}");
    assert!(
        seeds < 300 || processes as u64 > seeds + seeds / 5,
        "too few processes ended early: {processes}"
    );
    for expected in ["resolved", "escalated", "stopped", "in doubt", "refused", "not present"] {
        assert!(
            seeds < 300 || outcomes.contains_key(expected),
            "{expected} never happened: {outcomes:?}"
        );
    }
}

#[tokio::test]
async fn a_seed_is_the_same_every_time() {
    for seed in 0..20 {
        let text = text_of(seed);
        assert_eq!(simulate(seed, &text).await, simulate(seed, &text).await, "seed {seed}");
    }
}
