//! What the operations of a runbook need, as actions of a role of Azure.

use super::{Azure, path};
use crate::provider::Effect;
use crate::provider::native::{Privilege, Use};
use crate::value::Value;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The type of accounts of blobs, as it stands in their ids.
const STORAGE: &str = "Microsoft.Storage/storageAccounts/";

/// Where a right is given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// The name in the configuration.
    target: String,
    /// The id of what it is given at; a part in `<…>` must be filled in.
    scope: String,
    /// A right on what is inside a vault is another kind than one on the vault.
    data: bool,
    action: String,
}

/// The actions of a typed operation.
fn of_typed(path: &str) -> (&'static [&'static str], bool) {
    let manager: &[&str] = match path {
        "resources.what_if" => &["Microsoft.Resources/deployments/whatIf/action"],
        "logs.query" => &[
            "Microsoft.OperationalInsights/workspaces/read",
            "Microsoft.OperationalInsights/workspaces/query/*/read",
            "Microsoft.Insights/Components/Query/Read",
        ],
        "metrics.series" | "metrics.value" => &["Microsoft.Insights/metrics/read"],
        "activity.list" => &["Microsoft.Insights/eventtypes/values/read"],
        "apps.get" | "apps.containers" | "apps.container" | "apps.rules" | "apps.rule" | "apps.traffic" => {
            &["Microsoft.App/containerApps/read"]
        }
        "apps.revisions" | "apps.revision" => &["Microsoft.App/containerApps/revisions/read"],
        "apps.replicas" => &["Microsoft.App/containerApps/revisions/replicas/read"],
        "apps.environment" => &["Microsoft.App/managedEnvironments/read"],
        "apps.usages" => &["Microsoft.App/managedEnvironments/usages/read"],
        "apps.restart" => &[
            "Microsoft.App/containerApps/revisions/read",
            "Microsoft.App/containerApps/revisions/restart/action",
        ],
        "apps.activate" => &[
            "Microsoft.App/containerApps/revisions/read",
            "Microsoft.App/containerApps/revisions/activate/action",
        ],
        "apps.deactivate" => &[
            "Microsoft.App/containerApps/revisions/read",
            "Microsoft.App/containerApps/revisions/deactivate/action",
        ],
        "apps.set_active" => &[
            "Microsoft.App/containerApps/revisions/read",
            "Microsoft.App/containerApps/revisions/activate/action",
            "Microsoft.App/containerApps/revisions/deactivate/action",
        ],
        "apps.scale"
        | "apps.scale_by_requests"
        | "apps.size"
        | "apps.set"
        | "apps.listen"
        | "apps.set_rule"
        | "apps.split_traffic" => &["Microsoft.App/containerApps/read", "Microsoft.App/containerApps/write"],
        "apps.send_traffic" | "apps.set_as_in" => &[
            "Microsoft.App/containerApps/read",
            "Microsoft.App/containerApps/revisions/read",
            "Microsoft.App/containerApps/write",
        ],
        "cosmos.account" => &["Microsoft.DocumentDB/databaseAccounts/read"],
        "cosmos.databases" => &["Microsoft.DocumentDB/databaseAccounts/sqlDatabases/read"],
        "cosmos.container" => &["Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/read"],
        "cosmos.throughput" => &[
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/read",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/read",
        ],
        "cosmos.latest_backup" => &[
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/retrieveContinuousBackupInformation/action",
        ],
        "cosmos.set_throughput" => &[
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/read",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/write",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/read",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/write",
        ],
        "cosmos.migrate_throughput" => &[
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/read",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/migrateToAutoscale/action",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings/migrateToManualThroughput/action",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/read",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/migrateToAutoscale/action",
            "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings/migrateToManualThroughput/action",
        ],
        "cosmos.connection_string" => &["Microsoft.DocumentDB/databaseAccounts/listConnectionStrings/action"],
        "cosmos.allow" | "cosmos.disallow" | "cosmos.keep_address" | "cosmos.set_public_access" => &[
            "Microsoft.DocumentDB/databaseAccounts/read",
            "Microsoft.DocumentDB/databaseAccounts/write",
        ],
        "vault.secret" | "vault.secrets" | "vault.newest" => {
            return (&["Microsoft.KeyVault/vaults/secrets/readMetadata/action"], true);
        }
        "vault.set" => return (&["Microsoft.KeyVault/vaults/secrets/setSecret/action"], true),
        "vault.holds" => return (&["Microsoft.KeyVault/vaults/secrets/getSecret/action"], true),
        "vault.put_back" => {
            return (
                &[
                    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
                    "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
                    "Microsoft.KeyVault/vaults/secrets/setSecret/action",
                    "Microsoft.KeyVault/vaults/secrets/update/action",
                ],
                true,
            );
        }
        "vault.restore" => {
            return (
                &[
                    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
                    "Microsoft.KeyVault/vaults/secrets/setSecret/action",
                ],
                true,
            );
        }
        "ai.account" => &["Microsoft.CognitiveServices/accounts/read"],
        "ai.deployments" | "ai.deployment" => &["Microsoft.CognitiveServices/accounts/deployments/read"],
        "ai.usages" => &["Microsoft.CognitiveServices/accounts/usages/read"],
        "network.rules" | "network.verdict" => &["Microsoft.Network/networkSecurityGroups/securityRules/read"],
        "network.get" => &["Microsoft.Network/virtualNetworks/read"],
        "network.subnet" => &["Microsoft.Network/virtualNetworks/subnets/read"],
        "network.private_endpoints" => &["Microsoft.Network/privateEndpoints/read"],
        "network.add_rule" => &[
            "Microsoft.Network/networkSecurityGroups/securityRules/read",
            "Microsoft.Network/networkSecurityGroups/securityRules/write",
        ],
        "network.put_rule_back" => &["Microsoft.Network/networkSecurityGroups/securityRules/write"],
        "network.remove_rule" | "network.withdraw_rule" => {
            &["Microsoft.Network/networkSecurityGroups/securityRules/delete"]
        }
        "network.add_service_endpoints" | "network.keep_service_endpoints" => &[
            "Microsoft.Network/virtualNetworks/subnets/read",
            "Microsoft.Network/virtualNetworks/subnets/write",
        ],
        "network.set_dns" => &[
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/write",
        ],
        "network.add_private_endpoint" => &[
            "Microsoft.Network/privateEndpoints/read",
            "Microsoft.Network/privateEndpoints/write",
            "Microsoft.Network/virtualNetworks/subnets/join/action",
        ],
        "network.remove_private_endpoint" => &["Microsoft.Network/privateEndpoints/delete"],
        "network.zones" => &["Microsoft.Network/privateDnsZones/read"],
        "network.zone_links" => &["Microsoft.Network/privateDnsZones/virtualNetworkLinks/read"],
        "network.zone_groups" => &["Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read"],
        "network.add_zone" => &[
            "Microsoft.Network/privateDnsZones/read",
            "Microsoft.Network/privateDnsZones/write",
        ],
        "network.remove_zone" => &["Microsoft.Network/privateDnsZones/delete"],
        "network.link_zone" => &[
            "Microsoft.Network/privateDnsZones/virtualNetworkLinks/read",
            "Microsoft.Network/privateDnsZones/virtualNetworkLinks/write",
            "Microsoft.Network/virtualNetworks/join/action",
        ],
        "network.unlink_zone" => &["Microsoft.Network/privateDnsZones/virtualNetworkLinks/delete"],
        "network.add_zone_group" => &[
            "Microsoft.Network/privateEndpoints/read",
            "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/read",
            "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/write",
            "Microsoft.Network/privateDnsZones/join/action",
        ],
        "network.remove_zone_group" => &["Microsoft.Network/privateEndpoints/privateDnsZoneGroups/delete"],
        "signalr.get" => &["Microsoft.SignalRService/SignalR/read"],
        "signalr.allow_origin" | "signalr.set_mode" | "signalr.keep_origin" => &[
            "Microsoft.SignalRService/SignalR/read",
            "Microsoft.SignalRService/SignalR/write",
        ],
        "redis.get" => &["Microsoft.Cache/redis/read"],
        "registry.tags" => &["Microsoft.ContainerRegistry/registries/metadata/read"],
        "roles.list" => &["Microsoft.Authorization/roleAssignments/read"],
        "roles.assign" => &["Microsoft.Authorization/roleAssignments/write"],
        "roles.unassign" => &[
            "Microsoft.Authorization/roleAssignments/read",
            "Microsoft.Authorization/roleAssignments/delete",
        ],
        "roles.remove" => &["Microsoft.Authorization/roleAssignments/delete"],
        "support.tickets" => &["Microsoft.Support/supportTickets/read"],
        "support.open" => &[
            "Microsoft.Support/supportTickets/read",
            "Microsoft.Support/supportTickets/write",
        ],
        _ => &[],
    };
    (manager, false)
}

