//! Silences: made once for a key, known again by who made them and by what stands in their comment.

use super::{Alertmanager, Json, odd, patience, refused, text_of, time, word, wrong};
use crate::provider::{Call, Outcome};
use crate::providers::arguments::{Arguments, not_fitting};
use crate::value::{Reason, Unknown, Value};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use std::time::Duration;
use tokio::time::Instant;

/// Who made a silence, as the server shows it.
const MAKER: &str = "starr";

/// Longest comment, in bytes.
const COMMENT_BYTES: usize = 1024;

/// One condition on a label: equal, or a regular expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matcher {
    label: String,
    value: String,
    regex: bool,
    equal: bool,
}

impl Matcher {
    /// `service="shop"`, as the server's filters are written.
    pub fn text(&self) -> String {
        let sign = match (self.equal, self.regex) {
            (true, false) => "=",
            (true, true) => "=~",
            (false, false) => "!=",
            (false, true) => "!~",
        };
        let value = self
            .value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{}{sign}\"{value}\"", self.label)
    }

    fn json(&self) -> Json {
        serde_json::json!({ "name": self.label, "value": self.value, "isRegex": self.regex, "isEqual": self.equal })
    }

    fn read(json: &Json) -> Option<Self> {
        Some(Self {
            label: json.get("name")?.as_str()?.to_owned(),
            value: json.get("value")?.as_str()?.to_owned(),
            regex: json.get("isRegex")?.as_bool()?,
            // Older servers know no other way.
            equal: json.get("isEqual").and_then(Json::as_bool).unwrap_or(true),
        })
    }
}

