//! Values from texts outside the language: `--set`, configuration. Strict, because nobody sees what a lenient reading made of
//! it: `no`, `on`, `1e3`, `0x10`, `012` and `2026-01-01` are text, and where a number or truth value is due they are refused.

use super::decode::decode;
use super::types::{CodeLanguage, Type};
use super::unit::{Unit, nearest};
use super::{Value, unit};
use std::sync::Arc;

/// Longest text that is read as a value, in bytes.
pub const TEXT_BYTES: usize = crate::limits::SET_BYTES;

/// The value of this type that the text writes; what is wrong with it otherwise.
///
/// # Errors
/// One sentence that says what was expected, with an example.
pub fn from_text(ty: &Type, text: &str) -> Result<Value, String> {
    if text.len() > TEXT_BYTES {
        return Err(format!("the text is longer than {TEXT_BYTES} bytes"));
    }
    match ty {
        Type::Text => Ok(Value::text(text)),
        Type::Bool => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("expected `true` or `false`".to_owned()),
        },
        Type::Int => integer(text)
            .map(Value::Int)
            .ok_or_else(|| "expected a whole number, for example `42`".to_owned()),
        Type::Float => number(text)
            .map(Value::float)
            .ok_or_else(|| "expected a number, for example `4.5`".to_owned()),
        Type::Duration => quantity(ty, text, "5 min"),
        Type::Ratio => quantity(ty, text, "80 %"),
        Type::Bytes => quantity(ty, text, "4 Gi"),
        Type::Rate => quantity(ty, text, "300 /s"),
        Type::Time => {
            // A lower-case `t` or a blank, and a time without its zone, are what other programs write and what people misread.
            let shaped = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && !text.contains('[');
            match text.parse() {
                Ok(time) if shaped => Ok(Value::Time(time)),
                _ => Err("expected a time with its zone, for example `2026-11-01T03:00:00Z`".to_owned()),
            }
        }
        Type::Enum(enumeration) => {
            if enumeration.values.iter().any(|value| **value == *text) {
                Ok(Value::variant(text))
            } else {
                Err(format!("expected one of: {}", enumeration.values.join(", ")))
            }
        }
        Type::Resource(resource) => {
            if text.is_empty() || text.len() > 512 {
                Err(format!("expected the name of a {}", resource.name))
            } else if text.trim() != text || text.chars().any(char::is_control) {
                Err(format!(
                    "the name of a {} has no blanks at its ends and no control characters",
                    resource.name
                ))
            } else {
                Ok(Value::Resource {
                    kind: resource.name.clone(),
                    name: text.into(),
                })
            }
        }
        Type::Optional(inner) => match text {
            "none" if !matches!(**inner, Type::Text) => Ok(Value::None),
            _ => from_text(inner, text),
        },
        Type::Json => json(text).map(|json| Value::Json(Arc::new(json))),
        Type::List(_) | Type::Record(_) => match decode(ty, &json(text)?) {
            Value::Unknown(unknown) => Err(unknown.detail.clone()),
            value => match unknown_inside(&value, String::new()) {
                Some(place) => Err(place),
                None => Ok(value),
            },
        },
        Type::Code(CodeLanguage::Path) => {
            if text.starts_with('/') && !text.chars().any(char::is_control) {
                Ok(Value::Code {
                    language: Some(CodeLanguage::Path),
                    text: text.into(),
                })
            } else {
                Err("expected an absolute path, for example `/var/log/syslog`".to_owned())
            }
        }
        Type::Code(language) => Err(format!("{} is only written in the runbook itself", language.name())),
        Type::Secret(_) => Err("a secret is not given as text; name its source in the configuration".to_owned()),
        Type::Any | Type::Series(_) | Type::Answer(_) | Type::None | Type::Nothing => {
            Err(format!("a value of type {ty} cannot be given as text"))
        }
    }
}

/// The first part of a value that could not be read.
fn unknown_inside(value: &Value, place: String) -> Option<String> {
    match value {
        Value::Unknown(unknown) if unknown.detail.is_empty() => Some(format!("`{place}` could not be read")),
        Value::Unknown(unknown) => Some(unknown.detail.clone()),
        Value::List(list) => list
            .items
            .iter()
            .enumerate()
            .find_map(|(index, item)| unknown_inside(item, format!("{place}[{index}]"))),
        Value::Record(record) => record
            .fields
            .iter()
            .find_map(|(name, field)| unknown_inside(field, format!("{place}.{name}"))),
        _ => None,
    }
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

/// Decimal digits without a leading zero, maybe with a minus.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || (!digits.starts_with('0') && !digits.is_empty());
    if canonical && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0" {
        text.parse().ok()
    } else {
        None
    }
}

/// Decimal digits, maybe with a point and more of them.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let canonical = whole == "0" || (!whole.starts_with('0') && !whole.is_empty());
    let decimal = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && decimal(whole) && decimal(fraction) && text != "-0" {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    } else {
        None
    }
}

