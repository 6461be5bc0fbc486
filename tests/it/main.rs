//! Tests against the real world, linked once.

mod postgres;
mod support;
