//! What a scenario can say, and what it says when it fails.

use super::{ENDED, STUCK, all_pass, fails, report, suite};
use starr::scenario::coverage::Kind;
use starr::scenario::{Runtime, Variant};

pub fn with(more: &str) -> String {
    format!("{ENDED}\n{more}")
}

pub fn like(body: &str) -> String {
    with(&format!(
        "scenario \"Other\" {{\n  like \"The old ones are ended\"\n{body}\n}}\n"
    ))
}

#[test]
fn a_scenario_runs_to_its_end_and_everything_it_expects_is_looked_at() {
    all_pass(STUCK, ENDED);
}

#[test]
fn each_expectation_that_does_not_hold_is_said_with_what_was() {
    for (line, said) in [
        ("severity sev1", "the severity is sev2, not sev1"),
        ("cause too_small", "treated was aged_things, not too_small"),
        (
            "cause aged_things, too_small",
            "treated was aged_things, not aged_things, too_small",
        ),
        ("answer many no", "`many` was yes, then no, not no"),
        ("answer complaints yes", "`complaints` was never asked"),
        ("changed nothing", "changed was end_old, not nothing"),
        ("changed end_old, widen", "changed was end_old, not end_old, widen"),
        ("undone end_old", "taken back was nothing, not end_old"),
        ("never end_old", "end_old was done"),
        ("told chat.post", "`chat.post` told nobody"),
        ("told pager.page 2 times", "told somebody 1 times, not 2 times"),
        ("arm otherwise", "`otherwise` was not taken; taken was nothing"),
        ("outcome escalated", "the run ended resolved, not escalated"),
        ("outcome resolved within 1 min", "not 1 min at most"),
        ("record situation \"nowhere said\"", "does not say \"nowhere said\""),
    ] {
        let found = fails(STUCK, &like(&format!("  expect {{ {line} }}")));
        assert!(found.contains(said), "{line}: {found}");
    }
}

#[test]
fn the_reasoning_says_which_part_of_which_cause_held() {
    let report = report(STUCK, &like("  expect { outcome escalated }"));
    let last = report.results.last().unwrap();
    let all = last.reasoning.join("\n");
    for part in [
        "symptom many: yes",
        "things.count > 3 held: 14, limit 3",
        "cause aged_things: treated, when old",
        "old held",
        "verify end_old: not old: yes",
        "ended resolved",
    ] {
        assert!(all.contains(part), "{part}\n{all}");
    }
}

#[test]
fn an_answer_that_was_not_given_prints_the_line_that_makes_it_run() {
    // Begin with nothing, add what is printed, and come to an end: no line is ever wrong or printed twice.
    let mut given: Vec<String> = Vec::new();
    let mut operator: Vec<String> = Vec::new();
    for round in 0.. {
        assert!(round < 20, "{given:#?} {operator:#?}");
        let text = format!(
            "scenario \"Nothing\" {{\n  run stuck()\n  given {{\n    {}\n  }}\n  operator {{\n    {}\n  }}\n  expect {{ changed nothing }}\n}}\n",
            given.join("\n    "),
            operator.join("\n    ")
        );
        let suite = suite(STUCK, &text);
        let ran = suite.run(0, Variant::default(), &Runtime::new().unwrap());
        if ran.missing.is_empty() {
            break;
        }
        for missing in ran.missing {
            let lines = if missing.block.word() == "given" {
                &mut given
            } else {
                &mut operator
            };
            assert!(!lines.contains(&missing.line), "twice: {}", missing.line);
            lines.push(missing.line);
        }
    }
    assert_eq!(given, ["demo.things -> none"]);
    assert_eq!(operator, ["answer complaints yes"]);
}

#[test]
fn a_missing_approval_change_and_choice_print_their_lines() {
    let many = "demo.things -> 14 of {age: 1 min}\n demo.things(kind: \"aged\") -> 3 of {age: 12 min}";
    let run = |given: &str, operator: &str| {
        format!(
            "scenario \"x\" {{ run stuck()\n given {{ {given} }}\n operator {{ {operator} }}\n expect {{ changed nothing }} }}"
        )
    };
    assert!(fails(STUCK, &run(many, "")).contains("approve end_old as oncall"));
    assert!(fails(STUCK, &run(many, "approve end_old as oncall")).contains("demo.parts.end -> done"));
    let silent = "demo.things -> timeout\n demo.things(kind: \"aged\") -> timeout";
    assert!(fails(STUCK, &run(silent, "answer complaints yes")).contains("leave old unknown"));
}

