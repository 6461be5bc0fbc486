//! starr: a language for runbooks, and the sandboxed interpreter that runs them.
//!
//! The way of a runbook is one straight line: text → [`syntax`] → tree → [`check`] → [`program`] → [`plan`] → [`engine`]
//! → outcome → [`render`].

pub mod check;
pub mod cli;
pub mod config;
pub mod diagnostic;
pub mod diff;
pub mod engine;
pub mod eval;
pub mod intake;
pub mod journal;
pub mod limits;
pub mod models;
pub mod plan;
#[cfg(feature = "policy")]
pub mod policy;
pub mod program;
pub mod provider;
pub mod providers;
pub mod recording;
pub mod render;
pub mod scenario;
pub mod secrets;
pub mod source;
pub mod syntax;
pub mod trust;
pub mod value;
