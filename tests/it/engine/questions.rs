//! When questions are asked, and what their answers are.

use super::{Setup, book, flag};
use starr::value::Value;
use std::time::Duration;

fn summary(goal: &str, checks: &str) -> String {
    book(&format!("task {{\n goal {goal}\n}}\n{checks}"))
}

#[tokio::test]
async fn a_health_summary_has_its_goal_as_the_verdict() {
    let text = summary("a and b", &(flag("a") + &flag("b")));
    let good = Setup::new().flag("a", true).flag("b", true).run(&text).await;
    assert_eq!(good.outcome(), "resolved");
    let bad = Setup::new().flag("a", true).flag("b", false).run(&text).await;
    assert_eq!(bad.outcome(), "stopped", "it says so, and calls nobody");
    assert_eq!(bad.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn unknown_is_not_success() {
    let text = summary("a and b", &(flag("a") + &flag("b")));
    let ran = Setup::new().silent("a").flag("b", true).run(&text).await;
    assert_eq!(ran.outcome(), "stopped");
    let ended = &ran.texts("ended", "reason")[0];
    assert!(ended.contains("unknown (no reply in time"), "{ended}");
}

#[tokio::test]
async fn an_answer_is_good_or_bad_by_its_sign_in_the_goal() {
    let text = summary("a and not b", &(flag("a") + &flag("b") + &flag("c")));
    let setup = Setup::new().flag("a", true).flag("b", true).flag("c", true);
    let ran = setup.run(&text).await;
    let mut signs: Vec<(String, serde_json::Value)> = ran
        .of("answered")
        .iter()
        .map(|event| (event["name"].as_str().unwrap().to_owned(), event["good"].clone()))
        .collect();
    signs.sort_by(|left, right| left.0.cmp(&right.0));
    signs.dedup();
    let expected = [
        ("a".to_owned(), true.into()),
        ("b".to_owned(), false.into()),
        ("c".to_owned(), serde_json::Value::Null),
    ];
    assert_eq!(signs, expected);
}

#[tokio::test]
async fn independent_questions_are_asked_together() {
    let text = summary("a and b and c", &(flag("a") + &flag("b") + &flag("c")));
    let setup = Setup::new()
        .flag("a", true)
        .flag("b", true)
        .flag("c", true)
        .takes("flag", 20);
    let ran = setup
        .run(&(text.trim_end().trim_end_matches('}').to_owned() + "require a and b and c else escalate\n}\n"))
        .await;
    let reads = ran.backend.reads.lock().unwrap();
    let first: Vec<Duration> = reads.iter().take(3).map(|seen| seen.at).collect();
    assert_eq!(first, [Duration::ZERO; 3], "all three begin at once");
}

#[tokio::test]
async fn questions_that_follow_each_other_are_asked_together_and_answered_in_their_order() {
    let names = ["f", "a", "e", "b", "d", "c"];
    let checks: String = names.iter().map(|name| flag(name)).collect();
    let text = summary(&names.join(" and "), &checks);
    let mut setup = Setup::new().takes("flag", 20);
    for name in names {
        setup = setup.flag(name, true);
    }
    let ran = setup.run(&text).await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.took, Duration::from_secs(20), "as long as one of them takes");
    let order: Vec<String> = ran.texts("answered", "name");
    assert_eq!(order[..6], names, "{order:?}");
}

#[tokio::test]
async fn equal_reads_are_made_once_in_a_round() {
    let text = summary(
        "one and two",
        r##"check one "One?" {
  read value = demo.flag("same")
  yes when value
}
check two "Two?" {
  read again = demo.flag("same")
  yes when again
}
require one and two else stop "no"
"##,
    );
    let ran = Setup::new().flag("same", true).run(&text).await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.reads("flag same"), 1, "also for the verdict: nothing was changed");
    let mut names = ran.texts("read", "name");
    names.truncate(2);
    assert_eq!(names, ["one.value", "two.again"], "both have it");
}

#[tokio::test]
async fn a_read_that_does_not_answer_in_time_is_unknown() {
    let text = summary("a", &flag("a"));
    let ran = Setup::new().flag("a", true).takes("flag", 40).run(&text).await;
    assert_eq!(ran.outcome(), "stopped");
    let reasons = ran.texts("answered", "reason");
    assert!(reasons[0].contains("did not answer within 30 s"), "{reasons:?}");
}

