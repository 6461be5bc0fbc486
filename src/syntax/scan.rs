//! One look over the text before the grammar sees it: comments, nesting, braces that do not match.
//!
//! It knows only comments, prose, texts, code and brackets, so it is linear and cannot overflow. What it finds it repairs
//! in a copy of the text (see [`Repair`]), so that the grammar reads the rest of the file as if the mistake were not there.

use super::limits;
use super::tree::Comment;
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::borrow::Cow;
use std::ops::Range;

/// What was found before parsing.
pub struct Scan {
    pub comments: Vec<Comment>,
    /// Prose and comments: what only people read.
    pub plain: Vec<Range<usize>>,
    pub diagnostics: Vec<Diagnostic>,
    /// Places that were found wrong here: what the grammar says about them would only be a consequence.
    pub quiet: Vec<Range<usize>>,
    pub repair: Repair,
}

/// Changes to the text that keep one mistake from hiding others.
#[derive(Default)]
pub struct Repair {
    /// Replaced by blanks.
    blanked: Vec<Range<usize>>,
    /// Brackets without a partner, and the byte that stands for them.
    lone: Vec<(usize, u8)>,
    /// Line breaks with `}` are put in: place in the original text, and how many.
    closed: Vec<(usize, usize)>,
}

const CLOSE: &str = "\n}";

/// Stands for a `(` or `[` that is never closed, so that the grammar need not look for its end.
pub const UNCLOSED: char = '\u{1}';
/// Stands for a `)` or `]` that was never opened.
pub const UNOPENED: char = '\u{2}';

impl Repair {
    /// The text the grammar reads.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.blanked.is_empty() && self.closed.is_empty() && self.lone.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut bytes = text.as_bytes().to_vec();
        for (at, mark) in &self.lone {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte = *mark;
            }
        }
        for range in &self.blanked {
            for byte in bytes.get_mut(range.clone()).into_iter().flatten() {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
        // Blanking replaces whole characters, so the bytes stay UTF-8; if that were ever wrong, the text is read as it is.
        let Ok(mut patched) = String::from_utf8(bytes) else {
            return Cow::Borrowed(text);
        };
        for (at, count) in self.closed.iter().rev() {
            patched.insert_str(*at, &CLOSE.repeat(*count));
        }
        Cow::Owned(patched)
    }

    /// Replaces a range, which must be whole characters, by blanks.
    pub fn blank(&mut self, range: Range<usize>) {
        self.blanked.push(range);
    }

    /// The place in the original text of a place in the text the grammar has read.
    pub fn original(&self, mut at: usize) -> usize {
        for (place, count) in &self.closed {
            if at <= *place {
                break;
            }
            at = (at - (CLOSE.len() * count).min(at - place)).max(*place);
        }
        at
    }
}

/// Words that begin an item in the first column; a block does not go on behind them.
const TOP_WORDS: [&str; 8] = [
    "runbook", "use", "module", "provider", "resource", "record", "enum", "scenario",
];

/// True for `record result "…"`, which a scenario expects: no type begins there.
fn is_expected_record(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"record") else {
        return false;
    };
    let rest = rest.trim_ascii_start();
    ["situation", "task", "action", "result", "reflection"]
        .iter()
        .filter_map(|part| rest.strip_prefix(part.as_bytes()))
        .any(|rest| {
            let blanks = rest
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
                .count();
            rest.get(blanks) == Some(&b'"')
        })
}

/// Looks a text over.
pub fn scan(id: FileId, text: &str) -> Scan {
    let mut scanner = Scanner {
        id,
        text,
        bytes: text.as_bytes(),
        at: 0,
        line_start: 0,
        indent: 0,
        fresh: true,
        stack: Vec::new(),
        blocks: 0,
        brackets: 0,
        angles: 0,
        no_fence: false,
        deep: None,
        braces: Vec::new(),
        unmatched: false,
        cut: false,
        found: Scan {
            comments: Vec::new(),
            plain: Vec::new(),
            diagnostics: Vec::new(),
            quiet: Vec::new(),
            repair: Repair::default(),
        },
    };
    scanner.run();
    let unmatched = scanner.unmatched || scanner.stack.iter().any(|open| open.byte == b'{');
    if unmatched && !scanner.cut {
        scanner.match_by_indentation();
    }
    scanner.found
}

