//! The beginning and the end of a runbook: situation, result, what is still in place, reflection.

use super::answers::truth;
use super::questions::Root;
use super::verify::Watch;
use super::{Ended, Finish, Flow, Frame, Halt, Leave, Outcome, Way, limits};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::{Basis, Shown};
use crate::program::{BindingId, BindingKind, End, Expr};
use crate::render::words::Place;
use crate::value::{Answer, Reason, Secret, Type, Value, tagged};
use std::time::Duration;

/// The reason of Ctrl-C.
pub(super) const BY_OPERATOR: &str = "interrupted by the operator";

/// How a runbook ended, with the reason in words.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub outcome: Outcome,
    pub reason: String,
}

impl<'r> Frame<'r> {
    /// Runs the runbook that was started, to its last record.
    pub async fn run_outermost(&mut self, arguments: Vec<(String, Value)>) -> Result<Ended, Halt> {
        let mut finish = match self.go(arguments).await {
            Ok(()) => Finish::Reached,
            Err(Leave::End(finish)) => finish,
            Err(Leave::Halt(halt)) => return Err(halt),
        };
        let mut decided = None;
        // What goes wrong while ending (an undo that fails, Ctrl-C) makes another end; every undo is run once, so it ends.
        loop {
            match self.end(finish, &mut decided).await {
                Ok(ended) => return Ok(ended),
                Err(Leave::End(next)) => finish = next,
                Err(Leave::Halt(halt)) => return Err(halt),
            }
        }
    }

    /// Situation, task and steps.
    pub async fn go(&mut self, arguments: Vec<(String, Value)>) -> Way<()> {
        self.set_parameters(arguments);
        let outermost = self.context.depth == 1;
        if outermost {
            self.record(self.started()).await?;
            let exceptions = self.run().world.gate.exceptions().into_iter();
            let exceptions = exceptions.map(|detail| Event::Step {
                what: "exception".to_owned(),
                detail,
            });
            self.record_all(exceptions.collect()).await?;
            let silent = self.book().is_silent();
            self.run().shared().escalating.silent = silent;
            self.override_if_asked().await?;
            if !self.run().replay.under_way()
                && let Err(because) = self.run().may_start()
            {
                self.refused = true;
                let because = format!("the policy does not let it start: {because}");
                return Err(Leave::End(Finish::Stopped(because)));
            }
        }
        self.situation().await?;
        let goal = self.book().goal.map(|goal| self.goal_text(goal));
        self.record(Event::Task {
            prose: self.fill_all(&self.book().task_prose),
            goal,
        })
        .await?;
        match self.run_steps(&self.book().steps, Place::Steps).await? {
            Flow::Next | Flow::NextStep | Flow::NextCause => Ok(()),
        }
    }

    pub fn set_parameters(&mut self, arguments: Vec<(String, Value)>) {
        let book = self.book();
        for id in &book.params {
            let binding = book.binding(*id);
            let given = arguments
                .iter()
                .find(|(name, _)| *name == binding.name)
                .map(|(_, value)| value.clone());
            let value = match (given, &binding.kind) {
                (Some(value), _) => value,
                (None, BindingKind::Param { default: Some(default) }) => self.value(default),
                (None, _) if matches!(binding.ty, Type::Optional(_)) => Value::None,
                (None, _) => Value::unknown(Reason::Missing, format!("`{}` was not given", binding.name)),
            };
            let value = match (&binding.ty, value) {
                (_, value @ (Value::Secret(_) | Value::Unknown(_))) => value,
                (Type::Secret(_), value) => Value::Secret(Secret::new(value)),
                (_, value) => value,
            };
            self.slots.set(*id, value, self.round);
        }
    }

