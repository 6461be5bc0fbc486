//! Servers that are gone, full, slow, silent or hostile.

use super::{World, done, failed, field, items, json, orders, reason, sql_text, unclear};
use crate::support::postgres::{PATIENCE, Place, Server, leave_open, one, run};
use starr::provider::HealthState;
use starr::provider::gate::{Gate, Mode};
use starr::providers::postgres::config::Database;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn world_of(entry: Database, folder: tempfile::TempDir) -> World {
    World::of(one(entry), folder)
}

/// A database at this place with a login without a password.
fn at(place: &str) -> World {
    let entry: Database = serde_yaml::from_str(&format!(
        "{{ {place}, database: x, connect_seconds: 2, read: {{ user: r }}, change: {{ user: c }} }}"
    ))
    .unwrap();
    world_of(entry, tempfile::tempdir().unwrap())
}

#[tokio::test]
async fn nobody_at_the_port_is_a_no_for_a_probe_and_unknown_for_a_read() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let world = at(&format!("host: 127.0.0.1, port: {port}"));
    let reply = world.read("server", &[]).await;
    assert_eq!(field(&reply, "reply"), &Value::variant("refused"));
    assert_eq!(field(&reply, "ok"), &Value::Bool(false));
    assert_eq!(reason(&world.read("connections", &[]).await).0, Reason::Unreachable);
    assert_eq!(reason(&world.read("admission", &[]).await).0, Reason::Unreachable);
    let outcome = world.change("execute", &[("sql", sql_text("delete from t"))]).await;
    assert_eq!(failed(outcome).0, Reason::Unreachable);
    let socket = at("socket: /nonexistent/starr");
    assert_eq!(
        field(&socket.read("server", &[]).await, "reply"),
        &Value::variant("refused")
    );
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_told_apart() {
    let world = at("host: no-such-host.invalid, tls: disable");
    let reply = world.read("server", &[]).await;
    // Where no name server answers at all, "no such name" cannot be told: then it is not known.
    match reply.as_unknown() {
        None => assert_eq!(field(&reply, "reply"), &Value::variant("no_such_name")),
        Some(unknown) => assert!(
            matches!(unknown.reason, Reason::Unreachable | Reason::Unavailable),
            "{unknown:?}"
        ),
    }
    assert!(world.read("connections", &[]).await.as_unknown().is_some());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let _silent = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let world = at(&format!("host: 127.0.0.1, port: {port}"));
    let begin = Instant::now();
    assert_eq!(
        field(&world.read("server", &[]).await, "reply"),
        &Value::variant("timed_out")
    );
    let within = Duration::from_millis(400);
    assert_eq!(
        reason(&world.read_within("connections", &[], within).await).0,
        Reason::Timeout
    );
    assert!(begin.elapsed() < Duration::from_secs(20));
}

/// A server that answers with rubbish never makes us fail otherwise than in words.
#[tokio::test]
async fn hostile_answers_are_words_not_failures() {
    let answers: Vec<Vec<u8>> = vec![
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 64],
        // An error without its end; an error with a length of almost 4 GiB; authentication with nothing in it.
        b"E\0\0\0\x20SFATAL\0".to_vec(),
        b"E\xff\xff\xff\xffSFATAL\0C28P01\0".to_vec(),
        b"E\0\0\0\0".to_vec(),
        b"R\0\0\0\x04".to_vec(),
        b"R\0\0\0\x08\0\0\0\x0a".to_vec(),
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I".to_vec(),
        // Authenticated and ready; then every question is answered with a row that is shorter than it says.
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I1\0\0\0\x04t\0\0\0\x06\0\0T\0\0\0\x06\0\x01D\0\0\0\x06\0\x09Z\0\0\0\x05I"
            .to_vec(),
        b"E\0\0\0\x1bSFATAL\0C\xff\xfe\0M\x1b[2J\xff\0\0".to_vec(),
    ];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = answer.clone();
        let _hostile = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let sent = sent.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                        if stream.write_all(&sent).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let world = at(&format!("host: 127.0.0.1, port: {port}"));
        let begin = Instant::now();
        for path in ["server", "admission", "connections", "sessions.list"] {
            let answer = world.read_within(path, &[], Duration::from_millis(250)).await;
            assert!(
                answer.as_unknown().is_some() || path == "server" || path == "admission",
                "{path}: {answer:?}"
            );
        }
        let outcome = world
            .change_within(
                "execute",
                &[("sql", sql_text("delete from t"))],
                Duration::from_millis(250),
            )
            .await;
        assert!(!matches!(outcome, starr::provider::Outcome::Done(_)), "{outcome:?}");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
}

