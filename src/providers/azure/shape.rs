//! From a service's document to the record of the interface text: which field stands where.

use crate::provider::Call;
use crate::value::Type;
use crate::value::Value;
use crate::value::decode::decode;
use serde_json::{Map, Value as Json, json};

/// Fields of a record, and where the document has them: a JSON pointer, with a word in front of it when it is read in another way:
/// `yes` (absent is no), `memory` (`2Gi`), `share` (percent), `last` (end of an id), `all` (a list; `*` stands for each element),
/// `lasts`, `text` (a number as text), `keys`, `rate` (see [`limit_of`]).
pub type Shape = &'static [(&'static str, &'static str)];

fn memory(text: &str) -> String {
    let split = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    format!("{} {unit}", number.trim())
}

fn last(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// Everything at a pointer in which `*` stands for each element of a list.
fn each(document: &Json, pointer: &str) -> Vec<Json> {
    match pointer.split_once("/*") {
        None => match document.pointer(pointer) {
            Some(Json::Array(items)) => items.clone(),
            Some(Json::Null) | None => Vec::new(),
            Some(one) => vec![one.clone()],
        },
        Some((front, rest)) => {
            let items = document.pointer(front).and_then(Json::as_array);
            let items = items.into_iter().flatten();
            if rest.is_empty() {
                items.cloned().collect()
            } else {
                items.flat_map(|item| each(item, rest)).collect()
            }
        }
    }
}

/// How often something may be called in a minute, from a list of `{key, renewalPeriod, count}`.
fn limit_of(document: &Json, key: &str) -> Option<Json> {
    let limits = document.pointer("/properties/rateLimits")?.as_array()?;
    let found = limits
        .iter()
        .find(|limit| limit.get("key").and_then(Json::as_str) == Some(key))?;
    let period = found.get("renewalPeriod")?.as_f64().filter(|period| *period > 0.0)?;
    Some(json!(found.get("count")?.as_f64()? * 60.0 / period))
}

fn field(document: &Json, from: &str) -> Option<Json> {
    let (way, pointer) = from.split_once(':').unwrap_or(("", from));
    let found = || document.pointer(pointer).filter(|found| !found.is_null());
    let text = || found().and_then(Json::as_str);
    match way {
        "yes" => Some(json!(found().and_then(Json::as_bool).unwrap_or(false))),
        "memory" => text().map(|text| json!(memory(text))),
        "share" => Some(json!(found().and_then(Json::as_f64).unwrap_or(0.0) / 100.0)),
        "last" => text().map(|text| json!(last(text))),
        "all" => Some(Json::Array(each(document, pointer))),
        "lasts" => {
            let items = each(document, pointer);
            Some(
                items
                    .iter()
                    .filter_map(Json::as_str)
                    .map(|text| json!(last(text)))
                    .collect(),
            )
        }
        "keys" => {
            let keys = found().and_then(Json::as_object);
            Some(keys.into_iter().flat_map(Map::keys).map(|key| json!(key)).collect())
        }
        "rate" => limit_of(document, pointer),
        // Some services give a number where others give a text.
        "number" => found().and_then(|found| match found {
            Json::String(text) => text.parse::<i64>().ok().map(|number| json!(number)),
            found => Some(found.clone()),
        }),
        _ => found().cloned(),
    }
}

/// The document as the record's fields.
pub fn fields(shape: Shape, document: &Json) -> Map<String, Json> {
    shape
        .iter()
        .filter_map(|(name, from)| Some(((*name).to_owned(), field(document, from)?)))
        .collect()
}

/// The record of a call's result; resources of the call stand in fields of their name.
pub fn record(call: &Call, shape: Shape, document: &Json) -> Value {
    decode(&call.operation.result, &named(call, shape, document))
}

fn named(call: &Call, shape: Shape, document: &Json) -> Json {
    let mut fields = fields(shape, document);
    for owner in ["group", "vault"] {
        if let Some(name) = call.arg(owner).as_str() {
            fields.insert(owner.to_owned(), json!(name));
        }
    }
    Json::Object(fields)
}

/// The list of records of a call's result; it says when there are more.
pub fn list(call: &Call, shape: Shape, documents: &[Json], more: bool) -> Value {
    let items: Vec<Json> = documents.iter().map(|document| named(call, shape, document)).collect();
    of_items(&call.operation.result, items, more)
}

/// A list of documents as this type.
pub fn of_items(ty: &Type, items: Vec<Json>, more: bool) -> Value {
    if more {
        decode(ty, &json!({"truncated": true, "items": items}))
    } else {
        decode(ty, &Json::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use super::{each, field, fields, memory};
    use serde_json::json;

    #[test]
    fn fields_are_found_where_they_stand() {
        let document = json!({
            "name": "api", "properties": {
                "on": true, "share": 30, "id": "/a/b/last", "zones": ["x/1", "x/2"],
                "env": [{"name": "A"}, {"name": "B"}], "memory": "2Gi", "nothing": null, "port": "6380",
                "rateLimits": [{"key": "token", "renewalPeriod": 10, "count": 100}],
            }
        });
        let got = fields(
            &[
                ("name", "/name"),
                ("on", "yes:/properties/on"),
                ("off", "yes:/properties/off"),
                ("share", "share:/properties/share"),
                ("id", "last:/properties/id"),
                ("zones", "lasts:/properties/zones"),
                ("env", "all:/properties/env/*/name"),
                ("memory", "memory:/properties/memory"),
                ("nothing", "/properties/nothing"),
                ("port", "number:/properties/port"),
                ("tokens", "rate:token"),
            ],
            &document,
        );
        assert_eq!(
            json!(got),
            json!({"name": "api", "on": true, "off": false, "share": 0.3, "id": "last", "zones": ["1", "2"],
                   "env": ["A", "B"], "memory": "2 Gi", "port": 6380, "tokens": 600.0})
        );
        assert_eq!(each(&document, "/properties/none/*/x"), Vec::<serde_json::Value>::new());
        assert_eq!(field(&document, "/properties/none"), None);
        assert_eq!(memory("0.5Gi"), "0.5 Gi");
    }
}
