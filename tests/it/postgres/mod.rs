//! The provider `postgres` against a real server.

mod changes;
mod faults;
mod guard;
mod reads;

use crate::support::postgres::Place;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Idempotence, Operation, Outcome};
use starr::providers::postgres::Postgres;
use starr::value::{Reason, Record, Type, Value};
use std::sync::Arc;
use std::time::Duration;

/// A gate with everything granted, in front of one provider: no test speaks past it.
pub struct World {
    pub gate: Gate,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new(place: &Place) -> Self {
        Self::with(place, "")
    }

    pub fn with(place: &Place, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = place.provider_with(folder.path(), more);
        Self::of(provider, folder)
    }

    pub fn of(provider: Postgres, folder: tempfile::TempDir) -> Self {
        let mut gate = Gate::new(
            vec![Grant {
                capability: "postgres".to_owned(),
                effects: vec![Effect::Read, Effect::Probe, Effect::Change],
                targets: None,
            }],
            Mode::Live,
        );
        gate.register(Arc::new(provider));
        Self { gate, _folder: folder }
    }

    pub async fn read(&self, path: &str, args: &[(&str, Value)]) -> Value {
        self.read_within(path, args, Duration::from_secs(30)).await
    }

    pub async fn read_within(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Value {
        self.gate.read(&call(path, Effect::Read, args, within)).await
    }

    pub async fn change(&self, path: &str, args: &[(&str, Value)]) -> Outcome {
        self.change_within(path, args, Duration::from_secs(30)).await
    }

    pub async fn change_within(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Outcome {
        self.gate.change(&call(path, Effect::Change, args, within)).await
    }

    /// Rows of a statement of the author.
    pub async fn query(&self, sql: &str, parameters: Vec<Value>) -> Value {
        self.read(
            "query",
            &[("sql", sql_text(sql)), ("parameters", Value::list(parameters))],
        )
        .await
    }

    /// Sessions that are idle in a transaction.
    pub async fn idle_in_transaction(&self) -> Value {
        self.read("sessions.list", &[("state", Value::variant("idle_in_transaction"))])
            .await
    }
}

/// A code literal.
pub fn sql_text(text: &str) -> Value {
    Value::Code {
        language: Some(starr::value::CodeLanguage::Sql),
        text: text.into(),
    }
}

/// The database of the test, as a resource.
pub fn orders() -> Value {
    Value::Resource {
        kind: "Postgres".into(),
        name: "orders".into(),
    }
}

fn call(path: &str, effect: Effect, args: &[(&str, Value)], within: Duration) -> Call {
    let mut given: Vec<(Arc<str>, Value)> = vec![];
    if !args.iter().any(|(name, _)| *name == "db" || *name == "sessions") {
        given.push(("db".into(), orders()));
    }
    given.extend(args.iter().map(|(name, value)| ((*name).into(), value.clone())));
    for (name, value) in [
        ("at_most", Value::Int(1_000)),
        ("older_than", Value::Duration(0)),
        ("all_databases", Value::Bool(path == "sessions.by_client")),
        ("schema", Value::text("public")),
        ("by", Value::variant("mean_time")),
        ("parameters", Value::list(vec![])),
    ] {
        if !given.iter().any(|(known, _)| &**known == name) {
            given.push((name.into(), value));
        }
    }
    Call {
        operation: Arc::new(Operation {
            provider: "postgres".into(),
            path: path.into(),
            effect,
            params: Vec::new(),
            result: Type::Any,
            idempotence: Idempotence::Unrepeatable,
            heavy: false,
            within,
            doc: String::new(),
        }),
        args: given,
        within,
        key: None,
    }
}

/// The elements of a list that is whole.
pub fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => {
            assert!(!list.truncated, "the list was cut");
            &list.items
        }
        other => panic!("not a list: {other:?}"),
    }
}

pub fn record(value: &Value) -> &Record {
    value.as_record().unwrap_or_else(|| panic!("not a record: {value:?}"))
}

pub fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    record(value)
        .get(name)
        .unwrap_or_else(|| panic!("no field {name} in {value:?}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value:?}"))
}

/// The reason of not knowing, and its words.
pub fn reason(value: &Value) -> (Reason, &str) {
    match value.as_unknown() {
        Some(unknown) => (unknown.reason, &unknown.detail),
        None => panic!("known: {value:?}"),
    }
}

pub fn done(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done(value) => value,
        other => panic!("not done: {other:?}"),
    }
}

pub fn failed(outcome: Outcome) -> (Reason, String) {
    match outcome {
        Outcome::Failed(unknown) => (unknown.reason, unknown.detail),
        other => panic!("not failed: {other:?}"),
    }
}

pub fn unclear(outcome: Outcome) -> (Reason, String) {
    match outcome {
        Outcome::Unclear(unknown) => (unknown.reason, unknown.detail),
        other => panic!("not unclear: {other:?}"),
    }
}

/// `[1]` as rows: the Json of a query.
pub fn json(value: &Value) -> &serde_json::Value {
    match value {
        Value::Json(json) => json,
        other => panic!("not Json: {other:?}"),
    }
}
