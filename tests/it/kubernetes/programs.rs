//! Programs in containers: word for word, only those that the environment names, once, and nothing claimed that was not seen.

use super::server::Server;
use super::world::{Ban, World};
use super::{call, done, field, gate, gate_of, provider, read, text};
use serde_json::json;
use starr::provider::Outcome;
use starr::provider::gate::Gate;
use starr::value::{Reason, Value};
use std::time::Duration;

const ALLOWED: &str = ", programs: [/usr/bin/pg_isready, /bin/sync]";
const POD: &str = "/api/v1/namespaces/shop/pods/db-0";

async fn shop() -> (Server, Gate, Value) {
    let mut world = World::new();
    world.put(
        POD,
        json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"labels": {"app": "db"}},
               "spec": {"nodeName": "node-a", "containers": [{"name": "db", "image": "x"}, {"name": "side", "image": "y"}]},
               "status": {"phase": "Running"}}),
    );
    let server = Server::start(world).await;
    let gate = gate_of(provider(&server.address, ALLOWED));
    let pod = read(&gate, "pods.list", &[]).await.as_list().unwrap().items[0].clone();
    (server, gate, pod)
}

async fn exec(gate: &Gate, pod: &Value, words: &[&str], container: Option<&str>, within: u64) -> Outcome {
    let mut call = call(
        "pods.exec",
        &[
            ("pod", pod.clone()),
            (
                "argv",
                Value::list(words.iter().map(|word| Value::text(*word)).collect()),
            ),
            ("container", container.map_or(Value::None, Value::text)),
        ],
    );
    call.within = Duration::from_secs(within);
    gate.change(&call).await
}

fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed(unknown) => unknown.to_string(),
        other => panic!("not failed: {other:?}"),
    }
}

#[tokio::test]
async fn a_program_runs_word_for_word_and_its_end_is_seen() {
    let (server, gate, pod) = shop().await;
    let words = ["/usr/bin/pg_isready", "-d", "a b; rm -rf /"];
    server.world().programs.insert(
        words.join(" "),
        ("accepting\n".to_owned(), "a warning\n".to_owned(), Some(3)),
    );
    let ran = done(exec(&gate, &pod, &words, Some("db"), 20).await);
    assert_eq!(field(&ran, "code"), Value::Int(3));
    assert_eq!(
        (text(&ran, "output"), text(&ran, "errors")),
        ("accepting\n".into(), "a warning\n".into())
    );
    assert_eq!(field(&ran, "cut"), Value::Bool(false));
    let request = server.world().requests.last().unwrap().clone();
    assert_eq!(request.path, format!("{POD}/exec"));
    assert_eq!(request.all("command"), words);
    assert_eq!(request.asks("container"), Some("db"));
    assert_eq!((request.asks("stdin"), request.asks("tty")), (None, None));
    server
        .world()
        .programs
        .insert("/bin/sync".to_owned(), (String::new(), String::new(), Some(0)));
    let ran = done(exec(&gate, &pod, &["/bin/sync"], Some("db"), 20).await);
    assert_eq!(field(&ran, "code"), Value::Int(0));
}

#[tokio::test]
async fn what_the_environment_does_not_name_is_not_sent() {
    let (server, gate, pod) = shop().await;
    let sent = server.world().seen.len();
    for words in [
        &["/bin/sh", "-c", "true"][..],
        &["pg_isready"],
        &[""],
        &["/bin/sync\0"],
        &[],
    ] {
        failed(exec(&gate, &pod, words, Some("db"), 20).await);
    }
    let long = "x".repeat(20_000);
    failed(exec(&gate, &pod, &["/bin/sync", &long], Some("db"), 20).await);
    assert_eq!(server.world().seen.len(), sent, "nothing was sent");
    let why = failed(exec(&super::gate(&server.address), &pod, &["/bin/sync"], Some("db"), 20).await);
    assert!(why.contains("not among the `programs`"), "{why}");
}

#[tokio::test]
async fn the_pod_and_the_container_must_be_those_that_are_meant() {
    let (server, gate, pod) = shop().await;
    let why = failed(exec(&gate, &pod, &["/bin/sync"], None, 20).await);
    assert!(why.contains("2 containers"), "{why}");
    let why = failed(exec(&gate, &pod, &["/bin/sync"], Some("web"), 20).await);
    assert!(why.contains("no container of this name"), "{why}");
    server.world().bans.push(Ban {
        user: "admin",
        verb: "create",
        resource: "pods",
    });
    let why = failed(exec(&gate, &pod, &["/bin/sync"], Some("db"), 20).await);
    assert!(why.contains("cannot create resource \"pods/exec\""), "{why}");
    server.world().bans.clear();
    let again = server.world().object(POD).clone();
    server.world().objects.remove(POD);
    let mut again = again;
    again["metadata"]["uid"] = "another".into();
    server.world().put(POD, again);
    let why = failed(exec(&gate, &pod, &["/bin/sync"], Some("db"), 20).await);
    assert!(why.contains("another object"), "{why}");
    let ran = server
        .world()
        .seen
        .iter()
        .filter(|line| line.ends_with("/exec"))
        .count();
    assert_eq!(ran, 1, "only the one that was refused");
}

