//! An incident from its first symptom to its report: the real binary in a terminal, against a real PostgreSQL whose application
//! has left a dozen and more sessions open in a transaction.

use crate::support::postgres::{Place, Server, leave_open};
use crate::support::terminal::{Terminal, attended};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/pool.starr");
/// Sessions the application leaves open.
pub const STUCK: usize = 14;

/// A folder with a configuration for this database, and a place that takes what people are told.
pub struct Desk {
    folder: tempfile::TempDir,
    told: Arc<Mutex<Vec<String>>>,
    pub hook: String,
}

impl Desk {
    pub async fn new(place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = |name: &str, text: &str| -> PathBuf {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let (read, change) = (secret("read", "read-secret"), secret("change", "change-secret"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hook = format!("http://{}", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let taker = told.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let taker = taker.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    let mut part = [0; 4096];
                    while let Ok(read) = stream.read(&mut part).await {
                        request.extend_from_slice(&part[..read]);
                        if read == 0 || request.ends_with(b"}") {
                            break;
                        }
                    }
                    taker
                        .lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&request).into_owned());
                    let _ = stream
                        .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                        .await;
                });
            }
        });
        let config = format!(
            "environments:
  test:
    people:
      {login}: {{ roles: [oncall] }}
    postgres:
      databases:
        orders:
          host: 127.0.0.1
          port: {port}
          database: {database}
          read:   {{ user: starr_read,   password: {{ file: {read} }} }}
          change: {{ user: starr_change, password: {{ file: {change} }} }}
    grants:
      - {{ capability: postgres,          effects: [read],   targets: [orders] }}
      - {{ capability: postgres.sessions, effects: [change], targets: [orders] }}
      - {{ capability: http,              effects: [tell],   targets: [\"{hook}\"] }}
",
            login = starr::cli::login(),
            port = place.server.port,
            database = place.name,
            read = read.display(),
            change = change.display(),
        );
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        Self { folder, told, hook }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.path().join("starr.yaml"));
        command
    }

    /// `starr run` of the incident's runbook with these words behind it.
    pub fn run(&self, more: &[&str]) -> Command {
        let hook = format!("hook={}", self.hook);
        let mut words = vec!["run", BOOK, "--set", &hook];
        words.extend(more);
        self.command(&words)
    }

    pub fn output(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// Process numbers of the sessions of an application, sorted.
pub async fn pids(place: &Place, application: &str) -> Vec<i32> {
    sqlx::query_scalar(
        "select pid from pg_stat_activity where datname = current_database() and application_name = $1 order by pid",
    )
    .bind(application)
    .fetch_all(&mut place.admin().await)
    .await
    .unwrap()
}

/// Runs something that blocks away from the test's own tasks.
pub async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn approved_ends_exactly_those_sessions_and_is_resolved() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let _bystanders = leave_open(&place, "reports", 3).await;
    let (before, others) = (pids(&place, "shop").await, pids(&place, "reports").await);
    assert_eq!(before.len(), STUCK);

    let command = desk.run(&[]);
    let numbers = before.clone();
    let seen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Do users report timeouts?");
        terminal.wait_for("Type yes, no or unknown");
        terminal.answer("yes");
        terminal.wait_for("a note");
        terminal.answer("three tickets since 02:40");
        terminal.wait_for("Approval needed: End 14 sessions that are idle in a transaction");
        terminal.wait_for("Approve?");
        for pid in numbers {
            assert!(
                terminal.seen.contains(&pid.to_string()),
                "session {pid} is not shown:\n{}",
                terminal.seen
            );
        }
        terminal.answer("yes");
        terminal.wait_for("Which signal could have told us earlier?");
        terminal.wait_for("may be empty");
        terminal.answer("the age of the oldest transaction");
        assert_eq!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    for words in [
        "pool_full  yes, bad",
        "abandoned",
        "severity sev1",
        "not `locked`",
        "RESOLVED",
    ] {
        assert!(seen.contains(words), "{words:?} is missing in\n{seen}");
    }
    assert!(pids(&place, "shop").await.is_empty(), "sessions are left");
    assert_eq!(pids(&place, "reports").await, others, "a bystander was ended");

    let report = desk.output(&["report", "latest"]);
    for words in [
        "Database connection pool exhausted",
        "Situation",
        "Task",
        "Action",
        "Result",
        "Reflection",
        "three tickets since 02:40",
        "End 14 sessions",
        "the age of the oldest transaction",
        "idle_in_transaction_session_timeout",
        "resolved",
        &starr::cli::login(),
    ] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
    assert!(desk.output(&["journal", "verify"]).contains("intact"));
}

#[tokio::test]
async fn refused_changes_nothing_tells_people_and_ends_as_refused() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let seen = attended(desk.run(&["--answer", "complaints=no"]), 3, |person| {
        person.refuse("a migration is running");
        person.wait_for("Which signal could have told us earlier?");
        person.wait_for("may be empty");
        person.answer("");
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(pids(&place, "shop").await, before);
    let told = desk.told();
    assert_eq!(told.len(), 1, "{told:?}\n{seen}");
    assert!(told[0].contains("was not approved"), "{told:?}");
    let report = desk.output(&["report"]);
    assert!(
        report.contains("a migration is running") && report.contains("refused"),
        "{report}"
    );
}

#[tokio::test]
async fn without_a_terminal_nothing_is_changed_and_the_run_is_refused() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let mut command = desk.run(&["--answer", "complaints=yes"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("no terminal"), "{}", text(&output));
    assert_eq!(pids(&place, "shop").await, before);
}

#[tokio::test]
async fn a_dry_run_sends_nothing_but_reads() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let begin = place.server.log().len();
    let mut command = desk.run(&["--dry-run", "--answer", "complaints=yes"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    assert!(text(&output).contains("nothing will be changed"), "{}", text(&output));
    assert_eq!(pids(&place, "shop").await, before);
    assert!(desk.told().is_empty(), "{:?}", desk.told());
    // The server's own log is the witness: what these two roles sent, statement by statement.
    let log = place.server.log();
    let log = log.get(begin..).unwrap_or(&log);
    // An entry begins with its time; a statement of several lines belongs to one entry.
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match entries.last_mut() {
            Some(entry) if !line.starts_with("20") => entry.push_str(line),
            _ => entries.push(line.to_owned()),
        }
    }
    let ours = format!("@{} ", place.name);
    let sent: Vec<&String> = entries
        .iter()
        .filter(|entry| entry.contains(&ours) && entry.contains(" starr_"))
        .collect();
    assert!(
        sent.iter().any(|line| line.contains("pg_stat_activity")),
        "the log shows no read at all:\n{log}"
    );
    for line in &sent {
        assert!(
            !line.contains(" starr_change@"),
            "the role for changes was used: {line}"
        );
        for word in [
            "pg_terminate_backend",
            "pg_cancel_backend",
            "insert ",
            "update ",
            "delete ",
            "alter ",
            "create ",
            "drop ",
        ] {
            assert!(!line.to_lowercase().contains(word), "not a read: {line}");
        }
    }
}

#[tokio::test]
async fn a_session_that_finishes_before_the_action_is_left_out() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let mut stuck = leave_open(&place, "shop", STUCK).await;
    let command = desk.run(&["--answer", "complaints=no"]);
    let (asked, at_the_prompt) = tokio::sync::oneshot::channel();
    let (finished, may_go_on) = std::sync::mpsc::channel();
    let person = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        asked.send(()).unwrap();
        may_go_on.recv().unwrap();
        terminal.answer("yes");
        terminal.wait_for("Which signal");
        terminal.wait_for("may be empty");
        terminal.answer("");
        assert_eq!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    });
    let person = tokio::spawn(person);
    at_the_prompt.await.unwrap();
    // One commits and stays connected, one goes away: neither is a target any more.
    stuck[0].send("commit");
    drop(stuck.pop());
    let left = STUCK - 2;
    place
        .until(&format!(
            "select count(*) = {left} from pg_stat_activity where datname = current_database()
               and application_name = 'shop' and state = 'idle in transaction'"
        ))
        .await;
    finished.send(()).unwrap();
    let seen = person.await.unwrap();
    assert!(seen.contains("2 left out"), "{seen}");
    assert_eq!(
        pids(&place, "shop").await.len(),
        1,
        "the session that had committed must live"
    );
    let report = desk.output(&["report"]);
    assert!(
        report.contains("left out") || report.contains("no longer match"),
        "{report}"
    );
}

