//! Pods, events and logs.

use super::exchange::Place;
use super::failure::{Failure, Refusal, crop};
use super::json::{self, Json};
use super::workloads::Target;
use super::{choice, listed};
use crate::providers::arguments::Arguments;
use crate::value::{List, Reason, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// Most bytes of one container's log.
const LOG: usize = 1024 * 1024;

/// Containers whose logs are read at the same time.
const AT_ONCE: usize = 4;

/// Most events that are read to find the newest.
const EVENTS: usize = 5_000;

/// `pods.list`
pub async fn list(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let selector = choice(arguments, "selector")?;
    let node = choice(arguments, "node")?.map(|node| format!("spec.nodeName={node}"));
    let mut query: Vec<(&str, &str)> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    query.extend(node.as_deref().map(|node| ("fieldSelector", node)));
    let path = place.path("v1", "pods", None)?;
    let items = place.list(&path, &query, arguments.limit("at_most", 5_000)?).await?;
    Ok(sorted(listed(&items, |object| {
        pod(arguments.value("namespace"), object, now)
    })))
}

/// `pods.of`
pub async fn of_workload(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let object = target.object(place).await?;
    let selector = json::selector(object.pointer("/spec/selector").unwrap_or(&Json::Null));
    if selector.is_empty() {
        return Err(Failure::definite(Reason::Unparsable, "the workload has no selector"));
    }
    let path = place.path("v1", "pods", None)?;
    let items = place
        .list(
            &path,
            &[("labelSelector", &selector)],
            arguments.limit("at_most", 5_000)?,
        )
        .await?;
    Ok(sorted(listed(&items, |object| pod(&target.namespace, object, now))))
}

/// Most restarts first; the order of the server otherwise.
fn sorted(list: Value) -> Value {
    let Value::List(list) = list else { return list };
    let mut items = list.items.clone();
    items.sort_by_key(|pod| {
        let restarts = pod.as_record().and_then(|record| record.get("restarts"));
        std::cmp::Reverse(match restarts {
            Some(Value::Int(restarts)) => *restarts,
            _ => 0,
        })
    });
    Value::List(Arc::new(List {
        items,
        truncated: list.truncated,
    }))
}

/// A pod of a call: which one it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub uid: String,
}

