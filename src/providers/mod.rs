//! The providers, one folder each, behind cargo features.

pub mod detached;
#[cfg(feature = "host")]
pub mod host;
#[cfg(any(feature = "host", feature = "http"))]
pub mod names;
#[cfg(feature = "postgres")]
pub mod postgres;
