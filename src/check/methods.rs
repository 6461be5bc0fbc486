//! List and series operations, written behind a dot.

use super::scope::{Body, error};
use super::types::{described, is_numeric};
use crate::diagnostic::Diagnostic;
use crate::program::{Expr, ExprKind, Method};
use crate::source::Span;
use crate::syntax::tree::{Arg, Name};
use crate::value::{RecordType, Type};
use std::sync::Arc;

/// The parameter names of an operation, in the order of the program's arguments.
fn parameters(method: Method) -> &'static [&'static str] {
    match method {
        Method::Slope => &["over"],
        Method::Change => &["against"],
        Method::Reaches => &["limit", "over"],
        Method::Percentile => &["rank", "of"],
        Method::First | Method::Last => &["count"],
        Method::Without => &["others"],
        Method::Count | Method::Floor | Method::Ceil => &[],
        _ => &["of"],
    }
}

/// What an argument of an operation must be.
enum Due {
    Exactly(Type),
    /// A condition about `it`.
    Condition,
    /// Anything about `it` that can be told apart.
    Key,
    /// Anything about `it` that has an order.
    Ordered,
    /// A number or quantity about `it`.
    Number,
}

impl Body<'_, '_> {
    pub(super) fn method(&mut self, subject: Expr, name: &Name, args: &[Arg], span: Span) -> Expr {
        let Some(method) = Method::from_name(&name.text) else {
            if matches!(subject.ty, Type::Any) {
                return error(span);
            }
            let finding = Diagnostic::error(
                "unknown-name",
                name.span,
                format!("there is no operation `{}`", name.text),
            );
            let finding = self
                .checker
                .suggest(finding, name, Method::ALL.iter().map(|(known, _)| *known), false);
            self.report(finding);
            return error(span);
        };
        let element = match &subject.ty {
            Type::Any => return error(span),
            Type::List(of) => (**of).clone(),
            Type::Series(of) => (**of).clone(),
            Type::Ratio | Type::Float if matches!(method, Method::Floor | Method::Ceil) => Type::Any,
            Type::Optional(_) => {
                let finding = Diagnostic::error("optional-value", subject.span, "this may be missing")
                    .label(format!("it is {}", described(&subject.ty)))
                    .help("say what counts then, `(… default …)`");
                self.report(finding);
                return error(span);
            }
            other => {
                let finding = Diagnostic::error(
                    "type-mismatch",
                    subject.span,
                    format!("`{}` is an operation on lists", name.text),
                )
                .label(format!("this is {}", described(other)));
                let finding = match other {
                    Type::Json => finding.help("read it as what it is: `let NAME: List<…> = …`"),
                    _ => finding,
                };
                self.report(finding);
                return error(span);
            }
        };
        let series = matches!(subject.ty, Type::Series(_));
        let over_time = matches!(method, Method::Slope | Method::Change | Method::Reaches);
        let known = if series {
            over_time
                || matches!(
                    method,
                    Method::Last
                        | Method::First
                        | Method::Max
                        | Method::Min
                        | Method::Avg
                        | Method::Sum
                        | Method::Percentile
                        | Method::Count
                )
        } else {
            !over_time
        };
        let scalar = matches!(method, Method::Floor | Method::Ceil);
        if !known || scalar && !matches!(subject.ty, Type::Ratio | Type::Float) {
            let finding = Diagnostic::error(
                "type-mismatch",
                subject.span,
                format!("`{}` does not apply here", name.text),
            )
            .label(format!("this is {}", described(&subject.ty)));
            self.report(finding);
            return error(span);
        }
        if !series && !scalar && self.element.is_some() {
            self.report(
                Diagnostic::error("nested-list-operation", name.span, "a list operation inside another")
                    .help("name the inner one in a line of its own, or let the provider answer it"),
            );
            return error(span);
        }
        let Some(values) = self.method_args(method, name, args, &element) else {
            return error(span);
        };
        let element = &element;
        let key = |position: usize| match values.get(position) {
            Some(Expr {
                ty: Type::Answer(_), ..
            }) => Type::Bool,
            Some(value) => value.ty.clone(),
            None => element.clone(),
        };
        let row = |fields: Vec<(&str, Type)>| {
            Type::Record(Arc::new(RecordType {
                name: "".into(),
                fields: fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect(),
            }))
        };
        let list = |of: Type| Type::List(Box::new(of));
        let ty = match method {
            Method::Where | Method::SortBy | Method::Without => subject.ty.clone(),
            Method::First | Method::Last => {
                if values.is_empty() {
                    element.clone()
                } else {
                    list(element.clone())
                }
            }
            Method::Any | Method::All => Type::Bool,
            Method::Map => list(key(0)),
            Method::Tally => list(row(vec![("value", key(0)), ("count", Type::Int)])),
            Method::GroupBy => list(row(vec![("key", key(0)), ("items", list(element.clone()))])),
            Method::Sum | Method::Max | Method::Min => key(0),
            Method::Avg => match key(0) {
                Type::Int => Type::Float,
                other => other,
            },
            Method::Percentile => key(1),
            Method::Count | Method::Floor | Method::Ceil => Type::Int,
            Method::Slope => Type::Rate,
            Method::Change => Type::Ratio,
            Method::Reaches => Type::Duration,
        };
        let broken = values.iter().any(|value| matches!(value.ty, Type::Any));
        if !broken
            && !self.key_fits(
                method,
                &subject,
                &key(usize::from(method == Method::Percentile)),
                values.is_empty(),
            )
        {
            return error(span);
        }
        let ty = if broken && !matches!(method, Method::Any | Method::All | Method::Where | Method::SortBy) {
            Type::Any
        } else {
            ty
        };
        Expr {
            kind: ExprKind::Method {
                subject: Box::new(subject),
                method,
                args: values,
            },
            ty,
            span,
        }
    }

