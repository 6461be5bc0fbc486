//! The API server of the tests on the wire: HTTP/1.1, one answer per request, connections kept.

use super::world::{Reply, Request, World};
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Faults of the wire, each for the next request that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The change is made, and the connection breaks before the answer.
    BreakAfterChange,
    /// The answer never comes.
    Silence,
}

#[derive(Clone)]
pub struct Server {
    pub address: String,
    pub world: Arc<Mutex<World>>,
    pub fault: Arc<Mutex<Option<Fault>>>,
}

impl Server {
    pub async fn start(world: World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            world: Arc::new(Mutex::new(world)),
            fault: Arc::default(),
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(own.clone().serve(stream));
            }
        });
        server
    }

    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let Some((request, used)) = next(&mut stream, &mut buffer).await else {
                return;
            };
            buffer.drain(..used);
            let changes = request.method != "GET" && !request.path.contains("reviews");
            let fault = {
                let mut fault = self.fault.lock().unwrap();
                match *fault {
                    Some(Fault::BreakAfterChange) if !changes => None,
                    _ => fault.take(),
                }
            };
            if fault == Some(Fault::Silence) {
                std::future::pending::<()>().await;
            }
            let reply = self.world().answer(&request);
            if fault == Some(Fault::BreakAfterChange) || stream.write_all(&written(&reply)).await.is_err() {
                return;
            }
        }
    }
}

fn written(reply: &Reply) -> Vec<u8> {
    let (kind, body) = match &reply.body {
        Json::Null => ("text/plain; charset=utf-8", Vec::new()),
        Json::String(text) => ("text/plain; charset=utf-8", text.clone().into_bytes()),
        other => ("application/json", serde_json::to_vec(other).unwrap()),
    };
    let mut head = format!("HTTP/1.1 {} X\r\ncontent-type: {kind}\r\n", reply.status);
    if let Some(wait) = reply.retry_after {
        head.push_str(&format!("retry-after: {wait}\r\n"));
    }
    if reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    bytes
}

/// The next request of a connection, and how many bytes it took.
async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(Request, usize)> {
    let mut part = [0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let mut lines = head.lines();
            let mut first = lines.next()?.split(' ');
            let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let header = |name: &str| {
                headers
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            };
            let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            let whole = end + 4 + length;
            if buffer.len() >= whole {
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let request = Request {
                    method,
                    path: path.to_owned(),
                    query: Request::query_of(query),
                    content_type: header("content-type").unwrap_or_default(),
                    token: header("authorization").unwrap_or_default().replace("Bearer ", ""),
                    acting_as: header("impersonate-user"),
                    body: serde_json::from_slice(&buffer[end + 4..whole]).unwrap_or(Json::Null),
                };
                return Some((request, whole));
            }
        }
        let read = stream.read(&mut part).await.ok()?;
        if read == 0 {
            return None;
        }
        buffer.extend_from_slice(&part[..read]);
    }
}
