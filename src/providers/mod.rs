//! The providers, one folder each, behind cargo features.

pub mod detached;
#[cfg(any(feature = "host", feature = "http"))]
pub mod names;
