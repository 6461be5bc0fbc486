//! The provider on this machine, and on folders that look like one.

use super::Host;
use super::source::Machine;
use crate::provider::gate::{Gate, Grant, Mode};
use crate::provider::{Call, Effect, Idempotence, Operation, Outcome, Provider};
use crate::value::{List, Reason, Type, Value};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

fn call(path: &str, args: Vec<(&str, Value)>) -> Call {
    let change = matches!(path, "processes.signal" | "units.restart");
    Call {
        operation: Arc::new(Operation {
            provider: "host".into(),
            path: path.into(),
            effect: if change { Effect::Change } else { Effect::Read },
            params: Vec::new(),
            result: Type::Any,
            idempotence: Idempotence::Read,
            heavy: false,
            within: Duration::from_secs(20),
            doc: String::new(),
        }),
        args: args.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        within: Duration::from_secs(20),
        key: None,
    }
}

fn gate(host: Host) -> Gate {
    let mut gate = Gate::new(
        vec![Grant {
            capability: "host".to_owned(),
            effects: vec![Effect::Read, Effect::Change],
            targets: None,
        }],
        Mode::Live,
    );
    gate.register(Arc::new(host));
    gate
}

fn field(value: &Value, name: &str) -> Value {
    let record = value.as_record().unwrap_or_else(|| panic!("not a record: {value:?}"));
    record
        .get(name)
        .cloned()
        .unwrap_or_else(|| panic!("no {name} in {value:?}"))
}

fn reason(value: &Value) -> Option<Reason> {
    value.as_unknown().map(|unknown| unknown.reason)
}

const SECOND: i64 = 1_000_000_000;

fn short() -> (&'static str, Value) {
    ("over", Value::Duration(SECOND / 20))
}

#[tokio::test]
async fn this_machine_answers() {
    let host = Host::new();
    let load = host.read(&call("load", vec![])).await;
    assert!(matches!(field(&load, "cpus"), Value::Int(cpus) if cpus > 0));
    let memory = host.read(&call("memory", vec![])).await;
    let (Value::Bytes(total), Value::Bytes(available)) = (field(&memory, "total"), field(&memory, "available")) else {
        panic!("{memory:?}");
    };
    assert!(0 < available && available <= total);
    let uptime = host.read(&call("uptime", vec![])).await;
    assert!(matches!(field(&uptime, "up"), Value::Duration(up) if up > 0));
    let cpu = host.read(&call("cpu", vec![short()])).await;
    assert!(
        matches!(field(&cpu, "busy"), Value::Ratio(busy) if (0.0..=1.0).contains(&busy)),
        "{cpu:?}"
    );
    let files = host.read(&call("files.system", vec![])).await;
    assert!(matches!(field(&files, "open"), Value::Int(open) if open > 0));
    let systems = host.read(&call("filesystems", vec![])).await;
    let systems = systems.as_list().unwrap();
    assert!(!systems.truncated && !systems.items.is_empty());
    assert!(matches!(field(&systems.items[0], "used"), Value::Ratio(used) if (0.0..=1.0).contains(&used)));
    let local = host
        .read(&call("dns.lookup", vec![("name", Value::text("localhost"))]))
        .await;
    assert_eq!(field(&local, "ok"), Value::Bool(true));
    let addresses = host
        .read(&call("dns.addresses", vec![("name", Value::text("localhost"))]))
        .await;
    assert!(!field(&addresses, "addresses").as_list().unwrap().items.is_empty());
}

#[tokio::test]
async fn another_machine_is_not_this_one() {
    let host = Host::new();
    let on = |name: &str| {
        (
            "on",
            Value::Resource {
                kind: "Host".into(),
                name: name.into(),
            },
        )
    };
    assert!(host.read(&call("load", vec![on("local")])).await.as_record().is_some());
    for other in ["db1", "LOCAL", ""] {
        assert_eq!(
            reason(&host.read(&call("load", vec![on(other)])).await),
            Some(Reason::Unavailable),
            "{other}"
        );
        assert_eq!(host.targets(&call("load", vec![on(other)])), [other]);
    }
}

#[tokio::test]
async fn a_listening_port_has_its_owner() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = i64::from(server.local_addr().unwrap().port());
    let asked = |port| call("ports.listening", vec![("port", Value::Int(port))]);
    let host = Host::new();
    let found = host.read(&asked(port)).await;
    let listener = &found.as_list().unwrap().items[0];
    assert_eq!(field(listener, "pid"), Value::Int(std::process::id().into()));
    assert_eq!(field(listener, "address"), Value::text("127.0.0.1"));
    drop(server);
    assert!(host.read(&asked(port)).await.as_list().unwrap().items.is_empty());
    assert_eq!(reason(&host.read(&asked(70_000)).await), Some(Reason::Unparsable));
}

