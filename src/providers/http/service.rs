//! What providers of services that speak JSON over HTTP stand on: the same address guard, trust, headers and limits as `http`.

use super::client::Clients;
use super::config::EndpointConfig;
use super::exchange::{self, Request};
use super::fault::{Failed, Fault};
use super::headers;
use super::target::{self, Endpoint, refusal};
use crate::provider::{Health, HealthState, Outcome};
use crate::value::probe::Reply;
use crate::value::{Reason, Unknown, Value};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The servers of one provider, by name.
pub struct Service {
    /// What these are, for people: `Prometheus server`.
    what: &'static str,
    endpoints: BTreeMap<String, Endpoint>,
    clients: Clients,
}

/// What a request of [`Service::exchange`] goes to.
pub enum Place<'a> {
    /// A path behind the server's own, and what stands behind `?`.
    Path(&'a str, &'a [(&'a str, String)]),
    /// A whole URL, as servers give it for the next page. It must lead to the same server.
    Whole(&'a str),
}

/// A request of [`Service::exchange`].
pub struct Asked<'a> {
    pub method: Method,
    /// True when it may change something: then it goes over a connection of its own.
    pub change: bool,
    pub place: Place<'a>,
    pub headers: HeaderMap,
    /// The kind of the body, and the body.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// A reply whose body is whole.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether it is a page for people: a proxy or a login has answered, whatever its status.
    pub fn is_page(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    /// The body as a document.
    pub fn json(&self) -> Result<serde_json::Value, Unknown> {
        serde_json::from_slice(&self.body).map_err(|_| refusal(Reason::Unparsable, "the reply is not JSON"))
    }
}

impl Answer {
    /// The first words of what the server says about itself.
    fn said(&self) -> String {
        let text = match self.json() {
            Ok(serde_json::Value::String(text)) => text,
            Ok(json) => ["message", "detail", "error"]
                .iter()
                .find_map(|name| json.get(name).and_then(serde_json::Value::as_str))
                .unwrap_or_default()
                .to_owned(),
            Err(_) => String::new(),
        };
        let text: String = text
            .chars()
            .take(200)
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }

    /// What a status other than a good one means.
    pub fn problem(&self) -> Unknown {
        let reason = match self.status {
            401 | 403 => Reason::Denied,
            404 | 410 => Reason::Missing,
            408 | 504 => Reason::Timeout,
            429 => Reason::Throttled,
            _ => Reason::Unavailable,
        };
        refusal(
            reason,
            format!("the server answered with status {}{}", self.status, self.said()),
        )
    }

    /// What a status other than a good one means for a change: only where the server says that it did nothing it is a failure.
    pub fn refused(&self) -> Outcome {
        match self.status {
            300..=407 | 409..=498 | 501 => Outcome::Failed(self.problem()),
            _ => Outcome::Unclear(self.problem()),
        }
    }
}

impl NoAnswer {
    /// What it means for a change.
    pub fn outcome(self) -> Outcome {
        if self.sent {
            Outcome::Unclear(self.unknown)
        } else {
            Outcome::Failed(self.unknown)
        }
    }
}

/// Why there is no answer, and whether the server may have read the request.
#[derive(Debug)]
pub struct NoAnswer {
    pub unknown: Unknown,
    pub sent: bool,
}

impl From<Failed> for NoAnswer {
    fn from(failed: Failed) -> Self {
        Self {
            sent: failed.sent,
            unknown: failed.unknown(),
        }
    }
}

fn unsent(unknown: Unknown) -> NoAnswer {
    NoAnswer { unknown, sent: false }
}

impl Service {
    /// The servers of a configuration; each is described as an endpoint of `http` is.
    ///
    /// # Errors
    /// Names the entry that cannot be used, below `key`, and says why.
    pub fn new(what: &'static str, key: &str, servers: &BTreeMap<String, EndpointConfig>) -> Result<Self, String> {
        let endpoints = servers
            .iter()
            .map(|(name, config)| {
                if config.signing_secret.is_some() {
                    return Err(format!("{key}.{name}: only web hooks of `http` are signed"));
                }
                target::configured(name, config)
                    .map(|endpoint| (name.clone(), endpoint))
                    .map_err(|problem| format!("{key}.{name}: {problem}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            what,
            endpoints,
            clients: Clients::default(),
        })
    }

    /// The names of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.endpoints.keys().map(String::as_str)
    }

    /// True when nobody between us and this server can read along.
    pub fn is_private(&self, name: &str) -> bool {
        self.endpoints
            .get(name)
            .is_some_and(|endpoint| target::is_private(&endpoint.base))
    }

    /// Where it is, when the secrets that a call needs can be read now.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub fn ready(&self, name: &str) -> Result<String, Unknown> {
        let endpoint = self.endpoint(name)?;
        headers::of_call(endpoint.config.as_deref(), &Value::None, &Value::None)?;
        Ok(target::origin(&endpoint.base))
    }

    /// The host of this server, as its URL names it.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn host(&self, name: &str) -> Result<String, Unknown> {
        Ok(self.endpoint(name)?.base.host_str().unwrap_or_default().to_owned())
    }

    /// The names of servers whose tokens would travel in the clear.
    pub fn exposed(&self) -> impl Iterator<Item = &str> {
        self.names().filter(|name| !self.is_private(name))
    }

    fn endpoint(&self, name: &str) -> Result<Endpoint, Unknown> {
        match self.endpoints.get(name) {
            Some(endpoint) => endpoint.with_secret_path(),
            None => Err(refusal(
                Reason::Unavailable,
                format!("no {} `{name}` is configured in this environment", self.what),
            )),
        }
    }

    /// Sends a request and reads the whole reply. `query` becomes the part of the URL behind `?`.
    pub async fn send(
        &self,
        name: &str,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&serde_json::Value>,
        until: Instant,
    ) -> Result<Answer, NoAnswer> {
        self.send_if(name, method, path, query, body, None, until).await
    }

    /// Sends a request that the server refuses when what it is about is no longer of this version.
    #[allow(clippy::too_many_arguments, reason = "a request has that many parts")]
    pub async fn send_if(
        &self,
        name: &str,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&serde_json::Value>,
        version: Option<&str>,
        until: Instant,
    ) -> Result<Answer, NoAnswer> {
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            let value = HeaderValue::from_str(&format!("\"{version}\""))
                .map_err(|_| unsent(refusal(Reason::Unparsable, "the version cannot be sent")))?;
            headers.insert(IF_MATCH, value);
        }
        let asked = Asked {
            change: method != Method::GET,
            method,
            place: Place::Path(path, query),
            headers,
            body: body.map(|body| ("application/json", body.to_string().into_bytes())),
        };
        self.exchange(name, asked, until).await.map(|(_, answer)| answer)
    }

    /// Sends a request with headers of its own, and gives the headers of the reply too.
    pub async fn exchange(
        &self,
        name: &str,
        asked: Asked<'_>,
        until: Instant,
    ) -> Result<(HeaderMap, Answer), NoAnswer> {
        let endpoint = self.endpoint(name).map_err(unsent)?;
        let url = match asked.place {
            Place::Path(path, query) => {
                let mut url = endpoint.url(path, &Value::None).map_err(unsent)?;
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                url
            }
            Place::Whole(text) => {
                let url = target::parse(text).map_err(|problem| unsent(refusal(Reason::Unparsable, problem)))?;
                if !target::same_origin(&url, &endpoint.base) {
                    return Err(unsent(refusal(
                        Reason::Denied,
                        "the address leads to another server, which gets no credential of this one",
                    )));
                }
                url
            }
        };
        if url.as_str().len() > crate::limits::HTTP_URL_BYTES {
            return Err(unsent(refusal(Reason::Unparsable, "the question is longer than 8 KiB")));
        }
        let mut headers = headers::of_call(endpoint.config.as_deref(), &Value::None, &Value::None).map_err(unsent)?;
        headers.extend(asked.headers);
        let body = asked.body.map(|(kind, bytes)| {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
            bytes
        });
        if body.as_ref().is_some_and(|body| body.len() > super::BODY_BYTES) {
            return Err(unsent(refusal(Reason::Unparsable, "what is sent is larger than 1 MiB")));
        }
        let client = self.clients.get(&endpoint, asked.change).map_err(unsent)?;
        let request = Request {
            method: asked.method,
            url,
            headers,
            body,
        };
        let (mut response, _) = exchange::send(&client, request, !asked.change, until).await?;
        let status = response.status().as_u16();
        let body = exchange::whole(&mut response, until)
            .await
            .map_err(|unknown| NoAnswer { unknown, sent: true })?;
        let headers = std::mem::take(response.headers_mut());
        Ok((headers, Answer { status, body }))
    }

    /// Asks for a document.
    pub async fn get(
        &self,
        name: &str,
        path: &str,
        query: &[(&str, String)],
        until: Instant,
    ) -> Result<Answer, Unknown> {
        self.send(name, Method::GET, path, query, None, until)
            .await
            .map_err(|failed| failed.unknown)
    }

    /// What became of an attempt to reach the server; with the status of its reply.
    pub async fn reach(&self, name: &str, path: &str, until: Instant) -> Result<(Reply, Option<u16>), Unknown> {
        let endpoint = self.endpoint(name)?;
        let request = Request {
            method: Method::GET,
            url: endpoint.url(path, &Value::None)?,
            headers: headers::of_call(endpoint.config.as_deref(), &Value::None, &Value::None)?,
            body: None,
        };
        let client = self.clients.get(&endpoint, true)?;
        match exchange::send(&client, request, true, until).await {
            Ok((response, _)) => Ok((Reply::Answered, Some(response.status().as_u16()))),
            Err(Failed {
                fault: Fault::Answer(reply, _),
                ..
            }) => Ok((reply, None)),
            Err(failed) => Err(failed.unknown()),
        }
    }

    /// One line for each server: does it answer at `path`.
    pub async fn doctor(&self, provider: &str, path: &str) -> Vec<Health> {
        let lines = self.endpoints.iter().map(|(name, endpoint)| async move {
            let origin = target::origin(&endpoint.base);
            let until = Instant::now() + Duration::from_secs(5);
            let (state, detail) = match self.reach(name, path, until).await {
                Ok((_, Some(200..=299))) => (HealthState::Good, format!("{origin} answers")),
                Ok((_, Some(401 | 403))) => (
                    HealthState::Bad,
                    format!("{origin} answers, and turns our credential away"),
                ),
                Ok((_, Some(status))) => (HealthState::Limited, format!("{origin} answers with status {status}")),
                Ok((reply, None)) => (
                    HealthState::Bad,
                    format!("{origin}: {}", reply.word().replace('_', " ")),
                ),
                Err(problem) => (HealthState::Bad, format!("{origin}: {problem}")),
            };
            Health {
                subject: format!("{provider} {name}"),
                state,
                detail,
            }
        });
        futures::future::join_all(lines).await
    }
}
