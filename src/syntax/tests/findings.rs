//! The findings of the grammar, one by one.
