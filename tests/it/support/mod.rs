//! What several tests need.

pub mod daemon;
pub mod desk;
pub mod gated;
pub mod postgres;
pub mod samples;
pub mod terminal;
