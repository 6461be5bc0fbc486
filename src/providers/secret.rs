//! Where secrets come from. The configuration names a source, never the secret itself.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

/// `{ env: ORDERS_PASSWORD }` or `{ file: /run/secrets/orders }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file that only its owner can read; one line break at the end is not part of the secret.
    File(PathBuf),
}

/// What stands where a source is expected may be the secret itself: no message repeats it.
const EXPECTED: &str = "a secret is named by its source, { env: NAME } or { file: PATH }, and never written here";

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretSource, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretSource, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretSource, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretSource, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let (Some(key), value) = (map.next_key::<String>()?, map.next_value::<String>()) else {
            return Err(A::Error::custom(EXPECTED));
        };
        let value = value.map_err(|_| A::Error::custom(EXPECTED))?;
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom(EXPECTED));
        }
        match key.as_str() {
            "env" => Ok(SecretSource::Env(value)),
            "file" => Ok(SecretSource::File(value.into())),
            _ => Err(A::Error::custom(EXPECTED)),
        }
    }
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
    fn only_a_source_is_taken_and_nothing_else_is_repeated() {
        let read = |text: &str| serde_yaml::from_str::<SecretSource>(text).map_err(|problem| problem.to_string());
        assert_eq!(read("{ env: NAME }"), Ok(SecretSource::Env("NAME".to_owned())));
        assert_eq!(read("{ file: /run/x }"), Ok(SecretSource::File("/run/x".into())));
        for wrong in [
            "swordfish",
            "{ swordfish: NAME }",
            "{ env: NAME, file: swordfish }",
            "{ env: [swordfish] }",
            "[swordfish]",
            "{}",
            "123456789",
        ] {
            let refusal = read(wrong).unwrap_err();
            let first = refusal.lines().next().unwrap();
            assert!(first.contains("{ env: NAME }"), "{wrong}: {refusal}");
            assert!(
                !first.contains("swordfish") && !first.contains("123456789"),
                "{wrong}: {refusal}"
            );
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        let refusal = SecretSource::Env("STARR_TEST_NO_SUCH_SECRET".to_owned())
            .read()
            .unwrap_err();
        assert!(refusal.contains("STARR_TEST_NO_SUCH_SECRET"), "{refusal}");
    }
}
