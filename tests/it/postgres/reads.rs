//! What the reads see.

use super::{World, field, items, json, orders, reason, sql_text, text};
use crate::support::postgres::{Server, leave_open, one, run};
use starr::value::{List, Reason, Value};
use std::sync::Arc;

#[tokio::test]
async fn a_server_that_answers_is_reachable_and_lets_one_in() {
    let world = World::new(&Server::shared().database().await);
    let reply = world.read("server", &[]).await;
    assert_eq!(field(&reply, "reply"), &Value::variant("answered"));
    assert_eq!(field(&reply, "ok"), &Value::Bool(true));
    assert!(matches!(field(&reply, "time"), Value::Duration(time) if *time > 0));
    assert_eq!(world.read("admission", &[]).await, Value::variant("admitted"));
}

#[tokio::test]
async fn sessions_are_listed_with_what_identifies_them() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 3).await;
    let mut idle = place.client("calm");
    idle.send("select 2");
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'calm' and state = 'idle' and query = 'select 2;'")
        .await;

    let found = world.idle_in_transaction().await;
    assert_eq!(items(&found).len(), 3);
    let one = &items(&found)[0];
    assert_eq!(field(one, "db"), &orders());
    assert_eq!(text(field(one, "user")), "app");
    assert_eq!(text(field(one, "application")), "leaky");
    assert_eq!(text(field(one, "database")), place.name);
    assert_eq!(text(field(one, "client")), "local");
    assert_eq!(field(one, "state"), &Value::variant("idle_in_transaction"));
    assert!(matches!(field(one, "age"), Value::Duration(age) if *age >= 0));
    assert!(matches!(field(one, "transaction_age"), Value::Duration(age) if *age >= 0));
    let Value::Secret(query) = field(one, "query") else {
        panic!("a statement's text may hold secrets");
    };
    assert_eq!(query.expose(), &Value::text("select 1;"));
    assert!(!format!("{found:?}").contains("select 1"));

    let all = world.read("sessions.list", &[]).await;
    assert_eq!(items(&all).len(), 4, "our own sessions are not among them: {all:?}");
    let calm = world
        .read("sessions.list", &[("application", Value::text("calm"))])
        .await;
    assert_eq!(field(&items(&calm)[0], "transaction_start"), &Value::None);
    assert_eq!(field(&items(&calm)[0], "transaction_age"), &Value::None);
    let old = world
        .read("sessions.list", &[("older_than", Value::Duration(3_600_000_000_000))])
        .await;
    assert!(items(&old).is_empty());
    for (name, other) in [("user", "nobody"), ("database", "postgres"), ("application", "none")] {
        let none = world
            .read(
                "sessions.list",
                &[
                    (name, Value::text(other)),
                    ("state", Value::variant("idle_in_transaction")),
                ],
            )
            .await;
        assert!(items(&none).is_empty(), "{name}: {none:?}");
    }
    let open = world.read("transactions.list", &[]).await;
    assert_eq!(items(&open).len(), 3);
    let long = world
        .read(
            "sessions.list",
            &[
                ("transaction_older_than", Value::Duration(0)),
                ("application", Value::text("leaky")),
            ],
        )
        .await;
    assert_eq!(items(&long).len(), 3);
}

#[tokio::test]
async fn a_list_that_is_cut_says_so() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "many", 3).await;
    let cut = world.read("sessions.list", &[("at_most", Value::Int(2))]).await;
    assert!(
        matches!(&cut, Value::List(list) if list.truncated && list.items.len() == 2),
        "{cut:?}"
    );
    for wrong in [0, -1, 1_000_000] {
        let refused = world.read("sessions.list", &[("at_most", Value::Int(wrong))]).await;
        assert_eq!(reason(&refused).0, Reason::Unparsable);
    }
}

