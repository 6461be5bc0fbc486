//! Replies as values. A number that is none (`NaN`) is unknown, and what a server leaves out is not zero.

use super::{Json, wrong};
use crate::limits::PROMETHEUS_SAMPLES;
use crate::providers::arguments::limited;
use crate::value::{Reason, Series, Unknown, Value};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Where samples were asked for: up to `end`, `step` apart.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub end: Timestamp,
    pub step: Duration,
}

fn odd(what: &str) -> Unknown {
    wrong(
        Reason::Unparsable,
        format!("the server does not answer as Prometheus does: {what}"),
    )
}

/// A number as the server writes it: a text, which may say `NaN` or `+Inf`.
fn number(json: &Json) -> Result<Value, Unknown> {
    let number: f64 = json
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| odd("a value is no number"))?;
    Ok(if number.is_finite() {
        Value::float(number)
    } else {
        Value::unknown(
            Reason::Arithmetic,
            "the server computes no number: nothing was measured, or it divided by zero",
        )
    })
}

fn moment(json: &Json) -> Result<Timestamp, Unknown> {
    let seconds = json.as_f64().ok_or_else(|| odd("a time is no number"))?;
    // Exact to the millisecond for times of this age.
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).map_err(|_| odd("a time is out of range"))
}

fn point(json: &Json) -> Result<(Timestamp, Value), Unknown> {
    match json.as_array().map(Vec::as_slice) {
        Some([time, value]) => Ok((moment(time)?, number(value)?)),
        _ => Err(odd("a sample has not two parts")),
    }
}

fn results<'a>(data: &'a Json, kind: &str) -> Result<&'a [Json], Unknown> {
    let found = data.get("resultType").and_then(Json::as_str).unwrap_or_default();
    if found != kind {
        return Err(wrong(
            Reason::Unparsable,
            match found {
                "matrix" => "the query gives series; ask for a number at one time".to_owned(),
                "string" => "the query gives a text".to_owned(),
                "vector" | "scalar" => "the query gives numbers, not series".to_owned(),
                _ => "the server does not answer as Prometheus does".to_owned(),
            },
        ));
    }
    data.get("result")
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| odd("no result"))
}

/// `instant`: exactly one number. None is unknown: a metric that nobody sends is not zero.
pub fn one_number(data: &Json) -> Result<Value, Unknown> {
    if data.get("resultType").and_then(Json::as_str) == Some("scalar") {
        return point(data.get("result").unwrap_or(&Json::Null)).map(|(_, value)| value);
    }
    match results(data, "vector")? {
        [] => Err(nothing()),
        [one] => point(one.get("value").ok_or_else(|| odd("a sample without value"))?).map(|(_, value)| value),
        several => Err(too_many(several.len())),
    }
}

fn nothing() -> Unknown {
    wrong(
        Reason::Missing,
        "the query matches nothing: nobody sends this, or not with these labels",
    )
}

fn too_many(count: usize) -> Unknown {
    wrong(
        Reason::Truncated,
        format!("the query gives {count} series where one is due; aggregate them, or narrow the labels"),
    )
}

fn labels(json: Option<&Json>) -> Value {
    Value::Json(Arc::new(
        json.cloned().unwrap_or_else(|| Json::Object(serde_json::Map::new())),
    ))
}

/// `samples`
pub fn samples(data: &Json, at_most: usize) -> Result<Value, Unknown> {
    let items = results(data, "vector")?
        .iter()
        .take(at_most + 1)
        .map(|result| {
            let (time, value) = point(result.get("value").ok_or_else(|| odd("a sample without value"))?)?;
            Ok(Value::record(
                "Sample",
                vec![
                    ("labels", labels(result.get("metric"))),
                    ("value", value),
                    ("at", Value::Time(time)),
                ],
            ))
        })
        .collect::<Result<_, Unknown>>()?;
    Ok(limited(items, at_most))
}

