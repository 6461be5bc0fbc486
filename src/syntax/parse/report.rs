//! What is said about text that no rule fits.

use super::usage::{Called, called, foreign, usages};
use super::{Builder, Grammar, Node, Rule};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::scan;
use crate::value::unit;
use pest::Parser as _;

impl Builder<'_> {
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
            Diagnostic::error("syntax", self.range(at, at), "the text is too involved to be read")
                .help("split the file, or nest less deeply"),
        );
    }

    /// A clause that no rule fits. `again` is the rule to read it with once more, to learn how far it fits; `block` says that the
    /// text is the head of a block.
    pub(super) fn bad_clause(&self, pair: &Node, again: Rule, block: bool) {
        let start = pair.as_span().start();
        self.explain(start, pair.as_str().trim_end(), again, block);
    }

    /// The head of a block that does not fit; the clause begins at `start`.
    pub(super) fn head_junk(&self, start: usize, head: &Node, again: Rule) {
        let text = head.get_input().get(start..head.as_span().end()).unwrap_or_default();
        self.explain(start, text.trim_end(), again, true);
    }

    fn explain(&self, start: usize, text: &str, again: Rule, block: bool) {
        let first = first_word(text);
        let usage = usages(again)
            .iter()
            .find(|usage| usage.word == first || usage.word.is_empty());
        let Some(usage) = usage else {
            self.push(self.no_clause(start, text, first, again));
            return;
        };
        let unclosed = unclosed(text);
        let (at, expected) = match Grammar::parse(again, text) {
            Err(error) => match (&error.variant, error.location.clone()) {
                (
                    pest::error::ErrorVariant::ParsingError { positives, .. },
                    pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)),
                ) => (at.min(text.len()), expectation(positives, block)),
                _ => (0, String::new()),
            },
            // Read alone it fits, so what stands around it was the mistake.
            Ok(_) => (0, String::new()),
        };
        let help = format!("write `{}`", usage.form);
        let diagnostic = match unclosed {
            // A bracket that is not closed because its text is not says nothing of its own.
            Some((opened, what)) if opened <= at || text[at..].starts_with(scan::UNCLOSED) => {
                let length = what.len();
                let message = match what {
                    "\"" => "the text is not closed",
                    _ => "the code is not closed",
                };
                let help = match what {
                    "\"" => "close it with `\"` on the same line".to_string(),
                    "`" => {
                        "close it with a backtick on the same line; code of several lines stands between ```` ``` ````"
                            .to_string()
                    }
                    "(" => {
                        "close it with `)`; a line may be broken inside brackets, but a clause ends with its brackets"
                            .to_string()
                    }
                    "[" => "close it with `]`".to_string(),
                    _ => "close it with `}`".to_string(),
                };
                Diagnostic::error("syntax", self.range(start + opened, start + opened + length), message).help(help)
            }
            _ => {
                let found = token(&text[at..]);
                let span = self.range(start + at, start + at + found.len());
                self.what_stands_here(text, at, found, span, &expected, help)
            }
        };
        self.push(diagnostic);
    }

    /// The message for one place of a known clause.
    fn what_stands_here(
        &self,
        text: &str,
        at: usize,
        found: &str,
        span: Span,
        expected: &str,
        help: String,
    ) -> Diagnostic {
        if found.starts_with(scan::UNCLOSED) {
            return Diagnostic::error("syntax", span, "the bracket is not closed")
                .help("a line may be broken inside brackets, behind a comma or an operator; the brackets end before the next clause");
        }
        if found.starts_with(scan::UNOPENED) {
            return Diagnostic::error("syntax", span, "this bracket closes nothing")
                .help("remove it, or open it before");
        }
        if let Some((instead, why)) = typographic(found) {
            return Diagnostic::error("syntax", span, format!("`{found}` {why}")).help(format!("write `{instead}`"));
        }
        let clause = first_word(text);
        if found.is_empty() {
            let span = self.last_word(text, at, span);
            let expected = if expected.is_empty() { "more" } else { expected };
            return Diagnostic::error("syntax", span, format!("{expected} is expected behind this"))
                .label("the line ends here")
                .help(help);
        }
        let before = text[..at].trim_end();
        if before.ends_with(',') && usages(Rule::try_expect).iter().any(|usage| usage.word == found) {
            return Diagnostic::error(
                "syntax",
                span,
                "a comma separates the members of a list and nothing else",
            )
            .help(format!("write `{found} …` on a line of its own"));
        }
        if found == ":" && at == clause.len() {
            return Diagnostic::error("syntax", span, format!("no colon stands behind `{clause}`")).help(help);
        }
        if found == "{" || found == "}" {
            return Diagnostic::error(
                "syntax",
                span,
                format!("{} is expected before this `{found}`", or_end(expected)),
            )
            .help(help);
        }
        let shown: String = found.chars().take(40).collect();
        Diagnostic::error(
            "syntax",
            span,
            format!("{} is expected, not `{shown}`", or_end(expected)),
        )
        .help(help)
    }

    /// The last word before a place where nothing stands, so that there is something to underline.
    fn last_word(&self, text: &str, at: usize, span: Span) -> Span {
        let before = text[..at].trim_end();
        let word = before
            .rfind(|character: char| !(character.is_alphanumeric() || character == '_'))
            .map_or(0, |last| {
                let next = last + before[last..].chars().next().map_or(1, char::len_utf8);
                if next == before.len() { last } else { next }
            });
        let back = |bytes: usize| span.start.saturating_sub(u32::try_from(bytes).unwrap_or(0));
        Span {
            start: back(at - word),
            end: back(at - before.len()),
            ..span
        }
    }

    /// A line that begins with no word a clause begins with.
    fn no_clause(&self, start: usize, text: &str, first: &str, again: Rule) -> Diagnostic {
        let found = if first.is_empty() { token(text) } else { first };
        let span = self.range(start, start + found.len());
        if let Some((instead, why)) = typographic(found) {
            return Diagnostic::error("syntax", span, format!("`{found}` {why}")).help(format!("write `{instead}`"));
        }
        if found.starts_with([scan::UNCLOSED, scan::UNOPENED]) {
            return Diagnostic::error("syntax", span, "a clause begins with a word, not with a bracket")
                .help("a line may be broken inside brackets and behind a comma or an operator");
        }
        if found == "{" {
            return Diagnostic::error("syntax", span, "this block has no head")
                .help("the brace belongs behind the clause, on the same line");
        }
        if first.is_empty() {
            return if found.starts_with(['+', '-', '*', '/', '<', '=', '.', '%', '&', '|', ',', '?', ':']) {
                Diagnostic::error("syntax", span, format!("a line does not begin with `{found}`"))
                    .help("put the operator at the end of the line above; only `and` and `or` may begin a line")
            } else {
                Diagnostic::error(
                    "syntax",
                    span,
                    format!("a clause begins with a word, not with `{found}`"),
                )
                .help("begin prose with `>`, a comment with `#`")
            };
        }
        if first == "and" || first == "or" {
            return Diagnostic::error(
                "syntax",
                span,
                format!("`{first}` goes on with an expression, but none stands above"),
            )
            .help("the line above is no expression that can go on; look there for a mistake");
        }
        let near = nearest(first, usages(again).iter().map(|usage| usage.word));
        let diagnostic = Diagnostic::error("syntax", span, format!("`{first}` does not begin a clause here"));
        match (near, foreign(first)) {
            (_, Some(help)) if again == Rule::try_clause => diagnostic.help(help),
            (Some(word), _) => diagnostic.help(format!("did you mean `{word}`?")).edit(span, word),
            _ => {
                let words: Vec<String> = usages(again).iter().map(|usage| format!("`{}`", usage.word)).collect();
                if words.len() <= 10 {
                    diagnostic.help(format!("expected one of {}", words.join(", ")))
                } else if usages(Rule::try_expect)
                    .iter()
                    .chain(usages(Rule::try_scenario))
                    .any(|usage| usage.word == first)
                {
                    diagnostic.help(format!("`{first}` stands in a scenario"))
                } else {
                    diagnostic.help(
                        "begin prose with `>`, a comment with `#`; the clauses are listed in the guide to the language",
                    )
                }
            }
        }
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
            Diagnostic::error(
                "syntax",
                self.range(pair.as_span().start(), pair.as_span().start()),
                "a `}` is missing",
            )
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

    /// `in_backticks` is the place of the whole text, and how it would be written in backticks.
    pub(super) fn braces_in_text(&self, pair: &Node, in_backticks: Option<(Span, String)>) {
        let finding = Diagnostic::error(
            "braces-in-text",
            self.span(pair),
            "a name is expected between the braces",
        )
        .help("query text stands in backticks, where nothing is filled in; a brace in ordinary text is written `\\{`");
        self.push(match in_backticks {
            Some((span, text)) => finding.edit(span, text),
            None => finding,
        });
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
            } else if text.starts_with("0x")
                || text.starts_with("0X")
                || text.starts_with("0o")
                || text.starts_with("0b")
            {
                "numbers are written with decimal digits"
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
        let span = self.range(pair.as_span().start(), pair.as_span().start() + written.len());
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

/// The name at the beginning of a text; empty when it begins with something else.
fn first_word(text: &str) -> &str {
    let end = text
        .find(|character: char| !(character.is_alphanumeric() || character == '_'))
        .unwrap_or(text.len());
    let word = &text[..end];
    if word.starts_with(|character: char| character.is_numeric()) {
        ""
    } else {
        word
    }
}

/// The word, text or mark a text begins with.
fn token(text: &str) -> &str {
    let word = text
        .find(|character: char| !(character.is_alphanumeric() || character == '_'))
        .unwrap_or(text.len());
    if word > 0 {
        return &text[..word];
    }
    for mark in ["->", "==", "!=", ">=", "<=", "&&", "||", "```"] {
        if text.starts_with(mark) {
            return &text[..mark.len()];
        }
    }
    let mut characters = text.chars();
    match characters.next() {
        Some('"') => match text[1..].find(['"', '\n']) {
            Some(length) if text[1 + length..].starts_with('"') => &text[..length + 2],
            _ => &text[..1],
        },
        Some(character) if !character.is_whitespace() => &text[..character.len_utf8()],
        _ => "",
    }
}

/// The first text or code that is opened and not closed: where, and its mark.
fn unclosed(text: &str) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at = text[at..].find('\n').map_or(bytes.len(), |length| at + length),
            b'"' => {
                let start = at;
                at += 1;
                loop {
                    match bytes.get(at) {
                        None | Some(b'\n') => return Some((start, "\"")),
                        Some(b'\\') => at += 2,
                        Some(b'"') => break,
                        Some(_) => at += 1,
                    }
                }
            }
            b'`' if text.get(at..).is_some_and(|rest| rest.starts_with("```")) => match text[at + 3..].find("```") {
                Some(length) => at += length + 5,
                None => return Some((at, "```")),
            },
            b'`' => {
                let line = text[at + 1..].split('\n').next().unwrap_or_default();
                match line.find('`') {
                    Some(length) => at += length + 1,
                    None => return Some((at, "`")),
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Characters that word processors put in the place of plain ones: what to write, and what is wrong.
fn typographic(found: &str) -> Option<(&'static str, &'static str)> {
    Some(match found {
        "\u{201c}" | "\u{201d}" | "\u{201e}" | "\u{ab}" | "\u{bb}" => ("\"", "is not the quote of a text"),
        "\u{2018}" | "\u{2019}" => ("\"", "is not the quote of a text"),
        "\u{2013}" | "\u{2014}" | "\u{2212}" => ("-", "is not a minus sign"),
        "\u{2192}" => ("->", "is not an arrow of the language"),
        "\u{2265}" => (">=", "is not an operator"),
        "\u{2264}" => ("<=", "is not an operator"),
        "\u{2260}" => ("is not", "is not an operator"),
        "\u{d7}" => ("*", "is not an operator"),
        "\u{f7}" => ("/", "is not an operator"),
        _ => return None,
    })
}

/// Adds that the line may also end.
fn or_end(expected: &str) -> &str {
    if expected.is_empty() {
        "the end of the line"
    } else {
        expected
    }
}

/// What a parser that stopped would have accepted, in words. The head of a block does not end with its line.
fn expectation(rules: &[Rule], block: bool) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: String| {
        if !words.contains(&word) {
            words.push(word);
        }
    };
    let mut value = false;
    let mut operator = false;
    let mut end = false;
    for rule in rules {
        match called(*rule) {
            Called::Word(word) => add(word.to_string()),
            Called::Keyword => {
                let name = format!("{rule:?}");
                add(format!("`{}`", name.trim_start_matches("k_")));
            }
            Called::Value => value = true,
            Called::Operator => operator = true,
            Called::End => end = true,
            Called::Ignored => {}
        }
    }
    if value {
        words.retain(|word| {
            !matches!(
                word.as_str(),
                "a name" | "a number" | "a text in double quotes" | "`{`" | "`[`"
            )
        });
        words.insert(0, "an expression".to_string());
    }
    // Behind an expression nearly everything may follow; what only this clause has is said first.
    words.retain(|word| !operator || word != "`[`");
    if operator && words.is_empty() && !end {
        words.push("an operator".to_string());
    }
    if end && !block && words.len() < 3 {
        words.push("the end of the line".to_string());
    }
    words.truncate(6);
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// The word that was most likely meant: at most two letters differ, or one in short words.
fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let most = if word.len() <= 4 { 1 } else { 2 };
    words
        .filter(|known| known.len().abs_diff(word.len()) <= most)
        .map(|known| (strsim::osa_distance(word, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}
