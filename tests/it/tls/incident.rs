//! An incident: the certificate of a web server has expired. The real binary in a terminal, real nginx, real programs.

use super::{Nginx, authority, files, first, made, room, server, world};
use crate::exec::Bench;
use crate::support::daemon::file;
use crate::support::desk::Desk;
use crate::support::gated::field;
use crate::support::terminal::attended;
use starr::value::Value;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/expired-certificate.starr");

struct Site {
    nginx: Nginx,
    _bench: Bench,
    desk: Desk,
    config: String,
}

/// nginx reads certificate and key at each handshake, so that a renewal is nothing but files.
fn expired() -> Site {
    let folder = room();
    let ours = authority("Our Authority");
    let ca = file(&folder, "ca.crt", &ours.pem);
    files(&folder, "localhost", &made(&ours, "old", &["localhost"], (-60, -2)));
    files(&folder, "next", &made(&ours, "new", &["localhost"], (-1, 90)));
    let shown = folder.display();
    let block =
        format!("ssl_certificate {shown}/$ssl_server_name.crt; ssl_certificate_key {shown}/$ssl_server_name.key;");
    let copy = |from: &str, to: &str| {
        ["crt", "key"]
            .map(|end| format!("cp {shown}/{from}.{end} {shown}/{to}.{end}\n"))
            .concat()
    };
    let contract = format!("does: change, output: none, confine: {{ writes: [{shown}] }}");
    let bench = Bench::new()
        .script(
            "renew",
            &contract,
            &format!(
                "#!/bin/sh -e\n{}{}",
                copy("localhost", "before"),
                copy("next", "localhost")
            ),
        )
        .script(
            "put_back",
            &contract,
            &format!("#!/bin/sh -e\n{}", copy("before", "localhost")),
        );
    let nginx = Nginx::start(folder.clone(), &[block]);
    let config = format!(
        "servers: {{ site: {{ host: localhost, port: {}, ca: {} }} }}",
        nginx.ports[0],
        ca.display()
    );
    let desk = Desk::new(&format!(
        "    tls:\n      {config}\n{}    grants:
      - {{ capability: tls,  effects: [read],   targets: [site] }}
      - {{ capability: exec, effects: [change], targets: [renew, put_back] }}
",
        bench.entry()
    ));
    Site {
        nginx,
        _bench: bench,
        desk,
        config,
    }
}

impl Site {
    async fn subject(&self) -> Value {
        let chain = world(&self.config).read("chain", &[server("site")]).await;
        field(&first(&field(&chain, "certificates")).1, "subject")
    }
}

#[tokio::test]
async fn an_expired_certificate_is_found_approved_renewed_and_verified() {
    let site = expired();
    assert_eq!(site.subject().await, Value::text("CN=old"));
    let seen = attended(site.desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Renew the certificate of site")
    })
    .await;
    assert!(
        seen.contains("expired") && seen.contains("RESOLVED"),
        "{seen}\n{}",
        site.nginx.daemon.log()
    );
    assert_eq!(site.subject().await, Value::text("CN=new"));
    site.desk
        .reported(&["Renew the certificate of site", "resolved", "bad_certificate"]);
}

#[tokio::test]
async fn a_refused_renewal_leaves_the_old_certificate() {
    let site = expired();
    let seen = attended(site.desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("the provider renews it itself")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(site.subject().await, Value::text("CN=old"));
}
