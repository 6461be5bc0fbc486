//! The provider against servers that behave, misbehave and lie.

mod preflight;

use super::Http;
use super::config::HttpConfig;
use super::server::{Act, Server, reply};
use crate::provider::gate::{Gate, Grant, Mode};
use crate::provider::{Call, Effect, Idempotence, Operation, Outcome, Provider};
use crate::value::{Reason, Secret, Type, Value};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const CANARY: &str = "canary-7f3a91";

fn effect(path: &str) -> Effect {
    match path {
        "probe" => Effect::Probe,
        "get" | "head" | "certificate" | "preflight" => Effect::Read,
        "webhook" => Effect::Tell,
        _ => Effect::Change,
    }
}

fn call(path: &str, to: &str, args: Vec<(&str, Value)>) -> Call {
    let to = Value::Resource {
        kind: "Endpoint".into(),
        name: to.into(),
    };
    Call {
        operation: Arc::new(Operation {
            provider: "http".into(),
            path: path.into(),
            effect: effect(path),
            params: Vec::new(),
            result: Type::Any,
            idempotence: Idempotence::Unrepeatable,
            heavy: false,
            within: Duration::from_secs(20),
            doc: String::new(),
        }),
        args: std::iter::once(("to".into(), to))
            .chain(args.into_iter().map(|(name, value)| (name.into(), value)))
            .collect(),
        within: Duration::from_secs(20),
        key: None,
    }
}

fn within(mut call: Call, milliseconds: u64) -> Call {
    call.within = Duration::from_millis(milliseconds);
    call
}

fn json(value: serde_json::Value) -> Value {
    Value::Json(Arc::new(value))
}

fn secret(text: &str) -> Value {
    Value::Secret(Secret::new(Value::text(text)))
}

fn field(value: &Value, name: &str) -> Value {
    let record = value.as_record().unwrap_or_else(|| panic!("not a record: {value:?}"));
    record
        .get(name)
        .cloned()
        .unwrap_or_else(|| panic!("no {name} in {value:?}"))
}

fn reason(value: &Value) -> Option<Reason> {
    value.as_unknown().map(|unknown| unknown.reason)
}

fn loopback() -> Http {
    Http::new(&HttpConfig::default()).unwrap()
}

fn configured(text: &str) -> Http {
    Http::new(&serde_yaml::from_str(text).unwrap()).unwrap()
}

fn gate(http: Http) -> Gate {
    let mut gate = Gate::new(
        vec![Grant {
            capability: "http".to_owned(),
            effects: vec![Effect::Read, Effect::Probe, Effect::Change],
            targets: None,
        }],
        Mode::Live,
    );
    gate.register(Arc::new(http));
    gate
}

#[tokio::test]
async fn a_reply_has_status_headers_text_and_json() {
    let server = Server::plain(|_| {
        Act::Keep(reply(
            "200 OK",
            "content-type: application/json\r\nset-cookie: canary\r\nx-own: 1\r\nx-request-id: r1\r\n",
            br#"{"status": "healthy", "checks": [1, 2]}"#,
        ))
    })
    .await;
    let http = loopback();
    let asked = call(
        "get",
        &server.url("/health"),
        vec![
            ("query", json(serde_json::json!({"full": true}))),
            ("headers", json(serde_json::json!({"x_trace": "t1"}))),
            (
                "keep",
                Value::list(vec![Value::text("x-own"), Value::text("set-cookie")]),
            ),
        ],
    );
    let value = http.read(&asked).await;
    assert_eq!(field(&value, "status"), Value::Int(200));
    assert_eq!(field(&value, "ok"), Value::Bool(true));
    let Value::Json(headers) = field(&value, "headers") else {
        panic!("{value:?}");
    };
    assert_eq!(headers["x_own"], "1");
    assert_eq!(headers["content_type"], "application/json");
    assert!(!format!("{value:?}").contains("canary"));
    let Value::Json(document) = field(&value, "json") else {
        panic!("{value:?}");
    };
    assert_eq!(document["status"], "healthy");
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("GET /health?full=true HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-trace: t1\r\n"), "{seen}");
}

