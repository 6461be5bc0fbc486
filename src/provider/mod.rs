//! What a provider is: typed operations in a closed registry, and the one gate through which every call goes.
//!
//! The interface text of a provider (its operations, effects, idempotence, types) is written in the language, in the
//! embedded module `std.<provider>`; this module holds the types that text becomes, and the trait that code implements.

pub mod backoff;
pub mod bound;
pub mod gate;
pub mod lock;
pub mod modelled;
pub mod native;
pub mod notes;
pub mod patience;
pub mod policy;
pub mod record;
mod record_locks;
#[cfg(test)]
mod record_tests;
pub mod resource_types;

use crate::value::{Reason, Type, Unknown, Value};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

pub use crate::syntax::tree::Effect;

impl Effect {
    /// The word as it is written.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Probe => "probe",
            Effect::Change => "change",
            Effect::Tell => "tell",
            Effect::Preview => "preview",
        }
    }

    /// The effect of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Effect::Read,
            Effect::Probe,
            Effect::Change,
            Effect::Tell,
            Effect::Preview,
        ]
        .into_iter()
        .find(|effect| effect.word() == word)
    }
}

/// What decides what may happen after a crash between sending a change and recording its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotence {
    /// Class R: every read.
    Read,
    /// Class I: sending it again has no further effect.
    Idempotent,
    /// Class K: the recorded key makes a second sending harmless.
    Keyed,
    /// Class V: the named check tells whether it happened.
    Verifiable(String),
    /// Class U: may be sent once. The default.
    Unrepeatable,
}

impl Idempotence {
    /// The letter of the class.
    pub fn class(&self) -> char {
        match self {
            Idempotence::Read => 'R',
            Idempotence::Idempotent => 'I',
            Idempotence::Keyed => 'K',
            Idempotence::Verifiable(_) => 'V',
            Idempotence::Unrepeatable => 'U',
        }
    }
}

/// A typed operation of a provider.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `postgres`
    pub provider: Arc<str>,
    /// `sessions.terminate`
    pub path: Arc<str>,
    pub effect: Effect,
    pub params: Vec<Parameter>,
    pub result: Type,
    pub idempotence: Idempotence,
    /// Billable or intrusive: the operator is asked once per run.
    pub heavy: bool,
    /// Deadline when a call names none.
    pub within: Duration,
    /// The prose above it in the interface text.
    pub doc: String,
}

impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        // Nearly always the two are one; of all others nearly always the paths differ.
        let Self {
            provider,
            path,
            effect,
            params,
            result,
            idempotence,
            heavy,
            within,
            doc,
        } = other;
        std::ptr::eq(self, other)
            || (self.path == *path
                && self.provider == *provider
                && self.effect == *effect
                && self.params == *params
                && self.result == *result
                && self.idempotence == *idempotence
                && self.heavy == *heavy
                && self.within == *within
                && self.doc == *doc)
    }
}

impl Operation {
    /// Whether it has the name of the other. What a call expects of its reply may differ.
    pub fn is_named_as(&self, other: &Self) -> bool {
        self.path == other.path && self.provider == other.provider
    }

    /// `postgres.sessions.terminate`
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.provider, self.path)
    }

    /// The operation's path without its last part: `postgres.sessions`; `chat` for `chat.post`.
    pub fn capability(&self) -> String {
        match self.path.rsplit_once('.') {
            Some((front, _)) => format!("{}.{front}", self.provider),
            None => self.provider.to_string(),
        }
    }
}

/// True when the header entry covers the capability: equal, or a prefix that ends at a dot.
pub fn covers(entry: &str, capability: &str) -> bool {
    capability == entry || capability.strip_prefix(entry).is_some_and(|rest| rest.starts_with('.'))
}

#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: Arc<str>,
    pub ty: Type,
    /// The value when a call does not give it; `None` makes it required, unless the type is optional.
    pub default: Option<Value>,
}

/// A call with evaluated arguments: every parameter of the operation is there, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub operation: Arc<Operation>,
    pub args: Vec<(Arc<str>, Value)>,
    /// How long the whole call may take.
    pub within: Duration,
    /// For class K and for messages: the recorded key by which the same call is known again.
    pub key: Option<Arc<str>>,
}

impl Call {
    /// The argument of this name. Unknown and missing names give `Value::None`.
    pub fn arg(&self, name: &str) -> &Value {
        self.args
            .iter()
            .find(|(arg, _)| &**arg == name)
            .map_or(&Value::None, |(_, value)| value)
    }
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The target confirmed it.
    Done(Value),
    /// It definitely did not happen (refused, invalid, precondition not met, never sent).
    Failed(Unknown),
    /// It may or may not have happened: sent, and no definite reply.
    Unclear(Unknown),
}

