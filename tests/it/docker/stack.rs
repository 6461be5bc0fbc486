//! The shipped runbook `aiwf/container-wont-start`, with the real binary: a service that ended and logged why, a database that somebody stopped.

use super::{Host, get};
use crate::support::daemon::free_port;
use crate::support::desk::Desk;
use crate::support::gated::field;
use crate::support::terminal::{Terminal, attended};
use starr::value::Value;
use std::process::Command;
use std::time::Duration;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/aiwf/container-wont-start.starr");

/// A stack of a service, which ends at its first start and serves at the second, and its database.
struct Stack {
    project: &'static str,
    desk: Desk,
}

impl Stack {
    fn new(project: &'static str) -> Self {
        let host = Host::shared();
        let port = free_port();
        let database = format!("{project}-database");
        let waits = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
        host.container_with(&database, project, "database", &[], waits);
        let script = format!(
            "if [ -e /tried ]; then exec httpd -f -p 127.0.0.1:{port} -h /bin; fi; touch /tried; echo 'ERROR: the settings cannot be read' >&2; exit 1"
        );
        let (label, service) = (
            format!("com.docker.compose.project={project}"),
            "com.docker.compose.service=api",
        );
        let mut words = vec!["run", "--detach", "--name", project, "--net", "host"];
        words.extend([
            "--label",
            &label,
            "--label",
            service,
            "starr-test",
            "/bin/sh",
            "-c",
            &script,
        ]);
        host.podman(&words);
        host.podman(&["wait", project]);
        let desk = Desk::new(&format!(
            "    docker: {{ engines: {{ here: {{ socket: {} }} }} }}
    http: {{ endpoints: {{ stack: {{ url: \"http://127.0.0.1:{port}/busybox\" }} }} }}
    grants:
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
      - {{ capability: http,              effects: [read],   targets: [\"http://127.0.0.1:{port}\"] }}
",
            host.socket().display(),
        ));
        Self { project, desk }
    }

    fn run(&self) -> Command {
        let project = format!("project={}", self.project);
        let words = ["run", BOOK, "--set", "engine=here", "--set", "health=stack"];
        let more = ["--set", &project, "--answer", "changed=no"];
        self.desk.command(&[&words[..], &more].concat())
    }

    /// In which state a container of it is.
    async fn state(&self, name: &str) -> Value {
        field(&get(&Host::shared().world(), name).await, "state")
    }

    fn over(&self) {
        let database = format!("{}-database", self.project);
        Host::shared().podman(&["rm", "--force", "--time", "0", self.project, &database]);
    }
}

/// The operator says nothing about what was changed.
fn pass(person: &mut Terminal) {
    person.pass("What was changed before it stopped?");
}

#[tokio::test]
async fn a_service_that_ended_is_started_again_with_its_last_lines_beside_the_decision() {
    let stack = Stack::new("stack-one");
    let seen = attended(stack.run(), 0, |person| {
        person.wait_for("Approval needed: Start api again, and see whether it ends again");
        person.wait_for("ERROR: the settings cannot be read");
        person.wait_for("Approve?");
        person.answer("yes");
        // It must run for half a minute, and then the goal hold for one.
        person.wait_within("RESOLVED", Duration::from_secs(180));
        pass(person);
    })
    .await;
    assert!(seen.contains("at_fault"), "{seen}");
    assert_eq!(stack.state("stack-one").await, Value::variant("running"));
    stack.desk.reported(&[
        "at_fault",
        "ERROR: the settings cannot be read",
        "reply.ok: no, refused; then reply.ok: yes, answered, status 200",
        "Reached: yes.",
    ]);
    stack.over();
}

#[tokio::test]
async fn a_database_that_was_stopped_is_started_and_the_service_behind_it_refused() {
    let stack = Stack::new("stack-two");
    let database = "stack-two-database";
    Host::shared().podman(&["stop", "--time", "5", database]);
    let seen = attended(stack.run(), 3, |person| {
        person.approve("Start database");
        person.wait_for("Approval needed: Start api again");
        person.refuse("its settings are mended first");
        pass(person);
    })
    .await;
    assert!(seen.contains("no_database") && seen.contains("REFUSED"), "{seen}");
    assert_eq!(stack.state(database).await, Value::variant("running"));
    assert_eq!(stack.state("stack-two").await, Value::variant("exited"));
    stack
        .desk
        .reported(&["Start database", "its settings are mended first"]);
    stack.over();
}
