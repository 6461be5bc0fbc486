//! Alerts and silences.

use super::{Alerts, alerts_at, document, fake};
use crate::support::gated::{field, items, reason};
use serde_json::json;
use starr::provider::Outcome;
use starr::value::{Reason, Value};

fn silence(matching: serde_json::Value, minutes: i64) -> [(&'static str, Value); 3] {
    [
        ("matching", document(matching)),
        ("lasting", Value::Duration(minutes * 60_000_000_000)),
        ("comment", Value::text("a release of the shop")),
    ]
}

#[tokio::test]
async fn a_silence_is_made_once_and_taken_back() {
    let server = Alerts::start();
    let world = server.world();
    server.sound("PoolFull", "shop");
    server.sound("PoolFull", "other");
    assert_eq!(items(&world.read("alerts", &[]).await).len(), 2);
    let shop = [("matching", document(json!({"service": "shop"})))];
    let alerts = items(&world.read("alerts", &shop).await);
    assert_eq!(field(&alerts[0], "name"), Value::text("PoolFull"));
    let made = world
        .done("silences.create", &silence(json!({"service": "shop"}), 30))
        .await;
    assert_eq!(
        field(&made, "matching"),
        Value::list(vec![Value::text("service=\"shop\"")])
    );
    // The same key again: nothing more is made.
    let again = world
        .done("silences.create", &silence(json!({"service": "shop"}), 30))
        .await;
    assert_eq!(field(&again, "id"), field(&made, "id"));
    assert_eq!(items(&world.read("silences.list", &[]).await).len(), 1);
    let state = |alerts: &[Value]| field(&alerts[0], "state");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        // What is silenced is computed when somebody asks.
        let alerts = items(&world.read("alerts", &shop).await);
        if state(&alerts) == Value::variant("suppressed") {
            assert_eq!(field(&alerts[0], "silenced_by"), Value::list(vec![field(&made, "id")]));
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{alerts:?}");
    }
    // Somebody else's silence with the same labels is not ours to end.
    let now = jiff::Timestamp::now();
    let theirs = json!({
        "matchers": [{"name": "service", "value": "shop", "isRegex": false}],
        "startsAt": now.to_string(),
        "endsAt": (now + jiff::SignedDuration::from_hours(1)).to_string(),
        "createdBy": "maria",
        "comment": "a release of the shop",
    });
    assert_eq!(
        super::http(server.port, "POST", "/api/v2/silences", &theirs.to_string()).0,
        200
    );
    let end = [
        ("matching", document(json!({"service": "shop"}))),
        ("comment", Value::text("a release of the shop")),
    ];
    assert_eq!(world.done("silences.end", &end).await, Value::Int(1));
    assert_eq!(world.done("silences.end", &end).await, Value::Int(0));
    let standing = items(
        &world
            .read("silences.list", &[("state", Value::variant("active"))])
            .await,
    );
    assert_eq!(standing.len(), 1);
    assert_eq!(field(&standing[0], "by"), Value::text("maria"));
}

#[tokio::test]
async fn what_would_silence_too_much_is_refused_before_anything_is_sent() {
    let server = Alerts::start();
    let world = server.world();
    for (matching, minutes, why) in [
        (json!({}), 30, Reason::Unparsable),
        (json!({"service": ""}), 30, Reason::Unparsable),
        (json!({"service": "shop"}), 0, Reason::Unparsable),
        (json!({"service": "shop"}), 60 * 25, Reason::Denied),
    ] {
        assert_eq!(
            world.refused("silences.create", &silence(matching, minutes)).await.0,
            why
        );
    }
    assert_eq!(items(&world.read("silences.list", &[]).await).len(), 0);
}

#[tokio::test]
async fn its_state_is_told_and_odd_servers_are_not_believed() {
    let server = Alerts::start();
    let world = server.world();
    let status = world.read("status", &[]).await;
    assert_eq!(field(&status, "cluster"), Value::text("disabled"));
    assert_eq!(field(&world.read("ready", &[]).await, "ok"), Value::Bool(true));
    let args = silence(json!({"service": "shop"}), 30);
    for (status, body) in [(500, ""), (200, "{}"), (401, "no"), (200, "<html>")] {
        let odd = alerts_at(fake(status, body).await);
        for path in ["alerts", "silences.list"] {
            let value = odd.read(path, &[]).await;
            assert!(value.as_unknown().is_some(), "{path}: {status} {body}");
        }
        // Whether it was there before cannot be told, so nothing is made.
        odd.refused("silences.create", &args).await;
    }
    let denied = alerts_at(fake(403, "no").await);
    assert_eq!(reason(&denied.read("alerts", &[]).await).0, Reason::Denied);
    // A list of none for the question before, and the same reply to what is sent: nobody knows what became of it.
    let empty = alerts_at(fake(200, "[]").await);
    let outcome = empty.change("silences.create", &args).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
}
