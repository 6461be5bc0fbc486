//! From tree to checked program: names, types, units, effects, rules. Pure.

pub mod fix;
pub mod rules;
