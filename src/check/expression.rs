//! Expressions: names, literals, and what is made of them.

use super::scope::{Body, What, error, reference};
use super::types::{core, decodable, described, fits, holds_secret, is_numeric, is_quantity, same};
use crate::diagnostic::Diagnostic;
use crate::program::{BindingKind, Expr, ExprKind, Part, Template};
use crate::source::Span;
use crate::syntax::tree::{self, IsWhat, Name, TextPart, TypeExpr};
use crate::value::{Type, Value};
use std::sync::Arc;
use std::time::Duration;

impl Body<'_, '_> {
    /// An expression where a value of this type is due.
    pub fn expect(&mut self, written: &tree::Expr, want: &Type) -> Expr {
        let expr = self.expression(written, Some(want));
        self.fit(expr, want)
    }

    /// Reports an expression that does not fit where this type is due.
    pub fn fit(&mut self, mut expr: Expr, want: &Type) -> Expr {
        if fits(&expr.ty, want) {
            if matches!(core(want), Type::Float)
                && let ExprKind::Literal(Value::Int(number)) = expr.kind
            {
                expr.kind = ExprKind::Literal(Value::Float(number as f64));
                expr.ty = Type::Float;
            }
            return expr;
        }
        let span = expr.span;
        let finding = self.misfit(&expr, want);
        self.report(finding);
        error(span)
    }

    /// What is wrong with an expression where another type is due.
    fn misfit(&mut self, expr: &Expr, want: &Type) -> Diagnostic {
        let found = &expr.ty;
        let span = expr.span;
        let leaks = matches!(without_lists(found), Type::Secret(_)) || matches!(core(want), Type::Json);
        if leaks && holds_secret(found) && !holds_secret(want) {
            return Diagnostic::error(
                "secret-in-sink",
                span,
                "a secret would leave the places made for secrets",
            )
            .label(format!("this is {}", described(found)))
            .help("a secret goes only where an operation takes one: a credential, a header, a bound parameter");
        }
        if let Type::Optional(inner) = found {
            let finding = Diagnostic::error("optional-value", span, "this may be missing")
                .label(format!("it is {}", described(found)));
            return if fits(inner, want) {
                finding.help("say what counts then, `… default …`, or ask `is missing`")
            } else {
                finding.help(format!("and {} is due here", described(want)))
            };
        }
        if let (Type::Series(inner), Type::Bool) = (found, want)
            && matches!(**inner, Type::Bool)
        {
            return self.without_for(expr);
        }
        let message = format!("{} is due here", described(want));
        let quantities = is_numeric(found) && is_numeric(core(want)) && (is_quantity(found) || is_quantity(core(want)));
        let rule = if quantities { "unit-mismatch" } else { "type-mismatch" };
        let mut finding = Diagnostic::error(rule, span, message).label(format!("this is {}", described(found)));
        match (found, core(want)) {
            (Type::Json, wanted) if decodable(wanted) => {
                finding = finding.help(format!(
                    "read it as what it is, in a line of its own: `let NAME: {wanted} = …`"
                ));
            }
            (Type::Text, Type::Code(_)) => {
                let inside = self.checker.sources.text(span);
                let inside = inside
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    .filter(|text| !text.contains(['\\', '{', '`']))
                    .map(str::to_owned);
                finding = finding.help("write it in backticks, where nothing is filled in");
                if let Some(inside) = inside {
                    finding = finding.edit(span, format!("`{inside}`"));
                }
            }
            (Type::Code(_), Type::Text) => finding = finding.help("text stands in double quotes"),
            (Type::Text, Type::Enum(enumeration)) => {
                if let ExprKind::Literal(Value::Text(text)) = &expr.kind
                    && enumeration.values.contains(text)
                {
                    finding = finding
                        .help(format!("write the word itself: `{text}`"))
                        .edit(span, text.to_string());
                }
            }
            (Type::Ratio, Type::Int) => finding = finding.help("`.floor` or `.ceil` makes a whole number of it"),
            (Type::Float, Type::Int) => finding = finding.help("`.floor` or `.ceil` makes a whole number of it"),
            _ => {}
        }
        finding
    }

