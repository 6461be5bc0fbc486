//! The operations of the interface text: a few of the models' own, put together and typed.

mod logs;
mod network;

use super::client::{Account, Again, Refused};
use super::pages;
use super::{Aws, found};
use crate::models::aws::service;
use crate::provider::Call;
use crate::providers::arguments::{Arguments, field, limited, patience};
use crate::providers::failure::{Failure, wrong};
use crate::providers::late;
use crate::value::{Reason, Unknown, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
pub const OPERATIONS: &[&str] = &[
    "services.get",
    "services.scale",
    "services.release",
    "services.redeploy",
    "tasks.stopped",
    "targets.health",
    "metrics.series",
    "alarms.list",
    "alarms.get",
    "alarms.set_threshold",
    "tables.get",
    "tables.set_billing",
    "functions.get",
    "certificates.list",
    "certificates.used_by",
    "logs.tail",
    "logs.query",
    "trails.events",
    "definitions.get",
    "triggers.list",
    "triggers.get",
    "triggers.set_enabled",
    "groups.rules",
    "acls.entries",
    "flow_logs.list",
    "identity.get",
];

/// What each operation calls of the models, as rights see it.
pub fn calls(path: &str) -> &'static [&'static str] {
    match path {
        "services.get" => &["ecs.describe_services"],
        "services.scale" | "services.release" | "services.redeploy" => &["ecs.update_service"],
        "tasks.stopped" => &["ecs.list_tasks", "ecs.describe_tasks"],
        "targets.health" => &["elbv2.describe_target_health"],
        "metrics.series" => &["cloudwatch.get_metric_data"],
        "alarms.list" | "alarms.get" => &["cloudwatch.describe_alarms"],
        "alarms.set_threshold" => &["cloudwatch.describe_alarms", "cloudwatch.put_metric_alarm"],
        "tables.get" => &["dynamodb.describe_table"],
        "tables.set_billing" => &["dynamodb.update_table"],
        "functions.get" => &["lambda.get_function_configuration"],
        "certificates.list" => &["acm.list_certificates"],
        "logs.tail" => &["logs.filter_log_events"],
        "logs.query" => &["logs.start_query", "logs.get_query_results", "logs.stop_query"],
        "trails.events" => &["cloudtrail.lookup_events"],
        "certificates.used_by" => &["acm.describe_certificate"],
        "definitions.get" => &["ecs.describe_task_definition"],
        "triggers.list" => &["lambda.list_event_source_mappings"],
        "triggers.get" => &["lambda.get_event_source_mapping"],
        "triggers.set_enabled" => &["lambda.update_event_source_mapping"],
        "groups.rules" => &["ec2.describe_security_groups"],
        "acls.entries" => &["ec2.describe_network_acls"],
        "flow_logs.list" => &["ec2.describe_flow_logs"],
        "identity.get" => &["sts.get_caller_identity"],
        _ => &[],
    }
}

/// What an argument of each operation, or a field of it, is called in what it calls: the names of resources.
pub fn told(path: &str) -> &'static [(&'static str, &'static str)] {
    match path {
        "services.get" => &[("cluster", "cluster"), ("name", "service")],
        "services.scale" | "services.release" | "services.redeploy" => {
            &[("service.cluster", "cluster"), ("service.name", "service")]
        }
        "tasks.stopped" => &[("cluster", "cluster"), ("service", "serviceName")],
        "targets.health" => &[("group", "TargetGroupArn")],
        "alarms.set_threshold" => &[("alarm.name", "AlarmName")],
        "tables.get" => &[("name", "TableName")],
        "tables.set_billing" => &[("table.name", "TableName")],
        "functions.get" => &[("name", "FunctionName")],
        "logs.tail" => &[("group", "logGroupName")],
        "logs.query" => &[("groups", "logGroupName")],
        "certificates.used_by" => &[("arn", "CertificateArn")],
        "definitions.get" => &[("name", "taskDefinition")],
        "triggers.list" => &[("function", "FunctionName")],
        "triggers.get" => &[("id", "UUID")],
        "triggers.set_enabled" => &[("trigger.id", "UUID")],
        "groups.rules" => &[("group", "GroupId")],
        _ => &[],
    }
}

