//! Signatures of minisign, verified only.

use super::Signed;
use minisign_verify::{PublicKey, Signature};

/// A public key and what to call its owner.
#[derive(Clone, Debug)]
pub struct Signer {
    pub name: String,
    key: PublicKey,
    text: String,
}

impl Signer {
    /// From the base64 text of a public key, as the last line of `minisign.pub` has it.
    ///
    /// # Errors
    /// It is no such key.
    pub fn new(name: &str, text: &str) -> Result<Self, String> {
        let key = PublicKey::from_base64(text.trim())
            .map_err(|_| format!("the minisign key of `{name}` is not a public key of minisign"))?;
        Ok(Self {
            name: name.to_owned(),
            key,
            text: text.trim().to_owned(),
        })
    }
}

pub(super) fn verify(signers: &[Signer], bytes: &[u8], signature: &[u8]) -> Result<Signed, String> {
    let unreadable = || "its minisign signature cannot be read".to_owned();
    let text = std::str::from_utf8(signature).map_err(|_| unreadable())?;
    let signature = Signature::decode(text).map_err(|_| unreadable())?;
    let mut wrong = None;
    for signer in signers {
        // Old signatures, made over the whole file instead of its hash, count as well: both cover every byte.
        match signer.key.verify(bytes, &signature, true) {
            Ok(()) => {
                return Ok(Signed {
                    by: signer.name.clone(),
                    key: format!("minisign {}", signer.text),
                });
            }
            Err(minisign_verify::Error::UnexpectedKeyId) => {}
            Err(_) => wrong = Some(&signer.name),
        }
    }
    match wrong {
        Some(name) => Err(format!(
            "the minisign signature with the key of `{name}` does not fit its content: one of the two was changed"
        )),
        None => Err("its minisign signature is of a key that this environment does not name".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Signer, verify};

    // The example of the library's own documentation: a key, and its signature of the text `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    #[test]
    fn only_the_named_key_and_the_signed_bytes_count() {
        let signer = Signer::new("alice", KEY).unwrap();
        let signed = verify(std::slice::from_ref(&signer), b"test", SIGNATURE.as_bytes()).unwrap();
        assert_eq!(signed.by, "alice");
        let changed = verify(std::slice::from_ref(&signer), b"tost", SIGNATURE.as_bytes()).unwrap_err();
        assert!(changed.contains("does not fit"), "{changed}");
        let stranger = verify(&[], b"test", SIGNATURE.as_bytes()).unwrap_err();
        assert!(stranger.contains("does not name"), "{stranger}");
        for broken in ["", "x", &SIGNATURE[..SIGNATURE.len() - 8]] {
            assert!(
                verify(std::slice::from_ref(&signer), b"test", broken.as_bytes()).is_err(),
                "{broken}"
            );
        }
        let comment = SIGNATURE.replace("file:test", "file:best");
        assert!(verify(&[signer], b"test", comment.as_bytes()).is_err());
        assert!(Signer::new("bob", "RWQ").is_err());
    }
}
