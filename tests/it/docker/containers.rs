//! Containers: what they are, what they say, what is done to them.

use super::{Host, get};
use crate::support::gated::{field, items, reason};
use starr::provider::Outcome;
use starr::value::{Reason, Value};
use std::time::{Duration, Instant};

const IDLE: &str = "trap 'exit 0' TERM; echo ready; while true; do sleep 0.1; done";

fn of(container: &Value) -> [(&'static str, Value); 1] {
    [("container", container.clone())]
}

#[tokio::test]
async fn what_runs_is_listed_by_project_and_says_what_it_uses() {
    let host = Host::shared();
    let world = host.world();
    host.container("reads-web", "reads", IDLE);
    host.container("reads-job", "reads", "exit 3");
    assert_eq!(field(&world.read("ping", &[]).await, "ok"), Value::Bool(true));
    assert!(field(&world.read("version", &[]).await, "version").as_str().is_some());
    let project = [("project", Value::text("reads"))];
    let deadline = Instant::now() + Duration::from_secs(30);
    let job = loop {
        let found = items(&world.read("containers.list", &project).await);
        assert_eq!(found.len(), 2);
        let job = found
            .iter()
            .find(|it| field(it, "name") == Value::text("reads-job"))
            .unwrap()
            .clone();
        if field(&job, "state") == Value::variant("exited") {
            break job;
        }
        assert!(Instant::now() < deadline, "{job:?}");
    };
    assert_eq!(field(&job, "exit_code"), Value::Int(3));
    assert!(matches!(field(&job, "finished"), Value::Time(_)));
    let web = get(&world, "reads-web").await;
    assert_eq!(field(&web, "state"), Value::variant("running"));
    assert_eq!(field(&web, "exit_code"), Value::None);
    assert_eq!(field(&web, "service"), Value::text("reads-web"));
    let stats = world.read("stats", &of(&web)).await;
    assert!(matches!(field(&stats, "memory"), Value::Bytes(1..)), "{stats:?}");
    assert!(
        matches!(field(&stats, "processor"), Value::Ratio(share) if (0.0..=4.0).contains(&share)),
        "{stats:?}"
    );
    for name in ["received", "sent", "disk_read", "disk_written"] {
        assert!(matches!(field(&stats, name), Value::Bytes(0..)), "{name}: {stats:?}");
    }
    let projects = items(&world.read("projects.list", &[]).await);
    let reads = projects
        .iter()
        .find(|it| field(it, "name") == Value::text("reads"))
        .unwrap();
    assert_eq!(field(reads, "containers"), Value::Int(2));
    assert_eq!(field(reads, "running"), Value::Int(1));
    assert!(!items(&world.read("networks.list", &[]).await).is_empty());
    host.podman(&["volume", "create", "reads-data"]);
    let volumes = items(&world.read("volumes.list", &[]).await);
    assert!(volumes.iter().any(|it| field(it, "name") == Value::text("reads-data")));
    let gone = get(&world, "no-such-container").await;
    assert_eq!(reason(&gone).0, Reason::Unavailable);
    let odd = get(&world, "../images/x").await;
    assert_eq!(reason(&odd).0, Reason::Unparsable);
    let cut = world
        .read("containers.list", &[project[0].clone(), ("at_most", Value::Int(1))])
        .await;
    assert!(cut.as_list().unwrap().truncated);
}

#[tokio::test]
async fn what_a_container_says_is_bounded() {
    let host = Host::shared();
    let world = host.world();
    host.container(
        "talks",
        "talk",
        "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); done; echo trouble >&2",
    );
    // 200 bytes a line.
    let long = "x".repeat(200);
    host.container(
        "shouts",
        "talk",
        &format!("i=0; while [ $i -lt 9000 ]; do echo {long}; i=$((i+1)); done; sleep 600"),
    );
    let talks = get(&world, "talks").await;
    let lines = |count: i64| [of(&talks)[0].clone(), ("lines", Value::Int(count))];
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let all = items(&world.read("logs.tail", &lines(1000)).await);
        if all.len() == 101 {
            assert_eq!(all[0], Value::text("line 0"));
            assert_eq!(all[100], Value::text("trouble"));
            break;
        }
        assert!(Instant::now() < deadline, "{all:?}");
    }
    assert_eq!(items(&world.read("logs.tail", &lines(5)).await).len(), 5);
    let most = i64::try_from(starr::limits::DOCKER_LINES).unwrap();
    assert_eq!(items(&world.read("logs.tail", &lines(most)).await).len(), 101);
    let (why, detail) = reason(&world.read("logs.tail", &lines(most + 1)).await);
    assert!(
        why == Reason::Unparsable && detail.contains("between 1 and 10000"),
        "{detail}"
    );
    let counted = world
        .read(
            "logs.count",
            &[of(&talks)[0].clone(), ("containing", Value::text("line 9"))],
        )
        .await;
    assert_eq!(field(&counted, "count"), Value::Int(11));
    let wanted = ("containing", Value::text("line 0"));
    let few = world
        .read("logs.count", &[of(&talks)[0].clone(), ("lines", Value::Int(5)), wanted])
        .await;
    assert_eq!(
        (field(&few, "count"), field(&few, "of")),
        (Value::AtLeast(0), Value::Int(5)),
        "what stands before the last lines was not counted"
    );
    let shouts = get(&world, "shouts").await;
    let all = [of(&shouts)[0].clone(), ("lines", Value::Int(10_000))];
    loop {
        let said = world.read("logs.tail", &all).await;
        if said.as_list().is_some_and(|list| list.truncated) {
            break;
        }
        assert!(Instant::now() < deadline + Duration::from_secs(30), "it is never cut");
    }
    let counted = world
        .read(
            "logs.count",
            &[
                all[0].clone(),
                ("lines", Value::Int(10_000)),
                ("containing", Value::text("xx")),
            ],
        )
        .await;
    assert!(
        matches!(field(&counted, "count"), Value::AtLeast(5000..)),
        "{counted:?}"
    );
}

