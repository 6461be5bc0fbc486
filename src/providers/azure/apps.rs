//! Changes of container apps. Lists are read, merged and written whole, because the service replaces them.

use super::client::Ask;
use super::reads::{APP, REVISION, shown};
use super::{Azure, path};
use crate::limits::AZURE_LISTED;
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting};
use crate::providers::failure::{Failure, wrong};
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

const GIBI: i64 = 1 << 30;

fn refused(detail: impl Into<String>) -> Failure {
    Failure::definite(Reason::Unparsable, detail)
}

fn int(arguments: Arguments<'_>, name: &str, least: i64, most: i64) -> Result<i64, Unknown> {
    match arguments.value(name) {
        Value::Int(number) if (least..=most).contains(number) => Ok(*number),
        Value::Unknown(unknown) => Err((**unknown).clone()),
        _ => Err(wrong(
            Reason::Unparsable,
            format!("`{name}` is not between {least} and {most}"),
        )),
    }
}

/// Processors and memory as the service takes them. Where nothing is reserved it has only pairs: 0.5 Gi for each quarter of a core.
fn pair(cpu: f64, memory: i64, reserved: bool) -> Result<Json, Failure> {
    let gibi = memory as f64 / GIBI as f64;
    let quarters = cpu * 4.0;
    let exact = |number: f64| (number - number.round()).abs() < 1e-9;
    if !(cpu > 0.0 && memory > 0) {
        return Err(refused("`cpu` and `memory` are more than nothing"));
    }
    let paired = exact(quarters) && quarters <= 16.0 && (gibi - cpu * 2.0).abs() < 1e-9;
    if !(reserved || paired) {
        return Err(refused(
            "the service has only these pairs: 0.25 with 0.5 Gi, 0.5 with 1 Gi, and so on to 4 with 8 Gi",
        ));
    }
    Ok(json!({"cpu": cpu, "memory": format!("{gibi}Gi")}))
}

/// The container of this name in a template.
pub(super) fn container<'a>(template: &'a mut Json, name: &str) -> Result<&'a mut Json, Failure> {
    let containers = template.get_mut("containers").and_then(Json::as_array_mut);
    let found = containers
        .into_iter()
        .flatten()
        .find(|container| container.get("name").and_then(Json::as_str) == Some(name));
    found.ok_or_else(|| Failure::definite(Reason::Missing, format!("the app has no container `{name}`")))
}

/// Puts an element into a list, in the place of the one that has its name.
fn put(list: &mut Json, element: Json) {
    if !list.is_array() {
        *list = json!([]);
    }
    if let Some(items) = list.as_array_mut() {
        match items.iter_mut().find(|item| item.get("name") == element.get("name")) {
            Some(there) => *there = element,
            None => items.push(element),
        }
    }
}

/// One variable: a text, or a reference to a secret of the app.
fn variable(name: &str, value: &Json) -> Result<Json, Failure> {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(yes) => yes.to_string(),
        _ => {
            return Err(refused(format!(
                "the variable `{name}` is a text, a number, or yes or no"
            )));
        }
    };
    Ok(match text.strip_prefix("secret:") {
        Some(secret) => json!({"name": name, "secretRef": secret}),
        None => json!({"name": name, "value": text}),
    })
}

impl Azure {
    /// Reads an app, changes a part of its document, and writes that part back.
    pub(super) async fn patch_app(
        &self,
        call: &Call,
        part: &str,
        until: Instant,
        change: impl FnOnce(&mut Json, &Json) -> Result<(), Failure>,
    ) -> Result<Value, Failure> {
        let app = Arguments(call).text("app")?;
        let was = self.document(call, APP, app, until).await?;
        let before = was.pointer(part).cloned().filter(|part| part.is_object());
        let before = before.ok_or_else(|| Failure::definite(Reason::Missing, "the app has nothing of this kind"))?;
        let mut after = before.clone();
        change(&mut after, &was)?;
        if after == before {
            return Ok(shown(call, APP, was));
        }
        if part == "/properties/template" {
            // The name of a revision is taken once; without one the service finds a new name.
            after["revisionSuffix"] = Json::Null;
        }
        let body = part
            .rsplit('/')
            .filter(|name| !name.is_empty())
            .fold(after, |inner, name| json!({name: inner}));
        let mut ask = self.about(call, Method::PATCH, path::kind(APP)?, app)?.with(body);
        ask.version = was.get("etag").and_then(Json::as_str).map(str::to_owned);
        let now = self.settle(&ask, until).await?;
        self.app_now(call, app, now, until).await
    }

