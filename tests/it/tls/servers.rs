//! What servers show, take and want; what lies in files.

use super::{Authority, Nginx, authority, files, first, kept, made, room, server, tls, world};
use crate::support::daemon::{Daemon, file, free_port};
use crate::support::gated::{Gated, field, items, reason};
use starr::provider::{HealthState, Provider};
use starr::value::{Reason, Value};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const DAY: i64 = 24 * 60 * 60 * 1_000_000_000;

/// What every test asks; nothing changes it.
struct Place {
    folder: PathBuf,
    nginx: Nginx,
    config: String,
}

const NAMES: [&str; 8] = ["good", "expired", "early", "other", "stranger", "both", "old", "mutual"];

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = room();
        let ours = authority("Our Authority");
        let theirs = authority("Somebody Else");
        let block = |name: &str, by: &Authority, host: &str, days, more: &str| {
            let (certificate, key) = files(&folder, name, &made(by, name, &[host], days));
            format!(
                "ssl_certificate {}; ssl_certificate_key {}; {more}",
                certificate.display(),
                key.display()
            )
        };
        let ca = file(&folder, "ca.crt", &ours.pem);
        file(&folder, "theirs.crt", &theirs.pem);
        let clients = format!("ssl_verify_client on; ssl_client_certificate {};", ca.display());
        let good = (-1, 90);
        let blocks = [
            block("good", &ours, "localhost", good, "ssl_protocols TLSv1.2 TLSv1.3;"),
            block("expired", &ours, "localhost", (-40, -2), ""),
            block("early", &ours, "localhost", (2, 40), ""),
            block("other", &ours, "other.test", good, ""),
            block("stranger", &theirs, "localhost", good, ""),
            block("both", &theirs, "localhost", (-40, -2), ""),
            block("old", &ours, "localhost", good, "ssl_protocols TLSv1.2;"),
            block("mutual", &ours, "localhost", good, &clients),
        ];
        files(&folder, "client", &made(&ours, "client", &["client"], (-1, 3)));
        files(&folder, "foreign", &made(&theirs, "foreign", &["client"], (-1, 3)));
        let nginx = Nginx::start(folder.clone(), &blocks);
        let mut config = "servers:\n".to_owned();
        for (name, port) in NAMES.iter().zip(&nginx.ports) {
            config += &format!("  {name}: {{ host: localhost, port: {port}, ca: {} }}\n", ca.display());
        }
        Place { folder, nginx, config }
    })
}

fn shop() -> Gated {
    world(&place().config)
}

/// OpenSSL's own server, which ends a handshake with a client that it does not take.
struct Strict {
    port: u16,
    _daemon: Daemon,
}

fn strict(version: &str) -> Strict {
    let place = place();
    let port = free_port();
    let path = |name: &str| place.folder.join(name).display().to_string();
    let words = [
        "s_server",
        "-accept",
        &format!("127.0.0.1:{port}"),
        "-cert",
        &path("good.crt"),
        "-key",
        &path("good.key"),
        "-CAfile",
        &path("ca.crt"),
        "-Verify",
        "1",
        "-verify_return_error",
        "-www",
        version,
    ]
    .map(str::to_owned);
    let daemon = Daemon::start("openssl", room(), &words);
    daemon.wait_for_port(port);
    Strict { port, _daemon: daemon }
}

