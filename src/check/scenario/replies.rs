//! `given`: what operations answer, against the types of their replies.

use super::super::call::Wanted;
use super::super::given::not_had;
use super::super::scope::Body;
use super::names::{Names, Used};
use crate::diagnostic::Diagnostic;
use crate::program::scenario::{Given, Reply, ReplyKind, Stub, Until};
use crate::provider::Effect;
use crate::source::Span;
use crate::syntax::tree::{self, GivenKind, GivenLine, GivenValue, Name};
use crate::value::{Type, Value};
use std::sync::Arc;
use std::time::Duration;

/// The words of a stub's outcome as `given` writes them, and as they are elsewhere.
const OUTCOMES: &[(&str, &str)] = &[
    ("resolved", "resolved"),
    ("escalated", "escalated"),
    ("stopped", "stopped"),
    ("refused", "refused"),
    ("in_doubt", "in doubt"),
    ("not_present", "not present"),
];

impl Body<'_, '_> {
    /// The lines of `given`.
    pub(super) fn given_lines(&mut self, lines: &[GivenLine], names: &Names) -> (Vec<Given>, Vec<Stub>) {
        let mut given: Vec<Given> = Vec::new();
        let mut stubs: Vec<Stub> = Vec::new();
        for line in lines {
            if line.run {
                let Some(stub) = self.stub(line, names) else { continue };
                if let Some(first) = stubs.iter().find(|other| other.name == stub.name) {
                    let first = first.span;
                    self.given_twice(line.span, first);
                } else {
                    stubs.push(stub);
                }
                continue;
            }
            let Some(lowered) = self.given_line(line, names) else {
                continue;
            };
            if let Some(first) = given.iter().find(|other| super::same_key(other, &lowered)) {
                let first = first.span;
                self.given_twice(line.span, first);
            } else {
                given.push(lowered);
            }
        }
        (given, stubs)
    }

    fn given_twice(&mut self, span: Span, first: Span) {
        self.report(
            Diagnostic::error("duplicate-name", span, "this is given twice")
                .and(first, "first here")
                .help("one line says what is answered first and what later: `V until ACTION then V`"),
        );
    }

    fn stub(&mut self, line: &GivenLine, names: &Names) -> Option<Stub> {
        let name = line.key.dotted();
        if !names.calls.contains(&name) {
            self.no_such(
                &line.key,
                &name,
                "run of another runbook",
                names.calls.iter().map(String::as_str),
            );
            return None;
        }
        let found = match &line.value.kind {
            GivenKind::Word(word) => OUTCOMES.iter().find(|(written, _)| *written == word.text),
            _ => None,
        };
        let Some((_, outcome)) = found else {
            let words: Vec<&str> = OUTCOMES.iter().map(|(word, _)| *word).collect();
            self.report(
                Diagnostic::error("unknown-value", line.value.span, "this is not how a runbook ends")
                    .help(format!("there is {}", super::super::names::listed(words))),
            );
            return None;
        };
        Some(Stub {
            name,
            outcome: (*outcome).to_owned(),
            span: line.span,
        })
    }

    fn given_line(&mut self, line: &GivenLine, names: &Names) -> Option<Given> {
        let name = line.key.dotted();
        let Some(used) = names.operations.get(&name) else {
            self.unknown_operation(&line.key, &name, names);
            return None;
        };
        let args = self.key_arguments(line, used)?;
        let ty = used.reply(&args);
        let mut replies = Vec::new();
        let mut right = true;
        let mut value = &line.value;
        loop {
            let (first, until, then) = match &value.kind {
                GivenKind::Until { first, until, then } => (&**first, Some(until), Some(&**then)),
                _ => (value, None, None),
            };
            let until = match until {
                None => None,
                Some(until) => match self.until(until, names) {
                    Some(until) => Some(until),
                    None => {
                        right = false;
                        Some(Until::Once)
                    }
                },
            };
            match self.reply(first, used.operation.effect, &ty) {
                Some(kind) => replies.push(Reply { kind, until }),
                None => right = false,
            }
            let Some(then) = then else { break };
            value = then;
        }
        right.then(|| Given {
            operation: Arc::clone(&used.operation),
            args,
            ty,
            replies,
            span: line.span,
        })
    }

