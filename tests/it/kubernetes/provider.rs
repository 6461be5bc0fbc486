//! Reads and changes over the wire, against the API server of the tests.

use super::server::{Fault, Server};
use super::world::{Ban, World};
use super::{call, change, deployment, done, field, gate, gate_of, provider, read, text};
use serde_json::json;
use starr::provider::{Outcome, Provider};
use starr::providers::kubernetes::{Kubernetes, config::Config};
use starr::value::{Reason, Secret, Value};

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

async fn shop() -> Server {
    let mut world = World::new();
    world.put(WEB, deployment("web", "shop/web:1", 3));
    Server::start(world).await
}

async fn web(gate: &starr::provider::gate::Gate) -> Value {
    read(gate, "workloads.get", &[("name", Value::text("web"))]).await
}

fn reason(value: &Value) -> Reason {
    value.as_unknown().unwrap_or_else(|| panic!("known: {value:?}")).reason
}

fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(unknown) => unknown.to_string(),
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn a_stuck_rollout_is_seen_and_undone_and_the_undo_undone() {
    let server = shop().await;
    let gate = gate(&server.address);
    let healthy = web(&gate).await;
    assert_eq!(text(&healthy, "state"), "complete");
    let none = read(&gate, "rollout.previous", &[("workload", healthy.clone())]).await;
    assert_eq!(reason(&none), Reason::Missing);

    // The answer to the change itself still has the status from before it.
    let to = [
        ("workload", healthy.clone()),
        ("container", Value::text("main")),
        ("to", Value::text("shop/web:2-missing")),
        ("from", Value::text("shop/web:1")),
    ];
    let changed = done(change(&gate, "images.set", &to).await);
    assert_eq!(text(&changed, "state"), "unobserved");
    let stuck = web(&gate).await;
    assert_eq!(text(&stuck, "state"), "stuck");
    assert_eq!(text(&stuck, "reason"), "ProgressDeadlineExceeded");
    assert_eq!(field(&stuck, "available"), Value::Int(3));
    // Said again it is done already, and nothing is sent.
    let sent = server.world().changes().len();
    done(change(&gate, "images.set", &to).await);
    assert_eq!(server.world().changes().len(), sent);

    let current = read(&gate, "rollout.current", &[("workload", stuck.clone())]).await;
    let previous = read(&gate, "rollout.previous", &[("workload", stuck.clone())]).await;
    assert_eq!(field(&current, "number"), Value::Int(2));
    assert_eq!(field(&previous, "number"), Value::Int(1));
    let undo = [("workload", stuck.clone()), ("to", previous.clone())];
    done(change(&gate, "rollout.undo", &undo).await);
    let after = web(&gate).await;
    assert_eq!(text(&after, "state"), "complete");
    assert_eq!(field(&after, "revision"), Value::Int(3));
    let sent = server.world().changes().len();
    done(change(&gate, "rollout.undo", &undo).await);
    assert_eq!(server.world().changes().len(), sent, "an undo said twice is done once");

    // Its own inverse: the revision from before, whatever its number is by now.
    done(change(&gate, "rollout.undo", &[("workload", stuck), ("to", current)]).await);
    assert_eq!(text(&web(&gate).await, "state"), "stuck");
}

#[tokio::test]
async fn a_workload_that_was_made_again_is_left_alone() {
    let server = shop().await;
    let gate = gate(&server.address);
    let old = web(&gate).await;
    server.world().objects.remove(WEB);
    server.world().put(WEB, deployment("web", "shop/web:1", 3));
    let before = server.world().changes().len();
    for (path, more) in [
        ("scale.set", vec![("to", Value::Int(0))]),
        ("rollout.restart", vec![]),
        ("rollout.pause", vec![]),
        (
            "images.set",
            vec![("container", Value::text("main")), ("to", Value::text("x"))],
        ),
    ] {
        let mut given = vec![("workload", old.clone())];
        given.extend(more);
        let why = failed(change(&gate, path, &given).await);
        assert!(why.contains("another object"), "{path}: {why}");
    }
    assert_eq!(server.world().changes().len(), before);
}