#[tokio::test]
async fn a_refused_login_is_denied_and_names_no_password() {
    let place = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.read.user = "starr_change".to_owned();
    let world = world_of(entry, folder);
    let answer = world.read("connections", &[]).await;
    assert_eq!(reason(&answer).0, Reason::Denied);
    assert!(!format!("{answer:?}").contains("read-secret"), "{answer:?}");
    // It is an answer all the same, and says which.
    assert_eq!(
        field(&world.read("server", &[]).await, "reply"),
        &Value::variant("answered")
    );
    assert_eq!(world.read("admission", &[]).await, Value::variant("login_refused"));
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.database = "no_such_database".to_owned();
    let world = world_of(entry, folder);
    assert_eq!(world.read("admission", &[]).await, Value::variant("no_such_database"));
    assert_eq!(reason(&world.read("connections", &[]).await).0, Reason::Unavailable);
    // A secret that cannot be read is our own side's trouble, told before anything is sent.
    let folder = tempfile::tempdir().unwrap();
    let entry = place.entry(folder.path(), "");
    std::fs::remove_file(folder.path().join("read")).unwrap();
    let answer = world_of(entry, folder).read("server", &[]).await;
    assert_eq!(reason(&answer).0, Reason::Unavailable);
}

#[tokio::test]
async fn a_full_server_is_a_no_for_a_probe_and_unknown_for_a_read() {
    let place = Server::shared().database().await;
    let _clients = leave_open(&place, "hog", 2).await;
    run(
        &mut place.admin().await,
        &format!("alter database {} connection limit 2", place.name),
    )
    .await;
    let world = World::new(&place);
    assert_eq!(
        world.read("admission", &[]).await,
        Value::variant("too_many_connections")
    );
    assert_eq!(
        field(&world.read("server", &[]).await, "reply"),
        &Value::variant("refused")
    );
    let answer = world.read("connections", &[]).await;
    assert_eq!(reason(&answer).0, Reason::Unreachable);
    assert!(reason(&answer).1.contains("no connection left"), "{answer:?}");
}

#[tokio::test]
async fn a_slow_statement_is_cut_off_by_the_server_itself() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let begin = Instant::now();
    let answer = world
        .read_within(
            "query",
            &[("sql", sql_text("select pg_sleep(600)"))],
            Duration::from_millis(800),
        )
        .await;
    assert_eq!(reason(&answer).0, Reason::Timeout);
    assert!(begin.elapsed() < Duration::from_secs(20));
    place
        .until("select not exists (select 1 from pg_stat_activity where datname = current_database() and usename = 'starr_read' and state = 'active')")
        .await;
    assert_eq!(json(&world.query("select 1 as one", vec![]).await)[0]["one"], 1);
    run(
        &mut place.admin().await,
        "create table t (id int); insert into t values (1); grant all on t to starr_change",
    )
    .await;
    let outcome = world
        .change_within(
            "execute",
            &[("sql", sql_text("update t set id = 2 from (select pg_sleep(600)) s"))],
            Duration::from_millis(800),
        )
        .await;
    // The server took it back and said so: a definite failure, not an open question.
    assert_eq!(failed(outcome).0, Reason::Timeout);
}

#[tokio::test]
async fn a_lock_that_is_not_free_is_a_timeout() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(&mut admin, "create table t (id int); grant select on t to starr_read").await;
    run(&mut admin, "begin; lock table t in access exclusive mode").await;
    let world = World::new(&place);
    let answer = world
        .read_within("query", &[("sql", sql_text("select * from t"))], Duration::from_secs(1))
        .await;
    assert_eq!(reason(&answer).0, Reason::Timeout);
    assert!(reason(&answer).1.contains("lock"), "{answer:?}");
}

