//! Issues: made once for a key, known again by a comment in their body.

use super::{GitHub, Listed, odd, problem, text};
use crate::limits::{GITHUB_COMMENTS, GITHUB_ISSUES, GITHUB_LABELS, GITHUB_SEARCHED};
use crate::provider::{Call, Outcome};
use crate::providers::arguments::{Arguments, not_fitting, patience};
use crate::providers::failure::wrong;
use crate::providers::http::service::Answer;
use crate::value::{List, Reason, Unknown, Value};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tokio::time::Instant;

fn word(json: &Json, name: &str) -> Value {
    json.get(name).and_then(Json::as_str).map_or_else(
        || Value::unknown(Reason::Unparsable, format!("`{name}` is no text")),
        Value::text,
    )
}

fn time(json: &Json, name: &str) -> Value {
    json.get(name)
        .and_then(Json::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .map_or_else(
            || Value::unknown(Reason::Unparsable, format!("`{name}` is no time")),
            Value::Time,
        )
}

/// A label is an object with a name or, in older replies, the name.
fn label(json: &Json) -> Option<&str> {
    json.as_str().or_else(|| json.get("name")?.as_str())
}

fn labels(issue: &Json) -> Value {
    let names = issue.get("labels").and_then(Json::as_array).and_then(|labels| {
        labels
            .iter()
            .map(|one| label(one).map(Value::text))
            .collect::<Option<Vec<_>>>()
    });
    names.map_or_else(
        || Value::unknown(Reason::Unparsable, "the labels cannot be read"),
        Value::list,
    )
}

fn number(json: &Json) -> Option<i64> {
    json.get("number").and_then(Json::as_i64).filter(|number| *number > 0)
}

/// An issue as a record.
pub(super) fn issue(repository: &Value, json: &Json) -> Value {
    Value::record(
        "Issue",
        vec![
            ("repository", repository.clone()),
            (
                "number",
                number(json).map_or_else(|| Value::unknown(Reason::Unparsable, "`number` is none"), Value::Int),
            ),
            ("title", word(json, "title")),
            (
                "state",
                match json.get("state").and_then(Json::as_str) {
                    Some(known @ ("open" | "closed")) => Value::variant(known),
                    _ => Value::unknown(Reason::Unparsable, "the server gives no state that is known"),
                },
            ),
            ("labels", labels(json)),
            ("created", time(json, "created_at")),
            ("updated", time(json, "updated_at")),
            ("url", word(json, "html_url")),
        ],
    )
}

fn comment(json: &Json) -> Value {
    Value::record(
        "Comment",
        vec![("url", word(json, "html_url")), ("created", time(json, "created_at"))],
    )
}

fn listed(found: &Listed, of: impl Fn(&Json) -> Value) -> Value {
    Value::List(Arc::new(List {
        items: found.items.iter().map(of).collect(),
        truncated: found.more,
    }))
}

/// Labels that a call names.
fn wanted(arguments: Arguments<'_>) -> Result<Vec<String>, Unknown> {
    let list = match arguments.value("labels") {
        Value::None => return Ok(Vec::new()),
        Value::Unknown(unknown) => return Err((**unknown).clone()),
        Value::List(list) if !list.truncated => list,
        _ => return Err(not_fitting("labels")),
    };
    let named = |item: &Value| match item {
        Value::Unknown(unknown) => Err((**unknown).clone()),
        item => match item.as_str() {
            Some(text) if !text.is_empty() && !text.contains(',') => Ok(text.to_owned()),
            _ => Err(wrong(Reason::Unparsable, "a label is a text without a comma")),
        },
    };
    list.items.iter().map(named).collect()
}

fn said_key(call: &Call) -> Result<&str, Unknown> {
    call.key
        .as_deref()
        .ok_or_else(|| wrong(Reason::Internal, "no key was recorded for this call"))
}

/// The number of an issue that a call names.
fn given_number(arguments: Arguments<'_>) -> Result<i64, Unknown> {
    match arguments.value("number") {
        Value::Int(number) if *number > 0 => Ok(*number),
        Value::Unknown(unknown) => Err((**unknown).clone()),
        _ => Err(not_fitting("number")),
    }
}

fn is_no_request(json: &Json) -> bool {
    // The interface lists requests to take a change among the issues.
    json.get("pull_request").is_none_or(Json::is_null)
}

/// What a reply to a change says: its document, or what its status means.
fn document(answer: &Answer, good: u16) -> Result<Json, Outcome> {
    if answer.status != good {
        return Err(match answer.refused() {
            Outcome::Failed(_) => Outcome::Failed(problem(answer)),
            other => other,
        });
    }
    match answer.json() {
        Ok(json) if json.is_object() => Ok(json),
        _ => Err(Outcome::Unclear(odd())),
    }
}

impl GitHub {
    /// `labels`
    pub(super) async fn labels(&self, arguments: Arguments<'_>, until: Instant) -> Result<Value, Unknown> {
        let most = arguments.limit("at_most", GITHUB_LABELS)?;
        let on = arguments.text("repository")?;
        let found = self.list(on, "/labels", &[], most, |_| true, until).await?;
        Ok(listed(&found, |one| {
            label(one).map_or_else(
                || Value::unknown(Reason::Unparsable, "a label has no name"),
                Value::text,
            )
        }))
    }

    /// `issues.list`
    pub(super) async fn issues(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let most = arguments.limit("at_most", GITHUB_ISSUES)?;
        let on = arguments.text("repository")?;
        let mut query = vec![("state", arguments.maybe_text("state")?.unwrap_or("all").to_owned())];
        let labels = wanted(arguments)?;
        if !labels.is_empty() {
            query.push(("labels", labels.join(",")));
        }
        let found = self.list(on, "/issues", &query, most, is_no_request, until).await?;
        Ok(listed(&found, |one| issue(call.arg("repository"), one)))
    }

    /// Refuses labels that are not there: GitHub would make them, and tools that it has refuse the whole issue.
    async fn know(&self, on: &str, wanted: &[String], until: Instant) -> Result<(), Unknown> {
        if wanted.is_empty() {
            return Ok(());
        }
        let found = self.list(on, "/labels", &[], GITHUB_LABELS, |_| true, until).await?;
        let missing: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|name| {
                let lower = name.to_lowercase();
                !found
                    .items
                    .iter()
                    .filter_map(label)
                    .any(|known| known.to_lowercase() == lower)
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        Err(if found.more {
            wrong(
                Reason::Truncated,
                format!("the repository has more than {GITHUB_LABELS} labels: whether {names} is one cannot be told"),
            )
        } else {
            wrong(Reason::Missing, format!("the repository has no label {names}"))
        })
    }

    /// `issues.create`
    pub(super) async fn create(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let (on, key, body, labels) = (|| {
            let arguments = Arguments(call);
            let key = said_key(call)?;
            let title = text::title(arguments.text("title")?);
            if title.is_empty() {
                return Err(wrong(Reason::Unparsable, "`title` is empty"));
            }
            let labels = wanted(arguments)?;
            let body = json!({
                "title": title,
                "body": text::body(arguments.text("body")?, key),
                "labels": labels,
            });
            Ok((arguments.text("repository")?, key, body, labels))
        })()
        .map_err(Outcome::Failed)?;
        // Sent before with the same key: it is there.
        let sent_before = async {
            let newest = [
                ("state", "all".to_owned()),
                ("sort", "created".to_owned()),
                ("direction", "desc".to_owned()),
            ];
            let found = self
                .list(on, "/issues", &newest, GITHUB_SEARCHED, is_no_request, until)
                .await?;
            Ok::<_, Unknown>(found.items.into_iter().find(|issue| has_key(issue, key)))
        };
        if let Some(there) = sent_before.await.map_err(Outcome::Failed)? {
            return Ok(issue(call.arg("repository"), &there));
        }
        self.know(on, &labels, until).await.map_err(Outcome::Failed)?;
        let answer = self
            .service
            .send(on, Method::POST, "/issues", &[], Some(&body), until)
            .await
            .map_err(crate::providers::http::service::NoAnswer::outcome)?;
        let made = document(&answer, 201)?;
        if number(&made).is_none() {
            return Err(Outcome::Unclear(odd()));
        }
        Ok(issue(call.arg("repository"), &made))
    }

    /// `issues.comment`
    pub(super) async fn comment(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let (on, key, number, body) = (|| {
            let arguments = Arguments(call);
            let key = said_key(call)?;
            let text = arguments.text("body")?;
            if text.trim().is_empty() {
                return Err(wrong(Reason::Unparsable, "`body` is empty"));
            }
            Ok((
                arguments.text("repository")?,
                key,
                given_number(arguments)?,
                text::body(text, key),
            ))
        })()
        .map_err(Outcome::Failed)?;
        let path = format!("/issues/{number}/comments");
        let found = self
            .list(on, &path, &[], GITHUB_COMMENTS, |_| true, until)
            .await
            .map_err(Outcome::Failed)?;
        if let Some(there) = found.items.iter().find(|one| has_key(one, key)) {
            return Ok(comment(there));
        }
        if found.more {
            // They come oldest first: what was sent before would stand behind those that were looked at.
            return Err(Outcome::Failed(wrong(
                Reason::Truncated,
                format!("the issue has more than {GITHUB_COMMENTS} comments: whether this one is there cannot be told"),
            )));
        }
        let answer = self
            .service
            .send(on, Method::POST, &path, &[], Some(&json!({ "body": body })), until)
            .await
            .map_err(crate::providers::http::service::NoAnswer::outcome)?;
        document(&answer, 201).map(|made| comment(&made))
    }

    /// `issues.close`
    pub(super) async fn close(&self, call: &Call) -> Result<Value, Outcome> {
        let until = Instant::now() + patience(call);
        let (on, number, reason) = (|| {
            let arguments = Arguments(call);
            Ok::<_, Unknown>((
                arguments.text("repository")?,
                given_number(arguments)?,
                arguments.text("because")?,
            ))
        })()
        .map_err(Outcome::Failed)?;
        let body = json!({ "state": "closed", "state_reason": reason });
        let answer = self
            .service
            .send(on, Method::PATCH, &format!("/issues/{number}"), &[], Some(&body), until)
            .await
            .map_err(crate::providers::http::service::NoAnswer::outcome)?;
        let closed = document(&answer, 200)?;
        if closed.get("state").and_then(Json::as_str) != Some("closed") {
            return Err(Outcome::Unclear(odd()));
        }
        Ok(issue(call.arg("repository"), &closed))
    }
}

fn has_key(json: &Json, key: &str) -> bool {
    json.get("body")
        .and_then(Json::as_str)
        .is_some_and(|body| text::is_marked(body, key))
}
