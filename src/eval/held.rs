//! `C for D` over questions that are asked again and again: what was answered when.
//!
//! `verify`, `wait until`, `resolved` and a goal that settles look at one expression every so often. A [`History`] keeps the
//! answers of every `for` in it, so that "held throughout the last D" has something to look back on.

use super::{Scope, evaluate};
use crate::journal::event::Evidence;
use crate::program::{BindingId, Expr, ExprKind, RunField};
use crate::source::{Sources, Span};
use crate::value::{Series, Value};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// The answers so far of the conditions that stand under a `for`, by their place.
#[derive(Clone, Debug, Default)]
pub struct History {
    answers: BTreeMap<Span, Series>,
}

impl History {
    /// Evaluates the expression now and keeps the answers of its conditions. `every` is the longest distance between two
    /// looks that is not a gap; allow for the time that the reads themselves take.
    pub fn look(&mut self, expr: &Expr, scope: &dyn Scope, every: Duration) -> Value {
        let now = scope.now();
        let mut conditions = Vec::new();
        expr.walk(&mut |part| {
            if let ExprKind::For { condition, .. } = &part.kind {
                conditions.push(&**condition);
            }
        });
        // Inner conditions come later in the walk and are looked at first, because outer ones may rest on them.
        for condition in conditions.into_iter().rev() {
            let answer = evaluate(condition, &Remembering { scope, history: self });
            if matches!(answer, Value::Series(_)) {
                continue;
            }
            let series = self.answers.entry(condition.span).or_insert_with(|| Series {
                samples: Vec::new(),
                until: now,
                step: 0,
            });
            series.step = i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
            series.until = now;
            match series.samples.last_mut() {
                Some((time, last)) if *time >= now => *last = answer,
                _ => series.samples.push((now, answer)),
            }
        }
        evaluate(expr, &Remembering { scope, history: self })
    }

    /// What decided the answer of the last look, `for` included.
    pub fn evidence(&self, expr: &Expr, scope: &dyn Scope, sources: &Sources) -> Vec<Evidence> {
        super::evidence(expr, &Remembering { scope, history: self }, sources)
    }

    /// Forgets everything, for a condition that is asked about from the beginning.
    pub fn clear(&mut self) {
        self.answers.clear();
    }
}

/// The longest `for` in an expression, in nanoseconds, where it can be computed; zero without one.
pub fn longest(expr: &Expr, scope: &dyn Scope) -> i64 {
    let mut longest = 0;
    expr.walk(&mut |part| {
        if let ExprKind::For { duration, .. } = &part.kind
            && let Value::Duration(span) = evaluate(duration, scope)
        {
            longest = longest.max(span);
        }
    });
    longest
}

struct Remembering<'a> {
    scope: &'a dyn Scope,
    history: &'a History,
}

impl Scope for Remembering<'_> {
    fn binding(&self, id: BindingId) -> Value {
        self.scope.binding(id)
    }

    fn now(&self) -> Timestamp {
        self.scope.now()
    }

    fn run(&self, field: RunField) -> Value {
        self.scope.run(field)
    }

    fn resource(&self, kind: &str, name: &str, field: &str) -> Value {
        self.scope.resource(kind, name, field)
    }

    fn held(&self, condition: Span) -> Option<Series> {
        self.history
            .answers
            .get(&condition)
            .cloned()
            .or_else(|| self.scope.held(condition))
    }
}
