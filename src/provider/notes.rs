//! What is worth knowing about how a call went, besides its answer: attempts, waits, a target that is left alone. A provider notes it
//! while the call is made; the gate hands it on with the answer, and it is recorded beside it.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

#[derive(Default)]
struct Noted {
    lines: Vec<String>,
    again_after: Option<Duration>,
}

tokio::task_local! {
    static NOTED: RefCell<Noted>;
}

/// Most notes of one call.
pub const NOTES: usize = 10;

/// Makes a call; with what was noted meanwhile, in order.
pub async fn noting<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    NOTED
        .scope(RefCell::default(), async {
            let done = work.await;
            (done, NOTED.with(|noted| std::mem::take(&mut noted.borrow_mut().lines)))
        })
        .await
}

/// Notes something about the call that is being made. Outside of one it is lost.
pub fn note(line: impl Into<String>) {
    let line = line.into();
    // Outside of a call nobody wants to know.
    let _ = NOTED.try_with(|noted| {
        let lines = &mut noted.borrow_mut().lines;
        if lines.len() < NOTES {
            lines.push(line);
        }
    });
}

/// The server says after how long it may be asked again (`Retry-After`).
pub fn again_after(wait: Duration) {
    let _ = NOTED.try_with(|noted| noted.borrow_mut().again_after = Some(wait));
}

/// What the server said last, once.
pub(super) fn take_again_after() -> Option<Duration> {
    NOTED
        .try_with(|noted| noted.borrow_mut().again_after.take())
        .ok()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::{again_after, note, noting, take_again_after};
    use std::time::Duration;

    #[tokio::test]
    async fn notes_belong_to_the_call_that_is_being_made() {
        note("lost");
        let call = |name: &'static str| {
            noting(async move {
                note(format!("{name} begins"));
                tokio::task::yield_now().await;
                again_after(Duration::from_secs(3));
                note(format!("{name} ends"));
                take_again_after()
            })
        };
        let ((first, noted), (second, other)) = futures::future::join(call("a"), call("b")).await;
        assert_eq!(
            (first, second),
            (Some(Duration::from_secs(3)), Some(Duration::from_secs(3)))
        );
        assert_eq!(noted, ["a begins", "a ends"]);
        assert_eq!(other, ["b begins", "b ends"]);
        assert_eq!(take_again_after(), None);
    }

    #[tokio::test]
    async fn there_is_an_end_to_what_one_call_notes() {
        let ((), noted) = noting(async { (0..50).for_each(|number| note(number.to_string())) }).await;
        assert_eq!(noted.len(), super::NOTES);
    }
}
