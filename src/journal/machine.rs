//! What is taken from the machine: random bytes, wall time, time since its start, the name of that start, and which process
//! this is. Behind a trait, so that a test or a simulator can give its own.

use super::Error;
use super::lease::Runner;

/// Where a journal takes time, randomness and its own name from.
pub trait Machine: Send + Sync {
    /// Wall time, nanoseconds since 1970 in UTC.
    fn wall(&self) -> i64;

    /// Nanoseconds since the machine was started, sleep included; never goes back.
    fn since_boot(&self) -> u64;

    /// The kernel's name for this start of the machine; empty where there is none.
    fn boot_id(&self) -> String;

    /// Fills the buffer with random bytes from the operating system.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error>;

    /// This process.
    fn runner(&self) -> Runner;

    /// Whether that process still runs; `None` when it cannot be told from here.
    fn runs(&self, runner: &Runner) -> Option<bool>;
}

/// The real machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Machine for System {
    fn wall(&self) -> i64 {
        // Beyond the year 2262 the nanoseconds leave their range; the last moment stands for all later ones.
        i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
    }

    fn since_boot(&self) -> u64 {
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
    }

    fn boot_id(&self) -> String {
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .map(|id| id.trim().chars().take(64).collect())
            .unwrap_or_default()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(bytes).map_err(|error| Error {
            message: format!(
                "The journal needs random bytes and the operating system gave none: {error}. Nothing was recorded; \
                 check that the process may use getrandom or read /dev/urandom."
            ),
        })
    }

    fn runner(&self) -> Runner {
        let process = std::process::id();
        Runner {
            machine: machine_name(&self.boot_id()),
            process,
            started: started(process).unwrap_or(0),
        }
    }

    fn runs(&self, runner: &Runner) -> Option<bool> {
        let here = machine_name(&self.boot_id());
        if here.is_empty() || runner.machine != here {
            return None;
        }
        // A process number is used again; the moment of its start is not.
        Some(started(runner.process) == Some(runner.started))
    }
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    System.fill(&mut bytes)?;
    Ok(bytes)
}

/// The start of the machine and the name space of process numbers: within these a number means one process. Empty where the
/// kernel does not say both.
fn machine_name(boot: &str) -> String {
    match std::fs::read_link("/proc/self/ns/pid") {
        Ok(space) if !boot.is_empty() => format!("{boot} {}", space.display()),
        _ => String::new(),
    }
}

/// When a process started, in ticks since the machine's start; `None` when there is no such process.
fn started(process: u32) -> Option<u64> {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything, blanks too.
    let (_, behind) = line.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers() {
        let (first, second) = (System.since_boot(), System.since_boot());
        assert!(first > 0 && second >= first);
        let mut random = [[0; 16]; 2];
        System.fill(&mut random[0]).unwrap();
        System.fill(&mut random[1]).unwrap();
        assert_ne!(random[0], random[1]);
        assert!(System.wall() > 1_700_000_000_000_000_000);
    }

    #[test]
    fn a_process_is_known_by_its_number_and_its_start() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let runner = Runner {
            process: child.id(),
            started: started(child.id()).unwrap(),
            ..System.runner()
        };
        assert_eq!(System.runs(&System.runner()), Some(true));
        assert_eq!(System.runs(&runner), Some(true));
        let other = Runner {
            started: runner.started + 1,
            ..runner.clone()
        };
        assert_eq!(System.runs(&other), Some(false));
        child.kill().unwrap();
        // Dead and not yet waited for is dead.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while System.runs(&runner) == Some(true) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(System.runs(&runner), Some(false));
        child.wait().unwrap();
        assert_eq!(System.runs(&runner), Some(false));
        let elsewhere = Runner {
            machine: "another start".to_owned(),
            ..runner
        };
        assert_eq!(System.runs(&elsewhere), None);
    }
}
