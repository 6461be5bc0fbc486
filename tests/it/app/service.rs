//! Every call against the service of the tests, and through programs.

use super::{Shop, read, shop, world};
use crate::support::gated::{Gated, field, items, reason};
use starr::provider::{HealthState, Outcome, Provider};
use starr::providers::app::App;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;

fn name(text: &str) -> (&'static str, Value) {
    ("name", Value::text(text))
}

#[tokio::test]
async fn what_a_service_says_is_of_our_names_and_units() {
    let service = Shop::start(&["--open-breaker", "payments"]);
    let world = service.world();
    let ready = world.read("ready", &[]).await;
    assert_eq!(field(&ready, "reply"), Value::variant("answered"));
    let parts = items(&world.read("components", &[]).await);
    assert_eq!(field(&parts[0], "healthy"), Value::Bool(true));
    assert_eq!(field(&parts[1], "detail"), Value::text("429"));
    let breakers = items(&world.read("breakers.list", &[]).await);
    let payments = &breakers[0];
    assert_eq!(field(payments, "name"), Value::text("payments"));
    assert_eq!(field(payments, "state"), Value::variant("open"));
    assert_eq!(field(payments, "error_rate"), Value::Ratio(0.935));
    assert_eq!(field(payments, "retry_in"), Value::Duration(41_500_000_000));
    assert_eq!(field(&breakers[1], "retry_in"), Value::None);
    let queue = world.read("queues.get", &[name("mail")]).await;
    assert_eq!(
        (field(&queue, "used"), field(&queue, "name")),
        (Value::Ratio(0.95), Value::text("mail"))
    );
    assert_eq!(items(&world.read("queues.list", &[]).await).len(), 1);
    let pool = world.read("pool.get", &[]).await;
    assert_eq!(field(&pool, "used"), Value::Ratio(0.9));
    let memory = world.read("memory", &[]).await;
    assert_eq!(field(&memory, "resident"), Value::Bytes(512 * 1024 * 1024));
    assert_eq!(field(&memory, "used"), Value::None);
    let limits = world.read("limits", &[]).await;
    assert_eq!(field(&limits, "requests_left"), Value::Int(7));
    let threads = world.read("threads", &[]).await;
    assert_eq!(
        (field(&threads, "free"), field(&threads, "most")),
        (Value::Int(4), Value::None)
    );
    let workflow = world.read("workflow", &[("id", Value::text("w/1"))]).await;
    assert_eq!(
        (field(&workflow, "id"), field(&workflow, "state")),
        (Value::text("w/1"), Value::variant("failed"))
    );
    assert_eq!(items(&field(&workflow, "failed_steps")).len(), 1);
    let errors = items(
        &world
            .read("errors", &[("over", Value::Duration(30 * 60 * SECOND))])
            .await,
    );
    assert_eq!(field(&errors[0], "count"), Value::Int(30));
}

/// The process of the service itself: what fills it, where its threads are, how often garbage was collected.
#[tokio::test]
async fn a_process_tells_of_its_own_inside() {
    let service = Shop::start(&[]);
    let world = service.world();
    let heap = items(&world.read("heap", &[]).await);
    let functions = heap.iter().find(|kind| field(kind, "name") == Value::text("function"));
    let functions = functions.expect("a process of Python has functions");
    let (Value::Int(objects), Value::Bytes(size)) = (field(functions, "objects"), field(functions, "size")) else {
        panic!("{functions:?}");
    };
    assert!(
        objects > 1_000 && size > objects * 50,
        "{objects} objects, {size} bytes"
    );
    let watched = [("over", Value::Duration(SECOND / 5))];
    let profile = items(&world.read("profile", &watched).await);
    let reading = profile
        .iter()
        .find(|spot| field(spot, "function") == Value::text("end"));
    let Some(Value::Duration(reading)) = reading.map(|spot| field(spot, "cumulative")) else {
        panic!("a thread waits for the end of the input: {profile:?}");
    };
    assert!(reading >= SECOND / 20, "{reading} ns of 0.2 s");
    let collector = world.read("collector", &watched).await;
    let (Value::Bytes(heap), Value::Int(young)) = (field(&collector, "heap"), field(&collector, "generation_0")) else {
        panic!("{collector:?}");
    };
    assert!(heap > 100_000 && young > 0, "{collector:?}");
    assert_eq!(field(&collector, "paused"), Value::None);
}

