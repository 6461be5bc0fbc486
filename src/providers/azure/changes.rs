//! Changes of resources: merged, never replaced, where the service would replace a list.

use super::client::Ask;
use super::planes::{ASSIGNMENT_SHAPE, TICKET_SHAPE, application, guid_of};
use super::reads::{COSMOS, NETWORK, PRIVATE_ENDPOINT, RULE, SIGNALR, SUBNET, shown, throughput_way};
use super::{Azure, path, shape};
use crate::limits::AZURE_LISTED;
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting, patience};
use crate::providers::failure::{Failure, wrong};
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

pub(super) fn refused(detail: impl Into<String>) -> Failure {
    Failure::definite(Reason::Unparsable, detail)
}

/// The texts of a list that is an argument.
pub(super) fn texts(arguments: Arguments<'_>, name: &str) -> Result<Vec<String>, Unknown> {
    let list = arguments.value(name).as_list().filter(|list| !list.truncated);
    let list = list.ok_or_else(|| not_fitting(name))?;
    list.items
        .iter()
        .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| not_fitting(name)))
        .collect()
}

/// A text of a document, empty where it has none.
pub(super) fn key_of_list<'a>(document: &'a Json, field: &str) -> &'a str {
    document.get(field).and_then(Json::as_str).unwrap_or_default()
}

/// Without addresses an account lets everybody connect.
pub(super) fn last_address() -> Failure {
    refused("it is the last address: without one the account lets everybody connect")
}

fn key(call: &Call) -> Result<&str, Unknown> {
    call.key
        .as_deref()
        .ok_or_else(|| wrong(Reason::Internal, "no key was recorded for this call"))
}

/// `1.2.3.4` or `1.2.3.0/24`; networks so wide that they open the account to strangers are refused.
fn address(text: &str) -> Result<&str, Failure> {
    let (front, width) = match text.split_once('/') {
        Some((front, width)) => (front, width.parse::<u8>().ok().filter(|width| *width <= 32)),
        None => (text, Some(32)),
    };
    match (front.parse::<std::net::Ipv4Addr>(), width) {
        // The service's own sign for all of Azure.
        (Ok(address), _) if address.is_unspecified() => Err(refused(
            "0.0.0.0 opens the account to everything that runs in Azure, of all customers: use a private endpoint",
        )),
        (Ok(_), Some(width)) if width < 20 => Err(refused(format!(
            "a network of {} addresses is too wide",
            1_u64 << (32 - width)
        ))),
        (Ok(_), Some(_)) => Ok(text),
        _ => Err(refused(
            "`address` is an IPv4 address or network, `203.0.113.7` or `203.0.113.0/28`",
        )),
    }
}

/// Fields that two rules of a network must have in common to be the same.
fn meaning(rule: &Json) -> Json {
    let of = |name: &str| {
        let found = rule
            .pointer(&format!("/properties/{name}"))
            .cloned()
            .unwrap_or(Json::Null);
        match found {
            Json::Array(items) if items.is_empty() => Json::Null,
            Json::String(text) => json!(text.to_ascii_lowercase()),
            other => other,
        }
    };
    let both = |one: &str, many: &str| match (of(one), of(many)) {
        (Json::Null, Json::Array(items)) => json!(items),
        (Json::Null, _) => json!([]),
        (one, _) => json!([one]),
    };
    json!([
        of("priority"),
        of("direction"),
        of("access"),
        of("protocol"),
        both("sourceAddressPrefix", "sourceAddressPrefixes"),
        both("destinationAddressPrefix", "destinationAddressPrefixes"),
        both("destinationPortRange", "destinationPortRanges"),
    ])
}

/// One value as a text, several as a list: the service refuses `*` in a list.
fn one_or_many(properties: &mut Json, one: &str, many: &str, values: Vec<String>) {
    match values.as_slice() {
        [only] => properties[one] = json!(only),
        _ => properties[many] = json!(values),
    }
}

