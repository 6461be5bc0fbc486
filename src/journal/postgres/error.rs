//! Failures of the server in words: what was tried, what went wrong, what to do.

use crate::journal::{Error, words};

/// An error of the database while `tried` was done, for example `record an entry`.
pub fn failure(place: &str, tried: &str, error: &sqlx::Error) -> Error {
    let (wrong, advice) = explain(error);
    words::message(place, tried, &wrong, advice)
}

fn explain(error: &sqlx::Error) -> (String, &'static str) {
    let database = match error {
        sqlx::Error::Database(database) => database,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            return (
                format!("the connection to the server failed ({error})"),
                "Whether the last entry was recorded is not known; look at `starr runs` when the server answers again.",
            );
        }
        _ => {
            return (
                error.to_string(),
                "If this happens again, keep the database as it is and report the message.",
            );
        }
    };
    let (wrong, advice) = match database.code().as_deref() {
        Some("53100") => (
            "the server's disk is full",
            "Free some space on the server, then start again.",
        ),
        Some("25006") => (
            "it can only be read",
            "The server is a standby, or the database was set to read only; choose the primary.",
        ),
        Some("42501") => (
            "the role has no right to do this",
            "Compare the role's rights with docs/journal.md; the owner's login makes and upgrades the tables.",
        ),
        Some("55P03" | "57014") => (
            "another process holds the journal and did not let go in time",
            "Look for a session of starr that hangs in a transaction.",
        ),
        Some("28000" | "28P01") => (
            "the server does not let this role in",
            "Check user and password of the journal in the configuration.",
        ),
        Some("3D000") => (
            "there is no such database",
            "Make the database, or check the journal's `database` in the configuration.",
        ),
        Some("57P01" | "57P02" | "57P03") => (
            "the server is going down or starting",
            "Whether the last entry was recorded is not known; start again when the server is up.",
        ),
        Some(code) if code.starts_with("58") || code.starts_with("XX") => (
            "the server reported a fault of its own or of its disk",
            "Do not trust the last entries; run `starr journal verify`, and look at the server's log before the next run.",
        ),
        _ => (
            "the server refused",
            "If this happens again, keep the database as it is and report the message.",
        ),
    };
    (format!("{wrong} ({error})"), advice)
}