/// The pods of a call, by their namespace.
///
/// # Errors
/// When the list was cut or one of them cannot be read: then nothing is done to any.
pub fn named(pods: &Value) -> Result<Vec<(String, Vec<Named>)>, Failure> {
    let list = match pods {
        Value::List(list) if list.truncated => {
            return Err(Failure::definite(Reason::Truncated, "the list of pods was cut"));
        }
        Value::List(list) => list,
        Value::Unknown(unknown) => return Err(Failure::definite(unknown.reason, unknown.detail.clone())),
        _ => return Err(Failure::definite(Reason::Unparsable, "the pods are not a list")),
    };
    let mut groups: Vec<(String, Vec<Named>)> = Vec::new();
    for item in &list.items {
        let text = |field: &str| {
            item.as_record()
                .and_then(|record| record.get(field))
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let (Some(namespace), Some(name), Some(uid)) = (text("namespace"), text("name"), text("uid")) else {
            return Err(Failure::definite(
                Reason::Unparsable,
                "a pod lacks its namespace, name or `uid`",
            ));
        };
        let pod = Named { name, uid };
        match groups.iter_mut().find(|(known, _)| *known == namespace) {
            Some((_, pods)) => pods.push(pod),
            None => groups.push((namespace, vec![pod])),
        }
    }
    Ok(groups)
}

/// Those of these pods that are still there, as they are now.
pub async fn remaining(
    place: &Place<'_>,
    namespace: &Value,
    pods: &[Named],
    now: Timestamp,
) -> Result<Vec<Value>, Failure> {
    let mut left = Vec::new();
    for named in pods {
        let path = place.path("v1", "pods", Some(&named.name))?;
        match place.get(&path, &[]).await {
            Ok(object) if json::text(&object, "/metadata/uid") == Some(&named.uid) => {
                left.push(pod(namespace, &object, now));
            }
            Ok(_) => {}
            Err(failure) if failure.refusal == Refusal::Missing => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(left)
}

/// A pod as a record.
pub fn pod(namespace: &Value, object: &Json, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let phase = match json::text(object, "/status/phase") {
        Some("Pending") => "pending",
        Some("Running") => "running",
        Some("Succeeded") => "succeeded",
        Some("Failed") => "failed",
        _ => "not_known",
    };
    let terminating = json::time(object, "/metadata/deletionTimestamp").is_some();
    let statuses: Vec<&Json> = json::list(object, "/status/initContainerStatuses")
        .iter()
        .chain(json::list(object, "/status/containerStatuses"))
        .collect();
    let restarts: i64 = statuses
        .iter()
        .filter_map(|status| json::int(status, "/restartCount"))
        .sum();
    let waiting = worst_waiting(&statuses);
    let last = statuses
        .iter()
        .filter_map(|status| termination(status))
        .max_by_key(|termination| json::time(termination, "/finishedAt"));
    let condition = |kind: &str| {
        json::list(object, "/status/conditions")
            .iter()
            .find(|condition| json::text(condition, "/type") == Some(kind))
    };
    let holds = |kind: &str| condition(kind).is_some_and(|of| json::text(of, "/status") == Some("True"));
    let scheduled = json::text(object, "/spec/nodeName").is_some() || holds("PodScheduled");
    let unscheduled = condition("PodScheduled")
        .filter(|_| !scheduled)
        .and_then(|condition| json::text(condition, "/message").or_else(|| json::text(condition, "/reason")))
        .map(|message| crop(message, 500));
    let finished = last.and_then(|last| json::time(last, "/finishedAt"));
    let owner = json::list(object, "/metadata/ownerReferences")
        .iter()
        .find(|owner| json::flag(owner, "/controller"));
    let (owner_kind, owner_name) = (
        owner.and_then(|owner| json::text(owner, "/kind")),
        owner.and_then(|owner| json::text(owner, "/name")),
    );
    Value::record(
        "Pod",
        vec![
            ("namespace", namespace.clone()),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("phase", Value::variant(phase)),
            ("status", Value::text(word(object, terminating, waiting, &statuses))),
            ("ready", Value::Bool(holds("Ready"))),
            ("restarts", Value::Int(restarts)),
            ("waiting_reason", json::maybe_text(waiting)),
            (
                "last_reason",
                json::maybe_text(last.and_then(|last| json::text(last, "/reason"))),
            ),
            (
                "last_exit_code",
                json::maybe_int(last.and_then(|last| json::int(last, "/exitCode"))),
            ),
            ("last_finished", json::maybe_time(finished)),
            (
                "since_last_finished",
                finished.map_or(Value::None, |finished| json::age(finished, now)),
            ),
            ("scheduled", Value::Bool(scheduled)),
            ("unscheduled_reason", json::maybe_text(unscheduled.as_deref())),
            ("terminating", Value::Bool(terminating)),
            ("node", json::maybe_text(json::text(object, "/spec/nodeName"))),
            ("owner_kind", json::maybe_text(owner_kind)),
            ("owner", json::maybe_text(owner_name)),
            ("workload", json::maybe_text(above(object, owner_kind, owner_name))),
            ("created", created),
            ("age", age),
            (
                "containers",
                Value::list(statuses.iter().map(|status| container(status)).collect()),
            ),
        ],
    )
}

/// How a container ended: now, or the last time.
fn termination(status: &Json) -> Option<&Json> {
    status
        .pointer("/state/terminated")
        .filter(|state| state.is_object())
        .or_else(|| {
            status
                .pointer("/lastState/terminated")
                .filter(|state| state.is_object())
        })
}

/// Why containers wait; one that is only being made counts least.
fn worst_waiting<'a>(statuses: &[&'a Json]) -> Option<&'a str> {
    let reasons = || {
        statuses
            .iter()
            .filter_map(|status| json::text(status, "/state/waiting/reason"))
    };
    reasons()
        .find(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))
        .or_else(|| reasons().next())
}

