//! Calls: operations of providers, and the arguments of library checks, actions and runbooks.

use super::modules::ItemRef;
use super::names::listed;
use super::operations::{OperationRef, ProviderTable};
use super::scope::{Body, error};
use super::types::{described, holds_secret};
use crate::diagnostic::Diagnostic;
use crate::program::{ArgExpr, CallExpr, Expr, ExprKind};
use crate::provider::{Effect, Operation, modelled};
use crate::source::{FileId, Span};
use crate::syntax::tree::{self, Arg, Name};
use crate::value::{Type, Value};
use std::rc::Rc;
use std::sync::Arc;

/// What may be called in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind `read`.
    Read,
    /// Behind `do` and `undo`.
    Change,
    /// Behind `tell`, in outcomes and in an escalation.
    Tell,
}

impl Place {
    fn allows(self, effect: Effect) -> bool {
        match self {
            Place::Read => matches!(effect, Effect::Read | Effect::Probe),
            Place::Change => effect == Effect::Change,
            Place::Tell => effect == Effect::Tell,
        }
    }
}

/// A call that was made sense of.
pub struct Called {
    pub call: CallExpr,
    pub found: OperationRef,
    pub provider: Rc<ProviderTable>,
    /// The type of the reply; with `each`, a list of it.
    pub reply: Type,
}

/// A parameter that arguments are matched with.
pub struct Wanted {
    pub name: Arc<str>,
    pub ty: Type,
    /// May be left out.
    pub optional: bool,
}

/// The names of a callee, outermost first; `None` when it is no chain of names.
fn chain(callee: &tree::Expr) -> Option<Vec<&Name>> {
    match &callee.kind {
        tree::ExprKind::Name(name) => Some(vec![name]),
        tree::ExprKind::Field { subject, name } => {
            let mut names = chain(subject)?;
            names.push(name);
            Some(names)
        }
        _ => None,
    }
}

impl Body<'_, '_> {
    /// A call of an operation. What is wrong is reported and gives `None`.
    pub fn call(&mut self, written: &tree::Expr, place: Place) -> Option<Called> {
        let (callee, args) = match &written.kind {
            tree::ExprKind::Call { callee, args } => (callee.as_ref(), args.as_slice()),
            tree::ExprKind::Paren(inner) => return self.call(inner, place),
            tree::ExprKind::Error => return None,
            _ => {
                self.report(
                    Diagnostic::error("type-mismatch", written.span, "a call of an operation is due here").help(
                        match place {
                            Place::Read => "a value that needs no provider is a `let`",
                            Place::Change => "for example `postgres.sessions.terminate(stuck.sessions)`",
                            Place::Tell => "for example `chat.post(\"#incidents\", \"…\")`",
                        },
                    ),
                );
                self.effects.unclear_all = true;
                return None;
            }
        };
        let Some(names) = chain(callee) else {
            self.report(Diagnostic::error(
                "type-mismatch",
                callee.span,
                "the operation of a call is named in the file, never computed",
            ));
            self.effects.unclear_all = true;
            return None;
        };
        let (provider, found) = self.operation(&names, callee.span, place)?;
        self.call_operation(provider, found, callee.span, args, written.span, place)
    }

    /// The operation these names stand for.
    fn operation(&mut self, names: &[&Name], span: Span, place: Place) -> Option<(Rc<ProviderTable>, OperationRef)> {
        let root = names.first()?;
        let file = self.scope.file;
        let provider = if self.is_value(&root.text) {
            None
        } else {
            self.checker.provider(file, &root.text)
        };
        let Some(provider) = provider else {
            self.effects.unclear_all = true;
            if self.is_value(&root.text) || names.len() == 1 {
                return self.not_an_operation(root, span, place);
            }
            if matches!(self.checker.symbol(file, &root.text), Some(None)) {
                return None;
            }
            let finding = Diagnostic::error(
                "unknown-name",
                root.span,
                format!("there is no provider `{}`", root.text),
            );
            let known = self.checker.provider_names(file);
            let finding = self
                .checker
                .suggest(finding, root, known.iter().map(String::as_str), true);
            self.report(finding);
            return None;
        };
        let path: Vec<&str> = names[1..].iter().map(|name| name.text.as_str()).collect();
        let path = path.join(".");
        if let Some(found) = provider.find(&path) {
            return Some((provider, found));
        }
        self.effects.unclear.insert(root.text.clone());
        if self.checker.entry(provider.item.file).broken {
            return None;
        }
        let rest = names[1..].first().map_or(span, |first| first.span.to(span_end(span)));
        let written = Name {
            text: path.clone(),
            span: rest,
        };
        if let Some(refusal) = modelled::refusal(&provider.name, &path) {
            self.report(Diagnostic::error("unknown-operation", rest, refusal));
            return None;
        }
        let finding = Diagnostic::error(
            "unknown-operation",
            rest,
            format!("`{}` has no operation `{path}`", root.text),
        );
        let known = provider.candidates(&path);
        let finding = self
            .checker
            .suggest(finding, &written, known.iter().map(String::as_str), true);
        self.report(finding);
        None
    }

