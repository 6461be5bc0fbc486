//! Engines that are not there or answer what no engine answers.

use super::{at, get};
use crate::support::gated::{field, reason};
use starr::value::{Reason, Value};
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
