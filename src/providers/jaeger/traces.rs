//! A trace as the query service gives it, as a record. All its times are in microseconds. What cannot be read is an unknown part of it.

use crate::limits::JAEGER_SPANS;
use crate::providers::arguments::limited;
use crate::value::{Reason, Value};
use jiff::Timestamp;
use serde_json::Value as Json;

/// True for what the interface takes as the id of a trace.
pub fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn text(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("`{name}` is no text")),
        Value::text,
    )
}

fn micros(json: &Json, name: &str) -> Option<i64> {
    json.get(name).and_then(Json::as_i64).filter(|micros| *micros >= 0)
}

fn time(micros: Option<i64>) -> Value {
    micros
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .map_or_else(
            || Value::unknown(Reason::Unparsable, "`startTime` is no time"),
            Value::Time,
        )
}

fn span_of(micros: Option<i64>) -> Value {
    micros.and_then(|micros| micros.checked_mul(1000)).map_or_else(
        || Value::unknown(Reason::Unparsable, "`duration` is no time"),
        Value::Duration,
    )
}

/// The service of a span stands with the process that it names.
fn service(span: &Json, processes: Option<&Json>) -> Value {
    span.get("processID")
        .and_then(Json::as_str)
        .and_then(|id| processes?.get(id)?.get("serviceName")?.as_str())
        .map_or_else(
            || Value::unknown(Reason::Missing, "the trace does not say which service the span is of"),
            Value::text,
        )
}

/// The span that it is a part of; none for the first.
fn parent(span: &Json) -> Value {
    let unreadable = || Value::unknown(Reason::Unparsable, "`references` cannot be read");
    let references = match span.get("references") {
        None | Some(Json::Null) => return Value::None,
        Some(Json::Array(references)) => references,
        Some(_) => return unreadable(),
    };
    // What it follows from did not wait for it.
    let own = span.get("traceID").and_then(Json::as_str);
    let mut parent = Value::None;
    for reference in references {
        let Some(kind) = reference.get("refType").and_then(Json::as_str) else {
            return unreadable();
        };
        let of = reference.get("traceID").and_then(Json::as_str);
        if kind == "CHILD_OF" && (of.is_none() || of == own) && parent == Value::None {
            parent = reference
                .get("spanID")
                .and_then(Json::as_str)
                .map_or_else(unreadable, Value::text);
        }
    }
    parent
}

/// Whether a tag `error` says so; a span may have several. Without one it has not failed.
fn failed(span: &Json) -> Value {
    let unreadable = || Value::unknown(Reason::Unparsable, "the tag `error` cannot be read");
    let tags = match span.get("tags") {
        None | Some(Json::Null) => return Value::Bool(false),
        Some(Json::Array(tags)) => tags,
        Some(_) => return unreadable(),
    };
    let mut failed = Value::Bool(false);
    for tag in tags {
        if tag.get("key").and_then(Json::as_str) != Some("error") {
            continue;
        }
        match tag.get("value") {
            Some(Json::Bool(true)) => return Value::Bool(true),
            Some(Json::String(word)) if word == "true" => return Value::Bool(true),
            Some(Json::Bool(false)) => {}
            Some(Json::String(word)) if word == "false" => {}
            _ => failed = unreadable(),
        }
    }
    failed
}

fn span(span: &Json, processes: Option<&Json>) -> Value {
    Value::record(
        "Span",
        vec![
            ("id", text(span, "spanID")),
            ("service", service(span, processes)),
            ("operation", text(span, "operationName")),
            ("start", time(micros(span, "startTime"))),
            ("duration", span_of(micros(span, "duration"))),
            ("parent", parent(span)),
            ("failed", failed(span)),
        ],
    )
}

/// From the beginning of the first span to the end of the last; `None` when one of them cannot be read.
fn extent(spans: &[Json]) -> Option<(i64, i64)> {
    let mut all = spans.iter().map(|span| {
        let start = micros(span, "startTime")?;
        Some((start, start.checked_add(micros(span, "duration")?)?))
    });
    let first = all.next()??;
    all.try_fold(first, |(begin, end), span| {
        let (from, to) = span?;
        Some((begin.min(from), end.max(to)))
    })
}

/// A trace as a record.
pub fn value(trace: &Json) -> Value {
    let processes = trace.get("processes");
    let Some(spans) = trace.get("spans").and_then(Json::as_array) else {
        let unknown = || Value::unknown(Reason::Unparsable, "the spans cannot be read");
        return Value::record(
            "Trace",
            vec![
                ("id", text(trace, "traceID")),
                ("start", unknown()),
                ("duration", unknown()),
                ("failed", unknown()),
                ("spans", unknown()),
            ],
        );
    };
    let extent = extent(spans);
    let failures: Vec<Value> = spans.iter().map(failed).collect();
    let failed = if failures.contains(&Value::Bool(true)) {
        Value::Bool(true)
    } else {
        // One that is not known may be the one.
        let unknown = failures.iter().find(|failed| failed.as_unknown().is_some());
        unknown.cloned().unwrap_or(Value::Bool(false))
    };
    // In the order of their beginnings; the server has none.
    let mut ordered: Vec<&Json> = spans.iter().collect();
    ordered.sort_by_key(|span| micros(span, "startTime").unwrap_or(i64::MAX));
    Value::record(
        "Trace",
        vec![
            ("id", text(trace, "traceID")),
            ("start", time(extent.map(|(begin, _)| begin))),
            ("duration", span_of(extent.map(|(begin, end)| end - begin))),
            ("failed", failed),
            (
                "spans",
                limited(
                    ordered.into_iter().map(|one| span(one, processes)).collect(),
                    JAEGER_SPANS,
                ),
            ),
        ],
    )
}

