//! The shipped runbook `aiwf/port-conflicts`, with the real binary: a program that somebody left running has the port, and the proxy of
//! the stack, a container of a real engine, could not start.

use super::{Host, get};
use crate::support::daemon::program;
use crate::support::desk::Desk;
use crate::support::gated::field;
use crate::support::terminal::attended;
use starr::value::Value;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/aiwf/port-conflicts.starr");

/// A program that has a port of this machine, until it is asked to end or the test is over.
struct Holder {
    child: Child,
    port: u16,
}

impl Holder {
    fn start() -> Self {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = Command::new(program("busybox"))
            .args([
                "httpd",
                "-f",
                "-p",
                &format!("127.0.0.1:{port}"),
                "-h",
                concat!(env!("CARGO_MANIFEST_DIR"), "/docs"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let holder = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nobody listens");
            std::thread::yield_now();
        }
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stack whose proxy has tried to start while another program has its port.
fn broken(project: &str) -> (Holder, Desk) {
    let holder = Holder::start();
    let host = Host::shared();
    let (label, service) = (
        format!("com.docker.compose.project={project}"),
        "com.docker.compose.service=caddy",
    );
    // The name by which the system knows the program is that of its file.
    let script = format!(
        "cp /bin/busybox /bin/caddy; exec -a httpd /bin/caddy -f -p 127.0.0.1:{} -h /bin",
        holder.port
    );
    host.podman(&[
        "run",
        "--detach",
        "--name",
        project,
        "--net",
        "host",
        "--label",
        &label,
        "--label",
        service,
        "starr-test",
        "/bin/sh",
        "-c",
        &script,
    ]);
    host.podman(&["wait", project]);
    let desk = Desk::new(&format!(
        "    docker: {{ engines: {{ here: {{ socket: {} }} }} }}
    http: {{ endpoints: {{ stack: {{ url: \"http://127.0.0.1:{port}/busybox\" }} }} }}
    grants:
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
      - {{ capability: host,              effects: [read],   targets: [local] }}
      - {{ capability: host.processes,    effects: [change], targets: [local] }}
      - {{ capability: http,              effects: [read],   targets: [\"http://127.0.0.1:{port}\"] }}
",
        host.socket().display(),
        port = holder.port
    ));
    (holder, desk)
}

fn run(desk: &Desk, project: &str, port: u16) -> Command {
    let set = [
        "engine=here".to_owned(),
        format!("project={project}"),
        format!("port={port}"),
        "site=stack".to_owned(),
        "steady_for=1 s".to_owned(),
    ];
    let mut words = vec!["run", BOOK, "--answer", "reported=no"];
    for one in &set {
        words.extend(["--set", one]);
    }
    desk.command(&words)
}

#[tokio::test]
async fn a_program_that_has_the_port_is_found_ended_and_the_proxy_started() {
    let (mut holder, desk) = broken("ports-one");
    let seen = attended(run(&desk, "ports-one", holder.port), 0, move |person| {
        person.approve("Ask processes to end: 1");
        // It ends by itself: whoever started it sees how.
        let how = holder.child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&how), Some(15), "{how}");
        person.approve("Start caddy");
        person.wait_for("Who started the other program");
        person.wait_for("may be empty");
        person.answer("the old engine, started by hand");
    })
    .await;
    assert!(seen.contains("RESOLVED"), "{seen}");
    let now = get(&Host::shared().world(), "ports-one").await;
    assert_eq!(field(&now, "state"), Value::variant("running"));
    desk.reported(&[
        "by_a_process",
        "A program that is no web server's service has port",
        "not_started",
        "Start caddy",
        "busybox",
        "the old engine, started by hand",
        "resolved",
    ]);
    Host::shared().podman(&["rm", "--force", "--time", "0", "ports-one"]);
}

#[tokio::test]
async fn a_program_whose_end_is_refused_keeps_the_port() {
    let (mut holder, desk) = broken("ports-two");
    let seen = attended(run(&desk, "ports-two", holder.port), 3, |person| {
        person.refuse("it is the old stack, and somebody reads from it");
        person.pass("Who started the other program");
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert!(holder.child.try_wait().unwrap().is_none(), "it was ended");
    assert!(TcpStream::connect(("127.0.0.1", holder.port)).is_ok());
    let now = get(&Host::shared().world(), "ports-two").await;
    assert_eq!(field(&now, "state"), Value::variant("exited"));
    desk.reported(&["somebody reads from it"]);
}
