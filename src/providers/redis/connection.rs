//! A connection of its own for each call: nothing is left over from another one. Names, TLS and login are explicit, replies are bounded.

use super::config::{Login, Role, Server};
use super::failure::{Failure, Refusal, TOO_LARGE, classify, refusal};
use crate::limits::REDIS_REPLY_BYTES;
use crate::providers::http::tls;
use crate::providers::names;
use crate::secrets::SecretText;
use crate::value::Reason;
use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value as Reply};
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

/// Why nobody came in.
#[derive(Debug)]
pub enum Closed {
    /// The host's name does not exist.
    NoSuchName,
    /// Nobody takes connections there.
    NobodyThere,
    /// Nothing came back in time.
    Late,
    /// The certificate is not trusted.
    Certificate(String),
    /// The server spoke, and it was not a welcome.
    Turned(Refusal, Failure),
    /// Anything else.
    Other(Failure),
}

impl Closed {
    /// What it means for a call that wanted to ask something.
    pub fn failure(self) -> Failure {
        match self {
            Closed::NoSuchName => Failure::definite(Reason::Unreachable, "the host's name does not exist"),
            Closed::NobodyThere => Failure::definite(Reason::Unreachable, "the connection was refused"),
            Closed::Late => Failure::definite(Reason::Timeout, "connecting took too long"),
            Closed::Certificate(why) => Failure::definite(
                Reason::Unreachable,
                format!("the server's certificate is not trusted: {why}"),
            ),
            Closed::Turned(_, failure) | Closed::Other(failure) => failure,
        }
    }
}

/// A connection that has been let in.
pub struct Link {
    connection: MultiplexedConnection,
    /// Bytes read of the reply under way.
    read: Arc<AtomicUsize>,
    driver: tokio::task::JoinHandle<()>,
    until: Instant,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The socket closes with its driver.
        self.driver.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A stream of which a reply can take only so much, and that keeps the first words: a server without room says so and hangs up
/// before anybody has asked, and then writing fails before these words are read.
struct Bounded {
    inner: Box<dyn Stream>,
    read: Arc<AtomicUsize>,
    first: FirstWords,
}

/// The first bytes that came.
type FirstWords = Arc<Mutex<Vec<u8>>>;

/// How many of them are kept.
const FIRST: usize = 256;

impl Bounded {
    fn keep(&self, bytes: &[u8]) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST.saturating_sub(first.len()).min(bytes.len());
        first.extend_from_slice(&bytes[..room]);
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.keep(&buffer.filled()[before..]);
        if self.read.fetch_add(read, Ordering::Relaxed) + read > REDIS_REPLY_BYTES {
            return Poll::Ready(Err(std::io::Error::other(TOO_LARGE)));
        }
        polled
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if matches!(polled, Poll::Ready(Err(_))) {
            let mut last = [0; FIRST];
            let mut buffer = ReadBuf::new(&mut last);
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
                self.keep(buffer.filled());
            }
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Opens a connection and logs in. `database` is the number of the database that keys are in.
pub async fn open(server: &Server, role: Role, database: u16, until: Instant) -> Result<Link, Closed> {
    let connecting = until.min(Instant::now() + server.connect_within());
    match tokio::time::timeout_at(connecting, enter(server, role, database, until)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Closed::Late),
    }
}

async fn enter(server: &Server, role: Role, database: u16, until: Instant) -> Result<Link, Closed> {
    let ours = |reason, detail: String| Closed::Other(Failure::definite(reason, detail));
    let login = server.login(role).ok_or_else(|| {
        ours(
            Reason::Unavailable,
            format!("no login for `{}` is configured for this server", role.word()),
        )
    })?;
    let password = match &login.password {
        Some(source) => Some(source.read().map_err(|problem| ours(Reason::Unavailable, problem))?),
        None => None,
    };
    let inner = stream(server, role, until).await?;
    let read = Arc::new(AtomicUsize::new(0));
    let first = FirstWords::default();
    let bounded = Bounded {
        inner,
        first: Arc::clone(&first),
        read: Arc::clone(&read),
    };
    // Deadlines are those of the call.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    // Logging in is done below: the library leaves out what the server said.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let (connection, driver) = MultiplexedConnection::new_with_config(&settings, bounded, config)
        .await
        .map_err(|problem| turned_away(&problem))?;
    let mut link = Link {
        connection,
        read,
        driver: tokio::spawn(driver),
        until,
    };
    log_in(&mut link, login, password.as_ref(), database)
        .await
        .map_err(|problem| {
            // What it said before it hung up says more than that it did.
            let first = first.lock().unwrap_or_else(PoisonError::into_inner);
            let said = (problem.is_io_error() && first.first() == Some(&b'-'))
                .then(|| ::redis::parse_redis_value(&first).and_then(Reply::extract_error).err())
                .flatten();
            turned_away(&said.unwrap_or(problem))
        })?;
    Ok(link)
}

async fn log_in(
    link: &mut Link,
    login: &Login,
    password: Option<&SecretText>,
    database: u16,
) -> Result<(), RedisError> {
    if let Some(password) = password {
        let mut command = ::redis::cmd("AUTH");
        if let Some(user) = &login.user {
            command.arg(user);
        }
        link.enter(command.arg(password.expose())).await?;
    }
    if database != 0 {
        link.enter(::redis::cmd("SELECT").arg(database)).await?;
    }
    Ok(())
}

fn turned_away(problem: &RedisError) -> Closed {
    let failure = classify(problem, false);
    match refusal(problem) {
        Some(refusal) => Closed::Turned(refusal, failure),
        None => Closed::Other(failure),
    }
}

async fn stream(server: &Server, role: Role, until: Instant) -> Result<Box<dyn Stream>, Closed> {
    let Some(host) = server.host.as_deref() else {
        let path = server.socket.as_deref().unwrap_or(std::path::Path::new(""));
        return match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(problem) => Err(unreachable(&problem)),
        };
    };
    let host = host.trim_matches(['[', ']']);
    let tcp = tcp(host, server.port, until).await?;
    // Commands are small and answered one by one.
    let _ = tcp.set_nodelay(true);
    if !server.tls() {
        return Ok(Box::new(tcp));
    }
    let ours = |unknown| Closed::Other(Failure::from(unknown));
    let identity = server.login(role).and_then(|login| login.client.as_ref());
    let config = tls::of_client(server.ca.as_deref(), identity).map_err(ours)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Closed::Other(Failure::definite(
            Reason::Unavailable,
            "`host` cannot be the name in a certificate",
        ))
    })?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    match connector.connect(name, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(problem) => Err(
            match problem
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(inner @ rustls::Error::InvalidCertificate(_)) => Closed::Certificate(tls::words(inner)),
                Some(_) => Closed::Other(Failure::definite(
                    Reason::Unreachable,
                    "the server does not speak TLS as it should, or refused our certificate",
                )),
                None => Closed::Other(Failure::definite(
                    Reason::Unreachable,
                    "the connection broke in the TLS handshake; does this port speak TLS?",
                )),
            },
        ),
    }
}

