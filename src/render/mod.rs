//! What people read: guide, diagram, incident report.

pub mod lines;
pub mod diagnostics;
pub mod safe;
pub mod words;
