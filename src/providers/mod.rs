//! The providers, one folder each, behind cargo features.

pub mod detached;
#[cfg(any(feature = "host", feature = "http", feature = "postgres"))]
pub mod names;
#[cfg(feature = "postgres")]
pub mod postgres;
