//! Limits of evaluation, in one place. Each is printed in `docs/language/limits.md`. Beyond one the answer is unknown.

/// Most elements of a list that an operation works on.
pub const LIST_ELEMENTS: usize = 100_000;
/// Longest text, in bytes, that `contains` and `matches` look at.
pub const TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Largest compiled pattern, in bytes.
pub const PATTERN_BYTES: usize = 1024 * 1024;
/// Longest text, in bytes, a template is filled to.
pub const FILLED_BYTES: usize = 64 * 1024;
/// Most samples of a series that an operation works on.
pub const SERIES_SAMPLES: usize = 100_000;
/// Most comparisons shown as the evidence of one answer.
pub const EVIDENCE: usize = 50;
