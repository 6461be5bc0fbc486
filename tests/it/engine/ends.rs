//! How a run ends: resolved, the timebox, Ctrl-C, reflection.

use super::{Setup, book, cause, flag, with_timebox};
use starr::value::Value;

#[tokio::test]
async fn resolved_when_the_goal_held_for_the_whole_time() {
    let text = book(&format!(
        "task {{\n  goal a\n}}\n{}require a else stop \"no\"\nresult {{\n  resolved when goal for 10 min\n}}\n",
        flag("a")
    ));
    let ran = Setup::new().flag("a", true).run(&text).await;
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.took.as_secs(), 600);
    let broken = Setup::new()
        .given("flag a", |past| Value::Bool(past.now.as_secs() != 300))
        .run(&text)
        .await;
    assert_ne!(broken.outcome(), "resolved", "it did not hold all that time");
}

#[tokio::test]
async fn reaching_the_end_without_the_goal_escalates() {
    let text = book(&format!(
        r##"task {{
  goal good
}}
{}action mend "Mend" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.fix("x")
  undo    none because "it is harmless"
  verify  good within 30 s every 30 s
  failed  -> next step
}}
result {{
  escalation matrix
}}
"##,
        flag("good")
    ));
    let ran = Setup::new().flag("good", false).run(&text).await;
    assert_eq!(ran.outcome(), "escalated");
    let reason = &ran.texts("ended", "reason")[0];
    assert!(
        reason.starts_with("the end was reached, and `good` does not hold"),
        "{reason}"
    );
}

#[tokio::test]
async fn at_the_end_of_the_timebox_nothing_new_begins_except_undos() {
    let text = with_timebox(
        "5 min then stop \"out of time\"",
        &format!(
            r##"{}action mend "Mend" {{
  risk    low
  approve by oncall within 1 min
  do      demo.parts.fix("x") within 1 min
  undo    demo.parts.fix("un-x")
  verify  good within 2 min every 30 s
  failed  -> undo, next step
}}
wait until good within 2 min every 30 s else next step
tell chat.post("#inc", "behind")
"##,
            flag("good")
        ),
    );
    let ran = Setup::new()
        .flag("good", false)
        .takes("fix x", 50)
        .takes("flag good", 25)
        .approves("mend", "otto", 59)
        .run(&text)
        .await;
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.texts("interrupted", "because"), ["the timebox is over"]);
    assert_eq!(ran.sent(), ["fix x", "fix un-x"], "the tell behind it never begins");
}

#[tokio::test]
async fn the_timebox_cuts_a_verification_and_the_undo_still_runs() {
    let text = with_timebox(
        "2 min then escalate",
        &format!(
            r##"{}action mend "Mend" {{
  risk    low
  approve by oncall within 100 s
  do      demo.parts.fix("x") within 5 s
  undo    demo.parts.fix("un-x")
  verify  good within 10 s every 10 s
  failed  -> undo, next step
}}
wait until good within 1 min every 10 s else stop "no"
"##,
            flag("good")
        ),
    );
    let ran = Setup::new()
        .flag("good", false)
        .approves("mend", "otto", 95)
        .run(&text)
        .await;
    assert_eq!(ran.sent_at(), [(95, "fix x".to_owned()), (105, "fix un-x".to_owned())]);
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.took.as_secs(), 120);
}

fn slow() -> String {
    book(&format!(
        r##"task {{
  goal not a_flag
}}
check a_flag "Is a set?" {{
  read value = demo.flag("a")
  yes when value
}}
branch "What is it?" {{
{}  otherwise or cannot tell {{
    stop "nothing"
  }}
}}
"##,
        cause("a", "a_flag", "escalate")
    ))
}

