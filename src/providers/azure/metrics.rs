//! Metrics of Azure Monitor: exactly one series, with its gaps.

use crate::providers::failure::{excerpt, wrong};
use crate::providers::late;
use crate::value::{Reason, Unknown, Value};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use std::time::Duration;

/// The version of the interface of metrics.
pub const VERSION: &str = "2023-10-01";

/// What is asked.
pub struct Asked {
    pub begin: Timestamp,
    pub end: Timestamp,
    /// `None`: one number for the whole time.
    pub step: Option<Duration>,
}

/// The spans that the service has.
const STEPS: &[(u64, &str)] = &[
    (60, "PT1M"),
    (300, "PT5M"),
    (900, "PT15M"),
    (1_800, "PT30M"),
    (3_600, "PT1H"),
    (21_600, "PT6H"),
    (43_200, "PT12H"),
    (86_400, "P1D"),
];

impl Asked {
    /// The last `over`, in steps.
    ///
    /// # Errors
    /// The service has no such step, or there would be too many points.
    pub fn new(over: Duration, step: Option<Duration>) -> Result<Self, Unknown> {
        let end = Timestamp::now();
        let begin = SignedDuration::try_from(over)
            .ok()
            .and_then(|over| end.checked_sub(over).ok())
            .ok_or_else(|| wrong(Reason::Unparsable, "`over` is too long"))?;
        if over < Duration::from_secs(60) {
            return Err(wrong(Reason::Unparsable, "`over` is less than a minute"));
        }
        if let Some(step) = step {
            if !STEPS.iter().any(|(seconds, _)| *seconds == step.as_secs()) || step.subsec_nanos() != 0 {
                return Err(wrong(
                    Reason::Unparsable,
                    "`step` is 1, 5, 15 or 30 min, 1, 6 or 12 h, or 1 d: the service has no other",
                ));
            }
            if over.as_secs() / step.as_secs() > crate::limits::AZURE_POINTS as u64 {
                return Err(wrong(
                    Reason::Truncated,
                    "too many points of a series; ask with a longer `step`",
                ));
            }
        }
        Ok(Self { begin, end, step })
    }

    /// The question.
    pub fn query(&self, metric: &str, statistic: &str, filter: Option<&str>) -> Vec<(&'static str, String)> {
        let step = self
            .step
            .and_then(|step| STEPS.iter().find(|(seconds, _)| *seconds == step.as_secs()));
        let mut query = vec![
            ("api-version", VERSION.to_owned()),
            ("metricnames", metric.to_owned()),
            ("timespan", format!("{:.0}/{:.0}", self.begin, self.end)),
            ("interval", step.map_or("FULL", |(_, word)| word).to_owned()),
            ("aggregation", statistic.to_owned()),
        ];
        if let Some(filter) = filter {
            query.push(("$filter", filter.to_owned()));
        }
        query
    }
}

fn odd() -> Unknown {
    wrong(Reason::Unparsable, "Azure does not answer as Monitor does")
}

/// The points of the one series of an answer: time and, when there is one, value.
fn points(answer: &Json, statistic: &str) -> Result<Vec<(Timestamp, Option<f64>)>, Unknown> {
    let metrics = answer.get("value").and_then(Json::as_array).ok_or_else(odd)?;
    let [metric] = metrics.as_slice() else {
        return Err(wrong(Reason::Missing, "the resource has no such metric"));
    };
    let code = metric.get("errorCode").and_then(Json::as_str).unwrap_or("Success");
    if code != "Success" {
        let said = metric.get("errorMessage").and_then(Json::as_str).unwrap_or_default();
        return Err(wrong(
            Reason::Unavailable,
            format!(
                "the metric has no values: {}: {}",
                excerpt(code, 60),
                excerpt(said, 200)
            ),
        ));
    }
    let all = metric.get("timeseries").and_then(Json::as_array).ok_or_else(odd)?;
    let one = match all.as_slice() {
        [] => {
            return Err(wrong(
                Reason::Missing,
                "nothing was measured: the metric has no series, which is not zero",
            ));
        }
        [one] => one,
        several => {
            return Err(wrong(
                Reason::Unparsable,
                format!("the filter leaves {} series, and one is expected", several.len()),
            ));
        }
    };
    let data = one.get("data").and_then(Json::as_array).ok_or_else(odd)?;
    data.iter()
        .map(|point| {
            let time = point.get("timeStamp").and_then(Json::as_str).ok_or_else(odd)?;
            let time: Timestamp = time.parse().map_err(|_| odd())?;
            let value = point.get(statistic).filter(|value| !value.is_null());
            let value = value.map(|value| value.as_f64().ok_or_else(odd)).transpose()?;
            Ok((time, value))
        })
        .collect()
}

