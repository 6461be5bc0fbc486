//! Values as documents: where a document is due, a runbook's records, lists and scalars arrive as they are.

use super::show::data;
use super::{Reason, Unknown, Value};
use serde_json::Value as Json;

/// Deepest nesting of a document that is sent.
const DEPTH: usize = 64;

/// The value as a document. Quantities are written as [`data`] writes them: `"12 min"`, `0.97` for 97 %, bytes as a number.
///
/// # Errors
/// What is not known, was cut or is a secret has no place in a document; nothing is sent then.
pub fn of(value: &Value) -> Result<Json, Unknown> {
    at(value, DEPTH)
}

fn refusal(reason: Reason, detail: &str) -> Unknown {
    Unknown {
        reason,
        detail: detail.to_owned(),
    }
}

fn at(value: &Value, depth: usize) -> Result<Json, Unknown> {
    if depth == 0 {
        return Err(refusal(Reason::Unparsable, "the document is nested too deeply"));
    }
    match value {
        Value::Unknown(unknown) => Err((**unknown).clone()),
        Value::Secret(_) => Err(refusal(
            Reason::Denied,
            "a secret has no place in a document; `authorization` and the configuration have",
        )),
        Value::AtLeast(_) => Err(refusal(
            Reason::Truncated,
            "the number is only known to be at least that",
        )),
        Value::List(list) if list.truncated => Err(refusal(Reason::Truncated, "the list was cut")),
        Value::List(list) => list.items.iter().map(|item| at(item, depth - 1)).collect(),
        Value::Record(record) => record
            .fields
            .iter()
            .map(|(name, value)| Ok((name.to_string(), at(value, depth - 1)?)))
            .collect::<Result<serde_json::Map<_, _>, _>>()
            .map(Json::Object),
        Value::Series(series) => series.samples.iter().map(|(_, value)| at(value, depth - 1)).collect(),
        plain => Ok(data(plain)),
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::value::{List, Reason, Secret, Value};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn records_lists_and_scalars_are_documents() {
        let value = Value::record(
            "",
            vec![
                ("name", Value::text("a\"b")),
                ("share", Value::Ratio(0.5)),
                ("age", Value::Duration(90_000_000_000)),
                ("none", Value::None),
                ("list", Value::list(vec![Value::Int(1), Value::Bool(true)])),
                ("as_is", Value::Json(Arc::new(json!({"x": [1]})))),
            ],
        );
        assert_eq!(
            of(&value).unwrap(),
            json!({"name": "a\"b", "share": 0.5, "age": "90 s", "none": null, "list": [1, true], "as_is": {"x": [1]}})
        );
    }

    #[test]
    fn what_is_not_known_cut_or_secret_is_not_sent() {
        let inside = |value: Value| {
            let record = Value::record("", vec![("a", Value::list(vec![value]))]);
            of(&record).unwrap_err()
        };
        let secret = inside(Value::Secret(Secret::new(Value::text("canary"))));
        assert!(secret.reason == Reason::Denied && !secret.detail.contains("canary"));
        assert_eq!(inside(Value::unknown(Reason::Timeout, "")).reason, Reason::Timeout);
        let cut = Value::List(Arc::new(List {
            items: vec![],
            truncated: true,
        }));
        assert_eq!(inside(cut).reason, Reason::Truncated);
        assert_eq!(inside(Value::AtLeast(5)).reason, Reason::Truncated);
    }
}
