//! Prometheus: numbers, series, percentiles, rules, targets and alerts, over its HTTP interface (version 1).

pub mod config;
mod query;
mod values;

use crate::limits::PROMETHEUS_SAMPLES;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, Provider};
use crate::providers::arguments::Arguments;
use crate::providers::failure::wrong;
use crate::providers::http::service::{Answer, Service};
use crate::value::{Reason, Unknown, Value, probe};
use config::Config;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "ready",
    "instant",
    "samples",
    "series",
    "range",
    "percentile",
    "rules",
    "targets",
    "alerts",
];

type Json = serde_json::Value;

/// The provider `prometheus`: the servers of an environment.
pub struct Prometheus {
    service: Service,
}

impl Prometheus {
    /// The servers of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        Service::new("Prometheus server", "prometheus.servers", &config.servers).map(|service| Self { service })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + call.within.mul_f64(0.95);
        let arguments = Arguments(call);
        let on = arguments.text("on")?;
        match &*call.operation.path {
            "ready" => {
                let (reply, status) = self.service.reach(on, "/-/ready", until).await?;
                Ok(probe::value(reply, begin.elapsed(), status))
            }
            "instant" => {
                let data = self.instant(on, &self.query(call)?, until).await?;
                values::one_number(&data)
            }
            "samples" => {
                let data = self.instant(on, &self.query(call)?, until).await?;
                values::samples(&data, arguments.limit("at_most", PROMETHEUS_SAMPLES)?)
            }
            "series" => {
                let (data, grid) = self.range(on, call, until).await?;
                values::one_series(&data, grid)
            }
            "range" => {
                let (data, grid) = self.range(on, call, until).await?;
                values::all_series(&data, grid, arguments.limit("at_most", 1_000)?)
            }
            "percentile" => {
                let data = self.instant(on, &percentile(call)?, until).await?;
                values::one_number(&data)
            }
            "rules" => {
                let data = self.ask(on, "/api/v1/rules", &[], until).await?;
                values::rules(&data, arguments.limit("at_most", 10_000)?)
            }
            "targets" => {
                let state = [("state", "active".to_owned())];
                let data = self.ask(on, "/api/v1/targets", &state, until).await?;
                let job = arguments.maybe_text("job")?;
                values::targets(&data, job, arguments.limit("at_most", 10_000)?)
            }
            "alerts" => {
                let data = self.ask(on, "/api/v1/alerts", &[], until).await?;
                let name = arguments.maybe_text("name")?;
                values::alerts(&data, name, arguments.limit("at_most", 10_000)?)
            }
            other => Err(wrong(Reason::Internal, format!("`prometheus.{other}` is not a read"))),
        }
    }

    fn query(&self, call: &Call) -> Result<String, Unknown> {
        match call.arg("query") {
            Value::Code { text, .. } => query::filled(text, call.arg("with")),
            _ => Err(wrong(Reason::Unparsable, "`query` is a text in backticks")),
        }
    }

    async fn instant(&self, on: &str, query: &str, until: Instant) -> Result<Json, Unknown> {
        let asked = [("query", query.to_owned()), ("timeout", left(until))];
        self.ask(on, "/api/v1/query", &asked, until).await
    }

    /// The samples of the last `over`, `step` apart; and the grid on which they were asked.
    async fn range(&self, on: &str, call: &Call, until: Instant) -> Result<(Json, values::Grid), Unknown> {
        let query = self.query(call)?;
        let arguments = Arguments(call);
        let (over, step) = (arguments.duration("over")?, arguments.duration("step")?);
        if step < Duration::from_secs(1) {
            return Err(wrong(Reason::Unparsable, "`step` is less than a second"));
        }
        let points = over.as_nanos() / step.as_nanos() + 1;
        if points > PROMETHEUS_SAMPLES as u128 {
            return Err(wrong(
                Reason::Truncated,
                "more than 11,000 samples of a series; ask with a longer `step`",
            ));
        }
        let end = Timestamp::now();
        let begin = end
            .checked_sub(SignedDuration::try_from(over).map_err(|_| wrong(Reason::Unparsable, "`over` is too long"))?)
            .map_err(|_| wrong(Reason::Unparsable, "`over` is too long"))?;
        let asked = [
            ("query", query),
            ("start", seconds(begin)),
            ("end", seconds(end)),
            ("step", step.as_secs_f64().to_string()),
            ("timeout", left(until)),
        ];
        let data = self.ask(on, "/api/v1/query_range", &asked, until).await?;
        Ok((data, values::Grid { end, step }))
    }

    async fn ask(&self, on: &str, path: &str, query: &[(&str, String)], until: Instant) -> Result<Json, Unknown> {
        data(&self.service.get(on, path, query, until).await?)
    }
}

