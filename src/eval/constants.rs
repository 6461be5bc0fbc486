//! What is known of a program before it runs: lets that rest on nothing but literals, such as a library check's limits.

use super::{Scope, evaluate};
use crate::program::{BindingId, BindingKind, RunField, Runbook};
use crate::value::{Reason, Value};
use jiff::Timestamp;

/// The constants of a runbook; every other name is unknown until it is applied.
pub struct Constants {
    values: Vec<Value>,
}

impl Constants {
    /// Computes the constants of a runbook.
    pub fn of(runbook: &Runbook) -> Self {
        let mut constants = Self {
            values: vec![open(); runbook.bindings.len()],
        };
        for (position, binding) in runbook.bindings.iter().enumerate() {
            if let BindingKind::Let(expr) = &binding.kind
                && !mentions_time(expr)
            {
                constants.values[position] = evaluate(expr, &constants);
            }
        }
        constants
    }
}

fn mentions_time(expr: &crate::program::Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |part| {
        found |= matches!(
            part.kind,
            crate::program::ExprKind::Now | crate::program::ExprKind::IsUnknown { .. }
        );
    });
    found
}

fn open() -> Value {
    Value::unknown(Reason::NotApplied, "")
}

impl Scope for Constants {
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
