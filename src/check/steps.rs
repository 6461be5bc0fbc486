//! Steps: what stands between task and result, in causes, arms and loops.

use super::call::{Place, Wanted};
use super::outcome::After;
use super::question::PERSON;
use super::scope::{Body, What};
use super::types::described;
use crate::diagnostic::Diagnostic;
use crate::program::{Advice, BindingKind, Branch, Cause, Each, Expr, Outcome, RunbookId, Step, StepKind, Template};
use crate::source::Span;
use crate::syntax::tree::{self, AskForm, Block, Clause, ClauseKind, ItemKind};
use crate::value::{Type, Value};
use std::sync::Arc;

/// A runbook that is run, its arguments, and its title as a question.
pub type Run = (RunbookId, Vec<(Arc<str>, Expr)>, Template);

/// What a step stands in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    pub in_cause: bool,
    /// A library item on its own: where it will be used is not known.
    pub library: bool,
}

impl Body<'_, '_> {
    /// The steps of a block with names of its own.
    pub fn block(&mut self, block: &Block, around: Around, place: &str) -> Vec<Step> {
        self.scope.enter();
        let mut steps = Vec::with_capacity(block.clauses.len());
        for clause in &block.clauses {
            if matches!(clause.kind, ClauseKind::Junk) {
                self.effects.unclear_all = true;
                continue;
            }
            match self.step(clause, around) {
                Some(lowered) => steps.extend(lowered),
                None => self.misplaced(clause, place),
            }
        }
        self.scope.leave();
        steps
    }

    /// A step; the outer `None` when the clause is none, the inner one when it was wrong and reported.
    pub fn step(&mut self, clause: &Clause, around: Around) -> Option<Option<Step>> {
        let span = clause.span;
        let kind = match &clause.kind {
            ClauseKind::Prose(prose) => Some(StepKind::Prose(self.template(&prose.text))),
            ClauseKind::Read { name, ty, call, within } => self
                .read(name, ty.as_ref(), call, within.as_ref(), "", true)
                .map(StepKind::Evaluate),
            ClauseKind::Let { name, ty, value } => {
                Some(StepKind::Evaluate(self.let_clause(name, ty.as_ref(), value, "", true)))
            }
            ClauseKind::Question(question) if question.kind == tree::QuestionKind::Check => {
                self.question(question).map(StepKind::Evaluate)
            }
            ClauseKind::Ask {
                name,
                title,
                within,
                form,
            } => Some(self.ask(name, title, within.as_ref(), form)),
            ClauseKind::Branch { title, body } => Some(StepKind::Branch(self.branch(title, body, clause, around))),
            ClauseKind::Action(action) => self.action(action, around).map(StepKind::Action),
            ClauseKind::Manual {
                name,
                title,
                within,
                body,
            } => Some(StepKind::Action(self.manual(
                name,
                title,
                within.as_ref(),
                body.as_ref(),
                around,
            ))),
            ClauseKind::Require { condition, otherwise } => {
                let condition = self.condition(condition, false);
                let otherwise = self.guard(otherwise.as_ref(), clause, around);
                Some(StepKind::Require { condition, otherwise })
            }
            ClauseKind::Wait {
                condition,
                within,
                every,
                otherwise,
            } => {
                let condition = self.condition(condition, true);
                let within = self.deadline(within.as_ref(), clause.keyword);
                let every = every
                    .as_ref()
                    .map_or(super::action::EVERY, |every| self.duration(every));
                let otherwise = self.guard(otherwise.as_ref(), clause, around);
                Some(StepKind::Wait {
                    condition,
                    within,
                    every,
                    otherwise,
                })
            }
            ClauseKind::Each(each) => self.each(each, around).map(StepKind::Each),
            ClauseKind::Run(call) => self
                .run_call(call)
                .map(|(runbook, args, _)| StepKind::Run { runbook, args }),
            ClauseKind::Tell(call) => self.call(call, Place::Tell).map(|called| StepKind::Tell(called.call)),
            ClauseKind::Advise { title, body } => {
                Some(StepKind::Advise(self.advice(title, body.as_ref(), clause.span)))
            }
            ClauseKind::Stop(reason) => Some(StepKind::Stop(self.template(reason))),
            ClauseKind::Escalate => Some(StepKind::Escalate),
            ClauseKind::Junk => None,
            _ => return None,
        };
        Some(kind.map(|kind| Step { kind, span }))
    }

    /// `else …` of a guard.
    fn guard(&mut self, written: Option<&tree::Outcome>, clause: &Clause, around: Around) -> Outcome {
        match written {
            Some(written) => self.outcome(written, After::Guard, around.in_cause),
            None => {
                let word = self.checker.sources.text(clause.keyword).to_owned();
                self.report(
                    Diagnostic::error(
                        "missing-clause",
                        clause.keyword,
                        format!("`{word}` does not say what happens otherwise"),
                    )
                    .help("add `else escalate`, `else stop \"…\"` or `else next step`"),
                );
                Self::default_outcome(clause.span)
            }
        }
    }

