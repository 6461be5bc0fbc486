//! The one gate: every call of every part of the engine — checks, actions, undo, verification, escalation — passes here.

use super::lock::{Held, Holder, NotTaken};
use super::native::{PreviewPass, Previewed, Reference, Resolved};
use super::policy::{Asked, Grounds, Policy, Refusal, Request, Target};
use super::{Call, Effect, Outcome, Permit, Provider, covers, notes};
use crate::secrets::{redact, redact_json};
use crate::value::show::show_std;
use crate::value::{List, Reason, Record, Unknown, Value};
use futures::FutureExt;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

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
    policy: Option<Arc<dyn Policy>>,
    /// Locks in targets that this run holds, until the gate goes.
    locks: Mutex<BTreeMap<Target, Box<dyn Held>>>,
}

impl Gate {
    /// A gate without providers.
    pub fn new(grants: Vec<Grant>, mode: Mode) -> Self {
        Self {
            providers: BTreeMap::new(),
            grants,
            mode,
            policy: None,
            locks: Mutex::default(),
        }
    }

    /// Puts a policy over everything that is changed.
    pub fn govern(&mut self, policy: Arc<dyn Policy>) {
        self.policy = Some(policy);
    }

    /// What the policy says; without one everything is permitted that the grants allow.
    pub fn decide(&self, request: &Request) -> Result<(), Refusal> {
        self.policy.as_ref().map_or(Ok(()), |policy| policy.decide(request))
    }

    /// SHA-256 of the policy; `None` where none is configured.
    pub fn policy_digest(&self) -> Option<[u8; 32]> {
        self.policy.as_ref().map(|policy| policy.digest())
    }

    /// What the policy says to a change or a tell, target by target.
    pub fn permits(&self, call: &Call, grounds: &Grounds) -> Result<(), Refusal> {
        if self.policy.is_none() || !matches!(call.operation.effect, Effect::Change | Effect::Tell) {
            return Ok(());
        }
        let operation = &call.operation;
        let mut targets = self.named_targets(call);
        if targets.is_empty() {
            // What cannot be named is asked about all the same.
            targets.push(Target {
                provider: operation.provider.to_string(),
                name: String::new(),
            });
        }
        for target in targets {
            self.decide(&Request {
                person: grounds.requester.clone(),
                grounds: grounds.clone(),
                asked: if operation.effect == Effect::Tell {
                    Asked::Tell {
                        operation: operation.full_name(),
                        capability: operation.capability(),
                        target,
                    }
                } else {
                    Asked::Change {
                        operation: operation.full_name(),
                        capability: operation.capability(),
                        class: operation.idempotence.class().to_string(),
                        target,
                        count: count(call),
                    }
                },
            })?;
        }
        Ok(())
    }

    /// The canonical targets of a call with their provider.
    pub fn named_targets(&self, call: &Call) -> Vec<Target> {
        self.targets(call)
            .into_iter()
            .map(|name| Target {
                provider: call.operation.provider.to_string(),
                name,
            })
            .collect()
    }

    /// Takes the lock of a target for this run, unless it is held already; whether it was taken now.
    pub async fn lock(&self, target: &Target, holder: &Holder, take_over: Option<&str>) -> Result<bool, NotTaken> {
        let mut locks = self.locks.lock().await;
        let (Mode::Live, false, Some(provider)) = (
            self.mode,
            locks.contains_key(target),
            self.providers.get(target.provider.as_str()),
        ) else {
            return Ok(false);
        };
        match provider.lock(&target.name, holder, take_over).await? {
            None => Ok(false),
            Some(held) => {
                locks.insert(target.clone(), held);
                Ok(true)
            }
        }
    }

