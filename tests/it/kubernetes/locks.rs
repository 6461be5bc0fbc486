//! The lock of a namespace: one holder, who is shown; taken over, expired, given back; and nothing sent without it.

use super::server::{Fault, Server};
use super::world::{Ban, World};
use super::{call, deployment, done, gate, gate_of, provider, read, text};
use serde_json::{Value as Json, json};
use starr::provider::gate::Gate;
use starr::provider::lock::{Held, Holder, NotTaken};
use starr::provider::policy::Target;
use starr::provider::{Outcome, Provider};
use starr::value::{Reason, Value};

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/starr";
const NODES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/starr-nodes";

fn holder(who: &str) -> Holder {
    Holder {
        run: "260814-0912-kolu".to_owned(),
        who: who.to_owned(),
        host: "laptop7".to_owned(),
    }
}

async fn shop() -> Server {
    let mut world = World::new();
    world.put(WEB, deployment("web", "shop/web:1", 3));
    Server::start(world).await
}

async fn take(server: &Server, who: &str, over: Option<&str>) -> Result<Box<dyn Held>, NotTaken> {
    let provider = provider(&server.address, "");
    let taken = provider.lock("shop", &holder(who), over).await?;
    Ok(taken.expect("this provider has locks"))
}

fn held_by<T>(taken: Result<T, NotTaken>) -> starr::provider::lock::Other {
    match taken {
        Err(NotTaken::HeldBy(other)) => other,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("two runs have the lock"),
    }
}

fn spec(server: &Server, path: &str) -> Json {
    server.world().object(path)["spec"].clone()
}

#[tokio::test]
async fn the_second_run_is_told_who_has_it_and_may_take_it_over() {
    let server = shop().await;
    let first = take(&server, "maria", None).await.unwrap();
    first.still_held().await.unwrap();
    let other = held_by(take(&server, "jonas", None).await);
    assert_eq!(other.shown, "run 260814-0912-kolu maria@laptop7");
    assert!(other.since.ends_with("UTC"), "{}", other.since);
    // The holder has said since that it is alive: a take-over is of the holding, not of its last word.
    first.still_held().await.unwrap();
    let second = take(&server, "jonas", Some(&other.token)).await.unwrap();
    assert_eq!(spec(&server, LEASE)["leaseTransitions"], 1);
    let lost = first.still_held().await.unwrap_err();
    assert_eq!(lost.reason, Reason::Denied);
    // Giving back what is lost takes nothing from whoever has it.
    drop(first);
    second.still_held().await.unwrap();
    // A token of a holding that is over takes nothing over.
    held_by(take(&server, "maria", Some(&other.token)).await);
    drop(second);
    assert_eq!(spec(&server, LEASE)["holderIdentity"], "");
    take(&server, "maria", None).await.unwrap();
}

#[tokio::test]
async fn of_two_that_want_it_at_once_one_has_it() {
    for _ in 0..5 {
        let server = shop().await;
        let wanted = ["a", "b", "c", "d"].map(|who| take(&server, who, None));
        let taken = futures::future::join_all(wanted).await;
        let have = taken.iter().filter(|taken| taken.is_ok()).count();
        assert_eq!(have, 1);
    }
}

#[tokio::test]
async fn a_holder_that_fell_silent_loses_it_by_the_clock_of_the_server() {
    let server = shop().await;
    let first = take(&server, "maria", None).await.unwrap();
    // This machine's clock does not count: only the server's moves.
    server.world().clock_ahead = 60;
    held_by(take(&server, "jonas", None).await);
    server.world().clock_ahead = 80;
    let second = take(&server, "jonas", None).await.unwrap();
    assert!(first.still_held().await.is_err());
    second.still_held().await.unwrap();
}

#[tokio::test]
async fn a_server_whose_clock_runs_ahead_gives_a_lock_that_is_respected() {
    let server = shop().await;
    server.world().clock_ahead = 7200;
    let first = take(&server, "maria", None).await.unwrap();
    held_by(take(&server, "jonas", None).await);
    first.still_held().await.unwrap();
}

