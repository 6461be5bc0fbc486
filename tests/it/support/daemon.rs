//! A server of the test's own, run as an unprivileged user. When the test's process ends, however it ends, the pipe to the shell
//! in between closes, and the shell ends the server and removes its files.

use super::postgres::{PATIENCE, lowered, unprivileged};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

static COUNTER: AtomicUsize = AtomicUsize::new(1);

/// A running server.
pub struct Daemon {
    pub folder: PathBuf,
    /// Closing it ends the server.
    life: Option<ChildStdin>,
    shell: Child,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port")
        .port()
}

/// Where a program is. A missing server is a failing test, never one that is left out.
pub fn program(name: &str) -> PathBuf {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed; run: scripts/setup"))
}

/// A folder that the server's user owns.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!(
        "starr-{name}-{}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::SeqCst)
    ));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    give_away(&folder);
    folder
}

fn give_away(path: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(path, Some(user), Some(group)).expect("root may give a file away");
    }
}

/// Writes a file that the server's user can read.
pub fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the test's own folder");
    give_away(&path);
    path
}

/// Writes a file that only we can read, as a configuration demands of a secret.
pub fn secret(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the test's own folder");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    path
}

impl Daemon {
    /// Starts a server in its folder.
    pub fn start(name: &str, folder: PathBuf, words: &[String]) -> Self {
        let server = lowered(&program(name));
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(
                "trap '' INT TERM HUP; log=$1; folder=$2; shift 2; \"$@\" >>\"$log\" 2>&1 & server=$!; \
                 cat >/dev/null; kill -KILL $server 2>/dev/null; wait $server 2>/dev/null; rm -rf \"$folder\"",
            )
            .arg("sh")
            .arg(folder.join("log"))
            .arg(&folder)
            .arg(server.get_program())
            .args(server.get_args())
            .args(words);
        let mut shell = shell
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        let life = shell.stdin.take();
        Self { folder, life, shell }
    }

    /// Waits until `ready`.
    pub fn wait_until(&self, what: &str, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            assert!(Instant::now() < deadline, "{what}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Waits until somebody takes connections at the port.
    pub fn wait_for_port(&self, port: u16) {
        self.wait_until("the server does not start", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    /// What the server has written.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.life.take());
        let _ = self.shell.wait();
    }
}
