//! A conversation with a server that failed: which kind of not knowing it is, and whether a change may have happened.

use crate::provider::Outcome;
use crate::value::{Reason, Unknown};

/// A call that has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub unknown: Unknown,
    /// True when the server has said, or it is clear, that nothing was done. False only when a change may have happened.
    pub definite: bool,
}

impl Failure {
    /// Nothing was sent, or the server refused it.
    pub fn definite(reason: Reason, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::from(Unknown { reason, detail })
    }

    /// The same, when a change was on its way: no definite answer came back.
    pub fn after_sending(self) -> Self {
        Self {
            definite: false,
            ..self
        }
    }

    /// Sent, and no definite answer came back.
    pub fn unclear(reason: Reason, detail: impl Into<String>) -> Self {
        Self::definite(reason, detail).after_sending()
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

/// What was unknown before anything was sent.
impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Self {
        Self {
            unknown,
            definite: true,
        }
    }
}

/// Something that could not be had, with its reason.
pub fn wrong(reason: Reason, detail: impl Into<String>) -> Unknown {
    Unknown {
        reason,
        detail: detail.into(),
    }
}

/// The first `limit` characters of somebody's words, on one line.
pub fn excerpt(text: &str, limit: usize) -> String {
    let line: String = crop(text.trim(), limit)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    line
}

/// The first `limit` characters of a server's words, and a sign when that is not all.
pub fn crop(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, crop};
    use crate::provider::Outcome;
    use crate::value::Reason;

    #[test]
    fn only_a_definite_no_is_a_failure_of_a_change() {
        let refused = Failure::definite(Reason::Denied, "no");
        assert!(matches!(refused.clone().outcome(), Outcome::Failed(_)));
        assert!(matches!(refused.after_sending().outcome(), Outcome::Unclear(_)));
    }

    #[test]
    fn cropping_counts_characters() {
        assert_eq!(crop("äöü", 2), "äö…");
        assert_eq!(crop("äöü", 3), "äöü");
    }
}
