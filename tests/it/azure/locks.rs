//! The lock of a target, in Microsoft's own emulator of blobs.

use super::server::{CLIENT, SECRET, Server};
use crate::support::daemon::{Daemon, file, folder, free_port, secret};
use crate::support::doctor_of_lock;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use starr::provider::lock::{Held, Holder, NotTaken};
use starr::provider::{HealthState, Provider};
use starr::providers::azure::Azure;
use starr::value::Reason;
use std::path::{Path, PathBuf};

/// Where `scripts/setup` puts the emulator.
const EMULATOR: &str = "/opt/starr-tests/azurite/node_modules/azurite/dist/src/blob/main.js";

/// The account that the emulator has.
const ACCOUNT: &str = "devstoreaccount1";

/// What the group of the tests is called in the container.
const BLOB: &str = "starr-locks/starr/subscriptions/00000000-0000-0000-0000-000000000001/resourcegroups/rg-studio";

/// A token as the directory gives one for storage. The emulator looks at its times, who gave it, and for what.
fn token(audience: &str) -> String {
    let now = Timestamp::now().as_second();
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let claims = json!({"aud": audience, "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000002/",
        "iat": now - 60, "nbf": now - 60, "exp": now + 3600});
    let head = part(json!({"alg": "RS256", "typ": "JWT"}));
    format!("{head}.{}.{}", part(claims), URL_SAFE_NO_PAD.encode("signed"))
}

struct Blobs {
    _daemon: Daemon,
    url: String,
    ca: PathBuf,
}

impl Blobs {
    /// The emulator, with a container for locks.
    async fn start() -> Self {
        let blobs = Self::bare();
        assert_eq!(blobs.say("PUT", "starr-locks?restype=container", &[], "").await.0, 201);
        blobs
    }