/// The actions of a generic operation, when its type is known before it runs.
fn of_generic(used: &Use) -> Option<Vec<String>> {
    let kind = path::kind(used.arg("type")?.as_str()?).ok()?.name;
    let action = used.arg("action").and_then(Value::as_str);
    Some(match &*used.operation.path {
        "resources.get" | "resources.list" => vec![format!("{kind}/read")],
        "resources.update" | "resources.put" => vec![format!("{kind}/read"), format!("{kind}/write")],
        "resources.delete" => vec![format!("{kind}/delete")],
        _ => vec![format!("{kind}/{}/action", action?)],
    })
}

/// What must be given where; names that are known only when it runs stand as `<…>`.
fn needed(azure: &Azure, uses: &[Use]) -> BTreeMap<Right, BTreeSet<String>> {
    let mut needed: BTreeMap<Right, BTreeSet<String>> = BTreeMap::new();
    for used in uses.iter().filter(|used| &*used.operation.provider == "azure") {
        let operation = &*used.operation.path;
        let generic = operation.starts_with("resources.") && operation != "resources.what_if";
        let (actions, data) = if generic {
            let unknown = || vec!["<TYPE>/<ACTION>".to_owned()];
            (of_generic(used).unwrap_or_else(unknown), false)
        } else {
            let (actions, data) = of_typed(operation);
            (actions.iter().map(|action| (*action).to_owned()).collect(), data)
        };
        let (target, scope) = scope(azure, used);
        for action in actions {
            let right = Right {
                target: target.clone(),
                scope: scope.clone(),
                data,
                action,
            };
            needed.entry(right).or_default().insert(used.operation.full_name());
        }
        if used.operation.effect == Effect::Change {
            for right in of_locks(azure, subscription_of(azure, used)) {
                needed
                    .entry(right)
                    .or_default()
                    .insert("the lock of the target".to_owned());
            }
        }
    }
    needed
}

