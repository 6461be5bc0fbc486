//! `kubernetes:` in `starr.yaml`: the clusters and namespaces of an environment, by name.

use crate::providers::contract::Contract;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `kubernetes:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource `Cluster`.
    #[serde(default)]
    pub clusters: BTreeMap<String, Cluster>,
    /// By the name of the resource `Namespace`.
    #[serde(default)]
    pub namespaces: BTreeMap<String, Namespace>,
}

/// A namespace that can be reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// A name of `clusters`.
    pub cluster: String,
    /// Its name in the cluster; the resource's own when absent.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// One cluster. Nothing is taken from `KUBECONFIG`, `~/.kube/config` or a current context.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// A kubeconfig file; `context` says which of its contexts. Exactly one of `kubeconfig`, `server` and `in_cluster` is given.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    #[serde(default)]
    pub context: Option<String>,
    /// The address of the API server, `https://…`.
    #[serde(default)]
    pub server: Option<String>,
    /// Certificates (PEM) that sign the server's; with `server`. The system's own when absent.
    #[serde(default)]
    pub certificate_authority: Option<PathBuf>,
    /// The bearer token; with `server`.
    #[serde(default)]
    pub token: Option<SecretSource>,
    /// The service account of the pod that starr runs in.
    #[serde(default)]
    pub in_cluster: bool,
    /// Programs that a kubeconfig may run for its credentials, exactly as they stand in it. Default none.
    #[serde(default)]
    pub allow_programs: Vec<String>,
    /// Whom to act as when something is read.
    #[serde(default)]
    pub read_as: Option<Impersonation>,
    /// Whom to act as when something is changed.
    #[serde(default)]
    pub change_as: Option<Impersonation>,
    /// With it, digests of secrets compare across runs.
    #[serde(default)]
    pub secret_salt: Option<SecretSource>,
    /// Programs that `pods.exec` may run in containers, by their absolute paths there. Default none.
    #[serde(default)]
    pub programs: Vec<String>,
    /// Programs in containers under a contract, by the name of the resource.
    #[serde(default)]
    pub contracts: BTreeMap<String, Contract>,
    /// Take the lock of a namespace, or of the cluster's nodes, before something there is changed: two runs never change it at once.
    #[serde(default = "default_lock")]
    pub lock: bool,
    /// The namespace in which the lock of the nodes lies.
    #[serde(default = "default_lock_namespace")]
    pub lock_namespace: String,
    /// Longest time to connect, in seconds.
    #[serde(default = "default_connect_seconds")]
    pub connect_seconds: u16,
}

/// A user and groups in whose name the server is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impersonation {
    pub user: String,
    #[serde(default)]
    pub groups: Vec<String>,
}

fn default_lock() -> bool {
    true
}

fn default_lock_namespace() -> String {
    "default".to_owned()
}

fn default_connect_seconds() -> u16 {
    5
}

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Read,
    Change,
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, cluster) in &self.clusters {
            cluster
                .validate()
                .map_err(|problem| format!("kubernetes cluster `{name}`: {problem}"))?;
        }
        let mut seen = BTreeSet::new();
        for (name, namespace) in &self.namespaces {
            let wrong = |problem: String| Err(format!("kubernetes namespace `{name}`: {problem}"));
            if self.clusters.contains_key(name) {
                return wrong("a cluster has the same name, and a grant could not tell them apart".to_owned());
            }
            if !self.clusters.contains_key(&namespace.cluster) {
                return wrong(format!("there is no cluster `{}`", namespace.cluster));
            }
            let real = namespace.namespace.as_deref().unwrap_or(name);
            if !is_label(real) {
                return wrong(format!("`{real}` cannot be the name of a namespace"));
            }
            if !seen.insert((namespace.cluster.as_str(), real)) {
                return wrong(format!("`{real}` of `{}` has another name already", namespace.cluster));
            }
        }
        Ok(())
    }
}

