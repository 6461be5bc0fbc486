//! Severity and the escalation clock.

use super::{Setup, book};
use starr::value::Value;

fn waiting(steps: &str) -> String {
    book(&format!(
        r##"situation {{
  symptom bad "Bad?" {{
    read value = demo.flag("bad")
    yes when value
  }}
  symptom worse "Worse?" {{
    read value = demo.flag("worse")
    yes when value
  }}
  severity {{
    sev1 when worse
    sev2 when bad
    sev2 when cannot tell
    sev3 otherwise
  }}
}}
task {{
  goal not bad
}}
{steps}
result {{
  escalation matrix
}}
"##
    ))
}

const WAIT: &str = "wait until not bad within 40 min every 1 min else escalate";

#[tokio::test]
async fn rows_count_from_the_first_known_severity_until_the_run_ends() {
    let ran = Setup::new()
        .given("flag bad", |past| Value::Bool(past.minutes() < 15))
        .flag("worse", false)
        .run(&waiting(WAIT))
        .await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(
        ran.sent_at(),
        [(0, "page oncall".to_owned()), (600, "page second".to_owned())],
        "the entry after 20 min is never sent: every end stops the clock"
    );
}

#[tokio::test]
async fn what_is_told_during_a_wait_names_the_evidence_of_the_last_look() {
    let steps = "check other \"Other?\" {\n  read value = demo.flag(\"other\")\n  yes when value\n}\n\
                 wait until not bad and not other within 12 min every 1 min else stop \"no\"";
    let text = waiting(steps).replace(
        "escalation matrix",
        "escalation {\n    sev1 -> pager.page(\"boss\") now\n    sev2 -> chat.post(\"{run.evidence}\", \"\") now, chat.post(\"{run.evidence}\", \"\") after 10 min\n  }",
    );
    // The answer of the whole stays no, so no look between the first and the last is recorded.
    let ran = Setup::new()
        .flag("bad", true)
        .flag("worse", false)
        .given("flag other", |past| Value::Bool(past.minutes() >= 3))
        .run(&text)
        .await;
    let told = ran.sent_at();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1].0, 600);
    assert!(told[0].1.contains("bad") && !told[0].1.contains("other"), "{told:?}");
    let other = told[1].1.lines().find(|line| line.starts_with("other")).unwrap();
    assert!(other.starts_with("other  yes"), "{told:?}");
    assert!(ran.of("look").len() < 4, "looks are quiet");
}

#[tokio::test]
async fn escalate_sends_the_rest_of_its_row_at_once_and_ends_the_run() {
    let ran = Setup::new()
        .flag("bad", true)
        .flag("worse", false)
        .run(&waiting("escalate"))
        .await;
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.sent(), ["page oncall", "page second", "post #inc"]);
    assert_eq!(ran.took.as_secs(), 0);
}

#[tokio::test]
async fn a_rise_adds_the_new_row_and_severity_never_falls() {
    let ran = Setup::new()
        .flag("bad", true)
        .given("flag worse", |past| Value::Bool((3..5).contains(&past.minutes())))
        .run(&waiting(
            "check again \"Again?\" {\n  read value = demo.flag(\"worse\")\n  yes when value\n}\nwait until again and worse within 4 min every 1 min else stop \"no\"\nwait until not worse within 10 min every 1 min else stop \"no\"\nstop \"done\"",
        ))
        .await;
    assert_eq!(ran.texts("severity", "name"), ["sev2", "sev1"]);
    assert_eq!(ran.severity(), "sev1");
    assert_eq!(
        ran.sent_at(),
        [(0, "page oncall".to_owned()), (180, "page boss".to_owned())]
    );
}

#[tokio::test]
async fn a_failed_page_sends_the_next_entry_at_once_and_does_not_change_the_way() {
    let ran = Setup::new()
        .given("flag bad", |past| Value::Bool(past.minutes() < 5))
        .flag("worse", false)
        .fails("page oncall")
        .run(&waiting(WAIT))
        .await;
    assert_eq!(
        ran.sent_at(),
        [(0, "page oncall".to_owned()), (0, "page second".to_owned())]
    );
    assert_eq!(ran.outcome(), "resolved");
    let told: Vec<bool> = ran
        .of("told")
        .iter()
        .map(|event| event["ok"].as_bool().unwrap())
        .collect();
    assert_eq!(told, [false, true]);
}

#[tokio::test]
async fn a_failed_tell_is_recorded_and_never_changes_the_way() {
    let ran = Setup::new()
        .flag("bad", true)
        .flag("worse", false)
        .fails("post")
        .run(&waiting("tell chat.post(\"#inc\", \"x\")\nstop \"done\""))
        .await;
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.sent(), ["page oncall", "post #inc"]);
}

#[tokio::test]
async fn stop_pages_nobody_more() {
    let ran = Setup::new()
        .flag("bad", true)
        .flag("worse", false)
        .run(&waiting("stop \"fine\""))
        .await;
    assert_eq!(ran.sent(), ["page oncall"], "which was due at once");
    assert_eq!(ran.outcome(), "stopped");
}

#[tokio::test]
async fn without_a_matrix_the_record_says_that_nobody_is_told() {
    let text = waiting("escalate").replace("result {\n  escalation matrix\n}\n", "");
    let ran = Setup::new().flag("bad", true).flag("worse", false).run(&text).await;
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.sent(), Vec::<String>::new());
    let details = ran.texts("step", "detail");
    assert_eq!(
        details,
        ["there is no escalation matrix in the file and none in the environment: nobody is told"]
    );
}

#[tokio::test]
async fn an_unknown_answer_in_the_way_of_a_row_takes_the_cannot_tell_row() {
    let ran = Setup::new()
        .flag("bad", false)
        .silent("worse")
        .run(&waiting("stop \"x\""))
        .await;
    assert_eq!(ran.severity(), "sev2");
    assert_eq!(ran.texts("severity", "because"), ["`worse` is unknown"]);
}
