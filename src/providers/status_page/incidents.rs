//! Incidents of a page: one for a key, known again by what stands in its metadata.

use super::{PAGE, StatusPage, is_id, odd, word};
use crate::limits::{STATUS_PAGE_BODY_CHARACTERS, STATUS_PAGE_NAME_CHARACTERS};
use crate::provider::{Call, Outcome};
use crate::providers::arguments::{Arguments, patience};
use crate::providers::failure::{crop, wrong};
use crate::value::{Reason, Unknown, Value};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

/// What an incident can be, as the service says it.
const STATES: &[&str] = &["investigating", "identified", "monitoring", "resolved"];

/// Longest key of an incident, in bytes.
const KEY_BYTES: usize = 255;

/// What we write of ourselves into an incident, so that it is known again.
const OURS: &str = "starr";

/// An incident as a record.
pub fn value(page: &Value, json: &Json) -> Value {
    Value::record(
        "Incident",
        vec![
            ("page", page.clone()),
            ("id", word(json, "id")),
            ("name", word(json, "name")),
            (
                "state",
                match json.get("status").and_then(Json::as_str) {
                    Some(known) if STATES.contains(&known) => Value::variant(known),
                    // After a person has written what was learnt.
                    Some("postmortem") => Value::variant("resolved"),
                    _ => Value::unknown(Reason::Unparsable, "the server gives no state that is known"),
                },
            ),
            ("key", mark(json, "key").map_or(Value::None, Value::text)),
            (
                "created",
                json.get("created_at")
                    .and_then(Json::as_str)
                    .and_then(|text| text.parse::<Timestamp>().ok())
                    .map_or_else(
                        || Value::unknown(Reason::Unparsable, "`created_at` is no time"),
                        Value::Time,
                    ),
            ),
            (
                "url",
                json.get("shortlink")
                    .and_then(Json::as_str)
                    .map_or(Value::None, Value::text),
            ),
        ],
    )
}

/// What we wrote of ourselves into it.
fn mark<'a>(incident: &'a Json, name: &str) -> Option<&'a str> {
    incident.get("metadata")?.get(OURS)?.get(name)?.as_str()
}

fn is_over(incident: &Json) -> bool {
    matches!(
        incident.get("status").and_then(Json::as_str),
        Some("resolved" | "postmortem")
    )
}

/// What is told: text on one line or several, without other control characters.
fn told(text: &str, most: usize, lines: bool) -> String {
    let plain: String = text
        .trim()
        .chars()
        .filter(|letter| *letter != '\r')
        .map(|letter| match letter {
            '\n' if lines => letter,
            _ if letter.is_control() => ' ',
            _ => letter,
        })
        .collect();
    crop(plain.trim(), most - 1)
}

/// What a call is about, before anything is asked.
struct Told<'a> {
    on: &'a str,
    key: String,
    body: String,
}

fn recorded(call: &Call) -> Result<&str, Unknown> {
    call.key
        .as_deref()
        .ok_or_else(|| wrong(Reason::Internal, "no key was recorded for this call"))
}

fn given(call: &Call) -> Result<Told<'_>, Unknown> {
    let arguments = Arguments(call);
    let key = match arguments.text("key")? {
        "" => recorded(call)?,
        given => given,
    };
    if key.len() > KEY_BYTES {
        return Err(wrong(
            Reason::Unparsable,
            format!("a key has at most {KEY_BYTES} bytes"),
        ));
    }
    let body = told(arguments.text("body")?, STATUS_PAGE_BODY_CHARACTERS, true);
    if body.is_empty() {
        return Err(wrong(Reason::Unparsable, "`body` is empty"));
    }
    Ok(Told {
        on: arguments.text("page")?,
        key: key.to_owned(),
        body,
    })
}

/// What is said about an incident that is there: its key is not drawn.
fn about(call: &Call) -> Result<Told<'_>, Unknown> {
    if Arguments(call).text("key")?.is_empty() {
        return Err(wrong(Reason::Unparsable, "`key` is empty"));
    }
    given(call)
}

impl StatusPage {
    /// The newest incident of this key, over or not.
    async fn of_key(&self, on: &str, key: &str, until: Instant) -> Result<Option<Json>, Unknown> {
        let newest = self
            .list(on, "/incidents", &[("limit", PAGE.to_string())], until)
            .await?;
        let full = newest.len() >= PAGE;
        let of_key = |incident: &Json| mark(incident, "key") == Some(key);
        if let Some(found) = newest.into_iter().find(of_key) {
            return Ok(Some(found));
        }
        if !full {
            return Ok(None);
        }
        // One that has been open for long may stand behind many that are over.
        let open = self.list(on, "/incidents/unresolved", &[], until).await?;
        if open.len() >= PAGE && !open.iter().any(of_key) {
            return Err(wrong(
                Reason::Truncated,
                "the page has more incidents than are listed: whether one of this key is open cannot be told",
            ));
        }
        Ok(open.into_iter().find(of_key))
    }

