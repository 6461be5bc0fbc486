//! Workloads, how far their rollouts are, and the revisions of deployments.

use super::exchange::Place;
use super::failure::{Failure, crop};
use super::json::{self, Json};
use super::{choice, listed};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use jiff::Timestamp;

/// The kinds whose pods a controller replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    /// The kind of this word of `WorkloadKind`.
    pub fn of(word: &str) -> Option<Self> {
        [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// The word of `WorkloadKind`.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Deployment => "deployment",
            Kind::StatefulSet => "stateful_set",
            Kind::DaemonSet => "daemon_set",
        }
    }

    /// The plural in paths.
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Deployment => "deployments",
            Kind::StatefulSet => "statefulsets",
            Kind::DaemonSet => "daemonsets",
        }
    }
}

/// A workload of a call: where it is, and which one it must be.
#[derive(Clone, Debug)]
pub struct Target {
    pub namespace: Value,
    pub kind: Kind,
    pub name: String,
    pub uid: String,
    pub selector: String,
}

impl Target {
    /// Reads the record of a call.
    pub fn of(arguments: Arguments) -> Result<Self, Failure> {
        let odd = || {
            Failure::definite(
                Reason::Unparsable,
                "the workload lacks its namespace, kind, name or `uid`",
            )
        };
        let record = arguments.record("workload")?;
        let text = |field: &str| {
            record
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        Ok(Self {
            namespace: record.get("namespace").cloned().ok_or_else(odd)?,
            kind: text("kind").and_then(Kind::of).ok_or_else(odd)?,
            name: text("name").ok_or_else(odd)?.to_owned(),
            uid: text("uid").ok_or_else(odd)?.to_owned(),
            selector: text("selector").unwrap_or_default().to_owned(),
        })
    }

    /// The path of the workload.
    pub fn path(&self, place: &Place<'_>) -> Result<String, Failure> {
        place.path("apps/v1", self.kind.resource(), Some(&self.name))
    }

    /// The workload as it is now, if it still is that one.
    pub async fn object(&self, place: &Place<'_>) -> Result<Json, Failure> {
        let object = place.get(&self.path(place)?, &[]).await?;
        same(&object, &self.uid, &self.name)?;
        Ok(object)
    }
}

/// Refuses an object that only has the name of the one that is meant.
pub fn same(object: &Json, uid: &str, name: &str) -> Result<(), Failure> {
    if json::text(object, "/metadata/uid") == Some(uid) {
        Ok(())
    } else {
        Err(Failure::definite(
            Reason::Unavailable,
            format!("`{name}` is another object by now: it was deleted and made again"),
        ))
    }
}

/// `workloads.get`
pub async fn get(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let kind = kind(arguments)?;
    let path = place.path("apps/v1", kind.resource(), Some(arguments.text("name")?))?;
    let object = place.get(&path, &[]).await?;
    Ok(workload(arguments.value("namespace"), kind, &object, now))
}

/// `workloads.list`
pub async fn list(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let kind = kind(arguments)?;
    let path = place.path("apps/v1", kind.resource(), None)?;
    let selector = choice(arguments, "selector")?;
    let query: Vec<_> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    let items = place.list(&path, &query, arguments.limit("at_most", 5_000)?).await?;
    let namespace = arguments.value("namespace");
    Ok(listed(&items, |object| workload(namespace, kind, object, now)))
}

fn kind(arguments: Arguments) -> Result<Kind, Failure> {
    Kind::of(arguments.text("kind")?)
        .ok_or_else(|| Failure::definite(Reason::Unparsable, "`kind` is none of the kinds of workloads"))
}

/// A workload as a record.
pub fn workload(namespace: &Value, kind: Kind, object: &Json, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let count = |pointer: &str| json::int(object, pointer).unwrap_or(0);
    let (replicas, updated, ready, available) = match kind {
        Kind::DaemonSet => (
            count("/status/desiredNumberScheduled"),
            count("/status/updatedNumberScheduled"),
            count("/status/numberReady"),
            count("/status/numberAvailable"),
        ),
        _ => (
            // The server writes the default of 1 itself.
            json::int(object, "/spec/replicas").unwrap_or(1),
            count("/status/updatedReplicas"),
            count("/status/readyReplicas"),
            count("/status/availableReplicas"),
        ),
    };
    let state = state(kind, object);
    let trouble = trouble(object, state);
    let containers = json::list(object, "/spec/template/spec/containers")
        .iter()
        .map(container)
        .collect();
    Value::record(
        "Workload",
        vec![
            ("namespace", namespace.clone()),
            ("kind", Value::variant(kind.word())),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("generation", Value::Int(count("/metadata/generation"))),
            ("created", created),
            ("age", age),
            ("state", Value::variant(state)),
            (
                "reason",
                json::maybe_text(trouble.and_then(|of| json::text(of, "/reason"))),
            ),
            (
                "message",
                json::maybe_text(trouble.and_then(|of| json::text(of, "/message"))),
            ),
            ("replicas", Value::Int(replicas)),
            ("updated", Value::Int(updated)),
            ("ready", Value::Int(ready)),
            ("available", Value::Int(available)),
            ("revision", json::maybe_int(revision_number(object))),
            ("paused", Value::Bool(json::flag(object, "/spec/paused"))),
            (
                "selector",
                Value::text(json::selector(object.pointer("/spec/selector").unwrap_or(&Json::Null))),
            ),
            ("containers", Value::list(containers)),
        ],
    )
}

fn container(container: &Json) -> Value {
    let amount = |pointer: &str| json::amount(container, pointer);
    let cores = |pointer: &str| amount(pointer).map_or(Value::None, Value::float);
    let memory = |pointer: &str| amount(pointer).map_or(Value::None, json::bytes);
    Value::record(
        "ContainerSpec",
        vec![
            ("name", json::must(container, "/name")),
            ("image", json::must(container, "/image")),
            ("cpu_request", cores("/resources/requests/cpu")),
            ("cpu_limit", cores("/resources/limits/cpu")),
            ("memory_request", memory("/resources/requests/memory")),
            ("memory_limit", memory("/resources/limits/memory")),
        ],
    )
}

fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    json::list(object, "/status/conditions")
        .iter()
        .find(|condition| json::text(condition, "/type") == Some(kind))
}

