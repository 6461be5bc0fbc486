//! Approval: bound by digest to exactly what will be sent; silence is refusal.

use super::action::Ordered;
use super::people::Heard;
use super::world::{ApprovalRequest, Decision};
use super::{Frame, Way, call, digest, words};
use crate::journal::Event;
use crate::journal::event::{Person, PlannedCall, Shown};
use crate::program::{Action, Approval, Risk, UndoKind};
use crate::value::show::show_std;
use serde::Serialize;
use std::time::Duration;

/// Everything an approval is for. Field order is part of the digest.
#[derive(Serialize)]
struct Bound<'a> {
    run: &'a str,
    scope: &'a str,
    plan: &'a str,
    action: &'a str,
    order: &'a str,
    calls: &'a [PlannedCall],
    seeing: &'a [(String, Shown)],
    because: &'a [String],
}

/// What came of asking for approval.
pub(super) enum Approving {
    /// With the digest it is bound to; `None` where the file asks for none.
    Approved(Option<String>),
    Refused {
        digest: String,
        because: String,
        by: Option<Person>,
    },
}

impl Frame<'_> {
    /// The digest over run, plan, action, operations, arguments and evidence.
    fn digest(&self, action: &Action, order: &str, calls: &[PlannedCall], seeing: &[(String, Shown)]) -> String {
        digest::of(&Bound {
            run: self.run().world.journal.run_id(),
            scope: &self.context.scope,
            plan: &self.run().plan,
            action: &action.name,
            order,
            calls,
            seeing,
            because: &self.because,
        })
    }

    /// Asks everybody whose approval the file demands.
    pub async fn approve(&mut self, action: &Action, order: &str, orders: &[Ordered]) -> Way<Approving> {
        let Some(approval) = &action.approve else {
            return Ok(Approving::Approved(None));
        };
        let calls: Vec<PlannedCall> = orders.iter().filter_map(Ordered::planned).collect();
        let seeing: Vec<(String, Shown)> = approval
            .seeing
            .iter()
            .map(|(text, expr)| (text.clone(), call::shown(&self.value(expr))))
            .collect();
        let digest = self.digest(action, order, &calls, &seeing);
        let patience = self.context.patience(approval.within);
        self.record(Event::ApprovalRequested {
            action: action.name.clone(),
            digest: digest.clone(),
            roles: approval.roles.clone(),
            seeing: seeing.clone(),
            deadline_seconds: patience.as_secs(),
        })
        .await?;
        let request = self.approval_request(action, approval, order, calls, seeing, &digest, patience);
        let due = self.run().elapsed().saturating_add(patience);
        let mut approvers: Vec<Person> = Vec::new();
        for role in decisions(approval) {
            let left = due.saturating_sub(self.run().elapsed());
            let request = ApprovalRequest {
                role: role.clone(),
                deadline: left,
                ..request.clone()
            };
            let what = format!("approval of `{}` by {role}", action.name);
            let heard = self
                .context
                .hear(&what, left, self.run().world.people.approve(&request))
                .await?;
            let refusal = match heard {
                Heard::Reply(Decision::Approve, person) if approvers.iter().any(|known| known.name == person.name) => {
                    let because = format!(
                        "{} has approved already, and a second person is needed as {role}",
                        person.name
                    );
                    Some((because, Some(person)))
                }
                Heard::Reply(Decision::Approve, person) => {
                    self.record(Event::Approved {
                        action: action.name.clone(),
                        digest: digest.clone(),
                        by: person.clone(),
                        role: role.clone(),
                    })
                    .await?;
                    approvers.push(person);
                    None
                }
                Heard::Reply(Decision::Refuse { because }, person) => Some((
                    if because.is_empty() {
                        format!("{} refused", person.name)
                    } else {
                        format!("{} refused: {because}", person.name)
                    },
                    Some(person),
                )),
                Heard::Silence(reason) => Some((reason, None)),
            };
            if let Some((because, by)) = refusal {
                return Ok(Approving::Refused { digest, because, by });
            }
        }
        Ok(Approving::Approved(Some(digest)))
    }

    #[allow(clippy::too_many_arguments)]
    fn approval_request(
        &self,
        action: &Action,
        approval: &Approval,
        order: &str,
        calls: Vec<PlannedCall>,
        seeing: Vec<(String, Shown)>,
        digest: &str,
        deadline: Duration,
    ) -> ApprovalRequest {
        let sources = &self.run().program.sources;
        let condition = action.verify.as_ref().map(|verify| sources.text(verify.condition.span));
        let left = show_std(self.context.remaining());
        let mut consequences = words::consequences(action, condition, &left, &self.book().header.timebox_then);
        for undo in &action.undos {
            if let UndoKind::None { because } = &undo.kind {
                consequences.push(format!("it is not taken back because {}", self.fill(because)));
            }
        }
        // What cannot be taken back and is of high risk must be typed, so that a reflex is not enough.
        let irreversible = action
            .undos
            .iter()
            .all(|undo| matches!(undo.kind, UndoKind::None { .. }));
        ApprovalRequest {
            action: action.name.clone(),
            order: order.to_owned(),
            prose: self.fill_all(&action.prose),
            risk: risk(action.risk).to_owned(),
            roles: approval.roles.clone(),
            role: String::new(),
            digest: digest.to_owned(),
            calls,
            seeing,
            because: self.because.clone(),
            consequences,
            deadline,
            typed: (action.risk == Risk::High && irreversible).then(|| action.name.clone()),
        }
    }
}

/// Whom to ask, one after the other: every role, or all of them as one.
fn decisions(approval: &Approval) -> Vec<String> {
    if approval.all {
        approval.roles.clone()
    } else {
        vec![words::approval(approval)]
    }
}

/// The risk as it is written.
pub(super) fn risk(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}
