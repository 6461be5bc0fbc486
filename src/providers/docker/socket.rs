//! The engine's socket, a connection for each request: bollard reads replies whole, so here is where they are bounded.

use crate::providers::bounded::{Bounded, Seen};
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker as Client};
use http::header::HOST;
use http::{HeaderValue, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// A client of the engine at this socket. `seconds` is how long one request may take; what it reads is counted by `seen`.
pub fn client(socket: &Path, seconds: u64, seen: &Seen) -> Result<Client, Error> {
    if !socket.exists() {
        return Err(Error::SocketNotFoundError(socket.display().to_string()));
    }
    let (socket, seen): (Arc<PathBuf>, _) = (Arc::new(socket.to_owned()), seen.clone());
    let transport = move |request: BollardRequest| send(Arc::clone(&socket), seen.clone(), request);
    Client::connect_with_custom_transport(transport, Some("http://localhost"), seconds, API_DEFAULT_VERSION)
}

async fn send(socket: Arc<PathBuf>, seen: Seen, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
    let stream = UnixStream::connect(&*socket).await?;
    let bounded = Bounded::new(Box::new(stream), seen);
    let (mut sender, connection) = http1::handshake(TokioIo::new(bounded)).await?;
    // It ends with the reply, or with what reads it; a program in a container speaks on the same connection.
    tokio::spawn(connection.with_upgrades());
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_static("localhost"));
    Ok(sender.send_request(request).await?)
}
