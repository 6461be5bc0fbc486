//! Which texts may run: signatures of people whose keys the environment names, and content that a project has pinned.
//!
//! Everything here works on bytes that were read already. The bytes that are verified are those the program was made from; nothing is
//! read a second time.

pub mod lock;
pub mod minisign;
pub mod ssh;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The namespace of signatures of runbooks, so that a signature made for something else is none.
pub const NAMESPACE: &str = "starr-runbook";

/// Largest signature and largest list of signers, in bytes.
pub const SIGNATURE_BYTES: u64 = crate::limits::SIGNATURE_BYTES;
pub const SIGNERS_BYTES: u64 = crate::limits::SIGNERS_BYTES;

/// Whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Signers {
    /// From a file in the form of `ssh-keygen`'s allowed signers.
    pub ssh: Vec<ssh::Signer>,
    /// Names and public keys of minisign.
    pub minisign: Vec<minisign::Signer>,
}

/// A signature as it lies beside a file; each kind may be absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// `FILE.sig`
    pub ssh: Option<&'a [u8]>,
    /// `FILE.minisig`
    pub minisign: Option<&'a [u8]>,
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The principal of the list, or the name of the minisign key.
    pub by: String,
    /// The fingerprint of the key.
    pub key: String,
}

/// Verifies the signature of `bytes`. Where there are two, both must hold: a damaged one is never passed over.
///
/// # Errors
/// In words, without the file's name: no signature, one that cannot be read, one that does not fit the bytes, one of a key
/// that is not on the list.
pub fn verify(signers: &Signers, bytes: &[u8], found: Found<'_>, now: Timestamp) -> Result<Signed, String> {
    let by_ssh = found
        .ssh
        .map(|signature| ssh::verify(&signers.ssh, bytes, signature, now))
        .transpose()?;
    let by_minisign = found
        .minisign
        .map(|signature| minisign::verify(&signers.minisign, bytes, signature))
        .transpose()?;
    by_ssh.or(by_minisign).ok_or_else(|| "it is not signed".to_owned())
}

/// SHA-256 of a text, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
