//! Changes in doubt of which the target can be asked (class V): the check that their operation names is asked before anything is
//! sent again, and before any person.

use super::resume::{coherent, honest};
use super::stage::Stage;
use super::{Setup, book, flag};
use starr::engine::Resumed;
use starr::journal::Event;
use starr::journal::event::Fate;
use starr::value::Value;

/// A change that the target can be asked about, its undo, and a message of the same kind.
fn text() -> String {
    let good = flag("good");
    book(&format!(
        r##"{good}action grow "Grow it" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.grow("x")
  undo    demo.parts.grow("un-x") at end
  verify  good within 2 min every 30 s
  failed  -> escalate
}}
tell chat.mark("board")
tell chat.post("#inc", "{{run.evidence}}")
result {{
  escalation matrix
}}
"##
    ))
}

/// The target says what is true.
fn world() -> Setup {
    let truth = |change: &'static str| move |past: &super::fake::Past<'_>| Value::Bool(past.did(change));
    Setup::new()
        .flag("good", true)
        .given("flag grown x", truth("grow x"))
        .given("flag grown un-x", truth("grow un-x"))
        .given("flag marked board", truth("mark board"))
}

/// Nobody can tell what is true.
fn silent() -> Setup {
    Setup::new()
        .flag("good", true)
        .silent("grown x")
        .silent("grown un-x")
        .silent("marked board")
}

/// Runs until the journal fails at its k-th step, and says how often the change was sent by then. `None`: it came to its end.
async fn killed(setup: Setup, k: usize) -> Option<Stage> {
    let stage = setup.stage();
    *stage.journal.at.lock().unwrap() = Some(k);
    let came = stage.begin(&super::program(&text())).await;
    *stage.journal.at.lock().unwrap() = None;
    came.is_err().then_some(stage)
}

fn sent(stage: &Stage, what: &str) -> usize {
    let sent = stage.backend.sent.lock().unwrap();
    sent.iter().filter(|seen| seen.what == what).count()
}

/// The stage as a process left it that was killed with this change intended, without its result, and sent so often.
async fn left(make: impl Fn() -> Setup, change: &str, count: usize) -> Stage {
    for k in 1..200 {
        let stage = killed(make(), k).await.expect("some step lies there");
        let events = stage.journal.inner.events();
        let open = matches!(events.last(), Some((_, Event::Intent { arguments, .. }))
            if change.split_once(' ').is_some_and(|(_, target)| target == arguments[0].1.text()));
        if open && sent(&stage, change) == count {
            return stage;
        }
    }
    panic!("no step lies there");
}

fn settled(stage: &Stage) -> Vec<(Fate, String, bool)> {
    let events = stage.journal.inner.events();
    let settled = events.iter().filter_map(|(_, event)| match event {
        Event::Settled { fate, how, by, .. } => Some((*fate, how.clone(), by.is_some())),
        _ => None,
    });
    settled.collect()
}

fn asked(stage: &Stage) -> usize {
    let asked = stage.crowd.asked.lock().unwrap();
    asked.iter().filter(|seen| seen.what.starts_with("in doubt")).count()
}

async fn goes_on(stage: &Stage) {
    let came = stage.resume(&super::program(&text())).await.unwrap();
    let Resumed::Ended(ended) = came else {
        panic!("{came:?}\n{:#?}", stage.journal.inner.events())
    };
    assert_eq!(ended.outcome.word(), "resolved");
    coherent(stage, "it went on");
}

const CHANGES: [(&str, &str); 3] = [
    ("grow x", "its check `team.grown`"),
    ("grow un-x", "its check `team.grown`"),
    ("mark board", "its check `team.grown_mark`"),
];

#[tokio::test]
async fn what_the_target_says_has_happened_is_not_sent_again_and_nobody_is_asked() {
    for (change, how) in CHANGES {
        let stage = left(world, change, 1).await;
        goes_on(&stage).await;
        assert_eq!((sent(&stage, change), asked(&stage)), (1, 0), "{change}");
        assert_eq!(settled(&stage), [(Fate::Done, how.to_owned(), false)], "{change}");
    }
}

#[tokio::test]
async fn what_the_target_says_has_not_happened_is_asked_again_and_sent_once() {
    for (change, how) in CHANGES {
        let stage = left(world, change, 0).await;
        let reads = stage.backend.reads.lock().unwrap().len();
        goes_on(&stage).await;
        assert_eq!((sent(&stage, change), asked(&stage)), (1, 0), "{change}");
        let again = (Fate::Again, "it did not happen".to_owned(), false);
        assert_eq!(
            settled(&stage),
            [(Fate::NotDone, how.to_owned(), false), again],
            "{change}"
        );
        let after = stage.backend.reads.lock().unwrap()[reads..].to_vec();
        let question = change.replace("grow ", "flag grown ").replace("mark ", "flag marked ");
        assert_eq!(after[0].what, question, "the target is asked first");
    }
}

