//! Every provider before servers that are silent, never end, talk nonsense, refuse, or give back what they were told.

use super::peer::{Manner, Peer};
use super::targets::{HERE, Target, WITHOUT, target};
use super::{CANARY, everything, gate, harmless, interface, is_read, providers};
use starr::provider::gate::{Gate, Mode};
use starr::provider::{Call, Effect, Operation, Outcome};
use starr::value::conform::conforms;
use starr::value::{Reason, Type, Unknown, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most that a server can get rid of in one call: the largest limit there is (32 MiB, of Kubernetes), and what the sockets hold.
const MOST: usize = 44 * 1024 * 1024;

/// The one client that reads a message of the server whole, and messages may have 2 GiB; its page says so.
const READS_WHOLE: &str = "postgres";

fn names() -> Vec<&'static str> {
    let all = providers().iter().map(|provider| provider.name()).collect::<Vec<_>>();
    all.into_iter().filter(|name| !WITHOUT.contains(name)).collect()
}

/// A call of which every argument names the server's things.
fn call(operation: &Arc<Operation>, target: &Target, within: Duration) -> Call {
    let args = operation.params.iter().map(|param| {
        let fits = |value: &Value| conforms(value, &param.ty).is_ok();
        let own = format!("{}.{}", operation.path, param.name);
        let named = |wanted: &str| target.given.iter().find(|(name, value)| *name == wanted && fits(value));
        let given = named(&own)
            .or_else(|| named(&param.name))
            .map(|(_, value)| value.clone());
        let default = param.default.clone().filter(|_| !matches!(param.ty, Type::Resource(_)));
        let value = given.or(default).unwrap_or_else(|| harmless(&param.ty, HERE, 1));
        (param.name.clone(), value)
    });
    Call {
        operation: operation.clone(),
        args: args.collect(),
        within,
        key: Some("conformance".into()),
    }
}

fn calls(target: &Target, within: Duration) -> Vec<Call> {
    interface(&*target.provider)
        .iter()
        .map(|operation| call(operation, target, within))
        .collect()
}

/// What came of a call.
#[derive(Debug)]
enum Came {
    Read(Value),
    Changed(Outcome),
}

impl Came {
    fn unknown(&self) -> Option<&Unknown> {
        match self {
            Came::Read(value) => value.as_unknown(),
            Came::Changed(Outcome::Done(_)) => None,
            Came::Changed(Outcome::Failed(unknown) | Outcome::Unclear(unknown)) => Some(unknown),
        }
    }
}

async fn carry_out(gate: &Gate, call: &Call) -> Came {
    if !is_read(&call.operation) {
        return Came::Changed(gate.change(call).await);
    }
    let value = gate.read(call).await;
    conforms(&value, &call.operation.result)
        .unwrap_or_else(|problem| panic!("{}: {problem}: {value:?}", call.operation.full_name()));
    Came::Read(value)
}

fn gate_of(target: &Target) -> Gate {
    gate(target.provider.clone(), everything(target.provider.name()), Mode::Live)
}

/// Whether this is an answer although the server gave none: a probe, and what asks nobody.
fn is_exempt(target: &Target, operation: &Operation) -> bool {
    operation.effect == Effect::Probe || target.asks_nobody.contains(&&*operation.path)
}

async fn peer_of(name: &str, manner: impl Fn(super::targets::Wire) -> Manner) -> Peer {
    let wire = target(name, &Peer::new(Manner::Silent).await).wire;
    Peer::new(manner(wire)).await
}

/// Deadline and cancelling: a silent server costs the deadline and no more, leaves a change open that has reached it, and a call that is
/// dropped in the middle closes its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_costs_the_deadline_and_a_dropped_call_hangs_up() {
    const WITHIN: Duration = Duration::from_millis(400);
    for name in names() {
        let peer = Peer::new(Manner::Silent).await;
        let target = target(name, &peer);
        let gate = gate_of(&target);
        let all = calls(&target, WITHIN);
        let begin = Instant::now();
        let came = futures::future::join_all(all.iter().map(|call| carry_out(&gate, call))).await;
        let took = begin.elapsed();
        assert!(took < WITHIN + Duration::from_secs(5), "{name} took {took:?}");
        for (call, came) in all.iter().zip(&came) {
            let full = call.operation.full_name();
            if is_exempt(&target, &call.operation) {
                continue;
            }
            let unknown = came.unknown().unwrap_or_else(|| panic!("{full}: {came:?}"));
            assert_eq!(unknown.reason, Reason::Timeout, "{full}: {unknown}");
        }
        assert!(
            peer.all_closed(Duration::from_secs(10)).await,
            "{name} keeps a connection"
        );
        assert_eq!(
            peer.heard(CANARY),
            target.shows_credential,
            "{name}: the credential was not sent"
        );
        // The same, dropped as soon as the server has heard of it.
        for call in all
            .iter()
            .filter(|call| !target.asks_nobody.contains(&&*call.operation.path))
        {
            let full = call.operation.full_name();
            let mut patient = call.clone();
            patient.within = Duration::from_secs(60);
            let work = carry_out(&gate, &patient);
            let heard = peer.heard_more();
            let first = tokio::time::timeout(
                Duration::from_secs(30),
                futures::future::select(Box::pin(work), Box::pin(heard)),
            );
            let first = first
                .await
                .unwrap_or_else(|_| panic!("{full} did not reach the server"));
            assert!(
                matches!(first, futures::future::Either::Right(_)),
                "{full} did not reach the server"
            );
            drop(first);
            assert!(
                peer.all_closed(Duration::from_secs(10)).await,
                "{full} keeps its connection"
            );
        }
    }
}

