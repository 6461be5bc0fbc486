//! What a failed conversation with the engine means.

pub use crate::providers::failure::Failure;
use crate::value::{Reason, Unknown};
use bollard::errors::Error;

/// Classifies an error. `sent`: a change was on its way.
pub fn classify(error: &Error, sent: bool) -> Failure {
    let failure = |reason, detail: String, definite| Failure {
        unknown: Unknown { reason, detail },
        definite,
    };
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let said: String = message.trim().chars().take(200).collect();
            let (reason, definite) = match status_code {
                401 | 403 => (Reason::Denied, true),
                400..=499 => (Reason::Unavailable, true),
                // It may have done a part of it.
                _ => (Reason::Unavailable, !sent),
            };
            failure(
                reason,
                format!("the engine answered with status {status_code}: {said}"),
                definite,
            )
        }
        Error::RequestTimeoutError => failure(Reason::Timeout, "the engine took too long".to_owned(), !sent),
        Error::SocketNotFoundError(_) => failure(
            Reason::Unreachable,
            "the engine's socket is not there, or this user may not see it".to_owned(),
            true,
        ),
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::StrParseError { .. } => failure(
            Reason::Unparsable,
            "the engine does not answer as Docker does".to_owned(),
            !sent,
        ),
        _ => failure(
            Reason::Unreachable,
            "nobody answers at the engine's socket, or the connection broke".to_owned(),
            !sent,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::classify;
    use crate::value::Reason;
    use bollard::errors::Error;

    #[test]
    fn only_a_definite_no_is_a_failure_of_a_change() {
        let said = |status_code| Error::DockerResponseServerError {
            status_code,
            message: "x".to_owned(),
        };
        assert!(classify(&said(404), true).definite);
        assert!(classify(&said(409), true).definite);
        assert!(!classify(&said(500), true).definite);
        assert!(classify(&said(500), false).definite);
        assert_eq!(classify(&said(403), true).unknown.reason, Reason::Denied);
        assert!(!classify(&Error::RequestTimeoutError, true).definite);
    }
}
