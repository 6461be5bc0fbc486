//! Where secrets come from. The configuration names a source, never the secret itself.

use super::SecretText;
use super::known::remember;
use super::remote::{self, AccountSecret, ClusterSecret, Kept, VaultSecret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `{ env: ORDERS_PASSWORD }`, `{ file: /run/secrets/orders }`, `{ keyring: orders }`, `{ age: orders.age, identity: key.txt }`.
/// `{ kubernetes: production, namespace: shop, secret: orders, key: password }`, `{ vault: studio, secret: orders }`,
/// `{ aws: production, secret: orders, key: password }`, `{ aws: production, parameter: /orders/password }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file that only its owner can read; one line break at the end is not part of the secret.
    File(PathBuf),
    /// An entry of the operating system's keyring: service `starr`, this user name.
    Keyring(String),
    /// A file encrypted with age, and the file with the identity that opens it, which only its owner can read.
    Age { file: PathBuf, identity: PathBuf },
    /// A key of a secret of a Kubernetes cluster.
    Cluster(Box<ClusterSecret>),
    /// The newest version of a secret of a vault.
    Vault(VaultSecret),
    /// A secret or a parameter of an account of AWS.
    Account(Box<AccountSecret>),
}

/// What stands where a source is expected may be the secret itself: no message repeats it.
const EXPECTED: &str = "a secret is named by its source, { env: NAME }, { file: PATH }, { keyring: NAME }, \
                        { age: PATH, identity: PATH }, { kubernetes: CLUSTER, namespace: NAME, secret: NAME, key: NAME }, \
                        { vault: NAME, secret: NAME }, { aws: ACCOUNT, secret: NAME, key: NAME } or { aws: ACCOUNT, parameter: NAME }, \
                        and never written here";

/// The service under which entries of the keyring stand.
const SERVICE: &str = "starr";

impl SecretSource {
    /// The file of this machine that holds it, if one does.
    pub fn path(&self) -> Option<&Path> {
        match self {
            SecretSource::File(path) | SecretSource::Age { file: path, .. } => Some(path),
            _ => None,
        }
    }
}

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
        let wrong = || A::Error::custom(EXPECTED);
        let mut given: Vec<(String, String)> = Vec::new();
        while let Some(key) = map.next_key::<String>().map_err(|_| wrong())? {
            if given.len() == 4 {
                return Err(wrong());
            }
            given.push((key, map.next_value::<String>().map_err(|_| wrong())?));
        }
        given.sort();
        let given: Vec<(&str, &str)> = given
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        match given.as_slice() {
            [("env", name)] => Ok(SecretSource::Env((*name).to_owned())),
            [("file", path)] => Ok(SecretSource::File(path.into())),
            [("keyring", name)] if !name.is_empty() => Ok(SecretSource::Keyring((*name).to_owned())),
            [("age", file), ("identity", identity)] => Ok(SecretSource::Age {
                file: file.into(),
                identity: identity.into(),
            }),
            [
                ("key", key),
                ("kubernetes", cluster),
                ("namespace", namespace),
                ("secret", secret),
            ] => Ok(SecretSource::Cluster(Box::new(ClusterSecret {
                cluster: (*cluster).to_owned(),
                namespace: (*namespace).to_owned(),
                secret: (*secret).to_owned(),
                key: (*key).to_owned(),
            }))),
            [("secret", secret), ("vault", vault)] => Ok(SecretSource::Vault(VaultSecret {
                vault: (*vault).to_owned(),
                secret: (*secret).to_owned(),
            })),
            [("aws", account), rest @ ..] => {
                let kept = match rest {
                    [("secret", name)] => Kept::Secret {
                        name: (*name).to_owned(),
                        key: None,
                    },
                    [("key", key), ("secret", name)] => Kept::Secret {
                        name: (*name).to_owned(),
                        key: Some((*key).to_owned()),
                    },
                    [("parameter", name)] => Kept::Parameter((*name).to_owned()),
                    _ => return Err(wrong()),
                };
                let account = (*account).to_owned();
                Ok(SecretSource::Account(Box::new(AccountSecret { account, kept })))
            }
            _ => Err(wrong()),
        }
    }
}

