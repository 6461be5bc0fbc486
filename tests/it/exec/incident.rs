//! An incident: a lock that its owner has left behind. The real binary in a terminal, with real programs.

use super::Bench;
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use std::path::Path;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/stale-lock.starr");

fn broken(locks: &Path) -> (Bench, Desk) {
    std::fs::write(locks.join("report.lock"), "4711\n").unwrap();
    let shown = locks.display();
    let named = "arguments: [{ name: lock, type: Text, matches: '[a-z]+' }]";
    let bench = Bench::new()
        .script(
            "lock_held",
            &format!("does: read, output: json, exit: {{ no: [1] }}, schema: {{ held: Bool, owner: Int? }}, {named}, confine: {{ reads: [{shown}] }}"),
            &format!(
                "#!/bin/sh\nread owner < {shown}/$1.lock 2>/dev/null || {{ echo '{{\"held\": false}}'; exit 1; }}\necho \"{{\\\"held\\\": true, \\\"owner\\\": $owner}}\"\n"
            ),
        )
        .script(
            "lock_clear",
            &format!("does: change, repeatable: true, {named}, confine: {{ writes: [{shown}] }}"),
            &format!("#!/bin/sh\nrm -f {shown}/$1.lock\n"),
        );
    let desk = Desk::new(&format!(
        "{}    grants:
      - {{ capability: exec, effects: [read],   targets: [lock_held] }}
      - {{ capability: exec, effects: [change], targets: [lock_clear] }}
",
        bench.entry()
    ));
    (bench, desk)
}

#[tokio::test]
async fn a_lock_that_was_left_behind_is_found_approved_cleared_and_verified() {
    let locks = tempfile::tempdir().unwrap();
    let (_bench, desk) = broken(locks.path());
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Clear the lock report")
    })
    .await;
    assert!(seen.contains("left_behind") && seen.contains("RESOLVED"), "{seen}");
    assert!(!locks.path().join("report.lock").exists());
    desk.reported(&["Clear the lock report", "resolved", "lock_clear"]);
    let (doctor, _) = desk.run(&["doctor"]);
    assert!(
        doctor.contains("exec lock_held") && doctor.contains("Landlock"),
        "{doctor}"
    );
}

#[tokio::test]
async fn a_refused_order_leaves_the_lock() {
    let locks = tempfile::tempdir().unwrap();
    let (_bench, desk) = broken(locks.path());
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("its owner is at work")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(locks.path().join("report.lock").exists());
}
