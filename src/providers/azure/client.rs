//! Requests with a token: errors in the service's words, throttling with its hint, pages, and operations that go on after the reply.

use super::config::{Audience, server_name};
use super::{Azure, conceal};
use crate::limits::{AZURE_ATTEMPTS, AZURE_PAGES};
use crate::provider::backoff::{Backoff, Next};
use crate::providers::failure::{Failure, excerpt, wrong};
use crate::providers::http::headers::again_after;
use crate::providers::http::service::{Answer, Asked, NoAnswer, Place};
use crate::value::{Reason, Unknown};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, IF_MATCH};
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for the next look at an operation when the service does not say.
const NEXT_LOOK: Duration = Duration::from_secs(5);
/// The shortest and the longest wait that the service may ask for.
const LEAST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest first pause before a request is sent again.
const PAUSE: Duration = Duration::from_millis(500);

/// One request to a service of a subscription.
#[derive(Clone)]
pub struct Ask<'a> {
    pub subscription: &'a str,
    pub audience: Audience,
    /// The vault or registry whose server is asked; the subscription for everything else.
    pub owner: &'a str,
    pub method: Method,
    pub path: String,
    pub query: Vec<(&'a str, String)>,
    pub body: Option<Json>,
    /// `etag` that the resource must still have.
    pub version: Option<String>,
    /// True when it changes nothing, whatever its method.
    pub reads: bool,
    /// True for a look at an operation that was begun: the call as a whole cannot be made again because of it.
    pub midst: bool,
    /// True when the answer is a secret itself: who asks takes it out and remembers it.
    pub secret: bool,
}

impl<'a> Ask<'a> {
    /// A question to the resource manager.
    pub fn manager(subscription: &'a str, method: Method, path: String, version: &str) -> Self {
        Self {
            subscription,
            audience: Audience::Manager,
            owner: subscription,
            reads: method == Method::GET,
            method,
            path,
            query: vec![("api-version", version.to_owned())],
            body: None,
            version: None,
            midst: false,
            secret: false,
        }
    }

    /// The same with a body.
    pub fn with(mut self, body: Json) -> Self {
        self.body = Some(body);
        self
    }
}

/// What a service said.
pub struct Said {
    pub status: u16,
    pub headers: HeaderMap,
    pub json: Json,
}

