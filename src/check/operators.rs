//! Comparisons, arithmetic, and what may stand on both sides of them.

use super::expression::strip;
use super::scope::{Body, error};
use super::types::{core, described, fits, is_numeric, is_quantity, same};
use crate::diagnostic::Diagnostic;
use crate::program::{BinaryOp, Expr, ExprKind};
use crate::source::Span;
use crate::syntax::tree;
use crate::value::{CodeLanguage, Type};

impl Body<'_, '_> {
    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        op_span: Span,
        left: &tree::Expr,
        right: &tree::Expr,
        span: Span,
    ) -> Expr {
        match op {
            BinaryOp::And | BinaryOp::Or => self.join(op, left, right, span),
            BinaryOp::Greater | BinaryOp::GreaterEqual | BinaryOp::Less | BinaryOp::LessEqual => {
                self.ordered(op, left, right, span)
            }
            BinaryOp::In | BinaryOp::NotIn => self.member(op, left, right, span),
            BinaryOp::Contains => self.contains(left, right, span),
            BinaryOp::Matches => self.matches(left, right, span),
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide => {
                self.arithmetic(op, op_span, left, right, span)
            }
        }
    }

    fn join(&mut self, op: BinaryOp, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        let mut left = self.truth(left);
        let mut right = self.truth(right);
        let series = |expr: &Expr| matches!(expr.ty, Type::Series(_));
        let any = |expr: &Expr| matches!(expr.ty, Type::Any);
        let ty = if series(&left) && series(&right) {
            left.ty.clone()
        } else {
            // One side over time, the other a single answer: nobody could say over which time both hold.
            if series(&left) && !any(&right) {
                left = self.fit(left, &Type::Bool);
            }
            if series(&right) && !any(&left) {
                right = self.fit(right, &Type::Bool);
            }
            if any(&left) || any(&right) {
                Type::Any
            } else {
                Type::Bool
            }
        };
        Expr {
            kind: ExprKind::Binary {
                op,
                left: Box::new(left),
                right: Box::new(right),
            },
            ty,
            span,
        }
    }

    /// Both sides, each with the other's type as what is due; a literal is looked at last.
    fn sides(&mut self, left: &tree::Expr, right: &tree::Expr) -> (Expr, Expr) {
        let bare = |side: &tree::Expr| {
            matches!(
                strip(side).kind,
                tree::ExprKind::Number { .. }
                    | tree::ExprKind::Text(_)
                    | tree::ExprKind::Code { .. }
                    | tree::ExprKind::List(_)
                    | tree::ExprKind::Record(_)
            )
        };
        let unknown = |body: &Self, side: &tree::Expr| match &strip(side).kind {
            tree::ExprKind::Name(name) => body.scope.find(&name.text).is_none(),
            _ => false,
        };
        let swap = (bare(left) || unknown(self, left)) && !(bare(right) || unknown(self, right));
        if swap {
            let right = self.expression(right, None);
            let due = due(&right.ty);
            let left = self.expression(left, due.as_ref());
            (left, right)
        } else {
            let left = self.expression(left, None);
            let due = due(&left.ty);
            let right = self.expression(right, due.as_ref());
            (left, right)
        }
    }

    fn ordered(&mut self, op: BinaryOp, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        let (left, right) = self.sides(left, right);
        if matches!(left.ty, Type::Any) || matches!(right.ty, Type::Any) {
            return error(span);
        }
        for side in [&left, &right] {
            if !self.usable(side) {
                return error(span);
            }
        }
        let (a, b) = (sample(&left.ty), sample(&right.ty));
        let has_order = |ty: &Type| is_numeric(ty) || matches!(ty, Type::Time);
        if !has_order(a) || !has_order(b) {
            let side = if has_order(a) { &right } else { &left };
            let finding = Diagnostic::error("type-mismatch", side.span, "this has no order")
                .label(format!("it is {}", described(&side.ty)));
            let finding = match side.ty {
                Type::Json => finding.help("read it as what it is, in a line of its own: `let NAME: Int = …`"),
                Type::Text => finding.help("texts are compared with `is`, `in`, `contains` and `matches`"),
                Type::List(_) => finding.help("did you mean its `.count`?"),
                _ => finding,
            };
            self.report(finding);
            return error(span);
        }
        let numbers = |ty: &Type| matches!(ty, Type::Int | Type::Float);
        if !(same(a, b) || numbers(a) && numbers(b)) {
            let finding = mixed(a, b, &left, &right, span, "compared");
            self.report(finding);
            return error(span);
        }
        let ty = result_over(&left.ty, &right.ty, Type::Bool);
        Expr {
            kind: ExprKind::Binary {
                op,
                left: Box::new(left),
                right: Box::new(right),
            },
            ty,
            span,
        }
    }

    /// Reports a side that may be missing or is a secret.
    fn usable(&mut self, side: &Expr) -> bool {
        let finding = match sample(&side.ty) {
            Type::Optional(_) => Diagnostic::error("optional-value", side.span, "this may be missing")
                .label(format!("it is {}", described(&side.ty)))
                .help("say what counts then, `(… default …)`, or ask `is missing`"),
            Type::Secret(_) => {
                Diagnostic::error("secret-in-sink", side.span, "a secret is not compared or computed with")
                    .label(format!("this is {}", described(&side.ty)))
                    .help("a secret goes only where an operation takes one: a credential, a header, a bound parameter")
            }
            _ => return true,
        };
        self.report(finding);
        false
    }

    pub(super) fn equal(&mut self, left: &tree::Expr, right: &tree::Expr, negated: bool, span: Span) -> Expr {
        let (left, right) = self.sides(left, right);
        if matches!(left.ty, Type::Any) || matches!(right.ty, Type::Any) {
            return error(span);
        }
        for side in [&left, &right] {
            if matches!(sample(&side.ty), Type::Secret(_)) {
                self.usable(side);
                return error(span);
            }
        }
        // What is definitely missing equals nothing, so an optional value may be asked for equality.
        let open = |ty: &Type| match sample(ty) {
            Type::Optional(inner) => (**inner).clone(),
            other => other.clone(),
        };
        let (a, b) = (open(&left.ty), open(&right.ty));
        if matches!(a, Type::None) || matches!(b, Type::None) {
            self.report(
                Diagnostic::error("type-mismatch", span, "nothing equals `none`")
                    .help("ask `is missing` or `is not missing`"),
            );
            return error(span);
        }
        let plain = |ty: &Type| matches!(ty, Type::Text | Type::Bool | Type::Int | Type::Float | Type::Json);
        let json = |a: &Type, b: &Type| matches!(a, Type::Json) && plain(b);
        let numbers = |ty: &Type| matches!(ty, Type::Int | Type::Float);
        let truths = |ty: &Type| matches!(ty, Type::Bool | Type::Answer(_));
        if !(same(&a, &b) || json(&a, &b) || json(&b, &a) || numbers(&a) && numbers(&b) || truths(&a) && truths(&b)) {
            let mut finding = mixed(&a, &b, &left, &right, span, "equal");
            if let (Type::Enum(enumeration), Type::Text) = (&a, &b)
                && let ExprKind::Literal(crate::value::Value::Text(text)) = &right.kind
                && enumeration.values.contains(text)
            {
                finding = finding
                    .help(format!("write the word itself: `{text}`"))
                    .edit(right.span, text.to_string());
            }
            self.report(finding);
            return error(span);
        }
        let ty = result_over(&left.ty, &right.ty, Type::Bool);
        Expr {
            kind: ExprKind::Equal {
                left: Box::new(left),
                right: Box::new(right),
                negated,
            },
            ty,
            span,
        }
    }

    fn member(&mut self, op: BinaryOp, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        let element = self.expression(left, None);
        if matches!(element.ty, Type::Any) {
            self.expression(right, None);
            return error(span);
        }
        if !self.usable(&element) {
            return error(span);
        }
        let due = Type::List(Box::new(element.ty.clone()));
        let list = self.expression(right, Some(&due));
        let fitting = match &list.ty {
            Type::Any => return error(span),
            Type::List(of) => same(of, &element.ty) || fits(&element.ty, of),
            _ => false,
        };
        if !fitting {
            let finding = Diagnostic::error(
                "type-mismatch",
                list.span,
                format!("a list of what stands before `in` is due here, {}", described(&due)),
            )
            .label(format!("this is {}", described(&list.ty)));
            self.report(finding);
            return error(span);
        }
        Expr {
            kind: ExprKind::Binary {
                op,
                left: Box::new(element),
                right: Box::new(list),
            },
            ty: Type::Bool,
            span,
        }
    }

    fn contains(&mut self, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        let whole = self.expression(left, None);
        if matches!(whole.ty, Type::Any) {
            return error(span);
        }
        if !self.usable(&whole) {
            return error(span);
        }
        let due = match &whole.ty {
            Type::Text => Type::Text,
            Type::List(of) => (**of).clone(),
            other => {
                let finding = Diagnostic::error(
                    "type-mismatch",
                    whole.span,
                    "only a text or a list can contain something",
                )
                .label(format!("this is {}", described(other)));
                self.report(finding);
                return error(span);
            }
        };
        let part = self.expect(right, &due);
        Expr {
            kind: ExprKind::Binary {
                op: BinaryOp::Contains,
                left: Box::new(whole),
                right: Box::new(part),
            },
            ty: Type::Bool,
            span,
        }
    }

    fn matches(&mut self, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        let text = self.expression(left, Some(&Type::Text));
        if matches!(text.ty, Type::Any) {
            return error(span);
        }
        if !self.usable(&text) {
            return error(span);
        }
        let text = self.fit(text, &Type::Text);
        let pattern = self.expect(right, &Type::Code(CodeLanguage::Regex));
        Expr {
            kind: ExprKind::Binary {
                op: BinaryOp::Matches,
                left: Box::new(text),
                right: Box::new(pattern),
            },
            ty: Type::Bool,
            span,
        }
    }

    fn arithmetic(&mut self, op: BinaryOp, op_span: Span, left: &tree::Expr, right: &tree::Expr, span: Span) -> Expr {
        // Only addition needs one type on both sides: `5 * 1 min` is as good as `5 min`.
        let (left, right) = if matches!(op, BinaryOp::Add | BinaryOp::Subtract) {
            self.sides(left, right)
        } else {
            (self.expression(left, None), self.expression(right, None))
        };
        if matches!(left.ty, Type::Any) || matches!(right.ty, Type::Any) {
            return error(span);
        }
        for side in [&left, &right] {
            if !self.usable(side) {
                return error(span);
            }
        }
        let (a, b) = (sample(&left.ty), sample(&right.ty));
        let Some(result) = arithmetic(op, a, b) else {
            let computable = |ty: &Type| is_numeric(ty) || matches!(ty, Type::Time);
            let word = match op {
                BinaryOp::Add => "added",
                BinaryOp::Subtract => "subtracted",
                BinaryOp::Multiply => "multiplied",
                _ => "divided",
            };
            let finding = if computable(a) && computable(b) {
                mixed(a, b, &left, &right, span, word)
            } else {
                let side = if computable(a) { &right } else { &left };
                let finding = Diagnostic::error("type-mismatch", side.span, format!("this cannot be {word}"))
                    .label(format!("it is {}", described(&side.ty)))
                    .and(op_span, "here");
                match side.ty {
                    Type::Text => finding.help("texts are put together by filling in: `\"{first} {second}\"`"),
                    Type::Json => finding.help("read it as what it is, in a line of its own: `let NAME: Int = …`"),
                    _ => finding,
                }
            };
            self.report(finding);
            return error(span);
        };
        let ty = result_over(&left.ty, &right.ty, result);
        Expr {
            kind: ExprKind::Binary {
                op,
                left: Box::new(left),
                right: Box::new(right),
            },
            ty,
            span,
        }
    }
}

