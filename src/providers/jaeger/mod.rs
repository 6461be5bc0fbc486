//! Jaeger: the traces of requests, over the HTTP interface of its query service. It changes nothing there.

pub mod config;
mod traces;

use super::arguments::{Arguments, limited, patience};
use super::failure::{excerpt, wrong};
use super::http::service::{Answer, Service};
use crate::limits::JAEGER_TRACES;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, Provider};
use crate::value::{Reason, Unknown, Value, probe};
use config::Config;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &["ready", "services", "traces", "trace"];

/// What is asked to know whether it answers: it needs the store behind it.
const READY: &str = "/api/services";

/// Most services that are listed.
const SERVICES: usize = 10_000;

/// The provider `jaeger`: the query services of an environment.
pub struct Jaeger {
    service: Service,
}

fn odd() -> Unknown {
    wrong(Reason::Unparsable, "the server does not answer as Jaeger does")
}

/// What the server says is wrong: `errors` of its reply.
fn said(answer: &Answer) -> Option<String> {
    let json = answer.json().ok()?;
    let errors = json.get("errors")?.as_array()?;
    let first = errors.first()?.get("msg").and_then(Json::as_str).unwrap_or_default();
    Some(excerpt(first, 200))
}

/// `data` of a reply that has some.
fn data(answer: &Answer) -> Result<Vec<Json>, Unknown> {
    if answer.status != 200 {
        let problem = answer.problem();
        return Err(match said(answer) {
            Some(said) if !said.is_empty() => wrong(
                problem.reason,
                format!("the server answered with status {}: {said}", answer.status),
            ),
            _ => problem,
        });
    }
    let json = answer.json()?;
    match json.get("data") {
        Some(Json::Array(items)) => match said(answer) {
            // A part of the store that did not answer is not an empty part.
            Some(said) => Err(wrong(
                Reason::Truncated,
                format!("the server gave a part of it only: {said}"),
            )),
            None => Ok(items.clone()),
        },
        // Nothing found is `null` with some versions; with errors it is none.
        Some(Json::Null) => match said(answer) {
            Some(said) => Err(wrong(Reason::Unavailable, format!("the server says: {said}"))),
            None => Ok(Vec::new()),
        },
        _ => Err(odd()),
    }
}

/// Microseconds, as the interface counts its times.
fn microseconds(of: Timestamp) -> String {
    of.as_microsecond().to_string()
}

/// The least duration that is longer than this, as Go writes it.
fn longer(than: Duration) -> String {
    format!("{}us", than.as_micros().saturating_add(1))
}

impl Jaeger {
    /// The servers of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        Service::new("Jaeger server", "jaeger.servers", &config.servers).map(|service| Self { service })
    }

    async fn ask(&self, on: &str, path: &str, query: &[(&str, String)], until: Instant) -> Result<Vec<Json>, Unknown> {
        data(&self.service.get(on, path, query, until).await?)
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let arguments = Arguments(call);
        let on = arguments.text("on")?;
        match &*call.operation.path {
            "ready" => {
                let (reply, status) = self.service.reach(on, READY, until).await?;
                Ok(probe::value(reply, begin.elapsed(), status))
            }
            "services" => {
                let found = self.ask(on, "/api/services", &[], until).await?;
                let names = found
                    .iter()
                    .map(|name| name.as_str().map(Value::text).ok_or_else(odd))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(limited(names, SERVICES))
            }
            "traces" => self.traces(on, arguments, until).await,
            "trace" => {
                let id = arguments.text("id")?;
                if !traces::is_id(id) {
                    return Err(wrong(Reason::Unparsable, "`id` is 1 to 32 hexadecimal digits"));
                }
                let found = self.ask(on, &format!("/api/traces/{id}"), &[], until).await?;
                found
                    .first()
                    .map(traces::value)
                    .ok_or_else(|| wrong(Reason::Missing, "there is no trace of this id"))
            }
            other => Err(wrong(Reason::Internal, format!("`jaeger.{other}` is not a read"))),
        }
    }

    /// Traces of a service, the longest first.
    async fn traces(&self, on: &str, arguments: Arguments<'_>, until: Instant) -> Result<Value, Unknown> {
        let most = arguments.limit("at_most", JAEGER_TRACES)?;
        let service = arguments.text("service")?;
        if service.is_empty() {
            return Err(wrong(Reason::Unparsable, "`service` is empty"));
        }
        let now = Timestamp::now();
        let begin = now
            .checked_sub(arguments.duration("lookback")?)
            .map_err(|_| wrong(Reason::Unparsable, "`lookback` is too long"))?;
        // Without a time the server takes one of its own; it has no word for how far back.
        let mut query = vec![
            ("service", service.to_owned()),
            ("start", microseconds(begin)),
            ("end", microseconds(now)),
            // One more than is wanted shows whether there are more.
            ("limit", (most + 1).to_string()),
        ];
        if let Some(operation) = arguments.maybe_text("operation")? {
            query.push(("operation", operation.to_owned()));
        }
        if let Some(than) = arguments.maybe_duration("slower_than")? {
            query.push(("minDuration", longer(than)));
        }
        let found = self.ask(on, "/api/traces", &query, until).await?;
        let mut traces: Vec<_> = found.iter().map(traces::value).collect();
        traces.sort_by_key(|trace| std::cmp::Reverse(traces::duration(trace)));
        Ok(limited(traces, most))
    }
}

impl Provider for Jaeger {
    fn name(&self) -> &'static str {
        "jaeger"
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

    // Jaeger itself knows no rights: whoever reaches it may read everything.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.service.doctor("jaeger", READY))
    }
}

#[cfg(test)]
mod tests {
    use super::{data, longer};
    use crate::providers::http::service::Answer;
    use crate::value::Reason;
    use std::time::Duration;

    #[test]
    fn longer_is_longer() {
        assert_eq!(longer(Duration::from_secs(2)), "2000001us");
        assert_eq!(longer(Duration::from_nanos(1)), "1us");
        assert_eq!(longer(Duration::ZERO), "1us");
    }

    #[test]
    fn a_part_is_not_the_whole_and_an_error_is_not_nothing() {
        let reply = |status: u16, body: &str| {
            data(&Answer {
                status,
                body: body.as_bytes().to_vec(),
            })
        };
        assert_eq!(
            reply(200, r#"{"data": null, "errors": null}"#).unwrap(),
            Vec::<serde_json::Value>::new()
        );
        let part = reply(
            200,
            r#"{"data": ["a"], "errors": [{"code": 500, "msg": "shard\u001b"}]}"#,
        )
        .unwrap_err();
        assert_eq!(part.reason, Reason::Truncated);
        assert!(part.detail.ends_with("shard "), "{part}");
        let none = reply(
            404,
            r#"{"data": null, "errors": [{"code": 404, "msg": "trace not found"}]}"#,
        )
        .unwrap_err();
        assert_eq!(
            (none.reason, none.detail.as_str()),
            (Reason::Missing, "the server answered with status 404: trace not found")
        );
        for odd in ["{}", "[]", r#"{"data": {}}"#, r#"{"data": "x"}"#] {
            assert_eq!(reply(200, odd).unwrap_err().reason, Reason::Unparsable, "{odd}");
        }
    }
}
