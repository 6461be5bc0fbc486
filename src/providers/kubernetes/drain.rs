//! Emptying a node: no new pods, and those that run there are moved elsewhere as their disruption budgets allow.

use super::connection::Deadline;
use super::exchange::Place;
use super::failure::Failure;
use super::json::{self, Json};
use super::pods::Named;
use super::watch::{Seen, Watch};
use super::writes::{Fared, Moved, NodeOf, after, one_pod};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Pods of one node that are looked at.
const PODS: usize = 1_000;

/// How long a budget that has nothing left is given before it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kept for the last look.
const LAST: Duration = Duration::from_millis(1_500);

/// The pods of a node, by what becomes of them.
#[derive(Debug, Default)]
struct Sorted {
    /// To be moved, with their namespaces.
    movable: Vec<(String, Named)>,
    of_daemon_sets: i64,
    of_the_node: i64,
    /// Nothing would make them again.
    unmanaged: Vec<String>,
    /// They keep something on the node.
    local: Vec<String>,
}

fn sorted<'a>(pods: impl IntoIterator<Item = &'a Json>) -> Sorted {
    let mut sorted = Sorted::default();
    for pod in pods {
        let text = |pointer: &str| json::text(pod, pointer).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let owner = json::list(pod, "/metadata/ownerReferences")
            .iter()
            .find(|owner| json::flag(owner, "/controller"));
        // A pod that the node runs from a file of its own: the server shows an image of it.
        if pod
            .pointer("/metadata/annotations/kubernetes.io~1config.mirror")
            .is_some()
        {
            sorted.of_the_node += 1;
            continue;
        }
        if owner.and_then(|owner| json::text(owner, "/kind")) == Some("DaemonSet") {
            sorted.of_daemon_sets += 1;
            continue;
        }
        let ended = matches!(text("/status/phase"), "Succeeded" | "Failed");
        let full = format!("{namespace}/{name}");
        if owner.is_none() && !ended {
            sorted.unmanaged.push(full.clone());
        }
        let local = json::list(pod, "/spec/volumes")
            .iter()
            .any(|volume| volume.get("emptyDir").is_some_and(|of| !of.is_null()));
        if local && !ended {
            sorted.local.push(full);
        }
        sorted.movable.push((
            namespace.to_owned(),
            Named {
                name: name.to_owned(),
                uid: text("/metadata/uid").to_owned(),
            },
        ));
    }
    sorted
}

/// Without all three nobody can tell whether a pod has gone.
fn nameless((namespace, pod): &(String, Named)) -> bool {
    namespace.is_empty() || pod.name.is_empty() || pod.uid.is_empty()
}

fn refuse(what: &str, pods: &[String], but: &str) -> Failure {
    let mut names = pods.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if pods.len() > 5 {
        names.push_str(", …");
    }
    Failure::definite(
        Reason::Unavailable,
        format!(
            "nothing was done: {} pods {what} ({names}); `{but}: true` moves them all the same",
            pods.len()
        ),
    )
}

/// `nodes.drain`
pub async fn drain(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let node = NodeOf::of(arguments)?;
    let object = node.object(place).await?;
    let on = format!("spec.nodeName={}", node.name);
    let query = [("fieldSelector", on.as_str())];
    let found = place.list("/api/v1/pods", &query, PODS).await?;
    if found.truncated {
        return Err(Failure::definite(
            Reason::Truncated,
            format!("more than {PODS} pods on one node"),
        ));
    }
    let sorted = sorted(&found.items);
    if sorted.movable.iter().any(nameless) {
        return Err(Failure::definite(
            Reason::Unparsable,
            "nothing was done: the server lists a pod without its name, namespace or uid",
        ));
    }
    if !sorted.unmanaged.is_empty() && !arguments.flag("unmanaged") {
        return Err(refuse("would not be made again", &sorted.unmanaged, "unmanaged"));
    }
    if !sorted.local.is_empty() && !arguments.flag("local_data") {
        return Err(refuse("keep data on the node", &sorted.local, "local_data"));
    }
    if let Some(dry) = place.dry {
        dry.say(format!(
            "{} pods would be moved; {} of daemon sets and {} of the node's own files would stay",
            sorted.movable.len(),
            sorted.of_daemon_sets,
            sorted.of_the_node
        ));
    }
    let mut begun = false;
    if !json::flag(&object, "/spec/unschedulable") {
        node.set_schedulable(place, false).await?;
        begun = true;
    }
    let moved = move_all(place, &query, &sorted).await;
    let (fared, left) = match moved {
        Ok(moved) => moved,
        // The node takes no new pods any more: that was done.
        Err(failure) if begun && place.dry.is_none() => {
            return Err(Failure::unclear(
                failure.unknown.reason,
                format!("the node takes no new pods; then {}", failure.unknown.detail),
            ));
        }
        Err(failure) => return Err(failure),
    };
    if let Some(dry) = place.dry {
        dry.fared(fared.already_gone, fared.protected);
    }
    Ok(Value::record(
        "Drained",
        vec![
            ("complete", Value::Bool(left == 0)),
            ("evicted", Value::Int(fared.gone)),
            ("protected", Value::Int(fared.protected)),
            ("remaining", Value::Int(left - fared.protected)),
            ("of_daemon_sets", Value::Int(sorted.of_daemon_sets)),
            ("of_the_node", Value::Int(sorted.of_the_node)),
        ],
    ))
}

