//! The provider `exec` with real programs on a kernel that confines them.

mod confined;
mod ended;
mod incident;

use crate::support::gated::Gated;
use starr::provider::gate::Gate;
use starr::providers::exec::Exec;
use starr::value::{Reason, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A folder with programs, and the environment that declares them.
pub struct Bench {
    pub folder: tempfile::TempDir,
    entries: String,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            entries: String::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A script, and its contract behind `program:`.
    pub fn script(mut self, name: &str, contract: &str, text: &str) -> Self {
        let path = self.path(name);
        script(&path, text);
        self.entries += &format!("  {name}: {{ program: {}, {contract} }}\n", path.display());
        self
    }

    /// A program of the system.
    pub fn system(mut self, name: &str, path: &str, contract: &str) -> Self {
        self.entries += &format!("  {name}: {{ program: {path}, {contract} }}\n");
        self
    }

    /// As it stands in `starr.yaml`.
    pub fn config(&self) -> String {
        format!("programs:\n{}", self.entries)
    }

    /// The same as an entry of an environment.
    pub fn entry(&self) -> String {
        let lines: String = self.config().lines().map(|line| format!("      {line}\n")).collect();
        format!("    exec:\n{lines}")
    }

    pub fn exec(&self) -> Exec {
        Exec::new(serde_yaml::from_str(&self.config()).unwrap()).unwrap()
    }

    pub fn world(&self) -> Gated {
        Gated::new(Arc::new(self.exec()), vec![])
    }
}

pub fn script(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub fn program(name: &str) -> (&'static str, Value) {
    (
        "program",
        Value::Resource {
            kind: "Program".into(),
            name: name.into(),
        },
    )
}

pub fn with(json: serde_json::Value) -> (&'static str, Value) {
    ("with", Value::Json(Arc::new(json)))
}

pub fn why(value: &Value) -> (Reason, String) {
    crate::support::gated::reason(value)
}

/// Whether this process still does anything.
pub fn runs(number: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", number.trim())).unwrap_or_default();
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().next())
        .is_some_and(|state| !matches!(state, "Z" | "X"))
}

/// Waits until a file holds so many lines, and gives them.
pub async fn lines(path: &Path, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found: Vec<String> = text.lines().map(str::to_owned).collect();
        if found.len() >= count && text.ends_with('\n') {
            return found;
        }
        assert!(Instant::now() < deadline, "{}: {text}", path.display());
        tokio::task::yield_now().await;
    }
}

/// Waits until none of these processes does anything.
pub async fn gone(numbers: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Some(number) = numbers.iter().find(|number| runs(number)) {
        assert!(Instant::now() < deadline, "{number} still runs");
        tokio::task::yield_now().await;
    }
}

/// A gate that looks at one program and no other.
pub fn gate_of(exec: Exec, target: &str) -> Gate {
    use starr::provider::Effect;
    use starr::provider::gate::{Grant, Mode};
    let mut gate = Gate::new(
        vec![Grant {
            capability: "exec".to_owned(),
            effects: vec![Effect::Read],
            targets: Some(vec![target.to_owned()]),
        }],
        Mode::Live,
    );
    gate.register(Arc::new(exec));
    gate
}
