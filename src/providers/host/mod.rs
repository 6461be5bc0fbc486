//! The provider `host`: typed facts of one Linux machine, and two changes to it.

mod clock;
mod filesystems;
mod native;
mod numbers;
mod parse;
#[cfg(test)]
mod parse_tests;
mod ports;
mod processes;
mod program;
mod signal;
mod source;
#[cfg(test)]
mod tests;
mod units;

use crate::provider::native::{Reference, Resolved, Use};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::providers::detached::detached;
use crate::providers::names::{self, Failure};
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Unknown, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use processes::LOCAL;
use source::{Found, Machine, unknown};
use std::time::{Duration, Instant};

/// The operations, as in `stdlib/host.starr`.
const OPERATIONS: &[&str] = &[
    "load",
    "cpu",
    "pressure.cpu",
    "pressure.memory",
    "pressure.io",
    "memory",
    "swapping",
    "out_of_memory",
    "filesystems",
    "ports.listening",
    "processes.list",
    "processes.remaining",
    "processes.signal",
    "files.system",
    "files.processes",
    "dns.lookup",
    "dns.addresses",
    "clock",
    "units.state",
    "units.failed",
    "units.restart",
    "uptime",
];

/// Longest time over which something is measured.
const LONGEST_SAMPLE: Duration = crate::limits::HOST_SAMPLE;

/// This machine. Holds no file and no thread between calls.
#[derive(Default)]
pub struct Host {
    machine: Machine,
    hanging: filesystems::Hanging,
}

impl Host {
    /// The machine the engine runs on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a blocking read on its own thread.
    async fn on_thread(
        &self,
        call: &Call,
        work: impl FnOnce(&Machine) -> Found<Value> + Send + 'static,
    ) -> Found<Value> {
        let machine = self.machine.clone();
        let what = call.operation.full_name();
        detached(&what, call.within, move || work(&machine)).await?
    }

    /// Reads twice, with a pause of the length asked for, and gives both readings and the true time between them.
    async fn twice<T: Send + 'static>(
        &self,
        call: &Call,
        over: Duration,
        read: impl Fn(&Machine) -> Found<T> + Clone + Send + 'static,
    ) -> Found<(T, T, Duration)> {
        let what = call.operation.full_name();
        let once = || {
            let (machine, read) = (self.machine.clone(), read.clone());
            detached(&what, call.within, move || {
                read(&machine).map(|found| (found, Instant::now()))
            })
        };
        let (before, first) = once().await??;
        tokio::time::sleep(over).await;
        let (after, second) = once().await??;
        Ok((before, after, second.saturating_duration_since(first)))
    }

    async fn answer(&self, call: &Call) -> Found<Value> {
        match &*call.operation.path {
            "processes.remaining" => {}
            _ => here(call)?,
        }
        match &*call.operation.path {
            "load" => self.on_thread(call, numbers::load).await,
            "cpu" => {
                let over = sample(call, false)?;
                let read = |machine: &Machine| parse::cpu_ticks(&machine.proc("stat")?);
                let (before, after, elapsed) = self.twice(call, over, read).await?;
                numbers::cpu(&before, &after, elapsed)
            }
            "pressure.cpu" => self.on_thread(call, |machine| numbers::pressure(machine, "cpu")).await,
            "pressure.memory" => {
                self.on_thread(call, |machine| numbers::pressure(machine, "memory"))
                    .await
            }
            "pressure.io" => self.on_thread(call, |machine| numbers::pressure(machine, "io")).await,
            "memory" => self.on_thread(call, numbers::memory).await,
            "swapping" => {
                let over = sample(call, false)?;
                let (before, after, elapsed) = self.twice(call, over, numbers::swapped).await?;
                Ok(numbers::swapping(before, after, elapsed))
            }
            "out_of_memory" => {
                let within = duration(call, "within")?;
                self.on_thread(call, move |machine| numbers::out_of_memory(machine, within))
                    .await
            }
            "filesystems" => filesystems::list(&self.machine, &self.hanging, call.within).await,
            "ports.listening" => {
                let port = match call.arg("port") {
                    Value::None => None,
                    Value::Int(port) if (0..=65535).contains(port) => Some(*port),
                    _ => return unknown(Reason::Unparsable, "a port is a number from 0 to 65535"),
                };
                self.on_thread(call, move |machine| ports::listening(machine, port))
                    .await
            }
            "processes.list" => self.processes(call).await,
            "processes.remaining" => {
                let Value::List(processes) = call.arg("processes").clone() else {
                    return unknown(Reason::Missing, "no list of processes was given");
                };
                self.on_thread(call, move |machine| processes::remaining(machine, &processes))
                    .await
            }
            "files.system" => self.on_thread(call, numbers::open_files).await,
            "files.processes" => {
                let name = text(call, "name");
                self.on_thread(call, move |machine| processes::open_files(machine, name.as_deref()))
                    .await
            }
            "dns.lookup" => lookup(call).await,
            "dns.addresses" => addresses(call).await,
            "clock" => clock::read(&self.machine, call.within).await,
            "units.state" => {
                let unit = text(call, "unit").unwrap_or_default();
                units::state(&self.machine, &unit, call.within).await
            }
            "units.failed" => units::failed(&self.machine, call.within).await,
            "uptime" => self.on_thread(call, numbers::uptime).await,
            other => unknown(Reason::Internal, format!("`host.{other}` is not a read")),
        }
    }

    async fn processes(&self, call: &Call) -> Found<Value> {
        let wanted = processes::Wanted {
            name: text(call, "name"),
            state: text(call, "state"),
        };
        let over = sample(call, true)?;
        let (before, now) = if over.is_zero() {
            let machine = self.machine.clone();
            let taken = detached("the list of processes", call.within, move || {
                processes::snapshot(&machine)
            });
            (None, taken.await??)
        } else {
            let (before, now, _) = self.twice(call, over, processes::snapshot).await?;
            (Some(before), now)
        };
        self.on_thread(call, move |machine| {
            let clockwork = processes::Clockwork::read(machine)?;
            Ok(processes::list(machine, before.as_ref(), &now, &wanted, &clockwork))
        })
        .await
    }
}

