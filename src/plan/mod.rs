//! What would run, on which answer: a symbolic walk of a checked program. Pure.
//!
//! Nothing is asked. Effects come first; of everything that is not known both ways are walked. What depends on a change is
//! unknown until it is applied.

mod effects;
pub mod file;
pub mod found;
#[cfg(test)]
mod tests;
mod times;
pub mod uses;
mod walk;

use crate::eval::Constants;
use crate::eval::text::Texts;
use crate::program::{End, Program, RunbookId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a run of a runbook could do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub runbook: String,
    pub title: String,
    /// SHA-256 (hex) of each text the program was made from.
    pub texts: BTreeMap<String, String>,
    pub parameters: Vec<Parameter>,
    /// What could change, in the order of the file.
    pub effects: Vec<Effect>,
    /// What people or other systems could be told, without those of outcomes, which stand in the steps.
    pub tells: Vec<Call>,
    /// What the environment must grant.
    pub needs: Vec<Need>,
    /// Roles whose approval could be asked for.
    pub roles: Vec<String>,
    pub questions: Vec<Question>,
    pub steps: Vec<Step>,
    pub longest: Longest,
    pub timebox_seconds: u64,
    pub timebox_then: Outcome,
    /// What the file does not say, and what counts instead.
    pub defaults: Vec<String>,
    /// Plans of the runbooks that it runs, by name.
    pub runs: Vec<Plan>,
}

/// A parameter of the runbook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
    pub default: Option<String>,
}

/// How sure a part of the plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// A run, and a dry run as well, asks the system or the person and sees the answer.
    Observed,
    /// The operation reads the old value first: old and new stand side by side before anything is sent.
    Previewed,
    /// The call and its arguments are shown; what comes of it is not known beforehand.
    Simulated,
    /// Done by a person: nothing can be said beforehand.
    Unknowable,
    /// Depends on a change that has not been made.
    UnknownUntilApplied,
}

impl Label {
    /// The label as words.
    pub fn words(self) -> &'static str {
        match self {
            Label::Observed => "observed",
            Label::Previewed => "previewed",
            Label::Simulated => "simulated",
            Label::Unknowable => "unknowable",
            Label::UnknownUntilApplied => "unknown until applied",
        }
    }
}

/// One action.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    pub action: String,
    pub order: String,
    pub manual: bool,
    pub risk: &'static str,
    pub when: Option<String>,
    pub approval: Option<Approval>,
    /// Refused as a whole above this number.
    pub refuse_above: Option<String>,
    /// How much it can touch at most, in words.
    pub reach: String,
    pub calls: Vec<Call>,
    pub undo: Vec<Undo>,
    pub verify: Option<Verify>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approval {
    pub roles: Vec<String>,
    /// Every role, or one of them.
    pub all: bool,
    pub within_seconds: u64,
    pub seeing: Vec<String>,
}

/// A call of an operation, or an order in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    pub operation: String,
    pub arguments: Vec<(String, String)>,
    /// Idempotence class: R, I, K, V or U; empty for words.
    pub class: String,
    pub within_seconds: u64,
    pub label: Label,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undo {
    /// `restore`, `call`, `by hand`, `none`.
    pub kind: &'static str,
    pub calls: Vec<Call>,
    /// Words, or why there is none.
    pub text: String,
    /// `on outcome`, `at end`, `after 4 h`.
    pub when: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verify {
    pub condition: String,
    pub within_seconds: u64,
    pub every_seconds: u64,
    pub label: Label,
}

/// A capability that the environment must grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    pub effect: &'static str,
    pub capability: String,
    pub operations: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    pub name: String,
    pub title: String,
    pub symptom: bool,
    /// Yes when; empty when a person answers.
    pub condition: String,
    /// Who answers: `reads`, `a person`, `another runbook`.
    pub by: String,
    pub calls: Vec<Call>,
    pub label: Label,
}

/// A step, and where the run goes from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// `branch`, `action`, `require` and so on.
    pub kind: &'static str,
    pub name: String,
    pub text: String,
    pub label: Option<Label>,
    pub ways: Vec<Way>,
}

/// What follows on an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Way {
    /// The answer: `stuck and release`, `fails`, `unclear`.
    pub on: String,
    pub steps: Vec<Step>,
    /// Empty when the next step follows.
    pub then: Option<Outcome>,
}

/// The end of a way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub undo: bool,
    pub tells: Vec<Call>,
    /// `next cause`, `next step`, `escalate`, `stop`, `ask again`, `go on`.
    pub end: &'static str,
    pub reason: String,
    /// False for a default.
    pub written: bool,
}

/// How long the longest way takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Longest {
    pub seconds: u64,
    /// The timebox would end it before.
    pub beyond_timebox: bool,
    /// What it is the sum of.
    pub parts: Vec<(String, u64)>,
    /// False when a loop's length is only known in the run: the loop is then counted once.
    pub complete: bool,
}

impl Plan {
    /// SHA-256 (hex) over the plan's JSON: the same for the same texts, whatever the machine.
    pub fn digest(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("a plan is text, numbers and lists alone");
        hex::encode(Sha256::digest(bytes))
    }
}

/// How deep runbooks may run one another.
const CALLS: usize = 4;

/// The plan of a runbook.
pub fn plan(program: &Program, runbook: RunbookId) -> Plan {
    plan_at(program, runbook, 0)
}

fn plan_at(program: &Program, runbook: RunbookId, depth: usize) -> Plan {
    let of = &program.runbooks[runbook.0];
    let constants = Constants::of(of);
    let planner = Planner {
        program,
        runbook: of,
        texts: Texts::new(program, of, &constants),
    };
    let longest = times::longest(program, of);
    let timebox = of.header.timebox.as_secs();
    Plan {
        runbook: of.name.clone(),
        title: planner.texts.text(&of.title),
        texts: program.digests.clone(),
        parameters: planner.parameters(),
        effects: planner.effects(),
        tells: planner.tells(),
        needs: planner.needs(),
        roles: planner.roles(),
        questions: planner.questions(),
        steps: planner.steps(&of.steps, &mut false),
        longest: Longest {
            beyond_timebox: longest.seconds > timebox,
            ..longest
        },
        timebox_seconds: timebox,
        timebox_then: Outcome {
            undo: false,
            tells: Vec::new(),
            end: end_word(&of.header.timebox_then),
            reason: planner.reason(&of.header.timebox_then),
            written: of.header.timebox_written,
        },
        defaults: planner.defaults(),
        runs: effects::runs(of)
            .into_iter()
            .filter(|_| depth < CALLS)
            .map(|child| plan_at(program, child, depth + 1))
            .collect(),
    }
}

struct Planner<'a> {
    program: &'a Program,
    runbook: &'a crate::program::Runbook,
    texts: Texts<'a>,
}

fn end_word(end: &End) -> &'static str {
    match end {
        End::NextCause => "next cause",
        End::NextStep => "next step",
        End::Escalate => "escalate",
        End::Stop(_) => "stop",
    }
}