/// The word of `RolloutState`. Complete is: the controller has seen the last change, and every pod that is wanted is of the last
/// revision, there and available. Pods that are still ending do not count.
pub fn state(kind: Kind, object: &Json) -> &'static str {
    let count = |pointer: &str| json::int(object, pointer).unwrap_or(0);
    if count("/status/observedGeneration") < count("/metadata/generation") {
        return "unobserved";
    }
    let complete = match kind {
        Kind::Deployment => {
            let wanted = json::int(object, "/spec/replicas").unwrap_or(1);
            count("/status/updatedReplicas") == wanted
                && count("/status/replicas") == wanted
                && count("/status/availableReplicas") == wanted
        }
        Kind::StatefulSet => {
            let wanted = json::int(object, "/spec/replicas").unwrap_or(1);
            let held_back = count("/spec/updateStrategy/rollingUpdate/partition").clamp(0, wanted);
            let by_hand = json::text(object, "/spec/updateStrategy/type") == Some("OnDelete");
            let renewed = json::text(object, "/status/currentRevision") == json::text(object, "/status/updateRevision")
                || (held_back > 0 && count("/status/updatedReplicas") >= wanted - held_back);
            count("/status/readyReplicas") == wanted && count("/status/replicas") == wanted && (renewed || by_hand)
        }
        Kind::DaemonSet => {
            let wanted = count("/status/desiredNumberScheduled");
            let by_hand = json::text(object, "/spec/updateStrategy/type") == Some("OnDelete");
            count("/status/numberAvailable") == wanted && (count("/status/updatedNumberScheduled") == wanted || by_hand)
        }
    };
    let stuck = condition(object, "Progressing").is_some_and(|condition| {
        json::text(condition, "/status") == Some("False")
            && json::text(condition, "/reason") == Some("ProgressDeadlineExceeded")
    });
    if json::flag(object, "/spec/paused") {
        "paused"
    } else if complete {
        "complete"
    } else if stuck {
        "stuck"
    } else {
        "progressing"
    }
}

/// The condition that says what is in the way.
fn trouble<'a>(object: &'a Json, state: &str) -> Option<&'a Json> {
    let failing = condition(object, "ReplicaFailure").filter(|of| json::text(of, "/status") == Some("True"));
    failing.or_else(|| condition(object, "Progressing").filter(|_| state == "stuck" || state == "paused"))
}

