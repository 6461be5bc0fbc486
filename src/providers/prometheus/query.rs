//! Query texts: values are put in for `$name` as PromQL's own literals, outside its strings and comments, and nowhere else.

use crate::value::{Reason, Unknown, Value};
use std::collections::BTreeSet;

fn wrong(detail: impl Into<String>) -> Unknown {
    Unknown {
        reason: Reason::Unparsable,
        detail: detail.into(),
    }
}

/// A text as a PromQL string.
pub fn quoted(text: &str) -> Result<String, Unknown> {
    if text.len() > 1024 {
        return Err(wrong("a value for the query is longer than 1 KiB"));
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => return Err(wrong("a value for the query holds a control character")),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

fn literal(value: &serde_json::Value) -> Result<String, Unknown> {
    match value {
        serde_json::Value::String(text) => quoted(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err(wrong("a value for the query is a text or a number")),
    }
}

/// The query with the values of the record `with` put in.
///
/// # Errors
/// A name that is not given, one that is not used, a value that is neither text nor number.
pub fn filled(query: &str, with: &Value) -> Result<String, Unknown> {
    let values = match with {
        Value::None => serde_json::Map::new(),
        given => match crate::value::document::of(given)? {
            serde_json::Value::Object(fields) => fields,
            _ => return Err(wrong("`with` is a record")),
        },
    };
    let mut filled = String::with_capacity(query.len());
    let mut used = BTreeSet::new();
    let mut rest = query.chars().peekable();
    let mut inside: Option<char> = None;
    while let Some(character) = rest.next() {
        match (inside, character) {
            (Some('#'), '\n') => inside = None,
            (Some('"' | '\''), '\\') => {
                filled.push(character);
                if let Some(escaped) = rest.next() {
                    filled.push(escaped);
                }
                continue;
            }
            (Some(quote), character) if quote == character && quote != '#' => inside = None,
            (None, '"' | '\'' | '`' | '#') => inside = Some(character),
            (None, '$') => {
                let mut name = String::new();
                while let Some(next) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
                    name.push(next);
                }
                let value = values
                    .get(&name)
                    .ok_or_else(|| wrong(format!("the query has `${name}`, and `with` does not give it")))?;
                filled.push_str(&literal(value)?);
                used.insert(name);
                continue;
            }
            _ => {}
        }
        filled.push(character);
    }
    match values.keys().find(|name| !used.contains(*name)) {
        Some(name) => Err(wrong(format!("`with` gives `{name}`, and the query has no `${name}`"))),
        None if filled.trim().is_empty() => Err(wrong("the query is empty")),
        None => Ok(filled),
    }
}

/// True for the name of a metric.
pub fn is_metric(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '_' | ':'))
        && name.len() <= 200
        && letters.all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':'))
}

/// `{a="b",c="d"}` of a record of texts.
pub fn selector(labels: &Value) -> Result<String, Unknown> {
    let fields = match labels {
        Value::None => return Ok(String::new()),
        given => match crate::value::document::of(given)? {
            serde_json::Value::Object(fields) => fields,
            _ => return Err(wrong("`labels` is a record of texts")),
        },
    };
    let parts: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) if is_metric(name) && !name.contains(':') => {
                Ok(format!("{name}={}", quoted(text)?))
            }
            _ => Err(wrong("`labels` is a record of texts")),
        })
        .collect::<Result<_, _>>()?;
    Ok(format!("{{{}}}", parts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::{filled, is_metric, quoted, selector};
    use crate::value::Value;

    fn with(text: &str) -> Value {
        Value::Json(std::sync::Arc::new(serde_json::from_str(text).unwrap()))
    }

    #[test]
    fn a_value_is_put_in_as_a_literal_and_can_be_nothing_else() {
        let hostile = with(r#"{"job": "a\"} or vector(1) # \\\n"}"#);
        assert_eq!(
            filled("up{job=$job}", &hostile).unwrap(),
            r#"up{job="a\"} or vector(1) # \\\n"}"#
        );
        assert_eq!(filled("up > $n", &with(r#"{"n": 3}"#)).unwrap(), "up > 3");
        // What looks like a name inside of a string or comment is none.
        assert_eq!(
            filled("up{a=\"$x\\\"$y\"} # $z\n+ 1", &Value::None).unwrap(),
            "up{a=\"$x\\\"$y\"} # $z\n+ 1"
        );
        assert!(quoted("\u{1b}").is_err());
    }

    #[test]
    fn a_name_too_many_or_too_few_is_a_mistake() {
        assert!(
            filled("up{job=$job}", &Value::None)
                .unwrap_err()
                .detail
                .contains("$job")
        );
        assert!(
            filled("up", &with(r#"{"job": "a"}"#))
                .unwrap_err()
                .detail
                .contains("`job`")
        );
        assert!(filled("up{job=$job}", &with(r#"{"job": ["a"]}"#)).is_err());
        assert!(filled(" ", &Value::None).is_err());
    }

    #[test]
    fn names_are_names() {
        assert!(is_metric("http_requests_total"));
        for odd in ["", "1a", "a-b", "a{b}", "a b"] {
            assert!(!is_metric(odd), "{odd}");
        }
        assert_eq!(selector(&with(r#"{"job":"a\"b"}"#)).unwrap(), r#"{job="a\"b"}"#);
        assert!(selector(&with(r#"{"job}":"x"}"#)).is_err());
        assert_eq!(selector(&Value::None).unwrap(), "");
    }
}
