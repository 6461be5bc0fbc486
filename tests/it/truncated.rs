//! The connection is cut in the middle of the answer to a change, behind every byte: what is not whole confirms nothing. Of a
//! change that the target has refused it is known that it was not made; of everything else nobody claims anything.

use crate::postgres::{World, sql_text};
use crate::support::postgres::{Place, Server, one, run};
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Outcome};
use starr::providers::http::Http;
use starr::providers::http::config::HttpConfig;
use starr::value::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A server that takes each request whole, writes so many bytes of its answer, and closes the connection.
async fn cutting(answer: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                match stream.read(&mut part).await {
                    Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, taken)
}

fn delete(url: &str) -> Call {
    let operations = starr::check::interface("http").unwrap();
    let operation = operations
        .iter()
        .find(|operation| &*operation.path == "delete")
        .unwrap();
    let given = |name: &str| (name == "to").then(|| Value::text(url));
    Call {
        args: operation
            .params
            .iter()
            .map(|param| {
                let value = given(&param.name).or(param.default.clone()).unwrap_or(Value::None);
                (param.name.clone(), value)
            })
            .collect(),
        operation: operation.clone(),
        within: Duration::from_secs(30),
        key: None,
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Failed(_) => "failed",
        Outcome::Unclear(_) => "unclear",
    }
}

#[tokio::test]
async fn an_http_answer_that_is_cut_behind_any_byte_leaves_a_change_in_doubt() {
    let config: HttpConfig = serde_yaml::from_str("addresses: [loopback]").unwrap();
    let grant = Grant {
        capability: "http".to_owned(),
        effects: vec![Effect::Change],
        targets: None,
    };
    let mut gate = Gate::new(vec![grant], Mode::Live);
    gate.register(Arc::new(Http::new(&config).unwrap()));
    let head = "content-type: application/json\r\n";
    let answers = [
        // What a whole answer says, and what the head alone says.
        (
            format!("HTTP/1.1 200 OK\r\n{head}content-length: 11\r\n\r\n{{\"ok\":true}}"),
            "done",
            "unclear",
        ),
        (
            format!(
                "HTTP/1.1 201 Created\r\n{head}transfer-encoding: chunked\r\n\r\n4\r\n{{\"ok\r\n7\r\n\":true}}\r\n0\r\n\r\n"
            ),
            "done",
            "unclear",
        ),
        (
            format!("HTTP/1.1 403 Forbidden\r\n{head}content-length: 13\r\n\r\n{{\"why\":\"you\"}}"),
            "failed",
            "failed",
        ),
    ];
    for (answer, whole, headed) in answers {
        let bytes = answer.as_bytes();
        let end_of_head = answer.find("\r\n\r\n").unwrap() + 4;
        for cut in 0..=bytes.len() {
            let (url, taken) = cutting(bytes[..cut].to_vec()).await;
            let outcome = gate.change(&delete(&url)).await;
            let expected = match cut {
                cut if cut == bytes.len() => whole,
                cut if cut >= end_of_head => headed,
                _ => "unclear",
            };
            assert_eq!(
                word(&outcome),
                expected,
                "cut behind {cut} bytes of {answer:?}: {outcome:?}"
            );
            assert_eq!(taken.load(Ordering::SeqCst), 1, "it is not sent again");
        }
    }
}

/// Passes everything on between a client and the server, and cuts the client off behind so many bytes of the server's.
struct Cutter {
    port: u16,
    /// Bytes of the server that were passed on.
    passed: Arc<AtomicUsize>,
}

impl Cutter {
    async fn start(server: u16, most: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(AtomicUsize::new(0));
        let count = passed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(behind) = TcpStream::connect(("127.0.0.1", server)).await else {
                    return;
                };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = behind.into_split();
                let asking = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let mut part = [0; 4096];
                while let Ok(length) = from_server.read(&mut part).await {
                    let room = most.saturating_sub(count.load(Ordering::SeqCst)).min(length);
                    if room > 0 && to_client.write_all(&part[..room]).await.is_err() {
                        break;
                    }
                    count.fetch_add(room, Ordering::SeqCst);
                    if length == 0 || room < length {
                        break;
                    }
                }
                drop(to_client);
                asking.abort();
            }
        });
        Self { port, passed }
    }
}

/// One change through a connection that is cut behind so many bytes: what is said of it, and how often it happened.
async fn through(place: &Place, server: u16, most: usize) -> (Outcome, i64, usize) {
    let mut admin = place.admin().await;
    run(&mut admin, "truncate t").await;
    let cutter = Cutter::start(server, most).await;
    let folder = tempfile::tempdir().unwrap();
    let mut entry = place.entry(folder.path(), "");
    entry.port = cutter.port;
    let world = World::of(one(entry), folder);
    let outcome = world
        .change("execute", &[("sql", sql_text("insert into t values (1)"))])
        .await;
    drop(world);
    // The server may still be at it when its client has gone.
    place
        .until("select not exists (select 1 from pg_stat_activity where datname = current_database() and usename = 'starr_change')")
        .await;
    let count: i64 = sqlx::query_scalar("select count(*) from t")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    (outcome, count, cutter.passed.load(Ordering::SeqCst))
}

async fn one_cut(
    place: &Place,
    server: u16,
    cut: usize,
    seen: &mut std::collections::BTreeMap<(&'static str, i64), usize>,
) -> &'static str {
    let (outcome, count, _) = through(place, server, cut).await;
    match &outcome {
        Outcome::Done(_) => assert_eq!(count, 1, "cut behind {cut} bytes: {outcome:?}"),
        Outcome::Failed(_) => assert_eq!(count, 0, "cut behind {cut} bytes: {outcome:?}"),
        Outcome::Unclear(_) => assert!(count <= 1, "cut behind {cut} bytes: {outcome:?}"),
    }
    *seen.entry((word(&outcome), count)).or_default() += 1;
    word(&outcome)
}

#[tokio::test]
async fn an_answer_of_postgres_that_is_cut_behind_any_byte_is_no_lie() {
    let server = Server::shared();
    let place = server.database().await;
    run(
        &mut place.admin().await,
        "create table t (id int); grant all on t to starr_change",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let port = place.entry(folder.path(), "").port;
    let (outcome, count, whole) = through(&place, port, usize::MAX).await;
    assert_eq!((word(&outcome), count), ("done", 1), "{outcome:?}");
    let mut seen = std::collections::BTreeMap::<(&str, i64), usize>::new();
    // Before it is the login, which is long; behind it the connection is put away. What lies between is cut behind every byte.
    let (mut before, mut behind) = (0, whole);
    let coarse: Vec<usize> = (0..whole).step_by(61).collect();
    for cut in coarse {
        match one_cut(&place, port, cut, &mut seen).await {
            "failed" => before = cut,
            "done" => behind = behind.min(cut),
            _ => {}
        }
    }
    for cut in before + 1..behind {
        one_cut(&place, port, cut, &mut seen).await;
    }
    println!("{whole} bytes: {seen:?}");
    for expected in [("failed", 0), ("unclear", 1), ("done", 1)] {
        assert!(seen.contains_key(&expected), "{expected:?} was never seen: {seen:?}");
    }
}
