//! The provider `pager`: pages by the PagerDuty Events API v2. A key joins everything that is said about one incident.

use super::config::PagerConfig;
use super::{cut, failed, named, no_read, ready, text, turned_away, unknown, until};
use crate::limits::{PAGE_KEY_BYTES, PAGE_SUMMARY_CHARACTERS};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::http::service::Service;
use crate::secrets::SecretSource;
use crate::value::{Reason, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The operations, as in `stdlib/pager.starr`.
const OPERATIONS: &[&str] = &["page", "acknowledge", "resolve"];

/// The pager as an environment configures it.
pub struct Pager {
    services: Service,
    routing_keys: BTreeMap<String, SecretSource>,
}

impl Pager {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the service that cannot be used, and why.
    pub fn new(config: &PagerConfig) -> Result<Self, String> {
        let endpoints = config.services.iter();
        let endpoints = endpoints.map(|(name, service)| (name.clone(), service.endpoint()));
        let services = Service::new("pager", "pager.services", &endpoints.collect())?;
        if let Some(name) = services.names().find(|name| !services.is_private(name)) {
            return Err(format!(
                "pager.services.{name}: the routing key would travel in the clear: use https"
            ));
        }
        let keys = config.services.iter();
        let keys = keys.map(|(name, service)| (name.clone(), service.routing_key.clone()));
        Ok(Self {
            services,
            routing_keys: keys.collect(),
        })
    }

    async fn send(&self, call: &Call) -> Outcome {
        let name = text(call, "service");
        let Some(routing_key) = self.routing_keys.get(name) else {
            return failed(Reason::Unavailable, "the configuration has no service of this name");
        };
        let mut event = match event(call) {
            Ok(event) => event,
            Err(problem) => return failed(Reason::Unparsable, problem),
        };
        match routing_key.read() {
            Ok(key) => event["routing_key"] = Json::from(key.expose()),
            Err(problem) => return failed(Reason::Unavailable, problem),
        }
        let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
        let sent = self
            .services
            .send(name, Method::POST, "/v2/enqueue", &[], Some(&event), until(call));
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(problem) => return problem.outcome(),
        };
        let said = answer.json().unwrap_or_default();
        let field = |name: &str| said.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        if let Some(outcome) = turned_away(&answer, &field("message")) {
            return outcome;
        }
        if field("status") != "success" {
            return Outcome::Unclear(unknown(
                Reason::Unparsable,
                format!(
                    "the server answered with status {}, but not as the Events API does: was it the pager who answered?",
                    answer.status
                ),
            ));
        }
        Outcome::Done(Value::record(
            "Page",
            vec![
                ("key", Value::text(key.as_str())),
                ("status", Value::text(field("status"))),
                ("message", Value::text(field("message"))),
            ],
        ))
    }
}

/// The event of a call, without the key that says whose it is.
fn event(call: &Call) -> Result<Json, String> {
    // Without a key of its own, a page that is sent again after a crash has the recorded one, and stays one page.
    let recorded = call.key.as_deref().unwrap_or_default();
    let given = text(call, "key");
    let key = if given.is_empty() { recorded } else { given };
    if key.is_empty() || key.len() > PAGE_KEY_BYTES {
        return Err(format!("a key has 1 to {PAGE_KEY_BYTES} bytes, this one {}", key.len()));
    }
    let action = match &*call.operation.path {
        "page" => "trigger",
        other => other,
    };
    let mut event = json!({ "event_action": action, "dedup_key": key });
    if action == "trigger" {
        let summary = match text(call, "summary") {
            "" => "A runbook needs a person; its record names this page by its key".to_owned(),
            given => cut(given, PAGE_SUMMARY_CHARACTERS),
        };
        event["payload"] = json!({
            "summary": summary,
            "source": text(call, "source"),
            "severity": call.arg("severity").as_str().unwrap_or("critical"),
        });
        if *call.arg("details") != Value::None {
            let details = crate::value::document::of(call.arg("details")).map_err(|problem| problem.to_string())?;
            event["payload"]["custom_details"] = details;
        }
    }
    Ok(event)
}

impl Provider for Pager {
    fn name(&self) -> &'static str {
        "pager"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let name = text(call, "service");
        named(self.routing_keys.contains_key(name), name)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        std::future::ready(no_read(call)).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.send(call).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        let line = |(name, key): (&String, &SecretSource)| {
            let found = self.services.ready(name).map_err(|problem| problem.to_string());
            ready(
                format!("pager {name}"),
                found.and_then(|origin| key.read().map(|_| origin)),
            )
        };
        std::future::ready(self.routing_keys.iter().map(line).collect()).boxed()
    }
}