    /// The app after a change, as the service says or as it is read.
    async fn app_now(&self, call: &Call, app: &str, said: Json, until: Instant) -> Result<Value, Failure> {
        if said.get("properties").is_some() {
            return Ok(shown(call, APP, said));
        }
        let read = self.document(call, APP, app, until).await;
        read.map(|read| shown(call, APP, read)).map_err(Failure::after_sending)
    }

    pub(super) async fn scale(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let (min, max) = (int(arguments, "min", 0, 1000)?, int(arguments, "max", 1, 1000)?);
        if min > max {
            return Err(refused("`min` is more than `max`"));
        }
        self.patch_app(call, "/properties/template", until, |template, _| {
            if !template.get("scale").is_some_and(Json::is_object) {
                template["scale"] = json!({});
            }
            template["scale"]["minReplicas"] = json!(min);
            template["scale"]["maxReplicas"] = json!(max);
            Ok(())
        })
        .await
    }

    pub(super) async fn scale_by_requests(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let rule = path::part(arguments.text("rule")?)?;
        let concurrency = int(arguments, "concurrency", 1, 1_000_000)?;
        // The service keeps this number as a text.
        let rule = json!({"name": rule, "http": {"metadata": {"concurrentRequests": concurrency.to_string()}}});
        self.patch_app(call, "/properties/template", until, |template, _| {
            if !template.get("scale").is_some_and(Json::is_object) {
                template["scale"] = json!({});
            }
            put(&mut template["scale"]["rules"], rule);
            Ok(())
        })
        .await
    }

    pub(super) async fn size(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let cpu = match arguments.value("cpu") {
            Value::Float(cpu) => *cpu,
            Value::Int(cpu) => *cpu as f64,
            _ => return Err(not_fitting("cpu").into()),
        };
        let Value::Bytes(memory) = arguments.value("memory") else {
            return Err(not_fitting("memory").into());
        };
        let name = arguments.text("container")?;
        self.patch_app(call, "/properties/template", until, |template, app| {
            let profile = app.pointer("/properties/workloadProfileName").and_then(Json::as_str);
            let reserved = profile.is_some_and(|profile| profile != "Consumption");
            let wanted = pair(cpu, *memory, reserved)?;
            let resources = &mut container(template, name)?["resources"];
            if !resources.is_object() {
                *resources = json!({});
            }
            resources["cpu"] = wanted["cpu"].clone();
            resources["memory"] = wanted["memory"].clone();
            Ok(())
        })
        .await
    }