#[tokio::test]
async fn a_program_that_does_not_end_or_says_too_much_is_not_known_to_have_ended() {
    let (server, gate, pod) = shop().await;
    server
        .world()
        .programs
        .insert("/bin/sync".to_owned(), ("begun\n".to_owned(), String::new(), None));
    match exec(&gate, &pod, &["/bin/sync"], Some("db"), 2).await {
        Outcome::Unclear(unknown) => assert_eq!(unknown.reason, Reason::Timeout),
        other => panic!("{other:?}"),
    }
    let much = "0123456789abcdef".repeat(80_000);
    server
        .world()
        .programs
        .insert("/bin/sync".to_owned(), (much, String::new(), Some(0)));
    let ran = done(exec(&gate, &pod, &["/bin/sync"], Some("db"), 20).await);
    assert_eq!(field(&ran, "cut"), Value::Bool(true));
    assert!(field(&ran, "code").as_unknown().is_some());
    assert_eq!(text(&ran, "output").len(), 1024 * 1024);
}

const CONTRACTS: &str = ", contracts: { ready: { program: /usr/bin/pg_isready, does: read, exit: { ok: [0], no: [1, 2] }, \
     arguments: ['-d', { name: database, type: Text }] }, flush: { program: /bin/sync, does: change, exit: { ok: [0], no: [4] } } }";

/// One contract, wherever the program runs: the same words, the same meaning of its exit codes.
#[tokio::test]
async fn a_contract_says_what_a_program_means() {
    let (server, _, pod) = shop().await;
    let gate = gate_of(provider(&server.address, CONTRACTS));
    let named = |name: &str| Value::Resource {
        kind: "Program".into(),
        name: name.into(),
    };
    let with = Value::Json(std::sync::Arc::new(json!({"database": "orders"})));
    let given = [
        ("pod", pod.clone()),
        ("program", named("ready")),
        ("with", with.clone()),
        ("container", Value::text("db")),
    ];
    let words = "/usr/bin/pg_isready -d orders".to_owned();
    for (code, ok) in [(0, Some(true)), (2, Some(false)), (3, None)] {
        server
            .world()
            .programs
            .insert(words.clone(), ("said\n".to_owned(), String::new(), Some(code)));
        let ran = read(&gate, "pods.ask", &given).await;
        match ok {
            Some(ok) => {
                assert_eq!(field(&ran, "ok"), Value::Bool(ok));
                assert_eq!(field(&ran, "confined"), Value::variant("container"));
            }
            None => assert!(ran.as_unknown().unwrap().detail.contains("exit code 3"), "{ran:?}"),
        }
    }
    // What is declared as a check changes nothing, and the other way round.
    let sent = server.world().seen.len();
    let why = failed(gate.change(&call("pods.run", &given)).await);
    assert!(why.contains("only looks"), "{why}");
    let order = [
        ("pod", pod.clone()),
        ("program", named("flush")),
        ("container", Value::text("db")),
    ];
    assert!(read(&gate, "pods.ask", &order).await.as_unknown().is_some());
    let unknown = [("pod", pod.clone()), ("program", named("other"))];
    let why = failed(gate.change(&call("pods.run", &unknown)).await);
    assert!(why.contains("no contract `other`"), "{why}");
    assert_eq!(server.world().seen.len(), sent, "nothing was sent");
    for (code, done) in [(0, Some(true)), (4, Some(false)), (1, None)] {
        server
            .world()
            .programs
            .insert("/bin/sync".to_owned(), (String::new(), String::new(), Some(code)));
        match (gate.change(&call("pods.run", &order)).await, done) {
            (Outcome::Done(_), Some(true)) | (Outcome::Failed(_), Some(false)) | (Outcome::Unclear(_), None) => {}
            (outcome, _) => panic!("{code}: {outcome:?}"),
        }
    }
}

/// Secrets that are made belong to whoever made them, once.
#[tokio::test]
async fn a_secret_is_made_once_and_deleted_only_while_it_is_that_one() {
    let server = Server::start(World::new()).await;
    let gate = gate(&server.address);
    let given = |name: &'static str| {
        [
            ("name", Value::text(name)),
            ("key", Value::text("token")),
            ("to", Value::Secret(starr::value::Secret::new(Value::text("canary-8")))),
        ]
    };
    let made = done(gate.change(&call("secrets.create", &given("api"))).await);
    assert_eq!(text(&made, "name"), "api");
    let path = "/api/v1/namespaces/shop/secrets/api";
    assert_eq!(server.world().object(path)["data"]["token"], "Y2FuYXJ5LTg=");
    // The same call again has made it; another one has not.
    done(gate.change(&call("secrets.create", &given("api"))).await);
    let mut other = call("secrets.create", &given("api"));
    other.key = Some("another-key".into());
    let why = failed(gate.change(&other).await);
    assert!(why.contains("there already") && !why.contains("canary"), "{why}");
    let mut old = server.world().object(path).clone();
    old["metadata"]["uid"] = "another".into();
    server.world().put(path, old);
    let gone = done(gate.change(&call("secrets.delete", &[("secret", made)])).await);
    assert_eq!(field(&gone, "already_gone"), Value::Int(1));
    let now = read(&gate, "secrets.get", &[("name", Value::text("api"))]).await;
    let gone = done(gate.change(&call("secrets.delete", &[("secret", now)])).await);
    assert_eq!(field(&gone, "deleted"), Value::Int(1));
    assert!(!server.world().objects.contains_key(path));
}
