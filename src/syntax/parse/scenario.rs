//! Scenarios and the values they give.

use super::{Builder, Node, Rule, inner};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::limits;
use crate::syntax::tree::{
    ExpectKind, ExpectLine, Expr, ExprKind, GivenKind, GivenLine, GivenValue, Name, OperatorKind, OperatorLine,
    Scenario, ScenarioClause, ScenarioKind, Text, Until,
};

/// Words that are values of their own where a value is given.
const WORDS: [&str; 18] = [
    "timeout",
    "denied",
    "throttled",
    "truncated",
    "unknown",
    "none",
    "answered",
    "refused",
    "timed_out",
    "no_such_name",
    "bad_certificate",
    "yes",
    "no",
    "resolved",
    "escalated",
    "stopped",
    "in_doubt",
    "not_present",
];

impl Builder<'_> {
    pub(super) fn scenario(&self, pair: Node) -> Scenario {
        let begin = pair.as_span().start();
        let start = self.span(&pair);
        let mut title = None;
        let mut clauses = Vec::new();
        let mut body = start;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::scenario_head => title = inner(part).next().map(|part| self.text(part)),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                }
                Rule::trail => self.trail(&part),
                Rule::scenario_block => {
                    body = self.span(&part);
                    for clause in inner(part) {
                        let span = self.span(&clause);
                        if let Some(kind) = self.scenario_clause(clause, &mut body) {
                            clauses.push(ScenarioClause { kind, span });
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        Scenario {
            title: title.unwrap_or_else(|| self.no_text(start)),
            clauses,
            body,
        }
    }

    fn scenario_clause(&self, pair: Node, body: &mut Span) -> Option<ScenarioKind> {
        Some(match pair.as_rule() {
            Rule::prose => ScenarioKind::Prose(self.prose(pair)),
            Rule::s_run => ScenarioKind::Run(self.only_expr(pair)?),
            Rule::s_clock => ScenarioKind::Clock(self.name(&inner(pair).next()?)),
            Rule::s_like => ScenarioKind::Like(self.text(inner(pair).next()?)),
            Rule::s_given => {
                ScenarioKind::Given(self.lines(pair, Rule::given_block, Rule::try_given, |line| self.given_line(line)))
            }
            Rule::s_operator => {
                ScenarioKind::Operator(self.lines(pair, Rule::operator_block, Rule::try_operator, |line| {
                    self.operator_line(line)
                }))
            }
            Rule::s_expect => ScenarioKind::Expect(self.lines(pair, Rule::expect_block, Rule::try_expect, |line| {
                self.expect_line(line)
            })),
            Rule::junk => {
                self.bad_clause(&pair, Rule::try_scenario, false);
                ScenarioKind::Junk
            }
            _ => {
                self.edge_of_block(&pair, body);
                return None;
            }
        })
    }

    /// The lines of `given`, `operator` or `expect`.
    fn lines<T>(&self, pair: Node, lines_of: Rule, again: Rule, line: impl Fn(Node) -> Option<T>) -> Vec<T> {
        let begin = pair.as_span().start();
        let mut lines = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_scenario);
                }
                Rule::trail => self.trail(&part),
                rule if rule == lines_of => {
                    let mut braces = self.span(&part);
                    for part in inner(part) {
                        match part.as_rule() {
                            Rule::given_line | Rule::operator_line | Rule::expect_line => lines.extend(line(part)),
                            Rule::junk => self.bad_clause(&part, again, false),
                            _ => self.edge_of_block(&part, &mut braces),
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        lines
    }

    fn given_line(&self, pair: Node) -> Option<GivenLine> {
        let span = self.span(&pair);
        let mut run = false;
        let mut key = None;
        let mut args = None;
        let mut value = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::given_run => run = true,
                Rule::path => key = Some(self.path(part)),
                Rule::call => args = Some(self.args(part).0),
                Rule::given_value => value = Some(self.given_value(part)),
                _ => self.unexpected(&part),
            }
        }
        Some(GivenLine {
            run,
            key: key?,
            args,
            value: value?,
            span,
        })
    }

    pub(super) fn given_value(&self, pair: Node) -> GivenValue {
        let span = self.span(&pair);
        let mut values: Vec<GivenValue> = Vec::new();
        let mut untils: Vec<Until> = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::given_one => {
                    // A `then` without `until` gives the value before it for one call.
                    while untils.len() < values.len() {
                        untils.push(Until::Once);
                    }
                    values.push(self.given_one(part));
                }
                Rule::path => untils.push(Until::Action(self.path(part))),
                Rule::until_time => untils.extend(self.only_expr(part).map(Until::Elapsed)),
                _ => self.unexpected(&part),
            }
        }
        if values.len() > limits::EXPRESSION_DEPTH {
            self.push(
                Diagnostic::error(
                    "syntax",
                    span,
                    format!("more than {} values in one line", limits::EXPRESSION_DEPTH),
                )
                .help("give the value that the run is to see"),
            );
            values.truncate(1);
        }
        let mut value = values.pop().unwrap_or(GivenValue {
            kind: GivenKind::Expr(self.error_expr(span)),
            span,
        });
        while let (Some(first), Some(until)) = (values.pop(), untils.pop()) {
            let span = first.span.to(value.span);
            value = GivenValue {
                kind: GivenKind::Until {
                    first: Box::new(first),
                    until,
                    then: Box::new(value),
                },
                span,
            };
        }
        value
    }

    fn given_one(&self, pair: Node) -> GivenValue {
        let span = self.span(&pair);
        let mut kind = GivenKind::Expr(self.error_expr(span));
        for part in inner(pair) {
            kind = match part.as_rule() {
                Rule::given_fails => match inner(part).next() {
                    Some(text) => GivenKind::Fails(self.text(text)),
                    None => continue,
                },
                Rule::given_done => GivenKind::Done {
                    after: self.only_expr(part),
                },
                Rule::given_of => {
                    let mut count = None;
                    let mut of = None;
                    for piece in inner(part) {
                        match piece.as_rule() {
                            Rule::number => {
                                let text = piece.as_str().replace('_', "");
                                let float = text.contains('.');
                                count = Some(Expr {
                                    kind: ExprKind::Number { text, float },
                                    span: self.span(&piece),
                                });
                            }
                            Rule::expr => of = Some(self.expr(piece)),
                            _ => self.unexpected(&piece),
                        }
                    }
                    GivenKind::Of(
                        count.unwrap_or_else(|| self.error_expr(span)),
                        of.unwrap_or_else(|| self.error_expr(span)),
                    )
                }
                Rule::expr => {
                    let expr = self.expr(part);
                    match expr.kind {
                        ExprKind::None => GivenKind::Word(Name {
                            text: "none".to_string(),
                            span,
                        }),
                        ExprKind::Name(name) if WORDS.contains(&name.text.as_str()) => GivenKind::Word(name),
                        _ => GivenKind::Expr(expr),
                    }
                }
                _ => {
                    self.unexpected(&part);
                    continue;
                }
            };
        }
        GivenValue { kind, span }
    }

    fn operator_line(&self, pair: Node) -> Option<OperatorLine> {
        let span = self.span(&pair);
        let line = inner(pair).next()?;
        let rule = line.as_rule();
        let mut name = None;
        let mut role = None;
        let mut to = None;
        let mut after = None;
        let mut lasts = None;
        let mut because: Option<Text> = None;
        let mut ticket: Option<Text> = None;
        let mut value = None;
        let mut undo = false;
        for part in inner(line) {
            match part.as_rule() {
                Rule::path => name = Some(self.path(part)),
                Rule::given_value => value = Some(self.given_value(part)),
                Rule::name => to = Some(self.name(&part)),
                Rule::l_as => role = inner(part).next().map(|part| self.name(&part)),
                Rule::l_after => self.once(part, &mut after),
                Rule::l_for => self.once(part, &mut lasts),
                Rule::l_ticket => ticket = inner(part).next().map(|part| self.text(part)),
                Rule::l_because => because = inner(part).next().map(|part| self.text(part)),
                Rule::of_undo => undo = true,
                _ => self.unexpected(&part),
            }
        }
        if rule == Rule::l_override {
            let kind = OperatorKind::Override {
                because,
                ticket,
                lasts,
                second: role,
                after,
            };
            return Some(OperatorLine { kind, span });
        }
        if rule == Rule::l_acknowledge {
            let kind = OperatorKind::Acknowledge { by: role, after };
            return Some(OperatorLine { kind, span });
        }
        let name = name?;
        let kind = match rule {
            Rule::l_hand => OperatorKind::HandOver {
                name,
                to: to?,
                after,
                because,
            },
            Rule::l_answer => OperatorKind::Answer { name, value: value? },
            Rule::l_approve => OperatorKind::Approve {
                action: name,
                role,
                after,
                because,
            },
            Rule::l_refuse => OperatorKind::Refuse {
                action: name,
                role,
                after,
                because,
            },
            Rule::l_leave => OperatorKind::LeaveUnknown { name, undo },
            Rule::l_retry => OperatorKind::Retry(name),
            Rule::l_undo => OperatorKind::Undo(name),
            Rule::l_keep => OperatorKind::Keep(name),
            _ => OperatorKind::Tick { name, undo, after },
        };
        Some(OperatorLine { kind, span })
    }

    fn expect_line(&self, pair: Node) -> Option<ExpectLine> {
        let span = self.span(&pair);
        let line = inner(pair).next()?;
        let rule = line.as_rule();
        let mut name = None;
        let mut paths = Vec::new();
        let mut title = None;
        let mut value = None;
        let mut times = None;
        let mut within = None;
        let mut cannot_tell = false;
        for part in inner(line) {
            match part.as_rule() {
                Rule::name => name = Some(self.name(&part)),
                Rule::outcome_word => name = Some(self.outcome_word(&part)),
                Rule::record_part => name = Some(self.name(&part)),
                Rule::path => paths.push(self.path(part)),
                Rule::text => title = Some(self.text(part)),
                Rule::given_value => value = Some(self.given_value(part)),
                Rule::within => within = self.only_expr(part),
                Rule::arm_cannot_tell => cannot_tell = true,
                Rule::arm_otherwise => {}
                Rule::told_times => {
                    times = inner(part).next().map(|number| {
                        let text = number.as_str().replace('_', "");
                        let float = text.contains('.');
                        Expr {
                            kind: ExprKind::Number { text, float },
                            span: self.span(&number),
                        }
                    });
                }
                _ => self.unexpected(&part),
            }
        }
        let kind = match rule {
            Rule::e_severity => ExpectKind::Severity(name?),
            Rule::e_cause => ExpectKind::Cause(paths),
            Rule::e_arm => ExpectKind::Arm { cannot_tell, of: title },
            Rule::e_answer => ExpectKind::Answer {
                name: paths.pop()?,
                value: value?,
            },
            Rule::e_changed => ExpectKind::Changed(paths),
            Rule::e_undone => ExpectKind::Undone(paths),
            Rule::e_never => ExpectKind::Never(paths),
            Rule::e_told => ExpectKind::Told {
                operation: paths.pop()?,
                times,
            },
            Rule::e_record => ExpectKind::Record {
                part: name?,
                text: title?,
            },
            _ => ExpectKind::Outcome {
                word: name?,
                reason: title,
                within,
            },
        };
        Some(ExpectLine { kind, span })
    }

    /// `in doubt` with one blank, however it was written.
    fn outcome_word(&self, pair: &Node) -> Name {
        let words: Vec<&str> = pair.as_str().split_whitespace().collect();
        Name {
            text: words.join(" "),
            span: self.span(pair),
        }
    }
}
