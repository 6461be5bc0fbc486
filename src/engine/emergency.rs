//! The emergency override: asked for with a reason and a ticket, consented to by a second person, for a while, on the record.

use super::consent::{self, Consented, Material};
use super::people::Heard;
use super::world::{ApprovalRequest, Decision};
use super::{Finish, Frame, Leave, Way, limits};
use crate::journal::Event;
use crate::provider::policy::{Asked, Request};
use crate::value::show::show_std;

/// The name under which an override is approved.
pub const NAME: &str = crate::program::scenario::OVERRIDE;

impl Frame<'_> {
    /// Asks for the consent of a second person, when an override was asked for; without it the run does not start.
    pub async fn override_if_asked(&mut self) -> Way<()> {
        let run = self.run();
        let Some(emergency) = run.world.consent.emergency.clone() else {
            return Ok(());
        };
        if run.dry() {
            return Ok(());
        }
        let operator = run.operator();
        let requester = run.starter();
        let lasts = show_std(emergency.lasts);
        let order = format!(
            "Override the policy for {lasts}: {} (ticket {})",
            emergency.reason, emergency.ticket
        );
        let material = Box::new(Material {
            version: consent::VERSION,
            run: run.world.journal.run_id().to_owned(),
            scope: String::new(),
            environment: run.world.environment.name.clone(),
            requester: requester.clone(),
            plan: run.plan.clone(),
            action: NAME.to_owned(),
            order: order.clone(),
            risk: "high".to_owned(),
            roles: Vec::new(),
            calls: Vec::new(),
            targets: Vec::new(),
            seeing: Vec::new(),
            because: vec![emergency.reason.clone(), format!("ticket {}", emergency.ticket)],
            nonce: run.nonce(NAME),
        });
        let digest = material.digest();
        let because = format!("{requester} asked for it; an override needs a second person");
        let request = ApprovalRequest {
            action: NAME.to_owned(),
            order,
            prose: Vec::new(),
            risk: material.risk.clone(),
            roles: Vec::new(),
            role: String::new(),
            digest: digest.clone(),
            calls: Vec::new(),
            seeing: Vec::new(),
            because: material.because.clone(),
            consequences: vec![
                format!(
                    "for {lasts} the policy answers as in an emergency; every approval that the runbook asks for is still asked"
                ),
                "the override stands in the record and lowers the grade of the run".to_owned(),
            ],
            deadline: limits::PERSON,
            typed: Some("override".to_owned()),
            excluded: vec![(requester.clone(), because)],
            material,
        };
        self.record(Event::ApprovalRequested {
            action: NAME.to_owned(),
            digest: digest.clone(),
            roles: Vec::new(),
            seeing: Vec::new(),
            deadline_seconds: limits::PERSON.as_secs(),
            nonce: request.material.nonce.clone(),
        })
        .await?;
        let heard = if run.unattended() {
            Heard::Silence("this run is unattended".to_owned())
        } else {
            let what = "a second person for the emergency override";
            self.context
                .hear(what, limits::PERSON, run.world.people.approve(&request))
                .await?
        };
        let (because, by) = match heard {
            Heard::Silence(because) => (because, None),
            Heard::Reply(Decision::Refuse { because }, person) => (
                format!("{} refused {because}", person.name).trim_end().to_owned(),
                Some(person),
            ),
            Heard::Reply(Decision::Approve, second) => {
                match self.may_override(&requester, &run.canonical(&second.name)) {
                    Ok(()) => {
                        let given = run.replay.next_elapsed().unwrap_or_else(|| run.elapsed());
                        let until = given.saturating_add(emergency.lasts);
                        let remembered = run.replay.under_way();
                        self.record(Event::Overridden {
                            reason: emergency.reason,
                            ticket: emergency.ticket,
                            by: operator,
                            second,
                            digest,
                            lasts_seconds: emergency.lasts.as_secs(),
                        })
                        .await?;
                        // How long it has lasted is not known where the clock was set back while nobody was there.
                        run.shared().emergency_until = (!(remembered && run.unsure_of_time)).then_some(until);
                        return Ok(());
                    }
                    Err(because) => (because, Some(second)),
                }
            }
        };
        self.record(Event::NotApproved {
            action: NAME.to_owned(),
            digest,
            because: because.clone(),
            by,
        })
        .await?;
        self.refused = true;
        Err(Leave::End(Finish::Stopped(format!(
            "the emergency override was not consented to: {because}"
        ))))
    }

    /// Two different people, both of whom the policy lets override.
    fn may_override(&self, requester: &str, second: &str) -> Result<(), String> {
        let run = self.run();
        // What was permitted when it was given was permitted.
        if run.replay.under_way() && matches!(run.replay.peek(), Some((_, Event::Overridden { .. }))) {
            return Ok(());
        }
        if requester == second {
            return Err(format!("{requester} asked for it; an override needs a second person"));
        }
        let Some(emergency) = &run.world.consent.emergency else {
            return Err("no override was asked for".to_owned());
        };
        for (person, other) in [(requester, second), (second, requester)] {
            let request = Request {
                person: person.to_owned(),
                grounds: run.grounds("", "", &Consented::default()),
                asked: Asked::Override {
                    reason: emergency.reason.clone(),
                    ticket: emergency.ticket.clone(),
                    second: other.to_owned(),
                    seconds: emergency.lasts.as_secs(),
                },
            };
            run.world.gate.decide(&request).map_err(|refusal| refusal.because)?;
        }
        Ok(())
    }
}
