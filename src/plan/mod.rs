//! What would run, on which answer: a symbolic walk of a checked program. Pure.
