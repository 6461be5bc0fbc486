//! An incident: a circuit breaker that stays open although what is behind it is well again. The real binary against a real service.

use super::{Shop, shop};
use crate::support::desk::Desk;
use crate::support::gated::field;
use crate::support::terminal::attended;
use starr::value::Value;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/breaker-stuck.starr");

fn desk(service: &Shop) -> Desk {
    let indented: String = service
        .config("")
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect();
    Desk::new(&format!(
        "    app:\n{indented}    grants:
      - {{ capability: app,          effects: [read],   targets: [shop] }}
      - {{ capability: app.breakers, effects: [change], targets: [shop] }}
"
    ))
}

async fn breaker(service: &Shop) -> Value {
    let name = ("name", Value::text("payments"));
    field(
        &service.world().read("breakers.get", &[name, ("on", shop())]).await,
        "state",
    )
}

#[tokio::test]
async fn a_breaker_that_is_stuck_is_found_approved_reset_and_verified() {
    let service = Shop::start(&["--open-breaker", "payments"]);
    let desk = desk(&service);
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Close the breaker payments")
    })
    .await;
    assert!(seen.contains("stuck") && seen.contains("RESOLVED"), "{seen}");
    assert_eq!(breaker(&service).await, Value::variant("closed"));
    desk.reported(&["Close the breaker payments", "resolved", "93.5 %"]);
}

#[tokio::test]
async fn a_refused_order_leaves_it_open() {
    let service = Shop::start(&["--open-breaker", "payments"]);
    let desk = desk(&service);
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("the bank asked us to wait")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(breaker(&service).await, Value::variant("open"));
}
