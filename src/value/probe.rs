//! The reply of a probe: what became of an attempt to reach something.

use super::types::{EnumType, RecordType, Type};
use super::{Record, Value};
use std::sync::Arc;
use std::time::Duration;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    Answered,
    Refused,
    TimedOut,
    NoSuchName,
    BadCertificate,
}

impl Reply {
    /// Every reply.
    pub const ALL: [Reply; 5] = [
        Reply::Answered,
        Reply::Refused,
        Reply::TimedOut,
        Reply::NoSuchName,
        Reply::BadCertificate,
    ];

    /// The word of the language.
    pub fn word(self) -> &'static str {
        match self {
            Reply::Answered => "answered",
            Reply::Refused => "refused",
            Reply::TimedOut => "timed_out",
            Reply::NoSuchName => "no_such_name",
            Reply::BadCertificate => "bad_certificate",
        }
    }

    /// The reply of this word.
    pub fn from_word(word: &str) -> Option<Reply> {
        Self::ALL.into_iter().find(|reply| reply.word() == word)
    }
}

/// The type `Probe`: `reply`, `time`, `ok`, and for HTTP `status`.
pub fn ty() -> Type {
    Type::Record(Arc::new(RecordType {
        name: "Probe".into(),
        fields: vec![
            (
                "reply".into(),
                Type::Enum(Arc::new(EnumType {
                    name: "ProbeReply".into(),
                    values: Reply::ALL.iter().map(|reply| reply.word().into()).collect(),
                })),
            ),
            ("time".into(), Type::Duration),
            ("ok".into(), Type::Bool),
            ("status".into(), Type::Optional(Box::new(Type::Int))),
        ],
    }))
}

/// A probe's value. It is `ok` when the target answered and, where there is a status, that is below 400.
pub fn value(reply: Reply, time: Duration, status: Option<u16>) -> Value {
    let ok = reply == Reply::Answered && status.is_none_or(|status| status < 400);
    Value::Record(Arc::new(Record {
        type_name: "Probe".into(),
        fields: vec![
            ("reply".into(), Value::variant(reply.word())),
            ("time".into(), Value::duration(time)),
            ("ok".into(), Value::Bool(ok)),
            (
                "status".into(),
                status.map_or(Value::None, |status| Value::Int(status.into())),
            ),
        ],
    }))
}

#[cfg(test)]
mod tests {
    use super::{Reply, value};
    use crate::value::Value;
    use std::time::Duration;

    #[test]
    fn a_probe_is_good_when_it_was_answered_well() {
        let ok = |reply, status| {
            value(reply, Duration::ZERO, status)
                .as_record()
                .unwrap()
                .get("ok")
                .cloned()
        };
        assert_eq!(ok(Reply::Answered, None), Some(Value::Bool(true)));
        assert_eq!(ok(Reply::Answered, Some(399)), Some(Value::Bool(true)));
        assert_eq!(ok(Reply::Answered, Some(400)), Some(Value::Bool(false)));
        assert_eq!(ok(Reply::Refused, None), Some(Value::Bool(false)));
        assert_eq!(Reply::from_word("timed_out"), Some(Reply::TimedOut));
    }
}
