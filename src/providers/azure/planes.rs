//! Services beside the resource manager: logs, vaults, registries, the directory, roles, tickets.

use super::client::{Ask, Said};
use super::config::{Audience, PlaceConfig};
use super::shape::{self, Shape};
use super::{Azure, kql, path};
use crate::limits::{AZURE_ITEMS, AZURE_LISTED};
use crate::provider::Call;
use crate::providers::arguments::Arguments;
use crate::providers::failure::{Failure, wrong};
use crate::providers::http::service::{Asked, Place};
use crate::secrets::{SecretText, remember};
use crate::value::{Reason, Unknown, Value, probe};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The version of the interface of vaults.
const VAULT: (&str, &str) = ("api-version", "7.4");

const SECRET_SHAPE: Shape = &[
    ("name", "/name"),
    ("version", "/version"),
    ("enabled", "yes:/attributes/enabled"),
    ("created", "/created"),
    ("updated", "/updated"),
    ("expires", "/expires"),
    ("content_type", "/contentType"),
];

const TAG_SHAPE: Shape = &[
    ("name", "/name"),
    ("created", "/createdTime"),
    ("updated", "/lastUpdateTime"),
    ("digest", "/digest"),
];

pub const ASSIGNMENT_SHAPE: Shape = &[
    ("id", "/id"),
    ("name", "/name"),
    ("principal", "/properties/principalId"),
    ("role", "/properties/roleDefinitionId"),
    ("scope", "/properties/scope"),
];

const APPLICATION_SHAPE: Shape = &[
    ("id", "/id"),
    ("app", "/appId"),
    ("name", "/displayName"),
    ("permissions", "/permissions"),
];

pub const TICKET_SHAPE: Shape = &[
    ("name", "/name"),
    ("number", "/properties/supportTicketId"),
    ("title", "/properties/title"),
    ("severity", "/properties/severity"),
    ("status", "/properties/status"),
    ("created", "/properties/createdDate"),
];

fn place<'a>(of: &'a BTreeMap<String, PlaceConfig>, what: &str, name: &str) -> Result<&'a PlaceConfig, Unknown> {
    of.get(name).ok_or_else(|| {
        wrong(
            Reason::Unavailable,
            format!("no {what} `{name}` is configured in this environment"),
        )
    })
}

/// What a vault says of a secret, with times as times and its name out of its id. Its value is not in it.
fn described(mut item: Json) -> Json {
    let id = item.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut parts = id.split("/secrets/").nth(1).unwrap_or_default().split('/');
    item["name"] = json!(parts.next().unwrap_or_default());
    item["version"] = parts.next().map_or(Json::Null, |version| json!(version));
    for (field, from) in [("created", "created"), ("updated", "updated"), ("expires", "exp")] {
        let seconds = item.pointer(&format!("/attributes/{from}")).and_then(Json::as_i64);
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        item[field] = time.map_or(Json::Null, |time| json!(time.to_string()));
    }
    if let Some(fields) = item.as_object_mut() {
        fields.remove("value");
    }
    item
}

/// A name that follows from the key of a call, so that it is the same when the call is made again.
pub fn guid_of(key: &str) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(format!("starr azure {key}"));
    let hex = hex::encode(&digest[..16]);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32]
    )
}

/// The text of an argument that is a secret.
fn secret_text<'a>(arguments: Arguments<'a>, name: &str) -> Result<&'a str, Unknown> {
    let text = match arguments.value(name) {
        Value::Secret(secret) => secret.expose().as_str(),
        _ => None,
    };
    text.ok_or_else(|| crate::providers::arguments::not_fitting(name))
}

impl Azure {
    pub(super) async fn manager_answers(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let name = Arguments(call).text("subscription")?;
        self.tokens(name)?;
        let server = super::config::server_name(Audience::Manager, name);
        let (reply, status) = self.service.reach(&server, "/metadata/endpoints", until).await?;
        Ok(probe::value(reply, begin.elapsed(), status))
    }