    fn bare() -> Self {
        assert!(Path::new(EMULATOR).is_file(), "run scripts/setup");
        let (port, folder) = (free_port(), folder("azurite"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = file(&folder, "ca.crt", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let path = |name: &str, text: &str| file(&folder, name, text).display().to_string();
        let words: Vec<String> = [
            EMULATOR,
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--location",
            &folder.display().to_string(),
            "--oauth",
            "basic",
            "--cert",
            &path("server.crt", &certificate.pem()),
            "--key",
            &path("server.key", &key.serialize_pem()),
            "--disableTelemetry",
        ]
        .map(str::to_owned)
        .to_vec();
        let daemon = Daemon::start("node", folder, &words);
        daemon.wait_for_port(port);
        Self {
            _daemon: daemon,
            url: format!("https://localhost:{port}/{ACCOUNT}"),
            ca,
        }
    }

    /// What somebody else does in it.
    async fn say(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(&self.ca).unwrap()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .build()
            .unwrap();
        let mut asked = client
            .request(method.parse().unwrap(), format!("{}/{path}", self.url))
            .bearer_auth(token("https://storage.azure.com"))
            .header("x-ms-version", "2021-12-02")
            .body(body.to_owned());
        for (name, value) in headers {
            asked = asked.header(*name, *value);
        }
        let reply = asked.send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    async fn put(&self, blob: &str, body: &str) {
        let said = self.say("PUT", blob, &[("x-ms-blob-type", "BlockBlob")], body).await;
        assert_eq!(said.0, 201, "{}", said.1);
    }
}

/// A provider of somebody's, whose subscription has a container for locks.
struct Laptop {
    provider: Azure,
    _cloud: Server,
    _folder: tempfile::TempDir,
}

fn laptop(blobs: &Blobs, container: &str, audience: &str) -> Laptop {
    let cloud = Server::new();
    cloud.kept().storage = token(audience);
    let folder = tempfile::tempdir().unwrap();
    let path = secret(folder.path(), "secret", SECRET);
    let credential = format!("{{ client: {CLIENT}, secret: {{ file: {} }} }}", path.display());
    let lock = format!(
        "lock: {{ account: {ACCOUNT}, container: {container}, server: {{ url: \"{}\", ca: {} }} }}, tenant:",
        blobs.url,
        blobs.ca.display()
    );
    let config = cloud.config(&credential).replacen("tenant:", &lock, 1);
    Laptop {
        provider: Azure::new(serde_yaml::from_str(&config).unwrap()).unwrap(),
        _cloud: cloud,
        _folder: folder,
    }
}

fn locking(blobs: &Blobs) -> Laptop {
    laptop(blobs, "starr-locks", "https://storage.azure.com")
}

fn holder(who: &str) -> Holder {
    Holder {
        run: "260814-0912-kolu".to_owned(),
        who: who.to_owned(),
        host: "laptop7".to_owned(),
    }
}

async fn take(laptop: &Laptop, who: &str, over: Option<&str>) -> Result<Box<dyn Held>, NotTaken> {
    let taken = laptop.provider.lock("studio", &holder(who), over).await?;
    Ok(taken.expect("this subscription has a place for locks"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_is_told_who_has_the_group_and_may_take_it_over() {
    let blobs = Blobs::start().await;
    let (one, two) = (locking(&blobs), locking(&blobs));
    let first = take(&one, "maria", None).await.unwrap_or_else(|why| panic!("{why:?}"));
    first.still_held().await.unwrap();
    first.still_held().await.unwrap();
    let (state, said) = doctor_of_lock(&two.provider).await.unwrap();
    assert_eq!(state, HealthState::Good);
    assert!(
        said.contains("nobody has it"),
        "it is the group that somebody has: {said}"
    );
    let Err(NotTaken::HeldBy(other)) = take(&two, "jonas", None).await else {
        panic!("two runs have the lock");
    };
    assert_eq!(other.shown, "run 260814-0912-kolu maria@laptop7");
    assert!(other.since.ends_with("UTC"), "{}", other.since);
    // Another target of the same subscription is another lock.
    let vault = two.provider.lock("kv", &holder("jonas"), None).await;
    drop(vault.unwrap_or_else(|why| panic!("{why:?}")).expect("it has one"));
    let second = take(&two, "jonas", Some(&other.token))
        .await
        .unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(first.still_held().await.unwrap_err().reason, Reason::Denied);
    // Giving back what is lost takes nothing from whoever has it.
    drop(first);
    second.still_held().await.unwrap();
    let stale = take(&one, "maria", Some(&other.token)).await;
    assert!(matches!(stale, Err(NotTaken::HeldBy(_))));
    assert_eq!(blobs.say("GET", BLOB, &[], "").await.0, 200);
    drop(second);
    assert_eq!(blobs.say("GET", BLOB, &[], "").await.0, 404, "it is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_it_in_the_same_instant_one_has_it() {
    let blobs = Blobs::start().await;
    let laptops: Vec<Laptop> = (0..6).map(|_| locking(&blobs)).collect();
    let all = laptops.iter().map(|laptop| take(laptop, "somebody", None));
    let taken = futures::future::join_all(all).await;
    let (held, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(Result::is_ok);
    assert_eq!(held.len(), 1);
    for why in refused.iter().filter_map(|refused| refused.as_ref().err()) {
        assert!(matches!(why, NotTaken::HeldBy(_)), "{why:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_holder_loses_the_group_and_a_blob_of_somebody_else_stays() {
    let blobs = Blobs::start().await;
    let laptop = locking(&blobs);
    let silent = |at: i64| json!({"holder": "starr/00 r m@l", "since": "", "expires": at}).to_string();
    blobs.put(BLOB, &silent(4_000_000_000)).await;
    assert!(
        matches!(take(&laptop, "jonas", None).await, Err(NotTaken::HeldBy(_))),
        "it is good for years"
    );
    blobs.put(BLOB, &silent(1_700_000_000)).await;
    let held = take(&laptop, "jonas", None)
        .await
        .unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(blobs.say("DELETE", BLOB, &[], "").await.0, 202);
    assert!(held.still_held().await.is_err());
    drop(held);
    blobs.put(BLOB, "not of starr").await;
    let Err(NotTaken::HeldBy(other)) = take(&laptop, "jonas", Some("")).await else {
        panic!("the blob of somebody else was overwritten");
    };
    assert_eq!(other.shown, "something that is no run of starr");
    assert_eq!(blobs.say("GET", BLOB, &[], "").await.1, "not of starr");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_container_or_the_right_the_lock_is_not_taken() {
    let blobs = Blobs::start().await;
    let Err(NotTaken::Unclear(why)) =
        take(&laptop(&blobs, "no-such", "https://storage.azure.com"), "maria", None).await
    else {
        panic!("a lock without a container");
    };
    assert_eq!(why.reason, Reason::Missing);
    assert!(
        why.detail.contains("the container `no-such` of the locks") && why.detail.contains("ContainerNotFound"),
        "{why:?}"
    );
    let (state, said) = doctor_of_lock(&laptop(&blobs, "no-such", "https://storage.azure.com").provider)
        .await
        .unwrap();
    assert_eq!(state, HealthState::Bad);
    assert!(
        said.contains("no change can be made") && said.contains("ContainerNotFound"),
        "{said}"
    );
    let stranger = laptop(&blobs, "starr-locks", "https://vault.azure.net");
    let Err(NotTaken::Unclear(why)) = take(&stranger, "maria", None).await else {
        panic!("a lock with a token for something else");
    };
    assert_eq!(why.reason, Reason::Denied, "{why:?}");
    assert_eq!(blobs.say("GET", BLOB, &[], "").await.0, 404);
}