    fn ask(&mut self, name: &tree::Name, title: &tree::Text, within: Option<&tree::Expr>, form: &AskForm) -> StepKind {
        let title = self.template(title);
        let (choices, ty) = match form {
            AskForm::Text => (None, Type::Text),
            AskForm::Choose(list) => {
                let list = self.expression(list, None);
                let of = match &list.ty {
                    Type::List(of) => (**of).clone(),
                    Type::Any => Type::Any,
                    other => {
                        let finding =
                            Diagnostic::error("type-mismatch", list.span, "a list to choose from is due here")
                                .label(format!("this is {}", described(other)));
                        self.report(finding);
                        Type::Any
                    }
                };
                (Some(list), of)
            }
        };
        let within = within.map_or(PERSON, |within| self.duration(within));
        let id = self.bind(
            name.text.clone(),
            name.span,
            ty,
            BindingKind::Ask { title, choices, within },
        );
        self.declare(name, What::Binding(id));
        StepKind::Evaluate(id)
    }

    /// Advice with its prose.
    pub fn advice(&mut self, title: &tree::Text, body: Option<&Block>, span: Span) -> Advice {
        let title = self.template(title);
        let mut prose = Vec::new();
        for clause in body.iter().flat_map(|body| &body.clauses) {
            match &clause.kind {
                ClauseKind::Prose(text) => prose.push(self.template(&text.text)),
                _ => self.misplaced(clause, "advice"),
            }
        }
        Advice { title, prose, span }
    }

    fn branch(&mut self, title: &tree::Text, body: &Block, branch: &Clause, around: Around) -> Branch {
        let mut lowered = Branch {
            title: self.template(title),
            prose: Vec::new(),
            causes: Vec::new(),
            otherwise: Vec::new(),
            cannot_tell: Vec::new(),
            merged: false,
            once: around.in_cause,
            span: branch.span,
        };
        let mut otherwise: Option<Span> = None;
        let mut cannot_tell: Option<Span> = None;
        let mut junk = false;
        let inside = Around {
            in_cause: true,
            ..around
        };
        // The arms are behind the last cause: there is no next one.
        let arm = around;
        for clause in &body.clauses {
            match &clause.kind {
                ClauseKind::Prose(prose) => lowered.prose.push(self.template(&prose.text)),
                ClauseKind::Cause {
                    name,
                    title,
                    when,
                    body,
                } => {
                    if let Some(behind) = otherwise.or(cannot_tell) {
                        self.out_of_order(clause, behind);
                    }
                    let when = match when {
                        Some(when) => self.condition(when, false),
                        None => {
                            self.report(
                                Diagnostic::error("missing-clause", name.span, "this cause does not say when it holds")
                                    .help("add `when …` behind its title"),
                            );
                            super::scope::error(name.span)
                        }
                    };
                    let title = self.template(title);
                    self.declare(name, What::Label);
                    let steps = self.block(body, inside, "a cause");
                    lowered.causes.push(Cause {
                        name: name.text.clone(),
                        title,
                        when,
                        steps,
                        span: clause.span,
                    });
                }
                ClauseKind::Otherwise {
                    cannot_tell: both,
                    body,
                } => {
                    if let Some(first) = otherwise {
                        self.twice(clause, first);
                        continue;
                    }
                    if let (true, Some(first)) = (*both, cannot_tell) {
                        self.twice(clause, first);
                    }
                    otherwise = Some(clause.keyword);
                    let steps = self.block(body, arm, "an arm");
                    if *both {
                        cannot_tell = Some(clause.keyword);
                        lowered.merged = true;
                        lowered.cannot_tell.clone_from(&steps);
                    }
                    lowered.otherwise = steps;
                }
                ClauseKind::CannotTell(body) => {
                    if let Some(first) = cannot_tell {
                        self.twice(clause, first);
                        continue;
                    }
                    cannot_tell = Some(clause.keyword);
                    lowered.cannot_tell = self.block(body, arm, "an arm");
                }
                ClauseKind::Junk => {
                    junk = true;
                    self.effects.unclear_all = true;
                }
                _ => self.misplaced(clause, "a branch"),
            }
        }
        if lowered.causes.is_empty() && !junk {
            self.report(
                Diagnostic::error("missing-clause", branch.keyword, "this branch has no cause")
                    .help("add `cause NAME \"…\" when … { … }`"),
            );
        }
        if !junk {
            self.missing_arms(branch, body, otherwise, cannot_tell);
        }
        lowered
    }

