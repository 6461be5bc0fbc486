//! The providers, one folder each, behind cargo features.
