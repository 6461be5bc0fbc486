//! Evaluates pure expressions of a checked program. Three-valued; never fails, never blocks. Pure.