    fn without_for(&mut self, expr: &Expr) -> Diagnostic {
        let mut series: Option<(Span, Type)> = None;
        expr.walk(&mut |part| {
            if series.is_none()
                && matches!(part.ty, Type::Series(_))
                && matches!(part.kind, ExprKind::Binding(_) | ExprKind::Field { .. })
            {
                series = Some((part.span, part.ty.clone()));
            }
        });
        let finding = Diagnostic::error("series-without-for", expr.span, "one sample would decide this answer")
            .help("say how long it must last, for example `for 5 min`");
        match series {
            Some((span, ty)) => {
                let name = self.checker.sources.text(span).to_owned();
                finding.label(format!("`{name}` is {}", described(&ty)))
            }
            None => finding,
        }
    }

    /// A condition. `lasting` says that `for` may follow any question here (verify, wait, resolved).
    pub fn condition(&mut self, written: &tree::Expr, lasting: bool) -> Expr {
        if lasting {
            let stripped = strip(written);
            if let tree::ExprKind::For { condition, duration } = &stripped.kind {
                return self.lasting(condition, duration, stripped.span, false);
            }
            if let tree::ExprKind::Not(inner) = &stripped.kind {
                let inner = strip(inner);
                if let tree::ExprKind::For { condition, duration } = &inner.kind {
                    return self.lasting(condition, duration, stripped.span, true);
                }
            }
        }
        self.expect(written, &Type::Bool)
    }

    /// `C for D` where any question may be asked again and again; `not C for D` reads either way.
    fn lasting(&mut self, condition: &tree::Expr, duration: &tree::Expr, span: Span, negated: bool) -> Expr {
        let mut condition = self.expression(condition, Some(&Type::Bool));
        let duration = self.expect(duration, &Type::Duration);
        let series = matches!(&condition.ty, Type::Series(inner) if matches!(**inner, Type::Bool));
        if !series {
            condition = self.fit(condition, &Type::Bool);
        }
        if negated {
            condition = Expr {
                ty: condition.ty.clone(),
                span: condition.span,
                kind: ExprKind::Not(Box::new(condition)),
            };
        }
        Expr {
            kind: ExprKind::For {
                condition: Box::new(condition),
                duration: Box::new(duration),
            },
            ty: Type::Bool,
            span,
        }
    }

    /// A duration that is known before the run.
    pub fn duration(&mut self, written: &tree::Expr) -> Duration {
        let expr = self.expect(written, &Type::Duration);
        if matches!(expr.ty, Type::Any) {
            return Duration::from_secs(30);
        }
        match super::constant::constant(&expr, &self.constants) {
            Some(Value::Duration(nanos)) => match u64::try_from(nanos) {
                Ok(nanos) => Duration::from_nanos(nanos),
                Err(_) => {
                    self.report(Diagnostic::error(
                        "not-constant",
                        expr.span,
                        "a time to wait cannot be negative",
                    ));
                    Duration::ZERO
                }
            },
            _ => {
                self.report(
                    Diagnostic::error("not-constant", expr.span, "this time must be known before the run").help(
                        "write the time itself, for example `10 min`: the longest time of a run is computed from it",
                    ),
                );
                Duration::from_secs(30)
            }
        }
    }

    /// The value of a `let`; with a written type Json is read as that type.
    pub fn value_of_let(&mut self, ty: Option<&TypeExpr>, value: &tree::Expr) -> Expr {
        let Some(ty) = ty else {
            return self.expression(value, None);
        };
        let file = self.scope.file;
        let want = self.checker.resolve(file, ty);
        let expr = self.expression(value, Some(&want));
        if matches!(expr.ty, Type::Json) && !matches!(core(&want), Type::Json | Type::Any) && decodable(&want) {
            return Expr {
                span: expr.span,
                ty: want,
                kind: ExprKind::Decode(Box::new(expr)),
            };
        }
        let mut expr = self.fit(expr, &want);
        if !matches!(expr.ty, Type::Any) && !matches!(want, Type::Any) {
            expr.ty = want;
        }
        expr
    }

