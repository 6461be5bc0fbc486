//! Tests against the real world, linked once.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod postgres;
mod stdlib;
mod support;
