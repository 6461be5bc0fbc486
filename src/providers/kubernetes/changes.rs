//! Changes to workloads. Each reads the object, makes sure that it is the one that was meant, and writes with the version that
//! was read: whoever was faster wins, and then it is read and made sure of again.

use super::exchange::{Patch, Place};
use super::failure::{Failure, Refusal};
use super::json::{self, Json};
use super::workloads::{Kind, Target, container_of, only_deployments, same, scale_value, variable_of, workload};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use jiff::Timestamp;
use serde_json::json;

/// How often a change is tried when somebody else was faster: controllers write the status of what is rolling all the time.
const TRIES: usize = 5;

/// The key under which a restart's key is kept, so that the same restart happens once.
const RESTART_KEY: &str = "starr/restart-key";

/// What to write, if anything is to be written at all.
enum Step {
    /// It is so already.
    Nothing,
    Send(Patch, Json),
}

/// Reads, decides, writes with the version that was read; again when somebody else was faster.
async fn edit(
    place: &Place<'_>,
    target: &Target,
    now: Timestamp,
    decide: impl Fn(&Json) -> Result<Step, Failure>,
) -> Result<Value, Failure> {
    let path = target.path(place)?;
    let mut tries = 0;
    loop {
        let object = target.object(place).await?;
        let (kind, body) = match decide(&object)? {
            Step::Nothing => return Ok(workload(&target.namespace, target.kind, &object, now)),
            Step::Send(kind, body) => (kind, body),
        };
        let body = with_version(kind, body, &object)?;
        tries += 1;
        match place
            .patch(&path, kind, &[("fieldManager", super::exchange::MANAGER)], &body)
            .await
        {
            Ok(object) => return Ok(workload(&target.namespace, target.kind, &object, now)),
            Err(failure) if failure.refusal == Refusal::Conflict && tries < TRIES => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// Ties a patch to the version that was read, so that the server refuses it when the object has changed.
fn with_version(kind: Patch, mut body: Json, object: &Json) -> Result<Json, Failure> {
    let version = json::text(object, "/metadata/resourceVersion")
        .ok_or_else(|| Failure::definite(Reason::Unparsable, "the server gives no version of the object"))?;
    let uid = json::text(object, "/metadata/uid").unwrap_or_default();
    match (kind, &mut body) {
        (Patch::Json, Json::Array(steps)) => {
            steps.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        }
        (_, Json::Object(_)) => {
            body["metadata"]["resourceVersion"] = version.into();
            body["metadata"]["uid"] = uid.into();
        }
        _ => return Err(Failure::definite(Reason::Unparsable, "the patch is of another form")),
    }
    Ok(body)
}

fn not_paused(object: &Json) -> Result<(), Failure> {
    if json::flag(object, "/spec/paused") {
        Err(Failure::definite(
            Reason::Unavailable,
            "the deployment is paused: nothing would roll; resume it first",
        ))
    } else {
        Ok(())
    }
}

/// `scale.set`
pub async fn scale(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    if target.kind == Kind::DaemonSet {
        return Err(Failure::definite(
            Reason::Unavailable,
            "a daemon set has one pod per node and no scale",
        ));
    }
    let number = |name: &str| match arguments.value(name) {
        Value::Int(number) if (0..=100_000).contains(number) => Ok(Some(*number)),
        Value::None => Ok(None),
        _ => Err(Failure::definite(
            Reason::Unparsable,
            format!("`{name}` is no number of pods"),
        )),
    };
    let to = number("to")?.ok_or_else(|| Failure::definite(Reason::Unparsable, "`to` is missing"))?;
    let from = number("from")?;
    let path = format!("{}/scale", target.path(place)?);
    let mut tries = 0;
    loop {
        let mut scale = place.get(&path, &[]).await?;
        same(&scale, &target.uid, &target.name)?;
        let replicas = json::int(&scale, "/spec/replicas").unwrap_or(0);
        if replicas == to {
            return Ok(scale_value(&scale));
        }
        if let Some(from) = from
            && from != replicas
        {
            return Err(Failure::definite(
                Reason::Unavailable,
                format!("it should have {replicas} pods by now, not {from}: somebody else has changed it"),
            ));
        }
        if !scale["spec"].is_object() {
            scale["spec"] = json!({});
        }
        scale["spec"]["replicas"] = to.into();
        tries += 1;
        // A replacement with a version is refused when the object has changed.
        match place.write("PUT", &path, &scale).await {
            Ok(scale) => return Ok(scale_value(&scale)),
            Err(failure) if failure.refusal == Refusal::Conflict && tries < TRIES => {}
            Err(failure) => return Err(failure),
        }
    }
}

/// `rollout.restart`
pub async fn restart(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    key: Option<&str>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let key = key.ok_or_else(|| Failure::definite(Reason::Internal, "a restart needs its key"))?;
    edit(place, &target, now, |object| {
        let annotations = object.pointer("/spec/template/metadata/annotations");
        if annotations.and_then(|all| all.get(RESTART_KEY)).and_then(Json::as_str) == Some(key) {
            return Ok(Step::Nothing);
        }
        not_paused(object)?;
        let annotations = json!({
            "kubectl.kubernetes.io/restartedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            RESTART_KEY: key,
        });
        let body = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        Ok(Step::Send(Patch::Strategic, body))
    })
    .await
}

/// Annotations that belong to a replica set or a deployment itself and do not travel with a template.
const OWN: &[&str] = &[
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// `rollout.undo`: the template and annotations of an earlier replica set become those of the deployment. There is no operation of
/// the server for it.
pub async fn undo(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    only_deployments(&target)?;
    let revision = arguments.record("to")?;
    let text = |field: &str| {
        revision
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("the revision lacks its `{field}`")))
    };
    let (name, uid) = (text("name")?, text("uid")?);
    let set = place
        .get(&place.path("apps/v1", "replicasets", Some(name))?, &[])
        .await?;
    same(&set, uid, name)?;
    let belongs = json::list(&set, "/metadata/ownerReferences")
        .iter()
        .any(|owner| json::text(owner, "/uid") == Some(&target.uid));
    if !belongs {
        return Err(Failure::definite(
            Reason::Unavailable,
            "the revision belongs to another workload",
        ));
    }
    let mut template = set
        .pointer("/spec/template")
        .cloned()
        .ok_or_else(|| Failure::definite(Reason::Unparsable, "the revision has no template"))?;
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Json::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    edit(place, &target, now, |object| {
        if object
            .pointer("/spec/template")
            .is_some_and(|now| equal(now, &template))
        {
            return Ok(Step::Nothing);
        }
        not_paused(object)?;
        let mut annotations = serde_json::Map::new();
        let of = |object: &Json| {
            object
                .pointer("/metadata/annotations")
                .and_then(Json::as_object)
                .cloned()
                .unwrap_or_default()
        };
        for (key, value) in of(object) {
            if OWN.contains(&key.as_str()) {
                annotations.insert(key, value);
            }
        }
        for (key, value) in of(&set) {
            if !OWN.contains(&key.as_str()) {
                annotations.insert(key, value);
            }
        }
        let body = json!([
            {"op": "replace", "path": "/spec/template", "value": template},
            // `add` replaces what is there, and works when nothing is.
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
        ]);
        Ok(Step::Send(Patch::Json, body))
    })
    .await
}

/// Whether two templates are the same; what is null is absent.
fn equal(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => {
            let there = |value: Option<&Json>| value.is_some_and(|value| !value.is_null());
            one.keys().chain(other.keys()).all(|key| {
                let (left, right) = (one.get(key), other.get(key));
                match (left, right) {
                    (Some(left), Some(right)) => equal(left, right),
                    _ => !there(left) && !there(right),
                }
            })
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        _ => one == other,
    }
}

/// `rollout.pause`, `rollout.resume`, `rollout.set_paused`
pub async fn pause(place: &Place<'_>, arguments: Arguments<'_>, to: bool, now: Timestamp) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    only_deployments(&target)?;
    edit(place, &target, now, |object| {
        if json::flag(object, "/spec/paused") == to {
            return Ok(Step::Nothing);
        }
        Ok(Step::Send(Patch::Strategic, json!({"spec": {"paused": to}})))
    })
    .await
}

fn in_container(name: &str, mut change: Json) -> Step {
    change["name"] = name.into();
    Step::Send(
        Patch::Strategic,
        json!({"spec": {"template": {"spec": {"containers": [change]}}}}),
    )
}

/// `images.set`
pub async fn image(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let (name, to) = (arguments.text("container")?, arguments.text("to")?);
    if to.is_empty() || to.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Failure::definite(Reason::Unparsable, "`to` is no name of an image"));
    }
    let from = arguments.maybe_text("from")?;
    edit(place, &target, now, |object| {
        let image = json::text(container_of(object, name)?, "/image").unwrap_or_default();
        if image == to {
            return Ok(Step::Nothing);
        }
        if from.is_some_and(|from| from != image) {
            return Err(Failure::definite(
                Reason::Unavailable,
                format!("the container has the image `{image}` by now: somebody else has changed it"),
            ));
        }
        Ok(in_container(name, json!({"image": to})))
    })
    .await
}

