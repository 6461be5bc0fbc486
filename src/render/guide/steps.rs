//! The steps: questions, branches, actions, loops.

use super::Guide;
use crate::program::{Action, ActionId, BindingId, BindingKind, Branch, Each, Step, StepKind};
use crate::render::document::{Block, Document, heading, paragraph};
use crate::render::words::{self, Fate, Place, code, risk};

impl Guide<'_> {
    pub(super) fn diagnosis(&self, document: &mut Document) {
        document.heading(2, "Diagnosis and action");
        if self.runbook.steps.is_empty() {
            document.paragraph("There are no steps: the questions above are the whole of it.");
            return;
        }
        document.blocks.extend(self.steps(&self.runbook.steps, Place::Steps, 3));
    }

    fn steps(&self, steps: &[Step], place: Place, level: u8) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut behind = false;
        for step in steps {
            let inner = self.step(step, place, level);
            // What follows a branch or a loop without a heading of its own would seem to belong to it.
            if behind && matches!(inner.first(), Some(Block::Paragraph { .. } | Block::Prose { .. })) {
                blocks.push(heading(level, "Then"));
            }
            behind = matches!(step.kind, StepKind::Branch(_) | StepKind::Each(_) | StepKind::Action(_));
            blocks.extend(inner);
        }
        blocks
    }

    fn step(&self, step: &Step, place: Place, level: u8) -> Vec<Block> {
        match &step.kind {
            StepKind::Prose(prose) => self.prose(std::slice::from_ref(prose)),
            StepKind::Evaluate(id) => self.evaluated(*id, level),
            StepKind::Branch(branch) => self.branch(branch, place, level),
            StepKind::Action(id) => vec![self.action(*id, place, level)],
            StepKind::Require { condition, otherwise } => vec![paragraph(format!(
                "Only goes on when {}. On a no, or when nobody can tell: {}.",
                self.words.condition(condition),
                self.words.order_elsewhere(otherwise, place)
            ))],
            StepKind::Wait {
                condition,
                within,
                every,
                otherwise,
            } => vec![paragraph(format!(
                "Waits until {}, at most {}, asking every {}. Otherwise: {}.",
                self.words.condition(condition),
                words::span(*within),
                words::span(*every),
                self.words.order_elsewhere(otherwise, place)
            ))],
            StepKind::Each(each) => vec![self.each(each, place, level)],
            StepKind::Run { runbook, .. } => {
                let child = &self.program.runbooks[runbook.0];
                vec![paragraph(format!(
                    "Runs the runbook {} (“{}”) to its end, under the same time limit and severity.",
                    code(&child.name),
                    self.words.text(&child.title)
                ))]
            }
            StepKind::Tell(call) => vec![paragraph(format!(
                "Tells: {}. When that fails it is recorded and the run goes on.",
                self.words.call(call)
            ))],
            StepKind::Advise(advice) => self.advice(advice, level),
            StepKind::Stop(reason) => vec![paragraph(format!(
                "The run stops here and pages nobody: {}.",
                self.words.text(reason)
            ))],
            StepKind::Escalate => vec![paragraph(
                "Escalates: the rest of the severity's row is called at once, and the run ends.",
            )],
        }
    }

    fn evaluated(&self, id: BindingId, level: u8) -> Vec<Block> {
        let binding = self.runbook.binding(id);
        let name = code(&binding.name);
        match &binding.kind {
            BindingKind::Question(_) => self.question(id, level),
            BindingKind::Read(call) => vec![paragraph(format!(
                "Reads {name} by {} within {}; no reply is an unknown value, never an empty one.",
                self.words.call(call),
                words::span(call.within)
            ))],
            BindingKind::Let(expr) => vec![paragraph(format!("Takes {name} to be {}.", self.words.condition(expr)))],
            BindingKind::Ask { title, choices, within } => {
                let choices = match choices {
                    Some(list) => format!(", one of {}", self.words.condition(list)),
                    None => String::new(),
                };
                vec![paragraph(format!(
                    "Asks a person for {name}: “{}”{choices}, within {}.",
                    self.words.text(title),
                    words::span(*within)
                ))]
            }
            _ => Vec::new(),
        }
    }

    fn branch(&self, branch: &Branch, place: Place, level: u8) -> Vec<Block> {
        let mut blocks = vec![heading(level, self.words.text(&branch.title))];
        blocks.extend(self.prose(&branch.prose));
        blocks.push(paragraph(self.words.rounds(branch)));
        let inside = if branch.once { Place::CauseOnce } else { Place::Cause };
        for (index, cause) in branch.causes.iter().enumerate() {
            let mut inner = vec![heading(
                level + 1,
                format!("Cause {}: {}", index + 1, self.words.text(&cause.title)),
            )];
            let mut items = vec![format!(
                "{} holds when {}.",
                code(&cause.name),
                self.words.condition(&cause.when)
            )];
            let implied = self.words.implied(branch, index, &|_| Fate::Open);
            items.extend(implied.into_iter().map(|line| format!("{line}.")));
            inner.push(Block::List { items });
            inner.extend(self.steps(&cause.steps, inside, level + 2));
            blocks.push(Block::Group {
                what: "cause",
                blocks: inner,
            });
        }
        if branch.merged {
            blocks.push(self.arm("No cause holds, or nobody can tell", &branch.otherwise, place, level));
        } else {
            blocks.push(self.arm("No cause holds", &branch.otherwise, place, level));
            blocks.push(self.arm("Nobody can tell", &branch.cannot_tell, place, level));
        }
        blocks.push(paragraph(self.words.unknown_in(branch)));
        blocks
    }

    fn arm(&self, title: &str, steps: &[Step], place: Place, level: u8) -> Block {
        let mut blocks = vec![heading(level + 1, title)];
        if steps.is_empty() {
            blocks.push(paragraph("Nothing is done; the run goes on behind the branch."));
        } else {
            blocks.extend(self.steps(steps, place, level + 2));
        }
        Block::Group { what: "arm", blocks }
    }

    fn each(&self, each: &Each, place: Place, level: u8) -> Block {
        let element = code(&self.runbook.binding(each.element).name);
        let list = self.words.condition(&each.list);
        let most = self.words.condition(&each.at_most);
        let mut items = vec![format!(
            "At most {most}: when {list} is longer, none is treated and the run escalates."
        )];
        if !each.batches.is_empty() {
            let sizes: Vec<String> = each.batches.iter().map(|size| self.words.condition(size)).collect();
            items.push(format!(
                "In batches of {}: the first is the test, and a batch only begins while nothing is unclear.",
                sizes.join(", then ")
            ));
        }
        let failures = match each.stop_after {
            1 => "one that fails".to_owned(),
            count => format!("{count} that fail"),
        };
        items.push(format!(
            "After {failures}, or one that is unclear, the loop ends and the run escalates."
        ));
        let mut blocks = vec![
            heading(level, format!("For each {element} in {list}")),
            Block::List { items },
        ];
        let in_cause = matches!(place, Place::Cause | Place::CauseOnce | Place::Each { in_cause: true });
        blocks.extend(self.steps(&each.steps, Place::Each { in_cause }, level + 1));
        Block::Group { what: "each", blocks }
    }

    fn action(&self, id: ActionId, place: Place, level: u8) -> Block {
        let action: &Action = self.runbook.action(id);
        let kind = if action.manual { "By hand" } else { "Action" };
        let mut blocks = vec![heading(
            level,
            format!("{kind} {}: {}", code(&action.name), self.words.text(&action.title)),
        )];
        blocks.extend(self.prose(&action.prose));
        let mut items = Vec::new();
        if let Some(when) = &action.when {
            items.push(format!(
                "Only when {}. On a definite no it is not needed; when nobody can tell it counts as unclear.",
                self.words.condition(when)
            ));
        }
        items.push(format!("Risk: {}.", risk(action.risk)));
        match &action.approve {
            Some(approval) => {
                items.push(format!("{}.", self.words.approval(approval)));
                if !approval.seeing.is_empty() {
                    let seen: Vec<String> = approval.seeing.iter().map(|(text, _)| code(text)).collect();
                    items.push(format!("Look at {} before approving.", seen.join(", ")));
                }
            }
            None if action.manual => {}
            None => items.push("No approval is asked for.".to_owned()),
        }
        blocks.push(Block::List { items });
        let orders = self.words.orders(action);
        if !orders.is_empty() {
            blocks.push(paragraph(if action.manual { "What to do:" } else { "What is done:" }));
            blocks.push(Block::Numbered { items: orders });
        }
        if action.manual {
            blocks.push(paragraph(format!(
                "The person ticks it when it is done; not ticked within {} it counts as failed.",
                words::span(action.manual_within)
            )));
        }
        blocks.push(paragraph("What follows:"));
        blocks.push(Block::List {
            items: self.words.consequences(action, place),
        });
        Block::Group { what: "action", blocks }
    }
}
