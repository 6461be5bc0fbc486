//! The workflows of `docs/ci.md`, the composite action and the pre-commit hooks: their shell lines are run, in a repository that is
//! made for it, with the real binary on the path.

use crate::support::samples::fences;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A repository with one good runbook and a scenario in two commits.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::create_dir(at.join("runbooks")).unwrap();
    for name in ["ci.starr", "ci.scenarios.starr"] {
        let file = root().join("tests/runbooks").join(name);
        std::fs::copy(file, at.join("runbooks").join(name)).unwrap();
    }
    git(at, &["init", "-q", "-b", "main"]);
    git(at, &["add", "."]);
    git(at, &["commit", "-qm", "first"]);
    std::fs::write(at.join("README.md"), "more\n").unwrap();
    git(at, &["add", "."]);
    git(at, &["commit", "-qm", "second"]);
    folder
}

fn git(folder: &Path, words: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(words)
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a script as a runner would: bash, ending at the first failure.
fn shell(folder: &Path, script: &str) -> Output {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_starr"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("BASE", "HEAD~1")
        .env("PATHS", "runbooks")
        .env("MINIMUM", "0")
        .env("FAIL_ON", "riskier")
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .env("GITHUB_OUTPUT", folder.join("output"))
        .env("GITHUB_ACTION_PATH", folder)
        .output()
        .unwrap()
}

fn yaml(text: &str) -> Json {
    serde_yaml::from_str(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

/// Every text under `run` or `script`, in order.
fn lines(json: &Json, found: &mut Vec<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| lines(item, found)),
        Json::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("run", Json::String(text)) => found.push(text.clone()),
                    ("script", Json::Array(items)) => {
                        found.extend(items.iter().filter_map(|item| item.as_str().map(str::to_owned)));
                    }
                    _ => lines(value, found),
                }
            }
        }
        _ => {}
    }
}

fn all_succeed(scripts: &[String]) {
    let folder = repository();
    for script in scripts {
        let output = shell(folder.path(), script);
        assert!(
            output.status.success(),
            "{script}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_shell_lines_of_the_page_work() {
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let mut scripts = Vec::new();
    let mut workflows = 0;
    for fence in fences("docs/ci.md", &page) {
        match fence.language() {
            "sh" => scripts.push(fence.body.clone()),
            "yml" => {
                workflows += 1;
                lines(&yaml(&fence.body), &mut scripts);
            }
            _ => {}
        }
    }
    assert_eq!(workflows, 4, "two for GitHub, one for GitLab, one for pre-commit");
    assert!(scripts.len() >= 10, "{scripts:?}");
    all_succeed(&scripts);
}

#[test]
fn a_change_that_weakens_an_approval_fails_the_job() {
    let folder = repository();
    let book = folder.path().join("runbooks/ci.starr");
    let text = std::fs::read_to_string(&book).unwrap();
    let weaker = text.replace("approve by operator within", "approve by operator or lead within");
    assert_ne!(text, weaker);
    std::fs::write(&book, weaker).unwrap();
    git(folder.path(), &["commit", "-qam", "weaker"]);
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let script = fences("docs/ci.md", &page)
        .into_iter()
        .find(|fence| fence.language() == "sh")
        .unwrap()
        .body;
    let diff = script.lines().last().unwrap();
    let output = shell(folder.path(), diff);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("approval-weakened"));
}

#[test]
fn the_action_and_the_hooks_say_what_the_program_understands() {
    let action = yaml(&std::fs::read_to_string(root().join("action.yml")).unwrap());
    let mut scripts = Vec::new();
    lines(&action, &mut scripts);
    assert_eq!(scripts.len(), 5);
    // With the binary on the path nothing is built.
    all_succeed(&scripts);

    let hooks = yaml(&std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap());
    let folder = repository();
    for hook in hooks.as_array().unwrap() {
        let entry = hook["entry"].as_str().unwrap();
        let output = shell(folder.path(), &format!("{entry} runbooks/ci.starr"));
        assert!(
            output.status.success(),
            "{entry}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    for hook in hooks.as_array().unwrap() {
        let id = hook["id"].as_str().unwrap();
        assert!(page.contains(&format!("- id: {id}")), "{id} is not on the page");
    }
}