    pub(super) async fn query(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let name = arguments.text("workspace")?;
        let workspace = self.config.workspaces.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no workspace `{name}` is configured in this environment"),
            )
        })?;
        let most = arguments.limit("at_most", AZURE_ITEMS)?;
        let Value::Code { text, .. } = arguments.value("query") else {
            return Err(wrong(Reason::Unparsable, "`query` is a text in backticks"));
        };
        let query = kql::filled(text, arguments.value("with"))?;
        let (audience, way) = match (&workspace.workspace, &workspace.application) {
            (Some(id), _) => (Audience::Logs, format!("/v1/workspaces/{id}/query")),
            (None, Some(id)) => (Audience::Insights, format!("/v1/apps/{id}/query")),
            (None, None) => return Err(wrong(Reason::Internal, "the workspace has no id")),
        };
        let ask = Ask {
            audience,
            query: Vec::new(),
            reads: true,
            ..Ask::manager(&workspace.subscription, Method::POST, way, "")
        };
        let span = kql::timespan(arguments.duration("over")?)?;
        let answer = self
            .ask(&ask.with(json!({"query": query, "timespan": span})), until)
            .await
            .map_err(|failure| failure.unknown)?;
        kql::rows(&answer.json, most).map(|rows| super::json(Json::Array(rows)))
    }

    /// A question to a vault.
    pub(super) fn vault_ask<'a>(&'a self, call: &'a Call, method: Method, way: String) -> Result<Ask<'a>, Unknown> {
        self.ask_vault(Arguments(call).text("vault")?, method, way)
    }

    /// A question to the vault of this name.
    fn ask_vault<'a>(&'a self, name: &'a str, method: Method, way: String) -> Result<Ask<'a>, Unknown> {
        let vault = place(&self.config.vaults, "vault", name)?;
        Ok(Ask {
            audience: Audience::Vault,
            owner: name,
            reads: method == Method::GET,
            query: vec![(VAULT.0, VAULT.1.to_owned())],
            ..Ask::manager(&vault.subscription, method, way, "")
        })
    }

    /// The newest version of a secret, from the list of its versions, in which no value stands.
    async fn newest(&self, call: &Call, name: &str, until: Instant) -> Result<Json, Unknown> {
        let ask = self.vault_ask(call, Method::GET, format!("/secrets/{}/versions", path::part(name)?))?;
        let (versions, more) = self.pages(&ask, AZURE_LISTED, until).await?;
        if more {
            return Err(wrong(
                Reason::Truncated,
                "the secret has more versions than are looked at",
            ));
        }
        let newest = versions
            .into_iter()
            .max_by_key(|version| version.pointer("/attributes/created").and_then(Json::as_i64));
        newest.ok_or_else(|| wrong(Reason::Missing, format!("the vault has no secret `{name}`")))
    }

    pub(super) async fn secret(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let name = Arguments(call).text("name")?;
        let newest = self.newest(call, name, until).await?;
        Ok(shape::record(call, SECRET_SHAPE, &described(newest)))
    }

    /// The newest version of a secret, if there is such a secret.
    pub(super) async fn newest_version(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let found = match self.newest(call, Arguments(call).text("name")?, until).await {
            Ok(newest) => described(newest),
            Err(unknown) if unknown.reason == Reason::Missing => json!({}),
            Err(unknown) => return Err(unknown),
        };
        Ok(shape::record(call, &[("version", "/version")], &found))
    }

    /// Whether the newest version of a secret is this value. It is compared here; neither is shown.
    pub(super) async fn holds(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let wanted = secret_text(arguments, "value")?;
        let way = format!("/secrets/{}/", path::part(arguments.text("name")?)?);
        let ask = self.vault_ask(call, Method::GET, way)?;
        let (value, _) = self.value_of(&ask, until).await.map_err(|failure| failure.unknown)?;
        Ok(Value::Bool(value.expose() == wanted))
    }

    /// An earlier version as the newest again; without one the newest is switched off, because it was the first.
    pub(super) async fn put_secret_back(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = arguments.text("name")?;
        if arguments.maybe_text("version")?.is_some() {
            return self.restore_secret(call, until).await;
        }
        let newest = match self.newest(call, name, until).await {
            Ok(newest) => described(newest),
            Err(unknown) => return Err(unknown.into()),
        };
        let version = path::part(newest["version"].as_str().unwrap_or_default())?.to_owned();
        let way = format!("/secrets/{}/{version}", path::part(name)?);
        let ask = self.vault_ask(call, Method::PATCH, way)?;
        let said = self
            .ask(&ask.with(json!({"attributes": {"enabled": false}})), until)
            .await?;
        Ok(shape::record(call, SECRET_SHAPE, &described(said.json)))
    }

    pub(super) async fn secrets(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let most = Arguments(call).limit("at_most", AZURE_ITEMS)?;
        let ask = self.vault_ask(call, Method::GET, "/secrets".to_owned())?;
        let (items, more) = self.pages(&ask, most, until).await?;
        let items: Vec<Json> = items.into_iter().map(described).collect();
        Ok(shape::list(call, SECRET_SHAPE, &items, more))
    }

    /// The value of a version of a secret: for the vault itself, and for [`crate::secrets`]; it is remembered, so no output lets it out.
    async fn value_of(&self, ask: &Ask<'_>, until: Instant) -> Result<(SecretText, Json), Failure> {
        let said = self.ask(ask, until).await?;
        let value = said.json.get("value").and_then(Json::as_str);
        let value = value.ok_or_else(|| Failure::definite(Reason::Unparsable, "the vault gives no value"))?;
        remember(value, "a secret of a vault");
        Ok((SecretText::new(value.to_owned()), described(said.json.clone())))
    }

    /// The newest version of a secret of a vault, for [`crate::secrets`].
    pub(super) async fn newest_value(&self, vault: &str, name: &str, until: Instant) -> Result<SecretText, Unknown> {
        let way = format!("/secrets/{}/", path::part(name)?);
        let ask = self.ask_vault(vault, Method::GET, way)?;
        let found = self.value_of(&ask, until).await;
        found.map(|(value, _)| value).map_err(|failure| failure.unknown)
    }

    async fn write_secret(&self, call: &Call, name: &str, body: Json, until: Instant) -> Result<Value, Failure> {
        let ask = self.vault_ask(call, Method::PUT, format!("/secrets/{}", path::part(name)?))?;
        let said = self.ask(&ask.with(body), until).await?;
        Ok(shape::record(call, SECRET_SHAPE, &described(said.json)))
    }

    pub(super) async fn set_secret(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let value = secret_text(arguments, "value")?;
        let mut attributes = json!({"enabled": true});
        if let Value::Time(expires) = arguments.value("expires") {
            attributes["exp"] = json!(expires.as_second());
        }
        let name = arguments.text("name")?;
        self.write_secret(call, name, json!({"value": value, "attributes": attributes}), until)
            .await
    }

    pub(super) async fn restore_secret(&self, call: &Call, until: Instant) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let name = arguments.text("name")?;
        let version = path::part(arguments.text("version")?)?;
        let way = format!("/secrets/{}/{version}", path::part(name)?);
        let (value, was) = self.value_of(&self.vault_ask(call, Method::GET, way)?, until).await?;
        let mut body = json!({"value": value.expose(), "attributes": {"enabled": true}});
        if let Some(kind) = was.get("contentType") {
            body["contentType"] = kind.clone();
        }
        self.write_secret(call, name, body, until).await
    }

    /// `registry.tags`: a token of the directory is exchanged for one of the registry, which is exchanged for one of the repository.
    pub(super) async fn tags(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let name = arguments.text("registry")?;
        let registry = place(&self.config.registries, "registry", name)?;
        let repository = arguments.text("repository")?;
        let parts: Vec<&str> = repository.split('/').map(path::part).collect::<Result<_, _>>()?;
        let repository = parts.join("/");
        let most = arguments.limit("at_most", 100)?;
        let server = super::config::server_name(Audience::Registry, name);
        let host = self.service.host(&server)?;
        let tokens = self.tokens(&registry.subscription)?;
        let token = tokens.token(Audience::Registry, until).await?;
        let scope = format!("repository:{repository}:metadata_read");
        let exchange = [
            ("grant_type", "access_token"),
            ("service", host.as_str()),
            ("access_token", token.expose()),
        ];
        let refresh = self
            .registry_token(&server, "/oauth2/exchange", &exchange, "refresh_token", until)
            .await?;
        let access = [
            ("grant_type", "refresh_token"),
            ("service", host.as_str()),
            ("scope", scope.as_str()),
            ("refresh_token", refresh.expose()),
        ];
        let access = self
            .registry_token(&server, "/oauth2/token", &access, "access_token", until)
            .await?;
        let mut headers = HeaderMap::new();
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", access.expose()))
            .map_err(|_| wrong(Reason::Unparsable, "the registry's token cannot be sent"))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        let query = [("orderby", "timedesc".to_owned()), ("n", (most + 1).to_string())];
        let way = format!("/acr/v1/{repository}/_tags");
        let asked = Asked {
            method: Method::GET,
            change: false,
            place: Place::Path(&way, &query),
            headers,
            body: None,
        };
        let (_, answer) = self
            .service
            .exchange(&server, asked, until)
            .await
            .map_err(|failed| failed.unknown)?;
        if answer.status != 200 {
            return Err(super::client::problem(&answer));
        }
        let found = answer.json()?;
        let mut tags = found.get("tags").and_then(Json::as_array).cloned().unwrap_or_default();
        let more = tags.len() > most;
        tags.truncate(most);
        Ok(shape::list(call, TAG_SHAPE, &tags, more))
    }

    async fn registry_token(
        &self,
        server: &str,
        way: &str,
        form: &[(&str, &str)],
        field: &str,
        until: Instant,
    ) -> Result<SecretText, Unknown> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let asked = Asked {
            method: Method::POST,
            change: false,
            place: Place::Path(way, &[]),
            headers: HeaderMap::new(),
            body: Some(("application/x-www-form-urlencoded", body.into_bytes())),
        };
        let (_, answer) = self
            .service
            .exchange(server, asked, until)
            .await
            .map_err(|failed| failed.unknown)?;
        if answer.status != 200 {
            return Err(super::client::problem(&answer));
        }
        let found = answer.json()?;
        let token = found
            .get(field)
            .and_then(Json::as_str)
            .ok_or_else(|| wrong(Reason::Unparsable, "the registry gives no token"))?;
        remember(token, "a token of a registry");
        Ok(SecretText::new(token.to_owned()))
    }

    /// Where roles are asked for: an id, or the group.
    pub(super) fn scope(&self, call: &Call) -> Result<(String, String), Unknown> {
        let group = self.group(call)?;
        let at = Arguments(call).text("at")?;
        let scope = match at {
            "" => self.group_path(group)?,
            id => path::id(id)?.to_owned(),
        };
        // A scope of another subscription is none of ours.
        let own = format!("/subscriptions/{}", self.tokens(&group.subscription)?.id());
        let inside = scope.to_ascii_lowercase();
        if inside != own.to_ascii_lowercase() && !inside.starts_with(&format!("{}/", own.to_ascii_lowercase())) {
            return Err(wrong(
                Reason::Denied,
                "`at` lies in another subscription than the group",
            ));
        }
        Ok((group.subscription.clone(), scope))
    }

    pub(super) async fn assignments(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let (subscription, scope) = self.scope(call)?;
        let way = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
        let mut ask = Ask::manager(&subscription, Method::GET, way, "2022-04-01");
        let filter = match Arguments(call).maybe_text("principal")? {
            Some(principal) => format!("assignedTo('{}')", path::part(principal)?),
            None => "atScope()".to_owned(),
        };
        ask.query.push(("$filter", filter));
        let (found, more) = self.pages(&ask, AZURE_LISTED, until).await?;
        Ok(shape::list(call, ASSIGNMENT_SHAPE, &found, more))
    }

    /// A question to the directory.
    pub(super) fn directory<'a>(&'a self, call: &'a Call, method: Method, way: String) -> Result<Ask<'a>, Unknown> {
        let name = Arguments(call).text("subscription")?;
        Ok(Ask {
            audience: Audience::Graph,
            query: Vec::new(),
            ..Ask::manager(name, method, way, "")
        })
    }

    /// An application as the directory has it.
    pub(super) async fn registered(&self, call: &Call, until: Instant) -> Result<Said, Failure> {
        let app = path::part(Arguments(call).text("app")?)?;
        let way = format!("/v1.0/applications(appId='{app}')");
        let mut ask = self.directory(call, Method::GET, way)?;
        ask.query
            .push(("$select", "id,appId,displayName,requiredResourceAccess".to_owned()));
        self.ask(&ask, until).await
    }

    pub(super) async fn application(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let said = self.registered(call, until).await.map_err(|failure| failure.unknown)?;
        Ok(application(call, said.json))
    }

    pub(super) async fn tickets(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let name = arguments.text("subscription")?;
        let most = arguments.limit("at_most", AZURE_ITEMS)?;
        let id = self.tokens(name)?.id().to_owned();
        let way = format!("/subscriptions/{id}/providers/Microsoft.Support/supportTickets");
        let version = path::kind("Microsoft.Support/supportTickets")?.version;
        let ask = Ask::manager(name, Method::GET, way, version);
        let (found, more) = self.pages(&ask, most, until).await?;
        Ok(shape::list(call, TICKET_SHAPE, &found, more))
    }
}