#[tokio::test]
async fn a_server_that_stops_is_unknown_not_no() {
    // A server of its own: it is going to be stopped.
    let server: &'static Server = Box::leak(Box::new(Server::start()));
    let place = server.database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let command = desk.run(&["--answer", "complaints=no"]);
    let (asked, at_the_prompt) = tokio::sync::oneshot::channel();
    let (finished, may_go_on) = std::sync::mpsc::channel();
    let person = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        asked.send(()).unwrap();
        may_go_on.recv().unwrap();
        terminal.answer("yes");
        // Nothing was sent: what the action rests on cannot be asked again.
        terminal.wait_for("ESCALATED");
        terminal.wait_for("no change is left in place");
        terminal.wait_for("may be empty");
        terminal.answer("");
        assert_eq!(terminal.end(), 1, "{}", terminal.seen);
        terminal.seen
    });
    let person = tokio::spawn(person);
    at_the_prompt.await.unwrap();
    server.crash();
    finished.send(()).unwrap();
    let seen = person.await.unwrap();
    assert!(seen.contains("unknown"), "{seen}");
    assert!(
        !seen.contains("RESOLVED") && !seen.contains("refuted: Sessions were left open"),
        "{seen}"
    );
}

#[tokio::test]
async fn an_interrupted_run_changes_nothing_and_says_so() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let seen = attended(desk.run(&["--answer", "complaints=no"]), 1, |person| {
        person.wait_for("Approve?");
        person.interrupt();
        person.wait_for("no change is left in place");
    })
    .await;
    assert!(seen.contains("STOPPED"), "{seen}");
    assert_eq!(pids(&place, "shop").await, before);
    assert!(desk.output(&["journal", "verify"]).contains("intact"));
}
