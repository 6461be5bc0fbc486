//! The entries of a run put in order for a reader: what was seen, what was wanted, what was done, what came of it. Made from
//! the entries alone; every sequence of events, also an impossible one, gives a story.

use super::action::{Action, Actions};
use super::words::{self, At};
use crate::journal::Recorded;
use crate::journal::event::{Event, Evidence, Person, Shown};
use crate::value::Answer;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A run for a reader. The field names are those of `report --json` and stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Story {
    pub run: String,
    pub runbook: String,
    pub title: String,
    pub file: String,
    pub owner: Option<String>,
    pub environment: String,
    pub operator: String,
    pub host: String,
    pub tool_version: String,
    pub dry_run: bool,
    /// What made it start.
    pub occasion: Option<String>,
    pub digests: BTreeMap<String, String>,
    pub signed_by: Vec<String>,
    pub parameters: Vec<(String, String)>,
    pub prose: Vec<String>,
    pub timebox_seconds: u64,
    pub timebox_then: String,
    /// Time of the first entry.
    pub started: At,
    pub ended: Option<At>,
    /// `None`: interrupted, or still running.
    pub outcome: Option<String>,
    pub reason: String,
    pub duration_seconds: Option<f64>,
    pub in_place: Vec<String>,
    /// Emergency overrides: any of them lowers the grade of the run.
    pub overrides: Vec<Overridden>,
    pub severities: Vec<SeveritySeen>,
    pub questions: Vec<Question>,
    pub asked: Vec<Asked>,
    pub goals: Vec<GoalSeen>,
    pub steps: Vec<Step>,
    /// The looks that decided whether the run is resolved.
    pub looks: Vec<Looks>,
    pub interruptions: Vec<Interruption>,
    pub reads: Vec<ReadSeen>,
    pub advice: Vec<Advice>,
    pub preventions: Vec<Prevention>,
    pub reflections: Vec<Reflection>,
    /// Entries whose payload was erased.
    pub erased: usize,
}

/// An emergency override that came into force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overridden {
    pub at: At,
    pub reason: String,
    pub ticket: String,
    pub by: Person,
    pub second: Person,
    pub lasts_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeveritySeen {
    pub at: At,
    pub severity: Option<String>,
    pub because: String,
}

/// A question with every answer it got.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// With the called runbook it belongs to.
    pub name: String,
    pub question: String,
    pub symptom: bool,
    pub answers: Vec<Answered>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    pub at: At,
    pub answer: Answer,
    pub good: Option<bool>,
    pub evidence: Vec<Evidence>,
    pub reason: Option<String>,
    pub by: Option<Person>,
    pub round: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    pub at: At,
    pub name: String,
    pub question: String,
    pub value: Shown,
    pub by: Person,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GoalSeen {
    pub at: At,
    pub text: String,
    pub answer: Answer,
}

/// A step on the way, in the order it was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    Branch(Branch),
    Action(Action),
    /// Looks outside of actions: `require`, `wait until`, settling of the goal.
    Looks(Looks),
    /// Anything else that is one line.
    Note {
        at: At,
        text: String,
    },
}

/// A branch and what was found about its causes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Branch {
    pub at: At,
    pub question: String,
    pub round: u32,
    pub causes: Vec<Cause>,
    /// The arm that was taken, and why.
    pub arm: Option<(String, String)>,
    /// What a person chose where an answer was missing.
    pub choices: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    pub name: String,
    pub statement: String,
    pub when: String,
    pub answer: Answer,
    pub chosen: bool,
    pub because: String,
    pub parts: Vec<Evidence>,
}

