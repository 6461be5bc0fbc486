//! Scenarios as tests: what the systems answer and what people do is written down, and the engine runs against it unchanged.
//!
//! The world of a scenario is scripted providers and people, a journal in memory and a clock on which hours pass in no time. What
//! came of the run is read from the events, as the report is.

pub mod draft;
pub mod write;

pub use draft::Draft;
