//! Values for people and for records: with units and sensible rounding, secrets never.
//!
//! Nothing is escaped here: whoever prints a text passes it through `render::safe` (or the escaping of its format).

use super::{Reason, Value};
use serde_json::{Map, Value as Json, json};

/// Elements of a list, and fields of a record, that are shown.
const ELEMENTS: usize = 6;
/// Longest text shown inside a list or record, in characters.
const NESTED_CHARS: usize = 120;
/// Longest text that [`shown`] gives, in characters.
const SHOWN_CHARS: usize = 2000;
/// How deep lists and records are shown.
const DEPTH: usize = 4;

/// A value as people read it: `97 %`, `12 min`, `1.5 Gi`, `300 /s`, `(secret)`, `unknown (no reply in time)`.
pub fn show(value: &Value) -> String {
    at_depth(value, 0, 1)
}

/// A value as people see it, cut to a readable length, and as data, whole. Secrets are in neither.
pub fn shown(value: &Value) -> (String, Json) {
    (shorten(&show(value), SHOWN_CHARS), data(value))
}

/// Two values that are compared, rounded no more than needed to tell them apart: never `90 %, limit 90 %` for 90.04 %.
pub fn show_apart(left: &Value, right: &Value) -> (String, String) {
    for digits in 1..=9 {
        let pair = (at_depth(left, 0, digits), at_depth(right, 0, digits));
        if pair.0 != pair.1 || left == right {
            return pair;
        }
    }
    (show(left), show(right))
}

/// `digits`: how many digits stand behind the point of a rounded number.
fn at_depth(value: &Value, depth: usize, digits: usize) -> String {
    match value {
        Value::Unknown(unknown) => match unknown.reason {
            Reason::Truncated => format!("unknown ({}: there may be more)", unknown.reason.words()),
            reason => format!("unknown ({})", reason.words()),
        },
        Value::None => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::AtLeast(number) => format!("at least {number}"),
        Value::Float(number) => plain_float(*number),
        Value::Text(text) if depth == 0 => text.to_string(),
        Value::Text(text) => format!("\"{}\"", shorten(text, NESTED_CHARS)),
        Value::Time(time) => show_time(*time),
        Value::Duration(span) => duration(*span, digits),
        Value::Ratio(number) => format!("{} %", trimmed(number * 100.0, digits)),
        Value::Bytes(number) => bytes(*number, digits),
        Value::Rate(number) => rate(*number, digits),
        Value::Json(json) => match &**json {
            Json::String(text) if depth == 0 => text.clone(),
            json => shorten(&json.to_string(), NESTED_CHARS * 2),
        },
        Value::Secret(_) => "(secret)".to_owned(),
        Value::Series(series) => match series.samples.last() {
            Some((_, newest)) => format!(
                "{} samples, newest {}",
                series.samples.len(),
                at_depth(newest, depth + 1, digits)
            ),
            None => "no samples".to_owned(),
        },
        Value::List(list) => {
            if depth >= DEPTH {
                return "[…]".to_owned();
            }
            let mut parts: Vec<String> = list
                .items
                .iter()
                .take(ELEMENTS)
                .map(|item| at_depth(item, depth + 1, digits))
                .collect();
            match (list.items.len().saturating_sub(ELEMENTS), list.truncated) {
                (0, false) => {}
                (0, true) => parts.push("and more (the list was cut)".to_owned()),
                (more, false) => parts.push(format!("and {more} more")),
                (more, true) => parts.push(format!("and at least {more} more")),
            }
            format!("[{}]", parts.join(", "))
        }
        Value::Record(record) => {
            if depth >= DEPTH {
                return "{…}".to_owned();
            }
            let mut parts: Vec<String> = record
                .fields
                .iter()
                .take(ELEMENTS * 2)
                .map(|(name, value)| format!("{name}: {}", at_depth(value, depth + 1, digits)))
                .collect();
            if record.fields.len() > ELEMENTS * 2 {
                parts.push(format!("and {} more", record.fields.len() - ELEMENTS * 2));
            }
            format!("{{{}}}", parts.join(", "))
        }
        Value::Enum(name) => name.to_string(),
        Value::Resource { name, .. } => name.to_string(),
        Value::Code { text, .. } => text.to_string(),
    }
}

/// A time as RFC 3339 in UTC, in whole seconds.
pub fn show_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A span of nanoseconds in its two largest units: `12 min`, `1 h 30 min`, `3 d 4 h`, `1.5 s`, `250 ms`.
pub fn show_duration(nanoseconds: i64) -> String {
    duration(nanoseconds, 1)
}

/// A span of time as [`show_duration`] gives it.
pub fn show_std(span: std::time::Duration) -> String {
    show_duration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

const UNITS: [(&str, u64); 4] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
];

