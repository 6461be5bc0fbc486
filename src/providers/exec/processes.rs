//! All processes that came of one program: its group, its descendants, and whoever carries its mark.

use crate::providers::contract::MARK;
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;

/// Most times that the processes are looked through; each time those are ended that have come since.
const ROUNDS: usize = 20;

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    parent: i32,
    group: i32,
    ended: bool,
}

/// Reads a line of `/proc/PID/stat`. The name may hold anything, brackets too.
fn stat(line: &str) -> Option<Seen> {
    let (_, rest) = line.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    Some(Seen {
        parent: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
        ended: matches!(state, "Z" | "X" | "x"),
    })
}

fn all() -> BTreeMap<i32, Seen> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|number| {
            let line = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            Some((number, stat(&line)?))
        })
        .collect()
}

fn is_marked(number: i32, mark: &str) -> bool {
    let wanted = format!("{MARK}={mark}");
    std::fs::read(format!("/proc/{number}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}

fn descends(all: &BTreeMap<i32, Seen>, number: i32, from: i32) -> bool {
    let mut at = number;
    // A chain of parents is no longer than there are processes.
    for _ in 0..all.len() {
        match all.get(&at) {
            Some(seen) if seen.parent == from => return true,
            Some(seen) => at = seen.parent,
            None => return false,
        }
    }
    false
}

/// Ends them all, those too that have left the group.
pub fn end(leader: Pid, mark: &str) {
    super::run::end_group(leader);
    let ours = leader.as_raw_nonzero().get();
    for _ in 0..ROUNDS {
        let all = all();
        let mut found = false;
        for (number, seen) in &all {
            let belongs = !seen.ended
                && (seen.group == ours || *number == ours || descends(&all, *number, ours) || is_marked(*number, mark));
            if belongs && let Some(pid) = Pid::from_raw(*number) {
                found = true;
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        if !found {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Seen, descends, stat};
    use std::collections::BTreeMap;

    #[test]
    fn a_process_is_read_whatever_it_calls_itself() {
        let seen = Seen {
            parent: 7,
            group: 9,
            ended: false,
        };
        assert_eq!(stat("12 (x) S 1 (y)) R 7 9 9 0 -1"), Some(seen));
        assert!(stat("12 (x) Z 7 9 9").unwrap().ended);
        assert_eq!(stat("12 x"), None);
        assert_eq!(stat(""), None);
    }

    #[test]
    fn descendants_are_found_and_a_circle_ends() {
        let seen = |parent| Seen {
            parent,
            group: 0,
            ended: false,
        };
        let all = BTreeMap::from([(5, seen(4)), (4, seen(3)), (3, seen(1)), (8, seen(9)), (9, seen(8))]);
        assert!(descends(&all, 5, 3));
        assert!(!descends(&all, 3, 5));
        assert!(!descends(&all, 8, 3));
    }
}
