//! What can happen in a run, as it is recorded. The report, `show` and `runs` are made from these alone, so each carries all
//! that a reader needs: names, titles as shown, actual values and limits, who and when.

pub use super::shown::Shown;
use crate::value::Answer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One thing that happened. `run` prefixes of called runbooks stand in `scope` of the entry (`child`), empty for the outermost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    // Situation
    RunStarted {
        runbook: String,
        title: String,
        /// The file as the user named it.
        file: String,
        owner: Option<String>,
        /// SHA-256 of every text of the program by name.
        digests: BTreeMap<String, String>,
        /// Who signed the runbook, with the fingerprint of the key.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signed_by: Vec<String>,
        /// Parameters as shown (secrets are not).
        parameters: Vec<(String, String)>,
        environment: String,
        operator: String,
        tool_version: String,
        host: String,
        dry_run: bool,
        /// What made it start, such as an alert.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        occasion: Option<String>,
        /// Prose of the runbook as shown, Markdown.
        prose: Vec<String>,
        timebox_seconds: u64,
        timebox_then: String,
        /// What must be the same when the run goes on after a crash.
        #[serde(default)]
        basis: Basis,
    },
    /// A read came back.
    Read {
        name: String,
        operation: String,
        arguments: Vec<(String, String)>,
        value: Shown,
        milliseconds: u64,
        /// How it went, where that is worth knowing: attempts, waits, a target that is left alone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// A question was answered.
    Answered {
        name: String,
        question: String,
        symptom: bool,
        answer: Answer,
        /// `Some(true)`: this answer is good by its sign in the goal; `None`: the goal does not mention it.
        good: Option<bool>,
        /// What decided it: actual value against limit, for every comparison that was looked at.
        evidence: Vec<Evidence>,
        /// Why, when unknown.
        reason: Option<String>,
        /// Who answered, when a person did.
        by: Option<Person>,
        round: u32,
    },
    /// A person gave a value.
    Asked {
        name: String,
        question: String,
        value: Shown,
        by: Person,
    },
    Severity {
        name: Option<String>,
        was: Option<String>,
        because: String,
    },
    NotPresent,

    // Task
    Task {
        prose: Vec<String>,
        /// The goal as it is written.
        goal: Option<String>,
    },
    /// The goal was asked.
    Goal {
        text: String,
        answer: Answer,
    },

    // Diagnosis
    BranchEntered {
        question: String,
        round: u32,
    },
    /// A cause was looked at: the answer of its `when`, and of each part of it.
    Cause {
        name: String,
        statement: String,
        when: String,
        answer: Answer,
        chosen: bool,
        /// Why it was not chosen, or what choosing it implies ("and not `leak`, which was refuted").
        because: String,
        parts: Vec<Evidence>,
        round: u32,
    },
    /// `otherwise` or `cannot tell` was taken.
    Arm {
        arm: String,
        branch: String,
        because: String,
    },
    /// The operator's choice where an unknown stood in the way.
    Choice {
        about: String,
        choice: String,
        by: Person,
        note: String,
    },

    // Action
    ActionStarted {
        name: String,
        order: String,
        prose: Vec<String>,
        risk: String,
        operations: Vec<PlannedCall>,
    },
    /// Its `when` was a definite no, or nothing was left to do.
    NotNeeded {
        name: String,
        because: String,
    },
    ApprovalRequested {
        action: String,
        /// SHA-256 over operation, arguments, plan, evidence and run.
        digest: String,
        roles: Vec<String>,
        /// What the approver was shown.
        seeing: Vec<(String, Shown)>,
        deadline_seconds: u64,
        /// Drawn for this request, part of what the digest is over.
        #[serde(default)]
        nonce: String,
    },
    Approved {
        action: String,
        digest: String,
        by: Person,
        role: String,
    },
    /// Refused, not given in time, or more targets than allowed.
    NotApproved {
        action: String,
        digest: String,
        because: String,
        by: Option<Person>,
    },
    /// A decision that does not count: the same person again, or one whom the policy does not permit.
    NotCounted {
        action: String,
        digest: String,
        by: Person,
        because: String,
    },
    /// An emergency override came into force; it lowers the grade of the run.
    Overridden {
        reason: String,
        ticket: String,
        /// Who asked for it.
        by: Person,
        second: Person,
        /// What the second person consented to.
        digest: String,
        lasts_seconds: u64,
    },
    /// The lock of a target was taken from another run.
    LockTakenOver {
        target: String,
        /// The other holder, as the target showed it.
        from: String,
        by: Person,
        because: String,
    },
    /// Targets that no longer match were taken out before sending.
    Dropped {
        action: String,
        targets: Vec<String>,
        because: String,
    },
    /// Durable before anything is sent.
    Intent {
        id: String,
        action: String,
        purpose: Purpose,
        operation: String,
        /// Idempotence class: R, I, K, V or U.
        class: String,
        key: Option<String>,
        arguments: Vec<(String, Shown)>,
        targets: Vec<String>,
        /// The old value, where the operation reads one.
        before: Option<Shown>,
        approval: Option<String>,
    },
    Result {
        id: String,
        action: String,
        operation: String,
        outcome: ResultKind,
        value: Option<Shown>,
        detail: String,
        milliseconds: u64,
        /// As of a read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// One look of `verify`, `wait until`, the goal's settling or `resolved`.
    Look {
        what: String,
        condition: String,
        answer: Answer,
        evidence: Vec<Evidence>,
        last: bool,
    },
    /// How an action ended: done, failed, unclear, not approved, not needed; and what the file says follows, in words.
    ActionEnded {
        name: String,
        outcome: String,
        next: String,
        kept: bool,
    },
    Undone {
        action: String,
        ok: bool,
        detail: String,
    },
    UndoScheduled {
        action: String,
        after_seconds: u64,
    },
    /// A `manual` was ticked, or was not.
    Ticked {
        name: String,
        done: bool,
        by: Option<Person>,
        note: String,
    },
    Each {
        element: String,
        /// From 1.
        index: usize,
        of: usize,
        batch: usize,
    },
    Step {
        what: String,
        detail: String,
    },
    Told {
        operation: String,
        arguments: Vec<(String, String)>,
        ok: bool,
        detail: String,
    },
    Escalated {
        severity: Option<String>,
        because: String,
    },
    Advised {
        title: String,
        prose: Vec<String>,
    },
    ChildStarted {
        runbook: String,
        scope: String,
    },
    ChildEnded {
        runbook: String,
        scope: String,
        outcome: String,
    },
    /// The machine's wall clock was set while the run went on: from here on it shows this much more (or less) than before.
    ClockStep {
        seconds: f64,
    },
    /// Ctrl-C, end of the timebox, a mistake of ours.
    Interrupted {
        because: String,
        pending: Vec<String>,
    },

    /// Another process goes on with the run.
    Resumed {
        by: Person,
        host: String,
        tool_version: String,
    },
    /// The run was taken from its holder, who may still believe to have it.
    TakenOver {
        by: Person,
        /// Who had it, and since when.
        from: String,
        because: String,
    },
    /// What came of a change that was in doubt, or what is done about it.
    Settled {
        /// The intent.
        id: String,
        action: String,
        operation: String,
        fate: Fate,
        /// What says so: a person, a probe, the class of the operation.
        how: String,
        by: Option<Person>,
        note: String,
    },

    // Result
    Ended {
        outcome: String,
        reason: String,
        /// Changes that are still in place, one line each.
        in_place: Vec<String>,
        duration_seconds: f64,
    },

    // Reflection
    Prevention {
        title: String,
        by: Option<String>,
        due: Option<String>,
    },
    Reflection {
        question: String,
        answer: Option<String>,
        by: Option<Person>,
    },

    // The journal itself
    /// An anchor did not take a checkpoint.
    AnchorFailed {
        /// Where it was to be kept.
        place: String,
        /// The checkpoint's size.
        size: u64,
        because: String,
    },
    /// The log is signed by another key from here on. The next checkpoint is signed by both.
    KeyChanged {
        /// The public key until now, in its text form; none before the first.
        from: Option<String>,
        /// The public key from now on.
        to: String,
        by: Person,
    },
    /// The record goes on in another log, or goes on from one: each names the other.
    LogChanged {
        /// The log before this one, as the line `ORIGIN SIZE ROOT` of its end.
        from: Option<String>,
        /// The origin line of the log that comes next.
        to: Option<String>,
        by: Person,
    },
    /// The payloads of these entries of the run were taken away in the same durable step.
    PayloadsErased {
        /// Numbers in the log.
        entries: Vec<u64>,
        because: String,
        by: Person,
    },
    /// While the run was under way another alert came for the same, or something happened to an alert. Written by whoever took it in.
    AlertAttached {
        /// Who sent it, what it is about, and what happened to it.
        alert: String,
        /// Whether somebody has it now, where that is what happened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acknowledged: Option<bool>,
        by: Person,
    },
    /// The run was put into one file for somebody else.
    Bundled {
        /// SHA-256 of the file, in hexadecimal digits.
        digest: String,
        /// Its size.
        bytes: u64,
        by: Person,
    },
}

impl Event {
    /// The part of the record this event belongs to. Diagnosis is part of what was done.
    pub fn part(&self) -> Part {
        self.part_and_kind().0
    }

    /// True for what the run saw, decided or showed by itself: it would see and decide the same again, nothing was sent, and no person
    /// said it. It need not be durable before the run goes on.
    pub fn can_be_made_again(&self) -> bool {
        matches!(
            self,
            Event::RunStarted { .. }
                | Event::Read { .. }
                | Event::Answered { by: None, .. }
                | Event::NotPresent
                | Event::Task { .. }
                | Event::Goal { .. }
                | Event::BranchEntered { .. }
                | Event::Cause { .. }
                | Event::Arm { .. }
                | Event::ActionStarted { .. }
                | Event::NotNeeded { .. }
                | Event::Look { .. }
                | Event::Each { .. }
                | Event::Step { .. }
                | Event::Advised { .. }
                | Event::Prevention { .. }
        )
    }

    /// The event's tag, as it stands in its JSON form.
    pub fn kind(&self) -> &'static str {
        self.part_and_kind().1
    }

    fn part_and_kind(&self) -> (Part, &'static str) {
        use Part::{Action, Reflection, Result, Situation, Task};
        match self {
            Event::RunStarted { .. } => (Situation, "run_started"),
            Event::Read { .. } => (Situation, "read"),
            Event::Answered { .. } => (Situation, "answered"),
            Event::Asked { .. } => (Situation, "asked"),
            Event::Severity { .. } => (Situation, "severity"),
            Event::NotPresent => (Situation, "not_present"),
            Event::Task { .. } => (Task, "task"),
            Event::Goal { .. } => (Task, "goal"),
            Event::BranchEntered { .. } => (Action, "branch_entered"),
            Event::Cause { .. } => (Action, "cause"),
            Event::Arm { .. } => (Action, "arm"),
            Event::Choice { .. } => (Action, "choice"),
            Event::ActionStarted { .. } => (Action, "action_started"),
            Event::NotNeeded { .. } => (Action, "not_needed"),
            Event::ApprovalRequested { .. } => (Action, "approval_requested"),
            Event::Approved { .. } => (Action, "approved"),
            Event::NotApproved { .. } => (Action, "not_approved"),
            Event::NotCounted { .. } => (Action, "not_counted"),
            Event::Overridden { .. } => (Situation, "overridden"),
            Event::LockTakenOver { .. } => (Action, "lock_taken_over"),
            Event::Dropped { .. } => (Action, "dropped"),
            Event::Intent { .. } => (Action, "intent"),
            Event::Result { .. } => (Action, "result"),
            Event::Look { .. } => (Action, "look"),
            Event::ActionEnded { .. } => (Action, "action_ended"),
            Event::Undone { .. } => (Action, "undone"),
            Event::UndoScheduled { .. } => (Action, "undo_scheduled"),
            Event::Ticked { .. } => (Action, "ticked"),
            Event::Each { .. } => (Action, "each"),
            Event::Step { .. } => (Action, "step"),
            Event::Told { .. } => (Action, "told"),
            Event::Escalated { .. } => (Action, "escalated"),
            Event::Advised { .. } => (Reflection, "advised"),
            Event::ChildStarted { .. } => (Action, "child_started"),
            Event::ChildEnded { .. } => (Action, "child_ended"),
            Event::ClockStep { .. } => (Action, "clock_step"),
            Event::Interrupted { .. } => (Result, "interrupted"),
            Event::Resumed { .. } => (Action, "resumed"),
            Event::TakenOver { .. } => (Action, "taken_over"),
            Event::Settled { .. } => (Action, "settled"),
            Event::Ended { .. } => (Result, "ended"),
            Event::Prevention { .. } => (Reflection, "prevention"),
            Event::Reflection { .. } => (Reflection, "reflection"),
            Event::AnchorFailed { .. } => (Action, "anchor_failed"),
            Event::KeyChanged { .. } => (Action, "key_changed"),
            Event::LogChanged { .. } => (Action, "log_changed"),
            Event::PayloadsErased { .. } => (Reflection, "payloads_erased"),
            Event::AlertAttached { .. } => (Situation, "alert_attached"),
            Event::Bundled { .. } => (Reflection, "bundled"),
        }
    }

    /// Who did this: the person's name, or `starr` for what the engine did by itself.
    pub fn actor(&self) -> &str {
        let person = match self {
            Event::RunStarted { operator, .. } => return operator,
            Event::Answered { by, .. }
            | Event::NotApproved { by, .. }
            | Event::Ticked { by, .. }
            | Event::Settled { by, .. }
            | Event::Reflection { by, .. } => by.as_ref(),
            Event::Asked { by, .. }
            | Event::Choice { by, .. }
            | Event::Approved { by, .. }
            | Event::NotCounted { by, .. }
            | Event::Overridden { by, .. }
            | Event::LockTakenOver { by, .. }
            | Event::KeyChanged { by, .. }
            | Event::LogChanged { by, .. }
            | Event::PayloadsErased { by, .. }
            | Event::AlertAttached { by, .. }
            | Event::Bundled { by, .. }
            | Event::Resumed { by, .. }
            | Event::TakenOver { by, .. } => Some(by),
            _ => None,
        };
        person.map_or("starr", |person| person.name.as_str())
    }
}

