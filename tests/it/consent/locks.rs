//! Locks in a real PostgreSQL: two runs of two people on the same database, under whatever name.

use super::{terminal, text};
use crate::incident::{Desk, STUCK, on_a_thread, pids};
use crate::support::postgres::{Place, Server, leave_open};
use starr::provider::Provider;
use starr::provider::lock::{Holder, NotTaken};

fn holder(who: &str) -> Holder {
    Holder {
        run: format!("run-of-{who}"),
        who: who.to_owned(),
        host: "laptop".to_owned(),
    }
}

async fn holders(place: &Place) -> Vec<String> {
    sqlx::query_scalar(
        "select a.application_name from pg_locks l join pg_stat_activity a using (pid)
          where l.locktype = 'advisory' and l.granted
            and l.database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_all(&mut place.admin().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn one_holder_at_a_time_is_shown_can_be_replaced_and_knows_it() {
    let place = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (place.provider(folder.path()), place.provider(folder.path()));
    let held = one.lock("orders", &holder("ann"), None).await.unwrap().unwrap();
    held.still_held().await.unwrap();
    assert_eq!(holders(&place).await, ["starr run-of-ann ann@laptop"]);
    let Err(NotTaken::HeldBy(seen)) = other.lock("orders", &holder("bob"), None).await else {
        panic!("two people hold it");
    };
    assert_eq!(seen.shown, "run run-of-ann ann@laptop");
    assert!(seen.since.ends_with("UTC"), "{seen:?}");

    // A token of somebody else takes nothing over.
    let stale = other.lock("orders", &holder("bob"), Some("1/1")).await;
    assert!(matches!(stale, Err(NotTaken::HeldBy(_))));
    held.still_held().await.unwrap();

    let taken = other
        .lock("orders", &holder("bob"), Some(&seen.token))
        .await
        .unwrap()
        .unwrap();
    taken.still_held().await.unwrap();
    assert!(held.still_held().await.is_err(), "the first holder is fenced");
    assert_eq!(holders(&place).await, ["starr run-of-bob bob@laptop"]);

    drop(taken);
    place
        .until(
            "select not exists (select 1 from pg_locks where locktype = 'advisory'
               and database = (select oid from pg_database where datname = current_database()))",
        )
        .await;
    drop(held);
    assert!(one.lock("orders", &holder("ann"), None).await.unwrap().is_some());
}

#[tokio::test]
async fn the_server_ends_a_holder_that_is_silent() {
    let place = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let one = place.provider(folder.path());
    let _held = one.lock("orders", &holder("ann"), None).await.unwrap().unwrap();
    // What the session itself asked the server for; the server enforces it without us.
    let log = place.server.log();
    assert!(
        log.contains("idle_session_timeout") && log.contains("75s"),
        "the session has no expiry"
    );
}

#[tokio::test]
async fn a_database_without_locks_or_without_a_login_for_changes_takes_none() {
    let place = Server::shared().database().await;
    let folder = tempfile::tempdir().unwrap();
    let without = place.provider_with(folder.path(), ", lock: false");
    assert!(without.lock("orders", &holder("ann"), None).await.unwrap().is_none());
    assert!(without.lock("unknown", &holder("ann"), None).await.unwrap().is_none());
    assert_eq!(holders(&place).await, Vec::<String>::new());
}

/// Two real runs: the second is told who is at it, takes over, and the first changes nothing although it is approved.
#[tokio::test]
async fn two_runs_cannot_change_one_database_at_once() {
    let place = Server::shared().database().await;
    let (one, other) = (Desk::new(&place).await, Desk::new(&place).await);
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let (first, second) = (
        one.run(&["--answer", "complaints=yes"]),
        other.run(&["--answer", "complaints=yes"]),
    );
    on_a_thread(move || {
        let mut first = terminal(first);
        first.wait_for("Approve?");
        let mut second = terminal(second);
        second.wait_for("is being changed by somebody else");
        second.wait_for("Type wait, take over or give up");
        assert!(
            second.seen.contains(&format!("{}@", starr::cli::login())),
            "{}",
            second.seen
        );
        second.answer("take over");
        second.wait_for("Why?");
        second.answer("the first laptop is asleep");
        second.wait_for("Approve?");
        // The first is approved now, and is fenced.
        first.answer("yes");
        first.wait_for("the lock of its target is gone");
        first.wait_for("Which signal could have told us earlier?");
        first.wait_for("may be empty");
        first.answer("");
        let code = first.end();
        assert_ne!(code, 0, "{}", first.seen);
        second.answer("yes");
        second.wait_for("Which signal could have told us earlier?");
        second.wait_for("may be empty");
        second.answer("");
        assert_eq!(second.end(), 0, "{}", second.seen);
    })
    .await;
    assert!(pids(&place, "shop").await.is_empty());
    assert_eq!(before.len(), STUCK);
    let report = other.output(&["report"]);
    assert!(report.contains("the first laptop is asleep"), "{report}");
}

#[tokio::test]
async fn who_does_not_take_over_changes_nothing() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let folder = tempfile::tempdir().unwrap();
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let _held = place
        .provider(folder.path())
        .lock("orders", &holder("ann"), None)
        .await
        .unwrap();
    let run = desk.run(&["--answer", "complaints=yes"]);
    on_a_thread(move || {
        let mut run = terminal(run);
        run.wait_for("run-of-ann ann@laptop");
        run.wait_for("Type wait, take over or give up");
        run.answer("give up");
        run.wait_for("Which signal could have told us earlier?");
        run.wait_for("may be empty");
        run.answer("");
        assert_eq!(run.end(), 3, "{}", run.seen);
    })
    .await;
    assert_eq!(pids(&place, "shop").await.len(), STUCK);
    // Nobody is there to take over in an unattended run.
    let mut unattended = desk.run(&["--answer", "complaints=yes", "--unattended"]);
    let output = on_a_thread(move || unattended.output().unwrap()).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("run-of-ann"), "{}", text(&output));
}
