//! The provider `http`: requests to granted origins, through a guard that looks at every address.

mod address;
pub(crate) mod certificate;
pub(crate) mod client;
pub mod config;
mod exchange;
pub(crate) mod fault;
pub(crate) mod headers;
mod native;
mod preflight;
pub(crate) mod raw;
#[cfg(test)]
mod server;
pub(crate) mod service;
mod signature;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use crate::provider::native::{Reference, Resolved, Use};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Unknown, Value};
use client::Clients;
use config::HttpConfig;
use exchange::Request;
use fault::{Failed, Fault};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use std::collections::BTreeMap;
use std::time::Duration;
use target::{Endpoint, refusal};
use tokio::time::Instant;

/// The operations, as in `stdlib/http.starr`.
const OPERATIONS: &[&str] = &[
    "probe",
    "get",
    "head",
    "certificate",
    "preflight",
    "post",
    "post_keyed",
    "put",
    "patch",
    "delete",
    "webhook",
];

/// Largest body that is sent, in bytes.
const BODY_BYTES: usize = crate::limits::HTTP_BODY_BYTES;

/// HTTP as an environment allows it. Holds no client before the first call.
pub struct Http {
    /// Where URLs in a runbook may lead.
    addresses: Vec<String>,
    endpoints: BTreeMap<String, Endpoint>,
    clients: Clients,
}

impl Http {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the entry of the configuration that cannot be used, and why.
    pub fn new(config: &HttpConfig) -> Result<Self, String> {
        let endpoints = target::endpoints(config)?
            .into_iter()
            .map(|endpoint| (endpoint.name.clone(), endpoint))
            .collect();
        Ok(Self {
            addresses: config.addresses.clone(),
            endpoints,
            clients: Clients::default(),
        })
    }

    fn endpoint(&self, call: &Call) -> Result<Endpoint, Unknown> {
        let name = call.arg("to").as_str().unwrap_or_default();
        if let Some(endpoint) = self.endpoints.get(name) {
            return Ok(endpoint.clone());
        }
        if name.contains("://") {
            return target::of_url(name, &self.addresses);
        }
        Err(refusal(
            Reason::Unavailable,
            format!("there is no endpoint `{name}` in the configuration, and it is not a URL"),
        ))
    }

    fn request(&self, call: &Call, method: Method) -> Result<(Endpoint, Request), Unknown> {
        let endpoint = self.endpoint(call)?.with_secret_path()?;
        let path = call.arg("path").as_str().unwrap_or_default();
        let url = endpoint.url(path, call.arg("query"))?;
        let authorization = call.arg("authorization");
        if *authorization != Value::None && !target::is_private(&url) {
            return Err(refusal(
                Reason::Denied,
                "a credential would travel in the clear: use https",
            ));
        }
        let mut headers = headers::of_call(endpoint.config.as_deref(), call.arg("headers"), authorization)?;
        let body = match call.arg("body") {
            Value::None => None,
            given => {
                let document = crate::value::document::of(given)?;
                headers
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json"));
                Some(document.to_string().into_bytes())
            }
        };
        if body.as_ref().is_some_and(|body| body.len() > BODY_BYTES) {
            return Err(refusal(Reason::Unparsable, "the body is larger than 1 MiB"));
        }
        let request = Request {
            method,
            url,
            headers,
            body,
        };
        Ok((endpoint, request))
    }

