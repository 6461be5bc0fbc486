//! Signed web hooks, by the specification Standard Webhooks: who takes one knows that it is ours, that nobody changed it and when it was sent.

use super::config::EndpointConfig;
use super::exchange::Request;
use super::target::refusal;
use crate::secrets::SecretText;
use crate::value::{Reason, Unknown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;
use zeroize::Zeroizing;

/// Shortest and longest key, in bytes, as the specification has it.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What is wrong with a key, without repeating any of it.
const UNUSABLE: &str = "`signing_secret` is not base64 of 24 to 64 bytes, `whsec_` in front or not";

/// The key of an endpoint's web hooks.
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// The key in its written form.
    ///
    /// # Errors
    /// It is not of the form that the specification has.
    pub fn parse(secret: &SecretText) -> Result<Self, Unknown> {
        let text = secret.expose().trim();
        let text = text.strip_prefix("whsec_").unwrap_or(text);
        let bytes = STANDARD.decode(text).map(Zeroizing::new);
        match bytes {
            Ok(bytes) if KEY_BYTES.contains(&bytes.len()) => Ok(Self(bytes)),
            _ => Err(refusal(Reason::Unavailable, UNUSABLE)),
        }
    }

    /// The key of an endpoint, if it has one, read now.
    ///
    /// # Errors
    /// The secret cannot be read, or is no key.
    pub fn of(config: Option<&EndpointConfig>) -> Result<Option<Self>, Unknown> {
        let Some(source) = config.and_then(|config| config.signing_secret.as_ref()) else {
            return Ok(None);
        };
        let secret = source.read().map_err(|problem| refusal(Reason::Unavailable, problem))?;
        Self::parse(&secret).map(Some)
    }

    /// `v1,…`: over id, time (in seconds since 1970) and body as they are sent.
    pub fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut over = hmac::Context::with_key(&key);
        over.update(format!("{id}.{at}.").as_bytes());
        over.update(body);
        format!("v1,{}", STANDARD.encode(over.sign()))
    }

    /// Puts the three headers in. Whoever takes it knows a message that came twice by its id.
    ///
    /// # Errors
    /// The id cannot be in a header.
    pub fn add(&self, request: &mut Request, id: &str, at: i64) -> Result<(), Unknown> {
        let sign = self.sign(id, at, request.body.as_deref().unwrap_or_default());
        let headers = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", sign),
        ];
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value)
                .map_err(|_| refusal(Reason::Internal, format!("`{name}` cannot be in a header")))?;
            request.headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }
}

/// An id for a message that has no recorded key: it is sent once, so that it is its own.
///
/// # Errors
/// The machine gives no random bytes.
pub fn drawn() -> Result<String, Unknown> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| refusal(Reason::Internal, "the machine gives no random bytes"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::Key;
    use crate::secrets::SecretText;

    fn key(text: &str) -> Result<Key, String> {
        Key::parse(&SecretText::new(text.to_owned())).map_err(|problem| problem.to_string())
    }

    /// The example that the specification publishes.
    #[test]
    fn the_published_example_is_signed_as_published() {
        for text in [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
        ] {
            let sign = key(text).unwrap().sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            );
            assert_eq!(sign, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for bad in ["", "swordfish-canary", "whsec_c3dvcmRmaXNo", "whsec_not base64!"] {
            let problem = key(bad).err().unwrap();
            assert!(problem.contains("base64") && !problem.contains("canary"), "{problem}");
        }
    }
}
