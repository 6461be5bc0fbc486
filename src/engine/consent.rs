//! What people consent to, and on which grounds something is sent.

use super::state::Run;
use super::world::Environment;
use super::{Frame, digest};
use crate::journal::event::{PlannedCall, Shown};
use crate::program::Action;
use crate::provider::policy::{Asked, Grounds, Request, Target};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything an approval is for. The digest is over all of it; field order is part of the digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// The layout; changes with any field.
    pub version: u32,
    pub run: String,
    /// Path of called runbooks; empty for the outermost.
    pub scope: String,
    pub environment: String,
    /// Who started the run.
    pub requester: String,
    /// SHA-256 over the texts of the program.
    pub plan: String,
    pub action: String,
    /// The order as shown.
    pub order: String,
    pub risk: String,
    /// Who may approve.
    pub roles: Vec<String>,
    /// Operations and arguments, in order.
    pub calls: Vec<PlannedCall>,
    /// What the calls touch, by provider and canonical name.
    pub targets: Vec<Target>,
    /// The evidence beside the decision.
    pub seeing: Vec<(String, Shown)>,
    /// Why this cause.
    pub because: Vec<String>,
    /// Drawn for this one request: an approval of an equal request before it is not one of this.
    pub nonce: String,
}

/// The layout of [`Material`].
pub const VERSION: u32 = 1;

impl Material {
    /// SHA-256, hexadecimal.
    pub fn digest(&self) -> String {
        digest::of(self)
    }
}

/// What an action is sent on: who approved what, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Consented {
    /// The digest that was approved; `None` where the file asks for no approval.
    pub digest: Option<String>,
    /// Canonical persons.
    pub approvers: Vec<String>,
    pub risk: String,
    /// What the request was drawn with; empty where the file asks for no approval.
    pub nonce: String,
    /// When the last approval was given, on the monotonic clock.
    pub given: Option<Duration>,
    /// Some of it was given to an earlier process of the run.
    pub remembered: bool,
}

/// A change is an emergency's until this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    pub reason: String,
    pub ticket: String,
    /// How long it lasts from the consent of the second person.
    pub lasts: Duration,
}

impl Run {
    /// The person whom the configuration means by this login or alias.
    pub fn canonical(&self, name: &str) -> String {
        self.world.consent.canonical(name).to_owned()
    }

    /// What a policy is asked on.
    pub fn grounds(&self, action: &str, purpose: &str, consent: &Consented) -> Grounds {
        let environment: &Environment = &self.world.environment;
        let book = self.outermost_book();
        let text = book.map(|book| &self.program.sources.file(book.span.file).name);
        Grounds {
            environment: environment.name.clone(),
            runbook: book.map(|book| book.name.clone()).unwrap_or_default(),
            owner: book.and_then(|book| book.header.owner.clone()),
            runbook_digest: text
                .and_then(|name| self.program.digests.get(name))
                .cloned()
                .unwrap_or_default(),
            requester: self.canonical(&self.requester),
            emergency: self.emergency(),
            at: Some(self.world.clock.now()),
            action: action.to_owned(),
            risk: consent.risk.clone(),
            purpose: purpose.to_owned(),
            approvers: consent.approvers.clone(),
        }
    }

    /// Whether an emergency override is in force now.
    pub fn emergency(&self) -> bool {
        self.shared()
            .emergency_until
            .is_some_and(|until| self.elapsed() < until)
    }

    /// Why the policy does not let somebody else than who started the run go on with it, if it does not.
    pub fn may_go_on(&self) -> Result<(), String> {
        if self.canonical(&self.operator().name) == self.starter() {
            return Ok(());
        }
        self.may_start()
    }

    /// Why the policy does not let this run start, if it does not.
    pub fn may_start(&self) -> Result<(), String> {
        let environment = &self.world.environment;
        let request = Request {
            person: self.canonical(&environment.operator.name),
            grounds: self.grounds("", "", &Consented::default()),
            asked: Asked::Run {
                dry_run: self.dry(),
                unattended: environment.unattended,
            },
        };
        self.world.gate.decide(&request).map_err(|refusal| refusal.because)
    }
}

impl Frame<'_> {
    /// Why what was approved may not be sent after all: too long ago, other texts, the policy.
    pub fn no_longer_consented(
        &self,
        action: &Action,
        consent: &Consented,
        orders: &[super::action::Ordered],
    ) -> Option<String> {
        let run = self.run();
        if let Some(given) = consent.given {
            let valid = super::limits::APPROVAL_VALID;
            if run.elapsed().saturating_sub(given) > valid {
                return Some(format!(
                    "the approval is void: it was given more than {} ago",
                    crate::value::show::show_std(valid)
                ));
            }
            if consent.remembered && run.unsure_of_time {
                return Some(
                    "the approval is void: the clock was set back while nobody was there, so how old it is is not known"
                        .to_owned(),
                );
            }
            if let Some(edited) = self.edited() {
                return Some(format!("the approval is void: {edited}"));
            }
        }
        let grounds = run.grounds(&action.name, "do", consent);
        orders
            .iter()
            .find_map(|order| match order {
                super::action::Ordered::Call(Ok(call)) => run.world.gate.permits(call, &grounds).err(),
                _ => None,
            })
            .map(|refusal| format!("the policy refuses it: {}", refusal.because))
    }

    /// Which text of the program is no longer the one that was checked, with both digests.
    fn edited(&self) -> Option<String> {
        let run = self.run();
        let texts = run.world.consent.texts.as_ref()?;
        run.program.digests.iter().find_map(|(name, checked)| match texts.digest(name) {
            Ok(None) => None,
            Ok(Some(now)) if now == *checked => None,
            Ok(Some(now)) => Some(format!(
                "`{name}` was edited since the run began: sha256 {checked} was approved, the file now has sha256 {now}"
            )),
            Err(problem) => Some(format!(
                "`{name}` cannot be read any more ({problem}); sha256 {checked} was approved"
            )),
        })
    }
}
