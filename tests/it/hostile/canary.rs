//! Unique secrets, every form in which they could leave, and where they are looked for.

use super::everything_below;
use base64::Engine as _;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A secret that occurs nowhere else, with characters that every encoding changes.
pub fn canary(channel: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let seed = format!(
        "{channel} {} {} {:?}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::SeqCst),
        std::time::SystemTime::now()
    );
    let random = hex::encode(Sha256::digest(seed.as_bytes()));
    format!("cn{}/&+\"<{}", &random[..10], &random[10..20])
}

/// The forms that are looked for, made here and not by the code under test.
pub fn forms(canary: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::from([
        canary.to_owned(),
        hex::encode(canary),
        hex::encode_upper(canary),
        canary.chars().rev().collect(),
        canary.replace('"', "\\\""),
        canary.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
        canary.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        canary.bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
    ]);
    for upper in [true, false] {
        all.insert(
            canary
                .bytes()
                .map(|byte| match (byte.is_ascii_alphanumeric(), upper) {
                    (true, _) => char::from(byte).to_string(),
                    (false, true) => format!("%{byte:02X}"),
                    (false, false) => format!("%{byte:02x}"),
                })
                .collect(),
        );
    }
    for engine in [
        base64::engine::general_purpose::STANDARD,
        base64::engine::general_purpose::URL_SAFE,
    ] {
        for before in 0..3_usize {
            for after in 0..3_usize {
                let text = engine.encode(format!("{}{canary}{}", "x".repeat(before), "y".repeat(after)));
                // The groups that hold nothing but the canary.
                let end = (before + canary.len()) / 3 * 4;
                all.insert(text[before.div_ceil(3) * 4..end].to_owned());
            }
        }
    }
    // Parts without special characters: half a secret is a leak as well.
    all.insert(canary[..12].to_owned());
    all.insert(canary[canary.len() - 10..].to_owned());
    all
}

/// Where a canary was found.
pub fn find(canaries: &[String], place: &str, bytes: &[u8], found: &mut Vec<String>) {
    for canary in canaries {
        for form in forms(canary) {
            if bytes.windows(form.len()).any(|window| window == form.as_bytes()) {
                found.push(format!("{place} holds {form}"));
            }
        }
    }
}

/// Looks through every file below a folder but those that hold the secrets by design.
pub fn find_in_files(canaries: &[String], folder: &Path, inputs: &[PathBuf], found: &mut Vec<String>) {
    for (path, bytes) in everything_below(folder) {
        if !inputs.contains(&path) {
            find(canaries, &path.display().to_string(), &bytes, found);
        }
    }
}

/// What was seen of a process and its children while they ran.
#[derive(Default)]
pub struct Watched {
    /// Argument vectors of all of them; environments of the children.
    pub bytes: Vec<u8>,
    /// Children that were seen.
    pub children: BTreeSet<u32>,
    /// Largest write-ahead log that was seen, whole.
    pub log: Vec<u8>,
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// Runs a command to its end and looks at it, its children and its write-ahead log again and again.
pub fn watched(mut command: Command, log: &Path) -> (Output, Watched) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let mut watched = Watched::default();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |mut stream: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let mut note = |path: String| watched.bytes.extend(std::fs::read(path).unwrap_or_default());
        note(format!("/proc/{pid}/cmdline"));
        let numbers: Vec<u32> = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        for other in numbers {
            if parent(other).is_some_and(|above| above == pid || parent(above) == Some(pid)) {
                note(format!("/proc/{other}/cmdline"));
                note(format!("/proc/{other}/environ"));
                watched.children.insert(other);
            }
        }
        if let Ok(bytes) = std::fs::read(log)
            && bytes.len() >= watched.log.len()
        {
            watched.log = bytes;
        }
    };
    let output = Output {
        status,
        stdout: out.join().unwrap(),
        stderr: err.join().unwrap(),
    };
    (output, watched)
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let canary = canary("the test");
    for text in [
        canary.clone(),
        format!("user:{canary}@host"),
        base64::engine::general_purpose::STANDARD.encode(format!("user:{canary}@host")),
        base64::engine::general_purpose::STANDARD.encode(format!("u:{canary}")),
        serde_json::Value::from(canary.as_str()).to_string(),
        hex::encode(&canary),
    ] {
        let mut found = Vec::new();
        find(std::slice::from_ref(&canary), "here", text.as_bytes(), &mut found);
        assert!(!found.is_empty(), "{text}");
    }
    let mut found = Vec::new();
    find(&[canary], "here", b"nothing", &mut found);
    assert!(found.is_empty());
}