async fn tcp(host: &str, port: u16, until: Instant) -> Result<TcpStream, Closed> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let left = until.saturating_duration_since(Instant::now());
            names::resolve(host, left).await.map_err(|failure| match failure {
                names::Failure::NoSuchName => Closed::NoSuchName,
                names::Failure::NoAnswer | names::Failure::Refused => Closed::Other(Failure::definite(
                    Reason::Unreachable,
                    "the host's name cannot be looked up at the moment",
                )),
                names::Failure::Unknown(unknown) => Closed::Other(unknown.into()),
            })?
        }
    };
    let mut last = Closed::NoSuchName;
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(problem) => last = unreachable(&problem),
        }
    }
    Err(last)
}

fn unreachable(problem: &std::io::Error) -> Closed {
    match problem.kind() {
        std::io::ErrorKind::TimedOut => Closed::Late,
        std::io::ErrorKind::PermissionDenied => Closed::Other(Failure::definite(
            Reason::Denied,
            "this user may not use the server's socket",
        )),
        _ => Closed::NobodyThere,
    }
}

impl Link {
    /// A command that belongs to coming in.
    async fn enter(&mut self, command: &Cmd) -> Result<(), RedisError> {
        let reply = self.connection.send_packed_command(command).await?;
        reply.extract_error().map(|_| ())
    }

    /// Asks one thing.
    pub async fn ask(&mut self, command: &Cmd) -> Result<Reply, Failure> {
        self.send(command, false).await
    }

    /// Sends one command that changes something.
    pub async fn change(&mut self, command: &Cmd) -> Result<Reply, Failure> {
        self.send(command, true).await
    }

    async fn send(&mut self, command: &Cmd, change: bool) -> Result<Reply, Failure> {
        self.read.store(0, Ordering::Relaxed);
        match tokio::time::timeout_at(self.until, self.connection.send_packed_command(command)).await {
            Ok(Ok(reply)) => reply.extract_error().map_err(|problem| classify(&problem, change)),
            Ok(Err(problem)) => Err(classify(&problem, change)),
            Err(_elapsed) => Err(late(change)),
        }
    }

    /// Asks several things at once. Each has its own answer; what the server refuses is an error in its place.
    pub async fn ask_all(&mut self, pipeline: &Pipeline) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        self.read.store(0, Ordering::Relaxed);
        let count = pipeline.cmd_iter().count();
        let asked = self.connection.send_packed_commands(pipeline, 0, count);
        match tokio::time::timeout_at(self.until, asked).await {
            Ok(Ok(replies)) if replies.len() == count => Ok(replies
                .into_iter()
                .map(|reply| reply.extract_error().map_err(|problem| classify(&problem, false)))
                .collect()),
            Ok(Ok(_)) => Err(Failure::definite(
                Reason::Unparsable,
                "the server does not answer as Redis does",
            )),
            Ok(Err(problem)) => Err(classify(&problem, false)),
            Err(_elapsed) => Err(late(false)),
        }
    }

    /// What is left of the call's time.
    pub fn until(&self) -> Instant {
        self.until
    }
}

fn late(change: bool) -> Failure {
    let failure = Failure::definite(Reason::Timeout, "the server took too long");
    if change { failure.after_sending() } else { failure }
}