fn duration(nanoseconds: i64, digits: usize) -> String {
    if nanoseconds == i64::MAX {
        return "longer than can be said".to_owned();
    }
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let mut rest = nanoseconds.unsigned_abs();
    if rest < 60_000_000_000 {
        let (unit, factor) = match rest {
            0 => return "0 s".to_owned(),
            1_000_000_000.. => ("s", 1e9),
            1_000_000.. => ("ms", 1e6),
            1_000.. => ("us", 1e3),
            _ => ("ns", 1.0),
        };
        return format!("{sign}{} {unit}", trimmed(rest as f64 / factor, digits));
    }
    let parts = 1 + digits;
    let mut shown = Vec::new();
    for (position, (unit, size)) in UNITS.iter().enumerate() {
        if shown.is_empty() && rest < *size {
            continue;
        }
        // Days and hours need no seconds beside them.
        if shown.len() == parts {
            break;
        }
        let last = shown.len() + 1 == parts || position + 1 == UNITS.len();
        let count = rest / size;
        rest %= size;
        if count > 0 {
            shown.push(format!("{count} {unit}"));
        } else if !last && !shown.is_empty() {
            shown.push(String::new());
        }
    }
    shown.retain(|part| !part.is_empty());
    format!("{sign}{}", shown.join(" "))
}

fn bytes(number: i64, digits: usize) -> String {
    let size = number.unsigned_abs() as f64;
    let (unit, factor) = match number.unsigned_abs() {
        0x100_0000_0000.. => ("Ti", 1_099_511_627_776.0),
        0x4000_0000.. => ("Gi", 1_073_741_824.0),
        0x10_0000.. => ("Mi", 1_048_576.0),
        0x400.. => ("Ki", 1024.0),
        _ => ("B", 1.0),
    };
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{} {unit}", trimmed(size / factor, digits))
}

fn rate(number: f64, digits: usize) -> String {
    let size = number.abs();
    let (unit, factor) = if size == 0.0 || size >= 1.0 {
        ("/s", 1.0)
    } else if size * 60.0 >= 1.0 {
        ("/min", 60.0)
    } else {
        ("/h", 3600.0)
    };
    format!("{} {unit}", trimmed(number * factor, digits))
}

/// Rounded to so many digits behind the point, without zeros at the end; a small number keeps its first digits.
fn trimmed(number: f64, digits: usize) -> String {
    let size = number.abs();
    if size != 0.0 && size < 0.1 {
        return significant(number, digits + 1);
    }
    if size >= 1e15 {
        return format!("{number:e}");
    }
    let text = format!("{number:.digits$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn significant(number: f64, digits: usize) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let magnitude = number.abs().log10().floor();
    let behind = (digits as f64 - 1.0 - magnitude).clamp(0.0, 12.0) as usize;
    let text = format!("{number:.behind$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "0" || text == "-0" {
        format!("{number:e}")
    } else {
        text
    }
}

fn plain_float(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number.abs() >= 1e15 || number.abs() < 1e-6 {
        format!("{number:e}")
    } else {
        significant(number, 6)
    }
}

fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value as data, exactly, except secrets: [`super::decode::decode`] with the value's type gives it back. A ratio is its
/// number (1 is 100 %), bytes and rates are their numbers, durations and times are text. An unknown value, a list that was cut and a
/// count of one are objects that say so.
pub fn data(value: &Value) -> Json {
    match value {
        Value::Unknown(unknown) => json!({"unknown": unknown.reason, "detail": unknown.detail}),
        Value::None => Json::Null,
        Value::Bool(known) => json!(known),
        Value::Int(number) | Value::Bytes(number) => json!(number),
        Value::AtLeast(number) => json!({"at_least": number}),
        Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => json!(number),
        Value::Text(text) | Value::Enum(text) => json!(&**text),
        Value::Time(time) => json!(time.to_string()),
        Value::Duration(span) => json!(exact_duration(*span)),
        Value::Json(json) => (**json).clone(),
        Value::Secret(_) => json!("(secret)"),
        Value::Series(series) => json!({
            "samples": series.samples.iter().map(|(time, value)| json!([time.to_string(), data(value)])).collect::<Vec<_>>(),
            "until": series.until.to_string(),
            "step": exact_duration(series.step),
        }),
        Value::List(list) => {
            let items = Json::Array(list.items.iter().map(data).collect());
            if list.truncated {
                json!({"items": items, "truncated": true})
            } else {
                items
            }
        }
        Value::Record(record) => {
            let fields: Map<String, Json> = record
                .fields
                .iter()
                .map(|(name, value)| (name.to_string(), data(value)))
                .collect();
            Json::Object(fields)
        }
        Value::Resource { name, .. } => json!(&**name),
        Value::Code { text, .. } => json!(&**text),
    }
}

/// As the language writes it, without any rounding: `90 s`, `12 min`, `1500 ms`.
fn exact_duration(nanoseconds: i64) -> String {
    if nanoseconds == 0 {
        return "0 s".to_owned();
    }
    let units: [(&str, i64); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("min", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    for (unit, size) in units {
        if nanoseconds % size == 0 {
            return format!("{} {unit}", nanoseconds / size);
        }
    }
    format!("{nanoseconds} ns")
}
