//! Reads that wait: for a rollout, a job, or for something to be gone. Each says how things are at the end of the time.

use super::exchange::Place;
use super::failure::{Failure, Refusal};
use super::json::{self, Json};
use super::objects::{any, job};
use super::pods::{Named, pod};
use super::watch::{Seen, Watch};
use super::workloads::{Target, same, state, workload};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use jiff::Timestamp;

fn only(name: &str) -> String {
    format!("metadata.name={name}")
}

/// The object that is waited for, which must still be that one.
fn one<'a>(seen: &'a Seen, uid: &str, name: &str) -> Result<&'a Json, Failure> {
    let object = seen
        .values()
        .find(|object| json::text(object, "/metadata/name") == Some(name))
        .ok_or_else(|| Failure {
            refusal: Refusal::Missing,
            ..Failure::definite(Reason::Unavailable, format!("`{name}` is gone"))
        })?;
    same(object, uid, name)?;
    Ok(object)
}

/// `rollout.wait`
pub async fn rollout(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let path = place.path("apps/v1", target.kind.resource(), None)?;
    let name = only(&target.name);
    let watch = Watch {
        path: &path,
        query: &[("fieldSelector", &name)],
    };
    let waited = watch
        .until(place, |seen| {
            let object = one(seen, &target.uid, &target.name)?;
            let ended = matches!(state(target.kind, object), "complete" | "stuck" | "paused");
            Ok(ended.then_some(()))
        })
        .await?;
    let object = one(&waited.seen, &target.uid, &target.name)?;
    Ok(workload(&target.namespace, target.kind, object, Timestamp::now()))
}

/// `jobs.wait`
pub async fn job_end(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let record = arguments.record("job")?;
    let text = |field: &str| {
        record
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("the job lacks its `{field}`")))
    };
    let (name, uid) = (text("name")?, text("uid")?);
    let path = place.path("batch/v1", "jobs", None)?;
    let only = only(name);
    let watch = Watch {
        path: &path,
        query: &[("fieldSelector", &only)],
    };
    let waited = watch
        .until(place, |seen| {
            let ended = json::list(one(seen, uid, name)?, "/status/conditions")
                .iter()
                .any(|condition| {
                    matches!(json::text(condition, "/type"), Some("Complete" | "Failed"))
                        && json::text(condition, "/status") == Some("True")
                });
            Ok(ended.then_some(()))
        })
        .await?;
    Ok(job(one(&waited.seen, uid, name)?, Timestamp::now()))
}

/// Those of these pods that are among what was seen.
fn left<'a>(seen: &'a Seen, pods: &[Named]) -> Vec<&'a Json> {
    seen.values()
        .filter(|object| {
            let uid = json::text(object, "/metadata/uid");
            pods.iter().any(|pod| Some(pod.uid.as_str()) == uid)
        })
        .collect()
}

/// `pods.wait_gone`, for one namespace.
pub async fn pods_gone(place: &Place<'_>, namespace: &Value, pods: &[Named]) -> Result<Vec<Value>, Failure> {
    let path = place.path("v1", "pods", None)?;
    let name = match pods {
        [pod] => Some(only(&pod.name)),
        _ => None,
    };
    let query: Vec<(&str, &str)> = name.iter().map(|name| ("fieldSelector", name.as_str())).collect();
    let watch = Watch {
        path: &path,
        query: &query,
    };
    let waited = watch
        .until(place, |seen| Ok(left(seen, pods).is_empty().then_some(())))
        .await?;
    let now = Timestamp::now();
    Ok(left(&waited.seen, pods)
        .into_iter()
        .map(|object| pod(namespace, object, now))
        .collect())
}

/// `objects.wait_gone`
pub async fn object_gone(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let (name, uid) = (arguments.text("name")?, arguments.text("uid")?);
    let path = any(place, arguments, false)?;
    let only = only(name);
    let watch = Watch {
        path: &path,
        query: &[("fieldSelector", &only)],
    };
    let waited = watch
        .until(place, |seen| {
            let there = seen
                .values()
                .any(|object| json::text(object, "/metadata/uid") == Some(uid));
            Ok((!there).then_some(()))
        })
        .await?;
    Ok(Value::Bool(waited.found.is_some()))
}
