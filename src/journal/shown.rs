//! A value as it is recorded: for people, as data, and as it is known again. Each is written when somebody looks, so that a record
//! that is only kept for a while, as that of a scenario, costs no writing.

use crate::secrets;
use crate::value::{Secret, Value, show, tagged};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A value as people saw it and as data. Secrets are neither.
#[derive(Clone)]
pub struct Shown(Arc<Content>);

struct Content {
    /// What the rest is written from; absent where it was read from a record.
    value: Option<Live>,
    text: OnceLock<String>,
    data: OnceLock<Json>,
    exact: OnceLock<Option<Json>>,
}

struct Live {
    value: Value,
    /// Whether equal secrets can be recognised in the data.
    marked: bool,
    /// Whether a run that goes on has to know the value again.
    kept: bool,
}

impl Live {
    /// What stands in the data for a secret.
    fn secret(&self) -> &'static dyn Fn(&Secret) -> String {
        if self.marked { &tag } else { &show::hidden }
    }
}

/// The form in which it is recorded.
#[derive(Deserialize)]
struct Recorded {
    text: String,
    data: Json,
    #[serde(default)]
    exact: Option<Json>,
}

#[derive(Serialize)]
struct Recording<'a, D> {
    text: &'a str,
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    exact: Option<&'a Json>,
}

impl Shown {
    /// A value for people and as data. Where the store has a key, a secret in the data has a tag by which equal secrets are
    /// recognised.
    pub fn of(value: &Value) -> Self {
        Self::live(value, true, false)
    }

    /// As [`Shown::of`], and as it is known again when the run goes on after a crash. A secret in it is not known again: it comes
    /// back as a secret that nobody knows.
    pub fn kept(value: &Value) -> Self {
        Self::live(value, true, true)
    }

    /// A value as it is decided on. A secret in it has no tag: a run that goes on, and a recording, no longer know the secret, and
    /// must come to the same digest.
    pub fn decided(value: &Value) -> Self {
        Self::live(value, false, false)
    }

    /// What was written before.
    pub fn written(text: String, data: Json, exact: Option<Json>) -> Self {
        Self(Arc::new(Content {
            value: None,
            text: OnceLock::from(text),
            data: OnceLock::from(data),
            exact: OnceLock::from(exact),
        }))
    }

    fn live(value: &Value, marked: bool, kept: bool) -> Self {
        let exact = OnceLock::new();
        if !kept {
            exact.set(None).expect("nothing is in it yet");
        }
        Self(Arc::new(Content {
            value: Some(Live {
                value: value.clone(),
                marked,
                kept,
            }),
            text: OnceLock::new(),
            data: OnceLock::new(),
            exact,
        }))
    }

    /// Cut to a readable length; the data is not.
    pub fn text(&self) -> &str {
        let live = self.0.value.as_ref();
        let write = || live.map(|live| show::shown_text(&live.value)).unwrap_or_default();
        self.0.text.get_or_init(write)
    }

    /// The whole value, without what its types say beyond it.
    pub fn data(&self) -> &Json {
        self.0.data.get_or_init(|| match &self.0.value {
            Some(live) => show::data_with(&live.value, live.secret()),
            None => Json::Null,
        })
    }

    /// The value with its types ([`crate::value::tagged`]), where a run that goes on has to know it again.
    pub fn exact(&self) -> Option<&Json> {
        self.0
            .exact
            .get_or_init(|| match &self.0.value {
                Some(live) if live.kept => Some(tagged::to_json(&live.value)),
                _ => None,
            })
            .as_ref()
    }
}

/// What stands in the data for a secret: where the store has a key, a tag by which equal secrets are recognised. A secret that
/// nobody knows has none.
fn tag(secret: &Secret) -> String {
    if secret.expose().as_unknown().is_some() {
        return secrets::PLACEHOLDER.to_owned();
    }
    let bytes = zeroize::Zeroizing::new(tagged::to_json(secret.expose()).to_string());
    match secrets::tag(bytes.as_bytes()) {
        Some(tag) => format!("(secret {tag})"),
        None => secrets::PLACEHOLDER.to_owned(),
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || {
            (self.text(), self.data(), self.exact()) == (other.text(), other.data(), other.exact())
        }
    }
}

impl Eq for Shown {}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shown")
            .field("text", &self.text())
            .field("data", self.data())
            .field("exact", &self.exact())
            .finish()
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (text, exact) = (self.text(), self.exact());
        match (&self.0.value, self.0.data.get()) {
            (Some(live), None) => {
                let data = show::Data {
                    value: &live.value,
                    secret: live.secret(),
                };
                Recording { text, data, exact }.serialize(serializer)
            }
            _ => {
                let data = self.data();
                Recording { text, data, exact }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Recorded { text, data, exact } = Recorded::deserialize(deserializer)?;
        Ok(Self::written(text, data, exact))
    }
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use crate::value::{Secret, Value};
    use serde_json::json;

    #[test]
    fn a_value_is_recorded_and_read_again_as_it_was() {
        let ratio = Value::ratio(0.25);
        for shown in [Shown::of(&ratio), Shown::kept(&ratio), Shown::decided(&ratio)] {
            let recorded = serde_json::to_value(&shown).unwrap();
            assert_eq!(recorded["text"], "25 %");
            let read: Shown = serde_json::from_value(recorded).unwrap();
            assert_eq!(read, shown);
            assert_eq!((read.text(), read.data()), (shown.text(), shown.data()));
            assert_eq!(read.exact().is_some(), shown.exact().is_some());
        }
        assert_ne!(Shown::of(&ratio), Shown::kept(&ratio));
        assert_eq!(serde_json::to_value(Shown::of(&ratio)).unwrap().get("exact"), None);
    }

    #[test]
    fn it_is_written_alike_whether_somebody_has_looked_before_or_not() {
        let unknown = Value::unknown(crate::value::Reason::Timeout, "no answer");
        let cut = Value::List(std::sync::Arc::new(crate::value::List {
            items: vec![
                Value::Float(f64::NAN),
                Value::Float(2.0),
                Value::Int(-1),
                unknown.clone(),
            ],
            truncated: true,
        }));
        for value in [unknown, cut, Value::AtLeast(3), Value::text("a\u{7}b"), Value::None] {
            let looked_at = Shown::kept(&value);
            assert_eq!(
                looked_at.data(),
                &crate::value::show::data_with(&value, &crate::value::show::hidden)
            );
            let fresh = serde_json::to_string(&Shown::kept(&value)).unwrap();
            assert_eq!(serde_json::to_string(&looked_at).unwrap(), fresh);
        }
    }

    #[test]
    fn a_secret_is_in_none_of_its_forms() {
        let secret = Value::Secret(Secret::new(Value::text("canary")));
        for shown in [Shown::of(&secret), Shown::kept(&secret), Shown::decided(&secret)] {
            let all = format!("{} {shown:?}", json!(shown));
            assert!(!all.contains("canary"), "{all}");
            assert!(all.contains("(secret"), "{all}");
        }
    }
}
