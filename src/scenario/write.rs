//! Values as a scenario writes them: text that is read back as the same value.

use crate::value::{Reason, Series, Type, Value};
use jiff::Timestamp;
use serde_json::Value as Json;

/// Words that mean something of their own where a value is given: an enum value of this name is written `Type.value`.
const WORDS: &[&str] = &[
    "timeout",
    "denied",
    "throttled",
    "truncated",
    "unknown",
    "none",
    "yes",
    "no",
];

const DURATIONS: &[(&str, i64)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZES: &[(&str, i64)] = &[
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("B", 1),
];

/// The value as text for `given`, or `None` when the language cannot say it (a secret). `now` is the scenario's clock, from which
/// times are counted. Fields of records that cannot be said are left out.
pub fn given(value: &Value, ty: &Type, now: Timestamp) -> Option<String> {
    match value {
        Value::Unknown(unknown) => Some(word(unknown.reason).to_owned()),
        Value::List(list) if list.truncated => Some(word(Reason::Truncated).to_owned()),
        Value::List(list) if list.items.is_empty() => Some("none".to_owned()),
        Value::Series(series) => sample(series).and_then(|value| given(value, element(ty), now)),
        Value::List(list) => {
            let items: Vec<String> = list
                .items
                .iter()
                .map(|item| expression(item, element(ty), now))
                .collect::<Option<_>>()?;
            let first = items.first()?;
            if matches!(list.items.first(), Some(Value::Record(_))) && items.iter().all(|item| item == first) {
                return Some(format!("{} of {first}", items.len()));
            }
            Some(format!("[{}]", items.join(", ")))
        }
        Value::Record(record) if &*record.type_name == "Probe" => {
            let reply = record.get("reply").and_then(Value::as_str)?;
            Some(reply.to_owned())
        }
        _ => expression(value, ty, now),
    }
}

/// The word for an answer that could not be had.
pub fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Timeout => "timeout",
        Reason::Denied => "denied",
        Reason::Throttled => "throttled",
        Reason::Truncated => "truncated",
        _ => "unknown",
    }
}

/// A series is one value for all the time: its newest.
fn sample(series: &Series) -> Option<&Value> {
    series.samples.last().map(|(_, value)| value)
}

fn element(ty: &Type) -> &Type {
    match ty {
        Type::List(of) | Type::Series(of) => of,
        Type::Optional(of) | Type::Secret(of) => element(of),
        other => other,
    }
}

fn core(ty: &Type) -> &Type {
    match ty {
        Type::Optional(of) | Type::Secret(of) => core(of),
        other => other,
    }
}

