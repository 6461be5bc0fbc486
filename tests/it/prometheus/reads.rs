//! Numbers, series, percentiles, rules and targets.

use super::{Metrics, document, fake, metrics_at, promql};
use crate::support::gated::{field, items, reason};
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

#[tokio::test]
async fn numbers_series_and_percentiles_are_had_and_nothing_is_unknown() {
    let server = Metrics::start();
    let world = server.world();
    assert_eq!(field(&world.read("ready", &[]).await, "ok"), Value::Bool(true));
    let instant = |query: &str, with: Value| {
        let args = [("query", promql(query)), ("with", with)];
        let world = &world;
        async move { world.read("instant", &args).await }
    };
    assert_eq!(float(&instant("max(pool_used_ratio)", Value::None).await), 0.97);
    assert_eq!(float(&instant("1 + 1", Value::None).await), 2.0);
    // The value travels as a literal, whatever it holds.
    let service = document(serde_json::json!({"service": "quiet \"one\""}));
    assert_eq!(float(&instant("pool_used_ratio{service=$service}", service).await), 0.1);
    let hostile = document(serde_json::json!({"service": "x\"} or vector(7) or up{job=\""}));
    let nothing = instant("pool_used_ratio{service=$service}", hostile).await;
    assert_eq!(reason(&nothing).0, Reason::Missing);
    assert_eq!(
        reason(&instant("pool_used_ratio", Value::None).await).0,
        Reason::Truncated
    );
    assert_eq!(reason(&instant("no_such_metric", Value::None).await).0, Reason::Missing);
    assert_eq!(reason(&instant("0 / 0", Value::None).await).0, Reason::Arithmetic);
    let (why, detail) = reason(&instant("max(", Value::None).await);
    assert_eq!(why, Reason::Unavailable);
    assert!(detail.contains("parse error"), "{detail}");

    let samples = items(&world.read("samples", &[("query", promql("pool_used_ratio"))]).await);
    assert_eq!(samples.len(), 2);
    let one = [("query", promql("pool_used_ratio")), ("at_most", Value::Int(1))];
    assert!(world.read("samples", &one).await.as_list().unwrap().truncated);

    let series = [("query", promql("pool_used_ratio{service=\"shop\"}"))];
    let Value::Series(series) = world.read("series", &series).await else {
        panic!("no series");
    };
    assert_eq!(series.samples.len(), 61);
    assert!(series.samples.iter().all(|(_, value)| *value == Value::Float(0.97)));
    let several = world.read("series", &[("query", promql("pool_used_ratio"))]).await;
    assert_eq!(reason(&several).0, Reason::Truncated);
    let range = items(&world.read("range", &[("query", promql("pool_used_ratio"))]).await);
    assert_eq!(range.len(), 2);
    assert!(matches!(field(&range[0], "series"), Value::Series(_)));

    let percentile = |histogram: &str, rank: f64| {
        let args = [("histogram", Value::text(histogram)), ("rank", Value::ratio(rank))];
        let world = &world;
        async move { world.read("percentile", &args).await }
    };
    assert!((float(&percentile("request_seconds", 0.9).await) - 0.5).abs() < 0.01);
    assert!((float(&percentile("request_seconds_bucket", 0.5).await) - 0.1).abs() < 0.01);
    // Nothing was measured: that is not fast.
    assert_eq!(reason(&percentile("idle_seconds", 0.9).await).0, Reason::Arithmetic);
    assert_eq!(reason(&percentile("no_such_seconds", 0.9).await).0, Reason::Missing);
    assert_eq!(reason(&percentile("a} or b{", 0.9).await).0, Reason::Unparsable);
}

#[tokio::test]
async fn a_series_has_only_so_many_samples() {
    let world = metrics_at(fake(200, "{}").await);
    let long = [
        ("query", promql("up")),
        ("over", Value::Duration(11_001 * 1_000_000_000)),
        ("step", Value::Duration(1_000_000_000)),
    ];
    assert_eq!(reason(&world.read("series", &long).await).0, Reason::Truncated);
    let quick = [("query", promql("up")), ("step", Value::Duration(1))];
    assert_eq!(reason(&world.read("series", &quick).await).0, Reason::Unparsable);
}

