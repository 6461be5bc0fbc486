//! Whether the URLs that runbooks name still lead anywhere.

use super::{Http, target};
use crate::check;
use crate::provider::native::{Reference, ReferenceKind, Resolved, Use};
use crate::provider::{Call, Effect, Provider};
use crate::value::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A read of this provider with these arguments and the defaults of its interface text.
fn call(path: &str, given: &[(&str, Value)]) -> Option<Call> {
    let operation = check::interface("http")?
        .into_iter()
        .find(|operation| &*operation.path == path)?;
    let args = operation
        .params
        .iter()
        .map(|param| {
            let value = given
                .iter()
                .find(|(name, _)| **name == *param.name)
                .map(|(_, value)| value.clone())
                .or_else(|| param.default.clone())
                .unwrap_or(Value::None);
            (Arc::clone(&param.name), value)
        })
        .collect();
    Some(Call {
        operation,
        args,
        within: WITHIN,
        key: None,
    })
}

impl Http {
    /// The URL of a call, where it is known. What a change is sent to is only looked at from outside.
    pub(super) fn named(&self, used: &Use) -> Vec<Reference> {
        let Some(to) = used.arg("to").and_then(Value::as_str) else {
            return Vec::new();
        };
        let path = match used.args.iter().find(|(name, _)| &**name == "path") {
            None => "",
            Some((_, Some(path))) => path.as_str().unwrap_or_default(),
            // A path that is only known in the run.
            Some((_, None)) => return Vec::new(),
        };
        let Some(call) = call("probe", &[("to", Value::text(to))]) else {
            return Vec::new();
        };
        let Ok(endpoint) = self.endpoint(&call) else {
            return vec![Reference {
                kind: ReferenceKind::Url,
                name: "(not an endpoint)".to_owned(),
                on: String::new(),
                readable: false,
            }];
        };
        let readable = matches!(used.operation.effect, Effect::Read | Effect::Probe);
        vec![Reference {
            kind: ReferenceKind::Url,
            name: if path.is_empty() || !readable {
                to.to_owned()
            } else {
                format!("{to} {path}")
            },
            on: target::origin(&endpoint.base),
            readable,
        }]
    }

    /// Asks for the head of a URL that is read; of one that takes changes only whether it can be reached.
    pub(super) async fn look_up(&self, reference: &Reference) -> Resolved {
        let (to, path) = reference.name.split_once(' ').unwrap_or((&reference.name, ""));
        let given = [("to", Value::text(to)), ("path", Value::text(path))];
        let operation = if reference.readable { "head" } else { "certificate" };
        if !reference.readable && reference.on.starts_with("http:") {
            return self.reachable(to).await;
        }
        let Some(call) = call(operation, &given) else {
            return Resolved::Unknown("the interface text lacks what is needed (a mistake in starr)".to_owned());
        };
        match self.read(&call).await {
            Value::Unknown(unknown) if gone(&unknown.detail) => Resolved::Missing(unknown.to_string()),
            Value::Unknown(unknown) => Resolved::Unknown(unknown.to_string()),
            reply => match reply.as_record().and_then(|record| record.get("status").cloned()) {
                Some(Value::Int(status @ (404 | 410))) => Resolved::Missing(format!("the server says {status}")),
                Some(Value::Int(status)) if status >= 500 => Resolved::Unknown(format!("the server says {status}")),
                _ => Resolved::There,
            },
        }
    }

    /// Whether anybody listens; nothing of a request is sent that a server acts on.
    async fn reachable(&self, to: &str) -> Resolved {
        let Some(call) = call("probe", &[("to", Value::text(to))]) else {
            return Resolved::Unknown("the interface text lacks what is needed (a mistake in starr)".to_owned());
        };
        let Ok(endpoint) = self.endpoint(&call) else {
            return Resolved::Unknown("it is not an endpoint".to_owned());
        };
        let (Some(host), Some(port)) = (endpoint.base.host_str(), endpoint.base.port_or_known_default()) else {
            return Resolved::Unknown("it names no host".to_owned());
        };
        match tokio::time::timeout(WITHIN, tokio::net::TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Resolved::There,
            Ok(Err(problem)) => Resolved::Unknown(format!("{host}:{port} cannot be reached: {problem}")),
            Err(_elapsed) => Resolved::Unknown(format!("{host}:{port} did not answer")),
        }
    }
}

/// Words of this provider for a name that does not exist.
fn gone(detail: &str) -> bool {
    detail.contains("no such name")
}
