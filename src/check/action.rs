//! Actions and manuals: their clauses, those of a library replaced by those written here, undo, and limits.

use super::orders::Ordered;
use super::outcome::After;
use super::question::{PERSON, Placed};
use super::scope::{Body, What, error};
use super::steps::Around;
use super::types::core;
use crate::diagnostic::Diagnostic;
use crate::program::{Action, ActionId, Approval, BindingKind, Expr, OrderKind, Outcome, Risk, Template, Undo, Verify};
use crate::source::Span;
use crate::syntax::tree::{self, Block, Clause, ClauseKind, Name};
use crate::value::Type;
use std::collections::HashMap;
use std::time::Duration;

/// How often a verification is asked when nothing is written.
pub const EVERY: Duration = Duration::from_secs(30);

/// The clauses of an action's block, sorted by what they are.
#[derive(Default)]
pub struct Parts<'t> {
    pub prose: Vec<&'t Clause>,
    pub single: HashMap<&'static str, &'t Clause>,
    /// `do` and `undo`, as they stand.
    pub orders: Vec<&'t Clause>,
    /// The parser did not understand a part of the block.
    pub junk: bool,
}

/// The clauses an action has once, in their order; `do` and `undo` stand between `refuse` and `verify`.
const SINGLE: [&str; 8] = [
    "when",
    "risk",
    "approve",
    "refuse",
    "verify",
    "failed",
    "unclear",
    "not approved",
];

fn single(kind: &ClauseKind) -> Option<&'static str> {
    Some(match kind {
        ClauseKind::When(_) => "when",
        ClauseKind::Risk(_) => "risk",
        ClauseKind::Approve { .. } => "approve",
        ClauseKind::Refuse { .. } => "refuse",
        ClauseKind::Verify { .. } => "verify",
        ClauseKind::Failed(_) => "failed",
        ClauseKind::Unclear(_) => "unclear",
        ClauseKind::NotApproved(_) => "not approved",
        _ => return None,
    })
}

fn rank(word: &str) -> usize {
    let position = SINGLE.iter().position(|known| *known == word).unwrap_or(0);
    // `do` and `undo` have rank 4.
    if position >= 4 { position + 1 } else { position }
}

