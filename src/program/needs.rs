//! Which bindings an expression, a call or a binding names.

use std::collections::{BTreeMap, BTreeSet};

use super::{ArgExpr, Binding, BindingId, BindingKind, CallExpr, Expr, ExprKind, Part, QuestionForm, Template};

impl Expr {
    /// Calls `found` for every binding this expression names directly.
    pub fn bindings(&self, found: &mut dyn FnMut(BindingId)) {
        self.walk(&mut |expr| {
            if let ExprKind::Binding(id) = expr.kind {
                found(id);
            }
        });
    }

    /// Calls `visit` for this expression and every one inside it, outside in.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match &self.kind {
            ExprKind::Literal(_) | ExprKind::Binding(_) | ExprKind::It | ExprKind::Now | ExprKind::Run(_) => {}
            ExprKind::Template(template) => template.walk(visit),
            ExprKind::Field { subject, .. }
            | ExprKind::IsEmpty { subject, .. }
            | ExprKind::IsMissing { subject, .. }
            | ExprKind::IsUnknown { subject, .. } => subject.walk(visit),
            ExprKind::Index { subject, index } => {
                subject.walk(visit);
                index.walk(visit);
            }
            ExprKind::Method { subject, args, .. } => {
                subject.walk(visit);
                args.iter().for_each(|arg| arg.walk(visit));
            }
            ExprKind::List(items) => items.iter().for_each(|item| item.walk(visit)),
            ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| value.walk(visit)),
            ExprKind::Not(inner) | ExprKind::Negative(inner) | ExprKind::Decode(inner) => inner.walk(visit),
            ExprKind::Binary { left, right, .. } | ExprKind::Equal { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
            ExprKind::For { condition, duration } => {
                condition.walk(visit);
                duration.walk(visit);
            }
            ExprKind::Default { value, fallback } => {
                value.walk(visit);
                fallback.walk(visit);
            }
        }
    }
}

impl Template {
    /// Calls `found` for every binding named in braces.
    pub fn bindings(&self, found: &mut dyn FnMut(BindingId)) {
        for part in &self.parts {
            if let Part::Expr(expr) = part {
                expr.bindings(found);
            }
        }
    }

    fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        for part in &self.parts {
            if let Part::Expr(expr) = part {
                expr.walk(visit);
            }
        }
    }
}

impl CallExpr {
    /// Calls `found` for every binding the arguments name.
    pub fn bindings(&self, found: &mut dyn FnMut(BindingId)) {
        for ArgExpr { value, .. } in &self.args {
            value.bindings(found);
        }
    }
}

/// For each binding that is a plain reply, the expressions that take a secret out of it, directly or through a `let`. Where there is
/// one, the whole reply is kept out of the record: it holds the secret in the clear.
pub fn opened(all: &[Binding]) -> BTreeMap<BindingId, Vec<&Expr>> {
    let mut found: BTreeMap<BindingId, Vec<&Expr>> = BTreeMap::new();
    for binding in all {
        let expr = match &binding.kind {
            BindingKind::Let(expr) => expr,
            BindingKind::Question(question) => match &question.form {
                QuestionForm::YesWhen(expr) => expr,
                _ => continue,
            },
            _ => continue,
        };
        expr.walk(&mut |part| {
            if let ExprKind::Decode(inner) = &part.kind
                && part.ty.holds_secret()
            {
                for id in reached(inner, all) {
                    found.entry(id).or_default().push(part);
                }
            }
        });
    }
    found
}

/// The bindings that an expression names, directly or through a `let`.
fn reached(expr: &Expr, all: &[Binding]) -> BTreeSet<BindingId> {
    let mut found = BTreeSet::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        expr.bindings(&mut |id| {
            if found.insert(id)
                && let Some(BindingKind::Let(inner)) = all.get(id.0).map(|binding| &binding.kind)
            {
                open.push(inner);
            }
        });
    }
    found
}

/// Every binding that must be known before this one can be: `needs`, what its expressions and title name, its fields, and for a
/// fan-out what the inner bindings take from outside. Sorted, each once.
pub fn direct(binding: &Binding, all: &[Binding]) -> Vec<BindingId> {
    let mut ids = binding.needs.clone();
    let mut add = |id: BindingId| ids.push(id);
    match &binding.kind {
        BindingKind::Param { default } => {
            if let Some(default) = default {
                default.bindings(&mut add);
            }
        }
        BindingKind::Let(expr) => expr.bindings(&mut add),
        BindingKind::Read(call) => call.bindings(&mut add),
        BindingKind::Ask { title, choices, .. } => {
            title.bindings(&mut add);
            if let Some(choices) = choices {
                choices.bindings(&mut add);
            }
        }
        BindingKind::Question(question) => {
            question.title.bindings(&mut add);
            match &question.form {
                QuestionForm::YesWhen(expr) => {
                    expr.bindings(&mut add);
                    question.fields.iter().for_each(|(_, id)| add(*id));
                }
                QuestionForm::Observed { .. } => {}
                QuestionForm::Run { args, .. } => args.iter().for_each(|(_, value)| value.bindings(&mut add)),
                QuestionForm::FanOut {
                    over, element, inner, ..
                } => {
                    over.bindings(&mut add);
                    for inside in all.get(inner.clone()).unwrap_or_default() {
                        direct(inside, all).into_iter().for_each(&mut add);
                    }
                    ids.retain(|id| id != element && !inner.contains(&id.0));
                }
            }
        }
        BindingKind::DoResult { .. } | BindingKind::Before { .. } | BindingKind::Element => {}
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}
