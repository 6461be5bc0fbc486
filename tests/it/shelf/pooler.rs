//! `sergas/db-pool-exhausted` where no pooler is in front of the server: it is put there, and the service is led through it. Real PostgreSQL and application, the
//! API server of the tests.

use super::{Setting, book, workload};
use crate::app::Shop;
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::support::postgres::Server as Database;
use crate::support::terminal::attended;
use serde_json::{Value as Json, json};
use std::time::Duration;

const SERVICE: &str = "/apis/apps/v1/namespaces/production/deployments/api-server";
const POOLER: &str = "/apis/apps/v1/namespaces/production/deployments/pgbouncer";

fn environment(cluster: &Cluster) -> Json {
    let list = "/spec/template/spec/containers/0/env";
    cluster.world().object(SERVICE).pointer(list).unwrap().clone()
}

async fn run(refuse: bool) -> (Cluster, String) {
    // One of its own: whoever else is connected counts.
    let server: &'static Database = Box::leak(Box::new(Database::start()));
    let place = server.database().await;
    let mut world = World::new();
    world.put(SERVICE, workload("Deployment", "production", "api-server"));
    let (cluster, service) = (Cluster::start(world).await, Shop::start(&[]));
    // Two applications beside each other: neither has more than half of the connections.
    let _clients = [place.client("api-server"), place.client("jobs")];
    place
        .until("select count(*) = 2 from pg_stat_activity where application_name in ('api-server', 'jobs') and datname = current_database()")
        .await;
    let setting = Setting::new()
        .cluster(&cluster)
        .app(&service, &["sergas"])
        .database(&place, place.server.port, &["sergas"])
        .may("kubernetes.objects", "change")
        .may("kubernetes.rollout", "change")
        .may("kubernetes.environment", "change");
    let desk = setting.desk();
    let file = book("sergas/db-pool-exhausted");
    let mut words = vec!["run", &file, "--set", "steady_for=1s"];
    for answer in ["timeouts=yes", "slow=no", "unprepared=yes"] {
        words.extend(["--answer", answer]);
    }
    let code = if refuse { 3 } else { 0 };
    let seen = attended(desk.command(&words), code, move |person| {
        person.wait_within(
            "Approval needed: Run two replicas of pgbouncer in production",
            Duration::from_secs(60),
        );
        person.wait_for("Approve?");
        person.answer("yes");
        person.wait_within(
            "Approval needed: Let api-server connect through pgbouncer",
            Duration::from_secs(60),
        );
        if refuse {
            person.refuse("the release of tonight goes first");
        } else {
            person.wait_for("Approve?");
            person.answer("yes");
        }
        person.wait_within("Which change made the connections run out", Duration::from_secs(120));
        person.wait_for("may be empty");
        person.answer("");
    })
    .await;
    desk.reported(&["no_pooler", "pgbouncer.production.svc.cluster.local"]);
    (cluster, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_put_in_front_of_the_server_and_the_service_led_through_it() {
    let (cluster, seen) = run(false).await;
    let environment = environment(&cluster);
    for (name, value) in [
        ("DATABASE_HOST", "pgbouncer.production.svc.cluster.local"),
        ("DATABASE_PORT", "6432"),
        ("DATABASE_POOL_SIZE", "20"),
    ] {
        let entry = json!({"name": name, "value": value});
        assert!(
            environment.as_array().unwrap().contains(&entry),
            "{name}: {environment} {seen}"
        );
    }
    let world = cluster.world();
    assert_eq!(world.object(POOLER)["spec"]["replicas"], 2);
    // Both were set while the rollout was held, which goes on now.
    assert_ne!(world.object(SERVICE)["spec"]["paused"], true);
    assert_eq!(
        world.object(SERVICE)["status"]["conditions"][1]["reason"],
        "NewReplicaSetAvailable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_second_yes_the_pooler_is_there_and_nobody_uses_it() {
    let (cluster, seen) = run(true).await;
    assert!(!environment(&cluster).to_string().contains("DATABASE_HOST"), "{seen}");
    assert_eq!(cluster.world().object(POOLER)["spec"]["replicas"], 2);
}
