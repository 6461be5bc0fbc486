//! A server for tests: raw bytes over TCP or TLS, so that it can misbehave in every way.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the server does with a request.
pub enum Act {
    /// Writes and waits for the next request on the same connection.
    Keep(Vec<u8>),
    /// Writes and closes.
    Close(Vec<u8>),
    /// Writes, then a byte now and then for ever.
    Drip(Vec<u8>),
    /// Writes and says nothing more.
    Silent(Vec<u8>),
}

type Handler = dyn Fn(&str) -> Act + Send + Sync;

/// A running server. It ends with the runtime of the test.
pub struct Server {
    pub port: u16,
    pub connections: Arc<AtomicUsize>,
    /// Heads of all requests, with what came behind them in the same packet.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Over plain TCP.
    pub async fn plain(handler: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::start(None, handler).await
    }

    /// Over TLS with this certificate and key (DER).
    pub async fn secure(
        certificate: CertificateDer<'static>,
        key: Vec<u8>,
        handler: impl Fn(&str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)))
            .unwrap();
        Self::start(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))), handler).await
    }

    async fn start(
        tls: Option<tokio_rustls::TlsAcceptor>,
        handler: impl Fn(&str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, requests) = (server.connections.clone(), server.requests.clone());
        let handler: Arc<Handler> = Arc::new(handler);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (tls, requests, handler) = (tls.clone(), requests.clone(), handler.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &requests, &*handler).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &requests, &*handler).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn secure_url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }

    pub fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, requests: &Mutex<Vec<String>>, handler: &Handler) {
    loop {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => request.extend_from_slice(&buffer[..length]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        requests.lock().unwrap().push(request.clone());
        let (bytes, then) = match handler(&request) {
            Act::Keep(bytes) => (bytes, 0),
            Act::Close(bytes) => (bytes, 1),
            Act::Drip(bytes) => (bytes, 2),
            Act::Silent(bytes) => (bytes, 3),
        };
        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match then {
            0 => {}
            1 => {
                let _ = stream.shutdown().await;
                return;
            }
            2 => loop {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            },
            _ => {
                // Until the client hangs up.
                let _ = stream.read(&mut buffer).await;
                return;
            }
        }
    }
}

/// A reply with a status, headers and a body of known length.
pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
