//! `aiwf/mtls-handshake` with a real nginx that wants a certificate: the client's has ended, or its server's is nobody's. The real binary in a terminal.

use super::{Nginx, authority, files, made, room};
use crate::exec::Bench;
use crate::support::daemon::file;
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use std::path::PathBuf;
use std::time::Duration;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/aiwf/mtls-handshake.starr");

const ASKED: &str = "Which clients have certificates that nobody watches?";

struct Gateway {
    folder: PathBuf,
    nginx: Nginx,
    _bench: Bench,
    desk: Desk,
}

/// nginx lets clients of our authority in. The client's certificate holds for these days.
fn gateway(days: (i64, i64)) -> Gateway {
    let folder = room();
    let ours = authority("Our Authority");
    let ca = file(&folder, "ca.crt", &ours.pem);
    files(&folder, "server", &made(&ours, "server", &["localhost"], (-1, 90)));
    let client = made(&ours, "client", &["client"], days);
    files(&folder, "client", &client);
    files(&folder, "next", &made(&ours, "renewed", &["client"], (-1, 90)));
    let shown = folder.display();
    let block = format!(
        "ssl_certificate {shown}/server.crt; ssl_certificate_key {shown}/server.key;
         ssl_verify_client on; ssl_client_certificate {};",
        ca.display()
    );
    let contract = format!(
        "does: change, output: none, arguments: [{{ name: client, type: Text }}], confine: {{ writes: [{shown}] }}"
    );
    let copy = |from: &str, to: &str| {
        ["crt", "key"]
            .map(|end| format!("cp {shown}/{from}.{end} {shown}/{to}.{end}\n"))
            .concat()
    };
    let bench = Bench::new()
        .script(
            "aiwf-renew-client-certificate",
            &contract,
            &format!("#!/bin/sh -e\n{}{}", copy("client", "before"), copy("next", "client")),
        )
        .script(
            "aiwf-put-back-client-certificate",
            &contract,
            &format!("#!/bin/sh -e\n{}", copy("before", "client")),
        );
    let nginx = Nginx::start(folder.clone(), &[block]);
    let site = format!(
        "url: 'https://localhost:{}', ca: {}, addresses: [loopback]",
        nginx.ports[0],
        ca.display()
    );
    let desk = Desk::new(&format!(
        "    http:
      endpoints:
        site: {{ {site} }}
        aiwf-health-as-client: {{ {site}, client: {{ certificate: {shown}/client.crt, key: {shown}/client.key }} }}
    tls:
      files:
        aiwf-client: {{ certificate: {shown}/client.crt, ca: {}, shows: client }}
{}    grants:
      - {{ capability: http, effects: [read], targets: ['https://localhost:{}'] }}
      - {{ capability: tls,  effects: [read], targets: [aiwf-client] }}
      - {{ capability: exec, effects: [change], targets: [aiwf-renew-client-certificate, aiwf-put-back-client-certificate] }}
",
        ca.display(),
        bench.entry(),
        nginx.ports[0]
    ));
    Gateway {
        folder,
        nginx,
        _bench: bench,
        desk,
    }
}

impl Gateway {
    fn run(&self) -> std::process::Command {
        self.desk
            .command(&["run", BOOK, "--set", "site=site", "--answer", "reported=yes"])
    }

    /// Whether the renewed certificate is the one that is shown.
    fn renewed(&self) -> bool {
        let read = |name: &str| std::fs::read(self.folder.join(name)).unwrap();
        read("client.crt") == read("next.crt")
    }
}

/// The run itself must show the new certificate, and make a handshake anew: it had asked with the one that has ended.
#[tokio::test]
async fn a_clients_certificate_that_has_ended_is_renewed_and_the_same_run_gets_in() {
    let gateway = gateway((-60, -2));
    let seen = attended(gateway.run(), 0, |person| {
        person.approve("Renew the certificate of client");
        // The goal must hold for a minute.
        person.wait_within("RESOLVED", Duration::from_secs(120));
        person.pass(ASKED);
    })
    .await;
    assert!(
        seen.contains("RESOLVED") && seen.contains("client_ended"),
        "{seen}\n{}",
        gateway.nginx.daemon.log()
    );
    assert!(gateway.renewed());
    gateway
        .desk
        .reported(&["Renew the certificate of client", "resolved", "answered, status 400"]);
}

#[tokio::test]
async fn a_refused_renewal_leaves_the_client_outside() {
    let gateway = gateway((-60, -2));
    let seen = attended(gateway.run(), 3, |person| {
        person.refuse("it is taken out of use");
        person.pass(ASKED);
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(!gateway.renewed());
}

/// Well on both sides: what the application answers has nothing to do with certificates.
#[tokio::test]
async fn a_client_that_is_let_in_is_no_case_for_this_runbook() {
    let gateway = gateway((-1, 90));
    let seen = gateway
        .desk
        .run(&["run", BOOK, "--set", "site=site", "--answer", "reported=no"]);
    assert!(seen.1 == Some(0) && seen.0.contains("NOT PRESENT"), "{seen:?}");
    assert!(!gateway.renewed());
}