/// What is due on the other side.
fn due(ty: &Type) -> Option<Type> {
    match core(ty) {
        Type::Any | Type::None | Type::Nothing | Type::Json => None,
        ty => Some(ty.clone()),
    }
}

/// The type of a sample; of anything else the type itself.
fn sample(ty: &Type) -> &Type {
    match ty {
        Type::Series(of) => of,
        other => other,
    }
}

/// Over a series the result is one.
fn result_over(left: &Type, right: &Type, result: Type) -> Type {
    if matches!(left, Type::Series(_)) || matches!(right, Type::Series(_)) {
        Type::Series(Box::new(result))
    } else {
        result
    }
}

/// Two types that do not go together.
fn mixed(a: &Type, b: &Type, left: &Expr, right: &Expr, span: Span, word: &str) -> Diagnostic {
    let units = is_numeric(a) && is_numeric(b) && (is_quantity(a) || is_quantity(b));
    let rule = if units { "unit-mismatch" } else { "type-mismatch" };
    let both = if word == "equal" {
        "can never be equal"
    } else {
        "cannot be put together"
    };
    let message = match word {
        "compared" => format!("{} and {} cannot be compared", described(a), described(b)),
        "equal" => format!("{} and {} {both}", described(a), described(b)),
        word => format!("{} and {} cannot be {word}", described(a), described(b)),
    };
    Diagnostic::error(rule, span, message)
        .and(left.span, described(&left.ty))
        .and(right.span, described(&right.ty))
}