/// Largest secret file, in bytes.
pub(super) const SECRET_BYTES: u64 = crate::limits::SECRET_BYTES;

impl SecretSource {
    /// The secret, read now, and remembered so that no output lets it out.
    ///
    /// # Errors
    /// Says which source, never its content: not set, not readable, readable by others, not text, too large.
    pub fn read(&self) -> Result<SecretText, String> {
        let secret = match self {
            SecretSource::Env(name) => match std::env::var(name) {
                Ok(value) if value.is_empty() => Err(format!("the environment variable {name} is empty")),
                Ok(value) => Ok(SecretText::new(value)),
                Err(std::env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
                Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not text")),
            },
            SecretSource::File(path) => private_file(path, "secret file"),
            SecretSource::Keyring(name) => keyring_entry(name),
            SecretSource::Age { file, identity } => age_file(file, identity),
            SecretSource::Cluster(wanted) => remote::read(&**wanted),
            SecretSource::Vault(wanted) => remote::read(wanted),
            SecretSource::Account(wanted) => remote::read(&**wanted),
        }?;
        remember(secret.expose(), &format!("the secret of {self}"));
        Ok(secret)
    }

    /// Puts a secret into the keyring under this name.
    ///
    /// # Errors
    /// This system offers no keyring, or it refuses.
    pub fn keep_in_keyring(name: &str, secret: &SecretText) -> Result<(), String> {
        keyring::Entry::new(SERVICE, name)
            .and_then(|entry| entry.set_password(secret.expose()))
            .map_err(|problem| format!("the keyring does not take `{name}`: {}", keyring_problem(&problem)))
    }
}

impl SecretSource {
    /// It lies in a vault or an account. What those are reached with may lie in a cluster, and what a cluster is reached with in none of them: no way
    /// to a secret leads back to it.
    pub fn is_in_a_cloud(&self) -> bool {
        matches!(self, SecretSource::Vault(_) | SecretSource::Account(_))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Env(name) => write!(f, "the environment variable {name}"),
            SecretSource::File(path) => write!(f, "the file {}", path.display()),
            SecretSource::Keyring(name) => write!(f, "the keyring's entry `{name}`"),
            SecretSource::Age { file, .. } => write!(f, "the file {}", file.display()),
            SecretSource::Cluster(wanted) => wanted.fmt(f),
            SecretSource::Vault(wanted) => wanted.fmt(f),
            SecretSource::Account(wanted) => wanted.fmt(f),
        }
    }
}

/// The text of a file that only its owner can read, without one line break at its end. `what` is the kind of file, for messages.
///
/// # Errors
/// Says which file, never its content: not readable, not a file, readable by others, not text, too large, empty.
pub fn private_file(path: &Path, what: &str) -> Result<SecretText, String> {
    let shown = path.display();
    // Without waiting: a named pipe in its place must not hold the run up.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|problem| format!("cannot open the {what} {shown}: {problem}"))?;
    let status = file
        .metadata()
        .map_err(|problem| format!("cannot look at the {what} {shown}: {problem}"))?;
    if !status.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if status.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "the {what} {shown} can be read by others; run: chmod 600 {shown}"
        ));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|problem| format!("cannot read the {what} {shown}: {problem}"))?;
    if bytes.len() as u64 > SECRET_BYTES {
        return Err(format!("the {what} {shown} is larger than 64 KiB"));
    }
    one_secret(&bytes, &format!("the {what} {shown}"))
}

/// The bytes as text, without one line break at their end.
pub(super) fn one_secret(bytes: &[u8], what: &str) -> Result<SecretText, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{what} is not text"))?;
    let secret = text
        .strip_suffix('\n')
        .map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    if secret.is_empty() {
        return Err(format!("{what} is empty"));
    }
    Ok(SecretText::new(secret.to_owned()))
}

