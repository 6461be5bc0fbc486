//! Expressions as text: conditions in words, calls with their arguments. For people and for the plan.

use super::{Constants, Scope, evaluate};
use crate::program::{BinaryOp, BindingKind, CallExpr, Expr, ExprKind, Part, Program, Runbook, Template};
use crate::value::show::show;
use crate::value::{Reason, Value};

/// Texts of one runbook's expressions.
pub struct Texts<'a> {
    program: &'a Program,
    runbook: &'a Runbook,
    scope: &'a dyn Scope,
    constants: Constants,
}

impl<'a> Texts<'a> {
    /// Texts with the values of this scope filled into templates. What is [`Reason::NotApplied`] in it is shown as `{name}`;
    /// before a run the scope is [`Constants`].
    pub fn new(program: &'a Program, runbook: &'a Runbook, scope: &'a dyn Scope) -> Self {
        Self {
            program,
            runbook,
            scope,
            constants: Constants::of(runbook),
        }
    }

    /// A template with what is known filled in.
    pub fn text(&self, template: &Template) -> String {
        template
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.clone(),
                Part::Expr(expr) => self.known(expr).unwrap_or_else(|| format!("{{{}}}", self.source(expr))),
            })
            .collect()
    }

    /// The value as shown, unless it depends on what has not happened.
    fn known(&self, expr: &Expr) -> Option<String> {
        let value = evaluate(expr, self.scope);
        match value.as_unknown() {
            Some(unknown) if unknown.reason == Reason::NotApplied => None,
            _ => Some(show(&value)),
        }
    }

    /// The text of the file, on one line.
    pub fn source(&self, expr: &Expr) -> String {
        self.program.sources.phrase(expr.span)
    }

    /// A condition in words, with thresholds: "`used` is more than 90 % throughout the last 5 min".
    pub fn condition(&self, expr: &Expr) -> String {
        self.condition_in(expr, 0)
    }

    /// `level`: 0 in `or`, 1 in `and`, 2 under `not` or `for`; a looser operator inside a tighter one gets parentheses.
    fn condition_in(&self, expr: &Expr, level: u8) -> String {
        let joined = |own: u8, word: &str, left: &Expr, right: &Expr| {
            let text = format!(
                "{} {word} {}",
                self.condition_in(left, own),
                self.condition_in(right, own)
            );
            if own < level { format!("({text})") } else { text }
        };
        match &expr.kind {
            ExprKind::Binary { op, left, right } => match op {
                BinaryOp::Or => joined(0, "or", left, right),
                BinaryOp::And => joined(1, "and", left, right),
                BinaryOp::Greater => format!("{} is more than {}", self.operand(left), self.operand(right)),
                BinaryOp::GreaterEqual => format!("{} is {} or more", self.operand(left), self.operand(right)),
                BinaryOp::Less => format!("{} is less than {}", self.operand(left), self.operand(right)),
                BinaryOp::LessEqual => format!("{} is {} or less", self.operand(left), self.operand(right)),
                BinaryOp::In => format!("{} is in {}", self.operand(left), self.operand(right)),
                BinaryOp::NotIn => format!("{} is not in {}", self.operand(left), self.operand(right)),
                BinaryOp::Contains => format!("{} contains {}", self.operand(left), self.operand(right)),
                BinaryOp::Matches => format!("{} matches {}", self.operand(left), self.operand(right)),
                _ => self.operand(expr),
            },
            ExprKind::Not(inner) => format!("not {}", self.condition_in(inner, 2)),
            ExprKind::For { condition, duration } => format!(
                "{} throughout the last {}",
                self.condition_in(condition, 2),
                self.operand(duration)
            ),
            ExprKind::Equal { left, right, negated } => {
                let word = if *negated { "is not" } else { "is" };
                format!("{} {word} {}", self.operand(left), self.operand(right))
            }
            ExprKind::IsEmpty { subject, negated } => self.is(subject, *negated, "empty"),
            ExprKind::IsMissing { subject, negated } => self.is(subject, *negated, "missing"),
            ExprKind::IsUnknown { subject, negated } => self.is(subject, *negated, "unknown"),
            _ => self.operand(expr),
        }
    }

    fn is(&self, subject: &Expr, negated: bool, what: &str) -> String {
        format!(
            "{} is {}{what}",
            self.operand(subject),
            if negated { "not " } else { "" }
        )
    }

    /// An operand: a constant as its value, anything else as the file writes it, in backticks.
    pub fn operand(&self, expr: &Expr) -> String {
        match self.constant(expr) {
            Some(Value::Code { text, .. }) => code(&one_line(&text)),
            Some(Value::Text(text)) => format!("\"{text}\""),
            Some(value) => show(&value),
            None => code(&self.plain(expr)),
        }
    }

    /// The value of an expression that rests on nothing but literals. A question is never a constant.
    pub fn constant(&self, expr: &Expr) -> Option<Value> {
        match &expr.kind {
            ExprKind::Literal(value) => Some(value.clone()),
            ExprKind::Binding(id) => match self.runbook.binding(*id).kind {
                BindingKind::Let(_) => match self.constants.binding(*id) {
                    Value::Unknown(_) => None,
                    value => Some(value),
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// True for an expression that rests on nothing but literals: its value stands where it is used.
    pub fn is_constant(&self, expr: &Expr) -> bool {
        self.constant(expr).is_some()
    }

    /// An expression as the file writes it, without backticks; a name that only stands for another is that other one.
    pub fn plain(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Binding(id) => {
                let binding = self.runbook.binding(*id);
                match &binding.kind {
                    BindingKind::Let(
                        inner @ Expr {
                            kind: ExprKind::Binding(_),
                            ..
                        },
                    ) => self.plain(inner),
                    _ => binding.name.clone(),
                }
            }
            ExprKind::Template(template) => format!("\"{}\"", self.text(template)),
            ExprKind::Field { subject, name } => format!("{}.{name}", self.plain(subject)),
            _ => {
                let source = self.source(expr);
                if source.is_empty() { "…".to_owned() } else { source }
            }
        }
    }

    /// A call with the arguments that are not left at their defaults: `` `chat.post("#inc-storage", text: "…")` ``.
    pub fn call(&self, call: &CallExpr) -> String {
        let mut shown: Vec<String> = Vec::new();
        for (position, arg) in call.args.iter().enumerate() {
            let default = call
                .operation
                .params
                .get(position)
                .and_then(|param| param.default.as_ref());
            let constant = self.constant(&arg.value);
            let absent = matches!(constant, Some(Value::None));
            if absent || (constant.is_some() && constant.as_ref() == default) {
                continue;
            }
            let value = match constant {
                Some(Value::Code { text, .. }) => one_line(&text),
                Some(Value::Text(text)) => format!("\"{text}\""),
                Some(value) => show(&value),
                None => self.plain(&arg.value),
            };
            let each = if arg.each { "each " } else { "" };
            shown.push(if position == 0 {
                format!("{each}{value}")
            } else {
                format!("{}: {each}{value}", arg.name)
            });
        }
        code(&format!("{}({})", call.operation.full_name(), shown.join(", ")))
    }
}

/// In backticks; those of the text itself become single quotes.
pub fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// On one line, with single blanks.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
