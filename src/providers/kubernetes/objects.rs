//! Services, config maps, secrets, autoscalers, quotas, budgets, jobs, and any other object.

use super::exchange::Place;
use super::failure::{Failure, crop};
use super::json::{self, Json};
use super::{choice, listed};
use crate::providers::arguments::Arguments;
use crate::value::{List, Reason, Value};
use base64::Engine as _;
use jiff::Timestamp;
use ring::hmac;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `services.list`
pub async fn services(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let services = place
        .list(
            &place.path("v1", "services", None)?,
            &[],
            arguments.limit("at_most", 5_000)?,
        )
        .await?;
    let slices = place
        .list(&place.path("discovery.k8s.io/v1", "endpointslices", None)?, &[], 20_000)
        .await?;
    if slices.truncated {
        return Err(Failure::definite(
            Reason::Truncated,
            "more than 20000 lists of endpoints",
        ));
    }
    let mut counts: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for slice in &slices.items {
        let Some(service) = json::text(slice, "/metadata/labels/kubernetes.io~1service-name") else {
            continue;
        };
        let count = counts.entry(service).or_default();
        for endpoint in json::list(slice, "/endpoints") {
            if is_ready(endpoint) {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
    }
    let namespace = arguments.value("namespace");
    Ok(listed(&services, |object| {
        let name = json::text(object, "/metadata/name").unwrap_or_default();
        let (ready, not_ready) = counts.get(name).copied().unwrap_or_default();
        service(namespace, object, ready, not_ready)
    }))
}

/// An endpoint that says nothing is ready: that is what the field's absence means.
fn is_ready(endpoint: &Json) -> bool {
    endpoint
        .pointer("/conditions/ready")
        .and_then(Json::as_bool)
        .unwrap_or(true)
}

/// A service as a record.
pub fn service(namespace: &Value, object: &Json, ready: i64, not_ready: i64) -> Value {
    let ports = json::list(object, "/spec/ports").iter().map(|port| {
        let number = json::int(port, "/port").unwrap_or(0);
        let target = match port.get("targetPort") {
            Some(Json::String(name)) => name.clone(),
            Some(other) => other.to_string(),
            None => number.to_string(),
        };
        let protocol = json::text(port, "/protocol").unwrap_or("TCP");
        format!("{number}->{target}/{protocol}")
    });
    let selector = object
        .pointer("/spec/selector")
        .filter(|selector| selector.is_object())
        .map(|labels| json::selector(&serde_json::json!({"matchLabels": labels})));
    Value::record(
        "Service",
        vec![
            ("namespace", namespace.clone()),
            ("name", json::must(object, "/metadata/name")),
            (
                "type",
                Value::text(json::text(object, "/spec/type").unwrap_or("ClusterIP")),
            ),
            ("address", json::maybe_text(json::text(object, "/spec/clusterIP"))),
            ("ports", json::texts(ports)),
            ("selector", json::maybe_text(selector.as_deref())),
            ("ready", Value::Int(ready)),
            ("not_ready", Value::Int(not_ready)),
        ],
    )
}

/// `services.endpoints`
pub async fn endpoints(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let service = arguments.text("service")?;
    // A service that is not there has no endpoints either, and that must not look like a service without pods.
    place.get(&place.path("v1", "services", Some(service))?, &[]).await?;
    let at_most = arguments.limit("at_most", 5_000)?;
    let selector = format!("kubernetes.io/service-name={service}");
    let slices = place
        .list(
            &place.path("discovery.k8s.io/v1", "endpointslices", None)?,
            &[("labelSelector", &selector)],
            1_000,
        )
        .await?;
    let mut items: Vec<Value> = slices
        .items
        .iter()
        .flat_map(|slice| json::list(slice, "/endpoints"))
        .map(endpoint)
        .collect();
    let truncated = slices.truncated || items.len() > at_most;
    items.truncate(at_most);
    Ok(Value::List(Arc::new(List { items, truncated })))
}

/// An endpoint as a record.
pub fn endpoint(object: &Json) -> Value {
    let address = json::list(object, "/addresses").first().and_then(Json::as_str);
    let pod = Some("Pod")
        .filter(|kind| json::text(object, "/targetRef/kind") == Some(kind))
        .and_then(|_| json::text(object, "/targetRef/name"));
    let ready = is_ready(object);
    Value::record(
        "Endpoint",
        vec![
            ("address", Value::text(address.unwrap_or_default())),
            ("ready", Value::Bool(ready)),
            (
                "serving",
                Value::Bool(
                    object
                        .pointer("/conditions/serving")
                        .and_then(Json::as_bool)
                        .unwrap_or(ready),
                ),
            ),
            (
                "terminating",
                Value::Bool(json::flag(object, "/conditions/terminating")),
            ),
            ("pod", json::maybe_text(pod)),
            ("node", json::maybe_text(json::text(object, "/nodeName"))),
        ],
    )
}

/// `config_maps.list`
pub async fn config_maps(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let selector = choice(arguments, "selector")?;
    let query: Vec<_> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    let path = place.path("v1", "configmaps", None)?;
    let items = place.list(&path, &query, arguments.limit("at_most", 1_000)?).await?;
    let namespace = arguments.value("namespace");
    Ok(listed(&items, |object| config_map(namespace, object, now)))
}

/// `config_maps.get`, `config_maps.entry`
pub async fn one_config_map(
    what: &str,
    place: &Place<'_>,
    arguments: Arguments<'_>,
    now: Timestamp,
) -> Result<Value, Failure> {
    let path = place.path("v1", "configmaps", Some(arguments.text("name")?))?;
    let object = place.get(&path, &[]).await?;
    if what == "config_maps.get" {
        return Ok(config_map(arguments.value("namespace"), &object, now));
    }
    let key = arguments.text("key")?;
    let value = object
        .get("data")
        .and_then(|data| data.get(key))
        .and_then(Json::as_str)
        .map_or(Value::None, Value::text);
    Ok(Value::record(
        "Entry",
        vec![("key", Value::text(key)), ("value", value)],
    ))
}

/// A config map as a record.
pub fn config_map(namespace: &Value, object: &Json, now: Timestamp) -> Value {
    let (_, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let data = object.get("data").filter(|data| data.is_object());
    let mut keys = json::keys(object, "/data");
    keys.extend(json::keys(object, "/binaryData"));
    Value::record(
        "ConfigMap",
        vec![
            ("namespace", namespace.clone()),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("age", age),
            ("keys", json::texts(keys)),
            (
                "data",
                json::document(data.cloned().unwrap_or_else(|| serde_json::json!({}))),
            ),
        ],
    )
}

/// `secrets.list`, `secrets.get`
pub async fn secrets(
    what: &str,
    place: &Place<'_>,
    arguments: Arguments<'_>,
    salt: &hmac::Key,
    now: Timestamp,
) -> Result<Value, Failure> {
    let namespace = arguments.value("namespace");
    if what == "secrets.get" {
        let path = place.path("v1", "secrets", Some(arguments.text("name")?))?;
        let object = place.get(&path, &[]).await?;
        return Ok(secret(namespace, &object, salt, now));
    }
    let path = place.path("v1", "secrets", None)?;
    let items = place.list(&path, &[], arguments.limit("at_most", 1_000)?).await?;
    Ok(listed(&items, |object| secret(namespace, object, salt, now)))
}

/// A secret as a record: its keys, and of its values a digest that nobody can guess them by.
pub fn secret(namespace: &Value, object: &Json, salt: &hmac::Key, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let keys = json::keys(object, "/data");
    let mut digest = hmac::Context::with_key(salt);
    for key in &keys {
        let value = object
            .get("data")
            .and_then(|data| data.get(key))
            .and_then(Json::as_str)
            .unwrap_or_default();
        // Lengths first: two values cannot run into one another.
        digest.update(&(key.len() as u64).to_be_bytes());
        digest.update(key.as_bytes());
        digest.update(&(value.len() as u64).to_be_bytes());
        digest.update(value.as_bytes());
    }
    let digest = hex::encode(&digest.sign().as_ref()[..16]);
    let entries = keys
        .iter()
        .map(|key| entry(key, object.get("data").and_then(|data| data.get(key))));
    let entries = Value::list(entries.collect());
    Value::record(
        "SecretSummary",
        vec![
            ("namespace", namespace.clone()),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("type", Value::text(json::text(object, "/type").unwrap_or("Opaque"))),
            ("entries", entries),
            ("keys", json::texts(keys)),
            ("digest", Value::text(digest)),
            ("created", created),
            ("age", age),
        ],
    )
}

/// A key of a secret and how long its value is, which is not looked at.
fn entry(key: &str, value: Option<&Json>) -> Value {
    let length = value
        .and_then(Json::as_str)
        .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok())
        .and_then(|bytes| i64::try_from(bytes.len()).ok());
    let size = length.map_or_else(
        || Value::unknown(Reason::Unparsable, "the value is not encoded as the cluster encodes it"),
        Value::Bytes,
    );
    Value::record("SecretEntry", vec![("key", Value::text(key)), ("size", size)])
}

/// A secret's value as the cluster takes it.
pub fn encoded(value: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(value)
}

/// `autoscalers.list`
pub async fn autoscalers(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let path = place.path("autoscaling/v2", "horizontalpodautoscalers", None)?;
    let items = place.list(&path, &[], arguments.limit("at_most", 1_000)?).await?;
    let namespace = arguments.value("namespace");
    Ok(listed(&items, |object| autoscaler(namespace, object)))
}

/// An autoscaler as a record.
pub fn autoscaler(namespace: &Value, object: &Json) -> Value {
    let condition = |kind: &str| {
        json::list(object, "/status/conditions")
            .iter()
            .find(|condition| json::text(condition, "/type") == Some(kind))
    };
    let holds = |kind: &str| match condition(kind).and_then(|condition| json::text(condition, "/status")) {
        Some("True") => Value::Bool(true),
        Some("False") => Value::Bool(false),
        _ => Value::None,
    };
    let odd = [
        ("AbleToScale", "True"),
        ("ScalingActive", "True"),
        ("ScalingLimited", "False"),
    ]
    .into_iter()
    .filter_map(|(kind, good)| condition(kind).filter(|of| json::text(of, "/status") != Some(good)))
    .next();
    let count = |pointer: &str, absent: i64| Value::Int(json::int(object, pointer).unwrap_or(absent));
    let metrics = serde_json::json!({
        "wanted": object.pointer("/spec/metrics").cloned().unwrap_or(Json::Null),
        "current": object.pointer("/status/currentMetrics").cloned().unwrap_or(Json::Null),
    });
    Value::record(
        "Autoscaler",
        vec![
            ("namespace", namespace.clone()),
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("target_kind", json::must(object, "/spec/scaleTargetRef/kind")),
            ("target", json::must(object, "/spec/scaleTargetRef/name")),
            ("min", count("/spec/minReplicas", 1)),
            ("max", count("/spec/maxReplicas", 0)),
            ("current", count("/status/currentReplicas", 0)),
            ("wanted", count("/status/desiredReplicas", 0)),
            ("able", holds("AbleToScale")),
            ("active", holds("ScalingActive")),
            ("limited", holds("ScalingLimited")),
            (
                "reason",
                json::maybe_text(odd.and_then(|odd| json::text(odd, "/reason"))),
            ),
            (
                "message",
                json::maybe_text(
                    odd.and_then(|odd| json::text(odd, "/message"))
                        .map(|text| crop(text, 500))
                        .as_deref(),
                ),
            ),
            ("metrics", json::document(metrics)),
        ],
    )
}

/// `quotas.list`
pub async fn quotas(place: &Place<'_>) -> Result<Value, Failure> {
    let path = place.path("v1", "resourcequotas", None)?;
    let items = place.list(&path, &[], 1_000).await?;
    let mut rows: Vec<(f64, Value)> = items.items.iter().flat_map(quota).collect();
    rows.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    Ok(Value::List(Arc::new(List {
        items: rows.into_iter().map(|(_, value)| value).collect(),
        truncated: items.truncated,
    })))
}

/// The limits of a quota, each with its used share.
pub fn quota(object: &Json) -> Vec<(f64, Value)> {
    let limits = object
        .pointer("/status/hard")
        .or_else(|| object.pointer("/spec/hard"))
        .and_then(Json::as_object);
    let number = |value: Option<&Json>| value.and_then(Json::as_str).and_then(json::quantity);
    limits
        .into_iter()
        .flatten()
        .map(|(resource, hard)| {
            let hard = number(Some(hard));
            let used = number(object.pointer("/status/used").and_then(|used| used.get(resource)));
            let share = match (used, hard) {
                (Some(used), Some(hard)) if hard > 0.0 => Some(used / hard),
                _ => None,
            };
            let amount = |number: Option<f64>| {
                number.map_or_else(
                    || Value::unknown(Reason::Unparsable, "the server does not say how much"),
                    Value::float,
                )
            };
            let value = Value::record(
                "Quota",
                vec![
                    ("name", json::must(object, "/metadata/name")),
                    ("resource", Value::text(resource.as_str())),
                    ("used", amount(used)),
                    ("hard", amount(hard)),
                    ("share", share.map_or(Value::None, Value::ratio)),
                ],
            );
            (share.unwrap_or(-1.0), value)
        })
        .collect()
}

/// `disruption_budgets.list`
pub async fn budgets(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let path = place.path("policy/v1", "poddisruptionbudgets", None)?;
    let mut found = place.list(&path, &[], arguments.limit("at_most", 1_000)?).await?;
    found
        .items
        .sort_by_key(|object| json::int(object, "/status/disruptionsAllowed").unwrap_or(0));
    Ok(listed(&found, budget))
}

/// A disruption budget as a record.
pub fn budget(object: &Json) -> Value {
    let count = |pointer: &str| Value::Int(json::int(object, pointer).unwrap_or(0));
    Value::record(
        "DisruptionBudget",
        vec![
            ("name", json::must(object, "/metadata/name")),
            ("allowed", count("/status/disruptionsAllowed")),
            ("healthy", count("/status/currentHealthy")),
            ("needed", count("/status/desiredHealthy")),
            ("expected", count("/status/expectedPods")),
            (
                "selector",
                Value::text(json::selector(object.pointer("/spec/selector").unwrap_or(&Json::Null))),
            ),
        ],
    )
}

/// `jobs.list`
pub async fn jobs(place: &Place<'_>, arguments: Arguments<'_>, now: Timestamp) -> Result<Value, Failure> {
    let selector = choice(arguments, "selector")?;
    let query: Vec<_> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    let path = place.path("batch/v1", "jobs", None)?;
    let mut found = place.list(&path, &query, arguments.limit("at_most", 1_000)?).await?;
    found
        .items
        .sort_by_key(|object| std::cmp::Reverse(json::time(object, "/metadata/creationTimestamp")));
    Ok(listed(&found, |object| job(object, now)))
}

/// A job as a record.
pub fn job(object: &Json, now: Timestamp) -> Value {
    let (created, age) = json::moment(object, "/metadata/creationTimestamp", now);
    let count = |pointer: &str| Value::Int(json::int(object, pointer).unwrap_or(0));
    let holds = |kind: &str| {
        json::list(object, "/status/conditions").iter().find(|condition| {
            json::text(condition, "/type") == Some(kind) && json::text(condition, "/status") == Some("True")
        })
    };
    let failed = holds("Failed").or_else(|| holds("FailureTarget"));
    Value::record(
        "Job",
        vec![
            ("name", json::must(object, "/metadata/name")),
            ("uid", json::must(object, "/metadata/uid")),
            ("active", count("/status/active")),
            ("succeeded", count("/status/succeeded")),
            ("failed", count("/status/failed")),
            ("complete", Value::Bool(holds("Complete").is_some())),
            ("suspended", Value::Bool(json::flag(object, "/spec/suspend"))),
            (
                "reason",
                json::maybe_text(failed.and_then(|of| json::text(of, "/reason"))),
            ),
            (
                "message",
                json::maybe_text(
                    failed
                        .and_then(|of| json::text(of, "/message"))
                        .map(|text| crop(text, 500))
                        .as_deref(),
                ),
            ),
            ("created", created),
            ("age", age),
        ],
    )
}

/// The path of an object of any kind. Secrets are not objects like others: their values would come along.
pub fn any(place: &Place<'_>, arguments: Arguments<'_>, named: bool) -> Result<String, Failure> {
    let (api, resource) = (arguments.text("api")?, arguments.text("resource")?);
    if resource.eq_ignore_ascii_case("secrets") || resource.eq_ignore_ascii_case("secret") {
        return Err(Failure::definite(
            Reason::Denied,
            "secrets are read and set by their own operations, which keep their values out",
        ));
    }
    let name = if named { Some(arguments.text("name")?) } else { None };
    place.path(api, resource, name)
}

/// `objects.get`
pub async fn get(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    Ok(json::document(without_fields(
        place.get(&any(place, arguments, true)?, &[]).await?,
    )))
}

/// `objects.list`
pub async fn list(place: &Place<'_>, arguments: Arguments<'_>) -> Result<Value, Failure> {
    let selector = choice(arguments, "selector")?;
    let query: Vec<_> = selector.iter().map(|selector| ("labelSelector", *selector)).collect();
    let at_most = arguments.limit("at_most", 5_000)?;
    let found = place.list(&any(place, arguments, false)?, &query, at_most).await?;
    if found.truncated {
        return Err(Failure::definite(
            Reason::Truncated,
            format!("there are more than {at_most}"),
        ));
    }
    Ok(json::document(Json::Array(
        found.items.into_iter().map(without_fields).collect(),
    )))
}

/// Who wrote which field is mostly longer than the object.
pub fn without_fields(mut object: Json) -> Json {
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::{encoded, quota, secret};
    use crate::value::Value;
    use ring::hmac;
    use serde_json::json;

    #[test]
    fn a_secret_shows_keys_and_a_digest_that_changes_with_its_values() {
        let now = "2026-11-22T02:00:00Z".parse().unwrap();
        let object = |value: &str| {
            json!({"metadata": {"name": "s", "uid": "u", "creationTimestamp": "2026-11-22T01:00:00Z"},
                   "type": "Opaque", "data": {"password": encoded(value), "user": encoded("shop")}})
        };
        let digest = |value: &str, salt: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
            let shown = secret(&Value::text("shop"), &object(value), &key, now);
            assert!(!format!("{shown:?}").contains(&encoded(value)));
            let record = shown.as_record().unwrap().clone();
            let sizes: Vec<Value> = record
                .get("entries")
                .and_then(Value::as_list)
                .unwrap()
                .items
                .iter()
                .map(|entry| entry.as_record().unwrap().get("size").unwrap().clone())
                .collect();
            let length = i64::try_from(value.len()).unwrap();
            assert_eq!(sizes, [Value::Bytes(length), Value::Bytes(4)]);
            record.get("digest").and_then(Value::as_str).unwrap().to_owned()
        };
        assert_eq!(digest("swordfish", b"salt"), digest("swordfish", b"salt"));
        assert_ne!(digest("swordfish", b"salt"), digest("other", b"salt"));
        assert_ne!(digest("swordfish", b"salt"), digest("swordfish", b"other salt"));
    }

    #[test]
    fn a_quota_has_a_share_where_there_is_a_limit() {
        let rows = quota(&json!({
            "metadata": {"name": "pods"},
            "status": {"hard": {"pods": "4", "requests.cpu": "0"}, "used": {"pods": "3", "requests.cpu": "0"}},
        }));
        assert_eq!(rows.len(), 2);
        let share = |value: &Value| value.as_record().unwrap().get("share").cloned();
        assert_eq!(share(&rows[0].1), Some(Value::ratio(0.75)));
        assert_eq!(share(&rows[1].1), Some(Value::None));
    }
}
