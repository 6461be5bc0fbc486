//! Waiting is watching: until it is there, to the end of the time, past a connection that ends and a version that is gone.

use super::server::Server;
use super::world::{Ban, World};
use super::{call, change, deployment, done, field, gate, gate_of, read, recordings, text};
use serde_json::json;
use starr::provider::gate::Gate;
use starr::providers::kubernetes::{Kubernetes, config::Config};
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const JOB: &str = "/apis/batch/v1/namespaces/shop/jobs/migrate";

/// A deployment that the controller has not looked at.
async fn unobserved() -> (Server, Gate, Value) {
    let mut world = World::new();
    world.put(WEB, deployment("web", "shop/web:1", 3));
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let workload = read(&gate, "workloads.get", &[("name", Value::text("web"))]).await;
    server.world().controller = false;
    let release = [
        ("workload", workload.clone()),
        ("container", Value::text("main")),
        ("to", Value::text("shop/web:2")),
    ];
    done(change(&gate, "images.set", &release).await);
    (server, gate, workload)
}

async fn wait(gate: &Gate, workload: &Value, within: Duration) -> Value {
    let mut call = call("rollout.wait", &[("workload", workload.clone())]);
    call.within = within;
    gate.read(&call).await
}

fn watches(server: &Server) -> usize {
    server
        .world()
        .seen
        .iter()
        .filter(|line| line.starts_with("WATCH "))
        .count()
}

/// Lets the controller go on as soon as somebody watches.
fn when_watched(
    server: &Server,
    number: usize,
    then: impl FnOnce(&mut World) + Send + 'static,
) -> tokio::task::JoinHandle<()> {
    let server = server.clone();
    tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(20);
        while watches(&server) < number {
            assert!(Instant::now() < deadline, "nobody watches");
            tokio::task::yield_now().await;
        }
        then(&mut server.world());
    })
}

#[tokio::test]
async fn a_rollout_is_waited_for_by_one_watch() {
    let (server, gate, workload) = unobserved().await;
    server.world().bookmarks = true;
    server.world().seen.clear();
    let goes_on = when_watched(&server, 1, |world| world.controller = true);
    let after = wait(&gate, &workload, Duration::from_secs(20)).await;
    goes_on.await.unwrap();
    assert_eq!(text(&after, "state"), "complete");
    let asked = server.world().seen.clone();
    let kind = "/apis/apps/v1/namespaces/shop/deployments";
    assert_eq!(
        asked,
        [format!("GET {kind}"), format!("WATCH {kind}")],
        "nothing is asked again and again"
    );
}

#[tokio::test]
async fn a_watch_that_breaks_and_one_that_is_too_old_are_begun_again() {
    let (server, gate, workload) = unobserved().await;
    server.world().breaks = 1;
    server.world().too_old = 1;
    server.world().seen.clear();
    // Broken, too old, listed again, watched.
    let goes_on = when_watched(&server, 3, |world| world.controller = true);
    let after = wait(&gate, &workload, Duration::from_secs(20)).await;
    goes_on.await.unwrap();
    assert_eq!(text(&after, "state"), "complete");
    let asked = server.world().seen.clone();
    let lists = asked.iter().filter(|line| line.starts_with("GET ")).count();
    assert_eq!((lists, watches(&server)), (2, 3), "{asked:?}");
}

#[tokio::test]
async fn at_the_end_of_the_time_it_is_said_how_things_are() {
    let (server, gate, workload) = unobserved().await;
    let begun = Instant::now();
    let after = wait(&gate, &workload, Duration::from_secs(6)).await;
    assert_eq!(text(&after, "state"), "unobserved");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    // The last word is not what the watch knew, but what is so now.
    let last = server.world().seen.last().unwrap().clone();
    assert!(last.starts_with("GET "), "{last}");
}

#[tokio::test]
async fn what_is_stuck_gone_or_another_one_is_not_waited_for() {
    let (server, gate, workload) = unobserved().await;
    let goes_on = when_watched(&server, 1, |world| {
        world.objects.get_mut(WEB).unwrap()["spec"]["template"]["spec"]["containers"][0]["image"] =
            "web:3-missing".into();
        world.controller = true;
    });
    let after = wait(&gate, &workload, Duration::from_secs(20)).await;
    goes_on.await.unwrap();
    assert_eq!(text(&after, "state"), "stuck");
    server.world().controller = false;
    server.world().objects.get_mut(WEB).unwrap()["metadata"]["generation"] = 99.into();
    let watched = watches(&server);
    let goes_on = when_watched(&server, watched + 1, |world| {
        world.objects.remove(WEB);
    });
    let gone = wait(&gate, &workload, Duration::from_secs(20)).await;
    goes_on.await.unwrap();
    assert!(gone.as_unknown().unwrap().detail.contains("gone"), "{gone:?}");
    server.world().put(WEB, deployment("web", "shop/web:1", 3));
    let other = wait(&gate, &workload, Duration::from_secs(20)).await;
    assert!(
        other.as_unknown().unwrap().detail.contains("another object"),
        "{other:?}"
    );
}