#[tokio::test]
async fn orders_are_carried_out_once_and_only_on_what_was_looked_at() {
    let host = Host::shared();
    let world = host.world();
    host.container("orders", "orders", IDLE);
    let first = get(&world, "orders").await;
    let restarted = world.done("containers.restart", &of(&first)).await;
    assert_eq!(field(&restarted, "state"), Value::variant("running"));
    assert_ne!(field(&restarted, "started"), field(&first, "started"));
    // The same order again, from the same look: it has begun anew, and is left alone.
    let again = world.done("containers.restart", &of(&first)).await;
    assert_eq!(field(&again, "started"), field(&restarted, "started"));
    let (why, detail) = world.refused("containers.stop", &of(&first)).await;
    assert_eq!(why, Reason::Denied, "{detail}");
    let paused = world.done("containers.pause", &of(&restarted)).await;
    assert_eq!(field(&paused, "state"), Value::variant("paused"));
    world.done("containers.pause", &of(&restarted)).await;
    let on = world.done("containers.unpause", &of(&restarted)).await;
    assert_eq!(field(&on, "state"), Value::variant("running"));
    let stopped = world.done("containers.stop", &of(&restarted)).await;
    assert_eq!(field(&stopped, "state"), Value::variant("exited"));
    world.done("containers.stop", &of(&restarted)).await;
    // The undo.
    let back = world.done("containers.start", &of(&stopped)).await;
    assert_eq!(field(&back, "state"), Value::variant("running"));
    // And the undo of that, from the same look.
    let down = world.done("containers.stop", &of(&stopped)).await;
    assert_eq!(field(&down, "state"), Value::variant("exited"));
    let back = world.done("containers.start", &of(&down)).await;
    host.podman(&["rm", "--force", "--time", "0", "orders"]);
    host.container("orders", "orders", IDLE);
    // Another container has its name now.
    let (why, _) = world.refused("containers.restart", &of(&back)).await;
    assert_eq!(why, Reason::Unavailable);
}