#[test]
fn two_lines_that_answer_equally_well_are_not_chosen_between() {
    let text = ENDED.replace(
        "demo.things               -> 14 of {age: 1 min} until end_old then 2 of {age: 1 min}",
        "demo.things               -> 14 of {age: 1 min} until end_old then 2 of {age: 1 min}\n    demo.things(over: 0 s) -> 14 of {age: 1 min}",
    );
    let found = fails(STUCK, &text);
    assert!(found.contains("demo.things(kind: \"aged\") -> none"), "{found}");
}

#[test]
fn a_line_about_people_that_nothing_asked_for_fails() {
    let found = fails(
        STUCK,
        &like("  operator { answer complaints yes }\n  expect { outcome resolved }"),
    );
    assert!(
        found.contains("never used: nobody was asked about `complaints`"),
        "{found}"
    );
    // What was taken over may stay unused.
    all_pass(
        STUCK,
        &like("  given { demo.things -> none }\n  operator { answer complaints no }\n  expect { outcome not present }"),
    );
}

#[test]
fn a_field_that_was_left_out_and_decides_fails_with_the_line_that_gives_it() {
    let text = ENDED
        .replace("3 of {age: 12 min}", "3 of {id: 7}")
        .replace("cause    aged_things", "changed  nothing")
        .replace("changed  end_old\n", "");
    let text = text.split("  operator").next().unwrap().to_owned()
        + "  operator { approve widen as oncall\n refuse widen as boss }\n  expect { cause too_small }\n}\n";
    let found = fails(STUCK, &text);
    assert!(
        found.contains("an answer rests on `age`, which is not given: give it")
            && found.contains("demo.things(kind: \"aged\") -> 3 of {id: 7, age: 1 s} until end_old then none"),
        "{found}"
    );
}

#[test]
fn fields_that_decide_nothing_are_filled_in_and_tell_elements_apart() {
    // Three things with ages alone: the action gets three different ones, and they are the same three when asked again.
    let suite = suite(STUCK, ENDED);
    let ran = suite.run(0, Variant::default(), &Runtime::new().unwrap());
    let text = format!("{:?}", ran.entries);
    assert!(!ran.left_out.is_empty());
    assert!(!text.contains("Dropped"), "no target was dropped when asked again");
}

#[test]
fn silence_refusal_and_too_many_targets_are_not_approvals() {
    for (given, operator, outcome) in [
        ("", "leave end_old unknown", "refused"),
        ("", "refuse end_old as oncall because \"not now\"", "refused"),
        ("", "approve end_old as oncall after 16 min", "refused"),
        (
            "demo.things(kind: \"aged\") -> 11 of {age: 12 min}",
            "approve end_old as oncall",
            "refused",
        ),
    ] {
        let own = if given.is_empty() {
            operator.to_owned()
        } else {
            String::new()
        };
        all_pass(
            STUCK,
            &like(&format!(
                "  given {{ {given} }}\n  operator {{ {own} }}\n  expect {{\n cause aged_things\n changed nothing\n outcome {outcome}\n }}"
            )),
        );
    }
}

#[test]
fn two_roles_approve_and_a_change_that_did_not_help_is_taken_back() {
    all_pass(
        STUCK,
        &with(
            r##"scenario "It is made larger, in vain" {
  run stuck()
  given {
    demo.things               -> 14 of {age: 1 min}
    demo.things(kind: "aged") -> none
    demo.number(name: "size") -> 5
    demo.parts.widen          -> done
  }
  operator {
    approve widen as oncall
    approve widen as boss after 5 min
  }
  expect {
    cause   too_small
    changed widen
    undone  widen
    told    chat.post 2 times
    told    pager.page 2 times
    arm     otherwise of "Why?"
    outcome escalated
  }
}

scenario "One of the two is silent" {
  like     "It is made larger, in vain"
  operator { refuse widen as boss }
  expect {
    changed nothing
    outcome escalated
  }
}

scenario "Whether it helped is not known, and it is taken back by hand" {
  like     "It is made larger, in vain"
  given    { demo.things -> 14 of {age: 1 min} until widen then timeout }
  operator { undo widen }
  expect {
    changed widen
    undone  widen
    outcome stopped "nobody knows"
  }
}

scenario "Whether it helped is not known, and it is kept" {
  like     "It is made larger, in vain"
  given    { demo.things -> 14 of {age: 1 min} until widen then timeout }
  operator { keep widen }
  expect {
    changed widen
    undone  nothing
    outcome stopped "nobody knows"
  }
}

scenario "It cannot be taken back" {
  like  "It is made larger, in vain"
  given { demo.parts.widen(to: 5) -> fails "no" }
  expect {
    severity sev1
    changed widen
    undone  nothing
    outcome escalated
  }
}
"##,
        ),
    );
}

