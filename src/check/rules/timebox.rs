//! How long things take at most, against how long they may take.

use crate::diagnostic::Diagnostic;
use crate::program::{
    Action, BindingId, BindingKind, Branch, CallExpr, Expr, ExprKind, OrderKind, Program, QuestionForm, Runbook, Step,
    StepKind, UndoKind, needs,
};
use crate::source::Span;
use crate::value::Value;
use crate::value::show::show_std;
use std::collections::BTreeMap;
use std::time::Duration;

/// How deep runbooks may run one another; deeper ones are reported elsewhere.
const CALLS: usize = 4;

/// Compares causes with the timebox, and verifications with the `for` they ask.
pub fn check(program: &Program, found: &mut Vec<Diagnostic>) {
    for runbook in &program.runbooks {
        let times = Times::new(program, runbook);
        for (action, site) in runbook.actions.iter().zip(super::sites(runbook)) {
            if let Some(verify) = &action.verify {
                let span = super::place(verify.span, site);
                times.too_short(&verify.condition, verify.within, span, "this verification", found);
            }
        }
        times.steps(&runbook.steps, found);
    }
}

/// The parts of a longest path, for the message.
#[derive(Clone, Copy, Default)]
struct Parts {
    reads: Duration,
    approval: Duration,
    change: Duration,
    verify: Duration,
    wait: Duration,
    back: Duration,
}

impl Parts {
    fn total(&self) -> Duration {
        [
            self.reads,
            self.approval,
            self.change,
            self.verify,
            self.wait,
            self.back,
        ]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
    }

    fn add(&mut self, other: Parts) {
        let pairs = [
            (&mut self.reads, other.reads),
            (&mut self.approval, other.approval),
            (&mut self.change, other.change),
            (&mut self.verify, other.verify),
            (&mut self.wait, other.wait),
            (&mut self.back, other.back),
        ];
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
    }

    fn words(&self) -> String {
        let named = [
            ("reads", self.reads),
            ("approval", self.approval),
            ("change", self.change),
            ("verification", self.verify),
            ("waiting", self.wait),
            ("undo or settling", self.back),
        ];
        let parts: Vec<String> = named
            .into_iter()
            .filter(|(_, time)| !time.is_zero())
            .map(|(name, time)| format!("{name} {}", show_std(time)))
            .collect();
        parts.join(", ")
    }
}

struct Times<'a> {
    program: &'a Program,
    runbook: &'a Runbook,
    /// How long it takes at most until each binding is known, the ones it needs included.
    asked: Vec<Duration>,
    /// How long the goal takes to settle, when there is one.
    settle: Duration,
}

impl<'a> Times<'a> {
    fn new(program: &'a Program, runbook: &'a Runbook) -> Self {
        let mut this = Self {
            program,
            runbook,
            asked: Vec::with_capacity(runbook.bindings.len()),
            settle: Duration::ZERO,
        };
        // Bindings refer only to earlier ones, so one pass is enough.
        for binding in &runbook.bindings {
            let before = needs::direct(binding, &runbook.bindings)
                .into_iter()
                .filter_map(|id| this.asked.get(id.0).copied())
                .max()
                .unwrap_or_default();
            // People are not counted here: an answer is given at once or the run has other trouble.
            let own = match &binding.kind {
                BindingKind::Read(call) => call.within,
                BindingKind::Question(question) => match &question.form {
                    QuestionForm::FanOut { inner, .. } => runbook
                        .bindings
                        .get(inner.clone())
                        .unwrap_or_default()
                        .iter()
                        .map(|inside| match &inside.kind {
                            BindingKind::Read(call) => call.within,
                            _ => Duration::ZERO,
                        })
                        .max()
                        .unwrap_or_default(),
                    _ => Duration::ZERO,
                },
                _ => Duration::ZERO,
            };
            this.asked.push(before.saturating_add(own));
        }
        if let Some(goal) = runbook.goal {
            let longest = this.longest_for_of(goal).map_or(Duration::ZERO, |(time, _)| time);
            this.settle = longest.saturating_add(Duration::from_secs(60));
        }
        this
    }

    fn reads(&self, expr: &Expr) -> Duration {
        let mut longest = Duration::ZERO;
        expr.bindings(&mut |id| longest = longest.max(self.asked.get(id.0).copied().unwrap_or_default()));
        longest
    }

    fn steps(&self, list: &[Step], found: &mut Vec<Diagnostic>) {
        for step in list {
            match &step.kind {
                StepKind::Branch(branch) => self.branch(branch, found),
                StepKind::Each(each) => self.steps(&each.steps, found),
                StepKind::Wait { condition, within, .. } => {
                    self.too_short(condition, *within, condition.span, "this wait", found);
                }
                _ => {}
            }
        }
    }

    fn branch(&self, branch: &Branch, found: &mut Vec<Diagnostic>) {
        let timebox = self.runbook.header.timebox;
        let mut asked = Duration::ZERO;
        for cause in &branch.causes {
            // Independent questions are asked together.
            asked = asked.max(self.reads(&cause.when));
            let mut parts = self.longest(&cause.steps, branch.once, 0);
            parts.reads = parts.reads.saturating_add(asked);
            let total = parts.total();
            if total > timebox {
                let help = if self.runbook.header.timebox_written {
                    "give less time to its parts, or more to the timebox"
                } else {
                    "give less time to its parts, or write a `timebox`; without one it is 1 h"
                };
                found.push(
                    Diagnostic::error(
                        "beyond-timebox",
                        cause.when.span,
                        format!(
                            "the cause `{}` can take {}, longer than the timebox of {}",
                            cause.name,
                            show_std(total),
                            show_std(timebox)
                        ),
                    )
                    .label(parts.words())
                    .help(help),
                );
            } else {
                self.steps(&cause.steps, found);
            }
        }
        self.steps(&branch.otherwise, found);
        if !branch.merged {
            self.steps(&branch.cannot_tell, found);
        }
    }

