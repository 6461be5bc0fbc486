use super::gate::{Gate, Grant, Mode};
use super::record::{Recorder, Recording, Tape};
use super::{Call, Effect, Health, Idempotence, Operation, Outcome, Permit, Provider};
use crate::value::{Reason, Secret, Type, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers with a number that grows; hangs when it is told to.
#[derive(Default)]
struct Growing(AtomicI64);

const OPERATIONS: &[&str] = &["read", "hang", "change"];

impl Provider for Growing {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("name").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move {
            if &*call.operation.path == "hang" {
                futures::future::pending::<()>().await;
            }
            Value::Int(self.0.fetch_add(1, Ordering::SeqCst))
        }
        .boxed()
    }

    fn change<'a>(&'a self, _call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        let unknown = Unknown {
            reason: Reason::Denied,
            detail: "no".to_owned(),
        };
        async move { Outcome::Failed(unknown) }.boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async { Vec::new() }.boxed()
    }
}

/// Written bytes that can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("no space left"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn call(path: &str, name: &str) -> Call {
    let effect = if path == "change" { Effect::Change } else { Effect::Read };
    Call {
        operation: Arc::new(Operation {
            provider: "demo".into(),
            path: path.into(),
            effect,
            params: Vec::new(),
            result: Type::Int,
            idempotence: Idempotence::Unrepeatable,
            heavy: false,
            within: Duration::from_secs(1),
            doc: String::new(),
        }),
        args: vec![
            ("name".into(), Value::text(name)),
            ("token".into(), Value::Secret(Secret::new(Value::text("canary")))),
        ],
        within: Duration::from_millis(30),
        key: None,
    }
}

fn gate(provider: Arc<dyn Provider>, targets: Option<Vec<String>>) -> Gate {
    let mut gate = Gate::new(
        vec![Grant {
            capability: "demo".to_owned(),
            effects: vec![Effect::Read, Effect::Change],
            targets,
        }],
        Mode::Live,
    );
    gate.register(provider);
    gate
}

async fn record() -> String {
    let written = Shared::default();
    let tape = Tape::new(Box::new(written.clone()));
    let gate = gate(
        Arc::new(Recorder::new(Arc::new(Growing::default()), tape.clone())),
        None,
    );
    assert_eq!(gate.read(&call("read", "a")).await, Value::Int(0));
    assert_eq!(gate.read(&call("read", "b")).await, Value::Int(1));
    assert_eq!(gate.read(&call("read", "a")).await, Value::Int(2));
    gate.read(&call("hang", "a")).await;
    assert!(matches!(gate.change(&call("change", "a")).await, Outcome::Failed(_)));
    assert_eq!(tape.problem(), None);
    String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
}

fn reason(value: &Value) -> Option<Reason> {
    value.as_unknown().map(|unknown| unknown.reason)
}

#[tokio::test]
async fn a_recording_answers_in_its_order_and_then_no_more() {
    let text = record().await;
    assert!(!text.contains("canary"), "{text}");
    let recording = Recording::read(text.as_bytes()).unwrap();
    assert_eq!(recording.left(), 5);
    let only_a = gate(
        Arc::new(recording.replay("demo", OPERATIONS)),
        Some(vec!["a".to_owned()]),
    );
    assert_eq!(only_a.read(&call("read", "a")).await, Value::Int(0));
    assert_eq!(only_a.read(&call("read", "a")).await, Value::Int(2));
    let exhausted = only_a.read(&call("read", "a")).await;
    assert_eq!(reason(&exhausted), Some(Reason::Unavailable));
    assert_eq!(
        reason(&only_a.read(&call("hang", "a")).await),
        Some(Reason::Timeout),
        "what hung then is no answer now"
    );
    let denied = only_a.change(&call("change", "a")).await;
    assert!(
        matches!(
            denied,
            Outcome::Failed(Unknown {
                reason: Reason::Denied,
                ..
            })
        ),
        "{denied:?}"
    );
    let again = only_a.change(&call("change", "a")).await;
    assert!(
        matches!(
            again,
            Outcome::Unclear(Unknown {
                reason: Reason::Unavailable,
                ..
            })
        ),
        "{again:?}"
    );
    // The grants hold for a recording too.
    assert!(only_a.allows(&call("read", "b")).is_err());
    assert_eq!(recording.left(), 1);
    let never = gate(Arc::new(recording.replay("demo", OPERATIONS)), None);
    assert_eq!(reason(&never.read(&call("read", "c")).await), Some(Reason::Unavailable));
    assert_eq!(never.read(&call("read", "b")).await, Value::Int(1));
}