impl Azure {
    /// Every change and every tell.
    pub(super) async fn act(&self, call: &Call) -> Result<Value, Failure> {
        let until = Instant::now() + patience(call);
        match &*call.operation.path {
            "resources.update" => self.generic(call, Method::PATCH, until).await,
            "resources.put" => self.generic(call, Method::PUT, until).await,
            "resources.act" => self.generic_act(call, until).await,
            "resources.delete" => self.delete(call, until).await,
            "apps.restart" => self.revision(call, "restart", until).await,
            "apps.activate" => self.revision(call, "activate", until).await,
            "apps.deactivate" => self.revision(call, "deactivate", until).await,
            "apps.scale" => self.scale(call, until).await,
            "apps.scale_by_requests" => self.scale_by_requests(call, until).await,
            "apps.size" => self.size(call, until).await,
            "apps.set" => self.set_variables(call, until).await,
            "apps.send_traffic" => self.send_traffic(call, until).await,
            "apps.listen" => self.listen(call, until).await,
            "cosmos.set_throughput" => self.set_throughput(call, until).await,
            "cosmos.migrate_throughput" => self.migrate_throughput(call, until).await,
            "cosmos.allow" => self.addresses(call, true, until).await,
            "cosmos.disallow" => self.addresses(call, false, until).await,
            "cosmos.set_public_access" => {
                let word = match Arguments(call).text("to")? {
                    "enabled" => "Enabled",
                    "securedbyperimeter" => "SecuredByPerimeter",
                    _ => "Disabled",
                };
                self.patch(
                    call,
                    COSMOS,
                    "account",
                    json!({"properties": {"publicNetworkAccess": word}}),
                    until,
                )
                .await
            }
            "vault.set" => self.set_secret(call, until).await,
            "vault.restore" => self.restore_secret(call, until).await,
            "network.add_rule" => self.add_rule(call, until).await,
            "network.remove_rule" => self.remove_rule(call, until).await,
            "network.add_service_endpoints" => self.add_service_endpoints(call, until).await,
            "network.set_dns" => self.set_dns(call, until).await,
            "network.add_private_endpoint" => self.add_private_endpoint(call, until).await,
            "signalr.allow_origin" => self.allow_origin(call, until).await,
            "signalr.set_mode" => self.set_mode(call, until).await,
            "roles.assign" => self.assign(call, until).await,
            "roles.remove" => self.unassign(call, until).await,
            "graph.request_permission" => self.request_permission(call, until).await,
            "support.open" => self.open_ticket(call, until).await,
            "network.add_zone" => self.add_zone(call, until).await,
            "network.link_zone" => self.link_zone(call, until).await,
            "network.add_zone_group" => self.add_zone_group(call, until).await,
            _ => self.take_back(call, until).await,
        }
    }

    async fn generic(&self, call: &Call, method: Method, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        kind.can(if method == Method::PUT { "put" } else { "patch" })?;
        let body = crate::value::document::of(arguments.value("to"))?;
        if !body.is_object() {
            return Err(refused("`to` is a document"));
        }
        let mut ask = self.about(call, method, kind, arguments.text("name")?)?.with(body);
        ask.version = arguments.maybe_text("version")?.map(str::to_owned);
        Ok(super::json(self.settle(&ask, until).await?))
    }

    async fn generic_act(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        let action = kind.action(arguments.text("action")?)?;
        let mut ask = self.about(call, Method::POST, kind, arguments.text("name")?)?;
        ask.path = format!("{}/{}", ask.path, action.name);
        let body = crate::value::document::of(arguments.value("body"))?;
        let said = self.settle(&ask.with(body), until).await?;
        Ok(super::json(said))
    }

    /// Removes a resource: afterwards it is not there, also when it was not there before.
    pub(super) async fn gone(&self, ask: &Ask<'_>, until: Instant) -> Result<Value, Failure> {
        match self.settle(ask, until).await {
            Ok(_) => Ok(Value::Bool(true)),
            Err(failure) if failure.definite && failure.unknown.reason == Reason::Missing => Ok(Value::Bool(true)),
            Err(failure) => Err(failure),
        }
    }

