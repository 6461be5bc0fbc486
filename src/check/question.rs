//! Checks and symptoms, those of libraries put in place, and reads and lets.

use super::call::{Place, Wanted};
use super::expression::strip;
use super::members::answer_type;
use super::modules::ItemRef;
use super::scope::{Body, Scope, What, error, reference};
use super::types::{core, decodable, described, fits};
use crate::diagnostic::Diagnostic;
use crate::program::{BindingId, BindingKind, Expr, ExprKind, Question, QuestionForm, Template};
use crate::source::Span;
use crate::syntax::tree::{self, Arg, Block, ClauseKind, Name, QuestionKind, TypeExpr};
use crate::value::Type;
use std::sync::Arc;
use std::time::Duration;

/// How long a person has when nothing is written.
pub const PERSON: Duration = Duration::from_secs(15 * 60);
/// Deepest chain of library checks and actions.
const INLINE_DEPTH: usize = crate::limits::INLINE_DEPTH;

/// What a question gives to the names around it.
struct Asked {
    form: QuestionForm,
    title: Template,
    prose: Vec<Template>,
    fields: Vec<(Arc<str>, BindingId)>,
    library: Option<String>,
}

/// A library item with its arguments bound.
pub struct Placed {
    pub outer: Scope,
    site: Option<Span>,
}

impl Body<'_, '_> {
    /// `read NAME = …`; `prefix` names the check around it.
    pub fn read(
        &mut self,
        name: &Name,
        ty: Option<&TypeExpr>,
        call: &tree::Expr,
        within: Option<&tree::Expr>,
        prefix: &str,
        unique: bool,
    ) -> Option<BindingId> {
        let written = ty.map(|ty| {
            let file = self.scope.file;
            (self.checker.resolve(file, ty), ty.span)
        });
        let called = self.call(call, Place::Read);
        let within = within.map(|within| self.duration(within));
        let Some(called) = called else {
            self.declare_name(name, What::Broken, unique);
            return None;
        };
        let mut call = called.call;
        if let Some(within) = within {
            call.within = within;
        }
        let mut reply = called.reply;
        if let Some((want, span)) = written {
            if fits(&reply, &want) {
                if !matches!(want, Type::Any) {
                    reply = want;
                }
            } else if reads_as(&reply, &want) {
                call.decode = Some(want.clone());
                reply = want;
            } else {
                let finding = Diagnostic::error("type-mismatch", span, "the reply cannot be read as this")
                    .label(format!("the reply is {}", described(&reply)));
                self.report(finding);
                reply = Type::Any;
            }
        }
        if matches!(reply, Type::Nothing) {
            let finding = Diagnostic::error(
                "type-mismatch",
                call.span,
                format!("`{}` replies nothing that could be named", call.operation.full_name()),
            );
            self.report(finding);
            reply = Type::Any;
        }
        let id = self.bind(
            format!("{prefix}{}", name.text),
            name.span,
            reply,
            BindingKind::Read(call),
        );
        self.declare_name(name, What::Binding(id), unique);
        Some(id)
    }

    /// `let NAME = …`
    pub fn let_clause(
        &mut self,
        name: &Name,
        ty: Option<&TypeExpr>,
        value: &tree::Expr,
        prefix: &str,
        unique: bool,
    ) -> BindingId {
        let value = self.value_of_let(ty, value);
        let ty = value.ty.clone();
        let id = self.bind(format!("{prefix}{}", name.text), name.span, ty, BindingKind::Let(value));
        self.declare_name(name, What::Binding(id), unique);
        id
    }

    /// A check or symptom of a runbook, with its name.
    pub fn question(&mut self, question: &tree::Question) -> Option<BindingId> {
        if let Some(param) = question.params.first() {
            self.report(
                Diagnostic::error(
                    "misplaced-clause",
                    param.span,
                    "only a check of a module has parameters",
                )
                .help("put it at the top level of a module, or use the runbook's names in it"),
            );
        }
        let symptom = question.kind == QuestionKind::Symptom;
        let asked = self.asked(question, &question.name.text);
        let Some(asked) = asked else {
            self.declare(&question.name, What::Broken);
            return None;
        };
        let id = self.bind_question(&question.name.text, question.name.span, symptom, asked);
        self.declare(&question.name, What::Binding(id));
        Some(id)
    }

