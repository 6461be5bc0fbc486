//! Text with places where a line may be broken, and its layout in a width.

/// A piece of text with the places where it may be broken.
#[derive(Debug)]
pub(super) enum Doc {
    /// As it is; may contain line breaks, which are kept.
    Text(String),
    /// A blank, or a line break when the group around it is broken.
    Line,
    /// Nothing, or a line break when the group around it is broken.
    Soft,
    /// A line break always.
    Hard,
    /// Printed only when the group around it is broken.
    IfBroken(&'static str),
    /// A comment behind the text of a line; a line break follows it.
    Comment(String),
    /// Broken as a whole, or not at all.
    Group(Vec<Doc>),
    /// Two columns further in, on the lines that begin inside.
    Indent(Vec<Doc>),
    Concat(Vec<Doc>),
}

impl Doc {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Doc::Text(text.into())
    }
}

/// Readable width of a line, in characters.
pub(super) const WIDTH: usize = 100;
/// Columns of one level of indentation.
pub(super) const STEP: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Flat,
    Broken,
}

/// Appends a document to `out`, whose last line has `column` characters; lines that begin inside are indented by `indent`.
pub(super) fn print(doc: &Doc, indent: usize, column: usize, out: &mut String) {
    let mut column = column;
    let mut work: Vec<(usize, Mode, &Doc)> = vec![(indent, Mode::Broken, doc)];
    while let Some((indent, mode, doc)) = work.pop() {
        match doc {
            Doc::Text(text) => {
                out.push_str(text);
                column = match text.rsplit_once('\n') {
                    Some((_, last)) => last.chars().count(),
                    None => column + text.chars().count(),
                };
            }
            Doc::Line if mode == Mode::Flat => {
                out.push(' ');
                column += 1;
            }
            Doc::Soft if mode == Mode::Flat => {}
            Doc::Line | Doc::Soft | Doc::Hard => {
                let kept = out.trim_end_matches(' ').len();
                out.truncate(kept);
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            }
            Doc::IfBroken(text) => {
                if mode == Mode::Broken {
                    out.push_str(text);
                    column += text.len();
                }
            }
            Doc::Comment(text) => {
                out.push_str("  ");
                out.push_str(text);
            }
            Doc::Concat(parts) => work.extend(parts.iter().rev().map(|part| (indent, mode, part))),
            Doc::Indent(parts) => work.extend(parts.iter().rev().map(|part| (indent + STEP, mode, part))),
            Doc::Group(parts) => {
                let mode = if fits(parts, &work, WIDTH.saturating_sub(column)) {
                    Mode::Flat
                } else {
                    Mode::Broken
                };
                work.extend(parts.iter().rev().map(|part| (indent, mode, part)));
            }
        }
    }
}

/// True when a group without line breaks, and what follows it up to the next possible break, needs at most `room` columns.
fn fits(group: &[Doc], rest: &[(usize, Mode, &Doc)], room: usize) -> bool {
    let mut room = room;
    let mut work: Vec<(Mode, &Doc)> = group.iter().rev().map(|part| (Mode::Flat, part)).collect();
    let mut rest = rest.iter().rev();
    loop {
        let Some((mode, doc)) = work.pop().or_else(|| rest.next().map(|(_, mode, doc)| (*mode, *doc))) else {
            return true;
        };
        let width = match doc {
            Doc::Text(text) => {
                let first = text.split('\n').next().unwrap_or_default();
                let width = first.chars().count();
                if first.len() < text.len() {
                    return width <= room;
                }
                width
            }
            Doc::Line if mode == Mode::Flat => 1,
            Doc::Soft | Doc::IfBroken(_) if mode == Mode::Flat => 0,
            Doc::Hard if mode == Mode::Flat => return false,
            Doc::Line | Doc::Soft | Doc::Hard | Doc::Comment(_) => return true,
            Doc::IfBroken(text) => text.len(),
            Doc::Concat(parts) | Doc::Indent(parts) => {
                work.extend(parts.iter().rev().map(|part| (mode, part)));
                0
            }
            Doc::Group(parts) => {
                // A group behind the one in question may still be broken by itself.
                let mode = if mode == Mode::Flat { Mode::Flat } else { Mode::Broken };
                work.extend(parts.iter().rev().map(|part| (mode, part)));
                0
            }
        };
        if width > room {
            return false;
        }
        room -= width;
    }
}

/// The text of a document without line breaks; `None` when it must have some.
pub(super) fn flat(doc: &Doc) -> Option<String> {
    let mut out = String::new();
    let mut work = vec![doc];
    while let Some(doc) = work.pop() {
        match doc {
            Doc::Text(text) if text.contains('\n') => return None,
            Doc::Text(text) => out.push_str(text),
            Doc::Line => out.push(' '),
            Doc::Soft | Doc::IfBroken(_) => {}
            Doc::Hard | Doc::Comment(_) => return None,
            Doc::Concat(parts) | Doc::Indent(parts) | Doc::Group(parts) => work.extend(parts.iter().rev()),
        }
    }
    Some(out)
}
