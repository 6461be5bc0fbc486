//! What never leaves an answer although the models do not call it sensitive: keys, tokens, passwords, environments of containers.
//!
//! What the models call sensitive is left out where an answer is read. They leave much open: the session token of an assumed role, the token
//! of a registry, the environment of a container of ECS.

use super::decode::HIDDEN;
use crate::secrets::remember;
use serde_json::{Map, Value as Json};

/// A name as it is compared: `Secret_Access-Key` is `secretaccesskey`.
fn squeezed(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// True for a field that holds a secret, by its name.
pub fn is_secret(name: &str) -> bool {
    let name = squeezed(name);
    matches!(
        name.as_str(),
        "apikey" | "secret" | "secretbinary" | "secretstring" | "plaintext" | "token" | "userdata" | "keymaterial"
    ) || [
        "accesstoken",
        "authorizationtoken",
        "authtoken",
        "bearertoken",
        "clientsecret",
        "connectionstring",
        "connectiontoken",
        "grafanatoken",
        "hectoken",
        "participanttoken",
        "passphrase",
        "password",
        "presharedkey",
        "privatekey",
        "refreshtoken",
        "secretaccesskey",
        "secretkey",
        "secrettoken",
        "securitytoken",
        "sessiontoken",
        "sharedsecret",
        "tokenvalue",
    ]
    .iter()
    .any(|end| name.ends_with(end))
        || name == "idtoken"
}

/// True for a variable whose name says that its value is a secret: `DB_PASSWORD`, `STRIPE_KEY`, `DATABASE_URL`.
fn is_secret_variable(name: &str) -> bool {
    let name = squeezed(name);
    is_secret(&name)
        || ["key", "token", "secret", "password", "dsn", "credentials"]
            .iter()
            .any(|end| name.ends_with(end))
        || name == "databaseurl"
}

/// True for a field that holds the variables of a program.
fn is_environment(name: &str) -> bool {
    matches!(
        squeezed(name).as_str(),
        "environment" | "environmentvariables" | "runtimeenvironmentvariables"
    )
}

/// Puts the mark in the place of every text.
fn hide(value: &mut Json, known: bool) {
    match value {
        Json::String(text) if !text.is_empty() && text != HIDDEN => {
            if known {
                remember(text, "a secret of AWS");
            }
            *text = HIDDEN.to_owned();
        }
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, known)),
        Json::Object(fields) => fields.values_mut().for_each(|value| hide(value, known)),
        _ => {}
    }
}

/// The variables of a program: their names stay.
fn hide_variables(value: &mut Json) {
    match value {
        Json::Array(items) => {
            for item in items {
                let Json::Object(fields) = item else { continue };
                let named = |fields: &Map<String, Json>, wanted: &str| {
                    fields.keys().find(|name| name.eq_ignore_ascii_case(wanted)).cloned()
                };
                let name = named(fields, "name").and_then(|name| fields.get(&name)?.as_str().map(str::to_owned));
                if let (Some(name), Some(value)) = (name, named(fields, "value"))
                    && let Some(value) = fields.get_mut(&value)
                {
                    hide(value, is_secret_variable(&name));
                }
            }
        }
        // A map of texts; anything else has the name and is another thing.
        Json::Object(fields) if fields.values().all(Json::is_string) => {
            for (name, value) in fields {
                // What CodeBuild calls so says what it runs on, and has its variables in a list.
                if !matches!(name.as_str(), "type" | "image" | "computeType") {
                    hide(value, is_secret_variable(name));
                }
            }
        }
        Json::Object(fields) => conceal_fields(fields, ""),
        _ => {}
    }
}

fn conceal_fields(fields: &mut Map<String, Json>, service: &str) {
    // A key of the API Gateway stands in a field that is called `value`; a parameter of Systems Manager may be one of many kinds.
    if service == "apigateway"
        && fields.contains_key("stageKeys")
        && let Some(value) = fields.get_mut("value")
    {
        hide(value, true);
    }
    for (name, value) in fields {
        match value {
            // An approval of a pipeline is answered with the token of the question.
            Json::String(_) if name == "token" && service == "codepipeline" => {}
            Json::String(_) | Json::Array(_) | Json::Object(_) if is_secret(name) => {
                if value.is_string() || value.get("Value").is_some_and(Json::is_string) {
                    hide(value, true);
                } else {
                    conceal(value, service);
                }
            }
            value if is_environment(name) => hide_variables(value),
            value => conceal(value, service),
        }
    }
}

