//! Texts as kernels of several ages write them, and hostile ones.

use super::parse::{self, Killed, Load};
use super::source::Users;
use crate::value::Reason;
use proptest::prelude::*;

#[test]
fn load_is_read_and_nonsense_is_not() {
    assert_eq!(
        parse::load(b"0.52 1.20 15.00 3/812 40123\n").unwrap(),
        Load {
            averages: [0.52, 1.2, 15.0],
            runnable: 3,
            tasks: 812
        }
    );
    for bad in [
        &b""[..],
        b"0.5 0.5\n",
        b"nan 0.1 0.1 1/2 3",
        b"inf 1 1 1/2 3",
        b"-1 1 1 1/2 3",
        b"\xff\xfe 1 1 1/2 3",
    ] {
        assert_eq!(parse::load(bad).unwrap_err().reason, Reason::Unparsable, "{bad:?}");
    }
}

#[test]
fn cpu_ticks_count_guest_time_once() {
    let text = "cpu  100 10 30 800 40 5 5 20 50 0\ncpu0 50 5 15 400 20 2 3 10 25 0\ncpu1 50 5 15 400 20 3 2 10 25 0\nintr 1\nbtime 1700000000\n";
    let ticks = parse::cpu_ticks(text.as_bytes()).unwrap();
    assert_eq!((ticks.user, ticks.system, ticks.idle), (110, 40, 800));
    assert_eq!((ticks.io_wait, ticks.stolen, ticks.cpus), (40, 20, 2));
    assert_eq!(ticks.booted, 1_700_000_000);
    assert_eq!(ticks.total(), 1010);
    for bad in [
        "",
        "cpu  1 2\n",
        "cpu  1 2 3 x\ncpu0 1\nbtime 1\n",
        "cpu  1 2 3 4\nbtime 1\n",
        "cpu  1 2 3 4\ncpu0 1 2 3 4\n",
    ] {
        assert!(parse::cpu_ticks(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn pressure_without_a_full_line_is_not_zero() {
    let both = b"some avg10=1.50 avg60=25.00 avg300=0.10 total=123\nfull avg10=0.00 avg60=0.20 avg300=0.00 total=9\n";
    assert_eq!(
        parse::pressure(both).unwrap(),
        ([0.015, 0.25, 0.001], Some([0.0, 0.002, 0.0]))
    );
    let old = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    assert_eq!(parse::pressure(old).unwrap(), ([0.0; 3], None));
    for bad in [
        &b""[..],
        b"some avg10=1 avg60=2\n",
        b"some avg10=x avg60=1 avg300=1\n",
        b"full avg10=1 avg60=1 avg300=1\n",
    ] {
        assert!(parse::pressure(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn memory_needs_every_number() {
    let text = "MemTotal:       16000000 kB\nMemFree:         100 kB\nMemAvailable:    8000000 kB\nSwapTotal:       0 kB\nSwapFree:        0 kB\n";
    let memory = parse::memory(text.as_bytes()).unwrap();
    assert_eq!(memory.total, 16_000_000 * 1024);
    assert_eq!(memory.swap_total, 0);
    for line in ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"] {
        let without: String = text
            .lines()
            .filter(|l| !l.starts_with(line))
            .map(|l| format!("{l}\n"))
            .collect();
        assert!(parse::memory(without.as_bytes()).is_err(), "without {line}");
    }
    assert!(parse::memory(text.replace("kB", "MB").as_bytes()).is_err());
    assert!(parse::memory(text.replace("16000000", "99999999999999999999").as_bytes()).is_err());
    assert!(parse::memory(text.replace("16000000", "18446744073709551615").as_bytes()).is_err());
}

#[test]
fn hostile_process_names_stay_names() {
    let line = |name: &str| {
        format!("4711 ({name}) S 1 4711 4711 0 -1 4194560 10 0 0 0 30 12 0 0 20 0 7 0 123456 1000 250 1 1 1")
    };
    for name in [
        "java",
        "a b",
        "x) R 1 (y",
        "bad\nname",
        "\u{1b}[2J\u{1b}[Hroot",
        "((((",
        "))))",
        "",
        ") S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 (",
        "S 0",
    ] {
        let stat = parse::stat(line(name).as_bytes()).unwrap();
        assert_eq!(stat.name, name);
        assert_eq!((stat.pid, stat.state, stat.parent), (4711, 'S', 1));
        assert_eq!(
            (stat.ticks, stat.threads, stat.started, stat.resident),
            (42, 7, 123_456, 250)
        );
    }
    let raw = [
        b"4711 (\xff\xfe) ".as_slice(),
        line("x").split_once(") ").unwrap().1.as_bytes(),
    ]
    .concat();
    assert_eq!(parse::stat(&raw).unwrap().name, "\u{fffd}\u{fffd}");
    for bad in [
        "",
        "4711",
        "4711 (",
        "4711 ()",
        "4711 ) (",
        "(",
        ")",
        "x (y) S 1 1",
        "4711 (java) S 1 2 3",
    ] {
        assert_eq!(
            parse::stat(bad.as_bytes()).unwrap_err().reason,
            Reason::Unparsable,
            "{bad:?}"
        );
    }
}

#[test]
fn mounts_are_read_with_blanks_in_their_names() {
    let text = b"36 35 98:0 /mnt1 /mnt/two\\040words rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
        40 35 0:25 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible\n\
        41 35 8:1 / / ro - ext4 /dev/sda1 rw\n";
    let mounts = parse::mounts(text).unwrap();
    assert_eq!(mounts[0].point.to_str(), Some("/mnt/two words"));
    assert_eq!(
        (mounts[0].kind.as_str(), mounts[0].device.as_str()),
        ("ext3", "/dev/root")
    );
    assert!(mounts[2].read_only && !mounts[0].read_only);
    assert!(mounts[1].options.contains(&"hidepid=invisible".to_owned()));
    for bad in [
        &b""[..],
        b"36 35 98:0 /mnt1 /mnt2 rw\n",
        b"36 35 98:0 /mnt1 /mnt2 rw shared:1 -\n",
    ] {
        assert!(parse::mounts(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn victims_of_the_kernel_are_found_in_its_log() {
    let record =
        b"6,1234,98765432,-;Out of memory: Killed process 4711 (java) total-vm:1kB, anon-rss:2kB\n SUBSYSTEM=memory\n";
    let (at, message) = parse::log_record(record).unwrap();
    assert_eq!(
        parse::killed(at, &message),
        Some(Killed {
            at: 98_765_432,
            pid: 4711,
            name: "java".to_owned()
        })
    );
    let named = |name: &str| {
        parse::killed(
            1,
            &format!("Memory cgroup out of memory: Killed process 7 ({name}) total-vm:1kB"),
        )
        .map(|killed| killed.name)
    };
    for name in ["a b", "x) total-vm:9kB (y", "(", ")"] {
        assert_eq!(named(name).as_deref(), Some(name));
    }
    // A process cannot write into the kernel's log, but it can be named like a message.
    assert_eq!(
        parse::killed(1, "audit: comm=\"Out of memory: Killed process 1 (x) total-vm:\""),
        None
    );
    for bad in [
        "Out of memory: Killed process",
        "Out of memory: Killed process x (y) total-vm:1",
        "Out of memory: Killed process 1 java",
    ] {
        assert_eq!(parse::killed(1, bad), None, "{bad}");
    }
    assert_eq!(parse::log_record(b"garbage"), None);
}

#[test]
fn limits_files_and_clocks() {
    let limits = b"Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
    assert_eq!(parse::open_file_limit(limits).unwrap(), Some(1024));
    assert_eq!(
        parse::open_file_limit(b"Max open files            unlimited            unlimited            files\n").unwrap(),
        None
    );
    assert!(parse::open_file_limit(b"Max cpu time unlimited\n").is_err());
    assert_eq!(
        parse::file_numbers(b"1504\t0\t9223372036854775807\n").unwrap(),
        (1504, i64::MAX)
    );
    assert!(parse::file_numbers(b"1504 0\n").is_err());
    assert!((parse::uptime(b"3600.25 7000.00\n").unwrap() - 3600.25).abs() < 1e-9);
    assert!(parse::uptime(b"nan 1\n").is_err());
    let good = "C0A80101,ntp.example.org,3,1700000000.1,-0.000123,0.0,0.0,1.0,0.0,0.1,0.01,0.001,64.2,Normal\n";
    assert_eq!(
        parse::tracking(good).unwrap(),
        ("ntp.example.org".to_owned(), -0.000_123, true)
    );
    let lost = good.replace("Normal", "Not synchronised");
    assert!(!parse::tracking(&lost).unwrap().2);
    assert!(parse::tracking("506 Cannot talk to daemon\n").is_err());
    assert_eq!(
        Users::parse(b"root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:33\n").name(33),
        "web"
    );
    assert_eq!(Users::default().name(1000), "1000");
}

proptest! {
    #[test]
    fn no_text_of_a_kernel_can_break_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse::load(&bytes);
        let _ = parse::cpu_ticks(&bytes);
        let _ = parse::pressure(&bytes);
        let _ = parse::memory(&bytes);
        let _ = parse::counters(&bytes);
        let _ = parse::uptime(&bytes);
        let _ = parse::file_numbers(&bytes);
        let _ = parse::open_file_limit(&bytes);
        let _ = parse::stat(&bytes);
        let _ = parse::mounts(&bytes);
        let _ = parse::log_record(&bytes).map(|(at, message)| parse::killed(at, &message));
        let _ = parse::tracking(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_process_of_any_name_keeps_its_numbers(name in "[^\u{0}]{0,15}", pid in 1i64..4_194_304, started in any::<u64>()) {
        let text = format!("{pid} ({name}) R 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 {started} 5 6 7");
        let stat = parse::stat(text.as_bytes()).unwrap();
        prop_assert_eq!((stat.pid, stat.started, stat.name), (pid, started, name));
    }
}
