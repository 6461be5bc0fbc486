//! What people read: guide, diagram, incident report.

pub mod diagnostics;
pub mod lines;
pub mod safe;
pub mod words;