/// Shows that a change passed the gate. Only [`gate::Gate`] makes one; a dry run's gate never does.
///
/// ```compile_fail
/// let permit = starr::provider::Permit { _private: () };
/// ```
#[derive(Debug)]
pub struct Permit {
    pub(in crate::provider) _private: (),
}

/// A provider's implementation. Implementations keep the deadline themselves where they can do it better than being dropped;
/// the gate enforces it in any case, and turns a panic into [`crate::value::Reason::Internal`].
pub trait Provider: Send + Sync {
    /// The name calls begin with.
    fn name(&self) -> &'static str;

    /// The operations that are implemented, by path. Must equal those of the interface text; a conformance test compares them.
    fn operations(&self) -> &'static [&'static str];

    /// The provider that this one stands before, if it stands before one: what it does not say itself, that one says.
    fn inner(&self) -> Option<&dyn Provider> {
        None
    }

    /// Whether its targets lie beyond a network, so that they can be busy or out of reach for a moment.
    fn is_remote(&self) -> bool {
        self.inner().is_none_or(|inner| inner.is_remote())
    }

    /// True when calls of this path can be answered: those of the interface text, and those of a service model.
    fn implements(&self, path: &str) -> bool {
        self.operations().contains(&path) || modelled::knows(self.name(), path)
    }

    /// The canonical name of what a call touches, as grants and locks see it: final values that go on the wire, for example `orders`.
    fn targets(&self, call: &Call) -> Vec<String>;

    /// Runs a read or probe. No answer is `Value::Unknown` with its reason; a list that was cut says so.
    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value>;

    /// Sends a change or a tell. The default is of a provider that has none.
    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        let refused = Unknown {
            reason: Reason::Internal,
            detail: format!("`{}` is not a change", call.operation.full_name()),
        };
        Box::pin(std::future::ready(Outcome::Failed(refused)))
    }

    /// Takes the lock of a canonical target for a run that is going to change it. `take_over` is the token of the holder that
    /// is to lose it. `None`: this provider has no locks in its targets.
    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a lock::Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn lock::Held>>, lock::NotTaken>> {
        match self.inner() {
            Some(inner) => inner.lock(target, holder, take_over),
            None => Box::pin(std::future::ready(Ok(None))),
        }
    }

    /// What the configuration allows beyond the default, in words: it belongs into the record of every run.
    fn exceptions(&self) -> Vec<String> {
        self.inner().map(Provider::exceptions).unwrap_or_default()
    }

    /// What a change would do, said by the target itself. A preview can have side effects: it needs a pass of the gate, which
    /// rests on a grant of its own. The default has none.
    fn preview<'a>(&'a self, call: &'a Call, pass: &'a native::PreviewPass) -> BoxFuture<'a, native::Previewed> {
        match self.inner() {
            Some(inner) => inner.preview(call, pass),
            None => Box::pin(std::future::ready(native::Previewed::NoPreview)),
        }
    }

    /// The least rights that these operations need, in the target's own words; `None` when that is not known.
    fn privileges(&self, uses: &[native::Use]) -> Option<Vec<native::Privilege>> {
        self.inner().and_then(|inner| inner.privileges(uses))
    }

    /// The same rights as one text for the target's own tool, such as manifests of a cluster; `None` when the target has no such form.
    fn grant_documents(&self, uses: &[native::Use]) -> Option<String> {
        self.inner().and_then(|inner| inner.grant_documents(uses))
    }

    /// Asks the target, read-only, whether this environment's login may do what these operations need; `None` when it cannot be asked for that.
    fn allowed<'a>(&'a self, uses: &'a [native::Use]) -> BoxFuture<'a, Option<Vec<native::Right>>> {
        match self.inner() {
            Some(inner) => inner.allowed(uses),
            None => Box::pin(std::future::ready(None)),
        }
    }

    /// What a call refers to outside.
    fn references(&self, used: &native::Use) -> Vec<native::Reference> {
        self.inner().map(|inner| inner.references(used)).unwrap_or_default()
    }

    /// Looks a reference up, read-only.
    fn resolve<'a>(&'a self, reference: &'a native::Reference) -> BoxFuture<'a, native::Resolved> {
        match self.inner() {
            Some(inner) => inner.resolve(reference),
            None => Box::pin(std::future::ready(native::Resolved::Unknown(
                "this provider cannot look it up".to_owned(),
            ))),
        }
    }

    /// Read-only health of this provider for `starr doctor`: one line per configured target.
    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>>;
}

/// One line of `starr doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What was looked at: `postgres orders`.
    pub subject: String,
    pub state: HealthState,
    /// What was found and, when not good, what to do.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    Good,
    /// Works, with less than it could have.
    Limited,
    Bad,
}
