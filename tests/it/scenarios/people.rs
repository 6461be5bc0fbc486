//! Runs that change hands, and changes that a second person lets past policy.

use super::behaviour::{like, with};
use super::{ENDED, STUCK, all_pass, fails, report};

#[test]
fn the_operator_hands_the_run_over_and_somebody_else_goes_on_with_it() {
    let report = report(
        STUCK,
        &like(
            r#"  operator {
    hand over end_old to maria after 1 min because "my shift ends"
    approve end_old as oncall after 2 min
  }
  expect {
    cause   aged_things
    changed end_old
    outcome resolved
    record  action "maria took the run over from operator: my shift ends"
  }"#,
        ),
    );
    let last = report.results.last().unwrap();
    assert!(last.passed, "{:#?}\n{:#?}", last.problems, last.reasoning);
    // One minute until it is handed over, two until somebody else approves.
    assert!(last.run_seconds >= 180.0, "{}", last.run_seconds);
}

#[test]
fn who_is_handed_the_run_may_hand_it_on_or_say_nothing() {
    all_pass(
        STUCK,
        &with(
            r#"scenario "Handed on before anything is known" {
  like  "The old ones are ended"
  given { demo.things(kind: "aged") -> timeout }
  operator {
    hand over old to maria
    leave old unknown
  }
  expect {
    answer  old unknown
    changed nothing
    outcome stopped "it is not known"
    record  action "maria goes on with the run"
  }
}

scenario "Nobody whom it is handed to approves" {
  like "The old ones are ended"
  operator {
    hand over end_old to maria
    leave end_old unknown
  }
  expect {
    changed nothing
    outcome refused
  }
}
"#,
        ),
    );
}

#[test]
fn a_hand_over_that_nobody_comes_to_fails_the_scenario() {
    let found = fails(
        STUCK,
        &like("  operator { hand over widen to maria }\n  expect { outcome resolved }"),
    );
    assert!(
        found.contains("this line was never used: nobody was asked about `widen` so"),
        "{found}"
    );
}

#[test]
fn an_emergency_override_needs_a_second_person_and_stands_in_the_record() {
    all_pass(
        STUCK,
        &with(
            r#"scenario "Consented to" {
  like     "The old ones are ended"
  operator { override because "customers cannot pay" ticket "OPS-7" for 1 h as lead after 1 min }
  expect {
    changed end_old
    outcome resolved
    record  action "emergency override by operator with lead for 1 h, ticket OPS-7: customers cannot pay"
  }
}

scenario "Nobody consents" {
  like     "The old ones are ended"
  operator { override because "customers cannot pay" ticket "OPS-7" }
  expect {
    changed nothing
    outcome refused
  }
}

scenario "Whoever asks for it cannot consent" {
  like     "The old ones are ended"
  operator { override because "customers cannot pay" ticket "OPS-7" as operator }
  expect {
    changed nothing
    outcome refused
  }
}
"#,
        ),
    );
}

/// The clock's later entries wait while somebody has the incident; the step `escalate` waits for nobody.
#[test]
fn an_acknowledgement_holds_back_what_is_for_nobody_else() {
    let book = STUCK.replace(
        "escalation matrix",
        "escalation {\n      sev2 -> pager.page(\"oncall\") now, pager.page(\"second\") after 1 min unless acknowledged\n    }",
    );
    assert_ne!(book, STUCK);
    let of = |title: &str, operator: &str, pages: usize, more: &str| {
        format!(
            "scenario \"{title}\" {{\n  like \"The old ones are ended\"\n  operator {{\n    {operator}\n  }}\n  expect {{\n    told pager.page {pages} times\n    \
             {more}\n  }}\n}}\n"
        )
    };
    let ended = ENDED.replace("told     pager.page 1 times", "told     pager.page 2 times");
    let scenarios = [
        of(
            "Acknowledged in time",
            "acknowledge as maria after 59 s",
            1,
            "record action \"entry 2 of sev2 is held back: the incident was acknowledged by maria\"",
        ),
        of("Acknowledged too late", "acknowledge after 61 s", 2, "outcome resolved"),
        of(
            "Acknowledged, and escalated all the same",
            "acknowledge\n    refuse end_old as oncall after 2 min",
            2,
            "record action \"is held back\"",
        ),
    ];
    all_pass(&book, &format!("{ended}\n{}", scenarios.concat()));
    let idle = of("Nothing waits for it", "acknowledge as maria", 1, "outcome resolved");
    let found = fails(STUCK, &format!("{ENDED}\n{idle}"));
    assert!(
        found.contains("this line was never used: no entry of an escalation was due"),
        "{found}"
    );
}

/// A page that was opened is closed when the run ends well, and stays open when it does not.
#[test]
fn whoever_was_told_is_told_that_it_is_over() {
    let book = STUCK.replace(
        "escalation matrix",
        "escalation {\n      sev2 -> pager.page(\"oncall\") now\n      resolved -> chat.post(\"#inc\", \"It is over.\")\n    }",
    );
    let ended = ENDED.replace(
        "told     pager.page 1 times",
        "told     pager.page 1 times\n    told     chat.post 1 times",
    );
    let refused = "scenario \"Nobody ends them\" {\n  like \"The old ones are ended\"\n  operator { refuse end_old as oncall }\n  expect {\n    told \
                   pager.page 1 times\n    told chat.post 0 times\n    outcome refused\n  }\n}\n";
    let report = all_pass(&book, &format!("{ended}\n{refused}"));
    let coverage = report.coverage.unwrap();
    let told = coverage.items.iter().find(|item| item.name == "resolved 1 chat.post");
    assert!(told.is_some_and(|item| item.hits == 1), "{:?}", coverage.items);
    // Nobody was told: nobody is told that it is over.
    let quiet = book.replace("      sev2 -> pager.page(\"oncall\") now\n", "");
    let quiet_ended = ENDED.replace("told     pager.page 1 times", "told     chat.post 0 times");
    all_pass(&quiet, &quiet_ended);
}
