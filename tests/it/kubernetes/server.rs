//! The API server of the tests on the wire: HTTP/1.1, one answer per request, connections kept.

use super::world::{Reply, Request, Watching, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
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
    /// Answers from a thread of its own, so that whoever blocks the thread of a test is answered, too.
    pub async fn start(world: World) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            world: Arc::new(Mutex::new(world)),
            fault: Arc::default(),
        };
        let own = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(own.clone().serve(stream));
                }
            });
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
            if request.watches() {
                let begun = self.world().watch(&request);
                match begun {
                    Watching::Answered(reply) => {
                        let bytes = self.written(&reply);
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    Watching::Broken => return,
                    Watching::Lines(lines, version, ends) => {
                        self.stream(&mut stream, &request, lines, version, ends).await;
                        return;
                    }
                }
            }
            let reply = self.world().answer(&request);
            if request.path.ends_with("/exec") && reply.status < 300 {
                self.run(&mut stream, &request).await;
                return;
            }
            let bytes = self.written(&reply);
            if fault == Some(Fault::BreakAfterChange) || stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }

    /// Tells what happens, a line each, until whoever watches goes away.
    async fn stream(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        mut lines: Vec<Json>,
        mut version: u64,
        ends: bool,
    ) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        let mut pulse = tokio::time::interval(std::time::Duration::from_millis(5));
        let mut nothing = [0];
        loop {
            for line in lines.drain(..) {
                let text = format!("{line}\n");
                // In two pieces: a line may come in parts.
                let (front, back) = text.split_at(text.len() / 2);
                for piece in [front, back] {
                    if stream
                        .write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
            if ends {
                let _ = stream.write_all(b"0\r\n\r\n").await;
                return;
            }
            tokio::select! {
                _ = stream.read(&mut nothing) => return,
                _ = pulse.tick() => {}
            }
            (lines, version) = self.world().since(request, version);
        }
    }

    /// A program in a container, over a stream of frames.
    async fn run(&self, stream: &mut TcpStream, request: &Request) {
        let digest = ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!(
                "{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                request.upgrade.as_deref().unwrap_or_default()
            )
            .as_bytes(),
        );
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-accept: {}\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\r\n",
            STANDARD.encode(digest)
        );
        let words = request.all("command").join(" ");
        let program = self.world().programs.get(&words).cloned();
        let (out, err, code) = program.unwrap_or_else(|| (String::new(), format!("{words}: not found"), Some(127)));
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
        let mut frames = Vec::new();
        for (channel, text) in [(1_u8, out), (2, err)] {
            for piece in text.as_bytes().chunks(60_000) {
                frames.extend(frame(channel, piece));
            }
        }
        if stream.write_all(&frames).await.is_err() {
            return;
        }
        let Some(code) = code else {
            // It never ends; whoever waits goes away.
            let mut nothing = [0; 64];
            while stream.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
            return;
        };
        let status = if code == 0 {
            json!({"metadata": {}, "status": "Success"})
        } else {
            json!({"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
                   "message": format!("command terminated with exit code {code}"),
                   "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]}})
        };
        let _ = stream.write_all(&frame(3, status.to_string().as_bytes())).await;
        let _ = stream.write_all(&[0x88, 0x02, 0x03, 0xe8]).await;
        let mut nothing = [0; 64];
        while stream.read(&mut nothing).await.is_ok_and(|read| read > 0) {}
    }

    fn written(&self, reply: &Reply) -> Vec<u8> {
        let ahead = self.world().clock_ahead;
        let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        written(reply, &date)
    }
}

/// One frame of a server: never masked.
fn frame(channel: u8, text: &[u8]) -> Vec<u8> {
    let length = text.len() + 1;
    let mut bytes = vec![0x82];
    if length < 126 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(126);
        bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
    }
    bytes.push(channel);
    bytes.extend(text);
    bytes
}

fn written(reply: &Reply, date: &str) -> Vec<u8> {
    let (kind, body) = match &reply.body {
        Json::Null => ("text/plain; charset=utf-8", Vec::new()),
        Json::String(text) => ("text/plain; charset=utf-8", text.clone().into_bytes()),
        other => ("application/json", serde_json::to_vec(other).unwrap()),
    };
    let mut head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: {kind}\r\ndate: {date}\r\n",
        reply.status
    );
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
                    upgrade: header("sec-websocket-key"),
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
