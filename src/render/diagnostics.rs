//! Findings as people and machines read them: on a terminal, as JSON, as SARIF, as annotations of a CI service.
//!
//! Source text is foreign: whoever wrote the file may want to move the reader's cursor or start a command of the CI service.
//! Control characters are written out, long lines are cut around what matters, and each format has its own escaping.

mod excerpt;
mod gitlab;
mod sarif;

use crate::diagnostic::{Diagnostic, Level};
use crate::render::safe::{safe, safe_multiline, visible};
use crate::source::{Sources, Span};
use excerpt::Excerpt;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, ThemeCharacters, ThemeStyles};
use serde_json::{Value, json};
use std::fmt::{self, Write};

pub use gitlab::gitlab;
pub use sarif::sarif;

/// How findings are drawn for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub colour: bool,
    /// Lines and corners; otherwise ASCII.
    pub unicode: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// The width when there is no terminal to ask.
pub const WIDTH: usize = 120;

impl Style {
    /// No colour, ASCII, 120 columns.
    pub fn plain() -> Self {
        Self {
            colour: false,
            unicode: false,
            width: WIDTH,
        }
    }

    /// What suits a stream: colour only on a terminal without a non-empty `NO_COLOR` and not `TERM=dumb`; lines and corners
    /// where the locale is UTF-8. `variable` reads the environment; `columns` is the terminal's width, if it is one.
    pub fn of(terminal: bool, columns: Option<usize>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL")
            .or_else(|| set("LC_CTYPE"))
            .or_else(|| set("LANG"))
            .unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        Self {
            colour: terminal && !dumb && set("NO_COLOR").is_none(),
            unicode: !dumb && (locale.contains("utf-8") || locale.contains("utf8")),
            width: columns.unwrap_or(WIDTH).clamp(40, 200),
        }
    }
}

/// The forms that `--format` offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
    Sarif,
    Github,
    /// A code quality report of GitLab.
    Gitlab,
}

impl Format {
    /// The form of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "human" => Some(Format::Human),
            "json" => Some(Format::Json),
            "sarif" => Some(Format::Sarif),
            "github" => Some(Format::Github),
            "gitlab" => Some(Format::Gitlab),
            _ => None,
        }
    }
}

/// Findings that belong to one set of sources.
pub type Group<'a> = (&'a Sources, &'a [Diagnostic]);