#[tokio::test]
async fn what_a_role_may_not_do_is_denied() {
    let place = Server::shared().database().await;
    run(&mut place.admin().await, "create table secret (id int)").await;
    let world = World::new(&place);
    let answer = world.query("select * from secret", vec![]).await;
    assert_eq!(reason(&answer).0, Reason::Denied);
    assert!(reason(&answer).1.contains("42501"));
    let answer = world.query("select * from no_such_table", vec![]).await;
    assert_eq!(reason(&answer).0, Reason::Unavailable);
    assert_eq!(
        reason(&world.query("selec 1", vec![]).await).0,
        Reason::Denied,
        "not on the list"
    );
}

#[tokio::test]
async fn more_calls_than_connections_wait_for_their_turn() {
    let place = Server::shared().database().await;
    let world = World::with(&place, ", connections: 1");
    let sleep = [("sql", sql_text("select pg_sleep(600)"))];
    let slow = world.read_within("query", &sleep, Duration::from_secs(3));
    let fast = async {
        place
            .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and usename = 'starr_read' and wait_event = 'PgSleep'")
            .await;
        world.read_within("connections", &[], Duration::from_millis(300)).await
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!(reason(&slow).0, Reason::Timeout);
    assert_eq!(reason(&fast).0, Reason::Timeout);
    assert!(reason(&fast).1.contains("own connections"), "{fast:?}");
    let all = futures::future::join_all((0..8).map(|_| world.query("select 1 as one", vec![]))).await;
    assert!(all.iter().all(|answer| json(answer)[0]["one"] == 1));
    let mine: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and usename = 'starr_read'",
    )
    .fetch_one(&mut place.admin().await)
    .await
    .unwrap();
    assert!(
        mine <= 2,
        "one connection, and perhaps the last one of the cut-off call: {mine}"
    );
}

#[tokio::test]
async fn calls_that_take_their_time_do_not_wait_for_each_other() {
    let place = Server::shared().database().await;
    let world = World::with(&place, ", connections: 2");
    let sleep = [("sql", sql_text("select pg_sleep(600)"))];
    let slow = || world.read_within("query", &sleep, Duration::from_secs(5));
    let both = place.until("select count(*) = 2 from pg_stat_activity where datname = current_database() and usename = 'starr_read' and wait_event = 'PgSleep'");
    let (one, other, ()) = tokio::join!(slow(), slow(), both);
    assert_eq!((reason(&one).0, reason(&other).0), (Reason::Timeout, Reason::Timeout));
    // One behind the other they share a connection.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let answer = world.query("select pg_backend_pid() as pid", vec![]).await;
        seen.insert(json(&answer)[0]["pid"].as_i64().expect("a number"));
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

/// Stops the server while `work` is on its way.
async fn crash_during<T>(server: &'static Server, place: &Place, user: &str, work: impl Future<Output = T>) -> T {
    let crash = async {
        place
            .until(&format!(
                "select count(*) = 1 from pg_stat_activity where datname = current_database() and usename = '{user}' and wait_event = 'PgSleep'"
            ))
            .await;
        server.crash();
    };
    let (result, ()) = tokio::join!(work, crash);
    result
}

#[tokio::test]
async fn a_server_that_stops_during_a_check_makes_it_unknown() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    let world = World::new(&place);
    let call = [("sql", sql_text("select pg_sleep(600)"))];
    let answer = crash_during(server, &place, "starr_read", world.read("query", &call)).await;
    assert_eq!(reason(&answer).0, Reason::Unreachable);
    assert_eq!(reason(&world.idle_in_transaction().await).0, Reason::Unreachable);
    assert_eq!(
        field(&world.read("server", &[]).await, "reply"),
        &Value::variant("refused")
    );
}

#[tokio::test]
async fn a_server_that_stops_during_a_change_leaves_it_open() {
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    run(
        &mut place.admin().await,
        "create table t (id int); insert into t values (1); grant all on t to starr_change",
    )
    .await;
    let world = World::new(&place);
    let call = [("sql", sql_text("update t set id = 2 from (select pg_sleep(600)) s"))];
    let outcome = crash_during(server, &place, "starr_change", world.change("execute", &call)).await;
    assert_eq!(unclear(outcome).0, Reason::Unreachable);
    // Before anything is sent it is a definite failure.
    let outcome = world.change("execute", &[("sql", sql_text("delete from t"))]).await;
    assert_eq!(failed(outcome).0, Reason::Unreachable);
}

