//! A run changes hands, and time passes meanwhile: who goes on with it, what was consented to before, what has expired.

use super::consent::{Judge, emergency, freeze, text};
use super::outside::Dependency;
use super::resume::{coherent, crash_everywhere, honest};
use super::stage::Stage;
use super::{Setup, book, flag};
use starr::engine::Resumed;
use starr::engine::world::OnHeld;
use starr::journal::Event;
use starr::provider::policy::Asked;
use starr::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn setup() -> Setup {
    Setup::new().flag("good", true).approves("wipe", "otto", 10)
}

/// The process ends directly behind the first entry of this kind.
async fn ends_behind(make: impl Fn() -> Setup, text: &str, kind: &str) -> Stage {
    let program = super::program(text);
    for k in 1..200 {
        let stage = make().stage();
        *stage.journal.at.lock().unwrap() = Some(k);
        assert!(
            stage.begin(&program).await.is_err(),
            "it came to its end before `{kind}`"
        );
        *stage.journal.at.lock().unwrap() = None;
        if stage
            .journal
            .inner
            .events()
            .last()
            .is_some_and(|(_, event)| event.kind() == kind)
        {
            honest(&stage);
            return stage;
        }
    }
    panic!("`{kind}` never came");
}

async fn pass(stage: &Stage, seconds: u64) {
    let pause = starr::engine::world::Clock::sleep(&*stage.clock, Duration::from_secs(seconds));
    stage.clock.drive(pause).await;
}

fn fixes(stage: &Stage) -> usize {
    let sent = stage.backend.sent.lock().unwrap();
    sent.iter().filter(|seen| seen.what.starts_with("fix ")).count()
}

fn reasons(stage: &Stage) -> Vec<String> {
    let events = stage.journal.inner.events();
    let reason = |event: &Event| match event {
        Event::NotApproved { because, .. } => Some(because.clone()),
        _ => None,
    };
    events.iter().filter_map(|(_, event)| reason(event)).collect()
}

async fn ended(stage: &Stage, text: &str) -> String {
    match stage.resume(&super::program(text)).await.unwrap() {
        Resumed::Ended(ended) => ended.outcome.word().to_owned(),
        other => panic!("{other:?}\n{:#?}", stage.journal.inner.events()),
    }
}

#[tokio::test]
async fn somebody_else_goes_on_with_a_run_from_every_step_of_its_approval_on() {
    let text = text("oncall or dba");
    for kind in ["approval_requested", "approved", "intent", "result", "action_ended"] {
        let mut stage = ends_behind(setup, &text, kind).await;
        stage.operator = "bob".to_owned();
        assert_eq!(ended(&stage, &text).await, "resolved", "{kind}");
        assert_eq!(fixes(&stage), 1, "{kind}");
        coherent(&stage, kind);
        let approvals = stage.journal.inner.events();
        let approvals = approvals.iter().filter(|(_, event)| event.kind() == "approved").count();
        assert_eq!(approvals, 1, "{kind}: what was approved is approved");
    }
}

/// A-PO-1 with a run that changed hands: neither who started it nor who goes on with it can approve.
#[tokio::test]
async fn a_policy_of_four_eyes_excludes_who_started_a_run_and_who_goes_on_with_it() {
    let text = text("oncall or dba");
    for who in ["olga", "bob"] {
        let make = || {
            let mut setup = Setup::new().flag("good", true).approves("wipe", who, 10);
            setup.policy = Some(Judge::new(|request| match &request.asked {
                Asked::Approve { .. } if request.person == request.grounds.requester => Some("four eyes"),
                _ => None,
            }));
            setup
        };
        let mut stage = ends_behind(make, &text, "approval_requested").await;
        stage.operator = "bob".to_owned();
        assert_eq!(ended(&stage, &text).await, "refused", "{who}");
        assert_eq!(fixes(&stage), 0);
        assert_eq!(reasons(&stage), ["four eyes"], "{who}");
    }
}

#[tokio::test]
async fn what_was_approved_by_who_goes_on_with_it_stays_approved() {
    let text = text("oncall or dba");
    let make = || {
        let mut setup = setup();
        setup.policy = Some(Judge::new(|request| match &request.asked {
            Asked::Approve { .. } if request.person == request.grounds.requester => Some("four eyes"),
            _ => None,
        }));
        setup
    };
    let mut stage = ends_behind(make, &text, "approved").await;
    stage.operator = "otto".to_owned();
    assert_eq!(ended(&stage, &text).await, "resolved");
    assert_eq!(fixes(&stage), 1);
}

