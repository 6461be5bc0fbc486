//! Bounds of a run. Whatever a runbook or a provider says, a run ends within these.

use std::time::Duration;

/// Steps begun in one run, loops and called runbooks included.
pub const STEPS: u64 = crate::limits::STEPS;

/// Runbooks that call each other, the outermost included.
pub const DEPTH: usize = 5;

/// Calls of one fan-out that are under way at the same time.
pub const CONCURRENT: usize = crate::limits::CONCURRENT;

/// Elements of one fan-out; a longer list is unknown.
pub const FAN_OUT: usize = crate::limits::FAN_OUT;

/// Elements of an `each`, whatever `at most` says.
pub const EACH: usize = crate::limits::EACH;

/// How often the operator may retry where one unknown answer stands in the way.
pub const RETRIES: u32 = crate::limits::RETRIES;

/// Lines of evidence kept for one answer.
pub const EVIDENCE: usize = 50;

/// Questions that `run.evidence` lists.
pub const EVIDENCE_LINES: usize = crate::limits::EVIDENCE_LINES;

/// How long a person has where the file names no deadline: an unknown answer, an unclear effect, a heavy read, a reflection.
pub const PERSON: Duration = Duration::from_secs(15 * 60);

/// The distance between two looks where the file names none: the goal's settling, `resolved`.
pub const EVERY: Duration = Duration::from_secs(30);

/// What is waited beyond the longest `for` of a goal.
pub const SETTLING: Duration = Duration::from_secs(60);

/// How long an approval is good for after it was given. What it is for is asked again directly before it is sent in any case.
pub const APPROVAL_VALID: Duration = Duration::from_secs(15 * 60);

/// How old the evidence beside a decision may be; older evidence is asked again before anybody decides on it, and before what was
/// decided is sent.
pub const EVIDENCE_VALID: Duration = Duration::from_secs(5 * 60);

/// A wall clock that is behind the record by more than this was set back.
pub const CLOCK_SLACK: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// How old the intent of a change with a key may be for the change to be sent again: keys are forgotten by who knows them.
pub const KEY_LIFETIME: Duration = Duration::from_secs(10 * 60);