/// The word in listings.
fn word(object: &Json, terminating: bool, waiting: Option<&str>, statuses: &[&Json]) -> String {
    if terminating {
        return "Terminating".to_owned();
    }
    let ended = statuses
        .iter()
        .filter_map(|status| status.pointer("/state/terminated"))
        .filter_map(|state| json::text(state, "/reason"))
        .find(|reason| *reason != "Completed");
    waiting
        .or_else(|| json::text(object, "/status/reason"))
        .or(ended)
        .or_else(|| json::text(object, "/status/phase"))
        .unwrap_or("Unknown")
        .to_owned()
}

/// The workload above a pod: a replica set's name is that of its deployment and the hash of the template.
fn above<'a>(object: &'a Json, kind: Option<&str>, name: Option<&'a str>) -> Option<&'a str> {
    let name = name?;
    if kind != Some("ReplicaSet") {
        return Some(name);
    }
    let hash = json::text(object, "/metadata/labels/pod-template-hash")?;
    name.strip_suffix(hash)?.strip_suffix('-')
}

fn container(status: &Json) -> Value {
    let last = termination(status);
    let waiting = json::text(status, "/state/waiting/message").map(|message| crop(message, 500));
    Value::record(
        "Container",
        vec![
            ("name", json::must(status, "/name")),
            ("image", json::must(status, "/image")),
            ("ready", Value::Bool(json::flag(status, "/ready"))),
            ("restarts", Value::Int(json::int(status, "/restartCount").unwrap_or(0))),
            (
                "waiting_reason",
                json::maybe_text(json::text(status, "/state/waiting/reason")),
            ),
            ("waiting_message", json::maybe_text(waiting.as_deref())),
            (
                "last_reason",
                json::maybe_text(last.and_then(|last| json::text(last, "/reason"))),
            ),
            (
                "last_exit_code",
                json::maybe_int(last.and_then(|last| json::int(last, "/exitCode"))),
            ),
            (
                "last_finished",
                json::maybe_time(last.and_then(|last| json::time(last, "/finishedAt"))),
            ),
        ],
    )
}

/// `events.list`
pub async fn events(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let mut fields: Vec<String> = Vec::new();
    match arguments.maybe_text("type")? {
        Some("warning") => fields.push("type=Warning".to_owned()),
        Some("normal") => fields.push("type=Normal".to_owned()),
        _ => {}
    }
    if let Some(kind) = choice(arguments, "kind")? {
        fields.push(format!("involvedObject.kind={kind}"));
    }
    if let Some(name) = choice(arguments, "name")? {
        fields.push(format!("involvedObject.name={name}"));
    }
    let fields = fields.join(",");
    let query: Vec<(&str, &str)> = if fields.is_empty() {
        Vec::new()
    } else {
        vec![("fieldSelector", &fields)]
    };
    let at_most = arguments.limit("at_most", EVENTS)?;
    let newer_than = arguments.duration("newer_than")?;
    let path = place.path("v1", "events", None)?;
    let found = place.list(&path, &query, EVENTS).await?;
    let mut events: Vec<(Timestamp, &Json)> = found
        .items
        .iter()
        .filter_map(|object| latest(object).map(|last| (last, object)))
        .filter(|(last, _)| {
            (now.as_nanosecond() - last.as_nanosecond()) <= i128::try_from(newer_than.as_nanos()).unwrap_or(i128::MAX)
        })
        .collect();
    // The server cannot sort, and the last of its times is not filled in for all of them.
    events.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
    let truncated = found.truncated || events.len() > at_most;
    events.truncate(at_most);
    Ok(Value::List(Arc::new(List {
        items: events.iter().map(|(last, object)| event(object, *last, now)).collect(),
        truncated,
    })))
}