#[tokio::test]
async fn whoever_may_not_watch_is_told_so_and_does_not_ask_for_ever() {
    let (server, gate, workload) = unobserved().await;
    server.world().bans.push(Ban {
        user: "admin",
        verb: "watch",
        resource: "deployments",
    });
    let refused = wait(&gate, &workload, Duration::from_secs(20)).await;
    assert_eq!(refused.as_unknown().unwrap().reason, Reason::Denied);
    assert_eq!(watches(&server), 1);
}

#[tokio::test]
async fn a_job_is_waited_for_until_it_has_ended() {
    let mut world = World::new();
    world.put(
        JOB,
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "status": {"active": 1}}),
    );
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let job = read(&gate, "jobs.list", &[]).await.as_list().unwrap().items[0].clone();
    let goes_on = when_watched(&server, 1, |world| {
        let mut ended = world.object(JOB).clone();
        ended["status"] = json!({"failed": 3, "conditions": [
            {"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded"},
            {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]});
        world.put(JOB, ended);
    });
    let after = read(&gate, "jobs.wait", &[("job", job.clone())]).await;
    goes_on.await.unwrap();
    assert_eq!(text(&after, "reason"), "BackoffLimitExceeded");
    assert_eq!(field(&after, "complete"), Value::Bool(false));
    // It has ended already: nothing is watched.
    let watched = watches(&server);
    read(&gate, "jobs.wait", &[("job", job)]).await;
    assert_eq!(watches(&server), watched);
}

#[tokio::test]
async fn pods_and_other_objects_are_waited_for_until_they_are_gone() {
    let mut world = World::new();
    world.linger = true;
    world.put(WEB, deployment("web", "shop/web:1", 2));
    let server = Server::start(world).await;
    let gate = gate(&server.address);
    let pods = read(&gate, "pods.list", &[]).await;
    assert_eq!(pods.as_list().unwrap().items.len(), 2);
    done(change(&gate, "pods.evict", &[("pods", pods.clone())]).await);
    let goes_on = when_watched(&server, 1, |world| {
        world.objects.retain(|path, _| !path.contains("/pods/"))
    });
    let left = read(&gate, "pods.wait_gone", &[("pods", pods.clone())]).await;
    goes_on.await.unwrap();
    assert!(left.as_list().unwrap().items.is_empty());

    let uid = server.world().object(WEB)["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let object = |within: u64| {
        let mut call = call(
            "objects.wait_gone",
            &[
                ("api", Value::text("apps/v1")),
                ("resource", Value::text("deployments")),
                ("name", Value::text("web")),
                ("uid", Value::text(uid.as_str())),
            ],
        );
        call.within = Duration::from_secs(within);
        call
    };
    assert_eq!(gate.read(&object(6)).await, Value::Bool(false), "it is still there");
    let watched = watches(&server);
    let goes_on = when_watched(&server, watched + 1, |world| {
        world.objects.remove(WEB);
    });
    assert_eq!(gate.read(&object(20)).await, Value::Bool(true));
    goes_on.await.unwrap();
}

/// The lines that a real server sent through a rollout, through one that got stuck, and to whoever came from a version that was gone.
#[tokio::test]
async fn recorded_watches_end_where_the_rollout_did() {
    let Some(exchanges) = recordings::exchanges() else {
        return;
    };
    let of = |name: &str| {
        exchanges
            .iter()
            .find(|exchange| exchange.name.starts_with(name))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let lines =
        |name: &str| -> Vec<serde_json::Value> { of(name).stream.iter().map(|line| line["line"].clone()).collect() };
    let too_old = lines("watch/012-");
    assert_eq!(too_old[0]["type"], "ERROR");
    for (name, first, state, updated) in [
        ("watch/002-", None, "complete", 2),
        ("rollout-stalled/003-", None, "stuck", 1),
        ("watch/002-", Some(too_old.clone()), "complete", 2),
    ] {
        let mut rest = lines(name);
        let before = rest.remove(0)["object"].clone();
        let path = format!(
            "{}/{}",
            of(name).request.path,
            before["metadata"]["name"].as_str().unwrap()
        );
        let namespace = before["metadata"]["namespace"].as_str().unwrap().to_owned();
        let mut world = World::new();
        world.controller = false;
        world.seed(&path, before.clone());
        let relisted = first.is_some();
        world.canned.extend(first);
        world.canned.push(rest);
        let server = Server::start(world).await;
        let config = format!(
            "clusters: {{ c: {{ server: '{}' }} }}\nnamespaces: {{ shop: {{ cluster: c, namespace: {namespace} }} }}\n",
            server.address
        );
        let gate = gate_of(Kubernetes::new(serde_yaml::from_str::<Config>(&config).unwrap()).unwrap());
        let workload = read(
            &gate,
            "workloads.get",
            &[("name", Value::text(before["metadata"]["name"].as_str().unwrap()))],
        )
        .await;
        assert_eq!(text(&workload, "state"), "unobserved", "{name}");
        let after = wait(&gate, &workload, Duration::from_secs(20)).await;
        assert_eq!(
            (text(&after, "state").as_str(), field(&after, "updated")),
            (state, Value::Int(updated)),
            "{name}"
        );
        assert_eq!(watches(&server), 1 + usize::from(relisted), "{name}");
    }
}