    fn bind_question(&mut self, name: &str, span: Span, symptom: bool, asked: Asked) -> BindingId {
        let fields = asked
            .fields
            .iter()
            .map(|(field, id)| (Arc::clone(field), self.bindings[id.0].ty.clone()))
            .collect();
        let ty = answer_type(fields);
        self.bind(
            name,
            span,
            ty,
            BindingKind::Question(Question {
                symptom,
                title: asked.title,
                prose: asked.prose,
                form: asked.form,
                fields: asked.fields,
                library: asked.library,
            }),
        )
    }

    fn asked(&mut self, question: &tree::Question, name: &str) -> Option<Asked> {
        let written_title = question.title.as_ref();
        match &question.form {
            tree::QuestionForm::Block(block) => {
                if written_title.is_none() {
                    self.report(
                        Diagnostic::error("missing-clause", question.name.span, "this check has no question")
                            .help("write it behind the name, in double quotes, with a question mark"),
                    );
                }
                let mut asked = self.question_block(block, name, question.name.span)?;
                if let Some(title) = written_title {
                    asked.title = self.question_title(title, &asked.fields);
                }
                Some(asked)
            }
            tree::QuestionForm::Observed { by, within, body } => {
                let title = match written_title {
                    Some(title) => self.template(title),
                    None => {
                        self.report(
                            Diagnostic::error("missing-clause", question.name.span, "this check has no question")
                                .help("write behind the name what the person is asked"),
                        );
                        Template::default()
                    }
                };
                if let Some(role) = by {
                    self.role(role);
                }
                let within = within.as_ref().map_or(PERSON, |within| self.duration(within));
                let mut prose = Vec::new();
                for clause in body.iter().flat_map(|body| &body.clauses) {
                    match &clause.kind {
                        ClauseKind::Prose(text) => prose.push(self.template(&text.text)),
                        _ => self.misplaced(clause, "an observed question"),
                    }
                }
                Some(Asked {
                    form: QuestionForm::Observed {
                        by: by.as_ref().map(|role| role.text.clone()),
                        within,
                    },
                    title,
                    prose,
                    fields: Vec::new(),
                    library: None,
                })
            }
            tree::QuestionForm::Alias(expr) => {
                let mut asked = self.alias(expr, name)?;
                if let Some(title) = written_title {
                    asked.title = self.template(title);
                }
                Some(asked)
            }
            tree::QuestionForm::Run(expr) => {
                let (runbook, args, title) = self.run_call(expr)?;
                let title = match written_title {
                    Some(title) => self.template(title),
                    None => title,
                };
                Some(Asked {
                    form: QuestionForm::Run { runbook, args },
                    title,
                    prose: Vec::new(),
                    fields: Vec::new(),
                    library: None,
                })
            }
        }
    }

    /// The title of a question may show its fields.
    fn question_title(&mut self, title: &tree::Text, fields: &[(Arc<str>, BindingId)]) -> Template {
        self.scope.enter();
        for (field, id) in fields {
            let name = Name {
                text: field.to_string(),
                span: self.bindings[id.0].span,
            };
            self.declare_name(&name, What::Binding(*id), false);
        }
        let template = self.template(title);
        self.scope.leave();
        template
    }

