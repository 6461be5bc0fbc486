//! Documents as typed values. What does not fit is unknown with the path to it; a field that is absent is `none` only where
//! the type says that it may be.

use super::parse::{from_text, quantity};
use super::types::{RecordType, Type};
use super::{List, Reason, Record, Secret, Series, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// Deepest nesting that is decoded.
const DEPTH: usize = crate::limits::DECODE_DEPTH;
/// Longest excerpt of a value in a message, in characters.
const EXCERPT: usize = 40;

/// The typed value of a document. Where a part does not fit its type, that part is unknown and names its path, and the rest
/// is kept; a list with an element that is unknown is therefore still a list.
pub fn decode(ty: &Type, json: &Json) -> Value {
    at(ty, json, &Path::default())
}

/// An ISO 8601 duration, `PT1M30S`, as databases write intervals. A day has 24 hours; months and years have no length.
fn iso_duration(text: &str) -> Option<Value> {
    if !text.trim_start_matches('-').starts_with('P') {
        return None;
    }
    // PostgreSQL puts the sign before each number, ISO 8601 before the whole. Mixed signs are not read.
    let numbers = text
        .chars()
        .filter(|c| matches!(c, 'D' | 'H' | 'M' | 'S' | 'W' | 'Y'))
        .count();
    let signs = text.strip_prefix('P').map_or(0, |rest| rest.matches('-').count());
    let text = match signs {
        0 => text.to_owned(),
        signs if signs == numbers => format!("-{}", text.replace('-', "")),
        _ => return None,
    };
    let span: jiff::Span = text.parse().ok()?;
    let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_nanos()).ok().map(Value::Duration)
}

/// Where in the document: `rows[3].age`.
#[derive(Clone, Default)]
struct Path {
    text: String,
    depth: usize,
    /// Values under a secret are never quoted in messages.
    secret: bool,
}

impl Path {
    fn field(&self, name: &str) -> Path {
        Path {
            text: if self.text.is_empty() {
                name.to_owned()
            } else {
                format!("{}.{name}", self.text)
            },
            depth: self.depth + 1,
            secret: self.secret,
        }
    }

    fn element(&self, index: usize) -> Path {
        Path {
            text: format!("{}[{index}]", self.text),
            depth: self.depth + 1,
            secret: self.secret,
        }
    }

    fn unparsable(&self, expected: &str, json: &Json) -> Value {
        let found = if self.secret {
            "something else".to_owned()
        } else {
            excerpt(json)
        };
        let place = if self.text.is_empty() {
            String::new()
        } else {
            format!("`{}`: ", self.text)
        };
        Value::unknown(Reason::Unparsable, format!("{place}expected {expected}, found {found}"))
    }
}

