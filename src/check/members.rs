//! Fields, indices, and the names that hold fields: answers, enums, `run`.

use super::scope::{Body, What, error, reference};
use super::types::described;
use crate::diagnostic::Diagnostic;
use crate::program::{BindingId, BindingKind, Expr, ExprKind, Method, RunField};
use crate::source::Span;
use crate::syntax::tree::{self, Name};
use crate::value::{Type, Value};
use std::sync::Arc;

const RUN_FIELDS: [(&str, RunField, Type); 5] = [
    ("id", RunField::Id, Type::Text),
    ("evidence", RunField::Evidence, Type::Text),
    ("severity", RunField::Severity, Type::Text),
    ("environment", RunField::Environment, Type::Text),
    ("operator", RunField::Operator, Type::Text),
];

impl Body<'_, '_> {
    pub(super) fn field(&mut self, subject: &tree::Expr, name: &Name, span: Span) -> Expr {
        if let tree::ExprKind::Name(root) = &subject.kind
            && self.scope.find(&root.text).is_none()
            && let Some(expr) = self.static_field(root, name, span)
        {
            return expr;
        }
        let subject = self.expression(subject, None);
        self.field_of(subject, name, span)
    }

    /// `run.id`, `SessionState.idle`; `None` when the root is neither.
    fn static_field(&mut self, root: &Name, name: &Name, span: Span) -> Option<Expr> {
        if root.text == "run" {
            let found = RUN_FIELDS.iter().find(|(known, _, _)| *known == name.text);
            let Some((_, field, ty)) = found else {
                let finding = Diagnostic::error(
                    "unknown-field",
                    name.span,
                    format!("`run` has no field `{}`", name.text),
                );
                let finding = self
                    .checker
                    .suggest(finding, name, RUN_FIELDS.iter().map(|(known, _, _)| *known), true);
                self.report(finding);
                return Some(error(span));
            };
            return Some(Expr {
                kind: ExprKind::Run(*field),
                ty: ty.clone(),
                span,
            });
        }
        let file = self.scope.file;
        let item = self.checker.symbol(file, &root.text)??;
        let Type::Enum(enumeration) = self.checker.type_of_item(item, root.span)? else {
            return None;
        };
        if enumeration.values.iter().any(|value| **value == *name.text) {
            return Some(Expr {
                kind: ExprKind::Literal(Value::variant(&name.text)),
                ty: Type::Enum(enumeration),
                span,
            });
        }
        let finding = Diagnostic::error(
            "unknown-value",
            name.span,
            format!("`{}` has no value `{}`", enumeration.name, name.text),
        );
        let finding = self
            .checker
            .suggest(finding, name, enumeration.values.iter().map(|value| &**value), true);
        self.report(finding);
        Some(error(span))
    }

