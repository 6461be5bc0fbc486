//! Literals: numbers, quantities, texts, code, lists and records.

use super::names::nearest;
use super::scope::{Body, error};
use super::types::{core, is_quantity, is_small};
use crate::diagnostic::Diagnostic;
use crate::program::{Expr, ExprKind};
use crate::source::Span;
use crate::syntax::tree::{self, Name, TextPart};
use crate::value::unit::{self, Unit};
use crate::value::{CodeLanguage, RecordType, Type, Value};
use regex::RegexBuilder;
use std::sync::Arc;

/// Largest compiled pattern, in bytes.
const PATTERN_BYTES: usize = crate::limits::FILE_PATTERN_BYTES;

impl Body<'_, '_> {
    pub(super) fn number(&mut self, text: &str, float: bool, span: Span, want: Option<&Type>) -> Expr {
        if let Some(want) = want.map(core)
            && is_quantity(want)
        {
            let finding = self.bare(text, want, span);
            self.report(finding);
            return error(span);
        }
        let literal = |value: Value, ty: Type| Expr {
            kind: ExprKind::Literal(value),
            ty,
            span,
        };
        if !float {
            return match text.parse::<i64>() {
                Ok(number) => literal(Value::Int(number), Type::Int),
                Err(_) => {
                    self.report(Diagnostic::error("too-large", span, "this number is too large"));
                    error(span)
                }
            };
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => literal(Value::Float(number), Type::Float),
            _ => {
                self.report(Diagnostic::error("too-large", span, "this number is too large"));
                error(span)
            }
        }
    }

    /// A number where a quantity is due.
    fn bare(&self, text: &str, want: &Type, span: Span) -> Diagnostic {
        let finding = |message: &str| Diagnostic::error("bare-quantity", span, message.to_owned());
        match want {
            Type::Ratio => {
                let number: f64 = text.parse().unwrap_or(0.0);
                let percent = if text.contains('.') && number <= 1.0 {
                    let percent = number * 100.0;
                    format!("{} %", (percent * 1e6).round() / 1e6)
                } else {
                    format!("{text} %")
                };
                finding("a ratio is written with `%`")
                    .help(format!("write `{percent}`; `{text}` would be a plain number"))
                    .edit(span, percent)
            }
            Type::Duration => finding("a duration has a unit").help(format!(
                "for example `{text} s`, `{text} min` or `{text} h`; a bare number is never a time"
            )),
            Type::Bytes => {
                finding("a size has a unit").help(format!("for example `{text} B`, `{text} Mi` or `{text} MB`"))
            }
            _ => finding("a rate has a unit").help(format!("for example `{text} /s` or `{text} /min`")),
        }
    }

    pub(super) fn quantity(&mut self, number: &str, unit: &Name, span: Span) -> Expr {
        let Some(known) = Unit::find(&unit.text) else {
            let near =
                unit::nearest(&unit.text).or_else(|| nearest(&unit.text, unit::UNITS.iter().map(|unit| unit.name)));
            let mut finding = Diagnostic::error("unknown-unit", unit.span, format!("`{}` is not a unit", unit.text));
            if let Some(near) = near {
                finding = finding
                    .help(format!("did you mean `{near}`?"))
                    .edit(unit.span, near.to_owned());
            }
            self.report(finding);
            return error(span);
        };
        let value = number.parse::<f64>().ok().and_then(|number| known.value(number));
        match value {
            Some(value) => Expr {
                kind: ExprKind::Literal(value),
                ty: known.ty(),
                span,
            },
            None => {
                self.report(Diagnostic::error("too-large", span, "this quantity is too large"));
                error(span)
            }
        }
    }

    pub(super) fn text(&mut self, text: &tree::Text, span: Span, want: Option<&Type>) -> Expr {
        let Some(literal) = text.literal() else {
            let template = self.template(text);
            // Braces that hold no name were reported; what type the text should have had cannot be told.
            let broken =
                |part: &TextPart| matches!(part, TextPart::Expr(expr) if matches!(expr.kind, tree::ExprKind::Error));
            if text.parts.iter().any(broken) {
                return error(span);
            }
            return Expr {
                kind: ExprKind::Template(template),
                ty: Type::Text,
                span,
            };
        };
        if let Some(Type::Resource(resource)) = want.map(core) {
            return Expr {
                kind: ExprKind::Literal(Value::Resource {
                    kind: Arc::clone(&resource.name),
                    name: literal.into(),
                }),
                ty: Type::Resource(Arc::clone(resource)),
                span,
            };
        }
        Expr {
            kind: ExprKind::Literal(Value::text(literal)),
            ty: Type::Text,
            span,
        }
    }

