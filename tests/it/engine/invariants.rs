//! What holds in every run: intent before effect, nothing sent after the journal failed, the same replies give the same events.
//! Every run of these tests checks the order of intents and results besides (`Ran::check_invariants`).

use super::{Setup, book, cause, flag};
use starr::journal::Event;
use starr::value::Value;

/// A run with reads, a page, an approval, two changes, an undo, a goal, and an end.
pub fn busy() -> String {
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
{}branch "What is it?" {{
{}{}  otherwise or cannot tell {{
    escalate
  }}
}}
result {{
  escalation matrix
}}
reflection {{
  prevent "Something" by "team" in 1 d
}}
"##,
        flag("b_flag"),
        cause("b", "b_flag", "undo, next cause"),
        cause("a", "a_flag", "undo, next cause"),
    ))
}

/// The same with a change that the target can be asked about.
pub fn verifiable() -> String {
    busy().replace("do      demo.parts.fix(\"a\")", "do      demo.parts.grow(\"a\")")
}

fn world() -> Setup {
    Setup::new()
        .until_fixed("a")
        .flag("b_flag", true)
        .takes("fix", 20)
        .takes("flag", 3)
        .approves("fix_a", "otto", 40)
}

#[tokio::test]
async fn the_same_replies_give_the_same_events() {
    let one = world().run(&busy()).await;
    let two = world().run(&busy()).await;
    assert_eq!(one.outcome(), "resolved");
    assert_eq!(one.sent(), ["page oncall", "fix b", "fix un-b", "fix a"]);
    assert_eq!(one.events, two.events);
    assert_eq!(one.took, two.took);
}

#[tokio::test]
async fn when_the_journal_fails_at_the_kth_append_nothing_more_is_sent() {
    let whole = world().run(&busy()).await;
    let sent = whole.sent();
    // Some appends carry several events, so there are fewer appends than events.
    let mut reached_the_end = false;
    for k in 1..=whole.events.len() + 1 {
        let mut setup = world();
        setup.fail_at = Some(k);
        let ran = setup.run(&busy()).await;
        if ran.ended.is_ok() {
            reached_the_end = true;
            assert_eq!(ran.events, whole.events);
            continue;
        }
        assert_eq!(ran.outcome(), "journal: the disk is full", "at append {k}");
        let intents = ran
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Intent { .. }))
            .count();
        // The journal may also fail between the intent and the change: then it is not sent.
        let count = ran.sent().len();
        assert!(
            count == intents || count + 1 == intents,
            "at step {k}: {count} of {intents} were sent"
        );
        assert_eq!(ran.sent(), sent[..count], "at step {k}: {:#?}", ran.events);
    }
    assert!(reached_the_end, "the last k is behind the last append");
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_at_all_sends_nothing() {
    let mut setup = world();
    setup.fail_at = Some(1);
    let ran = setup.run(&busy()).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.events, Vec::new());
}

#[tokio::test]
async fn a_dry_run_sends_nothing() {
    let ran = world().dry().run(&busy()).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert!(ran.events.iter().all(|(_, event)| event.kind() != "intent"));
}

#[tokio::test]
async fn a_change_that_may_not_be_repeated_is_sent_at_most_once_per_cause() {
    // Every read is lost after the first change.
    let ran = Setup::new()
        .given("flag", |past| {
            if past.done.is_empty() {
                Value::Bool(true)
            } else {
                Value::unknown(starr::value::Reason::Timeout, "")
            }
        })
        .unattended()
        .run(&busy())
        .await;
    let fixes = ran.sent().iter().filter(|what| what.starts_with("fix")).count();
    assert!(fixes <= 1, "{:?}", ran.sent());
}

#[tokio::test]
async fn what_comes_from_outside_is_never_a_template() {
    let text = book(
        r##"ask who "Who?" {
  text
}
tell chat.post("#inc", "for {who}")
stop "{who}"
"##,
    );
    let hostile = "{run.id} ${7*7} {{ 7*7 }} <%= 7*7 %>";
    let ran = Setup::new().says("who", hostile).run(&text).await;
    assert_eq!(ran.of("told")[0]["arguments"][1][1], format!("for {hostile}"));
    assert_eq!(ran.texts("ended", "reason"), [hostile]);
}