fn keyring_entry(name: &str) -> Result<SecretText, String> {
    let secret = keyring::Entry::new(SERVICE, name)
        .and_then(|entry| entry.get_password())
        .map_err(|problem| match problem {
            keyring::Error::NoEntry => {
                format!("the keyring has no entry `{name}`; make it with: starr secret set {name}")
            }
            other => format!("the keyring does not give `{name}`: {}", keyring_problem(&other)),
        })?;
    if secret.is_empty() {
        return Err(format!("the keyring's entry `{name}` is empty"));
    }
    Ok(SecretText::new(secret))
}

/// What went wrong, in words that hold no part of the entry: some errors of the library carry its bytes.
fn keyring_problem(problem: &keyring::Error) -> String {
    match problem {
        keyring::Error::NoEntry => "there is no such entry".to_owned(),
        keyring::Error::BadEncoding(_) => "it is not text".to_owned(),
        keyring::Error::TooLong(what, most) => format!("its {what} is longer than {most}"),
        keyring::Error::Invalid(what, why) => format!("its {what} is not valid: {why}"),
        keyring::Error::Ambiguous(_) => "there are several of that name".to_owned(),
        keyring::Error::PlatformFailure(inner) | keyring::Error::NoStorageAccess(inner) => inner.to_string(),
        _ => "it cannot be used here".to_owned(),
    }
}

/// First and last line of an age file that is written as text.
const ARMOUR: (&str, &str) = ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----");