#[tokio::test]
async fn a_recording_is_taken_whole_or_not_at_all() {
    let text = record().await;
    let line = |error: super::record::Error| error.line;
    assert_eq!(line(Recording::read(&b""[..]).unwrap_err()), 1);
    assert_eq!(line(Recording::read(&b"{}\n"[..]).unwrap_err()), 1);
    assert_eq!(
        line(Recording::read(text.replace("recording\":1", "recording\":2").as_bytes()).unwrap_err()),
        1
    );
    assert_eq!(
        line(Recording::read(&text.as_bytes()[..text.len() - 1]).unwrap_err()),
        10
    );
    assert_eq!(
        line(Recording::read(text.replace("{\"int\":1}", "{\"int\":\"1\"}").as_bytes()).unwrap_err()),
        5
    );
    assert_eq!(
        line(
            Recording::read(
                text.replace("\"failed\"", "\"done\"")
                    .replace("\"reply\"", "\"replied\"")
                    .as_bytes()
            )
            .unwrap_err()
        ),
        3
    );
    assert_eq!(
        line(Recording::read(format!("{text}[{}\n", "[".repeat(5000)).as_bytes()).unwrap_err()),
        11
    );
}

#[tokio::test]
async fn a_full_disk_does_not_hold_up_the_answer_and_is_told() {
    let tape = Tape::new(Box::new(Full));
    let gate = gate(
        Arc::new(Recorder::new(Arc::new(Growing::default()), tape.clone())),
        None,
    );
    assert_eq!(gate.read(&call("read", "a")).await, Value::Int(0));
    assert!(tape.problem().unwrap().contains("no space left"));
}

/// Bytes that are made while they are read.
struct Padded {
    head: &'static [u8],
    /// Bytes of the whole, and how far it was read.
    size: u64,
    at: u64,
}

/// Length of a line of it: blanks behind a short document.
const PADDED_LINE: u64 = 4 * 1024 * 1024;

impl std::io::Read for Padded {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        const LINE: &[u8] = b"{\"note\":1}";
        let (mut done, most) = (0, usize::try_from(self.size - self.at).unwrap().min(into.len()));
        while done < most {
            let from = usize::try_from(self.at).unwrap();
            let in_line = (from.saturating_sub(self.head.len()) as u64 % PADDED_LINE) as usize;
            let end = PADDED_LINE as usize - 1;
            let rest = &mut into[done..most];
            let length = if let Some(head) = self.head.get(from..).filter(|head| !head.is_empty()) {
                let length = head.len().min(rest.len());
                rest[..length].copy_from_slice(&head[..length]);
                length
            } else if let Some(line) = LINE.get(in_line..).filter(|line| !line.is_empty()) {
                let length = line.len().min(rest.len());
                rest[..length].copy_from_slice(&line[..length]);
                length
            } else if in_line == end {
                rest[0] = b'\n';
                1
            } else {
                let length = (end - in_line).min(rest.len());
                rest[..length].fill(b' ');
                length
            };
            done += length;
            self.at += length as u64;
        }
        Ok(done)
    }
}

#[test]
fn a_recording_larger_than_the_limit_is_not_read() {
    let most = crate::limits::RECORDING_BYTES;
    let head = b"{\"starr_recording\":1}\n";
    let read = |size: u64| Recording::read(std::io::BufReader::new(Padded { head, size, at: 0 }));
    // Whole lines: a few, and the first ones beyond the limit.
    let whole = |lines: u64| head.len() as u64 + lines * PADDED_LINE;
    assert!(whole(63) <= most && whole(64) > most);
    let good = read(whole(3));
    assert!(good.is_ok(), "{:?}", good.err());
    let refused = read(whole(64)).unwrap_err();
    assert!(refused.message.contains("larger than 256 MiB"), "{refused:?}");
}
