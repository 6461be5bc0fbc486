//! What a policy is asked, and what it says. The engine asks at the start of a run, at each approval and at an override; the
//! gate asks before each change. Which language a policy is written in is not decided here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Decides who may do what. Implementations are quick and reach nothing outside.
pub trait Policy: Send + Sync {
    /// SHA-256 of everything the policy is made of; stands in each entry of a run.
    fn digest(&self) -> [u8; 32];

    /// Permits, or refuses with the reason.
    fn decide(&self, request: &Request) -> Result<(), Refusal>;
}

/// Why a policy refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The policies that forbid it, by name. Empty: no policy permits it.
    pub by: Vec<String>,
    /// One line for people: which policy, which attribute.
    pub because: String,
}

/// One question to a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Who wants to do it, as the configuration names the person.
    pub person: String,
    pub grounds: Grounds,
    pub asked: Asked,
}

/// What a question rests on besides the act itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grounds {
    pub environment: String,
    pub runbook: String,
    pub owner: Option<String>,
    /// SHA-256 of the runbook's text.
    pub runbook_digest: String,
    /// Who started the run.
    pub requester: String,
    /// An emergency override is in force.
    pub emergency: bool,
    /// Wall time; `None` is the start of 1970, in which nothing is open.
    pub at: Option<Timestamp>,
    /// The action that is to be done; empty where there is none.
    pub action: String,
    /// `low`, `medium` or `high`; empty where there is none.
    pub risk: String,
    /// `do`, `undo` or `tell`; empty where nothing is sent.
    pub purpose: String,
    /// Who approved it.
    pub approvers: Vec<String>,
}

/// The act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    Run {
        dry_run: bool,
        unattended: bool,
    },
    Approve {
        /// Any one of them is needed.
        roles: Vec<String>,
        operations: Vec<String>,
        targets: Vec<Target>,
        count: u64,
    },
    Override {
        reason: String,
        ticket: String,
        second: String,
        seconds: u64,
    },
    Change {
        operation: String,
        capability: String,
        class: String,
        target: Target,
        /// How many things the whole call touches: the longest list among its arguments, at least 1.
        count: u64,
    },
    /// A message to people or a system of record. It goes out unless a policy forbids it: a page that no policy thought of must
    /// not be lost.
    Tell {
        operation: String,
        capability: String,
        target: Target,
    },
    /// The lock of a target is taken from another run.
    TakeLock {
        target: Target,
        /// Who has it, as the target shows it.
        holder: String,
        reason: String,
    },
}

/// What a call touches, by provider and canonical name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    pub provider: String,
    pub name: String,
}

impl Asked {
    /// The word of the act, as policies name it.
    pub fn word(&self) -> &'static str {
        match self {
            Asked::Run { .. } => "run",
            Asked::Approve { .. } => "approve",
            Asked::Override { .. } => "override",
            Asked::Change { .. } => "change",
            Asked::Tell { .. } => "tell",
            Asked::TakeLock { .. } => "take_lock",
        }
    }
}