/// How long a trace took, for their order; what is not known comes first, so that it is not overlooked.
pub fn duration(trace: &Value) -> i64 {
    match trace.as_record().and_then(|record| record.get("duration")) {
        Some(Value::Duration(nanoseconds)) => *nanoseconds,
        _ => i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_id, value};
    use crate::value::{Reason, Value};
    use serde_json::{Value as Json, json};

    fn field(value: &Value, name: &str) -> Value {
        value.as_record().unwrap().get(name).unwrap().clone()
    }

    fn spans(trace: &Json) -> Vec<Value> {
        field(&value(trace), "spans").as_list().unwrap().items.clone()
    }

    fn trace() -> Json {
        json!({
            "traceID": "4bf9",
            "spans": [
                {"traceID": "4bf9", "spanID": "b", "operationName": "SELECT orders", "startTime": 1_700_000_000_500_000_u64,
                 "duration": 1_262_500, "processID": "p2", "references": [{"refType": "CHILD_OF", "traceID": "4bf9", "spanID": "a"}],
                 "tags": [{"key": "error", "type": "bool", "value": true}]},
                {"traceID": "4bf9", "spanID": "a", "operationName": "GET /orders", "startTime": 1_700_000_000_000_000_u64,
                 "duration": 1_500_000, "processID": "p1", "references": [], "tags": [{"key": "http.status_code", "value": 500}]},
            ],
            "processes": {"p1": {"serviceName": "api-server"}, "p2": {"serviceName": "orders"}},
        })
    }

    #[test]
    fn of_several_tags_one_that_says_so_counts() {
        let failed = |tags: Json| {
            let mut trace = trace();
            trace["spans"][0]["tags"] = tags;
            field(&value(&trace), "failed")
        };
        let tag = |value: Json| json!({"key": "error", "value": value});
        assert_eq!(failed(json!([tag(json!(false)), tag(json!(true))])), Value::Bool(true));
        assert_eq!(
            failed(json!([tag(json!(false)), tag(json!("false"))])),
            Value::Bool(false)
        );
        assert_eq!(failed(json!([tag(json!(7)), tag(json!("true"))])), Value::Bool(true));
        let odd = failed(json!([tag(json!(false)), tag(json!(7))]));
        assert_eq!(odd.as_unknown().unwrap().reason, Reason::Unparsable);
    }

    #[test]
    fn times_are_microseconds() {
        let read = value(&trace());
        assert_eq!(
            field(&read, "start"),
            Value::Time("2023-11-14T22:13:20Z".parse().unwrap())
        );
        assert_eq!(field(&read, "duration"), Value::Duration(1_762_500_000));
        assert_eq!(field(&read, "failed"), Value::Bool(true));
        let spans = spans(&trace());
        let first = &spans[0];
        assert_eq!(field(first, "operation"), Value::text("GET /orders"));
        assert_eq!(field(first, "duration"), Value::Duration(1_500_000_000));
        assert_eq!(
            (field(first, "parent"), field(first, "failed")),
            (Value::None, Value::Bool(false))
        );
        let second = &spans[1];
        assert_eq!(
            (field(second, "parent"), field(second, "service")),
            (Value::text("a"), Value::text("orders"))
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_unknown_part() {
        let mut odd = trace();
        odd["processes"] = Json::Null;
        odd["spans"][0]["duration"] = json!("1.2s");
        odd["spans"][0]["references"] = json!({"refType": "CHILD_OF"});
        odd["spans"][0]["tags"][0]["value"] = json!("perhaps");
        odd["spans"][1]["startTime"] = json!(-1);
        let read = value(&odd);
        let reason = |value: &Value| value.as_unknown().unwrap_or_else(|| panic!("{value:?}")).reason;
        for name in ["start", "duration", "failed"] {
            assert_eq!(reason(&field(&read, name)), Reason::Unparsable, "{name}");
        }
        let spans = spans(&odd);
        let broken = spans.iter().find(|span| field(span, "id") == Value::text("b")).unwrap();
        for name in ["duration", "parent", "failed"] {
            assert_eq!(reason(&field(broken, name)), Reason::Unparsable, "{name}");
        }
        assert_eq!(reason(&field(broken, "service")), Reason::Missing);
        for nothing in [json!(null), json!([]), json!("x"), json!({"spans": {}})] {
            assert_eq!(reason(&field(&value(&nothing), "spans")), Reason::Unparsable);
        }
        assert_eq!(
            reason(&field(&value(&json!({"spans": []})), "duration")),
            Reason::Unparsable
        );
        // No sum leaves its range.
        let far = json!({"traceID": "1", "spans": [{"startTime": i64::MAX, "duration": i64::MAX}]});
        assert_eq!(reason(&field(&value(&far), "duration")), Reason::Unparsable);
    }

    #[test]
    fn ids_are_digits() {
        assert!(is_id("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in ["", "../admin", "4bf9?x", "4bf92f3577b34da6a3ce929d0e0e47361"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