#[derive(Clone, Copy)]
struct Open {
    byte: u8,
    at: usize,
    line_start: usize,
}

/// A brace, or the beginning of a line, in the order of the text.
#[derive(Clone, Copy)]
struct Event {
    kind: EventKind,
    at: usize,
    indent: usize,
    /// A `{` that ends its line, a `}` that begins one.
    alone: bool,
    /// Where the content of the lines before ends.
    content_end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EventKind {
    Open,
    Close,
    Line,
}

struct Scanner<'t> {
    id: FileId,
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    line_start: usize,
    indent: usize,
    /// Nothing but blanks has been seen on this line.
    fresh: bool,
    stack: Vec<Open>,
    blocks: usize,
    brackets: usize,
    angles: usize,
    /// No further closing fence exists.
    no_fence: bool,
    /// The stack's height and the place where something became too deep; everything until it is closed is blanked.
    deep: Option<(usize, usize)>,
    braces: Vec<Event>,
    unmatched: bool,
    /// Something too deep was never closed, so the braces around it say nothing.
    cut: bool,
    found: Scan,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut content_end = 0;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.line_start = self.at;
                    self.fresh = true;
                    self.indent = 0;
                    self.angles = 0;
                    if self.at_top_word() {
                        self.cut |= self.deep.is_some();
                        self.end_deep(self.at);
                        self.lone_above(0);
                        self.unmatched |= !self.stack.is_empty();
                        self.truncate(0);
                    }
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    if self.fresh {
                        self.indent += if byte == b'\t' { 2 } else { 1 };
                    }
                    self.at += 1;
                    continue;
                }
                b'#' => {
                    self.comment();
                    continue;
                }
                _ => {}
            }
            if self.fresh {
                self.fresh = false;
                if self.brackets > 0 && self.deep.is_none() && !self.goes_on(content_end) {
                    self.drop_brackets();
                }
                // A line inside brackets belongs to the clause above.
                if byte != b'}' && self.brackets == 0 {
                    self.event(EventKind::Line, true, content_end);
                }
                if byte == b'>' {
                    let end = self.line_end(self.at);
                    self.found.plain.push(self.at..end);
                    self.at = end;
                    content_end = self.at;
                    continue;
                }
                self.token(byte, content_end, true);
            } else {
                self.token(byte, content_end, false);
            }
            content_end = self.at;
        }
        self.cut |= self.deep.is_some();
        self.end_deep(self.bytes.len());
        self.lone_above(0);
        // A brace that neither ends its line nor is ever closed begins no block.
        for open in self.stack.iter().filter(|open| open.byte == b'{') {
            let rest = self.text[open.at + 1..self.line_end(open.at)].trim();
            if !rest.is_empty() && !rest.starts_with('#') {
                self.found.repair.lone.push((open.at, UNCLOSED as u8));
                self.braces.retain(|event| event.at != open.at);
            }
        }
    }

    /// True when the grammar allows the line that begins here to go on with brackets that are open above.
    fn goes_on(&self, content_end: usize) -> bool {
        let here = &self.text[self.at..];
        let above = self.text[..content_end].trim_end();
        let word = above
            .rfind(|character: char| !(character.is_alphanumeric() || character == '_'))
            .map_or(above, |at| &above[at..])
            .trim_start_matches(|character: char| !character.is_alphanumeric());
        let first = here
            .split(|character: char| !character.is_alphanumeric())
            .next()
            .unwrap_or_default();
        here.starts_with([')', ']', '}'])
            || matches!(first, "and" | "or")
            || above.ends_with(['(', '[', '{', ',', ':', '=', '>', '<', '+', '-', '*', '/', '|', '&'])
            || matches!(
                word,
                "and" | "or" | "not" | "is" | "in" | "for" | "default" | "contains" | "matches"
            )
    }

    fn token(&mut self, byte: u8, content_end: usize, first: bool) {
        match byte {
            b'"' => self.quoted(),
            b'`' => self.code(),
            b'{' | b'(' | b'[' => self.open(byte, content_end),
            b'}' | b')' | b']' => self.close(byte, content_end, first),
            b'<' => self.angle(),
            b'>' => {
                self.angles = self.angles.saturating_sub(1);
                self.at += 1;
            }
            _ => self.at += 1,
        }
    }

    fn event(&mut self, kind: EventKind, alone: bool, content_end: usize) {
        self.braces.push(Event {
            kind,
            at: self.at,
            indent: self.indent,
            alone,
            content_end,
        });
    }

    fn line_end(&self, from: usize) -> usize {
        self.text[from..]
            .find('\n')
            .map_or(self.bytes.len(), |length| from + length)
    }

    fn comment(&mut self) {
        let end = self.line_end(self.at);
        let text = self.text[self.at..end].trim_end();
        self.found.plain.push(self.at..end);
        self.found.comments.push(Comment {
            span: Span::new(self.id, self.at, self.at + text.len()),
            text: text.to_string(),
            own_line: self.fresh,
        });
        self.at = end;
    }

    fn quoted(&mut self) {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => return,
                b'\\' if self.bytes.get(self.at + 1).is_some_and(|next| *next != b'\n') => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn code(&mut self) {
        if !self.no_fence && self.text[self.at..].starts_with("```") {
            let first_line = self.line_end(self.at);
            let marks_only = self.text[self.at + 3..first_line]
                .trim_end()
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "_-+".contains(character));
            if marks_only {
                match self.text[first_line..].find("```") {
                    Some(length) => {
                        self.at = first_line + length + 3;
                        return;
                    }
                    None => self.no_fence = true,
                }
            }
        }
        let end = self.line_end(self.at);
        self.at = self.text[self.at + 1..end]
            .find('`')
            .map_or(end, |length| self.at + 1 + length + 1);
    }

    fn open(&mut self, byte: u8, content_end: usize) {
        let open = Open {
            byte,
            at: self.at,
            line_start: self.line_start,
        };
        self.stack.push(open);
        let (depth, most) = if byte == b'{' {
            self.blocks += 1;
            (self.blocks, limits::BLOCK_DEPTH)
        } else {
            self.brackets += 1;
            (self.brackets, limits::BRACKET_DEPTH)
        };
        if depth > most && self.deep.is_none() {
            self.deep = Some((self.stack.len(), self.at));
            let what = if byte == b'{' { "blocks" } else { "brackets" };
            let first = self.stack.iter().find(|open| (open.byte == b'{') == (byte == b'{'));
            let start = if byte == b'{' {
                self.line_start
            } else {
                first.map_or(self.line_start, |open| open.line_start)
            };
            self.found.quiet.push(start..self.at);
            let help = if byte == b'{' {
                "move the inner steps to a runbook of their own, and `run` it"
            } else {
                "name a part of it with `let` and use the name"
            };
            let mut diagnostic = Diagnostic::error(
                "syntax",
                Span::new(self.id, self.at, self.at + 1),
                format!("{what} are nested more than {most} deep"),
            )
            .help(help);
            if let Some(first) = first {
                diagnostic = diagnostic.and(Span::new(self.id, first.at, first.at + 1), "the outermost");
            }
            self.found.diagnostics.push(diagnostic);
        }
        if byte == b'{' && self.deep.is_none() && self.brackets == 0 {
            let rest = self.text[self.at + 1..self.line_end(self.at)].trim_start();
            let ends_line = rest.is_empty() || rest.starts_with('#');
            self.event(EventKind::Open, ends_line, content_end);
        }
        self.at += 1;
    }

    fn close(&mut self, byte: u8, content_end: usize, first: bool) {
        let wanted = match byte {
            b'}' => b'{',
            b')' => b'(',
            _ => b'[',
        };
        let here = self.at;
        // A brace closes the brackets in it that were forgotten; a bracket reaches no further than its block.
        let found = self
            .stack
            .iter()
            .rposition(|open| open.byte == wanted || (byte != b'}' && open.byte == b'{'))
            .filter(|index| self.stack[*index].byte == wanted);
        if byte == b'}' && self.deep.is_none() {
            let in_bracket = found.is_some_and(|index| self.stack[..index].iter().any(|open| open.byte != b'{'));
            if !in_bracket {
                self.event(EventKind::Close, first, content_end);
            }
            self.unmatched |= found.is_none();
        }
        self.at += 1;
        if found.is_none() && byte != b'}' {
            self.found.repair.lone.push((here, UNOPENED as u8));
        }
        if let Some(index) = found {
            self.lone_above(index + 1);
            self.truncate(index);
            if self.deep.is_some_and(|(height, _)| self.stack.len() < height) {
                self.end_deep(here + 1);
            }
        }
    }

    /// What is still open from a height on is never closed, brackets at least.
    fn lone_above(&mut self, height: usize) {
        let Some(open) = self.stack.get(height..) else { return };
        // A brace inside a bracket is a record, and lost with it.
        let first = open.iter().position(|open| open.byte != b'{').unwrap_or(open.len());
        for open in &open[first..] {
            self.found.repair.lone.push((open.at, UNCLOSED as u8));
            // The lines that were meant to be inside stand further in; what they say is not a mistake of its own.
            let first = self.line_end(open.at);
            if !self.text[open.line_start..first]
                .trim_end()
                .ends_with(['(', '[', '{', ','])
            {
                continue;
            }
            let indent = |line: &str| line.len() - line.trim_start().len();
            let outer = indent(&self.text[open.line_start..first]);
            let mut end = first;
            for line in self.text[first..].split('\n').skip(1).take(100) {
                if indent(line) <= outer || line.trim().is_empty() {
                    break;
                }
                end += 1 + line.len();
            }
            if end > first {
                self.found.quiet.push(first + 1..end);
            }
        }
    }

    fn truncate(&mut self, height: usize) {
        for open in self.stack.drain(height..) {
            if open.byte == b'{' {
                self.blocks -= 1;
            } else {
                self.brackets -= 1;
            }
        }
    }

    /// No bracket is open any more, whatever stands above; nor is a record inside one.
    fn drop_brackets(&mut self) {
        self.lone_above(0);
        let first = self
            .stack
            .iter()
            .position(|open| open.byte != b'{')
            .unwrap_or(self.stack.len());
        self.truncate(first);
    }

    /// Blanks what was too deep, up to here.
    fn end_deep(&mut self, end: usize) {
        if let Some((height, start)) = self.deep.take() {
            self.found.repair.blanked.push(start..end);
            self.found.quiet.push(start..end);
            self.truncate(self.stack.len().min(height.saturating_sub(1)));
        }
    }

    /// `<` directly behind a name and before one: types nest, comparisons do not.
    fn angle(&mut self) {
        let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at));
        if word(before) && word(self.bytes.get(self.at + 1)) {
            self.angles += 1;
            if self.angles > limits::BRACKET_DEPTH && self.deep.is_none() {
                let end = self.line_end(self.at);
                self.found.diagnostics.push(
                    Diagnostic::error(
                        "syntax",
                        Span::new(self.id, self.at, self.at + 1),
                        format!("types are nested more than {} deep", limits::BRACKET_DEPTH),
                    )
                    .help("declare a record and use its name"),
                );
                self.found.repair.blanked.push(self.at..end);
                self.found.quiet.push(self.line_start..end);
                self.at = end;
                return;
            }
        }
        self.at += 1;
    }

    fn at_top_word(&self) -> bool {
        let rest = &self.bytes[self.at..];
        rest.first().is_some_and(u8::is_ascii_lowercase)
            && TOP_WORDS.iter().any(|word| {
                rest.starts_with(word.as_bytes())
                    && !rest
                        .get(word.len())
                        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii())
            })
            && !is_expected_record(rest)
    }

    /// Braces do not match: says where one is missing or too many, as the indentation shows it. Gives up (and leaves it to the
    /// grammar) when the indentation does not tell.
    fn match_by_indentation(&mut self) {
        struct Block {
            open: Event,
            /// The first line after which the indentation says that the block is over.
            over: Option<usize>,
        }
        let mut open: Vec<Block> = Vec::new();
        let mut missing: Vec<(Event, usize)> = Vec::new();
        let mut extra: Vec<Event> = Vec::new();
        for event in &self.braces {
            match event.kind {
                EventKind::Open => open.push(Block {
                    open: *event,
                    over: None,
                }),
                EventKind::Line => {
                    for block in open
                        .iter_mut()
                        .rev()
                        .take_while(|block| event.indent <= block.open.indent)
                    {
                        if block.open.alone && block.open.at < event.at {
                            block.over.get_or_insert(event.content_end);
                        }
                    }
                }
                EventKind::Close => {
                    if event.alone {
                        // The brace closes the block whose line is as far in as itself; those inside were not closed.
                        while let Some(block) = open.last() {
                            let inner = block.open.alone && block.open.indent > event.indent;
                            let over = block.over.is_some()
                                && open.iter().rev().skip(1).any(|outer| outer.open.indent <= event.indent);
                            if !(inner || over) {
                                break;
                            }
                            missing.push((block.open, block.over.unwrap_or(event.content_end)));
                            open.pop();
                        }
                        match open.last() {
                            Some(block) if !block.open.alone || block.open.indent == event.indent => {
                                open.pop();
                            }
                            _ => extra.push(*event),
                        }
                    } else if open.pop().is_none() {
                        extra.push(*event);
                    }
                }
            }
        }
        let end = self.text.trim_end().len();
        for block in open.into_iter().rev() {
            missing.push((block.open, block.over.unwrap_or(end)));
        }
        let opens = self.braces.iter().filter(|event| event.kind == EventKind::Open).count();
        let closes = self
            .braces
            .iter()
            .filter(|event| event.kind == EventKind::Close)
            .count();
        // The guess must explain the difference exactly; otherwise the indentation is not to be trusted.
        let plausible = match (missing.len(), extra.len()) {
            (missing, 0) => opens == closes + missing,
            (0, extra) => opens + extra == closes,
            _ => false,
        };
        // A block that would be empty shows that the file is not indented at all.
        let indented = missing.iter().all(|(block, place)| {
            self.text
                .get(block.at + 1..*place)
                .is_some_and(|inside| inside.contains('\n'))
        });
        if !plausible || !indented || missing.len() > limits::BLOCK_DEPTH {
            return;
        }
        // Inner blocks were found before outer ones, so at one place they close in that order.
        missing.sort_by_key(|(_, place)| *place);
        for together in missing.chunk_by(|(_, one), (_, other)| one == other) {
            let [(block, place), ..] = together else { continue };
            let place = (*place).min(self.bytes.len());
            let closes: String = together
                .iter()
                .map(|(block, _)| format!("\n{}}}", " ".repeat(block.indent)))
                .collect();
            let message = match together.len() {
                1 => "a `}` is missing".to_string(),
                many => format!("{many} `}}` are missing"),
            };
            self.found.diagnostics.push(
                Diagnostic::error("syntax", Span::new(self.id, place, place), message)
                    .label("by the indentation, the block ends here")
                    .and(Span::new(self.id, block.at, block.at + 1), "this block is not closed")
                    .help("close the block on a line of its own")
                    .edit(Span::new(self.id, place, place), closes),
            );
            self.found.repair.closed.push((place, together.len()));
        }
        for event in extra {
            self.found.diagnostics.push(
                Diagnostic::error(
                    "syntax",
                    Span::new(self.id, event.at, event.at + 1),
                    "this `}` closes nothing",
                )
                .help("remove it, or look for a `{` that is missing above"),
            );
            self.found.repair.blanked.push(event.at..event.at + 1);
        }
    }
}