/// Of certificates.
const KEY_TYPES: [&str; 7] = [
    "RSA_1024",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
];

/// Most samples of one series: what the service gives for one metric at once.
const SAMPLES: u64 = 1440;

/// A conversation of one typed call.
struct Talk<'a> {
    account: &'a Account,
    until: Instant,
}

fn odd(what: &str) -> Unknown {
    wrong(Reason::Unparsable, format!("the answer has no `{what}`"))
}

fn not_there(what: &str, name: &str) -> Unknown {
    wrong(Reason::Missing, format!("there is no {what} `{name}`"))
}

impl Talk<'_> {
    async fn read(&self, of: &str, name: &str, values: Json) -> Result<Json, Unknown> {
        let (service, method) = found(of, name)?;
        let values = values.as_object().cloned().unwrap_or_default();
        pages::all(self.account, (&service, &method), &values, self.until)
            .await
            .map(|answered| Json::Object(answered.values))
            .map_err(|refused| refused.failure.unknown)
    }

    /// One request that is no look by its level of access, and of which two are no harm.
    async fn send(&self, of: &str, name: &str, values: Json) -> Result<Json, Unknown> {
        let values = values.as_object().cloned().unwrap_or_default();
        self.change(of, name, values).await.map_err(|failure| failure.unknown)
    }

    async fn change(&self, of: &str, name: &str, values: Map<String, Json>) -> Result<Json, Failure> {
        let (service, method) = found(of, name)?;
        self.account
            .call((&service, &method), &values, Again::Harmless, self.until)
            .await
            .map(|answered| Json::Object(answered.values))
            .map_err(|Refused { failure, .. }| failure)
    }
}

fn text(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("the answer has no `{name}`")),
        Value::text,
    )
}

fn maybe_text(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or(Value::None, Value::text)
}

fn int(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_i64).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("the answer has no `{name}`")),
        Value::Int,
    )
}

fn maybe_int(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_i64).map_or(Value::None, Value::Int)
}

fn time(json: &Json, name: &str) -> Option<Timestamp> {
    json.get(name)?.as_str()?.parse().ok()
}

fn maybe_time(json: &Json, name: &str) -> Value {
    time(json, name).map_or(Value::None, Value::Time)
}

fn list<'a>(json: &'a Json, name: &str) -> Result<&'a Vec<Json>, Unknown> {
    json.get(name).and_then(Json::as_array).ok_or_else(|| odd(name))
}

fn milliseconds(time: Timestamp) -> Json {
    json!(time.as_millisecond())
}

fn service_state(account: &Value, cluster: &str, json: &Json) -> Value {
    let number = |name: &str| json.get(name).and_then(Json::as_i64);
    let deployments = json.get("deployments").and_then(Json::as_array).map(Vec::len);
    let stable = match (deployments, number("runningCount"), number("desiredCount")) {
        (Some(count), Some(running), Some(desired)) => Value::Bool(count == 1 && running == desired),
        _ => Value::unknown(Reason::Unparsable, "the answer does not say whether it is stable"),
    };
    let events = json
        .get("events")
        .and_then(Json::as_array)
        .map_or_else(Vec::new, |events| {
            let messages = events
                .iter()
                .take(10)
                .filter_map(|event| event.get("message")?.as_str());
            messages.map(Value::text).collect()
        });
    Value::record(
        "ServiceState",
        vec![
            ("account", account.clone()),
            ("cluster", Value::text(cluster)),
            ("name", text(json, "serviceName")),
            ("status", text(json, "status")),
            ("desired", int(json, "desiredCount")),
            ("running", int(json, "runningCount")),
            ("pending", int(json, "pendingCount")),
            ("definition", text(json, "taskDefinition")),
            ("stable", stable),
            ("events", Value::list(events)),
        ],
    )
}

