//! Servers that are none, and certificates that want to be more than data.

use super::{Nginx, authority, files, first, made, room, server, world};
use crate::support::daemon::{file, free_port};
use crate::support::gated::{Gated, field, reason};
use starr::value::{Reason, Value};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

/// Answers every connection with these bytes and then does as `more` says.
fn pretender(bytes: &'static [u8], stays: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut hello = [0_u8; 4096];
                let _ = stream.read(&mut hello);
                let _ = stream.write_all(bytes);
                while stays && stream.read(&mut hello).is_ok_and(|length| length > 0) {}
            });
        }
    });
    port
}

fn at(port: u16) -> Gated {
    world(&format!("servers: {{ site: {{ host: 127.0.0.1, port: {port} }} }}"))
}

#[tokio::test]
async fn what_is_no_tls_is_unknown_to_a_read_and_no_answer_to_a_probe() {
    let alert = &[21, 3, 3, 0, 2, 2, 40];
    for (bytes, stays, probe, read) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            false,
            None,
            Reason::Unparsable,
        ),
        (&[0xff; 5000], true, None, Reason::Unparsable),
        (
            &[22, 3, 3, 0, 5, 2, 0xff, 0xff, 0xff, 0],
            true,
            None,
            Reason::Unparsable,
        ),
        (alert, false, Some("refused"), Reason::Unreachable),
        (b"", false, Some("refused"), Reason::Unreachable),
        (b"", true, Some("timed_out"), Reason::Timeout),
    ] {
        let world = at(pretender(bytes, stays));
        let within = Duration::from_secs(2);
        let asked = world.read_within("answers", &[server("site")], within).await;
        match probe {
            Some(word) => assert_eq!(field(&asked, "reply"), Value::variant(word), "{bytes:?}"),
            None => assert_eq!(reason(&asked).0, read, "{bytes:?}"),
        }
        for path in ["chain", "connect"] {
            let value = world.read_within(path, &[server("site")], within).await;
            assert_eq!(reason(&value).0, read, "{path} {bytes:?}");
        }
    }
}

#[tokio::test]
async fn nobody_there_no_such_name_and_a_guarded_address_stay_apart() {
    let reply = field(&at(free_port()).read("answers", &[server("site")]).await, "reply");
    assert_eq!(reply, Value::variant("refused"));
    let nowhere = world("servers: { site: { host: nowhere.invalid } }");
    let reply = nowhere.read("answers", &[server("site")]).await;
    if let Some(unknown) = reply.as_unknown() {
        // Without a name server nobody knows.
        assert_eq!(unknown.reason, Reason::Unreachable);
    } else {
        assert_eq!(field(&reply, "reply"), Value::variant("no_such_name"));
    }
    let guarded = world("servers: { site: { host: localhost, port: 1, addresses: [public] } }");
    let (why, said) = reason(&guarded.read("chain", &[server("site")]).await);
    assert!(why == Reason::Unavailable && said.contains("does not let"), "{said}");
    let (why, _) = reason(&guarded.read("chain", &[server("elsewhere")]).await);
    assert_eq!(why, Reason::Unavailable);
}

#[tokio::test]
async fn what_stands_in_a_certificate_is_data() {
    let folder = room();
    let ours = authority("Our \u{202e}Authority");
    let names: Vec<String> = (0..1200).map(|number| format!("n{number}.test")).collect();
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    all.insert(0, "localhost");
    let subject = "{db} \u{1b}[2J\u{202e} $(reboot)";
    let (certificate, key) = files(&folder, "odd", &made(&ours, subject, &all, (-1, 30)));
    let ca = file(&folder, "ca.crt", &ours.pem);
    let block = format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        certificate.display(),
        key.display()
    );
    let nginx = Nginx::start(folder, &[block]);
    let world = world(&format!(
        "servers: {{ site: {{ host: localhost, port: {}, ca: {} }} }}",
        nginx.ports[0],
        ca.display()
    ));
    let chain = world.read("chain", &[server("site")]).await;
    let (_, shown) = first(&field(&chain, "certificates"));
    assert!(field(&shown, "subject").as_str().unwrap().contains("$(reboot)"));
    let list = field(&shown, "names");
    let list = list.as_list().unwrap();
    assert_eq!((list.items.len(), list.truncated), (1000, true));
    assert_eq!(field(&chain, "trusted"), Value::Bool(true));
}