#[tokio::test]
async fn connections_are_used_again_for_reads_and_never_for_changes() {
    let server = Server::plain(|_| Act::Keep(reply("200 OK", "", b"fine"))).await;
    let http = loopback();
    for _ in 0..3 {
        let value = http.read(&call("get", &server.url("/"), vec![])).await;
        assert_eq!(field(&value, "text"), Value::text("fine"));
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    let gate = gate(http);
    for _ in 0..2 {
        let done = gate
            .change(&call(
                "put",
                &server.url("/"),
                vec![("body", json(serde_json::json!({"a": 1})))],
            ))
            .await;
        assert!(matches!(done, Outcome::Done(_)), "{done:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_probe_tells_what_happened() {
    let server = Server::plain(|request| {
        let status = if request.contains("/bad") {
            "503 Service Unavailable"
        } else {
            "200 OK"
        };
        Act::Keep(reply(status, "", b""))
    })
    .await;
    let silent = Server::plain(|_| Act::Silent(Vec::new())).await;
    let closing = Server::plain(|_| Act::Close(Vec::new())).await;
    let babbling = Server::plain(|_| Act::Close(b"220 mail.example ESMTP\r\n".to_vec())).await;
    let http = loopback();
    let probe = async |asked: Call| {
        let value = http.read(&asked).await;
        let (reply, ok) = (field(&value, "reply"), field(&value, "ok"));
        (reply.as_str().unwrap_or_default().to_owned(), ok == Value::Bool(true))
    };
    assert_eq!(
        probe(call("probe", &server.url("/"), vec![])).await,
        ("answered".to_owned(), true)
    );
    assert_eq!(
        probe(call("probe", &server.url("/bad"), vec![])).await,
        ("answered".to_owned(), false)
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nobody = format!("http://127.0.0.1:{free}/");
    assert_eq!(
        probe(call("probe", &nobody, vec![])).await,
        ("refused".to_owned(), false)
    );
    assert_eq!(
        probe(call("probe", &closing.url("/"), vec![])).await,
        ("refused".to_owned(), false)
    );
    assert_eq!(
        probe(within(call("probe", &silent.url("/"), vec![]), 100)).await,
        ("timed_out".to_owned(), false)
    );
    // What answers is not HTTP: that is neither a yes nor one of the five words.
    let babble = http.read(&call("probe", &babbling.url("/"), vec![])).await;
    assert_eq!(reason(&babble), Some(Reason::Unparsable), "{babble:?}");
    // A plain read of the same: no reply is unknown.
    assert_eq!(
        reason(&http.read(&call("get", &nobody, vec![])).await),
        Some(Reason::Unreachable)
    );
    let late = http.read(&within(call("get", &silent.url("/"), vec![]), 100)).await;
    assert_eq!(reason(&late), Some(Reason::Timeout));
}

#[tokio::test]
async fn redirects_stay_within_the_origin() {
    let other = Server::plain(|_| Act::Keep(reply("200 OK", "", b"other"))).await;
    let elsewhere = other.url("/stolen");
    let server = Server::plain(move |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let to = |location: &str| Act::Keep(reply("302 Found", &format!("location: {location}\r\n"), b""));
        match path {
            "/near" => to("/here"),
            "/here" => Act::Keep(reply("200 OK", "", b"here")),
            "/far" => to(&elsewhere),
            "/user" => to(&elsewhere.replace("http://", "http://u:p@")),
            "/metadata" => to("http://169.254.169.254/latest/"),
            _ => to("/loop"),
        }
    })
    .await;
    let http = loopback();
    let get = async |path: &str| {
        http.read(&call("get", &server.url(path), vec![("authorization", secret(CANARY))]))
            .await
    };
    let near = get("/near").await;
    assert_eq!(field(&near, "text"), Value::text("here"));
    assert!(field(&near, "url").as_str().unwrap().ends_with("/here"));
    for path in ["/far", "/user", "/metadata"] {
        let far = get(path).await;
        assert_eq!(field(&far, "status"), Value::Int(302), "{path}");
        assert!(!format!("{far:?}").contains(CANARY));
    }
    assert_eq!(other.connections.load(Ordering::SeqCst), 0);
    assert_eq!(reason(&get("/loop").await), Some(Reason::Truncated));
    assert!(
        server.seen()[0].contains(CANARY),
        "the credential did go to its own origin"
    );
    // A change is never sent a second time to where a redirect points.
    let before = server.seen().len();
    let gate = gate(loopback());
    let moved = gate.change(&call("post", &server.url("/near"), vec![])).await;
    assert!(matches!(moved, Outcome::Unclear(_)), "{moved:?}");
    assert_eq!(server.seen().len(), before + 1);
}

#[tokio::test]
async fn addresses_that_are_not_granted_are_refused_before_anything_is_sent() {
    let http = loopback();
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://224.0.0.1/",
        "http://9.9.9.9/",
        "http://[fe80::1]/",
        "http://168.63.129.16/",
        "https://169.254.169.254/",
    ] {
        for path in ["get", "probe", "head"] {
            let value = http.read(&call(path, url, vec![])).await;
            assert_eq!(reason(&value), Some(Reason::Unavailable), "{path} {url}: {value:?}");
        }
        let refused = gate(loopback()).change(&call("post", url, vec![])).await;
        assert!(matches!(refused, Outcome::Failed(_)), "{url}: {refused:?}");
        let look = http
            .read(&call("certificate", &url.replace("http:", "https:"), vec![]))
            .await;
        assert_eq!(reason(&look), Some(Reason::Unavailable), "{url}: {look:?}");
    }
    // A name is checked by where it leads: `localhost` is loopback, which this configuration does not grant.
    let server = Server::plain(|_| Act::Keep(reply("200 OK", "", b""))).await;
    let closed = configured("addresses: [10.0.0.0/8]\n");
    for host in ["localhost", "127.0.0.1"] {
        let value = closed
            .read(&call("probe", &format!("http://{host}:{}/", server.port), vec![]))
            .await;
        assert_eq!(reason(&value), Some(Reason::Unavailable), "{host}: {value:?}");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    let open = http
        .read(&call("probe", &format!("http://localhost:{}/", server.port), vec![]))
        .await;
    assert_eq!(field(&open, "ok"), Value::Bool(true));
}

fn gzip(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b'0'; 1024 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(zeros.len());
        encoder.write_all(&zeros[..part]).unwrap();
        left -= part;
    }
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_is_bounded_after_decompression() {
    let bomb = gzip(64 * 1024 * 1024);
    assert!(bomb.len() < 1024 * 1024);
    let medium = gzip(3 * 1024 * 1024);
    let small = gzip(1000);
    let server = Server::plain(move |request| {
        let body = match request.split(' ').nth(1) {
            Some("/bomb") => &bomb,
            Some("/medium") => &medium,
            Some("/broken") => &small[..small.len() / 2].to_vec(),
            _ => &small,
        };
        Act::Keep(reply("200 OK", "content-encoding: gzip\r\n", body))
    })
    .await;
    let http = loopback();
    let get = async |path: &str| http.read(&call("get", &server.url(path), vec![])).await;
    let small = get("/small").await;
    assert_eq!(field(&small, "size"), Value::Bytes(1000));
    let begin = Instant::now();
    let bomb = get("/bomb").await;
    assert_eq!(field(&bomb, "status"), Value::Int(200));
    for name in ["text", "json", "size"] {
        assert_eq!(reason(&field(&bomb, name)), Some(Reason::Truncated), "{name}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    let medium = get("/medium").await;
    assert_eq!(field(&medium, "size"), Value::Bytes(3 * 1024 * 1024));
    assert_eq!(reason(&field(&medium, "text")), Some(Reason::Truncated));
    let broken = get("/broken").await;
    assert_eq!(reason(&field(&broken, "text")), Some(Reason::Unparsable));
}

#[tokio::test]
async fn a_dripping_body_ends_with_the_deadline_and_the_status_stands() {
    let server = Server::plain(|_| Act::Drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec())).await;
    let begin = Instant::now();
    let value = loopback()
        .read(&within(call("get", &server.url("/"), vec![]), 300))
        .await;
    assert_eq!(field(&value, "status"), Value::Int(200));
    assert_eq!(reason(&field(&value, "text")), Some(Reason::Timeout));
    assert!(begin.elapsed() < Duration::from_secs(10));
    let head = Server::plain(|_| Act::Drip(b"HTTP/1.1 200 OK\r\nx-drip: ".to_vec())).await;
    let value = loopback().read(&within(call("get", &head.url("/"), vec![]), 300)).await;
    assert_eq!(reason(&value), Some(Reason::Timeout));
}

#[tokio::test]
async fn malformed_and_oversized_replies_are_unknown() {
    for (bytes, wanted) in [
        (b"HTTP/1.1 banana\r\n\r\n".to_vec(), Reason::Unparsable),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n".to_vec(), Reason::Unparsable),
        (b"\x16\x03\x01\x00\x05hello".to_vec(), Reason::Unparsable),
        (
            format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(500)).into_bytes(),
            Reason::Truncated,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nx-a: {}\r\ncontent-length: 0\r\n\r\n",
                "b".repeat(100_000)
            )
            .into_bytes(),
            Reason::Truncated,
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\nx-a: {}\r\ncontent-length: 0\r\n\r\n",
                "b".repeat(4_000_000)
            )
            .into_bytes(),
            Reason::Truncated,
        ),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let server = Server::plain(move |_| Act::Close(bytes.clone())).await;
        let value = loopback().read(&call("get", &server.url("/"), vec![])).await;
        assert_eq!(reason(&value), Some(wanted), "{shown:?}: {value:?}");
    }
    let half = Server::plain(|_| Act::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".to_vec())).await;
    let value = loopback().read(&call("get", &half.url("/"), vec![])).await;
    assert_eq!(
        reason(&field(&value, "text")),
        Some(Reason::Unparsable),
        "half a body is no body"
    );
    let latin = Server::plain(|_| Act::Keep(reply("200 OK", "", b"caf\xe9"))).await;
    let value = loopback().read(&call("get", &latin.url("/"), vec![])).await;
    assert_eq!(reason(&field(&value, "text")), Some(Reason::Unparsable));
    let deep = Server::plain(|_| Act::Keep(reply("200 OK", "", "[".repeat(100_000).as_bytes()))).await;
    let value = loopback().read(&call("get", &deep.url("/"), vec![])).await;
    assert_eq!(reason(&field(&value, "json")), Some(Reason::Unparsable));
}

#[tokio::test]
async fn a_line_break_in_a_header_sends_nothing() {
    let server = Server::plain(|_| Act::Keep(reply("200 OK", "", b""))).await;
    let hostile = json(serde_json::json!({"x_tenant": format!("{CANARY}\r\nx-evil: 1")}));
    let value = loopback()
        .read(&call("get", &server.url("/"), vec![("headers", hostile.clone())]))
        .await;
    assert_eq!(reason(&value), Some(Reason::Unparsable));
    assert!(!format!("{value:?}").contains(CANARY));
    let outcome = gate(loopback())
        .change(&call("post", &server.url("/"), vec![("headers", hostile)]))
        .await;
    assert!(matches!(&outcome, Outcome::Failed(_)) && !format!("{outcome:?}").contains(CANARY));
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_status_decides_what_became_of_a_change() {
    let server = Server::plain(|request| {
        let status = request.split(['/', ' ']).nth(2).unwrap_or_default().to_owned();
        Act::Keep(reply(&format!("{status} Some"), "", br#"{"id": 7}"#))
    })
    .await;
    let gate = gate(loopback());
    for (status, wanted) in [
        (200, "done"),
        (201, "done"),
        (202, "done"),
        (303, "done"),
        (400, "failed"),
        (401, "failed"),
        (404, "failed"),
        (409, "failed"),
        (429, "failed"),
        (307, "failed"),
        (501, "failed"),
        (302, "unclear"),
        (408, "unclear"),
        (500, "unclear"),
        (503, "unclear"),
    ] {
        let outcome = gate
            .change(&call("post", &server.url(&format!("/{status}")), vec![]))
            .await;
        let word = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Failed(_) => "failed",
            Outcome::Unclear(_) => "unclear",
        };
        assert_eq!(word, wanted, "{status}: {outcome:?}");
    }
    let count = server.seen().len();
    assert_eq!(count, 15, "each was sent once");
}

#[tokio::test]
async fn a_change_whose_reply_is_lost_is_unclear_and_one_that_was_not_sent_failed() {
    let closing = Server::plain(|_| Act::Close(Vec::new())).await;
    let silent = Server::plain(|_| Act::Silent(Vec::new())).await;
    let gate = gate(loopback());
    let lost = gate.change(&call("post", &closing.url("/"), vec![])).await;
    assert!(matches!(lost, Outcome::Unclear(_)), "{lost:?}");
    assert_eq!(closing.seen().len(), 1, "it is not sent again");
    let late = gate.change(&within(call("post", &silent.url("/"), vec![]), 200)).await;
    assert!(matches!(late, Outcome::Unclear(_)), "{late:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let refused = gate
        .change(&call("post", &format!("http://127.0.0.1:{free}/"), vec![]))
        .await;
    assert!(matches!(refused, Outcome::Failed(_)), "{refused:?}");
}

#[tokio::test]
async fn a_key_is_sent_in_its_header() {
    let server = Server::plain(|_| Act::Keep(reply("201 Created", "", b"{}"))).await;
    let gate = gate(loopback());
    let mut keyed = call(
        "post_keyed",
        &server.url("/"),
        vec![("body", json(serde_json::json!({"n": 1})))],
    );
    assert!(
        matches!(gate.change(&keyed).await, Outcome::Failed(_)),
        "without a recorded key nothing is sent"
    );
    keyed.key = Some("run-1-step-2".into());
    assert!(matches!(gate.change(&keyed).await, Outcome::Done(_)));
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].contains("idempotency-key: run-1-step-2\r\n") && seen[0].ends_with(r#"{"n":1}"#),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_configured_endpoint_adds_its_secret_and_shows_it_nowhere() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::plain(|_| Act::Keep(reply("403 Forbidden", "", b"no"))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, CANARY).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let http = configured(&format!(
        "endpoints:\n  shop: {{ url: 'http://127.0.0.1:{}/api', bearer: {{ file: '{}' }} }}\n",
        server.port,
        path.display()
    ));
    let asked = call("get", "shop", vec![("path", Value::text("/orders"))]);
    assert_eq!(http.targets(&asked), [format!("http://127.0.0.1:{}", server.port)]);
    let value = http.read(&asked).await;
    assert_eq!(field(&value, "status"), Value::Int(403));
    let seen = server.seen().remove(0);
    assert!(
        seen.starts_with("GET /api/orders ") && seen.contains(&format!("authorization: Bearer {CANARY}")),
        "{seen}"
    );
    let doctor = http.doctor().await;
    let shown = format!("{value:?} {doctor:?}");
    assert!(
        !shown.contains(CANARY) && shown.contains("turns our credential away"),
        "{shown}"
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        reason(&http.read(&asked).await),
        Some(Reason::Unavailable),
        "a secret that cannot be read"
    );
    let nobody = http.read(&call("get", "shopp", vec![])).await;
    assert_eq!(reason(&nobody), Some(Reason::Unavailable));
    let clear = http
        .read(&call(
            "get",
            "http://shop.example/",
            vec![("authorization", secret(CANARY))],
        ))
        .await;
    assert_eq!(reason(&clear), Some(Reason::Denied));
}

#[test]
fn the_sample_of_the_page_is_a_configuration() {
    #[derive(serde::Deserialize)]
    struct Part {
        http: HttpConfig,
    }
    let page = include_str!("../../../docs/providers/http.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (sample, _) = rest.split_once("```").unwrap();
    let part: Part = serde_yaml::from_str(sample).unwrap();
    let http = Http::new(&part.http).unwrap();
    assert_eq!(http.targets(&call("get", "shop", vec![])), ["https://shop.example:443"]);
    assert_eq!(
        http.targets(&call("webhook", "chat", vec![])),
        ["https://hooks.chat.example:443"]
    );
}

#[tokio::test]
async fn a_secret_path_is_sent_and_shown_nowhere() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::plain(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        Act::Keep(reply("200 OK", &format!("location: {path}/\r\n"), b"ok"))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook");
    let write = |text: &str| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write(&format!("/services/{CANARY}\n"));
    let http = configured(&format!(
        "endpoints: {{ chat: {{ url: 'http://127.0.0.1:{}', secret_path: {{ file: '{}' }} }} }}",
        server.port,
        path.display()
    ));
    let asked = call("get", "chat", vec![]);
    let shown = format!(
        "{:?} {:?} {:?}",
        http.read(&asked).await,
        http.targets(&asked),
        http.doctor().await
    );
    assert!(shown.contains("/(secret)") && !shown.contains(CANARY), "{shown}");
    let body = vec![("body", Value::record("", vec![("text", Value::text("hello"))]))];
    let told = gate(http).change(&call("post", "chat", body)).await;
    assert!(
        matches!(&told, Outcome::Done(_)) && !format!("{told:?}").contains(CANARY),
        "{told:?}"
    );
    let seen = server.seen().pop().unwrap();
    assert!(
        seen.starts_with(&format!("POST /services/{CANARY} ")) && seen.ends_with(r#"{"text":"hello"}"#),
        "{seen}"
    );
    write(&format!("https://evil.example/{CANARY}"));
    let http = configured(&format!(
        "endpoints: {{ chat: {{ url: 'http://127.0.0.1:{}', secret_path: {{ file: '{}' }} }} }}",
        server.port,
        path.display()
    ));
    let wrong = http.read(&asked).await;
    assert!(
        reason(&wrong) == Some(Reason::Unavailable) && !format!("{wrong:?}").contains(CANARY),
        "{wrong:?}"
    );
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Authority {
        pem: certificate.pem(),
        issuer: Issuer::new(params, key),
    }
}

/// A server's certificate and key: for these names, from and until so many days from now.
fn certificate(
    authority: &Authority,
    names: &[&str],
    days: (i64, i64),
) -> (rustls::pki_types::CertificateDer<'static>, Vec<u8>) {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    let date = |days: i64| {
        let at = jiff::Zoned::now().date() + jiff::Span::new().days(days);
        rcgen::date_time_ymd(at.year().into(), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    params.not_before = date(days.0);
    params.not_after = date(days.1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    (certificate.der().clone(), key.serialize_der())
}

#[tokio::test]
async fn a_certificate_is_judged_and_can_be_looked_at_all_the_same() {
    let trusted = authority("Trusted Authority");
    let stranger = authority("Stranger");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &trusted.pem).unwrap();
    for (issuer, name, days, trouble) in [
        (&trusted, "localhost", (-1, 30), None),
        (&trusted, "localhost", (-40, -10), Some("expired")),
        (&trusted, "localhost", (10, 30), Some("not valid yet")),
        (&trusted, "other.example", (-1, 30), Some("another name")),
        (&stranger, "localhost", (-1, 30), Some("nobody who is trusted")),
    ] {
        let (der, key) = certificate(issuer, &[name], days);
        let server = Server::secure(der, key, |_| Act::Keep(reply("200 OK", "", b"secure"))).await;
        let http = configured(&format!(
            "endpoints: {{ shop: {{ url: '{}', ca: '{}', addresses: [loopback] }} }}",
            server.secure_url("localhost"),
            ca.display()
        ));
        let probe = http.read(&call("probe", "shop", vec![])).await;
        let get = http.read(&call("get", "shop", vec![])).await;
        let look = http.read(&call("certificate", "shop", vec![])).await;
        assert_eq!(field(&look, "names"), Value::list(vec![Value::text(name)]));
        match trouble {
            None => {
                assert_eq!(field(&probe, "ok"), Value::Bool(true));
                assert_eq!(field(&get, "text"), Value::text("secure"));
                assert_eq!(field(&look, "trusted"), Value::Bool(true));
                assert_eq!(field(&look, "trouble"), Value::None);
                let Value::Duration(remaining) = field(&look, "remaining") else {
                    panic!("{look:?}");
                };
                let days = remaining / 86_400_000_000_000;
                assert!((28..=30).contains(&days), "{days}");
            }
            Some(trouble) => {
                assert_eq!(field(&probe, "reply"), Value::variant("bad_certificate"), "{trouble}");
                assert_eq!(reason(&get), Some(Reason::Unreachable), "{trouble}");
                assert!(get.as_unknown().unwrap().detail.contains(trouble), "{get:?}");
                assert_eq!(field(&look, "trusted"), Value::Bool(false));
                assert!(field(&look, "trouble").as_str().unwrap().contains(trouble), "{look:?}");
                assert_eq!(
                    server.seen(),
                    Vec::<String>::new(),
                    "nothing was sent to a server that is not who it says"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_has_no_certificate() {
    let server = Server::plain(|_| Act::Close(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())).await;
    let trusted = authority("Trusted Authority");
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &trusted.pem).unwrap();
    let endpoint = |ca: &std::path::Path| {
        configured(&format!(
            "endpoints: {{ shop: {{ url: '{}', ca: '{}', addresses: [loopback] }} }}",
            server.secure_url("127.0.0.1"),
            ca.display()
        ))
    };
    let look = endpoint(&ca)
        .read(&within(call("certificate", "shop", vec![]), 2000))
        .await;
    assert!(reason(&look).is_some(), "{look:?}");
    let clear = loopback().read(&call("certificate", &server.url("/"), vec![])).await;
    assert_eq!(reason(&clear), Some(Reason::Unavailable));
    let missing = endpoint(std::path::Path::new("/nonexistent/ca.pem"))
        .read(&call("get", "shop", vec![]))
        .await;
    assert_eq!(reason(&missing), Some(Reason::Unavailable), "{missing:?}");
}

#[tokio::test]
async fn the_origin_is_what_grants_name() {
    let http = loopback();
    let target = |url: &str| http.targets(&call("get", url, vec![]));
    assert_eq!(target("http://LOCALHOST:8080/x?y=1"), ["http://localhost:8080"]);
    assert_eq!(target("https://shop.example"), ["https://shop.example:443"]);
    for bad in ["shop", "http://u:canary@x/", "", "ftp://x/"] {
        assert_eq!(target(bad), ["(not an endpoint)"]);
    }
    let server = Server::plain(|_| Act::Keep(reply("200 OK", "", b""))).await;
    let mut gate = Gate::new(
        vec![Grant {
            capability: "http".to_owned(),
            effects: vec![Effect::Read],
            targets: Some(vec![format!("http://127.0.0.1:{}", server.port)]),
        }],
        Mode::Live,
    );
    gate.register(Arc::new(loopback()));
    assert!(
        gate.read(&call("get", &server.url("/x"), vec![]))
            .await
            .as_record()
            .is_some()
    );
    for other in [
        format!("http://localhost:{}/", server.port),
        format!("http://127.0.0.1:{}1/", server.port),
    ] {
        assert_eq!(
            reason(&gate.read(&call("get", &other, vec![])).await),
            Some(Reason::Unavailable),
            "{other}"
        );
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}