    async fn delete(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        kind.can("delete")?;
        let ask = self.about(call, Method::DELETE, kind, arguments.text("name")?)?;
        self.gone(&ask, until).await
    }

    /// Merges a document into the resource that an argument names.
    pub(super) async fn patch(
        &self,
        call: &Call,
        kind: &str,
        name: &str,
        body: Json,
        until: Instant,
    ) -> Result<Value, Failure> {
        let ask = self.about(call, Method::PATCH, path::kind(kind)?, Arguments(call).text(name)?)?;
        let said = self.settle(&ask.with(body), until).await?;
        self.now(call, kind, Arguments(call).text(name)?, said, until).await
    }

    /// A resource after a change, as the service says or as it is read.
    async fn now(&self, call: &Call, kind: &str, name: &str, said: Json, until: Instant) -> Result<Value, Failure> {
        if said.get("properties").is_some() {
            return Ok(shown(call, kind, said));
        }
        let read = self.document(call, kind, name, until).await;
        read.map(|read| shown(call, kind, read)).map_err(Failure::after_sending)
    }

    async fn set_throughput(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (kind, name) = throughput_way(arguments)?;
        let to = match arguments.value("to") {
            Value::Int(to) if *to >= 400 && *to % 100 == 0 => *to,
            _ => return Err(refused("`to` is a multiple of 100, and at least 400")),
        };
        let was = self.document(call, kind.name, &name, until).await?;
        let scales = was
            .pointer("/properties/resource/autoscaleSettings/maxThroughput")
            .is_some();
        let wanted = arguments.text("kind")? == "autoscale";
        if scales != wanted {
            return Err(refused(if scales {
                "the throughput scales by itself: give `kind: autoscale`, or migrate it first"
            } else {
                "the throughput is manual: give `kind: manual`, or migrate it first"
            }));
        }
        if scales && to % 1000 != 0 {
            return Err(refused("the most of a throughput that scales is a multiple of 1000"));
        }
        let resource = if scales {
            json!({"autoscaleSettings": {"maxThroughput": to}})
        } else {
            json!({ "throughput": to })
        };
        let mut body = json!({"properties": {"resource": resource}});
        if let Some(location) = was.get("location") {
            body["location"] = location.clone();
        }
        let ask = self.about(call, Method::PUT, kind, &name)?.with(body);
        self.settle(&ask, until).await?;
        self.throughput_now(call, kind, &name, until).await
    }

    async fn throughput_now(
        &self,
        call: &Call,
        kind: &path::Kind,
        name: &str,
        until: Instant,
    ) -> Result<Value, Failure> {
        let now = self.document(call, kind.name, name, until).await;
        now.map(|now| shown(call, "throughput", now))
            .map_err(Failure::after_sending)
    }

    async fn migrate_throughput(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (kind, name) = throughput_way(arguments)?;
        let was = self.document(call, kind.name, &name, until).await?;
        let scales = was
            .pointer("/properties/resource/autoscaleSettings/maxThroughput")
            .is_some();
        let wanted = arguments.text("to")? == "autoscale";
        if scales == wanted {
            return Ok(shown(call, "throughput", was));
        }
        let action = if wanted {
            "migrateToAutoscale"
        } else {
            "migrateToManualThroughput"
        };
        let mut ask = self.about(call, Method::POST, kind, &name)?;
        ask.path = format!("{}/{action}", ask.path);
        self.settle(&ask, until).await?;
        self.throughput_now(call, kind, &name, until).await
    }

