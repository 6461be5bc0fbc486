//! Looking again and again: `verify`, `wait until`, a goal that settles, `resolved`.

use super::answers::{Fresh, truth};
use super::questions::{Asking, Noted, Root};
use super::{Frame, Halt, Way};
use crate::eval::{self, held};
use crate::journal::Event;
use crate::program::{BindingId, BindingKind, Expr, QuestionForm};
use crate::value::{Answer, Reason, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// A condition that is looked at until it holds or its time is over.
pub(super) struct Watch<'a> {
    /// What is looked at, for the record: `verify roll_back`.
    pub what: String,
    pub condition: &'a Expr,
    pub within: Duration,
    pub every: Duration,
    /// A definite no is the end too: nothing is waited for but an answer.
    pub until_settled: bool,
}

impl Frame<'_> {
    /// Asks until the answer is a definite yes, or the time (also the timebox) is over, and gives the last answer.
    pub async fn watch(&mut self, watch: Watch<'_>) -> Way<Value> {
        let run = self.run();
        let began = run.elapsed();
        let mut deadline = began.saturating_add(watch.within).min(self.context.timebox_end);
        let mut recorded = run.replay.under_way();
        // Two looks are as far apart as `every` and the reads themselves take; more than twice that is a gap.
        let gap = watch.every.saturating_mul(2).saturating_add(Duration::from_secs(60));
        let mut history = held::History::default();
        let mut before = None;
        let people = self.fresh.people;
        run.world.screen.waiting(&watch.what, Some(watch.within));
        let mut position = None;
        let roots = [Root::Condition(watch.condition)];
        loop {
            let first = before.is_none();
            let asks_people = self.asks_people(&roots);
            self.next_round();
            let mut noted = Vec::new();
            let fresh = Fresh {
                reads: self.round,
                people,
            };
            let mut asking = Asking {
                // Few looks are recorded. What people say between two of the same round would change what decided the first.
                quiet: !first && !asks_people && self.context.scope.is_empty(),
                ..self.asking(fresh)
            };
            self.settle_noting(&roots, &asking, &mut noted).await?;
            if !first && asks_people && eval::answer(&self.value(watch.condition)) != Answer::Yes {
                // People are asked again only while what they said stands in the way.
                asking.fresh.people = self.round;
                self.settle_noting(&roots, &asking, &mut noted).await?;
            }
            let (value, at) = {
                let view = self.view();
                (truth(history.look(watch.condition, &view, gap)), view.now)
            };
            if recorded && !run.replay.under_way() {
                // How long a condition had held before the run went down is not known; it gets that time again.
                recorded = false;
                let again = run.elapsed().saturating_add(self.longest_for(watch.condition));
                deadline = deadline
                    .max(again.saturating_add(watch.every))
                    .min(self.context.timebox_end);
            }
            let over = run.elapsed() >= deadline;
            let mut answer = eval::answer(&value);
            let mut last = over || answer == Answer::Yes || (watch.until_settled && answer == Answer::No);
            // Looks that are not recorded leave no answers behind that anything could rest on.
            let mut kept = first || last || before != Some(answer) || self.severity_would_rise();
            let mut value = value;
            if run.replay.under_way() {
                let seen = run.replay.look(noted.len(), &self.context.scope, &watch.what);
                kept = seen.is_some();
                (answer, last) = seen.unwrap_or((answer, false));
                value = as_answered(value, answer);
                if seen.is_none() && position.replace(run.replay.position()) == Some(run.replay.position()) {
                    let why = format!("what is recorded does not go on with `{}`", watch.what);
                    return Err(run.halt(Halt::Astray(why)));
                }
            }
            if kept {
                let evidence = history.evidence(watch.condition, &self.view().at(at), &run.program.sources);
                noted.push(Noted::Event(Event::Look {
                    what: watch.what.clone(),
                    condition: run.program.sources.phrase(watch.condition.span),
                    answer,
                    evidence,
                    last,
                }));
                self.context.record_noted(noted, &self.slots, &asking).await?;
                self.assess().await?;
            } else {
                self.assess_leaving(&noted).await?;
            }
            before = Some(answer);
            if last {
                run.world.screen.done_waiting();
                return Ok(value);
            }
            let rest = deadline.saturating_sub(run.elapsed());
            run.pause(watch.every.min(rest)).await;
            if let Some(leave) = run.ending() {
                run.world.screen.done_waiting();
                return Err(leave);
            }
        }
    }

    /// The longest `for` in a condition and in everything it rests on.
    pub fn longest_for(&self, condition: &Expr) -> Duration {
        let view = self.view();
        let mut longest = held::longest(condition, &view);
        let mut open: Vec<BindingId> = Root::Condition(condition).ids();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            match &self.book().binding(id).kind {
                BindingKind::Let(expr) => longest = longest.max(held::longest(expr, &view)),
                BindingKind::Question(question) => {
                    if let QuestionForm::YesWhen(expr) = &question.form {
                        longest = longest.max(held::longest(expr, &view));
                    }
                    if let QuestionForm::FanOut { question, .. } = &question.form {
                        open.push(*question);
                    }
                }
                _ => {}
            }
            open.extend(&self.context.needs[id.0]);
        }
        Duration::from_nanos(u64::try_from(longest).unwrap_or(0))
    }
}

/// The value as it was answered: how long a condition had held is not known from the looks that are recorded.
fn as_answered(value: Value, answer: Answer) -> Value {
    if crate::eval::answer(&value) == answer {
        return value;
    }
    match answer {
        Answer::Yes => Value::Bool(true),
        Answer::No => Value::Bool(false),
        Answer::Unknown => Value::unknown(Reason::Unsettled, ""),
    }
}
