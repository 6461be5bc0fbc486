//! What every provider must do, whatever it reaches: its interface text and its code agree, replies are of the declared types,
//! deadlines and grants hold, a cancelled call leaves nothing behind, secrets stay inside.

mod hostile;
mod peer;
mod targets;

use starr::check;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Idempotence, Operation, Outcome, Provider};
use starr::providers::alertmanager::Alertmanager;
use starr::providers::app::App;
use starr::providers::aws::Aws;
use starr::providers::azure::Azure;
use starr::providers::dns::Dns;
use starr::providers::docker::Docker;
use starr::providers::exec::Exec;
use starr::providers::github::GitHub;
use starr::providers::host::Host;
use starr::providers::http::{Http, config::HttpConfig};
use starr::providers::jaeger::Jaeger;
use starr::providers::jwt::Jwt;
use starr::providers::kubernetes::Kubernetes;
use starr::providers::notify::chat::Chat;
use starr::providers::notify::config::{ChatConfig, MailConfig, PagerConfig};
use starr::providers::notify::mail::Mail;
use starr::providers::notify::pager::Pager;
use starr::providers::postgres::Postgres;
use starr::providers::prometheus::Prometheus;
use starr::providers::redis::Redis;
use starr::providers::status_page::StatusPage;
use starr::providers::tls::Tls;
use starr::value::conform::conforms;
use starr::value::{Reason, Secret, Type, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CANARY: &str = "canary-51d0aa";

/// Every provider of the binary, in a form that needs nothing outside.
fn providers() -> Vec<Arc<dyn Provider>> {
    vec![
        Arc::new(Host::new()),
        Arc::new(Http::new(&HttpConfig::default()).unwrap()),
        Arc::new(Chat::new(&ChatConfig::default()).unwrap()),
        Arc::new(Mail::new(&MailConfig::default()).unwrap()),
        Arc::new(Pager::new(&PagerConfig::default()).unwrap()),
        Arc::new(Kubernetes::new(starr::providers::kubernetes::config::Config::default()).unwrap()),
        Arc::new(Postgres::new(starr::providers::postgres::config::Config::default()).unwrap()),
        Arc::new(Prometheus::new(&starr::providers::prometheus::config::Config::default()).unwrap()),
        Arc::new(Alertmanager::new(&starr::providers::alertmanager::config::Config::default()).unwrap()),
        Arc::new(Docker::new(starr::providers::docker::config::Config::default()).unwrap()),
        Arc::new(App::new(&Default::default(), &Default::default()).unwrap()),
        Arc::new(Dns::new(&Default::default()).unwrap()),
        Arc::new(Jwt::new(&Default::default()).unwrap()),
        Arc::new(Jaeger::new(&Default::default()).unwrap()),
        Arc::new(Aws::new(&Default::default()).unwrap()),
        Arc::new(Azure::new(Default::default()).unwrap()),
        Arc::new(GitHub::new(&Default::default()).unwrap()),
        Arc::new(StatusPage::new(&Default::default()).unwrap()),
        Arc::new(Tls::new(&Default::default()).unwrap()),
        Arc::new(Exec::new(starr::providers::exec::config::Config::default()).unwrap()),
        Arc::new(Redis::new(starr::providers::redis::config::Config::default()).unwrap()),
    ]
}

fn interface(provider: &dyn Provider) -> Vec<Arc<Operation>> {
    check::interface(provider.name()).unwrap_or_else(|| panic!("`{}` has no interface text", provider.name()))
}

fn gate(provider: Arc<dyn Provider>, grants: Vec<Grant>, mode: Mode) -> Gate {
    let mut gate = Gate::new(grants, mode);
    gate.register(provider);
    gate
}

fn everything(provider: &str) -> Vec<Grant> {
    vec![Grant {
        capability: provider.to_owned(),
        effects: vec![Effect::Read, Effect::Probe, Effect::Change, Effect::Tell],
        targets: None,
    }]
}

/// A call with these arguments; what is not given has its default.
fn call(operation: &Arc<Operation>, given: &[(&str, Value)], within: Duration) -> Call {
    let args = operation
        .params
        .iter()
        .map(|param| {
            let value = given
                .iter()
                .find(|(name, _)| *name == &*param.name)
                .map(|(_, value)| value.clone())
                .or_else(|| param.default.clone())
                .unwrap_or_else(|| harmless(&param.ty, "no-such-thing", 0));
            (param.name.clone(), value)
        })
        .collect();
    Call {
        operation: operation.clone(),
        args,
        within,
        key: Some("conformance".into()),
    }
}

/// A value of the type that names nothing but this resource, with lists of so many elements.
fn harmless(ty: &Type, resource: &str, elements: usize) -> Value {
    let inner = |ty: &Type| harmless(ty, resource, elements);
    match ty {
        Type::Int => Value::Int(i64::from(elements > 0)),
        Type::Bool => Value::Bool(false),
        Type::Duration => Value::Duration(50_000_000),
        Type::Text => Value::text("no-such-thing.invalid"),
        Type::List(element) => Value::list((0..elements).map(|_| inner(element)).collect()),
        Type::Json => Value::Json(Arc::new(serde_json::json!([]))),
        Type::Enum(declared) => Value::variant(&declared.values[0]),
        Type::Resource(kind) => Value::Resource {
            kind: kind.name.clone(),
            // A cluster and a namespace cannot have the same name.
            name: if &*kind.name == "Cluster" { "cluster" } else { resource }.into(),
        },
        Type::Code(language) => Value::Code {
            language: Some(*language),
            text: "select 1".into(),
        },
        Type::Optional(_) => Value::None,
        Type::Record(declared) => Value::record(
            &declared.name,
            declared.fields.iter().map(|(name, ty)| (&**name, inner(ty))).collect(),
        ),
        Type::Secret(inside) => Value::Secret(Secret::new(inner(inside))),
        Type::Float => Value::float(0.0),
        Type::Bytes => Value::bytes(0),
        Type::Ratio => Value::ratio(0.0),
        Type::Time => Value::Time(jiff::Timestamp::UNIX_EPOCH),
        other => panic!("no harmless value of {other}"),
    }
}

fn is_read(operation: &Operation) -> bool {
    matches!(operation.effect, Effect::Read | Effect::Probe)
}

#[test]
fn the_code_implements_exactly_the_interface_text() {
    for provider in providers() {
        let mut declared: Vec<String> = interface(&*provider)
            .iter()
            .map(|operation| operation.path.to_string())
            .collect();
        let mut implemented: Vec<String> = provider.operations().iter().map(|path| (*path).to_owned()).collect();
        declared.sort();
        implemented.sort();
        assert_eq!(implemented, declared, "{}", provider.name());
    }
}

#[test]
fn every_operation_has_prose_a_class_and_types_that_are_known() {
    for provider in providers() {
        for operation in interface(&*provider) {
            let name = operation.full_name();
            assert!(!operation.doc.is_empty(), "{name} has no prose");
            assert_eq!(
                is_read(&operation),
                operation.idempotence == Idempotence::Read,
                "{name}"
            );
            assert!(operation.within > Duration::ZERO, "{name}");
            assert!(operation.result != Type::Any, "{name}");
            for param in &operation.params {
                // A document is written as records and lists.
                if let Some(default) = param.default.as_ref().filter(|_| param.ty != Type::Json) {
                    conforms(default, &param.ty).unwrap_or_else(|problem| panic!("{name}, {}: {problem}", param.name));
                }
            }
        }
    }
}

/// A server of this machine that answers everything.
async fn server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 8192];
                while let Ok(length) = stream.read(&mut buffer).await {
                    let reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    if length == 0 || stream.write_all(reply).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn every_reply_is_of_its_declared_type() {
    let url = server().await;
    for provider in providers() {
        let gate = gate(provider.clone(), everything(provider.name()), Mode::Live);
        let mut known = 0;
        for operation in interface(&*provider) {
            let name = operation.full_name();
            let endpoint = Value::Resource {
                kind: "Endpoint".into(),
                name: url.as_str().into(),
            };
            let given = [
                ("to", endpoint),
                ("over", Value::Duration(50_000_000)),
                (
                    "name",
                    if name.starts_with("host.dns") {
                        Value::text("localhost")
                    } else {
                        Value::None
                    },
                ),
            ];
            let given: Vec<_> = given.into_iter().filter(|(_, value)| *value != Value::None).collect();
            let asked = call(&operation, &given, Duration::from_secs(20));
            let value = if is_read(&operation) {
                gate.read(&asked).await
            } else {
                match gate.change(&asked).await {
                    Outcome::Done(value) => value,
                    Outcome::Failed(problem) | Outcome::Unclear(problem) => Value::Unknown(Arc::new(problem)),
                }
            };
            conforms(&value, &operation.result).unwrap_or_else(|problem| panic!("{name}: {problem}: {value:?}"));
            if let Some(unknown) = value.as_unknown() {
                assert_ne!(unknown.reason, Reason::Internal, "{name}: {unknown}");
            } else {
                known += 1;
            }
        }
        // Without a server nothing of these is known; their own tests have one.
        let least = if [
            "alertmanager",
            "app",
            "aws",
            "azure",
            "chat",
            "dns",
            "exec",
            "github",
            "jaeger",
            "jwt",
            "kubernetes",
            "mail",
            "pager",
            "postgres",
            "prometheus",
            "redis",
            "status_page",
            "docker",
            "tls",
        ]
        .contains(&provider.name())
        {
            0
        } else {
            7
        };
        assert!(known >= least, "{}: only {known} replies", provider.name());
    }
}

#[tokio::test]
async fn without_a_grant_every_operation_is_refused() {
    for provider in providers() {
        let gate = gate(provider.clone(), Vec::new(), Mode::Live);
        for operation in interface(&*provider) {
            let asked = call(&operation, &[], Duration::from_secs(20));
            let name = operation.full_name();
            let refusal = if is_read(&operation) {
                gate.read(&asked).await.as_unknown().cloned()
            } else {
                match gate.change(&asked).await {
                    Outcome::Failed(problem) => Some(problem),
                    _ => None,
                }
            };
            let refusal = refusal.unwrap_or_else(|| panic!("{name} was not refused"));
            assert!(refusal.detail.contains("does not grant"), "{name}: {refusal}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_refuses_every_change() {
    for provider in providers() {
        let gate = gate(provider.clone(), everything(provider.name()), Mode::DryRun);
        for operation in interface(&*provider).iter().filter(|operation| !is_read(operation)) {
            let outcome = gate.change(&call(operation, &[], Duration::from_secs(20))).await;
            let name = operation.full_name();
            assert!(
                matches!(&outcome, Outcome::Failed(why) if why.detail.contains("dry run")),
                "{name}: {outcome:?}"
            );
            // A change is never taken for a read.
            let read = gate.read(&call(operation, &[], Duration::from_secs(20))).await;
            assert_eq!(
                read.as_unknown().map(|why| why.reason),
                Some(Reason::Internal),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_deadline_of_a_millisecond_is_kept() {
    for provider in providers() {
        let gate = gate(provider.clone(), everything(provider.name()), Mode::Live);
        for operation in interface(&*provider).iter().filter(|operation| is_read(operation)) {
            let begin = Instant::now();
            let value = gate.read(&call(operation, &[], Duration::from_millis(1))).await;
            let name = operation.full_name();
            assert!(
                begin.elapsed() < Duration::from_secs(3),
                "{name} took {:?}",
                begin.elapsed()
            );
            conforms(&value, &operation.result).unwrap_or_else(|problem| panic!("{name}: {problem}"));
        }
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_provider_usable() {
    let url = server().await;
    let endpoint = Value::Resource {
        kind: "Endpoint".into(),
        name: url.as_str().into(),
    };
    let given = [("to", endpoint), ("name", Value::text("localhost"))];
    for provider in providers() {
        let gate = gate(provider.clone(), everything(provider.name()), Mode::Live);
        let reads: Vec<_> = interface(&*provider)
            .into_iter()
            .filter(|operation| is_read(operation))
            .collect();
        for operation in &reads {
            let asked = call(operation, &given, Duration::from_secs(20));
            for _ in 0..3 {
                // Polled once, then dropped, whether it had an answer already or not.
                let answered = futures::FutureExt::now_or_never(gate.read(&asked));
                assert!(answered.is_none_or(|value| conforms(&value, &operation.result).is_ok()));
            }
        }
        let (name, path) = match provider.name() {
            "host" => ("host", "memory"),
            "http" => ("http", "get"),
            other => (other, ""),
        };
        if let Some(operation) = reads.iter().find(|operation| &*operation.path == path) {
            let value = gate.read(&call(operation, &given, Duration::from_secs(20))).await;
            assert!(value.as_record().is_some(), "{name}: {value:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_no_reply_and_no_refusal() {
    let secret = Value::Secret(Secret::new(Value::text(format!("{CANARY}\n"))));
    let hostile = [
        ("authorization", secret),
        (
            "to",
            Value::Resource {
                kind: "Endpoint".into(),
                name: format!("http://user:{CANARY}@127.0.0.1:1/").into(),
            },
        ),
    ];
    for provider in providers() {
        let gate = gate(provider.clone(), everything(provider.name()), Mode::Live);
        for operation in interface(&*provider) {
            let asked = call(&operation, &hostile, Duration::from_millis(200));
            let shown = if is_read(&operation) {
                format!("{:?}", gate.read(&asked).await)
            } else {
                format!("{:?}", gate.change(&asked).await)
            };
            let targets = gate.targets(&asked).join(" ");
            assert!(
                !shown.contains(CANARY) && !targets.contains(CANARY),
                "{}: {shown}",
                operation.full_name()
            );
        }
        let doctor = format!("{:?}", provider.doctor().await);
        assert!(!doctor.contains(CANARY));
    }
}

/// A process may call itself anything; the listing gives the name as it is, and nothing else follows from it.
#[tokio::test]
async fn a_hostile_process_name_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    // The kernel keeps 15 bytes.
    let name = "x) Z 1\n\u{1b}[2J(";
    let program = folder.path().join(name);
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let mut child = std::process::Command::new(&program).arg("600").spawn().unwrap();
    let host: Arc<dyn Provider> = Arc::new(Host::new());
    let list = interface(&*host)
        .into_iter()
        .find(|operation| &*operation.path == "processes.list")
        .unwrap();
    let gate = gate(host, everything("host"), Mode::Live);
    let asked = call(
        &list,
        &[("name", Value::text(name)), ("over", Value::Duration(0))],
        Duration::from_secs(20),
    );
    // The name is the parent's until the child has become the program.
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = loop {
        let value = gate.read(&asked).await;
        let items = value.as_list().unwrap_or_else(|| panic!("{value:?}")).items.clone();
        if !items.is_empty() || Instant::now() > deadline {
            break items;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found.len(), 1);
    let process = found[0].as_record().unwrap();
    assert_eq!(process.get("name"), Some(&Value::text(name)));
    assert_eq!(process.get("pid"), Some(&Value::Int(child.id().into())));
    assert_eq!(process.get("parent"), Some(&Value::Int(std::process::id().into())));
}