    /// Adds an address to those of an account, or takes it away; the whole list is written, because the service replaces it.
    async fn addresses(&self, call: &Call, add: bool, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let account = arguments.text("account")?;
        let wanted = arguments.text("address")?;
        if add {
            address(wanted)?;
        }
        let was = self.document(call, COSMOS, account, until).await?;
        let rules = was.pointer("/properties/ipRules").and_then(Json::as_array).cloned();
        let mut rules = rules.unwrap_or_default();
        let before = rules.len();
        let is = |rule: &Json| rule.get("ipAddressOrRange").and_then(Json::as_str) == Some(wanted);
        if add {
            // With the first rule an account that was open to everybody lets nobody else connect.
            let subnets = was.pointer("/properties/virtualNetworkRules").and_then(Json::as_array);
            if rules.is_empty() && subnets.is_none_or(Vec::is_empty) {
                return Err(refused(
                    "the account has no rules and lets everybody connect: the first one would shut everybody else out",
                ));
            }
            if !rules.iter().any(is) {
                rules.push(json!({ "ipAddressOrRange": wanted }));
            }
        } else {
            rules.retain(|rule| !is(rule));
            if rules.is_empty() && before > 0 {
                return Err(last_address());
            }
        }
        if rules.len() == before {
            return Ok(shown(call, COSMOS, was));
        }
        self.patch(
            call,
            COSMOS,
            "account",
            json!({"properties": {"ipRules": rules}}),
            until,
        )
        .await
    }

    async fn add_rule(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (group, name) = (arguments.text("security_group")?, path::part(arguments.text("name")?)?);
        let priority = match arguments.value("priority") {
            Value::Int(priority) if (100..=4096).contains(priority) => *priority,
            _ => return Err(refused("`priority` is between 100 and 4096")),
        };
        let word = |name: &str| -> Result<&str, Unknown> {
            match arguments.text(name)? {
                "allow" => Ok("Allow"),
                "deny" => Ok("Deny"),
                "inbound" => Ok("Inbound"),
                "outbound" => Ok("Outbound"),
                _ => Err(not_fitting(name)),
            }
        };
        let mut properties = json!({
            "priority": priority, "access": word("access")?, "direction": word("direction")?,
            "protocol": arguments.text("protocol")?, "sourcePortRange": "*",
        });
        let lists = [
            ("sources", "sourceAddressPrefix"),
            ("destinations", "destinationAddressPrefix"),
            ("ports", "destinationPortRange"),
        ];
        for (argument, one) in lists {
            let values = texts(arguments, argument)?;
            if values.is_empty() {
                return Err(refused(format!("`{argument}` is empty")));
            }
            let many = if argument == "ports" {
                "destinationPortRanges".to_owned()
            } else {
                format!("{one}es")
            };
            one_or_many(&mut properties, one, &many, values);
        }
        let wanted = json!({ "properties": properties });
        let (all, more) = self.documents(call, RULE, group, AZURE_LISTED, until).await?;
        if more {
            return Err(Failure::definite(
                Reason::Truncated,
                "there are more rules than are looked at",
            ));
        }
        let named = |rule: &Json| rule.get("name").and_then(Json::as_str) == Some(name);
        if let Some(there) = all.iter().find(|rule| named(rule)) {
            if meaning(there) == meaning(&wanted) {
                return Ok(shown(call, RULE, there.clone()));
            }
            return Err(refused(format!("there is a rule `{name}` of another meaning")));
        }
        let direction = |rule: &Json| rule.pointer("/properties/direction").cloned();
        let taken = all.iter().find(|rule| {
            rule.pointer("/properties/priority") == Some(&json!(priority)) && direction(rule) == direction(&wanted)
        });
        if let Some(taken) = taken {
            let by = taken.get("name").and_then(Json::as_str).unwrap_or_default();
            return Err(refused(format!("the priority {priority} is that of the rule `{by}`")));
        }
        let full = format!("{group}/{name}");
        let ask = self.about(call, Method::PUT, path::kind(RULE)?, &full)?.with(wanted);
        let said = self.settle(&ask, until).await?;
        self.now(call, RULE, &full, said, until).await
    }

    async fn remove_rule(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = format!("{}/{}", arguments.text("security_group")?, arguments.text("name")?);
        let ask = self.about(call, Method::DELETE, path::kind(RULE)?, &name)?;
        self.gone(&ask, until).await
    }

