//! The runbook of the language's first page, run as its two scenarios tell.

use super::fake::{Past, Ran};
use super::{Setup, checked};
use starr::check::{Embedded, Library, ModuleSource};
use starr::journal::event::Event;
use starr::provider::Effect;
use starr::provider::gate::Grant;
use starr::value::{Reason, Series, Value};
use std::sync::Arc;

const CLUSTER: &str = r##"module team.cluster "Workloads"

resource Deployment
record Release { current: Text, previous: Text, age: Duration }

provider cluster {
  read   releases(app: Deployment) -> Release
  change rollout.undo(app: Deployment, to: Text) idempotent {
    before releases(app)
    undo   rollout.undo(app, to: before.current)
  }
}

check released_recently(app: Deployment, within: Duration = 2 h) "Was {app} released in the last {within}?" {
  read release  = cluster.releases(app)
  let  previous = release.previous
  yes when release.age < within
  example "fresh" { release = {age: 5 min} -> yes }
  example "old"   { release = {age: 5 h} -> no }
  example "lost"  { release = timeout -> unknown }
}
"##;

const TEAM: &str = r##"module team "Ours"

use std.postgres.{Postgres}

provider chat {
  tell post(to: Text, text: Text)
}
provider pager {
  tell page(who: Text)
}
provider prometheus {
  read series(query: Promql, of: Postgres? = none) -> Series<Float>
}

escalation matrix {
  sev1 -> pager.page("oncall") now, chat.post("#inc", "{run.id}") after 10 min
  sev2 -> pager.page("oncall") now
}
"##;

struct Ours;

impl Library for Ours {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let text = match path {
            "team" => TEAM,
            "team.cluster" => CLUSTER,
            _ => return Embedded.module(path),
        };
        Some(ModuleSource {
            name: format!("{path}.starr"),
            path: None,
            bytes: text.as_bytes().to_vec(),
        })
    }
}

const SAMPLE: &str = r##"use std.postgres.{Postgres, stuck_sessions}
use team.cluster.{Deployment, cluster, released_recently}
use team.{matrix, chat, pager, prometheus}

runbook pool_exhausted(db: Postgres, app: Deployment) "Database connection pool exhausted" {
  > Every connection is taken, so requests wait and then time out.

  owner    "team-storage"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  60 min then escalate
  reads    postgres, cluster, prometheus
  changes  postgres.sessions, cluster.rollout
  tells    chat, pager

  situation {
    symptom pool_full "Is more than 90 % of the pool in use?" {
      read used: Series<Ratio> = prometheus.series(`db_pool_used_ratio`, of: db) within 10 s
      yes when used > 90 % for 5 min
    }
    symptom complaints "Do users report timeouts?" observed
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
        do      cluster.rollout.undo(app, to: release.previous) within 10 min
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
    ask     "Which signal could have told us earlier?"
  }
}
"##;

/// The use of the pool: high until something was done, then low; sampled every 15 s for the last hour.
fn used(past: &Past<'_>, low_since: Option<u64>) -> Value {
    let now = i64::try_from(past.now.as_secs()).unwrap();
    let samples = (0..=240)
        .map(|step| now - 3600 + step * 15)
        .map(|at| {
            let low = low_since.is_some_and(|since| at >= i64::try_from(since).unwrap());
            let time = jiff::Timestamp::from_second(at).unwrap();
            (time, Value::Float(if low { 0.41 } else { 0.97 }))
        })
        .collect();
    Value::Series(Arc::new(Series {
        samples,
        until: jiff::Timestamp::from_second(now).unwrap(),
        step: 60_000_000_000,
    }))
}

fn sessions(count: i64) -> Value {
    let session = |pid: i64| {
        Value::record(
            "Session",
            vec![
                ("pid", Value::Int(pid)),
                ("state", Value::variant("idle_in_transaction")),
                ("age", Value::Duration(12 * 60_000_000_000)),
            ],
        )
    };
    Value::list((0..count).map(session).collect())
}

