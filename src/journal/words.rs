//! Failures of a store in words: what was tried, what went wrong, what to do.

use super::Error;

/// The three parts as one error.
pub fn message(place: &str, tried: &str, wrong: &str, advice: &str) -> Error {
    Error {
        message: format!("Journal {}: cannot {tried}: {wrong}. {advice}", place.escape_debug()),
    }
}
