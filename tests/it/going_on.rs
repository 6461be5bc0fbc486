//! Runs of the real binary whose process is killed, stopped, or taken the run from.

use crate::incident::{on_a_thread, text};
use crate::support::terminal::Terminal;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long something may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration, and a server that counts what it is sent.
struct Place {
    folder: tempfile::TempDir,
    hook: String,
    /// Requests that arrived whole.
    taken: Arc<AtomicUsize>,
}

/// What the server does with a request.
#[derive(Clone, Copy)]
enum Server {
    Replies,
    /// Takes it, and is silent for ever.
    Silent,
    /// Replies when nobody waits any more.
    Late,
}

impl Place {
    fn new(answers: bool) -> Self {
        Self::with(if answers { Server::Replies } else { Server::Silent })
    }

    fn with(server: Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut part = [0; 4096];
                if stream.read(&mut part).unwrap_or(0) == 0 {
                    continue;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let done = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                match server {
                    Server::Replies => drop(stream.write_all(done)),
                    Server::Silent => silent.push(stream),
                    Server::Late => {
                        // Until the other end has gone.
                        while stream.read(&mut part).is_ok_and(|read| read > 0) {}
                        drop(stream.write_all(done));
                    }
                }
            }
        });
        let config = format!(
            "environments:\n  test:\n    people:\n      {}: {{ roles: [oncall] }}\n    grants:\n      - {{ capability: http, effects: [read, \
             change, tell], targets: [\"{hook}\", \"http://127.0.0.1:9\"] }}\n",
            starr::cli::login()
        );
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        Self { folder, hook, taken }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn book(&self, changes: &str, body: &str) -> String {
        let path = self.path().join("book.starr");
        let text = format!(
            "use std.http.{{http, Endpoint}}\n\nrunbook book(hook: Endpoint) \"A run\" {{\n  > What is tested.\n  owner    \"team\"\n  timebox  \
             50 min then escalate\n  {changes}\n{body}\n}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .args(["--journal", "journal.db"])
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.path().join("starr.yaml"));
        command
    }

    fn run(&self, book: &str) -> Command {
        let hook = format!("hook={}", self.hook);
        self.command(&["run", book, "--set", &hook])
    }

    fn entries(&self) -> Vec<serde_json::Value> {
        let output = self.command(&["show", "latest", "--json"]).output().unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        shown["entries"].as_array().cloned().unwrap_or_default()
    }

    fn has(&self, kind: &str) -> bool {
        self.entries().iter().any(|entry| entry["kind"] == kind)
    }

    fn wait_for(&self, kind: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has(kind) {
            assert!(Instant::now() < deadline, "no `{kind}` came: {:?}", self.entries());
            std::thread::yield_now();
        }
    }
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}

const LOOKS: &str = "reads    http\n  tells    http";

/// Waits so long for a server that nobody runs, then tells.
fn waiting(within: &str) -> String {
    format!(
        "  check there \"Is it there?\" {{\n    read seen = http.probe(to: \"http://127.0.0.1:9\") within 2 s\n    yes when seen.ok\n  }}\n  \
         wait until there within {within} every 1 s else next step\n  tell http.webhook(to: hook, body: {{text: \"late\"}})\n"
    )
}

#[test]
fn a_co_2_of_two_who_go_on_one_owns_the_run() {
    let place = Place::new(true);
    let book = place.book(LOOKS, &waiting("4 min"));
    let mut first = quiet(place.run(&book));
    place.wait_for("look");
    // While the process lives nobody else gets the run.
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("owned by"), "{}", text(&output));
    first.kill().unwrap();
    first.wait().unwrap();
    // It is gone: one goes on, and the second is told who and since when.
    let mut owner = quiet(place.command(&["resume", "latest"]));
    place.wait_for("resumed");
    let before = place.entries();
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(&format!("process {} since 20", owner.id())), "{said}");
    assert_eq!(place.entries().len(), before.len(), "it changed nothing");
    assert_eq!(place.taken.load(Ordering::SeqCst), 0);
    owner.kill().unwrap();
    owner.wait().unwrap();
}

