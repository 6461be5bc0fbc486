//! Changes to pods, nodes, config maps, secrets, jobs, and any other object.

use super::choice;
use super::cluster::node;
use super::exchange::{MANAGER, Patch, Place};
use super::failure::{Failure, Refusal};
use super::json::{self, Json};
use super::objects::{any, encoded, job, without_fields};
use super::pods::Named;
use super::workloads::same;
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// Most pods that one call moves or deletes.
pub const PODS: usize = 500;

/// How pods fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fared {
    pub gone: i64,
    pub already_gone: i64,
    pub protected: i64,
}

/// Whether something was sent before this failure: then the call as a whole is not undone by it.
pub fn after(failure: Failure, fared: Fared) -> Failure {
    if fared.gone == 0 {
        return failure;
    }
    Failure::unclear(
        failure.unknown.reason,
        format!("{} pods were told to go; then {}", fared.gone, failure.unknown.detail),
    )
}

/// How one pod fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Gone,
    AlreadyGone,
    Protected,
}

/// Evicts or deletes a pod, only while it is the one that was listed.
pub async fn one_pod(place: &Place<'_>, pod: &Named, evict: bool) -> Result<Moved, Failure> {
    let path = place.path("v1", "pods", Some(&pod.name))?;
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": pod.uid},
    });
    let sent = if evict {
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": place.namespace},
            "deleteOptions": options,
        });
        // A refused precondition takes from the budget all the same: look first.
        match place.get(&path, &[]).await {
            Ok(now) if json::text(&now, "/metadata/uid") != Some(&pod.uid) => return Ok(Moved::AlreadyGone),
            Ok(_) => place.write("POST", &format!("{path}/eviction"), &eviction).await,
            Err(failure) => Err(failure),
        }
    } else {
        place.write("DELETE", &path, &options).await
    };
    match sent {
        Ok(_) => Ok(Moved::Gone),
        Err(failure) => match failure.refusal {
            Refusal::Missing | Refusal::Conflict => Ok(Moved::AlreadyGone),
            Refusal::Budget => Ok(Moved::Protected),
            _ => Err(failure),
        },
    }
}

/// Evicts or deletes pods.
pub async fn pods(place: &Place<'_>, pods: &[Named], evict: bool, mut fared: Fared) -> Result<Fared, Failure> {
    for pod in pods {
        match one_pod(place, pod, evict)
            .await
            .map_err(|failure| after(failure, fared))?
        {
            Moved::Gone => fared.gone += 1,
            Moved::AlreadyGone => fared.already_gone += 1,
            Moved::Protected => fared.protected += 1,
        }
    }
    Ok(fared)
}

/// What came of an eviction, as a record.
pub fn evicted(fared: Fared) -> Value {
    Value::record(
        "Evicted",
        vec![
            ("evicted", Value::Int(fared.gone)),
            ("already_gone", Value::Int(fared.already_gone)),
            ("protected", Value::Int(fared.protected)),
        ],
    )
}

/// What came of a deletion, as a record.
pub fn deleted(fared: Fared) -> Value {
    Value::record(
        "Deleted",
        vec![
            ("deleted", Value::Int(fared.gone)),
            ("already_gone", Value::Int(fared.already_gone)),
        ],
    )
}

/// `nodes.cordon`, `nodes.uncordon`, `nodes.set_schedulable`
pub async fn schedulable(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    to: bool,
    now: Timestamp,
) -> Result<Value, Failure> {
    let of = NodeOf::of(arguments)?;
    let object = of.object(place).await?;
    if json::flag(&object, "/spec/unschedulable") != to {
        return Ok(node(&of.cluster, &object, now));
    }
    let object = of.set_schedulable(place, to).await?;
    Ok(node(&of.cluster, &object, now))
}

/// A node of a call: which one it must be.
pub struct NodeOf {
    pub cluster: Value,
    pub name: String,
    uid: String,
}

impl NodeOf {
    /// Reads the record of a call.
    pub fn of(arguments: Arguments<'_>) -> Result<Self, Failure> {
        let record = arguments.record("node")?;
        let text = |field: &str| {
            record
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("the node lacks its `{field}`")))
        };
        Ok(Self {
            cluster: record.get("cluster").cloned().unwrap_or(Value::None),
            name: text("name")?,
            uid: text("uid")?,
        })
    }

    /// The node as it is now, if it still is that one.
    pub async fn object(&self, place: &Place<'_>) -> Result<Json, Failure> {
        let object = place.get(&place.path("v1", "nodes", Some(&self.name))?, &[]).await?;
        same(&object, &self.uid, &self.name)?;
        Ok(object)
    }

    /// Lets new pods onto it or keeps them away.
    pub async fn set_schedulable(&self, place: &Place<'_>, to: bool) -> Result<Json, Failure> {
        let path = place.path("v1", "nodes", Some(&self.name))?;
        let body = json!({"metadata": {"uid": self.uid}, "spec": {"unschedulable": !to}});
        place
            .patch(&path, Patch::Strategic, &[("fieldManager", MANAGER)], &body)
            .await
    }
}