#[tokio::test]
async fn who_may_not_run_it_does_not_go_on_with_it() {
    let text = text("oncall or dba");
    let make = || {
        let mut setup = setup();
        let guest = |request: &starr::provider::policy::Request| {
            (request.asked.word() == "run" && request.person == "guest").then_some("guests do not run this")
        };
        setup.policy = Some(Judge::new(guest));
        setup
    };
    let mut stage = ends_behind(make, &text, "approved").await;
    let before = stage.journal.inner.events();
    stage.operator = "guest".to_owned();
    let came = stage.resume(&super::program(&text)).await.unwrap();
    let Resumed::Changed(changed) = came else {
        panic!("{came:?}")
    };
    assert_eq!(
        changed,
        ["the policy does not let guest go on with it: guests do not run this"]
    );
    assert_eq!((stage.journal.inner.events(), fixes(&stage)), (before, 0));
}

/// P4: the policy is one of the things that must be the same.
#[tokio::test]
async fn a_run_whose_policy_was_changed_does_not_go_on() {
    let text = text("oncall or dba");
    let make = || {
        let mut setup = setup();
        setup.policy = Some(Judge::new(|_| None));
        setup
    };
    let mut stage = ends_behind(make, &text, "approved").await;
    let before = stage.journal.inner.events();
    for (policy, says) in [
        (
            Some(Judge::of_version(8, |_| None)),
            "the policy was changed: its SHA-256 is 080808080808, it was 070707070707",
        ),
        (None, "the policy was changed: its SHA-256 is none, it was 070707070707"),
    ] {
        stage.policy = policy.map(|judge| judge as _);
        let came = stage.resume(&super::program(&text)).await.unwrap();
        let Resumed::Changed(changed) = came else {
            panic!("{came:?}")
        };
        assert_eq!(changed, [says]);
        assert_eq!((stage.journal.inner.events(), fixes(&stage)), (before.clone(), 0));
    }
    stage.policy = Some(Judge::new(|_| None));
    assert_eq!(ended(&stage, &text).await, "resolved");
}

fn under_an_override() -> Setup {
    let mut setup = setup().approves("emergency override", "sara", 60);
    setup.consent = emergency();
    setup.policy = Some(freeze());
    setup
}

#[tokio::test]
async fn a_run_under_an_override_goes_on_from_every_step() {
    let steps = crash_everywhere(under_an_override, &text("oncall or dba")).await;
    assert!(steps > 10, "{steps}");
}

#[tokio::test]
async fn an_override_that_has_expired_meanwhile_permits_nothing_more() {
    let text = text("oncall or dba");
    for (away, wall, outcome) in [(0, 0, "resolved"), (1900, 0, "refused"), (0, -3600, "refused")] {
        let stage = ends_behind(under_an_override, &text, "overridden").await;
        pass(&stage, away).await;
        stage.wall.set(wall);
        assert_eq!(
            ended(&stage, &text).await,
            outcome,
            "{away} s away, the clock set by {wall} s"
        );
        assert_eq!(fixes(&stage), usize::from(outcome == "resolved"));
    }
}

/// P8, P18: an approval has an age, and one whose age is not known has none that counts.
#[tokio::test]
async fn an_approval_expires_while_nobody_is_there() {
    let text = text("oncall or dba");
    for (away, wall, says) in [
        (14 * 60, 0, None),
        (16 * 60, 0, Some("it was given more than 15 min ago")),
        (60, -3600, Some("the clock was set back while nobody was there")),
        // Set forward, it may only be older than it is.
        (60, 1800, Some("it was given more than 15 min ago")),
    ] {
        let stage = ends_behind(setup, &text, "approved").await;
        pass(&stage, away).await;
        stage.wall.set(wall);
        let outcome = ended(&stage, &text).await;
        let what = format!("{away} s away, the clock set by {wall} s: {:?}", reasons(&stage));
        match says {
            None => assert_eq!((outcome.as_str(), fixes(&stage)), ("resolved", 1), "{what}"),
            Some(says) => {
                assert_eq!((outcome.as_str(), fixes(&stage)), ("refused", 0), "{what}");
                assert!(reasons(&stage)[0].contains(says), "{what}");
            }
        }
    }
}