#[test]
fn who_lost_the_run_while_it_was_stopped_sends_nothing() {
    let place = Place::new(true);
    let book = place.book(LOOKS, &waiting("5 s"));
    let old = quiet(place.run(&book));
    place.wait_for("look");
    signal(&old, rustix::process::Signal::STOP);
    let output = place
        .command(&["take-over", "latest", "--reason", "the laptop is closed"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    signal(&old, rustix::process::Signal::CONT);
    let ended = old.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(5), "{}", text(&ended));
    assert!(text(&ended).contains("taken over"), "{}", text(&ended));
    assert_eq!(place.taken.load(Ordering::SeqCst), 0, "nothing was sent");
    let taken = place.entries();
    let event = taken.iter().find(|entry| entry["kind"] == "taken_over").unwrap();
    assert_eq!(event["event"]["because"], "the laptop is closed");
    // Whoever took it goes on to the end.
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(place.taken.load(Ordering::SeqCst), 1);
    let output = place.command(&["journal", "verify"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_run_whose_text_was_edited_does_not_go_on() {
    let place = Place::new(true);
    let book = place.book(LOOKS, &waiting("4 min"));
    let mut first = quiet(place.run(&book));
    place.wait_for("look");
    first.kill().unwrap();
    first.wait().unwrap();
    place.book(LOOKS, &waiting("3 min"));
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("was changed: its SHA-256 is"), "{said}");
    assert_eq!(place.taken.load(Ordering::SeqCst), 0);
}

const POST: &str = "  action send \"Send it\" {\n    risk    low\n    approve by oncall within 5 min\n    do      http.post(to: hook, path: \"/a\") \
                    within 2 s\n    undo    none because \"it is counted\"\n    verify  true within 5 s every 1 s\n    failed  -> escalate\n  }\n";

#[tokio::test]
async fn a_sh_3_what_never_answers_is_in_doubt_and_not_failed_until_a_person_says() {
    let place = Place::new(false);
    let book = place.book("changes  http", POST);
    let command = place.run(&book);
    let (code, seen) = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        // Its effect is unclear: nothing is taken back, and nobody guesses.
        let code = terminal.end();
        (code, terminal.seen)
    })
    .await;
    assert_eq!(code, 4, "{seen}");
    assert_eq!(place.taken.load(Ordering::SeqCst), 1);
    let results: Vec<_> = place
        .entries()
        .into_iter()
        .filter(|entry| entry["kind"] == "result")
        .collect();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["event"]["outcome"], "unclear");
    // Nobody who knows: it stays in doubt.
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let output = place
        .command(&["resume", "latest", "--settle", "1=done"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let settled = place
        .entries()
        .into_iter()
        .find(|entry| entry["kind"] == "settled")
        .unwrap();
    assert_eq!(settled["event"]["fate"], "done");
    assert_eq!(settled["event"]["by"]["name"], starr::cli::login());
    assert_eq!(place.taken.load(Ordering::SeqCst), 1, "nothing was sent again");
}

/// P3: a reply that comes when nobody waits any more. What came of the change is not known, it is not sent again, and the run
/// says so with exit code 4 until a person has looked.
#[tokio::test]
async fn a_cr_3_a_late_reply_leaves_a_change_in_doubt() {
    let place = Place::with(Server::Late);
    let book = place.book("changes  http", POST);
    let command = place.run(&book);
    let (code, seen) = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        let code = terminal.end();
        (code, terminal.seen)
    })
    .await;
    assert_eq!(code, 4, "{seen}");
    let entries = place.entries();
    let results: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "result").collect();
    assert_eq!(results.len(), 1, "{entries:?}");
    assert_eq!(results[0]["event"]["outcome"], "unclear", "{results:?}");
    let output = place.command(&["resume", "latest"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert_eq!(place.taken.load(Ordering::SeqCst), 1, "it is not sent again");
}

/// A sample of `scripts/kill-campaign`, which kills before every single call.
#[test]
fn a_cr_1_killed_anywhere_a_run_goes_on_without_doing_anything_twice() {
    let root = env!("CARGO_MANIFEST_DIR");
    for (scenario, every) in [("two_posts", "17"), ("timer", "23"), ("keyed", "11"), ("signal", "29")] {
        let output = Command::new(format!("{root}/scripts/kill-campaign"))
            .args([
                "--binary",
                env!("CARGO_BIN_EXE_starr"),
                "--only",
                scenario,
                "--every",
                every,
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{scenario}: {}", text(&output));
        assert!(text(&output).contains(" 0 broken promises"), "{}", text(&output));
    }
}
