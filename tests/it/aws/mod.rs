//! The provider `aws` against an emulator of AWS that checks signatures and rights.

mod answers;
mod books;
mod canaries;
mod faults;
mod incident;
mod locks;
mod metrics;
mod moto;
mod network;
mod rights;
mod sources;
mod targets;

use crate::support::daemon::{Daemon, folder, free_port, secret};
use crate::support::gated::Gated;
use serde_json::Value as Json;
use starr::provider::Outcome;
use starr::providers::aws::Aws;
use starr::value::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

/// Where `scripts/setup` puts the emulator.
const TOOLS: &str = "/opt/starr-tests/aws";

/// A running emulator.
pub struct Moto {
    _daemon: Daemon,
    pub port: u16,
}

impl Moto {
    /// One that looks at signatures and rights after so many calls.
    pub fn start(free: usize) -> Self {
        Self::with(free, "from moto.server import main; main()")
    }

    /// One whose targets are healthy as long as their security groups let the balancer in.
    pub fn with_health() -> Self {
        Self::with(1_000_000, include_str!("health.py"))
    }

    /// One that looks at resources and conditions too, once it looks at rights at all.
    pub fn with_rights() -> Self {
        Self::with(1_000_000, include_str!("rights.py"))
    }

    /// From now on every call is looked at.
    pub fn look_at_rights(&self) {
        self.free_calls("0");
    }

    /// From now on everybody may do everything.
    pub fn look_away(&self) {
        self.free_calls("9");
    }

    fn free_calls(&self, number: &str) {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = "POST /moto-api/reset-auth HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close";
        write!(stream, "{head}\r\ncontent-length: 1\r\n\r\n{number}").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }

    fn with(free: usize, program: &str) -> Self {
        assert!(
            Path::new(TOOLS).join("moto/server.py").is_file(),
            "the emulator of AWS is not installed; run: scripts/setup"
        );
        let port = free_port();
        let folder = folder("moto");
        let words = [
            &format!("PYTHONPATH={TOOLS}"),
            "PYTHONDONTWRITEBYTECODE=1",
            &format!("HOME={}", folder.display()),
            &format!("INITIAL_NO_AUTH_ACTION_COUNT={free}"),
            "/usr/bin/python3",
            "-c",
            program,
            "-H",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]
        .map(str::to_owned);
        let daemon = Daemon::start("env", folder, &words);
        daemon.wait_for_port(port);
        Self { _daemon: daemon, port }
    }

    /// Asks the emulator without a signature that holds, as long as it takes that.
    pub fn ask(&self, service: &str, form: &str) -> String {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=none/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, \
             Signature=none\r\ncontent-length: {}\r\n\r\n{form}",
            self.port,
            form.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// The entry of the configuration for a key.
    pub fn entry(&self, folder: &Path, id: &str, key: &str) -> String {
        let name = format!("key-{}", id.len() + key.len());
        format!(
            "{{ region: eu-west-1, endpoint: \"http://127.0.0.1:{}\", credentials: {{ keys: {{ id: {{ file: {} }}, secret: \
             {{ file: {} }} }} }} }}",
            self.port,
            secret(folder, &format!("{name}-id"), id).display(),
            secret(folder, &format!("{name}-secret"), key).display(),
        )
    }

    pub fn world(&self, id: &str, key: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        World::new(&self.entry(folder.path(), id, key), folder)
    }
}

/// A gate before a provider that knows one account, `prod`.
pub struct World {
    pub gated: Gated,
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
        let config = serde_yaml::from_str(&format!("accounts: {{ prod: {entry} }}")).unwrap();
        let provider = Arc::new(Aws::new(&config).unwrap());
        let gated = Gated::new(provider, vec![("account", account())]);
        Self { gated, _folder: folder }
    }

    /// What a look gives, as a document.
    pub async fn json(&self, path: &str, args: &[(&str, Value)]) -> Json {
        match self.read(path, args).await {
            Value::Json(json) => (*json).clone(),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// Makes a change that must be done, and gives what it answers.
pub async fn done(world: &World, path: &str, args: &[(&str, Value)]) -> Json {
    match world.change(path, args).await {
        Outcome::Done(Value::Json(json)) => (*json).clone(),
        Outcome::Done(_) => Json::Null,
        other => panic!("{path}: {other:?}"),
    }
}

/// The account as a resource.
pub fn account() -> Value {
    Value::Resource {
        kind: "Account".into(),
        name: "prod".into(),
    }
}

pub fn text(text: &str) -> Value {
    Value::text(text)
}

pub fn texts(texts: &[&str]) -> Value {
    Value::list(texts.iter().map(|text| Value::text(*text)).collect())
}

pub fn json(json: Json) -> Value {
    Value::Json(Arc::new(json))
}
