//! The journal as evidence: attacks on it, both verifiers, anchors, commands.

mod anchors;
mod attacks;
mod attacks_postgres;
mod bits;
mod commands;
mod forge;
mod fuzz;
mod golden;
mod log;
mod second;
mod server;
