//! `github:` in `starr.yaml`: repositories by the name that runbooks use.

use crate::providers::http::config::{EndpointConfig, HeaderConfig};
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `github:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub repositories: BTreeMap<String, RepositoryConfig>,
}

/// One repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// `owner/name`
    pub repository: String,
    /// A token that may write issues there.
    pub token: SecretSource,
    /// Where the interface is; GitHub's own when absent.
    #[serde(default = "api")]
    pub url: String,
    /// Addresses its name may lead to, as for an HTTP endpoint.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn api() -> String {
    "https://api.github.com".to_owned()
}

impl RepositoryConfig {
    /// The repository as an endpoint: every path is put behind `/repos/owner/name`.
    pub fn endpoint(&self) -> EndpointConfig {
        let header = |name: &str, value: &str| (name.to_owned(), HeaderConfig::Value(value.to_owned()));
        EndpointConfig {
            headers: BTreeMap::from([
                header("accept", "application/vnd.github+json"),
                header("x-github-api-version", "2022-11-28"),
            ]),
            bearer: Some(self.token.clone()),
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            ..EndpointConfig::new(format!("{}/repos/{}", self.url.trim_end_matches('/'), self.repository))
        }
    }

    /// True for `owner/name`, in the letters that GitHub has for both.
    fn is_named(&self) -> bool {
        let good = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part != "."
                && part != ".."
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        self.repository
            .split_once('/')
            .is_some_and(|(owner, name)| good(owner) && good(name))
    }
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, repository) in &self.repositories {
            if !repository.is_named() {
                return Err(format!("github.repositories.{name}: `repository` is not `owner/name`"));
            }
        }
        super::GitHub::new(self).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| {
            serde_yaml::from_str::<Config>(&format!("repositories: {{ shop: {text} }}"))
                .map_err(|problem| problem.to_string())
                .and_then(|config| config.validate())
                .err()
        };
        assert_eq!(refusal("{ repository: team/shop, token: { env: X } }"), None);
        let refused = |text: &str, because: &str| {
            let problem = refusal(text).unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.contains(because), "{problem}");
        };
        for repository in ["shop", "team/", "../shop", "team/shop/x", "team/..", "a b/c"] {
            refused(
                &format!("{{ repository: \"{repository}\", token: {{ env: X }} }}"),
                "owner/name",
            );
        }
        refused("{ repository: team/shop, token: swordfish }", "source");
        refused(
            "{ repository: team/shop, token: { env: X }, url: \"http://git.example\" }",
            "in the clear",
        );
        refused("{ repository: team/shop }", "token");
    }
}