fn series(result: &Json, grid: Grid) -> Result<Value, Unknown> {
    let points = result
        .get("values")
        .and_then(Json::as_array)
        .ok_or_else(|| odd("a series without values"))?;
    if points.len() > PROMETHEUS_SAMPLES {
        return Err(wrong(Reason::Truncated, "the series has too many samples"));
    }
    let samples = points.iter().map(point).collect::<Result<Vec<_>, _>>()?;
    let ordered = samples.windows(2).all(|pair| pair[0].0 < pair[1].0);
    if !ordered {
        return Err(odd("the samples are not in order"));
    }
    Ok(Value::Series(Arc::new(Series {
        samples,
        until: grid.end,
        // Where the server has nothing for a point it leaves it out: the next sample is then further away than one step.
        step: i64::try_from(grid.step.as_nanos()).unwrap_or(i64::MAX),
    })))
}

/// `series`: exactly one.
pub fn one_series(data: &Json, grid: Grid) -> Result<Value, Unknown> {
    match results(data, "matrix")? {
        [] => Err(nothing()),
        [one] => series(one, grid),
        several => Err(too_many(several.len())),
    }
}

/// `range`
pub fn all_series(data: &Json, grid: Grid, at_most: usize) -> Result<Value, Unknown> {
    let items = results(data, "matrix")?
        .iter()
        .take(at_most + 1)
        .map(|result| {
            Ok(Value::record(
                "LabelledSeries",
                vec![
                    ("labels", labels(result.get("metric"))),
                    ("series", series(result, grid)?),
                ],
            ))
        })
        .collect::<Result<_, Unknown>>()?;
    Ok(limited(items, at_most))
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn word(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Missing, format!("the server does not say `{name}`")),
        Value::text,
    )
}

fn maybe_word(json: &Json, name: &str) -> Value {
    match text(json, name) {
        "" => Value::None,
        text => Value::text(text),
    }
}

fn time(json: &Json, name: &str) -> Value {
    match text(json, name).parse::<Timestamp>() {
        // The server's word for never.
        Ok(time) if time.as_second() < 0 => Value::None,
        Ok(time) => Value::Time(time),
        Err(_) => Value::None,
    }
}

fn span(json: &Json, name: &str) -> Value {
    match json.get(name).and_then(Json::as_f64) {
        Some(seconds) => SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|span| i64::try_from(span.as_nanos()).ok())
            .map_or_else(
                || Value::unknown(Reason::Unparsable, "a time is out of range"),
                Value::Duration,
            ),
        None => Value::None,
    }
}

fn state(json: &Json, name: &str, known: &[&str]) -> Value {
    let word = text(json, name);
    if known.contains(&word) {
        Value::variant(word)
    } else {
        Value::unknown(
            Reason::Unparsable,
            format!("the server gives no `{name}` that is known"),
        )
    }
}

const RULE_STATES: &[&str] = &["inactive", "pending", "firing"];

/// `rules`
pub fn rules(data: &Json, at_most: usize) -> Result<Value, Unknown> {
    let groups = data
        .get("groups")
        .and_then(Json::as_array)
        .ok_or_else(|| odd("no groups"))?;
    let mut items = Vec::new();
    for group in groups {
        let rules = group
            .get("rules")
            .and_then(Json::as_array)
            .ok_or_else(|| odd("no rules"))?;
        for rule in rules {
            let alerting = text(rule, "type") == "alerting";
            items.push(Value::record(
                "Rule",
                vec![
                    ("name", word(rule, "name")),
                    ("group", word(group, "name")),
                    ("alerting", Value::Bool(alerting)),
                    (
                        "state",
                        if alerting {
                            state(rule, "state", RULE_STATES)
                        } else {
                            Value::None
                        },
                    ),
                    ("healthy", Value::Bool(text(rule, "health") == "ok")),
                    ("error", maybe_word(rule, "lastError")),
                    ("query", word(rule, "query")),
                    ("lasting", if alerting { span(rule, "duration") } else { Value::None }),
                    ("labels", labels(rule.get("labels"))),
                    ("annotations", labels(rule.get("annotations"))),
                    ("evaluated", time(rule, "lastEvaluation")),
                ],
            ));
        }
    }
    Ok(limited(items, at_most))
}

