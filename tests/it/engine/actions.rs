//! An action: needed, approved, asked again, done, verified, taken back.

use super::fake::Past;
use super::{Setup, book, flag};
use starr::engine::world::OnUnclear;
use starr::value::{Reason, Value};

/// One action among the steps, after checks that read a flag each.
fn one(checks: &[&str], action: &str) -> String {
    let checks: String = checks.iter().map(|name| flag(name)).collect();
    book(&format!(
        "{checks}{action}\ntell chat.post(\"#inc\", \"behind\")\nresult {{\n  escalation matrix\n}}\n"
    ))
}

fn mend(before: &str, after: &str) -> String {
    format!(
        r##"action mend "Mend it" {{
  {before}
  risk    low
  approve by oncall within 5 min
  do      demo.parts.fix("x")
  undo    demo.parts.fix("un-x")
  {after}
}}"##
    )
}

const VERIFY: &str = "verify  good within 2 min every 30 s\n  failed  -> undo, escalate";

fn thing(id: i64, minutes: i64) -> Value {
    Value::record(
        "Thing",
        vec![
            ("id", Value::Int(id)),
            ("age", Value::Duration(minutes * 60_000_000_000)),
        ],
    )
}

fn things(ids: &[i64], minutes: i64) -> Value {
    Value::list(ids.iter().map(|id| thing(*id, minutes)).collect())
}

#[tokio::test]
async fn a_definite_no_of_when_is_not_needed_and_an_unknown_one_is_unclear() {
    let text = one(&["due", "good"], &mend("when    due", VERIFY));
    let no = Setup::new().flag("due", false).flag("good", true).run(&text).await;
    assert_eq!(no.texts("not_needed", "because"), ["`due` is no"]);
    assert_eq!(no.sent(), ["post #inc"], "the run goes on behind it");
    let unknown = Setup::new().silent("due").flag("good", true).run(&text).await;
    assert_eq!(unknown.actions(), ["mend unclear"]);
    assert_eq!(unknown.outcome(), "escalated");
    assert_eq!(unknown.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn an_action_that_works_is_done_and_listed_as_in_place() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new()
        .given("flag good", |past| Value::Bool(past.did("fix x")))
        .run(&text)
        .await;
    assert_eq!(ran.actions(), ["mend done"]);
    assert_eq!(ran.sent(), ["fix x", "post #inc"]);
    assert_eq!(ran.in_place(), ["Mend it (`demo.parts.fix` on x)"]);
    assert_eq!(ran.outcome(), "resolved");
}

#[tokio::test]
async fn a_verify_that_stays_a_definite_no_until_its_deadline_failed() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().flag("good", false).run(&text).await;
    assert_eq!(ran.actions(), ["mend failed"]);
    assert_eq!(ran.sent_at(), [(0, "fix x".to_owned()), (120, "fix un-x".to_owned())]);
    assert_eq!(
        ran.texts("action_ended", "outcome"),
        ["failed: `good` did not come true in 2 min"]
    );
    let next = &ran.texts("action_ended", "next")[0];
    assert!(next.starts_with("taking the change back, then escalating"), "{next}");
    assert_eq!(ran.in_place(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn a_verify_that_comes_true_late_is_done_then() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new()
        .given("flag good", |past| Value::Bool(past.now.as_secs() >= 60))
        .run(&text)
        .await;
    assert_eq!(ran.actions(), ["mend done"]);
    assert_eq!(ran.sent_at()[1], (60, "post #inc".to_owned()));
}

#[tokio::test]
async fn a_verify_that_ends_unknown_is_unclear_and_keeps_the_change() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().silent("good").run(&text).await;
    assert_eq!(ran.actions(), ["mend unclear"]);
    assert_eq!(ran.sent(), ["fix x"], "an undo is triggered only by a definite no");
    assert_eq!(ran.in_place(), ["Mend it (`demo.parts.fix` on x)"]);
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn only_the_operator_may_choose_to_undo_what_is_unclear() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new()
        .silent("good")
        .on_unclear("mend", OnUnclear::Undo)
        .run(&text)
        .await;
    assert_eq!(ran.sent(), ["fix x", "fix un-x"]);
    assert_eq!(ran.texts("choice", "choice"), ["take it back"]);
    assert_eq!(ran.in_place(), Vec::<String>::new());
}

#[tokio::test]
async fn for_in_verify_must_hold_all_that_time() {
    let clauses = "verify  good for 1 min within 5 min every 15 s\n  failed  -> undo, escalate";
    let text = one(&["good"], &mend("", clauses));
    // Good, then once bad at 30 s, then good: a minute of good ends at 105 s.
    let ran = Setup::new()
        .given("flag good", |past| Value::Bool(past.now.as_secs() != 30))
        .run(&text)
        .await;
    assert_eq!(ran.actions(), ["mend done"]);
    assert_eq!(ran.sent_at()[1], (105, "post #inc".to_owned()));
    let never = Setup::new()
        .given("flag good", |past| Value::Bool(past.now.as_secs() % 45 != 0))
        .run(&text)
        .await;
    assert_eq!(never.actions(), ["mend unclear"], "neither held nor failed throughout");
}

#[tokio::test]
async fn silence_is_refusal_and_the_run_is_refused() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().flag("good", true).silence().run(&text).await;
    assert_eq!(ran.outcome(), "refused");
    assert_eq!(ran.ended.as_ref().unwrap().outcome.exit_code(), 3);
    assert_eq!(ran.took.as_secs(), 300);
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.texts("not_approved", "because"), ["nobody answered within 5 min"]);
}

