//! What became of a request that got no reply.

use super::client::Halt;
use super::tls;
use crate::value::probe::Reply;
use crate::value::{Reason, Unknown};
use std::io::ErrorKind;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer to the question whether the server can be reached.
    Answer(Reply, String),
    /// Nothing is known about the server.
    Unknown(Unknown),
}

/// A fault, and whether the server may have read the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub fault: Fault,
    pub sent: bool,
}

impl Failed {
    /// The deadline passed; where that happened is not known.
    pub fn late() -> Self {
        Self {
            fault: Fault::Answer(Reply::TimedOut, "no reply in time".to_owned()),
            sent: true,
        }
    }

    /// As the value of a read: whatever happened, there is no reply.
    pub fn unknown(self) -> Unknown {
        match self.fault {
            Fault::Unknown(unknown) => unknown,
            Fault::Answer(Reply::TimedOut, detail) => Unknown {
                reason: Reason::Timeout,
                detail,
            },
            Fault::Answer(_, detail) => Unknown {
                reason: Reason::Unreachable,
                detail,
            },
        }
    }
}

fn answer(reply: Reply, detail: impl Into<String>) -> Option<Fault> {
    Some(Fault::Answer(reply, detail.into()))
}

fn unknown(reason: Reason, detail: impl Into<String>) -> Option<Fault> {
    Some(Fault::Unknown(Unknown {
        reason,
        detail: detail.into(),
    }))
}

/// Reads the client's error. No text of it is passed on that could hold a URL or a header.
pub fn of_request(error: &reqwest::Error) -> Failed {
    let sent = !(error.is_connect() || error.is_builder());
    let mut fault = None;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(found) = of_one(current) {
            fault = Some(found);
        }
        next = current.source();
    }
    let fault = fault.unwrap_or_else(|| {
        if error.is_timeout() {
            Fault::Answer(Reply::TimedOut, "no reply in time".to_owned())
        } else {
            Fault::Unknown(Unknown {
                reason: Reason::Unreachable,
                detail: "the connection failed".to_owned(),
            })
        }
    });
    Failed { fault, sent }
}

/// What one link of the chain of causes tells, if it tells anything.
fn of_one(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    if let Some(halt) = error.downcast_ref::<Halt>() {
        return match halt {
            Halt::Guarded(problem) | Halt::NameServer(problem) => Some(Fault::Unknown(problem.clone())),
            Halt::NoSuchName => answer(Reply::NoSuchName, "there is no such name"),
        };
    }
    if let Some(problem) = error.downcast_ref::<rustls::Error>() {
        return of_tls(problem);
    }
    if let Some(problem) = error.downcast_ref::<std::io::Error>() {
        return of_io(problem);
    }
    let text = error.to_string();
    let says = |words: &str| text.contains(words);
    if says("connection closed before message completed") {
        answer(Reply::Refused, "the server closed the connection without a reply")
    } else if says("message head is too large") {
        unknown(Reason::Truncated, "the reply has too many or too large headers")
    } else if says("invalid HTTP") || says("invalid content-length") || says("unexpected transfer-encoding") {
        unknown(Reason::Unparsable, "the reply is not HTTP")
    } else {
        None
    }
}

/// What an error of TLS tells.
pub fn of_tls(problem: &rustls::Error) -> Option<Fault> {
    match problem {
        rustls::Error::InvalidCertificate(_) => answer(
            Reply::BadCertificate,
            format!("the certificate is refused: {}", tls::words(problem)),
        ),
        rustls::Error::NoCertificatesPresented => answer(Reply::BadCertificate, "the server shows no certificate"),
        rustls::Error::AlertReceived(alert) => {
            answer(Reply::Refused, format!("the server ended the handshake: {alert:?}"))
        }
        _ => unknown(Reason::Unparsable, "the reply is not TLS"),
    }
}

/// What an error of the connection tells.
pub fn of_io(problem: &std::io::Error) -> Option<Fault> {
    if let Some(inner) = problem.get_ref() {
        let inner: &(dyn std::error::Error + 'static) = inner;
        return of_one(inner);
    }
    match problem.kind() {
        ErrorKind::ConnectionRefused => answer(Reply::Refused, "the connection was refused"),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => answer(Reply::Refused, "the server closed the connection without a reply"),
        // A host that does not answer on its own network is told by the kernel or a router.
        ErrorKind::TimedOut | ErrorKind::HostUnreachable => answer(Reply::TimedOut, "nobody answers at this address"),
        ErrorKind::NetworkUnreachable => unknown(Reason::Unreachable, "this machine has no way to the network"),
        _ => None,
    }
}
