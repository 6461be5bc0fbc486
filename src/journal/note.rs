//! Signed notes: text signed by one or more keys, byte for byte as the C2SP specification *signed-note* and Go's `sumdb/note`
//! have it, with the timestamped Ed25519 cosignatures of *tlog-cosignature*.

use super::tree;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// The largest note that is read, in bytes.
pub const LARGEST: usize = 1_000_000;
/// The most signatures that a note may have.
const MOST_SIGNATURES: usize = 100;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// What the text form of a private key begins with.
const PRIVATE: &str = "PRIVATE+KEY+";

/// A text and its signatures, none of them verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// With its final newline.
    pub text: String,
    pub signatures: Vec<Signature>,
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: [u8; 4],
    /// What the algorithm made.
    pub bytes: Vec<u8>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// Ed25519 over the text: a log signs so.
    Ed25519,
    /// Ed25519 over a time and the text: a witness signs so.
    Cosignature,
}

/// A public key with its name: trusted, because whoever verifies was given it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    algorithm: Algorithm,
    public: [u8; 32],
}

/// A private key with its name.
pub struct Signer {
    verifier: Verifier,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

/// What a note says about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This key did not sign it.
    Absent,
    /// It did; a cosignature with its time, in seconds since 1970.
    Good(Option<u64>),
    /// There is a signature under this key's name and id, and it is wrong.
    Wrong,
}

impl Note {
    /// Reads a note; anything but the one form is refused, with the reason.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err(format!("a note of {} bytes, more than {LARGEST}", bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| "the note is not UTF-8".to_owned())?;
        check_characters(note)?;
        let split = note.rfind("\n\n").ok_or("the note has no signature")?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines
            .strip_suffix('\n')
            .ok_or("the note does not end with a signature line")?;
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(format!("{} signatures, more than {MOST_SIGNATURES}", signatures.len()));
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// A note of this text that nobody has signed yet. The text ends with a newline and has no control characters but newlines.
    pub fn unsigned(text: String) -> Result<Self, String> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err("the text of a note ends with a newline".to_owned());
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// The note's bytes.
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            note.push_str(&signature.encode());
        }
        note
    }

    /// Adds a signature; one that the key made before is replaced.
    pub fn sign(&mut self, signer: &Signer) {
        let bytes = signer.pair.sign(self.text.as_bytes()).as_ref().to_vec();
        self.add(signer.verifier.signature(bytes));
    }

    /// Adds a timestamped cosignature, as a witness does; `time` in seconds since 1970.
    pub fn cosign(&mut self, signer: &Signer, time: u64) {
        let signed = cosigned(&self.text, time);
        let mut bytes = time.to_be_bytes().to_vec();
        bytes.extend_from_slice(signer.pair.sign(signed.as_bytes()).as_ref());
        self.add(signer.verifier.signature(bytes));
    }

    /// Adds a signature line; one of the same key is replaced.
    pub fn add(&mut self, signature: Signature) {
        self.signatures
            .retain(|other| other.name != signature.name || other.id != signature.id);
        self.signatures.push(signature);
    }

    /// What the note says about a key. The first line of that key decides.
    pub fn verdict(&self, key: &Verifier) -> Verdict {
        let mine = |line: &&Signature| line.name == key.name && line.id == key.id;
        match self.signatures.iter().find(mine) {
            None => Verdict::Absent,
            Some(line) => key.check(&self.text, &line.bytes),
        }
    }
}

impl Signature {
    /// Reads a signature line, without its newline.
    pub fn parse(line: &str) -> Result<Self, String> {
        let wrong = || format!("not a signature line: `{}`", line.escape_debug());
        let (name, base64) = line
            .strip_prefix(DASH)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(wrong)?;
        let bytes = STANDARD.decode(base64).map_err(|_| wrong())?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
        if !is_name(name) || bytes.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            name: name.to_owned(),
            id: *id,
            bytes: bytes.to_vec(),
        })
    }

    /// The line with its newline.
    pub fn encode(&self) -> String {
        let bytes = [&self.id[..], &self.bytes].concat();
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(bytes))
    }
}

impl Algorithm {
    fn byte(self) -> u8 {
        match self {
            Algorithm::Ed25519 => 1,
            Algorithm::Cosignature => 4,
        }
    }
}

impl Verifier {
    /// A key of this name.
    pub fn new(name: &str, algorithm: Algorithm, public: [u8; 32]) -> Result<Self, String> {
        if !is_name(name) {
            return Err(format!(
                "`{}` cannot be the name of a key: it is empty or has a space, a plus or a control character",
                name.escape_debug()
            ));
        }
        let hash = tree::hash(&[name.as_bytes(), b"\n", &[algorithm.byte()], &public]);
        Ok(Self {
            name: name.to_owned(),
            id: [hash[0], hash[1], hash[2], hash[3]],
            algorithm,
            public,
        })
    }

