//! Text to tree, and tree to text. Pure.

mod format;
mod hidden;
pub mod limits;
mod load;
mod parse;
mod scan;
pub mod tree;

pub use format::format;
pub use load::{Loaded, load};
pub use parse::{Parsed, parse};

#[cfg(test)]
mod tests;
