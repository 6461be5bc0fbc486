//! Which of the fields that a scenario leaves out decide an answer.
//!
//! A field that the program looks at nowhere decides nothing, and needs no second run. For the others the run is made again with
//! nothing known of them.

use super::fill::Filling;
use super::stage::Variant;
use super::suite::{Ran, Runtime, Suite};
use crate::journal::{Event, Recorded};
use crate::program::{
    BinaryOp, BindingKind, CallExpr, Expr, ExprKind, Method, OrderKind, Part, Program, QuestionForm, Runbook,
    SeverityWhen, Step, StepKind, UndoKind, UndoWhen,
};
use crate::value::{Answer, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The names of fields that a program takes out of something.
#[derive(Clone, Debug, Default)]
pub struct LookedAt {
    names: BTreeMap<Arc<str>, Owners>,
    /// Something is compared whole: then every field counts.
    whole: bool,
    /// Something that is no single value is handed to a read.
    handed: bool,
}

/// The records of which a field of some name is taken.
#[derive(Clone, Debug, Default)]
struct Owners {
    known: BTreeSet<Arc<str>>,
    /// It is also taken out of something of which nobody can say what it is.
    any: bool,
}

impl LookedAt {
    /// What the conditions, names and arguments of this program look at. Texts for people are left out: they decide nothing.
    pub fn by(program: &Program) -> Self {
        let mut found = Self::default();
        for book in &program.runbooks {
            found.book(book);
        }
        found
    }

    /// Whether a field that was left out of something of this type, as `session.age`, can decide anything.
    pub fn may_decide(&self, ty: &Type, field: &str) -> bool {
        let mut ty = inside(ty);
        self.whole
            || field.split('.').any(|name| {
                let Type::Record(record) = ty else {
                    return self.names.contains_key(name);
                };
                let owners = self.names.get(name);
                ty = record.field(name).map_or(&Type::Any, inside);
                owners.is_some_and(|owners| owners.any || owners.known.contains(&record.name))
            })
    }

    /// Whether such a field can at most tell one read from another, as part of what the read is asked about.
    pub fn may_tell_apart(&self, ty: &Type, field: &str) -> bool {
        self.handed && !self.may_decide(ty, field)
    }

    fn taken(&mut self, from: &Type, name: &Arc<str>) {
        let owners = self.names.entry(Arc::clone(name)).or_default();
        match inside(from) {
            Type::Record(record) => {
                owners.known.insert(Arc::clone(&record.name));
            }
            _ => owners.any = true,
        }
    }

    fn book(&mut self, book: &Runbook) {
        for binding in &book.bindings {
            match &binding.kind {
                BindingKind::Param { default } => default.iter().for_each(|expr| self.expr(expr)),
                BindingKind::Let(expr) => self.expr(expr),
                BindingKind::Read(call) => self.asked(call),
                BindingKind::Ask { choices, .. } => choices.iter().for_each(|expr| self.expr(expr)),
                BindingKind::Question(question) => match &question.form {
                    QuestionForm::YesWhen(expr) | QuestionForm::FanOut { over: expr, .. } => self.expr(expr),
                    QuestionForm::Run { args, .. } => args.iter().for_each(|(_, expr)| self.expr(expr)),
                    QuestionForm::Observed { .. } => {}
                },
                BindingKind::DoResult { .. } | BindingKind::Before { .. } | BindingKind::Element => {}
            }
        }
        for row in &book.situation.severity {
            if let SeverityWhen::Holds(expr) = &row.when {
                self.expr(expr);
            }
        }
        book.result.resolved.iter().for_each(|expr| self.expr(expr));
        for action in &book.actions {
            action.when.iter().for_each(|expr| self.expr(expr));
            action.refuse.iter().for_each(|refuse| self.expr(&refuse.above));
            action.verify.iter().for_each(|verify| self.expr(&verify.condition));
            for order in &action.orders {
                if let OrderKind::Call { call, before } = &order.kind {
                    self.sent(call);
                    before.iter().for_each(|(_, read)| self.asked(read));
                }
            }
            for undo in &action.undos {
                match &undo.kind {
                    UndoKind::Restore(calls) => calls.iter().for_each(|call| self.sent(call)),
                    UndoKind::Call(call) => self.sent(call),
                    UndoKind::None { .. } | UndoKind::Words(_) => {}
                }
                if let UndoWhen::After(expr) = &undo.when {
                    self.expr(expr);
                }
            }
        }
        self.steps(&book.steps);
    }

    fn steps(&mut self, steps: &[Step]) {
        super::suite::for_each_step(steps, &mut |step| match &step.kind {
            StepKind::Branch(branch) => branch.causes.iter().for_each(|cause| self.expr(&cause.when)),
            StepKind::Require { condition, .. } | StepKind::Wait { condition, .. } => self.expr(condition),
            StepKind::Each(each) => {
                self.expr(&each.list);
                self.expr(&each.at_most);
                each.batches.iter().for_each(|expr| self.expr(expr));
            }
            StepKind::Run { args, .. } => args.iter().for_each(|(_, expr)| self.expr(expr)),
            StepKind::Prose(_)
            | StepKind::Evaluate(_)
            | StepKind::Action(_)
            | StepKind::Tell(_)
            | StepKind::Advise(_)
            | StepKind::Stop(_)
            | StepKind::Escalate => {}
        });
    }

    /// What is asked is known by its arguments: by every field of one that is no single value.
    fn asked(&mut self, call: &CallExpr) {
        for arg in &call.args {
            let ty = match &arg.value.ty {
                Type::List(of) if arg.each => of,
                ty => ty,
            };
            self.handed |= !single(ty);
            self.expr(&arg.value);
        }
    }

    fn sent(&mut self, call: &CallExpr) {
        call.args.iter().for_each(|arg| self.expr(&arg.value));
    }

    fn expr(&mut self, expr: &Expr) {
        expr.walk(&mut |part| match &part.kind {
            ExprKind::Field { subject, name, .. } => {
                self.taken(&subject.ty, name);
                // Of a probe, `ok` is computed.
                if &**name == "ok" {
                    for name in ["reply", "status"] {
                        self.taken(&Type::Any, &Arc::from(name));
                    }
                }
            }
            ExprKind::Equal { left, right, .. }
            | ExprKind::Binary {
                op: BinaryOp::In | BinaryOp::NotIn | BinaryOp::Contains,
                left,
                right,
            } => self.whole |= !elements(&left.ty) || !elements(&right.ty),
            ExprKind::IsUnknown { subject, .. } => self.whole |= !single(&subject.ty),
            ExprKind::Index { index, .. } => self.whole |= !single(&index.ty),
            ExprKind::Template(template) => {
                for part in &template.parts {
                    if let Part::Expr(expr) = part {
                        self.whole |= !single(&expr.ty);
                    }
                }
            }
            ExprKind::Method { subject, method, args } => match method {
                Method::Without => self.whole |= !elements(&subject.ty),
                Method::SortBy | Method::Tally | Method::Max | Method::Min | Method::GroupBy => {
                    self.whole |= match args.first() {
                        Some(key) => !single(&key.ty),
                        None => !elements(&subject.ty),
                    };
                }
                _ => {}
            },
            _ => {}
        });
    }
}

/// What fields are taken out of, where they are taken out of this.
fn inside(ty: &Type) -> &Type {
    match ty {
        Type::Optional(of) | Type::Secret(of) | Type::List(of) | Type::Series(of) => inside(of),
        other => other,
    }
}

/// A value without fields.
fn single(ty: &Type) -> bool {
    match ty {
        Type::Optional(of) | Type::Secret(of) => single(of),
        Type::Record(_) | Type::List(_) | Type::Series(_) | Type::Json | Type::Any => false,
        _ => true,
    }
}

/// A value without fields, or a list or series of such.
fn elements(ty: &Type) -> bool {
    match ty {
        Type::List(of) | Type::Series(of) | Type::Optional(of) | Type::Secret(of) => elements(of),
        other => single(other),
    }
}

impl Suite {
    /// The fields that were left out and decide an answer: each with its line of `given`.
    ///
    /// The scenario is run again with nothing known of what was left out. An answer that is lost rests on it; behind the first
    /// difference that is no answer (an order without its target) other values take its place. A field that is only handed on to
    /// reads gets another value: with nothing known of it the read could not be asked, whatever its answer.
    pub fn deciding(&self, index: usize, ran: &Ran, runtime: &Runtime) -> Vec<(usize, String)> {
        let looked_at = &self.prepared.looked_at;
        let given = &self.prepared.program.scenarios[index].given;
        let those = |may: fn(&LookedAt, &Type, &str) -> bool| -> BTreeSet<(usize, String)> {
            let ty = |line: usize| given.get(line).map_or(&Type::Any, |given| &given.ty);
            let fields = ran
                .left_out
                .iter()
                .filter(|(line, field)| may(looked_at, ty(*line), field));
            fields.cloned().collect()
        };
        let differs = |filling: Filling| {
            let again = self.run(
                index,
                Variant {
                    filling,
                    lenient: true,
                    ..Variant::default()
                },
                runtime,
            );
            difference(&ran.entries, &again.entries)
        };
        let found = Self::lost_without(those(LookedAt::may_decide), &differs);
        if !found.is_empty() {
            return found;
        }
        let handed = those(LookedAt::may_tell_apart);
        if handed.is_empty() || matches!(differs(Filling::Other), Difference::None) {
            return Vec::new();
        }
        handed.into_iter().collect()
    }

    /// Those of these fields without which an answer is lost; all of them when it takes several.
    fn lost_without(open: BTreeSet<(usize, String)>, differs: &dyn Fn(Filling) -> Difference) -> Vec<(usize, String)> {
        if open.is_empty() {
            return Vec::new();
        }
        match differs(Filling::Unknown(open.clone())) {
            Difference::None => return Vec::new(),
            Difference::Answer => {}
            Difference::Way => {
                if matches!(differs(Filling::Other), Difference::None) {
                    return Vec::new();
                }
            }
        }
        let alone = |field: &&(usize, String)| {
            let filling = Filling::Unknown(BTreeSet::from([(*field).clone()]));
            matches!(differs(filling), Difference::Answer)
        };
        let found: Vec<(usize, String)> = open.iter().filter(alone).cloned().collect();
        if found.is_empty() {
            open.into_iter().collect()
        } else {
            found
        }
    }
}

/// Where two runs of one scenario part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Difference {
    None,
    /// In what was answered.
    Answer,
    /// In something else.
    Way,
}

