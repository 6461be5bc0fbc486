//! The longest time a run could take by its own deadlines: the longest way, every deadline used up.

use super::{CALLS, Longest};
use crate::eval::{Constants, evaluate, held};
use crate::program::needs;
use crate::program::{
    Action, BindingKind, Branch, Each, Expr, OrderKind, Program, QuestionForm, Runbook, Step, StepKind, UndoKind,
};
use crate::value::Value;
use std::time::Duration;

/// What a way is the sum of.
#[derive(Clone, Default)]
struct Parts {
    reads: Duration,
    people: Duration,
    approval: Duration,
    change: Duration,
    verify: Duration,
    wait: Duration,
    back: Duration,
}

impl Parts {
    fn total(&self) -> Duration {
        self.named()
            .iter()
            .fold(Duration::ZERO, |sum, (_, part)| sum.saturating_add(*part))
    }

    fn named(&self) -> [(&'static str, Duration); 7] {
        [
            ("reads", self.reads),
            ("people", self.people),
            ("approvals", self.approval),
            ("changes", self.change),
            ("verification", self.verify),
            ("waiting", self.wait),
            ("taking back and settling", self.back),
        ]
    }

    fn add(&mut self, other: &Parts) {
        self.times(other, 1);
    }

    fn times(&mut self, other: &Parts, count: u32) {
        for (mine, theirs) in [
            (&mut self.reads, other.reads),
            (&mut self.people, other.people),
            (&mut self.approval, other.approval),
            (&mut self.change, other.change),
            (&mut self.verify, other.verify),
            (&mut self.wait, other.wait),
            (&mut self.back, other.back),
        ] {
            *mine = mine.saturating_add(theirs.saturating_mul(count));
        }
    }
}

/// The longest way of a runbook; whether it exceeds the timebox is for the caller to say.
pub(super) fn longest(program: &Program, runbook: &Runbook) -> Longest {
    let mut times = Times {
        program,
        complete: true,
    };
    let parts = times.runbook(runbook, 0);
    Longest {
        seconds: parts.total().as_secs(),
        beyond_timebox: false,
        parts: parts
            .named()
            .iter()
            .filter(|(_, part)| !part.is_zero())
            .map(|(name, part)| ((*name).to_owned(), part.as_secs()))
            .collect(),
        complete: times.complete,
    }
}

struct Times<'a> {
    program: &'a Program,
    complete: bool,
}

/// How long each binding takes at most until it is known, those it needs included: by reads and by people.
fn asked(runbook: &Runbook) -> Vec<(Duration, Duration)> {
    let mut known: Vec<(Duration, Duration)> = Vec::with_capacity(runbook.bindings.len());
    for binding in &runbook.bindings {
        let mut reads = Duration::ZERO;
        let mut people = Duration::ZERO;
        for need in needs::direct(binding, &runbook.bindings) {
            if let Some((read, person)) = known.get(need.0) {
                reads = reads.max(*read);
                people = people.max(*person);
            }
        }
        match &binding.kind {
            BindingKind::Read(call) => reads = reads.saturating_add(call.within),
            BindingKind::Ask { within, .. } => people = people.saturating_add(*within),
            BindingKind::Question(question) => match &question.form {
                QuestionForm::Observed { within, .. } => people = people.saturating_add(*within),
                // The elements are asked together.
                QuestionForm::FanOut { inner, .. } => {
                    let longest = known
                        .get(inner.clone())
                        .unwrap_or_default()
                        .iter()
                        .map(|(read, _)| *read)
                        .max();
                    reads = reads.max(longest.unwrap_or_default());
                }
                QuestionForm::YesWhen(_) | QuestionForm::Run { .. } => {}
            },
            _ => {}
        }
        known.push((reads, people));
    }
    known
}

