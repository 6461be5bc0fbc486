//! The provider `status_page` against a server that answers as the Statuspage API v1 does.

use super::{Asked, CANARY, Desk, Held, Server, held, hurried, page};
use crate::support::gated::{Gated, field, items, reason};
use serde_json::{Value as Json, json};
use starr::provider::Outcome;
use starr::providers::status_page::StatusPage;
use starr::value::{Reason, Value};
use std::sync::{Arc, Mutex};

/// What the page holds.
#[derive(Default)]
pub struct Kept {
    pub components: Vec<Json>,
    /// The newest first, as they are listed.
    pub incidents: Vec<Json>,
    /// The most that a page of components holds, where that is less than is asked for.
    most: Option<usize>,
    /// What customers were told, in order.
    pub told: Vec<String>,
    silent: bool,
}

pub type Shared = Arc<Mutex<Kept>>;

fn component(id: &str, name: &str) -> Json {
    json!({"id": id, "page_id": "p1", "name": name, "status": "operational", "group": false})
}

const STATES: &[&str] = &["investigating", "identified", "monitoring", "resolved"];

fn answer(kept: &Shared, asked: &Asked) -> Option<(u16, Json)> {
    let mut kept = kept.lock().unwrap();
    if asked.header("authorization") != format!("OAuth {CANARY}") {
        return Some((401, json!({"error": "Could not authenticate"})));
    }
    let path = asked.path.strip_prefix("/v1/pages/p1")?.to_owned();
    let sent = asked.json();
    let incident = &sent["incident"];
    // Every value of the metadata is an object itself.
    let bad = |incident: &Json| {
        !incident["status"].as_str().is_some_and(|state| STATES.contains(&state))
            || incident
                .get("metadata")
                .is_some_and(|all| !all.as_object().unwrap().values().all(Json::is_object))
    };
    let made = match (asked.method.as_str(), path.as_str()) {
        ("GET", "/components") => match kept.most {
            None => (200, page(&kept.components, asked)),
            // A service that knows no pages.
            Some(0) => (200, Json::Array(kept.components.clone())),
            Some(most) => {
                let (page, _) = asked.page();
                (
                    200,
                    kept.components
                        .iter()
                        .skip((page - 1) * most)
                        .take(most)
                        .cloned()
                        .collect(),
                )
            }
        },
        ("GET", "/incidents") => (200, Json::Array(kept.incidents.clone())),
        ("GET", "/incidents/unresolved") => {
            let open = kept.incidents.iter().filter(|one| one["status"] != "resolved");
            (200, open.cloned().collect())
        }
        ("POST", "/incidents") if !bad(incident) && incident["name"].is_string() => {
            let mut new = incident.clone();
            new["id"] = json!(format!("i{}", kept.incidents.len() + 1));
            new["created_at"] = json!("2026-11-22T03:00:00.000Z");
            new["shortlink"] = json!("https://stspg.test/1");
            kept.told.push(incident["body"].as_str().unwrap().to_owned());
            kept.incidents.insert(0, new.clone());
            (201, new)
        }
        ("PATCH", path) if path.starts_with("/incidents/") && !bad(incident) => {
            let Some(at) = kept
                .incidents
                .iter()
                .position(|one| path.ends_with(one["id"].as_str().unwrap()))
            else {
                return Some((404, json!({"error": "not found"})));
            };
            kept.told.push(incident["body"].as_str().unwrap().to_owned());
            for name in ["status", "metadata"] {
                if let Some(value) = incident.get(name) {
                    kept.incidents[at][name] = value.clone();
                }
            }
            (200, kept.incidents[at].clone())
        }
        ("PATCH", path) if path.starts_with("/components/") => {
            let Some(at) = kept
                .components
                .iter()
                .position(|one| path.ends_with(one["id"].as_str().unwrap()))
            else {
                return Some((404, json!({"error": "not found"})));
            };
            kept.components[at]["status"] = sent["component"]["status"].clone();
            (200, kept.components[at].clone())
        }
        _ => (422, json!({"error": ["invalid"]})),
    };
    (asked.method == "GET" || !kept.silent).then_some(made)
}

/// A page of two components, and its server.
pub fn service() -> (Shared, Server) {
    let kept: Shared = Arc::default();
    kept.lock().unwrap().components = vec![component("c1", "API"), component("c2", "Site")];
    let mine = kept.clone();
    (kept, Server::new(move |asked| answer(&mine, asked)))
}

fn world(server: &Server) -> Held {
    held(|key| {
        let config = format!(
            "pages: {{ shop: {{ page: p1, api_key: {{ file: {} }}, url: \"{}\" }} }}",
            key.display(),
            server.url()
        );
        let provider = StatusPage::new(&serde_yaml::from_str(&config).unwrap()).unwrap();
        let resource = Value::Resource {
            kind: "StatusPage".into(),
            name: "shop".into(),
        };
        Gated::new(
            Arc::new(provider),
            vec![
                ("page", resource),
                ("name", Value::text("Orders fail")),
                ("body", Value::text("We look into it")),
                ("component", Value::text("API")),
            ],
        )
    })
}

