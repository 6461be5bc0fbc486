//! Names, types, texts, prose and code.

use super::{Builder, Node, Rule, inner};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::hidden;
use crate::syntax::tree::{Expr, ExprKind, Name, Param, Path, Prose, Text, TextPart, TypeExpr, TypeKind};

impl Builder<'_> {
    pub(super) fn name(&self, pair: &Node) -> Name {
        let text = pair.as_str().trim_end();
        let span = self.span(pair);
        if !text.is_ascii() {
            self.push(hidden::mixed_script(span, text));
        }
        Name {
            text: text.to_string(),
            span,
        }
    }

    pub(super) fn path(&self, pair: Node) -> Path {
        Path {
            span: self.span(&pair),
            parts: inner(pair).map(|part| self.name(&part)).collect(),
        }
    }

    /// A name that is missing because its clause was reported.
    pub(super) fn no_name(&self, at: Span) -> Name {
        Name {
            text: String::new(),
            span: at,
        }
    }

    /// A text that is missing because its clause was reported.
    pub(super) fn no_text(&self, at: Span) -> Text {
        Text {
            parts: Vec::new(),
            span: at,
        }
    }

    pub(super) fn ty(&self, pair: Node) -> TypeExpr {
        let span = self.span(&pair);
        let mut name = None;
        let mut args = Vec::new();
        let mut optional = false;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::label => name = Some(self.name(&part)),
                Rule::type_args => args = inner(part).map(|arg| self.ty(arg)).collect(),
                Rule::optional => optional = true,
                _ => self.unexpected(&part),
            }
        }
        let name = name.unwrap_or_else(|| self.no_name(span));
        let kind = TypeKind::Named { name, args };
        if optional {
            let inside = Span {
                end: span.end.saturating_sub(1),
                ..span
            };
            TypeExpr {
                kind: TypeKind::Optional(Box::new(TypeExpr { kind, span: inside })),
                span,
            }
        } else {
            TypeExpr { kind, span }
        }
    }

    pub(super) fn params(&self, pair: Node) -> Vec<Param> {
        inner(pair)
            .filter_map(|param| {
                let span = self.span(&param);
                let (mut name, mut ty, mut default) = (None, None, None);
                for part in inner(param) {
                    match part.as_rule() {
                        Rule::name => name = Some(self.name(&part)),
                        Rule::r#type => ty = Some(self.ty(part)),
                        Rule::param_default => default = self.only_expr(part),
                        _ => self.unexpected(&part),
                    }
                }
                Some(Param {
                    name: name?,
                    ty: ty?,
                    default,
                    span,
                })
            })
            .collect()
    }

    pub(super) fn text(&self, pair: Node) -> Text {
        self.text_with(pair, Parts::default()).0
    }

    /// A text that is an expression, and the depth of the deepest expression in it.
    pub(super) fn text_and_depth(&self, pair: Node) -> (Text, usize) {
        let parts = Parts {
            in_backticks: in_backticks(pair.as_str()).map(|text| (self.span(&pair), text)),
            ..Parts::default()
        };
        self.text_with(pair, parts)
    }

    fn text_with(&self, pair: Node, mut parts: Parts) -> (Text, usize) {
        let span = self.span(&pair);
        for part in inner(pair) {
            self.text_part(part, &mut parts);
        }
        let depth = parts.depth;
        (
            Text {
                parts: parts.finish(),
                span,
            },
            depth,
        )
    }

    fn text_part(&self, part: Node, parts: &mut Parts) {
        match part.as_rule() {
            Rule::text_literal | Rule::prose_literal | Rule::prose_code => parts.literal(part.as_str()),
            Rule::escape => match unescape(part.as_str()) {
                Some(character) => parts.literal(character.encode_utf8(&mut [0; 4])),
                None => self.push(
                    Diagnostic::error("syntax", self.span(&part), "this is not a character")
                        .help("write the number of a Unicode character, for example `\\u{202e}`"),
                ),
            },
            Rule::prose_escape => {
                let inside = part.as_str();
                parts.literal(match inside {
                    "\\{" => "{",
                    "\\}" => "}",
                    other => other,
                });
            }
            Rule::interpolation => {
                if let Some(expr) = inner(part).find(|part| part.as_rule() == Rule::expr) {
                    let (expr, depth) = self.expr_and_depth(expr);
                    parts.depth = parts.depth.max(depth + 1);
                    parts.expr(expr);
                }
            }
            Rule::bad_braces | Rule::prose_brace => {
                let query = part.as_rule() == Rule::bad_braces;
                // One finding for a text: the second brace of a query says nothing new.
                if !std::mem::replace(&mut parts.reported, true) {
                    let in_backticks = parts.in_backticks.take().filter(|_| parts.depth == 0);
                    self.braces_in_text(&part, in_backticks);
                    if query {
                        // What the text was meant to be is not known.
                        parts.expr(Expr {
                            kind: ExprKind::Error,
                            span: self.span(&part),
                        });
                    }
                }
                parts.literal(part.as_str());
            }
            Rule::bad_escape => {
                parts.literal(part.as_str());
                self.push(
                    Diagnostic::error(
                        "syntax",
                        self.range(part.as_span().start(), part.as_span().end()),
                        format!("`{}` is not an escape", part.as_str()),
                    )
                    .help("known are `\\n`, `\\t`, `\\\"`, `\\\\`, `\\{`, `\\}` and `\\u{…}`; a pattern is written in backticks, where nothing is filled in"),
                );
            }
            _ => self.unexpected(&part),
        }
    }

    pub(super) fn prose(&self, pair: Node) -> Prose {
        let span = self.span(&pair);
        let mut parts = Parts::default();
        for (index, line) in inner(pair).enumerate() {
            if index > 0 {
                parts.literal("\n");
            }
            match line.as_rule() {
                Rule::prose_line => {
                    // Without the mark and one blank behind it, and without blanks at the end.
                    let mut first = true;
                    for part in inner(line) {
                        if first && part.as_rule() == Rule::prose_literal {
                            parts.literal(part.as_str().strip_prefix(' ').unwrap_or(part.as_str()));
                        } else {
                            self.text_part(part, &mut parts);
                        }
                        first = false;
                    }
                    parts.trim_end();
                }
                Rule::prose_fence => {
                    for (index, line) in line.as_str().lines().enumerate() {
                        if index > 0 {
                            parts.literal("\n");
                        }
                        let line = line.trim_start().strip_prefix('>').unwrap_or(line);
                        parts.literal(line.strip_prefix(' ').unwrap_or(line).trim_end());
                    }
                }
                _ => self.unexpected(&line),
            }
        }
        Prose {
            text: Text {
                parts: parts.finish(),
                span,
            },
            span,
        }
    }

    pub(super) fn code(&self, pair: Node) -> ExprKind {
        let fenced = pair.as_rule() == Rule::fence;
        let mut language = None;
        let mut text = String::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::fence_lang => language = Some(self.name(&part)),
                Rule::fence_inner | Rule::code_inner => text = part.as_str().to_string(),
                _ => self.unexpected(&part),
            }
        }
        ExprKind::Code { language, text, fenced }
    }
}

