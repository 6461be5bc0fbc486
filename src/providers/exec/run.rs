//! One program, from its start to the end of the last process that came of it.

use super::confine::{Kept, restrict};
use super::processes;
use crate::providers::contract::{Contract, Ended, MARK, OUTPUT_BYTES};
use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Why there is no end to report.
#[derive(Debug)]
pub struct Failed {
    pub unknown: Unknown,
    /// True when the program had begun.
    pub began: bool,
}

fn before(unknown: Unknown) -> Failed {
    Failed { unknown, began: false }
}

/// Ends every process of a program when it goes, however that happens.
struct Group {
    leader: Pid,
    mark: String,
}

/// A program that was started. The group goes first: while its leader is there nobody else can have its number.
struct Started {
    group: Group,
    child: Child,
    kept: Kept,
}

impl Drop for Group {
    fn drop(&mut self) {
        processes::end(self.leader, &self.mark);
    }
}

/// Runs a program with these words behind its path, at most so long. `whole`: what it says beyond the limit is thrown away and it may
/// go on; otherwise it is ended there.
///
/// # Errors
/// It was not started, took too long, or said too much.
pub async fn run(contract: &Contract, words: &[String], within: Duration, whole: bool) -> Result<Ended, Failed> {
    let begin = Instant::now();
    let until = begin + within;
    let mut mark = [0_u8; 16];
    getrandom::fill(&mut mark).map_err(|_| before(wrong(Reason::Internal, "this machine gives no random numbers")))?;
    let mark = hex::encode(mark);
    let Started { group, mut child, kept } = start(contract, words, mark).await.map_err(before)?;
    let leader = group.leader;
    let failed = |reason, detail: &str| Failed {
        unknown: wrong(reason, detail),
        began: true,
    };
    let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(Reason::Internal, "the program has no output"));
    };
    let ends = async {
        gone(leader).await;
        // Whoever it left behind holds its output open, and is no longer wanted.
        drop(group);
        child.wait().await.ok()
    };
    let work = async {
        let (mut said, mut complained) = (Said::default(), Said::default());
        let read = async {
            // The first that says too much ends both: whoever babbles on one may never close the other. Complaints are thrown away
            // beyond the limit: they are never the answer.
            futures::try_join!(said.read(&mut out, whole), complained.read(&mut err, true)).is_ok()
        };
        let mut ends = std::pin::pin!(ends);
        let status = {
            let mut read = std::pin::pin!(read);
            let (mut status, mut ended, mut finished) = (None, false, false);
            while !(ended && finished) {
                tokio::select! {
                    code = &mut ends, if !ended => { status = code; ended = true; }
                    good = &mut read, if !finished => {
                        finished = true;
                        if !good {
                            return None;
                        }
                    }
                }
            }
            status
        };
        Some((status, said, complained))
    };
    match tokio::time::timeout_at(until, work).await {
        Ok(Some((status, said, complained))) => Ok(Ended {
            code: status.and_then(|status| status.code()).map(i64::from),
            out: said.kept,
            err: complained.kept,
            cut: said.cut,
            took: begin.elapsed(),
            confined: kept.word(),
        }),
        Ok(None) => Err(failed(Reason::Truncated, "it printed more than 1 MiB, and was ended")),
        Err(_elapsed) => Err(failed(
            Reason::Timeout,
            "it did not end in time; it and all that it had started were ended",
        )),
    }
}

/// Waits until the process is no more than its own exit code. Its number is still its own then.
async fn gone(leader: Pid) {
    let opened = rustix::process::pidfd_open(leader, PidfdFlags::empty()).ok();
    #[allow(
        deprecated,
        reason = "an owned handle keeps what is asked of it; what takes its place is unsafe"
    )]
    let Some(watched) = opened.and_then(|handle| AsyncFd::new(handle).ok()) else {
        return;
    };
    // An error leaves the waiting to whoever asks for the code.
    let _ = watched.readable().await;
}

/// A stream that says more than is wanted.
struct TooMuch;

/// What is kept of a stream.
#[derive(Default)]
struct Said {
    kept: Vec<u8>,
    cut: bool,
}

impl Said {
    /// Reads to the end; an error when there was more than is kept and the rest is not wanted.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin), whole: bool) -> Result<(), TooMuch> {
        let mut buffer = [0_u8; 8192];
        loop {
            let Ok(length) = stream.read(&mut buffer).await else {
                return Ok(());
            };
            if length == 0 {
                return Ok(());
            }
            let room = OUTPUT_BYTES.saturating_sub(self.kept.len()).min(length);
            self.kept.extend_from_slice(&buffer[..room]);
            if room < length {
                self.cut = true;
                if !whole {
                    return Err(TooMuch);
                }
            }
        }
    }
}

/// Starts it from a thread that can do no more than its contract lets it.
async fn start(contract: &Contract, words: &[String], mark: String) -> Result<Started, Unknown> {
    let mut command = Command::new(&contract.program);
    command
        .args(words)
        .env_clear()
        .current_dir(contract.folder.as_deref().unwrap_or_else(|| std::path::Path::new("/")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for (name, text) in contract.variables()? {
        command.env(name, text.expose());
    }
    command.env(MARK, &mark);
    let program = contract.program.clone();
    let confine = contract.confine.clone().unwrap_or_default();
    let runtime = tokio::runtime::Handle::current();
    let (send, receive) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("starr-program".to_owned())
        .spawn(move || {
            let started = restrict(&program, &confine).and_then(|kept| {
                let _runtime = runtime.enter();
                let child = command.spawn().map_err(|problem| {
                    let detail = format!("{} was not started: {problem}", program.display());
                    wrong(Reason::Unavailable, detail)
                })?;
                let number = child.id().and_then(|id| i32::try_from(id).ok());
                let leader = number
                    .and_then(Pid::from_raw)
                    .ok_or_else(|| wrong(Reason::Internal, "the program has no number"))?;
                Ok(Started {
                    group: Group { leader, mark },
                    child,
                    kept,
                })
            });
            // Nobody may wait any more: then it is dropped, and ended with all that it started meanwhile.
            let _ = send.send(started);
        });
    if let Err(problem) = thread {
        return Err(wrong(
            Reason::Unavailable,
            format!("there is no thread to start it: {problem}"),
        ));
    }
    receive
        .await
        .unwrap_or_else(|_| Err(wrong(Reason::Internal, "the thread that was to start it failed")))
}

/// Ends a group; for what is no longer there nothing happens.
pub(super) fn end_group(leader: Pid) {
    let _ = rustix::process::kill_process_group(leader, Signal::KILL);
}