/// A run whose evidence is a number, and in which a person is asked something first.
fn with_evidence(approval: &str) -> String {
    let good = flag("good");
    book(&format!(
        r##"{good}check many "Many?" {{
  read number = demo.number("n")
  yes when number > 0
}}
require many else escalate
ask who "Who?" within 20 min {{
  text
}}
tell chat.post("#inc", "for {{who}}")
action wipe "Wipe it" {{
  risk    low
  approve by oncall within {approval} seeing many.number
  do      demo.parts.fix("x")
  undo    none because "it is gone"
  verify  good within 1 min every 30 s
  failed  -> escalate
}}
result {{
  escalation matrix
}}
"##
    ))
}

fn asked(ran: &super::fake::Ran) -> Vec<u64> {
    let reads = ran.backend.reads.lock().unwrap();
    let numbers = reads.iter().filter(|seen| seen.what == "number n");
    numbers.map(|seen| seen.at.as_secs()).collect()
}

#[tokio::test]
async fn evidence_that_is_too_old_is_asked_again_before_anybody_decides_and_before_it_is_sent() {
    let make = |wait: u64, approval: u64| {
        let number = |past: &super::fake::Past<'_>| Value::Int(1 + i64::try_from(past.asked).unwrap());
        let setup = Setup::new().flag("good", true).given("number n", number);
        setup
            .crowd
            .answers
            .lock()
            .unwrap()
            .insert("who".to_owned(), vec![(wait, "me".to_owned())]);
        setup.approves("wipe", "otto", approval)
    };
    let text = with_evidence("14 min");
    // Young evidence is shown as it is; what the change rests on is asked again in any case.
    let ran = make(60, 10).run(&text).await;
    assert_eq!(ran.sent()[1], "fix x", "{:#?}", ran.events);
    let young = asked(&ran);
    let ran = make(6 * 60, 10).run(&text).await;
    assert_eq!(ran.sent()[1], "fix x");
    let shown = ran.crowd.requests.lock().unwrap()[0].seeing[0].1.text().to_owned();
    assert_eq!(shown, "2", "the approver sees what is true now");
    assert_eq!(asked(&ran).len(), young.len() + 1, "{:?}", asked(&ran));
    assert_eq!(asked(&ran)[1], 360);
    // Somebody took long to decide: what was shown is asked again, and that it is still known.
    let ran = make(60, 7 * 60).run(&text).await;
    assert_eq!(ran.sent()[1], "fix x");
    let again = ran.texts("step", "detail");
    assert!(
        again.iter().any(|detail| detail.contains("asked again first")),
        "{again:?}"
    );
    // And a run that goes on finds it as old as it was.
    crash_everywhere(|| make(6 * 60, 7 * 60), &text).await;
}

/// P4, P6: what a change needs was not there, and is there again when the run goes on: it goes the way that is recorded.
#[tokio::test]
async fn what_was_refused_for_want_of_something_stays_refused_when_it_is_there_again() {
    let text = text("oncall or dba").replace("failed  -> ", "failed  -> tell chat.post(\"#inc\", \"it failed\"), ");
    let program = super::program(&text);
    // A lock that nobody can say anything about, and what a policy refuses. With a change that fails people are told.
    for (refused, good, sent) in [
        ("", true, 0),
        ("change", true, 0),
        ("approve", true, 0),
        ("tell", false, 1),
    ] {
        let make = |missing: bool| {
            let mut setup = Setup::new().flag("good", good).approves("wipe", "otto", 10);
            setup.locks_last = Some(86_400);
            let mut stage = setup.stage();
            let refusing = Arc::new(AtomicBool::new(missing));
            let switch = refusing.clone();
            stage.policy = Some(Judge::new(move |request| {
                (refusing.load(Ordering::SeqCst) && request.asked.word() == refused).then_some("it cannot be evaluated")
            }));
            let lock = (missing && refused.is_empty()).then_some(Dependency::Lock);
            stage.backend.locks.needed.set(lock);
            (stage, switch)
        };
        let (whole, _) = make(true);
        let ended = whole.begin(&program).await.unwrap();
        assert_eq!(fixes(&whole), sent, "`{refused}` is refused");
        let mut tried = 0;
        let steps = *whole.journal.steps.lock().unwrap();
        for k in 1..=steps {
            let (stage, switch) = make(true);
            *stage.journal.at.lock().unwrap() = Some(k);
            assert!(stage.begin(&program).await.is_err());
            *stage.journal.at.lock().unwrap() = None;
            let what = format!("`{refused}` is refused, step {k}");
            let decided = |event: &Event| match refused {
                "tell" => event.kind() == "told",
                _ => event.kind() == "not_approved",
            };
            if !stage.journal.inner.events().iter().any(|(_, event)| decided(event)) {
                continue;
            }
            tried += 1;
            stage.backend.locks.needed.set(None);
            switch.store(false, Ordering::SeqCst);
            honest(&stage);
            let came = stage.resume(&program).await.unwrap();
            let Resumed::Ended(now) = came else {
                panic!("{what}: {came:?}\n{:#?}", stage.journal.inner.events())
            };
            assert_eq!((&now.outcome, fixes(&stage)), (&ended.outcome, sent), "{what}");
            coherent(&stage, &what);
        }
        assert!(tried > 0, "`{refused}` is refused, and no step lies behind it");
    }
}

