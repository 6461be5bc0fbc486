//! What the changes do, and what they leave alone.

use super::{World, done, failed, field, items, orders, record, sql_text, text};
use crate::support::postgres::{Server, leave_open, one, run};
use starr::provider::Outcome;
use starr::value::{List, Reason, Record, Value};
use std::sync::Arc;
use std::time::Duration;

fn counts(ended: &Value) -> Vec<(&str, i64)> {
    record(ended)
        .fields
        .iter()
        .map(|(name, value)| match value {
            Value::Int(number) => (&**name, *number),
            other => panic!("{other:?}"),
        })
        .filter(|(_, number)| *number > 0)
        .collect()
}

/// A session with one field replaced.
fn altered(session: &Value, name: &str, value: Value) -> Value {
    let mut fields = record(session).fields.clone();
    for (field, old) in &mut fields {
        if &**field == name {
            *old = value.clone();
        }
    }
    Value::Record(Arc::new(Record {
        type_name: "Session".into(),
        fields,
    }))
}

#[tokio::test]
async fn exactly_the_sessions_that_were_meant_are_ended() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _meant = leave_open(&place, "leaky", 4).await;
    let found = world.idle_in_transaction().await;
    let _later = leave_open(&place, "innocent", 2).await;
    let ended = done(world.change("sessions.terminate", &[("sessions", found.clone())]).await);
    assert_eq!(counts(&ended), [("ended", 4)]);
    let left = world.idle_in_transaction().await;
    assert_eq!(items(&left).len(), 2);
    assert!(
        items(&left)
            .iter()
            .all(|session| text(field(session, "application")) == "innocent")
    );
    // Once more: there is nobody left to end, and that is no failure.
    let again = done(world.change("sessions.terminate", &[("sessions", found)]).await);
    assert_eq!(counts(&again), [("already_gone", 4)]);
}

#[tokio::test]
async fn more_sessions_than_one_call_may_end_are_a_failure_and_none_is_ended() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 1).await;
    let found = world.idle_in_transaction().await;
    let session = items(&found)[0].clone();
    let other_beginning = altered(
        &session,
        "backend_start",
        Value::Time("2026-01-01T00:00:00Z".parse().unwrap()),
    );
    let most = starr::limits::POSTGRES_ENDED;
    let many = |count: usize, last: &Value| {
        let mut all = vec![other_beginning.clone(); count - 1];
        all.push(last.clone());
        Value::list(all)
    };
    for path in ["sessions.terminate", "sessions.cancel"] {
        let (_, detail) = failed(world.change(path, &[("sessions", many(most + 1, &session))]).await);
        assert!(detail.contains("more than 1000 sessions"), "{path}: {detail}");
        assert_eq!(items(&world.idle_in_transaction().await).len(), 1, "{path}");
    }
    // As many as that are looked at, each of them.
    let looked = done(
        world
            .change("sessions.terminate", &[("sessions", many(most, &other_beginning))])
            .await,
    );
    assert!(
        counts(&looked).iter().all(|(name, _)| *name == "already_gone"),
        "{looked:?}"
    );
    assert_eq!(items(&world.idle_in_transaction().await).len(), 1);
}

/// The number alone is not the session: the server uses it again.
#[tokio::test]
async fn a_session_with_another_beginning_is_not_ended() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 1).await;
    let found = world.idle_in_transaction().await;
    let other_beginning = altered(
        &items(&found)[0],
        "backend_start",
        Value::Time("2026-01-01T00:00:00Z".parse().unwrap()),
    );
    for path in ["sessions.terminate", "sessions.cancel"] {
        let ended = done(
            world
                .change(path, &[("sessions", Value::list(vec![other_beginning.clone()]))])
                .await,
        );
        assert_eq!(counts(&ended), [("already_gone", 1)], "{path}");
    }
    assert_eq!(items(&world.idle_in_transaction().await).len(), 1);
}