const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

fn revision_number(object: &Json) -> Option<i64> {
    json::text(object, REVISION)?.parse().ok()
}

/// `rollout.history`, `rollout.current`, `rollout.previous`
pub async fn rollout(
    what: &str,
    place: &Place<'_>,
    arguments: Arguments<'_>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let deployment = target.object(place).await?;
    let history = history(place, &target, &deployment).await?;
    let current = revision_number(&deployment);
    let value = |object: &Json| revision(object, current, now);
    match what {
        "rollout.history" => Ok(Value::list(history.iter().map(value).collect())),
        "rollout.current" => history
            .iter()
            .find(|object| current.is_some() && revision_number(object) == current)
            .map(value)
            .ok_or_else(|| Failure::definite(Reason::Missing, "the deployment has no revision yet")),
        _ => history
            .iter()
            .find(|object| revision_number(object) < current)
            .map(value)
            .ok_or_else(|| Failure::definite(Reason::Missing, "the history holds no earlier revision")),
    }
}

/// The replica sets of a deployment with a revision, newest first.
async fn history(place: &Place<'_>, target: &Target, deployment: &Json) -> Result<Vec<Json>, Failure> {
    only_deployments(target)?;
    let selector = json::selector(deployment.pointer("/spec/selector").unwrap_or(&Json::Null));
    let path = place.path("apps/v1", "replicasets", None)?;
    let found = place.list(&path, &[("labelSelector", &selector)], 5_000).await?;
    if found.truncated {
        return Err(Failure::definite(Reason::Truncated, "more than 5000 replica sets"));
    }
    let mut history: Vec<Json> = found
        .items
        .into_iter()
        .filter(|object| owned_by(object, &target.uid) && revision_number(object).is_some())
        .collect();
    history.sort_by_key(|object| std::cmp::Reverse(revision_number(object)));
    Ok(history)
}

fn owned_by(object: &Json, uid: &str) -> bool {
    json::list(object, "/metadata/ownerReferences")
        .iter()
        .any(|owner| json::text(owner, "/uid") == Some(uid))
}

/// Refuses what only deployments can.
pub fn only_deployments(target: &Target) -> Result<(), Failure> {
    if target.kind == Kind::Deployment {
        Ok(())
    } else {
        Err(Failure::definite(
            Reason::Unavailable,
            "only deployments have this; a stateful or daemon set has not",
        ))
    }
}

/// A revision as a record.
pub fn revision(object: &Json, current: Option<i64>, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let number = revision_number(object);
    let images = json::list(object, "/spec/template/spec/containers")
        .iter()
        .filter_map(|container| json::text(container, "/image"));
    let cause = json::text(object, "/metadata/annotations/kubernetes.io~1change-cause").map(|cause| crop(cause, 500));
    Value::record(
        "Revision",
        vec![
            (
                "number",
                number.map_or_else(
                    || Value::unknown(Reason::Unparsable, "a revision has no number"),
                    Value::Int,
                ),
            ),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("created", created),
            ("age", age),
            ("images", json::texts(images)),
            ("change_cause", json::maybe_text(cause.as_deref())),
            ("current", Value::Bool(number.is_some() && number == current)),
            ("replicas", Value::Int(json::int(object, "/spec/replicas").unwrap_or(0))),
        ],
    )
}

/// `scale.get`
pub async fn scale(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    if target.kind == Kind::DaemonSet {
        return Err(Failure::definite(
            Reason::Unavailable,
            "a daemon set has one pod per node and no scale",
        ));
    }
    let path = format!("{}/scale", target.path(place)?);
    let scale = place.get(&path, &[]).await?;
    same(&scale, &target.uid, &target.name)?;
    Ok(scale_value(&scale))
}

/// A scale as a record.
pub fn scale_value(scale: &Json) -> Value {
    Value::record(
        "Scale",
        vec![
            // The server leaves a zero out.
            ("replicas", Value::Int(json::int(scale, "/spec/replicas").unwrap_or(0))),
            ("running", Value::Int(json::int(scale, "/status/replicas").unwrap_or(0))),
        ],
    )
}