/// `config_maps.set`
pub async fn config_map(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let (key, to) = (arguments.text("key")?, arguments.maybe_text("to")?);
    let path = place.path("v1", "configmaps", Some(arguments.text("name")?))?;
    // In a patch, null removes.
    let body = json!({"data": {key: to}});
    place
        .patch(&path, Patch::Merge, &[("fieldManager", MANAGER)], &body)
        .await?;
    Ok(Value::None)
}

/// `secrets.set`: the server's words are left out of a refusal, for they may repeat the value.
pub async fn secret(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let key = arguments.text("key")?;
    let path = place.path("v1", "secrets", Some(arguments.text("name")?))?;
    let Value::Secret(secret) = arguments.value("to") else {
        return Err(Failure::definite(Reason::Unparsable, "`to` is missing or no secret"));
    };
    let Some(value) = secret.expose().as_str() else {
        return Err(Failure::definite(Reason::Unparsable, "`to` is no text"));
    };
    let body = json!({"data": {key: encoded(value)}});
    place
        .send(
            "PATCH",
            &path,
            &[("fieldManager", MANAGER)],
            "application/merge-patch+json",
            &body,
            true,
        )
        .await?;
    Ok(Value::None)
}

/// Where the key of the call that made a secret is kept.
const MADE_BY: &str = "starr/made-by";

/// `secrets.create`: the same key makes one secret.
pub async fn make_secret(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    key: Option<&str>,
    salt: &ring::hmac::Key,
    now: Timestamp,
) -> Result<Value, Failure> {
    let call = key.ok_or_else(|| Failure::definite(Reason::Internal, "a secret that is made needs its key"))?;
    let (name, key) = (arguments.text("name")?, arguments.text("key")?);
    let Value::Secret(secret) = arguments.value("to") else {
        return Err(Failure::definite(Reason::Unparsable, "`to` is missing or no secret"));
    };
    let Some(value) = secret.expose().as_str() else {
        return Err(Failure::definite(Reason::Unparsable, "`to` is no text"));
    };
    let mark = hex::encode(Sha256::digest(call.as_bytes()));
    let body = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": place.namespace, "annotations": {MADE_BY: mark}},
        "data": {key: encoded(value)},
    });
    let path = place.path("v1", "secrets", None)?;
    let query = [("fieldManager", MANAGER)];
    let made = match place.send("POST", &path, &query, "application/json", &body, true).await {
        Ok(made) => made,
        Err(failure) if failure.refusal == Refusal::AlreadyExists => {
            let there = place.get(&place.path("v1", "secrets", Some(name))?, &[]).await?;
            if json::text(&there, "/metadata/annotations/starr~1made-by") != Some(mark.as_str()) {
                return Err(failure);
            }
            there
        }
        Err(failure) => return Err(failure),
    };
    Ok(super::objects::secret(arguments.value("namespace"), &made, salt, now))
}

/// `secrets.delete`
pub async fn delete_secret(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let record = arguments.record("secret")?;
    let text = |field: &str| {
        record
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("the secret lacks its `{field}`")))
    };
    let path = place.path("v1", "secrets", Some(text("name")?))?;
    gone(place, &path, text("uid")?).await
}

/// `jobs.run_now`: the job's name comes from the key, so that the same key makes one job.
pub async fn run_now(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    key: Option<&str>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let key = key.ok_or_else(|| Failure::definite(Reason::Internal, "a job needs its key"))?;
    let cron_job = arguments.text("cron_job")?;
    let path = place.path("batch/v1", "cronjobs", Some(cron_job))?;
    let object = place.get(&path, &[]).await?;
    let mark = &hex::encode(Sha256::digest(key.as_bytes()))[..12];
    // Names of jobs have at most 63 characters, and their pods' names are longer by a few.
    let name = format!("{}-{mark}", cron_job.chars().take(40).collect::<String>());
    let uid = json::text(&object, "/metadata/uid").unwrap_or_default();
    let template = |pointer: &str| object.pointer(&format!("/spec/jobTemplate{pointer}")).cloned();
    let mut annotations = template("/metadata/annotations")
        .and_then(|annotations| annotations.as_object().cloned())
        .unwrap_or_default();
    annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), "manual".into());
    let body = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": place.namespace,
            "labels": template("/metadata/labels"),
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "uid": uid, "controller": true,
            }],
        },
        "spec": template("/spec").unwrap_or_else(|| json!({})),
    });
    match place.write("POST", &place.path("batch/v1", "jobs", None)?, &body).await {
        Ok(made) => Ok(job(&made, now)),
        Err(failure) if failure.refusal == Refusal::AlreadyExists => {
            let there = place.get(&place.path("batch/v1", "jobs", Some(&name))?, &[]).await?;
            Ok(job(&there, now))
        }
        Err(failure) => Err(failure),
    }
}

