//! Reads of the resource manager: which resource, and which fields of it.

use super::client::Ask;
use super::shape::{self, Shape};
use super::verdict::{Traffic, deciding};
use super::{Azure, activity, metrics, path, zones};
use crate::limits::{AZURE_ITEMS, AZURE_LISTED};
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting, patience};
use crate::providers::failure::{Failure, wrong};
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

pub const APP: &str = "Microsoft.App/containerApps";
pub const REVISION: &str = "Microsoft.App/containerApps/revisions";
const REPLICA: &str = "Microsoft.App/containerApps/revisions/replicas";
const ENVIRONMENT: &str = "Microsoft.App/managedEnvironments";
const ENVIRONMENT_USAGE: &str = "Microsoft.App/managedEnvironments/usages";
pub const COSMOS: &str = "Microsoft.DocumentDB/databaseAccounts";
const DATABASE: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases";
const COSMOS_CONTAINER: &str = "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers";
const AI: &str = "Microsoft.CognitiveServices/accounts";
const DEPLOYMENT: &str = "Microsoft.CognitiveServices/accounts/deployments";
const AI_USAGE: &str = "Microsoft.CognitiveServices/accounts/usages";
pub const RULE: &str = "Microsoft.Network/networkSecurityGroups/securityRules";
pub const NETWORK: &str = "Microsoft.Network/virtualNetworks";
pub const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";
pub const PRIVATE_ENDPOINT: &str = "Microsoft.Network/privateEndpoints";
pub const SIGNALR: &str = "Microsoft.SignalRService/signalR";
const REDIS: &str = "Microsoft.Cache/redis";

const APP_SHAPE: Shape = &[
    ("name", "/name"),
    ("id", "/id"),
    ("location", "/location"),
    ("state", "/properties/provisioningState"),
    ("running", "/properties/runningStatus"),
    ("latest_revision", "/properties/latestRevisionName"),
    ("ready_revision", "/properties/latestReadyRevisionName"),
    ("environment", "last:/properties/environmentId"),
    ("fqdn", "/properties/configuration/ingress/fqdn"),
    ("port", "/properties/configuration/ingress/targetPort"),
    ("transport", "/properties/configuration/ingress/transport"),
    ("external", "/properties/configuration/ingress/external"),
    ("min_replicas", "/properties/template/scale/minReplicas"),
    ("max_replicas", "/properties/template/scale/maxReplicas"),
    ("mode", "/properties/configuration/activeRevisionsMode"),
    ("system_identity", "/identity/principalId"),
    ("user_identities", "keys:/identity/userAssignedIdentities"),
    ("registries", "all:/properties/configuration/registries/*/server"),
];

const CONTAINER_SHAPE: Shape = &[
    ("name", "/name"),
    ("image", "/image"),
    ("cpu", "/resources/cpu"),
    ("memory", "memory:/resources/memory"),
    ("variables", "all:/env/*/name"),
];

const REVISION_SHAPE: Shape = &[
    ("name", "/name"),
    ("active", "yes:/properties/active"),
    ("health", "/properties/healthState"),
    ("running", "/properties/runningState"),
    ("state", "/properties/provisioningState"),
    ("problem", "/properties/provisioningError"),
    ("replicas", "/properties/replicas"),
    ("traffic", "share:/properties/trafficWeight"),
    ("created", "/properties/createdTime"),
    ("image", "/properties/template/containers/0/image"),
];

const ENVIRONMENT_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("location", "/location"),
    ("subnet", "/properties/vnetConfiguration/infrastructureSubnetId"),
    ("internal", "/properties/vnetConfiguration/internal"),
    ("static_address", "/properties/staticIp"),
    ("profiles", "all:/properties/workloadProfiles/*/name"),
];

const USAGE_SHAPE: Shape = &[
    ("name", "/name/value"),
    ("used", "/currentValue"),
    ("limit", "/limit"),
    ("unit", "/unit"),
];

const SCALE_RULE_SHAPE: Shape = &[
    ("name", "/name"),
    ("concurrency", "number:/http/metadata/concurrentRequests"),
];

