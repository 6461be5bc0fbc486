//! What a change would do, by a look that changes nothing; and whether the settings that runbooks name are there.

use super::{Server, World, cache};
use crate::support::desk::{Desk, on_a_thread};
use redis::Commands;
use starr::provider::Effect;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::native::Previewed;
use starr::value::Value;
use std::time::Duration;

/// A gate as a plan has it: reads and previews, and no change.
fn planning(world: &World, effects: &[Effect]) -> Gate {
    let grant = Grant {
        capability: "redis".to_owned(),
        effects: effects.to_vec(),
        targets: None,
    };
    let mut gate = Gate::new(vec![grant], Mode::DryRun);
    gate.register(world.provider.clone());
    gate
}

async fn preview(world: &World, path: &str, args: &[(&str, Value)]) -> Vec<String> {
    let gate = planning(world, &[Effect::Read, Effect::Preview]);
    match gate.preview(&world.call(path, args, Duration::from_secs(20))).await {
        Previewed::Shown { how, lines } => {
            assert_eq!(how, "looked at, nothing sent");
            lines
        }
        other => panic!("{path}: {other:?}"),
    }
}

/// Everything the server holds and how it is set.
fn state(server: &Server) -> (Vec<(String, i64, String)>, Vec<String>) {
    let mut admin = server.admin();
    let mut names: Vec<String> = admin.keys("*").unwrap();
    names.sort();
    let keys = names
        .into_iter()
        .map(|name| {
            let expires: i64 = redis::cmd("PEXPIRETIME").arg(&name).query(&mut admin).unwrap();
            let value: String = admin.get(&name).unwrap();
            (name, expires, value)
        })
        .collect();
    let settings = redis::cmd("CONFIG").arg("GET").arg("max*").query(&mut admin).unwrap();
    (keys, settings)
}

#[tokio::test]
async fn keys_are_looked_at_by_the_rules_of_the_change() {
    let server = Server::start();
    let world = server.world();
    for index in 0..7 {
        server.set(&format!("user:{index}"), "x");
    }
    let () = server.admin().expire("user:6", 3600).unwrap();
    let found = world.read("keys.scan", &[("pattern", Value::text("user:*"))]).await;
    let mut seen = found.as_list().unwrap().items.clone();
    seen.sort_by_key(|key| format!("{key:?}"));
    let keys = [("keys", Value::list(seen))];
    // One goes, one becomes something else, one gets an expiry, one loses its own.
    let mut admin = server.admin();
    let () = admin.del("user:0").unwrap();
    let () = admin.del("user:1").unwrap();
    let () = admin.rpush("user:1", "x").unwrap();
    let () = admin.expire("user:2", 60).unwrap();
    let () = redis::cmd("PERSIST").arg("user:6").exec(&mut admin).unwrap();
    let () = admin.del("user:1").unwrap();
    server.set("user:1", "x");
    let () = admin.expire("user:1", 60).unwrap();
    let before = state(&server);
    let said = preview(&world, "keys.delete", &keys).await;
    assert_eq!(
        said,
        [
            "3 of 7 keys would be deleted: user:3, user:4, user:5",
            "gone: user:0",
            "something else by now, and left alone: user:1, user:2, user:6",
        ]
    );
    let mut soon = keys.to_vec();
    soon.push(("after", Value::Duration(60_000_000_000)));
    let said = preview(&world, "keys.expire", &soon).await;
    assert_eq!(said[0], "3 of 7 keys would expire in 1 min: user:3, user:4, user:5");
    // Setting back looks at the kind alone.
    let said = preview(&world, "keys.restore_expiry", &keys).await;
    assert_eq!(
        said,
        [
            "6 of 7 keys would expire when they were to: user:1, user:2, user:3, user:4, user:5 and 1 more",
            "gone: user:0",
        ]
    );
    assert_eq!(state(&server), before, "a preview changed something");
    // The change does what was said.
    let done = world.done("keys.delete", &keys).await;
    let number = |name: &str| crate::support::gated::field(&done, name);
    assert_eq!(
        (number("changed"), number("already_gone"), number("moved_on")),
        (Value::Int(3), Value::Int(1), Value::Int(3))
    );
    let said = preview(&world, "keys.delete", &keys).await;
    assert_eq!(said[0], "none of 7 keys would be deleted", "{said:?}");
}

