//! Where output goes and how it looks there.

use super::args::{Color, Global};
use crate::render::diagnostics;
use crate::render::safe::visible;
use crate::secrets::{Stream, redact};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;

/// How to write for whoever reads.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
    pub color: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Columns; 100 when not a terminal.
    pub width: usize,
}

impl Output {
    /// From the flags and the streams. `NO_COLOR` with any non-empty value switches colour off, `--color always` on.
    pub fn new(global: &Global) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !no_color && !dumb,
        };
        let width = terminal
            .then(|| rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok())
            .flatten()
            .map_or(100, |size| usize::from(size.ws_col))
            .clamp(40, 160);
        Self {
            json: global.json,
            color: color && !global.json,
            terminal,
            width,
        }
    }

    /// How findings are drawn here.
    pub fn findings(&self) -> diagnostics::Style {
        let style = diagnostics::Style::of(self.terminal, Some(self.width), |name| std::env::var(name).ok());
        diagnostics::Style {
            colour: self.color,
            ..style
        }
    }

    /// The text in a style, when colours are on.
    pub fn style(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{}m{text}\u{1b}[0m", style.code())
        } else {
            text.to_owned()
        }
    }
}

/// The few styles in use. Meaning is never carried by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Heading,
    Faint,
    Good,
    Bad,
    Attention,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Style::Heading => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Bad => "31",
            Style::Attention => "1;33",
        }
    }
}

/// What was printed and could still become a secret.
static OUT: Mutex<Option<Stream>> = Mutex::new(None);

/// Writes to standard output, without secrets and without hidden characters. A closed pipe ends the program quietly, as pagers and `head` expect.
pub fn print(text: &str) {
    pass(|stream| stream.push(visible(text).as_bytes()));
}

/// Writes what was held back: before a person is asked, and at the end.
pub fn flush() {
    pass(Stream::finish);
}

fn pass(step: impl FnOnce(&mut Stream) -> Vec<u8>) {
    let mut stream = OUT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let bytes = step(stream.get_or_insert_default());
    let mut out = std::io::stdout().lock();
    if out.write_all(&bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Writes a file for the user, without secrets.
pub fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, redact(text).as_bytes())
}

/// Writes a line to standard output.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Writes a line to standard error, without secrets.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", redact(text));
}
