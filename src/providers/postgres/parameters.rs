//! Values of the language as bound parameters: they travel beside the statement, never in it.

use crate::value::{Reason, Unknown, Value};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::{Oid, PgInterval};
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, Postgres};
use sqlx::{Arguments, Encode, Type};
use std::sync::Arc;

/// Bound parameters, and whether a secret is among them.
pub struct Bound {
    pub arguments: PgArguments,
    pub secret: bool,
}

/// Largest sum of the texts of all parameters, in bytes.
const PARAMETER_BYTES: usize = crate::limits::POSTGRES_PARAMETER_BYTES;

/// Most parameters of one statement.
const PARAMETERS: usize = crate::limits::POSTGRES_PARAMETERS;

/// A point in time as `timestamptz`: microseconds since 2000-01-01 (PostgreSQL documentation, "Date/Time Types").
struct Moment(i64);

/// 2000-01-01T00:00:00Z in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        // The number of `timestamptz` is fixed in the server's catalogue.
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.saturating_sub(EPOCH), buffer)
    }
}

fn refuse(detail: impl Into<String>) -> Unknown {
    Unknown {
        reason: Reason::Unparsable,
        detail: detail.into(),
    }
}

/// Binds the elements of a list: `Text` as text, `Int` and `Bytes` as bigint, `Float`, `Ratio` and `Rate` as double precision,
/// `Bool` as boolean, `Time` as timestamptz, `Duration` as interval, a list of texts as text[], anything else as jsonb.
///
/// # Errors
/// An unknown value among them is the answer itself: nothing is sent in its place.
pub fn bind(value: &Value) -> Result<Bound, Unknown> {
    let mut bound = Bound {
        arguments: PgArguments::default(),
        secret: false,
    };
    let mut bytes = 0;
    match value {
        Value::None => {}
        Value::List(list) if list.truncated => {
            return Err(Unknown {
                reason: Reason::Truncated,
                detail: "the list of parameters was cut".to_owned(),
            });
        }
        Value::List(list) => {
            count(list.items.len())?;
            for item in &list.items {
                one(&mut bound, item, &mut bytes)?;
            }
        }
        Value::Json(json) => match json.as_ref() {
            serde_json::Value::Array(items) => {
                count(items.len())?;
                for item in items {
                    one(&mut bound, &from_json(item), &mut bytes)?;
                }
            }
            _ => return Err(refuse("the parameters are not a list")),
        },
        Value::Unknown(unknown) => return Err((**unknown).clone()),
        _ => return Err(refuse("the parameters are not a list")),
    }
    Ok(bound)
}

fn count(number: usize) -> Result<(), Unknown> {
    if number > PARAMETERS {
        return Err(refuse(format!("more than {PARAMETERS} parameters")));
    }
    Ok(())
}

fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::None,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::String(text) => Value::text(text.as_str()),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::float(number),
            (None, None) => Value::Json(Arc::new(json.clone())),
        },
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Value::Json(Arc::new(json.clone())),
    }
}

fn one(bound: &mut Bound, value: &Value, bytes: &mut usize) -> Result<(), Unknown> {
    let added = match value {
        Value::Unknown(unknown) => return Err((**unknown).clone()),
        Value::Secret(secret) => {
            bound.secret = true;
            return one(bound, secret.expose(), bytes);
        }
        Value::None => bound.arguments.add(None::<&str>),
        Value::Bool(flag) => bound.arguments.add(*flag),
        Value::Int(number) | Value::Bytes(number) => bound.arguments.add(*number),
        Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => bound.arguments.add(*number),
        Value::Time(time) => bound.arguments.add(Moment(time.as_microsecond())),
        Value::Duration(nanoseconds) => bound.arguments.add(PgInterval {
            months: 0,
            days: 0,
            microseconds: nanoseconds / 1_000,
        }),
        Value::Text(_) | Value::Enum(_) | Value::Resource { .. } | Value::Code { .. } => {
            text(bound, value.as_str().unwrap_or_default(), bytes)?;
            return Ok(());
        }
        Value::Json(json) => {
            *bytes = bytes.saturating_add(json.to_string().len());
            bound.arguments.add(sqlx::types::Json(json.as_ref()))
        }
        Value::List(list) => {
            let mut texts = Vec::new();
            for item in &list.items {
                match item {
                    Value::Unknown(unknown) => return Err((**unknown).clone()),
                    Value::Text(text) | Value::Enum(text) => {
                        *bytes = bytes.saturating_add(text.len());
                        texts.push(text.to_string());
                    }
                    _ => return Err(refuse("a list as a parameter may only hold texts")),
                }
            }
            bound.arguments.add(texts)
        }
        Value::AtLeast(_) => {
            return Err(Unknown {
                reason: Reason::Truncated,
                detail: "a parameter is the count of a list that was cut".to_owned(),
            });
        }
        Value::Record(_) | Value::Series(_) => return Err(refuse("a record or series cannot be a parameter")),
    };
    added.map_err(|_| refuse("a parameter cannot be sent"))?;
    too_large(*bytes)
}