    pub fn started(&self) -> Event {
        let run = self.run();
        let book = self.book();
        let environment = &run.world.environment;
        let parameters = book
            .params
            .iter()
            .map(|id| {
                let value = self.slots.get(*id).map(|slot| Shown::of(&slot.value).text().to_owned());
                (book.binding(*id).name.clone(), value.unwrap_or_default())
            })
            .collect();
        let file = run
            .program
            .sources
            .iter()
            .find(|(id, _)| *id == book.span.file)
            .map(|(_, source)| source.name.clone())
            .unwrap_or_default();
        Event::RunStarted {
            runbook: book.name.clone(),
            title: self.fill(&book.title),
            file,
            owner: book.header.owner.clone(),
            digests: run.program.digests.clone(),
            signed_by: run.program.signed_by.clone(),
            parameters,
            environment: environment.name.clone(),
            operator: environment.operator.name.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            host: environment.host.clone(),
            dry_run: run.dry(),
            occasion: environment.occasion.clone(),
            prose: self.fill_all(&book.prose),
            timebox_seconds: book.header.timebox.as_secs(),
            timebox_then: self
                .words(&self.view())
                .end(&book.header.timebox_then, Place::Steps, true),
            basis: Basis {
                inputs: book
                    .params
                    .iter()
                    .map(|id| {
                        let value = self.slots.get(*id).map_or(&Value::None, |slot| &slot.value);
                        let kept = match value {
                            // A secret leaves a tag at most, by which the same one is recognised.
                            Value::Secret(_) => Shown::of(value).data().clone(),
                            value => tagged::to_json(value),
                        };
                        (book.binding(*id).name.clone(), kept)
                    })
                    .collect(),
                environment: environment.digest(),
                policy: run.world.gate.policy_digest().map(hex::encode).unwrap_or_default(),
            },
        }
    }

    /// Symptoms and severity. Every symptom a definite no ends the run; nobody waits for a page because a person has not
    /// answered yet.
    async fn situation(&mut self) -> Way<()> {
        let book = self.book();
        let symptoms = &book.situation.symptoms;
        let mut targets: Vec<BindingId> = symptoms.clone();
        targets.extend(self.severity_needs());
        self.enter(&targets, self.fresh).await?;
        self.unless_not_present(symptoms).await?;
        self.assess().await?;
        if self.context.depth == 1 {
            self.run().say_without_matrix().await?;
        }
        for id in symptoms {
            let symptom = self.symptom_expr(*id);
            // One symptom that is there is enough; who could answer another is not asked for this.
            let present = symptoms
                .iter()
                .any(|id| self.slots.get(*id).is_some_and(|slot| slot.value == Value::Bool(true)));
            if present {
                break;
            }
            self.settle(&[Root::Condition(&symptom)], self.fresh).await?;
        }
        self.unless_not_present(symptoms).await?;
        self.assess_with_people().await
    }

    fn symptom_expr(&self, id: BindingId) -> Expr {
        self.goal_expr(id)
    }

    async fn unless_not_present(&mut self, symptoms: &[BindingId]) -> Way<()> {
        let absent = !symptoms.is_empty()
            && symptoms
                .iter()
                .all(|id| self.slots.get(*id).is_some_and(|slot| slot.value == Value::Bool(false)));
        if !absent {
            return Ok(());
        }
        self.record(Event::NotPresent).await?;
        Err(Leave::End(Finish::NotPresent))
    }

    /// What an end makes of the runbook: undos at the end, the result, the escalation.
    pub async fn decide_end(&mut self, finish: Finish) -> Way<Decided> {
        let decided = |outcome, reason: String| Decided { outcome, reason };
        match finish {
            Finish::NotPresent => Ok(decided(
                Outcome::NotPresent,
                "every symptom was a definite no".to_owned(),
            )),
            Finish::Interrupted => {
                self.record(Event::Interrupted {
                    because: BY_OPERATOR.to_owned(),
                    pending: self.pending(),
                })
                .await?;
                let reason = BY_OPERATOR.to_owned();
                Ok(decided(Outcome::Stopped(reason.clone()), reason))
            }
            Finish::UndoFailed(because) => {
                self.run().raise_by_one(&because).await?;
                self.run().escalate(&self.context.scope, &because).await?;
                self.undo_at_end().await?;
                Ok(decided(Outcome::Escalated, because))
            }
            Finish::Timebox(because) => {
                self.record(Event::Interrupted {
                    because: because.clone(),
                    pending: self.pending(),
                })
                .await?;
                match &self.book().header.timebox_then {
                    End::Stop(reason) => {
                        let reason = self.fill(reason);
                        self.stopped(format!("{because}: {reason}"), reason).await
                    }
                    End::NextCause | End::NextStep | End::Escalate => self.escalated(because).await,
                }
            }
            Finish::Escalated(because) => self.escalated(because).await,
            Finish::Stopped(reason) => self.stopped(reason.clone(), reason).await,
            Finish::Reached => {
                self.undo_at_end().await?;
                self.result().await
            }
        }
    }

    async fn escalated(&mut self, because: String) -> Way<Decided> {
        self.run().escalate(&self.context.scope, &because).await?;
        self.undo_at_end().await?;
        Ok(Decided {
            outcome: Outcome::Escalated,
            reason: because,
        })
    }

