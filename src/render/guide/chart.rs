//! The way through a runbook as a flow chart, in Mermaid's text.

use super::Guide;
use crate::eval::Constants;
use crate::program::{BindingKind, End, Outcome, Program, RunbookId, Step, StepKind};
use crate::render::safe::safe;
use crate::render::words::Words;

/// Longest label, in characters.
const LABEL: usize = 60;

/// A flow chart of a runbook. Each node has a number of its own, so that no text of the file becomes a name in the chart.
pub fn chart(program: &Program, runbook: RunbookId) -> String {
    let runbook = &program.runbooks[runbook.0];
    let constants = Constants::of(runbook);
    let guide = Guide {
        program,
        runbook,
        words: Words::new(program, runbook, &constants),
    };
    let mut chart = Chart {
        guide: &guide,
        nodes: Vec::new(),
        edges: Vec::new(),
        escalate: None,
    };
    let done = chart.node("([", "End: resolved if the goal is reached", "])");
    let first = chart.steps(&runbook.steps, done, None);
    let start = chart.node("([", &guide.words.text(&runbook.title), "])");
    if runbook.situation.symptoms.is_empty() {
        chart.edge(start, first, "");
    } else {
        let names: Vec<String> = runbook
            .situation
            .symptoms
            .iter()
            .map(|id| runbook.binding(*id).name.clone())
            .collect();
        let asked = chart.node("{{", &format!("Symptoms: {}", names.join(", ")), "}}");
        let absent = chart.node("([", "Not present", "])");
        chart.edge(start, asked, "");
        chart.edge(asked, absent, "all no");
        chart.edge(asked, first, "any yes, or unknown");
    }
    chart.text()
}

struct Chart<'a> {
    guide: &'a Guide<'a>,
    nodes: Vec<String>,
    edges: Vec<String>,
    escalate: Option<usize>,
}

/// The branch around a step: where `next cause` leads.
type Around = Option<usize>;

impl Chart<'_> {
    fn node(&mut self, open: &str, label: &str, close: &str) -> usize {
        let id = self.nodes.len();
        self.nodes.push(format!("  n{id}{open}\"{}\"{close}\n", quoted(label)));
        id
    }

    fn edge(&mut self, from: usize, to: usize, label: &str) {
        let line = if label.is_empty() {
            format!("  n{from} --> n{to}\n")
        } else {
            format!("  n{from} -->|\"{}\"| n{to}\n", quoted(label))
        };
        if !self.edges.contains(&line) {
            self.edges.push(line);
        }
    }

    fn escalation(&mut self) -> usize {
        match self.escalate {
            Some(id) => id,
            None => {
                let id = self.node("([", "Escalate, end", "])");
                self.escalate = Some(id);
                id
            }
        }
    }

    /// Adds the steps and returns where they begin; `after` is what follows them.
    fn steps(&mut self, steps: &[Step], after: usize, around: Around) -> usize {
        steps
            .iter()
            .rev()
            .fold(after, |next, step| self.step(step, next, around))
    }

    fn step(&mut self, step: &Step, next: usize, around: Around) -> usize {
        let guide = self.guide;
        let runbook = guide.runbook;
        match &step.kind {
            StepKind::Prose(_) | StepKind::Advise(_) => next,
            StepKind::Evaluate(id) => {
                let binding = runbook.binding(*id);
                let label = match &binding.kind {
                    BindingKind::Question(question) => guide.words.text(&question.title),
                    BindingKind::Ask { title, .. } => guide.words.text(title),
                    _ => return next,
                };
                let node = self.node("[/", &format!("{}: {label}", binding.name), "/]");
                self.edge(node, next, "");
                node
            }
            StepKind::Branch(branch) => {
                let node = self.node("{", &guide.words.text(&branch.title), "}");
                let treated = if branch.once {
                    next
                } else {
                    let goal = self.node("{", "Goal reached?", "}");
                    self.edge(goal, next, "yes");
                    self.edge(goal, node, "no: asked again");
                    goal
                };
                for cause in &branch.causes {
                    let first = self.steps(&cause.steps, treated, Some(node));
                    self.edge(node, first, &guide.words.text(&cause.title));
                }
                let otherwise = self.steps(&branch.otherwise, next, around);
                if branch.merged {
                    self.edge(node, otherwise, "otherwise or cannot tell");
                } else {
                    self.edge(node, otherwise, "otherwise");
                    let cannot_tell = self.steps(&branch.cannot_tell, next, around);
                    self.edge(node, cannot_tell, "cannot tell");
                }
                node
            }
            StepKind::Action(id) => {
                let action = runbook.action(*id);
                let label = format!("{}: {}", action.name, guide.words.text(&action.title));
                let node = self.node("[", &label, "]");
                self.edge(node, next, if action.verify.is_some() { "works" } else { "done" });
                self.outcome(node, &action.failed, "fails", next, around);
                self.outcome(node, &action.unclear, "unclear", next, around);
                if action.approve.is_some() {
                    self.outcome(node, &action.not_approved, "not approved", next, around);
                }
                node
            }
            StepKind::Require { condition, otherwise } => {
                let node = self.node("{", &guide.words.condition(condition), "}");
                self.edge(node, next, "yes");
                self.outcome(node, otherwise, "no or unknown", next, around);
                node
            }
            StepKind::Wait {
                condition, otherwise, ..
            } => {
                let node = self.node("{", &format!("Wait until {}", guide.words.condition(condition)), "}");
                self.edge(node, next, "yes");
                self.outcome(node, otherwise, "not in time", next, around);
                node
            }
            StepKind::Each(each) => {
                let more = self.node("{", "More elements?", "}");
                let first = self.steps(&each.steps, more, around);
                let name = &runbook.binding(each.element).name;
                let label = format!("For each {name} in {}", guide.words.condition(&each.list));
                let node = self.node("[[", &label, "]]");
                self.edge(node, first, "");
                self.edge(more, first, "yes");
                self.edge(more, next, "no");
                node
            }
            StepKind::Run { runbook, .. } => {
                let name = &guide.program.runbooks[runbook.0].name;
                let node = self.node("[[", &format!("Run {name}"), "]]");
                self.edge(node, next, "");
                node
            }
            StepKind::Tell(call) => {
                let node = self.node("[/", &format!("Tell: {}", guide.words.call(call)), "/]");
                self.edge(node, next, "");
                node
            }
            StepKind::Stop(reason) => self.node("([", &format!("Stop: {}", guide.words.text(reason)), "])"),
            StepKind::Escalate => self.escalation(),
        }
    }

    fn outcome(&mut self, from: usize, outcome: &Outcome, why: &str, next: usize, around: Around) {
        let label = if outcome.undo {
            format!("{why}: take back")
        } else {
            why.to_owned()
        };
        let to = match &outcome.end {
            End::NextCause => around.unwrap_or(next),
            End::NextStep => next,
            End::Escalate => self.escalation(),
            End::Stop(reason) => {
                let text = format!("Stop: {}", self.guide.words.text(reason));
                self.node("([", &text, "])")
            }
        };
        self.edge(from, to, &label);
    }

    fn text(self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        text.extend(self.nodes);
        text.extend(self.edges);
        text
    }
}

/// A label between quotation marks. What could end it, or be read as markup inside it, is written as an entity.
fn quoted(label: &str) -> String {
    let label = safe(label);
    let mut out = String::new();
    for (count, character) in label.chars().enumerate() {
        if count == LABEL {
            out.push('…');
            break;
        }
        match character {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => {}
            other => out.push(other),
        }
    }
    out
}
