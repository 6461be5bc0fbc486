//! An incident: a pool that has been full for a while, and alerts that keep people from working on it. The real binary against real
//! servers.

use super::{Alerts, Metrics};
use crate::support::desk::Desk;
use crate::support::gated::items;
use crate::support::terminal::attended;
use starr::value::Value;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/alert-storm.starr");

fn broken() -> (Metrics, Alerts, Desk) {
    let metrics = Metrics::start();
    let alerts = Alerts::start();
    alerts.sound("PoolFull", "shop");
    alerts.sound("SlowAnswers", "shop");
    let desk = Desk::new(&format!(
        "    prometheus:   {{ servers: {{ prometheus:   {{ url: 'http://127.0.0.1:{}' }} }} }}
    alertmanager: {{ servers: {{ alertmanager: {{ url: 'http://127.0.0.1:{}' }} }} }}
    grants:
      - {{ capability: prometheus,            effects: [read],   targets: [prometheus] }}
      - {{ capability: alertmanager,          effects: [read],   targets: [alertmanager] }}
      - {{ capability: alertmanager.silences, effects: [change], targets: [alertmanager] }}
",
        metrics.port, alerts.port
    ));
    (metrics, alerts, desk)
}

async fn standing(alerts: &Alerts) -> usize {
    let active = [("state", Value::variant("active"))];
    items(&alerts.world().read("silences.list", &active).await).len()
}

#[tokio::test]
async fn a_storm_is_found_approved_silenced_and_verified() {
    let (_metrics, alerts, desk) = broken();
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Keep the alerts of shop silent")
    })
    .await;
    assert!(seen.contains("storm") && seen.contains("RESOLVED"), "{seen}");
    assert!(seen.contains("97 %"), "{seen}");
    assert_eq!(standing(&alerts).await, 1);
    desk.reported(&["Keep the alerts of shop silent", "resolved", "97 %"]);
}

#[tokio::test]
async fn a_refused_silence_is_not_made() {
    let (_metrics, alerts, desk) = broken();
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("we want to hear them")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(standing(&alerts).await, 0);
}
