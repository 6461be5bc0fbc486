//! A page as blocks: what the guide and the plan are made of, and how it becomes Markdown.
//!
//! Words are plain text with names and code in backticks. Prose is the operator's own Markdown.

use super::safe::{safe, safe_multiline};
use serde::Serialize;

/// A page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// Words.
    pub title: String,
    pub blocks: Vec<Block>,
}

/// A part of a page. All texts are words, except prose.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Block {
    Heading {
        level: u8,
        text: String,
    },
    /// Markdown of the file's author.
    Prose {
        text: String,
    },
    Paragraph {
        text: String,
    },
    List {
        items: Vec<String>,
    },
    Numbered {
        items: Vec<String>,
    },
    /// Names with their values.
    Rows {
        rows: Vec<(String, String)>,
    },
    /// Blocks that belong together: a cause, an action, a loop. `what` names the kind of group.
    Group {
        what: &'static str,
        blocks: Vec<Block>,
    },
    /// A flow chart in Mermaid's text.
    Chart {
        text: String,
    },
}

impl Document {
    /// Adds a heading.
    pub fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(heading(level, text));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: impl Into<String>) {
        self.blocks.push(paragraph(text));
    }

    /// Adds a list; nothing when it is empty.
    pub fn list(&mut self, items: Vec<String>) {
        if !items.is_empty() {
            self.blocks.push(Block::List { items });
        }
    }
}

/// A heading; 1 is the page's own.
pub fn heading(level: u8, text: impl Into<String>) -> Block {
    Block::Heading {
        level: level.min(6),
        text: text.into(),
    }
}

/// A paragraph of words.
pub fn paragraph(text: impl Into<String>) -> Block {
    Block::Paragraph { text: text.into() }
}

/// A piece of words: plain, or code that stood in backticks.
pub(super) enum Piece<'a> {
    Plain(&'a str),
    Code(&'a str),
}

/// Splits words at their backticks. One without a partner is plain text.
pub(super) fn pieces(words: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, next)) = after.split_once('`') else {
            break;
        };
        if !before.is_empty() {
            found.push(Piece::Plain(before));
        }
        if code.is_empty() {
            found.push(Piece::Plain("``"));
        } else {
            found.push(Piece::Code(code));
        }
        rest = next;
    }
    if !rest.is_empty() {
        found.push(Piece::Plain(rest));
    }
    found
}

/// A page as Markdown (CommonMark with tables).
pub fn markdown(document: &Document) -> String {
    let mut out = format!("# {}\n", words(&document.title));
    blocks(&document.blocks, &mut out);
    out
}

fn blocks(all: &[Block], out: &mut String) {
    for block in all {
        match block {
            Block::Heading { level, text } => {
                out.push_str(&format!(
                    "\n{} {}\n",
                    "#".repeat(usize::from(*level).max(1)),
                    words(text)
                ));
            }
            Block::Prose { text } => {
                out.push('\n');
                out.push_str(safe_multiline(text).trim_end());
                out.push('\n');
            }
            Block::Paragraph { text } => out.push_str(&format!("\n{}\n", words(text))),
            Block::List { items } => {
                out.push('\n');
                for item in items {
                    out.push_str(&format!("- {}\n", words(item)));
                }
            }
            Block::Numbered { items } => {
                out.push('\n');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(&format!("{}. {}\n", index + 1, words(item)));
                }
            }
            Block::Rows { rows } => {
                out.push_str("\n| | |\n|---|---|\n");
                for (name, value) in rows {
                    out.push_str(&format!(
                        "| **{}** | {} |\n",
                        words(name),
                        words(value).replace('|', "\\|")
                    ));
                }
            }
            Block::Group { blocks: inner, .. } => blocks(inner, out),
            Block::Chart { text } => out.push_str(&format!("\n```mermaid\n{}```\n", safe_multiline(text))),
        }
    }
}

/// Words as Markdown: nothing in them is markup except their backticks.
fn words(text: &str) -> String {
    let text = safe(text);
    let mut out = String::with_capacity(text.len());
    for piece in pieces(&text) {
        match piece {
            Piece::Plain(plain) => out.push_str(&super::markdown::text(plain)),
            Piece::Code(code) => {
                out.push('`');
                out.push_str(code);
                out.push('`');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_markup() {
        assert_eq!(
            words("a *b* [c](javascript:x) <img> `x *y*` pool_full\u{202e}"),
            r"a \*b\* \[c\](javascript:x) \<img> `x *y*` pool_full\u{202e}"
        );
        assert_eq!(words("one ` alone"), r"one \` alone");
    }
}