    fn unknown_operation(&mut self, key: &tree::Path, name: &str, names: &Names) {
        let root = key.parts.first().map(|part| part.text.clone()).unwrap_or_default();
        let path = name.split_once('.').map_or("", |(_, path)| path);
        let file = self.scope.file;
        let exists = self
            .checker
            .provider(file, &root)
            .is_some_and(|provider| provider.find(path).is_some());
        let message = if exists {
            format!("this runbook never calls `{name}`")
        } else {
            format!("there is no operation `{name}`")
        };
        let finding = Diagnostic::error("unknown-operation", key.span, message);
        let written = Name {
            text: name.to_owned(),
            span: key.span,
        };
        let finding = self
            .checker
            .suggest(finding, &written, names.operations.keys().map(String::as_str), true);
        self.report(finding);
    }

    fn key_arguments(&mut self, line: &GivenLine, used: &Used) -> Option<Vec<(Arc<str>, Value)>> {
        let Some(args) = &line.args else {
            return Some(Vec::new());
        };
        let operation = &used.operation;
        let wanted: Vec<Wanted> = operation
            .params
            .iter()
            .map(|param| Wanted {
                name: Arc::clone(&param.name),
                ty: param.ty.clone(),
                optional: true,
            })
            .collect();
        let values = self.arguments(&operation.full_name(), &wanted, args, line.key.span, false);
        let mut found = Vec::new();
        for (param, value) in wanted.iter().zip(values) {
            let Some((expr, _)) = value else { continue };
            found.push((Arc::clone(&param.name), self.literal(&expr)?));
        }
        Some(found)
    }

    pub(super) fn until(&mut self, until: &tree::Until, names: &Names) -> Option<Until> {
        match until {
            tree::Until::Once => Some(Until::Once),
            tree::Until::Elapsed(time) => Some(Until::Elapsed(self.duration(time))),
            tree::Until::Action(path) => {
                let name = path.dotted();
                if names.actions.contains_key(&name) {
                    return Some(Until::Action(name));
                }
                self.no_such(path, &name, "action", names.actions.keys().map(String::as_str));
                None
            }
        }
    }

    fn reply(&mut self, written: &GivenValue, effect: Effect, ty: &Type) -> Option<ReplyKind> {
        let change = matches!(effect, Effect::Change | Effect::Tell);
        match &written.kind {
            GivenKind::Fails(text) => Some(ReplyKind::Fails(text.literal().unwrap_or_default())),
            GivenKind::Done { after } if change => Some(ReplyKind::Done {
                after: after.as_ref().map_or(Duration::ZERO, |after| self.duration(after)),
                result: None,
            }),
            GivenKind::Done { .. } => {
                self.report(
                    Diagnostic::error("type-mismatch", written.span, "a read answers with a value")
                        .help("`done` is said of changes; give what the read replies"),
                );
                None
            }
            GivenKind::Word(word) if not_had(&word.text).is_some() => not_had(&word.text).map(ReplyKind::NotHad),
            _ if change && matches!(ty, Type::Nothing) => {
                self.report(
                    Diagnostic::error("type-mismatch", written.span, "this change has no result")
                        .help("write `done`, `fails \"…\"`, `timeout`, `denied` or `unknown`"),
                );
                None
            }
            _ => {
                let value = self.given(written, ty)?;
                Some(if change {
                    ReplyKind::Done {
                        after: Duration::ZERO,
                        result: Some(value),
                    }
                } else {
                    ReplyKind::Value(value)
                })
            }
        }
    }

    /// Reports a name that the runbook does not have.
    pub(super) fn no_such<'a>(
        &mut self,
        path: &tree::Path,
        name: &str,
        what: &str,
        known: impl Iterator<Item = &'a str>,
    ) {
        let finding = Diagnostic::error("unknown-name", path.span, format!("the runbook has no {what} `{name}`"));
        let written = Name {
            text: name.to_owned(),
            span: path.span,
        };
        let finding = self.checker.suggest(finding, &written, known, true);
        self.report(finding);
    }
}