const COSMOS_SHAPE: Shape = &[
    ("name", "/name"),
    ("id", "/id"),
    ("state", "/properties/provisioningState"),
    ("endpoint", "/properties/documentEndpoint"),
    ("consistency", "/properties/consistencyPolicy/defaultConsistencyLevel"),
    ("backup", "/properties/backupPolicy/type"),
    ("public_access", "/public_access"),
    ("write_states", "all:/properties/writeLocations/*/provisioningState"),
    ("write_locations", "all:/properties/writeLocations/*/locationName"),
    ("addresses", "all:/properties/ipRules/*/ipAddressOrRange"),
    ("subnets", "all:/properties/virtualNetworkRules/*/id"),
];

const COSMOS_CONTAINER_SHAPE: Shape = &[
    ("name", "/name"),
    ("partition_key", "all:/properties/resource/partitionKey/paths"),
    ("time_to_live", "/properties/resource/defaultTtl"),
    ("analytical_time_to_live", "/properties/resource/analyticalStorageTtl"),
];

const THROUGHPUT_SHAPE: Shape = &[
    ("manual", "/manual"),
    ("autoscale_max", "/properties/resource/autoscaleSettings/maxThroughput"),
    ("least", "number:/properties/resource/minimumThroughput"),
    ("replacing", "/replacing"),
    ("kind", "/scaled_as"),
];

const RESOURCE_SHAPE: Shape = &[
    ("id", "/id"),
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("location", "/location"),
    ("kind", "/kind"),
];

const DEPLOYMENT_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("model", "/properties/model/name"),
    ("version", "/properties/model/version"),
    ("sku", "/sku/name"),
    ("capacity", "/sku/capacity"),
    ("requests_a_minute", "rate:request"),
    ("tokens_a_minute", "rate:token"),
];

const RULE_SHAPE: Shape = &[
    ("name", "/name"),
    ("priority", "/properties/priority"),
    ("direction", "/properties/direction"),
    ("access", "/properties/access"),
    ("protocol", "/properties/protocol"),
    ("sources", "/sources"),
    ("destinations", "/destinations"),
    ("ports", "/ports"),
    ("state", "/properties/provisioningState"),
];

const VERDICT_SHAPE: Shape = &[
    ("access", "/properties/access"),
    ("rule", "/name"),
    ("priority", "/properties/priority"),
];

const NETWORK_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("addresses", "all:/properties/addressSpace/addressPrefixes"),
    ("dns_servers", "all:/properties/dhcpOptions/dnsServers"),
    ("subnets", "all:/properties/subnets/*/name"),
];

const SUBNET_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("addresses", "/addresses"),
    ("security_group", "last:/properties/networkSecurityGroup/id"),
    ("service_endpoints", "all:/properties/serviceEndpoints/*/service"),
];

const PRIVATE_ENDPOINT_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    (
        "target",
        "/properties/privateLinkServiceConnections/0/properties/privateLinkServiceId",
    ),
    (
        "accepted",
        "/properties/privateLinkServiceConnections/0/properties/privateLinkServiceConnectionState/status",
    ),
    ("zones", "all:/properties/customDnsConfigs/*/fqdn"),
];

const SIGNALR_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("host", "/properties/hostName"),
    ("mode", "/mode"),
    ("origins", "all:/properties/cors/allowedOrigins"),
];

const REDIS_SHAPE: Shape = &[
    ("name", "/name"),
    ("state", "/properties/provisioningState"),
    ("host", "/properties/hostName"),
    ("port", "/properties/port"),
    ("tls_port", "/properties/sslPort"),
    ("plain_allowed", "/properties/enableNonSslPort"),
    ("least_tls", "/properties/minimumTlsVersion"),
    ("sku", "/properties/sku/name"),
];