    /// Whether every lock this run took on the call's targets is still its own.
    async fn fence(&self, call: &Call) -> Result<(), Unknown> {
        let locks = self.locks.lock().await;
        for target in self.named_targets(call) {
            if let Some(held) = locks.get(&target) {
                held.still_held().await?;
            }
        }
        Ok(())
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

    /// What the configuration of the providers allows beyond the default, in words.
    pub fn exceptions(&self) -> Vec<String> {
        self.providers().flat_map(|provider| provider.exceptions()).collect()
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
        if !provider.implements(&operation.path) {
            return Err(refusal(format!("`{}` is not implemented", operation.full_name())));
        }
        let capability = operation.capability();
        let targets = provider.targets(call);
        let granting = |target: Option<&String>| {
            self.grants.iter().any(|grant| {
                grant.effects.contains(&operation.effect)
                    && covers(&grant.capability, &capability)
                    && match (&grant.targets, target) {
                        (None, _) => true,
                        (Some(granted), Some(target)) => granted.contains(target),
                        (Some(_), None) => false,
                    }
            })
        };
        let effect = operation.effect.word();
        // A call whose target cannot be told needs the grant of every target, never none at all.
        if targets.is_empty() && !granting(None) {
            return Err(refusal(format!(
                "this environment does not grant {effect} `{capability}` on every target, and this call names none"
            )));
        }
        for target in &targets {
            if !granting(Some(target)) {
                return Err(refusal(format!(
                    "this environment does not grant {effect} `{capability}` on `{target}`"
                )));
            }
        }
        Ok(())
    }

    /// As [`Gate::read`], with what was noted about how it went.
    pub async fn read_noting(&self, call: &Call) -> (Value, Vec<String>) {
        notes::noting(self.read(call)).await
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
            Ok(Ok(Value::Unknown(unknown))) => Value::Unknown(Arc::new(said(&unknown))),
            Ok(Ok(value)) => value,
            Ok(Err(_panic)) => internal(call),
            Err(_elapsed) => Value::unknown(
                Reason::Timeout,
                format!(
                    "`{}` did not answer within {}",
                    call.operation.full_name(),
                    show_std(call.within)
                ),
            ),
        }
    }

    /// What a change would do, said by its target. A class of its own: without a grant of `preview` on every target nothing is sent.
    pub async fn preview(&self, call: &Call) -> Previewed {
        if call.operation.effect != Effect::Change {
            return Previewed::NoPreview;
        }
        let mut asked = call.clone();
        Arc::make_mut(&mut asked.operation).effect = Effect::Preview;
        if let Err(unknown) = self.allows(&asked) {
            return Previewed::NotGranted(unknown.detail);
        }
        let Some(provider) = self.providers.get(&*call.operation.provider) else {
            return Previewed::NoPreview;
        };
        let pass = PreviewPass { _private: () };
        let work = AssertUnwindSafe(provider.preview(call, &pass)).catch_unwind();
        match tokio::time::timeout(call.within, work).await {
            Ok(Ok(Previewed::Unknown(unknown))) => Previewed::Unknown(said(&unknown)),
            Ok(Ok(previewed)) => previewed,
            Ok(Err(_panic)) => Previewed::Unknown(refusal("the provider failed (a mistake in starr)".to_owned())),
            Err(_elapsed) => Previewed::Unknown(Unknown {
                reason: Reason::Timeout,
                detail: format!("no preview within {}", show_std(call.within)),
            }),
        }
    }

    /// Looks up what a runbook refers to: a read of that provider's target, and granted like one.
    pub async fn resolve(&self, provider: &str, reference: &Reference, within: Duration) -> Resolved {
        let Some(found) = self.providers.get(provider) else {
            return Resolved::Unknown(format!("no provider `{provider}` is configured in this environment"));
        };
        let granted = self.grants.iter().any(|grant| {
            grant.effects.contains(&Effect::Read)
                && (grant.capability == provider || covers(provider, &grant.capability))
                && grant
                    .targets
                    .as_ref()
                    .is_none_or(|targets| targets.contains(&reference.on))
        });
        if !granted {
            return Resolved::Unknown(format!(
                "this environment does not grant read `{provider}` on `{}`",
                reference.on
            ));
        }
        let work = AssertUnwindSafe(found.resolve(reference)).catch_unwind();
        match tokio::time::timeout(within, work).await {
            Ok(Ok(resolved)) => resolved,
            Ok(Err(_panic)) => Resolved::Unknown("the provider failed (a mistake in starr)".to_owned()),
            Err(_elapsed) => Resolved::Unknown(format!("no reply within {}", show_std(within))),
        }
    }