/// What stands in an error of a service: its code and its words.
fn error_of(answer: &Answer) -> (String, String) {
    let json = answer.json().unwrap_or(Json::Null);
    let error = match json.get("error") {
        Some(Json::Object(_)) => json.get("error"),
        // Tokens are refused with a word in this place, and registries with a list.
        Some(Json::String(code)) => {
            let said = json.get("error_description").and_then(Json::as_str).unwrap_or_default();
            return (code.clone(), said.to_owned());
        }
        _ => json.pointer("/errors/0").or(Some(&json)),
    };
    let word = |name: &str| {
        error
            .and_then(|error| error.get(name))
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    (word("code"), word("message"))
}

/// What an answer that is no success means.
pub fn problem(answer: &Answer) -> Unknown {
    let (code, message) = error_of(answer);
    let reason = match (answer.status, code.as_str()) {
        (_, "TooManyRequests" | "OperationThrottled" | "ThrottledError" | "SubscriptionRequestsThrottled") => {
            Reason::Throttled
        }
        (_, "AuthorizationFailed" | "InsufficientAccessError" | "LinkedAuthorizationFailed") => Reason::Denied,
        (401 | 403, _) => Reason::Denied,
        (404 | 410, _) => Reason::Missing,
        (408 | 504, _) => Reason::Timeout,
        (429, _) => Reason::Throttled,
        (400 | 405 | 422, _) => Reason::Unparsable,
        _ => Reason::Unavailable,
    };
    let mut detail = format!("Azure answered with status {}", answer.status);
    for part in [code, message] {
        if !part.is_empty() {
            detail = format!("{detail}: {}", excerpt(&part, 300));
        }
    }
    wrong(reason, detail)
}

/// How long to wait before the next look at an operation.
fn next_look(headers: &HeaderMap) -> Duration {
    again_after(headers, Timestamp::now())
        .unwrap_or(NEXT_LOOK)
        .clamp(LEAST_WAIT, LONGEST_WAIT)
}

/// Whether this request is sent again here. A first one that was throttled is not: then the whole call is made again, by the
/// patience that all providers share. A page or a look at an operation in the midst of a call is, and a read while the service is away.
fn again(status: u16, midst: bool, reads: bool) -> bool {
    match status {
        429 => midst,
        408 | 500 | 502 | 503 | 504 => reads,
        _ => false,
    }
}

fn failure(unanswered: NoAnswer) -> Failure {
    if unanswered.sent {
        Failure::from(unanswered.unknown).after_sending()
    } else {
        Failure::from(unanswered.unknown)
    }
}

impl Azure {
    async fn once(&self, ask: &Ask<'_>, place: Place<'_>, until: Instant) -> Result<(HeaderMap, Answer), Failure> {
        let tokens = self.tokens(ask.subscription)?;
        let token = tokens.token(ask.audience, until).await?;
        let mut headers = HeaderMap::new();
        let unsent = || Failure::definite(Reason::Unparsable, "a header cannot be sent");
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| unsent())?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        if let Some(version) = &ask.version {
            headers.insert(IF_MATCH, HeaderValue::from_str(version).map_err(|_| unsent())?);
        }
        let asked = Asked {
            method: ask.method.clone(),
            change: !ask.reads,
            place,
            headers,
            body: ask
                .body
                .as_ref()
                .map(|body| ("application/json", body.to_string().into_bytes())),
        };
        self.service
            .exchange(&server_name(ask.audience, ask.owner), asked, until)
            .await
            .map_err(failure)
    }

    /// Sends a request, again while that may help and there is time. `next` is a page or an operation to look at.
    async fn patiently(&self, ask: &Ask<'_>, next: Option<&str>, until: Instant) -> Result<Said, Failure> {
        let mut attempts = Backoff::new(AZURE_ATTEMPTS, PAUSE, until);
        loop {
            let place = match next {
                Some(url) => Place::Whole(url),
                None => Place::Path(&ask.path, &ask.query),
            };
            let (headers, answer) = self.once(ask, place, until).await?;
            if (200..300).contains(&answer.status) {
                return said(headers, &answer, ask.secret);
            }
            let mut unknown = problem(&answer);
            let midst = ask.midst || next.is_some();
            if again(answer.status, midst, ask.reads) && attempts.again(&unknown).await == Next::Again {
                continue;
            }
            let made = attempts.made();
            if made > 1 {
                unknown.detail = format!("{} (asked {made} times)", unknown.detail);
            }
            if let Some(wait) = again_after(&headers, Timestamp::now()) {
                unknown.detail = format!("{}; it wants to be asked again in {} s", unknown.detail, wait.as_secs());
            }
            return Err(match answer.refused() {
                crate::provider::Outcome::Unclear(_) => Failure::from(unknown).after_sending(),
                _ => Failure::from(unknown),
            });
        }
    }

    /// What the service says to a request; anything but a success is a failure.
    pub(super) async fn ask(&self, ask: &Ask<'_>, until: Instant) -> Result<Said, Failure> {
        self.patiently(ask, None, until).await
    }

    /// All that a list holds, page by page; and whether there is more than `most`.
    pub(super) async fn pages(&self, ask: &Ask<'_>, most: usize, until: Instant) -> Result<(Vec<Json>, bool), Unknown> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..AZURE_PAGES {
            let said = self
                .patiently(ask, next.as_deref(), until)
                .await
                .map_err(|failure| failure.unknown)?;
            let Some(Json::Array(page)) = said.json.get("value") else {
                return Err(wrong(Reason::Unparsable, "Azure's list has no `value`"));
            };
            items.extend(page.iter().cloned());
            if items.len() > most {
                items.truncate(most);
                return Ok((items, true));
            }
            let link = said.json.get("nextLink").or_else(|| said.json.get("@odata.nextLink"));
            match link.and_then(Json::as_str).filter(|link| !link.is_empty()) {
                Some(link) => next = Some(link.to_owned()),
                None => return Ok((items, false)),
            }
        }
        Ok((items, true))
    }

    /// Sends a change and waits until the service has ended it. What it says at the end: the resource, or nothing.
    pub(super) async fn settle(&self, ask: &Ask<'_>, until: Instant) -> Result<Json, Failure> {
        let said = self.ask(ask, until).await?;
        let unclear = |failure: Failure| failure.after_sending();
        if let Some(url) = link(&said.headers, "azure-asyncoperation") {
            self.watch(ask, &url, &said.headers, until).await.map_err(unclear)?;
            let read = self.after(ask, &said.headers, until).await.map_err(unclear)?;
            return Ok(read.unwrap_or(said.json));
        }
        if said.status == 202 {
            let Some(url) = link(&said.headers, "location") else {
                return Ok(said.json);
            };
            return self.follow(ask, &url, &said.headers, until).await.map_err(unclear);
        }
        // Some services answer at once and say in the resource that they are not done.
        if matches!(ask.method, Method::PUT | Method::PATCH) && !ended(&said.json) {
            return self.until_ended(ask, &said.headers, until).await.map_err(unclear);
        }
        Ok(said.json)
    }

    async fn pause(&self, headers: &HeaderMap, until: Instant) -> Result<(), Failure> {
        let pause = next_look(headers);
        if Instant::now() + pause >= until {
            return Err(Failure::unclear(
                Reason::Timeout,
                "Azure took the change and has not ended it in time",
            ));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Looks at an operation until it has ended.
    async fn watch(&self, ask: &Ask<'_>, url: &str, first: &HeaderMap, until: Instant) -> Result<Json, Failure> {
        let look = self.look(ask);
        let mut headers = first.clone();
        loop {
            self.pause(&headers, until).await?;
            let said = self.patiently(&look, Some(url), until).await?;
            let status = said.json.get("status").and_then(Json::as_str).unwrap_or_default();
            match status.to_ascii_lowercase().as_str() {
                "succeeded" => return Ok(said.json),
                "failed" | "canceled" | "cancelled" => return Err(not_done(&said.json, status)),
                "" if !matches!(said.status, 202) => {
                    return Err(Failure::unclear(
                        Reason::Unparsable,
                        "Azure does not say how the operation is",
                    ));
                }
                _ => headers = said.headers,
            }
        }
    }

    /// Follows `Location` until the service no longer says "accepted".
    async fn follow(&self, ask: &Ask<'_>, url: &str, first: &HeaderMap, until: Instant) -> Result<Json, Failure> {
        let look = self.look(ask);
        let mut url = url.to_owned();
        let mut headers = first.clone();
        loop {
            self.pause(&headers, until).await?;
            let said = self.patiently(&look, Some(&url), until).await?;
            let state = said
                .json
                .pointer("/properties/provisioningState")
                .or_else(|| said.json.get("status"));
            match state.and_then(Json::as_str) {
                Some(state) if matches!(state, "Failed" | "Canceled") => return Err(not_done(&said.json, state)),
                _ if said.status != 202 => return Ok(said.json),
                _ => {}
            }
            if let Some(next) = link(&said.headers, "location") {
                url = next;
            }
            headers = said.headers;
        }
    }

    /// Reads the resource until it says that it is done.
    async fn until_ended(&self, ask: &Ask<'_>, first: &HeaderMap, until: Instant) -> Result<Json, Failure> {
        let look = self.look(ask);
        let mut headers = first.clone();
        loop {
            self.pause(&headers, until).await?;
            let said = self.ask(&look, until).await?;
            let state = state(&said.json).unwrap_or_default();
            if matches!(state, "Failed" | "Canceled") {
                return Err(not_done(&said.json, state));
            }
            if ended(&said.json) {
                return Ok(said.json);
            }
            headers = said.headers;
        }
    }

    /// The resource after a change, where its own way leads to it; what `Location` gives otherwise.
    async fn after(&self, ask: &Ask<'_>, headers: &HeaderMap, until: Instant) -> Result<Option<Json>, Failure> {
        let look = self.look(ask);
        match ask.method {
            Method::PUT | Method::PATCH => Ok(Some(self.ask(&look, until).await?.json)),
            Method::POST => match link(headers, "location") {
                Some(url) => {
                    let said = self.patiently(&look, Some(&url), until).await?;
                    Ok(Some(said.json))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn look<'a>(&self, ask: &Ask<'a>) -> Ask<'a> {
        Ask {
            method: Method::GET,
            body: None,
            version: None,
            reads: true,
            midst: true,
            ..ask.clone()
        }
    }
}

fn link(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn state(json: &Json) -> Option<&str> {
    json.pointer("/properties/provisioningState").and_then(Json::as_str)
}

/// True when a resource does not say that it is still being changed.
fn ended(json: &Json) -> bool {
    state(json).is_none_or(|state| {
        let state = state.to_ascii_lowercase();
        matches!(
            state.as_str(),
            "succeeded" | "failed" | "canceled" | "provisioned" | "ready"
        )
    })
}

/// The service ended the operation without success: how far it came is not known.
fn not_done(json: &Json, state: &str) -> Failure {
    let word = |name: &str| {
        let found = json
            .pointer(&format!("/error/{name}"))
            .or_else(|| json.pointer(&format!("/properties/{name}")));
        found.and_then(Json::as_str).unwrap_or_default()
    };
    let said = format!("{} {}", word("code"), word("message"));
    let said = excerpt(&said, 300);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Failure::unclear(
        Reason::Unavailable,
        format!("Azure took the change and ended it as {}{said}", excerpt(state, 40)),
    )
}

/// What a success says.
fn said(headers: HeaderMap, answer: &Answer, secret: bool) -> Result<Said, Failure> {
    let mut json = if answer.body.is_empty() {
        Json::Null
    } else {
        answer
            .json()
            .map_err(|unknown| Failure::from(unknown).after_sending())?
    };
    if !secret {
        conceal::conceal(&mut json);
    }
    Ok(Said {
        status: answer.status,
        headers,
        json,
    })
}

#[cfg(test)]
mod tests {
    use super::{again, ended, problem};
    use crate::providers::http::service::Answer;
    use crate::value::Reason;
    use serde_json::json;

    fn of(status: u16, body: &str) -> (Reason, String) {
        let unknown = problem(&Answer {
            status,
            body: body.as_bytes().to_vec(),
        });
        (unknown.reason, unknown.detail)
    }

    #[test]
    fn errors_are_told_in_the_service_s_words() {
        let body = r#"{"error":{"code":"AuthorizationFailed","message":"The client has no right."}}"#;
        let (reason, detail) = of(403, body);
        assert_eq!(reason, Reason::Denied);
        assert!(
            detail.contains("AuthorizationFailed: The client has no right."),
            "{detail}"
        );
        assert_eq!(of(404, "").0, Reason::Missing);
        assert_eq!(of(429, "{}").0, Reason::Throttled);
        assert_eq!(of(400, "<html>").0, Reason::Unparsable);
        assert_eq!(of(500, "").0, Reason::Unavailable);
        assert!(
            of(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}"#)
                .1
                .contains("UNAUTHORIZED: no")
        );
        assert!(
            of(400, r#"{"error":"invalid_client","error_description":"AADSTS7000215"}"#)
                .1
                .contains("AADSTS7000215")
        );
    }

    #[test]
    fn a_request_is_sent_again_only_when_it_does_no_harm_and_nobody_else_does_it() {
        assert!(again(429, true, false) && again(503, false, true));
        assert!(!again(429, false, true) && !again(503, false, false) && !again(400, true, true));
    }

    #[test]
    fn a_resource_says_when_it_is_done() {
        assert!(ended(&json!({})));
        assert!(ended(&json!({"properties": {"provisioningState": "Succeeded"}})));
        assert!(!ended(&json!({"properties": {"provisioningState": "InProgress"}})));
    }
}
