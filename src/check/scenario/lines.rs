//! `operator` and `expect`: names against the runbook.

use super::super::scope::Body;
use super::names::Names;
use crate::diagnostic::Diagnostic;
use crate::program::scenario::{ACKNOWLEDGE, Expected, ExpectedKind, OVERRIDE, Said, SaidKind};
use crate::source::Span;
use crate::syntax::tree::{
    ExpectKind, ExpectLine, GivenKind, GivenValue, Name, OperatorKind, OperatorLine, Path, Text, TextPart,
};
use crate::value::show::show;
use crate::value::{Answer, Type};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an override lasts that does not say it.
const OVERRIDE_LASTS: Duration = Duration::from_secs(30 * 60);

impl Body<'_, '_> {
    /// The lines of `operator`.
    pub(super) fn operator_lines(&mut self, lines: &[OperatorLine], names: &Names) -> Vec<Said> {
        let mut all: Vec<Said> = Vec::new();
        for line in lines {
            let Some((name, kind)) = self.operator_line(&line.kind, line.span, names) else {
                continue;
            };
            all.push(Said {
                name,
                kind,
                own: true,
                span: line.span,
            });
        }
        all
    }

    fn operator_line(&mut self, line: &OperatorKind, span: Span, names: &Names) -> Option<(String, SaidKind)> {
        let after = |body: &mut Self, after: &Option<crate::syntax::tree::Expr>| {
            after.as_ref().map_or(Duration::ZERO, |after| body.duration(after))
        };
        Some(match line {
            OperatorKind::Junk => return None,
            OperatorKind::Answer { name, value } => {
                let kind = self.answer_by(name, value, names)?;
                (name.dotted(), kind)
            }
            OperatorKind::Approve {
                action,
                role,
                after: at,
                ..
            } => {
                let name = self.action_of(action, names)?;
                let kind = SaidKind::Approve {
                    role: role.as_ref().map(|role| role.text.clone()),
                    after: after(self, at),
                };
                (name, kind)
            }
            OperatorKind::Refuse {
                action,
                role,
                after: at,
                because,
            } => {
                let name = self.action_of(action, names)?;
                let kind = SaidKind::Refuse {
                    role: role.as_ref().map(|role| role.text.clone()),
                    after: after(self, at),
                    because: because.as_ref().and_then(Text::literal).unwrap_or_default(),
                };
                (name, kind)
            }
            OperatorKind::LeaveUnknown { name, undo: true } => {
                let name = self.manual_of(name, names)?;
                (name, SaidKind::Silent { undo: true })
            }
            OperatorKind::LeaveUnknown { name, undo: false } => {
                (self.asked_about(name, names)?, SaidKind::Silent { undo: false })
            }
            OperatorKind::Tick { name, undo, after: at } => {
                let name = self.manual_of(name, names)?;
                let after = after(self, at);
                (name, SaidKind::Tick { undo: *undo, after })
            }
            OperatorKind::Retry(name) => (self.named_question(name, names)?, SaidKind::Retry),
            OperatorKind::Undo(name) => (self.action_of(name, names)?, SaidKind::Undo),
            OperatorKind::Keep(name) => (self.action_of(name, names)?, SaidKind::Keep),
            OperatorKind::HandOver {
                name,
                to,
                after: at,
                because,
            } => {
                let name = self.asked_about(name, names)?;
                let kind = SaidKind::HandOver {
                    to: to.text.clone(),
                    after: after(self, at),
                    because: because.as_ref().and_then(Text::literal).unwrap_or_default(),
                };
                (name, kind)
            }
            OperatorKind::Override {
                because,
                ticket,
                lasts,
                second,
                after: at,
            } => {
                let text = |text: &Option<Text>| text.as_ref().and_then(Text::literal).filter(|text| !text.is_empty());
                let (Some(because), Some(ticket)) = (text(because), text(ticket)) else {
                    self.report(
                        Diagnostic::error("missing-clause", span, "an override has a reason and a ticket")
                            .help("for example `override because \"customers cannot pay\" ticket \"OPS-7\" as lead`"),
                    );
                    return None;
                };
                let kind = SaidKind::Override {
                    because,
                    ticket,
                    lasts: lasts.as_ref().map_or(OVERRIDE_LASTS, |lasts| self.duration(lasts)),
                    second: second.as_ref().map(|second| second.text.clone()),
                    after: after(self, at),
                };
                (OVERRIDE.to_owned(), kind)
            }
            OperatorKind::Acknowledge { by, after: at } => {
                let kind = SaidKind::Acknowledge {
                    by: by.as_ref().map(|by| by.text.clone()),
                    after: after(self, at),
                };
                (ACKNOWLEDGE.to_owned(), kind)
            }
        })
    }