/// Truncation: what never ends is left at the limit of the provider, and is no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ends_is_cut_at_the_limit() {
    for name in names() {
        let peer = peer_of(name, |wire| Manner::Endless(wire.endless)).await;
        let target = target(name, &peer);
        let gate = gate_of(&target);
        let mut all = calls(&target, Duration::from_secs(30));
        if name == READS_WHOLE {
            all.truncate(1);
        }
        for call in &all {
            let full = call.operation.full_name();
            peer.sent();
            let begin = Instant::now();
            let came = carry_out(&gate, call).await;
            assert!(
                begin.elapsed() < Duration::from_secs(25),
                "{full} took {:?}",
                begin.elapsed()
            );
            let sent = peer.sent();
            assert!(sent < MOST || name == READS_WHOLE, "{full}: {} MiB", sent / 1024 / 1024);
            // A reply of `http` is what came, with a body that is unknown.
            if is_exempt(&target, &call.operation) || name == "http" {
                continue;
            }
            let unknown = came.unknown().unwrap_or_else(|| panic!("{full}: {came:?}"));
            let expected = if target.wire.endless_is_nonsense || name == READS_WHOLE {
                Reason::Unparsable
            } else {
                Reason::Truncated
            };
            assert_eq!(unknown.reason, expected, "{full}: {unknown}");
        }
    }
}

/// A hostile answer: what is no answer of the protocol is none of the provider's, and no change was done by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_no_answer() {
    for name in names() {
        let peer = peer_of(name, |wire| Manner::Says(wire.nonsense)).await;
        let target = target(name, &peer);
        let gate = gate_of(&target);
        let all = calls(&target, Duration::from_secs(2));
        let came = futures::future::join_all(all.iter().map(|call| carry_out(&gate, call))).await;
        for (call, came) in all.iter().zip(&came) {
            let full = call.operation.full_name();
            // `http` gives replies as they are.
            if is_exempt(&target, &call.operation) || name == "http" {
                continue;
            }
            let unknown = came.unknown().unwrap_or_else(|| panic!("{full}: {came:?}"));
            assert!(
                matches!(
                    unknown.reason,
                    Reason::Unparsable | Reason::Unreachable | Reason::Timeout | Reason::Unavailable
                ),
                "{full}: {unknown}"
            );
        }
    }
}

/// Refusal and canary: a server that refuses and repeats what it was told. It is a definite no, and what it repeats is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_definite_and_a_repeated_credential_is_not_told() {
    for name in names() {
        let peer = peer_of(name, |wire| Manner::Echoes(wire.error)).await;
        let target = target(name, &peer);
        let gate = gate_of(&target);
        for call in &calls(&target, Duration::from_secs(2)) {
            let full = call.operation.full_name();
            let came = carry_out(&gate, call).await;
            let targets = gate.targets(call).join(" ");
            // The body of a reply of `http` is the server's; where it is written down, what is known to be a secret is taken out.
            if name != "http" {
                let shown = format!("{came:?} {targets}");
                assert!(!shown.contains(CANARY), "{full}: {shown}");
            }
            if is_exempt(&target, &call.operation) || name == "http" {
                continue;
            }
            assert!(!matches!(came, Came::Changed(Outcome::Done(_))), "{full}: {came:?}");
            if let Came::Changed(Outcome::Unclear(unknown)) = &came {
                panic!("{full}: a refusal is definite: {unknown}");
            }
        }
        // As it is printed.
        let doctor = format!("{:?}", target.provider.doctor().await);
        let doctor = starr::secrets::redact(&doctor);
        assert!(!doctor.contains(CANARY), "{name}: {doctor}");
        assert_eq!(peer.heard(CANARY), target.shows_credential, "{name}");
    }
}
