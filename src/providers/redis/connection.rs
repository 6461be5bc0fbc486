//! A connection of its own for each call: nothing is left over from another one. Names, TLS and login are explicit, replies are bounded.

use super::config::{Login, Role, Server};
use super::failure::{Failure, Refusal, classify, refusal};
use crate::providers::bounded::{Bounded, Seen, Stream};
use crate::providers::http::tls::{self, NoHandshake};
use crate::providers::names;
use crate::secrets::SecretText;
use crate::value::Reason;
use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value as Reply};
use std::net::{IpAddr, SocketAddr};
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
    seen: Seen,
    driver: tokio::task::JoinHandle<()>,
    until: Instant,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The socket closes with its driver.
        self.driver.abort();
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
    let seen = Seen::default();
    let bounded = Bounded::new(inner, seen.clone());
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
        seen: seen.clone(),
        driver: tokio::spawn(driver),
        until,
    };
    log_in(&mut link, login, password.as_ref(), database)
        .await
        .map_err(|problem| {
            // What it said before it hung up says more than that it did.
            let first = seen.first();
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
    match tls::handshake(config, host, tcp).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(NoHandshake::Certificate(why)) => Err(Closed::Certificate(why)),
        Err(problem) => {
            let (reason, words) = match problem {
                NoHandshake::Name => (Reason::Unavailable, "`host` cannot be the name in a certificate"),
                NoHandshake::Broke => (
                    Reason::Unreachable,
                    "the connection broke in the TLS handshake; does this port speak TLS?",
                ),
                _ => (
                    Reason::Unreachable,
                    "the server does not speak TLS as it should, or refused our certificate",
                ),
            };
            Err(Closed::Other(Failure::definite(reason, words)))
        }
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
        self.seen.begin();
        match tokio::time::timeout_at(self.until, self.connection.send_packed_command(command)).await {
            Ok(Ok(reply)) => reply.extract_error().map_err(|problem| classify(&problem, change)),
            Ok(Err(problem)) => Err(classify(&problem, change)),
            Err(_elapsed) => Err(late(change)),
        }
    }

    /// Asks several things at once. Each has its own answer; what the server refuses is an error in its place.
    pub async fn ask_all(&mut self, pipeline: &Pipeline) -> Result<Vec<Result<Reply, Failure>>, Failure> {
        self.seen.begin();
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
