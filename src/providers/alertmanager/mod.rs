//! Alertmanager: alerts and silences, over its HTTP interface (version 2). A silence has an end, and can be ended before it.

pub mod config;
mod silences;

use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::arguments::{Arguments, limited};
use crate::providers::failure::wrong;
use crate::providers::http::service::{Answer, Service};
use crate::value::{Reason, Unknown, Value, probe};
use config::Config;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "ready",
    "status",
    "alerts",
    "silences.list",
    "silences.create",
    "silences.end",
];

type Json = serde_json::Value;

/// The provider `alertmanager`: the servers of an environment.
pub struct Alertmanager {
    service: Service,
    longest: Duration,
}

fn odd() -> Unknown {
    wrong(Reason::Unparsable, "the server does not answer as Alertmanager does")
}

impl Alertmanager {
    /// The servers of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        if config.longest_silence_hours == 0 {
            return Err("alertmanager.longest_silence_hours is 0".to_owned());
        }
        Service::new("Alertmanager", "alertmanager.servers", &config.servers).map(|service| Self {
            service,
            longest: config.longest(),
        })
    }

    async fn ask(&self, on: &str, path: &str, query: &[(&str, String)], until: Instant) -> Result<Json, Unknown> {
        document(&self.service.get(on, path, query, until).await?)
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let arguments = Arguments(call);
        let on = arguments.text("on")?;
        match &*call.operation.path {
            "ready" => {
                let (reply, status) = self.service.reach(on, "/-/ready", until).await?;
                Ok(probe::value(reply, begin.elapsed(), status))
            }
            "status" => {
                let status = self.ask(on, "/api/v2/status", &[], until).await?;
                let cluster = status.get("cluster").cloned().unwrap_or_default();
                let peers = cluster.get("peers").and_then(Json::as_array).map_or(0, Vec::len);
                Ok(Value::record(
                    "Status",
                    vec![
                        (
                            "version",
                            word(status.get("versionInfo").unwrap_or(&Json::Null), "version"),
                        ),
                        ("cluster", word(&cluster, "status")),
                        ("peers", Value::Int(i64::try_from(peers).unwrap_or(i64::MAX))),
                        ("since", time(&status, "uptime")),
                    ],
                ))
            }
            "alerts" => {
                let matchers = silences::given(call.arg("matching"), true)?;
                let filter: Vec<(&str, String)> = matchers.iter().map(|matcher| ("filter", matcher.text())).collect();
                let found = self.ask(on, "/api/v2/alerts", &filter, until).await?;
                let items = found.as_array().ok_or_else(odd)?;
                Ok(limited(
                    items.iter().map(alert).collect(),
                    arguments.limit("at_most", 10_000)?,
                ))
            }
            "silences.list" => {
                let found = self.ask(on, "/api/v2/silences", &[], until).await?;
                let wanted = arguments.maybe_text("state")?;
                let items = found
                    .as_array()
                    .ok_or_else(odd)?
                    .iter()
                    .filter(|silence| wanted.is_none_or(|wanted| silences::state(silence) == Some(wanted)))
                    .map(|silence| silences::value(call.arg("on"), silence))
                    .collect();
                Ok(limited(items, arguments.limit("at_most", 10_000)?))
            }
            other => Err(wrong(Reason::Internal, format!("`alertmanager.{other}` is not a read"))),
        }
    }
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// The document of a reply that is one.
fn document(answer: &Answer) -> Result<Json, Unknown> {
    match answer.status {
        200 => answer.json(),
        status => Err(of_status(status, answer)),
    }
}

fn of_status(status: u16, answer: &Answer) -> Unknown {
    let reason = match status {
        401 | 403 => Reason::Denied,
        408 | 504 => Reason::Timeout,
        429 => Reason::Throttled,
        _ => Reason::Unavailable,
    };
    let said = match answer.json() {
        Ok(Json::String(said)) => said,
        Ok(other) => text_of(&other, "message").to_owned(),
        Err(_) => String::new(),
    };
    let said: String = said.chars().take(200).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    wrong(reason, format!("the server answered with status {status}{said}"))
}

/// What a status other than a good one means for a change: only where the server says that it did nothing it is a failure.
fn refused(status: u16, answer: &Answer) -> Outcome {
    let unknown = of_status(status, answer);
    match status {
        400..=407 | 409..=498 | 501 => Outcome::Failed(unknown),
        _ => Outcome::Unclear(unknown),
    }
}

fn text_of<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn word(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Missing, format!("the server does not say `{name}`")),
        Value::text,
    )
}

fn time(json: &Json, name: &str) -> Value {
    text_of(json, name).parse::<Timestamp>().map_or_else(
        |_| Value::unknown(Reason::Unparsable, format!("`{name}` is no time")),
        Value::Time,
    )
}

fn texts(json: Option<&Json>, of: impl Fn(&Json) -> Option<&str>) -> Value {
    Value::list(
        json.and_then(Json::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter_map(of)
            .map(Value::text)
            .collect(),
    )
}

fn object(json: Option<&Json>) -> Value {
    Value::Json(Arc::new(
        json.cloned().unwrap_or_else(|| Json::Object(serde_json::Map::new())),
    ))
}

fn alert(alert: &Json) -> Value {
    let none = Json::Null;
    let status = alert.get("status").unwrap_or(&none);
    Value::record(
        "Alert",
        vec![
            ("name", word(alert.get("labels").unwrap_or(&none), "alertname")),
            ("fingerprint", word(alert, "fingerprint")),
            (
                "state",
                match text_of(status, "state") {
                    known @ ("active" | "suppressed" | "unprocessed") => Value::variant(known),
                    _ => Value::unknown(Reason::Unparsable, "the server gives no state that is known"),
                },
            ),
            ("since", time(alert, "startsAt")),
            ("updated", time(alert, "updatedAt")),
            ("silenced_by", texts(status.get("silencedBy"), Json::as_str)),
            ("inhibited_by", texts(status.get("inhibitedBy"), Json::as_str)),
            (
                "receivers",
                texts(alert.get("receivers"), |receiver| {
                    receiver.get("name").and_then(Json::as_str)
                }),
            ),
            ("labels", object(alert.get("labels"))),
            ("annotations", object(alert.get("annotations"))),
        ],
    )
}

impl Provider for Alertmanager {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("on").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match &*call.operation.path {
                "silences.create" => self.create(call).await,
                "silences.end" => self.end(call).await,
                other => Outcome::Failed(wrong(
                    Reason::Internal,
                    format!("`alertmanager.{other}` is not a change"),
                )),
            }
        })
    }

    // Alertmanager itself knows no rights: whoever reaches it may do everything.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.service.doctor("alertmanager", "/-/ready"))
    }
}