    /// Sends a change or a tell on no other grounds than the grants: a policy has nothing to permit it by.
    pub async fn change(&self, call: &Call) -> Outcome {
        self.change_on(call, &Grounds::default()).await
    }

    /// Sends a change or a tell. In a dry run nothing is ever sent. After the deadline the outcome is unclear.
    pub async fn change_on(&self, call: &Call, grounds: &Grounds) -> Outcome {
        if !matches!(call.operation.effect, Effect::Change | Effect::Tell) {
            return Outcome::Failed(refusal(format!("`{}` is not a change", call.operation.full_name())));
        }
        if let Err(unknown) = self.allows(call) {
            return Outcome::Failed(unknown);
        }
        let (Mode::Live, Some(provider)) = (self.mode, self.providers.get(&*call.operation.provider)) else {
            return Outcome::Failed(refusal("a dry run changes nothing".to_owned()));
        };
        if let Err(refused) = self.permits(call, grounds) {
            return Outcome::Failed(refusal(format!("the policy refuses it: {}", refused.because)));
        }
        if call.operation.effect == Effect::Change {
            let fenced = tokio::time::timeout(call.within, self.fence(call)).await;
            if let Err(unknown) = fenced.unwrap_or_else(|_| Err(refusal("its lock did not answer in time".to_owned())))
            {
                return Outcome::Failed(Unknown {
                    reason: unknown.reason,
                    detail: format!("nothing was sent: the lock of its target is gone ({unknown})"),
                });
            }
        }
        let permit = Permit { _private: () };
        let told;
        let call = if call.operation.effect == Effect::Tell {
            told = telling(call);
            &told
        } else {
            call
        };
        let work = AssertUnwindSafe(provider.change(call, &permit)).catch_unwind();
        match tokio::time::timeout(call.within, work).await {
            Ok(Ok(Outcome::Failed(unknown))) => Outcome::Failed(said(&unknown)),
            Ok(Ok(Outcome::Unclear(unknown))) => Outcome::Unclear(said(&unknown)),
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => match internal(call) {
                Value::Unknown(unknown) => Outcome::Unclear((*unknown).clone()),
                _ => Outcome::Unclear(refusal(String::new())),
            },
            Err(_elapsed) => Outcome::Unclear(Unknown {
                reason: Reason::Timeout,
                detail: format!(
                    "`{}` was sent and did not answer within {}",
                    call.operation.full_name(),
                    show_std(call.within)
                ),
            }),
        }
    }
}

/// How many things a call touches: the longest list among its arguments, at least 1.
pub fn count(call: &Call) -> u64 {
    let longest = call
        .args
        .iter()
        .filter_map(|(_, value)| value.as_list())
        .map(|list| list.items.len());
    longest
        .max()
        .map_or(1, |count| u64::try_from(count.max(1)).unwrap_or(u64::MAX))
}

/// What a provider says about a failure, without secrets of the environment: a server may repeat what it was told.
fn said(unknown: &Unknown) -> Unknown {
    Unknown {
        reason: unknown.reason,
        detail: redact(&unknown.detail).into_owned(),
    }
}