fn world() -> Setup {
    let mut setup = Setup::new()
        .observes("complaints", &[(30, Some(true))])
        .given("releases", |past| {
            let (current, previous) = if past.did("undo") {
                ("v41", "v40")
            } else {
                ("v42", "v41")
            };
            Value::record(
                "Release",
                vec![
                    ("current", Value::text(current)),
                    ("previous", Value::text(previous)),
                    ("age", Value::Duration(40 * 60_000_000_000)),
                ],
            )
        })
        .takes("undo", 60)
        .silence()
        .approves("roll_back", "otto", 120);
    for capability in ["prometheus", "cluster", "postgres"] {
        setup.grants.push(Grant {
            capability: capability.to_owned(),
            effects: vec![Effect::Read, Effect::Change],
            targets: None,
        });
    }
    let resource = |kind: &str, name: &str| Value::Resource {
        kind: kind.into(),
        name: name.into(),
    };
    setup.arguments = vec![
        ("db".to_owned(), resource("Postgres", "orders")),
        ("app".to_owned(), resource("Deployment", "shop/orders-api")),
    ];
    setup
}

async fn run(setup: Setup) -> Ran {
    setup.run_program(Arc::new(checked(SAMPLE, &Ours))).await
}

#[tokio::test]
async fn a_leaking_release_is_rolled_back() {
    // Reported at 30 s, approved at 150 s, rolled back at 210 s.
    let ran = run(world()
        .given("series", |past| used(past, past.did("undo").then_some(210)))
        .given("list", |past| if past.did("undo") { sessions(0) } else { sessions(14) }))
    .await;
    assert_eq!(ran.severity(), "sev1");
    assert_eq!(ran.causes(), ["leak"]);
    assert_eq!(ran.actions(), ["roll_back done"]);
    assert_eq!(
        ran.sent_at(),
        [
            (0, "page oncall".to_owned()),
            (30, "page oncall".to_owned()),
            (150, "undo".to_owned()),
            (600, "post #inc".to_owned()),
        ]
    );
    assert_eq!(ran.outcome(), "resolved");
    assert_eq!(
        ran.in_place(),
        ["Return shop/orders-api to v41 (`cluster.rollout.undo` on shop/orders-api)"]
    );
    let goals = ran.texts("goal", "answer");
    assert_eq!(goals, ["yes", "yes"], "five minutes of a low series settle it");
    // The goal settles 5 min after the roll back (its looks begin then), and must then hold for 10 min.
    let took = ran.of("ended")[0]["duration_seconds"].as_f64().unwrap();
    assert!((900.0..=1200.0).contains(&took), "resolved after {took} s");
    let requests = ran.crowd.requests.lock().unwrap();
    assert_eq!(requests[0].order, "Return shop/orders-api to v41");
    assert!(
        requests[0].because[0].starts_with("The new release leaks connections"),
        "{:?}",
        requests[0].because
    );
    assert_eq!(
        ran.events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Reflection { .. }))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_release_that_is_not_to_blame_is_put_back_and_the_sessions_are_ended() {
    let ran = run(world()
        .approves("end_stuck", "otto", 60)
        .given("series", |past| {
            let ended = past.done.iter().any(|what| what.starts_with("terminate"));
            used(past, ended.then_some(0))
        })
        .given("list", |past| {
            let ended = past.done.iter().any(|what| what.starts_with("terminate"));
            if ended { sessions(0) } else { sessions(6) }
        }))
    .await;
    assert_eq!(ran.causes(), ["leak", "abandoned"]);
    assert_eq!(ran.actions(), ["roll_back failed", "end_stuck done"]);
    let changes: Vec<String> = ran.texts("intent", "purpose");
    assert_eq!(changes.iter().filter(|purpose| *purpose == "undo").count(), 1);
    let requests = ran.crowd.requests.lock().unwrap();
    let because = requests[1].because.join("\n");
    assert!(
        because.contains("`leak` was treated, and the goal is not reached"),
        "{because}"
    );
    assert_eq!(requests[1].seeing[0].0, "stuck.sessions");
}

#[tokio::test]
async fn silence_from_postgres_is_not_health() {
    let mut setup = world()
        .given("series", |past| used(past, None))
        .given("list", |_| Value::unknown(Reason::Timeout, ""));
    setup.unattended = true;
    let ran = run(setup).await;
    assert_eq!(ran.texts("arm", "arm"), ["cannot tell"]);
    assert_eq!(ran.outcome(), "escalated");
    assert_eq!(ran.in_place(), Vec::<String>::new());
    assert!(
        ran.sent()
            .iter()
            .all(|what| !what.starts_with("undo") && !what.starts_with("terminate"))
    );
    let told = ran.of("told").iter().map(ToString::to_string).collect::<String>();
    assert!(told.contains("stuck  unknown (no reply in time)\\n"), "{told}");
}
