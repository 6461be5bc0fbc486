//! Digests that approvals are bound to.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// SHA-256 (hex) over the JSON form of a value. Field order is the declaration's, so equal values give equal digests.
pub(crate) fn of(value: &impl Serialize) -> String {
    // A value of ours that has no JSON form is a mistake of ours; an empty text would make all of them equal.
    let bytes = serde_json::to_vec(value).expect("approvals are made of text, numbers and lists");
    hex::encode(Sha256::digest(bytes))
}
