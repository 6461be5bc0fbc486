//! An incident: a cache whose memory is full and that throws nothing out. The real binary in a terminal against a real server.

use super::Server;
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::attended;
use redis::Commands;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/cache-full.starr");

/// A server that refuses every write, and a desk that knows it.
fn broken() -> (Server, Desk, tempfile::TempDir) {
    let server = Server::start();
    let mut admin = server.admin();
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("maxmemory")
        .arg("3mb")
        .exec(&mut admin)
        .unwrap();
    let mut index = 0;
    while admin
        .set::<_, _, ()>(format!("page:{index}"), "x".repeat(16 << 10))
        .is_ok()
    {
        index += 1;
        assert!(index < 10_000, "the memory does not become full");
    }
    assert!(admin.set::<_, _, ()>("one-more", "x".repeat(64 << 10)).is_err());
    let secrets = tempfile::tempdir().unwrap();
    let desk = Desk::new(&format!(
        "    redis: {{ servers: {{ cache: {} }} }}
    grants:
      - {{ capability: redis,          effects: [read],   targets: [cache] }}
      - {{ capability: redis.settings, effects: [change], targets: [cache] }}
",
        server.entry(secrets.path(), "")
    ));
    (server, desk, secrets)
}

fn policy(server: &Server) -> String {
    let (_, policy): (String, String) = redis::cmd("CONFIG")
        .arg("GET")
        .arg("maxmemory-policy")
        .query(&mut server.admin())
        .unwrap();
    policy
}

#[tokio::test]
async fn a_full_cache_is_found_approved_repaired_and_verified() {
    let (server, desk, _secrets) = broken();
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Let cache make room")
    })
    .await;
    assert!(seen.contains("keeps_all") && seen.contains("RESOLVED"), "{seen}");
    assert_eq!(policy(&server), "allkeys-lru");
    server.set("one-more", &"x".repeat(64 << 10));
    assert!(
        !server.admin().exists::<_, bool>("starr:lock").unwrap(),
        "the lock was given back"
    );
    let report = desk.reported(&["Let cache make room", "resolved", "noeviction", "allkeys-lru"]);
    assert!(!report.contains("change-secret") && !seen.contains("change-secret"));
}

#[tokio::test]
async fn a_refused_change_leaves_the_cache_as_it_is() {
    let (server, desk, _secrets) = broken();
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("sessions live in it")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(policy(&server), "noeviction");
}

/// Whoever may not ask does not learn that all is well.
#[tokio::test]
async fn a_check_that_may_not_ask_is_unknown_and_leads_to_no_change() {
    let (server, desk, _secrets) = broken();
    server.user("starr-read", "read-secret", "+ping");
    let mut command = desk.command(&["run", BOOK, "--unattended"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{seen}");
    assert!(
        seen.contains("ESCALATED") && seen.contains("not allowed to ask"),
        "{seen}"
    );
    assert_eq!(policy(&server), "noeviction");
}
