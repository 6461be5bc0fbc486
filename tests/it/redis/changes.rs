//! Changes, what undoes them, and what keeps them from what has moved on.

use super::Server;
use crate::support::gated::{field, items};
use redis::Commands;
use starr::value::{Reason, Value};

fn setting(name: &str, to: &str) -> [(&'static str, Value); 2] {
    [("name", Value::text(name)), ("to", Value::text(to))]
}

#[tokio::test]
async fn a_setting_is_changed_and_set_back_while_it_is_ours() {
    let server = Server::start();
    let world = server.world();
    let name = [("name", Value::text("maxmemory-policy"))];
    let before = world.read("settings.get", &name).await;
    let after = world
        .done("settings.set", &setting("maxmemory-policy", "allkeys-lru"))
        .await;
    assert_eq!(field(&after, "value"), Value::text("allkeys-lru"));
    // The undo: back to what it was, while it is what we made of it.
    let [name, to] = setting("maxmemory-policy", field(&before, "value").as_str().unwrap());
    let from = ("from", Value::text("allkeys-lru"));
    world
        .done("settings.set", &[name.clone(), to.clone(), from.clone()])
        .await;
    assert_eq!(world.read("settings.get", std::slice::from_ref(&name)).await, before);
    // Somebody else has set it since.
    world
        .done("settings.set", &setting("maxmemory-policy", "volatile-ttl"))
        .await;
    let (why, detail) = world.refused("settings.set", &[name, to, from]).await;
    assert_eq!(why, Reason::Denied);
    assert!(detail.contains("volatile-ttl"), "{detail}");
    // A size is the same size however it is written.
    world.done("settings.set", &setting("maxmemory", "100mb")).await;
    let [name, to] = setting("maxmemory", "0");
    world
        .done("settings.set", &[name, to, ("from", Value::text("102400kb"))])
        .await;
}

#[tokio::test]
async fn what_is_not_ours_to_set_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let world = server.world();
    for name in [
        "requirepass",
        "dir",
        "dbfilename",
        "aclfile",
        "tls-port",
        "enable-debug-command",
        "databases",
    ] {
        let (why, _) = world.refused("settings.set", &setting(name, "/tmp")).await;
        assert_eq!(why, Reason::Denied, "{name}");
    }
    let (_, said) = world
        .refused("settings.set", &setting("maxmemory-policy", "no-such-policy"))
        .await;
    assert!(said.contains("maxmemory-policy") || said.contains("argument"), "{said}");
    world
        .refused("settings.set", &setting("proto-max-bulk-len", "1gb"))
        .await;
    let more = server.world_with(", settings: [proto-max-bulk-len]");
    more.done("settings.set", &setting("proto-max-bulk-len", "1gb")).await;
    let words = starr::provider::Provider::exceptions(&*more.provider).join(" ");
    assert!(words.contains("proto-max-bulk-len"), "{words}");
    // It was started without a file.
    let (_, said) = world.refused("settings.keep", &[]).await;
    assert!(said.contains("config file"), "{said}");
}

#[tokio::test]
async fn settings_that_are_kept_are_in_the_server_s_file() {
    let folder = crate::support::daemon::folder("redis-conf");
    let file = crate::support::daemon::file(&folder, "redis.conf", "maxmemory-samples 5\n");
    // The server writes beside it and renames.
    let server = Server::start_with(&[]);
    drop(server);
    let port = crate::support::daemon::free_port();
    let words: Vec<String> = [
        file.to_str().unwrap(),
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    let daemon = crate::support::daemon::Daemon::start("redis-server", folder, &words);
    daemon.wait_for_port(port);
    let server = Server { _daemon: daemon, port };
    server.user("starr-change", "change-secret", "~* +@all");
    let world = server.world();
    world.done("settings.set", &setting("maxmemory-samples", "7")).await;
    world.done("settings.keep", &[]).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("maxmemory-samples 7"), "{text}");
}

#[tokio::test]
async fn keys_get_an_expiry_and_lose_it_again() {
    let server = Server::start();
    let world = server.world();
    let mut admin = server.admin();
    server.set("user:1", "x");
    let () = admin.set_ex("user:2", "x", 7200).unwrap();
    let keys = world.read("keys.scan", &[("pattern", Value::text("user:*"))]).await;
    let args = [("keys", keys.clone()), ("after", Value::Duration(60_000_000_000))];
    let done = world.done("keys.expire", &args).await;
    assert_eq!(field(&done, "changed"), Value::Int(2));
    for key in ["user:1", "user:2"] {
        let left: i64 = admin.ttl(key).unwrap();
        assert!((50..=60).contains(&left), "{key}: {left}");
    }
    // Sent again: what has changed since it was looked at is left alone.
    let again = world.done("keys.expire", &args).await;
    assert_eq!(field(&again, "moved_on"), Value::Int(2));
    let back = world.done("keys.restore_expiry", &[("keys", keys)]).await;
    assert_eq!(field(&back, "changed"), Value::Int(2));
    assert_eq!(admin.ttl::<_, i64>("user:1").unwrap(), -1);
    assert!((7100..=7201).contains(&admin.ttl::<_, i64>("user:2").unwrap()));
    let keys = world.read("keys.scan", &[]).await;
    let (why, _) = world
        .refused("keys.expire", &[("keys", keys), ("after", Value::Duration(0))])
        .await;
    assert_eq!(why, Reason::Unparsable);
}

#[tokio::test]
async fn only_keys_that_are_what_was_looked_at_are_deleted() {
    let server = Server::start();
    let world = server.world_with(", database: 2");
    let mut admin = server.admin();
    redis::cmd("SELECT").arg(2).exec(&mut admin).unwrap();
    for key in ["a", "b", "c"] {
        let () = admin.set(key, "x").unwrap();
    }
    let keys = world.read("keys.scan", &[]).await;
    assert_eq!(items(&keys).len(), 3);
    let () = admin.del("a").unwrap();
    let () = admin.del("b").unwrap();
    let () = admin.rpush("b", "another thing").unwrap();
    let left = world.read("keys.remaining", &[("keys", keys.clone())]).await;
    assert_eq!(items(&left).len(), 1);
    let done = world.done("keys.delete", &[("keys", keys.clone())]).await;
    assert_eq!(field(&done, "changed"), Value::Int(1));
    assert_eq!(field(&done, "already_gone"), Value::Int(1));
    assert_eq!(field(&done, "moved_on"), Value::Int(1));
    assert!(admin.exists::<_, bool>("b").unwrap());
    let mut list = keys.as_list().unwrap().clone();
    list.truncated = true;
    let (why, _) = world
        .refused("keys.delete", &[("keys", Value::List(std::sync::Arc::new(list)))])
        .await;
    assert_eq!(why, Reason::Truncated);
}

#[tokio::test]
async fn clients_are_ended_one_by_one() {
    let server = Server::start();
    let world = server.world();
    let mut other = server.admin();
    redis::cmd("CLIENT")
        .arg("SETNAME")
        .arg("leaky")
        .exec(&mut other)
        .unwrap();
    let listed = items(&world.read("clients.list", &[]).await);
    let leaky: Vec<Value> = listed
        .into_iter()
        .filter(|client| field(client, "name") == Value::text("leaky"))
        .collect();
    assert_eq!(leaky.len(), 1);
    let args = [("clients", Value::list(leaky))];
    assert_eq!(field(&world.done("clients.end", &args).await, "changed"), Value::Int(1));
    assert!(redis::cmd("PING").exec(&mut other).is_err());
    assert_eq!(
        field(&world.done("clients.end", &args).await, "already_gone"),
        Value::Int(1)
    );
}
