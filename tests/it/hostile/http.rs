//! A-HT: web addresses and servers that mean no good.

use super::{Desk, Web, asking, ok, text};
use std::io::Write;

fn answer_of(desk: &Desk, file: &str, more: &[&str]) -> String {
    let mut words = vec!["run", file, "--unattended", "--json"];
    words.extend(more);
    text(&desk.starr(&words))
}

/// The reason of the first unknown read, in words.
fn detail(said: &str) -> String {
    said.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|event| event["event"] == "read")
        .map(|event| event["value"]["data"].to_string())
        .unwrap_or_else(|| panic!("no read: {said}"))
}

#[test]
fn a_ht_1_addresses_that_were_not_granted_are_refused_before_a_connection() {
    let web = Web::json(serde_json::json!({}));
    let desk = Desk::new();
    // Without a grant for anything.
    desk.write("starr.yaml", "environments:\n  test: {}\n");
    for url in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        web.url("/"),
        web.url("/").replace("127.0.0.1", "localhost"),
    ] {
        desk.write("x.starr", &asking(&url, ""));
        let said = answer_of(&desk, "x.starr", &["--config", "starr.yaml"]);
        assert!(detail(&said).contains("does not grant"), "{url}: {said}");
    }
    // With the grant of every target: the provider's own guard, after the name is resolved, however it is spelt.
    desk.everything("    http: { addresses: [] }\n");
    for host in [
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "127.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
    ] {
        desk.write("x.starr", &asking(&format!("http://{host}:{}/", web.port), ""));
        let said = answer_of(&desk, "x.starr", &["--config", "starr.yaml"]);
        let detail = detail(&said);
        assert!(
            detail.contains("\"denied\"")
                || detail.contains("may not be reached")
                || detail.contains("\"unavailable\""),
            "{host}: {detail}"
        );
    }
    assert!(web.seen().is_empty(), "a connection was made: {:?}", web.seen());
}

#[test]
fn a_ht_2_a_redirect_to_another_origin_is_not_followed_and_gets_no_credential() {
    let other = Web::json(serde_json::json!({"taken": true}));
    let target = other.url("/taken");
    let first = Web::new(move |_| {
        format!("HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .into_bytes()
    });
    let desk = Desk::new();
    let canary = "canary-of-the-redirect-5512";
    let token = desk.private("token", canary);
    desk.everything(&format!(
        "    http:\n      endpoints:\n        shop: {{ url: '{}', bearer: {{ file: {} }} }}\n",
        first.url(""),
        token.display()
    ));
    desk.write("x.starr", &asking("shop", ""));
    let said = answer_of(&desk, "x.starr", &["--config", "starr.yaml"]);
    let seen = first.seen();
    assert!(
        seen.iter().any(|request| request.contains(canary)),
        "the first server got no credential: {said}"
    );
    assert!(other.seen().is_empty(), "the redirect was followed: {:?}", other.seen());
    assert!(!said.contains(canary), "{said}");
}

#[test]
fn a_ht_3_a_header_with_a_line_break_is_not_sent() {
    let web = Web::json(serde_json::json!({"name": "x\r\nx-injected: yes"}));
    let desk = Desk::new();
    let steps = format!(
        "  let name: Text = odd.reply.json.name\n  read again = http.get(\"{}\", headers: {{x_name: name}}) within 20 s\n  check sent \"Was it sent?\" {{ yes when again.status is 200 }}\n  require sent else stop \"refused\"\n",
        web.url("/again")
    );
    desk.write("x.starr", &asking(&web.url("/"), &steps));
    let output = desk.starr(&["run", "x.starr", "--unattended"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let seen = web.seen();
    assert!(
        seen.iter()
            .all(|request| !request.contains("/again") && !request.contains("x-injected")),
        "{seen:?}"
    );
}

#[test]
fn a_ht_4_a_body_that_inflates_is_cut_at_the_limit_and_unknown() {
    // A hundred times the limit, in an eighth of a megabyte.
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b' '; 1024 * 1024];
        for _ in 0..128 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    assert!(bomb.len() < 256 * 1024);
    let web = Web::new(move |_| {
        let mut reply = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            bomb.len()
        )
        .into_bytes();
        reply.extend_from_slice(&bomb);
        reply
    });
    let desk = Desk::new();
    desk.write(
        "x.starr",
        &asking(
            &web.url("/"),
            "  check whole \"Is there a name?\" { yes when odd.reply.json.name is \"x\" }\n  require whole else stop \"unknown\"\n",
        ),
    );
    let output = std::process::Command::new("prlimit")
        .arg(format!("--as={}", super::address_space()))
        .arg(env!("CARGO_BIN_EXE_starr"))
        .args(["run", "x.starr", "--unattended", "--json"])
        .current_dir(desk.path())
        .env_clear()
        .env("HOME", desk.path())
        .output()
        .unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let unknown = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .any(|event| event["event"] == "answered" && event["name"] == "whole" && event["answer"] == "unknown");
    assert!(unknown, "{said}");
    assert!(said.contains("cut") || said.contains("truncated"), "{said}");
}

#[test]
fn a_reply_that_fits_is_read() {
    // The counterpart of the cases above: the same way works with a server that means well.
    let web = Web::new(|_| ok("application/json", b"{\"name\": \"x\"}"));
    let desk = Desk::new();
    desk.write("x.starr", &asking(&web.url("/"), ""));
    let said = answer_of(&desk, "x.starr", &[]);
    assert!(said.contains("\"yes\"") && web.seen().len() == 1, "{said}");
}
