//! A run whose process ended goes on: nothing is asked or sent again that is recorded, and nothing is guessed.

use super::stage::Stage;
use super::{Setup, book, cause, flag};
use starr::engine::Resumed;
use starr::engine::world::InDoubt;
use starr::journal::Event;
use starr::journal::event::{Fate, Purpose};
use starr::value::Value;
use std::collections::BTreeMap;

/// What was done, as the backend names it: `fix a`.
pub fn key(operation: &str, arguments: &[(String, String)]) -> String {
    let word = operation.rsplit('.').next().unwrap_or_default();
    match arguments.first() {
        Some((_, first)) => format!("{word} {first}"),
        None => word.to_owned(),
    }
}

/// A person who looks at the target and says what is true.
pub fn honest(stage: &Stage) {
    let journal = stage.journal.clone();
    honest_about(stage, move || journal.inner.events());
}

/// The same, where something else records.
pub fn honest_about(stage: &Stage, events: impl Fn() -> Vec<(String, Event)> + Send + Sync + 'static) {
    let backend = stage.backend.clone();
    *stage.crowd.fates.lock().unwrap() = Some(Box::new(move |doubt: &InDoubt| {
        let wanted = key(&doubt.operation, &doubt.arguments);
        let sent = backend
            .sent
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.what == wanted)
            .count();
        let known = events()
            .iter()
            .filter(|(_, event)| match event {
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
                    *id != doubt.id && key(operation, &texts) == wanted
                }
                _ => false,
            })
            .count();
        Some(if sent > known { Fate::Done } else { Fate::NotDone })
    }));
}

/// How often each change that may not be repeated was sent.
fn unrepeatable(stage: &Stage) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for seen in stage.backend.sent.lock().unwrap().iter() {
        if seen.what.starts_with("fix ") || seen.what.starts_with("page ") || seen.what.starts_with("post ") {
            *counts.entry(seen.what.clone()).or_default() += 1;
        }
    }
    counts
}

/// Every record is one: intents are there once, each result has one, and nothing is in between.
pub fn coherent(stage: &Stage, what: &str) {
    coherent_events(&stage.journal.inner.events(), what);
}

pub fn coherent_events(events: &[(String, Event)], what: &str) {
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let mut ended = 0;
    for (_, event) in events.iter().cloned() {
        match event {
            Event::Intent { id, .. } => assert_eq!(open.insert(id.clone(), 0), None, "{what}: the intent {id} twice"),
            Event::Result { id, .. } => {
                let results = open
                    .get_mut(&id)
                    .unwrap_or_else(|| panic!("{what}: the result {id} without an intent"));
                *results += 1;
                assert_eq!(*results, 1, "{what}: {id} has two results");
            }
            Event::Ended { .. } => ended += 1,
            _ => {}
        }
    }
    assert!(ended <= 1, "{what}: it ended {ended} times");
}

/// The straight way of a record: what it did, without what the background may do at any time.
fn story(events: &[(String, Event)]) -> Vec<String> {
    events
        .iter()
        .filter_map(|(scope, event)| {
            let what = match event {
                Event::Cause { name, answer, .. } => format!("cause {name} {}", answer.word()),
                Event::Arm { arm, .. } => format!("arm {arm}"),
                Event::ActionStarted { name, .. } => format!("started {name}"),
                Event::ActionEnded { name, outcome, .. } => format!("{name} {outcome}"),
                Event::Approved { action, by, .. } => format!("approved {action} by {}", by.name),
                Event::Goal { answer, .. } => format!("goal {}", answer.word()),
                Event::Ended { outcome, .. } => format!("ended {outcome}"),
                _ => return None,
            };
            Some(format!("{scope} {what}"))
        })
        .collect()
}

/// Ends the process at every step of a run, and goes on.
pub async fn crash_everywhere(make: impl Fn() -> Setup, text: &str) -> usize {
    let program = super::program(text);
    let whole = make().stage();
    let ended = whole.begin(&program).await.unwrap();
    let steps = *whole.journal.steps.lock().unwrap();
    let expected = unrepeatable(&whole);
    for k in 1..=steps {
        let stage = make().stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        assert!(stage.begin(&program).await.is_err(), "step {k}");
        *stage.journal.at.lock().unwrap() = None;
        honest(&stage);
        let asked = stage.crowd.asked.lock().unwrap().len();
        let came = stage.resume(&program).await.unwrap();
        let what = format!("step {k} of {steps}");
        let Resumed::Ended(now) = came else {
            panic!("{what}: {came:?}\n{:#?}", stage.journal.inner.events());
        };
        coherent(&stage, &what);
        assert_eq!(
            now.outcome,
            ended.outcome,
            "{what}\n{:#?}",
            stage.journal.inner.events()
        );
        assert_eq!(now.severity, ended.severity, "{what}");
        for (change, count) in unrepeatable(&stage) {
            assert!(count <= 1, "{what}: `{change}` was sent {count} times");
            // A page or message that may have been delivered is not sent again, so one that was not is missing.
            if change.starts_with("fix ") {
                assert_eq!(Some(&count), expected.get(&change), "{what}: {change}");
            }
        }
        assert_eq!(
            story(&stage.journal.inner.events()),
            story(&whole.journal.inner.events()),
            "{what}"
        );
        // Nobody is asked again what is recorded.
        let asked_again: Vec<_> = stage.crowd.asked.lock().unwrap()[asked..].to_vec();
        let approved = stage.journal.inner.events();
        let approvals = approved
            .iter()
            .filter(|(_, event)| matches!(event, Event::Approved { .. }))
            .count();
        assert!(approvals <= whole.journal.inner.events().len(), "{asked_again:?}");
    }
    steps
}

