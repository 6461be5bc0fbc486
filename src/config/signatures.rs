//! `signatures:` of an environment: who vouches for runbooks.

use super::{Error, error};
use crate::trust::{SIGNERS_BYTES, Signers, minisign, ssh};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Who vouches for runbooks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatures {
    /// Enforced: what is not signed by one of these does not run.
    #[serde(default)]
    pub required: bool,
    /// A list of allowed signers as `ssh-keygen` and git read it; an absolute path.
    #[serde(default)]
    pub allowed_signers: Option<PathBuf>,
    /// Public keys of minisign by the name of their owner.
    #[serde(default)]
    pub minisign: BTreeMap<String, String>,
}

impl Signatures {
    /// True when the configuration names somebody.
    pub fn names_somebody(&self) -> bool {
        self.allowed_signers.is_some() || !self.minisign.is_empty()
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if self.required && !self.names_somebody() {
            return Err(
                "`signatures` are required and nobody may sign: name `allowed_signers` or `minisign`".to_owned(),
            );
        }
        if self.allowed_signers.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(
                "`allowed_signers` is an absolute path: who may sign does not depend on the folder one is in"
                    .to_owned(),
            );
        }
        for (name, key) in &self.minisign {
            minisign::Signer::new(name, key)?;
        }
        Ok(())
    }

    /// Reads the lists.
    ///
    /// # Errors
    /// Names the file and line that cannot be read: a list that is understood in part would be a guess.
    pub fn signers(&self) -> Result<Signers, Error> {
        use std::io::Read;
        let mut signers = Signers::default();
        if let Some(path) = &self.allowed_signers {
            let shown = path.display();
            let mut text = String::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(SIGNERS_BYTES + 1).read_to_string(&mut text))
                .or_else(|problem| error(format!("cannot read the allowed signers {shown}: {problem}")))?;
            if text.len() as u64 > SIGNERS_BYTES {
                return error(format!("the allowed signers {shown} are larger than 1 MiB"));
            }
            signers.ssh = ssh::signers(&text).or_else(|problem| error(format!("{shown}: {problem}")))?;
        }
        for (name, key) in &self.minisign {
            signers.minisign.push(minisign::Signer::new(name, key).or_else(error)?);
        }
        Ok(signers)
    }
}
