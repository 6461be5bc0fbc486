//! The interpreter. It can do only what its [`world::World`] lets it do.

pub mod world;
