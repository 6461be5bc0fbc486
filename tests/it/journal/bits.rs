//! A-AU-1: each single bit of each entry, payload, checkpoint and head is flipped, one at a time, through both verifiers.

use super::log::Log;
use super::second;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use starr::journal::judge;
use starr::journal::policy::Policy;
use starr::journal::verify::{Level, Trust};
use std::path::{Path, PathBuf};

/// The lines of an export as somebody writes it who puts its last line right again.
fn whole(lines: &[Value]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in &lines[..lines.len() - 1] {
        text.extend_from_slice(line.to_string().as_bytes());
        text.push(b'\n');
    }
    let mut end = lines[lines.len() - 1].clone();
    end["end"]["sha256"] = json!(hex::encode(Sha256::digest(&text)));
    text.extend_from_slice(end.to_string().as_bytes());
    text.push(b'\n');
    text
}

/// The bytes that a line holds under this path.
fn bytes(line: &Value, kind: &str, name: &str) -> Vec<u8> {
    let text = line[kind][name].as_str().unwrap();
    match (kind, name) {
        ("checkpoint", "note") => text.as_bytes().to_vec(),
        ("starr_journal_export", _) => hex::decode(text).unwrap(),
        _ => STANDARD.decode(text).unwrap(),
    }
}

fn put(line: &mut Value, kind: &str, name: &str, bytes: &[u8]) -> bool {
    line[kind][name] = match (kind, name) {
        ("checkpoint", "note") => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            // JSON cannot hold it: such an export does not exist.
            Err(_) => return false,
        },
        ("starr_journal_export", _) => json!(hex::encode(bytes)),
        _ => json!(STANDARD.encode(bytes)),
    };
    true
}

#[tokio::test]
async fn a_au_1_each_flipped_bit_fails_and_names_its_entry() {
    let log = Log::new().await;
    let folder = log.folder.path().join("flipped");
    std::fs::create_dir(&folder).unwrap();
    let export = log.folder.path().join("export");
    Log::export(&log.store(), &export).await.unwrap();
    let text = std::fs::read_to_string(&export).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(whole(&lines), text.as_bytes(), "an export is written in this one form");

    let policy_file = log.folder.path().join("policy");
    let policy_text = format!(
        "{}tail-at-most 2\n",
        log.policies()[1].1.replace("tail-at-most 3\n", "")
    );
    std::fs::write(&policy_file, &policy_text).unwrap();
    let policy = Policy::parse(&policy_text).unwrap();
    let trust = judge::trust(&policy).await;

    // The head, the last checkpoint, and the entries on both sides of the one before it.
    let mut parts = vec![
        (0, "starr_journal_export", "origin"),
        (0, "starr_journal_export", "root"),
        (3, "checkpoint", "digest"),
        (3, "checkpoint", "note"),
    ];
    for line in [4, 11, 17] {
        parts.extend(["leaf", "bytes", "salt", "payload"].map(|name| (line, "entry", name)));
    }
    let mut files: [Vec<(PathBuf, Option<u64>)>; 2] = Default::default();
    let mut tried = 0;
    for (line, kind, name) in parts {
        let original = bytes(&lines[line], kind, name);
        for bit in 0..original.len() * 8 {
            let mut flipped = original.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let mut changed = lines.clone();
            if !put(&mut changed[line], kind, name, &flipped) {
                continue;
            }
            let data = whole(&changed);
            let entry = (kind == "entry").then(|| line as u64 - 4);
            tried += 1;
            let about = format!("{kind}.{name} of line {line}, bit {bit}");
            // Signatures take their time; only a checkpoint needs them to be found out.
            let trust = if kind == "checkpoint" {
                trust.clone()
            } else {
                Trust::default()
            };
            let verified = starr::journal::export::verify(&mut data.as_slice(), trust).unwrap();
            assert_eq!(verified.level, Level::Broken, "{about}: {verified}");
            assert!(policy.demand.missing(&verified).is_some(), "{about}: {verified}");
            if kind == "checkpoint" {
                assert!(verified.to_string().contains("checkpoint"), "{about}: {verified}");
            }
            if entry.is_some() {
                assert_eq!(verified.findings[0].entry, entry, "{about}: {verified}");
            }
            // Signatures are slow in the other verifier: every bit of head and entries, every third of the checkpoint.
            if kind != "checkpoint" || bit % 3 == 0 {
                let path = folder.join(format!("{tried}"));
                std::fs::write(&path, &data).unwrap();
                files[usize::from(kind == "checkpoint")].push((path, entry));
            }
        }
    }
    assert!(tried > 8_000, "{tried}");
    let plain = log.folder.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    for (files, policy) in files.iter().zip([&plain, &policy_file]) {
        for files in files.chunks(1000) {
            check_second(files, policy);
        }
    }
}

fn check_second(files: &[(PathBuf, Option<u64>)], policy: &Path) {
    let paths: Vec<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    for (result, (file, entry)) in second::verify(&paths, policy).iter().zip(files) {
        assert!(!result["missing"].is_null(), "{file:?}: {result}");
        if let Some(entry) = entry {
            let first = result["findings"][0].as_str().unwrap();
            assert!(first.starts_with(&format!("entry {entry}: ")), "{file:?}: {result}");
        }
    }
}
