//! What the server says about itself and its keys.

use super::Server;
use crate::support::gated::{field, items, reason};
use redis::Commands;
use starr::value::{Reason, Value};
use std::time::Duration;

#[tokio::test]
async fn an_idle_server_has_no_hit_rate_and_a_busy_one_has() {
    let server = Server::start();
    let world = server.world();
    let before = world.read("statistics", &[]).await;
    assert_eq!(field(&before, "hits"), Value::Int(0));
    assert_eq!(reason(&field(&before, "hit_rate")).0, Reason::Arithmetic);
    let quiet = world.read("window", &[("over", Value::Duration(50_000_000))]).await;
    assert_eq!(reason(&field(&quiet, "hit_rate")).0, Reason::Arithmetic);
    assert_eq!(field(&quiet, "evicted"), Value::Int(0));
    server.set("there", "x");
    let mut admin = server.admin();
    for key in ["there", "there", "there", "gone"] {
        let _: Option<String> = admin.get(key).unwrap();
    }
    let after = world.read("statistics", &[]).await;
    assert_eq!(field(&after, "hit_rate"), Value::ratio(0.75));
    let reset: () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut admin).unwrap();
    let () = reset;
    let late = world
        .read_within(
            "window",
            &[("over", Value::Duration(60_000_000_000))],
            Duration::from_secs(2),
        )
        .await;
    assert_eq!(reason(&late).0, Reason::Timeout);
}

#[tokio::test]
async fn memory_without_a_limit_has_no_share() {
    let server = Server::start();
    let world = server.world();
    let open = world.read("memory", &[]).await;
    assert_eq!(field(&open, "limit"), Value::None);
    assert_eq!(field(&open, "share"), Value::None);
    assert_eq!(field(&open, "policy"), Value::text("noeviction"));
    world
        .done(
            "settings.set",
            &[("name", Value::text("maxmemory")), ("to", Value::text("64mb"))],
        )
        .await;
    let tight = world.read("memory", &[]).await;
    assert_eq!(field(&tight, "limit"), Value::Bytes(64 << 20));
    assert!(matches!(field(&tight, "share"), Value::Ratio(share) if share > 0.0 && share < 1.0));
}

#[tokio::test]
async fn everything_else_that_can_be_asked_has_an_answer() {
    let server = Server::start();
    let world = server.world();
    let version = world.read("version", &[]).await;
    assert_eq!(field(&version, "role"), Value::variant("primary"));
    assert_eq!(field(&version, "mode"), Value::text("standalone"));
    assert_eq!(field(&world.read("ping", &[]).await, "ok"), Value::Bool(true));
    assert_eq!(world.read("admission", &[]).await, Value::variant("admitted"));
    assert_eq!(field(&world.read("clients", &[]).await, "max"), Value::Int(10_000));
    assert_eq!(field(&world.read("replication", &[]).await, "linked"), Value::None);
    let saving = world.read("persistence", &[]).await;
    assert_eq!(field(&saving, "last_save_ok"), Value::Bool(true));
    assert_eq!(field(&saving, "append_only_ok"), Value::None);
    let document = world.read("info", &[("section", Value::text("memory"))]).await;
    assert!(
        matches!(&document, Value::Json(fields) if fields["maxmemory"] == 0),
        "{document:?}"
    );
    let odd = world.read("info", &[("section", Value::text("mem ory"))]).await;
    assert_eq!(reason(&odd).0, Reason::Unparsable);
    let none = world.read("info", &[("section", Value::text("nosuch"))]).await;
    assert_eq!(reason(&none).0, Reason::Missing);
    let latency = world.read("latency", &[("over", Value::Duration(100_000_000))]).await;
    assert!(matches!(field(&latency, "samples"), Value::Int(2..)), "{latency:?}");
    for line in starr::provider::Provider::doctor(&*world.provider).await {
        assert_eq!(line.state, starr::provider::HealthState::Good, "{line:?}");
        assert!(
            line.detail.contains("Redis 7") && !line.detail.contains("secret"),
            "{line:?}"
        );
    }
}

#[tokio::test]
async fn slow_commands_are_listed_and_their_arguments_are_secret() {
    let server = Server::start();
    let world = server.world();
    let mut admin = server.admin();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("slowlog-log-slower-than")
        .arg(0)
        .exec(&mut admin)
        .unwrap();
    server.set("session:7", "swordfish");
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("slowlog-log-slower-than")
        .arg(-1)
        .exec(&mut admin)
        .unwrap();
    let log = world.read("slow_log", &[("at_most", Value::Int(100))]).await;
    let entry = items(&log)
        .into_iter()
        .find(|entry| field(entry, "command") == Value::text("set"))
        .expect("the command is in the log");
    assert!(
        matches!(field(&entry, "arguments"), Value::Secret(secret) if *secret.expose() == Value::text("session:7 swordfish"))
    );
    assert!(!format!("{entry:?}").contains("swordfish"));
    let cut = world.read("slow_log", &[("at_most", Value::Int(1))]).await;
    assert!(cut.as_list().unwrap().truncated);
}