#[tokio::test]
async fn only_so_many_statements_are_asked_for() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let most = i64::try_from(starr::limits::POSTGRES_STATEMENTS).unwrap();
    let refused = world.read("statements.top", &[("at_most", Value::Int(most + 1))]).await;
    let (why, detail) = reason(&refused);
    assert!(why == Reason::Unparsable && detail.contains("1000"), "{detail}");
    // As many as that are asked for: here the extension that would know them is missing, or it answers.
    let asked = world.read("statements.top", &[("at_most", Value::Int(most))]).await;
    assert!(
        asked.as_list().is_some() || reason(&asked).1.contains("pg_stat_statements"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn sessions_are_counted_by_state_and_by_client() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 2).await;
    let states = world.read("sessions.by_state", &[]).await;
    assert_eq!(items(&states).len(), 1);
    assert_eq!(
        field(&items(&states)[0], "state"),
        &Value::variant("idle_in_transaction")
    );
    assert_eq!(field(&items(&states)[0], "count"), &Value::Int(2));
    let clients = world
        .read("sessions.by_client", &[("all_databases", Value::Bool(false))])
        .await;
    let first = &items(&clients)[0];
    assert_eq!(text(field(first, "application")), "leaky");
    assert_eq!(field(first, "count"), &Value::Int(2));
    assert_eq!(field(first, "of_application"), &Value::Int(2));
    assert_eq!(field(first, "idle_in_transaction"), &Value::Int(2));
    assert_eq!(field(first, "idle"), &Value::Int(0));
    // The same application from another database is another line, and is counted with it.
    let other = Server::shared().database().await;
    let mine = format!("shared-{}", place.name);
    let _here = leave_open(&place, &mine, 3).await;
    let _there = leave_open(&other, &mine, 1).await;
    let clients = world.read("sessions.by_client", &[]).await;
    let counts: Vec<(&Value, &Value)> = items(&clients)
        .iter()
        .filter(|line| text(field(line, "application")) == mine)
        .map(|line| (field(line, "count"), field(line, "of_application")))
        .collect();
    let counted = |here| (Value::Int(here), Value::Int(4));
    let (three, one) = (counted(3), counted(1));
    assert_eq!(counts, [(&three.0, &three.1), (&one.0, &one.1)]);
}

#[tokio::test]
async fn connections_are_counted_against_what_everybody_can_use() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        &format!("alter database {} connection limit 17", place.name),
    )
    .await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 2).await;
    let found = world.read("connections", &[]).await;
    assert_eq!(field(&found, "max"), &Value::Int(60));
    assert_eq!(field(&found, "reserved"), &Value::Int(3));
    assert_eq!(field(&found, "limit"), &Value::Int(17));
    let (Value::Int(used), Value::Int(available), Value::Ratio(share)) = (
        field(&found, "used"),
        field(&found, "available"),
        field(&found, "share"),
    ) else {
        panic!("{found:?}");
    };
    assert!(*used >= 4, "two clients, the administrator and ourselves: {found:?}");
    assert_eq!(available + used, 57);
    assert!((share - *used as f64 / 57.0).abs() < 1e-9);
}

