//! A check cannot change anything: neither by its text nor by its login.

use super::{World, json, reason, sql_text};
use crate::support::postgres::{Server, one, run};
use starr::provider::Provider as _;
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};

/// A table with one row and a sequence, both of which the login of the checks could write to if it were let.
async fn writable() -> (crate::support::postgres::Place, World) {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create table t (id int primary key, note text); insert into t values (1, 'one'); create sequence s;
         grant all on t, s to starr_read; grant create on schema public to starr_read",
    )
    .await;
    let world = World::new(&place);
    (place, world)
}

async fn rows(place: &crate::support::postgres::Place) -> i64 {
    sqlx::query_scalar("select count(*) from t")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap()
}

/// Cases A-SQ-1 to A-SQ-3 and those measured in section 1.6 of the reliability notes: the login may write, the text may not.
#[tokio::test]
async fn no_text_of_a_check_changes_a_row() {
    let (place, world) = writable().await;
    for sql in [
        "select 1; drop table t",
        "commit; insert into t values (2, 'two')",
        "commit",
        "insert into t values (2, 'two')",
        "with w as (insert into t values (2, 'two') returning id) select * from w",
        "with w as (delete from t returning id) select * from w",
        "explain analyze delete from t",
        "explain (analyze, buffers) delete from t",
        "select nextval('s')",
        "select \"nextval\"('s')",
        "select * from t for update",
        "select set_config('transaction_read_only', 'off', false)",
        "set transaction_read_only = off",
        "copy t to program 'touch /tmp/pwned'",
        "select 1 /* /* */ ; drop table t */; drop table t",
        "select $a$ $b$ $a$; drop table t",
        "select e'\\\\'; drop table t; --'",
        "select 1 --\r; drop table t",
        "do $$ begin delete from t; end $$",
        "select * into u from t",
        "call pg_sleep(1)",
        "",
    ] {
        let answer = world.query(sql, vec![]).await;
        assert!(answer.as_unknown().is_some(), "{sql}: {answer:?}");
    }
    assert_eq!(rows(&place).await, 1);
    let drawn: bool = sqlx::query_scalar("select is_called from s")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap();
    assert!(!drawn, "the sequence was drawn from");
}

/// The allow-list is not what protects: what slips through it meets the read-only transaction.
#[tokio::test]
async fn what_hides_in_a_function_meets_the_read_only_transaction() {
    let (place, world) = writable().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create function innocent() returns int language sql as 'insert into t values (3, ''three'') returning id';
         create function switch() returns text language sql as $$ select set_config('transaction_read_only', 'off', false) $$;
         create function draw() returns bigint language sql as $$ select nextval('s') $$",
    )
    .await;
    for sql in [
        "select innocent()",
        "select switch()",
        "select draw()",
        "select switch(), innocent()",
    ] {
        let answer = world.query(sql, vec![]).await;
        let (_, words) = reason(&answer);
        assert!(words.contains("SQLSTATE"), "{sql}: {words}");
    }
    assert_eq!(
        reason(&world.query("select innocent()", vec![]).await).0,
        Reason::Denied
    );
    assert_eq!(rows(&place).await, 1);
    // And the connection is as fresh as before.
    assert_eq!(
        json(&world.query("show transaction_read_only", vec![]).await)[0]["line"],
        "on"
    );
}

/// A session that a statement has changed is reset before anybody else uses it.
#[tokio::test]
async fn nothing_of_one_check_reaches_the_next() {
    let (place, world) = writable().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create function rename() returns text language sql as $$ select set_config('application_name', 'left behind', false) $$;
         create function hold() returns text language sql as $$ select pg_advisory_lock(42)::text $$",
    )
    .await;
    world.query("select rename(), hold()", vec![]).await;
    for _ in 0..3 {
        let name = world.query("show application_name", vec![]).await;
        assert_eq!(json(&name)[0]["line"], "starr");
    }
    place
        .until("select not exists (select 1 from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()))")
        .await;
}

/// The same where the next check waits for the connection, and resets it with its own first message.
#[tokio::test]
async fn nothing_of_one_check_reaches_one_that_waits_for_its_connection() {
    let (place, _) = writable().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create function waiting_rename() returns text language sql as $$ select set_config('application_name', 'left behind', false) $$;
         create function waiting_hold() returns text language sql as $$ select pg_advisory_lock_shared(43)::text $$",
    )
    .await;
    let look = "select current_setting('application_name') as name, current_setting('transaction_read_only') as only, pg_backend_pid() as pid,
                (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks";
    let mut pids = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let world = World::of(one(place.entry(folder.path(), ", connections: 6")), folder);
        // One connection is open; the others wait for it rather than for one of their own.
        world.query("select 1", vec![]).await;
        let changed = (0..3).map(|_| world.query("select waiting_rename(), waiting_hold()", vec![]));
        let looks = (0..3).map(|_| world.query(look, vec![]));
        let (_, seen) = tokio::join!(futures::future::join_all(changed), futures::future::join_all(looks));
        for seen in seen.iter().map(json) {
            assert_eq!(
                (&seen[0]["name"], &seen[0]["only"], &seen[0]["locks"]),
                (&"starr".into(), &"on".into(), &0.into()),
                "{seen:?}"
            );
            pids.insert(seen[0]["pid"].as_i64().unwrap());
        }
    }
    let log = Server::shared().log();
    let at_once = pids.iter().any(|pid| {
        let of_it = |line: &&str| {
            line.contains(&format!("[{pid}]")) && line.contains("ROLLBACK; SET SESSION AUTHORIZATION DEFAULT")
        };
        log.lines().any(|line| of_it(&line) && line.contains("BEGIN READ ONLY"))
    });
    let shown: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("SESSION AUTHORIZATION"))
        .take(5)
        .collect();
    assert!(at_once, "no check took a connection over: {pids:?} {shown:#?}");
}

