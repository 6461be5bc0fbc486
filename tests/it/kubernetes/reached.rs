//! Operations over the wire that no other test needs, and manifests that several people apply.

use super::server::Server;
use super::world::World;
use super::{change, deployment, done, field, gate, read, text};
use serde_json::{Value as Json, json};
use starr::provider::Outcome;
use starr::value::{Reason, Value};

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const SETTINGS: &str = "/api/v1/namespaces/shop/configmaps/settings";

fn items(value: &Value) -> Vec<Value> {
    value
        .as_list()
        .unwrap_or_else(|| panic!("no list: {value:?}"))
        .items
        .clone()
}

fn document(value: &Value) -> Json {
    match value {
        Value::Json(json) => (**json).clone(),
        other => panic!("no document: {other:?}"),
    }
}

#[tokio::test]
async fn a_rollout_goes_on_and_an_image_and_the_pods_of_a_workload_are_read() {
    let mut world = World::new();
    world.put(WEB, deployment("web", "shop/web:1", 2));
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let web = read(&gate, "workloads.get", &[("name", Value::text("web"))]).await;
    let image = [("workload", web.clone()), ("container", Value::text("main"))];
    assert_eq!(text(&read(&gate, "images.get", &image).await, "image"), "shop/web:1");
    let none = [("workload", web.clone()), ("container", Value::text("none"))];
    let none = read(&gate, "images.get", &none).await;
    assert_eq!(none.as_unknown().unwrap().reason, Reason::Unavailable);

    let paused = done(change(&gate, "rollout.pause", &[("workload", web.clone())]).await);
    assert_eq!(field(&paused, "paused"), Value::Bool(true));
    let resumed = done(change(&gate, "rollout.resume", &[("workload", paused.clone())]).await);
    assert_eq!(field(&resumed, "paused"), Value::Bool(false));
    // Said again it is done already, and nothing is sent.
    let sent = server.world().changes().len();
    done(change(&gate, "rollout.resume", &[("workload", resumed)]).await);
    assert_eq!(server.world().changes().len(), sent);

    for (name, app, restarts) in [("web-a", "web", 1), ("web-b", "web", 4), ("other", "other", 9)] {
        let pod = json!({"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}},
            "spec": {"nodeName": "node-a", "containers": [{"name": "main", "image": "x"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "main", "ready": true, "restartCount": restarts, "state": {"running": {}}}]}});
        server.world().put(&format!("/api/v1/namespaces/shop/pods/{name}"), pod);
    }
    let pods = items(&read(&gate, "pods.of", &[("workload", web)]).await);
    let names: Vec<String> = pods.iter().map(|pod| text(pod, "name")).collect();
    assert_eq!(
        names[..2],
        ["web-b", "web-a"],
        "those with most restarts first: {names:?}"
    );
    assert!(names.iter().all(|name| name.starts_with("web-")), "{names:?}");
}

#[tokio::test]
async fn a_node_is_opened_again_and_what_its_pods_asked_for_is_added_up() {
    let mut world = World::new();
    world.controller = false;
    world.metrics = true;
    world.put(
        "/api/v1/nodes/node-a",
        json!({"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-a"}, "spec": {"unschedulable": true},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}),
    );
    let pod = |cpu: &str, phase: &str| {
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"namespace": "shop"}, "status": {"phase": phase},
            "spec": {"nodeName": "node-a", "containers": [{"name": "main", "resources": {
                "requests": {"cpu": cpu, "memory": "1Gi"}, "limits": {"memory": "2Gi"}}}]}})
    };
    world.put("/api/v1/namespaces/shop/pods/one", pod("500m", "Running"));
    world.put("/api/v1/namespaces/shop/pods/two", pod("1500m", "Pending"));
    world.put("/api/v1/namespaces/shop/pods/over", pod("3", "Succeeded"));
    let used = |cpu: Json| json!({"kind": "PodMetrics", "containers": [{"name": "main", "usage": {"cpu": "250m", "memory": "1Gi"}}, {"name": "side", "usage": {"cpu": cpu, "memory": "512Mi"}}]});
    let metrics = "/apis/metrics.k8s.io/v1beta1";
    world.put(&format!("{metrics}/namespaces/shop/pods/one"), used(json!("50m")));
    world.put(&format!("{metrics}/namespaces/shop/pods/two"), used(Json::Null));
    world.put(
        &format!("{metrics}/nodes/node-a"),
        json!({"kind": "NodeMetrics", "usage": {"cpu": "1200m", "memory": "3Gi"}}),
    );
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let node = read(&gate, "nodes.get", &[("name", Value::text("node-a"))]).await;
    assert_eq!(field(&node, "schedulable"), Value::Bool(false));
    let open = done(change(&gate, "nodes.uncordon", &[("node", node)]).await);
    assert_eq!(field(&open, "schedulable"), Value::Bool(true));

    let all = items(&read(&gate, "nodes.allocation", &[]).await);
    let [allocation] = &all[..] else { panic!("{all:?}") };
    let told = [
        "pods",
        "cpu_requested",
        "cpu_share",
        "cpu_limits",
        "memory_requested",
        "memory_share",
        "memory_limits",
    ]
    .map(|name| field(allocation, name));
    let gi = |n: i64| Value::Bytes(n << 30);
    assert_eq!(
        told,
        [
            Value::Int(2),
            Value::Float(2.0),
            Value::Ratio(0.5),
            Value::Float(0.0),
            gi(2),
            Value::Ratio(0.25),
            gi(4)
        ]
    );

    let pods = items(&read(&gate, "top.pods", &[]).await);
    assert_eq!(field(&pods[0], "cpu"), Value::Float(0.3));
    assert_eq!(field(&pods[0], "memory"), Value::Bytes((1 << 30) + (512 << 20)));
    // What one container uses is not known: then what the pod uses is not.
    assert!(field(&pods[1], "cpu").as_unknown().is_some(), "{pods:?}");
    let nodes = items(&read(&gate, "top.nodes", &[]).await);
    assert_eq!(field(&nodes[0], "cpu"), Value::Float(1.2));
    assert_eq!(field(&nodes[0], "memory"), gi(3));
    // Of what pods may have there: four processors and eight gibibytes.
    assert_eq!(field(&nodes[0], "cpu_share"), Value::ratio(0.3));
    assert_eq!(field(&nodes[0], "memory_share"), Value::ratio(0.375));
}