    /// A text with its places filled in.
    pub fn template(&mut self, text: &tree::Text) -> Template {
        let mut parts = Vec::with_capacity(text.parts.len());
        for part in &text.parts {
            match part {
                TextPart::Literal(literal) => parts.push(Part::Literal(literal.clone())),
                TextPart::Expr(written) => {
                    let expr = self.expression(written, None);
                    let shown = without_lists(&expr.ty);
                    if matches!(shown, Type::Secret(_)) {
                        let finding = Diagnostic::error("secret-in-sink", expr.span, "a secret would be shown")
                            .label(format!("this is {}", described(&expr.ty)))
                            .help("leave it out: a text, a title and a message are read by people and kept");
                        self.report(finding);
                    } else if matches!(shown, Type::Nothing) {
                        let finding =
                            Diagnostic::error("type-mismatch", expr.span, "this has no value that could be shown");
                        self.report(finding);
                    }
                    parts.push(Part::Expr(expr));
                }
            }
        }
        Template { parts, span: text.span }
    }

    /// An expression, with the type that is due there if one is.
    pub fn expression(&mut self, written: &tree::Expr, want: Option<&Type>) -> Expr {
        let span = written.span;
        let make = |kind: ExprKind, ty: Type| Expr { kind, ty, span };
        match &written.kind {
            tree::ExprKind::True => make(ExprKind::Literal(Value::Bool(true)), Type::Bool),
            tree::ExprKind::False => make(ExprKind::Literal(Value::Bool(false)), Type::Bool),
            tree::ExprKind::None => make(ExprKind::Literal(Value::None), Type::None),
            tree::ExprKind::Number { text, float } => self.number(text, *float, span, want),
            tree::ExprKind::Quantity { number, unit } => self.quantity(number, unit, span),
            tree::ExprKind::Text(text) => self.text(text, span, want),
            tree::ExprKind::Code { language, text, .. } => self.code(language.as_ref(), text, span, want),
            tree::ExprKind::Name(name) => self.name(name, want),
            tree::ExprKind::It => match self.element.clone() {
                Some(ty) => make(ExprKind::It, ty),
                None => {
                    self.report(
                        Diagnostic::error("unknown-name", span, "`it` is the element of a list operation")
                            .help("use it inside `where(…)`, `any(…)`, `map(…)` and so on"),
                    );
                    error(span)
                }
            },
            tree::ExprKind::Field { subject, name } => self.field(subject, name, span),
            tree::ExprKind::Index { subject, index } => self.index(subject, index, span),
            tree::ExprKind::Call { callee, args } => self.call_in_expression(callee, args, span),
            tree::ExprKind::List(items) => self.list(items, span, want),
            tree::ExprKind::Record(fields) => self.record(fields, span, want),
            tree::ExprKind::Not(inner) => {
                let inner = self.truth(inner);
                let ty = truth_type(&inner.ty);
                make(ExprKind::Not(Box::new(inner)), ty)
            }
            tree::ExprKind::Negative(inner) => {
                let inner = self.expression(inner, want);
                let numeric = |ty: &Type| is_numeric(ty);
                let ty = match &inner.ty {
                    Type::Any => return error(span),
                    Type::Series(of) if numeric(of) => inner.ty.clone(),
                    ty if numeric(ty) => ty.clone(),
                    _ => {
                        let finding = Diagnostic::error("type-mismatch", inner.span, "only a number can be negative")
                            .label(format!("this is {}", described(&inner.ty)));
                        self.report(finding);
                        return error(span);
                    }
                };
                match inner.kind {
                    ExprKind::Literal(Value::Int(number)) => make(ExprKind::Literal(Value::Int(-number)), ty),
                    ExprKind::Literal(Value::Float(number)) => make(ExprKind::Literal(Value::Float(-number)), ty),
                    _ => make(ExprKind::Negative(Box::new(inner)), ty),
                }
            }
            tree::ExprKind::Binary {
                op,
                op_span,
                left,
                right,
            } => self.binary(*op, *op_span, left, right, span),
            tree::ExprKind::Is { subject, negated, what } => self.is(subject, *negated, what, span),
            tree::ExprKind::For { condition, duration } => {
                let inner = self.expression(condition, Some(&Type::Bool));
                let duration = self.expect(duration, &Type::Duration);
                match &inner.ty {
                    Type::Series(of) if matches!(**of, Type::Bool) => {}
                    Type::Any => return error(span),
                    Type::Bool | Type::Answer(_) => {
                        self.report(
                            Diagnostic::error("for-on-snapshot", span, "a single look cannot last")
                                .label("this is asked once, not watched over time")
                                .help(
                                    "leave `for …` out; only a series, and the whole of a `verify`, `wait until` \
                                     or `resolved when`, can hold for some time",
                                ),
                        );
                        return error(span);
                    }
                    _ => {
                        self.fit(inner, &Type::Bool);
                        return error(span);
                    }
                }
                make(
                    ExprKind::For {
                        condition: Box::new(inner),
                        duration: Box::new(duration),
                    },
                    Type::Bool,
                )
            }
            tree::ExprKind::Default { value, fallback } => {
                let value = self.expression(value, want);
                let inner = match &value.ty {
                    Type::Optional(inner) => (**inner).clone(),
                    Type::Any => {
                        self.expression(fallback, want);
                        return error(span);
                    }
                    Type::None => Type::Any,
                    other => {
                        let finding = Diagnostic::error("type-mismatch", value.span, "this is never missing")
                            .label(format!("it is {}", described(other)))
                            .help(
                                "`default` is for values that may be missing (`T?`); an unknown answer stays unknown",
                            );
                        self.report(finding);
                        return error(span);
                    }
                };
                let fallback = self.expression(fallback, Some(&inner));
                let (ty, fallback) = if matches!(fallback.ty, Type::Optional(_) | Type::None) {
                    let ty = Type::Optional(Box::new(inner));
                    let fallback = self.fit(fallback, &ty);
                    (ty, fallback)
                } else {
                    let fallback = self.fit(fallback, &inner);
                    (inner, fallback)
                };
                make(
                    ExprKind::Default {
                        value: Box::new(value),
                        fallback: Box::new(fallback),
                    },
                    ty,
                )
            }
            tree::ExprKind::FanOut { .. } => {
                self.report(
                    Diagnostic::error(
                        "misplaced-clause",
                        span,
                        "a question asked for each element needs a name",
                    )
                    .help("give it a line of its own: `check NAME = any f(each xs)`"),
                );
                error(span)
            }
            tree::ExprKind::Paren(inner) => self.expression(inner, want),
            tree::ExprKind::Error => error(span),
        }
    }