/// Case A-SQ-4.
#[tokio::test]
async fn a_login_that_could_do_anything_is_refused() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    for (role, attributes, word) in [
        ("too_super", "superuser", "superuser"),
        (
            "too_program",
            "in role pg_execute_server_program",
            "pg_execute_server_program",
        ),
        ("too_files", "in role pg_write_server_files", "pg_write_server_files"),
        ("too_roles", "createrole", "createrole"),
        ("too_wide", "bypassrls", "bypassrls"),
        ("too_loud", "in role pg_signal_backend", "pg_signal_backend"),
    ] {
        let role = format!("{role}_{}", place.name);
        run(
            &mut admin,
            &format!("create role {role} login password 'read-secret' {attributes}"),
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        let mut entry = place.entry(folder.path(), "");
        entry.read.user = role.clone();
        let provider = one(entry);
        let world = World::of(provider, folder);
        for (path, args) in [("query", vec![("sql", sql_text("select 1"))]), ("connections", vec![])] {
            let answer = world.read(path, &args).await;
            let (why, words) = reason(&answer);
            assert_eq!(why, Reason::Denied, "{role}: {words}");
            assert!(words.contains(word) && words.contains("allow_superuser"), "{words}");
        }
    }
    assert!(!std::path::Path::new("/tmp/pwned").exists());
}

/// With the exception in the configuration a superuser's check runs, and is no less read-only.
#[tokio::test]
async fn an_exception_is_written_down_and_still_reads_only() {
    let (place, _) = writable().await;
    let role = format!("accepted_{}", place.name);
    let mut admin = place.admin().await;
    run(
        &mut admin,
        &format!("create role {role} login superuser password 'read-secret'"),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), ", allow_superuser: true");
    entry.read.user = role;
    let provider = one(entry);
    assert_eq!(
        provider.exceptions(),
        ["postgres `orders`: checks may run with a login that could change anything"]
    );
    let world = World::of(provider, folder);
    let one = world.query("select 1 as one", vec![]).await;
    assert_eq!(json(&one)[0]["one"], 1);
    for sql in [
        "copy (select 1) to program 'touch /tmp/starr-pwned'",
        "select pg_read_file('/etc/passwd')",
        "insert into t values (9, 'nine')",
    ] {
        assert_eq!(reason(&world.query(sql, vec![]).await).0, Reason::Denied, "{sql}");
    }
    assert!(!std::path::Path::new("/tmp/starr-pwned").exists());
    assert_eq!(rows(&place).await, 1);
}

/// What the server was sent: a read-only transaction around every statement of a check, by its own log.
#[tokio::test]
async fn the_servers_log_shows_the_transaction_around_every_check() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let mark = format!("mark_{}", place.name);
    world
        .query("select $1::text as mark", vec![Value::text(mark.as_str())])
        .await;
    let pid = |line: &str| {
        line.split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map(|(pid, _)| pid.to_owned())
    };
    // The server tidies the connection up after the answer: the log is read until that is written, or for ten seconds.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (log, own, used) = loop {
        let log = Server::shared().log();
        let mine = log.lines().find(|line| line.contains(&format!("= '{mark}'"))).map(pid);
        let mine = mine.unwrap_or_else(|| panic!("the parameter is not in the log:\n{log}"));
        // A statement of several lines has the prefix on its first.
        let mut speaking = None;
        let own: Vec<String> = log
            .lines()
            .filter(|line| {
                if line.starts_with(|first: char| first.is_ascii_digit()) {
                    speaking = pid(line);
                }
                speaking == mine
            })
            .map(str::to_owned)
            .collect();
        let used = own
            .iter()
            .position(|line| line.contains(&format!("= '{mark}'")))
            .unwrap();
        if own[used..].iter().any(|line| line.contains("DISCARD SEQUENCES")) || Instant::now() > deadline {
            break (log, own, used);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (before, behind) = own.split_at(used);
    let begun = before
        .iter()
        .rposition(|line| line.contains("BEGIN READ ONLY"))
        .unwrap();
    assert!(
        before[begun..]
            .iter()
            .any(|line| line.contains("SET LOCAL statement_timeout"))
    );
    assert!(behind.iter().any(|line| line.contains("ROLLBACK")), "{behind:?}");
    assert!(
        behind.iter().any(|line| line.contains("DISCARD SEQUENCES")),
        "{behind:?}"
    );
    assert!(
        !log.lines()
            .any(|line| line.contains(&format!("statement: select '{mark}'"))),
        "the value travelled in the text"
    );
}
