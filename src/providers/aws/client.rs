//! One operation of one account: made, signed, sent, read; again where its class and the refusal allow it.

use super::conceal;
use super::config::AccountConfig;
use super::credentials::Source;
use super::decode::HIDDEN;
use super::wire::{self, Refusal, Wire};
use crate::limits::{AWS_ATTEMPTS, AWS_SAID_CHARACTERS};
use crate::models::aws::{Method, Place, Service};
use crate::provider::backoff::{Backoff, Next};
use crate::provider::notes;
use crate::providers::failure::{Failure, excerpt};
use crate::providers::http::config::EndpointConfig;
use crate::providers::http::headers::again_after;
use crate::providers::http::raw::{Raw, Received, Sending, headers};
use crate::value::Reason;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The longest first pause before a request is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// An account in a region.
pub struct Account {
    pub name: String,
    pub config: AccountConfig,
    trust: EndpointConfig,
    credentials: Source,
    raw: Raw,
}

/// What came back of an operation.
pub struct Answered {
    pub status: u16,
    pub values: Map<String, Json>,
    /// The service's own clock, where it says what time it is.
    pub clock: Option<Timestamp>,
}

/// A refusal of the service, or no answer at all.
#[derive(Clone, Debug)]
pub struct Refused {
    pub failure: Failure,
    /// The service's own name for it; empty when nothing came back.
    pub code: String,
    pub status: u16,
    /// True when another attempt may help.
    passing: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            code: String::new(),
            status: 0,
            passing: false,
        }
    }
}

/// True when the same call may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// A look, or a change with a key.
    Harmless,
    Never,
}

const THROTTLED: &[&str] = &[
    "throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "SlowDown",
    "ProvisionedThroughputExceeded",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "RequestThrottled",
    "LimitExceededFault",
];

const DENIED: &[&str] = &[
    "AccessDenied",
    "Unauthorized",
    "NotAuthorized",
    "SignatureDoesNotMatch",
    "InvalidSignature",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClient",
    "ExpiredToken",
    "AuthFailure",
    "MissingAuthenticationToken",
    "OptInRequired",
    "InvalidToken",
];

const MISSING: &[&str] = &["NotFound", "NoSuch", "DoesNotExist", "NonExistent", "Unknown.Resource"];

/// Refusals whose text quotes what was signed.
const QUOTING: &[&str] = &["Signature", "Token"];

fn is(code: &str, words: &[&str]) -> bool {
    let code = code.to_ascii_lowercase();
    words.iter().any(|word| code.contains(&word.to_ascii_lowercase()))
}

/// What a refusal means.
fn meaning(status: u16, refusal: &Refusal) -> Reason {
    let code = refusal.code.as_str();
    match status {
        _ if is(code, THROTTLED) => Reason::Throttled,
        _ if is(code, DENIED) => Reason::Denied,
        _ if is(code, MISSING) => Reason::Missing,
        429 => Reason::Throttled,
        401 | 403 => Reason::Denied,
        404 | 410 => Reason::Missing,
        408 | 504 => Reason::Timeout,
        _ => Reason::Unavailable,
    }
}

fn refused(status: u16, refusal: &Refusal) -> Refused {
    let reason = meaning(status, refusal);
    let code = if refusal.code.is_empty() {
        format!("status {status}")
    } else {
        excerpt(&refusal.code, 80)
    };
    let said = if refusal.message.is_empty() || QUOTING.iter().any(|word| refusal.code.contains(word)) {
        code
    } else {
        format!("{code}: {}", excerpt(&refusal.message, AWS_SAID_CHARACTERS))
    };
    let definite = (400..500).contains(&status) && status != 408 && status != 499;
    let failure = if definite {
        Failure::definite(reason, said)
    } else {
        Failure::unclear(reason, said)
    };
    Refused {
        failure,
        code: refusal.code.clone(),
        status,
        // Who is asked too much is asked again by the patience that all providers share.
        passing: reason != Reason::Throttled && ((500..600).contains(&status) || status == 408),
    }
}