#[tokio::test]
async fn a_session_that_has_moved_on_is_left_alone() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let mut clients = leave_open(&place, "leaky", 2).await;
    let found = world.idle_in_transaction().await;
    // One of them goes on with its transaction, which looks the same from outside but for the time.
    clients[0].send("select 'moved on'");
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and state = 'idle in transaction' and query = 'select ''moved on'';'")
        .await;
    let ended = done(world.change("sessions.terminate", &[("sessions", found)]).await);
    assert_eq!(counts(&ended), [("ended", 1), ("moved_on", 1)]);
    // And one whose transaction was another is left alone, even in the same state since the same moment.
    let left = world.idle_in_transaction().await;
    let other = altered(
        &items(&left)[0],
        "transaction_start",
        Value::Time("2026-01-01T00:00:00Z".parse().unwrap()),
    );
    let ended = done(
        world
            .change("sessions.terminate", &[("sessions", Value::list(vec![other]))])
            .await,
    );
    assert_eq!(counts(&ended), [("moved_on", 1)]);
    assert_eq!(items(&world.idle_in_transaction().await).len(), 1);
}

#[tokio::test]
async fn cancelling_ends_the_statement_and_keeps_the_session() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let mut client = place.client("slow");
    client.send("select pg_sleep(600)");
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'slow' and state = 'active' and wait_event = 'PgSleep'")
        .await;
    let found = world
        .read("sessions.list", &[("state", Value::variant("active"))])
        .await;
    assert_eq!(items(&found).len(), 1);
    let ended = done(world.change("sessions.cancel", &[("sessions", found)]).await);
    assert_eq!(counts(&ended), [("ended", 1)]);
    place
        .until("select count(*) = 1 from pg_stat_activity where datname = current_database() and application_name = 'slow' and state = 'idle'")
        .await;
}

#[tokio::test]
async fn sessions_of_other_databases_and_other_roles_are_out_of_reach() {
    let place = Server::shared().database().await;
    let other = Server::shared().database().await;
    let _clients = leave_open(&other, "foreign", 1).await;
    let world = World::new(&place);
    let everywhere = [
        ("state", Value::variant("idle_in_transaction")),
        ("application", Value::text("foreign")),
        ("database", Value::text(other.name.as_str())),
    ];
    let found = world.read("sessions.list", &everywhere).await;
    assert_eq!(items(&found).len(), 1);
    let (why, words) = failed(world.change("sessions.terminate", &[("sessions", found.clone())]).await);
    assert_eq!(why, Reason::Denied);
    assert!(words.contains("across_databases"), "{words}");
    let allowed = World::with(&place, ", across_databases: true");
    let ended = done(allowed.change("sessions.terminate", &[("sessions", found)]).await);
    assert_eq!(counts(&ended), [("ended", 1)]);

    // The administrator's session may not be ended by this role: a refusal, not a success with nothing in it.
    let mut admin = place.admin().await;
    run(&mut admin, "begin; select 'mine'").await;
    let found = world.read("sessions.list", &[("user", Value::text("admin"))]).await;
    assert_eq!(items(&found).len(), 1);
    let (why, words) = failed(world.change("sessions.terminate", &[("sessions", found.clone())]).await);
    assert_eq!(why, Reason::Denied, "{words}");
    // Together with one that may be ended, the refusal is counted.
    let _clients = leave_open(&place, "leaky", 1).await;
    let mut both = items(&found).to_vec();
    both.extend(
        items(
            &world
                .read("sessions.list", &[("application", Value::text("leaky"))])
                .await,
        )
        .to_vec(),
    );
    let ended = done(
        world
            .change("sessions.terminate", &[("sessions", Value::list(both))])
            .await,
    );
    assert_eq!(counts(&ended), [("ended", 1), ("denied", 1)]);
}

#[tokio::test]
async fn a_list_that_is_not_whole_ends_nobody() {
    let place = Server::shared().database().await;
    let world = World::new(&place);
    let _clients = leave_open(&place, "leaky", 1).await;
    let found = world.idle_in_transaction().await;
    let cut = Value::List(Arc::new(List {
        items: items(&found).to_vec(),
        truncated: true,
    }));
    assert_eq!(
        failed(world.change("sessions.terminate", &[("sessions", cut)]).await).0,
        Reason::Truncated
    );
    let unknown = Value::unknown(Reason::Timeout, "no reply");
    assert_eq!(
        failed(world.change("sessions.terminate", &[("sessions", unknown)]).await).0,
        Reason::Timeout
    );
    let half = altered(&items(&found)[0], "backend_start", Value::None);
    let mixed = Value::list(vec![items(&found)[0].clone(), half]);
    assert_eq!(
        failed(world.change("sessions.terminate", &[("sessions", mixed)]).await).0,
        Reason::Unparsable
    );
    assert_eq!(items(&world.idle_in_transaction().await).len(), 1);
}

