//! What takes changes back: each leaves alone what was already so before the change that it belongs to.

use super::changes::{key_of_list, refused, texts};
use super::client::Ask;
use super::planes::application;
use super::reads::{APP, COSMOS, PRIVATE_ENDPOINT, REVISION, RULE, SIGNALR, SUBNET, shown};
use super::{Azure, path};
use crate::limits::AZURE_LISTED;
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting};
use crate::providers::failure::Failure;
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

/// True where a list of records that is an argument has one whose field is this text.
pub fn lists(arguments: Arguments<'_>, name: &str, field: &str, wanted: &str) -> Result<bool, Unknown> {
    let list = arguments.value(name).as_list().filter(|list| !list.truncated);
    let list = list.ok_or_else(|| not_fitting(name))?;
    Ok(list.items.iter().any(|item| {
        let found = item.as_record().and_then(|record| record.get(field));
        found
            .and_then(Value::as_str)
            .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
    }))
}

/// Makes a list have an element, or not.
fn keep(list: &mut Vec<Json>, there: bool, is: impl Fn(&Json) -> bool, element: Json) {
    match (there, list.iter().any(&is)) {
        (true, false) => list.push(element),
        (false, true) => list.retain(|one| !is(one)),
        _ => {}
    }
}

/// Whether an assignment gives this role; the same one may be named at its subscription or below.
fn same_role(assignment: &Json, role: &str) -> bool {
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let found = assignment
        .pointer("/properties/roleDefinitionId")
        .and_then(Json::as_str);
    found.is_some_and(|found| last(found) == last(role))
}

fn array(document: &Json, pointer: &str) -> Vec<Json> {
    document
        .pointer(pointer)
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default()
}

