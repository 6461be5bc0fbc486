//! Names as a chosen server gives them: one question, one reply, over UDP and, where the reply does not fit, TCP.

pub mod config;

use super::arguments::{Arguments, patience};
use super::failure::wrong;
use super::names::is_host_name;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, HealthState, Provider};
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Unknown, Value};
use config::Config;
use futures::future::BoxFuture;
use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &["answers", "lookup"];

/// How long one datagram is waited for before the question is sent again.
const AGAIN: Duration = Duration::from_millis(1500);

/// The provider `dns`: the name servers of an environment.
pub struct Dns {
    servers: BTreeMap<String, SocketAddr>,
}

/// Why there is no reply.
enum Failed {
    /// Nobody is there, or nobody says anything.
    Reply(Reply),
    Unknown(Unknown),
}

impl Failed {
    fn unknown(self) -> Unknown {
        match self {
            Failed::Unknown(unknown) => unknown,
            Failed::Reply(Reply::TimedOut) => wrong(Reason::Timeout, "the name server did not answer in time"),
            Failed::Reply(_) => wrong(Reason::Unreachable, "nobody answers at the name server's address"),
        }
    }
}

fn odd() -> Failed {
    Failed::Unknown(wrong(
        Reason::Unparsable,
        "the server does not answer as a name server does",
    ))
}

fn of_io(problem: &std::io::Error) -> Failed {
    match problem.kind() {
        std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset => Failed::Reply(Reply::Refused),
        std::io::ErrorKind::UnexpectedEof => odd(),
        _ => Failed::Unknown(wrong(
            Reason::Unreachable,
            "the name server cannot be reached from here",
        )),
    }
}

/// Whether a message is the reply to this question.
fn fits(reply: &Message, question: &Message) -> bool {
    reply.metadata.id == question.metadata.id
        && reply.metadata.message_type == MessageType::Response
        && (reply.queries == question.queries || reply.queries.is_empty() && reply.answers.is_empty())
}

async fn over_udp(server: SocketAddr, question: &Message, bytes: &[u8], until: Instant) -> Result<Message, Failed> {
    let any: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).await.map_err(|problem| of_io(&problem))?;
    // Only what this server sends is received.
    socket.connect(server).await.map_err(|problem| of_io(&problem))?;
    let mut buffer = vec![0_u8; 65_535];
    loop {
        socket.send(bytes).await.map_err(|problem| of_io(&problem))?;
        let pause = (Instant::now() + AGAIN).min(until);
        loop {
            match tokio::time::timeout_at(pause, socket.recv(&mut buffer)).await {
                Err(_elapsed) if pause >= until => return Err(Failed::Reply(Reply::TimedOut)),
                Err(_elapsed) => break,
                Ok(Err(problem)) => return Err(of_io(&problem)),
                // What does not fit was sent by somebody else, or late: the true reply may still come.
                Ok(Ok(length)) => match Message::from_vec(&buffer[..length]) {
                    Ok(reply) if fits(&reply, question) => return Ok(reply),
                    _ => {}
                },
            }
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Message, bytes: &[u8], until: Instant) -> Result<Message, Failed> {
    let work = async {
        let mut stream = TcpStream::connect(server).await.map_err(|problem| of_io(&problem))?;
        let length = u16::try_from(bytes.len()).map_err(|_| odd())?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(bytes);
        stream.write_all(&framed).await.map_err(|problem| of_io(&problem))?;
        let length = stream.read_u16().await.map_err(|problem| of_io(&problem))?;
        let mut reply = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut reply).await.map_err(|problem| of_io(&problem))?;
        match Message::from_vec(&reply) {
            Ok(reply) if fits(&reply, question) => Ok(reply),
            _ => Err(odd()),
        }
    };
    tokio::time::timeout_at(until, work)
        .await
        .unwrap_or(Err(Failed::Reply(Reply::TimedOut)))
}

async fn ask(server: SocketAddr, name: &str, kind: RecordType, until: Instant) -> Result<Message, Failed> {
    let mut name =
        Name::from_ascii(name).map_err(|_| Failed::Unknown(wrong(Reason::Unparsable, "`name` cannot be a name")))?;
    name.set_fqdn(true);
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, kind));
    let bytes = question.to_vec().map_err(|_| odd())?;
    let reply = over_udp(server, &question, &bytes, until).await?;
    if reply.metadata.truncation {
        return over_tcp(server, &question, &bytes, until).await;
    }
    Ok(reply)
}

