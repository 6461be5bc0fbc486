//! Mutated exports, notes, entries and policies through the verifier and the decoders. What fails is kept in
//! `tests/journal/crashes` and read by every later run. `scripts/fuzz` runs this for as long as wished; without it a few
//! thousand are tried, from a fixed seed.

use starr::journal::checkpoint::{Checkpoint, Statement};
use starr::journal::entry::Entry;
use starr::journal::note::{Note, Signer, Verifier};
use starr::journal::policy::Policy;
use starr::journal::verify::Trust;
use starr::journal::{export, proof};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The root and the size of the export that is mutated.
const ROOT: &str = super::golden::ROOT;
const ENTRIES: u64 = 14;

/// What means something to one of the formats, or nearly.
const PIECES: &[&str] = &[
    "\n",
    "\n\n",
    "\u{2014} ",
    "\u{2014} a ",
    "+",
    "0",
    "-1",
    "18446744073709551616",
    "9223372036854775808",
    "null",
    "\"",
    "{\"entry\":{",
    "{\"end\":{",
    "{\"checkpoint\":{\"note\":\"",
    "}}\n",
    "starr/",
    "AAAA",
    "====",
    "\u{1}",
    "\u{202e}",
    "key ",
    "witness ",
    "anchor line ",
    "require signed\n",
    "tail-at-most 99999999999999999999\n",
    "anchors-needed 0\n",
    "\\u0000",
    "\\ud800",
    "[[[[[[[[[[",
    "\"salt\":null,",
    "\"format\":2,",
];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// An export, its policy, and what lies in them: notes and entries.
fn corpus() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = files(&folder("journal/corpus"))
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let text = std::fs::read_to_string(folder("golden/export-1.jsonl")).unwrap();
    all.push(text.clone().into_bytes());
    all.push(std::fs::read(folder("golden/golden.policy")).unwrap());
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(note) = line["checkpoint"]["note"].as_str() {
            all.push(note.as_bytes().to_vec());
        }
        if let Some(bytes) = line["entry"]["bytes"].as_str() {
            use base64::Engine as _;
            all.push(base64::engine::general_purpose::STANDARD.decode(bytes).unwrap());
        }
    }
    assert!(all.len() > 15);
    all
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let from = random.below(bytes.len() + 1);
        let to = (from + random.below(60)).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(from..to)),
            1 | 2 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(from..to.min(from + random.below(8)), piece.bytes());
            }
            3 => {
                let copy = bytes[from..to].to_vec();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, copy);
            }
            4 => bytes.truncate(from.max(1)),
            5 => {
                let other = &corpus[random.below(corpus.len())];
                let start = random.below(other.len());
                let end = (start + random.below(300)).min(other.len());
                bytes.splice(from..to, other[start..end].iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes.truncate(256 * 1024);
    bytes
}

/// Panics when something that must hold for every input does not.
fn try_one(bytes: &[u8], trust: &Trust, policy: &Policy) {
    let begin = Instant::now();
    if let Ok(verified) = export::verify(&mut &*bytes, trust.clone())
        && policy.demand.missing(&verified).is_none()
    {
        // Whatever passes is the log that was signed.
        assert_eq!((verified.root.as_str(), verified.entries), (ROOT, ENTRIES));
    }
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode(), bytes, "an entry has one form");
    }
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.encode().as_bytes(), bytes, "a note has one form");
        for key in &trust.keys {
            note.verdict(key);
        }
        if let Ok(checkpoint) = Checkpoint::parse(&note.text) {
            assert!(note.text.starts_with(&checkpoint.text()));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Policy::parse(text);
        for line in text.lines() {
            let _ = Statement::parse(line);
            let _ = Verifier::parse(line);
            assert!(Signer::parse(line).is_err());
        }
    }
    // Bytes as a proof: none of them proves anything.
    let hashes: Vec<[u8; 32]> = bytes.as_chunks::<32>().0.iter().take(70).copied().collect();
    let numbers = bytes.first_chunk::<16>().map_or((1, 2), |numbers| {
        let (index, size) = numbers.split_at(8);
        (
            u64::from_le_bytes(index.try_into().unwrap()),
            u64::from_le_bytes(size.try_into().unwrap()),
        )
    });
    assert!(!proof::includes(&[1; 32], numbers.0, numbers.1, &[2; 32], &hashes));
    assert!(!proof::consistent(numbers.0, &[1; 32], numbers.1, &[2; 32], &hashes));
    assert!(begin.elapsed() < Duration::from_secs(20), "took {:?}", begin.elapsed());
}

fn golden() -> (Trust, Policy) {
    let text = std::fs::read_to_string(folder("golden/golden.policy")).unwrap();
    let policy = Policy::parse(&text).unwrap();
    let trust = Trust {
        keys: policy.keys.clone(),
        witnesses: policy.witnesses.iter().map(|witness| witness.key.clone()).collect(),
        ..Trust::default()
    };
    (trust, policy)
}

#[test]
fn what_once_failed_does_not_fail_again() {
    let (trust, policy) = golden();
    for path in files(&folder("journal/corpus"))
        .iter()
        .chain(&files(&folder("journal/crashes")))
    {
        let bytes = std::fs::read(path).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| try_one(&bytes, &trust, &policy)));
        assert!(result.is_ok(), "{path:?}");
    }
    let whole = std::fs::read(folder("golden/export-1.jsonl")).unwrap();
    let verified = export::verify(&mut whole.as_slice(), trust).unwrap();
    assert_eq!(
        policy.demand.missing(&verified),
        None,
        "the export that is mutated passes itself"
    );
}

#[test]
fn mutated_evidence_keeps_what_must_hold() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seconds = number("STARR_FUZZ_SECONDS");
    let seed = number("STARR_FUZZ_SEED").unwrap_or(1);
    let (trust, policy) = golden();
    let corpus = corpus();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let begin = Instant::now();
    let current = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-current.journal");
    let (mut tried, mut failed) = (0_u64, Vec::new());
    loop {
        let over = match seconds {
            Some(seconds) => begin.elapsed() >= Duration::from_secs(seconds),
            None => tried >= 3000,
        };
        if over {
            break;
        }
        let bytes = mutate(&mut random, &corpus);
        if seconds.is_some() {
            std::fs::write(&current, &bytes).unwrap();
        }
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| try_one(&bytes, &trust, &policy))).is_err() {
            let path = folder("journal/crashes").join(format!("seed-{seed}-{tried}"));
            std::fs::write(&path, &bytes).unwrap();
            failed.push(path);
            if failed.len() >= 10 {
                break;
            }
        }
    }
    println!("{tried} inputs tried, seed {seed}");
    assert!(failed.is_empty(), "kept: {failed:?}");
    let _ = std::fs::remove_file(current);
}
