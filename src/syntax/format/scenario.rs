//! Scenarios.

use super::doc::{self, Doc, WIDTH};
use super::{Formatter, aligned, padded};
use crate::source::Span;
use crate::syntax::tree::{
    ExpectKind, ExpectLine, GivenLine, OperatorKind, OperatorLine, Path, Scenario, ScenarioClause, ScenarioKind,
};

impl Formatter<'_> {
    pub(super) fn scenario(&mut self, scenario: &Scenario) {
        self.out
            .push_str(&format!("scenario {}", self.source(scenario.title.span)));
        // `run`, `clock`, `like` and the blocks written on one line stand under each other.
        let mut widths = vec![0; scenario.clauses.len()];
        let mut start = 0;
        while start < scenario.clauses.len() {
            let mut end = start;
            while scenario.clauses.get(end).is_some_and(|clause| self.short(clause))
                && (end == start
                    || !self.apart(
                        scenario.clauses[end - 1].span.end as usize,
                        scenario.clauses[end].span.start as usize,
                    ))
            {
                end += 1;
            }
            let width = scenario.clauses[start..end]
                .iter()
                .map(|clause| word(&clause.kind).len())
                .max();
            widths[start..end].fill(width.unwrap_or(0));
            start = end.max(start + 1);
        }
        self.braces(
            scenario.body,
            &scenario.clauses,
            |clause| clause.span,
            |this, index, clause| this.scenario_clause(clause, widths[index]),
        );
    }

    /// Whether a clause comes out on one line, however it is padded: what is broken now must not be padded for, because it is not when it is
    /// read again.
    fn short(&mut self, clause: &ScenarioClause) -> bool {
        let lines = match &clause.kind {
            ScenarioKind::Prose(_) | ScenarioKind::Junk => return false,
            ScenarioKind::Clock(_) | ScenarioKind::Like(_) => return true,
            _ if self.has_comments(clause.span.start as usize, clause.span.end as usize) => return false,
            ScenarioKind::Run(call) => vec![self.expr(call)],
            _ if self.source(clause.span).contains('\n') => return false,
            ScenarioKind::Given(lines) => lines.iter().map(|line| given_doc(self.given_line(line), 0)).collect(),
            ScenarioKind::Operator(lines) => lines.iter().map(|line| self.operator_line(line)).collect(),
            ScenarioKind::Expect(lines) => lines.iter().map(|line| self.expect_line(line, 0)).collect::<Vec<Doc>>(),
        };
        inside(&lines).is_some()
    }

    fn scenario_clause(&mut self, clause: &ScenarioClause, width: usize) {
        let word = padded(word(&clause.kind), width);
        match &clause.kind {
            ScenarioKind::Prose(prose) => self.prose(prose),
            ScenarioKind::Run(call) => {
                let call = self.expr(call);
                self.put(&Doc::Concat(vec![Doc::text(format!("{word} ")), call]));
            }
            ScenarioKind::Clock(clock) => {
                let words: Vec<&str> = clock.text.split_whitespace().collect();
                self.out.push_str(&format!("{word} {}", words.join(" ")));
            }
            ScenarioKind::Like(title) => self.out.push_str(&format!("{word} {}", self.source(title.span))),
            ScenarioKind::Given(lines) => {
                let docs: Vec<(Doc, Doc)> = lines.iter().map(|line| self.given_line(line)).collect();
                let left = aligned(docs.iter().map(|(key, _)| flat_width(key)));
                let docs = docs.into_iter().map(|line| given_doc(line, left)).collect();
                let spans = lines.iter().map(|line| line.span).collect();
                self.scenario_block(&word, clause.span, spans, docs);
            }
            ScenarioKind::Operator(lines) => {
                let docs = lines.iter().map(|line| self.operator_line(line)).collect();
                let spans = lines.iter().map(|line| line.span).collect();
                self.scenario_block(&word, clause.span, spans, docs);
            }
            ScenarioKind::Expect(lines) => {
                let one = !self.source(clause.span).contains('\n');
                let left = if one {
                    0
                } else {
                    lines
                        .iter()
                        .map(|line| expect_word(&line.kind).len())
                        .max()
                        .unwrap_or(0)
                };
                let docs = lines.iter().map(|line| self.expect_line(line, left)).collect();
                let spans = lines.iter().map(|line| line.span).collect();
                self.scenario_block(&word, clause.span, spans, docs);
            }
            ScenarioKind::Junk => self
                .out
                .push_str(self.text.get(clause.span.range()).unwrap_or_default()),
        }
    }

    /// Lines between braces; one short line stays where it was written.
    fn scenario_block(&mut self, word: &str, span: Span, spans: Vec<Span>, docs: Vec<Doc>) {
        if !self.source(span).contains('\n')
            && let Some(inside) = inside(&docs)
        {
            self.out.push_str(&format!("{word} {{ {inside} }}"));
            return;
        }
        self.out.push_str(word.trim_end());
        let opening = self.text.get(span.range()).and_then(|text| text.find('{')).unwrap_or(0);
        let braces = Span {
            start: span.start + u32::try_from(opening).unwrap_or(0),
            ..span
        };
        let lines: Vec<(Span, Doc)> = spans.into_iter().zip(docs).collect();
        self.braces(braces, &lines, |(span, _)| *span, |this, _, (_, doc)| this.put(doc));
    }

    fn given_line(&mut self, line: &GivenLine) -> (Doc, Doc) {
        let run = if line.run { "run " } else { "" };
        let mut key = vec![Doc::text(format!("{run}{}", line.key.dotted()))];
        if let Some(args) = &line.args {
            let open = Span {
                start: line.key.span.end,
                end: args.last().map_or(line.value.span.start, |arg| {
                    u32::try_from(self.closing(arg.value.span.end as usize)).unwrap_or(line.value.span.start)
                }),
                ..line.span
            };
            key.push(self.args(args, open));
        }
        let value = self.given(&line.value);
        (Doc::Concat(key), value)
    }

    fn operator_line(&mut self, line: &OperatorLine) -> Doc {
        let mut parts = Vec::new();
        match &line.kind {
            OperatorKind::Answer { name, value } => {
                parts.push(Doc::text(format!("answer {} ", name.dotted())));
                parts.push(self.given(value));
            }
            OperatorKind::Approve {
                action,
                role,
                after,
                because,
            }
            | OperatorKind::Refuse {
                action,
                role,
                after,
                because,
            } => {
                let word = if matches!(line.kind, OperatorKind::Approve { .. }) {
                    "approve"
                } else {
                    "refuse"
                };
                parts.push(Doc::text(format!("{word} {}", action.dotted())));
                if let Some(role) = role {
                    parts.push(Doc::text(format!(" as {}", role.text)));
                }
                self.timing(&mut parts, "after", after.as_ref());
                if let Some(because) = because {
                    parts.push(Doc::text(format!(" because {}", self.source(because.span))));
                }
            }
            OperatorKind::LeaveUnknown { name, undo } => {
                let undo = if *undo { "undo " } else { "" };
                parts.push(Doc::text(format!("leave {undo}{} unknown", name.dotted())));
            }
            OperatorKind::Tick { name, undo, after } => {
                let undo = if *undo { "undo " } else { "" };
                parts.push(Doc::text(format!("tick {undo}{}", name.dotted())));
                self.timing(&mut parts, "after", after.as_ref());
            }
            OperatorKind::Retry(name) => parts.push(Doc::text(format!("retry {}", name.dotted()))),
            OperatorKind::Undo(name) => parts.push(Doc::text(format!("undo {}", name.dotted()))),
            OperatorKind::Keep(name) => parts.push(Doc::text(format!("keep {}", name.dotted()))),
            OperatorKind::HandOver {
                name,
                to,
                after,
                because,
            } => {
                parts.push(Doc::text(format!("hand over {} to {}", name.dotted(), to.text)));
                self.timing(&mut parts, "after", after.as_ref());
                if let Some(because) = because {
                    parts.push(Doc::text(format!(" because {}", self.source(because.span))));
                }
            }
            OperatorKind::Override {
                because,
                ticket,
                lasts,
                second,
                after,
            } => {
                parts.push(Doc::text("override"));
                if let Some(because) = because {
                    parts.push(Doc::text(format!(" because {}", self.source(because.span))));
                }
                if let Some(ticket) = ticket {
                    parts.push(Doc::text(format!(" ticket {}", self.source(ticket.span))));
                }
                self.timing(&mut parts, "for", lasts.as_ref());
                if let Some(second) = second {
                    parts.push(Doc::text(format!(" as {}", second.text)));
                }
                self.timing(&mut parts, "after", after.as_ref());
            }
            OperatorKind::Acknowledge { by, after } => {
                parts.push(Doc::text("acknowledge"));
                if let Some(by) = by {
                    parts.push(Doc::text(format!(" as {}", by.text)));
                }
                self.timing(&mut parts, "after", after.as_ref());
            }
            OperatorKind::Junk => parts.push(Doc::text(self.source(line.span))),
        }
        Doc::Concat(parts)
    }

    fn expect_line(&mut self, line: &ExpectLine, width: usize) -> Doc {
        let word = padded(expect_word(&line.kind), width);
        let mut parts = vec![Doc::text(format!("{word} "))];
        match &line.kind {
            ExpectKind::Severity(name) => parts.push(self.name(name)),
            ExpectKind::Cause(paths) => parts.push(Doc::text(dotted(paths))),
            ExpectKind::Changed(paths) | ExpectKind::Undone(paths) | ExpectKind::Never(paths) => {
                let names = if paths.is_empty() {
                    "nothing".to_string()
                } else {
                    dotted(paths)
                };
                parts.push(Doc::text(names));
            }
            ExpectKind::Arm { cannot_tell, of } => {
                parts.push(Doc::text(if *cannot_tell { "cannot tell" } else { "otherwise" }));
                if let Some(of) = of {
                    parts.push(Doc::text(format!(" of {}", self.source(of.span))));
                }
            }
            ExpectKind::Answer { name, value } => {
                parts.push(Doc::text(format!("{} ", name.dotted())));
                parts.push(self.given(value));
            }
            ExpectKind::Told { operation, times } => {
                parts.push(self.path(operation));
                if let Some(times) = times {
                    parts.push(Doc::text(" "));
                    parts.push(self.expr(times));
                    parts.push(Doc::text(" times"));
                }
            }
            ExpectKind::Outcome { word, reason, within } => {
                parts.push(self.name(word));
                if let Some(reason) = reason {
                    parts.push(Doc::text(format!(" {}", self.source(reason.span))));
                }
                self.timing(&mut parts, "within", within.as_ref());
            }
            ExpectKind::Record { part, text } => {
                parts.push(self.name(part));
                parts.push(Doc::text(format!(" {}", self.source(text.span))));
            }
            ExpectKind::Junk => parts.push(Doc::text(self.source(line.span))),
        }
        Doc::Concat(parts)
    }
}

