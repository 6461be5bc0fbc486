//! The interpreter. It can do only what its [`world::World`] lets it do.

pub mod clock;
pub mod limits;
pub mod random;
pub mod world;
