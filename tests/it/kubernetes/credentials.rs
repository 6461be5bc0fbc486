//! Secrets of a cluster as a source of credentials.

use super::server::{Fault, Server};
use super::world::{Ban, World};
use super::{gate_of, provider};
use crate::support::daemon::file;
use crate::tls::{Nginx, authority, files, made, room};
use base64::Engine as _;
use serde_json::json;
use starr::providers::kubernetes::{Kubernetes, config::Config, credentials::Source};
use starr::secrets::{ClusterSecret, Keeper, SecretSource, reach, redact};
use starr::value::{Reason, Secret, Value};
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

/// A run may last longer than its token or its kubeconfig: what is written there during the run is used from then on.
#[tokio::test]
async fn credentials_that_change_during_a_run_are_used_from_then_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    let (token, kubeconfig) = (folder.path().join("token"), folder.path().join("config"));
    let write = |secret: &str| {
        let config = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{ name: c, cluster: {{ server: '{}' }} }}]\n\
             users: [{{ name: u, user: {{ token: {secret} }} }}]\ncontexts: [{{ name: prod, context: {{ cluster: c, user: u }} }}]\n",
            server.address
        );
        for (path, text) in [(&token, secret), (&kubeconfig, &config)] {
            // Another file in its place, as whoever renews it does.
            let new = folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
            std::fs::rename(&new, path).unwrap();
        }
    };
    let accepts = |secret: &str| server.world().tokens = [(secret.to_owned(), "admin")].into();
    write("the-token-of-the-morning");
    accepts("the-token-of-the-morning");
    let named = format!(
        "clusters:\n  c: {{ kubeconfig: {}, context: prod }}\nnamespaces:\n  shop: {{ cluster: c }}\n",
        kubeconfig.display()
    );
    let by_file = Kubernetes::new(serde_yaml::from_str::<Config>(&named).unwrap()).unwrap();
    let by_token = provider(&server.address, &format!(", token: {{ file: {} }}", token.display()));
    for gate in [gate_of(by_token), gate_of(by_file)] {
        write("the-token-of-the-morning");
        accepts("the-token-of-the-morning");
        let listed = async || super::read(&gate, "secrets.list", &[]).await;
        assert!(listed().await.as_list().is_some(), "{:?}", listed().await);
        accepts("the-token-of-the-evening");
        let refused = listed().await;
        assert_eq!(refused.as_unknown().unwrap().reason, Reason::Denied, "{refused:?}");
        write("the-token-of-the-evening");
        assert!(listed().await.as_list().is_some(), "{:?}", listed().await);
    }
    assert_eq!(redact("it is the-token-of-the-evening"), "it is (secret)");
}

/// A cluster behind TLS of its own authority that knows people by their certificates: nginx looks at them and hands on what it is asked. One that
/// has ended is refused, and the one that takes its place is used.
#[tokio::test]
async fn a_certificate_that_is_renewed_during_a_run_is_used_from_then_on() {
    let server = server().await;
    let folder = room();
    let ours = authority("The cluster's own");
    let ca = file(&folder, "ca.crt", &ours.pem).display().to_string();
    files(&folder, "server", &made(&ours, "server", &["localhost"], (-1, 90)));
    files(&folder, "client", &made(&ours, "client", &["client"], (-40, -2)));
    let shown = folder.display().to_string();
    let block = format!(
        "ssl_certificate {shown}/server.crt; ssl_certificate_key {shown}/server.key; ssl_verify_client on; ssl_client_certificate {ca};
         location /api {{ proxy_pass {}; }}",
        server.address
    );
    let nginx = Nginx::start(folder.clone(), &[block]);
    let kubeconfig = file(
        &folder,
        "config",
        &format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{ name: c, cluster: {{ server: 'https://localhost:{}', certificate-authority: {ca} }} }}]\n\
             users: [{{ name: u, user: {{ client-certificate: {shown}/client.crt, client-key: {shown}/client.key }} }}]\n\
             contexts: [{{ name: prod, context: {{ cluster: c, user: u }} }}]\n",
            nginx.ports[0]
        ),
    );
    let text = format!(
        "clusters:\n  c: {{ kubeconfig: {}, context: prod }}\nnamespaces:\n  shop: {{ cluster: c }}\n",
        kubeconfig.display()
    );
    let gate = gate_of(Kubernetes::new(serde_yaml::from_str::<Config>(&text).unwrap()).unwrap());
    let ended = super::read(&gate, "secrets.list", &[]).await;
    assert!(ended.as_unknown().is_some(), "{ended:?}");
    assert!(server.world().seen.is_empty(), "it does not get as far as that");
    files(&folder, "client", &made(&ours, "client", &["client"], (-1, 90)));
    let listed = super::read(&gate, "secrets.list", &[]).await;
    assert!(listed.as_list().is_some(), "{listed:?}");
    // A change goes the same way, and the certificate of somebody else does not.
    let set = [
        ("name", Value::text("orders")),
        ("key", Value::text("password")),
        ("to", Value::Secret(Secret::new(Value::text("another")))),
    ];
    super::done(super::change(&gate, "secrets.set", &set).await);
    let theirs = authority("Somebody Else");
    files(&folder, "client", &made(&theirs, "client", &["client"], (-1, 90)));
    let strange = super::read(&gate, "secrets.list", &[]).await;
    assert!(strange.as_unknown().is_some(), "{strange:?}");
}
