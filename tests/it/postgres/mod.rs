//! The provider `postgres` against a real server.

mod changes;
mod doubt;
mod faults;
mod guard;
mod interface;
mod reads;
mod recovery;
mod runbooks;

use crate::support::postgres::Place;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Operation, Outcome};
use starr::providers::postgres::Postgres;
use starr::value::{Reason, Record, Type, Value};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A gate with everything granted, in front of the provider: no test speaks past it.
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
            ["postgres", "app"]
                .map(|name| Grant {
                    capability: name.to_owned(),
                    effects: vec![Effect::Read, Effect::Probe, Effect::Change],
                    targets: None,
                })
                .to_vec(),
            Mode::Live,
        );
        gate.register(Arc::new(provider));
        Self { gate, _folder: folder }
    }

    pub async fn read(&self, path: &str, args: &[(&str, Value)]) -> Value {
        self.read_within(path, args, Duration::from_secs(30)).await
    }

    pub async fn read_within(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Value {
        let value = self.gate.read(&call(path, args, within)).await;
        assert!(
            is_of(&operation(path).result, &value),
            "{path}: not as declared: {value:?}"
        );
        value
    }

    pub async fn change(&self, path: &str, args: &[(&str, Value)]) -> Outcome {
        self.change_within(path, args, Duration::from_secs(30)).await
    }

    pub async fn change_within(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Outcome {
        let outcome = self.gate.change(&call(path, args, within)).await;
        if let Outcome::Done(value) = &outcome {
            assert!(
                is_of(&operation(path).result, value),
                "{path}: not as declared: {value:?}"
            );
        }
        outcome
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

/// A call as the engine makes it: the operation from the interface text, every parameter there, defaults filled in.
fn call(path: &str, args: &[(&str, Value)], within: Duration) -> Call {
    let operation = operation(path);
    for (name, _) in args {
        assert!(
            operation.params.iter().any(|parameter| &*parameter.name == *name),
            "{path} has no parameter {name}"
        );
    }
    let args = operation
        .params
        .iter()
        .map(|parameter| {
            let given = args.iter().find(|(name, _)| *name == &*parameter.name);
            let value = match (given, &parameter.default) {
                (Some((_, value)), _) => value.clone(),
                (None, Some(default)) => default.clone(),
                (None, None) if &*parameter.name == "db" => orders(),
                (None, None) => panic!("{path} needs {}", parameter.name),
            };
            (Arc::clone(&parameter.name), value)
        })
        .collect();
    Call {
        operation,
        args,
        within,
        key: None,
    }
}

/// An operation of the interface text.
pub fn operation(path: &str) -> Arc<Operation> {
    static INTERFACE: OnceLock<Vec<Arc<Operation>>> = OnceLock::new();
    let operations = INTERFACE.get_or_init(|| starr::check::interface("postgres").expect("it is embedded"));
    let found = operations.iter().find(|operation| &*operation.path == path);
    Arc::clone(found.unwrap_or_else(|| panic!("the interface text has no {path}")))
}

/// Whether a value is of a type, down to the last field. An unknown is of every type.
pub fn is_of(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (_, Value::Unknown(_))
        | (Type::Any | Type::Json, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Float, Value::Float(_))
        | (Type::Text, Value::Text(_))
        | (Type::Time, Value::Time(_))
        | (Type::Duration, Value::Duration(_))
        | (Type::Ratio, Value::Ratio(_))
        | (Type::Bytes, Value::Bytes(_))
        | (Type::Rate, Value::Rate(_))
        | (Type::Nothing | Type::None | Type::Optional(_), Value::None) => true,
        (Type::Optional(inner), value) => is_of(inner, value),
        (Type::Secret(inner), Value::Secret(secret)) => is_of(inner, secret.expose()),
        (Type::List(inner), Value::List(list)) => list.items.iter().all(|item| is_of(inner, item)),
        (Type::Enum(words), Value::Enum(word)) => words.values.contains(word),
        (Type::Resource(resource), Value::Resource { kind, .. }) => resource.name == *kind,
        (Type::Record(declared), Value::Record(record)) => {
            declared.name == record.type_name
                && declared.fields.len() == record.fields.len()
                && declared
                    .fields
                    .iter()
                    .zip(&record.fields)
                    .all(|((name, ty), (field, value))| name == field && is_of(ty, value))
        }
        _ => false,
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
