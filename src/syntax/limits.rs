//! Limits of the syntax, in one place. Each is printed in `docs/language/limits.md` and reached by a test.

/// Largest file, in bytes.
pub const FILE_BYTES: usize = 1024 * 1024;
/// Deepest nesting of braces.
pub const BLOCK_DEPTH: usize = 64;
/// Deepest nesting of brackets and parentheses.
pub const BRACKET_DEPTH: usize = 128;
/// Deepest expression tree, chains of operators and postfixes included.
pub const EXPRESSION_DEPTH: usize = 200;
/// Most syntax errors reported for one file.
pub const ERRORS: usize = 100;