    fn missing_arms(&mut self, branch: &Clause, body: &Block, otherwise: Option<Span>, cannot_tell: Option<Span>) {
        let indent = " ".repeat(self.checker.sources.line_column(branch.span).1 - 1);
        let end = (body.span.end as usize).saturating_sub(1);
        let at = Span::new(body.span.file, end, end);
        let arm = |words: &str| format!("  {words} {{\n{indent}    escalate\n{indent}  }}\n{indent}");
        let (rule, message, words) = match (otherwise, cannot_tell) {
            (Some(_), Some(_)) => return,
            (None, None) => (
                "missing-otherwise",
                "this branch does not say what happens when no cause holds, or when nobody can tell",
                "otherwise or cannot tell",
            ),
            (None, Some(_)) => (
                "missing-otherwise",
                "this branch does not say what happens when no cause holds",
                "otherwise",
            ),
            (Some(_), None) => (
                "missing-cannot-tell",
                "this branch does not say what happens when nobody can tell which cause holds",
                "cannot tell",
            ),
        };
        self.report(
            Diagnostic::error(rule, branch.keyword, message)
                .help(format!("add `{words} {{ … }}` behind the causes"))
                .edit(at, arm(words)),
        );
    }

    fn each(&mut self, each: &tree::Each, around: Around) -> Option<Each> {
        let list = self.expression(&each.list, None);
        let element = match &list.ty {
            Type::List(of) => (**of).clone(),
            Type::Any => Type::Any,
            other => {
                let finding = Diagnostic::error("type-mismatch", list.span, "a list is due here")
                    .label(format!("this is {}", described(other)));
                self.report(finding);
                Type::Any
            }
        };
        let at_most = match &each.at_most {
            Some(at_most) => self.expect(at_most, &Type::Int),
            None => {
                self.report(
                    Diagnostic::error("missing-clause", each.name.span, "this repetition has no bound")
                        .help("add `at most 10` behind the list: a longer one is not treated and escalates"),
                );
                super::scope::error(each.name.span)
            }
        };
        let mut batches = Vec::with_capacity(each.batches.len());
        for written in &each.batches {
            let size = self.expression(written, None);
            if !matches!(size.ty, Type::Int | Type::Ratio | Type::Any) {
                let finding = Diagnostic::error(
                    "type-mismatch",
                    size.span,
                    "a number of elements or a share is due here",
                )
                .label(format!("this is {}", described(&size.ty)));
                self.report(finding);
            }
            batches.push(size);
        }
        let stop_after = match &each.stop_after {
            None => 1,
            Some(written) => {
                let value = self.expect(written, &Type::Int);
                match super::constant::constant(&value, &self.constants) {
                    Some(Value::Int(number)) if (1..=i64::from(u32::MAX)).contains(&number) => {
                        u32::try_from(number).unwrap_or(1)
                    }
                    _ if matches!(value.ty, Type::Any) => 1,
                    _ => {
                        self.report(
                            Diagnostic::error("not-constant", value.span, "this number must be known before the run")
                                .help("write the number itself, 1 or more"),
                        );
                        1
                    }
                }
            }
        };
        let element_id = self.bind(each.name.text.clone(), each.name.span, element, BindingKind::Element);
        let first = self.bindings.len();
        self.scope.enter();
        self.declare(&each.name, What::Binding(element_id));
        let steps = self.block(&each.body, around, "a repetition");
        self.scope.leave();
        self.forget_lets_from(first);
        Some(Each {
            element: element_id,
            list,
            at_most,
            batches,
            stop_after,
            steps,
            inner: first..self.bindings.len(),
        })
    }

    /// `run RUNBOOK(args)`: the runbook, its arguments, and its title as a question.
    pub fn run_call(&mut self, written: &tree::Expr) -> Option<Run> {
        let written = super::expression::strip(written);
        let (callee, args): (&tree::Expr, &[tree::Arg]) = match &written.kind {
            tree::ExprKind::Call { callee, args } => (callee, args),
            tree::ExprKind::Name(_) => (written, &[]),
            tree::ExprKind::Error => return None,
            _ => {
                self.report(Diagnostic::error(
                    "type-mismatch",
                    written.span,
                    "the name of a runbook is due here",
                ));
                return None;
            }
        };
        let Some(item) = self.library_item(callee, "runbook") else {
            self.effects.unclear_all = true;
            return None;
        };
        let tree = self.checker.tree(item.file);
        let ItemKind::Runbook(runbook) = &tree.items[item.item].kind else {
            return None;
        };
        let site = self.place(callee.span);
        self.effects.note(3, &runbook.name.text, site);
        let wanted: Vec<Wanted> = self.wanted(item.file, &runbook.params);
        let values = self.arguments(&runbook.name.text, &wanted, args, callee.span, false);
        let args = wanted
            .into_iter()
            .zip(values)
            .filter_map(|(param, value)| value.map(|(value, _)| (param.name, value)))
            .collect();
        let title = match &runbook.title {
            Some(title) => title.literal().unwrap_or_else(|| runbook.name.text.clone()),
            None => runbook.name.text.clone(),
        };
        let id = self.checker.runbook(item);
        self.runs.push((id, callee.span));
        Some((id, args, Template::literal(title)))
    }
}