fn conceal(json: &mut Json, service: &str) {
    match json {
        Json::Object(fields) => conceal_fields(fields, service),
        Json::Array(items) => items.iter_mut().for_each(|item| conceal(item, service)),
        _ => {}
    }
}

/// Takes secrets out of an answer of a service. `open` are the fields that say where the next page begins.
pub fn answer(service: &str, values: &mut Map<String, Json>, open: &[String]) {
    let kept: Vec<(String, Json)> = open
        .iter()
        .filter_map(|name| Some((name.clone(), values.get(name)?.clone())))
        .collect();
    conceal_fields(values, service);
    values.extend(kept);
}

/// True when a mark that stands for a secret would be sent: what was read is not all that there is.
pub fn is_marked(value: &Json) -> bool {
    match value {
        Json::String(text) => text == HIDDEN,
        Json::Array(items) => items.iter().any(is_marked),
        Json::Object(fields) => fields.values().any(is_marked),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{answer, is_marked};
    use serde_json::{Map, Value as Json, json};

    fn concealed(service: &str, document: Json) -> Json {
        let Json::Object(mut values) = document else {
            panic!("a document");
        };
        answer(service, &mut values, &["Token".to_owned()]);
        Json::Object(values)
    }

    #[test]
    fn secrets_are_left_out_at_every_depth() {
        let shown = concealed(
            "ecs",
            json!({
                "Credentials": {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "canary-51d0aa", "SessionToken": "canary-51d0aa"},
                "authorizationData": [{"authorizationToken": "canary-51d0aa", "proxyEndpoint": "https://x"}],
                "taskDefinition": {"containerDefinitions": [{
                    "environment": [{"name": "DATABASE_URL", "value": "canary-51d0aa"}, {"name": "PLAIN", "value": "canary-51d0aa"}],
                    "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/key"}],
                }]},
                "Environment": {"PASSWORD": "canary-51d0aa"},
                "environments": [{"name": "production", "value": "shown"}],
                "UserData": {"Value": "canary-51d0aa"},
            }),
        );
        assert!(!shown.to_string().contains("canary"), "{shown}");
        assert_eq!(shown["Credentials"]["AccessKeyId"], "AKIAEXAMPLE");
        let container = &shown["taskDefinition"]["containerDefinitions"][0];
        assert_eq!(container["environment"][0]["name"], "DATABASE_URL");
        assert_eq!(
            container["secrets"][0]["valueFrom"],
            "arn:aws:ssm:eu-west-1:1:parameter/key"
        );
        assert_eq!(shown["environments"][0]["value"], "shown");
        assert!(is_marked(&shown) && !is_marked(&json!({"a": ["b", 1]})));
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        let page = concealed("license-manager", json!({"Token": "page-two"}));
        assert_eq!(page["Token"], "page-two", "where the next page begins");
        let approval = concealed("codepipeline", json!({"latestExecution": {"token": "question-1"}}));
        assert_eq!(approval["latestExecution"]["token"], "question-1");
        let build = json!({"environment": {"type": "LINUX_CONTAINER", "image": "x", "environmentVariables": [{"name": "A", "value": "canary"}]}});
        let build = concealed("codebuild", build);
        assert_eq!(build["environment"]["image"], "x");
        assert_eq!(build["environment"]["environmentVariables"][0]["value"], "(secret)");
        let key = json!({"items": [{"stageKeys": [], "value": "canary"}, {"value": "shown"}]});
        let key = concealed("apigateway", key);
        assert_eq!(
            key["items"],
            json!([{"stageKeys": [], "value": "(secret)"}, {"value": "shown"}])
        );
        assert_eq!(concealed("x", Json::Object(Map::new())), json!({}));
    }
}