/// What the server may take for it, a little less than what is left.
fn left(until: Instant) -> String {
    let left = until.saturating_duration_since(Instant::now()).mul_f64(0.9);
    format!("{}ms", left.as_millis().max(1))
}

fn seconds(time: Timestamp) -> String {
    format!("{}.{:03}", time.as_second(), time.subsec_millisecond())
}

/// The query of a percentile of a histogram.
fn percentile(call: &Call) -> Result<String, Unknown> {
    let arguments = Arguments(call);
    let name = arguments.text("histogram")?;
    let name = name.strip_suffix("_bucket").unwrap_or(name);
    if !query::is_metric(name) {
        return Err(wrong(Reason::Unparsable, "`histogram` is not the name of a metric"));
    }
    let rank = match call.arg("rank") {
        Value::Ratio(rank) if (0.0..=1.0).contains(rank) => *rank,
        _ => return Err(wrong(Reason::Unparsable, "`rank` is not between 0 % and 100 %")),
    };
    let over = arguments.duration("over")?.as_millis();
    if over < 1_000 {
        return Err(wrong(Reason::Unparsable, "`over` is less than a second"));
    }
    let labels = query::selector(call.arg("labels"))?;
    Ok(format!(
        "histogram_quantile({rank}, sum by (le) (rate({name}_bucket{labels}[{over}ms])))"
    ))
}

/// The data of a reply. An error, a warning and a part of an answer are no answer.
fn data(answer: &Answer) -> Result<Json, Unknown> {
    let body = match answer.json() {
        Ok(body) => body,
        Err(_) if answer.status != 200 => return Err(of_status(answer.status, "")),
        Err(problem) => return Err(problem),
    };
    let word = |name: &str| body.get(name).and_then(Json::as_str).unwrap_or_default();
    if word("status") != "success" || answer.status != 200 {
        let said: String = word("error").chars().take(200).collect();
        return Err(match word("errorType") {
            "timeout" | "canceled" => wrong(Reason::Timeout, format!("the server: {said}")),
            _ => of_status(answer.status, &said),
        });
    }
    if let Some(warnings) = body.get("warnings").and_then(Json::as_array)
        && let Some(first) = warnings.first()
    {
        let said: String = first.as_str().unwrap_or_default().chars().take(200).collect();
        return Err(wrong(
            Reason::Truncated,
            format!("the server warns that its answer is not whole: {said}"),
        ));
    }
    body.get("data")
        .cloned()
        .ok_or_else(|| wrong(Reason::Unparsable, "the reply holds no data"))
}

fn of_status(status: u16, said: &str) -> Unknown {
    let reason = match status {
        401 | 403 => Reason::Denied,
        408 | 504 => Reason::Timeout,
        429 => Reason::Throttled,
        _ => Reason::Unavailable,
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    wrong(reason, format!("the server answered with status {status}{said}"))
}

impl Provider for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
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

    // Prometheus itself knows no rights: whoever reaches it may ask everything.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.service.doctor("prometheus", "/-/ready"))
    }
}

#[cfg(test)]
mod tests {
    use super::{data, seconds};
    use crate::providers::http::service::Answer;
    use crate::value::Reason;
    use jiff::Timestamp;

    fn said(status: u16, body: &str) -> Result<serde_json::Value, Reason> {
        data(&Answer {
            status,
            body: body.as_bytes().to_vec(),
        })
        .map_err(|unknown| unknown.reason)
    }

    #[test]
    fn only_a_whole_answer_is_one() {
        assert!(said(200, r#"{"status":"success","data":{}}"#).is_ok());
        assert_eq!(
            said(400, r#"{"status":"error","errorType":"bad_data","error":"x"}"#),
            Err(Reason::Unavailable)
        );
        assert_eq!(
            said(503, r#"{"status":"error","errorType":"timeout","error":"x"}"#),
            Err(Reason::Timeout)
        );
        assert_eq!(said(401, "Unauthorized"), Err(Reason::Denied));
        assert_eq!(said(429, ""), Err(Reason::Throttled));
        assert_eq!(said(502, "<html>"), Err(Reason::Unavailable));
        assert_eq!(said(200, "<html>"), Err(Reason::Unparsable));
        assert_eq!(said(200, r#"{"status":"success"}"#), Err(Reason::Unparsable));
        assert_eq!(
            said(200, r#"{"status":"success","data":{},"warnings":["a store is away"]}"#),
            Err(Reason::Truncated)
        );
    }

    #[test]
    fn times_are_seconds_with_milliseconds() {
        assert_eq!(
            seconds(Timestamp::from_millisecond(1_700_000_000_007).unwrap()),
            "1700000000.007"
        );
    }
}