/// The latest of an event's times.
pub fn latest(object: &Json) -> Option<Timestamp> {
    [
        "/lastTimestamp",
        "/series/lastObservedTime",
        "/eventTime",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .filter_map(|pointer| json::time(object, pointer))
    .max()
}

/// An event as a record.
pub fn event(object: &Json, last: Timestamp, now: Timestamp) -> Value {
    let kind = match json::text(object, "/type") {
        Some("Warning") => Value::variant("warning"),
        Some("Normal") => Value::variant("normal"),
        _ => Value::unknown(Reason::Unparsable, "an event is neither normal nor a warning"),
    };
    let count = json::int(object, "/series/count").or_else(|| json::int(object, "/count"));
    let first = json::time(object, "/firstTimestamp").or_else(|| json::time(object, "/eventTime"));
    let source = json::text(object, "/reportingComponent")
        .filter(|source| !source.is_empty())
        .or_else(|| json::text(object, "/source/component"));
    let text = |pointer: &str, most: usize| Value::text(crop(json::text(object, pointer).unwrap_or_default(), most));
    Value::record(
        "Event",
        vec![
            ("type", kind),
            ("reason", text("/reason", 200)),
            ("message", text("/message", 2_000)),
            ("kind", text("/involvedObject/kind", 200)),
            ("object", text("/involvedObject/name", 253)),
            ("count", Value::Int(count.unwrap_or(1))),
            ("first", json::maybe_time(first)),
            ("last", Value::Time(last)),
            ("age", json::age(last, now)),
            ("source", Value::text(source.unwrap_or_default())),
        ],
    )
}

/// One container's log.
struct Log {
    pod: String,
    container: String,
    text: String,
    cut: bool,
    note: Option<String>,
}

/// `logs.tail`
pub async fn tail(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let (logs, truncated) = logs(place, arguments).await?;
    let items = logs
        .iter()
        .map(|log| {
            Value::record(
                "PodLog",
                vec![
                    ("pod", Value::text(log.pod.as_str())),
                    ("container", Value::text(log.container.as_str())),
                    ("lines", json::texts(log.text.lines().map(|line| crop(line, 4_000)))),
                    ("cut", Value::Bool(log.cut)),
                    ("note", json::maybe_text(log.note.as_deref())),
                ],
            )
        })
        .collect();
    Ok(Value::List(Arc::new(List { items, truncated })))
}

/// `logs.count`
pub async fn count(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let wanted = arguments.text("containing")?;
    if wanted.is_empty() {
        return Err(Failure::definite(
            Reason::Unparsable,
            "`containing` is empty, which every line contains",
        ));
    }
    let (logs, truncated) = logs(place, arguments).await?;
    let items = logs
        .iter()
        .map(|log| {
            let matching = log.text.lines().filter(|line| line.contains(wanted)).count() as i64;
            // What stands before the last lines was not looked at.
            let matching = if log.cut {
                Value::AtLeast(matching)
            } else {
                Value::Int(matching)
            };
            Value::record(
                "LogCount",
                vec![
                    ("pod", Value::text(log.pod.as_str())),
                    ("container", Value::text(log.container.as_str())),
                    ("count", matching),
                    ("of", Value::Int(log.text.lines().count() as i64)),
                    ("cut", Value::Bool(log.cut)),
                    ("note", json::maybe_text(log.note.as_deref())),
                ],
            )
        })
        .collect();
    Ok(Value::List(Arc::new(List { items, truncated })))
}

/// The logs of every container of every pod that is asked for, and whether there are more pods.
async fn logs(place: &Place<'_>, arguments: Arguments<'_>) -> Result<(Vec<Log>, bool), Failure> {
    let lines = arguments.limit("lines", 10_000)?;
    let at_most = arguments.limit("at_most", 100)?;
    let seconds = arguments.duration("newer_than")?.as_secs().max(1);
    let previous = arguments.flag("previous");
    let only = choice(arguments, "container")?;
    let (pods, truncated) = match (choice(arguments, "pod")?, choice(arguments, "selector")?) {
        (Some(name), None) => {
            let path = place.path("v1", "pods", Some(name))?;
            (vec![place.get(&path, &[]).await?], false)
        }
        (None, Some(selector)) => {
            let path = place.path("v1", "pods", None)?;
            let found = place.list(&path, &[("labelSelector", selector)], at_most).await?;
            (found.items, found.truncated)
        }
        _ => {
            return Err(Failure::definite(
                Reason::Unparsable,
                "either `pod` or `selector` says whose logs",
            ));
        }
    };
    let mut wanted: Vec<(String, String)> = Vec::new();
    for pod in &pods {
        let name = json::text(pod, "/metadata/name").unwrap_or_default();
        for container in json::list(pod, "/spec/containers") {
            let container = json::text(container, "/name").unwrap_or_default();
            if only.is_none_or(|only| only == container) {
                wanted.push((name.to_owned(), container.to_owned()));
            }
        }
    }
    if wanted.is_empty() && !pods.is_empty() {
        return Err(Failure::definite(
            Reason::Unavailable,
            "none of these pods has a container of this name",
        ));
    }
    let (lines_text, seconds, bytes) = (lines.to_string(), seconds.to_string(), LOG.to_string());
    let options = Options {
        lines: &lines_text,
        most: lines,
        seconds: &seconds,
        bytes: &bytes,
        previous,
    };
    let mut logs = Vec::new();
    for group in wanted.chunks(AT_ONCE) {
        let asked = group
            .iter()
            .map(|(pod, container)| log(place, pod, container, &options));
        for log in futures::future::join_all(asked).await {
            logs.push(log?);
        }
    }
    Ok((logs, truncated))
}

/// How much of a log is asked for.
struct Options<'a> {
    lines: &'a str,
    most: usize,
    seconds: &'a str,
    bytes: &'a str,
    previous: bool,
}

