//! The rules that `starr grants` prints are enough, and every one of them is needed: the server itself says so.

use super::{Server, World, cache};
use starr::provider::lock::{Holder, NotTaken};
use starr::provider::native::Use;
use starr::provider::{Effect, Outcome, Provider};
use starr::value::{Reason, Value};
use std::time::Duration;

/// Every operation with arguments that use all that it may need.
fn calls() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let text = Value::text;
    let short = Value::Duration(50_000_000);
    let key = |name: &str, expires: Value| {
        Value::record(
            "Key",
            vec![
                ("server", cache()),
                ("name", Value::text(name)),
                ("kind", Value::variant("string")),
                ("size", Value::Bytes(1)),
                ("expires", expires),
            ],
        )
    };
    // One that is there and never expires, one that does, one that has gone.
    let later = Value::Time(jiff::Timestamp::now() + Duration::from_secs(3600));
    let keys = || {
        Value::list(vec![
            key("user:1", Value::None),
            key("user:2", later.clone()),
            key("user:gone", Value::None),
        ])
    };
    let client = Value::record(
        "Client",
        vec![
            ("server", cache()),
            ("id", Value::Int(999_999)),
            ("address", text("10.0.0.1:1")),
        ],
    );
    let pattern = ("pattern", text("user:*"));
    vec![
        ("ping", vec![]),
        ("version", vec![]),
        ("info", vec![("section", text("memory"))]),
        ("memory", vec![]),
        ("statistics", vec![]),
        ("window", vec![("over", short.clone())]),
        ("clients", vec![]),
        ("clients.list", vec![]),
        ("clients.end", vec![("clients", Value::list(vec![client]))]),
        ("replication", vec![]),
        ("persistence", vec![]),
        ("slow_log", vec![]),
        ("latency", vec![("over", short)]),
        ("keys.count", vec![]),
        ("keys.scan", vec![pattern.clone()]),
        ("keys.largest", vec![pattern.clone(), ("at_least", Value::Bytes(1))]),
        ("keys.expiry", vec![pattern]),
        ("keys.remaining", vec![("keys", keys())]),
        (
            "keys.expire",
            vec![("keys", keys()), ("after", Value::Duration(60_000_000_000))],
        ),
        ("keys.restore_expiry", vec![("keys", keys())]),
        ("keys.delete", vec![("keys", keys())]),
        ("settings.get", vec![("name", text("maxmemory"))]),
        ("settings.set", vec![("name", text("maxmemory")), ("to", text("200mb"))]),
        ("settings.keep", vec![]),
    ]
}

fn reset(server: &Server) {
    let mut admin = server.admin();
    redis::cmd("FLUSHALL").exec(&mut admin).unwrap();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("100mb")
        .exec(&mut admin)
        .unwrap();
    redis::cmd("SET").arg("user:1").arg("x").exec(&mut admin).unwrap();
    redis::cmd("SET")
        .arg("user:2")
        .arg("x")
        .arg("EX")
        .arg(3600)
        .exec(&mut admin)
        .unwrap();
}

/// Makes the call, behind the lock where it is a change. True when nothing of it was refused for want of a right.
async fn allowed(world: &World, path: &str, args: &[(&str, Value)]) -> bool {
    let call = world.call(path, args, Duration::from_secs(20));
    if call.operation.effect != Effect::Change {
        let value = world.gate.read(&call).await;
        if path == "ping" {
            // A refusal is an answer to whether it is there; the login is not refused, the command is.
            return true;
        }
        let text = format!("{value:?}");
        return !text.contains("NOPERM");
    }
    let holder = Holder::default();
    let held = match world.provider.lock("cache", &holder, None).await {
        Ok(held) => held.expect("there are locks"),
        Err(NotTaken::Unclear(why)) => {
            assert!(why.detail.contains("NOPERM") || why.detail.contains("script"), "{why}");
            return false;
        }
        Err(other) => panic!("{other:?}"),
    };
    let outcome = world.gate.change(&call).await;
    drop(held);
    match outcome {
        Outcome::Done(_) => true,
        Outcome::Failed(why) | Outcome::Unclear(why) => {
            // Without a file of its own the server has nothing to write to; it says so after looking at the rights.
            why.reason != Reason::Denied && why.detail.contains("config file")
        }
    }
}

#[tokio::test]
async fn every_rule_that_is_printed_is_needed_and_together_they_are_enough() {
    let server = Server::start();
    let mut proved = 0;
    for (path, args) in calls() {
        let world = server.world();
        let operation = world.operation(path);
        let uses = [Use {
            operation: operation.clone(),
            parts: Vec::new(),
            args: std::iter::once(("server".into(), Some(cache())))
                .chain(args.iter().map(|(name, value)| ((*name).into(), Some(value.clone()))))
                .collect(),
        }];
        let privileges = world.provider.privileges(&uses).unwrap();
        let (user, password) = if operation.effect == Effect::Change {
            ("starr-change", "change-secret")
        } else {
            ("starr-read", "read-secret")
        };
        let rules: Vec<String> = privileges
            .iter()
            .map(|privilege| {
                let rule = privilege
                    .statement
                    .strip_prefix(&format!("ACL SETUSER {user} "))
                    .unwrap_or_else(|| panic!("{path}: {}", privilege.statement));
                // Whoever prints a list of keys that is only known in the run puts the pattern in.
                rule.replace("PATTERN", "user:*")
            })
            .collect();
        assert!(!rules.is_empty(), "{path}");
        reset(&server);
        server.user(user, password, &rules.join(" "));
        assert!(allowed(&world, path, &args).await, "{path} is refused with {rules:?}");
        for missing in &rules {
            if path == "ping" {
                continue;
            }
            reset(&server);
            let less: Vec<&str> = rules
                .iter()
                .filter(|rule| *rule != missing)
                .map(String::as_str)
                .collect();
            server.user(user, password, &less.join(" "));
            let gives_back = missing == "+del";
            let works = allowed(&world, path, &args).await;
            if gives_back {
                // It is needed after the change, when the lock is given back.
                let left: bool = redis::Commands::exists(&mut server.admin(), "starr:lock").unwrap();
                assert!(left, "{path} does not need {missing}");
            } else {
                assert!(!works, "{path} does not need {missing}");
            }
            proved += 1;
        }
    }
    assert!(proved >= 90, "only {proved} rules were looked at");
}

#[tokio::test]
async fn the_command_prints_them() {
    let desk = crate::support::desk::Desk::new(
        "    redis: { servers: { cache: { host: 127.0.0.1, change: {} } } }\n    grants:\n      - { capability: redis, effects: [read], all: true }\n",
    );
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/cache-full.starr");
    let (text, code) = desk.run(&["grants", book, "--to", "acl"]);
    assert_eq!(code, Some(0), "{text}");
    for rule in [
        "ACL SETUSER starr-read +info",
        "ACL SETUSER starr-change +config|set",
        "ACL SETUSER starr-change ~starr:lock",
    ] {
        assert!(text.contains(rule), "{rule} is missing in\n{text}");
    }
    assert!(!text.contains("FLUSH") && !text.contains("+@all"), "{text}");
}