/// Which of the five parts an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Situation,
    Task,
    Action,
    Result,
    Reflection,
}

/// A person of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    /// How the name was established: `login`, `configuration`.
    pub by: String,
}

/// What a run rests on besides its texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The parameters with their types ([`crate::value::tagged`]); a secret is not among what is kept of it.
    pub inputs: Vec<(String, serde_json::Value)>,
    /// SHA-256 over what the environment says: severities, escalation, fields of resources.
    pub environment: String,
    /// SHA-256 (hex) of the policy; empty where none was configured.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
}

/// What is known or decided about a change that was in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It happened.
    Done,
    /// It did not happen.
    NotDone,
    /// It is sent again, because that does no harm.
    Again,
}

impl Fate {
    /// The fate in words.
    pub fn words(self) -> &'static str {
        match self {
            Fate::Done => "it happened",
            Fate::NotDone => "it did not happen",
            Fate::Again => "it is sent again",
        }
    }
}

/// One comparison or question that decided an answer: `used  97 %, limit > 90 %, for 12 min`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The text of the comparison in the file.
    pub text: String,
    pub answer: Answer,
    /// The actual value, as shown.
    pub actual: String,
    /// The limit, as shown; empty for a question.
    pub limit: String,
    /// More, such as since when.
    pub detail: String,
}

/// A call that an action would make, before it is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedCall {
    pub operation: String,
    pub arguments: Vec<(String, Shown)>,
    pub class: String,
}

/// Why a change is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Do,
    Undo,
    Tell,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    Done,
    Failed,
    Unclear,
}

/// A step of the wall clock in words: `the clock was set back by 3600 s`.
pub fn clock_step(seconds: f64) -> String {
    let way = if seconds < 0.0 { "back" } else { "forward" };
    format!("the clock was set {way} by {} s", seconds.abs())
}