    /// Writes a network or subnet back that was read, only while it is as it was read.
    pub(super) async fn put_back(
        &self,
        call: &Call,
        kind: &str,
        name: &str,
        document: Json,
        until: Instant,
    ) -> Result<Value, Failure> {
        let version = document.get("etag").and_then(Json::as_str).map(str::to_owned);
        let mut ask = self.about(call, Method::PUT, path::kind(kind)?, name)?.with(document);
        ask.version = version;
        let said = self.settle(&ask, until).await?;
        self.now(call, kind, name, said, until).await
    }

    async fn add_service_endpoints(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = format!("{}/{}", arguments.text("network")?, arguments.text("subnet")?);
        let wanted = texts(arguments, "services")?;
        let mut document = self.document(call, SUBNET, &name, until).await?;
        let there = document
            .pointer("/properties/serviceEndpoints")
            .and_then(Json::as_array)
            .cloned();
        let mut all = there.unwrap_or_default();
        let before = all.len();
        for service in wanted {
            let is = |one: &Json| {
                one.get("service")
                    .and_then(Json::as_str)
                    .is_some_and(|name| name.eq_ignore_ascii_case(&service))
            };
            if !all.iter().any(is) {
                all.push(json!({ "service": service }));
            }
        }
        if all.len() == before {
            return Ok(shown(call, SUBNET, document));
        }
        document["properties"]["serviceEndpoints"] = json!(all);
        self.put_back(call, SUBNET, &name, document, until).await
    }

    async fn set_dns(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = arguments.text("network")?;
        let servers = texts(arguments, "servers")?;
        if let Some(wrong) = servers
            .iter()
            .find(|server| server.parse::<std::net::IpAddr>().is_err())
        {
            let shown = crate::providers::failure::excerpt(wrong, 60);
            return Err(refused(format!("`{shown}` is not an address")));
        }
        let mut document = self.document(call, NETWORK, name, until).await?;
        let there = document
            .pointer("/properties/dhcpOptions/dnsServers")
            .cloned()
            .unwrap_or(json!([]));
        if there == json!(servers) {
            return Ok(shown(call, NETWORK, document));
        }
        document["properties"]["dhcpOptions"] = json!({ "dnsServers": servers });
        self.put_back(call, NETWORK, name, document, until).await
    }

    async fn add_private_endpoint(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let group = self.group(call)?;
        let name = arguments.text("name")?;
        let kind = path::kind(PRIVATE_ENDPOINT)?;
        let subnet =
            path::kind(SUBNET)?.way(&format!("{}/{}", arguments.text("network")?, arguments.text("subnet")?))?;
        let target = path::id(arguments.text("target")?)?;
        let connection = json!({"name": name, "properties": {
            "privateLinkServiceId": target, "groupIds": [arguments.text("kind")?]}});
        let body = json!({"location": arguments.text("location")?, "properties": {
            "subnet": {"id": format!("{}{subnet}", self.group_path(group)?)},
            "privateLinkServiceConnections": [connection]}});
        match self.document(call, PRIVATE_ENDPOINT, name, until).await {
            Ok(there) => {
                let of = "/properties/privateLinkServiceConnections/0/properties/privateLinkServiceId";
                let same = there
                    .pointer(of)
                    .and_then(Json::as_str)
                    .is_some_and(|id| id.eq_ignore_ascii_case(target));
                return if same {
                    Ok(shown(call, PRIVATE_ENDPOINT, there))
                } else {
                    Err(refused(format!(
                        "there is a private endpoint `{name}` of something else"
                    )))
                };
            }
            Err(failure) if failure.unknown.reason == Reason::Missing => {}
            Err(failure) => return Err(Failure::from(failure.unknown)),
        }
        let ask = self.about(call, Method::PUT, kind, name)?.with(body);
        let said = self.settle(&ask, until).await?;
        self.now(call, PRIVATE_ENDPOINT, name, said, until).await
    }

