//! The provider against an API server of the tests, and both against what a real one has said.

mod credentials;
mod drain;
mod incident;
mod locks;
mod patches;
mod previews;
mod programs;
mod provider;
mod reached;
mod recordings;
mod rights;
pub mod server;
mod waits;
pub mod world;

use serde_json::{Value as Json, json};
use starr::check;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Operation, Outcome};
use starr::providers::kubernetes::{Kubernetes, config::Config};
use starr::value::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The provider with one cluster, `c`, and one namespace, `shop`.
pub fn provider(address: &str, more: &str) -> Kubernetes {
    let text = format!(
        "clusters:\n  c: {{ server: '{address}'{more} }}\nnamespaces:\n  shop: {{ cluster: c }}\n  other: {{ cluster: c }}\n"
    );
    Kubernetes::new(serde_yaml::from_str::<Config>(&text).unwrap()).unwrap()
}

pub fn gate(address: &str) -> Gate {
    gate_of(provider(address, ""))
}

pub fn gate_of(provider: Kubernetes) -> Gate {
    let grant = Grant {
        capability: "kubernetes".to_owned(),
        effects: vec![Effect::Read, Effect::Probe, Effect::Change],
        targets: None,
    };
    let mut gate = Gate::new(vec![grant], Mode::Live);
    gate.register(Arc::new(provider));
    gate
}

fn resource(kind: &str, name: &str) -> Value {
    Value::Resource {
        kind: kind.into(),
        name: name.into(),
    }
}

/// The operations of the interface text.
pub fn operations() -> &'static [Arc<Operation>] {
    static OPERATIONS: OnceLock<Vec<Arc<Operation>>> = OnceLock::new();
    OPERATIONS.get_or_init(|| check::interface("kubernetes").unwrap())
}

/// A call with these arguments; what is not given has its default.
pub fn call(path: &str, given: &[(&str, Value)]) -> Call {
    let operation = operations()
        .iter()
        .find(|operation| &*operation.path == path)
        .unwrap_or_else(|| panic!("no operation {path}"))
        .clone();
    let args = operation
        .params
        .iter()
        .map(|param| {
            let value = given
                .iter()
                .find(|(name, _)| *name == &*param.name)
                .map(|(_, value)| value.clone())
                .or_else(|| param.default.clone())
                .or(match &*param.name {
                    "namespace" => Some(resource("Namespace", "shop")),
                    "cluster" => Some(resource("Cluster", "c")),
                    _ => None,
                })
                .unwrap_or(Value::None);
            (param.name.clone(), value)
        })
        .collect();
    Call {
        operation,
        args,
        within: Duration::from_secs(20),
        key: Some("the-key".into()),
    }
}

pub async fn read(gate: &Gate, path: &str, given: &[(&str, Value)]) -> Value {
    let call = call(path, given);
    let value = gate.read(&call).await;
    starr::value::conform::conforms(&value, &call.operation.result)
        .unwrap_or_else(|problem| panic!("{path}: {problem}: {value:?}"));
    value
}

pub async fn change(gate: &Gate, path: &str, given: &[(&str, Value)]) -> Outcome {
    gate.change(&call(path, given)).await
}

pub fn field(value: &Value, name: &str) -> Value {
    value
        .as_record()
        .unwrap_or_else(|| panic!("no record: {value:?}"))
        .get(name)
        .unwrap_or_else(|| panic!("no field {name}: {value:?}"))
        .clone()
}

pub fn text(value: &Value, name: &str) -> String {
    field(value, name).as_str().unwrap_or_default().to_owned()
}

pub fn done(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

/// A deployment of the tests, as somebody would write it.
pub fn deployment(name: &str, image: &str, replicas: i64) -> Json {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image,
                    "env": [{"name": "LEVEL", "value": "info"}],
                    "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "256Mi"}}}]},
            },
        },
    })
}
