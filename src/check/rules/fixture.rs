//! Small programs made by hand, for the tests of rules that look at a whole program.

use crate::program::{
    BinaryOp, Binding, BindingId, BindingKind, Branch, Cause, End, Expr, ExprKind, Header, Program, Question,
    QuestionForm, Reflection, ResultSection, Runbook, Situation, Step, StepKind, Template,
};
use crate::source::{FileId, Sources, Span};
use crate::value::{EnumType, Type, Value};
use std::sync::Arc;
use std::time::Duration;

/// A runbook with one branch, in the making. The text of the file is the names and limits that were asked for.
pub struct Fixture {
    text: String,
    bindings: Vec<Binding>,
    causes: Vec<Cause>,
}

/// A value that can be compared.
#[derive(Clone)]
pub struct Subject(Expr);

fn expr(kind: ExprKind, ty: Type, span: Span) -> Expr {
    Expr { kind, ty, span }
}

pub fn and(left: Expr, right: Expr) -> Expr {
    binary(BinaryOp::And, left, right)
}

pub fn or(left: Expr, right: Expr) -> Expr {
    binary(BinaryOp::Or, left, right)
}

pub fn not(inner: Expr) -> Expr {
    let span = inner.span;
    expr(ExprKind::Not(Box::new(inner)), Type::Bool, span)
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = left.span;
    let (left, right) = (Box::new(left), Box::new(right));
    expr(ExprKind::Binary { op, left, right }, Type::Bool, span)
}

pub fn enumeration(name: &str, values: &[&str]) -> Type {
    Type::Enum(Arc::new(EnumType {
        name: name.into(),
        values: values.iter().map(|value| Arc::from(*value)).collect(),
    }))
}

/// The texts of limits that fixtures use, so that messages can show them.
const LIMITS: &str = "90 % 80 % 70 % 10 % n ";

impl Subject {
    fn limit(value: Value, text: &str) -> Expr {
        let start = LIMITS.find(text).expect("a limit of the table");
        expr(
            ExprKind::Literal(value),
            Type::Any,
            Span::new(FileId(0), start, start + text.len()),
        )
    }

    pub fn compare(&self, op: BinaryOp, value: Value, text: &str) -> Expr {
        binary(op, self.0.clone(), Self::limit(value, text))
    }

    pub fn mirrored(&self, op: BinaryOp, value: Value, text: &str) -> Expr {
        binary(op, Self::limit(value, text), self.0.clone())
    }

    pub fn is(&self, value: &str) -> Expr {
        let right = expr(ExprKind::Literal(Value::variant(value)), self.0.ty.clone(), self.0.span);
        let (left, right) = (Box::new(self.0.clone()), Box::new(right));
        let kind = ExprKind::Equal {
            left,
            right,
            negated: false,
        };
        expr(kind, Type::Bool, self.0.span)
    }
}

impl Fixture {
    pub fn new() -> Self {
        Self {
            text: LIMITS.to_owned(),
            bindings: Vec::new(),
            causes: Vec::new(),
        }
    }

    fn binding(&mut self, name: &str, ty: Type, kind: BindingKind) -> Expr {
        let span = Span::new(FileId(0), self.text.len(), self.text.len() + name.len());
        self.text.push_str(name);
        self.text.push(' ');
        self.bindings.push(Binding {
            name: name.to_owned(),
            span,
            ty: ty.clone(),
            kind,
            needs: Vec::new(),
        });
        expr(ExprKind::Binding(BindingId(self.bindings.len() - 1)), ty, span)
    }

    pub fn question(&mut self, name: &str) -> Expr {
        let question = Question {
            symptom: false,
            title: Template::literal("Is it?"),
            prose: Vec::new(),
            form: QuestionForm::Observed {
                by: None,
                within: Duration::from_secs(900),
            },
            fields: Vec::new(),
            library: None,
        };
        self.binding(name, Type::Bool, BindingKind::Question(question))
    }

    pub fn number(&mut self, name: &str, ty: Type) -> Subject {
        Subject(self.binding(name, ty, BindingKind::Param { default: None }))
    }

    /// A cause whose arm is empty, or ends the run.
    pub fn cause(&mut self, name: &str, when: Expr, ends: bool) {
        let span = when.span;
        let step = Step {
            kind: StepKind::Escalate,
            span,
        };
        self.causes.push(Cause {
            name: name.to_owned(),
            title: Template::literal("It is"),
            when,
            steps: if ends { vec![step] } else { Vec::new() },
            span,
        });
    }

    pub fn program(&self) -> Program {
        let mut sources = Sources::default();
        let id = sources.add("test.starr", None, self.text.as_str());
        let span = Span::new(id, 0, self.text.len());
        let branch = Branch {
            title: Template::literal("What is it?"),
            prose: Vec::new(),
            causes: self.causes.clone(),
            otherwise: Vec::new(),
            cannot_tell: Vec::new(),
            merged: true,
            once: false,
            span,
        };
        let runbook = Runbook {
            name: "test".to_owned(),
            title: Template::literal("Test"),
            span,
            header: Header {
                owner: None,
                status: None,
                reviewed: None,
                valid: None,
                timebox: Duration::from_secs(3600),
                timebox_then: End::Escalate,
                timebox_written: false,
                reads: Vec::new(),
                changes: Vec::new(),
                tells: Vec::new(),
                runs: Vec::new(),
            },
            prose: Vec::new(),
            bindings: self.bindings.clone(),
            params: Vec::new(),
            actions: Vec::new(),
            situation: Situation::default(),
            task_prose: Vec::new(),
            goal: None,
            steps: vec![Step {
                kind: StepKind::Branch(branch),
                span,
            }],
            result: ResultSection::default(),
            reflection: Reflection::default(),
        };
        Program {
            sources,
            runbooks: vec![runbook],
            ..Program::default()
        }
    }
}
