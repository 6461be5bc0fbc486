//! Faults of the storage while the real binary runs. The fault is a small library in front of the system's own calls, so that
//! everything else is as it is in production: the disk that is full at the moment of the intent, the sync that fails, the files
//! that somebody removes, the clock that somebody sets.

use crate::support::terminal::Terminal;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

const BOOK: &str = r#"use std.http.{Endpoint}

runbook push(shop: Endpoint) "Push the button" {
  timebox 5 min then stop "it took too long"
  reads   http
  changes http

  situation {
    symptom broken "Is the shop broken?" {
      read page = http.get(shop, "/state")
      yes when page.status is 200
    }
  }

  task {
    goal not broken
  }

  action push_it "Push the button" {
    when    broken
    risk    low
    approve by oncall within 5 min
    do      http.post(shop, "/push")
    undo    none because "a button is pushed once"
    verify  not broken within 10 s every 1 s
    failed  -> stop "it did not help"
  }
}
"#;

/// The library with the faults, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/storage/faults.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&to)
            .arg(source)
            .arg("-ldl")
            .output()
            .expect("a C compiler links this test already");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        to
    })
}

/// A shop that is broken until its button is pushed, and counts what it is asked.
pub struct Shop {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let taker = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while let Ok(read) = stream.read(&mut part) {
                    request.extend_from_slice(&part[..read]);
                    if read == 0 || request.windows(4).any(|end| end == b"\r\n\r\n") {
                        break;
                    }
                }
                let line = String::from_utf8_lossy(&request)
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let mut asked = taker.lock().unwrap();
                let pushed = asked.iter().any(|line: &String| line.starts_with("POST"));
                let broken = !pushed && !line.starts_with("POST");
                asked.push(line);
                let status = if broken { "200 OK" } else { "204 No Content" };
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
            }
        });
        Self { address, asked }
    }

    pub fn pushes(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|line| line.starts_with("POST /push")).count()
    }

    pub fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