/// A run with reads, a page, approvals, two changes, an undo, a goal, and an end.
fn busy() -> String {
    book(&format!(
        r##"situation {{
  symptom bad "Bad?" {{
    read value = demo.flag("a")
    yes when value
  }}
  severity {{
    sev2 when bad
    sev2 when cannot tell
    sev3 otherwise
  }}
}}
task {{
  goal not bad
}}
check a_flag "Is a set?" {{
  read value = demo.flag("a")
  yes when value
}}
check seen "Do people complain?" observed
{}branch "What is it?" {{
{}{}  otherwise or cannot tell {{
    escalate
  }}
}}
require not b_flag or seen else escalate
tell chat.post("#inc", "behind")
result {{
  escalation matrix
}}
reflection {{
  prevent "Something" by "team" in 1 d
  ask "What was hard?"
}}
"##,
        flag("b_flag"),
        cause("b", "b_flag and seen", "undo, next cause"),
        cause("a", "a_flag", "undo, next cause"),
    ))
}

fn world() -> Setup {
    Setup::new()
        .until_fixed("a")
        .flag("b_flag", true)
        .takes("fix", 20)
        .takes("flag", 3)
        .observes("seen", &[(5, Some(true))])
        .approves("fix_a", "otto", 40)
}

#[tokio::test]
async fn a_run_goes_on_from_every_step_as_if_it_had_never_ended() {
    let steps = crash_everywhere(world, &busy()).await;
    assert!(steps > 30, "{steps}");
}

#[tokio::test]
async fn loops_children_and_old_values_go_on_too() {
    let each = book(
        r##"read names = demo.names()
each name in names at most 10 in batches of 1, 2 {
  check good "Is {name} good?" {
    read value = demo.flag(name)
    yes when value
  }
  action mend "Mend {name}" {
    risk    low
    approve by oncall within 5 min
    do      demo.parts.fix(name)
    undo    none because "it is harmless"
    verify  good within 2 min every 30 s
    failed  -> next step
    unclear -> keep, escalate
  }
}
check late "Late?" {
  read value = demo.flag("late")
  yes when value
}
wait until late within 10 min every 30 s else escalate
tell chat.post("end", "behind")
"##,
    );
    let make = || {
        Setup::new()
            .given("names", |_| Value::list(["n0", "n1", "n2"].map(Value::text).to_vec()))
            .given("flag late", |past| Value::Bool(past.minutes() >= 4))
            .given("flag", |past| Value::Bool(past.asked % 3 == 2))
            .takes("fix", 10)
    };
    crash_everywhere(make, &each).await;
}

fn resize(undo: &str) -> String {
    book(&format!(
        r##"read size = demo.size()
check wide "Wide?" {{
  read now = demo.size()
  yes when now.now > 5
}}
action widen "Widen it" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.set(to: size.now + 5)
  undo    restore{undo}
  verify  wide within 1 min every 30 s
  failed  -> undo, escalate
}}
wait until wide for 3 min within 5 min every 30 s else escalate
tell chat.post("end", "behind")
"##
    ))
}

fn sized() -> Setup {
    Setup::new().takes("set", 2).given("size", |past| {
        let last = past.done.iter().rev().find_map(|done| done.strip_prefix("set "));
        let now = last.map_or(5, |last| last.parse().unwrap());
        Value::record("Size", vec![("now", Value::Int(now))])
    })
}