/// Findings in a form; each group has its own sources. Ends with a line break unless there is nothing to say.
pub fn render(groups: &[Group<'_>], format: Format, style: &Style) -> String {
    match format {
        Format::Human => groups
            .iter()
            .map(|(sources, found)| human(sources, found, style))
            .collect(),
        Format::Json => json(groups),
        Format::Sarif => sarif(groups),
        Format::Gitlab => gitlab(groups),
        Format::Github => groups.iter().map(|(sources, found)| github(sources, found)).collect(),
    }
}

pub(crate) fn level_word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// `2 errors, 1 warning`; empty when there is nothing.
pub fn summary(found: &[Diagnostic]) -> String {
    let parts: Vec<String> = [Level::Error, Level::Warning, Level::Note]
        .into_iter()
        .filter_map(|level| {
            let count = found.iter().filter(|diagnostic| diagnostic.level == level).count();
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {}{plural}", level_word(level)))
        })
        .collect();
    parts.join(", ")
}

/// `file:line:column`, safe to show.
pub fn place(sources: &Sources, span: Span) -> String {
    let (line, column) = sources.line_column(span);
    format!("{}:{line}:{column}", safe(file_name(sources, span)))
}

pub(crate) fn file_name(sources: &Sources, span: Span) -> &str {
    sources
        .iter()
        .find(|(id, _)| *id == span.file)
        .map_or("?", |(_, source)| &source.name)
}

/// Findings for people, one below the other with an empty line between them.
pub fn human(sources: &Sources, found: &[Diagnostic], style: &Style) -> String {
    let mut out = String::new();
    for diagnostic in found {
        out.push_str(&one(sources, diagnostic, style));
        out.push('\n');
    }
    out
}

fn one(sources: &Sources, diagnostic: &Diagnostic, style: &Style) -> String {
    let mut characters = if style.unicode {
        ThemeCharacters::unicode()
    } else {
        ThemeCharacters::ascii()
    };
    let head = format!("{}[{}]:", level_word(diagnostic.level), diagnostic.rule);
    characters.error.clone_from(&head);
    characters.warning.clone_from(&head);
    characters.advice = head;
    let theme = GraphicalTheme {
        characters,
        styles: if style.colour {
            ThemeStyles::ansi()
        } else {
            ThemeStyles::none()
        },
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(style.width)
        .without_syntax_highlighting()
        .with_urls(false)
        .with_context_lines(excerpt::CONTEXT);
    let report = Report::new(sources, diagnostic, style.width);
    let mut text = String::new();
    if handler.render_report(&mut text, &report).is_err() {
        // Only our own excerpt can be at fault; the finding itself must not be lost.
        let _ = writeln!(text, "{} {}", place(sources, diagnostic.span), report);
    }
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        let line = if number == 0 { line.trim_start() } else { line };
        out.push_str(line.trim_end());
        out.push('\n');
    }
    for label in diagnostic
        .labels
        .iter()
        .filter(|label| label.span.file != diagnostic.span.file)
    {
        let _ = writeln!(out, "  also: {}: {}", place(sources, label.span), safe(&label.text));
    }
    out
}

/// A finding in the form that the drawing library reads.
#[derive(Debug)]
struct Report {
    message: String,
    level: Level,
    help: Option<String>,
    excerpt: Excerpt,
    labels: Vec<LabeledSpan>,
}

impl Report {
    fn new(sources: &Sources, diagnostic: &Diagnostic, width: usize) -> Self {
        let mut places = vec![(diagnostic.span, diagnostic.label.as_str())];
        for label in &diagnostic.labels {
            if label.span.file == diagnostic.span.file {
                places.push((label.span, label.text.as_str()));
            }
        }
        let spans: Vec<Span> = places.iter().map(|(span, _)| *span).collect();
        let (excerpt, shown) = Excerpt::new(sources, &spans, width);
        let labels = places
            .iter()
            .zip(shown)
            .enumerate()
            .map(|(index, ((_, text), range))| {
                let text = (!text.is_empty()).then(|| safe(text).into_owned());
                let range = (range.start, range.len());
                if index == 0 {
                    LabeledSpan::new_primary_with_span(text, range)
                } else {
                    LabeledSpan::new_with_span(text, range)
                }
            })
            .collect();
        Self {
            message: safe(&diagnostic.message).into_owned(),
            level: diagnostic.level,
            help: diagnostic.help.as_deref().map(|help| safe_multiline(help).into_owned()),
            excerpt,
            labels,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.level {
            Level::Error => miette::Severity::Error,
            Level::Warning => miette::Severity::Warning,
            Level::Note => miette::Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A document as text, every hidden character written as `\u....`: it can stand nowhere but inside a string.
pub(crate) fn document(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "{}".to_owned());
    format!("{}\n", visible(&text))
}

fn end_of(sources: &Sources, span: Span) -> (usize, usize) {
    sources.line_column(Span {
        start: span.end,
        ..span
    })
}

fn json(groups: &[Group<'_>]) -> String {
    let place = |sources: &Sources, span: Span| {
        let (line, column) = sources.line_column(span);
        let (end_line, end_column) = end_of(sources, span);
        json!({
            "file": file_name(sources, span),
            "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            "start": span.start, "end": span.end,
        })
    };
    let mut findings = Vec::new();
    let mut counts = [0_usize; 3];
    for (sources, found) in groups {
        for diagnostic in *found {
            counts[diagnostic.level as usize] += 1;
            let labels: Vec<Value> = diagnostic
                .labels
                .iter()
                .map(|label| json!({"at": place(sources, label.span), "text": label.text}))
                .collect();
            let edits: Vec<Value> = diagnostic
                .edits
                .iter()
                .map(|edit| json!({"at": place(sources, edit.span), "replacement": edit.replacement}))
                .collect();
            findings.push(json!({
                "rule": diagnostic.rule,
                "level": diagnostic.level,
                "message": diagnostic.message,
                "at": place(sources, diagnostic.span),
                "label": diagnostic.label,
                "labels": labels,
                "help": diagnostic.help,
                "edits": edits,
            }));
        }
    }
    document(&json!({
        "findings": findings,
        "errors": counts[Level::Error as usize],
        "warnings": counts[Level::Warning as usize],
        "notes": counts[Level::Note as usize],
    }))
}

/// Workflow commands of GitHub Actions, one line each.
pub fn github(sources: &Sources, found: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in found {
        let command = match diagnostic.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let (line, column) = sources.line_column(diagnostic.span);
        let (end_line, end_column) = end_of(sources, diagnostic.span);
        let mut text = safe(&diagnostic.message).into_owned();
        if !diagnostic.label.is_empty() {
            let _ = write!(text, ": {}", safe(&diagnostic.label));
        }
        if let Some(help) = &diagnostic.help {
            let _ = write!(text, "\n{}", safe_multiline(help));
        }
        let _ = write!(
            out,
            "::{command} file={},line={line},endLine={end_line},col={column}",
            property(file_name(sources, diagnostic.span)),
        );
        // The service takes an end column only within one line.
        if end_line == line {
            let _ = write!(out, ",endColumn={end_column}");
        }
        let _ = writeln!(out, ",title={}::{}", property(diagnostic.rule), data(&text));
    }
    out
}

/// The text of a workflow command: it cannot end the line, and so cannot begin another command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command: it cannot end the property or the list of properties either.
fn property(text: &str) -> String {
    data(&safe(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests;
