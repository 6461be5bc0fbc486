//! An incident: a name that its server has lost. The real binary in a terminal, a real server whose files a real program mends.

use super::{data, dnsmasq, world};
use crate::exec::Bench;
use crate::support::daemon::{Daemon, file, folder, free_port};
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use starr::value::Value;
use std::path::PathBuf;
use std::time::Instant;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/name-missing.starr");

struct Names {
    port: u16,
    hosts: PathBuf,
    _daemon: Daemon,
    _bench: Bench,
    desk: Desk,
}

impl Names {
    /// A server that reads its names again whenever a file of its folder changes, and that has lost one of them.
    async fn broken() -> Self {
        let room = folder("names");
        let hosts = room.join("hosts");
        std::fs::create_dir(&hosts).unwrap();
        file(&hosts, "kept", "10.1.2.4 mail.test\n");
        let port = free_port();
        let words = vec!["--local-ttl=1".to_owned(), format!("--hostsdir={}", hosts.display())];
        let daemon = dnsmasq(port, room, words);
        let shown = hosts.display();
        let contract = |more: &str| {
            format!(
                "does: change, output: none, arguments: [{{ name: name, type: Text, matches: '[a-z.]+' }}{more}], confine: {{ writes: [{shown}] }}"
            )
        };
        let bench = Bench::new()
            .script(
                "name_add",
                &contract(", { name: address, type: Text, matches: '[0-9.]+' }"),
                &format!("#!/bin/sh -e\necho \"$2 $1\" >{shown}/$1\n"),
            )
            .script("name_drop", &contract(""), &format!("#!/bin/sh -e\nrm -f {shown}/$1\n"));
        let desk = Desk::new(&format!(
            "    dns: {{ servers: {{ inside: {{ address: 127.0.0.1, port: {port} }} }} }}
{}    grants:
      - {{ capability: dns,  effects: [read],   targets: [inside] }}
      - {{ capability: exec, effects: [change], targets: [name_add, name_drop] }}
",
            bench.entry()
        ));
        let names = Self {
            port,
            hosts,
            _daemon: daemon,
            _bench: bench,
            desk,
        };
        names.waits_for("mail.test", "10.1.2.4").await;
        assert!(names.entries("web.test").await.is_empty());
        names
    }

    async fn entries(&self, name: &str) -> Vec<Value> {
        data(&world(self.port), name, "a").await
    }

    async fn waits_for(&self, name: &str, address: &str) {
        let deadline = Instant::now() + std::time::Duration::from_secs(30);
        while self.entries(name).await != [Value::text(address)] {
            assert!(Instant::now() < deadline, "{name} does not come");
        }
    }
}

#[tokio::test]
async fn a_name_that_was_lost_is_found_approved_written_and_verified() {
    let names = Names::broken().await;
    let seen = attended(names.desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Write web.test into the file of inside");
    })
    .await;
    assert!(seen.contains("left_out") && seen.contains("RESOLVED"), "{seen}");
    assert!(seen.contains("silent  refuted"), "{seen}");
    assert_eq!(names.entries("web.test").await, [Value::text("10.1.2.3")]);
    names.desk.reported(&[
        "Write web.test into the file of inside",
        "The name is missing in its file",
        "name_add",
        "resolved",
    ]);
}

#[tokio::test]
async fn a_refused_name_stays_lost() {
    let names = Names::broken().await;
    let seen = attended(names.desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("it was given up on purpose");
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(!names.hosts.join("web.test").exists());
    assert!(names.entries("web.test").await.is_empty());
    names.desk.reported(&["it was given up on purpose"]);
}
