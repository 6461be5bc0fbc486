//! Mutated configurations, policies, lists of signers, locks, signatures, recordings and replies through what reads them. What fails is kept
//! in `tests/fuzz/crashes` and read by every later run. `scripts/fuzz` runs this for as long as wished.

use crate::fuzz::{PATIENCE, Random};
use starr::provider::record::Recording;
use starr::trust::lock::Lock;
use starr::trust::{Found, Signers, minisign, ssh, verify};
use starr::value::conceal::conceal;
use starr::value::conform::conforms;
use starr::value::decode::decode;
use starr::value::{CodeLanguage, EnumType, RecordType, Type, Value, parse, show, tagged};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LARGEST: usize = 32 * 1024;

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "- ",
    "|\n",
    ">\n",
    "!!str ",
    "!!binary ",
    "%YAML 1.1\n",
    "---\n",
    "...\n",
    "\n",
    "\n\n",
    "  ",
    "\t",
    "#",
    "null",
    "~",
    "no",
    "1e999",
    "-0",
    "0x7fffffffffffffff",
    "9223372036854775808",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "\\u0000",
    "\\ud800",
    "sha256:",
    "format 2\n",
    "module ",
    "stdlib ",
    "ssh-ed25519 ",
    "AAAA",
    "=",
    "==",
    "cert-authority ",
    "namespaces=\"",
    "valid-after=",
    "-----BEGIN SSH SIGNATURE-----\n",
    "-----END SSH SIGNATURE-----",
    "trusted comment: ",
    "{\"unknown\":",
    "\"secret\":null",
    "\"reply\":",
    "\"done\":",
    "1 min",
    "80 %",
    "4 Gi",
    "env: ",
    "all: true",
    "permit(principal, action, resource)",
    " when { ",
    "context.now",
    "unless",
    "\"status\":",
    "\"2026-02-30T25:00:00Z\"",
    "1e400Ei",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

fn mutate(random: &mut Random, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].1.clone();
    for _ in 0..=random.below(8) {
        let from = random.below(bytes.len() + 1);
        let to = (from + random.below(30)).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(from..to)),
            1..=3 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(from..to.min(from + random.below(4)), piece.bytes());
            }
            4 => {
                let piece = PIECES[random.below(PIECES.len())].repeat(random.below(400));
                bytes.splice(from..from, piece.bytes());
            }
            5 => {
                let copy = bytes[from..to].to_vec();
                let at = random.below(bytes.len() + 1);
                bytes.splice(at..at, copy);
            }
            6 => bytes.truncate(from.max(1)),
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

/// Types that a reply may be read as.
fn types() -> Vec<Type> {
    let record = |fields: Vec<(&str, Type)>| {
        Type::Record(Arc::new(RecordType {
            name: "Row".into(),
            fields: fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect(),
        }))
    };
    let optional = |ty: Type| Type::Optional(Box::new(ty));
    let state = Type::Enum(Arc::new(EnumType {
        name: "State".into(),
        values: vec!["idle".into(), "active".into()],
    }));
    let row = record(vec![
        ("id", Type::Int),
        ("name", Type::Text),
        ("ratio", optional(Type::Ratio)),
        ("age", optional(Type::Duration)),
        ("since", optional(Type::Time)),
        ("size", optional(Type::Bytes)),
        ("on", optional(Type::Bool)),
        ("token", optional(Type::Secret(Box::new(Type::Text)))),
        ("state", optional(state.clone())),
        ("list", optional(Type::List(Box::new(optional(Type::Json))))),
    ]);
    vec![
        Type::Json,
        Type::List(Box::new(row.clone())),
        row,
        state,
        Type::Secret(Box::new(Type::Text)),
        Type::List(Box::new(Type::Float)),
        Type::Rate,
        Type::Code(CodeLanguage::Path),
    ]
}

