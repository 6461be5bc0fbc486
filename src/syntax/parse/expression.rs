//! Expressions, through the Pratt parser.

use super::{Builder, Node, Rule, inner, silent};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::limits;
use crate::syntax::tree::{Arg, BinaryOp, Expr, ExprKind, IsWhat, Name};
use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};
use std::sync::LazyLock;

/// Precedence, loose to tight.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(left(Rule::op_or) | left(Rule::op_or_next) | left(Rule::bad_or))
        .op(left(Rule::op_and) | left(Rule::op_and_next) | left(Rule::bad_and))
        .op(Op::prefix(Rule::op_not) | Op::prefix(Rule::bad_prefix))
        .op(left(Rule::op_greater)
            | left(Rule::op_greater_equal)
            | left(Rule::op_less)
            | left(Rule::op_less_equal)
            | left(Rule::op_in)
            | left(Rule::op_not_in)
            | left(Rule::op_contains)
            | left(Rule::op_matches)
            | left(Rule::op_is)
            | left(Rule::op_for)
            | left(Rule::bad_operator)
            | Op::postfix(Rule::op_is_empty))
        .op(left(Rule::op_default))
        .op(left(Rule::op_add) | left(Rule::op_subtract))
        .op(left(Rule::op_multiply) | left(Rule::op_divide))
        .op(Op::prefix(Rule::op_negative))
        .op(Op::postfix(Rule::field) | Op::postfix(Rule::call) | Op::postfix(Rule::index))
});

/// An expression and the depth of its tree.
type Built = (Expr, usize);

/// What a pair is to the Pratt parser.
fn is_operand(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::w_true
            | Rule::w_false
            | Rule::w_none
            | Rule::w_it
            | Rule::fan_out
            | Rule::name
            | Rule::quantity
            | Rule::text
            | Rule::paren
            | Rule::list
            | Rule::fence
            | Rule::code
            | Rule::record
            | Rule::wrong_quote
    )
}

fn is_prefix(rule: Rule) -> bool {
    matches!(rule, Rule::op_not | Rule::op_negative | Rule::bad_prefix)
}

fn is_infix(rule: Rule) -> bool {
    matches!(rule, Rule::bad_operator | Rule::bad_and | Rule::bad_or)
        || (Rule::op_or <= rule && rule <= Rule::op_divide && !is_prefix(rule) && !is_postfix(rule))
}

fn is_postfix(rule: Rule) -> bool {
    matches!(rule, Rule::op_is_empty | Rule::field | Rule::call | Rule::index)
}