impl Body<'_, '_> {
    pub(super) fn parts<'t>(&mut self, block: &'t Block, manual: bool) -> Parts<'t> {
        let mut parts = Parts::default();
        let mut highest: (usize, Span) = (0, block.span);
        let place = if manual { "a manual" } else { "an action" };
        for clause in &block.clauses {
            let at = match &clause.kind {
                ClauseKind::Prose(_) => {
                    parts.prose.push(clause);
                    continue;
                }
                ClauseKind::Junk => {
                    parts.junk = true;
                    continue;
                }
                ClauseKind::Do { .. } | ClauseKind::DoUndo(_) if !manual => {
                    parts.orders.push(clause);
                    4
                }
                ClauseKind::Order(_) if manual => {
                    parts.orders.push(clause);
                    4
                }
                ClauseKind::Undo(_) => {
                    parts.orders.push(clause);
                    4
                }
                ClauseKind::Do { .. } if manual => {
                    self.report(
                        Diagnostic::error(
                            "misplaced-clause",
                            clause.keyword,
                            "a manual is done by a person, in words",
                        )
                        .help("write the order in double quotes, `do \"…\"`, or make it an `action`"),
                    );
                    self.effects.unclear_all = true;
                    continue;
                }
                kind => match single(kind) {
                    Some(word) => {
                        if let Some(first) = parts.single.get(word) {
                            let first = first.keyword;
                            self.twice(clause, first);
                            continue;
                        }
                        parts.single.insert(word, clause);
                        rank(word)
                    }
                    None => {
                        self.misplaced(clause, place);
                        continue;
                    }
                },
            };
            if at < highest.0 {
                let word = self.checker.sources.text(clause.keyword).to_owned();
                let other = self.checker.sources.text(highest.1).to_owned();
                self.report(
                    Diagnostic::error(
                        "misplaced-clause",
                        clause.keyword,
                        format!("`{word}` stands behind `{other}`"),
                    )
                    .and(highest.1, "this comes later")
                    .help(
                        "the order is: when, risk, approve, refuse, do and undo, verify, failed, unclear, not approved",
                    ),
                );
            } else {
                highest = (at, clause.keyword);
            }
        }
        parts
    }

    /// An action among the steps.
    pub fn action(&mut self, action: &tree::Action, around: Around) -> Option<ActionId> {
        if let Some(param) = action.params.first() {
            self.report(
                Diagnostic::error(
                    "misplaced-clause",
                    param.span,
                    "only an action of a module has parameters",
                )
                .help("put it at the top level of a module, or use the runbook's names in it"),
            );
        }
        let own = action.body.as_ref().map(|block| self.parts(block, false));
        let id = match &action.alias {
            Some(alias) => self.alias_action(action, alias, own.unwrap_or_default(), around),
            None => {
                let Some(own) = own else {
                    self.report(
                        Diagnostic::error("missing-clause", action.name.span, "this action does nothing")
                            .help("write its clauses in braces, or `= library_action(…)`"),
                    );
                    self.declare(&action.name, What::Broken);
                    return None;
                };
                Some(self.whole_action(action, &own, &Parts::default(), None, around))
            }
        };
        match id {
            Some(id) => self.declare(&action.name, What::Action(id)),
            None => {
                self.effects.unclear_all = true;
                self.declare(&action.name, What::Broken);
            }
        }
        id
    }

    fn alias_action(
        &mut self,
        action: &tree::Action,
        alias: &tree::Expr,
        own: Parts<'_>,
        around: Around,
    ) -> Option<ActionId> {
        let alias = super::expression::strip(alias);
        let tree::ExprKind::Call { callee, args } = &alias.kind else {
            if !matches!(alias.kind, tree::ExprKind::Error) {
                self.report(
                    Diagnostic::error("type-mismatch", alias.span, "an action of a library is due here")
                        .help("for example `action end_stuck = end_sessions(stuck.sessions)`"),
                );
            }
            return None;
        };
        let item = self.library_item(callee, "action")?;
        let tree = self.checker.tree(item.file);
        let tree::ItemKind::Clause(clause) = &tree.items[item.item].kind else {
            return None;
        };
        let ClauseKind::Action(library) = &clause.kind else {
            return None;
        };
        let placed = self.place_item(item, &library.params, args, callee.span, &action.name.text)?;
        if let Some(block) = &library.body {
            let parts = self.parts(block, false);
            let merged = tree::Action {
                name: action.name.clone(),
                params: Vec::new(),
                title: library.title.clone(),
                alias: None,
                body: None,
            };
            let own_title = action.title.as_ref();
            Some(self.merged_action(&merged, own_title, &own, &parts, placed, around))
        } else {
            // An alias of an alias: one level at a time would be enough for nobody, so it is said plainly.
            self.leave_item(placed);
            self.report(
                Diagnostic::error("type-mismatch", callee.span, "this action only stands for another one")
                    .help("use that one"),
            );
            None
        }
    }

    fn merged_action(
        &mut self,
        action: &tree::Action,
        own_title: Option<&tree::Text>,
        own: &Parts<'_>,
        library: &Parts<'_>,
        placed: Placed,
        around: Around,
    ) -> ActionId {
        let mut placed = placed;
        let title = match own_title {
            Some(title) => {
                std::mem::swap(&mut self.scope, &mut placed.outer);
                let title = self.template(title);
                std::mem::swap(&mut self.scope, &mut placed.outer);
                title
            }
            None => action
                .title
                .as_ref()
                .map_or_else(Template::default, |title| self.template(title)),
        };
        let id = self.lower_action(&action.name, title, own, library, Some(&mut placed), around);
        self.leave_item(placed);
        id
    }

    fn whole_action(
        &mut self,
        action: &tree::Action,
        own: &Parts<'_>,
        library: &Parts<'_>,
        placed: Option<&mut Placed>,
        around: Around,
    ) -> ActionId {
        let title = match &action.title {
            Some(title) => self.template(title),
            None => {
                self.report(
                    Diagnostic::error("missing-clause", action.name.span, "this action has no order")
                        .help("write behind the name, in double quotes, what is done"),
                );
                Template::default()
            }
        };
        self.lower_action(&action.name, title, own, library, placed, around)
    }

    /// Runs `work` in the scope where a clause is written: the library's, or that of the block behind the alias.
    fn written_in<T>(&mut self, own: bool, placed: &mut Option<&mut Placed>, work: impl FnOnce(&mut Self) -> T) -> T {
        let (true, Some(placed)) = (own, placed) else {
            return work(self);
        };
        std::mem::swap(&mut self.scope, &mut placed.outer);
        let site = self.site.take();
        let inlining = std::mem::take(&mut self.inlining);
        let result = work(self);
        self.inlining = inlining;
        self.site = site;
        std::mem::swap(&mut self.scope, &mut placed.outer);
        result
    }

    /// An action from its own clauses and, where there is none of a kind, those of the library.
    fn lower_action(
        &mut self,
        name: &Name,
        title: Template,
        own: &Parts<'_>,
        library: &Parts<'_>,
        mut placed: Option<&mut Placed>,
        around: Around,
    ) -> ActionId {
        let id = ActionId(self.actions.len());
        let pick = |word: &str| -> Option<(&Clause, bool)> {
            own.single
                .get(word)
                .map(|clause| (*clause, true))
                .or_else(|| library.single.get(word).map(|clause| (*clause, false)))
        };
        let junk = own.junk || library.junk;
        let mut prose: Vec<Template> = Vec::new();
        for (parts, mine) in [(library, false), (own, true)] {
            for clause in &parts.prose {
                if let ClauseKind::Prose(text) = &clause.kind {
                    prose.push(self.written_in(mine, &mut placed, |body| body.template(&text.text)));
                }
            }
        }
        let when = pick("when").and_then(|(clause, mine)| match &clause.kind {
            ClauseKind::When(condition) => {
                Some(self.written_in(mine, &mut placed, |body| body.condition(condition, false)))
            }
            _ => None,
        });
        let risk = pick("risk").and_then(|(clause, _)| match &clause.kind {
            ClauseKind::Risk(word) => Some(self.risk(word)),
            _ => None,
        });
        let approve = pick("approve")
            .map(|(clause, mine)| self.written_in(mine, &mut placed, |body| body.approval(&clause.kind)));
        if risk.is_none() && !junk {
            self.missing(
                name,
                "this action does not say how risky it is",
                "add a line `risk low`, `risk medium` or `risk high`",
            );
        } else if approve.is_none() && !junk {
            self.missing(
                name,
                "this action does not say who approves it",
                "add a line, for example `approve by oncall within 15 min`",
            );
        }

        // `do` and `undo` as they stand; when only one of the two is replaced, the library's stands before or behind it.
        let is_undo = |clause: &&&Clause| matches!(clause.kind, ClauseKind::Undo(_));
        let own_undo = own.orders.iter().any(|clause| is_undo(&clause));
        let own_do = own.orders.iter().any(|clause| !is_undo(&clause));
        let mut sequence: Vec<(&Clause, bool)> = Vec::new();
        let of = |parts: &Parts<'_>| !parts.orders.is_empty();
        match (own_do, own_undo) {
            (true, true) => sequence.extend(own.orders.iter().map(|clause| (*clause, true))),
            (false, false) if of(library) => sequence.extend(library.orders.iter().map(|clause| (*clause, false))),
            (false, false) => {}
            (true, false) => {
                sequence.extend(own.orders.iter().map(|clause| (*clause, true)));
                sequence.extend(library.orders.iter().filter(is_undo).map(|clause| (*clause, false)));
            }
            (false, true) => {
                sequence.extend(
                    library
                        .orders
                        .iter()
                        .filter(|clause| !is_undo(clause))
                        .map(|clause| (*clause, false)),
                );
                sequence.extend(own.orders.iter().map(|clause| (*clause, true)));
            }
        }
        let mut orders: Vec<Ordered> = Vec::new();
        let mut undos: Vec<Undo> = Vec::new();
        let mut covered = 0;
        let mut failed_order = false;
        for (clause, mine) in &sequence {
            match &clause.kind {
                ClauseKind::Undo(undo) => {
                    let covers = covered..orders.len();
                    if covers.is_empty() && !failed_order && !junk {
                        self.report(
                            Diagnostic::error(
                                "misplaced-clause",
                                clause.keyword,
                                "there is nothing before this that it could take back",
                            )
                            .help("`undo` stands behind the `do` it takes back"),
                        );
                    }
                    let lowered = self.written_in(*mine, &mut placed, |body| {
                        body.undo(undo, name, &orders, covers.clone(), clause.span)
                    });
                    if let Some(lowered) = lowered {
                        undos.push(lowered);
                    }
                    covered = orders.len();
                }
                kind => {
                    let index = orders.len();
                    let order = self.written_in(*mine, &mut placed, |body| {
                        body.order(kind, clause.span, id, index, name)
                    });
                    match order {
                        Some(order) => orders.push(order),
                        None => failed_order = true,
                    }
                }
            }
        }
        if orders.is_empty() && !failed_order && !junk {
            self.missing(name, "this action does nothing", "add a line `do …`");
        } else if let Some(open) = orders[covered..]
            .iter()
            .find(|order| matches!(order.order.kind, OrderKind::Call { .. }))
            && !junk
        {
            let span = self.place(open.order.span);
            self.report(
                Diagnostic::error("missing-undo", span, "nothing says how this change is taken back")
                    .help("add behind it `undo restore`, `undo …` or `undo none because \"…\"`"),
            );
        }

        let refuse = pick("refuse").map(|(clause, mine)| {
            let ClauseKind::Refuse { above, noun } = &clause.kind else {
                return None;
            };
            self.written_in(mine, &mut placed, |body| {
                body.refuse(above, noun, &orders, failed_order)
            })
        });
        let unclear = matches!(refuse, Some(None)) || failed_order && refuse.is_none();
        if !unclear {
            self.bounded(&orders, refuse.as_ref().and_then(Option::as_ref));
        }
        let verify = pick("verify").and_then(|(clause, mine)| match &clause.kind {
            ClauseKind::Verify {
                condition,
                within,
                every,
            } => Some(self.written_in(mine, &mut placed, |body| {
                let condition = body.condition(condition, true);
                body.repeated(condition, within.as_ref(), every.as_ref(), clause.span, clause.keyword)
            })),
            _ => None,
        });
        if verify.is_none() && !junk {
            self.report(
                Diagnostic::error("missing-verify", name.span, "nobody looks whether this action worked")
                    .help("add a line, for example `verify not stuck within 5 min every 30 s`"),
            );
        }
        let failed = self.action_outcome(pick("failed"), After::Failed, &mut placed, around);
        if failed.is_none() && !junk {
            self.report(
                Diagnostic::error(
                    "missing-failed",
                    name.span,
                    "nothing says what happens when this action fails",
                )
                .help("add a line, for example `failed -> undo, escalate`"),
            );
        }
        let unclear = self.action_outcome(pick("unclear"), After::Unclear, &mut placed, around);
        let not_approved = self.action_outcome(pick("not approved"), After::NotApproved, &mut placed, around);
        let default = || Self::default_outcome(name.span);
        self.actions.push(Action {
            name: name.text.clone(),
            title,
            prose,
            span: name.span,
            manual: false,
            manual_within: PERSON,
            when,
            risk: risk.unwrap_or(Risk::Medium),
            approve,
            refuse: refuse.flatten(),
            orders: orders.into_iter().map(|order| order.order).collect(),
            undos,
            verify,
            failed: failed.unwrap_or_else(default),
            unclear: unclear.unwrap_or_else(default),
            not_approved: not_approved.unwrap_or_else(default),
        });
        id
    }

    fn missing(&mut self, name: &Name, message: &str, help: &str) {
        self.report(Diagnostic::error("missing-clause", name.span, message).help(help));
    }

    pub(super) fn action_outcome(
        &mut self,
        clause: Option<(&Clause, bool)>,
        after: After,
        placed: &mut Option<&mut Placed>,
        around: Around,
    ) -> Option<Outcome> {
        let (clause, mine) = clause?;
        let (ClauseKind::Failed(written) | ClauseKind::Unclear(written) | ClauseKind::NotApproved(written)) =
            &clause.kind
        else {
            return None;
        };
        // A library action may say `next cause`; used outside a cause that is its user's mistake to settle, not the library's.
        let in_cause = around.in_cause || placed.is_none() && around.library;
        Some(self.written_in(mine, placed, |body| body.outcome(written, after, in_cause)))
    }

    pub(super) fn risk(&mut self, word: &Name) -> Risk {
        match word.text.as_str() {
            "low" => Risk::Low,
            "medium" => Risk::Medium,
            "high" => Risk::High,
            _ => {
                let finding = Diagnostic::error("unknown-value", word.span, format!("`{}` is no risk", word.text));
                let finding = self.checker.suggest(finding, word, ["low", "medium", "high"], true);
                self.report(finding);
                Risk::High
            }
        }
    }

    pub(super) fn approval(&mut self, kind: &ClauseKind) -> Approval {
        let ClauseKind::Approve {
            roles,
            all,
            within,
            seeing,
        } = kind
        else {
            return Approval {
                roles: Vec::new(),
                all: true,
                within: PERSON,
                seeing: Vec::new(),
            };
        };
        for role in roles {
            self.role(role);
        }
        let within = within.as_ref().map_or(PERSON, |within| self.duration(within));
        let mut shown = Vec::with_capacity(seeing.len());
        for written in seeing {
            let value = self.expression(written, None);
            if matches!(core(&value.ty), Type::Nothing) || matches!(value.ty, Type::Secret(_)) {
                self.report(
                    Diagnostic::error("secret-in-sink", value.span, "a secret would be shown to the approver")
                        .help("show something else that tells the approver what is changed"),
                );
            }
            shown.push((self.checker.sources.text(written.span).to_owned(), value));
        }
        Approval {
            roles: roles.iter().map(|role| role.text.clone()).collect(),
            all: *all,
            within,
            seeing: shown,
        }
    }

    /// `within` and `every` of something that is asked again and again.
    pub(super) fn repeated(
        &mut self,
        condition: Expr,
        within: Option<&tree::Expr>,
        every: Option<&tree::Expr>,
        span: Span,
        keyword: Span,
    ) -> Verify {
        let within = self.deadline(within, keyword);
        let every = every.map_or(EVERY, |every| self.duration(every));
        Verify {
            condition,
            within,
            every,
            span,
        }
    }

    /// The deadline of something that is waited for; it has no default.
    pub fn deadline(&mut self, within: Option<&tree::Expr>, keyword: Span) -> Duration {
        match within {
            Some(within) => self.duration(within),
            None => {
                self.report(
                    Diagnostic::error("missing-clause", keyword, "this says nothing about how long to wait")
                        .help("add `within 10 min`"),
                );
                Duration::from_secs(300)
            }
        }
    }

    /// A library action on its own, its parameters being given from outside.
    pub fn lone_action(&mut self, item: super::modules::ItemRef, action: &tree::Action) {
        self.inlining.push(item);
        for param in &action.params {
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
        let around = Around {
            in_cause: true,
            library: true,
        };
        match (&action.body, &action.alias) {
            (Some(block), None) => {
                let parts = self.parts(block, false);
                self.whole_action(action, &parts, &Parts::default(), None, around);
            }
            (body, Some(alias)) => {
                let own = body.as_ref().map(|block| self.parts(block, false)).unwrap_or_default();
                self.alias_action(action, alias, own, around);
            }
            (None, None) => {
                let _ = error(action.name.span);
                self.missing(&action.name, "this action does nothing", "write its clauses in braces");
            }
        }
        self.inlining.pop();
    }
}