/// A client of that server, with this certificate.
fn client(port: u16, name: Option<&str>) -> Gated {
    let folder = place().folder.display();
    let identity = name.map_or_else(String::new, |name| {
        format!(", client: {{ certificate: {folder}/{name}.crt, key: {folder}/{name}.key }}")
    });
    world(&format!(
        "servers: {{ site: {{ host: localhost, port: {port}, ca: {folder}/ca.crt{identity} }} }}"
    ))
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_by_its_kind() {
    let shop = shop();
    let word = |word: &str| Value::variant(word);
    for (name, trouble, vouched, fits, reply) in [
        ("good", Value::None, true, true, "answered"),
        ("expired", word("expired"), true, true, "bad_certificate"),
        ("early", word("not_valid_yet"), true, true, "bad_certificate"),
        ("other", word("other_name"), true, false, "bad_certificate"),
        ("stranger", word("unknown_authority"), false, true, "bad_certificate"),
    ] {
        let chain = shop.read("chain", &[server(name)]).await;
        assert_eq!(field(&chain, "trouble"), trouble, "{name}: {chain:?}");
        assert_eq!(field(&chain, "trusted"), Value::Bool(trouble == Value::None), "{name}");
        assert_eq!(field(&chain, "vouched"), Value::Bool(vouched), "{name}");
        assert_eq!(field(&chain, "fits_name"), Value::Bool(fits), "{name}");
        let (count, shown) = first(&field(&chain, "certificates"));
        assert_eq!(count, 1, "{name}");
        assert_eq!(field(&shown, "subject"), Value::text(format!("CN={name}")));
        assert_eq!(field(&shown, "authority"), Value::Bool(false));
        let probe = shop.read("answers", &[server(name)]).await;
        assert_eq!(field(&probe, "reply"), word(reply), "{name}");
    }
    // Expired and of an unknown authority: whatever is said first, nobody vouches for it.
    let both = shop.read("chain", &[server("both")]).await;
    assert_eq!(field(&both, "vouched"), Value::Bool(false));
    assert_eq!(field(&both, "trusted"), Value::Bool(false));
    let left = |chain: &Value| match field(chain, "remaining") {
        Value::Duration(left) => left / DAY,
        other => panic!("{other:?}"),
    };
    assert!((-3..=-1).contains(&left(&shop.read("chain", &[server("expired")]).await)));
    assert!((88..=90).contains(&left(&shop.read("chain", &[server("good")]).await)));
}

#[tokio::test]
async fn versions_are_taken_or_refused() {
    let shop = shop();
    for (name, version, reply) in [
        ("good", "tls13", "answered"),
        ("good", "tls12", "answered"),
        ("old", "tls12", "answered"),
        ("old", "tls13", "refused"),
        // A certificate that nobody would take is another question.
        ("expired", "tls12", "answered"),
    ] {
        let asked = shop
            .read("takes", &[server(name), ("protocol", Value::variant(version))])
            .await;
        assert_eq!(field(&asked, "reply"), Value::variant(reply), "{name} {version}");
    }
    let met = shop.read("connect", &[server("good")]).await;
    assert_eq!(field(&met, "completed"), Value::Bool(true));
    assert_eq!(field(&met, "protocol"), Value::variant("tls13"));
    assert!(field(&met, "cipher").as_str().unwrap().starts_with("TLS13_"), "{met:?}");
    assert_eq!(field(&met, "asks"), Value::Bool(false));
    let met = shop.read("connect", &[server("old")]).await;
    assert_eq!(field(&met, "protocol"), Value::variant("tls12"));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_says_whose() {
    let met = shop().read("connect", &[server("mutual")]).await;
    assert_eq!(field(&met, "asks"), Value::Bool(true));
    assert_eq!(items(&field(&met, "authorities")), [Value::text("CN=Our Authority")]);
}

#[tokio::test]
async fn a_client_gets_in_with_a_certificate_that_the_server_takes() {
    for version in ["-tls1_3", "-tls1_2"] {
        let strict = strict(version);
        for (name, reply) in [
            (Some("client"), "answered"),
            (Some("foreign"), "refused"),
            (None, "refused"),
        ] {
            let probe = client(strict.port, name).read("answers", &[server("site")]).await;
            assert_eq!(
                field(&probe, "reply"),
                Value::variant(reply),
                "{version} {name:?}: {}",
                strict._daemon.log()
            );
        }
        let met = client(strict.port, Some("client"))
            .read("connect", &[server("site")])
            .await;
        assert_eq!(field(&met, "asks"), Value::Bool(true), "{version}");
        // Ours was not shown: in TLS 1.2 that is the end of the handshake.
        assert_eq!(field(&met, "completed"), Value::Bool(version == "-tls1_3"));
        let chain = client(strict.port, None).read("chain", &[server("site")]).await;
        assert_eq!(field(&chain, "trusted"), Value::Bool(true), "{version}");
    }
}

/// Files of the place, by the names of `NAMES` and of the clients.
fn kept_files() -> String {
    let folder = place().folder.display();
    format!(
        "files:
  good: {{ certificate: {folder}/good.crt, key: {folder}/good.key, ca: {folder}/ca.crt }}
  swapped: {{ certificate: {folder}/good.crt, key: {folder}/expired.key, ca: {folder}/ca.crt }}
  expired: {{ certificate: {folder}/expired.crt, ca: {folder}/ca.crt }}
  client: {{ certificate: {folder}/client.crt, ca: {folder}/ca.crt, shows: client }}
  foreign: {{ certificate: {folder}/foreign.crt, ca: {folder}/ca.crt, shows: client }}
  gone: {{ certificate: {folder}/nowhere.crt, ca: {folder}/ca.crt }}
  odd: {{ certificate: {folder}/good.key, ca: {folder}/ca.crt }}
"
    )
}

#[tokio::test]
async fn files_are_judged_as_a_server_and_a_client_would() {
    let world = world(&kept_files());
    for (name, host, trouble) in [
        ("good", Some("localhost"), Value::None),
        ("good", None, Value::None),
        ("good", Some("other.test"), Value::variant("other_name")),
        ("expired", None, Value::variant("expired")),
        ("client", None, Value::None),
        ("foreign", None, Value::variant("unknown_authority")),
    ] {
        let mut given = vec![kept(name)];
        given.extend(host.map(|host| ("name", Value::text(host))));
        let chain = world.read("files.verify", &given).await;
        assert_eq!(field(&chain, "trouble"), trouble, "{name} {host:?}: {chain:?}");
    }
    for name in ["gone", "odd"] {
        let (why, _) = reason(&world.read("files.verify", &[kept(name)]).await);
        assert_eq!(why, Reason::Unavailable, "{name}");
        let (why, _) = reason(&world.read("files.read", &[kept(name)]).await);
        assert_eq!(why, Reason::Unavailable, "{name}");
    }
    // What is in the file is what the server shows, as long as it has loaded it.
    let (_, in_file) = first(&world.read("files.read", &[kept("good")]).await);
    let (_, shown) = first(&field(&shop().read("chain", &[server("good")]).await, "certificates"));
    for name in ["fingerprint", "key_fingerprint", "serial"] {
        assert_eq!(field(&in_file, name), field(&shown, name));
    }
    assert_eq!(field(&in_file, "fingerprint").as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn what_a_key_may_be_used_for_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, uses: Vec<rcgen::KeyUsagePurpose>, purposes: Vec<rcgen::ExtendedKeyUsagePurpose>| {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.key_usages = uses;
        params.extended_key_usages = purposes;
        let key = rcgen::KeyPair::generate().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
        format!("{name}: {{ certificate: {} }}", path.display())
    };
    let files = [
        of("plain", vec![], vec![]),
        of(
            "client",
            vec![
                rcgen::KeyUsagePurpose::DigitalSignature,
                rcgen::KeyUsagePurpose::KeyAgreement,
            ],
            vec![
                rcgen::ExtendedKeyUsagePurpose::ClientAuth,
                rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 99_999]),
            ],
        ),
    ];
    let world = world(&format!("files: {{ {} }}", files.join(", ")));
    let uses = async |name: &str| {
        let (_, found) = first(&world.read("files.read", &[kept(name)]).await);
        items(&field(&found, "uses"))
    };
    assert!(uses("plain").await.is_empty());
    let said = ["digital_signature", "key_agreement", "client_auth", "1.3.6.1.4.1.99999"];
    assert_eq!(uses("client").await, said.map(Value::text));
}

#[tokio::test]
async fn a_key_fits_or_does_not_and_nothing_of_it_is_told() {
    let world = world(&kept_files());
    for (name, fits) in [("good", true), ("swapped", false)] {
        let value = world.read("files.fits_key", &[kept(name)]).await;
        assert_eq!(value, Value::Bool(fits), "{name}");
    }
    let (why, _) = reason(&world.read("files.fits_key", &[kept("expired")]).await);
    assert_eq!(why, Reason::Unavailable);
    let key = std::fs::read_to_string(place().folder.join("good.key")).unwrap();
    let body = key.lines().nth(1).unwrap();
    let tls = tls(&(place().config.clone() + &kept_files()));
    let lines = tls.doctor().await;
    assert!(!format!("{lines:?}").contains(body));
    let state = |subject: &str| {
        let line = lines.iter().find(|line| line.subject == subject);
        line.unwrap_or_else(|| panic!("no {subject}: {lines:?}")).state
    };
    assert_eq!(state("tls good"), HealthState::Good);
    assert_eq!(state("tls expired"), HealthState::Bad);
    assert_eq!(state("tls file good"), HealthState::Good);
    assert_eq!(state("tls file swapped"), HealthState::Bad);
    assert!(Path::new(&place().nginx.daemon.folder).exists());
}
