//! Reading the server's objects: what is absent or null is absent, whatever is of another kind is too, and nothing fails.
//!
//! Objects are read field by field and not as whole types: a server of another version, or a bookmark with empty fields, is
//! refused by a strict decoder, and one odd object would hide a list.

use crate::value::{Reason, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// An object of the server.
pub type Json = serde_json::Value;

/// The text at a JSON pointer.
pub fn text<'a>(object: &'a Json, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// The whole number at a JSON pointer.
pub fn int(object: &Json, pointer: &str) -> Option<i64> {
    object.pointer(pointer)?.as_i64()
}

/// The switch at a JSON pointer; off when absent.
pub fn flag(object: &Json, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Json::as_bool).unwrap_or(false)
}

/// The list at a JSON pointer; empty when absent.
pub fn list<'a>(object: &'a Json, pointer: &str) -> &'a [Json] {
    object
        .pointer(pointer)
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The keys of the object at a JSON pointer, sorted.
pub fn keys(object: &Json, pointer: &str) -> Vec<String> {
    let mut keys: Vec<String> = object
        .pointer(pointer)
        .and_then(Json::as_object)
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    keys.sort();
    keys
}

/// The time at a JSON pointer.
pub fn time(object: &Json, pointer: &str) -> Option<Timestamp> {
    text(object, pointer)?.parse().ok()
}

/// A number of the cluster's way of writing: `500m`, `2`, `1.5Gi`, `1e3`.
pub fn quantity(text: &str) -> Option<f64> {
    const UNITS: &[(&str, f64)] = &[
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let text = text.trim();
    let (digits, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits, *factor)))
        .unwrap_or((text, 1.0));
    let plain = digits
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f64 = digits.parse().ok().filter(|_| plain)?;
    let number = number * factor;
    number.is_finite().then_some(number)
}