#[tokio::test]
async fn the_root_of_a_chain_of_locks_is_named_with_all_behind_it() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create table t (id int primary key); insert into t values (1); grant all on t to app",
    )
    .await;
    let world = World::new(&place);
    let _bystander = leave_open(&place, "bystander", 1).await;
    let mut root = place.client("root");
    root.send("begin");
    root.send("update t set id = 1 where id = 1");
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'root' and state = 'idle in transaction' and query like 'update%'")
        .await;
    let mut second = place.client("second");
    second.send("update t set id = 1 where id = 1");
    let waiting = |name: &str| {
        format!(
            "select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = '{name}' and wait_event_type = 'Lock'"
        )
    };
    place.until(&waiting("second")).await;
    let mut third = place.client("third");
    third.send("update t set id = 1 where id = 1");
    place.until(&waiting("third")).await;

    let found = world.read("locks.blockers", &[]).await;
    assert_eq!(items(&found).len(), 1, "{found:?}");
    let blocker = &items(&found)[0];
    assert_eq!(text(field(field(blocker, "session"), "application")), "root");
    assert_eq!(field(blocker, "count"), &Value::Int(2));
    let mut behind: Vec<&str> = items(field(blocker, "waiting"))
        .iter()
        .map(|session| text(field(session, "application")))
        .collect();
    behind.sort_unstable();
    assert_eq!(behind, ["second", "third"]);
    assert!(matches!(field(blocker, "longest"), Value::Duration(longest) if *longest > 0));
    assert!(
        text(field(&items(field(blocker, "waiting"))[0], "waits_for")).starts_with("Lock: "),
        "{blocker:?}"
    );

    let blocked = world.read("locks.blocked", &[]).await;
    assert_eq!(items(&blocked).len(), 2);
    assert!(
        items(&blocked)
            .iter()
            .all(|one| field(one, "by_prepared") == &Value::Bool(false))
    );
}

#[tokio::test]
async fn a_forgotten_prepared_transaction_is_found_and_named_as_the_one_that_blocks() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create table t (id int primary key); insert into t values (1); grant all on t to app",
    )
    .await;
    let name = format!("forgotten {}", place.name);
    run(
        &mut admin,
        &format!("begin; update t set id = 1 where id = 1; prepare transaction '{name}'"),
    )
    .await;
    let world = World::new(&place);
    let found = world.read("transactions.prepared", &[]).await;
    let mine = items(&found)
        .iter()
        .find(|one| text(field(one, "name")) == name)
        .expect("it is there");
    assert_eq!(text(field(mine, "owner")), "admin");
    assert_eq!(text(field(mine, "database")), place.name);
    let mut waiter = place.client("waiter");
    waiter.send("update t set id = 1 where id = 1");
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'waiter' and wait_event_type = 'Lock'")
        .await;
    let blocked = world.read("locks.blocked", &[]).await;
    assert_eq!(field(&items(&blocked)[0], "by_prepared"), &Value::Bool(true));
    assert!(items(field(&items(&blocked)[0], "by")).is_empty());
    assert!(items(&world.read("locks.blockers", &[]).await).is_empty());
    run(&mut admin, &format!("rollback prepared '{name}'")).await;
}

#[tokio::test]
async fn settings_come_with_their_units() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        &format!(
            "alter database {} set idle_in_transaction_session_timeout = '5min'",
            place.name
        ),
    )
    .await;
    let world = World::new(&place);
    let get = async |name: &str| world.read("settings.get", &[("name", Value::text(name))]).await;
    let timeout = get("idle_in_transaction_session_timeout").await;
    assert_eq!(
        text(field(&timeout, "source")),
        "session",
        "the guard's own limit is in force for the check itself"
    );
    let own = world
        .read(
            "settings.of_database",
            &[("name", Value::text("idle_in_transaction_session_timeout"))],
        )
        .await;
    assert_eq!(text(field(&own, "value")), "5min");
    let none = world
        .read("settings.of_database", &[("name", Value::text("work_mem"))])
        .await;
    assert_eq!(field(&none, "value"), &Value::None);
    let buffers = get("shared_buffers").await;
    assert!(matches!(field(&buffers, "size"), Value::Bytes(size) if *size >= 1 << 20));
    assert_eq!(field(&buffers, "duration"), &Value::None);
    let delay = get("deadlock_timeout").await;
    assert_eq!(field(&delay, "duration"), &Value::Duration(1_000_000_000));
    assert_eq!(field(&delay, "number"), &Value::Float(1_000.0));
    assert_eq!(field(&get("fsync").await, "enabled"), &Value::Bool(false));
    assert_eq!(field(&get("MAX_connections").await, "number"), &Value::Float(60.0));
    assert_eq!(reason(&get("no_such_setting").await).0, Reason::Missing);
}

