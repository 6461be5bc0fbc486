//! The providers that tell people: `chat`, `pager` and `mail`. What they send is a tell: it never decides the way of a run.

pub mod chat;
pub mod config;
pub mod mail;
pub mod pager;

use crate::provider::{Call, Health, HealthState, Outcome};
use crate::providers::http::service::Answer;
use crate::value::{Reason, Unknown, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn unknown(reason: Reason, detail: impl Into<String>) -> Unknown {
    Unknown {
        reason,
        detail: detail.into(),
    }
}

fn failed(reason: Reason, detail: impl Into<String>) -> Outcome {
    Outcome::Failed(unknown(reason, detail))
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
fn until(call: &Call) -> Instant {
    Instant::now() + patience(call)
}

fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// The argument as text; empty when it is none.
fn text<'a>(call: &'a Call, name: &str) -> &'a str {
    call.arg(name).as_str().unwrap_or_default()
}

/// What grants and locks see of a name of the configuration. No grant has the second name, so that what is not configured is
/// refused before anything else.
fn named(known: bool, name: &str) -> Vec<String> {
    vec![if known {
        name.to_owned()
    } else {
        "(not configured)".to_owned()
    }]
}

/// What a status says about a message, when it does not say that it was taken.
fn turned_away(answer: &Answer, said: &str) -> Option<Outcome> {
    let unknown = |problem: Unknown| {
        let said = cut(said, 200);
        let words = if said.is_empty() {
            String::new()
        } else {
            format!(": {said}")
        };
        unknown(
            problem.reason,
            format!("the server answered with status {}{words}", answer.status),
        )
    };
    match crate::providers::http::outcome(answer.status, Value::None) {
        Outcome::Done(_) => None,
        Outcome::Failed(problem) => Some(Outcome::Failed(unknown(problem))),
        Outcome::Unclear(problem) => Some(Outcome::Unclear(unknown(problem))),
    }
}

/// Nothing here can be read.
fn no_read(call: &Call) -> Value {
    Value::Unknown(Arc::new(unknown(
        Reason::Internal,
        format!("`{}` is not a read", call.operation.full_name()),
    )))
}

/// At most so many characters, and a sign that there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(most.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// A line about a server. Whether it takes messages cannot be tried without telling somebody.
fn ready(subject: String, ready: Result<String, String>) -> Health {
    match ready {
        Ok(origin) => Health {
            subject,
            state: HealthState::Good,
            detail: format!("{origin}; not tried, because somebody would be told"),
        },
        Err(problem) => Health {
            subject,
            state: HealthState::Bad,
            detail: problem,
        },
    }
}
