//! A server that keeps lines: a POST of the line keeps it, a GET reads them all.

use super::{Kept, MOST_BYTES, Offer, PATIENCE, Refusal, Sink, statements};
use crate::journal::checkpoint::Statement;
use crate::secrets::{SecretSource, SecretText};
use futures::future::BoxFuture;

/// Sends lines to this address.
pub struct Https {
    url: String,
    bearer: Option<SecretSource>,
}

impl Https {
    /// An address that begins with `https://`; plain `http://` is taken for this machine only.
    pub fn new(url: &str) -> Result<Self, String> {
        Self::with(url, None)
    }

    /// The same with a credential, which is read each time that it is needed and shown nowhere.
    pub fn with(url: &str, bearer: Option<SecretSource>) -> Result<Self, String> {
        check_url(url)?;
        Ok(Self {
            url: url.to_owned(),
            bearer,
        })
    }
}

impl Sink for Https {
    fn place(&self) -> String {
        shown(&self.url)
    }

    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        Box::pin(async {
            let line = format!("{}\n", offer.checkpoint().line());
            let bearer = credential(self.bearer.as_ref()).map_err(Refusal::Unusable)?;
            let reply = post(&self.url, bearer.as_ref(), line)
                .await
                .map_err(Refusal::Unusable)?;
            match reply.status {
                200..=299 => Ok(Kept::default()),
                409 => Err(Refusal::Contradicted(one_line(&reply.body))),
                status => Err(Refusal::Unusable(format!("it answered {status}"))),
            }
        })
    }
}

/// What the server says.
pub async fn read(url: &str, bearer: Option<&SecretSource>) -> Result<Vec<Statement>, String> {
    check_url(url)?;
    let bearer = credential(bearer)?;
    let reply = get(url, bearer.as_ref()).await?;
    match reply.status {
        200 => statements(&reply.body),
        404 => Ok(Vec::new()),
        status => Err(format!("it answered {status}")),
    }
}

fn credential(source: Option<&SecretSource>) -> Result<Option<SecretText>, String> {
    let read = source.map(SecretSource::read).transpose();
    read.map_err(|why| format!("its credential cannot be used: {why}"))
}

/// The place for people. What follows a `?` may be meant for the server alone.
pub fn shown(url: &str) -> String {
    format!("https {}", url.split('?').next().unwrap_or(url))
}

/// What a server answered.
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// The first line of a reply, as it can be shown.
pub fn one_line(body: &str) -> String {
    body.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

/// Whether an anchor may be asked at this address.
pub fn check_url(url: &str) -> Result<(), String> {
    let shown = url.escape_debug();
    let rest = if let Some(rest) = url.strip_prefix("https://") {
        rest
    } else if let Some(rest) = url.strip_prefix("http://") {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let local = ["127.0.0.1", "localhost", "[::1]"];
        let name = host
            .rsplit_once(':')
            .filter(|(_, port)| !port.contains(']'))
            .map_or(host, |(name, _)| name);
        if !local.contains(&name) {
            return Err(format!(
                "`{shown}`: only an address of this machine may be asked without TLS"
            ));
        }
        rest
    } else {
        return Err(format!("`{shown}` does not begin with https://"));
    };
    if rest.is_empty() || rest.starts_with('/') || rest.contains('@') || url.contains(char::is_whitespace) {
        return Err(format!("`{shown}` is not an address"));
    }
    Ok(())
}

#[cfg(feature = "http")]
mod client {
    use super::{MOST_BYTES, PATIENCE, Reply, SecretText};
    use std::sync::Arc;

    fn client() -> Result<reqwest::Client, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls_platform_verifier::Verifier::new(provider.clone())
            .map_err(|_| "this machine has no certificate authorities; install ca-certificates".to_owned())?;
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| error.to_string())
    }

    pub async fn post(url: &str, bearer: Option<&SecretText>, body: String) -> Result<Reply, String> {
        let request = client()?
            .post(url)
            .header("content-type", "text/plain; charset=utf-8")
            .body(body);
        send(with(request, bearer)?).await
    }

    pub async fn get(url: &str, bearer: Option<&SecretText>) -> Result<Reply, String> {
        send(with(client()?.get(url), bearer)?).await
    }

    fn with(request: reqwest::RequestBuilder, bearer: Option<&SecretText>) -> Result<reqwest::RequestBuilder, String> {
        let Some(bearer) = bearer else { return Ok(request) };
        let mut value = reqwest::header::HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
            .map_err(|_| "its credential holds a character that no header can hold".to_owned())?;
        value.set_sensitive(true);
        Ok(request.header(reqwest::header::AUTHORIZATION, value))
    }

    async fn send(request: reqwest::RequestBuilder) -> Result<Reply, String> {
        let failed = |error: reqwest::Error| {
            let mut said = error.without_url().to_string();
            if said.is_empty() {
                said = "it cannot be reached".to_owned();
            }
            said
        };
        let mut reply = request.send().await.map_err(failed)?;
        let status = reply.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > MOST_BYTES {
                return Err(format!("it answered with more than {MOST_BYTES} bytes"));
            }
        }
        let body = String::from_utf8(body).map_err(|_| "its answer is not UTF-8".to_owned())?;
        Ok(Reply { status, body })
    }
}

#[cfg(not(feature = "http"))]
mod client {
    use super::{Reply, SecretText};

    pub async fn post(_: &str, _: Option<&SecretText>, _: String) -> Result<Reply, String> {
        Err("this starr was built without `http`".to_owned())
    }

    pub async fn get(_: &str, _: Option<&SecretText>) -> Result<Reply, String> {
        Err("this starr was built without `http`".to_owned())
    }
}

use client::get;
pub use client::post;