#[tokio::test]
async fn tables_and_indexes_are_listed() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create table \"Odd name\" (id int primary key, note text); insert into \"Odd name\" select g, 'x' from generate_series(1, 100) g;
         create index \"Note's\" on \"Odd name\" (note); analyze \"Odd name\"",
    )
    .await;
    let world = World::new(&place);
    let found = world.read("indexes.list", &[]).await;
    let names: Vec<&str> = items(&found).iter().map(|index| text(field(index, "name"))).collect();
    assert!(
        names.contains(&"Note's") && names.contains(&"Odd name_pkey"),
        "{names:?}"
    );
    let one = world.read("indexes.find", &[("name", Value::text("Note's"))]).await;
    assert_eq!(items(&one).len(), 1);
    assert_eq!(field(&items(&one)[0], "valid"), &Value::Bool(true));
    assert_eq!(text(field(&items(&one)[0], "table")), "Odd name");
    let none = world.read("indexes.find", &[("name", Value::text("nothing"))]).await;
    assert!(items(&none).is_empty());
    place
        .until("select exists (select 1 from pg_stat_user_tables where relname = 'Odd name' and n_live_tup > 0 and last_analyze is not null)")
        .await;
    let tables = world.read("tables.list", &[]).await;
    let table = &items(&tables)[0];
    assert_eq!(text(field(table, "name")), "Odd name");
    assert!(matches!(field(table, "size"), Value::Bytes(size) if *size > 0));
    assert!(matches!(field(table, "analyzed"), Value::Time(_)));
}

#[tokio::test]
async fn slots_and_standbys_are_listed() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    let slot = format!("slot_{}", place.name);
    run(
        &mut admin,
        &format!("select pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
    )
    .await;
    let world = World::new(&place);
    let found = world.read("replication.slots", &[]).await;
    let mine = items(&found)
        .iter()
        .find(|one| text(field(one, "name")) == slot)
        .expect("it is there");
    assert_eq!(field(mine, "active"), &Value::Bool(false));
    assert_eq!(field(mine, "logical"), &Value::Bool(true));
    assert!(matches!(field(mine, "behind"), Value::Bytes(behind) if *behind >= 0));
    run(&mut admin, &format!("select pg_drop_replication_slot('{slot}')")).await;
    assert!(items(&world.read("replication.standbys", &[]).await).is_empty());
}

#[tokio::test]
async fn costly_statements_are_unknown_without_the_extension() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let without = world.read("statements.top", &[("at_most", Value::Int(5))]).await;
    assert_eq!(reason(&without).0, Reason::Unavailable);
    assert!(reason(&without).1.contains("CREATE EXTENSION"));
    run(
        &mut place.admin().await,
        "create extension pg_stat_statements; select 'a costly one'",
    )
    .await;
    for order in ["mean_time", "total_time", "calls"] {
        let found = world
            .read(
                "statements.top",
                &[("by", Value::variant(order)), ("at_most", Value::Int(5))],
            )
            .await;
        assert!((1..=5).contains(&items(&found).len()), "{found:?}");
        assert!(matches!(field(&items(&found)[0], "mean"), Value::Duration(mean) if *mean >= 0));
    }
}

