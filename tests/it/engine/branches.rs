//! A branch: which cause is treated, in which order, and when it ends.

use super::{Setup, book, cause, flag, with_timebox};
use starr::engine::world::OnUnknown;

/// Two causes that may both hold; the goal is that neither flag is set.
fn two_causes(failed: &str) -> String {
    book(&two_causes_body(failed))
}

fn two_causes_body(failed: &str) -> String {
    format!(
        r##"task {{
  goal not (a_flag or b_flag)
}}
{}{}branch "What is it?" {{
{}{}otherwise {{
    stop "no cause is left"
  }}
  cannot tell {{
    escalate
  }}
}}
result {{
  escalation matrix
}}
"##,
        named("a_flag", "a"),
        named("b_flag", "b"),
        cause("a", "a_flag", failed),
        cause("b", "b_flag", failed),
    )
}

fn named(check: &str, name: &str) -> String {
    format!("check {check} \"Is {name} set?\" {{\n  read value = demo.flag(\"{name}\")\n  yes when value\n}}\n")
}

#[tokio::test]
async fn the_first_cause_that_is_a_definite_yes_is_treated() {
    let ran = Setup::new()
        .until_fixed("a")
        .flag("b", false)
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), ["a"]);
    assert_eq!(ran.sent(), ["fix a"]);
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.in_place(), ["Fix a (`demo.parts.fix` on a)"]);
}

#[tokio::test]
async fn a_refuted_cause_is_passed_over_and_its_implication_is_said() {
    let ran = Setup::new()
        .flag("a", false)
        .until_fixed("b")
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), ["b"]);
    let because: Vec<String> = ran
        .of("cause")
        .iter()
        .map(|event| {
            format!(
                "{}: {}",
                event["name"].as_str().unwrap(),
                event["because"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(because, ["a: refuted", "b: and not `a`, which was refuted"]);
}

#[tokio::test]
async fn after_a_treated_cause_the_branch_is_asked_again_with_fresh_answers() {
    let ran = Setup::new()
        .until_fixed("a")
        .until_fixed("b")
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), ["a", "b"], "both held, one after the other");
    assert_eq!(ran.sent(), ["fix a", "fix b"]);
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.texts("branch_entered", "round"), ["1", "2"]);
    let because = ran.texts("cause", "because");
    assert!(
        because
            .last()
            .unwrap()
            .contains("`a` was treated, and the goal is not reached"),
        "{because:?}"
    );
}

#[tokio::test]
async fn a_definite_yes_of_the_goal_ends_the_branch_and_the_file_goes_on_behind_it() {
    let body = two_causes_body("escalate").replace("result {", "tell chat.post(\"#inc\", \"behind\")\nresult {");
    let ran = Setup::new()
        .given("flag a", |past| starr::value::Value::Bool(!past.did("fix a")))
        .given("flag b", |past| starr::value::Value::Bool(!past.did("fix a")))
        .run(&book(&body))
        .await;
    assert_eq!(ran.causes(), ["a"], "the second cause went away with the first");
    assert_eq!(ran.sent(), ["fix a", "post #inc"]);
}

#[tokio::test]
async fn each_cause_is_treated_at_most_once_and_then_comes_otherwise() {
    let ran = Setup::new()
        .flag("a", true)
        .flag("b", false)
        .run(&two_causes("undo, next cause"))
        .await;
    assert_eq!(ran.causes(), ["a"]);
    assert_eq!(ran.sent(), ["fix a", "fix un-a"]);
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.texts("arm", "arm"), ["otherwise"]);
    assert_eq!(ran.texts("arm", "because"), ["no untreated cause holds"]);
    assert_eq!(ran.in_place(), Vec::<String>::new());
}

#[tokio::test]
async fn an_unknown_answer_in_the_way_of_an_earlier_cause_does_not_slide_to_the_next() {
    let ran = Setup::new()
        .silent("a")
        .until_fixed("b")
        .unattended()
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), Vec::<String>::new());
    assert_eq!(ran.sent(), Vec::<String>::new(), "sev3 has no row");
    assert_eq!(ran.texts("arm", "arm"), ["cannot tell"]);
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn an_unknown_answer_behind_a_cause_that_holds_is_not_in_the_way() {
    let ran = Setup::new()
        .until_fixed("a")
        .silent("b")
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), ["a"]);
}

#[tokio::test]
async fn the_operator_may_ask_again() {
    let ran = Setup::new()
        .given("flag a", |past| match past.asked {
            0 => starr::value::Value::unknown(starr::value::Reason::Timeout, ""),
            _ => starr::value::Value::Bool(!past.did("fix a")),
        })
        .flag("b", false)
        .on_unknown("It is a", vec![OnUnknown::Retry])
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.asked()[0], "unknown It is a");
    assert_eq!(ran.causes(), ["a"]);
    assert_eq!(ran.texts("choice", "choice"), ["ask again"]);
}

#[tokio::test]
async fn the_operator_may_answer_by_hand_and_it_is_recorded_as_such() {
    let by_hand = OnUnknown::AnswerByHand {
        name: "a_flag".to_owned(),
        yes: false,
        note: "I looked".to_owned(),
    };
    let ran = Setup::new()
        .silent("a")
        .until_fixed("b")
        .on_unknown("It is a", vec![by_hand])
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.causes(), ["b"]);
    let by_hand: Vec<serde_json::Value> = ran
        .of("answered")
        .into_iter()
        .filter(|event| !event["by"].is_null())
        .collect();
    assert_eq!(by_hand[0]["by"]["name"], "ann");
    assert_eq!(by_hand[0]["evidence"][0]["actual"], "I looked");
    let choices = ran.crowd.choices.lock().unwrap();
    assert_eq!(choices[0].branch, "What is it?");
    assert_eq!(choices[0].unknown[0].0, "a_flag");
    assert_eq!(choices[0].cannot_tell, "escalating");
}

