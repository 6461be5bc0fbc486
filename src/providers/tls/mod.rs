//! TLS: what a server shows and takes, and what lies in files. Only handshakes are made; nothing is sent in them.

pub mod config;
mod handshake;
mod judge;

use super::arguments::{Arguments, patience};
use super::failure::wrong;
use super::http::fault::{Failed, Fault};
use super::http::target::Endpoint;
use super::http::tls;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, HealthState, Provider};
use crate::value::probe::{self, Reply};
use crate::value::{List, Reason, Unknown, Value};
use config::{Config, Kept, Server, Shows};
use futures::future::BoxFuture;
use judge::Judge;
use rustls::ProtocolVersion;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "answers",
    "takes",
    "connect",
    "chain",
    "files.read",
    "files.verify",
    "files.fits_key",
];

/// The provider `tls`: the servers and files of an environment.
pub struct Tls {
    servers: BTreeMap<String, Known>,
    files: BTreeMap<String, Kept>,
}

struct Known {
    server: Server,
    endpoint: Endpoint,
    name: ServerName<'static>,
}

fn late() -> Fault {
    Fault::Answer(Reply::TimedOut, "no handshake in time".to_owned())
}

fn unknown(fault: Fault) -> Unknown {
    Failed { fault, sent: false }.unknown()
}

fn protocol(version: ProtocolVersion) -> Value {
    match version {
        ProtocolVersion::TLSv1_2 => Value::variant("tls12"),
        ProtocolVersion::TLSv1_3 => Value::variant("tls13"),
        _ => Value::unknown(Reason::Unparsable, "a version that is not known"),
    }
}

impl Known {
    /// Whether a client gets in, with its trust and its certificate.
    async fn enter(&self, within: Duration) -> Result<(), Fault> {
        let work = handshake::enter(
            &self.endpoint,
            self.name.clone(),
            self.server.ca.as_deref(),
            self.server.client.as_ref(),
            within,
        );
        tokio::time::timeout(within, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn look(&self, word: Option<&str>, within: Duration) -> Result<handshake::Met, Fault> {
        let work = handshake::look(&self.endpoint, self.name.clone(), handshake::versions(word), within);
        tokio::time::timeout(within, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// The record `Chain`.
    async fn chain(&self, within: Duration) -> Result<Value, Unknown> {
        let met = self.look(None, within).await.map_err(unknown)?;
        let shown: Vec<CertificateDer<'_>> = met.shown.chain.into_iter().map(CertificateDer::from).collect();
        let judge = Judge::new(Shows::Server, self.server.ca.as_deref(), Some(self.name.clone()))?;
        judge::chain(&judge, &shown)
    }

    /// The record `Handshake`.
    async fn connect(&self, within: Duration) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let met = self.look(None, within).await.map_err(unknown)?;
        let time = begin.elapsed();
        let authorities = List {
            items: met.wanted.authorities.into_iter().map(Value::text).collect(),
            truncated: met.wanted.cut,
        };
        let (version, cipher, refusal) = match &met.agreed {
            Ok(agreed) => (
                protocol(agreed.version),
                Value::text(agreed.cipher.as_str()),
                Value::None,
            ),
            Err(fault) => (Value::None, Value::None, Value::text(handshake::said(fault))),
        };
        Ok(Value::record(
            "Handshake",
            vec![
                ("completed", Value::Bool(met.agreed.is_ok())),
                ("protocol", version),
                ("cipher", cipher),
                ("refusal", refusal),
                ("asks", Value::Bool(met.wanted.asks)),
                ("authorities", Value::List(Arc::new(authorities))),
                ("time", Value::duration(time)),
            ],
        ))
    }
}

/// Whether a private key belongs to a certificate.
fn fits_key(kept: &Kept) -> Result<bool, Unknown> {
    let path = kept
        .key
        .as_deref()
        .ok_or_else(|| wrong(Reason::Unavailable, "no `key` is configured"))?;
    let chain = tls::certificates(&kept.certificate, "the certificate")?;
    let key = tls::provider()
        .key_provider
        .load_private_key(tls::private_key(path)?)
        .map_err(|_| wrong(Reason::Unparsable, "the key is of a kind that is not known here"))?;
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) => Ok(true),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => Ok(false),
        Err(_) => Err(wrong(
            Reason::Unparsable,
            "certificate and key cannot be held against each other",
        )),
    }
}

impl Tls {
    /// The servers and files of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        config.validate()?;
        let servers = config.servers.iter().map(|(name, server)| {
            let known = Known {
                server: server.clone(),
                endpoint: server.endpoint(name)?,
                name: server.name()?,
            };
            Ok((name.clone(), known))
        });
        Ok(Self {
            servers: servers.collect::<Result<_, String>>()?,
            files: config.files.clone(),
        })
    }