#[tokio::test]
async fn a_refusal_keeps_its_reason() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().flag("good", true).refuses("mend", "otto").run(&text).await;
    assert_eq!(ran.texts("not_approved", "because"), ["otto refused: not now"]);
    assert_eq!(ran.outcome(), "refused");
}

#[tokio::test]
async fn a_refusal_that_goes_on_is_no_refused_run() {
    let clauses = format!("{VERIFY}\n  not approved -> tell chat.post(\"#inc\", \"refused\"), next step");
    let text = one(&["good"], &mend("", &clauses));
    let ran = Setup::new().flag("good", true).refuses("mend", "otto").run(&text).await;
    assert_eq!(ran.sent(), ["post #inc", "post #inc"]);
    assert_eq!(ran.outcome(), "resolved");
}

fn high(approve: &str) -> String {
    one(
        &["good"],
        &format!(
            r##"action wipe "Wipe it" {{
  risk    high
  approve by {approve} within 5 min
  do      demo.parts.fix("x")
  undo    none because "it is gone"
  verify  good within 1 min every 30 s
  failed  -> escalate
}}"##
        ),
    )
}

#[tokio::test]
async fn approval_by_a_and_b_needs_both_and_two_people() {
    let text = high("oncall and dba");
    let both = Setup::new()
        .flag("good", true)
        .approves("wipe as oncall", "otto", 10)
        .approves("wipe as dba", "dora", 20)
        .run(&text)
        .await;
    assert_eq!(both.sent()[0], "fix x");
    assert_eq!(both.texts("approved", "role"), ["oncall", "dba"]);
    assert_eq!(
        both.in_place(),
        ["Wipe it (`demo.parts.fix` on x): it is not taken back because it is gone"]
    );
    let one_person = Setup::new()
        .flag("good", true)
        .approves("wipe as oncall", "otto", 10)
        .approves("wipe as dba", "otto", 20)
        .run(&text)
        .await;
    assert_eq!(one_person.outcome(), "refused");
    assert_eq!(one_person.sent(), Vec::<String>::new());
    let one_of_two = Setup::new()
        .flag("good", true)
        .silence()
        .approves("wipe as oncall", "otto", 10)
        .run(&text)
        .await;
    assert_eq!(one_of_two.outcome(), "refused");
    assert_eq!(one_of_two.took.as_secs(), 300, "both have the one deadline");
}

#[tokio::test]
async fn approval_by_a_or_b_needs_one() {
    let text = one(&["good"], &mend("", VERIFY)).replace("by oncall", "by oncall or dba");
    let ran = Setup::new()
        .flag("good", true)
        .approves("mend", "dora", 10)
        .run(&text)
        .await;
    assert_eq!(ran.asked(), ["approve mend as oncall or dba"]);
    assert_eq!(ran.actions(), ["mend done"]);
}

