//! A dry run: it reads, says what it would send, goes on, and says what it does not know.

use super::{Setup, book, cause};

fn two() -> String {
    let check = |name: &str| {
        format!("check {name}_flag \"Is {name} set?\" {{\n  read value = demo.flag(\"{name}\")\n  yes when value\n}}\n")
    };
    book(&format!(
        "task {{\n  goal not (a_flag or b_flag)\n}}\n{}{}branch \"What is it?\" {{\n{}{}otherwise or cannot tell {{\n    escalate\n  \
         }}\n}}\nrequire not a_flag else stop \"not clean\"\nwait until not b_flag within 5 min every 30 s else escalate\n\
         tell chat.post(\"#inc\", \"behind\")\nresult {{\n  escalation matrix\n}}\n",
        check("a"),
        check("b"),
        cause("a", "a_flag", "escalate"),
        cause("b", "b_flag", "escalate"),
    ))
}

#[tokio::test]
async fn it_goes_on_behind_a_change_and_names_every_change_once() {
    let ran = Setup::new().flag("a", true).flag("b", true).dry().run(&two()).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.asked(), Vec::<String>::new());
    assert_eq!(ran.actions(), ["fix_a would be sent", "fix_b would be sent"]);
    let planned: Vec<String> = ran
        .of("action_started")
        .iter()
        .map(|event| event["operations"][0]["arguments"].to_string())
        .collect();
    assert!(
        planned[0].contains("\"a\"") && planned[1].contains("\"b\""),
        "{planned:?}"
    );
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.ended.as_ref().unwrap().outcome.exit_code(), 1);
    assert_eq!(ran.took.as_secs(), 0, "nothing is waited for");
}

#[tokio::test]
async fn what_follows_from_a_change_that_was_not_made_is_unknown() {
    let ran = Setup::new().flag("a", true).flag("b", false).dry().run(&two()).await;
    assert_eq!(ran.actions(), ["fix_a would be sent"]);
    let looks = ran.of("look");
    let verify = looks.iter().find(|look| look["what"] == "verify fix_a").unwrap();
    assert_eq!(verify["answer"], "unknown");
    assert!(ran.texts("goal", "answer").iter().all(|answer| answer == "unknown"));
    let steps = ran.texts("step", "detail").join("\n");
    assert!(steps.contains("`not a_flag` is required: not known"), "{steps}");
    assert!(steps.contains("`not b_flag` is waited for: not known"), "{steps}");
    let told = &ran.of("told")[0];
    assert_eq!(told["ok"], false);
    let reason = &ran.texts("ended", "reason")[0];
    assert!(reason.contains("would be sent: Fix a; whether"), "{reason}");
}

#[tokio::test]
async fn without_a_change_it_ends_like_any_other_run() {
    let ran = Setup::new().flag("a", false).flag("b", false).dry().run(&two()).await;
    assert_eq!(ran.actions(), Vec::<String>::new());
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "escalated", "no cause holds");
}