/// What stands between the braces of a block of one short line, which stays on the line of its word.
fn inside(docs: &[Doc]) -> Option<String> {
    const AROUND: usize = "  operator {  }".len();
    match docs {
        [doc] => doc::flat(doc).filter(|inside| AROUND + inside.chars().count() <= WIDTH),
        _ => None,
    }
}

fn given_doc((key, value): (Doc, Doc), left: usize) -> Doc {
    let gap = " ".repeat(left.saturating_sub(flat_width(&key)));
    Doc::Concat(vec![key, Doc::text(format!("{gap} -> ")), value])
}

fn flat_width(doc: &Doc) -> usize {
    doc::flat(doc).map_or(0, |flat| flat.chars().count())
}

fn dotted(paths: &[Path]) -> String {
    let paths: Vec<String> = paths.iter().map(Path::dotted).collect();
    paths.join(", ")
}

fn word(kind: &ScenarioKind) -> &'static str {
    match kind {
        ScenarioKind::Run(_) => "run",
        ScenarioKind::Clock(_) => "clock",
        ScenarioKind::Like(_) => "like",
        ScenarioKind::Given(_) => "given",
        ScenarioKind::Operator(_) => "operator",
        ScenarioKind::Expect(_) => "expect",
        ScenarioKind::Prose(_) | ScenarioKind::Junk => "",
    }
}

fn expect_word(kind: &ExpectKind) -> &'static str {
    match kind {
        ExpectKind::Severity(_) => "severity",
        ExpectKind::Cause(_) => "cause",
        ExpectKind::Arm { .. } => "arm",
        ExpectKind::Answer { .. } => "answer",
        ExpectKind::Changed(_) => "changed",
        ExpectKind::Undone(_) => "undone",
        ExpectKind::Never(_) => "never",
        ExpectKind::Told { .. } => "told",
        ExpectKind::Outcome { .. } => "outcome",
        ExpectKind::Record { .. } => "record",
        ExpectKind::Junk => "",
    }
}
