//! How a target that answers badly is treated, the same for every provider: what is refused for want of capacity, or cannot be reached
//! for a moment, is asked again a few times, with growing pauses that differ from caller to caller, or when the server says;
//! a target that keeps everybody waiting is left alone for a while, and what would be asked of it is unknown at once.
//!
//! Only what can do no harm is sent again: reads; and of changes those of the classes I and K, and only where the target
//! definitely did nothing. What may have happened is for the engine to settle. Heavy reads are never repeated. Everything is
//! noted beside the answer.
//!
//! Leaving alone: M. Nygard, "Release It!" (2007), circuit breaker.

use super::backoff::{Backoff, Next};
use super::notes::{note, take_again_after};
use super::{Call, Effect, Health, Idempotence, Outcome, Permit, Provider};
use crate::value::show::show_std;
use crate::value::{Reason, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How often something is tried in all.
const ATTEMPTS: u32 = 3;
/// Calls in a row that were throttled or kept waiting, before a target is left alone.
const IN_A_ROW: u32 = 3;

/// How long things are.
struct Pace {
    /// The longest first pause; each further one is twice as long.
    pause: Duration,
    /// A call without an answer has kept somebody waiting when it took this long.
    slow: Duration,
    /// How long a target is left alone, where it does not say itself.
    alone: Duration,
    /// The longest time for that, whatever it says.
    alone_at_most: Duration,
}

const PACE: Pace = Pace {
    pause: Duration::from_millis(200),
    slow: Duration::from_secs(1),
    alone: Duration::from_secs(10),
    alone_at_most: Duration::from_secs(60),
};

/// A provider whose targets are asked with patience.
pub struct Patient {
    inner: Arc<dyn Provider>,
    targets: Mutex<BTreeMap<String, Target>>,
    pace: Pace,
}

/// What is remembered of a target that answered badly.
#[derive(Default)]
struct Target {
    in_a_row: u32,
    /// Until then it is left alone; the last that was heard of it.
    alone: Option<(Instant, Unknown)>,
}

/// Whether asking again may help.
fn passes(unknown: &Unknown) -> bool {
    matches!(unknown.reason, Reason::Throttled | Reason::Unreachable)
}

impl Patient {
    /// Patience for the targets of `inner`.
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Self {
            inner,
            targets: Mutex::default(),
            pace: PACE,
        }
    }

    fn remembered(&self) -> MutexGuard<'_, BTreeMap<String, Target>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer for a target that is left alone now.
    fn left_alone(&self, target: &str) -> Option<Unknown> {
        let mut targets = self.remembered();
        let remembered = targets.get_mut(target)?;
        let (until, last) = remembered.alone.as_ref()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // One may try. Who fails leaves it alone again at once.
            remembered.alone = None;
            return None;
        }
        Some(Unknown {
            reason: last.reason,
            detail: format!(
                "not asked: after {} calls in a row without an answer it is left alone for another {}; the last: {last}",
                remembered.in_a_row,
                show_std(left),
            ),
        })
    }

    fn answered(&self, target: &str) {
        self.remembered().remove(target);
    }

    fn failed(&self, target: &str, unknown: &Unknown, took: Duration, again_after: Option<Duration>) {
        let throttled = unknown.reason == Reason::Throttled;
        let waited = matches!(unknown.reason, Reason::Timeout | Reason::Unreachable) && took >= self.pace.slow;
        let mut targets = self.remembered();
        if !throttled && !waited {
            // It answered: only not what was wanted.
            if !matches!(unknown.reason, Reason::Timeout | Reason::Unreachable) {
                targets.remove(target);
            }
            return;
        }
        let remembered = targets.entry(target.to_owned()).or_default();
        remembered.in_a_row += 1;
        if remembered.in_a_row >= IN_A_ROW {
            let pause = again_after.unwrap_or(self.pace.alone).min(self.pace.alone_at_most);
            remembered.alone = Some((Instant::now() + pause, unknown.clone()));
            note(format!("it is left alone for {} from now on", show_std(pause)));
        }
    }

    fn attempts(&self, most: u32, until: Instant) -> Backoff {
        Backoff::new(most, self.pace.pause, until)
    }

    async fn ask(&self, call: &Call) -> Value {
        if call.operation.effect != Effect::Read {
            // The reply of a probe says what happened, also where it says that nothing came.
            return self.inner.read(call).await;
        }
        let target = self.inner.targets(call).join(" ");
        if let Some(unknown) = self.left_alone(&target) {
            return Value::Unknown(Arc::new(unknown));
        }
        let begun = Instant::now();
        let most = if call.operation.heavy { 1 } else { ATTEMPTS };
        let mut attempts = self.attempts(most, begun + call.within);
        // Whoever waits for too long drops this.
        let mut waiting = Waiting {
            patient: self,
            target: &target,
            begun,
            within: call.within,
            over: false,
        };
        loop {
            let value = self.inner.read(call).await;
            let Value::Unknown(unknown) = &value else {
                waiting.over = true;
                self.answered(&target);
                return value;
            };
            let next = if passes(unknown) {
                attempts.again(unknown).await
            } else {
                Next::Enough {
                    again_after: take_again_after(),
                }
            };
            if let Next::Enough { again_after } = next {
                waiting.over = true;
                self.failed(&target, unknown, begun.elapsed(), again_after);
                return value;
            }
        }
    }

    async fn send(&self, call: &Call, permit: &Permit) -> Outcome {
        // Whatever was true of the target before may be different now.
        self.remembered().clear();
        let repeatable = matches!(call.operation.idempotence, Idempotence::Idempotent | Idempotence::Keyed);
        let mut attempts = self.attempts(ATTEMPTS, Instant::now() + call.within);
        loop {
            let outcome = self.inner.change(call, permit).await;
            match &outcome {
                Outcome::Failed(unknown)
                    if repeatable && passes(unknown) && attempts.again(unknown).await == Next::Again => {}
                _ => return outcome,
            }
        }
    }
}

