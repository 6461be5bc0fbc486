//! The provider and the API server of the tests, held against exchanges recorded from a real API server. The folder is named by
//! `STARR_K8S_RECORDINGS`; where nothing names one, there is nothing to compare with. Once it is named, everything must pass.

mod applies;

use super::world::{Ban, Request, World, is_of_objects, knows};
use super::{done, gate_of, operations, read, server::Server, text};
use serde_json::{Value as Json, json};
use starr::providers::kubernetes::failure::{Refusal, classify};
use starr::providers::kubernetes::workloads::Kind;
use starr::providers::kubernetes::{Kubernetes, cluster, config::Config, objects, pods, workloads};
use starr::value::conform::conforms;
use starr::value::{Reason, Type, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One exchange: `rollout-stalled/004-patch-bad-image`.
pub struct Exchange {
    pub name: String,
    pub request: Request,
    accept: String,
    status: u16,
    content_type: String,
    /// A JSON document, a text as a JSON string, or null.
    answer: Json,
    /// The lines of a stream, each under `line`.
    pub stream: Vec<Json>,
}

fn folder() -> Option<PathBuf> {
    std::env::var_os("STARR_K8S_RECORDINGS").map(PathBuf::from)
}

pub fn exchanges() -> Option<Vec<Exchange>> {
    let folder = folder()?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|problem| panic!("{}: {problem}", folder.display()))
        .filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    // What the common world holds is shown by its reads: they come first.
    files.sort_by_key(|path| (!path.to_string_lossy().contains("/reads/"), path.clone()));
    assert!(files.len() >= 500, "only {} recordings", files.len());
    let read = |path: &PathBuf| {
        let file: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let text = |pointer: &str| {
            file.pointer(pointer)
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let name = format!(
            "{}/{}",
            path.parent().unwrap().file_name().unwrap().to_str().unwrap(),
            path.file_stem().unwrap().to_str().unwrap()
        );
        let answer = match (file.pointer("/response/body"), file.pointer("/response/text")) {
            (Some(body), _) if !body.is_null() => body.clone(),
            (_, Some(text)) => text.clone(),
            _ => Json::Null,
        };
        Exchange {
            request: Request {
                method: text("/request/method"),
                path: text("/request/path"),
                query: Request::query_of(&text("/request/query")),
                content_type: text("/request/headers/Content-Type"),
                token: text("/request/headers/Authorization").replace("Bearer ", ""),
                acting_as: Some(text("/request/headers/Impersonate-User")).filter(|user| !user.is_empty()),
                upgrade: None,
                body: file.pointer("/request/body").cloned().unwrap_or(Json::Null),
            },
            accept: text("/request/headers/Accept"),
            status: file.pointer("/response/status").and_then(Json::as_u64).unwrap() as u16,
            content_type: text("/response/headers/Content-Type"),
            answer,
            stream: file
                .pointer("/response/stream")
                .and_then(Json::as_array)
                .cloned()
                .unwrap_or_default(),
            name,
        }
    };
    Some(files.iter().map(read).collect())
}

/// The record that an operation answers with, or that its list holds.
fn record_of(path: &str) -> Type {
    let operation = operations().iter().find(|operation| &*operation.path == path).unwrap();
    match &operation.result {
        Type::List(inner) => (**inner).clone(),
        other => other.clone(),
    }
}

/// Objects with their kind: that of the list where the item has none.
fn objects_of(document: &Json) -> Vec<(String, Json)> {
    let kind = document["kind"].as_str().unwrap_or_default();
    let version = document["apiVersion"].as_str().unwrap_or_default();
    match (kind.strip_suffix("List"), document["items"].as_array()) {
        (Some(kind), Some(items)) => items
            .iter()
            .map(|item| {
                let own = item["kind"].as_str().unwrap_or(kind);
                (format!("{version}/{own}"), item.clone())
            })
            .collect(),
        _ => vec![(format!("{version}/{kind}"), document.clone())],
    }
}

/// The value that the provider makes of an object, and the record it should be; nothing for kinds that have no record.
fn value_of(kind: &str, object: &Json) -> Option<(Value, &'static str)> {
    let now = "2026-11-22T04:00:00Z".parse().unwrap();
    let here = Value::Resource {
        kind: "Namespace".into(),
        name: "shop".into(),
    };
    let there = Value::Resource {
        kind: "Cluster".into(),
        name: "c".into(),
    };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"salt");
    Some(match kind {
        "apps/v1/Deployment" => (
            workloads::workload(&here, Kind::Deployment, object, now),
            "workloads.get",
        ),
        "apps/v1/StatefulSet" => (
            workloads::workload(&here, Kind::StatefulSet, object, now),
            "workloads.get",
        ),
        "apps/v1/DaemonSet" => (
            workloads::workload(&here, Kind::DaemonSet, object, now),
            "workloads.get",
        ),
        "apps/v1/ReplicaSet" => (workloads::revision(object, Some(1), now), "rollout.history"),
        "autoscaling/v1/Scale" => (workloads::scale_value(object), "scale.get"),
        "v1/Pod" => (pods::pod(&here, object, now), "pods.list"),
        "v1/Event" => (pods::event(object, pods::latest(object)?, now), "events.list"),
        "v1/Node" => (cluster::node(&there, object, now), "nodes.list"),
        "v1/Service" => (objects::service(&here, object, 0, 0), "services.list"),
        "v1/ConfigMap" => (objects::config_map(&here, object, now), "config_maps.list"),
        "v1/Secret" => (objects::secret(&here, object, &key, now), "secrets.list"),
        "autoscaling/v2/HorizontalPodAutoscaler" => (objects::autoscaler(&here, object), "autoscalers.list"),
        "policy/v1/PodDisruptionBudget" => (objects::budget(object), "disruption_budgets.list"),
        "batch/v1/Job" => (objects::job(object, now), "jobs.list"),
        "authorization.k8s.io/v1/SelfSubjectAccessReview" => (cluster::access_value(object).ok()?, "access.check"),
        _ => return None,
    })
}

