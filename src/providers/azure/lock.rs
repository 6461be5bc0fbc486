//! The lock of a target: a blob of a container that is kept for locks, one for each target. Every write says which version must stand there.

use super::Azure;
use super::config::{Audience, Config, LockConfig, server_name};
use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::{Health, HealthState};
use crate::providers::failure::{excerpt, wrong};
use crate::providers::http::service::{Answer, Asked, Place};
use crate::providers::lock::{Found, NotDone, Note, Store};
use crate::value::{Reason, Unknown};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The version of the interface of blobs; from this one on tokens of the directory are taken everywhere.
const VERSION: &str = "2021-12-02";

/// What a target is called here and everywhere: its id, never the name that one configuration has for it.
fn id_of(config: &Config, target: &str) -> Option<(String, String)> {
    let subscription = |name: &str| config.subscriptions.get(name).map(|found| found.id.clone());
    let found = if let Some(group) = config.groups.get(target) {
        let id = subscription(&group.subscription)?;
        (
            group.subscription.clone(),
            format!("subscriptions/{id}/resourcegroups/{}", group.name),
        )
    } else if let Some(found) = config.subscriptions.get(target) {
        (target.to_owned(), format!("subscriptions/{}", found.id))
    } else if let Some(workspace) = config.workspaces.get(target) {
        let id = workspace.workspace.as_ref().or(workspace.application.as_ref())?;
        (workspace.subscription.clone(), format!("workspaces/{id}"))
    } else if let Some(vault) = config.vaults.get(target) {
        (vault.subscription.clone(), format!("vaults/{}", vault.name))
    } else {
        let registry = config.registries.get(target)?;
        (registry.subscription.clone(), format!("registries/{}", registry.name))
    };
    // Azure takes names in either case for the same.
    Some((found.0, found.1.to_lowercase()))
}

/// The blob of a target.
#[derive(Clone)]
struct Blob {
    azure: Arc<Azure>,
    subscription: String,
    container: String,
    /// Behind the server's own path.
    path: String,
}

impl Blob {
    async fn send(
        &self,
        method: Method,
        more: HeaderMap,
        body: Option<Json>,
        within: Duration,
    ) -> Result<(HeaderMap, Answer), NotDone> {
        let until = Instant::now() + within;
        let no = |unknown| NotDone::No(self.named(unknown));
        let tokens = self.azure.tokens(&self.subscription).map_err(no)?;
        let token = tokens.token(Audience::Storage, until).await.map_err(no)?;
        let mut headers = more;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| no(wrong(Reason::Unparsable, "a token that cannot be sent")))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(
            HeaderName::from_static("x-ms-version"),
            HeaderValue::from_static(VERSION),
        );
        let asked = Asked {
            change: method != Method::GET,
            method,
            place: Place::Path(&self.path, &[]),
            headers,
            body: body.map(|body| ("application/json", body.to_string().into_bytes())),
        };
        let server = server_name(Audience::Storage, &self.subscription);
        let sent = self.azure.service.exchange(&server, asked, until).await;
        sent.map_err(|failed| {
            let why = self.named(failed.unknown);
            if failed.sent {
                NotDone::LookAgain(why)
            } else {
                NotDone::No(why)
            }
        })
    }

    /// What an answer that is no success means: errors of blobs have their code in a header.
    fn refused(&self, headers: &HeaderMap, answer: &Answer) -> Unknown {
        let code = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        let mut unknown = answer.problem();
        if let Some(code) = code {
            unknown.detail = format!("{}: {}", unknown.detail, excerpt(code, 80));
        }
        self.named(unknown)
    }

    /// Sends what demands that a version still stands there.
    async fn change(
        &self,
        method: Method,
        found: &Found<Version>,
        body: Option<Json>,
        within: Duration,
    ) -> Result<(), NotDone> {
        let mut headers = HeaderMap::new();
        match &found.version {
            None => headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*")),
            Some(version) => headers.insert(IF_MATCH, version.clone()),
        };
        if body.is_some() {
            headers.insert(
                HeaderName::from_static("x-ms-blob-type"),
                HeaderValue::from_static("BlockBlob"),
            );
        }
        let (headers, answer) = self.send(method, headers, body, within).await?;
        let code = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        match (answer.status, code) {
            (200..=299, _) => Ok(()),
            // Another version, or one where there was none; or it is gone.
            (409 | 412, _) | (404, Some("BlobNotFound")) => Err(NotDone::LookAgain(self.refused(&headers, &answer))),
            (500..=599, _) => Err(NotDone::LookAgain(self.refused(&headers, &answer))),
            _ => Err(NotDone::No(self.refused(&headers, &answer))),
        }
    }
}

/// The `etag` of the blob; `None` where there is none.
type Version = Option<HeaderValue>;

impl Store for Blob {
    type Version = Version;

