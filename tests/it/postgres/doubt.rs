//! A change of class V that is in doubt in a real server: the run is killed while an index is built, and the server is asked what came
//! of it when the run goes on.

use crate::incident::{Desk, on_a_thread, text};
use crate::support::postgres::{Place, Server, run};
use crate::support::terminal::Terminal;
use starr::journal::event::Fate;

const BOOK: &str = r#"use std.postgres.{Postgres, index_is_valid}

runbook build(db: Postgres = "orders") "An index is missing" {
  > Reads of orders by time take minutes.
  owner   "team-storage"
  timebox 50 min then escalate
  reads   postgres
  changes postgres.indexes
  situation {
    symptom missing "Is the index missing?" {
      read found = postgres.indexes.find(db, name: "orders_at") within 10 s
      yes when not found.any(it.valid)
    }
  }
  task { goal not missing }
  action create "Build the index" {
    risk    low
    approve by oncall within 5 min
    do      postgres.indexes.create_concurrently(db, name: "orders_at", table: "orders", columns: ["at"]) within 5 min
    undo    none because "an index that is not used does no harm"
    verify  not missing within 30 s every 1 s
    failed  -> escalate
  }
  result { resolved when goal }
}
"#;

/// What the server does with the statement.
const BUILDING: &str =
    "select exists (select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
     and query ilike 'create index concurrently%')";
const BUILT: &str =
    "select coalesce((select indisvalid from pg_index where indexrelid = to_regclass('orders_at')), false)";
/// What the provider sends, as the server logs it.
const BUILDS: &str = "CREATE INDEX CONCURRENTLY \"orders_at\"";
const NOTHING: &str = "select to_regclass('orders_at') is null and not exists (select 1 from pg_stat_activity
     where datname = current_database() and query ilike 'create index concurrently%' and state = 'active')";

/// A database in which the build of the index waits for a transaction, and the run that waits for it was killed.
async fn killed() -> (Place, Desk, crate::support::postgres::Client) {
    let place = Server::shared().database().await;
    run(
        &mut place.admin().await,
        "set role app; create table orders (id int, at int); insert into orders select g, g from generate_series(1, 100) g; reset role;
         grant app to starr_change",
    )
    .await;
    let desk = Desk::new(&place).await;
    let config = desk.path().join("starr.yaml");
    let granted = std::fs::read_to_string(&config)
        .unwrap()
        .replace("capability: postgres.sessions", "capability: postgres.indexes");
    std::fs::write(&config, granted).unwrap();
    std::fs::write(desk.path().join("build.starr"), BOOK).unwrap();
    let mut blocker = place.client("writer");
    blocker.send("begin");
    blocker.send("insert into orders values (0, 0)");
    place
        .until(
            "select exists (select 1 from pg_locks where relation = 'orders'::regclass and mode = 'RowExclusiveLock')",
        )
        .await;
    let command = desk.command(&["run", "build.starr"]);
    let mut terminal = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        terminal
    })
    .await;
    place.until(BUILDING).await;
    terminal.kill();
    (place, desk, blocker)
}

/// What the record says came of the change, and how that is known.
fn settled(desk: &Desk) -> Vec<(Fate, String)> {
    let shown: serde_json::Value = serde_json::from_str(&desk.output(&["show", "latest", "--json"])).unwrap();
    shown["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == "settled")
        .map(|entry| {
            let fate = serde_json::from_value(entry["event"]["fate"].clone()).unwrap();
            (fate, entry["event"]["how"].as_str().unwrap().to_owned())
        })
        .collect()
}

/// How often the server was told to build the index in this database; others build theirs in others.
fn builds(place: &Place) -> usize {
    let here = format!("@{} ", place.name);
    let log = place.server.log();
    let ours = log.lines().filter(|line| line.contains(&here) && line.contains(BUILDS));
    ours.count()
}

const CHECK: &str = "its check `std.postgres.index_is_valid`";

#[tokio::test]
async fn the_server_says_that_the_index_was_built_and_it_is_not_built_again() {
    let (place, desk, mut blocker) = killed().await;
    // The server goes on without the run.
    blocker.send("commit");
    place.until(BUILT).await;
    let before = builds(&place);
    let resumed = desk.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
    assert_eq!(settled(&desk), [(Fate::Done, CHECK.to_owned())]);
    assert_eq!((before, builds(&place)), (1, 1));
}

#[tokio::test]
async fn the_server_says_that_the_index_is_not_there_and_it_is_built_once() {
    let (place, desk, mut blocker) = killed().await;
    run(
        &mut place.admin().await,
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query ilike 'create index concurrently%'",
    )
    .await;
    blocker.send("commit");
    place
        .until("select not exists (select 1 from pg_locks where relation = 'orders'::regclass)")
        .await;
    // What a build that was ended leaves behind.
    run(&mut place.admin().await, "drop index if exists orders_at").await;
    place.until(NOTHING).await;
    let resumed = desk.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", text(&resumed));
    assert_eq!(
        settled(&desk),
        [
            (Fate::NotDone, CHECK.to_owned()),
            (Fate::Again, "it did not happen".to_owned())
        ]
    );
    place.until(BUILT).await;
}