#[tokio::test]
async fn the_approval_says_in_words_what_follows_and_its_digest_is_in_the_intents() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().flag("good", false).run(&text).await;
    let requests = ran.crowd.requests.lock().unwrap();
    let request = &requests[0];
    assert_eq!(request.order, "Mend it");
    assert_eq!(request.calls[0].operation, "demo.parts.fix");
    let text = request.consequences.join("\n");
    for part in [
        "if one has changed, the approval is void",
        "It worked when “`good`” comes true within 2 min (asked every 30 s)",
        "): take the change back, then escalate, which ends the run",
        "If nobody can tell whether it worked: keep the change in place, then escalate, which ends the run",
        "; only the operator may choose to take it back",
        "If it is not approved: change nothing, then escalate, which ends the run",
        "Taken back by `demo.parts.fix(",
        "The approval covers the undo as well",
        "In 1 h, when the timebox ends, nothing new begins, except taking back changes already made; then the run escalates and ends",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert_eq!(request.digest.len(), 64);
    let approvals = ran.texts("intent", "approval");
    assert_eq!(
        approvals,
        [request.digest.clone(), request.digest.clone()],
        "it covers the undo"
    );
}

#[tokio::test]
async fn the_digest_depends_on_what_will_be_sent_and_on_what_was_seen() {
    let text = |what: &str| {
        one(
            &["good"],
            &mend("", VERIFY).replace("fix(\"x\")", &format!("fix(\"{what}\")")),
        )
    };
    let mut digests = Vec::new();
    for what in ["x", "x", "y"] {
        let ran = Setup::new().flag("good", true).run(&text(what)).await;
        digests.extend(ran.texts("approval_requested", "digest"));
    }
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

fn end_things(limit: u32) -> String {
    book(&format!(
        r##"check old "Are there old things?" {{
  read things = demo.things()
  yes when things.count > 0
}}
branch "What is it?" {{
  cause aged "They are old" when old {{
    action end "End {{old.things.count}} things" {{
      risk    low
      approve by oncall within 5 min seeing old.things
      refuse  above {limit} things
      do      demo.parts.end(old.things)
      undo    none because "they come back"
      verify  not old within 1 min every 30 s
      failed  -> escalate
      not approved -> stop "too many"
    }}
  }}
  otherwise or cannot tell {{
    stop "nothing"
  }}
}}
tell chat.post("#inc", "behind")
"##
    ))
}

fn ended(past: &Past<'_>) -> bool {
    past.done.iter().any(|what| what.starts_with("end"))
}

#[tokio::test]
async fn more_targets_than_allowed_are_refused_never_a_silent_first_n() {
    let ran = Setup::new()
        .given("things", |_| things(&[1, 2, 3], 9))
        .run(&end_things(2))
        .await;
    assert_eq!(
        ran.texts("not_approved", "because"),
        ["3 things, at most 2 are allowed"]
    );
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(
        ran.asked(),
        Vec::<String>::new(),
        "nobody is asked for what may not be done"
    );
    assert_eq!(ran.outcome(), "refused");
}

