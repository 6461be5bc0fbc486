//! Compose projects as a whole, and what is left over: networks, volumes, images.

use super::registry::Registry;
use super::{Host, at, get};
use crate::support::gated::{Gated, field, items, reason};
use starr::provider::Outcome;
use starr::value::{Reason, Value};
use std::time::Duration;

const IDLE: &str = "trap 'exit 0' TERM; echo ready; while true; do sleep 0.1; done";

/// A project of a web service that needs a store and a cache, which the store needs too.
fn project(host: &Host, name: &str) {
    for (service, needs) in [
        ("web", "store:service_healthy:false,cache:service_started:true"),
        ("store", "cache:service_started:false"),
        ("cache", ""),
    ] {
        let label = format!("com.docker.compose.depends_on={needs}");
        host.container_with(&format!("{name}-{service}"), name, service, &["--label", &label], IDLE);
    }
}

async fn containers(world: &Gated, project: &str) -> Vec<Value> {
    items(
        &world
            .read("containers.list", &[("project", Value::text(project))])
            .await,
    )
}

fn all(containers: &[Value]) -> [(&'static str, Value); 1] {
    [("containers", Value::list(containers.to_vec()))]
}

/// changed, already so, already gone, moved on
fn counts(handled: &Value) -> [i64; 4] {
    ["changed", "already_so", "already_gone", "moved_on"].map(|name| match field(handled, name) {
        Value::Int(count) => count,
        other => panic!("{other:?}"),
    })
}

fn states(containers: &[Value]) -> Vec<Value> {
    containers.iter().map(|container| field(container, "state")).collect()
}

/// The services of a project by the moment of `what`, earliest first.
fn by_time(containers: &[Value], what: &str) -> Vec<String> {
    let mut order: Vec<_> = containers
        .iter()
        .map(
            |container| match (field(container, what), field(container, "service")) {
                (Value::Time(time), service) => (time, service.as_str().unwrap().to_owned()),
                other => panic!("{other:?}"),
            },
        )
        .collect();
    order.sort();
    order.into_iter().map(|(_, service)| service).collect()
}

#[tokio::test]
async fn a_project_goes_down_and_up_in_the_order_of_its_needs() {
    let host = Host::shared();
    let world = host.world();
    project(host, "whole");
    let first = containers(&world, "whole").await;
    assert_eq!(first.len(), 3);
    let handled = world.done("projects.stop", &all(&first)).await;
    assert_eq!(counts(&handled), [3, 0, 0, 0]);
    let stopped = containers(&world, "whole").await;
    assert_eq!(states(&stopped), vec![Value::variant("exited"); 3]);
    assert_eq!(by_time(&stopped, "finished"), ["web", "store", "cache"]);
    // The same order twice is one.
    let handled = world.done("projects.stop", &all(&first)).await;
    assert_eq!(counts(&handled), [0, 3, 0, 0]);
    let handled = world.done("projects.start", &all(&stopped)).await;
    assert_eq!(counts(&handled), [3, 0, 0, 0]);
    let running = containers(&world, "whole").await;
    assert_eq!(states(&running), vec![Value::variant("running"); 3]);
    assert_eq!(by_time(&running, "started"), ["cache", "store", "web"]);
    assert_eq!(
        counts(&world.done("projects.start", &all(&stopped)).await),
        [0, 3, 0, 0]
    );
    // From the first look they have begun anew: whoever wanted them stopped then does not mean these.
    assert_eq!(counts(&world.done("projects.stop", &all(&first)).await), [0, 0, 0, 3]);
    // Taking the start back, from the look before it.
    assert_eq!(
        counts(&world.done("projects.restore", &all(&stopped)).await),
        [3, 0, 0, 0]
    );
    assert_eq!(
        states(&containers(&world, "whole").await),
        vec![Value::variant("exited"); 3]
    );
    // Taking the first stop back.
    assert_eq!(
        counts(&world.done("projects.restore", &all(&first)).await),
        [3, 0, 0, 0]
    );
    assert_eq!(
        states(&containers(&world, "whole").await),
        vec![Value::variant("running"); 3]
    );
    assert_eq!(
        counts(&world.done("projects.restore", &all(&first)).await),
        [0, 3, 0, 0]
    );
}

#[tokio::test]
async fn a_project_is_taken_down_and_what_was_made_anew_stays() {
    let host = Host::shared();
    let world = host.world();
    project(host, "gone");
    host.podman(&[
        "volume",
        "create",
        "--label",
        "com.docker.compose.project=gone",
        "gone-data",
    ]);
    let seen = containers(&world, "gone").await;
    // One is made anew under its name, one begins anew.
    host.podman(&["rm", "--force", "--time", "0", "gone-cache"]);
    host.container_with("gone-cache", "gone", "cache", &[], IDLE);
    host.podman(&["restart", "--time", "0", "gone-store"]);
    let handled = world.done("projects.remove", &all(&seen)).await;
    assert_eq!(counts(&handled), [1, 0, 1, 1]);
    let left = containers(&world, "gone").await;
    assert_eq!(left.len(), 2);
    let handled = world.done("projects.remove", &all(&left)).await;
    assert_eq!(counts(&handled), [2, 0, 0, 0]);
    assert!(containers(&world, "gone").await.is_empty());
    assert_eq!(counts(&world.done("projects.remove", &all(&left)).await), [0, 0, 2, 0]);
    let volumes = items(&world.read("volumes.list", &[]).await);
    assert!(
        volumes
            .iter()
            .any(|volume| field(volume, "project") == Value::text("gone")),
        "what was written is gone: {volumes:?}"
    );
}

#[tokio::test]
async fn only_containers_that_do_not_run_are_cleared_away() {
    let host = Host::shared();
    let world = host.world();
    for (service, script) in [("done", "exit 0"), ("again", "exit 0"), ("runs", IDLE)] {
        host.container_with(&format!("left-{service}"), "left", service, &[], script);
    }
    host.podman(&["wait", "left-done", "left-again"]);
    let seen = containers(&world, "left").await;
    // It was begun once more since.
    host.podman(&["start", "--attach", "left-again"]);
    let handled = world.done("containers.remove", &all(&seen)).await;
    assert_eq!(counts(&handled), [1, 0, 0, 2]);
    assert_eq!(reason(&get(&world, "left-done").await).0, Reason::Unavailable);
    assert_eq!(
        field(&get(&world, "left-runs").await, "state"),
        Value::variant("running")
    );
    // A list that was cut sends nothing.
    let cut = world
        .read(
            "containers.list",
            &[("project", Value::text("left")), ("at_most", Value::Int(1))],
        )
        .await;
    let (why, _) = world.refused("containers.remove", &[("containers", cut)]).await;
    assert_eq!(why, Reason::Truncated);
    assert_eq!(containers(&world, "left").await.len(), 2);
}

#[tokio::test]
async fn a_list_has_only_so_many_containers() {
    let world = Host::shared().world();
    let most = i64::try_from(starr::limits::DOCKER_TOGETHER).unwrap();
    let list = async |at_most: i64| world.read("containers.list", &[("at_most", Value::Int(at_most))]).await;
    assert!(list(most).await.as_list().is_some());
    let (why, detail) = reason(&list(most + 1).await);
    assert!(
        why == Reason::Unparsable && detail.contains("between 1 and 500"),
        "{detail}"
    );
}

#[tokio::test]
async fn networks_and_volumes_are_removed_while_nobody_uses_them() {
    let host = Host::shared();
    let world = host.world();
    host.podman(&["network", "create", "spare-net"]);
    for name in ["spare-one", "spare-two", "spare-used"] {
        host.podman(&["volume", "create", name]);
    }
    host.container_with("spare-holds", "spare", "holds", &["--volume", "spare-used:/data"], IDLE);
    let networks = items(&world.read("networks.list", &[]).await);
    let spare: Vec<Value> = networks
        .into_iter()
        .filter(|network| field(network, "name") == Value::text("spare-net"))
        .collect();
    assert_eq!(spare.len(), 1);
    let networks = [("networks", Value::list(spare))];
    assert_eq!(counts(&world.done("networks.remove", &networks).await), [1, 0, 0, 0]);
    assert_eq!(counts(&world.done("networks.remove", &networks).await), [0, 0, 1, 0]);
    let volumes = items(&world.read("volumes.list", &[]).await);
    let of = |name: &str| {
        let wanted = Value::text(name);
        volumes
            .iter()
            .find(|volume| field(volume, "name") == wanted)
            .unwrap()
            .clone()
    };
    assert!(matches!(field(&of("spare-one"), "created"), Value::Time(_)));
    // One of them is another one by now.
    host.podman(&["volume", "rm", "spare-two"]);
    let before = field(&of("spare-two"), "created");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        host.podman(&["volume", "create", "spare-two"]);
        let now = items(&world.read("volumes.list", &[]).await);
        let made = now
            .iter()
            .find(|volume| field(volume, "name") == Value::text("spare-two"))
            .map(|volume| field(volume, "created"));
        if made != Some(before.clone()) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "it is never made anew");
        host.podman(&["volume", "rm", "spare-two"]);
    }
    let two = [("volumes", Value::list(vec![of("spare-one"), of("spare-two")]))];
    assert_eq!(counts(&world.done("volumes.remove", &two).await), [1, 0, 0, 1]);
    // The engine refuses what is used; what was removed before it is not undone by that.
    let used = [("volumes", Value::list(vec![of("spare-used")]))];
    let (_, detail) = world.refused("volumes.remove", &used).await;
    assert!(detail.contains("status 4"), "{detail}");
    assert!(host.podman(&["volume", "ls", "--quiet"]).contains("spare-used"));
}

