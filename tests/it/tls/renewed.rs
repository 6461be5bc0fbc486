//! `aiwf/cert-validation-failures` with a real nginx, a real container in the place of the proxy, and programs that renew: the real binary in a terminal.

use super::{Nginx, authority, files, made, room};
use crate::docker::Host;
use crate::exec::Bench;
use crate::support::daemon::file;
use crate::support::desk::Desk;
use crate::support::terminal::{Terminal, attended};
use std::path::PathBuf;
use std::time::Duration;

const BOOK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/runbooks/aiwf/cert-validation-failures.starr"
);

struct Site {
    folder: PathBuf,
    nginx: Nginx,
    _bench: Bench,
    desk: Desk,
    project: &'static str,
}

/// nginx shows a certificate that has ended, and reads its files at each handshake; its container is another one, which can be restarted.
fn ended(project: &'static str) -> Site {
    let folder = room();
    let ours = authority("Our Authority");
    let ca = file(&folder, "ca.crt", &ours.pem);
    files(&folder, "localhost", &made(&ours, "old", &["localhost"], (-60, -2)));
    files(&folder, "next", &made(&ours, "new", &["localhost"], (-1, 90)));
    let shown = folder.display();
    let block =
        format!("ssl_certificate {shown}/$ssl_server_name.crt; ssl_certificate_key {shown}/$ssl_server_name.key;");
    let nginx = Nginx::start(folder.clone(), &[block]);
    let copy = |from: &str, to: &str| {
        ["crt", "key"]
            .map(|end| format!("cp {shown}/{from}.{end} {shown}/{to}.{end}\n"))
            .concat()
    };
    let contract = format!("does: change, output: none, confine: {{ writes: [{shown}] }}");
    let bench = Bench::new()
        .script(
            "aiwf-renew-server-certificate",
            &format!("{contract}, arguments: [{{ name: name, type: Text }}]"),
            &format!("#!/bin/sh -e\n{}{}", copy("localhost", "before"), copy("next", "$1")),
        )
        .script(
            "aiwf-put-back-server-certificate",
            &contract,
            &format!("#!/bin/sh -e\n{}", copy("before", "localhost")),
        );
    let waits = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
    Host::shared().container_with(project, project, "caddy", &[], waits);
    let site = format!("https://localhost:{}", nginx.ports[0]);
    let desk = Desk::new(&format!(
        "    http: {{ endpoints: {{ site: {{ url: '{site}', ca: {ca}, addresses: [loopback] }} }} }}
    tls: {{ files: {{ aiwf-server: {{ certificate: {shown}/localhost.crt, ca: {ca} }} }} }}
    docker: {{ engines: {{ here: {{ socket: {socket} }} }} }}
{programs}    grants:
      - {{ capability: http,              effects: [read],   targets: ['{site}'] }}
      - {{ capability: tls,               effects: [read],   targets: [aiwf-server] }}
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
      - {{ capability: exec,              effects: [change], all: true }}
",
        ca = ca.display(),
        socket = Host::shared().socket().display(),
        programs = bench.entry()
    ));
    Site {
        folder,
        nginx,
        _bench: bench,
        desk,
        project,
    }
}

impl Site {
    fn run(&self) -> std::process::Command {
        let project = format!("project={}", self.project);
        let set = ["site=site", "engine=here", &project].map(|one| ["--set", one]);
        let mut words = vec!["run", BOOK, "--answer", "reported=yes"];
        words.extend(set.as_flattened());
        self.desk.command(&words)
    }

    fn renewed(&self) -> bool {
        let read = |name: &str| std::fs::read(self.folder.join(name)).unwrap();
        read("localhost.crt") == read("next.crt")
    }

    fn over(&self) {
        Host::shared().podman(&["rm", "--force", "--time", "0", self.project]);
    }
}

fn pass(person: &mut Terminal) {
    person.pass("Who knew the date, and why was it missed?");
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_renewed_shown_and_seen_to_be_trusted() {
    let site = ended("renewed-one");
    let seen = attended(site.run(), 0, |person| {
        person.approve("Renew the certificate for localhost");
        // The goal must hold for a minute.
        person.wait_within("RESOLVED", Duration::from_secs(120));
        pass(person);
    })
    .await;
    assert!(seen.contains("aged"), "{seen}\n{}", site.nginx.daemon.log());
    assert!(site.renewed());
    site.desk.reported(&[
        "reply.reply is bad_certificate: bad_certificate",
        "docker.containers.restart",
        "Reached: yes.",
    ]);
    site.over();
}

#[tokio::test]
async fn a_refused_renewal_leaves_what_is_shown() {
    let site = ended("renewed-two");
    let seen = attended(site.run(), 3, |person| {
        person.refuse("it is replaced by another at ten");
        pass(person);
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(!site.renewed());
    site.over();
}