#[tokio::test]
async fn an_undo_that_waits_for_its_time_survives() {
    let text = resize(" after 8 min");
    crash_everywhere(sized, &text).await;
    // While no process is there the time goes on: the undo is run at once when it is overdue.
    let program = super::program(&text);
    let mut scheduled = None;
    for k in 1.. {
        let stage = sized().stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        assert!(stage.begin(&program).await.is_err());
        let events = stage.journal.inner.events();
        if events.iter().any(|(_, event)| event.kind() == "undo_scheduled") {
            scheduled = Some(stage);
            break;
        }
    }
    let stage = scheduled.unwrap();
    stage
        .clock
        .drive(starr::engine::world::Clock::sleep(
            &*stage.clock,
            std::time::Duration::from_secs(1200),
        ))
        .await;
    *stage.journal.at.lock().unwrap() = None;
    let Resumed::Ended(_) = stage.resume(&program).await.unwrap() else {
        panic!("{:#?}", stage.journal.inner.events());
    };
    let sent = stage.backend.sent.lock().unwrap().clone();
    let undone = sent.iter().find(|seen| seen.what == "set 5").unwrap();
    assert!(undone.at.as_secs() < 1200 + 300, "{sent:?}");
}

/// The row of a severity is sent while that severity is known, and a failed undo raises it afterwards.
#[tokio::test]
async fn a_message_that_was_intended_keeps_its_words_when_the_severity_is_another_by_now() {
    let text = book(&format!(
        r##"situation {{
  symptom bad "Bad?" {{
    read value = demo.flag("a")
    yes when value
  }}
  severity {{
    sev2 when bad
    sev2 when cannot tell
    sev3 otherwise
  }}
}}
task {{
  goal not bad
}}
{}{}wait until late within 30 min every 1 min else escalate
branch "What is it?" {{
{}  otherwise or cannot tell {{
    escalate
  }}
}}
result {{
  escalation matrix
}}
"##,
        flag("late"),
        flag("b_flag"),
        cause("b", "b_flag", "undo, next cause"),
    ));
    let make = || {
        Setup::new()
            .flag("a", true)
            .flag("b_flag", true)
            .given("flag late", |past| Value::Bool(past.minutes() >= 21))
            .fails("fix un-b")
    };
    let whole = make().stage();
    let ended = whole.begin(&super::program(&text)).await.unwrap();
    assert_eq!(ended.severity.as_deref(), Some("sev1"));
    let told = |events: &[(String, Event)]| {
        let told = events.iter().filter_map(|(_, event)| match event {
            Event::Told {
                operation, arguments, ..
            } => Some((operation.clone(), arguments.clone())),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    let everything = told(&whole.journal.inner.events());
    let posted = everything
        .iter()
        .find(|(operation, _)| operation == "chat.post")
        .unwrap();
    assert_eq!(posted.1[1].1, "sev2");
    let steps = *whole.journal.steps.lock().unwrap();
    for k in 1..=steps {
        let stage = make().stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        assert!(stage.begin(&super::program(&text)).await.is_err());
        *stage.journal.at.lock().unwrap() = None;
        let last = stage.journal.inner.events().pop();
        if matches!(
            last,
            Some((
                _,
                Event::Intent {
                    purpose: Purpose::Undo,
                    ..
                }
            ))
        ) {
            // Whoever looks cannot see that it was refused, and the run ends in another way.
            continue;
        }
        honest(&stage);
        let Resumed::Ended(now) = stage.resume(&super::program(&text)).await.unwrap() else {
            panic!("step {k}: {:#?}", stage.journal.inner.events())
        };
        assert_eq!(
            (now.outcome, now.severity),
            (ended.outcome.clone(), ended.severity.clone()),
            "step {k}"
        );
        coherent(&stage, &format!("step {k}"));
        assert_eq!(told(&stage.journal.inner.events()), everything, "step {k}");
    }
}

/// One change that may not be repeated, without an approval.
fn once() -> String {
    book(
        r##"check good "Good?" {
  read value = demo.flag("good")
  yes when value
}
action mend "Mend it" {
  risk    low
  approve by oncall within 5 min
  do      demo.parts.fix("x")
  undo    none because "it is harmless"
  verify  good within 2 min every 30 s
  failed  -> escalate
}
"##,
    )
}

/// A run that was killed after the effect and before its result was recorded (A-CR-1).
async fn killed_after_the_effect() -> Stage {
    let program = super::program(&once());
    let whole = Setup::new().flag("good", true).stage();
    whole.begin(&program).await.unwrap();
    let events = whole.journal.inner.events();
    let result = events
        .iter()
        .position(|(_, event)| matches!(event, Event::Result { .. }))
        .unwrap();
    for k in 1.. {
        let stage = Setup::new().flag("good", true).stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        assert!(stage.begin(&program).await.is_err());
        *stage.journal.at.lock().unwrap() = None;
        let sent = stage.backend.sent.lock().unwrap().len();
        if sent == 1 && stage.journal.inner.events().len() == result {
            return stage;
        }
    }
    unreachable!("some step lies between the effect and its result")
}

#[tokio::test]
async fn a_cr_1_nobody_who_knows_leaves_it_in_doubt_and_nothing_is_sent() {
    let program = super::program(&once());
    let stage = killed_after_the_effect().await;
    let before = stage.journal.inner.events();
    for _ in 0..3 {
        let came = stage.resume(&program).await.unwrap();
        let Resumed::InDoubt(doubt) = came else {
            panic!("{came:?}")
        };
        assert_eq!(doubt.id, "test-run/1");
        assert_eq!(doubt.class, 'U');
        assert_eq!(stage.journal.inner.events(), before, "nothing is claimed");
        assert_eq!(stage.backend.sent.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_cr_1_a_person_says_that_it_happened_and_it_is_recorded() {
    let program = super::program(&once());
    let stage = killed_after_the_effect().await;
    honest(&stage);
    let Resumed::Ended(ended) = stage.resume(&program).await.unwrap() else {
        panic!()
    };
    assert_eq!(ended.outcome.word(), "resolved");
    assert_eq!(stage.backend.sent.lock().unwrap().len(), 1);
    let events = stage.journal.inner.events();
    let settled: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Settled { fate, by, .. } => Some((*fate, by.clone().map(|by| by.name))),
            _ => None,
        })
        .collect();
    assert_eq!(settled, [(Fate::Done, Some("ann".to_owned()))]);
    coherent(&stage, "settled");
}

#[tokio::test]
async fn what_did_not_happen_is_asked_again_and_then_sent_once() {
    let program = super::program(&once());
    for k in 1..20 {
        let stage = Setup::new().flag("good", true).stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        if stage.begin(&program).await.is_ok() {
            break;
        }
        *stage.journal.at.lock().unwrap() = None;
        let intended = stage
            .journal
            .inner
            .events()
            .iter()
            .any(|(_, event)| event.kind() == "intent");
        if !intended || !stage.backend.sent.lock().unwrap().is_empty() {
            continue;
        }
        honest(&stage);
        let Resumed::Ended(ended) = stage.resume(&program).await.unwrap() else {
            panic!()
        };
        assert_eq!(ended.outcome.word(), "resolved");
        assert_eq!(stage.backend.sent.lock().unwrap().len(), 1);
        return;
    }
    panic!("no step lies between the intent and the effect");
}

#[tokio::test]
async fn a_run_that_is_not_what_it_was_is_refused_and_says_what_changed() {
    let program = super::program(&once());
    let stage = killed_after_the_effect().await;
    honest(&stage);
    let before = stage.journal.inner.events();
    let other = super::program(&once().replace("2 min every", "3 min every"));
    let came = stage.resume(&other).await.unwrap();
    let Resumed::Changed(changed) = came else {
        panic!("{came:?}")
    };
    assert_eq!(changed.len(), 1);
    assert!(
        changed[0].starts_with("the text of test.starr was changed: its SHA-256 is "),
        "{changed:?}"
    );
    let mut stage = stage;
    stage.arguments = vec![("nobody".to_owned(), Value::Int(1))];
    assert!(
        matches!(stage.resume(&program).await.unwrap(), Resumed::Ended(_)),
        "what is no parameter is no input"
    );
    assert_eq!(stage.backend.sent.lock().unwrap().len(), 1);
    assert!(stage.journal.inner.events().len() > before.len());
}

/// What the journal records of itself is no step of the run.
#[tokio::test]
async fn a_run_whose_checkpoint_was_not_kept_goes_on() {
    let program = super::program(&once());
    let stage = killed_after_the_effect().await;
    let missed = Event::AnchorFailed {
        place: "a shelf".to_owned(),
        size: 3,
        because: "it cannot be reached".to_owned(),
    };
    starr::journal::Journal::append(&stage.journal.inner, "", &missed)
        .await
        .unwrap();
    honest(&stage);
    let came = stage.resume(&program).await.unwrap();
    assert!(matches!(came, Resumed::Ended(_)), "{came:?}");
}

#[tokio::test]
async fn a_run_may_end_again_and_again() {
    let program = super::program(&busy());
    let whole = world().stage();
    let ended = whole.begin(&program).await.unwrap();
    // Each process gets at least as far as sending what was in doubt and did not happen.
    for every in 5..12 {
        let stage = world().stage();
        honest(&stage);
        *stage.journal.at.lock().unwrap() = Some(every);
        let mut came = stage.begin(&program).await;
        let mut processes = 1;
        while came.is_err() {
            processes += 1;
            assert!(processes < 200);
            *stage.journal.at.lock().unwrap() = Some(*stage.journal.steps.lock().unwrap() + every + 1);
            came = match stage.resume(&program).await {
                Ok(Resumed::Ended(ended)) => Ok(ended),
                Ok(other) => panic!("{every}: {other:?}"),
                Err(error) => Err(error),
            };
        }
        assert_eq!(came.unwrap().outcome, ended.outcome, "{every}");
        coherent(&stage, &format!("every {every}"));
        for (change, count) in unrepeatable(&stage) {
            assert!(count <= 1, "{every}: `{change}` was sent {count} times");
        }
    }
}
