//! The providers, one folder each, behind cargo features.

/// The providers of this build, by name.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "alertmanager")]
    "alertmanager",
    #[cfg(feature = "notify")]
    "chat",
    #[cfg(feature = "docker")]
    "docker",
    #[cfg(feature = "host")]
    "host",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "kubernetes")]
    "kubernetes",
    #[cfg(feature = "notify")]
    "mail",
    #[cfg(feature = "notify")]
    "pager",
    #[cfg(feature = "postgres")]
    "postgres",
    #[cfg(feature = "prometheus")]
    "prometheus",
    #[cfg(feature = "redis")]
    "redis",
];

#[cfg(feature = "alertmanager")]
pub mod alertmanager;
pub mod arguments;
pub mod detached;
#[cfg(feature = "docker")]
pub mod docker;
pub mod failure;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "host", feature = "http", feature = "postgres"))]
pub mod names;
#[cfg(feature = "notify")]
pub mod notify;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "redis")]
pub mod redis;
pub mod secret;
