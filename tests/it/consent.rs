//! Consent with the real binary: two terminals, two people, two machines; policies, overrides, locks in a real server.

mod answers;
mod approvals;
mod locks;
mod policies;

pub use crate::support::desk::OTHER;
use crate::support::desk::as_other;
use crate::support::terminal::Terminal;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One action that posts to a server once.
pub const BOOK: &str = r##"use std.http.{Endpoint}

runbook slow_shop(shop: Endpoint = "http://127.0.0.1:9") "Mend the shop" {
  > The shop answers slowly.
  owner   "team-shop"
  timebox 10 min then stop "it took too long"
  reads   host
  changes http

  situation {
    symptom busy "Does this machine have a processor?" {
      read load = host.load()
      yes when load.cpus >= 1
    }
  }
  task {
    goal busy
  }
  action mend "Mend the shop once" {
    > It costs a coffee.
    risk    medium
    approve by oncall within 2 min seeing busy.load
    do      http.post(shop, body: {text: "mend"}) within 10 s
    undo    none because "a coffee is gone"
    verify  busy within 10 s every 1 s
    failed  -> escalate
  }
  result {
    resolved when goal
  }
}
"##;

/// A folder with a runbook, a configuration in a folder of its own, a journal that two logins can use, and a shop.
pub struct Desk {
    folder: tempfile::TempDir,
    posts: Arc<Mutex<Vec<String>>>,
    pub shop: String,
}

impl Desk {
    /// `people` and `more` are entries of the environment.
    pub fn new(people: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open.clone()).unwrap();
        for name in ["books", "config", "state"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::set_permissions(folder.path().join("state"), open).unwrap();
        let journal = folder.path().join("state/journal.db");
        std::fs::write(&journal, "").unwrap();
        std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o666)).unwrap();
        std::fs::write(folder.path().join("books/mend.starr"), BOOK).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let shop = format!("http://{}", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let taker = posts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while let Ok(read) = stream.read(&mut part) {
                    request.extend_from_slice(&part[..read]);
                    if read == 0 || request.ends_with(b"}") {
                        break;
                    }
                }
                taker
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            }
        });
        let config = format!(
            "environments:
  test:
    journal: {journal}
    people:
{people}
    grants:
      - {{ capability: host, effects: [read], all: true }}
      - {{ capability: http, effects: [change], targets: [\"{shop}\"] }}
{more}",
            journal = journal.display(),
        );
        let desk = Self { folder, posts, shop };
        desk.configure(&config);
        desk
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("config/starr.yaml")
    }

    pub fn configure(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn book(&self) -> PathBuf {
        self.path().join("books/mend.starr")
    }

    /// What the shop was sent.
    pub fn posts(&self) -> usize {
        self.posts.lock().unwrap().len()
    }

    fn prepared(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path().join("state"))
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.config());
        command
    }

    /// The binary as this login.
    pub fn command(&self, words: &[&str]) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_starr")), words)
    }

    /// The binary as the other login: root becomes it, everybody else is it in a user namespace.
    pub fn other(&self, words: &[&str]) -> Command {
        self.prepared(as_other(), words)
    }

    /// `starr run` of the runbook with these words behind it.
    pub fn run(&self, more: &[&str]) -> Command {
        let shop = format!("shop={}", self.shop);
        let book = self.book().display().to_string();
        let mut words = vec!["run", &book, "--set", &shop];
        words.extend(more);
        self.command(&words)
    }

    /// A run that waits for people at other terminals, because there is none here.
    pub fn without_a_terminal(&self) -> std::process::Child {
        self.run(&["--approve-elsewhere"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// The report of the last run.
    pub fn report(&self) -> String {
        text(&self.output(&["report"]))
    }

    /// Waits until a question waits for an answer.
    pub fn until_asked(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !text(&self.output(&["answer", "--json"])).contains("\"name\"") {
            assert!(Instant::now() < deadline, "nothing is asked");
        }
    }

    /// Waits until so many requests wait.
    pub fn until_waiting(&self, number: usize) -> serde_json::Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.output(&["approve", "--json"]);
            if output.status.success() {
                let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
                if list["waiting"]
                    .as_array()
                    .is_some_and(|waiting| waiting.len() == number)
                {
                    return list["waiting"].clone();
                }
            }
            assert!(Instant::now() < deadline, "nothing waits: {}", text(&output));
        }
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// `people:` with these entries.
pub fn people(entries: &[(&str, &str)]) -> String {
    entries
        .iter()
        .map(|(name, entry)| format!("      {name}: {{ {entry} }}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// This login and the other one, both on call.
pub fn two() -> String {
    people(&[(&starr::cli::login(), "roles: [oncall]"), (OTHER, "roles: [oncall]")])
}

/// The lines between two marks of a screen, trimmed.
pub fn between(seen: &str, from: &str, to: &str) -> Vec<String> {
    let rest = seen
        .split(from)
        .nth(1)
        .unwrap_or_else(|| panic!("{from:?} is missing in\n{seen}"));
    let part = rest.split(to).next().unwrap_or_default();
    part.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Starts a terminal.
pub fn terminal(command: Command) -> Terminal {
    Terminal::start(command)
}
