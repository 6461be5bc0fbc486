//! The page that customers read: incidents and the state of components, over the Statuspage API v1. What it writes is a tell: it never
//! decides the way of a run.

pub mod config;
mod incidents;

use super::arguments::{Arguments, limited, patience};
use super::failure::wrong;
use super::http::service::{Answer, NoAnswer, Service};
use crate::limits::STATUS_PAGE_COMPONENTS;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::value::{Reason, Unknown, Value};
use config::Config;
use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, HashSet};
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "components",
    "incidents.open",
    "incident.open",
    "incident.update",
    "incident.resolve",
    "component.set",
];

/// What a component can be, as the service says it.
const STATES: &[&str] = &[
    "operational",
    "degraded_performance",
    "partial_outage",
    "major_outage",
    "under_maintenance",
];

/// Things on one page of a listing: the most that the service gives.
const PAGE: usize = 100;

/// The provider `status_page`: the pages of an environment.
pub struct StatusPage {
    service: Service,
    /// Whether subscribers of a page are told.
    notify: BTreeMap<String, bool>,
}

fn odd() -> Unknown {
    wrong(Reason::Unparsable, "the server does not answer as Statuspage does")
}

fn word(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("`{name}` is no text")),
        Value::text,
    )
}

fn state(json: &Json) -> Value {
    match json.get("status").and_then(Json::as_str) {
        Some(known) if STATES.contains(&known) => Value::variant(known),
        _ => Value::unknown(Reason::Unparsable, "the server gives no state that is known"),
    }
}

fn component(page: &Value, json: &Json) -> Value {
    Value::record(
        "Component",
        vec![
            ("page", page.clone()),
            ("id", word(json, "id")),
            ("name", word(json, "name")),
            ("state", state(json)),
        ],
    )
}

/// What a reply to a change says: its document, or what its status means.
fn document(answer: &Answer) -> Result<Json, Outcome> {
    if !matches!(answer.status, 200 | 201) {
        return Err(answer.refused());
    }
    match answer.json() {
        Ok(json) if json.is_object() => Ok(json),
        _ => Err(Outcome::Unclear(odd())),
    }
}

/// True for what may stand in a path: the ids of the service.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl StatusPage {
    /// The pages of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        let endpoints = config
            .pages
            .iter()
            .map(|(name, page)| (name.clone(), page.endpoint()))
            .collect();
        Ok(Self {
            service: Service::new("status page", "status_page.pages", &endpoints)?,
            notify: config
                .pages
                .iter()
                .map(|(name, page)| (name.clone(), page.notify))
                .collect(),
        })
    }

    async fn list(&self, on: &str, path: &str, query: &[(&str, String)], until: Instant) -> Result<Vec<Json>, Unknown> {
        let answer = self.service.get(on, path, query, until).await?;
        if answer.status != 200 {
            return Err(answer.problem());
        }
        match answer.json()? {
            Json::Array(items) => Ok(items),
            _ => Err(odd()),
        }
    }

    /// All components, page by page. A page holds as many as the service likes, at most those that are asked for: only one that brings nothing
    /// new is behind the last, be it empty or, from a service that knows no pages, the same again.
    async fn components(&self, on: &str, until: Instant) -> Result<Vec<Json>, Unknown> {
        let (mut all, mut known) = (Vec::new(), HashSet::new());
        for page in 1.. {
            let query = [("per_page", PAGE.to_string()), ("page", page.to_string())];
            let found = self.list(on, "/components", &query, until).await?;
            let before = all.len();
            for one in found {
                let id = one.get("id").and_then(Json::as_str).ok_or_else(odd)?;
                if known.insert(id.to_owned()) {
                    all.push(one);
                }
            }
            if all.len() == before {
                break;
            }
            if all.len() > STATUS_PAGE_COMPONENTS {
                return Err(wrong(
                    Reason::Truncated,
                    format!("the page has more than {STATUS_PAGE_COMPONENTS} components"),
                ));
            }
        }
        Ok(all)
    }

    /// The one component of this name or id.
    async fn component(&self, on: &str, name: &str, until: Instant) -> Result<Json, Unknown> {
        let all = self.components(on, until).await?;
        let is = |json: &&Json, field: &str| json.get(field).and_then(Json::as_str) == Some(name);
        let mut found = all.iter().filter(|one| is(one, "name") || is(one, "id"));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => Err(wrong(Reason::Missing, format!("the page has no component `{name}`"))),
            (Some(_), Some(_)) => Err(wrong(
                Reason::Unparsable,
                format!("the page has several components `{name}`: give the id of one"),
            )),
        }
    }

    async fn send(&self, on: &str, method: Method, path: &str, body: &Json, until: Instant) -> Result<Json, Outcome> {
        let sent = self.service.send(on, method, path, &[], Some(body), until).await;
        document(&sent.map_err(NoAnswer::outcome)?)
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        let on = arguments.text("page")?;
        match &*call.operation.path {
            "components" => {
                let most = arguments.limit("at_most", STATUS_PAGE_COMPONENTS)?;
                let found = self.components(on, until).await?;
                let items = found.iter().map(|one| component(call.arg("page"), one)).collect();
                Ok(limited(items, most))
            }
            "incidents.open" => {
                let most = arguments.limit("at_most", PAGE)?;
                let found = self.list(on, "/incidents/unresolved", &[], until).await?;
                if found.len() >= PAGE {
                    // It has no word for whether there are more.
                    return Err(wrong(
                        Reason::Truncated,
                        format!("the page has {PAGE} open incidents or more"),
                    ));
                }
                let items = found
                    .iter()
                    .map(|one| incidents::value(call.arg("page"), one))
                    .collect();
                Ok(limited(items, most))
            }
            other => Err(wrong(Reason::Internal, format!("`status_page.{other}` is not a read"))),
        }
    }

    /// `component.set`: nothing is sent where it is so already.
    async fn set(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        let given = || {
            Ok::<_, Unknown>((
                arguments.text("page")?,
                arguments.text("component")?,
                arguments.text("to")?,
            ))
        };
        let (on, name, to) = given().map_err(Outcome::Failed)?;
        let there = self.component(on, name, until).await.map_err(Outcome::Failed)?;
        if there.get("status").and_then(Json::as_str) == Some(to) {
            return Ok(component(call.arg("page"), &there));
        }
        let id = there.get("id").and_then(Json::as_str).filter(|id| is_id(id));
        let id = id.ok_or_else(|| Outcome::Failed(odd()))?;
        let body = json!({ "component": { "status": to } });
        let set = self
            .send(on, Method::PATCH, &format!("/components/{id}"), &body, until)
            .await?;
        if set.get("status").and_then(Json::as_str) != Some(to) {
            return Err(Outcome::Unclear(odd()));
        }
        Ok(component(call.arg("page"), &set))
    }
}

impl Provider for StatusPage {
    fn name(&self) -> &'static str {
        "status_page"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("page").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let done = match &*call.operation.path {
                "incident.open" => self.open(call).await,
                "incident.update" => self.update(call).await,
                "incident.resolve" => self.resolve(call).await,
                "component.set" => self.set(call).await,
                other => Err(Outcome::Failed(wrong(
                    Reason::Internal,
                    format!("`status_page.{other}` is not a change"),
                ))),
            };
            done.map_or_else(|outcome| outcome, Outcome::Done)
        })
    }

    // A key of the service may do everything that its owner may.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.service.doctor("status_page", "/incidents/unresolved"))
    }
}