/// Numbers from a seed: the same ones every time.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A number that depends on the seed and on what is asked, and on nothing else.
fn chance(seed: u64, what: &str, count: usize, sides: u64) -> u64 {
    let mut dice = Dice(seed ^ (count as u64).wrapping_mul(0x9e37_79b9));
    for byte in what.bytes() {
        dice.0 ^= u64::from(byte);
        dice.roll(2);
    }
    dice.roll(sides)
}

/// A world in which everything can happen: answers change and are lost, changes fail or do not answer, people are slow, refuse or
/// are away, the journal fails, somebody presses Ctrl-C.
pub fn wild(seed: u64) -> Setup {
    let mut dice = Dice(seed);
    let mut setup = Setup::new();
    for flag in ["flag a", "flag b_flag"] {
        setup = setup.given(flag, move |past| match chance(seed, flag, past.asked, 5) {
            0 => Value::unknown(starr::value::Reason::Timeout, ""),
            1 | 2 => Value::Bool(false),
            _ => Value::Bool(true),
        });
    }
    for change in [
        "fix a",
        "fix b",
        "fix un-a",
        "fix un-b",
        "page oncall",
        "page second",
        "post",
    ] {
        match dice.roll(4) {
            0 => setup = setup.fails(change),
            1 => setup = setup.unclear(change),
            _ => {}
        }
    }
    for slow in ["fix", "flag", "page"] {
        setup = setup.takes(slow, dice.roll(40));
    }
    setup = match dice.roll(4) {
        0 => setup.silence(),
        1 => setup.refuses("fix_b", "otto"),
        _ => setup.approves("fix_b", "otto", dice.roll(400)),
    };
    if dice.roll(3) == 0 {
        setup = setup.on_unclear("fix_b", starr::engine::world::OnUnclear::Undo);
    }
    if dice.roll(4) == 0 {
        setup.interrupt_after = Some(dice.roll(1200));
    }
    if dice.roll(4) == 0 {
        setup.fail_at = Some(1 + dice.roll(60) as usize);
    }
    setup.unattended = dice.roll(3) == 0;
    // The target says what is true, where it says anything.
    let silent = dice.roll(3) == 0;
    setup = setup.given("flag grown a", move |past| {
        match chance(seed, "grown a", past.asked, 2) {
            0 if silent => Value::unknown(starr::value::Reason::Timeout, ""),
            _ => Value::Bool(past.did("grow a")),
        }
    });
    match dice.roll(4) {
        0 => setup.fails("grow a"),
        1 => setup.unclear("grow a"),
        _ => setup,
    }
    .takes("grow", dice.roll(40))
}

#[tokio::test]
async fn whatever_happens_a_run_ends_and_keeps_its_promises() {
    let text = busy();
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for seed in 0..300 {
        let ran = wild(seed).run(&text).await;
        let again = wild(seed).run(&text).await;
        assert_eq!(ran.events, again.events, "seed {seed}");
        for once in ["fix a", "fix b", "fix un-a", "fix un-b"] {
            let count = ran.sent().iter().filter(|what| *what == once).count();
            assert!(count <= 1, "seed {seed}: `{once}` was sent {count} times");
        }
        // Nothing is taken back that was not sent before.
        let sent = ran.sent();
        for (undo, change) in [("fix un-a", "fix a"), ("fix un-b", "fix b")] {
            let of = |what: &str| sent.iter().position(|known| known == what);
            assert!(
                of(undo).is_none_or(|at| of(change).is_some_and(|before| before < at)),
                "seed {seed}: {sent:?}"
            );
        }
        assert!(ran.took.as_secs() <= 3600 + 15 * 60, "seed {seed}: {:?}", ran.took);
        *outcomes.entry(ran.outcome()).or_default() += 1;
    }
    for expected in ["in doubt", "refused", "resolved", "escalated", "stopped", "not present"] {
        assert!(
            outcomes.contains_key(expected),
            "{expected} never happened: {outcomes:?}"
        );
    }
}
