//! Faults: every call of a passing scenario goes wrong in turn, and what must always hold is looked at.
//!
//! The invariants: an effect of unknown fate is never reported as failed or done, and the run ends in doubt unless it was taken
//! back; nothing is sent after the journal failed, and nothing without its intent; an answer that could not be had never becomes
//! a definite one; nobody is told `resolved` or `not present` unless the world, asked without the fault, says so as well; and
//! a failed `tell` changes nothing.

use super::stage::{Fault, Variant, Wrong};
use super::suite::{Ran, Runtime, Suite, timed};
use super::verdict::Story;
use crate::journal::event::{Event, Purpose, ResultKind};
use crate::program::{BindingKind, Program, StepKind};
use crate::provider::Effect;
use crate::value::Answer;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All kinds of faults of a call.
pub const WRONGS: [Wrong; 5] = [
    Wrong::Fails,
    Wrong::TimesOut,
    Wrong::Denied,
    Wrong::Empty,
    Wrong::Truncated,
];

impl Wrong {
    /// The fault in words.
    pub fn words(self) -> &'static str {
        match self {
            Wrong::Fails => "fails",
            Wrong::TimesOut => "times out",
            Wrong::Denied => "is forbidden",
            Wrong::Empty => "answers nothing",
            Wrong::Truncated => "is cut",
        }
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub scenario: String,
    /// `the 3rd call, postgres.sessions.list, times out`
    pub fault: String,
    pub what: String,
}

/// What came of the faults of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Faulted {
    pub runs: usize,
    pub broken: Vec<Broken>,
}

/// A suite for faults: beside the programs one that only asks whether the goal is reached.
pub struct Faults {
    suite: Suite,
    oracle: Suite,
    which: Which,
}

/// Calls that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// Of equal calls between two changes the first and the last.
    Ends,
}

impl Faults {
    /// Prepares a suite for faults.
    pub fn new(suite: Suite, which: Which) -> Self {
        let oracle = suite.with_program(Arc::new(oracle(suite.program())));
        Self { suite, oracle, which }
    }

    /// Puts every fault into a scenario that passes.
    pub fn of(&self, index: usize, base: &Ran, runtime: &Runtime) -> Faulted {
        let mut faulted = Faulted::default();
        let base_story = Story::of(base);
        let title = self.suite.program().scenarios[index].title.clone();
        let count = base.calls.len();
        for call in self.calls(base) {
            for wrong in WRONGS {
                let name = base.calls[call].call.operation.full_name();
                let fault = format!("{name} {} (call {} of {count})", wrong.words(), call + 1);
                let ran = self.with(index, Fault::Call { call, wrong }, runtime);
                faulted.runs += 1;
                for what in self.invariants(index, base, &base_story, call, wrong, &ran, runtime) {
                    faulted.broken.push(Broken {
                        scenario: title.clone(),
                        fault: fault.clone(),
                        what,
                    });
                }
            }
        }
        for entry in decisive_entries(base) {
            let ran = self.with(index, Fault::Journal { entry }, runtime);
            faulted.runs += 1;
            let mut broken = |what: &str| {
                faulted.broken.push(Broken {
                    scenario: title.clone(),
                    fault: format!("the journal cannot be written from entry {entry} on"),
                    what: what.to_owned(),
                });
            };
            if ran.sent_after_journal > 0 {
                broken("a change was sent after the journal had failed");
            }
            if ran.ended.is_ok() {
                broken("the run ended as if it had been recorded");
            }
        }
        faulted
    }

    /// The calls that go wrong, by number.
    fn calls(&self, base: &Ran) -> Vec<usize> {
        if self.which == Which::All {
            return (0..base.calls.len()).collect();
        }
        let mut ends: Vec<(usize, usize)> = Vec::new();
        for (number, called) in base.calls.iter().enumerate() {
            let equal = ends.iter_mut().find(|(first, _)| {
                let known = &base.calls[*first];
                known.changes == called.changes
                    && known.call.operation == called.call.operation
                    && known.call.args == called.call.args
            });
            match equal {
                Some((_, last)) => *last = number,
                None => ends.push((number, number)),
            }
        }
        let mut chosen: Vec<usize> = ends.into_iter().flat_map(|(first, last)| [first, last]).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn with(&self, index: usize, fault: Fault, runtime: &Runtime) -> Ran {
        let variant = Variant {
            fault: Some(fault),
            lenient: true,
            ..Variant::default()
        };
        self.suite.run(index, variant, runtime)
    }

    #[allow(clippy::too_many_arguments)]
    fn invariants(
        &self,
        index: usize,
        base: &Ran,
        base_story: &Story,
        call: usize,
        wrong: Wrong,
        ran: &Ran,
        runtime: &Runtime,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let story = Story::of(ran);
        if let Err(error) = &ran.ended {
            return vec![format!("the run broke off: {error}")];
        }
        let effect = base.calls[call].call.operation.effect;
        unclear_effects(ran, &story, &mut broken);
        intents_first(ran, &mut broken);
        if effect == Effect::Tell {
            // How long a tell takes may move what comes later, not what is decided.
            let same = story.outcome == base_story.outcome
                && story.causes == base_story.causes
                && story.changed == base_story.changed;
            if !same && !timed(self.suite.program(), index) && wrong != Wrong::TimesOut {
                broken.push(format!(
                    "a tell that went wrong changed the way of the run: {} instead of {}",
                    story.outcome, base_story.outcome
                ));
            }
        }
        // Where values change with time, waiting for a reply may change them.
        let same_world = !timed(self.suite.program(), index);
        if matches!(effect, Effect::Read | Effect::Probe) && wrong != Wrong::Empty && same_world {
            flipped(base, ran, &mut broken);
        }
        if matches!(story.outcome.as_str(), "resolved" | "not present") && !self.true_end(index, ran, &story, runtime) {
            broken.push(format!(
                "the run says {}, and asked without the fault it is not so",
                story.outcome
            ));
        }
        broken
    }

    /// Whether what the run says of its end is so: the world is asked again where the run left it, without the fault.
    fn true_end(&self, index: usize, ran: &Ran, story: &Story, runtime: &Runtime) -> bool {
        let variant = Variant {
            resume: Some(ran.held.clone()),
            lenient: true,
            ..Variant::default()
        };
        let asked = Story::of(&self.oracle.run(index, variant, runtime)).outcome;
        // Without symptoms there is nothing left to resolve either.
        asked == story.outcome || asked == "not present"
    }
}

/// Entries at which a journal that fails would matter most: intents, approvals, and what follows them.
fn decisive_entries(base: &Ran) -> Vec<usize> {
    let mut entries: Vec<usize> = base
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry.kind.as_str(), "intent" | "result" | "approved" | "ticked"))
        .map(|(index, _)| index)
        .collect();
    entries.insert(0, 0);
    entries.dedup();
    entries
}

