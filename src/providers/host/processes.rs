//! Processes: who they are, what they use, which files they have open.

use super::parse::{self, Stat};
use super::source::{Found, Machine, Users, file_problem, unknown};
use crate::value::{List, Reason, Record, Secret, Unknown, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most processes in a reply.
const MOST: usize = crate::limits::HOST_PROCESSES;

/// Most bytes kept of a command line.
const COMMAND_BYTES: usize = crate::limits::HOST_COMMAND_BYTES;

/// The name of the only machine there is.
pub const LOCAL: &str = "local";

/// A process and the user it belongs to.
#[derive(Clone, Debug)]
pub struct Seen {
    pub stat: Stat,
    pub user: u32,
}

/// What identifies a process: its number can be used again, its number with its start cannot.
pub type Identity = (i64, u64);

/// The processes at one moment.
pub struct Snapshot {
    pub seen: Vec<Seen>,
    /// Some are hidden from this user: the list is not all there is.
    pub incomplete: bool,
    pub at: Instant,
}

impl Snapshot {
    /// CPU ticks by identity.
    fn ticks(&self) -> BTreeMap<Identity, u64> {
        self.seen
            .iter()
            .map(|seen| ((seen.stat.pid, seen.stat.started), seen.stat.ticks))
            .collect()
    }
}

/// A process that ends while it is looked at is no mistake.
fn vanished(problem: &std::io::Error) -> bool {
    problem.kind() == std::io::ErrorKind::NotFound
        || problem.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The numbers of all processes that can be seen.
pub fn numbers(machine: &Machine) -> Found<Vec<i64>> {
    let folder = std::fs::read_dir(&machine.proc).map_err(|problem| file_problem(&machine.proc, &problem))?;
    let mut numbers = Vec::new();
    for entry in folder {
        let entry = entry.map_err(|problem| file_problem(&machine.proc, &problem))?;
        if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok()) {
            numbers.push(number);
        }
    }
    if numbers.is_empty() {
        return unknown(
            Reason::Unavailable,
            format!("{} shows no process", machine.proc.display()),
        );
    }
    Ok(numbers)
}

/// True when `/proc` is mounted so that other users' processes are hidden, and this user is not exempt.
fn hides(machine: &Machine) -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    let mounts = machine.proc("self/mountinfo").and_then(|bytes| parse::mounts(&bytes));
    mounts.is_ok_and(|mounts| {
        mounts
            .iter()
            .filter(|mount| mount.kind == "proc" && mount.point == machine.proc)
            .flat_map(|mount| &mount.options)
            .filter_map(|option| option.strip_prefix("hidepid="))
            .any(|value| value != "0" && value != "off")
    })
}

/// One process; `None` when it has ended.
pub fn one(machine: &Machine, pid: i64) -> Found<Option<Seen>> {
    use std::os::unix::fs::MetadataExt;
    let folder = machine.proc.join(pid.to_string());
    let read = || -> std::io::Result<(Vec<u8>, u32)> {
        let user = std::fs::metadata(&folder)?.uid();
        Ok((std::fs::read(folder.join("stat"))?, user))
    };
    match read() {
        Ok((bytes, user)) => {
            let stat = parse::stat(&bytes)?;
            if stat.pid != pid {
                return unknown(Reason::Unparsable, format!("process {pid} is shown as {}", stat.pid));
            }
            Ok(Some(Seen { stat, user }))
        }
        Err(problem) if vanished(&problem) => Ok(None),
        Err(problem) => Err(file_problem(&folder, &problem)),
    }
}

/// All processes that can be seen.
pub fn snapshot(machine: &Machine) -> Found<Snapshot> {
    let mut snapshot = Snapshot {
        seen: Vec::new(),
        incomplete: hides(machine),
        at: Instant::now(),
    };
    for pid in numbers(machine)? {
        match one(machine, pid) {
            Ok(Some(seen)) => snapshot.seen.push(seen),
            Ok(None) => {}
            Err(_) => snapshot.incomplete = true,
        }
    }
    Ok(snapshot)
}

/// The word for a state letter of proc_pid_stat(5).
pub fn state(letter: char) -> &'static str {
    match letter {
        'R' => "running",
        'S' => "sleeping",
        'D' => "uninterruptible",
        'T' => "stopped",
        't' => "traced",
        'Z' => "zombie",
        'I' => "idle",
        'X' | 'x' => "dead",
        _ => "other",
    }
}

/// Which processes a call wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub name: Option<String>,
    pub state: Option<String>,
}

