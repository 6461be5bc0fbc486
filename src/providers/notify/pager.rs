//! The provider `pager`: pages by the PagerDuty Events API v2. A key joins everything that is said about one incident.

use super::config::PagerConfig;
use super::{cut, failed, named, no_read, not_posted, ready, text, until};
use crate::limits::{PAGE_KEY_BYTES, PAGE_SUMMARY_CHARACTERS};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::http::sink::{Sink, refused};
use crate::secrets::SecretSource;
use crate::value::{Reason, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The operations, as in `stdlib/pager.starr`.
const OPERATIONS: &[&str] = &["page", "acknowledge", "resolve"];

struct Service {
    sink: Sink,
    routing_key: SecretSource,
}

/// The pager as an environment configures it.
pub struct Pager {
    services: BTreeMap<String, Service>,
}

impl Pager {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the service that cannot be used, and why.
    pub fn new(config: &PagerConfig) -> Result<Self, String> {
        let services = config
            .services
            .iter()
            .map(|(name, service)| {
                let problem = |problem: String| format!("pager.services.{name}: {problem}");
                let sink = Sink::new(name, &service.endpoint()).map_err(problem)?;
                if !sink.is_private() {
                    return Err(problem(
                        "the routing key would travel in the clear: use https".to_owned(),
                    ));
                }
                let routing_key = service.routing_key.clone();
                Ok((name.clone(), Service { sink, routing_key }))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { services })
    }

    async fn send(&self, call: &Call) -> Outcome {
        let name = text(call, "service");
        let Some(service) = self.services.get(name) else {
            return failed(Reason::Unavailable, "the configuration has no service of this name");
        };
        let mut event = match event(call) {
            Ok(event) => event,
            Err(problem) => return failed(Reason::Unparsable, problem),
        };
        match service.routing_key.read() {
            Ok(key) => event["routing_key"] = Json::from(key.expose()),
            Err(problem) => return failed(Reason::Unavailable, problem),
        }
        let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
        let posted = match service.sink.post("/v2/enqueue", &event, until(call)).await {
            Ok(posted) => posted,
            Err(problem) => return not_posted(problem),
        };
        let field = |name: &str| {
            let said = posted.json.as_ref().and_then(|json| json.get(name)?.as_str());
            said.unwrap_or_default().to_owned()
        };
        if let Some(problem) = refused(posted.status, &cut(&field("message"), 200)) {
            return not_posted(problem);
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
        named(self.services.contains_key(name), name)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        std::future::ready(no_read(call)).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.send(call).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        let lines = self.services.iter();
        let lines = lines.map(|(name, service)| {
            ready(
                format!("pager {name}"),
                &service.sink,
                service.routing_key.read().map(drop),
            )
        });
        std::future::ready(lines.collect()).boxed()
    }
}