/// A read under way. When it is given up because of its deadline, its target has kept somebody waiting.
struct Waiting<'a> {
    patient: &'a Patient,
    target: &'a str,
    begun: Instant,
    within: Duration,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        if !self.over && took >= self.within {
            let unknown = Unknown {
                reason: Reason::Timeout,
                detail: format!("no answer within {}", show_std(self.within)),
            };
            self.patient.failed(self.target, &unknown, took, None);
        }
    }
}

impl Provider for Patient {
    fn inner(&self) -> Option<&dyn Provider> {
        Some(&*self.inner)
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn operations(&self) -> &'static [&'static str] {
        self.inner.operations()
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        self.inner.targets(call)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        self.ask(call).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.send(call, permit).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        self.inner.doctor()
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::{Gate, Grant, Mode};
    use super::super::notes::again_after;
    use super::super::{Operation, Parameter};
    use super::*;
    use crate::value::Type;
    use crate::value::show::show;
    use std::collections::VecDeque;

    /// Answers what it was given, one after the other; then that all is well. Each answer takes so long.
    struct Busy {
        answers: Mutex<VecDeque<Reason>>,
        takes: Duration,
        asked: Mutex<u32>,
        hint: Option<Duration>,
        unclear: bool,
    }

    impl Busy {
        async fn next(&self) -> Result<Value, Unknown> {
            *self.asked.lock().unwrap() += 1;
            tokio::time::sleep(self.takes).await;
            let reason = self.answers.lock().unwrap().pop_front();
            let Some(reason) = reason else {
                return Ok(Value::Bool(true));
            };
            if let Some(hint) = self.hint {
                again_after(hint);
            }
            Err(Unknown {
                reason,
                detail: String::new(),
            })
        }
    }

    impl Provider for Busy {
        fn name(&self) -> &'static str {
            "test"
        }

        fn operations(&self) -> &'static [&'static str] {
            &["things.ask"]
        }

        fn targets(&self, call: &Call) -> Vec<String> {
            vec![show(call.arg("on"))]
        }