fn alarm(account: &Value, json: &Json) -> Value {
    Value::record(
        "Alarm",
        vec![
            ("account", account.clone()),
            ("name", text(json, "AlarmName")),
            ("state", text(json, "StateValue")),
            (
                "threshold",
                json.get("Threshold")
                    .and_then(Json::as_f64)
                    .map_or(Value::None, Value::float),
            ),
            ("metric", maybe_text(json, "MetricName")),
        ],
    )
}

fn table(account: &Value, json: &Json) -> Value {
    let capacity = |name: &str| {
        let number = json
            .get("ProvisionedThroughput")
            .and_then(|through| through.get(name)?.as_i64());
        Value::Int(number.unwrap_or_default())
    };
    // A table that was never anything else does not say so.
    let mode = json
        .get("BillingModeSummary")
        .and_then(|summary| summary.get("BillingMode")?.as_str())
        .unwrap_or("PROVISIONED");
    Value::record(
        "TableState",
        vec![
            ("account", account.clone()),
            ("name", text(json, "TableName")),
            ("status", text(json, "TableStatus")),
            ("mode", Value::text(mode)),
            ("reads", capacity("ReadCapacityUnits")),
            ("writes", capacity("WriteCapacityUnits")),
            ("stream", maybe_text(json, "LatestStreamArn")),
        ],
    )
}

/// A metric as a series. Periods without a sample are gaps.
fn series(json: &Json, until: Timestamp, period: Duration) -> Result<Value, Unknown> {
    let result = list(json, "MetricDataResults")?
        .first()
        .ok_or_else(|| odd("MetricDataResults"))?;
    let times = list(result, "Timestamps")?;
    let values = list(result, "Values")?;
    if times.len() != values.len() {
        return Err(wrong(Reason::Unparsable, "there are not as many values as times"));
    }
    let mut samples = Vec::with_capacity(times.len());
    for (time, value) in times.iter().zip(values) {
        let time: Timestamp = time
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| odd("Timestamps"))?;
        samples.push((time, Value::float(value.as_f64().ok_or_else(|| odd("Values"))?)));
    }
    samples.sort_by_key(|(time, _)| *time);
    Ok(late::series(samples, period, until))
}

