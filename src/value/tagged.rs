//! Values as JSON with their types, so that what was recorded comes back as what it was. The one place that knows this form.
//!
//! `null`, `true` and `false` stand for themselves; everything else is an object whose first key names the type:
//! `{"ratio": "0.97"}`, `{"list": […], "truncated": true}`. Numbers with a fraction are text, because a reader of JSON may
//! round them. A secret leaves no trace but that there was one.

use super::{CodeLanguage, List, Reason, Record, Secret, Series, Unknown, Value};
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

/// The value as JSON. Secrets become `{"secret": null}`.
pub fn to_json(value: &Value) -> Json {
    // What is inside is moved and not written out once more: `json!` would copy it at every depth.
    match value {
        Value::Unknown(unknown) => json!({"unknown": unknown.reason, "detail": unknown.detail}),
        Value::None => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(number) => object([("int", (*number).into())]),
        Value::AtLeast(number) => object([("at_least", (*number).into())]),
        Value::Float(number) => object([("float", exact(*number).into())]),
        Value::Text(text) => object([("text", text.to_string().into())]),
        Value::Time(time) => object([("time", time.to_string().into())]),
        Value::Duration(nanoseconds) => object([("duration", (*nanoseconds).into())]),
        Value::Ratio(number) => object([("ratio", exact(*number).into())]),
        Value::Bytes(number) => object([("bytes", (*number).into())]),
        Value::Rate(number) => object([("rate", exact(*number).into())]),
        Value::Json(document) => object([("json", (**document).clone())]),
        Value::Secret(_) => object([("secret", Json::Null)]),
        Value::Series(series) => {
            let samples = series
                .samples
                .iter()
                .map(|(time, value)| Json::Array(vec![time.to_string().into(), to_json(value)]))
                .collect();
            object([
                ("series", Json::Array(samples)),
                ("until", series.until.to_string().into()),
                ("step", series.step.into()),
            ])
        }
        Value::List(list) => {
            let items = Json::Array(list.items.iter().map(to_json).collect());
            if list.truncated {
                object([("list", items), ("truncated", Json::Bool(true))])
            } else {
                object([("list", items)])
            }
        }
        Value::Record(record) => {
            // Pairs, not an object: their order is part of the value.
            let fields = record
                .fields
                .iter()
                .map(|(name, value)| Json::Array(vec![name.to_string().into(), to_json(value)]))
                .collect();
            object([
                ("record", Json::Array(fields)),
                ("type", record.type_name.to_string().into()),
            ])
        }
        Value::Enum(name) => object([("enum", name.to_string().into())]),
        Value::Resource { kind, name } => {
            object([("resource", name.to_string().into()), ("kind", kind.to_string().into())])
        }
        Value::Code { language, text } => object([
            ("code", text.to_string().into()),
            ("language", language.map(CodeLanguage::name).into()),
        ]),
    }
}

/// An object with its members in this order.
fn object<const MEMBERS: usize>(members: [(&str, Json); MEMBERS]) -> Json {
    Json::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// The shortest text that reads back as the same number.
fn exact(number: f64) -> String {
    format!("{number:?}")
}

/// The value of a text of [`to_json`]. A secret comes back as a secret that nobody knows.
///
/// # Errors
/// Says what does not fit; nothing is taken for something else.
pub fn from_json(json: &Json) -> Result<Value, String> {
    let object = match json {
        Json::Null => return Ok(Value::None),
        Json::Bool(yes) => return Ok(Value::Bool(*yes)),
        Json::Object(object) => object,
        _ => return Err("a value is null, true, false or an object".to_owned()),
    };
    let Some((tag, content)) = object.iter().next() else {
        return Err("an empty object is no value".to_owned());
    };
    let wrong = || format!("`{tag}` does not hold what it should");
    let whole = || content.as_i64().ok_or_else(wrong);
    let text = || content.as_str().ok_or_else(wrong);
    let number = || -> Result<f64, String> {
        let number: f64 = text()?.parse().map_err(|_| wrong())?;
        if number.is_finite() { Ok(number) } else { Err(wrong()) }
    };
    let items = || content.as_array().ok_or_else(wrong);
    Ok(match tag.as_str() {
        "unknown" => Value::Unknown(Arc::new(Unknown {
            reason: serde_json::from_value(content.clone()).map_err(|_| wrong())?,
            detail: member(object, "detail")?.as_str().ok_or_else(wrong)?.to_owned(),
        })),
        "int" => Value::Int(whole()?),
        "at_least" => Value::AtLeast(whole()?),
        "float" => Value::Float(number()?),
        "text" => Value::text(text()?),
        "time" => Value::Time(time(content)?),
        "duration" => Value::Duration(whole()?),
        "ratio" => Value::Ratio(number()?),
        "bytes" => Value::Bytes(whole()?),
        "rate" => Value::Rate(number()?),
        "json" => Value::Json(Arc::new(content.clone())),
        "secret" => Value::Secret(Secret::new(Value::unknown(
            Reason::Unavailable,
            "a secret is not recorded",
        ))),
        "series" => Value::Series(Arc::new(Series {
            samples: items()?.iter().map(sample).collect::<Result<_, _>>()?,
            until: time(member(object, "until")?)?,
            step: member(object, "step")?.as_i64().ok_or_else(wrong)?,
        })),
        "list" => Value::List(Arc::new(List {
            items: items()?.iter().map(from_json).collect::<Result<_, _>>()?,
            truncated: match object.get("truncated") {
                None => false,
                Some(truncated) => truncated.as_bool().ok_or_else(wrong)?,
            },
        })),
        "record" => Value::Record(Arc::new(Record {
            type_name: member(object, "type")?.as_str().ok_or_else(wrong)?.into(),
            fields: items()?.iter().map(field).collect::<Result<_, _>>()?,
        })),
        "enum" => Value::variant(text()?),
        "resource" => Value::Resource {
            kind: member(object, "kind")?.as_str().ok_or_else(wrong)?.into(),
            name: text()?.into(),
        },
        "code" => Value::Code {
            language: match member(object, "language")? {
                Json::Null => None,
                language => Some(language.as_str().and_then(CodeLanguage::from_name).ok_or_else(wrong)?),
            },
            text: text()?.into(),
        },
        other => return Err(format!("`{other}` is not a type of value")),
    })
}

fn member<'j>(object: &'j Map<String, Json>, name: &str) -> Result<&'j Json, String> {
    object.get(name).ok_or_else(|| format!("`{name}` is missing"))
}