    async fn get(&self, call: &Call, method: Method) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let (endpoint, request) = self.request(call, method)?;
        let client = self.clients.get(&endpoint, false)?;
        let (response, url) = exchange::send(&client, request, true, until)
            .await
            .map_err(Failed::unknown)?;
        let (reply, _) = exchange::reply(response, &url, &endpoint, call.arg("keep"), begin, until).await;
        Ok(reply)
    }

    async fn preflight(&self, call: &Call) -> Result<Value, Unknown> {
        let asked = preflight::Asked::of(call)?;
        let (endpoint, mut request) = self.request(call, Method::OPTIONS)?;
        asked.put_into(&mut request)?;
        let client = self.clients.get(&endpoint, false)?;
        // A browser follows no redirect here.
        let (response, _) = exchange::send(&client, request, false, Instant::now() + patience(call))
            .await
            .map_err(Failed::unknown)?;
        Ok(asked.answer(response.status().as_u16(), response.headers()))
    }

    async fn probe(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let (endpoint, request) = self.request(call, Method::GET)?;
        let client = self.clients.get(&endpoint, true)?;
        match exchange::send(&client, request, true, begin + patience(call)).await {
            Ok((response, _)) => Ok(probe::value(
                Reply::Answered,
                begin.elapsed(),
                Some(response.status().as_u16()),
            )),
            Err(Failed {
                fault: Fault::Answer(reply, _),
                ..
            }) => Ok(probe::value(reply, begin.elapsed(), None)),
            Err(failed) => Err(failed.unknown()),
        }
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        match &*call.operation.path {
            "probe" => self.probe(call).await,
            "get" => self.get(call, Method::GET).await,
            "head" => self.get(call, Method::HEAD).await,
            "preflight" => self.preflight(call).await,
            "certificate" => {
                let endpoint = self.endpoint(call)?;
                let late = refusal(Reason::Timeout, "no handshake in time");
                tokio::time::timeout(patience(call), certificate::look(&endpoint, call.within))
                    .await
                    .unwrap_or(Err(late))
            }
            other => Err(refusal(Reason::Internal, format!("`http.{other}` is not a read"))),
        }
    }

    async fn send(&self, call: &Call) -> Outcome {
        let method = match &*call.operation.path {
            "post" | "post_keyed" | "webhook" => Method::POST,
            "put" => Method::PUT,
            "patch" => Method::PATCH,
            "delete" => Method::DELETE,
            other => {
                return Outcome::Failed(refusal(Reason::Internal, format!("`http.{other}` is not a change")));
            }
        };
        let begin = Instant::now();
        let until = begin + patience(call);
        let (endpoint, mut request) = match self.request(call, method) {
            Ok(made) => made,
            Err(problem) => return Outcome::Failed(problem),
        };
        if &*call.operation.path == "post_keyed"
            && let Err(problem) = add_key(call, &mut request)
        {
            return Outcome::Failed(problem);
        }
        if &*call.operation.path == "webhook"
            && let Err(problem) = add_signature(call, &endpoint, &mut request)
        {
            return Outcome::Failed(problem);
        }
        let client = match self.clients.get(&endpoint, true) {
            Ok(client) => client,
            Err(problem) => return Outcome::Failed(problem),
        };
        match exchange::send(&client, request, false, until).await {
            Ok((response, url)) => {
                let status = response.status().as_u16();
                let (reply, cut) = exchange::reply(response, &url, &endpoint, call.arg("keep"), begin, until).await;
                match (outcome(status, reply), cut) {
                    // Half a reply confirms nothing: a server may begin to answer before it is done.
                    (Outcome::Done(_), Some(cut)) => Outcome::Unclear(cut),
                    (outcome, _) => outcome,
                }
            }
            Err(failed) if failed.sent => Outcome::Unclear(failed.unknown()),
            Err(failed) => Outcome::Failed(failed.unknown()),
        }
    }
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// Signs a web hook to an endpoint that has a key for it. A signed message that is not signed is never sent.
fn add_signature(call: &Call, endpoint: &Endpoint, request: &mut Request) -> Result<(), Unknown> {
    let Some(key) = signature::Key::of(endpoint.config.as_deref())? else {
        return Ok(());
    };
    let id = call
        .key
        .as_deref()
        .map_or_else(signature::drawn, |key| Ok(key.to_owned()))?;
    key.add(request, &id, jiff::Timestamp::now().as_second())
}

