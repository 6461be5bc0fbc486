//! Text to tree: the grammar's pairs become nodes, the grammar's mistakes become diagnostics.

// Each module reads one kind of construct.
mod action;
mod clause;
mod expression;
mod item;
mod report;
mod scenario;
mod text;

use super::tree::{Comment, File};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use pest::Parser as _;
use pest::iterators::Pair;
use std::cell::{Cell, RefCell};

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
    let builder = Builder::new(id);
    let items = match Grammar::parse(Rule::file, text) {
        Ok(mut pairs) => pairs.next().map(|file| builder.items(file)).unwrap_or_default(),
        Err(error) => {
            builder.refused(&error);
            Vec::new()
        }
    };
    Parsed {
        file: File {
            id,
            items,
            comments: Vec::<Comment>::new(),
            length: text.len(),
        },
        diagnostics: builder.diagnostics.into_inner(),
    }
}

/// Makes nodes from pairs.
struct Builder {
    id: FileId,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// True after a missing `}` was reported; the blocks around it end at the same place.
    unclosed: Cell<bool>,
}

impl Builder {
    fn new(id: FileId) -> Self {
        Self {
            id,
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
        Span::new(self.id, span.start(), span.start() + kept)
    }

    /// A place between two bytes.
    fn place(&self, at: usize) -> Span {
        Span::new(self.id, at, at)
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
