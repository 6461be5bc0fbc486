//! The roles that `starr grants --to rbac` prints are enough, and every rule in them is needed: the server enforces them.

use super::incident::{BOOK, Desk};
use super::server::Server;
use super::world::{Rule, World};
use super::{deployment, field, gate_of, operations, provider, read, resource};
use crate::support::desk::on_a_thread;
use crate::support::terminal::{Terminal, attended};
use serde_json::Value as Json;
use starr::provider::Provider;
use starr::provider::native::Use;
use starr::value::Value;
use std::collections::BTreeMap;

const ACTING: &str = ", read_as: { user: starr-viewer }, change_as: { user: starr-changer, groups: [operators] }";

/// What the documents give to whom.
fn granted(documents: &str) -> BTreeMap<String, Vec<Rule>> {
    let documents: Vec<Json> = documents
        .split("---\n")
        .map(|text| serde_yaml::from_str::<Json>(text).unwrap_or_else(|problem| panic!("{problem}:\n{text}")))
        .collect();
    let text = |object: &Json, pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {object}"))
            .to_owned()
    };
    let texts = |value: &Json| -> Vec<String> {
        let list = value.as_array().cloned().unwrap_or_default();
        list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let mut granted: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
    for binding in documents.iter().filter(|of| text(of, "/kind").ends_with("RoleBinding")) {
        let namespace = binding
            .pointer("/metadata/namespace")
            .and_then(Json::as_str)
            .map(str::to_owned);
        let role = documents
            .iter()
            .find(|of| {
                text(of, "/kind") == text(binding, "/roleRef/kind")
                    && text(of, "/metadata/name") == text(binding, "/roleRef/name")
                    && of.pointer("/metadata/namespace").and_then(Json::as_str) == namespace.as_deref()
            })
            .expect("every binding has its role");
        for rule in role["rules"].as_array().unwrap() {
            for resource in texts(&rule["resources"]) {
                granted
                    .entry(text(binding, "/subjects/0/name"))
                    .or_default()
                    .push(Rule {
                        namespace: namespace.clone(),
                        group: texts(&rule["apiGroups"]).remove(0),
                        resource,
                        names: texts(&rule["resourceNames"]),
                        verbs: texts(&rule["verbs"]),
                    });
            }
        }
    }
    granted
}

fn printed(desk: &Desk) -> String {
    let output = desk.command(&["grants", BOOK, "--to", "rbac"]).output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{seen}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    seen
}

fn enforce(world: &mut World, granted: &BTreeMap<String, Vec<Rule>>) {
    world.rules = Some(granted.clone());
    // Whoever logs in may act as the others, and nothing else.
    world.rules.as_mut().unwrap().entry("admin".to_owned()).or_default();
}

/// The same rules without one verb on one kind of objects, for each.
fn each_without(granted: &BTreeMap<String, Vec<Rule>>) -> Vec<(String, BTreeMap<String, Vec<Rule>>)> {
    let mut all = Vec::new();
    for (user, rules) in granted {
        for (position, rule) in rules.iter().enumerate() {
            for verb in &rule.verbs {
                let mut less = granted.clone();
                less.get_mut(user).unwrap()[position]
                    .verbs
                    .retain(|known| known != verb);
                all.push((format!("{user} {verb} {}", rule.resource), less));
            }
        }
    }
    all
}

#[tokio::test]
async fn an_incident_is_resolved_with_the_printed_roles_and_every_rule_of_them_is_used() {
    let desk = Desk::with(ACTING).await;
    let documents = printed(&desk);
    // One of a kind by name, where the name is known before the run.
    assert!(
        documents.contains("resources: [deployments], resourceNames: [web], verbs: [get]"),
        "{documents}"
    );
    assert!(documents.contains("name: starr-acts-as"), "{documents}");
    assert!(!documents.contains("*"), "{documents}");
    let mut granted = granted(&documents);
    let acts_as = granted.remove("LOGIN").expect("the login itself acts as the others");
    assert_eq!(acts_as[0].names, ["starr-changer", "starr-viewer"]);
    enforce(&mut desk.server.world(), &granted);
    attended(desk.command(&["run", BOOK]), 0, |person| {
        person.wait_for("Approve?");
        person.answer("yes");
    })
    .await;
    assert_eq!(desk.image(), "shop/web:1");
    assert!(
        desk.server.world().denied.is_empty(),
        "{:?}",
        desk.server.world().denied
    );
    // Each of them was needed by something that was sent.
    let requests = std::mem::take(&mut desk.server.world().requests);
    let all = each_without(&granted);
    assert_eq!(all.len(), 8, "{documents}");
    for (what, less) in all {
        let mut world = World::new();
        enforce(&mut world, &less);
        let refused = requests
            .iter()
            .any(|request| world.would_refuse(request, request.acting_as.as_deref().unwrap_or("admin")));
        assert!(refused, "nothing needs {what}");
    }
}