/// One number and one unit of the type's dimension, with or without a blank between them.
pub(super) fn quantity(ty: &Type, text: &str, example: &str) -> Result<Value, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(split);
    let name = rest.strip_prefix(' ').unwrap_or(rest);
    let Some(number) = number(digits) else {
        return Err(format!("expected a number and a unit, for example `{example}`"));
    };
    if name.is_empty() {
        return Err(format!("the unit is missing; write for example `{example}`"));
    }
    match Unit::find(name) {
        Some(unit) if unit.ty() == *ty => unit.value(number).ok_or_else(|| "the number is too large".to_owned()),
        Some(unit) => Err(format!("`{}` is a unit of {}, expected {ty}", unit.name, unit.ty())),
        None => Err(
            match nearest(name).filter(|near| unit::Unit::find(near).is_some_and(|unit| unit.ty() == *ty)) {
                Some(near) => format!("`{name}` is not a unit; did you mean `{near}`?"),
                None => format!("`{name}` is not a unit; write for example `{example}`"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::types::{EnumType, RecordType, ResourceType};

    fn list(inner: Type) -> Type {
        Type::List(Box::new(inner))
    }

    fn state() -> Type {
        Type::Enum(Arc::new(EnumType {
            name: "State".into(),
            values: vec!["idle".into(), "active".into()],
        }))
    }

    fn postgres() -> Type {
        Type::Resource(Arc::new(ResourceType {
            name: "Postgres".into(),
            fields: vec![],
        }))
    }

    /// Texts that lenient readers take for numbers, truth values or times.
    const TRAPS: &[&str] = &[
        "no",
        "yes",
        "on",
        "off",
        "True",
        "FALSE",
        "y",
        "n",
        "1e3",
        "0x10",
        "012",
        "0o7",
        "+5",
        " 5",
        "5 ",
        "1_000",
        "1,5",
        ".5",
        "5.",
        "-",
        "--5",
        "-0",
        "NaN",
        "inf",
        "٥",
        "",
        "~",
        "null",
        "2024-01-01",
        "03:00",
        "1:20",
        "90%%",
        "5m",
        "5 minutes",
    ];

    #[test]
    fn texts_that_only_look_like_values_are_refused() {
        for trap in TRAPS {
            for ty in [
                Type::Bool,
                Type::Int,
                Type::Float,
                Type::Time,
                Type::Duration,
                Type::Bytes,
                Type::Rate,
                Type::Ratio,
            ] {
                assert!(from_text(&ty, trap).is_err(), "{ty} from {trap:?}");
            }
            assert_eq!(from_text(&Type::Text, trap), Ok(Value::text(*trap)), "text stays text");
        }
    }

    #[test]
    fn what_is_written_like_the_language_is_read() {
        let cases: Vec<(Type, &str, Value)> = vec![
            (Type::Bool, "true", Value::Bool(true)),
            (Type::Int, "-42", Value::Int(-42)),
            (Type::Int, "0", Value::Int(0)),
            (Type::Float, "4.5", Value::Float(4.5)),
            (Type::Duration, "5 min", Value::Duration(300_000_000_000)),
            (Type::Duration, "250ms", Value::Duration(250_000_000)),
            (Type::Ratio, "80 %", Value::Ratio(0.8)),
            (Type::Bytes, "4 Gi", Value::Bytes(4 << 30)),
            (Type::Rate, "300 /s", Value::Rate(300.0)),
            (
                Type::Time,
                "2026-11-01T03:00:00+01:00",
                Value::Time("2026-11-01T02:00:00Z".parse().unwrap()),
            ),
            (state(), "idle", Value::variant("idle")),
            (
                postgres(),
                "orders",
                Value::Resource {
                    kind: "Postgres".into(),
                    name: "orders".into(),
                },
            ),
            (Type::Optional(Box::new(Type::Int)), "none", Value::None),
            (Type::Optional(Box::new(Type::Text)), "none", Value::text("none")),
            (
                list(Type::Int),
                "[1, 2]",
                Value::list(vec![Value::Int(1), Value::Int(2)]),
            ),
        ];
        for (ty, text, value) in cases {
            assert_eq!(from_text(&ty, text), Ok(value), "{ty} from {text:?}");
        }
    }

    #[test]
    fn refusals_say_what_was_expected() {
        let refusal = |ty: &Type, text: &str| from_text(ty, text).unwrap_err();
        assert_eq!(
            refusal(&Type::Duration, "5 m"),
            "`m` is not a unit; did you mean `min`?"
        );
        assert_eq!(
            refusal(&Type::Duration, "5"),
            "the unit is missing; write for example `5 min`"
        );
        assert_eq!(
            refusal(&Type::Duration, "5 Gi"),
            "`Gi` is a unit of Bytes, expected Duration"
        );
        assert_eq!(refusal(&state(), "Idle"), "expected one of: idle, active");
        assert!(refusal(&list(Type::Int), "1, 2").starts_with("expected JSON"));
        assert_eq!(
            refusal(&list(Type::Int), r#"[1, "2"]"#),
            "`[1]`: expected a whole number, found \"2\""
        );
        assert!(refusal(&postgres(), "or\u{1b}[2J").contains("control characters"));
        assert!(refusal(&postgres(), "").contains("name of a Postgres"));
        assert!(refusal(&Type::Int, "9223372036854775808").contains("whole number"));
        assert!(refusal(&Type::Duration, "9999999 d").contains("too large"));
    }

    #[test]
    fn secrets_and_code_are_not_given_as_text() {
        assert!(from_text(&Type::Secret(Box::new(Type::Text)), "hunter2").is_err());
        for language in [
            CodeLanguage::Sql,
            CodeLanguage::Promql,
            CodeLanguage::Regex,
            CodeLanguage::Kql,
        ] {
            assert!(from_text(&Type::Code(language), "select 1").is_err());
        }
        assert!(from_text(&Type::Code(CodeLanguage::Path), "/var/log").is_ok());
        assert!(from_text(&Type::Code(CodeLanguage::Path), "../etc").is_err());
        let record = Type::Record(Arc::new(RecordType {
            name: "R".into(),
            fields: vec![("password".into(), Type::Secret(Box::new(Type::Int)))],
        }));
        let refusal = from_text(&record, r#"{"password": "hunter2"}"#).unwrap_err();
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}