#[tokio::test]
async fn rows_of_every_type_come_as_json() {
    let place = Server::shared().database().await;
    run(
        &mut place.admin().await,
        "create type mood as enum ('calm', 'tired'); create domain short as varchar(3); grant usage on schema public to starr_read",
    )
    .await;
    let world = World::new(&place);
    let found = world
        .query(
            "select 1 as i, 1.5::numeric as n, 'x'::text as t, true as b, null as nothing, 'tired'::mood as mood, 'abc'::short as short,
                    timestamptz '2026-11-22 03:00+00' as at, '{1,2}'::int[] as list, '{\"a\": [1]}'::jsonb as doc,
                    interval '5 min' as span, '\\x00ff'::bytea as bytes, row(1, 'a') as pair, 9007199254740993::bigint as large -- the end",
            vec![],
        )
        .await;
    let row = &json(&found)[0];
    assert_eq!(row["i"], 1);
    assert_eq!(row["n"], 1.5);
    assert_eq!(row["t"], "x");
    assert_eq!(row["b"], true);
    assert!(row["nothing"].is_null());
    assert_eq!(row["mood"], "tired");
    assert_eq!(row["short"], "abc");
    assert_eq!(row["at"], "2026-11-22T03:00:00+00:00");
    assert_eq!(row["list"], serde_json::json!([1, 2]));
    assert_eq!(row["doc"]["a"][0], 1);
    assert_eq!(row["span"], "PT5M");
    assert_eq!(row["large"], 9_007_199_254_740_993_i64);
    assert_eq!(
        json(
            &world
                .query(
                    "select starr_row, t from (values (1, 2)) as x(starr_row, t) order by 1 desc",
                    vec![]
                )
                .await
        )[0]["t"],
        2
    );
    assert_eq!(
        json(&world.query("show max_connections;", vec![]).await)[0]["line"],
        "60"
    );
    assert!(json(&world.query("explain select 1", vec![]).await)[0]["line"].is_string());
    assert_eq!(
        json(&world.query("values (1), (2)", vec![]).await)
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        json(&world.query("select 1 where false", vec![]).await),
        &serde_json::json!([])
    );
}

/// A document would keep one of two values and say nothing.
#[tokio::test]
async fn two_columns_of_one_name_are_not_read_as_one() {
    let world = World::new(&Server::shared().database().await);
    let answer = world.query("select 1 as id, 2 as id", vec![]).await;
    assert_eq!(reason(&answer).0, Reason::Unparsable);
    assert!(reason(&answer).1.contains("two columns"), "{answer:?}");
    assert_eq!(
        json(&world.query("select 1 as id, 2 as other", vec![]).await)[0]["other"],
        2
    );
}

#[tokio::test]
async fn parameters_are_bound_and_never_text() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let time: jiff::Timestamp = "2026-11-22T03:00:00.123456Z".parse().unwrap();
    let hostile = "'); drop table t; -- \u{202e} \\ $1 {{ 7*7 }} \u{1b}[2J";
    let found = world
        .query(
            "select $1 as i, $2::text as t, $3 as at, $4 as span, $5 as b, $6 as f, $7::text is null as nothing,
                    'b' = any($8) as among, $9 ->> 'k' as doc, $3 - $4 as earlier, length($10) as long",
            vec![
                Value::Int(-7),
                Value::text(hostile),
                Value::Time(time),
                Value::Duration(90_000_000_000),
                Value::Bool(true),
                Value::Ratio(0.25),
                Value::None,
                Value::list(vec![Value::text("a"), Value::text("b")]),
                Value::Json(Arc::new(serde_json::json!({"k": "v"}))),
                Value::text("ä".repeat(1 << 20)),
            ],
        )
        .await;
    let row = &json(&found)[0];
    assert_eq!(row["i"], -7);
    assert_eq!(row["t"], hostile);
    assert_eq!(row["at"], "2026-11-22T03:00:00.123456+00:00");
    assert_eq!(row["span"], "PT1M30S");
    assert_eq!(row["b"], true);
    assert_eq!(row["f"], 0.25);
    assert_eq!(row["nothing"], true);
    assert_eq!(row["among"], true);
    assert_eq!(row["doc"], "v");
    assert_eq!(row["earlier"], "2026-11-22T02:58:30.123456+00:00");
    assert_eq!(row["long"], 1 << 20);
    let wrong = world.query("select $1::int", vec![]).await;
    assert!(wrong.as_unknown().is_some());
    // A text is no statement, whatever it says.
    let text = world.read("query", &[("sql", Value::text("select 1"))]).await;
    assert_eq!(reason(&text).0, Reason::Unparsable);
}