#[tokio::test]
async fn a_lease_of_somebody_else_is_respected_and_one_that_is_free_is_taken() {
    let server = shop().await;
    let lease = |holder: &str| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "starr", "namespace": "shop"},
               "spec": {"holderIdentity": holder}})
    };
    server.world().put(LEASE, lease("release-bot"));
    let other = held_by(take(&server, "maria", None).await);
    assert_eq!(other.shown, "`release-bot`, which is no run of starr");
    server.world().put(LEASE, lease(""));
    take(&server, "maria", None).await.unwrap();
}

async fn change(gate: &Gate, to: i64) -> Outcome {
    let workload = read(gate, "workloads.get", &[("name", Value::text("web"))]).await;
    gate.change(&call("scale.set", &[("workload", workload), ("to", Value::Int(to))]))
        .await
}

fn target() -> Target {
    Target {
        provider: "kubernetes".to_owned(),
        name: "shop".to_owned(),
    }
}

#[tokio::test]
async fn whoever_has_lost_it_sends_nothing() {
    let server = shop().await;
    let (one, two) = (gate(&server.address), gate(&server.address));
    one.lock(&target(), &holder("maria"), None).await.unwrap();
    done(change(&one, 4).await);
    let NotTaken::HeldBy(other) = two.lock(&target(), &holder("jonas"), None).await.unwrap_err() else {
        panic!("it is held");
    };
    two.lock(&target(), &holder("jonas"), Some(&other.token)).await.unwrap();
    let before = server.world().changes().len();
    match change(&one, 5).await {
        Outcome::Failed(unknown) => assert!(unknown.detail.contains("nothing was sent"), "{unknown}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.world().changes().len(), before);
    done(change(&two, 5).await);
    // A lease that was deleted is nobody's.
    server.world().objects.remove(LEASE);
    assert!(matches!(change(&two, 6).await, Outcome::Failed(_)));
}

#[tokio::test]
async fn a_lease_that_cannot_be_asked_is_no_lock() {
    let server = shop().await;
    server.world().bans.push(Ban {
        user: "admin",
        verb: "create",
        resource: "leases",
    });
    let Err(NotTaken::Unclear(unknown)) = take(&server, "maria", None).await else {
        panic!("it was taken");
    };
    assert_eq!(unknown.reason, Reason::Denied);
    server.world().bans.clear();
    // The lease was written and the answer lost: it is ours all the same.
    *server.fault.lock().unwrap() = Some(Fault::BreakAfterChange);
    let held = take(&server, "maria", None).await.unwrap();
    held.still_held().await.unwrap();
    assert!(text_of(&server).ends_with("260814-0912-kolu maria@laptop7"));
}

fn text_of(server: &Server) -> String {
    spec(server, LEASE)["holderIdentity"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_nodes_of_a_cluster_have_a_lock_of_their_own_and_a_cluster_may_have_none() {
    let server = shop().await;
    let provider_of_nodes = provider(&server.address, "");
    let held = provider_of_nodes.lock("c", &holder("maria"), None).await.unwrap();
    assert!(held.is_some());
    assert!(
        spec(&server, NODES)["holderIdentity"]
            .as_str()
            .unwrap()
            .contains("maria")
    );
    let elsewhere = provider(&server.address, ", lock_namespace: ops");
    elsewhere.lock("c", &holder("jonas"), None).await.unwrap();
    let ops = NODES.replace("/default/", "/ops/");
    assert!(server.world().objects.contains_key(&ops));
    let without = provider(&server.address, ", lock: false");
    assert!(without.lock("shop", &holder("jonas"), None).await.unwrap().is_none());
    assert!(without.lock("nowhere", &holder("jonas"), None).await.unwrap().is_none());
    let gate = gate_of(without);
    let workload = read(&gate, "workloads.get", &[("name", Value::text("web"))]).await;
    assert_eq!(text(&workload, "name"), "web");
}
