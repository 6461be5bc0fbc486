//! Where the signing key lies: a file that only its owner can read, or the system's keyring. Never in the store.

use super::note::{Algorithm, Signer};
use super::{Error, machine};
use serde::Deserialize;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// No key file is larger.
const FILE_BYTES: u64 = 4096;
/// The name under which keys lie in the keyring.
const SERVICE: &str = "starr";

/// Where a signing key is found.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Source {
    /// `signing_key: PATH`
    File(PathBuf),
    /// `signing_key: { keyring: NAME }`
    Keyring { keyring: String },
}

impl Source {
    /// Reads the key.
    pub fn load(&self) -> Result<Signer, Error> {
        match self {
            Source::File(path) => load_file(path),
            Source::Keyring { keyring } => {
                let fail = |why: String| error(&format!("in the keyring under `{}`", keyring.escape_debug()), &why);
                let text = keyring::Entry::new(SERVICE, keyring)
                    .and_then(|entry| entry.get_password())
                    .map_err(|problem| fail(problem.to_string()))?;
                Signer::parse(text.trim_end()).map_err(fail)
            }
        }
    }

    /// Puts a key there; one that is there already is not replaced.
    pub fn keep(&self, signer: &Signer) -> Result<(), Error> {
        match self {
            Source::File(path) => keep_file(path, signer),
            Source::Keyring { keyring } => {
                let fail = |why: String| error(&format!("in the keyring under `{}`", keyring.escape_debug()), &why);
                let entry = keyring::Entry::new(SERVICE, keyring).map_err(|problem| fail(problem.to_string()))?;
                if entry.get_password().is_ok() {
                    return Err(fail("there is a key of this name already".to_owned()));
                }
                entry
                    .set_password(&signer.encode())
                    .map_err(|problem| fail(problem.to_string()))
            }
        }
    }
}

/// Draws a key of this name.
pub fn generate(name: &str) -> Result<Signer, Error> {
    Signer::new(name, Algorithm::Ed25519, machine::random()?).map_err(|message| Error { message })
}

fn error(place: &str, why: &str) -> Error {
    Error {
        message: format!("The journal's signing key {place} cannot be used: {why}"),
    }
}

fn load_file(path: &Path) -> Result<Signer, Error> {
    let fail = |why: &str| error(&format!("at {}", path.display()), why);
    let file = std::fs::File::open(path).map_err(|problem| fail(&problem.to_string()))?;
    // Of the file that was opened, so that it cannot be exchanged in between.
    let status = file.metadata().map_err(|problem| fail(&problem.to_string()))?;
    if !status.is_file() {
        return Err(fail("it is not a file"));
    }
    if status.mode() & 0o077 != 0 {
        return Err(fail(&format!(
            "others can read or write it (mode {:04o}). If nobody else has seen it: chmod 600",
            status.mode() & 0o7777
        )));
    }
    let mut text = String::new();
    file.take(FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(|problem| fail(&problem.to_string()))?;
    Signer::parse(text.trim_end()).map_err(|why| fail(&why))
}

fn keep_file(path: &Path, signer: &Signer) -> Result<(), Error> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{}", signer.encode())?;
        file.sync_all()
    };
    write().map_err(|problem| Error {
        message: format!("The signing key cannot be written to {}: {problem}", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_file_is_tight_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let source = Source::File(path.clone());
        let signer = generate("ops.example.com/journal").unwrap();
        source.keep(&signer).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(source.load().unwrap().verifier(), signer.verifier());
        let again = source.keep(&signer).unwrap_err();
        assert!(again.message.contains("exists"), "{again}");
        for mode in [0o640, 0o604, 0o660, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = source.load().unwrap_err();
            assert!(error.message.contains("others can read or write it"), "{error}");
            assert!(!error.message.contains("PRIVATE+KEY+ops"), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        std::fs::write(
            &path,
            "PRIVATE+KEY+a+00000000+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n",
        )
        .unwrap();
        let error = Source::File(path).load().unwrap_err();
        assert!(error.message.contains("the id does not belong"), "{error}");
        assert!(!error.message.contains("AYEK"), "{error}");
        let missing = Source::File(folder.path().join("none")).load().unwrap_err();
        assert!(missing.message.contains("No such file"), "{missing}");
        assert!(generate("with space").is_err());
    }
}
