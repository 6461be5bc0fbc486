//! Handshakes: behind the address guard, with nothing sent in them but the handshake itself.

use crate::providers::http::client::{self, Halt};
use crate::providers::http::config::ClientConfig as Identity;
use crate::providers::http::fault::{Fault, of_io};
use crate::providers::http::target::Endpoint;
use crate::providers::http::tls::{self, Shown};
use crate::value::probe::Reply;
use crate::value::{Reason, Unknown};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ClientConfig, ProtocolVersion, SignatureScheme, SupportedProtocolVersion};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Name};

/// Most names of authorities that are kept of a server's list.
const AUTHORITIES: usize = 100;

/// Longest name of an authority, in bytes.
const AUTHORITY_BYTES: usize = 1024;

/// What a server says of the certificate that it wants of a client.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// It asks for one.
    pub asks: bool,
    /// The authorities that it takes them from, as it names them.
    pub authorities: Vec<String>,
    /// There were more.
    pub cut: bool,
}

/// A handshake, whether it came to its end or not.
pub struct Met {
    pub shown: Shown,
    pub wanted: Wanted,
    /// Version and cipher; or why there was no end.
    pub agreed: Result<Agreed, Fault>,
}

/// What the two sides have agreed on.
pub struct Agreed {
    pub version: ProtocolVersion,
    pub cipher: String,
}

/// Writes down what the server wants of a client, and leaves the choice to another.
#[derive(Debug)]
struct Listening {
    inner: Arc<dyn ResolvesClientCert>,
    wanted: Arc<Mutex<Wanted>>,
}

impl ResolvesClientCert for Listening {
    fn resolve(&self, subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let authorities = subjects.iter().take(AUTHORITIES).map(|subject| {
            let name = X509Name::from_der(subject).map_or_else(|_| String::new(), |(_, name)| name.to_string());
            name.chars().take(AUTHORITY_BYTES).collect()
        });
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = Wanted {
            asks: true,
            authorities: authorities.collect(),
            cut: subjects.len() > AUTHORITIES,
        };
        self.inner.resolve(subjects, schemes)
    }

    fn has_certs(&self) -> bool {
        self.inner.has_certs()
    }
}

fn listening(config: &mut ClientConfig) -> Arc<Mutex<Wanted>> {
    let wanted = Arc::new(Mutex::new(Wanted::default()));
    config.client_auth_cert_resolver = Arc::new(Listening {
        inner: Arc::clone(&config.client_auth_cert_resolver),
        wanted: Arc::clone(&wanted),
    });
    wanted
}

fn fault(problem: &std::io::Error) -> Fault {
    let inner = problem
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::PeerIncompatible(_)) = inner {
        return Fault::Answer(
            Reply::Refused,
            "the two sides have no version or cipher in common".to_owned(),
        );
    }
    // An end in the middle of a handshake carries words of the library's own beside its kind.
    let of_kind = || of_io(&std::io::Error::from(problem.kind()));
    of_io(problem).or_else(of_kind).unwrap_or_else(|| {
        Fault::Unknown(Unknown {
            reason: Reason::Unreachable,
            detail: "the connection failed".to_owned(),
        })
    })
}

/// The fault in words.
pub fn said(fault: &Fault) -> String {
    match fault {
        Fault::Answer(_, detail) => detail.clone(),
        Fault::Unknown(unknown) => unknown.detail.clone(),
    }
}

async fn connect(endpoint: &Endpoint, within: Duration) -> Result<TcpStream, Fault> {
    let host = endpoint.base.host_str().unwrap_or_default();
    let port = endpoint.base.port_or_known_default().unwrap_or(443);
    let found = client::addresses(host, &endpoint.guard, within)
        .await
        .map_err(|halt| match halt {
            Halt::Guarded(problem) | Halt::NameServer(problem) => Fault::Unknown(problem),
            Halt::NoSuchName => Fault::Answer(Reply::NoSuchName, "there is no such name".to_owned()),
        })?;
    let mut last = Fault::Answer(Reply::NoSuchName, "the name has no address".to_owned());
    for address in found {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(problem) => last = fault(&problem),
        }
    }
    Err(last)
}

/// Looks at a server, whoever it may be: our own certificate is not shown.
///
/// # Errors
/// There was not even the beginning of a handshake.
pub async fn look(
    endpoint: &Endpoint,
    name: ServerName<'static>,
    versions: &[&'static SupportedProtocolVersion],
    within: Duration,
) -> Result<Met, Fault> {
    let (mut config, shown) = tls::looking(endpoint.config.as_deref(), versions).map_err(Fault::Unknown)?;
    let wanted = listening(&mut config);
    let stream = connect(endpoint, within).await?;
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let met = |agreed| Met {
        shown: shown.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        wanted: wanted.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        agreed,
    };
    match ended {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let version = session.protocol_version().unwrap_or(ProtocolVersion::Unknown(0));
            let cipher = session.negotiated_cipher_suite().map(|suite| suite.suite());
            let cipher = cipher.and_then(|suite| suite.as_str()).unwrap_or_default().to_owned();
            Ok(met(Ok(Agreed { version, cipher })))
        }
        Err(problem) => {
            let met = met(Err(fault(&problem)));
            if met.shown.chain.is_empty() {
                Err(met.agreed.err().unwrap_or_else(|| fault(&problem)))
            } else {
                Ok(met)
            }
        }
    }
}

/// The handshake as a client makes it: with its trust and its certificate. `Ok` when both sides have taken what they saw.
///
/// # Errors
/// Who did not, as far as it is known.
pub async fn enter(
    endpoint: &Endpoint,
    name: ServerName<'static>,
    ca: Option<&Path>,
    identity: Option<&Identity>,
    within: Duration,
) -> Result<(), Fault> {
    let mut config = tls::of_client(ca, identity).map_err(Fault::Unknown)?;
    let wanted = listening(&mut config);
    let stream = connect(endpoint, within).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|problem| fault(&problem))?;
    let asks = wanted.lock().unwrap_or_else(PoisonError::into_inner).asks;
    let late = stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    if asks && late { verdict(stream).await } else { Ok(()) }
}

/// In TLS 1.3 a client is done before the server has looked at its certificate. We say goodbye: a server that has not taken it
/// ends with an alert, the others say goodbye, too, or anything else.
async fn verdict(mut stream: TlsStream<TcpStream>) -> Result<(), Fault> {
    // A server that has hung up by now has left its verdict to be read.
    let _ = stream.shutdown().await;
    let mut byte = [0_u8; 1];
    match stream.read(&mut byte).await {
        Ok(_) => Ok(()),
        // Tickets for the next time are for those who were let in.
        Err(_) if stream.get_ref().1.tls13_tickets_received() > 0 => Ok(()),
        Err(problem) if problem.kind() == std::io::ErrorKind::UnexpectedEof => Err(Fault::Unknown(Unknown {
            reason: Reason::Unavailable,
            detail: "the server hung up without a word about the client's certificate".to_owned(),
        })),
        Err(problem) => Err(fault(&problem)),
    }
}

/// The versions of this word of the interface; all when there is none.
pub fn versions(word: Option<&str>) -> &'static [&'static SupportedProtocolVersion] {
    static TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
    static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match word {
        Some("tls12") => TLS12,
        Some("tls13") => TLS13,
        _ => ALL_VERSIONS,
    }
}
