//! What a failed conversation with the API server means: which kind of not knowing, and whether a change may have happened.

use super::json::{self, Json};
use crate::provider::Outcome;
pub use crate::providers::failure::crop;
use crate::value::{Reason, Unknown};

/// A call that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub unknown: Unknown,
    /// True when the server has said, or it is clear, that nothing was done. False only when a change may have happened.
    pub definite: bool,
    /// What the server said no to, when it did.
    pub refusal: Refusal,
}

/// Answers that callers tell apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// The object that was named is not there.
    Missing,
    /// The kind of object is not known to this server.
    NoSuchKind,
    /// Somebody else was faster, or the object is another one by now.
    Conflict,
    /// An object of this name is there already.
    AlreadyExists,
    /// A disruption budget has nothing left.
    Budget,
    /// The version to go on from is too old.
    Gone,
    /// The request makes no sense now (HTTP 400).
    BadRequest,
    #[default]
    Other,
}

/// What was unknown before anything was sent.
impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Self {
        Self::definite(unknown.reason, unknown.detail)
    }
}

impl Failure {
    /// Nothing was sent, or the server refused it.
    pub fn definite(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            unknown: Unknown {
                reason,
                detail: detail.into(),
            },
            definite: true,
            refusal: Refusal::Other,
        }
    }

    /// Sent, and no definite answer came back.
    pub fn unclear(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            definite: false,
            ..Self::definite(reason, detail)
        }
    }

    /// What it means for a change.
    pub fn outcome(self) -> Outcome {
        if self.definite {
            Outcome::Failed(self.unknown)
        } else {
            Outcome::Unclear(self.unknown)
        }
    }
}

/// What an answer that is no success means. `hide`: a secret was sent, so the server's own words, which may repeat it, are left out.
pub fn classify(status: u16, body: &[u8], hide: bool) -> Failure {
    let said: Option<Json> = serde_json::from_slice(body).ok();
    let said = said.as_ref().filter(|said| json::text(said, "/kind") == Some("Status"));
    let words = match said {
        _ if hide => "the server's words are left out because a secret was sent".to_owned(),
        Some(said) => {
            let mut words = crop(json::text(said, "/message").unwrap_or_default(), 400);
            for cause in json::list(said, "/details/causes").iter().take(5) {
                if let Some(cause) = json::text(cause, "/message").filter(|cause| !words.contains(cause)) {
                    words = format!("{words}; {}", crop(cause, 200));
                }
            }
            words
        }
        None => crop(String::from_utf8_lossy(body).trim(), 200),
    };
    let cause = |name: &str| {
        said.is_some_and(|said| {
            json::list(said, "/details/causes")
                .iter()
                .any(|cause| json::text(cause, "/reason") == Some(name))
        })
    };
    let reason_is = |name: &str| said.and_then(|said| json::text(said, "/reason")) == Some(name);
    let names_object = said.is_some_and(|said| json::text(said, "/details/name").is_some());
    let (reason, advice, refusal) = match status {
        400 => (
            Reason::Unavailable,
            "the server does not accept the request",
            Refusal::BadRequest,
        ),
        401 => (Reason::Denied, "the server does not accept this login", Refusal::Other),
        403 if cause("NamespaceTerminating") => (Reason::Unavailable, "the namespace is being deleted", Refusal::Other),
        403 if words.contains("exceeded quota") => (Reason::Unavailable, "a quota is used up", Refusal::Other),
        403 => (Reason::Denied, "this login may not", Refusal::Other),
        404 if names_object => (Reason::Unavailable, "it is not there", Refusal::Missing),
        404 => (
            Reason::Unavailable,
            "this server does not know such a thing",
            Refusal::NoSuchKind,
        ),
        409 if reason_is("AlreadyExists") => (Reason::Unavailable, "it is there already", Refusal::AlreadyExists),
        409 => (
            Reason::Unavailable,
            "it was changed by somebody else",
            Refusal::Conflict,
        ),
        410 => (Reason::Unavailable, "the list is too old to go on", Refusal::Gone),
        429 if cause("DisruptionBudget") => (
            Reason::Unavailable,
            "a disruption budget does not allow it",
            Refusal::Budget,
        ),
        429 => (
            Reason::Throttled,
            "the server has no room for this login",
            Refusal::Other,
        ),
        504 => (Reason::Timeout, "the server was not ready in time", Refusal::Other),
        500.. => (Reason::Unavailable, "the server failed", Refusal::Other),
        _ => (
            Reason::Unavailable,
            "the server does not accept the request",
            Refusal::Other,
        ),
    };
    Failure {
        unknown: Unknown {
            reason,
            detail: format!("{advice}: {words} (HTTP {status})"),
        },
        // A server that failed may have done it before it failed.
        definite: status < 500,
        refusal,
    }
}

