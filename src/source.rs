//! Source texts and places in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which file of a [`Sources`] set a span lies in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// The first id of an embedded module. These ids mean the same text in every set, so that what is known about an embedded
/// module (its tree, its types) can be kept for the next file that uses it.
const EMBEDDED: u32 = 1 << 31;

impl FileId {
    /// The id of the embedded module with this number.
    pub fn embedded(number: usize) -> Self {
        Self(EMBEDDED | u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The number of an embedded module; `None` for a file that was added to a set.
    pub fn embedded_number(self) -> Option<usize> {
        (self.0 >= EMBEDDED).then_some((self.0 ^ EMBEDDED) as usize)
    }
}

/// A half-open range of bytes in one file. Always on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// The span of bytes `start..end` of `file`.
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        Self {
            file,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    /// The smallest span that covers both; both must lie in the same file.
    pub fn to(self, other: Span) -> Self {
        Self {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Number of bytes.
    pub fn len(self) -> usize {
        (self.end.saturating_sub(self.start)) as usize
    }

    /// True for a place between two bytes.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The range as indices of the file's text.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One source text. Files are read once; everything later works on these same bytes.
#[derive(Clone, Debug)]
pub struct Source {
    /// What to call the file in messages, as the user named it.
    pub name: String,
    /// Where it was read from; `None` for embedded modules and for texts made in tests.
    pub path: Option<PathBuf>,
    pub text: Arc<str>,
}

/// The texts a program was made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// By the number of their id.
    files: Vec<Source>,
    /// The embedded modules among them, with their ids.
    embedded: Vec<(FileId, Arc<Source>)>,
}

impl Sources {
    /// Adds a text and returns its id.
    pub fn add(&mut self, name: impl Into<String>, path: Option<&Path>, text: impl Into<Arc<str>>) -> FileId {
        self.files.push(Source {
            name: name.into(),
            path: path.map(Path::to_path_buf),
            text: text.into(),
        });
        FileId(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Notes that an embedded module belongs to this set.
    pub fn embed(&mut self, id: FileId, source: Arc<Source>) {
        if self.get(id).is_none() {
            self.embedded.push((id, source));
        }
    }

    fn get(&self, id: FileId) -> Option<&Source> {
        match id.embedded_number() {
            None => self.files.get(id.0 as usize),
            Some(_) => self
                .embedded
                .iter()
                .find(|(known, _)| *known == id)
                .map(|(_, source)| &**source),
        }
    }

    /// The file with this id.
    ///
    /// # Panics
    /// If the id comes from another set, which would be a mistake of ours.
    pub fn file(&self, id: FileId) -> &Source {
        self.get(id).expect("the id comes from this set")
    }

    /// The text under a span, or an empty text when the span does not fit (never a panic).
    pub fn text(&self, span: Span) -> &str {
        self.get(span.file)
            .and_then(|file| file.text.get(span.range()))
            .unwrap_or_default()
    }

    /// The text under a span on one line, as it is repeated to people: comments are left out, breaks and what indents them are one
    /// blank, and quoted text keeps its blanks.
    pub fn phrase(&self, span: Span) -> String {
        let mut out = String::new();
        let mut letters = self.text(span).chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '"' | '`' => {
                    out.push(letter);
                    while let Some(inside) = letters.next() {
                        out.push(if inside == '\n' { ' ' } else { inside });
                        match inside {
                            '\\' if letter == '"' => out.extend(letters.next()),
                            _ if inside == letter => break,
                            _ => {}
                        }
                    }
                }
                '#' => while letters.next_if(|next| *next != '\n').is_some() {},
                blank if blank.is_whitespace() => {
                    if !out.ends_with(' ') {
                        out.push(' ');
                    }
                }
                letter => out.push(letter),
            }
        }
        out.trim().to_owned()
    }

    /// Line and column of the start of a span, both from 1; the column counts characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(file) = self.get(span.file) else {
            return (1, 1);
        };
        let before = file.text.get(..span.start as usize).unwrap_or(&file.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// All files with their ids: those that were added, in that order, then the embedded ones.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &Source)> {
        self.files
            .iter()
            .enumerate()
            .map(|(index, source)| (FileId(u32::try_from(index).unwrap_or(u32::MAX)), source))
            .chain(self.embedded.iter().map(|(id, source)| (*id, &**source)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Sources, Span};

    #[test]
    fn a_phrase_is_one_line_without_comments() {
        for (text, phrase) in [
            ("a and b", "a and b"),
            ("a  # why: \"x\n    and b\n", "a and b"),
            ("a\n  # one\n  # two\n  and b", "a and b"),
            ("a is \"x  # \\\"y\" and  b", "a is \"x  # \\\"y\" and b"),
            ("`select 1\n  # 2`  > 1", "`select 1   # 2` > 1"),
            ("a is \"not ended", "a is \"not ended"),
            ("", ""),
        ] {
            let mut sources = Sources::default();
            let file = sources.add("test", None, text);
            let end = u32::try_from(text.len()).unwrap();
            assert_eq!(sources.phrase(Span { file, start: 0, end }), phrase, "{text:?}");
        }
    }
}
