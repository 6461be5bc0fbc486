//! `each`, `require`, `wait`, and runbooks that run others.

use super::{Setup, book, flag};
use starr::value::Value;

fn names(count: usize) -> impl Fn(&super::fake::Past<'_>) -> Value + Send + Sync {
    move |_| Value::list((0..count).map(|index| Value::text(format!("n{index}"))).collect())
}

fn each(head: &str, failed: &str) -> String {
    book(&format!(
        r##"read names = demo.names()
each name in names at most 10 {head} {{
  check good "Is {{name}} good?" {{
    read value = demo.flag(name)
    yes when value
  }}
  action mend "Mend {{name}}" {{
    risk    low
    approve by oncall within 5 min
    do      demo.parts.fix(name)
    undo    none because "it is harmless"
    verify  good within 30 s every 30 s
    failed  -> {failed}
    unclear -> keep, escalate
  }}
  tell chat.post(name, "done")
}}
tell chat.post("end", "behind")
"##
    ))
}

#[tokio::test]
async fn every_element_is_treated_with_answers_of_its_own() {
    let ran = Setup::new()
        .given("names", names(3))
        .given("flag", |_| Value::Bool(true))
        .run(&each("", "next step"))
        .await;
    assert_eq!(
        ran.sent(),
        [
            "fix n0", "post n0", "fix n1", "post n1", "fix n2", "post n2", "post end"
        ]
    );
    assert_eq!(ran.texts("each", "index"), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_list_that_is_longer_treats_none_and_escalates() {
    let ran = Setup::new()
        .given("names", names(11))
        .given("flag", |_| Value::Bool(true))
        .run(&each("", "next step"))
        .await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn a_batch_begins_while_fewer_than_k_failed() {
    let ran = Setup::new()
        .given("names", names(6))
        .given("flag", |_| Value::Bool(true))
        .flag("n1", false)
        .run(&each("in batches of 1, 2", "next step"))
        .await;
    assert_eq!(
        ran.sent(),
        ["fix n0", "post n0", "fix n1", "fix n2", "post n2"],
        "the canary, then a batch of two with one failure, then no more"
    );
    assert_eq!(ran.outcome(), "escalated");
    let allowed = Setup::new()
        .given("names", names(4))
        .given("flag", |_| Value::Bool(true))
        .flag("n1", false)
        .run(&each("in batches of 1, 50 % stop after 2 failures", "next step"))
        .await;
    assert_eq!(allowed.sent().last().unwrap(), "post end");
    assert_eq!(allowed.texts("each", "batch"), ["1", "2", "2", "3"]);
}

#[tokio::test]
async fn an_unclear_element_ends_the_loop() {
    let ran = Setup::new()
        .given("names", names(3))
        .given("flag", |_| Value::Bool(true))
        .silent("n1")
        .run(&each("", "next step"))
        .await;
    assert_eq!(ran.sent(), ["fix n0", "post n0", "fix n1"]);
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn an_element_that_left_the_list_is_not_needed() {
    let ran = Setup::new()
        .given("names", |past| {
            let left: &[&str] = if past.did("fix n0") {
                &["n0", "n2"]
            } else {
                &["n0", "n1", "n2"]
            };
            Value::list(left.iter().map(|name| Value::text(*name)).collect())
        })
        .given("flag", |_| Value::Bool(true))
        .run(&each("", "next step"))
        .await;
    assert_eq!(
        ran.sent(),
        ["fix n0", "post n0", "post n1", "fix n2", "post n2", "post end"]
    );
    assert_eq!(ran.texts("not_needed", "because"), ["it is no longer in the list"]);
}

#[tokio::test]
async fn a_require_passes_on_a_definite_yes_alone() {
    let text = book(&format!(
        "{}require a else stop \"not a\"\ntell chat.post(\"#inc\", \"behind\")\n",
        flag("a")
    ));
    let yes = Setup::new().flag("a", true).run(&text).await;
    assert_eq!(yes.sent(), ["post #inc"]);
    for other in [Setup::new().flag("a", false), Setup::new().silent("a")] {
        let ran = other.run(&text).await;
        assert_eq!(ran.sent(), Vec::<String>::new());
        assert_eq!(ran.outcome(), "stopped");
    }
}

#[tokio::test]
async fn a_require_that_no_longer_holds_before_a_change_is_followed() {
    let text = book(&format!(
        r##"{}{}require calm else stop "not calm"
action mend "Mend" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.fix("x")
  undo    none because "it is harmless"
  verify  good within 30 s every 30 s
  failed  -> escalate
}}
"##,
        flag("calm"),
        flag("good")
    ));
    let ran = Setup::new()
        .given("flag calm", |past| Value::Bool(past.now.as_secs() == 0))
        .flag("good", true)
        .approves("mend", "otto", 60)
        .run(&text)
        .await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.texts("ended", "reason"), ["not calm"]);
}

#[tokio::test]
async fn a_wait_ends_with_a_definite_yes_or_its_deadline() {
    let text = book(&format!(
        "{}wait until a within 5 min every 30 s else stop \"never\"\ntell chat.post(\"#inc\", \"behind\")\n",
        flag("a")
    ));
    let ran = Setup::new()
        .given("flag a", |past| Value::Bool(past.now.as_secs() >= 100))
        .run(&text)
        .await;
    assert_eq!(ran.sent_at(), [(120, "post #inc".to_owned())]);
    let never = Setup::new().flag("a", false).run(&text).await;
    assert_eq!(never.outcome(), "stopped");
    assert_eq!(never.took.as_secs(), 300);
}

fn family(child_steps: &str) -> String {
    format!(
        r##"use team.{{demo, chat, pager, matrix}}

runbook test() "A parent" {{
  owner "team"
  timebox 60 min then escalate
  reads demo
  changes demo
  tells chat, pager
  runs  child
  situation {{
    symptom bad "Bad?" {{
      read value = demo.flag("bad")
      yes when value
    }}
    severity {{
      sev2 when bad
      sev2 when cannot tell
      sev3 otherwise
    }}
  }}
  check fixed = run child(name: "x")
  branch "Did it work?" {{
    cause worked "It did" when fixed {{
      stop "worked"
    }}
    otherwise {{
      stop "did not"
    }}
    cannot tell {{
      stop "in doubt"
    }}
  }}
  result {{
    escalation matrix
  }}
}}

runbook child(name: Text) "A child" {{
  owner "team"
  timebox 10 min then escalate
  reads demo
  changes demo
  task {{
    goal good
  }}
  check good "Good?" {{
    read value = demo.flag(name)
    yes when value
  }}
  {child_steps}
}}
"##
    )
}

const CHILD_ACTION: &str = r##"action mend "Mend {name}" {
    risk    low
    approve by oncall within 5 min
    do      demo.parts.fix(name)
    undo    none because "it is harmless"
    verify  good within 1 min every 30 s
    failed  -> escalate
  }"##;

