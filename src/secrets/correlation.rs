//! Telling that two secrets are the same without telling what they are.
//!
//! A record that only says `(secret)` cannot answer whether the statement that ran on Monday is the one that ran on Friday. The tag
//! is a keyed hash: without the key, which is kept outside the store, it says nothing, not even about a secret of four digits.

use super::SecretText;
use super::source::private_file;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::hmac;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::OnceLock;

/// Bytes of the key.
const KEY: usize = 32;
/// Bytes of the hash that are kept: enough to tell thousands of secrets apart.
const TAG: usize = 8;

static CORRELATION: OnceLock<hmac::Key> = OnceLock::new();

/// Uses the key of this file, made if it is not there (mode 0600), for every tag of this process.
///
/// # Errors
/// The file cannot be made or read, can be read by others, or is not a key.
pub fn open_key(path: &Path) -> Result<(), String> {
    let shown = path.display();
    match private_file(path, "key file") {
        Ok(text) => install(&text).ok_or_else(|| format!("{shown} is not a key of starr")),
        Err(_) if !path.exists() => {
            let mut bytes = [0_u8; KEY];
            getrandom::fill(&mut bytes).map_err(|problem| format!("no randomness: {problem}"))?;
            let text = SecretText::new(STANDARD_NO_PAD.encode(bytes));
            if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)
                    .map_err(|problem| format!("cannot make {}: {problem}", folder.display()))?;
            }
            let made = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut file| file.write_all(format!("{}\n", text.expose()).as_bytes()));
            match made {
                Ok(()) => install(&text).ok_or_else(|| format!("{shown} is not a key of starr")),
                // Another process was quicker.
                Err(problem) if problem.kind() == std::io::ErrorKind::AlreadyExists => {
                    let text = private_file(path, "key file")?;
                    install(&text).ok_or_else(|| format!("{shown} is not a key of starr"))
                }
                Err(problem) => Err(format!("cannot make {shown}: {problem}")),
            }
        }
        Err(problem) => Err(problem),
    }
}

fn install(text: &SecretText) -> Option<()> {
    let bytes = STANDARD_NO_PAD.decode(text.expose()).ok()?;
    if bytes.len() != KEY {
        return None;
    }
    let _ = CORRELATION.set(hmac::Key::new(hmac::HMAC_SHA256, &bytes));
    Some(())
}

/// The tag of a secret's canonical bytes, 16 hexadecimal digits; `None` while no key is in use.
pub fn tag(bytes: &[u8]) -> Option<String> {
    let key = CORRELATION.get()?;
    Some(with(key, bytes))
}

fn with(key: &hmac::Key, bytes: &[u8]) -> String {
    hex::encode(&hmac::sign(key, bytes).as_ref()[..TAG])
}

#[cfg(test)]
mod tests {
    use super::with;
    use ring::hmac;

    #[test]
    fn equal_secrets_have_equal_tags_and_another_key_another_tag() {
        let key = |byte: u8| hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32]);
        assert_eq!(with(&key(1), b"4711"), with(&key(1), b"4711"));
        assert_ne!(with(&key(1), b"4711"), with(&key(1), b"4712"));
        assert_ne!(with(&key(1), b"4711"), with(&key(2), b"4711"));
    }
}