#[tokio::test]
async fn scale_keeps_its_precondition_and_survives_a_race() {
    let server = shop().await;
    let gate = gate(&server.address);
    let workload = web(&gate).await;
    let set = |to: i64, from: Option<i64>| {
        vec![
            ("workload", workload.clone()),
            ("to", Value::Int(to)),
            ("from", from.map_or(Value::None, Value::Int)),
        ]
    };
    let why = failed(change(&gate, "scale.set", &set(9, Some(2))).await);
    assert!(why.contains("3 pods by now"), "{why}");
    assert!(server.world().changes().is_empty());
    server.world().races = 2;
    let scaled = done(change(&gate, "scale.set", &set(5, Some(3))).await);
    // The status is the one from before.
    assert_eq!(
        (field(&scaled, "replicas"), field(&scaled, "running")),
        (Value::Int(5), Value::Int(3))
    );
    assert_eq!(
        server.world().changes().len(),
        3,
        "refused twice as too late, then written"
    );
    let now = read(&gate, "scale.get", &[("workload", workload.clone())]).await;
    assert_eq!(field(&now, "running"), Value::Int(5));
    server.world().races = 100;
    let why = failed(change(&gate, "scale.set", &set(1, None)).await);
    assert!(why.contains("somebody else"), "{why}");
    let why = failed(change(&gate, "scale.set", &set(-1, None)).await);
    assert!(why.contains("`to`"), "{why}");
}

#[tokio::test]
async fn the_same_restart_happens_once_and_not_while_paused() {
    let server = shop().await;
    let gate = gate(&server.address);
    let workload = web(&gate).await;
    let given = [("workload", workload.clone())];
    done(change(&gate, "rollout.restart", &given).await);
    done(change(&gate, "rollout.restart", &given).await);
    assert_eq!(server.world().changes().len(), 1);
    let annotations = "/spec/template/metadata/annotations";
    let template = server.world().object(WEB).pointer(annotations).cloned().unwrap();
    assert_eq!(template["starr/restart-key"], "the-key");
    assert!(template["kubectl.kubernetes.io/restartedAt"].is_string());
    assert_eq!(field(&web(&gate).await, "revision"), Value::Int(2));

    done(change(&gate, "rollout.pause", &given).await);
    assert_eq!(text(&web(&gate).await, "state"), "paused");
    let mut other = call("rollout.restart", &given);
    other.key = Some("another".into());
    let why = failed(gate.change(&other).await);
    assert!(why.contains("paused"), "{why}");
    let resumed = done(
        change(
            &gate,
            "rollout.set_paused",
            &[("workload", workload), ("to", Value::Bool(false))],
        )
        .await,
    );
    assert_eq!(field(&resumed, "paused"), Value::Bool(false));
}

