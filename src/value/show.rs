//! Values for people and for records: with units and sensible rounding, secrets never.
//!
//! Nothing is escaped here: whoever prints a text passes it through `render::safe` (or the escaping of its format).

use super::{Reason, Secret, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value as Json;

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
    (shown_text(value), data_with(value, &hidden))
}

/// A value as people see it, cut to a readable length.
pub fn shown_text(value: &Value) -> String {
    shorten(&show(value), SHOWN_CHARS)
}

/// What stands for a secret in data.
pub fn hidden(_: &Secret) -> String {
    "(secret)".to_owned()
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
        Value::Ratio(number) => format!("{} %", percent(number * 100.0, digits)),
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
    // The largest unit and those next to it: hours need no seconds beside them.
    let first = UNITS
        .iter()
        .position(|(_, size)| rest >= *size)
        .unwrap_or(UNITS.len() - 1);
    let mut shown = Vec::new();
    for (unit, size) in UNITS.iter().skip(first).take(1 + digits) {
        if rest / size > 0 {
            shown.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    format!("{sign}{}", shown.join(" "))
}

/// In powers of 1024, except where powers of 1000 say it exactly and those do not: whoever wrote `10 MB` reads `10 MB`.
fn bytes(number: i64, digits: usize) -> String {
    let size = number.unsigned_abs() as f64;
    let (unit, factor) = match number.unsigned_abs() {
        0x100_0000_0000.. => ("Ti", 1_099_511_627_776.0),
        0x4000_0000.. => ("Gi", 1_073_741_824.0),
        0x10_0000.. => ("Mi", 1_048_576.0),
        0x400.. => ("Ki", 1024.0),
        _ => ("B", 1.0),
    };
    let (unit, factor) = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ]
    .into_iter()
    .find(|(_, thousands)| number.unsigned_abs() >= *thousands)
    .filter(|(_, thousands)| {
        number.unsigned_abs().is_multiple_of(thousands / 10) && (10.0 * size / factor).fract() != 0.0
    })
    .map_or((unit, factor), |(unit, thousands)| (unit, thousands as f64));
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

/// Nearly all is never shown as all: as many digits as tell 99.95 from 100.
fn percent(number: f64, digits: usize) -> String {
    (digits..=9)
        .map(|digits| trimmed(number, digits))
        .find(|text| text != "100")
        .filter(|_| (number - 100.0).abs() > 1e-9)
        .unwrap_or_else(|| trimmed(number, digits))
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
    data_with(value, &hidden)
}

/// A value as data, whole, with `secret`'s words in the place of each secret; they must not tell the secret.
pub fn data_with(value: &Value, secret: &dyn Fn(&Secret) -> String) -> Json {
    serde_json::to_value(Data { value, secret }).expect("a value is text, numbers, lists and fields")
}

/// A value as data, written without a document in between.
pub struct Data<'a> {
    pub value: &'a Value,
    /// What stands in the place of a secret; it must not tell the secret.
    pub secret: &'a dyn Fn(&Secret) -> String,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data = |value| Data {
            value,
            secret: self.secret,
        };
        match self.value {
            Value::Unknown(unknown) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("unknown", &unknown.reason)?;
                map.serialize_entry("detail", &unknown.detail)?;
                map.end()
            }
            Value::None => serializer.serialize_none(),
            Value::Bool(known) => serializer.serialize_bool(*known),
            Value::Int(number) | Value::Bytes(number) => serializer.serialize_i64(*number),
            Value::AtLeast(number) => fields(serializer, 1, [("at_least", number)]),
            Value::Float(number) | Value::Ratio(number) | Value::Rate(number) => serializer.serialize_f64(*number),
            Value::Text(text) | Value::Enum(text) => serializer.serialize_str(text),
            Value::Time(time) => serializer.collect_str(time),
            Value::Duration(span) => serializer.serialize_str(&exact_duration(*span)),
            Value::Json(json) => json.serialize(serializer),
            Value::Secret(held) => serializer.serialize_str(&(self.secret)(held)),
            Value::Series(series) => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry(
                    "samples",
                    &Items(
                        series
                            .samples
                            .iter()
                            .map(|(time, value)| (time.to_string(), data(value))),
                    ),
                )?;
                map.serialize_entry("until", &series.until.to_string())?;
                map.serialize_entry("step", &exact_duration(series.step))?;
                map.end()
            }
            Value::List(list) if list.truncated => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("items", &Items(list.items.iter().map(data)))?;
                map.serialize_entry("truncated", &true)?;
                map.end()
            }
            Value::List(list) => serializer.collect_seq(list.items.iter().map(data)),
            Value::Record(record) => fields(
                serializer,
                record.fields.len(),
                record.fields.iter().map(|(name, value)| (&**name, data(value))),
            ),
            Value::Resource { name, .. } => serializer.serialize_str(name),
            Value::Code { text, .. } => serializer.serialize_str(text),
        }
    }
}

/// Fields in this order.
fn fields<'a, S: Serializer, T: Serialize>(
    serializer: S,
    count: usize,
    fields: impl IntoIterator<Item = (&'a str, T)>,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(count))?;
    for (name, value) in fields {
        map.serialize_entry(name, &value)?;
    }
    map.end()
}