async fn log(place: &Place<'_>, pod: &str, container: &str, options: &Options<'_>) -> Result<Log, Failure> {
    let path = format!("{}/log", place.path("v1", "pods", Some(pod))?);
    let mut query = vec![
        ("container", container),
        ("tailLines", options.lines),
        ("sinceSeconds", options.seconds),
        ("limitBytes", options.bytes),
    ];
    if options.previous {
        query.push(("previous", "true"));
    }
    let mut log = Log {
        pod: pod.to_owned(),
        container: container.to_owned(),
        text: String::new(),
        cut: false,
        note: None,
    };
    match place.text(&path, &query).await {
        Ok(text) => {
            log.cut = text.lines().count() >= options.most || text.len() >= LOG;
            log.text = text;
        }
        // The container has not begun, or there was no earlier one: that is the answer. Everything else is no answer.
        Err(failure) if failure.refusal == Refusal::BadRequest => log.note = Some(failure.unknown.detail),
        Err(failure) if failure.refusal == Refusal::Missing => log.note = Some("the pod is gone".to_owned()),
        Err(failure) => return Err(failure),
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::{latest, named, pod};
    use crate::value::{List, Value};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn the_newest_of_an_events_times_counts() {
        let object = json!({
            "metadata": {"creationTimestamp": "2026-11-22T01:00:00Z"},
            "lastTimestamp": null,
            "eventTime": "2026-11-22T01:00:00.5Z",
            "series": {"lastObservedTime": "2026-11-22T02:00:00.000001Z"},
        });
        assert_eq!(latest(&object).unwrap().to_string(), "2026-11-22T02:00:00.000001Z");
        assert_eq!(latest(&json!({})), None);
    }

    #[test]
    fn a_pod_shows_its_worst_container() {
        let object = json!({
            "metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-11-22T01:00:00Z",
                "labels": {"pod-template-hash": "abc"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-abc", "controller": true}]},
            "spec": {"nodeName": "n"},
            "status": {"phase": "Running", "containerStatuses": [
                {"name": "side", "image": "s", "ready": true, "restartCount": 0, "state": {"running": {}}},
                {"name": "web", "image": "w", "ready": false, "restartCount": 4,
                 "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-22T01:30:00Z"}}},
            ]},
        });
        let namespace = Value::text("shop");
        let value = pod(&namespace, &object, "2026-11-22T02:00:00Z".parse().unwrap());
        let record = value.as_record().unwrap();
        let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(text("status"), "CrashLoopBackOff");
        assert_eq!(text("last_reason"), "OOMKilled");
        assert_eq!(text("workload"), "web");
        assert_eq!(record.get("restarts"), Some(&Value::Int(4)));
        assert_eq!(record.get("last_exit_code"), Some(&Value::Int(137)));
        assert_eq!(
            record.get("since_last_finished"),
            Some(&Value::Duration(1_800_000_000_000))
        );
    }

    #[test]
    fn a_list_that_was_cut_names_no_pods() {
        let cut = Value::List(Arc::new(List {
            items: Vec::new(),
            truncated: true,
        }));
        assert!(named(&cut).is_err());
        assert!(named(&Value::list(vec![Value::text("p")])).is_err());
    }
}
