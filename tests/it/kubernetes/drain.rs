//! A node that is emptied: what is moved, what stays, what is refused before anything is done, and what a budget holds back.

use super::server::Server;
use super::world::World;
use super::{call, change, done, field, gate, read};
use serde_json::{Value as Json, json};
use starr::provider::gate::Gate;
use starr::provider::{Effect, Outcome};
use starr::value::Value;
use std::time::{Duration, Instant};

const NODE: &str = "/api/v1/nodes/node-a";

fn pod(name: &str, owner: Option<&str>, node: &str) -> Json {
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "x"},
            "ownerReferences": owner.map(|kind| json!([{"kind": kind, "name": "o", "uid": "o", "controller": true}]))},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "x"}]},
        "status": {"phase": "Running"},
    })
}

fn path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

/// A node with two pods of a deployment, in two namespaces, one of a daemon set, and one of the node's own files.
async fn cluster() -> (Server, Gate, Value) {
    let mut world = World::new();
    world.controller = false;
    world.put(
        NODE,
        json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"}, "spec": {}, "status": {}}),
    );
    world.put(&path("shop", "web-1"), pod("web-1", Some("ReplicaSet"), "node-a"));
    let mut other = pod("job-1", Some("Job"), "node-a");
    other["metadata"]["namespace"] = "other".into();
    world.put(&path("other", "job-1"), other);
    world.put(&path("shop", "agent-1"), pod("agent-1", Some("DaemonSet"), "node-a"));
    let mut mirror = pod("proxy-node-a", Some("Node"), "node-a");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "abc"});
    world.put(&path("shop", "proxy-node-a"), mirror);
    world.put(
        &path("shop", "elsewhere"),
        pod("elsewhere", Some("ReplicaSet"), "node-b"),
    );
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let node = read(&gate, "nodes.get", &[("name", Value::text("node-a"))]).await;
    (server, gate, node)
}

fn names(server: &Server) -> Vec<String> {
    let world = server.world();
    let pods = world.objects.keys().filter_map(|path| path.split_once("/pods/"));
    let mut names: Vec<String> = pods.map(|(_, name)| name.to_owned()).collect();
    names.sort();
    names
}

