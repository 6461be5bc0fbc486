//! What the kernel refuses a program, and what it is given.

use super::{Bench, gate_of, program, why, with};
use crate::support::gated::{field, items};
use serde_json::json;
use starr::provider::{HealthState, Provider};
use starr::value::{Reason, Value};
use std::net::TcpListener;
use std::time::Duration;

#[tokio::test]
async fn files_outside_of_the_contract_are_refused_by_the_kernel() {
    let other = tempfile::tempdir().unwrap();
    let secret = other.path().join("secret");
    std::fs::write(&secret, "swordfish").unwrap();
    let text = format!("#!/bin/sh\nexec cat {}\n", secret.display());
    let write = format!("#!/bin/sh\necho changed > {} || exit 1\n", secret.display());
    let reads = format!(
        "does: read, output: text, exit: {{ no: [1] }}, confine: {{ reads: [{}] }}",
        other.path().display()
    );
    let writes = format!(
        "does: change, exit: {{ no: [1] }}, confine: {{ writes: [{}] }}",
        other.path().display()
    );
    let bench = Bench::new()
        .script("peek", "does: read, output: text, exit: { no: [1] }", &text)
        .script("read", &reads, &text)
        .script(
            "spoil",
            &reads
                .replace("does: read", "does: change")
                .replace("output: text, ", ""),
            &write,
        )
        .script("write", &writes, &write);
    let world = bench.world();
    let peeked = world.read("ask", &[program("peek")]).await;
    assert_eq!(field(&peeked, "ok"), Value::Bool(false));
    let Value::Text(errors) = field(&peeked, "errors") else {
        panic!()
    };
    assert!(errors.contains("Permission denied"), "{errors}");
    assert_eq!(field(&peeked, "confined"), Value::variant("full"));
    let read = world.read("ask", &[program("read")]).await;
    assert_eq!(field(&read, "text"), Value::text("swordfish"));
    // May be read, and not be written: nothing was done, says its own exit code.
    let (reason, _) = world.refused("run", &[program("spoil")]).await;
    assert_eq!(reason, Reason::Unavailable);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "swordfish");
    world.done("run", &[program("write")]).await;
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "changed\n");
}

#[tokio::test]
async fn without_a_word_about_it_there_is_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!("#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{port} || exit 1\n");
    let bench = Bench::new()
        .script("alone", "does: read, exit: { no: [1] }", &text)
        .script(
            "linked",
            "does: read, exit: { no: [1] }, confine: { network: true }",
            &text,
        );
    let world = bench.world();
    let alone = world.read("ask", &[program("alone")]).await;
    assert_eq!(field(&alone, "ok"), Value::Bool(false), "{alone:?}");
    let linked = world.read("ask", &[program("linked")]).await;
    assert_eq!(field(&linked, "ok"), Value::Bool(true), "{linked:?}");
    assert_eq!(bench.exec().exceptions(), ["exec `linked`: may use the network"]);
}

#[tokio::test]
async fn other_processes_are_out_of_reach() {
    let us = std::process::id();
    let bench = Bench::new()
        .script(
            "signal",
            "does: read, exit: { no: [1] }",
            &format!("#!/bin/sh\nkill -0 {us} || exit 1\n"),
        )
        .script(
            "peek",
            "does: read, exit: { no: [1] }",
            &format!("#!/bin/sh\ncat /proc/{us}/environ >/dev/null || exit 1\n"),
        )
        .script(
            "session",
            "does: read, exit: { no: [1] }",
            "#!/bin/sh\nsetsid /bin/true || exit 1\n",
        );
    let world = bench.world();
    for name in ["signal", "peek"] {
        let ran = world.read("ask", &[program(name)]).await;
        assert_eq!(field(&ran, "ok"), Value::Bool(false), "{name}: {ran:?}");
    }
    // `setsid` makes a child when it leads a group, and that child may not make a session.
    let ran = world.read("ask", &[program("session")]).await;
    let Value::Text(errors) = field(&ran, "errors") else {
        panic!()
    };
    assert!(errors.contains("not permitted"), "{ran:?}");
}