#[test]
fn the_provider_reads_every_recorded_object() {
    let Some(exchanges) = exchanges() else { return };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for exchange in &exchanges {
        let mut documents: Vec<(bool, &Json)> = vec![(true, &exchange.answer)];
        for line in &exchange.stream {
            let event = &line["line"];
            // A bookmark is an empty object with a version: it must not be stumbled over, and says nothing.
            documents.push((event["type"] != "BOOKMARK", &event["object"]));
        }
        for (whole, document) in documents {
            for (kind, object) in objects_of(document) {
                if kind == "discovery.k8s.io/v1/EndpointSlice" {
                    for endpoint in object["endpoints"].as_array().into_iter().flatten() {
                        let value = objects::endpoint(endpoint);
                        conforms(&value, &record_of("services.endpoints")).unwrap();
                        *counts.entry("Endpoint".to_owned()).or_default() += 1;
                    }
                }
                if kind == "v1/ResourceQuota" {
                    for (_, value) in objects::quota(&object) {
                        conforms(&value, &record_of("quotas.list")).unwrap();
                        *counts.entry("Quota".to_owned()).or_default() += 1;
                    }
                }
                let Some((value, operation)) = value_of(&kind, &object) else {
                    continue;
                };
                let name = format!("{}: {kind}", exchange.name);
                conforms(&value, &record_of(operation)).unwrap_or_else(|problem| panic!("{name}: {problem}"));
                if !whole {
                    continue;
                }
                let record = value.as_record().unwrap();
                for (field, value) in &record.fields {
                    // A node that has just been made does not say yet what it has.
                    assert!(
                        value.as_unknown().is_none() || kind == "v1/Node",
                        "{name}: {field} is {value:?}"
                    );
                }
                *counts.entry(record.type_name.to_string()).or_default() += 1;
            }
        }
    }
    for (kind, least) in [
        ("Workload", 200),
        ("Pod", 60),
        ("Event", 50),
        ("Revision", 30),
        ("Node", 15),
        ("ConfigMap", 25),
        ("Scale", 10),
        ("Autoscaler", 5),
        ("DisruptionBudget", 4),
        ("Job", 8),
        ("Access", 8),
        ("Service", 3),
        ("Endpoint", 3),
        ("Quota", 1),
    ] {
        let count = counts.get(kind).copied().unwrap_or(0);
        assert!(count >= least, "only {count} of {kind}: {counts:?}");
    }
}