/// `resources.set_cpu`, `resources.set_memory`
pub async fn resources(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    of: &str,
    now: Timestamp,
) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let name = arguments.text("container")?;
    let quantity = |argument: &str| match arguments.value(argument) {
        Value::None => Ok(None),
        Value::Bytes(bytes) => u64::try_from(*bytes)
            .map(|bytes| Some(json::written_bytes(bytes)))
            .map_err(|_| Failure::definite(Reason::Unparsable, format!("`{argument}` is less than nothing"))),
        Value::Float(cores) => json::written_cores(*cores)
            .map(Some)
            .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("`{argument}` is no number of processors"))),
        Value::Unknown(unknown) => Err(Failure::definite(unknown.reason, unknown.detail.clone())),
        _ => Err(Failure::definite(
            Reason::Unparsable,
            format!("`{argument}` is of another kind"),
        )),
    };
    let (request, limit) = (quantity("request")?, quantity("limit")?);
    edit(place, &target, now, |object| {
        let container = container_of(object, name)?;
        // The same amount can be written in several ways.
        let is = |list: &str, wanted: &Option<String>| {
            let now = json::amount(container, &format!("/resources/{list}/{of}"));
            now == wanted.as_deref().and_then(json::quantity)
        };
        if is("requests", &request) && is("limits", &limit) {
            return Ok(Step::Nothing);
        }
        // In a patch, null removes.
        Ok(in_container(
            name,
            json!({"resources": {"requests": {of: request}, "limits": {of: limit}}}),
        ))
    })
    .await
}

