//! The lines of a source text that a finding is about, made safe to show and cut to the width of the terminal.

use crate::render::safe::safe;
use crate::source::{Sources, Span};
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::collections::BTreeMap;
use std::ops::Range;

/// Context that is asked of the drawing library. Only the lines themselves are drawn in any case: with none, the library
/// asks for a place instead of for lines, and so the two can be told apart.
pub const CONTEXT: usize = 1;

/// Columns that line numbers and the frame take.
const FRAME: usize = 12;

/// The lines of one file that carry a label.
#[derive(Debug, Default)]
pub struct Excerpt {
    name: String,
    /// The lines, one after another, whatever lies between them in the file.
    text: String,
    lines: Vec<Line>,
    /// Where labels begin in `text`, and their line and column in the file, both from 0.
    places: BTreeMap<usize, (usize, usize)>,
}

#[derive(Debug)]
struct Line {
    /// From 0.
    number: usize,
    range: Range<usize>,
}

/// A line of the file with its labels.
struct Wanted {
    /// Bytes of the file, without the line break.
    range: Range<usize>,
    /// Index of the label, and its bytes of the file.
    labels: Vec<(usize, Range<usize>)>,
}

impl Excerpt {
    /// The excerpt for these spans of one file, and for each span where it lies in it. A span over several lines is shown by
    /// its first.
    pub fn new(sources: &Sources, spans: &[Span], width: usize) -> (Self, Vec<Range<usize>>) {
        let mut excerpt = Excerpt::default();
        let mut shown = vec![0..0; spans.len()];
        let Some(file) = spans.first().map(|span| span.file) else {
            return (excerpt, shown);
        };
        let Some((_, source)) = sources.iter().find(|(id, _)| *id == file) else {
            return (excerpt, shown);
        };
        excerpt.name = safe(&source.name).into_owned();
        let text: &str = &source.text;
        let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
        for (index, span) in spans.iter().enumerate() {
            let mut start = text.floor_char_boundary(span.range().start);
            // What lies behind the last line break is shown at the end of the last line.
            if start == text.len() && text.ends_with('\n') {
                start -= 1;
            }
            let end = text.floor_char_boundary(span.range().end).max(start);
            let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let finish = text[start..].find('\n').map_or(text.len(), |at| start + at);
            let finish = begin + text[begin..finish].trim_end_matches('\r').len();
            let number = text[..start].matches('\n').count();
            wanted
                .entry(number)
                .or_insert(Wanted {
                    range: begin..finish,
                    labels: Vec::new(),
                })
                .labels
                .push((index, start.min(finish)..end.min(finish)));
        }
        for (number, line) in wanted {
            excerpt.push(text, number, &line, width, &mut shown);
        }
        (excerpt, shown)
    }

    fn push(&mut self, text: &str, number: usize, line: &Wanted, width: usize, shown: &mut [Range<usize>]) {
        let window = window(text, line, width.saturating_sub(FRAME).max(30));
        let start = self.text.len();
        if window.start > line.range.start {
            self.text.push('…');
        }
        // Where each byte of the file came to lie: the labels are looked up in it.
        let mut moved: Vec<(usize, usize)> = Vec::new();
        for (offset, character) in text[window.clone()].char_indices() {
            moved.push((window.start + offset, self.text.len()));
            if character == '\t' {
                self.text.push_str("    ");
            } else {
                self.text.push_str(&safe(character.encode_utf8(&mut [0; 4])));
            }
        }
        moved.push((window.end, self.text.len()));
        if window.end < line.range.end {
            self.text.push('…');
        }
        if line.labels.iter().any(|(_, range)| range.start == window.end) {
            // The library marks nothing behind the last character, and draws no line for an empty text.
            self.text.push(' ');
        }
        let find = |offset: usize| {
            let at = moved.partition_point(|(from, _)| *from < offset).min(moved.len() - 1);
            moved[at].1
        };
        for (index, range) in &line.labels {
            shown[*index] = find(range.start)..find(range.end);
            let column = text[line.range.start..range.start].chars().count();
            self.places.entry(shown[*index].start).or_insert((number, column));
        }
        self.lines.push(Line {
            number,
            range: start..self.text.len(),
        });
        self.text.push('\n');
    }
}

/// The part of a line that is shown: all of it, or as many characters as fit, beginning a little before the first label.
fn window(text: &str, line: &Wanted, room: usize) -> Range<usize> {
    let whole = &text[line.range.clone()];
    let end = line.range.end;
    // Counting stops at once where a line is too long: such a line may be a megabyte.
    if whole.chars().take(room + 1).count() <= room {
        return line.range.start..end;
    }
    let first = line
        .labels
        .iter()
        .map(|(_, range)| range.start)
        .min()
        .unwrap_or(line.range.start)
        .min(end);
    let back = text[line.range.start..first].char_indices().rev().take(room / 3).last();
    let start = back.map_or(first, |(offset, _)| line.range.start + offset);
    // A line that fits from its beginning is shown from its beginning.
    let start = if text[line.range.start..first].chars().take(room / 3 + 1).count() <= room / 3 {
        line.range.start
    } else {
        start
    };
    let stop = text[start..end]
        .char_indices()
        .nth(room)
        .map_or(end, |(offset, _)| start + offset);
    start..stop
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (start, end) = (span.offset(), span.offset() + span.len());
        let holds = |offset: usize| {
            self.lines
                .iter()
                .position(|line| line.range.start <= offset && offset <= line.range.end)
        };
        let (first, last) = (
            holds(start).ok_or(MietteError::OutOfBounds)?,
            holds(end).ok_or(MietteError::OutOfBounds)?,
        );
        let range = self.lines[first].range.start..self.lines[last].range.end;
        let (mut line, mut column) = (self.lines[first].number, 0);
        if before == 0
            && let Some(place) = self.places.get(&start)
        {
            (line, column) = *place;
        }
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text[range.clone()].as_bytes(),
            (range.start, range.len()).into(),
            line,
            column,
            last - first + 1,
        )))
    }
}
