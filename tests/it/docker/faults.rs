//! Engines that are not there or answer what no engine answers.

use super::{at, get, here};
use crate::support::gated::{field, reason};
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn an_engine_that_is_not_there_is_a_no() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("socket");
    let world = at(&format!("{{ socket: {} }}", nobody.display()));
    assert_eq!(
        field(&world.read("ping", &[]).await, "reply"),
        Value::variant("refused")
    );
    assert_eq!(reason(&get(&world, "web").await).0, Reason::Unreachable);
    // A socket at which nobody listens any more.
    drop(std::os::unix::net::UnixListener::bind(&nobody).unwrap());
    assert_eq!(
        field(&world.read("ping", &[]).await, "reply"),
        Value::variant("refused")
    );
}

#[tokio::test]
async fn an_odd_engine_is_not_believed() {
    for body in [
        "<html>",
        "[]",
        "{\"State\":{\"Status\":\"dancing\"}}",
        "[{\"Id\":7}]",
        "null",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 8192];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        let body = if asked.contains("/version") {
                            "{\"ApiVersion\":\"1.41\",\"Version\":\"0\"}"
                        } else {
                            body
                        };
                        let reply = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                            body.len()
                        );
                        if stream.write_all(reply.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let world = at(&format!("{{ socket: {} }}", socket.display()));
        let container = get(&world, "web").await;
        let known = container
            .as_record()
            .is_some_and(|record| record.get("id").is_some_and(|id| id.as_str().is_some()));
        assert!(!known, "{body}: {container:?}");
        if body != "[]" {
            let list = world.read("containers.list", &[]).await;
            assert!(list.as_unknown().is_some(), "{body}: {list:?}");
        }
        let (why, _) = world.refused("containers.restart", &[("container", container)]).await;
        assert!(matches!(why, Reason::Unparsable | Reason::Missing), "{body}: {why:?}");
    }
}

/// What never ends is left after 16 MiB, whichever way it is read: as a document, as lines, as the frames of a log.
#[tokio::test]
async fn an_engine_that_never_ends_its_reply_is_cut() {
    const MEBIBYTE: usize = 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut buffer = [0; 8192];
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let version = "{\"ApiVersion\":\"1.41\",\"Version\":\"0\"}";
                if asked.contains("/version") {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", version.len());
                    return stream
                        .write_all(format!("{head}{version}").as_bytes())
                        .await
                        .unwrap_or(());
                }
                // Without a length: it ends when the connection does.
                let begin: &[u8] = match asked.contains("/logs") {
                    // A frame of standard output that is to have 4 GiB.
                    true => b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.docker.multiplexed-stream\r\n\r\n\x01\0\0\0\xff\xff\xff\xff",
                    false => b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[\"",
                };
                if stream.write_all(begin).await.is_err() {
                    return;
                }
                let piece = vec![b'a'; 64 * 1024];
                while stream.write_all(&piece).await.is_ok() {
                    counted.fetch_add(piece.len(), Ordering::Relaxed);
                }
            });
        }
    });
    let world = at(&format!("{{ socket: {} }}", socket.display()));
    let container = Value::record(
        "Container",
        vec![
            ("engine", here()),
            ("id", Value::text("abc")),
            ("state", Value::text("running")),
        ],
    );
    let lists = [
        "containers.list",
        "networks.list",
        "volumes.list",
        "images.list",
        "projects.list",
    ];
    let lists = lists.map(|path| (path, Vec::new()));
    let of_one = ["stats", "logs.tail"].map(|path| (path, vec![("container", container.clone())]));
    let named = ("containers.get", vec![("name", Value::text("web"))]);
    for (path, given) in lists.into_iter().chain(of_one).chain([named]) {
        sent.store(0, Ordering::Relaxed);
        let value = world.read(path, &given).await;
        assert_eq!(reason(&value).0, Reason::Truncated, "{path}: {value:?}");
        // What the engine could hand over, the socket's own buffer included: a reply that comes in pieces ends with a piece of 2 MiB.
        let most = if path == "stats" || path == "logs.tail" { 2 } else { 16 };
        let sent = sent.load(Ordering::Relaxed);
        assert!(
            (most * MEBIBYTE..(most + 4) * MEBIBYTE).contains(&sent),
            "{path}: {sent}"
        );
    }
}
