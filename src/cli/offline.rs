//! Approval without a connection: a challenge that one person reads to another, and an answer that comes back the same way.
//!
//! A challenge stands for exactly one request: it is the beginning of the request's digest, or the whole request for a chat. An
//! answer is made with the approver's own key: a signature (Ed25519), or a short code (HMAC-SHA256) that can be spoken.

use crate::engine::consent::Material;
use crate::secrets::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::KeyPair as _;
use ring::{hmac, signature};
use std::fmt::Write as _;

/// Bytes of the digest that a spoken challenge carries: 80 bits.
const SPOKEN: usize = 10;

/// Bytes of a spoken answer: 40 bits. With [`TRIES`] tries a guess succeeds once in 3.6 × 10¹¹ requests.
const CODE: usize = 5;

/// Wrong answers after which a request takes no further answer.
pub const TRIES: u32 = 3;

/// What is signed begins with this, so that an answer is an answer to nothing else.
const PURPOSE: &str = "starr approval without a connection 1";

/// The letters and digits that are not mistaken for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const KEY: &str = "starr-key-1 ed25519 ";
const SHARED: &str = "starr-key-1 code ";
const LONG: &str = "starr1.";

/// What the second person was given.
#[derive(Clone, Debug, PartialEq)]
pub enum Challenge {
    /// Spoken: the beginning of the digest.
    Short([u8; SPOKEN]),
    /// In writing: everything that is approved.
    Whole(Box<Material>),
}

impl Challenge {
    /// Reads a challenge as it was typed or pasted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(encoded) = text.strip_prefix(LONG) {
            let packed: String = encoded.split_whitespace().collect();
            let bytes = URL_SAFE_NO_PAD
                .decode(packed)
                .map_err(|_| "the challenge is damaged: copy all of it, from `starr1.` to its end".to_owned())?;
            let material = serde_json::from_slice(&bytes)
                .map_err(|_| "the challenge is damaged, or was made by another version of starr".to_owned())?;
            return Ok(Challenge::Whole(Box::new(material)));
        }
        let bytes = spoken(text, SPOKEN)?;
        bytes
            .try_into()
            .map(Challenge::Short)
            .map_err(|_| "the challenge has another length".to_owned())
    }

    /// What an answer is made over.
    fn bound(&self) -> String {
        match self {
            Challenge::Short(bytes) => hex::encode(bytes),
            Challenge::Whole(material) => material.digest(),
        }
    }

    /// The spoken form.
    pub fn short(&self) -> String {
        match self {
            Challenge::Short(bytes) => speak(bytes),
            Challenge::Whole(material) => short(&material.digest()),
        }
    }
}

/// The spoken challenge of a digest.
pub fn short(digest: &str) -> String {
    let bytes = hex::decode(digest).unwrap_or_default();
    speak(bytes.get(..SPOKEN).unwrap_or(&bytes))
}

