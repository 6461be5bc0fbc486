//! Signals to processes, each through a handle of the process itself.

use super::processes::{Identity, identity, one};
use super::source::Machine;
use crate::provider::Outcome;
use crate::value::{List, Reason, Unknown, Value};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The signal of a word of the language.
fn number(word: &str) -> Option<Signal> {
    Some(match word {
        "terminate" => Signal::TERM,
        "interrupt" => Signal::INT,
        "hangup" => Signal::HUP,
        "quit" => Signal::QUIT,
        "kill" => Signal::KILL,
        "user1" => Signal::USR1,
        "user2" => Signal::USR2,
        "suspend" => Signal::STOP,
        "resume" => Signal::CONT,
        _ => return None,
    })
}

fn failed(reason: Reason, detail: impl Into<String>) -> Outcome {
    Outcome::Failed(Unknown {
        reason,
        detail: detail.into(),
    })
}

/// The engine and every process above it: ending one of them would end the run.
fn ancestors(machine: &Machine) -> Result<Vec<i64>, Unknown> {
    let mut found = Vec::new();
    let mut pid = i64::from(std::process::id());
    // A loop of parents cannot be, but what is read is not trusted.
    while pid > 0 && found.len() < 1000 && !found.contains(&pid) {
        found.push(pid);
        pid = one(machine, pid)?.map_or(0, |seen| seen.stat.parent);
    }
    Ok(found)
}

/// The kernel's own threads are children of process 2, or it itself.
const KERNEL: i64 = 2;

enum Target {
    Open(OwnedFd),
    Gone,
}

/// Opens a handle of the process, and makes sure that it is the one that was meant: the handle holds on to whatever process has
/// the number now, so comparing the start afterwards leaves no gap.
fn open(machine: &Machine, (pid, started): Identity) -> Result<Target, Unknown> {
    let unknown = |reason, detail: String| Err(Unknown { reason, detail });
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return unknown(Reason::Unparsable, format!("{pid} is not the number of a process"));
    };
    let handle = match pidfd_open(number, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(Target::Gone),
        Err(Errno::NOSYS) => {
            return unknown(
                Reason::Unavailable,
                "this kernel has no process handles (Linux 5.3), and a number alone may be another process by now"
                    .to_owned(),
            );
        }
        Err(problem) => return unknown(Reason::Unavailable, format!("process {pid}: {problem}")),
    };
    match one(machine, pid)? {
        Some(seen) if seen.stat.started == started => {
            if pid == KERNEL || seen.stat.parent == KERNEL {
                return unknown(Reason::Denied, format!("process {pid} belongs to the kernel"));
            }
            Ok(Target::Open(handle))
        }
        _ => Ok(Target::Gone),
    }
}

/// `host.processes.signal`: every target is checked before the first signal is sent.
pub fn signal(machine: &Machine, processes: &List, word: &str) -> Outcome {
    let Some(signal) = number(word) else {
        return failed(Reason::Unparsable, format!("`{word}` is not a signal"));
    };
    if processes.truncated {
        return failed(Reason::Truncated, "the list of processes was cut");
    }
    if processes.items.is_empty() {
        return failed(Reason::Missing, "the list of processes is empty");
    }
    let protected = match ancestors(machine) {
        Ok(protected) => protected,
        Err(problem) => return Outcome::Failed(problem),
    };
    let mut targets = Vec::new();
    for process in &processes.items {
        let identity = match identity(process) {
            Ok(identity) => identity,
            Err(problem) => return Outcome::Failed(problem),
        };
        let pid = identity.0;
        if pid == 1 || protected.contains(&pid) {
            return failed(
                Reason::Denied,
                format!("process {pid} is process 1, the engine itself or one above it; nothing was sent"),
            );
        }
        match open(machine, identity) {
            Ok(Target::Open(handle)) => targets.push((pid, handle)),
            Ok(Target::Gone) => {}
            Err(problem) => return Outcome::Failed(problem),
        }
    }
    let mut sent = 0_i64;
    for (pid, handle) in &targets {
        match pidfd_send_signal(handle, signal) {
            Ok(()) => sent += 1,
            Err(Errno::SRCH) => {}
            Err(problem) => {
                let reason = if problem == Errno::PERM {
                    Reason::Denied
                } else {
                    Reason::Unavailable
                };
                let detail = format!("process {pid}: {problem}; {sent} of {} got the signal", targets.len());
                // With some sent, it neither happened nor did it not.
                return if sent == 0 {
                    failed(reason, detail)
                } else {
                    Outcome::Unclear(Unknown { reason, detail })
                };
            }
        }
    }
    Outcome::Done(Value::Int(sent))
}
