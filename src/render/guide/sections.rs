//! Everything around the steps: header, situation, task, result, reflection.

use super::Guide;
use crate::program::sign::{Sign, signs};
use crate::program::{Advice, BindingId, BindingKind, Question, QuestionForm, Template, UndoKind, UndoWhen};
use crate::render::document::{Block, Document, heading, paragraph};
use crate::render::words::{self, code, default_mark, risk};

impl Guide<'_> {
    pub(super) fn prose(&self, prose: &[Template]) -> Vec<Block> {
        prose
            .iter()
            .map(|text| Block::Prose {
                text: self.words.text(text),
            })
            .collect()
    }

    pub(super) fn header(&self, document: &mut Document) {
        let header = &self.runbook.header;
        document.blocks.extend(self.prose(&self.runbook.prose));
        let mut rows = vec![(
            "Owner".to_owned(),
            header.owner.clone().unwrap_or_else(|| "nobody is named".to_owned()),
        )];
        if let Some(status) = &header.status {
            rows.push(("Status".to_owned(), status.clone()));
        }
        rows.push(("Reviewed".to_owned(), self.reviewed()));
        rows.push(("Time".to_owned(), self.words.timebox(header)));
        for (name, list) in [
            ("Reads", &header.reads),
            ("Changes", &header.changes),
            ("Tells", &header.tells),
            ("Runs", &header.runs),
        ] {
            if list.is_empty() && name == "Runs" {
                continue;
            }
            let names: Vec<String> = list.iter().map(|entry| code(entry)).collect();
            let text = if list.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            };
            rows.push((name.to_owned(), text));
        }
        if !self.runbook.params.is_empty() {
            rows.push(("For".to_owned(), self.parameters()));
        }
        document.blocks.push(Block::Rows { rows });
        self.effects(document);
    }

    fn parameters(&self) -> String {
        let params: Vec<String> = self
            .runbook
            .params
            .iter()
            .map(|id| {
                let binding = self.runbook.binding(*id);
                match &binding.kind {
                    BindingKind::Param { default: Some(default) } => {
                        let default = self.words.condition(default);
                        format!(
                            "{} ({}, {default} unless said otherwise)",
                            code(&binding.name),
                            binding.ty
                        )
                    }
                    _ => format!("{} ({})", code(&binding.name), binding.ty),
                }
            })
            .collect();
        params.join(", ")
    }

    fn effects(&self, document: &mut Document) {
        document.heading(2, "What it may change");
        if self.runbook.actions.is_empty() {
            document.paragraph("Nothing. It only asks, and says what it found.");
            return;
        }
        let actions = self.runbook.actions.iter().map(|action| {
            let approval = match &action.approve {
                Some(approval) => {
                    let roles: Vec<String> = approval.roles.iter().map(|role| code(role)).collect();
                    format!(
                        ", approval by {}",
                        roles.join(if approval.all { " and " } else { " or " })
                    )
                }
                None => ", no approval".to_owned(),
            };
            let by_hand = if action.manual { ", done by hand" } else { "" };
            format!(
                "{}: {} (risk {}{approval}{by_hand})",
                code(&action.name),
                self.words.text(&action.title),
                risk(action.risk)
            )
        });
        document.list(actions.collect());
        document.paragraph("Everything else only reads, asks people, or tells them something.");
    }

    fn reviewed(&self) -> String {
        let header = &self.runbook.header;
        let Some(reviewed) = &header.reviewed else {
            return "never, as far as the file says".to_owned();
        };
        let Some(valid) = header.valid else {
            return reviewed.clone();
        };
        let until = reviewed.parse::<jiff::civil::Date>().ok().and_then(|date| {
            let valid = jiff::SignedDuration::try_from(valid).ok()?;
            date.checked_add(valid).ok()
        });
        match until {
            Some(until) => format!("{reviewed}, good until {until}"),
            None => format!("{reviewed}, good for {}", words::span(valid)),
        }
    }

    pub(super) fn situation(&self, document: &mut Document) {
        let situation = &self.runbook.situation;
        document.heading(2, "Situation");
        document.blocks.extend(self.prose(&situation.prose));
        for symptom in &situation.symptoms {
            document.blocks.extend(self.question(*symptom, 3));
        }
        if !situation.symptoms.is_empty() {
            document.paragraph(
                "When every symptom is a definite no, the run ends as “not present”: there is nothing to treat. An unknown symptom does \
                 not end it.",
            );
        }
        document.heading(3, "How bad is it?");
        let silent = self.runbook.is_silent();
        if silent {
            document.paragraph(format!(
                "A health summary has no severity{}. Only when it escalates does the environment's default count.",
                default_mark(false)
            ));
        } else if situation.severity.is_empty() {
            document.paragraph(format!("The severity is the environment's{}.", default_mark(false)));
        } else {
            document.list(situation.severity.iter().map(|row| self.words.severity(row)).collect());
            document.paragraph(
                "The first row that definitely holds counts. It is looked at again with every round of answers: it may rise by \
                 itself, and only a person lowers it. While a row waits for a person, the row for unknown answers counts.",
            );
        }
        document.heading(3, "Who is called, and when?");
        if silent {
            document.paragraph(format!(
                "Nobody, whatever a health summary finds{}. Only when it escalates is the row of the environment's matrix sent, at once.",
                default_mark(false)
            ));
        }
        match &self.runbook.result.escalation {
            None if silent => return,
            Some(escalation) => {
                if escalation.environment.is_some() {
                    document.paragraph(format!("As the environment's matrix says{}:", default_mark(false)));
                }
                if escalation.rows.is_empty() {
                    document.paragraph("Nobody.");
                    return;
                }
                document.list(escalation.rows.iter().map(|row| self.words.escalation(row)).collect());
            }
            None => document.paragraph(format!("As the environment's matrix says{}.", default_mark(false))),
        }
        document.paragraph(
            "Times count from the moment the severity is first known, until the run ends. When the severity rises, the new row \
             is added. Escalating sends the rest of its row at once and ends the run. When a page cannot be sent, the next \
             entry of its row is sent at once.",
        );
    }

    /// A question with everything a reader needs to answer it by hand.
    pub(super) fn question(&self, id: BindingId, level: u8) -> Vec<Block> {
        let binding = self.runbook.binding(id);
        let BindingKind::Question(question) = &binding.kind else {
            return Vec::new();
        };
        let mut blocks = vec![heading(
            level,
            format!("{} {}", code(&binding.name), self.words.text(&question.title)),
        )];
        blocks.extend(self.prose(&question.prose));
        let mut items = vec![self.answered(question)];
        if let Some(sign) = signs(self.runbook).get(&id) {
            items.push(match sign {
                Sign::YesIsGood => "Yes is good, no is bad.".to_owned(),
                Sign::YesIsBad => "Yes is bad, no is good.".to_owned(),
            });
        }
        items.extend(self.reads(question));
        if let Some(library) = &question.library {
            items.push(format!("Comes from the library: {}.", code(library)));
        }
        blocks.push(Block::List { items });
        blocks
    }

    fn answered(&self, question: &Question) -> String {
        match &question.form {
            QuestionForm::YesWhen(condition) => format!("Yes when {}.", self.words.condition(condition)),
            QuestionForm::Observed { by, within } => {
                let who = match by {
                    Some(role) => format!("A person with the role {} who does not operate the run", code(role)),
                    None => "A person".to_owned(),
                };
                format!(
                    "{who} answers yes, no, or “I do not know”. Without an answer within {} it is unknown.",
                    words::span(*within)
                )
            }
            QuestionForm::FanOut {
                all, over, question, ..
            } => {
                let inner = self.runbook.binding(*question);
                let (title, condition) = match &inner.kind {
                    BindingKind::Question(question) => (
                        self.words.text(&question.title),
                        match &question.form {
                            QuestionForm::YesWhen(condition) => {
                                format!(" It is yes when {}.", self.words.condition(condition))
                            }
                            _ => String::new(),
                        },
                    ),
                    _ => (inner.name.clone(), String::new()),
                };
                format!(
                    "Asked for each of {}: “{title}”{condition} Yes when {} yes.",
                    self.words.condition(over),
                    if *all {
                        "all of them are"
                    } else {
                        "at least one of them is"
                    }
                )
            }
            QuestionForm::Run { runbook, .. } => {
                let child = &self.program.runbooks[runbook.0];
                format!(
                    "Runs {} to its end. Resolved is yes, any other definite end is no, in doubt is unknown.",
                    code(&child.name)
                )
            }
        }
    }

    fn reads(&self, question: &Question) -> Vec<String> {
        question
            .fields
            .iter()
            .filter_map(|(_, id)| {
                let binding = self.runbook.binding(*id);
                let name = code(&binding.name);
                match &binding.kind {
                    BindingKind::Read(call) => Some(format!(
                        "{name} is read by {} within {}; no reply is an unknown answer, never a no.",
                        self.words.call(call),
                        words::span(call.within)
                    )),
                    BindingKind::Let(expr) if !self.words.is_constant(expr) => {
                        Some(format!("{name} is {}.", self.words.condition(expr)))
                    }
                    _ => None,
                }
            })
            .collect()
    }

    pub(super) fn task(&self, document: &mut Document) {
        document.heading(2, "Task");
        document.blocks.extend(self.prose(&self.runbook.task_prose));
        match self.runbook.goal.map(|id| &self.runbook.binding(id).kind) {
            Some(BindingKind::Let(goal)) => {
                document.paragraph(format!("The goal: {}.", self.words.condition(goal)));
            }
            _ => document.paragraph("The file names no goal."),
        }
    }

    pub(super) fn result(&self, document: &mut Document) {
        let result = &self.runbook.result;
        document.heading(2, "Result");
        document.blocks.extend(self.prose(&result.prose));
        let resolved = match &result.resolved {
            Some(condition) => format!("Resolved when {}.", self.words.condition(condition)),
            None if self.runbook.goal.is_some() => {
                format!("Resolved when the goal is reached{}.", default_mark(false))
            }
            None => format!("Resolved when the last verification is a yes{}.", default_mark(false)),
        };
        document.paragraph(resolved);
        if self.runbook.actions.is_empty() {
            return;
        }
        document.heading(3, "What stays changed");
        let lines = self.runbook.actions.iter().flat_map(|action| {
            let name = code(&action.name);
            if action.undos.is_empty() {
                return vec![format!("{name}: stays; the file names no way back.")];
            }
            action
                .undos
                .iter()
                .map(|undo| match (&undo.kind, &undo.when) {
                    (UndoKind::None { because }, _) => {
                        format!("{name}: stays and cannot be taken back: {}.", self.words.text(because))
                    }
                    (_, UndoWhen::OnOutcome) if action.failed.undo => {
                        format!("{name}: stays when it works, is taken back when it fails, stays when nobody can tell.")
                    }
                    (_, UndoWhen::OnOutcome) => {
                        format!("{name}: stays when it works, stays even when it fails, stays when nobody can tell.")
                    }
                    (_, UndoWhen::AtEnd) => format!("{name}: is taken back at the end of the run."),
                    (_, UndoWhen::After(after)) => {
                        format!("{name}: is taken back after {}.", self.words.condition(after))
                    }
                })
                .collect()
        });
        document.list(lines.collect());
        document.paragraph("At its end the run lists every change that is still in place.");
    }

    pub(super) fn reflection(&self, document: &mut Document) {
        let reflection = &self.runbook.reflection;
        document.heading(2, "Reflection");
        document.blocks.extend(self.prose(&reflection.prose));
        if reflection.prevents.is_empty() && reflection.advice.is_empty() && reflection.questions.is_empty() {
            document.paragraph("The file leaves nothing to do or to ask afterwards.");
            return;
        }
        if !reflection.prevents.is_empty() {
            document.heading(3, "So that it does not happen again");
            let items = reflection.prevents.iter().map(|prevent| {
                let by = prevent
                    .by
                    .as_ref()
                    .map_or_else(|| "nobody is named".to_owned(), |by| self.words.text(by));
                let due = prevent
                    .within
                    .map(|within| format!(", within {} of the run", words::span(within)))
                    .unwrap_or_default();
                format!("{} ({by}{due})", self.words.text(&prevent.title))
            });
            document.list(items.collect());
        }
        if !reflection.advice.is_empty() {
            document.heading(3, "Advice");
            for advice in &reflection.advice {
                document.blocks.extend(self.advice(advice, 4));
            }
        }
        if !reflection.questions.is_empty() {
            document.heading(3, "Questions to answer afterwards");
            document.list(
                reflection
                    .questions
                    .iter()
                    .map(|question| self.words.text(question))
                    .collect(),
            );
        }
    }

    pub(super) fn advice(&self, advice: &Advice, level: u8) -> Vec<Block> {
        let title = self.words.text(&advice.title);
        if advice.prose.is_empty() {
            return vec![paragraph(format!("Advice: {title}."))];
        }
        let mut blocks = vec![heading(level, format!("Advice: {title}"))];
        blocks.extend(self.prose(&advice.prose));
        blocks
    }
}