/// `environment.set`
pub async fn variable(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let target = Target::of(arguments)?;
    let (name, variable) = (arguments.text("container")?, arguments.text("name")?);
    let to = arguments.maybe_text("to")?;
    edit(place, &target, now, |object| {
        if variable_of(container_of(object, name)?, variable)? == to {
            return Ok(Step::Nothing);
        }
        let entry = match to {
            Some(value) => json!({"name": variable, "value": value}),
            None => json!({"name": variable, "$patch": "delete"}),
        };
        Ok(in_container(name, json!({"env": [entry]})))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::{Patch, equal, with_version};
    use serde_json::json;

    #[test]
    fn a_template_that_only_differs_in_what_is_null_is_the_same() {
        let one =
            json!({"metadata": {"creationTimestamp": null, "labels": {"app": "web"}}, "spec": {"a": [1, {"b": 2}]}});
        let other = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": [1, {"b": 2, "c": null}]}});
        assert!(equal(&one, &other));
        assert!(!equal(
            &one,
            &json!({"metadata": {"labels": {"app": "web"}}, "spec": {"a": [1]}})
        ));
        assert!(!equal(&json!({"a": 1}), &json!({})));
    }

    #[test]
    fn every_patch_is_tied_to_the_version_that_was_read() {
        let object = json!({"metadata": {"resourceVersion": "7", "uid": "u"}});
        let merge = with_version(Patch::Strategic, json!({"spec": {}}), &object).unwrap();
        assert_eq!(merge["metadata"], json!({"resourceVersion": "7", "uid": "u"}));
        let steps = with_version(Patch::Json, json!([]), &object).unwrap();
        assert_eq!(steps[0]["path"], "/metadata/resourceVersion");
        assert!(with_version(Patch::Merge, json!({}), &json!({})).is_err());
    }
}