#[tokio::test]
async fn too_many_rows_or_bytes_are_unknown_not_fewer() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let limited = async |sql: &str, limit: i64| {
        world
            .read("query", &[("sql", sql_text(sql)), ("at_most", Value::Int(limit))])
            .await
    };
    assert_eq!(
        json(&limited("select * from generate_series(1, 10)", 10).await)
            .as_array()
            .unwrap()
            .len(),
        10
    );
    for sql in [
        "select * from generate_series(1, 11)",
        "select repeat('x', 2000000)",
        "select repeat('x', 300000) from generate_series(1, 10)",
    ] {
        assert_eq!(reason(&limited(sql, 10).await).0, Reason::Truncated, "{sql}");
    }
    // The connection that was cut off does not disturb the next call.
    assert_eq!(json(&limited("select 1 as one", 1).await)[0]["one"], 1);
    // A row of 200 MB is never sent.
    let begin = std::time::Instant::now();
    assert_eq!(
        reason(&limited("select repeat('x', 200000000)", 10).await).0,
        Reason::Truncated
    );
    assert!(begin.elapsed() < std::time::Duration::from_secs(30));
}

#[tokio::test]
async fn names_with_escape_sequences_arrive_as_they_are() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let hostile = "evil'\u{1b}[2J\u{202e}";
    let mut admin = place.admin().await;
    // The application sets its own name; the server replaces what is not printable ASCII.
    run(
        &mut admin,
        &format!("set application_name = '{}'", hostile.replace('\'', "''")),
    )
    .await;
    let found = world.read("sessions.list", &[("user", Value::text("admin"))]).await;
    let name = text(field(&items(&found)[0], "application"));
    assert!(name.starts_with("evil'"), "{name:?}");
    let filtered = world
        .read("sessions.list", &[("application", Value::text("x' or '1' = '1"))])
        .await;
    assert!(items(&filtered).is_empty());
    let zero = world
        .read("sessions.list", &[("application", Value::text("a\0b"))])
        .await;
    assert_eq!(reason(&zero).0, Reason::Unparsable);
}

#[tokio::test]
async fn sessions_that_remain_are_those_that_were_meant() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let mut clients = leave_open(&place, "leaky", 2).await;
    let found = world.idle_in_transaction().await;
    let both = world.read("sessions.remaining", &[("sessions", found.clone())]).await;
    assert_eq!(items(&both).len(), 2);
    clients.pop();
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'leaky'")
        .await;
    let one = world.read("sessions.remaining", &[("sessions", found)]).await;
    assert_eq!(items(&one).len(), 1);
    let cut = Value::List(Arc::new(List {
        items: vec![],
        truncated: true,
    }));
    assert_eq!(
        reason(&world.read("sessions.remaining", &[("sessions", cut)]).await).0,
        Reason::Truncated
    );
}

/// A role without the right to see others would get a list with holes, which reads like a short list.
#[tokio::test]
async fn a_login_that_does_not_see_the_others_gets_no_list_at_all() {
    let place = Server::shared().database().await;
    let role = format!("blind_{}", place.name);
    run(
        &mut place.admin().await,
        &format!("create role {role} login password 'read-secret'"),
    )
    .await;
    let _clients = leave_open(&place, "leaky", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.read.user = role;
    let provider = one(entry);
    let world = World::of(provider, folder);
    for path in [
        "sessions.list",
        "sessions.by_state",
        "sessions.by_client",
        "connections",
        "locks.blocked",
        "locks.blockers",
        "transactions.list",
        "replication.standbys",
    ] {
        let answer = world.read(path, &[]).await;
        assert_eq!(reason(&answer).0, Reason::Denied, "{path}");
        assert!(reason(&answer).1.contains("pg_read_all_stats"), "{path}");
    }
    assert_eq!(json(&world.query("select 1 as one", vec![]).await)[0]["one"], 1);
}