impl Azure {
    /// Every change that is there to take another one back.
    pub(super) async fn take_back(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        match &*call.operation.path {
            "apps.set_active" => {
                let action = if Arguments(call).flag("to") {
                    "activate"
                } else {
                    "deactivate"
                };
                self.set_active(call, action, until).await
            }
            "apps.set_rule" => self.set_rule(call, until).await,
            "apps.set_as_in" => self.set_as_in(call, until).await,
            "apps.split_traffic" => self.split_traffic(call, until).await,
            "cosmos.keep_address" => self.keep_address(call, until).await,
            "network.withdraw_rule" => self.withdraw_rule(call, until).await,
            "network.put_rule_back" => self.put_rule_back(call, until).await,
            "network.keep_service_endpoints" => self.keep_service_endpoints(call, until).await,
            "network.remove_private_endpoint" => {
                let name = Arguments(call).text("name")?.to_owned();
                self.remove_unless(call, PRIVATE_ENDPOINT, &name, &name, until).await
            }
            "network.remove_zone" => {
                let zone = Arguments(call).text("zone")?.to_owned();
                self.remove_unless(call, super::zones::ZONE, &zone, &zone, until).await
            }
            "network.unlink_zone" => {
                let (zone, name) = (Arguments(call).text("zone")?, Arguments(call).text("name")?);
                self.remove_unless(call, super::zones::LINK, &format!("{zone}/{name}"), name, until)
                    .await
            }
            "network.remove_zone_group" => {
                let (endpoint, name) = (Arguments(call).text("endpoint")?, Arguments(call).text("name")?);
                self.remove_unless(
                    call,
                    super::zones::ZONE_GROUP,
                    &format!("{endpoint}/{name}"),
                    name,
                    until,
                )
                .await
            }
            "signalr.keep_origin" => self.keep_origin(call, until).await,
            "roles.unassign" => self.unassign_new(call, until).await,
            "graph.withdraw_permission" => self.withdraw_permission(call, until).await,
            "vault.put_back" => self.put_secret_back(call, until).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("`azure.{other}` is not a change"),
            )),
        }
    }

    /// A revision that is so already is left alone.
    async fn set_active(&self, call: &Call, action: &str, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = format!("{}/{}", arguments.text("app")?, arguments.text("revision")?);
        let there = self.document(call, REVISION, &name, until).await?;
        let active = there.pointer("/properties/active").and_then(Json::as_bool) == Some(true);
        if active == (action == "activate") {
            return Ok(shown(call, REVISION, there));
        }
        self.revision(call, action, until).await
    }

    /// The rule of requests of this name with this number, or none of this name.
    async fn set_rule(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let concurrency = match arguments.value("concurrency") {
            Value::Int(number) if *number > 0 => Some(*number),
            Value::None => None,
            _ => return Err(not_fitting("concurrency").into()),
        };
        let name = arguments.text("rule")?;
        self.patch_app(call, "/properties/template", until, |template, _| {
            let is = |rule: &Json| rule.get("name").and_then(Json::as_str) == Some(name);
            let mut rules = array(template, "/scale/rules");
            rules.retain(|rule| !is(rule));
            if let Some(number) = concurrency {
                rules.push(json!({"name": name, "http": {"metadata": {"concurrentRequests": number.to_string()}}}));
            }
            template["scale"]["rules"] = json!(rules);
            Ok(())
        })
        .await
    }

    /// Gives these variables of a container what a revision has for them; their values are shown to nobody.
    async fn set_as_in(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let Json::Object(variables) = crate::value::document::of(arguments.value("variables"))? else {
            return Err(not_fitting("variables").into());
        };
        let name = arguments.text("container")?;
        let from = format!("{}/{}", arguments.text("app")?, arguments.text("revision")?);
        let old = self.document(call, REVISION, &from, until).await?;
        let named = |one: &Json, name: &str| one.get("name").and_then(Json::as_str) == Some(name);
        let old = array(&old, "/properties/template/containers");
        let old = old.iter().find(|container| named(container, name));
        let old = old.ok_or_else(|| Failure::definite(Reason::Missing, format!("the revision has no `{name}`")))?;
        let old = array(old, "/env");
        self.patch_app(call, "/properties/template", until, |template, _| {
            let container = super::apps::container(template, name)?;
            let mut all = array(container, "/env");
            for variable in variables.keys() {
                let was = old.iter().find(|one| named(one, variable)).cloned();
                let there = all.iter().position(|one| named(one, variable));
                match (was, there) {
                    (Some(was), Some(at)) => all[at] = was,
                    (Some(was), None) => all.push(was),
                    (None, Some(at)) => drop(all.remove(at)),
                    (None, None) => {}
                }
            }
            container["env"] = json!(all);
            Ok(())
        })
        .await
    }

    async fn split_traffic(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let list = Arguments(call).value("to").as_list().filter(|list| !list.truncated);
        let list = list.ok_or_else(|| not_fitting("to"))?;
        let mut traffic = Vec::new();
        let mut whole = 0;
        for item in &list.items {
            let record = item.as_record().ok_or_else(|| not_fitting("to"))?;
            let Some(Value::Int(weight)) = record.get("weight") else {
                return Err(not_fitting("to").into());
            };
            whole += *weight;
            let mut part = json!({ "weight": weight });
            match record.get("revision").and_then(Value::as_str) {
                Some(revision) => part["revisionName"] = json!(revision),
                None => part["latestRevision"] = json!(true),
            }
            if let Some(label) = record.get("label").and_then(Value::as_str) {
                part["label"] = json!(label);
            }
            traffic.push(part);
        }
        if whole != 100 {
            return Err(refused(format!("the weights are {whole} % together, not 100 %")));
        }
        self.patch_app(call, "/properties/configuration/ingress", until, |ingress, _| {
            ingress["traffic"] = json!(traffic);
            Ok(())
        })
        .await
    }

    /// The address is among those that may connect exactly when it is in `as_in`; the others stay.
    async fn keep_address(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let address = arguments.text("address")?;
        let there = texts(arguments, "as_in")?.iter().any(|one| one == address);
        let was = self.document(call, COSMOS, arguments.text("account")?, until).await?;
        let before = array(&was, "/properties/ipRules");
        let mut rules = before.clone();
        let is = |rule: &Json| rule.get("ipAddressOrRange").and_then(Json::as_str) == Some(address);
        keep(&mut rules, there, is, json!({ "ipAddressOrRange": address }));
        if rules.len() == before.len() {
            return Ok(shown(call, COSMOS, was));
        }
        if rules.is_empty() {
            return Err(super::changes::last_address());
        }
        let body = json!({"properties": {"ipRules": rules}});
        self.patch(call, COSMOS, "account", body, until).await
    }

    async fn withdraw_rule(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (group, name) = (arguments.text("security_group")?, arguments.text("name")?);
        self.remove_unless(call, RULE, &format!("{group}/{name}"), name, until)
            .await
    }

    /// Removes a resource, unless `unless_in` has one of this name.
    async fn remove_unless(
        &self,
        call: &Call,
        kind: &str,
        full: &str,
        name: &str,
        until: Instant,
    ) -> Result<Value, Failure> {
        if lists(Arguments(call), "unless_in", "name", name)? {
            return Ok(Value::Bool(false));
        }
        let ask = self.about(call, Method::DELETE, path::kind(kind)?, full)?;
        self.gone(&ask, until).await
    }

    /// A rule as a list of rules has it; one that is not in it is not made.
    async fn put_rule_back(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (group, name) = (arguments.text("security_group")?, arguments.text("name")?);
        let rules = crate::value::document::of(arguments.value("as_in"))?;
        let rules = rules.as_array().ok_or_else(|| not_fitting("as_in"))?;
        let named = |rule: &&Json| rule.get("name").and_then(Json::as_str) == Some(name);
        let Some(was) = rules.iter().find(named) else {
            return Ok(Value::Bool(false));
        };
        let mut properties = was.get("properties").cloned().unwrap_or_default();
        if let Some(fields) = properties.as_object_mut() {
            fields.remove("provisioningState");
        }
        let ask = self.about(call, Method::PUT, path::kind(RULE)?, &format!("{group}/{name}"))?;
        self.settle(&ask.with(json!({ "properties": properties })), until)
            .await?;
        Ok(Value::Bool(true))
    }

    async fn keep_service_endpoints(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = format!("{}/{}", arguments.text("network")?, arguments.text("subnet")?);
        let (services, before) = (texts(arguments, "services")?, texts(arguments, "as_in")?);
        let mut document = self.document(call, SUBNET, &name, until).await?;
        let was = array(&document, "/properties/serviceEndpoints");
        let mut all = was.clone();
        for service in services {
            let same = |text: &str| text.eq_ignore_ascii_case(&service);
            let is = |one: &Json| one.get("service").and_then(Json::as_str).is_some_and(same);
            keep(
                &mut all,
                before.iter().any(|one| same(one)),
                is,
                json!({ "service": service }),
            );
        }
        // Of the same length it may still be another list: one came and one went.
        if all == was {
            return Ok(shown(call, SUBNET, document));
        }
        document["properties"]["serviceEndpoints"] = json!(all);
        self.put_back(call, SUBNET, &name, document, until).await
    }

    async fn keep_origin(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let origin = arguments.text("origin")?;
        let there = texts(arguments, "as_in")?.iter().any(|one| one == origin || one == "*");
        let was = self.document(call, SIGNALR, arguments.text("name")?, until).await?;
        let before = array(&was, "/properties/cors/allowedOrigins");
        let mut all = before.clone();
        keep(&mut all, there, |one| one == origin, json!(origin));
        if all.len() == before.len() {
            return Ok(shown(call, SIGNALR, was));
        }
        let body = json!({"properties": {"cors": {"allowedOrigins": all}}});
        self.patch(call, SIGNALR, "name", body, until).await
    }

    /// Takes away what was assigned since: the same role of the same principal at the same resource, unless it was there before.
    async fn unassign_new(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (subscription, scope) = self.scope(call)?;
        let (principal, role) = (arguments.text("principal")?, arguments.text("role")?);
        let way = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
        let mut ask = Ask::manager(&subscription, Method::GET, way, "2022-04-01");
        ask.query
            .push(("$filter", format!("principalId eq '{}'", path::part(principal)?)));
        let (found, more) = self.pages(&ask, AZURE_LISTED, until).await?;
        if more {
            return Err(Failure::definite(
                Reason::Truncated,
                "there are more assignments than are looked at",
            ));
        }
        let is = |one: &Json, field: &str, wanted: &str| {
            let found = one.pointer(&format!("/properties/{field}")).and_then(Json::as_str);
            found.is_some_and(|found| found.eq_ignore_ascii_case(wanted))
        };
        let mut removed = false;
        for one in &found {
            let ours = is(one, "principalId", principal) && same_role(one, role) && is(one, "scope", &scope);
            let id = key_of_list(one, "id");
            if ours && !lists(arguments, "unless_in", "id", id)? {
                let ask = Ask::manager(&subscription, Method::DELETE, path::id(id)?.to_owned(), "2022-04-01");
                self.gone(&ask, until).await?;
                removed = true;
            }
        }
        Ok(Value::Bool(removed))
    }

    async fn withdraw_permission(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (api, permission) = (arguments.text("api")?, arguments.text("permission")?);
        let kind = arguments.text("kind")?;
        let mut document = self.registered(call, until).await?.json;
        let list = arguments.value("unless_in").as_list().filter(|list| !list.truncated);
        let list = list.ok_or_else(|| not_fitting("unless_in"))?;
        let was = list.items.iter().filter_map(Value::as_record).any(|one| {
            let is = |field: &str, wanted: &str| one.get(field).and_then(Value::as_str) == Some(wanted);
            is("api", api) && is("permission", permission) && is("kind", kind)
        });
        let mut all = array(&document, "/requiredResourceAccess");
        if was {
            return Ok(application(call, document));
        }
        for one in &mut all {
            if one.get("resourceAppId").and_then(Json::as_str) == Some(api) {
                let mut access = array(one, "/resourceAccess");
                access.retain(|one| *one != json!({"id": permission, "type": kind}));
                one["resourceAccess"] = json!(access);
            }
        }
        all.retain(|one| !array(one, "/resourceAccess").is_empty());
        let id = path::part(key_of_list(&document, "id"))?.to_owned();
        let ask = self.directory(call, Method::PATCH, format!("/v1.0/applications/{id}"))?;
        self.ask(&ask.with(json!({ "requiredResourceAccess": all })), until)
            .await?;
        document["requiredResourceAccess"] = json!(all);
        Ok(application(call, document))
    }

    /// The traffic of an app, one line a share.
    pub(super) async fn traffic(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let app = Arguments(call).text("app")?;
        let document = self.document(call, APP, app, until).await;
        let document = document.map_err(|failure| failure.unknown)?;
        let shares = array(&document, "/properties/configuration/ingress/traffic");
        let shares = shares.iter().map(
            |one| json!({"revision": one.get("revisionName"), "label": one.get("label"), "weight": one.get("weight")}),
        );
        Ok(super::shape::of_items(&call.operation.result, shares.collect(), false))
    }
}

#[cfg(test)]
mod tests {
    use super::keep;
    use serde_json::json;

    #[test]
    fn an_element_is_there_or_not_and_the_others_stay() {
        let mut list = vec![json!("a"), json!("b")];
        keep(&mut list, false, |one| one == "b", json!("b"));
        keep(&mut list, false, |one| one == "c", json!("c"));
        assert_eq!(list, [json!("a")]);
        keep(&mut list, true, |one| one == "b", json!("b"));
        keep(&mut list, true, |one| one == "b", json!("b"));
        assert_eq!(list, [json!("a"), json!("b")]);
    }
}