/// Only the machine itself can be asked.
fn here(call: &Call) -> Found<()> {
    match call.arg("on").as_str() {
        None | Some(LOCAL) => Ok(()),
        Some(other) => unknown(
            Reason::Unavailable,
            format!("`{other}` cannot be asked: the only machine is `{LOCAL}`, the one the engine runs on"),
        ),
    }
}

fn text(call: &Call, name: &str) -> Option<String> {
    call.arg(name).as_str().map(str::to_owned)
}

fn duration(call: &Call, name: &str) -> Found<Duration> {
    match call.arg(name) {
        Value::Duration(nanoseconds) if *nanoseconds >= 0 => Ok(Duration::from_nanos(nanoseconds.unsigned_abs())),
        _ => unknown(
            Reason::Unparsable,
            format!("`{name}` must be a time that is not negative"),
        ),
    }
}

/// How long to measure: 10 ms to 60 s, or where that is allowed not at all.
fn sample(call: &Call, zero: bool) -> Found<Duration> {
    let over = duration(call, "over")?;
    if over.is_zero() && zero {
        return Ok(over);
    }
    if over < Duration::from_millis(10) || over > LONGEST_SAMPLE {
        return unknown(Reason::Unparsable, "`over` must be between 10 ms and 60 s");
    }
    if over >= call.within {
        return unknown(Reason::Timeout, "the deadline is shorter than the time to measure");
    }
    Ok(over)
}

fn host_name(call: &Call) -> Found<String> {
    match text(call, "name") {
        Some(name) if names::is_host_name(&name) || name.parse::<std::net::IpAddr>().is_ok() => Ok(name),
        _ => unknown(Reason::Unparsable, "not a name that can be looked up"),
    }
}

async fn lookup(call: &Call) -> Found<Value> {
    let name = host_name(call)?;
    let begin = Instant::now();
    // The deadline itself is an answer here, so the resolver is given up a little before the gate would do it.
    let found = names::resolve(&name, call.within.mul_f64(0.9)).await;
    let reply = match found {
        Ok(_) => Reply::Answered,
        Err(Failure::NoSuchName) => Reply::NoSuchName,
        Err(Failure::Refused) => Reply::Refused,
        Err(Failure::NoAnswer) => Reply::TimedOut,
        Err(Failure::Unknown(problem)) if problem.reason == Reason::Timeout => Reply::TimedOut,
        Err(Failure::Unknown(problem)) => return Err(problem),
    };
    Ok(probe::value(reply, begin.elapsed(), None))
}

async fn addresses(call: &Call) -> Found<Value> {
    let name = host_name(call)?;
    let begin = Instant::now();
    let found = names::resolve(&name, call.within)
        .await
        .map_err(|failure| match failure {
            Failure::NoSuchName => Unknown {
                reason: Reason::Missing,
                detail: "the name has no address".to_owned(),
            },
            Failure::NoAnswer => Unknown {
                reason: Reason::Unreachable,
                detail: "the resolver's servers do not answer".to_owned(),
            },
            Failure::Refused => Unknown {
                reason: Reason::Unavailable,
                detail: "the resolver refused".to_owned(),
            },
            Failure::Unknown(problem) => problem,
        })?;
    let addresses = found.iter().map(|address| Value::text(address.to_string())).collect();
    Ok(Value::record(
        "Addresses",
        vec![
            ("addresses", Value::list(addresses)),
            ("time", Value::duration(begin.elapsed())),
        ],
    ))
}

