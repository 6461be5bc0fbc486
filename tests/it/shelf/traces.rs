//! `sergas/distributed-tracing` before a server that answers as Jaeger's query service does.

use super::book;
use crate::people::Server;
use crate::support::desk::{Desk, on_a_thread};
use serde_json::{Value as Json, json};

/// A span of a trace of `api-server`: who waited for it, its operation, and when it began and how long it took, in milliseconds.
fn span(id: &str, parent: Option<&str>, operation: &str, (start, took): (i64, i64)) -> Json {
    let references: Vec<Json> = parent
        .map(|id| json!({"refType": "CHILD_OF", "traceID": "t", "spanID": id}))
        .into_iter()
        .collect();
    json!({
        "traceID": "t", "spanID": id, "operationName": operation, "references": references, "processID": "p1",
        "startTime": 1_700_000_000_000_000_i64 + 1000 * start, "duration": 1000 * took, "tags": [], "logs": [], "warnings": null,
    })
}

/// A query service that knows these services, and this trace.
fn jaeger(services: Json, spans: Vec<Json>) -> Server {
    Server::new(move |asked| {
        let data = match asked.path.as_str() {
            "/api/services" => services.clone(),
            "/api/traces" if spans.is_empty() => json!([]),
            "/api/traces" => {
                assert_eq!(asked.query["service"], "api-server");
                assert_eq!(asked.query["minDuration"], "2000001us");
                json!([{"traceID": "t", "spans": spans, "processes": {"p1": {"serviceName": "api-server", "tags": []}}, "warnings": null}])
            }
            other => return Some((404, json!({"errors": [{"code": 404, "msg": other}]}))),
        };
        Some((
            200,
            json!({"data": data, "total": 0, "limit": 0, "offset": 0, "errors": null}),
        ))
    })
}

/// What the run says of such a trace, and its report.
async fn said(services: Json, spans: Vec<Json>) -> String {
    let server = jaeger(services, spans);
    let desk = Desk::new(&format!(
        "    journal: journal.db
    jaeger: {{ servers: {{ sergas-jaeger: {{ url: '{}' }} }} }}
    grants: [{{ capability: jaeger, effects: [read], targets: [sergas-jaeger] }}]
",
        server.url()
    ));
    on_a_thread(move || {
        let file = book("sergas/distributed-tracing");
        let (screen, code) = desk.run(&["run", &file, "--unattended", "--answer", "complaints=yes"]);
        // It changes nothing, and hands over what it found.
        assert_eq!(code, Some(1), "{screen}");
        screen + &desk.reported(&["Stopped"])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_took_the_time_of_the_longest_request_is_named() {
    let known = || json!(["api-server"]);
    let whole = || span("1", None, "GET /users", (0, 3000));
    let mut many = vec![whole()];
    many.extend((0..60).map(|number| span(&format!("q{number}"), Some("1"), "SELECT users", (number * 40, 40))));
    let cases = [
        (many, "A request makes 60 queries"),
        (
            vec![whole(), span("2", Some("1"), "pg.query", (100, 2500))],
            "go on with slow-response-times",
        ),
        (
            vec![whole(), span("2", Some("1"), "HTTP GET", (100, 2600))],
            "Calls to others take the time",
        ),
        (
            vec![whole(), span("2", Some("1"), "render", (100, 2600))],
            "The time is spent in api-server itself",
        ),
        (vec![], "No request traced in the last 1 h took longer than 2 s"),
    ];
    for (spans, words) in cases {
        let text = said(known(), spans).await;
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = said(json!(["jobs"]), vec![]).await;
    assert!(text.contains("api-server sends no traces"), "{text}");
}