#[tokio::test]
async fn a_busy_process_is_measured() {
    let mut busy = Command::new("/bin/sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .unwrap();
    let host = Host::new();
    let asked = call("processes.list", vec![("over", Value::Duration(SECOND / 2))]);
    let list = host.read(&asked).await;
    busy.kill().unwrap();
    busy.wait().unwrap();
    let list = list.as_list().unwrap().clone();
    let shown = list
        .items
        .iter()
        .find(|process| field(process, "pid") == Value::Int(busy.id().into()))
        .unwrap();
    assert!(
        matches!(field(shown, "cpu"), Value::Ratio(cpu) if cpu > 0.0),
        "{shown:?}"
    );
    assert_eq!(field(shown, "parent"), Value::Int(std::process::id().into()));
    assert!(matches!(field(shown, "command"), Value::Secret(_)));
    assert!(!format!("{list:?}").contains("while :"), "a command line is not shown");
}

/// A child that ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(
            Command::new("/bin/sleep")
                .arg("600")
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn process(host: &Host, pid: u32) -> Value {
    let list = host
        .read(&call("processes.list", vec![("over", Value::Duration(0))]))
        .await;
    let list = list.as_list().unwrap_or_else(|| panic!("{list:?}")).clone();
    let found = list
        .items
        .into_iter()
        .find(|process| field(process, "pid") == Value::Int(pid.into()));
    found.unwrap_or_else(|| panic!("process {pid} is not listed"))
}

fn with(process: &Value, name: &str, value: Value) -> Value {
    let record = process.as_record().unwrap();
    let fields = record
        .fields
        .iter()
        .map(|(field, old)| (&**field, if **field == *name { value.clone() } else { old.clone() }))
        .collect();
    Value::record("Process", fields)
}

fn signal(processes: Vec<Value>, word: &str) -> Call {
    call(
        "processes.signal",
        vec![("processes", Value::list(processes)), ("signal", Value::variant(word))],
    )
}

#[tokio::test]
async fn a_signal_reaches_the_process_that_was_meant_and_no_other() {
    let mut sleeper = Sleeper::new();
    let host = Host::new();
    let meant = process(&host, sleeper.0.id()).await;
    let gate = gate(Host::new());
    // The same number with another start is another process: it has ended, nobody gets the signal.
    let Value::Int(ticks) = field(&meant, "start_ticks") else {
        panic!("{meant:?}");
    };
    let earlier = with(&meant, "start_ticks", Value::Int(ticks - 1));
    assert_eq!(
        gate.change(&signal(vec![earlier], "kill")).await,
        Outcome::Done(Value::Int(0))
    );
    assert_eq!(sleeper.0.try_wait().unwrap(), None);
    let remaining = call(
        "processes.remaining",
        vec![("processes", Value::list(vec![meant.clone()]))],
    );
    assert_eq!(gate.read(&remaining).await.as_list().unwrap().items.len(), 1);
    assert_eq!(
        gate.change(&signal(vec![meant], "kill")).await,
        Outcome::Done(Value::Int(1))
    );
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(sleeper.0.wait().unwrap().signal(), Some(9));
    assert!(gate.read(&remaining).await.as_list().unwrap().items.is_empty());
}

#[tokio::test]
async fn process_one_the_engine_and_its_ancestors_are_refused_before_anything_is_sent() {
    let mut sleeper = Sleeper::new();
    let host = Host::new();
    let good = process(&host, sleeper.0.id()).await;
    let own = process(&host, std::process::id()).await;
    let Value::Int(parent) = field(&own, "parent") else {
        panic!("{own:?}");
    };
    let gate = gate(Host::new());
    for pid in [1, i64::from(std::process::id()), parent, 0, -1] {
        let bad = with(&good, "pid", Value::Int(pid));
        let refused = gate.change(&signal(vec![good.clone(), bad], "kill")).await;
        assert!(matches!(refused, Outcome::Failed(_)), "{pid}: {refused:?}");
    }
    let cut = Value::List(Arc::new(List {
        items: vec![good.clone()],
        truncated: true,
    }));
    let cut = call(
        "processes.signal",
        vec![("processes", cut), ("signal", Value::variant("kill"))],
    );
    assert!(matches!(gate.change(&cut).await, Outcome::Failed(_)));
    assert!(matches!(gate.change(&signal(vec![], "kill")).await, Outcome::Failed(_)));
    assert!(matches!(
        gate.change(&signal(vec![good.clone()], "explode")).await,
        Outcome::Failed(_)
    ));
    let elsewhere = with(
        &good,
        "on",
        Value::Resource {
            kind: "Host".into(),
            name: "db1".into(),
        },
    );
    assert!(matches!(
        gate.change(&signal(vec![elsewhere], "kill")).await,
        Outcome::Failed(_)
    ));
    assert_eq!(sleeper.0.try_wait().unwrap(), None);
}

#[tokio::test]
async fn a_zombie_is_listed_with_its_parent() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let host = Host::new();
    let pid = Value::Int(child.id().into());
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let zombie = loop {
        let list = host
            .read(&call(
                "processes.list",
                vec![("state", Value::variant("zombie")), ("over", Value::Duration(0))],
            ))
            .await;
        let found = list
            .as_list()
            .unwrap()
            .items
            .iter()
            .find(|process| field(process, "pid") == pid)
            .cloned();
        if let Some(found) = found {
            break found;
        }
        assert!(std::time::Instant::now() < deadline, "no zombie was seen");
        tokio::task::yield_now().await;
    };
    assert_eq!(field(&zombie, "parent"), Value::Int(std::process::id().into()));
    assert!(matches!(field(&zombie, "parent_name"), Value::Text(name) if !name.is_empty()));
    assert_eq!(reason(&field(&zombie, "cpu")), Some(Reason::Unavailable));
    child.wait().unwrap();
}

