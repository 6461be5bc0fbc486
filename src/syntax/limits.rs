//! Limits of the syntax, in one place. Each is printed in `docs/language/limits.md` and reached by a test.

use std::num::NonZeroUsize;
use std::sync::Mutex;

/// Largest file, in bytes.
pub const FILE_BYTES: usize = crate::limits::FILE_BYTES;
/// Deepest nesting of braces.
pub const BLOCK_DEPTH: usize = crate::limits::BLOCK_DEPTH;
/// Deepest nesting of brackets and parentheses.
pub const BRACKET_DEPTH: usize = crate::limits::BRACKET_DEPTH;
/// Deepest expression tree, chains of operators and postfixes included.
pub const EXPRESSION_DEPTH: usize = crate::limits::EXPRESSION_DEPTH;
/// Most syntax errors reported for one file.
pub const ERRORS: usize = crate::limits::SYNTAX_ERRORS;

/// Parser steps allowed per byte of a file. Ordinary files take fewer than 20, the densest ones fewer than 40; the parser gives
/// up beyond the limit, with a position.
const CALLS_PER_BYTE: usize = 200;
/// Parser steps allowed for the shortest text.
const CALLS_AT_LEAST: usize = 1_000_000;

/// Allows the grammar's parser enough steps for a text of so many bytes.
///
/// The limit belongs to the process. It only grows, up to that of the largest file, so that no text is refused because another
/// thread has just read a shorter one.
pub(super) fn allow_calls(bytes: usize) {
    static ALLOWED: Mutex<usize> = Mutex::new(0);
    let wanted = bytes.min(FILE_BYTES).saturating_mul(CALLS_PER_BYTE).max(CALLS_AT_LEAST);
    let mut allowed = ALLOWED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if wanted > *allowed {
        *allowed = wanted;
        pest::set_call_limit(NonZeroUsize::new(wanted));
    }
}
