//! Headers that are sent and headers that are kept.

use super::config::{EndpointConfig, HeaderConfig};
use super::target::{refusal, scalar};
use crate::secrets::SecretText;
use crate::value::{Reason, Unknown, Value};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::time::Duration;

/// Most headers of a call, and longest value in bytes.
const MOST: usize = crate::limits::HTTP_HEADERS;
const VALUE_BYTES: usize = crate::limits::HTTP_VALUE_BYTES;

/// Headers that decide where and how a message ends, or who is asked. They are never given by a call.
const OURS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Response headers that are kept without being named: none of them holds a secret.
const KEPT: &[&str] = &[
    "age",
    "allow",
    "cache-control",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "strict-transport-security",
    "traceparent",
    "vary",
    "via",
    "x-correlation-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
];

/// Response headers that are never kept.
const NEVER: &[&str] = &["authorization", "proxy-authenticate", "set-cookie", "set-cookie2"];

/// Headers in which Azure and AWS say it in milliseconds.
const MILLISECONDS: &[&str] = &["retry-after-ms", "x-ms-retry-after-ms", "x-amz-retry-after"];

/// After how long the server wants to be asked again: seconds or a date (RFC 9110, section 10.2.3), or milliseconds in
/// the headers that clouds have for it.
pub fn again_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let milliseconds = MILLISECONDS
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok()?.trim().parse().ok());
    if let Some(wait) = milliseconds {
        return Some(Duration::from_millis(wait));
    }
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(said).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// A header's name as it is sent; `x_request_id` is `x-request-id`, because a field's name has no hyphens.
pub fn name(text: &str) -> Result<HeaderName, String> {
    let sent = text.replace('_', "-").to_ascii_lowercase();
    let name = HeaderName::from_bytes(sent.as_bytes()).map_err(|_| "not the name of a header".to_owned())?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("the header `{name}` is not a call's to give"));
    }
    Ok(name)
}

/// A header's value. The message never repeats it.
fn value(text: &str, name: &HeaderName) -> Result<HeaderValue, Unknown> {
    if text.len() > VALUE_BYTES {
        return Err(refusal(
            Reason::Unparsable,
            format!("the header `{name}` is longer than 8 KiB"),
        ));
    }
    HeaderValue::from_str(text).map_err(|_| {
        refusal(
            Reason::Unparsable,
            format!("the value of the header `{name}` holds a line break or another control character"),
        )
    })
}

