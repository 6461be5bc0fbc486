//! `azure:` in `starr.yaml`: subscriptions with their credentials, and what lies in them by the name that runbooks use.

use crate::providers::http::config::EndpointConfig;
use crate::secrets::SecretSource;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `azure:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, SubscriptionConfig>,
    /// Resource groups.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupConfig>,
    /// Workspaces of logs, and applications of Application Insights.
    #[serde(default)]
    pub workspaces: BTreeMap<String, WorkspaceConfig>,
    /// Key vaults.
    #[serde(default)]
    pub vaults: BTreeMap<String, PlaceConfig>,
    /// Container registries.
    #[serde(default)]
    pub registries: BTreeMap<String, PlaceConfig>,
}

/// A subscription, and who we are there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionConfig {
    pub id: String,
    /// The directory, by id or by domain.
    pub tenant: String,
    pub credential: CredentialConfig,
    #[serde(default)]
    pub cloud: Cloud,
    /// Servers in the place of the cloud's own.
    #[serde(default)]
    pub endpoints: EndpointsConfig,
    /// Where the locks of its targets are kept; without it none are taken.
    #[serde(default)]
    pub lock: Option<LockConfig>,
}

/// A container of blobs that is kept for locks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockConfig {
    /// The storage account.
    pub account: String,
    pub container: String,
    /// Its server, in the place of the one that follows from the account.
    #[serde(default)]
    pub server: Option<ServerConfig>,
}

/// Where tokens come from. Always one source: which one works is not tried out.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "CredentialFields")]
pub enum CredentialConfig {
    /// An application of the directory and its secret.
    Secret { client: String, secret: SecretSource },
    /// A token that the platform writes into a file, exchanged for one of Azure.
    Workload {
        workload_identity: String,
        token_file: PathBuf,
    },
    /// The identity of this machine or app: `system`, or the client id of one that was assigned to it.
    Managed { managed_identity: String },
    /// Whoever is signed in with the program `az`.
    Cli { cli: bool },
}

/// A credential as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialFields {
    client: Option<String>,
    secret: Option<SecretSource>,
    workload_identity: Option<String>,
    token_file: Option<PathBuf>,
    managed_identity: Option<String>,
    cli: Option<bool>,
}

impl TryFrom<CredentialFields> for CredentialConfig {
    type Error = &'static str;

    fn try_from(fields: CredentialFields) -> Result<Self, Self::Error> {
        let CredentialFields {
            client,
            secret,
            workload_identity,
            token_file,
            managed_identity,
            cli,
        } = fields;
        match (client, secret, workload_identity, token_file, managed_identity, cli) {
            (Some(client), Some(secret), None, None, None, None) => Ok(Self::Secret { client, secret }),
            (None, None, Some(workload_identity), Some(token_file), None, None) => Ok(Self::Workload {
                workload_identity,
                token_file,
            }),
            (None, None, None, None, Some(managed_identity), None) => Ok(Self::Managed { managed_identity }),
            (None, None, None, None, None, Some(cli)) => Ok(Self::Cli { cli }),
            _ => Err(
                "a credential is { client: ID, secret: SOURCE }, { workload_identity: ID, token_file: PATH }, \
                 { managed_identity: system } or { cli: true }",
            ),
        }
    }
}

/// Which cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    #[default]
    Public,
    Government,
    China,
}

/// Servers in the place of the cloud's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointsConfig {
    /// The resource manager.
    #[serde(default)]
    pub manager: Option<ServerConfig>,
    /// Where tokens are given.
    #[serde(default)]
    pub login: Option<ServerConfig>,
    /// Queries of Log Analytics.
    #[serde(default)]
    pub logs: Option<ServerConfig>,
    /// Queries of Application Insights.
    #[serde(default)]
    pub insights: Option<ServerConfig>,
    /// Microsoft Graph.
    #[serde(default)]
    pub graph: Option<ServerConfig>,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub url: String,
    /// Addresses its name may lead to, as for an HTTP endpoint.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
    /// Certificates (PEM) of the only authorities that are trusted here.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// A resource group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    pub subscription: String,
    pub name: String,
}

/// A workspace of Log Analytics, by its workspace id, or an application of Application Insights, by its application id.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceConfig {
    pub subscription: String,
    #[serde(default)]
    pub workspace: Option<String>,
    #[serde(default)]
    pub application: Option<String>,
}

/// Something with a server of its own: a vault, a registry.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceConfig {
    pub subscription: String,
    pub name: String,
    /// Its server, in the place of the one that follows from the name.
    #[serde(default)]
    pub server: Option<ServerConfig>,
}

impl ServerConfig {
    fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            addresses: self.addresses.clone(),
            ca: self.ca.clone(),
            ..EndpointConfig::new(self.url.trim_end_matches('/').to_owned())
        }
    }
}

/// The services of a cloud that are asked with a token of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    Manager,
    Logs,
    Insights,
    Graph,
    Vault,
    Registry,
    /// Blobs, for locks.
    Storage,
}

impl Cloud {
    fn pick(self, public: &'static str, government: &'static str, china: &'static str) -> &'static str {
        match self {
            Cloud::Public => public,
            Cloud::Government => government,
            Cloud::China => china,
        }
    }

    /// Where tokens are given.
    pub fn login(self) -> &'static str {
        self.pick(
            "https://login.microsoftonline.com",
            "https://login.microsoftonline.us",
            "https://login.partner.microsoftonline.cn",
        )
    }

    /// What a token is asked for.
    pub fn scope(self, audience: Audience) -> &'static str {
        match audience {
            Audience::Manager => self.pick(
                "https://management.azure.com/.default",
                "https://management.usgovcloudapi.net/.default",
                "https://management.chinacloudapi.cn/.default",
            ),
            Audience::Logs => self.pick(
                "https://api.loganalytics.io/.default",
                "https://api.loganalytics.us/.default",
                "https://api.loganalytics.azure.cn/.default",
            ),
            Audience::Insights => self.pick(
                "https://api.applicationinsights.io/.default",
                "https://api.applicationinsights.us/.default",
                "https://api.applicationinsights.azure.cn/.default",
            ),
            Audience::Graph => self.pick(
                "https://graph.microsoft.com/.default",
                "https://graph.microsoft.us/.default",
                "https://microsoftgraph.chinacloudapi.cn/.default",
            ),
            Audience::Vault => self.pick(
                "https://vault.azure.net/.default",
                "https://vault.usgovcloudapi.net/.default",
                "https://vault.azure.cn/.default",
            ),
            Audience::Registry => "https://containerregistry.azure.net/.default",
            Audience::Storage => "https://storage.azure.com/.default",
        }
    }

    fn server(self, audience: Audience, name: &str) -> String {
        match audience {
            Audience::Manager | Audience::Graph | Audience::Insights => {
                self.scope(audience).trim_end_matches("/.default").to_owned()
            }
            Audience::Logs => self
                .pick(
                    "https://api.loganalytics.azure.com",
                    "https://api.loganalytics.us",
                    "https://api.loganalytics.azure.cn",
                )
                .to_owned(),
            Audience::Vault => {
                let zone = self.pick("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn");
                format!("https://{name}.{zone}")
            }
            Audience::Registry => {
                let zone = self.pick("azurecr.io", "azurecr.us", "azurecr.cn");
                format!("https://{name}.{zone}")
            }
            Audience::Storage => {
                let zone = self.pick("windows.net", "usgovcloudapi.net", "chinacloudapi.cn");
                format!("https://{name}.blob.core.{zone}")
            }
        }
    }
}

fn guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The name of a server among those of the provider.
pub fn server_name(audience: Audience, owner: &str) -> String {
    let word = match audience {
        Audience::Manager => "resource manager",
        Audience::Logs => "log queries",
        Audience::Insights => "application queries",
        Audience::Graph => "directory",
        Audience::Vault => "vault",
        Audience::Registry => "registry",
        Audience::Storage => "locks",
    };
    format!("{word} of {owner}")
}

/// The name of the server that gives tokens, and of the one that gives those of this machine.
pub fn login_name(subscription: &str) -> (String, String) {
    (
        format!("login of {subscription}"),
        format!("identity of {subscription}"),
    )
}

/// Where this machine's identity is asked for: an app's own endpoint, or the virtual machine's.
fn identity_server() -> String {
    let origin = std::env::var("IDENTITY_ENDPOINT")
        .ok()
        .and_then(|text| url::Url::parse(&text).ok())
        .map(|url| crate::providers::http::target::origin(&url));
    origin.unwrap_or_else(|| "http://169.254.169.254".to_owned())
}

impl Config {
    /// All servers, by the names that calls use.
    pub fn servers(&self) -> BTreeMap<String, EndpointConfig> {
        let mut servers = BTreeMap::new();
        let given = |server: &Option<ServerConfig>, url: String| {
            server
                .as_ref()
                .map_or_else(|| EndpointConfig::new(url), ServerConfig::endpoint)
        };
        for (name, subscription) in &self.subscriptions {
            let endpoints = &subscription.endpoints;
            for (audience, server) in [
                (Audience::Manager, &endpoints.manager),
                (Audience::Logs, &endpoints.logs),
                (Audience::Insights, &endpoints.insights),
                (Audience::Graph, &endpoints.graph),
            ] {
                servers.insert(
                    server_name(audience, name),
                    given(server, subscription.cloud.server(audience, "")),
                );
            }
            if let Some(lock) = &subscription.lock {
                let url = subscription.cloud.server(Audience::Storage, &lock.account);
                servers.insert(server_name(Audience::Storage, name), given(&lock.server, url));
            }
            let (login, identity) = login_name(name);
            servers.insert(login, given(&endpoints.login, subscription.cloud.login().to_owned()));
            if matches!(subscription.credential, CredentialConfig::Managed { .. }) {
                servers.insert(identity, EndpointConfig::new(identity_server()));
            }
        }
        for (audience, places) in [(Audience::Vault, &self.vaults), (Audience::Registry, &self.registries)] {
            for (name, place) in places {
                if let Some(subscription) = self.subscriptions.get(&place.subscription) {
                    let url = subscription.cloud.server(audience, &place.name);
                    servers.insert(server_name(audience, name), given(&place.server, url));
                }
            }
        }
        servers
    }

    fn subscription(&self, name: &str, key: &str) -> Result<(), String> {
        match self.subscriptions.contains_key(name) {
            true => Ok(()),
            false => Err(format!("azure.{key}: there is no subscription `{name}`")),
        }
    }

    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, subscription) in &self.subscriptions {
            let key = format!("azure.subscriptions.{name}");
            if !guid(&subscription.id) {
                return Err(format!("{key}: `id` is not the id of a subscription"));
            }
            let tenant = &subscription.tenant;
            if tenant.is_empty()
                || !tenant
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
            {
                return Err(format!("{key}: `tenant` is the id or a domain of a directory"));
            }
            if let Some(lock) = &subscription.lock {
                let small = |text: &str, more: &str| {
                    (3..=63).contains(&text.len())
                        && text.chars().all(|letter| {
                            letter.is_ascii_lowercase() || letter.is_ascii_digit() || more.contains(letter)
                        })
                };
                if lock.account.len() > 24 || !small(&lock.account, "") {
                    return Err(format!("{key}.lock: `account` is 3 to 24 of a-z and 0-9"));
                }
                if !small(&lock.container, "-") {
                    return Err(format!("{key}.lock: `container` is 3 to 63 of a-z, 0-9 and `-`"));
                }
            }
            match &subscription.credential {
                CredentialConfig::Secret { secret, .. } if secret.is_in_a_cloud() => {
                    return Err(format!(
                        "{key}.credential: what a vault is reached with does not lie in a vault or an account"
                    ));
                }
                CredentialConfig::Secret { client, .. }
                | CredentialConfig::Workload {
                    workload_identity: client,
                    ..
                } if !guid(client) => return Err(format!("{key}.credential: this is not the id of an application")),
                CredentialConfig::Managed { managed_identity }
                    if managed_identity != "system" && !guid(managed_identity) =>
                {
                    return Err(format!(
                        "{key}.credential: `managed_identity` is `system` or a client id"
                    ));
                }
                CredentialConfig::Cli { cli: false } => {
                    return Err(format!("{key}.credential: `cli: false` is no credential"));
                }
                _ => {}
            }
        }
        for (name, group) in &self.groups {
            self.subscription(&group.subscription, &format!("groups.{name}"))?;
            if group.name.len() > 90 || !super::path::is_name(&group.name) {
                return Err(format!(
                    "azure.groups.{name}: `name` is not the name of a resource group"
                ));
            }
        }
        for (name, workspace) in &self.workspaces {
            self.subscription(&workspace.subscription, &format!("workspaces.{name}"))?;
            let id = match (&workspace.workspace, &workspace.application) {
                (Some(id), None) | (None, Some(id)) => id,
                _ => {
                    return Err(format!(
                        "azure.workspaces.{name}: either `workspace` or `application` says which one"
                    ));
                }
            };
            if !guid(id) {
                return Err(format!(
                    "azure.workspaces.{name}: this is not its id, which has the form of a GUID"
                ));
            }
        }
        for (what, places) in [("vaults", &self.vaults), ("registries", &self.registries)] {
            for (name, place) in places {
                self.subscription(&place.subscription, &format!("{what}.{name}"))?;
                if !label(&place.name) {
                    return Err(format!("azure.{what}.{name}: `name` is letters, digits and hyphens"));
                }
            }
        }
        super::Azure::new(self.clone()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    const SUBSCRIPTION: &str = "subscriptions: { p: { id: 00000000-0000-0000-0000-000000000001, tenant: team.example, credential: { cli: true } } }";

    fn refusal(text: &str) -> Option<String> {
        serde_yaml::from_str::<Config>(text)
            .map_err(|problem| problem.to_string())
            .and_then(|config| config.validate())
            .err()
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(refusal(SUBSCRIPTION), None);
        let with = |more: &str| format!("{SUBSCRIPTION}\n{more}");
        let refused = |text: &str, because: &str| {
            let problem = refusal(text).unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.contains(because), "{problem}");
        };
        refused(
            "subscriptions: { p: { id: x, tenant: t, credential: { cli: true } } }",
            "subscriptions.p: `id`",
        );
        refused(&SUBSCRIPTION.replace("cli: true", "cli: false"), "no credential");
        refused(
            &SUBSCRIPTION.replace("cli: true", "managed_identity: me"),
            "`system` or a client id",
        );
        refused(
            &SUBSCRIPTION.replace("cli: true", "client: me, secret: { env: X }"),
            "id of an application",
        );
        refused(&SUBSCRIPTION.replace("team.example", "team/../x"), "tenant");
        refused(
            &with("groups: { g: { subscription: q, name: rg } }"),
            "no subscription `q`",
        );
        refused(&with("groups: { g: { subscription: p, name: a/b } }"), "groups.g");
        refused(
            &with("workspaces: { w: { subscription: p } }"),
            "either `workspace` or `application`",
        );
        refused(&with("workspaces: { w: { subscription: p, workspace: x } }"), "GUID");
        refused(
            &with("vaults: { v: { subscription: p, name: a.evil.example } }"),
            "letters, digits and hyphens",
        );
        let plain = SUBSCRIPTION.replace(
            "cli: true }",
            "cli: true }, endpoints: { manager: { url: \"http://manager.example\" } }",
        );
        refused(&plain, "in the clear");
        assert_eq!(refusal(&plain.replace("manager.example", "127.0.0.1:1")), None);
    }

    #[test]
    fn a_secret_is_named_by_its_source() {
        let text = SUBSCRIPTION.replace(
            "cli: true",
            "client: 00000000-0000-0000-0000-000000000002, secret: swordfish",
        );
        let problem = refusal(&text).expect("a refusal");
        assert!(problem.contains("named by its source"), "{problem}");
        let two = SUBSCRIPTION.replace("cli: true", "cli: true, managed_identity: system");
        let problem = refusal(&two).expect("a refusal");
        assert!(problem.contains("a credential is"), "{problem}");
    }
}