#[tokio::test]
async fn every_symptom_a_definite_no_is_not_present() {
    let text = book(
        r##"situation {
  symptom a "A?" {
    read value = demo.flag("a")
    yes when value
  }
  symptom b "B?" {
    read value = demo.flag("b")
    yes when value
  }
}
escalate
"##,
    );
    let ran = Setup::new().flag("a", false).flag("b", false).run(&text).await;
    assert_eq!(ran.outcome(), "not present");
    assert_eq!(ran.ended.as_ref().unwrap().outcome.exit_code(), 0);
    assert_eq!(ran.severity(), "", "nothing is there, so there is no severity");
    let unknown = Setup::new().flag("a", false).silent("b").run(&text).await;
    assert_eq!(unknown.outcome(), "escalated", "unknown is not no");
}

fn observed() -> String {
    book(
        r##"situation {
  symptom full "Full?" {
    read value = demo.flag("full")
    yes when value
  }
  symptom complaints "Do users complain?" observed
  severity {
    sev1 when full and complaints
    sev2 when full
    sev2 when cannot tell
    sev3 otherwise
  }
}
stop "seen"
result {
  escalation matrix
}
"##,
    )
}

#[tokio::test]
async fn a_person_is_asked_only_when_something_needs_it() {
    let full = Setup::new()
        .flag("full", true)
        .observes("complaints", &[(60, Some(true))])
        .run(&observed())
        .await;
    assert_eq!(full.asked(), ["observe complaints"]);
    assert_eq!(full.severity(), "sev1");
    let absent = Setup::new()
        .flag("full", false)
        .observes("complaints", &[(60, Some(false))])
        .run(&observed())
        .await;
    assert_eq!(absent.outcome(), "not present");
    let empty = Setup::new()
        .flag("full", false)
        .observes("complaints", &[(60, Some(true))])
        .run(&observed())
        .await;
    assert_eq!(empty.asked(), ["observe complaints"]);
    assert_eq!(empty.severity(), "sev3", "both rows of a full pool are a definite no");
    let book = book(
        r##"situation {
  symptom full "Full?" {
    read value = demo.flag("full")
    yes when value
  }
  symptom complaints "Do users complain?" observed
  severity {
    sev2 when full or complaints
    sev2 when cannot tell
    sev3 otherwise
  }
}
stop "seen"
"##,
    );
    let decided = Setup::new().flag("full", true).run(&book).await;
    assert_eq!(decided.asked(), Vec::<String>::new(), "nobody can change that answer");
}

#[tokio::test]
async fn while_a_person_has_not_answered_the_cannot_tell_row_counts_so_nobody_waits_for_a_page() {
    let ran = Setup::new()
        .flag("full", true)
        .observes("complaints", &[(300, Some(true))])
        .run(&observed())
        .await;
    assert_eq!(
        ran.sent_at(),
        [(0, "page oncall".to_owned()), (300, "page boss".to_owned())],
        "sev2 at once, sev1 when the person said so"
    );
    assert_eq!(ran.texts("severity", "name"), ["sev2", "sev1"]);
}

#[tokio::test]
async fn a_person_who_does_not_answer_in_time_leaves_it_unknown() {
    let ran = Setup::new().flag("full", true).run(&observed()).await;
    assert_eq!(ran.severity(), "sev2");
    assert_eq!(ran.took, Duration::from_secs(15 * 60));
    let reasons = ran.texts("answered", "reason");
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("nobody answered within 15 min")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn an_unattended_run_asks_nobody() {
    let ran = Setup::new().flag("full", true).unattended().run(&observed()).await;
    assert_eq!(ran.asked(), Vec::<String>::new());
    assert_eq!(ran.took, Duration::ZERO);
    assert_eq!(ran.severity(), "sev2");
}

#[tokio::test]
async fn a_heavy_read_is_asked_about_once_per_run() {
    let text = summary(
        "one and two",
        r##"check one "One?" {
  read value = demo.costly()
  yes when value
}
check two "Two?" {
  read value = demo.costly()
  yes when value
}
require one else stop "no"
"##,
    );
    let setup = || Setup::new().given("costly", |_| Value::Bool(true));
    let allowed = setup();
    allowed
        .crowd
        .heavies
        .lock()
        .unwrap()
        .insert("demo.costly".to_owned(), vec![(5, true)]);
    let allowed = allowed.run(&text).await;
    assert_eq!(allowed.outcome(), "resolved");
    assert_eq!(allowed.asked(), ["heavy demo.costly"]);
    let refused = setup();
    refused
        .crowd
        .heavies
        .lock()
        .unwrap()
        .insert("demo.costly".to_owned(), vec![(5, false)]);
    let refused = refused.run(&text).await;
    assert_eq!(refused.outcome(), "stopped");
    assert_eq!(refused.reads("costly"), 0);
}

