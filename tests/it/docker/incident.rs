//! An incident: a container that has ended. The real binary in a terminal against a real engine.

use super::{Host, get};
use crate::support::desk::Desk;
use crate::support::gated::field;
use crate::support::terminal::attended;
use starr::value::Value;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/container-down.starr");

fn broken(name: &str) -> Desk {
    let host = Host::shared();
    host.container(name, name, "trap 'exit 0' TERM; while true; do sleep 0.1; done");
    host.podman(&["kill", name]);
    host.podman(&["wait", name]);
    Desk::new(&format!(
        "    docker: {{ engines: {{ here: {{ socket: {} }} }} }}
    grants:
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
",
        host.socket().display()
    ))
}

#[tokio::test]
async fn a_container_that_ended_is_found_approved_started_and_verified() {
    let desk = broken("incident-one");
    let seen = attended(
        desk.command(&["run", BOOK, "--set", "name=incident-one"]),
        0,
        |person| person.approve("Start incident-one again"),
    )
    .await;
    assert!(seen.contains("was_killed") && seen.contains("RESOLVED"), "{seen}");
    let now = get(&Host::shared().world(), "incident-one").await;
    assert_eq!(field(&now, "state"), Value::variant("running"));
    desk.reported(&["Start incident-one again", "resolved", "137"]);
}

#[tokio::test]
async fn a_refused_start_leaves_it_as_it_is() {
    let desk = broken("incident-two");
    let seen = attended(
        desk.command(&["run", BOOK, "--set", "name=incident-two"]),
        3,
        |person| person.refuse("somebody looks at it"),
    )
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    let now = get(&Host::shared().world(), "incident-two").await;
    assert_eq!(field(&now, "state"), Value::variant("exited"));
}
