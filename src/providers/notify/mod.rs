//! The providers that tell people: `chat`, `pager` and `mail`. What they send is a tell: it never decides the way of a run.

pub mod chat;
pub mod config;
pub mod mail;
pub mod pager;

use crate::provider::{Call, Health, HealthState, Outcome};
use crate::providers::http::sink::{NotPosted, Sink};
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

fn not_posted(problem: NotPosted) -> Outcome {
    match problem {
        NotPosted::Failed(unknown) => Outcome::Failed(unknown),
        NotPosted::Unclear(unknown) => Outcome::Unclear(unknown),
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

/// A line about a sink: whether its secrets can be read. Whether it takes messages cannot be tried without telling somebody.
fn ready(subject: String, sink: &Sink, also: Result<(), String>) -> Health {
    let problem = sink.ready().map_err(|problem| problem.to_string()).and(also).err();
    Health {
        subject,
        state: if problem.is_none() {
            HealthState::Good
        } else {
            HealthState::Bad
        },
        detail: match problem {
            None => format!("{}; not tried, because somebody would be told", sink.origin()),
            Some(problem) => problem,
        },
    }
}