/// What the recordings say about each of these, and what a runbook sees of it.
#[test]
fn what_was_recorded_is_understood() {
    let Some(exchanges) = exchanges() else { return };
    let of = |name: &str| {
        let exchange = exchanges
            .iter()
            .find(|exchange| exchange.name.starts_with(name))
            .unwrap_or_else(|| panic!("no {name}"));
        let (kind, object) = objects_of(&exchange.answer).remove(0);
        value_of(&kind, &object).unwrap().0
    };
    for (name, state) in [
        ("deployment-life/017-", "unobserved"),
        ("rollout-stalled/002-", "complete"),
        ("rollout-stalled/005-", "progressing"),
        ("rollout-stalled/011-", "stuck"),
        ("rollout-stalled/017-", "unobserved"),
        ("rollout-stalled/018-", "complete"),
        ("rollout-history/020-", "paused"),
        ("rollout-history/030-", "complete"),
        ("rollout-history/034-", "progressing"),
        ("rollout-history/035-", "complete"),
        ("reads/038-", "complete"),
    ] {
        assert_eq!(text(&of(name), "state"), state, "{name}");
    }
    assert_eq!(text(&of("rollout-stalled/011-"), "reason"), "ProgressDeadlineExceeded");
    assert_eq!(text(&of("rollout-stalled/023-"), "reason"), "FailedCreate");
    for (name, status, waiting, last, code) in [
        ("pod-states/014-", "Running", "", "", Value::None),
        ("pod-states/018-", "OOMKilled", "", "OOMKilled", Value::Int(137)),
        (
            "pod-states/019-",
            "CrashLoopBackOff",
            "CrashLoopBackOff",
            "OOMKilled",
            Value::Int(137),
        ),
        (
            "pod-states/020-",
            "CrashLoopBackOff",
            "CrashLoopBackOff",
            "Error",
            Value::Int(1),
        ),
        (
            "pod-states/022-",
            "ImagePullBackOff",
            "ImagePullBackOff",
            "",
            Value::None,
        ),
        (
            "pod-states/035-",
            "CreateContainerConfigError",
            "CreateContainerConfigError",
            "",
            Value::None,
        ),
        ("pod-states/044-", "Terminating", "", "", Value::None),
    ] {
        let pod = of(name);
        assert_eq!(text(&pod, "status"), status, "{name}");
        assert_eq!(text(&pod, "waiting_reason"), waiting, "{name}");
        assert_eq!(text(&pod, "last_reason"), last, "{name}");
        assert_eq!(super::field(&pod, "last_exit_code"), code, "{name}");
    }
    let unscheduled = of("pod-states/015-");
    assert_eq!(super::field(&unscheduled, "scheduled"), Value::Bool(false));
    assert!(text(&unscheduled, "unscheduled_reason").contains("nodes are available"));
    assert_eq!(
        super::field(&of("eviction-nodes/013-"), "schedulable"),
        Value::Bool(false)
    );
    assert_eq!(
        super::field(&of("eviction-nodes/016-"), "schedulable"),
        Value::Bool(true)
    );
    let scaler = of("jobs-hpa/019-");
    assert_eq!(super::field(&scaler, "active"), Value::Bool(false));
    assert_eq!(text(&scaler, "reason"), "FailedGetResourceMetric");
    assert_eq!(text(&of("jobs-hpa/008-"), "reason"), "BackoffLimitExceeded");
    assert_eq!(super::field(&of("jobs-hpa/005-"), "complete"), Value::Bool(true));
}

