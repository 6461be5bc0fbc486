//! What a world needs besides answers: a wall clock that somebody sets, and locks in the target that expire.

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use starr::engine::clock::Virtual;
use starr::engine::world::Clock;
use starr::journal::anchor::{Kept, Offer, Refusal, Sink};
use starr::provider::lock::{Held, Holder, NotTaken, Other};
use starr::value::{Reason, Unknown};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The virtual clock, whose wall time somebody sets. The time that passed is not changed by it.
pub struct Wall {
    pub clock: Arc<Virtual>,
    pub set_by: Mutex<SignedDuration>,
}

impl Wall {
    pub fn new(clock: Arc<Virtual>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            set_by: Mutex::new(SignedDuration::ZERO),
        })
    }

    /// Sets it forward, or back.
    pub fn set(&self, seconds: i64) {
        *self.set_by.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        self.clock.now() + *self.set_by.lock().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.clock.sleep(duration)
    }
}

/// What a change needs besides the journal, and what becomes of it.
#[derive(Default)]
pub struct Needed {
    /// Cannot be used any more, and since when, on the virtual clock.
    gone: Mutex<Option<Dependency>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    Policy,
    /// The place that keeps the checkpoints, which are demanded before a change.
    Anchor,
    /// What says who has the lock of a target.
    Lock,
}

impl Needed {
    pub fn set(&self, gone: Option<Dependency>) {
        *self.gone.lock().unwrap() = gone;
    }

    pub fn without(&self, dependency: Dependency) -> bool {
        *self.gone.lock().unwrap() == Some(dependency)
    }
}

/// Keeps checkpoints while it can be reached.
pub struct Shelf(pub Arc<Needed>);

impl Sink for Shelf {
    fn place(&self) -> String {
        "a shelf".to_owned()
    }

    fn keep<'a>(&'a self, _: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        let kept = if self.0.without(Dependency::Anchor) {
            Err(Refusal::Unusable("it cannot be reached".to_owned()))
        } else {
            Ok(Kept { cosignature: None })
        };
        std::future::ready(kept).boxed()
    }
}

/// Who has the lock of each target, until when, and under which token.
#[derive(Default)]
pub struct Locks {
    /// Whether it can be said who has one.
    pub needed: Arc<Needed>,
    /// How long a lock lasts that its holder does not renew; `None`: the target has no locks.
    pub lasts: Option<Duration>,
    pub(super) table: Arc<Mutex<BTreeMap<String, Holding>>>,
}

pub(super) struct Holding {
    holder: Holder,
    until: Duration,
    token: u64,
}

impl Locks {
    pub fn take(
        &self,
        clock: &Arc<Virtual>,
        target: &str,
        holder: &Holder,
        take_over: Option<&str>,
    ) -> Result<Option<Box<dyn Held>>, NotTaken> {
        let Some(lasts) = self.lasts else { return Ok(None) };
        if self.needed.without(Dependency::Lock) {
            return Err(NotTaken::Unclear(silent()));
        }
        let mut table = self.table.lock().unwrap();
        let now = clock.elapsed();
        let token = match table.get(target) {
            Some(held) if held.until > now && take_over != Some(&held.token.to_string()) && held.holder != *holder => {
                return Err(NotTaken::HeldBy(Other {
                    shown: held.holder.line(),
                    since: String::new(),
                    token: held.token.to_string(),
                }));
            }
            Some(held) => held.token + 1,
            None => 1,
        };
        let until = now + lasts;
        let holder = holder.clone();
        table.insert(target.to_owned(), Holding { holder, until, token });
        Ok(Some(Box::new(Mine {
            clock: clock.clone(),
            needed: self.needed.clone(),
            table: self.table.clone(),
            target: target.to_owned(),
            token,
        })))
    }
}

fn silent() -> Unknown {
    Unknown {
        reason: Reason::Timeout,
        detail: "the target does not say who has it".to_owned(),
    }
}

struct Mine {
    clock: Arc<Virtual>,
    needed: Arc<Needed>,
    table: Arc<Mutex<BTreeMap<String, Holding>>>,
    target: String,
    token: u64,
}

impl Held for Mine {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        if self.needed.without(Dependency::Lock) {
            return std::future::ready(Err(silent())).boxed();
        }
        let table = self.table.lock().unwrap();
        let held = table
            .get(&self.target)
            .is_some_and(|held| held.token == self.token && held.until > self.clock.elapsed());
        let answer = held.then_some(()).ok_or_else(|| Unknown {
            reason: Reason::Unavailable,
            detail: "somebody else has it, or it has expired".to_owned(),
        });
        std::future::ready(answer).boxed()
    }
}
