//! An action: is it needed, may it be done, do it, did it work, and what follows.

use super::approval::{Approving, risk};
use super::consent::Consented;
use super::people::Heard;
use super::questions::Root;
use super::recheck::Rechecked;
use super::send::{Delivered, Sending};
use super::undo::{Applied, AppliedShared, SentOrder};
use super::verify::Watch;
use super::world::{OnUnclear, UnclearChoice};
use super::{Finish, Flow, Frame, Leave, Way, call, conceal, limits};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::{Person, PlannedCall, Purpose, Shown};
use crate::program::{Action, ActionId, BindingId, CallExpr, End, OrderKind, Outcome, Refuse};
use crate::provider::{self, Call};
use crate::render::words;
use crate::value::show::show_std;
use crate::value::{Answer, Type, Unknown, Value};
use std::sync::Arc;

/// An order with the values it will be sent with.
#[derive(Clone, Debug)]
pub(super) enum Ordered {
    Call(Result<Call, Unknown>),
    Undo(ActionId),
    Words(String),
}

impl Ordered {
    /// The call as it is shown before it is made. One that depends on the order before it shows what is missing.
    pub fn planned(&self) -> Option<PlannedCall> {
        match self {
            Ordered::Call(Ok(call)) => Some(call::planned(call)),
            Ordered::Call(Err(unknown)) => Some(PlannedCall {
                operation: unknown.to_string(),
                arguments: Vec::new(),
                class: String::new(),
            }),
            Ordered::Undo(_) | Ordered::Words(_) => None,
        }
    }

    /// What the orders of an action rest on.
    pub fn roots(action: &Action) -> Vec<Root<'_>> {
        action
            .orders
            .iter()
            .filter_map(|order| match &order.kind {
                OrderKind::Call { call, .. } => Some(Root::Call(call)),
                OrderKind::Words(words) => Some(Root::Text(words)),
                OrderKind::Undo(_) => None,
            })
            .collect()
    }
}

/// How far an action came.
pub(super) enum Came<'r> {
    Done,
    NotNeeded(String),
    Failed(String),
    Unclear(String),
    NotApproved {
        digest: String,
        because: String,
        by: Option<Person>,
    },
    /// A dry run: recorded as what would be sent.
    Planned,
    /// A `require` before it no longer holds.
    Guarded(&'r Outcome, String),
}

impl Came<'_> {
    fn refused_without_approval(because: String) -> Self {
        Came::NotApproved {
            digest: String::new(),
            because,
            by: None,
        }
    }

    /// What was approved is not what would be sent.
    fn void(consent: &Consented, because: String) -> Self {
        Came::NotApproved {
            digest: consent.digest.clone().unwrap_or_default(),
            because,
            by: None,
        }
    }

    fn because(&self) -> String {
        match self {
            Came::Done | Came::Planned => String::new(),
            Came::NotNeeded(because)
            | Came::Failed(because)
            | Came::Unclear(because)
            | Came::NotApproved { because, .. }
            | Came::Guarded(_, because) => because.clone(),
        }
    }
}

/// Whether an order is still exactly this call.
fn same_call(order: Option<&Ordered>, call: &Call) -> bool {
    matches!(order, Some(Ordered::Call(Ok(now))) if now.args == call.args)
}

impl<'r> Frame<'r> {
    /// Runs an action, or a `manual`, and follows what its outcome says.
    pub async fn action(&mut self, id: ActionId) -> Way<Flow> {
        self.check()?;
        let action = self.book().action(id);
        let before = self.applied.len();
        let came = self.attempt(id, action).await?;
        let applied = self.applied.get(before).map(|applied| applied.shared.clone());
        self.conclude(action, came, applied).await
    }

