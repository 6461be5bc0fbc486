//! `starr.yaml`: environments, provider instances, people and roles, grants.
