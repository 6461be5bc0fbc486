//! Secrets: where they come from, how they are held, and the second line that keeps them out of everything that is written.
//!
//! The first line is the type: [`crate::value::Secret`] in a run and [`SecretText`] outside it show nothing, and only listed sinks
//! open them. The second line is here: every secret that is read is remembered, and every door to the outside (the
//! terminal, the journal, recordings, reports, panics) passes its bytes through [`redact`], which also knows the usual encodings.

mod correlation;
mod encodings;
mod known;
mod redactor;
mod remote;
mod source;
mod text;

pub use correlation::{open_key, tag};
pub use known::{json_bytes, redact, redact_json, remember, remember_all, take_warnings};
pub use redactor::{PLACEHOLDER, Stream};
pub use remote::{AccountSecret, ClusterSecret, Keeper, Kept, VaultSecret, reach};
pub use source::{SecretSource, private_file};
pub use text::SecretText;
