//! What a change would do, said by the server, which stores nothing; and no guess where it does not say.

use super::incident::{BOOK, Desk};
use super::server::Server;
use super::world::{Ban, World};
use super::{call, deployment, gate_of, provider, read};
use crate::support::desk::on_a_thread;
use serde_json::json;
use starr::provider::Effect;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::native::Previewed;
use starr::value::{Secret, Value};
use std::sync::Arc;

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const SECRET: &str = "/api/v1/namespaces/shop/secrets/api";

/// A gate as a plan has it: reads and previews, and no change.
fn planning(address: &str) -> Gate {
    let grant = Grant {
        capability: "kubernetes".to_owned(),
        effects: vec![Effect::Read, Effect::Probe, Effect::Preview],
        targets: None,
    };
    let mut gate = Gate::new(vec![grant], Mode::DryRun);
    gate.register(Arc::new(provider(address, "")));
    gate
}

async fn shop() -> (Server, Gate, Value) {
    let mut world = World::new();
    world.put(WEB, deployment("web", "shop/web:1", 3));
    world.put(
        SECRET,
        json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "api"}, "data": {"key": "b2xk"}}),
    );
    let server = Server::start(world).await;
    let gate = planning(&server.address);
    let workload = read(&gate, "workloads.get", &[("name", Value::text("web"))]).await;
    (server, gate, workload)
}

fn shown(previewed: Previewed) -> Vec<String> {
    match previewed {
        Previewed::Shown { how, lines } => {
            assert_eq!(how, "server-side dry run");
            lines
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_server_says_what_would_change_and_stores_nothing() {
    let (server, gate, workload) = shop().await;
    let before = server.world().objects.clone();
    let main = ("container", Value::text("main"));
    for (path, more, wanted) in [
        (
            "scale.set",
            vec![("to", Value::Int(5))],
            "deployments/web: spec.replicas 3 would be 5",
        ),
        (
            "images.set",
            vec![main.clone(), ("to", Value::text("shop/web:2"))],
            "deployments/web: spec.template.spec.containers[main].image shop/web:1 would be shop/web:2",
        ),
        (
            "resources.set_memory",
            vec![main.clone(), ("limit", Value::Bytes(1 << 30))],
            "deployments/web: spec.template.spec.containers[main].resources.limits.memory 256Mi would be 1Gi",
        ),
        (
            "environment.set",
            vec![
                main.clone(),
                ("name", Value::text("LEVEL")),
                ("to", Value::text("debug")),
            ],
            "deployments/web: spec.template.spec.containers[main].env[LEVEL].value would change",
        ),
        (
            "rollout.pause",
            vec![],
            "deployments/web: spec.paused would be set to true",
        ),
    ] {
        let mut given = vec![("workload", workload.clone())];
        given.extend(more);
        let lines = shown(gate.preview(&call(path, &given)).await);
        assert!(lines.iter().any(|line| line == wanted), "{path}: {lines:?}");
    }
    let same = [("workload", workload.clone()), ("to", Value::Int(3))];
    let lines = shown(gate.preview(&call("scale.set", &same)).await);
    assert_eq!(lines, ["nothing would be sent: it is so already"]);
    let pods = read(&gate, "pods.list", &[]).await;
    let lines = shown(gate.preview(&call("pods.evict", &[("pods", pods.clone())])).await);
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with("pods/web-") && lines[0].ends_with("would be evicted"),
        "{lines:?}"
    );
    server.world().evictions = Some(0);
    let lines = shown(gate.preview(&call("pods.evict", &[("pods", pods.clone())])).await);
    assert_eq!(lines, ["3 may not go now: a disruption budget has nothing left"]);
    let lines = shown(gate.preview(&call("pods.delete", &[("pods", pods)])).await);
    assert!(lines[0].ends_with("would be deleted"), "{lines:?}");
    assert_eq!(server.world().objects, before, "nothing was stored");
}

#[tokio::test]
async fn a_secret_is_not_fetched_and_not_shown() {
    let (server, gate, _) = shop().await;
    let given = [
        ("name", Value::text("api")),
        ("key", Value::text("key")),
        ("to", Value::Secret(Secret::new(Value::text("canary-7")))),
    ];
    server.world().seen.clear();
    let lines = shown(gate.preview(&call("secrets.set", &given)).await);
    assert_eq!(lines, ["secrets/api: would be written; what stands in it is not shown"]);
    assert_eq!(server.world().seen, [format!("PATCH {SECRET}")]);
    assert_eq!(server.world().object(SECRET)["data"]["key"], "b2xk");
    let mut made = given.clone();
    made[0] = ("name", Value::text("other"));
    shown(gate.preview(&call("secrets.create", &made)).await);
    assert_eq!(
        server
            .world()
            .objects
            .keys()
            .filter(|path| path.contains("/secrets/"))
            .count(),
        1
    );
}

#[tokio::test]
async fn what_the_server_does_not_say_is_unknown() {
    let (server, gate, workload) = shop().await;
    let given = [("workload", workload.clone()), ("to", Value::Int(5))];
    let unknown = |previewed: Previewed| match previewed {
        Previewed::Unknown(unknown) => unknown.to_string(),
        other => panic!("{other:?}"),
    };
    server.world().no_dry_run = true;
    let why = unknown(gate.preview(&call("scale.set", &given)).await);
    assert!(why.contains("does not support dry run"), "{why}");
    server.world().no_dry_run = false;
    server.world().bans.push(Ban {
        user: "admin",
        verb: "update",
        resource: "deployments",
    });
    let why = unknown(gate.preview(&call("scale.set", &given)).await);
    assert!(why.contains("this login may not"), "{why}");
    // Without a grant of its own nothing is asked, and a program has no rehearsal.
    let sent = server.world().seen.len();
    let without = gate_of(provider(&server.address, ""));
    assert!(matches!(
        without.preview(&call("scale.set", &given)).await,
        Previewed::NotGranted(_)
    ));
    let pod = read(&gate, "pods.list", &[]).await.as_list().unwrap().items[0].clone();
    let words = [("pod", pod), ("argv", Value::list(vec![Value::text("/bin/true")]))];
    assert_eq!(gate.preview(&call("pods.exec", &words)).await, Previewed::NoPreview);
    assert_eq!(server.world().seen.len(), sent + 1, "only the list of pods");
}

/// The command, from the runbook to the lines.
#[tokio::test]
async fn a_plan_shows_what_the_server_said() {
    let desk = Desk::with("").await;
    let mut command = desk.command(&["plan", BOOK, "--live"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // The screen is narrow: lines are wrapped.
    let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("server-side dry run: deployments/web: spec.template.spec.containers[main].image shop/web:2-missing would be shop/web:1"),
        "{seen}"
    );
    assert_eq!(desk.image(), "shop/web:2-missing");
}
