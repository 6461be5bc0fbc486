//! Which answers are good: by the sign of the question in the goal.

use crate::program::{BinaryOp, BindingId, BindingKind, Expr, ExprKind, Runbook};
use std::collections::{BTreeMap, BTreeSet};

/// For every question the goal mentions, whether a yes is good. One that is mentioned with both signs has none.
pub(super) fn of_goal(book: &Runbook) -> BTreeMap<BindingId, bool> {
    let mut found = BTreeMap::new();
    if let Some(goal) = book.goal
        && let BindingKind::Let(expr) = &book.binding(goal).kind
    {
        collect(book, expr, true, &mut found, &mut BTreeSet::new());
    }
    found
        .into_iter()
        .filter_map(|(id, sign)| sign.map(|good| (id, good)))
        .collect()
}

fn collect(
    book: &Runbook,
    expr: &Expr,
    sign: bool,
    found: &mut BTreeMap<BindingId, Option<bool>>,
    seen: &mut BTreeSet<(BindingId, bool)>,
) {
    match &expr.kind {
        ExprKind::Binding(id) => match &book.binding(*id).kind {
            BindingKind::Let(expr) if seen.insert((*id, sign)) => collect(book, expr, sign, found, seen),
            BindingKind::Question(_) => {
                found
                    .entry(*id)
                    .and_modify(|known| {
                        if *known != Some(sign) {
                            *known = None;
                        }
                    })
                    .or_insert(Some(sign));
            }
            _ => {}
        },
        ExprKind::Not(inner) => collect(book, inner, !sign, found, seen),
        ExprKind::Binary {
            left,
            right,
            op: BinaryOp::And | BinaryOp::Or,
        } => {
            collect(book, left, sign, found, seen);
            collect(book, right, sign, found, seen);
        }
        ExprKind::For { condition, .. } => collect(book, condition, sign, found, seen),
        _ => {}
    }
}
