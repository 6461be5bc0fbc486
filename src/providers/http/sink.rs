//! A configured server that takes JSON documents, for providers that tell people over HTTP: the same guard, limits and secrets.

use super::client::Clients;
use super::config::EndpointConfig;
use super::exchange::{self, Request};
use super::fault::Failed;
use super::target::{self, Endpoint};
use super::{BODY_BYTES, headers};
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::Instant;

/// Where documents are posted to.
pub struct Sink {
    endpoint: Endpoint,
    clients: Clients,
}

/// What the server said.
pub struct Posted {
    pub status: u16,
    /// The body, as far as it is text.
    pub text: String,
    /// The body as a document.
    pub json: Option<serde_json::Value>,
}

/// Why nothing was said.
pub enum NotPosted {
    /// It was not sent.
    Failed(Unknown),
    /// It may have arrived.
    Unclear(Unknown),
}

impl Sink {
    /// A sink of the configuration.
    ///
    /// # Errors
    /// Says what in the configuration cannot be used.
    pub fn new(name: &str, config: &EndpointConfig) -> Result<Self, String> {
        Ok(Self {
            endpoint: target::configured(name, config)?,
            clients: Clients::default(),
        })
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        target::origin(&self.endpoint.base)
    }

    /// True when nobody between us and the server can read along.
    pub fn is_private(&self) -> bool {
        target::is_private(&self.endpoint.base)
    }

    /// Reads the secrets that a call would need, and forgets them.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub fn ready(&self) -> Result<(), Unknown> {
        self.endpoint.with_secret_path()?;
        headers::of_call(self.endpoint.config.as_deref(), &Value::None, &Value::None).map(drop)
    }

    /// Posts a document once.
    pub async fn post(&self, path: &str, document: &serde_json::Value, until: Instant) -> Result<Posted, NotPosted> {
        let begin = Instant::now();
        let (client, request) = self.request(path, document).map_err(NotPosted::Failed)?;
        let (response, url) = exchange::send(&client, request, false, until)
            .await
            .map_err(|failed: Failed| {
                if failed.sent {
                    NotPosted::Unclear(failed.unknown())
                } else {
                    NotPosted::Failed(failed.unknown())
                }
            })?;
        let status = response.status().as_u16();
        let reply = exchange::reply(response, &url, &self.endpoint, &Value::None, begin, until).await;
        let field = |name: &str| {
            let record = reply.as_record();
            record
                .and_then(|record| record.get(name))
                .cloned()
                .unwrap_or(Value::None)
        };
        Ok(Posted {
            status,
            text: field("text").as_str().unwrap_or_default().to_owned(),
            json: match field("json") {
                Value::Json(document) => Some((*document).clone()),
                _ => None,
            },
        })
    }

    fn request(&self, path: &str, document: &serde_json::Value) -> Result<(reqwest::Client, Request), Unknown> {
        let endpoint = self.endpoint.with_secret_path()?;
        let mut headers = headers::of_call(endpoint.config.as_deref(), &Value::None, &Value::None)?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = document.to_string().into_bytes();
        if body.len() > BODY_BYTES {
            return Err(target::refusal(Reason::Unparsable, "the message is larger than 1 MiB"));
        }
        let request = Request {
            method: Method::POST,
            url: endpoint.url(path, &Value::None)?,
            headers,
            body: Some(body),
        };
        Ok((self.clients.get(&endpoint, true)?, request))
    }
}

/// What a status says about a message: only one that means "I did not take it" is a failure, the rest is not guessed.
pub fn refused(status: u16, said: &str) -> Option<NotPosted> {
    let unknown = |reason| Unknown {
        reason,
        detail: if said.is_empty() {
            format!("the server answered with status {status}")
        } else {
            format!("the server answered with status {status}: {said}")
        },
    };
    match super::outcome(status, Value::None) {
        crate::provider::Outcome::Done(_) => None,
        crate::provider::Outcome::Failed(problem) => Some(NotPosted::Failed(unknown(problem.reason))),
        crate::provider::Outcome::Unclear(problem) => Some(NotPosted::Unclear(unknown(problem.reason))),
    }
}