#[test]
fn every_recorded_refusal_has_its_kind() {
    let Some(exchanges) = exchanges() else { return };
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    for exchange in exchanges.iter().filter(|exchange| exchange.status >= 400) {
        let body = match &exchange.answer {
            Json::Null => Vec::new(),
            Json::String(text) => text.clone().into_bytes(),
            other => serde_json::to_vec(other).unwrap(),
        };
        let failure = classify(exchange.status, &body, false);
        let name = &exchange.name;
        let words = exchange.answer["message"].as_str().unwrap_or_default();
        let cause = exchange.answer["details"]["causes"][0]["reason"]
            .as_str()
            .unwrap_or_default();
        let named = exchange.answer["details"]["name"].is_string();
        let (reason, refusal) = match exchange.status {
            401 => (Reason::Denied, Refusal::Other),
            403 if cause == "NamespaceTerminating" || words.contains("exceeded quota") => {
                (Reason::Unavailable, Refusal::Other)
            }
            403 => (Reason::Denied, Refusal::Other),
            404 if named => (Reason::Unavailable, Refusal::Missing),
            404 => (Reason::Unavailable, Refusal::NoSuchKind),
            409 if exchange.answer["reason"] == "AlreadyExists" => (Reason::Unavailable, Refusal::AlreadyExists),
            409 => (Reason::Unavailable, Refusal::Conflict),
            410 => (Reason::Unavailable, Refusal::Gone),
            429 if cause == "DisruptionBudget" => (Reason::Unavailable, Refusal::Budget),
            429 => (Reason::Throttled, Refusal::Other),
            504 => (Reason::Timeout, Refusal::Other),
            400 => (Reason::Unavailable, Refusal::BadRequest),
            _ => (Reason::Unavailable, Refusal::Other),
        };
        assert_eq!((failure.unknown.reason, failure.refusal), (reason, refusal), "{name}");
        assert_eq!(failure.definite, exchange.status < 500, "{name}");
        let first: String = words.chars().take(60).collect();
        assert!(
            failure.unknown.detail.contains(&first),
            "{name}: {}",
            failure.unknown.detail
        );
        *seen.entry(exchange.status).or_default() += 1;
    }
    for status in [400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504] {
        assert!(seen.contains_key(&status), "no {status}: {seen:?}");
    }
}

/// The path of the object that a path is about.
fn own_path(path: &str) -> &str {
    ["/scale", "/status", "/log", "/eviction", "/resize"]
        .iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap_or(path)
}

/// What the objects of the world were before each exchange, as far as earlier exchanges of the run show.
struct Past(BTreeMap<String, Json>);

impl Past {
    fn learn(&mut self, exchange: &Exchange) {
        let plain = exchange.accept.is_empty() || !exchange.accept.contains("as=");
        if exchange.status >= 300 || !plain || exchange.request.asks("dryRun").is_some() {
            return;
        }
        let path = &exchange.request.path;
        let answer = &exchange.answer;
        let kind = answer["kind"].as_str().unwrap_or_default();
        match (exchange.request.method.as_str(), answer["metadata"]["name"].as_str()) {
            ("DELETE", _) => {
                self.0.remove(path);
            }
            ("POST", Some(name)) if kind != "Status" && !path.contains("review") => {
                self.0.insert(format!("{path}/{name}"), answer.clone());
            }
            (_, Some(_)) if kind == "Scale" => {
                if let Some(known) = self.0.get_mut(own_path(path)) {
                    known["metadata"]["resourceVersion"] = answer["metadata"]["resourceVersion"].clone();
                    if known["spec"]["replicas"] != answer["spec"]["replicas"] {
                        known["spec"]["replicas"] = answer["spec"]["replicas"].clone();
                        let generation = known["metadata"]["generation"].as_i64().unwrap_or(0);
                        known["metadata"]["generation"] = (generation + 1).into();
                    }
                }
            }
            (_, Some(_)) if kind != "Status" => {
                self.0.insert(own_path(path).to_owned(), answer.clone());
            }
            _ => {
                let (Some(kind), Some(items)) = (kind.strip_suffix("List"), answer["items"].as_array()) else {
                    return;
                };
                if kind.starts_with("Partial") {
                    return;
                }
                for item in items {
                    let mut item = item.clone();
                    let (Some(name), version) = (
                        item["metadata"]["name"].as_str().map(str::to_owned),
                        &answer["apiVersion"],
                    ) else {
                        continue;
                    };
                    item["kind"] = kind.into();
                    item["apiVersion"] = version.clone();
                    self.0.insert(format!("{path}/{name}"), item);
                }
            }
        }
    }
}

/// Null is absent, and what is empty too: a decoder of the real server leaves both out.
fn tidy(value: &Json) -> Json {
    match value {
        Json::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), tidy(value)))
            .filter(|(_, value)| !value.is_null() && *value != json!({}))
            .collect(),
        Json::Array(items) => items.iter().map(tidy).collect(),
        other => other.clone(),
    }
}