/// `targets`
pub fn targets(data: &Json, job: Option<&str>, at_most: usize) -> Result<Value, Unknown> {
    let active = data
        .get("activeTargets")
        .and_then(Json::as_array)
        .ok_or_else(|| odd("no targets"))?;
    let none = Json::Null;
    let items = active
        .iter()
        .filter(|target| job.is_none_or(|job| text(target.get("labels").unwrap_or(&none), "job") == job))
        .map(|target| {
            let own = target.get("labels").unwrap_or(&none);
            Value::record(
                "Target",
                vec![
                    ("job", word(own, "job")),
                    ("instance", word(own, "instance")),
                    ("url", word(target, "scrapeUrl")),
                    (
                        "health",
                        match text(target, "health") {
                            "unknown" => Value::variant("not_asked_yet"),
                            _ => state(target, "health", &["up", "down"]),
                        },
                    ),
                    ("error", maybe_word(target, "lastError")),
                    ("scraped", time(target, "lastScrape")),
                    ("took", span(target, "lastScrapeDuration")),
                    ("labels", labels(target.get("labels"))),
                ],
            )
        })
        .collect();
    Ok(limited(items, at_most))
}

/// `alerts`
pub fn alerts(data: &Json, name: Option<&str>, at_most: usize) -> Result<Value, Unknown> {
    let alerts = data
        .get("alerts")
        .and_then(Json::as_array)
        .ok_or_else(|| odd("no alerts"))?;
    let none = Json::Null;
    let items = alerts
        .iter()
        .filter(|alert| name.is_none_or(|name| text(alert.get("labels").unwrap_or(&none), "alertname") == name))
        .map(|alert| {
            let own = alert.get("labels").unwrap_or(&none);
            Value::record(
                "RuleAlert",
                vec![
                    ("name", word(own, "alertname")),
                    ("state", state(alert, "state", RULE_STATES)),
                    ("since", time(alert, "activeAt")),
                    (
                        "value",
                        alert.get("value").map_or_else(
                            || Value::unknown(Reason::Missing, "the server does not say the value"),
                            |value| Value::or_unknown(number(value)),
                        ),
                    ),
                    ("labels", labels(alert.get("labels"))),
                    ("annotations", labels(alert.get("annotations"))),
                ],
            )
        })
        .collect();
    Ok(limited(items, at_most))
}

#[cfg(test)]
mod tests {
    use super::{Grid, number, one_number, one_series};
    use crate::value::{Reason, Value};
    use jiff::Timestamp;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn none_several_and_no_number_are_three_kinds_of_not_knowing() {
        let vector = |result: serde_json::Value| one_number(&json!({"resultType": "vector", "result": result}));
        let sample = json!({"metric": {}, "value": [1_700_000_000.5, "0.5"]});
        assert_eq!(vector(json!([sample])).unwrap(), Value::Float(0.5));
        assert_eq!(vector(json!([])).unwrap_err().reason, Reason::Missing);
        assert_eq!(vector(json!([sample, sample])).unwrap_err().reason, Reason::Truncated);
        assert_eq!(
            number(&json!("NaN")).unwrap().as_unknown().unwrap().reason,
            Reason::Arithmetic
        );
        assert!(number(&json!("+Inf")).unwrap().as_unknown().is_some());
        assert_eq!(number(&json!(1)).unwrap_err().reason, Reason::Unparsable);
        let scalar = json!({"resultType": "scalar", "result": [1, "2"]});
        assert_eq!(one_number(&scalar).unwrap(), Value::Float(2.0));
        assert!(one_number(&json!({"resultType": "matrix", "result": []})).is_err());
        assert!(one_number(&json!(7)).is_err());
    }

    #[test]
    fn samples_out_of_order_are_no_series() {
        let grid = Grid {
            end: Timestamp::from_second(100).unwrap(),
            step: Duration::from_secs(15),
        };
        let matrix = |values: serde_json::Value| {
            one_series(
                &json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]}),
                grid,
            )
        };
        let good = matrix(json!([[40, "1"], [55, "2"]])).unwrap();
        let Value::Series(series) = &good else {
            panic!("{good:?}")
        };
        assert_eq!(series.samples.len(), 2);
        assert_eq!(series.step, 15_000_000_000);
        assert!(matrix(json!([[55, "1"], [40, "2"]])).is_err());
        assert!(matrix(json!([[1e300, "1"]])).is_err());
    }
}