#[tokio::test]
async fn programs_are_run_word_for_word_and_only_those_that_are_named() {
    let host = Host::shared();
    let world = host.world();
    host.container("runs", "runs", IDLE);
    let container = get(&world, "runs").await;
    let run = |words: &[&str]| {
        let words = words.iter().map(|word| Value::text(*word)).collect();
        [of(&container)[0].clone(), ("argv", Value::list(words))]
    };
    // This engine may forget a program as soon as it ended: its code is then unknown, and never a guess.
    let ended = async |words: &[&str], code: i64, output: &str| {
        for _ in 0..20 {
            let said = world.done("containers.exec", &run(words)).await;
            assert_eq!(field(&said, "output"), Value::text(output));
            if field(&said, "code").as_unknown().is_none() {
                assert_eq!(field(&said, "code"), Value::Int(code));
                return;
            }
        }
        panic!("the code of {words:?} was never known");
    };
    ended(&["/bin/echo", "$(id); `id`", "a b"], 0, "$(id); `id` a b\n").await;
    ended(&["/bin/false"], 1, "").await;
    let long = "x".repeat(20_000);
    for (words, reason) in [
        (&["/bin/sh", "-c", "id"][..], Reason::Denied),
        (&["echo", "x"], Reason::Denied),
        (&["/bin/echo", &long], Reason::Unparsable),
        (&[], Reason::Unparsable),
    ] {
        let (why, said) = world.refused("containers.exec", &run(words)).await;
        assert_eq!(why, reason, "{said}");
    }
    // What does not end in time may go on: nobody knows.
    let call = world.call("containers.exec", &run(&["/bin/sleep", "600"]), Duration::from_secs(15));
    let outcome = world.gate.change(&call).await;
    assert!(
        matches!(&outcome, Outcome::Unclear(why) if why.reason == Reason::Timeout),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_contract_holds_in_a_container_as_it_does_on_a_machine() {
    let host = Host::shared();
    let world = host.world();
    host.container(
        "contracts",
        "contracts",
        "mkdir -p /tmp; trap 'exit 0' TERM; while true; do sleep 0.1; done",
    );
    let container = get(&world, "contracts").await;
    let with = |program: &str, json: serde_json::Value| {
        [
            of(&container)[0].clone(),
            (
                "program",
                Value::Resource {
                    kind: "Program".into(),
                    name: program.into(),
                },
            ),
            ("with", Value::Json(std::sync::Arc::new(json))),
        ]
    };
    // This engine may forget a program as soon as it ended: then the call is unknown, and never a guess.
    let mut said = Value::None;
    for _ in 0..20 {
        said = world
            .read("containers.ask", &with("said", serde_json::json!({"a": "$(id) b"})))
            .await;
        if said.as_unknown().is_none() {
            break;
        }
    }
    assert_eq!(field(&said, "text"), Value::text("$(id) b"));
    assert_eq!(field(&said, "confined"), Value::variant("container"));
    let hyphen = world
        .read("containers.ask", &with("said", serde_json::json!({"a": "--help"})))
        .await;
    assert!(crate::support::gated::reason(&hyphen).1.contains("hyphen"));
    let change = world
        .read("containers.ask", &with("touch", serde_json::json!({"a": "x"})))
        .await;
    assert!(crate::support::gated::reason(&change).1.contains("changes something"));
    world
        .refused("containers.run", &with("said", serde_json::json!({"a": "x"})))
        .await;
    world
        .refused("containers.run", &with("nobody", serde_json::json!({})))
        .await;
    let outcome = world
        .change("containers.run", &with("touch", serde_json::json!({"a": "made"})))
        .await;
    assert!(matches!(outcome, Outcome::Done(_) | Outcome::Unclear(_)), "{outcome:?}");
    host.podman(&["exec", "contracts", "/bin/ls", "/tmp/made"]);
}
