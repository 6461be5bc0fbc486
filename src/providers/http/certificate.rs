//! The certificate a server shows, trusted or not.

use super::client::{self, Halt};
use super::fault::{Failed, Fault, of_io};
use super::target::{Endpoint, refusal};
use super::tls;
use crate::value::probe::Reply;
use crate::value::{List, Reason, Unknown, Value};
use rustls::pki_types::ServerName;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Most names that are listed.
const NAMES: usize = crate::limits::HTTP_NAMES;

/// `http.certificate`: connects behind the guard, makes the handshake, sends nothing, hangs up.
pub async fn look(endpoint: &Endpoint, within: Duration) -> Result<Value, Unknown> {
    if endpoint.base.scheme() != "https" {
        return Err(refusal(Reason::Unavailable, "only an https endpoint has a certificate"));
    }
    let host = endpoint.base.host_str().unwrap_or_default();
    let port = endpoint.base.port_or_known_default().unwrap_or(443);
    let (config, shown) = tls::looking(endpoint.config.as_deref(), rustls::ALL_VERSIONS)?;
    let found = client::addresses(host, &endpoint.guard, within)
        .await
        .map_err(|halt| match halt {
            Halt::Guarded(problem) | Halt::NameServer(problem) => problem,
            Halt::NoSuchName => refusal(Reason::Unreachable, "there is no such name"),
        })?;
    let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned())
        .map_err(|_| refusal(Reason::Unparsable, "the host cannot be in a certificate"))?;
    let io = |problem: &std::io::Error| {
        let fault = of_io(problem).unwrap_or_else(|| Fault::Answer(Reply::Refused, "the handshake failed".to_owned()));
        Failed { fault, sent: false }.unknown()
    };
    let mut last = refusal(Reason::Unreachable, "the name has no address");
    for address in found {
        match TcpStream::connect((address, port)).await {
            Ok(stream) => {
                tokio_rustls::TlsConnector::from(Arc::new(config))
                    .connect(name, stream)
                    .await
                    .map_err(|problem| io(&problem))?;
                let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return read(&shown);
            }
            Err(problem) => last = io(&problem),
        }
    }
    Err(last)
}

/// A certificate that cannot be read.
pub fn unreadable() -> Unknown {
    refusal(Reason::Unparsable, "the certificate cannot be read")
}

/// The record `Certificate`.
fn read(shown: &tls::Shown) -> Result<Value, Unknown> {
    let first = shown.chain.first().ok_or_else(unreadable)?;
    let (_, certificate) = X509Certificate::from_der(first).map_err(|_| unreadable())?;
    let mut fields = fields(&certificate);
    let trouble = shown.trouble.as_deref().map_or(Value::None, Value::text);
    fields.extend([("trusted", Value::Bool(shown.trouble.is_none())), ("trouble", trouble)]);
    Ok(Value::record("Certificate", fields))
}

/// What stands in a certificate: who, for which names, from when to when.
pub fn fields(certificate: &X509Certificate<'_>) -> Vec<(&'static str, Value)> {
    let mut names = List::default();
    if let Ok(Some(alternatives)) = certificate.subject_alternative_name() {
        let all = &alternatives.value.general_names;
        names.truncated = all.len() > NAMES;
        for name in all.iter().take(NAMES) {
            match name {
                GeneralName::DNSName(name) => names.items.push(Value::text(*name)),
                GeneralName::IPAddress(bytes) => names.items.extend(address(bytes)),
                _ => {}
            }
        }
    }
    let time = |seconds: i64| {
        jiff::Timestamp::from_second(seconds).map_or_else(
            |_| Value::unknown(Reason::Arithmetic, "the time is out of range"),
            Value::Time,
        )
    };
    let validity = certificate.validity();
    let ends = validity.not_after.timestamp();
    let remaining = i128::from(ends) * 1_000_000_000 - jiff::Timestamp::now().as_nanosecond();
    let serial: Vec<String> = certificate
        .raw_serial()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    vec![
        ("subject", Value::text(certificate.subject().to_string())),
        ("issuer", Value::text(certificate.issuer().to_string())),
        ("names", Value::List(Arc::new(names))),
        ("serial", Value::text(serial.join(":"))),
        ("not_before", time(validity.not_before.timestamp())),
        ("not_after", time(ends)),
        // A certificate without an end (year 9999) is as long as a duration can be: 292 years.
        (
            "remaining",
            Value::Duration(remaining.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        ),
    ]
}

fn address(bytes: &[u8]) -> Option<Value> {
    let address = if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        std::net::IpAddr::from(four)
    } else {
        std::net::IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
    };
    Some(Value::text(address.to_string()))
}

#[cfg(test)]
mod tests {
    use super::{NAMES, read};
    use crate::providers::http::tls::Shown;

    fn names(count: usize) -> (usize, bool) {
        let names: Vec<String> = (0..count).map(|number| format!("n{number}.example.com")).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let shown = Shown {
            chain: vec![made.cert.der().to_vec()],
            trouble: None,
        };
        let value = read(&shown).unwrap();
        let list = value
            .as_record()
            .unwrap()
            .get("names")
            .unwrap()
            .as_list()
            .unwrap()
            .clone();
        (list.items.len(), list.truncated)
    }

    #[test]
    fn more_names_than_are_listed_are_a_list_that_was_cut() {
        assert_eq!(names(NAMES), (NAMES, false));
        assert_eq!(names(NAMES + 1), (NAMES, true));
    }
}
