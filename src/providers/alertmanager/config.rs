//! `alertmanager:` in `starr.yaml`: the servers of an environment, by name.

use crate::providers::http::config::EndpointConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `alertmanager:` of an environment. A server is described as an endpoint of `http` is: URL, bearer, headers, trust, addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub servers: BTreeMap<String, EndpointConfig>,
    /// Longest time that a silence may last, in hours.
    #[serde(default = "default_hours")]
    pub longest_silence_hours: u16,
}

fn default_hours() -> u16 {
    24
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: BTreeMap::new(),
            longest_silence_hours: default_hours(),
        }
    }
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        super::Alertmanager::new(self).map(|_| ())
    }

    /// Longest time that a silence may last.
    pub fn longest(&self) -> Duration {
        Duration::from_secs(u64::from(self.longest_silence_hours) * 3600)
    }
}
