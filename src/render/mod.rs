//! What people read: guide, diagram, incident report.
