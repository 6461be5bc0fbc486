//! `do`, `undo`, `before`, and how many targets an action may have.

use super::call::{Called, Place};
use super::scope::{Body, Scope, What};
use super::types::{core, is_numeric};
use crate::diagnostic::Diagnostic;
use crate::program::{
    ActionId, BindingId, BindingKind, CallExpr, Expr, ExprKind, Order, OrderKind, Refuse, Undo, UndoKind, UndoWhen,
};
use crate::source::Span;
use crate::syntax::tree::{self, ClauseKind, Name};
use crate::value::Type;
use std::ops::Range;

/// An order while its action is lowered.
pub struct Ordered {
    pub order: Order,
    pub called: Option<Called>,
}

impl Body<'_, '_> {
    pub(super) fn order(
        &mut self,
        kind: &ClauseKind,
        span: Span,
        action: ActionId,
        index: usize,
        name: &Name,
    ) -> Option<Ordered> {
        match kind {
            ClauseKind::Do {
                name: result,
                call,
                within,
            } => {
                let called = self.call(call, Place::Change);
                let within = within.as_ref().map(|within| self.duration(within));
                let Some(mut called) = called else {
                    if let Some(result) = result {
                        self.declare_name(result, What::Broken, self.inlining.is_empty());
                    }
                    return None;
                };
                if let Some(within) = within {
                    called.call.within = within;
                }
                let before = self.before(&called, action, index, name);
                let result = result.as_ref().map(|result| {
                    let ty = match &called.reply {
                        Type::Nothing => Type::Any,
                        other => other.clone(),
                    };
                    let id = self.bind(
                        result.text.clone(),
                        result.span,
                        ty,
                        BindingKind::DoResult { action, order: index },
                    );
                    self.declare_name(result, What::Binding(id), self.inlining.is_empty());
                    id
                });
                Some(Ordered {
                    order: Order {
                        kind: OrderKind::Call {
                            call: called.call.clone(),
                            before,
                        },
                        span,
                        result,
                    },
                    called: Some(called),
                })
            }
            ClauseKind::DoUndo(target) => match self.scope.find(&target.text) {
                Some(What::Action(earlier)) => Some(Ordered {
                    order: Order {
                        kind: OrderKind::Undo(earlier),
                        span,
                        result: None,
                    },
                    called: None,
                }),
                Some(What::Broken) => None,
                Some(_) => {
                    self.report(Diagnostic::error(
                        "type-mismatch",
                        target.span,
                        format!("`{}` is not an action", target.text),
                    ));
                    None
                }
                None => {
                    self.unknown_name(target);
                    None
                }
            },
            ClauseKind::Order(words) => Some(Ordered {
                order: Order {
                    kind: OrderKind::Words(self.template(words)),
                    span,
                    result: None,
                },
                called: None,
            }),
            _ => None,
        }
    }

    /// A call of the interface text, written relative to its provider, with the arguments of the order put in.
    fn interface_call(
        &mut self,
        called: &Called,
        written: &tree::Expr,
        before: Option<BindingId>,
        place: Place,
    ) -> Option<CallExpr> {
        let tree::ExprKind::Call { callee, args } = &super::expression::strip(written).kind else {
            return None;
        };
        let file = called.provider.item.file;
        let path = self.checker.sources.text(callee.span).to_owned();
        let relative = path
            .strip_prefix(&*called.provider.name)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(&path)
            .to_owned();
        let Some(found) = called.provider.find(&relative) else {
            self.report(Diagnostic::error(
                "unknown-operation",
                callee.span,
                format!("`{}` has no operation `{relative}`", called.provider.name),
            ));
            return None;
        };
        let outer = std::mem::replace(&mut self.scope, Scope::new(file));
        let site = self.site;
        self.site = Some(site.unwrap_or(called.call.span));
        for arg in &called.call.args {
            let name = Name {
                text: arg.name.to_string(),
                span: arg.value.span,
            };
            self.given.push(arg.value.clone());
            let given = self.given.len() - 1;
            self.declare_name(&name, What::Given(given), false);
        }
        if let Some(before) = before {
            let name = Name {
                text: "before".to_owned(),
                span: callee.span,
            };
            self.declare_name(&name, What::Binding(before), false);
        }
        let provider = std::rc::Rc::clone(&called.provider);
        let result = self.call_operation(provider, found, callee.span, args, written.span, place);
        self.site = site;
        self.scope = outer;
        result.map(|result| result.call)
    }

