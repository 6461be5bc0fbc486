//! Clocks of a world: the system's, and a virtual one on which hours pass in no time.

use super::world::Clock;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// The system's time. `elapsed` is monotonic and independent of changes of the wall clock.
#[derive(Debug)]
pub struct System {
    start: Instant,
}

impl System {
    /// A clock that begins now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until everything waits, and then jumps to the next moment somebody waits for.
///
/// Only sleeps of this clock make time pass, and only inside [`Virtual::drive`]. What runs inside must not wait for another
/// thread or the network, because such a wait looks like idleness: a virtual world keeps its journal in memory and its
/// providers are given answers.
#[derive(Debug)]
pub struct Virtual {
    start: Timestamp,
    state: Mutex<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    elapsed: Duration,
    next_id: u64,
    /// By deadline, then by the order in which they began, so that waking is the same every time.
    waiting: BTreeMap<(Duration, u64), Option<Waker>>,
}

impl Virtual {
    /// A clock that shows `start` and stands still.
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            state: Mutex::default(),
        }
    }

    /// Runs the future to its end; whenever nothing in it can go on, time jumps to the next sleeper.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        // Without a budget: a resource that says "later" only to be fair would look like idleness.
        let mut future = pin!(tokio::task::unconstrained(future));
        let woken = Arc::new(Woken::default());
        std::future::poll_fn(move |outer| {
            woken.remember(outer.waker());
            let waker = Waker::from(Arc::clone(&woken));
            let mut inner = Context::from_waker(&waker);
            loop {
                woken.flag.store(false, Ordering::SeqCst);
                if let Poll::Ready(output) = future.as_mut().poll(&mut inner) {
                    return Poll::Ready(output);
                }
                if !woken.flag.load(Ordering::SeqCst) && !self.advance() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Jumps to the next deadline and wakes who waits for it; false when nobody waits.
    fn advance(&self) -> bool {
        let due: Vec<Waker> = {
            let mut state = self.lock();
            // Who was woken and does not go on (nobody polls it) holds nobody up.
            let elapsed = state.elapsed;
            let next = state
                .waiting
                .iter()
                .find(|((at, _), waker)| waker.is_some() || *at > elapsed);
            let Some((&(deadline, _), _)) = next else {
                return false;
            };
            state.elapsed = deadline.max(state.elapsed);
            state
                .waiting
                .iter_mut()
                .take_while(|((at, _), _)| *at <= deadline)
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        due.into_iter().for_each(Waker::wake);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Sleepers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        self.start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let mut state = self.lock();
        let key = (state.elapsed.saturating_add(duration), state.next_id);
        state.next_id += 1;
        state.waiting.insert(key, None);
        drop(state);
        Box::pin(Sleep { clock: self, key })
    }
}

struct Sleep<'a> {
    clock: &'a Virtual,
    key: (Duration, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.elapsed >= self.key.0 {
            return Poll::Ready(());
        }
        state.waiting.insert(self.key, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.clock.lock().waiting.remove(&self.key);
    }
}

#[derive(Default)]
struct Woken {
    flag: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Woken {
    fn remember(&self, waker: &Waker) {
        *self.outer.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, Ordering::SeqCst);
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hours_pass_in_no_time_and_in_order() {
        let clock = Virtual::new(Timestamp::UNIX_EPOCH);
        let before = Instant::now();
        let order = Mutex::new(Vec::new());
        clock
            .drive(async {
                let note = |hours: u64| {
                    let (clock, order) = (&clock, &order);
                    async move {
                        clock.sleep(Duration::from_secs(hours * 3600)).await;
                        order.lock().unwrap().push(hours);
                    }
                };
                futures::join!(note(3), note(1), note(2));
            })
            .await;
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert_eq!(clock.elapsed(), Duration::from_secs(3 * 3600));
        assert_eq!(clock.now().as_second(), 3 * 3600);
        assert!(before.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn much_work_without_waiting_takes_no_time() {
        let clock = Virtual::new(Timestamp::UNIX_EPOCH);
        let (sender, receiver) = tokio::sync::watch::channel(true);
        clock
            .drive(async {
                let waiting = clock.sleep(Duration::from_secs(600));
                let work = async {
                    for _ in 0..10_000 {
                        receiver.clone().wait_for(|set| *set).await.unwrap();
                    }
                };
                let _ = futures::future::select(waiting, std::pin::pin!(work)).await;
            })
            .await;
        drop(sender);
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_sleep_that_is_given_up_makes_no_time_pass() {
        let clock = Virtual::new(Timestamp::UNIX_EPOCH);
        clock
            .drive(async {
                let long = clock.sleep(Duration::from_secs(100));
                let short = clock.sleep(Duration::from_secs(1));
                let _ = futures::future::select(short, long).await;
                clock.sleep(Duration::from_secs(2)).await;
            })
            .await;
        assert_eq!(clock.elapsed(), Duration::from_secs(3));
    }
}
