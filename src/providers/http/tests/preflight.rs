//! A preflight over the wire.

use super::{Act, CANARY, Server, Value, call, field, gate, loopback, reason, reply, secret};
use crate::value::Reason;

#[tokio::test]
async fn a_preflight_carries_no_credential_and_follows_nothing() {
    let server = Server::plain(|asked| {
        let asked = asked.to_ascii_lowercase();
        let wanted = [
            "options /api ",
            "origin: https://app.example.org",
            "access-control-request-method: put",
        ];
        let good = wanted.iter().all(|part| asked.contains(part)) && !asked.contains("authorization");
        let head = "access-control-allow-origin: *\r\naccess-control-allow-methods: *\r\nlocation: /\r\n";
        Act::Keep(reply(if good { "200 OK" } else { "302 Found" }, head, b""))
    })
    .await;
    let asked = |origin: &str| {
        let given =
            [("path", "/api"), ("origin", origin), ("method", "PUT")].map(|(name, text)| (name, Value::text(text)));
        let given = given.into_iter().chain([("authorization", secret(CANARY))]);
        call("preflight", &server.url(""), given.collect())
    };
    let http = gate(loopback());
    assert_eq!(
        field(&http.read(&asked("https://app.example.org")).await, "allowed"),
        Value::Bool(true)
    );
    assert_eq!(
        field(&http.read(&asked("https://b.example.org")).await, "status"),
        Value::Int(302)
    );
    for odd in ["", "app.example.org", "https://app.example.org/page", "null", "*"] {
        assert_eq!(reason(&http.read(&asked(odd)).await), Some(Reason::Unparsable), "{odd}");
    }
}
