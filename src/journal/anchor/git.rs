//! A note on the newest commit of a git repository, pushed where that is configured.

use super::{Kept, MOST_BYTES, Offer, PATIENCE, Refusal, Sink, compare, statements};
use crate::journal::checkpoint::Statement;
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};

/// Writes notes into this repository.
pub struct Git {
    pub repository: PathBuf,
    /// The full name of the notes' reference.
    pub reference: String,
    pub remote: Option<String>,
}

impl Sink for Git {
    fn place(&self) -> String {
        match &self.remote {
            None => format!("git {} {}", self.repository.display(), self.reference),
            Some(remote) => format!(
                "git {} {}, pushed to {remote}",
                self.repository.display(),
                self.reference
            ),
        }
    }

    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        Box::pin(async {
            let known = read(&self.repository, &self.reference)
                .await
                .map_err(Refusal::Unusable)?;
            let checkpoint = offer.checkpoint();
            let notes = format!("--ref={}", self.reference);
            if !compare(&known, &checkpoint)? {
                let line = checkpoint.line();
                git(&self.repository, &["notes", &notes, "append", "-m", &line, "HEAD"])
                    .await
                    .map_err(Refusal::Unusable)?;
            }
            if let Some(remote) = &self.remote {
                git(&self.repository, &["push", "--quiet", "--", remote, &self.reference])
                    .await
                    .map_err(Refusal::Unusable)?;
            }
            Ok(Kept::default())
        })
    }
}

/// What the notes of a repository say, on whichever commit they stand.
pub async fn read(repository: &Path, reference: &str) -> Result<Vec<Statement>, String> {
    let list = git(repository, &["for-each-ref", "--format=%(objectname)", "--", reference]).await?;
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    // All of them at once: one commit may have been left behind for the next.
    let text = git(repository, &["grep", "-h", "-I", "-e", "", reference]).await?;
    statements(&text)
}

async fn git(repository: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = tokio::process::Command::new("git");
    command
        .arg("-C")
        .arg(repository)
        // Whoever writes the repository must not thereby run programs here.
        .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"])
        .args(["-c", "user.name=starr", "-c", "user.email=starr@localhost"])
        .args(arguments)
        .env_clear()
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    for name in ["PATH", "HOME", "SSH_AUTH_SOCK"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| format!("git did not end within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("git cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "git: {}",
            said.lines().last().unwrap_or("it failed").escape_debug()
        ));
    }
    if output.stdout.len() as u64 > MOST_BYTES {
        return Err(format!("git wrote more than {MOST_BYTES} bytes"));
    }
    String::from_utf8(output.stdout).map_err(|_| "the notes are not UTF-8".to_owned())
}