/// The type of a result, or `None` when the two do not go together.
pub fn arithmetic(op: BinaryOp, left: &Type, right: &Type) -> Option<Type> {
    use Type::{Bytes, Duration, Float, Int, Rate, Ratio, Time};
    let number = |ty: &Type| matches!(ty, Int | Float);
    match op {
        BinaryOp::Add | BinaryOp::Subtract => match (left, right) {
            (Int, Int) => Some(Int),
            (a, b) if number(a) && number(b) => Some(Float),
            (Time, Duration) => Some(Time),
            (Duration, Time) if op == BinaryOp::Add => Some(Time),
            (Time, Time) if op == BinaryOp::Subtract => Some(Duration),
            (Duration, Duration) => Some(Duration),
            (Ratio, Ratio) => Some(Ratio),
            (Bytes, Bytes) => Some(Bytes),
            (Rate, Rate) => Some(Rate),
            _ => None,
        },
        BinaryOp::Multiply => match (left, right) {
            (Int, Int) => Some(Int),
            (a, b) if number(a) && number(b) => Some(Float),
            (a, Ratio) | (Ratio, a) if number(a) => Some(Float),
            (Ratio, other) | (other, Ratio) if is_quantity(other) => Some(other.clone()),
            (a, other) | (other, a) if number(a) && is_quantity(other) => Some(other.clone()),
            (Rate, Duration) | (Duration, Rate) => Some(Float),
            _ => None,
        },
        BinaryOp::Divide => match (left, right) {
            (Int, Int) => Some(Ratio),
            (a, b) if number(a) && number(b) => Some(Float),
            (a, Ratio) if number(a) => Some(Float),
            (a, Duration) if number(a) => Some(Rate),
            (a, Rate) if number(a) => Some(Duration),
            (Bytes, Duration) => Some(Rate),
            (Bytes, Rate) => Some(Duration),
            (Ratio, Duration) => Some(Rate),
            (a, b) if is_quantity(a) && a == b => Some(Ratio),
            (a, b) if is_quantity(a) && (number(b) || matches!(b, Ratio)) => Some(a.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_go_together_as_their_units_say() {
        use BinaryOp::{Add, Divide, Multiply, Subtract};
        let table = [
            (Divide, Type::Int, Type::Int, Some(Type::Ratio)),
            (Divide, Type::Bytes, Type::Duration, Some(Type::Rate)),
            (Divide, Type::Rate, Type::Rate, Some(Type::Ratio)),
            (Divide, Type::Float, Type::Int, Some(Type::Float)),
            (Subtract, Type::Time, Type::Time, Some(Type::Duration)),
            (Subtract, Type::Time, Type::Duration, Some(Type::Time)),
            (Subtract, Type::Duration, Type::Time, None),
            (Add, Type::Time, Type::Time, None),
            (Add, Type::Int, Type::Duration, None),
            (Multiply, Type::Int, Type::Duration, Some(Type::Duration)),
            (Multiply, Type::Ratio, Type::Bytes, Some(Type::Bytes)),
            (Multiply, Type::Bytes, Type::Bytes, None),
            (Add, Type::Text, Type::Text, None),
        ];
        for (op, left, right, result) in table {
            assert_eq!(arithmetic(op, &left, &right), result, "{left} {op:?} {right}");
        }
    }
}
