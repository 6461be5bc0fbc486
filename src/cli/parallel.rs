//! The same work on many items, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Below this many items a thread costs more than it gains.
const WORTH: usize = 16;
/// Most threads.
const THREADS: usize = 8;
/// As much as the main thread has: the parser's limits are made for it.
const STACK: usize = 8 << 20;

/// What `work` makes of every item, in the order of the items.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS));
    if items.len() < WORTH || threads == 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            done.push((index, work(item)));
        }
        done
    };
    let mut all: Vec<(usize, R)> = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        // A thread that cannot be started is not missed: this one takes what is left.
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                std::thread::Builder::new()
                    .stack_size(STACK)
                    .spawn_scoped(scope, run)
                    .ok()
            })
            .collect();
        all.extend(run());
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
}

/// Both at once: the first on this thread.
pub fn both<A, B: Send>(here: impl FnOnce() -> A, beside: impl FnOnce() -> B + Send) -> (A, B) {
    let beside = Mutex::new(Some(beside));
    let work = || {
        beside
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map(|beside| beside())
    };
    std::thread::scope(|scope| {
        let other = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let here = here();
        let done = match other.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // A thread that cannot be started is not missed.
            Err(_) => work(),
        };
        (here, done.expect("it is taken once"))
    })
}

#[cfg(test)]
mod tests {
    use super::{both, each};

    #[test]
    fn both_are_done_and_a_panic_of_the_other_is_passed_on() {
        assert_eq!(both(|| 1, || "two"), (1, "two"));
        let other = std::panic::catch_unwind(|| both(|| 1, || panic!("the other")));
        assert_eq!(other.unwrap_err().downcast_ref(), Some(&"the other"));
    }

    #[test]
    fn the_order_is_that_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(each(&items, |item| item * 2), expected);
        assert_eq!(each(&items[..3], |item| item * 2), expected[..3]);
    }

    #[test]
    #[should_panic(expected = "item 77")]
    fn a_panic_is_passed_on() {
        let items: Vec<usize> = (0..100).collect();
        each(&items, |item| assert!(*item != 77, "item {item}"));
    }
}