#[tokio::test]
async fn a_fan_out_asks_every_element() {
    let module_check = r##"check any_of = any is_set(each names)
check all_of = all is_set(each names)
"##;
    let text = format!(
        "{}\n{}",
        book(&format!(
            "task {{\n goal any_of and not all_of\n}}\nread names = demo.names()\n{module_check}"
        )),
        r##"check is_set(name: Text) "Is {name} set?" {
  read value = demo.flag(name)
  yes when value
}
"##
    );
    let names = |_: &super::fake::Past<'_>| Value::list(["a", "b", "c"].map(Value::text).to_vec());
    let ran = Setup::new()
        .given("names", names)
        .flag("a", true)
        .flag("b", false)
        .flag("c", true)
        .takes("flag", 5)
        .run(&text)
        .await;
    assert_eq!(ran.outcome(), "resolved");
    assert!(
        ran.took < Duration::from_secs(20),
        "they are asked side by side: {:?}",
        ran.took
    );
    let unknown = Setup::new()
        .given("names", names)
        .flag("a", true)
        .silent("b")
        .flag("c", true)
        .run(&text)
        .await;
    assert_eq!(
        unknown.outcome(),
        "stopped",
        "`all` is unknown with one unknown element"
    );
}

#[tokio::test]
async fn one_read_can_be_made_for_each_element() {
    let text = summary(
        "reachable",
        r##"read names = demo.names()
check reachable "Do all answer?" {
  read replies = demo.ping(name: each names)
  yes when replies.all(it.ok)
}
"##,
    );
    let names = |_: &super::fake::Past<'_>| Value::list(["a", "b"].map(Value::text).to_vec());
    let reply = |word: &'static str| {
        move |_: &super::fake::Past<'_>| {
            Value::record(
                "Probe",
                vec![("reply", Value::variant(word)), ("time", Value::Duration(1))],
            )
        }
    };
    let setup = || Setup::new().given("names", names).given("ping a", reply("answered"));
    let good = setup()
        .given("ping b", reply("answered"))
        .takes("ping", 10)
        .run(&text)
        .await;
    assert_eq!(good.outcome(), "resolved");
    assert_eq!(good.took.as_secs(), 10, "side by side");
    let bad = setup().given("ping b", reply("refused")).run(&text).await;
    assert_eq!(bad.outcome(), "stopped");
    let lost = setup()
        .given("ping b", |_| Value::unknown(starr::value::Reason::Timeout, ""))
        .run(&text)
        .await;
    assert!(
        lost.texts("ended", "reason")[0].contains("is unknown"),
        "one reply is missing"
    );
}

#[tokio::test]
async fn a_person_gives_a_value() {
    let text = book(
        r##"read names = demo.names()
ask which "Which one?" {
  choose from names
}
tell chat.post("#inc", "{which}")
ask note "Anything else?" {
  text
}
tell chat.post("#inc", "{note}")
stop "done"
"##,
    );
    let ran = Setup::new()
        .given("names", |_| Value::list(["a", "b"].map(Value::text).to_vec()))
        .says("which", "b")
        .says("note", "no {which} here")
        .run(&text)
        .await;
    assert_eq!(ran.asked(), [r#"ask which ["a", "b"]"#, "ask note []"]);
    let told: Vec<String> = ran
        .of("told")
        .iter()
        .map(|event| event["arguments"][1][1].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        told,
        ["b", "no {which} here"],
        "what a person writes is never read as a template"
    );
}

#[tokio::test]
async fn a_called_runbook_answers_a_question() {
    let child = r##"runbook child(name: Text) "A child" {
  owner "team"
  reads demo
  task {
    goal set
  }
  check set "Set?" {
    read value = demo.flag(name)
    yes when value
  }
}
"##;
    let parent = r##"use team.{demo, chat, pager, matrix}

runbook test() "A parent" {
  owner "team"
  reads demo
  runs  child
  task {
    goal fine
  }
  check fine = run child(name: "a")
  require fine else stop "the child is not resolved"
}
"##;
    let text = format!("{parent}\n{child}");
    let yes = Setup::new().flag("a", true).run(&text).await;
    assert_eq!(yes.outcome(), "resolved");
    assert!(
        yes.events
            .iter()
            .any(|(scope, event)| scope == "fine" && event.kind() == "answered")
    );
    let no = Setup::new().flag("a", false).run(&text).await;
    assert_eq!(no.outcome(), "stopped");
    assert_eq!(no.texts("child_ended", "outcome"), ["stopped"]);
}

#[tokio::test]
async fn equal_reads_of_two_checks_are_one_call_and_the_evidence_of_both() {
    let twice = "check low \"Low?\" {\n  read size = demo.size()\n  yes when size.now < 5\n}\n\
                 check high \"High?\" {\n  read size = demo.size() within 7 s\n  yes when size.now > 9\n}\n";
    let text = summary("low and not high", twice);
    let ran = Setup::new()
        .given("size", |_| Value::record("Size", vec![("now", Value::Int(3))]))
        .run(&text)
        .await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.reads("size"), 1);
    assert_eq!(ran.texts("read", "name"), ["low.size", "high.size"]);
}