impl Times<'_> {
    fn runbook(&mut self, runbook: &Runbook, depth: usize) -> Parts {
        let asked = asked(runbook);
        let mut parts = Parts::default();
        // Symptoms are asked together, and people after one another.
        for symptom in &runbook.situation.symptoms {
            let (reads, people) = asked.get(symptom.0).copied().unwrap_or_default();
            parts.reads = parts.reads.max(reads);
            parts.people = parts.people.saturating_add(people);
        }
        let way = Way {
            runbook,
            asked: &asked,
            settle: settle(runbook),
            depth,
        };
        let steps = self.steps(&runbook.steps, &way);
        parts.add(&steps);
        if let Some(resolved) = &runbook.result.resolved {
            parts.back = parts.back.saturating_add(longest_for(resolved, runbook));
        }
        parts
    }

    fn steps(&mut self, steps: &[Step], way: &Way) -> Parts {
        let mut parts = Parts::default();
        for step in steps {
            let step = self.step(&step.kind, way);
            parts.add(&step);
        }
        parts
    }

    fn step(&mut self, kind: &StepKind, way: &Way) -> Parts {
        let mut parts = Parts::default();
        match kind {
            StepKind::Prose(_) | StepKind::Advise(_) | StepKind::Stop(_) => {}
            StepKind::Escalate => {}
            StepKind::Evaluate(id) => {
                let binding = way.runbook.binding(*id);
                if let BindingKind::Question(question) = &binding.kind
                    && let QuestionForm::Run { runbook, .. } = &question.form
                {
                    return self.child(runbook.0, way.depth);
                }
                let (reads, people) = way.asked.get(id.0).copied().unwrap_or_default();
                parts.reads = reads;
                parts.people = people;
            }
            StepKind::Branch(branch) => return self.branch(branch, way),
            StepKind::Action(id) => return action(way.runbook.action(*id), way),
            StepKind::Require { condition, .. } => parts.reads = way.reads(condition),
            StepKind::Wait { within, .. } => parts.wait = *within,
            StepKind::Each(each) => return self.each(each, way),
            StepKind::Run { runbook, .. } => return self.child(runbook.0, way.depth),
            StepKind::Tell(call) => parts.change = call.within,
        }
        parts
    }

    /// Every cause once, each in a round of its own, then the longer arm; asked once: the longest of them.
    fn branch(&mut self, branch: &Branch, way: &Way) -> Parts {
        let reads = branch
            .causes
            .iter()
            .map(|cause| way.reads(&cause.when))
            .max()
            .unwrap_or_default();
        let arms = [&branch.otherwise, &branch.cannot_tell]
            .into_iter()
            .map(|arm| self.steps(arm, way))
            .max_by_key(Parts::total)
            .unwrap_or_default();
        let causes: Vec<Parts> = branch
            .causes
            .iter()
            .map(|cause| self.steps(&cause.steps, way))
            .collect();
        let mut parts = Parts {
            reads,
            ..Parts::default()
        };
        if branch.once {
            let longest = causes
                .iter()
                .chain([&arms])
                .max_by_key(|parts| parts.total())
                .cloned()
                .unwrap_or_default();
            parts.add(&longest);
        } else {
            for cause in &causes {
                parts.add(cause);
                parts.back = parts.back.saturating_add(way.settle);
                parts.reads = parts.reads.saturating_add(reads);
            }
            parts.add(&arms);
        }
        parts
    }

    fn each(&mut self, each: &Each, way: &Way) -> Parts {
        let inner = self.steps(&each.steps, way);
        let count = match evaluate(&each.at_most, &Constants::of(way.runbook)) {
            Value::Int(count) => u32::try_from(count.max(0)).unwrap_or(u32::MAX),
            _ => {
                self.complete = false;
                1
            }
        };
        let mut parts = Parts {
            reads: way.reads(&each.list),
            ..Parts::default()
        };
        parts.times(&inner, count);
        parts
    }

    fn child(&mut self, position: usize, depth: usize) -> Parts {
        match self.program.runbooks.get(position) {
            Some(child) if depth < CALLS => self.runbook(child, depth + 1),
            _ => {
                self.complete = false;
                Parts::default()
            }
        }
    }
}

/// Where a step stands.
struct Way<'a> {
    runbook: &'a Runbook,
    asked: &'a [(Duration, Duration)],
    settle: Duration,
    depth: usize,
}

impl Way<'_> {
    fn reads(&self, expr: &Expr) -> Duration {
        let mut longest = Duration::ZERO;
        expr.bindings(&mut |id| {
            longest = longest.max(self.asked.get(id.0).map_or(Duration::ZERO, |(reads, _)| *reads))
        });
        longest
    }
}

fn action(action: &Action, way: &Way) -> Parts {
    let mut parts = Parts::default();
    if let Some(when) = &action.when {
        parts.reads = way.reads(when);
    }
    if let Some(approval) = &action.approve {
        parts.approval = approval.within;
    }
    if action.manual {
        parts.people = action.manual_within;
    }
    let mut targets = Duration::ZERO;
    for order in &action.orders {
        if let OrderKind::Call { call, before } = &order.kind {
            for arg in &call.args {
                targets = targets.max(way.reads(&arg.value));
            }
            if let Some((_, read)) = before {
                parts.reads = parts.reads.saturating_add(read.within);
            }
            parts.change = parts.change.saturating_add(call.within);
        }
    }
    // What the arguments rest on is asked again directly before the change.
    parts.reads = parts.reads.saturating_add(targets);
    if let Some(verify) = &action.verify {
        parts.verify = verify.within;
    }
    let mut back = Duration::ZERO;
    for undo in &action.undos {
        let calls: &[_] = match &undo.kind {
            UndoKind::Restore(calls) => calls,
            UndoKind::Call(call) => std::slice::from_ref(call),
            UndoKind::None { .. } | UndoKind::Words(_) => &[],
        };
        for call in calls {
            back = back.saturating_add(call.within);
        }
    }
    parts.back = back;
    parts
}

/// How long the goal may take to settle: the longest `for` in it and a minute.
fn settle(runbook: &Runbook) -> Duration {
    let Some(BindingKind::Let(goal)) = runbook.goal.map(|id| &runbook.binding(id).kind) else {
        return Duration::ZERO;
    };
    let mut longest = longest_for(goal, runbook);
    goal.bindings(&mut |id| {
        if let BindingKind::Question(question) = &runbook.binding(id).kind
            && let QuestionForm::YesWhen(condition) = &question.form
        {
            longest = longest.max(longest_for(condition, runbook));
        }
    });
    longest.saturating_add(Duration::from_secs(60))
}

fn longest_for(expr: &Expr, runbook: &Runbook) -> Duration {
    let nanoseconds = held::longest(expr, &Constants::of(runbook));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}
