//! Web hooks that are signed: a program of another make computes the same signature.

use super::{CANARY, Desk, Server};
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};

/// Base64 of 24 bytes.
pub const SECRET: &str = "whsec_Y2FuYXJ5LW9mLXRoZS1zaWduYXR1cmUh";

/// What Python's `hmac` makes of it.
const VERIFIER: &str = r#"
import base64, hashlib, hmac, sys
secret, id, at = sys.argv[1:4]
key = base64.b64decode(secret.removeprefix("whsec_"))
body = sys.stdin.buffer.read()
print("v1," + base64.b64encode(hmac.new(key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()).decode())
"#;

fn verified(id: &str, at: &str, body: &str) -> String {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", VERIFIER, SECRET, id, at])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn desk(server: &Server, secret: &str, headers: &str) -> Desk {
    let environment = format!(
        "    http: {{ endpoints: {{ desk: {{ url: \"{0}\", signing_secret: {{ env: {secret} }} }}, plain: {{ url: \"{0}\" }} }} }}
    grants:
      - {{ capability: host, effects: [read], all: true }}
      - {{ capability: http, effects: [tell], targets: [\"{0}\"] }}\n",
        server.url()
    );
    let book = format!(
        "runbook tell \"Tell\" {{
  timebox 5 min then stop \"No time is left\"
  reads   host
  tells   http
  situation {{
    symptom up \"Has this machine a processor?\" {{
      read load = host.load()
      yes when load.cpus >= 1
    }}
  }}
  tell http.webhook(\"desk\", {{name: \"Störung\", at: now}}{headers})
  tell http.webhook(\"plain\", {{name: \"plain\"}})
  stop \"Told\"
}}
"
    );
    Desk::new(&environment, &book)
}

#[test]
fn a_web_hook_is_signed_as_another_program_signs_it() {
    let server = Server::new(|_| Some((200, json!({}))));
    let desk = desk(&server, "SIGNING", "");
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "{said}");
    let signed = asked.iter().find(|asked| asked.body.contains("Störung")).unwrap();
    let (id, at) = (signed.header("webhook-id"), signed.header("webhook-timestamp"));
    assert_eq!(id.len(), 32, "{signed:?}");
    // The id is recorded with the intent, so that it is the same when the message is sent once more.
    let journal = desk.said(&["show", "latest", "--json"]);
    assert!(journal.contains(id), "{id} is not in\n{journal}");
    assert!(at.parse::<i64>().unwrap().abs_diff(jiff::Timestamp::now().as_second()) < 300);
    assert_eq!(signed.header("webhook-signature"), verified(id, at, &signed.body));
    assert_ne!(
        signed.header("webhook-signature"),
        verified(id, at, &format!("{} ", signed.body))
    );
    // Who has no key signs nothing.
    let plain = asked.iter().find(|asked| asked.body.contains("plain")).unwrap();
    assert!(plain.headers.keys().all(|name| !name.starts_with("webhook-")));
    desk.keeps(
        SECRET.trim_start_matches("whsec_"),
        &[&said, &desk.said(&["report"]), &desk.said(&["doctor"])],
    );
}

#[test]
fn a_call_cannot_give_a_signature_of_its_own() {
    let server = Server::new(|_| Some((200, json!({}))));
    let desk = desk(
        &server,
        "SIGNING",
        ", headers: {webhook_id: \"forged\", webhook_signature: \"v1,forged\"}",
    );
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    let asked = server.asked();
    let signed = asked
        .iter()
        .find(|asked| asked.body.contains("Störung"))
        .unwrap_or_else(|| panic!("{said}"));
    assert_ne!(signed.header("webhook-id"), "forged");
    let (id, at) = (signed.header("webhook-id"), signed.header("webhook-timestamp"));
    assert_eq!(signed.header("webhook-signature"), verified(id, at, &signed.body));
}

#[test]
fn without_a_key_that_is_one_nothing_is_sent() {
    let server = Server::new(|_| Some((200, json!({}))));
    // Not base64, and not there at all.
    for secret in ["CANARY", "NOT_THERE"] {
        let desk = desk(&server, secret, "");
        let said = desk.said(&["run", "books/book.starr", "--unattended"]);
        let report = desk.said(&["report"]);
        assert!(
            server.asked().iter().all(|asked| !asked.body.contains("Störung")),
            "{said}"
        );
        let because = if secret == "CANARY" { "base64" } else { "NOT_THERE" };
        assert!(report.contains(because), "{report}");
        desk.keeps(CANARY, &[&said, &report]);
    }
}
