//! The only place where a change or a tell leaves the engine: intent first, durable; then the call; then its result.

use super::call;
use super::consent::Consented;
use super::limits;
use super::replay::{Kept, reason_of, recall};
use super::state::Run;
use super::world::{InDoubt, Reply};
use super::{Frame, Halt, Way};
use crate::journal::Event;
use crate::journal::event::{Fate, Person, Purpose, ResultKind, Shown};
use crate::program::CallExpr;
use crate::provider::policy::Grounds;
use crate::provider::{Call, Effect, Idempotence, Outcome, notes};
use crate::value::conceal::conceal;
use crate::value::show::show_std;
use crate::value::{Reason, Unknown, Value};
use futures::future::Either;
use std::time::Duration;

/// A change or tell that is about to be sent.
pub(super) struct Sending<'a> {
    pub scope: &'a str,
    /// The action it belongs to; for a tell the place it stands in.
    pub action: &'a str,
    pub purpose: Purpose,
    /// The id of its intent: the same when the run goes on after a crash.
    pub id: String,
    pub call: &'a Call,
    pub before: Option<Shown>,
    /// Who approved it, and the digest that covers it.
    pub consent: &'a Consented,
    /// What is waited for, in words.
    pub what: &'a str,
}

/// What came of it, under the intent's id.
pub(super) struct Sent {
    pub id: String,
    pub outcome: Outcome,
}

/// What came of sending.
pub(super) enum Delivered {
    Sent(Sent),
    /// It was intended before the run went down, and did not happen. Nothing was sent now.
    NotDone,
}

/// A statement about a change that was in doubt.
pub(super) struct Verdict {
    pub fate: Fate,
    /// What says so.
    pub how: String,
    pub by: Option<Person>,
    pub note: String,
}

impl Run {
    /// Records the intent, sends, records the result. In a dry run nothing is recorded or sent.
    pub async fn send(&self, sending: &Sending<'_>) -> Way<Delivered> {
        if self.dry() {
            return Ok(Delivered::Sent(Sent {
                id: String::new(),
                outcome: Outcome::Failed(Unknown {
                    reason: Reason::NotApplied,
                    detail: "a dry run changes nothing".to_owned(),
                }),
            }));
        }
        let mut call = sending.call.clone();
        if let Some(kept) = self.replay.sent(&sending.id) {
            return self.sent_before(sending, kept).await;
        }
        if self.replay.under_way() {
            // It was refused then, and the record goes on without it.
            return Ok(Delivered::Sent(Sent {
                id: String::new(),
                outcome: Outcome::Failed(Unknown {
                    reason: Reason::Denied,
                    detail: "it was refused before the run went on, and is not sent now".to_owned(),
                }),
            }));
        }
        // What is not granted, or what the policy refuses, is not even intended.
        let gate = &self.world.gate;
        let allowed = gate.allows(&call).and_then(|()| {
            gate.permits(&call, &self.grounds_of(sending))
                .map_err(|refused| Unknown {
                    reason: Reason::Denied,
                    detail: format!("the policy refuses it: {}", refused.because),
                })
        });
        if let Err(unknown) = allowed {
            return Ok(Delivered::Sent(Sent {
                id: String::new(),
                outcome: Outcome::Failed(unknown),
            }));
        }
        // A message has one of its own, too: whoever takes it knows it again when it is sent once more.
        if call.operation.idempotence == Idempotence::Keyed || call.operation.effect == Effect::Tell {
            call.key = Some(self.random().into());
        }
        let intent = Event::Intent {
            id: sending.id.clone(),
            action: sending.action.to_owned(),
            purpose: sending.purpose,
            operation: call.operation.full_name(),
            class: call::class(&call).to_string(),
            key: call.key.as_deref().map(str::to_owned),
            // A message may be worded by what became known only later: who goes on needs the words of then. And what can be looked up is
            // looked up with the same arguments, also after the run has ended.
            arguments: match (sending.purpose, &call.operation.idempotence) {
                (Purpose::Tell, _) | (_, Idempotence::Verifiable(_)) => call::arguments_kept(&call),
                (Purpose::Do | Purpose::Undo, _) => call::arguments(&call),
            },
            targets: self.world.gate.targets(&call),
            before: sending.before.clone(),
            approval: sending.consent.digest.clone(),
        };
        self.record(sending.scope, intent).await?;
        self.dispatch(sending, &call).await.map(Delivered::Sent)
    }

