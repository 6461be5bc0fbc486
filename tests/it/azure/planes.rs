//! Logs, metrics, vaults, registries, roles, the log of what was done.

use super::server::{SECRET, TOKEN, VALUE, WORKSPACE};
use super::{APP, cloud, document, json_of, named, text, world};
use crate::support::gated::{field, items, reason};
use serde_json::json;
use starr::secrets::SecretText;
use starr::value::{CodeLanguage, Reason, Secret, Value};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn kql(text: &str) -> Value {
    Value::Code {
        language: Some(CodeLanguage::Kql),
        text: text.into(),
    }
}

#[tokio::test]
async fn rows_come_with_their_window_and_their_values_as_literals() {
    let server = cloud();
    server.kept().table = json!({"tables": [{"name": "PrimaryResult", "columns": [
        {"name": "timestamp", "type": "datetime"}, {"name": "resultCode", "type": "string"}, {"name": "duration", "type": "real"}],
        "rows": [["2026-11-22T03:00:00.1Z", "401", 12.5]]}]});
    let world = world(&server);
    let asked = |workspace: &str| {
        [
            ("workspace", named("Workspace", workspace)),
            ("query", kql("requests | where resultCode == $code")),
            ("over", Value::duration(HOUR)),
            ("with", document(json!({"code": "4\"01"}))),
        ]
    };
    let rows = json_of(&world.read("logs.query", &asked("app")).await);
    assert_eq!(
        rows,
        json!([{"timestamp": "2026-11-22T03:00:00.1Z", "resultCode": "401", "duration": 12.5}])
    );
    world.read("logs.query", &asked("logs")).await;
    let sent = server.sent("POST");
    assert_eq!(sent[0].path, format!("/v1/apps/{WORKSPACE}/query"));
    assert_eq!(sent[1].path, format!("/v1/workspaces/{WORKSPACE}/query"));
    assert_eq!(
        sent[0].json(),
        json!({"query": "requests | where resultCode == \"4\\\"01\"", "timespan": "PT3600S"})
    );
    assert_eq!(
        server.kept().form,
        [
            "https://api.applicationinsights.io/.default",
            "https://api.loganalytics.io/.default"
        ]
    );
    server.kept().table = json!({"tables": [], "error": {"code": "PartialError", "message": "too large"}});
    assert_eq!(
        reason(&world.read("logs.query", &asked("app")).await).0,
        Reason::Truncated
    );
    let nobody = asked("other");
    assert!(
        reason(&world.read("logs.query", &nobody).await)
            .1
            .contains("no workspace `other`")
    );
}

#[tokio::test]
async fn metrics_are_one_series() {
    let server = cloud();
    server.kept().metrics = json!({"cost": 0, "interval": "PT1M", "value": [{"name": {"value": "UsageNanoCores"}, "unit": "NanoCores", "errorCode": "Success",
        "timeseries": [{"metadatavalues": [], "data": [{"timeStamp": "2026-11-22T03:00:00Z", "average": 5.0}, {"timeStamp": "2026-11-22T03:01:00Z"}]}]}]});
    let world = world(&server);
    let asked = [
        ("type", text(APP)),
        ("name", text("api")),
        ("metric", text("UsageNanoCores")),
        ("over", Value::duration(HOUR)),
    ];
    let Value::Series(series) = world.read("metrics.series", &asked).await else {
        panic!("no series");
    };
    assert_eq!(series.samples.len(), 1);
    assert_eq!(world.read("metrics.value", &asked).await, Value::float(5.0));
    let sent = server.sent("GET");
    assert_eq!(sent[0].query["interval"], "PT1M");
    assert_eq!(sent[1].query["interval"], "FULL");
    assert_eq!(sent[0].query["aggregation"], "average");
    server.kept().metrics = json!({"value": [{"timeseries": []}]});
    assert_eq!(reason(&world.read("metrics.value", &asked).await).0, Reason::Missing);
}

