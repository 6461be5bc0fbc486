//! Mutated files through reading, checking and formatting. What fails is kept in `tests/language/crashes` and read by every
//! later run. `scripts/fuzz` runs this for as long as wished; without it a few hundred files are tried, from a fixed seed.

use starr::check::{Context, Embedded, check};
use starr::source::{FileId, Sources};
use starr::syntax::{format, load, parse};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No file of this size takes nearly as long, even unoptimised on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Mutations may double a file; larger ones take time from the others.
const LARGEST: usize = 64 * 1024;

/// Pieces that mean something to the language, or nearly.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "`",
    "```",
    "```sql\n",
    "#",
    ">",
    "\n",
    "\n\n",
    "\n  ",
    "->",
    "=",
    "==",
    "and ",
    "or ",
    "not ",
    "is ",
    "empty",
    "for ",
    "default ",
    "in ",
    "each ",
    "any ",
    "5 min",
    "80 %",
    "5 m",
    "300 /s",
    "1.5",
    ",",
    ".",
    ":",
    "?",
    "<",
    "-",
    "*",
    "/",
    "\\",
    "\\u{202e}",
    "{x}",
    "when ",
    "within ",
    "every ",
    "else ",
    "undo ",
    "none",
    "because ",
    "otherwise ",
    "cannot tell ",
    "runbook ",
    "check ",
    "cause ",
    "action ",
    "branch ",
    "\u{202e}",
    "\u{200b}",
    "é",
    "\u{43e}",
    "\r\n",
    "\t",
    "\0",
    "'",
    "“",
];

/// A small generator, so that a seed gives the same files everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn starr_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            starr_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "starr") {
            found.push(path);
        }
    }
    found.sort();
}

fn corpus() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for folder in ["tests/language", "stdlib", "runbooks"] {
        starr_files(&root().join(folder), &mut files);
    }
    assert!(files.len() > 10, "{files:?}");
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn mutate(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let from = random.below(bytes.len() + 1);
        let to = (from + random.below(40)).min(bytes.len());
        match random.below(10) {
            0 | 1 => drop(bytes.drain(from..to)),
            2..=4 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(from..from, piece.bytes());
            }
            5 => {
                let piece = PIECES[random.below(PIECES.len())].repeat(random.below(300));
                bytes.splice(from..to, piece.bytes());
            }
            6 => {
                let copy = bytes[from..to].to_vec();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, copy);
            }
            7 => bytes.truncate(from.max(1)),
            8 => {
                let other = &corpus[random.below(corpus.len())];
                let start = random.below(other.len());
                let end = (start + random.below(400)).min(other.len());
                bytes.splice(from..to, other[start..end].iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = u8::try_from(random.below(256)).unwrap();
                }
            }
        }
    }
    bytes.truncate(LARGEST);
    bytes
}

/// Panics when something that must hold for every file does not.
fn try_one(bytes: &[u8]) {
    let begin = Instant::now();
    let mut sources = Sources::default();
    let loaded = load(&mut sources, "fuzz.starr", None, bytes.to_vec());
    let text = sources.file(loaded.id).text.clone();
    for found in &loaded.diagnostics {
        assert!(
            text.get(found.span.range()).is_some(),
            "a finding outside the text: {found:?}"
        );
        assert!(!found.message.contains("does not know what to do"), "{found:?}");
    }
    if loaded.diagnostics.is_empty() {
        let form = format(&loaded.file, &text);
        let again = parse(FileId(0), &form);
        assert!(
            again.diagnostics.is_empty(),
            "the form has mistakes: {:?}",
            again.diagnostics
        );
        assert_eq!(
            again.file.comments.len(),
            loaded.file.comments.len(),
            "a comment was lost"
        );
        assert_eq!(format(&again.file, &form), form, "the form is not stable");
    }
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    let checked = check("fuzz.starr", None, bytes.to_vec(), &context);
    for found in &checked.diagnostics {
        let file = checked.sources.file(found.span.file);
        assert!(
            file.text.get(found.span.range()).is_some(),
            "a finding outside the text: {found:?}"
        );
    }
    assert!(begin.elapsed() < PATIENCE, "took {:?}", begin.elapsed());
}

#[test]
fn what_once_failed_does_not_fail_again() {
    let mut files = Vec::new();
    starr_files(&root().join("tests/language/crashes"), &mut files);
    assert!(!files.is_empty());
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| try_one(&bytes)));
        assert!(result.is_ok(), "{path:?}");
    }
}

#[test]
fn mutated_files_keep_what_must_hold() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seconds = number("STARR_FUZZ_SECONDS");
    let seed = number("STARR_FUZZ_SEED").unwrap_or(1);
    let corpus = corpus();
    let mut random = Random::new(seed);
    let begin = Instant::now();
    let current = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-current.starr");
    let mut tried = 0_u64;
    let mut failed = Vec::new();
    loop {
        let over = match seconds {
            Some(seconds) => begin.elapsed() >= Duration::from_secs(seconds),
            None => tried >= 150,
        };
        if over {
            break;
        }
        let bytes = mutate(&mut random, &corpus);
        if seconds.is_some() {
            // An overflow of the stack ends the process: what was tried last is then still there.
            std::fs::write(&current, &bytes).unwrap();
        }
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| try_one(&bytes))).is_err() {
            let name = format!("tests/language/crashes/seed-{seed}-{tried}.starr");
            std::fs::write(root().join(&name), &bytes).unwrap();
            failed.push(name);
            if failed.len() >= 10 {
                break;
            }
        }
    }
    println!("{tried} files tried, seed {seed}");
    assert!(failed.is_empty(), "kept: {failed:?}");
    let _ = std::fs::remove_file(current);
}