    async fn allow_origin(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let origin = arguments.text("origin")?;
        if !(origin.starts_with("https://") || origin.starts_with("http://"))
            || origin.ends_with('/')
            || origin.contains('*')
        {
            return Err(refused("`origin` is one origin: `https://app.example.org`"));
        }
        let was = self.document(call, SIGNALR, arguments.text("name")?, until).await?;
        let there = was
            .pointer("/properties/cors/allowedOrigins")
            .and_then(Json::as_array)
            .cloned();
        let mut all = there.unwrap_or_default();
        if all.iter().any(|one| one == "*" || one == origin) {
            return Ok(shown(call, SIGNALR, was));
        }
        all.push(json!(origin));
        self.patch(
            call,
            SIGNALR,
            "name",
            json!({"properties": {"cors": {"allowedOrigins": all}}}),
            until,
        )
        .await
    }

    async fn set_mode(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let to = arguments.text("to")?;
        if !["Default", "Serverless", "Classic"].contains(&to) {
            return Err(refused("`to` is `Default`, `Serverless` or `Classic`"));
        }
        let was = self.document(call, SIGNALR, arguments.text("name")?, until).await?;
        let there = was.pointer("/properties/features").and_then(Json::as_array).cloned();
        let mut features = there.unwrap_or_default();
        features.retain(|feature| feature.get("flag").and_then(Json::as_str) != Some("ServiceMode"));
        features.push(json!({"flag": "ServiceMode", "value": to}));
        self.patch(
            call,
            SIGNALR,
            "name",
            json!({"properties": {"features": features}}),
            until,
        )
        .await
    }

    async fn assign(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        if arguments.text("at")?.is_empty() {
            return Err(refused(
                "`at` is the id of one resource: a role for a whole group is more than is needed",
            ));
        }
        let (subscription, scope) = self.scope(call)?;
        if !scope.to_ascii_lowercase().contains("/providers/") {
            return Err(refused(
                "`at` is the id of one resource: a role for a whole group is more than is needed",
            ));
        }
        let role = match arguments.text("role")? {
            id if id.contains('/') => path::id(id)?.to_owned(),
            // A built-in role has the same id in every subscription.
            guid => format!(
                "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{}",
                self.tokens(&subscription)?.id(),
                path::part(guid)?
            ),
        };
        let name = guid_of(key(call)?);
        let way = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let body =
            json!({"properties": {"roleDefinitionId": role, "principalId": path::part(arguments.text("principal")?)?}});
        let ask = Ask::manager(&subscription, Method::PUT, way, "2022-04-01").with(body);
        let said = self.ask(&ask, until).await?;
        Ok(shape::record(call, ASSIGNMENT_SHAPE, &said.json))
    }

    async fn unassign(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let group = self.group(call)?;
        let id = path::id(Arguments(call).text("id")?)?;
        let own = format!("/subscriptions/{}/", self.tokens(&group.subscription)?.id()).to_ascii_lowercase();
        let lower = id.to_ascii_lowercase();
        if !lower.contains("/providers/microsoft.authorization/roleassignments/") || !lower.starts_with(&own) {
            return Err(refused("`id` is that of an assignment of a role in this subscription"));
        }
        let ask = Ask::manager(&group.subscription, Method::DELETE, id.to_owned(), "2022-04-01");
        self.gone(&ask, until).await
    }

    async fn request_permission(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (api, permission, kind) = (
            arguments.text("api")?,
            arguments.text("permission")?,
            arguments.text("kind")?,
        );
        if !["Scope", "Role"].contains(&kind) {
            return Err(refused("`kind` is `Scope` or `Role`"));
        }
        let mut document = self.registered(call, until).await?.json;
        let id = document.get("id").and_then(Json::as_str).map(str::to_owned);
        let id =
            id.ok_or_else(|| Failure::definite(Reason::Unparsable, "the directory gives no id of the application"))?;
        let access = json!({"id": permission, "type": kind});
        let all = document.get("requiredResourceAccess").and_then(Json::as_array).cloned();
        let mut all = all.unwrap_or_default();
        let before = all.clone();
        match all
            .iter_mut()
            .find(|one| one.get("resourceAppId").and_then(Json::as_str) == Some(api))
        {
            Some(there) => {
                let list = there.get_mut("resourceAccess").and_then(Json::as_array_mut);
                let list =
                    list.ok_or_else(|| Failure::definite(Reason::Unparsable, "the permissions cannot be read"))?;
                if !list.contains(&access) {
                    list.push(access);
                }
            }
            None => all.push(json!({"resourceAppId": api, "resourceAccess": [access]})),
        }
        if all != before {
            let ask = self.directory(call, Method::PATCH, format!("/v1.0/applications/{}", path::part(&id)?))?;
            self.ask(&ask.with(json!({ "requiredResourceAccess": all })), until)
                .await?;
            document["requiredResourceAccess"] = json!(all);
        }
        Ok(application(call, document))
    }