#[test]
fn an_unknown_answer_is_retried_answered_by_hand_or_left() {
    all_pass(
        STUCK,
        &with(
            r#"scenario "Asked again it answers" {
  like     "The old ones are ended"
  given    { demo.things(kind: "aged") -> timeout then 3 of {age: 12 min} until end_old then none }
  operator { retry old }
  expect {
    answer  old unknown
    answer  old yes
    outcome resolved
  }
}

scenario "Somebody knows" {
  like     "The old ones are ended"
  given    { demo.things(kind: "aged") -> denied }
  operator {
    answer  old no
    approve widen as oncall
    refuse  widen as boss
  }
  expect {
    answer  old unknown
    answer  old no
    cause   too_small
    changed nothing
    outcome escalated
  }
}

scenario "Nobody knows" {
  like     "The old ones are ended"
  given    { demo.things(kind: "aged") -> throttled }
  operator { leave old unknown }
  expect {
    arm     cannot tell of "Why?"
    changed nothing
    outcome stopped "it is not known"
  }
}
"#,
        ),
    );
}

#[test]
fn values_change_with_time_and_with_calls() {
    all_pass(
        STUCK,
        &with(
            r#"scenario "They are back after four minutes" {
  like  "The old ones are ended"
  given {
    demo.things               -> 14 of {age: 1 min} until end_old then none until 4 min then 14 of {age: 1 min}
    demo.things(kind: "aged") -> 3 of {age: 12 min} until end_old then none
  }
  expect {
    answer  many yes
    answer  many no
    answer  many yes
    changed end_old
    outcome escalated
  }
}
"#,
        ),
    );
}

#[test]
fn a_series_is_constant_and_switches_when_the_action_is_done() {
    let book = r#"use team.{demo}

runbook busy() "It is busy" {
  timebox 60 min then escalate
  reads   demo
  changes demo.parts
  situation {
    symptom high "Is more than 90 % in use for 5 min?" {
      read used = demo.use() within 10 s
      yes when used > 90 % for 5 min
    }
  }
  task { goal not high }
  branch "Why?" {
    cause slow "It is slow" when high {
      action repair "Repair it" {
        risk    low
        approve by oncall
        do      demo.parts.fix("it")
        undo    none because "it is better so"
        verify  not high within 10 min every 30 s
        failed  -> escalate
      }
    }
    otherwise or cannot tell { escalate }
  }
  reflection {
    prevent "More"
    ask     "Why?"
  }
}
"#;
    all_pass(
        book,
        r#"scenario "It is repaired" {
  run   busy()
  given {
    demo.use       -> 97 % until repair then 41 %
    demo.parts.fix -> done after 1 min
  }
  operator { approve repair as oncall }
  expect {
    answer  high yes
    answer  high unknown
    answer  high no
    changed repair
    outcome resolved
  }
}
"#,
    );
}

const PARENT: &str = r#"use team.{demo}

runbook outer() "Something is wrong" {
  timebox 120 min then escalate
  reads   demo
  changes demo.parts
  runs    inner
  situation {
    symptom wrong "Is something wrong?" observed
  }
  task { goal not wrong }
  check mended = run inner(of: "it")
  ask which "Which part is it?" { choose from ["left", "right"] }
  branch "Why?" {
    cause hopeless "It cannot be mended" when not mended {
      manual replace "Replace the {which} part" within 30 min {
        risk    low
        approve by oncall
        do      "Replace it"
        undo    "Put the old one back"
        verify  not wrong within 1 min every 10 s
        failed  -> undo, escalate
      }
    }
    otherwise or cannot tell { escalate }
  }
  reflection {
    prevent "More"
    ask     "Why?"
  }
}