    pub(super) fn code(&mut self, language: Option<&Name>, text: &str, span: Span, want: Option<&Type>) -> Expr {
        let written = match language {
            Some(name) => match CodeLanguage::from_name(&name.text) {
                Some(language) => Some(language),
                None => {
                    let finding = Diagnostic::error(
                        "unknown-name",
                        name.span,
                        format!("`{}` is no language of code literals", name.text),
                    );
                    let known = ["sql", "promql", "kql", "regex", "jsonpath", "path"];
                    let finding = self.checker.suggest(finding, name, known, true);
                    self.report(finding);
                    return error(span);
                }
            },
            None => None,
        };
        let due = match want.map(core) {
            Some(Type::Code(language)) => Some(*language),
            _ => None,
        };
        if let (Some(written), Some(due)) = (written, due)
            && written != due
        {
            self.report(
                Diagnostic::error("type-mismatch", span, format!("{} text is due here", due.name()))
                    .label(format!("this says that it is {}", written.name())),
            );
            return error(span);
        }
        let Some(language) = due.or(written) else {
            if matches!(want.map(core), Some(Type::Text)) {
                self.report(
                    Diagnostic::error("type-mismatch", span, "a text is due here")
                        .label("backticks hold query text, where nothing is filled in")
                        .help("text stands in double quotes"),
                );
            } else {
                self.report(
                    Diagnostic::error("type-mismatch", span, "nothing here says which language this is")
                        .help("pass it where a query or pattern is due, or write a fence with a language word"),
                );
            }
            return error(span);
        };
        if language == CodeLanguage::Regex
            && let Err(wrong) = RegexBuilder::new(text).size_limit(PATTERN_BYTES).build()
        {
            let reason = match wrong {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            };
            self.report(Diagnostic::error("bad-pattern", span, "this pattern cannot be used").label(reason));
            return error(span);
        }
        Expr {
            kind: ExprKind::Literal(Value::Code {
                language: Some(language),
                text: text.into(),
            }),
            ty: Type::Code(language),
            span,
        }
    }

    pub(super) fn list(&mut self, items: &[tree::Expr], span: Span, want: Option<&Type>) -> Expr {
        let due: Option<Type> = match want.map(core) {
            Some(Type::List(of)) => Some((**of).clone()),
            Some(Type::Json) => Some(Type::Json),
            _ => None,
        };
        let mut values = Vec::with_capacity(items.len());
        let mut common = due.clone();
        for item in items {
            let value = self.expression(item, common.as_ref());
            let value = match &common {
                Some(of) => {
                    if due.is_none() && matches!((of, &value.ty), (Type::Int, Type::Float)) {
                        common = Some(Type::Float);
                        value
                    } else {
                        self.fit(value, &of.clone())
                    }
                }
                None => {
                    if !matches!(value.ty, Type::Any) {
                        common = Some(match &value.ty {
                            Type::Answer(_) => Type::Bool,
                            other => other.clone(),
                        });
                    }
                    value
                }
            };
            values.push(value);
        }
        let of = common.unwrap_or(Type::Any);
        let ty = match (want.map(core), of) {
            (Some(Type::Json), _) => Type::Json,
            (_, of) => Type::List(Box::new(of)),
        };
        self.sized(
            Expr {
                kind: ExprKind::List(values),
                ty,
                span,
            },
            span,
        )
    }

    pub(super) fn record(&mut self, fields: &[(Name, tree::Expr)], span: Span, want: Option<&Type>) -> Expr {
        let mut values: Vec<(Arc<str>, Expr)> = Vec::with_capacity(fields.len());
        let due = match want.map(core) {
            Some(Type::Record(record)) if !record.name.is_empty() => Some(Arc::clone(record)),
            _ => None,
        };
        let json = matches!(want.map(core), Some(Type::Json));
        let mut seen: std::collections::HashSet<&str> = std::collections::HashSet::new();
        let mut wrong = false;
        for (name, written) in fields {
            if !seen.insert(&name.text) {
                self.report(Diagnostic::error(
                    "duplicate-name",
                    name.span,
                    format!("`{}` is given twice", name.text),
                ));
                continue;
            }
            let value = match &due {
                Some(record) => match record.field(&name.text) {
                    Some(ty) => {
                        let ty = ty.clone();
                        self.expect(written, &ty)
                    }
                    None => {
                        let finding = Diagnostic::error(
                            "unknown-field",
                            name.span,
                            format!("a `{}` has no field `{}`", record.name, name.text),
                        );
                        let known: Vec<&str> = record.fields.iter().map(|(known, _)| &**known).collect();
                        let finding = self.checker.suggest(finding, name, known, true);
                        self.report(finding);
                        wrong = true;
                        continue;
                    }
                },
                None if json => self.expect(written, &Type::Json),
                None => self.expression(written, None),
            };
            values.push((name.text.as_str().into(), value));
        }
        if let Some(record) = due {
            let missing: Vec<&str> = record
                .fields
                .iter()
                .filter(|(name, ty)| !matches!(ty, Type::Optional(_)) && !seen.contains(&**name))
                .map(|(name, _)| &**name)
                .collect();
            if !missing.is_empty() && !wrong {
                self.report(
                    Diagnostic::error(
                        "wrong-arguments",
                        span,
                        format!("this is not a whole `{}`", record.name),
                    )
                    .label(format!("without {}", super::names::listed(missing))),
                );
                return error(span);
            }
            return Expr {
                kind: ExprKind::Record(values),
                ty: Type::Record(record),
                span,
            };
        }
        let ty = if json {
            Type::Json
        } else {
            Type::Record(Arc::new(RecordType {
                name: "".into(),
                fields: values
                    .iter()
                    .map(|(name, value)| (Arc::clone(name), value.ty.clone()))
                    .collect(),
            }))
        };
        self.sized(
            Expr {
                kind: ExprKind::Record(values),
                ty,
                span,
            },
            span,
        )
    }

    fn sized(&mut self, expr: Expr, span: Span) -> Expr {
        if is_small(&expr.ty) {
            return expr;
        }
        self.report(Diagnostic::error("too-large", span, "this has too many parts in parts"));
        error(span)
    }
}
