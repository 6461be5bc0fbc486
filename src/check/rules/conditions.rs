//! From expressions of a checked program to conditions of a truth table.

use super::truth::{self, Comparison, Condition, SubjectId, Subjects, TooMany};
use crate::program::{BinaryOp, BindingId, BindingKind, Expr, ExprKind, Method, Part, Program, Runbook};
use crate::value::{Answer, Type, Value};
use std::fmt::Write;

/// Most nodes of the conditions of one branch, named conditions put in place; beyond it nothing is compared.
const NODES: usize = 20_000;

/// Turns expressions into conditions over subjects.
pub struct Reader<'a> {
    program: &'a Program,
    runbook: &'a Runbook,
    pub subjects: Subjects,
    nodes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(program: &'a Program, runbook: &'a Runbook) -> Self {
        Self {
            program,
            runbook,
            subjects: Subjects::default(),
            nodes: 0,
        }
    }

    /// The condition an expression of type Bool is.
    pub fn condition(&mut self, expr: &Expr) -> Result<Condition, TooMany> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(TooMany);
        }
        let two = |this: &mut Self, left, right| -> Result<_, TooMany> {
            Ok((Box::new(this.condition(left)?), Box::new(this.condition(right)?)))
        };
        Ok(match &expr.kind {
            ExprKind::Literal(Value::Bool(true)) => Condition::Constant(Answer::Yes),
            ExprKind::Literal(Value::Bool(false)) => Condition::Constant(Answer::No),
            ExprKind::Not(inner) => Condition::Not(Box::new(self.condition(inner)?)),
            ExprKind::Binary {
                op: BinaryOp::And,
                left,
                right,
            } => {
                let (left, right) = two(self, left, right)?;
                Condition::And(left, right)
            }
            ExprKind::Binary {
                op: BinaryOp::Or,
                left,
                right,
            } => {
                let (left, right) = two(self, left, right)?;
                Condition::Or(left, right)
            }
            ExprKind::Binary { op, left, right } => self.comparison(*op, left, right, expr),
            ExprKind::Equal { left, right, negated } => {
                let equal = self
                    .point(left, right)
                    .or_else(|| self.point(right, left))
                    .unwrap_or_else(|| self.opaque_as(&equal_key(self.runbook, left, right), expr, *negated));
                negate(equal, *negated)
            }
            ExprKind::IsUnknown { subject, negated } => {
                // Only a question shares its subject: whether a number is unknown is a matter of its own.
                let condition = match &self.resolve(subject).kind {
                    ExprKind::Binding(id) if self.is_question(*id) => {
                        let id = self.question(*id);
                        self.subjects.ask_unknown(id);
                        Condition::Unknown(id)
                    }
                    _ => self.opaque_as(&format!("unknown {}", key(self.runbook, subject)), expr, *negated),
                };
                negate(condition, *negated)
            }
            ExprKind::IsEmpty { subject, negated } => {
                let condition = self.opaque_as(&format!("empty {}", key(self.runbook, subject)), expr, *negated);
                negate(condition, *negated)
            }
            ExprKind::IsMissing { subject, negated } => {
                let condition = self.opaque_as(&format!("missing {}", key(self.runbook, subject)), expr, *negated);
                negate(condition, *negated)
            }
            ExprKind::Binding(id) if self.is_question(*id) => Condition::Yes(self.question(*id)),
            ExprKind::Binding(id) => match &self.runbook.binding(*id).kind {
                // A named condition, the goal among them, is what it stands for.
                BindingKind::Let(inner) => self.condition(inner)?,
                _ => self.opaque(expr),
            },
            _ => self.opaque(expr),
        })
    }

    fn is_question(&self, id: BindingId) -> bool {
        matches!(self.runbook.binding(id).kind, BindingKind::Question(_))
    }

    fn question(&mut self, id: BindingId) -> SubjectId {
        self.subjects
            .answer(&format!("b{}", id.0), &self.runbook.binding(id).name)
    }

    /// Follows names to what they stand for.
    fn resolve<'e>(&'e self, mut expr: &'e Expr) -> &'e Expr {
        while let ExprKind::Binding(id) = &expr.kind {
            match &self.runbook.binding(*id).kind {
                BindingKind::Let(inner) => expr = inner,
                _ => break,
            }
        }
        expr
    }

    fn name(&self, expr: &Expr) -> String {
        let mut out = String::new();
        for word in self.program.sources.text(expr.span).split_whitespace() {
            if out.chars().count() > 60 {
                out.push('…');
                break;
            }
            let _ = write!(out, "{}{word}", if out.is_empty() { "" } else { " " });
        }
        if out.is_empty() {
            out.push_str("a value");
        }
        out
    }

    fn opaque(&mut self, expr: &Expr) -> Condition {
        let name = self.name(expr);
        Condition::Yes(self.subjects.answer(&key(self.runbook, expr), &name))
    }

    fn opaque_as(&mut self, key: &str, expr: &Expr, negated: bool) -> Condition {
        let mut name = self.name(expr);
        if negated {
            // The subject is the statement without its `not`, so that both forms are one.
            name = name.replacen("is not ", "is ", 1);
        }
        Condition::Yes(self.subjects.answer(key, &name))
    }

    /// The number a constant stands for, with its text.
    fn constant(&self, expr: &Expr) -> Option<(f64, String)> {
        let resolved = self.resolve(expr);
        let (sign, literal) = match &resolved.kind {
            ExprKind::Negative(inner) => (-1.0, &**inner),
            _ => (1.0, resolved),
        };
        let ExprKind::Literal(value) = &literal.kind else {
            return None;
        };
        let number = match value {
            // Limits that differ only beyond 2^53 would become one; such numbers are not compared.
            Value::Int(number) | Value::Duration(number) | Value::Bytes(number) => {
                let float = *number as f64;
                (float as i64 == *number).then_some(float)?
            }
            Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => *number,
            _ => return None,
        };
        Some((sign * number, self.name(resolved)))
    }

    fn number(&mut self, expr: &Expr, limit: (f64, &str)) -> Option<SubjectId> {
        let whole = match &expr.ty {
            Type::Int => true,
            Type::Float | Type::Ratio | Type::Rate | Type::Duration | Type::Bytes => false,
            _ => return None,
        };
        let counts = matches!(
            &self.resolve(expr).kind,
            ExprKind::Method {
                method: Method::Count,
                ..
            }
        );
        let name = self.name(expr);
        let key = key(self.runbook, expr);
        Some(self.subjects.number(&key, &name, whole, counts.then_some(0.0), limit))
    }

    fn comparison(&mut self, op: BinaryOp, left: &Expr, right: &Expr, whole: &Expr) -> Condition {
        let (comparison, mirrored) = match op {
            BinaryOp::Greater => (Comparison::Greater, Comparison::Less),
            BinaryOp::GreaterEqual => (Comparison::GreaterEqual, Comparison::LessEqual),
            BinaryOp::Less => (Comparison::Less, Comparison::Greater),
            BinaryOp::LessEqual => (Comparison::LessEqual, Comparison::GreaterEqual),
            BinaryOp::In | BinaryOp::NotIn => return self.membership(op, left, right, whole),
            _ => return self.opaque(whole),
        };
        let read = |this: &mut Self, subject: &Expr, limit: &Expr, comparison| {
            let (number, text) = this.constant(limit)?;
            let id = this.number(subject, (number, &text))?;
            Some(Condition::Compare(id, comparison, number))
        };
        read(self, left, right, comparison)
            .or_else(|| read(self, right, left, mirrored))
            .unwrap_or_else(|| self.opaque(whole))
    }

    fn membership(&mut self, op: BinaryOp, left: &Expr, right: &Expr, whole: &Expr) -> Condition {
        let items = match &self.resolve(right).kind {
            ExprKind::List(items) if !items.is_empty() && items.len() <= truth::CUTS => items.clone(),
            _ => Vec::new(),
        };
        let points: Option<Vec<Condition>> = items.iter().map(|item| self.point(left, item)).collect();
        let one_of = points
            .unwrap_or_default()
            .into_iter()
            .reduce(|left, right| Condition::Or(Box::new(left), Box::new(right)));
        match one_of {
            Some(one_of) => negate(one_of, op == BinaryOp::NotIn),
            None => {
                let key = format!("in {} {}", key(self.runbook, left), key(self.runbook, right));
                let name = self.name(whole).replacen(" not in ", " in ", 1);
                negate(Condition::Yes(self.subjects.answer(&key, &name)), op == BinaryOp::NotIn)
            }
        }
    }

    /// `subject is value` for a constant.
    fn point(&mut self, subject: &Expr, value: &Expr) -> Option<Condition> {
        if let Some((number, text)) = self.constant(value) {
            let id = self.number(subject, (number, &text))?;
            return Some(Condition::Compare(id, Comparison::Is, number));
        }
        let ExprKind::Literal(value) = self.resolve(value).kind.clone() else {
            return None;
        };
        let (value, all) = match (&value, &subject.ty) {
            (Value::Bool(value), _) => {
                let condition = self.condition(subject).ok()?;
                return Some(negate(condition, !*value));
            }
            (Value::Enum(value), Type::Enum(ty)) => (
                value.to_string(),
                Some(ty.values.iter().map(ToString::to_string).collect()),
            ),
            (Value::Text(value), Type::Text) => (value.to_string(), None),
            _ => return None,
        };
        let name = self.name(subject);
        let id = self.subjects.choice(&key(self.runbook, subject), &name, all, &value);
        Some(Condition::Value(id, value))
    }
}