    async fn stopped(&mut self, reason: String, word: String) -> Way<Decided> {
        self.undo_at_end().await?;
        Ok(Decided {
            outcome: Outcome::Stopped(word),
            reason,
        })
    }

    /// The last step was done: is it resolved?
    async fn result(&mut self) -> Way<Decided> {
        if let Some(decided) = self.planned() {
            return Ok(decided);
        }
        let book = self.book();
        let goal = book.goal.map(|goal| self.goal_expr(goal));
        let resolved = book.result.resolved.as_ref();
        let Some(condition) = resolved.or(goal.as_ref()) else {
            return self.by_last_verify().await;
        };
        let value = if self.book().is_summary() && resolved.is_none() {
            // Nothing was changed: the answers that are there are the verdict.
            self.answer(condition).await?
        } else {
            self.watch(Watch {
                what: if resolved.is_some() { "resolved" } else { "goal" }.to_owned(),
                condition,
                within: self.longest_for(condition).saturating_add(limits::SETTLING),
                every: limits::EVERY,
                until_settled: true,
            })
            .await?
        };
        let answer = eval::answer(&value);
        let text = match (resolved, book.goal) {
            (None, Some(goal)) => self.goal_text(goal),
            _ => self.run().program.sources.phrase(condition.span),
        };
        if let Some(goal) = book.goal {
            let known = truth(self.value(&self.goal_expr(goal)));
            self.record(Event::Goal {
                text: self.goal_text(goal),
                answer: eval::answer(&known),
            })
            .await?;
        }
        if answer == Answer::Yes {
            return Ok(Decided {
                outcome: Outcome::Resolved,
                reason: format!("`{text}` holds"),
            });
        }
        if self.time_is_over().is_some() {
            return Err(Leave::End(
                self.timebox_over("the timebox is over, and it is not resolved"),
            ));
        }
        let why = match value.as_unknown() {
            Some(unknown) => format!("`{text}` is unknown ({unknown})"),
            None => format!("`{text}` does not hold"),
        };
        self.unresolved(&why).await
    }

    /// What a dry run knows once changes would have been sent: not whether they would have helped.
    fn planned(&self) -> Option<Decided> {
        let planned = self.run().shared().planned.clone();
        if planned.is_empty() {
            return None;
        }
        let word = "dry run: changes would be sent".to_owned();
        Some(Decided {
            reason: format!(
                "dry run: would be sent: {}; whether it is resolved after that is not known",
                planned.join("; ")
            ),
            outcome: Outcome::Stopped(word),
        })
    }

    async fn by_last_verify(&mut self) -> Way<Decided> {
        match self.last_verify.clone() {
            None => Ok(Decided {
                outcome: Outcome::Resolved,
                reason: "the end was reached; the file names no goal".to_owned(),
            }),
            Some((Answer::Yes, text)) => Ok(Decided {
                outcome: Outcome::Resolved,
                reason: format!("the last verification holds: `{text}`"),
            }),
            Some((answer, text)) => {
                let why = format!("the last verification, `{text}`, is {}", answer.word());
                self.unresolved(&why).await
            }
        }
    }

    /// The end was reached and it is not resolved: somebody has to know. A health summary only says so.
    async fn unresolved(&mut self, why: &str) -> Way<Decided> {
        if self.book().is_summary() {
            let reason = format!("the verdict is not good: {why}");
            return Ok(Decided {
                outcome: Outcome::Stopped(reason.clone()),
                reason,
            });
        }
        self.escalated(format!("the end was reached, and {why}")).await
    }

    fn pending(&self) -> Vec<String> {
        let mut pending = self.run().pending_undos();
        pending.extend(self.pending_at_end());
        let entries = self.run().pending_entries();
        if entries > 0 {
            pending.push(format!("{entries} entries of the escalation"));
        }
        pending
    }

    /// The first of the outcomes that applies.
    pub fn first_that_applies(&self, decided: Decided, in_doubt: &[(String, String)]) -> Decided {
        if let Some((_, line)) = in_doubt.first() {
            return Decided {
                outcome: Outcome::InDoubt,
                reason: format!("a change may or may not have happened: {line}"),
            };
        }
        match decided.outcome {
            Outcome::Escalated | Outcome::Stopped(_) if self.refused => Decided {
                outcome: Outcome::Refused,
                reason: decided.reason,
            },
            _ => decided,
        }
    }