#[tokio::test]
async fn targets_that_no_longer_match_are_dropped_and_none_are_added() {
    let ran = Setup::new()
        .given("things", |past| match (ended(past), past.now.as_secs()) {
            (true, _) => things(&[], 0),
            (false, 0) => things(&[1, 2, 3], 9),
            // While the approver thought, 2 went away, 4 came, and the others grew older.
            _ => things(&[1, 3, 4], 10),
        })
        .approves("end", "otto", 60)
        .run(&end_things(50))
        .await;
    assert_eq!(ran.sent(), ["end 1+3", "post #inc"]);
    assert_eq!(ran.of("dropped").len(), 1);
    assert_eq!(ran.of("dropped")[0]["targets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_target_left_it_is_not_needed_and_the_run_goes_on() {
    let text = end_things(50).replace("yes when things.count > 0", "yes when things.count >= 0");
    let ran = Setup::new()
        .given("things", |past| match past.now.as_secs() {
            0 => things(&[1, 2], 9),
            _ => things(&[7], 9),
        })
        .approves("end", "otto", 60)
        .run(&text)
        .await;
    assert_eq!(ran.texts("not_needed", "because"), ["no target is left"]);
    assert_eq!(ran.sent(), ["post #inc"]);
}

#[tokio::test]
async fn when_the_cause_no_longer_holds_it_is_not_needed() {
    let ran = Setup::new()
        .given("things", |past| match past.now.as_secs() {
            0 => things(&[1, 2], 9),
            _ => things(&[], 9),
        })
        .approves("end", "otto", 60)
        .run(&end_things(50))
        .await;
    let because = &ran.texts("not_needed", "because")[0];
    assert!(because.starts_with("the cause `aged` no longer holds"), "{because}");
    assert_eq!(ran.sent(), ["post #inc"]);
}

#[tokio::test]
async fn unknown_when_asked_again_is_unclear_and_nothing_is_sent() {
    let ran = Setup::new()
        .given("things", |past| match past.now.as_secs() {
            0 => things(&[1, 2], 9),
            _ => Value::unknown(Reason::Timeout, ""),
        })
        .approves("end", "otto", 60)
        .run(&end_things(50))
        .await;
    assert_eq!(ran.actions(), ["end unclear"]);
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "escalated");
}

#[tokio::test]
async fn a_list_that_was_cut_is_not_treated() {
    let cut = |_: &Past<'_>| {
        Value::List(std::sync::Arc::new(starr::value::List {
            items: vec![thing(1, 9)],
            truncated: true,
        }))
    };
    let ran = Setup::new().given("things", cut).run(&end_things(50)).await;
    assert_eq!(ran.actions(), ["end unclear"]);
    assert_eq!(ran.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn anything_else_that_changed_voids_the_approval() {
    let text = one(
        &["good"],
        r##"read goal_size = demo.number("target")
action resize "Resize to {goal_size}" {
  risk    low
  approve by oncall within 5 min
  do      demo.parts.set(goal_size)
  undo    restore
  verify  good within 1 min every 30 s
  failed  -> undo, escalate
}"##,
    );
    let ran = Setup::new()
        .flag("good", true)
        .given("size", |_| Value::record("Size", vec![("now", Value::Int(3))]))
        .given("number target", |past| {
            Value::Int(if past.now.as_secs() == 0 { 5 } else { 6 })
        })
        .approves("resize", "otto", 60)
        .run(&text)
        .await;
    let because = &ran.texts("not_approved", "because")[0];
    assert!(
        because.contains("the approval is void: `to` changed from 5 to 6"),
        "{because}"
    );
    assert_eq!(ran.sent(), Vec::<String>::new());
}

fn resize(failed: &str, undo: &str) -> String {
    one(
        &["good"],
        &format!(
            r##"action resize "Resize" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.set(5)
  undo    {undo}
  verify  good within 1 min every 30 s
  failed  -> {failed}
}}"##
        ),
    )
}

fn sized() -> Setup {
    Setup::new().given("size", |past| {
        Value::record("Size", vec![("now", Value::Int(if past.did("set 5") { 5 } else { 3 }))])
    })
}

#[tokio::test]
async fn restore_puts_back_the_value_that_was_read_directly_before() {
    let ran = sized()
        .flag("good", false)
        .run(&resize("undo, escalate", "restore"))
        .await;
    assert_eq!(ran.sent(), ["set 5", "set 3"]);
    let intents = ran.of("intent");
    assert!(
        intents[0]["before"]["text"].as_str().unwrap().contains('3'),
        "{}",
        intents[0]
    );
    assert_eq!(intents[1]["purpose"], "undo");
    assert_eq!(ran.in_place(), Vec::<String>::new());
}

#[tokio::test]
async fn without_the_old_value_nothing_is_sent() {
    let ran = Setup::new()
        .flag("good", false)
        .given("size", |_| Value::unknown(Reason::Timeout, ""))
        .run(&resize("undo, escalate", "restore"))
        .await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.actions(), ["resize unclear"]);
}

#[tokio::test]
async fn a_failed_undo_ends_the_run_and_escalates_one_severity_up() {
    let ran = sized()
        .flag("good", false)
        .fails("set 3")
        .run(&resize("undo, next step", "restore"))
        .await;
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.severity(), "sev2", "sev3 was the default");
    assert_eq!(
        ran.sent(),
        ["set 5", "set 3", "page oncall", "page second", "post #inc"]
    );
    assert_eq!(ran.in_place(), ["Resize (`demo.parts.set`)"]);
}

#[tokio::test]
async fn an_undo_of_unknown_fate_is_in_doubt() {
    let ran = sized()
        .flag("good", false)
        .unclear("set 3")
        .run(&resize("undo, next step", "restore"))
        .await;
    assert_eq!(ran.outcome(), "in doubt");
    assert_eq!(ran.ended.as_ref().unwrap().outcome.exit_code(), 4);
}

