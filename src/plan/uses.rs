//! Every operation that a program can call, with the arguments that are known before it runs.

use super::effects::each_call;
use crate::eval::{Scope, evaluate};
use crate::program::{BindingId, BindingKind, Program, RunField, Runbook};
use crate::provider::native::Use;
use crate::value::{Reason, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// What is known before a run when every parameter has its default.
struct Defaults {
    values: Vec<Value>,
}

fn open() -> Value {
    Value::unknown(Reason::NotApplied, "")
}

impl Defaults {
    fn of(runbook: &Runbook, given: &[(String, Value)]) -> Self {
        let mut defaults = Self {
            values: vec![open(); runbook.bindings.len()],
        };
        for (position, binding) in runbook.bindings.iter().enumerate() {
            let value = match &binding.kind {
                BindingKind::Param { default } => match given.iter().find(|(name, _)| *name == binding.name) {
                    Some((_, value)) => value.clone(),
                    None => default
                        .as_ref()
                        .map_or_else(open, |default| evaluate(default, &defaults)),
                },
                BindingKind::Let(expr) => evaluate(expr, &defaults),
                _ => open(),
            };
            defaults.values[position] = value;
        }
        defaults
    }
}

impl Scope for Defaults {
    fn binding(&self, id: BindingId) -> Value {
        self.values.get(id.0).cloned().unwrap_or_else(open)
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn run(&self, _field: RunField) -> Value {
        open()
    }

    fn resource(&self, _kind: &str, _name: &str, _field: &str) -> Value {
        open()
    }
}

/// Every call that a program can make, of all its runbooks and of what tells whether a change happened; equal ones once. `given` are parameters of the first runbook.
pub fn uses(program: &Program, given: &[(String, Value)]) -> Vec<Use> {
    let mut found: Vec<Use> = Vec::new();
    let verifications = program.verifications.values().map(|verification| &verification.book);
    for (position, runbook) in program.runbooks.iter().chain(verifications).enumerate() {
        let scope = Defaults::of(runbook, if position == 0 { given } else { &[] });
        each_call(runbook, &mut |call| {
            let used = Use {
                operation: Arc::clone(&call.operation),
                args: call
                    .args
                    .iter()
                    .map(|arg| {
                        let value = evaluate(&arg.value, &scope);
                        let known = crate::value::identity::unknown_in(&value).is_none();
                        (arg.name.clone(), known.then_some(value))
                    })
                    .collect(),
            };
            let same = |other: &Use| other.operation == used.operation && other.args == used.args;
            if !found.iter().any(same) {
                found.push(used);
            }
        });
    }
    found
}
