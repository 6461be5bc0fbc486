//! Rules that look at a whole program, on whole files.

use starr::check::{self, Context, Embedded};
use starr::diagnostic::Diagnostic;

fn check(text: &str) -> Vec<Diagnostic> {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: Some(jiff::civil::date(2026, 11, 22)),
        matrix: None,
    };
    check::check("sample.starr", None, text.as_bytes().to_vec(), &context).diagnostics
}

/// `rule: message` of every finding.
fn messages(text: &str) -> Vec<String> {
    check(text)
        .iter()
        .map(|finding| format!("{}: {}", finding.rule, finding.message))
        .collect()
}

const HEADER: &str = r#"use std.postgres.{Postgres, stuck_sessions, end_sessions}

provider prometheus {
  read series(query: Promql) -> Series<Ratio>
}

runbook pool_exhausted(db: Postgres) "Database connection pool exhausted" {
  owner    "team-storage"
  status   production
  reviewed 2026-11-01 valid 90 d
"#;

const REFLECTION: &str = r#"
  reflection {
    prevent "Set idle_in_transaction_session_timeout to 5 min" by "team-storage" in 14 d
    ask     "Which signal could have told us earlier?"
  }
}
"#;

fn file(header: &str, body: &str) -> String {
    format!("{HEADER}{header}\n{body}{REFLECTION}")
}

const EFFECTS: &str = "  reads    postgres, prometheus\n  changes  postgres.sessions\n";

const SYMPTOM: &str = r#"
  situation {
    symptom pool_full "Is more than 90 % of the pool in use?" {
      read used = prometheus.series(`db_pool_used_ratio`) within 10 s
      yes when used > 90 % for 5 min
    }
  }
  task {
    goal not pool_full
  }
"#;

fn action(approve: &str, verify: &str, failed: &str) -> String {
    format!(
        r#"      action end_stuck "End {{stuck.count}} sessions that are idle in a transaction" {{
        risk    medium
        approve by oncall within {approve} seeing stuck.sessions
        refuse  above 50 sessions
        do      postgres.sessions.terminate(stuck.sessions)
        undo    none because "clients reconnect by themselves"
        verify  {verify}
        failed  -> {failed}
      }}
"#
    )
}

/// The sample of the language, with a person in the place of Kubernetes.
#[test]
fn the_sample_of_the_language_is_clean() {
    let first = r#"      manual roll_back "Return the service to the release before" within 10 min {
        risk    medium
        approve by oncall within 15 min
        do      "Roll the release back"
        undo    "Roll it forward again"
        verify  not stuck within 10 min every 30 s
        failed       -> undo, next cause
        unclear      -> keep, escalate
        not approved -> next cause
      }
"#;
    let body = format!(
        r#"{SYMPTOM}
  check stuck   = stuck_sessions(db, older_than: 5 min, more_than: 5)
  check release "Was there a release in the last two hours?" observed

  branch "What holds the connections?" {{
    cause leak "The new release leaks connections" when stuck and release {{
{first}    }}
    cause abandoned "Sessions were left open" when stuck {{
{}    }}
    otherwise or cannot tell {{
      escalate
    }}
  }}

  result {{
    resolved when goal for 10 min
  }}
"#,
        action("15 min", "not stuck within 3 min every 15 s", "escalate")
    );
    assert_eq!(
        messages(&file(&format!("  timebox  60 min then escalate\n{EFFECTS}"), &body)),
        Vec::<String>::new()
    );
}

#[test]
fn a_verification_needs_the_time_that_its_question_asks() {
    let body = format!(
        "{SYMPTOM}\n  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)\n{}",
        action("15 min", "not pool_full within 3 min every 15 s", "escalate")
    );
    let found = check(&file(EFFECTS, &body));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].rule, "beyond-timebox");
    assert_eq!(
        found[0].message,
        "this verification can never be a yes: it asks for 5 min and has 3 min"
    );
    assert_eq!(found[0].labels[0].text, "asks for 5 min");
}

#[test]
fn the_longest_path_is_said_in_its_parts() {
    let body = format!(
        r#"{SYMPTOM}
  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)
  branch "What holds the connections?" {{
    cause abandoned "Sessions were left open" when stuck {{
{}    }}
    otherwise or cannot tell {{
      escalate
    }}
  }}
"#,
        action("15 min", "not stuck within 3 min every 15 s", "escalate")
    );
    let found = check(&file(&format!("  timebox  20 min then escalate\n{EFFECTS}"), &body));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        found[0].message,
        "the cause `abandoned` can take 29 min 10 s, longer than the timebox of 20 min"
    );
    assert_eq!(
        found[0].label,
        "reads 10 s, approval 15 min, change 5 min, verification 3 min, undo or settling 6 min"
    );
    assert_eq!(
        messages(&file(&format!("  timebox  30 min then escalate\n{EFFECTS}"), &body)),
        Vec::<String>::new()
    );
}

#[test]
fn the_goal_by_its_name_is_the_goal() {
    for verify in ["goal", "not pool_full", "not pool_full for 1 min", "goal for 1 min"] {
        let first = format!(
            r#"      manual widen "Widen the pool" within 5 min {{
        risk    medium
        do      "Set the pool size to 40"
        undo    "Set the pool size to 20"
        verify  {verify} within 6 min every 30 s
        failed  -> undo, next cause
      }}
"#
        );
        let body = format!(
            r#"{SYMPTOM}
  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)
  branch "What holds the connections?" {{
    cause small "The pool is too small" when not stuck {{
{first}    }}
    cause abandoned "Sessions were left open" when stuck {{
      escalate
    }}
    otherwise or cannot tell {{
      escalate
    }}
  }}