#[tokio::test]
async fn ctrl_c_stops_between_effects_and_lists_what_is_in_place() {
    let mut setup = Setup::new().flag("a", true).takes("fix a", 60);
    setup.interrupt_after = Some(30);
    let ran = setup.run(&slow()).await;
    assert_eq!(ran.sent(), ["fix a"], "the change under way gets its result");
    assert_eq!(ran.texts("result", "outcome"), ["done"]);
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(ran.took.as_secs(), 60);
    assert_eq!(ran.in_place(), ["Fix a (`demo.parts.fix` on a)"]);
}

#[tokio::test]
async fn ctrl_c_ends_a_wait_for_people() {
    let mut setup = Setup::new().flag("a", true).silence();
    setup.interrupt_after = Some(30);
    let ran = setup.run(&slow()).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.took.as_secs(), 30);
    assert_eq!(ran.texts("interrupted", "because"), ["interrupted by the operator"]);
}

#[tokio::test]
async fn the_reflection_has_its_preventions_with_dates_and_its_answers() {
    let text = book(
        r##"stop "done"
reflection {
  prevent "Set a timeout" by "team" in 14 d
  advise  "Return what you took"
  ask     "What could have told us earlier?"
}
"##,
    );
    let setup = Setup::new();
    setup.crowd.reflections.lock().unwrap().insert(
        "What could have told us earlier?".to_owned(),
        vec![(5, "An alert".to_owned())],
    );
    let ran = setup.run(&text).await;
    assert_eq!(ran.texts("prevention", "due"), ["1970-01-15"]);
    assert_eq!(ran.texts("reflection", "answer"), ["An alert"]);
    assert_eq!(ran.of("reflection")[0]["by"]["name"], "ann");
    assert_eq!(ran.texts("advised", "title"), ["Return what you took"]);
    let kinds: Vec<&str> = ran.events.iter().map(|(_, event)| event.kind()).collect();
    let ended = kinds.iter().position(|kind| *kind == "ended").unwrap();
    assert!(kinds[..ended].iter().all(|kind| *kind != "reflection"));
}

#[tokio::test]
async fn a_runbook_without_goal_and_verification_is_resolved_at_its_end() {
    let text = book("tell chat.post(\"#inc\", \"hello\")\n");
    let ran = Setup::new().run(&text).await;
    assert_eq!(ran.outcome(), "resolved");
}

#[tokio::test]
async fn the_evidence_of_the_run_can_be_told() {
    let text = book(&format!(
        "task {{\n  goal not a\n}}\n{}require not a else tell chat.post(\"#inc\", \"{{run.evidence}} {{run.id}}\"), stop \"no\"\n",
        flag("a")
    ));
    let ran = Setup::new().flag("a", true).run(&text).await;
    let told = ran.of("told")[0]["arguments"][1][1].as_str().unwrap().to_owned();
    assert!(told.contains("a  yes, bad"), "{told}");
    assert!(told.contains("test-run"), "{told}");
}

#[tokio::test]
async fn the_evidence_of_a_run_lists_only_so_many_questions() {
    let most = starr::engine::limits::EVIDENCE_LINES;
    let listed = async |count: usize| {
        let checks: String = (0..count).map(|number| flag(&format!("q{number}"))).collect();
        let asked: String = (0..count)
            .map(|number| format!("require not q{number} else stop \"no\"\n"))
            .collect();
        let text = book(&format!(
            "task {{\n  goal not a\n}}\n{}{checks}{asked}require not a else tell chat.post(\"#inc\", \"{{run.evidence}}\"), stop \"no\"\n",
            flag("a"),
        ));
        let setup = (0..count).fold(Setup::new().flag("a", true), |setup, number| {
            setup.flag(&format!("q{number}"), false)
        });
        let told = setup.run(&text).await.of("told")[0]["arguments"][1][1]
            .as_str()
            .unwrap()
            .to_owned();
        told.lines()
            .filter(|line| line.starts_with('q') || line.starts_with("a  "))
            .count()
    };
    assert_eq!(listed(most / 2).await, most / 2 + 1);
    assert_eq!(listed(most + 5).await, most);
}