/// Changes that this server does not know, and why.
const OUT_OF_REACH: &[(&str, &str)] = &[
    ("/resize", "the subresource resize"),
    ("apply-patch", "server-side apply"),
    ("fieldValidation", "validation of fields"),
];

#[test]
fn the_server_of_the_tests_changes_objects_as_the_real_one_does() {
    let Some(exchanges) = exchanges() else { return };
    let mut past = Past(BTreeMap::new());
    let (mut compared, mut refused) = (0, 0);
    for exchange in &exchanges {
        let request = &exchange.request;
        let path = own_path(&request.path);
        let reachable = !OUT_OF_REACH.iter().any(|(mark, _)| {
            request.path.contains(mark) || request.content_type.contains(mark) || request.asks(mark).is_some()
        });
        // What happens to a pod between its creation and its change is not among the recordings.
        let changes = matches!(request.method.as_str(), "PATCH" | "PUT") && !path.contains("/pods/");
        let admin = request.token == "<ADMIN_TOKEN>";
        if changes && admin && reachable && past.0.contains_key(path) && matches!(exchange.status, 200 | 409 | 500) {
            let mut world = World::new();
            world.controller = false;
            let mut before = past.0[path].clone();
            // A change that was accepted with a version had the latest: statuses are written between the recordings.
            if exchange.status == 200
                && let Some(version) = request.body["metadata"]["resourceVersion"].as_str()
            {
                before["metadata"]["resourceVersion"] = version.into();
            }
            world.seed(path, before.clone());
            let answer = world.answer(request);
            let name = &exchange.name;
            assert_eq!(answer.status, exchange.status, "{name}: {}", answer.body);
            if exchange.status == 200 {
                for part in ["spec", "data"] {
                    assert_eq!(tidy(&answer.body[part]), tidy(&exchange.answer[part]), "{name}: {part}");
                }
                for part in ["labels", "annotations", "generation"] {
                    let pointer = format!("/metadata/{part}");
                    let of = |body: &Json| {
                        let mut part = body.pointer(&pointer).cloned().unwrap_or(Json::Null);
                        // A controller writes this one at a time of its own.
                        if let Some(fields) = part.as_object_mut() {
                            fields.remove("deployment.kubernetes.io/revision");
                        }
                        tidy(&json!({"it": part}))
                    };
                    assert_eq!(of(&answer.body), of(&exchange.answer), "{name}: {part}");
                }
                // What changes nothing keeps its version.
                let version = |body: &Json| body["metadata"]["resourceVersion"].clone();
                let stays = |body: &Json| version(body) == version(&before) || request.asks("dryRun").is_some();
                assert_eq!(stays(&answer.body), stays(&exchange.answer), "{name}: version");
                compared += 1;
            } else {
                assert_eq!(answer.body["reason"], exchange.answer["reason"], "{name}");
                assert_eq!(
                    answer.body["details"]["name"], exchange.answer["details"]["name"],
                    "{name}"
                );
                refused += 1;
            }
        }
        past.learn(exchange);
    }
    assert!(compared >= 40, "only {compared} changes were compared");
    assert!(refused >= 4, "only {refused} refusals were compared");
}

/// Reads that this server does not know, and why.
fn beyond(exchange: &Exchange) -> Option<&'static str> {
    let request = &exchange.request;
    let asks = |name: &str| request.asks(name).is_some();
    Some(match () {
        () if exchange.accept.contains("as=") || exchange.accept.contains("yaml") => "tables and partial objects",
        () if asks("watch") || request.path.contains("/watch/") => "watches",
        () if asks("resourceVersion") || asks("resourceVersionMatch") => "old versions",
        () if exchange.status == 406 => "content negotiation",
        () if exchange.status == 504 || exchange.status == 503 => "time-outs and servers behind the server",
        () if asks("follow") || asks("timestamps") || asks("sinceTime") => "followed logs",
        () if request.path.starts_with("/openapi") || request.path.starts_with("/readyz") => "documents of the server",
        () if request.path.ends_with("/log") && matches!(exchange.status, 200 | 204 | 400 | 422) => "texts of a node",
        () if !is_of_objects(&request.path) && request.path != "/version" => "discovery",
        () if exchange.status == 200 && !knows(&request.path) && request.path != "/version" => "kinds without a record",
        _ => return None,
    })
}

