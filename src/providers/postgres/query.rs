//! The generic operations: one statement of the author that reads, one that changes.

use super::connection::{Deadline, Pool};
use super::failure::Failure;
use super::guard::Reading;
use super::parameters::{Bound, bind};
use super::statement::{self, Shape};
use crate::provider::Outcome;
use crate::providers::arguments::Arguments;
use crate::value::{CodeLanguage, Reason, Value};
use std::sync::Arc;

/// Most bytes of all rows together.
const RESULT_BYTES: usize = crate::limits::POSTGRES_RESULT_BYTES;

/// Most rows.
const ROWS: usize = crate::limits::POSTGRES_ROWS;

/// The statement's text: only source text in backticks is one.
pub(super) fn literal<'a>(arguments: Arguments<'a>) -> Result<&'a str, Failure> {
    match arguments.value("sql") {
        Value::Code {
            language: None | Some(CodeLanguage::Sql),
            text,
        } => Ok(text),
        Value::Unknown(unknown) => Err(Failure {
            unknown: (**unknown).clone(),
            definite: true,
        }),
        _ => Err(Failure::definite(
            Reason::Unparsable,
            "a statement is source text in backticks, never a value",
        )),
    }
}

fn bound(arguments: Arguments<'_>) -> Result<Bound, Failure> {
    bind(arguments.value("parameters")).map_err(|unknown| Failure {
        unknown,
        definite: true,
    })
}

/// `query`
pub async fn query(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let query = statement::query(literal(arguments)?).map_err(|why| Failure::definite(Reason::Denied, why))?;
    let limit = arguments.limit("at_most", ROWS)?;
    let Bound {
        arguments: parameters,
        secret,
    } = bound(arguments)?;
    let mut reading = Reading::begin(pool, deadline).await?;
    // The server writes each row as Json: it knows every type. It does not send a row that is too large on its own, and the
    // line break keeps a comment at the end of the text from reaching over what stands behind it.
    let sql = match query.shape {
        Shape::Rows => format!(
            "select case when octet_length(j.t) <= {RESULT_BYTES} then j.t end \
             from (\n{}\n) as starr_row cross join lateral (select to_json(starr_row.*)::text as t) as j limit {}",
            query.text,
            limit + 1
        ),
        Shape::Lines => query.text,
    };
    let mut texts = Vec::new();
    let mut bytes = 0;
    let mut cut = None;
    reading
        .texts(sql, parameters, secret, |text| {
            let text = match (text, query.shape) {
                (Some(text), _) => text,
                (None, Shape::Rows) => {
                    cut = Some("one row alone is larger than 1 MiB");
                    return false;
                }
                (None, Shape::Lines) => String::new(),
            };
            bytes += text.len();
            if bytes > RESULT_BYTES {
                cut = Some("the rows are larger than 1 MiB");
            } else if texts.len() >= limit {
                cut = Some("there are more rows than allowed");
            } else {
                texts.push(text);
            }
            cut.is_none()
        })
        .await?;
    if let Some(why) = cut {
        // Rows are still on their way: this connection is not used again.
        drop(reading);
        return Err(Failure::definite(Reason::Truncated, why));
    }
    reading.end().await;
    let rows = texts
        .into_iter()
        .map(|text| match query.shape {
            Shape::Rows => serde_json::from_str::<Row>(&text)
                .map(|Row(row)| serde_json::Value::Object(row))
                .map_err(|problem| {
                    // Our own words end in the place where the reader stopped.
                    let twice = problem.to_string().starts_with(TWICE);
                    Failure::definite(
                        Reason::Unparsable,
                        if twice {
                            TWICE
                        } else {
                            "a row of the server is not Json"
                        },
                    )
                }),
            Shape::Lines => Ok(serde_json::json!({ "line": text })),
        })
        .collect::<Result<Vec<serde_json::Value>, _>>()?;
    Ok(Value::Json(Arc::new(serde_json::Value::Array(rows))))
}

/// `execute`
pub async fn execute(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Outcome {
    let prepared = literal(arguments)
        .and_then(|text| statement::change(text).map_err(|why| Failure::definite(Reason::Denied, why)))
        .and_then(|text| Ok((text, bound(arguments)?)));
    let (text, bound) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return Outcome::Failed(failure.unknown),
    };
    match super::changes::send(pool, deadline, text, bound.arguments, bound.secret).await {
        Ok(rows) => Outcome::Done(i64::try_from(rows).map_or_else(
            |_| Value::unknown(Reason::Arithmetic, "more rows than can be counted"),
            Value::Int,
        )),
        Err(failure) => failure.outcome(),
    }
}

const TWICE: &str = "two columns have one name: give one of them another with `as`";

/// A row whose columns have different names. A document would silently keep one of two.
struct Row(serde_json::Map<String, serde_json::Value>);

impl<'de> serde::Deserialize<'de> for Row {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> serde::de::Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let mut row = serde_json::Map::new();
        while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
            if row.insert(name, value).is_some() {
                return Err(serde::de::Error::custom(TWICE));
            }
        }
        Ok(Row(row))
    }
}
