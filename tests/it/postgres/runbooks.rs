//! The shipped runbooks for an exhausted pool, run against a real server with people who answer as scripted.

use super::{World as Calls, orders};
use crate::app::{Shop, read as config, shop};
use crate::support::postgres::{Client, Place, Server, leave_open, run};
use futures::future::BoxFuture;
use starr::check::{Context, Embedded, check};
use starr::engine::world::{
    Answered, ApprovalRequest, Ask, Clock, Decision, Environment, ManualOrder, Observe, Observed, OnUnclear, OnUnknown,
    People, Reply, Screen, Ticked, UnclearChoice, UnknownChoice, World,
};
use starr::engine::{Ended, Outcome};
use starr::journal::event::{Event, Person};
use starr::journal::memory::Memory;
use starr::program::RunbookId;
use starr::providers::app::App;
use starr::value::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A clock on which a minute takes fifteen seconds. The server is real, so time cannot stand still, and a read's deadline is of this clock.
struct Hasty(Instant);

const HASTE: u32 = 4;

impl Clock for Hasty {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed() * HASTE
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration / HASTE))
    }
}

/// One person who knows some answers, approves what is on the list, and does nothing by hand.
#[derive(Default)]
struct Operator {
    answers: BTreeMap<&'static str, bool>,
    approves: Vec<&'static str>,
    requests: Mutex<Vec<ApprovalRequest>>,
}

fn given<T>(value: T) -> BoxFuture<'static, Reply<T>>
where
    T: Send + 'static,
{
    Box::pin(std::future::ready(Reply::Given(
        value,
        Person {
            name: "ann".to_owned(),
            by: "test".to_owned(),
        },
    )))
}

impl People for Operator {
    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        given(Observed {
            yes: self.answers.get(question.name.as_str()).copied(),
            note: String::new(),
        })
    }

    fn ask<'a>(&'a self, _: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        given(Answered {
            text: String::new(),
            choice: None,
        })
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        self.requests.lock().unwrap().push(request.clone());
        if self.approves.contains(&request.action.as_str()) {
            given(Decision::Approve)
        } else {
            given(Decision::Refuse {
                because: "not on the list".to_owned(),
            })
        }
    }

    fn manual<'a>(&'a self, _: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        given(Ticked {
            done: false,
            note: String::new(),
        })
    }

    fn unknown<'a>(&'a self, _: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        given(OnUnknown::CannotTell)
    }

    fn unclear<'a>(&'a self, _: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        given(OnUnclear::Keep)
    }

    fn heavy<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<bool>> {
        given(true)
    }

    fn reflect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        given(None)
    }
}

struct Blind;