#[test]
fn the_server_of_the_tests_answers_reads_as_the_real_one_does() {
    let Some(exchanges) = exchanges() else { return };
    let mut past = Past(BTreeMap::new());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for exchange in &exchanges {
        past.learn(exchange);
        let request = &exchange.request;
        if request.method != "GET" {
            continue;
        }
        if let Some(why) = beyond(exchange) {
            *counts.entry(why).or_default() += 1;
            continue;
        }
        let (kind, name) = (&exchange.answer["kind"], &exchange.name);
        let listed = kind.as_str().is_some_and(|kind| kind.ends_with("List"));
        let mut world = World::new();
        world.controller = false;
        let tokens = [
            ("<ADMIN_TOKEN>", "admin"),
            ("<VIEWER_TOKEN>", "viewer"),
            ("<OPERATOR_TOKEN>", "operator"),
            ("<THROTTLED_TOKEN>", "throttled"),
            ("", "system:anonymous"),
        ];
        world.tokens = tokens
            .iter()
            .map(|(token, user)| ((*token).to_owned(), *user))
            .collect();
        if exchange.status == 403 {
            // Who may do what is given; the form of the refusal is compared.
            for (verb, user) in [
                ("list", "viewer"),
                ("get", "viewer"),
                ("list", "operator"),
                ("list", "system:anonymous"),
            ] {
                for resource in ["pods", "secrets", "nodes", "deployments", "roles"] {
                    world.bans.push(Ban { user, verb, resource });
                }
            }
        }
        if exchange.status == 429 {
            world.busy = 1;
        }
        if exchange.status == 410 {
            world.expired = 1;
        }
        if listed {
            for item in exchange.answer["items"].as_array().into_iter().flatten() {
                let own = item["metadata"]["namespace"].as_str();
                let path = match own {
                    Some(namespace) if !request.path.contains("/namespaces/") => {
                        let (front, resource) = request.path.rsplit_once('/').unwrap();
                        format!("{front}/namespaces/{namespace}/{resource}")
                    }
                    _ => request.path.clone(),
                };
                let mut item = item.clone();
                item["kind"] = kind.as_str().unwrap().trim_end_matches("List").into();
                item["apiVersion"] = exchange.answer["apiVersion"].clone();
                world.seed(&format!("{path}/{}", item["metadata"]["name"].as_str().unwrap()), item);
            }
        } else if exchange.status < 300 || exchange.status == 404 {
            for (path, object) in &past.0 {
                if exchange.status < 300 || !own_path(&request.path).starts_with(path.as_str()) {
                    world.seed(path, object.clone());
                }
            }
        }
        let mut asked = request.clone();
        // A page that is not the first one begins elsewhere here: its token is this server's own.
        if listed {
            asked.query.retain(|(name, _)| name != "continue");
        }
        let answer = world.answer(&asked);
        assert_eq!(answer.status, exchange.status, "{name}: {}", answer.body);
        let is_text = exchange.content_type.starts_with("text/") || exchange.answer.is_null();
        assert_eq!(
            answer.body.is_string() || answer.body.is_null(),
            is_text,
            "{name}: form"
        );
        if exchange.status >= 400 {
            assert_eq!(answer.body["reason"], exchange.answer["reason"], "{name}");
            if exchange.status != 400 {
                assert_eq!(answer.body["details"], exchange.answer["details"], "{name}");
            }
            if exchange.status == 403 && !name.contains("impersonate") {
                assert_eq!(answer.body["message"], exchange.answer["message"], "{name}");
            }
            *counts.entry("refusals").or_default() += 1;
        } else if listed {
            assert_eq!(answer.body["kind"], *kind, "{name}");
            assert_eq!(answer.body["apiVersion"], exchange.answer["apiVersion"], "{name}");
            assert_eq!(answer.body["items"], exchange.answer["items"], "{name}");
            *counts.entry("lists").or_default() += 1;
        } else if request.path != "/version" && exchange.status == 200 {
            assert_eq!(answer.body["kind"], *kind, "{name}");
            assert_eq!(
                answer.body["metadata"]["uid"], exchange.answer["metadata"]["uid"],
                "{name}"
            );
            assert_eq!(answer.body["spec"], exchange.answer["spec"], "{name}");
            *counts.entry("objects").or_default() += 1;
        }
    }
    for (what, least) in [("lists", 40), ("objects", 80), ("refusals", 25)] {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least, "only {count} {what}: {counts:?}");
    }
}

