//! An incident: a container that has ended. The real binary in a terminal against a real engine.

use super::{Host, get};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::gated::field;
use crate::support::terminal::Terminal;
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
    let command = desk.command(&["run", BOOK, "--set", "name=incident-one"]);
    let seen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approval needed: Start incident-one again");
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        assert_eq!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    assert!(seen.contains("was_killed") && seen.contains("RESOLVED"), "{seen}");
    let now = get(&Host::shared().world(), "incident-one").await;
    assert_eq!(field(&now, "state"), Value::variant("running"));
    let (report, _) = desk.run(&["report", "latest"]);
    for words in ["Start incident-one again", "resolved", "137"] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
}

#[tokio::test]
async fn a_refused_start_leaves_it_as_it_is() {
    let desk = broken("incident-two");
    let command = desk.command(&["run", BOOK, "--set", "name=incident-two"]);
    let seen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("no");
        terminal.wait_for("Why not?");
        terminal.answer("somebody looks at it");
        assert_eq!(terminal.end(), 3, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    let now = get(&Host::shared().world(), "incident-two").await;
    assert_eq!(field(&now, "state"), Value::variant("exited"));
}