/// Elements that are made while they are written.
struct Items<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Items<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::List;
    use std::sync::Arc;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn quantities_have_sensible_units() {
        let cases = [
            (Value::Ratio(0.97), "97 %"),
            (Value::Ratio(0.9746), "97.5 %"),
            (Value::Ratio(0.0), "0 %"),
            (Value::Ratio(0.0002), "0.02 %"),
            (Value::Ratio(3.5), "350 %"),
            (Value::Duration(0), "0 s"),
            (Value::Duration(12 * 60 * SECOND), "12 min"),
            (Value::Duration(90 * SECOND), "1 min 30 s"),
            (Value::Duration(3600 * SECOND), "1 h"),
            (Value::Duration((3600 + 5) * SECOND), "1 h"),
            (Value::Duration(26 * 3600 * SECOND), "1 d 2 h"),
            (Value::Duration(1_500_000_000), "1.5 s"),
            (Value::Duration(250_000_000), "250 ms"),
            (Value::Duration(1_500), "1.5 us"),
            (Value::Duration(7), "7 ns"),
            (Value::Duration(-90 * SECOND), "-1 min 30 s"),
            (Value::Bytes(0), "0 B"),
            (Value::Bytes(1023), "1023 B"),
            (Value::Bytes(4 * 1024 * 1024 * 1024), "4 Gi"),
            (Value::Bytes(1536 * 1024 * 1024), "1.5 Gi"),
            (Value::Bytes(10_000_000), "10 MB"),
            (Value::Bytes(-2_500_000_000), "-2.5 GB"),
            (Value::Bytes(12_345_678), "11.8 Mi"),
            (Value::Bytes(1_024_000), "1000 Ki"),
            (Value::Bytes(-2048), "-2 Ki"),
            (Value::Rate(300.0), "300 /s"),
            (Value::Rate(0.2), "12 /min"),
            (Value::Rate(0.0), "0 /s"),
            (Value::Int(-4), "-4"),
            (Value::AtLeast(6), "at least 6"),
            (Value::Float(0.1 + 0.2), "0.3"),
            (Value::Bool(true), "yes"),
            (Value::None, "none"),
            (Value::text("a \"b\""), "a \"b\""),
            (Value::Secret(Secret::new(Value::text("hunter2"))), "(secret)"),
            (
                Value::unknown(Reason::Timeout, "postgres did not answer"),
                "unknown (no reply in time)",
            ),
            (
                Value::Time("2026-11-22T03:00:00.75Z".parse().unwrap()),
                "2026-11-22T03:00:00Z",
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(show(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn every_extreme_can_be_shown() {
        for number in [i64::MIN, i64::MAX, i64::MIN + 1, 1, -1] {
            for value in [Value::Duration(number), Value::Bytes(number), Value::Int(number)] {
                assert!(!show(&value).is_empty());
            }
        }
        for number in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, -0.0, 1e-9] {
            for value in [Value::Ratio(number), Value::Rate(number), Value::Float(number)] {
                assert!(show(&value).len() < 40, "{}", show(&value));
            }
        }
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let list = |count: i64, truncated| {
            Value::List(Arc::new(List {
                items: (0..count).map(Value::Int).collect(),
                truncated,
            }))
        };
        assert_eq!(show(&list(3, false)), "[0, 1, 2]");
        assert_eq!(show(&list(9, false)), "[0, 1, 2, 3, 4, 5, and 3 more]");
        assert_eq!(show(&list(9, true)), "[0, 1, 2, 3, 4, 5, and at least 3 more]");
        assert_eq!(show(&list(1, true)), "[0, and more (the list was cut)]");
        let session = Value::record(
            "Session",
            vec![
                ("pid", Value::Int(7)),
                ("text", Value::Secret(Secret::new(Value::text("hunter2")))),
            ],
        );
        assert_eq!(show(&session), "{pid: 7, text: (secret)}");
        let (text, data) = shown(&Value::list(vec![session]));
        assert!(!text.contains("hunter2") && !data.to_string().contains("hunter2"));
    }

    #[test]
    fn nearly_all_is_never_shown_as_all() {
        for (share, shown) in [
            (1.0, "100 %"),
            (0.999_5, "99.95 %"),
            (0.999_999, "99.9999 %"),
            (1.000_4, "100.04 %"),
            (0.999, "99.9 %"),
            (0.999_000_4, "99.9 %"),
            // No more than arithmetic leaves behind.
            (0.1 + 0.2 + 0.7, "100 %"),
            (0.7 + 0.1 + 0.1 + 0.1, "100 %"),
        ] {
            assert_eq!(show(&Value::Ratio(share)), shown, "{share}");
        }
        assert_eq!(
            show_apart(&Value::Ratio(0.999_5), &Value::Ratio(0.999)),
            ("99.95 %".to_owned(), "99.9 %".to_owned())
        );
    }

    #[test]
    fn values_that_differ_look_different() {
        let pair = show_apart(&Value::Ratio(0.9004), &Value::Ratio(0.9));
        assert_eq!(pair, ("90.04 %".to_owned(), "90 %".to_owned()));
        assert_eq!(
            show_apart(&Value::Duration(3605 * SECOND), &Value::Duration(3600 * SECOND)).0,
            "1 h 5 s"
        );
    }
}
