//! Nodes, what is asked of them, metrics, the server itself, and what this login may do.

use super::config::Role;
use super::exchange::Place;
use super::failure::{Failure, Refusal, crop};
use super::json::{self, Json};
use super::{choice, listed};
use crate::providers::arguments::Arguments;
use crate::value::{List, Reason, Value};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `version`
pub async fn version(place: &Place<'_>) -> Result<Value, Failure> {
    let found = place.get("/version", &[]).await?;
    Ok(Value::record(
        "Version",
        vec![
            ("version", json::must(&found, "/gitVersion")),
            ("platform", json::must(&found, "/platform")),
        ],
    ))
}

/// `access.check`
pub async fn access(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let (resource, subresource) = match arguments.text("resource")?.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (arguments.text("resource")?, None),
    };
    let (group, version) = arguments.text("api")?.split_once('/').unwrap_or(("", "v1"));
    let mut attributes = serde_json::json!({
        "namespace": place.namespace,
        "verb": arguments.text("verb")?,
        "group": group,
        "version": version,
        "resource": resource,
    });
    if let Some(subresource) = subresource {
        attributes["subresource"] = subresource.into();
    }
    if let Some(name) = choice(arguments, "name")? {
        attributes["name"] = name.into();
    }
    let role = if arguments.flag("for_changes") {
        Role::Change
    } else {
        Role::Read
    };
    let body = serde_json::json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    });
    let answer = place
        .review(role, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body)
        .await?;
    access_value(&answer)
}

/// The answer of a review as a record.
pub fn access_value(answer: &Json) -> Result<Value, Failure> {
    let Some(allowed) = answer.pointer("/status/allowed").and_then(Json::as_bool) else {
        return Err(Failure::definite(
            Reason::Unparsable,
            "the server does not say whether it is allowed",
        ));
    };
    Ok(Value::record(
        "Access",
        vec![
            ("allowed", Value::Bool(allowed)),
            (
                "reason",
                json::maybe_text(
                    json::text(answer, "/status/reason")
                        .map(|reason| crop(reason, 500))
                        .as_deref(),
                ),
            ),
        ],
    ))
}

/// `nodes.list`
pub async fn nodes(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let items = place
        .list("/api/v1/nodes", &[], arguments.limit("at_most", 5_000)?)
        .await?;
    Ok(listed(&items, |object| node(arguments.value("cluster"), object, now)))
}

/// `nodes.get`
pub async fn one_node(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let path = place.path("v1", "nodes", Some(arguments.text("name")?))?;
    let object = place.get(&path, &[]).await?;
    Ok(node(arguments.value("cluster"), &object, now))
}

/// A node as a record.
pub fn node(cluster: &Value, object: &Json, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let conditions = json::list(object, "/status/conditions");
    let ready = conditions
        .iter()
        .find(|condition| json::text(condition, "/type") == Some("Ready"));
    // A node that has fallen silent is `Unknown`, which is not ready.
    let is_ready = ready.is_some_and(|condition| json::text(condition, "/status") == Some("True"));
    let reason = ready
        .filter(|_| !is_ready)
        .and_then(|condition| json::text(condition, "/reason"));
    let pressure = conditions
        .iter()
        .filter(|condition| json::text(condition, "/status") == Some("True"))
        .filter_map(|condition| json::text(condition, "/type"))
        .filter(|kind| *kind != "Ready");
    let taints = json::list(object, "/spec/taints").iter().map(|taint| {
        let part = |pointer: &str| json::text(taint, pointer).unwrap_or_default();
        match part("/value") {
            "" => format!("{}:{}", part("/key"), part("/effect")),
            value => format!("{}={value}:{}", part("/key"), part("/effect")),
        }
    });
    let address = json::list(object, "/status/addresses")
        .iter()
        .find(|address| json::text(address, "/type") == Some("InternalIP"))
        .and_then(|address| json::text(address, "/address"));
    let unknown = || Value::unknown(Reason::Unparsable, "the node does not say how much it has");
    Value::record(
        "Node",
        vec![
            ("cluster", cluster.clone()),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("ready", Value::Bool(is_ready)),
            ("reason", json::maybe_text(reason)),
            ("schedulable", Value::Bool(!json::flag(object, "/spec/unschedulable"))),
            ("version", json::must(object, "/status/nodeInfo/kubeletVersion")),
            ("address", json::maybe_text(address)),
            (
                "zone",
                json::maybe_text(json::text(object, "/metadata/labels/topology.kubernetes.io~1zone")),
            ),
            (
                "cpu",
                json::amount(object, "/status/allocatable/cpu").map_or_else(unknown, Value::float),
            ),
            (
                "memory",
                json::amount(object, "/status/allocatable/memory").map_or_else(unknown, json::bytes),
            ),
            (
                "pods",
                json::amount(object, "/status/allocatable/pods").map_or_else(unknown, |pods| Value::Int(pods as i64)),
            ),
            ("pressure", json::texts(pressure)),
            ("taints", json::texts(taints)),
            ("created", created),
            ("age", age),
        ],
    )
}