/// The subscription of the target; `None` where that is known only when it runs.
fn subscription_of<'a>(azure: &'a Azure, used: &'a Use) -> Option<&'a str> {
    let config = &azure.config;
    let named = |name: &str| used.arg(name).and_then(Value::as_str);
    let found = named("group").and_then(|name| Some(&config.groups.get(name)?.subscription));
    let found = found.or_else(|| Some(&config.vaults.get(named("vault")?)?.subscription));
    let found = found.or_else(|| Some(&config.registries.get(named("registry")?)?.subscription));
    let found = found.or_else(|| Some(&config.workspaces.get(named("workspace")?)?.subscription));
    found.map(String::as_str).or_else(|| named("subscription"))
}

/// What the locks of a subscription's targets need; those of all where it is not known which.
fn of_locks(azure: &Azure, subscription: Option<&str>) -> Vec<Right> {
    let subscriptions = azure.config.subscriptions.iter();
    let meant = subscriptions.filter(|(name, _)| subscription.is_none_or(|meant| *name == meant));
    let locks = meant.filter_map(|(name, config)| Some((name, config, config.lock.as_ref()?)));
    locks
        .flat_map(|(name, config, lock)| {
            let scope = format!(
                "/subscriptions/{}/resourceGroups/<GROUP>/providers/{STORAGE}{}/blobServices/default/containers/{}",
                config.id, lock.account, lock.container
            );
            ["read", "write", "add/action", "delete"].map(|action| Right {
                target: name.clone(),
                scope: scope.clone(),
                data: true,
                action: format!("Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{action}"),
            })
        })
        .collect()
}

