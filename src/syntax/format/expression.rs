//! Expressions, types and parameters as documents.

use super::Formatter;
use super::doc::Doc;
use crate::source::Span;
use crate::syntax::tree::{Arg, BinaryOp, Expr, ExprKind, IsWhat, Name, Param, Path, Text, TypeExpr, TypeKind};

impl Formatter<'_> {
    pub(super) fn name(&self, name: &Name) -> Doc {
        Doc::text(name.text.as_str())
    }

    pub(super) fn text_doc(&self, text: &Text) -> Doc {
        Doc::text(self.source(text.span))
    }

    pub(super) fn path(&self, path: &Path) -> Doc {
        Doc::text(path.dotted())
    }

    pub(super) fn ty(&self, ty: &TypeExpr) -> String {
        match &ty.kind {
            TypeKind::Named { name, args } if args.is_empty() => name.text.clone(),
            TypeKind::Named { name, args } => {
                let args: Vec<String> = args.iter().map(|arg| self.ty(arg)).collect();
                format!("{}<{}>", name.text, args.join(", "))
            }
            TypeKind::Optional(inner) => format!("{}?", self.ty(inner)),
        }
    }

    /// Members of a list between brackets: on one line when they fit and have no comments, otherwise each on its own line.
    /// `span` is that of the brackets.
    pub(super) fn members(
        &mut self,
        open: &str,
        close: &str,
        blanks: bool,
        span: Span,
        members: Vec<(Span, Doc)>,
    ) -> Doc {
        let (start, end) = (span.start as usize + 1, (span.end as usize).saturating_sub(1));
        if !self.has_comments(start, end) {
            if members.is_empty() {
                return Doc::text(format!("{open}{close}"));
            }
            let edge = || if blanks { Doc::Line } else { Doc::Soft };
            let mut inside = Vec::new();
            let last = members.len() - 1;
            for (index, (_, doc)) in members.into_iter().enumerate() {
                inside.push(if index == 0 { edge() } else { Doc::Line });
                inside.push(doc);
                inside.push(if index < last {
                    Doc::text(",")
                } else {
                    Doc::IfBroken(",")
                });
            }
            return Doc::Group(vec![Doc::text(open), Doc::Indent(inside), edge(), Doc::text(close)]);
        }
        let mut inside = Vec::new();
        let mut from = start;
        for comment in self.take(
            start,
            self.line_end(start)
                .min(members.first().map_or(end, |(span, _)| span.start as usize)),
        ) {
            inside.push(Doc::Comment(comment.text.clone()));
        }
        let mut members = members.into_iter().peekable();
        while let Some((span, doc)) = members.next() {
            // A comment inside the member that it could not place itself goes above it.
            for comment in self.take(from, span.end as usize) {
                inside.push(Doc::Hard);
                inside.push(Doc::text(comment.text.as_str()));
            }
            inside.push(Doc::Hard);
            inside.push(doc);
            inside.push(Doc::text(","));
            let next = members.peek().map_or(end, |(next, _)| next.start as usize);
            for comment in self.take(span.end as usize, self.line_end(span.end as usize).min(next)) {
                inside.push(Doc::Comment(comment.text.clone()));
            }
            from = span.end as usize;
        }
        for comment in self.take(from, end) {
            inside.push(Doc::Hard);
            inside.push(Doc::text(comment.text.as_str()));
        }
        Doc::Concat(vec![Doc::text(open), Doc::Indent(inside), Doc::Hard, Doc::text(close)])
    }

    pub(super) fn params(&mut self, params: &[Param], after: usize) -> Doc {
        let (Some(first), Some(last)) = (params.first(), params.last()) else {
            // Empty parentheses mean the same as none.
            return Doc::text("");
        };
        let span = self.brackets(first.span, last.span, after);
        let members = params
            .iter()
            .map(|param| {
                let mut parts = vec![Doc::text(format!("{}: {}", param.name.text, self.ty(&param.ty)))];
                if let Some(default) = &param.default {
                    parts.push(Doc::text(" = "));
                    parts.push(self.expr(default));
                }
                (param.span, Doc::Concat(parts))
            })
            .collect();
        self.members("(", ")", false, span, members)
    }

    /// The span of the brackets around members: from the end of what stands before to the closing bracket.
    fn brackets(&self, first: Span, last: Span, after: usize) -> Span {
        let end = self.closing(last.end as usize);
        Span {
            start: u32::try_from(after).unwrap_or(first.start).min(first.start),
            end: u32::try_from(end).unwrap_or(last.end),
            ..first
        }
    }

    /// Behind the next closing bracket after a place, past comments.
    pub(super) fn closing(&self, mut at: usize) -> usize {
        while let Some(byte) = self.text.as_bytes().get(at) {
            match byte {
                b'#' => at = self.line_end(at),
                b')' | b']' | b'}' => return at + 1,
                _ => at += 1,
            }
        }
        at
    }

    pub(super) fn args(&mut self, args: &[Arg], span: Span) -> Doc {
        let members = args
            .iter()
            .map(|arg| {
                let mut parts = Vec::new();
                if let Some(name) = &arg.name {
                    parts.push(Doc::text(format!("{}: ", name.text)));
                }
                if arg.each {
                    parts.push(Doc::text("each "));
                }
                parts.push(self.expr(&arg.value));
                let span = arg
                    .name
                    .as_ref()
                    .map_or(arg.value.span, |name| name.span.to(arg.value.span));
                (span, Doc::Concat(parts))
            })
            .collect();
        self.members("(", ")", false, span, members)
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Doc {
        match &expr.kind {
            ExprKind::True => Doc::text("true"),
            ExprKind::False => Doc::text("false"),
            ExprKind::None => Doc::text("none"),
            ExprKind::It => Doc::text("it"),
            ExprKind::Number { .. } | ExprKind::Text(_) | ExprKind::Code { .. } | ExprKind::Error => {
                Doc::text(self.source(expr.span))
            }
            ExprKind::Quantity { unit, .. } => {
                let number = self.source(Span {
                    end: unit.span.start,
                    ..expr.span
                });
                Doc::text(format!("{} {}", number.trim_end(), unit.text))
            }
            ExprKind::Name(name) => self.name(name),
            ExprKind::Field { subject, name } => {
                let subject = self.expr(subject);
                Doc::Concat(vec![subject, Doc::text(format!(".{}", name.text))])
            }
            ExprKind::Index { subject, index } => {
                let subject = self.expr(subject);
                let index = self.expr(index);
                Doc::Concat(vec![subject, Doc::text("["), index, Doc::text("]")])
            }
            ExprKind::Call { callee, args } => {
                let subject = self.expr(callee);
                let open = Span {
                    start: callee.span.end,
                    ..expr.span
                };
                let args = self.args(args, open);
                Doc::Concat(vec![subject, args])
            }
            ExprKind::List(items) => {
                let members = items.iter().map(|item| (item.span, self.expr(item))).collect();
                self.members("[", "]", false, expr.span, members)
            }
            ExprKind::Record(entries) => {
                let members = entries
                    .iter()
                    .map(|(name, value)| {
                        let key = self.source(name.span).to_string();
                        let doc = Doc::Concat(vec![Doc::text(format!("{key}: ")), self.expr(value)]);
                        (name.span.to(value.span), doc)
                    })
                    .collect();
                self.members("{", "}", false, expr.span, members)
            }
            ExprKind::Not(operand) => {
                let operand = self.expr(operand);
                Doc::Concat(vec![Doc::text("not "), operand])
            }
            ExprKind::Negative(operand) => {
                let operand = self.expr(operand);
                Doc::Concat(vec![Doc::text("-"), operand])
            }
            ExprKind::Binary { op, left, right, .. } => self.binary(*op, left, right),
            ExprKind::Is { subject, negated, what } => {
                let subject = self.expr(subject);
                let word = if *negated { " is not" } else { " is" };
                match what {
                    IsWhat::Empty => Doc::Concat(vec![subject, Doc::text(format!("{word} empty"))]),
                    IsWhat::Missing => Doc::Concat(vec![subject, Doc::text(format!("{word} missing"))]),
                    IsWhat::Unknown => Doc::Concat(vec![subject, Doc::text(format!("{word} unknown"))]),
                    IsWhat::Value(value) => {
                        let value = self.expr(value);
                        Doc::Group(vec![subject, Doc::text(word), Doc::Indent(vec![Doc::Line, value])])
                    }
                }
            }
            ExprKind::For { condition, duration } => {
                let condition = self.expr(condition);
                let duration = self.expr(duration);
                Doc::Concat(vec![condition, Doc::text(" for "), duration])
            }
            ExprKind::Default { value, fallback } => {
                let value = self.expr(value);
                let fallback = self.expr(fallback);
                Doc::Group(vec![
                    value,
                    Doc::text(" default"),
                    Doc::Indent(vec![Doc::Line, fallback]),
                ])
            }
            ExprKind::FanOut { all, call } => {
                let call = self.expr(call);
                Doc::Concat(vec![Doc::text(if *all { "all " } else { "any " }), call])
            }
            ExprKind::Paren(inner) => {
                let inner = self.expr(inner);
                Doc::Group(vec![
                    Doc::text("("),
                    Doc::Indent(vec![Doc::Soft, inner]),
                    Doc::Soft,
                    Doc::text(")"),
                ])
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Doc {
        let word = operator(op);
        if !matches!(op, BinaryOp::And | BinaryOp::Or) {
            let left = self.expr(left);
            let right = self.expr(right);
            return Doc::Group(vec![
                left,
                Doc::text(format!(" {word}")),
                Doc::Indent(vec![Doc::Line, right]),
            ]);
        }
        // A chain of one operator is broken at each of them, or at none.
        let mut operands = vec![right];
        let mut first = left;
        while let ExprKind::Binary {
            op: inner, left, right, ..
        } = &first.kind
        {
            if *inner != op {
                break;
            }
            operands.push(right);
            first = left;
        }
        let first = self.expr(first);
        let mut chain = Vec::new();
        for operand in operands.into_iter().rev() {
            chain.push(Doc::Line);
            chain.push(Doc::text(format!("{word} ")));
            chain.push(self.expr(operand));
        }
        Doc::Group(vec![first, Doc::Indent(chain)])
    }
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEqual => ">=",
        BinaryOp::Less => "<",
        BinaryOp::LessEqual => "<=",
        BinaryOp::In => "in",
        BinaryOp::NotIn => "not in",
        BinaryOp::Contains => "contains",
        BinaryOp::Matches => "matches",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
    }
}