    /// The question a reference leads to, through lets that only pass it on.
    fn question_of(&self, expr: &Expr) -> Option<BindingId> {
        let ExprKind::Binding(mut id) = expr.kind else {
            return None;
        };
        loop {
            match &self.bindings[id.0].kind {
                BindingKind::Question(_) => return Some(id),
                // A binding only refers to earlier ones, so this ends.
                BindingKind::Let(inner) => match inner.kind {
                    ExprKind::Binding(next) => id = next,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    pub(super) fn field_of(&mut self, subject: Expr, name: &Name, span: Span) -> Expr {
        let found: Option<Type> = match &subject.ty {
            Type::Any => return error(span),
            Type::Answer(fields) => {
                if let Some(question) = self.question_of(&subject)
                    && let BindingKind::Question(question) = &self.bindings[question.0].kind
                    && let Some((_, id)) = question.fields.iter().find(|(field, _)| **field == *name.text)
                {
                    let id = *id;
                    return reference(id, self.bindings[id.0].ty.clone(), span);
                }
                let known: Vec<String> = fields.fields.iter().map(|(field, _)| field.to_string()).collect();
                let shown = self.checker.sources.text(subject.span).to_owned();
                let finding = Diagnostic::error(
                    "unknown-field",
                    name.span,
                    format!("the question `{shown}` has no field `{}`", name.text),
                );
                let mut finding = self
                    .checker
                    .suggest(finding, name, known.iter().map(String::as_str), true);
                if known.is_empty() {
                    finding = finding.help("it is answered as a whole: it has no reads and lets of its own");
                }
                self.report(finding);
                return error(span);
            }
            Type::Record(record) => record.field(&name.text).cloned(),
            Type::Resource(resource) => resource
                .fields
                .iter()
                .find(|(field, _)| **field == *name.text)
                .map(|(_, ty)| ty.clone()),
            Type::Json => Some(Type::Json),
            Type::Secret(inner) => match &**inner {
                Type::Record(record) => record.field(&name.text).map(|ty| Type::Secret(Box::new(ty.clone()))),
                _ => None,
            },
            Type::Optional(_) => {
                let finding = Diagnostic::error("optional-value", subject.span, "this may be missing")
                    .label(format!("it is {}", described(&subject.ty)))
                    .help("say what counts then, `(… default …)`, or ask `is missing` first");
                self.report(finding);
                return error(span);
            }
            Type::List(_) | Type::Series(_) | Type::Ratio | Type::Float => {
                if Method::from_name(&name.text).is_some() {
                    return self.method(subject, name, &[], span);
                }
                None
            }
            _ => None,
        };
        if let Some(ty) = found {
            return Expr {
                kind: ExprKind::Field {
                    subject: Box::new(subject),
                    name: name.text.as_str().into(),
                },
                ty,
                span,
            };
        }
        if matches!(name.text.as_str(), "ok" | "reply") && self.probe_is_due(&subject) {
            return error(span);
        }
        let known: Vec<String> = match &subject.ty {
            Type::Record(record) => record.fields.iter().map(|(field, _)| field.to_string()).collect(),
            Type::Resource(resource) => resource.fields.iter().map(|(field, _)| field.to_string()).collect(),
            Type::List(_) | Type::Series(_) => Method::ALL.iter().map(|(method, _)| (*method).to_owned()).collect(),
            _ => Vec::new(),
        };
        let finding = Diagnostic::error(
            "unknown-field",
            name.span,
            format!("{} has no field `{}`", described(&subject.ty), name.text),
        );
        let finding = match &subject.ty {
            Type::List(of) if matches!(&**of, Type::Record(record) if record.field(&name.text).is_some()) => finding
                .help(format!(
                    "its elements have: `.map(it.{0})` is the list of them, `.first.{0}` that of the first",
                    name.text
                )),
            Type::Series(_) => self
                .checker
                .suggest(finding, name, known.iter().map(String::as_str), false),
            _ => self.checker.suggest(
                finding,
                name,
                known.iter().map(String::as_str),
                !matches!(subject.ty, Type::List(_)),
            ),
        };
        self.report(finding);
        error(span)
    }

    pub(super) fn index(&mut self, subject: &tree::Expr, index: &tree::Expr, span: Span) -> Expr {
        let subject = self.expression(subject, None);
        let index = self.expression(index, None);
        let ty = match &subject.ty {
            Type::Any => return error(span),
            Type::List(of) => {
                if matches!(self.fit(index.clone(), &Type::Int).ty, Type::Any) {
                    return error(span);
                }
                (**of).clone()
            }
            Type::Json => {
                if !matches!(index.ty, Type::Int | Type::Text | Type::Any) {
                    self.fit(index, &Type::Text);
                    return error(span);
                }
                Type::Json
            }
            other => {
                let finding =
                    Diagnostic::error("type-mismatch", subject.span, "only a list or Json has numbered parts")
                        .label(format!("this is {}", described(other)));
                self.report(finding);
                return error(span);
            }
        };
        Expr {
            kind: ExprKind::Index {
                subject: Box::new(subject),
                index: Box::new(index),
            },
            ty,
            span,
        }
    }

    /// True when the name is known here as a value, so that it hides a provider of the same name.
    pub(super) fn is_value(&self, name: &str) -> bool {
        matches!(self.scope.find(name), Some(What::Binding(_) | What::Broken))
    }
}

/// The type of an answer with these fields.
pub fn answer_type(fields: Vec<(Arc<str>, Type)>) -> Type {
    Type::Answer(Arc::new(crate::value::RecordType {
        name: "".into(),
        fields,
    }))
}