fn scope(azure: &Azure, used: &Use) -> (String, String) {
    let config = &azure.config;
    let of = |subscription: &str| {
        config
            .subscriptions
            .get(subscription)
            .map_or("/subscriptions/<SUBSCRIPTION>".to_owned(), |found| {
                format!("/subscriptions/{}", found.id)
            })
    };
    let named = |name: &str| used.arg(name).and_then(Value::as_str);
    if let Some(name) = named("group") {
        let scope = config.groups.get(name).map_or_else(
            || "/subscriptions/<SUBSCRIPTION>/resourceGroups/<GROUP>".to_owned(),
            |group| format!("{}/resourceGroups/{}", of(&group.subscription), group.name),
        );
        return (name.to_owned(), scope);
    }
    if let Some(name) = named("vault") {
        let scope = config.vaults.get(name).map_or_else(
            || "<VAULT>".to_owned(),
            |vault| {
                let subscription = of(&vault.subscription);
                format!(
                    "{subscription}/resourceGroups/<GROUP>/providers/Microsoft.KeyVault/vaults/{}",
                    vault.name
                )
            },
        );
        return (name.to_owned(), scope);
    }
    if let Some(name) = named("registry") {
        let scope = config.registries.get(name).map_or_else(
            || "<REGISTRY>".to_owned(),
            |registry| {
                let subscription = of(&registry.subscription);
                format!(
                    "{subscription}/resourceGroups/<GROUP>/providers/Microsoft.ContainerRegistry/registries/{}",
                    registry.name
                )
            },
        );
        return (name.to_owned(), scope);
    }
    if let Some(name) = named("workspace") {
        let subscription = config
            .workspaces
            .get(name)
            .map_or_else(|| of(""), |found| of(&found.subscription));
        return (name.to_owned(), format!("{subscription}/resourceGroups/<GROUP>"));
    }
    match named("subscription") {
        Some(name) => (name.to_owned(), of(name)),
        None => ("(any)".to_owned(), "<SCOPE>".to_owned()),
    }
}

/// One line a right.
pub fn privileges(azure: &Azure, uses: &[Use]) -> Vec<Privilege> {
    let rights = needed(azure, uses).into_iter().map(|(right, because)| Privilege {
        complete: !right.scope.contains('<') && !right.action.contains('<') && right.target != "(any)",
        statement: format!(
            "{} {} at {}",
            if right.data { "dataAction" } else { "action" },
            right.action,
            right.scope
        ),
        target: right.target,
        login: "identity".to_owned(),
        because: because.into_iter().collect(),
    });
    let graph = uses
        .iter()
        .filter(|used| &*used.operation.provider == "azure" && used.operation.path.starts_with("graph."));
    let graph: BTreeSet<(&str, String)> = graph
        .map(|used| {
            let right = match &*used.operation.path {
                "graph.application" => "Application.Read.All",
                _ => "Application.ReadWrite.OwnedBy",
            };
            (right, used.operation.full_name())
        })
        .collect();
    let graph = graph.into_iter().map(|(right, because)| Privilege {
        target: "directory".to_owned(),
        login: "identity".to_owned(),
        statement: format!("Microsoft Graph application permission {right}"),
        complete: true,
        because: vec![because],
    });
    rights.chain(graph).collect()
}

/// Names of roles are unique in a directory: a vault and a group of one name have a role each.
fn kind_of(scope: &str) -> &'static str {
    match scope {
        scope if scope.contains("/Microsoft.KeyVault/vaults/") => "vault ",
        scope if scope.contains("/Microsoft.ContainerRegistry/registries/") => "registry ",
        scope if scope.contains(STORAGE) => "locks of ",
        _ => "",
    }
}

/// Where a role can be made for a scope: Azure knows roles of groups and of whole subscriptions, not of one resource. A group that is
/// not known leaves the subscription; who is given the role is given it at the scope itself all the same.
fn assignable(scope: &str) -> &str {
    let group = scope.split("/providers/").next().unwrap_or(scope);
    match group.split_once("/resourceGroups/<GROUP>") {
        Some((subscription, _)) => subscription,
        None => group,
    }
}

/// A custom role of each scope, as `az role definition create` takes it.
pub fn document(azure: &Azure, uses: &[Use]) -> Option<String> {
    let mut scopes: BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for right in needed(azure, uses).into_keys() {
        let (actions, data) = scopes.entry((right.target, right.scope)).or_default();
        if right.data { data } else { actions }.insert(right.action);
    }
    let roles: Vec<_> = scopes
        .into_iter()
        .map(|((target, scope), (actions, data))| {
            json!({
                "Name": format!("starr {}{target}", kind_of(&scope)),
                "IsCustom": true,
                "Description": format!("What the runbook needs at {scope}, and nothing else"),
                "Actions": actions,
                "NotActions": [],
                "DataActions": data,
                "NotDataActions": [],
                "AssignableScopes": [assignable(&scope)],
            })
        })
        .collect();
    (!roles.is_empty()).then(|| {
        let roles = if roles.len() == 1 {
            roles[0].clone()
        } else {
            json!(roles)
        };
        serde_json::to_string_pretty(&roles).expect("a document of texts and lists can be written")
    })
}
