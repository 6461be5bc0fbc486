//! `status_page:` in `starr.yaml`: pages that customers read, by the name that runbooks use.

use crate::providers::http::config::{EndpointConfig, HeaderConfig};
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `status_page:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub pages: BTreeMap<String, PageConfig>,
}

/// One page of a service that understands the Statuspage API v1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageConfig {
    /// The id of the page, as the service gives it.
    pub page: String,
    /// The key that may write there.
    pub api_key: SecretSource,
    /// Where the interface is; Atlassian's own when absent.
    #[serde(default = "api")]
    pub url: String,
    /// Whether subscribers are told of what is written; they are when absent.
    #[serde(default = "yes")]
    pub notify: bool,
    /// Addresses its name may lead to, as for an HTTP endpoint.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

fn api() -> String {
    "https://api.statuspage.io".to_owned()
}

fn yes() -> bool {
    true
}

impl PageConfig {
    /// The page as an endpoint: every path is put behind `/v1/pages/ID`.
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            headers: BTreeMap::from([(
                "authorization".to_owned(),
                HeaderConfig::Prefixed("OAuth ".to_owned(), self.api_key.clone()),
            )]),
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            ..EndpointConfig::new(format!("{}/v1/pages/{}", self.url.trim_end_matches('/'), self.page))
        }
    }
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, page) in &self.pages {
            let good =
                (1..=64).contains(&page.page.len()) && page.page.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !good {
                return Err(format!(
                    "status_page.pages.{name}: `page` is the id of a page, letters and digits"
                ));
            }
        }
        super::StatusPage::new(self).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| {
            serde_yaml::from_str::<Config>(&format!("pages: {{ shop: {text} }}"))
                .map_err(|problem| problem.to_string())
                .and_then(|config| config.validate())
                .err()
        };
        assert_eq!(refusal("{ page: kctbh9vrtdwd, api_key: { env: X } }"), None);
        for (text, because) in [
            ("{ page: \"../x\", api_key: { env: X } }", "id of a page"),
            ("{ page: \"\", api_key: { env: X } }", "id of a page"),
            ("{ page: abc, api_key: swordfish }", "source"),
            (
                "{ page: abc, api_key: { env: X }, url: \"http://status.example\" }",
                "in the clear",
            ),
        ] {
            let problem = refusal(text).unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.contains(because), "{problem}");
        }
    }
}
