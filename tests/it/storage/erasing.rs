//! Payloads of a journal in PostgreSQL are taken away by one role, through one function of the owner's, with the entry that says so.

use super::postgres::{connected, described, place, two_runs};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::postgres::{Place, run};
use sqlx::Connection as _;
use starr::journal::event::{Event, Person};
use starr::journal::postgres::{self, Login};
use starr::secrets::SecretText;

/// A journal with a role that may have payloads taken away, which is known to the server.
async fn with_eraser() -> (Place, postgres::Server) {
    let (place, mut server) = place().await;
    let user = format!("eraser_{}", place.name);
    run(
        &mut place.admin().await,
        &format!("create role {user} login password 'eraser-secret'"),
    )
    .await;
    server.eraser = Some(Login {
        user,
        password: Some(SecretText::new("eraser-secret".to_owned())),
    });
    (place, server)
}

/// The code with which the server refuses all of this.
async fn refusal(connection: &mut sqlx::PgConnection, sql: &'static str) -> Option<String> {
    let error = sqlx::raw_sql(sql).execute(connection).await.unwrap_err();
    error
        .into_database_error()
        .and_then(|error| error.code().map(Into::into))
}

fn somebody() -> Person {
    Person {
        name: "ann".to_owned(),
        by: "login".to_owned(),
    }
}

#[tokio::test]
async fn one_role_alone_has_payloads_taken_away_and_says_so_in_the_same_step() {
    let (_place, server) = with_eraser().await;
    let store = postgres::open(&server).await.unwrap();
    let runs = two_runs(&store).await;
    // Who records takes nothing away, and what was tried leaves nothing behind.
    let error = store.erase(&runs[0], "retention", &somebody()).await.unwrap_err();
    assert!(error.message.contains("the role has no right to do this"), "{error}");
    let untouched = postgres::read(&server).await.unwrap().verify().await.unwrap();
    assert_eq!((untouched.entries, untouched.payloads_erased), (5, 0), "{untouched}");
    let nobody = postgres::Server {
        eraser: None,
        ..server.clone()
    };
    let error = postgres::open_to_erase(&nobody).await.err().unwrap();
    assert!(error.message.contains("`eraser`"), "{error}");

    let eraser = postgres::open_to_erase(&server).await.unwrap();
    let erased = eraser.erase(&runs[0], "retention", &somebody()).await.unwrap();
    assert_eq!((erased.payloads, erased.entry, erased.gone), (3, Some(5), false));
    let verified = eraser.verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    assert_eq!((verified.entries, verified.payloads_erased), (6, 3));
    let left = eraser.entries(&runs[0]).await.unwrap();
    assert!(left[..3].iter().all(|entry| entry.event.is_none()));
    assert!(matches!(&left[3].event, Some(Event::PayloadsErased { because, .. }) if because == "retention"));
    assert!(
        eraser
            .entries(&runs[1])
            .await
            .unwrap()
            .iter()
            .all(|entry| entry.event.is_some())
    );
    assert_eq!(eraser.erase(&runs[0], "again", &somebody()).await.unwrap().payloads, 0);
    // The role that erases is none to record with.
    let recording = postgres::Server {
        login: server.eraser.clone().unwrap(),
        ..server.clone()
    };
    let error = postgres::open(&recording).await.err().unwrap();
    assert!(error.message.contains("execute on erase_payloads"), "{error}");
}

