//! What would come of a change, as the resource manager's own What-if says it. Nothing is made.

use super::client::Ask;
use super::config::GroupConfig;
use super::{Azure, path};
use crate::provider::Call;
use crate::provider::native::Previewed;
use crate::providers::arguments::{Arguments, patience};
use crate::providers::failure::{excerpt, wrong};
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use serde_json::{Map, Value as Json, json};
use tokio::time::Instant;

/// The version of the interface of deployments.
const VERSION: &str = "2022-09-01";

/// Lines of one preview.
const LINES: usize = 50;

impl Azure {
    async fn changes_of(
        &self,
        group: &GroupConfig,
        template: Json,
        parameters: Json,
        format: &str,
        until: Instant,
    ) -> Result<Json, Unknown> {
        let way = format!(
            "{}/providers/Microsoft.Resources/deployments/starr-what-if/whatIf",
            self.group_path(group)?
        );
        let mut ask = Ask::manager(&group.subscription, Method::POST, way, VERSION);
        ask.reads = true;
        let ask = ask.with(
            json!({"properties": {"mode": "Incremental", "template": template, "parameters": parameters,
            "whatIfSettings": {"resultFormat": format}}}),
        );
        let answer = self.settle(&ask, until).await.map_err(|failure| failure.unknown)?;
        answer
            .pointer("/properties/changes")
            .cloned()
            .ok_or_else(|| wrong(Reason::Unparsable, "Azure does not say what would change"))
    }

    /// `resources.what_if`: what would come of a template, one document a change.
    pub(super) async fn what_if(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let of = |name: &str| crate::value::document::of(arguments.value(name));
        let parameters: Map<String, Json> = match of("parameters")? {
            Json::Object(values) => values
                .into_iter()
                .map(|(name, value)| (name, json!({ "value": value })))
                .collect(),
            _ => return Err(wrong(Reason::Unparsable, "`parameters` is a record of values by name")),
        };
        let group = self.group(call)?;
        self.changes_of(group, of("template")?, json!(parameters), "ResourceIdOnly", until)
            .await
            .map(super::json)
    }

    /// The preview of a call that puts a resource: the only change that a template says in the same words.
    pub(super) async fn previewed(&self, call: &Call) -> Previewed {
        if &*call.operation.path != "resources.put" {
            return Previewed::NoPreview;
        }
        let until = Instant::now() + patience(call);
        match self.preview_of_put(call, until).await {
            Ok(changes) => Previewed::Shown {
                how: "What-if".to_owned(),
                lines: lines(&changes),
            },
            Err(unknown) => Previewed::Unknown(unknown),
        }
    }

    async fn preview_of_put(&self, call: &Call, until: Instant) -> Result<Json, Unknown> {
        let arguments = Arguments(call);
        let kind = path::kind(arguments.text("type")?)?;
        let name = arguments.text("name")?;
        kind.way(name)?;
        let Json::Object(mut resource) = crate::value::document::of(arguments.value("to"))? else {
            return Err(wrong(Reason::Unparsable, "`to` is a document"));
        };
        for (field, value) in [("type", kind.name), ("name", name), ("apiVersion", kind.version)] {
            resource.insert(field.to_owned(), json!(value));
        }
        let template = json!({
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0", "resources": [resource]});
        self.changes_of(self.group(call)?, template, json!({}), "FullResourcePayloads", until)
            .await
    }
}

/// One line a resource that changes, and one a field of it.
fn lines(changes: &Json) -> Vec<String> {
    let word = |json: &Json, name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for change in changes.as_array().into_iter().flatten() {
        let kind = word(change, "changeType");
        if kind == "NoChange" || kind == "Ignore" {
            continue;
        }
        let id = word(change, "resourceId");
        let short = id.split("/providers/").last().unwrap_or(&id);
        lines.push(excerpt(&format!("{kind}: {short}"), 200));
        for field in change.get("delta").and_then(Json::as_array).into_iter().flatten() {
            let shown = |name: &str| match field.get(name) {
                None | Some(Json::Null) => "nothing".to_owned(),
                Some(value) => excerpt(&value.to_string(), 80),
            };
            lines.push(excerpt(
                &format!(
                    "{}: {} becomes {}",
                    word(field, "path"),
                    shown("before"),
                    shown("after")
                ),
                300,
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing would change".to_owned());
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        lines.push("… and more".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{LINES, lines};
    use serde_json::json;

    #[test]
    fn a_preview_says_which_field_becomes_what() {
        let changes = json!([
            {"resourceId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/net", "changeType": "Modify",
             "delta": [{"path": "properties.dhcpOptions.dnsServers", "propertyChangeType": "Modify", "before": ["10.0.0.4"], "after": []}]},
            {"resourceId": "/x", "changeType": "NoChange"},
        ]);
        assert_eq!(
            lines(&changes),
            [
                "Modify: Microsoft.Network/virtualNetworks/net",
                "properties.dhcpOptions.dnsServers: [\"10.0.0.4\"] becomes []"
            ]
        );
        assert_eq!(lines(&json!([])), ["nothing would change"]);
        let many: Vec<_> = (0..100)
            .map(|number| json!({"resourceId": number.to_string(), "changeType": "Create"}))
            .collect();
        assert_eq!(lines(&json!(many)).len(), LINES + 1);
    }
}