    /// Like [`Run::send`], for what rests on nothing that could have changed: what did not happen is sent now.
    pub async fn send_through(&self, sending: &Sending<'_>) -> Way<Sent> {
        let mut delivered = self.send(sending).await?;
        loop {
            match delivered {
                Delivered::Sent(sent) => return Ok(sent),
                Delivered::NotDone => delivered = self.send_again(sending).await?,
            }
        }
    }

    /// Sends what was intended and did not happen.
    pub async fn send_again(&self, sending: &Sending<'_>) -> Way<Delivered> {
        let mut call = sending.call.clone();
        let kept = self.replay.sent(&sending.id);
        if let Some(kept) = kept {
            if self.replay.next_fate(&sending.id).is_some() {
                return self.after_fate(sending, kept).await;
            }
            call.key = kept.key.map(Into::into);
        }
        let verdict = Verdict {
            fate: Fate::Again,
            how: "it did not happen".to_owned(),
            by: None,
            note: String::new(),
        };
        self.settle(sending, verdict).await?;
        self.dispatch(sending, &call).await.map(Delivered::Sent)
    }

    /// Records that what was intended did not happen and is not sent any more.
    pub async fn give_up(&self, sending: &Sending<'_>, because: &str) -> Way<()> {
        if self.replay.sent(&sending.id).is_some_and(|kept| kept.result.is_some()) {
            return Ok(());
        }
        let outcome = Outcome::Failed(Unknown {
            reason: Reason::NotApplied,
            detail: format!("it did not happen before the run went on, and is not sent now: {because}"),
        });
        self.result(sending, &outcome, Duration::ZERO).await
    }

    fn grounds_of(&self, sending: &Sending<'_>) -> Grounds {
        let purpose = match sending.purpose {
            Purpose::Do => "do",
            Purpose::Undo => "undo",
            Purpose::Tell => "tell",
        };
        self.grounds(sending.action, purpose, sending.consent)
    }

    async fn dispatch(&self, sending: &Sending<'_>, call: &Call) -> Way<Sent> {
        // Who has lost the run since the intent was recorded sends nothing any more.
        if let Err(error) = self.world.journal.confirm().await {
            return Err(self.halt(Halt::Journal(error)));
        }
        self.world.screen.waiting(sending.what, Some(call.within));
        let begun = self.elapsed();
        let grounds = self.grounds_of(sending);
        let (outcome, notes) = notes::noting(self.deliver(call, &grounds)).await;
        let took = self.elapsed().saturating_sub(begun);
        self.world.screen.done_waiting();
        self.noted_result(sending, &outcome, took, notes).await?;
        Ok(Sent {
            id: sending.id.clone(),
            outcome,
        })
    }

    async fn result(&self, sending: &Sending<'_>, outcome: &Outcome, took: Duration) -> Way<()> {
        self.noted_result(sending, outcome, took, Vec::new()).await
    }

    async fn noted_result(
        &self,
        sending: &Sending<'_>,
        outcome: &Outcome,
        took: Duration,
        notes: Vec<String>,
    ) -> Way<()> {
        let (kind, value, detail) = match outcome {
            Outcome::Done(value) => {
                let kept = Shown::kept(&conceal(&sending.call.operation.result, value));
                (ResultKind::Done, Some(kept), String::new())
            }
            Outcome::Failed(unknown) => (ResultKind::Failed, None, unknown.to_string()),
            Outcome::Unclear(unknown) => (ResultKind::Unclear, None, unknown.to_string()),
        };
        let result = Event::Result {
            id: sending.id.clone(),
            action: sending.action.to_owned(),
            operation: sending.call.operation.full_name(),
            outcome: kind,
            value,
            detail,
            milliseconds: call::milliseconds(took),
            notes,
        };
        self.record(sending.scope, result).await
    }

    /// The call itself, with its deadline on the clock of the world. After the deadline nobody knows what came of it.
    async fn deliver(&self, call: &Call, grounds: &Grounds) -> Outcome {
        let work = self.world.gate.change_on(call, grounds);
        match futures::future::select(Box::pin(work), self.world.clock.sleep(call.within)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Outcome::Unclear(Unknown {
                reason: Reason::Timeout,
                detail: format!(
                    "`{}` was sent and did not answer within {}",
                    call.operation.full_name(),
                    show_std(call.within)
                ),
            }),
        }
    }