#[tokio::test]
async fn an_undo_after_a_time_runs_by_its_timer_whatever_the_run_waits_for() {
    let text = resize("undo, escalate", "restore after 2 min").replace(
        "tell chat",
        "check late \"Late?\" {\n  read value = demo.flag(\"late\")\n  yes when value\n}\nwait until late within 10 min every 1 min else escalate\ntell chat",
    );
    let ran = sized()
        .flag("good", true)
        .given("flag late", |past| Value::Bool(past.now.as_secs() >= 300))
        .run(&text)
        .await;
    assert_eq!(
        ran.sent_at(),
        [
            (0, "set 5".to_owned()),
            (120, "set 3".to_owned()),
            (300, "post #inc".to_owned())
        ]
    );
    assert_eq!(ran.in_place(), Vec::<String>::new());
}

#[tokio::test]
async fn the_run_stays_until_a_timer_has_taken_back() {
    let text = resize("undo, escalate", "restore after 4 h");
    let ran = sized().flag("good", true).run(&text).await;
    assert_eq!(ran.sent_at().last().unwrap(), &(4 * 3600, "set 3".to_owned()));
    assert_eq!(ran.in_place(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(ran.of("ended")[0]["duration_seconds"], 0.0, "it was decided at once");
}

#[tokio::test]
async fn a_timer_that_fails_ends_the_run_one_severity_up() {
    let text = resize("undo, escalate", "restore after 2 min").replace(
        "tell chat",
        "check late \"Late?\" {\n  read value = demo.flag(\"late\")\n  yes when value\n}\nwait until late within 10 min every 1 min else escalate\ntell chat",
    );
    let ran = sized()
        .flag("good", true)
        .flag("late", false)
        .fails("set 3")
        .run(&text)
        .await;
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.severity(), "sev2");
    assert_eq!(ran.took.as_secs(), 120, "the wait is cut short");
}

#[tokio::test]
async fn an_undo_at_the_end_runs_at_the_end() {
    let text = resize("undo, escalate", "restore at end");
    let ran = sized().flag("good", true).run(&text).await;
    assert_eq!(ran.sent(), ["set 5", "post #inc", "set 3"]);
    assert_eq!(ran.in_place(), Vec::<String>::new());
    let escalating =
        resize("undo, escalate", "restore at end").replace("tell chat.post(\"#inc\", \"behind\")", "escalate");
    let ran = sized().flag("good", true).run(&escalating).await;
    assert_eq!(ran.sent(), ["set 5", "set 3"], "however the run ends");
}

fn several() -> String {
    one(
        &["good"],
        r##"action many "Do many" {
  risk    low
  approve by oncall within 5 min
  do      demo.parts.fix("a")
  do      demo.parts.fix("b")
  undo    demo.parts.fix("un-ab")
  do      demo.parts.fix("c")
  undo    demo.parts.fix("un-c")
  verify  good within 1 min every 30 s
  failed  -> undo, escalate
}"##,
    )
}

#[tokio::test]
async fn undos_run_for_what_was_sent_last_first() {
    let ran = Setup::new().flag("good", false).run(&several()).await;
    assert_eq!(ran.sent(), ["fix a", "fix b", "fix c", "fix un-c", "fix un-ab"]);
}

#[tokio::test]
async fn a_failed_do_skips_the_rest() {
    let ran = Setup::new().flag("good", false).fails("fix b").run(&several()).await;
    assert_eq!(
        ran.sent(),
        ["fix a", "fix b", "fix un-ab"],
        "c was never sent, so it is not undone"
    );
    assert_eq!(ran.actions(), ["many failed"]);
    let first = Setup::new().flag("good", false).fails("fix a").run(&several()).await;
    assert_eq!(first.sent(), ["fix a"], "it definitely did not happen");
}

#[tokio::test]
async fn a_change_of_unknown_fate_is_in_doubt() {
    let ran = Setup::new().flag("good", true).unclear("fix b").run(&several()).await;
    assert_eq!(
        ran.sent(),
        ["fix a", "fix b"],
        "nothing is repeated, nothing is taken back"
    );
    assert_eq!(ran.outcome(), "in doubt");
    assert_eq!(ran.in_place().len(), 2);
    assert!(
        ran.in_place()[1].starts_with("perhaps: Do many"),
        "{:?}",
        ran.in_place()
    );
    let undone = Setup::new()
        .flag("good", true)
        .unclear("fix b")
        .on_unclear("many", OnUnclear::Undo)
        .run(&several())
        .await;
    assert_eq!(undone.sent(), ["fix a", "fix b", "fix un-ab"]);
    assert_eq!(
        undone.outcome(),
        "escalated",
        "what was taken back is no longer in doubt"
    );
}

