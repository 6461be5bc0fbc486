//! Taking known texts out of a stream of bytes.

use super::known::SHORTEST;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// What stands where a secret was.
pub const PLACEHOLDER: &str = "(secret)";

/// Forms of so many bytes together are still looked for with the fastest automaton.
const FASTEST: usize = 16 * 1024;

/// Compiled forms of every secret that is known.
pub(super) struct Patterns {
    finder: Option<AhoCorasick>,
    /// Sorted, for asking whether some bytes begin one of them.
    forms: Vec<String>,
}

impl Patterns {
    pub(super) fn new(mut forms: Vec<String>) -> Self {
        forms.sort();
        forms.dedup();
        // The fastest automaton takes hundreds of bytes for each byte of a form: a key store among the secrets would take seconds and a
        // quarter of a gigabyte.
        let large = forms.iter().map(String::len).sum::<usize>() > FASTEST;
        let finder = (!forms.is_empty()).then(|| {
            AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .kind(large.then_some(AhoCorasickKind::ContiguousNFA))
                .build(&forms)
                .expect("patterns of so many bytes are below the limits of the automaton")
        });
        Self { finder, forms }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finder.is_none()
    }

    /// The text without secrets; `None` when there is none in it.
    pub(super) fn redact(&self, text: &str) -> Option<String> {
        let finder = self.finder.as_ref()?;
        let whole = finder.is_match(text).then(|| {
            let mut out = String::with_capacity(text.len());
            finder.replace_all_with(text, &mut out, |_, _, out| {
                out.push_str(PLACEHOLDER);
                true
            });
            out
        });
        match self.cut(whole.as_deref().unwrap_or(text)) {
            None => whole,
            shorter => shorter,
        }
    }

    /// The text without the beginnings of secrets that were cut off with `…`; `None` when there is none in it.
    fn cut(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for (at, _) in text.match_indices('…') {
            let before = &text.as_bytes()[done..at];
            let open = done + self.open_end(before);
            if at - open >= SHORTEST && text.is_char_boundary(open) {
                out.push_str(&text[done..open]);
                out.push_str(PLACEHOLDER);
                done = at;
            }
        }
        (done > 0).then(|| {
            out.push_str(&text[done..]);
            out
        })
    }

    /// Where the longest end of these bytes begins that could still become a secret.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let longest = self.forms.iter().map(String::len).max().unwrap_or(0);
        let first = bytes.len().saturating_sub(longest.saturating_sub(1));
        (first..bytes.len())
            .find(|at| {
                let end = &bytes[*at..];
                let after = self.forms.partition_point(|form| form.as_bytes() < end);
                self.forms
                    .get(after..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|form| form.as_bytes().starts_with(end))
                    .any(|form| form.len() > end.len())
            })
            .unwrap_or(bytes.len())
    }

    /// What can be written of `bytes`, and how many of them that covers.
    fn settled(&self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let Some(finder) = &self.finder else {
            return (bytes.to_vec(), bytes.len());
        };
        let mut open = self.open_end(bytes);
        let mut out = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for found in finder.find_iter(bytes) {
            // It may still become a longer one.
            if found.start() >= open {
                break;
            }
            out.extend_from_slice(&bytes[done..found.start()]);
            out.extend_from_slice(PLACEHOLDER.as_bytes());
            done = found.end();
            open = open.max(done);
        }
        out.extend_from_slice(&bytes[done..open]);
        (out, open)
    }
}

/// A stream without secrets: what could be the beginning of one is held back until the next piece decides.
#[derive(Default)]
pub struct Stream {
    held: Vec<u8>,
}

impl Stream {
    /// Takes a piece; returns what can be written now.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.push_with(&super::known::patterns(), piece)
    }

    /// The end of the stream, or a moment at which everything must be seen: what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        self.finish_with(&super::known::patterns())
    }

    fn push_with(&mut self, patterns: &Patterns, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let (out, done) = patterns.settled(&self.held);
        self.held.drain(..done);
        out
    }

    fn finish_with(&mut self, patterns: &Patterns) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        match &patterns.finder {
            None => held,
            Some(finder) => finder.replace_all_bytes(&held, &vec![PLACEHOLDER; patterns.forms.len()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Patterns, Stream};
    use crate::secrets::encodings::forms;

    /// The largest secret of all, of the kind that is worst for an automaton, is known and found soon.
    #[test]
    fn a_large_secret_holds_nothing_up() {
        let begin = std::time::Instant::now();
        let size = usize::try_from(crate::limits::SECRET_BYTES).unwrap();
        let mixed: String = (0_u32..)
            .map(|n| char::from(b'a' + u8::try_from(n.wrapping_mul(2_654_435_761) >> 28).unwrap()))
            .take(size)
            .collect();
        for secret in ["x".repeat(size), mixed] {
            let patterns = Patterns::new(forms(&secret));
            let said = format!("it is {secret}, and");
            assert_eq!(patterns.redact(&said).unwrap(), "it is (secret), and");
            assert_eq!(
                streamed(&patterns, &[&said.as_bytes()[..size / 2], &said.as_bytes()[size / 2..]]),
                "it is (secret), and"
            );
        }
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(60),
            "{:?}",
            begin.elapsed()
        );
    }

    fn streamed(patterns: &Patterns, pieces: &[&[u8]]) -> String {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(stream.push_with(patterns, piece));
        }
        out.extend(stream.finish_with(patterns));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_found_however_the_stream_is_cut() {
        let patterns = Patterns::new(forms("swordfish"));
        let text = b"user=x password=swordfish; hex 73776f726466697368 end sword fish";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let out = streamed(&patterns, &[&text[..first], &text[first..second], &text[second..]]);
                assert_eq!(
                    out, "user=x password=(secret); hex (secret) end sword fish",
                    "{first} {second}"
                );
            }
        }
    }

    #[test]
    fn the_longer_of_two_secrets_leaves_no_rest() {
        let patterns = Patterns::new(vec!["abcdef".to_owned(), "abcdefgh".to_owned()]);
        assert_eq!(streamed(&patterns, &[b"x abcdef", b"gh y"]), "x (secret) y");
        assert_eq!(streamed(&patterns, &[b"x abcdef", b"g y"]), "x (secret)g y");
        assert_eq!(streamed(&patterns, &[b"x abcdef"]), "x (secret)");
    }

    #[test]
    fn a_secret_that_was_cut_off_is_taken_out_too() {
        let patterns = Patterns::new(forms("swordfish"));
        assert_eq!(patterns.redact("it is swordf…").as_deref(), Some("it is (secret)…"));
        assert_eq!(
            patterns.redact("swordfis… and swordfish").as_deref(),
            Some("(secret)… and (secret)")
        );
        assert_eq!(patterns.redact("a long sword… and fish…"), None);
    }

    #[test]
    fn ordinary_lines_are_not_held_back() {
        let patterns = Patterns::new(forms("swordfish"));
        let mut stream = Stream::default();
        assert_eq!(stream.push_with(&patterns, b"one line\n"), b"one line\n");
        assert_eq!(stream.push_with(&patterns, b"Approve? "), b"Approve? ");
        assert_eq!(stream.push_with(&patterns, b"sword"), b"");
        assert_eq!(stream.finish_with(&patterns), b"sword");
    }

    #[test]
    fn without_secrets_nothing_changes() {
        let patterns = Patterns::new(Vec::new());
        assert!(patterns.is_empty());
        assert_eq!(streamed(&patterns, &[b"swordfish"]), "swordfish");
    }
}
