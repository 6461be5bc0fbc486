//! The provider `redis` against a real server.

mod changes;
mod faults;
mod grants;
mod incident;
mod locks;
mod previews;
mod reads;
mod trust;

use crate::support::daemon::{Daemon, folder, free_port, secret};
use crate::support::gated::Gated;
use redis::Commands;
use starr::providers::redis::Redis;
use starr::value::Value;
use std::path::Path;
use std::sync::Arc;

/// A running server, with the administrator's connection to it.
pub struct Server {
    /// Lives as long as the server.
    _daemon: Daemon,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more words on the command line.
    pub fn start_with(more: &[&str]) -> Self {
        let port = free_port();
        let folder = folder("redis");
        let mut words: Vec<String> = ["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]
            .map(str::to_owned)
            .to_vec();
        words.extend(["--dir".to_owned(), folder.display().to_string()]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let daemon = Daemon::start("redis-server", folder, &words);
        daemon.wait_for_port(port);
        let server = Self { _daemon: daemon, port };
        for (user, password, rules) in [
            (
                "starr-read",
                "read-secret",
                "~* +@all -@write -@dangerous +info +config|get +client|list +client|id +slowlog|get",
            ),
            ("starr-change", "change-secret", "~* +@all"),
        ] {
            server.user(user, password, rules);
        }
        server
    }

    /// The administrator's connection.
    pub fn admin(&self) -> redis::Connection {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port))
            .unwrap()
            .get_connection()
            .unwrap()
    }

    /// A user with exactly these rules.
    pub fn user(&self, name: &str, password: &str, rules: &str) {
        let mut command = redis::cmd("ACL");
        command
            .arg("SETUSER")
            .arg(name)
            .arg("reset")
            .arg("on")
            .arg(format!(">{password}"));
        for rule in rules.split_whitespace() {
            command.arg(rule);
        }
        command.exec(&mut self.admin()).unwrap();
    }

    pub fn set(&self, key: &str, value: &str) {
        let () = self.admin().set(key, value).unwrap();
    }

    /// The entry of the configuration, with passwords in files.
    pub fn entry(&self, folder: &Path, more: &str) -> String {
        format!(
            "{{ host: 127.0.0.1, port: {}, read: {{ user: starr-read, password: {{ file: {} }} }}, \
             change: {{ user: starr-change, password: {{ file: {} }} }}{more} }}",
            self.port,
            secret(folder, "read", "read-secret").display(),
            secret(folder, "change", "change-secret").display(),
        )
    }

    /// The server as `cache`, behind a gate.
    pub fn world(&self) -> World {
        self.world_with("")
    }

    pub fn world_with(&self, more: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let entry = self.entry(folder.path(), more);
        World::new(&entry, folder)
    }
}

/// A gate before a provider that knows one server, `cache`.
pub struct World {
    pub gated: Gated,
    pub provider: Arc<Redis>,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for World {
    type Target = Gated;

    fn deref(&self) -> &Gated {
        &self.gated
    }
}

impl World {
    pub fn new(entry: &str, folder: tempfile::TempDir) -> Self {
        let config = serde_yaml::from_str(&format!("servers: {{ cache: {entry} }}")).unwrap();
        let provider = Arc::new(Redis::new(config).unwrap());
        Self {
            gated: Gated::new(provider.clone(), vec![("server", cache())]),
            provider,
            _folder: folder,
        }
    }
}

/// The server as a resource.
pub fn cache() -> Value {
    Value::Resource {
        kind: "Redis".into(),
        name: "cache".into(),
    }
}