    /// A change whose intent is in the record: its result, or what is to be done when there is none.
    async fn sent_before(&self, sending: &Sending<'_>, kept: Kept) -> Way<Delivered> {
        self.shared().settled.insert(sending.id.clone());
        let operation = sending.call.operation.full_name();
        if kept.operation != operation || !same_arguments(&kept.arguments, &call::arguments(sending.call)) {
            let why = format!(
                "`{operation}` would now be called with other arguments than are recorded under the intent {}",
                sending.id
            );
            return Err(self.halt(Halt::Astray(why)));
        }
        self.after_fate(sending, kept).await
    }

    /// What follows from what the record says next of a change: its fate, its result, or neither.
    async fn after_fate(&self, sending: &Sending<'_>, kept: Kept) -> Way<Delivered> {
        let sent = |outcome| {
            Ok(Delivered::Sent(Sent {
                id: sending.id.clone(),
                outcome,
            }))
        };
        let class = &sending.call.operation.idempotence;
        let repeatable = match class {
            Idempotence::Read | Idempotence::Idempotent => true,
            Idempotence::Keyed => {
                let age = Duration::try_from(self.world.clock.now().duration_since(kept.at));
                age.is_ok_and(|age| age <= limits::KEY_LIFETIME)
            }
            Idempotence::Verifiable(_) | Idempotence::Unrepeatable => false,
        };
        // Where it was sent again and there is no result, it is in doubt as before.
        let mut known = self.replay.next_fate(&sending.id);
        while known == Some(Fate::Again) {
            known = self.replay.next_fate(&sending.id);
        }
        let fate = match (known, &kept.result) {
            (Some(Fate::NotDone), _) => return Ok(Delivered::NotDone),
            (_, Some(result)) => return sent(outcome_of(result)),
            (Some(fate), None) => fate,
            (None, None) if self.replay.under_way() && sending.purpose == Purpose::Do => {
                // Only what was recorded last can be without a result.
                let why = format!("the intent {} has no result, and the record goes on", sending.id);
                return Err(self.halt(Halt::Astray(why)));
            }
            (None, None) if repeatable => {
                let verdict = Verdict {
                    fate: Fate::Again,
                    how: match class {
                        Idempotence::Keyed => "its class: it is sent with the same key",
                        _ => "its class: sending it again has no further effect",
                    }
                    .to_owned(),
                    by: None,
                    note: String::new(),
                };
                self.settle(sending, verdict).await?
            }
            (None, None) => match self
                .look_up(&sending.id, &sending.call.operation.full_name(), &sending.call.args)
                .await?
            {
                Some(verdict) => self.settle(sending, verdict).await?,
                None if sending.purpose == Purpose::Tell => {
                    let outcome = Outcome::Unclear(Unknown {
                        reason: Reason::NotAnswered,
                        detail: "the run went down while it was sent".to_owned(),
                    });
                    self.result(sending, &outcome, Duration::ZERO).await?;
                    return sent(outcome);
                }
                None => {
                    let verdict = self.decide(sending, &kept).await?;
                    self.settle(sending, verdict).await?
                }
            },
        };
        match fate {
            Fate::NotDone => Ok(Delivered::NotDone),
            Fate::Again => {
                let mut call = sending.call.clone();
                call.key = kept.key.map(Into::into);
                self.dispatch(sending, &call).await.map(Delivered::Sent)
            }
            Fate::Done => {
                let reply = Value::unknown(Reason::NotAnswered, "its reply was lost when the run went down");
                let outcome = Outcome::Done(reply);
                self.result(sending, &outcome, Duration::ZERO).await?;
                sent(outcome)
            }
        }
    }

    /// Asks a person what came of a change. Nobody, or nobody who knows, leaves it in doubt, and the run where it is.
    async fn decide(&self, sending: &Sending<'_>, kept: &Kept) -> Way<Verdict> {
        let doubt = InDoubt {
            id: sending.id.clone(),
            action: sending.action.to_owned(),
            order: sending.what.to_owned(),
            operation: kept.operation.clone(),
            class: call::class(sending.call),
            arguments: call::arguments_text(sending.call),
            targets: self.world.gate.targets(sending.call),
            intended: kept.at,
        };
        let what = format!("whether `{}` happened", kept.operation);
        let asked = self.world.people.in_doubt(&doubt);
        match self.patiently(&what, limits::PERSON, asked).await {
            Some(Reply::Given(Some(fate @ (Fate::Done | Fate::NotDone)), by)) => Ok(Verdict {
                fate,
                how: "a person".to_owned(),
                by: Some(by),
                note: String::new(),
            }),
            _ => Err(self.halt(Halt::Doubt(Box::new(doubt)))),
        }
    }

