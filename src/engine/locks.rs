//! Locks in the targets: taken before people are asked, held until the run ends, checked by the gate before each change.

use super::action::Ordered;
use super::consent::Consented;
use super::people::Heard;
use super::world::{HeldLock, OnHeld};
use super::{Frame, Halt, Way, limits};
use crate::journal::Event;
use crate::provider::Effect;
use crate::provider::lock::{Holder, NotTaken};
use crate::provider::policy::{Asked, Request, Target};

impl Frame<'_> {
    /// Takes the lock of everything the orders change. `Some` says why the action cannot go on.
    pub async fn lock_targets(&mut self, order: &str, orders: &[Ordered]) -> Way<Option<String>> {
        let run = self.run();
        if run.dry() {
            return Ok(None);
        }
        let mut targets: Vec<Target> = orders
            .iter()
            .filter_map(|order| match order {
                Ordered::Call(Ok(call)) if call.operation.effect == Effect::Change => {
                    Some(run.world.gate.named_targets(call))
                }
                _ => None,
            })
            .flatten()
            .collect();
        // Always in the same order, so that two runs cannot wait for each other.
        targets.sort();
        targets.dedup();
        for target in targets {
            if let Some(because) = self.lock(order, &target).await? {
                return Ok(Some(because));
            }
        }
        Ok(None)
    }

    async fn lock(&mut self, order: &str, target: &Target) -> Way<Option<String>> {
        let run = self.run();
        let environment = &run.world.environment;
        let holder = Holder {
            run: run.world.journal.run_id().to_owned(),
            who: run.canonical(&environment.operator.name),
            host: environment.host.clone(),
        };
        let name = format!("{} {}", target.provider, target.name);
        let mut taking: Option<(String, Event)> = None;
        // What is locked stays locked until the run ends, so a run that goes on takes its locks again.
        if let Some((_, event @ Event::LockTakenOver { .. })) = run.replay.peek() {
            self.record(event).await?;
        }
        for _ in 0..limits::RETRIES {
            self.check()?;
            let token = taking.as_ref().map(|(token, _)| token.as_str());
            let other = match run.world.gate.lock(target, &holder, token).await {
                Ok(_) => {
                    // Only what was taken from somebody is part of the record.
                    if let Some((_, event)) = taking {
                        self.record(event).await?;
                    }
                    return Ok(None);
                }
                Err(NotTaken::Unclear(unknown)) => {
                    if run.replay.under_way() {
                        let why = format!("the lock of {name}, which the run had, could not be taken: {unknown}");
                        return Err(run.halt(Halt::Astray(why)));
                    }
                    return Ok(Some(format!("the lock of {name} could not be taken: {unknown}")));
                }
                Err(NotTaken::HeldBy(other)) => other,
            };
            if run.replay.under_way() {
                let why = format!(
                    "{name} is now being changed by {}",
                    describe(&other.shown, &other.since)
                );
                return Err(run.halt(Halt::Astray(why)));
            }
            let held = format!("{name} is being changed by {}", describe(&other.shown, &other.since));
            let question = HeldLock {
                target: name.clone(),
                holder: other.shown.clone(),
                since: other.since.clone(),
                order: order.to_owned(),
            };
            let heard = if run.unattended() {
                Heard::Silence("this run is unattended".to_owned())
            } else {
                self.context
                    .hear(&held, limits::PERSON, run.world.people.held(&question))
                    .await?
            };
            taking = match heard {
                Heard::Silence(reason) => return Ok(Some(format!("{held}; {reason}"))),
                Heard::Reply(OnHeld::GiveUp, person) => {
                    return Ok(Some(format!("{held}; {} did not take it over", person.name)));
                }
                Heard::Reply(OnHeld::Wait, _) => None,
                Heard::Reply(OnHeld::TakeOver { because }, by) => {
                    let request = Request {
                        person: run.canonical(&by.name),
                        grounds: run.grounds("", "", &Consented::default()),
                        asked: Asked::TakeLock {
                            target: target.clone(),
                            holder: other.shown.clone(),
                            reason: because.clone(),
                        },
                    };
                    if let Err(refusal) = run.world.gate.decide(&request) {
                        let who = request.person;
                        return Ok(Some(format!(
                            "{held}; the policy does not let {who} take it over: {}",
                            refusal.because
                        )));
                    }
                    let event = Event::LockTakenOver {
                        target: name.clone(),
                        from: describe(&other.shown, &other.since),
                        by,
                        because,
                    };
                    Some((other.token, event))
                }
            };
        }
        Ok(Some(format!(
            "the lock of {name} was not free after {} looks",
            limits::RETRIES
        )))
    }
}

fn describe(shown: &str, since: &str) -> String {
    if since.is_empty() {
        shown.to_owned()
    } else {
        format!("{shown} since {since}")
    }
}