    /// A side of `and`, `or` or `not`: a truth value, an answer, or a comparison over a series.
    pub fn truth(&mut self, written: &tree::Expr) -> Expr {
        let expr = self.expression(written, Some(&Type::Bool));
        match &expr.ty {
            Type::Series(of) if matches!(**of, Type::Bool) => expr,
            _ => self.fit(expr, &Type::Bool),
        }
    }

    fn is(&mut self, subject: &tree::Expr, negated: bool, what: &IsWhat, span: Span) -> Expr {
        let make = |kind: ExprKind| Expr {
            kind,
            ty: Type::Bool,
            span,
        };
        if let IsWhat::Value(value) = what {
            return self.equal(subject, value, negated, span);
        }
        let subject = self.expression(subject, None);
        let subject_span = subject.span;
        if matches!(subject.ty, Type::Any) {
            return error(span);
        }
        match what {
            IsWhat::Empty => {
                match &subject.ty {
                    Type::List(_) | Type::Text | Type::Json => {}
                    Type::Secret(inner) if matches!(**inner, Type::Text) => {}
                    Type::Optional(_) => {
                        let finding = Diagnostic::error("optional-value", subject_span, "this may be missing")
                            .label(format!("it is {}", described(&subject.ty)))
                            .help("missing is not empty: say what counts then, `… default …`, or ask `is missing`");
                        self.report(finding);
                        return error(span);
                    }
                    other => {
                        let finding =
                            Diagnostic::error("type-mismatch", subject_span, "only a list or a text can be empty")
                                .label(format!("this is {}", described(other)));
                        self.report(finding);
                        return error(span);
                    }
                }
                make(ExprKind::IsEmpty {
                    subject: Box::new(subject),
                    negated,
                })
            }
            IsWhat::Missing => {
                if !matches!(subject.ty, Type::Optional(_) | Type::Json | Type::None) {
                    if self.probe_is_due(&subject) {
                        return error(span);
                    }
                    let finding = Diagnostic::error("type-mismatch", subject_span, "this is never missing")
                        .label(format!("it is {}", described(&subject.ty)))
                        .help("ask `is unknown` for an answer that could not be had");
                    self.report(finding);
                    return error(span);
                }
                make(ExprKind::IsMissing {
                    subject: Box::new(subject),
                    negated,
                })
            }
            IsWhat::Unknown => {
                if self.probe_is_due(&subject) {
                    return error(span);
                }
                make(ExprKind::IsUnknown {
                    subject: Box::new(subject),
                    negated,
                })
            }
            IsWhat::Value(_) => error(span),
        }
    }

