//! A-TE: what comes from outside is safe to look at.

use super::{Desk, Web, asking};
use crate::support::terminal::Terminal;
use serde_json::json;

/// Clears the screen, goes home, asks a question of its own, begins a command of a CI system, and turns the line round.
const FAKE: &str =
    "\u{1b}[2J\u{1b}[H\u{9b}2JApprove? [y/N] \u{7}\r\n::set-output name=x::y\n##vso[task.setvariable]\u{202e}gnihton";

fn is_clean(said: &str, place: &str) {
    for hidden in ['\u{9b}', '\u{7}', '\u{202e}'] {
        assert!(!said.contains(hidden), "{place} shows {hidden:?}");
    }
    for sequence in ["\u{1b}[2J", "\u{1b}[H"] {
        assert!(!said.contains(sequence), "{place} shows {sequence:?}");
    }
    assert!(
        !said
            .lines()
            .any(|line| line.starts_with("::") || line.starts_with("##vso[") || line.starts_with("Approve? [y/N]")),
        "{place} begins a line with what came from outside: {said}"
    );
}

#[test]
fn a_te_1_a_text_from_outside_is_shown_escaped_everywhere() {
    let web = Web::json(json!({ "name": FAKE }));
    let desk = Desk::new();
    desk.everything("");
    let book = asking(
        &web.url("/"),
        &format!(
            "  let name: Text = odd.reply.json.name\n  advise \"Look at {{name}}\"\n  action post \"Post about {{name}}\" {{\n    risk low\n    approve by operator within 5 min seeing name\n    do http.post(\"{}\", body: {{name: name}})\n    undo none because \"it is a test\"\n    verify not odd within 1 min\n    failed -> stop \"no\"\n    not approved -> stop \"refused\"\n  }}\n",
            web.url("/post")
        ),
    )
    .replace("  reads http\n", "  reads http\n  changes http\n");
    desk.write("x.starr", &book);
    let mut command = desk.command(&["run", "x.starr", "--config", "starr.yaml"]);
    command.env("TERM", "xterm-256color");
    let mut terminal = Terminal::start(command);
    // The prompt of the binary itself; that of the data is written out.
    terminal.wait_for("Post about");
    terminal.wait_for("\\u{1b}[2J");
    terminal.wait_for("Approve? Type yes or no");
    terminal.answer("no");
    terminal.wait_for("Why not?");
    terminal.answer("it is not what it says");
    let _ = terminal.end();
    let seen = terminal.seen.clone();
    // The terminal's own line discipline writes "\r\n"; colours and the sign of life are ours.
    is_clean(&seen.replace("\r\n", "\n"), "the terminal");
    assert!(
        web.seen().iter().all(|request| request.starts_with("GET ")),
        "it was posted"
    );
    for words in [
        &["show"][..],
        &["report"],
        &["runs"],
        &["show", "--json"],
        &["report", "--json"],
    ] {
        let output = desk.starr(&[words, &["--config", "starr.yaml"]].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.is_empty(), "{words:?}");
        is_clean(&said, &words.join(" "));
    }
}
