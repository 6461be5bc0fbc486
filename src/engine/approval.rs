//! Approval: bound by digest to exactly what will be sent; silence is refusal.

use super::action::Ordered;
use super::consent::{self, Consented, Material};
use super::people::Heard;
use super::world::{ApprovalRequest, Decision};
use super::{Frame, Way};
use crate::journal::Event;
use crate::journal::event::{Person, Shown};
use crate::program::{Action, Approval, Risk};
use crate::provider::policy::{Asked, Request, Target};
use crate::render::words;
use std::time::Duration;

/// How many decisions in a row may not count before the request is refused.
const NOT_COUNTED: usize = 3;

/// What came of asking for approval.
pub(super) enum Approving {
    Approved(Consented),
    Refused {
        digest: String,
        because: String,
        by: Option<Person>,
    },
}

impl Frame<'_> {
    /// What an approval of this action is for: run, plan, operations, arguments, targets, evidence.
    pub fn material(&self, action: &Action, order: &str, orders: &[Ordered], nonce: String) -> Material {
        let run = self.run();
        let environment = &run.world.environment;
        let approval = action.approve.as_ref();
        let mut targets: Vec<Target> = orders
            .iter()
            .filter_map(|order| match order {
                Ordered::Call(Ok(call)) => Some(run.world.gate.named_targets(call)),
                _ => None,
            })
            .flatten()
            .collect();
        targets.sort();
        targets.dedup();
        Material {
            version: consent::VERSION,
            run: run.world.journal.run_id().to_owned(),
            scope: self.context.scope.clone(),
            environment: environment.name.clone(),
            requester: run.starter(),
            plan: run.plan.clone(),
            action: action.name.clone(),
            order: order.to_owned(),
            risk: risk(action.risk).to_owned(),
            roles: approval.map(|approval| approval.roles.clone()).unwrap_or_default(),
            calls: orders.iter().filter_map(Ordered::planned).collect(),
            targets,
            seeing: approval
                .iter()
                .flat_map(|approval| &approval.seeing)
                .map(|(text, expr)| (text.clone(), Shown::decided(&self.value(expr))))
                .collect(),
            because: self.because.clone(),
            nonce,
        }
    }

    /// Asks everybody whose approval the file demands: as many different people as it names roles with `and`.
    pub async fn approve(&mut self, action: &Action, order: &str, orders: &[Ordered]) -> Way<Approving> {
        let mut consent = Consented {
            risk: risk(action.risk).to_owned(),
            ..Consented::default()
        };
        let Some(approval) = &action.approve else {
            return Ok(Approving::Approved(consent));
        };
        let material = self.material(action, order, orders, self.run().nonce(&action.name));
        let digest = material.digest();
        let patience = self.context.patience(approval.within);
        self.record(Event::ApprovalRequested {
            action: action.name.clone(),
            digest: digest.clone(),
            roles: approval.roles.clone(),
            seeing: material.seeing.clone(),
            deadline_seconds: patience.as_secs(),
            nonce: material.nonce.clone(),
        })
        .await?;
        let request = self.approval_request(action, approval, &material, &digest, patience);
        let due = self.run().elapsed().saturating_add(patience);
        let mut approvers: Vec<Person> = Vec::new();
        for role in decisions(approval) {
            let mut not_counted = 0;
            loop {
                let left = due.saturating_sub(self.run().elapsed());
                let request = ApprovalRequest {
                    role: role.clone(),
                    deadline: left,
                    excluded: self.excluded(&role, &material, orders, &approvers),
                    ..request.clone()
                };
                let what = format!("approval of `{}` by {role}", action.name);
                let heard = self
                    .context
                    .hear(&what, left, self.run().world.people.approve(&request))
                    .await?;
                let (because, by) = match heard {
                    Heard::Reply(Decision::Approve, person) => {
                        match self.counts(&person, &role, &material, orders, &approvers) {
                            Ok(()) => {
                                consent.remembered |= self.run().replay.under_way();
                                // One that is remembered is as old as its entry.
                                let at = self.run().replay.next_elapsed();
                                consent.given = Some(at.unwrap_or_else(|| self.run().elapsed()));
                                self.record(Event::Approved {
                                    action: action.name.clone(),
                                    digest: digest.clone(),
                                    by: person.clone(),
                                    role: role.clone(),
                                })
                                .await?;
                                approvers.push(person);
                                break;
                            }
                            Err(because) => {
                                self.record(Event::NotCounted {
                                    action: action.name.clone(),
                                    digest: digest.clone(),
                                    by: person.clone(),
                                    because: because.clone(),
                                })
                                .await?;
                                self.run().world.people.not_counted(&person, &because).await;
                                not_counted += 1;
                                if not_counted < NOT_COUNTED {
                                    continue;
                                }
                                (because, Some(person))
                            }
                        }
                    }
                    Heard::Reply(Decision::Refuse { because }, person) => (
                        if because.is_empty() {
                            format!("{} refused", person.name)
                        } else {
                            format!("{} refused: {because}", person.name)
                        },
                        Some(person),
                    ),
                    Heard::Silence(reason) => (reason, None),
                };
                return Ok(Approving::Refused { digest, because, by });
            }
        }
        consent.digest = Some(digest);
        consent.nonce.clone_from(&material.nonce);
        consent.approvers = approvers
            .iter()
            .map(|person| self.run().canonical(&person.name))
            .collect();
        Ok(Approving::Approved(consent))
    }

    /// Whether the approval of a person counts: a different person for each, and one whom the policy permits.
    fn counts(
        &self,
        person: &Person,
        role: &str,
        material: &Material,
        orders: &[Ordered],
        approvers: &[Person],
    ) -> Result<(), String> {
        let run = self.run();
        // What counted when it was given counts, and what did not does not.
        if run.replay.under_way() {
            match run.replay.peek() {
                Some((_, Event::Approved { action, .. })) if action == material.action => return Ok(()),
                Some((_, Event::NotCounted { action, because, .. })) if action == material.action => {
                    return Err(because);
                }
                _ => {}
            }
        }
        let who = run.canonical(&person.name);
        if approvers.iter().any(|known| run.canonical(&known.name) == who) {
            return Err(format!(
                "{who} has approved already, and a second person is needed as {role}"
            ));
        }
        if let Some(roles) = &run.world.consent.roles {
            let wanted = acceptable(role, &material.roles);
            let has = roles.get(&who).map(Vec::as_slice).unwrap_or_default();
            if !wanted.iter().any(|role| has.contains(role)) {
                return Err(format!("{who} does not have the role {role} in this environment"));
            }
        }
        self.may_approve(&who, role, material, orders)
    }

    fn may_approve(&self, who: &str, role: &str, material: &Material, orders: &[Ordered]) -> Result<(), String> {
        let run = self.run();
        let calls = || {
            orders.iter().filter_map(|order| match order {
                Ordered::Call(Ok(call)) => Some(call),
                _ => None,
            })
        };
        let consent = Consented {
            risk: material.risk.clone(),
            ..Consented::default()
        };
        let mut request = Request {
            person: who.to_owned(),
            grounds: run.grounds(&material.action, "do", &consent),
            asked: Asked::Approve {
                roles: acceptable(role, &material.roles),
                operations: calls().map(|call| call.operation.full_name()).collect(),
                targets: material.targets.clone(),
                count: calls().map(crate::provider::gate::count).max().unwrap_or(1),
            },
        };
        let decide = |request: &Request| run.world.gate.decide(request).map_err(|refusal| refusal.because);
        decide(&request)?;
        // Whoever took the run over asks for it as much as who started it.
        if who == run.canonical(&run.world.environment.operator.name) && who != request.grounds.requester {
            request.grounds.requester = who.to_owned();
            decide(&request)?;
        }
        Ok(())
    }

    /// Who need not be asked: whoever has approved already, and the requester where the policy says so.
    fn excluded(
        &self,
        role: &str,
        material: &Material,
        orders: &[Ordered],
        approvers: &[Person],
    ) -> Vec<(String, String)> {
        let run = self.run();
        let mut excluded: Vec<(String, String)> = approvers
            .iter()
            .map(|person| run.canonical(&person.name))
            .map(|who| {
                let because = format!("{who} has approved already, and a second person is needed as {role}");
                (who, because)
            })
            .collect();
        let mut asking = vec![material.requester.clone()];
        let operator = run.canonical(&run.world.environment.operator.name);
        if !asking.contains(&operator) {
            asking.push(operator);
        }
        for who in asking {
            if let Err(because) = self.may_approve(&who, role, material, orders) {
                excluded.push((who, because));
            }
        }
        excluded
    }

    fn approval_request(
        &self,
        action: &Action,
        approval: &Approval,
        material: &Material,
        digest: &str,
        deadline: Duration,
    ) -> ApprovalRequest {
        let view = self.view();
        let words = self.words(&view);
        let mut consequences = words.consequences(action, self.place);
        consequences.push(words.timebox_left(&self.book().header, self.context.remaining()));
        // What may lose data or take a service down must be typed, so that a reflex is not enough.
        ApprovalRequest {
            action: action.name.clone(),
            order: material.order.clone(),
            prose: self.fill_all(&action.prose),
            risk: material.risk.clone(),
            roles: approval.roles.clone(),
            role: String::new(),
            digest: digest.to_owned(),
            calls: material.calls.clone(),
            seeing: material.seeing.clone(),
            because: material.because.clone(),
            consequences,
            deadline,
            typed: (action.risk == Risk::High).then(|| action.name.clone()),
            excluded: Vec::new(),
            material: Box::new(material.clone()),
        }
    }
}

/// Whom to ask, one after the other: every role, or all of them as one.
fn decisions(approval: &Approval) -> Vec<String> {
    if approval.all {
        approval.roles.clone()
    } else {
        vec![words::approvers(approval)]
    }
}

/// The roles of which one is needed for a decision: the one it is for, or each of `a or b`.
fn acceptable(role: &str, roles: &[String]) -> Vec<String> {
    if roles.iter().any(|known| known == role) {
        vec![role.to_owned()]
    } else {
        roles.to_vec()
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
