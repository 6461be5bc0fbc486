//! A provider whose changes are bound to something decided beforehand: a plan. What is beyond it never reaches the provider.

use super::{Call, Effect, Health, Outcome, Permit, Provider};
use crate::value::{Reason, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Says whether a change is allowed; the error says what is beyond.
pub type Allows = Arc<dyn Fn(&Call) -> Result<(), String> + Send + Sync>;

/// A provider that sends only the changes that are allowed.
pub struct Bound {
    inner: Arc<dyn Provider>,
    allows: Allows,
}

impl Bound {
    /// Binds the changes of `inner`.
    pub fn new(inner: Arc<dyn Provider>, allows: Allows) -> Self {
        Self { inner, allows }
    }
}

impl Provider for Bound {
    fn inner(&self) -> Option<&dyn Provider> {
        Some(&*self.inner)
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn operations(&self) -> &'static [&'static str] {
        self.inner.operations()
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        self.inner.targets(call)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        self.inner.read(call)
    }

    fn change<'a>(&'a self, call: &'a Call, permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        if call.operation.effect == Effect::Change
            && let Err(why) = (self.allows)(call)
        {
            let refused = Outcome::Failed(Unknown {
                reason: Reason::Denied,
                detail: format!("nothing was sent: {why}"),
            });
            return async move { refused }.boxed();
        }
        self.inner.change(call, permit)
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        self.inner.doctor()
    }
}
