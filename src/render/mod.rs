//! What people read: guide, diagram, incident report.

pub mod safe;