#[tokio::test]
async fn what_a_service_does_not_offer_or_does_not_say_is_unknown() {
    let service = Shop::start(&["--broken"]);
    let config = service
        .config("")
        .replace("      heap: ", "      #")
        .replace("get: /threads", "get: /garbage");
    let world = super::world(&config);
    for (path, arguments, expected, said) in [
        ("heap", vec![], Reason::Unavailable, "does not offer"),
        (
            "breakers.get",
            vec![name("nobody")],
            Reason::Missing,
            "there is no nobody",
        ),
        ("breakers.get", vec![name("..")], Reason::Unparsable, "part of a path"),
        ("threads", vec![], Reason::Unparsable, "not JSON"),
        ("latency", vec![], Reason::Missing, "404"),
    ] {
        let (why, detail) = reason(&world.read(path, &arguments).await);
        assert!(why == expected && detail.contains(said), "{path}: {why:?} {detail}");
    }
    // A service that is not well answers, with a status that says so.
    let ready = world.read("ready", &[]).await;
    assert_eq!(field(&ready, "ok"), Value::Bool(false));
    let gone = super::world(&service.config(""));
    drop(service);
    let ready = gone.read("ready", &[]).await;
    assert_eq!(field(&ready, "reply"), Value::variant("refused"));
    let (why, _) = reason(&gone.read("pool.get", &[]).await);
    assert_eq!(why, Reason::Unreachable);
}

#[tokio::test]
async fn hostile_replies_are_data_or_unknown() {
    let service = Shop::start(&[]);
    let config = service.config("").replace("get: /breakers,", "get: /hostile,");
    let breakers = items(&world(&config).read("breakers.list", &[]).await);
    assert_eq!(field(&breakers[0], "name"), Value::text("\u{1b}[2J{run.id}"));
    for unknown in ["state", "failures"] {
        assert_eq!(reason(&field(&breakers[0], unknown)).0, Reason::Unparsable);
    }
}

#[tokio::test]
async fn orders_are_carried_out_and_say_what_is_now() {
    let service = Shop::start(&["--open-breaker", "payments"]);
    let world = service.world();
    let open = world.read("breakers.get", &[name("payments")]).await;
    let closed = world.done("breakers.reset", &[("breaker", open.clone())]).await;
    assert_eq!(field(&closed, "state"), Value::variant("closed"));
    // The service counts versions: an order about what is no longer so is refused by it.
    let (_, detail) = world.refused("breakers.reset", &[("breaker", open)]).await;
    assert!(detail.contains("412"), "{detail}");
    let settings = [
        name("payments"),
        ("threshold", Value::Int(10)),
        ("recovery", Value::Duration(120 * SECOND)),
        ("half_open", Value::None),
    ];
    let set = world.done("breakers.configure", &settings).await;
    assert_eq!(
        (field(&set, "threshold"), field(&set, "recovery")),
        (Value::Int(10), Value::Duration(120 * SECOND))
    );
    let scaled = world
        .done("queues.scale", &[name("mail"), ("workers", Value::Int(50))])
        .await;
    assert_eq!(field(&scaled, "workers"), Value::Int(50));
    // Only while it is what it was.
    let (why, detail) = world
        .refused(
            "queues.scale",
            &[name("mail"), ("workers", Value::Int(60)), ("from", Value::Int(10))],
        )
        .await;
    assert!(why == Reason::Denied && detail.contains("has changed"), "{detail}");
    world
        .done(
            "queues.scale",
            &[name("mail"), ("workers", Value::Int(10)), ("from", Value::Int(50))],
        )
        .await;
    let larger = world
        .done("queues.resize", &[name("mail"), ("most", Value::Int(5000))])
        .await;
    assert_eq!(field(&larger, "used"), Value::Ratio(0.19));
    let pressed = world
        .done("queues.press", &[name("mail"), ("pressure", Value::Bool(true))])
        .await;
    assert_eq!(field(&pressed, "pressure"), Value::Bool(true));
    // It answers nothing, and is asked.
    let pool = world
        .done("pool.resize", &[("least", Value::Int(20)), ("most", Value::Int(100))])
        .await;
    assert_eq!(
        (field(&pool, "most"), field(&pool, "used")),
        (Value::Int(100), Value::Ratio(0.18))
    );
    world
        .refused("pool.resize", &[("least", Value::Int(20)), ("most", Value::Int(1000))])
        .await;
    let logger = ("logger", Value::text("app"));
    let level = world
        .done("log.set", &[logger.clone(), ("level", Value::text("DEBUG"))])
        .await;
    assert_eq!(field(&level, "logger"), Value::text("app"));
    let back = [logger, ("level", Value::text("INFO")), ("from", Value::text("WARNING"))];
    world.refused("log.set", &back).await;
    let out = world
        .done(
            "maintenance.set",
            &[("active", Value::Bool(true)), ("message", Value::text("back soon"))],
        )
        .await;
    assert_eq!(
        (field(&out, "active"), field(&out, "message")),
        (Value::Bool(true), Value::text("back soon"))
    );
    let fallback = [
        name("search"),
        ("active", Value::Bool(true)),
        ("strategy", Value::text("cached")),
        ("ttl", Value::Duration(600 * SECOND)),
    ];
    let fallback = world.done("fallbacks.set", &fallback).await;
    assert_eq!(field(&fallback, "ttl"), Value::Duration(600 * SECOND));
    let pattern = ("pattern", Value::text("user:*"));
    let kept = world
        .done("cache.keep", &[pattern, ("ttl", Value::Duration(3600 * SECOND))])
        .await;
    assert_eq!(field(&kept, "ttl"), Value::Duration(3600 * SECOND));
    let warmed = world.done("cache.warm", &[("keys", Value::text("popular"))]).await;
    assert_eq!(field(&warmed, "keys"), Value::Int(12));
    let slower = [
        ("service", Value::text("search")),
        ("timeout", Value::Duration(5 * SECOND)),
    ];
    let slower = world.done("timeouts.set", &slower).await;
    assert_eq!(field(&slower, "timeout"), Value::Duration(5 * SECOND));
}

