//! The one gate: every call of every part of the engine — checks, actions, undo, verification, escalation — passes here.

use super::{Call, Effect, Outcome, Permit, Provider, covers};
use crate::value::{Reason, Unknown, Value};
use futures::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// What may be done: a capability on targets. Given by configuration outside the runbook's folder, matched exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `postgres.sessions`, or a prefix of it that ends at a dot.
    pub capability: String,
    pub effects: Vec<Effect>,
    /// Canonical target names; `None` is every target.
    pub targets: Option<Vec<String>>,
}

/// Whether changes are possible at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Live,
    /// Reads only: no permit is ever made.
    DryRun,
}

/// The closed registry of providers with the grants of this environment.
pub struct Gate {
    providers: BTreeMap<&'static str, Arc<dyn Provider>>,
    grants: Vec<Grant>,
    mode: Mode,
}

impl Gate {
    /// A gate without providers.
    pub fn new(grants: Vec<Grant>, mode: Mode) -> Self {
        Self {
            providers: BTreeMap::new(),
            grants,
            mode,
        }
    }

    /// Adds a provider under its name.
    pub fn register(&mut self, provider: Arc<dyn Provider>) {
        self.providers.insert(provider.name(), provider);
    }

    /// Whether changes are possible at all.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The registered providers by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.providers.values()
    }

    /// The canonical targets of a call, for the journal and for people.
    pub fn targets(&self, call: &Call) -> Vec<String> {
        self.providers
            .get(&*call.operation.provider)
            .map(|provider| provider.targets(call))
            .unwrap_or_default()
    }

    /// Whether the environment grants this call; the refusal says what is missing.
    pub fn allows(&self, call: &Call) -> Result<(), Unknown> {
        let operation = &call.operation;
        let Some(provider) = self.providers.get(&*operation.provider) else {
            return Err(refusal(format!(
                "no provider `{}` is configured in this environment",
                operation.provider
            )));
        };
        if !provider.operations().contains(&&*operation.path) {
            return Err(refusal(format!("`{}` is not implemented", operation.full_name())));
        }
        let capability = operation.capability();
        for target in provider.targets(call) {
            let granted = self.grants.iter().any(|grant| {
                grant.effects.contains(&operation.effect)
                    && covers(&grant.capability, &capability)
                    && grant.targets.as_ref().is_none_or(|targets| targets.contains(&target))
            });
            if !granted {
                return Err(refusal(format!(
                    "this environment does not grant {} `{capability}` on `{target}`",
                    effect_word(operation.effect)
                )));
            }
        }
        Ok(())
    }

    /// Runs a read or probe. Never sends anything else: another effect is refused here, whatever the caller believed.
    pub async fn read(&self, call: &Call) -> Value {
        if !matches!(call.operation.effect, Effect::Read | Effect::Probe) {
            return Value::unknown(
                Reason::Internal,
                format!("`{}` is not a read", call.operation.full_name()),
            );
        }
        if let Err(unknown) = self.allows(call) {
            return Value::Unknown(Arc::new(unknown));
        }
        let Some(provider) = self.providers.get(&*call.operation.provider) else {
            return Value::unknown(Reason::Unavailable, "no such provider");
        };
        let work = AssertUnwindSafe(provider.read(call)).catch_unwind();
        match tokio::time::timeout(call.within, work).await {
            Ok(Ok(value)) => value,
            Ok(Err(_panic)) => internal(call),
            Err(_elapsed) => Value::unknown(
                Reason::Timeout,
                format!("`{}` did not answer in time", call.operation.full_name()),
            ),
        }
    }

    /// Sends a change or a tell. In a dry run nothing is ever sent. After the deadline the outcome is unclear.
    pub async fn change(&self, call: &Call) -> Outcome {
        if !matches!(call.operation.effect, Effect::Change | Effect::Tell) {
            return Outcome::Failed(refusal(format!("`{}` is not a change", call.operation.full_name())));
        }
        if let Err(unknown) = self.allows(call) {
            return Outcome::Failed(unknown);
        }
        let (Mode::Live, Some(provider)) = (self.mode, self.providers.get(&*call.operation.provider)) else {
            return Outcome::Failed(refusal("a dry run changes nothing".to_owned()));
        };
        let permit = Permit { _private: () };
        let work = AssertUnwindSafe(provider.change(call, &permit)).catch_unwind();
        match tokio::time::timeout(call.within, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => match internal(call) {
                Value::Unknown(unknown) => Outcome::Unclear((*unknown).clone()),
                _ => Outcome::Unclear(refusal(String::new())),
            },
            Err(_elapsed) => Outcome::Unclear(Unknown {
                reason: Reason::Timeout,
                detail: format!("`{}` was sent and did not answer in time", call.operation.full_name()),
            }),
        }
    }
}

fn refusal(detail: String) -> Unknown {
    Unknown {
        reason: Reason::Unavailable,
        detail,
    }
}

fn internal(call: &Call) -> Value {
    Value::unknown(
        Reason::Internal,
        format!(
            "the provider failed in `{}` (starr {})",
            call.operation.full_name(),
            env!("CARGO_PKG_VERSION")
        ),
    )
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Probe => "probe",
        Effect::Change => "change",
        Effect::Tell => "tell",
    }
}