    /// Without an argument an operation works on the elements themselves: they must be right for it.
    fn key_fits(&mut self, method: Method, subject: &Expr, key: &Type, bare: bool) -> bool {
        let fine = match method {
            Method::Sum | Method::Avg => is_numeric(key),
            Method::Max | Method::Min | Method::Percentile => is_numeric(key) || matches!(key, Type::Time),
            Method::Any | Method::All => matches!(key, Type::Bool | Type::Any),
            _ => true,
        };
        if fine || matches!(key, Type::Any) {
            return true;
        }
        let what = match method {
            Method::Any | Method::All => "a condition is due here",
            Method::Sum | Method::Avg => "only numbers can be added",
            _ => "only numbers and times have an order",
        };
        let mut finding =
            Diagnostic::error("type-mismatch", subject.span, what).label(format!("this is {}", described(&subject.ty)));
        if bare && matches!(key, Type::Record(_)) {
            finding = finding.help(format!("say which of its fields: `.{}(it.…)`", method.name()));
        }
        self.report(finding);
        false
    }

    /// The arguments in the order of the parameters; `None` when they do not fit and that was reported.
    fn method_args(&mut self, method: Method, name: &Name, args: &[Arg], element: &Type) -> Option<Vec<Expr>> {
        let known = parameters(method);
        let mut slots: Vec<Option<&Arg>> = vec![None; known.len()];
        for (index, arg) in args.iter().enumerate() {
            let slot = match &arg.name {
                Some(written) => match known.iter().position(|known| *known == written.text) {
                    Some(slot) => slot,
                    None => {
                        let finding = Diagnostic::error(
                            "wrong-arguments",
                            written.span,
                            format!("`{}` takes no `{}`", name.text, written.text),
                        );
                        let finding = self.checker.suggest(finding, written, known.iter().copied(), true);
                        self.report(finding);
                        return None;
                    }
                },
                None => index,
            };
            match slots.get_mut(slot) {
                Some(free @ None) => *free = Some(arg),
                _ => {
                    self.report(Diagnostic::error(
                        "wrong-arguments",
                        arg.value.span,
                        format!("`{}` takes {} here", name.text, at_most(known.len())),
                    ));
                    return None;
                }
            }
        }
        let required = match method {
            Method::Where
            | Method::SortBy
            | Method::Map
            | Method::GroupBy
            | Method::Percentile
            | Method::Without
            | Method::Slope
            | Method::Change
            | Method::Reaches => 1,
            _ => 0,
        };
        if slots.iter().take(required).any(Option::is_none) {
            let example = match method {
                Method::Where => "where(it.age > 5 min)",
                Method::Slope => "slope(over: 10 min)",
                Method::Change => "change(against: 1 d)",
                Method::Reaches => "reaches(95 %)",
                Method::Percentile => "percentile(95 %)",
                Method::Without => "without(others)",
                _ => "map(it.name)",
            };
            self.report(
                Diagnostic::error(
                    "wrong-arguments",
                    name.span,
                    format!("`{}` needs an argument", name.text),
                )
                .help(format!("for example `.{example}`")),
            );
            return None;
        }
        let mut values = Vec::with_capacity(args.len());
        for (slot, arg) in slots.into_iter().enumerate() {
            // A gap can only be at the end: `of` behind a missing `rank` was reported above.
            let Some(arg) = arg else { break };
            let due = match (method, slot) {
                (Method::Where | Method::Any | Method::All, _) => Due::Condition,
                (Method::SortBy, _) => Due::Ordered,
                (Method::Map | Method::Tally | Method::GroupBy, _) => Due::Key,
                (Method::Max | Method::Min, _) | (Method::Percentile, 1) => Due::Ordered,
                (Method::Sum | Method::Avg, _) => Due::Number,
                (Method::First | Method::Last, _) => Due::Exactly(Type::Int),
                (Method::Percentile, _) => Due::Exactly(Type::Ratio),
                (Method::Without, _) => Due::Exactly(Type::List(Box::new(element.clone()))),
                (Method::Reaches, 0) => Due::Exactly(element.clone()),
                _ => Due::Exactly(Type::Duration),
            };
            values.push(self.method_arg(&arg.value, due, element));
        }
        Some(values)
    }

    fn method_arg(&mut self, written: &crate::syntax::tree::Expr, due: Due, element: &Type) -> Expr {
        if let Due::Exactly(ty) = due {
            return self.expect(written, &ty);
        }
        let outer = self.element.replace(element.clone());
        let value = match due {
            Due::Condition => self.expect(written, &Type::Bool),
            _ => self.expression(written, None),
        };
        self.element = outer;
        let ordered = is_numeric(&value.ty) || matches!(value.ty, Type::Time | Type::Text | Type::Enum(_) | Type::Bool);
        let wrong = match due {
            Due::Ordered if !ordered => "this has no order",
            Due::Number if !is_numeric(&value.ty) => "only numbers can be added",
            _ => return value,
        };
        if matches!(value.ty, Type::Any) {
            return value;
        }
        let rule = match value.ty {
            Type::Optional(_) => "optional-value",
            Type::Secret(_) => "secret-in-sink",
            _ => "type-mismatch",
        };
        let finding = Diagnostic::error(rule, value.span, wrong).label(format!("this is {}", described(&value.ty)));
        self.report(finding);
        error(value.span)
    }
}

fn at_most(count: usize) -> &'static str {
    match count {
        0 => "no argument",
        1 => "one argument",
        _ => "two arguments",
    }
}
