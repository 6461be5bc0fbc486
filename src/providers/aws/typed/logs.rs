//! Logs: the lines of a group with an end, and queries over groups.

use super::{Talk, list, milliseconds, odd, seconds_ago, text};
use crate::providers::arguments::{Arguments, limited, not_fitting};
use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown, Value};
use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a query is left alone before it is asked for again, and the part of the whole time that this is at most.
const PAUSE: (Duration, u32) = (Duration::from_millis(500), 8);

/// What is kept of the deadline for ending a query that takes too long, and the part of the whole time that this is at most.
const ENDING: (Duration, u32) = (Duration::from_secs(2), 4);

/// Most rows that the service gives. One more than is wanted must fit in, or what was cut would look whole.
const ROWS: usize = 10_000;

/// Most groups of a query.
const GROUPS: usize = 50;

/// The column in which the service keeps its own place of a line.
const PLACE: &str = "@ptr";

/// The lines of a group, the oldest first.
pub(super) async fn lines(arguments: Arguments<'_>, talk: &Talk<'_>) -> Result<Value, Unknown> {
    let most = arguments.limit("at_most", 10_000)?;
    let mut values = json!({
        "logGroupName": arguments.text("group")?,
        "startTime": milliseconds(seconds_ago(arguments.duration("over")?)),
        "limit": (most + 1).min(10_000),
    });
    if let Some(pattern) = arguments.maybe_text("matching")? {
        values["filterPattern"] = json!(pattern);
    }
    let mut lines = Vec::new();
    let mut next: Option<Json> = None;
    // A page can be empty although there are more.
    for _ in 0..crate::limits::AWS_PAGES {
        if let Some(token) = &next {
            values["nextToken"] = token.clone();
        }
        let answer = talk.read("logs", "filter_log_events", values.clone()).await?;
        for event in list(&answer, "events")? {
            let at = event
                .get("timestamp")
                .and_then(Json::as_i64)
                .and_then(|at| Timestamp::from_millisecond(at).ok());
            lines.push(Value::record(
                "LogLine",
                vec![
                    (
                        "at",
                        at.map_or_else(|| Value::Unknown(Arc::new(odd("timestamp"))), Value::Time),
                    ),
                    ("stream", text(event, "logStreamName")),
                    ("text", text(event, "message")),
                ],
            ));
        }
        next = answer.get("nextToken").filter(|token| token.is_string()).cloned();
        if lines.len() > most || next.is_none() {
            return Ok(limited(lines, most));
        }
    }
    Err(wrong(
        Reason::Truncated,
        "the log group has more pages than are looked at",
    ))
}

/// The rows of a query, when it has come to its end. One that does not in time is ended.
pub(super) async fn query(arguments: Arguments<'_>, talk: &Talk<'_>) -> Result<Value, Unknown> {
    let most = arguments.limit("at_most", ROWS - 1)?;
    let groups = arguments.value("groups");
    let groups = groups.as_list().ok_or_else(|| not_fitting("groups"))?;
    let groups: Vec<&str> = groups.items.iter().filter_map(Value::as_str).collect();
    if !(1..=GROUPS).contains(&groups.len()) {
        let problem = format!(
            "`groups` names {} groups; the service takes 1 to {GROUPS}",
            groups.len()
        );
        return Err(wrong(Reason::Unparsable, problem));
    }
    let started = json!({
        "logGroupNames": groups,
        "startTime": seconds_ago(arguments.duration("over")?).as_second(),
        "endTime": Timestamp::now().as_second(),
        "queryString": arguments.text("query")?,
        // One more than is wanted shows that there are more.
        "limit": most + 1,
    });
    let answer = talk.send("logs", "start_query", started).await?;
    let id = answer
        .get("queryId")
        .and_then(Json::as_str)
        .ok_or_else(|| odd("queryId"))?
        .to_owned();
    let whole = talk.until.saturating_duration_since(Instant::now());
    let of = |(most, part): (Duration, u32)| most.min(whole / part);
    let pause = of(PAUSE);
    // A look that does not come back leaves time for ending the query as well.
    let look = Talk {
        account: talk.account,
        until: talk.until.checked_sub(of(ENDING)).unwrap_or(talk.until),
    };
    loop {
        let answer = look.read("logs", "get_query_results", json!({"queryId": id})).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(unknown) => {
                end(talk, &id).await;
                return Err(unknown);
            }
        };
        match answer
            .get("status")
            .and_then(Json::as_str)
            .ok_or_else(|| odd("status"))?
        {
            "Complete" => {
                let found = list(&answer, "results")?;
                if found.len() > most {
                    return Err(wrong(
                        Reason::Truncated,
                        format!("the query gives more than {most} rows"),
                    ));
                }
                let rows: Option<Vec<Json>> = found.iter().map(row).collect();
                let rows = rows.ok_or_else(|| odd("results"))?;
                return Ok(Value::Json(Arc::new(Json::Array(rows))));
            }
            "Scheduled" | "Running" | "Unknown" if Instant::now() + pause < look.until => {
                tokio::time::sleep(pause).await;
            }
            "Scheduled" | "Running" | "Unknown" => {
                end(talk, &id).await;
                return Err(wrong(
                    Reason::Timeout,
                    "the query had not come to its end; it was ended",
                ));
            }
            other => {
                let said = crate::providers::failure::excerpt(other, 40);
                return Err(wrong(Reason::Unavailable, format!("the query ended as `{said}`")));
            }
        }
    }
}

/// Ends a query that nobody waits for any more.
async fn end(talk: &Talk<'_>, id: &str) {
    // What cannot be ended ends by itself after an hour.
    let _ = talk.send("logs", "stop_query", json!({"queryId": id})).await;
}

/// A row as a document: every value is a text.
fn row(cells: &Json) -> Option<Json> {
    let mut row = Map::new();
    for cell in cells.as_array()? {
        let (name, value) = (cell.get("field")?.as_str()?, cell.get("value")?.as_str()?);
        if name != PLACE {
            row.insert(name.to_owned(), json!(value));
        }
    }
    Some(Json::Object(row))
}

#[cfg(test)]
mod tests {
    use super::row;
    use serde_json::json;

    #[test]
    fn a_row_is_a_document_without_the_services_own_column() {
        let cells = json!([
            {"field": "@timestamp", "value": "2026-11-22 03:00:00.000"},
            {"field": "errors", "value": "7"},
            {"field": "@ptr", "value": "CmEK"},
        ]);
        let expected = json!({"@timestamp": "2026-11-22 03:00:00.000", "errors": "7"});
        assert_eq!(row(&cells), Some(expected));
        assert_eq!(row(&json!([{"field": "a"}])), None);
        assert_eq!(row(&json!("a")), None);
    }
}
