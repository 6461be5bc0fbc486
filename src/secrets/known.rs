//! The secrets this process has read. There is one list for the whole process, because whatever leaves it, a panic included,
//! has to pass by it.

use super::encodings::forms;
use super::redactor::Patterns;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

/// Shortest secret that is looked for, in bytes; a shorter one would take ordinary words out of the output.
pub(super) const SHORTEST: usize = crate::limits::SECRET_SHORTEST;
/// Most secrets that are remembered; the later ones are kept out of output by their type alone.
const MOST: usize = crate::limits::SECRETS;
/// A line of a secret of several lines is looked for by itself when it is this long, in bytes.
const LINE: usize = 16;

struct Known {
    secrets: Vec<Zeroizing<String>>,
    patterns: Arc<Patterns>,
    warnings: Vec<String>,
    warned: Vec<String>,
}

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(|| {
    RwLock::new(Known {
        secrets: Vec::new(),
        patterns: Arc::new(Patterns::new(Vec::new())),
        warnings: Vec::new(),
        warned: Vec::new(),
    })
});

fn read() -> RwLockReadGuard<'static, Known> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn patterns() -> Arc<Patterns> {
    read().patterns.clone()
}

/// Remembers a secret, so that no door lets it out. `what` names its source in the warning when it is too short for that.
pub fn remember(secret: &str, what: &str) {
    remember_all(std::iter::once(secret), what);
}

/// Remembers several at once.
pub fn remember_all<'a>(secrets: impl Iterator<Item = &'a str>, what: &str) {
    let fresh: Vec<&str> = {
        let known = read();
        secrets
            .filter(|secret| !known.secrets.iter().any(|old| old.as_str() == *secret))
            .collect()
    };
    if fresh.is_empty() {
        return;
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let mut added = false;
    for secret in fresh {
        let trimmed = secret.trim();
        let warning = if trimmed.len() < SHORTEST {
            format!("{what} has fewer than {SHORTEST} characters: it is too short to be looked for in the output")
        } else if known.secrets.len() >= MOST {
            format!("more than {MOST} secrets: {what} is not looked for in the output")
        } else {
            known.secrets.push(Zeroizing::new(secret.to_owned()));
            added = true;
            continue;
        };
        if !known.warned.contains(&warning) && known.warned.len() < MOST {
            known.warned.push(warning.clone());
            known.warnings.push(warning);
        }
    }
    if added {
        known.patterns = Arc::new(Patterns::new(
            known.secrets.iter().flat_map(|secret| all_forms(secret)).collect(),
        ));
    }
}

/// The forms of a secret, and of each of its longer lines: a key of several lines is often shown line by line.
fn all_forms(secret: &str) -> Vec<String> {
    let mut all = forms(secret);
    if secret.contains('\n') {
        for line in secret.lines().map(str::trim) {
            if line.len() >= LINE && !line.starts_with("-----") {
                all.extend(forms(line));
            }
        }
    }
    if secret.trim() != secret {
        all.extend(forms(secret.trim()));
    }
    all
}

/// What has to be said about secrets that cannot be looked for; each once.
pub fn take_warnings() -> Vec<String> {
    std::mem::take(&mut KNOWN.write().unwrap_or_else(PoisonError::into_inner).warnings)
}

/// The text with [`super::PLACEHOLDER`] where a known secret stood.
pub fn redact(text: &str) -> Cow<'_, str> {
    match patterns().redact(text) {
        Some(clean) => Cow::Owned(clean),
        None => Cow::Borrowed(text),
    }
}

/// A document as it may be kept: JSON without known secrets. What no type could keep out goes no further than this.
///
/// # Errors
/// The value has no form in JSON.
pub fn json_bytes(value: &impl serde::Serialize) -> serde_json::Result<Vec<u8>> {
    if patterns().is_empty() {
        return serde_json::to_vec(value);
    }
    let mut document = serde_json::to_value(value)?;
    redact_json(&mut document);
    serde_json::to_vec(&document)
}

/// Every text and key of a document without known secrets. Numbers stay: a secret of digits is found where it is a text.
pub fn redact_json(document: &mut Json) {
    let patterns = patterns();
    if !patterns.is_empty() {
        clean(&patterns, document);
    }
}

fn clean(patterns: &Patterns, document: &mut Json) {
    match document {
        Json::String(text) => {
            if let Some(other) = patterns.redact(text) {
                *text = other;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| clean(patterns, item)),
        Json::Object(fields) => {
            if fields.keys().any(|key| patterns.redact(key).is_some()) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, value)| (patterns.redact(&key).unwrap_or(key), value))
                    .collect();
            }
            fields.values_mut().for_each(|value| clean(patterns, value));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{redact, redact_json, remember, take_warnings};
    use serde_json::json;

    #[test]
    fn what_was_remembered_is_taken_out_of_text_and_documents() {
        remember("canary-of-the-unit-test", "the test");
        assert_eq!(redact("x canary-of-the-unit-test y"), "x (secret) y");
        let mut document = json!({"a": ["canary-of-the-unit-test", 7], "canary-of-the-unit-test": "b"});
        redact_json(&mut document);
        assert_eq!(document, json!({"a": ["(secret)", 7], "(secret)": "b"}));
    }

    #[test]
    fn every_line_of_a_key_is_taken_out() {
        remember(
            "-----BEGIN KEY-----\nfirst-line-of-the-key-abc\nsecond-line-of-the-key-def\n",
            "the key",
        );
        let shown = redact("it says first-line-of-the-key-abc\n and second-line-of-the-key-def").into_owned();
        assert_eq!(shown, "it says (secret)\n and (secret)");
    }

    #[test]
    fn a_short_secret_is_refused_with_a_warning_and_wrecks_nothing() {
        remember("abc", "the password of the test");
        assert_eq!(redact("abc"), "abc");
        let warnings = take_warnings();
        assert!(
            warnings
                .iter()
                .any(|warning| warning.contains("the password of the test") && !warning.contains("abc")),
            "{warnings:?}"
        );
    }

    const CHILD: &str = "STARR_TEST_MANY_SECRETS";

    /// The list is the whole process's: this one is a process of its own.
    #[test]
    fn only_so_many_secrets_are_looked_for_and_the_next_is_warned_about() {
        if std::env::var_os(CHILD).is_none() {
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("secrets::known::tests::only_so_many_secrets_are_looked_for_and_the_next_is_warned_about")
                .env(CHILD, "1")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(child.status.success() && said.contains("reached the limit"), "{said}");
            return;
        }
        let many: Vec<String> = (0..super::MOST)
            .map(|number| format!("secret-number-{number:04}-end"))
            .collect();
        super::remember_all(many.iter().map(String::as_str), "the many");
        assert_eq!(take_warnings(), Vec::<String>::new());
        let last = format!("x {} y", many[super::MOST - 1]);
        assert_eq!(redact(&last), "x (secret) y");
        remember("one-more-than-all-of-them", "the one more");
        assert_eq!(redact("one-more-than-all-of-them"), "one-more-than-all-of-them");
        assert_eq!(
            take_warnings(),
            ["more than 2000 secrets: the one more is not looked for in the output"]
        );
        println!("reached the limit");
    }
}
