//! Limits of evaluation, in one place. Each is printed in `docs/language/limits.md`. Beyond one the answer is unknown.

/// Most elements of a list that an operation works on.
pub const LIST_ELEMENTS: usize = crate::limits::LIST_ELEMENTS;
/// Longest text, in bytes, that `contains` and `matches` look at.
pub const TEXT_BYTES: usize = crate::limits::SEARCHED_BYTES;
/// Largest compiled pattern, in bytes.
pub const PATTERN_BYTES: usize = crate::limits::RUN_PATTERN_BYTES;
/// Longest text, in bytes, a template is filled to.
pub const FILLED_BYTES: usize = crate::limits::FILLED_BYTES;
/// Most samples of a series that an operation works on.
pub const SERIES_SAMPLES: usize = crate::limits::SERIES_SAMPLES;
/// Most comparisons shown as the evidence of one answer.
pub const EVIDENCE: usize = crate::limits::EVIDENCE;
