//! The second verifier, in Python, and what both must say alike.

use serde_json::Value;
use starr::journal::policy::Demand;
use starr::journal::verify::Verified;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify-journal")
}

/// What it says about these files, under this policy.
pub fn verify(files: &[PathBuf], policy: &Path) -> Vec<Value> {
    let output = Command::new("python3")
        .arg(program())
        .arg("--json")
        .arg("--policy")
        .arg(policy)
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let results: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        results.len(),
        files.len(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all_met = results.iter().all(|result| result["missing"].is_null());
    assert_eq!(output.status.code(), Some(i32::from(!all_met)));
    results
}

/// Flips each bit of everything that a journal stores, one at a time, in one process of its own. How many of what there were; it
/// fails when one of them is not found out.
pub fn each_bit(journal: &Path, policy: &Path) -> Value {
    let output = Command::new("python3")
        .arg(program().with_file_name("each-bit"))
        .args([journal, policy])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Both say the same: level, counts, root, and how far everything reaches.
pub fn agree(first: &Verified, demand: Demand, second: &Value, about: &str) {
    let met = demand.missing(first).is_none();
    assert_eq!(second["missing"].is_null(), met, "{about}:\n{first}\n{second}");
    assert_eq!(second["level"], first.level.to_string(), "{about}:\n{first}\n{second}");
    assert_eq!(second["entries"], first.entries, "{about}");
    assert_eq!(second["root"], first.root, "{about}");
    assert_eq!(second["origin"], first.origin, "{about}");
    if first.is_intact() {
        assert_eq!(second["runs"], first.runs, "{about}");
        assert_eq!(second["payloads_erased"], first.payloads_erased, "{about}");
        assert_eq!(second["signed"], serde_json::json!(first.reach.signed), "{about}");
        assert_eq!(second["anchored"], serde_json::json!(first.reach.anchored), "{about}");
        assert_eq!(second["witnessed"], serde_json::json!(first.reach.witnessed), "{about}");
        assert_eq!(second["on_the_key_alone"], first.on_the_key_alone, "{about}");
        assert_eq!(second["on_this_file_alone"], first.on_this_file_alone, "{about}");
    }
}

#[test]
fn its_own_signatures_verify() {
    let output = Command::new("python3")
        .arg(program().with_file_name("ed25519.py"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "the vectors verify\n");
}

#[test]
fn it_is_small_and_uses_only_what_python_has() {
    let mut lines = 0;
    for name in ["verify-journal", "ed25519.py"] {
        let text = std::fs::read_to_string(program().with_file_name(name)).unwrap();
        lines += text.lines().count();
        for line in text.lines().filter_map(|line| line.strip_prefix("import ")) {
            let module = line.split_whitespace().next().unwrap();
            let known = [
                "argparse",
                "functools",
                "base64",
                "hashlib",
                "json",
                "os",
                "pathlib",
                "re",
                "sqlite3",
                "subprocess",
                "sys",
                "ed25519",
                "urllib.request",
            ];
            assert!(known.contains(&module), "{name} imports {module}");
        }
    }
    assert!(lines < 650, "{lines} lines");
}
