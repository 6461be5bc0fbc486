//! What a world needs besides answers: a wall clock that somebody sets, and locks in the target that expire.

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use starr::engine::clock::Virtual;
use starr::engine::world::Clock;
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

/// Who has the lock of each target, until when, and under which token.
#[derive(Default)]
pub struct Locks {
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
            table: self.table.clone(),
            target: target.to_owned(),
            token,
        })))
    }
}

struct Mine {
    clock: Arc<Virtual>,
    table: Arc<Mutex<BTreeMap<String, Holding>>>,
    target: String,
    token: u64,
}

impl Held for Mine {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
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
