//! Pauses between the attempts of one request: each up to twice as long as the one before and different from caller to
//! caller, or as long as the target asks for; never beyond the deadline. All noted beside the answer.
//!
//! M. Brooker, "Exponential backoff and jitter" (AWS Architecture Blog, 2015), "full jitter".

use super::notes::{note, take_again_after};
use crate::value::Unknown;
use crate::value::show::show_std;
use std::time::Duration;
use tokio::time::Instant;

/// The attempts of one request.
#[derive(Debug)]
pub struct Backoff {
    most: u32,
    longest: Duration,
    until: Instant,
    made: u32,
}

/// What follows an attempt that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The pause is over.
    Again,
    /// That was the last one; how long the target asks to be left in peace.
    Enough { again_after: Option<Duration> },
}

impl Backoff {
    /// At most so many attempts until then; `pause` is the longest first pause.
    pub fn new(most: u32, pause: Duration, until: Instant) -> Self {
        Self {
            most,
            longest: pause,
            until,
            made: 1,
        }
    }

    /// How many attempts were made, the one under way included.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Waits before the next attempt, where there is one and waiting is not too late. What the target said about
    /// when it may be asked again (`notes::again_after`) counts, and is used up.
    pub async fn again(&mut self, why: &Unknown) -> Next {
        let again_after = take_again_after();
        if self.made >= self.most {
            return Next::Enough { again_after };
        }
        let pause = again_after.unwrap_or_else(|| jitter(self.longest));
        if pause >= self.until.saturating_duration_since(Instant::now()) {
            if let Some(asked) = again_after {
                note(format!(
                    "the target asks to come again after {}, which is too late",
                    show_std(asked)
                ));
            }
            return Next::Enough { again_after };
        }
        let whose = if again_after.is_some() {
            ", as the target asks"
        } else {
            ""
        };
        note(format!(
            "attempt {}: {why}; again after {}{whose}",
            self.made,
            show_std(pause)
        ));
        tokio::time::sleep(pause).await;
        self.made += 1;
        self.longest = self.longest.saturating_mul(2);
        Next::Again
    }
}

/// Somewhere between nothing and `longest`.
fn jitter(longest: Duration) -> Duration {
    // Without randomness everybody waits equally long, which is still a pause.
    let share = getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / f64::from(u32::MAX));
    longest.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Next, jitter};
    use crate::provider::notes::{again_after, noting};
    use crate::value::{Reason, Unknown};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test]
    async fn only_so_many_attempts_and_a_hint_counts_once() {
        let why = Unknown {
            reason: Reason::Throttled,
            detail: String::new(),
        };
        let hint = Duration::from_millis(3);
        let (ends, notes) = noting(async {
            let until = Instant::now() + Duration::from_secs(60);
            let mut attempts = Backoff::new(3, Duration::from_millis(1), until);
            again_after(hint);
            let ends = [
                attempts.again(&why).await,
                attempts.again(&why).await,
                attempts.again(&why).await,
            ];
            assert_eq!(attempts.made(), 3);
            ends
        })
        .await;
        assert_eq!(ends, [Next::Again, Next::Again, Next::Enough { again_after: None }]);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].ends_with("again after 3 ms, as the target asks"), "{notes:?}");
        assert!(
            notes[1].starts_with("attempt 2: ") && !notes[1].contains("target"),
            "{notes:?}"
        );
    }

    #[tokio::test]
    async fn nobody_waits_beyond_the_deadline() {
        let why = Unknown {
            reason: Reason::Throttled,
            detail: String::new(),
        };
        let mut attempts = Backoff::new(3, Duration::from_millis(1), Instant::now());
        assert_eq!(attempts.again(&why).await, Next::Enough { again_after: None });
    }

    #[test]
    fn a_pause_is_never_longer_than_the_longest() {
        let longest = Duration::from_millis(200);
        assert!((0..100).all(|_| jitter(longest) <= longest));
    }
}
