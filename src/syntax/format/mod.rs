//! Tree to text: one canonical form, without options.
//!
//! Two columns of indentation; at most one blank line between two things, none at the edges of a block; the values of short
//! clauses that follow each other stand under each other; what is wider than a readable line is broken in its brackets, or
//! before `and` and `or`. Texts, prose and code are copied as they stand. A block of one short clause stays on one line when
//! it was written so. A comment keeps its place; one that stands inside an expression moves above its clause.

mod clause;
mod doc;
mod expression;
mod item;
mod scenario;

use super::tree::{Comment, File, Prose};
use crate::source::Span;
use doc::{Doc, STEP};

/// The canonical form of a file. `text` is the text the tree was read from; the file must have no syntax errors, otherwise
/// what was not understood would be lost.
pub fn format(file: &File, text: &str) -> String {
    let mut formatter = Formatter {
        text,
        comments: &file.comments,
        taken: vec![false; file.comments.len()],
        out: String::with_capacity(text.len() + text.len() / 8),
        indent: 0,
    };
    formatter.file(file);
    formatter.out
}

struct Formatter<'f> {
    text: &'f str,
    comments: &'f [Comment],
    taken: Vec<bool>,
    out: String,
    /// Columns.
    indent: usize,
}

impl<'f> Formatter<'f> {
    fn source(&self, span: Span) -> &'f str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// The comments in a range of bytes that have not been printed, which from now on count as printed.
    fn take(&mut self, start: usize, end: usize) -> Vec<&'f Comment> {
        let first = self
            .comments
            .partition_point(|comment| (comment.span.start as usize) < start);
        let mut found = Vec::new();
        for (index, comment) in self.comments.iter().enumerate().skip(first) {
            if comment.span.start as usize >= end {
                break;
            }
            if !std::mem::replace(&mut self.taken[index], true) {
                found.push(comment);
            }
        }
        found
    }

    /// True when a comment in this range has not been printed.
    fn has_comments(&self, start: usize, end: usize) -> bool {
        let first = self
            .comments
            .partition_point(|comment| (comment.span.start as usize) < start);
        self.comments[first..]
            .iter()
            .zip(&self.taken[first..])
            .take_while(|(comment, _)| (comment.span.start as usize) < end)
            .any(|(_, taken)| !taken)
    }

    /// The end of the source line in which a byte lies.
    fn line_end(&self, at: usize) -> usize {
        self.text
            .get(at..)
            .and_then(|rest| rest.find('\n'))
            .map_or(self.text.len(), |length| at + length)
    }

    /// True when the line above the one in which this byte lies is blank.
    fn blank_above(&self, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        let Some(line) = before.rfind('\n') else { return false };
        let above = &before[..line];
        above.rsplit('\n').next().unwrap_or_default().trim().is_empty() && !above.is_empty()
    }

    /// True when a blank line lies between two places.
    fn apart(&self, from: usize, to: usize) -> bool {
        let lines: Vec<&str> = self.text.get(from..to).unwrap_or_default().split('\n').collect();
        lines.len() > 2 && lines[1..lines.len() - 1].iter().any(|line| line.trim().is_empty())
    }

    fn begin_line(&mut self) {
        self.out.push_str(&" ".repeat(self.indent));
    }

    fn end_line(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
        self.out.push('\n');
    }

    fn column(&self) -> usize {
        self.out.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    fn put(&mut self, doc: &Doc) {
        let column = self.column();
        doc::print(doc, self.indent, column, &mut self.out);
    }

    /// Prints things one below the other, with the comments and blank lines between them. `start` and `end` are the places
    /// behind the opening and before the closing brace; `print` writes one thing without its last line break.
    fn lines<T>(
        &mut self,
        (start, end): (usize, usize),
        items: &[T],
        span: impl Fn(&T) -> Span,
        mut print: impl FnMut(&mut Self, usize, &T),
    ) {
        let mut first = true;
        let mut from = start;
        for (index, item) in items.iter().enumerate() {
            let here = span(item);
            for comment in self.take(from, here.start as usize) {
                self.own_line(comment, &mut first);
            }
            if !first && self.blank_above(here.start as usize) {
                self.out.push('\n');
            }
            // Printed apart first: comments it cannot place inside go above it.
            let before = self.out.len();
            self.begin_line();
            print(self, index, item);
            let printed = self.out.split_off(before);
            for comment in self.take(here.start as usize, here.end as usize) {
                self.begin_line();
                self.out.push_str(&comment.text);
                self.end_line();
            }
            self.out.push_str(&printed);
            for comment in self.take(here.end as usize, self.line_end(here.end as usize).min(end)) {
                self.out.push_str("  ");
                self.out.push_str(&comment.text);
            }
            self.end_line();
            first = false;
            from = here.end as usize;
        }
        for comment in self.take(from, end) {
            self.own_line(comment, &mut first);
        }
    }

    fn own_line(&mut self, comment: &Comment, first: &mut bool) {
        if !*first && self.blank_above(comment.span.start as usize) {
            self.out.push('\n');
        }
        self.begin_line();
        self.out.push_str(&comment.text);
        self.end_line();
        *first = false;
    }

    /// ` {`, the comment behind it, the things inside, `}`.
    fn braces<T>(&mut self, span: Span, items: &[T], of: impl Fn(&T) -> Span, print: impl FnMut(&mut Self, usize, &T)) {
        let (start, end) = (span.start as usize + 1, (span.end as usize).saturating_sub(1));
        self.out.push_str(" {");
        if items.is_empty() && !self.has_comments(start, end) {
            self.out.push('}');
            return;
        }
        for comment in self.take(start, self.line_end(start).min(end)) {
            self.out.push_str("  ");
            self.out.push_str(&comment.text);
        }
        self.end_line();
        self.indent += STEP;
        self.lines((start, end), items, of, print);
        self.indent -= STEP;
        self.begin_line();
        self.out.push('}');
    }

    /// Lines of prose, each behind `> `, without the last line break.
    fn prose(&mut self, prose: &Prose) {
        for (index, line) in self.source(prose.span).split('\n').enumerate() {
            if index > 0 {
                self.end_line();
                self.begin_line();
            }
            let line = line.trim();
            let rest = line.strip_prefix('>').unwrap_or(line);
            self.out.push('>');
            if !rest.is_empty() && !rest.starts_with(' ') {
                self.out.push(' ');
            }
            self.out.push_str(rest);
        }
    }
}

/// A word followed by blanks up to a width.
fn padded(word: &str, width: usize) -> String {
    let length = word.chars().count();
    format!("{word}{}", " ".repeat(width.saturating_sub(length)))
}

/// Left sides that are wider than this take no part in alignment.
const ALIGNED: usize = 40;

/// The width to which left sides of a run are padded.
fn aligned(widths: impl Iterator<Item = usize>) -> usize {
    widths.filter(|width| *width <= ALIGNED).max().unwrap_or(0)
}