#[tokio::test]
async fn a_program_gets_words_a_declared_environment_and_no_terminal() {
    let bench = Bench::new()
        .system(
            "echo",
            "/bin/echo",
            "does: read, output: text, arguments: [-n, { name: a, type: Text, flag: --a= }]",
        )
        .system(
            "environment",
            "/usr/bin/env",
            "does: read, output: lines, environment: { MODE: test, TOKEN: { env: STARR_TEST_NO_SUCH } }",
        )
        .system(
            "variables",
            "/usr/bin/env",
            "does: read, output: lines, environment: { MODE: test }",
        )
        .system("input", "/bin/cat", "does: read, output: text");
    let world = bench.world();
    let said = world
        .read("ask", &[program("echo"), with(json!({"a": "$(id); `id` | x"}))])
        .await;
    assert_eq!(field(&said, "text"), Value::text("--a=$(id); `id` | x"));
    let variables = items(&field(&world.read("ask", &[program("variables")]).await, "lines"));
    let mut names: Vec<&str> = variables
        .iter()
        .map(|line| line.as_str().unwrap().split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["MODE", "STARR_CALL"]);
    let (reason, detail) = why(&world.read("ask", &[program("environment")]).await);
    assert!(
        reason == Reason::Unavailable && detail.contains("STARR_TEST_NO_SUCH"),
        "{detail}"
    );
    let input = world.read("ask", &[program("input")]).await;
    assert_eq!(field(&input, "text"), Value::text(""));
}

#[tokio::test]
async fn what_is_not_declared_or_not_granted_does_not_run() {
    let marker = tempfile::tempdir().unwrap();
    let writes = format!("confine: {{ writes: [{}] }}", marker.path().display());
    let touch = format!("#!/bin/sh\ntouch {}/ran\n", marker.path().display());
    let bench = Bench::new()
        .script("look", "does: read", "#!/bin/sh\n")
        .script("touch", &format!("does: change, {writes}"), &touch)
        .script("open", &format!("does: change, {writes}"), &touch)
        .system("missing", "/nonexistent/program", "does: read")
        .system("folder", "/tmp", "does: read");
    let world = bench.world();
    for (operation, name, said) in [
        ("ask", "nobody", "no program `nobody` is declared"),
        ("ask", "/bin/sh", "no program `/bin/sh` is declared"),
        ("ask", "touch", "changes something"),
        ("sample", "look", "only looks"),
        ("document", "look", "no document"),
        ("ask", "missing", "No such file"),
        ("ask", "folder", "not a file"),
    ] {
        let (_, detail) = why(&world.read(operation, &[program(name)]).await);
        assert!(detail.contains(said), "{operation} {name}: {detail}");
    }
    for (operation, name, said) in [
        ("run", "look", "only looks"),
        ("ensure", "touch", "may not be sent twice"),
    ] {
        let (_, detail) = world.refused(operation, &[program(name)]).await;
        assert!(detail.contains(said), "{operation} {name}: {detail}");
    }
    // Whoever may write a program decides what runs.
    std::fs::set_permissions(bench.path("open"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let (_, detail) = world.refused("run", &[program("open")]).await;
    assert!(detail.contains("written by everybody"), "{detail}");
    let gate = gate_of(bench.exec(), "look");
    let call = world.call("ask", &[program("touch")], Duration::from_secs(5));
    let (_, detail) = why(&gate.read(&call).await);
    assert!(detail.contains("does not grant"), "{detail}");
    assert!(!marker.path().join("ran").exists());
}

#[tokio::test]
async fn doctor_says_what_the_kernel_keeps_and_which_programs_are_there() {
    let bench =
        Bench::new()
            .script("good", "does: read", "#!/bin/sh\n")
            .system("gone", "/nonexistent/program", "does: read");
    let lines = bench.exec().doctor().await;
    let of = |subject: &str| lines.iter().find(|line| line.subject == subject).unwrap();
    assert_eq!(of("exec").state, HealthState::Good, "{lines:?}");
    assert_eq!(of("exec good").state, HealthState::Good);
    assert_eq!(of("exec gone").state, HealthState::Bad);
    assert!(Bench::new().exec_without_programs().doctor().await.is_empty());
}

impl Bench {
    fn exec_without_programs(&self) -> starr::providers::exec::Exec {
        starr::providers::exec::Exec::new(Default::default()).unwrap()
    }
}
