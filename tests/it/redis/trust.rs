//! TLS, and logins that are refused.

use super::{Server, World};
use crate::support::daemon::{Daemon, file, folder, free_port, secret};
use crate::support::gated::{field, reason};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use starr::value::{Reason, Value};

struct Made {
    ca: String,
    certificate: String,
    key: String,
}

fn made(names: &[&str]) -> Made {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // Another name than the leaf's, which would else seem to have signed itself.
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "an authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    Made {
        ca: ca.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A server that speaks TLS only, and shows itself as `localhost`.
fn over_tls(clients: &str) -> (Daemon, u16, Made) {
    let port = free_port();
    let folder = folder("redis-tls");
    let made = made(&["localhost"]);
    let path = |name: &str, text: &str| file(&folder, name, text).display().to_string();
    let words: Vec<String> = [
        "--port",
        "0",
        "--tls-port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--tls-cert-file",
        &path("server.crt", &made.certificate),
        "--tls-key-file",
        &path("server.key", &made.key),
        "--tls-ca-cert-file",
        &path("ca.crt", &made.ca),
        "--tls-auth-clients",
        clients,
        "--user",
        "starr-read",
        "on",
        ">read-secret",
        "~*",
        "+@all",
    ]
    .map(str::to_owned)
    .to_vec();
    let daemon = Daemon::start("redis-server", folder, &words);
    daemon.wait_for_port(port);
    (daemon, port, made)
}

fn world(host: &str, port: u16, ca: &str, more: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let password = secret(folder.path(), "read", "read-secret");
    let ca = secret(folder.path(), "ca.pem", ca);
    let entry = format!(
        "{{ host: {host}, port: {port}, tls: true, connect_seconds: 2, ca: {}, read: {{ user: starr-read, password: {{ file: {} }}{more} }} }}",
        ca.display(),
        password.display()
    );
    World::new(&entry, folder)
}

#[tokio::test]
async fn tls_is_verified_and_never_falls_back() {
    let (daemon, port, made_here) = over_tls("no");
    let good = world("localhost", port, &made_here.ca, "");
    let memory = good.read("memory", &[]).await;
    assert!(memory.as_record().is_some(), "{memory:?} {}", daemon.log());
    assert_eq!(field(&good.read("ping", &[]).await, "ok"), Value::Bool(true));
    // Another name than the certificate's, and an authority that nobody here trusts.
    let stranger = made(&["localhost"]).ca;
    for bad in [
        world("127.0.0.1", port, &made_here.ca, ""),
        world("localhost", port, &stranger, ""),
    ] {
        assert_eq!(
            field(&bad.read("ping", &[]).await, "reply"),
            Value::variant("bad_certificate")
        );
        assert_eq!(reason(&bad.read("memory", &[]).await).0, Reason::Unreachable);
    }
    // A server that does not speak TLS.
    let plain = Server::start();
    let wrong = world("localhost", plain.port, &made_here.ca, "");
    let (why, _) = reason(&wrong.read("memory", &[]).await);
    // It waits for the end of a line that never comes.
    assert!(matches!(why, Reason::Timeout | Reason::Unreachable), "{why:?}");
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_shown_a_certificate() {
    let (daemon, port, made) = over_tls("yes");
    let folder = tempfile::tempdir().unwrap();
    let certificate = secret(folder.path(), "c", &made.certificate);
    let key = secret(folder.path(), "k", &made.key);
    let shown = format!(
        ", client: {{ certificate: {}, key: {} }}",
        certificate.display(),
        key.display()
    );
    let known = world("localhost", port, &made.ca, &shown);
    let memory = known.read("memory", &[]).await;
    assert!(memory.as_record().is_some(), "{memory:?} {}", daemon.log());
    let nobody = world("localhost", port, &made.ca, "");
    assert!(nobody.read("memory", &[]).await.as_unknown().is_some());
}

#[tokio::test]
async fn a_refused_login_is_an_answer_and_shows_no_password() {
    let server = Server::start();
    server.user("starr-read", "another-secret", "~* +@all");
    let world = server.world();
    assert_eq!(
        field(&world.read("ping", &[]).await, "reply"),
        Value::variant("answered")
    );
    assert_eq!(world.read("admission", &[]).await, Value::variant("login_refused"));
    let (why, detail) = reason(&world.read("memory", &[]).await);
    assert_eq!(why, Reason::Denied);
    assert!(!detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn a_server_without_room_turns_clients_away() {
    let server = Server::start();
    let mut admin = server.admin();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxclients")
        .arg(1)
        .exec(&mut admin)
        .unwrap();
    let world = server.world();
    assert_eq!(world.read("admission", &[]).await, Value::variant("too_many_clients"));
    assert_eq!(
        field(&world.read("ping", &[]).await, "reply"),
        Value::variant("refused")
    );
    assert_eq!(reason(&world.read("memory", &[]).await).0, Reason::Unreachable);
}
