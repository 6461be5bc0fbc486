//! The provider `jaeger` against a server that answers as the query service does.

use super::{Desk, Server};
use crate::support::gated::{Gated, field, items, reason};
use serde_json::{Value as Json, json};
use starr::providers::jaeger::Jaeger;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::time::Duration;

const DAY: i64 = 1_700_000_000_000_000;

fn span(id: &str, operation: &str, start: i64, duration: i64) -> Json {
    json!({
        "traceID": "4bf9", "spanID": id, "operationName": operation, "references": [], "startTime": DAY + start, "duration": duration,
        "tags": [], "logs": [], "processID": "p1", "warnings": null,
    })
}

fn trace(id: &str, spans: Vec<Json>) -> Json {
    json!({"traceID": id, "spans": spans, "processes": {"p1": {"serviceName": "shop", "tags": []}}, "warnings": null})
}

fn reply(data: Json) -> Option<(u16, Json)> {
    Some((
        200,
        json!({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": null}),
    ))
}

/// What Go takes as a duration in microseconds.
fn micros(text: &str) -> i64 {
    text.strip_suffix("us").unwrap().parse().unwrap()
}

/// Four traces of the service `shop`; the parameters have the meaning and the form that the query service gives them.
fn query_service() -> Server {
    Server::new(|asked| match asked.path.as_str() {
        "/api/services" => reply(json!(["jobs", "shop"])),
        "/api/traces" => {
            let number = |name: &str| asked.query[name].parse::<i64>().unwrap();
            if asked.query.get("service").is_none_or(String::is_empty) {
                return Some((
                    400,
                    json!({"data": null, "errors": [{"code": 400, "msg": "parameter 'service' is required"}]}),
                ));
            }
            // Both are microseconds since 1970, and there is no other word for how far back.
            assert!(number("start") > DAY && number("end") > number("start"));
            assert!(!asked.query.contains_key("lookback"));
            let least = asked.query.get("minDuration").map_or(0, |text| micros(text));
            let all = [("a", 2_500_000), ("b", 3_000_000), ("c", 2_000_000), ("d", 10)];
            let found = all
                .iter()
                .filter(|(_, took)| asked.query["service"] == "shop" && *took >= least);
            let found = found.take(usize::try_from(number("limit")).unwrap());
            reply(
                found
                    .map(|(id, took)| trace(id, vec![span("1", "GET /orders", 0, *took)]))
                    .collect(),
            )
        }
        "/api/traces/4bf9" => {
            let mut query = span("2", "SELECT orders", 100, 1_000_000);
            query["references"] = json!([{"refType": "CHILD_OF", "traceID": "4bf9", "spanID": "1"}]);
            query["tags"] = json!([{"key": "error", "type": "bool", "value": true}]);
            reply(json!([trace(
                "4bf9",
                vec![query, span("1", "GET /orders", 0, 1_500_000)]
            )]))
        }
        _ => Some((
            404,
            json!({"data": null, "errors": [{"code": 404, "msg": "trace not found"}]}),
        )),
    })
}

fn world(server: &Server) -> Gated {
    let config = format!("servers: {{ jaeger: {{ url: \"{}\" }} }}", server.url());
    let provider = Jaeger::new(&serde_yaml::from_str(&config).unwrap()).unwrap();
    let on = Value::Resource {
        kind: "Jaeger".into(),
        name: "jaeger".into(),
    };
    Gated::new(Arc::new(provider), vec![("service", Value::text("shop")), ("on", on)])
}

fn seconds(seconds: i64) -> Value {
    Value::Duration(seconds * 1_000_000_000)
}

#[tokio::test]
async fn traces_are_those_that_took_longer_and_the_longest_is_the_first() {
    let server = query_service();
    let world = world(&server);
    let two = ("slower_than", seconds(2));
    let found = items(&world.read("traces", &[two.clone(), ("lookback", seconds(3600))]).await);
    // The one of exactly two seconds did not take longer.
    let ids: Vec<Value> = found.iter().map(|trace| field(trace, "id")).collect();
    assert_eq!(ids, [Value::text("b"), Value::text("a")]);
    assert_eq!(field(&found[0], "duration"), seconds(3));
    let last = server.asked().pop().unwrap();
    let number = |name: &str| last.query[name].parse::<i64>().unwrap();
    assert_eq!(number("end") - number("start"), 3_600_000_000);
    assert_eq!(last.query["minDuration"], "2000001us");
    // More than were asked for are there, and that is said.
    let one = world.read("traces", &[two, ("at_most", Value::Int(1))]).await;
    assert!(one.as_list().unwrap().truncated && one.as_list().unwrap().items.len() == 1);
    let nobody = world.read("traces", &[("service", Value::text("nobody"))]).await;
    assert_eq!(items(&nobody), Vec::<Value>::new());
    assert_eq!(
        items(&world.read("services", &[]).await),
        [Value::text("jobs"), Value::text("shop")]
    );
    assert_eq!(field(&world.read("ready", &[]).await, "ok"), Value::Bool(true));
}

#[tokio::test]
async fn a_trace_tells_who_waited_for_whom_and_what_failed() {
    let server = query_service();
    let world = world(&server);
    let trace = world.read("trace", &[("id", Value::text("4bf9"))]).await;
    assert_eq!(field(&trace, "failed"), Value::Bool(true));
    assert_eq!(field(&trace, "duration"), Value::Duration(1_500_000_000));
    let spans = items(&field(&trace, "spans"));
    assert_eq!(field(&spans[0], "operation"), Value::text("GET /orders"));
    assert_eq!(field(&spans[1], "parent"), field(&spans[0], "id"));
    assert_eq!(field(&spans[1], "service"), Value::text("shop"));
    let nothing = reason(&world.read("trace", &[("id", Value::text("00"))]).await);
    assert_eq!(nothing.0, Reason::Missing);
    assert!(nothing.1.contains("trace not found"), "{nothing:?}");
    let asked = server.asked().len();
    let forged = reason(&world.read("trace", &[("id", Value::text("../services"))]).await);
    assert_eq!(forged.0, Reason::Unparsable);
    assert_eq!(server.asked().len(), asked);
}

#[tokio::test]
async fn a_trace_of_too_many_spans_is_cut() {
    let server = Server::new(|_| {
        let spans = (0..10_001).map(|_| json!({"spanID": "1", "startTime": 1, "duration": 1}));
        reply(json!([trace("4bf9", spans.collect())]))
    });
    let trace = world(&server).read("trace", &[("id", Value::text("4bf9"))]).await;
    let spans = field(&trace, "spans");
    assert!(spans.as_list().unwrap().truncated);
    assert_eq!(spans.as_list().unwrap().items.len(), 10_000);
    let many = world(&server).read("traces", &[("at_most", Value::Int(1001))]).await;
    assert!(reason(&many).1.contains("between 1 and 1000"));
}

#[tokio::test]
async fn what_no_jaeger_says_is_unknown() {
    let bodies = [
        json!("<html>"),
        json!({}),
        json!([]),
        json!({"data": "x"}),
        json!({"data": [1, "x", null], "errors": [{"msg": "a\u{1b}[2Jpart"}]}),
    ];
    for body in bodies {
        let said = body.clone();
        let server = Server::new(move |_| Some((200, said.clone())));
        let world = world(&server);
        for (path, args) in [
            ("traces", vec![]),
            ("services", vec![]),
            ("trace", vec![("id", Value::text("1"))]),
        ] {
            let (_, detail) = reason(&world.read(path, &args).await);
            assert!(!detail.contains('\u{1b}'), "{path} {body}: {detail}");
        }
    }
    // What is no trace has no known part; the others stand.
    let server = Server::new(|_| reply(json!([1, trace("a", vec![span("1", "GET /", 0, 5)])])));
    let found = items(&world(&server).read("traces", &[]).await);
    assert_eq!(reason(&field(&found[0], "spans")).0, Reason::Unparsable);
    assert_eq!(field(&found[1], "id"), Value::text("a"));
    for (status, wanted) in [
        (401, Reason::Denied),
        (429, Reason::Throttled),
        (503, Reason::Unavailable),
    ] {
        let server = Server::new(move |_| Some((status, json!({"errors": [{"msg": "no"}]}))));
        assert_eq!(reason(&world(&server).read("services", &[]).await).0, wanted);
    }
    let silent = Server::new(|_| None);
    let late = world(&silent)
        .read_within("traces", &[], Duration::from_millis(300))
        .await;
    assert_eq!(reason(&late).0, Reason::Timeout);
}

const BOOK: &str = r#"use std.jaeger.{slow_traces, untraced}

runbook slow "Requests are slow" {
  timebox 5 min then stop "No time is left"
  reads   jaeger
  situation {
    symptom late = slow_traces("shop", slower_than: 2 s)
  }
  check quiet = untraced("shop")
  require not quiet else stop "shop sends no traces"
  stop "{late.count} requests took long"
}
"#;

#[test]
fn a_runbook_looks_at_traces() {
    let server = query_service();
    let environment = format!(
        "    jaeger: {{ servers: {{ jaeger: {{ url: \"{}\", bearer: {{ env: CANARY }} }} }} }}
    grants:\n      - {{ capability: jaeger, effects: [read], targets: [jaeger] }}\n",
        server.url()
    );
    let desk = Desk::new(&environment, BOOK);
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    assert!(said.contains("2 requests took long"), "{said}");
    let doctor = desk.said(&["doctor"]);
    assert!(doctor.contains("jaeger jaeger"), "{doctor}");
    assert_eq!(
        server.asked()[0].header("authorization"),
        format!("Bearer {}", super::CANARY)
    );
    desk.keeps(super::CANARY, &[&said, &doctor, &desk.said(&["show", "--json"])]);
}
