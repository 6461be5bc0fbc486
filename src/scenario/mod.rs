//! Scenarios as tests: what the systems answer and what people do is written down, and the engine runs against it unchanged.
//!
//! The world of a scenario is scripted providers and people, a journal in memory and a clock on which hours pass in no time. What
//! came of the run is read from the events, as the report is.

pub mod all;
pub mod coverage;
mod deciding;
pub mod draft;
pub mod faults;
mod fill;
pub mod generate;
pub mod junit;
pub mod report;
mod stage;
pub mod suite;
pub mod verdict;
mod world;
pub mod write;

pub use all::{Options, run_all};
pub use draft::Draft;
pub use fill::Filling;
pub use stage::{Fault, Held, Missing, Variant, Wrong};
pub use suite::{Facts, Ran, Runtime, Suite};