/// A folder with everything a run needs, and the switch of the faults.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub shop: Shop,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("state/journal.db").display().to_string();
        Self::with(folder, &journal)
    }

    /// A journal as the configuration names it.
    pub fn with(folder: tempfile::TempDir, journal: &str) -> Self {
        let shop = Shop::open();
        std::fs::write(folder.path().join("push.starr"), BOOK).unwrap();
        std::fs::write(
            folder.path().join("starr.yaml"),
            format!(
                "environments:
  test:
    journal: {journal}
    people:
      {login}: {{ roles: [oncall] }}
    grants:
      - {{ capability: http, effects: [read, change], targets: [\"{shop}\"] }}
",
                login = starr::cli::login(),
                shop = shop.address,
            ),
        )
        .unwrap();
        Self { folder, shop }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("state/journal.db")
    }

    fn beside(&self, end: &str) -> PathBuf {
        self.folder.path().join(format!("state/journal.db{end}"))
    }

    pub fn fault(&self, word: &str) {
        // In one step: the library never reads half a word.
        let next = self.folder.path().join("fault.next");
        std::fs::write(&next, word).unwrap();
        std::fs::rename(next, self.folder.path().join("fault")).unwrap();
    }

    pub fn mended(&self) {
        std::fs::remove_file(self.folder.path().join("fault")).unwrap();
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.folder.path().join("starr.yaml"))
            .env("LD_PRELOAD", library())
            .env("STARR_TEST_FAULT", self.folder.path().join("fault"));
        command
    }

    pub fn run(&self) -> Command {
        self.command(&["run", "push.starr", "--set", &format!("shop={}", self.shop.address)])
    }

    /// A run up to its approval, then what happens, then the approval. Exit code and screen.
    pub fn approved_after(&self, happens: impl FnOnce()) -> (i32, String) {
        let mut terminal = Terminal::start(self.run());
        terminal.wait_for("Approve?");
        happens();
        terminal.answer("yes");
        let code = terminal.end();
        (code, terminal.seen)
    }

    pub fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub fn said(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", both(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

pub fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The fault strikes when the intent is to be written: nothing is sent, exit code 5, and once it is over everything works.
fn nothing_is_sent(word: &str, says: &[&str]) {
    let desk = Desk::new();
    let (code, seen) = desk.approved_after(|| desk.fault(word));
    assert_eq!(code, 5, "{word}: {seen}");
    assert_eq!(desk.shop.pushes(), 0, "{word}: something was sent");
    for words in says {
        assert!(seen.contains(words), "{word}: {words:?} is missing in\n{seen}");
    }
    desk.mended();
    assert!(desk.said(&["journal", "verify"]).contains("intact"));
    let (code, seen) = desk.approved_after(|| {});
    assert_eq!(code, 0, "{seen}");
    assert_eq!(desk.shop.pushes(), 1);
    assert!(desk.said(&["journal", "verify"]).contains("intact"));
}

/// A-CR-2, and the half of A-AU-5 that is about a full store.
#[test]
fn a_full_disk_at_the_moment_of_the_intent() {
    nothing_is_sent("full", &["there is no space left", "Free some space"]);
}

/// A-CR-2: exactly the intent finds no space. When there is some again, the run goes on where it was: nobody is asked again for
/// what is recorded, and the change is sent once.
#[test]
fn a_cr_2_a_run_that_found_no_space_for_its_intent_goes_on_when_there_is_some() {
    let desk = Desk::new();
    let (code, seen) = desk.approved_after(|| desk.fault("full=intent"));
    assert_eq!(code, 5, "{seen}");
    assert!(seen.contains("there is no space left"), "{seen}");
    assert_eq!(desk.shop.pushes(), 0, "something was sent: {seen}");
    desk.mended();
    let kinds = |desk: &Desk| -> Vec<String> {
        let show: serde_json::Value = serde_json::from_str(&desk.said(&["show", "latest", "--json"])).unwrap();
        let entries = show["entries"].as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| entry["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = kinds(&desk);
    assert!(before.contains(&"approved".to_owned()), "it was approved: {before:?}");
    assert!(!before.contains(&"intent".to_owned()), "and not intended: {before:?}");
    let mut terminal = Terminal::start(desk.command(&["resume", "latest"]));
    let code = terminal.end();
    assert_eq!(code, 0, "{}", terminal.seen);
    assert!(!terminal.seen.contains("Approve?"), "{}", terminal.seen);
    assert_eq!(desk.shop.pushes(), 1);
    assert_eq!(kinds(&desk).iter().filter(|kind| *kind == "intent").count(), 1);
    assert!(desk.said(&["journal", "verify"]).contains("intact"));
}

#[test]
fn a_sync_that_fails_at_the_moment_of_the_intent() {
    nothing_is_sent("sync", &["the disk reported an error", "check the disk"]);
}

#[test]
fn files_that_are_removed_while_a_run_uses_them() {
    for (end, says) in [
        ("", "the file was deleted or replaced"),
        ("-wal", "its write-ahead log (`-wal`) was deleted or replaced"),
        ("-shm", "the file of its locks (`-shm`) was deleted or replaced"),
    ] {
        let desk = Desk::new();
        let (code, seen) = desk.approved_after(|| std::fs::remove_file(desk.beside(end)).unwrap());
        assert_eq!(code, 5, "{end}: {seen}");
        assert_eq!(desk.shop.pushes(), 0, "{end}: something was sent");
        assert!(seen.contains(says), "{says:?} is missing in\n{seen}");
    }
}

#[test]
fn a_file_that_is_replaced_while_a_run_uses_it() {
    let desk = Desk::new();
    let (code, seen) = desk.approved_after(|| {
        let copy = desk.beside(".copy");
        std::fs::copy(desk.journal(), &copy).unwrap();
        std::fs::rename(copy, desk.journal()).unwrap();
    });
    assert_eq!((code, desk.shop.pushes()), (5, 0), "{seen}");
    assert!(seen.contains("the file was deleted or replaced"), "{seen}");
}

/// A-AU-5: the store is read-only. Not even a read leaves the process.
#[test]
fn a_store_that_can_only_be_read() {
    only_read(|_| ());
}

/// The same where a process went away in the middle of closing it.
#[test]
fn a_store_that_can_only_be_read_and_was_not_closed() {
    only_read(|desk| {
        // Empty: everything was written back.
        std::fs::write(desk.beside("-wal"), "").unwrap();
    });
}

fn only_read(leave: impl Fn(&Desk)) {
    let desk = Desk::new();
    // A run without trouble makes the journal.
    desk.shop.asked.lock().unwrap().push("POST before".to_owned());
    let made = desk.run().output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", both(&made));
    let asked = desk.shop.asked();
    let set = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let state = desk.journal().parent().unwrap().to_owned();
    set(desk.folder.path(), 0o755);
    // The process ended only after everything was in the one file.
    for end in ["-wal", "-shm"] {
        assert!(!desk.beside(end).exists(), "{end} was left");
    }
    leave(&desk);
    for path in ["", "-wal", "-shm"].map(|end| desk.beside(end)) {
        if path.exists() {
            set(&path, 0o444);
        }
    }
    set(&state, 0o555);
    // Root may write anywhere: then somebody else runs it, from a place where everybody may read the program.
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = desk.folder.path().join("starr");
    if root {
        crate::support::copy_program(env!("CARGO_BIN_EXE_starr").as_ref(), &program);
        set(&program, 0o755);
        chown(desk.folder.path().join("push.starr"), Some(65534), Some(65534)).unwrap();
    }
    let starr = || {
        if !root {
            return Command::new(env!("CARGO_BIN_EXE_starr"));
        }
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
                "--",
            ])
            .arg(&program);
        command
    };
    let said = |words: &[&str]| {
        starr()
            .args(words)
            .current_dir(desk.folder.path())
            .env_clear()
            .env("HOME", desk.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("STARR_CONFIG", desk.folder.path().join("starr.yaml"))
            .output()
            .unwrap()
    };
    let shop = format!("shop={}", desk.shop.address);
    let shop = shop.as_str();
    // Through every command that would write, and those that only look still work.
    let writes = [
        &["run", "push.starr", "--set", shop][..],
        &["run", "push.starr", "--set", shop, "--dry-run"],
        &["journal", "erase", "--run", "latest", "--payloads", "--reason", "gone"],
    ]
    .map(said);
    let looks = [
        &["runs"][..],
        &["show", "latest"],
        &["report", "latest"],
        &["journal", "verify"],
        &["journal", "anchor"],
    ]
    .map(said);
    set(&state, 0o755);
    for output in &writes {
        assert_eq!(output.status.code(), Some(5), "{}", both(output));
        assert!(both(output).contains("it can only be read"), "{}", both(output));
    }
    for output in &looks {
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", both(output));
        assert!(!both(output).contains("it can only be read"), "{}", both(output));
    }
    assert_eq!(desk.shop.asked(), asked, "something was asked: {}", both(&writes[0]));
}

/// A-CL-1.
#[test]
fn a_clock_that_is_set_back_an_hour() {
    the_clock_is_set_back(&Desk::new());
}

/// The clock of this machine, while a run waits for its approval.
pub fn the_clock_is_set_back(desk: &Desk) {
    let (code, seen) = desk.approved_after(|| desk.fault("clock=-3600"));
    assert_eq!(code, 0, "{seen}");
    assert_eq!(desk.shop.pushes(), 1);
    assert!(desk.said(&["journal", "verify"]).contains("intact"));
    let show: serde_json::Value = serde_json::from_str(&desk.said(&["show", "latest", "--json"])).unwrap();
    let entries = show["entries"]
        .as_array()
        .or(show.as_array())
        .expect("a list of entries")
        .clone();
    let kind = |entry: &serde_json::Value| entry["kind"].as_str().unwrap_or_default().to_owned();
    let steps: Vec<usize> = (0..entries.len())
        .filter(|index| kind(&entries[*index]) == "clock_step")
        .collect();
    assert_eq!(steps.len(), 1, "{show:#}");
    let approved = entries.iter().position(|entry| kind(entry) == "approved").unwrap();
    assert_eq!(steps[0] + 1, approved, "the step stands before what came after it");
    let text = desk.said(&["show", "latest"]);
    assert!(
        text.contains("the clock was set back by 36") || text.contains("the clock was set back by 3599"),
        "{text}"
    );
    let runs: serde_json::Value = serde_json::from_str(&desk.said(&["runs", "--json"])).unwrap();
    let duration = runs.to_string();
    let seconds: f64 = duration
        .split("\"duration_seconds\":")
        .nth(1)
        .and_then(|rest| rest.split([',', '}']).next())
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no duration in {duration}"));
    assert!((0.0..300.0).contains(&seconds), "{seconds}");
}

#[test]
fn a_file_system_without_locks_is_named() {
    let desk = Desk::new();
    desk.fault("lock");
    let output = desk.run().output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", both(&output));
    assert!(
        both(&output).contains("the file system of the journal does not lock files"),
        "{}",
        both(&output)
    );
    assert_eq!(desk.shop.asked(), 0);
}

#[test]
fn a_journal_of_a_later_version_is_refused() {
    let desk = Desk::new();
    desk.shop.asked.lock().unwrap().push("POST before".to_owned());
    assert_eq!(desk.run().output().unwrap().status.code(), Some(0));
    let later = async {
        let mut editor = SqliteConnectOptions::new()
            .filename(desk.journal())
            .connect()
            .await
            .unwrap();
        editor.execute("pragma user_version = 99").await.unwrap();
        // Closing moves everything into the one file.
        editor.close().await.unwrap();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(later);
    let bytes = std::fs::read(desk.journal()).unwrap();
    let asked = desk.shop.asked();
    for words in [&["runs"][..], &["show", "latest"], &["journal", "verify"]] {
        let output = desk.output(words);
        assert_eq!(output.status.code(), Some(5), "{words:?}: {}", both(&output));
        assert!(both(&output).contains("written by a later starr"), "{}", both(&output));
    }
    let output = desk.run().output().unwrap();
    assert_eq!(
        (output.status.code(), desk.shop.asked()),
        (Some(5), asked),
        "{}",
        both(&output)
    );
    assert_eq!(std::fs::read(desk.journal()).unwrap(), bytes, "the file was changed");
}