#[test]
fn pages_follow_one_another_as_recorded() {
    let Some(exchanges) = exchanges() else { return };
    let of = |name: &str| {
        exchanges
            .iter()
            .find(|exchange| exchange.name.starts_with(name))
            .unwrap()
    };
    let pages = ["paging/001-", "paging/002-", "paging/003-"].map(of);
    let mut world = World::new();
    for page in pages {
        for item in page.answer["items"].as_array().unwrap() {
            let path = format!("{}/{}", page.request.path, item["metadata"]["name"].as_str().unwrap());
            world.seed(&path, item.clone());
        }
    }
    let mut token: Option<String> = None;
    for page in pages {
        let mut request = page.request.clone();
        request.query.retain(|(name, _)| name != "continue");
        request
            .query
            .extend(token.take().map(|token| ("continue".to_owned(), token)));
        let answer = world.answer(&request).body;
        assert_eq!(answer["items"], page.answer["items"], "{}", page.name);
        for field in ["continue", "remainingItemCount"] {
            let is_there = |body: &Json| body["metadata"].get(field).is_some();
            assert_eq!(is_there(&answer), is_there(&page.answer), "{}: {field}", page.name);
        }
        token = answer["metadata"]["continue"].as_str().map(str::to_owned);
    }
    assert_eq!(token, None);
}

/// The provider's undo sends what the recorded client sends, and the version in addition.
#[tokio::test]
async fn an_undo_sends_what_was_recorded() {
    let Some(exchanges) = exchanges() else { return };
    let of = |name: &str| {
        exchanges
            .iter()
            .find(|exchange| exchange.name.starts_with(name))
            .unwrap()
    };
    for (folder, deployment, sets, patch, number) in [
        (
            "stalled",
            "rollout-stalled/014-",
            "rollout-stalled/016-",
            "rollout-stalled/017-",
            1,
        ),
        (
            "history",
            "rollout-history/009-",
            "rollout-history/011-",
            "rollout-history/012-",
            1,
        ),
    ] {
        let (deployment, sets, patch) = (of(deployment), of(sets), of(patch));
        let mut world = World::new();
        world.controller = false;
        world.seed(&deployment.request.path, deployment.answer.clone());
        for set in sets.answer["items"].as_array().unwrap() {
            let path = format!("{}/{}", sets.request.path, set["metadata"]["name"].as_str().unwrap());
            world.seed(&path, set.clone());
        }
        let server = Server::start(world).await;
        let config = format!(
            "clusters: {{ c: {{ server: '{}' }} }}\nnamespaces: {{ shop: {{ cluster: c, namespace: {folder} }} }}\n",
            server.address
        );
        let gate = gate_of(Kubernetes::new(serde_yaml::from_str::<Config>(&config).unwrap()).unwrap());
        let name = deployment.answer["metadata"]["name"].as_str().unwrap();
        let workload = read(&gate, "workloads.get", &[("name", Value::text(name))]).await;
        let history = read(&gate, "rollout.history", &[("workload", workload.clone())]).await;
        let to = history
            .as_list()
            .unwrap()
            .items
            .iter()
            .find(|revision| super::field(revision, "number") == Value::Int(number))
            .cloned()
            .unwrap();
        done(super::change(&gate, "rollout.undo", &[("workload", workload), ("to", to)]).await);
        let world = server.world();
        let at = world.seen.iter().position(|line| line.starts_with("PATCH")).unwrap();
        assert_eq!(world.seen[at], format!("PATCH {}", patch.request.path));
        let (sent, recorded) = (&world.bodies[at], &patch.request.body);
        for step in 0..2 {
            assert_eq!(sent[step]["path"], recorded[step]["path"], "{folder}");
            assert_eq!(
                tidy(&sent[step]["value"]),
                tidy(&recorded[step]["value"]),
                "{folder}, step {step}"
            );
        }
        assert_eq!(sent[2]["path"], "/metadata/resourceVersion");
        assert_eq!(sent[2]["value"], deployment.answer["metadata"]["resourceVersion"]);
    }
}
