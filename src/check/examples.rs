//! Examples of library checks: what is given, and what the answer is then.

use super::scope::Body;
use crate::diagnostic::Diagnostic;
use crate::program::{BindingId, BindingKind, ExampleCase, Program};
use crate::syntax::tree::{self, ClauseKind, Example, Name};
use crate::value::Answer;
use std::collections::HashMap;

impl Body<'_, '_> {
    /// Adds the examples of a check to the program.
    pub fn examples(&mut self, question: &tree::Question, id: BindingId, program: &mut Program) {
        let tree::QuestionForm::Block(block) = &question.form else {
            return;
        };
        let mut known: HashMap<String, BindingId> = HashMap::new();
        for (index, binding) in self.bindings.iter().enumerate() {
            if matches!(binding.kind, BindingKind::Param { .. }) {
                known.insert(binding.name.clone(), BindingId(index));
            }
        }
        let mut fields: HashMap<String, BindingId> = HashMap::new();
        if let BindingKind::Question(question) = &self.bindings[id.0].kind {
            for (name, field) in &question.fields {
                fields.insert(name.to_string(), *field);
            }
        }
        let mut titles: HashMap<String, crate::source::Span> = HashMap::new();
        for clause in &block.clauses {
            let ClauseKind::Example(example) = &clause.kind else {
                continue;
            };
            let title = example.title.literal().unwrap_or_default();
            if let Some(first) = titles.insert(title.clone(), example.title.span) {
                self.report(
                    Diagnostic::error("duplicate-name", example.title.span, "two examples have this title")
                        .and(first, "first here"),
                );
                continue;
            }
            if let Some(case) = self.example(&question.name, &title, example, id, &known, &fields) {
                program.examples.push(case);
            }
        }
    }

    fn example(
        &mut self,
        check: &Name,
        title: &str,
        example: &Example,
        question: BindingId,
        params: &HashMap<String, BindingId>,
        fields: &HashMap<String, BindingId>,
    ) -> Option<ExampleCase> {
        let mut given = Vec::with_capacity(example.given.len());
        let mut right = true;
        for (name, value) in &example.given {
            let found = params.get(&name.text).or_else(|| {
                fields
                    .get(&name.text)
                    .filter(|id| matches!(self.bindings[id.0].kind, BindingKind::Read(_)))
            });
            let Some(id) = found.copied() else {
                right = false;
                let finding = Diagnostic::error(
                    "unknown-name",
                    name.span,
                    format!("`{}` is no parameter or read of `{}`", name.text, check.text),
                );
                let names: Vec<&str> = params.keys().chain(fields.keys()).map(String::as_str).collect();
                let finding = self.checker.suggest(finding, name, names, true);
                self.report(finding);
                continue;
            };
            let ty = self.bindings[id.0].ty.clone();
            match self.given(value, &ty) {
                Some(value) => given.push((id, value)),
                None => right = false,
            }
        }
        let answer = match example
            .answer
            .as_ref()
            .map(|answer| (answer.text.as_str(), answer.span))
        {
            Some(("yes", _)) => Answer::Yes,
            Some(("no", _)) => Answer::No,
            Some(("unknown", _)) => Answer::Unknown,
            Some((other, span)) => {
                self.report(
                    Diagnostic::error("unknown-value", span, format!("`{other}` is no answer"))
                        .help("an answer is `yes`, `no` or `unknown`"),
                );
                return None;
            }
            None => return None,
        };
        let mut expected = Vec::with_capacity(example.fields.len());
        for (name, value) in &example.fields {
            let Some(id) = fields.get(&name.text).copied() else {
                right = false;
                let finding = Diagnostic::error(
                    "unknown-field",
                    name.span,
                    format!("the question `{}` has no field `{}`", check.text, name.text),
                );
                let finding = self
                    .checker
                    .suggest(finding, name, fields.keys().map(String::as_str), true);
                self.report(finding);
                continue;
            };
            let ty = self.bindings[id.0].ty.clone();
            let value = tree::GivenValue {
                kind: tree::GivenKind::Expr(value.clone()),
                span: value.span,
            };
            match self.given(&value, &ty) {
                Some(value) => expected.push((id, value)),
                None => right = false,
            }
        }
        right.then(|| ExampleCase {
            name: format!("{}: {title}", check.text),
            span: example.span,
            bindings: self.bindings.clone(),
            question,
            given,
            answer,
            fields: expected,
        })
    }
}