/// Sums of what the pods of a node ask for.
#[derive(Clone, Copy, Default)]
struct Sum {
    pods: i64,
    cpu: f64,
    cpu_limits: f64,
    memory: f64,
    memory_limits: f64,
}

/// What a pod asks for: its containers together with the first ones that stay beside them, or one of the others of the first, with those that
/// stay before it, when that is more. Its overhead is added where anything is asked for at all.
fn asked(pod: &Json, pointer: &str) -> f64 {
    let of = |container: &Json| json::amount(container, pointer).unwrap_or(0.0);
    let together: f64 = json::list(pod, "/spec/containers").iter().map(of).sum();
    let (mut staying, mut first) = (0.0_f64, 0.0_f64);
    for container in json::list(pod, "/spec/initContainers") {
        if json::text(container, "/restartPolicy") == Some("Always") {
            staying += of(container);
            first = first.max(staying);
        } else {
            first = first.max(staying + of(container));
        }
    }
    let whole = (together + staying).max(first);
    let resource = pointer.rsplit('/').next().unwrap_or_default();
    let overhead = json::amount(pod, &format!("/spec/overhead/{resource}")).unwrap_or(0.0);
    if whole > 0.0 || pointer.contains("/requests/") {
        whole + overhead
    } else {
        0.0
    }
}

/// `nodes.allocation`
pub async fn allocation(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let at_most = arguments.limit("at_most", 5_000)?;
    let nodes = place.list("/api/v1/nodes", &[], at_most).await?;
    let running = "status.phase!=Succeeded,status.phase!=Failed";
    let pods = place
        .list("/api/v1/pods", &[("fieldSelector", running)], 50_000)
        .await?;
    if pods.truncated {
        return Err(Failure::definite(Reason::Truncated, "more than 50000 pods"));
    }
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for pod in &pods.items {
        let Some(node) = json::text(pod, "/spec/nodeName") else {
            continue;
        };
        let sum = sums.entry(node).or_default();
        sum.pods += 1;
        sum.cpu += asked(pod, "/resources/requests/cpu");
        sum.cpu_limits += asked(pod, "/resources/limits/cpu");
        sum.memory += asked(pod, "/resources/requests/memory");
        sum.memory_limits += asked(pod, "/resources/limits/memory");
    }
    let mut rows: Vec<(f64, Value)> = nodes
        .items
        .iter()
        .map(|node| {
            let name = json::text(node, "/metadata/name").unwrap_or_default();
            let sum = sums.get(name).copied().unwrap_or_default();
            let share = |part: f64, pointer: &str| match json::amount(node, pointer) {
                Some(whole) if whole > 0.0 => part / whole,
                _ => f64::NAN,
            };
            let (cpu, memory) = (
                share(sum.cpu, "/status/allocatable/cpu"),
                share(sum.memory, "/status/allocatable/memory"),
            );
            let value = Value::record(
                "Allocation",
                vec![
                    ("node", Value::text(name)),
                    ("pods", Value::Int(sum.pods)),
                    ("cpu_requested", Value::float(sum.cpu)),
                    ("cpu_share", Value::ratio(cpu)),
                    ("cpu_limits", Value::float(sum.cpu_limits)),
                    ("memory_requested", json::bytes(sum.memory)),
                    ("memory_share", Value::ratio(memory)),
                    ("memory_limits", json::bytes(sum.memory_limits)),
                ],
            );
            (memory, value)
        })
        .collect();
    rows.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    Ok(Value::List(Arc::new(List {
        items: rows.into_iter().map(|(_, value)| value).collect(),
        truncated: nodes.truncated,
    })))
}

const METRICS: &str = "metrics.k8s.io/v1beta1";

/// A cluster without metrics does not know this kind of objects; that is no empty list.
fn without_metrics(failure: Failure) -> Failure {
    if failure.refusal == Refusal::NoSuchKind {
        Failure::definite(Reason::Unavailable, "this cluster has no metrics API")
    } else {
        failure
    }
}

