//! The provider `mail`: a message to a group of addresses, over SMTP.

use super::config::{MailConfig, ServerConfig, Tls};
use super::{cut, failed, named, no_read, patience, text, unknown};
use crate::limits::{MAIL_SUBJECT_CHARACTERS, MAIL_TEXT_BYTES};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::providers::bounded::{Bounded, Seen, TOO_LARGE};
use crate::providers::http::tls::{self, NoHandshake};
use crate::value::{Reason, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use lettre::address::Envelope;
use lettre::message::{Mailbox, Message, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The operations, as in `stdlib/mail.starr`.
const OPERATIONS: &[&str] = &["send"];

struct Server {
    config: ServerConfig,
    from: Mailbox,
}

/// Mail as an environment configures it.
pub struct Mail {
    server: Option<Server>,
    boxes: BTreeMap<String, Vec<Mailbox>>,
}

impl Mail {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the entry that cannot be used, and why.
    pub fn new(config: &MailConfig) -> Result<Self, String> {
        let mailbox = |text: &String, place: &str| {
            text.parse::<Mailbox>()
                .map_err(|problem| format!("{place}: `{text}` is not a mail address: {problem}"))
        };
        let server = match &config.server {
            None if config.boxes.is_empty() => None,
            None => return Err("mail.boxes are named, and no mail.server that would take their mail".to_owned()),
            Some(server) => {
                let local = matches!(server.host.as_str(), "localhost" | "127.0.0.1" | "::1");
                if server.tls == Tls::None && !local {
                    return Err("mail.server: `tls: none` is for this machine only (localhost)".to_owned());
                }
                if server.user.is_some() != server.password.is_some() {
                    return Err("mail.server: `user` and `password` come together".to_owned());
                }
                Some(Server {
                    config: server.clone(),
                    from: mailbox(&server.from, "mail.server.from")?,
                })
            }
        };
        let boxes = config
            .boxes
            .iter()
            .map(|(name, addresses)| {
                if addresses.is_empty() {
                    return Err(format!("mail.boxes.{name}: names no address"));
                }
                let place = format!("mail.boxes.{name}");
                let all = addresses.iter().map(|address| mailbox(address, &place));
                Ok((name.clone(), all.collect::<Result<_, _>>()?))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { server, boxes })
    }

    async fn send(&self, call: &Call) -> Outcome {
        let name = text(call, "to");
        let (Some(server), Some(to)) = (&self.server, self.boxes.get(name)) else {
            return failed(Reason::Unavailable, "the configuration has no mailbox of this name");
        };
        let (envelope, message) = match written(server, to, call) {
            Ok(made) => made,
            Err(problem) => return failed(Reason::Unparsable, problem),
        };
        let deadline = tokio::time::Instant::now() + patience(call);
        let connection = tokio::time::timeout_at(deadline, server.connect()).await;
        let mut connection = match connection {
            Ok(Ok(connection)) => connection,
            Ok(Err(problem)) => return Outcome::Failed(problem),
            Err(_elapsed) => return failed(Reason::Timeout, "the mail server does not answer"),
        };
        let sent = tokio::time::timeout_at(deadline, connection.send(&envelope, &message)).await;
        match sent {
            Ok(Ok(response)) => {
                // Whether it says goodbye changes nothing.
                let _ = tokio::time::timeout_at(deadline, connection.quit()).await;
                let answer = response.message().collect::<Vec<_>>().join(" ");
                Outcome::Done(Value::record(
                    "Sent",
                    vec![
                        ("addresses", Value::Int(to.len() as i64)),
                        ("answer", Value::text(cut(&answer, 200))),
                    ],
                ))
            }
            // A server that answers with a refusal has not taken it; one that goes silent may have.
            Ok(Err(problem)) if problem.status().is_some() || problem.is_client() => Outcome::Failed(said(&problem)),
            Ok(Err(problem)) => Outcome::Unclear(said(&problem)),
            Err(_elapsed) => Outcome::Unclear(unknown(
                Reason::Timeout,
                "the mail server did not say in time whether it took it",
            )),
        }
    }
}

impl Server {
    async fn connect(&self) -> Result<AsyncSmtpConnection, Unknown> {
        let config = &self.config;
        let hello = ClientId::Domain("localhost".to_owned());
        let mut connection = AsyncSmtpConnection::connect_with_transport(self.line().await?, &hello)
            .await
            .map_err(|problem| said(&problem))?;
        if config.tls == Tls::Starttls {
            if !connection.can_starttls() {
                return Err(unknown(
                    Reason::Denied,
                    "the mail server offers no STARTTLS, and nothing is sent in the clear",
                ));
            }
            connection
                .starttls(self.tls()?, &hello)
                .await
                .map_err(|problem| said(&problem))?;
        }
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            let password = password
                .read()
                .map_err(|problem| unknown(Reason::Unavailable, problem))?;
            let who = Credentials::new(user.clone(), password.expose().to_owned());
            connection
                .auth(DEFAULT_MECHANISMS, &who)
                .await
                .map_err(|problem| Unknown {
                    reason: Reason::Denied,
                    detail: format!("the mail server does not take who we are: {}", said(&problem).detail),
                })?;
        }
        Ok(connection)
    }

    /// The connection, over TLS where it begins with it. The library reads lines of any length: this bounds the whole conversation.
    async fn line(&self) -> Result<Box<Bounded>, Unknown> {
        let config = &self.config;
        let wrapped = config.tls == Tls::Wrapped;
        let port = config.port.unwrap_or(if wrapped { 465 } else { 587 });
        let tcp = TcpStream::connect((config.host.as_str(), port))
            .await
            .map_err(|problem| {
                unknown(
                    Reason::Unreachable,
                    format!("the mail server is not reached: {problem}"),
                )
            })?;
        let plain = Bounded::new(Box::new(tcp), Seen::default());
        if !wrapped {
            return Ok(Box::new(plain));
        }
        let trust = tls::of_client(config.ca.as_deref(), None)?;
        match tls::handshake(trust, &config.host, plain).await {
            Ok(stream) => Ok(Box::new(Bounded::new(Box::new(stream), Seen::default()))),
            Err(NoHandshake::Certificate(why)) => Err(unknown(
                Reason::Unreachable,
                format!("the mail server's certificate is not trusted: {why}"),
            )),
            Err(_) => Err(unknown(
                Reason::Unreachable,
                "the mail server does not speak TLS from the first byte; does it want `tls: starttls`?",
            )),
        }
    }

    fn tls(&self) -> Result<TlsParameters, Unknown> {
        let unusable = |problem: String| unknown(Reason::Unavailable, problem);
        let mut builder = TlsParameters::builder(self.config.host.clone());
        if let Some(path) = &self.config.ca {
            let shown = path.display();
            let pem = std::fs::read(path).map_err(|problem| unusable(format!("cannot read {shown}: {problem}")))?;
            let certificate = Certificate::from_pem(&pem).map_err(|problem| unusable(format!("{shown}: {problem}")))?;
            builder = builder
                .certificate_store(CertificateStore::None)
                .add_root_certificate(certificate);
        }
        builder.build_rustls().map_err(|problem| unusable(problem.to_string()))
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> std::io::Result<SocketAddr> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// What the server or the way to it said.
fn said(problem: &Error) -> Unknown {
    let mut detail = problem.to_string();
    let mut source = std::error::Error::source(problem);
    while let Some(inner) = source {
        let words = inner.to_string();
        // The library and the system wrap the same words.
        if !detail.ends_with(&words) {
            detail.push_str(": ");
            detail.push_str(&words);
        }
        source = inner.source();
    }
    let reason = match problem.status().map(|code| code.to_string()) {
        Some(code) if code.starts_with("421") || code.starts_with("45") => Reason::Throttled,
        Some(code) if code.starts_with("53") || code.starts_with("55") => Reason::Denied,
        Some(_) => Reason::Unavailable,
        None if detail.contains(TOO_LARGE) => Reason::Truncated,
        None if problem.is_timeout() => Reason::Timeout,
        None => Reason::Unreachable,
    };
    unknown(reason, cut(&detail, 300))
}

/// The message of a call. Line breaks cannot make headers: the library writes them encoded.
fn written(server: &Server, to: &[Mailbox], call: &Call) -> Result<(Envelope, Vec<u8>), String> {
    let body = text(call, "text");
    if body.len() > MAIL_TEXT_BYTES {
        return Err(format!("the text is longer than {MAIL_TEXT_BYTES} bytes"));
    }
    let subject = text(call, "subject").replace(['\r', '\n'], " ");
    let mut builder = Message::builder()
        .from(server.from.clone())
        .subject(cut(&subject, MAIL_SUBJECT_CHARACTERS));
    for address in to {
        builder = builder.to(address.clone());
    }
    if let Some(key) = &call.key {
        let plain: String = key
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '.' })
            .collect();
        builder = builder.message_id(Some(format!("<{plain}@{}>", server.from.email.domain())));
    }
    let message = builder
        .singlepart(SinglePart::plain(body.to_owned()))
        .map_err(|problem| problem.to_string())?;
    Ok((message.envelope().clone(), message.formatted()))
}

impl Provider for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let name = text(call, "to");
        named(self.boxes.contains_key(name), name)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        std::future::ready(no_read(call)).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.send(call).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async move {
            let Some(server) = &self.server else { return Vec::new() };
            let patience = Duration::from_secs(5);
            let tried = tokio::time::timeout(patience, server.connect()).await;
            let (state, detail) = match tried {
                Ok(Ok(mut connection)) => {
                    let _ = tokio::time::timeout(patience, connection.quit()).await;
                    (HealthState::Good, "takes our connection; nothing was sent".to_owned())
                }
                Ok(Err(problem)) => (HealthState::Bad, problem.to_string()),
                Err(_elapsed) => (HealthState::Bad, "does not answer".to_owned()),
            };
            vec![Health {
                subject: format!("mail {}", server.config.host),
                state,
                detail,
            }]
        }
        .boxed()
    }
}