/// The container of this name in a workload's template.
pub fn container_of<'a>(object: &'a Json, name: &str) -> Result<&'a Json, Failure> {
    json::list(object, "/spec/template/spec/containers")
        .iter()
        .find(|container| json::text(container, "/name") == Some(name))
        .ok_or_else(|| Failure::definite(Reason::Unavailable, "the workload has no container of this name"))
}

/// `images.get`, `resources.cpu`, `resources.memory`, `environment.get`
pub async fn of_container(what: &str, place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let object = target.object(place).await?;
    let name = arguments.text("container")?;
    let container = container_of(&object, name)?;
    match what {
        "images.get" => Ok(Value::record(
            "Image",
            vec![
                ("container", Value::text(name)),
                ("image", json::must(container, "/image")),
            ],
        )),
        "resources.cpu" => Ok(bounds("CpuBounds", container, "cpu", Value::float)),
        "resources.memory" => Ok(bounds("MemoryBounds", container, "memory", json::bytes)),
        _ => {
            let variable = arguments.text("name")?;
            let value = variable_of(container, variable)?.map_or(Value::None, Value::text);
            Ok(Value::record(
                "Variable",
                vec![("name", Value::text(variable)), ("value", value)],
            ))
        }
    }
}

/// What a container asks for and may use at most of one thing.
fn bounds(record: &str, container: &Json, of: &str, value: fn(f64) -> Value) -> Value {
    let amount = |list: &str| match container.pointer(&format!("/resources/{list}/{of}")) {
        None | Some(Json::Null) => Value::None,
        Some(_) => json::amount(container, &format!("/resources/{list}/{of}")).map_or_else(
            || Value::unknown(Reason::Unparsable, "an amount that cannot be read"),
            value,
        ),
    };
    Value::record(
        record,
        vec![("request", amount("requests")), ("limit", amount("limits"))],
    )
}

/// The value of a variable that a container is given, if it is given as a text.
///
/// # Errors
/// When its value comes from elsewhere.
pub fn variable_of<'a>(container: &'a Json, name: &str) -> Result<Option<&'a str>, Failure> {
    let Some(variable) = json::list(container, "/env")
        .iter()
        .find(|variable| json::text(variable, "/name") == Some(name))
    else {
        return Ok(None);
    };
    if variable.get("valueFrom").is_some_and(|from| !from.is_null()) {
        return Err(Failure::definite(
            Reason::Unavailable,
            "this variable takes its value from elsewhere",
        ));
    }
    // The server leaves an empty text out.
    Ok(Some(json::text(variable, "/value").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{Kind, state};
    use serde_json::json;

    fn deployment(changes: &[(&str, serde_json::Value)]) -> serde_json::Value {
        let mut object = json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": 3},
            "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
                       "terminatingReplicas": 1, "conditions": []},
        });
        for (pointer, value) in changes {
            *object.pointer_mut(pointer).unwrap() = value.clone();
        }
        object
    }

    #[test]
    fn complete_is_seen_renewed_and_available() {
        let of = |changes: &[(&str, serde_json::Value)]| state(Kind::Deployment, &deployment(changes));
        assert_eq!(of(&[]), "complete");
        assert_eq!(of(&[("/status/observedGeneration", json!(1))]), "unobserved");
        assert_eq!(of(&[("/status/replicas", json!(4))]), "progressing");
        assert_eq!(of(&[("/status/updatedReplicas", json!(1))]), "progressing");
        assert_eq!(of(&[("/status/availableReplicas", json!(2))]), "progressing");
        let late = json!([{"type": "Available", "status": "True"},
                          {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        let stuck = [
            ("/status/conditions", late.clone()),
            ("/status/updatedReplicas", json!(1)),
        ];
        assert_eq!(of(&stuck), "stuck");
        // Not looked at yet: what the conditions say is about an earlier change.
        let before = [("/status/conditions", late), ("/status/observedGeneration", json!(1))];
        assert_eq!(of(&before), "unobserved");
    }

    #[test]
    fn a_stateful_set_is_complete_when_its_revisions_agree() {
        let object = |current: &str| {
            json!({
                "metadata": {"generation": 1}, "spec": {"replicas": 2},
                "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2,
                           "currentRevision": current, "updateRevision": "b"},
            })
        };
        assert_eq!(state(Kind::StatefulSet, &object("b")), "complete");
        assert_eq!(state(Kind::StatefulSet, &object("a")), "progressing");
    }
}
