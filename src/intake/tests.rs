use super::read;
use serde_json::json;

fn bytes(document: &serde_json::Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

fn one(status: &str, pod: &str) -> serde_json::Value {
    json!({
        "status": status,
        "labels": {"alertname": "PoolExhausted", "db": "orders", "pod": pod},
        "annotations": {"runbook": "sergas/db-pool-exhausted", "summary": "full"},
        "startsAt": "2026-11-22T03:14:00Z"
    })
}

fn group(alerts: &[serde_json::Value]) -> serde_json::Value {
    json!({
        "version": "4", "groupKey": "{}:{db=\"orders\"}", "status": "firing", "receiver": "starr",
        "commonLabels": {"db": "orders"}, "commonAnnotations": {"runbook": "sergas/db-pool-exhausted"},
        "alerts": alerts
    })
}

#[test]
fn one_alert_gives_its_labels() {
    let alert = read(&bytes(&group(&[one("firing", "a")]))).unwrap();
    assert!(alert.firing && alert.differing.is_empty());
    assert_eq!(alert.labels["db"], "orders");
    assert_eq!(alert.runbook(), Some("sergas/db-pool-exhausted"));
    assert_eq!(alert.line(), "Alertmanager: PoolExhausted ({}:{db=\"orders\"})");
}

#[test]
fn several_give_what_they_have_in_common_and_those_that_are_over_do_not_count() {
    let alert = read(&bytes(&group(&[
        one("firing", "a"),
        one("firing", "b"),
        one("resolved", "c"),
    ])))
    .unwrap();
    assert_eq!(alert.labels.get("pod"), None);
    assert!(alert.differing.contains("pod") && !alert.differing.contains("db"));
    let alert = read(&bytes(&group(&[one("firing", "a"), one("resolved", "c")]))).unwrap();
    assert_eq!(alert.labels["pod"], "a");
    assert!(!read(&bytes(&group(&[one("resolved", "a")]))).unwrap().firing);
}

#[test]
fn an_incident_gives_its_service_and_its_fields() {
    let document = json!({"event": {
        "id": "01", "event_type": "incident.triggered", "resource_type": "incident", "occurred_at": "2026-11-22T03:14:00Z",
        "data": {"id": "PGR0VU2", "type": "incident", "title": "A little bump", "urgency": "high", "status": "triggered",
            "service": {"id": "PF9KMXH", "type": "service_reference", "summary": "orders"}, "priority": null,
            "custom_fields": [{"id": "F1", "name": "db", "value": "orders"}, {"id": "F2", "name": "above", "value": 80},
                {"id": "F3", "name": "empty", "value": null}]}
    }});
    let alert = read(&bytes(&document)).unwrap();
    assert!(alert.firing);
    assert_eq!((alert.id.as_str(), alert.title.as_str()), ("PGR0VU2", "A little bump"));
    assert_eq!(
        (alert.labels["service"].as_str(), alert.labels["above"].as_str()),
        ("orders", "80")
    );
    assert_eq!(alert.labels.get("empty"), None);
    for (event, firing, acknowledged) in [
        ("triggered", true, Some(false)),
        ("reopened", true, Some(false)),
        ("unacknowledged", true, Some(false)),
        ("acknowledged", false, Some(true)),
        ("annotated", false, None),
        ("reassigned", false, Some(false)),
        ("delegated", false, Some(false)),
        ("escalated", false, Some(false)),
        ("priority_updated", false, None),
        ("responder.added", false, None),
        ("resolved", false, Some(true)),
    ] {
        let other = document
            .to_string()
            .replace("incident.triggered", &format!("incident.{event}"));
        let alert = read(other.as_bytes()).unwrap();
        assert_eq!((alert.firing, alert.acknowledged), (firing, acknowledged), "{event}");
        let happened = match event {
            "triggered" => "fires".to_owned(),
            "resolved" => "is over, resolved".to_owned(),
            other => format!("was {}", other.replace(['_', '.'], " ")),
        };
        assert_eq!(alert.happened, happened, "{event}");
    }
}

#[test]
fn what_is_no_alert_is_refused_with_what_was_expected() {
    for (document, words) in [
        (json!({}), "expected the web hook of Alertmanager"),
        (json!([1]), "expected the web hook of Alertmanager"),
        (json!({"alerts": []}), "missing field `version`"),
        (json!({"version": "4", "alerts": []}), "holds no alert"),
        (json!({"version": "3", "alerts": [one("firing", "a")]}), "found `3`"),
        (
            json!({"version": "4", "alerts": [{"status": "firing", "labels": {"a": 1}}]}),
            "expected a string",
        ),
        (
            json!({"event": {"event_type": "service.updated", "data": {"id": "x"}}}),
            "found `service.updated`",
        ),
        (
            json!({"event": {"event_type": "incident.triggered", "data": {}}}),
            "missing field `id`",
        ),
    ] {
        let problem = read(&bytes(&document)).unwrap_err();
        assert!(problem.contains(words), "{document}: {problem}");
    }
    assert!(read(b"\xff{").unwrap_err().contains("not a JSON document"));
    let many: serde_json::Map<_, _> = (0..300).map(|n| (format!("l{n}"), json!("x"))).collect();
    let wide = json!({"version": "4", "alerts": [{"status": "firing", "labels": many}]});
    assert!(read(&bytes(&wide)).unwrap_err().contains("more than"));
    let long = json!({"version": "4", "alerts": [{"status": "firing", "labels": {"a": "x".repeat(9000)}}]});
    assert!(read(&bytes(&long)).unwrap_err().contains("longer than"));
    let large = vec![b' '; 2 * 1024 * 1024];
    assert!(read(&large).unwrap_err().contains("larger than"));
}