/// A connection that the server has closed meanwhile is noticed before it is used.
#[tokio::test]
async fn a_connection_that_was_closed_between_two_calls_is_replaced() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    assert_eq!(json(&world.query("select 1 as one", vec![]).await)[0]["one"], 1);
    run(
        &mut place.admin().await,
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'starr_read'",
    )
    .await;
    place
        .until("select not exists (select 1 from pg_stat_activity where datname = current_database() and usename = 'starr_read')")
        .await;
    assert_eq!(json(&world.query("select 1 as one", vec![]).await)[0]["one"], 1);
}

/// Encryption that the configuration asks for is had, verified, or the call fails: nothing falls back.
#[tokio::test]
async fn tls_is_verified_and_never_falls_back() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let server: &'static Server = Box::leak(Box::new(Server::start_with(|folder| {
        let certificate = Server::private_file(folder, "server.crt", &certificate.pem());
        let key = Server::private_file(folder, "server.key", &key.serialize_pem());
        vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
        ]
    })));
    let place = server.database().await;
    let trusted = tempfile::tempdir().unwrap();
    let root = trusted.path().join("root.pem");
    std::fs::write(&root, certificate.pem()).unwrap();
    let with = |host: &str, more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut entry = place.entry(folder.path(), more);
        entry.host = Some(host.to_owned());
        world_of(entry, folder)
    };
    let trust = format!(", tls: verify-full, root_certificate: {}", root.display());
    let good = with("localhost", &trust);
    let encrypted = good
        .query("select ssl from pg_stat_ssl where pid = pg_backend_pid()", vec![])
        .await;
    assert_eq!(json(&encrypted)[0]["ssl"], true);
    // Another name than the certificate's, and a certificate that nobody vouches for.
    for world in [with("127.0.0.1", &trust), with("localhost", ", tls: verify-full")] {
        assert_eq!(
            field(&world.read("server", &[]).await, "reply"),
            &Value::variant("bad_certificate")
        );
        assert_eq!(reason(&world.read("connections", &[]).await).0, Reason::Unreachable);
    }
    let by_chain = with("127.0.0.1", &trust.replace("verify-full", "verify-ca"));
    assert!(by_chain.read("connections", &[]).await.as_unknown().is_none());
    let unverified = with("127.0.0.1", ", tls: require");
    assert!(unverified.read("connections", &[]).await.as_unknown().is_none());
    let lines = unverified.gate.providers().next().unwrap().doctor().await;
    assert!(lines[0].detail.contains("not verified"), "{lines:?}");

    // A server without encryption is not spoken to in the clear.
    let plain = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let entry = plain.entry(folder.path(), ", tls: require");
    let world = world_of(entry, folder);
    let answer = world.read("connections", &[]).await;
    assert_eq!(reason(&answer).0, Reason::Unreachable);
    assert!(reason(&answer).1.contains("TLS"), "{answer:?}");
}

#[tokio::test]
async fn a_dry_run_sends_no_change() {
    let place = Server::shared().database().await;
    let _clients = leave_open(&place, "leaky", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let live = World::new(&place);
    let found = live.idle_in_transaction().await;
    let mut gate = Gate::new(
        vec![starr::provider::gate::Grant {
            capability: "postgres".to_owned(),
            effects: vec![starr::provider::Effect::Change],
            targets: None,
        }],
        Mode::DryRun,
    );
    gate.register(Arc::new(place.provider(folder.path())));
    let dry = World { gate, ..live };
    failed(dry.change("sessions.terminate", &[("sessions", found)]).await);
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'leaky'")
        .await;
    let mine: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and usename = 'starr_change'",
    )
    .fetch_one(&mut place.admin().await)
    .await
    .unwrap();
    assert_eq!(mine, 0, "not even a connection was made");
}

