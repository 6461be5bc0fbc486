//! `aws:` in `starr.yaml`: accounts by the name that runbooks use.

use crate::providers::http::config::EndpointConfig;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `aws:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub accounts: BTreeMap<String, AccountConfig>,
}

/// An account in a region, and who asks it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// `eu-west-1`
    pub region: String,
    /// Where credentials come from; the official chain (environment, profile, web identity, container, instance) when absent.
    #[serde(default)]
    pub credentials: Credentials,
    /// A role that is taken on with them.
    #[serde(default)]
    pub assume: Option<Assume>,
    /// The number of the account; grants that are printed have it filled in.
    #[serde(default)]
    pub id: Option<String>,
    /// A table of DynamoDB in which the lock of this account is kept; without one no lock is taken.
    #[serde(default)]
    pub lock_table: Option<String>,
    /// Where everything is sent instead of the services' own addresses, as an emulator needs it.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Addresses that names of the services may lead to, as for an HTTP endpoint.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// Where credentials come from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Credentials {
    /// The official chain.
    #[default]
    Chain,
    /// A profile of the files of the AWS programs: single sign-on, a program, a role.
    Profile(String),
    Keys(Keys),
}

/// A key of a user, or a session's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// `AKIA…`: not a secret by itself, but where it comes from may be the same place.
    pub id: SecretSource,
    pub secret: SecretSource,
    #[serde(default)]
    pub session: Option<SecretSource>,
}

/// A role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assume {
    /// `arn:aws:iam::123456789012:role/starr`
    pub role: String,
    #[serde(default)]
    pub external_id: Option<SecretSource>,
}

impl AccountConfig {
    /// Which addresses and authorities are trusted.
    pub fn trust(&self) -> EndpointConfig {
        EndpointConfig {
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            ..EndpointConfig::new(self.endpoint.clone().unwrap_or_default())
        }
    }

    fn problem(&self) -> Option<String> {
        let region = self.region.as_str();
        let named = !region.is_empty()
            && region.len() <= 40
            && region
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !named {
            return Some(format!("`{region}` is not the name of a region"));
        }
        if let Some(id) = &self.id
            && (id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Some("`id` is the account's number of 12 digits".to_owned());
        }
        if let Some(table) = &self.lock_table
            && !is_table(table)
        {
            return Some(format!(
                "`lock_table`: `{table}` is not the name of a table: 3 to 255 of a-z, A-Z, 0-9, `_`, `-`, `.`"
            ));
        }
        let keys = match &self.credentials {
            Credentials::Keys(keys) => vec![Some(&keys.id), Some(&keys.secret), keys.session.as_ref()],
            Credentials::Chain | Credentials::Profile(_) => Vec::new(),
        };
        let external = self.assume.as_ref().and_then(|assume| assume.external_id.as_ref());
        if keys
            .into_iter()
            .chain([external])
            .flatten()
            .any(SecretSource::is_in_a_cloud)
        {
            return Some("what an account is reached with does not lie in an account or a vault".to_owned());
        }
        if let Some(assume) = &self.assume
            && !(assume.role.starts_with("arn:") && assume.role.contains(":role/"))
        {
            return Some("`assume.role` is not the ARN of a role".to_owned());
        }
        if let Some(endpoint) = &self.endpoint {
            let url = match crate::providers::http::target::parse(endpoint) {
                Ok(url) => url,
                Err(problem) => return Some(format!("`endpoint`: {problem}")),
            };
            if !crate::providers::http::target::is_private(&url) {
                return Some("`endpoint`: a signature would travel in the clear: use https".to_owned());
            }
            if let Err(problem) = crate::providers::http::target::configured("endpoint", &self.trust()) {
                return Some(format!("`endpoint`: {problem}"));
            }
        }
        None
    }
}

fn is_table(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, account) in &self.accounts {
            if let Some(problem) = account.problem() {
                return Err(format!("aws.accounts.{name}: {problem}"));
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
            serde_yaml::from_str::<Config>(&format!("accounts: {{ prod: {text} }}"))
                .map_err(|problem| problem.to_string())
                .and_then(|config| config.validate())
                .err()
        };
        assert_eq!(refusal("{ region: eu-west-1 }"), None);
        assert_eq!(refusal("{ region: eu-west-1, credentials: { profile: ops } }"), None);
        let keys = "{ region: eu-west-1, credentials: { keys: { id: { env: A }, secret: { env: B } } } }";
        assert_eq!(refusal(keys), None);
        let refused = |text: &str, because: &str| {
            let problem = refusal(text).unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.contains(because), "{problem}");
        };
        refused("{ region: \"EU West\" }", "region");
        refused("{ region: eu-west-1, id: \"12\" }", "12 digits");
        assert_eq!(refusal("{ region: eu-west-1, lock_table: starr-locks }"), None);
        refused("{ region: eu-west-1, lock_table: \"no name\" }", "lock_table");
        refused("{ region: eu-west-1, assume: { role: admin } }", "ARN");
        for source in ["{ aws: prod, secret: key }", "{ vault: v, secret: key }"] {
            let keys = format!("credentials: {{ keys: {{ id: {{ env: A }}, secret: {source} }} }}");
            refused(&format!("{{ region: eu-west-1, {keys} }}"), "does not lie");
            let role = format!("assume: {{ role: \"arn:aws:iam::123456789012:role/x\", external_id: {source} }}");
            refused(&format!("{{ region: eu-west-1, {role} }}"), "does not lie");
        }
        refused(
            "{ region: eu-west-1, endpoint: \"http://aws.example\" }",
            "in the clear",
        );
        refused(
            "{ region: eu-west-1, credentials: { keys: { id: { env: A }, secret: swordfish } } }",
            "source",
        );
    }
}