fn key(text: &str) -> (&'static str, Value) {
    ("key", Value::text(text))
}

#[tokio::test]
async fn one_key_is_one_incident_from_its_beginning_to_its_end() {
    let (kept, server) = service();
    let world = world(&server);
    let opened = world
        .done("incident.open", &[key("run-1"), ("impact", Value::variant("major"))])
        .await;
    assert_eq!(
        (field(&opened, "key"), field(&opened, "state")),
        (Value::text("run-1"), Value::variant("investigating"))
    );
    assert_eq!(kept.lock().unwrap().incidents[0]["impact_override"], "major");
    assert_eq!(kept.lock().unwrap().incidents[0]["deliver_notifications"], true);
    assert_eq!(world.done("incident.open", &[key("run-1")]).await, opened);
    assert_eq!(items(&world.read("incidents.open", &[]).await).len(), 1);
    // The key of the call is that of the opening: it has been said.
    let again = world
        .done("incident.update", &[key("run-1"), ("body", Value::text("Found it"))])
        .await;
    assert_eq!(field(&again, "state"), Value::variant("investigating"));
    let over = world
        .done("incident.resolve", &[key("run-1"), ("body", Value::text("It is over"))])
        .await;
    assert_eq!(field(&over, "state"), Value::variant("resolved"));
    assert_eq!(
        world
            .done("incident.resolve", &[key("run-1"), ("body", Value::text("Over"))])
            .await,
        over
    );
    assert_eq!(kept.lock().unwrap().told, ["We look into it", "It is over"]);
    assert_eq!(items(&world.read("incidents.open", &[]).await), Vec::<Value>::new());
    let (reason, detail) = world.refused("incident.resolve", &[key("other")]).await;
    assert!(reason == Reason::Missing && detail.contains("key"), "{detail}");
    assert_eq!(world.refused("incident.update", &[key("")]).await.0, Reason::Unparsable);
}

#[tokio::test]
async fn what_was_told_and_not_answered_is_not_told_again() {
    let (kept, server) = service();
    let world = world(&server);
    kept.lock().unwrap().silent = true;
    assert!(matches!(
        hurried(&world, "incident.open", &[]).await,
        Outcome::Unclear(_)
    ));
    kept.lock().unwrap().silent = false;
    let found = world.done("incident.open", &[]).await;
    assert_eq!(field(&found, "key"), Value::text("a-key-of-the-test"));
    // Something else was said in between, so that this one is new.
    kept.lock().unwrap().incidents[0]["metadata"]["starr"]["last"] = json!("another");
    kept.lock().unwrap().silent = true;
    let more = [
        key("a-key-of-the-test"),
        ("body", Value::text("Found it")),
        ("state", Value::variant("identified")),
    ];
    assert!(matches!(
        hurried(&world, "incident.update", &more).await,
        Outcome::Unclear(_)
    ));
    kept.lock().unwrap().silent = false;
    let told = world.done("incident.update", &more).await;
    assert_eq!(field(&told, "state"), Value::variant("identified"));
    assert_eq!(kept.lock().unwrap().told, ["We look into it", "Found it"]);
    // Late: it is over, and nobody is told that it is not.
    kept.lock().unwrap().incidents[0]["status"] = json!("resolved");
    kept.lock().unwrap().incidents[0]["metadata"]["starr"]["last"] = json!("another");
    let (_, detail) = world.refused("incident.update", &more).await;
    assert!(detail.contains("resolved"), "{detail}");
    assert_eq!(kept.lock().unwrap().told.len(), 2);
}

#[tokio::test]
async fn a_component_is_set_once_and_only_where_it_is_one() {
    let (kept, server) = service();
    let world = world(&server);
    let to = ("to", Value::variant("major_outage"));
    for _ in 0..2 {
        let set = world.done("component.set", std::slice::from_ref(&to)).await;
        assert_eq!(field(&set, "state"), Value::variant("major_outage"));
    }
    assert_eq!(server.sent(), 1);
    let all = items(&world.read("components", &[]).await);
    assert_eq!(
        (all.len(), field(&all[0], "state")),
        (2, Value::variant("major_outage"))
    );
    let missing = world
        .refused("component.set", &[("component", Value::text("Api")), to.clone()])
        .await;
    assert_eq!(missing.0, Reason::Missing);
    kept.lock().unwrap().components.push(component("c3", "API"));
    let (_, detail) = world.refused("component.set", std::slice::from_ref(&to)).await;
    assert!(detail.contains("several"), "{detail}");
    world
        .done("component.set", &[("component", Value::text("c3")), to])
        .await;
    assert_eq!(kept.lock().unwrap().components[2]["status"], "major_outage");
}