#[tokio::test]
async fn a_vault_is_read_without_values_and_written_without_showing_them() {
    let server = cloud();
    let world = world(&server);
    let secret = |text: &str| Value::Secret(Secret::new(Value::text(text)));
    let name = ("name", text("db"));
    let first = world.done("vault.set", &[name.clone(), ("value", secret(VALUE))]).await;
    world
        .done(
            "vault.set",
            &[name.clone(), ("value", secret("canary-of-another-value"))],
        )
        .await;
    let newest = world.read("vault.secret", std::slice::from_ref(&name)).await;
    assert_eq!(field(&newest, "version"), text("v2"));
    let back = world
        .done("vault.restore", &[name.clone(), ("version", field(&first, "version"))])
        .await;
    assert_eq!(field(&back, "version"), text("v3"));
    assert_eq!(server.kept().secrets[2]["value"], VALUE);
    let all = world.read("vault.secrets", &[]).await;
    assert_eq!(items(&all).len(), 3);
    for shown in [&first, &newest, &back, &all] {
        assert!(!format!("{shown:?}").contains("canary"), "{shown:?}");
    }
    // The value is asked for only where it is copied.
    let values = server
        .sent("GET")
        .iter()
        .filter(|asked| asked.path == "/secrets/db/v1")
        .count();
    assert_eq!(values, 1);
    let missing = world.read("vault.secret", &[("name", text("nobody"))]).await;
    assert_eq!(reason(&missing).0, Reason::Missing);
    // Whatever was seen on the way is kept out of everything that is written.
    for known in [SECRET, TOKEN, VALUE] {
        assert!(
            !starr::secrets::redact(&format!("x {known} y")).contains(known),
            "{known}"
        );
    }
    assert_eq!(SecretText::new("x".to_owned()).expose(), "x");
}

#[tokio::test]
async fn tags_roles_and_what_was_done() {
    let server = cloud();
    let world = world(&server);
    let repository = ("repository", text("team/api"));
    let tags = items(&world.read("registry.tags", std::slice::from_ref(&repository)).await);
    assert_eq!(field(&tags[0], "name"), text("v2"));
    let one = world
        .read("registry.tags", &[repository, ("at_most", Value::Int(1))])
        .await;
    assert!(one.as_list().unwrap().truncated);
    let way = format!(
        "/subscriptions/{}/providers/microsoft.insights/eventtypes/management/values/e",
        super::server::SUBSCRIPTION
    );
    for (number, operation) in [
        (1, "Microsoft.App/containerApps/write"),
        (2, "Microsoft.DocumentDB/databaseAccounts/delete"),
    ] {
        server.kept().resources.insert(
            format!("{way}{number}").to_lowercase(),
            json!({"eventTimestamp": format!("2026-11-22T0{number}:00:00Z"), "operationName": {"value": operation}, "status": {"value": "Succeeded"},
                "caller": "a@team.example", "resourceId": "/subscriptions/x", "level": "Informational"}),
        );
    }
    let over = ("over", Value::duration(24 * HOUR));
    let all = items(&world.read("activity.list", std::slice::from_ref(&over)).await);
    assert_eq!(
        field(&all[0], "operation"),
        text("Microsoft.DocumentDB/databaseAccounts/delete")
    );
    let deleted = items(
        &world
            .read("activity.list", &[over, ("containing", text("DELETE"))])
            .await,
    );
    assert_eq!(deleted.len(), 1);
    let asked = server.sent("GET").pop().unwrap();
    assert!(asked.query["$filter"].contains("resourceGroupName eq 'rg-studio'"));
    let none = items(
        &world
            .read(
                "roles.list",
                &[("principal", text("00000000-0000-0000-0000-00000000000a"))],
            )
            .await,
    );
    assert!(none.is_empty());
    let asked = server.sent("GET").pop().unwrap();
    assert_eq!(
        asked.query["$filter"],
        "assignedTo('00000000-0000-0000-0000-00000000000a')"
    );
}