    /// Reads the text form `name+id+key`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is not a public key: {why}", text.escape_debug());
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("expected NAME+ID+KEY"));
        };
        let key = STANDARD
            .decode(key)
            .map_err(|_| wrong("its third part is not base64"))?;
        let algorithm = match key.first() {
            Some(1) => Algorithm::Ed25519,
            Some(4) => Algorithm::Cosignature,
            _ => {
                return Err(wrong(
                    "its algorithm is neither Ed25519 (1) nor a timestamped cosignature (4)",
                ));
            }
        };
        let public = key[1..].try_into().map_err(|_| wrong("an Ed25519 key has 32 bytes"))?;
        let verifier = Self::new(name, algorithm, public)?;
        if hex::encode(verifier.id) == id {
            Ok(verifier)
        } else {
            Err(wrong("the id does not belong to this name and key"))
        }
    }

    /// The text form.
    pub fn encode(&self) -> String {
        let key = [&[self.algorithm.byte()], &self.public[..]].concat();
        format!("{}+{}+{}", self.name, hex::encode(self.id), STANDARD.encode(key))
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and id, as people tell keys apart.
    pub fn short(&self) -> String {
        format!("{}+{}", self.name, hex::encode(self.id))
    }

    /// What the key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn signature(&self, bytes: Vec<u8>) -> Signature {
        Signature {
            name: self.name.clone(),
            id: self.id,
            bytes,
        }
    }

    fn check(&self, text: &str, signature: &[u8]) -> Verdict {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        match self.algorithm {
            Algorithm::Ed25519 => match key.verify(text.as_bytes(), signature) {
                Ok(()) => Verdict::Good(None),
                Err(_) => Verdict::Wrong,
            },
            Algorithm::Cosignature => {
                let Some((time, signature)) = signature.split_first_chunk::<8>() else {
                    return Verdict::Wrong;
                };
                let time = u64::from_be_bytes(*time);
                // The specification's limit.
                if i64::try_from(time).is_err() {
                    return Verdict::Wrong;
                }
                match key.verify(cosigned(text, time).as_bytes(), signature) {
                    Ok(()) => Verdict::Good(Some(time)),
                    Err(_) => Verdict::Wrong,
                }
            }
        }
    }
}

impl Signer {
    /// The key of this name that the 32 seed bytes determine.
    pub fn new(name: &str, algorithm: Algorithm, seed: [u8; 32]) -> Result<Self, String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| "the key cannot be used".to_owned())?;
        let public = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| "the key cannot be used".to_owned())?;
        Ok(Self {
            verifier: Verifier::new(name, algorithm, public)?,
            seed,
            pair,
        })
    }

    /// Reads the text form `PRIVATE+KEY+name+id+key`. The reason of a refusal never holds the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("this is not a private key of the form PRIVATE+KEY+NAME+ID+KEY: {why}");
        let rest = text
            .strip_prefix(PRIVATE)
            .ok_or_else(|| wrong("its beginning is another"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("parts are missing"));
        };
        let key = STANDARD.decode(key).map_err(|_| wrong("its last part is not base64"))?;
        let algorithm = match key.first() {
            Some(1) => Algorithm::Ed25519,
            Some(4) => Algorithm::Cosignature,
            _ => return Err(wrong("its algorithm is not Ed25519")),
        };
        let seed = key[1..].try_into().map_err(|_| wrong("the key has not 32 bytes"))?;
        let signer = Self::new(name, algorithm, seed)?;
        if hex::encode(signer.verifier.id) == id {
            Ok(signer)
        } else {
            Err(wrong("the id does not belong to this name and key"))
        }
    }

    /// The text form, which is secret.
    pub fn encode(&self) -> String {
        let key = [&[self.verifier.algorithm.byte()], &self.seed[..]].concat();
        format!(
            "{PRIVATE}{}+{}+{}",
            self.verifier.name,
            hex::encode(self.verifier.id),
            STANDARD.encode(key)
        )
    }

    /// Its public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.verifier.short())
    }
}

/// What a witness signs.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|character: char| character.is_whitespace() || character == '+' || character < ' ')
}

