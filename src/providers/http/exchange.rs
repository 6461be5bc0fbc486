//! Request and reply, within limits.

use super::fault::{Failed, of_request};
use super::headers::{self, kept};
use super::target::{Endpoint, parse, same_origin};
use crate::provider::notes;
use crate::value::{Reason, Unknown, Value};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Method, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Most bytes read of a body, after decompression.
const READ_BYTES: u64 = crate::limits::HTTP_READ_BYTES;

/// Most bytes kept of a body.
const KEPT_BYTES: usize = crate::limits::HTTP_KEPT_BYTES;

/// Most redirects followed, all within one origin.
const REDIRECTS: usize = crate::limits::HTTP_REDIRECTS;

/// Most bytes of all headers of a reply.
const HEADER_BYTES: usize = crate::limits::HTTP_REPLY_HEADER_BYTES;

/// A request that can be sent.
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
}

/// Sends a request and waits for the head of the reply. A read follows redirects that stay within the origin; any other is the
/// reply.
pub async fn send(client: &Client, request: Request, follow: bool, until: Instant) -> Result<(Response, Url), Failed> {
    let mut url = request.url;
    for _ in 0..=REDIRECTS {
        let mut sending = client
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone());
        if let Some(body) = &request.body {
            sending = sending.body(body.clone());
        }
        let response = match tokio::time::timeout_at(until, sending.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(problem)) => return Err(of_request(&problem)),
            Err(_elapsed) => return Err(Failed::late()),
        };
        let bytes: usize = response
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        if bytes > HEADER_BYTES {
            return Err(Failed {
                fault: super::fault::Fault::Unknown(Unknown {
                    reason: Reason::Truncated,
                    detail: "the reply's headers are larger than 64 KiB".to_owned(),
                }),
                sent: true,
            });
        }
        match next(&response, &url).filter(|_| follow) {
            Some(target) => url = target,
            None => {
                if matches!(response.status().as_u16(), 429 | 503)
                    && let Some(wait) = headers::again_after(response.headers(), Timestamp::now())
                {
                    notes::again_after(wait);
                }
                return Ok((response, url));
            }
        }
    }
    Err(Failed {
        fault: super::fault::Fault::Unknown(Unknown {
            reason: Reason::Truncated,
            detail: format!("more than {REDIRECTS} redirects"),
        }),
        sent: true,
    })
}

/// Where a redirect leads, when it stays within the origin.
fn next(response: &Response, from: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut target = from.join(location).ok()?;
    target.set_fragment(None);
    let target = parse(target.as_str()).ok()?;
    same_origin(&target, from).then_some(target)
}

/// How reading a body ended.
enum Ended {
    Whole,
    TooLarge,
    Late,
    Broken,
}

impl Ended {
    /// Why there is no whole body.
    fn problem(&self) -> Option<Unknown> {
        let (reason, detail) = match self {
            Ended::Whole => return None,
            Ended::TooLarge => (Reason::Truncated, "the body is larger than 10 MiB"),
            Ended::Late => (Reason::Timeout, "the body did not end in time"),
            Ended::Broken => (Reason::Unparsable, "the body broke off or cannot be decompressed"),
        };
        Some(Unknown {
            reason,
            detail: detail.to_owned(),
        })
    }
}

/// A whole body of at most 10 MiB, for whoever has no use for a part of it.
pub async fn whole(response: &mut Response, until: Instant) -> Result<Vec<u8>, Unknown> {
    let body = body(response, until, READ_BYTES as usize).await;
    body.ended.problem().map_or(Ok(body.bytes), Err)
}

struct Body {
    bytes: Vec<u8>,
    size: u64,
    ended: Ended,
}

/// Reads a body as far as the limits allow. What is counted is what comes out of the decompression.
async fn body(response: &mut Response, until: Instant, keep: usize) -> Body {
    let mut body = Body {
        bytes: Vec::new(),
        size: 0,
        ended: Ended::Whole,
    };
    loop {
        match tokio::time::timeout_at(until, response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                body.size = body.size.saturating_add(chunk.len() as u64);
                let room = (keep + 1).saturating_sub(body.bytes.len()).min(chunk.len());
                body.bytes.extend_from_slice(&chunk[..room]);
                if body.size > READ_BYTES {
                    body.ended = Ended::TooLarge;
                    return body;
                }
            }
            Ok(Ok(None)) => return body,
            Ok(Err(_)) => {
                body.ended = Ended::Broken;
                return body;
            }
            Err(_elapsed) => {
                body.ended = Ended::Late;
                return body;
            }
        }
    }
}

/// The record `Reply`, and why it is not whole. What of the body could not be had is unknown; the status stands in any case.
pub async fn reply(
    mut response: Response,
    url: &Url,
    endpoint: &Endpoint,
    keep: &Value,
    begin: Instant,
    until: Instant,
) -> (Value, Option<Unknown>) {
    let status = response.status().as_u16();
    // A redirect may repeat the path.
    if endpoint.hidden() {
        response.headers_mut().remove(LOCATION);
    }
    let headers = kept(response.headers(), keep);
    let body = body(&mut response, until, KEPT_BYTES).await;
    let time = begin.elapsed();
    let cut = match body.ended {
        Ended::Whole | Ended::TooLarge => None,
        Ended::Late | Ended::Broken => body.ended.problem(),
    };
    (shown(status, headers, body, &endpoint.shown(url), time), cut)
}

fn shown(status: u16, headers: serde_json::Value, body: Body, url: &str, time: Duration) -> Value {
    let problem = match body.ended {
        Ended::Whole if body.size > KEPT_BYTES as u64 => Some(Unknown {
            reason: Reason::Truncated,
            detail: format!("the body has {} bytes; more than 1 MiB is not kept", body.size),
        }),
        _ => body.ended.problem(),
    };
    let size = match body.ended {
        Ended::Whole => Value::bytes(body.size),
        _ => Value::Unknown(Arc::new(
            problem.clone().expect("a body that is not whole has a reason"),
        )),
    };
    let (text, json) = match problem {
        Some(problem) => {
            let unknown = Value::Unknown(Arc::new(problem));
            (unknown.clone(), unknown)
        }
        None => (
            match std::str::from_utf8(&body.bytes) {
                Ok(text) => Value::text(text),
                Err(_) => Value::unknown(Reason::Unparsable, "the body is not text in UTF-8"),
            },
            match serde_json::from_slice::<serde_json::Value>(&body.bytes) {
                Ok(document) => Value::Json(Arc::new(document)),
                Err(_) => Value::unknown(Reason::Unparsable, "the body is not JSON"),
            },
        ),
    };
    Value::record(
        "Reply",
        vec![
            ("status", Value::Int(status.into())),
            ("ok", Value::Bool(status < 400)),
            ("time", Value::duration(time)),
            ("url", Value::text(url)),
            ("headers", Value::Json(Arc::new(headers))),
            ("size", size),
            ("text", text),
            ("json", json),
        ],
    )
}
