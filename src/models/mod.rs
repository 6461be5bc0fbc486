//! What services of others can be asked, as data that belongs to the program: operations that no interface text lists.

#[cfg(feature = "aws")]
pub mod aws;
