//! Every operation that a program can call, with the arguments that are known before it runs.

use super::effects::each_call;
use crate::eval::{Scope, evaluate};
use crate::program::{BindingId, BindingKind, CallExpr, OrderKind, Program, RunField, Runbook};
use crate::provider::native::Use;
use crate::value::{Reason, Type, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// What is known before a run when every parameter has its default.
struct Defaults {
    values: Vec<Value>,
}

fn open() -> Value {
    Value::unknown(Reason::NotApplied, "")
}

/// What is known of an answer before it is there: the names that were asked for stand in it.
fn answer(call: &CallExpr, scope: &Defaults) -> Value {
    let echoed = crate::provider::modelled::echoed(&call.operation.provider, &call.operation.path);
    let Type::Record(record) = &call.operation.result else {
        return open();
    };
    if echoed.is_empty() || call.decode.is_some() || call.args.iter().any(|arg| arg.each) {
        return open();
    }
    let known = |name: &str| {
        let arg = call.args.iter().find(|arg| &*arg.name == name)?;
        echoed.contains(&name).then(|| evaluate(&arg.value, scope))
    };
    let fields = record.fields.iter();
    let fields = fields.map(|(name, _)| (&**name, known(name).unwrap_or_else(open)));
    Value::record(&record.name, fields.collect())
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
                BindingKind::Read(call) => answer(call, &defaults),
                BindingKind::Before { action, order } => {
                    let orders = runbook.actions.get(action.0).map(|action| &action.orders);
                    match orders.and_then(|orders| Some(&orders.get(*order)?.kind)) {
                        Some(OrderKind::Call {
                            before: Some((_, call)),
                            ..
                        }) => answer(call, &defaults),
                        _ => open(),
                    }
                }
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
            let mut used = Use {
                operation: Arc::clone(&call.operation),
                args: Vec::new(),
                parts: Vec::new(),
            };
            for arg in &call.args {
                let value = evaluate(&arg.value, &scope);
                let known = crate::value::identity::unknown_in(&value).is_none();
                if !known && value.as_record().is_some() && !arg.each {
                    used.parts.push((arg.name.clone(), value.clone()));
                }
                used.args.push((arg.name.clone(), known.then_some(value)));
            }
            let same =
                |other: &Use| other.operation == used.operation && other.args == used.args && other.parts == used.parts;
            if !found.iter().any(same) {
                found.push(used);
            }
        });
    }
    found
}
