//! A-SQ: the text of a check changes nothing, whoever asks.

use crate::postgres::{World, done, reason};
use crate::support::postgres::{Place, Server, one, run};
use starr::value::Reason;

/// A table with one row that the login of the checks could write to, if it were let.
async fn writable() -> (Place, World) {
    let place = Server::shared().database().await;
    run(
        &mut place.admin().await,
        "create table t (id int primary key, note text); insert into t values (1, 'one'); grant all on t to starr_read;
         grant create on schema public to starr_read",
    )
    .await;
    let world = World::new(&place);
    (place, world)
}

async fn rows(place: &Place) -> i64 {
    sqlx::query_scalar("select count(*) from t where note = 'one'")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap()
}

async fn refused(sql: &[&str]) {
    let (place, world) = writable().await;
    for sql in sql {
        let answer = world.query(sql, vec![]).await;
        assert!(answer.as_unknown().is_some(), "{sql}: {answer:?}");
        assert_eq!(rows(&place).await, 1, "{sql}");
    }
}

#[tokio::test]
async fn a_sq_1_two_statements_are_refused() {
    refused(&[
        "SELECT 1; DROP TABLE t",
        "SELECT 1;DROP TABLE t;",
        ";DROP TABLE t",
        "SELECT 1 --\n; DROP TABLE t",
    ])
    .await;
    // The extended protocol is in use: the server's log has the statement as an execution, and never as a simple query.
    let (place, world) = writable().await;
    let number = 4_711_000_000_i64 + i64::from(std::process::id());
    let answer = world.query(&format!("select {number} as number"), vec![]).await;
    assert!(answer.as_unknown().is_none(), "{answer:?}");
    let log = place.server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&number.to_string())).collect();
    assert!(!lines.is_empty(), "the server's log has no such statement");
    assert!(lines.iter().all(|line| !line.contains("statement: ")), "{lines:?}");
}

#[tokio::test]
async fn a_sq_2_a_statement_that_changes_data_is_refused_in_every_form() {
    refused(&[
        "with w as (delete from t returning id) select * from w",
        "with w as (insert into t values (2, 'two') returning id) select * from w",
        "with w as (update t set note = 'two' returning id) select * from w",
        "EXPLAIN ANALYZE DELETE FROM t",
        "explain (analyze true) delete from t",
        "explain (analyze, verbose) update t set note = 'x'",
    ])
    .await;
}

#[tokio::test]
async fn a_sq_3_the_transaction_cannot_be_left() {
    refused(&[
        "COMMIT; INSERT INTO t VALUES (2, 'one')",
        "COMMIT",
        "ROLLBACK; INSERT INTO t VALUES (2, 'one')",
        "END; INSERT INTO t VALUES (2, 'one')",
        "SET TRANSACTION READ WRITE",
        "BEGIN READ WRITE",
    ])
    .await;
}

#[tokio::test]
async fn a_sq_4_a_login_that_could_run_programs_checks_nothing() {
    let place = Server::shared().database().await;
    let user = format!("super_{}", place.name);
    run(
        &mut place.admin().await,
        &format!("create role {user} superuser login password 'read-secret'"),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.read.user = user;
    let marker = folder.path().join("pwned");
    let world = World::of(one(entry), folder);
    for sql in [
        "select 1".to_owned(),
        format!("copy (select 1) to program 'touch {}'", marker.display()),
    ] {
        let answer = world.query(&sql, vec![]).await;
        assert_eq!(reason(&answer).0, Reason::Denied, "{sql}: {answer:?}");
    }
    assert!(!marker.exists());
    let _ = done;
}
