//! A lock that is a note in a store of the target: who has it and until when. The store must be able to write only where still stands what
//! was read, so that of two that want the lock one is refused by the store itself. The store's clock counts, never that of one machine or the
//! other. Before each change the note is renewed: whoever has lost it learns that there, and sends nothing.

use crate::provider::lock::{Held, Holder, NotTaken, Other, give_back};
use crate::provider::{Health, HealthState};
use crate::providers::failure::excerpt;
use crate::value::{Reason, Unknown};
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long the lock of a holder that says nothing is respected, in seconds.
pub const SILENCE: i64 = 75;

/// How often the holder says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest time for one exchange with the store.
pub const TAKING: Duration = Duration::from_secs(10);

/// Longest time for giving it back; behind it the expiry does it.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// How often something is tried when somebody else was faster.
const TRIES: usize = 4;

/// How an identity of ours begins; then what makes it the only one, then who it is.
const OURS: &str = "starr/";

/// What stands in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// Empty when it is not a note of ours.
    pub holder: String,
    pub since: String,
    /// In seconds since 1970. A note without it does not expire.
    pub expires: Option<i64>,
}

impl Note {
    fn new(holder: &str, now: Timestamp) -> Self {
        Self {
            holder: holder.to_owned(),
            since: now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            expires: Some(expiry(now)),
        }
    }

    /// Whoever has it has been silent for longer than they said.
    fn free(&self, now: Timestamp) -> bool {
        !self.holder.is_empty() && self.expires.is_some_and(|expires| expires < now.as_second())
    }

    /// Another holder, as the note shows it.
    fn other(&self) -> Other {
        let who = self
            .holder
            .strip_prefix(OURS)
            .and_then(|rest| rest.split_once(' '))
            .map(|(_, line)| line);
        Other {
            shown: match who {
                Some(line) => format!("run {}", excerpt(line, 200)),
                None => "something that is no run of starr".to_owned(),
            },
            since: excerpt(&self.since, 40),
            token: self.holder.clone(),
        }
    }
}

fn expiry(now: Timestamp) -> i64 {
    now.as_second().saturating_add(SILENCE)
}

/// What was read.
pub struct Found<V> {
    pub note: Option<Note>,
    /// What a write can demand to be there still.
    pub version: V,
    /// The store's clock.
    pub now: Timestamp,
}

/// Why a note was not written, or not taken away.
pub enum NotDone {
    /// Something else stands there than was read; or it cannot be told whether this was done.
    LookAgain(Unknown),
    No(Unknown),
}

/// Where a note is kept.
pub trait Store: Clone + Send + Sync + 'static {
    type Version: Send + Sync;

    /// What stands there now.
    fn read(&self, within: Duration) -> impl Future<Output = Result<Found<Self::Version>, Unknown>> + Send;

    /// Puts the note there, if still stands there what was found.
    fn write(
        &self,
        found: &Found<Self::Version>,
        note: &Note,
        within: Duration,
    ) -> impl Future<Output = Result<(), NotDone>> + Send;

    /// Takes the note away, if still stands there what was found.
    fn remove(
        &self,
        found: &Found<Self::Version>,
        within: Duration,
    ) -> impl Future<Output = Result<(), NotDone>> + Send;

    /// The problem with the store's name, for people.
    fn named(&self, unknown: Unknown) -> Unknown;

    /// The same store over connections of its own: they belong to the runtime in which they were made.
    fn apart(&self) -> Self;
}

/// The note of one holder.
struct Kept<S> {
    store: S,
    identity: String,
}

impl<S: Store> Kept<S> {
    fn lost(&self) -> Unknown {
        self.store.named(Unknown {
            reason: Reason::Denied,
            detail: "it says that the lock has expired or that somebody else has it".to_owned(),
        })
    }

    /// What stands there, while it is ours.
    async fn ours(&self, within: Duration) -> Result<(Found<S::Version>, Note), Unknown> {
        let found = self.store.read(within).await?;
        match found.note.clone().filter(|note| note.holder == self.identity) {
            Some(note) => Ok((found, note)),
            None => Err(self.lost()),
        }
    }

    /// Lets the lock live on while it is ours. Anything but a definite yes is an error.
    async fn renew(&self) -> Result<(), Unknown> {
        let mut last = None;
        for _ in 0..TRIES {
            let (found, note) = self.ours(TAKING).await?;
            let longer = Note {
                expires: Some(expiry(found.now)),
                ..note
            };
            match self.store.write(&found, &longer, TAKING).await {
                Ok(()) => return Ok(()),
                // Our own heartbeat may have been faster, or somebody who took it over.
                Err(NotDone::LookAgain(why)) => last = Some(why),
                Err(NotDone::No(why)) => return Err(why),
            }
        }
        Err(last.unwrap_or_else(|| self.lost()))
    }