    /// Reports a plain read whose lack of a reply is asked about although its provider has a probe for that.
    pub fn probe_is_due(&mut self, subject: &Expr) -> bool {
        if !self.question {
            return false;
        }
        let ExprKind::Binding(id) = &subject.kind else {
            return false;
        };
        let BindingKind::Read(call) = &self.bindings[id.0].kind else {
            return false;
        };
        let operation = Arc::clone(&call.operation);
        let call_span = call.span;
        if operation.effect != crate::provider::Effect::Read {
            return false;
        }
        let file = self.bindings[id.0].span.file;
        let Some(table) = self.checker.provider(file, &operation.provider) else {
            return false;
        };
        let Some(probe) = table.probe() else {
            return false;
        };
        let callee = self.callee_span(call_span);
        self.report(
            Diagnostic::error(
                "reply-as-probe",
                callee,
                "this question can never be answered \"no\" when there is no reply",
            )
            .label("no reply means unknown, not \"no\"")
            .help(format!(
                "use a probe, for example `{}`: its reply says whether it was refused or timed out",
                probe.full_name()
            )),
        );
        true
    }

    /// The span of a call's name: up to its parenthesis.
    pub fn callee_span(&self, call: Span) -> Span {
        let text = self.checker.sources.text(call);
        let length = text.find('(').unwrap_or(text.len());
        Span::new(
            call.file,
            call.start as usize,
            call.start as usize + text[..length].trim_end().len(),
        )
    }

    fn name(&mut self, name: &Name, want: Option<&Type>) -> Expr {
        let span = name.span;
        let due = match want.map(core) {
            Some(Type::Enum(enumeration)) => Some(Arc::clone(enumeration)),
            _ => None,
        };
        let variant = due
            .as_ref()
            .filter(|enumeration| enumeration.values.iter().any(|value| **value == *name.text));
        match self.scope.find(&name.text) {
            Some(What::Binding(id)) => {
                let ty = self.bindings[id.0].ty.clone();
                let other = variant.is_some_and(|due| !same(core(&ty), &Type::Enum(Arc::clone(due))));
                if !other {
                    return reference(id, ty, span);
                }
            }
            Some(What::Given(index)) => return self.given[index].clone(),
            Some(What::Broken) => return error(span),
            Some(What::Action(_) | What::Label) if variant.is_none() => {
                self.report(
                    Diagnostic::error("unknown-name", span, format!("`{}` has no value", name.text))
                        .help("a cause or an action is not a question: ask a check"),
                );
                return error(span);
            }
            _ => {}
        }
        if let Some(enumeration) = variant {
            return Expr {
                kind: ExprKind::Literal(Value::variant(&name.text)),
                ty: Type::Enum(Arc::clone(enumeration)),
                span,
            };
        }
        match name.text.as_str() {
            "now" => {
                return Expr {
                    kind: ExprKind::Now,
                    ty: Type::Time,
                    span,
                };
            }
            "run" => {
                self.report(
                    Diagnostic::error("unknown-name", span, "`run` is a record, not a value")
                        .help("use one of its fields: `run.id`, `run.evidence`, `run.severity`, `run.environment`, `run.operator`"),
                );
                return error(span);
            }
            _ => {}
        }
        let file = self.scope.file;
        match self.checker.symbol(file, &name.text) {
            Some(Some(item)) => return self.item_as_value(item, name),
            Some(None) => return error(span),
            None => {}
        }
        if let Some(enumeration) = due {
            let finding = Diagnostic::error(
                "unknown-value",
                span,
                format!("`{}` has no value `{}`", enumeration.name, name.text),
            );
            let known: Vec<&str> = enumeration.values.iter().map(|value| &**value).collect();
            let finding = self.checker.suggest(finding, name, known, true);
            self.report(finding);
            return error(span);
        }
        self.unknown_name(name);
        error(span)
    }