    async fn attempt(&mut self, id: ActionId, action: &'r Action) -> Way<Came<'r>> {
        if let Some(when) = &action.when {
            match self.answer(when).await? {
                Value::Bool(true) => {}
                Value::Bool(false) => {
                    let text = self.run().program.sources.phrase(when.span);
                    return Ok(Came::NotNeeded(format!("`{text}` is no")));
                }
                value => {
                    let reason = value.as_unknown().map(ToString::to_string).unwrap_or_default();
                    return Ok(Came::Unclear(format!("whether it is needed is unknown ({reason})")));
                }
            }
        }
        if action.approve.is_some() && !self.run().dry() && self.too_old(self.fresh_since).await? {
            self.aged();
        }
        let asked_at = self.fresh_since;
        let mut roots = Ordered::roots(action);
        roots.push(Root::Text(&action.title));
        if let Some(refuse) = &action.refuse {
            roots.push(Root::Value(&refuse.above));
        }
        for (_, expr) in action.approve.iter().flat_map(|approval| &approval.seeing) {
            roots.push(Root::Value(expr));
        }
        self.settle(&roots, self.fresh).await?;
        let orders = self.ordered(action);
        let order = self.fill(&action.title);
        self.record(Event::ActionStarted {
            name: action.name.clone(),
            order: order.clone(),
            prose: self.fill_all(&action.prose),
            risk: risk(action.risk).to_owned(),
            operations: orders.iter().filter_map(Ordered::planned).collect(),
        })
        .await?;
        if let Some(came) = self.refused_before(action) {
            return Ok(came);
        }
        if let Some(came) = self.inadmissible(action, &orders) {
            return Ok(came);
        }
        if self.run().dry() {
            return self.plan_only(action, &order).await;
        }
        self.check()?;
        if let Some(because) = self.lock_targets(&order, &orders).await? {
            self.check()?;
            return Ok(Came::refused_without_approval(because));
        }
        if let Some(came) = self.refused_before(action) {
            return Ok(came);
        }
        self.check()?;
        let consent = match self.approve(action, &order, &orders).await? {
            Approving::Approved(consent) => consent,
            Approving::Refused { digest, because, by } => {
                // Silence at the end of the timebox is not a refusal: nothing new begins.
                self.check()?;
                return Ok(Came::NotApproved { digest, because, by });
            }
        };
        self.check()?;
        let seen_again = match &action.approve {
            Some(approval) if !approval.seeing.is_empty() => self.too_old(asked_at).await?,
            _ => false,
        };
        let orders = match self.recheck(action, orders, seen_again).await? {
            Rechecked::Proceed(orders) => orders,
            Rechecked::NotNeeded(because) => return Ok(Came::NotNeeded(because)),
            Rechecked::Unclear(because) => return Ok(Came::Unclear(because)),
            Rechecked::Guarded(outcome, because) => return Ok(Came::Guarded(outcome, because)),
            Rechecked::Void(because) => {
                let orders = self.ordered(action);
                let now = self.material(action, &order, &orders, consent.nonce.clone()).digest();
                let approved = consent.digest.clone().unwrap_or_default();
                let because = format!("the approval is void: {because}; {approved} was approved, now it is {now}");
                return Ok(Came::void(&consent, because));
            }
        };
        if self.run().replay.under_way() {
            // What was sent before the run went on was permitted then, and what was void then is void.
            if let Some((
                _,
                Event::NotApproved {
                    action: known, because, ..
                },
            )) = self.run().replay.peek()
                && known == action.name
            {
                return Ok(Came::void(&consent, because));
            }
        } else if let Some(because) = self.no_longer_consented(action, &consent, &orders) {
            return Ok(Came::void(&consent, because));
        }
        self.check()?;
        let mut sent = Vec::new();
        let came = if action.manual {
            self.tick(action, &order, &orders, &mut sent).await
        } else {
            self.send_orders(action, orders, &consent, &mut sent).await
        };
        if !sent.is_empty() {
            let applied = {
                let view = self.view();
                Arc::new(AppliedShared::new(action, &self.context.scope, sent, consent, &view))
            };
            self.applied.push(Applied {
                action: id,
                shared: applied.clone(),
            });
            self.changed();
            self.run().note_permanent(&applied);
            // After an error of the journal nothing is scheduled; the error comes first.
            if !matches!(came, Err(Leave::Halt(_))) {
                self.run().schedule(&applied).await?;
            }
        }
        match came? {
            Came::Done => self.verified(action).await,
            other => Ok(other),
        }
    }

    /// What was refused before anybody was asked, for want of a grant, a lock or the policy, is refused in a run that goes on,
    /// whatever is there by now.
    fn refused_before(&self, action: &Action) -> Option<Came<'r>> {
        let (scope, event) = self.run().replay.peek()?;
        match event {
            Event::NotApproved {
                action: known,
                digest,
                because,
                by,
            } if scope == self.context.scope && known == action.name && digest.is_empty() => {
                Some(Came::NotApproved { digest, because, by })
            }
            _ => None,
        }
    }