    async fn read(&self, within: Duration) -> Result<Found<Version>, Unknown> {
        let (headers, answer) = match self.send(Method::GET, HeaderMap::new(), None, within).await {
            Ok(said) => said,
            Err(NotDone::No(why) | NotDone::LookAgain(why)) => return Err(why),
        };
        let now = headers
            .get(DATE)
            .and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok())
            .map(|date| date.timestamp());
        let now: Timestamp =
            now.ok_or_else(|| self.named(wrong(Reason::Unparsable, "the service does not say what time it is")))?;
        let code = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok());
        match (answer.status, code, headers.get(ETAG)) {
            (200, _, Some(version)) => {
                let text = |json: &Json, name: &str| json[name].as_str().unwrap_or_default().to_owned();
                // What cannot be read is a note of somebody else, which does not expire.
                let json = answer.json().unwrap_or(Json::Null);
                let note = Note {
                    holder: text(&json, "holder"),
                    since: text(&json, "since"),
                    expires: json["expires"].as_i64(),
                };
                Ok(Found {
                    note: Some(note),
                    version: Some(version.clone()),
                    now,
                })
            }
            // Without its container there is no lock, and that is not a free one.
            (404, Some("BlobNotFound"), _) => Ok(Found {
                note: None,
                version: None,
                now,
            }),
            _ => Err(self.refused(&headers, &answer)),
        }
    }

    async fn write(&self, found: &Found<Version>, note: &Note, within: Duration) -> Result<(), NotDone> {
        let body = json!({"holder": note.holder, "since": note.since, "expires": note.expires});
        self.change(Method::PUT, found, Some(body), within).await
    }

    async fn remove(&self, found: &Found<Version>, within: Duration) -> Result<(), NotDone> {
        self.change(Method::DELETE, found, None, within).await
    }

    fn named(&self, unknown: Unknown) -> Unknown {
        Unknown {
            detail: format!("the container `{}` of the locks: {}", self.container, unknown.detail),
            ..unknown
        }
    }

    fn apart(&self) -> Self {
        // The same configuration was used before.
        let azure = Azure::new(self.azure.config.clone()).map_or_else(|_| Arc::clone(&self.azure), Arc::new);
        Self { azure, ..self.clone() }
    }
}

/// The blob of a target. `None`: its subscription has no container for locks.
fn blob(config: &Config, target: &str) -> Result<Option<Blob>, String> {
    let Some((subscription, id)) = id_of(config, target) else {
        return Ok(None);
    };
    let lock = config
        .subscriptions
        .get(&subscription)
        .and_then(|found| found.lock.as_ref());
    let Some(LockConfig { container, .. }) = lock else {
        return Ok(None);
    };
    Ok(Some(Blob {
        // Over connections of its own: nothing that a change does to ours reaches the lock.
        azure: Arc::new(Azure::new(config.clone())?),
        path: format!("/{container}/starr/{id}"),
        container: container.clone(),
        subscription,
    }))
}

/// Whether the locks of a subscription can be looked at, where it has any.
pub async fn health(config: &Config, subscription: &str) -> Option<Health> {
    let subject = format!("azure {subscription} locks");
    match blob(config, subscription) {
        Ok(blob) => Some(crate::providers::lock::health(subject, &blob?).await),
        Err(detail) => Some(Health {
            subject,
            state: HealthState::Bad,
            detail,
        }),
    }
}

/// Takes the lock of a target, or says who has it. `None`: its subscription has no container for locks.
pub async fn take(
    config: &Config,
    target: &str,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Option<Box<dyn Held>>, NotTaken> {
    let found = blob(config, target).map_err(|problem| NotTaken::Unclear(wrong(Reason::Unavailable, problem)))?;
    match found {
        Some(blob) => crate::providers::lock::take(blob, holder, take_over).await.map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, id_of};

    #[test]
    fn a_target_has_one_id_whatever_a_configuration_calls_it() {
        let config: Config = serde_yaml::from_str(
            "subscriptions: { p: { id: 00000000-0000-0000-0000-00000000000A, tenant: team.example, credential: { cli: true } } }\n\
             groups: { shop: { subscription: p, name: RG-Shop }, store: { subscription: p, name: rg-shop } }\n\
             vaults: { keys: { subscription: p, name: kv } }",
        )
        .unwrap();
        let id = |target: &str| id_of(&config, target).map(|(_, id)| id);
        let group = "subscriptions/00000000-0000-0000-0000-00000000000a/resourcegroups/rg-shop";
        assert_eq!(
            (id("shop").as_deref(), id("store").as_deref()),
            (Some(group), Some(group))
        );
        assert_eq!(id("keys").as_deref(), Some("vaults/kv"));
        assert_eq!(
            id("p").as_deref(),
            Some("subscriptions/00000000-0000-0000-0000-00000000000a")
        );
        assert_eq!(id("nothing"), None);
    }
}
