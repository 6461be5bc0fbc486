//! The steps of a plan: every way the run could take.

use super::{Label, Outcome, Planner, Step, Way};
use crate::program::{Action, BindingKind, Branch, QuestionForm, StepKind};
use crate::value::show::show_std;

/// The run goes on behind this step.
fn go_on() -> Option<Outcome> {
    None
}

fn end(word: &'static str) -> Option<Outcome> {
    Some(Outcome {
        undo: false,
        tells: Vec::new(),
        end: word,
        reason: String::new(),
        written: true,
    })
}

fn step(kind: &'static str, name: &str, text: impl Into<String>, label: Option<Label>) -> Step {
    Step {
        kind,
        name: name.to_owned(),
        text: text.into(),
        label,
        ways: Vec::new(),
    }
}

impl Planner<'_> {
    /// Walks steps. `changed`: something may have been changed on the way here, so that what is asked now is unknown until
    /// then; it is set when one of these steps may change something.
    pub(super) fn steps(&self, steps: &[crate::program::Step], changed: &mut bool) -> Vec<Step> {
        steps.iter().filter_map(|step| self.step(&step.kind, changed)).collect()
    }

    fn step(&self, kind: &StepKind, changed: &mut bool) -> Option<Step> {
        let asked = Some(if *changed {
            Label::UnknownUntilApplied
        } else {
            Label::Observed
        });
        Some(match kind {
            StepKind::Prose(_) => return None,
            StepKind::Evaluate(id) => {
                let binding = self.runbook.binding(*id);
                match &binding.kind {
                    BindingKind::Question(question) => {
                        let kind = match question.form {
                            QuestionForm::Run { .. } => "run",
                            _ => "check",
                        };
                        // Another runbook may change something before it answers.
                        *changed |= kind == "run";
                        let label = if kind == "run" {
                            Some(Label::UnknownUntilApplied)
                        } else {
                            asked
                        };
                        step(kind, &binding.name, self.texts.text(&question.title), label)
                    }
                    BindingKind::Read(call) => step("read", &binding.name, self.texts.call(call), asked),
                    BindingKind::Ask { title, .. } => step("ask", &binding.name, self.texts.text(title), asked),
                    BindingKind::Let(expr) => step("let", &binding.name, self.texts.condition(expr), None),
                    _ => return None,
                }
            }
            StepKind::Branch(branch) => self.branch(branch, asked, changed),
            StepKind::Action(id) => {
                let action = self.runbook.action(*id);
                let planned = self.action(action);
                *changed = true;
                planned
            }
            StepKind::Require { condition, otherwise } => Step {
                ways: vec![
                    self.way("yes", Vec::new(), go_on()),
                    self.way("no or unknown", Vec::new(), Some(self.outcome(otherwise))),
                ],
                ..step("require", "", self.texts.condition(condition), asked)
            },
            StepKind::Wait {
                condition,
                within,
                every,
                otherwise,
            } => Step {
                ways: vec![
                    self.way("yes", Vec::new(), go_on()),
                    self.way("not in time", Vec::new(), Some(self.outcome(otherwise))),
                ],
                ..step(
                    "wait",
                    "",
                    format!(
                        "{} within {}, every {}",
                        self.texts.condition(condition),
                        show_std(*within),
                        show_std(*every)
                    ),
                    Some(Label::UnknownUntilApplied),
                )
            },
            StepKind::Each(each) => {
                let name = &self.runbook.binding(each.element).name;
                let list = self.texts.condition(&each.list);
                let most = self.texts.condition(&each.at_most);
                let sizes: Vec<String> = each.batches.iter().map(|size| self.texts.condition(size)).collect();
                let batches = if sizes.is_empty() {
                    String::new()
                } else {
                    format!(", in batches of {}", sizes.join(", "))
                };
                Step {
                    ways: vec![
                        self.way("each element", self.steps(&each.steps, changed), go_on()),
                        self.way(&format!("more than {most}"), Vec::new(), end("escalate")),
                        self.way(
                            &format!("{} failed, or one is unclear", each.stop_after),
                            Vec::new(),
                            end("escalate"),
                        ),
                    ],
                    ..step("each", name, format!("{list}, at most {most}{batches}"), asked)
                }
            }
            StepKind::Run { runbook, .. } => {
                *changed = true;
                let child = &self.program.runbooks[runbook.0];
                step(
                    "run",
                    &child.name,
                    self.texts.text(&child.title),
                    Some(Label::UnknownUntilApplied),
                )
            }
            StepKind::Tell(call) => step("tell", "", self.texts.call(call), Some(Label::Simulated)),
            StepKind::Advise(advice) => step("advise", "", self.texts.text(&advice.title), None),
            StepKind::Stop(reason) => step("stop", "", self.texts.text(reason), None),
            StepKind::Escalate => step("escalate", "", "", None),
        })
    }

    fn way(&self, on: &str, steps: Vec<Step>, then: Option<Outcome>) -> Way {
        Way {
            on: on.to_owned(),
            steps,
            then,
        }
    }

    fn branch(&self, branch: &Branch, asked: Option<Label>, changed: &mut bool) -> Step {
        let before = *changed;
        let mut ways = Vec::new();
        for (position, cause) in branch.causes.iter().enumerate() {
            let mut on = format!("{}: {}", cause.name, self.texts.condition(&cause.when));
            if position > 0 {
                let earlier: Vec<&str> = branch.causes[..position].iter().map(|c| c.name.as_str()).collect();
                on.push_str(&format!(", and not {}", earlier.join(", not ")));
            }
            let mut inside = before;
            let steps = self.steps(&cause.steps, &mut inside);
            *changed |= inside;
            let then = if branch.once { go_on() } else { end("ask again") };
            ways.push(self.way(&on, steps, then));
        }
        // A later round may stand behind a change of an earlier one.
        let mut inside = *changed;
        if branch.merged {
            let steps = self.steps(&branch.otherwise, &mut inside);
            ways.push(self.way("otherwise or cannot tell", steps, go_on()));
        } else {
            let otherwise = self.steps(&branch.otherwise, &mut inside);
            ways.push(self.way("otherwise", otherwise, go_on()));
            let cannot_tell = self.steps(&branch.cannot_tell, &mut inside);
            ways.push(self.way("cannot tell", cannot_tell, go_on()));
        }
        *changed |= inside;
        Step {
            ways,
            ..step("branch", "", self.texts.text(&branch.title), asked)
        }
    }

    fn action(&self, action: &Action) -> Step {
        let mut ways = Vec::new();
        if !action.manual || action.when.is_some() {
            ways.push(self.way("not needed", Vec::new(), go_on()));
        }
        if action.approve.is_some() || action.refuse.is_some() {
            ways.push(self.way("not approved", Vec::new(), Some(self.outcome(&action.not_approved))));
        }
        ways.push(self.way("works", Vec::new(), go_on()));
        ways.push(self.way("fails", Vec::new(), Some(self.outcome(&action.failed))));
        ways.push(self.way("unclear", Vec::new(), Some(self.outcome(&action.unclear))));
        let kind = if action.manual { "manual" } else { "action" };
        Step {
            ways,
            ..step(
                kind,
                &action.name,
                self.texts.text(&action.title),
                Some(Label::UnknownUntilApplied),
            )
        }
    }
}
