//! Actions, their clauses and the outcomes.

use super::clause::Pieces;
use super::{Builder, Node, Rule, inner};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::tree::{Action, ClauseKind, End, EndKind, Expr, ExprKind, Outcome, Text, Undo, UndoKind, UndoWhen};

impl Builder<'_> {
    /// The clauses of an action, and the action itself.
    pub(super) fn action_clause(&self, pair: Node, span: Span) -> ClauseKind {
        match pair.as_rule() {
            Rule::action => self.action(pair),
            Rule::approve => self.approve(pair),
            Rule::refuse => self.refuse(pair, span),
            Rule::do_clause => self.do_clause(pair, span),
            Rule::undo => self.undo(pair, span),
            Rule::verify => {
                let (pieces, _) = self.pieces(pair);
                ClauseKind::Verify {
                    condition: pieces.expr.unwrap_or_else(|| self.error_expr(span)),
                    within: pieces.within,
                    every: pieces.every,
                }
            }
            Rule::failed => ClauseKind::Failed(self.only_outcome(pair, span)),
            Rule::unclear => ClauseKind::Unclear(self.only_outcome(pair, span)),
            Rule::not_approved => ClauseKind::NotApproved(self.only_outcome(pair, span)),
            _ => {
                self.unexpected(&pair);
                ClauseKind::Junk
            }
        }
    }

    fn action(&self, pair: Node) -> ClauseKind {
        let begin = pair.as_span().start();
        let start = self.span(&pair);
        let mut action = Action {
            name: self.no_name(start),
            params: Vec::new(),
            title: None,
            alias: None,
            body: None,
        };
        let mut fits = true;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => action.name = self.name(&part),
                Rule::params => action.params = self.params(part),
                Rule::text => action.title = Some(self.text(part)),
                Rule::expr => action.alias = Some(self.expr(part)),
                Rule::block => action.body = Some(self.block(part)),
                Rule::trail => self.trail(&part),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                    fits = false;
                }
                _ => self.unexpected(&part),
            }
        }
        if fits {
            ClauseKind::Action(action)
        } else {
            ClauseKind::Junk
        }
    }

    fn approve(&self, pair: Node) -> ClauseKind {
        let mut roles = Vec::new();
        let mut joined: Option<(bool, Span)> = None;
        let mut pieces = Pieces::default();
        let mut seeing = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => roles.push(self.name(&part)),
                Rule::role_and | Rule::role_or => {
                    let all = part.as_rule() == Rule::role_and;
                    let word = self.span(&part);
                    match joined {
                        Some((before, first)) if before != all => self.push(
                            Diagnostic::error("syntax", word, "`and` and `or` are mixed between approvers")
                                .and(first, "the other word")
                                .help("write `by a and b` when both are needed, `by a or b` when one is enough"),
                        ),
                        _ => joined = Some((all, word)),
                    }
                }
                Rule::seeing => seeing.extend(self.exprs(part)),
                _ => self.timing(part, &mut pieces),
            }
        }
        ClauseKind::Approve {
            roles,
            all: joined.is_some_and(|(all, _)| all),
            within: pieces.within,
            seeing,
        }
    }

    fn refuse(&self, pair: Node, span: Span) -> ClauseKind {
        let mut above = None;
        let mut noun = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::refuse_limit => above = Some(self.limit(part)),
                Rule::name => noun = Some(self.name(&part)),
                _ => self.unexpected(&part),
            }
        }
        let noun = noun.unwrap_or_else(|| self.no_name(span));
        if crate::value::unit::Unit::find(&noun.text).is_some() {
            self.push(
                Diagnostic::error(
                    "syntax",
                    noun.span,
                    format!("`{}` is a unit, not the name of targets", noun.text),
                )
                .help("write what is counted, for example `refuse above 50 sessions`"),
            );
        }
        ClauseKind::Refuse {
            above: above.unwrap_or_else(|| self.error_expr(span)),
            noun,
        }
    }

    /// A bare number, parentheses, or a name with fields.
    fn limit(&self, pair: Node) -> Expr {
        let span = self.span(&pair);
        let mut found: Option<Expr> = None;
        for part in inner(pair) {
            let here = self.span(&part);
            let kind = match (part.as_rule(), found.take()) {
                (Rule::number, _) => {
                    let text = part.as_str().replace('_', "");
                    let float = text.contains('.');
                    ExprKind::Number { text, float }
                }
                (Rule::name, _) => ExprKind::Name(self.name(&part)),
                (Rule::paren, _) => match self.only_expr(part) {
                    Some(expr) => ExprKind::Paren(Box::new(expr)),
                    None => ExprKind::Error,
                },
                (Rule::label, Some(subject)) => ExprKind::Field {
                    subject: Box::new(subject),
                    name: self.name(&part),
                },
                _ => ExprKind::Error,
            };
            let start = if matches!(kind, ExprKind::Field { .. }) {
                span
            } else {
                here
            };
            found = Some(Expr {
                kind,
                span: start.to(here),
            });
        }
        found.unwrap_or_else(|| self.error_expr(span))
    }

    fn do_clause(&self, pair: Node, span: Span) -> ClauseKind {
        let mut pieces = Pieces::default();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::do_undo => {
                    return ClauseKind::DoUndo(
                        inner(part)
                            .next()
                            .map_or_else(|| self.no_name(span), |name| self.name(&name)),
                    );
                }
                Rule::do_named => pieces.name = inner(part).next().map(|name| self.name(&name)),
                Rule::expr => pieces.expr = Some(self.expr(part)),
                _ => self.timing(part, &mut pieces),
            }
        }
        match (pieces.name, pieces.expr, pieces.within) {
            (
                None,
                Some(Expr {
                    kind: ExprKind::Text(text),
                    ..
                }),
                None,
            ) => ClauseKind::Order(text),
            (name, call, within) => ClauseKind::Do {
                name,
                call: call.unwrap_or_else(|| self.error_expr(span)),
                within,
            },
        }
    }

    fn undo(&self, pair: Node, span: Span) -> ClauseKind {
        let mut kind = None;
        let mut when = UndoWhen::OnOutcome;
        let mut pieces = Pieces::default();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::undo_restore => kind = Some(UndoKind::Restore),
                Rule::undo_none => kind = Some(UndoKind::None(self.undo_none(part))),
                Rule::expr => {
                    let call = self.expr(part);
                    kind = Some(match call.kind {
                        ExprKind::Text(text) => UndoKind::Order(text),
                        _ => UndoKind::Call(call),
                    });
                }
                Rule::undo_when => {
                    when = match self.only_expr(part) {
                        Some(delay) => UndoWhen::After(delay),
                        None => UndoWhen::AtEnd,
                    };
                }
                _ => self.timing(part, &mut pieces),
            }
        }
        ClauseKind::Undo(Undo {
            kind: kind.unwrap_or_else(|| UndoKind::Call(self.error_expr(span))),
            when,
            within: pieces.within,
        })
    }

    fn undo_none(&self, pair: Node) -> Text {
        let span = self.span(&pair);
        let reason = inner(pair).find(|part| part.as_rule() == Rule::text);
        match reason {
            Some(reason) => self.text(reason),
            None => {
                self.push(
                    Diagnostic::error("syntax", span, "an action without an undo says why")
                        .help("write `undo none because \"…\"`"),
                );
                self.no_text(span)
            }
        }
    }

    fn only_outcome(&self, pair: Node, span: Span) -> Outcome {
        inner(pair).next().map_or(
            Outcome {
                undo: None,
                keep: None,
                tells: Vec::new(),
                end: None,
                span,
            },
            |outcome| self.outcome(outcome),
        )
    }

    /// `undo, tell …, next cause`: what to do with the change, whom to tell, how to go on, in this order.
    pub(super) fn outcome(&self, pair: Node) -> Outcome {
        let span = self.span(&pair);
        let mut outcome = Outcome {
            undo: None,
            keep: None,
            tells: Vec::new(),
            end: None,
            span,
        };
        let mut out_of_order: Option<Span> = None;
        let mut last = span;
        for item in inner(pair) {
            let here = self.span(&item);
            last = here;
            let Some(item) = inner(item).next() else { continue };
            let behind_end = outcome.end.is_some();
            let end = match item.as_rule() {
                Rule::o_undo | Rule::o_keep => {
                    if behind_end || !outcome.tells.is_empty() || outcome.undo.is_some() || outcome.keep.is_some() {
                        out_of_order.get_or_insert(here);
                    }
                    let slot = if item.as_rule() == Rule::o_undo {
                        &mut outcome.undo
                    } else {
                        &mut outcome.keep
                    };
                    *slot = Some(self.name(&item));
                    continue;
                }
                Rule::o_tell => {
                    if behind_end {
                        out_of_order.get_or_insert(here);
                    }
                    outcome.tells.extend(self.only_expr(item));
                    continue;
                }
                Rule::o_next_cause => EndKind::NextCause,
                Rule::o_next_step => EndKind::NextStep,
                Rule::o_escalate => EndKind::Escalate,
                _ => EndKind::Stop(
                    inner(item)
                        .find(|part| part.as_rule() == Rule::text)
                        .map_or_else(|| self.no_text(here), |text| self.text(text)),
                ),
            };
            if behind_end {
                out_of_order.get_or_insert(here);
            }
            outcome.end = Some(End { kind: end, span: here });
        }
        if let Some(place) = out_of_order {
            self.push(
                Diagnostic::error("syntax", place, "an outcome says one way on, as its last word")
                    .help("the order is `undo` or `keep`, then `tell …`, then one of `next cause`, `next step`, `escalate`, `stop \"…\"`"),
            );
        } else if outcome.end.is_none() {
            self.push(
                Diagnostic::error("syntax", last, "an outcome says how the run goes on")
                    .label("nothing follows")
                    .help("add one of `next cause`, `next step`, `escalate`, `stop \"…\"`"),
            );
        }
        outcome
    }
}