fn is_label(name: &str) -> bool {
    let mut letters = name.chars();
    name.len() <= 200
        && letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// The conditions of a record: every label has exactly the value.
///
/// # Errors
/// No condition at all where one is needed: it would hit every alert there is.
pub fn given(matching: &Value, may_be_empty: bool) -> Result<Vec<Matcher>, Unknown> {
    let wrong = |detail: &str| wrong(Reason::Unparsable, detail);
    let fields = match matching {
        Value::None => serde_json::Map::new(),
        given => match crate::value::document::of(given)? {
            Json::Object(fields) => fields,
            _ => return Err(wrong("`matching` is a record of labels and texts")),
        },
    };
    if fields.is_empty() && !may_be_empty {
        return Err(wrong("`matching` is empty: that would be every alert"));
    }
    let mut matchers = fields
        .iter()
        .map(|(label, value)| match value {
            Json::String(value) if is_label(label) && !value.is_empty() && value.len() <= COMMENT_BYTES => {
                Ok(Matcher {
                    label: label.clone(),
                    value: value.clone(),
                    regex: false,
                    equal: true,
                })
            }
            Json::String(value) if value.is_empty() => Err(wrong(
                "an empty text in `matching` matches every alert without the label",
            )),
            _ => Err(wrong("`matching` is a record of labels and texts")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    matchers.sort();
    Ok(matchers)
}

fn matchers(silence: &Json) -> Option<Vec<Matcher>> {
    let mut matchers = silence
        .get("matchers")?
        .as_array()?
        .iter()
        .map(Matcher::read)
        .collect::<Option<Vec<_>>>()?;
    matchers.sort();
    Some(matchers)
}

/// `active`, `pending` or `expired`.
pub fn state(silence: &Json) -> Option<&str> {
    silence.get("status")?.get("state")?.as_str()
}

/// A silence as a record.
pub fn value(on: &Value, silence: &Json) -> Value {
    Value::record(
        "Silence",
        vec![
            ("on", on.clone()),
            ("id", word(silence, "id")),
            (
                "state",
                match state(silence) {
                    Some(known @ ("active" | "pending" | "expired")) => Value::variant(known),
                    _ => Value::unknown(Reason::Unparsable, "the server gives no state that is known"),
                },
            ),
            (
                "matching",
                match matchers(silence) {
                    Some(matchers) => Value::list(matchers.iter().map(|matcher| Value::text(matcher.text())).collect()),
                    None => Value::unknown(Reason::Unparsable, "the matchers cannot be read"),
                },
            ),
            ("starts", time(silence, "startsAt")),
            ("ends", time(silence, "endsAt")),
            ("by", word(silence, "createdBy")),
            ("comment", word(silence, "comment")),
        ],
    )
}

/// The comment with the key in it, by which the silence is known again.
fn marked(comment: &str, key: &str) -> String {
    format!("{comment} [starr {key}]")
}

fn is_ours(silence: &Json, comment: &str) -> bool {
    text_of(silence, "createdBy") == MAKER
        && text_of(silence, "comment")
            .strip_prefix(comment)
            .is_some_and(|rest| rest.starts_with(" [starr ") && rest.ends_with(']'))
}

fn comment(call: &Call) -> Result<&str, Unknown> {
    let comment = Arguments(call).text("comment")?;
    if comment.trim().is_empty() || comment.len() > COMMENT_BYTES || comment.chars().any(char::is_control) {
        return Err(wrong(
            Reason::Unparsable,
            "`comment` is empty, longer than 1 KiB or holds control characters",
        ));
    }
    Ok(comment)
}

impl Alertmanager {
    fn lasting(&self, call: &Call) -> Result<Duration, Unknown> {
        let Value::Duration(nanoseconds) = call.arg("lasting") else {
            return Err(not_fitting("lasting"));
        };
        let lasting = Duration::from_nanos(u64::try_from(*nanoseconds).unwrap_or(0));
        if lasting < Duration::from_secs(60) {
            return Err(wrong(Reason::Unparsable, "`lasting` is less than a minute"));
        }
        if lasting > self.longest {
            return Err(wrong(
                Reason::Denied,
                format!(
                    "a silence lasts at most {} h here; see `longest_silence_hours` in the configuration",
                    self.longest.as_secs() / 3600
                ),
            ));
        }
        Ok(lasting)
    }

    /// Silences that are not over.
    async fn standing(&self, on: &str, until: Instant) -> Result<Vec<Json>, Unknown> {
        match self.ask(on, "/api/v2/silences", &[], until).await? {
            Json::Array(silences) => Ok(silences
                .into_iter()
                .filter(|silence| state(silence) != Some("expired"))
                .collect()),
            _ => Err(odd()),
        }
    }

    /// `silences.create`
    pub(super) async fn create(&self, call: &Call) -> Outcome {
        let until = Instant::now() + patience(call);
        let prepared = (|| {
            let key = call
                .key
                .as_deref()
                .ok_or_else(|| wrong(Reason::Internal, "no key was recorded for this call"))?;
            Ok::<_, Unknown>((
                Arguments(call).text("on")?,
                given(call.arg("matching"), false)?,
                self.lasting(call)?,
                marked(comment(call)?, key),
            ))
        })();
        let (on, matchers, lasting, comment) = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return Outcome::Failed(problem),
        };
        // Sent before with the same key: it is there.
        match self.standing(on, until).await {
            Ok(standing) => {
                let same = standing
                    .iter()
                    .find(|silence| text_of(silence, "comment") == comment && text_of(silence, "createdBy") == MAKER);
                if let Some(silence) = same {
                    return Outcome::Done(value(call.arg("on"), silence));
                }
            }
            Err(problem) => return Outcome::Failed(problem),
        }
        let now = Timestamp::now();
        let ends = SignedDuration::try_from(lasting)
            .ok()
            .and_then(|lasting| now.checked_add(lasting).ok());
        let Some(ends) = ends else {
            return Outcome::Failed(wrong(Reason::Unparsable, "`lasting` is too long"));
        };
        let body = serde_json::json!({
            "matchers": matchers.iter().map(Matcher::json).collect::<Vec<_>>(),
            "startsAt": now.to_string(),
            "endsAt": ends.to_string(),
            "createdBy": MAKER,
            "comment": comment,
        });
        let sent = self
            .service
            .send(on, Method::POST, "/api/v2/silences", &[], Some(&body), until)
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(failed) => return failed.outcome(),
        };
        if answer.status != 200 {
            return refused(answer.status, &answer);
        }
        let id = answer
            .json()
            .ok()
            .and_then(|json| json.get("silenceID").and_then(Json::as_str).map(str::to_owned));
        let Some(id) = id else {
            return Outcome::Unclear(odd());
        };
        let made = serde_json::json!({
            "id": id,
            "status": { "state": "active" },
            "matchers": body["matchers"],
            "startsAt": body["startsAt"],
            "endsAt": body["endsAt"],
            "createdBy": MAKER,
            "comment": comment,
        });
        Outcome::Done(value(call.arg("on"), &made))
    }

    /// `silences.end`: those that were made here with exactly these conditions and this comment.
    pub(super) async fn end(&self, call: &Call) -> Outcome {
        let until = Instant::now() + patience(call);
        let prepared = (|| {
            Ok::<_, Unknown>((
                Arguments(call).text("on")?,
                given(call.arg("matching"), false)?,
                comment(call)?,
            ))
        })();
        let (on, wanted, comment) = match prepared {
            Ok(prepared) => prepared,
            Err(problem) => return Outcome::Failed(problem),
        };
        let standing = match self.standing(on, until).await {
            Ok(standing) => standing,
            Err(problem) => return Outcome::Failed(problem),
        };
        let ours = standing
            .iter()
            .filter(|silence| is_ours(silence, comment) && matchers(silence).as_ref() == Some(&wanted));
        let mut ended = 0;
        for silence in ours {
            let id = text_of(silence, "id");
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Outcome::Failed(odd());
            }
            let path = format!("/api/v2/silence/{id}");
            let outcome = match self.service.send(on, Method::DELETE, &path, &[], None, until).await {
                Ok(answer) if answer.status == 200 => {
                    ended += 1;
                    continue;
                }
                Ok(answer) => refused(answer.status, &answer),
                Err(failed) => failed.outcome(),
            };
            // Earlier ones are ended: the call as a whole is not undone by this failure.
            return match outcome {
                Outcome::Failed(problem) if ended > 0 => Outcome::Unclear(problem),
                other => other,
            };
        }
        Outcome::Done(Value::Int(ended))
    }
}

#[cfg(test)]
mod tests {
    use super::{Matcher, given, is_ours};
    use crate::value::Value;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn what_would_silence_everything_is_refused() {
        let matching = |value: serde_json::Value| given(&Value::Json(Arc::new(value)), false);
        assert!(matching(json!({})).is_err());
        assert!(matching(json!({"service": ""})).is_err());
        assert!(matching(json!({"a b": "x"})).is_err());
        assert!(matching(json!({"service": [".*"]})).is_err());
        assert!(given(&Value::None, false).is_err());
        // A pattern is a text like any other.
        let odd = matching(json!({"service": ".*\"}"})).unwrap();
        assert_eq!(odd[0].text(), "service=\".*\\\"}\"");
    }

    #[test]
    fn only_silences_made_here_are_ours() {
        let silence = |by: &str, comment: &str| json!({"createdBy": by, "comment": comment});
        assert!(is_ours(&silence("starr", "deploy [starr k1]"), "deploy"));
        assert!(!is_ours(&silence("maria", "deploy [starr k1]"), "deploy"));
        assert!(!is_ours(&silence("starr", "deploy of shop [starr k1]"), "deploy"));
        assert!(!is_ours(&silence("starr", "deploy"), "deploy"));
        assert_eq!(Matcher::read(&json!({"name": "a"})), None);
    }
}
