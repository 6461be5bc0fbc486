//! The terminal of a run: lines, a sign of life while something takes long, and answers from a person.

use super::output::{Output, Style, flush, print};
use crate::secrets::redact;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{BufRead, IsTerminal, Read as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Waiting shorter than this shows nothing.
const QUIET: Duration = Duration::from_secs(1);
/// Longest line that is read as an answer, in bytes.
const ANSWER_BYTES: u64 = crate::limits::ANSWER_BYTES;

/// Shared by the screen and the prompts, so that they never write over each other.
pub struct Console {
    pub output: Output,
    state: Mutex<State>,
    input: tokio::sync::Mutex<Option<mpsc::UnboundedReceiver<String>>>,
}

#[derive(Default)]
struct State {
    waiting: Option<(String, Instant, Option<Duration>)>,
    bar: Option<ProgressBar>,
    /// The prompt that stands on the screen and waits for an answer.
    prompt: Option<String>,
}

/// A prompt that stands on the screen. It does no longer once this is dropped.
struct Asking<'a>(&'a Console);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state().prompt = None;
    }
}

/// What takes a prompt off the screen and puts it back below the line.
fn above(prompt: &str, line: &str) -> String {
    format!("\r\u{1b}[2K{line}\n{prompt}")
}

impl Console {
    /// A console that writes as `output` says.
    pub fn new(output: Output) -> Arc<Self> {
        Arc::new(Self {
            output,
            state: Mutex::default(),
            input: tokio::sync::Mutex::new(None),
        })
    }

    /// Whether a person can be asked here: both directions must be a terminal.
    pub fn person_is_there() -> bool {
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes a line for people; nothing with `--json`.
    pub fn line(&self, text: &str) {
        if self.output.json {
            return;
        }
        let state = self.state();
        if let Some(prompt) = &state.prompt {
            // The run goes on beside the question: what happens stands above it, and the question stays in sight.
            print(&above(prompt, text));
            flush();
            return;
        }
        match &state.bar {
            Some(bar) => bar.suspend(|| print(&format!("{text}\n"))),
            None => print(&format!("{text}\n")),
        }
    }

    /// Writes a line in a style.
    pub fn styled(&self, style: Style, text: &str) {
        self.line(&self.output.style(style, text));
    }

    /// Notes that something is being waited for.
    pub fn waiting(&self, what: &str, until: Option<Duration>) {
        self.state().waiting = Some((redact(what).into_owned(), Instant::now(), until));
    }

    /// The waiting is over.
    pub fn done_waiting(&self) {
        let mut state = self.state();
        state.waiting = None;
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Draws the sign of life; called a few times a second while the run goes on.
    pub fn tick(&self) {
        if !self.output.terminal || self.output.json {
            return;
        }
        let mut state = self.state();
        let (Some((what, since, until)), None) = (state.waiting.clone(), &state.prompt) else {
            return;
        };
        if since.elapsed() < QUIET {
            return;
        }
        let bar = state.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("  {spinner} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar
        });
        let so_far = since.elapsed().as_secs();
        bar.set_message(match until {
            Some(until) => format!("{what}, {so_far} s of at most {} s", until.as_secs()),
            None => format!("{what}, {so_far} s"),
        });
        bar.tick();
    }

    /// Asks for one line. `None`: the terminal was closed. What was typed before the question was shown does not count.
    /// May be dropped at any time: the line then typed is thrown away by the next question.
    pub async fn ask(&self, prompt: &str) -> Option<String> {
        self.done_waiting();
        let mut input = self.input.lock().await;
        let lines = input.get_or_insert_with(read_lines);
        while lines.try_recv().is_ok() {}
        // Best effort: an answer given before the question was read is no answer.
        let _ = rustix::termios::tcflush(rustix::stdio::stdin(), rustix::termios::QueueSelector::IFlush);
        let prompt = format!("{} ", self.output.style(Style::Attention, prompt));
        let _asking = {
            // Shown and noted at once: a line comes before both or behind both.
            let mut state = self.state();
            if let Some(bar) = state.bar.take() {
                bar.finish_and_clear();
            }
            print(&prompt);
            flush();
            state.prompt = Some(prompt);
            Asking(self)
        };
        lines.recv().await.map(|line| line.trim().to_owned())
    }
}

/// A thread that reads standard input line by line. It ends with the process.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let stdin = std::io::stdin();
        while let Ok(Some(line)) = read_line(&mut stdin.lock()) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// One line, as far as the limit; what is behind it up to the end of the line is no part of it, and no line of its own that could
/// answer the next question. `None`: there are no more.
fn read_line(input: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    if input.by_ref().take(ANSWER_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        loop {
            let rest = input.fill_buf()?;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (length, done) = (rest.len(), rest.is_empty() || end.is_some());
            input.consume(end.map_or(length, |end| end + 1));
            if done {
                break;
            }
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_BYTES, above, read_line};

    #[test]
    fn a_line_beside_a_question_stands_above_it() {
        assert_eq!(above("Approve? ", "told pager"), "\r\u{1b}[2Ktold pager\nApprove? ");
    }

    #[test]
    fn a_line_is_read_as_far_as_the_limit_and_its_rest_answers_nothing() {
        let most = usize::try_from(ANSWER_BYTES).unwrap();
        let typed = format!("{}\n{}yes\nno\nlast", "x".repeat(most - 1), "y".repeat(most));
        // A small buffer: the rest of a line comes in many pieces.
        let mut input = std::io::BufReader::with_capacity(7, typed.as_bytes());
        let mut next = || read_line(&mut input).unwrap();
        assert_eq!(next(), Some("x".repeat(most - 1) + "\n"));
        assert_eq!(next(), Some("y".repeat(most)));
        assert_eq!(next().as_deref(), Some("no\n"));
        assert_eq!(next().as_deref(), Some("last"));
        assert_eq!(next(), None);
    }
}