/// The document of a call.
fn document(arguments: Arguments, name: &str) -> Result<Json, Failure> {
    match arguments.value(name) {
        Value::Json(document) => Ok((**document).clone()),
        Value::Unknown(unknown) => Err(Failure::definite(unknown.reason, unknown.detail.clone())),
        _ => Err(Failure::definite(
            Reason::Unparsable,
            format!("`{name}` is missing or no document"),
        )),
    }
}

/// `objects.patch`
pub async fn patch(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let path = any(place, arguments, true)?;
    let uid = must(arguments, "uid")?;
    let version = choice(arguments, "version")?;
    let mut body = document(arguments, "patch")?;
    let kind = match arguments.text("as")? {
        "strategic" => Patch::Strategic,
        "json" => Patch::Json,
        _ => Patch::Merge,
    };
    match (kind, &mut body) {
        (Patch::Json, Json::Array(steps)) => {
            steps.insert(0, json!({"op": "test", "path": "/metadata/uid", "value": uid}));
            if let Some(version) = version {
                steps.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
            }
        }
        (Patch::Merge | Patch::Strategic, Json::Object(fields)) => {
            let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
            if !metadata.is_object() {
                return Err(Failure::definite(
                    Reason::Unparsable,
                    "`metadata` of the patch is no object",
                ));
            }
            metadata["uid"] = uid.into();
            if let Some(version) = version {
                metadata["resourceVersion"] = version.into();
            }
        }
        _ => {
            return Err(Failure::definite(
                Reason::Unparsable,
                "a patch is an object, or with `as: json` a list of steps",
            ));
        }
    }
    let made = place.patch(&path, kind, &[("fieldManager", MANAGER)], &body).await?;
    Ok(json::document(without_fields(made)))
}

/// `objects.apply`
pub async fn apply(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let path = any(place, arguments, true)?;
    let name = arguments.text("name")?;
    let mut manifest = document(arguments, "manifest")?;
    let Some(fields) = manifest.as_object_mut() else {
        return Err(Failure::definite(Reason::Unparsable, "a manifest is an object"));
    };
    fields.insert("apiVersion".to_owned(), arguments.text("api")?.into());
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        return Err(Failure::definite(
            Reason::Unparsable,
            "`metadata` of the manifest is no object",
        ));
    }
    metadata["name"] = name.into();
    metadata["namespace"] = place.namespace.into();
    if json::text(&manifest, "/kind").is_none() {
        return Err(Failure::definite(Reason::Unparsable, "the manifest has no `kind`"));
    }
    let force = if arguments.flag("force") { "true" } else { "false" };
    let query = [
        ("fieldManager", MANAGER),
        ("fieldValidation", "Strict"),
        ("force", force),
    ];
    let made = place.patch(&path, Patch::Apply, &query, &manifest).await?;
    Ok(json::document(without_fields(made)))
}

/// `objects.delete`: what belongs to the object goes with it.
pub async fn delete(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let path = any(place, arguments, true)?;
    gone(place, &path, must(arguments, "uid")?).await
}

/// Deletes an object while it is this one; one that is gone is no mistake.
async fn gone(place: &Place<'_>, path: &str, uid: &str) -> Result<Value, Failure> {
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": uid},
    });
    let mut fared = Fared::default();
    match place.write("DELETE", path, &options).await {
        Ok(_) => fared.gone = 1,
        Err(failure) if matches!(failure.refusal, Refusal::Missing | Refusal::Conflict) => fared.already_gone = 1,
        Err(failure) => return Err(failure),
    }
    Ok(deleted(fared))
}

/// A text that may not be empty: an empty precondition is none.
fn must<'a>(arguments: Arguments<'a>, name: &str) -> Result<&'a str, Failure> {
    let text = arguments.text(name)?;
    if text.is_empty() {
        return Err(Failure::definite(Reason::Unparsable, format!("`{name}` is empty")));
    }
    Ok(text)
}