#[tokio::test]
async fn rules_targets_and_alerts_tell_how_they_fare() {
    let server = Metrics::start();
    let world = server.world();
    let deadline = Instant::now() + Duration::from_secs(60);
    // Rules and targets are looked at for the first time within a second or two.
    let (rules, dead) = loop {
        let rules = items(&world.read("rules", &[]).await);
        let dead = items(&world.read("targets", &[("job", Value::text("dead"))]).await);
        let evaluated = rules.len() == 4 && rules.iter().all(|rule| field(rule, "evaluated") != Value::None);
        let asked = !dead.is_empty()
            && dead
                .iter()
                .all(|target| field(target, "health") == Value::variant("down"));
        if evaluated && asked {
            break (rules, dead);
        }
        assert!(Instant::now() < deadline, "{rules:?} {dead:?}");
    };
    let named = |name: &str| {
        let found = rules.iter().find(|rule| field(rule, "name") == Value::text(name));
        found.unwrap_or_else(|| panic!("no rule {name}")).clone()
    };
    assert_eq!(field(&named("PoolFull"), "state"), Value::variant("firing"));
    assert_eq!(field(&named("Quiet"), "state"), Value::variant("inactive"));
    assert_eq!(field(&named("Broken"), "healthy"), Value::Bool(false));
    assert!(field(&named("Broken"), "error").as_str().unwrap().contains("matching"));
    assert_eq!(field(&named("pool:max"), "alerting"), Value::Bool(false));
    assert_eq!(field(&named("pool:max"), "state"), Value::None);
    assert!(field(&dead[0], "error").as_str().unwrap().contains("refused"));
    let alerts = items(&world.read("alerts", &[("name", Value::text("PoolFull"))]).await);
    assert_eq!(alerts.len(), 1);
    assert_eq!(float(&field(&alerts[0], "value")), 0.97);
    assert_eq!(
        items(&world.read("alerts", &[("name", Value::text("Quiet"))]).await).len(),
        0
    );
}

#[tokio::test]
async fn odd_servers_are_not_believed() {
    let nobody = metrics_at(crate::support::daemon::free_port());
    assert_eq!(
        field(&nobody.read("ready", &[]).await, "reply"),
        Value::variant("refused")
    );
    for (status, body, why) in [
        (200, "<html>", Reason::Unparsable),
        (200, "{}", Reason::Unavailable),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}"#,
            Reason::Unparsable,
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"x"]}]}}"#,
            Reason::Unparsable,
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            Reason::Unparsable,
        ),
        (
            200,
            r#"{"status":"success","warnings":["half"],"data":{"resultType":"vector","result":[]}}"#,
            Reason::Truncated,
        ),
        (401, "no", Reason::Denied),
        (429, "slowly", Reason::Throttled),
        (
            503,
            r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#,
            Reason::Timeout,
        ),
        (302, "", Reason::Unavailable),
    ] {
        let world = metrics_at(fake(status, body).await);
        let value = world.read("instant", &[("query", promql("up"))]).await;
        assert_eq!(reason(&value).0, why, "{status} {body}");
        for path in ["rules", "targets", "alerts"] {
            let value = world.read(path, &[]).await;
            assert!(value.as_unknown().is_some(), "{path}: {status} {body}: {value:?}");
        }
    }
}

#[tokio::test]
async fn a_gap_is_no_answer_to_for() {
    let server = Metrics::start();
    let desk = crate::support::desk::Desk::new(&format!(
        "    prometheus: {{ servers: {{ prometheus: {{ url: 'http://127.0.0.1:{}' }} }} }}\n    grants: [{{ capability: prometheus, effects: [read], all: true }}]\n",
        server.port
    ));
    let ask = |query: &str, span: &str| {
        let text = format!(
            "runbook r() \"Asked\" {{\n  owner \"t\"\n  timebox 5 min then escalate\n  reads prometheus\n  situation {{\n    symptom s \"Is it so?\" {{\n      read n: Series<Ratio> = prometheus.series(`{query}`, over: 40 min) within 10 s\n      yes when n > 90 % for {span}\n    }}\n  }}\n  task {{ goal not s }}\n}}\n"
        );
        std::fs::write(desk.path().join("r.starr"), text).unwrap();
        desk.run(&["run", "r.starr", "--unattended"]).0
    };
    let full = ask("pool_used_ratio{service=\"shop\"}", "20 min");
    assert!(full.contains("yes, bad"), "{full}");
    let gappy = ask("gappy", "20 min");
    assert!(gappy.contains("gap") && !gappy.contains("yes, bad"), "{gappy}");
    let young = ask("pool_used_ratio{service=\"shop\"}", "35 min");
    assert!(!young.contains("yes, bad"), "{young}");
}
