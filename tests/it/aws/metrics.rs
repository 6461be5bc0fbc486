//! The checks of `std.aws_metrics` and of throttled tables, asked of the emulator by the real binary.

use super::{Moto, World, done, json, text};
use crate::support::desk::{Desk, on_a_thread};
use serde_json::json as j;
use starr::value::Value;

const KEY: (&str, &str) = ("AKIAEXAMPLE", "swordfish-4711");

const BOOK: &str = r#"use std.aws.{Account, table_throttled}
use std.aws_metrics.{alarm_rings, balancer_without_targets, events_counted, function_slow, service_processor_high, service_processor_peak}

runbook measured(account: Account = "prod") "Measured" {
  owner   "team"
  timebox 10 min then stop "too long"
  reads   aws
  situation {
    symptom turned_away = table_throttled(account, table: "orders")
    symptom quiet_table = table_throttled(account, table: "quiet")
    symptom errors      = events_counted(account, namespace: "shop/Axon", metric: "ErrorCount", more_than: 4.0)
    symptom named       = events_counted(
      account,
      namespace: "shop/Axon",
      metric: "ErrorCount",
      dimensions: [{Name: "Host", Value: "h"}],
    )
    symptom slow        = function_slow(account, function: "govern", milliseconds: 500.0)
    symptom uncalled    = function_slow(account, function: "other", milliseconds: 500.0)
    symptom peak        = service_processor_peak(account, cluster: "shop", service: "web")
    symptom busy        = service_processor_high(account, cluster: "none", service: "none")
    symptom alone       = balancer_without_targets(account, balancer: "net/a/1", group: "targetgroup/b/2")
    symptom rings       = alarm_rings(account, name: "cpu")
    symptom no_data     = alarm_rings(account, name: "disk")
  }
  task {
    goal not turned_away
  }
  stop "looked"
}
"#;

async fn measured(world: &World, namespace: &str, name: &str, dimension: Option<(&str, &str)>, value: f64) {
    let then = (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(4)).to_string();
    let dimensions: Vec<_> = dimension
        .iter()
        .map(|(name, value)| j!({"Name": name, "Value": value}))
        .collect();
    let data = j!([{"MetricName": name, "Value": value, "Timestamp": then, "Dimensions": dimensions}]);
    let args = [("Namespace", text(namespace)), ("MetricData", json(data))];
    done(world, "cloudwatch.put_metric_data", &args).await;
}

async fn alarm(world: &World, name: &str, state: &str) {
    let args = [
        ("AlarmName", text(name)),
        ("Namespace", text("AWS/ECS")),
        ("MetricName", text("CPUUtilization")),
        ("ComparisonOperator", text("GreaterThanThreshold")),
        ("Statistic", text("Average")),
        ("Threshold", Value::Float(75.0)),
        ("Period", Value::Int(300)),
        ("EvaluationPeriods", Value::Int(2)),
    ];
    done(world, "cloudwatch.put_metric_alarm", &args).await;
    let args = [
        ("AlarmName", text(name)),
        ("StateValue", text(state)),
        ("StateReason", text("the test says so")),
    ];
    done(world, "cloudwatch.set_alarm_state", &args).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_and_what_nobody_measured_are_told_apart() {
    let moto = Moto::start(1_000_000);
    let world = moto.world(KEY.0, KEY.1);
    measured(
        &world,
        "AWS/DynamoDB",
        "ReadThrottleEvents",
        Some(("TableName", "orders")),
        7.0,
    )
    .await;
    measured(&world, "shop/Axon", "ErrorCount", None, 3.0).await;
    measured(&world, "shop/Axon", "ErrorCount", None, 2.0).await;
    measured(
        &world,
        "AWS/Lambda",
        "Duration",
        Some(("FunctionName", "govern")),
        800.0,
    )
    .await;
    alarm(&world, "cpu", "ALARM").await;
    alarm(&world, "disk", "INSUFFICIENT_DATA").await;
    let secrets = tempfile::tempdir().unwrap();
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ prod: {} }} }}\n    grants:\n      - {{ capability: aws, effects: [read], targets: [prod] }}\n",
        moto.entry(secrets.path(), KEY.0, KEY.1)
    ));
    let file = desk.path().join("measured.starr");
    std::fs::write(&file, BOOK).unwrap();
    let shown = on_a_thread(move || {
        desk.run(&["run", file.to_str().unwrap(), "--unattended"]);
        desk.run(&["show", "latest", "--json"]).0
    })
    .await;
    let record: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let events = record["entries"].as_array().unwrap();
    let answer = |name: &str| {
        let said = events
            .iter()
            .find(|entry| entry["event"]["event"] == "answered" && entry["event"]["name"] == name);
        said.map(|entry| entry["event"]["answer"].as_str().unwrap_or_default().to_owned())
    };
    for (name, expected) in [
        ("turned_away", "yes"),
        ("quiet_table", "no"),
        ("errors", "yes"),
        ("named", "no"),
        // The emulator computes no percentiles: it has no value, and that is not a fast function.
        ("slow", "unknown"),
        ("uncalled", "unknown"),
        ("busy", "unknown"),
        ("peak", "unknown"),
        ("alone", "unknown"),
        ("rings", "yes"),
        ("no_data", "unknown"),
    ] {
        assert_eq!(answer(name).as_deref(), Some(expected), "{name} in\n{shown}");
    }
}