fn add_key(call: &Call, request: &mut Request) -> Result<(), Unknown> {
    let Some(key) = &call.key else {
        return Err(refusal(Reason::Internal, "no key was recorded for this call"));
    };
    let header = call.arg("key_header").as_str().unwrap_or("Idempotency-Key");
    let name = headers::name(header).map_err(|problem| refusal(Reason::Unparsable, problem))?;
    let value =
        HeaderValue::from_str(key).map_err(|_| refusal(Reason::Internal, "the recorded key cannot be in a header"))?;
    request.headers.insert(name, value);
    Ok(())
}

/// What a status says about a change. Only a status that means "I did not do it" is a failure; the rest is not guessed.
pub(crate) fn outcome(status: u16, reply: Value) -> Outcome {
    let said = |reason| Unknown {
        reason,
        detail: format!("the server answered with status {status}"),
    };
    match status {
        // 303 is the usual answer of a form: done, and here is where to look.
        200..=299 | 303 => Outcome::Done(reply),
        401 | 403 | 407 => Outcome::Failed(said(Reason::Denied)),
        429 => Outcome::Failed(said(Reason::Throttled)),
        // 307 and 308 ask to send it elsewhere; 408 and 499 leave open what was read, as do 301, 302 and every 5xx but 501.
        307 | 308 | 501 => Outcome::Failed(said(Reason::Unavailable)),
        408 | 499 => Outcome::Unclear(said(Reason::Timeout)),
        400..=498 => Outcome::Failed(said(Reason::Unavailable)),
        _ => Outcome::Unclear(said(Reason::Unavailable)),
    }
}

impl Provider for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        match self.endpoint(call) {
            Ok(endpoint) => vec![target::origin(&endpoint.base)],
            // No grant has this name, so that a URL that cannot be used is refused before it is looked at again. What was
            // given is not repeated: it may hold a password.
            Err(_) => vec!["(not an endpoint)".to_owned()],
        }
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move { Value::or_unknown(self.answer(call).await) }.boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.send(call).boxed()
    }

    fn references(&self, used: &Use) -> Vec<Reference> {
        self.named(used)
    }

    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Resolved> {
        self.look_up(reference).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async move {
            let mut lines = vec![Health {
                subject: "http".to_owned(),
                state: HealthState::Good,
                detail: format!("URLs may lead to: {}", self.addresses.join(", ")),
            }];
            lines.extend(futures::future::join_all(self.endpoints.values().map(|endpoint| self.look(endpoint))).await);
            lines
        }
        .boxed()
    }
}

impl Http {
    /// One line about an endpoint: does it answer, and does it take who we are.
    async fn look(&self, endpoint: &Endpoint) -> Health {
        let subject = format!("http {}", endpoint.name);
        let line = |state, detail: String| Health {
            subject: subject.clone(),
            state,
            detail,
        };
        let asked = async {
            let url = endpoint.with_secret_path()?.url("", &Value::None)?;
            let headers = headers::of_call(endpoint.config.as_deref(), &Value::None, &Value::None)?;
            let client = self.clients.get(endpoint, true)?;
            let request = Request {
                method: Method::GET,
                url,
                headers,
                body: None,
            };
            let until = Instant::now() + Duration::from_secs(5);
            let sent = exchange::send(&client, request, true, until).await;
            sent.map(|(response, _)| response.status().as_u16())
                .map_err(Failed::unknown)
        };
        let origin = target::origin(&endpoint.base);
        match asked.await {
            Ok(401 | 403) => line(
                HealthState::Limited,
                format!("{origin} answers, and turns our credential away"),
            ),
            Ok(status) if status >= 500 => line(HealthState::Limited, format!("{origin} answers with status {status}")),
            Ok(status) => line(HealthState::Good, format!("{origin} answers with status {status}")),
            Err(problem) => line(HealthState::Bad, format!("{origin}: {problem}")),
        }
    }
}
