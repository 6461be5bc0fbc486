//! The providers, one folder each, behind cargo features.

/// The providers of this build, by name.
pub const NAMES: &[&str] = &[
    #[cfg(feature = "alertmanager")]
    "alertmanager",
    #[cfg(feature = "app")]
    "app",
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "azure")]
    "azure",
    #[cfg(feature = "notify")]
    "chat",
    #[cfg(feature = "dns")]
    "dns",
    #[cfg(feature = "docker")]
    "docker",
    #[cfg(feature = "exec")]
    "exec",
    #[cfg(feature = "github")]
    "github",
    #[cfg(feature = "host")]
    "host",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "jaeger")]
    "jaeger",
    #[cfg(feature = "jwt")]
    "jwt",
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
    #[cfg(feature = "notify")]
    "status_page",
    #[cfg(feature = "tls")]
    "tls",
];

#[cfg(feature = "alertmanager")]
pub mod alertmanager;
#[cfg(feature = "app")]
pub mod app;
pub mod arguments;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
#[cfg(any(feature = "redis", feature = "docker", feature = "notify"))]
pub mod bounded;
#[cfg(any(feature = "exec", feature = "docker"))]
pub mod contract;
pub mod detached;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "docker")]
pub mod docker;
#[cfg(feature = "exec")]
pub mod exec;
pub mod failure;
#[cfg(feature = "github")]
pub mod github;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "jaeger")]
pub mod jaeger;
#[cfg(feature = "jwt")]
pub mod jwt;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "aws", feature = "azure"))]
mod late;
#[cfg(any(feature = "aws", feature = "azure"))]
mod lock;
#[cfg(any(feature = "host", feature = "http", feature = "postgres", feature = "dns"))]
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
mod stamp;
#[cfg(feature = "notify")]
pub mod status_page;
#[cfg(feature = "tls")]
pub mod tls;