/// What decides the way of a run, without any value that is only shown.
fn mark(event: &Event) -> Option<(&'static str, String, Option<Answer>)> {
    Some(match event {
        Event::Answered { name, answer, .. } => ("answer", name.clone(), Some(*answer)),
        Event::Cause { name, answer, .. } => ("answer", name.clone(), Some(*answer)),
        Event::Look { what, answer, .. } => ("answer", what.clone(), Some(*answer)),
        Event::Goal { answer, .. } => ("answer", "goal".to_owned(), Some(*answer)),
        Event::Severity { name, .. } => ("severity", name.clone().unwrap_or_default(), None),
        Event::Arm { arm, .. } => ("arm", arm.clone(), None),
        Event::ActionStarted { name, .. } => ("started", name.clone(), None),
        Event::ActionEnded { name, outcome, .. } => {
            let word = outcome.split(':').next().unwrap_or_default();
            ("ended", format!("{name} {word}"), None)
        }
        Event::NotNeeded { name, .. } => ("not needed", name.clone(), None),
        Event::Ended { outcome, .. } => ("end", outcome.clone(), None),
        _ => return None,
    })
}

fn difference(one: &[Recorded], other: &[Recorded]) -> Difference {
    let marks =
        |entries: &[Recorded]| -> Vec<_> { entries.iter().filter_map(|entry| mark(entry.event.as_ref()?)).collect() };
    let (one, other) = (marks(one), marks(other));
    for index in 0..one.len().max(other.len()) {
        match (one.get(index), other.get(index)) {
            (Some(left), Some(right)) if left == right => {}
            (Some((word, name, _)), Some((other_word, other_name, answer)))
                if word == other_word && name == other_name && answer.is_some() =>
            {
                return Difference::Answer;
            }
            (Some(("answer" | "severity" | "arm", ..)), Some(("answer" | "severity" | "arm", ..))) => {
                return Difference::Answer;
            }
            _ => return Difference::Way,
        }
    }
    Difference::None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    fn looked_at(condition: &str, more: &str) -> LookedAt {
        let text = format!(
            r#"use std.postgres.{{Postgres}}

runbook book(db: Postgres) "Book" {{
  reads postgres
  situation {{
    symptom odd "Is it odd?" {{
      read sessions = postgres.sessions.list(db)
      {more}
      yes when {condition}
    }}
  }}
  task {{ goal not odd }}
}}
"#
        );
        let context = check::Context {
            library: &check::Embedded,
            severities: Vec::new(),
            roles: None,
            matrix: None,
            today: None,
        };
        let checked = check::check("book.starr", None, text.into_bytes(), &context);
        let program = checked.program.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
        LookedAt::by(&program)
    }

    #[test]
    fn only_fields_that_are_taken_out_can_decide() {
        let looked_at = looked_at("sessions.where(it.age > 5 min).count > 3", "");
        assert!(looked_at.may_decide(&Type::Any, "age"));
        assert!(!looked_at.may_decide(&Type::Any, "pid"));
        assert!(looked_at.may_decide(&Type::Any, "age.more"));
    }

    #[test]
    fn a_field_of_something_else_decides_nothing() {
        let looked_at = looked_at("sessions.where(it.age > 5 min).count > 3", "");
        let of = |provider, path| check::operation(provider, path).expect("an operation").result.clone();
        assert!(looked_at.may_decide(&of("postgres", "sessions.list"), "age"));
        assert!(!looked_at.may_decide(&of("kubernetes", "pods.list"), "age"));
    }

    #[test]
    fn what_is_compared_whole_can_decide_with_every_field() {
        assert!(
            looked_at("sessions.without(old).count > 3", "let old = sessions.first(2)").may_decide(&Type::Any, "pid")
        );
        assert!(looked_at("sessions.tally.count > 3", "").may_decide(&Type::Any, "pid"));
    }

    #[test]
    fn what_is_handed_to_a_read_can_tell_it_from_another() {
        let looked_at = looked_at(
            "left.count > 3",
            "read left = postgres.sessions.remaining(sessions.where(it.age > 5 min))",
        );
        assert!(looked_at.may_tell_apart(&Type::Any, "pid"));
        assert!(!looked_at.may_decide(&Type::Any, "pid"));
        assert!(looked_at.may_decide(&Type::Any, "age"));
        assert!(!looked_at.may_tell_apart(&Type::Any, "age"));
    }
}
