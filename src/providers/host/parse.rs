//! Texts of the kernel, read into numbers. Pure: bytes in, facts or `Unparsable` out.

use super::source::{Found, unknown};
use crate::value::Reason;
use std::collections::BTreeMap;

fn unparsable<T>(what: &str) -> Found<T> {
    unknown(Reason::Unparsable, format!("{what} is not in the form that is known"))
}

/// `/proc/loadavg`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub averages: [f64; 3],
    pub runnable: i64,
    pub tasks: i64,
}

/// Reads `/proc/loadavg`.
pub fn load(bytes: &[u8]) -> Found<Load> {
    let text = String::from_utf8_lossy(bytes);
    let fields: Vec<&str> = text.split_whitespace().collect();
    let read = || -> Option<Load> {
        let average = |index: usize| -> Option<f64> {
            let value: f64 = fields.get(index)?.parse().ok()?;
            (value.is_finite() && value >= 0.0).then_some(value)
        };
        let (runnable, tasks) = fields.get(3)?.split_once('/')?;
        Some(Load {
            averages: [average(0)?, average(1)?, average(2)?],
            runnable: runnable.parse().ok()?,
            tasks: tasks.parse().ok()?,
        })
    };
    read().map_or_else(|| unparsable("/proc/loadavg"), Ok)
}

/// Ticks that all CPUs together spent, from the first line of `/proc/stat`, with the number of CPUs and the boot time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTicks {
    pub user: u64,
    pub system: u64,
    pub idle: u64,
    pub io_wait: u64,
    pub stolen: u64,
    pub cpus: i64,
    /// Seconds after 1970.
    pub booted: i64,
}

