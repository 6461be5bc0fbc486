//! Signatures made with SSH keys, as `ssh-keygen -Y sign` makes and git uses them (PROTOCOL.sshsig), and the list of allowed signers
//! (ssh-keygen(1), ALLOWED SIGNERS).

use super::{NAMESPACE, Signed};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

/// One line of the list.
#[derive(Clone, Debug)]
pub struct Signer {
    /// As the list names the person: usually a mail address.
    pub principals: String,
    key: PublicKey,
    /// Patterns; empty: every namespace.
    namespaces: String,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

/// Reads a list of allowed signers.
///
/// # Errors
/// Names the line that cannot be read: a list that is understood in part would be a guess about who may sign.
pub fn signers(text: &str) -> Result<Vec<Signer>, String> {
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        all.push(signer(line).map_err(|wrong| format!("line {}: {wrong}", number + 1))?);
    }
    Ok(all)
}

fn signer(line: &str) -> Result<Signer, String> {
    let mut words = words(line)?.into_iter();
    let principals = words.next().ok_or("it is empty")?;
    let mut signer = (String::new(), None, None);
    let mut key = Vec::new();
    for word in words.by_ref() {
        let is_key = ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| word.starts_with(prefix));
        if is_key {
            key.push(word);
            break;
        }
        for option in options(&word) {
            let (name, value) = option.split_once('=').unwrap_or((&option, ""));
            match name.to_ascii_lowercase().as_str() {
                "namespaces" => signer.0 = value.to_owned(),
                "valid-after" => signer.1 = Some(moment(value)?),
                "valid-before" => signer.2 = Some(moment(value)?),
                "cert-authority" => return Err("certificates are not supported; name the keys themselves".to_owned()),
                other => return Err(format!("the option `{other}` is not known")),
            }
        }
    }
    key.extend(words.next());
    if key.len() < 2 {
        return Err("expected: principals, options if any, kind of key, key".to_owned());
    }
    let key = PublicKey::from_openssh(&key.join(" "))
        .map_err(|problem| format!("the key of `{principals}` cannot be used: {problem}"))?;
    Ok(Signer {
        principals,
        key,
        namespaces: signer.0,
        after: signer.1,
        before: signer.2,
    })
}

/// Words between blanks; quotes hold blanks and commas together and are taken away only by [`options`].
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                word.push(character);
            }
            ' ' | '\t' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed".to_owned());
    }
    if !word.is_empty() {
        words.push(word);
    }
    if let Some(first) = words.first_mut()
        && let Some(inner) = first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
    {
        *first = inner.to_owned();
    }
    Ok(words)
}

/// `namespaces="a,b",valid-after=…` at the commas outside quotes, without the quotes.
fn options(word: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quoted = false;
    for character in word.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => {
                if let Some(last) = all.last_mut() {
                    last.push(other);
                }
            }
        }
    }
    all
}

/// `YYYYMMDD[Z]`, `YYYYMMDDHHMM[SS][Z]`; without `Z` in the time zone of this machine.
fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is not a time such as 20261122Z or 202611220300Z");
    let (digits, zone) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, TimeZone::UTC),
        None => (text, TimeZone::system()),
    };
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    DateTime::strptime("%Y%m%d%H%M%S", format!("{digits:0<14}"))
        .ok()
        .and_then(|time| time.to_zoned(zone).ok())
        .map(|time| time.timestamp())
        .ok_or_else(wrong)
}