    async fn settle(&self, sending: &Sending<'_>, verdict: Verdict) -> Way<Fate> {
        let fate = verdict.fate;
        let event = Event::Settled {
            id: sending.id.clone(),
            action: sending.action.to_owned(),
            operation: sending.call.operation.full_name(),
            fate,
            how: verdict.how,
            by: verdict.by,
            note: verdict.note,
        };
        self.record(sending.scope, event).await?;
        Ok(fate)
    }

    /// A message as it was intended, where it is in the record: the severity and the evidence that it names may be others by now.
    fn as_intended(&self, id: &str, expr: &CallExpr) -> Option<Call> {
        let kept = self.replay.sent(id)?;
        let args = kept
            .arguments
            .iter()
            .map(|(name, shown)| Some((name.as_str().into(), recall(shown)?)));
        Some(Call {
            operation: expr.operation.clone(),
            args: args.collect::<Option<_>>()?,
            within: expr.within,
            key: None,
        })
    }

    /// Informs people or systems of record. What comes of it is recorded and never changes the way of the run.
    pub async fn tell(
        &self,
        scope: &str,
        place: &str,
        id: String,
        expr: &CallExpr,
        prepared: Result<Call, Unknown>,
    ) -> Way<bool> {
        let operation = expr.operation.full_name();
        let (ok, arguments, detail) = match self.as_intended(&id, expr).map_or(prepared, Ok) {
            Err(unknown) => (false, Vec::new(), format!("not sent: {unknown}")),
            Ok(call) if self.dry() => {
                let detail = "not sent: a dry run tells nobody".to_owned();
                (false, call::arguments_text(&call), detail)
            }
            Ok(call) => {
                let sent = self
                    .send_through(&Sending {
                        scope,
                        action: place,
                        purpose: Purpose::Tell,
                        id,
                        call: &call,
                        before: None,
                        consent: &Consented::default(),
                        what: &operation,
                    })
                    .await?;
                let arguments = call::arguments_text(&call);
                match sent.outcome {
                    Outcome::Done(_) => (true, arguments, String::new()),
                    Outcome::Failed(unknown) => (false, arguments, unknown.to_string()),
                    Outcome::Unclear(unknown) => (false, arguments, format!("perhaps not delivered: {unknown}")),
                }
            }
        };
        let event = Event::Told {
            operation,
            arguments,
            ok,
            detail,
        };
        self.record(scope, event).await?;
        Ok(ok)
    }
}

impl Frame<'_> {
    /// A `tell` of this runbook, with the present values.
    pub async fn tell(&mut self, place: &str, call: &CallExpr) -> Way<()> {
        let prepared = call::prepare_one(call, &self.view());
        let id = self.run().next_intent();
        self.run().tell(&self.context.scope, place, id, call, prepared).await?;
        Ok(())
    }
}

/// What an intent says of its arguments is what people approved; the texts beside the data may be worded anew.
fn same_arguments(recorded: &[(String, Shown)], now: &[(String, Shown)]) -> bool {
    recorded.len() == now.len()
        && recorded
            .iter()
            .zip(now)
            .all(|((name, old), (other, new))| name == other && call::same_data(old.data(), new.data()))
}

/// The outcome that a result stands for.
fn outcome_of(result: &Event) -> Outcome {
    let Event::Result {
        outcome, value, detail, ..
    } = result
    else {
        return Outcome::Unclear(reason_of(""));
    };
    match outcome {
        ResultKind::Done => Outcome::Done(
            value
                .as_ref()
                .and_then(recall)
                .unwrap_or_else(|| Value::unknown(Reason::Unavailable, "a secret is not recorded")),
        ),
        ResultKind::Failed => Outcome::Failed(reason_of(detail)),
        ResultKind::Unclear => Outcome::Unclear(reason_of(detail)),
    }
}
