//! The arguments of a call, each taken as what it must be. An argument that is unknown makes the answer unknown: nothing is sent.

use crate::provider::Call;
use crate::value::{List, Reason, Record, Unknown, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The arguments of one call.
#[derive(Clone, Copy)]
pub struct Arguments<'a>(pub &'a Call);

impl<'a> Arguments<'a> {
    /// The value as it is.
    pub fn value(self, name: &str) -> &'a Value {
        self.0.arg(name)
    }

    /// The value, unless it is unknown.
    fn known(self, name: &str) -> Result<&'a Value, Unknown> {
        match self.value(name) {
            Value::Unknown(unknown) => Err((**unknown).clone()),
            value => Ok(value),
        }
    }

    /// A text, an enum value, or the name of a resource, if one is given.
    pub fn maybe_text(self, name: &str) -> Result<Option<&'a str>, Unknown> {
        match self.known(name)? {
            Value::None => Ok(None),
            Value::Code { .. } => Err(not_fitting(name)),
            value => match value.as_str() {
                Some(text) if text.contains('\0') => Err(Unknown {
                    reason: Reason::Unparsable,
                    detail: format!("`{name}` holds a zero byte"),
                }),
                Some(text) => Ok(Some(text)),
                None => Err(not_fitting(name)),
            },
        }
    }

    /// A text, an enum value, or the name of a resource.
    pub fn text(self, name: &str) -> Result<&'a str, Unknown> {
        self.maybe_text(name)?.ok_or_else(|| not_fitting(name))
    }

    /// A span of time that is not negative, if one is given.
    pub fn maybe_duration(self, name: &str) -> Result<Option<Duration>, Unknown> {
        match self.known(name)? {
            Value::None => Ok(None),
            Value::Duration(nanoseconds) => u64::try_from(*nanoseconds)
                .map(|nanoseconds| Some(Duration::from_nanos(nanoseconds)))
                .map_err(|_| not_fitting(name)),
            _ => Err(not_fitting(name)),
        }
    }

    /// A span of time that is not negative.
    pub fn duration(self, name: &str) -> Result<Duration, Unknown> {
        self.maybe_duration(name)?.ok_or_else(|| not_fitting(name))
    }

    /// A number of things, at least 1 and at most `most`.
    pub fn limit(self, name: &str, most: usize) -> Result<usize, Unknown> {
        match self.known(name)? {
            Value::Int(number) => usize::try_from(*number)
                .ok()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| Unknown {
                    reason: Reason::Unparsable,
                    detail: format!("`{name}` is not between 1 and {most}"),
                }),
            _ => Err(not_fitting(name)),
        }
    }

    /// A record.
    pub fn record(self, name: &str) -> Result<&'a Record, Unknown> {
        self.known(name)?.as_record().ok_or_else(|| not_fitting(name))
    }

    /// A switch; off when it is anything else.
    pub fn flag(self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    /// The resources that a list of records came from, as their field `field` names them; one without a name when there is no list.
    pub fn sources(self, name: &str, field: &str) -> Vec<String> {
        let Some(list) = self.value(name).as_list() else {
            return vec![String::new()];
        };
        let source = |item: &Value| {
            let source = item.as_record().and_then(|record| record.get(field));
            source.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let names: BTreeSet<String> = list.items.iter().map(source).collect();
        names.into_iter().collect()
    }
}

/// Most bytes of the words of a program, which go into the address of a request.
#[cfg(any(feature = "docker", feature = "kubernetes"))]
const WORDS: usize = 16 * 1024;

#[cfg(any(feature = "docker", feature = "kubernetes"))]
impl Arguments<'_> {
    /// The words `argv` of a program that is run in `place`, which the environment must allow there.
    pub fn words(self, allowed: &[String], place: &str) -> Result<Vec<String>, Unknown> {
        let list = self.known("argv")?.as_list().filter(|list| !list.truncated);
        let words = list.and_then(|list| {
            let word = |word: &Value| word.as_str().filter(|word| !word.contains('\0')).map(str::to_owned);
            list.items.iter().map(word).collect::<Option<Vec<_>>>()
        });
        let words = words
            .filter(|words| !words.is_empty())
            .ok_or_else(|| not_fitting("argv"))?;
        if words.iter().map(String::len).sum::<usize>() > WORDS {
            return Err(Unknown {
                reason: Reason::Unparsable,
                detail: "the words of the program are longer than 16 KiB".to_owned(),
            });
        }
        if allowed.contains(&words[0]) {
            return Ok(words);
        }
        let program: String = words[0].chars().take(100).collect();
        Err(Unknown {
            reason: Reason::Denied,
            detail: format!("`{program}` is not among the `programs` that this environment lets be run in {place}"),
        })
    }
}

/// The argument is not what the interface says.
pub fn not_fitting(name: &str) -> Unknown {
    Unknown {
        reason: Reason::Unparsable,
        detail: format!("`{name}` is missing or of another kind"),
    }
}

/// At most so many, and whether there were more.
pub fn limited(mut items: Vec<Value>, most: usize) -> Value {
    let truncated = items.len() > most;
    items.truncate(most);
    Value::List(Arc::new(List { items, truncated }))
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
pub fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// What stands in a record that is an argument.
pub fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, Unknown> {
    let known = |value: &'a Value| match value {
        Value::Unknown(unknown) => Err((**unknown).clone()),
        value => Ok(value),
    };
    let record = known(value)?.as_record().ok_or_else(|| not_fitting(name))?;
    known(record.get(name).ok_or_else(|| not_fitting(name))?)
}
