//! What is taken from the machine: random bytes, time since its start, and the name of that start.

use super::Error;

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error {
        message: format!(
            "The journal needs random bytes and the operating system gave none: {error}. Nothing was recorded; \
             check that the process may use getrandom or read /dev/urandom."
        ),
    })?;
    Ok(bytes)
}

/// Nanoseconds since the machine was started, sleep included; never goes back.
pub fn since_boot() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// The kernel's name for this start of the machine; empty where there is none.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().chars().take(64).collect())
        .unwrap_or_default()
}

/// Wall time, nanoseconds since 1970 in UTC.
pub fn wall() -> i64 {
    // Beyond the year 2262 the nanoseconds leave their range; the last moment stands for all later ones.
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_answers() {
        let (first, second) = (since_boot(), since_boot());
        assert!(first > 0 && second >= first);
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
        assert!(wall() > 1_700_000_000_000_000_000);
    }
}