/// Several looks at one condition, condensed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Looks {
    pub what: String,
    pub condition: String,
    pub first: At,
    pub last: At,
    /// The answers in their order, as they changed.
    pub answers: Vec<Answer>,
    /// What decided the last one.
    pub evidence: Vec<Evidence>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interruption {
    pub at: At,
    pub because: String,
    pub pending: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadSeen {
    /// Number of the entry in the log.
    pub entry: u64,
    pub at: At,
    pub name: String,
    pub operation: String,
    pub arguments: Vec<(String, String)>,
    pub value: Shown,
    /// How long, and what was in the way.
    pub took: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    pub title: String,
    pub prose: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prevention {
    pub title: String,
    pub by: Option<String>,
    pub due: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reflection {
    pub question: String,
    pub answer: Option<String>,
    pub by: Option<Person>,
}

impl Story {
    /// The story of these entries, which are those of one run, oldest first.
    pub fn of(entries: &[Recorded]) -> Self {
        let mut story = Self::default();
        if let Some(first) = entries.first() {
            story.run.clone_from(&first.run);
            story.started = At(first.at);
        }
        let mut actions = Actions::default();
        for entry in entries {
            match &entry.event {
                None => story.erased += 1,
                Some(event) => {
                    if !actions.take(&mut story.steps, entry, event) {
                        story.take(entry, event);
                    }
                }
            }
        }
        story
    }

    /// The severity at the end.
    pub fn severity(&self) -> Option<&str> {
        self.severities.last()?.severity.as_deref()
    }

    /// The causes that were chosen, in their order, each once.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        let mut seen = BTreeSet::new();
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Branch(branch) => Some(&branch.causes),
                _ => None,
            })
            .flatten()
            .filter(move |cause| cause.chosen && seen.insert(&cause.name))
    }

    fn take(&mut self, entry: &Recorded, event: &Event) {
        match event {
            Event::RunStarted { .. } if entry.scope.is_empty() => self.start(event),
            Event::Ended {
                outcome,
                reason,
                in_place,
                duration_seconds,
            } if entry.scope.is_empty() => {
                self.ended = Some(At(entry.at));
                self.outcome = Some(outcome.clone());
                self.reason.clone_from(reason);
                self.in_place.clone_from(in_place);
                self.duration_seconds = Some(*duration_seconds);
            }
            Event::Severity { name, because, .. } => self.severities.push(SeveritySeen {
                at: At(entry.at),
                severity: name.clone(),
                because: because.clone(),
            }),
            Event::Goal { text, answer } if entry.scope.is_empty() => self.goals.push(GoalSeen {
                at: At(entry.at),
                text: text.clone(),
                answer: *answer,
            }),
            Event::BranchEntered { question, round } => self.steps.push(Step::Branch(Branch {
                at: At(entry.at),
                question: question.clone(),
                round: *round,
                causes: Vec::new(),
                arm: None,
                choices: Vec::new(),
            })),
            Event::Read { .. } | Event::Answered { .. } | Event::Asked { .. } => self.situation(entry, event),
            Event::Cause { .. } | Event::Arm { .. } | Event::Choice { .. } => self.diagnosis(entry, event),
            Event::Interrupted { because, pending } => self.interruptions.push(Interruption {
                at: At(entry.at),
                because: because.clone(),
                pending: pending.clone(),
            }),
            Event::Advised { title, prose } => self.advice.push(Advice {
                title: title.clone(),
                prose: prose.clone(),
            }),
            Event::Prevention { title, by, due } => self.preventions.push(Prevention {
                title: title.clone(),
                by: by.clone(),
                due: due.clone(),
            }),
            Event::Reflection { question, answer, by } => self.reflections.push(Reflection {
                question: question.clone(),
                answer: answer.clone(),
                by: by.clone(),
            }),
            Event::Overridden {
                reason,
                ticket,
                by,
                second,
                lasts_seconds,
                ..
            } => {
                self.overrides.push(Overridden {
                    at: At(entry.at),
                    reason: reason.clone(),
                    ticket: ticket.clone(),
                    by: by.clone(),
                    second: second.clone(),
                    lasts_seconds: *lasts_seconds,
                });
                self.note(entry);
            }
            // What a called runbook says of itself is a step of this one.
            Event::Look { what, .. } if what == "resolved" && entry.scope.is_empty() => {
                add_look(&mut self.looks, entry, event);
            }
            Event::Look { .. } => self.look(entry, event),
            _ => self.note(entry),
        }
    }

    fn look(&mut self, entry: &Recorded, event: &Event) {
        // Looks at one condition that follow one another are one step.
        let mut looks = match self.steps.pop() {
            Some(Step::Looks(looks)) => vec![looks],
            other => {
                self.steps.extend(other);
                Vec::new()
            }
        };
        add_look(&mut looks, entry, event);
        self.steps.extend(looks.into_iter().map(Step::Looks));
    }

    fn note(&mut self, entry: &Recorded) {
        self.steps.push(Step::Note {
            at: At(entry.at),
            text: words::scoped_sentence(entry),
        });
    }

    fn start(&mut self, event: &Event) {
        let Event::RunStarted {
            runbook,
            title,
            file,
            owner,
            digests,
            signed_by,
            parameters,
            environment,
            operator,
            tool_version,
            host,
            dry_run,
            occasion,
            prose,
            timebox_seconds,
            timebox_then,
            basis: _,
        } = event
        else {
            return;
        };
        self.runbook.clone_from(runbook);
        self.title.clone_from(title);
        self.file.clone_from(file);
        self.owner.clone_from(owner);
        self.digests.clone_from(digests);
        self.signed_by.clone_from(signed_by);
        self.parameters.clone_from(parameters);
        self.environment.clone_from(environment);
        self.operator.clone_from(operator);
        self.tool_version.clone_from(tool_version);
        self.host.clone_from(host);
        self.dry_run = *dry_run;
        self.occasion.clone_from(occasion);
        self.prose.clone_from(prose);
        self.timebox_seconds = *timebox_seconds;
        self.timebox_then.clone_from(timebox_then);
    }

    fn situation(&mut self, entry: &Recorded, event: &Event) {
        match event {
            Event::Read {
                name,
                operation,
                arguments,
                value,
                milliseconds,
                notes,
            } => self.reads.push(ReadSeen {
                entry: entry.sequence,
                at: At(entry.at),
                name: words::scoped(&entry.scope, name),
                operation: operation.clone(),
                arguments: arguments.clone(),
                value: value.clone(),
                took: words::took(*milliseconds, notes),
            }),
            Event::Answered {
                name,
                question,
                symptom,
                answer,
                good,
                evidence,
                reason,
                by,
                round,
            } => {
                let name = words::scoped(&entry.scope, name);
                let given = Answered {
                    at: At(entry.at),
                    answer: *answer,
                    good: *good,
                    evidence: evidence.clone(),
                    reason: reason.clone(),
                    by: by.clone(),
                    round: *round,
                };
                match self.questions.iter_mut().find(|question| question.name == name) {
                    Some(known) => known.answers.push(given),
                    None => self.questions.push(Question {
                        name,
                        question: question.clone(),
                        symptom: *symptom,
                        answers: vec![given],
                    }),
                }
            }
            Event::Asked {
                name,
                question,
                value,
                by,
            } => self.asked.push(Asked {
                at: At(entry.at),
                name: words::scoped(&entry.scope, name),
                question: question.clone(),
                value: value.clone(),
                by: by.clone(),
            }),
            _ => {}
        }
    }

    fn diagnosis(&mut self, entry: &Recorded, event: &Event) {
        // What is said about a branch belongs to the one that was entered last; without one it is a line of its own.
        let branch = self.steps.iter_mut().rev().find_map(|step| match step {
            Step::Branch(branch) => Some(branch),
            _ => None,
        });
        let Some(branch) = branch else {
            self.note(entry);
            return;
        };
        match event {
            Event::Cause {
                name,
                statement,
                when,
                answer,
                chosen,
                because,
                parts,
                ..
            } => branch.causes.push(Cause {
                name: words::scoped(&entry.scope, name),
                statement: statement.clone(),
                when: when.clone(),
                answer: *answer,
                chosen: *chosen,
                because: because.clone(),
                parts: parts.clone(),
            }),
            Event::Arm { arm, because, .. } => branch.arm = Some((arm.clone(), because.clone())),
            _ => branch.choices.push(words::sentence(entry)),
        }
    }
}

/// Adds a look to those before it when it is at the same condition.
pub fn add_look(all: &mut Vec<Looks>, entry: &Recorded, event: &Event) {
    let Event::Look {
        what,
        condition,
        answer,
        evidence,
        ..
    } = event
    else {
        return;
    };
    let at = At(entry.at);
    let what = match &**what {
        "resolved" => words::scoped(&entry.scope, what),
        other => other.to_owned(),
    };
    match all.last_mut() {
        Some(looks) if looks.what == what && looks.condition == *condition => {
            looks.last = at;
            looks.evidence.clone_from(evidence);
            if looks.answers.last() != Some(answer) {
                looks.answers.push(*answer);
            }
        }
        _ => all.push(Looks {
            what,
            condition: condition.clone(),
            first: at,
            last: at,
            answers: vec![*answer],
            evidence: evidence.clone(),
        }),
    }
}
