//! Arguments of operations that a service model has, checked as deep as they are written.

use super::scope::Body;
use crate::program::ArgExpr;
use crate::provider::Operation;

impl Body<'_, '_> {
    /// Checks what the types of the language cannot say of the arguments of a modelled operation.
    pub fn model_arguments(&mut self, operation: &Operation, args: &[ArgExpr]) {
        #[cfg(feature = "aws")]
        if &*operation.provider == crate::provider::modelled::aws::NAME {
            aws::arguments(self, operation, args);
        }
        let _ = (operation, args);
    }
}

#[cfg(feature = "aws")]
mod aws {
    use super::Body;
    use crate::check::names::listed;
    use crate::check::types::{core, described};
    use crate::diagnostic::Diagnostic;
    use crate::limits::AWS_DEPTH;
    use crate::models::aws::{Kind, Member, Reference, Service};
    use crate::program::{ArgExpr, Expr, ExprKind};
    use crate::provider::Operation;
    use crate::provider::modelled::aws::{Named, find, given};
    use crate::source::Span;
    use crate::value::{Type, Value};
    use std::sync::Arc;

    pub fn arguments(body: &mut Body<'_, '_>, operation: &Operation, args: &[ArgExpr]) {
        let Some((service, Named::Method(method) | Named::Waiter(_, method))) = find(&operation.path) else {
            return;
        };
        let members = given(&service, &method);
        for arg in args {
            if let Some(member) = members.iter().find(|member| *member.argument() == *arg.name) {
                let shape = Reference {
                    shape: member.shape,
                    traits: member.traits.clone(),
                };
                Walk {
                    body,
                    service: &service,
                }
                .value(&arg.value, &shape, &member.name, AWS_DEPTH);
            }
        }
    }

    struct Walk<'w, 'a, 'b> {
        body: &'w mut Body<'a, 'b>,
        service: &'w Arc<Service>,
    }

    fn words(kind: &Kind) -> &'static str {
        match kind {
            Kind::Text { .. } => "a text",
            Kind::Blob => "a text, sent as its bytes",
            Kind::Integer | Kind::Long => "a whole number",
            Kind::Float | Kind::Double => "a number",
            Kind::Bool => "true or false",
            Kind::Time => "a time",
            Kind::Document => "a document",
            Kind::List(_) => "a list",
            Kind::Map(..) => "a record of names and values",
            Kind::Structure { .. } => "a record",
        }
    }

    /// True when a value of this type may be what is due; what is only known when it runs may.
    fn may_be(ty: &Type, kind: &Kind) -> bool {
        match core(ty) {
            Type::Any | Type::Json | Type::None => true,
            Type::Text | Type::Enum(_) | Type::Resource(_) => {
                matches!(kind, Kind::Text { .. } | Kind::Blob | Kind::Document)
            }
            Type::Code(_) => matches!(kind, Kind::Text { .. } | Kind::Document),
            Type::Int => matches!(
                kind,
                Kind::Integer | Kind::Long | Kind::Float | Kind::Double | Kind::Document
            ),
            Type::Float => matches!(kind, Kind::Float | Kind::Double | Kind::Document),
            Type::Bool | Type::Answer(_) => matches!(kind, Kind::Bool | Kind::Document),
            Type::Time => matches!(kind, Kind::Time | Kind::Document),
            Type::List(_) => matches!(kind, Kind::List(_) | Kind::Document),
            Type::Record(_) => matches!(kind, Kind::Structure { .. } | Kind::Map(..) | Kind::Document),
            _ => matches!(kind, Kind::Document),
        }
    }

    impl Walk<'_, '_, '_> {
        /// Checks one value; `name` is what it is called in the interface.
        fn value(&mut self, expr: &Expr, due: &Reference, name: &str, depth: usize) {
            let (Some(shape), true) = (self.service.shape(due.shape), depth > 0) else {
                return;
            };
            match (&expr.kind, &shape.kind) {
                (ExprKind::Literal(Value::None), _) => {}
                (ExprKind::List(items), Kind::List(of)) => {
                    for item in items {
                        self.value(item, of, name, depth - 1);
                    }
                }
                (ExprKind::Record(fields), Kind::Map(_, of)) => {
                    for (key, value) in fields {
                        self.value(value, of, key, depth - 1);
                    }
                }
                (ExprKind::Record(fields), Kind::Structure { name, members }) => {
                    self.structure(expr, fields, (name, members, shape.traits.union != 0), depth);
                }
                (ExprKind::Literal(Value::Text(text)), Kind::Text { values }) => {
                    self.word(text, values, name, expr.span);
                }
                (_, kind) if may_be(&expr.ty, kind) => {}
                (_, kind) => {
                    self.body.report(
                        Diagnostic::error("type-mismatch", expr.span, format!("`{name}` takes {}", words(kind)))
                            .label(format!("this is {}", described(&expr.ty))),
                    );
                }
            }
        }

        /// A word where only some are taken.
        fn word(&mut self, text: &str, values: &[String], name: &str, span: Span) {
            if values.is_empty() || values.iter().any(|value| value == text) {
                return;
            }
            let finding = Diagnostic::error("type-mismatch", span, format!("`{name}` takes no `{text}`"));
            // The edit stands where a text stands: in quotes.
            let near = crate::check::names::nearest(text, values.iter().map(String::as_str));
            let finding = match near {
                Some(near) => finding
                    .help(format!("did you mean `{near}`?"))
                    .edit(span, format!("\"{near}\"")),
                None => finding.help(format!("it takes {}", listed(values.iter().map(String::as_str)))),
            };
            self.body.report(finding);
        }

        fn structure(
            &mut self,
            expr: &Expr,
            fields: &[(Arc<str>, Expr)],
            (name, members, union): (&str, &[Member], bool),
            depth: usize,
        ) {
            let mut wrong = false;
            for (field, value) in fields {
                match members.iter().find(|member| *member.name == **field) {
                    Some(member) => {
                        let due = Reference {
                            shape: member.shape,
                            traits: member.traits.clone(),
                        };
                        self.value(value, &due, &member.name, depth - 1);
                    }
                    None => {
                        wrong = true;
                        let finding =
                            Diagnostic::error("wrong-arguments", value.span, format!("`{name}` has no `{field}`"));
                        let known = members.iter().map(|member| member.name.as_str());
                        let near = crate::check::names::nearest(field, known.clone());
                        self.body.report(match near {
                            Some(near) => finding.help(format!("did you mean `{near}`?")),
                            None if members.is_empty() => finding,
                            None => finding.help(format!("there is {}", listed(known))),
                        });
                    }
                }
            }
            let missing: Vec<&str> = members
                .iter()
                .filter(|member| member.traits.required != 0)
                .filter(|member| !fields.iter().any(|(field, _)| **field == *member.name))
                .map(|member| member.name.as_str())
                .collect();
            if !missing.is_empty() && !wrong {
                self.body.report(
                    Diagnostic::error("wrong-arguments", expr.span, format!("`{name}` needs more fields"))
                        .label(format!("without {}", listed(missing))),
                );
            }
            if union && fields.len() != 1 && !wrong {
                self.body.report(
                    Diagnostic::error(
                        "wrong-arguments",
                        expr.span,
                        format!("`{name}` takes exactly one field"),
                    )
                    .help(format!(
                        "one of {}",
                        listed(members.iter().map(|member| member.name.as_str()))
                    )),
                );
            }
        }
    }
}