#[tokio::test]
async fn a_called_runbook_that_is_resolved_is_yes() {
    let ran = Setup::new()
        .flag("bad", true)
        .given("flag x", |past| Value::Bool(past.did("fix x")))
        .run(&family(CHILD_ACTION))
        .await;
    assert_eq!(ran.texts("ended", "reason"), ["worked"]);
    assert_eq!(
        ran.in_place(),
        ["fixed: Mend x (`demo.parts.fix` on x): it is not taken back because it is harmless"]
    );
    let scopes: Vec<&str> = ran
        .events
        .iter()
        .filter(|(_, event)| event.kind() == "intent")
        .map(|(scope, _)| scope.as_str())
        .collect();
    assert_eq!(
        scopes,
        ["", "fixed"],
        "the page of the outermost run, then the child's change"
    );
}

#[tokio::test]
async fn a_called_runbook_that_escalates_is_no_and_uses_the_one_row() {
    let ran = Setup::new()
        .flag("bad", true)
        .flag("x", false)
        .run(&family(CHILD_ACTION))
        .await;
    assert_eq!(ran.texts("child_ended", "outcome"), ["escalated"]);
    assert_eq!(ran.texts("ended", "reason"), ["did not"]);
    assert_eq!(
        ran.sent(),
        ["page oncall", "fix x", "page second", "post #inc"],
        "one clock and one severity, the outermost run's"
    );
}

#[tokio::test]
async fn a_called_runbook_in_doubt_is_unknown() {
    let ran = Setup::new()
        .flag("bad", true)
        .flag("x", false)
        .unclear("fix x")
        .unattended()
        .run(&family(CHILD_ACTION))
        .await;
    assert_eq!(ran.texts("child_ended", "outcome"), ["in doubt"]);
    assert_eq!(ran.texts("arm", "arm"), ["cannot tell"]);
    assert_eq!(ran.outcome(), "in doubt", "the fate of a change stays unknown");
}

#[tokio::test]
async fn a_list_beyond_the_limit_treats_none_whatever_at_most_says() {
    let most = starr::limits::EACH;
    let text = book(
        "read names = demo.names()\neach name in names at most 20000 {\n  tell chat.post(name, \"done\")\n}\ntell chat.post(\"end\", \"behind\")\n",
    );
    let ran = Setup::new().given("names", names(most + 1)).run(&text).await;
    assert_eq!((ran.outcome(), ran.sent()), ("escalated".into(), Vec::<String>::new()));
    let reason = &ran.texts("ended", "reason")[0];
    assert!(reason.contains("10001 elements, at most 10000"), "{reason}");
}