    /// Types `before` and `undo` of an operation of the checked file.
    pub fn inverse_of_interface(
        &mut self,
        provider: &std::rc::Rc<super::operations::ProviderTable>,
        found: super::operations::OperationRef,
        written: &tree::OperationItem,
    ) {
        let operation = std::sync::Arc::clone(&found.operation);
        let args = operation
            .params
            .iter()
            .map(|param| crate::program::ArgExpr {
                name: std::sync::Arc::clone(&param.name),
                value: Expr {
                    kind: ExprKind::Literal(crate::value::Value::None),
                    ty: param.ty.clone(),
                    span: written.path.span,
                },
                each: false,
            })
            .collect();
        let called = Called {
            reply: operation.result.clone(),
            call: CallExpr {
                within: operation.within,
                operation,
                args,
                span: written.path.span,
                decode: None,
            },
            found,
            provider: std::rc::Rc::clone(provider),
        };
        let name = Name {
            text: "undo".to_owned(),
            span: written.path.span,
        };
        self.declare_inverse(&called, written, &name);
    }

    fn declare_inverse(&mut self, called: &Called, written: &tree::OperationItem, name: &Name) {
        let before = self.before(called, ActionId(0), 0, name).map(|(id, _)| id);
        if let Some(undo) = &written.undo {
            self.interface_call(called, undo, before, Place::Change);
        }
    }

    fn before(
        &mut self,
        called: &Called,
        action: ActionId,
        order: usize,
        name: &Name,
    ) -> Option<(BindingId, CallExpr)> {
        let tree = self.checker.tree(called.provider.item.file);
        let written = written_operation(&tree, called)?;
        let before = written.before.as_ref()?;
        let call = self.interface_call(called, before, None, Place::Read)?;
        let ty = call.operation.result.clone();
        let id = self.bind(
            format!("{}.before", name.text),
            called.call.span,
            ty,
            BindingKind::Before { action, order },
        );
        Some((id, call))
    }

    pub(super) fn undo(
        &mut self,
        undo: &tree::Undo,
        name: &Name,
        orders: &[Ordered],
        covers: Range<usize>,
        span: Span,
    ) -> Option<Undo> {
        let longest = orders[covers.clone()]
            .iter()
            .filter_map(|order| order.called.as_ref().map(|called| called.call.within))
            .max();
        let within = undo.within.as_ref().map(|within| self.duration(within));
        let kind = match &undo.kind {
            tree::UndoKind::Restore => {
                let mut calls = Vec::new();
                for ordered in orders[covers.clone()].iter().rev() {
                    if let (Some(called), OrderKind::Call { before, .. }) = (&ordered.called, &ordered.order.kind) {
                        let before = before.as_ref().map(|(id, _)| *id);
                        let mut call = self.inverse(called, before, span)?;
                        call.within = within.unwrap_or(called.call.within);
                        calls.push(call);
                    }
                }
                UndoKind::Restore(calls)
            }
            tree::UndoKind::Call(written) => {
                let mut called = self.call(written, Place::Change)?;
                if let Some(within) = within.or(longest) {
                    called.call.within = within;
                }
                UndoKind::Call(called.call)
            }
            tree::UndoKind::None(because) => UndoKind::None {
                because: self.template(because),
            },
            tree::UndoKind::Order(words) => UndoKind::Words(self.template(words)),
        };
        let when = match &undo.when {
            tree::UndoWhen::OnOutcome => UndoWhen::OnOutcome,
            tree::UndoWhen::AtEnd => UndoWhen::AtEnd,
            tree::UndoWhen::After(after) => UndoWhen::After(self.expect(after, &Type::Duration)),
        };
        let _ = name;
        Some(Undo {
            kind,
            when,
            covers,
            span,
        })
    }

