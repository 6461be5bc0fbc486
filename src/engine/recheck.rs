//! Directly before a change: everything it rests on is asked again.

use super::action::Ordered;
use super::frame::GuardKind;
use super::questions::Root;
use super::{Frame, Way};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::Shown;
use crate::program::{Action, Outcome};
use crate::provider::Call;
use crate::value::identity::same_target;
use crate::value::{Answer, List, Value};
use std::sync::Arc;

/// What came of asking again.
pub(super) enum Rechecked<'r> {
    /// The orders with the targets that are left.
    Proceed(Vec<Ordered>),
    NotNeeded(String),
    Unclear(String),
    /// A `require` no longer holds: its own `else` is followed.
    Guarded(&'r Outcome, String),
    /// Something else than dropped targets changed.
    Void(String),
}

impl<'r> Frame<'r> {
    /// Asks `require`s, causes and the checks behind the arguments again, and the evidence that was shown when that is too old;
    /// people are not asked again: what they said when a cause was chosen counts until it was treated, also behind a change of its own.
    pub async fn recheck(&mut self, action: &'r Action, orders: Vec<Ordered>, seeing: bool) -> Way<Rechecked<'r>> {
        let people = self.fresh.people;
        let passed = self.guards.iter().map(|guard| guard.people);
        self.fresh.people = passed.chain([people]).min().unwrap_or(people);
        let rechecked = self.look_again(action, orders, seeing).await;
        self.fresh.people = people;
        rechecked
    }

    async fn look_again(&mut self, action: &'r Action, orders: Vec<Ordered>, seeing: bool) -> Way<Rechecked<'r>> {
        self.next_round();
        let fresh = self.newest();
        let guards = self.guards.clone();
        let mut roots: Vec<Root<'_>> = Vec::new();
        for guard in &guards {
            roots.push(match guard.kind {
                GuardKind::Require(condition, _) | GuardKind::Cause(condition, _) => Root::Condition(condition),
                GuardKind::Element(_, list) => Root::Value(list),
            });
        }
        if let Some(when) = &action.when {
            roots.push(Root::Condition(when));
        }
        roots.extend(Ordered::roots(action));
        let shown = action
            .approve
            .iter()
            .filter(|_| seeing)
            .flat_map(|approval| &approval.seeing);
        roots.extend(shown.clone().map(|(_, expr)| Root::Value(expr)));
        self.settle(&roots, fresh).await?;
        for guard in &guards {
            if let Some(stop) = self.guard_again(guard.kind) {
                return Ok(stop);
            }
        }
        for (_, expr) in shown {
            if self.value(expr).as_unknown().is_some() {
                return Ok(Rechecked::Unclear(self.unknown_now(expr)));
            }
        }
        if let Some(when) = &action.when {
            match eval::answer(&self.value(when)) {
                Answer::Yes => {}
                Answer::No => return Ok(Rechecked::NotNeeded(self.no_longer(when))),
                Answer::Unknown => return Ok(Rechecked::Unclear(self.unknown_now(when))),
            }
        }
        let now = self.ordered(action);
        let mut left = Vec::with_capacity(orders.len());
        for (approved, now) in orders.into_iter().zip(now) {
            match self.compare(action, approved, now).await? {
                Compared::Same(order) => left.push(order),
                Compared::Stop(stop) => return Ok(stop),
            }
        }
        Ok(Rechecked::Proceed(left))
    }

    fn text(&self, expr: &crate::program::Expr) -> String {
        self.run().program.sources.phrase(expr.span)
    }

    fn no_longer(&self, expr: &crate::program::Expr) -> String {
        format!("`{}` no longer holds", self.text(expr))
    }

    fn unknown_now(&self, expr: &crate::program::Expr) -> String {
        let reason = self.value(expr).as_unknown().map(ToString::to_string);
        format!(
            "asked again, `{}` is unknown ({})",
            self.text(expr),
            reason.unwrap_or_default()
        )
    }

    fn guard_again(&self, guard: GuardKind<'r>) -> Option<Rechecked<'r>> {
        match guard {
            GuardKind::Require(condition, otherwise) => match eval::answer(&self.value(condition)) {
                Answer::Yes => None,
                Answer::No => Some(Rechecked::Guarded(otherwise, self.no_longer(condition))),
                Answer::Unknown => Some(Rechecked::Unclear(self.unknown_now(condition))),
            },
            GuardKind::Cause(condition, name) => match eval::answer(&self.value(condition)) {
                Answer::Yes => None,
                Answer::No => Some(Rechecked::NotNeeded(format!(
                    "the cause `{name}` no longer holds: {}",
                    self.no_longer(condition)
                ))),
                Answer::Unknown => Some(Rechecked::Unclear(self.unknown_now(condition))),
            },
            GuardKind::Element(element, list) => {
                let item = self.slots.get(element).map(|slot| slot.value.clone())?;
                match self.value(list) {
                    Value::List(list) if list.items.iter().any(|now| same_target(&item, now)) => None,
                    Value::List(_) => Some(Rechecked::NotNeeded("it is no longer in the list".to_owned())),
                    Value::Unknown(unknown) => Some(Rechecked::Unclear(format!(
                        "asked again, the list it comes from is unknown ({unknown})"
                    ))),
                    _ => Some(Rechecked::Unclear("the list it comes from is not a list".to_owned())),
                }
            }
        }
    }

    async fn compare(&mut self, action: &Action, approved: Ordered, now: Ordered) -> Way<Compared<'r>> {
        let (approved, now) = match (approved, now) {
            (Ordered::Call(Ok(approved)), Ordered::Call(Ok(now))) => (approved, now),
            (Ordered::Call(Ok(_)), Ordered::Call(Err(unknown))) => {
                return Ok(Compared::Stop(Rechecked::Unclear(format!("asked again: {unknown}"))));
            }
            // Depends on the result of an order before it: evaluated when that is there.
            (other, _) => return Ok(Compared::Same(other)),
        };
        let mut dropped = Vec::new();
        let mut args = Vec::with_capacity(approved.args.len());
        for ((name, old), (_, new)) in approved.args.iter().zip(&now.args) {
            match (old, new) {
                (Value::List(old_list), Value::List(new_list)) if *old != *new => {
                    if new_list.truncated {
                        let why = format!("asked again, `{name}` was cut");
                        return Ok(Compared::Stop(Rechecked::Unclear(why)));
                    }
                    let (kept, gone): (Vec<Value>, Vec<Value>) = old_list
                        .items
                        .iter()
                        .cloned()
                        .partition(|item| new_list.items.iter().any(|now| same_target(item, now)));
                    if kept.is_empty() && !old_list.items.is_empty() {
                        let why = "no target is left".to_owned();
                        return Ok(Compared::Stop(Rechecked::NotNeeded(why)));
                    }
                    dropped.extend(gone.iter().map(|item| Shown::of(item).text().to_owned()));
                    args.push((
                        name.clone(),
                        Value::List(Arc::new(List {
                            items: kept,
                            truncated: false,
                        })),
                    ));
                }
                (old, new) if same_target(old, new) => args.push((name.clone(), old.clone())),
                (old, new) => {
                    let why = format!(
                        "`{name}` changed from {} to {} since it was approved",
                        Shown::of(old).text().to_owned(),
                        Shown::of(new).text().to_owned()
                    );
                    return Ok(Compared::Stop(Rechecked::Void(why)));
                }
            }
        }
        if !dropped.is_empty() {
            self.record(Event::Dropped {
                action: action.name.clone(),
                targets: dropped,
                because: "asked again, they no longer match".to_owned(),
            })
            .await?;
        }
        Ok(Compared::Same(Ordered::Call(Ok(Call { args, ..approved }))))
    }
}

enum Compared<'r> {
    Same(Ordered),
    Stop(Rechecked<'r>),
}