/// The lock of a target expires while its holder is busy: the gate asks the target, and nothing is sent.
#[tokio::test]
async fn a_lock_that_has_expired_lets_nothing_be_sent() {
    let text = text("oncall or dba");
    for (lasts, sent) in [(600, 1), (120, 0)] {
        let mut setup = Setup::new().flag("good", true).approves("wipe", "otto", 200);
        setup.locks_last = Some(lasts);
        let stage = setup.stage();
        let came = stage.begin(&super::program(&text)).await.unwrap();
        assert_eq!(fixes(&stage), sent, "it lasts {lasts} s: {came:?}");
        let failed = format!("{:?}", stage.journal.inner.events()).contains("the lock of its target is gone");
        assert_eq!(failed, sent == 0);
    }
}

#[tokio::test]
async fn a_lock_is_taken_over_only_where_the_policy_lets_it() {
    let text = text("oncall or dba");
    for (permitted, sent) in [(true, 1), (false, 0)] {
        let judge = Judge::new(move |request| {
            (!permitted && request.asked.word() == "take_lock").then_some("the first one goes on")
        });
        let mut setup = setup();
        setup.locks_last = Some(3600);
        setup.policy = Some(judge.clone());
        let because = "the laptop is asleep".to_owned();
        setup.crowd.helds = std::sync::Mutex::new(BTreeMap::from([(
            "*".to_owned(),
            vec![(1, OnHeld::TakeOver { because })],
        )]));
        let stage = setup.stage();
        let other = starr::provider::lock::Holder {
            run: "other".to_owned(),
            who: "rita".to_owned(),
            host: "laptop".to_owned(),
        };
        let held = stage.backend.locks.take(&stage.clock, "x", &other, None);
        let held = held.ok().flatten().expect("nobody has it");
        stage.begin(&super::program(&text)).await.unwrap();
        assert_eq!(fixes(&stage), sent);
        assert_eq!(held.still_held().await.is_ok(), !permitted, "who has lost it knows it");
        let asked = judge.asked.lock().unwrap();
        let question = asked
            .iter()
            .find(|request| request.asked.word() == "take_lock")
            .unwrap();
        assert_eq!(question.person, "ann", "who takes it is asked about");
        let Asked::TakeLock { target, holder, reason } = &question.asked else {
            unreachable!()
        };
        assert_eq!((target.name.as_str(), reason.as_str()), ("x", "the laptop is asleep"));
        assert!(holder.contains("rita"), "{holder}");
        if !permitted {
            assert!(
                reasons(&stage)[0].contains("the first one goes on"),
                "{:?}",
                reasons(&stage)
            );
        }
    }
}

#[tokio::test]
async fn what_the_policy_forbids_to_tell_is_not_told_and_the_run_goes_on() {
    let good = flag("good");
    let text = book(&format!(
        "{good}tell chat.post(\"#inc\", \"hello\")\nresult {{\n  escalation matrix\n}}\n"
    ));
    for forbidden in [true, false] {
        let judge =
            Judge::new(move |request| (forbidden && request.asked.word() == "tell").then_some("nobody is told"));
        let mut setup = Setup::new().flag("good", true);
        setup.policy = Some(judge.clone());
        let ran = setup.run(&text).await;
        assert!(ran.ended.is_ok());
        assert_eq!(
            ran.sent().contains(&"post #inc".to_owned()),
            !forbidden,
            "{:?}",
            ran.sent()
        );
        let told = ran.of("told");
        assert!(told.iter().all(|told| told["ok"] == !forbidden), "{told:?}");
        if forbidden {
            assert!(
                told[0]["detail"].as_str().unwrap().contains("nobody is told"),
                "{told:?}"
            );
        }
        let asked = judge.asked.lock().unwrap();
        assert!(
            asked
                .iter()
                .any(|request| matches!(&request.asked, Asked::Tell { operation, .. } if operation == "chat.post"))
        );
    }
}