#[tokio::test]
async fn a_short_page_is_not_the_last_one() {
    let (kept, server) = service();
    let world = world(&server);
    kept.lock().unwrap().components = (0..7)
        .map(|number| component(&format!("c{number}"), &format!("n{number}")))
        .collect();
    // Fewer than asked for on each page; all on every page; pages as they were asked for.
    for most in [Some(3), Some(1), Some(0), None] {
        kept.lock().unwrap().most = most;
        let found = items(&world.read("components", &[]).await);
        let names: Vec<Value> = found.iter().map(|one| field(one, "name")).collect();
        let all: Vec<Value> = (0..7).map(|number| Value::text(format!("n{number}"))).collect();
        assert_eq!(names, all, "{most:?}");
    }
    // The last one is found, and set, behind pages that are short.
    kept.lock().unwrap().most = Some(2);
    let set = [
        ("component", Value::text("n6")),
        ("to", Value::variant("degraded_performance")),
    ];
    world.done("component.set", &set).await;
    assert_eq!(kept.lock().unwrap().components[6]["status"], "degraded_performance");
}

#[tokio::test]
async fn a_page_of_too_many_components_is_unknown() {
    let (kept, server) = service();
    let world = world(&server);
    let many = |count: usize| -> Vec<Json> {
        (0..count)
            .map(|number| component(&format!("c{number}"), &format!("n{number}")))
            .collect()
    };
    kept.lock().unwrap().components = many(1000);
    let all = [("at_most", Value::Int(1000))];
    assert_eq!(items(&world.read("components", &all).await).len(), 1000);
    kept.lock().unwrap().components = many(1001);
    assert_eq!(reason(&world.read("components", &[]).await).0, Reason::Truncated);
    assert_eq!(
        world
            .refused("component.set", &[("to", Value::variant("operational"))])
            .await
            .0,
        Reason::Truncated
    );
}

#[tokio::test]
async fn what_no_status_page_says_is_unknown() {
    for body in [json!("<html>"), json!({}), Json::Null] {
        let server = Server::new(move |_| Some((200, body.clone())));
        let world = world(&server);
        assert_eq!(reason(&world.read("components", &[]).await).0, Reason::Unparsable);
        assert_eq!(world.refused("incident.open", &[key("k")]).await.0, Reason::Unparsable);
    }
    let odd = Server::new(|_| {
        Some((
            200,
            json!([{"status": "x", "id": "../up", "name": "API", "metadata": {"starr": {"key": "k"}}}]),
        ))
    });
    let found = items(&world(&odd).read("components", &[]).await);
    assert_eq!(reason(&field(&found[0], "state")).0, Reason::Unparsable);
    // An id is never a path.
    assert_eq!(
        world(&odd)
            .refused("component.set", &[("to", Value::variant("operational"))])
            .await
            .0,
        Reason::Unparsable
    );
    assert_eq!(
        world(&odd).refused("incident.resolve", &[key("k")]).await.0,
        Reason::Unparsable
    );
    assert_eq!(odd.sent(), 0);
    for (status, definite) in [(401, true), (422, true), (420, true), (500, false), (503, false)] {
        let server = Server::new(move |asked| {
            Some(if asked.method == "GET" {
                (200, json!([]))
            } else {
                (status, json!({"error": "no"}))
            })
        });
        let outcome = world(&server).change("incident.open", &[]).await;
        assert_eq!(matches!(outcome, Outcome::Failed(_)), definite, "{status}: {outcome:?}");
    }
}

const BOOK: &str = r#"use std.status_page.{all_operational}

runbook tell "Tell customers" {
  timebox 5 min then stop "No time is left"
  reads   status_page
  tells   status_page
  situation {
    symptom well = all_operational("shop")
  }
  tell status_page.component.set("shop", component: "API", to: partial_outage)
  tell status_page.incident.open("shop", name: "Orders fail", body: "We look into it", key: run.id)
  tell status_page.incident.update("shop", key: run.id, body: "Found it", state: identified)
  tell status_page.incident.resolve("shop", key: run.id, body: "It is over")
  stop "Told"
}
"#;

#[test]
fn a_run_tells_customers() {
    let (kept, server) = service();
    let environment = format!(
        "    status_page: {{ pages: {{ shop: {{ page: p1, api_key: {{ env: CANARY }}, url: \"{}\" }} }} }}
    grants:\n      - {{ capability: status_page, effects: [read, tell], targets: [shop] }}\n",
        server.url()
    );
    let desk = Desk::new(&environment, BOOK);
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    let kept = kept.lock().unwrap();
    assert_eq!(kept.told, ["We look into it", "Found it", "It is over"], "{said}");
    assert_eq!(kept.incidents[0]["status"], "resolved");
    assert_eq!(kept.components[0]["status"], "partial_outage");
    drop(kept);
    let doctor = desk.said(&["doctor"]);
    assert!(doctor.contains("status_page shop"), "{doctor}");
    desk.keeps(
        CANARY,
        &[&said, &doctor, &desk.said(&["show", "--json"]), &desk.said(&["report"])],
    );
}