#[tokio::test]
async fn resources_and_variables_are_set_and_taken_back() {
    let server = shop().await;
    let gate = gate(&server.address);
    let workload = web(&gate).await;
    let with = |more: &[(&'static str, Value)]| {
        let mut given = vec![("workload", workload.clone()), ("container", Value::text("main"))];
        given.extend(more.to_vec());
        given
    };
    let before = read(&gate, "resources.memory", &with(&[])).await;
    let mebibytes = |number: i64| Value::Bytes(number * 1024 * 1024);
    assert_eq!(
        (field(&before, "request"), field(&before, "limit")),
        (Value::None, mebibytes(256))
    );
    let more = [("request", mebibytes(64)), ("limit", mebibytes(512))];
    let set = done(change(&gate, "resources.set_memory", &with(&more)).await);
    let container = field(&set, "containers").as_list().unwrap().items[0].clone();
    assert_eq!(field(&container, "memory_limit"), mebibytes(512));
    assert_eq!(
        field(&container, "cpu_request"),
        Value::float(0.05),
        "what is not named stays"
    );
    let written = server
        .world()
        .object(WEB)
        .pointer("/spec/template/spec/containers/0/resources")
        .cloned();
    assert_eq!(written.unwrap()["limits"], json!({"memory": "512Mi"}));
    // The same amount, written in another way by somebody else, is set already.
    server.world().objects.get_mut(WEB).unwrap()["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        ["memory"] = "524288Ki".into();
    let sent = server.world().changes().len();
    done(change(&gate, "resources.set_memory", &with(&more)).await);
    assert_eq!(server.world().changes().len(), sent);
    let back = [
        ("request", field(&before, "request")),
        ("limit", field(&before, "limit")),
    ];
    done(change(&gate, "resources.set_memory", &with(&back)).await);
    assert_eq!(read(&gate, "resources.memory", &with(&[])).await, before);

    let asked = read(&gate, "resources.cpu", &with(&[])).await;
    assert_eq!(
        (field(&asked, "request"), field(&asked, "limit")),
        (Value::float(0.05), Value::None)
    );
    let cores = [("request", Value::float(0.25)), ("limit", Value::float(2.0))];
    done(change(&gate, "resources.set_cpu", &with(&cores)).await);
    let written = server
        .world()
        .object(WEB)
        .pointer("/spec/template/spec/containers/0/resources")
        .cloned();
    let written = written.unwrap();
    assert_eq!(
        (&written["requests"]["cpu"], &written["limits"]["cpu"]),
        (&json!("250m"), &json!("2"))
    );
    let why = failed(change(&gate, "resources.set_cpu", &with(&[("limit", Value::float(-1.0))])).await);
    assert!(why.contains("number of processors"), "{why}");
    let why = failed(change(&gate, "resources.set_memory", &with(&[("limit", Value::Bytes(-1))])).await);
    assert!(why.contains("less than nothing"), "{why}");

    let name = ("name", Value::text("FEATURE"));
    let absent = read(&gate, "environment.get", &with(std::slice::from_ref(&name))).await;
    assert_eq!(field(&absent, "value"), Value::None);
    done(
        change(
            &gate,
            "environment.set",
            &with(&[name.clone(), ("to", Value::text("on"))]),
        )
        .await,
    );
    assert_eq!(
        text(
            &read(&gate, "environment.get", &with(std::slice::from_ref(&name))).await,
            "value"
        ),
        "on"
    );
    done(change(&gate, "environment.set", &with(&[name.clone(), ("to", Value::None)])).await);
    assert_eq!(read(&gate, "environment.get", &with(&[name])).await, absent);
    let level = read(&gate, "environment.get", &with(&[("name", Value::text("LEVEL"))])).await;
    assert_eq!(text(&level, "value"), "info", "the other variables stay");
}

#[tokio::test]
async fn a_k8_3_what_may_not_be_read_is_unknown_and_never_empty() {
    let server = shop().await;
    server.world().tokens.insert("t".to_owned(), "viewer");
    for (verb, resource) in [
        ("list", "pods"),
        ("list", "nodes"),
        ("get", "deployments"),
        ("list", "secrets"),
    ] {
        server.world().bans.push(Ban {
            user: "viewer",
            verb,
            resource,
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let write = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&token, text).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("t");
    let more = format!(", token: {{ file: {} }}", token.display());
    let gate = gate_of(provider(&server.address, &more));
    for (path, given) in [
        ("pods.list", vec![]),
        ("nodes.list", vec![]),
        ("secrets.list", vec![]),
        ("workloads.get", vec![("name", Value::text("web"))]),
    ] {
        let value = read(&gate, path, &given).await;
        assert_eq!(reason(&value), Reason::Denied, "{path}: {value:?}");
    }
    let may = read(
        &gate,
        "access.check",
        &[("verb", Value::text("list")), ("resource", Value::text("pods"))],
    )
    .await;
    assert_eq!(field(&may, "allowed"), Value::Bool(false));
    let other = read(&gate, "workloads.list", &[]).await;
    assert_eq!(other.as_list().unwrap().items.len(), 1);

    write("wrong");
    let wrong = gate_of(provider(&server.address, &more));
    assert_eq!(reason(&read(&wrong, "workloads.list", &[]).await), Reason::Denied);
    // A login that is refused is an answer of the server all the same.
    let reply = read(&wrong, "server", &[]).await;
    assert_eq!(text(&reply, "reply"), "answered");
}

#[tokio::test]
async fn a_k8_2_an_empty_selector_never_means_all() {
    let server = shop().await;
    let gate = gate(&server.address);
    web(&gate).await;
    let requests = server.world().seen.len();
    for (path, name) in [
        ("pods.list", "selector"),
        ("workloads.list", "selector"),
        ("logs.tail", "selector"),
        ("pods.list", "node"),
    ] {
        for empty in ["", "  "] {
            let value = read(&gate, path, &[(name, Value::text(empty))]).await;
            assert_eq!(reason(&value), Reason::Unparsable, "{path} {name}");
        }
    }
    let outcome = change(
        &gate,
        "objects.delete",
        &[
            ("api", Value::text("v1")),
            ("resource", Value::text("pods")),
            ("name", Value::text("")),
            ("uid", Value::text("u")),
        ],
    )
    .await;
    failed(outcome);
    assert_eq!(server.world().seen.len(), requests, "nothing was sent");
}

#[tokio::test]
async fn lists_are_read_in_pages_and_say_when_they_are_cut() {
    let mut world = World::new();
    for number in 0..7 {
        let path = format!("/api/v1/namespaces/shop/configmaps/settings-{number}");
        world.put(
            &path,
            json!({"metadata": {"labels": {"set": "a"}}, "data": {"n": number.to_string()}}),
        );
    }
    for number in 0..1203 {
        world.pod(&format!("/api/v1/namespaces/shop/pods/p-{number}"), "many", "i", None);
    }
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let cut = read(&gate, "config_maps.list", &[("at_most", Value::Int(3))]).await;
    let list = cut.as_list().unwrap();
    assert_eq!((list.items.len(), list.truncated), (3, true));
    let all = read(&gate, "config_maps.list", &[("at_most", Value::Int(7))]).await;
    let list = all.as_list().unwrap();
    assert_eq!((list.items.len(), list.truncated), (7, false));

    // The later pages are too old once: it begins again, and nothing stands there twice.
    server.world().expired = 1;
    let pods = read(&gate, "pods.list", &[("at_most", Value::Int(5000))]).await;
    let list = pods.as_list().unwrap();
    assert_eq!((list.items.len(), list.truncated), (1203, false));
    server.world().expired = 2;
    let lost = read(&gate, "pods.list", &[("at_most", Value::Int(5000))]).await;
    assert_eq!(reason(&lost), Reason::Unavailable);
}

#[tokio::test]
async fn a_server_without_room_is_asked_again_a_few_times() {
    let server = shop().await;
    let gate = gate(&server.address);
    server.world().busy = 2;
    assert_eq!(text(&web(&gate).await, "name"), "web");
    server.world().busy = 3;
    assert_eq!(reason(&web(&gate).await), Reason::Throttled);
}

#[tokio::test]
async fn pods_are_evicted_and_deleted_only_while_they_are_themselves() {
    let server = shop().await;
    let gate = gate(&server.address);
    web(&gate).await;
    let pods = read(&gate, "pods.list", &[("selector", Value::text("app=web"))]).await;
    assert_eq!(pods.as_list().unwrap().items.len(), 3);
    // One is another pod by now, and a budget lets one go.
    let first = text(&pods.as_list().unwrap().items[0], "name");
    let path = format!("/api/v1/namespaces/shop/pods/{first}");
    server.world().objects.remove(&path);
    server.world().pod(&path, "web", "shop/web:1", None);
    server.world().evictions = Some(1);
    let fared = done(change(&gate, "pods.evict", &[("pods", pods.clone())]).await);
    let counts = ["evicted", "already_gone", "protected"].map(|name| field(&fared, name));
    assert_eq!(counts, [Value::Int(1), Value::Int(1), Value::Int(1)]);
    assert!(
        server.world().objects.contains_key(&path),
        "a pod that only has the name is left alone"
    );

    let left = read(&gate, "pods.remaining", &[("pods", pods.clone())]).await;
    assert_eq!(left.as_list().unwrap().items.len(), 1);
    let fared = done(change(&gate, "pods.delete", &[("pods", pods)]).await);
    assert_eq!(
        [field(&fared, "deleted"), field(&fared, "already_gone")],
        [Value::Int(1), Value::Int(2)]
    );
    assert!(server.world().objects.contains_key(&path));
}

#[tokio::test]
async fn a_connection_that_breaks_behind_a_change_leaves_it_open() {
    let server = shop().await;
    let gate = gate(&server.address);
    let workload = web(&gate).await;
    *server.fault.lock().unwrap() = Some(Fault::BreakAfterChange);
    let outcome = change(&gate, "rollout.restart", &[("workload", workload)]).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
    assert_eq!(server.world().changes().len(), 1, "a change is sent once");
    // Nobody listens: nothing was done, definitely.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = super::gate(&address);
    assert_eq!(text(&read(&nobody, "server", &[]).await, "reply"), "refused");
    assert_eq!(reason(&read(&nobody, "pods.list", &[]).await), Reason::Unreachable);
    let run = change(&nobody, "jobs.run_now", &[("cron_job", Value::text("nightly"))]).await;
    assert!(matches!(run, Outcome::Failed(_)), "{run:?}");
}

#[tokio::test]
async fn a_silent_server_is_no_reply_in_time() {
    let server = shop().await;
    let gate = gate(&server.address);
    *server.fault.lock().unwrap() = Some(Fault::Silence);
    let mut asked = call("pods.list", &[]);
    asked.within = std::time::Duration::from_millis(300);
    assert_eq!(reason(&gate.read(&asked).await), Reason::Timeout);
    assert!(
        read(&gate, "pods.list", &[]).await.as_list().is_some(),
        "and the next call is answered"
    );
}

#[tokio::test]
async fn logs_are_of_every_container_and_bounded() {
    let mut world = World::new();
    let pods = "/api/v1/namespaces/shop/pods";
    for (name, waits) in [("a", false), ("b", true)] {
        world.pod(
            &format!("{pods}/{name}"),
            "web",
            "i",
            waits.then_some("ImagePullBackOff"),
        );
        let text: String = (0..10)
            .map(|n| format!("line {n} {}\n", if n % 2 == 0 { "ERROR" } else { "ok" }))
            .collect();
        world
            .logs
            .insert((format!("{pods}/{name}"), "main".to_owned()), (!waits).then_some(text));
    }
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let given = [("selector", Value::text("app=web")), ("lines", Value::Int(4))];
    let logs = read(&gate, "logs.tail", &given).await;
    let logs = &logs.as_list().unwrap().items;
    assert_eq!(logs.len(), 2);
    let lines = field(&logs[0], "lines");
    assert_eq!(lines.as_list().unwrap().items.last(), Some(&Value::text("line 9 ok")));
    assert_eq!(
        (lines.as_list().unwrap().items.len(), field(&logs[0], "cut")),
        (4, Value::Bool(true))
    );
    assert!(text(&logs[1], "note").contains("waiting to start"), "{:?}", logs[1]);

    let counted = [
        ("selector", Value::text("app=web")),
        ("containing", Value::text("ERROR")),
    ];
    let counts = read(&gate, "logs.count", &counted).await;
    let first = &counts.as_list().unwrap().items[0];
    assert_eq!(
        (field(first, "count"), field(first, "of")),
        (Value::Int(5), Value::Int(10))
    );
    assert!(!format!("{counts:?}").contains("line 1"), "lines stay where they are");
    let [_, wanted] = counted.clone();
    let counts = read(&gate, "logs.count", &[given[0].clone(), given[1].clone(), wanted]).await;
    let first = &counts.as_list().unwrap().items[0];
    assert_eq!(
        (field(first, "count"), field(first, "of")),
        (Value::AtLeast(2), Value::Int(4)),
        "what stands before the last lines was not counted"
    );
    let previous = [("pod", Value::text("a")), ("previous", Value::Bool(true))];
    let none = read(&gate, "logs.tail", &previous).await;
    assert!(text(&none.as_list().unwrap().items[0], "note").contains("not found"));
    assert_eq!(reason(&read(&gate, "logs.tail", &[]).await), Reason::Unparsable);
}

#[tokio::test]
async fn secrets_come_without_values_and_go_without_echo() {
    let mut world = World::new();
    let path = "/api/v1/namespaces/shop/secrets/db";
    world.put(
        path,
        json!({"type": "Opaque", "data": {"password": "c3dvcmRmaXNo", "user": "c2hvcA=="}}),
    );
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let name = ("name", Value::text("db"));
    let secret = read(&gate, "secrets.get", std::slice::from_ref(&name)).await;
    assert!(!format!("{secret:?}").contains("c3dvcmRmaXNo"));
    assert_eq!(field(&secret, "keys").as_list().unwrap().items.len(), 2);
    for path in ["objects.get", "objects.list"] {
        let given = [
            ("api", Value::text("v1")),
            ("resource", Value::text("secrets")),
            name.clone(),
        ];
        assert_eq!(reason(&read(&gate, path, &given).await), Reason::Denied, "{path}");
    }
    let to = Value::Secret(Secret::new(Value::text("canary")));
    done(
        change(
            &gate,
            "secrets.set",
            &[name.clone(), ("key", Value::text("password")), ("to", to.clone())],
        )
        .await,
    );
    assert_eq!(
        server.world().object(path)["data"],
        json!({"password": "Y2FuYXJ5", "user": "c2hvcA=="})
    );
    let after = read(&gate, "secrets.get", &[name]).await;
    assert_ne!(text(&after, "digest"), text(&secret, "digest"));
    let given = [("name", Value::text("absent")), ("key", Value::text("k")), ("to", to)];
    let why = failed(change(&gate, "secrets.set", &given).await);
    assert!(!why.contains("canary") && !why.contains("Y2FuYXJ5"), "{why}");
}

#[tokio::test]
async fn nodes_are_cordoned_and_config_maps_set_and_both_taken_back() {
    let mut world = World::new();
    let node = json!({
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": "n"}, "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}, "nodeInfo": {"kubeletVersion": "v1.36.2"},
                   "conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"},
                                  {"type": "MemoryPressure", "status": "True"}]},
    });
    world.put("/api/v1/nodes/n", node);
    let map = "/api/v1/namespaces/shop/configmaps/settings";
    world.put(map, json!({"data": {"A": "1", "B": "2"}}));
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let nodes = read(&gate, "nodes.list", &[]).await;
    let node = nodes.as_list().unwrap().items[0].clone();
    assert_eq!(
        (field(&node, "ready"), text(&node, "reason")),
        (Value::Bool(false), "NodeStatusUnknown".to_owned())
    );
    assert_eq!(
        field(&node, "pressure").as_list().unwrap().items,
        [Value::text("MemoryPressure")]
    );
    let cordoned = done(change(&gate, "nodes.cordon", &[("node", node.clone())]).await);
    assert_eq!(field(&cordoned, "schedulable"), Value::Bool(false));
    done(change(&gate, "nodes.cordon", &[("node", node.clone())]).await);
    assert_eq!(server.world().changes().len(), 1);
    let free = done(
        change(
            &gate,
            "nodes.set_schedulable",
            &[("node", node), ("to", Value::Bool(true))],
        )
        .await,
    );
    assert_eq!(field(&free, "schedulable"), Value::Bool(true));

    let entry = [("name", Value::text("settings")), ("key", Value::text("A"))];
    assert_eq!(text(&read(&gate, "config_maps.entry", &entry).await, "value"), "1");
    let mut set = entry.to_vec();
    set.push(("to", Value::None));
    done(change(&gate, "config_maps.set", &set).await);
    assert_eq!(server.world().object(map)["data"], json!({"B": "2"}));
    assert_eq!(
        field(&read(&gate, "config_maps.entry", &entry).await, "value"),
        Value::None
    );
    // No metrics API: that is not known, and no empty list.
    assert_eq!(reason(&read(&gate, "top.pods", &[]).await), Reason::Unavailable);
    assert_eq!(reason(&read(&gate, "top.nodes", &[]).await), Reason::Unavailable);
}