/// Collects the parts of a text; literal pieces that touch become one.
#[derive(Default)]
struct Parts {
    done: Vec<TextPart>,
    open: String,
    reported: bool,
    depth: usize,
    /// What would stand in its place if it were query text.
    in_backticks: Option<(Span, String)>,
}

/// A text in quotes as it would be written in backticks, if it can be: nothing is escaped there but the quotes.
fn in_backticks(quoted: &str) -> Option<String> {
    let inside = quoted.strip_prefix('"')?.strip_suffix('"')?.replace("\\\"", "\"");
    (!inside.contains(['\\', '`'])).then(|| format!("`{inside}`"))
}

impl Parts {
    fn literal(&mut self, piece: &str) {
        self.open.push_str(piece);
    }

    fn trim_end(&mut self) {
        let kept = self.open.trim_end_matches([' ', '\t', '\r']).len();
        self.open.truncate(kept);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(TextPart::Literal(std::mem::take(&mut self.open)));
        }
    }

    fn expr(&mut self, expr: crate::syntax::tree::Expr) {
        self.close();
        self.done.push(TextPart::Expr(expr));
    }

    fn finish(mut self) -> Vec<TextPart> {
        self.close();
        self.done
    }
}

fn unescape(escape: &str) -> Option<char> {
    match escape.as_bytes().get(1)? {
        b'n' => Some('\n'),
        b't' => Some('\t'),
        b'u' => {
            let digits = escape.get(3..escape.len() - 1)?;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?)
        }
        other => Some(char::from(*other)),
    }
}
