//! Text to tree, and tree to text. Pure.

pub mod limits;
mod load;
mod parse;
pub mod tree;

pub use load::{Loaded, load};
pub use parse::{Parsed, parse};

#[cfg(test)]
mod tests;