#[tokio::test]
async fn a_cron_job_runs_once_per_key() {
    let mut world = World::new();
    let template = json!({"spec": {"template": {"spec": {"containers": []}}}});
    let path = "/apis/batch/v1/namespaces/shop/cronjobs/nightly";
    world.put(path, json!({"spec": {"jobTemplate": template}}));
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let given = [("cron_job", Value::text("nightly"))];
    let one = done(change(&gate, "jobs.run_now", &given).await);
    let two = done(change(&gate, "jobs.run_now", &given).await);
    assert_eq!(text(&one, "name"), text(&two, "name"));
    assert_eq!(read(&gate, "jobs.list", &[]).await.as_list().unwrap().items.len(), 1);
}

#[tokio::test]
async fn checks_and_changes_act_as_their_own_users() {
    let server = shop().await;
    let more = ", read_as: { user: reader }, change_as: { user: changer, groups: [operators] }";
    let gate = gate_of(provider(&server.address, more));
    let workload = web(&gate).await;
    done(change(&gate, "rollout.restart", &[("workload", workload)]).await);
    let world = server.world();
    for (line, user) in world.seen.iter().zip(&world.acted) {
        let expected = if line.starts_with("PATCH") { "changer" } else { "reader" };
        assert_eq!(user, expected, "{line}");
    }
}