/// Memory as the cluster writes it, in the largest unit that says it exactly.
pub fn written_bytes(bytes: u64) -> String {
    for (unit, factor) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes != 0 && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// Processors as the cluster writes them: whole ones, thousandths, or billionths where less would be wrong.
pub fn written_cores(cores: f64) -> Option<String> {
    if !(0.0..=1e6).contains(&cores) {
        return None;
    }
    let thousandths = (cores * 1e3).round();
    if (cores * 1e3 - thousandths).abs() > 1e-7 * thousandths.max(1.0) {
        return Some(format!("{:.0}n", cores * 1e9));
    }
    if thousandths % 1e3 == 0.0 {
        return Some(format!("{:.0}", thousandths / 1e3));
    }
    Some(format!("{thousandths:.0}m"))
}

/// The quantity at a JSON pointer.
pub fn amount(object: &Json, pointer: &str) -> Option<f64> {
    match object.pointer(pointer)? {
        Json::String(text) => quantity(text),
        Json::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// A text, or the word `none`.
pub fn maybe_text(text: Option<&str>) -> Value {
    text.filter(|text| !text.is_empty()).map_or(Value::None, Value::text)
}

/// A whole number, or the word `none`.
pub fn maybe_int(number: Option<i64>) -> Value {
    number.map_or(Value::None, Value::Int)
}

/// A time, or the word `none`.
pub fn maybe_time(time: Option<Timestamp>) -> Value {
    time.map_or(Value::None, Value::Time)
}

/// A number of bytes.
pub fn bytes(number: f64) -> Value {
    if (0.0..9.0e18).contains(&number) {
        // Whole bytes inside the range of an i64.
        Value::bytes(number.round() as u64)
    } else {
        Value::unknown(Reason::Unparsable, "an amount of memory is out of range")
    }
}

/// How long ago, never less than nothing: the clocks of two machines differ.
pub fn age(since: Timestamp, now: Timestamp) -> Value {
    let nanoseconds = now.as_nanosecond() - since.as_nanosecond();
    Value::Duration(i64::try_from(nanoseconds.max(0)).unwrap_or(i64::MAX))
}

/// A time that must be there, and how long ago it is.
pub fn moment(object: &Json, pointer: &str, now: Timestamp) -> (Value, Value) {
    match time(object, pointer) {
        Some(time) => (Value::Time(time), age(time, now)),
        None => {
            let missing = Value::unknown(Reason::Unparsable, "the server gives no time of creation");
            (missing.clone(), missing)
        }
    }
}

/// A text that must be there.
pub fn must(object: &Json, pointer: &str) -> Value {
    text(object, pointer).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("the server's answer lacks `{pointer}`")),
        Value::text,
    )
}

/// Texts as a list.
pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Value {
    Value::list(texts.into_iter().map(|text| Value::text(text.as_ref())).collect())
}

/// A document as a value.
pub fn document(object: Json) -> Value {
    Value::Json(Arc::new(object))
}

/// A selector of an object (`matchLabels` and `matchExpressions`) in the words that a query takes.
pub fn selector(selector: &Json) -> String {
    let mut parts: Vec<String> = selector
        .pointer("/matchLabels")
        .and_then(Json::as_object)
        .map(|labels| {
            labels
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect()
        })
        .unwrap_or_default();
    for expression in list(selector, "/matchExpressions") {
        let key = text(expression, "/key").unwrap_or_default();
        let values: Vec<&str> = list(expression, "/values").iter().filter_map(Json::as_str).collect();
        parts.push(match text(expression, "/operator") {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::{age, quantity, selector, written_bytes, written_cores};
    use crate::value::Value;

    #[test]
    fn quantities_are_read_as_the_cluster_writes_them() {
        for (text, number) in [
            ("500m", 0.5),
            ("2", 2.0),
            ("1.5", 1.5),
            ("128Mi", 134_217_728.0),
            ("1Gi", 1_073_741_824.0),
            ("1G", 1e9),
            ("1e3", 1000.0),
            ("2E", 2e18),
            ("250000000n", 0.25),
            ("0", 0.0),
        ] {
            let read = quantity(text).unwrap();
            assert!((read - number).abs() <= number * 1e-12, "{text}: {read}");
        }
        for bad in ["", "m", "inf", "nan", "1Qi", "0x10", "1e999", "a"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_quantity_that_is_written_is_read_as_the_same() {
        for (bytes, text) in [
            (0, "0"),
            (1536, "1536"),
            (2048, "2Ki"),
            (805_306_368, "768Mi"),
            (4 << 30, "4Gi"),
        ] {
            assert_eq!(written_bytes(bytes), text);
            assert_eq!(quantity(text), Some(bytes as f64));
        }
        for (cores, text) in [
            (0.0, "0"),
            (0.5, "500m"),
            (0.1, "100m"),
            (2.0, "2"),
            (1.25, "1250m"),
            (0.000_25, "250000n"),
        ] {
            assert_eq!(written_cores(cores).as_deref(), Some(text));
            assert!((quantity(text).unwrap() - cores).abs() < 1e-12);
        }
        assert_eq!(written_cores(-1.0), None);
        assert_eq!(written_cores(f64::NAN), None);
    }

    #[test]
    fn a_selector_is_written_as_a_query_takes_it() {
        let object = serde_json::json!({
            "matchLabels": {"app": "web", "tier": "front"},
            "matchExpressions": [
                {"key": "track", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "zone", "operator": "Exists"},
                {"key": "env", "operator": "NotIn", "values": ["test"]},
            ],
        });
        assert_eq!(
            selector(&object),
            "app=web,tier=front,track in (a,b),!old,zone,env notin (test)"
        );
    }

    #[test]
    fn a_clock_that_is_behind_gives_no_negative_age() {
        let now: jiff::Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let later: jiff::Timestamp = "2026-11-22T03:00:05Z".parse().unwrap();
        assert_eq!(age(later, now), Value::Duration(0));
    }
}