/// The headers of a call: those of the endpoint, those of the call, and its credential.
///
/// # Errors
/// A name or value that cannot be sent, a secret that cannot be read. Never repeats a value.
pub fn of_call(config: Option<&EndpointConfig>, given: &Value, authorization: &Value) -> Result<HeaderMap, Unknown> {
    let mut headers = HeaderMap::new();
    if let Some(config) = config {
        let source = |problem| refusal(Reason::Unavailable, problem);
        for (text, configured) in &config.headers {
            let name = name(text).map_err(|problem| refusal(Reason::Unparsable, problem))?;
            let sent = match configured {
                HeaderConfig::Value(text) => value(text, &name)?,
                HeaderConfig::Secret(secret) => sensitive(value(secret.read().map_err(source)?.expose(), &name)?),
                HeaderConfig::Prefixed(word, secret) => {
                    let text = SecretText::new(format!("{word}{}", secret.read().map_err(source)?.expose()));
                    sensitive(value(text.expose(), &name)?)
                }
            };
            headers.insert(name, sent);
        }
        if let Some(bearer) = &config.bearer {
            let token = bearer.read().map_err(source)?;
            let text = SecretText::new(format!("Bearer {}", token.expose()));
            headers.insert(AUTHORIZATION, sensitive(value(text.expose(), &AUTHORIZATION)?));
        }
    }
    add_given(&mut headers, given)?;
    match authorization {
        Value::None => {}
        Value::Secret(secret) => {
            let text = secret
                .expose()
                .as_str()
                .ok_or_else(|| refusal(Reason::Unparsable, "`authorization` is a secret text"))?;
            headers.insert(AUTHORIZATION, sensitive(value(text, &AUTHORIZATION)?));
        }
        _ => return Err(refusal(Reason::Unparsable, "`authorization` is a secret text")),
    }
    Ok(headers)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn add_given(headers: &mut HeaderMap, given: &Value) -> Result<(), Unknown> {
    let wrong = || refusal(Reason::Unparsable, "`headers` is a record of texts and numbers");
    if *given == Value::None {
        return Ok(());
    }
    let document = crate::value::document::of(given)?;
    let fields = document.as_object().ok_or_else(wrong)?;
    if fields.len() > MOST {
        return Err(refusal(Reason::Unparsable, format!("more than {MOST} headers")));
    }
    for (text, given) in fields {
        let name = name(text).map_err(|problem| refusal(Reason::Unparsable, problem))?;
        if name == AUTHORIZATION {
            return Err(refusal(
                Reason::Unparsable,
                "credentials are given as `authorization`, which is a secret, or in the configuration",
            ));
        }
        let sent = value(&scalar(given).ok_or_else(wrong)?, &name)?;
        headers.insert(name, sent);
    }
    Ok(())
}

/// The headers of a reply that are kept, as a document: `content_type`, and those named in `keep`.
pub fn kept(headers: &HeaderMap, keep: &Value) -> serde_json::Value {
    let named: Vec<String> = match keep {
        Value::List(list) => list
            .items
            .iter()
            .filter_map(Value::as_str)
            .map(|name| name.replace('_', "-").to_ascii_lowercase())
            .collect(),
        _ => Vec::new(),
    };
    let mut fields = serde_json::Map::new();
    for name in headers.keys() {
        let text = name.as_str();
        if NEVER.contains(&text) || !(KEPT.contains(&text) || named.iter().any(|wanted| wanted == text)) {
            continue;
        }
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        fields.insert(text.replace('-', "_"), values.join(", ").into());
    }
    serde_json::Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::{again_after, kept, name, of_call};
    use crate::value::{Secret, Value};
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
    use std::sync::Arc;
    use std::time::Duration;

    fn json(value: serde_json::Value) -> Value {
        Value::Json(Arc::new(value))
    }

    #[test]
    fn names_that_steer_the_connection_are_refused() {
        assert_eq!(name("x_request_id").unwrap().as_str(), "x-request-id");
        for bad in [
            "Host",
            "content_length",
            "Transfer-Encoding",
            "connection",
            "proxy_authorization",
            "cookie",
            "",
            "a b",
            "a:b",
            "a\r\nb",
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_of_a_call_are_limited() {
        let many = |count: usize| {
            let fields = (0..count).map(|number| (format!("x_{number}"), serde_json::json!("v")));
            of_call(None, &json(serde_json::Value::Object(fields.collect())), &Value::None)
        };
        assert!(many(super::MOST).is_ok() && many(super::MOST + 1).is_err());
        let long = |length: usize| {
            of_call(
                None,
                &json(serde_json::json!({"x_a": "v".repeat(length)})),
                &Value::None,
            )
        };
        assert!(long(super::VALUE_BYTES).is_ok() && long(super::VALUE_BYTES + 1).is_err());
    }

    #[test]
    fn a_value_with_a_line_break_is_refused_and_not_repeated() {
        for bad in ["canary\r\nx-evil: 1", "canary\nx", "canary\u{0}", "canary\r"] {
            let problem = of_call(None, &json(serde_json::json!({"x_tenant": bad})), &Value::None).unwrap_err();
            assert!(
                problem.detail.contains("x-tenant") && !problem.detail.contains("canary"),
                "{problem}"
            );
            let secret = Value::Secret(Secret::new(Value::text(bad)));
            let problem = of_call(None, &Value::None, &secret).unwrap_err();
            assert!(!problem.detail.contains("canary"), "{problem}");
        }
        let plain = of_call(
            None,
            &json(serde_json::json!({"authorization": "Bearer canary"})),
            &Value::None,
        )
        .unwrap_err();
        assert!(!plain.detail.contains("canary"), "{plain}");
    }

    #[test]
    fn a_credential_is_not_shown() {
        let secret = Value::Secret(Secret::new(Value::text("Bearer canary")));
        let headers = of_call(None, &json(serde_json::json!({"x_tenant": 7})), &secret).unwrap();
        assert_eq!(headers["authorization"], "Bearer canary");
        assert_eq!(headers["x-tenant"], "7");
        assert!(!format!("{headers:?}").contains("canary"));
    }

    #[test]
    fn cookies_are_never_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("set-cookie", "canary"),
            ("x-own", "1"),
            ("retry-after", "5"),
            ("x-other", "2"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.append("x-own", HeaderValue::from_static("2"));
        let keep = Value::list(vec![Value::text("X-Own"), Value::text("set-cookie")]);
        assert_eq!(
            kept(&headers, &keep),
            serde_json::json!({"x_own": "1, 2", "retry_after": "5"})
        );
    }

    #[test]
    fn a_server_says_when_to_come_again_in_seconds_or_by_a_date() {
        let now: jiff::Timestamp = "2026-03-14T03:00:00Z".parse().unwrap();
        let said = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            again_after(&headers, now)
        };
        assert_eq!(said("7"), Some(Duration::from_secs(7)));
        assert_eq!(said(" 0 "), Some(Duration::ZERO));
        assert_eq!(said("Sat, 14 Mar 2026 03:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(said("Sat, 14 Mar 2026 02:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "1.5", "", "99999999999999999999999"] {
            assert_eq!(said(nonsense), None, "{nonsense}");
        }
        assert_eq!(again_after(&HeaderMap::new(), now), None);
        for name in super::MILLISECONDS {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            headers.insert(*name, HeaderValue::from_static("250"));
            assert_eq!(again_after(&headers, now), Some(Duration::from_millis(250)), "{name}");
        }
    }
}