fn excerpt(json: &Json) -> String {
    match json {
        Json::Array(elements) => format!("a list of {}", elements.len()),
        Json::Object(_) => "a document".to_owned(),
        json => {
            let text = json.to_string();
            match text.char_indices().nth(EXCERPT) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

fn at(ty: &Type, json: &Json, path: &Path) -> Value {
    if path.depth > DEPTH {
        return Value::unknown(Reason::Unparsable, "the document is nested too deeply");
    }
    if let Some(unknown) = unknown(json) {
        return unknown;
    }
    let unparsable = |expected: &str| path.unparsable(expected, json);
    match ty {
        Type::Any | Type::Json => Value::Json(Arc::new(json.clone())),
        Type::Bool => json.as_bool().map_or_else(|| unparsable("true or false"), Value::Bool),
        Type::Int => match json {
            Json::Number(_) => json.as_i64().map_or_else(|| unparsable("a whole number"), Value::Int),
            Json::Object(fields) if fields.len() == 1 => fields
                .get("at_least")
                .and_then(Json::as_i64)
                .map_or_else(|| unparsable("a whole number"), Value::AtLeast),
            _ => unparsable("a whole number"),
        },
        Type::Float => json.as_f64().map_or_else(|| unparsable("a number"), Value::float),
        // The base units are settled: parts of one, bytes, per second.
        Type::Ratio => match json {
            Json::Number(_) => json.as_f64().map_or_else(|| unparsable("a ratio"), Value::ratio),
            Json::String(text) => quantity(ty, text, "80 %").unwrap_or_else(|_| unparsable("a ratio")),
            _ => unparsable("a ratio"),
        },
        Type::Bytes => match json {
            Json::Number(_) => json
                .as_i64()
                .map_or_else(|| unparsable("a number of bytes"), Value::Bytes),
            Json::String(text) => quantity(ty, text, "4 Gi").unwrap_or_else(|_| unparsable("a size")),
            _ => unparsable("a size"),
        },
        Type::Rate => match json {
            Json::Number(_) => json.as_f64().map_or_else(|| unparsable("a rate"), Value::rate),
            Json::String(text) => quantity(ty, text, "300 /s").unwrap_or_else(|_| unparsable("a rate")),
            _ => unparsable("a rate"),
        },
        // A bare number is never a time: nobody knows whether it counts seconds or milliseconds.
        Type::Duration => match json {
            Json::String(text) => quantity(ty, text, "5 min")
                .ok()
                .or_else(|| iso_duration(text))
                .unwrap_or_else(|| unparsable("a duration with its unit, like \"5 min\"")),
            _ => unparsable("a duration with its unit, like \"5 min\""),
        },
        Type::Time | Type::Enum(_) | Type::Resource(_) => match json {
            Json::String(text) => from_text(ty, text)
                .unwrap_or_else(|message| unparsable(message.strip_prefix("expected ").unwrap_or(&message))),
            _ => unparsable(&format!("{ty} as text")),
        },
        Type::Text => match json {
            Json::String(text) => Value::text(text.as_str()),
            _ => unparsable("text"),
        },
        Type::Code(language) => match json {
            Json::String(text) => Value::Code {
                language: Some(*language),
                text: text.as_str().into(),
            },
            _ => unparsable("text"),
        },
        Type::Secret(inner) => {
            let hidden = Path {
                secret: true,
                ..path.clone()
            };
            match at(inner, json, &hidden) {
                unknown @ Value::Unknown(_) => unknown,
                value => Value::Secret(Secret::new(value)),
            }
        }
        Type::Optional(inner) => match json {
            Json::Null => Value::None,
            json => at(inner, json, path),
        },
        Type::List(element) => match json {
            Json::Array(elements) => Value::list(
                elements
                    .iter()
                    .enumerate()
                    .map(|(index, item)| at(element, item, &path.element(index)))
                    .collect(),
            ),
            Json::Object(fields) if fields.len() == 2 && fields.get("truncated") == Some(&Json::Bool(true)) => {
                match fields.get("items").map(|items| at(ty, items, path)) {
                    Some(Value::List(list)) => Value::List(Arc::new(List {
                        items: list.items.clone(),
                        truncated: true,
                    })),
                    _ => unparsable("a list"),
                }
            }
            _ => unparsable("a list"),
        },
        Type::Record(record) => match json {
            Json::Object(fields) => Value::Record(Arc::new(Record {
                type_name: record.name.clone(),
                fields: fields_of(record, fields, path),
            })),
            _ => unparsable("a document"),
        },
        Type::Series(inner) => series(inner, json, path),
        Type::None => match json {
            Json::Null => Value::None,
            _ => unparsable("null"),
        },
        // The answer of a question is yes or no.
        Type::Answer(_) => json.as_bool().map_or_else(|| unparsable("true or false"), Value::Bool),
        Type::Nothing => Value::None,
    }
}

fn fields_of(record: &RecordType, fields: &serde_json::Map<String, Json>, path: &Path) -> Vec<(Arc<str>, Value)> {
    record
        .fields
        .iter()
        .map(|(name, ty)| {
            let value = match fields.get(&**name) {
                Some(json) => at(ty, json, &path.field(name)),
                None if matches!(ty, Type::Optional(_)) => Value::None,
                None => Value::unknown(
                    Reason::Missing,
                    format!("`{}` is not in the reply", path.field(name).text),
                ),
            };
            (name.clone(), value)
        })
        .collect()
}

/// `{"unknown": "timeout", "detail": ""}`: what `show::data` writes for an unknown value.
fn unknown(json: &Json) -> Option<Value> {
    let fields = json.as_object().filter(|fields| fields.len() == 2)?;
    let reason: Reason = serde_json::from_value(fields.get("unknown")?.clone()).ok()?;
    Some(Value::unknown(reason, fields.get("detail")?.as_str()?))
}

/// `{"samples": [["2026-11-01T03:00:00Z", 0.97]], "until": …, "step": "15 s"}`
fn series(inner: &Type, json: &Json, path: &Path) -> Value {
    let unparsable = || path.unparsable("a series", json);
    let time = |json: Option<&Json>| -> Option<jiff::Timestamp> { json?.as_str()?.parse().ok() };
    let Some(fields) = json.as_object() else {
        return unparsable();
    };
    let (Some(until), Some(Value::Duration(step)), Some(rows)) = (
        time(fields.get("until")),
        fields
            .get("step")
            .map(|step| at(&Type::Duration, step, &path.field("step"))),
        fields.get("samples").and_then(Json::as_array),
    ) else {
        return unparsable();
    };
    let mut samples: Vec<(jiff::Timestamp, Value)> = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let pair = row.as_array().filter(|pair| pair.len() == 2);
        let (Some(time), Some(value)) = (
            time(pair.and_then(|pair| pair.first())),
            pair.and_then(|pair| pair.get(1)),
        ) else {
            return unparsable();
        };
        if samples.last().is_some_and(|(before, _)| *before >= time) {
            return unparsable();
        }
        samples.push((time, at(inner, value, &path.element(index))));
    }
    Value::Series(Arc::new(Series { samples, until, step }))
}

#[cfg(test)]
mod tests {
    use super::super::show::data;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn session() -> Type {
        Type::Record(Arc::new(RecordType {
            name: "Session".into(),
            fields: vec![
                ("pid".into(), Type::Int),
                ("age".into(), Type::Duration),
                ("note".into(), Type::Optional(Box::new(Type::Text))),
            ],
        }))
    }

    fn field(value: &Value, name: &str) -> Value {
        value
            .as_record()
            .expect("a record")
            .get(name)
            .expect("the field")
            .clone()
    }

    #[test]
    fn intervals_of_databases_are_durations() {
        let read = |text: &str| decode(&Type::Duration, &serde_json::json!(text));
        assert_eq!(read("PT1M30S"), Value::Duration(90_000_000_000));
        assert_eq!(read("P1DT2H"), Value::Duration(26 * 3_600_000_000_000));
        assert_eq!(read("PT0.000001S"), Value::Duration(1_000));
        assert_eq!(read("PT-5M"), Value::Duration(-300_000_000_000));
        assert_eq!(read("P-1DT-1S"), Value::Duration(-86_401_000_000_000));
        assert_eq!(read("-PT5M"), Value::Duration(-300_000_000_000));
        for wrong in ["P1DT-1S", "P1M", "P1Y2D", "P", "PT", "5", "00:05:00"] {
            assert!(read(wrong).as_unknown().is_some(), "{wrong}");
        }
    }

    #[test]
    fn absent_null_and_empty_stay_apart() {
        let found = decode(&session(), &json!({"age": "5 min", "extra": 1}));
        assert_eq!(
            field(&found, "pid").as_unknown().map(|u| u.reason),
            Some(Reason::Missing)
        );
        assert_eq!(field(&found, "note"), Value::None);
        let found = decode(&session(), &json!({"pid": null, "age": "5 min", "note": ""}));
        assert_eq!(
            field(&found, "pid").as_unknown().map(|u| u.reason),
            Some(Reason::Unparsable)
        );
        assert_eq!(field(&found, "note"), Value::text(""));
        assert_eq!(
            decode(&Type::List(Box::new(Type::Int)), &json!([])),
            Value::list(vec![])
        );
        assert!(
            decode(&Type::List(Box::new(Type::Int)), &json!(null))
                .as_unknown()
                .is_some()
        );
    }

    #[test]
    fn no_kind_is_taken_for_another() {
        let documents = [
            json!(null),
            json!(true),
            json!(0),
            json!(1.5),
            json!("no"),
            json!("5"),
            json!([]),
            json!({}),
        ];
        // For each type the documents above that it takes.
        let accepted: [(Type, &[usize]); 9] = [
            (Type::Bool, &[1]),
            (Type::Int, &[2]),
            (Type::Float, &[2, 3]),
            (Type::Text, &[4, 5]),
            (Type::Ratio, &[2, 3]),
            (Type::Bytes, &[2]),
            (Type::Duration, &[]),
            (Type::Time, &[]),
            (Type::List(Box::new(Type::Int)), &[6]),
        ];
        for (ty, accepts) in accepted {
            for (index, document) in documents.iter().enumerate() {
                let known = decode(&ty, document).as_unknown().is_none();
                assert_eq!(known, accepts.contains(&index), "{ty} from {document}");
            }
        }
    }

    #[test]
    fn a_mismatch_names_its_path_and_quotes_no_secret() {
        let rows = Type::List(Box::new(session()));
        let found = decode(
            &rows,
            &json!([{"pid": 1, "age": "1 s"}, {"pid": "x".repeat(100), "age": 5}]),
        );
        let second = found.as_list().unwrap().items[1].clone();
        let detail = field(&second, "pid").as_unknown().unwrap().detail.clone();
        assert!(
            detail.starts_with("`[1].pid`: expected a whole number, found \"xxx"),
            "{detail}"
        );
        assert!(detail.len() < 120);
        assert!(field(&second, "age").as_unknown().unwrap().detail.contains("its unit"));
        let secret = decode(&Type::Secret(Box::new(Type::Int)), &json!("hunter2"));
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_deep_document_does_not_exhaust_the_stack() {
        let mut ty = Type::Int;
        let mut document = json!(1);
        for _ in 0..DEPTH + 10 {
            ty = Type::List(Box::new(ty));
            document = json!([document]);
        }
        let mut value = decode(&ty, &document);
        while let Value::List(list) = &value {
            value = list.items[0].clone();
        }
        assert_eq!(value.as_unknown().map(|u| u.reason), Some(Reason::Unparsable));
    }

    fn typed() -> impl Strategy<Value = (Type, Value)> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(|v| (Type::Bool, Value::Bool(v))),
            any::<i64>().prop_map(|v| (Type::Int, Value::Int(v))),
            any::<i64>().prop_map(|v| (Type::Int, Value::AtLeast(v))),
            any::<i32>().prop_map(|v| (Type::Float, Value::Float(f64::from(v) / 8.0))),
            any::<i32>().prop_map(|v| (Type::Ratio, Value::Ratio(f64::from(v) / 8.0))),
            // Beyond 2^53 nanoseconds (104 days) a count of one unit is no longer exact as a float.
            (-(1_i64 << 52)..(1 << 52)).prop_map(|v| (Type::Duration, Value::Duration(v))),
            any::<i64>().prop_map(|v| (Type::Bytes, Value::Bytes(v))),
            ".{0,12}".prop_map(|v| (Type::Text, Value::text(v.as_str()))),
            (0_i64..4_000_000_000, 0_i32..1_000_000_000)
                .prop_map(|(s, n)| (Type::Time, Value::Time(jiff::Timestamp::new(s, n).unwrap()))),
            Just((Type::Int, Value::unknown(Reason::Timeout, "late"))),
            Just((Type::Optional(Box::new(Type::Int)), Value::None)),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), any::<bool>(), 0_usize..4).prop_map(|((ty, value), truncated, count)| {
                    let items = vec![value; count];
                    (
                        Type::List(Box::new(ty)),
                        Value::List(Arc::new(List { items, truncated })),
                    )
                }),
                (inner.clone(), inner).prop_map(|((a, x), (b, y))| {
                    let ty = RecordType {
                        name: "R".into(),
                        fields: vec![("a".into(), a), ("b".into(), b)],
                    };
                    (Type::Record(Arc::new(ty)), Value::record("R", vec![("a", x), ("b", y)]))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_recorded_comes_back((ty, value) in typed()) {
            let text = serde_json::to_string(&data(&value)).unwrap();
            prop_assert_eq!(decode(&ty, &serde_json::from_str(&text).unwrap()), value);
        }

        #[test]
        fn any_document_gives_a_value(text in "[\\[\\]{}\":,0-9a-z ]{0,40}", (ty, _) in typed()) {
            if let Ok(document) = serde_json::from_str(&text) {
                let _ = decode(&ty, &document);
            }
        }
    }

    #[test]
    fn a_series_comes_back() {
        let time = |second| jiff::Timestamp::from_second(second).unwrap();
        let series = Value::Series(Arc::new(Series {
            samples: vec![
                (time(0), Value::Ratio(0.5)),
                (time(60), Value::unknown(Reason::Denied, "")),
            ],
            until: time(60),
            step: 60_000_000_000,
        }));
        let ty = Type::Series(Box::new(Type::Ratio));
        assert_eq!(decode(&ty, &data(&series)), series);
        assert!(
            decode(&ty, &json!({"samples": [], "until": "yesterday", "step": "1 s"}))
                .as_unknown()
                .is_some()
        );
    }
}