    async fn give_back(&self) {
        for _ in 0..TRIES {
            // What cannot be given back now expires.
            let Ok((found, _)) = self.ours(GIVING_BACK).await else {
                return;
            };
            if !matches!(self.store.remove(&found, GIVING_BACK).await, Err(NotDone::LookAgain(_))) {
                return;
            }
        }
    }
}

/// Takes the lock, or says who has it. `take_over` is the token of the holder that is to lose it.
pub async fn take<S: Store>(store: S, holder: &Holder, take_over: Option<&str>) -> Result<Box<dyn Held>, NotTaken> {
    let mut nonce = [0_u8; 8];
    getrandom::fill(&mut nonce).map_err(|problem| {
        NotTaken::Unclear(Unknown {
            reason: Reason::Unavailable,
            detail: format!("no randomness: {problem}"),
        })
    })?;
    let kept = Kept {
        identity: format!("{OURS}{} {}", hex::encode(nonce), holder.line()),
        store,
    };
    let mut last = None;
    for _ in 0..TRIES {
        let found = kept.store.read(TAKING).await.map_err(NotTaken::Unclear)?;
        if let Some(note) = &found.note {
            // Written before, and the answer was lost.
            if note.holder == kept.identity {
                return Ok(held(kept));
            }
            let over = take_over.is_some_and(|token| !token.is_empty() && token == note.holder);
            if !over && !note.free(found.now) {
                return Err(NotTaken::HeldBy(note.other()));
            }
        }
        let note = Note::new(&kept.identity, found.now);
        match kept.store.write(&found, &note, TAKING).await {
            Ok(()) => return Ok(held(kept)),
            Err(NotDone::LookAgain(why)) => last = Some(why),
            Err(NotDone::No(why)) => return Err(NotTaken::Unclear(why)),
        }
    }
    Err(NotTaken::Unclear(last.unwrap_or_else(|| kept.lost())))
}

/// Whether the lock could be looked at, and who has it: what `starr doctor` says before an incident does.
pub async fn health<S: Store>(subject: String, store: &S) -> Health {
    let (state, detail) = match store.read(TAKING).await {
        Ok(found) => (
            HealthState::Good,
            match found.note.filter(|note| !note.free(found.now)) {
                None => "the lock can be read; nobody has it".to_owned(),
                Some(note) => {
                    let other = note.other();
                    format!("the lock can be read; {} has it since {}", other.shown, other.since)
                }
            },
        ),
        Err(unknown) => (HealthState::Bad, format!("no change can be made: {unknown}")),
    };
    Health { subject, state, detail }
}

fn held<S: Store>(kept: Kept<S>) -> Box<dyn Held> {
    let kept = Arc::new(kept);
    let beating = Arc::clone(&kept);
    let heartbeat = tokio::spawn(async move {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            // A heartbeat that fails changes nothing here: the next change asks and is told.
            let _ = beating.renew().await;
        }
    });
    Box::new(Lock { kept, heartbeat })
}

struct Lock<S: Store> {
    kept: Arc<Kept<S>>,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl<S: Store> Held for Lock<S> {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        Box::pin(self.kept.renew())
    }
}

impl<S: Store> Drop for Lock<S> {
    fn drop(&mut self) {
        self.heartbeat.abort();
        let (store, identity) = (self.kept.store.clone(), self.kept.identity.clone());
        give_back(GIVING_BACK, async move || {
            let store = store.apart();
            Kept { store, identity }.give_back().await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Note;

    fn note(holder: &str, expires: Option<i64>) -> Note {
        Note {
            holder: holder.to_owned(),
            since: "2026-11-22 02:00:00 UTC".to_owned(),
            expires,
        }
    }

    #[test]
    fn a_note_is_free_when_its_holder_fell_silent() {
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        assert!(note("x", Some(1_795_316_399)).free(now));
        assert!(!note("x", Some(1_795_316_400)).free(now));
        // Without a time, and without a holder it is nobody's invitation.
        assert!(!note("x", None).free(now));
        assert!(!note("", Some(1)).free(now));
    }

    #[test]
    fn a_holder_is_shown_as_far_as_it_is_ours() {
        let ours = note("starr/00ff 260814-0912-kolu maria@laptop7", None).other();
        assert_eq!(ours.shown, "run 260814-0912-kolu maria@laptop7");
        assert_eq!(ours.since, "2026-11-22 02:00:00 UTC");
        let foreign = note("leader-7", None).other();
        assert_eq!(foreign.shown, "something that is no run of starr");
        assert_eq!(foreign.token, "leader-7");
    }
}