fn negate(condition: Condition, negated: bool) -> Condition {
    if negated {
        Condition::Not(Box::new(condition))
    } else {
        condition
    }
}

fn equal_key(runbook: &Runbook, left: &Expr, right: &Expr) -> String {
    let (left, right) = (key(runbook, left), key(runbook, right));
    // Equality is symmetric.
    if left <= right {
        format!("is {left} {right}")
    } else {
        format!("is {right} {left}")
    }
}

/// What an expression computes, as a text: equal texts compute the same. Spans play no part.
pub fn key(runbook: &Runbook, expr: &Expr) -> String {
    let of = |expr: &Expr| key(runbook, expr);
    let all = |list: &[Expr]| list.iter().map(of).collect::<Vec<_>>().join(",");
    match &expr.kind {
        ExprKind::Literal(value) => format!("{value:?}"),
        ExprKind::Template(template) => {
            let parts: Vec<String> = template
                .parts
                .iter()
                .map(|part| match part {
                    Part::Literal(text) => format!("{text:?}"),
                    Part::Expr(expr) => of(expr),
                })
                .collect();
            format!("text({})", parts.join(","))
        }
        // A second name for the same thing is the same thing.
        ExprKind::Binding(id) => match &runbook.binding(*id).kind {
            BindingKind::Let(inner) if matches!(inner.kind, ExprKind::Binding(_) | ExprKind::Literal(_)) => of(inner),
            _ => format!("b{}", id.0),
        },
        ExprKind::It => "it".to_owned(),
        ExprKind::Now => "now".to_owned(),
        ExprKind::Run(field) => format!("run.{field:?}"),
        ExprKind::Field { subject, name } => format!("{}.{name}", of(subject)),
        ExprKind::Index { subject, index } => format!("{}[{}]", of(subject), of(index)),
        ExprKind::Method { subject, method, args } => format!("{}.{}({})", of(subject), method.name(), all(args)),
        ExprKind::List(items) => format!("[{}]", all(items)),
        ExprKind::Record(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", of(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        ExprKind::Not(inner) => format!("not({})", of(inner)),
        ExprKind::Negative(inner) => format!("-({})", of(inner)),
        ExprKind::Decode(inner) => format!("decode({},{})", of(inner), expr.ty),
        ExprKind::Binary { op, left, right } => format!("({} {op:?} {})", of(left), of(right)),
        ExprKind::Equal { left, right, negated } => format!("({} is {negated} {})", of(left), of(right)),
        ExprKind::IsEmpty { subject, negated } => format!("empty({},{negated})", of(subject)),
        ExprKind::IsMissing { subject, negated } => format!("missing({},{negated})", of(subject)),
        ExprKind::IsUnknown { subject, negated } => format!("unknown({},{negated})", of(subject)),
        ExprKind::For { condition, duration } => format!("for({},{})", of(condition), of(duration)),
        ExprKind::Default { value, fallback } => format!("default({},{})", of(value), of(fallback)),
    }
}
