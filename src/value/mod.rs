//! Values and types of the language. Pure: nothing here touches files, network, clock or environment.

pub mod conceal;
pub mod conform;
pub mod decode;
pub mod document;
pub mod identity;
pub mod parse;
pub mod probe;
pub mod show;
pub mod tagged;
pub mod types;
pub mod unit;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize as _;

pub use types::{CodeLanguage, EnumType, RecordType, Type};

/// A value at run time. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The answer could not be had. It is never `no`, never an empty list, never zero.
    Unknown(Arc<Unknown>),
    /// An optional value that is definitely absent; the word `none`.
    None,
    Bool(bool),
    Int(i64),
    /// The count of a list that was cut: this many or more. `count > 5` is yes when six were seen, and unknown otherwise.
    AtLeast(i64),
    /// Always finite; a result that is not a number is `Unknown`.
    Float(f64),
    Text(Arc<str>),
    Time(jiff::Timestamp),
    /// Nanoseconds.
    Duration(i64),
    /// 1.0 is 100 %.
    Ratio(f64),
    /// Bytes; may be negative as a difference.
    Bytes(i64),
    /// Per second.
    Rate(f64),
    Json(Arc<serde_json::Value>),
    Secret(Secret),
    Series(Arc<Series>),
    List(Arc<List>),
    Record(Arc<Record>),
    /// A value of an enum, by its name.
    Enum(Arc<str>),
    /// The canonical name of a resource, for example `orders`.
    Resource {
        kind: Arc<str>,
        name: Arc<str>,
    },
    /// A code literal: exactly the text between the backticks.
    Code {
        language: Option<CodeLanguage>,
        text: Arc<str>,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    pub reason: Reason,
    /// For people; made safe to show by whoever shows it. Never holds a secret.
    pub detail: String,
}

/// The kinds of not knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No reply within the deadline.
    Timeout,
    /// The target refused: not allowed to ask.
    Denied,
    /// Too many requests.
    Throttled,
    /// The reply was cut: too large or too many.
    Truncated,
    /// The reply could not be read as what it should be.
    Unparsable,
    /// The target could not be reached.
    Unreachable,
    /// This environment or machine has no such source (no provider, no grant, no file).
    Unavailable,
    /// A person did not answer or said that they do not know.
    NotAnswered,
    /// A series has not held, nor failed, for long enough.
    Unsettled,
    /// A field or element that is needed is not there.
    Missing,
    /// Division by zero, or arithmetic that leaves its range.
    Arithmetic,
    /// Depends on a change that has not been made (plan and dry run).
    NotApplied,
    /// Our own mistake; the text says so.
    Internal,
}

impl Reason {
    /// The words shown to people.
    pub fn words(self) -> &'static str {
        match self {
            Reason::Timeout => "no reply in time",
            Reason::Denied => "not allowed to ask",
            Reason::Throttled => "too many requests",
            Reason::Truncated => "the reply was cut",
            Reason::Unparsable => "the reply could not be read",
            Reason::Unreachable => "not reachable",
            Reason::Unavailable => "not available here",
            Reason::NotAnswered => "nobody answered",
            Reason::Unsettled => "not settled yet",
            Reason::Missing => "missing",
            Reason::Arithmetic => "cannot be computed",
            Reason::NotApplied => "unknown until applied",
            Reason::Internal => "a mistake in starr",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            f.write_str(self.reason.words())
        } else {
            write!(f, "{}: {}", self.reason.words(), self.detail)
        }
    }
}

/// A secret value. Its `Debug` shows nothing; there is no `Display`, no `Serialize`. The last owner overwrites it.
#[derive(Clone, PartialEq)]
pub struct Secret(Arc<Held>);

#[derive(PartialEq)]
struct Held(Value);

impl Drop for Held {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the texts of a value, as far as nobody else holds them.
fn wipe(value: &mut Value) {
    match value {
        Value::Text(text) => {
            if let Some(text) = Arc::get_mut(text) {
                text.zeroize();
            }
        }
        Value::Json(json) => {
            if let Some(json) = Arc::get_mut(json) {
                wipe_json(json);
            }
        }
        Value::List(list) => {
            if let Some(list) = Arc::get_mut(list) {
                list.items.iter_mut().for_each(wipe);
            }
        }
        Value::Record(record) => {
            if let Some(record) = Arc::get_mut(record) {
                record.fields.iter_mut().for_each(|(_, value)| wipe(value));
            }
        }
        _ => *value = Value::None,
    }
}

fn wipe_json(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::String(text) => text.zeroize(),
        serde_json::Value::Array(items) => items.iter_mut().for_each(wipe_json),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(wipe_json),
        _ => *json = serde_json::Value::Null,
    }
}