    /// The longest way through these steps. A loop counts one round.
    fn longest(&self, list: &[Step], once: bool, depth: usize) -> Parts {
        let mut sum = Parts::default();
        for step in list {
            match &step.kind {
                StepKind::Evaluate(id) => {
                    let reads = self.asked.get(id.0).copied().unwrap_or_default();
                    sum.reads = sum.reads.max(reads);
                }
                StepKind::Action(id) => sum.add(self.action(self.runbook.action(*id), once)),
                StepKind::Branch(branch) => {
                    let arms = branch.causes.iter().map(|cause| cause.steps.as_slice());
                    let arms = arms.chain([branch.otherwise.as_slice(), branch.cannot_tell.as_slice()]);
                    let longest = arms
                        .map(|arm| self.longest(arm, branch.once, depth))
                        .max_by_key(Parts::total)
                        .unwrap_or_default();
                    sum.add(longest);
                }
                StepKind::Each(each) => sum.add(self.longest(&each.steps, once, depth)),
                StepKind::Wait { within, .. } => sum.wait = sum.wait.saturating_add(*within),
                StepKind::Run { runbook, .. } if depth < CALLS => {
                    if let Some(callee) = self.program.runbooks.get(runbook.0) {
                        let times = Times::new(self.program, callee);
                        sum.add(times.longest(&callee.steps, true, depth + 1));
                    }
                }
                _ => {}
            }
        }
        sum
    }

    fn action(&self, action: &Action, once: bool) -> Parts {
        let time = |call: &CallExpr| call.within;
        let mut parts = Parts {
            approval: action.approve.as_ref().map_or(Duration::ZERO, |approve| approve.within),
            verify: action.verify.as_ref().map_or(Duration::ZERO, |verify| verify.within),
            ..Parts::default()
        };
        if action.manual {
            parts.change = action.manual_within;
        }
        for order in &action.orders {
            if let OrderKind::Call { call, .. } = &order.kind {
                parts.change = parts.change.saturating_add(time(call));
            }
        }
        let mut undo = Duration::ZERO;
        if action.failed.undo {
            for taken_back in &action.undos {
                let own = match &taken_back.kind {
                    UndoKind::Restore(calls) => calls.iter().map(time).fold(Duration::ZERO, Duration::saturating_add),
                    UndoKind::Call(call) => time(call),
                    UndoKind::Words(_) => action.manual_within,
                    UndoKind::None { .. } => Duration::ZERO,
                };
                undo = undo.saturating_add(own);
            }
        }
        parts.back = undo.max(if once { Duration::ZERO } else { self.settle });
        parts
    }

    fn too_short(&self, condition: &Expr, within: Duration, span: Span, what: &str, found: &mut Vec<Diagnostic>) {
        let mut longest = None;
        self.longest_for(condition, &mut BTreeMap::new(), &mut longest);
        let Some((time, place)) = longest else { return };
        if time <= within {
            return;
        }
        let mut diagnostic = Diagnostic::error(
            "beyond-timebox",
            span,
            format!(
                "{what} can never be a yes: it asks for {} and has {}",
                show_std(time),
                show_std(within)
            ),
        )
        .label(format!("has {}", show_std(within)))
        .help(format!(
            "give it at least {} and some time to take effect",
            show_std(time)
        ));
        // A place inside the condition is underlined already.
        if place.file != span.file || place.start < span.start || place.end > span.end {
            diagnostic = diagnostic.and(place, format!("asks for {}", show_std(time)));
        }
        found.push(diagnostic);
    }

    fn longest_for_of(&self, id: BindingId) -> Option<(Duration, Span)> {
        let mut longest = None;
        self.longest_for_binding(id, &mut BTreeMap::new(), &mut longest);
        longest
    }

    fn longest_for_binding(
        &self,
        id: BindingId,
        seen: &mut BTreeMap<BindingId, ()>,
        longest: &mut Option<(Duration, Span)>,
    ) {
        if seen.insert(id, ()).is_some() {
            return;
        }
        match &self.runbook.binding(id).kind {
            BindingKind::Let(expr) => self.longest_for(expr, seen, longest),
            BindingKind::Question(question) => match &question.form {
                QuestionForm::YesWhen(expr) => self.longest_for(expr, seen, longest),
                QuestionForm::FanOut { question, .. } => self.longest_for_binding(*question, seen, longest),
                QuestionForm::Observed { .. } | QuestionForm::Run { .. } => {}
            },
            _ => {}
        }
    }

    /// The longest `for` that an expression asks, itself or through what it names.
    fn longest_for(&self, expr: &Expr, seen: &mut BTreeMap<BindingId, ()>, longest: &mut Option<(Duration, Span)>) {
        let mut names = Vec::new();
        expr.walk(&mut |inner| match &inner.kind {
            ExprKind::For { duration, .. } => {
                if let Some(time) = self.constant(duration)
                    && longest.is_none_or(|(known, _)| time > known)
                {
                    *longest = Some((time, duration.span));
                }
            }
            ExprKind::Binding(id) => names.push(*id),
            _ => {}
        });
        for id in names {
            self.longest_for_binding(id, seen, longest);
        }
    }

    fn constant(&self, mut expr: &'a Expr) -> Option<Duration> {
        loop {
            match &expr.kind {
                ExprKind::Literal(Value::Duration(nanoseconds)) => {
                    return u64::try_from(*nanoseconds).ok().map(Duration::from_nanos);
                }
                ExprKind::Binding(id) => match &self.runbook.binding(*id).kind {
                    BindingKind::Let(inner) => expr = inner,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}
