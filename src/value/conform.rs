//! Whether a value is of a type: for the replies of providers, which are not to be believed without a look.

use super::{Type, Value};

/// Deepest nesting that is looked at.
const DEPTH: usize = 64;

/// Whether the value is of the type. Unknown is of every type: not knowing is an answer everywhere.
///
/// # Errors
/// Says where in the value what was found instead.
pub fn conforms(value: &Value, ty: &Type) -> Result<(), String> {
    at(value, ty, "", DEPTH)
}

fn at(value: &Value, ty: &Type, path: &str, depth: usize) -> Result<(), String> {
    let wrong = || {
        let place = if path.is_empty() { "the value" } else { path };
        Err(format!("{place} is not {ty}"))
    };
    if depth == 0 {
        return Err(format!("{path} is nested too deeply"));
    }
    let below = |value: &Value, ty: &Type, step: &str| at(value, ty, &format!("{path}{step}"), depth - 1);
    match (value, ty) {
        (Value::Unknown(_), _) | (_, Type::Any) => Ok(()),
        (Value::None, Type::Optional(_) | Type::None | Type::Nothing) => Ok(()),
        (value, Type::Optional(inner)) => at(value, inner, path, depth - 1),
        (Value::Bool(_), Type::Bool)
        | (Value::Int(_) | Value::AtLeast(_), Type::Int)
        | (Value::Float(_), Type::Float)
        | (Value::Text(_), Type::Text)
        | (Value::Time(_), Type::Time)
        | (Value::Duration(_), Type::Duration)
        | (Value::Ratio(_), Type::Ratio)
        | (Value::Bytes(_), Type::Bytes)
        | (Value::Rate(_), Type::Rate)
        | (Value::Json(_), Type::Json) => Ok(()),
        (Value::Secret(secret), Type::Secret(inner)) => below(secret.expose(), inner, ""),
        (Value::List(list), Type::List(inner)) => {
            for (index, item) in list.items.iter().enumerate() {
                below(item, inner, &format!("[{index}]"))?;
            }
            Ok(())
        }
        (Value::Series(series), Type::Series(inner)) => {
            for (index, (_, sample)) in series.samples.iter().enumerate() {
                below(sample, inner, &format!("[{index}]"))?;
            }
            Ok(())
        }
        (Value::Record(record), Type::Record(declared)) => {
            for (name, ty) in &declared.fields {
                match record.get(name) {
                    Some(value) => below(value, ty, &format!(".{name}"))?,
                    None => return Err(format!("{path}.{name} is missing")),
                }
            }
            match record.fields.iter().find(|(name, _)| declared.field(name).is_none()) {
                Some((name, _)) => Err(format!("{path}.{name} is not declared")),
                None => Ok(()),
            }
        }
        (Value::Enum(name), Type::Enum(declared)) if declared.values.contains(name) => Ok(()),
        (Value::Resource { kind, .. }, Type::Resource(declared)) if *kind == declared.name => Ok(()),
        (Value::Code { language, .. }, Type::Code(declared)) if language.is_none_or(|own| own == *declared) => Ok(()),
        _ => wrong(),
    }
}

#[cfg(test)]
mod tests {
    use super::conforms;
    use crate::value::{EnumType, Reason, RecordType, Secret, Type, Value};
    use std::sync::Arc;

    fn thing() -> Type {
        let state = Type::Enum(Arc::new(EnumType {
            name: "State".into(),
            values: vec!["on".into(), "off".into()],
        }));
        Type::Record(Arc::new(RecordType {
            name: "Thing".into(),
            fields: vec![
                ("age".into(), Type::Duration),
                ("state".into(), state),
                ("note".into(), Type::Optional(Box::new(Type::Text))),
            ],
        }))
    }

    fn value(fields: Vec<(&str, Value)>) -> Value {
        Value::record("Thing", fields)
    }

    #[test]
    fn a_value_is_looked_at_to_its_ends() {
        let good = vec![
            ("age", Value::Duration(1)),
            ("state", Value::variant("on")),
            ("note", Value::None),
        ];
        assert_eq!(conforms(&value(good.clone()), &thing()), Ok(()));
        let list = Type::List(Box::new(thing()));
        let with = |name: &str, new: Value| {
            let fields = good
                .iter()
                .map(|(field, old)| (*field, if *field == name { new.clone() } else { old.clone() }))
                .collect();
            conforms(&Value::list(vec![value(good.clone()), value(fields)]), &list)
        };
        assert_eq!(with("note", Value::text("x")), Ok(()));
        assert_eq!(with("age", Value::unknown(Reason::Denied, "")), Ok(()));
        assert_eq!(with("age", Value::Int(1)), Err("[1].age is not Duration".to_owned()));
        assert_eq!(
            with("state", Value::variant("broken")),
            Err("[1].state is not State".to_owned())
        );
        assert_eq!(with("age", Value::None), Err("[1].age is not Duration".to_owned()));
        assert_eq!(
            conforms(&value(good[..2].to_vec()), &thing()),
            Err(".note is missing".to_owned())
        );
        let more = good.iter().cloned().chain([("extra", Value::None)]).collect();
        assert_eq!(
            conforms(&value(more), &thing()),
            Err(".extra is not declared".to_owned())
        );
        let secret = Value::Secret(Secret::new(Value::text("x")));
        assert_eq!(conforms(&secret, &Type::Secret(Box::new(Type::Text))), Ok(()));
        assert!(conforms(&secret, &Type::Text).is_err(), "a secret is not its content");
        assert!(conforms(&Value::text("x"), &Type::Secret(Box::new(Type::Text))).is_err());
    }
}
