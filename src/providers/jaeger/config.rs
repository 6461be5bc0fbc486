//! `jaeger:` in `starr.yaml`: the query services of an environment, by name.

use crate::providers::http::config::EndpointConfig;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `jaeger:` of an environment. A server is described as an endpoint of `http` is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub servers: BTreeMap<String, EndpointConfig>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        super::Jaeger::new(self).map(|_| ())
    }
}