    /// Reports a call whose root is not a provider: a check, a value, or nothing.
    fn not_an_operation<T>(&mut self, root: &Name, span: Span, place: Place) -> Option<T> {
        let file = self.scope.file;
        if self.is_value(&root.text) {
            self.report(
                Diagnostic::error(
                    "type-mismatch",
                    span,
                    format!("`{}` is a value, not a provider", root.text),
                )
                .help("a value that needs no provider is a `let`"),
            );
            return None;
        }
        if let Some(symbol) = self.checker.symbol(file, &root.text) {
            let item = symbol?;
            let (what, help) = match self.item_kind(item) {
                Some("check") => ("a check", "use it as a question: `check NAME = …(…)`"),
                Some("action") => ("an action", "use it as a step: `action NAME = …(…)`"),
                Some("runbook") => ("a runbook", "use `run …(…)`"),
                _ => ("not an operation", "operations are called as `provider.operation(…)`"),
            };
            self.report(Diagnostic::error("type-mismatch", span, format!("`{}` is {what}", root.text)).help(help));
            return None;
        }
        let finding = Diagnostic::error("unknown-name", root.span, format!("there is no `{}`", root.text));
        let known = self.checker.provider_names(file);
        let mut finding = match self.checker.import(&root.text, &["check", "action"]) {
            Some(help) => finding.help(help),
            None => self
                .checker
                .suggest(finding, root, known.iter().map(String::as_str), false),
        };
        if finding.help.is_none() && place != Place::Change {
            finding = finding.help("operations are called as `provider.operation(…)`");
        }
        self.report(finding);
        None
    }

