//! What of a value says which thing it is, and what of it is only measured.

use super::{List, Record, Value};
use std::sync::Arc;

/// Whether two values are the same target, although what is measured about it has gone on.
///
/// What identifies a record stands first in it: its leading fields, up to the first that is measured (Duration, Ratio, Float,
/// Bytes, Rate, Series), secret, a document or a list; and every resource in it. A record that begins with a measure must be
/// equal as a whole, and so must everything that is not a record.
pub fn same_target(old: &Value, new: &Value) -> bool {
    let (Value::Record(before), Value::Record(now)) = (old, new) else {
        return match (old, new) {
            (Value::List(before), Value::List(now)) => {
                before.items.len() == now.items.len()
                    && before
                        .items
                        .iter()
                        .zip(&now.items)
                        .all(|(old, new)| same_target(old, new))
            }
            _ => unknown_in(old).is_none() && old == new,
        };
    };
    if before.type_name != now.type_name {
        return false;
    }
    let mut leading = true;
    let mut identified = false;
    for (name, value) in &before.fields {
        leading = leading && !measured(value);
        if !leading && !matches!(value, Value::Resource { .. }) {
            continue;
        }
        if !now.get(name).is_some_and(|other| same_target(value, other)) {
            return false;
        }
        identified = true;
    }
    identified || old == new
}

/// The value without what is only measured about it: what [`same_target`] looks at.
pub fn identity(value: &Value) -> Value {
    match value {
        Value::List(list) => Value::List(Arc::new(List {
            items: list.items.iter().map(identity).collect(),
            truncated: list.truncated,
        })),
        Value::Record(record) => {
            let mut leading = true;
            let fields: Vec<_> = record
                .fields
                .iter()
                .filter(|(_, value)| {
                    leading = leading && !measured(value);
                    leading || matches!(value, Value::Resource { .. })
                })
                .map(|(name, value)| (name.clone(), identity(value)))
                .collect();
            if fields.is_empty() {
                return value.clone();
            }
            Value::Record(Arc::new(Record {
                type_name: record.type_name.clone(),
                fields,
            }))
        }
        other => other.clone(),
    }
}

/// The first unknown part of a value.
pub fn unknown_in(value: &Value) -> Option<&super::Unknown> {
    match value {
        Value::Unknown(unknown) => Some(unknown),
        Value::List(list) => list.items.iter().find_map(unknown_in),
        Value::Record(record) => record.fields.iter().find_map(|(_, value)| unknown_in(value)),
        _ => None,
    }
}

fn measured(value: &Value) -> bool {
    matches!(
        value,
        Value::Duration(_)
            | Value::Ratio(_)
            | Value::Float(_)
            | Value::Bytes(_)
            | Value::Rate(_)
            | Value::Series(_)
            | Value::Secret(_)
            | Value::Json(_)
            | Value::List(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(pid: i64, age: i64) -> Value {
        Value::record(
            "Session",
            vec![
                ("pid", Value::Int(pid)),
                ("state", Value::variant("idle_in_transaction")),
                ("age", Value::Duration(age)),
            ],
        )
    }

    #[test]
    fn a_session_that_grew_older_is_the_same_and_another_pid_is_not() {
        assert!(same_target(&session(1, 10), &session(1, 20)));
        assert!(!same_target(&session(1, 10), &session(2, 10)));
        assert_eq!(identity(&session(1, 10)), identity(&session(1, 20)));
        assert_ne!(identity(&session(1, 10)), identity(&session(2, 10)));
    }

    #[test]
    fn a_record_of_measures_alone_must_be_equal() {
        let load = |ratio: f64| Value::record("Load", vec![("now", Value::Ratio(ratio))]);
        assert!(same_target(&load(0.5), &load(0.5)));
        assert!(!same_target(&load(0.5), &load(0.6)));
        assert_ne!(identity(&load(0.5)), identity(&load(0.6)));
    }

    #[test]
    fn an_unknown_identity_is_nobodys() {
        let unknown = Value::record(
            "Session",
            vec![("pid", Value::unknown(crate::value::Reason::Missing, ""))],
        );
        assert!(!same_target(&unknown, &unknown));
    }

    #[test]
    fn scalars_are_compared_exactly() {
        assert!(same_target(&Value::Bytes(4), &Value::Bytes(4)));
        assert!(!same_target(&Value::Bytes(4), &Value::Bytes(8)));
        assert!(!same_target(&Value::text("v41"), &Value::text("v42")));
    }
}