/// A folder that looks like a small machine.
fn small_machine(root: &Path) -> Machine {
    let write = |path: &str, text: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("proc/uptime", b"1000.00 900.00\n");
    write("proc/loadavg", b"0.10 0.20 0.30 1/100 42\n");
    write(
        "proc/stat",
        b"cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nbtime 1700000000\n",
    );
    write("proc/vmstat", b"oom_kill 3\npswpin 1\npswpout 1\n");
    write(
        "proc/1/stat",
        b"1 (init) S 0 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 5 0 10\n",
    );
    write(
        "proc/7/stat",
        b"7 (x) R 0 (\n\x1b[2J) Z 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 50 0 0\n",
    );
    write("proc/8/stat", b"8 (cut");
    write("etc/passwd", b"root:x:0:0::/:/bin/sh\n");
    std::fs::create_dir_all(root.join("dev")).unwrap();
    Machine {
        proc: root.join("proc"),
        etc: root.join("etc"),
        dev: root.join("dev"),
        run: root.join("run"),
    }
}

fn host_on(root: &Path) -> Host {
    Host {
        machine: small_machine(root),
        ..Host::new()
    }
}

#[tokio::test]
async fn a_process_that_cannot_be_read_cuts_the_list() {
    let root = tempfile::tempdir().unwrap();
    let host = host_on(root.path());
    let list = host
        .read(&call("processes.list", vec![("over", Value::Duration(0))]))
        .await;
    let list = list.as_list().unwrap();
    assert!(list.truncated, "process 8 cannot be read");
    let mut names: Vec<_> = list.items.iter().map(|process| field(process, "name")).collect();
    names.sort_by_key(|name| name.as_str().map(str::len));
    assert_eq!(names, [Value::text("init"), Value::text("x) R 0 (\n\u{1b}[2J")]);
    std::fs::remove_dir_all(root.path().join("proc/8")).unwrap();
    let list = host
        .read(&call("processes.list", vec![("over", Value::Duration(0))]))
        .await;
    assert!(!list.as_list().unwrap().truncated);
}

#[tokio::test]
async fn what_is_not_there_is_unknown_and_never_empty() {
    let root = tempfile::tempdir().unwrap();
    let host = host_on(root.path());
    for path in [
        "pressure.cpu",
        "pressure.memory",
        "pressure.io",
        "memory",
        "files.system",
        "filesystems",
        "clock",
        "units.failed",
    ] {
        let value = host.read(&call(path, vec![])).await;
        assert_eq!(reason(&value), Some(Reason::Unavailable), "{path}: {value:?}");
    }
    let ports = host.read(&call("ports.listening", vec![])).await;
    assert_eq!(reason(&ports), Some(Reason::Unavailable));
    let unit = host
        .read(&call("units.state", vec![("unit", Value::text("nginx"))]))
        .await;
    assert_eq!(reason(&unit), Some(Reason::Unavailable));
    let kills = host
        .read(&call("out_of_memory", vec![("within", Value::Duration(60 * SECOND))]))
        .await;
    assert_eq!(field(&kills, "since_boot"), Value::Int(3));
    assert_eq!(reason(&field(&kills, "victims")), Some(Reason::Unavailable));
    std::fs::write(root.path().join("proc/vmstat"), "oom_kill 0\n").unwrap();
    let kills = host
        .read(&call("out_of_memory", vec![("within", Value::Duration(60 * SECOND))]))
        .await;
    assert!(
        field(&kills, "victims")
            .as_list()
            .is_some_and(|list| list.items.is_empty() && !list.truncated)
    );
    let swapping = host.read(&call("swapping", vec![short()])).await;
    assert_eq!(reason(&swapping), Some(Reason::Unavailable));
    std::fs::remove_dir_all(root.path().join("proc")).unwrap();
    let list = host
        .read(&call("processes.list", vec![("over", Value::Duration(0))]))
        .await;
    assert_eq!(reason(&list), Some(Reason::Unavailable));
}