    pub(super) async fn set_variables(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let Json::Object(variables) = crate::value::document::of(arguments.value("variables"))? else {
            return Err(not_fitting("variables").into());
        };
        let name = arguments.text("container")?;
        let wanted = variables
            .iter()
            .map(|(name, value)| variable(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        self.patch_app(call, "/properties/template", until, |template, _| {
            let container = container(template, name)?;
            for variable in wanted {
                put(&mut container["env"], variable);
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn send_traffic(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let revision = path::part(arguments.text("revision")?)?;
        let name = format!("{}/{revision}", arguments.text("app")?);
        let there = self.document(call, REVISION, &name, until).await?;
        if there.pointer("/properties/active").and_then(Json::as_bool) != Some(true) {
            return Err(refused("the revision is not active: nothing would answer"));
        }
        self.patch_app(call, "/properties/configuration/ingress", until, |ingress, app| {
            let mode = app.pointer("/properties/configuration/activeRevisionsMode");
            if mode
                .and_then(Json::as_str)
                .is_some_and(|mode| mode.eq_ignore_ascii_case("single"))
            {
                return Err(refused(
                    "the app has one revision at a time: its traffic cannot be sent to another",
                ));
            }
            ingress["traffic"] = json!([{"revisionName": revision, "weight": 100}]);
            Ok(())
        })
        .await
    }

    pub(super) async fn listen(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let port = int(arguments, "port", 1, 65_535)?;
        let transport = arguments.text("transport")?.to_ascii_lowercase();
        if !["auto", "http", "http2", "tcp"].contains(&transport.as_str()) {
            return Err(refused("`transport` is `auto`, `http`, `http2` or `tcp`"));
        }
        self.patch_app(call, "/properties/configuration/ingress", until, |ingress, _| {
            ingress["targetPort"] = json!(port);
            let same = ingress.get("transport").and_then(Json::as_str);
            if !same.is_some_and(|same| same.eq_ignore_ascii_case(&transport)) {
                ingress["transport"] = json!(transport);
            }
            Ok(())
        })
        .await
    }

    /// `restart`, `activate`, `deactivate` of a revision, and how it is afterwards.
    pub(super) async fn revision(&self, call: &Call, action: &str, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let app = arguments.text("app")?;
        let name = format!("{app}/{}", arguments.text("revision")?);
        if action == "deactivate" {
            self.may_be_switched_off(call, app, arguments.text("revision")?, until)
                .await?;
        }
        let mut ask: Ask<'_> = self.about(call, Method::POST, path::kind(REVISION)?, &name)?;
        ask.path = format!("{}/{action}", ask.path);
        self.settle(&ask, until).await?;
        let now = self.document(call, REVISION, &name, until).await;
        now.map(|now| shown(call, REVISION, now))
            .map_err(Failure::after_sending)
    }

    async fn may_be_switched_off(&self, call: &Call, app: &str, revision: &str, until: Instant) -> Result<(), Failure> {
        let (all, more) = self.documents(call, REVISION, app, AZURE_LISTED, until).await?;
        if more {
            return Err(Failure::definite(
                Reason::Truncated,
                "the app has more revisions than are looked at",
            ));
        }
        let is = |one: &Json| one.get("name").and_then(Json::as_str) == Some(revision);
        let active = |one: &&Json| one.pointer("/properties/active").and_then(Json::as_bool) == Some(true);
        let this = all.iter().find(|one| is(one));
        let this = this.ok_or_else(|| Failure::definite(Reason::Missing, "the app has no such revision"))?;
        let weight = this
            .pointer("/properties/trafficWeight")
            .and_then(Json::as_i64)
            .unwrap_or(0);
        if weight > 0 {
            return Err(refused(format!(
                "the revision has {weight} % of the traffic: nothing would answer it"
            )));
        }
        if all.iter().filter(active).all(is) {
            return Err(refused("it is the only active revision: nothing would answer"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GIBI, pair, put, variable};
    use serde_json::json;

    #[test]
    fn only_pairs_of_the_service_are_sent() {
        assert_eq!(pair(0.5, GIBI, false).unwrap(), json!({"cpu": 0.5, "memory": "1Gi"}));
        assert_eq!(pair(0.25, GIBI / 2, false).unwrap()["memory"], "0.5Gi");
        for (cpu, memory) in [(2.0, 8 * GIBI), (0.3, GIBI), (8.0, 16 * GIBI), (0.0, 0), (1.0, GIBI)] {
            assert!(pair(cpu, memory, false).is_err(), "{cpu} {memory}");
        }
        assert!(pair(2.0, 8 * GIBI, true).is_ok());
    }

    #[test]
    fn lists_are_merged() {
        let mut list = json!([{"name": "A", "value": "1"}, {"name": "B", "secretRef": "b"}]);
        put(&mut list, variable("A", &json!("2")).unwrap());
        put(&mut list, variable("C", &json!("secret:c")).unwrap());
        let wanted =
            json!([{"name": "A", "value": "2"}, {"name": "B", "secretRef": "b"}, {"name": "C", "secretRef": "c"}]);
        assert_eq!(list, wanted);
        let mut none = json!(null);
        put(&mut none, json!({"name": "A"}));
        assert_eq!(none, json!([{"name": "A"}]));
        assert!(variable("A", &json!([])).is_err());
    }
}