/// An application with its permissions in one list.
pub fn application(call: &Call, mut document: Json) -> Value {
    let apis = document.get("requiredResourceAccess").and_then(Json::as_array);
    let permissions: Vec<Json> = apis
        .into_iter()
        .flatten()
        .flat_map(|api| {
            let name = api.get("resourceAppId").cloned().unwrap_or(Json::Null);
            let all = api.get("resourceAccess").and_then(Json::as_array).cloned();
            all.unwrap_or_default().into_iter().map(
                move |access| json!({"api": name.clone(), "permission": access.get("id"), "kind": access.get("type")}),
            )
        })
        .collect();
    document["permissions"] = json!(permissions);
    shape::record(call, APPLICATION_SHAPE, &document)
}

#[cfg(test)]
mod tests {
    use super::{described, guid_of};
    use serde_json::json;

    #[test]
    fn a_secret_is_described_without_its_value() {
        let shown = described(json!({
            "id": "https://v.vault.azure.net/secrets/db/0123", "value": "canary-51d0aa",
            "attributes": {"enabled": true, "created": 1_700_000_000, "exp": 1_800_000_000},
        }));
        assert!(!shown.to_string().contains("canary"), "{shown}");
        assert_eq!((&shown["name"], &shown["version"]), (&json!("db"), &json!("0123")));
        assert_eq!(shown["expires"], "2027-01-15T08:00:00Z");
    }

    #[test]
    fn names_follow_from_keys() {
        assert_eq!(guid_of("a"), guid_of("a"));
        assert_ne!(guid_of("a"), guid_of("b"));
        assert_eq!(
            guid_of("a").split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
    }
}
