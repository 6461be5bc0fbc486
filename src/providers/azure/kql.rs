//! Queries of logs: values enter as literals, never as text of the query; the time is always given; an answer that was cut is none.

use crate::providers::failure::{excerpt, wrong};
use crate::value::{Reason, Unknown, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest query, in bytes.
const QUERY: usize = crate::limits::AZURE_QUERY_BYTES;

fn odd(detail: impl Into<String>) -> Unknown {
    wrong(Reason::Unparsable, detail)
}

/// A text as the query language writes it.
fn quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for letter in text.chars() {
        match letter {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            letter if letter.is_control() => literal.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => literal.push(letter),
        }
    }
    literal.push('"');
    literal
}

fn literal(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(quoted(text)),
        Json::Bool(yes) => Some(yes.to_string()),
        Json::Number(number) => Some(match number.as_i64() {
            Some(whole) => format!("long({whole})"),
            None => format!("real({number})"),
        }),
        Json::Array(items) => {
            let items: Option<Vec<String>> = items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Some(quoted(text)),
                    Json::Number(number) => Some(number.to_string()),
                    _ => None,
                })
                .collect();
            Some(format!("dynamic([{}])", items?.join(", ")))
        }
        Json::Null | Json::Object(_) => None,
    }
}

/// Where the scanner stands.
enum In {
    Query,
    /// A text in this quote; a backslash escapes unless it is a verbatim one.
    Text {
        quote: char,
        verbatim: bool,
    },
    Fence,
    Comment,
}

/// The query with its values in place. `$name` outside texts and comments is replaced; `$left` and `$right` belong to the language.
///
/// # Errors
/// A name without a value, a value without a name, a value that has no literal, a name inside a text.
pub fn filled(text: &str, with: &Value) -> Result<String, Unknown> {
    let values: Map<String, Json> = match crate::value::document::of(with)? {
        Json::Object(values) => values,
        Json::Null => Map::new(),
        _ => return Err(odd("`with` is a record of values by name")),
    };
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut out = String::with_capacity(text.len() + 64);
    let mut state = In::Query;
    let mut rest = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, letter)) = rest.next() {
        let follows = |wanted: &str| text[at..].starts_with(wanted);
        match &state {
            In::Query if follows("```") => state = In::Fence,
            In::Query if follows("//") => state = In::Comment,
            In::Query if letter == '"' || letter == '\'' => {
                state = In::Text {
                    quote: letter,
                    verbatim: before == '@',
                };
            }
            In::Query if letter == '$' => {
                let name: String = text[at + 1..]
                    .chars()
                    .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                    .collect();
                if !name.is_empty() && name != "left" && name != "right" {
                    let value = values
                        .get(&name)
                        .ok_or_else(|| odd(format!("the query asks for `${name}`, which `with` does not give")))?;
                    let literal = literal(value).ok_or_else(|| {
                        odd(format!(
                            "`{name}` is neither a text, a number, yes or no, nor a list of texts or numbers"
                        ))
                    })?;
                    out.push_str(&literal);
                    for _ in name.chars() {
                        rest.next();
                    }
                    used.insert(name);
                    before = ' ';
                    continue;
                }
            }
            In::Query => {}
            In::Text { quote, verbatim } => {
                if letter == '\\' && !verbatim {
                    out.push(letter);
                    if let Some((_, escaped)) = rest.next() {
                        out.push(escaped);
                    }
                    continue;
                }
                if letter == *quote {
                    state = In::Query;
                } else if letter == '$' && values.keys().any(|name| text[at + 1..].starts_with(name.as_str())) {
                    return Err(odd(
                        "a `$name` inside a text of the query is not filled in: write it outside, `== $name`",
                    ));
                }
            }
            In::Fence if follows("```") && before != '`' => state = In::Query,
            In::Comment if letter == '\n' => state = In::Query,
            In::Fence | In::Comment => {}
        }
        before = letter;
        out.push(letter);
    }
    if let Some(name) = values.keys().find(|name| !used.contains(*name)) {
        return Err(odd(format!("`with` gives `{name}`, which the query does not ask for")));
    }
    if out.len() > QUERY {
        return Err(odd("the query is longer than 64 KiB"));
    }
    Ok(out)
}

/// A span of time as the service writes it.
pub fn timespan(over: Duration) -> Result<String, Unknown> {
    if over < Duration::from_secs(1) {
        return Err(odd("`over` is less than a second"));
    }
    Ok(format!("PT{}S", over.as_secs()))
}

/// `1.02:03:04.5` as a duration with its unit.
fn span(text: &str) -> Option<Json> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let (days, clock) = match text.split_once('.') {
        Some((days, rest)) if rest.contains(':') => (days.parse::<f64>().ok()?, rest),
        _ => (0.0, text),
    };
    let parts: Vec<f64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else {
        return None;
    };
    Some(json!(format!(
        "{} s",
        sign * (days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds)
    )))
}