impl Secret {
    /// Wraps a value; from here on only listed sinks can use it.
    pub fn new(value: Value) -> Self {
        Self(Arc::new(Held(value)))
    }

    /// The value itself. Only a provider's own sinks (credential, header, bound parameter) may call this, and `eval` for a
    /// comparison, whose result is a plain yes or no.
    pub fn expose(&self) -> &Value {
        &self.0.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A list, and whether it is all there is.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct List {
    pub items: Vec<Value>,
    /// True when the source was cut: `count` is then a lower bound, `all` and `is empty` are unknown.
    pub truncated: bool,
}

/// Samples over time, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Time and value; values are of one type (Ratio, Rate, Bytes, Duration, Int or Float) or Unknown for a gap.
    pub samples: Vec<(jiff::Timestamp, Value)>,
    /// Until when the source vouches for the last sample.
    pub until: jiff::Timestamp,
    /// The longest distance between two samples that is not a gap, in nanoseconds.
    pub step: i64,
}

/// A record. Fields in the order of their declaration.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The record type's name, or empty for a record that was written in place.
    pub type_name: Arc<str>,
    pub fields: Vec<(Arc<str>, Value)>,
}

impl Record {
    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(field, _)| &**field == name)
            .map(|(_, value)| value)
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Value::Text(text.into())
    }

    /// Not known, with the reason and a detail for people.
    pub fn unknown(reason: Reason, detail: impl Into<String>) -> Self {
        Value::Unknown(Arc::new(Unknown {
            reason,
            detail: detail.into(),
        }))
    }

    /// The value that came, or why none did.
    pub fn or_unknown(came: Result<Value, Unknown>) -> Self {
        came.unwrap_or_else(|unknown| Value::Unknown(Arc::new(unknown)))
    }

    /// A whole list.
    pub fn list(items: Vec<Value>) -> Self {
        Value::List(Arc::new(List {
            items,
            truncated: false,
        }))
    }

    /// A record of a named type.
    pub fn record(type_name: &str, fields: Vec<(&str, Value)>) -> Self {
        Value::Record(Arc::new(Record {
            type_name: type_name.into(),
            fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }))
    }

    /// A value of an enum.
    pub fn variant(name: &str) -> Self {
        Value::Enum(name.into())
    }

    /// A floating-point number; one that is not finite is unknown.
    pub fn float(number: f64) -> Self {
        if number.is_finite() {
            Value::Float(number)
        } else {
            Value::unknown(Reason::Arithmetic, "the result is not a number")
        }
    }

    /// A ratio, 1.0 being 100 %; one that is not finite is unknown.
    pub fn ratio(number: f64) -> Self {
        if number.is_finite() {
            Value::Ratio(number)
        } else {
            Value::unknown(Reason::Arithmetic, "the result is not a number")
        }
    }

    /// A rate per second; one that is not finite is unknown.
    pub fn rate(number: f64) -> Self {
        if number.is_finite() {
            Value::Rate(number)
        } else {
            Value::unknown(Reason::Arithmetic, "the result is not a number")
        }
    }

    /// A span of time; longer than 292 years is unknown.
    pub fn duration(duration: std::time::Duration) -> Self {
        i64::try_from(duration.as_nanos()).map_or_else(
            |_| Value::unknown(Reason::Arithmetic, "the time is too long"),
            Value::Duration,
        )
    }

    /// A number of bytes; more than 8 EiB is unknown.
    pub fn bytes(bytes: u64) -> Self {
        i64::try_from(bytes).map_or_else(
            |_| Value::unknown(Reason::Arithmetic, "the size is too large"),
            Value::Bytes,
        )
    }

    /// The reason, if this is unknown.
    pub fn as_unknown(&self) -> Option<&Unknown> {
        match self {
            Value::Unknown(unknown) => Some(unknown),
            _ => None,
        }
    }

    /// The text of a text, code, enum value or resource.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Enum(text) => Some(text),
            Value::Resource { name, .. } => Some(name),
            Value::Code { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&List> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The record, if this is one.
    pub fn as_record(&self) -> Option<&Record> {
        match self {
            Value::Record(record) => Some(record),
            _ => None,
        }
    }
}

/// An answer to a question. Kleene's three values: unknown is neither yes nor no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    /// The answer as a word.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::Unknown => "unknown",
        }
    }
}

impl std::ops::Not for Answer {
    type Output = Answer;

    fn not(self) -> Answer {
        match self {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Unknown => Answer::Unknown,
        }
    }
}
