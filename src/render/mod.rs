//! What people read: guide, diagram, incident report.

pub mod diagnostics;
pub mod document;
pub mod guide;
pub mod html;
pub mod lines;
pub mod markdown;
pub mod plan;
pub mod plan_live;
pub mod report;
pub mod safe;
#[cfg(test)]
pub mod sample;
pub mod show;
pub mod words;

pub use report::report;
pub use show::{runs, show};
