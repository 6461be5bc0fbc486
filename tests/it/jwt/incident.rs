//! An incident: a key was exchanged and its public half never published. The real binary in a terminal, a real server that publishes the
//! keys, a real program that exchanges them.

use super::{Signer, now};
use crate::exec::Bench;
use crate::support::daemon::{free_port, program};
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use serde_json::json;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/keys-not-published.starr");

struct Login {
    web: Child,
    signer: Signer,
    token: String,
    _bench: Bench,
    desk: Desk,
}

impl Drop for Login {
    fn drop(&mut self) {
        let _ = self.web.kill();
        let _ = self.web.wait();
    }
}

impl Login {
    /// What is published is the set of before, and the token is signed with the key of now; it ends so many seconds from now.
    fn rotated(ends: i64) -> Self {
        let (signer, before) = (Signer::new(), Signer::new());
        let folder = signer.folder.path();
        std::fs::rename(folder.join("keys.json"), folder.join("next.json")).unwrap();
        let old = std::fs::read_to_string(before.folder.path().join("keys.json")).unwrap();
        let old = old.replace("\"one\"", "\"zero\"");
        std::fs::write(folder.join("keys.json"), &old).unwrap();
        std::fs::write(folder.join("before.json"), old).unwrap();
        let port = free_port();
        let mut web = Command::new(program("busybox"));
        web.args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let web = web.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nobody listens");
            std::thread::yield_now();
        }
        let shown = folder.display();
        let contract = format!("does: change, output: none, confine: {{ writes: [{shown}] }}");
        let put = |from: &str| {
            format!("#!/bin/sh -e\ncp {shown}/{from}.json {shown}/new\nmv {shown}/new {shown}/keys.json\n")
        };
        let bench = Bench::new().script("keys_publish", &contract, &put("next")).script(
            "keys_put_back",
            &contract,
            &put("before"),
        );
        let token = signer.token(&json!({"iss": "https://id.test", "aud": "shop", "exp": now() + ends}));
        let secret = bench.path("token");
        std::fs::write(&secret, &token).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let desk = Desk::new(&format!(
            "    secrets: {{ session: {{ file: {} }} }}
    jwt: {{ keys: {{ shop: {{ endpoint: {{ url: \"http://127.0.0.1:{port}/keys.json\" }} }} }} }}
{}    grants:
      - {{ capability: jwt,  effects: [read],   targets: [shop] }}
      - {{ capability: exec, effects: [change], targets: [keys_publish, keys_put_back] }}
",
            secret.display(),
            bench.entry()
        ));
        Self {
            web,
            signer,
            token,
            _bench: bench,
            desk,
        }
    }

    fn run(&self) -> Command {
        self.desk.command(&["run", BOOK, "--set", "token=session"])
    }

    /// Whether what is published is the set of now.
    fn published(&self) -> bool {
        let read = |name: &str| std::fs::read(self.signer.folder.path().join(name)).unwrap();
        read("keys.json") == read("next.json")
    }

    /// No part of the token is in any of this.
    fn keeps_it(&self, texts: &[&str]) {
        for part in self.token.split('.') {
            assert!(texts.iter().all(|text| !text.contains(part)), "{part}");
        }
    }
}

#[tokio::test]
async fn a_key_that_was_not_published_is_found_approved_published_and_verified() {
    let login = Login::rotated(3600);
    let seen = attended(login.run(), 0, |person| person.approve("Publish the present keys")).await;
    assert!(seen.contains("rotated") && seen.contains("RESOLVED"), "{seen}");
    assert!(seen.contains("expired  refuted"), "{seen}");
    assert!(login.published());
    let report = login.desk.reported(&[
        "Publish the present keys",
        "Its key was never published",
        "unknown_key",
        "keys_publish",
        "resolved",
    ]);
    login.keeps_it(&[&seen, &report]);
}

#[tokio::test]
async fn keys_whose_publication_is_refused_stay_as_they_are() {
    let login = Login::rotated(3600);
    let seen = attended(login.run(), 3, |person| person.refuse("the new key is not trusted yet")).await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(!login.published());
    let report = login.desk.reported(&["the new key is not trusted yet"]);
    login.keeps_it(&[&seen, &report]);
}

/// The first thing that is wrong with a token decides: its key is looked for before its time.
#[tokio::test]
async fn a_token_that_has_expired_is_another_cause_and_no_key_is_published() {
    let login = Login::rotated(-3600);
    let folder = login.signer.folder.path();
    std::fs::copy(folder.join("next.json"), folder.join("keys.json")).unwrap();
    std::fs::write(folder.join("next.json"), "{\"keys\": []}").unwrap();
    let seen = attended(login.run(), 1, |_| {}).await;
    assert!(seen.contains("It has expired") && seen.contains("ESCALATED"), "{seen}");
    assert!(!login.published());
}
