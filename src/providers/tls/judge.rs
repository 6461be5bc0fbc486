//! What is right and wrong with a chain of certificates: dates, name, and who vouches for it.

use super::config::Shows;
use crate::providers::arguments::limited;
use crate::providers::failure::wrong;
use crate::providers::http::certificate::{fields, unreadable};
use crate::providers::http::tls;
use crate::value::{Reason, Unknown, Value};
use rustls::CertificateError;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Most certificates of a chain or a file that are listed.
const CERTIFICATES: usize = 100;

/// Who judges.
pub enum Judge {
    /// Of what a server shows; without a name none is asked for.
    Server(Arc<dyn ServerCertVerifier>, Option<ServerName<'static>>),
    /// Of what a client shows.
    Client(Arc<dyn ClientCertVerifier>),
}

/// The name that is put in where none is asked for; nobody can have it (RFC 6761).
fn nobody() -> Result<ServerName<'static>, Unknown> {
    ServerName::try_from("name.invalid").map_err(|_| wrong(Reason::Internal, "a name cannot be made"))
}

impl Judge {
    /// The judge of these authorities.
    pub fn new(shows: Shows, ca: Option<&Path>, name: Option<ServerName<'static>>) -> Result<Self, Unknown> {
        match (shows, ca) {
            (Shows::Server, ca) => Ok(Self::Server(tls::verifier(ca)?, name)),
            (Shows::Client, Some(ca)) => {
                WebPkiClientVerifier::builder_with_provider(Arc::new(tls::roots(ca)?), tls::provider())
                    .build()
                    .map(Self::Client)
                    .map_err(|_| wrong(Reason::Unavailable, "the authorities cannot be used"))
            }
            (Shows::Client, None) => Err(wrong(Reason::Unavailable, "no `ca` is configured")),
        }
    }