fn text(bound: &mut Bound, text: &str, bytes: &mut usize) -> Result<(), Unknown> {
    if text.contains('\0') {
        return Err(refuse("a text with a zero byte cannot be a parameter"));
    }
    *bytes = bytes.saturating_add(text.len());
    too_large(*bytes)?;
    bound
        .arguments
        .add(text)
        .map_err(|_| refuse("a parameter cannot be sent"))
}

fn too_large(bytes: usize) -> Result<(), Unknown> {
    if bytes > PARAMETER_BYTES {
        return Err(refuse("the parameters are larger than 4 MiB"));
    }
    Ok(())
}

/// A name in quotes, as it stands in a statement.
///
/// # Errors
/// Empty, longer than the server keeps (63 bytes), or with a zero byte.
pub fn quoted(name: &str) -> Result<String, Unknown> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return Err(refuse("a name is empty, longer than 63 bytes, or holds a zero byte"));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A text as a string constant, safe whatever `standard_conforming_strings` says.
///
/// # Errors
/// A zero byte.
pub fn constant(text: &str) -> Result<String, Unknown> {
    if text.contains('\0') {
        return Err(refuse("a text holds a zero byte"));
    }
    Ok(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::{bind, constant, quoted};
    use crate::value::{Reason, Secret, Value};
    use sqlx::Arguments;

    #[test]
    fn an_unknown_parameter_is_the_answer() {
        let unknown = bind(&Value::list(vec![
            Value::Int(1),
            Value::unknown(Reason::Timeout, "no reply"),
        ]));
        assert_eq!(unknown.err().map(|unknown| unknown.reason), Some(Reason::Timeout));
        assert!(bind(&Value::Int(1)).is_err());
        assert!(bind(&Value::list(vec![Value::text("a\0b")])).is_err());
        assert!(bind(&Value::list(vec![Value::text("x".repeat(5 << 20))])).is_err());
    }

    #[test]
    fn parameters_are_limited_in_number_and_size() {
        let many = |count: usize| bind(&Value::list(vec![Value::Int(1); count]));
        assert!(many(super::PARAMETERS).is_ok() && many(super::PARAMETERS + 1).is_err());
        let large = |bytes: usize| bind(&Value::list(vec![Value::text("x".repeat(bytes))]));
        assert!(large(super::PARAMETER_BYTES / 2).is_ok() && large(super::PARAMETER_BYTES + 1).is_err());
    }

    #[test]
    fn secrets_are_bound_and_remembered() {
        let bound = bind(&Value::list(vec![Value::Secret(Secret::new(Value::text("swordfish")))])).unwrap();
        assert!(bound.secret);
        assert_eq!(bound.arguments.len(), 1);
        assert!(!bind(&Value::list(vec![Value::text("plain")])).unwrap().secret);
    }

    #[test]
    fn names_and_constants_cannot_be_left() {
        assert_eq!(quoted("a\"; drop table t; --").unwrap(), "\"a\"\"; drop table t; --\"");
        assert!(quoted("").is_err() && quoted(&"x".repeat(64)).is_err());
        assert_eq!(constant("it's \\'").unwrap(), "E'it''s \\\\'''");
    }
}