async fn drain(gate: &Gate, node: &Value, more: &[(&'static str, Value)], within: u64) -> Outcome {
    let mut given = vec![("node", node.clone())];
    given.extend(more.to_vec());
    let mut call = call("nodes.drain", &given);
    call.within = Duration::from_secs(within);
    gate.change(&call).await
}

#[tokio::test]
async fn what_can_go_goes_and_what_belongs_to_the_node_stays() {
    let (server, gate, node) = cluster().await;
    let drained = done(drain(&gate, &node, &[], 20).await);
    assert_eq!(field(&drained, "complete"), Value::Bool(true));
    let number = |name: &str| field(&drained, name);
    assert_eq!(
        (
            number("evicted"),
            number("of_daemon_sets"),
            number("of_the_node"),
            number("remaining")
        ),
        (Value::Int(2), Value::Int(1), Value::Int(1), Value::Int(0))
    );
    assert_eq!(names(&server), ["agent-1", "elsewhere", "proxy-node-a"]);
    assert_eq!(server.world().object(NODE)["spec"]["unschedulable"], true);
    let evictions = server
        .world()
        .changes()
        .iter()
        .filter(|line| line.ends_with("/eviction"))
        .count();
    assert_eq!(evictions, 2, "nothing is deleted past a budget");
    // Said again there is nothing to do.
    let sent = server.world().changes().len();
    let again = done(drain(&gate, &node, &[], 20).await);
    assert_eq!(field(&again, "evicted"), Value::Int(0));
    assert_eq!(server.world().changes().len(), sent);
    let undo = [("node", node.clone()), ("to", Value::Bool(true))];
    let back = done(change(&gate, "nodes.set_schedulable", &undo).await);
    assert_eq!(field(&back, "schedulable"), Value::Bool(true));
}

#[tokio::test]
async fn pods_that_would_be_lost_are_refused_before_anything_is_done() {
    let (server, gate, node) = cluster().await;
    server
        .world()
        .put(&path("shop", "by-hand"), pod("by-hand", None, "node-a"));
    let why = match drain(&gate, &node, &[], 20).await {
        Outcome::Failed(unknown) => unknown.detail,
        other => panic!("{other:?}"),
    };
    assert!(
        why.contains("shop/by-hand") && why.contains("`unmanaged: true`"),
        "{why}"
    );
    let mut cache = pod("cache-0", Some("StatefulSet"), "node-a");
    cache["spec"]["volumes"] = json!([{"name": "data", "emptyDir": {}}]);
    server.world().put(&path("shop", "cache-0"), cache);
    let unmanaged = ("unmanaged", Value::Bool(true));
    let why = match drain(&gate, &node, std::slice::from_ref(&unmanaged), 20).await {
        Outcome::Failed(unknown) => unknown.detail,
        other => panic!("{other:?}"),
    };
    assert!(
        why.contains("shop/cache-0") && why.contains("`local_data: true`"),
        "{why}"
    );
    assert!(server.world().changes().is_empty(), "the node was not even closed");
    let all = [unmanaged, ("local_data", Value::Bool(true))];
    let drained = done(drain(&gate, &node, &all, 20).await);
    assert_eq!(field(&drained, "evicted"), Value::Int(4));
}

#[tokio::test]
async fn a_budget_is_heeded_to_the_end_of_the_time_and_said() {
    let (server, gate, node) = cluster().await;
    server.world().evictions = Some(1);
    let begun = Instant::now();
    let drained = done(drain(&gate, &node, &[], 9).await);
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(field(&drained, "complete"), Value::Bool(false));
    assert_eq!(
        (
            field(&drained, "evicted"),
            field(&drained, "protected"),
            field(&drained, "remaining")
        ),
        (Value::Int(1), Value::Int(1), Value::Int(0))
    );
    // The budget has room again: the same call goes on where it ended.
    server.world().evictions = None;
    let drained = done(drain(&gate, &node, &[], 20).await);
    assert_eq!(field(&drained, "complete"), Value::Bool(true));
}

#[tokio::test]
async fn pods_that_end_slowly_are_waited_for() {
    let (server, gate, node) = cluster().await;
    server.world().linger = true;
    let ends = {
        let server = server.clone();
        tokio::spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !server.world().seen.iter().any(|line| line.starts_with("WATCH ")) {
                assert!(Instant::now() < deadline, "nobody watches");
                tokio::task::yield_now().await;
            }
            server
                .world()
                .objects
                .retain(|_, object| object["metadata"]["deletionTimestamp"].is_null());
        })
    };
    let drained = done(drain(&gate, &node, &[], 20).await);
    ends.await.unwrap();
    assert_eq!(field(&drained, "complete"), Value::Bool(true));
    // And one that does not end is no success.
    server
        .world()
        .put(&path("shop", "slow"), pod("slow", Some("ReplicaSet"), "node-a"));
    let drained = done(drain(&gate, &node, &[], 9).await);
    assert_eq!(
        (field(&drained, "complete"), field(&drained, "remaining")),
        (Value::Bool(false), Value::Int(1))
    );
}

#[tokio::test]
async fn another_node_of_the_same_name_is_left_alone_and_a_refusal_halfway_is_unclear() {
    let (server, gate, node) = cluster().await;
    server.world().bans.push(super::world::Ban {
        user: "admin",
        verb: "create",
        resource: "pods",
    });
    match drain(&gate, &node, &[], 20).await {
        Outcome::Unclear(unknown) => assert!(unknown.detail.contains("takes no new pods"), "{unknown}"),
        other => panic!("{other:?}"),
    }
    server.world().bans.clear();
    server.world().objects.remove(NODE);
    server.world().put(
        NODE,
        json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"}, "spec": {}, "status": {}}),
    );
    assert!(matches!(drain(&gate, &node, &[], 20).await, Outcome::Failed(_)));
}

#[tokio::test]
async fn a_preview_says_what_stays() {
    let (server, _, node) = cluster().await;
    let before = server.world().objects.clone();
    let grant = starr::provider::gate::Grant {
        capability: "kubernetes.nodes".to_owned(),
        effects: vec![Effect::Preview],
        targets: None,
    };
    let mut gate = Gate::new(vec![grant], starr::provider::gate::Mode::DryRun);
    gate.register(std::sync::Arc::new(super::provider(&server.address, "")));
    let starr::provider::native::Previewed::Shown { lines, .. } =
        gate.preview(&call("nodes.drain", &[("node", node)])).await
    else {
        panic!("there is a preview");
    };
    assert_eq!(
        lines,
        [
            "2 pods would be moved; 1 of daemon sets and 1 of the node's own files would stay",
            "nodes/node-a: spec.unschedulable would be set to true",
            "pods/job-1: would be evicted",
            "pods/web-1: would be evicted",
        ]
    );
    assert_eq!(server.world().objects, before);
}