/// Panics when something that must hold for all bytes does not.
fn try_one(bytes: &[u8]) {
    let begin = Instant::now();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    if let Ok(text) = std::str::from_utf8(bytes) {
        crate::fuzz_providers::as_policy(text);
        if let Err(problem) = starr::config::parse(text) {
            assert!(problem.message.len() < 4 * 1024 + LARGEST, "{}", problem.message.len());
            let place = problem
                .message
                .split(':')
                .take(2)
                .all(|part| part.parse::<u32>().is_ok());
            assert!(place, "no place: {}", problem.message);
        }
        let signers = ssh::signers(text);
        if let Err(problem) = &signers {
            assert!(problem.starts_with("line "), "{problem}");
        }
        if let Ok(lock) = Lock::parse(text) {
            assert_eq!(
                Lock::parse(&lock.text()).as_ref(),
                Ok(&lock),
                "a lock is not what was written"
            );
            assert_eq!(lock.compare(&lock), []);
        }
        for ty in types() {
            let _ = parse::from_text(&ty, text);
        }
        if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
            for ty in types() {
                let value = decode(&ty, &json);
                if value.as_unknown().is_none() {
                    assert_eq!(conforms(&value, &ty), Ok(()), "{ty}");
                }
                let shown = format!("{}{}{:?}", show::show(&value), tagged::to_json(&value), value);
                if let Value::Secret(secret) = &value
                    && let Some(text) = secret.expose().as_str().filter(|text| text.len() > 12)
                {
                    assert!(!shown.contains(text), "a secret is shown: {shown}");
                }
                let hidden = conceal(&ty, &Value::Json(Arc::new(json.clone())));
                let back = tagged::from_json(&tagged::to_json(&hidden));
                assert!(back.is_ok(), "{back:?}");
            }
            let _ = tagged::from_json(&json);
            crate::fuzz_providers::as_object(&json, now);
        }
    }
    if let Ok(recording) = Recording::read(bytes) {
        let _ = recording.left();
    }
    // No mutation of a signature is one of a key that nobody named.
    for found in [
        Found {
            ssh: Some(bytes),
            minisign: None,
        },
        Found {
            ssh: None,
            minisign: Some(bytes),
        },
    ] {
        assert!(verify(&Signers::default(), b"text", found, now).is_err());
    }
    let known = Signers {
        ssh: Vec::new(),
        minisign: vec![minisign::Signer::new("a", "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap()],
    };
    let found = Found {
        ssh: None,
        minisign: Some(bytes),
    };
    assert!(verify(&known, b"another text", found, now).is_err());
    assert!(begin.elapsed() < PATIENCE, "took {:?}", begin.elapsed());
}

#[test]
fn what_once_failed_in_a_reader_does_not_fail_again() {
    for (path, bytes) in files("tests/fuzz/crashes")
        .into_iter()
        .chain(files("tests/fuzz/corpus"))
    {
        let result = catch_unwind(AssertUnwindSafe(|| try_one(&bytes)));
        assert!(result.is_ok(), "{path:?}");
    }
}

#[test]
fn mutated_configurations_signatures_and_replies_keep_what_must_hold() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seconds = number("STARR_FUZZ_SECONDS");
    let seed = number("STARR_FUZZ_SEED").unwrap_or(1);
    let corpus = files("tests/fuzz/corpus");
    assert!(corpus.len() >= 6);
    let mut random = Random::new(seed);
    let begin = Instant::now();
    let current = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-current.bytes");
    let mut tried = 0_u64;
    let mut failed = Vec::new();
    loop {
        let over = match seconds {
            Some(seconds) => begin.elapsed() >= Duration::from_secs(seconds),
            None => tried >= 400,
        };
        if over || failed.len() >= 10 {
            break;
        }
        let bytes = mutate(&mut random, &corpus);
        if seconds.is_some() {
            // An overflow of the stack ends the process: what was tried last is then still there.
            std::fs::write(&current, &bytes).unwrap();
        }
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| try_one(&bytes))).is_err() {
            let name = format!("tests/fuzz/crashes/seed-{seed}-{tried}");
            std::fs::write(root().join(&name), &bytes).unwrap();
            failed.push(name);
        }
    }
    println!("{tried} inputs of readers tried, seed {seed}");
    assert!(failed.is_empty(), "kept: {failed:?}");
    let _ = std::fs::remove_file(current);
}
