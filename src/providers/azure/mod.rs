//! Azure: any type of resource of the resource manager, and the services beside it, over their REST interfaces.

mod activity;
mod apps;
mod changes;
mod client;
mod conceal;
pub mod config;
pub mod credentials;
mod inverses;
mod kql;
mod lock;
mod metrics;
pub mod path;
mod planes;
mod preview;
mod reads;
mod rights;
mod shape;
mod token;
mod verdict;
mod zones;

use super::arguments::Arguments;
use super::failure::wrong;
use super::http::service::Service;
use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::native::{PreviewPass, Previewed, Privilege, Use};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::value::{Reason, Unknown, Value};
use config::{Config, CredentialConfig, GroupConfig};
use futures::future::BoxFuture;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use token::Tokens;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "manager",
    "resources.get",
    "resources.list",
    "resources.ask",
    "resources.what_if",
    "resources.update",
    "resources.put",
    "resources.act",
    "resources.delete",
    "logs.query",
    "metrics.series",
    "metrics.value",
    "activity.list",
    "apps.get",
    "apps.containers",
    "apps.revisions",
    "apps.replicas",
    "apps.environment",
    "apps.usages",
    "apps.rules",
    "apps.container",
    "apps.rule",
    "apps.revision",
    "apps.traffic",
    "apps.restart",
    "apps.activate",
    "apps.deactivate",
    "apps.scale",
    "apps.scale_by_requests",
    "apps.size",
    "apps.set",
    "apps.send_traffic",
    "apps.listen",
    "apps.set_active",
    "apps.set_rule",
    "apps.set_as_in",
    "apps.split_traffic",
    "cosmos.account",
    "cosmos.databases",
    "cosmos.container",
    "cosmos.throughput",
    "cosmos.latest_backup",
    "cosmos.connection_string",
    "cosmos.set_throughput",
    "cosmos.migrate_throughput",
    "cosmos.allow",
    "cosmos.disallow",
    "cosmos.set_public_access",
    "cosmos.keep_address",
    "vault.secret",
    "vault.secrets",
    "vault.newest",
    "vault.holds",
    "vault.set",
    "vault.restore",
    "vault.put_back",
    "ai.account",
    "ai.deployments",
    "ai.deployment",
    "ai.usages",
    "network.rules",
    "network.verdict",
    "network.get",
    "network.subnet",
    "network.private_endpoints",
    "network.zones",
    "network.zone_links",
    "network.zone_groups",
    "network.add_rule",
    "network.remove_rule",
    "network.add_service_endpoints",
    "network.set_dns",
    "network.add_private_endpoint",
    "network.add_zone",
    "network.link_zone",
    "network.add_zone_group",
    "network.withdraw_rule",
    "network.put_rule_back",
    "network.keep_service_endpoints",
    "network.remove_private_endpoint",
    "network.remove_zone",
    "network.unlink_zone",
    "network.remove_zone_group",
    "signalr.get",
    "signalr.allow_origin",
    "signalr.set_mode",
    "signalr.keep_origin",
    "redis.get",
    "registry.tags",
    "roles.list",
    "roles.assign",
    "roles.remove",
    "roles.unassign",
    "graph.application",
    "graph.request_permission",
    "graph.withdraw_permission",
    "support.tickets",
    "support.open",
];

/// The provider `azure`: the subscriptions of an environment and what lies in them.
pub struct Azure {
    config: Config,
    service: Arc<Service>,
    tokens: BTreeMap<String, Tokens>,
}

/// A document as a value.
fn json(document: Json) -> Value {
    Value::Json(Arc::new(document))
}

impl Azure {
    /// What the configuration names.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        let service = Arc::new(Service::new("server", "azure", &config.servers())?);
        // The identity of a machine is asked for at an address that no cable leads to.
        if let Some(name) = service.exposed().find(|name| !name.starts_with("identity of ")) {
            return Err(format!(
                "azure: a token would travel in the clear to the {name}: use https"
            ));
        }
        let tokens = config
            .subscriptions
            .iter()
            .map(|(name, subscription)| (name.clone(), Tokens::new(name, subscription, service.clone())));
        Ok(Self {
            tokens: tokens.collect(),
            service,
            config,
        })
    }

    fn tokens(&self, subscription: &str) -> Result<&Tokens, Unknown> {
        self.tokens.get(subscription).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no subscription `{subscription}` is configured in this environment"),
            )
        })
    }

    fn group(&self, call: &Call) -> Result<&GroupConfig, Unknown> {
        let name = Arguments(call).text("group")?;
        self.config.groups.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no resource group `{name}` is configured in this environment"),
            )
        })
    }

    fn group_path(&self, group: &GroupConfig) -> Result<String, Unknown> {
        let id = self.tokens(&group.subscription)?.id();
        Ok(format!(
            "/subscriptions/{id}/resourceGroups/{}",
            path::part(&group.name)?
        ))
    }

    async fn health(&self, name: &str) -> Health {
        let until = Instant::now() + Duration::from_secs(10);
        let subject = format!("azure {name}");
        let looked = async {
            let tokens = self.tokens(name)?;
            let way = format!("/subscriptions/{}", tokens.id());
            let ask = client::Ask::manager(name, reqwest::Method::GET, way, "2022-12-01");
            let said = self.ask(&ask, until).await.map_err(|failure| failure.unknown)?;
            let word = |name: &str| {
                said.json
                    .get(name)
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            Ok::<_, Unknown>((word("displayName"), word("state")))
        };
        match looked.await {
            Ok((shown, state)) if state == "Enabled" => Health {
                subject,
                state: HealthState::Good,
                detail: format!("the subscription {shown} answers"),
            },
            Ok((shown, state)) => Health {
                subject,
                state: HealthState::Limited,
                detail: format!("the subscription {shown} is in the state {state}"),
            },
            Err(problem) => Health {
                subject,
                state: HealthState::Bad,
                detail: problem.to_string(),
            },
        }
    }
}

impl Provider for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let owners = ["group", "subscription", "workspace", "vault", "registry"];
        let named = owners.iter().find_map(|name| call.arg(name).as_str());
        vec![named.unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.act(call)
                .await
                .map_or_else(super::failure::Failure::outcome, Outcome::Done)
        })
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        Box::pin(lock::take(&self.config, target, holder, take_over))
    }

    fn preview<'a>(&'a self, call: &'a Call, _pass: &'a PreviewPass) -> BoxFuture<'a, Previewed> {
        Box::pin(self.previewed(call))
    }

    fn exceptions(&self) -> Vec<String> {
        let by_program = self
            .config
            .subscriptions
            .iter()
            .filter(|(_, subscription)| matches!(subscription.credential, CredentialConfig::Cli { .. }));
        by_program
            .map(|(name, _)| format!("azure: tokens of the subscription `{name}` come from the program `az`"))
            .collect()
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(rights::privileges(self, uses))
    }

    fn grant_documents(&self, uses: &[Use]) -> Option<String> {
        rights::document(self, uses)
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        let of = async |name: &String| [Some(self.health(name).await), lock::health(&self.config, name).await];
        let lines = self.config.subscriptions.keys().map(of);
        Box::pin(async {
            futures::future::join_all(lines)
                .await
                .into_iter()
                .flatten()
                .flatten()
                .collect()
        })
    }
}
