//! What is said about text that no rule fits.

use super::{Builder, Node, Rule};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::value::unit;

impl Builder {
    /// A pair that nobody expects is a mistake of ours: it is reported, never a panic.
    pub(super) fn unexpected(&self, pair: &Node) {
        self.our_bug(self.span(pair), &format!("{:?}", pair.as_rule()));
    }

    pub(super) fn our_bug(&self, span: Span, what: &str) {
        self.push(
            Diagnostic::error(
                "syntax",
                span,
                format!("starr does not know what to do with this text ({what})"),
            )
            .help("this is a mistake in starr, not in the file; please report it with this line"),
        );
    }

    /// The grammar itself gave up: a limit of the parser was reached.
    pub(super) fn refused(&self, error: &pest::error::Error<Rule>) {
        let at = match error.location {
            pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => at,
        };
        self.push(
            Diagnostic::error("syntax", self.place(at), "the text is too involved to be read")
                .help("split the file, or nest less deeply"),
        );
    }

    /// A clause that no rule fits.
    pub(super) fn bad_clause(&self, pair: &Node, _again: Rule, _block: bool) {
        self.push(Diagnostic::error("syntax", self.span(pair), "this is not a clause"));
    }

    /// A head of a block that no rule fits. `clause` is the whole clause.
    pub(super) fn head_junk(&self, clause: Span, pair: &Node) {
        let span = self.span(pair);
        let head = Span {
            end: span.end,
            ..clause
        };
        self.push(Diagnostic::error("syntax", head, "this is not the head of a block"));
    }

    pub(super) fn trail(&self, pair: &Node) {
        self.push(
            Diagnostic::error("syntax", self.span(pair), "text stands behind the `}` of a block")
                .help("write the next clause on a line of its own"),
        );
    }

    pub(super) fn stray_close(&self, span: Span) {
        self.push(
            Diagnostic::error("syntax", span, "this `}` closes nothing")
                .help("remove it, or look for a `{` that is missing above"),
        );
    }

    pub(super) fn missing_close(&self, pair: &Node, block: Span) {
        if self.unclosed.replace(true) {
            return;
        }
        let open = Span::new(self.id, block.start as usize, block.start as usize + 1);
        self.push(
            Diagnostic::error("syntax", self.place(pair.as_span().start()), "a `}` is missing")
                .and(open, "this block is not closed")
                .help("close the block on a line of its own"),
        );
    }

    /// The last byte of a pair without blanks.
    pub(super) fn last_byte(&self, pair: &Node) -> Span {
        let end = self.span(pair).end as usize;
        Span::new(self.id, end.saturating_sub(1), end)
    }

    pub(super) fn late_brace(&self, brace: Span) {
        self.push(
            Diagnostic::error("syntax", brace, "the brace belongs on the line above")
                .help("write `{` behind the last word of the line above"),
        );
    }

    pub(super) fn same_line_prose(&self, pair: &Node) {
        self.push(
            Diagnostic::error("syntax", self.span(pair), "prose begins on a line of its own")
                .help("write it on the next line, beginning with `>`"),
        );
    }

    pub(super) fn braces_in_text(&self, pair: &Node) {
        self.push(
            Diagnostic::error(
                "braces-in-text",
                self.span(pair),
                "a name is expected between the braces",
            )
            .help(
                "query text stands in backticks, where nothing is filled in; a brace in ordinary text is written `\\{`",
            ),
        );
    }

    pub(super) fn bad_unit(&self, number: &str, pair: &Node) {
        let word = pair.as_str();
        let diagnostic = Diagnostic::error("unknown-unit", self.span(pair), format!("`{word}` is not a unit"));
        let nearest = unit::nearest(word);
        self.push(match (word, nearest) {
            ("m", _) => diagnostic.help("minutes are `min`, mebibytes `Mi`"),
            (_, Some(unit)) => diagnostic
                .help(format!("write `{number} {unit}`"))
                .edit(self.span(pair), unit),
            _ => diagnostic.help("units are `ms s min h d`, `%`, `kB MB GB TB Ki Mi Gi Ti` and `/s /min /h`"),
        });
    }

    pub(super) fn bad_number(&self, whole: Span, pair: &Node) {
        let text = pair.as_str();
        let diagnostic = if pair.as_rule() == Rule::bad_second {
            Diagnostic::error("syntax", whole, "a quantity is one number and one unit")
                .help("write it in one unit, for example `5.5 min`")
        } else {
            let help = if text.contains(':') {
                "a clock time stands in a text, and windows of time are checks of `std.time`"
            } else if text.contains('-') {
                "a date stands in a text"
            } else if text.contains(['e', 'E']) {
                "write the number in full; `_` may stand between digits"
            } else {
                "an address stands in a text, in double quotes"
            };
            Diagnostic::error("syntax", whole, format!("`{text}` is not a number")).help(help)
        };
        self.push(diagnostic);
    }

    pub(super) fn wrong_operator(&self, pair: &Node) {
        let written = pair.as_str().trim();
        let span = Span::new(self.id, pair.as_span().start(), pair.as_span().start() + written.len());
        let instead = match written {
            "==" | "=" => "is",
            "!=" | "<>" => "is not",
            "=~" => "matches",
            "!~" => "not … matches",
            "&&" | "&" => "and",
            "||" | "|" => "or",
            _ => "",
        };
        let diagnostic = Diagnostic::error("syntax", span, format!("`{written}` is not an operator"));
        self.push(match instead {
            "" => diagnostic.help("there is no remainder; a ratio is written with `%` directly behind the number"),
            "not … matches" => diagnostic.help("write `not x matches y`"),
            word => diagnostic.help(format!("use `{word}`")).edit(span, word),
        });
    }
}