/// The headers whose values are texts.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

impl Account {
    pub fn new(name: &str, config: &AccountConfig) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
            trust: config.trust(),
            credentials: Source::new(config),
            raw: Raw::default(),
        }
    }

    fn place(&self, service: &Service) -> Result<Place, Failure> {
        service.place(&self.config.region).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("where `{}` is in `{}` is not known", service.name, self.config.region),
            )
        })
    }

    /// Where a request goes: the service's own address, or the one of the configuration.
    fn url(&self, place: &Place, prefix: &str, path: &str) -> String {
        match &self.config.endpoint {
            Some(endpoint) => format!("{}{path}", endpoint.trim_end_matches('/')),
            None => {
                let url = place.url.trim_end_matches('/');
                let url = match url.split_once("://") {
                    Some((scheme, host)) => format!("{scheme}://{prefix}{host}"),
                    None => url.to_owned(),
                };
                format!("{url}{path}")
            }
        }
    }

    async fn signed(
        &self,
        service: &Service,
        place: &Place,
        url: &str,
        wire: &Wire,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let key = self
            .credentials
            .key()
            .await
            .map_err(|problem| Failure::definite(Reason::Denied, problem))?;
        let identity = key.into();
        let mut settings = SigningSettings::default();
        if service.name == "s3" || service.name == "s3control" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let wrong = || Failure::definite(Reason::Internal, "the request cannot be signed");
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&place.signing_region)
            .name(&place.signing_name)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|_| wrong())?
            .into();
        let names = wire.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request =
            SignableRequest::new(&wire.method, url, names, SignableBody::Bytes(&wire.body)).map_err(|_| wrong())?;
        let (instructions, _) = sign(request, &params).map_err(|_| wrong())?.into_parts();
        let mut headers = wire.headers.clone();
        headers.extend(
            instructions
                .headers()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Ok(headers)
    }

    async fn once(
        &self,
        (service, method): (&Arc<Service>, &Method),
        values: &Map<String, Json>,
        again: Again,
        until: Instant,
    ) -> Result<Received, Refused> {
        let invalid = |problem: String| Failure::definite(Reason::Unparsable, problem);
        if values.values().any(conceal::is_marked) {
            // What was read without its secrets would be written without them.
            let problem = format!(
                "`{}` would get `{HIDDEN}` in the place of what is never shown",
                method.name
            );
            return Err(invalid(problem).into());
        }
        let wire = wire::request(service, method, values).map_err(invalid)?;
        let place = self.place(service)?;
        let prefix = wire::host_prefix(method, values).map_err(invalid)?;
        let url = self.url(&place, &prefix, &wire.path);
        let all = if method.unsigned {
            wire.headers.clone()
        } else {
            self.signed(service, &place, &url, &wire).await?
        };
        let map = headers(&all)
            .map_err(|name| Failure::definite(Reason::Unparsable, format!("the header `{name}` cannot be sent")))?;
        let sending = Sending {
            method: wire
                .method
                .parse()
                .map_err(|_| Failure::definite(Reason::Internal, "the model names no method of HTTP"))?,
            url,
            headers: map,
            body: wire.body,
            change: again == Again::Never,
        };
        let received = self
            .raw
            .send(&self.trust, sending, until)
            .await
            .map_err(|failed| Failure {
                unknown: failed.unknown,
                definite: !failed.sent,
            })?;
        if (200..300).contains(&received.status) {
            return Ok(received);
        }
        let refusal = wire::refusal(
            service,
            method,
            received.status,
            &texts(&received.headers),
            &received.body,
        );
        if let Some(wait) = again_after(&received.headers, Timestamp::now()) {
            notes::again_after(wait);
        }
        Err(refused(received.status, &refusal))
    }

    fn read(service: &Arc<Service>, method: &Method, received: Received) -> Result<Answered, Refused> {
        let Received { status, headers, body } = received;
        let headers = texts(&headers);
        let clock = headers
            .get("date")
            .and_then(|date| Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp()));
        let values = wire::answer(service, method, status, &headers, body).map_err(|problem| {
            // It was done: what cannot be read is only what it said about it.
            Failure::unclear(
                Reason::Unparsable,
                format!(
                    "the answer of `{}` cannot be read: {}",
                    method.name,
                    excerpt(&problem, AWS_SAID_CHARACTERS)
                ),
            )
        })?;
        Ok(Answered { status, values, clock })
    }

    /// Calls an operation, again where that is harmless and the refusal may pass.
    pub async fn call(
        &self,
        called: (&Arc<Service>, &Method),
        values: &Map<String, Json>,
        again: Again,
        until: Instant,
    ) -> Result<Answered, Refused> {
        let read = |received| Self::read(called.0, called.1, received);
        self.attempts(called, values, again, until, read).await
    }

    /// The body of an answer as it came: nothing is left out of it. Only [`super::secrets`] has a reason to look at that.
    pub async fn body(
        &self,
        called: (&Arc<Service>, &Method),
        values: &Map<String, Json>,
        until: Instant,
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let read = |received: Received| Ok(Zeroizing::new(received.body));
        self.attempts(called, values, Again::Harmless, until, read).await
    }

    async fn attempts<T>(
        &self,
        called: (&Arc<Service>, &Method),
        values: &Map<String, Json>,
        again: Again,
        until: Instant,
        read: impl Fn(Received) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut attempts = Backoff::new(AWS_ATTEMPTS, PAUSE, until);
        // An earlier attempt may have been carried out: what is refused later says nothing about it.
        let mut doubt = false;
        loop {
            let mut refused = match self.once(called, values, again, until).await.and_then(&read) {
                Ok(answered) => return Ok(answered),
                Err(refused) => refused,
            };
            doubt |= !refused.failure.definite;
            let may = again == Again::Harmless && refused.passing;
            if may && attempts.again(&refused.failure.unknown).await == Next::Again {
                continue;
            }
            refused.failure.definite = !doubt;
            let made = attempts.made();
            if made > 1 {
                let unknown = &mut refused.failure.unknown;
                unknown.detail = format!("{} (after {made} attempts)", unknown.detail);
            }
            return Err(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{meaning, refused};
    use crate::providers::aws::wire::Refusal;
    use crate::value::Reason;

    fn says(code: &str) -> Refusal {
        Refusal {
            code: code.to_owned(),
            message: "canary-token in the canonical request".to_owned(),
        }
    }

    #[test]
    fn refusals_have_their_meaning() {
        for (status, code, reason) in [
            (400, "ThrottlingException", Reason::Throttled),
            (400, "ProvisionedThroughputExceededException", Reason::Throttled),
            (503, "SlowDown", Reason::Throttled),
            (403, "AccessDeniedException", Reason::Denied),
            (403, "UnauthorizedOperation", Reason::Denied),
            (400, "ClusterNotFoundException", Reason::Missing),
            (404, "NoSuchBucket", Reason::Missing),
            (400, "ValidationException", Reason::Unavailable),
            (500, "InternalServerError", Reason::Unavailable),
        ] {
            assert_eq!(meaning(status, &says(code)), reason, "{code}");
        }
    }

    #[test]
    fn only_a_definite_refusal_of_a_change_is_definite_and_no_signature_is_quoted() {
        assert!(refused(400, &says("ValidationException")).failure.definite);
        assert!(!refused(500, &says("InternalServerError")).failure.definite);
        assert!(!refused(408, &says("RequestTimeout")).failure.definite);
        let quoted = refused(403, &says("SignatureDoesNotMatch"));
        assert!(!quoted.failure.unknown.detail.contains("canary"));
    }
}
