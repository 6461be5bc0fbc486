//! Text to tree: the grammar's pairs become nodes, the grammar's mistakes become diagnostics.

// Each module reads one kind of construct.
mod action;
mod clause;
mod expression;
mod item;
mod report;
mod scenario;
mod text;
mod usage;

use super::scan::{self, Repair};
use super::tree::File;
use super::{hidden, limits};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use pest::Parser as _;
use pest::iterators::Pair;
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// The rules of `grammar/starr.pest`, and the derived parser. Pairs never leave this module.
// The derive writes public items, documented in the grammar.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "../grammar/starr.pest"]
    pub struct Grammar;
}
use grammar::{Grammar, Rule};

type Node<'a> = Pair<'a, Rule>;

/// A tree and what was wrong with its text.
#[derive(Debug)]
pub struct Parsed {
    pub file: File,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a text as a file of the language. Never fails: what no rule fits is reported and stands in the tree as junk.
pub fn parse(id: FileId, text: &str) -> Parsed {
    let mut scan = scan::scan(id, text);
    let hidden = hidden::find(id, text, &scan.plain);
    for found in &hidden {
        // The grammar reads blanks there, and what it says about the line is not to be trusted.
        let range = found.span.range();
        if !scan.plain.iter().any(|plain| plain.contains(&range.start)) {
            let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
            let end = text[range.start..]
                .find('\n')
                .map_or(text.len(), |length| range.start + length);
            scan.quiet.push(line..end);
            scan.repair.blank(range);
        }
        if scan.quiet.len() > limits::ERRORS {
            break;
        }
    }
    let readable = scan.repair.apply(text);
    let builder = Builder::new(id, &scan.repair);
    limits::allow_calls(readable.len());
    let items = match Grammar::parse(Rule::file, &readable) {
        Ok(mut pairs) => pairs.next().map(|file| builder.items(file)).unwrap_or_default(),
        Err(error) => {
            builder.refused(&error);
            Vec::new()
        }
    };
    let mut diagnostics = builder.diagnostics.into_inner();
    let quiet = merged(scan.quiet);
    diagnostics.retain(|found| !touches(found.span, &quiet));
    diagnostics.extend(scan.diagnostics);
    diagnostics.extend(hidden);
    diagnostics.sort_by_key(|found| (found.span.start, found.span.end));
    diagnostics.dedup();
    cap(&mut diagnostics);
    Parsed {
        file: File {
            id,
            items,
            comments: scan.comments,
            length: text.len(),
        },
        diagnostics,
    }
}

/// The same ranges in order, without overlaps.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// True when a span lies in one of the ranges, touches it or contains it.
fn touches(span: Span, ranges: &[Range<usize>]) -> bool {
    let next = ranges.partition_point(|range| range.end < span.start as usize);
    ranges.get(next).is_some_and(|range| range.start <= span.end as usize)
}

/// Keeps as many findings as a person reads.
fn cap(diagnostics: &mut Vec<Diagnostic>) {
    let more = diagnostics.len().saturating_sub(limits::ERRORS);
    if more > 0 {
        diagnostics.truncate(limits::ERRORS);
        let place = diagnostics.last().map(|last| last.span).unwrap_or_default();
        diagnostics.push(Diagnostic::note(
            "syntax",
            place,
            format!("{more} more mistakes are not shown"),
        ));
    }
}

/// Makes nodes from pairs.
struct Builder<'r> {
    id: FileId,
    repair: &'r Repair,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// True after a missing `}` was reported; the blocks around it end at the same place.
    unclosed: Cell<bool>,
}

impl<'r> Builder<'r> {
    fn new(id: FileId, repair: &'r Repair) -> Self {
        Self {
            id,
            repair,
            diagnostics: RefCell::default(),
            unclosed: Cell::new(false),
        }
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.diagnostics.borrow_mut().push(diagnostic);
    }

    /// The place of a pair without the blanks that its last token has eaten.
    fn span(&self, pair: &Node) -> Span {
        let span = pair.as_span();
        let kept = span.as_str().trim_end().len();
        self.range(span.start(), span.start() + kept)
    }

    /// The span in the original text of bytes the grammar has read.
    fn range(&self, start: usize, end: usize) -> Span {
        Span::new(self.id, self.repair.original(start), self.repair.original(end))
    }
}

/// True for keywords, punctuation and comments: pairs that carry no node of their own. This is the one place that decides it.
fn silent(rule: Rule) -> bool {
    (Rule::p_open <= rule && rule <= Rule::k_yes) || rule == Rule::comment
}

/// The pairs inside a pair that become nodes.
fn inner(pair: Node) -> impl Iterator<Item = Node> {
    pair.into_inner().filter(|pair| !silent(pair.as_rule()))
}
