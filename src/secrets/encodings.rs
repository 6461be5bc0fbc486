//! The forms in which a secret leaves a program by accident.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write as _;

/// Shortest form that is looked for, in bytes: shorter ones would be found everywhere.
const SHORTEST: usize = super::known::SHORTEST;

/// Every form of this secret that is looked for: as it is, and encoded for JSON, HTML, URLs, in hexadecimal, and in base64 at each of
/// the three places where it can begin within a group.
pub(super) fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    let json = serde_json::Value::from(secret).to_string();
    forms.push(json[1..json.len() - 1].to_owned());
    forms.push(ascii_json(secret));
    // A document that stands as a text inside a document.
    let twice = serde_json::Value::from(&json[1..json.len() - 1]).to_string();
    forms.push(twice[1..twice.len() - 1].to_owned());
    forms.push(html(secret));
    forms.extend(percent(secret));
    forms.push(hex::encode(secret));
    forms.push(hex::encode_upper(secret));
    for offset in 0..3 {
        let mut padded = vec![0_u8; offset];
        padded.extend_from_slice(secret.as_bytes());
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded);
            // The first characters carry bits of what stood before, the last one bits of what follows.
            let begin = [0, 2, 3][offset];
            let end = padded.len() * 8 / 6;
            if let Some(sure) = text.get(begin..end) {
                forms.push(sure.to_owned());
            }
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms
}

/// JSON as writers make it that escape everything beyond ASCII.
fn ascii_json(secret: &str) -> String {
    let mut out = String::new();
    let json = serde_json::Value::from(secret).to_string();
    for character in json[1..json.len() - 1].chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

fn html(secret: &str) -> String {
    secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Percent-encoded: what a path keeps, what a query keeps, and the strictest; with both cases of the digits, and forms with `+`.
fn percent(secret: &str) -> Vec<String> {
    let encode = |keep: &dyn Fn(u8) -> bool, upper: bool| {
        let mut out = String::new();
        for byte in secret.bytes() {
            if byte.is_ascii_alphanumeric() || keep(byte) {
                out.push(char::from(byte));
            } else if upper {
                let _ = write!(out, "%{byte:02X}");
            } else {
                let _ = write!(out, "%{byte:02x}");
            }
        }
        out
    };
    let unreserved = |byte: u8| matches!(byte, b'-' | b'_' | b'.' | b'~');
    let form = |byte: u8| matches!(byte, b'-' | b'_' | b'.' | b'*');
    let path = |byte: u8| {
        unreserved(byte)
            || matches!(
                byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'/'
            )
    };
    let mut all = Vec::new();
    for upper in [true, false] {
        for keep in [&unreserved as &dyn Fn(u8) -> bool, &form, &path, &|_| false] {
            let text = encode(keep, upper);
            all.push(text.replace("%20", "+"));
            all.push(text);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::forms;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn base64_is_found_wherever_the_secret_begins() {
        let secret = "pa55/wörd+?";
        let forms = forms(secret);
        for before in ["", "u", "us", "user:", "user:x"] {
            for after in ["", "@", "@h", "@host"] {
                let text = STANDARD.encode(format!("{before}{secret}{after}"));
                assert!(
                    forms.iter().any(|form| text.contains(form.as_str())),
                    "{before} {after}: {text}"
                );
            }
        }
    }

    #[test]
    fn the_usual_encodings_are_among_the_forms() {
        let forms = forms("a b&\"ü'x");
        for wanted in [
            "a b&\"ü'x",
            "a b&\\\"ü'x",
            "a b&\\\"\\u00fc'x",
            "a b&amp;&quot;ü'x",
            "a%20b%26%22%C3%BC%27x",
            "a+b%26%22%c3%bc%27x",
            "61206226",
        ] {
            assert!(
                forms.iter().any(|form| form.starts_with(wanted)),
                "{wanted}: {forms:#?}"
            );
        }
    }
}
