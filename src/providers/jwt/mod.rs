//! Tokens (JWT, RFC 7519): what they say, and whether they hold. A token is a secret and is shown nowhere.

pub mod config;
mod keys;

use super::arguments::{Arguments, field, patience};
use super::failure::wrong;
use super::http::service::Service;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, HealthState, Provider};
use crate::value::{Reason, Unknown, Value};
use config::{Config, Keys};
use futures::future::BoxFuture;
use jiff::Timestamp;
use keys::{Algorithm, Key, bytes, read_set};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &["decode", "verify"];

/// Longest token, in bytes.
const TOKEN_BYTES: usize = 16 * 1024;

/// Largest key set, in bytes.
const SET_BYTES: u64 = 1024 * 1024;

/// The provider `jwt`: the keys of an environment.
pub struct Jwt {
    keys: BTreeMap<String, Keys>,
    service: Service,
}

/// A token in its parts. No message repeats any of it.
struct Token {
    header: Json,
    claims: Json,
    /// What was signed.
    message: zeroize::Zeroizing<String>,
    sign: Vec<u8>,
}

impl Token {
    fn read(token: &Value) -> Result<Self, Unknown> {
        let malformed = |what: &str| wrong(Reason::Unparsable, format!("the token {what}"));
        let Value::Secret(secret) = token else {
            return Err(match token {
                Value::Unknown(unknown) => (**unknown).clone(),
                _ => malformed("is a secret text"),
            });
        };
        let text = secret
            .expose()
            .as_str()
            .ok_or_else(|| malformed("is a secret text"))?
            .trim();
        let text = text.strip_prefix("Bearer ").unwrap_or(text);
        if text.len() > TOKEN_BYTES {
            return Err(malformed("is longer than 16 KiB"));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, sign] = parts.as_slice() else {
            return Err(malformed("has not three parts; it is no signed JWT"));
        };
        let object = |part: &str| -> Option<Json> {
            let json: Json = serde_json::from_slice(&bytes(part)?).ok()?;
            json.is_object().then_some(json)
        };
        Ok(Self {
            header: object(header).ok_or_else(|| malformed("has no header that can be read"))?,
            claims: object(claims).ok_or_else(|| malformed("holds no claims that can be read"))?,
            message: zeroize::Zeroizing::new(format!("{header}.{claims}")),
            sign: bytes(sign).ok_or_else(|| malformed("has no signature that can be read"))?,
        })
    }