"#
        );
        assert_eq!(
            messages(&file("  reads    postgres, prometheus\n", &body)),
            ["verify-is-goal: this action may be taken back although it worked"],
            "{verify}"
        );
    }
}

#[test]
fn severity_rows_are_compared_and_may_overlap() {
    let severity = |rows: &str| {
        format!(
            r#"
  situation {{
    symptom slow "Do users report slowness?" observed
    symptom down "Is the site down?" observed
    severity {{
{rows}
      sev3 when cannot tell
      sev3 otherwise
    }}
  }}
  task {{
    goal not slow and not down
  }}
"#
        )
    };
    let clean = severity("      sev1 when slow and down\n      sev2 when slow\n      sev2 when down");
    assert_eq!(messages(&file("", &clean)), Vec::<String>::new());
    let shadowed = severity("      sev1 when slow\n      sev2 when down\n      sev2 when slow and not down");
    assert_eq!(
        messages(&file("", &shadowed)),
        ["shadowed-cause: this row of `sev2` is never chosen: whenever it holds, a row before it holds"]
    );
    let never = severity("      sev1 when slow and not slow");
    assert_eq!(
        messages(&file("", &never)),
        ["contradiction: this row of `sev1` can never hold"]
    );
}

#[test]
fn a_branch_that_is_asked_once_takes_the_first_cause_only() {
    let branch = |task: &str| {
        format!(
            r#"
  situation {{
    symptom slow "Do users report slowness?" observed
  }}
{task}
  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)
  branch "What is it?" {{
    cause many "Sessions are stuck" when stuck {{
      advise "Look at the pool settings"
    }}
    cause too_many "Very many sessions are stuck" when stuck and slow {{
      advise "Look at the pool settings at once"
    }}
    otherwise or cannot tell {{
      escalate
    }}
  }}
"#
        )
    };
    let reads = "  reads    postgres\n";
    assert_eq!(
        messages(&file(reads, &branch("  task {\n    goal not slow\n  }"))),
        Vec::<String>::new()
    );
    let once = check(&file(reads, &branch("")));
    assert_eq!(once.len(), 1, "{once:#?}");
    assert_eq!(once[0].message, "the cause `too_many` is never reached");
    assert_eq!(once[0].labels[0].text, "is taken first, and this branch is asked once");
}

#[test]
fn limits_behind_names_are_the_same_limits() {
    let body = r#"
  read sessions = postgres.sessions.list(db, state: idle_in_transaction)
  let  count    = sessions.count
  let  limit    = 50
  let  crowded  = count > limit
  branch "How many sessions are stuck?" {
    cause many "Many sessions are stuck" when crowded {
      escalate
    }
    cause few "A few sessions are stuck" when 50 > count {
      stop "Few sessions"
    }
    otherwise or cannot tell {
      escalate
    }
  }
"#;
    assert_eq!(
        messages(&file("  reads    postgres\n", body)),
        ["gap-in-causes: no cause covers `count` exactly 50"]
    );
}

#[test]
fn a_library_action_made_riskier_needs_two_approvers() {
    let body = r#"
  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)
  branch "What holds the connections?" {
    cause left_open "Sessions were left open" when stuck {
      action end_stuck = end_sessions(stuck.sessions, held: stuck) {
        risk high
      }
    }
    otherwise or cannot tell {
      escalate
    }
  }
"#;
    let found = messages(&file("  reads    postgres\n  changes  postgres.sessions\n", body));
    assert_eq!(found, ["weak-approval: one person can approve a change of high risk"]);
}

#[test]
fn evidence_is_used_wherever_it_is_named() {
    let used =
        |steps: &str| format!("\n  read sessions = postgres.sessions.list(db, state: active)\n{steps}\n  escalate\n");
    let reads = "  reads    postgres\n";
    assert_eq!(
        messages(&file(reads, &used(""))),
        ["unused-evidence: nothing looks at the reply of `sessions`"]
    );
    for steps in [
        "  advise \"There are {sessions.count} sessions\"",
        "  > There are {sessions.count} sessions.",
        "  require sessions is not empty else escalate",
        "  manual look \"Look at {sessions.count} sessions\" within 5 min",
    ] {
        assert_eq!(messages(&file(reads, &used(steps))), Vec::<String>::new(), "{steps}");
    }
    // One finding for a chain: the value that nothing names, not what it is made of.
    assert_eq!(
        messages(&file(reads, &used("  let count = sessions.count"))),
        ["unused-evidence: nothing looks at the value of `count`"]
    );
    // A field of a check that is looked at is the check looked at.
    let check = |steps: &str| {
        format!("\n  check stuck = stuck_sessions(db, older_than: 5 min, more_than: 5)\n{steps}\n  escalate\n")
    };
    assert_eq!(
        messages(&file(reads, &check("  advise \"There are {stuck.count}\""))),
        Vec::<String>::new()
    );
    assert_eq!(
        messages(&file(reads, &check(""))),
        ["unused-evidence: nothing looks at the answer of `stuck`"]
    );
}