/// What an entry holds, as it is written in a zone.
fn data(answer: &Record) -> Value {
    let mut text = String::new();
    // Not everything that can travel can be written.
    match write!(text, "{}", answer.data) {
        Ok(()) => Value::text(text),
        Err(_) => Value::unknown(Reason::Unparsable, "the entry cannot be written as text"),
    }
}

/// The record `Found`.
fn found(reply: &Message, took: Duration) -> Result<Value, Unknown> {
    let exists = match reply.metadata.response_code {
        ResponseCode::NoError => true,
        ResponseCode::NXDomain => false,
        ResponseCode::Refused => return Err(wrong(Reason::Denied, "the name server refuses to answer us")),
        ResponseCode::ServFail => return Err(wrong(Reason::Unavailable, "the name server itself got no answer")),
        other => return Err(wrong(Reason::Unavailable, format!("the name server says: {other}"))),
    };
    let entries = reply
        .answers
        .iter()
        .map(|answer| {
            Value::record(
                "Entry",
                vec![
                    ("name", Value::text(answer.name.to_ascii())),
                    (
                        "kind",
                        Value::text(answer.record_type().to_string().to_ascii_lowercase()),
                    ),
                    ("ttl", Value::duration(Duration::from_secs(answer.ttl.into()))),
                    ("data", data(answer)),
                ],
            )
        })
        .collect();
    Ok(Value::record(
        "Found",
        vec![
            ("exists", Value::Bool(exists)),
            ("entries", Value::list(entries)),
            ("authoritative", Value::Bool(reply.metadata.authoritative)),
            ("took", Value::duration(took)),
        ],
    ))
}

impl Dns {
    /// The name servers of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        config.validate()?;
        let servers = config
            .servers
            .iter()
            .map(|(name, server)| Ok((name.clone(), server.place()?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { servers })
    }

    fn server(&self, call: &Call) -> Result<SocketAddr, Unknown> {
        let name = Arguments(call).text("server")?;
        self.servers.get(name).copied().ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no name server `{name}` is configured in this environment"),
            )
        })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let server = self.server(call)?;
        match &*call.operation.path {
            "answers" => match ask(server, ".", RecordType::NS, until).await {
                Ok(_) => Ok(probe::value(Reply::Answered, begin.elapsed(), None)),
                Err(Failed::Reply(reply)) => Ok(probe::value(reply, begin.elapsed(), None)),
                Err(failed) => Err(failed.unknown()),
            },
            "lookup" => {
                let name = Arguments(call).text("name")?;
                if !is_host_name(name) {
                    return Err(wrong(Reason::Unparsable, "`name` cannot be a name"));
                }
                let kind = match Arguments(call).text("kind")? {
                    "a" => RecordType::A,
                    "aaaa" => RecordType::AAAA,
                    "caa" => RecordType::CAA,
                    "cname" => RecordType::CNAME,
                    "mx" => RecordType::MX,
                    "ns" => RecordType::NS,
                    "ptr" => RecordType::PTR,
                    "soa" => RecordType::SOA,
                    "srv" => RecordType::SRV,
                    "txt" => RecordType::TXT,
                    _ => return Err(super::arguments::not_fitting("kind")),
                };
                let reply = ask(server, name, kind, until).await.map_err(Failed::unknown)?;
                found(&reply, begin.elapsed())
            }
            other => Err(wrong(Reason::Internal, format!("`dns.{other}` is not a read"))),
        }
    }
}

impl Provider for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("server").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    // A name server knows no rights beyond whom it answers.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for (name, server) in &self.servers {
                let until = Instant::now() + Duration::from_secs(5);
                let (state, detail) = match ask(*server, ".", RecordType::NS, until).await {
                    Ok(_) => (HealthState::Good, format!("{server} answers")),
                    Err(failed) => (HealthState::Bad, format!("{server}: {}", failed.unknown())),
                };
                lines.push(Health {
                    subject: format!("dns {name}"),
                    state,
                    detail,
                });
            }
            lines
        })
    }
}