fn age_file(path: &Path, identity: &Path) -> Result<SecretText, String> {
    let shown = path.display();
    let identity_text = private_file(identity, "identity file")?;
    let identities = age::IdentityFile::from_buffer(identity_text.expose().as_bytes())
        .ok()
        .and_then(|file| file.into_identities().ok())
        .filter(|identities| !identities.is_empty())
        .ok_or_else(|| format!("{} holds no identity of age", identity.display()))?;
    let mut bytes = Vec::new();
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .and_then(|file| file.take(SECRET_BYTES * 2 + 1).read_to_end(&mut bytes))
        .map_err(|problem| format!("cannot read {shown}: {problem}"))?;
    if bytes.len() as u64 > SECRET_BYTES * 2 {
        return Err(format!("{shown} is larger than 128 KiB"));
    }
    let bytes = match std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.trim().strip_prefix(ARMOUR.0))
    {
        None => bytes,
        Some(rest) => {
            let body: String = rest
                .strip_suffix(ARMOUR.1)
                .unwrap_or_default()
                .split_ascii_whitespace()
                .collect();
            STANDARD
                .decode(body)
                .map_err(|_| format!("{shown} is not a whole age file"))?
        }
    };
    let wrong = || format!("{shown} cannot be opened with the identity of {}", identity.display());
    let decryptor = age::Decryptor::new(&bytes[..]).map_err(|_| format!("{shown} is not an age file"))?;
    let mut plain = Zeroizing::new(Vec::new());
    decryptor
        .decrypt(identities.iter().map(|identity| &**identity as &dyn age::Identity))
        .map_err(|_| wrong())?
        .take(SECRET_BYTES + 1)
        .read_to_end(&mut plain)
        .map_err(|_| wrong())?;
    if plain.len() as u64 > SECRET_BYTES {
        return Err(format!("the secret in {shown} is larger than 64 KiB"));
    }
    one_secret(&plain, &format!("the secret in {shown}"))
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
        assert_eq!(SecretSource::File(path).read().unwrap().expose(), "swordfish");
    }

    #[test]
    fn only_a_source_is_taken_and_nothing_else_is_repeated() {
        let read = |text: &str| serde_yaml::from_str::<SecretSource>(text).map_err(|problem| problem.to_string());
        assert_eq!(read("{ env: NAME }"), Ok(SecretSource::Env("NAME".to_owned())));
        assert_eq!(read("{ file: /run/x }"), Ok(SecretSource::File("/run/x".into())));
        assert_eq!(read("{ keyring: x }"), Ok(SecretSource::Keyring("x".to_owned())));
        let age = SecretSource::Age {
            file: "/a".into(),
            identity: "/i".into(),
        };
        assert_eq!(read("{ identity: /i, age: /a }"), Ok(age));
        let of_cluster = read("{ kubernetes: production, namespace: shop, secret: orders, key: password }").unwrap();
        assert_eq!(
            of_cluster.to_string(),
            "the key `password` of the secret `orders` in the namespace `shop` of the cluster `production`"
        );
        let of_vault = read("{ vault: studio, secret: orders }").unwrap();
        assert_eq!(of_vault.to_string(), "the secret `orders` in the vault `studio`");
        for (text, named) in [
            ("{ aws: prod, secret: db }", "the secret `db` of the account `prod`"),
            (
                "{ aws: prod, secret: db, key: password }",
                "the key `password` of the secret `db` of the account `prod`",
            ),
            (
                "{ aws: prod, parameter: /db/password }",
                "the parameter `/db/password` of the account `prod`",
            ),
        ] {
            assert_eq!(read(text).unwrap().to_string(), named);
        }
        for wrong in [
            "swordfish",
            "{ swordfish: NAME }",
            "{ env: NAME, file: swordfish }",
            "{ age: swordfish }",
            "{ keyring: '' }",
            "{ age: a, identity: b, env: swordfish }",
            "{ kubernetes: c, namespace: n, secret: swordfish }",
            "{ kubernetes: c, namespace: n, secret: s, key: k, value: swordfish }",
            "{ vault: swordfish }",
            "{ vault: v, secret: s, key: swordfish }",
            "{ aws: swordfish }",
            "{ aws: a, secret: s, parameter: swordfish }",
            "{ aws: a, parameter: p, key: swordfish }",
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

    fn private(path: &std::path::Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn an_age_file_is_opened_by_its_identity_alone() {
        use age::secrecy::ExposeSecret as _;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let key = age::x25519::Identity::generate();
        let sealed = age::encrypt(&key.to_public(), b"swordfish in age\n").unwrap();
        std::fs::write(at("s.age"), &sealed).unwrap();
        private(
            &at("key"),
            format!("# a key\n{}\n", key.to_string().expose_secret()).as_bytes(),
        );
        let source = |file: &str, identity: &str| SecretSource::Age {
            file: at(file),
            identity: at(identity),
        };
        assert_eq!(source("s.age", "key").read().unwrap().expose(), "swordfish in age");

        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &sealed);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect();
        std::fs::write(
            at("armoured.age"),
            format!("{}\n{}\n{}\n", super::ARMOUR.0, lines.join("\n"), super::ARMOUR.1),
        )
        .unwrap();
        assert_eq!(
            source("armoured.age", "key").read().unwrap().expose(),
            "swordfish in age"
        );

        let other = age::x25519::Identity::generate();
        private(&at("other"), other.to_string().expose_secret().as_bytes());
        assert!(
            source("s.age", "other")
                .read()
                .unwrap_err()
                .contains("cannot be opened")
        );
        std::fs::write(at("cut.age"), &sealed[..sealed.len() - 5]).unwrap();
        assert!(
            source("cut.age", "key")
                .read()
                .unwrap_err()
                .contains("cannot be opened")
        );
        std::fs::write(at("no.age"), "swordfish").unwrap();
        let refusal = source("no.age", "key").read().unwrap_err();
        assert!(
            refusal.contains("not an age file") && !refusal.contains("swordfish"),
            "{refusal}"
        );
        std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(source("s.age", "key").read().unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(SecretSource::File(path).read().unwrap_err().contains("is not a file"));
    }
}