#[tokio::test]
async fn keys_are_walked_through_and_what_was_not_is_cut() {
    let server = Server::start();
    let world = server.world();
    let mut admin = server.admin();
    let mut fill = redis::pipe();
    for index in 0..500 {
        fill.set(format!("user:{index}"), "x");
    }
    fill.exec(&mut admin).unwrap();
    server.set("big:1", &"x".repeat(3 << 20));
    let () = admin.rpush("big:list", "y".repeat(2 << 20)).unwrap();
    let () = admin.set_ex("soon", "x", 3600).unwrap();
    redis::cmd("SET").arg(b"odd\xff").arg("x").exec(&mut admin).unwrap();
    assert_eq!(world.read("keys.count", &[]).await, Value::Int(504));
    let some = world.read("keys.scan", &[("pattern", Value::text("user:*"))]).await;
    let some = some.as_list().unwrap();
    assert!(some.truncated && some.items.len() == 100);
    let all = world
        .read(
            "keys.scan",
            &[("pattern", Value::text("user:*")), ("at_most", Value::Int(1000))],
        )
        .await;
    assert_eq!(items(&all).len(), 500);
    let lists = world.read("keys.scan", &[("kind", Value::variant("list"))]).await;
    assert_eq!(field(&items(&lists)[0], "name"), Value::text("big:list"));
    // Bytes, not elements.
    let large = items(&world.read("keys.largest", &[]).await);
    assert_eq!(large.len(), 2);
    assert_eq!(field(&large[0], "name"), Value::text("big:1"));
    assert!(matches!(field(&large[0], "size"), Value::Bytes(size) if size > 3 << 20));
    let part = world.read("keys.largest", &[("look_at", Value::Int(10))]).await;
    assert!(part.as_list().unwrap().truncated, "a walk that is not through says so");
    let soon = items(&world.read("keys.scan", &[("pattern", Value::text("soon"))]).await);
    let Value::Time(expires) = field(&soon[0], "expires") else {
        panic!("{soon:?}");
    };
    let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3500..=3601).contains(&left), "{left}");
    let expiry = world.read("keys.expiry", &[]).await;
    assert_eq!(field(&expiry, "all"), Value::Bool(true));
    assert_eq!(field(&expiry, "looked_at"), Value::Int(504));
    assert_eq!(field(&expiry, "without"), Value::Int(503));
    let nothing = world
        .read("keys.expiry", &[("pattern", Value::text("nothing:*"))])
        .await;
    assert_eq!(reason(&field(&nothing, "share_without")).0, Reason::Arithmetic);
    // A name that is no text is no name that could be sent back.
    let odd = items(&world.read("keys.scan", &[("pattern", Value::text("odd*"))]).await);
    assert_eq!(reason(&field(&odd[0], "name")).0, Reason::Unparsable);
    world.refused("keys.delete", &[("keys", Value::list(odd))]).await;
    let empty = world.read("keys.scan", &[("pattern", Value::text(""))]).await;
    assert_eq!(reason(&empty).0, Reason::Unparsable);
}

#[tokio::test]
async fn another_database_has_other_keys() {
    let server = Server::start();
    server.set("in-zero", "x");
    let three = server.world_with(", database: 3");
    assert_eq!(three.read("keys.count", &[]).await, Value::Int(0));
    assert_eq!(server.world().read("keys.count", &[]).await, Value::Int(1));
}

#[tokio::test]
async fn settings_are_read_one_by_one_and_secrets_are_not() {
    let server = Server::start();
    let world = server.world();
    let get = |name: &str| {
        let name = Value::text(name);
        let world = &world;
        async move { world.read("settings.get", &[("name", name)]).await }
    };
    let memory = get("maxmemory").await;
    assert_eq!(field(&memory, "size"), Value::Bytes(0));
    assert_eq!(field(&get("activedefrag").await, "enabled"), Value::Bool(false));
    assert_eq!(reason(&get("requirepass").await).0, Reason::Denied);
    assert_eq!(reason(&get("max*").await).0, Reason::Unparsable);
    assert_eq!(reason(&get("no-such-setting").await).0, Reason::Missing);
}
