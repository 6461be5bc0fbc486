//! Whether the login may do what a runbook needs, asked of AWS itself: the simulation of its policies.

use super::client::Account;
use super::rights::{ANY, Conditions, Statement, statements};
use super::{Aws, found, pages};
use crate::provider::native::{Allowed, Right, Use};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How long one question may take.
const WITHIN: Duration = Duration::from_secs(15);

async fn ask(account: &Account, of: &str, path: &str, values: Json) -> Result<Map<String, Json>, String> {
    let (service, method) = found(of, path).map_err(|unknown| unknown.to_string())?;
    let values = values.as_object().cloned().unwrap_or_default();
    pages::all(account, (&service, &method), &values, Instant::now() + WITHIN)
        .await
        .map(|answered| answered.values)
        .map_err(|refused| refused.failure.unknown.to_string())
}

/// Whose policies are asked about.
async fn principal(account: &Account) -> Result<String, String> {
    let me = ask(account, "sts", "get_caller_identity", json!({})).await?;
    let arn = me.get("Arn").and_then(Json::as_str).unwrap_or_default();
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, service, _, id, name] = parts.as_slice() else {
        return Err("the service does not say who asks".to_owned());
    };
    match (*service, name.split('/').collect::<Vec<_>>().as_slice()) {
        ("iam", ["user", ..]) => Ok(arn.to_owned()),
        // The session does not say in which folder the role lies.
        ("sts", ["assumed-role", role, _]) => {
            let known = ask(account, "iam", "get_role", json!({ "RoleName": role })).await;
            let whole = known
                .ok()
                .and_then(|known| Some(known.get("Role")?.get("Arn")?.as_str()?.to_owned()));
            Ok(whole.unwrap_or_else(|| format!("arn:{partition}:iam::{id}:role/{role}")))
        }
        _ => Err(format!(
            "what `{arn}` may do is said by no policy that can be simulated"
        )),
    }
}

/// What the conditions of a statement are about, as far as it is known.
fn context(conditions: &Conditions) -> Json {
    let keys = conditions.values().flatten();
    keys.filter(|(_, values)| !values.iter().any(|value| value.contains('*')))
        .map(|(key, values)| json!({"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": values}))
        .collect()
}

/// What the service says about one action.
fn decided(answer: &Map<String, Json>, action: &str, exact: bool) -> Allowed {
    let results = answer.get("EvaluationResults").and_then(Json::as_array);
    let mut results = results.into_iter().flatten();
    let named = |result: &&Json| {
        let name = result.get("EvalActionName").and_then(Json::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(action))
    };
    let Some(result) = results.find(named) else {
        return Allowed::Unknown("the service says nothing about it".to_owned());
    };
    let missing: Vec<&str> = result
        .get("MissingContextValues")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    match result.get("EvalDecision").and_then(Json::as_str) {
        // A condition that was not looked at may forbid it.
        Some(_) if !missing.is_empty() => Allowed::Unknown(format!("it depends on {}", missing.join(", "))),
        Some("allowed") => Allowed::Yes,
        Some("explicitDeny") if exact => Allowed::No("a policy forbids it".to_owned()),
        Some("implicitDeny") if exact => Allowed::No("no policy allows it".to_owned()),
        Some("explicitDeny" | "implicitDeny") => {
            Allowed::Unknown("not for all of them; which one is meant is only known in the run".to_owned())
        }
        _ => Allowed::Unknown("what the service says about it cannot be read".to_owned()),
    }
}

/// The resources that are asked about: where there are two forms of one name, the wider one.
fn asked_about(resources: &BTreeSet<String>) -> Vec<&String> {
    let wider = |arn: &str| {
        [":*", "-??????"]
            .iter()
            .any(|end| resources.contains(&format!("{arn}{end}")))
    };
    resources.iter().filter(|arn| !wider(arn)).collect()
}

/// Every action of a statement on every resource of it.
async fn of_statement(account: Option<&Account>, target: &str, statement: &Statement, rights: &mut Vec<Right>) {
    let who = match account {
        Some(account) => principal(account).await.map(|who| (account, who)),
        None if target == ANY => Err("which account is meant is only known in the run".to_owned()),
        None => Err("no account of this name is configured in this environment".to_owned()),
    };
    for ((resources, conditions), actions) in &statement.actions {
        for resource in asked_about(resources) {
            let answer = match &who {
                Ok((account, who)) => {
                    let question = json!({
                        "PolicySourceArn": who,
                        "ActionNames": actions,
                        "ResourceArns": [resource],
                        "ContextEntries": context(conditions),
                    });
                    ask(account, "iam", "simulate_principal_policy", question).await
                }
                Err(problem) => Err(problem.clone()),
            };
            let exact = resource == "*" || !resource.contains(['*', '?']);
            rights.extend(actions.iter().map(|action| Right {
                target: target.to_owned(),
                action: action.clone(),
                on: resource.clone(),
                allowed: match &answer {
                    Ok(answer) => decided(answer, action, exact),
                    Err(problem) => Allowed::Unknown(format!("it could not be asked: {problem}")),
                },
            }));
        }
    }
}

/// What the login may do of what these operations need.
pub async fn rights(aws: &Aws, uses: &[Use]) -> Vec<Right> {
    let mut rights = Vec::new();
    for ((target, _), statement) in statements(aws, uses) {
        of_statement(
            aws.accounts.get(&target).map(std::convert::AsRef::as_ref),
            &target,
            &statement,
            &mut rights,
        )
        .await;
    }
    rights.sort();
    rights.dedup();
    rights
}

#[cfg(test)]
mod tests {
    use super::{Allowed, asked_about, decided};
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    #[test]
    fn only_what_is_said_to_be_allowed_is() {
        let said = |result: Json, exact: bool| {
            let answer = json!({ "EvaluationResults": [result] });
            decided(answer.as_object().unwrap(), "ecs:UpdateService", exact)
        };
        let named = |decision: &str| json!({"EvalActionName": "ecs:UpdateService", "EvalDecision": decision});
        assert_eq!(said(named("allowed"), true), Allowed::Yes);
        assert_eq!(said(named("allowed"), false), Allowed::Yes);
        for decision in ["implicitDeny", "explicitDeny"] {
            assert!(matches!(said(named(decision), true), Allowed::No(_)), "{decision}");
            assert!(
                matches!(said(named(decision), false), Allowed::Unknown(_)),
                "{decision}"
            );
        }
        let unknown = |result: Json| assert!(matches!(said(result.clone(), true), Allowed::Unknown(_)), "{result}");
        unknown(named("perhaps"));
        unknown(json!({"EvalActionName": "ecs:UpdateService"}));
        unknown(json!({"EvalActionName": "ecs:DeleteService", "EvalDecision": "allowed"}));
        unknown(
            json!({"EvalActionName": "ecs:UpdateService", "EvalDecision": "allowed", "MissingContextValues": ["aws:username"]}),
        );
        assert!(matches!(
            decided(&serde_json::Map::new(), "a:b", true),
            Allowed::Unknown(_)
        ));
    }

    #[test]
    fn of_two_forms_of_a_name_the_wider_one_is_asked_about() {
        let all = [
            "log-group:a",
            "log-group:a:*",
            "secret:db",
            "secret:db-??????",
            "table/x",
        ];
        let all: BTreeSet<String> = all.iter().map(|arn| (*arn).to_owned()).collect();
        assert_eq!(asked_about(&all), ["log-group:a:*", "secret:db-??????", "table/x"]);
    }
}