    fn server(&self, call: &Call) -> Result<&Known, Unknown> {
        let name = Arguments(call).text("server")?;
        self.servers.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no TLS server `{name}` is configured in this environment"),
            )
        })
    }

    fn file(&self, call: &Call) -> Result<&Kept, Unknown> {
        let name = Arguments(call).text("file")?;
        self.files.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no certificate file `{name}` is configured in this environment"),
            )
        })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let within = patience(call);
        let probed = |ended: Result<(), Fault>| match ended {
            Ok(()) => Ok(probe::value(Reply::Answered, begin.elapsed(), None)),
            Err(Fault::Answer(reply, _)) => Ok(probe::value(reply, begin.elapsed(), None)),
            Err(Fault::Unknown(unknown)) => Err(unknown),
        };
        match &*call.operation.path {
            "answers" => probed(self.server(call)?.enter(within).await),
            "takes" => {
                let word = Arguments(call).text("protocol")?;
                // Who shows a certificate has taken the version, whatever comes of the handshake.
                probed(self.server(call)?.look(Some(word), within).await.map(|_| ()))
            }
            "connect" => self.server(call)?.connect(within).await,
            "chain" => self.server(call)?.chain(within).await,
            "files.read" => {
                let kept = self.file(call)?;
                judge::list(&tls::certificates(&kept.certificate, "the certificate")?)
            }
            "files.verify" => {
                let kept = self.file(call)?;
                let name = match Arguments(call).maybe_text("name")? {
                    Some(name) => Some(
                        ServerName::try_from(name.to_owned())
                            .map_err(|_| wrong(Reason::Unparsable, "`name` cannot be in a certificate"))?,
                    ),
                    None => None,
                };
                let chain = tls::certificates(&kept.certificate, "the certificate")?;
                judge::chain(&Judge::new(kept.shows, kept.ca.as_deref(), name)?, &chain)
            }
            "files.fits_key" => fits_key(self.file(call)?).map(Value::Bool),
            other => Err(wrong(Reason::Internal, format!("`tls.{other}` is not a read"))),
        }
    }
}

impl Provider for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let name = ["server", "file"].iter().find_map(|name| call.arg(name).as_str());
        vec![name.unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    // A handshake needs no right; a file needs that of whoever runs this program.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for (name, known) in &self.servers {
                let (state, detail) = match known.enter(Duration::from_secs(5)).await {
                    Ok(()) => (HealthState::Good, "the handshake succeeds".to_owned()),
                    Err(fault) => (HealthState::Bad, handshake::said(&fault)),
                };
                lines.push(Health {
                    subject: format!("tls {name}"),
                    state,
                    detail,
                });
            }
            for (name, kept) in &self.files {
                let looked = tls::certificates(&kept.certificate, "the certificate").and_then(|_| match kept.key {
                    Some(_) => fits_key(kept),
                    None => Ok(true),
                });
                let (state, detail) = match looked {
                    Ok(true) => (HealthState::Good, "the file can be read".to_owned()),
                    Ok(false) => (
                        HealthState::Bad,
                        "the key does not belong to the certificate".to_owned(),
                    ),
                    Err(unknown) => (HealthState::Bad, unknown.to_string()),
                };
                lines.push(Health {
                    subject: format!("tls file {name}"),
                    state,
                    detail,
                });
            }
            lines
        })
    }
}