#[tokio::test]
async fn only_so_many_questions_are_asked_at_once() {
    let most = starr::limits::CONCURRENT;
    let names: Vec<String> = (0..most + 4).map(|number| format!("f{number}")).collect();
    let checks: String = names.iter().map(|name| flag(name)).collect();
    let setup = names.iter().fold(Setup::new(), |setup, name| setup.flag(name, true));
    // Nobody is answered before so many wait for an answer, so it is exactly so many; were it fewer, nobody would be at all.
    let ran = setup
        .held_until("flag", most)
        .takes("flag", 20)
        .run(&format!(
            "{}require {} else escalate\n}}\n",
            summary(&names.join(" and "), &checks).trim_end().trim_end_matches('}'),
            names.join(" and ")
        ))
        .await;
    let at_once = ran.backend.crowded.most.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(at_once, most, "{:#?}", ran.backend.reads.lock().unwrap());
    let first = |name: &String| {
        ran.backend
            .reads
            .lock()
            .unwrap()
            .iter()
            .find(|seen| seen.what == format!("flag {name}"))
            .map(|seen| seen.at.as_secs())
    };
    let waited = names.iter().filter(|name| first(name) != Some(0)).count();
    assert_eq!(waited, 4, "the others wait for their turn");
    assert_eq!(ran.outcome(), "resolved");
}

#[tokio::test]
async fn a_fan_out_over_too_many_elements_asks_none() {
    let text = format!(
        "{}\n{}",
        book("task {\n goal all_of\n}\nread names = demo.names()\ncheck all_of = all is_set(each names)\n"),
        "check is_set(name: Text) \"Is {name} set?\" {\n  read value = demo.flag(name)\n  yes when value\n}\n"
    );
    let most = starr::limits::FAN_OUT;
    for (count, asked) in [(most, most), (most + 1, 0)] {
        let ran = Setup::new()
            .given("names", move |_: &super::fake::Past<'_>| {
                Value::list((0..count).map(|number| Value::text(format!("n{number}"))).collect())
            })
            .given("flag", |_| Value::Bool(true))
            .run(&text)
            .await;
        let answers = ran.texts("answered", "name");
        assert_eq!(
            answers.iter().filter(|name| *name == "all_of.each").count(),
            asked,
            "{count}"
        );
        assert_eq!(ran.outcome() == "resolved", asked > 0, "{count}");
    }
}

/// What somebody said when a cause was chosen counts until it was treated, also behind its first change; the goal asks anew.
#[tokio::test]
async fn a_person_is_not_asked_again_between_the_actions_of_a_cause() {
    let action = |name: &str| {
        format!(
            "action {name} \"Do {name}\" {{
      risk    low
      approve by oncall within 5 min
      do      demo.parts.fix(\"{name}\")
      undo    none because \"it is harmless\"
      verify  good_{name} within 2 min every 30 s
      failed  -> escalate
    }}
"
        )
    };
    let check = |name: &str| {
        format!("check good_{name} \"Is it good?\" {{\n  read value = demo.flag(\"{name}\")\n  yes when value\n}}\n")
    };
    let text = book(
        &format!(
            r##"situation {{
  symptom complaints "Do users complain?" observed
  severity {{
    sev2 when complaints
    sev2 when cannot tell
    sev3 otherwise
  }}
}}
task {{
  goal not complaints
}}
check allowed "May it be changed?" observed
{}{}branch "What is it?" {{
  cause broken "It is broken" when complaints and allowed {{
    {}    {}  }}
  otherwise or cannot tell {{
    escalate
  }}
}}
"##,
            check("a"),
            check("b"),
            action("first"),
            action("second")
        )
        .replace("good_first", "good_a")
        .replace("good_second", "good_b"),
    );
    let ran = Setup::new()
        .flag("a", true)
        .flag("b", true)
        .observes("complaints", &[(5, Some(true)), (5, Some(false))])
        .observes("allowed", &[(5, Some(true)), (5, Some(false))])
        .approves("first", "otto", 10)
        .approves("second", "otto", 10)
        .run(&text)
        .await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(
        ran.asked(),
        [
            "observe complaints",
            "observe allowed",
            "approve first as oncall",
            "approve second as oncall",
            "observe complaints"
        ]
    );
}