/// `top.pods`
pub async fn top_pods(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let selector = choice(arguments, "selector")?;
    let query: Vec<_> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    let items = place
        .list(
            &place.path(METRICS, "pods", None)?,
            &query,
            arguments.limit("at_most", 5_000)?,
        )
        .await
        .map_err(without_metrics)?;
    Ok(listed(&items, |object| {
        let unknown = || Value::unknown(Reason::Unparsable, "the metrics of a container cannot be read");
        // What one container uses is not zero because nobody says it.
        let sum = |pointer: &str| {
            let each = json::list(object, "/containers").iter();
            each.map(|container| json::amount(container, pointer))
                .sum::<Option<f64>>()
        };
        Value::record(
            "PodUse",
            vec![
                ("pod", json::must(object, "/metadata/name")),
                ("cpu", sum("/usage/cpu").map_or_else(unknown, Value::float)),
                ("memory", sum("/usage/memory").map_or_else(unknown, json::bytes)),
            ],
        )
    }))
}

/// `top.nodes`: what is used, and its share of what pods may have of the node. Without a right to list nodes the shares are unknown.
pub async fn top_nodes(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let at_most = arguments.limit("at_most", 5_000)?;
    let items = place
        .list(&place.path(METRICS, "nodes", None)?, &[], at_most)
        .await
        .map_err(without_metrics)?;
    let nodes = place.list("/api/v1/nodes", &[], at_most).await;
    let by_name: BTreeMap<Option<&str>, &Json> = match &nodes {
        Ok(nodes) => nodes
            .items
            .iter()
            .map(|node| (json::text(node, "/metadata/name"), node))
            .collect(),
        Err(_) => BTreeMap::new(),
    };
    let share = |name: Option<&str>, part: Option<f64>, pointer: &str| {
        if let Err(failure) = &nodes {
            return Value::Unknown(Arc::new(failure.unknown.clone()));
        }
        let node = by_name.get(&name);
        match (part, node.and_then(|node| json::amount(node, pointer))) {
            (Some(part), Some(whole)) if whole > 0.0 => Value::ratio(part / whole),
            _ => Value::unknown(Reason::Missing, "nobody says how much of the node pods may have"),
        }
    };
    Ok(listed(&items, |object| {
        let unknown = || Value::unknown(Reason::Unparsable, "the metrics of a node cannot be read");
        let name = json::text(object, "/metadata/name");
        let (cpu, memory) = (
            json::amount(object, "/usage/cpu"),
            json::amount(object, "/usage/memory"),
        );
        Value::record(
            "NodeUse",
            vec![
                ("node", json::must(object, "/metadata/name")),
                ("cpu", cpu.map_or_else(unknown, Value::float)),
                ("cpu_share", share(name, cpu, "/status/allocatable/cpu")),
                ("memory", memory.map_or_else(unknown, json::bytes)),
                ("memory_share", share(name, memory, "/status/allocatable/memory")),
            ],
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn a_pod_asks_for_its_containers_together_or_its_largest_first_one() {
        let pod = serde_json::json!({"spec": {
            "containers": [{"resources": {"requests": {"cpu": "250m"}}}, {"resources": {"requests": {"cpu": "0.5"}}}, {}],
            "initContainers": [{"resources": {"requests": {"cpu": "1"}}}],
            "overhead": {"cpu": "100m"},
        }});
        assert!((asked(&pod, "/resources/requests/cpu") - 1.1).abs() < 1e-9);
        assert!(asked(&pod, "/resources/requests/memory").abs() < 1e-9);
        assert!(asked(&pod, "/resources/limits/cpu").abs() < 1e-9, "no limit is none");
    }

    #[test]
    fn first_containers_that_stay_are_added_and_those_behind_them_run_beside_them() {
        let container = |cpu: &str, stays: bool| {
            let policy = if stays {
                serde_json::json!("Always")
            } else {
                serde_json::Value::Null
            };
            serde_json::json!({"restartPolicy": policy, "resources": {"requests": {"cpu": cpu}}})
        };
        let pod = |first: &[serde_json::Value]| serde_json::json!({"spec": {"containers": [container("1", false)], "initContainers": first}});
        let cpu = |first: &[serde_json::Value]| asked(&pod(first), "/resources/requests/cpu");
        assert!((cpu(&[container("200m", true), container("300m", true)]) - 1.5).abs() < 1e-9);
        // It runs while the one before it is there already.
        assert!((cpu(&[container("200m", true), container("2", false)]) - 2.2).abs() < 1e-9);
        assert!((cpu(&[container("2", false), container("200m", true)]) - 2.0).abs() < 1e-9);
    }
}