/// P3: what may or may not have happened is unclear, in the record of the action and at the end of the run.
fn unclear_effects(ran: &Ran, story: &Story, broken: &mut Vec<String>) {
    let mut purposes: BTreeMap<&str, (Purpose, String)> = BTreeMap::new();
    let mut unclear: Vec<(String, usize)> = Vec::new();
    for (number, entry) in ran.entries.iter().enumerate() {
        let scope = &entry.scope;
        match &entry.event {
            Some(Event::Intent {
                id, purpose, action, ..
            }) => {
                purposes.insert(id, (*purpose, format!("{scope}/{action}")));
            }
            Some(Event::Result {
                id,
                outcome: ResultKind::Unclear,
                ..
            }) => {
                if let Some((Purpose::Do | Purpose::Undo, action)) = purposes.get(id.as_str()) {
                    unclear.push((action.clone(), number));
                }
            }
            _ => {}
        }
    }
    for (action, at) in unclear {
        let later = || {
            ran.entries[at..]
                .iter()
                .filter(|entry| action.starts_with(&format!("{}/", entry.scope)))
                .filter_map(|entry| entry.event.as_ref())
        };
        let name = action.rsplit('/').next().unwrap_or(&action);
        let back = later().any(|event| matches!(event, Event::Undone { action, ok: true, .. } if action == name));
        let wrongly = later().find_map(|event| match event {
            Event::ActionEnded {
                name: ended, outcome, ..
            } if ended == name => Some(outcome),
            _ => None,
        });
        if let Some(outcome) = wrongly
            && (outcome == "done" || outcome.starts_with("not "))
        {
            broken.push(format!(
                "`{name}` was sent, its effect is unclear, and it ended {outcome}"
            ));
        }
        if !back && story.outcome != "in doubt" {
            broken.push(format!(
                "the effect of `{name}` is unclear, and the run ended {} instead of in doubt",
                story.outcome
            ));
        }
    }
}

/// P1, P6: every result has its intent before it.
fn intents_first(ran: &Ran, broken: &mut Vec<String>) {
    let mut known: Vec<&str> = Vec::new();
    for entry in &ran.entries {
        match &entry.event {
            Some(Event::Intent { id, .. }) => known.push(id),
            Some(Event::Result { id, operation, .. }) if !known.contains(&id.as_str()) => {
                broken.push(format!("`{operation}` has a result and no intent before it"));
            }
            _ => {}
        }
    }
}

/// P19: before anything was changed the world is the same with the fault and without it: an answer may be lost, never turned.
fn flipped(base: &Ran, ran: &Ran, broken: &mut Vec<String>) {
    let answers = |ran: &Ran| -> BTreeMap<String, Answer> {
        let mut found = BTreeMap::new();
        for entry in &ran.entries {
            match &entry.event {
                Some(Event::Intent { .. } | Event::Ticked { .. } | Event::Choice { .. }) => break,
                Some(Event::Answered {
                    name, answer, by: None, ..
                }) => {
                    found.entry(format!("{}.{name}", entry.scope)).or_insert(*answer);
                }
                _ => {}
            }
        }
        found
    };
    let before = answers(base);
    for (name, answer) in answers(ran) {
        if let Some(known) = before.get(&name)
            && *known != Answer::Unknown
            && answer != Answer::Unknown
            && answer != *known
        {
            broken.push(format!(
                "`{}` turned from {} to {}",
                name.trim_start_matches('.'),
                known.word(),
                answer.word()
            ));
        }
    }
}

/// A program whose runbooks do nothing but ask whether they are resolved.
fn oracle(program: &Program) -> Program {
    let mut program = program.clone();
    for book in &mut program.runbooks {
        book.steps.retain(|step| {
            matches!(&step.kind, StepKind::Evaluate(id)
                if matches!(book.bindings[id.0].kind, BindingKind::Let(_)))
        });
        book.result.escalation = None;
    }
    program
}
