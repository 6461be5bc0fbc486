//! A reply as it may be written down: what its type calls a secret is one, wherever the source put it.

use super::{List, Record, Secret, Type, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// What stands in a document where a secret was.
const PLACEHOLDER: &str = "(secret)";

/// The value with every part that `ty` declares a secret made one. A source that knows no secrets (a document, rows of a query) gives
/// them in the clear; the runbook says by the type it reads them as.
pub fn conceal(ty: &Type, value: &Value) -> Value {
    match (ty, value) {
        (_, Value::Unknown(_) | Value::Secret(_) | Value::None) => value.clone(),
        (Type::Secret(_), value) => Value::Secret(Secret::new(value.clone())),
        (ty, value) if !ty.holds_secret() => value.clone(),
        (Type::Optional(inner), value) => conceal(inner, value),
        (Type::List(inner), Value::List(list)) => Value::List(Arc::new(List {
            items: list.items.iter().map(|item| conceal(inner, item)).collect(),
            truncated: list.truncated,
        })),
        (Type::Record(record), Value::Record(found)) => Value::Record(Arc::new(Record {
            type_name: found.type_name.clone(),
            fields: found
                .fields
                .iter()
                .map(|(name, value)| match record.field(name) {
                    Some(ty) => (name.clone(), conceal(ty, value)),
                    None => (name.clone(), value.clone()),
                })
                .collect(),
        })),
        (ty, Value::Json(json)) => Value::Json(Arc::new(document(ty, json))),
        // It is not what its type says: nobody knows where the secret stands in it.
        (_, value) => Value::Secret(Secret::new(value.clone())),
    }
}

fn document(ty: &Type, json: &Json) -> Json {
    match (ty, json) {
        (_, Json::Null) => Json::Null,
        (Type::Secret(_), _) => Json::from(PLACEHOLDER),
        (ty, json) if !ty.holds_secret() => json.clone(),
        (Type::Optional(inner), json) => document(inner, json),
        (Type::List(inner), Json::Array(items)) => items.iter().map(|item| document(inner, item)).collect(),
        (Type::Record(record), Json::Object(fields)) => Json::Object(
            fields
                .iter()
                .map(|(name, value)| match record.field(name) {
                    Some(ty) => (name.clone(), document(ty, value)),
                    None => (name.clone(), value.clone()),
                })
                .collect(),
        ),
        (_, _) => Json::from(PLACEHOLDER),
    }
}

#[cfg(test)]
mod tests {
    use super::conceal;
    use crate::value::{RecordType, Type, Value, tagged};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_secret_is_hidden_wherever_its_type_says() {
        let row = Type::Record(Arc::new(RecordType {
            name: "Row".into(),
            fields: vec![
                ("id".into(), Type::Int),
                ("token".into(), Type::Secret(Box::new(Type::Text))),
                ("keys".into(), Type::List(Box::new(Type::Secret(Box::new(Type::Text))))),
            ],
        }));
        let rows = Type::List(Box::new(row));
        let document = json!([{"id": 1, "token": "canary", "keys": ["canary", null], "more": "plain"}]);
        let shown = conceal(&rows, &Value::Json(Arc::new(document)));
        assert_eq!(
            tagged::to_json(&shown),
            tagged::to_json(&Value::Json(Arc::new(
                json!([{"id": 1, "token": "(secret)", "keys": ["(secret)", null], "more": "plain"}])
            )))
        );
        // Not rows at all: nothing of it is shown.
        for other in [json!("canary"), json!({"token": "canary"}), json!(["canary"])] {
            let shown = tagged::to_json(&conceal(&rows, &Value::Json(Arc::new(other)))).to_string();
            assert!(!shown.contains("canary"), "{shown}");
        }
        let plain = Value::text("plain");
        assert_eq!(conceal(&Type::Text, &plain), plain);
    }
}