fn seconds_ago(over: Duration) -> Timestamp {
    let now = Timestamp::now();
    now.checked_sub(jiff::SignedDuration::try_from(over).unwrap_or_default())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Aws {
    fn talk(&self, call: &Call, account: &Value) -> Result<Talk<'_>, Unknown> {
        if let Value::Unknown(unknown) = account {
            return Err((**unknown).clone());
        }
        Ok(Talk {
            account: self.named(account.as_str().unwrap_or_default())?,
            until: Instant::now() + patience(call),
        })
    }

    /// The answer of a typed look.
    pub(super) async fn typed_look(&self, call: &Call) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let account = call.arg("account");
        let talk = self.talk(call, account)?;
        match &*call.operation.path {
            "services.get" => {
                let (cluster, name) = (arguments.text("cluster")?, arguments.text("name")?);
                let values = json!({"cluster": cluster, "services": [name]});
                let answer = talk.read("ecs", "describe_services", values).await?;
                // What is not there stands among the failures.
                let one = list(&answer, "services")?
                    .first()
                    .ok_or_else(|| not_there("service", name))?;
                Ok(service_state(account, cluster, one))
            }
            "tasks.stopped" => {
                let (cluster, service) = (arguments.text("cluster")?, arguments.text("service")?);
                let values = json!({"cluster": cluster, "serviceName": service, "desiredStatus": "STOPPED"});
                let answer = talk.read("ecs", "list_tasks", values).await?;
                let arns = list(&answer, "taskArns")?;
                let mut stopped = Vec::new();
                // The service describes at most a hundred at once.
                for some in arns.chunks(100) {
                    let values = json!({"cluster": cluster, "tasks": some});
                    let answer = talk.read("ecs", "describe_tasks", values).await?;
                    stopped.extend(list(&answer, "tasks")?.iter().map(stopped_task));
                }
                Ok(Value::list(stopped))
            }
            "targets.health" => {
                let values = json!({"TargetGroupArn": arguments.text("group")?});
                let answer = talk.read("elbv2", "describe_target_health", values).await?;
                let targets = list(&answer, "TargetHealthDescriptions")?;
                Ok(Value::list(targets.iter().map(target).collect()))
            }
            "metrics.series" => metric(arguments, &talk).await,
            "alarms.list" => {
                let values = match arguments.maybe_text("prefix")? {
                    Some(prefix) => json!({"AlarmNamePrefix": prefix}),
                    None => json!({}),
                };
                let answer = talk.read("cloudwatch", "describe_alarms", values).await?;
                let alarms = answer.get("MetricAlarms").and_then(Json::as_array);
                let alarms = alarms.into_iter().flatten().map(|json| alarm(account, json));
                Ok(Value::list(alarms.collect()))
            }
            "alarms.get" => {
                let found = whole_alarm(&talk, arguments.text("name")?).await?;
                Ok(alarm(account, &found))
            }
            "tables.get" => {
                let values = json!({"TableName": arguments.text("name")?});
                let answer = talk.read("dynamodb", "describe_table", values).await?;
                Ok(table(account, answer.get("Table").ok_or_else(|| odd("Table"))?))
            }
            "functions.get" => {
                let values = json!({"FunctionName": arguments.text("name")?});
                let answer = talk.read("lambda", "get_function_configuration", values).await?;
                Ok(Value::record(
                    "FunctionState",
                    vec![
                        ("name", text(&answer, "FunctionName")),
                        ("state", maybe_text(&answer, "State")),
                        ("memory", maybe_int(&answer, "MemorySize")),
                        ("timeout", maybe_int(&answer, "Timeout")),
                        ("changed", maybe_text(&answer, "LastModified")),
                    ],
                ))
            }
            "certificates.list" => {
                // Without this the service leaves out those with elliptic curves and with large keys.
                let all_keys = json!({ "Includes": { "keyTypes": KEY_TYPES } });
                let answer = talk.read("acm", "list_certificates", all_keys).await?;
                let certificates = list(&answer, "CertificateSummaryList")?;
                Ok(Value::list(certificates.iter().map(certificate).collect()))
            }
            "logs.tail" => logs::lines(arguments, &talk).await,
            "logs.query" => logs::query(arguments, &talk).await,
            "groups.rules" => network::rules(&talk, arguments.text("group")?).await,
            "acls.entries" => network::acl(&talk, arguments.text("subnet")?).await,
            "flow_logs.list" => network::flow_logs(&talk, arguments.text("resource")?).await,
            "triggers.list" => {
                let values = json!({"FunctionName": arguments.text("function")?});
                let answer = talk.read("lambda", "list_event_source_mappings", values).await?;
                let triggers = list(&answer, "EventSourceMappings")?.iter();
                Ok(Value::list(triggers.map(|json| trigger(account, json)).collect()))
            }
            "triggers.get" => {
                let values = json!({"UUID": arguments.text("id")?});
                let answer = talk.read("lambda", "get_event_source_mapping", values).await?;
                Ok(trigger(account, &answer))
            }
            "definitions.get" => {
                let values = json!({"taskDefinition": arguments.text("name")?});
                let answer = talk.read("ecs", "describe_task_definition", values).await?;
                definition(answer.get("taskDefinition").ok_or_else(|| odd("taskDefinition"))?)
            }
            "identity.get" => {
                let answer = talk.read("sts", "get_caller_identity", json!({})).await?;
                Ok(Value::record(
                    "Identity",
                    vec![
                        ("number", text(&answer, "Account")),
                        ("arn", text(&answer, "Arn")),
                        ("id", text(&answer, "UserId")),
                    ],
                ))
            }
            "certificates.used_by" => {
                let values = json!({"CertificateArn": arguments.text("arn")?});
                let answer = talk.read("acm", "describe_certificate", values).await?;
                let certificate = answer.get("Certificate").ok_or_else(|| odd("Certificate"))?;
                let users = list(certificate, "InUseBy")?.iter().filter_map(Json::as_str);
                Ok(Value::list(users.map(Value::text).collect()))
            }
            "trails.events" => trail_events(arguments, &talk).await,
            other => Err(wrong(Reason::Internal, format!("`aws.{other}` is not a read"))),
        }
    }

    /// The outcome of a typed change.
    pub(super) async fn typed_change(&self, call: &Call) -> Result<Value, Failure> {
        let arguments = Arguments(call);
        let path = &*call.operation.path;
        let of = match path.split('.').next().unwrap_or_default() {
            "services" => "service",
            "tables" => "table",
            "triggers" => "trigger",
            _ => "alarm",
        };
        let subject = arguments.value(of);
        let account = field(subject, "account")?;
        let talk = self.talk(call, account)?;
        let key = if of == "trigger" { "id" } else { "name" };
        let name = field(subject, key)?.as_str().ok_or_else(|| odd(key))?.to_owned();
        let whole = |name: &str| match arguments.value(name) {
            Value::Int(number) if (0..=i64::from(i32::MAX)).contains(number) => Ok(*number),
            Value::Unknown(unknown) => Err((**unknown).clone()),
            _ => Err(wrong(
                Reason::Unparsable,
                format!("`{name}` is not a number that the service takes"),
            )),
        };
        let mut values = Map::new();
        match path {
            "services.scale" | "services.release" | "services.redeploy" => {
                let cluster = field(subject, "cluster")?.as_str().ok_or_else(|| odd("cluster"))?;
                values.insert("cluster".to_owned(), json!(cluster));
                values.insert("service".to_owned(), json!(name));
                match path {
                    "services.scale" => values.insert("desiredCount".to_owned(), json!(whole("to")?)),
                    "services.release" => {
                        values.insert("taskDefinition".to_owned(), json!(arguments.text("definition")?))
                    }
                    _ => values.insert("forceNewDeployment".to_owned(), json!(true)),
                };
                // A redeployment that is sent twice is two.
                let answer = if path == "services.redeploy" {
                    let (service, method) = found("ecs", "update_service")?;
                    let answered = talk
                        .account
                        .call((&service, &method), &values, Again::Never, talk.until)
                        .await;
                    Json::Object(answered.map_err(|refused| refused.failure)?.values)
                } else {
                    talk.change("ecs", "update_service", values).await?
                };
                let json = answer.get("service").cloned().unwrap_or_default();
                Ok(service_state(account, cluster, &json))
            }
            "tables.set_billing" => {
                let mode = arguments.text("mode")?;
                values.insert("TableName".to_owned(), json!(name));
                values.insert("BillingMode".to_owned(), json!(mode));
                if mode == "PROVISIONED" {
                    let through = json!({"ReadCapacityUnits": whole("reads")?, "WriteCapacityUnits": whole("writes")?});
                    values.insert("ProvisionedThroughput".to_owned(), through);
                }
                let answer = talk.change("dynamodb", "update_table", values).await?;
                Ok(table(
                    account,
                    &answer.get("TableDescription").cloned().unwrap_or_default(),
                ))
            }
            "triggers.set_enabled" => {
                let Value::Bool(to) = arguments.value("to") else {
                    return Err(wrong(Reason::Unparsable, "`to` is not yes or no").into());
                };
                values.insert("UUID".to_owned(), json!(name));
                values.insert("Enabled".to_owned(), json!(to));
                let answer = talk.change("lambda", "update_event_source_mapping", values).await?;
                Ok(trigger(account, &answer))
            }
            "alarms.set_threshold" => {
                let Value::Float(to) = arguments.value("to") else {
                    return Err(wrong(Reason::Unparsable, "`to` is no number").into());
                };
                let old = whole_alarm(&talk, &name).await?;
                let put = service("cloudwatch").and_then(|service| {
                    let method = service.method("put_metric_alarm")?;
                    Some(service.members(method.input))
                });
                // Putting an alarm replaces all of it: what it had goes with it.
                for member in put.unwrap_or_default() {
                    if let Some(value) = old.get(&member.name).filter(|value| !value.is_null()) {
                        values.insert(member.name, value.clone());
                    }
                }
                if !values.contains_key("Threshold") {
                    return Err(wrong(Reason::Missing, format!("the alarm `{name}` has no threshold")).into());
                }
                values.insert("Threshold".to_owned(), json!(to));
                talk.change("cloudwatch", "put_metric_alarm", values).await?;
                let mut new = old;
                new["Threshold"] = json!(to);
                Ok(alarm(account, &new))
            }
            other => Err(wrong(Reason::Internal, format!("`aws.{other}` is not a change")).into()),
        }
    }
}