fn settings(data: Json) -> Vec<(&'static str, Value)> {
    let manifest = json!({"kind": "ConfigMap", "data": data});
    vec![
        ("api", Value::text("v1")),
        ("resource", Value::text("configmaps")),
        ("name", Value::text("settings")),
        ("manifest", Value::Json(std::sync::Arc::new(manifest))),
    ]
}

#[tokio::test]
async fn what_somebody_else_set_is_a_conflict_and_is_taken_over_on_order_alone() {
    let server = Server::start(World::new()).await;
    let gate = gate(&server.address);
    let made = document(&done(
        change(&gate, "objects.apply", &settings(json!({"A": "1", "B": "1"}))).await,
    ));
    assert_eq!(made["data"], json!({"A": "1", "B": "1"}));
    let map = read(&gate, "config_maps.get", &[("name", Value::text("settings"))]).await;
    assert_eq!(items(&field(&map, "keys")), [Value::text("A"), Value::text("B")]);

    // Somebody else has one of the fields from now on.
    let fields = server
        .world()
        .managers
        .get_mut(SETTINGS)
        .unwrap()
        .remove("starr")
        .unwrap();
    server
        .world()
        .managers
        .get_mut(SETTINGS)
        .unwrap()
        .insert("helm".to_owned(), fields);
    let wanted = settings(json!({"A": "2"}));
    let outcome = change(&gate, "objects.apply", &wanted).await;
    let Outcome::Failed(why) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(why.detail.contains("helm") && why.detail.contains(".data.A"), "{why}");
    assert_eq!(server.world().object(SETTINGS)["data"]["A"], "1", "nothing is done");

    let mut forced = wanted.clone();
    forced.push(("force", Value::Bool(true)));
    let now = document(&done(change(&gate, "objects.apply", &forced).await));
    assert_eq!(
        now["data"],
        json!({"A": "2", "B": "1"}),
        "the field that was not named stays"
    );
    // It is ours now: what the manifest no longer names goes.
    let now = document(&done(
        change(&gate, "objects.apply", &settings(json!({"C": "3"}))).await,
    ));
    assert_eq!(now["data"], json!({"B": "1", "C": "3"}));

    let object = server.world().object(SETTINGS).clone();
    let patch = |uid: &str| {
        let mut given = settings(json!({}));
        given.retain(|(name, _)| *name != "manifest");
        given.push(("uid", Value::text(uid)));
        given.push((
            "patch",
            Value::Json(std::sync::Arc::new(json!({"data": {"C": null, "D": "4"}}))),
        ));
        given
    };
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let other = change(&gate, "objects.patch", &patch("00000000-0000-4000-8000-999999999999")).await;
    assert!(matches!(other, Outcome::Failed(_)), "{other:?}");
    let now = document(&done(change(&gate, "objects.patch", &patch(uid)).await));
    assert_eq!(now["data"], json!({"B": "1", "D": "4"}));
}