runbook inner(of: Text) "Mend {of}" {
  timebox 30 min then escalate
  reads   demo
  changes demo.parts
  check broken "Is {of} broken?" {
    read number = demo.number(of) within 10 s
    yes when number > 5
  }
  branch "Is it broken?" {
    cause broken_part "It is broken" when broken {
      action mend "Mend it" {
        risk    low
        approve by oncall
        do      demo.parts.fix(of)
        undo    none because "it is better so"
        verify  not broken within 1 min every 10 s
        failed  -> escalate
      }
    }
    otherwise or cannot tell { stop "nothing to mend" }
  }
  reflection {
    prevent "More"
    ask     "Why?"
  }
}
"#;

#[test]
fn names_of_a_called_runbook_have_its_name_before_them_and_it_can_be_stubbed() {
    all_pass(
        PARENT,
        r#"scenario "It is mended inside" {
  run   outer()
  given {
    demo.number    -> 7 until mended.mend then 1
    demo.parts.fix -> done
  }
  operator {
    answer  wrong yes
    answer  which "left"
    approve mended.mend as oncall
  }
  expect {
    cause   mended.broken_part
    changed mended.mend
    answer  mended.broken yes
    answer  mended yes
    outcome escalated
  }
}

scenario "It cannot be mended, and is replaced by hand" {
  run   outer()
  given { run mended -> stopped }
  operator {
    answer  wrong yes until replace then no
    answer  which "right"
    approve replace as oncall
    tick    replace after 10 min
  }
  expect {
    answer  mended no
    answer  which "right"
    cause   hopeless
    changed replace
    outcome resolved
    record  action "Replace the right part"
  }
}

scenario "The replacement does not help" {
  like     "It cannot be mended, and is replaced by hand"
  operator {
    answer wrong yes
    tick   undo replace after 1 min
  }
  expect {
    cause   hopeless
    changed replace
    undone  replace
    outcome escalated
  }
}

scenario "The old part does not go back" {
  like     "The replacement does not help"
  operator { leave undo replace unknown }
  expect {
    changed replace
    undone  nothing
    outcome escalated
  }
}

scenario "Whether it was mended is in doubt" {
  run   outer()
  given { run mended -> in_doubt }
  operator {
    answer wrong yes
    answer which "right"
    leave  mended unknown
  }
  expect {
    answer  mended unknown
    arm     cannot tell
    outcome escalated
  }
}
"#,
    );
}

#[test]
fn a_heavy_read_is_allowed_by_the_operator() {
    let book = r#"use team.{demo}

runbook costly_one() "Is it costly?" {
  reads demo
  check costly "Is it?" {
    read it_is = demo.costly() within 10 s
    yes when it_is
  }
  branch "Is it?" {
    cause yes_it_is "It is" when costly { stop "it is" }
    otherwise { stop "it is not" }
    cannot tell { stop "nobody knows" }
  }
}
"#;
    all_pass(
        book,
        r#"scenario "Allowed" {
  run      costly_one()
  given    { demo.costly -> true }
  operator { answer demo.costly yes }
  expect   { outcome stopped "it is" }
}

scenario "Not allowed" {
  run      costly_one()
  given    { demo.costly -> true }
  operator {
    answer demo.costly no
    leave  costly unknown
  }
  expect   { outcome stopped "nobody knows" }
}
"#,
    );
    let found = fails(
        book,
        "scenario \"x\" {\n  run costly_one()\n  given { demo.costly -> true }\n  expect { outcome stopped }\n}\n",
    );
    assert!(found.contains("answer demo.costly yes"), "{found}");
}

