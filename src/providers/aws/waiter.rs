//! Waiting for a state that the service models describe: reached, no longer possible, or not told in time.

use super::client::{Account, Again, Answered, Refused};
use super::pages;
use crate::models::aws::{Acceptor, Method, Service, Waiter};
use crate::value::{Reason, Unknown, Value};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn same(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// True when an answer, or a refusal, is what the acceptor describes.
fn holds(acceptor: &Acceptor, answer: &Result<Answered, Refused>) -> bool {
    let found = || {
        let Ok(answered) = answer else { return None };
        pages::find(acceptor.argument.as_deref()?, &Json::Object(answered.values.clone()))
    };
    let expected = &acceptor.expected;
    match (acceptor.matcher.as_str(), answer) {
        ("path", _) => found().is_some_and(|found| same(&found, expected)),
        ("pathAll", _) => found().is_some_and(|found| {
            found
                .as_array()
                .is_some_and(|items| !items.is_empty() && items.iter().all(|item| same(item, expected)))
        }),
        ("pathAny", _) => found().is_some_and(|found| {
            found
                .as_array()
                .is_some_and(|items| items.iter().any(|item| same(item, expected)))
        }),
        ("status", Ok(answered)) => expected.as_u64() == Some(u64::from(answered.status)),
        ("status", Err(refused)) => expected.as_u64() == Some(u64::from(refused.status)),
        ("error", Ok(_)) => expected == &Json::Bool(false),
        ("error", Err(refused)) => match expected {
            Json::Bool(any) => *any && !refused.code.is_empty(),
            Json::String(code) => *code == refused.code,
            _ => false,
        },
        _ => false,
    }
}

/// Waits: true when the state is reached, false when it no longer can be.
pub async fn wait(
    account: &Account,
    (service, method, waiter): (&Arc<Service>, &Method, &Waiter),
    values: &Map<String, Json>,
    until: Instant,
) -> Result<Value, Unknown> {
    let delay = Duration::from_secs(waiter.delay.max(1));
    let mut asked = 0;
    loop {
        let answer = account.call((service, method), values, Again::Harmless, until).await;
        asked += 1;
        let state = waiter
            .acceptors
            .iter()
            .find(|acceptor| holds(acceptor, &answer))
            .map(|acceptor| acceptor.state.as_str());
        match (state, answer) {
            (Some("success"), _) => return Ok(Value::Bool(true)),
            (Some("failure"), _) => return Ok(Value::Bool(false)),
            (Some(_), _) | (None, Ok(_)) => {}
            (None, Err(refused)) => return Err(refused.failure.unknown),
        }
        if Instant::now() + delay >= until {
            return Err(Unknown {
                reason: Reason::Timeout,
                detail: format!("{} was not reached; asked {asked} times", waiter.name),
            });
        }
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::holds;
    use crate::models::aws;
    use crate::providers::aws::client::Answered;
    use serde_json::json;

    fn state(answer: serde_json::Value) -> Option<String> {
        let waiter = aws::service("ecs").unwrap().waiter("wait_services_stable").unwrap();
        let answer = Ok(Answered {
            status: 200,
            values: answer.as_object().unwrap().clone(),
            clock: None,
        });
        waiter
            .acceptors
            .iter()
            .find(|acceptor| holds(acceptor, &answer))
            .map(|acceptor| acceptor.state.clone())
    }

    #[test]
    fn states_are_those_of_the_model() {
        let service =
            |running: i64| json!({"deployments": [{}], "runningCount": running, "desiredCount": 2, "status": "ACTIVE"});
        assert_eq!(state(json!({"services": [service(2)]})).as_deref(), Some("success"));
        assert_eq!(state(json!({"services": [service(1)]})), None);
        assert_eq!(
            state(json!({"services": [], "failures": [{"reason": "MISSING"}]})).as_deref(),
            Some("failure")
        );
        assert_eq!(
            state(json!({"services": [{"status": "INACTIVE"}]})).as_deref(),
            Some("failure")
        );
    }
}
