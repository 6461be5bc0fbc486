//! What several tests need.

pub mod postgres;
pub mod samples;
pub mod terminal;
