//! Sealing: a run's journal that signs checkpoints and anchors them as the run goes on, and lets no change begin while the
//! anchors that are demanded cannot be reached.

use super::anchor::{Offer, Refusal, Sink};
use super::event::{Event, Person, Purpose};
use super::ledger::{Ledger, Standing};
use super::note::{Note, Signer};
use super::{Error, Journal};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What makes checkpoints and anchors of one store.
pub struct Sealing {
    pub ledger: Arc<dyn Ledger>,
    /// `None`: nothing is signed.
    pub signer: Option<Signer>,
    pub sinks: Vec<Box<dyn Sink>>,
    /// How many sinks must have taken the newest checkpoint before a change is sent.
    pub needed: usize,
    /// Entries after which a checkpoint is made in any case.
    pub every: u64,
}

/// What came of anchoring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// The checkpoint's size.
    pub size: u64,
    /// The line for people.
    pub line: String,
    /// Where it is kept now.
    pub kept: Vec<String>,
    /// Where it is not, and why.
    pub failed: Vec<(String, Refusal)>,
}

impl Anchored {
    /// The failures as events.
    pub fn events(&self) -> Vec<Event> {
        self.failed
            .iter()
            .map(|(place, why)| Event::AnchorFailed {
                place: place.clone(),
                size: self.size,
                because: why.to_string(),
            })
            .collect()
    }
}

impl Sealing {
    /// Whether there is anything to do.
    pub fn is_idle(&self) -> bool {
        self.signer.is_none() && self.sinks.is_empty() && self.needed == 0
    }

    /// Signs the log as it stands, and keeps the checkpoint.
    pub async fn checkpoint(&self) -> Result<(Standing, Option<Note>), Error> {
        let standing = self.ledger.head().await?;
        let Some(signer) = self.signer.as_ref().filter(|_| standing.frontier.size() > 0) else {
            return Ok((standing, None));
        };
        let note = standing.checkpoint().signed(&[signer]);
        self.ledger.keep(&standing.frontier, &note).await?;
        Ok((standing, Some(note)))
    }

    /// Signs the log as it stands and offers the checkpoint to every sink at once.
    pub async fn anchor(&self) -> Result<Anchored, Error> {
        let (standing, note) = self.checkpoint().await?;
        let offer = Offer {
            ledger: &*self.ledger,
            standing: &standing,
            note: note.as_ref(),
        };
        let answers = futures::future::join_all(self.sinks.iter().map(|sink| async {
            let answer = tokio::time::timeout(super::anchor::PATIENCE, sink.keep(&offer)).await;
            let answer = answer.unwrap_or_else(|_| Err(Refusal::Unusable("it did not answer in time".to_owned())));
            (sink.place(), answer)
        }))
        .await;
        let mut anchored = Anchored {
            size: standing.frontier.size(),
            line: standing.checkpoint().line(),
            kept: Vec::new(),
            failed: Vec::new(),
        };
        let mut cosigned = note.clone();
        for (place, answer) in answers {
            match answer {
                Ok(kept) => {
                    if let (Some(note), Some(signature)) = (cosigned.as_mut(), kept.cosignature) {
                        note.add(signature);
                    }
                    anchored.kept.push(place);
                }
                Err(why) => anchored.failed.push((place, why)),
            }
        }
        if let Some(cosigned) = cosigned.filter(|cosigned| Some(cosigned) != note.as_ref()) {
            self.ledger.keep(&standing.frontier, &cosigned).await?;
        }
        Ok(anchored)
    }
}

/// A run's journal with its checkpoints.
pub struct Sealed {
    inner: Arc<dyn Journal>,
    sealing: Arc<Sealing>,
    /// Shows what it records itself.
    show: Box<dyn Fn(&Event) + Send + Sync>,
    /// Entries since the last checkpoint of this run.
    since: AtomicU64,
}