#[tokio::test]
async fn the_doctor_names_what_a_login_lacks_and_what_it_has_too_much() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let provider = world.gate.providers().next().unwrap();
    let lines = provider.doctor().await;
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.state == HealthState::Good), "{lines:?}");
    assert!(lines[0].subject.contains("orders, checks") && lines[0].detail.contains("starr_read"));
    run(
        &mut place.admin().await,
        "create table t (id int); grant insert on t to starr_read",
    )
    .await;
    let lines = provider.doctor().await;
    assert_eq!(lines[0].state, HealthState::Limited);
    assert!(lines[0].detail.contains("may write to 1 table"), "{lines:?}");
    let gone = at("host: 127.0.0.1, port: 1");
    let lines = gone.gate.providers().next().unwrap().doctor().await;
    assert!(lines.iter().all(|line| line.state == HealthState::Bad), "{lines:?}");
}

/// The GRANTs of the page are enough, and each is needed.
#[tokio::test]
async fn the_grants_of_the_page_are_enough() {
    let page = include_str!("../../../docs/providers/postgres.md");
    let blocks: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let mut admin = server.admin("postgres").await;
    run(&mut admin, "create role app login password 'app-secret'").await;
    run(&mut admin, "create database orders owner app").await;
    let place = Place {
        server,
        name: "orders".to_owned(),
    };
    let mut admin = place.admin().await;
    run(&mut admin, "set role app; create table orders (id int primary key, state text); insert into orders values (1, 'open'); reset role").await;
    assert!(blocks.len() >= 4, "the page has a block per set of operations");
    for block in &blocks {
        for statement in block.split(';').filter(|statement| !statement.trim().is_empty()) {
            run(&mut admin, statement).await;
        }
    }
    run(
        &mut admin,
        "alter role starr_read password 'read-secret'; alter role starr_change password 'change-secret'",
    )
    .await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 2).await;
    for path in [
        "server",
        "admission",
        "connections",
        "sessions.list",
        "sessions.by_state",
        "sessions.by_client",
        "locks.blocked",
        "locks.blockers",
        "transactions.list",
        "transactions.prepared",
        "replication.slots",
        "replication.standbys",
        "tables.list",
        "indexes.list",
        "statements.top",
    ] {
        let answer = world.read(path, &[]).await;
        assert!(answer.as_unknown().is_none(), "{path}: {answer:?}");
    }
    for path in ["settings.get", "settings.of_database"] {
        let name = Value::text("shared_preload_libraries");
        let answer = world.read(path, &[("name", name)]).await;
        assert!(answer.as_unknown().is_none(), "{path}: {answer:?}");
    }
    let rows = world.query("select state from orders", vec![]).await;
    assert_eq!(json(&rows)[0]["state"], "open");
    assert_eq!(
        done(
            world
                .change(
                    "execute",
                    &[("sql", sql_text("update orders set state = 'closed' where id = 1"))],
                )
                .await
        ),
        Value::Int(1)
    );
    done(
        world
            .change(
                "indexes.create_concurrently",
                &[
                    ("db", orders()),
                    ("name", Value::text("orders_state")),
                    ("table", Value::text("orders")),
                    ("columns", Value::list(vec![Value::text("state")])),
                ],
            )
            .await,
    );
    let find = [("name", Value::text("orders_state"))];
    assert_eq!(items(&world.read("indexes.find", &find).await).len(), 1);
    done(
        world
            .change(
                "indexes.drop_concurrently",
                &[("db", orders()), ("name", Value::text("orders_state"))],
            )
            .await,
    );
    done(
        world
            .change("tables.analyze", &[("db", orders()), ("table", Value::text("orders"))])
            .await,
    );
    done(
        world
            .change(
                "settings.set",
                &[
                    ("db", orders()),
                    ("name", Value::text("idle_in_transaction_session_timeout")),
                    ("to", Value::text("5min")),
                ],
            )
            .await,
    );
    let found = world.idle_in_transaction().await;
    let ended = done(world.change("sessions.terminate", &[("sessions", found)]).await);
    assert_eq!(field(&ended, "ended"), &Value::Int(2));
    let begin = Instant::now();
    let lines = world.gate.providers().next().unwrap().doctor().await;
    assert!(lines.iter().all(|line| line.state == HealthState::Good), "{lines:?}");
    assert!(begin.elapsed() < PATIENCE);
}