#[tokio::test]
async fn a_role_that_has_payloads_taken_away_can_do_nothing_else_to_what_was_recorded() {
    let (place, server) = with_eraser().await;
    let store = postgres::open(&server).await.unwrap();
    two_runs(&store).await;
    drop(postgres::open_to_erase(&server).await.unwrap());
    let mut recorder = connected(&server, &server.login).await;
    assert_eq!(
        refusal(&mut recorder, "select starr.erase_payloads(4)")
            .await
            .as_deref(),
        Some("42501")
    );
    let mut eraser = connected(&server, server.eraser.as_ref().unwrap()).await;
    for sql in [
        "update starr.entries set kind = 'x'",
        "delete from starr.entries",
        "truncate starr.entries",
        "update starr.payloads set body = ''",
        "delete from starr.payloads",
        "truncate starr.payloads",
        "delete from starr.runs",
        "delete from starr.checkpoints",
        "alter function starr.erase_payloads(bigint) security invoker",
        "create or replace function starr.erase_payloads(bigint) returns bigint language sql as 'select 1::bigint'",
        // No entry says so; one that was there before says so; a table of its own says so.
        "select starr.erase_payloads(1)",
        "select starr.erase_payloads(null)",
        "create temporary table entries (sequence bigint, run text, kind text);
         insert into entries values (4, 'x', 'payloads_erased');
         set search_path = pg_temp, starr;
         select starr.erase_payloads(4)",
    ] {
        assert_eq!(refusal(&mut eraser, sql).await.as_deref(), Some("42501"), "{sql}");
    }
    // An entry of this transaction takes away what it names of its own run, and nothing of another one.
    let entry = |sequence: i64, names: &str| {
        format!(
            "insert into starr.entries select {sequence}, run, {sequence}, part, 'payloads_erased', at, bytes, leaf
               from starr.entries where sequence = 0;
             insert into starr.payloads values ({sequence}, '', convert_to('{{\"entries\": {names}}}', 'UTF8'));"
        )
    };
    let mut transaction = eraser.begin().await.unwrap();
    run(&mut transaction, &entry(100, "[0, 1, 3]")).await;
    let taken: i64 = sqlx::query_scalar("select starr.erase_payloads(100)")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    let left: Vec<i64> = sqlx::query_scalar("select sequence from starr.payloads where sequence < 100 order by 1")
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    assert_eq!((taken, left), (2, vec![1, 2, 4]));
    transaction.rollback().await.unwrap();
    // Recorded earlier, it says nothing of now.
    run(&mut eraser, &entry(101, "[0]")).await;
    assert_eq!(
        refusal(&mut eraser, "select starr.erase_payloads(101)")
            .await
            .as_deref(),
        Some("42501")
    );
    let payloads: i64 = sqlx::query_scalar("select count(*) from starr.payloads where sequence < 100")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap();
    assert_eq!(payloads, 5);
    // And whoever writes such an entry beside the log is found out.
    assert!(!store.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn payloads_are_erased_from_the_command_line_where_a_role_for_it_is_named() {
    let (_place, server) = with_eraser().await;
    let store = postgres::open(&server).await.unwrap();
    let runs = two_runs(&store).await;
    let desk = Desk::new("");
    let user = &server.eraser.as_ref().unwrap().user;
    let eraser = format!(
        ", eraser: {{ user: {user}, password: {{ file: {}/eraser }} }}",
        desk.path().display()
    );
    let path = desk.path().join("starr.yaml");
    let environment = std::fs::read_to_string(&path).unwrap();
    let erase = move |more: &str| {
        let journal = described(&server, desk.path(), more);
        std::fs::write(&path, format!("{environment}    journal: {journal}\n")).unwrap();
        desk.run(&[
            "journal",
            "erase",
            "--run",
            &runs[1],
            "--payloads",
            "--reason",
            "request 4711",
        ])
    };
    let (refused, done, again) = on_a_thread(move || (erase(""), erase(&eraser), erase(&eraser))).await;
    assert_ne!(refused.1, Some(0), "{}", refused.0);
    assert!(refused.0.contains("`eraser`"), "{}", refused.0);
    assert_eq!(done.1, Some(0), "{}", done.0);
    assert!(done.0.contains("2 payloads erased; entry 5 says so"), "{}", done.0);
    assert!(done.0.contains("vacuum"), "{}", done.0);
    assert!(again.0.contains("nothing to erase"), "{}", again.0);
    assert!(!(refused.0 + &done.0).contains("eraser-secret"));
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact() && verified.payloads_erased == 2, "{verified}");
}

#[tokio::test]
async fn tables_of_the_version_before_get_the_way_to_erase() {
    let (place, server) = with_eraser().await;
    let store = postgres::open(&server).await.unwrap();
    let runs = two_runs(&store).await;
    run(
        &mut place.admin().await,
        "drop function starr.erase_payloads(bigint); update starr.version set version = 2",
    )
    .await;
    let eraser = postgres::open_to_erase(&server).await.unwrap();
    assert_eq!(
        eraser.erase(&runs[1], "retention", &somebody()).await.unwrap().payloads,
        2
    );
    // Whoever records goes on, and may still not.
    let again = postgres::open(&server).await.unwrap();
    two_runs(&again).await;
    assert!(again.erase(&runs[0], "retention", &somebody()).await.is_err());
    let verified = postgres::read(&server).await.unwrap().verify().await.unwrap();
    assert!(verified.is_intact() && verified.payloads_erased == 2, "{verified}");
}