    /// A question, a value or an action that people are asked about.
    fn asked_about(&mut self, name: &Path, names: &Names) -> Option<String> {
        let written = name.dotted();
        let known: BTreeSet<&str> = names
            .questions
            .keys()
            .chain(names.asks.keys())
            .chain(names.actions.keys())
            .map(String::as_str)
            .collect();
        if known.contains(written.as_str()) {
            return Some(written);
        }
        self.no_such(name, &written, "question or action", known.into_iter());
        None
    }

    fn answer_by(&mut self, name: &Path, value: &GivenValue, names: &Names) -> Option<SaidKind> {
        let written = name.dotted();
        if let Some(ty) = names.asks.get(&written) {
            if let GivenKind::Word(word) = &value.kind
                && word.text == "unknown"
            {
                return Some(SaidKind::Answer(vec![(Answer::Unknown, None)]));
            }
            // What a person would type: the text, or the choice as it is shown.
            let ty = match ty {
                Type::Int | Type::Float | Type::Duration | Type::Ratio | Type::Bytes | Type::Rate | Type::Enum(_) => {
                    ty.clone()
                }
                _ => Type::Text,
            };
            let value = self.given(value, &ty)?;
            return Some(SaidKind::Value(show(&value)));
        }
        let heavy = names.operations.get(&written).is_some_and(|used| used.operation.heavy);
        let question = names.questions.get(&written);
        if !heavy && question.is_none() {
            let known: BTreeSet<&str> = names
                .questions
                .keys()
                .chain(names.asks.keys())
                .map(String::as_str)
                .collect();
            self.no_such(name, &written, "question", known.into_iter());
            return None;
        }
        let mut answers = Vec::new();
        let mut value = value;
        loop {
            let (first, until, then) = match &value.kind {
                GivenKind::Until { first, until, then } => (&**first, Some(until), Some(&**then)),
                _ => (value, None, None),
            };
            let answer = self.yes_no(first)?;
            if heavy && answer == Answer::Unknown {
                self.report(Diagnostic::error(
                    "unknown-value",
                    first.span,
                    "a read is allowed or not: `yes` or `no`",
                ));
                return None;
            }
            let until = match until {
                Some(until) => Some(self.until(until, names)?),
                None => None,
            };
            answers.push((answer, until));
            let Some(then) = then else { break };
            value = then;
        }
        Some(SaidKind::Answer(answers))
    }

    fn yes_no(&mut self, value: &GivenValue) -> Option<Answer> {
        let word = match &value.kind {
            GivenKind::Word(word) => word.text.as_str(),
            _ => "",
        };
        let answer = match word {
            "yes" => Some(Answer::Yes),
            "no" => Some(Answer::No),
            "unknown" => Some(Answer::Unknown),
            _ => None,
        };
        if answer.is_none() {
            self.report(
                Diagnostic::error("unknown-value", value.span, "this is no answer to a question")
                    .help("an answer is `yes`, `no` or `unknown`"),
            );
        }
        answer
    }

    fn action_of(&mut self, path: &Path, names: &Names) -> Option<String> {
        let name = path.dotted();
        if names.actions.contains_key(&name) {
            return Some(name);
        }
        self.no_such(path, &name, "action", names.actions.keys().map(String::as_str));
        None
    }

    fn manual_of(&mut self, path: &Path, names: &Names) -> Option<String> {
        let name = path.dotted();
        if names.actions.get(&name) == Some(&true) {
            return Some(name);
        }
        let manual = names.actions.iter().filter(|(_, manual)| **manual);
        self.no_such(path, &name, "`manual`", manual.map(|(name, _)| name.as_str()));
        None
    }

    fn named_question(&mut self, path: &Path, names: &Names) -> Option<String> {
        let name = path.dotted();
        if names.questions.contains_key(&name) {
            return Some(name);
        }
        self.no_such(path, &name, "question", names.questions.keys().map(String::as_str));
        None
    }

