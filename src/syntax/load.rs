//! Bytes to tree: the checks on a file as a whole come before the grammar.

use super::tree::File;
use super::{limits, parse};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Sources, Span};
use std::path::Path;

/// A file that was read, as far as it could be.
#[derive(Debug)]
pub struct Loaded {
    pub id: FileId,
    /// Empty when the bytes are no text or too many.
    pub file: File,
    pub diagnostics: Vec<Diagnostic>,
}

/// Adds a file to `sources` and reads it. Never fails: what is wrong with the bytes is a positioned finding.
pub fn load(sources: &mut Sources, name: &str, path: Option<&Path>, bytes: Vec<u8>) -> Loaded {
    if bytes.len() > limits::FILE_BYTES {
        let length = bytes.len();
        let end = char_boundary(&bytes, limits::FILE_BYTES);
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let id = sources.add(name, path, text);
        let place = Span::new(id, 0, 0);
        return unread(
            id,
            Diagnostic::error(
                "file-size",
                place,
                format!("the file has {length} bytes; at most {} are read", limits::FILE_BYTES),
            )
            .help("split it: what several runbooks share belongs in a module"),
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let id = sources.add(name, path, text);
            let text = sources.file(id).text.clone();
            let parsed = parse::parse(id, &text);
            Loaded {
                id,
                file: parsed.file,
                diagnostics: parsed.diagnostics,
            }
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let id = sources.add(name, path, text);
            // The replacement character stands where the first bad byte was: everything before it is unchanged.
            let place = Span::new(id, at, at + char::REPLACEMENT_CHARACTER.len_utf8());
            unread(
                id,
                Diagnostic::error("encoding", place, format!("the byte {byte:#04x} is not UTF-8"))
                    .help("save the file as UTF-8"),
            )
        }
    }
}

fn unread(id: FileId, diagnostic: Diagnostic) -> Loaded {
    Loaded {
        id,
        file: File {
            id,
            items: Vec::new(),
            comments: Vec::new(),
            length: 0,
        },
        diagnostics: vec![diagnostic],
    }
}

/// The last place at or before `at` where a character begins.
fn char_boundary(bytes: &[u8], mut at: usize) -> usize {
    while at > 0 && bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
        at -= 1;
    }
    at
}
