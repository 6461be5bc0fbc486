//! `manual`: what a person does and ticks.

use super::orders::Ordered;
use super::outcome::After;
use super::question::PERSON;
use super::scope::{Body, What};
use super::steps::Around;
use crate::diagnostic::Diagnostic;
use crate::program::{Action, ActionId, Order, OrderKind, Risk, Undo};
use crate::syntax::tree::{self, Block, ClauseKind, Name};

impl Body<'_, '_> {
    /// A `manual`: a person does it.
    pub fn manual(
        &mut self,
        name: &Name,
        title: &tree::Text,
        within: Option<&tree::Expr>,
        body: Option<&Block>,
        around: Around,
    ) -> ActionId {
        let id = ActionId(self.actions.len());
        let title = self.template(title);
        let manual_within = within.map_or(PERSON, |within| self.duration(within));
        let parts = body.map(|block| self.parts(block, true)).unwrap_or_default();
        let mut prose = Vec::new();
        for clause in &parts.prose {
            if let ClauseKind::Prose(text) = &clause.kind {
                prose.push(self.template(&text.text));
            }
        }
        let clause = |word: &str| parts.single.get(word).map(|clause| (*clause, true));
        let when = clause("when").and_then(|(clause, _)| match &clause.kind {
            ClauseKind::When(condition) => Some(self.condition(condition, false)),
            _ => None,
        });
        let risk = clause("risk").and_then(|(clause, _)| match &clause.kind {
            ClauseKind::Risk(word) => Some(self.risk(word)),
            _ => None,
        });
        let approve = clause("approve").map(|(clause, _)| self.approval(&clause.kind));
        if let Some((clause, _)) = clause("refuse") {
            self.report(
                Diagnostic::error(
                    "misplaced-clause",
                    clause.keyword,
                    "a manual takes no list that could be counted",
                )
                .help("write the limit in words, in the order"),
            );
        }
        let mut orders: Vec<Ordered> = Vec::new();
        let mut undos: Vec<Undo> = Vec::new();
        let mut covered = 0;
        for clause in &parts.orders {
            match &clause.kind {
                ClauseKind::Undo(undo) => {
                    if let tree::UndoKind::Restore | tree::UndoKind::Call(_) = undo.kind {
                        self.report(
                            Diagnostic::error(
                                "misplaced-clause",
                                clause.keyword,
                                "a manual is taken back by a person, in words",
                            )
                            .help("write `undo \"…\"` or `undo none because \"…\"`"),
                        );
                        covered = orders.len();
                        continue;
                    }
                    let covers = covered..orders.len();
                    undos.extend(
                        self.undo(undo, name, &[], 0..0, clause.span)
                            .map(|undo| Undo { covers, ..undo }),
                    );
                    covered = orders.len();
                }
                kind => orders.extend(self.order(kind, clause.span, id, orders.len(), name)),
            }
        }
        if orders.is_empty() {
            orders.push(Ordered {
                order: Order {
                    kind: OrderKind::Words(title.clone()),
                    span: name.span,
                    result: None,
                },
                called: None,
            });
            for undo in &mut undos {
                undo.covers = 0..1;
            }
        }
        let verify = clause("verify").and_then(|(clause, _)| match &clause.kind {
            ClauseKind::Verify {
                condition,
                within,
                every,
            } => {
                let condition = self.condition(condition, true);
                Some(self.repeated(condition, within.as_ref(), every.as_ref(), clause.span, clause.keyword))
            }
            _ => None,
        });
        let failed = self.action_outcome(clause("failed"), After::Failed, &mut None, around);
        let unclear = self.action_outcome(clause("unclear"), After::Unclear, &mut None, around);
        let not_approved = self.action_outcome(clause("not approved"), After::NotApproved, &mut None, around);
        let default = || Self::default_outcome(name.span);
        self.actions.push(Action {
            name: name.text.clone(),
            title,
            prose,
            span: name.span,
            manual: true,
            manual_within,
            when,
            risk: risk.unwrap_or(Risk::Low),
            approve,
            refuse: None,
            orders: orders.into_iter().map(|order| order.order).collect(),
            undos,
            verify,
            failed: failed.unwrap_or_else(default),
            unclear: unclear.unwrap_or_else(default),
            not_approved: not_approved.unwrap_or_else(default),
        });
        self.declare(name, What::Action(id));
        id
    }
}