impl Screen for Blind {
    fn event(&self, _: &str, _: &Event) {}
    fn waiting(&self, _: &str, _: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// Runs a shipped runbook against this database.
async fn run_book(
    place: &Place,
    file: &str,
    arguments: Vec<(&str, Value)>,
    operator: Arc<Operator>,
) -> (Ended, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("runbooks")
        .join(file);
    let context = Context {
        library: &Embedded,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: Some(vec!["oncall".to_owned()]),
        today: None,
        matrix: None,
    };
    let checked = check(file, Some(&path), std::fs::read(&path).unwrap(), &context);
    let program = checked.program.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
    let Calls { mut gate, _folder } = Calls::new(place);
    // The service itself, with a pool of its own that has room.
    let shop = Shop::start(&[]);
    gate.register(Arc::new(
        App::new(&config(&shop.config("")), &Default::default()).unwrap(),
    ));
    let journal = Arc::new(Memory::new("a-run"));
    let (_stay, interrupt) = tokio::sync::watch::channel(false);
    let world = World {
        gate: Arc::new(gate),
        people: operator,
        journal: journal.clone(),
        clock: Arc::new(Hasty(Instant::now())),
        randomness: Arc::new(starr::engine::random::System),
        screen: Arc::new(Blind),
        environment: Environment {
            name: "test".to_owned(),
            operator: Person {
                name: "ann".to_owned(),
                by: "test".to_owned(),
            },
            severities: context.severities.clone(),
            default_severity: "sev3".to_owned(),
            unattended: false,
            dry_run: false,
            occasion: None,
            host: "test".to_owned(),
            resources: BTreeMap::new(),
        },
        consent: starr::engine::world::Consent::default(),
        interrupt,
    };
    let mut given = vec![
        ("db".to_owned(), orders()),
        ("steady_for".to_owned(), Value::Duration(10_000_000_000)),
    ];
    given.extend(arguments.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let ended = starr::engine::run(Arc::new(program), RunbookId(0), given, world)
        .await
        .unwrap();
    let report = starr::render::report(&journal.entries());
    (ended, report)
}

async fn count(place: &Place, application: &str) -> i64 {
    sqlx::query_scalar("select count(*) from pg_stat_activity where application_name = $1")
        .bind(application)
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap()
}

/// A client that is connected and idle.
async fn calm(place: &Place, application: &str) -> Client {
    let mut client = place.client(application);
    client.send("select 2");
    place
        .until(&format!(
            "select count(*) = 1 from pg_stat_activity where application_name = '{application}' and state = 'idle' and query = 'select 2;'"
        ))
        .await;
    client
}

#[tokio::test]
async fn an_exhausted_pool_is_freed_by_ending_exactly_the_abandoned_sessions() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    let other = server.database().await;
    let _abandoned = leave_open(&place, "leaky", 12).await;
    let _elsewhere = leave_open(&other, "leaky", 1).await;
    let _others = leave_open(&place, "others", 1).await;
    let _calm = calm(&place, "calm").await;
    let operator = Arc::new(Operator {
        answers: BTreeMap::from([("timeouts", true), ("slow", true), ("pooled", true)]),
        approves: vec!["end_abandoned"],
        ..Operator::default()
    });
    let (ended, report) = run_book(
        &place,
        "sergas/db-pool-exhausted.starr",
        vec![
            ("service", Value::text("leaky")),
            ("admin", shop()),
            ("above", Value::Ratio(0.2)),
            ("open_for", Value::Duration(1_000_000)),
        ],
        operator.clone(),
    )
    .await;
    assert_eq!(ended.outcome, Outcome::Resolved, "{report}");
    assert_eq!(ended.severity.as_deref(), Some("sev2"), "{report}");
    // On the whole server: what is left is of the other database.
    assert_eq!(count(&place, "leaky").await, 1);
    assert_eq!(
        count(&place, "others").await,
        1,
        "a session of another application was ended"
    );
    assert_eq!(
        count(&place, "calm").await,
        1,
        "an idle session of somebody else was ended"
    );
    let requests = operator.requests.lock().unwrap();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(
        requests[0].order,
        "End 12 sessions of leaky that are idle in a transaction"
    );
    let shown = format!("{:?}", requests[0]);
    assert!(
        shown.contains("leaky") && !shown.contains("calm"),
        "the approver sees what is ended: {shown}"
    );
    assert!(
        !shown.contains("select 1") && !report.contains("select 1"),
        "a statement's text is a secret"
    );
}

#[tokio::test]
async fn without_an_approval_nobody_is_ended() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    let _abandoned = leave_open(&place, "leaky", 12).await;
    let operator = Arc::new(Operator {
        answers: BTreeMap::from([("timeouts", true), ("slow", false), ("pooled", true)]),
        ..Operator::default()
    });
    let (ended, report) = run_book(
        &place,
        "sergas/db-pool-exhausted.starr",
        vec![
            ("service", Value::text("leaky")),
            ("admin", shop()),
            ("above", Value::Ratio(0.2)),
            ("open_for", Value::Duration(1_000_000)),
        ],
        operator.clone(),
    )
    .await;
    assert!(
        matches!(ended.outcome, Outcome::Refused | Outcome::Escalated),
        "{:?}\n{report}",
        ended.outcome
    );
    assert_eq!(count(&place, "leaky").await, 12);
    let asked = operator.requests.lock().unwrap();
    assert_eq!(asked[0].action, "end_abandoned", "{asked:?}");
}

#[tokio::test]
async fn the_session_that_others_wait_for_is_ended_and_they_go_on() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    run(
        &mut place.admin().await,
        "create table t (id int primary key, note text); insert into t values (1, 'old'); grant all on t to app",
    )
    .await;
    let mut holder = place.client("holder");
    holder.send("begin");
    holder.send("update t set note = 'held' where id = 1");
    place
        .until("select count(*) = 1 from pg_stat_activity where application_name = 'holder' and state = 'idle in transaction' and query like 'update%'")
        .await;
    let mut waiter = place.client("waiter");
    waiter.send("update t set note = 'new' where id = 1");
    place
        .until(
            "select count(*) = 1 from pg_stat_activity where application_name = 'waiter' and wait_event_type = 'Lock'",
        )
        .await;
    let operator = Arc::new(Operator {
        answers: BTreeMap::from([("timeouts", true), ("busy", false), ("slow", true), ("watched", true)]),
        approves: vec!["end_blockers"],
        ..Operator::default()
    });
    let (ended, report) = run_book(
        &place,
        "genericai/db-pool-exhaustion.starr",
        vec![("blocked_after", Value::Duration(1_000_000))],
        operator.clone(),
    )
    .await;
    assert_eq!(ended.outcome, Outcome::Resolved, "{report}");
    assert_eq!(count(&place, "holder").await, 0);
    place.until("select note = 'new' from t where id = 1").await;
    assert_eq!(count(&place, "waiter").await, 1);
    let requests = operator.requests.lock().unwrap();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].order.contains("1 sessions"), "{requests:?}");
}
