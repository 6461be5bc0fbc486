//! Rows as values of the language. The order of fields is that of the records in the interface text.

use super::failure::{Failure, crop};
use super::guard::Line;
use crate::value::{List, Reason, Secret, Value};
use std::sync::Arc;

/// The columns of a session in `pg_stat_activity a`. Of a statement's text the first 4,096 characters are kept.
macro_rules! session_columns {
    () => {
        "a.pid::bigint as pid,
         (extract(epoch from a.backend_start) * 1000000)::bigint as backend_start,
         a.state as state,
         (extract(epoch from coalesce(a.state_change, a.backend_start)) * 1000000)::bigint as state_since,
         greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.state_change, a.backend_start)) * 1000000)::bigint) as age,
         (extract(epoch from a.xact_start) * 1000000)::bigint as transaction_start,
         greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000000)::bigint) as transaction_age,
         a.xact_start is not null as in_transaction,
         coalesce(a.usename::text, '') as user_name,
         coalesce(a.datname::text, '') as database_name,
         coalesce(a.application_name, '') as application,
         coalesce(host(a.client_addr), 'local') as client,
         a.wait_event_type || ': ' || a.wait_event as waits_for,
         left(coalesce(a.query, ''), 4096) as query"
    };
}
pub(super) use session_columns;

/// A session as a record.
pub fn session(db: &Value, line: &Line) -> Result<Value, Failure> {
    let in_transaction = line.flag("in_transaction")?;
    Ok(Value::record(
        "Session",
        vec![
            ("db", db.clone()),
            ("pid", Value::Int(line.int("pid")?)),
            ("backend_start", moment(line.int("backend_start")?)?),
            ("state", state(line.maybe_text("state")?.as_deref())),
            ("state_since", moment(line.int("state_since")?)?),
            ("age", span(line.int("age")?)?),
            (
                "transaction_start",
                maybe(line.maybe_int("transaction_start")?, moment)?,
            ),
            (
                "transaction_age",
                if in_transaction {
                    maybe(line.maybe_int("transaction_age")?, span)?
                } else {
                    Value::None
                },
            ),
            ("user", text(line, "user_name")?),
            ("database", text(line, "database_name")?),
            ("application", text(line, "application")?),
            ("client", text(line, "client")?),
            ("waits_for", maybe_text(line, "waits_for")?),
            ("query", Value::Secret(Secret::new(text(line, "query")?))),
        ],
    ))
}

/// The server's words for what a session does, as values of `SessionState`.
pub fn state(words: Option<&str>) -> Value {
    match words {
        None | Some("starting") => Value::variant("starting"),
        Some("active") => Value::variant("active"),
        Some("idle") => Value::variant("idle"),
        Some("idle in transaction") => Value::variant("idle_in_transaction"),
        Some("idle in transaction (aborted)") => Value::variant("idle_in_aborted_transaction"),
        Some("fastpath function call") => Value::variant("in_fast_path_call"),
        Some("disabled") => Value::variant("untracked"),
        Some(other) => Value::unknown(
            Reason::Unparsable,
            format!("the server knows a state `{}` that starr does not", crop(other, 60)),
        ),
    }
}

/// The server's words for a value of `SessionState`.
pub fn state_words(variant: &str) -> Option<&'static str> {
    Some(match variant {
        "starting" => "",
        "active" => "active",
        "idle" => "idle",
        "idle_in_transaction" => "idle in transaction",
        "idle_in_aborted_transaction" => "idle in transaction (aborted)",
        "in_fast_path_call" => "fastpath function call",
        "untracked" => "disabled",
        _ => return None,
    })
}

/// Microseconds since 1970 as a time.
pub fn moment(microseconds: i64) -> Result<Value, Failure> {
    jiff::Timestamp::from_microsecond(microseconds)
        .map(Value::Time)
        .map_err(|_| Failure::definite(Reason::Unparsable, "a time of the server is out of range"))
}

/// Microseconds as a duration.
pub fn span(microseconds: i64) -> Result<Value, Failure> {
    microseconds
        .checked_mul(1_000)
        .map(Value::Duration)
        .ok_or_else(|| Failure::definite(Reason::Unparsable, "a time of the server is out of range"))
}

/// Milliseconds, with fractions, as a duration.
pub fn milliseconds(number: Option<f64>) -> Value {
    match number {
        // Far inside the range of an i64 of nanoseconds; anything beyond is no time a statement took.
        Some(number) if number.is_finite() && number.abs() < 9.0e12 => Value::Duration((number * 1e6) as i64),
        Some(_) => Value::unknown(Reason::Unparsable, "a time of the server is out of range"),
        None => Value::None,
    }
}

/// A value or the word `none`.
pub fn maybe<T>(value: Option<T>, make: impl FnOnce(T) -> Result<Value, Failure>) -> Result<Value, Failure> {
    value.map_or(Ok(Value::None), make)
}

/// A text column.
pub fn text(line: &Line, column: &str) -> Result<Value, Failure> {
    Ok(Value::text(line.text(column)?))
}

/// A text column that may be null.
pub fn maybe_text(line: &Line, column: &str) -> Result<Value, Failure> {
    Ok(line.maybe_text(column)?.map_or(Value::None, Value::text))
}

/// The values of the rows; one row more than `limit` was asked for, so that a cut list is known to be cut.
pub fn list(lines: &[Line], limit: usize, make: impl Fn(&Line) -> Result<Value, Failure>) -> Result<Value, Failure> {
    let items = lines.iter().take(limit).map(make).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::List(Arc::new(List {
        items,
        truncated: lines.len() > limit,
    })))
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, moment, span, state, state_words};
    use crate::value::Value;

    #[test]
    fn every_state_has_words_and_every_words_a_state() {
        for variant in [
            "active",
            "idle",
            "idle_in_transaction",
            "idle_in_aborted_transaction",
            "in_fast_path_call",
            "untracked",
        ] {
            assert_eq!(state(state_words(variant)), Value::variant(variant));
        }
        assert_eq!(state(None), Value::variant("starting"));
        assert!(state(Some("new in PostgreSQL 99")).as_unknown().is_some());
        assert_eq!(state_words("asleep"), None);
    }

    #[test]
    fn times_out_of_range_are_failures() {
        assert!(moment(i64::MAX).is_err());
        assert!(span(i64::MAX).is_err());
        assert!(milliseconds(Some(f64::NAN)).as_unknown().is_some());
        assert_eq!(milliseconds(Some(1.5)), Value::Duration(1_500_000));
        assert_eq!(milliseconds(None), Value::None);
    }
}
