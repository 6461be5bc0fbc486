//! A provider behind a gate with everything granted: no test speaks past it, and every reply is of its declared type.

use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::notes::noting;
use starr::provider::{Call, Effect, Operation, Outcome, Provider};
use starr::value::conform::conforms;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::time::Duration;

/// A provider, and what is given to a call that does not say it.
pub struct Gated {
    pub gate: Gate,
    name: &'static str,
    given: Vec<(&'static str, Value)>,
}

impl Gated {
    pub fn new(provider: Arc<dyn Provider>, given: Vec<(&'static str, Value)>) -> Self {
        let name = provider.name();
        let grant = Grant {
            capability: name.to_owned(),
            effects: vec![Effect::Read, Effect::Probe, Effect::Change, Effect::Tell],
            targets: None,
        };
        let mut gate = Gate::new(vec![grant], Mode::Live);
        gate.register(provider);
        Self { gate, name, given }
    }

    /// An operation of the interface text.
    pub fn operation(&self, path: &str) -> Arc<Operation> {
        starr::check::operation(self.name, path).unwrap_or_else(|| panic!("there is no {}.{path}", self.name))
    }

    /// A call as the engine makes it.
    pub fn call(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Call {
        let operation = self.operation(path);
        for (name, _) in args {
            let known = operation.params.iter().any(|param| &*param.name == *name);
            assert!(known, "{path} has no parameter {name}");
        }
        let args = operation
            .params
            .iter()
            .map(|param| {
                let given = args.iter().find(|(name, _)| *name == &*param.name);
                let usual = self.given.iter().find(|(name, _)| *name == &*param.name);
                let value = match (given, &param.default, usual) {
                    (Some((_, value)), _, _) => value.clone(),
                    (None, Some(default), _) => default.clone(),
                    (None, None, Some((_, value))) => value.clone(),
                    (None, None, None) => panic!("{path} needs {}", param.name),
                };
                (param.name.clone(), value)
            })
            .collect();
        Call {
            operation,
            args,
            within,
            key: Some("a-key-of-the-test".into()),
        }
    }

    pub async fn read(&self, path: &str, args: &[(&str, Value)]) -> Value {
        self.read_within(path, args, Duration::from_secs(30)).await
    }

    pub async fn read_within(&self, path: &str, args: &[(&str, Value)], within: Duration) -> Value {
        let call = self.call(path, args, within);
        let (value, _) = self.gate.read_noting(&call).await;
        conforms(&value, &call.operation.result).unwrap_or_else(|problem| panic!("{path}: {problem}: {value:?}"));
        value
    }

    pub async fn change(&self, path: &str, args: &[(&str, Value)]) -> Outcome {
        let call = self.call(path, args, Duration::from_secs(30));
        let (outcome, _) = noting(self.gate.change(&call)).await;
        if let Outcome::Done(value) = &outcome {
            conforms(value, &call.operation.result).unwrap_or_else(|problem| panic!("{path}: {problem}: {value:?}"));
        }
        outcome
    }

    /// A change that must be done.
    pub async fn done(&self, path: &str, args: &[(&str, Value)]) -> Value {
        match self.change(path, args).await {
            Outcome::Done(value) => value,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// A change that definitely must not be done.
    pub async fn refused(&self, path: &str, args: &[(&str, Value)]) -> (Reason, String) {
        match self.change(path, args).await {
            Outcome::Failed(unknown) => (unknown.reason, unknown.detail),
            other => panic!("{path} was not refused: {other:?}"),
        }
    }
}

/// A field of a record.
pub fn field(record: &Value, name: &str) -> Value {
    record
        .as_record()
        .unwrap_or_else(|| panic!("no record: {record:?}"))
        .get(name)
        .unwrap_or_else(|| panic!("no field {name}"))
        .clone()
}

/// The elements of a list that was not cut.
pub fn items(list: &Value) -> Vec<Value> {
    let list = list.as_list().unwrap_or_else(|| panic!("no list: {list:?}"));
    assert!(!list.truncated, "the list was cut");
    list.items.clone()
}

/// Why a value is unknown.
pub fn reason(value: &Value) -> (Reason, String) {
    let unknown = value.as_unknown().unwrap_or_else(|| panic!("it is known: {value:?}"));
    (unknown.reason, unknown.detail.clone())
}