impl Wanted {
    fn fits(&self, stat: &Stat) -> bool {
        self.name.as_ref().is_none_or(|name| *name == stat.name)
            && self.state.as_ref().is_none_or(|wanted| wanted == state(stat.state))
    }
}

/// What turns ticks and pages into time and bytes.
pub struct Clockwork {
    pub ticks_per_second: f64,
    pub page_bytes: u64,
    pub up_seconds: f64,
    pub users: Users,
}

impl Clockwork {
    /// Read from this machine.
    pub fn read(machine: &Machine) -> Found<Self> {
        Ok(Self {
            ticks_per_second: procfs::ticks_per_second() as f64,
            page_bytes: procfs::page_size(),
            up_seconds: parse::uptime(&machine.proc("uptime")?)?,
            users: machine.users(),
        })
    }
}

/// `host.processes.list` from the last snapshot and, where CPU time was measured, an earlier one.
pub fn list(
    machine: &Machine,
    before: Option<&Snapshot>,
    now: &Snapshot,
    wanted: &Wanted,
    clockwork: &Clockwork,
) -> Value {
    let earlier = before.map(|before| {
        let elapsed = now.at.saturating_duration_since(before.at).as_secs_f64();
        (before.ticks(), elapsed)
    });
    let names: BTreeMap<i64, &str> = now
        .seen
        .iter()
        .map(|seen| (seen.stat.pid, seen.stat.name.as_str()))
        .collect();
    let fitting: Vec<&Seen> = now.seen.iter().filter(|seen| wanted.fits(&seen.stat)).collect();
    let truncated = now.incomplete || fitting.len() > MOST;
    let items = fitting
        .into_iter()
        .take(MOST)
        .map(|seen| {
            let stat = &seen.stat;
            let cpu = match &earlier {
                None => Value::unknown(Reason::Unavailable, "CPU time was not measured"),
                Some((ticks, elapsed)) => match ticks.get(&(stat.pid, stat.started)) {
                    Some(before) if *elapsed > 0.0 => {
                        Value::ratio(stat.ticks.saturating_sub(*before) as f64 / clockwork.ticks_per_second / elapsed)
                    }
                    // It began while we measured: all its time fell into it.
                    None if *elapsed > 0.0 => Value::ratio(stat.ticks as f64 / clockwork.ticks_per_second / elapsed),
                    _ => Value::unknown(Reason::Unavailable, "CPU time was not measured"),
                },
            };
            shown(machine, seen, cpu, &names, clockwork)
        })
        .collect();
    Value::List(Arc::new(List { items, truncated }))
}

fn shown(machine: &Machine, seen: &Seen, cpu: Value, names: &BTreeMap<i64, &str>, clockwork: &Clockwork) -> Value {
    let stat = &seen.stat;
    let age = (clockwork.up_seconds - stat.started as f64 / clockwork.ticks_per_second).max(0.0);
    let parent_name = match (stat.parent, names.get(&stat.parent)) {
        // Process 1 and the threads of the kernel have no parent; in a container it may be outside.
        (0, _) => Value::text(""),
        (_, Some(name)) => Value::text(*name),
        (_, None) => Value::unknown(Reason::Missing, "the parent is not visible"),
    };
    Value::record(
        "Process",
        vec![
            ("on", local()),
            ("pid", Value::Int(stat.pid)),
            ("start_ticks", super::numbers::count(stat.started)),
            // Number and start are who it is; from the first measure on, a field may change while it stays the same process.
            (
                "age",
                Value::duration(Duration::try_from_secs_f64(age).unwrap_or_default()),
            ),
            ("started", super::numbers::before_now(age * 1e6)),
            ("name", Value::text(stat.name.as_str())),
            ("command", command(machine, stat.pid)),
            ("user", Value::text(clockwork.users.name(seen.user))),
            ("state", Value::variant(state(stat.state))),
            ("cpu", cpu),
            (
                "memory",
                Value::bytes(stat.resident.saturating_mul(clockwork.page_bytes)),
            ),
            ("threads", Value::Int(stat.threads)),
            ("parent", Value::Int(stat.parent)),
            ("parent_name", parent_name),
        ],
    )
}

/// This machine as a resource.
pub fn local() -> Value {
    Value::Resource {
        kind: "Host".into(),
        name: LOCAL.into(),
    }
}

