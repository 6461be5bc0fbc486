//! An incident: a shop that was closed and forgotten. The real binary against a real server, over the provider `http`.

use super::{Asked, Server};
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/sale-closed.starr");

#[derive(Default)]
struct Shop {
    open: bool,
    change: Option<&'static str>,
    keys: BTreeSet<String>,
}

fn answer(shop: &Mutex<Shop>, asked: &Asked) -> Option<(u16, Json)> {
    let mut shop = shop.lock().unwrap();
    assert_eq!(asked.path, "/state");
    if asked.method == "POST" {
        assert!(shop.keys.insert(asked.header("idempotency-key").to_owned()));
        shop.open = asked.json()["open"] == true;
    }
    Some((200, json!({"open": shop.open, "change": shop.change})))
}

fn closed(change: Option<&'static str>) -> (Arc<Mutex<Shop>>, Server, Desk) {
    let shop = Arc::new(Mutex::new(Shop {
        change,
        ..Shop::default()
    }));
    let mine = shop.clone();
    let server = Server::new(move |asked| answer(&mine, asked));
    let desk = Desk::new(&format!(
        "    http: {{ endpoints: {{ shop: {{ url: \"{0}\" }} }} }}
    grants:
      - {{ capability: http, effects: [read, change], targets: [\"{0}\"] }}
",
        server.url()
    ));
    (shop, server, desk)
}

#[tokio::test]
async fn a_shop_that_was_forgotten_is_found_approved_opened_and_verified() {
    let (shop, server, desk) = closed(None);
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Open the shop again");
        person.pass("Who closed it");
    })
    .await;
    assert!(seen.contains("forgotten") && seen.contains("RESOLVED"), "{seen}");
    assert!(shop.lock().unwrap().open);
    assert_eq!(server.sent(), 1);
    desk.reported(&["Open the shop again", "It was not opened again", "at_work", "resolved"]);
}

#[tokio::test]
async fn a_shop_whose_opening_is_refused_stays_closed() {
    let (shop, server, desk) = closed(None);
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("the prices are wrong");
        person.pass("Who closed it");
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(!shop.lock().unwrap().open);
    assert_eq!(server.sent(), 0);
    let (report, _) = desk.run(&["report", "latest"]);
    assert!(report.contains("the prices are wrong"), "{report}");
}

#[tokio::test]
async fn a_shop_at_which_somebody_works_is_another_cause_and_is_left_alone() {
    let (shop, server, desk) = closed(Some("under way"));
    let seen = attended(desk.command(&["run", BOOK]), 1, |person| {
        person.pass("Who closed it");
    })
    .await;
    assert!(seen.contains("A change is under way"), "{seen}");
    assert!(!shop.lock().unwrap().open);
    assert_eq!(server.sent(), 0);
}