    /// Reads, lets and `yes when` of a question.
    fn question_block(&mut self, block: &Block, name: &str, name_span: Span) -> Option<Asked> {
        let prefix = format!("{name}.");
        let mut fields: Vec<(Arc<str>, BindingId)> = Vec::new();
        let mut prose = Vec::new();
        let mut answer: Option<(Expr, Span)> = None;
        let outer = std::mem::replace(&mut self.question, true);
        self.scope.enter();
        let mut junk = false;
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Prose(text) => prose.push(self.template(&text.text)),
                ClauseKind::Read { name, ty, call, within } => {
                    if let Some(id) = self.read(name, ty.as_ref(), call, within.as_ref(), &prefix, false) {
                        fields.push((name.text.as_str().into(), id));
                    }
                }
                ClauseKind::Let { name, ty, value } => {
                    let id = self.let_clause(name, ty.as_ref(), value, &prefix, false);
                    fields.push((name.text.as_str().into(), id));
                }
                ClauseKind::YesWhen(condition) => {
                    if let Some((_, first)) = &answer {
                        let first = *first;
                        self.twice(clause, first);
                        continue;
                    }
                    self.reply_alone(condition);
                    answer = Some((self.condition(condition, false), clause.keyword));
                }
                ClauseKind::Example(example) => {
                    if self.inlining.is_empty() && !self.examples_allowed() {
                        self.report(
                            Diagnostic::error(
                                "misplaced-clause",
                                clause.keyword,
                                "an example belongs to a check of a module",
                            )
                            .help("a runbook is tested with scenarios"),
                        );
                    }
                    let _ = example;
                }
                ClauseKind::Junk => junk = true,
                _ => self.misplaced(clause, "a check"),
            }
        }
        self.scope.leave();
        self.question = outer;
        let answer = match answer {
            Some((answer, _)) => answer,
            None => {
                if !junk && !self.broken() {
                    self.report(
                        Diagnostic::error("missing-clause", name_span, "nothing says when the answer is yes")
                            .help("add a line `yes when …`"),
                    );
                }
                error(name_span)
            }
        };
        Some(Asked {
            form: QuestionForm::YesWhen(answer),
            title: Template::default(),
            prose,
            fields,
            library: None,
        })
    }

    /// `yes when reply.ok` over a plain read: whoever asks that wants to know whether there is a reply.
    fn reply_alone(&mut self, condition: &tree::Expr) {
        let mut inner = strip(condition);
        if let tree::ExprKind::Not(negated) = &inner.kind {
            inner = strip(negated);
        }
        let tree::ExprKind::Field { subject, name } = &inner.kind else {
            return;
        };
        if name.text != "ok" {
            return;
        }
        if let tree::ExprKind::Name(root) = &subject.kind
            && let Some(What::Binding(id)) = self.scope.find(&root.text)
        {
            let subject = reference(id, self.bindings[id.0].ty.clone(), root.span);
            self.probe_is_due(&subject);
        }
    }

    /// `= library_check(…)`, `= any f(each xs)`
    fn alias(&mut self, expr: &tree::Expr, name: &str) -> Option<Asked> {
        let expr = strip(expr);
        match &expr.kind {
            tree::ExprKind::Call { callee, args } => {
                let item = self.library_item(callee, "check")?;
                if let Some(arg) = args.iter().find(|arg| arg.each) {
                    self.report(
                        Diagnostic::error(
                            "wrong-arguments",
                            arg.value.span,
                            "`each` gives many answers, one is due here",
                        )
                        .help("write `any …(each …)` or `all …(each …)`"),
                    );
                    return None;
                }
                self.inline_check(item, args, callee.span, name)
            }
            tree::ExprKind::FanOut { all, call } => self.fan_out(*all, call, name, expr.span),
            tree::ExprKind::Error => None,
            _ => {
                self.report(
                    Diagnostic::error("type-mismatch", expr.span, "a check of a library is due here")
                        .help("for example `check stuck = stuck_sessions(db)`; a computed answer is written `check NAME \"…?\" { yes when … }`"),
                );
                None
            }
        }
    }

    /// The library item a callee names.
    pub fn library_item(&mut self, callee: &tree::Expr, kind: &str) -> Option<ItemRef> {
        let tree::ExprKind::Name(name) = &callee.kind else {
            self.report(
                Diagnostic::error(
                    "type-mismatch",
                    callee.span,
                    format!("the name of an imported {kind} is due here"),
                )
                .help("import it first: `use std.….{…}`"),
            );
            return None;
        };
        let file = self.scope.file;
        match self.checker.symbol(file, &name.text) {
            Some(Some(item)) if self.item_kind(item) == Some(kind) => Some(item),
            Some(Some(item)) => {
                let found = self.item_kind(item).unwrap_or("something else");
                self.report(Diagnostic::error(
                    "type-mismatch",
                    name.span,
                    format!("`{}` is not a {kind} but a {found}", name.text),
                ));
                None
            }
            Some(None) => None,
            None => {
                let finding = Diagnostic::error(
                    "unknown-name",
                    name.span,
                    format!("there is no {kind} `{}` here", name.text),
                );
                if !self.checker.may_suggest() {
                    self.report(finding);
                    return None;
                }
                let names: Vec<String> = self.checker.entry(file).symbols.keys().cloned().collect();
                let known: Vec<&String> = names
                    .iter()
                    .filter(|known| {
                        matches!(self.checker.symbol(file, known), Some(Some(item)) if self.item_kind(item) == Some(kind))
                    })
                    .collect();
                let mut finding = self
                    .checker
                    .suggest(finding, name, known.iter().map(|known| known.as_str()), false);
                if finding.help.is_none() {
                    let help = self.checker.import(&name.text, &[kind]);
                    finding = finding.help(help.unwrap_or_else(|| "import it: `use MODULE.{…}`".to_owned()));
                }
                self.report(finding);
                None
            }
        }
    }

    /// Begins to put a library item in place: its scope has its file's names and its parameters.
    pub fn place_item(
        &mut self,
        item: ItemRef,
        params: &[tree::Param],
        args: &[Arg],
        callee: Span,
        name: &str,
    ) -> Option<Placed> {
        let full = self.checker.sources.text(callee).to_owned();
        if self.inlining.contains(&item) {
            self.report(
                Diagnostic::error("call-cycle", callee, format!("`{full}` uses itself"))
                    .help("a library item may use others, never itself"),
            );
            return None;
        }
        if self.inlining.len() >= INLINE_DEPTH {
            self.report(Diagnostic::error(
                "too-large",
                callee,
                format!("library items use each other more than {INLINE_DEPTH} deep"),
            ));
            return None;
        }
        if !self.may_inline(callee) {
            return None;
        }
        let wanted: Vec<Wanted> = self.wanted(item.file, params);
        let values = self.arguments(&full, &wanted, args, callee, false);
        let outer = std::mem::replace(&mut self.scope, Scope::new(item.file));
        let site = self.site;
        self.site = Some(site.unwrap_or(callee));
        self.inlining.push(item);
        for ((param, wanted), value) in params.iter().zip(wanted).zip(values) {
            let value = match (value, &param.default) {
                (Some((value, _)), _) => value,
                (None, Some(default)) => self.expect(default, &wanted.ty),
                (None, None) => Expr {
                    kind: ExprKind::Literal(crate::value::Value::None),
                    ty: wanted.ty.clone(),
                    span: callee,
                },
            };
            let id = self.bind(
                format!("{name}.{}", param.name.text),
                param.name.span,
                wanted.ty,
                BindingKind::Let(value),
            );
            self.declare_name(&param.name, What::Binding(id), false);
        }
        Some(Placed { outer, site })
    }

    /// Ends what [`Self::place_item`] began.
    pub fn leave_item(&mut self, placed: Placed) {
        self.scope = placed.outer;
        self.site = placed.site;
        self.inlining.pop();
    }

    fn inline_check(&mut self, item: ItemRef, args: &[Arg], callee: Span, name: &str) -> Option<Asked> {
        let tree = self.checker.tree(item.file);
        let tree::ItemKind::Clause(clause) = &tree.items[item.item].kind else {
            return None;
        };
        let ClauseKind::Question(question) = &clause.kind else {
            return None;
        };
        let placed = self.place_item(item, &question.params, args, callee, name)?;
        let asked = self.asked(question, name);
        self.leave_item(placed);
        let mut asked = asked?;
        asked.library = Some(self.checker.full_name(item.file, &question.name.text));
        Some(asked)
    }

    fn fan_out(&mut self, all: bool, call: &tree::Expr, name: &str, span: Span) -> Option<Asked> {
        let tree::ExprKind::Call { callee, args } = &strip(call).kind else {
            self.report(
                Diagnostic::error("type-mismatch", call.span, "a check of a library is due here")
                    .help("for example `any slow(each pods)`"),
            );
            return None;
        };
        let item = self.library_item(callee, "check")?;
        let mut each = args.iter().enumerate().filter(|(_, arg)| arg.each);
        let (Some((position, fanned)), None) = (each.next(), each.next()) else {
            self.report(
                Diagnostic::error("wrong-arguments", span, "one argument must stand behind `each`")
                    .help("for example `any slow(each pods)`"),
            );
            return None;
        };
        let over = self.expression(&fanned.value, None);
        let element = match &over.ty {
            Type::List(of) => (**of).clone(),
            Type::Any => return None,
            other => {
                let finding = Diagnostic::error("type-mismatch", over.span, "a list is due behind `each`")
                    .label(format!("this is {}", described(other)));
                self.report(finding);
                return None;
            }
        };
        let element_id = self.bind(
            format!("{name}.each"),
            fanned.value.span,
            element.clone(),
            BindingKind::Element,
        );
        let first = self.bindings.len();
        // The element takes the place of the list: it is known under a name no author can write.
        let hidden = Name {
            text: "each element".to_owned(),
            span: fanned.value.span,
        };
        self.scope.enter();
        self.declare_name(&hidden, What::Binding(element_id), false);
        let mut args: Vec<Arg> = args.clone();
        args[position] = Arg {
            name: fanned.name.clone(),
            each: false,
            value: tree::Expr {
                kind: tree::ExprKind::Name(hidden),
                span: fanned.value.span,
            },
        };
        let asked = self.inline_check(item, &args, callee.span, name);
        self.scope.leave();
        let asked = asked?;
        let library = asked.library.clone();
        let each = asked.title.source_text(&self.checker.sources);
        let title = Template::literal(format!(
            "For {} of {}: {each}",
            if all { "every one" } else { "any" },
            self.checker.sources.text(over.span)
        ));
        let inner = self.bind_question(&format!("{name}.each"), span, false, asked);
        self.forget_lets_from(first);
        Some(Asked {
            form: QuestionForm::FanOut {
                all,
                over,
                element: element_id,
                question: inner,
                inner: first..self.bindings.len(),
            },
            title,
            prose: Vec::new(),
            fields: Vec::new(),
            library,
        })
    }

    /// A library check on its own, its parameters being given from outside: for the examples of a module.
    pub fn lone_check(&mut self, item: ItemRef, question: &tree::Question) -> Option<BindingId> {
        self.inlining.push(item);
        for param in &question.params {
            let file = self.scope.file;
            let ty = self.checker.resolve(file, &param.ty);
            let default = param.default.as_ref().map(|default| self.expect(default, &ty));
            let id = self.bind(
                param.name.text.clone(),
                param.name.span,
                ty,
                BindingKind::Param { default },
            );
            self.declare_name(&param.name, What::Binding(id), false);
        }
        let asked = self.asked(question, &question.name.text);
        self.inlining.pop();
        let asked = asked?;
        Some(self.bind_question(&question.name.text, question.name.span, false, asked))
    }

    /// True when the file being checked is a module.
    fn examples_allowed(&self) -> bool {
        !self.checker.entry(self.scope.file).module.is_empty()
    }

    /// True when the parser reported something in this file: what is missing may be in what it did not understand.
    pub fn broken(&self) -> bool {
        self.checker.entry(self.scope.file).broken
    }
}

/// True when a reply of one type can be read as another, declared one.
fn reads_as(reply: &Type, want: &Type) -> bool {
    match (reply, want) {
        (Type::Json, want) => decodable(want),
        (Type::List(reply), Type::List(want)) => reads_as(reply, want),
        (Type::Optional(reply), Type::Optional(want)) => reads_as(reply, want),
        (reply, Type::Optional(want)) => reads_as(reply, want),
        (Type::Series(reply), Type::Series(want)) => {
            matches!(**reply, Type::Float | Type::Json) && super::types::is_numeric(want)
        }
        (Type::Float, want) => super::types::is_quantity(core(want)),
        _ => false,
    }
}