/// Patterns with `*` and `?`, separated by commas; one with `!` before it that matches refuses whatever the others say.
fn matches(patterns: &str, text: &str) -> bool {
    let mut matched = false;
    for pattern in patterns.split(',').map(str::trim) {
        match pattern.strip_prefix('!') {
            Some(pattern) if glob(pattern.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => matched = matched || glob(pattern.as_bytes(), text.as_bytes()),
        }
    }
    matched
}

/// Linear in the product of both lengths: on a mismatch only the last `*` is tried again.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((place, begin)) => {
                    star = Some((place, begin + 1));
                    at = place + 1;
                    seen = begin + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

pub(super) fn verify(signers: &[Signer], bytes: &[u8], signature: &[u8], now: Timestamp) -> Result<Signed, String> {
    if signature.iter().all(u8::is_ascii_whitespace) {
        return Err("its signature file is empty".to_owned());
    }
    let signature = std::str::from_utf8(signature)
        .ok()
        .and_then(|text| {
            let signature = SshSig::from_pem(text.trim()).ok()?;
            // One signature, one form: nothing in it is left unread.
            let again = signature.to_pem(LineEnding::LF).ok()?;
            let solid = |text: &str| text.split_ascii_whitespace().collect::<String>();
            (solid(&again) == solid(text)).then_some(signature)
        })
        .ok_or("its SSH signature cannot be read")?;
    if signature.namespace() != NAMESPACE {
        return Err(format!(
            "its signature was made for `{}`, not for `{NAMESPACE}`",
            signature.namespace()
        ));
    }
    let key = PublicKey::from(signature.public_key().clone());
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let known: Vec<&Signer> = signers
        .iter()
        .filter(|signer| signer.key.key_data() == signature.public_key())
        .collect();
    if known.is_empty() {
        return Err(format!(
            "it is signed with the key {fingerprint}, which is not on the list of allowed signers"
        ));
    }
    let allowed = known.iter().find(|signer| {
        (signer.namespaces.is_empty() || matches(&signer.namespaces, NAMESPACE))
            && signer.after.is_none_or(|after| now >= after)
            && signer.before.is_none_or(|before| now < before)
    });
    let Some(signer) = allowed else {
        return Err(format!(
            "it is signed with the key {fingerprint} of `{}`, which the list does not allow for `{NAMESPACE}` at this time",
            known[0].principals
        ));
    };
    key.verify(NAMESPACE, bytes, &signature).map_err(|_| {
        format!(
            "the signature of `{}` does not fit its content: one of the two was changed",
            signer.principals
        )
    })?;
    Ok(Signed {
        by: signer.principals.clone(),
        key: fingerprint,
    })
}

/// Signs `bytes` with a private key in the form of OpenSSH. The text is what `ssh-keygen -Y sign` writes to `FILE.sig`.
///
/// # Errors
/// The key cannot be read, is encrypted, or is of a kind that cannot sign here.
pub fn sign(key: &str, bytes: &[u8]) -> Result<String, String> {
    let key = PrivateKey::from_openssh(key.trim()).map_err(|_| "it is not a private key in the form of OpenSSH")?;
    if key.is_encrypted() {
        return Err(format!(
            "the key is protected by a passphrase; sign with: ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE"
        ));
    }
    key.sign(NAMESPACE, HashAlg::Sha512, bytes)
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map_err(|problem| format!("this kind of key cannot sign: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::{Signer, glob, matches, moment, sign, signers, verify};
    use jiff::Timestamp;
    use ssh_key::{
        LineEnding, PrivateKey,
        private::{Ed25519Keypair, KeypairData},
    };

    /// A key from fixed bytes: what is tested is the format, not the randomness.
    fn key(byte: u8) -> PrivateKey {
        PrivateKey::new(KeypairData::from(Ed25519Keypair::from_seed(&[byte; 32])), "test").unwrap()
    }

    fn private(byte: u8) -> String {
        key(byte).to_openssh(LineEnding::LF).unwrap().to_string()
    }

    fn public(byte: u8) -> String {
        key(byte).public_key().to_openssh().unwrap()
    }

    fn list(text: &str) -> Vec<Signer> {
        signers(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_signature_counts_for_its_bytes_and_its_key_alone() {
        let now = at("2026-11-22T00:00:00Z");
        let allowed = list(&format!("# people\n\nalice@example.com {}\n", public(1)));
        let signature = sign(&private(1), b"runbook").unwrap();
        let signed = verify(&allowed, b"runbook", signature.as_bytes(), now).unwrap();
        assert_eq!(signed.by, "alice@example.com");
        assert!(signed.key.starts_with("SHA256:"), "{}", signed.key);
        let refused = |bytes: &[u8], signature: &str| verify(&allowed, bytes, signature.as_bytes(), now).unwrap_err();
        assert!(refused(b"runbooK", &signature).contains("does not fit"));
        assert!(refused(b"runbook", "").contains("empty"));
        assert!(refused(b"runbook", "\n").contains("empty"));
        assert!(refused(b"runbook", "swordfish").contains("cannot be read"));
        assert!(refused(b"runbook", &signature[..signature.len() / 2]).contains("cannot be read"));
        let stranger = sign(&private(2), b"runbook").unwrap();
        assert!(refused(b"runbook", &stranger).contains("not on the list"));
        let other = key(1).sign("git", ssh_key::HashAlg::Sha512, b"runbook").unwrap();
        assert!(refused(b"runbook", &other.to_pem(LineEnding::LF).unwrap()).contains("made for `git`"));
    }

    #[test]
    fn every_flipped_bit_of_a_signature_is_noticed() {
        let now = at("2026-11-22T00:00:00Z");
        let allowed = list(&format!("alice {}", public(1)));
        let signature = sign(&private(1), b"runbook").unwrap();
        for place in 0..signature.len() {
            let mut broken = signature.clone().into_bytes();
            broken[place] ^= 1 << (place % 7);
            let held = verify(&allowed, b"runbook", &broken, now).is_ok();
            // White space around the encoded signature says nothing.
            let words = |text: &str| text.split_whitespace().collect::<String>();
            let same = words(&String::from_utf8_lossy(&broken)) == words(&signature);
            assert!(!held || same, "byte {place}");
        }
    }

    #[test]
    fn options_of_the_list_are_obeyed() {
        let now = at("2026-11-22T00:00:00Z");
        let signature = sign(&private(1), b"x").unwrap();
        let with = |options: &str| {
            verify(
                &list(&format!("alice,bob {options} {}", public(1))),
                b"x",
                signature.as_bytes(),
                now,
            )
            .map(|s| s.by)
        };
        for good in [
            "",
            "namespaces=\"git,starr-runbook\"",
            "namespaces=\"starr-*\"",
            "valid-after=20261121Z",
            "valid-after=\"20261101\",valid-before=\"202612010000Z\"",
        ] {
            assert_eq!(with(good).as_deref(), Ok("alice,bob"), "{good}");
        }
        for bad in [
            "namespaces=\"git\"",
            "valid-after=20261123Z",
            "valid-before=20261121235959Z",
            "namespaces=\"!starr-runbook,*\"",
        ] {
            assert!(with(bad).unwrap_err().contains("does not allow"), "{bad}");
        }
    }

    #[test]
    fn a_list_that_is_not_understood_whole_is_refused() {
        for (bad, why) in [
            ("alice", "expected"),
            ("alice cert-authority ssh-ed25519 AAAA", "certificates"),
            ("alice new-option=1 ssh-ed25519 AAAA", "new-option"),
            ("alice ssh-ed25519 AAAA", "cannot be used"),
            ("alice valid-after=yesterday ssh-ed25519 AAAA", "yesterday"),
            ("alice namespaces=\"git ssh-ed25519 AAAA", "not closed"),
        ] {
            let refusal = signers(&format!("# first\n{bad}\n")).unwrap_err();
            assert!(
                refusal.starts_with("line 2: ") && refusal.contains(why),
                "{bad}: {refusal}"
            );
        }
        assert!(signers("").unwrap().is_empty());
    }

    #[test]
    fn patterns_and_times() {
        assert!(glob(b"a*c?", b"abbcd") && !glob(b"a*c?", b"abbc") && glob(b"*", b"") && !glob(b"?", b""));
        assert!(matches("git, starr-*", "starr-runbook") && !matches("git", "starr-runbook"));
        assert_eq!(moment("20261122Z").unwrap(), at("2026-11-22T00:00:00Z"));
        assert_eq!(moment("202611220315Z").unwrap(), at("2026-11-22T03:15:00Z"));
        for bad in ["", "2026", "20261399Z", "2026112203Z", "+0261122Z"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