    /// The incident of the key, which must be there.
    async fn there(&self, told: &Told<'_>, until: Instant) -> Result<(Json, String), Outcome> {
        let found = self.of_key(told.on, &told.key, until).await.map_err(Outcome::Failed)?;
        let incident = found.ok_or_else(|| {
            Outcome::Failed(wrong(
                Reason::Missing,
                format!("none of the {PAGE} newest incidents of the page was opened with this key"),
            ))
        })?;
        let id = incident.get("id").and_then(Json::as_str).filter(|id| is_id(id));
        let id = id.ok_or_else(|| Outcome::Failed(odd()))?.to_owned();
        Ok((incident, id))
    }

    fn tells(&self, on: &str) -> bool {
        self.notify.get(on).copied().unwrap_or(true)
    }

    /// `incident.open`
    pub(super) async fn open(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        let prepared = || {
            let name = told(arguments.text("name")?, STATUS_PAGE_NAME_CHARACTERS, false);
            if name.is_empty() {
                return Err(wrong(Reason::Unparsable, "`name` is empty"));
            }
            Ok((
                given(call)?,
                recorded(call)?,
                name,
                arguments.text("state")?,
                arguments.maybe_text("impact")?,
            ))
        };
        let (told, own, name, state, impact) = prepared().map_err(Outcome::Failed)?;
        // Sent before, or opened for the same key before: it is there.
        if let Some(there) = self.of_key(told.on, &told.key, until).await.map_err(Outcome::Failed)?
            && (!is_over(&there) || mark(&there, "last") == Some(own))
        {
            return Ok(value(call.arg("page"), &there));
        }
        let mut incident = json!({
            "name": name,
            "status": state,
            "body": told.body,
            "metadata": { OURS: { "key": told.key, "last": own } },
            "deliver_notifications": self.tells(told.on),
        });
        if let Some(impact) = impact {
            incident["impact_override"] = Json::from(impact);
        }
        let body = json!({ "incident": incident });
        let made = self.send(told.on, Method::POST, "/incidents", &body, until).await?;
        if made.get("id").and_then(Json::as_str).is_none() {
            return Err(Outcome::Unclear(odd()));
        }
        Ok(value(call.arg("page"), &made))
    }

    /// `incident.update`
    pub(super) async fn update(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let prepared = || Ok((about(call)?, recorded(call)?, Arguments(call).maybe_text("state")?));
        let (told, own, state) = prepared().map_err(Outcome::Failed)?;
        let (there, id) = self.there(&told, until).await?;
        // Sent before with the same key: it stands there.
        if mark(&there, "last") == Some(own) {
            return Ok(value(call.arg("page"), &there));
        }
        if is_over(&there) {
            return Err(Outcome::Failed(wrong(
                Reason::Unavailable,
                "the incident is resolved: customers would be told that it is not",
            )));
        }
        let state = state.or_else(|| there.get("status").and_then(Json::as_str));
        let body = json!({ "incident": {
            "status": state.ok_or_else(|| Outcome::Failed(odd()))?,
            "body": told.body,
            "metadata": { OURS: { "key": told.key, "last": own } },
            "deliver_notifications": self.tells(told.on),
        } });
        let path = format!("/incidents/{id}");
        let made = self.send(told.on, Method::PATCH, &path, &body, until).await?;
        Ok(value(call.arg("page"), &made))
    }

    /// `incident.resolve`: nothing is sent where it is over already.
    pub(super) async fn resolve(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let told = about(call).map_err(Outcome::Failed)?;
        let (there, id) = self.there(&told, until).await?;
        if is_over(&there) {
            return Ok(value(call.arg("page"), &there));
        }
        let body = json!({ "incident": {
            "status": "resolved",
            "body": told.body,
            "deliver_notifications": self.tells(told.on),
        } });
        let path = format!("/incidents/{id}");
        let made = self.send(told.on, Method::PATCH, &path, &body, until).await?;
        if !is_over(&made) {
            return Err(Outcome::Unclear(odd()));
        }
        Ok(value(call.arg("page"), &made))
    }
}

#[cfg(test)]
mod tests {
    use super::{told, value};
    use crate::value::{Reason, Value};
    use serde_json::json;

    #[test]
    fn what_is_told_is_text_of_a_bounded_length() {
        assert_eq!(told(" a\r\nb\u{1b} ", 10, true), "a\nb");
        assert_eq!(told("a\nb", 10, false), "a b");
        assert_eq!(told(&"ä".repeat(30), 10, true).chars().count(), 10);
    }

    #[test]
    fn incidents_of_others_have_no_key() {
        let field = |value: &Value, name: &str| value.as_record().unwrap().get(name).unwrap().clone();
        let made = value(
            &Value::text("shop"),
            &json!({"id": "p1", "name": "Down", "status": "postmortem", "metadata": {"jira": {"key": "X"}}, "created_at": "soon"}),
        );
        assert_eq!(field(&made, "key"), Value::None);
        assert_eq!(field(&made, "state"), Value::variant("resolved"));
        assert_eq!(field(&made, "created").as_unknown().unwrap().reason, Reason::Unparsable);
        let odd = value(&Value::text("shop"), &json!({"status": "scheduled"}));
        assert_eq!(field(&odd, "state").as_unknown().unwrap().reason, Reason::Unparsable);
        assert_eq!(field(&odd, "id").as_unknown().unwrap().reason, Reason::Unparsable);
    }
}
