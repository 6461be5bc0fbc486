//! Secrets that lie beyond this machine: in clusters, vaults and accounts of the environment.

use super::SecretText;
use super::source::{SECRET_BYTES, one_secret};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroizing;

/// Which key of which secret in which cluster of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSecret {
    /// Its name in the configuration.
    pub cluster: String,
    pub namespace: String,
    pub secret: String,
    pub key: String,
}

impl fmt::Display for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key `{}` of the secret `{}` in the namespace `{}` of the cluster `{}`",
            self.key, self.secret, self.namespace, self.cluster
        )
    }
}

/// Which secret in which vault of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSecret {
    /// Its name in the configuration.
    pub vault: String,
    pub secret: String,
}

impl fmt::Display for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret `{}` in the vault `{}`", self.secret, self.vault)
    }
}

/// What is kept in which account of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSecret {
    /// Its name in the configuration.
    pub account: String,
    pub kept: Kept,
}

/// Where an account keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A secret, or one key of one that is a JSON object.
    Secret { name: String, key: Option<String> },
    /// A parameter.
    Parameter(String),
}

impl fmt::Display for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kept {
            Kept::Secret { name, key: None } => write!(f, "the secret `{name}`")?,
            Kept::Secret { name, key: Some(key) } => write!(f, "the key `{key}` of the secret `{name}`")?,
            Kept::Parameter(name) => write!(f, "the parameter `{name}`")?,
        }
        write!(f, " of the account `{}`", self.account)
    }
}

/// Reads secrets of one kind of place: whoever knows how to reach it.
pub trait Keeper<W>: Send + Sync {
    /// The bytes, read now.
    ///
    /// # Errors
    /// What went wrong, in words that hold no part of the secret.
    fn read(&self, wanted: &W) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// Who reads secrets of one kind of place in this process.
pub type Reached<W> = RwLock<Option<Arc<dyn Keeper<W>>>>;

/// A secret beyond this machine.
pub trait Remote: fmt::Display + Sized + 'static {
    /// What the places are called where it may lie.
    const PLACES: &str;

    /// Who reads it in this process.
    fn reached() -> &'static Reached<Self>;
}

impl Remote for ClusterSecret {
    const PLACES: &str = "clusters";

    fn reached() -> &'static Reached<Self> {
        static CLUSTERS: Reached<ClusterSecret> = RwLock::new(None);
        &CLUSTERS
    }
}

impl Remote for VaultSecret {
    const PLACES: &str = "vaults";

    fn reached() -> &'static Reached<Self> {
        static VAULTS: Reached<VaultSecret> = RwLock::new(None);
        &VAULTS
    }
}

impl Remote for AccountSecret {
    const PLACES: &str = "accounts of AWS";

    fn reached() -> &'static Reached<Self> {
        static ACCOUNTS: Reached<AccountSecret> = RwLock::new(None);
        &ACCOUNTS
    }
}

/// From now on such secrets are read by this one: those of the environment in which this process works.
pub fn reach<W: Remote>(by: Arc<dyn Keeper<W>>) {
    *W::reached().write().unwrap_or_else(PoisonError::into_inner) = Some(by);
}

/// The secret, read now.
pub(super) fn read<W: Remote>(wanted: &W) -> Result<SecretText, String> {
    let by = W::reached().read().unwrap_or_else(PoisonError::into_inner).clone();
    let by = by.ok_or_else(|| format!("{wanted} cannot be read: this environment has no {}", W::PLACES))?;
    let bytes = by.read(wanted)?;
    if bytes.len() as u64 > SECRET_BYTES {
        return Err(format!("{wanted} is larger than 64 KiB"));
    }
    one_secret(&bytes, &wanted.to_string())
}