/// Fields that a document has in one of two places, brought to one.
fn prepared(kind: &str, mut document: Json) -> Json {
    let all = |document: &Json, names: &[&str]| -> Vec<Json> {
        names
            .iter()
            .flat_map(|name| match document.pointer(name) {
                Some(Json::Array(items)) => items.clone(),
                Some(Json::String(text)) if !text.is_empty() => vec![json!(text)],
                _ => Vec::new(),
            })
            .collect()
    };
    match kind {
        RULE => {
            let of = |one: &str, many: &str| {
                let (one, many) = (format!("/properties/{one}"), format!("/properties/{many}"));
                all(&document, &[one.as_str(), many.as_str()])
            };
            let sources = of("sourceAddressPrefix", "sourceAddressPrefixes");
            let destinations = of("destinationAddressPrefix", "destinationAddressPrefixes");
            let ports = of("destinationPortRange", "destinationPortRanges");
            document["sources"] = json!(sources);
            document["destinations"] = json!(destinations);
            document["ports"] = json!(ports);
        }
        SUBNET => {
            let addresses = all(&document, &["/properties/addressPrefix", "/properties/addressPrefixes"]);
            document["addresses"] = json!(addresses);
        }
        SIGNALR => {
            let features = document.pointer("/properties/features").and_then(Json::as_array);
            let mode = features.into_iter().flatten();
            let mode = mode
                .filter(|feature| feature.get("flag").and_then(Json::as_str) == Some("ServiceMode"))
                .find_map(|feature| feature.get("value").cloned());
            document["mode"] = mode.unwrap_or(Json::Null);
        }
        COSMOS => {
            let word = document
                .pointer("/properties/publicNetworkAccess")
                .and_then(Json::as_str);
            document["public_access"] = word.map_or(Json::Null, |word| json!(word.to_ascii_lowercase()));
        }
        "throughput" => {
            let scales = document
                .pointer("/properties/resource/autoscaleSettings/maxThroughput")
                .is_some();
            let number = document.pointer("/properties/resource/throughput").cloned();
            document["scaled_as"] = json!(if scales { "autoscale" } else { "manual" });
            document["manual"] = number.filter(|_| !scales).unwrap_or(Json::Null);
            let replacing = document.pointer("/properties/resource/offerReplacePending");
            document["replacing"] = json!(match replacing {
                Some(Json::Bool(yes)) => *yes,
                Some(Json::String(text)) => text.eq_ignore_ascii_case("true"),
                _ => false,
            });
        }
        _ => {}
    }
    document
}

/// What stands in a place of a replica's document.
fn replica(document: &Json) -> Json {
    let containers = document.pointer("/properties/containers").and_then(Json::as_array);
    let containers: Vec<&Json> = containers.into_iter().flatten().collect();
    // What one of them does not say is not known of all of them; `null` is unknown to whoever asks for it.
    let every = |name: &str| {
        let says = |container: &&Json| container.get(name).and_then(Json::as_bool);
        let said: Option<Vec<bool>> = containers.iter().map(says).collect();
        let said = said.filter(|said| !said.is_empty());
        said.map(|said| said.into_iter().all(|yes| yes))
    };
    let counted = |container: &&Json| container.get("restartCount").and_then(Json::as_i64);
    let restarts = containers
        .iter()
        .try_fold(0_i64, |sum, container| sum.checked_add(counted(container)?))
        .filter(|_| !containers.is_empty());
    let place = |pointer: &str| document.pointer(pointer).cloned().unwrap_or(Json::Null);
    json!({
        "name": place("/name"),
        "running": place("/properties/runningState"),
        "detail": place("/properties/runningStateDetails"),
        "created": place("/properties/createdTime"),
        "ready": every("ready"),
        "started": every("started"),
        "restarts": restarts,
    })
}

/// The shape that a type is shown in.
fn shape_of(kind: &str) -> Shape {
    match kind {
        APP => APP_SHAPE,
        REVISION => REVISION_SHAPE,
        ENVIRONMENT => ENVIRONMENT_SHAPE,
        ENVIRONMENT_USAGE | AI_USAGE => USAGE_SHAPE,
        COSMOS => COSMOS_SHAPE,
        COSMOS_CONTAINER => COSMOS_CONTAINER_SHAPE,
        "throughput" => THROUGHPUT_SHAPE,
        DEPLOYMENT => DEPLOYMENT_SHAPE,
        RULE => RULE_SHAPE,
        NETWORK => NETWORK_SHAPE,
        SUBNET => SUBNET_SHAPE,
        PRIVATE_ENDPOINT => PRIVATE_ENDPOINT_SHAPE,
        SIGNALR => SIGNALR_SHAPE,
        REDIS => REDIS_SHAPE,
        _ => RESOURCE_SHAPE,
    }
}