        fn read<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Value> {
            async {
                self.next()
                    .await
                    .unwrap_or_else(|unknown| Value::Unknown(Arc::new(unknown)))
            }
            .boxed()
        }

        fn change<'a>(&'a self, _call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
            async {
                match self.next().await {
                    Ok(value) => Outcome::Done(value),
                    Err(unknown) if self.unclear => Outcome::Unclear(unknown),
                    Err(unknown) => Outcome::Failed(unknown),
                }
            }
            .boxed()
        }

        fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
            async { Vec::new() }.boxed()
        }
    }

    fn busy(answers: &[Reason]) -> Busy {
        Busy {
            answers: Mutex::new(answers.iter().copied().collect()),
            takes: Duration::ZERO,
            asked: Mutex::default(),
            hint: None,
            unclear: false,
        }
    }

    const QUICK: Pace = Pace {
        pause: Duration::from_millis(2),
        slow: Duration::from_millis(5),
        alone: Duration::from_millis(400),
        alone_at_most: Duration::from_secs(1),
    };

    fn gate(busy: Busy) -> (Arc<Busy>, Gate) {
        let busy = Arc::new(busy);
        let grant = Grant {
            capability: "test".to_owned(),
            effects: vec![Effect::Read, Effect::Probe, Effect::Change],
            targets: None,
        };
        let mut gate = Gate::new(vec![grant], Mode::Live);
        gate.register(Arc::new(Patient {
            pace: QUICK,
            ..Patient::new(busy.clone())
        }));
        (busy, gate)
    }

    fn call(effect: Effect, idempotence: Idempotence) -> Call {
        Call {
            operation: Arc::new(Operation {
                provider: "test".into(),
                path: "things.ask".into(),
                effect,
                params: vec![Parameter {
                    name: "on".into(),
                    ty: Type::Text,
                    default: None,
                }],
                result: Type::Bool,
                idempotence,
                heavy: false,
                within: Duration::from_secs(30),
                doc: String::new(),
            }),
            args: vec![("on".into(), Value::text("web"))],
            within: Duration::from_secs(30),
            key: None,
        }
    }

    fn read() -> Call {
        call(Effect::Read, Idempotence::Read)
    }

    #[tokio::test]
    async fn a_moment_of_too_many_requests_is_waited_out_and_noted() {
        let (busy, gate) = gate(busy(&[Reason::Throttled, Reason::Unreachable]));
        let (value, notes) = gate.read_noting(&read()).await;
        assert_eq!(value, Value::Bool(true));
        assert_eq!(*busy.asked.lock().unwrap(), 3);
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].starts_with("attempt 1: too many requests; again after "),
            "{notes:?}"
        );
        assert!(notes[1].starts_with("attempt 2: "), "{notes:?}");
    }

    #[tokio::test]
    async fn the_target_says_when_it_may_be_asked_again_and_an_hour_is_too_late() {
        let hint = Duration::from_millis(30);
        let (_, patient) = gate(Busy {
            hint: Some(hint),
            ..busy(&[Reason::Throttled])
        });
        let begun = Instant::now();
        let (value, notes) = patient.read_noting(&read()).await;
        assert_eq!(value, Value::Bool(true));
        assert!(begun.elapsed() >= hint);
        assert_eq!(
            notes,
            ["attempt 1: too many requests; again after 30 ms, as the target asks"]
        );

        let (asked, patient) = gate(Busy {
            hint: Some(Duration::from_secs(3600)),
            ..busy(&[Reason::Throttled])
        });
        let (value, notes) = patient.read_noting(&read()).await;
        assert_eq!(
            value.as_unknown().map(|unknown| unknown.reason),
            Some(Reason::Throttled)
        );
        assert_eq!(*asked.asked.lock().unwrap(), 1);
        assert_eq!(notes, ["the target asks to come again after 1 h, which is too late"]);
    }

    #[tokio::test]
    async fn a_definite_answer_and_a_heavy_read_are_not_asked_for_twice() {
        for reason in [
            Reason::Denied,
            Reason::Missing,
            Reason::Unparsable,
            Reason::Unavailable,
            Reason::Timeout,
        ] {
            let (busy, gate) = gate(busy(&[reason]));
            assert_eq!(
                gate.read(&read()).await.as_unknown().map(|unknown| unknown.reason),
                Some(reason)
            );
            assert_eq!(*busy.asked.lock().unwrap(), 1, "{reason:?}");
        }
        let (busy, gate) = gate(busy(&[Reason::Throttled]));
        let mut heavy = read();
        Arc::make_mut(&mut heavy.operation).heavy = true;
        assert!(gate.read(&heavy).await.as_unknown().is_some());
        assert_eq!(*busy.asked.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn a_target_that_keeps_everybody_waiting_is_left_alone_until_one_call_gets_an_answer() {
        let (busy, gate) = gate(Busy {
            takes: Duration::from_millis(10),
            ..busy(&[Reason::Timeout; 4])
        });
        for _ in 0..3 {
            assert!(gate.read(&read()).await.as_unknown().is_some());
        }
        let alone = Instant::now() + QUICK.alone;
        let unknown = gate.read(&read()).await;
        let detail = unknown.as_unknown().unwrap().to_string();
        assert!(
            detail.contains("after 3 calls in a row without an answer it is left alone for another "),
            "{detail}"
        );
        assert_eq!(*busy.asked.lock().unwrap(), 3);
        // Somebody else's target is asked.
        let mut other = read();
        other.args[0].1 = Value::text("db");
        assert!(gate.read(&other).await.as_unknown().is_some());
        assert_eq!(*busy.asked.lock().unwrap(), 4);
        // It is asked again at some time after that, and not before.
        let deadline = alone + Duration::from_secs(20);
        while gate.read(&read()).await != Value::Bool(true) {
            assert!(Instant::now() < deadline, "it is left alone for ever");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(Instant::now() >= alone);
        assert_eq!(gate.read(&read()).await, Value::Bool(true));
    }

    #[tokio::test]
    async fn a_target_that_never_answers_is_left_alone_too() {
        let (busy, gate) = gate(Busy {
            takes: Duration::from_secs(600),
            ..busy(&[Reason::Timeout; 3])
        });
        let mut hung = read();
        hung.within = Duration::from_millis(20);
        for _ in 0..3 {
            assert!(gate.read(&hung).await.as_unknown().is_some());
        }
        let unknown = gate.read(&hung).await.as_unknown().unwrap().to_string();
        assert!(unknown.contains("left alone"), "{unknown}");
        assert_eq!(*busy.asked.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_change_of_the_target_ends_that_it_is_left_alone() {
        let (_, gate) = gate(Busy {
            takes: Duration::from_millis(10),
            ..busy(&[Reason::Timeout; 3])
        });
        for _ in 0..3 {
            assert!(gate.read(&read()).await.as_unknown().is_some());
        }
        let change = call(Effect::Change, Idempotence::Unrepeatable);
        assert_eq!(gate.change(&change).await, Outcome::Done(Value::Bool(true)));
        assert_eq!(gate.read(&read()).await, Value::Bool(true));
    }

    #[tokio::test]
    async fn a_change_is_sent_again_only_where_nothing_was_done_and_its_class_allows_it() {
        for (class, unclear, times) in [
            (Idempotence::Idempotent, false, 2),
            (Idempotence::Keyed, false, 2),
            (Idempotence::Idempotent, true, 1),
            (Idempotence::Keyed, true, 1),
            (Idempotence::Verifiable("there".to_owned()), false, 1),
            (Idempotence::Unrepeatable, false, 1),
        ] {
            let (busy, gate) = gate(Busy {
                unclear,
                ..busy(&[Reason::Throttled])
            });
            let outcome = gate.change(&call(Effect::Change, class.clone())).await;
            assert_eq!(matches!(outcome, Outcome::Done(_)), times == 2, "{class:?} {unclear}");
            assert_eq!(*busy.asked.lock().unwrap(), times, "{class:?} {unclear}");
        }
    }
}