#[test]
fn coverage_names_what_no_scenario_reached() {
    let report = all_pass(STUCK, ENDED);
    let coverage = report.coverage.unwrap();
    let missed: Vec<(Kind, &str)> = coverage
        .items
        .iter()
        .filter(|item| item.hits == 0)
        .map(|item| (item.kind, item.name.as_str()))
        .collect();
    assert_eq!(
        missed,
        [
            (Kind::UnknownAnswer, "many"),
            (Kind::UnknownAnswer, "complaints"),
            (Kind::UnknownAnswer, "old"),
            (Kind::Cause, "too_small"),
            (Kind::Otherwise, "Why?"),
            (Kind::CannotTell, "Why?"),
            (Kind::Failed, "end_old"),
            (Kind::Unclear, "end_old"),
            (Kind::NotApproved, "end_old"),
            (Kind::Done, "widen"),
            (Kind::Failed, "widen"),
            (Kind::Unclear, "widen"),
            (Kind::NotApproved, "widen"),
            (Kind::Undo, "widen"),
            (Kind::Escalation, "sev1 1 pager.page"),
            (Kind::Escalation, "sev2 2 pager.page"),
            (Kind::Escalation, "sev2 3 chat.post"),
        ]
    );
    assert_eq!((coverage.reached, coverage.all, coverage.percent), (3, 20, 15));
    // Each stands at its own line of the runbook.
    let line = |name: &str, kind: Kind| {
        let item = coverage
            .items
            .iter()
            .find(|item| item.name == name && item.kind == kind);
        STUCK.lines().nth(item.unwrap().line - 1).unwrap().trim().to_owned()
    };
    assert!(line("end_old", Kind::Failed).starts_with("failed"));
    assert!(line("widen", Kind::Undo).starts_with("undo"));
    assert!(line("too_small", Kind::Cause).starts_with("cause too_small"));
    assert_eq!(
        line("Why?", Kind::CannotTell),
        "cannot tell { stop \"it is not known\" }"
    );
}

#[test]
fn runs_in_parallel_come_to_the_same() {
    let mut text = ENDED.to_owned();
    for number in 0..60 {
        text.push_str(&format!(
            "\nscenario \"Number {number}\" {{\n  like \"The old ones are ended\"\n  expect {{ outcome resolved }}\n}}\n"
        ));
    }
    let suite = suite(STUCK, &text);
    let of = |threads: usize| {
        let options = starr::scenario::Options {
            coverage: true,
            threads,
            ..Default::default()
        };
        let report = starr::scenario::run_all(&suite, "book.starr", &options).unwrap();
        let titles: Vec<(String, bool)> = report
            .results
            .iter()
            .map(|result| (result.title.clone(), result.passed))
            .collect();
        (titles, report.coverage.map(|coverage| coverage.reached))
    };
    let one = of(1);
    assert_eq!(one.0.len(), 61);
    assert!(one.0.iter().all(|(_, passed)| *passed));
    assert_eq!(one, of(4));
}

#[test]
fn an_answer_is_given_to_one_document_among_the_arguments() {
    let book = r#"use std.http.{http}
runbook slowness() "Slow" {
  timebox 5 min then escalate
  reads   http
  situation {
    symptom slow "Is it slow?" {
      read reply = http.get("http://shop.example.com", path: "/traces", query: {least: "2ms"}) within 5 s
      yes when reply.status is 200
    }
  }
  stop "seen"
}
"#;
    let scenario = |query: &str| {
        format!(
            "scenario \"It is\" {{\n  run slowness()\n  given {{ http.get(path: \"/traces\", query: {query}) -> {{status: 200}} }}\n  expect {{ answer slow yes }}\n}}\n"
        )
    };
    all_pass(book, &scenario("{least: \"2ms\"}"));
    let said = fails(book, &scenario("{least: \"3ms\"}"));
    assert!(said.contains("http.get"), "{said}");
}

#[test]
fn an_own_line_takes_the_place_of_all_that_its_key_is_about() {
    // Of what was taken over, the line with an argument is about a call of this operation as well.
    let silent = "  given { demo.things -> timeout }
  operator {
    leave old unknown
    answer complaints yes
  }
  expect {
    answer  many unknown
    answer  old unknown
    changed nothing
    outcome stopped \"it is not known\"
  }";
    all_pass(STUCK, &like(silent));
    // One with an argument leaves what was said of the others.
    let aged = "  given { demo.things(kind: \"aged\") -> timeout }
  operator { leave old unknown }
  expect {
    answer  many yes
    answer  old unknown
    changed nothing
    outcome stopped \"it is not known\"
  }";
    all_pass(STUCK, &like(aged));
}

#[test]
fn what_is_expected_of_the_record_may_stand_at_the_margin() {
    let text = ENDED
        .replace("    record   action", "record action")
        .replace("    record   result", "record result");
    assert!(text.contains("\nrecord action \"") && text.contains("\nrecord result \""));
    all_pass(STUCK, &text);
    let other = text.replace("End 3 things", "End 4 things");
    assert!(fails(STUCK, &other).contains("does not say \"End 4 things\""));
}
