//! Requests that a provider makes whole itself, signed perhaps, on the same guard, trust and limits as everything over HTTP.

use super::client::Clients;
use super::config::EndpointConfig;
use super::exchange::{self, Request};
use super::service::NoAnswer;
use super::target::{self, refusal};
use crate::value::Reason;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Something to send.
pub struct Sending {
    pub method: Method,
    /// Absolute.
    pub url: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// True when nobody could tell afterwards whether it was done: it never goes over a connection that was used before.
    pub change: bool,
}

/// What came back, whole.
pub struct Received {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The connections of one provider.
#[derive(Default)]
pub struct Raw(Clients);

impl Raw {
    /// Sends it. `trust` says which addresses and authorities are trusted; its own URL is not looked at.
    pub async fn send(&self, trust: &EndpointConfig, sending: Sending, until: Instant) -> Result<Received, NoAnswer> {
        let unsent = |reason: Reason, detail: String| NoAnswer {
            unknown: refusal(reason, detail),
            sent: false,
        };
        let url = target::parse(&sending.url).map_err(|problem| unsent(Reason::Unparsable, problem))?;
        let mut base = url.clone();
        base.set_query(None);
        base.set_path("/");
        let config = EndpointConfig {
            url: base.to_string(),
            ..trust.clone()
        };
        let name = format!(
            "{} {}",
            base.host_str().unwrap_or_default(),
            base.port().unwrap_or_default()
        );
        let endpoint = target::configured(&name, &config).map_err(|problem| unsent(Reason::Unavailable, problem))?;
        let client = self
            .0
            .get(&endpoint, sending.change)
            .map_err(|unknown| NoAnswer { unknown, sent: false })?;
        let request = Request {
            method: sending.method,
            url,
            headers: sending.headers,
            body: Some(sending.body),
        };
        let (mut response, _) = exchange::send(&client, request, false, until).await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = exchange::whole(&mut response, until)
            .await
            .map_err(|unknown| NoAnswer { unknown, sent: true })?;
        Ok(Received { status, headers, body })
    }
}

/// Headers of names and values; the first that cannot be sent is named.
///
/// # Errors
/// The name of the header.
pub fn headers(of: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in of {
        let key: reqwest::header::HeaderName = name.parse().map_err(|_| name.clone())?;
        headers.insert(key, value.parse().map_err(|_| name.clone())?);
    }
    Ok(headers)
}