/// A kubeconfig that would run a program: refused, the program named and not run.
#[tokio::test]
async fn a_k8_1_a_program_of_a_kubeconfig_is_not_run_unless_it_is_allowed() {
    use std::os::unix::fs::PermissionsExt;
    let server = shop().await;
    server.world().tokens.insert("from-the-program".to_owned(), "admin");
    let folder = tempfile::tempdir().unwrap();
    let (program, marker) = (folder.path().join("login"), folder.path().join("was-run"));
    let answer = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-the-program"}}"#;
    std::fs::write(
        &program,
        format!("#!/bin/sh\ntouch {}\necho '{answer}'\n", marker.display()),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let file = folder.path().join("config");
    let exec = "{ apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never";
    std::fs::write(
        &file,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: other\n\
             clusters: [{{ name: c, cluster: {{ server: '{}' }} }}]\n\
             users:\n  - {{ name: u, user: {{ exec: {exec}, command: {} }} }} }}\n  \
             - {{ name: v, user: {{ auth-provider: {{ name: oidc, config: {{}} }} }} }}\n\
             contexts: [{{ name: prod, context: {{ cluster: c, user: u }} }}, {{ name: old, context: {{ cluster: c, user: v }} }}]\n",
            server.address,
            program.display()
        ),
    )
    .unwrap();
    let made = |context: &str, more: &str| {
        let text = format!(
            "clusters:\n  c: {{ kubeconfig: {}, context: {context}{more} }}\nnamespaces:\n  shop: {{ cluster: c }}\n",
            file.display()
        );
        Kubernetes::new(serde_yaml::from_str::<Config>(&text).unwrap()).unwrap()
    };
    let refused = gate_of(made("prod", ""));
    let value = read(&refused, "workloads.list", &[]).await;
    let why = value.as_unknown().unwrap();
    assert_eq!(why.reason, Reason::Denied);
    assert!(why.detail.contains(program.to_str().unwrap()), "{why}");
    assert!(!marker.exists(), "the program was run");
    let lines = made("prod", "").doctor().await;
    assert!(format!("{lines:?}").contains("allow_programs"), "{lines:?}");
    assert!(!marker.exists());
    let provider = read(&gate_of(made("old", "")), "workloads.list", &[]).await;
    assert!(provider.as_unknown().unwrap().detail.contains("`oidc`"), "{provider:?}");
    let context = read(&gate_of(made("absent", "")), "workloads.list", &[]).await;
    assert!(
        context.as_unknown().unwrap().detail.contains("no context `absent`"),
        "{context:?}"
    );

    let allowed = gate_of(made("prod", &format!(", allow_programs: [{}]", program.display())));
    let list = read(&allowed, "workloads.list", &[]).await;
    assert_eq!(list.as_list().map(|list| list.items.len()), Some(1), "{list:?}");
    assert!(marker.exists());
}

#[tokio::test]
async fn doctor_says_who_it_is_and_what_is_missing() {
    let server = shop().await;
    let provider = provider(&server.address, "");
    let lines = provider.doctor().await;
    assert!(
        lines[0].detail.contains("v1.36.2") && lines[0].detail.contains("`admin`"),
        "{lines:?}"
    );
    server.world().bans.push(Ban {
        user: "admin",
        verb: "list",
        resource: "events",
    });
    let lines = format!("{:?}", provider.doctor().await);
    assert!(lines.contains("may not list events"), "{lines}");
}
