//! Scenarios say what servers answer; here they answer themselves, and every question of a runbook must understand them.

use super::{Setting, node, workload};
use crate::app::Shop;
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::prometheus::Metrics;
use crate::redis::Server as Cache;
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::postgres::{Server as Database, run};
use serde_json::json;

async fn cluster() -> Cluster {
    let mut world = World::new();
    world.metrics = true;
    for (namespace, names) in [
        ("production", &["api-server", "api-gateway", "external-service"][..]),
        ("genericagents-prod", &["agent-api"]),
    ] {
        for name in names {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
            world.put(&path, workload("Deployment", namespace, name));
            let pod = format!("/api/v1/namespaces/{namespace}/pods/{name}-1");
            world.pod(&pod, name, &format!("{name}:1"), None);
        }
    }
    world.put(
        "/apis/apps/v1/namespaces/production/statefulsets/redis",
        workload("StatefulSet", "production", "redis"),
    );
    world.put(
        "/api/v1/namespaces/genericagents-prod/secrets/app-secrets",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "app-secrets", "namespace": "genericagents-prod"}, "data": {"ai-api-key": "c2VjcmV0"}}),
    );
    world.put("/api/v1/nodes/node-a", node());
    Cluster::start(world).await
}

/// What a rehearsal of this runbook could not answer, and why; without what only a person knows and without metrics that nobody sends.
fn unknown(desk: &Desk, book: &str, set: &[&str]) -> Vec<String> {
    let file = super::book(book);
    let mut words = vec!["run", &file, "--dry-run", "--unattended"];
    words.extend(set.iter().flat_map(|one| ["--set", one]));
    let (screen, _) = desk.run(&words);
    assert!(
        screen.contains("DRY RUN") && screen.contains("the record: starr report"),
        "{book}: {screen}"
    );
    let mut found: Vec<String> = screen
        .lines()
        .filter(|line| line.contains("  unknown: "))
        .filter(|line| !line.contains("this run is unattended") && !line.contains("the query matches nothing"))
        .map(|line| line.trim().to_owned())
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Of each runbook the questions that may stay open here, each with the words that say why.
const OPEN: [(&str, &[&str], &[&str]); 11] = [
    // What walks through all keys is asked for only where somebody allows it.
    (
        "sergas/cache-performance",
        &["steady_for=1s"],
        &["no key was looked up", "the operator did not allow this read"],
    ),
    ("sergas/circuit-breaker-stuck-open", &["breaker=search"], &[]),
    ("sergas/db-pool-exhausted", &["steady_for=1s"], &[]),
    ("sergas/high-error-rates", &["breaker=search"], &["no earlier revision"]),
    ("sergas/memory-leak", &[], &[]),
    (
        "sergas/slow-response-times",
        &["external=search", "answers=user:*"],
        &["no key was looked up"],
    ),
    ("genericai/ai-rate-limiting", &["ai=ai"], &[]),
    ("genericai/app-fails-to-start", &["health=health", "ai=ai"], &[]),
    ("genericai/db-pool-exhaustion", &[], &[]),
    ("genericai/rollback", &["health=health"], &["no earlier revision"]),
    (
        "genericai/triage",
        &["health=health", "ai=ai"],
        &["an empty list has no average"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_question_understands_what_real_servers_answer() {
    let place = Database::shared().database().await;
    run(
        &mut place.admin().await,
        "create extension pg_stat_statements; create table error_logs (message text, created_at timestamptz); grant select on error_logs to starr_read;
         insert into error_logs values ('no route 7', now()), ('no route 8', now()), ('late', now())",
    )
    .await;
    let _service = place.client("api-server");
    place
        .until("select count(*) = 1 from pg_stat_activity where application_name = 'api-server' and datname = current_database()")
        .await;
    let cluster = cluster().await;
    let shop = Shop::start(&["--open-breaker", "search"]);
    let (cache, metrics) = (Cache::start(), Metrics::start());
    let here = format!("http://127.0.0.1:{}", shop.port);
    let (health, ai) = (format!("{here}/health"), format!("{here}/limits"));
    let setting = Setting::new()
        .second(OTHER, "team_lead")
        .cluster(&cluster)
        .database(&place, place.server.port, &["sergas", "agents_production"])
        .cache(&cache)
        .metrics(&metrics)
        .app(&shop, &["sergas", "genericai"])
        .endpoints(&[
            ("external-service", &here),
            ("sergas-api", &health),
            ("health", &health),
            ("ai", &ai),
        ]);
    let desk = setting.desk();
    let seen = on_a_thread(move || OPEN.map(|(book, set, open)| (book, unknown(&desk, book, set), open))).await;
    for (book, found, open) in seen {
        let explained = |line: &String| open.iter().any(|words| line.contains(words));
        let unexplained: Vec<&String> = found.iter().filter(|line| !explained(line)).collect();
        assert!(unexplained.is_empty(), "{book}: {unexplained:#?}");
        for words in open {
            assert!(
                found.iter().any(|line| line.contains(words)),
                "{book}: `{words}` is not open any more: {found:#?}"
            );
        }
    }
}