/// A-CR-3: the provider accepts and never answers.
#[tokio::test]
async fn a_change_that_does_not_answer_in_time_is_in_doubt() {
    let ran = Setup::new()
        .flag("good", true)
        .takes("fix a", 400)
        .run(&several())
        .await;
    assert_eq!(ran.outcome(), "in doubt");
    assert_eq!(ran.texts("result", "outcome"), ["unclear"]);
}

#[tokio::test]
async fn the_result_of_a_change_can_be_used_by_the_next() {
    let text = one(
        &["good"],
        r##"action build "Build" {
  risk    low
  approve by oncall within 5 min
  do made = demo.parts.make("thing")
  do      demo.parts.use(made)
  undo    none because "it is new"
  verify  good within 1 min every 30 s
  failed  -> escalate
}
tell chat.post("#inc", "made {made}")"##,
    );
    let ran = Setup::new()
        .flag("good", true)
        .effect("make thing", |_| starr::provider::Outcome::Done(Value::Int(42)))
        .run(&text)
        .await;
    assert_eq!(ran.sent(), ["make thing", "use 42", "post #inc", "post #inc"]);
    assert_eq!(ran.of("told")[0]["arguments"][1][1], "made 42");
    let intents = ran.of("intent");
    assert_eq!(intents[0]["class"], "K");
    assert_eq!(intents[0]["key"].as_str().unwrap().len(), 32);
    assert_eq!(intents[1]["class"], "U");
    assert_eq!(intents[1]["key"], serde_json::Value::Null);
}

#[tokio::test]
async fn an_earlier_action_is_taken_back_on_order() {
    let text = one(
        &["good"],
        &format!(
            "{}\n{}",
            mend("", VERIFY),
            r##"action back "Take it back" {
  risk    low
  approve by oncall within 5 min
  do undo mend
  undo    none because "it was the undo"
  verify  good within 1 min every 30 s
  failed  -> escalate
}"##
        ),
    );
    let ran = Setup::new().flag("good", true).run(&text).await;
    assert_eq!(ran.sent(), ["fix x", "fix un-x", "post #inc"]);
    assert_eq!(ran.actions(), ["mend done", "back done"]);
    assert_eq!(ran.in_place(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_environment_does_not_grant_is_not_even_asked_about() {
    let text = one(&["good"], &mend("", VERIFY));
    let mut setup = Setup::new().flag("good", true);
    setup.grants.retain(|grant| grant.capability != "demo");
    setup.grants.push(starr::provider::gate::Grant {
        capability: "demo".to_owned(),
        effects: vec![starr::provider::Effect::Read],
        targets: None,
    });
    let ran = setup.run(&text).await;
    assert_eq!(ran.outcome(), "refused");
    assert_eq!(ran.asked(), Vec::<String>::new());
    let because = &ran.texts("not_approved", "because")[0];
    assert!(because.contains("does not grant"), "{because}");
}

#[tokio::test]
async fn a_manual_is_done_when_it_is_ticked_and_failed_when_it_is_not() {
    let text = book(
        r##"manual call "Call the vendor" within 10 min
tell chat.post("#inc", "behind")
"##,
    );
    let ticked = Setup::new().ticks("call", 60, true).run(&text).await;
    assert_eq!(ticked.actions(), ["call done"]);
    assert_eq!(ticked.sent_at(), [(60, "post #inc".to_owned())]);
    let late = Setup::new().run(&text).await;
    assert_eq!(late.actions(), ["call failed"]);
    assert_eq!(late.took.as_secs(), 600);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_it_would_do() {
    let text = one(&["good"], &mend("", VERIFY));
    let ran = Setup::new().flag("good", true).dry().run(&text).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.asked(), Vec::<String>::new());
    assert_eq!(ran.of("intent").len(), 0);
    assert_eq!(ran.actions(), ["mend would be sent"]);
    let next = &ran.texts("action_ended", "next")[0];
    assert!(next.contains("would ask approval by oncall"), "{next}");
    assert_eq!(ran.outcome(), "stopped");
    assert_eq!(
        ran.of("action_started")[0]["operations"][0]["operation"],
        "demo.parts.fix"
    );
}