/// The written challenge of a request.
pub fn whole(material: &Material) -> String {
    let bytes = serde_json::to_vec(material).unwrap_or_default();
    format!("{LONG}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A key of a person.
pub enum Key {
    /// The seed of an Ed25519 key.
    Signing(signature::Ed25519KeyPair),
    /// A secret that the approver's machine and the run's machine share.
    Shared(hmac::Key),
}

impl Key {
    /// Reads the text of a key file.
    pub fn parse(text: &SecretText) -> Result<Self, String> {
        let damaged = || "it is no key of starr; make one with: starr approve --new-key FILE".to_owned();
        let text = text.expose().trim();
        if let Some(seed) = text.strip_prefix(KEY) {
            let seed = zeroize(STANDARD.decode(seed).map_err(|_| damaged())?);
            return signature::Ed25519KeyPair::from_seed_unchecked(&seed)
                .map(Key::Signing)
                .map_err(|_| damaged());
        }
        let secret = text.strip_prefix(SHARED).ok_or_else(damaged)?;
        let secret = zeroize(STANDARD.decode(secret).map_err(|_| damaged())?);
        if secret.len() != 32 {
            return Err(damaged());
        }
        Ok(Key::Shared(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// Draws a new key: the text of its file, and what the configuration needs of it, as a line for the person's entry.
    pub fn draw(shared: bool) -> Result<(SecretText, String), String> {
        let mut seed = zeroize(vec![0_u8; 32]);
        getrandom::fill(&mut seed).map_err(|problem| format!("no randomness: {problem}"))?;
        if shared {
            let text = format!("{SHARED}{}", STANDARD.encode(&*seed));
            return Ok((
                SecretText::new(text),
                "code: { file: /path/to/a/copy/of/this/file }".to_owned(),
            ));
        }
        let pair =
            signature::Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| "the key was refused".to_owned())?;
        let public = format!("key: \"ed25519:{}\"", STANDARD.encode(pair.public_key().as_ref()));
        Ok((SecretText::new(format!("{KEY}{}", STANDARD.encode(&*seed))), public))
    }

    /// The answer of this person to a challenge.
    pub fn answer(&self, person: &str, challenge: &Challenge) -> String {
        self.prove(person, &challenge.bound())
    }

    /// The proof that a decision in a store is this person's: over the whole digest.
    pub fn prove(&self, person: &str, bound: &str) -> String {
        let message = message(person, bound);
        match self {
            Key::Signing(pair) => URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())),
            Key::Shared(key) => speak(&hmac::sign(key, message.as_bytes()).as_ref()[..CODE]),
        }
    }
}

fn zeroize(bytes: Vec<u8>) -> zeroizing::Bytes {
    zeroizing::Bytes(bytes)
}

mod zeroizing {
    /// Bytes of a key, written over when they go.
    pub struct Bytes(pub Vec<u8>);

    impl std::ops::Deref for Bytes {
        type Target = Vec<u8>;

        fn deref(&self) -> &Vec<u8> {
            &self.0
        }
    }

    impl std::ops::DerefMut for Bytes {
        fn deref_mut(&mut self) -> &mut Vec<u8> {
            &mut self.0
        }
    }

    impl Drop for Bytes {
        fn drop(&mut self) {
            self.0.fill(0);
            std::hint::black_box(&self.0);
        }
    }
}

fn message(person: &str, bound: &str) -> String {
    format!("{PURPOSE}\n{person}\n{bound}")
}

/// How a proof was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Signature,
    Code,
}

/// What the configuration knows of a person's keys.
#[derive(Default)]
pub struct Known {
    /// Ed25519, 32 bytes.
    pub public: Option<Vec<u8>>,
    pub shared: Option<SecretText>,
}

/// A wrong proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It cannot be an answer at all (mistyped); costs no try.
    Mistyped(String),
    /// It has the form of an answer and is not the answer.
    Refused(String),
}

/// Whether a proof is this person's approval of exactly this digest.
pub fn check(known: &Known, person: &str, digest: &str, proof: &str) -> Result<Proof, Wrong> {
    let proof = proof.trim();
    let short = hex::decode(digest).unwrap_or_default();
    let short = hex::encode(short.get(..SPOKEN).unwrap_or(&short));
    let bounds = [digest, short.as_str()];
    if let Some(bytes) = URL_SAFE_NO_PAD.decode(proof).ok().filter(|bytes| bytes.len() == 64) {
        let Some(public) = &known.public else {
            return Err(Wrong::Refused(format!("the configuration has no `key` of {person}")));
        };
        let key = signature::UnparsedPublicKey::new(&signature::ED25519, public);
        let good = bounds
            .iter()
            .any(|bound| key.verify(message(person, bound).as_bytes(), &bytes).is_ok());
        return good
            .then_some(Proof::Signature)
            .ok_or_else(|| Wrong::Refused(format!("the signature is not {person}'s for this request")));
    }
    let code = spoken(proof, CODE).map_err(Wrong::Mistyped)?;
    let Some(shared) = &known.shared else {
        return Err(Wrong::Refused(format!("the configuration has no `code` of {person}")));
    };
    let Key::Shared(key) = Key::parse(shared).map_err(Wrong::Refused)? else {
        return Err(Wrong::Refused(format!("the `code` of {person} is no shared secret")));
    };
    let good = bounds.iter().any(|bound| {
        let expected = hmac::sign(&key, message(person, bound).as_bytes());
        // Not a difference that time could tell: every byte is looked at.
        let different = expected.as_ref()[..CODE]
            .iter()
            .zip(&code)
            .fold(0, |all, (a, b)| all | (a ^ b));
        different == 0
    });
    good.then_some(Proof::Code)
        .ok_or_else(|| Wrong::Refused(format!("the code is not {person}'s for this request")))
}

