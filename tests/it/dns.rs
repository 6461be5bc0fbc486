//! The provider `dns` against a real name server of the test's own, and against what is none.

mod incident;

use crate::support::daemon::{Daemon, folder, free_port};
use crate::support::gated::{Gated, field, items, reason};
use starr::provider::{HealthState, Provider};
use starr::providers::dns::Dns;
use starr::value::{Reason, Value};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const SECOND: i64 = 1_000_000_000;

struct Server {
    port: u16,
    _daemon: Daemon,
}

/// A server on this port that knows what stands in these words of its command line, and asks nobody else.
fn dnsmasq(port: u16, folder: PathBuf, more: Vec<String>) -> Daemon {
    let mut words: Vec<String> = [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--pid-file=",
        "--local=/test/",
    ]
    .map(str::to_owned)
    .to_vec();
    words.push(format!("--port={port}"));
    words.extend(more);
    let daemon = Daemon::start("dnsmasq", folder, &words);
    daemon.wait_for_port(port);
    daemon
}

fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| {
        let port = free_port();
        let mut words: Vec<String> = [
            "--host-record=web.test,10.1.2.3,fd00::1,300",
            "--cname=www.test,web.test,60",
            "--mx-host=test,mail.test,10",
            "--txt-record=test,v=spf1 -all",
            "--srv-host=_http._tcp.test,web.test,8080",
        ]
        .map(str::to_owned)
        .to_vec();
        // More than fits into one datagram of 512 bytes.
        words.extend((0..20).map(|number| format!("--txt-record=big.test,{number:02}{}", "x".repeat(98))));
        let daemon = dnsmasq(port, folder("dnsmasq"), words);
        Server { port, _daemon: daemon }
    })
}

fn at(port: u16) -> Dns {
    let config = format!("servers: {{ inside: {{ address: 127.0.0.1, port: {port} }} }}");
    Dns::new(&serde_yaml::from_str(&config).unwrap()).unwrap()
}

fn world(port: u16) -> Gated {
    let server = Value::Resource {
        kind: "NameServer".into(),
        name: "inside".into(),
    };
    Gated::new(Arc::new(at(port)), vec![("server", server)])
}

async fn data(world: &Gated, name: &str, kind: &str) -> Vec<Value> {
    let found = world
        .read("lookup", &[("name", Value::text(name)), ("kind", Value::variant(kind))])
        .await;
    items(&field(&found, "entries"))
        .iter()
        .map(|entry| field(entry, "data"))
        .collect()
}

#[tokio::test]
async fn entries_of_every_kind_are_read_as_the_server_has_them() {
    let world = world(shared().port);
    assert_eq!(data(&world, "web.test", "a").await, [Value::text("10.1.2.3")]);
    assert_eq!(data(&world, "web.test.", "aaaa").await, [Value::text("fd00::1")]);
    assert_eq!(data(&world, "test", "mx").await, [Value::text("10 mail.test.")]);
    assert_eq!(data(&world, "test", "txt").await, [Value::text("v=spf1 -all")]);
    let service = data(&world, "_http._tcp.test", "srv").await;
    assert!(service[0].as_str().unwrap().contains("8080 web.test."), "{service:?}");
    let www = world.read("lookup", &[("name", Value::text("www.test"))]).await;
    let entries = items(&field(&www, "entries"));
    assert_eq!(field(&entries[0], "kind"), Value::text("cname"));
    assert_eq!(field(&entries[0], "ttl"), Value::Duration(60 * SECOND));
    assert_eq!(field(&entries[1], "data"), Value::text("10.1.2.3"));
}

#[tokio::test]
async fn no_such_name_no_entry_and_no_answer_stay_apart() {
    let world = world(shared().port);
    let gone = world.read("lookup", &[("name", Value::text("nobody.test"))]).await;
    assert_eq!(field(&gone, "exists"), Value::Bool(false));
    let none = world
        .read(
            "lookup",
            &[("name", Value::text("web.test")), ("kind", Value::variant("mx"))],
        )
        .await;
    assert_eq!(field(&none, "exists"), Value::Bool(true));
    assert!(items(&field(&none, "entries")).is_empty());
    // This server knows nobody to ask.
    let (why, _) = reason(&world.read("lookup", &[("name", Value::text("example.org"))]).await);
    assert_eq!(why, Reason::Denied);
    for name in ["a b", "", "x\ny", "-x.test", "ü.test"] {
        let (why, _) = reason(&world.read("lookup", &[("name", Value::text(name))]).await);
        assert_eq!(why, Reason::Unparsable, "{name}");
    }
}

#[tokio::test]
async fn a_reply_that_does_not_fit_into_a_datagram_comes_over_tcp() {
    let world = world(shared().port);
    assert_eq!(data(&world, "big.test", "txt").await.len(), 20);
}

#[tokio::test]
async fn silence_and_refusal_are_a_no_for_a_probe_and_unknown_for_a_read() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let quiet = world(silent.local_addr().unwrap().port());
    let ping = quiet.read_within("answers", &[], Duration::from_secs(2)).await;
    assert_eq!(field(&ping, "reply"), Value::variant("timed_out"));
    let name = [("name", Value::text("web.test"))];
    let found = quiet.read_within("lookup", &name, Duration::from_secs(2)).await;
    assert_eq!(reason(&found).0, Reason::Timeout);
    drop(silent);
    let closed = world(free_port());
    let ping = closed.read("answers", &[]).await;
    assert_eq!(field(&ping, "reply"), Value::variant("refused"));
    let ping = world(shared().port).read("answers", &[]).await;
    assert_eq!(field(&ping, "ok"), Value::Bool(true));
    assert_eq!(at(shared().port).doctor().await[0].state, HealthState::Good);
    assert_eq!(at(free_port()).doctor().await[0].state, HealthState::Bad);
}

/// Answers each question with what `say` makes of it.
fn pretender(say: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for reply in say(&buffer[..length]) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
    port
}

#[tokio::test]
async fn what_is_no_reply_to_the_question_is_not_taken_for_one() {
    let ask = async |port: u16| {
        let world = world(port);
        let name = [("name", Value::text("web.test"))];
        world.read_within("lookup", &name, Duration::from_secs(3)).await
    };
    // Noise, another number, the question itself.
    let noise = pretender(|question| {
        let mut other = question.to_vec();
        other[0] ^= 0xff;
        other[2] |= 0x80;
        vec![
            b"hello".to_vec(),
            vec![0; 12],
            vec![0xff; 600],
            other,
            question.to_vec(),
        ]
    });
    assert_eq!(reason(&ask(noise).await).0, Reason::Timeout);
    // An answer of another number before the true one.
    let late = pretender(|question| {
        let mut good = question.to_vec();
        good[2] |= 0x80;
        good[3] = (good[3] & 0xf0) | 3;
        let mut wrong = good.clone();
        wrong[1] ^= 1;
        wrong[3] &= 0xf0;
        vec![wrong, good]
    });
    assert_eq!(field(&ask(late).await, "exists"), Value::Bool(false));
    let failing = pretender(|question| {
        let mut reply = question.to_vec();
        reply[2] |= 0x80;
        reply[3] = (reply[3] & 0xf0) | 2;
        vec![reply]
    });
    assert_eq!(reason(&ask(failing).await).0, Reason::Unavailable);
}