fn time(json: &Json) -> Result<jiff::Timestamp, String> {
    let text = json.as_str().ok_or("a time is a text")?;
    text.parse().map_err(|_| format!("`{text}` is not a time"))
}

fn pair(json: &Json) -> Result<(&Json, &Json), String> {
    match json.as_array().map(Vec::as_slice) {
        Some([first, second]) => Ok((first, second)),
        _ => Err("a pair is expected".to_owned()),
    }
}

fn sample(json: &Json) -> Result<(jiff::Timestamp, Value), String> {
    let (at, value) = pair(json)?;
    Ok((time(at)?, from_json(value)?))
}

fn field(json: &Json) -> Result<(Arc<str>, Value), String> {
    let (name, value) = pair(json)?;
    Ok((name.as_str().ok_or("a field has a name")?.into(), from_json(value)?))
}

#[cfg(test)]
mod tests {
    use super::{from_json, to_json};
    use crate::value::{CodeLanguage, List, Reason, Record, Secret, Series, Value};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn scalars() -> impl Strategy<Value = Value> {
        let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
        prop_oneof![
            Just(Value::None),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<i64>().prop_map(Value::AtLeast),
            any::<i64>().prop_map(Value::Duration),
            any::<i64>().prop_map(Value::Bytes),
            finite.clone().prop_map(Value::Float),
            finite.clone().prop_map(Value::Ratio),
            finite.prop_map(Value::Rate),
            ".*".prop_map(Value::text),
            "[a-z_]{1,8}".prop_map(|name| Value::variant(&name)),
            (-1_000_000_000_000i64..1_000_000_000_000)
                .prop_map(|at| Value::Time(jiff::Timestamp::from_millisecond(at).unwrap())),
            ".*".prop_map(|detail| Value::unknown(Reason::Truncated, detail)),
            ".*".prop_map(|text| Value::Code {
                language: Some(CodeLanguage::Sql),
                text: text.as_str().into()
            }),
            (".*", ".*").prop_map(|(kind, name)| Value::Resource {
                kind: kind.as_str().into(),
                name: name.as_str().into()
            }),
            ".*".prop_map(|text| Value::Json(Arc::new(json!({"a": text, "unknown": [1, null, true]})))),
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        scalars().prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                (proptest::collection::vec(inner.clone(), 0..5), any::<bool>())
                    .prop_map(|(items, truncated)| Value::List(Arc::new(List { items, truncated }))),
                proptest::collection::vec(("[a-z]{1,5}", inner.clone()), 0..5).prop_map(|fields| {
                    Value::Record(Arc::new(Record {
                        type_name: "Thing".into(),
                        fields: fields
                            .into_iter()
                            .map(|(name, value)| (name.as_str().into(), value))
                            .collect(),
                    }))
                }),
                proptest::collection::vec((0i64..1_000_000, inner), 0..5).prop_map(|samples| {
                    let at = |second| jiff::Timestamp::from_second(second).unwrap();
                    Value::Series(Arc::new(Series {
                        samples: samples.into_iter().map(|(second, value)| (at(second), value)).collect(),
                        until: at(1_000_000),
                        step: 15,
                    }))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_through_text(value in values()) {
            let text = to_json(&value).to_string();
            let back = from_json(&serde_json::from_str(&text).unwrap());
            prop_assert_eq!(back, Ok(value));
        }

        #[test]
        fn no_document_breaks_the_reader(text in r#"[\[\]{}",:a-z0-9 ]{0,60}"#) {
            if let Ok(document) = serde_json::from_str(&text) {
                let _ = from_json(&document);
            }
        }
    }

    #[test]
    fn a_secret_leaves_no_trace_and_comes_back_unknown() {
        let value = Value::list(vec![Value::Secret(Secret::new(Value::text("canary")))]);
        let json = to_json(&value);
        assert_eq!(json, json!({"list": [{"secret": null}]}));
        let back = from_json(&json).unwrap();
        let Value::Secret(secret) = &back.as_list().unwrap().items[0] else {
            panic!("{back:?}");
        };
        assert!(secret.expose().as_unknown().is_some());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for bad in [
            json!(1),
            json!("x"),
            json!([]),
            json!({}),
            json!({"int": "1"}),
            json!({"int": 1.5}),
            json!({"ratio": 0.5}),
            json!({"ratio": "NaN"}),
            json!({"rate": "inf"}),
            json!({"bool": true}),
            json!({"unknown": "bored", "detail": ""}),
            json!({"unknown": "timeout"}),
            json!({"time": "yesterday"}),
            json!({"list": [1]}),
            json!({"list": [], "truncated": 1}),
            json!({"record": [["a"]], "type": ""}),
            json!({"record": []}),
            json!({"code": "x", "language": "perl"}),
        ] {
            assert!(from_json(&bad).is_err(), "{bad}");
        }
    }
}