#[tokio::test]
async fn a_change_is_only_failed_when_the_service_says_so() {
    let service = Shop::start(&[]);
    let half = service.config("").replace("post: /pool", "post: /broken");
    let resize = [("least", Value::Int(1)), ("most", Value::Int(2))];
    let outcome = world(&half).change("pool.resize", &resize).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(why) if why.detail.contains("half of it")),
        "{outcome:?}"
    );
    let silent = Shop::start(&["--silent"]);
    let silent = silent.world();
    let call = silent.call("pool.resize", &resize, Duration::from_millis(500));
    let outcome = silent.gate.change(&call).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(why) if why.reason == Reason::Timeout),
        "{outcome:?}"
    );
    let config = service.config("");
    drop(service);
    world(&config).refused("pool.resize", &resize).await;
}

#[tokio::test]
async fn a_token_is_sent_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let token = crate::support::daemon::secret(folder.path(), "token", "swordfish-4711");
    let service = Shop::start(&["--token", "swordfish-4711"]);
    let with = service.config(&format!(", bearer: {{ file: {} }}", token.display()));
    assert_eq!(field(&world(&with).read("pool.get", &[]).await, "most"), Value::Int(20));
    let (why, detail) = reason(&service.world().read("pool.get", &[]).await);
    assert!(why == Reason::Denied && !detail.contains("swordfish"), "{detail}");
    let app = App::new(&read(&with), &Default::default()).unwrap();
    let lines = format!("{:?}", app.doctor().await);
    assert!(lines.contains("app shop") && !lines.contains("swordfish"), "{lines}");
    let app = App::new(&read(&service.config("")), &Default::default()).unwrap();
    assert_eq!(app.doctor().await[0].state, HealthState::Bad);
}

/// The same calls, where the application offers scripts.
#[tokio::test]
async fn programs_are_calls_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("pool"), "20").unwrap();
    let scripts = [
        (
            "pool",
            format!("#!/bin/sh\nread most < {at}/pool\necho \"{{\\\"in_use\\\": 18, \\\"size\\\": $most}}\"\n"),
        ),
        (
            "resize",
            format!("#!/bin/sh\ntest $2 -le 200 || exit 3\necho $2 > {at}/pool\n"),
        ),
    ];
    for (name, text) in &scripts {
        crate::exec::script(&folder.path().join(format!("{name}.sh")), text);
    }
    let programs: starr::providers::exec::config::Config = serde_yaml::from_str(&format!(
        "programs:
  pool: {{ program: {at}/pool.sh, does: read, output: json, schema: {{ in_use: Int, size: Int }}, confine: {{ reads: [{at}] }} }}
  resize:
    program: {at}/resize.sh
    does: change
    repeatable: true
    exit: {{ no: [3] }}
    arguments: [{{ name: size, type: Int, flag: --size }}]
    confine: {{ writes: [{at}] }}
"
    ))
    .unwrap();
    let calls = "services: { shop: { calls: { pool.get: { program: pool, fields: { active: in_use, most: size } }, pool.resize: { program: \
                 resize, send: { size: most } } } } }";
    let app = App::new(&serde_yaml::from_str(calls).unwrap(), &programs).unwrap();
    let world = Gated::new(Arc::new(app), vec![("on", shop())]);
    assert_eq!(field(&world.read("pool.get", &[]).await, "used"), Value::Ratio(0.9));
    let resized = world
        .done("pool.resize", &[("least", Value::Int(1)), ("most", Value::Int(60))])
        .await;
    assert_eq!(field(&resized, "used"), Value::Ratio(0.3));
    let (_, detail) = world
        .refused("pool.resize", &[("least", Value::Int(1)), ("most", Value::Int(600))])
        .await;
    assert!(detail.contains("did nothing"), "{detail}");
    // What is bound wrongly is told before anything runs.
    for (bound, said) in [
        ("{ pool.get: { program: resize } }", "changes something"),
        ("{ pool.resize: { program: pool } }", "only looks"),
        ("{ pool.get: { program: nobody } }", "not declared"),
    ] {
        let config = serde_yaml::from_str(&format!("services: {{ shop: {{ calls: {bound} }} }}")).unwrap();
        let problem = App::new(&config, &programs).err().unwrap();
        assert!(problem.contains(said), "{problem}");
    }
}