#[tokio::test]
async fn a_statement_of_a_change_is_sent_once_and_counted() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "create table t (id int primary key, note text); insert into t select g, 'old' from generate_series(1, 10) g;
         grant select, update, delete on t to starr_change",
    )
    .await;
    let world = World::new(&place);
    let execute = async |sql: &str, parameters: Vec<Value>| {
        world
            .change(
                "execute",
                &[("sql", sql_text(sql)), ("parameters", Value::list(parameters))],
            )
            .await
    };
    let updated = execute(
        "update t set note = $1 where id > $2",
        vec![Value::text("it's; drop table t"), Value::Int(7)],
    )
    .await;
    assert_eq!(done(updated), Value::Int(3));
    let (why, words) = failed(execute("insert into t values (11, 'x')", vec![]).await);
    assert_eq!(why, Reason::Denied, "{words}");
    for sql in [
        "delete from t; delete from t",
        "begin",
        "copy t to program 'id'",
        "set role admin",
        "do $$ begin delete from t; end $$",
    ] {
        assert_eq!(failed(execute(sql, vec![]).await).0, Reason::Denied, "{sql}");
    }
    let (_, words) = failed(execute("update t set id = 1 where id = 2", vec![]).await);
    assert!(words.contains("23505"), "{words}");
    assert_eq!(
        sqlx::query_scalar::<_, i64>("select count(*) from t where note = 'it''s; drop table t'")
            .fetch_one(&mut admin)
            .await
            .unwrap(),
        3
    );
}

#[tokio::test]
async fn an_error_never_repeats_a_secret_parameter() {
    let place = Server::shared().database().await;
    run(
        &mut place.admin().await,
        "create table t (id int primary key); grant all on t to starr_change",
    )
    .await;
    let world = World::new(&place);
    let secret = Value::Secret(starr::value::Secret::new(Value::text("canary-5f2a")));
    let (_, words) = failed(
        world
            .change(
                "execute",
                &[
                    ("sql", sql_text("insert into t values ($1::text::int)")),
                    ("parameters", Value::list(vec![secret.clone()])),
                ],
            )
            .await,
    );
    assert!(words.contains("22P02") && !words.contains("canary"), "{words}");
    let answer = world.query("select $1::text::int", vec![secret]).await;
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    let plain = world
        .query("select $1::text::int", vec![Value::text("canary-5f2a")])
        .await;
    assert!(
        format!("{plain:?}").contains("canary"),
        "without a secret the server's words are shown"
    );
}

#[tokio::test]
async fn an_index_is_built_found_and_taken_away_again() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    run(
        &mut admin,
        "set role app; create table t (id int primary key, \"Mail address\" text); insert into t select g, g % 2 from generate_series(1, 10) g; reset role;
         grant app to starr_change",
    )
    .await;
    let world = World::new(&place);
    let build = async |name: &str, column: &str, unique: bool| {
        world
            .change(
                "indexes.create_concurrently",
                &[
                    ("db", orders()),
                    ("name", Value::text(name)),
                    ("table", Value::text("t")),
                    ("columns", Value::list(vec![Value::text(column)])),
                    ("unique", Value::Bool(unique)),
                ],
            )
            .await
    };
    let built = done(build("by \"mail", "Mail address", false).await);
    assert_eq!(field(&built, "valid"), &Value::Bool(true));
    assert_eq!(text(field(&built, "name")), "by \"mail");
    let (_, words) = failed(build("by \"mail", "Mail address", false).await);
    assert!(words.contains("already"), "{words}");
    // Duplicates: the server leaves an invalid index behind, and the outcome says so.
    let (_, words) = failed(build("unique_mail", "Mail address", true).await);
    assert!(words.contains("23505") && words.contains("invalid index"), "{words}");
    let invalid = world
        .read("indexes.find", &[("name", Value::text("unique_mail"))])
        .await;
    assert_eq!(field(&items(&invalid)[0], "valid"), &Value::Bool(false));
    let (_, words) = failed(build("nothing", "no_such_column", false).await);
    assert!(words.contains("nothing was left behind"), "{words}");
    for name in ["by \"mail", "unique_mail", "was never there"] {
        done(
            world
                .change(
                    "indexes.drop_concurrently",
                    &[("db", orders()), ("name", Value::text(name))],
                )
                .await,
        );
        let found = world.read("indexes.find", &[("name", Value::text(name))]).await;
        assert!(items(&found).is_empty());
    }
    run(&mut admin, "revoke app from starr_change").await;
}

