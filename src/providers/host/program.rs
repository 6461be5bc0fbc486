//! The few programs that are asked for what no kernel file tells: by absolute path, with arguments and never a shell, with an
//! empty environment, a deadline, and a bounded reply.

use super::source::{Found, unknown};
use crate::value::Reason;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Most bytes kept of what a program prints.
const OUTPUT_BYTES: u64 = crate::limits::HOST_OUTPUT_BYTES;

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code; `None` when it was ended by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub error: String,
}

/// The first of these paths that is a file.
pub fn find(paths: &[&'static str]) -> Option<&'static str> {
    paths.iter().copied().find(|path| Path::new(path).is_file())
}

/// Runs a program to its end. When the future is dropped the program is ended too.
///
/// # Errors
/// `Unavailable` when it was not started, `Timeout`, `Truncated` when it prints more than 1 MiB, `Unparsable` when its output
/// cannot be read.
pub async fn run(path: &str, arguments: &[&str], within: Duration) -> Found<Said> {
    let mut command = tokio::process::Command::new(path);
    command
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(problem) => return unknown(Reason::Unavailable, format!("{path}: {problem}")),
    };
    let (Some(out), Some(error)) = (child.stdout.take(), child.stderr.take()) else {
        return unknown(Reason::Internal, format!("{path} has no output"));
    };
    let work = async {
        // The first that prints too much ends both: a program that babbles on one may never close the other.
        let (out, error) = futures::try_join!(whole(out), whole(error))?;
        let status = child.wait().await.map_err(Stopped::Problem)?;
        Ok(Said {
            code: status.code(),
            out: String::from_utf8_lossy(&out).into_owned(),
            error: String::from_utf8_lossy(&error).into_owned(),
        })
    };
    match tokio::time::timeout(within, work).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(Stopped::TooMuch)) => unknown(Reason::Truncated, format!("{path} printed more than 1 MiB")),
        Ok(Err(Stopped::Problem(problem))) => unknown(Reason::Unparsable, format!("{path}: {problem}")),
        Err(_elapsed) => unknown(Reason::Timeout, format!("{path} did not end in time")),
    }
}

enum Stopped {
    TooMuch,
    Problem(std::io::Error),
}

async fn whole(stream: impl tokio::io::AsyncRead + Unpin) -> Result<Vec<u8>, Stopped> {
    let mut bytes = Vec::new();
    let mut stream = stream.take(OUTPUT_BYTES + 1);
    stream.read_to_end(&mut bytes).await.map_err(Stopped::Problem)?;
    if bytes.len() as u64 > OUTPUT_BYTES {
        return Err(Stopped::TooMuch);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::value::Reason;
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn arguments_are_never_a_shells() {
        let folder = tempfile::tempdir().unwrap();
        let marker = folder.path().join("pwned");
        let touch = format!("touch {}", marker.display());
        for hostile in [
            format!("; {touch}"),
            format!("$({touch})"),
            format!("`{touch}`"),
            format!("x\n{touch}"),
        ] {
            let said = run("/bin/echo", &[&hostile], LONG).await.unwrap();
            assert_eq!(said.out, format!("{hostile}\n"));
        }
        assert!(!marker.exists());
    }

    #[tokio::test]
    async fn the_environment_is_empty() {
        let said = run("/usr/bin/env", &[], LONG).await.unwrap();
        let mut names: Vec<&str> = said.out.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "TZ"]);
    }

    #[tokio::test]
    async fn a_program_that_hangs_or_babbles_is_ended() {
        let begin = Instant::now();
        let hung = run("/bin/sleep", &["600"], Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(hung.reason, Reason::Timeout);
        let babble = run("/usr/bin/yes", &[], LONG).await.unwrap_err();
        assert_eq!(babble.reason, Reason::Truncated);
        assert!(begin.elapsed() < LONG);
        let none = run("/nonexistent/program", &[], LONG).await.unwrap_err();
        assert_eq!(none.reason, Reason::Unavailable);
        let failed = run("/bin/false", &[], LONG).await.unwrap();
        assert_eq!(failed.code, Some(1));
    }
}
