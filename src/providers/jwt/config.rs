//! `jwt:` in `starr.yaml`: the keys by which tokens are checked.

use crate::providers::http::config::EndpointConfig;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `jwt:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub keys: BTreeMap<String, Keys>,
}

/// Where keys come from: exactly one of the three.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// A key set (JWKS) at an address, described as an endpoint of `http`.
    #[serde(default)]
    pub endpoint: Option<EndpointConfig>,
    /// A key set in a file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// A secret that both sides share, for HS256, HS384 and HS512.
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// The algorithms that are taken; those that fit the keys when absent.
    #[serde(default)]
    pub algorithms: Vec<String>,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, keys) in &self.keys {
            let wrong = |problem: &str| Err(format!("jwt `{name}`: {problem}"));
            let sources = [keys.endpoint.is_some(), keys.file.is_some(), keys.secret.is_some()];
            if sources.iter().filter(|there| **there).count() != 1 {
                return wrong("exactly one of `endpoint`, `file` and `secret` is written");
            }
            if keys.file.as_ref().is_some_and(|path| !path.is_absolute()) {
                return wrong("`file` is not an absolute path");
            }
            for algorithm in &keys.algorithms {
                let Some(known) = super::keys::Algorithm::from_name(algorithm) else {
                    return wrong(&format!("`{algorithm}` is not an algorithm that is known here"));
                };
                // A public key must never be taken for a shared secret.
                if known.is_shared() != keys.secret.is_some() {
                    return wrong(&format!("`{algorithm}` does not fit where the keys come from"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| {
            serde_yaml::from_str::<Config>(&format!("keys: {{ shop: {text} }}"))
                .map_err(|problem| problem.to_string())
                .and_then(|config| config.validate())
                .unwrap_err()
        };
        assert!(refusal("{}").contains("exactly one"));
        assert!(refusal("{ file: keys.json }").contains("absolute"));
        assert!(refusal("{ file: /keys.json, algorithms: [none] }").contains("`none`"));
        assert!(refusal("{ file: /keys.json, algorithms: [HS256] }").contains("does not fit"));
        assert!(refusal("{ secret: { env: X }, algorithms: [RS256] }").contains("does not fit"));
        assert!(refusal("{ secret: swordfish }").contains("source"));
    }
}