/// Which of these pods are still there.
fn there(seen: &Seen, pods: &[(String, Named)]) -> BTreeSet<String> {
    let now: BTreeSet<&str> = seen
        .values()
        .filter_map(|object| json::text(object, "/metadata/uid"))
        .collect();
    pods.iter()
        .filter(|(_, pod)| now.contains(pod.uid.as_str()))
        .map(|(_, pod)| pod.uid.clone())
        .collect()
}

/// Moves pods until none is left or the time is over; how they fared, and how many are left.
async fn move_all(place: &Place<'_>, query: &[(&str, &str)], sorted: &Sorted) -> Result<(Fared, i64), Failure> {
    let mut fared = Fared::default();
    let mut waiting: Vec<&(String, Named)> = sorted.movable.iter().collect();
    loop {
        let mut protected = Vec::new();
        for of in waiting {
            let (namespace, pod) = of;
            let inside = Place {
                namespace: Some(namespace),
                ..*place
            };
            match one_pod(&inside, pod, true)
                .await
                .map_err(|failure| after(failure, fared))?
            {
                Moved::Gone => fared.gone += 1,
                Moved::AlreadyGone => fared.already_gone += 1,
                Moved::Protected => protected.push(of),
            }
        }
        fared.protected = i64::try_from(protected.len()).unwrap_or(i64::MAX);
        if place.dry.is_some() {
            return Ok((fared, 0));
        }
        let left = place.deadline.left().saturating_sub(LAST);
        // With pods that a budget protects, only so long as until it is worth asking again.
        let pause = if protected.is_empty() { left } else { left.min(PATIENCE) };
        let round = Place {
            deadline: Deadline::at(Instant::now() + pause + LAST.min(place.deadline.left())),
            ..*place
        };
        let watch = Watch {
            path: "/api/v1/pods",
            query,
        };
        let waited = watch
            .until(&round, |seen| Ok(there(seen, &sorted.movable).is_empty().then_some(())))
            .await
            .map_err(|failure| after(failure, fared))?;
        let still = there(&waited.seen, &sorted.movable);
        protected.retain(|(_, pod)| still.contains(&pod.uid));
        fared.protected = i64::try_from(protected.len()).unwrap_or(i64::MAX);
        if still.is_empty() || place.deadline.left() <= LAST * 2 {
            return Ok((fared, i64::try_from(still.len()).unwrap_or(i64::MAX)));
        }
        waiting = protected;
    }
}

#[cfg(test)]
mod tests {
    use super::{nameless, sorted};
    use serde_json::json;

    #[test]
    fn a_pod_of_which_nobody_can_tell_whether_it_has_gone_is_noticed() {
        let of = |metadata: serde_json::Value| {
            let pod = json!({ "metadata": metadata });
            sorted([&pod]).movable.iter().any(nameless)
        };
        assert!(!of(json!({"namespace": "n", "name": "p", "uid": "u"})));
        for missing in [
            json!({"namespace": "n", "name": "p"}),
            json!({"name": "p", "uid": "u"}),
            json!({"namespace": "n", "uid": "u"}),
            json!({"namespace": "n", "name": "p", "uid": 7}),
        ] {
            assert!(of(missing.clone()), "{missing}");
        }
    }

    #[test]
    fn pods_are_told_apart_by_who_makes_them_again() {
        let pod = |name: &str, more: serde_json::Value| {
            let mut pod =
                json!({"metadata": {"namespace": "n", "name": name, "uid": name}, "status": {"phase": "Running"}});
            for (pointer, value) in more.as_object().unwrap() {
                let (front, last) = pointer.rsplit_once('/').unwrap();
                let at = if front.is_empty() {
                    &mut pod
                } else {
                    pod.pointer_mut(front).unwrap()
                };
                at[last] = value.clone();
            }
            pod
        };
        let owner = |kind: &str| json!([{"kind": kind, "controller": true}]);
        let pods = [
            pod("web", json!({"/metadata/ownerReferences": owner("ReplicaSet")})),
            pod("agent", json!({"/metadata/ownerReferences": owner("DaemonSet")})),
            pod(
                "kube-proxy",
                json!({"/metadata/annotations": {"kubernetes.io/config.mirror": "x"}}),
            ),
            pod("by-hand", json!({})),
            pod("done", json!({"/status/phase": "Succeeded"})),
            pod(
                "cache",
                json!({"/metadata/ownerReferences": owner("StatefulSet"), "/spec": {"volumes": [{"emptyDir": {}}]}}),
            ),
        ];
        let sorted = sorted(&pods);
        let names: Vec<&str> = sorted.movable.iter().map(|(_, pod)| pod.name.as_str()).collect();
        assert_eq!(names, ["web", "by-hand", "done", "cache"]);
        assert_eq!((sorted.of_daemon_sets, sorted.of_the_node), (1, 1));
        assert_eq!(sorted.unmanaged, ["n/by-hand"]);
        assert_eq!(sorted.local, ["n/cache"]);
    }
}
