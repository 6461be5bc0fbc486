use super::*;

fn context(library: &dyn Library) -> Context<'_> {
    Context {
        library,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        today: None,
    }
}

/// Each finding as one line: rule, underlined text, message.
fn findings(checked: &Checked) -> Vec<String> {
    checked
        .diagnostics
        .iter()
        .map(|finding| {
            let (line, column) = checked.sources.line_column(finding.span);
            let text = checked.sources.text(finding.span);
            format!("{line}:{column} {} `{text}` {}", finding.rule, finding.message)
        })
        .collect()
}

#[test]
fn the_embedded_modules_have_no_errors() {
    for path in Embedded::paths() {
        let module = Embedded.module(path).expect("its own path");
        let checked = check(&module.name, None, module.bytes, &context(&Embedded));
        assert_eq!(findings(&checked), Vec::<String>::new(), "{path}");
        let program = checked.program.expect("no errors");
        assert!(!program.examples.is_empty(), "{path} has examples");
    }
}

const TEAM: &str = r##"module team "Ours"

resource Deployment
record Release { current: Text, previous: Text, age: Duration }
record Workload { replicas: Int }

provider chat {
  tell post(to: Text, text: Text)
}
provider pager {
  tell page(who: Text)
}
provider prometheus {
  read series(query: Promql, of: Postgres? = none) -> Series<Float>
}
provider kubernetes {
  read   releases(app: Deployment) -> Release
  read   workload(app: Deployment) -> Workload
  change rollout.undo(app: Deployment, to: Text) idempotent {
    before releases(app)
    undo   rollout.undo(app, to: before.current)
  }
}

escalation matrix {
  sev1 -> pager.page("oncall") now, chat.post("#inc", "{run.id}") after 10 min
}

check released_recently(app: Deployment, within: Duration = 2 h) "Was {app} released in the last {within}?" {
  read release  = kubernetes.releases(app)
  let  previous = release.previous
  yes when release.age < within
}
"##;

struct Ours;

impl Library for Ours {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let text = match path {
            "team" => TEAM.replace(
                "resource Deployment",
                "use std.postgres.{Postgres}\n\nresource Deployment",
            ),
            _ => return None,
        };
        Some(ModuleSource {
            name: format!("{path}.starr"),
            path: None,
            bytes: text.into_bytes(),
        })
    }
}

const SAMPLE: &str = r##"use std.postgres.{Postgres, stuck_sessions, connection_use}
use team.{matrix, released_recently, Deployment, chat, kubernetes, prometheus, pager}

runbook pool_exhausted(db: Postgres, app: Deployment) "Database connection pool exhausted" {
  > Every connection is taken, so requests wait and then time out.

  owner    "team-storage"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  60 min then escalate
  reads    postgres, kubernetes, prometheus
  changes  postgres.sessions, kubernetes.rollout
  tells    chat, pager

  situation {
    symptom pool_full "Is more than 90 % of the pool in use?" {
      read used: Series<Ratio> = prometheus.series(`db_pool_used_ratio`, of: db) within 10 s
      yes when used > 90 % for 5 min
    }
    symptom complaints "Do users report timeouts?" observed        # a person answers
    severity {
      sev1 when pool_full and complaints
      sev2 when pool_full
      sev2 when cannot tell
      sev3 otherwise
    }
  }

  task {
    > Free connections without losing committed work.
    goal not pool_full
  }

  check stuck   = stuck_sessions(db, older_than: 5 min, more_than: 5)
  check release = released_recently(app, within: 2 h)

  branch "What holds the connections?" {
    cause leak "The new release leaks connections" when stuck and release {
      action roll_back "Return {app} to {release.previous}" {
        risk    medium
        approve by oncall within 15 min
        do      kubernetes.rollout.undo(app, to: release.previous) within 10 min
        undo    restore
        verify  not stuck within 10 min every 30 s
        failed       -> undo, next cause
        unclear      -> keep, escalate
        not approved -> next cause
      }
    }
    cause abandoned "Sessions were left open" when stuck {
      action end_stuck "End {stuck.count} sessions that are idle in a transaction" {
        > Their uncommitted work is lost. The application retries it.
        risk    medium
        approve by oncall within 15 min seeing stuck.sessions
        refuse  above 50 sessions
        do      postgres.sessions.terminate(stuck.sessions)
        undo    none because "clients reconnect by themselves"
        verify  not stuck within 3 min every 15 s
        failed       -> escalate
        not approved -> escalate
      }
    }
    otherwise or cannot tell {
      tell chat.post("#inc-storage", "Pool exhausted, cause unclear. {run.evidence}")
      escalate
    }
  }

  result {
    resolved when goal for 10 min
    escalation matrix
  }

  reflection {
    prevent "Set idle_in_transaction_session_timeout to 5 min" by "team-storage" in 14 d
    advise  "Return connections in a finally block" {
      > See the code sample in the guide.
    }
    ask     "Which signal could have told us earlier?"
  }
}
"##;

fn sample(text: &str) -> Checked {
    check("sample.starr", None, text.as_bytes().to_vec(), &context(&Ours))
}

#[test]
fn the_sample_of_the_language_page_has_no_errors() {
    let text = SAMPLE
        .replace("connection_use}", "}")
        .replace("stuck_sessions, }", "stuck_sessions}");
    let checked = sample(&text);
    assert_eq!(findings(&checked), Vec::<String>::new());
    let program = checked.program.expect("no errors");
    let runbook = &program.runbooks[0];
    let names: Vec<&str> = runbook.bindings.iter().map(|binding| binding.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "db",
            "app",
            "pool_full.used",
            "pool_full",
            "complaints",
            "goal",
            "stuck.db",
            "stuck.older_than",
            "stuck.more_than",
            "stuck.sessions",
            "stuck.count",
            "stuck",
            "release.app",
            "release.within",
            "release.release",
            "release.previous",
            "release",
            "roll_back.before",
        ]
    );
    for (index, binding) in runbook.bindings.iter().enumerate() {
        assert!(
            binding.needs.iter().all(|needed| needed.0 < index),
            "{} refers to a later binding",
            binding.name
        );
    }
}
