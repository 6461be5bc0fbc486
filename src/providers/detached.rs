//! Blocking work on a thread of its own that is given up after a deadline.
//!
//! A read of a hung network file system, of the memory of a stuck process, or of a silent name server blocks its thread in the
//! kernel and cannot be interrupted. Such a thread must hold up neither the run nor the end of the program, so it is
//! detached: it ends when the kernel lets it go, or with the process.

use crate::value::{Reason, Unknown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Threads that may be under way at once, hung ones included.
const THREADS: usize = crate::limits::HOST_THREADS;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread for as long as it lives.
struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(under_way: &'static AtomicUsize) -> Option<Self> {
        let taken = under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
            (count < THREADS).then_some(count + 1)
        });
        taken.ok().map(|_| Self(under_way))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs `work` on its own thread and waits at most `within` for it.
///
/// # Errors
/// `Timeout` when it takes longer (the thread is left to itself), `Unavailable` when too many threads hang already,
/// `Internal` when it panics.
pub async fn detached<T: Send + 'static>(
    what: &str,
    within: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unknown> {
    let unknown = |reason, detail: String| Unknown { reason, detail };
    let Some(counted) = Counted::new(&UNDER_WAY) else {
        return Err(unknown(
            Reason::Unavailable,
            format!("{what}: {THREADS} earlier reads still hang"),
        ));
    };
    let (send, receive) = tokio::sync::oneshot::channel();
    let started = std::thread::Builder::new()
        .name("starr-read".to_owned())
        .spawn(move || {
            let _counted = counted;
            // The receiver may be gone; then nobody wants the answer.
            let _ = send.send(catch_unwind(AssertUnwindSafe(work)));
        });
    if let Err(problem) = started {
        return Err(unknown(Reason::Unavailable, format!("{what}: no thread: {problem}")));
    }
    match tokio::time::timeout(within, receive).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(_) => Err(unknown(
            Reason::Internal,
            format!("{what} failed (starr {})", env!("CARGO_PKG_VERSION")),
        )),
        Err(_elapsed) => Err(unknown(Reason::Timeout, format!("{what} did not end in time"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, THREADS, detached};
    use crate::value::Reason;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    #[test]
    fn only_so_many_threads_are_under_way() {
        static MINE: AtomicUsize = AtomicUsize::new(0);
        let mut all: Vec<Counted> = (0..THREADS).map(|_| Counted::new(&MINE).unwrap()).collect();
        assert!(Counted::new(&MINE).is_none());
        all.pop();
        let again = Counted::new(&MINE);
        assert!(again.is_some() && Counted::new(&MINE).is_none());
    }

    #[tokio::test]
    async fn a_thread_that_hangs_is_given_up_and_a_panic_is_ours() {
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let begin = Instant::now();
        let hung = detached("a hung read", Duration::from_millis(20), move || {
            let _ = hold.recv();
        })
        .await
        .unwrap_err();
        assert_eq!(hung.reason, Reason::Timeout);
        assert!(begin.elapsed() < Duration::from_secs(10));
        drop(release);
        let broken = detached("a broken read", Duration::from_secs(10), || {
            std::panic::resume_unwind(Box::new("broken"))
        })
        .await
        .map(|(): ()| ())
        .unwrap_err();
        assert_eq!(broken.reason, Reason::Internal);
        assert_eq!(detached("a read", Duration::from_secs(10), || 7).await, Ok(7));
    }
}