#[tokio::test]
async fn an_image_is_fetched_listed_and_removed() {
    let host = Host::shared();
    let world = host.world();
    let registry = Registry::start().await;
    let name = registry.image("shop/api:v1");
    let pulled = world.done("images.pull", &[("name", Value::text(name.as_str()))]).await;
    assert_eq!(field(&pulled, "names"), Value::list(vec![Value::text(name.as_str())]));
    let again = world.done("images.pull", &[("name", Value::text(name.as_str()))]).await;
    assert_eq!(field(&again, "id"), field(&pulled, "id"));
    let listed = items(&world.read("images.list", &[("dangling", Value::Bool(false))]).await);
    let ours: Vec<Value> = listed
        .into_iter()
        .filter(|image| field(image, "id") == field(&pulled, "id"))
        .collect();
    assert_eq!(ours.len(), 1);
    assert!(matches!(field(&ours[0], "size"), Value::Bytes(1..)), "{ours:?}");
    let images = [("images", Value::list(ours))];
    assert_eq!(counts(&world.done("images.remove", &images).await), [1, 0, 0, 0]);
    assert_eq!(counts(&world.done("images.remove", &images).await), [0, 0, 1, 0]);
    // What is not there, and what would be everything of a name.
    let missing = registry.image("shop/none:v1");
    let outcome = world.change("images.pull", &[("name", Value::text(missing))]).await;
    assert!(!matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let (why, _) = world
        .refused("images.pull", &[("name", Value::text(registry.image("shop/api")))])
        .await;
    assert_eq!(why, Reason::Unparsable);
    // The image that containers run is refused by the engine.
    host.container("image-user", "image-user", IDLE);
    let used: Vec<Value> = items(&world.read("images.list", &[]).await)
        .into_iter()
        .filter(|image| format!("{:?}", field(image, "names")).contains("starr-test"))
        .collect();
    assert_eq!(used.len(), 1);
    world.refused("images.remove", &[("images", Value::list(used))]).await;
}

#[tokio::test]
async fn an_image_behind_a_login_is_fetched_with_the_login_of_its_registry() {
    let host = Host::shared();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "tell-nobody-4711\n").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let registry = Registry::asking_for(Some("puller:tell-nobody-4711")).await;
    let name = registry.image("shop/api:v1");
    let image = [("name", Value::text(name.as_str()))];
    let engine = |registries: &str| at(&format!("{{ socket: {}{registries} }}", host.socket().display()));
    let login = |host: &str, user: &str| {
        format!(
            ", registries: {{ '{host}': {{ user: {user}, password: {{ file: {} }} }} }}",
            password.display()
        )
    };
    // Without a login, with that of another registry, and with a wrong one, the registry says no, and no word tells the password.
    for registries in [
        String::new(),
        login("registry.example.org", "puller"),
        login(registry.host(), "somebody"),
    ] {
        let outcome = engine(&registries).change("images.pull", &image).await;
        assert!(!matches!(outcome, Outcome::Done(_)), "{registries}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains("4711"), "{outcome:?}");
    }
    let world = engine(&login(registry.host(), "puller"));
    let pulled = world.done("images.pull", &image).await;
    assert_eq!(field(&pulled, "names"), Value::list(vec![Value::text(name.as_str())]));
    world
        .done("images.remove", &[("images", Value::list(vec![pulled]))])
        .await;
    // A password that cannot be read is said before anything is sent.
    std::fs::remove_file(&password).unwrap();
    let (why, detail) = world.refused("images.pull", &image).await;
    assert_eq!(why, Reason::Unavailable);
    assert!(detail.contains("the password for the registry"), "{detail}");
}

#[tokio::test]
async fn one_call_is_for_one_engine() {
    let world = at("{ socket: /no/such/socket }");
    let container = |engine: &str| {
        let fields = vec![("engine", Value::text(engine)), ("id", Value::text("abc"))];
        Value::record("Container", fields)
    };
    let two = [("containers", Value::list(vec![container("here"), container("there")]))];
    let (why, detail) = world.refused("projects.stop", &two).await;
    assert!(why == Reason::Unparsable && detail.contains("several"), "{detail}");
    // Nothing to do needs no engine.
    assert_eq!(counts(&world.done("projects.stop", &all(&[])).await), [0, 0, 0, 0]);
    let one = [("containers", Value::list(vec![container("here")]))];
    let (why, _) = world.refused("projects.stop", &one).await;
    assert_eq!(why, Reason::Unreachable);
}