fn cell(kind: &str, value: &Json) -> Json {
    match (kind, value) {
        ("timespan", Json::String(text)) => span(text).unwrap_or_else(|| value.clone()),
        ("dynamic", Json::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        ("decimal", Json::String(text)) => text
            .parse::<f64>()
            .map_or_else(|_| value.clone(), |number| json!(number)),
        // What cannot be computed is no number.
        ("real", Json::String(_)) => Json::Null,
        // Application Insights writes yes and no as texts.
        ("bool", Json::String(text)) if text == "True" => json!(true),
        ("bool", Json::String(text)) if text == "False" => json!(false),
        _ => value.clone(),
    }
}

/// The rows of an answer as a list of documents.
///
/// # Errors
/// The service says that this is only a part, there are more rows than allowed, or it is no answer to a query.
pub fn rows(answer: &Json, at_most: usize) -> Result<Vec<Json>, Unknown> {
    if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
        let said = error.get("message").and_then(Json::as_str).unwrap_or("no reason given");
        return Err(wrong(
            Reason::Truncated,
            format!("the service gave only a part: {}", excerpt(said, 200)),
        ));
    }
    let odd = || odd("the service does not answer as one of logs does");
    let table = answer.pointer("/tables/0").ok_or_else(odd)?;
    let columns: Vec<(&str, &str)> = table
        .get("columns")
        .and_then(Json::as_array)
        .ok_or_else(odd)?
        .iter()
        .map(|column| {
            let word = |name: &str| column.get(name).and_then(Json::as_str);
            Some((word("name")?, word("type").unwrap_or_default()))
        })
        .collect::<Option<_>>()
        .ok_or_else(odd)?;
    let rows = table.get("rows").and_then(Json::as_array).ok_or_else(odd)?;
    if rows.len() > at_most {
        return Err(wrong(
            Reason::Truncated,
            format!("the query gives {} rows, and {at_most} are allowed", rows.len()),
        ));
    }
    rows.iter()
        .map(|row| {
            let cells = row
                .as_array()
                .filter(|cells| cells.len() == columns.len())
                .ok_or_else(odd)?;
            let fields = columns.iter().zip(cells);
            let fields = fields.map(|((name, kind), value)| ((*name).to_owned(), cell(kind, value)));
            Ok(Json::Object(fields.collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{filled, rows, timespan};
    use crate::value::{Reason, Value};
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;

    fn fill(text: &str, with: serde_json::Value) -> Result<String, String> {
        filled(text, &Value::Json(Arc::new(with))).map_err(|unknown| unknown.detail)
    }

    #[test]
    fn values_are_literals() {
        assert_eq!(
            fill(
                "requests | where name == $name and duration > $most",
                json!({"name": "a\"b\\", "most": 5.5})
            )
            .unwrap(),
            r#"requests | where name == "a\"b\\" and duration > real(5.5)"#
        );
        assert_eq!(
            fill("t | where x in ($all) and n == $n", json!({"all": ["a", "b"], "n": 3})).unwrap(),
            r#"t | where x in (dynamic(["a", "b"])) and n == long(3)"#
        );
        let joined = "a | join b on $left.x == $right.y // $none\n| take 1";
        assert_eq!(fill(joined, json!({})).unwrap(), joined);
        assert_eq!(
            fill("print '$5', @\"c:\\\", ```$x```", json!({})).unwrap(),
            "print '$5', @\"c:\\\", ```$x```"
        );
    }

    #[test]
    fn names_and_values_belong_together() {
        assert!(fill("print $x", json!({})).unwrap_err().contains("does not give"));
        assert!(fill("print 1", json!({"x": 1})).unwrap_err().contains("does not ask"));
        assert!(
            fill("print '$x'", json!({"x": "a"}))
                .unwrap_err()
                .contains("inside a text")
        );
        assert!(
            fill("print $x", json!({"x": {"a": 1}}))
                .unwrap_err()
                .contains("neither")
        );
        assert!(fill(&"x".repeat(70_000), json!({})).unwrap_err().contains("64 KiB"));
    }

    proptest! {
        /// Whatever the value: the literal ends where it begins, so the query around it stays what it was.
        #[test]
        fn no_value_leaves_its_literal(text in any::<String>()) {
            let query = fill("print $x | take 1", json!({"x": text})).unwrap();
            let literal = query.strip_prefix("print ").and_then(|rest| rest.strip_suffix(" | take 1")).unwrap();
            let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
            let mut letters = inner.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '"' && !letter.is_control());
                if letter == '\\' {
                    prop_assert!(letters.next().is_some());
                }
            }
        }

        #[test]
        fn no_query_panics(text in any::<String>()) {
            let _ = fill(&text, json!({"x": 1}));
        }
    }

    #[test]
    fn rows_are_documents() {
        let answer = json!({"tables": [{"name": "PrimaryResult", "columns": [
            {"name": "timestamp", "type": "datetime"}, {"name": "wait", "type": "timespan"},
            {"name": "more", "type": "dynamic"}, {"name": "share", "type": "real"}, {"name": "ok", "type": "bool"}],
            "rows": [["2026-11-22T03:00:00Z", "1.00:00:01.5", "{\"a\":1}", "NaN", "True"]]}]});
        assert_eq!(
            rows(&answer, 10).unwrap(),
            vec![
                json!({"timestamp": "2026-11-22T03:00:00Z", "wait": "86401.5 s", "more": {"a": 1}, "share": null, "ok": true})
            ]
        );
        assert_eq!(rows(&answer, 0).unwrap_err().reason, Reason::Truncated);
        assert_eq!(rows(&json!({}), 1).unwrap_err().reason, Reason::Unparsable);
        let part = json!({"tables": [], "error": {"code": "PartialError", "message": "too much"}});
        assert_eq!(rows(&part, 1).unwrap_err().reason, Reason::Truncated);
        assert_eq!(timespan(Duration::from_secs(3600)).unwrap(), "PT3600S");
        assert!(timespan(Duration::from_millis(5)).is_err());
    }
}
