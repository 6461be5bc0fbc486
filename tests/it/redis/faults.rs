//! Servers that are silent, break off, or answer what no Redis answers.

use super::{Server, World};
use crate::support::gated::{field, reason};
use starr::provider::Outcome;
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server of the test that gives `answer` to whatever holds the word; nothing when it is empty, and goes away when there is none.
async fn server(answers: Vec<(&'static str, Option<Vec<u8>>)>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    let asked = String::from_utf8_lossy(&buffer[..length]).to_uppercase();
                    match answers.iter().find(|(word, _)| asked.contains(word)) {
                        Some((_, Some(answer))) => {
                            if stream.write_all(answer).await.is_err() {
                                return;
                            }
                        }
                        _ => return,
                    }
                }
            });
        }
    });
    port
}

fn world(port: u16) -> World {
    let folder = tempfile::tempdir().unwrap();
    World::new(&format!("{{ host: 127.0.0.1, port: {port}, change: {{}} }}"), folder)
}

#[tokio::test]
async fn a_reply_beyond_the_limit_is_unknown() {
    let real = Server::start();
    let world_of_real = real.world();
    assert!(world_of_real.read("slow_log", &[]).await.as_unknown().is_none());
    let mut large = format!("${}\r\n", 17 << 20).into_bytes();
    large.extend(std::iter::repeat_n(b'x', 17 << 20));
    large.extend(b"\r\n");
    let port = server(vec![("INFO", Some(large))]).await;
    let (why, detail) = reason(&world(port).read("memory", &[]).await);
    assert_eq!(why, Reason::Truncated, "{detail}");
}

#[tokio::test]
async fn what_no_redis_answers_is_unreadable() {
    for odd in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        b"*1\r\n:1\r\n",
        b"$-1\r\n",
        b"*-5\r\n",
        b"\xff\xfe\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
    ] {
        let port = server(vec![
            ("INFO", Some(odd.to_vec())),
            ("SLOWLOG", Some(odd.to_vec())),
            ("PING", Some(odd.to_vec())),
        ])
        .await;
        let world = world(port);
        for path in ["memory", "slow_log"] {
            let value = world.read_within(path, &[], Duration::from_secs(2)).await;
            assert!(value.as_unknown().is_some(), "{path}: {odd:?}: {value:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_a_timeout() {
    let port = server(vec![("INFO", Some(Vec::new())), ("PING", Some(Vec::new()))]).await;
    let world = world(port);
    let begin = Instant::now();
    let memory = world.read_within("memory", &[], Duration::from_millis(400)).await;
    assert_eq!(reason(&memory).0, Reason::Timeout);
    let ping = world.read_within("ping", &[], Duration::from_millis(400)).await;
    assert_eq!(field(&ping, "reply"), Value::variant("timed_out"));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn nobody_there_is_a_no() {
    let port = crate::support::daemon::free_port();
    let world = world(port);
    assert_eq!(
        field(&world.read("ping", &[]).await, "reply"),
        Value::variant("refused")
    );
    assert_eq!(reason(&world.read("memory", &[]).await).0, Reason::Unreachable);
    let folder = tempfile::tempdir().unwrap();
    let nowhere = World::new("{ host: no-such-host.invalid, tls: false }", folder);
    let reply = nowhere.read("ping", &[]).await;
    // A machine without any name server cannot even say that.
    assert!(
        reply.as_unknown().is_some() || field(&reply, "reply") == Value::variant("no_such_name"),
        "{reply:?}"
    );
}

/// Everything up to the moment of sending is a failure; behind it nobody knows.
#[tokio::test]
async fn a_connection_that_breaks_leaves_a_change_open() {
    let get =
        |value: &str| Some(format!("*2\r\n$16\r\nmaxmemory-policy\r\n${}\r\n{value}\r\n", value.len()).into_bytes());
    let args = [
        ("name", Value::text("maxmemory-policy")),
        ("to", Value::text("allkeys-lru")),
    ];
    let early = server(vec![("GET", None)]).await;
    world(early).refused("settings.set", &args).await;
    let late = server(vec![("GET", get("noeviction")), ("SET", None)]).await;
    let outcome = world(late).change("settings.set", &args).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(unknown) if unknown.reason == Reason::Unreachable),
        "{outcome:?}"
    );
}