#[tokio::test]
async fn a_setting_says_what_it_would_become_and_what_follows() {
    let server = Server::start();
    let world = server.world();
    let said = async |name: &str, to: &str, from: Option<&str>| {
        let from = from.map_or(Value::None, Value::text);
        let args = [("name", Value::text(name)), ("to", Value::text(to)), ("from", from)];
        preview(&world, "settings.set", &args).await
    };
    let () = server.admin().set("big", "x".repeat(3_000_000)).unwrap();
    let before = state(&server);
    assert_eq!(
        said("maxmemory-policy", "allkeys-lru", None).await,
        ["`maxmemory-policy` is `noeviction` and would be `allkeys-lru`"]
    );
    assert_eq!(
        said("maxmemory-policy", "noeviction", None).await,
        ["`maxmemory-policy` is `noeviction` already: nothing would change"]
    );
    let lines = said("maxmemory", "2mb", None).await;
    assert_eq!(lines[0], "`maxmemory` is `0` and would be `2mb`");
    assert!(lines[1].contains("which is more: writes would be refused"), "{lines:?}");
    assert_eq!(said("maxmemory", "0", None).await.len(), 1);
    assert_eq!(
        said("maxmemory", "2mb", Some("1gb")).await,
        ["would be refused: `maxmemory` is `0` and not `1gb`"]
    );
    let lines = said("requirepass", "x", None).await;
    assert!(lines[0].starts_with("would be refused: "), "{lines:?}");
    assert_eq!(state(&server), before, "a preview changed something");
}

#[tokio::test]
async fn clients_are_known_by_number_and_address() {
    let server = Server::start();
    let world = server.world();
    let client = |id: i64, address: &str| {
        Value::record(
            "Client",
            vec![
                ("server", cache()),
                ("id", Value::Int(id)),
                ("address", Value::text(address)),
            ],
        )
    };
    let mut one = server.admin();
    let id: i64 = redis::cmd("CLIENT").arg("ID").query(&mut one).unwrap();
    let line: String = redis::cmd("CLIENT").arg("INFO").query(&mut one).unwrap();
    let address = line
        .split("addr=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned();
    let clients = Value::list(vec![
        client(id, &address),
        client(id, "10.0.0.1:1"),
        client(999, &address),
    ]);
    let said = preview(&world, "clients.end", &[("clients", clients)]).await;
    assert_eq!(said, [format!("1 of 3 clients would be ended: {address}")]);
    let () = redis::cmd("PING").exec(&mut one).unwrap();
    let gone = Value::list(vec![client(999, "10.0.0.1:1")]);
    let said = preview(&world, "clients.end", &[("clients", gone)]).await;
    assert_eq!(said, ["none of 1 clients is there any more"]);
}

#[tokio::test]
async fn without_a_grant_or_a_preview_there_is_none() {
    let server = Server::start();
    let world = server.world();
    let set = world.call(
        "settings.set",
        &[("name", Value::text("maxmemory")), ("to", Value::text("1gb"))],
        Duration::from_secs(20),
    );
    let refused = planning(&world, &[Effect::Read]).preview(&set).await;
    assert!(matches!(refused, Previewed::NotGranted(_)), "{refused:?}");
    let gate = planning(&world, &[Effect::Preview]);
    let keep = world.call("settings.keep", &[], Duration::from_secs(20));
    assert_eq!(gate.preview(&keep).await, Previewed::NoPreview);
    // A login that may not look: not known, and never a guess.
    server.user("starr-read", "read-secret", "+info");
    let unknown = gate.preview(&set).await;
    assert!(matches!(unknown, Previewed::Unknown(_)), "{unknown:?}");
}

const BOOK: &str = r#"use std.redis.{Redis}

runbook settings_drift(server: Redis = "cache") "Does the cache keep to its settings?" {
  owner "team-cache"
  reads redis

  task { goal bounded and named }

  check bounded "Does the cache have a limit?" {
    read limit = redis.settings.get(server, name: "maxmemory") within 10 s
    yes when limit.value is not "0"
  }
  check named "Does the cache still know its setting?" {
    read odd = redis.settings.get(server, name: "SETTING") within 10 s
    yes when odd.value is not ""
  }
}
"#;

#[tokio::test]
async fn settings_that_runbooks_name_are_looked_up() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(&format!(
        "    redis: {{ servers: {{ cache: {} }} }}\n    grants:\n      - {{ capability: redis, effects: [read], targets: [cache] }}\n",
        server.entry(folder.path(), ""),
    ));
    let look = async |setting: &str| {
        std::fs::write(desk.path().join("drift.starr"), BOOK.replace("SETTING", setting)).unwrap();
        let mut command = desk.command(&["doctor", "--references", "drift.starr"]);
        let output = on_a_thread(move || command.output().unwrap()).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (said, output.status.code())
    };
    let (said, code) = look("maxmemory-policy").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("there    redis setting maxmemory in cache"), "{said}");
    let (said, code) = look("maxmemory-polisy").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("missing  redis setting maxmemory-polisy in cache"),
        "{said}"
    );
    // Not allowed to ask is not a no.
    server.user("starr-read", "read-secret", "+info");
    let (said, code) = look("maxmemory-policy").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("unknown  redis setting maxmemory in cache"), "{said}");
    // A secret is not asked for.
    let (said, _) = look("requirepass").await;
    assert!(said.contains("unknown  redis setting requirepass in cache"), "{said}");
}
