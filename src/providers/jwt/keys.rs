//! Keys, algorithms and signatures (RFC 7515, 7517, 7518, 8037). The mathematics is ring's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::Value as Json;

/// An algorithm of a signature. `none` is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name, exactly as it is written in tokens.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "HS256" => Self::Hs256,
            "HS384" => Self::Hs384,
            "HS512" => Self::Hs512,
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// True where both sides hold the same secret.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// A key that signatures are checked with.
pub struct Key {
    pub id: Option<String>,
    /// The only algorithm it is for, where it says so.
    pub algorithm: Option<String>,
    material: Material,
}

enum Material {
    Shared(zeroize::Zeroizing<Vec<u8>>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The bytes of a part of a token or key.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

impl Key {
    /// A secret that both sides share.
    pub fn shared(secret: &[u8]) -> Self {
        Self {
            id: None,
            algorithm: None,
            material: Material::Shared(zeroize::Zeroizing::new(secret.to_vec())),
        }
    }

    /// A public key of a key set; `None` for one that is of no use here.
    fn read(json: &Json) -> Option<Self> {
        let text = |name: &str| json.get(name).and_then(Json::as_str);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let part = |name: &str| text(name).and_then(bytes);
        // The point of a curve: a byte that says "whole", then both coordinates.
        let point = |size: usize| {
            let (x, y) = (part("x")?, part("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4_u8], x.as_slice(), y.as_slice()].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa {
                n: part("n")?,
                e: part("e")?,
            },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(part("x")?),
            // A secret in a set that is handed around is none.
            _ => return None,
        };
        Some(Self {
            id: text("kid").map(str::to_owned),
            algorithm: text("alg").map(str::to_owned),
            material,
        })
    }

    /// Whether the algorithm is one for this kind of key.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self.material {
            Material::Shared(_) => algorithm.is_shared(),
            Material::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Material::P256(_) => algorithm == Es256,
            Material::P384(_) => algorithm == Es384,
            Material::Ed25519(_) => algorithm == EdDsa,
        }
    }

    /// Whether this key has signed the message.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], sign: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let public = |how: &'static dyn signature::VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, sign).is_ok()
        };
        match &self.material {
            Material::Shared(secret) => {
                let how = match algorithm {
                    Algorithm::Hs384 => ring::hmac::HMAC_SHA384,
                    Algorithm::Hs512 => ring::hmac::HMAC_SHA512,
                    _ => ring::hmac::HMAC_SHA256,
                };
                ring::hmac::verify(&ring::hmac::Key::new(how, secret), message, sign).is_ok()
            }
            Material::Rsa { n, e } => {
                let how = match algorithm {
                    Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => &signature::RSA_PKCS1_2048_8192_SHA256,
                };
                RsaPublicKeyComponents { n, e }.verify(how, message, sign).is_ok()
            }
            Material::P256(point) => public(&signature::ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => public(&signature::ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(point) => public(&signature::ED25519, point),
        }
    }
}

/// The keys of a key set; those that are of no use here are left out.
///
/// # Errors
/// It is no key set.
pub fn read_set(text: &[u8]) -> Result<Vec<Key>, String> {
    let json: Json = serde_json::from_slice(text).map_err(|_| "the key set is not JSON".to_owned())?;
    let keys = json
        .get("keys")
        .and_then(Json::as_array)
        .ok_or_else(|| "the key set has no `keys`".to_owned())?;
    Ok(keys.iter().take(200).filter_map(Key::read).collect())
}
