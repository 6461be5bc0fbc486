//! The limits of what is sent by `http`, and of the wait for a connection, at servers of the test's own.

use starr::limits;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Outcome};
use starr::providers::http::{Http, config::HttpConfig};
use starr::value::{Reason, Value};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn gate() -> Gate {
    let mut gate = Gate::new(
        vec![Grant {
            capability: "http".to_owned(),
            effects: vec![Effect::Read, Effect::Change],
            targets: None,
        }],
        Mode::Live,
    );
    gate.register(Arc::new(Http::new(&HttpConfig::default()).unwrap()));
    gate
}

fn call(path: &str, to: SocketAddr, given: &[(&str, Value)], within: Duration) -> Call {
    let operation = starr::check::interface("http")
        .unwrap()
        .into_iter()
        .find(|operation| &*operation.path == path)
        .unwrap();
    let args = operation.params.iter().map(|param| {
        let value = match given.iter().find(|(name, _)| *name == &*param.name) {
            Some((_, value)) => value.clone(),
            None if &*param.name == "to" => Value::Resource {
                kind: "Endpoint".into(),
                name: format!("http://{to}/").into(),
            },
            None => param.default.clone().unwrap_or(Value::None),
        };
        (param.name.clone(), value)
    });
    Call {
        args: args.collect(),
        operation,
        within,
        key: Some("the-key".into()),
    }
}

#[tokio::test]
async fn a_body_that_is_sent_is_limited() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        let mut part = [0; 64 * 1024];
        // The whole body of this length, then an answer; and nobody else came meanwhile.
        let head = |seen: &[u8]| seen.windows(4).take(8192).position(|end| end == b"\r\n\r\n");
        while head(&seen).is_none_or(|head| seen.len() < head + 4 + limits::HTTP_BODY_BYTES) {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "the request ended early");
            seen.extend_from_slice(&part[..read]);
        }
        stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").unwrap();
        listener.set_nonblocking(true).unwrap();
        listener.accept().is_err()
    });
    let gate = gate();
    let send = async |length: usize| {
        // The quotes of a JSON text are part of the body.
        let body = Value::Json(Arc::new("x".repeat(length - 2).into()));
        gate.change(&call("post", to, &[("body", body)], Duration::from_secs(30)))
            .await
    };
    match send(limits::HTTP_BODY_BYTES + 1).await {
        Outcome::Failed(unknown) => assert!(unknown.detail.contains("larger than 1 MiB"), "{unknown:?}"),
        other => panic!("{other:?}"),
    }
    let sent = send(limits::HTTP_BODY_BYTES).await;
    assert!(matches!(sent, Outcome::Done(_)), "{sent:?}");
    assert!(
        server.join().unwrap(),
        "what is too large is not sent, not even in part"
    );
}

/// The queue of the server is full: it answers no attempt to connect, and refuses none.
#[tokio::test]
async fn a_connection_that_does_not_come_is_waited_for_only_so_long() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let to = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&to, Duration::from_millis(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue is never full");
    }
    let gate = gate();
    let wait = async |within: Duration| {
        let since = Instant::now();
        let value = gate.read(&call("get", to, &[], within)).await;
        let why = value.as_unknown().expect("nothing was read").reason;
        assert!(matches!(why, Reason::Timeout | Reason::Unreachable), "{value:?}");
        since.elapsed()
    };
    let (short, long) = futures::join!(wait(Duration::from_millis(500)), wait(Duration::from_secs(120)));
    assert!(short < Duration::from_secs(10), "{short:?}");
    assert!(
        long >= limits::HTTP_CONNECT && long < limits::HTTP_CONNECT + Duration::from_secs(15),
        "{long:?}"
    );
}