/// The command line. Passwords are often in it, so it is a secret.
fn command(machine: &Machine, pid: i64) -> Value {
    use std::io::Read;
    let path = machine.proc.join(pid.to_string()).join("cmdline");
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(COMMAND_BYTES as u64 + 1).read_to_end(&mut bytes));
    match read {
        // What was cut could be taken for whole: who asks for it gets no answer instead.
        Ok(_) if bytes.len() > COMMAND_BYTES => Value::unknown(
            Reason::Truncated,
            format!("the command line of process {pid} is longer than 4 KiB"),
        ),
        Ok(_) => {
            let text: Vec<_> = bytes
                .split(|byte| *byte == 0)
                .map(String::from_utf8_lossy)
                .filter(|argument| !argument.is_empty())
                .collect();
            Value::Secret(Secret::new(Value::text(text.join(" "))))
        }
        Err(problem) => Value::Unknown(Arc::new(file_problem(&path, &problem))),
    }
}

/// The identity of a process value.
pub fn identity(value: &Value) -> Found<Identity> {
    let fields = value
        .as_record()
        .map(|record: &Record| (record.get("pid"), record.get("start_ticks")));
    match fields {
        Some((Some(Value::Int(pid)), Some(Value::Int(started)))) if *pid > 0 => {
            Ok((*pid, u64::try_from(*started).unwrap_or_default()))
        }
        _ => unknown(Reason::Missing, "a process without number or start"),
    }
}

/// `host.processes.remaining`: those that still run, a zombie being no longer one of them.
pub fn remaining(machine: &Machine, processes: &List) -> Found<Value> {
    let mut items = Vec::new();
    for process in &processes.items {
        let (pid, started) = identity(process)?;
        if let Some(seen) = one(machine, pid)?
            && seen.stat.started == started
            && !matches!(seen.stat.state, 'Z' | 'X' | 'x')
        {
            items.push(process.clone());
        }
    }
    Ok(Value::List(Arc::new(List {
        items,
        truncated: processes.truncated,
    })))
}

/// `host.files.processes`
pub fn open_files(machine: &Machine, name: Option<&str>) -> Found<Value> {
    let snapshot = snapshot(machine)?;
    let wanted = Wanted {
        name: name.map(str::to_owned),
        state: None,
    };
    let mut items = Vec::new();
    for seen in snapshot.seen.iter().filter(|seen| wanted.fits(&seen.stat)).take(MOST) {
        let folder = machine.proc.join(seen.stat.pid.to_string());
        let open = std::fs::read_dir(folder.join("fd")).map(Iterator::count);
        let open = match open {
            Ok(open) => Ok(open),
            Err(problem) if vanished(&problem) => continue,
            Err(problem) => Err(file_problem(&folder.join("fd"), &problem)),
        };
        let limit = std::fs::read(folder.join("limits"))
            .map_err(|problem| file_problem(&folder.join("limits"), &problem))
            .and_then(|bytes| parse::open_file_limit(&bytes));
        items.push(file_use(&seen.stat, open, limit));
    }
    let truncated = snapshot.incomplete || items.len() >= MOST;
    Ok(Value::List(Arc::new(List { items, truncated })))
}

fn file_use(stat: &Stat, open: Result<usize, Unknown>, limit: Found<Option<i64>>) -> Value {
    let not_known = |problem: &Unknown| Value::Unknown(Arc::new(problem.clone()));
    let used = match (&open, &limit) {
        (Err(problem), _) | (_, Err(problem)) => not_known(problem),
        (Ok(_), Ok(None)) => Value::None,
        (Ok(open), Ok(Some(limit))) => Value::ratio(*open as f64 / *limit as f64),
    };
    Value::record(
        "ProcessFiles",
        vec![
            ("pid", Value::Int(stat.pid)),
            ("name", Value::text(stat.name.as_str())),
            (
                "open",
                open.as_ref()
                    .map_or_else(not_known, |open| super::numbers::count(*open as u64)),
            ),
            (
                "limit",
                limit
                    .as_ref()
                    .map_or_else(not_known, |limit| limit.map_or(Value::None, Value::Int)),
            ),
            ("used", used),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{COMMAND_BYTES, Machine, command};
    use crate::value::{Reason, Value};

    #[test]
    fn a_command_line_that_is_too_long_is_unknown_and_not_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let machine = Machine {
            proc: folder.path().to_owned(),
            ..Machine::default()
        };
        std::fs::create_dir(folder.path().join("7")).unwrap();
        let of = |length: usize| {
            std::fs::write(folder.path().join("7/cmdline"), "x".repeat(length)).unwrap();
            command(&machine, 7)
        };
        assert!(matches!(of(COMMAND_BYTES), Value::Secret(_)));
        let unknown = of(COMMAND_BYTES + 1);
        assert_eq!(
            unknown.as_unknown().map(|unknown| unknown.reason),
            Some(Reason::Truncated)
        );
    }
}