    fn item_as_value(&mut self, item: super::modules::ItemRef, name: &Name) -> Expr {
        let tree = self.checker.tree(item.file);
        let what = match &tree.items[item.item].kind {
            tree::ItemKind::Clause(clause) => match &clause.kind {
                tree::ClauseKind::Let { .. } => return self.module_let(item, name),
                tree::ClauseKind::Question(_) => ("check", "give it a name first: `check NAME = …(…)`"),
                tree::ClauseKind::Action(_) => ("action", "use it as a step: `action NAME = …(…)`"),
                _ => ("escalation", "it stands in `result`: `escalation NAME`"),
            },
            tree::ItemKind::Runbook(_) => ("runbook", "run it: `check NAME = run …(…)`"),
            tree::ItemKind::Provider(_) => ("provider", "call one of its operations: `read NAME = …`"),
            _ => (
                "type",
                "a type stands behind a colon; a value of an enum is `Type.value`",
            ),
        };
        self.report(
            Diagnostic::error(
                "type-mismatch",
                name.span,
                format!("`{}` is a {}, not a value", name.text, what.0),
            )
            .help(what.1),
        );
        error(name.span)
    }

    /// Reports a name that is not known here, with the reason if there is one.
    pub fn unknown_name(&mut self, name: &Name) {
        let span = name.span;
        if name.text == "goal" && self.goal_pending {
            self.report(
                Diagnostic::error("unknown-name", span, "`goal` is not known yet")
                    .help("the goal asks questions that stand further down: put them before this line"),
            );
            return;
        }
        if let Some(elsewhere) = self.scope.elsewhere(&name.text) {
            let below = elsewhere.start > span.start;
            let finding = Diagnostic::error("unknown-name", span, format!("`{}` is not known here", name.text));
            self.report(if below {
                finding
                    .and(elsewhere, "declared further down")
                    .help("a name is known from its line on: move its line up")
            } else {
                finding
                    .and(elsewhere, "known only inside its block")
                    .help("move its line out of the block")
            });
            return;
        }
        let finding = Diagnostic::error("unknown-name", span, format!("there is no `{}` here", name.text));
        if !self.checker.may_suggest() {
            self.report(finding);
            return;
        }
        let file = self.scope.file;
        let mut known: Vec<String> = self.scope.names().map(str::to_owned).collect();
        known.extend(
            self.checker
                .entry(file)
                .symbols
                .keys()
                .filter(|name| name.starts_with(|first: char| first.is_lowercase()))
                .cloned(),
        );
        known.extend(["now", "run"].map(str::to_owned));
        let mut finding = self
            .checker
            .suggest(finding, name, known.iter().map(String::as_str), false);
        if name.text == "s" && finding.help.is_none() {
            finding = finding.help("a rate is written without a blank after the stroke: `300 /s`");
        }
        self.report(finding);
    }
}

/// The expression without the parentheses around it.
pub fn strip(written: &tree::Expr) -> &tree::Expr {
    let mut inner = written;
    while let tree::ExprKind::Paren(next) = &inner.kind {
        inner = next;
    }
    inner
}

/// The type of `not`, `and` and `or` over this: over a series it stays one.
pub fn truth_type(ty: &Type) -> Type {
    match ty {
        Type::Series(_) => ty.clone(),
        Type::Any => Type::Any,
        _ => Type::Bool,
    }
}

fn without_lists(ty: &Type) -> &Type {
    match ty {
        Type::List(inner) | Type::Optional(inner) | Type::Series(inner) => without_lists(inner),
        other => other,
    }
}