    /// What is wrong with a chain at this time; a name that nobody asked for is not.
    fn verdict(&self, chain: &[CertificateDer<'_>], at: UnixTime) -> Result<Option<CertificateError>, Unknown> {
        let (first, rest) = chain.split_first().ok_or_else(unreadable)?;
        let verdict = match self {
            Self::Server(judge, name) => {
                let asked = name.clone().map_or_else(nobody, Ok)?;
                match judge.verify_server_cert(first, rest, &asked, &[], at) {
                    Err(rustls::Error::InvalidCertificate(problem)) if name.is_none() && of_name(&problem) => {
                        return Ok(None);
                    }
                    other => other.map(|_| ()),
                }
            }
            Self::Client(judge) => judge.verify_client_cert(first, rest, at).map(|_| ()),
        };
        match verdict {
            Ok(()) => Ok(None),
            Err(rustls::Error::InvalidCertificate(problem)) => Ok(Some(problem)),
            Err(other) => Err(wrong(Reason::Unparsable, tls::words(&other))),
        }
    }

    fn fits(&self, first: &CertificateDer<'_>) -> Result<bool, Unknown> {
        let Self::Server(_, Some(name)) = self else {
            return Ok(true);
        };
        let parsed = ParsedCertificate::try_from(first).map_err(|_| unreadable())?;
        Ok(verify_server_name(&parsed, name).is_ok())
    }
}

fn of_name(problem: &CertificateError) -> bool {
    matches!(
        problem,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

fn of_dates(problem: &CertificateError) -> bool {
    matches!(
        problem,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// The enum `Trouble`.
fn trouble(problem: &CertificateError) -> &'static str {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not_valid_yet",
        problem if of_name(problem) => "other_name",
        CertificateError::UnknownIssuer => "unknown_authority",
        CertificateError::BadSignature => "wrong_signature",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "wrong_use",
        CertificateError::Revoked => "revoked",
        _ => "unusable",
    }
}

/// What the key of a certificate may be used for, in the names of RFC 5280; other purposes by their numbers.
fn uses(certificate: &X509Certificate<'_>) -> Result<Value, Unknown> {
    let mut all: Vec<Value> = Vec::new();
    let mut add = |may: bool, word: &str| {
        if may {
            all.push(Value::text(word));
        }
    };
    if let Some(found) = certificate.key_usage().map_err(|_| unreadable())? {
        let usage = found.value;
        add(usage.digital_signature(), "digital_signature");
        add(usage.non_repudiation(), "non_repudiation");
        add(usage.key_encipherment(), "key_encipherment");
        add(usage.data_encipherment(), "data_encipherment");
        add(usage.key_agreement(), "key_agreement");
        add(usage.key_cert_sign(), "key_cert_sign");
        add(usage.crl_sign(), "crl_sign");
        add(usage.encipher_only(), "encipher_only");
        add(usage.decipher_only(), "decipher_only");
    }
    if let Some(found) = certificate.extended_key_usage().map_err(|_| unreadable())? {
        let usage = found.value;
        add(usage.any, "any");
        add(usage.server_auth, "server_auth");
        add(usage.client_auth, "client_auth");
        add(usage.code_signing, "code_signing");
        add(usage.email_protection, "email_protection");
        add(usage.time_stamping, "time_stamping");
        add(usage.ocsp_signing, "ocsp_signing");
        for other in usage.other.iter().take(100) {
            add(true, &other.to_id_string());
        }
    }
    Ok(Value::list(all))
}

/// The record `Certificate` of one, and how long it still holds, in seconds.
fn one(der: &[u8]) -> Result<(Value, i64), Unknown> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
    let mut all = fields(&certificate);
    all.extend([
        ("fingerprint", Value::text(hex::encode(Sha256::digest(der)))),
        (
            "key_fingerprint",
            Value::text(hex::encode(Sha256::digest(certificate.public_key().raw))),
        ),
        ("authority", Value::Bool(certificate.is_ca())),
        ("uses", uses(&certificate)?),
    ]);
    Ok((
        Value::record("Certificate", all),
        certificate.validity().not_after.timestamp(),
    ))
}

/// The list of records `Certificate`, the shown one first.
pub fn list(chain: &[CertificateDer<'_>]) -> Result<Value, Unknown> {
    let all: Result<Vec<Value>, Unknown> = chain.iter().map(|der| one(der).map(|(value, _)| value)).collect();
    Ok(limited(all?, CERTIFICATES))
}

/// A time at which the shown certificate holds: now, or what is nearest to it.
fn within_dates(first: &CertificateDer<'_>, now: UnixTime) -> Result<UnixTime, Unknown> {
    let (_, certificate) = X509Certificate::from_der(first).map_err(|_| unreadable())?;
    let seconds = |timestamp: i64| u64::try_from(timestamp).unwrap_or(0);
    let validity = certificate.validity();
    let (begin, end) = (
        seconds(validity.not_before.timestamp()),
        seconds(validity.not_after.timestamp()),
    );
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(
        now.as_secs().min(end).max(begin),
    )))
}

/// The record `Chain`.
pub fn chain(judge: &Judge, chain: &[CertificateDer<'_>]) -> Result<Value, Unknown> {
    let first = chain.first().ok_or_else(unreadable)?;
    let certificates = list(chain)?;
    let now = UnixTime::now();
    let problem = judge.verdict(chain, now)?;
    // Whether somebody vouches for it is another question than its dates and its name.
    let vouched = match &problem {
        None => true,
        Some(problem) if of_name(problem) => true,
        Some(problem) if of_dates(problem) => judge
            .verdict(chain, within_dates(first, now)?)?
            .is_none_or(|problem| of_name(&problem)),
        Some(_) => false,
    };
    let ends: Result<Vec<i64>, Unknown> = chain.iter().map(|der| one(der).map(|(_, end)| end)).collect();
    let end = ends?.into_iter().min().unwrap_or_default();
    let left = i128::from(end) * 1_000_000_000 - jiff::Timestamp::now().as_nanosecond();
    let words = |problem: &CertificateError| tls::words(&rustls::Error::InvalidCertificate(problem.clone()));
    Ok(Value::record(
        "Chain",
        vec![
            ("certificates", certificates),
            ("trusted", Value::Bool(problem.is_none())),
            (
                "trouble",
                problem
                    .as_ref()
                    .map_or(Value::None, |problem| Value::variant(trouble(problem))),
            ),
            (
                "detail",
                problem
                    .as_ref()
                    .map_or(Value::None, |problem| Value::text(words(problem))),
            ),
            ("vouched", Value::Bool(vouched)),
            ("fits_name", Value::Bool(judge.fits(first)?)),
            (
                "remaining",
                Value::Duration(left.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
            ),
        ],
    ))
}