/// Everything of one alarm.
async fn whole_alarm(talk: &Talk<'_>, name: &str) -> Result<Json, Unknown> {
    let answer = talk
        .read("cloudwatch", "describe_alarms", json!({"AlarmNames": [name]}))
        .await?;
    let alarms = answer.get("MetricAlarms").and_then(Json::as_array);
    alarms
        .and_then(|alarms| alarms.first())
        .cloned()
        .ok_or_else(|| not_there("metric alarm", name))
}

fn stopped_task(task: &Json) -> Value {
    let containers = task.get("containers").and_then(Json::as_array);
    let containers: Vec<&Json> = containers.into_iter().flatten().collect();
    let exits = containers.iter().filter_map(|one| one.get("exitCode")?.as_i64());
    let each = containers.iter().map(|one| {
        Value::record(
            "StoppedContainer",
            vec![
                ("name", text(one, "name")),
                ("exit", maybe_int(one, "exitCode")),
                ("reason", maybe_text(one, "reason")),
            ],
        )
    });
    Value::record(
        "Stopped",
        vec![
            ("task", text(task, "taskArn")),
            ("code", maybe_text(task, "stopCode")),
            ("reason", maybe_text(task, "stoppedReason")),
            ("exits", Value::list(exits.map(Value::Int).collect())),
            ("at", maybe_time(task, "stoppedAt")),
            ("containers", Value::list(each.collect())),
        ],
    )
}

