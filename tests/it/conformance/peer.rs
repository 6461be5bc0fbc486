//! A server at which every provider is pointed: it hears everything and gives no proper answer.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tokio::sync::watch;

/// How the server misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes what comes and never answers.
    Silent,
    /// It begins as the protocol wants it and never ends.
    Endless(&'static [u8]),
    /// It says this and hangs up.
    Says(&'static [u8]),
    /// It gives back what it got, as an error of the protocol: what comes before it.
    Echoes(&'static [u8]),
}

#[derive(Default)]
struct Heard {
    bytes: Mutex<Vec<u8>>,
    /// How often something came in, and connections that are open.
    counts: watch::Sender<Counts>,
    sent: AtomicUsize,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    calls: usize,
    open: usize,
}

/// The server: TCP, UDP at the same port, and a socket of this machine.
pub struct Peer {
    pub port: u16,
    pub socket: PathBuf,
    folder: tempfile::TempDir,
    heard: Arc<Heard>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Peer {
    pub async fn new(manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let heard: Arc<Heard> = Arc::default();
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let unix = UnixListener::bind(&socket).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let (one, two, three) = (heard.clone(), heard.clone(), heard.clone());
        let (first, second, third) = (manner.clone(), manner.clone(), manner);
        let tasks = vec![
            tokio::spawn(async move {
                while let Ok((stream, _)) = tcp.accept().await {
                    tokio::spawn(serve(stream, first.clone(), one.clone()));
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = unix.accept().await {
                    tokio::spawn(serve(stream, second.clone(), two.clone()));
                }
            }),
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
                    three.take(&buffer[..length]);
                    let mut reply = buffer[..length].to_vec();
                    let Some(flags) = reply.get_mut(2..4) else { continue };
                    match &third {
                        Manner::Silent => continue,
                        // The question as a reply that was cut, so that it is asked again over TCP.
                        Manner::Endless(_) => flags.copy_from_slice(&[0x83, 0x80]),
                        // The question as a refusal.
                        Manner::Echoes(_) => flags.copy_from_slice(&[0x81, 0x85]),
                        Manner::Says(said) => reply.splice(2.., said.iter().copied()).for_each(drop),
                    }
                    let _ = udp.send_to(&reply, from).await;
                }
            }),
        ];
        Self {
            port,
            socket,
            folder,
            heard,
            tasks,
        }
    }

    /// A file with a secret.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        path
    }

    /// Until something comes in that had not when this was called.
    pub fn heard_more(&self) -> impl Future<Output = ()> + use<> {
        let mut counts = self.heard.counts.subscribe();
        let before = counts.borrow().calls;
        async move {
            counts.wait_for(|counts| counts.calls > before).await.unwrap();
        }
    }

    /// Bytes that could be sent since this was asked last.
    pub fn sent(&self) -> usize {
        self.heard.sent.swap(0, Ordering::Relaxed)
    }

    /// Whether this was among what came in.
    pub fn heard(&self, text: &str) -> bool {
        let bytes = self.heard.bytes.lock().unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// Waits until all connections are closed.
    pub async fn all_closed(&self, within: Duration) -> bool {
        let mut counts = self.heard.counts.subscribe();
        let closed = counts.wait_for(|counts| counts.open == 0);
        tokio::time::timeout(within, closed).await.is_ok()
    }
}

impl Heard {
    fn take(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        self.counts.send_modify(|counts| counts.calls += 1);
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner, heard: Arc<Heard>) {
    heard.counts.send_modify(|counts| counts.open += 1);
    speak(&mut stream, manner, &heard).await;
    heard.counts.send_modify(|counts| counts.open -= 1);
}

async fn speak(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), manner: Manner, heard: &Heard) {
    let mut buffer = vec![0; 64 * 1024];
    // A client that waits for the server's greeting says nothing at first.
    let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await;
    let first = match read {
        Ok(Ok(length @ 1..)) => buffer[..length].to_vec(),
        Ok(_) => return,
        Err(_elapsed) => Vec::new(),
    };
    heard.take(&first);
    match manner {
        Manner::Silent => {
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                heard.take(&buffer[..length]);
            }
        }
        Manner::Endless(begin) => {
            if stream.write_all(begin).await.is_err() {
                return;
            }
            buffer.fill(b'a');
            while stream.write_all(&buffer).await.is_ok() {
                heard.sent.fetch_add(buffer.len(), Ordering::Relaxed);
            }
        }
        Manner::Says(said) => {
            let _ = stream.write_all(said).await;
        }
        Manner::Echoes(before) => {
            let printable: Vec<u8> = first
                .iter()
                .map(|byte| if byte.is_ascii_graphic() { *byte } else { b' ' })
                .collect();
            let _ = stream.write_all(&[before, &printable, b"\r\n"].concat()).await;
        }
    }
}
