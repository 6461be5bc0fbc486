//! Secrets of a cluster as a source of credentials.

use super::server::{Fault, Server};
use super::world::{Ban, World};
use base64::Engine as _;
use serde_json::json;
use starr::providers::kubernetes::{config::Config, credentials::Source};
use starr::secrets::{ClusterSecret, Keeper, SecretSource, reach, redact};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECRET: &str = "swordfish-of-the-cluster";

fn cluster(address: &str) -> Source {
    let text = format!("clusters:\n  c: {{ server: '{address}', connect_seconds: 2 }}\n");
    Source::new(&serde_yaml::from_str::<Config>(&text).unwrap())
}

async fn server() -> Server {
    let mut world = World::new();
    let data = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    world.seed(
        "/api/v1/namespaces/shop/secrets/orders",
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders", "namespace": "shop"},
               "data": {"password": data(&format!("{SECRET}\n")), "empty": "", "large": data(&"x".repeat(65 * 1024)),
                        "odd": "%%%", "bytes": "/////w=="}}),
    );
    Server::start(world).await
}

/// Reading waits for the server: not on the thread on which the server of the test works.
async fn read(wanted: ClusterSecret, source: Source) -> Result<String, String> {
    tokio::task::spawn_blocking(move || {
        source
            .read(&wanted)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    })
    .await
    .unwrap()
}

fn wanted(cluster: &str, namespace: &str, secret: &str, key: &str) -> ClusterSecret {
    ClusterSecret {
        cluster: cluster.to_owned(),
        namespace: namespace.to_owned(),
        secret: secret.to_owned(),
        key: key.to_owned(),
    }
}

#[tokio::test]
async fn a_key_of_a_secret_of_a_cluster_is_a_source() {
    let server = server().await;
    reach::<ClusterSecret>(Arc::new(cluster(&server.address)));
    let named = |key: &str| -> SecretSource {
        serde_yaml::from_str(&format!(
            "{{ kubernetes: c, namespace: shop, secret: orders, key: {key} }}"
        ))
        .unwrap()
    };
    let read = async |key: &str| {
        let source = named(key);
        tokio::task::spawn_blocking(move || source.read()).await.unwrap()
    };
    // The line break at its end is not part of it, as in a file; and no output lets it out from then on.
    assert_eq!(read("password").await.unwrap().expose(), SECRET);
    assert_eq!(redact(&format!("it is {SECRET}")), "it is (secret)");
    for (key, words) in [
        ("empty", "is empty"),
        ("large", "larger than 64 KiB"),
        ("odd", "not as a cluster sends it"),
        ("bytes", "is not text"),
        ("nothing", "has no such key"),
    ] {
        let refusal = read(key).await.unwrap_err();
        assert!(
            refusal.contains(words) && refusal.contains(&format!("the key `{key}` of the secret `orders`")),
            "{key}: {refusal}"
        );
        assert!(!refusal.contains(SECRET) && !refusal.contains("%%%"), "{refusal}");
    }
    // Nothing but this one secret was asked for, and nothing was changed.
    let world = server.world();
    assert!(
        world
            .seen
            .iter()
            .all(|line| line.contains("GET") && line.contains("/secrets/orders")),
        "{:?}",
        world.seen
    );
    assert!(world.changes().is_empty());
}

#[tokio::test]
async fn a_secret_of_a_cluster_that_cannot_be_had_says_why_and_keeps_nobody_waiting() {
    let server = server().await;
    let refusal = async |wanted: ClusterSecret| read(wanted, cluster(&server.address)).await.unwrap_err();
    let other = refusal(wanted("d", "shop", "orders", "password")).await;
    assert!(other.contains("no such cluster"), "{other}");
    let missing = refusal(wanted("c", "shop", "none", "password")).await;
    assert!(missing.contains("not found"), "{missing}");
    for (namespace, secret) in [
        ("../kube-system", "orders"),
        ("shop", "orders/../other"),
        ("", "orders"),
    ] {
        let elsewhere = refusal(wanted("c", namespace, secret, "password")).await;
        assert!(elsewhere.contains("no name of the cluster"), "{elsewhere}");
    }
    server.world().bans.push(Ban {
        user: "admin",
        verb: "get",
        resource: "secrets",
    });
    let forbidden = refusal(wanted("c", "shop", "orders", "password")).await;
    assert!(forbidden.contains("forbidden"), "{forbidden}");
    server.world().bans.clear();
    *server.fault.lock().unwrap() = Some(Fault::Silence);
    let since = Instant::now();
    let late = refusal(wanted("c", "shop", "orders", "password")).await;
    assert!(late.contains("too long"), "{late}");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}
