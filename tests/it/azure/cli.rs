//! Runs with the real binary: tokens of a managed identity and of `az`, what is shown, and what is kept of secrets.

use super::server::{SECRET, Server, TOKEN};
use super::{CLIENT, cloud};
use crate::support::desk::Desk;
use std::os::unix::fs::PermissionsExt as _;

const BOOK: &str = r#"use std.azure.{Group}
use std.azure_checks.{not_ready}

runbook scale_out(group: Group, app: Text) "More replicas" {
  owner    "team-platform"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  30 min then escalate
  reads    azure
  changes  azure.apps

  situation {
    symptom late = not_ready(group, app: app)
  }

  task {
    goal not late
  }

  read it_is = azure.apps.get(group, app: app)
  let  more  = [it_is.min_replicas, 2].max
  let  most  = [it_is.max_replicas, 10].max
  read store = azure.resources.get(group, type: "Microsoft.DocumentDB/databaseAccounts", name: "store")
  require store is not missing else escalate

  action scale "From {it_is.min_replicas} to {more} replicas" {
    risk    low
    approve by oncall
    do      azure.apps.scale(group, app: app, min: more, max: most)
    undo    restore
    verify  late within 1 min every 1 s
    failed  -> escalate
  }

  reflection {
    prevent "Measure the load" by "team-platform" in 14 d
    ask     "Why was it not enough?"
  }
}
"#;

fn desk(server: &Server, credential: &str) -> Desk {
    let config = server.config(credential).replace('\n', "\n      ");
    let environment = format!(
        "    azure:\n      {}\n    journal: journal.db\n    grants:\n      - {{ capability: azure, effects: [read, change], targets: [studio] }}\n",
        config.trim_end()
    );
    let desk = Desk::new(&environment);
    std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
    desk
}

/// No file of the folder but the configuration holds it.
fn kept_out(desk: &Desk, secrets: &[&str], said: &str) {
    for secret in secrets {
        assert!(!said.contains(secret), "{said}");
        for entry in std::fs::read_dir(desk.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("starr.yaml") {
                let bytes = std::fs::read(&path).unwrap();
                assert!(
                    !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_run_reads_with_the_identity_of_the_platform() {
    let server = cloud();
    let desk = desk(&server, "{ managed_identity: system }");
    let mut command = desk.command(&["doctor"]);
    command.env("IDENTITY_ENDPOINT", format!("{}/msi/token", server.url()));
    command.env("IDENTITY_HEADER", "header-of-the-platform");
    server.kept().resources.insert(
        format!("/subscriptions/{}", super::server::SUBSCRIPTION),
        serde_json::json!({"displayName": "Production", "state": "Enabled"}),
    );
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the subscription Production answers"), "{said}");
    let mut command = desk.command(&["plan", "book.starr", "--set", "group=studio", "--set", "app=api"]);
    command.env("IDENTITY_ENDPOINT", format!("{}/msi/token", server.url()));
    command.env("IDENTITY_HEADER", "header-of-the-platform");
    let output = command.output().unwrap();
    let plan = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(server.sent("PATCH").is_empty(), "{plan}");
    kept_out(&desk, &[TOKEN, "header-of-the-platform"], &(said + &plan));
}

#[test]
fn tokens_of_the_program_az_are_used_and_said() {
    let server = cloud();
    let desk = desk(&server, "{ cli: true }");
    let soon = jiff::Timestamp::now().as_second() + 3_600;
    let answer = format!(
        "#!/bin/sh\necho '{{\"accessToken\": \"{TOKEN}\", \"expires_on\": {soon}, \"tokenType\": \"Bearer\"}}'\n"
    );
    std::fs::create_dir(desk.path().join("bin")).unwrap();
    let az = desk.path().join("bin/az");
    std::fs::write(&az, answer).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.command(&[
        "run",
        "book.starr",
        "--unattended",
        "--set",
        "group=studio",
        "--set",
        "app=api",
    ]);
    command.env("PATH", format!("{}:/usr/bin:/bin", az.parent().unwrap().display()));
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!server.sent("GET").is_empty(), "{said}");
    let report = desk.run(&["report"]).0;
    let shown = desk.run(&["show", "--json"]).0;
    assert!(shown.contains("come from the program `az`"), "{shown}");
    kept_out(&desk, &[TOKEN, "canary-of-a-key"], &(said + &report + &shown));
}

#[test]
fn a_role_has_exactly_what_the_runbook_needs() {
    let server = cloud();
    let desk = desk(&server, &format!("{{ client: {CLIENT}, secret: {{ env: NONE }} }}"));
    let (said, code) = desk.run(&[
        "grants",
        "book.starr",
        "--to",
        "azure-role",
        "--set",
        "group=studio",
        "--set",
        "app=api",
    ]);
    assert_eq!(code, Some(0), "{said}");
    let role: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|problem| panic!("{problem}: {said}"));
    assert_eq!(
        role["Actions"],
        serde_json::json!([
            "Microsoft.App/containerApps/read",
            "Microsoft.App/containerApps/write",
            "Microsoft.DocumentDB/databaseAccounts/read"
        ])
    );
    assert_eq!(
        role["AssignableScopes"][0],
        format!(
            "/subscriptions/{}/resourceGroups/rg-studio",
            super::server::SUBSCRIPTION
        )
    );
    assert!(server.sent("GET").is_empty(), "nothing is contacted");
    kept_out(&desk, &[SECRET], &said);
}

/// The roles that a runbook needs which changes something in `group`, where the subscription has a container for locks.
fn roles_with_locks(group: Option<&str>) -> serde_json::Value {
    let server = cloud();
    let desk = desk(
        &server,
        &format!(
            "{{ client: {CLIENT}, secret: {{ env: NONE }} }}, lock: {{ account: locksofteam, container: starr-locks }}"
        ),
    );
    let mut words = vec!["grants", "book.starr", "--to", "azure-role", "--set", "app=api"];
    let given = group.map(|group| format!("group={group}"));
    if let Some(given) = &given {
        words.extend(["--set", given]);
    }
    let (said, code) = desk.run(&words);
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&said).unwrap_or_else(|problem| panic!("{problem}: {said}"))
}

#[test]
fn a_role_for_the_locks_is_one_that_azure_can_make() {
    for group in [Some("studio"), None] {
        let roles = roles_with_locks(group);
        let roles = roles.as_array().unwrap();
        let locks: Vec<_> = roles
            .iter()
            .filter(|role| role["Name"] == "starr locks of production")
            .collect();
        let [role] = &locks[..] else { panic!("{roles:?}") };
        let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs";
        let rights = ["add/action", "delete", "read", "write"].map(|right| format!("{blobs}/{right}"));
        assert_eq!(role["DataActions"], serde_json::json!(rights));
        assert_eq!(role["Actions"], serde_json::json!([]));
        // A role can be made for a group or a subscription, and be given at a container.
        let subscription = format!("/subscriptions/{}", super::server::SUBSCRIPTION);
        assert_eq!(role["AssignableScopes"], serde_json::json!([subscription]));
        let said = role["Description"].as_str().unwrap();
        let container =
            "/providers/Microsoft.Storage/storageAccounts/locksofteam/blobServices/default/containers/starr-locks,";
        assert!(said.contains(container), "{said}");
    }
}
