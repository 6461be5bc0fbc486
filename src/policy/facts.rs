//! A question as Cedar takes it: entities, and a context that has exactly the attributes of the schema.

use super::Rules;
use crate::provider::policy::{Asked, Request, Target};
use cedar_policy::{Context, Entities, EntityId, EntityTypeName, EntityUid};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::str::FromStr;

/// A question in the form of the policy language, with the values by name for explanations.
pub(super) struct Question {
    pub request: cedar_policy::Request,
    pub entities: Entities,
    /// `principal`, `resource` and `context` as data.
    pub values: Json,
    /// The resource in words: `postgres orders`, or the runbook's name.
    pub resource: String,
}

fn reference(kind: &str, id: &str) -> Json {
    json!({ "type": format!("Starr::{kind}"), "id": id })
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let name = EntityTypeName::from_str(&format!("Starr::{kind}")).map_err(|problem| problem.to_string())?;
    Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

/// `postgres:orders`
fn target_id(target: &Target) -> String {
    format!("{}:{}", target.provider, target.name)
}

pub(super) fn asked(rules: &Rules, request: &Request) -> Result<Question, String> {
    let grounds = &request.grounds;
    let mut people: BTreeSet<&str> = BTreeSet::from([request.person.as_str(), grounds.requester.as_str()]);
    let mut targets: Vec<&Target> = Vec::new();
    let at = grounds.at.unwrap_or(Timestamp::UNIX_EPOCH);
    let local = at.to_zoned(rules.zone.clone());
    let mut context = json!({
        "requester": reference("Person", &grounds.requester),
        "emergency": grounds.emergency,
        // Milliseconds are what the language knows.
        "now": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "date": local.strftime("%Y-%m-%d").to_string(),
        "weekday": local.strftime("%a").to_string(),
        "minute": i64::from(local.hour()) * 60 + i64::from(local.minute()),
    });
    let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match &request.asked {
        Asked::Run { dry_run, unattended } => {
            context["dry_run"] = json!(dry_run);
            context["unattended"] = json!(unattended);
        }
        Asked::Approve {
            roles,
            operations,
            targets: touched,
            count,
        } => {
            context["action"] = json!(grounds.action);
            context["risk"] = json!(grounds.risk);
            context["roles"] = roles.iter().map(|role| reference("Role", role)).collect();
            context["operations"] = json!(operations);
            context["targets"] = touched
                .iter()
                .map(|target| reference("Target", &target_id(target)))
                .collect();
            context["count"] = json!(long(*count));
            targets.extend(touched);
        }
        Asked::Override {
            reason,
            ticket,
            second,
            seconds,
        } => {
            context["reason"] = json!(reason);
            context["ticket"] = json!(ticket);
            context["second"] = reference("Person", second);
            context["seconds"] = json!(long(*seconds));
            people.insert(second);
        }
        Asked::Change {
            operation,
            capability,
            class,
            target,
            count,
        } => {
            context["action"] = json!(grounds.action);
            context["purpose"] = json!(grounds.purpose);
            context["risk"] = json!(grounds.risk);
            context["operation"] = json!(operation);
            context["capability"] = json!(capability);
            context["class"] = json!(class);
            context["count"] = json!(long(*count));
            context["approvers"] = grounds.approvers.iter().map(|who| reference("Person", who)).collect();
            context["runbook"] = reference("Runbook", &grounds.runbook);
            people.extend(grounds.approvers.iter().map(String::as_str));
            targets.push(target);
        }
        Asked::Tell {
            operation,
            capability,
            target,
        } => {
            context["action"] = json!(grounds.action);
            context["operation"] = json!(operation);
            context["capability"] = json!(capability);
            context["runbook"] = reference("Runbook", &grounds.runbook);
            targets.push(target);
        }
        Asked::TakeLock { target, holder, reason } => {
            context["holder"] = json!(holder);
            context["reason"] = json!(reason);
            context["runbook"] = reference("Runbook", &grounds.runbook);
            targets.push(target);
        }
    }

    let environment = reference("Environment", &grounds.environment);
    let mut runbook = json!({ "name": grounds.runbook, "digest": grounds.runbook_digest });
    if let Some(owner) = &grounds.owner {
        runbook["owner"] = json!(owner);
    }
    let (resource, resource_values, shown) = match &request.asked {
        Asked::Change { target, .. } | Asked::Tell { target, .. } | Asked::TakeLock { target, .. } => (
            uid("Target", &target_id(target))?,
            json!({ "name": target.name, "provider": target.provider }),
            format!("{} {}", target.provider, target.name),
        ),
        _ => (
            uid("Runbook", &grounds.runbook)?,
            runbook.clone(),
            grounds.runbook.clone(),
        ),
    };
    let mut entities = vec![
        json!({ "uid": environment, "attrs": {}, "parents": [] }),
        json!({ "uid": reference("Runbook", &grounds.runbook), "attrs": runbook, "parents": [environment] }),
    ];
    let mut roles: BTreeSet<&str> = BTreeSet::new();
    for person in &people {
        let has = rules.people.get(*person).map(Vec::as_slice).unwrap_or_default();
        roles.extend(has.iter().map(String::as_str));
        entities.push(json!({
            "uid": reference("Person", person),
            "attrs": { "name": person },
            "parents": has.iter().map(|role| reference("Role", role)).collect::<Vec<_>>(),
        }));
    }
    if let Asked::Approve { roles: wanted, .. } = &request.asked {
        roles.extend(wanted.iter().map(String::as_str));
    }
    entities.extend(
        roles
            .iter()
            .map(|role| json!({ "uid": reference("Role", role), "attrs": {}, "parents": [] })),
    );
    targets.sort();
    targets.dedup();
    let providers: BTreeSet<&str> = targets.iter().map(|target| target.provider.as_str()).collect();
    for provider in providers {
        entities.push(json!({ "uid": reference("Provider", provider), "attrs": {}, "parents": [] }));
    }
    for target in targets {
        entities.push(json!({
            "uid": reference("Target", &target_id(target)),
            "attrs": { "name": target.name, "provider": target.provider },
            "parents": [environment, reference("Provider", &target.provider)],
        }));
    }

    let action = uid("Action", request.asked.word())?;
    let values = json!({
        "principal": { "name": request.person, "roles": rules.people.get(&request.person) },
        "resource": resource_values,
        "context": context,
    });
    let entities =
        Entities::from_json_value(Json::Array(entities), Some(&rules.schema)).map_err(|problem| told(&problem))?;
    let context =
        Context::from_json_value(context, Some((&rules.schema, &action))).map_err(|problem| told(&problem))?;
    let request = cedar_policy::Request::new(
        uid("Person", &request.person)?,
        action,
        resource,
        context,
        Some(&rules.schema),
    )
    .map_err(|problem| told(&problem))?;
    Ok(Question {
        request,
        entities,
        values,
        resource: shown,
    })
}

fn told(problem: &dyn std::error::Error) -> String {
    super::one_line(&problem.to_string())
}