impl Provider for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let machine = call.arg("on").as_str().unwrap_or(LOCAL);
        match &*call.operation.path {
            "processes.signal" | "processes.remaining" => {
                let mut machines: Vec<String> = match call.arg("processes") {
                    Value::List(list) => list
                        .items
                        .iter()
                        .filter_map(|process| Some(process.as_record()?.get("on")?.as_str()?.to_owned()))
                        .collect(),
                    _ => Vec::new(),
                };
                machines.sort();
                machines.dedup();
                if machines.is_empty() {
                    machines.push(LOCAL.to_owned());
                }
                machines
            }
            "units.restart" => {
                let unit = call.arg("unit").as_str().unwrap_or_default();
                // A name that is none keeps its own form, which no grant has, and is refused again by the call.
                let unit = units::canonical(unit).unwrap_or_else(|_| unit.to_owned());
                vec![format!("{machine}/{unit}")]
            }
            _ => vec![machine.to_owned()],
        }
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move { Value::or_unknown(self.answer(call).await) }.boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        async move {
            if let Err(problem) = here(call) {
                return Outcome::Failed(problem);
            }
            match &*call.operation.path {
                "processes.signal" => {
                    let Value::List(processes) = call.arg("processes").clone() else {
                        return Outcome::Failed(Unknown {
                            reason: Reason::Missing,
                            detail: "no list of processes was given".to_owned(),
                        });
                    };
                    if self.targets(call) != [LOCAL] {
                        return Outcome::Failed(Unknown {
                            reason: Reason::Unavailable,
                            detail: format!("the only machine is `{LOCAL}`"),
                        });
                    }
                    let word = text(call, "signal").unwrap_or_default();
                    let machine = self.machine.clone();
                    let sent = detached("host.processes.signal", call.within, move || {
                        signal::signal(&machine, &processes, &word)
                    });
                    sent.await.unwrap_or_else(Outcome::Unclear)
                }
                "units.restart" => {
                    let unit = text(call, "unit").unwrap_or_default();
                    units::restart(&self.machine, &unit, call.within).await
                }
                other => Outcome::Failed(Unknown {
                    reason: Reason::Internal,
                    detail: format!("`host.{other}` is not a change"),
                }),
            }
        }
        .boxed()
    }

    fn references(&self, used: &Use) -> Vec<Reference> {
        self.named(used)
    }

    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Resolved> {
        self.look_up(reference).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async move {
            let machine = self.machine.clone();
            let looked = detached("the machine", Duration::from_secs(5), move || look(&machine)).await;
            looked.unwrap_or_else(|problem| {
                vec![Health {
                    subject: "host local".to_owned(),
                    state: HealthState::Bad,
                    detail: problem.to_string(),
                }]
            })
        }
        .boxed()
    }
}

/// What can be read here, and what not.
fn look(machine: &Machine) -> Vec<Health> {
    let line = |subject: &str, state, detail: String| Health {
        subject: format!("host local{subject}"),
        state,
        detail,
    };
    let mut lines = Vec::new();
    let basics = numbers::load(machine).and_then(|_| numbers::memory(machine));
    lines.push(match basics {
        Ok(_) => line("", HealthState::Good, "load and memory can be read".to_owned()),
        Err(problem) => line(
            "",
            HealthState::Bad,
            format!("{problem}; is {} mounted?", machine.proc.display()),
        ),
    });
    if let Err(problem) = numbers::pressure(machine, "memory") {
        lines.push(line(
            " pressure",
            HealthState::Limited,
            format!("{problem}; the kernel needs CONFIG_PSI, and perhaps `psi=1` at boot"),
        ));
    }
    match processes::snapshot(machine) {
        Ok(snapshot) if snapshot.incomplete => lines.push(line(
            " processes",
            HealthState::Limited,
            "processes of other users are hidden; run as root, or in the group that /proc is mounted for".to_owned(),
        )),
        Ok(_) if !rustix::process::geteuid().is_root() => lines.push(line(
            " processes",
            HealthState::Limited,
            "files, ports and command lines of other users' processes cannot be seen; CAP_SYS_PTRACE would show them"
                .to_owned(),
        )),
        Ok(snapshot) => lines.push(line(
            " processes",
            HealthState::Good,
            format!("{} processes can be seen", snapshot.seen.len()),
        )),
        Err(problem) => lines.push(line(" processes", HealthState::Bad, problem.to_string())),
    }
    if let Err(problem) = units::systemctl(machine) {
        lines.push(line(" units", HealthState::Limited, problem.to_string()));
    }
    lines
}