    /// The orders with the present values.
    pub fn ordered(&self, action: &Action) -> Vec<Ordered> {
        let view = self.view();
        action
            .orders
            .iter()
            .map(|order| match &order.kind {
                OrderKind::Call { call, .. } => Ordered::Call(call::prepare_one(call, &view)),
                OrderKind::Undo(id) => Ordered::Undo(*id),
                OrderKind::Words(words) => Ordered::Words(eval::fill(words, &view)),
            })
            .collect()
    }

    /// Why an action is not even asked about: nothing to do, an unknown argument, too many targets, no grant.
    fn inadmissible(&self, action: &Action, orders: &[Ordered]) -> Option<Came<'r>> {
        for (order, written) in orders.iter().zip(&action.orders) {
            let (Ordered::Call(prepared), OrderKind::Call { call, .. }) = (order, &written.kind) else {
                continue;
            };
            let call_now = match prepared {
                Ok(call_now) => call_now,
                // It names the result of an order before it, which is there when its turn comes.
                Err(_) if self.names_own_result(call) => continue,
                Err(unknown) => return Some(Came::Unclear(unknown.to_string())),
            };
            for ((name, value), written) in call_now.args.iter().zip(&call.args) {
                let Value::List(list) = value else { continue };
                let counted = action.refuse.as_ref().is_some_and(|refuse| refuse.arg == *name);
                if !counted && !holds_targets(&written.value.ty) {
                    continue;
                }
                if list.items.is_empty() && !list.truncated {
                    return Some(Came::NotNeeded("there is no target".to_owned()));
                }
                if list.truncated && !counted {
                    return Some(Came::Unclear(format!("`{name}` was cut: not all targets are known")));
                }
            }
        }
        if let Some(refuse) = &action.refuse
            && let Some(came) = self.too_many(refuse, orders)
        {
            return Some(came);
        }
        for order in orders {
            if let Ordered::Call(Ok(call)) = order
                && let Err(refusal) = self.run().world.gate.allows(call)
            {
                return Some(Came::NotApproved {
                    digest: String::new(),
                    because: refusal.detail,
                    by: None,
                });
            }
        }
        None
    }

    fn names_own_result(&self, call: &CallExpr) -> bool {
        let mut open = Root::Call(call).ids();
        let mut seen = std::collections::BTreeSet::<BindingId>::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            if matches!(
                self.book().binding(id).kind,
                crate::program::BindingKind::DoResult { .. } | crate::program::BindingKind::Before { .. }
            ) && self.slots.get(id).is_none()
            {
                return true;
            }
            open.extend(&self.context.needs[id.0]);
        }
        false
    }

    /// `refuse above N NOUN`: refused, never a silent first N.
    fn too_many(&self, refuse: &Refuse, orders: &[Ordered]) -> Option<Came<'r>> {
        let limit = match self.value(&refuse.above) {
            Value::Int(limit) => limit,
            value => {
                let reason = value.as_unknown().map(ToString::to_string).unwrap_or_default();
                return Some(Came::Unclear(format!(
                    "the most {} that are allowed is unknown ({reason})",
                    refuse.noun
                )));
            }
        };
        let Some(Ordered::Call(Ok(call))) = orders.get(refuse.order) else {
            return None;
        };
        let (count, whole) = match call.arg(&refuse.arg) {
            Value::List(list) => (i64::try_from(list.items.len()).unwrap_or(i64::MAX), !list.truncated),
            Value::Int(count) => (*count, true),
            _ => (1, true),
        };
        if count > limit {
            return Some(Came::NotApproved {
                digest: String::new(),
                because: format!(
                    "{}{count} {}, at most {limit} are allowed",
                    if whole { "" } else { "at least " },
                    refuse.noun
                ),
                by: None,
            });
        }
        (!whole).then(|| Came::Unclear(format!("the list of {} was cut: not all are known", refuse.noun)))
    }

    /// A dry run says what it would send and goes on; what follows from the change stays unknown.
    async fn plan_only(&mut self, action: &'r Action, order: &str) -> Way<Came<'r>> {
        let asked = match &action.approve {
            Some(approval) => format!("would ask approval by {} and then do it", words::approvers(approval)),
            None => "would do it without asking".to_owned(),
        };
        let mut next = vec![asked];
        next.push(format!(
            "if it fails: {}",
            self.words(&self.view()).order(&action.failed, self.place)
        ));
        next.push("whether it works is not known; the dry run goes on behind it".to_owned());
        let mut events = vec![Event::ActionEnded {
            name: action.name.clone(),
            outcome: "would be sent".to_owned(),
            next: next.join("; "),
            kept: false,
        }];
        if let Some(verify) = &action.verify {
            let text = self.run().program.sources.phrase(verify.condition.span);
            events.push(Event::Look {
                what: format!("verify {}", action.name),
                condition: text.clone(),
                answer: Answer::Unknown,
                evidence: Vec::new(),
                last: true,
            });
            self.last_verify = Some((Answer::Unknown, text));
        }
        self.record_all(events).await?;
        self.run().shared().planned.push(order.to_owned());
        Ok(Came::Planned)
    }

    /// Sends the orders one after the other; the first that fails ends it.
    async fn send_orders(
        &mut self,
        action: &'r Action,
        orders: Vec<Ordered>,
        consent: &Consented,
        sent: &mut Vec<SentOrder>,
    ) -> Way<Came<'r>> {
        for (index, order) in orders.into_iter().enumerate() {
            if let Some(leave) = self.run().ending() {
                return Err(leave);
            }
            let written = &action.orders[index];
            let came = match (order, &written.kind) {
                (Ordered::Undo(earlier), _) => match self.undo_action(earlier).await? {
                    Ok(()) => None,
                    Err(why) => Some(Came::Failed(why)),
                },
                (Ordered::Call(prepared), OrderKind::Call { call, before }) => {
                    // One that named the result of the order before it can be evaluated only now.
                    let prepared = match prepared {
                        Ok(call) => Ok(call),
                        Err(_) => {
                            self.settle(&[Root::Call(call)], self.fresh).await?;
                            call::prepare_one(call, &self.view())
                        }
                    };
                    match prepared {
                        Err(unknown) => Some(Came::Unclear(unknown.to_string())),
                        Ok(call) => {
                            self.send_order(action, index, call, before.as_ref(), consent, sent)
                                .await?
                        }
                    }
                }
                (Ordered::Call(_) | Ordered::Words(_), _) => None,
            };
            if let Some(came) = came {
                return Ok(came);
            }
        }
        Ok(Came::Done)
    }

    /// Asks again whether an order is still to be sent exactly so; `Some` says why not.
    async fn still_wanted(&mut self, action: &'r Action, index: usize, call: &Call) -> Way<Option<Came<'r>>> {
        let mut orders = vec![Ordered::Words(String::new()); action.orders.len()];
        orders[index] = Ordered::Call(Ok(call.clone()));
        Ok(match self.recheck(action, orders, false).await? {
            Rechecked::Proceed(orders) if same_call(orders.get(index), call) => None,
            Rechecked::Proceed(_) => Some(Came::Failed("its targets changed since it was approved".to_owned())),
            Rechecked::NotNeeded(because) => Some(Came::NotNeeded(because)),
            Rechecked::Unclear(because) | Rechecked::Void(because) => Some(Came::Failed(because)),
            Rechecked::Guarded(outcome, because) => Some(Came::Guarded(outcome, because)),
        })
    }

    async fn send_order(
        &mut self,
        action: &'r Action,
        index: usize,
        call: Call,
        before: Option<&(BindingId, CallExpr)>,
        consent: &Consented,
        sent: &mut Vec<SentOrder>,
    ) -> Way<Option<Came<'r>>> {
        let old = match before {
            None => None,
            Some((binding, read)) => match self.old_value(*binding, read).await? {
                Ok(old) => Some(old),
                Err(came) => return Ok(Some(came)),
            },
        };
        let title = self.fill(&action.title);
        let scope = self.context.scope.clone();
        let result_name = action.orders[index].result;
        let record_as = conceal::record_as(&self.context, result_name, &call, None);
        let marked = conceal::marked(&call, record_as.as_ref());
        let sending = Sending {
            scope: &scope,
            action: &action.name,
            purpose: Purpose::Do,
            id: self.run().next_intent(),
            call: &marked,
            before: old,
            consent,
            what: &title,
        };
        let mut delivered = self.run().send(&sending).await?;
        let result = loop {
            match delivered {
                Delivered::Sent(sent) => break sent,
                // The run went down between the intent and the change: what the change rests on is asked again first.
                Delivered::NotDone => match self.still_wanted(action, index, &call).await? {
                    None => delivered = self.run().send_again(&sending).await?,
                    Some(came) => {
                        self.run().give_up(&sending, &came.because()).await?;
                        return Ok(Some(came));
                    }
                },
            }
        };
        let line = self.place_line(&title, &call);
        let came = match result.outcome {
            provider::Outcome::Failed(unknown) => return Ok(Some(Came::Failed(unknown.to_string()))),
            provider::Outcome::Done(value) => {
                self.run().shared().in_place.push((result.id.clone(), line));
                if let Some(binding) = result_name {
                    conceal::remember(&self.context, binding, &value, None);
                    self.slots.set(binding, value, self.round);
                }
                None
            }
            provider::Outcome::Unclear(unknown) => {
                let line = format!("{line}: {unknown}");
                self.run().shared().in_doubt.push((result.id.clone(), line));
                Some(Came::Unclear(unknown.to_string()))
            }
        };
        sent.push(SentOrder {
            order: index,
            intent: result.id,
        });
        Ok(came)
    }

    /// The old value, read directly before the change. Without it the change could not be taken back, so it is not sent.
    async fn old_value(&mut self, binding: BindingId, read: &CallExpr) -> Way<Result<Shown, Came<'r>>> {
        self.settle(&[Root::Call(read)], self.fresh).await?;
        let prepared = call::prepare_one(read, &self.view());
        let begun = self.run().elapsed();
        let name = self.book().binding(binding).name.clone();
        let operation = read.operation.full_name();
        let known = self.run().recall(&self.context.scope, &name, &operation);
        let (arguments, (value, notes)) = match (prepared, known) {
            (Ok(call), Some(value)) => (call::arguments_text(&call), (value, Vec::new())),
            (Ok(call), None) => (call::arguments_text(&call), call::gated_read(self.run(), &call).await),
            (Err(unknown), _) => (Vec::new(), (Value::Unknown(Arc::new(unknown)), Vec::new())),
        };
        let shown = Shown::kept(&value);
        self.record(Event::Read {
            name,
            operation,
            arguments,
            value: shown.clone(),
            milliseconds: call::milliseconds(self.run().elapsed().saturating_sub(begun)),
            notes,
        })
        .await?;
        if let Some(unknown) = call::unknown_in(&value) {
            return Ok(Err(Came::Unclear(format!(
                "the old value could not be read, so nothing was sent ({unknown})"
            ))));
        }
        self.slots.set(binding, value, self.round);
        Ok(Ok(shown))
    }

    fn place_line(&self, title: &str, call: &Call) -> String {
        let targets = self.run().world.gate.targets(call);
        let prefix = if self.context.scope.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.context.scope)
        };
        if targets.is_empty() {
            format!("{prefix}{title} (`{}`)", call.operation.full_name())
        } else {
            format!(
                "{prefix}{title} (`{}` on {})",
                call.operation.full_name(),
                targets.join(", ")
            )
        }
    }

    /// Did it work? A definite yes is done, a definite no at the deadline failed, anything else is unclear.
    async fn verified(&mut self, action: &'r Action) -> Way<Came<'r>> {
        let Some(verify) = &action.verify else {
            return Ok(Came::Done);
        };
        let text = self.run().program.sources.phrase(verify.condition.span);
        let value = self
            .watch(Watch {
                what: format!("verify {}", action.name),
                condition: &verify.condition,
                within: verify.within,
                every: verify.every,
                until_settled: false,
            })
            .await?;
        let answer = eval::answer(&value);
        self.last_verify = Some((answer, text.clone()));
        Ok(match answer {
            Answer::Yes => Came::Done,
            Answer::No => Came::Failed(format!("`{text}` did not come true in {}", show_std(verify.within))),
            Answer::Unknown => {
                let reason = value.as_unknown().map(ToString::to_string).unwrap_or_default();
                Came::Unclear(format!("`{text}` is unknown ({reason})"))
            }
        })
    }

    /// Follows what the outcome says.
    async fn conclude(&mut self, action: &'r Action, came: Came<'r>, applied: Option<Arc<AppliedShared>>) -> Way<Flow> {
        let name = action.name.clone();
        let changed = applied.is_some();
        match came {
            Came::Done => {
                self.record(Event::ActionEnded {
                    name,
                    outcome: "done".to_owned(),
                    next: "going on behind it".to_owned(),
                    kept: true,
                })
                .await?;
                Ok(Flow::Next)
            }
            Came::Planned => Ok(Flow::Next),
            Came::NotNeeded(because) => {
                self.record(Event::NotNeeded { name, because }).await?;
                Ok(Flow::Next)
            }
            Came::Failed(why) => {
                self.failed_actions += 1;
                let outcome = &action.failed;
                self.ended(action, &format!("failed: {why}"), outcome, changed, outcome.undo)
                    .await?;
                if outcome.undo {
                    self.take_back_or_end(applied).await?;
                }
                self.follow(&name, outcome, &format!("`{name}` failed: {why}")).await
            }
            Came::Unclear(why) => {
                self.unclear_actions += 1;
                let undo = self.choose_on_unclear(action, &why, applied.as_deref()).await?;
                let outcome = &action.unclear;
                self.ended(action, &format!("unclear: {why}"), outcome, changed, undo)
                    .await?;
                if undo {
                    self.take_back_or_end(applied).await?;
                }
                self.follow(&name, outcome, &format!("`{name}` is unclear: {why}"))
                    .await
            }
            Came::NotApproved { digest, because, by } => {
                self.record(Event::NotApproved {
                    action: name.clone(),
                    digest,
                    because: because.clone(),
                    by,
                })
                .await?;
                let outcome = &action.not_approved;
                self.ended(action, &format!("not approved: {because}"), outcome, false, false)
                    .await?;
                // An end that a `not approved` line makes is a refusal, whatever it says besides.
                self.refused = matches!(outcome.end, End::Escalate | End::Stop(_));
                let because = format!("`{name}` was not approved: {because}");
                self.follow(&name, outcome, &because).await
            }
            Came::Guarded(outcome, because) => {
                self.ended(action, &format!("not done: {because}"), outcome, false, false)
                    .await?;
                self.follow(&name, outcome, &because).await
            }
        }
    }

    async fn ended(&self, action: &Action, came: &str, outcome: &Outcome, changed: bool, undo: bool) -> Way<()> {
        let shown = Outcome {
            undo,
            ..outcome.clone()
        };
        let next = if changed {
            self.words(&self.view()).doing(&shown, self.place)
        } else {
            self.words(&self.view()).doing_unchanged(&shown, self.place)
        };
        self.record(Event::ActionEnded {
            name: action.name.clone(),
            outcome: came.to_owned(),
            next,
            kept: changed && !undo,
        })
        .await
    }

    async fn take_back_or_end(&mut self, applied: Option<Arc<AppliedShared>>) -> Way<()> {
        let Some(applied) = applied else { return Ok(()) };
        let result = self.run().take_back(&applied).await?;
        self.changed();
        result.map_err(|why| {
            Leave::End(Finish::UndoFailed(format!(
                "`{}` {}: {why}",
                applied.name,
                super::undo::NOT_TAKEN_BACK
            )))
        })
    }

    /// Only the operator may choose to take back what is unclear; the default is to keep it.
    async fn choose_on_unclear(&mut self, action: &Action, why: &str, applied: Option<&AppliedShared>) -> Way<bool> {
        let Some(applied) = applied else { return Ok(false) };
        if self.run().unattended() || !applied.undo_possible() {
            return Ok(false);
        }
        let choice = UnclearChoice {
            action: action.name.clone(),
            order: self.fill(&action.title),
            why: why.to_owned(),
            undo_possible: true,
        };
        let what = format!("the effect of `{}` is unclear: keep it, or take it back?", action.name);
        let people = &self.run().world.people;
        let heard = self
            .context
            .hear(&what, limits::PERSON, people.unclear(&choice))
            .await?;
        let Heard::Reply(chosen, by) = heard else {
            return Ok(false);
        };
        let undo = chosen == OnUnclear::Undo;
        self.record(Event::Choice {
            about: format!("the unclear effect of `{}`", action.name),
            choice: if undo { "take it back" } else { "keep it" }.to_owned(),
            by,
            note: String::new(),
        })
        .await?;
        Ok(undo)
    }

    /// Tells whom the outcome tells, then ends as it says.
    pub async fn follow(&mut self, place: &str, outcome: &Outcome, because: &str) -> Way<Flow> {
        for tell in &outcome.tells {
            self.tell(place, tell).await?;
        }
        match &outcome.end {
            End::NextCause => Ok(Flow::NextCause),
            End::NextStep => Ok(Flow::NextStep),
            End::Escalate => Err(Leave::End(Finish::Escalated(because.to_owned()))),
            End::Stop(reason) => Err(Leave::End(Finish::Stopped(self.fill(reason)))),
        }
    }
}

/// Lists of these are targets; a list of numbers or texts may as well be parameters of a query.
fn holds_targets(ty: &Type) -> bool {
    match ty {
        Type::List(inner) => matches!(**inner, Type::Record(_) | Type::Resource(_)),
        _ => false,
    }
}