/// A series; a point without a value is a gap.
pub fn series(answer: &Json, statistic: &str, asked: &Asked) -> Result<Value, Unknown> {
    let step = asked.step.unwrap_or_default();
    let mut samples: Vec<(Timestamp, Value)> = Vec::new();
    for (time, value) in points(answer, statistic)? {
        if samples.last().is_some_and(|(before, _)| *before >= time) {
            return Err(odd());
        }
        if let Some(value) = value {
            samples.push((time, Value::float(value)));
        }
    }
    if samples.is_empty() {
        return Err(wrong(
            Reason::Missing,
            "nothing was measured in this time, which is not zero",
        ));
    }
    Ok(late::series(samples, step, asked.end))
}

/// One number for the whole time.
pub fn number(answer: &Json, statistic: &str) -> Result<Value, Unknown> {
    let values: Vec<f64> = points(answer, statistic)?
        .into_iter()
        .filter_map(|(_, value)| value)
        .collect();
    match values.as_slice() {
        [one] => Ok(Value::float(*one)),
        [] => Err(wrong(
            Reason::Missing,
            "nothing was measured in this time, which is not zero",
        )),
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, number, series};
    use crate::value::{Reason, Value};
    use serde_json::json;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn gaps_stay_gaps_and_nothing_is_not_zero() {
        let asked = Asked::new(Duration::from_secs(3600), Some(MINUTE)).unwrap();
        let answer =
            |data: serde_json::Value| json!({"value": [{"timeseries": [{"data": data}], "errorCode": "Success"}]});
        let two = answer(json!([
            {"timeStamp": "2026-11-22T03:00:00Z", "average": 1.5},
            {"timeStamp": "2026-11-22T03:01:00Z"},
            {"timeStamp": "2026-11-22T03:02:00Z", "average": 2.5},
        ]));
        let Ok(Value::Series(found)) = series(&two, "average", &asked) else {
            panic!("no series");
        };
        assert_eq!(found.samples.len(), 3);
        assert!(found.samples[1].1.as_unknown().is_some());
        let nothing = answer(json!([{"timeStamp": "2026-11-22T03:00:00Z"}]));
        assert_eq!(series(&nothing, "average", &asked).unwrap_err().reason, Reason::Missing);
        assert_eq!(number(&nothing, "average").unwrap_err().reason, Reason::Missing);
        let empty = json!({"value": [{"timeseries": []}]});
        assert_eq!(series(&empty, "average", &asked).unwrap_err().reason, Reason::Missing);
        let several = json!({"value": [{"timeseries": [{"data": []}, {"data": []}]}]});
        assert_eq!(
            series(&several, "average", &asked).unwrap_err().reason,
            Reason::Unparsable
        );
        let away = json!({"value": [{"timeseries": [], "errorCode": "Throttled", "errorMessage": "later"}]});
        assert_eq!(number(&away, "average").unwrap_err().reason, Reason::Unavailable);
    }

    #[test]
    fn only_steps_that_the_service_has_are_asked() {
        for wrong in [1_u64, 59, 120, 7_200] {
            assert!(
                Asked::new(Duration::from_secs(7200), Some(Duration::from_secs(wrong))).is_err(),
                "{wrong}"
            );
        }
        assert!(Asked::new(Duration::from_secs(40 * 86_400), Some(MINUTE)).is_err());
        let asked = Asked::new(Duration::from_secs(7200), None).unwrap();
        let query = asked.query("UsageNanoCores", "average", Some("a eq 'b'"));
        assert!(query.contains(&("interval", "FULL".to_owned())));
        let span = &query.iter().find(|(name, _)| *name == "timespan").unwrap().1;
        assert!(!span.contains('.') && span.ends_with('Z'), "{span}");
    }
}
