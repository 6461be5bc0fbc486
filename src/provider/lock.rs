//! A lock in the target itself: two people on two machines do not change the same thing at once.

use crate::value::Unknown;
use futures::future::BoxFuture;
use std::time::Duration;

/// Who holds a lock, or wants it. All texts may come from outside: escape before showing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    pub run: String,
    /// The person, as `maria`.
    pub who: String,
    /// The machine, as `laptop7`.
    pub host: String,
}

/// A lock that is held. Dropping it gives it back.
pub trait Held: Send + Sync {
    /// Whether the target still counts it as held, asked of the target itself. Anything but a definite yes is an error, with why.
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>>;
}

/// Why a lock was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Somebody else has it.
    HeldBy(Other),
    /// It cannot be told, so it counts as held.
    Unclear(Unknown),
}

/// Another holder, as the target shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Run, person and machine in one line; what else the target says when these are not known.
    pub shown: String,
    /// Since when, as text; empty when the target does not say.
    pub since: String,
    /// What identifies exactly this holding of the lock for a take-over.
    pub token: String,
}

impl Holder {
    /// One line: `260814-0912-kolu maria@laptop7`.
    pub fn line(&self) -> String {
        format!("{} {}@{}", self.run, self.who, self.host)
    }
}

/// Gives a lock back here and now: the process may end directly after this. On a thread of its own, because this one may be inside a
/// runtime; at most for this long, behind which the lock's expiry does it.
pub fn give_back<F: Future<Output = ()>>(within: Duration, work: impl FnOnce() -> F + Send + 'static) {
    let (told, done) = std::sync::mpsc::channel::<()>();
    let spawned = std::thread::Builder::new()
        .name("starr-unlock".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(work());
            }
            let _ = told.send(());
        });
    if spawned.is_ok() {
        let _ = done.recv_timeout(within);
    }
}