impl Builder<'_> {
    pub(super) fn expr(&self, pair: Node) -> Expr {
        self.expr_and_depth(pair).0
    }

    /// The first expression inside a pair.
    pub(super) fn only_expr(&self, pair: Node) -> Option<Expr> {
        inner(pair)
            .find(|part| part.as_rule() == Rule::expr)
            .map(|part| self.expr(part))
    }

    pub(super) fn error_expr(&self, span: Span) -> Expr {
        Expr {
            kind: ExprKind::Error,
            span,
        }
    }

    pub(super) fn expr_and_depth(&self, pair: Node) -> Built {
        let span = self.span(&pair);
        let Some(pairs) = self.well_formed(pair) else {
            return (self.error_expr(span), 0);
        };
        let (expr, depth) = PRATT
            .map_primary(|pair| self.primary(pair))
            .map_prefix(|op, operand| self.prefix(op, operand))
            .map_postfix(|operand, op| self.postfix(operand, op))
            .map_infix(|left, op, right| self.infix(left, op, right))
            .parse(pairs.into_iter());
        if depth > limits::EXPRESSION_DEPTH {
            self.push(too_deep(span));
            return (self.error_expr(span), 0);
        }
        (expr, depth)
    }

    /// The pairs of one level, when the Pratt parser can read them: it panics on a pair it does not expect, and recurses on prefixes.
    fn well_formed<'i>(&self, pair: Pair<'i, Rule>) -> Option<Vec<Pair<'i, Rule>>> {
        let span = self.span(&pair);
        let pairs: Vec<_> = pair.into_inner().filter(|pair| !silent(pair.as_rule())).collect();
        let mut wants_operand = true;
        let mut prefixes = 0;
        for pair in &pairs {
            let rule = pair.as_rule();
            let fits = if wants_operand {
                is_operand(rule) || is_prefix(rule)
            } else {
                is_infix(rule) || is_postfix(rule)
            };
            if !fits {
                self.unexpected(pair);
                return None;
            }
            prefixes += usize::from(wants_operand && is_prefix(rule));
            wants_operand = if wants_operand { is_prefix(rule) } else { is_infix(rule) };
        }
        if pairs.is_empty() || wants_operand {
            self.our_bug(span, "an expression without an end");
            return None;
        }
        // Each pair makes the tree at most one deeper; a chain far beyond the limit is not even built.
        if prefixes > limits::EXPRESSION_DEPTH || pairs.len() > 20 * limits::EXPRESSION_DEPTH {
            self.push(too_deep(span));
            return None;
        }
        Some(pairs)
    }

    fn primary(&self, pair: Node) -> Built {
        let span = self.span(&pair);
        let mut depth = 1;
        let kind = match pair.as_rule() {
            Rule::w_true => ExprKind::True,
            Rule::w_false => ExprKind::False,
            Rule::w_none => ExprKind::None,
            Rule::w_it => ExprKind::It,
            Rule::name => ExprKind::Name(self.name(&pair)),
            Rule::quantity => self.quantity(pair),
            Rule::text => {
                let (text, inside) = self.text_and_depth(pair);
                depth += inside;
                ExprKind::Text(text)
            }
            Rule::code | Rule::fence => self.code(pair),
            Rule::paren => match inner(pair).find(|part| part.as_rule() == Rule::expr) {
                Some(part) => {
                    let (expr, inside) = self.expr_and_depth(part);
                    depth += inside;
                    ExprKind::Paren(Box::new(expr))
                }
                None => ExprKind::Error,
            },
            Rule::list => {
                let mut items = Vec::new();
                for part in inner(pair) {
                    let (expr, inside) = self.expr_and_depth(part);
                    depth = depth.max(inside + 1);
                    items.push(expr);
                }
                ExprKind::List(items)
            }
            Rule::record => {
                let mut entries = Vec::new();
                for entry in inner(pair) {
                    let (name, value, inside) = self.entry(entry);
                    depth = depth.max(inside + 1);
                    entries.push((name, value));
                }
                ExprKind::Record(entries)
            }
            Rule::fan_out => {
                let mut parts = inner(pair);
                let all = parts.next().is_some_and(|kind| kind.as_str().starts_with("all"));
                let mut built = match parts.next() {
                    Some(name) => self.primary(name),
                    None => (self.error_expr(span), 0),
                };
                let chain: Vec<_> = parts.collect();
                if chain.len() > limits::EXPRESSION_DEPTH {
                    self.push(too_deep(span));
                    return (self.error_expr(span), 0);
                }
                for part in chain {
                    built = self.postfix(built, part);
                }
                depth += built.1;
                ExprKind::FanOut {
                    all,
                    call: Box::new(built.0),
                }
            }
            Rule::wrong_quote => {
                let text = pair.as_str().trim_end().trim_matches('\'').to_string();
                self.push(
                    Diagnostic::error("syntax", span, "a text stands in double quotes")
                        .help(format!("write `\"{text}\"`"))
                        .edit(span, format!("\"{text}\"")),
                );
                ExprKind::Error
            }
            _ => {
                self.unexpected(&pair);
                ExprKind::Error
            }
        };
        (Expr { kind, span }, depth)
    }

    fn entry(&self, pair: Node) -> (Name, Expr, usize) {
        let span = self.span(&pair);
        let mut name = None;
        let mut value = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::label => name = Some(self.name(&part)),
                Rule::text => {
                    let key = self.text(part);
                    if key.literal().is_none() {
                        self.push(
                            Diagnostic::error("syntax", key.span, "a key is not filled in")
                                .help("write the key without braces"),
                        );
                    }
                    name = Some(Name {
                        text: key.literal().unwrap_or_default(),
                        span: key.span,
                    });
                }
                Rule::expr => value = Some(self.expr_and_depth(part)),
                _ => self.unexpected(&part),
            }
        }
        let (value, depth) = value.unwrap_or_else(|| (self.error_expr(span), 0));
        (name.unwrap_or_else(|| self.no_name(span)), value, depth)
    }

    fn quantity(&self, pair: Node) -> ExprKind {
        let whole = self.span(&pair);
        let mut number = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::number => number = Some(part.as_str().replace('_', "")),
                Rule::unit => {
                    // What stands behind a unit can only be a mistake, reported by the next turn.
                    if let Some(number) = number.take() {
                        let unit = self.name(&part);
                        if part.as_span().end() == whole.end as usize {
                            return ExprKind::Quantity { number, unit };
                        }
                    }
                }
                Rule::bad_unit => {
                    self.bad_unit(number.as_deref().unwrap_or_default(), &part);
                    return ExprKind::Error;
                }
                Rule::bad_second | Rule::bad_number => {
                    self.bad_number(whole, &part);
                    return ExprKind::Error;
                }
                _ => self.unexpected(&part),
            }
        }
        match number {
            Some(text) => {
                let float = text.contains('.');
                ExprKind::Number { text, float }
            }
            None => ExprKind::Error,
        }
    }

    fn prefix(&self, op: Node, operand: Built) -> Built {
        let op_span = self.span(&op);
        let span = op_span.to(operand.0.span);
        let depth = operand.1 + 1;
        let operand = Box::new(operand.0);
        let kind = match op.as_rule() {
            Rule::op_negative => ExprKind::Negative(operand),
            Rule::op_not => ExprKind::Not(operand),
            _ => {
                self.push(
                    Diagnostic::error("syntax", op_span, "`!` is not an operator")
                        .help("write `not`")
                        .edit(op_span, "not "),
                );
                ExprKind::Not(operand)
            }
        };
        (Expr { kind, span }, depth)
    }

    fn postfix(&self, operand: Built, op: Node) -> Built {
        let op_span = self.span(&op);
        let span = operand.0.span.to(op_span);
        let (subject, mut depth) = operand;
        depth += 1;
        let kind = match op.as_rule() {
            Rule::field => match inner(op).next() {
                Some(label) => ExprKind::Field {
                    subject: Box::new(subject),
                    name: self.name(&label),
                },
                None => ExprKind::Error,
            },
            Rule::call => {
                let (args, inside) = self.args(op);
                depth = depth.max(inside + 1);
                ExprKind::Call {
                    callee: Box::new(subject),
                    args,
                }
            }
            Rule::index => match inner(op).find(|part| part.as_rule() == Rule::expr) {
                Some(part) => {
                    let (index, inside) = self.expr_and_depth(part);
                    depth = depth.max(inside + 1);
                    ExprKind::Index {
                        subject: Box::new(subject),
                        index: Box::new(index),
                    }
                }
                None => ExprKind::Error,
            },
            Rule::op_is_empty => {
                self.not_chained(&subject, op_span);
                self.no_default(&subject, op_span);
                let mut negated = false;
                let mut what = IsWhat::Unknown;
                for part in inner(op) {
                    match part.as_rule() {
                        Rule::is_not => negated = true,
                        Rule::is_what => {
                            what = match part.as_str() {
                                "empty" => IsWhat::Empty,
                                "missing" => IsWhat::Missing,
                                _ => IsWhat::Unknown,
                            };
                        }
                        _ => self.unexpected(&part),
                    }
                }
                ExprKind::Is {
                    subject: Box::new(subject),
                    negated,
                    what,
                }
            }
            _ => {
                self.unexpected(&op);
                ExprKind::Error
            }
        };
        (Expr { kind, span }, depth)
    }

    /// The arguments of a call, and the depth of the deepest.
    pub(super) fn args(&self, call: Node) -> (Vec<Arg>, usize) {
        let mut depth = 0;
        let mut args = Vec::new();
        for pair in inner(call) {
            let span = self.span(&pair);
            let mut name = None;
            let mut each = false;
            let mut value = None;
            for part in inner(pair) {
                match part.as_rule() {
                    Rule::arg_name => name = Some(self.name(&part)),
                    Rule::each => each = true,
                    Rule::expr => value = Some(self.expr_and_depth(part)),
                    _ => self.unexpected(&part),
                }
            }
            let (value, inside) = value.unwrap_or_else(|| (self.error_expr(span), 0));
            depth = depth.max(inside);
            args.push(Arg { name, each, value });
        }
        (args, depth)
    }

    fn infix(&self, left: Built, op: Node, right: Built) -> Built {
        let rule = op.as_rule();
        let op_span = self.operator_span(&op);
        let span = left.0.span.to(right.0.span);
        let depth = left.1.max(right.1) + 1;
        let (left, right) = (left.0, right.0);
        let binary = |op, left: Expr, right: Expr| ExprKind::Binary {
            op,
            op_span,
            left: Box::new(left),
            right: Box::new(right),
        };
        let compared = match rule {
            Rule::op_greater => Some(BinaryOp::Greater),
            Rule::op_greater_equal => Some(BinaryOp::GreaterEqual),
            Rule::op_less => Some(BinaryOp::Less),
            Rule::op_less_equal => Some(BinaryOp::LessEqual),
            Rule::op_in => Some(BinaryOp::In),
            Rule::op_not_in => Some(BinaryOp::NotIn),
            Rule::op_contains => Some(BinaryOp::Contains),
            Rule::op_matches => Some(BinaryOp::Matches),
            _ => None,
        };
        if compared.is_some() || rule == Rule::op_is {
            let chained = self.not_chained(&left, op_span);
            if !self.no_default(&left, op_span) {
                self.no_default(&right, op_span);
            }
            if chained {
                return (self.error_expr(span), depth);
            }
        }
        let kind = match rule {
            Rule::op_or | Rule::op_or_next => binary(BinaryOp::Or, left, right),
            Rule::op_and | Rule::op_and_next => binary(BinaryOp::And, left, right),
            Rule::op_add => binary(BinaryOp::Add, left, right),
            Rule::op_subtract => binary(BinaryOp::Subtract, left, right),
            Rule::op_multiply => binary(BinaryOp::Multiply, left, right),
            Rule::op_divide => binary(BinaryOp::Divide, left, right),
            Rule::op_default => ExprKind::Default {
                value: Box::new(left),
                fallback: Box::new(right),
            },
            Rule::op_for => {
                if matches!(left.kind, ExprKind::For { .. }) {
                    self.push(
                        Diagnostic::error("syntax", op_span, "two `for` stand behind each other")
                            .help("say one time, or set parentheses"),
                    );
                }
                ExprKind::For {
                    condition: Box::new(left),
                    duration: Box::new(right),
                }
            }
            Rule::op_is => ExprKind::Is {
                subject: Box::new(left),
                negated: inner(op).any(|part| part.as_rule() == Rule::is_not),
                what: IsWhat::Value(Box::new(right)),
            },
            Rule::bad_operator | Rule::bad_and | Rule::bad_or => {
                self.wrong_operator(&op);
                ExprKind::Error
            }
            _ => match compared {
                Some(op) => binary(op, left, right),
                None => {
                    self.unexpected(&op);
                    ExprKind::Error
                }
            },
        };
        (Expr { kind, span }, depth)
    }

    /// The operator without the line breaks and comments around it.
    fn operator_span(&self, op: &Node) -> Span {
        let text = op.as_str();
        let mut start = 0;
        // Only `and` and `or` may stand behind a line break; comments may stand before it.
        while let Some(rest) = text.get(start..) {
            let blanks = rest.len() - rest.trim_start().len();
            if rest.trim_start().starts_with('#') {
                start += blanks + rest.trim_start().find('\n').unwrap_or(rest.len() - blanks);
            } else {
                start += blanks;
                break;
            }
        }
        let word = text.get(start..).unwrap_or_default();
        let length = word.find([' ', '\t', '\r', '\n', '#']).unwrap_or(word.len());
        let length = match op.as_rule() {
            Rule::op_not_in => word.find("in").map_or(length, |at| at + 2),
            Rule::op_is if inner(op.clone()).any(|part| part.as_rule() == Rule::is_not) => {
                word.find("not").map_or(length, |at| at + 3)
            }
            Rule::op_greater
            | Rule::op_less
            | Rule::op_add
            | Rule::op_subtract
            | Rule::op_multiply
            | Rule::op_divide => 1,
            Rule::op_greater_equal | Rule::op_less_equal => 2,
            _ => length,
        };
        let at = op.as_span().start() + start;
        self.range(at, at + length)
    }

    /// Reports a comparison whose left side is one already; true when it did.
    fn not_chained(&self, left: &Expr, op_span: Span) -> bool {
        let chained = match &left.kind {
            ExprKind::Binary { op, .. } => is_comparison(*op),
            ExprKind::Is { .. } | ExprKind::For { .. } => true,
            _ => false,
        };
        if chained {
            self.push(
                Diagnostic::error("syntax", op_span, "comparisons are not chained")
                    .and(left.span, "this is a comparison already")
                    .help("write two comparisons with `and` between them, for example `a > b and b > c`"),
            );
        }
        chained
    }

    /// Reports a `default` that stands beside a comparison without parentheses; true when it did.
    fn no_default(&self, side: &Expr, op_span: Span) -> bool {
        let found = matches!(side.kind, ExprKind::Default { .. });
        if found {
            self.push(
                Diagnostic::error("syntax", side.span, "`default` beside a comparison needs parentheses")
                    .and(op_span, "the comparison")
                    .help("write `(x default y) > z`, or `x > (y default z)`"),
            );
        }
        found
    }
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Greater
            | BinaryOp::GreaterEqual
            | BinaryOp::Less
            | BinaryOp::LessEqual
            | BinaryOp::In
            | BinaryOp::NotIn
            | BinaryOp::Contains
            | BinaryOp::Matches
    )
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax",
        span,
        format!("this expression is more than {} levels deep", limits::EXPRESSION_DEPTH),
    )
    .help("name a part of it with `let` and use the name")
}
