//! Text to tree, and tree to text. Pure.

pub mod limits;
pub mod tree;