#[tokio::test]
async fn statistics_are_brought_up_to_date_or_refused() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    let role = format!("owner_{}", place.name);
    run(
        &mut admin,
        &format!("create role {role} login password 'change-secret'; create table t (id int); create table mine (id int); alter table mine owner to {role}"),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.change.as_mut().unwrap().user = role;
    let provider = one(entry);
    let world = World::of(provider, folder);
    let analyze = async |table: &str| {
        world
            .change("tables.analyze", &[("db", orders()), ("table", Value::text(table))])
            .await
    };
    done(analyze("mine").await);
    place
        .until("select last_analyze is not null from pg_stat_user_tables where relname = 'mine'")
        .await;
    // The server itself only warns.
    assert_eq!(failed(analyze("t").await).0, Reason::Denied);
    assert_eq!(failed(analyze("nothing").await).0, Reason::Missing);
    assert_eq!(failed(analyze("").await).0, Reason::Unparsable);
}

#[tokio::test]
async fn a_setting_of_the_database_is_set_and_taken_back() {
    let place = Server::shared().database().await;
    let mut admin = place.admin().await;
    let role = format!("owner_{}", place.name);
    run(
        &mut admin,
        &format!(
            "create role {role} login password 'change-secret'; alter database {} owner to {role}",
            place.name
        ),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.change.as_mut().unwrap().user = role;
    let provider = one(entry);
    let world = World::of(provider, folder);
    let name = ("name", Value::text("idle_in_transaction_session_timeout"));
    let set = async |to: Value| {
        world
            .change("settings.set", &[("db", orders()), name.clone(), ("to", to)])
            .await
    };
    let own = async || {
        let found = world.read("settings.of_database", std::slice::from_ref(&name)).await;
        field(&found, "value").clone()
    };
    assert_eq!(own().await, Value::None);
    done(set(Value::text("5min")).await);
    assert_eq!(own().await, Value::text("5min"));
    done(set(Value::None).await);
    assert_eq!(own().await, Value::None);
    assert!(
        failed(set(Value::text("'; drop database x; --")).await)
            .1
            .contains("22023")
    );
    for refused in [
        "search_path",
        "role",
        "a\"; drop database x; --",
        "SESSION_preload_libraries",
    ] {
        let outcome = world
            .change(
                "settings.set",
                &[
                    ("db", orders()),
                    ("name", Value::text(refused)),
                    ("to", Value::text("x")),
                ],
            )
            .await;
        assert_eq!(failed(outcome).0, Reason::Denied, "{refused}");
    }
    let stranger = World::new(&place);
    let outcome = stranger
        .change(
            "settings.set",
            &[("db", orders()), name.clone(), ("to", Value::text("5min"))],
        )
        .await;
    assert_eq!(failed(outcome).0, Reason::Denied);
}

#[tokio::test]
async fn without_a_login_for_changes_nothing_changes() {
    let place = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.change = None;
    let provider = one(entry);
    let world = World::of(provider, folder);
    let _clients = leave_open(&place, "leaky", 1).await;
    let found = world.idle_in_transaction().await;
    let (why, words) = failed(world.change("sessions.terminate", &[("sessions", found)]).await);
    assert_eq!(why, Reason::Unavailable);
    assert!(words.contains("no login for `change`"), "{words}");
    let nobody = world
        .change_within(
            "sessions.terminate",
            &[("sessions", Value::list(vec![]))],
            Duration::from_secs(5),
        )
        .await;
    assert!(matches!(nobody, Outcome::Done(_)), "{nobody:?}");
}