/// The value as an expression.
pub fn expression(value: &Value, ty: &Type, now: Timestamp) -> Option<String> {
    Some(match value {
        Value::None => "none".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) | Value::AtLeast(number) => number.to_string(),
        Value::Float(number) => float(*number),
        Value::Text(text) => quoted(text),
        Value::Time(time) => moment(*time, now)?,
        Value::Duration(span) => exact(*span, DURATIONS),
        Value::Ratio(number) => format!("{} %", plain(number * 100.0)),
        Value::Bytes(size) => exact(*size, SIZES),
        Value::Rate(number) => format!("{} /s", plain(*number)),
        Value::Json(json) => document(json)?,
        Value::Enum(name) => match core(ty) {
            Type::Enum(enumeration) if WORDS.contains(&&**name) => format!("{}.{name}", enumeration.name),
            _ => name.to_string(),
        },
        Value::Resource { name, .. } => quoted(name),
        Value::Code { text, .. } if !text.contains(['`', '\n']) => format!("`{text}`"),
        Value::List(list) => {
            let items: Option<Vec<String>> = list
                .items
                .iter()
                .map(|item| expression(item, element(ty), now))
                .collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Record(record) => {
            let declared = match core(ty) {
                Type::Record(declared) => Some(declared),
                _ => None,
            };
            let fields: Vec<String> = record
                .fields
                .iter()
                .filter_map(|(name, value)| {
                    let ty = declared.and_then(|declared| declared.field(name)).unwrap_or(&Type::Any);
                    Some(format!("{name}: {}", expression(value, ty, now)?))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Unknown(unknown) if unknown.reason == Reason::Missing => return None,
        Value::Unknown(unknown) => word(unknown.reason).to_owned(),
        Value::Secret(_) | Value::Series(_) | Value::Code { .. } => return None,
    })
}

/// A text in double quotes; what cannot be seen is written with its number.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '{' => out.push_str("\\{"),
            '}' => out.push_str("\\}"),
            letter if hidden(letter) => out.push_str(&format!("\\u{{{:x}}}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Control characters, and those that cannot be seen or turn the direction of text.
fn hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A number and the largest unit in which it is whole.
fn exact(number: i64, units: &[(&str, i64)]) -> String {
    let unit = units
        .iter()
        .find(|(_, size)| number != 0 && number % size == 0)
        .or_else(|| units.iter().find(|(name, _)| matches!(*name, "s" | "B")));
    match unit {
        Some((name, size)) => format!("{} {name}", number / size),
        None => number.to_string(),
    }
}

/// The span of time as it is written: `5 min`.
pub fn span(span: std::time::Duration) -> String {
    exact(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX), DURATIONS)
}

/// Without an exponent, and without digits that only binary fractions have.
fn plain(number: f64) -> String {
    let rounded = (number * 1e9).round() / 1e9;
    let number = if rounded.is_finite() { rounded } else { number };
    format!("{number}")
}

fn float(number: f64) -> String {
    let text = format!("{number}");
    if text.contains('.') { text } else { format!("{text}.0") }
}

fn moment(time: Timestamp, now: Timestamp) -> Option<String> {
    let span = time.duration_since(now);
    if span.is_zero() {
        return Some("now".to_owned());
    }
    let nanoseconds = i64::try_from(span.as_nanos()).ok()?;
    // Nobody reads nanoseconds of a moment.
    let rounded = if nanoseconds.abs() > 1_000_000_000 {
        nanoseconds / 1_000_000_000 * 1_000_000_000
    } else {
        nanoseconds
    };
    let sign = if rounded < 0 { '-' } else { '+' };
    Some(format!("now {sign} {}", exact(rounded.abs(), DURATIONS)))
}

/// A document, where its keys are names of the language.
fn document(json: &Json) -> Option<String> {
    Some(match json {
        Json::Null => "none".to_owned(),
        Json::Bool(yes) => yes.to_string(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => float(number),
            (None, None) => return None,
        },
        Json::String(text) => quoted(text),
        Json::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(document).collect();
            format!("[{}]", items?.join(", "))
        }
        Json::Object(fields) => {
            let mut parts = Vec::with_capacity(fields.len());
            for (name, value) in fields {
                let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                if !name.chars().all(letters) || !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                    return None;
                }
                parts.push(format!("{name}: {}", document(value)?));
            }
            format!("{{{}}}", parts.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> Option<String> {
        given(value, &Type::Any, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn quantities_are_whole_in_their_largest_unit() {
        let minute = 60_000_000_000;
        assert_eq!(text(&Value::Duration(12 * minute)).unwrap(), "12 min");
        assert_eq!(text(&Value::Duration(90 * minute)).unwrap(), "90 min");
        assert_eq!(text(&Value::Duration(1_500_000_000)).unwrap(), "1500 ms");
        assert_eq!(text(&Value::Duration(0)).unwrap(), "0 s");
        assert_eq!(text(&Value::Bytes(3 << 29)).unwrap(), "1536 Mi");
        assert_eq!(text(&Value::Ratio(0.97)).unwrap(), "97 %");
        assert_eq!(text(&Value::Ratio(0.9004)).unwrap(), "90.04 %");
        assert_eq!(text(&Value::Float(1e20)).unwrap(), "100000000000000000000.0");
    }

    #[test]
    fn secrets_are_left_out_and_equal_records_are_counted() {
        let session = Value::record(
            "Session",
            vec![
                ("age", Value::Duration(720_000_000_000)),
                ("query", Value::Secret(crate::value::Secret::new(Value::text("canary")))),
            ],
        );
        assert_eq!(
            text(&Value::list(vec![session.clone(), session])).unwrap(),
            "2 of {age: 12 min}"
        );
        assert_eq!(text(&Value::list(Vec::new())).unwrap(), "none");
        assert_eq!(text(&Value::unknown(Reason::Timeout, "")).unwrap(), "timeout");
    }

    #[test]
    fn text_from_outside_is_written_so_that_it_is_read_back() {
        assert_eq!(quoted("a\"{b}\\\n\u{202e}\u{1b}"), r#""a\"\{b\}\\\n\u{202e}\u{1b}""#);
    }

    #[test]
    fn times_are_counted_from_the_clock() {
        let time = Value::Time(Timestamp::from_second(-3600).unwrap());
        assert_eq!(text(&time).unwrap(), "now - 1 h");
        assert_eq!(text(&Value::Time(Timestamp::UNIX_EPOCH)).unwrap(), "now");
    }
}