#[tokio::test]
async fn where_the_target_does_not_know_a_person_says_so_or_it_stays_in_doubt() {
    let stage = left(silent, "grow x", 1).await;
    let before = stage.journal.inner.events();
    let came = stage.resume(&super::program(&text())).await.unwrap();
    let Resumed::InDoubt(doubt) = came else {
        panic!("{came:?}")
    };
    assert_eq!((doubt.class, asked(&stage)), ('V', 1));
    assert_eq!((stage.journal.inner.events(), sent(&stage, "grow x")), (before, 1));
    honest(&stage);
    goes_on(&stage).await;
    assert_eq!(settled(&stage), [(Fate::Done, "a person".to_owned(), true)]);
    // A message about which nobody knows is not sent again.
    let stage = left(silent, "mark board", 1).await;
    goes_on(&stage).await;
    assert_eq!((sent(&stage, "mark board"), settled(&stage)), (1, Vec::new()));
}

#[tokio::test]
async fn a_check_that_may_not_be_asked_says_nothing() {
    let mut stage = left(world, "grow x", 0).await;
    for grant in &mut stage.grants {
        grant.effects.retain(|effect| *effect != starr::provider::Effect::Read);
    }
    let came = stage.resume(&super::program(&text())).await.unwrap();
    assert!(matches!(came, Resumed::InDoubt(_)), "{came:?}");
    assert_eq!(sent(&stage, "grow x"), 0);
}

#[tokio::test]
async fn wherever_it_ends_twice_what_can_be_looked_up_happens_once() {
    let mut tried = 0;
    'first: for k in 1.. {
        for again in 1..40 {
            let Some(stage) = killed(world(), k).await else {
                break 'first;
            };
            let steps = *stage.journal.steps.lock().unwrap();
            *stage.journal.at.lock().unwrap() = Some(steps + again);
            let came = stage.resume(&super::program(&text())).await;
            *stage.journal.at.lock().unwrap() = None;
            let ended = came.is_ok();
            if !ended {
                goes_on(&stage).await;
            }
            let done = stage.backend.done();
            for (change, _) in CHANGES {
                let count = done.iter().filter(|what| *what == change).count();
                assert_eq!(count, 1, "{change}, killed at {k} and {again}: {done:?}");
                assert_eq!(sent(&stage, change), 1, "{change}, killed at {k} and {again}");
            }
            assert_eq!(asked(&stage), 0, "killed at {k} and {again}");
            // What was looked up is no answer of the runbook.
            let events = stage.journal.inner.events();
            assert!(
                events.iter().all(|(scope, event)| scope.is_empty()
                    && !matches!(event, Event::Answered { name, .. } | Event::Read { name, .. } if name.contains("grown"))),
                "{events:#?}"
            );
            tried += 1;
            if ended {
                break;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

/// A run that ended in doubt is settled by what the target says, too, with the arguments that are in the record.
#[tokio::test]
async fn a_run_that_ended_in_doubt_is_settled_by_the_target() {
    let text = || {
        text()
            .replace(&flag("good"), &format!("{}{}", flag("good"), flag("fine")))
            .replace("verify  good", "verify  fine")
            .replace("demo.parts.grow(\"un-x\") at end", "none because \"it is small\"")
            .replace("failed  -> escalate\n", "failed  -> escalate\n  unclear -> escalate\n")
    };
    let program = super::program(&text());
    let ended = |setup: Setup| async {
        let stage = setup.flag("good", true).silent("fine").unclear("grow x").stage();
        let ended = stage.begin(&program).await.unwrap();
        assert_eq!(ended.outcome.word(), "in doubt", "{:#?}", stage.journal.inner.events());
        assert_eq!(settled(&stage), []);
        stage
    };
    for (happened, fate, in_place) in [(true, Fate::Done, 1), (false, Fate::NotDone, 0)] {
        let setup = Setup::new().flag("grown x", happened);
        let stage = ended(setup).await;
        let done = stage.backend.done();
        let after = stage.settle(&program).await.unwrap().expect("nothing is in doubt");
        assert_eq!(after.outcome.word(), "stopped");
        assert_eq!(after.in_place.len(), in_place, "{:?}", after.in_place);
        assert_eq!(settled(&stage), [(fate, "its check `team.grown`".to_owned(), false)]);
        assert_eq!((asked(&stage), stage.backend.done()), (0, done));
    }
    // Where it does not know, where the text is another one, or where reading is not granted, people say so.
    let other = super::program(&text().replace("Grow it", "Grow it more"));
    for (setup, text, granted) in [
        (Setup::new().silent("grown x"), &program, true),
        (Setup::new().flag("grown x", true), &other, true),
        (Setup::new().flag("grown x", true), &program, false),
    ] {
        let mut stage = ended(setup).await;
        if !granted {
            for grant in &mut stage.grants {
                grant.effects.retain(|effect| *effect != starr::provider::Effect::Read);
            }
        }
        assert_eq!(stage.settle(text).await.unwrap(), None);
        assert_eq!((settled(&stage), asked(&stage)), (Vec::new(), 1));
    }
}