fn trigger(account: &Value, json: &Json) -> Value {
    let state = json.get("State").and_then(Json::as_str).unwrap_or_default();
    let enabled = match state {
        "Enabled" | "Enabling" => Value::Bool(true),
        "Disabled" | "Disabling" => Value::Bool(false),
        _ => Value::unknown(Reason::Unsettled, "the trigger is being changed"),
    };
    Value::record(
        "Trigger",
        vec![
            ("account", account.clone()),
            ("id", text(json, "UUID")),
            ("function", text(json, "FunctionArn")),
            ("source", maybe_text(json, "EventSourceArn")),
            ("state", text(json, "State")),
            ("enabled", enabled),
            ("batch", maybe_int(json, "BatchSize")),
            ("last", maybe_text(json, "LastProcessingResult")),
        ],
    )
}

/// A task definition. Environment and secrets of its containers are left out: they may hold what nobody is to see.
fn definition(json: &Json) -> Result<Value, Unknown> {
    let containers = list(json, "containerDefinitions")?.iter().map(|container| {
        let essential = container.get("essential").and_then(Json::as_bool);
        Value::record(
            "DefinedContainer",
            vec![
                ("name", text(container, "name")),
                ("image", text(container, "image")),
                ("cpu", maybe_int(container, "cpu")),
                ("memory", maybe_int(container, "memory")),
                ("essential", essential.map_or(Value::None, Value::Bool)),
            ],
        )
    });
    Ok(Value::record(
        "Definition",
        vec![
            ("family", text(json, "family")),
            ("revision", int(json, "revision")),
            ("status", text(json, "status")),
            ("cpu", maybe_text(json, "cpu")),
            ("memory", maybe_text(json, "memory")),
            ("containers", Value::list(containers.collect())),
        ],
    ))
}

