//! What a failed conversation with the server means: which kind of not knowing, and whether a change may have happened.

pub use crate::providers::failure::{Failure, crop};
use crate::value::{Reason, Unknown};
use std::io::ErrorKind;

/// What the server's answer to somebody who wants in was, when it was not a welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    TooManyConnections,
    NotAccepting,
    Login,
    NoSuchDatabase,
}

/// Classifies an error. `sent`: a change was on its way. `hide`: a secret was among the parameters, so the server's own words,
/// which may repeat it, are left out.
pub fn classify(error: &sqlx::Error, sent: bool, hide: bool) -> Failure {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let words = if hide {
                "the server's words are left out because a secret was among the parameters".to_owned()
            } else {
                crop(database.message(), 300)
            };
            let (reason, advice) = meaning(&code);
            let detail = if advice.is_empty() {
                format!("{words} (SQLSTATE {code})")
            } else {
                format!("{advice}: {words} (SQLSTATE {code})")
            };
            Failure {
                unknown: Unknown { reason, detail },
                definite: !sent || !ends_connection(&code),
            }
        }
        sqlx::Error::Io(problem) => Failure {
            unknown: Unknown {
                reason: if problem.kind() == ErrorKind::PermissionDenied {
                    Reason::Denied
                } else {
                    Reason::Unreachable
                },
                detail: io_words(problem),
            },
            definite: !sent,
        },
        sqlx::Error::Tls(problem) => Failure {
            unknown: Unknown {
                reason: Reason::Unreachable,
                detail: crop(&format!("TLS: {problem}"), 300),
            },
            definite: !sent,
        },
        sqlx::Error::Configuration(_) => Failure::definite(
            Reason::Unavailable,
            "a certificate or key file of this database cannot be used",
        ),
        // An encoding error happens before anything is written to the connection.
        sqlx::Error::Encode(_) => Failure::definite(Reason::Unparsable, "a parameter cannot be sent to the server"),
        // The texts of these may hold pieces of the reply: they are left out.
        sqlx::Error::ColumnDecode { index, .. } => Failure {
            unknown: Unknown {
                reason: Reason::Unparsable,
                detail: format!("the column {} is not of the expected type", crop(index, 60)),
            },
            definite: !sent,
        },
        sqlx::Error::Protocol(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => Failure {
            unknown: Unknown {
                reason: Reason::Unparsable,
                detail: "the server does not answer as PostgreSQL does".to_owned(),
            },
            definite: !sent,
        },
        _ => Failure {
            unknown: Unknown {
                reason: Reason::Unparsable,
                detail: "the reply of the server cannot be read".to_owned(),
            },
            definite: !sent,
        },
    }
}

/// The refusal in a failed attempt to connect, if the server gave one.
pub fn refusal(error: &sqlx::Error) -> Option<Refusal> {
    let sqlx::Error::Database(database) = error else {
        return None;
    };
    let code = database.code().unwrap_or_default();
    match &*code {
        "53300" => Some(Refusal::TooManyConnections),
        "57P03" | "57P01" | "57P02" => Some(Refusal::NotAccepting),
        "3D000" => Some(Refusal::NoSuchDatabase),
        _ if code.starts_with("28") => Some(Refusal::Login),
        _ => None,
    }
}

/// The kind of not knowing for an SQLSTATE (PostgreSQL documentation, appendix A), and what to say in front of the server's words.
fn meaning(code: &str) -> (Reason, &'static str) {
    match code {
        "57014" => (Reason::Timeout, "the statement was cancelled"),
        "55P03" => (Reason::Timeout, "a lock was not free in time"),
        "25P03" | "25P04" | "57P05" => (Reason::Timeout, "the server ended the connection"),
        "25006" => (Reason::Denied, "a check may not change anything"),
        "42501" => (Reason::Denied, "this role may not"),
        "53300" => (Reason::Unreachable, "the server has no connection left"),
        "57P03" => (Reason::Unreachable, "the server takes no connections at the moment"),
        "57P01" | "57P02" | "57P04" => (Reason::Unreachable, "the server ended the connection"),
        "3D000" => (Reason::Unavailable, "there is no such database"),
        "54000" | "54001" | "54011" | "54023" => (Reason::Truncated, "a limit of the server"),
        _ => match code.get(..2) {
            Some("28") => (Reason::Denied, "the login was refused"),
            Some("08") => (Reason::Unreachable, "the connection broke"),
            Some("53") => (Reason::Throttled, "the server has not enough resources"),
            Some("42") => (Reason::Unavailable, "the server does not accept the statement"),
            _ => (Reason::Unavailable, ""),
        },
    }
}

/// Errors after which the connection is gone, so that the fate of what was sent is not known.
fn ends_connection(code: &str) -> bool {
    matches!(
        code,
        "57P01" | "57P02" | "57P04" | "57P05" | "25P03" | "25P04" | "40003"
    ) || code.starts_with("08")
}

fn io_words(problem: &std::io::Error) -> String {
    match problem.kind() {
        ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
        ErrorKind::NotFound => "the server's socket is not there".to_owned(),
        ErrorKind::PermissionDenied => "this user may not use the server's socket".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "the connection broke".to_owned()
        }
        _ => crop(&problem.to_string(), 200),
    }
}

#[cfg(test)]
mod tests {
    use super::{classify, meaning};
    use crate::value::Reason;

    #[test]
    fn a_broken_connection_leaves_a_change_open_and_a_read_unknown() {
        let broken = || sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
        assert!(!classify(&broken(), true, false).definite);
        let read = classify(&broken(), false, false);
        assert!(read.definite);
        assert_eq!(read.unknown.reason, Reason::Unreachable);
    }

    #[test]
    fn every_class_of_refusal_has_its_own_kind() {
        assert_eq!(meaning("57014").0, Reason::Timeout);
        assert_eq!(meaning("42501").0, Reason::Denied);
        assert_eq!(meaning("28P01").0, Reason::Denied);
        assert_eq!(meaning("53300").0, Reason::Unreachable);
        assert_eq!(meaning("42P01").0, Reason::Unavailable);
        // A hostile server may send a code of any length and of any characters.
        assert_eq!(meaning("").0, Reason::Unavailable);
        assert_eq!(meaning("é").0, Reason::Unavailable);
    }
}
