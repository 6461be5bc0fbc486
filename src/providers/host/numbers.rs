//! Load, processors, pressure, memory, swapping, open files, time since start, and kills for lack of memory.

use super::parse;
use super::source::{Found, Machine, file_problem, unknown};
use crate::value::{List, Reason, Value};
use std::sync::Arc;
use std::time::Duration;

/// A count as a value.
pub fn count(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Microseconds, as the kernel counts, before now.
pub fn before_now(microseconds: f64) -> Value {
    let nanoseconds = jiff::Timestamp::now().as_nanosecond() - (microseconds * 1000.0) as i128;
    jiff::Timestamp::from_nanosecond(nanoseconds).map_or_else(
        |_| Value::unknown(Reason::Arithmetic, "the time is out of range"),
        Value::Time,
    )
}

/// `host.load`
pub fn load(machine: &Machine) -> Found<Value> {
    let load = parse::load(&machine.proc("loadavg")?)?;
    let ticks = parse::cpu_ticks(&machine.proc("stat")?)?;
    Ok(Value::record(
        "Load",
        vec![
            ("one", Value::float(load.averages[0])),
            ("five", Value::float(load.averages[1])),
            ("fifteen", Value::float(load.averages[2])),
            ("cpus", Value::Int(ticks.cpus)),
            ("runnable", Value::Int(load.runnable)),
            ("tasks", Value::Int(load.tasks)),
        ],
    ))
}

/// `host.cpu` from two readings.
pub fn cpu(before: &parse::CpuTicks, after: &parse::CpuTicks, over: Duration) -> Found<Value> {
    // The idle counters may run back a little; what is then left over is not guessed.
    let total = after.total().saturating_sub(before.total());
    if total == 0 {
        return unknown(Reason::Unavailable, "the kernel counted no time in between");
    }
    let share = |after: u64, before: u64| Value::ratio((after.saturating_sub(before) as f64 / total as f64).min(1.0));
    let resting = after.idle.saturating_sub(before.idle) + after.io_wait.saturating_sub(before.io_wait);
    Ok(Value::record(
        "CpuUse",
        vec![
            ("busy", Value::ratio(1.0 - (resting as f64 / total as f64).min(1.0))),
            ("user", share(after.user, before.user)),
            ("system", share(after.system, before.system)),
            ("io_wait", share(after.io_wait, before.io_wait)),
            ("stolen", share(after.stolen, before.stolen)),
            ("over", Value::duration(over)),
        ],
    ))
}

/// `host.pressure.cpu`, `.memory`, `.io`
pub fn pressure(machine: &Machine, of: &str) -> Found<Value> {
    let path = format!("pressure/{of}");
    let bytes = machine.proc(&path).map_err(|mut problem| {
        if problem.reason == Reason::Unavailable {
            problem.detail = format!("this kernel keeps no record of pressure ({})", problem.detail);
        }
        problem
    })?;
    let (some, full) = parse::pressure(&bytes)?;
    let stall = |stall: parse::Stall| {
        Value::record(
            "Stall",
            vec![
                ("over_10s", Value::ratio(stall[0])),
                ("over_1min", Value::ratio(stall[1])),
                ("over_5min", Value::ratio(stall[2])),
            ],
        )
    };
    let full = full.map_or_else(
        || Value::unknown(Reason::Unavailable, "this kernel does not tell when all tasks wait"),
        stall,
    );
    Ok(Value::record("Pressure", vec![("some", stall(some)), ("full", full)]))
}

/// `host.memory`
pub fn memory(machine: &Machine) -> Found<Value> {
    let memory = parse::memory(&machine.proc("meminfo")?)?;
    let used = memory.total.saturating_sub(memory.available) as f64 / memory.total as f64;
    Ok(Value::record(
        "Memory",
        vec![
            ("total", Value::bytes(memory.total)),
            ("available", Value::bytes(memory.available)),
            ("used", Value::ratio(used)),
            ("swap_total", Value::bytes(memory.swap_total)),
            ("swap_free", Value::bytes(memory.swap_free)),
        ],
    ))
}

/// Pages moved in and out of swap space since boot.
pub fn swapped(machine: &Machine) -> Found<(u64, u64)> {
    let counters = parse::counters(&machine.proc("vmstat")?);
    match (counters.get("pswpin"), counters.get("pswpout")) {
        (Some(read), Some(written)) => Ok((*read, *written)),
        _ => unknown(Reason::Unavailable, "this kernel does not count swapped pages"),
    }
}

/// `host.swapping` from two readings.
pub fn swapping(before: (u64, u64), after: (u64, u64), over: Duration) -> Value {
    let rate = |after: u64, before: u64| Value::rate(after.saturating_sub(before) as f64 / over.as_secs_f64());
    Value::record(
        "Swapping",
        vec![
            ("pages_in", rate(after.0, before.0)),
            ("pages_out", rate(after.1, before.1)),
            ("over", Value::duration(over)),
        ],
    )
}

/// `host.files.system`
pub fn open_files(machine: &Machine) -> Found<Value> {
    let (open, limit) = parse::file_numbers(&machine.proc("sys/fs/file-nr")?)?;
    Ok(Value::record(
        "OpenFiles",
        vec![
            ("open", Value::Int(open)),
            ("limit", Value::Int(limit)),
            ("used", Value::ratio(open as f64 / limit as f64)),
        ],
    ))
}

/// `host.uptime`
pub fn uptime(machine: &Machine) -> Found<Value> {
    let seconds = parse::uptime(&machine.proc("uptime")?)?;
    Ok(Value::record(
        "Uptime",
        vec![
            (
                "up",
                Value::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            ),
            ("booted", before_now(seconds * 1e6)),
        ],
    ))
}

/// `host.out_of_memory`
pub fn out_of_memory(machine: &Machine, within: Duration) -> Found<Value> {
    let counters = parse::counters(&machine.proc("vmstat")?);
    let since_boot = counters.get("oom_kill").copied();
    let up = parse::uptime(&machine.proc("uptime")?)?;
    let victims = if since_boot == Some(0) {
        // The counter is the kernel's own: nobody was killed, whether its log can be read or not.
        Value::list(Vec::new())
    } else {
        Value::or_unknown(kernel_log(&machine.dev.join("kmsg")).map(|log| victims(&log, up, within)))
    };
    let since_boot = since_boot.map_or_else(
        || {
            Value::unknown(
                Reason::Unavailable,
                "this kernel does not count kills for lack of memory",
            )
        },
        count,
    );
    Ok(Value::record(
        "OutOfMemory",
        vec![("since_boot", since_boot), ("victims", victims)],
    ))
}

/// The kernel's log as far as it still goes back.
pub struct Log {
    /// When the oldest record was written, in microseconds after boot.
    pub oldest: Option<u64>,
    pub killed: Vec<parse::Killed>,
}

/// The victims of the last `within`. The list is cut when the log does not go back that far.
pub fn victims(log: &Log, up_seconds: f64, within: Duration) -> Value {
    let now = up_seconds * 1e6;
    let begin = (now - within.as_secs_f64() * 1e6).max(0.0);
    let items = log
        .killed
        .iter()
        .filter(|killed| killed.at as f64 >= begin)
        .map(|killed| {
            Value::record(
                "Victim",
                vec![
                    ("pid", Value::Int(killed.pid)),
                    ("name", Value::text(killed.name.as_str())),
                    ("time", before_now(now - killed.at as f64)),
                ],
            )
        })
        .collect();
    // A log that begins with the boot (its first second) is whole; one that was overwritten begins later.
    let reaches_back = log
        .oldest
        .is_some_and(|oldest| oldest as f64 <= begin || oldest < 1_000_000);
    Value::List(Arc::new(List {
        items,
        truncated: !reaches_back,
    }))
}

/// Most records read of the kernel's log.
const LOG_RECORDS: usize = crate::limits::HOST_LOG_RECORDS;

/// Reads the kernel's log without waiting for new records.
fn kernel_log(path: &std::path::Path) -> Found<Log> {
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    let file = opened.map_err(|problem| file_problem(path, &problem.into()))?;
    let mut log = Log {
        oldest: None,
        killed: Vec::new(),
    };
    // One read gives one record; the kernel's records are at most 8 KiB.
    let mut buffer = vec![0; 16 * 1024];
    for _ in 0..LOG_RECORDS {
        match rustix::io::read(&file, &mut buffer) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(log),
            Ok(length) => {
                if let Some((at, message)) = parse::log_record(&buffer[..length]) {
                    log.oldest.get_or_insert(at);
                    log.killed.extend(parse::killed(at, &message));
                }
            }
            // Overwritten while it was read: the next read gives the oldest that is left.
            Err(Errno::PIPE) => log.oldest = None,
            Err(Errno::INTR) => {}
            Err(problem) => return Err(file_problem(path, &problem.into())),
        }
    }
    unknown(Reason::Truncated, "the kernel's log does not end")
}
