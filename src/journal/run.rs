//! The journal of one run.

use super::entry::Digests;
use super::event::Event;
use super::sequencer::Request;
use super::store::Handle;
use super::{Error, Journal};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A run whose lease this process holds; its lease is renewed as long as this lives.
pub struct Run {
    handle: Handle,
    id: String,
    digests: Digests,
    epoch: u64,
    /// Answers that nobody waited for yet.
    owed: Mutex<Vec<oneshot::Receiver<Result<u64, Error>>>>,
    _alive: Arc<()>,
}

impl Run {
    pub(super) fn new(handle: Handle, id: String, digests: Digests, epoch: u64, alive: Arc<()>) -> Self {
        Self {
            handle,
            id,
            digests,
            epoch,
            owed: Mutex::new(Vec::new()),
            _alive: alive,
        }
    }

    /// The epoch of the lease; rises with each change of hands.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives the lease back, durably, so that nobody has to find out whether the holder still runs.
    pub async fn release(&self) -> Result<(), Error> {
        self.handle
            .ask(|reply| Request::Release {
                run: self.id.clone(),
                epoch: self.epoch,
                reply,
            })
            .await
    }

    async fn record(&self, scope: &str, events: &[Event]) -> Result<u64, Error> {
        let last = self.handle.answer(self.send(scope, events, false).await?).await?;
        // Who was sent before was answered before; what was refused then leaves a hole.
        let earlier = std::mem::take(&mut *self.owed());
        for owed in earlier {
            self.handle.answer(owed).await?;
        }
        Ok(last)
    }

    async fn send(
        &self,
        scope: &str,
        events: &[Event],
        soon: bool,
    ) -> Result<oneshot::Receiver<Result<u64, Error>>, Error> {
        self.handle.shared.check()?;
        let events = self.handle.pending(events)?;
        self.handle
            .send(|reply| Request::Append {
                run: self.id.clone(),
                epoch: self.epoch,
                scope: scope.to_owned(),
                digests: self.digests.clone(),
                events,
                soon,
                reply,
            })
            .await
    }

    fn owed(&self) -> MutexGuard<'_, Vec<oneshot::Receiver<Result<u64, Error>>>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Run {
    fn run_id(&self) -> &str {
        &self.id
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, std::slice::from_ref(event)))
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, events))
    }

    fn append_soon<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let owed = self.send(scope, events, true).await?;
            self.owed().push(owed);
            Ok(())
        })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        // A step without entries writes nothing, and looks at the lease like every other.
        Box::pin(async { self.record("", &[]).await.map(|_| ()) })
    }
}
