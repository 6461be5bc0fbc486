//! The only place where a change or a tell leaves the engine: intent first, durable; then the call; then its result.

use super::call;
use super::consent::Consented;
use super::state::Run;
use super::{Frame, Way};
use crate::journal::Event;
use crate::journal::event::{Purpose, ResultKind, Shown};
use crate::program::CallExpr;
use crate::provider::policy::Grounds;
use crate::provider::{Call, Idempotence, Outcome};
use crate::value::show::show_std;
use crate::value::{Reason, Unknown};
use futures::future::Either;

/// A change or tell that is about to be sent.
pub(super) struct Sending<'a> {
    pub scope: &'a str,
    /// The action it belongs to; for a tell the place it stands in.
    pub action: &'a str,
    pub purpose: Purpose,
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

impl Run {
    /// Records the intent, sends, records the result. In a dry run nothing is recorded or sent.
    pub async fn send(&self, sending: Sending<'_>) -> Way<Sent> {
        if self.dry() {
            let outcome = Outcome::Failed(Unknown {
                reason: Reason::NotApplied,
                detail: "a dry run changes nothing".to_owned(),
            });
            return Ok(Sent {
                id: String::new(),
                outcome,
            });
        }
        let mut call = sending.call.clone();
        if call.operation.idempotence == Idempotence::Keyed {
            call.key = Some(self.random().into());
        }
        let id = {
            let mut shared = self.shared();
            shared.intents += 1;
            format!("{}/{}", self.world.journal.run_id(), shared.intents)
        };
        let operation = call.operation.full_name();
        let intent = Event::Intent {
            id: id.clone(),
            action: sending.action.to_owned(),
            purpose: sending.purpose,
            operation: operation.clone(),
            class: call::class(&call).to_string(),
            key: call.key.as_deref().map(str::to_owned),
            arguments: call::arguments(&call),
            targets: self.world.gate.targets(&call),
            before: sending.before,
            approval: sending.consent.digest.clone(),
        };
        self.record(sending.scope, intent).await?;
        self.world.screen.waiting(sending.what, Some(call.within));
        let begun = self.elapsed();
        let purpose = match sending.purpose {
            Purpose::Do => "do",
            Purpose::Undo => "undo",
            Purpose::Tell => "tell",
        };
        let grounds = self.grounds(sending.action, purpose, sending.consent);
        let outcome = self.deliver(&call, &grounds).await;
        let milliseconds = call::milliseconds(self.elapsed().saturating_sub(begun));
        self.world.screen.done_waiting();
        let (kind, value, detail) = match &outcome {
            Outcome::Done(value) => (ResultKind::Done, Some(call::shown(value)), String::new()),
            Outcome::Failed(unknown) => (ResultKind::Failed, None, unknown.to_string()),
            Outcome::Unclear(unknown) => (ResultKind::Unclear, None, unknown.to_string()),
        };
        let result = Event::Result {
            id: id.clone(),
            action: sending.action.to_owned(),
            operation,
            outcome: kind,
            value,
            detail,
            milliseconds,
        };
        self.record(sending.scope, result).await?;
        Ok(Sent { id, outcome })
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

    /// Informs people or systems of record. What comes of it is recorded and never changes the way of the run.
    pub async fn tell(&self, scope: &str, place: &str, operation: &str, call: Result<Call, Unknown>) -> Way<bool> {
        let (ok, arguments, detail) = match call {
            Err(unknown) => (false, Vec::new(), format!("not sent: {unknown}")),
            Ok(call) if self.dry() => {
                let detail = "not sent: a dry run tells nobody".to_owned();
                (false, call::arguments_text(&call), detail)
            }
            Ok(call) => {
                let sent = self
                    .send(Sending {
                        scope,
                        action: place,
                        purpose: Purpose::Tell,
                        call: &call,
                        before: None,
                        consent: &Consented::default(),
                        what: operation,
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
            operation: operation.to_owned(),
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
        self.run()
            .tell(&self.context.scope, place, &call.operation.full_name(), prepared)
            .await?;
        Ok(())
    }
}