    async fn open_ticket(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let subscription = arguments.text("subscription")?;
        let contact = crate::value::document::of(arguments.value("contact"))?;
        let of = |name: &str| {
            let found = contact.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
            found
                .map(str::to_owned)
                .ok_or_else(|| refused(format!("`contact` has no `{name}`")))
        };
        let id = self.tokens(subscription)?.id().to_owned();
        let name = format!("starr-{}", guid_of(key(call)?));
        let way = format!("/subscriptions/{id}/providers/Microsoft.Support/supportTickets/{name}");
        let service = format!(
            "/providers/Microsoft.Support/services/{}",
            path::part(arguments.text("service")?)?
        );
        let body = json!({"properties": {
            "title": arguments.text("title")?, "description": arguments.text("description")?,
            "severity": arguments.text("severity")?, "advancedDiagnosticConsent": "No",
            "serviceId": service,
            "problemClassificationId": format!("{service}/problemClassifications/{}", path::part(arguments.text("problem")?)?),
            "contactDetails": {
                "firstName": of("first_name")?, "lastName": of("last_name")?, "primaryEmailAddress": of("email")?,
                "preferredContactMethod": "email", "preferredTimeZone": of("time_zone")?, "country": of("country")?,
                "preferredSupportLanguage": of("language")?}}});
        let version = path::kind("Microsoft.Support/supportTickets")?.version;
        // The same name twice is the same ticket.
        let look = Ask::manager(subscription, Method::GET, way.clone(), version);
        match self.ask(&look, until).await {
            Ok(there) => return Ok(shape::record(call, TICKET_SHAPE, &there.json)),
            Err(failure) if failure.unknown.reason == Reason::Missing => {}
            Err(failure) => return Err(Failure::from(failure.unknown)),
        }
        let ask = Ask::manager(subscription, Method::PUT, way, version).with(body);
        let said = self.settle(&ask, until).await?;
        if said.get("properties").is_some() {
            return Ok(shape::record(call, TICKET_SHAPE, &said));
        }
        let read = self.ask(&look, until).await.map_err(Failure::after_sending)?;
        Ok(shape::record(call, TICKET_SHAPE, &read.json))
    }
}

#[cfg(test)]
mod tests {
    use super::{address, meaning, one_or_many};
    use serde_json::json;

    #[test]
    fn addresses_that_open_everything_are_refused() {
        assert!(address("203.0.113.7").is_ok() && address("203.0.113.0/28").is_ok());
        for wrong in [
            "0.0.0.0",
            "0.0.0.0/0",
            "40.112.0.0/16",
            "x",
            "203.0.113.7/33",
            "::1",
            "",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_rule_is_known_again() {
        let mut mine = json!({"priority": 100, "direction": "Outbound", "access": "Allow", "protocol": "Tcp"});
        one_or_many(
            &mut mine,
            "destinationPortRange",
            "destinationPortRanges",
            vec!["443".to_owned()],
        );
        let theirs = json!({"properties": {"priority": 100, "direction": "Outbound", "access": "Allow", "protocol": "TCP",
            "destinationPortRange": "443", "destinationPortRanges": []}});
        let mine = json!({"properties": mine});
        assert_eq!(meaning(&mine), meaning(&theirs));
        assert_ne!(meaning(&mine), meaning(&json!({"properties": {"priority": 101}})));
    }
}