#[tokio::test]
async fn what_was_answered_by_hand_is_asked_again_while_something_is_waited_for() {
    let by_hand = OnUnknown::AnswerByHand {
        name: "a_flag".to_owned(),
        yes: true,
        note: "I looked".to_owned(),
    };
    let text = two_causes("escalate").replacen(
        "  action fix_a",
        "  wait until not a_flag within 10 min every 1 min else stop \"it stays\"\n  action fix_a",
        1,
    );
    let ran = Setup::new()
        .given("flag a", |past| match past.minutes() {
            0 => starr::value::Value::unknown(starr::value::Reason::Timeout, ""),
            minutes => starr::value::Value::Bool(minutes < 3),
        })
        .flag("b", false)
        .on_unknown("It is a", vec![by_hand])
        .run(&text)
        .await;
    let looks: Vec<serde_json::Value> = ran.of("look");
    let waited = looks
        .iter()
        .rfind(|look| look["what"].as_str().unwrap().starts_with("wait"))
        .unwrap();
    assert_eq!(waited["answer"], "yes", "{looks:#?}");
    assert_eq!(waited["last"], true);
    assert!(ran.texts("stop", "because").is_empty());
}

#[tokio::test]
async fn nobody_who_chooses_in_time_is_cannot_tell() {
    let ran = Setup::new()
        .silent("a")
        .flag("b", true)
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.texts("arm", "arm"), ["cannot tell"]);
    assert_eq!(ran.took.as_secs(), 15 * 60);
}

#[tokio::test]
async fn no_cause_at_all_is_otherwise() {
    let ran = Setup::new()
        .flag("a", false)
        .flag("b", false)
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.texts("arm", "because"), ["no cause holds"]);
    assert_eq!(ran.outcome(), "stopped");
}

#[tokio::test]
async fn a_round_that_no_longer_fits_the_timebox_does_what_the_timebox_says() {
    let text = with_timebox("20 min then stop \"out of time\"", &two_causes_body("escalate"));
    let ran = Setup::new()
        .until_fixed("a")
        .until_fixed("b")
        .takes("fix a", 250)
        .takes("flag", 29)
        .run(&text)
        .await;
    assert_eq!(ran.causes(), ["a", "b"], "it fits");
    // The second cause may take 5 min for the approval, 5 min for the change, 2 min for its verification and 5 min for the undo.
    let text = with_timebox("15 min then stop \"out of time\"", &two_causes_body("escalate"));
    let ran = Setup::new()
        .until_fixed("a")
        .until_fixed("b")
        .takes("fix a", 250)
        .takes("flag", 29)
        .run(&text)
        .await;
    assert_eq!(ran.sent(), ["fix a"]);
    assert_eq!(ran.outcome(), "stopped");
    let why = &ran.texts("interrupted", "because")[0];
    assert!(why.contains("*b* may take 17 min"), "{why}");
}

#[tokio::test]
async fn a_branch_without_a_goal_is_asked_once() {
    let body = two_causes_body("escalate");
    let without = body.split_once("}\n").unwrap().1;
    let ran = Setup::new().until_fixed("a").until_fixed("b").run(&book(without)).await;
    assert_eq!(ran.causes(), ["a"]);
    assert_eq!(ran.outcome(), "resolved", "the last verification holds");
}

#[tokio::test]
async fn an_unsettled_goal_is_waited_for() {
    let body = two_causes_body("escalate");
    // After the repair the goal is unknown for a minute, then yes.
    let ran = Setup::new()
        .until_fixed("a")
        .given("flag b", |past| {
            if past.did("fix a") && past.now.as_secs() < 60 {
                starr::value::Value::unknown(starr::value::Reason::Unsettled, "")
            } else {
                starr::value::Value::Bool(false)
            }
        })
        .run(&book(&body))
        .await;
    assert_eq!(ran.texts("goal", "answer"), ["yes", "yes"]);
    assert_eq!(ran.causes(), ["a"]);
    assert_eq!(ran.outcome(), "resolved");
}

#[tokio::test]
async fn nested_branches_go_on_behind_themselves() {
    let text = book(&format!(
        r##"task {{
  goal not a
}}
{}{}branch "Outer?" {{
  cause one "It is a" when a {{
    branch "Inner?" {{
      cause two "It is b" when b {{
        tell chat.post("#inc", "inner")
      }}
      otherwise or cannot tell {{
        stop "not b"
      }}
    }}
    tell chat.post("#inc", "behind")
  }}
  otherwise or cannot tell {{
    stop "nothing"
  }}
}}
"##,
        flag("a"),
        flag("b")
    ));
    let ran = Setup::new().flag("a", true).flag("b", true).run(&text).await;
    assert_eq!(ran.sent(), ["post #inc", "post #inc"]);
    assert_eq!(ran.outcome(), "stopped", "the goal is not reached and no cause is left");
}

#[tokio::test]
async fn asking_again_ends() {
    let most = usize::try_from(starr::limits::RETRIES).unwrap();
    let ran = Setup::new()
        .silent("a")
        .flag("b", false)
        .on_unknown("It is a", vec![OnUnknown::Retry; most + 10])
        .run(&two_causes("escalate"))
        .await;
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.texts("choice", "choice").len(), most + 1);
}
