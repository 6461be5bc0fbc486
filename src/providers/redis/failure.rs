//! What a failed conversation with the server means: which kind of not knowing, and whether a change may have happened.

use crate::providers::bounded::TOO_LARGE;
pub use crate::providers::failure::{Failure, crop};
use crate::value::Reason;
use ::redis::{ErrorKind, RedisError};

/// The server's answer to somebody who wants in, when it is not a welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TooManyClients,
    Login,
    Loading,
    Protected,
}

/// The first word and the rest of what the server said; `None` when it was not the server who spoke.
fn said(error: &RedisError) -> Option<(&str, &str)> {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => {
            Some((error.code().unwrap_or_default(), error.detail().unwrap_or_default()))
        }
        _ => None,
    }
}

/// The refusal in a failed attempt to come in, if the server gave one.
pub fn refusal(error: &RedisError) -> Option<Refusal> {
    let (code, words) = said(error)?;
    let words = words.to_ascii_lowercase();
    if words.contains("max number of clients") {
        return Some(Refusal::TooManyClients);
    }
    match code {
        "LOADING" => Some(Refusal::Loading),
        "DENIED" => Some(Refusal::Protected),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Some(Refusal::Login),
        _ if words.contains("protected mode") => Some(Refusal::Protected),
        _ if words.contains("auth") || words.contains("password") => Some(Refusal::Login),
        _ => None,
    }
}

/// The kind of not knowing for the first word of an error, and what to say in front of the server's own words.
fn meaning(code: &str, words: &str) -> (Reason, &'static str) {
    match code {
        "NOAUTH" | "WRONGPASS" => (Reason::Denied, "the login was refused"),
        "NOPERM" => (Reason::Denied, "this login may not"),
        "DENIED" => (Reason::Denied, "the server is in protected mode"),
        "LOADING" => (Reason::Unreachable, "the server is reading its data"),
        "MASTERDOWN" => (Reason::Unreachable, "the replica has lost its primary"),
        "BUSY" => (Reason::Throttled, "a script keeps the server busy"),
        "OOM" => (Reason::Unavailable, "the server's memory is full"),
        "MISCONF" => (Reason::Unavailable, "the server takes no writes because it cannot save"),
        "READONLY" => (Reason::Unavailable, "this is a replica"),
        "MOVED" | "ASK" | "CLUSTERDOWN" => (Reason::Unavailable, "this is a node of a cluster"),
        _ if words.to_ascii_lowercase().contains("unknown command") => (
            Reason::Unavailable,
            "the server does not have or does not offer this command",
        ),
        _ if words.to_ascii_lowercase().contains("max number of clients") => {
            (Reason::Unreachable, "the server takes no more clients")
        }
        _ => (Reason::Unavailable, ""),
    }
}

/// Classifies an error. `sent`: a change was on its way.
pub fn classify(error: &RedisError, sent: bool) -> Failure {
    if let Some((code, words)) = said(error) {
        let (reason, advice) = meaning(code, words);
        // What the server says to a refused login may repeat it.
        let detail = match (advice, code) {
            ("the login was refused", _) => advice.to_owned(),
            ("", _) => crop(format!("{code} {words}").trim(), 200),
            _ => crop(format!("{advice}: {code} {words}").trim(), 200),
        };
        return Failure::definite(reason, detail);
    }
    let failure = if error.is_io_error() || error.is_connection_dropped() {
        if error.to_string().contains(TOO_LARGE) {
            Failure::definite(Reason::Truncated, TOO_LARGE)
        } else {
            Failure::definite(Reason::Unreachable, "the connection broke")
        }
    } else {
        // The texts of these may hold pieces of the reply: they are left out.
        Failure::definite(Reason::Unparsable, "the server does not answer as Redis does")
    };
    if sent { failure.after_sending() } else { failure }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, classify, refusal};
    use crate::value::Reason;
    use ::redis::RedisError;

    fn error(line: &str) -> RedisError {
        let value = ::redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        let reason = |line: &str| classify(&error(line), true);
        assert_eq!(
            reason("NOPERM this user has no permissions").unknown.reason,
            Reason::Denied
        );
        assert_eq!(reason("NOAUTH Authentication required.").unknown.reason, Reason::Denied);
        assert_eq!(reason("LOADING Redis is loading").unknown.reason, Reason::Unreachable);
        assert_eq!(reason("BUSY Redis is busy").unknown.reason, Reason::Throttled);
        assert_eq!(reason("OOM command not allowed").unknown.reason, Reason::Unavailable);
        assert_eq!(
            reason("ERR unknown command 'config'").unknown.reason,
            Reason::Unavailable
        );
        assert!(
            reason("ERR anything").definite,
            "the server has said that it did not do it"
        );
        assert_eq!(
            refusal(&error("ERR max number of clients reached")),
            Some(Refusal::TooManyClients)
        );
        assert_eq!(refusal(&error("LOADING x")), Some(Refusal::Loading));
        assert_eq!(
            refusal(&error("DENIED Redis is running in protected mode")),
            Some(Refusal::Protected)
        );
        assert_eq!(refusal(&error("WRONGPASS invalid")), Some(Refusal::Login));
        assert_eq!(refusal(&error("ERR syntax error")), None);
    }

    #[test]
    fn a_broken_connection_leaves_a_change_open_and_a_read_unknown() {
        let broken = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(!classify(&broken(), true).definite);
        assert!(classify(&broken(), false).definite);
        assert_eq!(classify(&broken(), true).unknown.reason, Reason::Unreachable);
    }
}
