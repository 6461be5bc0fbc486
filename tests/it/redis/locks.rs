//! The lock in the server, and the fence before each change.

use super::{Server, World};
use redis::Commands;
use starr::provider::Provider;
use starr::provider::lock::{Held, Holder, NotTaken};
use starr::value::{Reason, Value};

fn holder(who: &str) -> Holder {
    Holder {
        run: "260814-0912-kolu".to_owned(),
        who: who.to_owned(),
        host: "laptop7".to_owned(),
    }
}

async fn take(world: &World, who: &str, over: Option<&str>) -> Result<Box<dyn Held>, NotTaken> {
    let taken = world.provider.lock("cache", &holder(who), over).await?;
    Ok(taken.expect("this provider has locks"))
}

fn policy(to: &str) -> [(&'static str, Value); 2] {
    [("name", Value::text("maxmemory-policy")), ("to", Value::text(to))]
}

/// Memory that is full, with nothing thrown out: no ordinary write is taken any more.
fn fill(server: &Server) {
    let mut admin = server.admin();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("3mb")
        .exec(&mut admin)
        .unwrap();
    let mut index = 0;
    while admin
        .set::<_, _, ()>(format!("fill:{index}"), "x".repeat(64 << 10))
        .is_ok()
    {
        index += 1;
        assert!(index < 1000, "the memory does not become full");
    }
}

#[tokio::test]
async fn the_lock_is_taken_when_the_memory_is_full() {
    let server = Server::start();
    let world = server.world();
    fill(&server);
    let held = take(&world, "maria", None)
        .await
        .unwrap_or_else(|why| panic!("{why:?}"));
    held.still_held().await.unwrap();
    let left: i64 = server.admin().pttl("starr:lock").unwrap();
    assert!((1..=75_000).contains(&left), "{left}");
    world.done("settings.set", &policy("allkeys-lru")).await;
    drop(held);
    assert!(
        !server.admin().exists::<_, bool>("starr:lock").unwrap(),
        "it is given back"
    );
}

#[tokio::test]
async fn the_second_run_is_told_who_has_it_and_may_take_it_over() {
    let server = Server::start();
    let (one, two) = (server.world(), server.world());
    let first = take(&one, "maria", None).await.unwrap();
    let Err(NotTaken::HeldBy(other)) = take(&two, "jonas", None).await else {
        panic!("two runs have the lock");
    };
    assert_eq!(other.shown, "run 260814-0912-kolu maria@laptop7");
    assert!(other.since.ends_with("UTC"), "{}", other.since);
    let second = take(&two, "jonas", Some(&other.token)).await.unwrap();
    assert!(first.still_held().await.is_err());
    // Whoever has lost it changes nothing any more.
    let (why, detail) = one.refused("settings.set", &policy("allkeys-lru")).await;
    assert_eq!(why, Reason::Denied);
    assert!(detail.contains("lock"), "{detail}");
    two.done("settings.set", &policy("allkeys-lru")).await;
    // Giving back what is lost takes nothing from whoever has it.
    drop(first);
    second.still_held().await.unwrap();
    // A token of a holding that is over takes nothing over.
    let stale = take(&one, "maria", Some(&other.token)).await;
    assert!(matches!(stale, Err(NotTaken::HeldBy(_))));
}

#[tokio::test]
async fn a_key_of_somebody_else_is_respected() {
    let server = Server::start();
    server.set("starr:lock", "mine");
    let Err(NotTaken::HeldBy(other)) = take(&server.world(), "maria", None).await else {
        panic!("the key of somebody else was overwritten");
    };
    assert_eq!(other.shown, "something that is no run of starr");
}

#[tokio::test]
async fn keys_of_another_database_are_fenced_too() {
    let server = Server::start();
    let world = server.world_with(", database: 4");
    let mut admin = server.admin();
    redis::cmd("SELECT").arg(4).exec(&mut admin).unwrap();
    let () = admin.set("k", "x").unwrap();
    let held = take(&world, "maria", None).await.unwrap();
    let keys = world.read("keys.scan", &[]).await;
    server.set("starr:lock", "stolen");
    world.refused("keys.delete", &[("keys", keys.clone())]).await;
    assert!(admin.exists::<_, bool>("k").unwrap());
    drop(held);
    assert_eq!(server.admin().get::<_, String>("starr:lock").unwrap(), "stolen");
    let _: () = server.admin().del("starr:lock").unwrap();
    world.done("keys.delete", &[("keys", keys)]).await;
    assert!(!admin.exists::<_, bool>("k").unwrap());
}

#[tokio::test]
async fn without_a_login_for_changes_or_with_lock_off_there_is_none() {
    let server = Server::start();
    let off = server.world_with(", lock: false");
    let taken = off.provider.lock("cache", &holder("maria"), None).await.unwrap();
    assert!(taken.is_none());
    off.done("settings.set", &policy("allkeys-lru")).await;
    assert!(
        off.provider
            .lock("elsewhere", &holder("maria"), None)
            .await
            .unwrap()
            .is_none()
    );
}
