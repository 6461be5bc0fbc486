//! What never leaves an answer: keys, passwords, connection strings, tokens, wherever a service puts them.

use serde_json::Value as Json;

/// What stands in their place.
const LEFT_OUT: &str = "(secret)";

/// True for a field that holds a secret, by its name.
fn is_secret(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_lowercase();
    matches!(
        name.as_str(),
        "key1"
            | "key2"
            | "primarykey"
            | "secondarykey"
            | "primarymasterkey"
            | "secondarymasterkey"
            | "primaryreadonlymasterkey"
            | "secondaryreadonlymasterkey"
            | "accountkey"
            | "sharedkey"
            | "accesskey"
            | "instrumentationkey"
            | "sastoken"
            | "token"
            | "accesstoken"
            | "refreshtoken"
            | "secrettext"
            | "clientsecret"
    ) || name.ends_with("connectionstring")
        || name.ends_with("connectionstrings")
        || name.ends_with("password")
}

/// Takes secrets out of a document, at every depth.
pub fn conceal(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Json::String(text) if !text.is_empty() && is_secret(name) => {
                        crate::secrets::remember(text, "a secret of Azure");
                        *value = Json::String(LEFT_OUT.to_owned());
                    }
                    value => conceal(value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(conceal),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::conceal;
    use serde_json::json;

    #[test]
    fn secrets_are_left_out_at_every_depth() {
        let mut document = json!({
            "primaryKey": "canary-51d0aa",
            "properties": {"ConnectionString": "canary-51d0aa", "InstrumentationKey": "canary-51d0aa"},
            "list": [{"adminPassword": "canary-51d0aa", "partitionKey": {"paths": ["/tenant"]}, "keyName": "shown"}],
        });
        conceal(&mut document);
        assert!(!document.to_string().contains("canary"), "{document}");
        assert_eq!(document["list"][0]["partitionKey"]["paths"][0], "/tenant");
        assert_eq!(document["list"][0]["keyName"], "shown");
    }
}
