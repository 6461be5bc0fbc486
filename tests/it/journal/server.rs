//! A witness and a sink of lines, as small servers of the test's own. The witness checks consistency as C2SP *tlog-witness*
//! demands, and keeps its state before it answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use starr::journal::checkpoint::Checkpoint;
use starr::journal::note::{Algorithm, Signer, Verdict, Verifier};
use starr::journal::proof;
use starr::journal::tree::Digest;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A running server. Its thread waits for connections until the process ends.
pub struct Server {
    pub url: String,
    pub key: Verifier,
    /// What was cosigned last, by origin.
    pub seen: Arc<Mutex<BTreeMap<String, (u64, Digest)>>>,
    /// Lines that were posted to `/lines`.
    pub lines: Arc<Mutex<String>>,
}

impl Server {
    /// A witness that knows logs signed by this key, and a place for lines.
    pub fn start(log: Verifier, seed: u8) -> Self {
        let signer = Signer::new(&format!("witness.example/{seed}"), Algorithm::Cosignature, [seed; 32]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            key: signer.verifier().clone(),
            seen: Arc::default(),
            lines: Arc::default(),
        };
        let (seen, lines) = (server.seen.clone(), server.lines.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let Some((method, path, bearer, body)) = request(&mut reader) else {
                    continue;
                };
                let (status, kind, answer) = match (method.as_str(), path.as_str()) {
                    ("POST", "/add-checkpoint") => add_checkpoint(&body, &log, &signer, &seen),
                    ("POST", "/lines") => {
                        lines.lock().unwrap().push_str(&body);
                        (200, "text/plain", String::new())
                    }
                    ("GET", "/lines") => (200, "text/plain", lines.lock().unwrap().clone()),
                    // The same for whoever has the credential.
                    (_, "/kept?for=ops") if bearer != CREDENTIAL => (401, "text/plain", String::new()),
                    ("POST", "/kept?for=ops") => {
                        lines.lock().unwrap().push_str(&body);
                        (204, "text/plain", String::new())
                    }
                    ("GET", "/kept?for=ops") => (200, "text/plain", lines.lock().unwrap().clone()),
                    _ => (405, "text/plain", String::new()),
                };
                let _ = write!(
                    reader.get_mut(),
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        server
    }
}

/// What the place for lines with a credential demands.
pub const CREDENTIAL: &str = "sesame-4711-open";

fn request(reader: &mut impl BufRead) -> Option<(String, String, String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut bearer) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(": Bearer ")
            && name.eq_ignore_ascii_case("authorization")
        {
            bearer = value.trim().to_owned();
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, bearer, String::from_utf8(body).ok()?))
}

type Answer = (u16, &'static str, String);

fn add_checkpoint(
    body: &str,
    log: &Verifier,
    signer: &Signer,
    seen: &Mutex<BTreeMap<String, (u64, Digest)>>,
) -> Answer {
    let plain = |status: u16| (status, "text/plain", String::new());
    let Some((head, note)) = body.split_once("\n\n") else {
        return plain(400);
    };
    let mut lines = head.split('\n');
    let old = lines
        .next()
        .and_then(|line| line.strip_prefix("old "))
        .and_then(|old| old.parse::<u64>().ok());
    let hashes: Option<Vec<Digest>> = lines.map(|line| STANDARD.decode(line).ok()?.try_into().ok()).collect();
    let (Some(old), Some(hashes)) = (old, hashes) else {
        return plain(400);
    };
    let Ok((checkpoint, mut note)) = Checkpoint::of_note(note.as_bytes()) else {
        return plain(400);
    };
    if note.verdict(log) != Verdict::Good(None) {
        return plain(403);
    }
    if old > checkpoint.size || hashes.len() > 63 {
        return plain(400);
    }
    let mut seen = seen.lock().unwrap();
    let empty = (0, starr::journal::tree::Frontier::default().root());
    let (size, root) = seen.get(&checkpoint.origin).copied().unwrap_or(empty);
    if old != size {
        return (409, "text/x.tlog.size", format!("{size}\n"));
    }
    if old == checkpoint.size && root != checkpoint.root {
        return (409, "text/x.tlog.size", format!("{size}\n"));
    }
    if !proof::consistent(old, &root, checkpoint.size, &checkpoint.root, &hashes) {
        return plain(422);
    }
    seen.insert(checkpoint.origin.clone(), (checkpoint.size, checkpoint.root));
    note.cosign(signer, 1_795_317_240);
    (200, "text/plain", note.signatures.last().unwrap().encode())
}