fn target(json: &Json) -> Value {
    let target = json.get("Target").cloned().unwrap_or_default();
    let health = json.get("TargetHealth").cloned().unwrap_or_default();
    Value::record(
        "TargetState",
        vec![
            ("id", text(&target, "Id")),
            ("port", maybe_int(&target, "Port")),
            ("state", text(&health, "State")),
            ("reason", maybe_text(&health, "Reason")),
            ("description", maybe_text(&health, "Description")),
        ],
    )
}

fn certificate(json: &Json) -> Value {
    Value::record(
        "CertificateState",
        vec![
            ("arn", text(json, "CertificateArn")),
            ("domain", text(json, "DomainName")),
            ("status", text(json, "Status")),
            ("expires", maybe_time(json, "NotAfter")),
            ("renewable", maybe_text(json, "RenewalEligibility")),
            (
                "used",
                json.get("InUse")
                    .and_then(Json::as_bool)
                    .map_or(Value::None, Value::Bool),
            ),
        ],
    )
}

async fn metric(arguments: Arguments<'_>, talk: &Talk<'_>) -> Result<Value, Unknown> {
    let over = arguments.duration("over")?;
    let period = arguments.duration("period")?;
    let seconds = period.as_secs();
    if seconds == 0 || (seconds % 60 != 0 && ![1, 5, 10, 30].contains(&seconds)) {
        return Err(wrong(Reason::Unparsable, "`period` is 1, 5, 10, 30 s or whole minutes"));
    }
    if over.as_secs() / seconds > SAMPLES {
        return Err(wrong(
            Reason::Unparsable,
            format!("`over` holds more than {SAMPLES} periods: choose a longer period"),
        ));
    }
    let dimensions = crate::value::document::of(arguments.value("dimensions"))?;
    let dimensions: Vec<Json> = dimensions
        .as_object()
        .ok_or_else(|| wrong(Reason::Unparsable, "`dimensions` is a record of names and texts"))?
        .iter()
        .map(|(name, value)| json!({"Name": name, "Value": value}))
        .collect();
    let now = Timestamp::now();
    let values = json!({
        "StartTime": seconds_ago(over).to_string(),
        "EndTime": now.to_string(),
        "ScanBy": "TimestampAscending",
        "MetricDataQueries": [{
            "Id": "m",
            "MetricStat": {
                "Metric": {
                    "Namespace": arguments.text("namespace")?,
                    "MetricName": arguments.text("metric")?,
                    "Dimensions": dimensions,
                },
                "Period": seconds,
                "Stat": arguments.text("statistic")?,
            },
        }],
    });
    let answer = talk.read("cloudwatch", "get_metric_data", values).await?;
    series(&answer, now, period)
}

async fn trail_events(arguments: Arguments<'_>, talk: &Talk<'_>) -> Result<Value, Unknown> {
    let most = arguments.limit("at_most", 1000)?;
    let over = arguments.duration("over")?;
    if over > Duration::from_secs(90 * 86_400) {
        return Err(wrong(Reason::Unparsable, "events are kept for 90 days"));
    }
    let mut values = json!({
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": arguments.text("name")?}],
        "StartTime": seconds_ago(over).to_string(),
        "MaxResults": 50,
    });
    let mut events = Vec::new();
    for _ in 0..crate::limits::AWS_PAGES {
        let answer = talk.read("cloudtrail", "lookup_events", values.clone()).await?;
        for event in list(&answer, "Events")? {
            let at = time(event, "EventTime");
            events.push(Value::record(
                "TrailEvent",
                vec![
                    (
                        "at",
                        at.map_or_else(|| Value::Unknown(Arc::new(odd("EventTime"))), Value::Time),
                    ),
                    ("name", text(event, "EventName")),
                    ("who", maybe_text(event, "Username")),
                    ("source", maybe_text(event, "EventSource")),
                    ("id", text(event, "EventId")),
                ],
            ));
        }
        match answer.get("NextToken").filter(|token| token.is_string()) {
            Some(token) if events.len() <= most => values["NextToken"] = token.clone(),
            _ => return Ok(limited(events, most)),
        }
    }
    Err(wrong(Reason::Truncated, "there are more events than are looked at"))
}