    /// The provider's own inverse of an order.
    fn inverse(&mut self, called: &Called, before: Option<BindingId>, span: Span) -> Option<CallExpr> {
        let tree = self.checker.tree(called.provider.item.file);
        let inverse = written_operation(&tree, called).and_then(|written| written.undo.as_ref());
        let fanned = called.call.args.iter().any(|arg| arg.each);
        let (Some(inverse), false) = (inverse, fanned) else {
            let operation = called.call.operation.full_name();
            let message = if fanned {
                format!("`{operation}` for each element cannot be restored as a whole")
            } else {
                format!("`{operation}` has no inverse of its own")
            };
            let span = self.place(span);
            self.report(
                Diagnostic::error("missing-undo", span, message)
                    .and(called.call.span, "this change")
                    .help("write the call that takes it back, `undo …`, or `undo none because \"…\"`"),
            );
            return None;
        };
        self.interface_call(called, inverse, before, Place::Change)
    }

    pub(super) fn refuse(
        &mut self,
        above: &tree::Expr,
        noun: &Name,
        orders: &[Ordered],
        failed_order: bool,
    ) -> Option<Refuse> {
        let counted = |ty: &Type| matches!(core(ty), Type::List(_)) || is_numeric(core(ty));
        for (order, ordered) in orders.iter().enumerate() {
            let Some(called) = &ordered.called else { continue };
            for (param, arg) in called.call.operation.params.iter().zip(&called.call.args) {
                if *param.name == *noun.text && (counted(&param.ty) || arg.each) {
                    let ty = core(&param.ty).clone();
                    let due = if is_numeric(&ty) && !arg.each { ty } else { Type::Int };
                    return Some(Refuse {
                        above: self.expect(above, &due),
                        noun: noun.text.clone(),
                        order,
                        arg: std::sync::Arc::clone(&param.name),
                    });
                }
            }
        }
        self.expect(above, &Type::Any);
        if failed_order || orders.iter().any(|order| order.called.is_none()) && orders.is_empty() {
            return None;
        }
        let known: Vec<String> = orders
            .iter()
            .filter_map(|order| order.called.as_ref())
            .flat_map(|called| &called.call.operation.params)
            .filter(|param| counted(&param.ty))
            .map(|param| param.name.to_string())
            .collect();
        let finding = Diagnostic::error(
            "unknown-name",
            noun.span,
            format!("no `do` of this action takes `{}`", noun.text),
        );
        let finding = self
            .checker
            .suggest(finding, noun, known.iter().map(String::as_str), true);
        self.report(finding);
        None
    }

    /// Reports lists of targets that nothing limits.
    pub(super) fn bounded(&mut self, orders: &[Ordered], refuse: Option<&Refuse>) {
        for (index, ordered) in orders.iter().enumerate() {
            let Some(called) = &ordered.called else { continue };
            for (param, arg) in called.call.operation.params.iter().zip(&called.call.args) {
                let list = matches!(core(&param.ty), Type::List(_)) || arg.each;
                let written = matches!(arg.value.kind, ExprKind::List(_) | ExprKind::Literal(_))
                    || matches!(arg.value.ty, Type::Any);
                let limited = refuse.is_some_and(|refuse| refuse.order == index && refuse.arg == param.name);
                if list && !written && !limited {
                    let span = if self.site.is_some() {
                        self.place(arg.value.span)
                    } else {
                        arg.value.span
                    };
                    self.report(
                        Diagnostic::error("unbounded-action", span, "nothing limits how many targets this changes")
                            .label("a list, however long it is when the action runs")
                            .help(format!("add a line, for example `refuse above 50 {}`", param.name)),
                    );
                    return;
                }
            }
        }
    }
}

/// The interface text of the operation that is called.
fn written_operation<'t>(tree: &'t tree::File, called: &Called) -> Option<&'t tree::OperationItem> {
    let tree::ItemKind::Provider(provider) = &tree.items.get(called.provider.item.item)?.kind else {
        return None;
    };
    match provider.members.get(called.found.member)? {
        tree::ProviderMember::Operation(operation) => Some(operation),
        tree::ProviderMember::Prose(_) => None,
    }
}