#[tokio::test]
async fn one_rule_less_is_refused() {
    for (verb, resource, code) in [
        ("patch", "deployments", None),
        ("update", "leases", None),
        ("list", "pods", Some(1)),
    ] {
        let desk = Desk::with(ACTING).await;
        let mut granted = granted(&printed(&desk));
        for rules in granted.values_mut() {
            for rule in rules.iter_mut().filter(|rule| rule.resource == resource) {
                rule.verbs.retain(|known| known != verb);
            }
        }
        enforce(&mut desk.server.world(), &granted);
        let seen = match code {
            Some(code) => {
                let mut command = desk.command(&["run", BOOK, "--unattended"]);
                let output = on_a_thread(move || command.output().unwrap()).await;
                let seen = String::from_utf8_lossy(&output.stdout).into_owned();
                assert_eq!(output.status.code(), Some(code), "{seen}");
                seen
            }
            None => {
                let command = desk.command(&["run", BOOK]);
                on_a_thread(move || {
                    let mut terminal = Terminal::start(command);
                    // Without the lock nobody is asked.
                    if resource != "leases" {
                        terminal.wait_for("Approve?");
                        terminal.answer("yes");
                    }
                    assert_ne!(terminal.end(), 0, "{}", terminal.seen);
                    terminal.seen
                })
                .await
            }
        };
        assert!(!seen.contains("RESOLVED"), "{verb} {resource}: {seen}");
        assert_eq!(desk.image(), "shop/web:2-missing", "{verb} {resource}");
        let denied = desk.server.world().denied.clone();
        assert!(
            denied.iter().any(|line| line.ends_with(&format!("{verb} {resource}"))),
            "{denied:?}"
        );
    }
}

/// What the server says of itself about the printed roles.
#[tokio::test]
async fn the_server_reviews_what_the_roles_give() {
    let desk = Desk::with(ACTING).await;
    let granted = granted(&printed(&desk));
    let mut world = World::new();
    world.put(
        "/apis/apps/v1/namespaces/shop/deployments/web",
        deployment("web", "shop/web:1", 1),
    );
    enforce(&mut world, &granted);
    let server = Server::start(world).await;
    let gate = gate_of(provider(&server.address, ACTING));
    for (verb, api, resource, name, for_changes, allowed) in [
        ("patch", "apps/v1", "deployments", "web", true, true),
        ("patch", "apps/v1", "deployments", "api", true, false),
        ("patch", "apps/v1", "deployments", "web", false, false),
        ("get", "apps/v1", "deployments", "web", false, true),
        ("delete", "v1", "pods", "web-1", true, false),
        ("update", "coordination.k8s.io/v1", "leases", "starr", true, true),
        ("update", "coordination.k8s.io/v1", "leases", "release", true, false),
    ] {
        let asked = [
            ("verb", Value::text(verb)),
            ("api", Value::text(api)),
            ("resource", Value::text(resource)),
            ("name", Value::text(name)),
            ("for_changes", Value::Bool(for_changes)),
        ];
        let access = read(&gate, "access.check", &asked).await;
        assert_eq!(
            field(&access, "allowed"),
            Value::Bool(allowed),
            "{verb} {resource}/{name}"
        );
    }
}

#[tokio::test]
async fn a_login_that_is_not_known_is_left_to_whoever_knows_it() {
    let desk = Desk::with(", lock: false").await;
    let documents = printed(&desk);
    assert!(
        documents.contains("name: LOGIN }  # put the login's name in"),
        "{documents}"
    );
    assert!(!documents.contains("leases"), "{documents}");
    let all = desk.command(&["grants", BOOK]).output().unwrap();
    let all = String::from_utf8_lossy(&all.stdout).into_owned();
    assert!(
        all.contains("namespace shop: { apiGroups: [apps], resources: [deployments], resourceNames: [web], verbs: [patch] }  -- kubernetes.rollout.undo"),
        "{all}"
    );
}

/// No operation is forgotten, whatever it is called with.
#[test]
fn every_operation_says_what_it_needs() {
    let provider = provider("http://127.0.0.1:1", "");
    let used = |path: &str| {
        let operation = operations().iter().find(|operation| &*operation.path == path).unwrap();
        let known = |name: &str| match name {
            "namespace" => Some(resource("Namespace", "shop")),
            "cluster" => Some(resource("Cluster", "c")),
            _ => None,
        };
        Use {
            operation: operation.clone(),
            parts: Vec::new(),
            args: operation
                .params
                .iter()
                .map(|param| (param.name.clone(), known(&param.name)))
                .collect(),
        }
    };
    for operation in operations() {
        // What everybody may ask who may log in.
        if matches!(&*operation.path, "server" | "version" | "access.check") {
            continue;
        }
        // A record comes from somewhere: that call says from which namespace or cluster.
        let uses = [used("workloads.get"), used("nodes.get"), used(&operation.path)];
        let needed = provider.privileges(&uses).unwrap();
        let name = operation.full_name();
        let own: Vec<_> = needed.iter().filter(|right| right.because.contains(&name)).collect();
        assert!(!own.is_empty(), "{name} needs nothing");
        let generic = operation.path.starts_with("objects.");
        assert!(own.iter().all(|right| right.complete || generic), "{name}: {own:?}");
        let changes = operation.effect == starr::provider::Effect::Change;
        assert_eq!(
            own.iter().any(|right| right.login == "change"),
            changes,
            "{name}: {own:?}"
        );
    }
}