    /// The lines of `expect`.
    pub(super) fn expect_lines(&mut self, lines: &[ExpectLine], names: &Names) -> Vec<Expected> {
        let mut all = Vec::new();
        let mut once: Vec<(&'static str, Span)> = Vec::new();
        for line in lines {
            let word = match &line.kind {
                ExpectKind::Severity(_) => "severity",
                ExpectKind::Cause(_) => "cause",
                ExpectKind::Changed(_) => "changed",
                ExpectKind::Undone(_) => "undone",
                ExpectKind::Outcome { .. } => "outcome",
                _ => "",
            };
            if let Some((_, first)) = once.iter().find(|(known, _)| !word.is_empty() && *known == word) {
                let first = *first;
                self.report(
                    Diagnostic::error("duplicate-clause", line.span, format!("`{word}` stands here twice"))
                        .and(first, "first here"),
                );
                continue;
            }
            once.push((word, line.span));
            if let Some(kind) = self.expect_line(&line.kind, names) {
                all.push(Expected { kind, span: line.span });
            }
        }
        all
    }

    fn expect_line(&mut self, line: &ExpectKind, names: &Names) -> Option<ExpectedKind> {
        Some(match line {
            ExpectKind::Junk => return None,
            ExpectKind::Severity(name) => {
                self.severity_name(name)?;
                ExpectedKind::Severity(name.text.clone())
            }
            ExpectKind::Cause(paths) => {
                let mut causes = Vec::with_capacity(paths.len());
                for path in paths {
                    let name = path.dotted();
                    if !names.causes.contains(&name) {
                        self.no_such(path, &name, "cause", names.causes.iter().map(String::as_str));
                        return None;
                    }
                    causes.push(name);
                }
                ExpectedKind::Cause(causes)
            }
            ExpectKind::Arm { cannot_tell, of } => {
                let branch = of.as_ref().map(|of| self.as_written(of));
                if let (Some(of), Some(branch)) = (of, &branch)
                    && !names.branches.contains(branch)
                {
                    let finding =
                        Diagnostic::error("unknown-name", of.span, "the runbook has no branch with this question");
                    let written = Name {
                        text: branch.clone(),
                        span: Span {
                            start: of.span.start + 1,
                            end: of.span.end.saturating_sub(1),
                            ..of.span
                        },
                    };
                    let finding =
                        self.checker
                            .suggest(finding, &written, names.branches.iter().map(String::as_str), true);
                    self.report(finding);
                    return None;
                }
                ExpectedKind::Arm {
                    cannot_tell: *cannot_tell,
                    of: branch,
                }
            }
            ExpectKind::Answer { name, value } => self.expected_answer(name, value, names)?,
            ExpectKind::Changed(paths) => ExpectedKind::Changed(self.actions_of(paths, names)?),
            ExpectKind::Undone(paths) => ExpectedKind::Undone(self.actions_of(paths, names)?),
            ExpectKind::Never(paths) => ExpectedKind::Never(self.actions_of(paths, names)?),
            ExpectKind::Told { operation, times } => {
                let name = operation.dotted();
                if !names.operations.contains_key(&name) {
                    let known = names.operations.keys().map(String::as_str);
                    self.no_such(operation, &name, "call of", known);
                    return None;
                }
                let times = match times {
                    None => None,
                    Some(times) => {
                        let expr = self.expect(times, &Type::Int);
                        match self.literal(&expr)? {
                            crate::value::Value::Int(times) => u64::try_from(times).ok(),
                            _ => None,
                        }
                    }
                };
                ExpectedKind::Told { operation: name, times }
            }
            ExpectKind::Outcome { word, reason, within } => {
                if let Some(reason) = reason
                    && word.text != "stopped"
                {
                    self.report(
                        Diagnostic::error(
                            "misplaced-clause",
                            reason.span,
                            "only `stopped` has a reason of its own",
                        )
                        .help("leave the text out"),
                    );
                }
                ExpectedKind::Outcome {
                    word: word.text.clone(),
                    reason: reason.as_ref().and_then(Text::literal),
                    within: within.as_ref().map(|within| self.duration(within)),
                }
            }
            ExpectKind::Record { part, text } => ExpectedKind::Record {
                part: part.text.clone(),
                text: text.literal().unwrap_or_default(),
            },
        })
    }

    /// The text with the source of what would be filled in, as a title's own.
    fn as_written(&self, text: &Text) -> String {
        text.parts
            .iter()
            .map(|part| match part {
                TextPart::Literal(piece) => piece.clone(),
                TextPart::Expr(expr) => format!("{{{}}}", self.checker.sources.text(expr.span)),
            })
            .collect()
    }

    fn severity_name(&mut self, name: &Name) -> Option<()> {
        let known = &self.checker.context.severities;
        if known.is_empty() || known.contains(&name.text) {
            return Some(());
        }
        let known = known.clone();
        let finding = Diagnostic::error(
            "unknown-value",
            name.span,
            format!("there is no severity `{}`", name.text),
        );
        let finding = self
            .checker
            .suggest(finding, name, known.iter().map(String::as_str), true);
        self.report(finding);
        None
    }

    fn actions_of(&mut self, paths: &[Path], names: &Names) -> Option<Vec<String>> {
        paths.iter().map(|path| self.action_of(path, names)).collect()
    }

    fn expected_answer(&mut self, path: &Path, value: &GivenValue, names: &Names) -> Option<ExpectedKind> {
        let name = path.dotted();
        if names.questions.contains_key(&name) {
            let answer = self.yes_no(value)?;
            return Some(ExpectedKind::Answer { name, answer });
        }
        let ty = names.reads.get(&name).or(names.asks.get(&name)).cloned();
        let Some(ty) = ty else {
            let known: BTreeSet<&str> = names
                .questions
                .keys()
                .chain(names.reads.keys())
                .chain(names.asks.keys())
                .map(String::as_str)
                .collect();
            self.no_such(path, &name, "question or read", known.into_iter());
            return None;
        };
        let value = self.given(value, &ty)?;
        Some(ExpectedKind::Value { name, value })
    }
}
