//! The real binary in a pseudo-terminal, as a person sees it.

use super::desk::on_a_thread;
use expectrl::process::unix::WaitStatus;
use expectrl::{Eof, Expect, Regex, Session};
use std::process::Command;
use std::time::Duration;

/// Longest wait for a line that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command to its end with somebody at the keyboard, on a thread of its own, and gives all that was on the screen. Fails where the
/// exit code is another.
pub async fn attended(command: Command, code: i32, person: impl FnOnce(&mut Terminal) + Send + 'static) -> String {
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        person(&mut terminal);
        assert_eq!(terminal.end(), code, "{}", terminal.seen);
        terminal.seen
    })
    .await
}

/// A run of the binary with a person at the keyboard.
pub struct Terminal {
    session: expectrl::session::OsSession,
    /// Everything that was on the screen so far.
    pub seen: String,
}

impl Terminal {
    /// Starts a command in a terminal of 140 columns.
    pub fn start(command: Command) -> Self {
        let mut session = Session::spawn(command).expect("a pseudo-terminal can be opened");
        session
            .get_process_mut()
            .set_window_size(140, 50)
            .expect("the terminal has a size");
        session.set_expect_timeout(Some(PATIENCE));
        Self {
            session,
            seen: String::new(),
        }
    }

    /// Waits until the text is on the screen. Fails with all that was seen when it does not come.
    pub fn wait_for(&mut self, text: &str) {
        match self.session.expect(text) {
            Ok(found) => {
                self.seen.push_str(&String::from_utf8_lossy(found.before()));
                self.seen.push_str(text);
            }
            Err(problem) => {
                self.see_the_rest();
                panic!("waited for {text:?}: {problem}\n--- the screen ---\n{}", self.seen);
            }
        }
    }

    /// The same for something that takes longer.
    pub fn wait_within(&mut self, text: &str, patience: Duration) {
        self.session.set_expect_timeout(Some(patience));
        self.wait_for(text);
        self.session.set_expect_timeout(Some(PATIENCE));
    }

    /// Types a line.
    pub fn answer(&mut self, line: &str) {
        self.session.send_line(line).expect("the program reads");
    }

    /// Says yes to the approval with this title.
    pub fn approve(&mut self, title: &str) {
        self.wait_for(&format!("Approval needed: {title}"));
        self.wait_for("Approve?");
        self.answer("yes");
    }

    /// Writes down what somebody who is asked, and is not here, has told.
    pub fn told(&mut self, answer: &str, how: &str) {
        self.wait_for("type told or pass:");
        self.answer("told");
        self.wait_for("Type yes, no or unknown:");
        self.answer(answer);
        self.wait_for("Who told you, and how?");
        self.answer(how);
    }

    /// Says no to the next approval, and why.
    pub fn refuse(&mut self, reason: &str) {
        self.wait_for("Approve?");
        self.answer("no");
        self.wait_for("Why not?");
        self.answer(reason);
    }

    /// Says nothing to a question of the reflection. What is typed before its prompt stands there does not count.
    pub fn pass(&mut self, question: &str) {
        self.wait_for(question);
        self.wait_for("may be empty");
        self.answer("");
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&mut self) {
        self.session.send("\u{3}").expect("the program reads");
    }

    /// Ends the process as a machine that loses its power does.
    pub fn kill(&mut self) {
        let process = self.session.get_process_mut();
        process
            .kill(expectrl::process::unix::Signal::SIGKILL)
            .expect("it is alive");
        let _ = process.wait();
    }

    /// What is on the screen and was not waited for.
    fn see_the_rest(&mut self) {
        if let Ok(found) = self.session.check(Regex("(?s).+")) {
            self.seen.push_str(&String::from_utf8_lossy(found.as_bytes()));
        }
    }

    /// Waits for the end and gives the exit code.
    pub fn end(&mut self) -> i32 {
        match self.session.expect(Eof) {
            // What was left is the match itself.
            Ok(found) => self.seen.push_str(&String::from_utf8_lossy(found.as_bytes())),
            Err(problem) => {
                self.see_the_rest();
                panic!("waited for the end: {problem}\n--- the screen ---\n{}", self.seen);
            }
        }
        match self
            .session
            .get_process()
            .wait()
            .expect("the process can be waited for")
        {
            WaitStatus::Exited(_, code) => code,
            other => panic!("ended with {other:?}\n--- the screen ---\n{}", self.seen),
        }
    }
}
