//! An incident in which everybody has to know: the pager is told, acknowledged and told that it is over; or nobody can be paged, and the
//! next of the row is told. The real binary in a terminal, real servers for all three.

use super::{Desk, MAIL, PASSWORD, ROUTING_KEY, Smtp, Taker, events_api, fine, trusting};
use crate::support::daemon::free_port;
use crate::support::terminal::attended;
use serde_json::{Value as Json, json};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/shop-down.starr");

struct Shop {
    chat: Taker,
    pager: Taker,
    mail: Smtp,
    port: u16,
    desk: Desk,
    _place: tempfile::TempDir,
}

impl Shop {
    /// Nobody listens on its port.
    fn down(pager: Taker) -> Self {
        let place = tempfile::tempdir().unwrap();
        let chat = fine();
        let mail = Smtp::start(place.path(), &["--user", "starr", "--password", PASSWORD]);
        let desk = Desk::new(&chat, &pager, mail.port, &trusting(place.path(), MAIL), "");
        Self {
            chat,
            pager,
            mail,
            port: free_port(),
            desk,
            _place: place,
        }
    }

    fn run(&self) -> std::process::Command {
        let mut command = self
            .desk
            .command(&["run", BOOK, "--set", &format!("port={}", self.port)]);
        command.env("TERM", "xterm-256color");
        command
    }

    fn events(&self) -> Vec<Json> {
        self.pager.taken().into_iter().map(|(_, event)| event).collect()
    }
}

/// Waits until somebody was told something.
fn arrives(told: &Mutex<Vec<(String, Json)>>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while told.lock().unwrap().is_empty() {
        assert!(Instant::now() < deadline, "nobody is told");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_page_is_sent_acknowledged_and_resolved_under_one_key_and_mail_says_that_it_is_over() {
    let mut shop = Shop::down(Taker::new(events_api));
    let (port, open) = (shop.port, Arc::new(Mutex::new(None)));
    let (mine, paged) = (open.clone(), shop.pager.taken.clone());
    let seen = attended(shop.run(), 0, move |person| {
        person.wait_for("Who is at it?");
        person.wait_for("who: ");
        arrives(&paged);
        person.answer("ann");
        person.approve("Start the shop");
        person.wait_for("To do by hand: Start the shop");
        person.wait_for("Type done or failed:");
        *mine.lock().unwrap() = Some(TcpListener::bind(("127.0.0.1", port)).unwrap());
        person.answer("done");
        person.wait_for("A note for the record");
        person.answer("it had run out of memory");
    })
    .await;
    assert!(seen.contains("RESOLVED"), "{seen}");
    let events = shop.events();
    let actions: Vec<&str> = events.iter().map(|one| one["event_action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["trigger", "acknowledge", "resolve"], "{events:?}");
    assert!(
        events.iter().all(|one| one["dedup_key"] == events[0]["dedup_key"]),
        "{events:?}"
    );
    assert_eq!(events[0]["payload"]["severity"], "critical");
    // Somebody came: whoever is told later need not be.
    assert!(shop.chat.taken().is_empty());
    assert_eq!(shop.mail.message()["subject"], "The shop is open");
    let report = shop.desk.report();
    for words in [
        "Start the shop",
        "it had run out of memory",
        "pager.acknowledge",
        "pager.resolve",
        "mail.send",
    ] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
    for secret in [ROUTING_KEY, PASSWORD] {
        assert!(!seen.contains(secret) && !report.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn where_the_page_does_not_arrive_the_next_of_the_row_is_told_and_a_refusal_tells_the_rest() {
    let full = || Taker::new(|_, _| Some((429, json!({"status": "throttle exceeded", "message": "slow down"}))));
    let mut shop = Shop::down(full());
    let told = shop.chat.taken.clone();
    let seen = attended(shop.run(), 3, move |person| {
        person.wait_for("Who is at it?");
        person.wait_for("who: ");
        person.answer("ann");
        person.wait_for("Approve?");
        // Not in an hour: nobody was paged.
        arrives(&told);
        assert_eq!(told.lock().unwrap()[0].1["text"], "Nobody runs the shop");
        person.answer("no");
        person.wait_for("Why not?");
        person.answer("the building is being left");
    })
    .await;
    assert!(seen.contains("REFUSED") && seen.contains("slow down"), "{seen}");
    assert_eq!(shop.mail.message()["subject"], "The shop is down");
    assert_eq!(shop.chat.taken().len(), 1);
    assert!(TcpListener::bind(("127.0.0.1", shop.port)).is_ok(), "somebody listens");
    let report = shop.desk.report();
    for words in ["slow down", "the building is being left", "refused"] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
}