fn check_characters(text: &str) -> Result<(), String> {
    match text.bytes().find(|byte| *byte < b' ' && *byte != b'\n') {
        None => Ok(()),
        Some(byte) => Err(format!("the note holds the control character {byte:#04x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The vectors of Go's sumdb/note.
    const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const BY_PETER: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const BY_ENOCH: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    #[test]
    fn the_published_key_signs_the_published_bytes() {
        let signer = Signer::parse(PETER_PRIVATE).unwrap();
        assert_eq!(signer.encode(), PETER_PRIVATE);
        assert_eq!(signer.verifier().encode(), PETER);
        let mut note = Note::unsigned(TEXT.to_owned()).unwrap();
        note.sign(&signer);
        assert_eq!(note.encode(), format!("{TEXT}\n{BY_PETER}"));
        note.sign(&signer);
        assert_eq!(note.signatures.len(), 1, "a signature of the same key is replaced");
    }

    #[test]
    fn published_notes_are_opened() {
        let (peter, enoch) = (Verifier::parse(PETER).unwrap(), Verifier::parse(ENOCH).unwrap());
        let open = |signatures: &str| Note::parse(format!("{TEXT}\n{signatures}").as_bytes());
        let both = open(&format!("{BY_PETER}{BY_ENOCH}")).unwrap();
        assert_eq!(both.text, TEXT);
        assert_eq!(
            (both.verdict(&peter), both.verdict(&enoch)),
            (Verdict::Good(None), Verdict::Good(None))
        );
        let one = open(BY_PETER).unwrap();
        assert_eq!(
            (one.verdict(&peter), one.verdict(&enoch)),
            (Verdict::Good(None), Verdict::Absent)
        );
        // Four characters too many in the signature.
        let longer = format!("{}ABCD{}", &BY_PETER[..60], &BY_PETER[60..]);
        assert_eq!(open(&longer).unwrap().verdict(&peter), Verdict::Wrong);
        // The first line of a key decides.
        assert_eq!(
            open(&format!("{BY_PETER}{longer}")).unwrap().verdict(&peter),
            Verdict::Good(None)
        );
        assert_eq!(
            open(&format!("{longer}{BY_PETER}")).unwrap().verdict(&peter),
            Verdict::Wrong
        );
        let other_text = Note::parse(format!("{}\n{BY_PETER}", TEXT.replace("your", "my")).as_bytes()).unwrap();
        assert_eq!(other_text.verdict(&peter), Verdict::Wrong);
        assert!(open(&BY_PETER.repeat(100)).is_ok());
        assert!(open(&BY_PETER.repeat(101)).is_err());
        for bad in [
            TEXT.to_owned(),
            format!("{TEXT}\n"),
            format!("{TEXT}\n{}", BY_PETER.trim_end()),
            format!("\u{1}{TEXT}\n{BY_PETER}"),
            format!("{TEXT}\n{}", BY_PETER.replace("PeterNeumann", "Bad Name")),
            format!("{TEXT}\n{BY_PETER}Unexpected line.\n"),
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Note::parse(&[b"\xff", TEXT.as_bytes(), b"\n", BY_PETER.as_bytes()].concat()).is_err());
    }

    #[test]
    fn mangled_keys_are_refused() {
        for (start, end) in (0..PETER.len()).flat_map(|start| (start..=PETER.len()).map(move |end| (start, end))) {
            let part = &PETER[start..end];
            assert_eq!(Verifier::parse(part).is_ok(), part == PETER, "{part}");
        }
        for text in [PETER, PETER_PRIVATE] {
            for at in 0..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] += 1;
                let mangled = String::from_utf8(bytes).unwrap();
                assert!(
                    Verifier::parse(&mangled).is_err() && Signer::parse(&mangled).is_err(),
                    "{mangled}"
                );
            }
        }
        for bad in [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(Verifier::parse(bad).is_err(), "{bad}");
        }
        let leaked = Signer::parse(&PETER_PRIVATE[..40]).unwrap_err();
        assert!(!leaked.contains("AYEK"), "{leaked}");
    }

    #[test]
    fn the_example_of_the_checkpoint_specification_is_read() {
        let example = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = Note::parse(example.as_bytes()).unwrap();
        assert_eq!(note.encode(), example);
        // The time that the specification names for this cosignature.
        assert_eq!(note.signatures[1].bytes[..8], 1_679_315_147_u64.to_be_bytes());
        assert_eq!(
            cosigned(&note.text, 1_679_315_147),
            "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        );
    }

    #[test]
    fn a_cosignature_is_bound_to_its_time_and_its_kind() {
        let witness = Signer::new("witness.example.com/w1", Algorithm::Cosignature, [3; 32]).unwrap();
        let log = Signer::new("witness.example.com/w1", Algorithm::Ed25519, [3; 32]).unwrap();
        assert_ne!(witness.verifier().short(), log.verifier().short());
        let mut note = Note::unsigned("a\n1\nb\n".to_owned()).unwrap();
        note.cosign(&witness, 1_700_000_000);
        note = Note::parse(note.encode().as_bytes()).unwrap();
        assert_eq!(note.verdict(witness.verifier()), Verdict::Good(Some(1_700_000_000)));
        assert_eq!(note.verdict(log.verifier()), Verdict::Absent);
        note.signatures[0].bytes[7] ^= 1;
        assert_eq!(note.verdict(witness.verifier()), Verdict::Wrong);
        note.signatures[0].bytes.truncate(7);
        assert_eq!(note.verdict(witness.verifier()), Verdict::Wrong);
    }
}