/// What an error of the client means. `sent`: a change was on its way.
pub fn broken(problem: &kube::Error, sent: bool) -> Failure {
    let unreachable = |detail: &str, definite: bool| Failure {
        definite: definite || !sent,
        ..Failure::definite(Reason::Unreachable, detail)
    };
    match problem {
        // Its text may hold what a program or file of credentials said.
        kube::Error::Auth(_) => {
            return Failure::definite(Reason::Denied, "the credentials of this cluster cannot be had");
        }
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => {
            return Failure::definite(Reason::Unparsable, "the request cannot be written");
        }
        _ => {}
    }
    match cause(problem) {
        Cause::Certificate => unreachable("the server's certificate is not trusted", true),
        Cause::Refused => unreachable("the connection was refused", true),
        Cause::NoSuchName => unreachable("the server's name has no address", true),
        Cause::Connect => unreachable("no connection to the server", true),
        Cause::Other => unreachable("the connection broke", false),
    }
}

/// Why a connection was not made, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Certificate,
    Refused,
    NoSuchName,
    Connect,
    Other,
}

/// Looks through the causes of an error.
pub fn cause(problem: &(dyn std::error::Error + 'static)) -> Cause {
    let mut found = Cause::Other;
    let mut next = Some(problem);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            if io.kind() == std::io::ErrorKind::ConnectionRefused {
                return Cause::Refused;
            }
            // An I/O error hides the error that it was made of.
            if let Some(inner) = io.get_ref() {
                let inner = cause(inner);
                if inner != Cause::Other {
                    return inner;
                }
            }
        }
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return Cause::Certificate;
        }
        let words = error.to_string();
        if words.starts_with("dns error") {
            return Cause::NoSuchName;
        }
        if words == "client error (Connect)" {
            found = Cause::Connect;
        }
        next = error.source();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Refusal, classify};
    use crate::value::Reason;

    fn status(code: u16, reason: &str, details: &str) -> super::Failure {
        let body =
            format!(r#"{{"kind":"Status","message":"said so","reason":"{reason}","details":{details},"code":{code}}}"#);
        classify(code, body.as_bytes(), false)
    }

    #[test]
    fn the_three_sources_of_a_403_are_told_apart() {
        assert_eq!(status(403, "Forbidden", "{}").unknown.reason, Reason::Denied);
        let closing = status(403, "Forbidden", r#"{"causes":[{"reason":"NamespaceTerminating"}]}"#);
        assert_eq!(closing.unknown.reason, Reason::Unavailable);
        let quota = classify(
            403,
            br#"{"kind":"Status","message":"pods \"x\" is forbidden: exceeded quota: pods"}"#,
            false,
        );
        assert_eq!(quota.unknown.reason, Reason::Unavailable);
    }

    #[test]
    fn a_missing_object_is_not_a_missing_kind() {
        assert_eq!(status(404, "NotFound", r#"{"name":"web"}"#).refusal, Refusal::Missing);
        assert_eq!(status(404, "NotFound", "{}").refusal, Refusal::NoSuchKind);
        assert_eq!(
            classify(404, b"404 page not found\n", false).refusal,
            Refusal::NoSuchKind
        );
    }

    #[test]
    fn a_budget_is_not_a_server_without_room() {
        let budget = status(429, "TooManyRequests", r#"{"causes":[{"reason":"DisruptionBudget"}]}"#);
        assert_eq!(budget.refusal, Refusal::Budget);
        let busy = classify(429, b"Too many requests, please try again later.\n", false);
        assert_eq!((busy.refusal, busy.unknown.reason), (Refusal::Other, Reason::Throttled));
    }

    #[test]
    fn a_server_that_failed_leaves_a_change_open_and_a_refusal_does_not() {
        assert!(!classify(500, b"", false).definite);
        assert!(classify(422, b"", false).definite);
        assert!(!classify(422, b"canary", true).unknown.detail.contains("canary"));
    }
}