impl CpuTicks {
    /// All ticks.
    pub fn total(&self) -> u64 {
        [self.user, self.system, self.idle, self.io_wait, self.stolen]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Reads `/proc/stat`.
pub fn cpu_ticks(bytes: &[u8]) -> Found<CpuTicks> {
    let text = String::from_utf8_lossy(bytes);
    let read = || -> Option<CpuTicks> {
        let mut lines = text.lines();
        let first = lines.next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = first
            .split_whitespace()
            .map(|field| field.parse().ok())
            .collect::<Option<_>>()?;
        let at = |index: usize| ticks.get(index).copied();
        let mut cpus = 0;
        let mut booted = None;
        for line in lines {
            if line
                .strip_prefix("cpu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            {
                cpus += 1;
            } else if let Some(seconds) = line.strip_prefix("btime ") {
                booted = seconds.trim().parse().ok();
            }
        }
        Some(CpuTicks {
            // user and nice; guest time is already part of them.
            user: at(0)?.saturating_add(at(1)?),
            // system, interrupts and soft interrupts.
            system: at(2)?
                .saturating_add(at(5).unwrap_or(0))
                .saturating_add(at(6).unwrap_or(0)),
            idle: at(3)?,
            io_wait: at(4).unwrap_or(0),
            stolen: at(7).unwrap_or(0),
            cpus: (cpus > 0).then_some(cpus)?,
            booted: booted?,
        })
    };
    read().map_or_else(|| unparsable("/proc/stat"), Ok)
}

/// One line of a pressure file: shares over 10 s, 1 min and 5 min, 1.0 being all the time.
pub type Stall = [f64; 3];

/// Reads a file of `/proc/pressure`: the line `some`, and the line `full` where the kernel has it.
pub fn pressure(bytes: &[u8]) -> Found<(Stall, Option<Stall>)> {
    let text = String::from_utf8_lossy(bytes);
    let line = |kind: &str| -> Option<Option<Stall>> {
        let Some(rest) = text.lines().find_map(|line| line.strip_prefix(kind)) else {
            return Some(None);
        };
        let mut stall = [None; 3];
        for field in rest.split_whitespace() {
            let (name, value) = field.split_once('=')?;
            let slot = match name {
                "avg10" => 0,
                "avg60" => 1,
                "avg300" => 2,
                _ => continue,
            };
            let percent: f64 = value.parse().ok()?;
            stall[slot] = Some((percent / 100.0).clamp(0.0, 1.0)).filter(|share| share.is_finite());
        }
        Some(Some([stall[0]?, stall[1]?, stall[2]?]))
    };
    match (line("some "), line("full ")) {
        (Some(Some(some)), Some(full)) => Ok((some, full)),
        _ => unparsable("the pressure file"),
    }
}

/// Bytes of memory and swap space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// Reads `/proc/meminfo`. A kernel older than 3.14 has no `MemAvailable`; it is not guessed.
pub fn memory(bytes: &[u8]) -> Found<Memory> {
    let text = String::from_utf8_lossy(bytes);
    let size = |name: &str| -> Option<u64> {
        let rest = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = rest.split_whitespace();
        let number: u64 = fields.next()?.parse().ok()?;
        (fields.next() == Some("kB")).then(|| number.checked_mul(1024))?
    };
    let read = || -> Option<Memory> {
        let memory = Memory {
            total: size("MemTotal")?,
            available: size("MemAvailable")?,
            swap_total: size("SwapTotal")?,
            swap_free: size("SwapFree")?,
        };
        (memory.total > 0).then_some(memory)
    };
    read().map_or_else(|| unparsable("/proc/meminfo"), Ok)
}

/// Reads the counters of `/proc/vmstat`; lines that do not fit are left out.
pub fn counters(bytes: &[u8]) -> BTreeMap<String, u64> {
    String::from_utf8_lossy(bytes)
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// Seconds since the machine started, from `/proc/uptime`.
pub fn uptime(bytes: &[u8]) -> Found<f64> {
    let text = String::from_utf8_lossy(bytes);
    let seconds: Option<f64> = text.split_whitespace().next().and_then(|field| field.parse().ok());
    match seconds {
        Some(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => unparsable("/proc/uptime"),
    }
}

/// Open files and their limit, from `/proc/sys/fs/file-nr`.
pub fn file_numbers(bytes: &[u8]) -> Found<(i64, i64)> {
    let text = String::from_utf8_lossy(bytes);
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    match numbers.as_slice() {
        // The second number is always 0 since Linux 2.6. The limit may be the largest there is.
        [open, _, limit] => Ok((
            i64::try_from(*open).unwrap_or(i64::MAX),
            i64::try_from(*limit).unwrap_or(i64::MAX),
        )),
        _ => unparsable("/proc/sys/fs/file-nr"),
    }
}

/// The soft limit of open files from a process's `limits` file; the inner `None` is "unlimited".
pub fn open_file_limit(bytes: &[u8]) -> Found<Option<i64>> {
    let text = String::from_utf8_lossy(bytes);
    let soft = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next());
    match soft {
        Some("unlimited") => Ok(None),
        Some(number) => number
            .parse()
            .map(Some)
            .or_else(|_| unparsable("the limits of a process")),
        None => unparsable("the limits of a process"),
    }
}

/// What `/proc/PID/stat` says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub pid: i64,
    /// The process chose it; it may hold anything.
    pub name: String,
    pub state: char,
    pub parent: i64,
    /// Ticks of CPU time, user and system.
    pub ticks: u64,
    pub threads: i64,
    /// Ticks after boot.
    pub started: u64,
    /// Pages.
    pub resident: u64,
}

/// Reads `/proc/PID/stat`. A name may hold spaces, brackets and line breaks: it ends at the last closing bracket.
pub fn stat(bytes: &[u8]) -> Found<Stat> {
    let text = String::from_utf8_lossy(bytes);
    let read = || -> Option<Stat> {
        let open = text.find('(')?;
        let close = text.rfind(')')?;
        let name = text.get(open + 1..close)?.to_owned();
        let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
        // Field 3 of proc_pid_stat(5), the state, is index 0 here.
        let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
        Some(Stat {
            pid: text.get(..open)?.trim().parse().ok()?,
            name,
            state: fields.first()?.chars().next()?,
            parent: i64::try_from(number(4)?).ok()?,
            ticks: number(14)?.saturating_add(number(15)?),
            threads: i64::try_from(number(20)?).ok()?,
            started: number(22)?,
            resident: number(24)?,
        })
    };
    read().map_or_else(|| unparsable("the state of a process"), Ok)
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor`
    pub device_number: String,
    pub point: std::path::PathBuf,
    pub kind: String,
    pub device: String,
    pub read_only: bool,
    /// Options of the file system itself.
    pub options: Vec<String>,
}

/// Reads `/proc/self/mountinfo`.
pub fn mounts(bytes: &[u8]) -> Found<Vec<Mount>> {
    use std::os::unix::ffi::OsStringExt;
    let line = |line: &[u8]| -> Option<Mount> {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        // The number of optional fields varies; a lone hyphen ends them.
        let end = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
        let text = |index: usize| -> Option<String> {
            Some(String::from_utf8_lossy(&unescape(fields.get(index)?)).into_owned())
        };
        let options: Vec<String> = text(end + 3)?.split(',').map(str::to_owned).collect();
        let read_only = text(5)?.split(',').any(|option| option == "ro") || options.iter().any(|option| option == "ro");
        Some(Mount {
            device_number: text(2)?,
            point: std::ffi::OsString::from_vec(unescape(fields.get(4)?)).into(),
            kind: text(end + 1)?,
            device: text(end + 2)?,
            read_only,
            options,
        })
    };
    let found: Option<Vec<Mount>> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|text| !text.is_empty())
        .map(line)
        .collect();
    match found {
        Some(found) if !found.is_empty() => Ok(found),
        _ => unparsable("the list of mounts"),
    }
}

/// The kernel writes blanks, tabs, line breaks and backslashes in a path as `\040` and the like.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\'
            && let Some(digits) = tail.get(..3)
            && let Some(value) = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            out.push(value);
            rest = &tail[3..];
        } else {
            out.push(byte);
            rest = tail;
        }
    }
    out
}

/// A process that the kernel's log says was killed for lack of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Microseconds after boot.
    pub at: u64,
    pub pid: i64,
    pub name: String,
}

/// When a record of the kernel's log was written, in microseconds after boot, and its text.
pub fn log_record(bytes: &[u8]) -> Option<(u64, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, message) = text.split_once(';')?;
    let at = head.split(',').nth(2)?.parse().ok()?;
    Some((at, message.lines().next().unwrap_or_default().to_owned()))
}

/// The victim, if a message of the kernel's log tells of one: `Out of memory: Killed process 4711 (java) total-vm:…`, and
/// `Memory cgroup out of memory: Killed process …` for a container's own limit.
pub fn killed(at: u64, message: &str) -> Option<Killed> {
    let rest = message
        .strip_prefix("Out of memory: ")
        .or_else(|| message.strip_prefix("Memory cgroup out of memory: "))?;
    let rest = rest
        .strip_prefix("Killed process ")
        .or_else(|| rest.strip_prefix("Kill process "))?;
    let (pid, rest) = rest.split_once(' ')?;
    // The name may itself hold brackets; what follows it always begins with ` total-vm:` (or, long ago, ` score `).
    let name = rest.strip_prefix('(')?;
    let end = name
        .rfind(") total-vm:")
        .or_else(|| name.rfind(") score "))
        .or_else(|| name.rfind(')'))?;
    Some(Killed {
        at,
        pid: pid.parse().ok()?,
        name: name[..end].to_owned(),
    })
}

/// `NAME=value` lines, as `systemctl show` and `timedatectl show` print them; the last one of a name counts.
pub fn properties(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

/// What `chronyc -c tracking` says: source, offset in seconds, and whether the clock is synchronised.
pub fn tracking(text: &str) -> Found<(String, f64, bool)> {
    let fields: Vec<&str> = text.trim().split(',').collect();
    let offset: Option<f64> = fields.get(4).and_then(|field| field.parse().ok());
    match (fields.get(1), offset, fields.get(13)) {
        (Some(source), Some(offset), Some(leap)) if offset.is_finite() => Ok((
            (*source).to_owned(),
            offset,
            // The other words are Normal, Insert second and Delete second.
            *leap != "Not synchronised",
        )),
        _ => unparsable("the reply of chronyc"),
    }
}