/// What an event asks for once it is durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    Nothing,
    Anchor,
}

impl Sealed {
    /// Seals a run's journal. `show` is given the events that sealing itself records.
    pub fn new(inner: Arc<dyn Journal>, sealing: Arc<Sealing>, show: Box<dyn Fn(&Event) + Send + Sync>) -> Self {
        Self {
            inner,
            sealing,
            show,
            since: AtomicU64::new(0),
        }
    }

    async fn record(&self, scope: &str, events: &[Event]) -> Result<u64, Error> {
        if events.iter().any(is_change) && self.sealing.needed > 0 {
            self.demand().await?;
        }
        let last = self.inner.append_all(scope, events).await?;
        let then = events.iter().map(then).max().unwrap_or(Then::Nothing);
        if then == Then::Anchor {
            self.anchor().await?;
        } else {
            self.count(events.len()).await?;
        }
        Ok(last)
    }

    /// Counts entries, and signs the log when they are enough.
    async fn count(&self, entries: usize) -> Result<(), Error> {
        let since = self.since.fetch_add(entries as u64, Ordering::Relaxed) + entries as u64;
        if since >= self.sealing.every {
            self.since.store(0, Ordering::Relaxed);
            self.sealing.checkpoint().await?;
        }
        Ok(())
    }

    /// Anchors; what failed is recorded and shown. Returns how many sinks have it.
    async fn anchor(&self) -> Result<usize, Error> {
        self.since.store(0, Ordering::Relaxed);
        let anchored = self.sealing.anchor().await?;
        let failures = anchored.events();
        if !failures.is_empty() {
            self.inner.append_all("", &failures).await?;
            failures.iter().for_each(|event| (self.show)(event));
        }
        Ok(anchored.kept.len())
    }

    /// Before a change: everything that led to it must be anchored.
    async fn demand(&self) -> Result<(), Error> {
        let kept = self.anchor().await?;
        if kept < self.sealing.needed {
            return Err(Error {
                message: format!(
                    "Nothing was sent: {} anchors are demanded before a change, and {kept} of {} took the checkpoint. \
                     `starr journal anchor` tries them again.",
                    self.sealing.needed,
                    self.sealing.sinks.len()
                ),
            });
        }
        Ok(())
    }
}

fn is_change(event: &Event) -> bool {
    matches!(event, Event::Intent { purpose, .. } if *purpose != Purpose::Tell)
}

fn then(event: &Event) -> Then {
    match event {
        Event::RunStarted { .. }
        | Event::Resumed { .. }
        | Event::ApprovalRequested { .. }
        | Event::ActionEnded { .. }
        | Event::Interrupted { .. }
        | Event::Ended { .. } => Then::Anchor,
        _ => Then::Nothing,
    }
}

impl Journal for Sealed {
    fn run_id(&self) -> &str {
        self.inner.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, std::slice::from_ref(event)))
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(self.record(scope, events))
    }

    fn append_soon<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if events
                .iter()
                .any(|event| is_change(event) || then(event) != Then::Nothing)
            {
                return self.record(scope, events).await.map(|_| ());
            }
            self.inner.append_soon(scope, events).await?;
            self.count(events.len()).await
        })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.confirm()
    }
}

/// The entry that names the next key, to be recorded before [`sign_both`].
pub fn key_changed(from: Option<&Signer>, to: &Signer, by: Person) -> Event {
    Event::KeyChanged {
        from: from.map(|signer| signer.verifier().encode()),
        to: to.verifier().encode(),
        by,
    }
}

/// Signs the log by the old key and the new one, so that each vouches for the entry that names the other.
pub async fn sign_both(ledger: &dyn Ledger, signers: &[&Signer]) -> Result<u64, Error> {
    let standing = ledger.head().await?;
    let note = standing.checkpoint().signed(signers);
    ledger.keep(&standing.frontier, &note).await?;
    Ok(standing.frontier.size())
}
