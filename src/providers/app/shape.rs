//! A service's names, words and units as those of the interface, both ways.

use super::config::{Binding, Field, FieldIn, Sent, SentIn, unit};
use crate::providers::failure::wrong;
use crate::value::decode::decode;
use crate::value::{Reason, RecordType, Type, Unknown, Value};
use serde_json::{Map, Value as Json};

/// The arguments of a call by name; those of a record that was looked at are among them.
#[derive(Clone, Debug, Default)]
pub struct Arguments(pub Vec<(String, Value)>);

impl Arguments {
    /// The argument of this name; what is absent is `none`.
    pub fn get(&self, name: &str) -> &Value {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map_or(&Value::None, |(_, value)| value)
    }

    /// A path with its arguments filled in, each as one segment.
    pub fn fill(&self, path: &str) -> Result<(String, Vec<String>), Unknown> {
        let mut filled = String::new();
        let mut used = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| wrong(Reason::Unavailable, "a brace in its path is not closed"))?;
            filled.push_str(before);
            let text = match self.get(name) {
                Value::Unknown(unknown) => return Err((**unknown).clone()),
                Value::Int(number) => number.to_string(),
                Value::Bool(on) => on.to_string(),
                value => value.as_str().map(str::to_owned).ok_or_else(|| {
                    wrong(
                        Reason::Unavailable,
                        format!("its path names `{name}`, which this call does not have"),
                    )
                })?,
            };
            if text.is_empty() || text == "." || text == ".." || text.chars().any(char::is_control) {
                return Err(wrong(
                    Reason::Unparsable,
                    format!("`{name}` cannot be a part of a path"),
                ));
            }
            // One segment, whatever stands in it.
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                    filled.push(char::from(byte));
                } else {
                    filled.push_str(&format!("%{byte:02X}"));
                }
            }
            used.push(name.to_owned());
            rest = behind;
        }
        filled.push_str(rest);
        Ok((filled, used))
    }

    /// What is sent. Without `send` it is everything that is there under its own name, but for what the path has taken.
    pub fn sent(&self, binding: &Binding, taken: &[String]) -> Result<Map<String, Json>, Unknown> {
        let mut fields = Map::new();
        match &binding.send {
            None => {
                for (name, value) in &self.0 {
                    if *value != Value::None && name != "version" && name != "from" && !taken.contains(name) {
                        fields.insert(name.clone(), crate::value::document::of(value)?);
                    }
                }
            }
            Some(send) => {
                for (name, sent) in send {
                    let json = match sent {
                        Sent::Name(of) => self.counted(of, None)?,
                        Sent::Counted(SentIn { value: Some(value), .. }) => Some(value.clone()),
                        Sent::Counted(SentIn { of, unit, .. }) => {
                            self.counted(of.as_deref().unwrap_or(name), unit.as_deref())?
                        }
                    };
                    fields.extend(json.map(|json| (name.clone(), json)));
                }
            }
        }
        Ok(fields)
    }

    fn counted(&self, name: &str, in_unit: Option<&str>) -> Result<Option<Json>, Unknown> {
        let value = self.get(name);
        let Some(size) = in_unit.and_then(unit) else {
            return match value {
                Value::None => Ok(None),
                value => crate::value::document::of(value).map(Some),
            };
        };
        let base = match value {
            Value::None => return Ok(None),
            Value::Unknown(unknown) => return Err((**unknown).clone()),
            Value::Duration(nanoseconds) => *nanoseconds as f64 / 1e9,
            Value::Ratio(ratio) => *ratio,
            Value::Bytes(bytes) => *bytes as f64,
            _ => {
                return Err(wrong(
                    Reason::Unavailable,
                    format!("`{name}` is not counted in a unit, as the configuration has it"),
                ));
            }
        };
        let number = base / size;
        let rounded = number.round();
        Ok(Some(if (number - rounded).abs() < 1e-9 && rounded.abs() < 9e15 {
            Json::from(rounded as i64)
        } else {
            Json::from(number)
        }))
    }
}

/// The part of a document behind a name with dots.
fn find<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    json.get(name)
        .or_else(|| name.split('.').try_fold(json, |at, part| at.get(part)))
}

