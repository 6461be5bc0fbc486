//! Where secrets come from. The configuration names a source, never the secret itself.

use serde::Deserialize;
use std::path::PathBuf;

/// `{ env: ORDERS_PASSWORD }` or `{ file: /run/secrets/orders }`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file that only its owner can read; one line break at the end is not part of the secret.
    File(PathBuf),
}

/// Largest secret file, in bytes.
const SECRET_BYTES: u64 = 64 * 1024;

impl SecretSource {
    /// The secret, read now.
    ///
    /// # Errors
    /// Says which source, never its content: not set, not readable, readable by others, not text, too large.
    pub fn read(&self) -> Result<String, String> {
        match self {
            SecretSource::Env(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => Err(format!("the environment variable {name} is empty")),
                Ok(value) => Ok(value),
                Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
                Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not text")),
            },
            SecretSource::File(path) => read_file(path),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<String, String> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let shown = path.display();
    let file =
        std::fs::File::open(path).map_err(|problem| format!("cannot open the secret file {shown}: {problem}"))?;
    let status = file
        .metadata()
        .map_err(|problem| format!("cannot look at the secret file {shown}: {problem}"))?;
    if !status.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if status.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "the secret file {shown} can be read by others; run: chmod 600 {shown}"
        ));
    }
    let mut text = String::new();
    file.take(SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|_| format!("the secret file {shown} is not text"))?;
    if text.len() as u64 > SECRET_BYTES {
        return Err(format!("the secret file {shown} is larger than 64 KiB"));
    }
    let secret = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if secret.is_empty() {
        return Err(format!("the secret file {shown} is empty"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::SecretSource;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "swordfish\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refusal = SecretSource::File(path.clone()).read().unwrap_err();
        assert!(
            refusal.contains("chmod 600") && !refusal.contains("swordfish"),
            "{refusal}"
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(SecretSource::File(path).read().unwrap(), "swordfish");
    }

    #[test]
    fn a_missing_variable_is_named() {
        let refusal = SecretSource::Env("STARR_TEST_NO_SUCH_SECRET".to_owned())
            .read()
            .unwrap_err();
        assert!(refusal.contains("STARR_TEST_NO_SUCH_SECRET"), "{refusal}");
    }
}