/// The throughput settings of a container, or of its database.
pub fn throughput_way(arguments: Arguments<'_>) -> Result<(&'static path::Kind, String), Unknown> {
    let (account, database) = (arguments.text("account")?, arguments.text("database")?);
    Ok(match arguments.maybe_text("container")? {
        Some(container) => (
            path::kind("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/throughputSettings")?,
            format!("{account}/{database}/{container}/default"),
        ),
        None => (
            path::kind("Microsoft.DocumentDB/databaseAccounts/sqlDatabases/throughputSettings")?,
            format!("{account}/{database}/default"),
        ),
    })
}

/// The document of a type as the record of a call's result.
pub fn shown(call: &Call, kind: &str, document: Json) -> Value {
    shape::record(call, shape_of(kind), &prepared(kind, document))
}

impl Azure {
    /// A question about one resource of a group.
    pub(super) fn about<'a>(
        &'a self,
        call: &'a Call,
        method: Method,
        kind: &path::Kind,
        name: &str,
    ) -> Result<Ask<'a>, Unknown> {
        let group = self.group(call)?;
        let way = format!("{}{}", self.group_path(group)?, kind.way(name)?);
        Ok(Ask::manager(&group.subscription, method, way, kind.version))
    }

    /// One resource of a group, as the resource manager has it.
    pub(super) async fn document(&self, call: &Call, kind: &str, name: &str, until: Instant) -> Result<Json, Failure> {
        let ask = self.about(call, Method::GET, path::kind(kind)?, name)?;
        Ok(self.ask(&ask, until).await?.json)
    }

    async fn one(&self, call: &Call, kind: &str, name: &str, until: Instant) -> Result<Value, Unknown> {
        let document = self
            .document(call, kind, name, until)
            .await
            .map_err(|failure| failure.unknown)?;
        Ok(shown(call, kind, document))
    }

    /// All of a type below `parent`.
    pub(super) async fn documents(
        &self,
        call: &Call,
        kind: &str,
        parent: &str,
        most: usize,
        until: Instant,
    ) -> Result<(Vec<Json>, bool), Unknown> {
        let (group, kind) = (self.group(call)?, path::kind(kind)?);
        kind.can("list")?;
        let way = format!("{}{}", self.group_path(group)?, kind.all(parent)?);
        let ask = Ask::manager(&group.subscription, Method::GET, way, kind.version);
        self.pages(&ask, most, until).await
    }

    async fn all(&self, call: &Call, kind: &str, parent: &str, until: Instant) -> Result<Value, Unknown> {
        let (documents, more) = self.documents(call, kind, parent, AZURE_LISTED, until).await?;
        let documents: Vec<Json> = documents.into_iter().map(|document| prepared(kind, document)).collect();
        Ok(shape::list(call, shape_of(kind), &documents, more))
    }

    /// What the rules of a network security group say of one kind of connection.
    async fn verdict(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let port = match arguments.value("port") {
            Value::Int(port) => u16::try_from(*port).ok(),
            _ => None,
        };
        let port = port.ok_or_else(|| wrong(Reason::Unparsable, "`port` is a number from 0 to 65535"))?;
        let mine = arguments.value("mine");
        let mine = mine.as_list().ok_or_else(|| not_fitting("mine"))?;
        let traffic = Traffic {
            direction: arguments.text("direction")?,
            protocol: arguments.text("protocol")?,
            port,
            peer: arguments.text("peer")?,
            mine: mine.items.iter().filter_map(Value::as_str).collect(),
        };
        let parent = arguments.text("security_group")?;
        let (rules, more) = self.documents(call, RULE, parent, AZURE_LISTED, until).await?;
        if more {
            return Err(wrong(Reason::Truncated, "there are more rules than are looked at"));
        }
        let rules: Vec<Json> = rules.into_iter().map(|rule| prepared(RULE, rule)).collect();
        let found = deciding(&rules, &traffic).map_err(|why| wrong(Reason::Missing, why))?;
        let found = found.cloned().unwrap_or(Json::Null);
        Ok(shape::record(call, VERDICT_SHAPE, &found))
    }

    /// Every read.
    pub(super) async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        let text = |name: &str| arguments.text(name);
        let under = |names: &[&str]| -> Result<String, Unknown> {
            let parts: Vec<&str> = names.iter().map(|name| text(name)).collect::<Result<_, _>>()?;
            Ok(parts.join("/"))
        };
        match &*call.operation.path {
            "manager" => self.manager_answers(call, until).await,
            "resources.get" => {
                let kind = path::kind(text("type")?)?;
                kind.can("get")?;
                let document = self.document(call, kind.name, text("name")?, until).await;
                document.map(super::json).map_err(|failure| failure.unknown)
            }
            "resources.list" => {
                let most = arguments.limit("at_most", AZURE_ITEMS)?;
                let (items, more) = self
                    .documents(call, text("type")?, text("parent")?, most, until)
                    .await?;
                Ok(super::json(if more {
                    json!({"truncated": true, "items": items})
                } else {
                    Json::Array(items)
                }))
            }
            "resources.ask" => self.generic_ask(call, until).await,
            "resources.what_if" => self.what_if(call, until).await,
            "logs.query" => self.query(call, until).await,
            "metrics.series" => {
                let asked = metrics::Asked::new(arguments.duration("over")?, Some(arguments.duration("step")?))?;
                let (answer, statistic) = self.measured(call, &asked, until).await?;
                metrics::series(&answer, &statistic, &asked)
            }
            "metrics.value" => {
                let asked = metrics::Asked::new(arguments.duration("over")?, None)?;
                let (answer, statistic) = self.measured(call, &asked, until).await?;
                metrics::number(&answer, &statistic)
            }
            "activity.list" => activity::list(self, call, until).await,
            "apps.get" => self.one(call, APP, text("app")?, until).await,
            "apps.containers" => {
                self.parts(call, "/properties/template/containers", CONTAINER_SHAPE, until)
                    .await
            }
            "apps.rules" => {
                self.parts(call, "/properties/template/scale/rules", SCALE_RULE_SHAPE, until)
                    .await
            }
            "apps.container" => {
                self.part(
                    call,
                    "/properties/template/containers",
                    "container",
                    CONTAINER_SHAPE,
                    until,
                )
                .await
            }
            "apps.rule" => {
                self.part(
                    call,
                    "/properties/template/scale/rules",
                    "rule",
                    SCALE_RULE_SHAPE,
                    until,
                )
                .await
            }
            "apps.revision" => self.one(call, REVISION, &under(&["app", "revision"])?, until).await,
            "apps.traffic" => self.traffic(call, until).await,
            "apps.revisions" => self.all(call, REVISION, text("app")?, until).await,
            "apps.replicas" => {
                let (found, more) = self
                    .documents(call, REPLICA, &under(&["app", "revision"])?, AZURE_LISTED, until)
                    .await?;
                let items = found.iter().map(replica).collect();
                Ok(shape::of_items(&call.operation.result, items, more))
            }
            "apps.environment" => self.one(call, ENVIRONMENT, text("environment")?, until).await,
            "apps.usages" => self.all(call, ENVIRONMENT_USAGE, text("environment")?, until).await,
            "cosmos.account" => self.one(call, COSMOS, text("account")?, until).await,
            "cosmos.databases" => {
                let (found, more) = self
                    .documents(call, DATABASE, text("account")?, AZURE_LISTED, until)
                    .await?;
                let names = found.iter().map(|one| one.get("name").cloned().unwrap_or(Json::Null));
                Ok(shape::of_items(&call.operation.result, names.collect(), more))
            }
            "cosmos.container" => {
                let name = under(&["account", "database", "container"])?;
                self.one(call, COSMOS_CONTAINER, &name, until).await
            }
            "cosmos.throughput" => {
                let (kind, name) = throughput_way(arguments)?;
                let document = self.document(call, kind.name, &name, until).await;
                Ok(shown(call, "throughput", document.map_err(|failure| failure.unknown)?))
            }
            "cosmos.latest_backup" => self.latest_backup(call, until).await,
            "cosmos.connection_string" => self.connection_string(call, until).await,
            "vault.newest" => self.newest_version(call, until).await,
            "vault.holds" => self.holds(call, until).await,
            "vault.secret" => self.secret(call, until).await,
            "vault.secrets" => self.secrets(call, until).await,
            "ai.account" => self.one(call, AI, text("account")?, until).await,
            "ai.deployments" => self.all(call, DEPLOYMENT, text("account")?, until).await,
            "ai.deployment" => {
                self.one(call, DEPLOYMENT, &under(&["account", "deployment"])?, until)
                    .await
            }
            "ai.usages" => self.all(call, AI_USAGE, text("account")?, until).await,
            "network.rules" => self.all(call, RULE, text("security_group")?, until).await,
            "network.verdict" => self.verdict(call, until).await,
            "network.get" => self.one(call, NETWORK, text("network")?, until).await,
            "network.subnet" => self.one(call, SUBNET, &under(&["network", "subnet"])?, until).await,
            "network.private_endpoints" => self.all(call, PRIVATE_ENDPOINT, "", until).await,
            "network.zones" => self.zones(call, zones::ZONE, "", until).await,
            "network.zone_links" => self.zones(call, zones::LINK, text("zone")?, until).await,
            "network.zone_groups" => self.zones(call, zones::ZONE_GROUP, text("endpoint")?, until).await,
            "signalr.get" => self.one(call, SIGNALR, text("name")?, until).await,
            "redis.get" => self.one(call, REDIS, text("name")?, until).await,
            "registry.tags" => self.tags(call, until).await,
            "roles.list" => self.assignments(call, until).await,
            "graph.application" => self.application(call, until).await,
            "support.tickets" => self.tickets(call, until).await,
            other => Err(wrong(Reason::Internal, format!("`azure.{other}` is not a read"))),
        }
    }

    /// Parts of a container app's document.
    async fn parts(&self, call: &Call, pointer: &str, shape: Shape, until: Instant) -> Result<Value, Unknown> {
        let app = Arguments(call).text("app")?;
        let document = self
            .document(call, APP, app, until)
            .await
            .map_err(|failure| failure.unknown)?;
        let parts = document.pointer(pointer).and_then(Json::as_array).cloned();
        Ok(shape::list(call, shape, &parts.unwrap_or_default(), false))
    }

    /// The part of a container app's document that an argument names; one that is not there has only its name.
    async fn part(
        &self,
        call: &Call,
        pointer: &str,
        argument: &str,
        shape: Shape,
        until: Instant,
    ) -> Result<Value, Unknown> {
        let (app, name) = (Arguments(call).text("app")?, Arguments(call).text(argument)?);
        let document = self
            .document(call, APP, app, until)
            .await
            .map_err(|failure| failure.unknown)?;
        let parts = document.pointer(pointer).and_then(Json::as_array);
        let named = |part: &&Json| part.get("name").and_then(Json::as_str) == Some(name);
        match parts.into_iter().flatten().find(named) {
            Some(part) => Ok(shape::record(call, shape, part)),
            None if argument == "rule" => Ok(shape::record(call, shape, &json!({ "name": name }))),
            None => Err(wrong(Reason::Missing, format!("the app has no container `{name}`"))),
        }
    }

    /// The connection string of an account, with the key that writes or the one that reads.
    async fn connection_string(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let kind = path::kind(COSMOS)?;
        let mut ask = self.about(call, Method::POST, kind, arguments.text("account")?)?;
        ask.path = format!("{}/listConnectionStrings", ask.path);
        ask.reads = true;
        ask.secret = true;
        let said = self.ask(&ask, until).await.map_err(|failure| failure.unknown)?.json;
        let wanted = if arguments.flag("read_only") {
            "PrimaryReadonly"
        } else {
            "Primary"
        };
        let all = said.get("connectionStrings").and_then(Json::as_array);
        let all: Vec<&Json> = all.into_iter().flatten().collect();
        let of = |one: &Json, name: &str| one.get(name).and_then(Json::as_str).map(str::to_owned);
        // Older versions of the service give no kind, only a description.
        let described = if arguments.flag("read_only") {
            "Primary Read-Only SQL Connection String"
        } else {
            "Primary SQL Connection String"
        };
        let found = all.iter().find(|one| match of(one, "keyKind") {
            Some(kind) => kind == wanted && of(one, "type").is_none_or(|kind| kind == "Sql"),
            None => of(one, "description").as_deref() == Some(described),
        });
        let text = found.and_then(|one| of(one, "connectionString"));
        let text = text.ok_or_else(|| wrong(Reason::Missing, "the account gives no such connection string"))?;
        crate::secrets::remember(&text, "a connection string of Azure");
        Ok(Value::Secret(crate::value::Secret::new(Value::text(text))))
    }

    async fn generic_ask(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        let action = kind.action(arguments.text("action")?)?;
        if action.level != path::Level::Read {
            return Err(wrong(
                Reason::Denied,
                format!(
                    "`{}` may change something: it belongs into an action, as `resources.act`",
                    action.name
                ),
            ));
        }
        let mut ask = self.about(call, Method::POST, kind, arguments.text("name")?)?;
        ask.path = format!("{}/{}", ask.path, action.name);
        ask.reads = true;
        let body = crate::value::document::of(arguments.value("body"))?;
        let answer = self.settle(&ask.with(body), until).await;
        answer.map(super::json).map_err(|failure| failure.unknown)
    }

    async fn measured(&self, call: &Call, asked: &metrics::Asked, until: Instant) -> Result<(Json, String), Unknown> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        let mut ask = self.about(call, Method::GET, kind, arguments.text("name")?)?;
        let statistic = arguments.text("statistic")?.to_owned();
        ask.path = format!("{}/providers/Microsoft.Insights/metrics", ask.path);
        ask.query = asked.query(arguments.text("metric")?, &statistic, arguments.maybe_text("where")?);
        let answer = self.ask(&ask, until).await.map_err(|failure| failure.unknown)?;
        Ok((answer.json, statistic))
    }

    async fn latest_backup(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let names: Vec<&str> = ["account", "database", "container"]
            .iter()
            .map(|name| arguments.text(name))
            .collect::<Result<_, _>>()?;
        let mut ask = self.about(call, Method::POST, path::kind(COSMOS_CONTAINER)?, &names.join("/"))?;
        ask.path = format!("{}/retrieveContinuousBackupInformation", ask.path);
        ask.reads = true;
        let ask = ask.with(json!({"location": arguments.text("location")?}));
        let answer = self.settle(&ask, until).await.map_err(|failure| failure.unknown)?;
        let time = answer.pointer("/continuousBackupInformation/latestRestorableTimestamp");
        let time = time.and_then(Json::as_str).ok_or_else(|| {
            wrong(
                Reason::Missing,
                "the account tells no time: only those with continuous backup have one",
            )
        })?;
        // Seconds since 1970, as a text.
        let moment = match time.parse::<i64>() {
            Ok(seconds) => jiff::Timestamp::from_second(seconds).ok(),
            Err(_) => time.parse().ok(),
        };
        moment
            .map(Value::Time)
            .ok_or_else(|| wrong(Reason::Unparsable, "the time of the backup cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::replica;
    use serde_json::{Value as Json, json};

    #[test]
    fn what_one_container_does_not_say_is_not_known_of_the_replica() {
        let of = |containers: Json| replica(&json!({"name": "r", "properties": {"containers": containers}}));
        let whole = of(json!([
            {"ready": true, "started": true, "restartCount": 1},
            {"ready": false, "started": true, "restartCount": 2},
        ]));
        assert_eq!(
            (&whole["ready"], &whole["started"], &whole["restarts"]),
            (&json!(false), &json!(true), &json!(3))
        );
        let silent = of(json!([{"ready": true, "restartCount": i64::MAX}, {"started": true, "restartCount": 1}]));
        let hollow = of(json!([]));
        for found in [&silent, &hollow, &replica(&json!({"name": "r"}))] {
            for field in ["ready", "started", "restarts"] {
                assert_eq!(found[field], Json::Null, "{field} of {found}");
            }
        }
    }
}
