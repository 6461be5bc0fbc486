//! Tokens, the secret of the application, connection strings, keys and values of a vault: in no output, record, file or message.

use super::server::{SECRET, TOKEN};
use super::{CLIENT, cloud};
use crate::hostile::canary::{canary, find, find_in_files};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

const BOOK: &str = r#"use std.azure.{Group, Vault}
use std.http.{Endpoint}

runbook renew(
  group: Group = "studio",
  vault: Vault = "kv",
  site: Endpoint = "site",
  token: Secret<Text>,
) "A connection string is renewed" {
  owner    "team-platform"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  30 min then escalate
  reads    azure, http
  changes  azure.vault

  read account = azure.cosmos.account(group, account: "store") within 20 s
  read whole = azure.resources.get(group, type: "Microsoft.DocumentDB/databaseAccounts", name: "store") within 20 s
  read current = azure.cosmos.connection_string(group, account: "store") within 20 s
  read reply = http.get(site, authorization: token) within 20 s
  check stale "Is the vault behind?" {
    read same = azure.vault.holds(vault, name: "db", value: current) within 20 s
    yes when not same
  }
  require reply.ok and account.state is "Succeeded" and whole is not missing else stop "the campaign reached nothing"

  action put "Put the current one into the vault" {
    risk    low
    approve by oncall within 5 min seeing account, whole
    do      azure.vault.set(vault, name: "db", value: current) within 1 min
    undo    restore
    verify  not stale within 1 min every 1 s
    failed  -> undo, escalate
  }

  result {
    resolved when not stale
  }

  reflection {
    prevent "Renew it on a schedule" by "team-platform" in 14 d
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_azure_keeps_secret_is_nowhere() {
    let server = cloud();
    let canaries: Vec<String> = [
        "connection string",
        "old value",
        "token of a site",
        "key of the account",
    ]
    .iter()
    .map(|channel| canary(channel))
    .collect();
    let [connection, old, site, key] = canaries.as_slice() else {
        panic!("four of them");
    };
    let id = |name: &str| format!("{}/secrets/{name}/v1", server.url());
    let held = |name: &str, value: &str| json!({"id": id(name), "value": value, "attributes": {"enabled": true, "created": 1_600_000_000}});
    let secrets = vec![held("db", old), held("site", site)];
    server.kept().secrets = secrets;
    server.kept().ready = true;
    server.kept().connections = json!({"connectionStrings": [
        {"connectionString": connection, "description": "Primary SQL Connection String", "keyKind": "Primary", "type": "Sql"}]});
    let store = format!("{}/store", super::STORE);
    let mut document = server.resource(&store);
    document["properties"]["primaryMasterKey"] = json!(key);
    document["properties"]["connectionString"] = json!(connection);
    server.put(&store, document);

    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let credential = format!("{{ client: {CLIENT}, secret: {{ file: {} }} }}", secret.display());
    let desk = Desk::new(&format!(
        "    azure:\n      {}\n    http:\n      endpoints:\n        site: {{ url: \"{}/health/ready\" }}\n    secrets:\n      of_vault: \
         {{ vault: kv, secret: site }}\n    journal: journal.db\n    grants:\n      - {{ capability: azure, effects: [read, change], targets: \
         [studio, kv] }}\n      - {{ capability: http, effects: [read], targets: [\"{}\"] }}\n",
        server.config(&credential).replace('\n', "\n      ").trim_end(),
        server.url(),
        server.url(),
    ));
    std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
    let (checked, code) = desk.run(&["check", "book.starr"]);
    assert_eq!(code, Some(0), "{checked}");

    let run = ["run", "book.starr", "--set", "token=of_vault"];
    let command = desk.command(&[&run[..], &["--record", "tape"]].concat());
    let screen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        assert_eq!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    // They did reach their destinations: a campaign that reaches nothing proves nothing.
    assert_eq!(server.kept().secrets.last().unwrap()["value"], *connection);
    let asked = server.sent("GET");
    let shown = asked.iter().find(|asked| asked.path == "/health/ready").unwrap();
    assert_eq!(
        &shown.headers["authorization"], site,
        "the site is shown what the vault holds"
    );

    let mut all = canaries.clone();
    all.extend([SECRET.to_owned(), TOKEN.to_owned()]);
    let mut command = desk.command(&[&run[..], &["--unattended"]].concat());
    command.env("STARR_DEBUG_PANIC", all.join(" and "));
    let panicked = command.output().unwrap();
    let mut found = Vec::new();
    find(&all, "the screen", screen.as_bytes(), &mut found);
    for words in [
        &["show"][..],
        &["show", "--json"],
        &["report"],
        &["report", "--json"],
        &["runs", "--json"],
        &["journal", "export", "evidence.export"],
        &["replay", "tape"],
        &["scenario", "tape"],
        &["plan", "book.starr", "--set", "token=of_vault"],
        &["grants", "book.starr", "--set", "token=of_vault"],
        &["doctor", "--json"],
    ] {
        let (said, _) = desk.run(words);
        find(&all, &words.join(" "), said.as_bytes(), &mut found);
    }
    find_in_files(&all, desk.path(), &[], &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
    let said = String::from_utf8_lossy(&panicked.stderr).into_owned();
    assert!(said.contains("(secret)"), "{said}");
    for secret in [site, &SECRET.to_owned(), &TOKEN.to_owned()] {
        assert!(
            !said.contains(secret.as_str()),
            "what was read is known to the redactor: {said}"
        );
    }

    // What lies in no vault is named, and nothing else is said.
    let (said, code) = desk.run(&["run", "book.starr", "--set", "token=nobody", "--unattended"]);
    assert_eq!(code, Some(2), "{said}");
}