/// True for a text that can name a namespace: lower-case letters, digits and `-`, at most 63.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl Cluster {
    fn validate(&self) -> Result<(), String> {
        let ways = [self.kubeconfig.is_some(), self.server.is_some(), self.in_cluster];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Err("exactly one of `kubeconfig`, `server` and `in_cluster` is given".to_owned());
        }
        if self.kubeconfig.is_some() != self.context.is_some() {
            return Err("`kubeconfig` and `context` are given together: no context is taken for granted".to_owned());
        }
        if self.server.is_none() && (self.token.is_some() || self.certificate_authority.is_some()) {
            return Err("`token` and `certificate_authority` go with `server`".to_owned());
        }
        if let Some(server) = &self.server {
            protected(server)?;
        }
        let elsewhere = |source: &SecretSource| matches!(source, SecretSource::Cluster(_)) || source.is_in_a_cloud();
        if [&self.token, &self.secret_salt].into_iter().flatten().any(elsewhere) {
            return Err(
                "`token` and `secret_salt` of a cluster do not lie in a cluster, a vault or an account".to_owned(),
            );
        }
        if self.kubeconfig.is_none() && !self.allow_programs.is_empty() {
            return Err("`allow_programs` goes with `kubeconfig`".to_owned());
        }
        if let Some(program) = self.programs.iter().find(|program| !program.starts_with('/')) {
            return Err(format!("`programs`: `{program}` is not an absolute path"));
        }
        for (name, contract) in &self.contracts {
            let problem = match contract.validate() {
                // A program in a container is begun as the container is.
                Ok(())
                    if contract.confine.is_some() || contract.folder.is_some() || !contract.environment.is_empty() =>
                {
                    "`confine`, `folder` and `environment` are for programs of this machine".to_owned()
                }
                Ok(()) => continue,
                Err(problem) => problem,
            };
            return Err(format!("`contracts`: `{name}`: {problem}"));
        }
        if !is_label(&self.lock_namespace) {
            return Err(format!(
                "`lock_namespace`: `{}` cannot be the name of a namespace",
                self.lock_namespace
            ));
        }
        if self.connect_seconds == 0 || self.connect_seconds > 60 {
            return Err("`connect_seconds` is between 1 and 60".to_owned());
        }
        Ok(())
    }

    /// Whom to act as.
    pub fn acting_as(&self, role: Role) -> Option<&Impersonation> {
        match role {
            Role::Read => self.read_as.as_ref(),
            Role::Change => self.change_as.as_ref(),
        }
    }

    /// Longest time to connect.
    pub fn connect_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.connect_seconds))
    }
}

/// Credentials travel to this address: encrypted, or not off this machine.
///
/// # Errors
/// When it is no address, has credentials inside, or is neither.
pub fn protected(server: &str) -> Result<http::Uri, String> {
    let address: http::Uri = server.parse().map_err(|_| "`server` is no address".to_owned())?;
    let host = address.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.is_empty()
        || address
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err("`server` is no address of the form https://HOST:PORT".to_owned());
    }
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match address.scheme_str() {
        Some("https") => Ok(address),
        Some("http") if here => Ok(address),
        _ => Err("the address of the server is `https://…`; unencrypted only on this machine".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = serde_yaml::from_str(text).map_err(|problem| problem.to_string())?;
        config.validate()?;
        Ok(config)
    }

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| read(text).unwrap_err();
        assert!(refusal("clusters: { p: {} }").contains("exactly one of"));
        assert!(refusal("clusters: { p: { kubeconfig: /k } }").contains("together"));
        assert!(refusal("clusters: { p: { server: 'http://k8s.example.org' } }").contains("https"));
        assert!(refusal("clusters: { p: { server: 'https://u:p@k8s.example.org' } }").contains("no address"));
        assert!(refusal("clusters: { p: { in_cluster: true, token: { env: T } } }").contains("go with `server`"));
        let round = "{ kubernetes: p, namespace: shop, secret: s, key: k }";
        assert!(
            refusal(&format!("clusters: {{ p: {{ server: 'https://k', token: {round} }} }}")).contains("do not lie")
        );
        let vault = "clusters: { p: { server: 'https://k', token: { vault: v, secret: s } } }";
        assert!(refusal(vault).contains("do not lie"));
        assert!(refusal("namespaces: { shop: { cluster: p } }").contains("no cluster `p`"));
        let twice = "clusters: { p: { in_cluster: true } }\n\
                     namespaces: { a: { cluster: p, namespace: shop }, b: { cluster: p, namespace: shop } }";
        assert!(refusal(twice).contains("another name already"));
        let same = "clusters: { p: { in_cluster: true } }\nnamespaces: { p: { cluster: p } }";
        assert!(refusal(same).contains("could not tell them apart"));
        let word = "clusters: { p: { in_cluster: true } }\nnamespaces: { s: { cluster: p, namespace: '../x' } }";
        assert!(refusal(word).contains("cannot be the name"));
        let with = |more: &str| refusal(&format!("clusters: {{ p: {{ in_cluster: true, {more} }} }}"));
        assert!(with("programs: [sh]").contains("`sh` is not an absolute path"));
        assert!(with("lock_namespace: '../x'").contains("`lock_namespace`"));
        assert!(with("contracts: { r: { program: pg_isready, does: read } }").contains("`contracts`: `r`"));
        assert!(with("contracts: { r: { program: /x, does: read, folder: /y } }").contains("of this machine"));
        // A secret itself is not taken, and not repeated.
        let secret = refusal("clusters: { p: { server: 'https://k', token: swordfish } }");
        assert!(!secret.lines().next().unwrap().contains("swordfish"), "{secret}");
    }

    #[test]
    fn a_server_on_this_machine_may_be_unencrypted() {
        let config = read("clusters: { p: { server: 'http://127.0.0.1:6443' } }\nnamespaces: { shop: { cluster: p } }");
        assert!(config.unwrap().namespaces.contains_key("shop"));
        assert!(read("clusters: { p: { server: 'https://k8s.example.org:6443', read_as: { user: viewer } } }").is_ok());
    }
}
