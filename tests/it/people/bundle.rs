//! `starr bundle`: a run in one file, whose digest the journal has.

use super::{CANARY, Desk, Server};
use serde_json::{Value as Json, json};
use std::fs;

const BOOK: &str = r#"runbook look "Look" {
  > Nothing is changed.
  timebox 5 min then stop "No time is left"
  reads   http
  situation {
    symptom well "Does it answer?" {
      read reply = http.get("desk", path: "/state") within 5 s
      yes when reply.status < 300
    }
  }
  stop "Looked"
}
"#;

fn ended() -> (Desk, Server) {
    // A server that repeats the credential that it was given.
    let server = Server::new(|asked| Some((200, json!({"state": asked.header("authorization")}))));
    let environment = format!(
        "    http: {{ endpoints: {{ desk: {{ url: \"{0}\", bearer: {{ env: CANARY }} }} }} }}
    grants: [{{ capability: http, effects: [read], targets: [\"{0}\"] }}]\n",
        server.url()
    );
    let desk = Desk::new(&environment, BOOK);
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    assert!(said.contains("Looked"), "{said}");
    (desk, server)
}

#[test]
fn a_bundle_holds_the_run_and_no_secret_and_the_journal_knows_it() {
    let (desk, _server) = ended();
    let made = desk.starr(&["bundle", "latest", "--to", "inc.json", "--json"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let made: Json = serde_json::from_slice(&made.stdout).unwrap();
    let text = fs::read_to_string(desk.path().join("inc.json")).unwrap();
    let bundle: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&bundle["run"], &bundle["format"]),
        (&made["run"], &json!("starr-bundle/1"))
    );
    assert!(bundle["report"].as_str().unwrap().contains("# "));
    let kinds: Vec<&str> = bundle["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"run_started") && kinds.contains(&"answered") && kinds.contains(&"ended"),
        "{kinds:?}"
    );
    assert_eq!(bundle["journal"]["intact"], true);
    assert_eq!(bundle["environment"]["name"], "test");
    assert_eq!(bundle["environment"]["version"], env!("CARGO_PKG_VERSION"));
    // Another program computes the same digest.
    let sum = std::process::Command::new("sha256sum")
        .arg(desk.path().join("inc.json"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert_eq!(sum.split(' ').next().unwrap(), made["sha256"]);
    // It is the last entry of the run, which is still whole and still ended.
    let shown: Json = serde_json::from_str(&desk.said(&["show", "latest", "--json"])).unwrap();
    let last = shown["entries"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["kind"], &last["event"]["digest"], &last["entry"]),
        (&json!("bundled"), &made["sha256"], &made["entry"])
    );
    let verified = desk.starr(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    let report = desk.said(&["report"]);
    assert!(report.contains(made["sha256"].as_str().unwrap()), "{report}");
    let checked = desk.starr(&["bundle", "--check", "inc.json"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    desk.keeps(CANARY, &[&text, &report]);
    // A second one is another, and says that there was a first.
    assert_eq!(desk.starr(&["bundle", "--to", "again.json"]).status.code(), Some(0));
    for file in ["inc.json", "again.json"] {
        assert_eq!(
            desk.starr(&["bundle", "--check", file]).status.code(),
            Some(0),
            "{file}"
        );
    }
}

#[test]
fn a_bundle_that_was_changed_is_found_out() {
    let (desk, _server) = ended();
    assert_eq!(desk.starr(&["bundle", "--to", "inc.json"]).status.code(), Some(0));
    let text = fs::read_to_string(desk.path().join("inc.json")).unwrap();
    // Whatever is changed: a letter, a blank at the end, the run that it names.
    let other = text.replacen("Looked", "Lookes", 1);
    assert_ne!(other, text);
    let run = serde_json::from_str::<Json>(&text).unwrap()["run"]
        .as_str()
        .unwrap()
        .to_owned();
    for (name, changed) in [
        ("letter", other),
        ("blank", format!("{text} ")),
        ("run", text.replacen(&run, "20260101-000000-aaaa", 1)),
    ] {
        fs::write(desk.path().join(name), changed).unwrap();
        let checked = desk.starr(&["bundle", "--check", name]);
        assert_eq!(checked.status.code(), Some(1), "{name}: {checked:?}");
    }
    for (name, bad) in [
        ("empty", ""),
        ("list", "[]"),
        ("other", "{\"format\": \"x\"}"),
        ("nameless", "{\"format\": \"starr-bundle/1\"}"),
    ] {
        fs::write(desk.path().join(name), bad).unwrap();
        let checked = desk.starr(&["bundle", "--check", name]);
        assert_eq!(checked.status.code(), Some(2), "{name}: {checked:?}");
    }
}

#[test]
fn nothing_is_written_over_and_nothing_is_recorded_then() {
    let (desk, _server) = ended();
    fs::write(desk.path().join("inc.json"), "mine").unwrap();
    let before = desk.said(&["show", "--json"]);
    assert_eq!(desk.starr(&["bundle", "--to", "inc.json"]).status.code(), Some(2));
    assert_eq!(fs::read_to_string(desk.path().join("inc.json")).unwrap(), "mine");
    assert_eq!(
        desk.starr(&["bundle", "nobody", "--to", "x.json"]).status.code(),
        Some(2)
    );
    assert!(!desk.path().join("x.json").exists());
    assert_eq!(desk.said(&["show", "--json"]), before);
}

#[tokio::test]
async fn a_bundle_of_a_journal_in_postgresql_is_known_to_it() {
    use crate::storage::postgres::{described, place};
    let (_place, server) = place().await;
    let desk = Desk::new("    grants: []\n", BOOK);
    let folder = desk.path().display().to_string();
    let database = format!("journal: {}", described(&server, desk.path(), ""));
    let path = desk.path().join("starr.yaml");
    let config = fs::read_to_string(&path).unwrap();
    let file = format!("journal: {folder}/journal.db");
    assert!(config.contains(&file));
    fs::write(&path, config.replace(&file, &database)).unwrap();
    let checked = tokio::task::spawn_blocking(move || {
        // Nobody may ask the server: that is in the record as well.
        let said = desk.said(&["run", "books/book.starr", "--unattended"]);
        assert!(said.contains("Looked"), "{said}");
        let made = desk.starr(&["bundle", "latest", "--to", "inc.json", "--json"]);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let made: Json = serde_json::from_slice(&made.stdout).unwrap();
        let text = fs::read_to_string(desk.path().join("inc.json")).unwrap();
        let bundle: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&bundle["run"], &bundle["journal"]["intact"]),
            (&made["run"], &json!(true))
        );
        // Its digest is the last entry of the run in the database, and of no file beside it.
        let shown: Json = serde_json::from_str(&desk.said(&["show", "latest", "--json"])).unwrap();
        let last = shown["entries"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["kind"], &last["event"]["digest"]),
            (&json!("bundled"), &made["sha256"])
        );
        assert!(!desk.path().join("journal.db").exists(), "a file was made beside");
        assert_eq!(desk.starr(&["journal", "verify"]).status.code(), Some(0));
        // What was changed in it is found out by the journal.
        fs::write(desk.path().join("other.json"), text.replacen("Looked", "Lookes", 1)).unwrap();
        let codes = ["inc.json", "other.json"].map(|file| desk.starr(&["bundle", "--check", file]).status.code());
        for secret in ["journal-secret", "app-secret"] {
            assert!(!text.contains(secret), "{secret}");
        }
        codes
    });
    assert_eq!(checked.await.unwrap(), [Some(0), Some(1)]);
}