/// A call that tells people something, without secrets of the environment in its texts: a chat is one more place where words are kept.
fn telling(call: &Call) -> Call {
    Call {
        args: call
            .args
            .iter()
            .map(|(name, value)| (name.clone(), without_secrets(value)))
            .collect(),
        ..call.clone()
    }
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Text(text) => match redact(text) {
            Cow::Borrowed(_) => value.clone(),
            Cow::Owned(clean) => Value::text(clean),
        },
        Value::Json(json) => {
            let mut clean = (**json).clone();
            redact_json(&mut clean);
            Value::Json(Arc::new(clean))
        }
        Value::List(list) => Value::List(Arc::new(List {
            items: list.items.iter().map(without_secrets).collect(),
            truncated: list.truncated,
        })),
        Value::Record(record) => Value::Record(Arc::new(Record {
            type_name: record.type_name.clone(),
            fields: record
                .fields
                .iter()
                .map(|(name, value)| (name.clone(), without_secrets(value)))
                .collect(),
        })),
        other => other.clone(),
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

#[cfg(test)]
mod tests {
    use super::{Gate, Grant, Mode};
    use crate::provider::{Call, Effect, Health, Idempotence, Operation, Outcome, Parameter, Permit, Provider};
    use crate::value::{Reason, Type, Unknown, Value};
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Counts what reaches it.
    #[derive(Default)]
    struct Counting {
        reads: AtomicUsize,
        changes: AtomicUsize,
    }

    impl Provider for Counting {
        fn name(&self) -> &'static str {
            "demo"
        }

        fn operations(&self) -> &'static [&'static str] {
            &[
                "things.list",
                "things.break",
                "things.hang",
                "things.panic",
                "slow.change",
            ]
        }

        fn targets(&self, call: &Call) -> Vec<String> {
            call.arg("target").as_str().map(str::to_owned).into_iter().collect()
        }

        fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
            async move {
                self.reads.fetch_add(1, Ordering::SeqCst);
                match &*call.operation.path {
                    "things.hang" => futures::future::pending().await,
                    "things.panic" => std::panic::resume_unwind(Box::new("broken")),
                    _ => Value::Int(1),
                }
            }
            .boxed()
        }

        fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
            async move {
                self.changes.fetch_add(1, Ordering::SeqCst);
                if &*call.operation.path == "slow.change" {
                    futures::future::pending::<()>().await;
                }
                Outcome::Done(Value::Int(1))
            }
            .boxed()
        }

        fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
            async { Vec::new() }.boxed()
        }
    }

    fn call(path: &str, effect: Effect, target: Option<&str>) -> Call {
        Call {
            operation: Arc::new(Operation {
                provider: "demo".into(),
                path: path.into(),
                effect,
                params: vec![Parameter {
                    name: "target".into(),
                    ty: Type::Text,
                    default: None,
                }],
                result: Type::Int,
                idempotence: Idempotence::Unrepeatable,
                heavy: false,
                within: Duration::from_secs(30),
                doc: String::new(),
            }),
            args: target
                .map(|target| ("target".into(), Value::text(target)))
                .into_iter()
                .collect(),
            within: Duration::from_millis(20),
            key: None,
        }
    }

    fn grant(capability: &str, effects: &[Effect], targets: Option<&[&str]>) -> Grant {
        Grant {
            capability: capability.to_owned(),
            effects: effects.to_vec(),
            targets: targets.map(|targets| targets.iter().map(|target| (*target).to_owned()).collect()),
        }
    }

    fn gate(grants: Vec<Grant>, mode: Mode) -> (Gate, Arc<Counting>) {
        let provider = Arc::new(Counting::default());
        let mut gate = Gate::new(grants, mode);
        gate.register(provider.clone());
        (gate, provider)
    }

    fn refused(gate: &Gate, call: &Call) -> String {
        gate.allows(call).unwrap_err().detail
    }

    #[test]
    fn targets_are_matched_exactly() {
        let (gate, _) = gate(vec![grant("demo.things", &[Effect::Read], Some(&["web"]))], Mode::Live);
        assert_eq!(gate.allows(&call("things.list", Effect::Read, Some("web"))), Ok(()));
        for other in ["web-prod", "WEB", "web/../db", "web ", "we", ""] {
            let detail = refused(&gate, &call("things.list", Effect::Read, Some(other)));
            assert!(detail.contains(&format!("on `{other}`")), "{detail}");
        }
        // A call without a target is not a call on nothing.
        assert!(refused(&gate, &call("things.list", Effect::Read, None)).contains("every target"));
    }

    #[test]
    fn a_capability_covers_what_begins_with_it_up_to_a_dot() {
        let read = call("things.list", Effect::Read, Some("web"));
        for (capability, covered) in [
            ("demo", true),
            ("demo.things", true),
            ("demo.thing", false),
            ("dem", false),
            ("demo.things.list", false),
            ("", false),
        ] {
            let (gate, _) = gate(vec![grant(capability, &[Effect::Read], None)], Mode::Live);
            assert_eq!(gate.allows(&read).is_ok(), covered, "{capability}");
        }
    }

    #[test]
    fn every_effect_is_granted_by_itself() {
        let (gate, _) = gate(vec![grant("demo", &[Effect::Read], None)], Mode::Live);
        assert!(gate.allows(&call("things.list", Effect::Read, Some("web"))).is_ok());
        for effect in [Effect::Probe, Effect::Change, Effect::Tell] {
            assert!(
                gate.allows(&call("things.list", effect, Some("web"))).is_err(),
                "{effect:?}"
            );
        }
    }

    #[test]
    fn unknown_providers_and_operations_are_refused() {
        let (gate, _) = gate(vec![grant("demo", &[Effect::Read], None)], Mode::Live);
        let mut other = call("things.list", Effect::Read, Some("web"));
        Arc::make_mut(&mut other.operation).provider = "demo2".into();
        assert!(refused(&gate, &other).contains("no provider `demo2`"));
        let missing = call("things.remove", Effect::Read, Some("web"));
        assert!(refused(&gate, &missing).contains("not implemented"));
    }

    #[tokio::test]
    async fn a_dry_run_sends_nothing_and_a_read_is_never_a_change() {
        let all = vec![grant(
            "demo",
            &[Effect::Read, Effect::Probe, Effect::Change, Effect::Tell],
            None,
        )];
        let (dry, provider) = gate(all.clone(), Mode::DryRun);
        let change = call("things.break", Effect::Change, Some("web"));
        assert!(
            matches!(dry.change(&change).await, Outcome::Failed(Unknown { detail, .. }) if detail.contains("dry run"))
        );
        assert_eq!(
            dry.read(&call("things.list", Effect::Read, Some("web"))).await,
            Value::Int(1)
        );
        let (live, other) = gate(all, Mode::Live);
        assert_eq!(
            live.read(&change).await.as_unknown().map(|unknown| unknown.reason),
            Some(Reason::Internal)
        );
        let read = call("things.list", Effect::Read, Some("web"));
        assert!(matches!(live.change(&read).await, Outcome::Failed(_)));
        assert_eq!(live.change(&change).await, Outcome::Done(Value::Int(1)));
        assert_eq!(provider.changes.load(Ordering::SeqCst), 0);
        assert_eq!(other.changes.load(Ordering::SeqCst), 1);
        assert_eq!(other.reads.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn without_a_grant_nothing_reaches_the_provider() {
        let (gate, provider) = gate(Vec::new(), Mode::Live);
        let read = gate.read(&call("things.list", Effect::Read, Some("web"))).await;
        assert_eq!(
            read.as_unknown().map(|unknown| unknown.reason),
            Some(Reason::Unavailable)
        );
        let change = gate.change(&call("things.break", Effect::Change, Some("web"))).await;
        assert!(matches!(change, Outcome::Failed(_)));
        assert_eq!(
            provider.reads.load(Ordering::SeqCst) + provider.changes.load(Ordering::SeqCst),
            0
        );
    }

    #[tokio::test]
    async fn a_hanging_read_is_a_timeout_and_a_hanging_change_is_unclear() {
        let all = vec![grant("demo", &[Effect::Read, Effect::Change], None)];
        let (gate, _) = gate(all, Mode::Live);
        let hung = gate.read(&call("things.hang", Effect::Read, Some("web"))).await;
        assert_eq!(hung.as_unknown().map(|unknown| unknown.reason), Some(Reason::Timeout));
        let unclear = gate.change(&call("slow.change", Effect::Change, Some("web"))).await;
        assert!(matches!(
            unclear,
            Outcome::Unclear(Unknown {
                reason: Reason::Timeout,
                ..
            })
        ));
        let broken = gate.read(&call("things.panic", Effect::Read, Some("web"))).await;
        assert_eq!(
            broken.as_unknown().map(|unknown| unknown.reason),
            Some(Reason::Internal)
        );
    }
}