    /// The word for what an item is.
    pub fn item_kind(&self, item: ItemRef) -> Option<&'static str> {
        let tree = &self.checker.entry(item.file).tree;
        Some(match &tree.items.get(item.item)?.kind {
            tree::ItemKind::Runbook(_) => "runbook",
            tree::ItemKind::Provider(_) => "provider",
            tree::ItemKind::Resource { .. } => "resource",
            tree::ItemKind::Record { .. } => "record",
            tree::ItemKind::Enum { .. } => "enum",
            tree::ItemKind::Clause(clause) => match &clause.kind {
                tree::ClauseKind::Question(_) => "check",
                tree::ClauseKind::Action(_) => "action",
                tree::ClauseKind::Let { .. } => "let",
                tree::ClauseKind::Escalation { .. } => "escalation",
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Arguments for an operation that was found; also for `before` and `undo` of an interface.
    pub fn call_operation(
        &mut self,
        provider: Rc<ProviderTable>,
        found: OperationRef,
        callee: Span,
        args: &[Arg],
        span: Span,
        place: Place,
    ) -> Option<Called> {
        let operation = Arc::clone(&found.operation);
        if !place.allows(operation.effect) {
            self.effects.unclear.insert(operation.provider.to_string());
            let finding = wrong_effect(&operation, place, callee);
            self.report(finding);
            return None;
        }
        let site = self.place(callee);
        self.effects
            .note(super::effects::word(operation.effect), &operation.capability(), site);
        self.verification(&provider, &operation, site);
        let wanted: Vec<Wanted> = operation
            .params
            .iter()
            .map(|param| Wanted {
                name: Arc::clone(&param.name),
                ty: param.ty.clone(),
                optional: param.default.is_some() || matches!(param.ty, Type::Optional(_)),
            })
            .collect();
        let values = self.arguments(&operation.full_name(), &wanted, args, callee, true);
        let mut exprs = Vec::with_capacity(values.len());
        let mut fans = false;
        for (param, value) in operation.params.iter().zip(values) {
            let arg = match value {
                Some((value, each)) => {
                    fans |= each;
                    if place == Place::Tell && holds_secret(&value.ty) {
                        let finding = Diagnostic::error("secret-in-sink", value.span, "a secret would be told")
                            .label(format!("this is {}", described(&value.ty)))
                            .help("leave it out: what is told is read by people and kept");
                        self.report(finding);
                    }
                    ArgExpr {
                        name: Arc::clone(&param.name),
                        value,
                        each,
                    }
                }
                None => ArgExpr {
                    name: Arc::clone(&param.name),
                    value: Expr {
                        kind: ExprKind::Literal(param.default.clone().unwrap_or(Value::None)),
                        ty: param.ty.clone(),
                        span: callee,
                    },
                    each: false,
                },
            };
            exprs.push(arg);
        }
        self.model_arguments(&operation, &exprs);
        if let Some(finding) = super::resources::finding(&operation, &exprs) {
            self.report(finding);
        }
        let reply = if fans {
            Type::List(Box::new(operation.result.clone()))
        } else {
            operation.result.clone()
        };
        Some(Called {
            call: CallExpr {
                within: operation.within,
                operation,
                args: exprs,
                span,
                decode: None,
            },
            found,
            provider,
            reply,
        })
    }

    /// Matches arguments with parameters; `None` for one that was left out. What is wrong is reported.
    /// The flag of a value says that it stands behind `each` and is a list.
    pub fn arguments(
        &mut self,
        callee: &str,
        wanted: &[Wanted],
        args: &[Arg],
        span: Span,
        may_fan_out: bool,
    ) -> Vec<Option<(Expr, bool)>> {
        let mut values: Vec<Option<(Expr, bool)>> = wanted.iter().map(|_| None).collect();
        let mut wrong = false;
        let mut fanned = false;
        let mut position = 0;
        let mut named = false;
        for arg in args {
            let slot = match &arg.name {
                Some(name) => {
                    named = true;
                    let slot = wanted.iter().position(|param| *param.name == *name.text);
                    if slot.is_none() {
                        wrong = true;
                        let finding = Diagnostic::error(
                            "wrong-arguments",
                            name.span,
                            format!("`{callee}` takes no `{}`", name.text),
                        );
                        let known: Vec<String> = wanted.iter().map(|param| param.name.to_string()).collect();
                        let finding = self
                            .checker
                            .suggest(finding, name, known.iter().map(String::as_str), true);
                        self.report(finding);
                    }
                    slot
                }
                None if named => {
                    wrong = true;
                    self.report(
                        Diagnostic::error("wrong-arguments", arg.value.span, "this argument needs its name")
                            .help("behind a named argument every argument is named"),
                    );
                    None
                }
                None => {
                    position += 1;
                    if position > wanted.len() && !wrong {
                        wrong = true;
                        let finding = Diagnostic::error(
                            "wrong-arguments",
                            arg.value.span,
                            format!("`{callee}` takes no more arguments"),
                        );
                        let known = listed(wanted.iter().map(|param| &*param.name));
                        self.report(if wanted.is_empty() {
                            finding
                        } else {
                            finding.help(format!("it takes {known}"))
                        });
                    }
                    (position <= wanted.len()).then(|| position - 1)
                }
            };
            let Some(slot) = slot else { continue };
            let ty = wanted[slot].ty.clone();
            let each = arg.each;
            if each && (!may_fan_out || fanned) {
                wrong = true;
                let message = if fanned {
                    "only one argument can stand behind `each`"
                } else {
                    "`each` asks for every element, which is not possible here"
                };
                self.report(Diagnostic::error("wrong-arguments", arg.value.span, message));
                continue;
            }
            fanned |= each;
            let value = if each {
                self.expect(&arg.value, &Type::List(Box::new(ty)))
            } else {
                self.expect(&arg.value, &ty)
            };
            if values[slot].is_some() {
                wrong = true;
                self.report(Diagnostic::error(
                    "wrong-arguments",
                    arg.value.span,
                    format!("`{}` is given twice", wanted[slot].name),
                ));
                continue;
            }
            values[slot] = Some((value, each));
        }
        let missing: Vec<&str> = wanted
            .iter()
            .zip(&values)
            .filter(|(param, value)| !param.optional && value.is_none())
            .map(|(param, _)| &*param.name)
            .collect();
        if !missing.is_empty() && !wrong {
            self.report(
                Diagnostic::error("wrong-arguments", span, format!("`{callee}` needs more arguments"))
                    .label(format!("without {}", listed(missing))),
            );
            // What was given is right, what is missing fits everything: nothing more to say.
        }
        for (param, value) in wanted.iter().zip(&mut values) {
            if value.is_none() && !param.optional {
                *value = Some((error(span), false));
            }
        }
        values
    }

    /// A call inside an expression: a list operation, or a mistake.
    pub(super) fn call_in_expression(&mut self, callee: &tree::Expr, args: &[Arg], span: Span) -> Expr {
        match &callee.kind {
            tree::ExprKind::Name(name) => {
                self.call_of_name(name, callee.span);
                error(span)
            }
            tree::ExprKind::Field { subject, name } => {
                let names = chain(callee).unwrap_or_default();
                if let Some(root) = names.first()
                    && self.scope.find(&root.text).is_none()
                    && root.text != "run"
                {
                    let file = self.scope.file;
                    if let Some(provider) = self.checker.provider(file, &root.text) {
                        let path: Vec<&str> = names[1..].iter().map(|name| name.text.as_str()).collect();
                        let finding = match provider.find(&path.join(".")) {
                            Some(found) if !matches!(found.operation.effect, Effect::Read | Effect::Probe) => {
                                wrong_effect(&found.operation, Place::Read, callee.span)
                            }
                            _ => Diagnostic::error(
                                "misplaced-clause",
                                callee.span,
                                "a call of an operation has a line of its own",
                            )
                            .help("name its reply, `read NAME = …`, and use the name here"),
                        };
                        self.effects.unclear.insert(root.text.clone());
                        self.report(finding);
                        return error(span);
                    }
                }
                let subject = self.expression(subject, None);
                self.method(subject, name, args, span)
            }
            _ => {
                self.report(Diagnostic::error("type-mismatch", callee.span, "this cannot be called"));
                error(span)
            }
        }
    }

    fn call_of_name(&mut self, name: &Name, span: Span) {
        let file = self.scope.file;
        if let Some(symbol) = self.checker.symbol(file, &name.text) {
            let Some(item) = symbol else { return };
            let finding = match self.item_kind(item) {
                Some("check") => Diagnostic::error(
                    "misplaced-clause",
                    span,
                    "a question needs a name before it can be asked",
                )
                .help(format!("give it a line of its own: `check NAME = {}(…)`", name.text)),
                Some("runbook") => Diagnostic::error("misplaced-clause", span, "a runbook is run in a line of its own")
                    .help(format!("`check NAME = run {}(…)`", name.text)),
                _ => Diagnostic::error("type-mismatch", span, format!("`{}` cannot be called", name.text)),
            };
            self.report(finding);
            return;
        }
        if self.scope.find(&name.text).is_some() {
            self.report(Diagnostic::error(
                "type-mismatch",
                span,
                format!("`{}` cannot be called", name.text),
            ));
            return;
        }
        let finding = Diagnostic::error(
            "unknown-name",
            name.span,
            format!("there is no function `{}`", name.text),
        );
        let finding = if let Some(help) = self.checker.import(&name.text, &["check"]) {
            finding.help(help)
        } else if crate::program::Method::from_name(&name.text).is_some() {
            finding.help(format!("it is written behind a list: `[a, b].{}`", name.text))
        } else {
            finding.help("the language has no functions: use a check of a library, or a list operation behind a dot")
        };
        self.report(finding);
    }

    /// The parameters of an item, with their types in the item's file.
    pub fn wanted(&mut self, file: FileId, params: &[tree::Param]) -> Vec<Wanted> {
        params
            .iter()
            .map(|param| {
                let ty = self.checker.resolve(file, &param.ty);
                Wanted {
                    name: param.name.text.as_str().into(),
                    optional: param.default.is_some() || matches!(ty, Type::Optional(_)),
                    ty,
                }
            })
            .collect()
    }
}

/// A call whose effect does not belong where it stands.
fn wrong_effect(operation: &Operation, place: Place, callee: Span) -> Diagnostic {
    let name = operation.full_name();
    let (message, help) = match (place, operation.effect) {
        (Place::Read, Effect::Change) => (
            format!("`{name}` changes something"),
            "a change belongs behind `do` in an `action`, with risk, approval, undo and verification",
        ),
        (Place::Read, _) => (format!("`{name}` tells somebody something"), "it belongs behind `tell`"),
        (Place::Change, Effect::Tell) => (
            format!("`{name}` tells somebody something and changes nothing"),
            "it belongs behind `tell`",
        ),
        (Place::Change, _) => (
            format!("`{name}` only looks"),
            "a look belongs behind `read`; `do` takes a change",
        ),
        (Place::Tell, Effect::Change) => (
            format!("`{name}` changes something"),
            "a change belongs behind `do` in an `action`; `tell` only informs",
        ),
        (Place::Tell, _) => (format!("`{name}` only looks"), "a look belongs behind `read`"),
    };
    let label = match operation.effect {
        Effect::Read => "declared as `read`",
        Effect::Probe => "declared as `probe`",
        Effect::Change => "declared as `change`",
        Effect::Tell => "declared as `tell`",
        Effect::Preview => "declared as `preview`",
    };
    Diagnostic::error("effect-in-check", callee, message)
        .label(label)
        .help(help)
}

fn span_end(span: Span) -> Span {
    Span {
        start: span.end,
        ..span
    }
}