/// Bytes in groups of four characters, with a character at the end that finds slips of the tongue.
fn speak(bytes: &[u8]) -> String {
    let mut bits = 0_u32;
    let mut held = 0_u32;
    let mut letters: Vec<u8> = Vec::new();
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letters.push(ALPHABET[((held >> bits) & 31) as usize]);
        }
    }
    letters.push(ALPHABET[control(&letters)]);
    let mut text = String::new();
    for (index, letter) in letters.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        let _ = write!(text, "{}", char::from(*letter));
    }
    text
}

fn value(letter: u8) -> Option<usize> {
    let letter = match letter.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    ALPHABET.iter().position(|known| *known == letter)
}

/// A weighted sum over a prime larger than the alphabet, folded into it: every single wrong letter and nearly every exchange of two
/// neighbours changes it.
fn control(letters: &[u8]) -> usize {
    let sum: usize = letters
        .iter()
        .filter_map(|letter| value(*letter))
        .enumerate()
        .map(|(index, number)| (2 * index + 1) * number)
        .sum();
    sum % 32
}

/// The bytes of what was spoken; groups, spaces and case do not matter.
fn spoken(text: &str, bytes: usize) -> Result<Vec<u8>, String> {
    let letters: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b'-' | b' '))
        .map(|byte| byte.to_ascii_uppercase())
        .collect();
    let expected = bytes * 8 / 5 + 1;
    if letters.len() != expected {
        return Err(format!(
            "{expected} letters and digits are expected, there are {}",
            letters.len()
        ));
    }
    let numbers: Option<Vec<usize>> = letters.iter().map(|letter| value(*letter)).collect();
    let numbers = numbers.ok_or_else(|| "there is a character in it that codes do not have".to_owned())?;
    let (body, end) = letters.split_at(expected - 1);
    if end.first().and_then(|letter| value(*letter)) != Some(control(body)) {
        return Err("it was mistyped or misheard: its last character does not fit the others".to_owned());
    }
    let mut held = 0_u32;
    let mut bits = 0_u32;
    let mut found = Vec::with_capacity(bytes);
    for number in &numbers[..expected - 1] {
        held = ((held << 5) | (*number as u32)) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            found.push(((held >> bits) & 0xff) as u8);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(action: &str) -> Material {
        Material {
            version: 1,
            run: "260814-0912-kolu".to_owned(),
            scope: String::new(),
            environment: "production".to_owned(),
            requester: "alice".to_owned(),
            plan: "p".to_owned(),
            action: action.to_owned(),
            order: "End 14 sessions".to_owned(),
            risk: "low".to_owned(),
            roles: vec!["oncall".to_owned()],
            calls: vec![],
            targets: vec![],
            seeing: vec![],
            because: vec![],
            nonce: "n".to_owned(),
        }
    }

    fn pair() -> (Key, Known) {
        let (secret, line) = Key::draw(false).unwrap();
        let public = crate::config::public_key(line.trim_start_matches("key: \"").trim_end_matches('"')).unwrap();
        let known = Known {
            public: Some(public),
            shared: None,
        };
        (Key::parse(&secret).unwrap(), known)
    }

    fn shared() -> (Key, Known) {
        let (secret, _) = Key::draw(true).unwrap();
        let key = Key::parse(&secret).unwrap();
        let known = Known {
            public: None,
            shared: Some(secret),
        };
        (key, known)
    }

    #[test]
    fn an_answer_is_good_for_its_person_and_its_request_alone() {
        for (key, known) in [pair(), shared()] {
            let (right, other) = (material("end_stuck"), material("end_all"));
            let digest = right.digest();
            for challenge in [
                Challenge::parse(&short(&digest)).unwrap(),
                Challenge::parse(&whole(&right)).unwrap(),
            ] {
                let answer = key.answer("bob", &challenge);
                assert!(check(&known, "bob", &digest, &answer).is_ok(), "{answer}");
                assert!(check(&known, "bob", &digest, &format!(" {} ", answer)).is_ok());
                assert!(matches!(
                    check(&known, "alice", &digest, &answer),
                    Err(Wrong::Refused(_))
                ));
                assert!(matches!(
                    check(&known, "bob", &other.digest(), &answer),
                    Err(Wrong::Refused(_))
                ));
                for (_, foreign) in [pair(), shared()] {
                    assert!(matches!(
                        check(&foreign, "bob", &digest, &answer),
                        Err(Wrong::Refused(_))
                    ));
                }
            }
        }
    }

    #[test]
    fn every_field_of_a_request_makes_another_challenge() {
        let base = serde_json::to_value(material("end_stuck")).unwrap();
        let digest = material("end_stuck").digest();
        let fields: Vec<String> = base.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields.len(), 15);
        for field in fields {
            let mut changed = base.clone();
            changed[&field] = match &base[&field] {
                serde_json::Value::Number(_) => serde_json::json!(2),
                serde_json::Value::String(text) => serde_json::json!(format!("{text}x")),
                _ => match field.as_str() {
                    "calls" => serde_json::json!([{ "operation": "x", "arguments": [], "class": "U" }]),
                    "targets" => serde_json::json!([{ "provider": "x", "name": "y" }]),
                    "seeing" => serde_json::json!([["x", { "text": "y", "data": 1 }]]),
                    _ => serde_json::json!(["x"]),
                },
            };
            let changed: Material = serde_json::from_value(changed).unwrap();
            assert_ne!(changed.digest(), digest, "{field}");
        }
    }

    #[test]
    fn slips_of_the_tongue_are_found_and_cost_no_try() {
        let digest = material("end_stuck").digest();
        let spoken_form = short(&digest);
        assert_eq!(spoken_form.len(), 17 + 4, "{spoken_form}");
        let lower = spoken_form.to_lowercase().replace('-', " ");
        assert_eq!(
            Challenge::parse(&lower).unwrap(),
            Challenge::parse(&spoken_form).unwrap()
        );
        let letters: Vec<char> = spoken_form.chars().filter(|letter| *letter != '-').collect();
        for place in 0..letters.len() {
            for replacement in ALPHABET {
                let mut wrong = letters.clone();
                if wrong[place] == char::from(*replacement) {
                    continue;
                }
                wrong[place] = char::from(*replacement);
                let wrong: String = wrong.into_iter().collect();
                assert!(Challenge::parse(&wrong).is_err(), "{wrong} for {spoken_form}");
            }
        }
        let (_, known) = shared();
        assert!(matches!(check(&known, "bob", &digest, "ABCD"), Err(Wrong::Mistyped(_))));
        assert!(matches!(check(&known, "bob", &digest, "yes"), Err(Wrong::Mistyped(_))));
        for hostile in [
            "",
            "starr1.",
            "starr1.!!!",
            "starr1.AAAA",
            "\u{202e}",
            &"A".repeat(100_000),
        ] {
            assert!(Challenge::parse(hostile).is_err());
        }
    }

    #[test]
    fn codes_differ_between_requests() {
        let (key, _) = shared();
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..1000 {
            let challenge = Challenge::Whole(Box::new(material(&format!("a{number}"))));
            seen.insert(key.answer("bob", &challenge));
        }
        assert_eq!(seen.len(), 1000);
    }
}