/// A number of the service as the type is written in documents.
fn in_unit(ty: &Type, json: &Json, size: f64) -> Json {
    let inner = match ty {
        Type::Optional(inner) => inner,
        other => other,
    };
    match (inner, json.as_f64()) {
        (Type::Duration, Some(number)) => {
            let nanoseconds = (number * size * 1e9).round();
            // ISO 8601, with at most nine digits behind the point.
            Json::String(format!("PT{:.9}S", nanoseconds / 1e9))
        }
        // A hundredth is no binary fraction: to divide by a hundred is exact where to multiply is not.
        (Type::Ratio, Some(number)) => Json::from(number / (1.0 / size).round()),
        (Type::Bytes, Some(number)) if (number * size).abs() < 9e15 => Json::from((number * size).round() as i64),
        _ => json.clone(),
    }
}

fn record(ty: &RecordType, binding: &Binding, json: &Json, on: &str, arguments: &Arguments) -> Value {
    if !json.is_object() {
        return decode(&Type::Record(std::sync::Arc::new(ty.clone())), json);
    }
    let mut fields = Map::new();
    for (name, field) in &ty.fields {
        let name: &str = name;
        if name == "on" {
            fields.insert(name.to_owned(), Json::String(on.to_owned()));
            continue;
        }
        let written = binding.fields.get(name);
        let (from, size, words) = match written {
            None => (name, None, None),
            Some(Field::Name(from)) => (from.as_str(), None, None),
            Some(Field::Counted(FieldIn { from, unit: of, words })) => (
                from.as_deref().unwrap_or(name),
                of.as_deref().and_then(unit),
                Some(words),
            ),
        };
        let found = match find(json, from) {
            Some(found) => found.clone(),
            // What was asked for by name is not always said again.
            None => match arguments.get(name) {
                value @ (Value::Text(_) | Value::Int(_) | Value::Bool(_) | Value::Duration(_)) => {
                    match crate::value::document::of(value) {
                        Ok(json) => json,
                        Err(_) => continue,
                    }
                }
                _ => continue,
            },
        };
        let found = match words.and_then(|words| words.get(found.as_str()?)) {
            Some(word) => word.clone(),
            None => match size {
                Some(size) => in_unit(field, &found, size),
                None => found,
            },
        };
        fields.insert(name.to_owned(), found);
    }
    share(ty, &mut fields);
    decode(&Type::Record(std::sync::Arc::new(ty.clone())), &Json::Object(fields))
}

/// A share that the service does not tell, of what it tells. Nothing of nothing stays unknown.
fn share(ty: &RecordType, fields: &mut Map<String, Json>) {
    if fields.contains_key("used") || ty.field("used").is_none() {
        return;
    }
    let number = |name: &str| fields.get(name).and_then(Json::as_f64);
    let (whole, part) = match &*ty.name {
        "Queue" => (number("most"), number("size")),
        "Pool" => (number("most"), number("active")),
        "Memory" => (number("limit"), number("resident")),
        _ => return,
    };
    if let (Some(whole), Some(part)) = (whole.filter(|whole| *whole > 0.0), part) {
        fields.insert("used".to_owned(), Json::from(part / whole));
    }
}