#[test]
fn a_log_that_does_not_reach_back_cuts_the_list_of_victims() {
    use super::numbers::{Log, victims};
    use super::parse::Killed;
    let killed = |at| Killed {
        at,
        pid: 7,
        name: "java".to_owned(),
    };
    let hour = Duration::from_secs(3600);
    let found = |oldest, killed| {
        let value = victims(&Log { oldest, killed }, 10_000.0, hour);
        let list = value.as_list().unwrap();
        (list.items.len(), list.truncated)
    };
    assert_eq!(
        found(Some(0), vec![killed(9_000_000_000), killed(1_000_000_000)]),
        (1, false)
    );
    assert_eq!(found(Some(9_500_000_000), vec![killed(9_600_000_000)]), (1, true));
    assert_eq!(found(None, vec![]), (0, true));
}

#[tokio::test]
async fn hostile_arguments_are_refused() {
    let host = Host::new();
    for name in ["", "a b", "x\ny", "-h", "$(id)", "`id`"] {
        let value = host.read(&call("dns.lookup", vec![("name", Value::text(name))])).await;
        assert_eq!(reason(&value), Some(Reason::Unparsable), "{name:?}");
    }
    for over in [-1, 0, SECOND / 1000, 61 * SECOND] {
        let value = host.read(&call("cpu", vec![("over", Value::Duration(over))])).await;
        assert_eq!(reason(&value), Some(Reason::Unparsable), "{over}");
    }
    let mut hurried = call("cpu", vec![("over", Value::Duration(SECOND))]);
    hurried.within = Duration::from_millis(1);
    assert_eq!(reason(&host.read(&hurried).await), Some(Reason::Timeout));
    let restart = |unit: &str| call("units.restart", vec![("unit", Value::text(unit))]);
    assert_eq!(host.targets(&restart("nginx")), ["local/nginx.service"]);
    assert_eq!(host.targets(&restart("*")), ["local/*"]);
    assert!(matches!(
        gate(Host::new()).change(&restart("--now")).await,
        Outcome::Failed(_)
    ));
}

#[tokio::test]
async fn doctor_says_what_cannot_be_seen() {
    let root = tempfile::tempdir().unwrap();
    let lines = host_on(root.path()).doctor().await;
    let text = format!("{lines:?}");
    assert!(
        text.contains("CONFIG_PSI") && text.contains("systemd does not run"),
        "{text}"
    );
}

#[test]
fn only_so_many_processes_and_listeners_are_in_one_reply() {
    use super::processes::{Clockwork, Seen, Snapshot, Wanted, list};
    let folder = tempfile::tempdir().unwrap();
    let machine = small_machine(folder.path());
    let clockwork = Clockwork::read(&machine).unwrap();
    let pattern = super::processes::one(&machine, 1).unwrap().unwrap();
    let most = crate::limits::HOST_PROCESSES;
    let shown = |count: usize| {
        let seen = (0..count).map(|number| {
            let mut stat = pattern.stat.clone();
            // No such folder: a process that has ended meanwhile.
            stat.pid = 1_000_000 + i64::try_from(number).unwrap();
            Seen { stat, user: 0 }
        });
        let now = Snapshot {
            seen: seen.collect(),
            incomplete: false,
            at: std::time::Instant::now(),
        };
        let value = list(&machine, None, &now, &Wanted::default(), &clockwork);
        let list = value.as_list().unwrap();
        (list.items.len(), list.truncated)
    };
    assert_eq!(shown(most), (most, false));
    assert_eq!(shown(most + 1), (most, true));

    let most = crate::limits::HOST_LISTENERS;
    let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let listening = |count: usize| {
        let lines = (0..count).map(|number| {
            format!(
                "{number:4}: 0100007F:{:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 {} 1 0000000000000000 100 0 0 10 0\n",
                number + 1,
                number + 1000
            )
        });
        let text = head.to_owned() + &lines.collect::<String>();
        std::fs::create_dir_all(machine.proc.join("net")).unwrap();
        std::fs::write(machine.proc.join("net/tcp"), text).unwrap();
        std::fs::write(machine.proc.join("net/udp"), head).unwrap();
        let value = super::ports::listening(&machine, None).unwrap();
        let list = value.as_list().unwrap();
        (list.items.len(), list.truncated)
    };
    assert_eq!(listening(most), (most, false));
    assert_eq!(listening(most + 1), (most, true));
}
