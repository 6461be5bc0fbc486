//! Somebody's desk: a configuration, a journal, and the real binary.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A folder with a configuration of one environment.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// `environment` is what stands in the environment behind its people, indented by four blanks.
    pub fn new(environment: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let config = format!(
            "environments:\n  test:\n    people:\n      {}: {{ roles: [oncall] }}\n{environment}",
            starr::cli::login(),
        );
        std::fs::write(folder.path().join("starr.yaml"), config).expect("the test's own folder");
        Self { folder }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Lets the other login read and write here, and keeps the journal where both find it.
    pub fn share(&self) {
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the test's own file");
        };
        mode(self.path(), 0o777);
        let journal = self.path().join("journal.db");
        std::fs::write(&journal, "").expect("the test's own folder");
        mode(&journal, 0o666);
    }

    /// The binary with nothing of the test's own environment.
    pub fn command(&self, words: &[&str]) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_starr")), words)
    }

    /// The same as the other login.
    pub fn other(&self, words: &[&str]) -> Command {
        self.prepared(as_other(), words)
    }

    fn prepared(&self, mut command: Command, words: &[&str]) -> Command {
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.path().join("starr.yaml"));
        command
    }

    /// The report of the latest run, in which all these words stand.
    pub fn reported(&self, all: &[&str]) -> String {
        let (report, _) = self.run(&["report", "latest"]);
        for words in all {
            assert!(report.contains(words), "{words:?} is missing in\n{report}");
        }
        report
    }

    /// What the binary prints, both streams, and its exit code.
    pub fn run(&self, words: &[&str]) -> (String, Option<i32>) {
        let output = self.command(words).output().expect("the binary can be run");
        let text = [output.stdout, output.stderr]
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect();
        (text, output.status.code())
    }
}

/// A second login of this machine.
pub const OTHER: &str = "nobody";

/// The binary as the other login: root becomes it, everybody else is it in a user namespace.
pub fn as_other() -> Command {
    let id = std::fs::read_to_string("/etc/passwd")
        .expect("every machine has its logins")
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(OTHER)).then_some(())?;
            fields.nth(1).map(str::to_owned)
        })
        .expect("there is a user `nobody`");
    let mut command = if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={id}")).args(["--clear-groups", "--"]);
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", &format!("--map-user={id}"), "--"]);
        command
    };
    command.arg(env!("CARGO_BIN_EXE_starr"));
    command
}

/// Waits on a thread of its own, so that the servers of the test go on.
pub async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the work ends")
}
