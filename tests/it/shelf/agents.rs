//! Runbooks of *GenericAiAgents* repair what is broken.

use super::{Setting, book, node, workload};
use crate::app::Shop;
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::people::Server;
use crate::support::postgres::Server as Database;
use crate::support::terminal::attended;
use serde_json::json;
use std::time::Duration;

const AGENT: &str = "/apis/apps/v1/namespaces/genericagents-prod/deployments/agent-api";
const SECRET: &str = "/api/v1/namespaces/genericagents-prod/secrets/app-secrets";
const KEY: &str = "canary-key-of-the-ai-service";

/// A cluster with the application, its configuration, and a secret without the key that it needs.
fn world() -> World {
    let mut world = World::new();
    world.put(AGENT, workload("Deployment", "genericagents-prod", "agent-api"));
    world.put("/api/v1/nodes/node-a", node());
    world.put(
        "/api/v1/namespaces/genericagents-prod/configmaps/app-config",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app-config", "namespace": "genericagents-prod"}, "data": {"a": "b"}}),
    );
    world.put(
        SECRET,
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app-secrets", "namespace": "genericagents-prod"}, "data": {"other": "c2VjcmV0"}}),
    );
    world.release(AGENT, "agent-api:1");
    world
}

/// What each pod of the application logs.
fn says(world: &mut World, line: &str) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let pods: Vec<String> = world
        .objects
        .keys()
        .filter(|path| path.contains("/pods/agent-api-"))
        .cloned()
        .collect();
    for pod in pods {
        world
            .logs
            .insert((pod, "main".to_owned()), Some(format!("{now} {line}\n")));
    }
}

/// Every pod asks for too much at once: the variable is set, and its replicas are replaced.
#[tokio::test(flavor = "multi_thread")]
async fn ai_rate_limiting_lets_each_pod_send_fewer_requests() {
    let mut world = world();
    says(&mut world, "Rate limit exceeded");
    let cluster = Cluster::start(world).await;
    let (ai, service) = (Server::new(|_| Some((200, json!({"data": []})))), Shop::start(&[]));
    let setting = Setting::new()
        .cluster(&cluster)
        .app(&service, &["genericai"])
        .endpoints(&[("ai", &ai.url())])
        .may("kubernetes.environment", "change");
    let desk = setting.desk();
    let file = book("genericai/ai-rate-limiting");
    let mut words = vec!["run", &file];
    for set in ["ai=ai", "few=1", "steady_for=1s"] {
        words.extend(["--set", set]);
    }
    for answer in ["failing=yes", "repeated=no", "no_backoff=no"] {
        words.extend(["--answer", answer]);
    }
    let seen = attended(desk.command(&words), 0, |person| {
        person.approve("Let each pod of agent-api send 2 requests at once");
        person.wait_within("RESOLVED", Duration::from_secs(120));
        person.pass("Who used up the limit");
    })
    .await;
    assert!(seen.contains("too_many_at_once"), "{seen}");
    let environment = "/spec/template/spec/containers/0/env";
    let there = cluster.world().object(AGENT).pointer(environment).unwrap().clone();
    assert!(
        there
            .as_array()
            .unwrap()
            .contains(&json!({"name": "AI__MaxConcurrentRequests", "value": "2"})),
        "{there}"
    );
    desk.reported(&["Rate limit exceeded", "Reached: yes."]);
}

/// A key of a secret is missing: it is written there without being shown, and the pods are replaced.
#[tokio::test(flavor = "multi_thread")]
async fn app_fails_to_start_writes_the_key_that_is_missing() {
    let place = Database::shared().database().await;
    let mut world = world();
    for (path, pod) in &mut world.objects {
        if path.contains("/pods/agent-api-") {
            let status = &mut pod["status"]["containerStatuses"][0];
            status["restartCount"] = 4.into();
            status["ready"] = false.into();
            status["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        }
    }
    says(
        &mut world,
        "Application failed to start: Configuration key 'AI:ApiKey' not found",
    );
    let cluster = Cluster::start(world).await;
    let seen = cluster.clone();
    let health = Server::new(move |_| {
        let there = seen.world().object(SECRET)["data"]["ai-api-key"].is_string();
        Some((if there { 200 } else { 503 }, json!({})))
    });
    let ai = Server::new(|_| Some((401, json!({}))));
    let setting = Setting::new();
    let key = setting.secret("key", KEY);
    let setting = setting
        .cluster(&cluster)
        .database(&place, place.server.port, &["agents_production"])
        .endpoints(&[("health", &health.url()), ("ai", &ai.url())])
        .section("secrets", &format!("      openai: {{ file: {key} }}"))
        .may("kubernetes.secrets", "change")
        .may("kubernetes.rollout", "change");
    let desk = setting.desk();
    let file = book("genericai/app-fails-to-start");
    let mut words = vec!["run", &file];
    for set in ["health=health", "ai=ai", "ai_key=openai", "steady_for=1s"] {
        words.extend(["--set", set]);
    }
    let seen = attended(desk.command(&words), 0, |person| {
        person.approve("Write ai-api-key into the secret app-secrets, and restart agent-api");
        person.wait_within("RESOLVED", Duration::from_secs(120));
        person.pass("What changed between the last start that worked");
    })
    .await;
    assert!(seen.contains("key_missing"), "{seen}");
    let data = cluster.world().object(SECRET)["data"].clone();
    assert_eq!(
        (data["other"].as_str(), data["ai-api-key"].is_string()),
        (Some("c2VjcmV0"), true)
    );
    let report = desk.reported(&["CrashLoopBackOff", "Reached: yes."]);
    assert!(!seen.contains(KEY) && !report.contains(KEY));
}
