//! The adversarial cases, each a test with its id in its name (`a_pr_1_…`): hostile files, values, servers, names and people, through
//! the real binary wherever it can be reached that way. [`ids`] walks the list and fails when one has no test.

pub mod canary;
mod files;
mod http;
mod ids;
mod injection;
mod limits;
mod limits_http;
mod parser;
mod paths;
mod secrets;
mod secrets_more;
mod sql;
mod terminal;
mod trust;
mod types;
mod unicode;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The limits of the promise: 2 seconds, of the processor so that a busy machine proves nothing, and 256 MiB.
const SECONDS: u64 = 2;
/// Whatever else the machine does, nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(30);
const BYTES: u64 = 256 * 1024 * 1024;

/// Every command that reads a runbook. `FILE` stands for it; where it does not stand, it comes last.
const COMMANDS: &[&[&str]] = &[
    &["check"],
    &["fmt"],
    &["render"],
    &["run", "--unattended"],
    &["run", "--unattended", "--dry-run"],
    &["plan"],
    &["grants"],
    &["test"],
    &["diff", "good.starr"],
    &["diff", "FILE", "good.starr", "--fail-on", "invalid-before"],
    &["doctor", "--references"],
    &["lock", "."],
    &["render", "--alert-command"],
    &["replay", "recording"],
    &["--config", "starr.yaml", "resume", "latest"],
];

/// A folder in which a run was recorded, and another one was killed.
fn before() -> &'static Path {
    static BEFORE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = BEFORE.get_or_init(|| {
        let desk = Desk::new();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        desk.write("good.starr", &asking(&url, ""));
        desk.everything("");
        desk.write("short.starr", &book("1"));
        let recorded = desk.starr(&["run", "short.starr", "--unattended", "--record", "recording"]);
        assert!(desk.path().join("recording").is_dir(), "{}", text(&recorded));
        let mut killed = desk
            .command(&["--config", "starr.yaml", "run", "good.starr", "--unattended"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !text(&desk.starr(&["runs"])).contains("asking") {
            assert!(begin.elapsed() < Duration::from_secs(60), "it has not begun");
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        drop(silent);
        desk.0
    });
    folder.path()
}

/// Copies what is in a folder, with everything below.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let into = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&into).unwrap();
            copy(&entry.path(), &into);
        } else {
            std::fs::copy(entry.path(), &into).unwrap();
        }
    }
}

/// A runbook that computes one value.
fn book(step: &str) -> String {
    format!("runbook hostile() \"Hostile\" {{\n  timebox 5 min then escalate\n  let x = {step}\n}}\n")
}

/// A runbook with a symptom that is asked of `url`, and these lines behind its task. The reply is `odd.reply`.
fn asking(url: &str, steps: &str) -> String {
    format!(
        "runbook asking() \"Asking\" {{
  timebox 5 min then stop \"too long\"
  reads http

  situation {{
    symptom odd \"Is it odd?\" {{
      read reply = http.get(\"{url}\") within 20 s
      yes when reply.status is 200
    }}
  }}

  task {{ goal not odd }}

{steps}}}
"
    )
}

/// What the program may take: `BYTES`, and the room of its own file, which is mapped whole (a build without optimisation is several times as
/// large as one for use).
pub fn address_space() -> u64 {
    BYTES
        + std::fs::metadata(env!("CARGO_BIN_EXE_starr"))
            .expect("the program is there")
            .len()
}

/// Runs a command on a file under an address-space limit, in a home of its own.
fn starr(folder: &Path, words: &[&str], file: &str) -> (Output, Duration) {
    let begin = Instant::now();
    let output = Command::new("prlimit")
        .args([format!("--as={}", address_space()), format!("--cpu={SECONDS}")])
        .arg(env!("CARGO_BIN_EXE_starr"))
        .args(words.iter().map(|word| if *word == "FILE" { file } else { word }))
        .args((!words.contains(&"FILE") && !words.contains(&".")).then_some(file))
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("prlimit is part of every Debian");
    (output, begin.elapsed())
}

/// Both outputs of a command.
fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Every command refuses the file with a place in it, quickly, and leaves it as it is.
fn every_command_says_where(name: &str, content: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    copy(before(), folder.path());
    let file = format!("{name}.starr");
    std::fs::write(folder.path().join(&file), content).unwrap();
    for words in COMMANDS {
        let (output, took) = starr(folder.path(), words, &file);
        let text = text(&output);
        let begin: String = text.chars().take(600).collect();
        // The formatter reads no meaning: a file that only says something impossible has a form.
        let formats = words[0] == "fmt" && output.status.code() == Some(0);
        let expected = match words[0] {
            "check" | "doctor" => 1,
            "diff" if words[1] == "FILE" => 1,
            _ => 2,
        };
        assert!(
            formats || output.status.code() == Some(expected),
            "{words:?} on {name}: {:?}\n{begin}",
            output.status
        );
        assert!(took < PATIENCE, "{words:?} on {name} took {took:?}");
        assert!(text.len() < 64 * 1024, "{words:?} on {name} wrote {} bytes", text.len());
        if formats {
            std::fs::write(folder.path().join(&file), content).unwrap();
            continue;
        }
        let place = text.match_indices(&format!("{file}:")).any(|(at, found)| {
            let rest = &text[at + found.len()..];
            let mut numbers = rest.split(|character: char| !character.is_ascii_digit());
            let line = numbers.next().is_some_and(|number| !number.is_empty());
            line && numbers.next().is_some_and(|number| !number.is_empty())
        });
        assert!(place, "{words:?} on {name} names no place:\n{begin}");
        let after = std::fs::read(folder.path().join(&file)).unwrap();
        assert!(after == content, "{words:?} on {name} changed the file");
    }
}

/// A folder that is also the home.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A file that only its owner can read.
    fn private(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, content);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn starr(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// An environment `test` with everything granted and the person of this process in it; `more` is put into it.
    fn everything(&self, more: &str) -> PathBuf {
        self.write(
            "starr.yaml",
            &format!(
                "environments:\n  test:\n    people:\n      {}: {{ roles: [operator] }}\n    grants:\n      - {{ capability: http, effects: [read, change, tell], all: true }}\n      - {{ capability: host, effects: [read, change, tell], all: true }}\n      - {{ capability: postgres, effects: [read, change, tell], all: true }}\n{more}",
                starr::cli::login()
            ),
        )
    }
}

/// A web server on loopback that answers with whole replies and remembers what it was asked.
struct Web {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn new(reply: impl Fn(&str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let request = request(&mut stream);
                noted.lock().unwrap().push(request.clone());
                let _ = stream.write_all(&reply(&request));
            }
        });
        Self { port, seen }
    }

    /// Always this document.
    fn json(document: serde_json::Value) -> Self {
        Self::new(move |_| ok("application/json", document.to_string().as_bytes()))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A request with its body, by its content length.
fn request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).unwrap_or(0);
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length:")?
                        .trim()
                        .parse()
                        .ok()
                })
                .unwrap_or(0_usize);
            if body.len() >= length {
                return text;
            }
        }
        if read == 0 {
            return text;
        }
    }
}

/// A reply with this body.
fn ok(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Every file below a folder with its bytes.
fn everything_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        } else if path.is_file() {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}