/// The reply of a service as the type of the operation.
pub fn reply(ty: &Type, binding: &Binding, json: &Json, on: &str, arguments: &Arguments) -> Value {
    let json = match &binding.at {
        None => json,
        Some(at) => match json.pointer(at) {
            Some(json) => json,
            None => return Value::unknown(Reason::Missing, format!("`{at}` is not in the reply")),
        },
    };
    match ty {
        Type::Record(ty) => record(ty, binding, json, on, arguments),
        Type::List(element) => {
            let Type::Record(element) = &**element else {
                return decode(ty, json);
            };
            let rows: Vec<Json> = match (json, &binding.names) {
                (Json::Array(rows), _) => rows.clone(),
                (Json::Object(named), Some(field)) => named
                    .iter()
                    .map(|(name, row)| {
                        let mut row = match row {
                            Json::Object(row) => row.clone(),
                            // A plain value is the first field that has no other source.
                            other => Map::from_iter([("value".to_owned(), other.clone())]),
                        };
                        row.entry(field.clone()).or_insert_with(|| Json::String(name.clone()));
                        Json::Object(row)
                    })
                    .collect(),
                _ => return decode(ty, json),
            };
            if rows.len() > crate::limits::LIST_ELEMENTS {
                return Value::unknown(Reason::Truncated, "the reply has more than 100,000 elements");
            }
            Value::list(
                rows.iter()
                    .map(|row| record(element, binding, row, on, arguments))
                    .collect(),
            )
        }
        other => decode(other, json),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Binding;
    use super::{Arguments, reply};
    use crate::value::types::ResourceType;
    use crate::value::{Reason, RecordType, Type, Value};
    use serde_json::json;
    use std::sync::Arc;

    fn binding(text: &str) -> Binding {
        serde_yaml::from_str(text).unwrap()
    }

    fn queue() -> Type {
        Type::Record(Arc::new(RecordType {
            name: "Queue".into(),
            fields: vec![
                (
                    "on".into(),
                    Type::Resource(Arc::new(ResourceType {
                        name: "App".into(),
                        fields: Vec::new(),
                    })),
                ),
                ("name".into(), Type::Text),
                ("size".into(), Type::Int),
                ("most".into(), Type::Int),
                ("used".into(), Type::Ratio),
                ("wait".into(), Type::Optional(Box::new(Type::Duration))),
            ],
        }))
    }

    fn field(value: &Value, name: &str) -> Value {
        value.as_record().unwrap().get(name).unwrap().clone()
    }

    #[test]
    fn names_units_and_shares_of_a_service_become_ours() {
        let bound = binding(
            "{ get: /q, at: /data, fields: { size: depth.now, most: max_size, wait: { from: wait_ms, unit: ms } } }",
        );
        let arguments = Arguments(vec![("name".to_owned(), Value::text("mail"))]);
        let said = json!({"data": {"depth": {"now": 40}, "max_size": 50, "wait_ms": 1500}});
        let found = reply(&queue(), &bound, &said, "shop", &arguments);
        assert_eq!(field(&found, "name"), Value::text("mail"));
        assert_eq!(field(&found, "size"), Value::Int(40));
        assert_eq!(field(&found, "used"), Value::Ratio(0.8));
        assert_eq!(field(&found, "wait"), Value::Duration(1_500_000_000));
        assert_eq!(field(&found, "on").as_str(), Some("shop"));
        let empty = reply(
            &queue(),
            &bound,
            &json!({"data": {"depth": {"now": 0}, "max_size": 0}}),
            "shop",
            &arguments,
        );
        assert_eq!(
            field(&empty, "used").as_unknown().map(|why| why.reason),
            Some(Reason::Missing)
        );
        let none = reply(&queue(), &bound, &json!({}), "shop", &arguments);
        assert_eq!(none.as_unknown().map(|why| why.reason), Some(Reason::Missing));
    }

    #[test]
    fn a_document_of_names_is_a_list() {
        let bound = binding("{ get: /q, names: name }");
        let list = Type::List(Box::new(queue()));
        let said = json!({"mail": {"size": 1, "most": 2}, "sms": {"size": 2, "most": 2}});
        let found = reply(&list, &bound, &said, "shop", &Arguments::default());
        let items = found.as_list().unwrap().items.clone();
        assert_eq!(items.len(), 2);
        assert_eq!(field(&items[1], "name"), Value::text("sms"));
        assert!(
            reply(&list, &binding("{ get: /q }"), &said, "shop", &Arguments::default())
                .as_unknown()
                .is_some()
        );
    }

    #[test]
    fn what_is_sent_has_the_services_names_and_units() {
        let arguments = Arguments(vec![
            ("name".to_owned(), Value::text("a b/../c")),
            ("recovery".to_owned(), Value::Duration(120_000_000_000)),
            ("half_open".to_owned(), Value::None),
        ]);
        let (path, used) = arguments.fill("/breakers/{name}/settings").unwrap();
        assert_eq!(path, "/breakers/a%20b%2F..%2Fc/settings");
        let bound = binding(
            "{ post: /b, send: { recovery_timeout: { of: recovery, unit: s }, half: half_open, by: { value: starr } } }",
        );
        let sent = serde_json::Value::Object(arguments.sent(&bound, &used).unwrap());
        assert_eq!(sent, json!({"recovery_timeout": 120, "by": "starr"}));
        let sent = serde_json::Value::Object(arguments.sent(&binding("{ post: /b }"), &used).unwrap());
        assert_eq!(sent, json!({"recovery": "2 min"}));
        assert!(arguments.fill("/x/{nobody}").is_err());
        let dots = Arguments(vec![("name".to_owned(), Value::text(".."))]);
        assert!(dots.fill("/x/{name}").is_err());
    }
}