    /// Ends the run: result, timers, the list of what is in place, reflection.
    async fn end(&mut self, finish: Finish, decided: &mut Option<(Decided, Duration)>) -> Way<Ended> {
        let quiet = matches!(finish, Finish::Interrupted);
        let run = self.run();
        let now = self.decide_end(finish).await?;
        // The first decision stands, unless a worse one comes while ending.
        if decided.is_none() || now.outcome == Outcome::Escalated {
            *decided = Some((now, run.elapsed()));
        }
        run.stop_escalating().await?;
        if !quiet {
            self.wait_for_timers().await?;
        }
        let (in_doubt, in_place, severity) = {
            let mut shared = run.shared();
            let left = run.replay.left_open(|id| shared.settled.contains(id));
            shared.in_doubt.extend(left);
            (
                shared.in_doubt.clone(),
                shared.in_place.clone(),
                shared.severity.clone(),
            )
        };
        let (known, duration) = decided.clone().unwrap_or_else(|| {
            let reason = "the run ended without a decision".to_owned();
            let known = Decided {
                outcome: Outcome::Stopped(reason.clone()),
                reason,
            };
            (known, Duration::ZERO)
        });
        let known = self.first_that_applies(known, &in_doubt);
        if matches!(known.outcome, Outcome::Resolved | Outcome::NotPresent) {
            run.tell_resolved().await?;
        }
        let in_place: Vec<String> = in_place
            .into_iter()
            .map(|(_, line)| line)
            .chain(in_doubt.into_iter().map(|(_, line)| format!("perhaps: {line}")))
            .collect();
        self.record(Event::Ended {
            outcome: known.outcome.word().to_owned(),
            reason: known.reason,
            in_place: in_place.clone(),
            duration_seconds: duration.as_secs_f64(),
        })
        .await?;
        if !quiet && known.outcome != Outcome::NotPresent {
            self.reflection(!run.dry()).await?;
        }
        Ok(Ended {
            outcome: known.outcome,
            severity,
            in_place,
        })
    }

    /// The run is decided, and stays until what it promised to take back later is taken back.
    async fn wait_for_timers(&mut self) -> Way<()> {
        let run = self.run();
        while let Some((due, index)) = run.open_timer() {
            let left = due.saturating_sub(run.elapsed());
            run.world
                .screen
                .waiting("the time at which a change is taken back", Some(left));
            run.pause(left).await;
            run.world.screen.done_waiting();
            drop(run.sending.lock().await);
            let before = run.shared().undo_failed.clone();
            if let Some(leave) = run.ending()
                && before.is_none()
            {
                return Err(leave);
            }
            if run.open_timer().is_some_and(|(_, open)| open == index) {
                run.timer_due(index).await?;
            }
            if let Some(because) = run.shared().undo_failed.clone()
                && before.is_none()
            {
                return Err(Leave::End(Finish::UndoFailed(because)));
            }
        }
        Ok(())
    }

    /// Preventions with their dates, advice, and questions for the people.
    pub async fn reflection(&mut self, ask: bool) -> Way<()> {
        let reflection = &self.book().reflection;
        let today = self.run().world.clock.now();
        for prevent in &reflection.prevents {
            let due = prevent.within.and_then(|within| {
                let span = jiff::SignedDuration::try_from(within).ok()?;
                let due = today.checked_add(span).ok()?;
                Some(due.strftime("%Y-%m-%d").to_string())
            });
            self.record(Event::Prevention {
                title: self.fill(&prevent.title),
                by: prevent.by.as_ref().map(|by| self.fill(by)),
                due,
            })
            .await?;
        }
        for advice in &reflection.advice {
            self.record(Event::Advised {
                title: self.fill(&advice.title),
                prose: self.fill_all(&advice.prose),
            })
            .await?;
        }
        for question in &reflection.questions {
            let question = self.fill(question);
            let (answer, by) = if ask && !self.run().unattended() && !self.run().interrupted() {
                let work = self.run().world.people.reflect(&question);
                // After the end the timebox no longer counts.
                match self.run().patiently(&question, limits::PERSON, work).await {
                    Some(super::world::Reply::Given(answer, person)) => (answer, Some(person)),
                    Some(super::world::Reply::Nobody(_)) | None => (None, None),
                }
            } else {
                (None, None)
            };
            self.record(Event::Reflection { question, answer, by }).await?;
        }
        Ok(())
    }
}