    fn word<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
        json.get(name).and_then(Json::as_str)
    }

    /// A time among the claims; `None` when there is none.
    fn time(&self, name: &str) -> Option<Result<Timestamp, Unknown>> {
        let json = self.claims.get(name)?;
        let seconds = json.as_f64().filter(|seconds| seconds.abs() < 2e11);
        Some(
            seconds
                .and_then(|seconds| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok())
                .ok_or_else(|| wrong(Reason::Unparsable, format!("the token's `{name}` is no time"))),
        )
    }

    /// Texts of a claim that is one text, words in one, or a list.
    fn texts(&self, names: &[&str], words: bool) -> Vec<String> {
        let found = names.iter().find_map(|name| self.claims.get(*name));
        match found {
            Some(Json::String(text)) if words => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Some(Json::String(text)) => vec![text.clone()],
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    fn remaining(&self) -> Value {
        match self.time("exp") {
            None => Value::None,
            Some(Err(unknown)) => Value::Unknown(Arc::new(unknown)),
            Some(Ok(end)) => {
                let left = end.as_nanosecond() - Timestamp::now().as_nanosecond();
                Value::Duration(left.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
            }
        }
    }

    /// The record `Token`.
    fn value(&self) -> Value {
        let maybe = |text: Option<&str>| text.map_or(Value::None, Value::text);
        let time = |name: &str| match self.time(name) {
            None => Value::None,
            Some(time) => Value::or_unknown(time.map(Value::Time)),
        };
        let list = |texts: Vec<String>| Value::list(texts.into_iter().map(Value::text).collect());
        let names = self.claims.as_object().into_iter().flat_map(serde_json::Map::keys);
        Value::record(
            "Token",
            vec![
                (
                    "algorithm",
                    Value::text(Self::word(&self.header, "alg").unwrap_or_default()),
                ),
                ("key", maybe(Self::word(&self.header, "kid"))),
                ("issuer", maybe(Self::word(&self.claims, "iss"))),
                ("audiences", list(self.texts(&["aud"], false))),
                ("issued", time("iat")),
                ("not_before", time("nbf")),
                ("expires", time("exp")),
                ("remaining", self.remaining()),
                ("roles", list(self.texts(&["roles", "role"], false))),
                ("scopes", list(self.texts(&["scope", "scp"], true))),
                ("claims", list(names.cloned().collect())),
            ],
        )
    }

    /// Why it does not hold; `None` when it does.
    fn trouble(
        &self,
        keys: &[Key],
        taken: &[String],
        call: &Call,
        now: Timestamp,
    ) -> Result<Option<&'static str>, Unknown> {
        let name = Self::word(&self.header, "alg").unwrap_or_default();
        let Some(algorithm) =
            Algorithm::from_name(name).filter(|_| taken.is_empty() || taken.iter().any(|one| one == name))
        else {
            return Ok(Some("other_algorithm"));
        };
        // What a reader must understand and does not: RFC 7515, section 4.1.11.
        if self.header.get("crit").is_some() {
            return Ok(Some("other_algorithm"));
        }
        let id = Self::word(&self.header, "kid");
        let candidates: Vec<&Key> = keys
            .iter()
            .filter(|key| id.is_none() || key.id.is_none() || key.id.as_deref() == id)
            .collect();
        if candidates.is_empty() {
            return Ok(Some("unknown_key"));
        }
        let fitting: Vec<&&Key> = candidates
            .iter()
            .filter(|key| key.fits(algorithm) && key.algorithm.as_deref().is_none_or(|only| only == name))
            .collect();
        if fitting.is_empty() {
            return Ok(Some("other_algorithm"));
        }
        if !fitting
            .iter()
            .any(|key| key.verifies(algorithm, self.message.as_bytes(), &self.sign))
        {
            return Ok(Some("wrong_signature"));
        }
        let skew = Arguments(call).duration("skew")?.as_nanos() as i128;
        let now = now.as_nanosecond();
        if let Some(end) = self.time("exp").transpose()?
            && now >= end.as_nanosecond() + skew
        {
            return Ok(Some("expired"));
        }
        if let Some(begin) = self.time("nbf").transpose()?
            && now < begin.as_nanosecond() - skew
        {
            return Ok(Some("not_valid_yet"));
        }
        if let Some(issuer) = Arguments(call).maybe_text("issuer")?
            && Self::word(&self.claims, "iss") != Some(issuer)
        {
            return Ok(Some("wrong_issuer"));
        }
        if let Some(audience) = Arguments(call).maybe_text("audience")?
            && !self.texts(&["aud"], false).iter().any(|one| one == audience)
        {
            return Ok(Some("wrong_audience"));
        }
        Ok(None)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, Unknown> {
    let problem = |problem: std::io::Error| {
        wrong(
            Reason::Unavailable,
            format!("the key set {}: {problem}", path.display()),
        )
    };
    let mut text = Vec::new();
    std::fs::File::open(path)
        .map_err(problem)?
        .take(SET_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(problem)?;
    if text.len() as u64 > SET_BYTES {
        return Err(wrong(Reason::Truncated, "the key set is larger than 1 MiB"));
    }
    Ok(text)
}

impl Jwt {
    /// The keys of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        config.validate()?;
        let endpoints = config
            .keys
            .iter()
            .filter_map(|(name, keys)| Some((name.clone(), keys.endpoint.clone()?)))
            .collect();
        Ok(Self {
            keys: config.keys.clone(),
            service: Service::new("key set", "jwt.keys", &endpoints)?,
        })
    }

    async fn keys(&self, name: &str, until: Instant) -> Result<(Vec<Key>, &[String]), Unknown> {
        let unreadable = |problem| wrong(Reason::Unparsable, problem);
        let keys = self.keys.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no keys `{name}` are configured in this environment"),
            )
        })?;
        let found = if let Some(secret) = &keys.secret {
            let secret = secret.read().map_err(|problem| wrong(Reason::Unavailable, problem))?;
            vec![Key::shared(secret.expose().as_bytes())]
        } else if let Some(path) = &keys.file {
            read_set(&file(path)?).map_err(unreadable)?
        } else {
            let answer = self.service.get(name, "", &[], until).await?;
            if answer.status != 200 {
                return Err(answer.problem());
            }
            read_set(&answer.body).map_err(unreadable)?
        };
        if found.is_empty() {
            return Err(wrong(
                Reason::Unparsable,
                "the key set holds no key that is of use here",
            ));
        }
        Ok((found, &keys.algorithms))
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let token = Token::read(call.arg("token"))?;
        match &*call.operation.path {
            "decode" => Ok(token.value()),
            "verify" => {
                let until = Instant::now() + patience(call);
                let (keys, taken) = self.keys(Arguments(call).text("keys")?, until).await?;
                let trouble = token.trouble(&keys, taken, call, Timestamp::now())?;
                let said = token.value();
                Ok(Value::record(
                    "Verdict",
                    vec![
                        ("holds", Value::Bool(trouble.is_none())),
                        ("trouble", trouble.map_or(Value::None, Value::variant)),
                        ("key", field(&said, "key")?.clone()),
                        ("remaining", token.remaining()),
                    ],
                ))
            }
            other => Err(wrong(Reason::Internal, format!("`jwt.{other}` is not a read"))),
        }
    }
}

impl Provider for Jwt {
    fn name(&self) -> &'static str {
        "jwt"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        // To read a token touches nothing.
        match call.arg("keys").as_str() {
            Some(name) => vec![name.to_owned()],
            None => vec!["token".to_owned()],
        }
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    // Keys that are public need no right; a file and a secret need that of whoever runs this program.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for name in self.keys.keys() {
                let until = Instant::now() + Duration::from_secs(5);
                let (state, detail) = match self.keys(name, until).await {
                    Ok((keys, _)) => (HealthState::Good, format!("{} keys can be read", keys.len())),
                    Err(unknown) => (HealthState::Bad, unknown.to_string()),
                };
                lines.push(Health {
                    subject: format!("jwt {name}"),
                    state,
                    detail,
                });
            }
            lines
        })
    }
}
