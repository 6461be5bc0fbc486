//! What a browser asks before a page of another origin may call (CORS, by the Fetch standard), and whether the answer lets it.

use super::exchange::Request;
use super::target::refusal;
use crate::provider::Call;
use crate::value::{List, Reason, Unknown, Value};
use reqwest::Method;
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN,
};
use std::sync::Arc;
use url::Url;

/// Methods that need no word of the server.
const SAFE: &[&str] = &["GET", "HEAD", "POST"];

/// What is asked.
pub struct Asked {
    origin: String,
    method: String,
    credentials: bool,
}

impl Asked {
    /// What a call asks.
    ///
    /// # Errors
    /// `origin` is none, or `method` is no method.
    pub fn of(call: &Call) -> Result<Self, Unknown> {
        let text = |name: &str| call.arg(name).as_str().unwrap_or_default();
        let origin = Url::parse(text("origin"))
            .map(|url| url.origin())
            .map(|origin| origin.ascii_serialization())
            .ok()
            .filter(|origin| origin == text("origin").trim_end_matches('/') && origin != "null");
        let Some(origin) = origin else {
            return Err(refusal(
                Reason::Unparsable,
                "`origin` is one origin: `https://app.example.org`, without a path",
            ));
        };
        let method = text("method");
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(refusal(Reason::Unparsable, "`method` is a method, such as `POST`"));
        }
        Ok(Self {
            origin,
            method: method.to_owned(),
            credentials: *call.arg("credentials") == Value::Bool(true),
        })
    }

    /// Makes the request of it: a browser sends neither credentials nor a body with it.
    pub fn put_into(&self, request: &mut Request) -> Result<(), Unknown> {
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| refusal(Reason::Unparsable, "this cannot be in a header"))
        };
        request.method = Method::OPTIONS;
        request.body = None;
        request.headers = HeaderMap::from_iter([
            (ORIGIN, value(&self.origin)?),
            (ACCESS_CONTROL_REQUEST_METHOD, value(&self.method)?),
        ]);
        Ok(())
    }

    /// The record `Preflight` of an answer.
    pub fn answer(&self, status: u16, headers: &HeaderMap) -> Value {
        // Several lines of one header are one list.
        let words = |name: HeaderName| -> Vec<String> {
            let lines = headers
                .get_all(name)
                .into_iter()
                .filter_map(|value| value.to_str().ok());
            lines
                .flat_map(|line| line.split(','))
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect()
        };
        let one = |name: HeaderName| {
            let mut all = headers.get_all(name).into_iter();
            // Two answers to one question are none.
            let first = all.next().and_then(|value| value.to_str().ok()).map(str::trim);
            first.filter(|_| all.next().is_none()).map(str::to_owned)
        };
        let (origin, credentials) = (
            one(ACCESS_CONTROL_ALLOW_ORIGIN),
            one(ACCESS_CONTROL_ALLOW_CREDENTIALS).as_deref() == Some("true"),
        );
        let (methods, allowed) = (words(ACCESS_CONTROL_ALLOW_METHODS), words(ACCESS_CONTROL_ALLOW_HEADERS));
        let any = |word: &str| word == "*" && !self.credentials;
        let origin_fits = origin.as_deref().is_some_and(|said| said == self.origin || any(said));
        let method_fits =
            SAFE.contains(&self.method.as_str()) || methods.iter().any(|said| *said == self.method || any(said));
        let fits = (200..300).contains(&status) && origin_fits && method_fits && (credentials || !self.credentials);
        let list = |words: Vec<String>| {
            Value::List(Arc::new(List {
                items: words.into_iter().map(Value::text).collect(),
                truncated: false,
            }))
        };
        let lasting = one(ACCESS_CONTROL_MAX_AGE).and_then(|text| text.parse::<u32>().ok());
        Value::record(
            "Preflight",
            vec![
                ("status", Value::Int(status.into())),
                ("allowed", Value::Bool(fits)),
                ("origin", origin.map_or(Value::None, Value::text)),
                ("methods", list(methods)),
                ("headers", list(allowed)),
                ("credentials", Value::Bool(credentials)),
                (
                    "lasting",
                    lasting.map_or(Value::None, |seconds| {
                        Value::Duration(i64::from(seconds) * 1_000_000_000)
                    }),
                ),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;
    use crate::value::Value;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    fn asked(method: &str, credentials: bool) -> Asked {
        Asked {
            origin: "https://app.example.org".to_owned(),
            method: method.to_owned(),
            credentials,
        }
    }

    fn allowed(asked: &Asked, status: u16, lines: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let answer = asked.answer(status, &headers);
        answer.as_record().and_then(|record| record.get("allowed")) == Some(&Value::Bool(true))
    }

    /// As the Fetch standard has it.
    #[test]
    fn an_answer_is_judged_as_a_browser_does() {
        const ORIGIN: &str = "access-control-allow-origin";
        const METHODS: &str = "access-control-allow-methods";
        const CREDENTIALS: &str = "access-control-allow-credentials";
        let mine = [(ORIGIN, "https://app.example.org"), (METHODS, "PUT, DELETE")];
        let any = [(ORIGIN, "*"), (METHODS, "*")];
        let with = [(ORIGIN, "https://app.example.org"), (CREDENTIALS, "true")];
        for (lines, method, credentials, yes) in [
            (&mine[..], "PUT", false, true),
            (&mine, "PATCH", false, false),
            (&mine, "POST", false, true),
            (&mine, "POST", true, false),
            (&any, "PATCH", false, true),
            (&any, "POST", true, false),
            (&with, "POST", true, true),
            (&with, "PUT", true, false),
            (&[(ORIGIN, "*"), (ORIGIN, "*")], "POST", false, false),
            (&[(ORIGIN, "https://other.example.org")], "POST", false, false),
            (&[], "POST", false, false),
        ] {
            let found = allowed(&asked(method, credentials), 204, lines);
            assert_eq!(found, yes, "{lines:?} {method} {credentials}");
        }
        // A refusal by status, and a redirect, are none.
        for status in [302, 403, 500] {
            assert!(!allowed(&asked("POST", false), status, &any), "{status}");
        }
    }
}
